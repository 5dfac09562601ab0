"""A route that is announced while a check passes: what anycast services and failover addresses want.

The check belongs to the user, so nothing is taken for granted: it may raise, hang, or not even end when it is
canceled.  Whatever it does, a check that does not pass in time counts as a failure, and the next one is due.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from bgp.aio.announcement import Announcement, Announcements, Destination
from bgp.aio.home import Home
from bgp.wire.given import RouteAttributes

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[bool | None]]

# How long the end waits for a check that was canceled, in seconds.
_PATIENCE = 1.0


class HealthCheckedAnnouncement:
    """What `Speaker.health_checked` returns, for one `async with`.

    Within it `check` is awaited, again and again, with `interval` seconds in between.  It passes unless it
    returns False, raises, or takes longer than `timeout` seconds; then it is canceled.  When it passed
    `rise` times in a row the route is announced, and when it failed `fall` times in a row withdrawn.  In
    the end it is withdrawn, before anything is waited for.
    """

    def __init__(
        self,
        home: Home,
        announcements: Announcements,
        prefix: Destination,
        check: Check,
        attributes: RouteAttributes,
        *,
        rise: int,
        fall: int,
        interval: float,
        timeout: float,
    ) -> None:
        """Raise ValueError where something cannot be: a bad attribute must not wait for the check to pass."""
        if not callable(check):
            raise ValueError(f"check: must be an asynchronous function without arguments, not {check!r}")
        for name, number in (("rise", rise), ("fall", fall)):
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"{name}: must be a number of checks, 1 or more, not {number!r}")
        for name, seconds in (("interval", interval), ("timeout", timeout)):
            if not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
                raise ValueError(f"{name}: must be a number of seconds above 0, not {seconds!r}")
        self._key, self._made = announcements.prepare(prefix, attributes)
        self._home = home
        self._announcements = announcements
        self._prefix = prefix
        self._check = check
        self._rise, self._fall = rise, fall
        self._interval, self._timeout = interval, timeout
        self._task: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[bool | None] | None = None
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._down.set()
        self._passed = self._failed = 0
        self.announcement: Announcement | None = None
        self.checks = 0
        self.last_failure = ""

    @property
    def healthy(self) -> bool:
        """Whether the route is announced for its check."""
        return self._up.is_set()

    async def up(self) -> Announcement:
        """Wait until the route is announced; return its handle."""
        self._home.check()
        while self.announcement is None:
            await self._up.wait()
        return self.announcement

    async def down(self) -> None:
        """Wait until the route is not announced."""
        self._home.check()
        await self._down.wait()

    async def __aenter__(self) -> Self:
        self._home.check()
        if self._task is not None:
            raise RuntimeError("it is being checked already")
        self._task = asyncio.create_task(self._run(), name=f"health check of {self._prefix}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._withdraw()
        tasks = {task for task in (self._task, self._checking) if task is not None}
        for task in tasks:
            task.cancel()
        self._task = None
        await asyncio.wait(tasks, timeout=_PATIENCE)

    def __repr__(self) -> str:
        return f"<HealthCheckedAnnouncement {self._prefix} {'up' if self.healthy else 'down'}>"

    # --- the checks --------------------------------------------------------------------------------------
    async def _run(self) -> None:
        try:
            while True:
                self._count(await self._failure())
                await asyncio.sleep(self._interval)
        finally:
            self._withdraw()

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
            if not self.healthy and self._passed >= self._rise:
                self._announce()
            return
        self._passed, self._failed = 0, self._failed + 1
        if self._failed == 1 or failure != self.last_failure:
            logger.warning("%s: the check fails: %s", self._prefix, failure)
        self.last_failure = failure
        if self.healthy and self._failed >= self._fall:
            logger.warning("%s: withdrawn, %d checks failed in a row", self._prefix, self._failed)
            self._withdraw()

    def _announce(self) -> None:
        logger.info("%s: announced, %d checks passed in a row", self._prefix, self._passed)
        self.announcement = self._announcements.place(self._key, self._made)
        self._up.set()
        self._down.clear()

    def _withdraw(self) -> None:
        if self.announcement is not None:
            self.announcement.withdraw()
            self.announcement = None
        self._up.clear()
        self._down.set()


def _ended(task: asyncio.Task[bool | None]) -> None:
    if not task.cancelled():
        task.exception()  # it was looked at, or comes from a check that nobody waits for any more
