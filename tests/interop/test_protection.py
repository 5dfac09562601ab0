"""TCP-MD5 and GTSM where real daemons connect to us."""

import pytest
from netns import Network
from ours import Reflector
from peers import KINDS, Daemon, Neighbor, Setup

RANGE = """
[[listen_range]]
prefix = "{prefix}"
asn = "any"
policy = "accept-all"
password = "of the range"
"""


@pytest.mark.interop("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
@pytest.mark.parametrize("version", [4, 6])
def test_gtsm_a_password_and_none_within_a_range_that_has_one(lan: Network, version: int) -> None:
    """FRR comes with its own key and TTL 255, BIRD with that of the range, GoBGP with neither."""
    hub = lan["reflector"]
    common = {"families": [f"ipv{version}-unicast"], "policy": "accept-all", "passive": True}
    frr, bird, gobgp = (lan[name].address(version) for name in ("frr", "bird", "gobgp"))
    tables = [
        {"address": frr, "asn": 64501, "password": "itsown", "minimum_ttl": 255, **common},
        {"address": gobgp, "asn": 64503, **common},
    ]
    prefix = "10.99.0.0/24" if version == 4 else "fd99::/64"
    reflector = Reflector(hub, 65000, (), extra=tables, reporting=False, tables=RANGE.format(prefix=prefix))
    reflector.start()
    asked = {
        "frr": (64501, frr, ("password itsown", "ttl-security hops 1")),
        "bird": (64502, bird, ('password "of the range"',)),
        "gobgp": (64503, gobgp, ()),
    }
    for name, (asn, address, options) in asked.items():
        to_us = Neighbor(
            "hub", address, hub.address(version), 65000, (f"ipv{version}-unicast",), options=options
        )
        daemon = Daemon(KINDS[name], lan[name], Setup(asn, (to_us,)))
        daemon.start()
        daemon.wait_established()
