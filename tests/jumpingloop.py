"""An event loop for tests whose clock jumps over the time in which nothing would happen."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# How long to look for octets on their way through the loopback before the clock jumps, in seconds.
GRACE = 0.003


class _Selector(selectors.EpollSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= GRACE:
            return super().select(timeout)
        events = super().select(GRACE)
        if not events:
            self.skipped += timeout - GRACE
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """Sockets are real, waiting is not."""

    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return super().time() + self._jumps.skipped


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
