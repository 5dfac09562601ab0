"""What befalls a simulated network: changes of routes and faults, each a value that happens and has words."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Protocol

from bgp.testing.simulate.design import Design, Offer, Prefix
from bgp.testing.simulate.simulation import Node, Simulation


class Happening(Protocol):
    """Something that happens at a time, and may take some; `kind` is for counting."""

    kind: ClassVar[str]

    @property
    def at(self) -> float:
        """When, in seconds."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whom it is about."""

    def words(self) -> str:
        """Say it, as a clause without the time."""

    async def happen(self, simulation: Simulation) -> None:
        """Let it happen, and pass."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A node originates a prefix, perhaps with other attributes than before."""

    kind: ClassVar[str] = "routes announced"
    at: float
    node: str
    prefix: Prefix
    offer: Offer

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.node,)

    def words(self) -> str:
        told = [] if self.offer.local_pref is None else [f"LOCAL_PREF {self.offer.local_pref}"]
        told += [f"ORIGIN {self.offer.origin}"] if self.offer.origin else []
        told += [f"community {community:#x}" for community in self.offer.communities]
        return f"{self.node} announces {self.prefix}" + (f" with {', '.join(told)}" if told else "")

    async def happen(self, simulation: Simulation) -> None:
        announce(simulation[self.node], self.prefix, self.offer)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A node originates a prefix no more."""

    kind: ClassVar[str] = "routes withdrawn"
    at: float
    node: str
    prefix: Prefix

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.node,)

    def words(self) -> str:
        return f"{self.node} withdraws {self.prefix}"

    async def happen(self, simulation: Simulation) -> None:
        if self.prefix in simulation[self.node].routes:
            simulation[self.node].withdraw(self.prefix)


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection is lost: by a RST to both ends, by a FIN to one, or by an operator's Cease."""

    kind: ClassVar[str] = "connections lost"
    at: float
    one: str
    other: str
    how: str

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.one, self.other

    def words(self) -> str:
        if self.how == "cease":
            return f"an operator resets the session of {self.one} with {self.other}"
        return f"{self.one} loses its connection to {self.other} by a {self.how}"

    async def happen(self, simulation: Simulation) -> None:
        if self.how == "RST":
            simulation.reset(self.one, self.other)
        elif self.how == "FIN":
            simulation.finish(self.one, self.other)
        elif simulation[self.one].running:
            simulation[self.one].peers[self.other].reset("a change")


@dataclass(frozen=True, slots=True)
class Collided:
    """Both ends of a session begin anew at the same moment, and so dial each other."""

    kind: ClassVar[str] = "simultaneous connects"
    at: float
    one: str
    other: str

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.one, self.other

    def words(self) -> str:
        return f"{self.one} and {self.other} begin anew with each other at the same moment"

    async def happen(self, simulation: Simulation) -> None:
        for me, peer in ((self.one, self.other), (self.other, self.one)):
            if simulation[me].running:
                simulation[me].peers[peer].stop()
                simulation[me].peers[peer].start()


@dataclass(frozen=True, slots=True)
class Asked:
    """A node asks a neighbor for its routes again."""

    kind: ClassVar[str] = "refreshes"
    at: float
    one: str
    other: str

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.one, self.other

    def words(self) -> str:
        return f"{self.one} asks {self.other} for its routes again"

    async def happen(self, simulation: Simulation) -> None:
        if simulation[self.one].running:
            simulation[self.one].peers[self.other].request_refresh()


@dataclass(frozen=True, slots=True)
class Cut:
    """Nothing gets through between two nodes for a while, in one direction or in both; nobody is told."""

    kind: ClassVar[str] = "half-open connections"
    at: float
    one: str
    other: str
    seconds: float
    both: bool

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.one, self.other

    def words(self) -> str:
        if self.both:
            return f"nothing gets through between {self.one} and {self.other} for {self.seconds:.1f} s"
        return f"nothing gets from {self.one} to {self.other} for {self.seconds:.1f} s"

    async def happen(self, simulation: Simulation) -> None:
        ways = [(self.one, self.other), (self.other, self.one)][: 2 if self.both else 1]
        for one, other in ways:
            simulation.cut(one, other)
        await asyncio.sleep(self.seconds)
        for one, other in ways:
            simulation.mend(one, other)


