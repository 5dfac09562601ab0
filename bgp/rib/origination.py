"""Origination: routes of our own that depend on which other ones there are.

Each flush hands over how the best paths changed.  What follows from that is put into the tables like any
other route, and flushed in the same turn.  That ends, since an aggregate depends on nothing but what is more
specific than itself.
"""

from collections.abc import Iterator, Mapping

from bgp.family import Family
from bgp.rib.aggregate import PATH_ID, Aggregate, Aggregates
from bgp.rib.asking import Failures
from bgp.rib.census import Census
from bgp.rib.path import Slots, Source
from bgp.rib.table import Changes, Table
from bgp.wire.attributes import AttributeTable

# So many prefixes of a table are looked at in one flush for who came to a full table.
_QUOTA = 4096


class Origination:
    """What is originated in `tables`, as routes of the local `sources`."""

    __slots__ = ("_aggregates", "_censuses", "_tables", "hiding")

    def __init__(
        self,
        tables: Mapping[Family, Table],
        sources: Mapping[Family, Source],
        slots: Slots,
        attributes: AttributeTable,
        failures: Failures,
    ) -> None:
        self._tables = tables
        self._censuses = {family: Census(table) for family, table in tables.items()}
        slot = slots.get("", PATH_ID)
        self._aggregates = {
            family: Aggregates(table, self._censuses[family], sources[family], slot, attributes, failures)
            for family, table in tables.items()
        }
        # The prefixes of summary-only aggregates, as peers are to see them.
        self.hiding: frozenset[tuple[Family, bytes]] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return any(self._censuses.values())

    def aggregate(self, family: Family, prefix: bytes, aggregate: Aggregate | None) -> None:
        """Aggregate what is more specific than `prefix`, or with None no more."""
        if aggregate is None:
            self._aggregates[family].remove(prefix)
        else:
            self._aggregates[family].add(prefix, aggregate)
        self._hide()

    def aggregates(self, family: Family) -> Iterator[tuple[bytes, Aggregate]]:
        """Yield the prefixes that are aggregated, and how."""
        return iter(self._aggregates[family])

    def note(self, family: Family, changes: Changes) -> None:
        """Take in what a flush changed."""
        census = self._censuses[family]
        if census:
            census.note(changes)

    def run(self) -> bool:
        """Put what follows from the changes into the tables; return whether they must be flushed again."""
        for aggregates in self._aggregates.values():
            if aggregates and aggregates.run():
                self._hide()
        return any(table.dirty for table in self._tables.values())

    def gather(self) -> bool:
        """Count a slice of what tables hold, which are not dirty; return whether there is more."""
        more = False
        for census in self._censuses.values():
            more = census.gather(_QUOTA) or more
        return more

    def _hide(self) -> None:
        self.hiding = frozenset(
            (family, prefix)
            for family, aggregates in self._aggregates.items()
            for prefix in aggregates.hiding
        )
