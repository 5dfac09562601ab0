"""What happened to the routes lately, numbered, and those who follow it at their own pace.

A flush is noted as it comes: run by run, many prefixes at once that changed alike.  Nothing is copied for a
follower; each has a place in the log and reads on from there, so one who keeps up costs nothing here.  The
log is bounded.  Of what a follower has not read when it is let go, the follower keeps the latest news of each
route, so that for a route which changes again and again there is one change to tell; and where even that
becomes too much it keeps nothing, is told that it has lagged, and begins anew with all that is there.

So everything that is kept for a follower is bounded, and what it is told adds up to the table, always.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from weakref import WeakSet

from bgp.family import Family
from bgp.rib.changes import Changes
from bgp.rib.interest import Interest
from bgp.rib.path import Path, Slot
from bgp.rib.selection import BEST, Selection
from bgp.rib.table import Table
from bgp.rib.walk import Walk

# So many changes are remembered for followers that come later, and for those that do not keep up.
HISTORY = 1 << 17
# So many routes with news a follower may have that are not in the log any more.
BACKLOG = 1 << 16
# How many prefixes of the table a step takes, and how many of the log are looked at in one go.
_STEP = 1024
_LOOKED = 4096
# So many readers that waited for a flush are served by one.
_READERS = 8
# What is left out at the front of the log is taken out when it is so much, and most of it.
_SLACK = 1024


class Run(NamedTuple):
    """Prefixes whose path changed alike: the first change has `number`, the next one the next number."""

    number: int
    family: Family
    before: Path | None
    now: Path | None
    prefixes: Sequence[bytes]

    @property
    def last(self) -> int:
        return self.number + len(self.prefixes) - 1


class Remark(NamedTuple):
    """Something else that happened, whatever it is."""

    number: int
    value: object

    @property
    def last(self) -> int:
        return self.number


@dataclass(frozen=True, slots=True)
class Began:
    """All that was told before is void; what is there follows.  `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """`changes` were not told, and will not be."""

    changes: int


@dataclass(frozen=True, slots=True)
class Synced:
    """All was told."""


class Portion(NamedTuple):
    """Routes that changed alike, by the numbers of their changes; `walked`: they were there already."""

    numbers: Sequence[int]
    family: Family
    before: Path | None
    now: Path | None
    prefixes: Sequence[bytes]
    walked: bool = False


News = Began | Lost | Synced | Portion | Remark
# A route, or the number of a remark.
_Key = tuple[Family, bytes, Slot | None] | int


class _Latest(NamedTuple):
    """The latest change of a route, and what its path was when it was told of last."""

    number: int
    before: Path | None
    now: Path | None


class _Log:
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


class History:
    """The numbered changes of all tables, by selection.

    `number` is that of the last change.  A log begins with its first follower, and ends when the last one is
    gone for so long that nobody could go on from there.
    """

    __slots__ = ("_limit", "_logs", "_tables", "number", "readers")

    def __init__(
        self,
        tables: Mapping[Family, Table],
        readers: Readers,
        limit: int = HISTORY,
    ) -> None:
        # No number is 0, so that 0 can be the number of who knows nothing.
        self.number = 1
        self._tables = tables
        self.readers = readers
        self._limit = limit
        self._logs: dict[Selection | None, _Log] = {}

    def __bool__(self) -> bool:
        """Whether anybody wants to hear, or may want to later."""
        return bool(self._logs)

    @property
    def selections(self) -> set[Selection]:
        """The selections whose changes are wanted, beside those of the best paths."""
        return {each for each in self._logs if each is not None and each != BEST}

    def note(self, family: Family, best: Changes, several: Mapping[Selection, Changes]) -> None:
        """Take note of what a flush changed."""
        for selection, log in self._logs.items():
            if selection is not None:
                changes = best if selection == BEST else several[selection]
                number = self.number
                for path, prefixes in changes.fresh.items():
                    log.add(Run(number + 1, family, None, path, prefixes), len(prefixes))
                    number += len(prefixes)
                for (before, now), prefixes in changes.moved.items():
                    log.add(Run(number + 1, family, before, now, prefixes), len(prefixes))
                    number += len(prefixes)
                log.idle = 0 if log.followers else log.idle + number - self.number
                self.number = number
        self._wake()

    def remark(self, value: object) -> None:
        """Take note of something else, for all followers."""
        self.number += 1
        for log in self._logs.values():
            log.add(Remark(self.number, value), 1)
            log.idle = 0 if log.followers else log.idle + 1
        self._wake()

    def _wake(self) -> None:
        for selection, log in list(self._logs.items()):
            if log.idle > self._limit:
                del self._logs[selection]
            for follower in log.followers:
                follower.wake()

    def follow(
        self,
        interest: Interest,
        since: int | None = None,
        limit: int = BACKLOG,
        wake: Callable[[], object] = lambda: None,
    ) -> "Follower":
        """Return a follower that knows what happened up to the change `since`, or else nothing.

        `limit`: of so many routes it may keep the news.  `wake` is called when there may be something to
        take."""
        log = self._logs.get(interest.selection)
        if log is None:
            log = self._logs[interest.selection] = _Log(self.number, self._limit)
        follower = Follower(self, log, interest, limit, wake)
        if since is None:
            follower.begin("a new watch")
        elif since > self.number:
            follower.begin(f"there is no change {since} yet")
        elif since < log.floor:
            follower.sequence = since
            follower.begin(f"what followed change {since} is not remembered any more")
        else:
            follower.resume(since)
        log.followers.add(follower)
        return follower

    def snapshot(self, interest: Interest) -> Iterator[tuple[Family, bytes, Path]]:
        """Yield all that somebody is interested in, as of now; the tables must not change meanwhile."""
        selection, match = interest.selection, interest.matcher()
        for family in interest.families if selection is not None else ():
            table = self._tables[family]
            prefixes: Iterable[bytes] = table.entries
            if interest.exact is not None:
                prefixes = (interest.exact,)
            elif match is not None:
                prefixes = match(prefixes)
            for prefix in prefixes:
                for path in table.selected(selection, table.paths(prefix) or None):
                    if interest.wants(path):
                        yield family, prefix, path

    def walk(self, interest: Interest) -> list[tuple[Family, "_Walk"]]:
        """Return walks through all that somebody is interested in."""
        if interest.selection is None:
            return []
        return [(family, self._walk(family, interest)) for family in interest.families]

    def _walk(self, family: Family, interest: Interest) -> "_Walk":
        table, selection, match = self._tables[family], interest.selection, interest.matcher()
        if interest.exact is not None:
            return _Spot(table, interest, interest.exact)

        def rows(path: Path, some: list[bytes]) -> list[tuple[Path, list[bytes]]]:
            selected = table.prefixes(path, selection, some if match is None else match(some))
            return [(path, selected)] if selected else []

        return Walk(table, interest.wants, rows)


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


_Walk = Walk[tuple[Path, list[bytes]]] | _Spot


class Follower:
    """Somebody who is told of changes, as it takes them.

    `sequence`: who knows all up to what was taken last can go on behind that number.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_backlog",
        "_begun",
        "_history",
        "_limit",
        "_log",
        "_lost",
        "_match",
        "_news",
        "_offset",
        "_reading",
        "_synced",
        "_walks",
        "interest",
        "sequence",
        "wake",
    )

    def __init__(
        self, history: History, log: _Log, interest: Interest, limit: int, wake: Callable[[], object]
    ) -> None:
        self.interest = interest
        self.sequence = 0
        self.wake = wake
        self._history = history
        self._log = log
        self._limit = limit
        self._match = interest.matcher()
        # What is to be taken first, in this order: what is ready, the latest news of routes whose entries
        # have left the log, the log from `_at` on, and what the walks have not come to.
        self._news: deque[News] = deque()
        self._backlog: dict[_Key, _Latest | Remark] = {}
        self._at, self._offset = log.end, 0
        self._walks: deque[tuple[Family, _Walk]] = deque()
        # Where in the log was the end when the walk through a table began: what is before is not to be told,
        # and nothing of a table to which no walk has come.
        self._begun: dict[Family, int] = {}
        self._reading: _Walk | None = None  # the walk whose next step waits for a flush
        self._synced = False
        self._lost: int | None = None

    def begin(self, reason: str) -> None:
        """Tell all that is there, and from then on what changes."""
        self._news = deque((Began(reason),))
        self._at, self._offset = self._log.end, 0
        self._begun = {}
        self._walks = deque(self._history.walk(self.interest))
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
                self._history.readers.read(family, partial(self._step, family, walk))
            if self._reading is not None:
                return None
            return self._news.popleft() if self._news else self._empty
        if not self._synced:
            self._synced = True
            self.sequence = self._history.number
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

    def _step(self, family: Family, walk: "_Walk") -> None:
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
