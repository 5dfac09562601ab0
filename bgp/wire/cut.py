"""Cut octets into messages without judging them: where the framer of a session gives up, go on.

A marker and a length make a message.  Octets that do not begin with a marker, and a header whose length
cannot be, are cut off in front of the next marker and handed out all the same, for a decoder to name
what is wrong with them.
"""

from typing import NamedTuple

from bgp.iana import HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH
from bgp.wire.framing import MARKER_OCTETS

_MARKER_LENGTH = len(MARKER_OCTETS)
# Garbage is handed out in pieces of this size at most.
_MAXIMUM_GARBAGE = 65535


class Piece(NamedTuple):
    """Octets of a stream, from `offset` on: a message, or what stands in the place of one.

    `whole` is False for a message of which the stream did not hold the end.
    """

    offset: int
    octets: bytes
    whole: bool = True


class Cutter:
    """One stream of messages.  `maximum` is the length that a message may have."""

    __slots__ = ("_buffer", "_offset", "_start", "maximum")

    def __init__(self, maximum: int = MAXIMUM_MESSAGE_LENGTH) -> None:
        self.maximum = maximum
        self._buffer = b""
        self._start = 0
        self._offset = 0  # of the buffer's first octet in the stream

    def feed(self, data: bytes) -> None:
        """Append octets."""
        self._offset += self._start
        self._buffer = self._buffer[self._start :] + data
        self._start = 0

    @property
    def position(self) -> int:
        """Where in the stream the next piece begins."""
        return self._offset + self._start

    def next(self) -> Piece | None:
        """Return the next piece, None where more octets are needed to know its end."""
        available = len(self._buffer) - self._start
        if not self._sound(available):
            return self._garbage()
        if available < HEADER_LENGTH:
            return None
        length = self._length()
        return self._take(length) if available >= length else None

    def finish(self) -> Piece | None:
        """Return what is left, at the end of the stream or before a gap in it; None if nothing is."""
        size = len(self._buffer) - self._start
        whole = not self._sound(size)
        return self._take(size)._replace(whole=whole) if size else None

    def skip(self, octets: int) -> None:
        """Count octets that are not there."""
        self._offset += octets

    def _length(self) -> int:
        return int.from_bytes(self._buffer[self._start + 16 : self._start + 18], "big")

    def _sound(self, available: int) -> bool:
        """Return whether the octets can be the beginning of a message."""
        if self._buffer[self._start : self._start + _MARKER_LENGTH] != MARKER_OCTETS[:available]:
            return False
        return available < HEADER_LENGTH or HEADER_LENGTH <= self._length() <= self.maximum

    def _garbage(self) -> Piece | None:
        # A header that cannot be is left behind whole, for its length may look like a part of a marker.
        marked = self._buffer.startswith(MARKER_OCTETS, self._start)
        found = self._buffer.find(MARKER_OCTETS, self._start + (HEADER_LENGTH if marked else 1))
        if found >= 0:
            return self._take(min(found - self._start, _MAXIMUM_GARBAGE))
        size = len(self._buffer) - self._start
        return self._take(_MAXIMUM_GARBAGE) if size > _MAXIMUM_GARBAGE + _MARKER_LENGTH else None

    def _take(self, size: int) -> Piece:
        start = self._start
        self._start += size
        return Piece(self._offset + start, self._buffer[start : start + size])
