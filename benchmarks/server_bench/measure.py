#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loads charge_server with wrk on loopback and appends what it measured to a file, a line of JSON for each cell.

A cell is a style of server, a store and a kind of request. All servers run all the time, and one at a time is loaded, in
turns; what is compared was measured within one repetition. "full" is the memory store of a process that holds
--records records before it is measured. How much of the machine other processes had is measured, too,
and a cell in which it was too much is repeated. Repetitions can be taken one by one, at quiet times:

    benchmarks/server_bench/measure.py --repetitions 1 build/server_bench.jsonl
    benchmarks/server_bench/report.py build/server_bench.jsonl

It starts redis-server and PostgreSQL itself, with throw-away data. wrk has to be installed.

Another server can stand beside charge_server: it prints `listening on http://ADDRESS:PORT`, makes charges at `POST /charge`,
and tells at `GET /charges` how many (`{"started":N}`). benchmarks/peers has two. Its bare handler is optional. It keeps its
records in its memory, or where its command names them by `{redis}` or `{postgres}`:

    benchmarks/server_bench/measure.py --stores memory,full --pin --peer 'NAME=COMMAND' --bare-peer 'NAME=COMMAND' FILE
    benchmarks/server_bench/measure.py --stores postgres --peer 'NAME=COMMAND {postgres}' FILE
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import servers

HERE = pathlib.Path(__file__).resolve().parent
KINDS = ("no key", "replay", "first")
WRK_KINDS = {"bare": "keyed", "no key": "unkeyed", "replay": "keyed", "first": "first"}
REPLAYED_KEYS = 256  # as requests.lua
REPLAYED_SERIES = "replayed-0000000"  # as long as the others


def choice(*known):
    """A comma-separated list of some of these."""

    def parse_list(text):
        chosen = text.split(",")
        if not set(chosen) <= set(known):
            raise argparse.ArgumentTypeError(f"not all of {text} are among {','.join(known)}")
        return chosen

    return {"type": parse_list, "default": list(known), "metavar": ",".join(known)}


class Cell:
    def __init__(self, style, store, kind, server, store_pid, load_cores):
        self.style, self.store, self.kind = style, store, kind
        self._server, self._store_pid, self._load_cores = server, store_pid, load_cores

    def prime(self):
        """Sends each key once that is to be replayed."""
        connection = http.client.HTTPConnection(self._server.host, self._server.port)
        for number in range(REPLAYED_KEYS):
            # As requests.lua has them: Host is part of the fingerprint.
            fields = {"Host": "127.0.0.1", "Idempotency-Key": f'"{REPLAYED_SERIES}-{number:010}"',
                      "Content-Type": "application/json",
                      "Authorization": "Bearer 0123456789abcdef0123456789abcdef"}
            body = '{"amount":4200,"currency":"eur","source":"tok_visa"}'
            connection.request("POST", "/charge", body, fields)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 201:
                raise RuntimeError(f"{self}: primed with {answer.status}")

    def fill(self, records):
        """Leaves so many records in the server's store, by first requests."""
        while (held := self._handler_runs()) < records:
            self._load("first", 16, 1, f"filled-{held:09}").wait()

    def measure(self, connections, seconds, series, attempt=0):
        runs_before, server_before, store_before = self._handler_runs(), self._server_cpu(), self._store_cpu()
        machine_before = servers.machine_cpu_seconds()
        wrk = self._load(WRK_KINDS[self.kind], connections, seconds,
                         REPLAYED_SERIES if self.kind == "replay" else f"{series}{attempt}")
        output = wrk.stdout.read()
        _, status, usage = os.wait4(wrk.pid, 0)
        if status != 0:
            raise RuntimeError(f"{self}: wrk failed")
        found = json.loads(output.strip().splitlines()[-1])
        machine = servers.machine_cpu_seconds() - machine_before
        server = self._server_cpu() - server_before
        store = self._store_cpu() - store_before
        load = usage.ru_utime + usage.ru_stime
        found["others"] = round((machine - server - store - load) / found["seconds"] / os.cpu_count(), 4)
        for name, seconds_used in (("server_us", server), ("store_us", store), ("load_us", load)):
            found[name] = round(seconds_used / found["requests"] * 1e6, 3)
        self._check(found, self._handler_runs() - runs_before, connections)
        return {"style": self.style, "store": self.store, "kind": self.kind, **found}

    def _load(self, kind, connections, seconds, series):
        url = f"http://{self._server.host}:{self._server.port}"
        return servers.start_load(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "requests.lua", url, "--",
                                   kind, series], self._load_cores)

    def measure_undisturbed(self, limit, *arguments):
        """Again while other processes took more than their share of the machine; the best of three if they never let up."""
        tries = []
        while len(tries) < 3:
            tries.append(self.measure(*arguments, len(tries)))
            if tries[-1]["others"] <= limit:
                break
        return min(tries, key=lambda found: found["others"])

    def _check(self, found, runs, connections):
        """A replay that ran the handler, or a first request that did not, would measure something else."""
        wanted = 0 if self.kind == "replay" else found["requests"]
        if found["failed"] or not wanted <= runs <= wanted + (connections if wanted else 0):
            raise RuntimeError(f"{self}: {found}, and the handler ran {runs} times")

    def _handler_runs(self):
        connection = http.client.HTTPConnection(self._server.host, self._server.port)
        connection.request("GET", "/charges")
        return json.loads(connection.getresponse().read())["started"]

    def _server_cpu(self):
        return servers.cpu_seconds(self._server.pid)

    def _store_cpu(self):
        return servers.cpu_seconds(self._store_pid) if self._store_pid else 0.0

    def __str__(self):
        return f"{self.style}, {self.store}, {self.kind}"


