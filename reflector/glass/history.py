"""The recent past in numbers, for plots: a ring for the last half hour, and a coarser one for a day.

A sample is taken in slices and costs at most a hundredth of the time.  What is kept has a fixed size, but for
one number a neighbor: how many UPDATEs it had sent by the last sample, from which follows who is busy now.
"""

import asyncio
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest
from typing import TYPE_CHECKING

from bgp.aio.lag import BOUNDS
from bgp.aio.peer import Peer
from bgp.export.group import Group
from bgp.iana import MessageType
from bgp.session.event import State
from reflector.report.memory import resident

if TYPE_CHECKING:
    from reflector.app import Service

INTERVAL, SAMPLES = 2.0, 900
COARSE, COARSE_SAMPLES = 60.0, 1440
# A sample takes at most this share of the time: with very many neighbors it is taken less often.
_SHARE = 0.01
# So many neighbors between two turns of the loop.
_STEP = 128
# So many busy neighbors are named, and a rate falls to half in about so many samples.
_BUSY, _HALF = 8, 5

# What a sample has: how it is made coarser, and its name.
_LAST, _SUM, _MOST = "last", "sum", "most"
COLUMNS = (
    ("time", _LAST),
    ("established", _LAST),
    ("neighbors", _LAST),
    ("prefixes", _LAST),
    ("routes", _LAST),
    ("updates_in", _SUM),
    ("updates_out", _SUM),
    ("ups", _SUM),
    ("downs", _SUM),
    ("behind", _MOST),  # members that are told the latest state only
    ("lag", _MOST),  # seconds that the slowest member is behind
    ("queue", _MOST),  # octets that have not been taken
    ("loop_lag", _MOST),  # seconds
    ("memory", _LAST),
    ("seconds", _SUM),  # that the sample is about
)
NAMES = tuple(name for name, _ in COLUMNS)


class Ring:
    """The last `size` samples."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._columns = [array("d") for _ in COLUMNS]
        self._next = 0

    def add(self, sample: Sequence[float]) -> None:
        """Add a sample, in place of the oldest one where there is no room."""
        if len(self) < self._size:
            for column, value in zip(self._columns, sample, strict=True):
                column.append(value)
            return
        for column, value in zip(self._columns, sample, strict=True):
            column[self._next] = value
        self._next = (self._next + 1) % self._size

    def __len__(self) -> int:
        return len(self._columns[0])

    def columns(self) -> Iterator[tuple[str, list[float]]]:
        """Yield each column by name, the oldest value first."""
        for name, column in zip(NAMES, self._columns, strict=True):
            yield name, [*column[self._next :], *column[: self._next]]


def coarser(samples: Sequence[Sequence[float]]) -> list[float]:
    """Return one sample in place of several."""
    how: dict[str, Callable[[Sequence[float]], float]] = {
        _LAST: lambda values: values[-1],
        _SUM: sum,
        _MOST: max,
    }
    return [how[way](values) for (_, way), values in zip(COLUMNS, zip(*samples, strict=True), strict=True)]


class History:
    """Takes samples of a service for as long as it runs."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self.fine, self.coarse = Ring(SAMPLES), Ring(COARSE_SAMPLES)
        self._unfinished: list[list[float]] = []
        self._updates: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._out = 0
        self._buckets: tuple[int, ...] = ()
        self._at = asyncio.get_running_loop().time()
        self.ups = self.downs = 0  # since the last sample; who hears of sessions counts them here
        self.latest: list[float] = []

    @property
    def busy(self) -> list[tuple[str, float]]:
        """The neighbors that sent the most UPDATEs a second lately."""
        return nlargest(_BUSY, self._rates.items(), key=lambda item: item[1])

    async def run(self, taken: asyncio.Event) -> None:
        """Take samples for ever; `taken` is set after each."""
        loop = asyncio.get_running_loop()
        while True:
            start = loop.time()
            cost = await self.sample()
            taken.set()
            await asyncio.sleep(max(start + max(INTERVAL, cost / _SHARE) - loop.time(), 0.1))

    async def sample(self) -> float:
        """Take one sample, in slices; return the seconds of work that it was."""
        service, loop = self._service, asyncio.get_running_loop()
        router, start = service.speaker.router, loop.time()
        seconds, self._at = max(start - self._at, 0.001), start
        established = behind = queue = total_in = total_out = 0
        updates: dict[str, int] = {}
        work, peers = 0.0, list(service.speaker.peers)
        for offset in range(0, len(peers), _STEP):
            began = loop.time()
            for peer in peers[offset : offset + _STEP]:
                traffic = peer.traffic
                established += peer.state is State.ESTABLISHED
                behind += peer.member is not None and peer.member.behind
                queue += sum(link.unsent for link in peer.connections)
                total_out += traffic.sent[MessageType.UPDATE]
                updates[peer.name] = traffic.received[MessageType.UPDATE]
                total_in += self._rate(peer, updates[peer.name], seconds)
            work += loop.time() - began
            await asyncio.sleep(0)
        # Who was removed has no rate any more.
        self._rates = {name: rate for name, rate in self._rates.items() if name in updates and rate > 0.01}
        # Of what a neighbor that is gone by now was told, nothing is known: so this is not below 0.
        told, self._out, self._updates = max(total_out - self._out, 0), total_out, updates
        slowest = 0.0
        for group in list(router.groups.values()):
            late, waiting = await _slowest(group)
            slowest = max(slowest, late)
            # What all have taken stays in the train for a while, and waits for nobody.
            queue += group.train.octets if waiting else 0
        self._add(
            [
                time.time(), established, len(peers), sum(router.rib.prefixes.values()), router.rib.routes,
                total_in, told, self.ups, self.downs, behind, slowest, queue, self._late(), resident(),
                seconds,
            ]
        )  # fmt: skip
        self.ups = self.downs = 0
        return work

    def _rate(self, peer: Peer, updates: int, seconds: float) -> int:
        """Return how many UPDATEs are new, and remember how busy the neighbor is."""
        name = peer.name
        new = max(updates - self._updates.get(name, updates if not self._updates else 0), 0)
        if new or name in self._rates:
            before = self._rates.get(name, 0.0)
            self._rates[name] = before + (new / seconds - before) / _HALF
        return new

    def _late(self) -> float:
        """Return how late the loop ran at most since the last sample, by the bucket where that is."""
        lag = self._service.speaker.lag
        if lag is None:
            return 0.0
        before, self._buckets = self._buckets, lag.buckets
        for index in range(len(self._buckets) - 1, -1, -1):
            if self._buckets[index] > (before[index] if before else 0):
                return min(BOUNDS[min(index, len(BOUNDS) - 1)], lag.maximum)
        return 0.0

    def _add(self, sample: list[float]) -> None:
        self.latest = sample
        self.fine.add(sample)
        self._unfinished.append(sample)
        if sample[0] - self._unfinished[0][0] + sample[-1] >= COARSE:
            self.coarse.add(coarser(self._unfinished))
            self._unfinished = []


async def _slowest(group: Group) -> tuple[float, bool]:
    """Return how far the slowest member is behind, and whether anybody waits, looking at them in slices."""
    found, waiting, now = 0.0, False, asyncio.get_running_loop().time()
    members = list(group.listeners.items())
    for offset in range(0, len(members), _STEP * 4):
        for name, each in members[offset : offset + _STEP * 4]:
            if group.listeners.get(name) is each:
                found = max(found, group.lag(each, now))
                waiting = waiting or each.pending
        await asyncio.sleep(0)
    return found, waiting
