"""Capture files: pcap of both byte orders and both time resolutions, and pcapng, as a run of packets.

Layouts: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.  Only what a packet needs is looked at;
blocks and options of no use here are skipped by their length.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bgp.tools.reading import FormatError, Source

# First four octets -> (byte order, nanoseconds per unit of the sub-second field).
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE_DESCRIPTION, _PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_OPTION_END, _OPTION_RESOLUTION, _OPTION_TIME_OFFSET = 0, 9, 14
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Packet:
    """One captured frame: `number` counts from 1, `time` is in nanoseconds since 1970 (None if not kept),
    `link` is its link type (https://www.tcpdump.org/linktypes.html), and `length` what it had on the
    wire, of which `data` is the part that was kept."""

    number: int
    time: int | None
    link: int
    data: bytes
    length: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    snap: int
    units: int  # of a time stamp, in a second
    seconds: int  # to add to each time stamp


def is_capture(beginning: bytes) -> bool:
    """Return whether a file that begins so is a pcap or pcapng file."""
    return beginning[:4] in _PCAP or (beginning[:4] == _SECTION_HEADER and beginning[8:12] in _BYTE_ORDERS)


def read(source: Source) -> Iterator[Packet]:
    """Yield the packets of a capture file; raise FormatError where it breaks off or breaks its format."""
    magic = source.peek(4)
    if magic in _PCAP:
        return _classic(source, *_PCAP[magic])
    if magic == _SECTION_HEADER:
        return _blocks(source)
    raise FormatError("neither a pcap nor a pcapng file", source.offset)


def _classic(source: Source, order: str, unit: int) -> Iterator[Packet]:
    header = source.take(24, "the pcap file header")
    # The high bits of the link type field may tell the length of a frame check sequence.
    link = struct.unpack_from(order + "I", header, 20)[0] & 0x0FFFFFFF
    record = struct.Struct(order + "IIII")
    number = 0
    while not source.at_end():
        number += 1
        offset = source.offset
        seconds, fraction, kept, length = record.unpack(source.take(16, f"the header of packet {number}"))
        data = source.take(kept, f"packet {number}")
        yield Packet(number, seconds * _SECOND + fraction * unit, link, data, length, offset)


def _blocks(source: Source) -> Iterator[Packet]:
    order = "<"
    interfaces: list[_Interface] = []
    number = 0
    while not source.at_end():
        offset = source.offset
        head = source.peek(12)
        if head[:4] == _SECTION_HEADER:
            if head[8:12] not in _BYTE_ORDERS:
                raise FormatError("a section header without byte-order magic", offset)
            order = _BYTE_ORDERS[head[8:12]]
            interfaces = []
        kind, body = _block(source, order)
        try:
            if kind == _INTERFACE_DESCRIPTION:
                interfaces.append(_interface(body, order))
            elif kind in (_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET):
                number += 1
                yield _packet(kind, body, order, interfaces, number, offset)
        except (struct.error, IndexError):
            raise FormatError(f"a block of type {kind} is cut short or names no interface", offset) from None


def _block(source: Source, order: str) -> tuple[int, bytes]:
    offset = source.offset
    kind, length = struct.unpack(order + "II", source.take(8, "the header of a block"))
    if length < 12 or length % 4:
        raise FormatError(f"a block has length {length}", offset)
    body = source.take(length - 12, "a block")
    if struct.unpack(order + "I", source.take(4, "the trailer of a block"))[0] != length:
        raise FormatError("a block's two lengths differ", offset)
    return kind, body


def _interface(body: bytes, order: str) -> _Interface:
    link, _, snap = struct.unpack_from(order + "HHI", body)
    units, seconds, at = 1_000_000, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == _OPTION_END:
            break
        if code == _OPTION_RESOLUTION and len(value) == 1:
            # The most significant bit tells a power of two from a power of ten.
            units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _OPTION_TIME_OFFSET and len(value) == 8:
            seconds = struct.unpack(order + "q", value)[0]
        at += 4 + length + -length % 4
    return _Interface(link, snap, units, seconds)


def _packet(
    kind: int, body: bytes, order: str, interfaces: list[_Interface], number: int, offset: int
) -> Packet:
    if kind == _SIMPLE_PACKET:
        interface = interfaces[0]
        (length,) = struct.unpack_from(order + "I", body)
        kept = min(length, interface.snap or length, len(body) - 4)
        return Packet(number, None, interface.link, body[4 : 4 + kept], length, offset)
    # The obsolete Packet Block has two octets for the interface and two for a count of dropped packets.
    layout = "HHIIII" if kind == _PACKET else "IIIII"
    fields = struct.unpack_from(order + layout, body)
    high, low, kept, length = fields[-4:]
    interface = interfaces[fields[0]]
    if kept > len(body) - 20:
        raise FormatError(f"packet {number} overruns its block", offset)
    ticks = high << 32 | low
    time = interface.seconds * _SECOND + ticks * _SECOND // interface.units
    return Packet(number, time, interface.link, body[20 : 20 + kept], length, offset)
