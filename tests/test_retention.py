"""Routes of peers that restart: what is kept, for how long, and what others hear of it."""

from collections.abc import Iterable
from math import inf

import pytest
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import WellKnownCommunity
from bgp.member import Member
from bgp.policy import ACCEPT, ACCEPT_ALL, Rules, Term, change, match
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.restart import RestartOptions
from bgp.wire.capability import GracefulRestart, LongLivedGracefulRestart

V4, V6 = IPV4_UNICAST, IPV6_UNICAST
NETS = {V4: ("10.1.0.0/16", "10.2.0.0/16"), V6: ("2001:db8:1::/48", "2001:db8:2::/48")}
STALE = int(WellKnownCommunity.LLGR_STALE)
NO_LLGR = int(WellKnownCommunity.NO_LLGR)
HOUR = RestartOptions(long_lived={V4: 3600, V6: 3600})


def graceful(
    *families: Family, time: int = 90, forwarding: bool = True, notification: bool = False
) -> GracefulRestart:
    listed = tuple((family.afi, family.safi, forwarding) for family in families)
    return GracefulRestart(notification=notification, time=time, families=listed)


def llgr(*families: Family, time: int = 1000, forwarding: bool = True) -> LongLivedGracefulRestart:
    return LongLivedGracefulRestart(tuple((each.afi, each.safi, forwarding, time) for each in families))


BOTH = graceful(V4, V6)


class World:
    """A router with a client that restarts, and others that hear of it."""

    def __init__(
        self, ours: RestartOptions | None = None, **listeners: LongLivedGracefulRestart | None
    ) -> None:
        self.router = Router(LOCAL_AS, ROUTER_ID)
        self.ours = ours or RestartOptions()
        self.now = 0.0
        self.before = 0  # messages that the first listener had heard when the client was lost
        self.client: Peer | None = None
        self.others = [
            Peer(
                self.router,
                name,
                Kind.CLIENT,
                100 + at,
                restarts=GracefulRestart(),
                llgr=capability,
                settings={"restart": self.ours},
            )
            for at, (name, capability) in enumerate((listeners or {"other": None}).items())
        ]
        self.other = self.others[0]

    def come(
        self,
        restarts: GracefulRestart | None = BOTH,
        long_lived: LongLivedGracefulRestart | None = None,
        **options: object,
    ) -> None:
        self.client = Peer(
            self.router,
            "client",
            Kind.CLIENT,
            1,
            now=self.now,
            restarts=restarts,
            llgr=long_lived,
            settings={"restart": self.ours, **options.pop("settings", {})},  # type: ignore[dict-item]
            **options,
        )

    @property
    def member(self) -> Member:
        assert self.client is not None
        return self.client.member

    def tell(self, nets: Iterable[str] = (*NETS[V4], *NETS[V6]), **values: object) -> None:
        assert self.client is not None
        for family in (V4, V6):
            some = [net for net in nets if (":" in net) is (family is V6)]
            if some:
                self.client.announce(some, family=family, **values)
        self.settle()

    def end(self, *families: Family) -> None:
        assert self.client is not None
        self.client.end_of_rib_of(*families)
        self.settle()

    def lose(self) -> None:
        assert self.client is not None
        self.client.lose(self.now)
        self.settle()

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    def settle(self) -> None:
        settle(self.router, *self.others, now=self.now)
        if self.client is not None and self.router.members.get("client") is self.client.member:
            settle(self.router, self.client, now=self.now)

    @property
    def heard(self) -> set[str]:
        return self.other.prefixes(V4) | self.other.prefixes(V6)

    def phases(self) -> dict[Family, str]:
        return {
            family: "long-lived" if held.long_lived else "stale"
            for family, held in self.router.kept("client").items()
        }


ALL = {*NETS[V4], *NETS[V6]}


def up_and_lost(
    restarts: GracefulRestart | None = BOTH,
    long_lived: LongLivedGracefulRestart | None = None,
    ours: RestartOptions | None = None,
    **listeners: LongLivedGracefulRestart | None,
) -> World:
    world = World(ours, **listeners)
    world.come(restarts, long_lived)
    world.tell()
    assert world.heard == ALL
    world.end()
    world.before = world.other.messages
    world.lose()
    return world


