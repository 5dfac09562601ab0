"""Routes out of the kernel's messages: split fast, decoded once for all that say the same.

In a message everything but the destination is shared by many routes, octet for octet.  So it is cut out, and
what it says is looked up by those octets; only what was not seen before is decoded attribute by attribute.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from fib.kernel.netlink import (
    AF_INET,
    AF_INET6,
    ATTRIBUTE,
    LEG,
    ROUTE,
    RTA_CACHEINFO,
    RTA_DST,
    RTA_GATEWAY,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_PREF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    RTA_VIA,
    RTAX_ADVMSS,
    RTAX_MTU,
    RTM_F_CLONED,
    RTNH_F_ONLINK,
    U32,
    attribute,
    attributes,
)
from fib.route import Address, NextHop, Route, RouteType, Scope, effective_scope

_SHAPES = 65536
_LENGTHS = [bytes((length,)) for length in range(129)]
_DESTINATION = {
    family: ATTRIBUTE.pack(4 + family.bits // 8, RTA_DST) for family in (IPV4_UNICAST, IPV6_UNICAST)
}
_TABLE = ATTRIBUTE.pack(8, RTA_TABLE)
_FAMILIES = {AF_INET: IPV4_UNICAST, AF_INET6: IPV6_UNICAST}
_TYPES = {int(kind): kind for kind in RouteType}

# What a route says, with its protocol and table; None is no route that anybody programs.
Shape: TypeAlias = tuple[Route, int, int] | None


class Reader:
    """Decodes routes; `name` gives the name of an interface by its index."""

    def __init__(self, name: Callable[[int], str]) -> None:
        self._name = name
        self._shapes: dict[bytes, Shape] = {}
        self._interned: dict[Route, Route] = {}

    def forget(self) -> None:
        """Interfaces have changed, so what was decoded may be called otherwise now."""
        self._shapes.clear()

    def intern(self, route: Route) -> Route:
        """Return the one object for all that equal `route`, so that most comparisons are of identity."""
        found = self._interned.get(route)
        if found is None:
            if len(self._interned) >= _SHAPES:
                self._interned.clear()
            found = self._interned[route] = route
        return found

    def read(self, data: bytes, start: int, end: int) -> tuple[Family, bytes, Shape] | None:
        """Return family, prefix and meaning of the RTM_NEWROUTE or RTM_DELROUTE from `start` to `end`."""
        family = _FAMILIES.get(data[start + 16])
        if family is None:
            return None
        length = data[start + 17]
        size = family.bits >> 3
        after = start + 40 + size
        # Both families begin with RTA_TABLE and RTA_DST.
        if data[start + 36 : start + 40] == _DESTINATION[family] and data[start + 28 : start + 32] == _TABLE:
            prefix = _LENGTHS[length] + data[start + 40 : start + 40 + (length + 7 >> 3)]
            key = data[start + 18 : start + 36] + data[after:end]
            rest_start = after
        else:
            prefix, key, rest_start = self._slow(data, start, end, length), b"", start + 28
        if not key:
            return family, prefix, self._decode(family, data, start, rest_start, end)
        try:
            return family, prefix, self._shapes[key]
        except KeyError:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            shape = self._decode(family, data, start, rest_start, end)
            self._shapes[key] = shape
            return family, prefix, shape

    @staticmethod
    def _slow(data: bytes, start: int, end: int, length: int) -> bytes:
        for kind, value in attributes(data, start + 28, end):
            if kind == RTA_DST:
                return _LENGTHS[length] + value[: length + 7 >> 3]
        return _LENGTHS[0]

    def _decode(self, family: Family, data: bytes, start: int, rest: int, end: int) -> Shape:
        _, _, source_length, tos, table, protocol, scope, kind, flags = ROUTE.unpack_from(data, start + 16)
        if rest != start + 28:
            table = U32.unpack_from(data, start + 32)[0]
        if kind not in _TYPES or flags & RTM_F_CLONED:
            return None
        source: Address | None = None
        metric: int | None = None
        mtu = advmss = interface = None
        via: Address | None = None
        hops: list[NextHop] = []
        beyond = b"" if not (tos or source_length) else bytes((tos, source_length))
        for number, value in attributes(data, rest, end):
            if number == RTA_TABLE:
                table = U32.unpack(value)[0]
            elif number == RTA_OIF:
                interface = self._name(U32.unpack(value)[0])
            elif number in (RTA_GATEWAY, RTA_VIA):
                via = _address(value if number == RTA_GATEWAY else value[2:])
            elif number == RTA_PRIORITY:
                metric = U32.unpack(value)[0]
            elif number == RTA_PREFSRC:
                source = _address(value)
            elif number == RTA_METRICS:
                for inner, figure in attributes(value, 0, len(value)):
                    if inner == RTAX_MTU:
                        mtu = U32.unpack(figure)[0]
                    elif inner == RTAX_ADVMSS:
                        advmss = U32.unpack(figure)[0]
                    else:
                        beyond += attribute(inner, figure)
            elif number == RTA_MULTIPATH:
                hops = self._legs(value)
            elif number not in (RTA_DST, RTA_CACHEINFO, RTA_PREF):
                beyond += attribute(number, value)
        chosen = _TYPES[kind]
        if chosen is not RouteType.UNICAST:
            # IPv6 puts such a route on the loopback interface.
            hops = []
        elif not hops:
            if via is None and interface is None:
                # A next hop by number (RTA_NH_ID), which is none of ours.
                return None
            hops = [NextHop(via, interface, onlink=bool(flags & RTNH_F_ONLINK))]
        route = Route(tuple(hops), chosen, source, mtu, advmss, metric if metric is not None else 0)
        if family is IPV4_UNICAST and scope != effective_scope(route):
            try:
                said = Scope(scope)
            except ValueError:
                said, beyond = Scope.UNIVERSE, beyond + bytes((scope,))
            route = Route(route.next_hops, chosen, source, mtu, advmss, route.metric, said, beyond)
        elif beyond:
            route = Route(route.next_hops, chosen, source, mtu, advmss, route.metric, None, beyond)
        return self.intern(route), protocol, table

    def _legs(self, value: bytes) -> list[NextHop]:
        hops = []
        position = 0
        while position + 8 <= len(value):
            length, flags, weight, index = LEG.unpack_from(value, position)
            if length < 8:
                break
            via = None
            for kind, content in attributes(value, position + 8, position + length):
                if kind in (RTA_GATEWAY, RTA_VIA):
                    via = _address(content if kind == RTA_GATEWAY else content[2:])
            interface = self._name(index) if index else None
            if via is not None or interface is not None:
                hops.append(NextHop(via, interface, weight + 1, bool(flags & RTNH_F_ONLINK)))
            position += length + 3 & ~3
        return hops


def _address(octets: bytes) -> IPv4Address | IPv6Address:
    return ip_address(octets)
