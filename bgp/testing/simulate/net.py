"""A network in memory: hosts, the ways between them, and what becomes of those.

What crosses a way takes its latency, and arrives in order within a connection as TCP has it.  A way that is
cut keeps what it is given until it is mended, as retransmission would; so does one to a host without power.
What a kernel says once only, a RST, is lost there.  Nothing here knows BGP.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import TYPE_CHECKING, Any

from bgp.testing.simulate.loop import VirtualLoop

if TYPE_CHECKING:
    from bgp.testing.simulate.sockets import ListeningSocket, VirtualSocket

_KEEPALIVE = b"\xff" * 16 + b"\x00\x13\x04"


@dataclass(slots=True)
class Conditions:
    """What a network is like: all times in seconds, all sizes in octets.

    `latency` is the least and the most of a way, which is drawn for each, and `jitter` what may be added to
    each segment.  `buffer` is what a connection holds in each direction.  `chop` is the share of reads and
    writes that move a part only of what they could.  `reorder`: connections are accepted in any order, and
    sockets that are ready at a time have their turn in any order.  `lag` is the share of looks at the clock
    at which a machine has been busy for up to some milliseconds.
    """

    latency: tuple[float, float] = (0.0005, 0.02)
    jitter: float = 0.0
    buffer: int = 1 << 17
    chop: float = 0.0
    reorder: bool = False
    lag: float = 0.0


@dataclass(slots=True)
class Way:
    """One direction between two hosts."""

    latency: float
    cut: bool = False
    held: list[tuple["VirtualSocket | None", Callable[..., None], tuple[Any, ...]]] = field(
        default_factory=list
    )


@dataclass(eq=False, slots=True)
class Host:
    """A machine with its addresses."""

    net: "Net"
    name: str
    address: IPv4Address
    address6: IPv6Address
    chance: Random
    powered: bool = True
    reading: bool = True
    sip: tuple[int, float] | None = None  # read at most so many octets at a time, that many seconds apart
    sockets: dict["VirtualSocket | ListeningSocket", None] = field(default_factory=dict)
    listeners: dict[int, "ListeningSocket"] = field(default_factory=dict)
    ports: int = 32768

    def look(self) -> None:
        """Have all sockets looked at."""
        for sock in self.sockets:
            self.net.loop.look_at(sock)


class Net:
    """All hosts, and the ways between them."""

    def __init__(self, loop: VirtualLoop, seed: int | str, conditions: Conditions | None = None) -> None:
        self.loop = loop
        self.conditions = conditions or Conditions()
        self.seed = seed
        self.chance = Random(f"{seed}/net")
        self.hosts: dict[str, Host] = {}
        self.by_address: dict[str, Host] = {}
        self._ways: dict[tuple[Host, Host], Way] = {}
        self._trace = hashlib.blake2b(digest_size=16)
        self.segments = 0
        self.octets = 0
        # When something other than KEEPALIVEs has arrived last.
        self.stirred = 0.0
        # Who hears of octets that arrive: from, to, which connection, what.
        self.tap: Callable[[VirtualSocket, VirtualSocket, bytes], None] | None = None

    def host(self, name: str) -> Host:
        """Add a host; its addresses follow from the number of those before it."""
        if name in self.hosts:
            raise ValueError(f"name: there is a host {name} already")
        number = len(self.hosts) + 1
        address = IPv4Address(0x0A000000 + number)
        address6 = IPv6Address((0xFD << 120) + number)
        host = Host(self, name, address, address6, Random(f"{self.seed}/{name}"))
        self.hosts[name] = self.by_address[str(address)] = host
        return host

    @property
    def trace(self) -> str:
        """A digest of all that has arrived so far, and when."""
        return self._trace.hexdigest()

    def way(self, source: Host, target: Host) -> Way:
        """Return one direction between two hosts; both have the same latency."""
        way = self._ways.get((source, target))
        if way is None:
            latency = self.chance.uniform(*self.conditions.latency)
            way = self._ways[source, target] = Way(latency)
            self._ways[target, source] = Way(latency)
        return way

    def note(self, source: "VirtualSocket", target: "VirtualSocket", data: bytes) -> None:
        """Count octets that have arrived."""
        now = self.loop.now
        self.segments += 1
        self.octets += len(data)
        if data not in _KEEPALIVE:  # nor a part of one
            self.stirred = now
        self._trace.update(f"{now!r} {source.host.name}>{target.host.name} {len(data)}:".encode())
        self._trace.update(data)
        if self.tap is not None:
            self.tap(source, target, data)

    def arrival(self, way: Way, after: float) -> float:
        """Return when that arrives which is sent now, behind what arrives at `after`."""
        when = self.loop.now + way.latency
        if self.conditions.jitter:
            when += self.chance.random() * self.conditions.jitter
        return max(when, after)

    def carry(
        self,
        source: Host,
        target: Host,
        sender: "VirtualSocket | None",
        what: Callable[..., None],
        *args: Any,
    ) -> None:
        """Let something arrive at `target`, in order behind what `sender` sent before.

        Without a sender it is lost where the way is cut.
        """
        way = self.way(source, target)
        when = self.arrival(way, 0.0 if sender is None else sender.latest)
        if sender is not None:
            sender.latest = when
        self.loop.happen(when, self._cross, way, target, sender, what, args)

    def _cross(
        self,
        way: Way,
        target: Host,
        sender: "VirtualSocket | None",
        what: Callable[..., None],
        args: tuple[Any, ...],
    ) -> None:
        passes = not way.cut and target.powered
        if passes and not (way.held and sender is not None):
            what(*args)
        elif sender is not None:  # behind what is held, too: TCP keeps the order
            way.held.append((sender, what, args))

    def cut(self, source: Host, target: Host) -> None:
        """Let nothing through in this direction."""
        self.way(source, target).cut = True

    def mend(self, source: Host, target: Host) -> None:
        """Let everything through again; what was held arrives soon, but for that of connections aborted."""
        way = self.way(source, target)
        way.cut = False
        self._release(way, target)

    def _release(self, way: Way, target: Host) -> None:
        if way.held:
            # Retransmission comes some time later.
            when = self.loop.now + way.latency + self.chance.random() * 3.0
            self.stirred = max(self.stirred, when)
            self.loop.happen(when, self._retransmit, way, target)

    def _retransmit(self, way: Way, target: Host) -> None:
        if way.cut or not target.powered:
            return
        held, way.held = way.held, []
        for sender, what, args in held:
            if sender is not None and not sender.aborted:
                what(*args)

    def power_off(self, host: Host) -> None:
        """Let a host vanish, with all its connections; nobody is told."""
        host.powered = False
        for sock in list(host.sockets):
            sock.sever()

    def power_on(self, host: Host) -> None:
        """Let a host be there again; what still comes for its former connections is answered with RSTs."""
        host.powered = True
        host.reading, host.sip = True, None
        for (_, target), way in self._ways.items():
            if target is host and not way.cut:
                self._release(way, host)
