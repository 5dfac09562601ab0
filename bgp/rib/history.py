"""What happened to the routes lately, numbered, and those who follow it at their own pace.

A flush is noted as it comes: run by run, many prefixes at once that changed alike.  Nothing is copied for a
follower; each has a place in the log and reads on from there, so one who keeps up costs nothing here.  The
log is bounded.  Of what a follower has not read when it is let go, the follower keeps the latest news of each
route, so that for a route which changes again and again there is one change to tell; and where even that
becomes too much it keeps nothing, is told that it has lagged, and begins anew with all that is there.

So everything that is kept for a follower is bounded, and what it is told adds up to the table, always.
"""

from collections.abc import Callable, Iterator, Mapping

from bgp.family import Family
from bgp.rib import inventory
from bgp.rib.changes import Changes
from bgp.rib.follower import Follower, Log
from bgp.rib.interest import Interest
from bgp.rib.news import Remark, Run
from bgp.rib.path import Path
from bgp.rib.readers import Readers
from bgp.rib.selection import BEST, Selection
from bgp.rib.table import Table

# So many changes are remembered for followers that come later, and for those that do not keep up.
HISTORY = 1 << 17
# So many routes with news a follower may have that are not in the log any more.
BACKLOG = 1 << 16


class History:
    """The numbered changes of all tables, by selection.

    `number` is that of the last change.  A log begins with its first follower, and ends when the last one is
    gone for so long that nobody could go on from there.
    """

    __slots__ = ("_limit", "_logs", "number", "readers", "tables")

    def __init__(
        self,
        tables: Mapping[Family, Table],
        readers: Readers,
        limit: int = HISTORY,
    ) -> None:
        # No number is 0, so that 0 can be the number of who knows nothing.
        self.number = 1
        self.tables = tables
        self.readers = readers
        self._limit = limit
        self._logs: dict[Selection | None, Log] = {}

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
    ) -> Follower:
        """Return a follower that knows what happened up to the change `since`, or else nothing.

        `limit`: of so many routes it may keep the news.  `wake` is called when there may be something to
        take."""
        log = self._logs.get(interest.selection)
        if log is None:
            log = self._logs[interest.selection] = Log(self.number, self._limit)
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
        return inventory.snapshot(self.tables, interest)
