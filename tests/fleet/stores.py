# SPDX-License-Identifier: MIT
"""Real stores with throw-away data, which the test starts, kills, pauses and starts again."""

import contextlib
import glob
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess

from fleet.processes import demand, launch, wait_for


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class RedisServer:
    """One redis-server, on a socket and where told on a port, too; its data outlives its process."""

    def __init__(self, work, name="redis", port=0, flags=()):
        self.port = port
        self.path = f"{work}/{name}.socket"
        self.log = f"{work}/{name}.log"
        directory = f"{work}/{name}"
        os.mkdir(directory)
        words = f"redis-server --port {port} --unixsocket {self.path} --dir {directory}".split()
        self.words = [*words, "--appendonly", "yes", "--save", "", *flags]
        self.start()

    def start(self):
        self.process = launch(self.words, self.log)
        wait_for("Redis", lambda: self.ask("ping") == "PONG")

    def ask(self, *words):
        """The answer as redis-cli prints it; empty where there is none."""
        words = ["timeout", "2", "redis-cli", "-s", self.path, *words]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    def field(self, section, name):
        """A value of INFO; empty where it has none."""
        found = re.search(rf"^{name}:(.*?)\r?$", self.ask("info", section), re.MULTILINE)
        return found[1] if found else ""

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.kill()


class Redis(RedisServer):
    """One server of our own."""

    def __init__(self, work):
        super().__init__(work)
        self.url = f"redis+unix://{self.path}"

    def url_at(self, port):
        """The same, through a proxy."""
        return f"redis://127.0.0.1:{port}"

    def migrate_further(self):
        """There is no schema in Redis."""

    def fail(self):
        """Dies, and comes back with its data."""
        self.kill()
        self.start()


class Sentinels:
    """A primary, a replica and three sentinels. What is acknowledged by `wait_replicas` survives each failover."""

    def __init__(self, work):
        quick = ("--repl-diskless-sync", "no", "--repl-ping-replica-period", "1")
        first = RedisServer(work, "first", free_port(), quick)
        replica_of = ("--replicaof", "127.0.0.1", str(first.port))
        self.servers = [first, RedisServer(work, "second", free_port(), (*quick, *replica_of))]
        self.sentinels = [self._sentinel(work, f"sentinel-{number}", first.port) for number in range(3)]
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{hosts}/charges?wait_replicas=1"
        self._await_health()

    def _sentinel(self, work, name, primary):
        lines = (
            f"sentinel monitor charges 127.0.0.1 {primary} 2",
            "sentinel down-after-milliseconds charges 500",
            "sentinel failover-timeout charges 2000",
        )
        configuration = pathlib.Path(f"{work}/{name}.conf")
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        sentinel = Sentinel(work, name, configuration)
        periods = "info-period 200 ping-period 200 publish-period 500 ask-period 100 tilt-period 1000"
        demand(sentinel.ask("sentinel", "debug", *periods.split()) == "OK", "a sentinel cannot be hastened")
        return sentinel

    def primary(self):
        """The server that all sentinels name and that says so itself; None while they do not agree."""
        named = {sentinel.ask("sentinel", "get-master-addr-by-name", "charges") for sentinel in self.sentinels}
        for server in self.servers:
            if named == {f"127.0.0.1\n{server.port}"} and server.field("replication", "role") == "master":
                return server
        return None

    def _is_healthy(self):
        primary = self.primary()
        if primary is None:
            return False
        (other,) = (server for server in self.servers if server is not primary)
        linked = other.field("replication", "master_link_status") == "up"
        known = [sentinel.ask("sentinel", "master", "charges").splitlines() for sentinel in self.sentinels]
        values = [dict(zip(lines[::2], lines[1::2])) for lines in known]
        agreed = all((each["flags"], each["num-slaves"], each["num-other-sentinels"]) == ("master", "1", "2") for each in values)
        return linked and agreed and primary.field("replication", "connected_slaves") == "1"

    def _await_health(self):
        wait_for("health of the sentinels", self._is_healthy)

    def _await_successor(self, old):
        wait_for("successor of the primary", lambda: self.primary() not in (None, old))

    def fail(self):
        """The primary dies, and comes back as the replica of its successor."""
        old = self.primary()
        old.kill()
        self._await_successor(old)
        old.start()
        self._await_health()

    def pause(self):
        self.paused = self.primary()
        self.paused.pause()

    def resume(self):
        self.paused.resume()
        self._await_health()

    def stop(self):
        for each in (*self.sentinels, *self.servers):
            each.stop()