# --- Plain graceful restart ------------------------------------------------------------------------------


def test_nobody_hears_of_a_peer_that_comes_back_and_says_the_same() -> None:
    world = up_and_lost()
    assert world.heard == ALL and world.phases() == {V4: "stale", V6: "stale"}
    world.pass_(80)
    world.come()
    world.tell()
    world.end()
    assert world.heard == ALL and world.phases() == {} and world.other.messages == world.before
    assert world.router.rib.routes == 4 and world.router.deadline is None


def test_what_is_not_said_again_goes_with_end_of_rib_of_its_family() -> None:
    world = up_and_lost()
    world.come()
    world.tell([NETS[V4][0]], med=7)
    assert world.heard == ALL
    world.end(V4)
    assert world.heard == ALL - {NETS[V4][1]} and world.phases() == {V6: "stale"}
    assert world.other.heard(NETS[V4][0]).med == 7
    world.end(V6)
    assert world.heard == {NETS[V4][0]}


def test_who_does_not_come_back_in_time_is_forgotten() -> None:
    world = up_and_lost()
    assert world.router.deadline == 90
    world.pass_(89)
    assert world.heard == ALL
    world.pass_(1)
    assert world.heard == set() and world.router.rib.routes == 0 and world.router.deadline is None


@pytest.mark.parametrize(
    ("restarts", "left"),
    [
        (graceful(V4), {V4}),
        (graceful(V4, V6, time=0), set()),
        (graceful(), set()),
        (None, set()),
    ],
)
def test_only_families_that_the_peer_lists_are_kept(
    restarts: GracefulRestart | None, left: set[Family]
) -> None:
    world = up_and_lost(restarts)
    assert world.heard == {net for family in left for net in NETS[family]}


@pytest.mark.parametrize(
    ("again", "left"),
    [
        (BOTH, {V4, V6}),
        (graceful(V4, V6, forwarding=False), set()),
        (GracefulRestart(time=90, families=((1, 1, True), (2, 1, False))), {V4}),
        (graceful(V6), {V6}),
        (graceful(), set()),
        (None, set()),
    ],
)
def test_what_the_new_open_does_not_vouch_for_goes_at_once(
    again: GracefulRestart | None, left: set[Family]
) -> None:
    world = up_and_lost()
    world.come(again)
    world.settle()
    assert world.heard == {net for family in left for net in NETS[family]}


def test_a_family_that_the_new_session_lacks_goes_at_once() -> None:
    world = up_and_lost()
    world.come(families=(V4,))
    world.settle()
    assert world.heard == set(NETS[V4])


def test_an_end_that_is_not_graceful_keeps_nothing() -> None:
    world = up_and_lost()
    world.come()
    world.tell([NETS[V4][0]])
    assert world.client is not None
    world.client.down()
    world.settle()
    assert world.heard == set() and world.phases() == {}


@pytest.mark.parametrize("notification", [False, True])
def test_a_second_restart_takes_what_was_stale_already_unless_both_notify(notification: bool) -> None:
    restarts = graceful(V4, V6, notification=notification)
    world = up_and_lost(restarts)
    world.come(restarts)
    world.tell([NETS[V4][0]])
    world.lose()
    assert world.heard == (ALL if notification else {NETS[V4][0]})
    world.come(restarts)
    world.end()
    assert world.heard == set()


def test_the_stale_timer_runs_on_through_further_resets() -> None:
    # RFC 8538 section 9: or a peer that flaps would keep its old routes for ever.
    restarts = graceful(V4, V6, notification=True)
    world = up_and_lost(restarts, ours=RestartOptions(stale_time=180))
    for _ in range(4):
        world.come(restarts)
        world.tell([NETS[V4][0]])
        world.pass_(40)
        world.lose()
        world.pass_(1)
    assert world.heard == ALL and world.now == 164
    world.come(restarts)
    world.pass_(15)
    assert world.heard == ALL
    world.pass_(1)
    # What came since is not stale for that long.
    assert world.heard == {NETS[V4][0]}


