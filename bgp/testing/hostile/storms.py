"""Peers that do what is allowed, too often or too slowly: connections, sessions, refreshes, octets."""

import asyncio
import contextlib
import time

from bgp.family import IPV4_UNICAST
from bgp.iana import ErrorCode, MessageType, RouteRefreshSubtype
from bgp.testing.hostile import words
from bgp.testing.hostile.attacker import Attacker
from bgp.testing.hostile.stage import CROWD, Stage, hold, refused
from bgp.wire.message import RouteRefresh, encode

_TOGETHER = 50
_NEXT_HOP = 0x0B800001
_BEGIN, _END = (
    encode(RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi, subtype))
    for subtype in (RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH, RouteRefreshSubtype.END_OF_ROUTE_REFRESH)
)


async def octets_one_by_one(stage: Stage) -> str:
    """A session whose octets come one by one is a session like any other."""
    async with await stage.dial() as attacker:
        route = words.update(words.attributes(_NEXT_HOP), words.prefix(1))
        octets = words.an_open(attacker.number) + words.KEEPALIVE + 5 * route + words.REFRESH
        for at in range(len(octets)):
            await attacker.send(octets[at : at + 1])
            await asyncio.sleep(0)
        hold(await attacker.until(MessageType.ROUTE_REFRESH) is not None, "the session does not come up")
    return f"{len(octets)} octets, each in a segment of its own"


async def half_open_flood(stage: Stage) -> str:
    """Connections that say nothing fill a listen range; who speaks gets in, and what waits is bounded."""
    before = stage.victim.descriptors
    silent: list[Attacker] = []
    try:
        for _ in range(stage.size.storm):
            attacker = await stage.dial("crowded")
            silent.append(attacker)
        most = stage.victim.descriptors - before
        hold(most <= CROWD + _TOGETHER, f"{most} silent connections are kept, of at most {CROWD}")
        for _ in range(5):
            (await stage.peer("crowded")).close()
    finally:
        for attacker in silent:
            attacker.reset()
    return f"{stage.size.storm} silent connections, of which {most} were kept; five sessions got in"


async def connections_of_one(stage: Stage) -> str:
    """One address that connects without end costs one place, and is slowed down."""
    source, before = stage.source("hostile"), stage.victim.descriptors
    held, refusals = [], 0
    try:
        for _ in range(stage.size.storm):
            attacker = await stage.dial(source=source)
            held.append(attacker)
            with contextlib.suppress(OSError):
                await attacker.send(words.an_open(attacker.number)[:19])
        most = stage.victim.descriptors - before
        hold(most <= 16, f"{most} connections of one address are kept")
    finally:
        for attacker in held:
            attacker.reset()
    refusals = len(held)
    return f"{refusals} connections from one address, of which at most {most} were there at once"


async def reset_storm(stage: Stage) -> str:
    """Connections that break off with a RST, at whatever point, leave nothing behind."""
    for at in range(stage.size.storm):
        attacker = await stage.dial()
        with contextlib.suppress(OSError):
            if at % 3:
                await attacker.send(words.an_open(attacker.number))
            if at % 3 == 2:
                await attacker.send(
                    words.KEEPALIVE, words.update(words.attributes(_NEXT_HOP), words.prefix(at))
                )
        attacker.reset()
    return f"{stage.size.storm} connections reset"


async def flapping(stage: Stage) -> str:
    """Sessions that come, say routes and break off again and again are paced by their addresses."""
    sources = [stage.source("hostile") for _ in range(3)]
    began, up, refusals = time.monotonic(), 0, 0
    for at in range(stage.size.storm):
        try:
            attacker = await stage.peer(source=sources[at % len(sources)])
        except (OSError, ConnectionError):
            refusals += 1
            continue
        up += 1
        block = words.attributes(_NEXT_HOP, at)
        with contextlib.suppress(OSError):
            await attacker.send(words.update(block, b"".join(words.prefix(each) for each in range(100))))
        attacker.reset()
    seconds = time.monotonic() - began
    bound = len(sources) * (_BURST + seconds * _RATE + 2)
    hold(up <= bound, f"{up} sessions of {len(sources)} addresses came up in {seconds:.1f} s")
    return f"{up} of {stage.size.storm} sessions came up in {seconds:.1f} s, {refusals} were refused"


# What the service allows: so many connections of an address at once, and so many a second after that; and so
# many answers to requests for all routes before a session has to wait.
_BURST, _RATE = 20, 1.0
_REFRESHES = 4


