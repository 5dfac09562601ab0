"""One turn of the event loop: what may happen in it, in which order, and for how long.

Octets are received as they arrive until the turn's share of time is used up; who comes later in the turn
waits in line, not reading, so that TCP holds the peer back.  At the start of the next turn those in line go
first; then changes that belong together are applied, and nothing else happens in a turn that does not see
their end; then the router does a slice of its long jobs and turns what changed into messages, once however
many peers changed something; members that have taken all so far get what is new to all of them; then
members with room towards their sockets pull, one chunk each in rotation.  Each of these steps has its own
share of time, so no peer, and no number of them, keeps timers and others waiting.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Protocol

from bgp.export.listener import Taker

logger = logging.getLogger(__name__)

# The share of a turn in seconds.
SLICE = 0.005
# The router's jobs are asked for in portions well below that.
QUOTA = 512
# What many are told alike goes out in portions of so many octets, and to so many between two looks at the
# time.
SHARE = 65536
_TAKERS = 32
# After a bug what is left undone is tried again, but not at once: it may be there for good.
_RETRY = 1.0
# Changes of a batch between two looks at the time.
_CHANGES = 64


class Job(Protocol):
    """What the router does here."""

    @property
    def resting(self) -> bool:
        """Whether no member has anything to pull."""

    def work(self, quota: int) -> bool:
        """Do about `quota` prefixes of the long jobs; return whether more is left."""

    @property
    def deadline(self) -> float | None:
        """When to flush, though nothing else happens."""

    def flush(self, now: float) -> bool:
        """Turn pending changes into messages; return whether a member should be asked again soon."""

    def share(self, limit: int) -> Iterable[tuple[bytes, Sequence[Taker]]]:
        """Return messages that many members are told alike, with who takes them."""


class Party(Protocol):
    """A connection, as far as turns are concerned."""

    def receive_slice(self) -> bool:
        """Process a quota of what arrived; return whether more is left."""

    def send_chunk(self) -> bool:
        """Send a chunk if there is one and the socket has room; return whether there may be more."""


class Batch(Protocol):
    """Changes that belong into one flush, however many turns it takes to apply them."""

    def slice(self, quota: int) -> bool:
        """Apply so many of them; return whether there are more."""

    def flushed(self) -> bool:
        """Hear that all of them are flushed; return whether there is another batch."""


class Turns:
    """Share the loop's turns among parties and the router."""

    def __init__(self, router: Job) -> None:
        self._router = router
        self._spent = 0.0
        self._line: deque[Party] = deque()
        self._senders: dict[Party, None] = {}
        # What many are told alike: the octets, and those who have not got them yet.
        self._shared: deque[tuple[bytes, Iterator[Taker]]] = deque()
        self._batch: Batch | None = None
        # What looks, at the end of a turn, at how far everybody is; it returns whether a turn should follow.
        self.look: Callable[[], bool] | None = None
        self._scheduled: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # not every loop's handles can tell, where that is past
        self._retry: asyncio.TimerHandle | None = None
        self._running = False
        self.failures = 0

    def start(self) -> None:
        """Take turns on the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._running = True
        self.schedule()

    def close(self) -> None:
        """Do nothing any more."""
        self._running = False
        self._line.clear()
        self._senders.clear()
        self._shared.clear()
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry = None

    def may_receive(self) -> bool:
        """Whether there is time left to receive in this turn, and nobody in line."""
        return self._spent < SLICE and not self._line

    def spend(self, seconds: float) -> None:
        """Count time spent on receiving outside of the line, and see that a turn follows."""
        self._spent += seconds
        self.schedule()

    def queue(self, party: Party) -> None:
        """Let `party` receive in a later turn; it stands in line once at most, which it sees to itself."""
        self._line.append(party)
        self.schedule()

    def join(self, party: Party) -> None:
        """Let `party` send from now on."""
        self._senders[party] = None
        self.schedule()

    def leave(self, party: Party) -> None:
        """Ask `party` no more."""
        self._senders.pop(party, None)

    def schedule(self) -> None:
        """See that a turn follows: something changed in the router, or somebody has room again."""
        if self._scheduled is None and self._running:
            self._scheduled = self._loop.call_soon(self._run)

    @property
    def running(self) -> bool:
        """Whether turns are taken."""
        return self._running

    def apply(self, batch: Batch) -> None:
        """Apply a batch in slices, and flush nothing before its end: so nobody sees a part of it."""
        self._batch = batch
        self.schedule()

    def _run(self) -> None:
        self._scheduled = None
        self._receive()
        batch = self._batch
        if batch is not None and self._guard(self._apply):
            self.schedule()
            return
        more = self._guard(self._work)
        more = self._guard(self._flush) or more
        if batch is not None and not self._guard(batch.flushed):
            self._batch = None
        if self._guard(self._share):
            # Who waits for its share must not pull what comes behind that.
            self.schedule()
            return
        if not self._guard(lambda: self._router.resting):
            # A member without room may have something to pull for long: that is no reason for a turn.
            more = self._send() or more
        if self.look is not None:
            more = self._guard(self.look) or more
        if more or self._line:
            self.schedule()

    def _apply(self) -> bool:
        end = self._loop.time() + SLICE
        assert self._batch is not None
        while self._batch.slice(_CHANGES):
            if self._loop.time() >= end:
                return True
        return False

    def _flush(self) -> bool:
        more = self._router.flush(self._loop.time())
        deadline = self._router.deadline
        if self._timer is not None and self._timer_at != deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and deadline is not None:
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._expire)
        return more

    def _expire(self) -> None:
        self._timer = None
        self.schedule()

    def _receive(self) -> None:
        self._spent = 0.0
        start = self._loop.time()
        for _ in range(len(self._line)):
            if not self._line:
                break
            party = self._line.popleft()
            if self._guard(party.receive_slice):
                self._line.append(party)
            self._spent = self._loop.time() - start
            if self._spent >= SLICE:
                break

    def _work(self) -> bool:
        end = self._loop.time() + SLICE
        while self._router.work(QUOTA):
            if self._loop.time() >= end:
                return True
        return False

    def _share(self) -> bool:
        """Hand out what many are told alike until time is up; return whether there is more."""
        shared = self._shared
        shared.extend((octets, iter(takers)) for octets, takers in self._router.share(SHARE))
        start = self._loop.time() if shared else 0.0
        while shared:
            octets, takers = shared[0]
            now = self._loop.time()
            if now >= start + SLICE:
                return True
            some = list(islice(takers, _TAKERS))
            for taker in some:
                try:
                    taker.take(octets, now)
                except Exception:
                    self.failures += 1
                    logger.exception("internal error in sending")
                    taker.fail()
            if len(some) < _TAKERS:
                shared.popleft()
        return False

    def _send(self) -> bool:
        """Let the senders send in rotation until they have nothing, or time is up; True for the latter."""
        end = self._loop.time() + SLICE
        ready = list(self._senders)
        while ready:
            again = []
            for party in ready:
                if party not in self._senders:
                    continue  # its session ended meanwhile
                if self._guard(party.send_chunk):
                    again.append(party)
                if self._loop.time() >= end:
                    self._rotate(party)
                    return True
            ready = again
        return False

    def _rotate(self, last: Party) -> None:
        """Let the next turn begin behind `last`."""
        senders = self._senders
        if last in senders:
            # Those up to `last` are few of thousands.
            served = [*takewhile(lambda each: each is not last, senders), last]
            for party in served:
                senders[party] = senders.pop(party)

    def _guard(self, step: Callable[[], bool]) -> bool:
        """Take a step; an exception in it is a bug, and must not end the turns."""
        try:
            return step()
        except Exception:
            self.failures += 1
            logger.exception("internal error in a turn of the loop")
            if self._retry is None and self._running:
                self._retry = self._loop.call_later(_RETRY, self._try_again)
            return False

    def _try_again(self) -> None:
        self._retry = None
        self.schedule()
