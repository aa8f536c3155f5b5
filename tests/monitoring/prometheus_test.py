# SPDX-License-Identifier: MIT
"""docs/monitoring in a real Prometheus: the alerts fire when they should, and the board has something to show.

usage: prometheus_test.py CHARGE_SERVER

Exits with 77 where there is no Prometheus: skipped; with IDEMPO_DEMAND_PROMETHEUS in the environment that is a failure.
"""

import http.client
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ALERTS = ROOT / "docs/monitoring/alerts.yml"
CASES = ROOT / "tests/monitoring/alerts_test.yml"
BOARD = ROOT / "docs/monitoring/board.json"
# A busy machine: nothing here waits as long as this unless something is broken.
PATIENCE = 60


def wait_for(what, ask):
    """Repeats the question until its answer is true, and returns that."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < end, f"no {what} within {PATIENCE} s"
        time.sleep(0.1)
    return answer


class Server:
    """A process that says on which port it listens, and dies with the test."""

    def __init__(self, words, pattern, log):
        self.log = pathlib.Path(log)
        with open(log, "w", encoding="utf-8") as output:
            mortal = ["setpriv", "--pdeathsig", "KILL", *words]
            self.process = subprocess.Popen(mortal, stdout=output, stderr=subprocess.STDOUT)
        self.port = int(wait_for(f"port in {log}", lambda: self._port(pattern)))

    def _port(self, pattern):
        text = self.log.read_text(encoding="utf-8")
        assert self.process.poll() is None, f"it ended at once: {text}"
        found = re.search(pattern, text)
        return found and found[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, method, target, body=None, headers=()):
        """Status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


class Charges(Server):
    """Whose leases end while slow handlers run, so that attempts can overlap."""

    FLAGS = "--store memory: --port 0 --metrics --lease 1500ms --heartbeat off --on-throw hold --wait 50ms".split()

    def __init__(self, program, work):
        super().__init__([program, *self.FLAGS], r"listening on http://127\.0\.0\.1:(\d+)\n", f"{work}/charges.log")

    def charge(self, key, amount=1, query="", headers=()):
        headers = {"Idempotency-Key": f'"{key}"', "Content-Type": "application/json", **dict(headers)}
        return self.ask("POST", f"/charge{query}", json.dumps({"amount": amount}), headers)[0]

    def begin(self, key, query):
        """A thread that sends the request."""
        thread = threading.Thread(target=self.charge, args=(key, 1, query))
        thread.start()
        return thread

    def metric(self, name):
        return float(re.search(rf"^{re.escape(name)} (.*)$", self.ask("GET", "/metrics")[1], re.MULTILINE)[1])


