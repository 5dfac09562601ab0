"""Update groups: what parts them, one encoding for all members, exact withdrawals, slow members, dumps."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import BOTH, LOCAL_AS, OUR_ADDRESS, ROUTER_ID, Peer, add_path, address, prefix, session, settle

from bgp.export import log as logs
from bgp.export import train as trains
from bgp.export.group import Group
from bgp.export.log import ChangeLog
from bgp.export.terms import Terms
from bgp.export.train import BLOB_OCTETS, Place, Train
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import Role, RouteRefreshSubtype
from bgp.member import PeerSettings
from bgp.policy import ACCEPT_ALL, function
from bgp.rib.path import Kind, Path
from bgp.rib.selection import ALL
from bgp.router import Router
from bgp.session.negotiation import Negotiated
from bgp.wire.attributes import Attributes
from bgp.wire.encoder import Encoder
from bgp.wire.message import RouteRefresh

CLIENT, NON_CLIENT, EXTERNAL = Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


def many(count: int, first: int = 10) -> list[bytes]:
    return [prefix(f"{first}.{n >> 8}.{n & 255}.0/24") for n in range(count)]


# --- What parts groups -----------------------------------------------------------------------------

BASE = PeerSettings(
    name="base",
    client=True,
    local_address=OUR_ADDRESS,
    remote_address=address("10.9.0.1"),
    export_policy=ACCEPT_ALL,
)

SETTINGS: dict[str, Callable[[PeerSettings], PeerSettings]] = {
    "client": lambda base: replace(base, client=False),
    "local_address": lambda base: replace(base, local_address=address("192.0.2.2")),
    "next_hops": lambda base: replace(base, next_hops={IPV6_UNICAST: address("2001:db8::5")}),
    "next_hop_self": lambda base: replace(base, next_hop_self=True),
    "export_policy": lambda base: replace(base, export_policy=lambda path: path.attributes),
}
NEGOTIATED: dict[str, Callable[[Negotiated], Negotiated]] = {
    "external": lambda base: replace(base, internal=False, remote_as=64500),
    "local_as": lambda base: replace(base, local_as=64999),
    "families": lambda base: replace(base, families=(IPV4_UNICAST,)),
    "four_octet_as": lambda base: replace(base, four_octet_as=False),
    "add_path": lambda base: replace(base, add_path_send=frozenset({IPV4_UNICAST})),
    "extended_next_hop": lambda base: replace(base, extended_next_hop=frozenset({IPV4_UNICAST})),
    "maximum": lambda base: replace(base, maximum_send=65535),
    "aigp": lambda base: replace(base, aigp=True),
}
# What parts external peers only.
EXTERNAL_SETTINGS: dict[str, Callable[[PeerSettings], PeerSettings]] = {
    "route_server_client": lambda base: replace(base, route_server_client=True),
    "third_party_next_hop": lambda base: replace(base, third_party_next_hop=True),
}
EXTERNAL_NEGOTIATED: dict[str, Callable[[Negotiated], Negotiated]] = {
    "confederation": lambda base: replace(base, confederation=True),
    "local_as": lambda base: replace(base, local_as=64999),
    **{
        f"role {role.name}": lambda base, role=role: replace(base, role=role)  # type: ignore[misc]
        for role in Role
    },
}
# What differs between peers and must not part them.
SAME_SETTINGS: dict[str, Callable[[PeerSettings], PeerSettings]] = {
    "remote_address": lambda base: replace(base, remote_address=address("10.9.0.77")),
    "import_policy": lambda base: replace(base, import_policy=ACCEPT_ALL),
    "allow_own_as": lambda base: replace(base, allow_own_as=1),
    "maximum_prefixes": lambda base: replace(base, maximum_prefixes={IPV4_UNICAST: 5}),
}
SAME_NEGOTIATED: dict[str, Callable[[Negotiated], Negotiated]] = {
    "identifier": lambda base: replace(base, remote_identifier=77),
    "hold_time": lambda base: replace(base, hold_time=3),
    "add_path_receive": lambda base: replace(base, add_path_receive=frozenset({IPV4_UNICAST})),
    "maximum_receive": lambda base: replace(base, maximum_receive=65535),
    "enhanced_route_refresh": lambda base: replace(base, enhanced_route_refresh=False),
    "as_sets": lambda base: replace(base, as_sets=True),
}


def group_of(router: Router, settings: PeerSettings, negotiated: Negotiated, name: str) -> Group:
    before = {terms: len(group.listeners) for terms, group in router.groups.items()}
    router.up(replace(settings, name=name), negotiated)
    (group,) = [one for terms, one in router.groups.items() if len(one.listeners) != before.get(terms, 0)]
    return group


@pytest.mark.parametrize("name", [*SETTINGS, *NEGOTIATED])
def test_each_difference_makes_another_group(router: Router, name: str) -> None:
    negotiated = session(1, extended_messages=False)
    base = group_of(router, BASE, negotiated, "base")
    settings = SETTINGS.get(name, lambda same: same)(BASE)
    other = group_of(router, settings, NEGOTIATED.get(name, lambda same: same)(negotiated), "other")
    assert base is not other and base.terms != other.terms


@pytest.mark.parametrize("name", [*EXTERNAL_SETTINGS, *EXTERNAL_NEGOTIATED])
def test_each_difference_of_external_peers_makes_another_group(router: Router, name: str) -> None:
    negotiated = session(1, 64500)
    shared = replace(BASE, connected=(ip_network("10.9.0.0/16"),))
    base = group_of(router, shared, negotiated, "base")
    assert base is group_of(router, replace(shared, connected=()), negotiated, "same")
    settings = EXTERNAL_SETTINGS.get(name, lambda same: same)(shared)
    other = group_of(router, settings, EXTERNAL_NEGOTIATED.get(name, lambda same: same)(negotiated), "other")
    assert base is not other and base.terms != other.terms


@pytest.mark.parametrize("name", [*SAME_SETTINGS, *SAME_NEGOTIATED])
def test_what_does_not_alter_octets_makes_none(router: Router, name: str) -> None:
    negotiated = session(1)
    base = group_of(router, BASE, negotiated, "base")
    settings = SAME_SETTINGS.get(name, lambda same: same)(BASE)
    other = group_of(router, settings, SAME_NEGOTIATED.get(name, lambda same: same)(negotiated), "other")
    assert base is other


def test_every_field_of_the_terms_parts_groups() -> None:
    """Together with the router's own two, the flips above reach every field."""
    base = Terms(kind=CLIENT, families=BOTH, local_as=1)
    flips: dict[str, object] = {
        "kind": EXTERNAL,
        "families": (IPV4_UNICAST,),
        "local_as": 2,
        "behind": 3,
        "four_octet_as": False,
        "add_path": frozenset({(IPV4_UNICAST, ALL)}),
        "extended_next_hop": frozenset({IPV4_UNICAST}),
        "maximum": 65535,
        "next_hops": frozenset({(IPV4_UNICAST, OUR_ADDRESS)}),
        "next_hop_self": True,
        "cluster_id": b"\1\2\3\4",
        "reflect_clients": False,
        "aigp": True,
        "policy": ACCEPT_ALL,
        "hidden": frozenset({(IPV4_UNICAST, b"\x08\x0a")}),
        "defaults": frozenset({IPV4_UNICAST}),
        "withheld": (ACCEPT_ALL,),
        "role": Role.PROVIDER,
        "members": frozenset({2}),
        "shared": (ip_network("192.0.2.0/24"),),
        "avoid": OUR_ADDRESS,
        "advertisement_interval": 1.0,
        "installed_only": True,
        "llgr": False,
        "partial": True,
    }
    assert set(flips) == set(Terms.__dataclass_fields__)
    for name, value in flips.items():
        changed = replace(base, **{name: value})  # type: ignore[arg-type]
        assert changed != base and len({base, changed}) == 2, name


