"""Another AS towards one peer: what BIRD and GoBGP hear through us is what they hear through FRR.

Over IPv4 only: FRR, which has no zebra here, does not take what GoBGP says over IPv6.
"""

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup
from routes import Route

ALIAS, OURS, BIRD, GOBGP = 64510, 65000, 64496, 64499
NETS = {"bird": "198.51.100.0/26", "gobgp": "198.51.100.64/26"}
# Whether the AS is not prepended to what comes in, and whether it replaces ours in what goes out.
WAYS = {
    "": (),
    "no-prepend": ("local_as_no_prepend",),
    "no-prepend replace-as": ("local_as_no_prepend", "local_as_replace_as"),
}


def heard_through(lan: Network, middle: str, words: str) -> dict[str, str]:
    """Return the AS_PATHs of what BIRD, who sees the other AS, and GoBGP hear of each other."""
    hub = lan[middle]
    families = ("ipv4-unicast",)
    far = {"bird": (BIRD, ALIAS), "gobgp": (GOBGP, OURS)}
    daemons = {}
    for name, (asn, shown) in far.items():
        node = lan[name]
        to_hub = Neighbor("hub", node.ipv4, hub.ipv4, shown, families)
        route = Route(NETS[name], (node.ipv4,))
        daemons[name] = Daemon(KINDS[name], node, Setup(asn, (to_hub,), (route,)))
    if middle == "frr":
        neighbors = tuple(
            Neighbor(
                name,
                hub.ipv4,
                lan[name].ipv4,
                asn,
                families,
                options=(f"local-as {ALIAS} {words}",) if name == "bird" else (),
            )
            for name, (asn, _) in far.items()
        )
        daemons["frr"] = Daemon(KINDS["frr"], hub, Setup(OURS, neighbors))
    else:
        tables = [
            {
                "address": lan[name].ipv4,
                "asn": asn,
                "families": list(families),
                "policy": "accept-all",
                "connect_retry_time": 1,
                **({"local_as": ALIAS, **dict.fromkeys(WAYS[words], True)} if name == "bird" else {}),
            }
            for name, (asn, _) in far.items()
        ]
        Reflector(hub, OURS, (), extra=tables).start()
    for daemon in daemons.values():
        daemon.start()
    for daemon in daemons.values():
        daemon.wait_established()
    wanted = {"bird": NETS["gobgp"], "gobgp": NETS["bird"]}
    for name, net in wanted.items():
        eventually(lambda name=name, net=net: net in daemons[name].received(), f"{name} has {net}")
    found = {name: daemons[name].received()[net].as_path for name, net in wanted.items()}
    for daemon in daemons.values():
        daemon.kill()
    return found


@pytest.mark.interop("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
@pytest.mark.parametrize("words", WAYS)
def test_as_paths_are_those_of_frr(lan: Network, words: str) -> None:
    ours = heard_through(lan, "reflector", words)
    assert ours == heard_through(lan, "frr", words)
    replaced, silent = "replace-as" in words, "no-prepend" in words
    assert ours == {
        "bird": f"{ALIAS} {GOBGP}" if replaced else f"{ALIAS} {OURS} {GOBGP}",
        "gobgp": f"{OURS} {BIRD}" if silent else f"{OURS} {ALIAS} {BIRD}",
    }