def test_a_stale_timer_that_expires_between_sessions_spares_what_came_since() -> None:
    restarts = graceful(V4, V6, notification=True)
    world = up_and_lost(restarts, ours=RestartOptions(stale_time=60))
    world.come(restarts)
    world.tell([NETS[V4][0]])
    world.pass_(50)
    world.lose()
    world.pass_(10)
    assert world.heard == {NETS[V4][0]}
    world.pass_(79)
    assert world.heard == {NETS[V4][0]}
    world.pass_(1)
    assert world.heard == set()


def test_a_stale_timer_may_be_without_end() -> None:
    world = up_and_lost(ours=RestartOptions(stale_time=inf))
    world.come()
    assert world.router.deadline is None
    world.pass_(1e9)
    assert world.heard == ALL


def test_policies_and_limits_see_what_is_kept() -> None:
    world = up_and_lost()
    refusing = Rules("v6", [Term("all", match.prefix_in(["::/0 le 128"]), then=ACCEPT)])
    world.router.set_policy_of_kept("client", refusing)
    world.settle()
    assert world.heard == set(NETS[V6])
    # Two per family, of which none counts that is kept of an earlier session.
    world.come(import_policy=ACCEPT_ALL, settings={"maximum_prefixes": {V4: 2}})
    world.settle()
    assert world.heard == ALL
    world.tell(["10.3.0.0/16", "10.4.0.0/16"])
    assert world.member.told(V4) == 2 and world.member.received(V4) == 4
    world.router.set_import_policy(world.member, refusing)
    world.settle()
    assert world.heard == set(NETS[V6])
    world.router.set_import_policy(world.member, ACCEPT_ALL)
    world.end()
    assert world.heard == {"10.3.0.0/16", "10.4.0.0/16"}


def test_views_and_explanations_say_that_it_is_stale() -> None:
    world = up_and_lost()
    net = NETS[V4][0]
    assert "stale: kept while its peer restarts (RFC 4724 4.2)" in str(
        world.router.rib.explain(V4, prefix(net))
    )
    (path,) = world.router.rib.lookup(V4, prefix(net))
    assert path.retained
    assert {one for one, _ in world.router.received_before("client", V4)} == set(map(prefix, NETS[V4]))
    assert {family: held.routes for family, held in world.router.kept("client").items()} == {V4: 2, V6: 2}
    world.come()
    assert [one.retained for _, one in world.router.rib.received(world.member, V4)] == [True, True]
    world.tell([net])
    (path,) = world.router.rib.lookup(V4, prefix(net))
    assert not path.retained
    assert "restarts" not in str(world.router.rib.explain(V4, prefix(net)))


def test_a_refresh_is_answered_with_what_is_kept() -> None:
    world = up_and_lost()
    late = Peer(world.router, "late", Kind.CLIENT, 50)
    settle(world.router, late)
    assert late.prefixes(V4) | late.prefixes(V6) == ALL


def test_a_peer_that_is_removed_is_forgotten() -> None:
    world = up_and_lost()
    assert list(world.router.kept_names()) == ["client"]
    world.router.forget("client")
    world.settle()
    assert world.heard == set() and world.router.rib.routes == 0


def test_our_own_address_stays_ours_while_routes_are_kept() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    client = Peer(router, "client", Kind.CLIENT, 1, restarts=BOTH)
    client.announce(["10.1.0.0/16"], next_hop="192.0.2.1")
    client.lose(0.0)
    settle(router)
    (path,) = router.rib.lookup(V4, prefix("10.1.0.0/16"))
    assert path.refusal is not None and path.refusal.name == "next-hop-ours"
    settle(router, now=90.0)
    assert (
        router.rib.routes == 0
        and not router._lingering
        and not router.next_hops._next_hops.is_own(bytes((192, 0, 2, 1)))
    )


def test_many_peers_have_one_deadline_each() -> None:
    world = World()
    peers = [
        Peer(world.router, f"p{at}", Kind.CLIENT, 1000 + at, restarts=graceful(V4, time=10 + at))
        for at in range(20)
    ]
    for at, peer in enumerate(peers):
        peer.announce([f"10.{at}.0.0/16"])
        peer.lose(0.0)
    world.settle()
    for at in range(20):
        assert world.router.deadline == 10 + at
        world.pass_(10 if at == 0 else 1)
        assert len(world.heard) == 19 - at


# --- Long-lived graceful restart -------------------------------------------------------------------------


