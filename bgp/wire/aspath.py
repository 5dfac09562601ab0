"""AS_PATH: its segments, their text, and the paths of speakers with two-octet AS numbers.

A path is a tuple of segments (RFC 4271 section 4.3, RFC 5065 section 3).  In text a sequence is plain,
a set in braces, a confederation sequence in parentheses and a confederation set in brackets:
`(65001 65002) 64500 {64501,64502}`.
"""

import re
import struct
from typing import NamedTuple

from bgp.iana import AS_TRANS, SegmentType
from bgp.wire.text import quoted

MAXIMUM_SEGMENT = 255
_LONGEST = 40  # characters of an AS number in text

_SET, _SEQUENCE = int(SegmentType.AS_SET), int(SegmentType.AS_SEQUENCE)
_CONFED_SEQUENCE, _CONFED_SET = int(SegmentType.AS_CONFED_SEQUENCE), int(SegmentType.AS_CONFED_SET)
_CONFEDERATION = (_CONFED_SEQUENCE, _CONFED_SET)


class Segment(NamedTuple):
    """One path segment: its type (SegmentType) and its AS numbers, at least one, at most 255."""

    type: int
    asns: tuple[int, ...]


AsPath = tuple[Segment, ...]


def parse(value: bytes, width: int = 4) -> AsPath:
    """Return the segments of an AS_PATH value with AS numbers of `width` octets.

    Raises ValueError for what RFC 7606 section 7.2 calls malformed: an unknown segment type, a segment
    that overruns the value, a single trailing octet, or a segment without AS numbers.
    """
    segments = []
    position, end = 0, len(value)
    code = "I" if width == 4 else "H"
    while position < end:
        if end - position < 2:
            raise ValueError(f"a single octet is left at octet {position}")
        type_, count = value[position], value[position + 1]
        after = position + 2 + count * width
        if not _SET <= type_ <= _CONFED_SET:
            raise ValueError(f"unknown segment type {type_} at octet {position}")
        if not count:
            raise ValueError(f"segment without AS numbers at octet {position}")
        if after > end:
            raise ValueError(f"segment overruns at octet {position}")
        segments.append(Segment(type_, struct.unpack_from(f">{count}{code}", value, position + 2)))
        position = after
    return tuple(segments)


def encode(path: AsPath, width: int = 4) -> bytes:
    """Return the octets of `path`; with `width` 2, AS_TRANS stands for larger numbers (RFC 6793 4.2.2)."""
    parts = []
    for type_, asns in path:
        if not 1 <= len(asns) <= MAXIMUM_SEGMENT:
            raise ValueError(f"a segment holds 1 to {MAXIMUM_SEGMENT} AS numbers, not {len(asns)}")
        if width == 2:
            asns = tuple(asn if asn <= 0xFFFF else AS_TRANS for asn in asns)
        parts.append(struct.pack(f">BB{len(asns)}{'I' if width == 4 else 'H'}", type_, len(asns), *asns))
    return b"".join(parts)


def length(path: AsPath) -> int:
    """Return the length that selection counts: a set is 1 (RFC 4271 9.1.2.2 a), confederations 0."""
    total = 0
    for type_, asns in path:
        if type_ == _SEQUENCE:
            total += len(asns)
        elif type_ == _SET:
            total += 1
    return total


def prepended(path: AsPath, asn: int, count: int = 1, type: int = SegmentType.AS_SEQUENCE) -> AsPath:
    """Return `path` with `asn` put before it `count` times (RFC 4271 section 5.1.2, RFC 5065 4.1).

    A new segment is made where the first one is of another type or would pass 255 AS numbers.
    """
    for _ in range(count):
        if path and path[0].type == type and len(path[0].asns) < MAXIMUM_SEGMENT:
            path = (Segment(type, (asn, *path[0].asns)), *path[1:])
        else:
            path = (Segment(type, (asn,)), *path)
    return path


def without_confederation(path: AsPath) -> AsPath:
    """Return `path` without its confederation segments (RFC 5065 section 4.1 c, RFC 6793 4.2.2)."""
    return tuple(segment for segment in path if segment.type not in _CONFEDERATION)


