"""Attributes in words, for people: one short text for each, in the notations that configurations use."""

from collections.abc import Callable
from ipaddress import IPv4Address

from bgp.iana import AttributeType, Origin, WellKnownCommunity
from bgp.wire import aspath
from bgp.wire.attributes import ROWS, Attributes
from bgp.wire.community import (
    community_text,
    decode_communities,
    decode_large,
    extended_text,
    large_text,
    split_extended,
)
from bgp.wire.prefix import address_text

_T = AttributeType
_KNOWN = {int(value): value.name for value in WellKnownCommunity}


def _number(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))


def _origin(value: bytes) -> str:
    return Origin(value[0]).name if value[0] in tuple(Origin) else value.hex()


def _communities(value: bytes) -> str:
    return " ".join(_KNOWN.get(each) or community_text(each) for each in decode_communities(value))


def _extended(size: int) -> Callable[[bytes], str]:
    return lambda value: " ".join(map(extended_text, split_extended(value, size)))


_WORDS: dict[int, Callable[[bytes], str]] = {
    _T.ORIGIN: _origin,
    _T.AS_PATH: lambda value: aspath.text(aspath.parse(value)) or "empty",
    _T.NEXT_HOP: address_text,
    _T.MULTI_EXIT_DISC: _number,
    _T.LOCAL_PREF: _number,
    _T.ATOMIC_AGGREGATE: lambda _: "set",
    _T.AGGREGATOR: lambda value: f"{_number(value[:4])} {IPv4Address(value[4:])}",
    _T.COMMUNITIES: _communities,
    _T.ORIGINATOR_ID: address_text,
    _T.CLUSTER_LIST: lambda value: " ".join(
        address_text(value[at : at + 4]) for at in range(0, len(value), 4)
    ),
    _T.EXTENDED_COMMUNITIES: _extended(8),
    _T.IPV6_EXTENDED_COMMUNITIES: _extended(20),
    _T.LARGE_COMMUNITIES: lambda value: " ".join(map(large_text, decode_large(value))),
    _T.ONLY_TO_CUSTOMER: _number,
}


def name(type: int) -> str:
    """Return the name of an attribute."""
    return ROWS[type].name if type in ROWS else f"attribute {type}"


def value(type: int, octets: bytes) -> str:
    """Return the value of an attribute in words, or its octets in hexadecimal."""
    words = _WORDS.get(type)
    return octets.hex() if words is None else words(octets)


def values(attributes: Attributes) -> dict[str, str]:
    """Return all attributes by name, and the next hop beside them, where there is one."""
    found = {name(type_): value(type_, octets) for _, type_, octets in attributes.items()}
    if attributes.next_hop:
        found[name(_T.NEXT_HOP)] = address_text(attributes.next_hop)
    return found


def line(attributes: Attributes) -> str:
    """Return all attributes in one line."""
    return ", ".join(f"{name} {text}" for name, text in values(attributes).items())