def stale_world(**listeners: LongLivedGracefulRestart | None) -> World:
    """Return a world in which a client has been away for longer than its Restart Time."""
    world = up_and_lost(BOTH, llgr(V4, V6), HOUR, **(listeners or {"other": llgr()}))
    assert world.phases() == {V4: "stale", V6: "stale"} and world.other.messages == world.before
    world.pass_(90)
    assert world.phases() == {V4: "long-lived", V6: "long-lived"}
    return world


def test_behind_the_restart_time_routes_are_marked_and_stay_for_long() -> None:
    world = stale_world()
    assert world.heard == ALL and world.other.heard(NETS[V4][0]).communities == (STALE,)
    (path,) = world.router.rib.lookup(V4, prefix(NETS[V4][0]))
    assert path.retained and path.attributes.stale and not path.received.stale
    assert world.router.deadline == 1090
    world.pass_(999)
    assert world.heard == ALL
    world.pass_(1)
    assert world.heard == set() and world.router.rib.routes == 0


def test_only_who_knows_llgr_hears_of_them() -> None:
    # RFC 9494 section 4.3, with the withdrawal that it implies.
    world = stale_world(knows=llgr(), knows_not=None)
    knows, knows_not = world.others
    assert knows.prefixes(V4) == set(NETS[V4]) and not knows_not.held
    net = NETS[V4][0]
    account = str(world.router.rib.explain_to(knows_not.member, V4, prefix(net)))
    assert "long-lived stale" in account and "RFC 9494 4.3" in account
    late = Peer(world.router, "late", Kind.NON_CLIENT, 50, restarts=GracefulRestart(), llgr=llgr(V4))
    settle(world.router, late, *world.others, now=world.now)
    assert late.heard(net).communities == (STALE,)
    world.come(BOTH, llgr(V4, V6))
    world.tell()
    assert knows.heard(net).communities == () and knows_not.heard(net).communities == ()


def test_others_hear_of_them_where_only_a_part_of_the_as_knows_llgr() -> None:
    # RFC 9494 section 4.6.
    ours = RestartOptions(long_lived={V4: 1, V6: 1}, partial=True)
    world = up_and_lost(BOTH, llgr(V4, V6), ours, knows=llgr(), knows_not=None)
    outside = Peer(
        world.router, "outside", Kind.EXTERNAL, 60, restarts=GracefulRestart(), settings={"restart": ours}
    )
    knowing = Peer(
        world.router,
        "knowing",
        Kind.EXTERNAL,
        61,
        restarts=GracefulRestart(),
        llgr=llgr(),
        settings={"restart": ours},
    )
    world.others += [outside, knowing]
    world.settle()
    assert outside.prefixes(V4) == set(NETS[V4])
    world.pass_(90)
    knows, knows_not = (peer.heard(NETS[V4][0]) for peer in world.others[:2])
    assert (knows.local_pref, set(knows.communities)) == (0, {STALE})
    assert (knows_not.local_pref, set(knows_not.communities)) == (0, {STALE, WellKnownCommunity.NO_EXPORT})
    assert not outside.prefixes(V4)
    told = knowing.heard(NETS[V4][0])
    assert told.local_pref is None and told.communities == (STALE,)


def test_export_policy_does_not_take_the_mark_away() -> None:
    world = World(HOUR, knows=llgr())
    bare = Rules("bare", [Term("all", changes=(change.set_communities(),), then=ACCEPT)])
    strict = Peer(
        world.router, "strict", Kind.CLIENT, 77, export_policy=bare, restarts=GracefulRestart(), llgr=llgr()
    )
    world.others.append(strict)
    world.come(BOTH, llgr(V4, V6))
    world.tell(communities=[7])
    assert strict.heard(NETS[V4][0]).communities == ()
    world.lose()
    world.pass_(90)
    assert strict.heard(NETS[V4][0]).communities == (STALE,)
    assert set(world.other.heard(NETS[V4][0]).communities) == {7, STALE}


