"""A route that is announced while a check passes: what anycast services and failover addresses want.

The check belongs to the user, so nothing is taken for granted: it may raise, hang, or not even end when it is
canceled.  Whatever it does, a check that does not pass in time counts as a failure, and the next one is due.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[bool | None]]

# What an `Announcement` takes where it is not said.
RISE, FALL, INTERVAL, TIMEOUT = 3, 3, 1.0, 1.0
# How long the end waits for a check that was canceled, in seconds.
_PATIENCE = 1.0


class Health:
    """The check of one announcement, and what became of it; `up` and `down` say which of both it is."""

    def __init__(
        self, name: str, check: Check, rise: int, fall: int, interval: float, timeout: float
    ) -> None:
        """Raise ValueError where something cannot be."""
        if not callable(check):
            raise ValueError(f"check: must be an asynchronous function without arguments, not {check!r}")
        for what, number in (("rise", rise), ("fall", fall)):
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{what}: must be a number of checks, 1 or more, not {number!r}")
        for what, seconds in (("interval", interval), ("timeout", timeout)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise ValueError(f"{what}: must be a number of seconds above 0, not {seconds!r}")
            if not 0 < seconds < float("inf"):
                raise ValueError(f"{what}: must be a number of seconds above 0, not {seconds!r}")
        self._name = name
        self._check = check
        self._rise, self._fall = rise, fall
        self._interval, self._timeout = interval, timeout
        self._announce: Callable[[], None] = _nothing
        self._withdraw: Callable[[], None] = _nothing
        self._task: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[bool | None] | None = None
        self._ending: set[asyncio.Task[None] | asyncio.Task[bool | None]] = set()
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.down.set()
        self._passed = self._failed = 0
        self.checks = 0
        self.last_failure = ""

    @property
    def passes(self) -> bool:
        """Whether the route is announced."""
        return self.up.is_set()

    @property
    def runs(self) -> bool:
        """Whether it is checked, again and again."""
        return self._task is not None

    def start(self, announce: Callable[[], None], withdraw: Callable[[], None]) -> None:
        """Check from now on, and call these when the route is to be announced and withdrawn."""
        self._announce, self._withdraw = announce, withdraw
        self._passed = self._failed = 0
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"health check of {self._name}")

    def stop(self) -> None:
        """Check no more; the route is withdrawn before anything is waited for."""
        self._sink()
        for task in (self._task, self._checking):
            if task is not None and not task.done():
                task.cancel()
                self._ending.add(task)
        self._task = None

    async def ended(self) -> None:
        """Wait for what `stop` has canceled, but not for ever."""
        ending, self._ending = self._ending, set()
        if ending:
            await asyncio.wait(ending, timeout=_PATIENCE)

    # --- the checks --------------------------------------------------------------------------------------
    async def _run(self) -> None:
        try:
            while True:
                self._count(await self._failure())
                await asyncio.sleep(self._interval)
        finally:
            self._sink()

    async def _failure(self) -> str | None:
        """Check once; return what is wrong, None if nothing is."""
        if self._checking is not None and not self._checking.done():
            # It did not even end when it was canceled: no second one beside it.
            return "an earlier check still runs, though it was canceled"
        checking = self._checking = asyncio.ensure_future(self._checked())
        checking.add_done_callback(_ended)
        done, _ = await asyncio.wait({checking}, timeout=self._timeout)
        if not done:
            checking.cancel()
            return f"no answer within {self._timeout:g} s"
        if checking.cancelled():
            return "it was canceled"
        error = checking.exception()
        if error is not None:
            return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return "it says so" if checking.result() is False else None

    async def _checked(self) -> bool | None:
        return await self._check()

    def _count(self, failure: str | None) -> None:
        self.checks += 1
        if failure is None:
            self._passed, self._failed = self._passed + 1, 0
            if not self.passes and self._passed >= self._rise:
                self._raise()
            return
        self._passed, self._failed = 0, self._failed + 1
        if self._failed == 1 or failure != self.last_failure:
            logger.warning("%s: the check fails: %s", self._name, failure)
        self.last_failure = failure
        if self.passes and self._failed >= self._fall:
            logger.warning("%s: withdrawn, %d checks failed in a row", self._name, self._failed)
            self._sink()

    def _raise(self) -> None:
        logger.info("%s: announced, %d checks passed in a row", self._name, self._passed)
        self._announce()
        self.up.set()
        self.down.clear()

    def _sink(self) -> None:
        if self.passes:
            self._withdraw()
        self.up.clear()
        self.down.set()


def _nothing() -> None:
    """Neither announce nor withdraw: it has not started."""


def _ended(task: asyncio.Task[bool | None]) -> None:
    if not task.cancelled():
        task.exception()  # it was looked at, or comes from a check that nobody waits for any more
