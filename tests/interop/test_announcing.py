"""What the library says that it has told FRR and BIRD, they know."""

import sys
from pathlib import Path

import pytest
from capture import Capture
from netns import Network, Process, eventually
from peers import KINDS, Daemon, Neighbor, Setup

HERE = Path(__file__).resolve().parent
SETTLED = 3.0  # what was told is known at once, but for the daemon's own time


def surround(lan: Network, kind: str) -> tuple[Daemon, Process]:
    hub, node = lan["ours"], lan[kind]
    to_us = Neighbor("ours", node.ipv4, hub.ipv4, 65000, ("ipv4-unicast",))
    daemon = Daemon(KINDS[kind], node, Setup(65000, (to_us,), ()))
    daemon.start()
    Capture.begin(hub)
    program = hub.start(
        "announcing",
        [
            *(sys.executable, str(HERE / "announcing.py")),
            *(hub.ipv4, node.ipv4, str(hub.directory)),
        ],
        {"PYTHONPATH": str(HERE.parents[1])},
    )
    return daemon, program


@pytest.mark.parametrize(
    "lan",
    [
        pytest.param(("ours", "frr"), marks=pytest.mark.interop("frr", "vtysh")),
        pytest.param(("ours", "bird"), marks=pytest.mark.interop("bird", "birdc")),
    ],
    indirect=True,
    ids=["frr", "bird"],
)
def test_what_is_told_is_known(lan: Network) -> None:
    kind = "frr" if "frr" in lan.nodes else "bird"
    daemon, program = surround(lan, kind)

    def said(line: str) -> None:
        eventually(lambda: line in program.output().splitlines(), line, 60)

    def step(name: str) -> None:
        (lan["ours"].directory / name).touch()

    said("told")
    said("kept: no-advertise")
    eventually(lambda: len(daemon.received()) == 2, "both are known", SETTLED)
    known = daemon.received()
    assert set(known) == {"198.51.100.0/24", "203.0.113.9/32"}
    route = known["198.51.100.0/24"]
    assert (route.med, route.as_path, route.local_pref) == (7, "65009", 100)
    assert set(route.communities) == {"65000:1", "65000:2"}
    assert route.extended_communities == ("rt:65000:1",)
    assert route.large_communities == ("65000:1:2",)
    assert [each.lower() for each in known["203.0.113.9/32"].communities] in (["blackhole"], ["65535:666"])
    step("many")
    said("many")
    eventually(lambda: len(daemon.received()) == 2002, "all of the transaction is known", SETTLED)
    assert daemon.received()["198.51.100.0/24"].med == 8
    step("checked")
    said("up")
    eventually(lambda: "192.0.2.53/32" in daemon.received(), "the checked one is known", SETTLED)
    step("sick")
    said("down")
    eventually(lambda: "192.0.2.53/32" not in daemon.received(), "it is withdrawn", SETTLED)
    step("over")
    eventually(lambda: not daemon.received(), "all is gone with the session", SETTLED)
