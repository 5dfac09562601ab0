"""Routers of ours in namespaces of their own, joined by cables: speakers with FIBs, and real packets.

All of it is in the test's process.  A socket belongs to the namespace that its thread was in when it was
made, so a speaker is given a world whose sockets are made there, and its FIB opens the namespace by itself.
"""

import contextlib
import ctypes
import itertools
import json
import os
import random
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import netns
from netns import ip

from bgp import DecisionOptions, Peer, PeerOptions, Speaker
from bgp.aio.address import Endpoint
from bgp.aio.interfaces import InterfaceAddress, interface_addresses
from bgp.aio.sockopt import bound_socket, dialing_socket
from fib.follow import KernelFib

T = TypeVar("T")
_numbers = itertools.count()
_CLONE_NEWNET = 0x40000000
_DONT_FRAGMENT = 2  # IP_PMTUDISC_DO
PORT = 9000


def within(namespace: str, function: Callable[..., T], *arguments: object) -> T:
    """Return what `function` returns in `namespace`."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with open(f"/run/netns/{namespace}") as handle:
                assert ctypes.CDLL(None).setns(handle.fileno(), _CLONE_NEWNET) == 0
            found.append(function(*arguments))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


@dataclass(frozen=True)
class Inside:
    """The world of a speaker that lives in a namespace."""

    namespace: str

    def listening(self, endpoint: Endpoint) -> socket.socket:
        return within(self.namespace, bound_socket, endpoint)

    def dialing(self, family: socket.AddressFamily, source: Endpoint | None) -> socket.socket:
        return within(self.namespace, dialing_socket, family, source)

    def addresses(self) -> Sequence[InterfaceAddress]:
        return within(self.namespace, interface_addresses)

    def interface(self, index: int) -> str:
        return within(self.namespace, socket.if_indextoname, index)

    def random(self) -> float:
        return random.random()


@dataclass
class Host:
    """A namespace, and what is done in it."""

    name: str
    namespace: str
    number: int
    interfaces: list[str] = field(default_factory=list)

    def ip(self, *arguments: str) -> str:
        return ip("-n", self.namespace, *arguments)

    def shell(self, command: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.namespace, "sh", "-c", command], check=True)

    def route(self, prefix: str) -> list[dict[str, Any]]:
        """Return what iproute2 shows of a prefix."""
        version = "-6" if ":" in prefix else "-4"
        rows: list[dict[str, Any]] = json.loads(
            self.ip("-j", version, "route", "show", "exact", prefix) or "[]"
        )
        return rows

    def gateways(self, prefix: str) -> set[tuple[str, str]]:
        """Return gateway and interface of each leg of our route to a prefix."""
        legs = set()
        for row in self.route(prefix):
            for leg in row.get("nexthops", [row]):
                via = leg.get("gateway") or leg.get("via", {}).get("host", "")
                legs.add((via, leg.get("dev", "")))
        return legs

    def link_local(self, device: str) -> tuple[str, int]:
        """Return the link-local address of an interface, and its index."""
        (row,) = json.loads(self.ip("-j", "-6", "address", "show", "dev", device, "scope", "link"))
        return row["addr_info"][0]["local"], row["ifindex"]

    def address(self, *addresses: str) -> None:
        """Have addresses on the loopback interface."""
        for one in addresses:
            self.ip("address", "add", one, "dev", "lo")


class Net:
    """Hosts by name; `cable` joins two of them."""

    def __init__(self, *names: str) -> None:
        tag = f"{netns.PREFIX}-{os.getpid()}-net{next(_numbers)}"
        self.hosts = {name: Host(name, f"{tag}-{name}", number) for number, name in enumerate(names, 1)}

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def cable(self, one: str, other: str, *subnets: tuple[str, str]) -> None:
        """Join two hosts by interfaces named after the other's name, with pairs of addresses."""
        a, b = self[one], self[other]
        a.ip("link", "add", f"to-{other}", "type", "veth", "peer", f"to-{one}", "netns", b.namespace)
        for host, device in ((a, f"to-{other}"), (b, f"to-{one}")):
            host.interfaces.append(device)
            host.ip("link", "set", device, "up")
        for ours, theirs in subnets:
            for host, device, address in ((a, f"to-{other}", ours), (b, f"to-{one}", theirs)):
                more = ["nodad"] if ":" in address else []
                host.ip("address", "add", address, "dev", device, *more)