def test_a_group_goes_with_its_last_member(router: Router) -> None:
    first, second = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    assert len(router.groups) == 1
    first.down()
    assert len(router.groups) == 1
    second.down()
    assert not router.groups


# --- One encoding for all --------------------------------------------------------------------------


def test_all_members_get_the_same_objects(router: Router) -> None:
    source = Peer(router, "source", CLIENT, 1)
    others = [Peer(router, f"client-{n}", CLIENT, 10 + n) for n in range(5)]
    settle(router, source, *others)
    for med in range(50):
        source.announce([f"10.{med}.0.0/16"], med=med)
    router.flush()
    pulled = [other.pull() for other in others]
    assert len(pulled[0]) == 1, "one flush is one blob"
    for blobs in pulled:
        assert [id(blob) for blob in blobs] == [id(blob) for blob in pulled[0]]
    assert all(len(other.held) == 50 for other in others)
    assert source.pull() == [] and not source.member.pending and not source.held


def test_many_prefixes_with_equal_attributes_share_messages(router: Router) -> None:
    """Of different sources, too, where that makes no difference to who must not hear."""
    sources = [Peer(router, f"client-{n}", CLIENT, 10 + n) for n in range(20)]
    outside = Peer(router, "outside", EXTERNAL, 99)
    settle(router, *sources, outside)
    outside.listener.messages = 0
    for n, source in enumerate(sources):
        source.announce([f"10.{n}.0.0/16"])
    settle(router, outside)
    assert len(outside.held) == 20 and outside.messages == 1


