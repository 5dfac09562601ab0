"""A census of best routes: tallies of those that somebody watches, kept by what each flush changed.

A tally says how a route looks to it, and counts the routes of each look; what is asked of it depends on the
looks there are, so most changes change nothing.  A tally that comes when the table is full already is not
`ready` until the table was gone through, in slices.  Until then it keeps each prefix that it counted, by
itself or by a change, so that none is counted twice.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Protocol

from bgp.rib.changes import Changes
from bgp.rib.covering import Covering
from bgp.rib.path import Path
from bgp.rib.table import Table

# So many prefixes of a path are looked at in one go; to look at a path costs a small part of that.
_PREFIXES = 1024
_PATHS = 256

Look = Hashable


class Prefixes(Protocol):
    """A set of prefixes, such as a prefix list."""

    def matches(self, prefix: bytes) -> bool:
        """Whether `prefix` is in it."""


class Tally:
    """Counts of best routes by how they look, which `look` says; None is not counted.

    `changed`: a look came or went since somebody cleared that.
    """

    __slots__ = ("_counted", "_look", "changed", "looks")

    def __init__(self, look: Callable[[Path], Look | None]) -> None:
        self.looks: dict[Look, int] = {}
        self.changed = False
        self._look = look
        self._counted: dict[bytes, Look] | None = {}

    @property
    def ready(self) -> bool:
        return self._counted is None

    def move(self, prefix: bytes, before: Path | None, now: Path | None) -> None:
        """The best path of `prefix` was `before`, and is `now`."""
        new = None if now is None else self._look(now)
        if self._counted is None:
            old = None if before is None else self._look(before)
        else:
            old = self._counted.pop(prefix, None)
            if new is not None:
                self._counted[prefix] = new
        if old != new:
            self._add(old, -1)
            self._add(new, 1)

    def see(self, prefix: bytes, path: Path) -> None:
        """Count what the table holds, unless all of it was seen."""
        if self._counted is not None:
            self.move(prefix, None, path)

    def complete(self) -> None:
        """All that the table holds was seen."""
        self._counted = None
        self.changed = True

    def _add(self, look: Look | None, number: int) -> None:
        if look is None:
            return
        count = self.looks.get(look, 0) + number
        if count:
            self.looks[look] = count
        else:
            del self.looks[look]
        if not count or count == number:
            self.changed = True


class Census:
    """The tallies of one table: of what some prefixes cover, of single prefixes, and of sets of them."""

    __slots__ = ("_at", "_covering", "_sets", "_table", "_waiting", "_walk", "_walking", "_within")

    def __init__(self, table: Table) -> None:
        self._table = table
        self._within: dict[bytes, Tally] = {}
        self._covering: Covering[Tally] = Covering({})
        self._at: dict[bytes, list[Tally]] = {}
        self._sets: dict[Tally, Prefixes] = {}
        self._waiting: list[Tally] = []
        self._walking: list[Tally] = []
        self._walk: Iterator[int] | None = None

    def __bool__(self) -> bool:
        return bool(self._within or self._at or self._sets)

    def count_within(self, prefix: bytes, tally: Tally) -> None:
        """Let `tally` count what is more specific than `prefix`."""
        self._within[prefix] = tally
        self._covering.add(prefix, tally)
        self._waiting.append(tally)

    def count_at(self, prefixes: Iterable[bytes], tally: Tally) -> None:
        """Let `tally` count `prefixes`."""
        for prefix in prefixes:
            self._at.setdefault(prefix, []).append(tally)
        self._waiting.append(tally)

    def count_in(self, prefixes: Prefixes, tally: Tally) -> None:
        """Let `tally` count what is in `prefixes`."""
        self._sets[tally] = prefixes
        self._waiting.append(tally)

    def leave(self, tally: Tally) -> None:
        """Let `tally` count no more."""
        self._within = {prefix: each for prefix, each in self._within.items() if each is not tally}
        self._covering = Covering(self._within)
        self._sets.pop(tally, None)
        at = {prefix: [each for each in some if each is not tally] for prefix, some in self._at.items()}
        self._at = {prefix: some for prefix, some in at.items() if some}
        for some in (self._waiting, self._walking):
            if tally in some:
                some.remove(tally)

    def note(self, changes: Changes) -> None:
        """Count what a flush changed of the best paths."""
        for path, prefixes in changes.fresh.items():
            self._note(None, path, prefixes)
        for (before, now), prefixes in changes.moved.items():
            self._note(before, now, prefixes)

    def _note(self, before: Path | None, now: Path | None, prefixes: Iterable[bytes]) -> None:
        find = self._find
        for prefix in prefixes:
            for tally in find(prefix):
                tally.move(prefix, before, now)

    def _find(self, prefix: bytes) -> list[Tally]:
        found = self._covering(prefix)
        found += self._at.get(prefix, ())
        for tally, prefixes in self._sets.items():
            if prefixes.matches(prefix):
                found.append(tally)
        return found

    def gather(self, quota: int) -> bool:
        """Go through the table, about `quota` prefixes of it, for tallies that are not ready.

        The table must not be dirty.  Return whether there is more to do.
        """
        while self._waiting or self._walk is not None:
            if self._walk is None:
                # Who comes while a walk is under way waits for the next one, and shares that.
                self._walking, self._waiting = self._waiting, []
                self._walk = self._steps()
            for looked in self._walk:
                quota -= looked
                if quota <= 0:
                    return True
            self._walk = None
            for tally in self._walking:
                tally.complete()
            self._walking = []
        return False

    def _steps(self) -> Iterator[int]:
        table = self._table
        # What comes later is counted as a change.
        for position in range(len(table.order)):
            path = table.order[position]
            if path is not None and path.refusal is None:
                prefixes = path.prefixes.copy()
                for start in range(0, len(prefixes), _PREFIXES):
                    some = prefixes[start : start + _PREFIXES]
                    self._see(path, some)
                    yield len(some)
            if not position % _PATHS:
                yield _PATHS // 8

    def _see(self, path: Path, prefixes: list[bytes]) -> None:
        found = {prefix: tallies for prefix in prefixes if (tallies := self._find(prefix))}
        for prefix in self._table.led_by(path, list(found)):
            for tally in found[prefix]:
                tally.see(prefix, path)
