"""What happens to peers, told to whoever wants to know, in bounded memory.

A listener that does not keep up loses the oldest events and is told so: silence would look like peace.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from bgp.aio import arguments
from bgp.aio.home import Home

if TYPE_CHECKING:
    from bgp.aio.peer import Peer
    from bgp.family import Family
    from bgp.session.event import State
    from bgp.wire.message import Notification

logger = logging.getLogger(__name__)


class EventKind(Enum):
    """The sorts of `PeerEvent`."""

    ADDED = "added"
    STATE = "state"  # the state of the peer's most advanced connection changed
    DOWN = "down"  # a connection ended; `text` says why
    END_OF_RIB = "end-of-rib"  # the peer has sent all its routes of `family` (RFC 4724 section 2)
    REFRESH = "refresh"  # the peer asks for routes of `family` again, or sends its own again
    LIMIT = "limit"  # the peer's routes of `family` have come to a threshold, or to their maximum
    GUARD = "guard"  # routes of `family` were announced against the peer's guard; at most one a minute
    ERROR = "error"  # an UPDATE was malformed, and the session goes on (RFC 7606); at most one a minute
    ALARM = "alarm"  # something that only a human can put right
    REMOVED = "removed"
    LAGGED = "lagged"  # the listener was too slow: `lost` events are missing here


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """Something that happened to `peer` (None for LAGGED); `time` is that of the wall clock.

    With DOWN, `sent` and `received` are the NOTIFICATION that ended the connection, if there was one.
    """

    kind: EventKind
    peer: "Peer | None" = None
    state: "State | None" = None
    previous: "State | None" = None
    text: str = ""
    lost: int = 0
    time: float = field(default_factory=time.time)
    family: "Family | None" = None
    sent: "Notification | None" = None
    received: "Notification | None" = None


class Events:
    """Deliver events to callbacks and to any number of bounded iterators."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[PeerEvent], None]] = []
        self._watchers: set[Watcher] = set()
        self._waiting: list[PeerEvent] = []

    def call(self, callback: Callable[[PeerEvent], None]) -> None:
        """Call `callback` with each event from now on; what it raises is logged."""
        self._callbacks.append(callback)

    def emit(self, event: PeerEvent) -> None:
        """Tell everyone, callbacks in the next turn: they may call whatever they like."""
        for watcher in self._watchers:
            watcher.put(event)
        if self._callbacks:
            self._waiting.append(event)
            if len(self._waiting) == 1:
                asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        events, self._waiting = self._waiting, []
        for event in events:
            for callback in self._callbacks:
                try:
                    callback(event)
                except Exception:
                    logger.exception("a callback for peer events failed")

    def watch(self, limit: int) -> "Watcher":
        """Return an asynchronous iterator over the events from now on, holding at most `limit` of them."""
        watcher = Watcher(self._watchers.discard, limit)
        self._watchers.add(watcher)
        return watcher

    def close(self) -> None:
        """End all iterators behind their last event."""
        self._call()
        for watcher in list(self._watchers):
            watcher.finish()
        self._watchers.clear()


class Watcher(AsyncIterator[PeerEvent]):
    """An asynchronous iterator over events; `close` it, or use it in a `with`, when done early."""

    def __init__(self, forget: "Callable[[Watcher], None]", limit: int) -> None:
        arguments.whole("limit", limit, 1)
        self._forget = forget
        self._home = Home.here()
        self._events: deque[PeerEvent] = deque(maxlen=limit)
        self._lost = 0
        self._more = asyncio.Event()
        self._ended = False

    def put(self, event: PeerEvent) -> None:
        """Add an event, at the price of the oldest one if there is no room."""
        self._lost += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._more.set()

    def finish(self) -> None:
        """Let the iteration end behind the last event."""
        self._ended = True
        self._more.set()

    def close(self) -> None:
        """Hear no more events."""
        self._home.check()
        self._forget(self)
        self._events.clear()
        self.finish()

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> "Watcher":
        return self

    async def __anext__(self) -> PeerEvent:
        self._home.check()
        while True:
            if self._lost:
                lost, self._lost = self._lost, 0
                return PeerEvent(EventKind.LAGGED, lost=lost, text=f"{lost} events were lost")
            if self._events:
                return self._events.popleft()
            if self._ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
