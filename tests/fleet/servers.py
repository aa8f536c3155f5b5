# SPDX-License-Identifier: MIT
"""charge_server, started by a test."""

import collections
import contextlib
import http.client
import itertools
import json
import pathlib
import re
import signal
import subprocess
import threading

from fleet.processes import PATIENCE, demand, launch, wait_for

STYLES = ("awaitable", "callback", "sync")
# Each is an event of a handler that ran (idempo/observer.hpp).
RAN = {"executed", "tombstone", "released", "held", "parked", "unprotected", "not_persisted"}


def migrate(program, url):
    """Prepares the store."""
    done = subprocess.run([program, "--store", url, "--migrate"], capture_output=True, text=True, check=False)
    demand(done.returncode == 0, f"{program} --migrate: {done.stdout}{done.stderr}")


class Instance:
    """A charge_server of one build."""

    numbers = itertools.count(1)
    styles = itertools.count()

    def __init__(self, build, program, url, work, lease, more=()):
        self.build = build
        self.log = pathlib.Path(f"{work}/server-{next(self.numbers)}-{build}.log")
        style = STYLES[next(self.styles) % len(STYLES)]
        flags = ["--store", url, "--port", "0", "--log", "--lease", lease, "--style", style, *more]
        self.process = launch([program, *flags], self.log)
        self.port = int(wait_for(f"{build} server", self._port))
        self.users = 0
        self.lock = threading.Lock()

    def _port(self):
        demand(self.process.poll() is None, f"the {self.build} server did not start: {self.text()}")
        said = pathlib.Path(f"{self.log}.out").read_text(encoding="utf-8")
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)\n", said)
        return found and found[1]

    def text(self):
        return self.log.read_text(encoding="utf-8")

    @contextlib.contextmanager
    def used(self):
        """While a client waits for its answer."""
        with self.lock:
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1

    def ledger(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/charges")
            return json.loads(connection.getresponse().read())

    def events(self):
        """Counts of what the log says."""
        return collections.Counter(re.findall(r"^idempo (\w+) key=", self.text(), re.MULTILINE))

    def handlers_run(self):
        return sum(count for event, count in self.events().items() if event in RAN)

    def stop(self):
        self.process.terminate()
        demand(self.process.wait(PATIENCE) == 0, f"the {self.build} server ended badly: {self.text()[-2000:]}")
        demand("gave up on" not in self.text(), f"the {self.build} server left connections: {self.text()[-2000:]}")

    def stop_without_clients(self):
        """Nobody sends it anything any more. Its ledger and its log say the same."""
        wait_for("end of its requests", lambda: self.users == 0)
        charges = self.ledger()["count"]
        self.stop()
        demand(charges == self.handlers_run(), f"{charges} charges, but the log says {self.handlers_run()}")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
