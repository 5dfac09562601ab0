"""What a family's routes shall be and what is known to be in the kernel: between wishes and writes.

Of most routes both are the same, so they are kept once; only where they differ is there a second entry, and
each such prefix is in exactly one of these places:

* `dirty`: to be written.  The value is what the kernel has of ours; the order is that of the wishes, and a
  wish that changes before it is written is written once.
* `flying`: handed to the kernel, the answer not yet there.
* `held`: the kernel refused, with what it has and why; tried again when the cause may have gone.
* `withheld`: more deletions at once than the guard lets pass; the kernel still has them.
* `stale`: left by an earlier life and not wanted so far; swept when everybody has been heard.

Tables of a million are kept in shards: one dictionary of that size stops the loop for a tenth of a second
when it grows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bgp.family import Family
from fib.backend import Failure
from fib.plan import Change
from fib.route import Route, satisfies

_SHARDS = 64
_AGREEING = 65536

# So many deletions at once are done in another order than that of their prefixes: each one of so many.
_MANY, _STRIDE = 4096, 16


class Shards:
    """A mapping of prefixes to routes in parts, so that none of them grows large."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[dict[bytes, Route]] = [{} for _ in range(_SHARDS)]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __contains__(self, prefix: bytes) -> bool:
        return prefix in self.parts[hash(prefix) & _SHARDS - 1]

    def get(self, prefix: bytes) -> Route | None:
        return self.parts[hash(prefix) & _SHARDS - 1].get(prefix)

    def put(self, prefix: bytes, route: Route) -> Route | None:
        """Set the route and return the one before."""
        part = self.parts[hash(prefix) & _SHARDS - 1]
        before = part.get(prefix)
        part[prefix] = route
        return before

    def pop(self, prefix: bytes) -> Route | None:
        return self.parts[hash(prefix) & _SHARDS - 1].pop(prefix, None)

    def items(self) -> Iterator[tuple[bytes, Route]]:
        for part in self.parts:
            yield from part.items()


@dataclass(slots=True)
class Totals:
    """What has been done since the start."""

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    refused: int = 0
    conflicts: int = 0
    repaired: int = 0
    adopted: int = 0
    swept: int = 0


class Guard:
    """Lets at most a share of the routes be deleted within a while; None lets all of them pass."""

    FEW = 10  # so many always pass: of three routes one is a large share

    def __init__(self, share: float | None, seconds: float = 10.0) -> None:
        self.share = share
        self._seconds = seconds
        self._begun = float("-inf")
        self._left = 0

    def passes(self, size: int, now: float) -> bool:
        """Count one deletion of a table of `size` routes; return whether it may be done."""
        assert self.share is not None
        if now - self._begun >= self._seconds:
            self._begun, self._left = now, max(int(size * self.share), self.FEW)
        self._left -= 1
        return self._left >= 0


