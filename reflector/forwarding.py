"""The `[fib]` table: whether the kernel's routes follow the best ones, and how.

What programs the kernel is imported only where that is asked for, so that a reflector which forwards nothing
does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_interface
from typing import TYPE_CHECKING, Any

from bgp.policy.prefixes import PrefixList
from reflector.configuration import addresses, terms, values
from reflector.configuration.document import Place, nearest
from reflector.configuration.shapes import TEXT, array, either, integer, shape_of, shaped, table, words
from reflector.configuration.values import kind, list_of, number, refuse_as, shown

if TYPE_CHECKING:
    from bgp.rib.path import Path
    from bgp.speaker import Speaker
    from fib import KernelFib, Redistribute

FROM_LOCAL_PREF = "from-local-pref"
_HIGHEST_METRIC = 2147483646
_MODES = ("never", "always", "cross-subnet")


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The `[fib]` table; its fields are those of `fib.KernelFib`, unless they say otherwise."""

    enabled: bool = True
    table: int = 254
    protocol: int = 179
    metric: int | str = 179
    netns: str | None = None
    max_paths: int = 16
    weights: bool = False
    sources: tuple[IPv4Address | IPv6Address, ...] = ()
    mtu: int | None = None
    advmss: int | None = None
    blackholes: bool = True
    allow: PrefixList | None = None
    never: PrefixList | None = None
    by_default: bool = True
    guard: int | None = None  # percent
    flush: bool = False
    audit: float = 300.0
    # Pools with their modes; the tunnel's device, address and MTU.
    ipip: tuple[tuple[IPv4Network, str], ...] = ()
    tunnel: str = "tunl0"
    tunnel_address: IPv4Interface | None = None
    tunnel_mtu: int | None = None
    redistribute: tuple[Redistribute, ...] = ()

    def make(self, speaker: Speaker) -> KernelFib:
        """Return what programs the kernel by `speaker`."""
        from fib import IpInIp, KernelFib

        tunnel = None
        if self.ipip:
            tunnel = IpInIp(
                dict(self.ipip), device=self.tunnel, address=self.tunnel_address, mtu=self.tunnel_mtu
            )
        return KernelFib(
            speaker,
            table=self.table,
            protocol=self.protocol,
            metric=self.metric if isinstance(self.metric, int) else metric_from_local_pref,
            netns=self.netns,
            max_paths=self.max_paths,
            weights=self.weights,
            sources=self.sources,
            mtu=self.mtu,
            advmss=self.advmss,
            blackholes=self.blackholes,
            encapsulate=tunnel,
            allow=self.allow,
            never=self.never or (),
            by_default=self.by_default,
            redistribute=self.redistribute,
            guard=None if self.guard is None else self.guard / 100,
            flush=self.flush,
            audit=self.audit,
        )


def metric_from_local_pref(path: Path) -> int:
    """Return the metric of a route by its LOCAL_PREF, as cluster networks map the two on each other."""
    preference = path.attributes.local_pref
    return 2147483647 - (100 if preference is None else preference)


def is_forwarding_error(error: Exception) -> bool:
    """Whether an error is the kernel's table that cannot be programmed."""
    from fib import BackendError

    return isinstance(error, BackendError)


# --- Readers ------------------------------------------------------------------------------------------


@shaped(either(integer(1, _HIGHEST_METRIC), words([FROM_LOCAL_PREF])))
def metric(value: object, place: Place) -> int | str | None:
    """Read a metric, or that it follows from LOCAL_PREF."""
    if value == FROM_LOCAL_PREF:
        return FROM_LOCAL_PREF
    if isinstance(value, str):
        place.refuse(f'"{value}" is no metric', f'write a number, or "{FROM_LOCAL_PREF}"')
        return None
    return number(1, _HIGHEST_METRIC)(value, place)


