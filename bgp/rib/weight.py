"""How much memory tables take: their containers as they are, and what is in them by samples.

What stands in several containers counts once, where it is first: the octets of a prefix with the entries of
its table.  Python's allocator hands out multiples of sixteen octets, and so is counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from sys import getsizeof
from typing import NamedTuple
from weakref import ref

from bgp.rib.path import Path
from bgp.rib.table import Table
from bgp.wire.attributes import Attributes, AttributeTable

# So many are looked at for the size that all of them have on average, and so many next hops at a time.
_SAMPLE, _TOGETHER = 1024, 64
# An empty tuple and each thing in it; a path's place in its source's registry beside the dict.
_TUPLE, _PLACE = 56, 8


class Weight(NamedTuple):
    """So many of something, and the octets of memory that they take."""

    number: int
    octets: int


def of_prefixes(table: Table) -> Weight:
    """Return what the prefixes of a table take, with its entries: tuples where there are several paths."""
    entries = table.entries
    count = len(entries)
    further = max(0, table.routes - count)
    several = min(further, count)
    tuples = several * (_TUPLE + _PLACE) + further * _PLACE
    return Weight(count, getsizeof(entries) + _on_average(entries, count) + tuples)


def of_paths(paths: Sequence[Path | None]) -> Weight:
    """Return what some of the paths take, of those that a table has in its `order`."""
    octets = count = 0
    for path in paths:
        if path is not None:
            count += 1
            octets += _size(path) + _size(path.prefixes)
    return Weight(count, octets)


def of_containers(table: Table) -> int:
    """Return what a table takes whatever is in it: registries, positions, what waits for a flush."""
    return sum(map(getsizeof, table.containers()))


def of_attributes(table: AttributeTable) -> Iterator[Weight]:
    """Yield what interned attribute sets take: at least once, those of some next hops at a time."""
    share = _SAMPLE / max(1, len(table))
    left = list(table.containers())
    for start in range(0, max(1, len(left)), _TOGETHER):
        yield _of_sets(left[start : start + _TOGETHER], share)


def _of_sets(containers: Iterable[Mapping[bytes, ref[Attributes]]], share: float) -> Weight:
    count = octets = 0
    for known in containers:
        here = len(known)
        count += here
        entries = list(islice(known.values(), int(here * share) + 1))
        found = [each for each in (entry() for entry in entries) if each is not None]
        one = [_size(each) + _size(each.octets) + _read(each) for each in found]
        octets += getsizeof(known) + sum(map(_size, entries)) * here // max(1, len(entries))
        octets += sum(one) * here // max(1, len(one))
    return Weight(count, octets)


def _read(attributes: object) -> int:
    """Return what was decoded for the decision takes, if anything was."""
    found = getattr(attributes, "_read", None)
    return 0 if found is None else _size(found)


def _on_average(things: Iterable[object], count: int) -> int:
    """Return what `count` things take, by the first of them."""
    sample = [_size(each) for each in islice(things, _SAMPLE)]
    return sum(sample) * count // max(1, len(sample))


def _size(thing: object) -> int:
    return getsizeof(thing) + 15 & ~15