@contextmanager
def net(*names: str) -> Iterator[Net]:
    netns.sweep()
    made = Net(*names)
    try:
        for host in made.hosts.values():
            ip("netns", "add", host.namespace)
            host.ip("link", "set", "lo", "up")
            # Packets pass through, and an address is usable at once.
            host.shell(
                "for s in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$s; done;"
                "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad;"
                "echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad;"
                "echo 1 > /proc/sys/net/ipv4/fib_multipath_hash_policy;"
                "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter;"
                "echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter"
            )
        yield made
    finally:
        for host in made.hosts.values():
            subprocess.run(["ip", "netns", "delete", host.namespace], capture_output=True, check=False)


@dataclass
class Router:
    """A speaker of ours in a host, with its FIB."""

    host: Host
    speaker: Speaker
    fib: KernelFib
    peers: list[Peer] = field(default_factory=list)

    def peer(self, address: str, asn: int, **options: Any) -> Peer:
        made = self.speaker.add_peer(
            PeerOptions(address=address, asn=asn, connect_retry_time=0.5, idle_hold_time=0.2, **options)
        )
        self.peers.append(made)
        return made


class Routers:
    """Makes routers, all of which end with it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def router(
        self,
        host: Host,
        asn: int,
        *,
        paths: int = 1,
        listen: Sequence[str] = ("0.0.0.0:179", "[::]:179"),
        **options: Any,
    ) -> Router:
        speaker = Speaker(
            asn=asn,
            router_id=f"192.0.2.{host.number}",
            listen=listen,
            world=Inside(host.namespace),
            stop_timeout=0.5,
            decision=DecisionOptions(
                maximum_paths_external=paths, maximum_paths_internal=paths, multipath_relax=True
            ),
        )
        await self._stack.enter_async_context(speaker)
        fib = await self._stack.enter_async_context(KernelFib(speaker, netns=host.namespace, **options))
        return Router(host, speaker, fib)


@asynccontextmanager
async def routers() -> AsyncIterator[Routers]:
    async with AsyncExitStack() as stack:
        yield Routers(stack)


# --- Real packets -------------------------------------------------------------------------------------


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _socket(address: str, port: int, whole: bool = False) -> socket.socket:
    made = socket.socket(_family(address), socket.SOCK_DGRAM)
    if whole:
        made.setsockopt(socket.IPPROTO_IP, 10, _DONT_FRAGMENT)  # IP_MTU_DISCOVER
    made.bind((address, port))
    made.settimeout(0.3)
    return made


class Echo:
    """Sends back each datagram that comes to an address; `heard` counts them by their sender's port."""

    def __init__(self, host: Host, address: str) -> None:
        self.heard: dict[int, int] = {}
        self.longest = 0
        self._socket = within(host.namespace, _socket, address, PORT)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Echo":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                data, sender = self._socket.recvfrom(65536)
                self.heard[sender[1]] = self.heard.get(sender[1], 0) + 1
                self.longest = max(self.longest, len(data))
                self._socket.sendto(data, sender)


def ping(
    host: Host,
    source: str,
    target: str,
    *,
    flows: int = 1,
    size: int = 56,
    whole: bool = False,
    wait: float = 5,
) -> int:
    """Return how many datagrams of `flows` came back from the echo at `target`; OSError where one is refused.

    `whole`: they must not be fragmented.  Each is waited for `wait` seconds, on a busy machine, too.
    """
    came = 0
    for _ in range(flows):
        with within(host.namespace, _socket, source, 0, whole) as made:
            made.settimeout(wait)
            made.sendto(bytes(size), (target, PORT))
            with contextlib.suppress(TimeoutError):
                came += len(made.recv(65536)) == size
    return came


def received(host: Host, interface: str) -> int:
    """Return how many packets came in by an interface."""
    shown = json.loads(host.ip("-j", "-s", "link", "show", "dev", interface))
    return int(shown[0]["stats64"]["rx"]["packets"])
