"""Looking at single peers: their messages in the log, decoded, for a while and with measure; and captures.

What is asked for with a peer in mind also holds for the one that comes in its place, from the same listen
range with the same address, and before any has come.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from bgp.aio.peer import Peer
from bgp.aio.tap import Messages, Tap, Tapped, TappedEnd, TappedMessage
from bgp.iana import MessageType
from bgp.tools import json_form, text_form
from reflector.logs.log import said
from reflector.logs.restraint import Bucket, Rate
from reflector.show.messages import text_of

if TYPE_CHECKING:
    from bgp.speaker import Speaker

logger = logging.getLogger(__name__)
# Whoever turns it on wants to see it, whatever the level of the log is.
logger.setLevel(logging.DEBUG)

Who = Peer | IPv4Address | IPv6Address
Row = dict[str, Any]

# For how long, in seconds, unless somebody says.
USUAL = 300.0
# Decoding takes the loop's time: so many messages, and octets, at once and a second.
_MESSAGES, _OCTETS = Rate(200, 50), Rate(1 << 17, 1 << 15)
# One that is longer is told of, but not decoded.
_LONGEST = 8192
# Of each message, so many lines.
_MOST_LINES = 100
# Rows that wait for one who follows.
_WAITING = 1000


def name_of(who: Who) -> str:
    """Return what a peer, or one that may come, is called."""
    return who.name if isinstance(who, Peer) else str(who)


def tap_of(speaker: "Speaker", who: Who) -> Callable[[Callable[[Tapped], None]], Tap]:
    """Return what taps it."""
    return who.tap if isinstance(who, Peer) else partial(speaker.tap, who)


class Follower:
    """Reads the rows of a debug as they come; who is too slow misses some, which are counted."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()
        self._more = asyncio.Event()
        self._over = False
        self._missed = 0

    def put(self, row: Row) -> None:
        """Add a row, if there is room."""
        if len(self._rows) >= _WAITING:
            self._missed += 1
            return
        self._rows.append(row)
        self._more.set()

    def finish(self) -> None:
        """Let it end behind the last row."""
        self._over = True
        self._more.set()

    async def rows(self) -> AsyncIterator[Row]:
        """Yield the rows."""
        while True:
            while self._rows:
                yield self._rows.popleft()
            if self._missed:
                missed, self._missed = self._missed, 0
                yield {"suppressed": missed}
            if self._over:
                return
            self._more.clear()
            await self._more.wait()


class Debug:
    """The messages of one peer, in the log and for who follows, until it ends."""

    def __init__(self, name: str, messages: Messages, over: "Callable[[Debug], None]") -> None:
        self.name = name
        self.until = 0.0  # on the wall clock
        self.shown = 0
        self.suppressed = 0
        self.keepalives = False
        self.detached = False
        self.followers: set[Follower] = set()
        self._over = over
        self._messages = messages
        self._unsaid = 0  # of what was suppressed
        self._lost = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        now = self._loop.time()
        self._rates = Bucket(_MESSAGES, now), Bucket(_OCTETS, now)
        self._task = self._loop.create_task(self._run())

    def extend(self, seconds: float) -> None:
        """End in so many seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self.until = time.time() + seconds
        self._timer = self._loop.call_later(seconds, self.end, "the time is over")
        text = f"{self.name}: its messages are logged for {seconds:g} s"
        logger.info("%s", text, extra=said("debug", peer=self.name, on=True, seconds=seconds))

    def end(self, why: str) -> None:
        """Log no more of it."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._messages.close()
        self._task.cancel()
        self._say_suppressed()
        for follower in self.followers:
            follower.put({"over": why, "shown": self.shown, "suppressed": self.suppressed})
            follower.finish()
        self._over(self)
        text = f"{self.name}: its messages are not logged any more: {why}"
        logger.info("%s", text, extra=said("debug", peer=self.name, on=False, reason=why))

    async def _run(self) -> None:
        while (tapped := await self._messages.next()) is not None:
            try:
                self._take(tapped)
            except Exception:
                logger.exception("internal error in showing a message")
            # One decoded message in a turn of the loop.
            await asyncio.sleep(0)

    def _take(self, tapped: Tapped) -> None:
        if isinstance(tapped, TappedEnd):
            row: Row = {"time": tapped.time, "peer": self.name, "ended": str(tapped.conversation.remote)}
            self._tell(row, f"{self.name}: the TCP connection with {tapped.conversation.remote} is over")
            return
        if tapped.type == MessageType.KEEPALIVE and not self.keepalives:
            return
        lost, self._lost = self._messages.lost - self._lost, self._messages.lost
        messages, octets = self._rates
        now = self._loop.time()
        # More octets than there are tokens are taken all the same, and owed.
        crowded = messages.tokens(now) < 1 or octets.tokens(now) < 1
        self._unsaid += lost + crowded
        self.suppressed += lost + crowded
        if crowded:
            return
        messages.take()
        octets.take(len(tapped.octets))
        self._say_suppressed()
        self.shown += 1
        row = message_row(tapped)
        self._tell(row, f"{self.name} {text_of(row)}")

    def _say_suppressed(self) -> None:
        if self._unsaid:
            unsaid, self._unsaid = self._unsaid, 0
            row = {"time": time.time(), "peer": self.name, "suppressed": unsaid}
            self._tell(row, f"{self.name}: {unsaid} messages were too many to be shown")

    def _tell(self, row: Row, text: str) -> None:
        fields = {key: value for key, value in row.items() if key not in ("time", "lines")}
        extra = said("message", **fields) | {"measured": True}
        logger.debug("%s", text, extra=extra)
        for follower in self.followers:
            follower.put(row)


class Debugs:
    """Which peers are looked at just now."""

    def __init__(self, speaker: "Speaker") -> None:
        self._speaker = speaker
        self._debugs: dict[str, Debug] = {}
        self.captures: Counter[str] = Counter()

    def begin(self, who: Who, seconds: float, *, keepalives: bool) -> Debug:
        """Log the messages of a peer for so many seconds from now on."""
        name = name_of(who)
        debug = self._debugs.get(name)
        if debug is None:
            messages = Messages(tap_of(self._speaker, who))
            debug = self._debugs[name] = Debug(name, messages, self._forget)
        debug.keepalives = debug.keepalives or keepalives
        debug.extend(seconds)
        return debug

    def of(self, name: str) -> Debug | None:
        """Return what is there about a peer."""
        return self._debugs.get(name)

    def stop(self) -> None:
        """End all."""
        for debug in list(self._debugs.values()):
            debug.end("the service ends")

    def _forget(self, debug: Debug) -> None:
        self._debugs.pop(debug.name, None)


def message_row(tapped: TappedMessage) -> Row:
    """Return a message as a report has it: its JSON form, and the readable one in `lines`."""
    conversation, octets = tapped.conversation, tapped.octets
    row: Row = {
        "time": tapped.time,
        "peer": conversation.peer,
        "address": str(conversation.remote.address),
        "direction": "out" if tapped.sent else "in",
    }
    if tapped.recalled:
        row["recalled"] = True
    if len(octets) > _LONGEST:
        row["length"] = len(octets)
        row["lines"] = [f"a message of {len(octets)} octets, too long for this: see `reflector capture`"]
        return row
    told = json_form.read(octets, tapped.context)
    lines = list(text_form.lines(octets, tapped.context, told))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"      and {len(lines) - _MOST_LINES} lines more"]
    return row | {"message": told, "lines": lines}
