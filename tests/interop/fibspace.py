"""Two namespaces with two cables between them, for routes that are really in a kernel.

`near` is where routes are programmed; `far` answers for whatever address is asked for behind it.
"""

import ctypes
import itertools
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import netns
from netns import ip

_SO_RCVBUFFORCE = 33  # beyond net.core.rmem_max, for root

_numbers = itertools.count()
# interface of `near` -> (our IPv4 address, theirs, our IPv6 address, theirs)
CABLES = {
    "one": ("192.0.2.1", "192.0.2.2", "2001:db8:1::1", "2001:db8:1::2"),
    "two": ("198.51.100.1", "198.51.100.2", "2001:db8:2::1", "2001:db8:2::2"),
}


class Space:
    """The two namespaces by name; `ip` runs iproute2 in `near`."""

    def __init__(self) -> None:
        tag = f"{netns.PREFIX}-{os.getpid()}-fib{next(_numbers)}"
        self.near, self.far = f"{tag}-near", f"{tag}-far"

    def ip(self, *arguments: str) -> str:
        return ip("-n", self.near, *arguments)

    def routes(self, version: int = 4, table: str = "main", **where: str) -> list[dict[str, Any]]:
        """Return what iproute2 shows of a table, in its words."""
        chosen = [word for pair in where.items() for word in pair]
        shown = self.ip("-j", f"-{version}", "route", "show", "table", table, *chosen)
        rows: list[dict[str, Any]] = json.loads(shown or "[]")
        return rows

    def plug(self, name: str) -> None:
        """Lay the cable `name`."""
        ours, theirs, ours6, theirs6 = CABLES[name]
        self.ip("link", "add", name, "type", "veth", "peer", name, "netns", self.far)
        for space, four, six in ((self.near, ours, ours6), (self.far, theirs, theirs6)):
            ip("-n", space, "link", "set", name, "up")
            ip("-n", space, "address", "add", f"{four}/24", "dev", name)
            ip("-n", space, "address", "add", f"{six}/64", "dev", name, "nodad")

    def up(self, name: str) -> None:
        """Set the interface up again; the kernel forgot its IPv6 addresses meanwhile."""
        self.ip("link", "set", name, "up")
        self.ip("address", "replace", f"{CABLES[name][2]}/64", "dev", name, "nodad")


@contextmanager
def space() -> Iterator[Space]:
    netns.sweep()
    made = Space()
    try:
        for name in (made.near, made.far):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        made.ip("address", "add", "203.0.113.1/32", "dev", "lo")
        for name in CABLES:
            made.plug(name)
        yield made
    finally:
        for name in (made.near, made.far):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


_library = ctypes.CDLL(None, use_errno=True)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Have this thread, and no other one, in `namespace` for a while."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        assert _library.setns(there.fileno(), 0x40000000) == 0
        try:
            yield
        finally:
            assert _library.setns(home.fileno(), 0x40000000) == 0


def udp(namespace: str, address: tuple[str, int]) -> socket.socket:
    """Return a socket bound in `namespace`."""
    with inside(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(address)
    return made


class Pings:
    """Datagrams at 1 kHz from `near` to `target`, which `far` has; counts what was sent and what arrived."""

    def __init__(self, space: Space, target: str) -> None:
        ip("-n", space.far, "address", "add", f"{target}/32", "dev", "lo")
        self.sent = self.refused = 0
        self.arrived: set[int] = set()
        self._target = target
        self._over, self._all_sent = threading.Event(), threading.Event()
        self._from = udp(space.near, ("203.0.113.1", 0))
        self._to = udp(space.far, (target, 9000))
        self._to.settimeout(0.2)
        # Whoever reads may be kept from it for a second: that is no loss of the network.
        self._to.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        self._threads = [threading.Thread(target=part) for part in (self._send, self._receive)]

    def __enter__(self) -> "Pings":
        for thread in self._threads:
            thread.start()
        return self

    def _send(self) -> None:
        while not self._over.is_set():
            try:
                self._from.sendto(self.sent.to_bytes(4, "big"), (self._target, 9000))
            except OSError:
                self.refused += 1
            self.sent += 1
            time.sleep(0.001)

    def _receive(self) -> None:
        while True:
            try:
                self.arrived.add(int.from_bytes(self._to.recv(100), "big"))
            except TimeoutError:
                if self._all_sent.is_set():
                    return

    def __exit__(self, *_: object) -> None:
        sender, receiver = self._threads
        self._over.set()
        sender.join()
        self._all_sent.set()
        receiver.join()
        self._from.close()
        self._to.close()
