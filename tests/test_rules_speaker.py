"""Rules about a speaker that neither one UPDATE nor one of its parts shows; see conformance.toml."""

import pytest
from judging import OLD, PREFIX, judge
from routers import LOCAL_AS, Peer, path, settle

from bgp.errors import Notify
from bgp.family import IPV4_UNICAST
from bgp.iana import AS_TRANS, WellKnownCommunity
from bgp.rib.decision import Decision
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.negotiation import negotiate, offer
from bgp.wire.attributes import AttributeTable, walk
from bgp.wire.capability import Capabilities
from bgp.wire.encoder import Encoder
from bgp.wire.framing import Framer
from bgp.wire.message import Open

LARGE = 4_200_000_001


# --- the header (RFC 4271 6.1) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("fe" + "ff" * 15 + "000063", (1, 1, b"")),  # all three are wrong
        ("ff" * 16 + "000063", (1, 2, b"\0\0")),
        ("ff" * 16 + "100163", (1, 2, b"\x10\x01")),
        ("ff" * 16 + "001863", (1, 3, b"\x63")),
        ("ff" * 16 + "001804", (1, 2, b"\0\x18")),  # a KEEPALIVE of 24 octets
    ],
)
def test_header_faults_in_their_order(header: str, code: tuple[int, int, bytes]) -> None:
    """Marker, range of Length, Type, Length by Type: the first fault is reported."""
    framer = Framer()
    framer.feed(bytes.fromhex(header) + bytes(32))
    with pytest.raises(Notify) as raised:
        framer.next()
    assert (raised.value.code, raised.value.subcode, raised.value.data) == code


# --- timers (RFC 4271 10) --------------------------------------------------------------------------------


def test_default_times() -> None:
    config = SessionConfig(local_as=65001, identifier=1)
    assert (config.connect_retry_time, config.hold_time, config.open_hold_time) == (120, 90, 240)
    them = offer(SessionConfig(local_as=65002, identifier=2))
    negotiated = negotiate(config, offer(config), them)
    assert (negotiated.hold_time, negotiated.keepalive_time) == (90, 30)
    assert negotiated.send_hold_time == 480  # RFC 9687 section 6


# --- four-octet AS numbers (RFC 6793) --------------------------------------------------------------------


def test_our_as_is_offered_in_four_octets() -> None:
    """RFC 6793 3 and 4.1."""
    for asn in (65001, LARGE):
        ours = offer(SessionConfig(local_as=asn, identifier=1))
        assert Capabilities.parse(ours.capabilities).four_octet_as == asn


@pytest.mark.parametrize("asn", [65010, LARGE])
def test_what_an_old_speaker_is_told(asn: int) -> None:
    """RFC 6793 4.2.2: AS_TRANS for what does not fit, and then only the AS4 attributes."""
    attributes = AttributeTable().make(
        next_hop="192.0.2.1",
        as_path=f"(65100) 65001 {asn}",
        aggregator=(asn, "192.0.2.2"),
    )
    prefixes = [PREFIX]
    ((message,), _) = Encoder(four_octet_as=False).announce(
        IPV4_UNICAST, attributes.octets, attributes.next_hop, prefixes
    )
    size = int.from_bytes(message[21:23], "big")
    told = {type_: value for _, type_, value in walk(message[23 : 23 + size])}
    short = asn if asn < 65536 else AS_TRANS
    assert told[2] == b"\3\1" + (65100).to_bytes(2, "big") + b"\2\2" + b"".join(
        number.to_bytes(2, "big") for number in (65001, short)
    )
    assert told[7] == short.to_bytes(2, "big") + bytes([192, 0, 2, 2])
    if asn == LARGE:
        assert told[17] == b"\2\2" + (65001).to_bytes(4, "big") + LARGE.to_bytes(4, "big")
        assert told[18] == LARGE.to_bytes(4, "big") + bytes([192, 0, 2, 2])
    else:
        assert 17 not in told and 18 not in told
    # The confederation's part is for a confederation's members; an outsider would refuse it.
    outside = AttributeTable().make(
        next_hop="192.0.2.1", as_path=f"65001 {asn}", aggregator=(asn, "192.0.2.2")
    )
    ((message,), _) = Encoder(four_octet_as=False).announce(
        IPV4_UNICAST, outside.octets, outside.next_hop, prefixes
    )
    assert judge(message[19:], OLD).attributes == tuple(outside.items())


