"""Python's cyclic collector, set up for a process that holds millions of long-lived values.

The library makes no reference cycles for its routes: they are freed the moment nobody refers to them.  So
the collector has little to find, and a full pass over a big table would hold up every session.  The young
generations stay small, which bounds their passes to milliseconds; a full pass happens once in a long while,
for what exceptions and connections leave behind, and what was loaded at the start is not looked at again.
"""

import asyncio
import gc
import logging
import time

logger = logging.getLogger(__name__)

# New containers until a pass over them, and such passes until one over their survivors.
YOUNG, MIDDLE = 2_000, 5
NEVER = 1 << 30
FULL_PASS_INTERVAL = 3600.0


class Collector:
    """Tune the cyclic collector for as long as the service runs, on the running loop."""

    def __init__(self, interval: float = FULL_PASS_INTERVAL) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._before = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        self._timer = self._loop.call_later(interval, self._full_pass)

    def stop(self) -> None:
        """Set everything back as it was."""
        self._timer.cancel()
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def _full_pass(self) -> None:
        start = time.perf_counter()
        found = gc.collect()
        logger.debug("the collector freed %d objects in %.0f ms", found, (time.perf_counter() - start) * 1000)
        self._timer = self._loop.call_later(self._interval, self._full_pass)
