"""Checks of what users give to a speaker and its parts: a ValueError, beginning with the argument's name."""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from math import inf

from bgp.aio.address import Endpoint, parse_address, parse_endpoint
from bgp.family import Family
from bgp.wire import prefix as nlri

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
    for key, each in value.items():
        family(name, key)
        if not good(key, each):
            raise ValueError(f"{name}: must be {what} for {key}, not {each!r}")


def whole(name: str, value: object, lowest: int, highest: int | None = None) -> None:
    """Refuse what is no whole number within these bounds."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= lowest:
        if highest is None or value <= highest:
            return
    bounds = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
    raise ValueError(f"{name}: must be a whole number {bounds}, not {value!r}")


def above_zero(name: str, value: object) -> None:
    """Refuse what is no number of seconds that pass."""
    least(name, value, 0)
    if value is None or value in (0, inf):
        raise ValueError(f"{name}: must be a number of seconds above 0, not {value!r}")


def text(name: str, value: object) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be text, not {value!r}")


def instance(name: str, value: object, kinds: type | tuple[type, ...], what: str) -> None:
    """Refuse what is of none of these `kinds`, which are called `what` in words."""
    if not isinstance(value, kinds):
        raise ValueError(f"{name}: must be {what}, not {value!r}")


def has(name: str, value: object, *methods: str) -> None:
    """Refuse what lacks one of these methods; None passes."""
    for method in methods:
        if value is not None and not callable(getattr(value, method, None)):
            raise ValueError(f"{name}: must have a method {method}, which {value!r} has not")


def called(name: str, value: object) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise ValueError(f"{name}: must be a function, not {value!r}")


def address(name: str, value: object) -> IPv4Address | IPv6Address:
    """Return an address, without the scope that it may have."""
    try:
        return parse_address(str(value)).address
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def policy(name: str, value: object) -> None:
    """Refuse what is no policy; None passes."""
    if value is not None and not callable(value):
        raise ValueError(f"{name}: {value!r} is no policy; bgp.policy has them")


def family(name: str, value: object) -> None:
    """Refuse what is no address family."""
    if not isinstance(value, Family):
        raise ValueError(f"{name}: {value!r} is no family; there are IPV4_UNICAST and IPV6_UNICAST")


def prefix(name: str, value: object) -> tuple[Family, bytes]:
    """Return the family and the octets of a network, or of an address as one of its own."""
    if not isinstance(value, str | IPv4Network | IPv6Network | IPv4Address | IPv6Address):
        raise ValueError(f"{name}: write a network such as 192.0.2.0/24, not {value!r}")
    try:
        return nlri.parse(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def endpoints(name: str, value: object) -> tuple[Endpoint, ...]:
    """Return what is to be listened on."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{name}: must be a list of addresses, such as ['192.0.2.1:179'], not {value!r}")
    found = []
    for each in value:
        text(name, each)
        try:
            found.append(parse_endpoint(each))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return tuple(found)
