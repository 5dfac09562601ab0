"""The words of a route's attributes: one row each, from text to the attribute's octets.

A value is a word, or several in brackets or parentheses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from bgp.iana import AttributeType, Origin
from bgp.wire import aspath, community
from bgp.wire.attributes import OPTIONAL_NON_TRANSITIVE, OPTIONAL_TRANSITIVE, WELL_KNOWN

OPENING, CLOSING = ("[", "("), ("]", ")")
_ORIGINS = {"igp": Origin.IGP, "egp": Origin.EGP, "incomplete": Origin.INCOMPLETE}
_KINDS = {"target": "rt", "origin": "ro"}


@dataclass(frozen=True, slots=True)
class Word:
    """An attribute: its number and flags, its value from words, and how one is written."""

    type: int
    flags: int
    read: Callable[[Sequence[str]], bytes]
    example: str


def split(line: str) -> list[str]:
    """Return the words of a line; brackets stand alone, and commas part words."""
    for mark in (*OPENING, *CLOSING):
        line = line.replace(mark, f" {mark} ")
    return line.replace(",", " , ").split()


def value_of(words: Sequence[str], at: int) -> tuple[list[str], int]:
    """Return the words of the value at `at`, and where the next one is; raise ValueError if it is none."""
    if at >= len(words):
        raise ValueError("its value is missing")
    if words[at] not in OPENING:
        return [words[at]], at + 1
    depth, end = 0, at
    while end < len(words):
        depth += (words[end] in OPENING) - (words[end] in CLOSING)
        end += 1
        if not depth:
            return list(words[at + 1 : end - 1]), end
    raise ValueError("a bracket is not closed")


def plain(words: Sequence[str]) -> list[str]:
    """Return the words without commas."""
    return [word for word in words if word != ","]


def single(words: Sequence[str]) -> str:
    """Return the word of a value that is but one."""
    if len(words) != 1:
        raise ValueError("write one word for it")
    return words[0]


def number(words: Sequence[str]) -> bytes:
    """Return a 32-bit number's octets."""
    text = single(words)
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= 0xFFFFFFFF):
        raise ValueError(f"{text} is no number from 0 to 4294967295")
    return int(text).to_bytes(4, "big")


def path_id(words: Sequence[str]) -> int:
    """Return a path identifier that is written as a number or as an IPv4 address."""
    text = single(words)
    return int(IPv4Address(text)) if "." in text else int.from_bytes(number(words), "big")


def _origin(words: Sequence[str]) -> bytes:
    text = single(words)
    if text.lower() not in _ORIGINS:
        raise ValueError(f"{text} is none")
    return bytes((_ORIGINS[text.lower()],))


def _as_path(words: Sequence[str]) -> bytes:
    """Sets stand in inner parentheses, or in braces as elsewhere."""
    inner = {"(": "{", ")": "}", "[": "{", "]": "}"}
    return aspath.encode(aspath.parse_text(" ".join(inner.get(word, word) for word in plain(words))))


def _nothing(words: Sequence[str]) -> bytes:
    return b""


def _aggregator(words: Sequence[str]) -> bytes:
    text = "".join(words)
    asn, colon, address = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text} is none")
    return aspath.parse_asn(asn).to_bytes(4, "big") + IPv4Address(address).packed


def _communities(words: Sequence[str]) -> bytes:
    found = [community.parse_community(word) for word in plain(words)]
    return community.encode_communities(tuple(sorted(set(found))))


def _large(words: Sequence[str]) -> bytes:
    return community.encode_large(tuple(sorted({community.parse_large(word) for word in plain(words)})))


def _extended(words: Sequence[str]) -> bytes:
    found = []
    for word in plain(words):
        kind, colon, rest = word.partition(":")
        found.append(community.parse_extended(f"{_KINDS.get(kind, kind)}{colon}{rest}"))
    if any(len(each) != 8 for each in found):
        raise ValueError("an extended community has 8 octets")
    return b"".join(sorted(set(found)))


def _address(words: Sequence[str]) -> bytes:
    text = single(words)
    return IPv4Address(text).packed


def _addresses(words: Sequence[str]) -> bytes:
    return b"".join(IPv4Address(word).packed for word in plain(words))


_T = AttributeType
WORDS = {
    "origin": Word(_T.ORIGIN, WELL_KNOWN, _origin, "origin igp, egp or incomplete"),
    "as-path": Word(_T.AS_PATH, WELL_KNOWN, _as_path, "as-path [ 65001 65002 ]"),
    "med": Word(_T.MULTI_EXIT_DISC, OPTIONAL_NON_TRANSITIVE, number, "med 100"),
    "local-preference": Word(_T.LOCAL_PREF, WELL_KNOWN, number, "local-preference 100"),
    "atomic-aggregate": Word(_T.ATOMIC_AGGREGATE, WELL_KNOWN, _nothing, "atomic-aggregate"),
    "aggregator": Word(_T.AGGREGATOR, OPTIONAL_TRANSITIVE, _aggregator, "aggregator ( 65001:192.0.2.1 )"),
    "community": Word(_T.COMMUNITIES, OPTIONAL_TRANSITIVE, _communities, "community [ 65001:1 no-export ]"),
    "originator-id": Word(_T.ORIGINATOR_ID, OPTIONAL_NON_TRANSITIVE, _address, "originator-id 192.0.2.1"),
    "cluster-list": Word(_T.CLUSTER_LIST, OPTIONAL_NON_TRANSITIVE, _addresses, "cluster-list [ 192.0.2.1 ]"),
    "extended-community": Word(
        _T.EXTENDED_COMMUNITIES, OPTIONAL_TRANSITIVE, _extended, "extended-community [ target:65001:1 ]"
    ),
    "large-community": Word(
        _T.LARGE_COMMUNITIES, OPTIONAL_TRANSITIVE, _large, "large-community [ 65001:1:2 ]"
    ),
}