class Prometheus(Server):
    """With the configuration of docs/monitoring.md, but more often."""

    def __init__(self, work, target):
        page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
        text = re.search(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
        for written, here in (
            ("scrape_interval: 15s", "scrape_interval: 500ms\n  evaluation_interval: 500ms"),
            ("127.0.0.1:8080", f"127.0.0.1:{target}"),
        ):
            assert text.count(written) == 1, f"docs/monitoring.md: where is {written}?"
            text = text.replace(written, here)
        shutil.copy(ALERTS, work)
        configuration = f"{work}/prometheus.yml"
        pathlib.Path(configuration).write_text(text, encoding="utf-8")
        promtool("check", "config", configuration)
        flags = [f"--config.file={configuration}", f"--storage.tsdb.path={work}/data", "--web.listen-address=127.0.0.1:0"]
        super().__init__(["prometheus", *flags], r'"Listening on" address=127\.0\.0\.1:(\d+)\n', f"{work}/prometheus.log")
        wait_for("Prometheus that is ready", lambda: self.ask("GET", "/-/ready")[0] == 200)

    def get(self, path, **parameters):
        status, body = self.ask("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", f"{path} {parameters}: {body}"
        return answer["data"]

    def numbers(self, query):
        """The last minute of the query, all series together; without NaN, which is no data."""
        now = time.time()
        series = self.get("query_range", query=query, start=now - 60, end=now, step=1)["result"]
        values = [float(value) for each in series for _, value in each["values"]]
        return [value for value in values if math.isfinite(value)]

    def latest(self, query):
        """Of one series; nothing where there is none."""
        series = self.get("query", query=query)["result"]
        return float(series[0]["value"][1]) if series else None

    def firing(self):
        return {
            alert["labels"]["alertname"]: alert
            for alert in self.get("alerts")["alerts"]
            if alert["state"] == "firing"
        }


def promtool(*words):
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"promtool {' '.join(words)}:\n{done.stdout}{done.stderr}"


def names_in(expression, label):
    """The values of a label that an expression asks for."""
    found = re.findall(rf'\b{label}=~?"([^"$]*)"', expression)
    return {name for alternatives in found for name in alternatives.split("|")}


def alert_expressions():
    """By name. The file is ours: two lines of a rule are enough."""
    text = ALERTS.read_text(encoding="utf-8")
    rules = re.split(r"^      - ", text, flags=re.MULTILINE)[1:]
    return {rule.split("\n")[0].removeprefix("alert: "): rule for rule in rules if rule.startswith("alert: ")}


def check_cases():
    """Each alert has an instant at which it fires, and one at which nothing does, in the same case."""
    promtool("check", "rules", str(ALERTS))
    promtool("test", "rules", str(CASES))
    fire = set()
    for case in CASES.read_text(encoding="utf-8").split("  - name: ")[1:]:
        names = set(re.findall(r'alertname="(\w+)"', case))
        assert not names or "exp_samples: []" in case, f"this case never says that nothing fires: {case}"
        fire |= names
    assert fire == set(alert_expressions()), f"alerts without a case, or the other way round: {fire ^ set(alert_expressions())}"


def check_names_in_the_docs():
    """What to alert on is what is alerted on. Links lead somewhere."""
    page = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    table = page.split("## What to alert on")[1].split("\n## ")[0]
    wanted = set()
    for row in re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.MULTILINE):
        if not row[1].startswith("no alarm"):
            wanted |= set(re.findall(r"`(\w+)`", row[0]))
    named = set().union(*(names_in(rule, "event") for rule in alert_expressions().values()))
    assert wanted and wanted == named, f"docs/production.md and the alerts differ in {wanted ^ named}"
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", runbook, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for name, rule in alert_expressions().items():
        for link in re.findall(r'runbook: "(.*)"', rule):
            assert link.removeprefix("docs/runbook.md#") in anchors, f"{name}: there is no {link}"


def check_outcomes(expressions):
    """The requests are counted by the outcomes, each of which a request has once (idempo/observer.hpp)."""
    header = (ROOT / "include/idempo/observer.hpp").read_text(encoding="utf-8")
    names = re.findall(r"^    (\w+),", header.split("enum class event_type {")[1].split("};")[0], re.MULTILINE)
    outcomes = names[names.index("executed") : names.index("record_unreadable") + 1]
    counted = [text for text in expressions if "executed|" in text]
    assert len(counted) >= 2
    for text in counted:
        assert "|".join(outcomes) in text, f"not all outcomes: {text}"


def check_panels(board):
    """Places that do not overlap, and a source that the reader chooses."""
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, f"{panel['title']} lies on another panel"
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def healthy_traffic(charges, round_name):
    """One charge, its replay, a mismatch, and retries until one comes too early."""
    assert charges.charge(f"{round_name} paid") == 201
    assert charges.charge(f"{round_name} paid") == 201
    assert charges.charge(f"{round_name} paid", amount=2) == 422
    waits = 'idempo_step_seconds_count{step="wait"}'
    before, numbers = charges.metric(waits), itertools.count()

    def has_waited():
        key = f"{round_name} slow {next(numbers)}"
        slow = charges.begin(key, "?delay_ms=150")
        assert charges.charge(key, query="?delay_ms=150") in (201, 409)
        slow.join()
        return charges.metric(waits) > before

    wait_for("retry that waits", has_waited)


def unhealthy_traffic(charges):
    """A handler that throws after its effect, one that outlives its lease, and a session cookie."""
    assert charges.charge("throws", query="?throw=after") == 500
    assert charges.charge("cookie", headers={"Cookie": "session=1"}) == 201
    slow = charges.begin("outlived", "?delay_ms=5000")
    wait_for("handler that runs", lambda: charges.metric("idempo_handlers_running") == 1)
    wait_for("end of the first lease", lambda: charges.charge("outlived", query="?delay_ms=5000") != 409)
    slow.join()


def check_alerts(charges, prometheus):
    paid = 'sum(idempo_events_total{event="executed"})'
    executed = prometheus.latest(paid) or 0
    for number in range(3):
        healthy_traffic(charges, f"round {number}")
    wait_for("scrape", lambda: (prometheus.latest(paid) or 0) >= executed + 6)
    recorded = "sum(instance:idempo_events:increase10m) >= 6"
    wait_for("evaluation", lambda: prometheus.latest(recorded))
    assert not prometheus.firing(), prometheus.firing()

    unhealthy_traffic(charges)
    expected = {"IdempoHeld", "IdempoCookieIgnored", "IdempoTakeover", "IdempoFenced"}
    wait_for(f"alerts but {set(prometheus.firing())}", lambda: expected <= set(prometheus.firing()))
    assert set(prometheus.firing()) == expected, prometheus.firing()
    for alert in prometheus.firing().values():
        for name, text in alert["annotations"].items():
            assert "{{" not in text and "<" not in text, f"{name}: {text}"
        assert f"127.0.0.1:{charges.port}" in alert["annotations"]["summary"]


def check_board(charges, prometheus, board):
    healthy_traffic(charges, "for the board")
    known = {label: set(prometheus.get(f"label/{label}/values")) for label in ("event", "step")}
    values = {"$job": "shop", "$instance": ".+", "$__rate_interval": "30s", "$__range": "1m"}
    queries = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]
    for title, query in queries:
        for name, value in values.items():
            query = query.replace(name, value)
        assert "$" not in query, f"{title}: no value for a variable in {query}"
        wait_for(f"data for '{title}': {query}", lambda query=query: prometheus.numbers(query))
    for text in [*(query for _, query in queries), ALERTS.read_text(encoding="utf-8")]:
        for label, names in known.items():
            assert names_in(text, label) <= names, f"unknown: {names_in(text, label) - names}"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+)\b.*, (\w+)\)", variable["query"]["query"]).groups()
            assert prometheus.get(f"label/{label}/values", **{"match[]": metric})
    return len(queries)


def main(program):
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        print("skipped: no Prometheus here; apt-get install prometheus")
        return 1 if os.environ.get("IDEMPO_DEMAND_PROMETHEUS") else 77
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    check_cases()
    check_names_in_the_docs()
    check_panels(board)
    check_outcomes([ALERTS.read_text(encoding="utf-8"), *(t["expr"] for p in board["panels"] for t in p["targets"])])
    with tempfile.TemporaryDirectory() as work, Charges(program, work) as charges:
        with Prometheus(work, charges.port) as prometheus:
            check_alerts(charges, prometheus)
            count = check_board(charges, prometheus, board)
    print(f"{len(alert_expressions())} alerts fire when they should; {count} queries of the board have data")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
