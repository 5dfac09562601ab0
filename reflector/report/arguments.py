"""Readers of reports' arguments: text as it is typed, or JSON values, become what the report works with."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

from bgp.aio.address import parse_address
from bgp.aio.peer import Peer
from bgp.family import BY_NAME, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.session.event import State
from bgp.wire.community import LargeCommunity, parse_community, parse_large
from reflector.configuration.given import given
from reflector.report.catalog import Sort
from reflector.report.row import Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service

Reader = Callable[["Service", object], Any]

LEVELS = ("debug", "info", "warning", "error", "critical")
_STATES = {state.label.lower(): state for state in State}
_FAMILIES = {**BY_NAME, "ipv4": IPV4_UNICAST, "ipv6": IPV6_UNICAST, "4": IPV4_UNICAST, "6": IPV6_UNICAST}


def text(_: "Service", value: object) -> str:
    """Read any text."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def flag(_: "Service", value: object) -> bool:
    """Read true or false."""
    if isinstance(value, str) and value in ("true", "1", "yes", "false", "0", "no"):
        return value in ("true", "1", "yes")
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def number(_: "Service", value: object) -> int:
    """Read a number, 0 or more."""
    found = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    if found < 0:
        raise ValueError(f"{value!r} is no number from 0 on")
    return found


def family(_: "Service", value: object) -> Family:
    """Read a family: `ipv4-unicast`, or short `ipv4`."""
    if str(value) not in _FAMILIES:
        raise ValueError(f"there is no family {value!r}; write ipv4 or ipv6")
    return _FAMILIES[str(value)]


def network(_: "Service", value: object) -> IPv4Network | IPv6Network:
    """Read a prefix, or an address as the prefix of only that."""
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"{error}; write such as 10.0.0.0/8 or 2001:db8::1") from None


def community(service: "Service", value: object) -> int | LargeCommunity:
    """Read a community, by number or name, or a large one; names are also those of the configuration."""
    given = str(value)
    for text, name in service.configuration.communities.items():
        if name == given:
            given = text
    if given != str(value) and given.startswith(("rt:", "ro:", "0x")):
        raise ValueError(f"{value} is the extended community {given}, by which none can be looked for")
    return parse_large(given) if given.count(":") == 2 else parse_community(given)


def peer(service: "Service", value: object) -> Peer:
    """Read a peer: its name, or its address if that is only one's."""
    wanted = str(value)
    peers = service.speaker.peers
    found = [each for each in peers if each.name == wanted]
    found = found or [each for each in peers if wanted in (each.remote.host, str(each.remote.address))]
    if len(found) == 1:
        return found[0]
    if found:
        raise Unanswerable(
            f"{len(found)} neighbors have the address {wanted}: {', '.join(each.name for each in found)}"
        )
    near = [each.name for each in peers if wanted.lower() in each.name.lower()][:5]
    remedy = f"; there are {', '.join(near)}" if near else "; `reflector show neighbors` lists them"
    raise Unanswerable(f"there is no neighbor {wanted!r}{remedy}")


def state(_: "Service", value: object) -> State:
    """Read a state of the FSM, however it is spelt."""
    wanted = str(value).lower().replace("_", "").replace("-", "")
    if wanted not in _STATES:
        raise ValueError(f"there is no state {value!r}; there are {', '.join(each.label for each in State)}")
    return _STATES[wanted]


def level(_: "Service", value: object) -> str:
    """Read a level of the log."""
    if str(value) not in LEVELS:
        raise ValueError(f"there is no level {value!r}; there are {', '.join(LEVELS)}")
    return str(value)


def values(_: "Service", value: object) -> dict[str, object | None]:
    """Read keys with values."""
    return given(value)


def caller(service: "Service", value: object) -> Peer | IPv4Address | IPv6Address:
    """Read a peer, or the address of one that may come from a listen range."""
    try:
        return peer(service, value)
    except Unanswerable as error:
        try:
            address = parse_address(str(value)).address
        except ValueError:
            raise error from None
        ranges = [each.prefix for each in service.speaker.listen_ranges]
        if not any(address in each for each in ranges):
            raise Unanswerable(f"{error}, and no listen range has that address") from None
        return address


def seconds(_: "Service", value: object) -> float:
    """Read a time span, with a unit or in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", str(value).strip())
    span = 0.0 if found is None else float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]
    if not 0 < span <= 86400:
        raise ValueError(f"{value!r} is no time span up to a day; write such as 30s, 5m or 1h")
    return span


READERS: Mapping[Sort, Reader] = {
    Sort.FLAG: flag,
    Sort.TEXT: text,
    Sort.NUMBER: number,
    Sort.FAMILY: family,
    Sort.PREFIX: network,
    Sort.PEER: peer,
    Sort.COMMUNITY: community,
    Sort.STATE: state,
    Sort.LEVEL: level,
    Sort.CALLER: caller,
    Sort.TIME: seconds,
    Sort.VALUES: values,
}
