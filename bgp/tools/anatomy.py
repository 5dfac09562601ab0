"""A message taken apart field by field, with offsets, as far as that goes: for showing, not for judging.

The decoders of `bgp.wire` tell what a receiver must do with a message, and stop where that is clear.  Who
looks at a bad message wants to see the rest as well, so nothing here raises: a field that overruns ends
where its surroundings end.  Offsets count from the first octet of the header.
"""

from dataclasses import dataclass
from typing import NamedTuple

from bgp.family import Family
from bgp.iana import HEADER_LENGTH, OptionalParameter
from bgp.wire.attributes import EXTENDED_LENGTH
from bgp.wire.prefix import masked

_OPEN_FIXED = 9


class Attribute(NamedTuple):
    """One path attribute (RFC 4271 section 4.3); `end` is the offset behind its value."""

    offset: int
    flags: int
    type: int
    value: bytes
    end: int


class Route(NamedTuple):
    """One prefix, host bits cleared; `path_id` is None without ADD-PATH (RFC 7911 section 3)."""

    offset: int
    path_id: int | None
    prefix: bytes


class Field(NamedTuple):
    """Octets and where they stand."""

    offset: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """The fields of an UPDATE (RFC 4271 section 4.3); `left` is what is no whole attribute."""

    withdrawn: Field
    attributes: tuple[Attribute, ...]
    attribute_octets: Field
    left: Field
    nlri: Field


@dataclass(frozen=True, slots=True)
class Open:
    """The fields of an OPEN, each None where the message ends before it (RFC 4271 section 4.2).

    `capabilities` are (offset, code, value); `left` is what of the parameters could not be read.
    """

    version: int | None
    my_as: int | None
    hold_time: int | None
    identifier: int | None
    capabilities: tuple[tuple[int, int, bytes], ...]
    left: Field


def update(body: bytes) -> Update:
    """Take the body of an UPDATE apart."""
    end = min(2 + int.from_bytes(body[:2], "big"), len(body))
    start = min(end + 2, len(body))
    after = min(start + int.from_bytes(body[end:start], "big"), len(body))
    attributes, left = walk(body[start:after], HEADER_LENGTH + start)
    return Update(
        Field(HEADER_LENGTH + 2, body[2:end]),
        attributes,
        Field(HEADER_LENGTH + start, body[start:after]),
        left,
        Field(HEADER_LENGTH + after, body[after:]),
    )


def walk(block: bytes, offset: int) -> tuple[tuple[Attribute, ...], Field]:
    """Return the attributes of a Path Attributes field, and what is left where one overruns it."""
    found = []
    at, end = 0, len(block)
    while end - at >= 3:
        flags, size, start = block[at], block[at + 2], at + 3
        if flags & EXTENDED_LENGTH:
            if end - at < 4:
                break
            size, start = size << 8 | block[at + 3], at + 4
        after = start + size
        if after > end:
            break
        found.append(Attribute(offset + at, flags, block[at + 1], block[start:after], offset + after))
        at = after
    return tuple(found), Field(offset + at, block[at:])


def routes(field: Field, family: Family, add_path: bool) -> tuple[list[Route], Field]:
    """Return the routes in an NLRI field, and what is left from the first bad one on."""
    offset, block = field
    bits = family.bits
    found = []
    at, end = 0, len(block)
    while at < end:
        start = at + 4 if add_path else at
        if start >= end or block[start] > bits:
            break
        after = start + 1 + (block[start] + 7 >> 3)
        if after > end:
            break
        path_id = int.from_bytes(block[at:start], "big") if add_path else None
        found.append(Route(offset + at, path_id, masked(block[start:after])))
        at = after
    return found, Field(offset + at, block[at:])


def open_(body: bytes) -> Open:
    """Take the body of an OPEN apart, with RFC 9072's extended parameters."""

    def number(start: int, end: int) -> int | None:
        return int.from_bytes(body[start:end], "big") if len(body) >= end else None

    start, extended = _OPEN_FIXED + 1, False
    if body[_OPEN_FIXED : _OPEN_FIXED + 1] != b"\0" and body[start : start + 1] == _EXTENDED:
        start, extended = start + 3, True
    capabilities, left = _capabilities(body, start, 2 if extended else 1)
    return Open(number(0, 1), number(1, 3), number(3, 5), number(5, 9), capabilities, left)


_EXTENDED = bytes((OptionalParameter.EXTENDED_LENGTH,))


def _capabilities(body: bytes, start: int, width: int) -> tuple[tuple[tuple[int, int, bytes], ...], Field]:
    found: list[tuple[int, int, bytes]] = []
    at = start
    while at < len(body):
        value = at + 1 + width
        end = value + int.from_bytes(body[at + 1 : value], "big")
        if body[at] != OptionalParameter.CAPABILITIES or end > len(body):
            break
        while value < end:
            after = value + 2 + body[value + 1] if value + 1 < end else end + 1
            if after > end:
                return tuple(found), Field(HEADER_LENGTH + value, body[value:])
            found.append((HEADER_LENGTH + value, body[value], body[value + 2 : after]))
            value = after
        at = end
    return tuple(found), Field(HEADER_LENGTH + at, body[at:])
