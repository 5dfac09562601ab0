"""Taps: whoever wants to see the messages of a peer, as they go over the wire, in both directions.

A tap hears the octets between a connection and the kernel: of what we send, those that the kernel took, in
the order in which it did, and of what the peer sends, those that we read.  It is put there when somebody
listens, in place of the socket's own `recv` and `send`, and taken away again; so who is not listened to pays
nothing, not even a question.

The octets of each direction are cut into messages without being judged.  Where a tap comes to a session that
is there already, it is told both OPENs of that first, from memory, since they say how to read all that
follows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from bgp.aio import arguments
from bgp.aio.address import Endpoint
from bgp.aio.home import Home
from bgp.errors import Notify
from bgp.iana import EXTENDED_MESSAGE_LENGTH, HEADER_LENGTH, MessageType
from bgp.session.config import SessionConfig
from bgp.wire.context import Context
from bgp.wire.cut import Cutter
from bgp.wire.message import Open, decode_open, encode
from bgp.wire.overheard import learned

if TYPE_CHECKING:
    from bgp.aio.link import Link
    from bgp.aio.peer import Peer
    from bgp.aio.stream import Stream

logger = logging.getLogger(__name__)

# What waits for a slow reader of `Messages`, in octets; each message counts as some octets more.
LIMIT = 4 << 20
_OVERHEAD = 200


@dataclass(frozen=True, slots=True)
class Conversation:
    """A TCP connection of a peer: `number` tells a speaker's connections apart."""

    number: int
    peer: str
    incoming: bool
    local: Endpoint
    remote: Endpoint


@dataclass(frozen=True, slots=True)
class TappedMessage:
    """A message as it went over the wire, header included, at a `time` of the wall clock.

    `sent`: by us.  `position` is that of its first octet among all of its direction.  `context` is what its
    receiver knows, for `bgp.wire.update.decode` or `bgp.tools`.  `recalled`: an OPEN of the session that was
    there before the tap, told from memory.  At the end of a connection, `octets` may be a part of a message.
    """

    conversation: Conversation
    sent: bool
    time: float
    position: int
    octets: bytes
    context: Context
    recalled: bool = False

    @property
    def type(self) -> int:
        """The message's type, as in its header; 0 where it has none."""
        return self.octets[HEADER_LENGTH - 1] if len(self.octets) >= HEADER_LENGTH else 0


@dataclass(frozen=True, slots=True)
class TappedEnd:
    """A TCP connection is over on our side; `aborted`: by a RST, and not by a FIN."""

    conversation: Conversation
    time: float
    aborted: bool


Tapped = TappedMessage | TappedEnd


class Tap:
    """Has `callback` called with each message of some peers; `close` it, or use it in a `with`, when done.

    The callback must be quick, and must not call back into the speaker; what it raises closes the tap.
    """

    def __init__(
        self, taps: "Taps", callback: Callable[[Tapped], None], wants: "Callable[[Peer], bool]"
    ) -> None:
        self._taps = taps
        self._home = Home.here()
        self._ears: set[Ear] = set()
        self._closed = False
        self.callback = callback
        self.wants = wants

    def tell(self, tapped: Tapped) -> None:
        """Pass on what was heard."""
        if self._closed:
            return
        try:
            self.callback(tapped)
        except Exception:
            logger.exception("a tap failed, and hears no more")
            self.close()

    def join(self, ear: "Ear") -> None:
        """Hear what `ear` does."""
        self._ears.add(ear)

    def leave(self, ear: "Ear") -> None:
        """Hear of a connection no more that is over."""
        self._ears.discard(ear)

    def close(self) -> None:
        """Hear no more."""
        self._home.check()
        self._closed = True
        self._taps.remove(self)
        for ear in self._ears:
            ear.remove(self)
        self._ears.clear()

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Taps:
    """The taps of a speaker; false while there are none."""

    def __init__(self) -> None:
        self._taps: list[Tap] = []
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._taps)

    def add(self, tap: Tap, peers: "list[Peer]") -> Tap:
        """Let `tap` hear from now on, also what is there already of `peers`."""
        self._taps.append(tap)
        for peer in peers:
            if tap.wants(peer):
                for link in peer.connections:
                    self._put(tap, peer, link)
        return tap

    def remove(self, tap: Tap) -> None:
        """Let it hear of no further connection."""
        if tap in self._taps:
            self._taps.remove(tap)

    def attached(self, peer: "Peer", link: "Link") -> None:
        """Hear that `link` has a TCP connection, of which nothing was sent or read yet."""
        for tap in self._taps:
            if tap.wants(peer):
                self._put(tap, peer, link)

    def _put(self, tap: Tap, peer: "Peer", link: "Link") -> None:
        stream = link.stream
        if stream is None:
            return
        ear = stream.ear
        if not isinstance(ear, Ear):
            local, remote = link.local, link.remote
            if local is None or remote is None:
                return  # it is about to be lost
            self._number += 1
            incoming = link.connection.incoming
            conversation = Conversation(self._number, peer.name, incoming, local, remote)
            ear = Ear(conversation, peer.session_config, link, stream)
        ear.add(tap)