def test_a_large_flush_is_cut_into_blobs_and_pulled_within_limits(router: Router) -> None:
    source, other = Peer(router, "source", CLIENT, 1), Peer(router, "other", CLIENT, 2)
    settle(router, source, other)
    for med in range(400):
        source.announce(many(100, med % 200 + 1)[:50], med=med, communities=tuple(range(40)))
    router.flush()
    sizes = []
    while other.member.pending:
        blobs = other.pull(40000)
        assert blobs and sum(map(len, blobs)) <= 40000 and max(map(len, blobs)) <= BLOB_OCTETS
        sizes.append(len(blobs))
    assert len(sizes) > 2 and len(other.held) == 200 * 50
    assert other.member.updates_sent == other.messages


# --- Told, and told no more ------------------------------------------------------------------------


def test_the_source_of_the_best_path_hears_the_other_only_while_it_is_best(router: Router) -> None:
    a, b, c = (Peer(router, name, CLIENT, number) for number, name in enumerate("abc", start=1))
    settle(router, a, b, c)
    a.announce(["10.0.0.0/8"], local_pref=100)
    settle(router, a, b, c)
    assert (a.prefixes(), b.prefixes(), c.prefixes()) == (set(), {"10.0.0.0/8"}, {"10.0.0.0/8"})
    b.announce(["10.0.0.0/8"], local_pref=200)
    settle(router, a, b, c)
    # B gets a withdrawal of A's, A hears of B's, C gets one replacement.
    assert (a.prefixes(), b.prefixes(), c.prefixes()) == ({"10.0.0.0/8"}, set(), {"10.0.0.0/8"})
    assert (b.withdrawn, c.withdrawn, c.announced) == (1, 0, 2)
    b.withdraw(["10.0.0.0/8"])
    settle(router, a, b, c)
    assert (a.prefixes(), b.prefixes(), c.prefixes()) == (set(), {"10.0.0.0/8"}, {"10.0.0.0/8"})
    assert c.heard("10.0.0.0/8").originator_id == address("0.0.0.1")
    a.withdraw(["10.0.0.0/8"])
    settle(router, a, b, c)
    assert not (a.held or b.held or c.held)
    assert (a.withdrawn, b.withdrawn, c.withdrawn) == (1, 2, 1), "nobody is told to forget what it never knew"


def test_equal_words_from_another_source_move_only_the_two(router: Router) -> None:
    a, b, c = (Peer(router, name, EXTERNAL, n, asn=64500) for n, name in enumerate("abc", start=1))
    settle(router, a, b, c)
    b.announce(["10.0.0.0/8"], as_path="64500")
    settle(router, a, b, c)
    a.announce(["10.0.0.0/8"], as_path="64500")
    settle(router, a, b, c)
    assert (a.announced, a.withdrawn, c.announced, c.withdrawn) == (1, 1, 1, 0)
    assert not a.held and b.prefixes() == {"10.0.0.0/8"} == c.prefixes()


