"""How often somebody may do something: so many times at once, and then so many times a second.

What a peer asks for may cost a thousand times what the asking does: a connection that comes and goes is told
to all others, a ROUTE-REFRESH is answered with a whole table.  So each peer has its own pace for that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf

from bgp.iana import RouteRefreshSubtype
from bgp.wire.message import RouteRefresh


class Pace:
    """A bucket of `burst` tokens for each of the `size` keys that came last, filled at `rate` a second."""

    def __init__(self, burst: int, rate: float, size: int = 4096) -> None:
        self._burst = burst
        self._rate = rate
        self._size = size
        # When the bucket of a key would have been empty: what is full again need not be remembered.
        self._empty_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._empty_at)

    def wait(self, key: Hashable, now: float) -> float:
        """Take a token, and return 0.0; or return in how many seconds there is one, and take none."""
        full = self._burst / self._rate
        empty_at = max(self._empty_at.get(key, -inf), now - full)
        after = empty_at + 1 / self._rate
        if after > now:
            return after - now
        self._empty_at[key] = after
        self._empty_at.move_to_end(key)
        if len(self._empty_at) > self._size:
            self._empty_at.popitem(last=False)
        return 0.0


# A session may ask for so many tables at once, and for one in so many seconds after that.
_REFRESHES, _INTERVAL = 4, 10.0


class Refreshes:
    """Passes on a session's requests for routes, not more often than it may ask.

    Requests of a family that have to wait are one.
    """

    __slots__ = ("_answer", "_loop", "_pace", "_timer", "_waiting")

    def __init__(self, answer: Callable[[RouteRefresh], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._pace = Pace(_REFRESHES, 1 / _INTERVAL, 1)
        self._waiting: dict[tuple[int, int], RouteRefresh] = {}
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, message: RouteRefresh) -> None:
        """Pass on a ROUTE-REFRESH, a request when it is due."""
        if message.subtype == RouteRefreshSubtype.REQUEST:
            self._waiting.setdefault((message.afi, message.safi), message)
            if self._timer is None:
                self._next()
        else:
            self._answer(message)

    def stop(self) -> None:
        """Pass on nothing more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        while self._waiting:
            wait = self._pace.wait(None, self._loop.time())
            if wait:
                self._timer = self._loop.call_later(wait, self._next)
                return
            self._answer(self._waiting.pop(next(iter(self._waiting))))
