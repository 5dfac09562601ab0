"""How late the event loop runs: the one number that tells whether everything else gets its turn.

A timer that should fire at a known moment is compared with the moment it did.  Lateness is counted in
buckets that double, so that a percentile of days costs a few integers.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable

# Upper bounds of the buckets in seconds: 0.1 ms, then doubling, to 3.4 s; beyond is the last one.
BOUNDS = tuple(0.0001 * (1 << exponent) for exponent in range(16))


class LoopLag:
    """Sample how late the running loop is; `notice` hears of each sample of at least `threshold` seconds."""

    def __init__(
        self,
        interval: float = 0.05,
        notice: Callable[[float], None] | None = None,
        threshold: float = 0.1,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._notice = notice
        self._threshold = threshold
        self._expected = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.maximum = self.total = 0.0
        self.samples = 0
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._arm()

    def stop(self) -> None:
        """Sample no more; the figures stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reset(self) -> None:
        """Forget what was sampled so far."""
        self.maximum = self.total = 0.0
        self.samples = 0
        self._buckets = [0] * (len(BOUNDS) + 1)

    @property
    def buckets(self) -> tuple[int, ...]:
        """How many samples were up to each of BOUNDS but not up to the one before, and beyond the last."""
        return tuple(self._buckets)

    def percentile(self, share: float) -> float:
        """Return the lateness in seconds that `share` (0.0 to 1.0) of the samples did not exceed."""
        wanted = share * self.samples
        seen = 0
        for bound, count in zip(BOUNDS, self._buckets, strict=False):
            seen += count
            if seen >= wanted:
                return min(bound, self.maximum)
        return self.maximum

    def record(self, late: float) -> None:
        """Count one sample."""
        self.samples += 1
        self.total += late
        self.maximum = max(self.maximum, late)
        self._buckets[bisect_left(BOUNDS, late)] += 1
        if self._notice is not None and late >= self._threshold:
            self._notice(late)

    def _arm(self) -> None:
        self._expected = self._loop.time() + self._interval
        self._timer = self._loop.call_at(self._expected, self._fire)

    def _fire(self) -> None:
        late = max(0.0, self._loop.time() - self._expected)
        self._arm()
        self.record(late)
