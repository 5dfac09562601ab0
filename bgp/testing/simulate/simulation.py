"""A design of speakers, and its life in virtual time: what users of the simulator deal with.

Nodes are whole speakers: `Speaker`, its router and its connections are those of the product, and differ in
nothing but in that the event loop's clock jumps and that sockets come from a network in memory.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any, TypeVar, Unpack

from bgp.aio.events import EventKind, PeerEvent
from bgp.aio.options import PeerOptions
from bgp.aio.peer import Peer
from bgp.family import FAMILIES
from bgp.iana import MessageType
from bgp.session.event import State
from bgp.speaker import Speaker
from bgp.testing.simulate.loop import VirtualLoop
from bgp.testing.simulate.net import Conditions, Host, Net
from bgp.testing.simulate.world import Machine
from bgp.wire.given import RouteAttributes

T = TypeVar("T")

# How long a busy machine may take over something between two looks at the clock.
_BUSY = 0.008


class NotQuiet(AssertionError):
    """The network has not come to rest; the text says who is still missing or still talking."""


class Node:
    """A speaker of the simulation, whether it runs or not."""

    def __init__(self, simulation: "Simulation", name: str, asn: int, options: dict[str, Any]) -> None:
        self.name = name
        self.asn = asn
        self.host: Host = simulation.net.host(name)
        self.router_id = int(options.pop("router_id", self.host.address))
        self.options = options
        # What it says about each of its neighbors, and what it originates: both survive a restart.
        self.neighbors: dict[str, PeerOptions] = {}
        self.routes: dict[str, RouteAttributes] = {}
        self.speaker: Speaker | None = None
        self.peers: dict[str, Peer] = {}
        self._simulation = simulation
        self._told_before = 0  # UPDATEs, by those that ran before

    @property
    def address(self) -> str:
        """Where it is met."""
        return str(self.host.address)

    @property
    def running(self) -> bool:
        """Whether there is a speaker."""
        return self.speaker is not None

    @property
    def updates(self) -> int:
        """How many UPDATEs it has sent so far."""
        peers = () if self.speaker is None else self.speaker.peers
        return self._told_before + sum(peer.traffic.sent[MessageType.UPDATE] for peer in peers)

    def announce(self, prefix: str, **attributes: Unpack[RouteAttributes]) -> None:
        """Originate a route, now and after each restart."""
        self.routes[prefix] = attributes
        if self.speaker is not None:
            self.speaker.announce(prefix, **attributes)

    def withdraw(self, prefix: str) -> None:
        """Originate it no more."""
        del self.routes[prefix]
        if self.speaker is not None:
            self.speaker.withdraw(prefix)

    async def start(self, *, restarted: bool = False) -> None:
        """Run; `restarted` peers are told so, and that packets were forwarded meanwhile (RFC 4724)."""
        if self.speaker is not None:
            return
        simulation = self._simulation
        if not self.host.powered:
            simulation.net.power_on(self.host)
        self.host.reading, self.host.sip = True, None
        speaker = Speaker(
            asn=self.asn,
            router_id=self.router_id,
            listen=[self.address],
            on_event=self._heard,
            world=Machine(self.host),
            restarted=restarted,
            **self.options,
        )
        if restarted:
            speaker.preserved = FAMILIES
        self.peers = {name: speaker.add_peer(options) for name, options in self.neighbors.items()}
        for prefix, attributes in self.routes.items():
            speaker.announce(prefix, **attributes)
        self.speaker = speaker
        await speaker.start()

    async def stop(self, communication: str = "", *, restart: bool = False) -> None:
        """End in order, for good or for a `restart` over which peers may keep our routes."""
        await self._end(communication, None, restart=restart)

    async def kill(self) -> None:
        """End the process: its kernel closes what was open."""
        for sock in list(self.host.sockets):
            sock.die()
        await self._end("", 0.0)

    async def power_off(self) -> None:
        """Vanish: nobody is told."""
        self._simulation.net.power_off(self.host)
        await self._end("", 0.0)

    async def _end(self, communication: str, timeout: float | None, *, restart: bool = False) -> None:
        speaker, self.speaker = self.speaker, None
        if speaker is not None:
            await speaker.stop(communication, timeout, restart=restart)
            told = sum(peer.traffic.sent[MessageType.UPDATE] for peer in speaker.peers)
            self._told_before += told

    def _heard(self, event: PeerEvent) -> None:
        established = State.ESTABLISHED in (event.state, event.previous)
        if event.peer is None or not established:
            return
        if event.kind is EventKind.STATE and event.state is State.ESTABLISHED:
            self._simulation.note(f"{self.name} has a session with {event.peer.name}")
        elif event.kind is EventKind.DOWN:
            self._simulation.note(f"{self.name} has lost its session with {event.peer.name}: {event.text}")


class Simulation:
    """Nodes, their sessions, and the network between them; the same `seed` gives the same life."""

    def __init__(self, seed: int | str = 0, conditions: Conditions | None = None) -> None:
        self.conditions = conditions or Conditions()
        self._chance = Random(f"{seed}/loop")
        # What it lacks of the abstract class it does not have.
        self.loop = VirtualLoop(  # type: ignore[abstract]
            self._lag if self.conditions.lag else None,
            self._chance.shuffle if self.conditions.reorder else None,
        )
        self.net = Net(self.loop, seed, self.conditions)
        self.nodes: dict[str, Node] = {}
        self.sessions: list[tuple[str, str]] = []
        # What happened, by the time: sessions that came and went, and what was noted.
        self.log: list[tuple[float, str]] = []

    # --- the design ------------------------------------------------------------------------------------
    def node(self, name: str, asn: int, **options: Any) -> Node:
        """Add a node; the options are those of `Speaker`."""
        node = self.nodes[name] = Node(self, name, asn, options)
        return node

    def session(
        self, one: str, other: str, ones: dict[str, Any] | None = None, others: dict[str, Any] | None = None
    ) -> None:
        """Let two nodes be neighbors.

        `ones` and `others` are options of `PeerOptions`: what the node says about its neighbor, so
        `ones={"client": True}` makes the other a client of the one.
        """
        for node, peer, options in (
            (self.nodes[one], self.nodes[other], ones),
            (self.nodes[other], self.nodes[one], others),
        ):
            given = {"name": peer.name, "address": peer.address, "asn": peer.asn, **(options or {})}
            node.neighbors[peer.name] = PeerOptions(**given)
        self.sessions.append((one, other))

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    # --- its life --------------------------------------------------------------------------------------
    def run(self, life: Callable[["Simulation"], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in virtual time, and return what it returns; for once only.

        Meanwhile the cyclic collector is off: it would look at all that thousands of speakers hold again and
        again, and what they give up is freed without it.
        """
        collecting = gc.isenabled()
        gc.disable()
        try:
            found: T = self.loop.run_until_complete(life(self))
        finally:
            self.loop.close()
            if collecting:
                gc.enable()
        return found

    @property
    def time(self) -> float:
        """Seconds since the beginning."""
        return self.loop.now

    def note(self, text: str) -> None:
        """Write something into the log."""
        self.log.append((self.time, text))

    async def start(self) -> None:
        """Let all nodes run."""
        for node in self:
            await node.start()

    async def stop(self) -> None:
        """End all nodes in order, at once."""
        await asyncio.gather(*(node.stop() for node in self))

    async def until(self, time: float) -> None:
        """Wait until that time."""
        await asyncio.sleep(max(0.0, time - self.time))

    async def quiet(self, calm: float = 3.0, limit: float = 600.0) -> float:
        """Wait until all sessions are there and nothing but KEEPALIVEs arrived for `calm` seconds.

        Return when the last other thing arrived; raise NotQuiet after `limit` seconds.
        """
        end = self.time + limit
        while True:
            await asyncio.sleep(calm / 2)
            missing = self.missing()
            silent = self.time - self.net.stirred
            if not missing and silent >= calm and self._resting():
                return self.net.stirred
            if self.time > end:
                what = (
                    "still UPDATEs"
                    if not missing
                    else "no session " + ", ".join(f"{one} - {other}" for one, other in missing[:5])
                )
                raise NotQuiet(f"not at rest after {limit:.0f} s: {what}")

    def missing(self) -> list[tuple[str, str]]:
        """Return the sessions that should be there between nodes that run, and are not."""
        nodes, found = self.nodes, []
        for one, other in self.sessions:
            left, right = nodes[one], nodes[other]
            if left.speaker is None or right.speaker is None:
                continue
            if left.peers[other].member is None or right.peers[one].member is None:
                found.append((one, other))
        return found

    @property
    def updates(self) -> int:
        """How many UPDATEs all have sent so far."""
        return sum(node.updates for node in self)

    # --- what befalls connections ------------------------------------------------------------------------
    def reset(self, one: str, other: str) -> None:
        """End all connections between two nodes with a RST to either side."""
        for sock in self._between(one, other):
            sock.reset()

    def finish(self, one: str, other: str) -> None:
        """Let the first of two nodes believe that the other one has closed their connections."""
        for sock in self._between(one, other):
            if sock.host.name == one:
                sock.finish()

    def cut(self, one: str, other: str) -> None:
        """Let nothing through from one node to another, and tell nobody."""
        self.net.cut(self[one].host, self[other].host)

    def mend(self, one: str, other: str) -> None:
        """Let everything through again."""
        self.net.mend(self[one].host, self[other].host)

    def freeze(self, name: str, frozen: bool = True) -> None:
        """Let a node read nothing, or again."""
        host = self[name].host
        host.reading = not frozen
        host.look()

    def slow(self, name: str, octets: int, pause: float) -> None:
        """Let a node read at most so many octets at a time, with pauses; with 0 octets as fast as ever."""
        host = self[name].host
        host.sip = (octets, pause) if octets else None
        host.look()

    # --- internals -------------------------------------------------------------------------------------
    def _between(self, one: str, other: str) -> list[Any]:
        ends = {one, other}
        return [
            sock
            for name in (one, other)
            for sock in list(self[name].host.sockets)
            if sock.other is not None and {name, sock.other.host.name} == ends
        ]

    def _resting(self) -> bool:
        return all(node.speaker is None or node.speaker.router.resting for node in self)

    def _lag(self) -> float:
        if self._chance.random() < self.conditions.lag:
            return self._chance.random() * _BUSY
        return 0.0
