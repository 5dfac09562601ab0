"""Aggregates, default routes and conditions, as BIRD, FRR and GoBGP hear of them from us.

BIRD has the routes that all depends on; its own command line takes them back and lets them be again.
"""

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup
from routes import FAMILIES, Route
from scenario import ASN

ASNS = {"bird": 65010, "frr": 65011, "gobgp": ASN}
PARTS = ("198.51.100.0/26", "198.51.100.64/26", "203.0.113.0/25", "2001:db8:100:1::/64")
TABLES = """
[[aggregate]]
prefix = "198.51.100.0/24"
summary_only = true

[[aggregate]]
prefix = "203.0.113.0/24"
origin_as = 65010

[[aggregate]]
prefix = "2001:db8:100::/48"
summary_only = true

[condition.parts]
exists = ["198.51.100.0/24 ge 25"]

[condition.no-parts]
missing = ["198.51.100.0/24 ge 25"]

[policy.part]
[[policy.part.term]]
match = {prefix = ["203.0.113.0/25"]}
then = "accept"

[group.frr]
default_originate = ["ipv4-unicast"]
default_originate_if = "parts"
conditional = [{routes = "part", if = "no-parts"}]

[[network]]
prefix = "192.0.2.0/25"
if = "parts"

[[network]]
prefix = "192.0.2.128/25"
if = "no-parts"
"""
WITH = {
    "198.51.100.0/24",
    "203.0.113.0/24",
    "203.0.113.0/25",
    "2001:db8:100::/48",
    "192.0.2.0/25",
}
TOLD_FRR = WITH - {"203.0.113.0/25", "2001:db8:100::/48"} | {"0.0.0.0/0"}
WITHOUT = {"192.0.2.128/25"}


@pytest.mark.interop("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
def test_what_depends_on_other_routes(lan: Network) -> None:
    hub = lan["reflector"]
    routes = tuple(
        Route(one, ("fd99::101" if ":" in one else lan["bird"].ipv4,), origin="incomplete") for one in PARTS
    )
    inside, daemons = {}, {}
    for name, kind in KINDS.items():
        node = lan[name]
        # Without zebra bgpd knows no interface, and drops IPv6 routes with a link-local next hop.
        families = ("ipv4-unicast",) if name == "frr" else FAMILIES
        client = name == "gobgp"
        inside[name] = Neighbor(name, hub.ipv4, node.ipv4, ASNS[name], families, passive=True, client=client)
        outside = Neighbor("reflector", node.ipv4, hub.ipv4, ASN, families)
        daemons[name] = Daemon(kind, node, Setup(ASNS[name], (outside,), routes if name == "bird" else ()))
    # Wireshark guesses whether there are path identifiers, and takes the octet of a default route for one.
    hub.tolerated = "Malformed Packet"
    reflector = Reflector(
        hub,
        ASN,
        inside.values(),
        tables=TABLES,
        each={"frr": {"group": "frr"}},
        policy="accept-all",
        advertisement_interval=0.5,
    )
    reflector.start()
    for daemon in daemons.values():
        daemon.start()
    for daemon in daemons.values():
        daemon.wait_established()

    def heard(name: str, expected: set[str]) -> dict[str, Route]:
        daemon = daemons[name]
        eventually(lambda: daemon.received().keys() == expected, f"{daemon!r} has {expected}")
        return daemon.received()

    # FRR is told a default route, and on the condition that is not met not of the part.
    shown = {"frr": heard("frr", TOLD_FRR), "gobgp": heard("gobgp", WITH)}
    for name, own in (("frr", f"{ASN}"), ("gobgp", "")):
        for summary in {"198.51.100.0/24", "2001:db8:100::/48"} & shown[name].keys():
            route = shown[name][summary]
            assert route.as_path == own and route.origin == "incomplete"
            assert route.atomic_aggregate and route.aggregator == f"{ASN} {hub.router_id}"
        assert shown[name]["203.0.113.0/24"].as_path == f"{own} 65010".strip()
        assert shown[name]["198.51.100.0/24"].next_hop == (hub.ipv4,)
    assert shown["frr"]["0.0.0.0/0"].as_path == f"{ASN}"
    assert shown["frr"]["0.0.0.0/0"].next_hop == (hub.ipv4,)

    bird = daemons["bird"]
    for channel in ("ipv4", "ipv6"):
        bird.ask("birdc", "-s", str(bird.node.directory / "ctl"), "disable", f"originated_{channel}")
    heard("frr", WITHOUT)
    heard("gobgp", WITHOUT)
    for channel in ("ipv4", "ipv6"):
        bird.ask("birdc", "-s", str(bird.node.directory / "ctl"), "enable", f"originated_{channel}")
    heard("frr", TOLD_FRR)
    heard("gobgp", WITH)
