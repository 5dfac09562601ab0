"""Any text for a prefix, a list's entry, an AS, an AS_PATH, a community or a pattern of these is a value,
whose own text is read as the same value again, or one ValueError on one line; a pattern answers for any path.

Input: an octet that says what the text is for, and the text.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from bgp.family import FAMILIES
from bgp.iana import SegmentType
from bgp.policy.communities import community_pattern, extended_pattern, large_pattern
from bgp.policy.pattern import Pattern, places
from bgp.policy.prefixes import PrefixList, parse_entry
from bgp.wire import aspath, community
from bgp.wire import prefix as nlri
from bgp.wire.aspath import Segment
from fuzz import texts
from fuzz.target import Target, hold

_PATHS = [
    places(path)
    for path in (
        (),
        (Segment(SegmentType.AS_SEQUENCE, (64500,)),),
        (Segment(SegmentType.AS_SEQUENCE, (64500, 1, 64500)), Segment(SegmentType.AS_SET, (2, 64500))),
        (Segment(SegmentType.AS_SEQUENCE, (1,) * 40),),
    )
]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a text may be for: its reader, the way back, a source of some, and what else must hold."""

    name: str
    read: Callable[[str], Any]
    written: Callable[[Any], str]
    seed: Callable[[Random], str]
    used: Callable[[Any], object] = lambda value: None


def _entry(entry: Any) -> None:
    listed = PrefixList([entry])
    for family in FAMILIES:
        for length in (0, 1, 8, 24, family.bits):
            prefix = bytes((length,)) + bytes((length + 7) // 8)
            hold(listed.matches(family, prefix) in (True, False), "no answer")
            found = listed.longest(family, prefix)
            hold(found is None or found == entry, f"{found} is not in the list")


def _pattern(pattern: Pattern) -> None:
    for path in _PATHS:
        hold(pattern.search(path) in (True, False), "no answer")


def _prefix(random: Random) -> str:
    return random.choice(texts.PREFIXES)


KINDS = (
    Kind("prefix", nlri.parse, lambda value: nlri.text(*value), _prefix),
    Kind("prefix-list entry", parse_entry, str, texts.prefix_entry, _entry),
    Kind("AS", aspath.parse_asn, str, texts.as_path),
    Kind("AS_PATH", aspath.parse_text, aspath.text, texts.as_path, aspath.encode),
    Kind("community", community.parse_community, community.community_text, texts.community),
    Kind("large community", community.parse_large, community.large_text, texts.community),
    Kind("extended community", community.parse_extended, community.extended_text, texts.community),
    Kind("pattern of AS_PATHs", Pattern, lambda pattern: str(pattern.text), texts.pattern, _pattern),
    Kind("pattern of communities", community_pattern, str, texts.community, lambda it: it.matches(0)),
    Kind(
        "pattern of large communities", large_pattern, str, texts.community, lambda it: it.matches((0, 1, 2))
    ),
    Kind(
        "pattern of extended communities",
        extended_pattern,
        str,
        texts.community,
        lambda it: (it.matches(bytes(8)), it.matches(b"\0\2" + bytes(18))),
    ),
)


def parts(data: bytes) -> tuple[Kind, str]:
    return KINDS[data[0] % len(KINDS) if data else 0], data[1:].decode("utf-8", "replace")


def check(data: bytes) -> None:
    kind, text = parts(data)
    try:
        value = kind.read(text)
    except ValueError as error:
        # Whoever tells the user shows it in one line.
        said = str(error)
        hold(said.isprintable() and said, f"not to be shown: {said!r}")
        hold(len(said) < 1000, f"{len(said)} characters: {said[:200]}")
        return
    kind.used(value)
    again = kind.read(kind.written(value))
    hold(again == value, f"{value!r} is written {kind.written(value)!r}, which is {again!r}")


def seed(random: Random) -> bytes:
    at = random.randrange(len(KINDS))
    return bytes((at,)) + KINDS[at].seed(random).encode()


def view(data: bytes) -> Iterator[str]:
    kind, text = parts(data)
    yield f"as {kind.name}: {text!a}"
    try:
        yield ascii(kind.read(text))
    except Exception as error:
        yield ascii(error)


TARGET = Target("words", check, seed, view, 512)