async def refresh_storm(stage: Stage) -> str:
    """Who asks for all routes again without end is told them now and then; markers cost nothing."""
    stormers = [await stage.peer() for _ in range(5)]
    counts = [[0] for _ in stormers]
    told = [asyncio.create_task(_count(*each)) for each in zip(stormers, counts, strict=True)]
    try:
        for _ in range(stage.size.storm // 10):
            for attacker in stormers:
                await attacker.send(words.REFRESH * 200)
            await asyncio.sleep(0)
        asked = stage.size.storm // 10 * 200
        await asyncio.sleep(1)
        hold(not any(task.done() for task in told), "who asks too often loses its session")
        most = max(count for (count,) in counts)
        hold(0 < most <= _REFRESHES + 1, f"{most} answers within seconds")
    finally:
        for task in told:
            task.cancel()
        for attacker in stormers:
            attacker.close()
    memory = stage.victim.memory
    async with await stage.peer() as attacker:
        for number in range(stage.size.storm * 10):
            await attacker.send(_BEGIN)
            if number % 3 == 0:
                await attacker.send(
                    words.update(words.attributes(_NEXT_HOP, number), words.prefix(number % 7))
                )
        await attacker.send(_END)
        hold(await attacker.answers(), "a session with many markers of refreshes does not go on")
    grown = stage.victim.memory - memory
    hold(grown < 32 << 20, f"{grown >> 20} MB for markers of refreshes")
    return (
        f"5 peers asked {asked} times each, and were answered {most} times; "
        f"{stage.size.storm * 10} markers took {grown >> 10} KB"
    )


async def _count(attacker: Attacker, count: list[int]) -> None:
    """Read all that comes, and count the answers to refreshes."""
    while (message := await attacker.receive()) is not None:
        count[0] += message[0] == MessageType.ROUTE_REFRESH and message[1][2] == 1


async def zero_window(stage: Stage) -> str:
    """Who reads nothing while there is much to tell is let go when the send hold timer expires (RFC 9687)."""
    count, each = 20, 4000
    feeder = await stage.peer("hostile")
    community = (words.T.COMMUNITIES, b"\xfd\xe8\x02\x9a")
    stalled: list[Attacker] = []

    async def stall() -> None:
        """Read nothing once the session is there, but show that we are alive."""
        attacker = await stage.dial("hasty", buffer=4096)
        try:
            await attacker.establish()
            stalled.append(attacker)
            with contextlib.suppress(OSError):
                for _ in range(100):
                    await attacker.send(words.KEEPALIVE)
                    await asyncio.sleep(0.5)
                hold(False, "a session that takes nothing is kept")
        finally:
            attacker.reset()

    async def feed() -> None:
        await stage.until(lambda: len(stalled) == count, "the sessions that are to stall do not come up")
        for turn in range(4):
            for first in range(0, each, 20):
                routes = b"".join(words.prefix(number) for number in range(first, first + 20))
                more = (words.T.LARGE_COMMUNITIES, first.to_bytes(12, "big") * 100)
                await feeder.send(
                    words.update(words.attributes(_NEXT_HOP, turn, b"", community, more), routes)
                )

    try:
        await asyncio.gather(feed(), *(stall() for _ in range(count)))
        await stage.until(lambda: stage.victim.said("within the send hold time"), "nobody is told why")
    finally:
        feeder.close()
    return f"{count} sessions that took nothing were let go"


async def identifiers(stage: Stage) -> str:
    """BGP Identifiers that are ours, or others', and addresses that come twice, confuse nobody."""
    honest = 0x7F010001
    async with await stage.dial() as attacker:
        await attacker.send(words.an_open(0x0AFF0001))
        await refused(attacker, ErrorCode.OPEN_MESSAGE_ERROR, 3)
    twins = [await stage.dial() for _ in range(3)]
    for attacker in twins:
        await attacker.establish(words.an_open(honest))
        await attacker.send(words.update(words.attributes(_NEXT_HOP), words.prefix(attacker.number & 0xFFFF)))
    await stage.until(lambda: stage.victim.said("is also that of"), "nobody is told of the second identifier")
    source = stage.source("hostile")
    first = await stage.peer(source=source)
    second = await stage.dial(source=source)
    await second.establish(words.an_open(honest + 1))
    hold(await second.answers(), "the newer connection of a peer is not the one that is kept")
    for attacker in (*twins, first, second):
        attacker.close()
    return "our own identifier refused, those of others told to the operator, the newer connection kept"
