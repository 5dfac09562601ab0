"""Patterns of communities: the usual text of each kind, with wildcards and ranges.

    plain      65000:100   65000:*   *:666   65000:100-199   no-export
    large      65000:1:2   65000:*:*   65000:1:10-19
    extended   rt:65000:1  rt:65000:*  ro:*:*  0x4004fde800000000  0x4004*

`65000:*` as an extended community's administrator means the two-octet AS, `65000L` the same in four octets.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from bgp.wire.community import (
    LargeCommunity,
    extended_text,
    parse_community,
    parse_extended,
)
from bgp.wire.text import quoted

_PART = re.compile(r"\*|(\d{1,10})(?:-(\d{1,10}))?")


def _ranges(text: str, count: int, highest: int) -> tuple[tuple[int, int], ...] | None:
    """Return the range that each part of `text` stands for, None where it is no such pattern."""
    found: list[tuple[int, int]] = []
    for part in text.strip().split(":"):
        match = _PART.fullmatch(part)
        if match is None:
            return None
        low = 0 if match[1] is None else int(match[1])
        high = highest if match[1] is None else low if match[2] is None else int(match[2])
        if not low <= high <= highest:
            return None
        found.append((low, high))
    return tuple(found) if len(found) == count else None


@dataclass(frozen=True, slots=True)
class CommunityPattern:
    """A pattern of plain communities (RFC 1997)."""

    text: str
    matches: Callable[[int], bool] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


def community_pattern(text: str) -> CommunityPattern:
    """Return the pattern that `text` writes; raise ValueError where it is none."""
    ranges = _ranges(text, 2, 0xFFFF)
    if ranges is None:
        if "*" in text or ("-" in text.lstrip("-") and ":" in text):
            raise ValueError(
                f"{quoted(text)} is no pattern of communities: write 65000:*, *:666 or 65000:100-199"
            )
        value = parse_community(text)
        return CommunityPattern(text, value.__eq__)
    (low, high), (first, last) = ranges
    return CommunityPattern(
        text, lambda value: low <= value >> 16 <= high and first <= value & 0xFFFF <= last
    )


@dataclass(frozen=True, slots=True)
class LargePattern:
    """A pattern of large communities (RFC 8092)."""

    text: str
    ranges: tuple[tuple[int, int], ...]

    def matches(self, value: LargeCommunity) -> bool:
        return all(low <= part <= high for part, (low, high) in zip(value, self.ranges, strict=True))

    def __str__(self) -> str:
        return self.text


def large_pattern(text: str) -> LargePattern:
    """Return the pattern that `text` writes; raise ValueError where it is none."""
    ranges = _ranges(text, 3, 0xFFFFFFFF)
    if ranges is None:
        raise ValueError(f"{quoted(text)} is no pattern of large communities: write 65000:1:2 or 65000:*:*")
    return LargePattern(text, ranges)


@dataclass(frozen=True, slots=True)
class ExtendedPattern:
    """A pattern of extended communities, those of IPv6 included (RFC 4360, RFC 5701)."""

    text: str
    matches: Callable[[bytes], bool] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


def extended_pattern(text: str) -> ExtendedPattern:
    """Return the pattern that `text` writes; raise ValueError where it is none."""
    text = text.strip()
    if "*" not in text:
        return ExtendedPattern(text, parse_extended(text).__eq__)
    match = re.fullmatch(r"0x((?:[0-9a-fA-F]{2})*)\*", text)
    if match is not None:
        start = bytes.fromhex(match[1])
        return ExtendedPattern(text, lambda octets: octets.startswith(start))
    match = re.fullmatch(r"(rt|ro|\*):(\*|\[[0-9a-fA-F:.]+\]|[0-9.]+L?):(\*|\d{1,20})", text)
    if match is None:
        raise ValueError(
            f"{quoted(text)} is no pattern of extended communities: write rt:65000:*, rt:*:* or 0x4004*"
        )
    name, administrator, number = match.groups()
    if administrator != "*":
        # As the text of a community would have it: an AS beyond two octets ends in L, for one.
        written = extended_text(parse_extended(f"rt:{administrator}:0"))
        administrator = written.removeprefix("rt:").removesuffix(":0")
    written = ":".join(
        (
            "(?:rt|ro)" if name == "*" else name,
            r"(?:\[[^\]]*\]|[^:\[]+)" if administrator == "*" else re.escape(administrator),
            r"\d+" if number == "*" else str(int(number)),
        )
    )
    found = re.compile(written).fullmatch
    return ExtendedPattern(text, lambda octets: found(extended_text(octets)) is not None)
