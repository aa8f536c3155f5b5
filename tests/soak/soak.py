# SPDX-License-Identifier: MIT
"""Two charge_servers on one store under load, while everything fails that can be made to fail from outside: each request
is answered in the end, with the same answer for everybody, and runs once where nothing has failed.

usage: soak.py CHARGE_SERVER [--store redis|sentinel|cluster|postgresql] [--minutes N] [--rest S] [--think-time S]
       [--check-trace PROGRAM] [--seed N]

Clients send each request twice at once, hang up now and then, repeat it until they have an answer, ask for old answers
again, and use a key for another request. Meanwhile a server is killed, stopped for up to twice its lease, or shut down
with requests on it; the store is killed or stopped; and the network between them is slow, cut or silent (Redis and
PostgreSQL; the addresses that sentinels and nodes of a cluster tell lead past a proxy). Each kind of fault comes once
before any comes again; without --minutes, each comes once. With check-trace the servers write traces, which it then holds
against the model.
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from fleet.clients import Client, Crowd, Tally
from fleet.network import Network
from fleet.processes import Failure, demand
from fleet.servers import Instance, migrate
from fleet.stores import Cluster, Postgres, Redis, Sentinels

STORES = {"redis": Redis, "sentinel": Sentinels, "cluster": Cluster, "postgresql": Postgres}
LEASE = 3.0
# A store that is away for longer than options::persist_timeout, 10 s, may lose answers: that is documented, and not what
# is tried here.
LONGEST_STORE_STOP = 4.0
# What a fault has done is over by then: pauses between attempts to connect are a second at most.
AFTERMATH = 2.0
ANSWERS_BETWEEN_FAULTS = 60
REQUESTS_KEPT = 5000
# Two handlers in a hundred need their lease renewed.
DELAYS_MS = (0, 5, 20, 60) * 25 + (1500, 1500)
# A server that dies while no handler runs leaves nothing to take over. A dozen deaths never do.
MOST_FURTHER_DEATHS = 12


class HastyClient(Client):
    """Now and then hangs up before the answer."""

    def send(self, instance, request, amount):
        if self.chance.random() >= 0.03:
            return super().send(instance, request, amount)
        with instance.used(), contextlib.suppress(http.client.HTTPException, ConnectionError):
            self.post(instance, request, amount)
            time.sleep(self.chance.random() * 0.03)
        self.hang_up(instance)
        self.tally.add("hang-ups")
        return None


class Faults:
    """What fails, one after the other, and when."""

    def __init__(self, service, store, network, chance):
        self.service, self.store, self.network, self.chance = service, store, network, chance
        self.lock = threading.Lock()
        self.times = []
        self.counts = collections.Counter()
        self.kinds = [self.server_killed, self.server_stopped, self.server_shut_down, self.store_killed, self.store_stopped]
        if network:
            self.kinds += [self.network_slow, self.network_cut, self.network_silent]

    def each_once(self):
        """The kinds of faults, in random order."""
        return self.chance.sample(self.kinds, len(self.kinds))

    def make(self, kind):
        began = time.monotonic()
        with self.lock:
            self.times.append([began, float("inf")])
        kind()
        with self.lock:
            self.times[-1][1] = time.monotonic() + AFTERMATH
        self.counts[kind.__name__.replace("_", " ")] += 1

    def met(self, began, ended):
        """Whether any was under way in that time."""
        with self.lock:
            return any(first < ended and last > began for first, last in reversed(self.times))

    def server_killed(self):
        place = self.service.any_place()
        self.service.instances[place].kill()
        self.service.start(place)

    def server_stopped(self):
        instance = self.service.instances[self.service.any_place()]
        instance.pause()
        time.sleep(self.chance.uniform(0.1, 2 * LEASE))
        instance.resume()

    def server_shut_down(self):
        place = self.service.any_place()
        leaving = self.service.instances[place]
        self.service.start(place)
        leaving.stop()

    def store_killed(self):
        self.store.fail()

    def store_stopped(self):
        self.store.pause()
        time.sleep(self.chance.uniform(0.1, LONGEST_STORE_STOP))
        self.store.resume()

    def network_slow(self):
        self.network.delay = self.chance.choice((0.003, 0.03))
        time.sleep(2)
        self.network.delay = 0.0

    def network_cut(self):
        for _ in range(10):
            self.network.cut()
            time.sleep(self.chance.uniform(0.02, 0.3))

    def network_silent(self):
        self.network.silent = True
        time.sleep(self.chance.uniform(0.1, LONGEST_STORE_STOP))
        self.network.silent = False


class Service:
    """Two servers."""

    def __init__(self, program, url, work, chance, is_traced):
        self.program, self.url, self.work, self.chance = program, url, work, chance
        self.is_traced = is_traced
        self.all = []
        self.instances = [None, None]

    def start(self, place):
        trace = ("--trace", f"{self.work}/{len(self.all)}.trace") if self.is_traced else ()
        instance = Instance(("one", "other")[place], self.program, self.url, self.work, f"{LEASE:.0f}s", trace)
        self.all.append(instance)
        self.instances[place] = instance

    def any_place(self):
        return self.chance.randrange(len(self.instances))

    def events(self):
        return sum((instance.events() for instance in self.all), collections.Counter())

    def stop(self):
        for instance in self.instances:
            instance.stop()

    def kill(self):
        """Whatever is left."""
        for instance in self.all:
            instance.kill()


class Verdict:
    """What became of each request; told by the clients when both have their answer."""

    def __init__(self, faults):
        self.faults = faults
        self.keys = self.quiet = self.taken_over = 0

    def finished(self, request):
        attempt = json.loads(request.body)["attempt"]
        self.keys += 1
        self.taken_over += attempt > 1
        if not self.faults.met(request.began, time.monotonic()):
            self.quiet += 1
            demand(attempt == 1, f"{request.name}: attempt {attempt}, and nothing had failed")


def meet_takeover(service, crowd, faults):
    """Servers die until a request has been taken over."""
    for _ in range(MOST_FURTHER_DEATHS):
        if service.events()["takeover"] > 0:
            return
        faults.make(faults.server_killed)
        time.sleep(LEASE)
        crowd.until_more(ANSWERS_BETWEEN_FAULTS)


def check(service, crowd, tally, verdict, faults):
    events = service.events()
    # A server that was killed may have stored an answer and not said so; none is stored twice. The last request may have
    # gone to one client only.
    demand(verdict.keys in (crowd.issued, crowd.issued - 1), f"{crowd.issued - verdict.keys} requests have no answer")
    demand(events["executed"] <= crowd.issued, f"{events['executed']} answers stored for {crowd.issued} keys")
    for event in ("unprotected", "record_unreadable", "not_persisted", "tombstone"):
        demand(events[event] == 0, f"{events[event]} times {event}")
    demand(verdict.quiet > 0, "no request was quiet: nothing was tried without a fault")
    demand(tally.counts["hang-ups"] > 0 and tally.pairs["mismatches"], "too few answers; nothing was tried")
    for kind in faults.kinds:
        demand(faults.counts[kind.__name__.replace("_", " ")] > 0, f"no {kind.__name__}")
    told = ("replayed", "in_flight", "takeover", "fenced", "lease_lost", "held", "released", "store_error")
    print(
        f"  {verdict.keys} keys, each with one answer; {tally.counts['answers']} answers, 0 wrong. {verdict.quiet} keys met no "
        f"fault, and ran once; {verdict.taken_over} were answered by a later attempt.\n"
        f"  Faults: {', '.join(f'{count} {kind}' for kind, count in sorted(faults.counts.items()))}; "
        f"{tally.counts['hang-ups']} hang-ups.\n"
        f"  Events: {', '.join(f'{events[name]} {name}' for name in ('executed', *told))}; {tally.counts['answers 503']} answers 503.",
        flush=True,
    )


# Without these, the traces show nothing: at least one of each.
TRACED = ("claim granted", "claim completed", "claim in_flight", "claim mismatch", "complete done", "renew held", "told executed",
          "told replayed", "told takeover", "handler begun")


def check_traces(program, work):
    """What the servers have written, against the model."""
    traces = sorted(str(each) for each in pathlib.Path(work).glob("*.trace"))
    done = subprocess.run([program, "--json", "--from-empty", *traces], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    if not found or found["undecided"] > 0:
        kept = pathlib.Path(tempfile.mkdtemp(prefix="idempo-traces-"))
        for each in traces:
            shutil.copy(each, kept)
        raise Failure(f"the traces in {kept}: {done.stdout}{done.stderr}")
    for event in TRACED:
        demand(found["counts"].get(event, 0) > 0, f"no {event} in the traces")
    print(
        f"  Traces: {found['events']} events of {found['processes']} processes, {found['calls']} calls, {found['unanswered']} "
        f"without an answer, {found['counts'].get('claim granted', 0)} grants, {found['counts']['told takeover']} takeovers, "
        f"{found['counts'].get('told fenced', 0)} fenced; {found['outside']} outside the model.",
        flush=True,
    )


def run(arguments):
    chance = random.Random(f"{arguments.seed} {arguments.store}")
    with tempfile.TemporaryDirectory(prefix="idempo-soak-") as work, contextlib.ExitStack() as ends:
        store = STORES[arguments.store](work)
        ends.callback(store.stop)
        network, url = None, store.url
        if hasattr(store, "url_at"):
            network = Network(store.path)
            ends.callback(network.stop)
            url = store.url_at(network.port)
        migrate(arguments.program, store.url)
        service = Service(os.path.abspath(arguments.program), url, work, chance, bool(arguments.check_trace))
        ends.callback(service.kill)
        for place in range(2):
            service.start(place)
        faults = Faults(service, store, network, chance)
        verdict, tally = Verdict(faults), Tally()
        crowd = Crowd(service, arguments.seed, tally, HastyClient, verdict.finished, REQUESTS_KEPT, arguments.think_time, DELAYS_MS)
        ends.callback(crowd.give_up)
        end = time.monotonic() + 60 * arguments.minutes
        while True:
            for kind in faults.each_once():
                crowd.until_more(ANSWERS_BETWEEN_FAULTS)
                faults.make(kind)
                time.sleep(arguments.rest)
                crowd.check()
            if time.monotonic() >= end:
                break
        time.sleep(AFTERMATH)
        crowd.until_more(ANSWERS_BETWEEN_FAULTS)
        meet_takeover(service, crowd, faults)
        crowd.stop()
        service.stop()
        check(service, crowd, tally, verdict, faults)
        if arguments.check_trace:
            check_traces(arguments.check_trace, work)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="CHARGE_SERVER")
    parser.add_argument("--store", choices=STORES, default="redis")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--rest", type=float, default=AFTERMATH, help="seconds without a fault after each one")
    parser.add_argument("--think-time", type=float, default=0, help="seconds between two requests of a client")
    parser.add_argument("--check-trace", metavar="PROGRAM")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments = parser.parse_args()
    print(f"{arguments.store}, seed {arguments.seed}:", flush=True)
    try:
        run(arguments)
    except Failure as failure:
        sys.exit(f"soak: {failure}")


if __name__ == "__main__":
    main()
