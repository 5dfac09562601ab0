"""Peers known by their interface: FRR with its zebra, which advertises itself as a router, and us."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import find
from netns import Network, Node, eventually, ip
from ours import Reflector

CONFIGURATION = """
frr defaults traditional
log stdout informational
interface eth0
 no ipv6 nd suppress-ra
 ipv6 nd ra-interval 1
router bgp 64501
 bgp router-id 192.0.2.7
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor eth0 interface remote-as external
 neighbor eth0 timers connect 1
 neighbor eth0 advertisement-interval 0
 address-family ipv4 unicast
  neighbor eth0 activate
  network 198.51.100.0/26
 exit-address-family
 address-family ipv6 unicast
  neighbor eth0 activate
  network 2001:db8:7::/48
 exit-address-family
"""

KEYS = {
    "interface": "eth0",
    "name": "eth0",
    "asn": "external",
    "policy": "accept-all",
    "connect_retry_time": 1,
    "extended_next_hop": True,
}


def unnumber(node: Node) -> None:
    """Leave the node nothing but its link-local address."""
    ip("-n", node.namespace, "address", "flush", "dev", "eth0", "scope", "global")


def as_known(directory: Path) -> list[str]:
    """Return what runs a command where zebra's user and groups are known, on whatever machine.

    A node's programs have file systems mounted for themselves alone, so nobody else sees these files.
    """
    mounts = []
    for name, lines in (
        ("passwd", ["frr:x:61999:61999::/nonexistent:/usr/sbin/nologin"]),
        ("group", ["frr:x:61999:", "frrvty:x:61998:frr"]),
    ):
        others = [line for line in Path("/etc", name).read_text().splitlines() if not line.startswith("frr")]
        (directory / name).write_text("\n".join([*others, *lines, ""]))
        mounts.append(f"mount --bind {directory / name} /etc/{name}")
    return ["sh", "-c", f'{" && ".join(mounts)} && exec "$@"', "sh"]


def start_frr(node: Node, directory: Path) -> None:
    """Start zebra and bgpd with their sockets in `directory`; zebra will not run as root."""
    zebra, bgpd = find("zebra"), find("frr")
    assert zebra is not None and bgpd is not None
    directory.chmod(0o777)
    (directory / "conf").write_text(CONFIGURATION)
    common = ["-f", str(directory / "conf"), "--vty_socket", str(directory), "-z", str(directory / "zserv")]
    for program, rights in ((zebra, ["-u", "frr", "-g", "frr"]), (bgpd, ["-S"])):
        pid = directory / f"{program.name}.pid"
        argv = [*as_known(directory), *program.argv, *common, "-i", str(pid), *rights, "-P", "0"]
        node.start(program.name, argv, program.environment)
        eventually(pid.exists, f"{program.name} runs")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Give a directory that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="martlet-") as directory:
        yield Path(directory)


@pytest.mark.interop("frr", "zebra", "vtysh")
@pytest.mark.parametrize("passive", [False, True], ids=["dialing", "waiting"])
@pytest.mark.parametrize("lan", [("reflector", "frr")], indirect=True)
def test_frr_and_we_meet_on_an_interface(lan: Network, open_directory: Path, passive: bool) -> None:
    for name in ("reflector", "frr"):
        unnumber(lan[name])
    start_frr(lan["frr"], open_directory)
    network = '[[network]]\nprefix = "203.0.113.0/24"\n'
    reflector = Reflector(lan["reflector"], 65000, (), extra=[{**KEYS, "passive": passive}], tables=network)
    reflector.start()
    assert reflector.process is not None
    process = reflector.process
    eventually(lambda: "eth0: Established" in process.output(), "a session on eth0", 60)

    def heard() -> bool:
        (found,) = reflector.report().values()
        routes = found["received"]
        assert isinstance(routes, list)
        return {route["prefix"] for route in routes} >= {"198.51.100.0/26", "2001:db8:7::/48"}

    eventually(heard, "both routes of FRR")
    vtysh = find("vtysh")
    assert vtysh is not None

    def told() -> bool:
        shown = vtysh.run("--vty_socket", str(open_directory), "-c", "show bgp ipv4 unicast")
        return "203.0.113.0/24" in shown

    eventually(told, "our route at FRR")


@pytest.mark.interop()
@pytest.mark.parametrize("passive", [False, True], ids=["both dial", "one waits"])
@pytest.mark.parametrize("lan", [("one", "two")], indirect=True)
def test_two_of_us_find_each_other(lan: Network, passive: bool) -> None:
    """No router advertises itself here: the echo request for all nodes makes them known.

    Who waits answers to none here: it is found by what it sends itself.
    """
    reflectors = [
        Reflector(lan[name], asn, (), extra=[{**KEYS, "passive": passive and name == "two"}])
        for name, asn in (("one", 65001), ("two", 65002))
    ]
    for name in ("one", "two"):
        unnumber(lan[name])
    if passive:
        switch = "echo 1 > /proc/sys/net/ipv6/icmp/echo_ignore_multicast"
        subprocess.run(lan["two"].command("sh", "-c", switch), check=True)
    for reflector in reflectors:
        reflector.start()
    for reflector in reflectors:
        assert reflector.process is not None
        process = reflector.process
        eventually(lambda process=process: "eth0: Established" in process.output(), "a session", 60)


@pytest.mark.interop()
@pytest.mark.parametrize("lan", [("one", "two", "three")], indirect=True)
def test_among_several_nobody_is_dialed(lan: Network) -> None:
    reflector = Reflector(lan["one"], 65001, (), extra=[KEYS], reporting=False)
    reflector.start()
    assert reflector.process is not None
    process = reflector.process
    eventually(lambda: "several neighbors on eth0: fe80::" in process.output(), "why nobody is dialed", 60)
