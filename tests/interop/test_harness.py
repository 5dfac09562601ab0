"""The harness judged on its own: real daemons only, with BIRD in the place of the reflector.

What holds here must hold with our reflector in BIRD's place; what fails here is the harness's fault.
"""

import sys

import pytest
import raw
from capture import Capture, bgp_complaints
from netns import Network, eventually
from peers import BIRD, FRR, GOBGP, Daemon, Neighbor, Setup
from routes import as_path, from_bird
from scenario import ASN, ORIGINATED, reflected

PEERS = {"bird": BIRD, "frr": FRR, "gobgp": GOBGP}


@pytest.mark.interop("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp", "tshark", "dumpcap")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("passive", [False, True], ids=["active", "passive"])
def test_reflection_by_bird(lan: Network, version: int, passive: bool) -> None:
    """Each daemon hears the others' routes with ORIGINATOR_ID and CLUSTER_LIST and otherwise unchanged."""
    hub = lan["reflector"]
    reflector = Daemon(
        BIRD,
        hub,
        Setup(
            ASN,
            tuple(
                Neighbor(
                    name, hub.address(version), lan[name].address(version), ASN, passive=passive, client=True
                )
                for name in PEERS
            ),
        ),
    )
    clients = [
        Daemon(
            kind,
            lan[name],
            Setup(
                ASN,
                (
                    Neighbor(
                        "hub", lan[name].address(version), hub.address(version), ASN, passive=not passive
                    ),
                ),
                ORIGINATED[name],
            ),
        )
        for name, kind in PEERS.items()
    ]
    capture = Capture.start(hub)
    for daemon in (reflector, *clients):
        daemon.start()
    for daemon in (reflector, *clients):
        daemon.wait_established()
    for client in clients:
        expected = {
            route.prefix: reflected(route, lan[name].router_id, hub.router_id)
            for name in PEERS
            if name != client.node.name
            for route in ORIGINATED[name]
        }
        eventually(
            lambda c=client, e=expected: c.received().keys() == e.keys(), f"{client!r} has every prefix"
        )
        assert client.received() == expected
    capture.stop()
    sent = capture.messages(hub.address(version))
    assert sent[1] >= len(clients) and sent[2] >= 2 * len(clients)
    assert capture.complaints(hub.address(version)) == []


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [("one", "two")], indirect=True)
def test_killed_daemon_comes_back(lan: Network) -> None:
    """A daemon that is killed loses its session, and has it again after the next start."""
    one, two = lan["one"], lan["two"]
    bird, frr = (
        Daemon(kind, here, Setup(ASN, (neighbor,), ORIGINATED[kind.name], graceful_restart=False))
        for kind, here, neighbor in (
            (BIRD, one, Neighbor("peer", one.ipv4, two.ipv4, ASN)),
            (FRR, two, Neighbor("peer", two.ipv4, one.ipv4, ASN)),
        )
    )
    for daemon in (bird, frr):
        daemon.start()
    for survivor, victim in ((bird, frr), (frr, bird)):
        for daemon in (bird, frr):
            daemon.wait_established()
        expected = {route.prefix: route for route in ORIGINATED[victim.kind.name]}
        eventually(lambda s=survivor, e=expected: s.received() == e, f"{survivor!r} has every route")
        victim.kill()
        eventually(lambda s=survivor: not s.established(), f"{survivor!r} sees the end")
        assert survivor.received() == {}
        victim.start()


@pytest.mark.interop("tshark", "dumpcap")
@pytest.mark.parametrize("lan", [("good", "bad", "hub")], indirect=True)
def test_wireshark_complains_where_it_should(lan: Network) -> None:
    """What tells good from bad at the end of each run must be able to."""
    attributes = bytes.fromhex("40010100 400200 400304c0000201 40050400000064")
    sound = raw.message(raw.UPDATE, bytes(2) + len(attributes).to_bytes(2, "big") + attributes + b"\x08\x0a")
    broken = [
        # an ORIGIN of 7 octets that has 1; a prefix of 33 bits; a message that is shorter than it says
        raw.message(raw.UPDATE, bytes.fromhex("0000 0004 40010700") + b"\x08\x0a"),
        raw.message(
            raw.UPDATE, bytes(2) + len(attributes).to_bytes(2, "big") + attributes + b"\x21" + bytes(5)
        ),
        raw.message(raw.UPDATE, bytes.fromhex("0000 00ff")),
    ]
    hub = lan["hub"]
    serve = (
        "import socket,sys\n"
        "listener = socket.create_server(('', 179))\n"
        "while True:\n"
        "    connection = listener.accept()[0]\n"
        "    connection.recv(1)\n"
    )
    hub.start("serve", [sys.executable, "-c", serve])
    eventually(hub.listening, "somebody listens")
    capture = Capture.start(hub)
    for name, octets in (("good", sound), *(("bad", message) for message in broken)):
        talk = (
            "import socket,sys\n"
            "connection = socket.create_connection((sys.argv[1], 179))\n"
            "connection.sendall(bytes.fromhex(sys.argv[2]))\n"
        )
        process = lan[name].start("talk", [sys.executable, "-c", talk, hub.ipv4, octets.hex()])
        assert process.popen.wait(10) == 0
    capture.stop()
    assert capture.messages(lan["good"].ipv4) == {raw.UPDATE: 1}
    assert capture.complaints(lan["good"].ipv4) == []
    assert len(capture.complaints(lan["bad"].ipv4)) >= 2


def test_complaints_are_picked_by_layer() -> None:
    shown = """
Errors (1)
=============
   Frequency      Group           Protocol  Summary
           1   Malformed                BGP  Malformed Packet (Exception occurred)

Warns (3)
=============
   Frequency      Group           Protocol  Summary
           3    Sequence                TCP  Connection reset (RST)

Notes (2)
=============
   Frequency      Group           Protocol  Summary
           2    Protocol                BGP  AS numbers assumed

Chats (4)
=============
   Frequency      Group           Protocol  Summary
           4    Sequence                TCP  Connection establish request (SYN)
           1    Sequence                BGP  a chat
"""
    assert bgp_complaints(shown) == [
        "Errors: Malformed: Malformed Packet (Exception occurred) (1 times)",
        "Notes: Protocol: AS numbers assumed (2 times)",
    ]


def test_as_paths_have_one_form() -> None:
    assert as_path("65010 {65012,65011} 7") == as_path("65010 {65011 65012} 7") == "65010 {65011 65012} 7"
    assert as_path("") == ""


def test_bird_continues_long_attributes() -> None:
    shown = (
        "198.51.100.0/24      unicast [hub 12:00:00.000 from 10.99.0.1] * (100) [i]\n"
        "\tvia 10.99.0.9 on eth0\n\tType: BGP univ\n\tBGP.origin: IGP\n\tBGP.as_path: \n"
        "\tBGP.next_hop: 10.99.0.9\n\tBGP.local_pref: 100\n\tBGP.community: (1,2) (3,4)\n\t\t(5,6)\n"
    )
    (route,) = from_bird(shown.splitlines())
    assert route.communities == ("1:2", "3:4", "5:6")