class Ledger:
    """The routes of one family."""

    def __init__(self, family: Family, guard: Guard | None = None) -> None:
        self.family = family
        self.wanted = Shards()
        self.dirty: dict[bytes, Route | None] = {}
        self.flying: dict[bytes, tuple[Route | None, Route | None]] = {}
        self.held: dict[bytes, tuple[Route | None, Failure]] = {}
        self.withheld: dict[bytes, Route] = {}
        self.stale = Shards()
        self.totals = Totals()
        self.audit: Audit | None = None
        self._guard = guard or Guard(None)
        # Keys of `dirty` that are next, the first one last: to take from a dictionary's front is quadratic.
        self._next: list[bytes] = []
        # What was altered by others and is not mended yet.
        self.repairing: set[bytes] = set()
        # What changed while it was flying: what the kernel has then, where an event said so.
        self._again: dict[bytes, tuple[Route | None] | None] = {}
        # More of our routes for a prefix than one, with other metrics: to be deleted, each by itself.
        self._strays: dict[tuple[bytes, int], Route] = {}
        self._explicit: set[bytes] = set()
        self._agreeing: dict[tuple[Route, Route], bool] = {}

    @property
    def unsettled(self) -> int:
        """How many prefixes wait to be written or for the kernel's answer."""
        return len(self.dirty) + len(self.flying) + len(self._strays)

    def agrees(self, installed: Route | None, wanted: Route | None) -> bool:
        """Whether what the kernel has is what is wanted."""
        if installed is wanted:
            return True
        if installed is None or wanted is None:
            return False
        key = (installed, wanted)
        found = self._agreeing.get(key)
        if found is None:
            if len(self._agreeing) >= _AGREEING:
                self._agreeing.clear()
            found = self._agreeing[key] = satisfies(installed, wanted, self.family)
        return found

    # --- what shall be ---

    def want(self, prefix: bytes, route: Route | None, explicit: bool = False) -> None:
        """Have `route` (None: nothing) for `prefix`; an `explicit` deletion passes the guard."""
        before = self.wanted.pop(prefix) if route is None else self.wanted.put(prefix, route)
        if explicit and route is None and self._guard.share is not None:
            self._explicit.add(prefix)
        elif self._explicit:
            self._explicit.discard(prefix)
        if self.repairing:
            self.repairing.discard(prefix)
        if prefix in self.dirty:
            return
        if prefix in self.flying:
            self._again.setdefault(prefix, None)
        elif prefix in self.held:
            if before != route:
                self.dirty[prefix] = self.held.pop(prefix)[0]
        elif before is route:
            if explicit and prefix in self.withheld:
                self.dirty[prefix] = self.withheld.pop(prefix)
        elif before is not None:
            self.dirty[prefix] = before
        elif prefix in self.withheld:
            self.dirty[prefix] = self.withheld.pop(prefix)
        else:
            # What an earlier life left is ours: it is replaced, or found to be right.
            stale = self.stale.pop(prefix)
            if stale is not None and route is not None and self.agrees(stale, route):
                self.totals.adopted += 1
                return
            self.dirty[prefix] = stale

    def adopt(self, prefix: bytes, installed: Route) -> None:
        """Take over a route of an earlier life; of several for a prefix the others are strays."""
        before = self.stale.get(prefix)
        if before is not None and before.metric != installed.metric:
            # The lower metric is the one that is in use.
            installed, stray = sorted((before, installed), key=lambda route: route.metric or 0)
            self._strays[prefix, stray.metric or 0] = stray
        self.stale.put(prefix, installed)

    def sweep(self, limit: int, explicit: bool = False) -> bool:
        """Let up to `limit` stale routes go; return whether there are more."""
        for part in self.stale.parts:
            while part:
                if not limit:
                    return True
                prefix, route = part.popitem()
                self.totals.swept += 1
                self.dirty[prefix] = route
                if explicit and self._guard.share is not None:
                    self._explicit.add(prefix)
                limit -= 1
        return False

    def release(self) -> int:
        """Let the withheld deletions pass; return how many they are."""
        count = len(self.withheld)
        for prefix, installed in self.withheld.items():
            self._explicit.add(prefix)
            self.dirty[prefix] = installed
        self.withheld.clear()
        return count

    def again(self, prefix: bytes) -> None:
        """Try a held prefix anew."""
        if prefix in self.held:
            self.dirty[prefix] = self.held.pop(prefix)[0]

    def believed(self, prefix: bytes) -> Route | None:
        """Return what the kernel is believed to have of ours."""
        if prefix in self.dirty:
            return self.dirty[prefix]
        if prefix in self.flying:
            before, after = self.flying[prefix]
            return before if after is None else after
        if prefix in self.held:
            return self.held[prefix][0]
        return self.withheld.get(prefix) or self.wanted.get(prefix) or self.stale.get(prefix)

    # --- what is ---

    def take(self, limit: int, now: float) -> list[Change]:
        """Return up to `limit` changes to hand to the kernel; they are flying until `done`."""
        changes: list[Change] = []
        dirty, flying, wanted = self.dirty, self.flying, self.wanted
        while self._strays and len(changes) < limit:
            (prefix, metric), stray = self._strays.popitem()
            goal = wanted.get(prefix)
            if goal is None or goal.metric != metric:
                changes.append((prefix, stray, None))
        while len(changes) < limit:
            if not self._next:
                if not dirty:
                    # A dictionary keeps the room that it once needed until it is cleared.
                    dirty.clear()
                    break
                self._next = list(dirty)
                if len(dirty) >= _MANY and wanted.get(self._next[0]) is wanted.get(self._next[-1]) is None:
                    self._next = _apart(self._next)
                self._next.reverse()
            prefix = self._next.pop()
            if prefix not in dirty:
                continue
            installed = dirty.pop(prefix)
            goal = wanted.get(prefix)
            if installed is goal or self.agrees(installed, goal):
                self._explicit.discard(prefix)
                self.repairing.discard(prefix)
                continue
            if goal is None and self._guard.share is not None and not self._passes(prefix, now):
                assert installed is not None
                self.withheld[prefix] = installed
                continue
            flying[prefix] = (installed, goal)
            changes.append((prefix, installed, goal))
            if self.audit is not None:
                self.audit.touched.add(prefix)
        return changes

    def _passes(self, prefix: bytes, now: float) -> bool:
        if prefix in self._explicit:
            self._explicit.discard(prefix)
            return True
        return self._guard.passes(len(self.wanted) + len(self.dirty) + 1, now)

    def done(self, changes: Sequence[Change], failures: Mapping[int, Failure]) -> None:
        """Note what became of `changes`, which were taken before."""
        flying, again = self.flying, self._again
        totals = self.totals
        for place, (prefix, before, after) in enumerate(changes):
            if flying.get(prefix) != (before, after):
                continue  # a stray: its prefix has a life of its own
            del flying[prefix]
            if place in failures:
                totals.refused += 1
                installed = before
                self.held[prefix] = (before, failures[place])
            else:
                installed = after
                if before is None:
                    totals.added += 1
                elif after is None:
                    totals.deleted += 1
                else:
                    totals.replaced += 1
                if self.repairing and prefix in self.repairing:
                    self.repairing.discard(prefix)
                    totals.repaired += 1
            if again and prefix in again:
                said = again.pop(prefix)
                self.held.pop(prefix, None)
                self.dirty[prefix] = installed if said is None else said[0]

    def told(self, prefix: bytes, installed: Route | None) -> bool:
        """Note that the kernel has `installed` of ours; return whether that is to be repaired."""
        if self.audit is not None:
            self.audit.touched.add(prefix)
        if prefix in self.flying:
            self._again[prefix] = (installed,)
            return True
        if prefix in self.dirty:
            self.dirty[prefix] = installed
            return False
        goal = self.wanted.get(prefix)
        if prefix in self.withheld:
            if installed is None:
                del self.withheld[prefix]
            else:
                self.withheld[prefix] = installed
            return False
        if self.agrees(installed, goal):
            self.held.pop(prefix, None)
            return False
        if goal is None and prefix in self.stale:
            if installed is None:
                self.stale.pop(prefix)
            else:
                self.stale.put(prefix, installed)
            return False
        held = self.held.pop(prefix, None)
        if held is not None and held[0] == installed:
            self.held[prefix] = held
            return False
        self.dirty[prefix] = installed
        self.repairing.add(prefix)
        return True

    def stray(self, prefix: bytes, installed: Route) -> None:
        """Note one of ours that stands beside the wanted one, with another metric: it will be deleted."""
        self._strays[prefix, installed.metric or 0] = installed


