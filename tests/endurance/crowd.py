"""Thousands of light clients in a process of their own: python -m endurance.crowd CLIENTS ROUTES HOLD_TIME

Orders and answers are lines of JSON.  `dial` says to which port they connect from now on, and whether those
that are ended meanwhile were to be; `report` what there is by now, and what happened since the last report.
"""

import gc
import json
import random
import resource
import select
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bgp.testing.hostile.orders import Orders

from .light import Light, Numbers, Phase

# Seconds between two looks at all clients' timers, and until a client dials again.
_TICK, _RETRY = 0.1, 0.25
_ROOT = Path(__file__).parent.parent.parent


def crowd(clients: int, routes: int, hold_time: int) -> Orders:
    """Return the process of so many clients with so many routes each; use it in a `with`."""
    numbers = (str(clients), str(routes), str(hold_time))
    return Orders([sys.executable, "-m", "endurance.crowd", *numbers], environment())


def environment() -> dict[str, str]:
    """Return where modules of the trials are found, whatever the directory."""
    return {"PYTHONPATH": f"{_ROOT}:{_ROOT / 'tests'}"}


def raise_limit() -> None:
    """Have as many open files as there may be."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Crowd:
    """The clients, in one loop."""

    def __init__(self, clients: int, routes: int, hold_time: int) -> None:
        self._numbers = Numbers(clients, routes)
        self._clients = [Light(each, self._numbers, hold_time) for each in range(clients)]
        self._by_descriptor: dict[int, Light] = {}
        self._poll = select.epoll()
        self._poll.register(sys.stdin, select.EPOLLIN)
        self._random = random.Random(0)
        self._port = 0
        self._ended = Counter[str]()
        self._established_at = self._complete_at = 0.0  # when the last one was, of those that are

    def run(self) -> None:
        """Do as told until there are no more orders."""
        ticked = 0.0
        gc.freeze()
        while True:
            for descriptor, event in self._poll.poll(_TICK, 1024):
                if descriptor == sys.stdin.fileno():
                    line = sys.stdin.readline()
                    if not line:
                        return
                    print(json.dumps(self._do(json.loads(line))), flush=True)
                else:
                    self._serve(self._by_descriptor[descriptor], event)
            now = time.monotonic()
            if now >= ticked + _TICK:
                ticked = now
                self._tick(now)

    def _do(self, order: Mapping[str, Any]) -> dict[str, object]:
        if order["do"] == "dial":
            self._port = order["port"]
            return {}
        gap = max(client.gap for client in self._clients)
        for client in self._clients:
            client.gap = 0.0
        ended, self._ended = self._ended, Counter()
        now = time.monotonic()
        return {
            "connected": len(self._by_descriptor),
            "established": sum(client.phase is Phase.ESTABLISHED for client in self._clients),
            "complete": sum(client.complete for client in self._clients),
            "established_for": now - self._established_at,
            "complete_for": now - self._complete_at,
            "silence": gap,
            "ended": ended,
            "wrong": self._numbers.wrong[:10],
        }

    def _tick(self, now: float) -> None:
        for client in self._clients:
            if client.socket is not None:
                if ended := client.tick(now):
                    self._drop(client, ended)
            elif self._port and now >= client.due:
                self._dial(client, now)

    def _dial(self, client: Light, now: float) -> None:
        descriptor = client.dial(self._port, now).fileno()
        self._by_descriptor[descriptor] = client
        self._poll.register(descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _serve(self, client: Light, event: int) -> None:
        if client.socket is None:
            return
        if event & select.EPOLLOUT:
            client.send()
            if not client.unsent:
                self._poll.modify(client.socket, select.EPOLLIN)
        if event & ~select.EPOLLOUT:
            now = time.monotonic()
            phase, complete = client.phase, client.complete
            if ended := client.receive(now):
                self._drop(client, ended)
                return
            if client.phase is not phase:
                self._established_at = now
            if client.complete and not complete:
                self._complete_at = now
            self._flush(client)

    def _flush(self, client: Light) -> None:
        if client.unsent:
            client.send()
            if client.unsent and client.socket is not None:
                self._poll.modify(client.socket, select.EPOLLIN | select.EPOLLOUT)

    def _drop(self, client: Light, ended: str) -> None:
        assert client.socket is not None
        self._ended[f"{client.phase.name.lower()}: {ended}"] += 1
        self._poll.unregister(client.socket)
        del self._by_descriptor[client.socket.fileno()]
        client.hang_up()
        client.due = time.monotonic() + _RETRY * (0.5 + self._random.random())


def main(arguments: Sequence[str]) -> int:
    clients, routes, hold_time = map(int, arguments)
    raise_limit()
    _Crowd(clients, routes, hold_time).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
