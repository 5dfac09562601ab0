"""Policies at work in the router: read prefixes, swapped at any time, tried without being applied."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from routers import LOCAL_AS, OUR_ADDRESS, ROUTER_ID, Peer, add_path, address, prefix, settle
from test_router_model import ALL_PEERS, CHEAPER, UNWANTED, Machine, names

from bgp.export.pack import Packer, Told
from bgp.export.rules import NO_POLICY, Withheld
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import AttributeType, WellKnownCommunity
from bgp.policy import ACCEPT, ACCEPT_ALL, NEXT, REFUSE, Policy, Rules, Term, change, function, known, match
from bgp.rib.path import Kind, Path, Refusal, Slot
from bgp.router import Router
from bgp.testing.reference.router import Party
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes

CLIENT, NON_CLIENT, EXTERNAL = Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL


def broken(path: Path) -> Attributes | None:
    if CHEAPER in path.attributes.communities:
        raise ZeroDivisionError
    return path.attributes


POLICIES: tuple[Policy, ...] = (
    ACCEPT_ALL,
    broken,
    Rules("nothing", []),
    Rules("unwanted", [Term("unwanted", match.community(UNWANTED), (), REFUSE)], ACCEPT),
    Rules(
        "by prefix",
        [
            Term("refused", match.prefix_in(["10.1.0.0/16 le 32", "2001:db8:2::/48"]), (), REFUSE),
            Term("preferred", match.prefix_in(["10.2.0.0/16", "2001:db8:1::/48"]), (change.local_pref(300),)),
            # Next hops whose cost changes: the verdict of a prefix depends on it, then.
            Term("moved", match.prefix_in(["10.3.0.0/16"]), (change.next_hop("10.9.0.2"),)),
        ],
        ACCEPT,
    ),
    Rules(
        "by length",
        [
            Term("long", match.prefix_length((17, 128)), (change.med(9), change.prepend(64999)), NEXT),
            Term("cheap", match.community(CHEAPER) & match.prefix_length((0, 20)), (), REFUSE),
            Term("kept", match.prefix_in(["10.4.0.0/16"]), (change.next_hop_keep(), change.med(5)), ACCEPT),
        ],
        ACCEPT,
    ),
    Rules("kept", [Term("all", match.ANY, (change.next_hop_keep(), change.add_med(0)), ACCEPT)]),
    Rules("self", [Term("mine", match.med(5), (change.next_hop_self(), change.add_communities(3)))], ACCEPT),
    Rules(
        "by peer", [Term("one", match.peer("*-1") & ~match.peer_type(NON_CLIENT), (change.med(77),))], ACCEPT
    ),
)
policies = st.sampled_from(POLICIES)


Chosen = tuple[Slot, object, int] | None


class PolicyMachine(Machine):
    """The model of the router, with these policies and their swaps."""

    @rule(name=names, policy=policies | st.none())
    def swap_import(self, name: str, policy: Policy | None) -> None:
        if name in self.peers:
            self.router.set_import_policy(self.peers[name].member, policy)
            self._party(name, replace(self.parties[name], import_policy=policy))

    @rule(name=names, policy=policies | st.none())
    def swap_export(self, name: str, policy: Policy | None) -> None:
        if name in self.peers:
            self.router.set_export_policy(self.peers[name].member, policy)
            self._party(name, replace(self.parties[name], export_policy=policy))

    @rule(policy=policies)
    def swap_export_of_all(self, policy: Policy) -> None:
        for name in self.peers:
            self.swap_export(name, policy)

    def _party(self, name: str, party: Party) -> None:
        self.parties[name] = self.reference.parties[name] = party

    @rule(name=names, policy=policies)
    def preview(self, name: str, policy: Policy) -> None:
        """What a dry run says comes true."""
        peer = self.peers.get(name)
        if peer is None:
            return
        self.quiet()
        differences = list(self.router.rib.preview_import(peer.member, policy))
        said = {(one.family, one.prefix, one.path.slot.number): _shown(one.after) for one in differences}
        moved = {(one.family, one.prefix): _chosen(one.instead) for one in differences if one.moves}
        before, best = self._verdicts(peer), self._best()
        self.swap_import(name, policy)
        self.quiet()
        after, now_best = self._verdicts(peer), self._best()
        for key in best.keys() | now_best.keys():
            foreseen, now = moved.get(key, best.get(key)), now_best.get(key)
            # Aggregates of ours may come and go with what the policy passes; that is not foreseen.
            if not any(one is not None and one[0].peer == "" for one in (foreseen, now, best.get(key))):
                assert foreseen == now, key
        assert {key: value for key, value in after.items() if before[key] != value} == said
        told = self._told(peer)
        changes = {
            (one.family, one.prefix, one.path.slot.number): _shown(one.after)
            for one in self.router.rib.preview_export(peer.member, policy)
            if not (isinstance(one.after, Withheld) and isinstance(one.before, Withheld))
        }
        self.swap_export(name, policy)
        self.quiet()
        now_told = self._told(peer)
        assert changes.keys() == {
            key for key in told.keys() | now_told.keys() if told.get(key) != now_told.get(key)
        }
        assert {key: value for key, value in changes.items() if key in now_told} == {
            key: now_told[key] for key in changes if key in now_told
        }

    def _best(self) -> dict[object, Chosen]:
        return {
            (family, one): _chosen(path)
            for family in (IPV4_UNICAST, IPV6_UNICAST)
            for one, path in self.router.rib.best(family)
        }

    def _verdicts(self, peer: Peer) -> dict[object, object]:
        return {
            (family, one, path.slot.number): _shown(path.refusal or path.attributes)
            for family in peer.negotiated.families
            for one, path in self.router.rib.received(peer.member, family)
        }

    def _told(self, peer: Peer) -> dict[object, object]:
        return {
            (family, route.prefix, route.path.slot.number): _shown(route.attributes)
            for family in peer.negotiated.families
            for route in self.router.rib.advertised(peer.member, family)
        }


def _shown(value: Attributes | Refusal | Withheld) -> object:
    return (value.octets, value.next_hop) if isinstance(value, Attributes) else value


def _chosen(path: Path | None) -> Chosen:
    return None if path is None else (path.slot, _shown(path.attributes), path.cost)


TestRouterPolicyModel = PolicyMachine.TestCase
TestRouterPolicyModel.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


# --- What each of it means -----------------------------------------------------------------------------


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


def test_a_refused_path_names_its_term(router: Router) -> None:
    rules = Rules("edge", [Term("bogons", match.prefix_in(["10.0.0.0/8 le 32"]), (), REFUSE)], ACCEPT)
    a = Peer(router, "a", CLIENT, 1, import_policy=rules)
    b = Peer(router, "b", CLIENT, 2, export_policy=Rules("none", [], REFUSE))
    a.announce(["10.1.0.0/16", "192.0.2.0/24"])
    settle(router, a, b)
    (verdict,) = router.rib.explain(IPV4_UNICAST, prefix("10.1.0.0/16"))
    assert str(verdict) == 'refused: term "bogons" of policy "edge" refuses it (RFC 4271 9.1.1)'
    (verdict,) = router.rib.explain(IPV4_UNICAST, prefix("192.0.2.0/24"))
    assert verdict.best
    told = router.rib.told(b.member, IPV4_UNICAST, verdict.path)
    assert str(told) == 'no term of policy "none" accepts it (RFC 4271 9.1.3)'


def test_prefixes_of_one_verdict_share_a_path(router: Router) -> None:
    rules = Rules("edge", [Term("long", match.prefix_length((25, 32)), (change.local_pref(7),))], ACCEPT)
    a = Peer(router, "a", CLIENT, 1, import_policy=rules)
    b = Peer(router, "b", CLIENT, 2)
    a.announce(["10.1.0.0/16", "10.2.0.0/24", "10.3.0.0/25", "10.4.0.0/26", "10.1.0.0/16"])
    settle(router, a, b)
    paths = {path for _, path in router.rib.received(a.member, IPV4_UNICAST)}
    assert sorted((path.count, path.attributes.local_pref) for path in paths) == [(2, 7), (2, 100)]
    assert a.member.received(IPV4_UNICAST) == router.rib.routes == 4
    assert {text: b.heard(text).local_pref for text in ("10.2.0.0/24", "10.3.0.0/25")} == {
        "10.2.0.0/24": 100,
        "10.3.0.0/25": 7,
    }
    assert b.messages == 2 + 2, "a message for each verdict, and End-of-RIB for each family"
    a.announce(["10.1.0.0/16", "10.3.0.0/25"], med=3)
    a.withdraw(["10.4.0.0/26"])
    settle(router, a, b)
    assert b.heard("10.3.0.0/25").med == 3 and b.heard("10.3.0.0/25").local_pref == 7
    assert b.prefixes() == {"10.1.0.0/16", "10.2.0.0/24", "10.3.0.0/25"}


def test_a_policy_is_asked_once_for_each_path_if_it_does_not_read_prefixes(router: Router) -> None:
    asked: list[Path] = []

    def test(route: object) -> bool:
        asked.append(route.path)  # type: ignore[attr-defined]
        return True

    rules = Rules("counted", [Term("all", match.where(test), (), ACCEPT)])
    a = Peer(router, "a", CLIENT, 1, import_policy=rules)
    a.announce([f"10.{n}.0.0/16" for n in range(100)])
    a.announce([f"10.{n}.1.0/24" for n in range(100)])
    settle(router, a)
    assert len(asked) == 1
    b = Peer(router, "b", CLIENT, 2, export_policy=rules)
    c = Peer(router, "c", CLIENT, 3, export_policy=rules)
    settle(router, a, b, c)
    a.announce([f"11.{n}.0.0/16" for n in range(100)])
    settle(router, a, b, c)
    assert len(asked) == 2 and len(b.held) == len(c.held) == 300


def test_answers_of_export_policy_die_with_their_paths(router: Router) -> None:
    rules = Rules("med", [Term("all", match.ANY, (change.med(1),), ACCEPT)])
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, export_policy=rules)
    for number in range(20):
        a.announce(["10.0.0.0/8"], med=number)
        settle(router, a, b)
    (group,) = (group for group in router.groups.values() if group.terms.policy is rules)
    assert len(group.packer._answers) <= 2
    assert b.heard("10.0.0.0/8").med == 1


def test_export_policy_by_prefix(router: Router) -> None:
    rules = Rules(
        "by prefix",
        [
            Term("hidden", match.prefix_in(["10.1.0.0/16 le 32"]), (), REFUSE),
            Term("marked", match.prefix_in(["10.2.0.0/16"]), (change.add_communities(5),)),
        ],
        ACCEPT,
    )
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, export_policy=rules)
    a.announce(["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"])
    settle(router, a, b)
    assert b.prefixes() == {"10.2.0.0/16", "10.3.0.0/16"}
    assert b.heard("10.2.0.0/16").communities == (5,) and b.heard("10.3.0.0/16").communities == ()
    late = Peer(router, "late", CLIENT, 3, export_policy=rules)
    settle(router, a, b, late)
    assert late.held == b.held
    a.withdraw(["10.1.0.0/16", "10.2.0.0/16"])
    settle(router, a, b, late)
    assert b.prefixes() == late.prefixes() == {"10.3.0.0/16"}
    assert b.withdrawn == 1, "what was not told is not taken back"


def test_what_export_policy_chooses_stays_towards_external_peers(router: Router) -> None:
    kept = Rules("kept", [Term("all", match.ANY, (change.next_hop_keep(), change.med(10)), ACCEPT)])
    third = Rules("third", [Term("all", match.ANY, (change.next_hop("192.0.2.77"),), ACCEPT)])
    a = Peer(router, "a", CLIENT, 1)
    b = Peer(router, "b", EXTERNAL, 2, export_policy=kept)
    c = Peer(router, "c", EXTERNAL, 3, export_policy=third)
    d = Peer(router, "d", EXTERNAL, 4)
    a.announce(["10.0.0.0/8"], med=10)
    settle(router, a, b, c, d)
    assert (b.heard("10.0.0.0/8").next_hop, b.heard("10.0.0.0/8").med) == (address("10.9.0.9"), 10)
    assert (c.heard("10.0.0.0/8").next_hop, c.heard("10.0.0.0/8").med) == (address("192.0.2.77"), None)
    assert (d.heard("10.0.0.0/8").next_hop, d.heard("10.0.0.0/8").med) == (OUR_ADDRESS, None)


def test_next_hop_self_towards_each_peer(router: Router) -> None:
    ours = Rules("ours", [Term("all", match.ANY, (change.next_hop_self(),), ACCEPT)])
    a, b, c = (
        Peer(router, "a", CLIENT, 1),
        Peer(router, "b", CLIENT, 2, export_policy=ours),
        Peer(router, "c", CLIENT, 3),
    )
    a.announce(["10.0.0.0/8"])
    a.announce(["2001:db8:1::/48"], family=IPV6_UNICAST)
    settle(router, a, b, c)
    assert b.heard("10.0.0.0/8").next_hop == OUR_ADDRESS
    assert b.heard("2001:db8:1::/48").next_hop == address("2001:db8::1")
    assert c.heard("10.0.0.0/8").next_hop == address("10.9.0.9")


def test_a_failing_policy_is_contained_and_logged_once(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    @function(reads_prefix=True)
    def fails(path: Path, prefix: bytes) -> Attributes | None:
        if prefix[0] == 16:
            raise RuntimeError("oh")
        return path.attributes

    a, b = Peer(router, "a", CLIENT, 1, import_policy=fails), Peer(router, "b", CLIENT, 2)
    a.announce(["10.1.0.0/16", "10.2.0.0/16", "10.0.0.0/8"])
    settle(router, a, b)
    assert b.prefixes() == {"10.0.0.0/8"}
    assert router.admission.policy_failures == 2
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert {path.refusal.name for _, path in router.rib.received(a.member, IPV4_UNICAST) if path.refusal} == {
        "policy-failed"
    }


def test_the_blackhole_term_in_the_router(router: Router) -> None:
    rules = Rules("edge", known.blackhole(["192.0.2.0/24 le 32"]), ACCEPT)
    a, b = Peer(router, "a", EXTERNAL, 1, import_policy=rules), Peer(router, "b", CLIENT, 2)
    c = Peer(router, "c", EXTERNAL, 3)
    marked = {"communities": (WellKnownCommunity.BLACKHOLE,), "as_path": "64001"}
    a.announce(["192.0.2.7/32", "198.51.100.7/32"], **marked)
    settle(router, a, b, c)
    assert b.prefixes() == {"192.0.2.7/32"} and c.prefixes() == set()
    assert WellKnownCommunity.NO_EXPORT in b.heard("192.0.2.7/32").communities


# --- Swaps ------------------------------------------------------------------------------------------------


def test_an_import_swap_goes_in_slices_and_touches_only_what_differs(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce([f"10.{n}.0.0/16" for n in range(200)])
    a.announce([f"10.{n}.0.0/24" for n in range(200)], med=1)
    settle(router, a, b)
    told = b.announced
    rules = Rules(
        "some", [Term("first", match.prefix_in(["10.0.0.0/16", "10.1.0.0/16"]), (), REFUSE)], ACCEPT
    )
    router.set_import_policy(a.member, rules)
    slices = 0
    while router.work(50):
        slices += 1
        router.flush()
        b.drain()
        assert a.member.received(IPV4_UNICAST) == 400
    settle(router, a, b)
    assert slices >= 7
    assert len(b.held) == 398 and (b.announced - told, b.withdrawn) == (0, 2)
    router.set_import_policy(a.member, ACCEPT_ALL)
    settle(router, a, b)
    assert len(b.held) == 400 and b.announced - told == 2


def test_who_leaves_in_the_middle_of_a_swap_leaves_nothing(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce([f"10.{n}.0.0/16" for n in range(50)])
    settle(router, a, b)
    router.set_import_policy(a.member, Rules("p", [], ACCEPT))
    router.work(10)
    a.down()
    settle(router, b)
    assert not b.held and router.rib.routes == 0
    assert all(table.order.count(None) == len(table.order) for table in router._tables.values())


def test_an_export_swap_tells_what_differs_and_no_more(router: Router) -> None:
    a, b, c = (Peer(router, name, CLIENT, n) for n, name in enumerate("abc", 1))
    a.announce([f"10.{n}.0.0/16" for n in range(100)])
    a.announce([f"11.{n}.0.0/16" for n in range(100)], med=1)
    settle(router, a, b, c)
    told = b.announced
    rules = Rules(
        "some",
        [
            Term("gone", match.prefix_in(["10.1.0.0/16"]), (), REFUSE),
            Term("new", match.prefix_in(["10.2.0.0/16"]), (change.med(9),)),
        ],
        ACCEPT,
    )
    router.set_export_policy(b.member, rules)
    settle(router, a, b, c)
    assert (b.announced - told, b.withdrawn, c.withdrawn) == (1, 1, 0)
    assert b.heard("10.2.0.0/16").med == 9 and c.heard("10.2.0.0/16").med is None
    assert b.prefixes() == c.prefixes() - {"10.1.0.0/16"}
    assert b.end_of_rib == c.end_of_rib, "a session has one End-of-RIB for each family"
    groups = len(router.groups)
    router.set_export_policy(b.member, ACCEPT_ALL)
    settle(router, a, b, c)
    assert b.held == c.held and len(router.groups) == groups - 1
    assert (b.announced - told, b.withdrawn) == (3, 1)


def test_an_equal_policy_is_no_swap(router: Router) -> None:
    def rules() -> Rules:
        return Rules("p", [Term("t", match.med(1), (), REFUSE)], ACCEPT)

    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, export_policy=rules())
    a.announce(["10.0.0.0/8"])
    settle(router, a, b)
    listener = b.member._listener
    router.set_export_policy(b.member, rules())
    assert b.member._listener is listener


def test_members_that_are_swapped_together_share_a_run(router: Router) -> None:
    a, *others = (Peer(router, name, CLIENT, n) for n, name in enumerate("abcdef", 1))
    a.announce([f"10.{n}.0.0/16" for n in range(100)])
    settle(router, a, *others)
    rules = Rules("med", [Term("all", match.ANY, (change.med(4),), ACCEPT)])
    for peer in others:
        router.set_export_policy(peer.member, rules)
    (group,) = (group for group in router.groups.values() if group.terms.policy == rules)
    assert len(group._reruns) == 1
    a.announce(["10.1.0.0/16", "12.0.0.0/8"], local_pref=7)
    a.withdraw(["10.2.0.0/16"])
    settle(router, a, *others)
    assert not group._reruns
    for peer in others:
        assert len(peer.held) == 100 and {held.med for held in peer.held.values()} == {4}
        assert peer.heard("10.1.0.0/16").local_pref == 7


def test_members_that_are_swapped_together_share_what_is_encoded(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred swaps cost what one does, but for the routes of those who are swapped."""
    made: list[str] = []
    announce = Packer.announce

    def counted(packer: Packer, *arguments: object) -> list[bytes]:
        made.append(packer.terms.policy.name if isinstance(packer.terms.policy, Rules) else "")
        return announce(packer, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Packer, "announce", counted)
    source = Peer(router, "source", CLIENT, 1)
    for med in range(40):
        source.announce([f"10.{med}.{n}.0/24" for n in range(100)], med=med)
    peers = [Peer(router, f"p{n}", CLIENT, n) for n in range(2, 102)]
    peers[0].announce(["192.0.2.0/24"])
    settle(router, source, *peers)
    for number, some in enumerate((peers[:1], peers[1:])):
        rules = Rules(
            f"swap {number}", [Term("all", match.ANY, (change.add_local_pref(number + 1),), ACCEPT)]
        )
        for peer in some:
            router.set_export_policy(peer.member, rules)
        settle(router, source, *peers)
    assert len(peers[0].held) == 4000 and {len(peer.held) for peer in peers[1:]} == {4001}
    assert {held.local_pref for held in peers[0].held.values()} == {101}
    assert {held.local_pref for peer in peers[1:] for held in peer.held.values()} == {102}
    one, many = made.count("swap 0"), made.count("swap 1")
    assert 40 <= one <= many <= one + 2
    # Nor are there more messages for one of them than there were for the only one.
    assert {peer.messages for peer in peers[2:]} == {peers[1].messages}


