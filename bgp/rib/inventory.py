"""What is there of what somebody is interested in: all at once, or in steps while the tables change."""

from collections.abc import Iterable, Iterator, Mapping

from bgp.family import Family
from bgp.rib.interest import Interest
from bgp.rib.path import Path
from bgp.rib.table import Table
from bgp.rib.walk import Walk


class _Spot:
    """A walk to a single prefix."""

    __slots__ = ("_interest", "_prefix", "_table", "done")

    def __init__(self, table: Table, interest: Interest, prefix: bytes) -> None:
        self._table = table
        self._interest = interest
        self._prefix = prefix
        self.done = False

    def step(self, quota: int) -> list[tuple[Path, list[bytes]]]:
        self.done = True
        table, interest = self._table, self._interest
        selected = table.selected(interest.selection, table.entries.get(self._prefix))
        return [(path, [self._prefix]) for path in selected if interest.wants(path)]


InventoryWalk = Walk[tuple[Path, list[bytes]]] | _Spot


def snapshot(tables: Mapping[Family, Table], interest: Interest) -> Iterator[tuple[Family, bytes, Path]]:
    """Yield all that somebody is interested in, as of now; the tables must not change meanwhile."""
    selection, match = interest.selection, interest.matcher()
    for family in interest.families if selection is not None else ():
        table = tables[family]
        prefixes: Iterable[bytes] = table.entries
        if interest.exact is not None:
            prefixes = (interest.exact,)
        elif match is not None:
            prefixes = match(prefixes)
        for prefix in prefixes:
            for path in table.selected(selection, table.paths(prefix) or None):
                if interest.wants(path):
                    yield family, prefix, path


def walks(tables: Mapping[Family, Table], interest: Interest) -> list[tuple[Family, InventoryWalk]]:
    """Return walks through all that somebody is interested in."""
    if interest.selection is None:
        return []
    return [(family, _walk(tables[family], interest)) for family in interest.families]


def _walk(table: Table, interest: Interest) -> InventoryWalk:
    selection, match = interest.selection, interest.matcher()
    if interest.exact is not None:
        return _Spot(table, interest, interest.exact)

    def rows(path: Path, some: list[bytes]) -> list[tuple[Path, list[bytes]]]:
        selected = table.prefixes(path, selection, some if match is None else match(some))
        return [(path, selected)] if selected else []

    return Walk(table, interest.wants, rows)
