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
import glob
import http.client
import itertools
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

OLD, NEW = "old", "new"
# A busy machine: nothing here waits as long as this unless something is broken.
PATIENCE = 60
INSTANCES = 3
CLIENTS = 8
# Each is an event of a handler that ran (idempo/observer.hpp).
RAN = {"executed", "tombstone", "released", "held", "parked", "unprotected", "not_persisted"}


class Failure(Exception):
    """What must not happen."""


def demand(condition, sentence):
    if not condition:
        raise Failure(sentence)


def wait_for(what, ask):
    """Repeats the question until its answer is true, and returns that."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        demand(time.monotonic() < end, f"no {what} within {PATIENCE} s")
        time.sleep(0.02)
    return answer


class Redis:
    """A server of our own, on a socket."""

    def __init__(self, work):
        self.url = f"redis+unix://{work}/redis.socket"
        words = f"redis-server --port 0 --unixsocket {work}/redis.socket --dir {work} --appendonly yes".split()
        with open(f"{work}/redis.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([*words, "--save", ""], stdout=log, stderr=log)
        wait_for("Redis", lambda: self._ask("ping") == "PONG")
        self.socket = f"{work}/redis.socket"

    def _ask(self, *words):
        done = subprocess.run(
            ["redis-cli", "-s", self.url.removeprefix("redis+unix://"), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def migrate_further(self):
        """There is no schema in Redis."""

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Postgres:
    """A server of our own, on a socket; not as root, which it refuses."""

    def __init__(self, work):
        newest = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self.programs = newest[-1] if newest else os.path.dirname(shutil.which("initdb"))
        self.work = f"{work}/postgres"
        self.url = f"postgresql://shop@/postgres?host={self.work}"
        self.become = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        os.mkdir(self.work)
        if self.become:
            os.chmod(work, 0o755)
            account = pwd.getpwnam("postgres")
            os.chown(self.work, account.pw_uid, account.pw_gid)
        self._run("initdb", f"--pgdata={self.work}/data", "--auth=trust", "--username=shop", "--encoding=UTF8", "--no-sync")
        with open(f"{work}/postgres.log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [f"{self.programs}/postgres", "-D", f"{self.work}/data", "-c", "listen_addresses="]
                + ["-c", f"unix_socket_directories={self.work}"],
                stdout=log,
                stderr=log,
                cwd=self.work,
                **self.become,
            )
        wait_for("PostgreSQL", lambda: subprocess.run(["pg_isready", "-q", "-h", self.work], check=False).returncode == 0)

    def _run(self, program, *flags):
        done = subprocess.run(
            [f"{self.programs}/{program}", *flags], capture_output=True, text=True, check=False, cwd=self.work, **self.become
        )
        demand(done.returncode == 0, f"{program}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def migrate_further(self):
        """What a later version might do: migrations only add."""
        self._run(
            *("psql", "-h", self.work, "-U", "shop", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-1"),
            *("-c", "ALTER TABLE idempo_records ADD COLUMN of_a_successor text"),
            *("-c", "INSERT INTO idempo_records_migrations (number) VALUES (1000)"),
        )

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


class Instance:
    """A charge_server of one build."""

    numbers = itertools.count(1)

    def __init__(self, build, program, url, work):
        self.build = build
        self.log = pathlib.Path(f"{work}/server-{next(self.numbers)}-{build}.log")
        flags = ["--store", url, "--port", "0", "--log", "--lease", "2s"]
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([program, *flags], stdout=log, stderr=log)
        self.port = int(wait_for(f"{build} server", self._port))
        self.users = 0
        self.lock = threading.Lock()

    def _port(self):
        demand(self.process.poll() is None, f"the {self.build} server did not start: {self.text()}")
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.text())
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

    def kill(self):
        self.process.kill()
        self.process.wait()


class Request:
    """What a client sends under a key, and what it was told."""

    def __init__(self, name, chance):
        self.name = name
        self.amount = chance.randrange(1, 1000)
        status = chance.choice((201, 201, 201, 402))
        self.status = status
        self.target = f"/charge?status={status}&delay_ms={chance.choice((0, 5, 20, 60))}"
        self.target += f"&size={chance.choice((0, 0, 300, 20_000))}"
        self.lock = threading.Lock()
        self.body = None
        self.writer = None  # the build whose handler answered; unknown where that answer was lost
        self.refused_by = []  # the builds that said 409 meanwhile

    def fields(self):
        # Host: all servers are one service, whatever their ports.
        return {"Host": "shop.example", "Idempotency-Key": f'"{self.name}"', "Content-Type": "application/json"}

    def settle(self, instance, replayed, status, body):
        """Compares an answer with those before."""
        with self.lock:
            demand(status == self.status, f"{self.name}: {status} instead of {self.status}")
            demand(self.body in (None, body), f"{self.name}: another answer: {self.body} and {body}")
            self.body = body
            if not replayed:
                demand(self.writer is None, f"{self.name}: two first answers, {self.writer} and {instance.build}")
                self.writer = instance.build


class Tally:
    """What was met. Of pairs of builds: who wrote or runs, and who answers."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.replays = collections.Counter()
        self.mismatches = collections.Counter()
        self.takeovers = collections.Counter()

    def add(self, name, count=1):
        with self.lock:
            self.counts[name] += count

    def pair(self, pairs, writer, reader):
        with self.lock:
            pairs[writer, reader] += 1


