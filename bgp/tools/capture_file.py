"""Messages into a capture file (pcapng), each in a TCP segment of its own, as if they had been captured.

Addresses, ports and sequence numbers are those of the connection, a message's place in its stream among
them; the rest of Ethernet, IP and TCP is made up, with checksums that are right.  A connection that is there
from its first octet on begins with a handshake.  Before one that is not stand the OPENs of its session, told
from memory: their packets have a comment that says so.

Layout: draft-ietf-opsawg-pcapng.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from bgp.tools.segment import FIN, RST, SYN, Endpoint

_ACK, _PUSH = 0x10, 0x08
_NANOSECONDS = 9
_SECTION_HEADER, _INTERFACE_DESCRIPTION, _ENHANCED_PACKET, _INTERFACE_STATISTICS = 0x0A0D0D0A, 1, 6, 5
_COMMENT, _APPLICATION, _NAME, _RESOLUTION, _FLAGS, _RECEIVED, _DROPPED = 1, 4, 2, 9, 2, 4, 5
_INBOUND, _OUTBOUND = 1, 2
_ETHERNET = 1
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
# Locally administered: ours and the peer's.
_OURS, _THEIRS = b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02"
_TCP = 6
# What one packet carries: IPv4 has no more room for a message with extended length (RFC 8654).
_MOST = 65000
# MSS, and window scale 14 (RFC 7323): so no window looks full.
_SYN_OPTIONS = b"\x02\x04" + _MOST.to_bytes(2, "big") + b"\x01\x03\x03\x0e"


@dataclass(slots=True)
class _Connection:
    ours: Endpoint
    theirs: Endpoint
    begun: bool = False
    next: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})  # position, by `sent`


class CaptureFile:
    """Writes a capture into `out`, and flushes nothing; `name` is what its interface is called."""

    def __init__(self, out: BinaryIO, name: str = "", application: str = "") -> None:
        self._out = out
        self._connections: dict[int, _Connection] = {}
        options = _option(_APPLICATION, application.encode()) if application else b""
        self._block(_SECTION_HEADER, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options(options))
        options = _option(_NAME, name.encode()) if name else b""
        options += _option(_RESOLUTION, bytes((_NANOSECONDS,)))
        self._block(_INTERFACE_DESCRIPTION, struct.pack("<HHI", _ETHERNET, 0, 0) + _options(options))

    def begin(self, number: int, ours: Endpoint, theirs: Endpoint) -> None:
        """Know the two ends of connection `number`."""
        self._connections[number] = _Connection(ours, theirs)

    def knows(self, number: int) -> bool:
        """Whether connection `number` was begun, and has not ended."""
        return number in self._connections

    def message(
        self,
        number: int,
        time: int,
        octets: bytes,
        *,
        sent: bool,
        position: int,
        incoming: bool = False,
        comment: str = "",
    ) -> None:
        """Write a message at a `time` in nanoseconds; `position` is that of its first octet in its direction.

        `incoming` says who opened the connection, and so whose is the first packet of a handshake.
        """
        connection = self._connections[number]
        if not connection.begun:
            connection.begun = True
            if position == 0 and not comment:
                first = not incoming
                self._packet(connection, time, b"", first, SYN, -1)
                self._packet(connection, time, b"", not first, SYN | _ACK, -1)
                self._packet(connection, time, b"", first, _ACK, 0)
        for at in range(0, len(octets), _MOST):
            part = octets[at : at + _MOST]
            flags = _ACK | (_PUSH if at + _MOST >= len(octets) else 0)
            self._packet(connection, time, part, sent, flags, position + at, comment)
        connection.next[sent] = position + len(octets)

    def end(self, number: int, time: int, *, aborted: bool) -> None:
        """Write the end of a connection, as it is on our side."""
        connection = self._connections.pop(number, None)
        if connection is None or not connection.begun:
            return
        if aborted:
            self._packet(connection, time, b"", True, RST | _ACK, connection.next[True])
            return
        for sent in (True, False):
            self._packet(connection, time, b"", sent, FIN | _ACK, connection.next[sent])
            connection.next[sent] += 1
        self._packet(connection, time, b"", True, _ACK, connection.next[True])

    def finish(self, time: int, received: int, dropped: int) -> None:
        """Write how many messages there were, and how many of them are not in the file."""
        high, low = divmod(time, 1 << 32)
        options = _option(_RECEIVED, struct.pack("<Q", received)) + _option(
            _DROPPED, struct.pack("<Q", dropped)
        )
        self._block(_INTERFACE_STATISTICS, struct.pack("<III", 0, high, low) + _options(options))

    def _packet(
        self,
        connection: _Connection,
        time: int,
        payload: bytes,
        sent: bool,
        flags: int,
        position: int,
        comment: str = "",
    ) -> None:
        ends = (connection.ours, connection.theirs) if sent else (connection.theirs, connection.ours)
        # The first octet of a stream comes behind its SYN, which has number 0.
        acknowledged = connection.next[not sent] + 1 if flags & _ACK else 0
        data = _frame(*ends, payload, flags, position + 1, acknowledged, _OURS if sent else _THEIRS)
        options = _option(_COMMENT, comment.encode()) if comment else b""
        options += _option(_FLAGS, struct.pack("<I", _OUTBOUND if sent else _INBOUND))
        high, low = divmod(time, 1 << 32)
        head = struct.pack("<IIIII", 0, high, low, len(data), len(data))
        self._block(_ENHANCED_PACKET, head + _padded(data) + _options(options))

    def _block(self, type_: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        self._out.write(struct.pack("<I", type_) + length + body + length)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _options(options: bytes) -> bytes:
    return options + struct.pack("<HH", 0, 0) if options else b""


def _frame(
    source: Endpoint,
    destination: Endpoint,
    payload: bytes,
    flags: int,
    sequence: int,
    acknowledged: int,
    hardware: bytes,
) -> bytes:
    """Return an Ethernet frame with a TCP segment."""
    options = _SYN_OPTIONS if flags & SYN else b""
    ports = struct.pack("!HH", source.port, destination.port)
    numbers = struct.pack("!II", sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF)
    rest = struct.pack("!BBH", (20 + len(options)) << 2, flags, 0xFFFF)
    length = 20 + len(options) + len(payload)
    addresses = source.address + destination.address
    pseudo = addresses + struct.pack("!IHBB", length, 0, 0, _TCP)  # RFC 9293 3.1, RFC 8200 8.1
    sum_ = _checksum(pseudo + ports + numbers + rest + bytes(4) + options + payload)
    segment = ports + numbers + rest + struct.pack("!HH", sum_, 0) + options + payload
    peer = _THEIRS if hardware == _OURS else _OURS
    if len(source.address) == 4:
        head = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0x4000, 64, _TCP)
        head += struct.pack("!H", _checksum(head + bytes(2) + addresses)) + addresses
        return peer + hardware + _IPV4 + head + segment
    head = struct.pack("!IHBB", 0x60000000, length, _TCP, 64) + addresses
    return peer + hardware + _IPV6 + head + segment


def _checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071): the sum of 16-bit words is a remainder by 65535."""
    if len(octets) % 2:
        octets += b"\x00"
    total = int.from_bytes(octets, "big") % 0xFFFF
    # The remainder 0 stands for 0xFFFF, as not all octets are 0.
    return 0xFFFF - (total or 0xFFFF)
