"""What we are to each of the five daemons: client of theirs, route server, fellow member, provider."""

from dataclasses import replace

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import BIRD, Daemon, Neighbor, Setup
from ring import ALL, FIVE, Ring, Session, around, differences
from routes import FAMILIES, Route
from scenario import ASN, ORIGINATED, reflected

IPV4 = Session(4, FAMILIES[:1])
OUTSIDE = {name: 65101 + number for number, name in enumerate(ALL)}
REFLECTORS = ("bird", "frr", "gobgp", "openbgpd")


@around(*REFLECTORS, more=("source",))
@pytest.mark.parametrize("client", [True, False], ids=["client", "non-client"])
def test_they_reflect_for_us(lan: Network, client: bool) -> None:
    """A client of theirs reaches us by them, and we reach it, in both roles of ours (RFC 4456 6)."""
    hub, source = lan["reflector"], lan["source"]
    rows = [
        {"name": name, "address": lan[name].ipv4, "asn": ASN, "passive": False, "connect_retry_time": 1}
        for name in REFLECTORS
    ]
    own = Route("203.0.113.0/24", (hub.ipv4,), local_pref=100, communities=("65001:99",))
    reflector = Reflector(
        hub, ASN, (), extra=rows, networks=[{"prefix": own.prefix, "communities": ["65001:99"]}]
    )
    bird = Daemon(
        BIRD,
        source,
        Setup(
            ASN,
            tuple(Neighbor(name, source.ipv4, lan[name].ipv4, ASN) for name in REFLECTORS),
            ORIGINATED["bird"],
        ),
    )
    daemons = {
        name: Daemon(
            FIVE[name],
            lan[name],
            Setup(
                ASN,
                (
                    Neighbor("us", lan[name].ipv4, hub.ipv4, ASN, passive=True, client=client),
                    Neighbor("source", lan[name].ipv4, source.ipv4, ASN, passive=True, client=True),
                ),
            ),
        )
        for name in REFLECTORS
    }
    reflector.start()
    for each in (bird, *daemons.values()):
        each.start()
    for each in (bird, *daemons.values()):
        each.wait_established()
    for name in REFLECTORS:
        through = lan[name].router_id
        wanted = {
            # To non-clients GoBGP 3.10.0 passes on what clients say without the two attributes of RFC 4456 8.
            route.prefix: route
            if name == "gobgp" and not client
            else reflected(as_sent(name, route), source.router_id, through)
            for route in ORIGINATED["bird"]
        }

        def came(name: str = name) -> dict[str, Route]:
            # FRR gives a client's own route back to it, too.
            found = reflector.received(lan[name].ipv4)
            return {prefix: route for prefix, route in found.items() if prefix != own.prefix}

        eventually(lambda w=wanted, came=came: came().keys() == w.keys(), f"all routes come by {name}")
        assert differences(came(), wanted) == [], name
        told = {own.prefix: reflected(as_sent(name, own), hub.router_id, through)}
        eventually(lambda n=name, w=told: w.keys() <= bird.received(n).keys(), f"ours come by {name}")
        assert differences({own.prefix: bird.received(name)[own.prefix]}, told) == [], name


def as_sent(name: str, route: Route) -> Route:
    """Return the route as that reflector passes it on: FRR adds a MED of 0 where there is none."""
    return replace(route, med=0) if name == "frr" and route.med is None else route


@around(*ALL)
def test_a_route_server_for_all(lan: Network) -> None:
    """Each client holds what the others told us, AS_PATH and next hop as they were (RFC 7947)."""
    served = {"route_server_client": True, "first_as": False}
    # RFC 7947 2.2.2.1: our AS is not in the paths, which clients must let pass.
    theirs = {"openbgpd": ("enforce neighbor-as no",), "frr": ()}
    setups = {"frr": ("no bgp enforce-first-as",)}
    with Ring(lan, sessions=(IPV4,), asns=OUTSIDE, everyone=served, theirs=theirs, setups=setups) as ring:
        ring.check_exchange()
        for name, daemon in ring.daemons.items():
            for prefix, route in daemon.received().items():
                (sender,) = [other for other in ALL if prefix in ring.originated(other)]
                sent = ring.reflector.received(ring.address(sender))[prefix]
                assert (route.as_path, route.next_hop) == (sent.as_path, sent.next_hop), name
                assert (
                    route.communities == sent.communities
                    and route.large_communities == sent.large_communities
                )


@around("bird", "frr", "openbgpd")
@pytest.mark.parametrize("role", ["provider", "customer", "peer", "route-server"])
def test_each_role(lan: Network, role: str) -> None:
    """Both sides demand a role of the other, and agree (RFC 9234 4.2)."""
    other = {"provider": "customer", "customer": "provider", "peer": "peer", "route-server": "rs-client"}[
        role
    ]
    theirs = {
        "bird": (f"local role {other.replace('-', '_')}", "require roles on"),
        "frr": (f"local-role {other} strict-mode",),
        "openbgpd": (f"announce policy {other} enforce",),
    }
    everyone = {"role": role, "strict_role": True}
    with Ring(lan, sessions=(IPV4,), asns=OUTSIDE, everyone=everyone, theirs=theirs) as ring:
        for name in ring.daemons:
            assert ring.about(name)["negotiated"]["remote_role"] is not None, name
        if role in ("provider", "route-server"):
            eventually(lambda: len(ring.daemons["bird"].received()) == 4, "all routes are told")
            for name in ("bird", "frr"):
                marks = {route.only_to_customer for route in ring.daemons[name].received().values()}
                assert None not in marks, "marked on the way out at the latest"


@around("bird", "frr", "gobgp")
def test_members_of_a_confederation(lan: Network) -> None:
    """They are other member ASes, and hold what we say, with AS_CONFED_SEQUENCE (RFC 5065)."""
    members = {name: OUTSIDE[name] for name in ("bird", "frr", "gobgp")}
    identifier = 64999
    everyone = {"policy": "accept-all"}
    theirs = {"bird": (f"confederation {identifier}", "confederation member yes")}
    known = sorted({ASN, *members.values()})
    setups = {
        "frr": (f"bgp confederation identifier {identifier}", f"bgp confederation peers {ASN}"),
        "gobgp": (
            "[global.confederation.config]",
            "  enabled = true",
            f"  identifier = {identifier}",
            f"  member-as-list = {known}",
        ),
    }
    router = {"confederation": {"identifier": identifier, "members": list(members.values())}}
    with Ring(
        lan, sessions=(IPV4,), asns=members, everyone=everyone, theirs=theirs, setups=setups, router=router
    ) as ring:
        ring.check_exchange()
        for name, daemon in ring.daemons.items():
            for route in daemon.received().values():
                assert route.as_path.startswith(f"({ASN} "), name
