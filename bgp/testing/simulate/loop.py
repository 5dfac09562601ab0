"""An event loop in virtual time: nobody waits, the clock jumps to the next thing that happens.

It knows callbacks, timers and the sockets of `bgp.testing.simulate.net`, and nothing of the kernel: what asks
it for more raises NotImplementedError.  The order of all that happens is that in which it was asked for, so
the same program does the same again.

While a callback runs no time passes, as if processors were infinitely fast.  With `lag` each look at the
clock may take time, so that work that is cut into slices by the clock is cut at other places.  With
`shuffle` sockets that are ready at the same time have their turn in another order.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
_Args = TypeVarTuple("_Args")

_Context = contextvars.Context | None
# More turns than that, and no time passed: a livelock.
_MOST_TURNS = 100_000


class Readiness(Protocol):
    """A socket, as the loop sees it."""

    reader: asyncio.Handle | None
    writer: asyncio.Handle | None

    def readable(self) -> bool:
        """Whether to call its reader."""

    def writable(self) -> bool:
        """Whether to call its writer."""

    def connect(self, address: tuple[Any, ...], done: asyncio.Future[None]) -> None:
        """Begin to connect, and tell what comes of it."""


class Stalled(RuntimeError):
    """Time would never pass again: nothing is going to happen, or the same thing again and again."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Run callbacks, timers and sockets of the simulated network; the clock begins at 0."""

    def __init__(
        self,
        lag: Callable[[], float] | None = None,
        shuffle: Callable[[list[Readiness]], None] | None = None,
    ) -> None:
        self._now = 0.0
        self._shuffle = shuffle
        self._lag = lag
        self._ready: deque[asyncio.Handle] = deque()
        # Numbers keep equal times in the order in which they were asked for, and comparisons in C.
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self._canceled = 0
        # What happens in the network, apart from timers since it is never canceled.
        self._coming: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        # Sockets that may be ready for their callbacks.
        self._looked_at: dict[Readiness, None] = {}
        self._turns, self._turned_at = 0, 0.0
        self._stopping = False
        self._running = False
        self._closed = False
        self.failures: list[dict[str, Any]] = []

    # --- time and callbacks ----------------------------------------------------------------------------
    def time(self) -> float:
        if self._lag is not None:
            self._now += self._lag()
        return self._now

    @property
    def now(self) -> float:
        """The time, without any time passing for the look at it."""
        return self._now

    def call_soon(
        self, callback: Callable[[Unpack[_Args]], object], *args: *_Args, context: _Context = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[_Args]], object], *args: *_Args, context: _Context = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Args]], object],
        *args: *_Args,
        context: _Context = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Args]], object],
        *args: *_Args,
        context: _Context = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def happen(self, when: float, what: Callable[..., None], *args: Any) -> None:
        """Let something happen in the network at that time."""
        self._number += 1
        heapq.heappush(self._coming, (when, self._number, what, args))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Hear from asyncio's handle that it was canceled."""
        self._canceled += 1
        if self._canceled > 100 and self._canceled * 2 > len(self._timers):
            self._timers[:] = [each for each in self._timers if not each[2].cancelled()]
            heapq.heapify(self._timers)
            self._canceled = 0

    @property
    def waiting(self) -> list[asyncio.TimerHandle]:
        """The timers that are armed."""
        return [handle for _, _, handle in self._timers if not handle.cancelled()]

    # --- sockets ---------------------------------------------------------------------------------------
    def look_at(self, sock: Readiness) -> None:
        """Hear that `sock` may be ready."""
        self._looked_at[sock] = None

    def add_reader(self, fd: Any, callback: Callable[[Unpack[_Args]], Any], *args: *_Args) -> None:
        fd.reader = asyncio.Handle(callback, args, self, None)
        self._looked_at[fd] = None

    def remove_reader(self, fd: Any) -> bool:
        return _removed(fd, "reader")

    def add_writer(self, fd: Any, callback: Callable[[Unpack[_Args]], Any], *args: *_Args) -> None:
        fd.writer = asyncio.Handle(callback, args, self, None)
        self._looked_at[fd] = None

    def remove_writer(self, fd: Any) -> bool:
        return _removed(fd, "writer")

    async def sock_connect(self, sock: Any, address: Any) -> None:
        done = self.create_future()
        sock.connect(address, done)
        try:
            await done
        finally:
            del done  # what it raises must not hold it

    # --- running ---------------------------------------------------------------------------------------
    def run_forever(self) -> None:
        if self._closed or self._running:
            raise RuntimeError("the loop is closed or runs already")
        self._running = True
        asyncio._set_running_loop(self)
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._stopping = self._running = False
            asyncio._set_running_loop(None)

    def run_until_complete(self, future: Any) -> Any:
        task: asyncio.Future[Any] = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(self._end)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._end)
        return task.result()

    def _end(self, _: asyncio.Future[Any]) -> None:
        self._stopping = True

    def stop(self) -> None:
        self._stopping = True

    def _turn(self) -> None:
        """Take one turn: what is ready, after a jump of the clock if nothing is."""
        ready, timers, coming = self._ready, self._timers, self._coming
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self._canceled -= 1
        if not ready and not self._looked_at:
            if not timers and not coming:
                raise Stalled("nothing happens any more")
            first = min(timers[0][0] if timers else coming[0][0], coming[0][0] if coming else timers[0][0])
            self._now = max(self._now, first)
        now = self._now
        self._turns = self._turns + 1 if now == self._turned_at else 0
        self._turned_at = now
        if self._turns > _MOST_TURNS:
            raise Stalled("what happens at this moment never ends")
        while coming and coming[0][0] <= now:
            _, _, what, args = heapq.heappop(coming)
            what(*args)
        looked_at = list(self._looked_at)
        if self._shuffle is not None:
            self._shuffle(looked_at)
        for sock in looked_at:
            busy = False
            if sock.reader is not None and sock.readable():
                ready.append(sock.reader)
                busy = True
            if sock.writer is not None and sock.writable():
                ready.append(sock.writer)
                busy = True
            if not busy:
                del self._looked_at[sock]
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if timer.cancelled():
                self._canceled -= 1
            else:
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    # --- what asyncio asks of a loop ---------------------------------------------------------------------
    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        self._coming.clear()
        self._looked_at.clear()

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: what is not exhausted goes with the simulation."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing: there is none."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, **options)

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Have no debug mode."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what went wrong in a callback: the simulation fails by it."""
        self.failures.append(context)


def _removed(sock: Any, which: str) -> bool:
    handle = getattr(sock, which)
    if handle is None:
        return False
    handle.cancel()
    setattr(sock, which, None)
    return True
