"""How sessions come up and what they run over, with each of the five daemons."""

import subprocess

import pytest
from netns import DEVICE, Network, Node, eventually, ip
from ring import ALL, Ring, Session, around
from routes import FAMILIES

OUTSIDE = {name: 65101 + number for number, name in enumerate(ALL)}


def kernel_counter(node: Node, name: str) -> int:
    """Return one of the numbers in the node's /proc/net/netstat."""
    shown = subprocess.run(
        node.command("cat", "/proc/net/netstat"), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for names, values in zip(shown[::2], shown[1::2], strict=True):
        found = dict(zip(names.split(), values.split(), strict=True))
        if name in found:
            return int(found[name])
    return 0


@around(*ALL)
@pytest.mark.parametrize("dials", ["us", "them"])
@pytest.mark.parametrize("version", [4, 6])
def test_both_families_over_one_session(lan: Network, version: int, dials: str) -> None:
    """IPv4 and IPv6 routes over one session of either, dialed by either side, reflected between all five."""
    with Ring(lan, sessions=(Session(version),), dials=dials) as ring:
        ring.check_reflection()


@around(*ALL)
def test_a_session_for_each_family(lan: Network) -> None:
    """IPv4 routes over IPv4 only, and IPv6 routes over IPv6 only, at the same time."""
    sessions = (Session(4, FAMILIES[:1]), Session(6, FAMILIES[1:]))
    with Ring(lan, sessions=sessions) as ring:
        ring.check_reflection()


@around("bird", "gobgp", "openbgpd")
def test_link_local_transport(lan: Network) -> None:
    """The session runs between link-local addresses, which need a scope."""
    addresses = {}
    for node in lan.nodes.values():
        ip("-n", node.namespace, "address", "add", f"fe80::{node.number}/64", "dev", DEVICE, "nodad")
        addresses[node.name] = f"fe80::{node.number}%{DEVICE}"
    with Ring(lan, sessions=(Session(6),), addresses=addresses, theirs={"bird": ("direct",)}) as ring:
        ring.check_reflection()


KEY = {
    "bird": 'password "{}"',
    "frr": "password {}",
    "gobgp": 'config.auth-password = "{}"',
    "openbgpd": "tcp md5sig password {}",
    "exabgp": "md5-password {};",
}


def keyed(key: str) -> dict[str, tuple[str, ...]]:
    return {name: (line.format(key) + (";" if name == "exabgp" else ""),) for name, line in KEY.items()}


@around(*(name for name in ALL if name != "openbgpd"))
@pytest.mark.parametrize("version", [4, 6])
def test_tcp_md5_where_we_dial(lan: Network, version: int) -> None:
    """Our SYN carries the signature that their listener wants (RFC 2385)."""
    check_tcp_md5(lan, version, "us")


@around(*ALL)
@pytest.mark.parametrize("version", [4, 6])
def test_tcp_md5_where_they_dial(lan: Network, version: int) -> None:
    """Our listener has each one's key before it dials (RFC 2385)."""
    check_tcp_md5(lan, version, "them")


def check_tcp_md5(lan: Network, version: int, dials: str) -> None:
    password = {name: {"password": f"bond-{name}"} for name in ALL}
    keys = {name: (line.format(f"bond-{name}"),) for name, line in KEY.items()}
    with Ring(lan, sessions=(Session(version),), dials=dials, ours=password, theirs=keys) as ring:
        ring.check_reflection()
        assert kernel_counter(ring.hub, "TCPMD5Failure") == 0


@around(*ALL)
def test_tcp_md5_with_another_key(lan: Network) -> None:
    """Who signs with another key does not get through, and all others do."""
    keys = {name: (line.format("bond"),) for name, line in KEY.items()}
    with Ring(lan, dials="them", everyone={"password": "break"}, theirs=keys, waits=False) as ring:
        eventually(lambda: kernel_counter(ring.hub, "TCPMD5Failure") >= len(ALL), "SYNs of all")
        assert ring.capture is not None
        assert {ring.state(name) for name in ALL} == {"Active"}


GTSM = {
    "bird": ("ttl security on", "multihop 1"),
    "frr": ("ttl-security hops 1",),
    "gobgp": ("ttl-security.config.enabled = true", "ttl-security.config.ttl-min = 255"),
    "openbgpd": ("ttl-security yes",),
    "exabgp": ("outgoing-ttl 255;", "incoming-ttl 255;"),
}
# One family, since FRR without zebra does not get along with the link-local next hops of eBGP.
IPV4 = Session(4, FAMILIES[:1])
# ExaBGP does not put its AS before an AS_PATH that it was given.
WARY = {"minimum_ttl": 255, "first_as": False}


@around(*(name for name in ALL if name != "exabgp"))
def test_gtsm_where_we_dial(lan: Network) -> None:
    """Both sides send with TTL 255 and take nothing less (RFC 5082)."""
    with Ring(lan, sessions=(IPV4,), asns=OUTSIDE, everyone=WARY, theirs=GTSM) as ring:
        ring.check_exchange()


@around(*ALL)
def test_gtsm_where_they_dial(lan: Network) -> None:
    """Our listener answers with TTL 255, and the kernel watches over what it has accepted."""
    with Ring(lan, sessions=(IPV4,), asns=OUTSIDE, dials="them", everyone=WARY, theirs=GTSM) as ring:
        ring.check_exchange()


@around(*ALL)
def test_gtsm_against_who_is_farther(lan: Network) -> None:
    """They send with TTL 1, as from 254 hops away: the kernel drops it, and no session comes up."""
    with Ring(lan, sessions=(IPV4,), asns=OUTSIDE, everyone=WARY, waits=False) as ring:
        eventually(lambda: kernel_counter(ring.hub, "TCPMinTTLDrop") >= 2 * len(ALL), "their answers come")
        assert all(ring.state(name) != "Established" for name in ALL)


@around(*ALL)
@pytest.mark.parametrize("version", [4, 6])
def test_collision(lan: Network, version: int) -> None:
    """Both sides' SYNs get through at the same moment: one connection is left (RFC 4271 6.8)."""
    for name in ALL:
        lan.unplug(name)
    with Ring(lan, sessions=(Session(version),), dials="both", waits=False) as ring:
        waiting = set(ALL)

        def plug_who_dials() -> bool:
            ours = sockets(ring.hub)
            for name in list(waiting):
                if "SYN-SENT" in sockets(lan[name]) and f"{ring.address(name)}" in ours:
                    lan.plug(name)
                    waiting.discard(name)
            return not waiting

        eventually(plug_who_dials, "all dial, and we dial them")
        ring.wait_established()
        ring.check_reflection()
        eventually(lambda: connections(ring.hub) == len(ALL), "a connection to each is left")
    assert ring.capture is not None
    sent = ring.capture.messages(ring.address("reflector"))
    assert sent[1] > len(ALL), "there were more connections"


def connections(node: Node) -> int:
    return sockets(node).count("ESTAB")


def sockets(node: Node) -> str:
    return subprocess.run(
        node.command("ss", "-tnH", "( sport = :179 or dport = :179 )"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
