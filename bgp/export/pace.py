"""The pace of an update group: news of a destination wait behind earlier ones (RFC 4271 section 9.2.1.1).

The first news of a prefix leave at once.  What comes within the interval is held back, and then the latest
state is told, if it is not what was told before.  Withdrawals do not wait: what is unreachable must not
attract traffic.  But announcements wait behind them as well.

While a route is held back, the peers know the path that was told `last`.  Whoever is told anything from the
tables meanwhile is told the same, so that all members of the group know the same at any time.
"""

from collections import deque

from bgp.export.log import Route
from bgp.export.pack import Packer
from bgp.rib.changes import Changes
from bgp.rib.path import Path
from bgp.rib.table import Table


class Pace:
    """What of one table is held back.

    `held`: the path that was told last for each such route, None for none.  `dumping`: members are being told
    the table, so that what is held must be told once more even if it comes back to what it was: those
    members may not have heard of it.
    """

    __slots__ = ("_due", "_interval", "_packer", "_recent", "_table", "dumping", "held")

    def __init__(self, interval: float, table: Table, packer: Packer) -> None:
        self.held: dict[Route, Path | None] = {}
        self.dumping = False
        self._interval = interval
        self._table = table
        self._packer = packer
        # When the latest news of a route were told, and the same in their order.
        self._recent: dict[Route, float] = {}
        self._due: deque[tuple[float, list[Route]]] = deque()

    @property
    def deadline(self) -> float | None:
        """When to call `release`, or before; None while nothing is held back."""
        return self._due[0][0] + self._interval if self.held else None

    def clear(self) -> None:
        """Nobody was told anything."""
        self.held.clear()
        self._recent.clear()
        self._due.clear()

    def admit(self, changes: Changes, now: float) -> Changes:
        """Return what of `changes` is told at once, and hold back the rest."""
        told = Changes()
        if not self.held:
            self.release(now)
        self._due.append((now, []))
        for path, prefixes in changes.fresh.items():
            self._each(told, None, path, prefixes, now)
        for (before, after), prefixes in changes.moved.items():
            self._each(told, before, after, prefixes, now)
        if not self._due[-1][1]:
            self._due.pop()
        return told

    def _each(
        self, told: Changes, before: Path | None, after: Path | None, prefixes: list[bytes], now: float
    ) -> None:
        path = before if after is None else after
        assert path is not None
        slot = self._packer.slot(self._table.family, path)
        held, recent = self.held, self._recent
        at_once: list[bytes] = []
        for prefix in prefixes:
            route = (prefix, slot)
            if route in held:
                last = held[route]
                if _same(last, after) and not self.dumping:
                    del held[route]
                elif after is None and last is not None:
                    del held[route]
                    told.run(last, None).append(prefix)
                    self._mark(route, now)
            elif after is not None and route in recent and now - recent[route] < self._interval:
                held[route] = before
            else:
                at_once.append(prefix)
                self._mark(route, now)
        if at_once:
            told.run(before, after).extend(at_once)

    def release(self, now: float) -> Changes:
        """Return what waited long enough; the table must not be dirty."""
        told = Changes()
        due, held, recent = self._due, self.held, self._recent
        while due and due[0][0] + self._interval <= now:
            time, routes = due.popleft()
            for route in routes:
                if recent.get(route) != time:
                    continue  # there was later news
                del recent[route]
                if route in held:
                    last, after = held.pop(route), self._current(route)
                    if last is not after:
                        told.run(last, after).append(route[0])
                    elif after is not None and self.dumping:
                        told.run(None, after).append(route[0])
                    else:
                        continue
                    if not due or due[-1][0] != now:
                        due.append((now, []))
                    self._mark(route, now)
        return told

    def _mark(self, route: Route, now: float) -> None:
        self._recent[route] = now
        self._due[-1][1].append(route)

    def _current(self, route: Route) -> Path | None:
        return self._table.selected_in(self._packer.selections.get(self._table.family), *route)


def _same(one: Path | None, other: Path | None) -> bool:
    """Whether two paths are told alike; one that came back is another path."""
    if one is None or other is None:
        return one is other
    return one.attributes is other.attributes and one.source is other.source and one.slot is other.slot