def test_changes_that_cancel_are_not_told(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    settle(router, a, b)
    a.announce(["10.0.0.0/8", "11.0.0.0/8"])
    settle(router, b)
    b.listener.messages = 0
    a.withdraw(["10.0.0.0/8"])
    a.announce(["10.0.0.0/8"])
    a.announce(["11.0.0.0/8"], med=5)
    a.announce(["11.0.0.0/8"])
    a.announce(["12.0.0.0/8"])
    a.withdraw(["12.0.0.0/8"])
    settle(router, b)
    assert b.messages == 0
    a.announce(["11.0.0.0/8"], med=1)
    a.announce(["11.0.0.0/8"], med=2)
    settle(router, b)
    assert b.messages == 1 and b.heard("11.0.0.0/8").med == 2


def test_a_route_that_grows_too_long_is_withdrawn(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, extended_messages=False)
    settle(router, a, b)
    a.announce(["10.0.0.0/8", "11.0.0.0/8"])
    settle(router, b)
    a.announce(["10.0.0.0/8"], communities=tuple(range(1100)))
    settle(router, b)
    assert b.prefixes() == {"11.0.0.0/8"}
    (group,) = [group for group in router.groups.values() if b.name in group.listeners]
    assert group.packer.oversized == 1
    a.announce(["10.0.0.0/8"], communities=(1,))
    settle(router, b)
    assert b.prefixes() == {"10.0.0.0/8", "11.0.0.0/8"}


def test_a_prefix_may_fit_where_a_longer_one_does_not(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, extended_messages=False)
    settle(router, a, b)
    both = ["10.0.0.0/8", "10.1.2.3/32"]
    a.announce(both)
    settle(router, b)
    # 4096 octets less what the other attributes take: two octets are left for NLRI.
    for count in range(990, 1020):
        a.announce(both, communities=tuple(range(count)))
        settle(router, b)
        if len(b.prefixes()) < 2:
            break
    late = Peer(router, "late", CLIENT, 3, extended_messages=False)
    settle(router, late)
    assert b.prefixes() == late.prefixes() in ({"10.0.0.0/8"}, set())
    a.announce(both)
    settle(router, b)
    assert b.prefixes() == set(both)


# --- Members that join, ask again, or lag ----------------------------------------------------------


def test_a_joiner_hears_everything_and_end_of_rib(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1)
    a.announce(many(300), communities=(5,))
    a.announce(["2001:db8:1::/48"], family=IPV6_UNICAST)
    b = Peer(router, "b", CLIENT, 2)
    assert b.member.pending
    assert b.pull() == [], "not before the tables are flushed"
    settle(router, a, b)
    assert len(b.prefixes()) == 300 and b.prefixes(IPV6_UNICAST) == {"2001:db8:1::/48"}
    assert b.end_of_rib == [IPV4_UNICAST, IPV6_UNICAST] == a.end_of_rib
    assert b.announced == 301, "nothing is told twice"
    assert b.member.updates_sent == b.messages


def test_joiners_share_what_was_encoded(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    a = Peer(router, "a", CLIENT, 1)
    for med in range(20):
        a.announce([f"10.{med}.0.0/16"], med=med)
    settle(router, a)
    calls: list[object] = []
    classic = Encoder.classic
    monkeypatch.setattr(Encoder, "classic", lambda *arguments: calls.append(1) or classic(*arguments))
    joiners = [Peer(router, f"j-{n}", CLIENT, 10 + n) for n in range(10)]
    settle(router, *joiners)
    assert len(calls) == 20 and all(len(one.held) == 20 for one in joiners)
    # A change costs one encoding for those who are there, and one for the next joiner.
    a.announce(["10.3.0.0/16"], med=100)
    calls.clear()
    settle(router, *joiners)
    last = Peer(router, "last", CLIENT, 99)
    settle(router, last)
    assert len(calls) == 2 and last.heard("10.3.0.0/16").med == 100 and len(last.held) == 20


def test_a_path_whose_local_pref_was_taken_away_gets_the_usual_one(router: Router) -> None:
    """An external peer's usual route may have the very attributes that are left."""
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, export_policy=None)
    attributes = router.table.make(next_hop="10.9.0.2", as_path="64500", med=5)
    attributes.head = len(attributes.octets)
    a.announce(["10.0.0.0/16"], attributes)
    settle(router, a, b)
    assert b.heard("10.0.0.0/16").local_pref == 100


def test_images_die_with_their_paths(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    settle(router, a, b)
    (group,) = router.groups.values()
    for med in range(50):
        a.announce(["10.0.0.0/8"], med=med)
        b.announce(["10.0.0.0/8"], med=med)
        settle(router, a, b)
        late = Peer(router, "late", CLIENT, 3)
        settle(router, late)
        late.down()
    images = group._images[IPV4_UNICAST]
    assert len(images.known) <= 1
    a.down()
    settle(router, b)
    b.withdraw(["10.0.0.0/8"])
    settle(router, b)
    assert not images.known and not images.several


def test_those_who_join_share_what_export_policy_says_of_each_prefix(router: Router) -> None:
    """Also where that is no: else each of thousands that come back would have the whole table judged."""
    asked: list[bytes] = []

    @function(reads_prefix=True)
    def some(path: Path, given: bytes) -> Attributes | None:
        asked.append(given)
        return path.attributes if given == prefix("10.7.0.0/16") else None

    a = Peer(router, "a", CLIENT, 1)
    for number in range(20):
        a.announce([f"10.{number}.0.0/16"], med=number)
    settle(router, a)
    joiners = [Peer(router, f"j-{n}", CLIENT, 10 + n, export_policy=some) for n in range(10)]
    settle(router, *joiners)
    assert len(asked) == 20 and all(len(one.held) == 1 for one in joiners)
    # What is not told is forgotten with its path, too, and judged anew once it is another.
    (group,) = (one for one in router.groups.values() if one.terms.policy is some)
    images = group._images[IPV4_UNICAST]
    assert len(images.known) == 20
    a.announce(["10.3.0.0/16"], med=100)
    a.withdraw(["10.4.0.0/16"])
    settle(router, *joiners)
    assert len(images.known) == 18
    settle(router, Peer(router, "late", CLIENT, 99, export_policy=some))
    assert len(images.known) == 19
    a.down()
    settle(router, *joiners)
    assert not images.known and not images.several


def test_a_joiner_does_not_hear_twice_what_comes_while_it_joins(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    for med in range(100):
        a.announce([f"10.{med}.0.0/16"], med=med)
    settle(router, a)
    b.pull(200)
    for med in range(100):
        a.announce([f"11.{med}.0.0/16"], med=1000 + med)
        router.flush()
        b.pull(100)
    settle(router, b)
    assert b.announced == 200 == len(b.held) and b.end_of_rib == [IPV4_UNICAST, IPV6_UNICAST]


def test_a_dump_waits_for_the_flush(router: Router) -> None:
    """What is withdrawn and said again in one turn is no news, but meanwhile another path seems the best."""
    a, c = Peer(router, "a", CLIENT, 1), Peer(router, "c", CLIENT, 3)
    a.announce(["9.0.0.0/8"], med=1)
    a.announce(["10.0.0.0/8"])
    c.announce(["10.0.0.0/8", "11.0.0.0/8"], local_pref=200)
    settle(router, a, c)
    b = Peer(router, "b", CLIENT, 2)
    router.flush()
    b.pull(1)
    assert b.prefixes() == {"9.0.0.0/8"}
    c.withdraw(["10.0.0.0/8"])
    c.announce(["10.0.0.0/8"], local_pref=200)
    assert b.pull() == [] and b.member.pending
    settle(router, a, b, c)
    assert b.heard("10.0.0.0/8").local_pref == 200


def test_a_path_of_very_many_prefixes_is_dumped_in_parts(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1)
    a.announce(many(10000))
    settle(router, a)
    b = Peer(router, "b", CLIENT, 2, extended_messages=False)
    router.flush()
    pulls = 0
    while b.member.pending:
        assert sum(map(len, b.pull(8000))) < 8000 + 5 * 2048
        pulls += 1
        if pulls == 2:
            # Meanwhile some of them go elsewhere, and enough come back for the list to be made anew.
            for n in range(40):
                a.announce(many(300), med=n)
                a.announce(many(300))
            a.withdraw(many(10000)[5000:5100])
        router.flush()
    settle(router, b)
    assert pulls > 4 and len(b.held) == 9900


def test_empty_slices_end(router: Router) -> None:
    """A long stretch of the table that is not for a member must not hold up the others."""
    a, b = Peer(router, "a", NON_CLIENT, 1), Peer(router, "b", NON_CLIENT, 2)
    for med in range(9000):
        a.announce([f"10.{med >> 8}.{med & 255}.0/24"], med=med)
    assert router.flush() is False
    assert b.pull() == [] and b.member.pending
    assert router.flush() is True, "so that the shell comes again without being waked"
    settle(router, b)
    assert not b.member.pending and not b.held and b.end_of_rib == [IPV4_UNICAST, IPV6_UNICAST]
    assert router.flush() is False


def test_without_policy_an_external_peer_gets_end_of_rib_at_once(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1)
    for med in range(9000):
        a.announce([f"10.{med >> 8}.{med & 255}.0/24"], med=med)
    settle(router, a)
    b = Peer(router, "b", EXTERNAL, 2, export_policy=None)
    router.flush()
    b.pull()
    assert b.end_of_rib == [IPV4_UNICAST, IPV6_UNICAST] and not b.member.pending


def refresh(router: Router, peer: Peer, subtype: int = RouteRefreshSubtype.REQUEST) -> None:
    router.refresh(peer.member, RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi, subtype))


@pytest.mark.parametrize("enhanced", [True, False])
def test_refresh(router: Router, enhanced: bool) -> None:
    a = Peer(router, "a", CLIENT, 1)
    b = Peer(router, "b", CLIENT, 2, enhanced_route_refresh=enhanced)
    a.announce(many(30))
    settle(router, a, b)
    b.held.clear()
    refresh(router, b)
    settle(router, b)
    assert len(b.held) == 30 and b.end_of_rib == [IPV4_UNICAST, IPV6_UNICAST]
    assert b.refreshes == ([b"\0\1\1\1", b"\0\1\2\1"] if enhanced else [])
    # RFC 7313 section 4: also around nothing.
    a.withdraw(many(30))
    refresh(router, b)
    settle(router, b)
    assert len(b.refreshes) == b.member.markers_sent == (4 if enhanced else 0)
    # They stay counted where another policy means another group, also in the middle of a refresh.
    a.announce(many(30))
    refresh(router, b)
    router.set_export_policy(b.member, lambda path: path.attributes)
    settle(router, b)
    assert len(b.held) == 30
    assert len(b.refreshes) == b.member.markers_sent == (6 if enhanced else 0)


def test_refreshes_that_wait_are_one(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    for med in range(100):
        a.announce([f"10.{med}.0.0/16"], med=med)
    settle(router, a, b)
    for _ in range(1000):
        refresh(router, b)
    b.pull(100)
    for _ in range(1000):
        refresh(router, b)
    settle(router, b)
    assert len(b.refreshes) == 4, "the one that ran, and one after it"
    assert b.announced == 300


def test_a_refresh_during_the_first_dump_follows_end_of_rib(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce(many(10))
    settle(router, a)
    refresh(router, b)
    blobs = b.pull()
    octets = b"".join(blobs)
    end = octets.index(bytes.fromhex("0017 02 00000000".replace(" ", "")))
    begin = octets.index(bytes.fromhex("0017 05 00010101".replace(" ", "")))
    assert end < begin and b.announced == 20


def lagging(router_options: int = 3000) -> tuple[Router, Peer, Peer, Peer]:
    router = Router(LOCAL_AS, ROUTER_ID, lag_limit=router_options)
    a, slow, quick = (
        Peer(router, "a", CLIENT, 1),
        Peer(router, "slow", CLIENT, 2),
        Peer(router, "quick", CLIENT, 3),
    )
    settle(router, a, slow, quick)
    return router, a, slow, quick


def test_a_slow_member_costs_one_entry_for_each_route() -> None:
    router, a, slow, quick = lagging()
    (group,) = router.groups.values()
    for round in range(200):
        a.announce(many(50), med=round)
        a.announce(["11.0.0.0/8"], med=round)
        if round % 2:
            a.withdraw(["11.0.0.0/8"])
        router.flush()
        quick.drain()
        a.drain()
    assert slow.member.behind and not quick.member.behind
    assert group.train.octets < 4 * 3000
    log = group._logs[IPV4_UNICAST]
    assert len(log) == 51 and log.end - log.base < 2 * 51 + 1100
    slow.listener.messages = 0
    settle(router, slow)
    assert not slow.member.behind and len(slow.held) == 50
    assert slow.held == quick.held and slow.messages < 10, "the latest state only"
    assert len(log) == 0 and not log.places
    # Back in the train, it hears of what is new.
    a.announce(["12.0.0.0/8"])
    settle(router, slow)
    assert "12.0.0.0/8" in slow.prefixes() and slow.member.updates_sent == slow.messages + 2


def test_a_slow_member_that_leaves_frees_the_log() -> None:
    router, a, slow, quick = lagging()
    (group,) = router.groups.values()
    for round in range(100):
        a.announce(many(50), med=round)
        router.flush()
        quick.drain()
    assert slow.member.behind
    slow.down()
    assert len(group._logs[IPV4_UNICAST]) == 0
    settle(router, quick)


def test_members_fall_behind_and_catch_up_at_their_own_pace() -> None:
    router, a, slow, quick = lagging(600)
    other = Peer(router, "other", CLIENT, 4)
    for round in range(300):
        a.announce(many(20, 10 + round % 7), med=round)
        if round % 5 == 0:
            a.withdraw(many(20, 10 + round % 3))
        router.flush()
        quick.drain()
        if round % 3 == 0:
            slow.pull(50)
        if round % 40 == 0:
            other.pull(1)
    settle(router, a, slow, quick, other)
    assert slow.held == quick.held == other.held and quick.held


def test_catching_up_stops_at_the_limit_and_goes_on() -> None:
    router, a, slow, quick = lagging()
    for round in range(10):
        a.announce(many(1800), med=round)
        a.announce(["2001:db8::/32"], family=IPV6_UNICAST, med=round)
        router.flush()
        quick.drain()
    assert slow.member.behind
    pulls = 0
    while slow.member.pending:
        octets = sum(map(len, slow.pull(1000)))
        assert octets < 1000 + 512 * 5 + 300
        pulls += 1
        if pulls == 2:
            assert slow.member.behind, "there is more"
            a.announce(many(1800), med=99)
            router.flush()
    assert pulls > 4 and slow.held.keys() == quick.held.keys()
    quick.drain()
    assert slow.held == quick.held


def test_who_is_behind_for_too_long_is_overdue() -> None:
    router, a, slow, quick = lagging()
    router.lag_age = 60.0

    def overdue(now: float) -> list[str]:
        return [member.name for member, fault in router.overdue(now) if fault.subcode == 8]

    assert overdue(0) == overdue(1000) == []
    dropped = []
    for second in range(1000, 1400, 5):
        # News all the time, of which it takes some now and then; and from 1200 on nothing.
        a.announce(many(40), med=second)
        router.flush()
        quick.drain()
        a.drain()
        if second < 1200:
            slow.pull(100)
            while slow.member.behind and not second % 50:
                slow.pull(200)
        dropped += [(second, name) for name in overdue(second)]
    assert {name for _, name in dropped} == {"slow"}
    assert 1200 < dropped[0][0] <= 1265 and dropped[-1][0] == 1395
    # Even then it is forgiven if it takes all.
    slow.drain()
    quick.drain()
    assert overdue(1301) == overdue(1500) == []
    # It need not have left the train for that.
    a.announce(["192.0.2.0/24"])
    router.flush()
    quick.drain()
    a.drain()
    assert not slow.member.behind
    assert overdue(1550) == overdue(1610) == [] and overdue(1611) == ["slow"]
    router.lag_age = 0
    assert overdue(9999) == []


def test_a_member_that_is_behind_does_not_hear_its_own() -> None:
    router, a, slow, quick = lagging()
    for round in range(20):
        a.announce(many(200), med=round)
        router.flush()
        quick.drain()
    assert slow.member.behind
    slow.announce(many(200)[:50], local_pref=300)
    settle(router, a, slow, quick)
    assert len(slow.held) == 150 and len(quick.held) == 200 and len(a.held) == 50


def test_a_source_that_takes_nothing_holds_nothing_up() -> None:
    """A peer that only talks has nothing ahead but what it said itself."""
    router, a, slow, quick = lagging()
    slow.down()
    (group,) = router.groups.values()
    for round in range(100):
        a.announce(many(50), med=round)
        router.flush()
        quick.drain()
    assert not a.member.behind and group.train.octets < 4 * 3000
    listener = group.listeners["a"]
    assert listener.place is not None and len(listener.place.detours) <= 1


@pytest.mark.parametrize("lag_limit", [400, 1 << 20])
def test_add_path(lag_limit: int) -> None:
    router = Router(LOCAL_AS, ROUTER_ID, lag_limit=lag_limit)
    a = Peer(router, "a", CLIENT, 1, add_path=add_path())
    b, plain = Peer(router, "b", CLIENT, 2), Peer(router, "plain", CLIENT, 3)
    settle(router, a, b, plain)
    a.announce(["10.0.0.0/8"], path_id=5, med=1)
    a.announce(["10.0.0.0/8"], path_id=6, med=2)
    b.announce(["10.0.0.0/8"], med=3)
    settle(router, a, b, plain)
    late = Peer(router, "late", CLIENT, 4, add_path=add_path())
    settle(router, late)
    assert {(key[2], some.med) for key, some in a.held.items()} == {(a_id(a, 3), 3)}
    assert sorted(some.med or 0 for some in late.held.values()) == [1, 2, 3]
    assert plain.heard("10.0.0.0/8").med == 1
    before = {some.med: key for key, some in late.held.items()}
    # An identifier stays with its slot, whatever is in it.
    a.announce(["10.0.0.0/8"], path_id=6, med=9)
    settle(router, late)
    assert late.held[before[2]].med == 9
    # A refused path, or one that is withdrawn, is taken back by itself.
    a.withdraw(["10.0.0.0/8"], path_id=5)
    b.announce(["10.0.0.0/8"], med=3, as_path=f"{LOCAL_AS}")
    for round in range(50):
        b.announce(["11.0.0.0/8"], med=round)
        router.flush()
    settle(router, a, late, plain)
    assert {some.med for key, some in late.held.items() if key[1] == prefix("10.0.0.0/8")} == {9}
    assert plain.heard("10.0.0.0/8").med == 9
    a.down()
    b.down()
    settle(router, late, plain)
    assert not late.held and not plain.held


def a_id(peer: Peer, med: int) -> int:
    return next(key[2] for key, some in peer.held.items() if some.med == med)


# --- The pieces ------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_train_gives_each_member_what_is_for_it_in_order(data: st.DataObject) -> None:
    train = Train()
    places = [Place(0) for _ in range(3)]
    wanted: list[bytes] = [b"", b"", b""]
    taken: list[bytes] = [b"", b"", b""]
    count = 0
    for _ in range(data.draw(st.integers(1, 40))):
        who = data.draw(st.integers(0, 2))
        match data.draw(st.integers(0, 3)):
            case 0 | 1:
                sizes = data.draw(st.lists(st.sampled_from((1, 30, trains.BLOB_OCTETS - 1)), max_size=3))
                messages = [bytes((count % 256,)) * size for size in sizes]
                count += 1
                start = train.end
                train.append(messages)
                alone = data.draw(st.sampled_from(([], [b"alone"], [b"a" * 100, b"b" * 100])))
                owner = data.draw(st.sampled_from((None, who)))
                for index in range(3):
                    wanted[index] += b"".join(alone if index == owner else messages)
                if owner is not None:
                    train.detour(places[owner], start, alone)
            case 2:
                out: list[bytes] = []
                limit = data.draw(st.sampled_from((0, 1, 50, 20000, 10**6)))
                left = train.take(places[who], limit, out)
                octets = sum(map(len, out))
                assert octets <= limit or len(out) == 1
                assert left <= max(limit - octets, 0)
                taken[who] += b"".join(out)
            case 3:
                for place in places:
                    train.skip(place)
                train.trim(min(place.index for place in places))
                assert train.octets == sum(map(len, train.blobs))
                assert all(0 <= train.lag(place) <= train.octets for place in places)
    for index, place in enumerate(places):
        out = []
        train.take(place, 10**9, out)
        assert taken[index] + b"".join(out) == wanted[index]
        assert place.index == train.end and not place.detours


@pytest.fixture(scope="module")
def hasty_log() -> Iterator[None]:
    """Logs that are compacted all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_SLACK", 3)
        yield


@settings(max_examples=100, deadline=None)
@given(st.data())
@pytest.mark.usefixtures("hasty_log")
def test_the_log_tells_each_member_what_changed_behind_it(data: st.DataObject) -> None:
    log = ChangeLog()
    owed: dict[str, set[int]] = {}
    for _ in range(data.draw(st.integers(1, 60))):
        name = data.draw(st.sampled_from("xyz"))
        match act := data.draw(st.integers(0, 4)):
            case 0 | 1:
                numbers = data.draw(st.lists(st.integers(0, 30), max_size=20))
                if act:
                    log.extend([(bytes((number,)), 0) for number in numbers])
                for number in numbers:
                    if not act:
                        log.add((bytes((number,)), 0))
                    for some in owed.values():
                        some.add(number)
            case 2:
                if name not in owed:
                    owed[name] = set()
                    log.places[name] = log.end
            case 3:
                if name in owed:
                    for octets, _ in log.take(name, data.draw(st.integers(1, 9))):
                        owed[name].remove(octets[0])
                    log.trim()
            case 4:
                log.leave(name)
                owed.pop(name, None)
        assert log.end - log.base <= 2 * len(log) + 4
    for name, some in owed.items():
        ahead = log.ahead(name)
        rest = []
        while log.places[name] < log.end:
            rest += log.take(name, 7)
            assert log.places[name] % 7 == 0 or log.places[name] == log.end
        assert rest == ahead
        assert {octets[0] for octets, _ in rest} == some and len(rest) == len(some)
        assert log.take(name, 1) == []
    for name in owed:
        log.leave(name)
    log.trim()
    assert not owed or len(log) == 0
