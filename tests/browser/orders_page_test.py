# SPDX-License-Identifier: MIT
"""The page of the orders service in a real browser: every button does what its text says.

usage: orders_page_test.py ORDERS_SERVER [DIRECTORY_FOR_SCREENSHOTS]

Starts the service by scripts/orders. Exits with 77 where there is no browser: skipped.
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

from webdriver import Browser, Missing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET = "the secret of the page's test"
TAB, ENTER = "\ue004", "\ue007"


class Service:
    """orders_server with a PostgreSQL and a Redis of its own."""

    def __init__(self, program, *flags):
        self.process = subprocess.Popen(
            [f"{ROOT}/scripts/orders", "--server", program, "--port", "0", *flags],
            env={**os.environ, "ORDERS_HMAC_SECRET": SECRET},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = None
        for line in self.process.stdout:
            if listening := re.match(r"listening on (http://\S+)", line):
                self.url = listening[1]
                break
        assert self.url, "the service did not start"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def orders(self):
        """What the table has, asked without the page."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/orders?limit=1000") as answer:
            return json.load(answer)["orders"]


class Page:
    def __init__(self, browser, service, url=None):
        self.browser, self.service = browser, service
        browser.open((url or service.url) + "/")
        browser.wait("return document.getElementById('live').textContent.startsWith('Live')")

    def press(self, button):
        """Clicks, and returns the sentence that comes, and the rows of the requests that were sent."""
        before = self.requests()
        self.browser.click(button)
        return self.result(before)

    def result(self, before):
        idle = "!document.body.hasAttribute('aria-busy')"
        sentence = self.browser.wait(
            f"return {idle} && document.getElementById('requests').rows.length > {min(len(before), 99)}"
            " && document.getElementById('result').textContent"
        )
        rows = self.requests()
        return sentence, rows[: len(rows) - len(before)]

    def requests(self):
        return self.browser.run(
            "return [...document.getElementById('requests').rows].map(row => ({"
            "key: row.cells[0].title, status: row.cells[2].textContent, outcome: row.cells[3].textContent}))"
        )

    def expect_one_order(self, rows):
        """All that was sent had one key; there is one order of it, in the table and, soon, in the ledger."""
        keys = {row["key"] for row in rows}
        assert len(keys) == 1, keys
        (key,) = keys
        made = [order for order in self.service.orders() if order["idempotency_key"] == key]
        assert len(made) == 1, made
        shown = f"document.querySelectorAll('#ledger tr[data-key=\"{key}\"]').length"
        self.browser.wait(f"return {shown} > 0")
        assert self.browser.run(f"return {shown}") == 1


def outcomes(rows):
    return sorted(row["outcome"] for row in rows)


def check_accessible(browser):
    unlabelled = browser.run(
        "return [...document.querySelectorAll('input')].filter(field => !field.labels.length).map(field => field.id)"
    )
    assert unlabelled == [], unlabelled
    assert browser.run("return document.querySelector('[role=status]').getAttribute('aria-live')") == "polite"
    for button in browser.run("return [...document.querySelectorAll('button')].map(button => button.textContent)"):
        assert button.strip()


def check_keyboard(page):
    """From the top of the page: Tab to the first field, type, and Enter."""
    browser = page.browser
    browser.press(TAB)
    assert browser.run("return document.activeElement.id") == "secret"
    for character in SECRET:
        browser.press(character)
    before = page.requests()
    browser.press(ENTER)
    sentence, rows = page.result(before)
    assert "was placed" in sentence, sentence
    assert outcomes(rows) == ["ran"], rows
    page.expect_one_order(rows)
    reached = set()
    for _ in range(12):
        browser.press(TAB)
        reached.add(browser.run("return document.activeElement.dataset.try || document.activeElement.id"))
    assert {"place", "twice", "retry", "other", "fifty", "lose"} <= reached, reached


