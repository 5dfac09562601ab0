"""Whatever peers of whatever kinds say, in whatever order they come, go, ask and read: a Router never raises,
each peer ends up with exactly what the slow, obvious reference says, and when all are gone nothing is left.

Input: an octet of options of the decision and steps behind one another, each an octet that says which, and
what the step takes.  Any octets are a program: what is missing at the end is zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from bgp.family import FAMILIES, Family
from bgp.iana import RouteRefreshSubtype
from bgp.rib.decision import DecisionOptions
from bgp.testing.generate import chance, octets
from bgp.wire import prefix as nlri
from bgp.wire.framing import frame
from fuzz import routers
from fuzz.routers import HOPS, PREFIXES, SPECS, Scene
from fuzz.show import message_lines
from fuzz.target import Reader, Target


class Step(IntEnum):
    """What happens next; the octet modulo their number."""

    UP = 0  # a peer; an octet: which
    DRAWN = 1  # a peer says an UPDATE that is drawn from two octets
    SAY = 2  # a peer says the octets behind two with their number
    DOWN = 3
    AGAIN = 4  # down and up again before anything is done about it
    ASK = 5  # a route refresh, the subtype in an octet
    BEGIN = 6
    END = 7
    COST = 8  # of a next hop
    ORIGINATE = 9
    REVOKE = 10
    FLUSH = 11
    WORK = 12  # an octet: how much
    PULL = 13
    QUIET = 14


_REFRESHES = {
    Step.ASK: RouteRefreshSubtype.REQUEST,
    Step.BEGIN: RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH,
    Step.END: RouteRefreshSubtype.END_OF_ROUTE_REFRESH,
}
_COSTS = (0, 1, 10, None)


@dataclass(frozen=True, slots=True)
class Done:
    """One step of a program: the peer that it is about, and what else it takes."""

    step: Step
    peer: int = 0
    number: int = 0
    body: bytes = b""

    @property
    def family(self) -> Family:
        return FAMILIES[self.number % len(FAMILIES)]

    @property
    def prefix(self) -> bytes:
        return PREFIXES[self.family][self.number // 2 % len(PREFIXES[self.family])]


def program(data: bytes) -> tuple[DecisionOptions, Iterator[Done]]:
    reader = Reader(data)
    bits = reader.number()
    options = DecisionOptions(
        always_compare_med=bool(bits & 1),
        med_missing_as_worst=bool(bits & 2),
        ignore_as_path_length=bool(bits & 4),
        prefer_oldest=bool(bits & 8),
    )
    return options, _steps(reader)


def _steps(reader: Reader) -> Iterator[Done]:
    while reader:
        step = Step(reader.number() % len(Step))
        peer = reader.number() % len(SPECS)
        match step:
            case Step.UP | Step.DOWN | Step.AGAIN | Step.FLUSH | Step.QUIET:
                yield Done(step, peer)
            case Step.DRAWN:
                number = reader.number(2)
                body = routers.update(Random(number), _CONTEXTS[peer])
                yield Done(step, peer, number, body)
            case Step.SAY:
                yield Done(step, peer, body=reader.take(reader.number(2)))
            case _:
                yield Done(step, peer, reader.number())


_CONTEXTS = [routers.negotiated(spec, number).context() for number, spec in enumerate(SPECS, 1)]


def do(scene: Scene, done: Done) -> None:
    step, peer = done.step, done.peer
    match step:
        case Step.UP:
            scene.up(peer)
        case Step.DRAWN | Step.SAY:
            scene.say(peer, done.body)
        case Step.DOWN:
            scene.down(peer)
        case Step.AGAIN:
            scene.down(peer)
            scene.up(peer)
        case Step.ASK | Step.BEGIN | Step.END:
            scene.refresh(peer, done.family, _REFRESHES[step])
        case Step.COST:
            scene.cost(HOPS[peer % len(HOPS)], _COSTS[done.number % len(_COSTS)])
        case Step.ORIGINATE:
            scene.originate(done.family, done.prefix, done.number)
        case Step.REVOKE:
            scene.revoke(done.family, done.prefix)
        case Step.FLUSH:
            scene.router.flush(scene.now)
        case Step.WORK:
            scene.router.work(done.number % 8 + 1)
        case Step.PULL:
            scene.pull(peer, (1, 100, 65536)[done.number % 3])
        case Step.QUIET:
            scene.quiet()


def check(data: bytes) -> None:
    options, steps = program(data)
    scene = Scene(options)
    for done in steps:
        do(scene, done)
    scene.quiet()
    scene.end()


def seed(random: Random) -> bytes:
    found = [octets(random, 1)]
    some = random.sample(range(len(SPECS)), random.choice((2, 3, 4)))
    found += [bytes((Step.UP, at)) for at in some]
    for _ in range(random.choice((3, 8, 16, 30))):
        peer = random.choice(some) if chance(random, 0.9) else random.randrange(len(SPECS))
        step = Step.DRAWN if chance(random, 0.5) else random.choice(list(Step))
        head = bytes((step, peer))
        match step:
            case Step.UP | Step.DOWN | Step.AGAIN | Step.FLUSH | Step.QUIET:
                found.append(head)
            case Step.DRAWN:
                found.append(head + octets(random, 2))
            case Step.SAY:
                body = routers.update(random, _CONTEXTS[peer])[:1500]
                found.append(head + len(body).to_bytes(2, "big") + body)
            case _:
                found.append(head + octets(random, 1))
    return b"".join(found)


def view(data: bytes) -> Iterator[str]:
    options, steps = program(data)
    yield str(options)
    for done in steps:
        match done.step:
            case Step.DRAWN | Step.SAY:
                yield f"{SPECS[done.peer].name} says"
                for line in message_lines(frame(2, done.body[:65000]), _CONTEXTS[done.peer]):
                    yield f"    {line}"
            case Step.ORIGINATE | Step.REVOKE:
                yield f"{done.step.name} {nlri.text(done.family, done.prefix)} {done.number}"
            case Step.COST:
                hop = nlri.address_text(HOPS[done.peer % len(HOPS)])
                yield f"COST of {hop} {_COSTS[done.number % len(_COSTS)]}"
            case _:
                yield f"{done.step.name} {SPECS[done.peer].name} {done.number}"


TARGET = Target("router", check, seed, view, 4096)
