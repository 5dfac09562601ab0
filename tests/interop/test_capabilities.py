"""What a session carries by its capabilities, with each of the five daemons."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from exabgp import say
from netns import Network, eventually
from openbgpd import bgpctl
from peers import Daemon
from ring import ALL, Ring, Session, around, as_shown
from routes import FAMILIES, Route
from scenario import ORIGINATED

IPV4 = Session(4, FAMILIES[:1])


@around(*ALL)
def test_four_octet_as_numbers(lan: Network) -> None:
    """Ours and theirs have more than 16 bits, in the OPEN and in AS_PATHs (RFC 6793)."""
    asns = {name: 4200000101 + number for number, name in enumerate(ALL)}
    # ExaBGP does not put its AS before an AS_PATH that it was given.
    everyone = {"first_as": False}
    with Ring(lan, sessions=(IPV4,), asn=4200000000, asns=asns, everyone=everyone) as ring:
        ring.check_exchange()
        for name, daemon in ring.daemons.items():
            assert all(route.as_path.startswith("4200000000 ") for route in daemon.received().values())
            if name != "exabgp":
                received = ring.reflector.received(ring.address(name)).values()
                assert all(route.as_path.startswith(str(asns[name])) for route in received)


OLD = {
    "bird": ("enable as4 off",),
    "openbgpd": ("announce as-4byte no",),
    "exabgp": ("capability { asn4 disable; }",),
}


@around(*ALL)
@pytest.mark.parametrize("old", ["us", "them"])
def test_a_two_octet_peer(lan: Network, old: str) -> None:
    """AS numbers beyond 16 bits get through as AS_TRANS and AS4_PATH (RFC 6793 4.2)."""
    ours = {name: {"four_octet_as": old == "them" and name in OLD} for name in ALL}

    def shows(name: str, route: Route) -> Route:
        if name == "openbgpd" and route.aggregator:
            # RFC 6793 4.2.3 has AS4_PATH ignored where AS4_AGGREGATOR came with an AGGREGATOR of another AS
            # than AS_TRANS.  OpenBGPD 7.7 does so also where there is no AS4_AGGREGATOR.
            two_octets = [asn if int(asn) < 65536 else "23456" for asn in route.as_path.split()]
            route = replace(route, as_path=" ".join(two_octets))
        return as_shown(name, route)

    with Ring(lan, ours=ours, theirs=OLD if old == "them" else None, shows=shows) as ring:
        ring.check_reflection()
        assert not any(ring.about(name)["negotiated"]["four_octet_as"] for name in ALL)


REFRESH: dict[str, Callable[[Daemon, str], object]] = {
    "bird": lambda daemon, us: daemon.ask(
        "birdc", "-s", str(daemon.node.directory / "ctl"), "reload in to_reflector4"
    ),
    "frr": lambda daemon, us: daemon.ask(
        "vtysh",
        *("--vty_socket", str(daemon.node.directory)),
        *("-c", f"clear bgp ipv4 unicast {us} soft in", "-c", f"clear bgp ipv6 unicast {us} soft in"),
    ),
    "openbgpd": lambda daemon, us: bgpctl(daemon, "neighbor", us, "refresh"),
    "exabgp": lambda daemon, us: [
        say(daemon, f"neighbor {us} announce route-refresh {family}")
        for family in ("ipv4 unicast", "ipv6 unicast")
    ],
}
UPDATE, ROUTE_REFRESH = 2, 5
# Who has the enhanced one, with what must be said for it.
MARKING: dict[str, tuple[str, ...]] = {
    "bird": (),
    "frr": (),
    "openbgpd": ("announce enhanced refresh yes",),
}


@around(*REFRESH)
def test_they_ask_for_a_refresh(lan: Network) -> None:
    """We repeat all our routes (RFC 2918 4)."""
    with Ring(lan, everyone={"enhanced_route_refresh": False}) as ring:
        check_their_refresh(ring)


@around(*MARKING, "exabgp")
def test_they_ask_for_an_enhanced_refresh(lan: Network) -> None:
    """We repeat all our routes between a mark for the begin and one for the end (RFC 7313 4)."""
    with Ring(lan, theirs=MARKING) as ring:
        assert all(ring.about(name)["negotiated"]["enhanced_route_refresh"] for name in ring.daemons)
        check_their_refresh(ring)
    assert ring.capture is not None
    assert ring.capture.messages(ring.hub.ipv4)[ROUTE_REFRESH] >= 2 * len(FAMILIES) * len(ring.daemons)


def check_their_refresh(ring: Ring) -> None:
    ring.check_reflection()
    for name, daemon in ring.daemons.items():
        before = ring.about(name)
        assert before["negotiated"]["route_refresh"], name
        REFRESH[name](daemon, ring.address("reflector"))

        def answered(name: str = name, before: dict[str, Any] = before) -> bool:
            asked = ring.grown(name, before, "received_messages", ROUTE_REFRESH)
            told = ring.grown(name, before, "sent_messages", UPDATE)
            return asked >= len(FAMILIES) and told >= len(ring.expected(name))

        eventually(answered, f"{name} asks and we answer")
    ring.check_reflection()


@around("bird", "frr", "gobgp", "exabgp")
def test_we_ask_for_a_refresh(lan: Network) -> None:
    """They repeat all their routes, and we hold the same afterwards (RFC 2918 4)."""
    with Ring(lan, everyone={"enhanced_route_refresh": False}) as ring:
        check_our_refresh(ring, 0)


@around("bird")
def test_we_ask_for_an_enhanced_refresh(lan: Network) -> None:
    """They mark begin and end, between which we keep what was there (RFC 7313 4)."""
    with Ring(lan, theirs=MARKING) as ring:
        check_our_refresh(ring, 2 * len(FAMILIES))


def check_our_refresh(ring: Ring, marks: int) -> None:
    ring.check_reflection()
    for name in ring.daemons:
        before = ring.about(name)
        ring.reflector.report(f"refresh {ring.address(name)}")

        def answered(name: str = name, before: dict[str, Any] = before) -> bool:
            told = ring.grown(name, before, "received_messages", UPDATE)
            marked = ring.grown(name, before, "received_messages", ROUTE_REFRESH)
            return told >= len(ring.originated(name)) and marked >= marks

        eventually(answered, f"{name} answers")
    ring.check_reflection()


@around("bird", "frr", "gobgp", "exabgp")
def test_extended_next_hop(lan: Network) -> None:
    """IPv4 prefixes with IPv6 next hops, over IPv6 (RFC 8950)."""
    theirs = {
        "bird": ("channel extended next hop on",),
        "frr": ("capability extended-nexthop",),
        "exabgp": ("capability { nexthop enable; }", "nexthop { ipv4 unicast ipv6; }"),
    }
    routes = {
        name: [
            replace(route, next_hop=(lan[name].ipv6 if name == "frr" else f"fd99::{200 + number}",))
            if route.family == "ipv4-unicast"
            else route
            for number, route in enumerate(ORIGINATED[name])
        ]
        for name in (*theirs, "gobgp")
    }
    with Ring(
        lan, sessions=(Session(6),), theirs=theirs, everyone={"extended_next_hop": True}, routes=routes
    ) as ring:
        ring.check_reflection()
