"""What peers with ADD-PATH are told: which paths, whatever happens, and under which identifiers."""

from dataclasses import replace
from itertools import permutations
from weakref import ref

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from routers import LOCAL_AS, OUR_ADDRESS, ROUTER_ID, Peer, add_path, path, prefix, settle

from bgp.family import IPV4_UNICAST
from bgp.policy import ACCEPT, ACCEPT_ALL, REFUSE, Policy, Rules, Term, change, match
from bgp.rib.admission import POLICY
from bgp.rib.decision import Decision
from bgp.rib.path import Kind, Path
from bgp.rib.selection import ALL, BEST, EQUAL, Scope, Selection, best_n, select
from bgp.router import Router
from bgp.testing.reference.router import Party, Reference
from bgp.wire.message import RouteRefresh

CLIENT = Kind.CLIENT
SELECTIONS = {"best": BEST, "two": best_n(2), "three": best_n(3), "equal": EQUAL, "all": ALL}
DECISION = Decision()


def chosen(selection: Selection, *paths: Path) -> list[str]:
    """Return the names of those that are selected, the best first: the same in all orders of arrival."""
    found: set[tuple[str, ...]] = set()
    for order in permutations(paths):
        names = [one.source.peer for one in select(DECISION, selection, DECISION.decided(order))]
        found.add((*names[:1], *sorted(names[1:])))
    (only,) = found
    return list(only)


# --- Which paths ---------------------------------------------------------------------------------------


def test_the_best_the_best_of_the_rest_and_so_on() -> None:
    paths = [path(name, identifier=n, local_pref=n) for n, name in enumerate("abcd", start=1)]
    assert chosen(BEST, *paths) == ["d"]
    assert chosen(best_n(2), *paths) == ["d", "c"]
    assert chosen(best_n(3), *paths) == ["d", "b", "c"]
    assert chosen(best_n(9), *paths) == ["d", "a", "b", "c"]
    assert chosen(ALL, *paths) == ["d", "a", "b", "c"]
    assert chosen(EQUAL, *paths) == ["d"]
    assert chosen(best_n(2)) == chosen(ALL) == chosen(EQUAL) == chosen(BEST) == []


def test_the_second_best_is_the_best_without_the_first() -> None:
    """MED: b loses to a, and only to a; c is worse than b, but nobody removes it (RFC 4271 9.1.2.2 c)."""
    a = path("a", identifier=3, as_path="64500", med=1)
    b = path("b", identifier=1, as_path="64500", med=2)
    c = path("c", identifier=2, as_path="64501", med=9)
    assert chosen(BEST, a, b, c) == ["c"]
    # With c gone a removes b; sorted by the rungs behind MED b would come second.
    assert chosen(best_n(2), a, b, c) == ["c", "a"]
    assert chosen(best_n(3), a, b, c) == ["c", "a", "b"]


def test_equal_are_those_that_only_identifiers_tell_apart() -> None:
    first = path("a", identifier=1, as_path="64500", med=3, remote="10.0.0.1")
    same = path("b", identifier=2, as_path="64500", med=3, remote="10.0.0.2")
    other_as = path("c", identifier=3, as_path="64501", med=7)
    assert chosen(EQUAL, first, same, other_as) == ["a", "b", "c"]
    farther = path("d", identifier=4, as_path="64502", cost=1)
    worse = path("e", identifier=5, as_path="64501", med=8)
    longer = path("f", identifier=6, as_path="64503 64504")
    external = path("g", Kind.EXTERNAL, identifier=7, as_path="64503")
    assert chosen(EQUAL, first, same, other_as, farther, worse, longer) == ["a", "b", "c"]
    assert chosen(EQUAL, first, same, external) == ["g"]


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=str)
def test_refused_paths_are_never_selected(selection: Selection) -> None:
    good = path("a", identifier=1)
    bad = path("b", identifier=2, local_pref=900)
    bad.refusal = POLICY
    assert chosen(selection, good, bad) == ["a"]
    assert chosen(selection, bad) == []


@pytest.mark.parametrize(
    ("scope", "count"), [(Scope.BEST, 0), (Scope.BEST, -1), (Scope.ALL, 1), (Scope.EQUAL, 2)]
)
def test_a_selection_that_cannot_be(scope: Scope, count: int) -> None:
    with pytest.raises(ValueError, match="cannot be selected"):
        Selection(scope, count)


