"""The change log of an update group and family: which routes changed since its slowest member left the train.

However often a route changes, it has one entry, the latest; so all slow members together cost at most an
entry for each route.  A member's place is a position in the log: what stands behind it is still to be told,
as it is by then.
"""

from collections.abc import Iterator
from itertools import count

from bgp.rib.path import Slot

# A prefix and the slot of its path, None without ADD-PATH.
Route = tuple[bytes, Slot | None]

# The log is compacted when superseded entries outnumber the others by so many.
_SLACK = 1024
# So many entries at once are let go of: a member that comes to the end of a long log is no reason to stop.
_AT_ONCE = 8192


class ChangeLog:
    """Routes in the order of their latest change, from position `base` on.

    `compactions` counts how often the positions were given anew.  `marks`: a position for each member, from
    which on it may be late.
    """

    __slots__ = ("_latest", "_routes", "base", "compactions", "marks", "places")

    def __init__(self) -> None:
        self.base = self.compactions = 0
        self._routes: list[Route] = []
        self._latest: dict[Route, int] = {}
        # The position of each member that is behind, by its name.
        self.places: dict[str, int] = {}
        self.marks: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._latest)

    @property
    def end(self) -> int:
        return self.base + len(self._routes)

    def add(self, route: Route) -> None:
        """Note that `route` changed."""
        self._latest[route] = self.base + len(self._routes)
        self._routes.append(route)
        if len(self._routes) > 2 * len(self._latest) + _SLACK:
            self._compact()

    def extend(self, routes: list[Route]) -> None:
        """Note that all of these changed, as `add` does for each, in a third of the time."""
        self._latest.update(zip(routes, count(self.base + len(self._routes)), strict=False))
        self._routes += routes
        if len(self._routes) > 2 * len(self._latest) + _SLACK:
            self._compact()

    def take(self, name: str, count: int) -> list[Route]:
        """Move the member `name` on to the next position that `count` divides; return the routes passed."""
        place = self.places[name]
        stop = self.places[name] = min(self.end, place - place % count + count)
        base, latest = self.base, self._latest
        some = enumerate(self._routes[place - base : stop - base], place)
        return [route for at, route in some if latest[route] == at]

    def ahead(self, name: str) -> list[Route]:
        """Return the routes that the member `name` has not taken."""
        return [route for _, route in self._from(self.places[name])]

    def is_ahead(self, name: str, route: Route) -> bool:
        """Whether the member `name` has not taken the latest news of `route`."""
        return self._latest.get(route, -1) >= self.places[name]

    def leave(self, name: str) -> None:
        """Let the member `name` go, and what only it kept."""
        self.marks.pop(name, None)
        if self.places.pop(name, None) is None:
            return
        if not self.places:
            self.base = self.end
            self._routes, self._latest = [], {}

    def trim(self) -> None:
        """Let go of what all members have passed, once that is most of the log, some of it at a time."""
        passed = min(self.places.values(), default=self.end) - self.base
        if passed > 64 and passed * 2 > len(self._routes):
            passed = min(passed, _AT_ONCE)
            for at in range(passed):
                route = self._routes[at]
                if self._latest.get(route) == self.base + at:
                    del self._latest[route]
            del self._routes[:passed]
            self.base += passed

    def _from(self, position: int) -> Iterator[tuple[int, Route]]:
        latest = self._latest
        for at in range(position, self.end):
            route = self._routes[at - self.base]
            if latest[route] == at:
                yield at, route

    def _compact(self) -> None:
        """Take out what was superseded; the members' positions follow."""
        self.compactions += 1
        kept: list[Route] = []
        moved: dict[int, int] = {}
        wanted = sorted({*self.places.values(), *self.marks.values()})
        start = self.base
        for at, route in self._from(self.base):
            while wanted and wanted[0] <= at:
                moved[wanted.pop(0)] = start + len(kept)
            kept.append(route)
        for position in wanted:
            moved[position] = start + len(kept)
        self._routes = kept
        self._latest = {route: start + index for index, route in enumerate(kept)}
        self.places = {name: moved[position] for name, position in self.places.items()}
        self.marks = {name: moved[position] for name, position in self.marks.items()}
