"""Packed messages: by template as the readable way, as pyroute2 encodes them, and read back as written."""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.wire.prefix import network, parse
from fib.backend import Owner
from fib.kernel.netlink import HEADER, NLM_F_ACK, RTM_NEWROUTE, messages
from fib.kernel.pack import Packer, reference
from fib.kernel.read import Reader
from fib.plan import Change
from fib.route import NextHop, Route, RouteType, Scope, effective_scope

INTERFACES = {"lo": 1, "eth0": 2, "eth1": 7}
NAMES = {index: name for name, index in INTERFACES.items()}
OWNER = Owner(protocol=179, table=1000, metric=None)

ADDRESSES = {
    4: st.integers(0x01000000, 0xDFFFFFFF).map(IPv4Address),
    6: st.integers(0x2001 << 112, (0x2002 << 112) - 1).map(IPv6Address),
}


def hops(version: int) -> st.SearchStrategy[tuple[NextHop, ...]]:
    gateway = st.one_of(ADDRESSES[version], ADDRESSES[6])
    interface = st.sampled_from(("eth0", "eth1"))
    return st.lists(
        st.builds(NextHop, gateway, interface, st.integers(1, 256), st.booleans()), min_size=1, max_size=4
    ).map(tuple)


@st.composite
def routes(draw: st.DrawFn, version: int) -> Route:
    kind = draw(st.sampled_from(list(RouteType)))
    legs = draw(hops(version)) if kind is RouteType.UNICAST else ()
    size = st.one_of(st.none(), st.integers(100, 9000))
    scope = draw(st.one_of(st.none(), st.sampled_from(list(Scope)))) if version == 4 else None
    made = Route(
        legs,
        kind,
        draw(st.one_of(st.none(), ADDRESSES[version])),
        draw(size),
        draw(size),
        draw(st.integers(1, 2147483646)),
        scope,
    )
    if scope is not None and effective_scope(Route(legs, kind)) == scope:
        # The kernel does not say whether it was told.
        return Route(legs, kind, made.source, made.mtu, made.advmss, made.metric)
    return made


@st.composite
def changes(draw: st.DrawFn) -> tuple[Family, list[Change]]:
    version = draw(st.sampled_from((4, 6)))
    family = IPV4_UNICAST if version == 4 else IPV6_UNICAST
    pool = draw(st.lists(routes(version), min_size=1, max_size=4))
    rows: list[Change] = []
    for _ in range(draw(st.integers(1, 8))):
        length = draw(st.integers(0, family.bits))
        address = draw(ADDRESSES[version])
        prefix = parse(str(_masked(address, length)))[1]
        before = draw(st.one_of(st.none(), st.sampled_from(pool)))
        after = draw(st.one_of(st.none(), st.sampled_from(pool)) if before else st.sampled_from(pool))
        rows.append((prefix, before, after))
    return family, rows


def _masked(address: IPv4Address | IPv6Address, length: int) -> Any:
    from ipaddress import ip_network

    return ip_network(f"{address}/{length}", strict=False)


@given(changes())
def test_templates_pack_as_the_readable_way(given_changes: tuple[Family, list[Change]]) -> None:
    family, rows = given_changes
    packer = Packer(family, OWNER, INTERFACES)
    for _ in range(2):  # the second time by templates alone
        batch, places, failures = packer.pack(rows)
        slow: list[bytes] = []
        expected = []
        for place, change in enumerate(rows):
            made = reference(family, OWNER, change, INTERFACES, len(slow))
            slow += made
            expected += [place] * len(made)
        length, kind, flags, sequence, port = HEADER.unpack_from(slow[-1])
        slow[-1] = HEADER.pack(length, kind, flags | NLM_F_ACK, sequence, port) + slow[-1][16:]
        assert batch == b"".join(slow)
        assert places == expected
        assert failures == {}