def test_routes_with_no_llgr_go_when_the_others_are_marked() -> None:
    marking = Rules(
        "marking",
        [
            Term(
                "some",
                match.prefix_in([NETS[V4][1]]),
                changes=(change.add_communities(NO_LLGR),),
                then=ACCEPT,
            ),
            Term("hidden", match.community(NO_LLGR), changes=(change.set_communities(),), then=ACCEPT),
            Term("all", then=ACCEPT),
        ],
    )
    world = World(HOUR, other=llgr())
    world.come(BOTH, llgr(V4, V6), import_policy=marking)
    world.tell(NETS[V4])
    world.tell(["10.3.0.0/16"], communities=[NO_LLGR])
    world.lose()
    world.pass_(89)
    assert world.heard == {*NETS[V4], "10.3.0.0/16"}
    world.pass_(1)
    assert world.heard == {NETS[V4][0]} and world.router.rib.routes == 1


def test_received_marks_count_from_peers_that_were_told_of_llgr() -> None:
    world = World(HOUR, knows=llgr(), knows_not=None)
    knows, knows_not = world.others
    world.come(graceful(), llgr())
    world.tell([NETS[V4][0]], communities=[STALE])
    assert knows.prefixes(V4) == {NETS[V4][0]} and not knows_not.held
    # From one that was not, the mark is a community as any other, but for the decision.
    plain = Peer(world.router, "plain", Kind.CLIENT, 70)
    plain.announce([NETS[V4][1]], communities=[STALE])
    world.settle()
    assert knows_not.prefixes(V4) == {NETS[V4][1]}


def test_stale_routes_are_the_last_resort_and_back_to_normal_with_the_peer() -> None:
    world = stale_world()
    rival = Peer(world.router, "rival", Kind.CLIENT, 88)
    rival.announce([NETS[V4][0]], local_pref=1, as_path="1 2 3")
    world.settle()
    assert world.other.heard(NETS[V4][0]).local_pref == 1
    world.come(BOTH, llgr(V4, V6))
    world.tell()
    assert world.other.heard(NETS[V4][0]).local_pref == 100
    assert world.other.heard(NETS[V4][0]).communities == ()
    # The timer runs on until End-of-RIB (RFC 9494 section 4.2).
    assert world.phases() == {V4: "long-lived", V6: "long-lived"}
    world.end()
    assert world.phases() == {} and world.heard == ALL


@pytest.mark.parametrize(
    ("restarts", "capability", "waits", "lasts"),
    [
        (BOTH, llgr(V4, V6), {V4: 90, V6: 90}, {V4: 1000, V6: 1000}),
        (graceful(V4), llgr(V4, V6), {V4: 90, V6: 0}, {V4: 1000, V6: 1000}),
        (graceful(), llgr(V6), {V6: 0}, {V6: 1000}),
        (graceful(V4, V6, time=0), llgr(V4), {V4: 0}, {V4: 1000}),
        (BOTH, llgr(V6), {V4: 90, V6: 90}, {V6: 1000}),
        (BOTH, llgr(V4, V6, time=0), {V4: 90, V6: 90}, {}),
    ],
)
def test_each_family_has_its_own_times(
    restarts: GracefulRestart,
    capability: LongLivedGracefulRestart,
    waits: dict[Family, int],
    lasts: dict[Family, int],
) -> None:
    world = up_and_lost(restarts, capability, HOUR, other=llgr())
    moments = sorted({*waits.values(), *(waits[each] + lasts[each] for each in lasts), 0, 2000})
    for moment in moments:
        world.pass_(moment - world.now)
        for family in (V4, V6):
            begins = waits.get(family)
            ends = None if begins is None else begins + lasts.get(family, 0)
            kept = ends is not None and moment < ends
            assert bool(world.other.prefixes(family)) is kept, (moment, family)
            if kept:
                assert begins is not None
                marked = world.other.heard(NETS[family][0]).communities == (STALE,)
                assert marked is (moment >= begins)


def test_the_peers_time_is_bounded_by_ours_and_only_families_of_ours_last() -> None:
    ours = RestartOptions(long_lived={V4: 5}, long_lived_minimum=20, long_lived_maximum=50)
    world = up_and_lost(graceful(), llgr(V4, V6), ours, other=llgr())
    assert world.phases() == {V4: "long-lived"} and world.router.deadline == 50
    world = up_and_lost(graceful(), llgr(V4, time=1), ours, other=llgr())
    assert world.router.deadline == 20