class _Way:
    """One direction of a connection."""

    __slots__ = ("base", "context", "cutter", "given", "opened")

    def __init__(self, given: Context, begun: bytes, passed: int) -> None:
        self.given = self.context = given
        self.opened: Open | None = None
        # Longer messages than allowed are cut, too: it is for a decoder to judge them.
        self.cutter = Cutter(EXTENDED_MESSAGE_LENGTH)
        self.cutter.feed(begun)
        self.base = passed - len(begun)

    @property
    def position(self) -> int:
        """Where its next message begins."""
        return self.base + self.cutter.position


class Ear:
    """Hears the octets of one connection, and tells the taps that want them of the messages."""

    def __init__(
        self, conversation: Conversation, config: SessionConfig, link: "Link", stream: "Stream"
    ) -> None:
        self.conversation = conversation
        self._link = link
        self._stream = stream
        self._taps: list[Tap] = []
        given = Context(confederation=config.confederation, aigp=config.aigp, as_sets=True)
        theirs = Context(
            confederation=config.confederation,
            aigp=config.aigp,
            as_sets=config.as_sets,
            first_as=config.first_as,
        )
        self._in = _Way(theirs, link.connection.unread, stream.received)
        self._out = _Way(given, stream.begun, stream.sent)

    def add(self, tap: Tap) -> None:
        """Tell `tap`, too, from now on."""
        if tap in self._taps:
            return
        if not self._taps:
            self._stream.overhear(self)
        self._taps.append(tap)
        tap.join(self)
        self._recall(tap)
        # What we have read and not looked at is as new as what comes.
        self._cut(self._in, time.time())

    def remove(self, tap: Tap) -> None:
        """Tell that one no more."""
        if tap in self._taps:
            self._taps.remove(tap)
        if not self._taps:
            self._stream.overhear(None)

    def received(self, data: bytes) -> None:
        """Hear what was read."""
        self._in.cutter.feed(data)
        self._cut(self._in, time.time())

    def sent(self, data: bytes) -> None:
        """Hear what the kernel took."""
        self._out.cutter.feed(data)
        self._cut(self._out, time.time())

    def ended(self, aborted: bool) -> None:
        """Hear that the connection is over."""
        now = time.time()
        for way in (self._in, self._out):
            at = way.position
            piece = way.cutter.finish()
            if piece is not None:
                self._tell(self._message(way, now, at, piece.octets))
        self._tell(TappedEnd(self.conversation, now, aborted))
        for tap in self._taps:
            tap.leave(self)
        self._taps.clear()

    def _cut(self, way: _Way, now: float) -> None:
        while (piece := way.cutter.next()) is not None:
            self._learn(way, piece.octets)
            self._tell(self._message(way, now, way.base + piece.offset, piece.octets))

    def _message(self, way: _Way, now: float, position: int, octets: bytes) -> TappedMessage:
        return TappedMessage(self.conversation, way is self._out, now, position, octets, way.context)

    def _tell(self, tapped: Tapped) -> None:
        for tap in list(self._taps):
            tap.tell(tapped)

    def _learn(self, way: _Way, octets: bytes) -> None:
        """See whether it is known by now what UPDATEs mean."""
        if octets[HEADER_LENGTH - 1 : HEADER_LENGTH] == bytes((MessageType.OPEN,)):
            try:
                way.opened = decode_open(octets[HEADER_LENGTH:])
            except Notify:
                return
        elif self._in.opened is None or self._out.opened is None:
            negotiated = self._link.negotiated
            if negotiated is None:
                return
            self._in.opened, self._out.opened = negotiated.remote_open, negotiated.local_open
        else:
            return
        self._judge()

    def _judge(self) -> None:
        for way, other in ((self._in, self._out), (self._out, self._in)):
            way.context = learned(way.given, way.opened, other.opened)

    def _recall(self, tap: Tap) -> None:
        """Tell of the OPENs of a session that is there already."""
        negotiated = self._link.negotiated
        if negotiated is None:
            return
        self._in.opened, self._out.opened = negotiated.remote_open, negotiated.local_open
        self._judge()
        now = time.time()
        for way, opened in ((self._out, negotiated.local_open), (self._in, negotiated.remote_open)):
            octets = encode(opened)
            at = max(way.position - len(octets), 0)
            sent = way is self._out
            tap.tell(TappedMessage(self.conversation, sent, now, at, octets, way.context, recalled=True))


