"""A watch that stops reading while all routes change twice: what is kept is bounded, and it catches up.

Beside it one watch keeps reading, and look-ups go on in slices; how late the loop runs is measured all along.
"""

import asyncio
import gc
import time
from dataclasses import dataclass, field

from bgp.aio.lag import LoopLag
from bgp.aio.watch import InSync, Lagged, RouteEvent, Watch
from bgp.family import IPV4_UNICAST
from bgp.rib.history import HISTORY
from bgp.rib.path import Path
from bgp.speaker import Speaker
from bgp.testing import census
from bgp.wire.update import Reach, Update

from . import sets, wire

# How many prefixes have the same attributes, and how many UPDATEs come in a turn.
_TOGETHER = 50
_TURN = 20


@dataclass(slots=True)
class Found:
    """What was seen: memory in octets, times in seconds, and how late the loop was."""

    loaded: int = 0
    peak: int = 0
    kept: int = 0
    lost: int = 0
    told: int = 0
    reading: float = 0.0
    snapshot: float = 0.0
    longest_match: float = 0.0
    lag: dict[str, float] = field(default_factory=dict)
    differences: int = 0


async def trial(routes: int, remembered: int = HISTORY) -> Found:
    """Let `routes` routes change twice while a watch does not read; then it reads all."""
    found = Found()
    async with Speaker(asn=wire.ASN, router_id="10.0.0.1") as speaker:
        speaker.router.history._limit = remembered
        feeder = sets._member(speaker.router, "feeder", 2)
        blocks = [
            [wire.prefix(at * _TOGETHER + each) for each in range(_TOGETHER)]
            for at in range(routes // _TOGETHER)
        ]

        async def change(med: int) -> None:
            for at, prefixes in enumerate(blocks):
                attributes = speaker.router.table.make(
                    next_hop="10.9.0.9", local_pref=100, med=med, as_path=[64512 + at % 1000, 1 + at]
                )
                reach = Reach(IPV4_UNICAST, prefixes.copy(), None, attributes)
                speaker.router.update(feeder, Update((), (reach,)))
                if at % _TURN == 0:
                    speaker._host.turns.schedule()
                    await asyncio.sleep(0)
                    found.peak = max(found.peak, census.resident()) if at % 1000 == 0 else found.peak
                    found.kept = max(found.kept, stopped.backlog)
            speaker._host.turns.schedule()
            while speaker.router._tables[IPV4_UNICAST].dirty:
                await asyncio.sleep(0)

        with speaker.watch() as stopped, speaker.watch() as follower:
            assert isinstance([await anext(stopped) for _ in range(2)][-1], InSync)
            await change(0)
            found.loaded = census.resident()
            gc.collect()
            gc.freeze()  # as a service does: a collection of all that would be the latest of all
            await _take(stopped, {})
            reader = asyncio.create_task(_count(follower, found))
            lag = LoopLag(0.005)
            began = time.perf_counter()
            for med in (1, 2):
                await change(med)
            found.reading = time.perf_counter() - began
            _note(found, lag, "while routes change")
            state: dict[bytes, Path] = {}
            began = time.perf_counter()
            found.lost = await _take(stopped, state)
            found.snapshot = time.perf_counter() - began
            _note(found, lag, "while the watch catches up")
            best = dict(speaker.router.rib.best(IPV4_UNICAST))
            found.differences = len(best.keys() ^ state.keys()) + sum(
                state.get(prefix) is not path for prefix, path in best.items()
            )
            # What follows shows what the library does, and not how long a collection takes of what is here.
            state, best = {}, {}
            gc.collect()
            gc.freeze()
            await asyncio.sleep(0.05)
            lag.reset()
            number = 0
            async for _ in speaker.rib.covered("16.0.0.0/4"):
                number += 1
            _note(found, lag, f"while {number} covered routes are looked up")
            began = time.perf_counter()
            for at in range(10_000):
                speaker.rib.longest_match(f"20.{at & 255}.{at >> 8}.1")
            found.longest_match = (time.perf_counter() - began) / 10_000
            lag.stop()
            reader.cancel()
    return found


def _note(found: Found, lag: LoopLag, phase: str) -> None:
    found.lag[phase] = lag.maximum
    found.lag[f"{phase}, p99"] = lag.percentile(0.99)
    lag.reset()


async def _take(watch: Watch, state: dict[bytes, Path]) -> int:
    """Apply all that there is to `state`; return how many changes were lost."""
    lost = 0
    while not watch.in_sync:
        event = await anext(watch)
        if isinstance(event, Lagged):
            lost += event.lost
        elif isinstance(event, RouteEvent):
            if event.path is None:
                state.pop(event.octets, None)
            else:
                state[event.octets] = event.path
    return lost


async def _count(watch: Watch, found: Found) -> None:
    async for event in watch:
        found.told += isinstance(event, RouteEvent)
