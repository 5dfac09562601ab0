"""A member of a confederation (RFC 5065): who sees which AS, what loops, what the decision says."""

import pytest
from routers import CONFEDERATION, LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp.aio.options import PeerOptions
from bgp.errors import Notify
from bgp.family import IPV4_UNICAST
from bgp.iana import CapabilityCode, Role
from bgp.rib import admission
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.config import AsExpected, Confederation, SessionConfig
from bgp.session.negotiation import negotiate, offer
from bgp.speaker import Speaker
from bgp.wire import aspath

IDENTIFIER = CONFEDERATION.identifier
EXTERNAL, CLIENT, NON_CLIENT, MEMBER = Kind.EXTERNAL, Kind.CLIENT, Kind.NON_CLIENT, Kind.CONFEDERATION
NET = "10.0.0.0/8"


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID, confederation=CONFEDERATION)


# --- Sessions (section 4) ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "remote", "shown", "internal", "member"),
    [
        (LOCAL_AS, LOCAL_AS, LOCAL_AS, True, False),
        (AsExpected.INTERNAL, LOCAL_AS, LOCAL_AS, True, False),
        (65101, 65101, LOCAL_AS, False, True),
        (AsExpected.CONFEDERATION, 65102, LOCAL_AS, False, True),
        (64500, 64500, IDENTIFIER, False, False),
        (AsExpected.EXTERNAL, 64500, IDENTIFIER, False, False),
    ],
)
def test_who_sees_which_as(
    expected: int | AsExpected, remote: int, shown: int, internal: bool, member: bool
) -> None:
    config = PeerOptions(asn=expected).session(LOCAL_AS, 1, CONFEDERATION)
    ours = offer(config)
    assert ours.asn == shown
    session = negotiate(config, ours, offer(SessionConfig(local_as=remote, identifier=2)))
    assert (session.internal, session.confederation) == (internal, member)
    assert (session.context().internal, session.context().confederation) == (internal, member)


@pytest.mark.parametrize(
    ("expected", "remote"),
    [
        (AsExpected.EXTERNAL, 65101),
        (AsExpected.EXTERNAL, LOCAL_AS),
        (AsExpected.EXTERNAL, IDENTIFIER),
        (AsExpected.CONFEDERATION, LOCAL_AS),
        (AsExpected.CONFEDERATION, 64500),
        (AsExpected.INTERNAL, 65101),
        (65101, 65102),
    ],
)
def test_who_is_refused(expected: int | AsExpected, remote: int) -> None:
    config = PeerOptions(asn=expected).session(LOCAL_AS, 1, CONFEDERATION)
    with pytest.raises(Notify) as raised:
        negotiate(config, offer(config), offer(SessionConfig(local_as=remote, identifier=2)))
    assert (raised.value.code, raised.value.subcode) == (2, 2)


def test_another_as_may_be_shown_in_place_of_the_identifier() -> None:
    assert PeerOptions(asn=64500, local_as=64777).session(LOCAL_AS, 1, CONFEDERATION).local_as == 64777


@pytest.mark.parametrize("asn", [AsExpected.ANY, AsExpected.CONFEDERATION])
def test_what_nobody_can_tell_is_an_error(asn: AsExpected) -> None:
    confederation = CONFEDERATION if asn is AsExpected.ANY else None
    speaker = Speaker(asn=LOCAL_AS, router_id=1, confederation=confederation)
    with pytest.raises(ValueError, match=r"^asn: .*confederation"):
        speaker.add_peer(PeerOptions(address="192.0.2.9", asn=asn))
    with pytest.raises(ValueError, match=r"^asn: .*confederation"):
        speaker.add_listen_range("192.0.2.0/24", PeerOptions(asn=asn))


@pytest.mark.parametrize("numbers", [(0, {65101}), (23456, {65101}), (64999, {0}), (64999, {1 << 32})])
def test_a_confederation_has_as_numbers(numbers: tuple[int, set[int]]) -> None:
    with pytest.raises(ValueError, match=r"^(identifier|members): "):
        Confederation(numbers[0], frozenset(numbers[1]))


def test_no_role_is_told_to_a_member() -> None:
    """RFC 9234 5: roles are not meant for sessions within a confederation."""
    for expected, told in ((65101, False), (64500, True)):
        config = PeerOptions(asn=expected, role=Role.PEER).session(LOCAL_AS, 1, CONFEDERATION)
        codes = {capability.code for capability in offer(config).capabilities}
        assert (CapabilityCode.ROLE in codes) is told
        session = negotiate(config, offer(config), offer(SessionConfig(local_as=expected, identifier=2)))
        assert (session.role is Role.PEER) is told


