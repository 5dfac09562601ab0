"""Four sources announce the same prefixes; who takes ADD-PATH holds the paths that are selected for it.

What BIRD, FRR and GoBGP hold, by their own account, is what RFC 4271's decision leaves, worked out here.
"""

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup
from routes import Route
from scenario import ASN, reflected

# Sources, from the best to the worst by LOCAL_PREF, and two that only their router id tells apart.
PREFERENCES = {"first": 300, "second": 200, "third": 200, "fourth": 100}
PREFIXES = ("198.51.100.0/26", "198.51.100.64/26", "2001:db8:100::/48")
SELECTED: dict[object, tuple[str, ...]] = {
    "best": ("first",),
    2: ("first", "second"),
    3: ("first", "second", "third"),
    "equal": ("first",),
    "all": ("first", "second", "third", "fourth"),
}
# Without the first one.
LEFT: dict[object, tuple[str, ...]] = {
    "best": ("second",),
    2: ("second", "third"),
    3: ("second", "third", "fourth"),
    "equal": ("second", "third"),
    "all": ("second", "third", "fourth"),
}


def originated(name: str) -> tuple[Route, ...]:
    number = list(PREFERENCES).index(name) + 1
    hops = {4: f"10.99.0.{100 + number}", 6: f"fd99::{100 + number}"}
    return tuple(
        Route(
            prefix,
            (hops[6 if ":" in prefix else 4],),
            as_path="65010",
            local_pref=PREFERENCES[name],
            communities=(f"65001:{number}",),
        )
        for prefix in PREFIXES
    )


def ordered(routes: list[Route]) -> list[Route]:
    return sorted(routes, key=str)


@pytest.mark.interop("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
@pytest.mark.parametrize("lan", [("reflector", *PREFERENCES, *KINDS)], indirect=True)
@pytest.mark.parametrize("selection", SELECTED, ids=str)
def test_who_takes_add_path_holds_what_is_selected(lan: Network, selection: object) -> None:
    hub = lan["reflector"]

    def daemon(name: str, kind: str, routes: tuple[Route, ...], add_path: bool) -> Daemon:
        neighbor = Neighbor("reflector", lan[name].ipv4, hub.ipv4, ASN, add_path=add_path)
        setup = Setup(ASN, (neighbor,), routes, graceful_restart=False)
        return Daemon(KINDS[kind], lan[name], setup)

    sources = {name: daemon(name, "bird", originated(name), False) for name in PREFERENCES}
    takers = {name: daemon(name, name, (), True) for name in KINDS}
    inside = [Neighbor(name, hub.ipv4, lan[name].ipv4, ASN, passive=True, client=True) for name in sources]
    reflector = Reflector(
        hub,
        ASN,
        inside,
        extra=[
            {"address": lan[name].ipv4, "client": True, "passive": True, "add_path": "send"}
            | ({} if selection == "all" else {"add_path_select": selection})
            for name in takers
        ],
    )
    reflector.start()
    for each in (*sources.values(), *takers.values()):
        each.start()
    for each in (*sources.values(), *takers.values()):
        each.wait_established()

    def check(names: tuple[str, ...]) -> None:
        wanted = ordered(
            [
                reflected(route, lan[name].router_id, hub.router_id)
                for name in names
                for route in originated(name)
            ]
        )
        for name, taker in takers.items():
            eventually(lambda t=taker: len(t.paths()) == len(wanted), f"{taker!r} has {len(wanted)} paths")
            eventually(lambda t=taker: ordered(t.paths()) == wanted, f"{taker!r} has these: {wanted}")
            assert ordered(reflector.paths(lan[name].ipv4)) == wanted

    check(SELECTED[selection])
    sources["first"].kill()
    check(LEFT[selection])
    sources["first"].start()
    check(SELECTED[selection])