class Audit:
    """One reading of the whole table against the ledger, in portions, while it goes on changing.

    What is written or told of meanwhile is left out: its state is known better than the dump knows it.  So
    what is flying when it begins must have been handed over after what made somebody look.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.touched: set[bytes] = {*ledger.dirty, *ledger.flying}
        self.repairs: list[tuple[bytes, Route | None]] = []
        self._ledger = ledger
        self._seen: list[set[bytes]] = [set() for _ in range(_SHARDS)]
        ledger.audit = self

    def compare(self, rows: Iterable[tuple[bytes, Route]]) -> int:
        """Look at a portion of the kernel's table; return how many of it are to be repaired."""
        ledger, touched = self._ledger, self.touched
        get, agrees = ledger.wanted.parts, ledger.agrees
        found = 0
        for prefix, installed in rows:
            number = hash(prefix) & _SHARDS - 1
            goal = get[number].get(prefix)
            seen = self._seen[number]
            if prefix in touched:
                seen.add(prefix)
                continue
            if goal is not None and goal.metric != installed.metric and self._elsewhere(prefix, installed):
                ledger.stray(prefix, installed)
                found += 1
                continue
            seen.add(prefix)
            if installed is goal or agrees(installed, goal):
                if ledger.held:
                    ledger.held.pop(prefix, None)
                continue
            if ledger.told(prefix, installed):
                found += 1
            touched.discard(prefix)
        return found

    def _elsewhere(self, prefix: bytes, installed: Route) -> bool:
        """Whether `installed` is beside what the kernel is believed to have, rather than that itself."""
        held = self._ledger.held.get(prefix)
        return held is None or held[0] is None or held[0].metric != installed.metric

    def missing(self, part: int) -> int:
        """Look for what one of the shards has and the kernel has not; return how many are to be repaired."""
        ledger, touched, seen = self._ledger, self.touched, self._seen[part]
        absent = [prefix for prefix in ledger.wanted.parts[part] if prefix not in seen]
        found = 0
        for prefix in absent:
            if prefix not in touched and ledger.told(prefix, None):
                found += 1
        for prefix in [prefix for prefix in ledger.stale.parts[part] if prefix not in seen]:
            if prefix not in touched:
                ledger.stale.pop(prefix)
        self._seen[part] = set()
        return found

    PARTS = _SHARDS

    def close(self) -> None:
        self._ledger.audit = None


def _apart(prefixes: list[bytes]) -> list[bytes]:
    """Return the prefixes in an order in which neighbors do not follow each other.

    Linux takes IPv4 routes out of its trie up to three times as fast then as in the order of addresses.
    """
    return [prefix for first in range(_STRIDE) for prefix in prefixes[first::_STRIDE]]