def check_buttons(page):
    sentence, rows = page.press("#place")
    assert "was placed" in sentence and outcomes(rows) == ["ran"], (sentence, rows)
    page.expect_one_order(rows)
    placed = rows

    sentence, rows = page.press("[data-try=retry]")
    assert "did nothing" in sentence and outcomes(rows) == ["replayed"], (sentence, rows)
    page.expect_one_order(rows + placed)

    sentence, rows = page.press("[data-try=other]")
    assert "refused, and nothing was placed" in sentence, sentence
    assert [row["status"] for row in rows] == ["422"], rows
    page.expect_one_order(rows + placed)

    sentence, rows = page.press("[data-try=twice]")
    assert "One order." in sentence and len(rows) == 2, (sentence, rows)
    assert outcomes(rows) in (["ran", "replayed"], ["ran", "still running"]), rows
    page.expect_one_order(rows)

    sentence, rows = page.press("[data-try=fifty]")
    assert "One order." in sentence and len(rows) == 50, (sentence, len(rows))
    assert outcomes(rows).count("ran") == 1, rows
    page.expect_one_order(rows)

    sentence, rows = page.press("[data-try=lose]")
    assert "hung up" in sentence and "One order." in sentence, sentence
    assert rows[-1]["outcome"] == "hung up" and rows[0]["status"] == "201", rows
    page.expect_one_order(rows)


def check_counters(page):
    """What the page counted is what the server counts."""
    ran = [row for row in page.requests() if row["outcome"] == "ran"]
    assert ran
    executed = len(page.service.orders())
    page.browser.wait(f"return document.querySelector('[data-counter=executed]').textContent === '{executed}'")
    page.browser.wait("return document.querySelector('[data-counter=mismatches]').textContent === '1'")


def check_wrong_secret(page):
    orders = len(page.service.orders())
    page.browser.run("document.getElementById('secret').value = 'wrong'")
    sentence, rows = page.press("#place")
    assert sentence.startswith("401") and [row["status"] for row in rows] == ["401"], (sentence, rows)
    assert len(page.service.orders()) == orders
    page.browser.run(f"document.getElementById('secret').value = {json.dumps(SECRET)}")


def check_quiet(page):
    """No error in the console, but the browser's own lines about statuses; nothing asked of anybody else."""
    for entry in page.browser.console():
        is_status = entry["source"] == "network" and "the server responded with a status of" in entry["message"]
        assert is_status or entry["level"] not in ("SEVERE", "WARNING"), entry
    asked = page.browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert asked and all(name.startswith(page.service.url) for name in asked), asked


def take_screenshots(page, directory):
    page.browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    for scheme in ("light", "dark"):
        emulated = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.browser.developer("Emulation.setEmulatedMedia", emulated)
        page.browser.screenshot(f"{directory}/orders-{scheme}.png")


def check_rate_limit(browser, program):
    with Service(program, "--rate-limit", "10") as service:
        page = Page(browser, service)
        page.browser.type("#secret", SECRET)
        sentence, rows = page.press("[data-try=fifty]")
        assert sentence.startswith("429: the rate limit refused 40 of 50"), sentence
        assert [row["status"] for row in rows].count("429") == 40, rows


def check_other_name(service):
    """Under a name that is not the machine's own, http has no signatures: the page says so, and nothing can be pressed."""
    name = "orders.example"
    with Browser("--no-proxy-server", f"--host-resolver-rules=MAP {name} 127.0.0.1") as browser:
        page = Page(browser, service, service.url.replace("127.0.0.1", name))
        assert not browser.run("return window.isSecureContext")
        sentence = browser.run("return document.getElementById('result').textContent")
        assert "on https and on localhost only" in sentence, sentence
        assert browser.run("return [...document.querySelectorAll('button')].every(button => button.disabled)")
        assert page.requests() == []
        # What needs no signature goes on: the ledger that is sent by the server.
        placed = len(service.orders())
        browser.wait(f"return document.querySelectorAll('#ledger tr[data-key]').length === {min(placed, 20)}")


def main(program, screenshots=None):
    try:
        browser = Browser()
    except Missing as missing:
        print(f"skipped: {missing} here; apt-get install chromium chromium-driver")
        return 77
    with browser, Service(program) as service:
        page = Page(browser, service)
        check_accessible(browser)
        check_keyboard(page)
        check_buttons(page)
        check_counters(page)
        if screenshots:
            take_screenshots(page, screenshots)
        check_wrong_secret(page)
        check_quiet(page)
        check_other_name(service)
        check_rate_limit(browser, program)
    print("the page does what its buttons say")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), *sys.argv[2:]))
