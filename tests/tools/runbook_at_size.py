# SPDX-License-Identifier: MIT
"""Times each command of docs/runbook.md on a store that is full, beside a server at work.

usage: runbook_at_size.py CHARGE_SERVER IDEMPOCTL [--postgresql N] [--redis N] [--within SECONDS] [--rate N]

Fills a PostgreSQL of its own and a Redis of its own with N records each, copies of the record of a real charge under
keys of their own: among them 40 whose lease has ended, 40 parked, and 40 completed by their second attempt. Then it
runs the commands of the page as they stand there, while clients send new charges, a given number a second, and prints
what each command took and what the server took meanwhile. It fails where a command fails, or takes longer than
`--within`.
"""

import argparse
import hashlib
import http.client
import math
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from fleet.processes import Failure, demand
from fleet.servers import Instance, migrate
from fleet.stores import Postgres, Redis

NAMESPACE, CALLER = "charges", "acct_7"
# So many of each kind that is not an answer of a first attempt: fewer than a command lists, so that it looks at all.
RARE = 40
# What a command of the page needs to find under its key.
FOUND = {"release": "parked", "settle": "parked", "hold": "ended"}
DAY = 24 * 3600 * 1000


def part(text):
    data = text.encode()
    demand(len(data) < 128, "a part is short here")
    return bytes([len(data)]) + data


def store_key(key):
    """docs/digests.md, "What is stable"."""
    return hashlib.sha256(part(NAMESPACE) + part(CALLER) + part(key)).digest()


def runbook():
    """The commands of the page, in its order."""
    page = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]