def test_equal_selections_are_the_same_group() -> None:
    assert best_n(1) == BEST and len({best_n(2), best_n(2), BEST, EQUAL, ALL}) == 4
    assert [str(one) for one in (BEST, best_n(4), EQUAL, ALL)] == ["best", "best 4", "equal", "all"]


# --- What a peer is told ---------------------------------------------------------------------------------


def receiver(router: Router, name: str, number: int, selection: Selection) -> Peer:
    chosen = {"add_path_select": {IPV4_UNICAST: selection}}
    return Peer(router, name, CLIENT, number, settings=chosen, add_path=add_path(IPV4_UNICAST))


def preferences(peer: Peer) -> list[int]:
    return sorted((some.local_pref or 0 for some in peer.held.values()), reverse=True)


def test_a_path_that_goes_promotes_the_next_one() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    senders = [Peer(router, name, CLIENT, n) for n, name in enumerate("abcd", start=1)]
    two = receiver(router, "two", 9, best_n(2))
    for n, sender in enumerate(senders):
        sender.announce(["10.0.0.0/8"], local_pref=100 + n)
        settle(router, *senders, two)
        assert preferences(two) == [100 + n, 99 + n][: n + 1]
    told = two.messages
    senders[0].announce(["10.0.0.0/8"], local_pref=99)
    settle(router, *senders, two)
    assert two.messages == told, "what is not selected is nobody's business"
    senders[3].withdraw(["10.0.0.0/8"])
    settle(router, *senders, two)
    assert preferences(two) == [102, 101]
    assert two.messages == told + 2, "one path announced, one withdrawn"
    late = receiver(router, "late", 8, best_n(2))
    settle(router, *senders, late)
    assert late.held == two.held
    # It was best, and comes last: what it says anew is not told, but that it is not told any more.
    senders[2].announce(["10.0.0.0/8"], local_pref=1)
    settle(router, *senders, two, late)
    assert preferences(two) == preferences(late) == [101, 99]
    late.down()
    senders[1].down()
    settle(router, senders[0], senders[2], two)
    assert preferences(two) == [99, 1]


def test_another_selection_in_the_same_session_tells_what_differs() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    senders = [Peer(router, name, CLIENT, n) for n, name in enumerate("abcd", start=1)]
    two, three = receiver(router, "two", 9, best_n(2)), receiver(router, "three", 10, best_n(3))
    for n, sender in enumerate(senders):
        sender.announce(["10.0.0.0/8"], local_pref=100 + n)
    settle(router, *senders, two, three)

    def choose(peer: Peer, selection: Selection) -> None:
        chosen = {IPV4_UNICAST: selection}
        router.change(peer.member, replace(peer.member.settings, add_path_select=chosen))

    told = two.messages
    choose(two, best_n(3))
    assert two.member.packer is three.member.packer, "equal terms are one group"
    settle(router, two, three)
    assert preferences(two) == [103, 102, 101] and two.messages == told + 1
    # What goes before it is looked at again was told, and is withdrawn: for others it was never there.
    choose(two, BEST)
    senders[1].withdraw(["10.0.0.0/8"])
    settle(router, *senders, two, three)
    assert preferences(two) == [103] and preferences(three) == [103, 102, 100]
    # So is what was told on the way from one to the next.
    choose(two, ALL)
    choose(two, best_n(2))
    senders[3].withdraw(["10.0.0.0/8"])
    settle(router, *senders, two, three)
    assert preferences(two) == preferences(three) == [102, 100]


def test_the_best_paths_own_peer_is_told_the_others() -> None:
    """A peer hears its own path never; of two that are selected that leaves one."""
    router = Router(LOCAL_AS, ROUTER_ID)
    a, b = receiver(router, "a", 1, best_n(2)), receiver(router, "b", 2, best_n(2))
    c = receiver(router, "c", 3, best_n(2))
    for peer, preference in ((a, 300), (b, 200), (c, 100)):
        peer.announce(["10.0.0.0/8"], local_pref=preference)
    settle(router, a, b, c)
    assert (preferences(a), preferences(b), preferences(c)) == ([200], [300], [300, 200])