@dataclass(frozen=True, slots=True)
class Slowed:
    """A node reads slowly for a while, or with 0 octets nothing at all."""

    kind: ClassVar[str] = "slow or stopped readers"
    at: float
    node: str
    seconds: float
    octets: int
    pause: float = 0.0

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.node,)

    def words(self) -> str:
        if not self.octets:
            return f"{self.node} reads nothing for {self.seconds:.1f} s"
        pace = f"{self.octets} octets each {self.pause:.2f} s"
        return f"{self.node} reads {pace} at most, for {self.seconds:.1f} s"

    async def happen(self, simulation: Simulation) -> None:
        if self.octets:
            simulation.slow(self.node, self.octets, self.pause)
        else:
            simulation.freeze(self.node)
        await asyncio.sleep(self.seconds)
        simulation.slow(self.node, 0, 0.0)
        simulation.freeze(self.node, False)


@dataclass(frozen=True, slots=True)
class Restarted:
    """A node ends in order, is killed, or loses its power, and starts again some time later."""

    kind: ClassVar[str] = "restarts"
    at: float
    node: str
    how: str
    seconds: float

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.node,)

    def words(self) -> str:
        what = {
            "stop": "is stopped",
            "restart": "is stopped for a restart",
            "kill": "is killed",
            "power": "loses its power",
        }[self.how]
        return f"{self.node} {what}, and starts again {self.seconds:.1f} s later"

    async def happen(self, simulation: Simulation) -> None:
        node = simulation[self.node]
        if self.how in ("stop", "restart"):
            await node.stop("a restart", restart=self.how == "restart")
        elif self.how == "kill":
            await node.kill()
        else:
            await node.power_off()
        await asyncio.sleep(self.seconds)
        await node.start(restarted=self.how in ("restart", "kill"))


def announce(node: Node, prefix: Prefix, offer: Offer) -> None:
    """Let a node originate what is offered."""
    node.announce(
        prefix, local_pref=offer.local_pref, origin=offer.origin, communities=list(offer.communities)
    )


_ENDS = ("stop", "restart", "kill", "power")
_NO_EXPORT, _NO_ADVERTISE = 0xFFFFFF01, 0xFFFFFF02
_COMMUNITIES = ((),) * 6 + (
    (_NO_EXPORT,),
    (_NO_ADVERTISE,),
    (65000 << 16 | 7,),
    (65000 << 16 | 7, _NO_EXPORT),
)


def drawn_offer(random: Random) -> Offer:
    """Draw what is said of a prefix."""
    # A LOCAL_PREF below that of what comes from outside would let two ASes each prefer the other one's route,
    # and there would be two states to come to rest in (RFC 4264).
    return Offer(
        random.choice((None, None, 100, 150, 200)), random.choice((0, 0, 1, 2)), random.choice(_COMMUNITIES)
    )


def drawn(random: Random, design: Design, prefixes: list[Prefix], count: int, end: float) -> list[Happening]:
    """Draw what happens until `end`, in the order of time."""
    names = list(design.nodes)

    def pair() -> tuple[str, str]:
        session = random.choice(design.sessions)
        both = [session.one, session.other]
        random.shuffle(both)
        return both[0], both[1]

    def seconds() -> float:
        # Some within what a hold time forgives, some beyond it.
        return round(random.choice((0.5, 5.0, 60.0)) * random.random(), 2)

    makers: tuple[tuple[int, Callable[[float], Happening]], ...] = (
        (6, lambda at: Announced(at, random.choice(names), random.choice(prefixes), drawn_offer(random))),
        (4, lambda at: Withdrawn(at, random.choice(names), random.choice(prefixes))),
        (4, lambda at: Lost(at, *pair(), random.choice(("RST", "FIN", "cease")))),
        (2, lambda at: Collided(at, *pair())),
        (2, lambda at: Asked(at, *pair())),
        (3, lambda at: Cut(at, *pair(), seconds(), random.random() < 0.6)),
        (2, lambda at: Slowed(at, random.choice(names), seconds(), random.choice((0, 1, 30)), 0.05)),
        (
            4,
            lambda at: Restarted(
                at, random.choice(names), random.choice(("stop", "kill", "power")), seconds()
            ),
        ),
    )
    weights = [weight for weight, _ in makers]
    found: list[Happening] = []
    at = 0.0
    for _ in range(count):
        # Some at once, most apart.
        at += random.choice((0.0, 0.01, 1.0, 2.0 * end / count)) * random.random()
        ((_, maker),) = random.choices(makers, weights)
        what = maker(round(at, 3))
        found.append(what)
        name = what.nodes[0]
        if not isinstance(what, Announced | Withdrawn) and random.random() < 0.5:
            # Others can only hear of this when the session is back: or never, where it should be.
            mine = list(design.offers.get(name, ())) or prefixes
            found.append(Withdrawn(round(at + 0.3 * random.random(), 3), name, random.choice(mine)))
    return found
