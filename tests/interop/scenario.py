"""The routes that the daemons originate, and what RFC 4456 makes of them on the way through a reflector."""

from dataclasses import replace

from routes import Route

ASN = 65000

# Next hops are on the LAN but belong to nobody, so a reflector that puts itself there is found out.
ORIGINATED = {
    "bird": (
        Route(
            "198.51.100.0/26",
            ("10.99.0.101",),
            origin="incomplete",
            as_path="65010 4200000010",
            med=5,
            local_pref=150,
            communities=("65001:7", "65001:70"),
            extended_communities=("rt:65001:7",),
            large_communities=("65001:1:2", "4200000001:3:4"),
        ),
        Route("198.51.100.64/26", ("10.99.0.102",), med=0, local_pref=100),
        Route(
            "2001:db8:100::/48",
            ("fd99::101",),
            origin="egp",
            as_path="65010",
            med=5,
            local_pref=150,
            communities=("65001:7",),
            extended_communities=("rt:65001:7",),
            large_communities=("65001:1:2",),
        ),
    ),
    "frr": (
        Route(
            "198.51.101.0/26",
            ("10.99.0.111",),
            origin="egp",
            as_path="65011 4200000011",
            med=6,
            local_pref=160,
            atomic_aggregate=True,
            aggregator="65011 192.0.2.111",
            communities=("65001:8", "65001:9"),
            extended_communities=("rt:65001:8",),
            large_communities=("65001:3:4",),
        ),
        Route("198.51.101.128/25", ("10.99.0.112",), med=0, local_pref=100),
        Route(
            "2001:db8:101::/48",
            ("fd99::111",),
            as_path="4200000011 65011",
            med=6,
            local_pref=160,
            communities=("65001:8",),
            large_communities=("65001:3:4", "65001:3:5"),
        ),
    ),
    "gobgp": (
        Route(
            "198.51.102.0/26",
            ("10.99.0.121",),
            origin="igp",
            as_path="65012 4200000012",
            med=7,
            local_pref=170,
            communities=("65001:10", "65001:11"),
            large_communities=("65001:5:6",),
        ),
        Route("198.51.102.64/26", ("10.99.0.122",), origin="incomplete", local_pref=100),
        Route(
            "2001:db8:102::/48",
            ("fd99::121",),
            origin="incomplete",
            as_path="65012",
            med=7,
            local_pref=170,
            communities=("65001:10",),
            large_communities=("65001:5:6",),
        ),
    ),
    "openbgpd": (
        Route(
            "198.51.103.0/26",
            ("10.99.0.131",),
            origin="incomplete",
            med=8,
            local_pref=180,
            communities=("65001:12", "65001:13"),
            extended_communities=("rt:65001:12",),
            large_communities=("65001:7:8", "4200000001:7:8"),
        ),
        Route("198.51.103.64/26", ("10.99.0.132",), med=0, local_pref=100),
        Route(
            "2001:db8:103::/48",
            ("fd99::131",),
            origin="egp",
            med=8,
            local_pref=180,
            communities=("65001:12",),
            large_communities=("65001:7:8",),
        ),
    ),
    "exabgp": (
        Route(
            "198.51.104.0/26",
            ("10.99.0.141",),
            origin="egp",
            as_path="65014 4200000014",
            med=9,
            local_pref=190,
            atomic_aggregate=True,
            aggregator="65014 192.0.2.141",
            communities=("65001:14", "65001:15"),
            extended_communities=("rt:65001:14",),
            large_communities=("65001:9:10",),
        ),
        Route("198.51.104.64/26", ("10.99.0.142",), origin="incomplete", local_pref=100),
        Route(
            "2001:db8:104::/48",
            ("fd99::141",),
            as_path="4200000014 65014",
            med=9,
            local_pref=190,
            communities=("65001:14",),
            large_communities=("65001:9:10", "65001:9:11"),
        ),
    ),
}


def reflected(route: Route, originator: str, cluster: str) -> Route:
    """Return `route` as one reflector passes it on: two attributes more and nothing else (RFC 4456 8, 10)."""
    return replace(
        route,
        originator_id=route.originator_id or originator,
        cluster_list=(cluster, *route.cluster_list),
    )