def test_a_member_may_be_any_distance_away_and_an_external_peer_may_not() -> None:
    for expected, ttl in ((65101, None), (AsExpected.CONFEDERATION, None), (64500, 1), (IDENTIFIER, 1)):
        options = PeerOptions(asn=expected)
        assert options.sending_ttl(LOCAL_AS, CONFEDERATION) == ttl
        assert options.is_on_link(LOCAL_AS, CONFEDERATION) is (ttl == 1)


# --- Loops (section 4) -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_path", "times"),
    [
        ("(65101) 64500", 0),
        (f"(65101) 64500 {IDENTIFIER}", 1),
        (f"(65101) {{64500,{IDENTIFIER}}}", 1),
        (f"(65101 {LOCAL_AS}) 64500", 1),
        (f"(65101 {LOCAL_AS}) {IDENTIFIER}", 2),
        # Elsewhere our member AS, most likely a private number, is somebody else's.
        (f"(65101) 64500 {LOCAL_AS}", 0),
    ],
)
def test_loops(router: Router, as_path: str, times: int) -> None:
    for allowed in range(3):
        peer = Peer(router, "a", MEMBER, 1, asn=65101, settings={"allow_own_as": allowed})
        peer.announce([NET], as_path=as_path)
        (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
        assert path.refusal is (admission.CONFEDERATION_LOOP if times > allowed else None)
        peer.down()
        settle(router)


def test_a_confederation_whose_identifier_is_our_member_as_counts_it_once() -> None:
    router = Router(LOCAL_AS, ROUTER_ID, confederation=Confederation(LOCAL_AS, frozenset({65101})))
    peer = Peer(router, "a", MEMBER, 1, asn=65101, settings={"allow_own_as": 1})
    peer.announce([NET], as_path=f"(65101 {LOCAL_AS}) 64500")
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert path.refusal is None


# --- Routes ------------------------------------------------------------------------------------------


def test_a_route_crosses_the_confederation(router: Router) -> None:
    member, another = Peer(router, "m", MEMBER, 1, asn=65101), Peer(router, "n", MEMBER, 2, asn=65102)
    client, outside = Peer(router, "c", CLIENT, 3), Peer(router, "x", EXTERNAL, 4, asn=64500)
    everyone = (member, another, client, outside)
    assert outside.negotiated.local_as == IDENTIFIER
    outside.announce([NET], as_path="64500", med=3)
    member.announce(["11.0.0.0/8"], as_path="(65101)", med=3, local_pref=70)
    settle(router, *everyone)

    def shown(peer: Peer, net: str) -> tuple[str, int | None, int | None]:
        heard = peer.heard(net)
        return aspath.text(heard.as_path), heard.local_pref, heard.med

    assert shown(member, NET) == shown(another, NET) == (f"({LOCAL_AS}) 64500", 100, 3)
    assert shown(client, NET) == ("64500", 100, 3)
    assert shown(another, "11.0.0.0/8") == (f"({LOCAL_AS} 65101)", 70, 3)
    assert shown(client, "11.0.0.0/8") == ("(65101)", 70, 3)
    assert shown(outside, "11.0.0.0/8") == (f"{IDENTIFIER}", None, None)


def test_what_we_originate(router: Router) -> None:
    """Section 4.1, the second a, b and c."""
    peers = [Peer(router, kind.name, kind, number) for number, kind in enumerate((CLIENT, EXTERNAL), 1)]
    peers.append(Peer(router, "m", MEMBER, 3, asn=65101))
    router.announce(IPV4_UNICAST, prefix(NET), router.table.make())
    settle(router, *peers)
    paths = [aspath.text(peer.heard(NET).as_path) for peer in peers]
    assert paths == ["", f"{IDENTIFIER}", f"({LOCAL_AS})"]


def test_the_decision_takes_members_as_internal(router: Router) -> None:
    """Section 5.3: an external path wins over a member's; members and internal peers are alike."""
    member, inside = Peer(router, "m", MEMBER, 1, asn=65101), Peer(router, "i", NON_CLIENT, 2)
    outside = Peer(router, "x", EXTERNAL, 3, asn=64500)

    def best() -> str:
        settle(router, member, inside, outside)
        return router.rib.lookup(IPV4_UNICAST, prefix(NET))[0].source.peer

    inside.announce([NET], as_path="64501")
    member.announce([NET], as_path="(65101) 64501")
    assert best() == "m", "by the BGP Identifier: neither kind goes before the other"
    outside.announce([NET], as_path="64500")
    assert best() == "x"
    (verdict,) = [
        each for each in router.rib.explain(IPV4_UNICAST, prefix(NET)) if each.path.source.peer == "m"
    ]
    assert verdict.rung is not None and verdict.rung.name == "external"