@pytest.mark.parametrize("expected", [LARGE, AsExpected.INTERNAL])
def test_an_old_speaker_cannot_be_of_our_as_if_that_is_large(expected: int | AsExpected) -> None:
    """RFC 6793 7: it could only say AS_TRANS, which is nobody's."""
    config = SessionConfig(local_as=LARGE, identifier=1, peer_as=expected)
    with pytest.raises(Notify) as raised:
        negotiate(config, offer(config), Open(AS_TRANS, 90, 2))
    assert (raised.value.code, raised.value.subcode) == (2, 2)


# --- decision and export ---------------------------------------------------------------------------------


def test_med_is_compared_behind_confederation_segments() -> None:
    """RFC 5065 5.2 and 5.3: the neighboring AS is the first behind them; without one it is the local AS."""
    low = path(as_path="(65010) 64500", med=1, identifier=2)
    assert Decision().best((path(as_path="(65011 65012) 64500", med=2, identifier=1), low)) is low
    low = path(as_path="(65010)", med=1, identifier=2)
    assert Decision().best((path(as_path="", med=2, identifier=1), low)) is low


def test_a_route_that_becomes_no_export_is_withdrawn() -> None:
    """RFC 1997: from those that may not have it any more."""
    router = Router(LOCAL_AS, 0x0A000001)
    source, outside = Peer(router, "source", Kind.CLIENT, 1), Peer(router, "outside", Kind.EXTERNAL, 2)
    inside = Peer(router, "inside", Kind.CLIENT, 3)
    source.announce(["198.51.100.0/24"])
    settle(router, source, outside, inside)
    assert outside.prefixes() == inside.prefixes() == {"198.51.100.0/24"}
    source.announce(["198.51.100.0/24"], communities=(WellKnownCommunity.NO_EXPORT,))
    settle(router, source, outside, inside)
    assert outside.prefixes() == set() and inside.prefixes() == {"198.51.100.0/24"}
    source.announce(["198.51.100.0/24"], communities=(WellKnownCommunity.NO_ADVERTISE,))
    settle(router, source, outside, inside)
    assert inside.prefixes() == set()


def test_overlapping_routes_stand_side_by_side() -> None:
    """RFC 4271 9.1.4."""
    router = Router(LOCAL_AS, 0x0A000001)
    source, other = Peer(router, "source", Kind.CLIENT, 1), Peer(router, "other", Kind.CLIENT, 2)
    source.announce(["10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/17", "10.0.0.0/16"])
    settle(router, source, other)
    source.withdraw(["10.1.0.0/16"])
    settle(router, source, other)
    assert other.prefixes() == {"10.0.0.0/8", "10.1.0.0/17", "10.0.0.0/16"}


def test_communities_go_to_external_peers() -> None:
    """RFC 1997: the attribute is transitive, and nothing strips it."""
    router = Router(LOCAL_AS, 0x0A000001)
    source, outside = Peer(router, "source", Kind.CLIENT, 1), Peer(router, "outside", Kind.EXTERNAL, 2)
    source.announce(["198.51.100.0/24"], communities=(0xFDE90001,), large_communities=((1, 2, 3),))
    settle(router, source, outside)
    heard = outside.heard("198.51.100.0/24")
    assert heard.communities == (0xFDE90001,) and heard.large_communities == ((1, 2, 3),)


def test_what_was_told_is_not_told_again() -> None:
    """RFC 4271 9.2: an announcement that changes nothing goes no further."""
    router = Router(LOCAL_AS, 0x0A000001)
    source, other = Peer(router, "source", Kind.CLIENT, 1), Peer(router, "other", Kind.CLIENT, 2)
    for _ in range(3):
        source.announce(["198.51.100.0/24"], med=7)
        settle(router, source, other)
    assert other.announced == 1
