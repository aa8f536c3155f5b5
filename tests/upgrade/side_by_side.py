# SPDX-License-Identifier: MIT
"""Two builds of charge_server side by side on one store, rolled forward and back under load: no request runs twice, and
no answer is wrong.

usage: side_by_side.py OLD NEW [--store redis|postgresql|both] [--cycles N] [--requests N] [--seed N]

Clients send each request twice at once, repeat it until they have an answer, ask for old answers again, and now and then
use a key for another request. Meanwhile each of three servers is replaced by one of the other build, and all of them
back; half of the servers are stopped with requests on them. In each cycle a server of each build is killed while its
handler runs, and the other build takes the key over. PostgreSQL is migrated by the new build, and later by a successor of
both, which adds a column and a migration that nobody knows.

How often handlers ran is counted from the servers' logs, and compared with the servers' own ledgers where these can be
asked before the server stops. scripts/side-by-side builds an older commit, and runs this.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from fleet.clients import Client, Crowd, Request, Tally
from fleet.processes import Failure, demand, wait_for
from fleet.servers import RAN, Instance, migrate
from fleet.stores import Postgres, Redis

OLD, NEW = "old", "new"
INSTANCES = 3


class Fleet:
    """Three servers behind one name."""

    def __init__(self, programs, url, work):
        self.programs, self.url, self.work = programs, url, work
        self.all = []
        self.instances = []

    def start(self, build, lease="30s"):
        instance = Instance(build, self.programs[build], self.url, self.work, lease)
        self.all.append(instance)
        return instance

    def start_all(self, build):
        self.instances = [self.start(build) for _ in range(INSTANCES)]

    def migrate(self, build):
        migrate(self.programs[build], self.url)

    def replace(self, place, build, with_requests):
        """The new one comes first, so that somebody always answers."""
        leaving = self.instances[place]
        self.instances[place] = self.start(build)
        if with_requests:
            leaving.stop()
        else:
            leaving.stop_without_clients()

    def stop(self):
        for instance in self.instances:
            instance.stop_without_clients()

    def complaints(self, event):
        """The first lines with the event, and what the servers say of their store."""
        lines = [line for instance in self.all for line in instance.text().splitlines()]
        told = [line for line in lines if line.startswith(f"idempo {event} ")]
        return "\n".join(told[:5] + sorted({line for line in lines if not line.startswith("idempo ")}))

    def kill(self):
        """Whatever is left."""
        for instance in self.all:
            instance.kill()


def roll(fleet, crowd, build, requests, chance):
    """Replaces one server after the other, with load before, between and after."""
    for place in chance.sample(range(INSTANCES), INSTANCES):
        fleet.replace(place, build, with_requests=chance.random() < 0.5)
        crowd.until_more(requests)


def take_over(fleet, tally, dying, heir, name):
    """A server of one build dies before its effect, and the other build runs the request again."""
    request = Request(name, random.Random(name))
    request.target, request.status = "/charge?delay_ms=1500", 201
    victim = fleet.start(dying, lease="2s")
    unlucky = Client(lambda: [victim], tally, random.Random(name))
    sender = threading.Thread(target=unlucky.send, args=(victim, request, request.amount))
    sender.start()
    wait_for("handler that runs", lambda: victim.ledger()["started"] == 1)
    victim.kill()
    sender.join()
    demand(victim.handlers_run() == 0, "the killed server had ended its handler")
    successor = fleet.start(heir)
    Client(lambda: [successor], tally, random.Random(name)).until_answered(request, threading.Event())
    attempt = json.loads(request.body)["attempt"]
    demand(attempt == 2, f"{name}: the {heir} build runs attempt {attempt} after the {dying} one")
    tally.pair("takeovers", dying, heir)
    successor.stop_without_clients()


def check(fleet, crowd, tally, taken_over):
    """Each key ran once. Both builds met what the other had written."""
    events = sum((instance.events() for instance in fleet.all), collections.Counter())
    keys = len(crowd.requests) + taken_over
    runs = sum(count for event, count in events.items() if event in RAN)
    demand(runs == keys, f"{runs} handlers ran for {keys} keys: {dict(events)}")
    for event in RAN - {"executed"} | {"fenced", "lease_lost", "record_unreadable"}:
        demand(events[event] == 0, f"{events[event]} times {event}: {fleet.complaints(event)}")
    for request in crowd.requests:
        demand(request.body is not None, f"{request.name} has no answer")
        for build in request.refused_by:
            tally.pair("conflicts", request.writer, build)
    names = ("replays", "conflicts", "mismatches", "takeovers")
    for name in names:
        demand(min(tally.crossed(name, OLD, NEW)) > 0, f"too few {name} over both builds, {tally.crossed(name, OLD, NEW)}: send more --requests")

    met = ", ".join(f"{name} {forward} + {back}" for name in names for forward, back in (tally.crossed(name, OLD, NEW),))
    print(
        f"  {keys} keys, {runs} handlers ran: 0 duplicates. {tally.counts['answers']} answers, 0 wrong. "
        f"{len(fleet.all)} servers.\n"
        f"  Written by old and met by new + the other way round: {met}.\n"
        f"  Errors of the store: {events['store_error']}. Tried again after {tally.counts['connections lost']} lost connections, {tally.counts['answers 503']} answers 503.",
        flush=True,
    )
    if events["store_error"]:  # a claim that a busy server does not answer in time is 503, and no harm
        print(fleet.complaints("store_error"), flush=True)


def run(store_type, programs, arguments):
    chance = random.Random(f"{arguments.seed} {store_type.__name__}")
    with tempfile.TemporaryDirectory(prefix="idempo-side-by-side-") as work, contextlib.ExitStack() as ends:
        store = store_type(work)
        ends.callback(store.stop)
        fleet, tally = Fleet(programs, store.url, work), Tally()
        ends.callback(fleet.kill)
        fleet.migrate(OLD)
        fleet.start_all(OLD)
        crowd = Crowd(fleet, arguments.seed, tally)
        ends.callback(crowd.give_up)
        crowd.until_more(arguments.requests)
        fleet.migrate(NEW)
        crowd.until_more(arguments.requests)
        for cycle in range(arguments.cycles):
            if cycle == arguments.cycles - 1:
                store.migrate_further()
            roll(fleet, crowd, NEW, arguments.requests, chance)
            take_over(fleet, tally, OLD, NEW, f"old dies {cycle}")
            roll(fleet, crowd, OLD, arguments.requests, chance)
            take_over(fleet, tally, NEW, OLD, f"new dies {cycle}")
        crowd.stop()
        fleet.stop()
        check(fleet, crowd, tally, 2 * arguments.cycles)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--store", choices=("redis", "postgresql", "both"), default="both")
    parser.add_argument("--cycles", type=int, default=1, help="forward and back")
    parser.add_argument("--requests", type=int, default=40, help="answers between one replacement and the next")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments = parser.parse_args()
    programs = {OLD: os.path.abspath(arguments.old), NEW: os.path.abspath(arguments.new)}
    stores = {"redis": [Redis], "postgresql": [Postgres], "both": [Redis, Postgres]}[arguments.store]
    for store in stores:
        print(f"{store.__name__}, seed {arguments.seed}, {arguments.cycles} cycles:", flush=True)
        try:
            run(store, programs, arguments)
        except Failure as failure:
            print(f"FAILED with seed {arguments.seed}: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
