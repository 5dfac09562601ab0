"""What passes through us to each of the daemons: several paths, long messages, all that we do not know."""

import struct
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import raw
from exabgp import account
from netns import Network, eventually
from openbgpd import bgpctl
from ours import Reflector
from peers import BIRD, Daemon, Neighbor, Setup
from ring import FIVE, Ring, Session, around
from routes import FAMILIES, Route
from scenario import ASN

IPV4 = Session(4, FAMILIES[:1])
NET = "203.0.113.0/24"


@around("bird", "frr", "exabgp")
def test_extended_messages(lan: Network) -> None:
    """A route whose attributes alone have 13,200 octets arrives whole (RFC 8654)."""
    large = [f"{ASN}:{number}:1" for number in range(1100)]
    networks = [{"prefix": NET, "large_communities": large}]
    theirs = {
        "bird": ("enable extended messages on",),
        "exabgp": ("capability { extended-message enable; }",),
    }
    # Wireshark 4.0 does not know that a message may have more than 4096 octets.
    clean = {"tolerated": "Length is invalid"}
    with Ring(lan, sessions=(IPV4,), routes={}, theirs=theirs, networks=networks, **clean) as ring:
        for name, daemon in ring.daemons.items():
            assert ring.about(name)["negotiated"]["maximum_send"] == 65535, name
            eventually(lambda d=daemon: NET in d.received(), f"{name} has it")
            assert daemon.received()[NET].large_communities == tuple(large), name


@around("gobgp", "openbgpd")
def test_who_takes_no_long_message_is_told_the_rest(lan: Network) -> None:
    """What does not fit into 4096 octets is left out, and the session goes on (RFC 8654 4)."""
    large = [f"{ASN}:{number}:1" for number in range(1100)]
    networks = [{"prefix": NET, "large_communities": large}, {"prefix": "192.0.2.128/25"}]
    with Ring(lan, sessions=(IPV4,), routes={}, networks=networks) as ring:
        for name, daemon in ring.daemons.items():
            assert ring.about(name)["negotiated"]["maximum_send"] == 4096, name
            eventually(lambda d=daemon: "192.0.2.128/25" in d.received(), f"{name} has the other")
            assert NET not in daemon.received()
            assert ring.state(name) == "Established"


# An attribute and extended communities that nobody has assigned.
STRANGE, PAYLOAD = 200, bytes.fromhex("c0ffee00")
SEES: dict[str, Callable[[Daemon, str], bool]] = {
    "bird": lambda daemon, us: (
        "c0 ff ee 00" in daemon.ask("birdc", "-s", str(daemon.node.directory / "ctl"), "show route all")
    ),
    "gobgp": lambda daemon, us: '"type":200' in daemon.ask("gobgp", "neighbor", us, "adj-in", "-j"),
    "openbgpd": lambda daemon, us: (
        "Unknown Attribute #200" in bgpctl(daemon, "show", "rib", "detail", "in", "neighbor", us)
    ),
    "exabgp": lambda daemon, us: "0xC0FFEE00" in account(daemon).upper().replace("0X", "0x"),
}