def start_cells(arguments, stack):
    server_cores, load_cores = ({0}, {1}) if arguments.pin else (None, None)

    def started(server):
        stack.callback(server.stop)
        return server

    def cell(style, store, kind, command, store_pid=None):
        return Cell(style, store, kind, started(servers.HttpServer(command, server_cores)), store_pid, load_cores)

    memory = ("memory:?max_records=20000000&max_bytes=8000000000", None)
    stores = {"memory": memory, "full": memory}
    if "redis" in arguments.stores:
        redis = started(servers.Redis())
        stores["redis"] = (redis.url, redis.pid)
    if "postgres" in arguments.stores:
        postgres = started(servers.Postgres())
        stores["postgres"] = (postgres.url, postgres.pid)
        subprocess.run([arguments.server, "--migrate", "--store", postgres.url], check=True, stdout=subprocess.DEVNULL)

    # A server for each kind: what the first requests leave in the memory store makes malloc slower for the others.
    cells = []
    for style in arguments.styles:
        command = [arguments.server, "--port", "0", "--style", style, "--threads", str(arguments.threads)]
        cells.append(cell(style, "none", "bare", [*command, "--no-middleware"]))
        for store, kind in itertools.product(arguments.stores, KINDS):
            url, pid = stores[store]
            cells.append(cell(style, store, kind, [*command, "--store", url], pid))
    for name, command in arguments.bare_peer:
        cells.append(cell(name, "none", "bare", command))
    for name, command in arguments.peer:
        for store, kind in itertools.product(stores_of_peer(command, arguments.stores), KINDS):
            url, pid = stores[store]
            cells.append(cell(name, store, kind, [word.replace(f"{{{store}}}", url) for word in command], pid))
    for each in cells:
        if each.store == "full":
            each.fill(arguments.records)
        if each.kind == "replay":
            each.prime()
    return cells


def stores_of_peer(command, stores):
    named = [each for each in ("redis", "postgres") if any(f"{{{each}}}" in word for word in command)]
    return [each for each in named or ("memory", "full") if each in stores]


def named_command(text):
    name, _, command = text.partition("=")
    if not name or not command:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=COMMAND")
    return name, shlex.split(command)


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, help="lines are added to this file")
    parser.add_argument("--server", default=str(HERE.parents[1] / "build/release/tests/servers/charge_server"))
    parser.add_argument("--stores", **choice("memory", "full", "redis", "postgres"))
    parser.add_argument("--styles", **choice("sync", "callback", "awaitable"))
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of each cell")
    parser.add_argument("--records", type=int, default=300_000, help="that the servers of the store \"full\" hold")
    parser.add_argument("--peer", type=named_command, action="append", default=[], metavar="NAME=COMMAND",
                        help="another server")
    parser.add_argument("--bare-peer", type=named_command, action="append", default=[], metavar="NAME=COMMAND",
                        help="the same without its middleware")
    parser.add_argument("--pin", action="store_true", help="servers on core 0, the load on core 1")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1, help="of the callback and awaitable servers")
    parser.add_argument("--others", type=float, default=0.05,
                        help="a cell is measured again, twice at most, when other processes had more of the machine")
    return parser.parse_args(words)


def main():
    arguments = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end, too
    with contextlib.ExitStack() as stack:
        cells = start_cells(arguments, stack)
        for _ in range(arguments.repetitions):
            begun = time.time_ns()
            found = []
            for number, cell in enumerate(cells):
                print(cell, file=sys.stderr)
                series = f"{begun // 1000 % 10**12:012}-{number:02}"
                measured = cell.measure_undisturbed(arguments.others, arguments.connections, arguments.seconds, series)
                found.append({"repetition": begun, **measured})
            # At once: what is half a repetition cannot be compared.
            with arguments.results.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in found)


if __name__ == "__main__":
    main()
