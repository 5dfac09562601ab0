"""Jobs on a table that are too long for one turn: each runs in slices, and holds its place in between.

`run` does about so much of a job as its quota of prefixes tells, and returns what is left of that; 0 means
that there is more to do.

Jobs take turns, slice by slice, so a long one delays the others by its share only.  What works on the routes
of one peer and family keeps its order, though: a `Transfer` may feed the source that a later job empties.
"""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable

from bgp.rib.nexthop import NextHops, scoped
from bgp.rib.path import Path, Source
from bgp.rib.reclaim import Reconsider, Renew, Settle
from bgp.rib.table import Table


class Drain:
    """Takes out what a source has said that says nothing more."""

    __slots__ = ("_table", "source")

    takes_out = True

    def __init__(self, table: Table, source: Source) -> None:
        self._table = table
        self.source = source

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return self._table.family, self.source.peer

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        return self._table.drain(self.source, quota)


class Rejudge:
    """Judges anew the paths with next hops of which something else is known now.

    They are looked for in the order of the table: that has a place for each path, not for each prefix, so a
    look at all of it costs little, and who never learns anything of next hops keeps no index of them.
    """

    __slots__ = ("_keys", "_offset", "_position", "_prefixes", "_table", "begun")

    def __init__(self, table: Table, keys: Iterable[bytes] | None) -> None:
        """`keys` are next hops as `scoped` has them, None for all."""
        self._table = table
        self._keys = None if keys is None else set(keys)
        self._position = 0
        self.begun = False
        # Within a path whose verdict depends on the prefix: its list, and how far that was judged.
        self._prefixes: list[bytes] | None = None
        self._offset = 0

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return self._table.family, "next hops"

    def add(self, keys: Collection[bytes] | None) -> None:
        """Look for these next hops as well: only before it has `begun`."""
        if keys is None or self._keys is None:
            self._keys = None
        else:
            self._keys.update(keys)

    def _concerns(self, path: Path) -> bool:
        keys, interface = self._keys, path.source.interface
        if keys is None:
            return True
        next_hops = {path.received.next_hop, path.attributes.next_hop}
        return any(each[:16] in keys or scoped(each, interface) in keys for each in next_hops)

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        self.begun = True
        order = self._table.order
        # To look at a path costs a small part of what it costs to move a prefix.
        looks = 8 * quota
        while self._position < len(order) and quota > 0 and looks > 0:
            looks -= 1
            path = order[self._position]
            if path is not None and self._concerns(path):
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


class Sweep:
    """Finds out which next hops no route has any more, and forgets those."""

    __slots__ = ("_next_hops", "_position", "_tables")

    def __init__(self, tables: Iterable[Table], next_hops: NextHops) -> None:
        self._tables = deque(tables)
        self._next_hops = next_hops
        self._position = 0
        next_hops.begin_sweep()

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return "next hops in use"

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        looks = 8 * quota
        while self._tables and looks > 0:
            order = self._tables[0].order
            some = order[self._position : self._position + looks]
            self._next_hops.meet(
                scoped(path.attributes.next_hop, path.source.interface) for path in some if path is not None
            )
            self._position += len(some)
            looks -= max(len(some), 1)
            if self._position >= len(order):
                self._tables.popleft()
                self._position = 0
        if self._tables:
            return 0
        self._next_hops.end_sweep()
        return max(looks // 8, 1)


class Transfer:
    """Puts what a source has said under another one, whose policy takes the place of the first one's.

    `former` lists the sources that are under way; this one leaves it in the end.  Paths that `keeps` says no
    to are taken out instead.
    """

    __slots__ = ("_former", "_keeps", "_table", "_to", "source")

    def __init__(
        self,
        table: Table,
        source: Source,
        to: Source,
        former: list[Source],
        keeps: Callable[[Path], bool] | None = None,
    ) -> None:
        self._table = table
        self.source = source
        self._to = to
        self._former = former
        self._keeps = keeps

    @property
    def takes_out(self) -> bool:
        """Whether some routes may go."""
        return self._keeps is not None

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return self._table.family, self.source.peer

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        quota = self._table.transfer(self.source, self._to, quota, self._keeps)
        if quota > 0 and self.source in self._former:
            self._former.remove(self.source)
        return quota


Job = Drain | Rejudge | Sweep | Transfer | Settle | Renew | Reconsider

# Of its quota, a job gets so much before the next one has its turn.
SLICE = 256


class Jobs:
    """The jobs that are not done: strands that take turns, each the jobs that keep their order."""

    __slots__ = ("_strands", "_turns")

    def __init__(self) -> None:
        self._strands: dict[Hashable, deque[Job]] = {}
        self._turns: deque[Hashable] = deque()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, job: Job) -> None:
        """Do `job` behind those of its strand, and then what follows for claims (`bgp.rib.claims`)."""
        key = job.strand
        strand = self._strands.get(key)
        if strand is None:
            strand = self._strands[key] = deque()
            self._turns.append(key)
        strand.append(job)
        if isinstance(job, Drain | Transfer) and job.takes_out:
            ward = job.source.ward
            if ward is not None:
                strand.append(Settle(ward))

    def run(self, quota: int) -> None:
        """Do about `quota` prefixes of the jobs."""
        while self._turns and quota > 0:
            key = self._turns.popleft()
            strand = self._strands[key]
            share = min(quota, SLICE)
            left = 0
            try:
                left = strand[0].run(share)
            finally:
                if left > 0:
                    strand.popleft()
                if strand:
                    self._turns.append(key)
                else:
                    del self._strands[key]
            quota -= share - left