@around("frr", *SEES, more=("talker",))
def test_communities_and_unknown_attributes(lan: Network, tmp_path: Path) -> None:
    """Communities of every kind, and an attribute that we do not know, are with them as they were sent."""
    talker, hub = lan["talker"], lan["reflector"]
    held = [
        (0x40, 1, b"\0"),
        (0x40, 2, b""),
        (0x40, 3, ip_address("10.99.0.111").packed),
        (0x40, 5, struct.pack("!I", 100)),
        (0xC0, 8, struct.pack("!III", 65001 << 16 | 1, 0xFFFF029A, 0xFFFFFF04)),
        (0xC0, 16, bytes.fromhex("0002fde900000007 0102c0000201000b 0202fa56ea010009 0003fde900000008")),
        (0xC0, 32, struct.pack("!III", 4200000001, 1, 4294967295)),
        (0xC0, STRANGE, PAYLOAD),
    ]
    block = b"".join(bytes([flags, kind, len(value)]) + value for flags, kind, value in held)
    nlri = bytes([24]) + ip_address("203.0.113.0").packed[:3]
    say, hear = tmp_path / "say", tmp_path / "hear"
    say.write_bytes(raw.message(raw.UPDATE, struct.pack("!HH", 0, len(block)) + block + nlri))
    row = {"name": "talker", "address": talker.ipv4, "asn": ASN, "client": True, "passive": True}
    with Ring(lan, sessions=(IPV4,), routes={}, tables=[row]) as ring:
        argv = [sys.executable, str(Path(raw.__file__).resolve()), "talk", talker.ipv4, hub.ipv4, str(ASN)]
        talker.start("talk", [*argv, str(say), str(hear)])
        for name, daemon in ring.daemons.items():
            eventually(lambda d=daemon: NET in d.received(), f"{name} has it")
            route, told = daemon.received()[NET], ring.reflector.advertised(ring.address(name))[NET]
            assert len(told.communities) == 3 and len(told.extended_communities) == 4
            for kind in ("communities", "extended_communities", "large_communities"):
                assert getattr(route, kind) == getattr(told, kind), (name, kind)
            if name in SEES:
                assert SEES[name](daemon, hub.ipv4), f"{name} has the unknown attribute"


FEEDS = {"one": 65201, "two": 65202}


@around("openbgpd", "exabgp", more=tuple(FEEDS))
def test_they_take_several_paths(lan: Network) -> None:
    """OpenBGPD and ExaBGP hold both paths of a prefix that two clients announce (RFC 7911)."""
    hub = lan["reflector"]
    rows = [
        {"name": name, "address": lan[name].ipv4, "asn": ASN, "client": True, "passive": True}
        for name in FEEDS
    ]
    neighbor = {name: {"add_path": True} for name in FIVE}
    with Ring(
        lan, sessions=(IPV4,), routes={}, everyone={"add_path": "send"}, neighbor=neighbor, tables=rows
    ) as ring:
        for name, asn in FEEDS.items():
            session = Neighbor("hub", lan[name].ipv4, hub.ipv4, ASN)
            route = Route(NET, (lan[name].ipv4,), local_pref=100, med=1, communities=(f"{asn}:1",))
            Daemon(BIRD, lan[name], Setup(ASN, (session,), (route,))).start()
        for name, daemon in ring.daemons.items():
            eventually(lambda d=daemon: len(d.paths()) == 2, f"{name} has two paths")
            told = ring.reflector.paths(ring.address(name))
            assert sorted(map(str, daemon.paths())) == sorted(map(str, told)), name


FORWARDING = ("bird", "frr", "gobgp", "openbgpd")


@around(*FORWARDING, more=tuple(FEEDS))
def test_they_tell_several_paths(lan: Network) -> None:
    """Of two paths that a daemon has from outside, we get both, each with what it came with (RFC 7911)."""
    hub = lan["reflector"]
    rows = [
        {"name": name, "address": lan[name].ipv4, "asn": ASN, "add_path": "receive", "client": True}
        for name in FORWARDING
    ]
    reflector = Reflector(hub, ASN, (), extra=rows)
    feeds = [
        Daemon(
            BIRD,
            lan[feed],
            Setup(
                asn,
                tuple(Neighbor(name, lan[feed].ipv4, lan[name].ipv4, ASN) for name in FORWARDING),
                (Route(NET, (lan[feed].ipv4,), communities=(f"{asn}:1",)),),
            ),
        )
        for feed, asn in FEEDS.items()
    ]
    daemons = [
        Daemon(
            FIVE[name],
            lan[name],
            Setup(
                ASN,
                (
                    Neighbor(
                        "hub",
                        lan[name].ipv4,
                        hub.ipv4,
                        ASN,
                        passive=True,
                        add_path_send=True,
                        families=FAMILIES[:1],
                    ),
                    *(
                        Neighbor(
                            feed, lan[name].ipv4, lan[feed].ipv4, asn, passive=True, families=FAMILIES[:1]
                        )
                        for feed, asn in FEEDS.items()
                    ),
                ),
            ),
        )
        for name in FORWARDING
    ]
    reflector.start()
    for each in (*daemons, *feeds):
        each.start()
    for name in FORWARDING:

        def both(name: str = name) -> bool:
            rows = reflector.report()[lan[name].ipv4]["received"]
            found = {(row["as_path"], *row["communities"]) for row in rows if row["prefix"] == NET}
            return found == {(str(asn), f"{asn}:1") for asn in FEEDS.values()}

        eventually(both, f"both paths come from {name}")