@shaped(integer(1, 255))
def protocol(value: object, place: Place) -> int | None:
    """Read the number that marks our routes in the kernel."""
    found = number(1, 255)(value, place)
    if found is not None and found in (1, 2, 3, 4, 9, 16):
        place.refuse(f"{found} marks routes of the kernel or the administrator", "write another, such as 179")
        return None
    return found


@shaped({"type": "object", "additionalProperties": words(_MODES)})
def pools(value: object, place: Place) -> tuple[tuple[IPv4Network, str], ...] | None:
    """Read the pools of IP-in-IP: a table of prefixes, each with its mode."""
    if not isinstance(value, dict):
        place.refuse(f"must be a table, not {kind(value)}", 'write {"10.244.0.0/16" = "cross-subnet"}')
        return None
    found = []
    for name, given in value.items():
        network, mode = addresses.prefix(name, place / name), values.one_of(_MODES)(given, place / name)
        if network is None or mode is None:
            return None
        if not isinstance(network, IPv4Network):
            (place / name).refuse("is of IPv6, and IP-in-IP carries IPv4 only", "write an IPv4 prefix")
            return None
        found.append((network, mode))
    return tuple(found)


@shaped(TEXT)
def tunnel_address(value: object, place: Place) -> IPv4Interface | None:
    """Read the address that the tunnel's device has."""
    try:
        found = ip_interface(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if not isinstance(found, IPv4Interface):
        place.refuse(f"{shown(value)} is no IPv4 address with a length", 'write "10.244.0.1/32"')
        return None
    return found


def redistribute(value: object, place: Place) -> tuple[Redistribute, ...] | None:
    """Read the rules by which routes of the kernel are announced."""
    rules = values.tables(value, place)
    if rules is None:
        return None
    found = [_rule(each, place / index) for index, each in enumerate(rules)]
    return None if None in found else tuple(each for each in found if each is not None)


def _rule(given: Mapping[str, object], place: Place) -> Redistribute | None:
    from fib import Redistribute

    options: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in given.items():
        read = _CONDITIONS.get(name) or _ATTRIBUTES.get(name)
        if read is None:
            known = [*_CONDITIONS, *_ATTRIBUTES]
            guess = nearest(name, known)
            remedy = f"did you mean {guess}?" if guess else f"remove it; there are {', '.join(known)}"
            (place / name).refuse("there is no such key", remedy)
            return None
        found = read(value, place / name)
        if found is None:
            return None
        (options if name in _CONDITIONS else attributes)[name] = found
    return Redistribute(**options, attributes=attributes)  # type: ignore[arg-type]


@shaped(array({"type": ["string", "integer"]}))
def _protocols(value: object, place: Place) -> frozenset[int] | None:
    from fib.redistribute import protocol_number

    if not isinstance(value, list):
        place.refuse(f"must be a list, not {kind(value)}", 'write ["kernel", "static"], or numbers')
        return None
    found = set()
    for index, each in enumerate(value):
        if isinstance(each, bool) or not isinstance(each, int | str):
            (place / index).refuse(f"must be a name or a number, not {kind(each)}", 'write "static"')
            return None
        try:
            found.add(protocol_number(each))
        except ValueError as error:
            refuse_as(place / index, error)
            return None
    return frozenset(found)


_CONDITIONS: dict[str, Callable[[object, Place], object | None]] = {
    "protocols": _protocols,
    "table": number(1, 0xFFFFFFFF),
    "interfaces": list_of(values.text),
    "prefixes": addresses.prefix_list,
    "refusing": values.flag,
}
_ATTRIBUTES: dict[str, Callable[[object, Place], object | None]] = {
    "med": number(0, 0xFFFFFFFF),
    "local_pref": number(0, 0xFFFFFFFF),
    "communities": list_of(terms.community),
}

_RULE = table({name: shape_of(read) for name, read in (_CONDITIONS | _ATTRIBUTES).items()})
shaped(array(_RULE))(redistribute)