@pytest.mark.parametrize(
    ("restarts", "capability", "left"),
    [
        (BOTH, llgr(V4, V6), {V4, V6}),
        (BOTH, llgr(V4, V6, forwarding=False), set()),
        (BOTH, llgr(V6), {V6}),
        (BOTH, None, set()),
        (None, None, set()),
        # A family that only capability 71 lists is judged by that.
        (graceful(V6), llgr(V4, V6), {V4, V6}),
        (graceful(V4, V6, forwarding=False), llgr(V4, V6), set()),
    ],
)
def test_what_the_new_open_does_not_vouch_for_goes_in_the_long_lived_phase_too(
    restarts: GracefulRestart | None, capability: LongLivedGracefulRestart | None, left: set[Family]
) -> None:
    world = stale_world()
    world.come(restarts, capability)
    world.settle()
    assert world.heard == {net for family in left for net in NETS[family]}


def test_a_family_of_the_llgr_capability_alone_is_judged_by_its_f_bit_before_as_well() -> None:
    ours = RestartOptions(long_lived={V4: 9, V6: 9})
    for forwarding in (True, False):
        world = up_and_lost(graceful(), llgr(V4, V6), ours, other=llgr())
        world.come(graceful(), llgr(V4, V6, forwarding=forwarding))
        world.settle()
        assert bool(world.heard) is forwarding


def test_further_resets_neither_delete_nor_prolong() -> None:
    # RFC 9494 section 4.2: until the peer is synchronized the timer is not updated, nor stopped.
    world = stale_world()
    world.pass_(500)
    world.come(BOTH, llgr(V4, V6, time=5000))
    world.tell([NETS[V4][0]])
    assert world.router.deadline == 1090
    world.lose()
    assert world.heard == ALL
    assert world.other.heard(NETS[V4][0]).communities == ()  # what is new is stale the plain way at first
    world.pass_(90)
    assert world.other.heard(NETS[V4][0]).communities == (STALE,)
    assert world.router.deadline == 1090
    world.pass_(1090 - world.now)
    assert world.heard == set()


def test_time_that_is_over_before_end_of_rib_is_over_for_the_next_reset_as_well() -> None:
    world = stale_world()
    world.come(BOTH, llgr(V4, V6))
    world.tell([NETS[V4][0]])
    world.pass_(1000)
    assert world.heard == {NETS[V4][0]}
    world.lose()
    assert world.heard == set() and world.phases() == {}
    world.come(BOTH, llgr(V4, V6))
    world.tell()
    world.end()
    world.lose()
    assert world.heard == ALL


def test_the_stale_timer_does_not_cut_the_long_lived_time_short() -> None:
    world = stale_world()
    world.come(BOTH, llgr(V4, V6))
    world.pass_(500)
    assert world.heard == ALL


def test_a_stale_timer_that_expires_while_the_peer_is_away_begins_the_long_lived_time() -> None:
    ours = RestartOptions(long_lived={V4: 9, V6: 9}, stale_time=60)
    world = up_and_lost(BOTH, llgr(V4, V6), ours, other=llgr())
    world.come(BOTH, llgr(V4, V6))
    world.pass_(50)
    world.lose()
    assert world.phases() == {V4: "stale", V6: "stale"}
    world.pass_(10)
    assert world.phases() == {V4: "long-lived", V6: "long-lived"}


def test_routes_that_move_to_the_long_lived_phase_move_in_slices() -> None:
    world = World(HOUR, other=llgr())
    world.come(BOTH, llgr(V4, V6))
    nets = [f"10.{high}.{low}.0/24" for high in range(8) for low in range(250)]
    world.tell(nets)
    assert world.client is not None
    world.client.lose(0.0)
    world.router.flush(90.0)
    slices = 1
    while world.router.work(100):
        slices += 1
    assert slices >= 20
    world.now = 90.0
    world.settle()
    assert len(world.heard) == 2000
    # The peer is back before all have moved, and says some of it again.
    world.come(BOTH, llgr(V4, V6))
    world.tell(nets)
    world.end()
    world.lose()
    world.router.flush(200.0)
    world.router.work(300)
    world.now = 200.0
    world.come(BOTH, llgr(V4, V6))
    world.tell(nets[::2])
    world.end()
    assert world.heard == set(nets[::2]) and world.router.rib.routes == 1000
    assert all(not path.attributes.stale for _, path in world.router.rib.best(V4))
