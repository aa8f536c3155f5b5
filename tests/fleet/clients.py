# SPDX-License-Identifier: MIT
"""Clients that send each request twice at once, repeat it until they have an answer, and ask for old answers again."""

import collections
import http.client
import itertools
import json
import random
import threading
import time

from fleet.processes import PATIENCE, demand, wait_for

CLIENTS = 8
DELAYS_MS = (0, 5, 20, 60)  # how long handlers take


class Request:
    """What a client sends under a key, and what it was told."""

    def __init__(self, name, chance, delays=DELAYS_MS):
        self.name = name
        self.amount = chance.randrange(1, 1000)
        status = chance.choice((201, 201, 201, 402))
        self.status = status
        self.target = f"/charge?status={status}&delay_ms={chance.choice(delays)}"
        self.target += f"&size={chance.choice((0, 0, 300, 20_000))}"
        self.lock = threading.Lock()
        self.body = None
        self.writer = None  # the build whose handler answered; unknown where that answer was lost
        self.refused_by = []  # the builds that said 409 meanwhile
        self.began = time.monotonic()
        self.clients_done = 0

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

    def crossed(self, name, one, other):
        """Written by one and met by the other, and the other way round."""
        return self.pairs[name][one, other], self.pairs[name][other, one]


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
            try:
                connection = self.post(instance, request, amount)
                answer = connection.getresponse()
                body = answer.read().decode()
            except (http.client.HTTPException, ConnectionError):
                self.hang_up(instance)
                self.tally.add("connections lost")
                time.sleep(0.01)
                return None
        if answer.status == 503:
            self.tally.add("answers 503")
            time.sleep(0.02)
            return None
        self.tally.add("answers")
        return answer.status, answer.headers, body

    def post(self, instance, request, amount):
        """Sends the request; the connection, on which its answer will come."""
        if instance not in self.connections:
            self.connections[instance] = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=PATIENCE)
        connection = self.connections[instance]
        connection.request("POST", request.target, json.dumps({"amount": amount}), request.fields())
        return connection

    def hang_up(self, instance):
        self.connections.pop(instance).close()


class Crowd:
    """Clients in threads, until they are told to stop; then they finish what they have begun.

    `finished(request)` is told when both clients of a request have their answer. Of the requests only the last `keep` are
    known and asked again. Each client rests for `think_time` seconds between two requests.
    """

    def __init__(self, fleet, seed, tally, client_type=Client, finished=lambda request: None, keep=None, think_time=0,
                 delays=DELAYS_MS):
        self.seed, self.tally, self.finished, self.think_time = seed, tally, finished, think_time
        self.delays = delays
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.requests = collections.deque(maxlen=keep)
        self.settled = collections.deque(maxlen=keep)
        self.answered = 0
        self.issued = 0
        self.failure = None
        self.stopping = threading.Event()
        self.given_up = threading.Event()
        clients = [
            client_type(lambda: fleet.instances, tally, random.Random(f"{seed} client {number}")) for number in range(CLIENTS)
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
        goal = self.answered + count
        wait_for("answers", lambda: self.failure or self.answered >= goal)
        self.check()

    def _send(self, client):
        try:
            while not self.stopping.is_set():
                self._step(client)
                time.sleep(self.think_time)
        except Exception as failure:  # told by check()
            self.failure = self.failure or failure
            self.give_up()

    def _step(self, client):
        if self.settled and client.chance.random() < 0.5:
            with self.lock:
                settled = client.chance.choice(self.settled)
            return client.ask_again(settled)
        request = self._next()
        client.until_answered(request, self.given_up)
        with self.lock:
            self.settled.append(request)
            self.answered += 1
            request.clients_done += 1
            if request.clients_done == 2 and not self.given_up.is_set():
                self.finished(request)

    def _next(self):
        """Each request goes to two clients, at the same time."""
        with self.lock:
            number = next(self.numbers)
            if number % 2 == 0:
                self.issued += 1
                self.requests.append(Request(f"request {number // 2}", random.Random(f"{self.seed} {number // 2}"), self.delays))
            return self.requests[-1]
