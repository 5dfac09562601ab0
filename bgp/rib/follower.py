"""Somebody who follows what changes at a pace of his own, and the bounded log that he reads.

Who keeps up has a place in the log and nothing else.  Of what was not taken when the log lets go of it, the
follower keeps the latest news of each route.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol
from weakref import WeakSet

from bgp.family import Family
from bgp.rib.interest import Interest
from bgp.rib.inventory import InventoryWalk, walks
from bgp.rib.news import Began, Lost, News, Portion, Remark, Run, Synced
from bgp.rib.path import Path, Slot
from bgp.rib.readers import Readers
from bgp.rib.selection import BEST
from bgp.rib.table import Table

# How many prefixes of the table a step takes, and how many of the log are looked at in one go.
_STEP = 1024
_LOOKED = 4096
# What is left out at the front of the log is taken out when it is so much, and most of it.
_SLACK = 1024

# A route, or the number of a remark.
_Key = tuple[Family, bytes, Slot | None] | int


class _Latest(NamedTuple):
    """The latest change of a route, and what its path was when it was told of last."""

    number: int
    before: Path | None
    now: Path | None


class Log:
    """What changed of one selection, from the change behind `floor` on.

    An entry has an index for good; that of the first one that is left is `start`.
    """

    __slots__ = ("_base", "_limit", "entries", "floor", "followers", "idle", "size", "start")

    def __init__(self, floor: int, limit: int) -> None:
        self.floor = floor
        self.entries: list[Run | Remark] = []
        self.start = self._base = 0
        self.size = 0
        self._limit = limit
        self.followers: WeakSet[Follower] = WeakSet()
        self.idle = 0  # changes since there was a follower

    @property
    def end(self) -> int:
        return self._base + len(self.entries)

    def at(self, index: int) -> Run | Remark:
        return self.entries[index - self._base]

    def find(self, number: int) -> tuple[int, int]:
        """Return the index of the entry that holds the change behind `number`, and which one it is there."""
        low, high = self.start, self.end
        while low < high:
            middle = (low + high) // 2
            if self.at(middle).last <= number:
                low = middle + 1
            else:
                high = middle
        return low, 0 if low == self.end else max(number + 1 - self.at(low).number, 0)

    def add(self, entry: Run | Remark, changes: int) -> None:
        """Note an entry of so many changes."""
        self.entries.append(entry)
        self.size += changes
        while self.size > self._limit:
            first = self.at(self.start)
            for follower in list(self.followers):
                follower.keep(self.start, first)
            self.size -= first.last - first.number + 1
            self.floor = first.last
            # Its paths must not wait until the list is cut.
            self.entries[self.start - self._base] = _NOTHING
            self.start += 1
        passed = self.start - self._base
        if passed > _SLACK and passed * 2 > len(self.entries):
            del self.entries[:passed]
            self._base = self.start


_NOTHING = Remark(0, None)


class Source(Protocol):
    """Where the changes come from."""

    tables: Mapping[Family, Table]
    readers: Readers
    number: int


class Follower:
    """Somebody who is told of changes, as it takes them.

    `sequence`: who knows all up to what was taken last can go on behind that number.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_backlog",
        "_begun",
        "_limit",
        "_log",
        "_lost",
        "_match",
        "_news",
        "_offset",
        "_reading",
        "_source",
        "_synced",
        "_walks",
        "interest",
        "sequence",
        "wake",
    )

    def __init__(
        self, source: Source, log: Log, interest: Interest, limit: int, wake: Callable[[], object]
    ) -> None:
        self.interest = interest
        self.sequence = 0
        self.wake = wake
        self._source = source
        self._log = log
        self._limit = limit
        self._match = interest.matcher()
        # What is to be taken first, in this order: what is ready, the latest news of routes whose entries
        # have left the log, the log from `_at` on, and what the walks have not come to.
        self._news: deque[News] = deque()
        self._backlog: dict[_Key, _Latest | Remark] = {}
        self._at, self._offset = log.end, 0
        self._walks: deque[tuple[Family, InventoryWalk]] = deque()
        # Where in the log was the end when the walk through a table began: what is before is not to be told,
        # and nothing of a table to which no walk has come.
        self._begun: dict[Family, int] = {}
        self._reading: InventoryWalk | None = None  # the walk whose next step waits for a flush
        self._synced = False
        self._lost: int | None = None

    def begin(self, reason: str) -> None:
        """Tell all that is there, and from then on what changes."""
        self._news = deque((Began(reason),))
        self._at, self._offset = self._log.end, 0
        self._begun = {}
        self._walks = deque(walks(self._source.tables, self.interest))
        self._reading = None
        self._synced = False

    def resume(self, since: int) -> None:
        """Tell what happened after the change `since`."""
        self.sequence = since
        self._at, self._offset = self._log.find(since)
        self._begun = dict.fromkeys(self.interest.families, 0)

    def close(self) -> None:
        """Follow no more."""
        self._log.followers.discard(self)
        self._drop()
        self._at = self._log.end
        self._synced = True

    @property
    def in_sync(self) -> bool:
        """Whether all that is flushed and to be told was taken."""
        if not self._synced or self._lost is not None or self._news or self._backlog:
            return False
        while not self._ended and self._of(self._log.at(self._at), self._at) is None:
            self._at, self._offset = self._at + 1, 0
        return self._ended

    @property
    def _ended(self) -> bool:
        return self._at >= self._log.end

    @property
    def kept(self) -> int:
        """The routes of which it keeps the latest news itself."""
        return len(self._backlog)

    def take(self) -> News | None:
        """Return what is to be told next, None if that is nothing now; a portion may be empty.

        An empty one says that it was looked at much which is not to be told, and that there is more.
        """
        if self._lost is not None:
            lost, self._lost = self._lost, None
            self.begin("the watch has lagged")
            self._news.appendleft(Lost(lost + self._log.size))
        if self._news:
            return self._news.popleft()
        if self._backlog:
            return self._kept()
        looked = 0
        while not self._ended:
            entry = self._log.at(self._at)
            found = self._of(entry, self._at)
            looked += 1 if self._match is None else entry.last - entry.number + 1
            self._at, self._offset = self._at + 1, 0
            if found is not None:
                return found
            if looked > _LOOKED:
                return self._empty
        if self._walks:
            if self._reading is None:
                family, walk = self._walks[0]
                self._reading = walk
                self._source.readers.read(family, partial(self._step, family, walk))
            if self._reading is not None:
                return None
            return self._news.popleft() if self._news else self._empty
        if not self._synced:
            self._synced = True
            self.sequence = self._source.number
            return Synced()
        return None

    @property
    def _empty(self) -> Portion:
        return Portion((), self.interest.families[0], None, None, ())

    def _of(self, entry: Run | Remark, index: int) -> Portion | Remark | None:
        """Return what of an entry of the log is to be told."""
        if isinstance(entry, Remark):
            return entry
        begun = self._begun.get(entry.family)
        if begun is None or index < begun:
            return None
        before, now = self._wanted(entry)
        if before is now:
            return None
        numbers: Sequence[int] = range(entry.number + self._offset, entry.last + 1)
        prefixes = entry.prefixes[self._offset :] if self._offset else entry.prefixes
        if self._match is not None:
            wanted = self._match(prefixes)
            if not wanted:
                return None
            if len(wanted) < len(prefixes):
                # A prefix is once in a run.
                known = set(wanted)
                numbers = [number for number, each in zip(numbers, prefixes, strict=True) if each in known]
                prefixes = wanted
        return Portion(numbers, entry.family, before, now, prefixes)

    def _wanted(self, run: Run) -> tuple[Path | None, Path | None]:
        """Return the path before and now, None in place of one that is not wanted."""
        wants = self.interest.wants
        before = None if run.before is None or not wants(run.before) else run.before
        now = None if run.now is None or not wants(run.now) else run.now
        return before, now

    # --- What has left the log -----------------------------------------------------------------------

    def keep(self, index: int, entry: Run | Remark) -> None:
        """Keep what of an entry is to be told, if that was not taken: the log lets go of it."""
        if self._lost is not None:
            self._lost += entry.last - entry.number + 1
            return
        if index < self._at:
            return
        found = self._of(entry, index)
        self._at, self._offset = index + 1, 0
        if found is None:
            return
        if isinstance(found, Remark):
            self._backlog[found.number] = found
        else:
            self._coalesce(found)
        if len(self._backlog) > self._limit:
            self._lost = len(self._backlog)
            self._drop()

    def _coalesce(self, portion: Portion) -> None:
        backlog, family, now = self._backlog, portion.family, portion.now
        path = portion.before if now is None else now
        slot = None if path is None or self.interest.selection == BEST else path.slot
        for number, prefix in zip(portion.numbers, portion.prefixes, strict=True):
            key = family, prefix, slot
            known = backlog.pop(key, None)
            before = known.before if isinstance(known, _Latest) else portion.before
            if before is not now:
                # Behind all others: so numbers increase, and what is left when somebody stops is what has a
                # higher one than that.
                backlog[key] = _Latest(number, before, now)

    def _kept(self) -> Portion | Remark:
        key = next(iter(self._backlog))
        found = self._backlog.pop(key)
        if isinstance(found, Remark):
            return found
        assert isinstance(key, tuple)
        return Portion((found.number,), key[0], found.before, found.now, (key[1],))

    def _drop(self) -> None:
        self._news.clear()
        self._backlog = {}
        self._walks.clear()
        self._reading = None

    # --- What is there -------------------------------------------------------------------------------

    def _step(self, family: Family, walk: InventoryWalk) -> None:
        """Take a step of the walk, at a moment when the table is as it was flushed.

        What the log has by then and was not taken is told behind it, once more.
        """
        if self._reading is not walk:
            return  # it was given up meanwhile
        self._reading = None
        self._begun.setdefault(family, self._log.end)
        for path, prefixes in walk.step(_STEP):
            self._news.append(Portion((), family, None, path, prefixes, True))
        if walk.done:
            self._walks.popleft()
        self.wake()
