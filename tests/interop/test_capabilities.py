"""What a session carries by its capabilities, with each of the five daemons."""

from collections.abc import Callable

import pytest
from exabgp import say
from netns import Network, eventually
from openbgpd import bgpctl
from peers import Daemon
from ring import ALL, Ring, Session, around
from routes import FAMILIES

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
    with Ring(lan, ours=ours, theirs=OLD if old == "them" else None) as ring:
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
    "gobgp": lambda daemon, us: daemon.ask("gobgp", "neighbor", us, "softresetin"),
    "openbgpd": lambda daemon, us: bgpctl(daemon, "neighbor", us, "refresh"),
    "exabgp": lambda daemon, us: [
        say(daemon, f"neighbor {us} announce route-refresh {family}") for family in ("ipv4 unicast", "ipv6 unicast")
    ],
}
ROUTE_REFRESH = 5


@around(*ALL)
@pytest.mark.parametrize("enhanced", [False, True])
def test_route_refresh(lan: Network, enhanced: bool) -> None:
    """Each side asks the other for all its routes again, and holds the same afterwards (RFC 2918, RFC 7313)."""
    theirs = {"openbgpd": ("announce enhanced refresh yes",)}
    with Ring(lan, everyone={"enhanced_route_refresh": enhanced}, theirs=theirs) as ring:
        ring.check_reflection()
        for name, daemon in ring.daemons.items():
            negotiated = ring.about(name)["negotiated"]
            assert negotiated["route_refresh"], name
            assert negotiated["enhanced_route_refresh"] == (enhanced and name not in ("gobgp",)), name
            before = ring.about(name)
            REFRESH[name](daemon, ring.address("reflector"))
            eventually(
                lambda n=name, b=before: ring.grown(n, b, "received_messages", ROUTE_REFRESH) >= 2
                and ring.grown(n, b, "sent_messages", 2) >= len(ALL) - 1,
                f"{name} asks and we answer",
            )
            if negotiated["enhanced_route_refresh"]:
                # BoRR and EoRR for each family.
                eventually(
                    lambda n=name, b=before: ring.grown(n, b, "sent_messages", ROUTE_REFRESH) == 4, "they are marked"
                )
            before = ring.about(name)
            ring.reflector.report(f"refresh {ring.address(name)}")
            eventually(
                lambda n=name, b=before: ring.grown(n, b, "received_messages", 2) >= 2, f"{name} answers"
            )
        ring.check_reflection()


@around("bird", "frr", "exabgp")
def test_extended_next_hop(lan: Network) -> None:
    """IPv4 prefixes with IPv6 next hops, over IPv6 (RFC 8950)."""
    from dataclasses import replace

    from scenario import ORIGINATED

    theirs = {
        "bird": ("channel extended next hop on",),
        "frr": ("capability extended-nexthop",),
        "exabgp": ("capability { nexthop enable; }", "nexthop { ipv4 unicast ipv6; }"),
    }
    routes = {
        name: [
            replace(route, next_hop=(f"fd99::{200 + number}",)) if number < 2 else route
            for number, route in enumerate(ORIGINATED[name])
        ]
        for name in theirs
    }
    with Ring(
        lan, sessions=(Session(6),), theirs=theirs, everyone={"extended_next_hop": True}, routes=routes
    ) as ring:
        ring.check_reflection()