class Clients:
    """Threads that send until they are told to stop, and then finish what they have begun."""

    def __init__(self, fleet, seed, tally):
        self.fleet, self.seed, self.tally = fleet, seed, tally
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.requests = []
        self.settled = []
        self.failure = None
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._guarded, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.check()

    def check(self):
        if self.failure:
            raise self.failure

    def until_more(self, count):
        """Waits until so many further keys have their answer."""
        goal = len(self.settled) + count
        wait_for("answers", lambda: self.failure or len(self.settled) >= goal)
        self.check()

    def _guarded(self, number):
        try:
            chance = random.Random(f"{self.seed} client {number}")
            connections = {}
            while not self.stopping.is_set() and not self.failure:
                self._step(chance, connections)
        except Exception as failure:  # told by check()
            self.failure = self.failure or failure

    def _step(self, chance, connections):
        settled = self.settled
        if settled and chance.random() < 0.5:
            return self._ask_again(chance.choice(settled), chance, connections)
        request = self._next()
        self.until_answered(request, chance, connections)
        with self.lock:
            settled.append(request)

    def _next(self):
        """Each request goes to two clients, at the same time."""
        with self.lock:
            number = next(self.numbers)
            if number % 2 == 0:
                self.requests.append(Request(f"request {number // 2}", random.Random(f"{self.seed} {number // 2}")))
            return self.requests[number // 2]

    def until_answered(self, request, chance, connections):
        end = time.monotonic() + PATIENCE
        while True:
            demand(time.monotonic() < end, f"{request.name} has no answer within {PATIENCE} s")
            instance = chance.choice(self.fleet.instances)
            answer = self.send(instance, connections, request, request.amount)
            if answer is None:
                continue
            status, fields, body = answer
            if status == 409 and fields.get("Retry-After"):
                with request.lock:
                    request.refused_by.append(instance.build)
                time.sleep(0.01)
                continue
            replayed = fields.get("Idempotency-Replayed") == "true"
            request.settle(instance, replayed, status, body)
            return

    def _ask_again(self, request, chance, connections):
        other = chance.random() < 0.1
        instance = chance.choice(self.fleet.instances)
        answer = self.send(instance, connections, request, request.amount + (1000 if other else 0))
        if answer is None:
            return
        status, fields, body = answer
        if other:
            demand(status == 422, f"{request.name}: {status} instead of 422 for another request by {instance.build}")
            self.tally.pair(self.tally.mismatches, request.writer, instance.build)
            return
        demand(fields.get("Idempotency-Replayed") == "true", f"{request.name}: {status} is no replay by {instance.build}")
        request.settle(instance, True, status, body)
        self.tally.pair(self.tally.replays, request.writer, instance.build)

    def send(self, instance, connections, request, amount):
        """Status, fields and body; None where the server has gone or asks for a later try."""
        with instance.used():
            connection = connections.get(instance)
            try:
                if connection is None:
                    connection = connections[instance] = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=PATIENCE)
                connection.request("POST", request.target, json.dumps({"amount": amount}), request.fields())
                answer = connection.getresponse()
                body = answer.read().decode()
            except (http.client.HTTPException, ConnectionError):
                connections.pop(instance).close()
                self.tally.add("connections lost")
                return None
        if answer.status == 503:
            self.tally.add("answers 503")
            return None
        self.tally.add("answers")
        return answer.status, answer.headers, body


class Fleet:
    """Three servers behind one name."""

    def __init__(self, programs, url, work):
        self.programs, self.url, self.work = programs, url, work
        self.all = []
        self.instances = [self.start(OLD) for _ in range(INSTANCES)]

    def start(self, build):
        instance = Instance(build, self.programs[build], self.url, self.work)
        self.all.append(instance)
        return instance

    def migrate(self, build):
        done = subprocess.run(
            [self.programs[build], "--store", self.url, "--migrate"], capture_output=True, text=True, check=False
        )
        demand(done.returncode == 0, f"--migrate of the {build} build: {done.stdout}{done.stderr}")

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

    def kill(self):
        """Whatever is left."""
        for instance in self.all:
            instance.kill()


