"""Honest clients by the hundred, in a process of their own, whatever happens beside them.

    python -m bgp.testing.hostile.swarm CLIENTS ROUTES HOLD_TIME

It takes orders as JSON lines, and answers each with one: `connect` to a port, `churn` so many announcements a
second, `check` that all tables are what they should be, `report`, `restart` some clients.
"""

import json
import random
import select
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from bgp.testing.hostile.honest import Client, Lost, Reader, Route
from bgp.testing.hostile.orders import Orders

_TURN = 0.05
_RETRY = 0.5
_QUIET = 0.2
_SAMPLES = 20  # the latencies are those that every so manieth client sees
_NAMED = 10


class _Swarm:
    """The clients, in one loop."""

    def __init__(self, clients: int, routes: int, hold_time: int) -> None:
        reader = Reader()
        self._clients = [Client(each, routes, reader, hold_time) for each in range(clients)]
        self._by_descriptor: dict[int, Client] = {}
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._random = random.Random(0)
        self._port = 0
        self._rate = 0.0
        self._next_word = 0.0
        self._med = 0
        self._sent: dict[int, float] = {}
        self._latencies: deque[float] = deque(maxlen=100_000)
        self._forgiven = False  # sessions that end now end by our own or the operator's wish
        self._lost: list[str] = []
        self._ended = 0
        self._changes = 0
        for client in self._clients:
            self._announce(client)

    def run(self) -> None:
        """Do as told until there are no more orders."""
        while True:
            now = time.monotonic()
            for descriptor, event in self._poll.poll(_TURN * 1000):
                if descriptor == sys.stdin.fileno():
                    line = sys.stdin.readline()
                    if not line:
                        return
                    print(json.dumps(self._do(json.loads(line))), flush=True)
                else:
                    self._serve(descriptor, event)
            self._turn(now)

    def _do(self, order: Mapping[str, Any]) -> dict[str, object]:
        match order["do"]:
            case "connect":
                self._port, self._forgiven = order["port"], False
                return {"connected": self._until(self._all_up, order["timeout"])}
            case "forgive":
                self._forgiven = True
                return {}
            case "churn":
                self._rate = order["rate"]
                return {}
            case "restart":
                for client in self._random.sample(self._clients, order["clients"]):
                    self._drop(client, 0.0)
                return {}
            case "check":
                return self._check(order["timeout"])
            case _:
                return self._report()

    # --- what is asked for -------------------------------------------------------------------------------
    def _check(self, timeout: float) -> dict[str, object]:
        """Say nothing more, and wait until every table is what it should be."""
        rate, self._rate = self._rate, 0.0
        good = self._until(lambda: not self._mismatches(1), timeout)
        mismatches = [] if good else self._mismatches(_NAMED)
        self._rate = rate
        return {"good": good, "mismatches": mismatches, **self._report()}

    def _mismatches(self, most: int) -> list[str]:
        """Return what is wrong, the first few things of it."""
        whole: dict[bytes, Route] = {}
        for client in self._clients:
            if client.unsent or not client.established:
                return [f"client {client.number} is not there"]
            whole.update(client.said)
        found = []
        for client in self._clients:
            held = len(client.held) + len(client.said)
            if held != len(whole) or not client.held.items() <= whole.items():
                missing = [
                    each.hex() for each in whole if each not in client.held and each not in client.said
                ]
                wrong = [each.hex() for each, route in client.held.items() if whole.get(each) != route]
                found.append(
                    f"client {client.number}: {len(missing)} missing {missing[:3]}, "
                    f"{len(wrong)} wrong {wrong[:3]}"
                )
                if len(found) == most:
                    break
        return found

    def _report(self) -> dict[str, object]:
        """Return what was seen since the last report."""
        latencies = sorted(self._latencies)
        self._latencies.clear()
        gap = max(client.gap for client in self._clients)
        for client in self._clients:
            client.gap = 0.0
        lost, self._lost = self._lost, []
        changes, self._changes = self._changes, 0
        return {
            "sessions": sum(client.established for client in self._clients),
            "routes": sum(len(client.said) for client in self._clients),
            "lost": lost,
            "ended": self._ended,
            "changes": changes,
            "silence": gap,
            "p50": latencies[len(latencies) // 2] if latencies else 0.0,
            "p99": latencies[len(latencies) * 99 // 100] if latencies else 0.0,
            "most": latencies[-1] if latencies else 0.0,
        }

    # --- what goes on ------------------------------------------------------------------------------------
    def _all_up(self) -> bool:
        return all(client.established for client in self._clients)

    def _until(self, condition: Any, timeout: float) -> bool:
        end = time.monotonic() + timeout
        looked = 0.0
        while True:
            now = time.monotonic()
            if now >= looked:
                if condition():
                    return True
                looked = now + _QUIET
            if now > end:
                return False
            for descriptor, event in self._poll.poll(_TURN * 1000):
                if descriptor != sys.stdin.fileno():
                    self._serve(descriptor, event)
            self._turn(now)

    def _turn(self, now: float) -> None:
        for client in self._clients:
            if client.socket is None:
                if self._port and now >= client.due:
                    self._dial(client, now)
                continue
            client.keep_alive(now)
            self._send(client)
        if self._rate:
            self._next_word = max(self._next_word, now - 1.0)
            while self._next_word <= now:
                self._next_word += 1 / self._rate
                client = self._random.choice(self._clients)
                self._announce(client)
                self._send(client)

    def _announce(self, client: Client) -> None:
        self._med += 1
        one_goes = self._random.random() < 0.3
        client.announce(self._med, self._random.randrange(len(client.own)) if one_goes else -1)
        self._sent[self._med] = time.monotonic()
        self._sent.pop(self._med - 1000, None)

    def _dial(self, client: Client, now: float) -> None:
        client.dial(self._port, now)
        assert client.socket is not None
        self._by_descriptor[client.socket.fileno()] = client
        self._poll.register(client.socket, select.POLLIN | select.POLLOUT)

    def _send(self, client: Client) -> None:
        if client.unsent:
            client.send()
            if client.socket is not None:
                wanted = select.POLLIN | (select.POLLOUT if client.unsent else 0)
                self._poll.modify(client.socket, wanted)

    def _serve(self, descriptor: int, event: int) -> None:
        client = self._by_descriptor.get(descriptor)
        if client is None or client.socket is None:
            return
        if event & select.POLLOUT:
            client.send()
            if not client.unsent:
                self._poll.modify(client.socket, select.POLLIN)
        if not event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            return
        now = time.monotonic()
        news = client.receive(now)
        if isinstance(news, Lost):
            if client.established and not self._forgiven:
                self._lost.append(f"client {client.number}: {news.reason}")
            self._drop(client, now + _RETRY * (0.5 + self._random.random()))
            return
        self._changes += len(news)
        if client.number % _SAMPLES == 0:
            meds = {route.med for _, route in news if route is not None}
            # Of what was said before it came, it is told when it comes.
            self._latencies += [now - at for med in meds if (at := self._sent.get(med, 0.0)) > client.since]
        self._send(client)

    def _drop(self, client: Client, due: float) -> None:
        self._ended += client.established
        if client.socket is not None:
            self._poll.unregister(client.socket)
            del self._by_descriptor[client.socket.fileno()]
        client.hang_up()
        client.due = due


def swarm(clients: int, routes: int, hold_time: int = 30) -> Orders:
    """Return the process of so many clients with so many routes each; use it in a `with`."""
    return Orders([sys.executable, "-m", __name__, str(clients), str(routes), str(hold_time)])


def main(arguments: Sequence[str]) -> int:
    clients, routes, hold_time = map(int, arguments)
    _Swarm(clients, routes, hold_time).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
