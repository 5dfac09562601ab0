"""Origination: routes of our own that depend on which other ones there are.

Each flush hands over how the best paths changed.  What follows from that is put into the tables like any
other route, and flushed in the same turn.  That ends, since an aggregate depends on nothing but what is more
specific than itself, and no condition of a route of ours depends on such a route (`_refuse_circles`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from bgp.family import Family
from bgp.rib.aggregate import PATH_ID, Aggregate, Aggregates
from bgp.rib.asking import Failures
from bgp.rib.census import Census
from bgp.rib.changes import Changes
from bgp.rib.condition import Condition, Watches
from bgp.rib.covering import Covering
from bgp.rib.path import Slots, Source
from bgp.rib.table import Table
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes, AttributeTable

# So many prefixes of a table are looked at in one flush for who came to a full table.
_QUOTA = 4096


class Origination:
    """What is originated in `tables`, as routes of the local `sources`."""

    __slots__ = (
        "_aggregates",
        "_censuses",
        "_covering",
        "_in_use",
        "_routes",
        "_slot",
        "_sources",
        "_tables",
        "_watches",
        "epoch",
        "hiding",
    )

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
        self._watches = Watches(self._censuses)
        self._sources = sources
        self._slot = slots.get("", None)
        # The routes of ours that are there on a condition.
        self._routes: dict[tuple[Family, bytes], tuple[Attributes, Condition]] = {}
        slot = slots.get("", PATH_ID)
        self._aggregates = {
            family: Aggregates(table, self._censuses[family], sources[family], slot, attributes, failures)
            for family, table in tables.items()
        }
        # Counts how often some condition may have become another.
        self.epoch = 0
        # How many of our routes have each condition; the prefixes that are aggregated, by what they cover.
        self._in_use: Counter[Condition] = Counter()
        self._covering: dict[Family, Covering[bytes]] = {}
        # The prefixes of summary-only aggregates, as peers are to see them.
        self.hiding: frozenset[tuple[Family, bytes]] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return any(self._censuses.values())

    def aggregate(self, family: Family, prefix: bytes, aggregate: Aggregate | None) -> None:
        """Aggregate what is more specific than `prefix`, or with None no more."""
        aggregates = self._aggregates[family]
        if aggregate is None:
            aggregates.remove(prefix)
            self._hide()
        else:
            covers = Covering({prefix: True})
            if any(each is family and covers(inner) for each, inner in self._routes):
                self._refuse_circles(self._in_use, [(family, prefix)])
            aggregates.add(prefix, aggregate)  # which hides nothing before it knows its contributors
        self._covering.pop(family, None)

    def aggregates(self, family: Family) -> Iterator[tuple[bytes, Aggregate]]:
        """Yield the prefixes that are aggregated, and how."""
        return iter(self._aggregates[family])

    def _dependent(self, family: Family, prefix: bytes) -> list[tuple[Family, bytes]]:
        """Return what depends on a condition of ours for `prefix`: that, and the aggregates of it."""
        covering = self._covering.get(family)
        if covering is None:
            outer = {each: each for each, _ in self._aggregates[family]}
            covering = self._covering[family] = Covering(outer)
        return [(family, prefix), *((family, each) for each in covering(prefix))]

    # --- Conditions ----------------------------------------------------------------------------------

    def acquire(self, condition: Condition) -> None:
        """Keep an eye on `condition` until it is released."""
        self._watches.acquire(condition)

    def release(self, condition: Condition) -> None:
        """Forget `condition`."""
        self._watches.release(condition)

    def holds(self, condition: Condition) -> bool:
        """Whether `condition`, which was acquired, holds."""
        return self._watches.holds(condition)

    def announce(
        self, family: Family, prefix: bytes, attributes: Attributes, condition: Condition | None
    ) -> None:
        """Announce a route of our own, with a condition only while that holds.

        Raises ValueError where a condition would depend on its own outcome.
        """
        if condition is not None:
            self.check({(family, prefix): condition})
            self._watches.acquire(condition)
        before = self._routes.pop((family, prefix), None)
        if condition is not None:
            self._routes[family, prefix] = (attributes, condition)
            self._in_use[condition] += 1
        if before is not None:
            self._forget(before[1])
        if condition is None or self.holds(condition):
            self._tables[family].announce(self._sources[family], self._slot, attributes, [prefix])
        else:
            self._tables[family].withdraw(self._slot, [prefix])

    def check(self, conditions: Mapping[tuple[Family, bytes], Condition | None]) -> None:
        """Raise ValueError if a condition would depend on its own outcome with these for our routes.

        None stands for a route without a condition, or for none at all.
        """
        added = {key: wanted for key, wanted in conditions.items() if wanted is not None}
        # What was there before goes with itself: whatever is new is held against all, and all against it.
        fresh = [each for key in added for each in self._dependent(*key)]
        self._refuse_circles({*self._in_use, *added.values()}, fresh, conditions)
        unknown = {condition for condition in added.values() if condition not in self._in_use}
        if unknown:
            others = [key for key in self._routes if key not in conditions]
            suspects = [each for key in others for each in self._dependent(*key)]
            self._refuse_circles(unknown, suspects, conditions)

    def withdraw(self, family: Family, prefix: bytes) -> None:
        """Take back a route of our own."""
        before = self._routes.pop((family, prefix), None)
        if before is not None:
            self._forget(before[1])
        self._tables[family].withdraw(self._slot, [prefix])

    def _forget(self, condition: Condition) -> None:
        """Count one route less with this condition."""
        self._watches.release(condition)
        self._in_use[condition] -= 1
        if not self._in_use[condition]:
            del self._in_use[condition]

    def _refuse_circles(
        self,
        conditions: Iterable[Condition],
        suspects: Collection[tuple[Family, bytes]],
        wanted: Mapping[tuple[Family, bytes], Condition | None] | None = None,
    ) -> None:
        """Raise ValueError where one of `conditions` looks at a suspect, which depends on a condition itself.

        `wanted` are conditions that routes are to have in place of theirs.
        """
        for condition in conditions:
            for family, suspect in suspects:
                if condition.prefixes.matches(family, suspect):
                    of = self._with(condition, wanted or {})
                    if of is not None:
                        raise ValueError(
                            f"the condition of {nlri.text(*of)} looks for {nlri.text(family, suspect)}, "
                            "which depends on a condition itself"
                        )

    def _with(
        self, condition: Condition, wanted: Mapping[tuple[Family, bytes], Condition | None]
    ) -> tuple[Family, bytes] | None:
        """Return a route that has this condition, None where with what is wanted none has it."""
        routes = {key: held for key, (_, held) in self._routes.items()} | dict(wanted)
        return next((key for key, held in routes.items() if held == condition), None)

    # --- The flush -----------------------------------------------------------------------------------

    def note(self, family: Family, changes: Changes) -> None:
        """Take in what a flush changed."""
        census = self._censuses[family]
        if census:
            census.note(changes)

    def run(self) -> bool:
        """Put what follows from the changes into the tables; return whether they must be flushed again."""
        if self._watches and self._watches.changed():
            self.epoch += 1
            for (family, prefix), (attributes, condition) in self._routes.items():
                table = self._tables[family]
                if self.holds(condition):
                    table.announce(self._sources[family], self._slot, attributes, [prefix])
                else:
                    table.withdraw(self._slot, [prefix])
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
