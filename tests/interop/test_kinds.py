"""Confederation, route server and roles, with BIRD, FRR and GoBGP around us as they have these themselves."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup
from routes import Route

DAEMONS = ("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
FAMILY = {4: ("ipv4-unicast",), 6: ("ipv6-unicast",)}
AS = {"bird": 64502, "frr": 64501, "gobgp": 64503}
MEMBER = {"bird": 65102, "frr": 65101}
OURS, IDENTIFIER = 65000, 64999


def origin(lan: Network, name: str, version: int) -> Route:
    """Return what that daemon originates: its own address is the next hop."""
    number = list(KINDS).index(name)
    net = f"198.51.100.{64 * number}/26" if version == 4 else f"2001:db8:{100 + number}::/48"
    return Route(net, (lan[name].address(version),), as_path="64700", med=5, communities=("64700:1",))


def surround(
    lan: Network,
    version: int,
    asns: dict[str, int],
    shown: Callable[[str], int],
    ours: dict[str, dict[str, object]],
    theirs: dict[str, tuple[str, ...]],
    router: dict[str, object] | None = None,
    setups: dict[str, tuple[str, ...]] | None = None,
) -> tuple[Reflector, dict[str, Daemon]]:
    """Start us amidst daemons with these ASes, to each of which we are `shown` as an AS; wait for sessions.

    `ours` are our keys about each, `theirs` its lines about us, `setups` those about itself.
    """
    hub = lan["reflector"]
    tables, daemons = [], {}
    for name, asn in asns.items():
        node = lan[name]
        tables.append(
            {
                "name": name,
                "address": node.address(version),
                "asn": asn,
                "families": list(FAMILY[version]),
                "passive": True,
                "policy": "accept-all",
                **ours.get(name, {}),
            }
        )
        session = Neighbor(
            "reflector",
            node.address(version),
            hub.address(version),
            shown(name),
            families=FAMILY[version],
            options=theirs.get(name, ()),
        )
        setup = Setup(asn, (session,), (origin(lan, name, version),), options=(setups or {}).get(name, ()))
        daemons[name] = Daemon(KINDS[name], node, setup)
    reflector = Reflector(hub, OURS, (), extra=tables, router=router)
    reflector.start()
    for daemon in daemons.values():
        daemon.start()
    for daemon in daemons.values():
        daemon.wait_established()
    return reflector, daemons


def wait_for(daemon: Daemon, nets: set[str]) -> dict[str, Route]:
    eventually(lambda: set(daemon.received()) == nets, f"{daemon!r} has {nets}")
    return daemon.received()


@pytest.mark.interop(*DAEMONS)
@pytest.mark.parametrize("version", [4, 6])
def test_a_confederation(lan: Network, version: int) -> None:
    """FRR and BIRD are other member ASes, GoBGP is outside and sees one AS (RFC 5065)."""
    reflector, daemons = surround(
        lan,
        version,
        {**MEMBER, "gobgp": AS["gobgp"]},
        lambda name: OURS if name in MEMBER else IDENTIFIER,
        {},
        {"bird": (f"confederation {IDENTIFIER}", "confederation member yes")},
        {"confederation": {"identifier": IDENTIFIER, "members": list(MEMBER.values())}},
        {"frr": (f"bgp confederation identifier {IDENTIFIER}", f"bgp confederation peers {OURS}")},
    )
    net = {name: origin(lan, name, version).prefix for name in daemons}
    for name, other in (("frr", "bird"), ("bird", "frr")):
        heard = wait_for(daemons[name], {net[other], net["gobgp"]})
        theirs = reflector.received(lan[other].address(version))[net[other]]
        assert theirs.as_path == f"({MEMBER[other]}) 64700" and theirs.local_pref == 100
        route = heard[net[other]]
        assert route.as_path == f"({OURS} {MEMBER[other]}) 64700"
        assert (route.med, route.local_pref) == (5, 100)
        assert route.next_hop == theirs.next_hop[:1], "without a link-local address"
        outside = heard[net["gobgp"]]
        assert outside.as_path == f"({OURS}) {AS['gobgp']} 64700"
        assert outside.next_hop == (lan["gobgp"].address(version),)
        assert outside.communities == ("64700:1",)
    heard = wait_for(daemons["gobgp"], {net["bird"], net["frr"]})
    for name in MEMBER:
        assert heard[net[name]].as_path == f"{IDENTIFIER} 64700"
        assert heard[net[name]].next_hop[0] == lan["reflector"].address(version)
        assert heard[net[name]].med is None


@pytest.mark.interop(*DAEMONS)
@pytest.mark.parametrize("version", [4, 6])
def test_a_route_server(lan: Network, version: int) -> None:
    """What clients hold of each other is what we got, but for the mark of their roles (RFC 7947, 9234)."""
    # FRR, which has no zebra here, withdraws what has a link-local next hop since it knows of no interface.
    asns = {name: asn for name, asn in AS.items() if version == 4 or name != "frr"}
    served = {"route_server_client": True, "role": "route-server"}
    reflector, daemons = surround(
        lan,
        version,
        asns,
        lambda _: OURS,
        dict.fromkeys(asns, served),
        {"bird": ("local role rs_client",), "frr": ("local-role rs-client",)},
    )
    net = {name: origin(lan, name, version).prefix for name in asns}
    for name, daemon in daemons.items():
        heard = wait_for(daemon, set(net.values()) - {net[name]})
        for other in set(asns) - {name}:
            sent = reflector.received(lan[other].address(version))[net[other]]
            route = heard[net[other]]
            assert route.as_path == sent.as_path == f"{AS[other]} 64700"
            assert route.med == sent.med and route.communities == sent.communities
            assert sent.next_hop[0] == lan[other].address(version)
            # Of two addresses GoBGP shows the first.
            assert route.next_hop == sent.next_hop[: len(route.next_hop)]
            if name != "gobgp":
                assert route.only_to_customer == OURS


@pytest.mark.interop(*DAEMONS)
def test_roles(lan: Network) -> None:
    """FRR is our customer, BIRD our provider, GoBGP a peer that knows nothing of roles (RFC 9234)."""
    ours = {"frr": "provider", "bird": "customer", "gobgp": "peer"}
    reflector, daemons = surround(
        lan,
        4,
        AS,
        lambda _: OURS,
        {name: {"role": role, "strict_role": name != "gobgp"} for name, role in ours.items()},
        {"frr": ("local-role customer strict-mode",), "bird": ("local role provider", "require roles on")},
    )
    net = {name: origin(lan, name, 4).prefix for name in AS}
    # The customer hears all of it, marked as what is for customers only.
    heard = wait_for(daemons["frr"], {net["bird"], net["gobgp"]})
    assert {name: heard[net[name]].only_to_customer for name in ("bird", "gobgp")} == {
        "bird": AS["bird"],
        "gobgp": AS["gobgp"],
    }
    # The others hear of our customer alone: the provider without a mark, the peer with ours.
    assert wait_for(daemons["bird"], {net["frr"]})[net["frr"]].only_to_customer is None
    wait_for(daemons["gobgp"], {net["frr"]})
    told = reflector.advertised(lan["gobgp"].ipv4)
    assert told == {net["frr"]: replace(told[net["frr"]], only_to_customer=OURS)}


@pytest.mark.interop("bird", "birdc", "gobgpd", "gobgp")
@pytest.mark.parametrize("third_party", [False, True])
def test_third_party_next_hops(lan: Network, third_party: bool) -> None:
    """On the LAN that all share, one is told the other's address where that is asked for (RFC 4271 5.1.3)."""
    asns = {name: AS[name] for name in ("bird", "gobgp")}
    keys = {"third_party_next_hop": third_party}
    _, daemons = surround(lan, 4, asns, lambda _: OURS, dict.fromkeys(asns, keys), {})
    for name, other in (("bird", "gobgp"), ("gobgp", "bird")):
        net = origin(lan, other, 4).prefix
        route = wait_for(daemons[name], {net})[net]
        assert route.next_hop == (lan[other if third_party else "reflector"].ipv4,)
        assert route.as_path == f"{OURS} {AS[other]} 64700"
