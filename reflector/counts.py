"""How many routes each neighbor is told: nothing keeps that number, and it is much asked for.

What a neighbor is told follows from tables that all share.  So it is counted group by group, in small steps
with pauses, while somebody wants to know; the numbers are a little old, and say how old.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from bgp.export.group import Group
from bgp.family import FAMILIES, Family
from bgp.rib.path import Path
from bgp.rib.walk import Walk
from bgp.router import Router

T = TypeVar("T")
Found = Walk[tuple[bytes, Path]]

# Seconds between the end of one count and the next one, and after which nobody wants to know any more.
INTERVAL, WANTED = 15.0, 300.0
# Who must have an answer now waits so long for the first count.
PATIENCE = 5.0
# Prefixes in a step, and of the loop's time the share that the steps may take.
_STEP, _SHARE = 512, 0.1


class Counts:
    """Counts what the members of a router are told, from the first question on while there are more."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._told: Mapping[str, Mapping[Family, int]] = {}
        self._best: Mapping[Family, Counter[str]] = {}
        self._refused: Mapping[Family, Counter[str]] = {}
        self._at: float | None = None
        self._asked = 0.0
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Event()

    def told(self, peer: str) -> Mapping[Family, int]:
        """Return how many routes a neighbor was told at the last count; empty if it was not there then."""
        loop = asyncio.get_running_loop()
        self._asked = loop.time()
        if self._task is None:
            self._task = loop.create_task(self._go_on())
        return self._told.get(peer, {})

    def best(self, peer: str, family: Family) -> int:
        """Return how many of a neighbor's routes were the best ones at the last count."""
        self.told(peer)
        return self._best.get(family, Counter())[peer]

    def refused(self, peer: str, family: Family) -> int:
        """Return how many of a neighbor's routes were not usable at the last count."""
        self.told(peer)
        return self._refused.get(family, Counter())[peer]

    @property
    def age(self) -> float | None:
        """The seconds since the last count; None before the first one."""
        return None if self._at is None else asyncio.get_running_loop().time() - self._at

    async def counted(self, seconds: float = PATIENCE) -> None:
        """Wait for the first count, but no longer than that: of a big table it takes its time."""
        self.told("")
        if self._at is None and self._task is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._first.wait(), seconds)

    def stop(self) -> None:
        """Count no more."""
        if self._task is not None:
            self._task.cancel()

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while loop.time() < self._asked + WANTED:
                self._told = await self._count()
                self._best = await self._of_all(self._router.rib.walk_best)
                self._refused = await self._of_all(self._walk_refused)
                self._at = loop.time()
                self._first.set()
                await asyncio.sleep(INTERVAL)
        finally:
            self._task, self._at = None, None
            self._first.clear()

    async def _count(self) -> dict[str, dict[Family, int]]:
        found: dict[str, dict[Family, int]] = {}
        for group in list(self._router.groups.values()):
            for family in group.terms.families:
                total, own = await self._of(group, family)
                default = family in group.packer.defaults
                for name in group.listeners:
                    found.setdefault(name, {})[family] = total - own[name] + default
        return found

    async def _of(self, group: Group, family: Family) -> tuple[int, Counter[str]]:
        """Return how many routes the group is told, and how many of them are whose."""
        own = await _by_peer(self._router.rib.walk_told(group, family), lambda told: told.path.slot.peer)
        return own.total(), own

    async def _of_all(self, walk: Callable[[Family], Found]) -> dict[Family, Counter[str]]:
        """Return of each family how many of the paths that a walk finds are whose."""
        return {
            family: await _by_peer(walk(family), lambda found: found[1].source.peer) for family in FAMILIES
        }

    def _walk_refused(self, family: Family) -> Found:
        return self._router.rib.walk_paths(family, lambda path: path.refusal is not None)


def _whose(found: tuple[bytes, Path]) -> str:
    return found[1].source.peer


async def _by_peer(walk: Walk[T], peer: Callable[[T], str]) -> Counter[str]:
    """Return how much of what a walk finds is whose."""
    loop = asyncio.get_running_loop()
    found = Counter[str]()
    while not walk.done:
        start = loop.time()
        found.update(map(peer, walk.step(_STEP)))
        await asyncio.sleep((loop.time() - start) * (1 / _SHARE - 1))
    return found
