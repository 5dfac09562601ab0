"""What a speaker's tables bring to a FIB: each prefix whose paths change is chosen a route for, in slices.

The changes come from the router's history, at our own pace: what is not taken is kept by prefix, the latest
only, and where even that becomes too much the whole table is gone through again.  Before more is taken there
is room for it, so nothing piles up here.  Prefixes that changed alike come together, and most of them have
one route to be chosen.
"""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from bgp.family import FAMILIES, Family
from bgp.rib.interest import Interest
from bgp.rib.multipath import Hop
from bgp.rib.news import Began, Lost, Portion, Synced
from bgp.rib.path import Kind, Path
from bgp.rib.selection import BEST, EQUAL
from bgp.router import Router
from fib.choice import Chooser, NotWanted, key_of
from fib.route import Route

# Of so many routes the latest change is kept while they wait.
BACKLOG = 1 << 17
# The share of a turn of the loop, in seconds, and how many prefixes are done between two looks at the time.
_SLICE = 0.004
_CHUNK = 256
# The multipath sets of so many sets of paths are remembered.
_SETS = 1024


class Taker(Protocol):
    """What programs the routes."""

    def want(self, family: Family, prefix: bytes, route: Route | None) -> None:
        """Have `route` (None: nothing) for `prefix`."""

    def room(self) -> Awaitable[None]:
        """Wait until not too much waits to be written."""

    def wanted(self, family: Family) -> Sequence[Collection[bytes]]:
        """Return what is wanted, in parts that do not change while one of them is gone through."""


class Feed:
    """Follows `router` for as long as `run` does, and lets `taker` have what `chooser` makes of it."""

    def __init__(self, router: Router, chooser: Chooser, taker: Taker, backlog: int = BACKLOG) -> None:
        self._router = router
        self._chooser = chooser
        self._taker = taker
        self._multipath = router.decision.options.multipath
        self._more = asyncio.Event()
        selection = EQUAL if self._multipath else BEST
        self._follower = router.history.follow(Interest(FAMILIES, selection), None, backlog, self._more.set)
        self._idle = asyncio.Event()
        self._again: set[bytes] = set()
        self._sets: dict[tuple[Path, ...], tuple[Hop, ...]] = {}
        self._all = False
        # What was told since all that was told before became void.
        self._seen: dict[Family, set[bytes]] | None = None
        self._end = 0.0
        self._busy = True
        self.lost = 0
        self.resyncs = -1  # the first one is none

    def close(self) -> None:
        """Follow no more."""
        self._follower.close()
        self._idle.set()

    def reconsider(self, keys: Collection[bytes] | None) -> None:
        """Choose anew for what has a path by these next hops, None for all, though no path changed."""
        if keys is None:
            self._all = True
        else:
            self._again.update(keys)
        self._idle.clear()
        self._more.set()

    @property
    def in_sync(self) -> bool:
        """Whether all that was flushed has been handed on."""
        return not self._busy and self._follower.in_sync and not self._again and not self._all

    async def caught_up(self) -> None:
        """Wait until all that happened by now has been handed on."""
        for family in FAMILIES:
            flushed = asyncio.Event()
            self._router.history.readers.read(family, flushed.set)
            await flushed.wait()
        while not self.in_sync:
            self._idle.clear()
            self._more.set()
            await self._idle.wait()

    async def run(self) -> None:
        """Hand on what happens, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._end = loop.time() + _SLICE
            self._busy = True
            news = self._follower.take()
            if news is not None:
                match news:
                    case Portion():
                        await self._portion(news)
                    case Began():
                        self._seen = {family: set() for family in FAMILIES}
                        self.resyncs += 1
                    case Lost(changes):
                        self.lost += changes
                    case Synced():
                        await self._synced()
            elif self._all or self._again:
                await self._reconsider()
            else:
                self._sets.clear()
                self._busy = False
                if self.in_sync:
                    self._idle.set()
                self._more.clear()
                await self._more.wait()

    async def _turn(self) -> None:
        """Let others have their turn if this one is long, and wait for room."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._end:
            await self._taker.room()
            await asyncio.sleep(0)
            self._end = loop.time() + _SLICE

    async def _portion(self, portion: Portion) -> None:
        family, prefixes = portion.family, portion.prefixes
        if not prefixes:
            await asyncio.sleep(0)
            return
        if self._seen is not None:
            self._seen[family].update(prefixes)
        path = portion.now
        alike = (
            not self._multipath
            and not self._chooser.by_prefix
            and (path is None or path.source.kind is not Kind.LOCAL)
        )
        want = self._taker.want
        route: Route | None = None
        if alike and path is not None:
            chosen = self._chooser.choose(family, prefixes[0], (Hop(path, 1),))
            route = None if isinstance(chosen, NotWanted) else chosen
        for start in range(0, len(prefixes), _CHUNK):
            for prefix in prefixes[start : start + _CHUNK]:
                want(family, prefix, route if alike else self._chosen(family, prefix))
            await self._turn()

    def _chosen(self, family: Family, prefix: bytes) -> Route | None:
        chosen = self._chooser.choose(family, prefix, self.hops(family, prefix))
        return None if isinstance(chosen, NotWanted) else chosen

    def hops(self, family: Family, prefix: bytes) -> tuple[Hop, ...]:
        """Return the paths that share the traffic to a prefix, as of now."""
        paths = self._router.rib.lookup(family, prefix)
        # Many prefixes have the same paths, and the set follows from these alone.
        known = self._sets.get(paths)
        if known is None:
            if len(self._sets) >= _SETS:
                self._sets.clear()
            known = self._sets[paths] = self._router.rib.multipath(family, prefix)
        return known

    async def _synced(self) -> None:
        """Let go of what was wanted before, and is not there any more."""
        seen, self._seen = self._seen, None
        if seen is None:
            return
        for family, prefixes in seen.items():
            for part in self._taker.wanted(family):
                gone = [prefix for prefix in part if prefix not in prefixes]
                for start in range(0, len(gone), _CHUNK):
                    for prefix in gone[start : start + _CHUNK]:
                        self._taker.want(family, prefix, self._chosen(family, prefix))
                    await self._turn()
                await self._turn()

    async def _reconsider(self) -> None:
        """Go through the paths by next hops whose way is another one now."""
        keys, self._again = self._again, set()
        whole, self._all = self._all, False

        def wanted(path: Path) -> bool:
            return path.source.kind is not Kind.LOCAL and (whole or key_of(path) in keys)

        for family in FAMILIES:
            walk = self._router.rib.walk_paths(family, wanted)
            while not walk.done:
                for prefix, _ in walk.step(_CHUNK):
                    self._taker.want(family, prefix, self._chosen(family, prefix))
                await self._turn()
