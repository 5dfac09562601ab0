"""The timers of one session as deadlines in a dictionary: nothing ticks, the owner asks and tells the time.

RFC 4271 section 10 wants jitter on timers: a factor from 0.75 to 1.0, drawn anew each time a timer is
started.  The timers that judge the peer (HoldTimer, SendHoldTimer) have none, for the peer relies on them.
"""

from collections.abc import Callable

from bgp.session.event import Timer

_JITTERED = frozenset({Timer.CONNECT_RETRY, Timer.KEEPALIVE, Timer.IDLE_HOLD})

# RFC 4271 section 4.4: KEEPALIVEs "MUST NOT be sent more frequently than one per second".
_MINIMUM = {Timer.KEEPALIVE: 1.0}


class Timers:
    """Deadlines of the timers that run; `random` returns a number from 0.0 to 1.0."""

    __slots__ = ("_deadlines", "_random")

    def __init__(self, random: Callable[[], float]) -> None:
        self._deadlines: dict[Timer, float] = {}
        self._random = random

    def arm(self, timer: Timer, seconds: float, now: float) -> None:
        """Start the timer, or start it again."""
        if timer in _JITTERED:
            seconds = max(seconds * (0.75 + 0.25 * self._random()), _MINIMUM.get(timer, 0.0))
        self._deadlines[timer] = now + seconds

    def disarm(self, timer: Timer) -> None:
        """Stop the timer, if it runs."""
        self._deadlines.pop(timer, None)

    def running(self, timer: Timer) -> bool:
        """Return whether the timer runs."""
        return timer in self._deadlines

    def at(self, timer: Timer) -> float | None:
        """Return when the timer expires, or None if it does not run."""
        return self._deadlines.get(timer)

    @property
    def deadline(self) -> float | None:
        """When the next timer expires, or None if none runs."""
        return min(self._deadlines.values(), default=None)

    def due(self, now: float) -> Timer | None:
        """Return the timer that expired first, still running, or None."""
        timer = min(self._deadlines, key=self._deadlines.__getitem__, default=None)
        if timer is None or self._deadlines[timer] > now:
            return None
        return timer