def roll(fleet, clients, build, requests, chance):
    """Replaces one server after the other, with load before, between and after."""
    for place in chance.sample(range(INSTANCES), INSTANCES):
        fleet.replace(place, build, with_requests=chance.random() < 0.5)
        clients.until_more(requests)


def take_over(fleet, clients, dying, heir, name):
    """A server of one build dies before its effect, and the other build runs the request again."""
    chance = random.Random(name)
    request = Request(name, chance)
    request.target, request.status = "/charge?delay_ms=1500", 201
    victim = fleet.start(dying)
    sender = threading.Thread(target=clients.send, args=(victim, {}, request, request.amount))
    sender.start()
    wait_for("handler that runs", lambda: victim.ledger()["started"] == 1)
    victim.kill()
    sender.join()
    demand(victim.handlers_run() == 0, "the killed server ended its handler")
    only = Fleet.__new__(Fleet)
    only.instances = [fleet.start(heir)]
    of_heir = Clients.__new__(Clients)
    of_heir.fleet, of_heir.tally = only, clients.tally
    of_heir.until_answered(request, chance, {})
    attempt = json.loads(request.body)["attempt"]
    demand(attempt == 2, f"{name}: the {heir} build runs attempt {attempt} after the {dying} one")
    clients.tally.pair(clients.tally.takeovers, dying, heir)
    only.instances[0].stop_without_clients()
    with clients.lock:
        clients.settled.append(request)


def check(fleet, clients, taken_over):
    """Each key ran once. Both builds met what the other had written."""
    tally = clients.tally
    events = sum((instance.events() for instance in fleet.all), collections.Counter())
    keys = len(clients.requests) + taken_over
    runs = sum(count for event, count in events.items() if event in RAN)
    demand(runs == keys, f"{runs} handlers ran for {keys} keys: {dict(events)}")
    for event in RAN - {"executed"} | {"fenced", "lease_lost", "record_unreadable", "store_error"}:
        demand(events[event] == 0, f"{events[event]} times {event}")
    conflicts = collections.Counter()
    for request in clients.requests:
        demand(request.body is not None, f"{request.name} has no answer")
        for build in request.refused_by:
            conflicts[request.writer, build] += 1
    crossings = ((OLD, NEW), (NEW, OLD))
    for name, pairs in (("replays", tally.replays), ("conflicts", conflicts), ("mismatches", tally.mismatches)):
        for pair in crossings:
            demand(pairs[pair] > 0, f"no {name} of {pair}: send more --requests")
    demand(all(tally.takeovers[pair] > 0 for pair in crossings), "no takeover in both directions")

    def crossed(pairs):
        return f"{pairs[OLD, NEW]} + {pairs[NEW, OLD]}"

    print(
        f"  {keys} keys, {runs} handlers run: 0 duplicates. {tally.counts['answers']} answers, 0 wrong. "
        f"{len(fleet.all)} servers.\n"
        f"  Written by old and met by new + the other way round: replays {crossed(tally.replays)}, "
        f"conflicts {crossed(conflicts)}, mismatches {crossed(tally.mismatches)}, takeovers {crossed(tally.takeovers)}.\n"
        f"  Tried again: {tally.counts['connections lost']} lost connections, {tally.counts['answers 503']} answers 503.",
        flush=True,
    )


def run(store_type, programs, arguments):
    chance = random.Random(f"{arguments.seed} {store_type.__name__}")
    with tempfile.TemporaryDirectory(prefix="idempo-side-by-side-") as work, contextlib.ExitStack() as ends:
        store = store_type(work)
        ends.callback(store.stop)
        fleet = Fleet.__new__(Fleet)
        fleet.programs, fleet.url, fleet.work, fleet.all, fleet.instances = programs, store.url, work, [], []
        ends.callback(fleet.kill)
        fleet.migrate(OLD)
        fleet.instances = [fleet.start(OLD) for _ in range(INSTANCES)]
        clients = Clients(fleet, arguments.seed, Tally())
        ends.callback(clients.stopping.set)
        clients.until_more(arguments.requests)
        fleet.migrate(NEW)
        clients.until_more(arguments.requests)
        for cycle in range(arguments.cycles):
            if cycle == arguments.cycles - 1:
                store.migrate_further()
            roll(fleet, clients, NEW, arguments.requests, chance)
            take_over(fleet, clients, OLD, NEW, f"old dies {cycle}")
            roll(fleet, clients, OLD, arguments.requests, chance)
            take_over(fleet, clients, NEW, OLD, f"new dies {cycle}")
        clients.stop()
        fleet.stop()
        check(fleet, clients, 2 * arguments.cycles)


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