def test_a_slow_peer_is_not_told_another_path_under_a_number_it_knows() -> None:
    """The first path goes, and its slot with it, while the peer has not heard of that."""
    router = Router(LOCAL_AS, ROUTER_ID, lag_limit=400)
    a = Peer(router, "a", CLIENT, 1, add_path=add_path(IPV4_UNICAST))
    slow, quick = receiver(router, "slow", 8, ALL), receiver(router, "quick", 9, ALL)
    other = Peer(router, "other", CLIENT, 2)
    settle(router, a, slow, quick, other)
    a.announce(["10.0.0.0/8"], path_id=1, med=1)
    settle(router, a, slow, quick, other)
    ((_, _, number),) = slow.held
    a.withdraw(["10.0.0.0/8"], path_id=1)
    for round in range(50):
        other.announce(["11.0.0.0/8"], med=round)
        router.flush()
        for peer in (a, quick, other):
            peer.drain()
    assert slow.member.behind and (IPV4_UNICAST, prefix("10.0.0.0/8"), number) not in quick.held
    a.announce(["10.0.0.0/8"], path_id=2, med=2)
    router.flush()
    quick.drain()
    assert number not in {key[2] for key in quick.held}, "the number is still in use"
    settle(router, a, slow, quick, other)
    assert slow.held == quick.held and number not in {key[2] for key in slow.held}
    # Now that nobody has it any more it may be used again.
    a.announce(["12.0.0.0/8"], path_id=3, med=3)
    settle(router, a, slow, quick, other)
    assert number in {key[2] for key in slow.held}


def test_what_was_found_out_for_a_dump_is_forgotten_with_the_paths() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    senders = [Peer(router, name, CLIENT, n) for n, name in enumerate("abc", start=1)]
    for n, sender in enumerate(senders):
        sender.announce(["10.0.0.0/8"], local_pref=100 + n)
    late = receiver(router, "late", 9, best_n(2))
    settle(router, *senders, late)
    gone = [ref(one) for one in router.rib.lookup(IPV4_UNICAST, prefix("10.0.0.0/8"))]
    for sender in senders:
        sender.withdraw(["10.0.0.0/8"])
    settle(router, *senders, late)
    assert [one() for one in gone] == [None, None, None]


# --- Whatever happens --------------------------------------------------------------------------------------

SENDERS = {"a": (0, 1, 2), "b": (0, 1), "c": (None,), "d": (None,)}
RECEIVERS = {"plain": None, "late-plain": None, "late-two": best_n(2), "late-equal": EQUAL, **SELECTIONS}
PREFIXES = [prefix("10.0.0.0/8"), prefix("11.0.0.0/8"), prefix("12.0.0.0/8")]
POLICIES: tuple[Policy, ...] = (
    ACCEPT_ALL,
    Rules("no third", [Term("third", match.med(3), (), REFUSE)], ACCEPT),
    Rules("by prefix", [Term("one", match.prefix_in(["11.0.0.0/8"]), (change.med(77),))], ACCEPT),
    Rules("one refused", [Term("one", match.prefix_in(["10.0.0.0/8"]), (), REFUSE)], ACCEPT),
)
names = st.sampled_from(sorted({**SENDERS, **RECEIVERS}))
senders = st.sampled_from([(name, path_id) for name, ids in SENDERS.items() for path_id in ids])


