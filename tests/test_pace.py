"""The advertisement interval: first news at once, later ones as they are by then (RFC 4271 9.2.1.1)."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp.family import IPV4_UNICAST
from bgp.policy import ACCEPT, ACCEPT_ALL, Policy, Rules, Term, change, match
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.views import Advertised
from bgp.wire.message import RouteRefresh

INTERVAL = 5.0


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


@pytest.fixture
def feeder(router: Router) -> Peer:
    return Peer(router, "from", Kind.CLIENT, 1)


def paced(router: Router, name: str = "to", identifier: int = 2) -> Peer:
    return Peer(router, name, Kind.CLIENT, identifier, settings={"advertisement_interval": INTERVAL})


def test_the_first_news_leave_at_once_and_the_latest_after_the_interval(router: Router, feeder: Peer) -> None:
    peer, other = paced(router), Peer(router, "other", Kind.CLIENT, 3)
    settle(router, feeder, peer, other, now=10.0)
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, other, now=11.0)
    assert peer.heard("10.1.0.0/16").med == 1 and router.deadline is None
    for med in (2, 3, 4):
        feeder.announce(["10.1.0.0/16"], med=med)
        settle(router, feeder, peer, other, now=11.0 + med / 2)
        assert other.heard("10.1.0.0/16").med == med
        assert peer.heard("10.1.0.0/16").med == 1 and not peer.member.pending
        assert router.deadline == 16.0
    feeder.announce(["10.2.0.0/16"], med=9)
    settle(router, feeder, peer, other, now=15.9)
    assert peer.heard("10.1.0.0/16").med == 1 and peer.heard("10.2.0.0/16").med == 9
    announced = peer.announced
    settle(router, peer, now=16.0)
    assert peer.heard("10.1.0.0/16").med == 4 and peer.announced == announced + 1
    assert router.deadline is None
    feeder.announce(["10.1.0.0/16"], med=5)
    settle(router, peer, now=20.9)
    assert peer.heard("10.1.0.0/16").med == 4 and router.deadline == 21.0
    settle(router, peer, now=21.0)
    assert peer.heard("10.1.0.0/16").med == 5


def test_there_and_back_is_no_news(router: Router, feeder: Peer) -> None:
    peer = paced(router)
    settle(router, feeder, peer, now=0.5)
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, now=1.0)
    before = peer.messages
    for med in (2, 1):
        feeder.announce(["10.1.0.0/16"], med=med)
        settle(router, peer, now=2.0)
    assert router.deadline is None
    settle(router, peer, now=100.0)
    assert peer.messages == before and peer.heard("10.1.0.0/16").med == 1


def test_withdrawals_do_not_wait_but_announcements_wait_behind_them(router: Router, feeder: Peer) -> None:
    peer = paced(router)
    settle(router, feeder, peer, now=0.5)
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, now=1.0)
    feeder.announce(["10.1.0.0/16"], med=2)
    settle(router, peer, now=2.0)
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, peer, now=3.0)
    assert peer.prefixes() == set() and peer.withdrawn == 1
    feeder.announce(["10.1.0.0/16"], med=3)
    settle(router, peer, now=4.0)
    assert peer.prefixes() == set() and router.deadline is not None and router.deadline <= 8.0
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, peer, now=5.0)
    assert peer.withdrawn == 1, "what was not told needs no withdrawal"
    feeder.announce(["10.1.0.0/16"], med=4)
    settle(router, peer, now=8.0)
    assert peer.heard("10.1.0.0/16").med == 4


def test_who_joins_or_asks_meanwhile_is_told_what_the_others_know(router: Router, feeder: Peer) -> None:
    peer = paced(router)
    settle(router, feeder, peer, now=0.5)
    feeder.announce(["10.1.0.0/16", "10.2.0.0/16"], med=1)
    settle(router, feeder, peer, now=1.0)
    feeder.announce(["10.1.0.0/16"], med=2)
    settle(router, feeder, peer, now=2.0)
    late = paced(router, "late", 3)
    router.refresh(peer.member, RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi))
    settle(router, peer, late, now=3.0)
    for each in (peer, late):
        assert each.heard("10.1.0.0/16").med == 1 and each.heard("10.2.0.0/16").med == 1
    assert late.end_of_rib
    settle(router, peer, late, now=6.0)
    for each in (peer, late):
        assert each.heard("10.1.0.0/16").med == 2


def test_what_comes_back_while_somebody_is_told_the_table(router: Router, feeder: Peer) -> None:
    """The dump has passed the place of the route when that is held, so it must be told in the end."""
    peer = paced(router)
    settle(router, feeder, peer, now=0.5)
    many = [bytes((24, 10, n >> 8, n & 255)) for n in range(4000)]
    for number in range(0, 4000, 4):
        feeder.announce(many[number : number + 4], med=number)
    settle(router, feeder, peer, now=1.0)
    feeder.announce([many[0]], med=5000)
    settle(router, feeder, peer, now=2.0)
    late = paced(router, "late", 3)
    late.pull(1000)
    late.pull(1000)
    feeder.announce([many[0]], med=0)
    router.flush(3.0)
    settle(router, peer, late, now=4.0)
    settle(router, peer, late, now=20.0)
    assert late.prefixes() == peer.prefixes() and len(late.held) == 4000


def test_who_is_behind_is_told_what_the_others_know() -> None:
    router = Router(LOCAL_AS, ROUTER_ID, lag_limit=100)
    feeder, peer, slow = Peer(router, "from", Kind.CLIENT, 1), paced(router), paced(router, "slow", 3)
    settle(router, feeder, peer, slow, now=0.5)
    feeder.announce(["10.1.0.0/16"], med=1)
    for number in range(5):
        feeder.announce([f"10.2.{number}.0/24"], med=number)
        settle(router, feeder, peer, now=1.0)
    assert slow.member.behind
    feeder.announce(["10.1.0.0/16"], med=2)
    settle(router, feeder, peer, slow, now=2.0)
    assert slow.heard("10.1.0.0/16").med == peer.heard("10.1.0.0/16").med == 1
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, slow, now=3.0)
    settle(router, feeder, peer, slow, now=20.0)
    assert slow.held == peer.held


def only(med: int) -> Rules:
    """Return a policy that marks routes with this MED."""
    marks = (change.add_communities("0:1"),)
    return Rules(f"mark-{med}", [Term("some", match.med(med), marks), Term("all", then=ACCEPT)])


def test_who_comes_from_a_group_that_holds_is_told_what_this_one_knows(router: Router, feeder: Peer) -> None:
    peer = paced(router)
    settle(router, feeder, peer, now=0.5)
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, now=1.0)
    feeder.announce(["10.1.0.0/16"], med=2)
    settle(router, feeder, peer, now=2.0)
    router.set_export_policy(peer.member, only(7))
    settle(router, feeder, peer, now=3.0)
    assert peer.heard("10.1.0.0/16").med == 2, "nobody else is in the new group, so it holds nothing"


def test_what_is_held_while_a_member_is_on_its_way(router: Router, feeder: Peer) -> None:
    """The two policies agree on what is held, but not on what was told."""
    peer, other = paced(router), paced(router, "other", 3)
    router.set_export_policy(other.member, only(1))
    settle(router, feeder, peer, other, now=0.5)
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, other, now=1.0)
    assert peer.heard("10.1.0.0/16").communities == () and other.heard("10.1.0.0/16").communities == (1,)
    router.set_export_policy(peer.member, only(1))
    feeder.announce(["10.1.0.0/16"], med=2)
    settle(router, feeder, peer, other, now=2.0)
    feeder.announce(["10.1.0.0/16"], med=1)
    settle(router, feeder, peer, other, now=3.0)
    settle(router, feeder, peer, other, now=20.0)
    assert peer.held == other.held


def test_groups_without_an_interval_have_nothing_of_it(router: Router, feeder: Peer) -> None:
    feeder.announce(["10.1.0.0/16"])
    settle(router, feeder)
    (group,) = router.groups.values()
    assert not group._paces and group.deadline is None and not router._grouping._paced
    peer = paced(router)
    assert len(router._grouping._paced) == 1
    peer.down()
    assert not router._grouping._paced


steps = st.lists(
    st.tuples(st.sampled_from((0.5, 1.0, 2.5, 6.0)), st.integers(0, 2), st.sampled_from((None, 1, 2))),
    max_size=30,
)


@given(steps)
@settings(max_examples=200, deadline=None)
def test_announcements_of_a_destination_are_an_interval_apart(
    some: list[tuple[float, int, int | None]],
) -> None:
    """And behind a withdrawal; none waits longer than the interval."""
    router = Router(LOCAL_AS, ROUTER_ID)
    feeder, peer = Peer(router, "from", Kind.CLIENT, 1), paced(router)
    settle(router, feeder, peer, now=0.0)
    now = 10.0
    latest: dict[bytes, float] = {}
    wanted: dict[bytes, int | None] = {}
    changed: dict[bytes, float] = {}

    def look(now: float) -> None:
        before = {key[1]: value.med for key, value in peer.held.items()}
        settle(router, feeder, peer, now=now)
        after = {key[1]: value.med for key, value in peer.held.items()}
        for one in before.keys() | after.keys():
            if before.get(one) != after.get(one):
                if one in after:
                    assert now - latest.get(one, -INTERVAL) >= INTERVAL
                latest[one] = now
        for one, med in wanted.items():
            assert after.get(one) == med or now - changed[one] < INTERVAL

    for seconds, number, med in some:
        while router.deadline is not None and router.deadline <= now + seconds:
            look(router.deadline)
        now += seconds
        one = prefix(f"10.{number}.0.0/16")
        if wanted.get(one) != med:
            changed[one] = now
        wanted[one] = med
        if med is None:
            feeder.withdraw([one])
        else:
            feeder.announce([one], med=med)
        look(now)


# --- Whatever happens, all members of a group know the same ---

WANTED = Rules("wanted", [Term("all", changes=(change.add_communities("0:1"),), then=ACCEPT)])
POLICIES = (ACCEPT_ALL, WANTED, only(1))
PREFIXES = [prefix(f"10.{n}.0.0/16") for n in range(2)]


class Machine(RuleBasedStateMachine):
    """Members of paced groups join, leave, lag, ask and change policies while few routes change much."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(LOCAL_AS, ROUTER_ID, lag_limit=150)
        self.feeders = [Peer(self.router, f"feeder{n}", Kind.CLIENT, n) for n in (1, 2)]
        self.now = 10.0
        self.peers: dict[int, Peer] = {}
        self.joined = 10
        for number in range(3):
            self.join(number)
        settle(self.router, *self.feeders, *self.peers.values(), now=self.now)

    @rule(number=st.integers(0, 2))
    def join(self, number: int) -> None:
        if number in self.peers:
            self.peers[number].down()
        self.joined += 1
        self.peers[number] = paced(self.router, f"peer-{number}", self.joined)
        self.peers[number].now = self.now

    @rule(
        feeder=st.sampled_from((0, 0, 0, 1)),
        one=st.sampled_from(PREFIXES),
        med=st.sampled_from((None, 1, 1, 2, 2)),
    )
    def change(self, feeder: int, one: bytes, med: int | None) -> None:
        if med is None:
            self.feeders[feeder].withdraw([one])
        else:
            self.feeders[feeder].announce([one], med=med)
        self.router.flush(self.now)

    @rule(number=st.integers(0, 2))
    def ask(self, number: int) -> None:
        member = self.peers[number].member
        self.router.refresh(member, RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi))

    @rule(number=st.integers(0, 2), policy=st.sampled_from(POLICIES))
    def swap(self, number: int, policy: Policy) -> None:
        self.router.set_export_policy(self.peers[number].member, policy)

    @rule(number=st.integers(0, 2), limit=st.sampled_from((1, 60, 65536)))
    def pull(self, number: int, limit: int) -> None:
        self.peers[number].pull(limit)

    @rule(seconds=st.sampled_from((0.5, 1.0, 4.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def quiet(self) -> None:
        settle(self.router, *self.feeders, *self.peers.values(), now=self.now)
        told: dict[object, dict[object, object]] = {}
        for peer in self.peers.values():
            group = peer.member._listener.group
            known: dict[object, object] = dict(peer.held)
            assert told.setdefault(group.terms, known) == known
            held = {route[0] for _, route in group.held()}
            current = {route.prefix: route.attributes for route in self.advertised(peer)}
            for one in {*current, *(key[1] for key in peer.held)} - held:
                assert peer.held[IPV4_UNICAST, one, 0].octets == current[one].octets
        self.now += INTERVAL
        settle(self.router, *self.feeders, *self.peers.values(), now=self.now)
        assert self.router.deadline is None
        for peer in self.peers.values():
            current = {route.prefix: route.attributes for route in self.advertised(peer)}
            assert {key[1]: value.octets for key, value in peer.held.items()} == {
                one: value.octets for one, value in current.items()
            }

    def advertised(self, peer: Peer) -> Iterator[Advertised]:
        return self.router.rib.advertised(peer.member, IPV4_UNICAST)

    def teardown(self) -> None:
        self.quiet()


TestPaceModel = Machine.TestCase
TestPaceModel.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
