"""Walks: the views of a router in steps, for tables too large to be looked at in one turn of the loop.

A step goes on in the order of the table's paths, whatever has happened since the last one.  A route that is
there and stays as it is from the first step to the last is found, once.  Of one that changes meanwhile, what
it was or what it is may be found, or both, or neither.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from bgp.rib.path import Path
from bgp.rib.table import Table

T = TypeVar("T")


class Walk(Generic[T]):
    """A walk through one table: `step` until it is `done`.

    `rows` makes what is to be found of a path and some of the prefixes that have it; `wanted` says of which
    paths there is anything.  It goes through `order`, by default all paths of the table, those included that
    come meanwhile; of their prefixes only such count as are a `match`, where that is given.
    """

    __slots__ = (
        "_found",
        "_match",
        "_offset",
        "_order",
        "_position",
        "_prefixes",
        "_rows",
        "_table",
        "_wanted",
    )

    def __init__(
        self,
        table: Table,
        wanted: Callable[[Path], bool],
        rows: Callable[[Path, list[bytes]], Iterable[T]],
        order: Sequence[Path | None] | None = None,
        match: Callable[[list[bytes]], list[bytes]] | None = None,
    ) -> None:
        self._table = table
        self._wanted = wanted
        self._rows = rows
        self._order, self._match = order, match
        self._position = 0
        # Within a path: its list, how far it was looked at, and what was found there.
        self._prefixes: list[bytes] | None = None
        self._offset = 0
        self._found: set[bytes] = set()

    @property
    def done(self) -> bool:
        """Whether all was looked at."""
        return self._position >= len(self._table.order if self._order is None else self._order)

    def step(self, quota: int = 1024) -> list[T]:
        """Look at about `quota` routes; return what was found, which may be nothing though it is not done."""
        found: list[T] = []
        order = self._table.order if self._order is None else self._order
        while quota > 0 and self._position < len(order):
            path = order[self._position]
            quota -= 1
            if path is None or not self._wanted(path):
                self._next()
                continue
            if self._prefixes is not path.prefixes:
                # It begins; or another path is there by now, or its list was made anew.
                if self._prefixes is None:
                    self._found = set()
                self._prefixes, self._offset = path.prefixes, 0
            some = path.prefixes[self._offset : self._offset + quota + 1]
            self._offset += len(some)
            quota -= len(some)
            if self._match is not None:
                some = self._match(some)
            new = [prefix for prefix in self._table.held_by(path, some) if prefix not in self._found]
            if self._offset >= len(path.prefixes):
                self._next()
            else:
                self._found.update(new)
            found += self._rows(path, new)
        return found

    def _next(self) -> None:
        self._position += 1
        self._prefixes = None
