"""The parts alone: codec, table, decision, groups, policy, watches; each beside a baseline of the same run.

A case gives a function that does the work so many times that it takes long enough to be timed, and says how
many units that is.  All cases of a set take turns, so that a slow moment of the machine hits all alike.
"""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench import tables
from bgp.aio.watch import Watch, interest
from bgp.family import IPV4_UNICAST
from bgp.iana import Origin
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT, ACCEPT_ALL, REFUSE, Policy, Rules, Term, change, function, match
from bgp.rib.decision import Decision, DecisionOptions
from bgp.rib.history import BACKLOG
from bgp.rib.path import Kind, Path, Slots, Source
from bgp.router import Router
from bgp.session.config import SessionConfig
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.wire import reference
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.framing import Framer
from bgp.wire.grammar import update as grammar
from bgp.wire.update import Decoder, Reach, Update

ASN, ROUTER_ID = 65000, 0x0A000001
OUR_ADDRESS = bytes((192, 0, 2, 1))
CONTEXT = Context(internal=True)
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to time: `prepare` returns the work, which is `units` of `unit`."""

    name: str
    unit: str
    units: int
    prepare: Callable[[], Work]


@dataclass(frozen=True, slots=True)
class Set:
    """Cases that are compared with the first of them."""

    title: str
    baseline: str
    cases: tuple[Case, ...]


def run(sets: Sequence[Set], repetitions: int) -> Iterator[dict[str, object]]:
    """Yield a result for each case: microseconds a unit, and how often the baseline's that is."""
    for one in sets:
        times: dict[str, list[float]] = {case.name: [] for case in one.cases}
        for _ in range(repetitions):
            for case in one.cases:
                work = case.prepare()
                gc.collect()
                gc.disable()
                try:
                    start = time.perf_counter()
                    work()
                    times[case.name].append((time.perf_counter() - start) / case.units * 1e6)
                finally:
                    gc.enable()
        first = times[one.cases[0].name]
        for case in one.cases:
            found = times[case.name]
            ratios = sorted(value / base for value, base in zip(found, first, strict=True))
            yield {
                "set": one.title,
                "case": case.name,
                "unit": case.unit,
                "baseline": one.baseline,
                "us": round(statistics.median(found), 4),
                "us_low": round(min(found), 4),
                "us_high": round(max(found), 4),
                "ratio": round(statistics.median(ratios), 3),
                "ratio_low": round(ratios[0], 3),
                "ratio_high": round(ratios[-1], 3),
                "repetitions": repetitions,
            }


def sets(size: int) -> tuple[Set, ...]:
    """Return all sets; `size` is how many routes the bigger cases take."""
    return (
        *_codec(size),
        _load(size),
        _decision(size),
        _ladder(size),
        _flush(size),
        _policy(size),
        _watching(size),
        _look_up(size),
    )


# --- Codec ----------------------------------------------------------------------------------------------


def _bodies(size: int) -> list[bytes]:
    hops = {tables.IPV4: bytes((10, 9, 0, 9))}
    return [message[19:] for message in tables.updates(tables.made(size), hops)]


def _wide(size: int) -> list[bytes]:
    """Return UPDATEs with as many prefixes as they hold, all with the same attributes."""
    blocks = tables.made(size)
    prefixes = [prefix for block in blocks for prefix in block.prefixes]
    hops = {tables.IPV4: bytes((10, 9, 0, 9))}
    whole = tables.Block(tables.IPV4, blocks[0].attributes, prefixes)
    return [message[19:] for message in tables.updates([whole], hops)]


