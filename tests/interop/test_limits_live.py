"""A limit on prefixes between us and FRR, which understands what it is told (RFC 4486)."""

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup
from routes import Route

NETS = ("198.51.100.0/26", "198.51.100.64/26")


def surround(lan: Network, ours: dict[str, object]) -> tuple[Reflector, Daemon]:
    hub, node = lan["reflector"], lan["frr"]
    table = {
        "address": node.ipv4,
        "asn": 64501,
        "families": ["ipv4-unicast"],
        "policy": "accept-all",
        "connect_retry_time": 1,
        **ours,
    }
    reflector = Reflector(hub, 65000, (), extra=[table], reporting=False)
    to_us = Neighbor("hub", node.ipv4, hub.ipv4, 65000, ("ipv4-unicast",))
    routes = tuple(Route(net, (node.ipv4,)) for net in NETS)
    frr = Daemon(KINDS["frr"], node, Setup(64501, (to_us,), routes))
    reflector.start()
    frr.start()
    return reflector, frr


def log_of(reflector: Reflector) -> str:
    assert reflector.process is not None
    return reflector.process.output()


@pytest.mark.interop("frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "frr")], indirect=True)
def test_frr_is_told_that_it_sent_too_many(lan: Network) -> None:
    keys = {"maximum_prefixes": 1, "maximum_prefixes_warning": 100, "maximum_prefixes_action": "shut"}
    reflector, frr = surround(lan, keys)
    eventually(lambda: "shut down until it is started" in log_of(reflector), "the session is shut")
    shown = frr.ask("vtysh", "--vty_socket", str(frr.node.directory), "-c", "show bgp neighbors")
    assert "Maximum Number of Prefixes Reached" in shown, shown
    log = log_of(reflector)
    assert "more than 1 prefixes of ipv4-unicast (RFC 4486 4)" in log


@pytest.mark.interop("frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "frr")], indirect=True)
def test_frr_goes_on_where_we_only_warn(lan: Network) -> None:
    keys = {"maximum_prefixes": 1, "maximum_prefixes_action": "warn"}
    reflector, frr = surround(lan, keys)
    eventually(lambda: "2 prefixes of ipv4-unicast, more than the 1" in log_of(reflector), "a warning")
    assert frr.established()