def test_a_swap_before_the_first_pull_tells_all_by_the_new_policy(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce(["10.0.0.0/8", "11.0.0.0/8"])
    router.set_export_policy(
        b.member, Rules("p", [Term("t", match.prefix_in(["10.0.0.0/8"]), (), REFUSE)], ACCEPT)
    )
    settle(router, a, b)
    assert b.prefixes() == {"11.0.0.0/8"} and b.withdrawn == 0
    assert sorted(b.end_of_rib, key=str) == [IPV4_UNICAST, IPV6_UNICAST]


def test_who_leaves_in_the_middle_of_an_export_swap_ends_it(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    c = Peer(router, "c", CLIENT, 3, export_policy=Rules("p", [], ACCEPT))
    a.announce(["10.0.0.0/8"])
    settle(router, a, b, c)
    router.set_export_policy(b.member, Rules("p", [], ACCEPT))
    group = b.member._listener.group
    assert group is c.member._listener.group and group._reruns
    b.down()
    assert not group._reruns
    settle(router, a, c)
    assert c.prefixes() == {"10.0.0.0/8"}


def test_with_add_path_each_path_is_told_anew(router: Router) -> None:
    a, b = (
        Peer(router, "a", CLIENT, 1, add_path=add_path()),
        Peer(router, "b", CLIENT, 2, add_path=add_path()),
    )
    for path_id in range(3):
        a.announce(["10.0.0.0/8"], path_id=path_id, med=path_id)
    settle(router, a, b)
    assert len(b.held) == 3
    router.set_export_policy(b.member, Rules("p", [Term("t", match.med(1), (), REFUSE)], ACCEPT))
    settle(router, a, b)
    assert sorted(held.med or 0 for held in b.held.values()) == [0, 2] and b.withdrawn == 1


def test_taking_the_policy_from_an_external_peer_takes_its_routes(router: Router) -> None:
    """RFC 8212 section 3, by a swap."""
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", EXTERNAL, 2)
    a.announce(["10.0.0.0/8"])
    b.announce(["11.0.0.0/8"], as_path="64002")
    settle(router, a, b)
    assert b.prefixes() == {"10.0.0.0/8"} and a.prefixes() == {"11.0.0.0/8"}
    router.set_export_policy(b.member, None)
    router.set_import_policy(b.member, None)
    settle(router, a, b)
    assert not a.held and not b.held
    assert (
        router.rib.told(b.member, IPV4_UNICAST, router.rib.lookup(IPV4_UNICAST, prefix("10.0.0.0/8"))[0])
        is NO_POLICY
    )


def test_a_member_with_a_message_of_its_own_ahead_leaves_nothing_behind(router: Router) -> None:
    """What one member alone is to be told has no octets in the train, and is not forgotten with it."""
    a, b, c = (Peer(router, name, CLIENT, n) for n, name in enumerate("abc", 1))
    a.announce(["10.0.0.0/8"], local_pref=100)
    settle(router, a, b, c)
    # Now the best path is b's own: b alone gets a withdrawal.
    b.announce(["10.0.0.0/8"], local_pref=100, as_path="")
    b.announce(["10.0.0.0/8"], local_pref=200)
    router.flush()
    router.set_export_policy(b.member, Rules("p", [], ACCEPT))
    settle(router, a, b, c)
    assert b.prefixes() == set() and a.prefixes() == c.prefixes() == {"10.0.0.0/8"}


def test_what_a_member_had_not_taken_before_a_swap_is_not_lost(router: Router) -> None:
    a, b, c = (Peer(router, name, CLIENT, n) for n, name in enumerate("abc", 1))
    a.announce(["10.0.0.0/8", "11.0.0.0/8"])
    settle(router, a, b, c)
    a.announce(["10.0.0.0/8"], med=9)
    a.withdraw(["11.0.0.0/8"])
    router.flush()
    # In the train of the old group, but not with b; and both policies tell the same of it.
    router.set_export_policy(b.member, Rules("p", [], ACCEPT))
    settle(router, a, b, c)
    assert b.prefixes() == {"10.0.0.0/8"} and b.heard("10.0.0.0/8").med == 9
    assert b.held == c.held


def test_who_comes_when_a_run_has_begun_has_a_run_of_its_own() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    a, b, c = (Peer(router, name, CLIENT, n) for n, name in enumerate("abc", 1))
    for number in range(2000):  # so many paths that a run takes several steps
        a.announce([f"10.{number // 250}.{number % 250}.0/24"], med=number)
    settle(router, a, b, c)
    rules = Rules("pref", [Term("all", match.ANY, (change.local_pref(7),), ACCEPT)])
    router.set_export_policy(b.member, rules)
    b.pull(1)
    group = b.member._listener.group
    (run,) = group._reruns
    assert run.begun and not run.finished
    router.set_export_policy(c.member, rules)
    assert len(group._reruns) == 2
    # Swapped again in the middle: what it was told by now is anybody's guess.
    router.set_export_policy(b.member, ACCEPT_ALL)
    settle(router, a, b, c)
    assert {held.local_pref for held in b.held.values()} == {100}
    assert {held.local_pref for held in c.held.values()} == {7}
    assert len(b.held) == len(c.held) == 2000


def test_next_hops_that_policy_sets_by_prefix_are_judged_anew(router: Router) -> None:
    rules = Rules(
        "moved", [Term("one", match.prefix_in(["10.1.0.0/16"]), (change.next_hop("10.9.0.2"),))], ACCEPT
    )
    a, b = Peer(router, "a", CLIENT, 1, import_policy=rules), Peer(router, "b", CLIENT, 2)
    a.announce(["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"])
    settle(router, a, b)
    for address_, prefixes in (("10.9.0.2", {"10.2.0.0/16", "10.3.0.0/16"}), ("10.9.0.9", {"10.1.0.0/16"})):
        router.next_hops.learn({address(address_): None})
        while router.work(1):
            router.flush()
        settle(router, a, b)
        assert b.prefixes() == prefixes
        router.next_hops.learn({address(address_): 5})
        settle(router, a, b)
        assert len(b.held) == 3
    costs = {path.cost for _, path in router.rib.best(IPV4_UNICAST)}
    assert costs == {5}


def test_each_failing_policy_is_logged_once(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    def other(path: Path) -> Attributes | None:
        raise KeyError

    a = Peer(router, "a", CLIENT, 1, import_policy=broken)
    b = Peer(router, "b", CLIENT, 2, import_policy=other, export_policy=broken)
    c = Peer(router, "c", NON_CLIENT, 3, export_policy=broken)
    a.announce(["10.0.0.0/8"])
    for peer in (a, b):
        peer.announce(["11.0.0.0/8"], communities=(CHEAPER,))
        peer.announce(["12.0.0.0/8"], communities=(CHEAPER, 1))
    settle(router, a, b, c)
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert router.admission.policy_failures == 4


# --- Dry runs -----------------------------------------------------------------------------------------------


def test_a_dry_run_lists_what_would_change_and_changes_nothing(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce(["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"])
    settle(router, a, b)
    rules = Rules(
        "p",
        [
            Term("ten", match.prefix_in(["10.0.0.0/8"]), (), REFUSE),
            Term("eleven", match.prefix_in(["11.0.0.0/8"]), (change.med(3),)),
        ],
        ACCEPT,
    )
    held = dict(b.held)
    listed = {
        nlri.text(one.family, one.prefix): one.after for one in router.rib.preview_import(a.member, rules)
    }
    refused, changed = listed["10.0.0.0/8"], listed["11.0.0.0/8"]
    assert len(listed) == 2
    assert isinstance(refused, Refusal) and 'term "ten"' in refused.text
    assert isinstance(changed, Attributes) and changed.med == 3
    out = {nlri.text(one.family, one.prefix): one.after for one in router.rib.preview_export(b.member, rules)}
    withheld, told = out["10.0.0.0/8"], out["11.0.0.0/8"]
    assert len(out) == 2
    assert isinstance(withheld, Withheld) and 'term "ten"' in withheld.text
    assert isinstance(told, Attributes) and told.med == 3 and told.get(AttributeType.CLUSTER_LIST)
    assert list(router.rib.preview_export(a.member, rules)) == [], "it is not told its own"
    settle(router, a, b)
    assert b.held == held
    assert isinstance(
        router.rib.told(b.member, IPV4_UNICAST, next(iter(router.rib.best(IPV4_UNICAST)))[1]), Told
    )


def test_the_model_covers_every_kind_of_peer() -> None:
    assert {kind for kind, _ in ALL_PEERS.values()} == set(Kind) - {Kind.LOCAL}