def kind_of(number, count):
    return {1: "ended", 2: "parked", 3: "second"}.get(number % (count // RARE), "completed")


def charge(port, key):
    """Sends a charge; how long it took, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    fields = {"Idempotency-Key": f'"{key}"', "Content-Type": "application/json"}
    began = time.monotonic()
    connection.request("POST", "/charge?size=300", b'{"amount":4200,"currency":"eur"}', fields)
    status = connection.getresponse().status
    connection.close()
    demand(status == 201, f"a charge was answered {status}")
    return (time.monotonic() - began) * 1000


class FullPostgres:
    name = "PostgreSQL"

    def __init__(self, work):
        # Nothing here has to last; the rest is what an operator of a large table sets.
        settings = ("fsync=off", "max_wal_size=8GB", "shared_buffers=1GB", "maintenance_work_mem=1GB")
        self.server = Postgres(work, (*settings, "track_commit_timestamp=on"))
        self.url = self.server.url

    def ask(self, text):
        self.server.run("psql", "-h", self.server.work, "-U", "shop", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", text)

    def fill(self, count):
        self.ask("ALTER TABLE idempo_records DROP CONSTRAINT idempo_records_pkey")
        batch = 250_000  # a transaction each, as there are many in a table that has grown
        for first in range(0, count, batch):
            self.ask(f"""
                INSERT INTO idempo_records (key, token, fingerprint, attempt, lease_until, expires_at, response, parked)
                SELECT
                    sha256(int8send(number)), substr(sha256(int8send(number)), 1, 16), fingerprint,
                    CASE WHEN number % {count // RARE} = 3 THEN 2 ELSE 1 END,
                    now() - interval '1 minute', now() + interval '1 day' + number % 86400 * interval '1 second',
                    CASE WHEN number % {count // RARE} NOT IN (1, 2) THEN response END,
                    CASE WHEN number % {count // RARE} = 2 THEN 'the bank did not answer'::bytea END
                FROM generate_series({first}, {min(first + batch, count) - 1}) AS number,
                    (SELECT fingerprint, response FROM idempo_records WHERE response IS NOT NULL LIMIT 1) AS sample""")
        self.ask("ALTER TABLE idempo_records ADD PRIMARY KEY (key)")
        self.ask("VACUUM ANALYZE idempo_records")

    def put(self, key, kind):
        response = "response" if kind == "completed" else "NULL"
        parked = "'the bank did not answer'::bytea" if kind == "parked" else "NULL"
        self.ask(f"""
            INSERT INTO idempo_records (key, token, fingerprint, attempt, lease_until, expires_at, response, parked)
            SELECT '\\x{store_key(key).hex()}', token, fingerprint, 1, now(), now() + interval '1 day', {response}, {parked}
            FROM idempo_records WHERE response IS NOT NULL LIMIT 1""")

    def stop(self):
        self.server.stop()


class FullRedis:
    name = "Redis"

    def __init__(self, work):
        self.server = Redis(work)
        self.url = self.server.url
        self.cli = ["redis-cli", "-s", self.url.removeprefix("redis+unix://")]

    def ask(self, *words):
        return subprocess.run([*self.cli, *words], capture_output=True, check=True).stdout

    def sample(self):
        """The prefix of the keys, and the value of a completed record."""
        for key in self.ask("--scan").splitlines():
            found = re.fullmatch(rb"(.*?)([0-9a-f]{64})", key)
            value = found and self.ask("GET", key.decode())[:-1]
            if value and value[4:8] == b"done":
                return found[1], value
        raise Failure("there is no completed record to copy")

    @staticmethod
    def value(sample, kind):
        """The record in redis/operations/record.hpp."""
        if kind == "completed":
            return sample
        fields = struct.pack(">I", 2 if kind == "second" else 1) + struct.pack(">qq", 0, DAY)
        reason = b"the bank did not answer"
        body = {"ended": b"", "parked": struct.pack(">H", len(reason)) + reason, "second": sample[84:]}[kind]
        state = {"ended": b"open", "parked": b"park", "second": b"done"}[kind]
        header = sample[:4] + state + sample[8:56] + fields + struct.pack(">I", len(body))
        total = sum(struct.unpack(">20I", header)) % 2**32
        return header + struct.pack(">I", total) + body

    def load(self, records):
        prefix, sample = self.sample()
        values = {kind: self.value(sample, kind) for kind in ("completed", "ended", "parked", "second")}
        with subprocess.Popen([*self.cli, "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pipe:
            for digest, kind in records:
                words = (b"SET", prefix + digest.hex().encode(), values[kind], b"PX", str(DAY).encode())
                pipe.stdin.write(b"*5\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
            told = pipe.communicate()[0]
        demand(b"errors: 0," in told, f"redis-cli --pipe: {told.decode()}")

    def fill(self, count):
        self.load((hashlib.sha256(struct.pack(">q", number)).digest(), kind_of(number, count)) for number in range(count))

    def put(self, key, kind):
        self.load([(store_key(key), kind)])

    def stop(self):
        self.server.stop()


class Load:
    """Clients that send new charges, and what these took."""

    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.ends = threading.Event()
        self.took = []
        self.lock = threading.Lock()
        self.failure = None
        self.threads = [threading.Thread(target=self._run, args=(client,)) for client in range(4)]
        for thread in self.threads:
            thread.start()

    def _run(self, client):
        number = 0
        while not self.ends.wait(4 / self.rate):
            number += 1
            try:
                took = charge(self.port, f"load-{client}-{number}")
            except (OSError, Failure) as failure:
                self.failure = failure
                return
            with self.lock:
                self.took.append(took)

    def p99(self):
        """Since it was last asked."""
        with self.lock:
            took, self.took = sorted(self.took), []
        return f"{took[math.ceil(len(took) * 0.99) - 1]:.0f} ms of {len(took)}" if took else "no charge"

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        demand(self.failure is None, f"a charge failed: {self.failure}")


def time_commands(store, server, flags):
    # What the commands of the page are about.
    commands = runbook()
    kinds = [next((FOUND[word] for word in command.split() if word in FOUND), "completed") for command in commands]
    for number, kind in enumerate(kinds):
        store.put(f"key-{number}", kind)
    load = Load(server.port, flags.rate)
    time.sleep(3)
    print(f"{'(no command)':<72}{'':>8}   {load.p99()}", flush=True)
    slow = []
    for number, command in enumerate(commands):
        digits = store_key(f"key-{number}").hex()[:8]
        variables = os.environ | {"IDEMPO_URL": store.url, "KEY": f"key-{number}", "DIGITS": digits}
        words = command.replace("idempoctl", f"'{flags.idempoctl}' --yes", 1)
        began = time.monotonic()
        done = subprocess.run(words, shell=True, env=variables, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        print(f"{command[:70]:<72}{took:>6.2f} s   {load.p99()}", flush=True)
        demand(done.returncode == 0, f"{command}: {done.stdout[-500:]}{done.stderr}")
        if took > flags.within:
            slow.append(command)
    load.stop()
    demand(not slow, f"longer than {flags.within:.0f} s: {'; '.join(slow)}")


def run(kind, count, flags):
    work = tempfile.mkdtemp(prefix="runbook-", dir=flags.directory)
    store = server = None
    try:
        store = kind(work)
        migrate(flags.charge_server, store.url)
        server = Instance("this", flags.charge_server, store.url, work, "30s")
        charge(server.port, "a real one")
        began = time.monotonic()
        store.fill(count)
        print(f"\n{store.name}: {count} records, made in {time.monotonic() - began:.0f} s", flush=True)
        print(f"{'command':<72}{'took':>8}   p99 of charges meanwhile", flush=True)
        time_commands(store, server, flags)
    finally:
        if server:
            server.kill()
        if store:
            store.stop()
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("charge_server")
    parser.add_argument("idempoctl")
    parser.add_argument("--postgresql", type=int, default=20_000, metavar="N")
    parser.add_argument("--redis", type=int, default=20_000, metavar="N")
    parser.add_argument("--within", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--rate", type=float, default=100, metavar="N", help="charges a second")
    parser.add_argument("--directory", help="where the servers have their data")
    flags = parser.parse_args()
    if any(0 < count < 10 * RARE for count in (flags.postgresql, flags.redis)):
        parser.error(f"at least {10 * RARE} records")
    try:
        if flags.postgresql:
            run(FullPostgres, flags.postgresql, flags)
        if flags.redis:
            run(FullRedis, flags.redis, flags)
    except Failure as failure:
        sys.exit(f"FAIL: {failure}")


if __name__ == "__main__":
    main()