class Machine(RuleBasedStateMachine):
    """Few prefixes with many paths each, and peers of all selections that read now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(LOCAL_AS, ROUTER_ID, lag_limit=300)
        self.reference = Reference(LOCAL_AS, ROUTER_ID, ROUTER_ID, {IPV4_UNICAST: OUR_ADDRESS})
        self.peers: dict[str, Peer] = {}
        for name in ("a", "b", "c", "plain", *SELECTIONS):
            self.join(name, ACCEPT_ALL)

    @rule(name=names, policy=st.sampled_from(POLICIES))
    def join(self, name: str, policy: Policy) -> None:
        if name in self.peers:
            return
        number = sorted({**SENDERS, **RECEIVERS}).index(name) + 1
        selection = RECEIVERS.get(name, ALL)
        identified = selection is not None and SENDERS.get(name) != (None,)
        peer = self.peers[name] = Peer(
            self.router,
            name,
            CLIENT,
            number,
            export_policy=policy,
            settings={"add_path_select": {IPV4_UNICAST: selection}} if selection else {},
            add_path=add_path(IPV4_UNICAST) if identified else {},
            families=(IPV4_UNICAST,),
        )
        self.reference.parties[name] = Party(
            name,
            CLIENT,
            number,
            peer.settings.remote_address,
            peer.negotiated.families,
            ACCEPT_ALL,
            policy,
            add_path=frozenset({(IPV4_UNICAST, selection)} if identified and selection else ()),
            maximum=peer.negotiated.maximum_send,
        )

    @rule(name=names)
    def leave(self, name: str) -> None:
        if name in self.peers:
            self.peers.pop(name).down()
            self.reference.down(self.reference.parties[name])

    @rule(
        sender=senders,
        some=st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3, unique=True),
        med=st.integers(1, 3),
        asn=st.sampled_from((64500, 64501)),
        local_pref=st.sampled_from((100, 100, 100, 200)),
    )
    def announce(
        self, sender: tuple[str, int | None], some: list[bytes], med: int, asn: int, local_pref: int
    ) -> None:
        name, path_id = sender
        if name not in self.peers:
            return
        attributes = self.router.table.make(
            next_hop="10.9.0.9", med=med, as_path=str(asn), local_pref=local_pref
        )
        self.peers[name].announce(some, attributes, path_id)
        for one in some:
            self.reference.announce(self.reference.parties[name], IPV4_UNICAST, one, path_id, attributes)

    @rule(sender=senders, some=st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3, unique=True))
    def withdraw(self, sender: tuple[str, int | None], some: list[bytes]) -> None:
        name, path_id = sender
        if name not in self.peers:
            return
        self.peers[name].withdraw(some, path_id)
        for one in some:
            self.reference.withdraw(self.reference.parties[name], IPV4_UNICAST, one, path_id)

    @rule(name=names, policy=st.sampled_from(POLICIES))
    def swap(self, name: str, policy: Policy) -> None:
        if name in self.peers:
            self.router.set_export_policy(self.peers[name].member, policy)
            party = self.reference.parties[name]
            self.reference.parties[name] = replace(party, export_policy=policy)

    @rule(name=names, selection=st.sampled_from((BEST, best_n(2), best_n(3), EQUAL, ALL)))
    def choose(self, name: str, selection: Selection) -> None:
        """A peer is told other paths from now on, in the same session."""
        if name not in self.peers:
            return
        member, party = self.peers[name].member, self.reference.parties[name]
        settings = replace(member.settings, add_path_select={IPV4_UNICAST: selection})
        self.router.change(member, settings)
        if party.add_path:
            self.reference.parties[name] = replace(party, add_path=frozenset({(IPV4_UNICAST, selection)}))

    @rule(name=names)
    def refresh(self, name: str) -> None:
        if name in self.peers:
            self.router.refresh(self.peers[name].member, RouteRefresh(1, 1))

    @rule()
    def flush(self) -> None:
        self.router.work(3)
        self.router.flush()

    @rule(name=names, limit=st.sampled_from((1, 100, 65536)))
    def pull(self, name: str, limit: int) -> None:
        if name in self.peers:
            self.peers[name].pull(limit)

    @precondition(lambda self: self.peers)
    @rule()
    def quiet(self) -> None:
        settle(self.router, *self.peers.values())
        for name, peer in self.peers.items():
            held: dict[tuple[object, bytes], list[tuple[bytes, bytes]]] = {}
            for (family, one, _), attributes in peer.held.items():
                held.setdefault((family, one), []).append((attributes.octets, attributes.next_hop))
            expected = self.reference.expected(self.reference.parties[name])
            assert {key: sorted(some) for key, some in held.items()} == expected, name
            viewed = {
                (IPV4_UNICAST, route.prefix, route.path_id or 0): route.attributes.octets
                for route in self.router.rib.advertised(peer.member, IPV4_UNICAST)
            }
            assert viewed == {key: some.octets for key, some in peer.held.items()}, name

    def teardown(self) -> None:
        self.quiet()


TestMixedSelections = Machine.TestCase
TestMixedSelections.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
