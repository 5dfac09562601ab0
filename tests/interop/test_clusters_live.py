"""One reflector of several clusters between BIRDs: ours tells them the CLUSTER_LISTs that BIRD tells them."""

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import BIRD, Daemon, Neighbor, Setup
from routes import Route

ASN = 65000
A, B = "192.0.2.101", "192.0.2.102"
# Of the peers around the reflector, the cluster: that of its own, or none for who is no client.
CLUSTERS = {"a1": A, "a2": A, "b1": B, "own": "", "n1": None}
ROUTES = {
    name: Route(f"198.51.100.{16 * number}/28", (f"10.99.0.{100 + number}",), med=number, local_pref=100)
    for number, name in enumerate(CLUSTERS, 1)
}


def passed(lan: Network, sender: str, receiver: str) -> tuple[str, ...]:
    """Return the CLUSTER_LIST of a route on its way from the one to the other (RFC 4456 section 8)."""
    own = lan["reflector"].router_id
    clusters = [CLUSTERS[receiver], CLUSTERS[sender]]
    return tuple(dict.fromkeys(each or own for each in clusters if each is not None))


def passed_by(daemon: Daemon) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    return {route.prefix: (route.originator_id, route.cluster_list) for route in daemon.received().values()}


@pytest.mark.interop("bird", "birdc")
@pytest.mark.parametrize("lan", [("reflector", *CLUSTERS)], indirect=True)
def test_the_clusters_that_routes_have_passed(lan: Network) -> None:
    """First with ours in the middle, then with BIRD, whose sessions have CLUSTER_IDs of their own, too."""
    hub = lan["reflector"]
    inside, daemons = {}, {}
    for name, cluster in CLUSTERS.items():
        ours, theirs = hub.address(4), lan[name].address(4)
        options = (f"rr cluster id {cluster}",) if cluster else ()
        families = ("ipv4-unicast",)
        inside[name] = Neighbor(
            name, ours, theirs, ASN, families, passive=True, client=cluster is not None, options=options
        )
        outside = Neighbor("reflector", theirs, ours, ASN, families)
        daemons[name] = Daemon(BIRD, lan[name], Setup(ASN, (outside,), (ROUTES[name],)))
    each = {name: {"cluster_id": cluster} for name, cluster in CLUSTERS.items() if cluster}
    expected = {
        receiver: {
            ROUTES[sender].prefix: (lan[sender].router_id, passed(lan, sender, receiver))
            for sender in CLUSTERS
            if sender != receiver and not CLUSTERS[sender] is CLUSTERS[receiver] is None
        }
        for receiver in CLUSTERS
    }
    middles = (
        Reflector(hub, ASN, inside.values(), each=each),
        Daemon(BIRD, hub, Setup(ASN, tuple(inside.values()))),
    )
    for daemon in daemons.values():
        daemon.start()
    for middle in middles:
        middle.start()
        for name, daemon in daemons.items():
            eventually(
                lambda daemon=daemon, name=name: passed_by(daemon) == expected[name],
                f"{name} has the routes with their CLUSTER_LISTs from {middle!r}",
            )
        middle.kill()
        for name, daemon in daemons.items():
            eventually(lambda daemon=daemon: daemon.received() == {}, f"{name} has lost the routes")
