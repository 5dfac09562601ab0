"""Checks of what a speaker and its peers are made with: a ValueError, beginning with the argument's name."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from bgp.family import Family

_HIGHEST = 0xFFFFFFFF


def asn(name: str, value: object) -> int:
    """Return an AS number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _HIGHEST:
        raise ValueError(f"{name}: must be an AS number, 1 to {_HIGHEST}, not {value!r}")
    return value


def dotted(name: str, value: str | int | IPv4Address) -> int:
    """Return a number of 32 bits that is usually written like an address."""
    try:
        return int(IPv4Address(value))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def identifier(name: str, value: str | int | IPv4Address) -> int:
    """Return a BGP Identifier, which is not all zero (RFC 6286 section 2.1)."""
    number = dotted(name, value)
    if not number:
        raise ValueError(f"{name}: must not be 0.0.0.0 (RFC 6286 2.1)")
    return number


def least(name: str, value: object, lowest: int) -> None:
    """Refuse what is no number of `lowest` or more; None passes."""
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= lowest:
        raise ValueError(f"{name}: must be a number of {lowest} or more, not {value!r}")


def by_family(name: str, value: object, good: Callable[[Family, object], bool], what: str) -> None:
    """Refuse what is no mapping from families to what is `good`."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: must be a mapping by family, not {value!r}")
    for family, each in value.items():
        if not isinstance(family, Family):
            raise ValueError(f"{name}: {family!r} is no family; there are IPV4_UNICAST and IPV6_UNICAST")
        if not good(family, each):
            raise ValueError(f"{name}: must be {what} for {family}, not {each!r}")
