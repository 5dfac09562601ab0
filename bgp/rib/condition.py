"""Conditions: whether there are routes of some prefixes, and what depends on that.

A condition looks at the best routes of all peers, and at our own.  It changes with the flush in which the
first such route came or the last one went.  Until the tables were looked through for one that came late, it
does not hold, whichever way it asks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from bgp.family import Family
from bgp.rib.census import Census, Tally
from bgp.rib.path import Path, Policy


class Prefixes(Protocol):
    """A set of prefixes, such as a prefix list; equal ones hold the same."""

    def matches(self, family: Family, prefix: bytes) -> bool:
        """Whether `prefix` is in it."""

    def single(self, family: Family) -> frozenset[bytes] | None:
        """Return its prefixes of `family` if it names each of them, None if they are too many for that."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds while there is a route of one of the `prefixes`, or unless `exists`, while there is none."""

    prefixes: Prefixes
    exists: bool = True

    def __str__(self) -> str:
        return f"{'a route' if self.exists else 'no route'} of {self.prefixes}"


@dataclass(frozen=True, slots=True)
class Conditional:
    """Routes that `routes`, a policy, accepts are told only while `condition` holds; it changes nothing."""

    routes: Policy
    condition: Condition


class _Watch:
    """Tallies, one for each family, on behalf of `users` conditions."""

    __slots__ = ("tallies", "users")

    def __init__(self) -> None:
        self.tallies: dict[Family, Tally] = {}
        self.users = 0


class _Within:
    """The prefixes of one family out of a set."""

    __slots__ = ("_family", "_prefixes")

    def __init__(self, family: Family, prefixes: Prefixes) -> None:
        self._family = family
        self._prefixes = prefixes

    def matches(self, prefix: bytes) -> bool:
        return self._prefixes.matches(self._family, prefix)


def _counted(path: Path) -> bool:
    return True


class Watches:
    """The conditions that somebody depends on."""

    __slots__ = ("_censuses", "_known")

    def __init__(self, censuses: Mapping[Family, Census]) -> None:
        self._censuses = censuses
        self._known: dict[Prefixes, _Watch] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def acquire(self, condition: Condition) -> None:
        """Keep an eye on `condition` until it is released as often as it was acquired."""
        watch = self._known.get(condition.prefixes)
        if watch is None:
            watch = self._known[condition.prefixes] = _Watch()
            for family, census in self._censuses.items():
                single = condition.prefixes.single(family)
                if single is not None and not single:
                    continue
                tally = watch.tallies[family] = Tally(_counted)
                if single is None:
                    census.count_in(_Within(family, condition.prefixes), tally)
                else:
                    census.count_at(single, tally)
        watch.users += 1

    def release(self, condition: Condition) -> None:
        """Forget `condition`, if nobody else depends on it."""
        watch = self._known[condition.prefixes]
        watch.users -= 1
        if not watch.users:
            del self._known[condition.prefixes]
            for family, tally in watch.tallies.items():
                self._censuses[family].leave(tally)

    def holds(self, condition: Condition) -> bool:
        """Whether `condition`, which was acquired, is known to hold."""
        tallies = self._known[condition.prefixes].tallies.values()
        if not all(tally.ready for tally in tallies):
            return False
        return any(tally.looks for tally in tallies) is condition.exists

    def changed(self) -> bool:
        """Whether any condition may hold now that did not before, or the other way; asked once for each."""
        found = False
        for watch in self._known.values():
            for tally in watch.tallies.values():
                if tally.changed and tally.ready:
                    tally.changed = False
                    found = True
        return found

    def watching(self, family: Family, prefix: bytes) -> Iterator[Prefixes]:
        """Yield what is watched that has `prefix` in it."""
        for prefixes in self._known:
            if prefixes.matches(family, prefix):
                yield prefixes