class Sentinel(RedisServer):
    """One redis-sentinel."""

    def __init__(self, work, name, configuration):
        self.port = free_port()
        self.path = f"{work}/{name}.socket"
        self.log = f"{work}/{name}.log"
        flags = f"--port {self.port} --unixsocket {self.path} --dir {work} --sentinel"
        self.words = ["redis-server", str(configuration), *flags.split()]
        self.start()


class Cluster:
    """Three primaries with a replica each. What is acknowledged by `wait_replicas` survives each failover."""

    PRIMARIES = 3

    def __init__(self, work):
        flags = "--cluster-enabled yes --cluster-node-timeout 1000 --cluster-allow-replica-migration no --repl-diskless-sync-delay 0"
        self.nodes = []
        for number in range(2 * self.PRIMARIES):
            bus = ("--cluster-port", str(free_port()))
            self.nodes.append(RedisServer(work, f"node-{number}", free_port(), (*flags.split(), *bus)))
        words = ["redis-cli", "--cluster", "create", *(f"127.0.0.1:{node.port}" for node in self.nodes)]
        created = subprocess.run([*words, "--cluster-replicas", "1", "--cluster-yes"], capture_output=True, text=True, check=False)
        demand(created.returncode == 0, f"redis-cli --cluster create: {created.stdout}{created.stderr}")
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[: self.PRIMARIES])
        self.url = f"redis+cluster://{hosts}?wait_replicas=1"
        self.chance = random.Random(len(work))
        self._await_health()

    def _primaries(self):
        return [node for node in self.nodes if node.field("replication", "role") == "master"]

    def _is_healthy(self):
        primaries = self._primaries()
        return (
            len(primaries) == self.PRIMARIES
            and all("cluster_state:ok" in node.ask("cluster", "info") for node in self.nodes)
            and all(node.field("replication", "connected_slaves") == "1" for node in primaries)
            and all(node.field("replication", "master_link_status") in ("", "up") for node in self.nodes)
        )

    def _await_health(self):
        wait_for("health of the cluster", self._is_healthy)

    def fail(self):
        """A primary dies, and comes back as the replica of its successor."""
        old = self.chance.choice(self._primaries())
        others = [node for node in self.nodes if node is not old]
        old.kill()
        wait_for("successor of the primary", lambda: len(self._primaries()) == self.PRIMARIES)
        wait_for("cluster without it", lambda: all("cluster_state:ok" in node.ask("cluster", "info") for node in others))
        old.start()
        self._await_health()

    def pause(self):
        self.paused = self.chance.choice(self._primaries())
        self.paused.pause()

    def resume(self):
        self.paused.resume()
        self._await_health()

    def stop(self):
        for node in self.nodes:
            node.stop()


class Postgres:
    """A server of our own, on a socket; not as root, which it refuses."""

    def __init__(self, work, settings=()):
        self.settings = settings
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
        self.run("initdb", f"--pgdata={self.work}/data", "--auth=trust", "--username=shop", "--encoding=UTF8", "--no-sync")
        self.path = f"{self.work}/.s.PGSQL.5432"
        self.log = f"{work}/postgres.log"
        self.start()

    def start(self):
        settings = ("listen_addresses=", f"unix_socket_directories={self.work}", "dynamic_shared_memory_type=mmap")
        settings += self.settings
        words = [f"{self.programs}/postgres", "-D", f"{self.work}/data", *(f"--{setting}" for setting in settings)]
        # Not KILL, which would leave its shared memory behind.
        self.process = launch(words, self.log, self.user, dies_by="INT")
        wait_for("PostgreSQL", lambda: subprocess.run(["pg_isready", "-q", "-h", self.work], check=False).returncode == 0)

    def url_at(self, port):
        """The same, through a proxy."""
        return f"postgresql://shop@127.0.0.1:{port}/postgres"

    def run(self, program, *flags):
        words = ["setpriv", *self.user, f"{self.programs}/{program}", *flags]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=self.work)
        demand(done.returncode == 0, f"{program}: {done.stdout}{done.stderr}")

    def migrate_further(self):
        """What a later version might do: migrations only add."""
        self.run(
            *("psql", "-h", self.work, "-U", "shop", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-1"),
            *("-c", "ALTER TABLE idempo_records ADD COLUMN of_a_successor text"),
            *("-c", "INSERT INTO idempo_records_migrations (number) VALUES (1000)"),
        )

    def fail(self):
        """Dies at once, as by a crash, and recovers from its log."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        self.start()

    def _signal_all(self, number):
        """To the server and the processes of its sessions."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        for process in (self.process.pid, *map(int, found.stdout.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def pause(self):
        self._signal_all(signal.SIGSTOP)

    def resume(self):
        self._signal_all(signal.SIGCONT)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
