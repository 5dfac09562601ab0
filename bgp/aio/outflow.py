"""A guard on how many routes a peer is told: a leak of ours ends at the session, not in its tables.

What a peer is told follows from tables that are shared by all, and is kept nowhere.  So it is counted, when
the session comes up and from then on every now and then, a few routes in each turn of the loop.
"""

import asyncio
from collections.abc import Callable, Mapping

from bgp.family import Family
from bgp.member import Member
from bgp.rib.walk import Walk
from bgp.router import Router
from bgp.views import Advertised

# Seconds between two counts, and routes that are looked at in a turn.
INTERVAL = 10.0
_QUOTA = 512


class Outflow:
    """Counts what `member` is told, and calls `passed` once with the family of which it is too much."""

    def __init__(
        self,
        router: Router,
        member: Member,
        maxima: Mapping[Family, int],
        passed: Callable[[Family, int], None],
    ) -> None:
        self._router = router
        self._member = member
        families = member.negotiated.families
        self._maxima = {family: maxima[family] for family in families if family in maxima}
        self._passed = passed
        self._left: list[Family] = []
        self._walk: Walk[Advertised] | None = None
        self._count = 0
        loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = loop.call_soon(self._begin) if self._maxima else None

    def stop(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._left = list(self._maxima)
        self._walk = None
        self._step()

    def _step(self) -> None:
        loop = asyncio.get_running_loop()
        if self._walk is None:
            self._walk, self._count = self._router.rib.walk_advertised(self._member, self._left[0]), 0
        self._count += len(self._walk.step(_QUOTA))
        family = self._left[0]
        if self._count > self._maxima[family]:
            self._passed(family, self._maxima[family])
            return
        if self._walk.done:
            self._walk = None
            self._left.pop(0)
        if self._left:
            # Not in the next turn at once: others have work to do, too.
            self._timer = loop.call_later(0.001, self._step)
        else:
            self._timer = loop.call_later(INTERVAL, self._begin)
