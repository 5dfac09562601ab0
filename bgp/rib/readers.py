"""Whoever wants to look at a table as it was flushed waits here for such a moment."""

from collections import deque
from collections.abc import Callable, Container, Mapping

from bgp.family import Family
from bgp.rib.table import Table

# So many readers that waited for a flush are served by one.
_READERS = 8


class Readers:
    """Those who want to look at a table at a moment when it has no changes that are not flushed."""

    __slots__ = ("_tables", "_waiting")

    def __init__(self, tables: Mapping[Family, Table]) -> None:
        self._tables = tables
        self._waiting: dict[Family, deque[Callable[[], None]]] = {family: deque() for family in tables}

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return any(self._waiting.values())

    def ready(self, deferred: Container[Family]) -> bool:
        """Whether somebody waits for a table that is not among `deferred` ones."""
        return any(waiting and family not in deferred for family, waiting in self._waiting.items())

    def read(self, family: Family, reader: Callable[[], None]) -> None:
        """Call `reader` now, or else behind a flush of the table of `family`."""
        if self._tables[family].dirty:
            self._waiting[family].append(reader)
        else:
            reader()

    def serve(self, family: Family) -> None:
        """Call some of those who wait: the table was flushed."""
        waiting = self._waiting[family]
        for _ in range(min(len(waiting), _READERS)):
            waiting.popleft()()
