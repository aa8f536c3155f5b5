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
STYLES = ("awaitable", "callback", "sync")
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


def launch(words, log, user=(), dies_by="KILL"):
    """Starts a program that writes its errors to the log and the rest beside it, so that no line breaks another, and dies
    with this process."""
    with open(log, "w", encoding="utf-8") as errors, open(f"{log}.out", "w", encoding="utf-8") as output:
        return subprocess.Popen(["setpriv", *user, "--pdeathsig", dies_by, *words], stdout=output, stderr=errors)


class Redis:
    """A server of our own, on a socket."""

    def __init__(self, work):
        socket = f"{work}/redis.socket"
        self.url = f"redis+unix://{socket}"
        words = f"redis-server --port 0 --unixsocket {socket} --dir {work} --appendonly yes".split()
        self.process = launch([*words, "--save", ""], f"{work}/redis.log")
        ping = ["redis-cli", "-s", socket, "ping"]
        wait_for("Redis", lambda: subprocess.run(ping, capture_output=True, check=False).stdout == b"PONG\n")

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
        os.mkdir(self.work)
        self.user = ()
        if os.geteuid() == 0:
            self.user = ("--reuid=postgres", "--regid=postgres", "--clear-groups")
            os.chmod(work, 0o755)
            account = pwd.getpwnam("postgres")
            os.chown(self.work, account.pw_uid, account.pw_gid)
        self._run("initdb", f"--pgdata={self.work}/data", "--auth=trust", "--username=shop", "--encoding=UTF8", "--no-sync")
        settings = ("listen_addresses=", f"unix_socket_directories={self.work}", "dynamic_shared_memory_type=mmap")
        words = [f"{self.programs}/postgres", "-D", f"{self.work}/data", *(f"--{setting}" for setting in settings)]
        # Not KILL, which would leave its shared memory behind.
        self.process = launch(words, f"{work}/postgres.log", self.user, dies_by="INT")
        wait_for("PostgreSQL", lambda: subprocess.run(["pg_isready", "-q", "-h", self.work], check=False).returncode == 0)

    def _run(self, program, *flags):
        words = ["setpriv", *self.user, f"{self.programs}/{program}", *flags]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=self.work)
        demand(done.returncode == 0, f"{program}: {done.stdout}{done.stderr}")

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
    styles = itertools.count()

    def __init__(self, build, program, url, work, lease):
        self.build = build
        self.log = pathlib.Path(f"{work}/server-{next(self.numbers)}-{build}.log")
        style = STYLES[next(self.styles) % len(STYLES)]
        flags = ["--store", url, "--port", "0", "--log", "--lease", lease, "--style", style]
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
            demand(self.body in (None, body), f"{self.name}: another answer: {body[:80]} and {(self.body or '')[:80]}")
            self.body = body
            if not replayed:
                demand(self.writer is None, f"{self.name}: two first answers, {self.writer} and {instance.build}")
                self.writer = instance.build


class Tally:
    """What was met."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.pairs = collections.defaultdict(collections.Counter)

    def add(self, name):
        with self.lock:
            self.counts[name] += 1

    def pair(self, name, writer, reader):
        """Of builds: who wrote or ran, and who answers."""
        with self.lock:
            self.pairs[name][writer, reader] += 1

    def crossed(self, name):
        """Written by the old build and met by the new one, and the other way round."""
        return self.pairs[name][OLD, NEW], self.pairs[name][NEW, OLD]


class Client:
    """Sends requests to one server or another, over connections that it keeps."""

    def __init__(self, instances, tally, chance):
        """Takes its servers from `instances()`, at each request."""
        self.instances, self.tally, self.chance = instances, tally, chance
        self.connections = {}

    def until_answered(self, request, given_up):
        end = time.monotonic() + PATIENCE
        while not given_up.is_set():
            demand(time.monotonic() < end, f"{request.name} has no answer within {PATIENCE} s")
            instance = self.chance.choice(self.instances())
            answer = self.send(instance, request, request.amount)
            if answer is None:
                continue
            status, fields, body = answer
            if status == 409 and fields.get("Retry-After"):
                with request.lock:
                    request.refused_by.append(instance.build)
                time.sleep(0.01)
                continue
            request.settle(instance, fields.get("Idempotency-Replayed") == "true", status, body)
            return

    def ask_again(self, request):
        """An answer that is known, or now and then what is refused: the same key for another amount."""
        other = self.chance.random() < 0.1
        instance = self.chance.choice(self.instances())
        answer = self.send(instance, request, request.amount + (1000 if other else 0))
        if answer is None:
            return
        status, fields, body = answer
        if other:
            demand(status == 422, f"{request.name}: {status} instead of 422 for another request by {instance.build}")
            self.tally.pair("mismatches", request.writer, instance.build)
            return
        demand(fields.get("Idempotency-Replayed") == "true", f"{request.name}: {status} is no replay by {instance.build}")
        request.settle(instance, True, status, body)
        self.tally.pair("replays", request.writer, instance.build)

    def send(self, instance, request, amount):
        """Status, fields and body; None where the server has gone, or asks for a later try."""
        with instance.used():
            connection = self.connections.get(instance)
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=PATIENCE)
                    self.connections[instance] = connection
                connection.request("POST", request.target, json.dumps({"amount": amount}), request.fields())
                answer = connection.getresponse()
                body = answer.read().decode()
            except (http.client.HTTPException, ConnectionError):
                self.connections.pop(instance).close()
                self.tally.add("connections lost")
                return None
        if answer.status == 503:
            self.tally.add("answers 503")
            return None
        self.tally.add("answers")
        return answer.status, answer.headers, body


class Crowd:
    """Clients in threads, until they are told to stop; then they finish what they have begun."""

    def __init__(self, fleet, seed, tally):
        self.seed, self.tally = seed, tally
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.requests = []
        self.settled = []
        self.failure = None
        self.stopping = threading.Event()
        self.given_up = threading.Event()
        clients = [
            Client(lambda: fleet.instances, tally, random.Random(f"{seed} client {number}")) for number in range(CLIENTS)
        ]
        self.threads = [threading.Thread(target=self._send, args=(client,)) for client in clients]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.check()

    def give_up(self):
        """Leaves requests without an answer."""
        self.given_up.set()
        self.stopping.set()

    def check(self):
        if self.failure:
            raise self.failure

    def until_more(self, count):
        """Waits until so many further requests have their answer."""
        goal = len(self.settled) + count
        wait_for("answers", lambda: self.failure or len(self.settled) >= goal)
        self.check()

    def _send(self, client):
        try:
            while not self.stopping.is_set():
                self._step(client)
        except Exception as failure:  # told by check()
            self.failure = self.failure or failure
            self.give_up()

    def _step(self, client):
        if self.settled and client.chance.random() < 0.5:
            return client.ask_again(client.chance.choice(self.settled))
        request = self._next()
        client.until_answered(request, self.given_up)
        with self.lock:
            self.settled.append(request)

    def _next(self):
        """Each request goes to two clients, at the same time."""
        with self.lock:
            number = next(self.numbers)
            if number % 2 == 0:
                self.requests.append(Request(f"request {number // 2}", random.Random(f"{self.seed} {number // 2}")))
            return self.requests[number // 2]


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
        demand(min(tally.crossed(name)) > 0, f"too few {name} over both builds, {tally.crossed(name)}: send more --requests")

    met = ", ".join(f"{name} {forward} + {back}" for name in names for forward, back in (tally.crossed(name),))
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