RECORDER = 65400
# GoBGP 3.10.0 writes nothing in a session without a hold time, as the recorder's is.
TRANSIT = ("bird", "frr", "openbgpd")


@around(*TRANSIT, more=("talker", "recorder"))
def test_unknown_attributes_pass_through_us_and_them(lan: Network, tmp_path: Path) -> None:
    """An attribute that nobody knows is passed on by us, and again by each daemon, and is Partial by then.

    RFC 4271 5: who passes on what it does not recognize sets the bit, and nobody behind it clears that.
    """
    hub, talker, recorder = lan["reflector"], lan["talker"], lan["recorder"]
    asns = {name: 65301 + number for number, name in enumerate(TRANSIT)}
    external = {"policy": "accept-all", "families": ["ipv4-unicast"]}
    rows = [{"name": name, "address": lan[name].ipv4, "asn": asn, **external} for name, asn in asns.items()]
    rows.append({"name": "talker", "address": talker.ipv4, "asn": ASN, "client": True, "passive": True})
    reflector = Reflector(hub, ASN, (), extra=rows)
    attributes = [
        (0x40, 1, b"\0"),
        (0x40, 2, b""),
        (0x40, 3, ip_address("10.99.0.111").packed),
        (0x40, 5, struct.pack("!I", 100)),
        (0xC0, STRANGE, PAYLOAD),
    ]
    block = b"".join(bytes([flags, kind, len(value)]) + value for flags, kind, value in attributes)
    nlri = bytes([24]) + ip_address("203.0.113.0").packed[:3]
    say = tmp_path / "say"
    say.write_bytes(raw.message(raw.UPDATE, struct.pack("!HH", 0, len(block)) + block + nlri))
    reflector.start()
    for name, asn in asns.items():
        own = lan[name].ipv4
        to_us = Neighbor("hub", own, hub.ipv4, ASN, families=FAMILIES[:1])
        on = Neighbor("recorder", own, recorder.ipv4, RECORDER, families=FAMILIES[:1], passive=True)
        Daemon(FIVE[name], lan[name], Setup(asn, (to_us, on))).start()
    program = [sys.executable, str(Path(raw.__file__).resolve())]
    talker.start(
        "talk", [*program, "talk", talker.ipv4, hub.ipv4, str(ASN), str(say), str(tmp_path / "hear")]
    )
    for name in TRANSIT:
        heard = tmp_path / f"{name}.bgp"
        heard.touch()
        recorder.start(
            f"record-{name}", [*program, "record", recorder.ipv4, lan[name].ipv4, str(RECORDER), str(heard)]
        )
    for name in TRANSIT:

        def passed(name: str = name) -> tuple[int, bytes] | None:
            for prefix, (_, found) in raw.table((tmp_path / f"{name}.bgp").read_bytes()).items():
                if prefix == (1, nlri):
                    return dict(found).get(STRANGE, (0, b""))
            return None

        assert eventually(passed, f"{name} passes the route on", 60) == (0xE0, PAYLOAD), name