def _codec(size: int) -> tuple[Set, ...]:
    bodies, wide = _bodies(size), _wide(size)
    few, few_wide = bodies[: max(20, size // 400)], wide[:1]
    routes = sum(len(prefixes) for body in wide for _, _, prefixes in tables.announced(body))
    few_routes = sum(len(prefixes) for body in few_wide for _, _, prefixes in tables.announced(body))

    def fast(some: list[bytes], known: bool = False) -> Callable[[], Work]:
        def prepare() -> Work:
            decoder = Decoder(CONTEXT, AttributeTable())
            kept = [decoder.decode(body) for body in some] if known else None

            def work() -> object:
                return [decoder.decode(body) for body in some], kept

            return work

        return prepare

    def slow(some: list[bytes]) -> Callable[[], Work]:
        return lambda: lambda: [reference.decode(body, CONTEXT) for body in some]

    encoder = Encoder()
    decoded = [
        reach for body in bodies for reach in Decoder(CONTEXT, AttributeTable()).decode(body).announced
    ]
    packed = [reach for body in wide for reach in Decoder(CONTEXT, AttributeTable()).decode(body).announced]

    def encode(some: Sequence[Reach]) -> Callable[[], Work]:
        return lambda: (
            lambda: [
                encoder.announce(
                    IPV4_UNICAST, reach.attributes.octets, reach.attributes.next_hop, reach.prefixes
                )
                for reach in some
            ]
        )

    def build(some: list[bytes]) -> Callable[[], Work]:
        def prepare() -> Work:
            form = grammar.update(CONTEXT)
            values = [form.parse(body) for body in some]
            return lambda: [form.build(value) for value in values]

        return prepare

    return (
        Set(
            "decode, per set of attributes",
            "the construct grammar and the reference decoder",
            (
                Case("grammar", "UPDATE", len(few), slow(few)),
                Case("fast path, attributes new", "UPDATE", len(bodies), fast(bodies)),
                Case("fast path, attributes known", "UPDATE", len(bodies), fast(bodies, known=True)),
            ),
        ),
        Set(
            "decode, per prefix (full UPDATEs)",
            "the construct grammar and the reference decoder",
            (
                Case("grammar", "prefix", few_routes, slow(few_wide)),
                Case("fast path", "prefix", routes, fast(wide)),
            ),
        ),
        Set(
            "encode, per set of attributes",
            "the construct grammar",
            (
                Case("grammar", "UPDATE", len(few), build(few)),
                Case("fast path", "UPDATE", len(decoded), encode(decoded)),
            ),
        ),
        Set(
            "encode, per prefix (full UPDATEs)",
            "the construct grammar",
            (
                Case("grammar", "prefix", few_routes, build(few_wide)),
                Case("fast path", "prefix", routes, encode(packed)),
            ),
        ),
    )


# --- Router ---------------------------------------------------------------------------------------------


def _session(identifier: int) -> Negotiated:
    ours = SessionConfig(local_as=ASN, identifier=ROUTER_ID)
    return negotiate(ours, offer(ours), offer(SessionConfig(local_as=ASN, identifier=identifier)))


def _member(router: Router, number: int, policy: Policy | None = None) -> Member:
    settings = PeerSettings(
        name=f"p{number}",
        client=True,
        local_address=OUR_ADDRESS,
        remote_address=bytes((10, 9)) + number.to_bytes(2, "big"),
        import_policy=policy,
        export_policy=None if policy is None else ACCEPT_ALL,
    )
    return router.up(settings, _session(0x0A090000 + number))


def _reaches(router: Router, size: int, seed: int = 1) -> list[tuple[Attributes, list[bytes]]]:
    decoder = Decoder(CONTEXT, router.table)
    hops = {tables.IPV4: bytes((10, 9, 0, 9))}
    return [
        (reach.attributes, reach.prefixes)
        for message in tables.updates(tables.made(size, seed), hops)
        for reach in decoder.decode(message[19:]).announced
    ]


def _announce(router: Router, member: Member, reaches: Sequence[tuple[Attributes, list[bytes]]]) -> None:
    for attributes, prefixes in reaches:
        router.update(member, Update((), (Reach(IPV4_UNICAST, list(prefixes), None, attributes),)))


def _load(size: int) -> Set:
    hops = {tables.IPV4: bytes((10, 9, 0, 9))}
    octets = b"".join(tables.updates(tables.made(size), hops))

    def plain() -> Work:
        reaches = _reaches(Router(ASN, ROUTER_ID), size)

        def work() -> object:
            found: dict[bytes, object] = {}
            for attributes, prefixes in reaches:
                found.update(dict.fromkeys(prefixes, attributes))
            return found

        return work

    def table() -> Work:
        router = Router(ASN, ROUTER_ID)
        member, reaches = _member(router, 1), _reaches(router, size)

        def work() -> object:
            _announce(router, member, reaches)
            return router

        return work

    def whole() -> Work:
        router = Router(ASN, ROUTER_ID)
        member = _member(router, 1)
        framer, decoder = Framer(4096), Decoder(CONTEXT, router.table)

        def work() -> object:
            for start in range(0, len(octets), 1 << 16):
                framer.feed(octets[start : start + (1 << 16)])
                while (message := framer.next()) is not None:
                    router.update(member, decoder.decode(message[1]))
                router.flush()
            return router

        return work

    def again() -> Work:
        router = Router(ASN, ROUTER_ID)
        one, two, reaches = _member(router, 1), _member(router, 2), _reaches(router, size)
        _announce(router, one, reaches)
        router.flush()

        def work() -> object:
            _announce(router, two, reaches)
            return router.flush()

        return work

    return Set(
        "table load, per route",
        "a plain dict that takes the same prefixes",
        (
            Case("dict.update", "route", size, plain),
            Case("table, first path of a prefix", "route", size, table),
            Case("octets to table, flushed", "route", size, whole),
            Case("table, second path of a prefix, decided", "route", size, again),
        ),
    )


def _paths(count: int, tie: bool) -> tuple[Path, ...]:
    table, slots = AttributeTable(), Slots()
    rng = random.Random(count)
    found = []
    for number in range(count):
        source = Source(
            f"p{number}",
            Kind.CLIENT,
            ASN,
            (0x0A090000 + number).to_bytes(4, "big"),
            bytes((10, 9)) + number.to_bytes(2, "big"),
        )
        attributes = table.make(
            next_hop=f"10.9.0.{1 + number}",
            as_path=[65001] if tie else [65001 + number] * rng.randint(1, 5),
            med=0 if tie else rng.randint(0, 9),
            origin=Origin.IGP,
            local_pref=100,
        )
        found.append(Path(source, slots.get(f"p{number}", None), attributes))
    rng.shuffle(found)
    return tuple(found)


def _decision(size: int) -> Set:
    """What a change costs a prefix with so many paths, from UPDATE to decided."""
    prefixes = max(100, size // 100)

    def case(peers: int) -> Callable[[], Work]:
        def prepare() -> Work:
            router = Router(ASN, ROUTER_ID)
            members = [_member(router, number) for number in range(1, peers + 1)]
            reaches = _reaches(router, prefixes)
            for member in members:
                _announce(router, member, reaches)
            router.flush()
            changed = [
                (router.table.make(next_hop="10.9.0.9", as_path=[65001], local_pref=200), some)
                for _, some in reaches
            ]

            def work() -> object:
                _announce(router, members[-1], changed)
                return router.flush()

            return work

        return prepare

    counts = (1, 10, 100)
    return Set(
        "decision, per changed prefix, from UPDATE to decided",
        "a prefix with one path",
        tuple(
            Case(f"{count} path{'s' if count > 1 else ''}", "prefix", prefixes, case(count))
            for count in counts
        ),
    )


def _ladder(size: int) -> Set:
    rounds = max(20, size // 50)
    usual, optional = Decision(), Decision(DecisionOptions(ignore_as_path_length=True))

    def case(function: Callable[[tuple[Path, ...]], object], count: int, tie: bool) -> Callable[[], Work]:
        def prepare() -> Work:
            paths = _paths(count, tie)
            return lambda: [function(paths) for _ in range(rounds)]

        return prepare

    cases = [
        Case("ladder of rungs, 10 paths", "decision", rounds, case(usual.best, 10, False)),
        *(
            Case(f"fast twin, {count}", "decision", rounds, case(usual.decided, count, False))
            for count in (1, 10, 100)
        ),
        Case("fast twin, 10, equal to the last rung", "decision", rounds, case(usual.decided, 10, True)),
        Case("options without a fast twin, 10", "decision", rounds, case(optional.decided, 10, False)),
    ]
    return Set("decision alone, per prefix", "the ladder as it is written, 10 paths", tuple(cases))


def _flush(size: int) -> Set:
    def case(members: int) -> Callable[[], Work]:
        def prepare() -> Work:
            router = Router(ASN, ROUTER_ID)
            feeder = _member(router, 1)
            clients = [_member(router, number) for number in range(2, 2 + members)]
            for client in clients:
                _take(router, client)
            reaches = _reaches(router, size)

            def work() -> object:
                for start in range(0, len(reaches), 500):
                    _announce(router, feeder, reaches[start : start + 500])
                    router.flush()
                    for client in clients:
                        _take(router, client)
                return router

            return work

        return prepare

    return Set(
        "table load and group flush, per route, to so many members",
        "a group of one member",
        tuple(
            Case(f"{count} member{'s' if count > 1 else ''}", "route", size, case(count))
            for count in (1, 10, 100)
        ),
    )


def _take(router: Router, member: Member) -> None:
    while member.pending:
        router.pull(member)
        router.flush()


def _policy(size: int) -> Set:
    def case(make: Callable[[], Policy | None]) -> Callable[[], Work]:
        def prepare() -> Work:
            router = Router(ASN, ROUTER_ID)
            member, reaches = _member(router, 1, make()), _reaches(router, size)

            def work() -> object:
                _announce(router, member, reaches)
                return router.flush()

            return work

        return prepare

    long_list = [f"{20 + (one >> 16)}.{one >> 8 & 255}.{one & 255}.0/24" for one in range(size)]
    prefix_list = match.prefix_in(long_list)

    @function()
    def plain(path: Path) -> Attributes | None:
        return path.attributes if path.attributes.as_path_length < 50 else None

    return Set(
        "import policy, per route of a table load",
        "no policy",
        (
            Case("none", "route", size, case(lambda: None)),
            Case("accept all", "route", size, case(lambda: ACCEPT_ALL)),
            Case("plain function", "route", size, case(lambda: plain)),
            Case(
                "community, local preference set",
                "route",
                size,
                case(
                    lambda: Rules(
                        "customers",
                        [
                            Term("mark", match.community("1-30000:*"), (change.local_pref(200),), ACCEPT),
                            Term("rest", then=ACCEPT),
                        ],
                    )
                ),
            ),
            Case(
                f"prefix list of {len(long_list):,}",
                "route",
                size,
                case(
                    lambda: Rules(
                        "listed", [Term("listed", prefix_list, then=REFUSE), Term("rest", then=ACCEPT)]
                    )
                ),
            ),
        ),
    )


# --- Watching -------------------------------------------------------------------------------------------


def _watching(size: int) -> Set:
    """What it costs that somebody watches a table load, and to take the events."""

    def case(watches: int, take: bool, **conditions: Any) -> Callable[[], Work]:
        def prepare() -> Work:
            router = Router(ASN, ROUTER_ID)
            member, reaches = _member(router, 1), _reaches(router, size)

            async def run() -> object:
                some = [
                    Watch(router, interest(**conditions), None, BACKLOG, None, lambda _: None)
                    for _ in range(watches)
                ]
                for start in range(0, len(reaches), 500):
                    _announce(router, member, reaches[start : start + 500])
                    router.flush()
                    for watch in some if take else ():
                        while not watch.in_sync:
                            await anext(watch)
                return router

            return lambda: asyncio.run(run())

        return prepare

    return Set(
        "watching, per route of a table load",
        "the load and its flushes, unwatched",
        (
            Case("nobody", "route", size, case(0, False)),
            Case("a watch that takes each event", "route", size, case(1, True)),
            Case("a watch of another peer", "route", size, case(1, True, peer="p2")),
            Case("a watch within a prefix", "route", size, case(1, True, within="10.0.0.0/8")),
            Case("a watch that does not read", "route", size, case(1, False)),
        ),
    )


def _look_up(size: int) -> Set:
    rounds = max(20, size // 50)

    def case(look_up: Callable[[Router, bytes], object]) -> Callable[[], Work]:
        def prepare() -> Work:
            router = Router(ASN, ROUTER_ID)
            member, reaches = _member(router, 1), _reaches(router, size)
            _announce(router, member, reaches)
            router.flush()
            hosts = [b"\x20" + prefix[1:].ljust(4, b"\x01") for _, some in reaches for prefix in some]
            asked = [hosts[at % len(hosts)] for at in range(rounds)]
            return lambda: [look_up(router, host) for host in asked]

        return prepare

    return Set(
        "look-up, per address",
        "an exact one",
        (
            Case(
                "exact", "look-up", rounds, case(lambda router, host: router.rib.lookup(IPV4_UNICAST, host))
            ),
            Case(
                "longest match",
                "look-up",
                rounds,
                case(lambda router, host: router.rib.longest_match(IPV4_UNICAST, host)),
            ),
        ),
    )
