"""Paths that look alike to a group, so that one UPDATE can tell the prefixes of several.

Attributes differ where they come in and may be equal where they go out: towards external peers, which hear
nothing of LOCAL_PREF and next hops; behind a policy; or if a peer gives each prefix a path identifier of its
own.  For a dump such paths are looked for once, in slices, for all who join.  What is found are hints, for a
place in the table's order may soon have another path; so who follows a hint looks again.
"""

from bisect import bisect_right
from collections.abc import Iterator

from bgp.export.pack import Packer, Told
from bgp.rib.path import Kind, Path
from bgp.rib.table import Table

# To see that a path is like no other costs so much less than to see what it looks like.
_CHEAP = 16
# What is reflected to internal peers.
_INTERNAL = frozenset(kind for kind in Kind if kind.internal)


class Alike:
    """For one group and table: the places in the table's order whose paths may be told together."""

    __slots__ = ("_changed", "_found", "_packer", "_position", "_reflects", "_searching", "_seen", "_table")

    def __init__(self, table: Table, packer: Packer) -> None:
        self._table = table
        self._packer = packer
        # Places by what their paths look like, where there are several: ascending.
        self._found: dict[int, list[int]] = {}
        self._searching = False
        self._position = 0
        self._seen: dict[int, int] = {}
        # Enough for a search: nothing is known yet.
        self._changed = 1 << 62
        terms = packer.terms
        # What is reflected as it came differs by what it came with, for it has the ORIGINATOR_ID, too.
        self._reflects = terms.kind in _INTERNAL and terms.policy is None

    def __bool__(self) -> bool:
        """Whether any were found."""
        return bool(self._found)

    def changed(self, number: int) -> None:
        """Note that so many paths won or lost prefixes."""
        self._changed += number

    def begin(self) -> None:
        """Search anew, if much has changed since the last time."""
        # A policy that reads prefixes shows a path in several ways.
        if not self._packer.by_prefix and not self._searching:
            if self._changed * 4 >= len(self._table.order):
                self._searching, self._position, self._changed = True, 0, 0
                self._found, self._seen = {}, {}

    def search(self, quota: int) -> int:
        """Look at some places, while there is a search under way; return what is left, 0 for more to do."""
        if not self._searching:
            return quota
        order, told, family = self._table.order, self._packer.told, self._table.family
        seen, quota = self._seen, quota * _CHEAP
        while self._position < len(order) and quota > 0:
            place = self._position
            path = order[place]
            self._position += 1
            quota -= 1
            if path is not None and path.refusal is None and not self._differs(path):
                quota -= _CHEAP
                look = told(family, path)
                if isinstance(look, Told):
                    first = seen.setdefault(hash(look), place)
                    if first != place:
                        self._found.setdefault(hash(look), [first]).append(place)
        if self._position < len(order):
            return 0
        self._searching, self._seen = False, {}
        return max(quota // _CHEAP, 1)

    def behind(self, path: Path) -> Iterator[Path]:
        """Yield the paths behind `path` in the table's order that look like it."""
        if not self._found or self._differs(path):
            return
        told, family, order = self._packer.told, self._table.family, self._table.order
        look = told(family, path)
        places = self._found.get(hash(look), [])
        for index in range(bisect_right(places, path.position), len(places)):
            place = places[index]
            other = order[place] if place < len(order) else None
            if other is not None and other.refusal is None and told(family, other) == look:
                yield other

    def _differs(self, path: Path) -> bool:
        return (
            self._reflects
            and path.attributes is path.received
            and path.slot.path_id is None
            and path.source.kind in _INTERNAL
        )