@given(changes())
def test_what_is_packed_is_read_back(given_changes: tuple[Family, list[Change]]) -> None:
    family, rows = given_changes
    reader = Reader(NAMES.__getitem__)
    batch, places, _ = Packer(family, OWNER, INTERFACES).pack(rows)
    for (start, end, kind, *_), place in zip(messages(batch), places, strict=True):
        if kind != RTM_NEWROUTE:
            continue
        for _ in range(2):
            read = reader.read(batch, start, end)
            assert read is not None
            assert read[:2] == (family, rows[place][0])
            assert read[2] == (rows[place][2], 179, 1000)


@given(changes())
def test_pyroute2_encodes_the_same_octets(given_changes: tuple[Family, list[Change]]) -> None:
    family, rows = given_changes
    ipv6 = family is IPV6_UNICAST
    for change in rows:
        for packed in reference(family, OWNER, change, INTERFACES):
            length, kind, flags, sequence, port = HEADER.unpack_from(packed)
            assert length == len(packed)
            route = change[2]
            if kind != RTM_NEWROUTE or route is None:
                continue
            message = rtmsg()
            message["header"] = {"type": kind, "flags": flags, "sequence_number": sequence, "pid": port}
            message["family"] = 10 if ipv6 else 2
            message["dst_len"] = change[0][0]
            message["proto"] = 179
            message["type"] = int(route.type)
            message["scope"] = 0 if ipv6 else int(effective_scope(route))
            message["flags"] = 4 if len(route.next_hops) == 1 and route.next_hops[0].onlink else 0
            message["attrs"] = _attributes(family, change[0], route)
            message.encode()
            assert bytes(message.data) == packed


def _attributes(family: Family, prefix: bytes, route: Route) -> list[Any]:
    attrs: list[Any] = [("RTA_TABLE", 1000), ("RTA_PRIORITY", route.metric)]
    metrics = [("RTAX_MTU", route.mtu), ("RTAX_ADVMSS", route.advmss)]
    if any(value for _, value in metrics):
        attrs.append(("RTA_METRICS", {"attrs": [row for row in metrics if row[1]]}))
    if route.source is not None:
        attrs.append(("RTA_PREFSRC", str(route.source)))
    if len(route.next_hops) == 1:
        (hop,) = route.next_hops
        attrs += [_gateway(family, hop), ("RTA_OIF", INTERFACES[str(hop.interface)])]
    elif route.next_hops:
        legs = [
            {
                "flags": 4 if hop.onlink else 0,
                "hops": hop.weight - 1,
                "oif": INTERFACES[str(hop.interface)],
                "attrs": [_gateway(family, hop)],
            }
            for hop in route.next_hops
        ]
        attrs.append(("RTA_MULTIPATH", legs))
    return [*attrs, ("RTA_DST", str(network(family, prefix).network_address))]


def _gateway(family: Family, hop: NextHop) -> Any:
    assert hop.via is not None
    if (hop.via.version == 6) == (family is IPV6_UNICAST):
        return ("RTA_GATEWAY", str(hop.via))
    return ("RTA_VIA", {"family": 10, "addr": str(hop.via)})


def test_a_missing_interface_is_that_change_s_alone() -> None:
    route = Route((NextHop(None, "eth9"),), metric=5)
    other = Route((NextHop(None, "eth0"),), metric=5)
    rows: list[Change] = [(b"\x08\x0a", None, route), (b"\x08\x0b", None, other)]
    batch, places, failures = Packer(IPV4_UNICAST, OWNER, INTERFACES).pack(rows)
    assert places == [1]
    assert failures[0].words == "no interface eth9"
    assert len(list(messages(batch))) == 1


def test_what_is_cut_short_is_no_route_and_no_crash() -> None:
    batch, _, _ = Packer(IPV4_UNICAST, OWNER, INTERFACES).pack(
        [(b"\x08\x0a", None, Route((NextHop(IPv4Address("192.0.2.1"), "eth0"),), metric=5))]
    )
    reader = Reader(NAMES.__getitem__)
    for size in range(28, len(batch)):
        cut = struct.pack("=I", size) + batch[4:size]
        for start, end, *_ in messages(cut):
            reader.read(cut, start, end)