class Messages(AsyncIterator[TappedMessage]):
    """An asynchronous iterator over the messages of a tap, without end; `close` it, or use it in a `with`.

    What a slow reader leaves is bounded: beyond `limit` octets what comes is dropped, and counted in `lost`.
    """

    def __init__(self, tap: Callable[[Callable[[Tapped], None]], Tap], limit: int = LIMIT) -> None:
        arguments.whole("limit", limit, 1)
        self._limit = limit
        self._home = Home.here()
        self._waiting: deque[Tapped] = deque()
        self._octets = 0
        self._more = asyncio.Event()
        self._closed = False
        self.lost = 0
        self._tap = tap(self._put)

    def finish(self) -> None:
        """Hear no more, and end the iteration behind what was heard."""
        self._closed = True
        self._tap.close()
        self._more.set()

    def close(self) -> None:
        """Hear no more, and end the iteration."""
        self._waiting.clear()
        self._octets = 0
        self.finish()

    def _put(self, tapped: Tapped) -> None:
        size = _size(tapped)
        if self._octets + size > self._limit:
            self.lost += isinstance(tapped, TappedMessage)
            return
        self._octets += size
        self._waiting.append(tapped)
        self._more.set()

    async def next(self) -> Tapped | None:
        """Return the next message or end of a connection; None when closed."""
        self._home.check()
        while not self._waiting:
            if self._closed:
                return None
            self._more.clear()
            await self._more.wait()
        tapped = self._waiting.popleft()
        self._octets -= _size(tapped)
        return tapped

    def __enter__(self) -> "Messages":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> "Messages":
        return self

    async def __anext__(self) -> TappedMessage:
        while (tapped := await self.next()) is not None:
            if isinstance(tapped, TappedMessage):
                return tapped
        raise StopAsyncIteration


def of_address(address: IPv4Address | IPv6Address) -> "Callable[[Peer], bool]":
    """Return what wants the peers with this address, whoever they are."""
    return lambda peer: peer.remote.address == address


def _size(tapped: Tapped) -> int:
    return _OVERHEAD + (len(tapped.octets) if isinstance(tapped, TappedMessage) else 0)
