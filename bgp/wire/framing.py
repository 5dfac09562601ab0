"""From a stream of octets to messages: the header, its marker and its lengths (RFC 4271 4.1 and 6.1)."""

import struct

from bgp.errors import MARKER, MESSAGE_LENGTH, MESSAGE_TYPE, Notify
from bgp.iana import HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH, MessageType

MARKER_OCTETS = b"\xff" * 16
_header = struct.Struct(">16sHB").unpack_from
_UPDATE = int(MessageType.UPDATE)

# The shortest message of each type (RFC 4271 section 6.1).  A short ROUTE-REFRESH is left to its decoder,
# for RFC 7313 section 5 has an error of its own for it.
_MINIMUM: dict[int, int] = {
    MessageType.OPEN: 29,
    MessageType.UPDATE: 23,
    MessageType.NOTIFICATION: 21,
    MessageType.KEEPALIVE: HEADER_LENGTH,
    # RFC 7313 section 5 has an error of its own for its length: its decoder judges that.
    MessageType.ROUTE_REFRESH: HEADER_LENGTH,
}
# RFC 8654 section 4: extended messages are for all types but these two.
_MAXIMUM: dict[int, int] = {
    MessageType.OPEN: MAXIMUM_MESSAGE_LENGTH,
    MessageType.KEEPALIVE: HEADER_LENGTH,
}


def frame(type: int, body: bytes) -> bytes:
    """Return the whole message: header and `body` (RFC 4271 section 4.1)."""
    return MARKER_OCTETS + (HEADER_LENGTH + len(body)).to_bytes(2, "big") + bytes((type,)) + body


class Framer:
    """Cut a stream into messages, holding at most one incomplete message and what was fed last.

    `maximum` is the longest message to accept: 4096 octets, or 65535 once we have advertised extended
    messages (RFC 8654 section 4).  A header is judged as soon as it is there, before its body.
    """

    __slots__ = ("_buffer", "_late", "_late_octets", "_missing", "_position", "maximum")

    def __init__(self, maximum: int = MAXIMUM_MESSAGE_LENGTH) -> None:
        self.maximum = maximum
        self._buffer = b""
        self._position = 0
        # Octets for a message that they do not complete: joined once, for a peer may send them singly.
        self._late: list[bytes] = []
        self._late_octets = 0
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """Append octets as they came from the stream."""
        if self._late_octets + len(data) < self._missing:
            self._late.append(bytes(data))
            self._late_octets += len(data)
            return
        self._buffer = b"".join((self._buffer[self._position :], *self._late, data))
        self._position = self._missing = self._late_octets = 0
        self._late.clear()

    @property
    def buffered(self) -> int:
        """The octets received and not yet handed out."""
        return len(self._buffer) - self._position + self._late_octets

    @property
    def pending(self) -> bytes:
        """These octets."""
        return b"".join((self._buffer[self._position :], *self._late))

    def next(self) -> tuple[int, bytes] | None:
        """Return the next (type, body without header), or None where it is not complete.

        Raises Notify with code 1 for a bad header (RFC 4271 section 6.1): marker, then length range,
        then type, then length by type.  The framer must not be used after that.
        """
        buffer, start = self._buffer, self._position
        available = len(buffer) - start
        if available < HEADER_LENGTH:
            # Garbage is known by its first wrong octet, it need not fill a header.
            if buffer[start : start + 16] != MARKER_OCTETS[:available]:
                raise Notify.of(MARKER)
            return None
        if buffer[start : start + 16] != MARKER_OCTETS:
            raise Notify.of(MARKER)
        length = buffer[start + 16] << 8 | buffer[start + 17]
        type_ = buffer[start + 18]
        if not (_MINIMUM.get(type_, 65536) <= length <= _MAXIMUM.get(type_, self.maximum)):
            self._refuse(length, type_)
        if available < length:
            self._missing = length - available
            return None
        self._position = end = start + length
        return type_, buffer[start + HEADER_LENGTH : end]

    def updates(self, limit: int, overhead: int = 0) -> list[bytes]:
        """Return the bodies of the UPDATEs that come next, until they have used up `limit` octets.

        Each counts as `overhead` octets more than it has.
        The fast twin of `next` for runs of UPDATEs: it stops before whatever else there is.
        """
        buffer, start, maximum = self._buffer, self._position, self.maximum
        last, stop = len(buffer) - HEADER_LENGTH, start + limit
        found: list[bytes] = []
        while start <= last and start < stop:
            marker, length, type_ = _header(buffer, start)
            end = start + length
            if type_ != _UPDATE or marker != MARKER_OCTETS or not 23 <= length <= maximum:
                break
            if end > last + HEADER_LENGTH:
                break
            found.append(buffer[start + HEADER_LENGTH : end])
            start = end
            stop -= overhead
        self._position = start
        return found

    def _refuse(self, length: int, type_: int) -> None:
        if HEADER_LENGTH <= length <= self.maximum and type_ not in _MINIMUM:
            raise Notify.of(MESSAGE_TYPE, bytes((type_,)), offset=18)
        raise Notify.of(MESSAGE_LENGTH, length.to_bytes(2, "big"), offset=16)
