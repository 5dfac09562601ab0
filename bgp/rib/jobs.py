"""Jobs on a table that are too long for one turn: each runs in slices, and holds its place in between.

`run` does about so much of a job as its quota of prefixes tells, and returns what is left of that; 0 means
that there is more to do.
"""

from bgp.rib.path import Path, Source
from bgp.rib.table import Table


class Drain:
    """Takes out what a source has said that says nothing more."""

    __slots__ = ("_source", "_table")

    def __init__(self, table: Table, source: Source) -> None:
        self._table = table
        self._source = source

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        return self._table.drain(self._source, quota)


class Rejudge:
    """Judges anew the paths with a next hop of which something else is known now."""

    __slots__ = ("_address", "_offset", "_position", "_prefixes", "_table")

    def __init__(self, table: Table, address: bytes) -> None:
        self._table = table
        self._address = address
        self._position = 0
        # Within a path whose verdict depends on the prefix: its list, and how far that was judged.
        self._prefixes: list[bytes] | None = None
        self._offset = 0

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        order = self._table.order
        # To look at a path costs a small part of what it costs to move a prefix.
        looks = 8 * quota
        while self._position < len(order) and quota > 0 and looks > 0:
            looks -= 1
            path = order[self._position]
            if path is not None and self._address in (
                path.received.next_hop[:16],
                path.attributes.next_hop[:16],
            ):
                if path.source.by_prefix:
                    quota = self._each(path, quota)
                else:
                    quota = self._table.rejudge(path, quota)
                if quota <= 0:
                    return 0
            self._position += 1
        return quota if self._position >= len(order) else 0

    def _each(self, path: Path, quota: int) -> int:
        while quota > 0 and path.count:
            if self._prefixes is not path.prefixes:
                # The first part; or the list was made anew since the last one, and the path starts over.
                self._prefixes, self._offset = path.prefixes, 0
            some = path.prefixes[self._offset : self._offset + quota]
            if not some:
                break
            self._offset += len(some)
            quota -= len(some)
            self._table.rejudge_each(path, some)
        if quota > 0:
            self._prefixes = None
        return quota


class Transfer:
    """Puts what a source has said under another one, whose policy takes the place of the first one's.

    `former` lists the sources that are under way; this one leaves it in the end.
    """

    __slots__ = ("_former", "_source", "_table", "_to")

    def __init__(self, table: Table, source: Source, to: Source, former: list[Source]) -> None:
        self._table = table
        self._source = source
        self._to = to
        self._former = former

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        quota = self._table.transfer(self._source, self._to, quota)
        if quota > 0:
            self._former.remove(self._source)
        return quota


Job = Drain | Rejudge | Transfer
