"""What `decode` is given, whatever kind of input it is, as a run of messages and of what stands around them.

The kind is told by the content, behind any compression: pcap and pcapng by their magic, messages by the
marker that they begin with, MRT by a header of a known kind, lines of hexadecimal by being text.  What is
none of these is taken for octets that should have been a message.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from bgp.family import BY_CODE, IPV4_UNICAST
from bgp.iana import BGP_PORT, EXTENDED_MESSAGE_LENGTH, HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH
from bgp.tools import capture, mrt, pcap
from bgp.tools.reading import Source
from bgp.tools.record_form import missing_form, record_form, where_form
from bgp.wire.context import Context
from bgp.wire.cut import Cutter
from bgp.wire.framing import MARKER_OCTETS

_BLOCK = 65536
# The longest message in hexadecimal, with room for separators.
MAXIMUM_LINE = 4 * EXTENDED_MESSAGE_LENGTH
MAXIMUM_DUMP = 1 << 26

_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]+")
_MARKED = re.compile(rb"(?i)(?:0x)?(?:ff[\s:]?){16}")
_SEPARATORS = re.compile(r"0[xX]|[\s:]+")


class Kind(Enum):
    """What a file holds."""

    CAPTURE = "a packet capture"
    MRT = "MRT records"
    HEXADECIMAL = "lines of hexadecimal"
    DUMP = "one dump in hexadecimal"
    OCTETS = "messages"


@dataclass(frozen=True, slots=True)
class Found:
    """The octets of a message with its session's context; `origin` are JSON keys of where it was."""

    octets: bytes
    context: Context
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is not hexadecimal from its character `column` (from 0) on."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Record:
    """Something that is no message, already in its JSON form."""

    form: dict[str, Any]


Item = Found | Unreadable | Record


def kind_of(beginning: bytes) -> Kind:
    """Return what a file holds that begins so."""
    if pcap.is_capture(beginning):
        return Kind.CAPTURE
    if beginning.startswith(MARKER_OCTETS):
        return Kind.OCTETS
    if mrt.is_mrt(beginning):
        return Kind.MRT
    if _TEXT.fullmatch(beginning):
        lines = [line for line in beginning.splitlines() if line.strip() and not line.startswith(b"#")]
        # One message over several lines, as dumps are written: the first one holds but its beginning, and no
        # other begins one.
        if len(lines) > 1 and [bool(_MARKED.match(line.strip())) for line in lines[:3]] == [
            index == 0 for index in range(len(lines[:3]))
        ]:
            octets = from_hexadecimal(lines[0].decode("ascii"))
            if isinstance(octets, bytes) and len(octets) < max(
                HEADER_LENGTH, int.from_bytes(octets[16:18], "big")
            ):
                return Kind.DUMP
        return Kind.HEXADECIMAL
    return Kind.OCTETS


def read(source: Source, context: Context, ports: frozenset[int] = frozenset({BGP_PORT})) -> Iterator[Item]:
    """Yield what `source` holds; raises FormatError where it breaks its format."""
    match kind_of(source.peek(_BLOCK)):
        case Kind.CAPTURE:
            yield from _capture(source, context, ports)
        case Kind.MRT:
            for record in mrt.read(source):
                yield _record(record, context)
        case Kind.HEXADECIMAL:
            yield from hexadecimal(_lines(source), context)
        case Kind.DUMP:
            text = b" ".join(_lines(source)).decode("ascii", "replace")
            octets = from_hexadecimal(text)
            yield from messages([octets], context) if isinstance(octets, bytes) else [octets]
        case Kind.OCTETS:
            yield from messages(
                iter(lambda: source.take(len(source.peek(_BLOCK)), "a message"), b""), context
            )


def messages(chunks: Iterable[bytes], context: Context) -> Iterator[Found]:
    """Yield the messages of a stream of octets, with their offsets in it."""
    cutter = Cutter(EXTENDED_MESSAGE_LENGTH if context.extended_messages else MAXIMUM_MESSAGE_LENGTH)
    for chunk in chunks:
        cutter.feed(chunk)
        while (piece := cutter.next()) is not None:
            yield Found(piece.octets, context, {"offset": piece.offset})
    if (piece := cutter.finish()) is not None:
        yield Found(piece.octets, context, {"offset": piece.offset})


def hexadecimal(lines: Iterable[bytes], context: Context) -> Iterator[Item]:
    """Yield the message of each line, in their order."""
    for line in lines:
        octets = from_hexadecimal(line.decode("ascii", "replace"))
        yield Found(octets, context) if isinstance(octets, bytes) else octets


def from_hexadecimal(text: str) -> bytes | Unreadable:
    """Return the octets that `text` writes; spaces, colons and 0x may part them."""
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        digits = _SEPARATORS.sub("", text)
        try:
            octets = bytes.fromhex(digits)
        except ValueError:
            bad = re.search(r"[^0-9a-fA-F]", _SEPARATORS.sub(lambda found: "0" * len(found[0]), text))
            if bad is None:
                return Unreadable(f"an odd number of hexadecimal digits: {len(digits)}", len(text.rstrip()))
            return Unreadable(f"{text[bad.start()]!r} is no hexadecimal digit", bad.start())
    return octets or Unreadable("an empty line is no message", 0)


def _lines(source: Source) -> Iterator[bytes]:
    """Yield the lines of a text file, without empty ones and comments; what is too long for one is cut."""
    while not source.at_end():
        block = source.peek(MAXIMUM_LINE)
        end = block.find(b"\n") + 1 or len(block)
        line = source.take(end, "a line").strip()
        if line and not line.startswith(b"#"):
            yield line


def _capture(source: Source, context: Context, ports: frozenset[int]) -> Iterator[Item]:
    for item in capture.read(pcap.read(source), context, ports):
        if isinstance(item, capture.Captured):
            yield Found(item.octets, item.context, where_form(item.where))
        else:
            yield Record(missing_form(item))


def _record(record: mrt.Record, context: Context) -> Item:
    form = record_form(record, replace(context, families=frozenset(BY_CODE.values())))
    if not isinstance(record, mrt.Message):
        return Record(form)
    internal = context.internal or record.peer.asn == record.local.asn
    learned = replace(
        context,
        internal=internal,
        confederation=context.confederation and not internal,
        four_octet_as=record.four_octet_as,
        # RFC 8050 section 2: the subtype tells it, whatever an OPEN may have said.
        add_path=context.families if record.add_path else frozenset(),
        # No record tells what else the session had negotiated.
        extended_messages=True,
        extended_next_hop=context.extended_next_hop | {IPV4_UNICAST},
        aigp=context.aigp or internal,
    )
    return Found(record.message, learned, form)
