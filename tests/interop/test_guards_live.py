"""Guards before real daemons: BIRD has a block, FRR announces the same one, and gets it in the end."""

import pytest
from netns import Network, eventually
from peers import BIRD, FRR
from routes import Route
from test_service_live import CONFIGURATION, Service, node_of

BLOCK, OTHER, SERVICE = "10.244.0.0/26", "10.244.0.64/26", "10.96.0.1/32"
GUARDED = CONFIGURATION.replace("[group.nodes]", '[group.nodes]\nguard = "nodes"')
GUARD = """
[guard.nodes]
blocks = [
  {within = "10.244.0.0/16", length = 26, count = 2},
  {within = "fd00:10:244::/48", length = 122},
]
shared = ["10.96.0.0/12 le 32"]
next_hop = ["itself", "fd99::/64"]
"""


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "bird", "frr")], indirect=True)
def test_a_block_with_two_owners(lan: Network) -> None:
    service = Service(lan["reflector"], GUARDED + GUARD)
    names = {name: lan[name].ipv4 for name in ("bird", "frr")}
    # Both announce the block and the service; FRR another block, too, by a next hop that is not its own.
    six = Route("fd00:10:244::40/122", (lan["bird"].ipv6,), local_pref=100)
    bird = node_of(
        lan,
        BIRD,
        "bird",
        [Route(each, (names["bird"],), local_pref=100) for each in (BLOCK, SERVICE)] + [six],
    )
    wrong = Route(OTHER, ("10.99.0.200",), local_pref=100)
    frr = node_of(
        lan, FRR, "frr", [Route(each, (names["frr"],), local_pref=200) for each in (BLOCK, SERVICE)] + [wrong]
    )
    bird.start()
    bird.wait_established()
    owned = {BLOCK: names["bird"], "fd00:10:244::40/122": names["bird"]}
    eventually(
        lambda: {row["prefix"]: row["owner"] for row in service.ask("show", "claims")} == owned,
        "BIRD has its blocks",
        60,
    )
    frr.start()
    frr.wait_established()
    expected = {"owned": 1, "next-hop": 1}
    eventually(
        lambda: [row["kept_from_use"] for row in service.ask("show", "guards", names["frr"])] == [expected],
        "two routes of FRR are kept from use",
        60,
    )
    (claim,) = service.ask("show", "claims", "--disputed")
    assert (claim["prefix"], claim["owner"], claim["others"]) == (BLOCK, names["bird"], [names["frr"]])
    # A service has two owners, and that is as it should be.
    eventually(lambda: len(service.ask("show", "routes", SERVICE)) == 2, "both announce the service", 60)
    assert all(row["usable"] for row in service.ask("show", "routes", SERVICE))
    # FRR's LOCAL_PREF is higher: without the guard BIRD would be sent there.
    told = service.say("explain", BLOCK)
    assert f"{BLOCK} belongs to {names['bird']}, who came first" in told, told
    eventually(lambda: SERVICE in bird.received(), "BIRD hears of FRR's service", 60)
    assert BLOCK not in bird.received() and OTHER not in bird.received()

    since = service.sessions()[names["frr"]]
    bird.ask("birdc", "-s", str(bird.node.directory / "ctl"), "disable", "to_hub")
    eventually(
        lambda: [row["owner"] for row in service.ask("show", "claims", BLOCK)] == [names["frr"]],
        "FRR has the block when BIRD has gone",
        60,
    )
    (route,) = service.ask("show", "routes", BLOCK)
    assert route["usable"] and route["next_hop"] == names["frr"], route
    assert service.ask("show", "claims", "--disputed") == []
    assert service.sessions()[names["frr"]] == since