def as4_path(path: AsPath) -> AsPath | None:
    """Return the AS4_PATH to send beside `path`, None where two octets hold all (RFC 6793 4.2.2)."""
    if all(asn <= 0xFFFF for segment in path for asn in segment.asns):
        return None
    return without_confederation(path) or None


def merged(path: AsPath, as4: AsPath) -> AsPath:
    """Return the path that AS_PATH and AS4_PATH of a two-octet speaker tell together (RFC 6793 4.2.3)."""
    missing = length(path) - length(as4)
    if missing < 0:
        return path
    taken: list[Segment] = []
    for segment in path:
        if segment.type in _CONFEDERATION:
            # Kept "if it is either the leading path segment or is adjacent to" a prepended one.
            taken.append(segment)
        elif not missing:
            break
        elif segment.type == _SET:
            taken.append(segment)
            missing -= 1
        else:
            taken.append(Segment(segment.type, segment.asns[:missing]))
            missing -= len(taken[-1].asns)
            if len(taken[-1].asns) < len(segment.asns):
                break
    if taken and as4 and taken[-1].type == as4[0].type == _SEQUENCE:
        joined = taken[-1].asns + as4[0].asns
        if len(joined) <= MAXIMUM_SEGMENT:
            return (*taken[:-1], Segment(_SEQUENCE, joined), *as4[1:])
    return (*taken, *as4)


_BRACKETS = {_SEQUENCE: ("", " ", ""), _SET: ("{", ",", "}"),
             _CONFED_SEQUENCE: ("(", " ", ")"), _CONFED_SET: ("[", ",", "]")}  # fmt: skip
_SEGMENT_TEXT = re.compile(
    r"\s*(?:\{([\d,\s.]+)\}|\(([\d\s.]+)\)|\[([\d,\s.]+)\]|(\|)|([\d.]+(?:\s+[\d.]+)*))"
)


def text(path: AsPath) -> str:
    """Return `path` in text; `|` parts two sequences that stand next to each other."""
    parts: list[str] = []
    previous = None
    for type_, asns in path:
        left, between, right = _BRACKETS[type_]
        if type_ == previous == _SEQUENCE:
            parts.append("|")
        parts.append(left + between.join(map(str, asns)) + right)
        previous = type_
    return " ".join(parts)


def parse_asn(text: str) -> int:
    """Return an AS number written plainly or as high.low (RFC 5396); raise ValueError otherwise."""
    high, dot, low = text.partition(".")
    parts = (high, low) if dot else (high,)
    if len(text) > _LONGEST or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{quoted(text)} is no AS number")
    if dot:
        if int(high) > 0xFFFF or int(low) > 0xFFFF:
            raise ValueError(f"{quoted(text)} is no AS number: each part is at most 65535")
        return int(high) << 16 | int(low)
    if int(high) > 0xFFFFFFFF:
        raise ValueError(f"{quoted(text)} is no AS number: it is at most 4294967295")
    return int(high)


def parse_text(value: str) -> AsPath:
    """Return the path that `value` writes; raise ValueError where it is not one."""
    segments: list[Segment] = []
    value = value.rstrip()
    position = 0
    while position < len(value):
        match = _SEGMENT_TEXT.match(value, position)
        if match is None:
            rest = value[position : position + 100].strip()
            raise ValueError(f"cannot read the AS path {quoted(value, 40)} from {quoted(rest, 20)} on")
        position = match.end()
        for group, type_ in ((1, _SET), (2, _CONFED_SEQUENCE), (3, _CONFED_SET), (5, _SEQUENCE)):
            written = match.group(group)
            if written is not None:
                asns = tuple(parse_asn(word) for word in re.split(r"[,\s]+", written.strip(", \t")))
                segments += [
                    Segment(type_, asns[start : start + MAXIMUM_SEGMENT])
                    for start in range(0, len(asns), MAXIMUM_SEGMENT)
                ]
    return tuple(segments)
