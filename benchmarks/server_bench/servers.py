# SPDX-License-Identifier: MIT
"""Throw-away servers: each is started on a port or a socket of its own, and its data goes with it."""

import contextlib
import ctypes
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

_PR_SET_PDEATHSIG = 1
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def _start(words, user=None, cores=None, **how):
    def prepare():
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if cores:
            os.sched_setaffinity(0, cores)

    return subprocess.Popen(words, preexec_fn=prepare, user=user, group=user and pwd.getpwnam(user).pw_gid, **how)


def start_load(words, cores=None):
    """A program that prints its results."""
    return _start(words, cores=cores, stdout=subprocess.PIPE, text=True)


def _stop(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until(condition, what):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} did not start")


def cpu_seconds(pid):
    """Of the process, its threads, the children it has reaped, and the children it has."""

    def stat(of):
        with open(f"/proc/{of}/stat") as file:
            return [int(ticks) for ticks in file.read().rpartition(")")[2].split()[11:15]]

    total = sum(stat(pid))
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += sum(stat(child)[:2])
    return total * _TICK_SECONDS


def machine_cpu_seconds():
    """Of all processes and of the kernel; what a hypervisor took away counts, too."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK_SECONDS


class HttpServer:
    """Any command that prints `listening on http://ADDRESS:PORT`, and answers `GET /charges` with how many it has started."""

    def __init__(self, words, cores=None):
        self._process = _start(words, cores=cores, stdout=subprocess.PIPE, text=True)
        found = re.search(r"http://([\d.]+):(\d+)", self._process.stdout.readline())
        if not found:
            raise RuntimeError(f"{' '.join(words)} did not start")
        self.pid = self._process.pid
        self.host, self.port = found[1], int(found[2])

    def stop(self):
        _stop(self._process)


class Redis:
    """As docs/redis.md wants it: no eviction, and an append-only file that is flushed before each answer."""

    def __init__(self):
        self._directory = tempfile.mkdtemp(prefix="server_bench-redis-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._process = _start(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", self._directory, "--save", "",
             "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL)
        self.pid = self._process.pid
        self.url = f"redis://127.0.0.1:{port}"
        _wait_until(lambda: self._listens(port), "redis-server")

    @staticmethod
    def _listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def stop(self):
        _stop(self._process)
        shutil.rmtree(self._directory, ignore_errors=True)


class Postgres:
    """With its own defaults: every commit is flushed."""

    def __init__(self):
        programs = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to be root
        self._directory = tempfile.mkdtemp(prefix="server_bench-postgres-")
        if user:
            shutil.chown(self._directory, user, user)
        data = f"{self._directory}/data"
        initdb = _start([f"{programs}/initdb", "--pgdata", data, "--auth=trust", "--username=bench", "--no-sync"],
                        user, stdout=subprocess.DEVNULL)
        if initdb.wait() != 0:
            raise RuntimeError("initdb failed")
        self._process = _start(
            [f"{programs}/postgres", "-D", data, "-c", "listen_addresses=", "-c", "log_min_messages=fatal",
             "-c", f"unix_socket_directories={self._directory}"],
            user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self._process.pid
        self.url = f"postgresql:///postgres?host={self._directory}&user=bench"
        ready = [f"{programs}/pg_isready", "-q", "-h", self._directory]
        _wait_until(lambda: subprocess.run(ready).returncode == 0, "postgres")

    def stop(self):
        _stop(self._process, signal.SIGINT)
        shutil.rmtree(self._directory, ignore_errors=True)
