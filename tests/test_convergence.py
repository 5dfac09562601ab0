"""When the first routes of all peers are there: what is waited for, and for how long."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jumpingloop import run
from rawpeer import RawPeer, an_open
from routers import LOCAL_AS, ROUTER_ID, Peer, session, settle

from bgp import PeerOptions, Speaker
from bgp.convergence import QUIET, Convergence
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.negotiation import Negotiated
from bgp.session.restart import RestartOptions
from bgp.wire.encoder import Encoder

ASN = 65000


def agreed(graceful: bool = True, restarting: bool = False) -> Negotiated:
    """Return what a session negotiates with a peer that speaks graceful restart, or has restarted."""
    made = session(7, graceful_restart=RestartOptions() if graceful else None)
    if restarting:
        assert made.graceful_restart is not None
        made = replace(made, graceful_restart=replace(made.graceful_restart, restarting=True))
    return made


class Wait:
    """A wait with its clock, and what peers have told."""

    def __init__(self, restarted: bool = False, open_ended: bool = False) -> None:
        self.convergence = Convergence(FAMILIES, 0.0, 60.0, restarted=restarted, open_ended=open_ended)
        self.told: dict[str, int] = {}

    def look(self, now: float) -> tuple[set[Family], bool]:
        chosen, over = self.convergence.look(now, lambda name: self.told.get(name, 0))
        return set(chosen), over

    def over(self, now: float) -> bool:
        return self.look(now)[1]


def test_without_peers_it_is_over_at_once() -> None:
    assert Wait().over(0.0)


def test_each_peer_is_waited_for_up_or_not_until_its_last_end_of_rib() -> None:
    wait = Wait()
    for name in ("a", "b"):
        wait.convergence.expect(name)
    wait.convergence.up("a", agreed(), 1.0)
    wait.convergence.end_of_rib("a", IPV4_UNICAST)
    assert not wait.over(1.0)
    wait.convergence.end_of_rib("a", IPV6_UNICAST)
    assert not wait.over(1.0)
    # Its session is lost, but it had told all.
    wait.convergence.down("a")
    wait.convergence.up("b", agreed(), 2.0)
    wait.convergence.end_of_rib("b", IPV4_UNICAST)
    # This one has to begin anew.
    wait.convergence.down("b")
    wait.convergence.up("b", agreed(), 3.0)
    wait.convergence.end_of_rib("b", IPV6_UNICAST)
    assert not wait.over(4.0)
    wait.convergence.end_of_rib("b", IPV4_UNICAST)
    assert wait.over(4.0)


def test_who_is_stopped_is_not_waited_for_and_nobody_for_ever() -> None:
    wait = Wait()
    for name in ("a", "b"):
        wait.convergence.expect(name)
    wait.convergence.spare("a")
    assert wait.convergence.deadline == 60.0
    assert not wait.over(59.9)
    assert wait.over(60.0)


def test_a_peer_without_graceful_restart_has_told_all_when_it_is_quiet() -> None:
    wait = Wait()
    wait.convergence.up("a", agreed(graceful=False), 0.0)
    now = 0.0
    for routes in (10, 20, 20):
        assert not wait.over(now)
        wait.told["a"] = routes
        assert wait.convergence.deadline == now + QUIET
        now += QUIET
    assert wait.over(now + QUIET)


def test_a_range_is_waited_for_while_somebody_new_comes() -> None:
    wait = Wait(open_ended=True)
    assert not wait.over(0.0)
    wait.convergence.up("a", agreed(), 3.0)
    for family in FAMILIES:
        wait.convergence.end_of_rib("a", family)
    assert not wait.over(3.0 + QUIET - 0.1)
    assert wait.over(3.0 + QUIET)


def test_after_a_restart_each_family_waits_for_peers_that_say_end_of_rib() -> None:
    # RFC 4724 section 4.1: without those that have restarted, and without those that do not speak it.
    wait = Wait(restarted=True)
    for name in ("a", "again", "old"):
        wait.convergence.expect(name)
    wait.convergence.up("a", agreed(), 1.0)
    wait.convergence.up("again", agreed(restarting=True), 1.0)
    assert wait.look(1.0) == (set(), False)
    wait.convergence.end_of_rib("a", IPV6_UNICAST)
    assert wait.look(1.0) == (set(), False)  # nobody knows yet what that other one is
    wait.convergence.up("old", agreed(graceful=False), 2.0)
    assert wait.look(2.0) == ({IPV6_UNICAST}, False)
    wait.convergence.end_of_rib("a", IPV4_UNICAST)
    assert wait.look(2.0) == ({IPV4_UNICAST}, False)
    assert wait.convergence.deferred == set()
    for family in FAMILIES:
        wait.convergence.end_of_rib("again", family)
    assert not wait.over(3.0)
    assert not wait.over(3.0 + QUIET)
    assert wait.over(3.0 + 2 * QUIET)


def test_the_selection_deferral_timer_ends_it() -> None:
    wait = Wait(restarted=True)
    wait.convergence.expect("never")
    assert wait.look(59.9) == (set(), False)
    assert wait.look(60.0) == (set(FAMILIES), True)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("expect", "spare", "up", "old", "again", "down", "v4", "v6")), st.sampled_from("abc")
    ),
    max_size=30,
)


@given(STEPS, st.booleans())
def test_it_ends_when_a_slow_and_obvious_account_says_so(
    steps: list[tuple[str, str]], restarted: bool
) -> None:
    wait = Wait(restarted=restarted)
    # Who -> the families it owes (None: not up), and whether it says End-of-RIB and has not restarted.
    owed: dict[str, tuple[set[Family] | None, bool]] = {}
    chosen: set[Family] = set() if restarted else set(FAMILIES)
    for step, name in steps:
        match step:
            case "expect":
                wait.convergence.expect(name)
                owed.setdefault(name, (None, True))
            case "spare":
                wait.convergence.spare(name)
                owed.pop(name, None)
            case "down":
                wait.convergence.down(name)
                if name in owed:
                    owed[name] = (None, True)
            case "v4" | "v6":
                family = IPV4_UNICAST if step == "v4" else IPV6_UNICAST
                wait.convergence.end_of_rib(name, family)
                left, _ = owed.get(name, (None, False))
                if left is not None:
                    left.discard(family)
                    if not left:
                        del owed[name]
            case _:
                wait.convergence.up(name, agreed(step != "old", step == "again"), 0.0)
                owed[name] = (set(FAMILIES), step == "up")
        found, over = wait.look(0.0)
        fresh = {
            family
            for family in set(FAMILIES) - chosen
            if not any(counts and (left is None or family in left) for left, counts in owed.values())
        }
        chosen |= fresh
        assert found == fresh
        assert over is (not owed and chosen == set(FAMILIES))


def test_the_router_tells_when_the_changes_are_out() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    seen: list[int] = []
    router.watch(lambda family, changes: seen.append(len(changes.fresh)))
    router.converge(0.0, 60.0, lambda: seen.append(-1))
    router.expect("a")
    router.flush(0.0)
    assert router.deadline == 60.0 and seen == []
    a = Peer(router, "a", Kind.CLIENT, 1, families=(IPV4_UNICAST,))
    a.announce(["10.0.0.0/8"])
    a.end_of_rib_of(IPV4_UNICAST)
    settle(router, a)
    assert seen == [1, -1] and router.deadline is None


def test_speakers_converge() -> None:
    async def scenario() -> None:
        async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
            await speaker.converged()
            assert speaker.is_converged  # there is nobody to wait for
            await speaker.stop()
            speaker.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
            await speaker.start()
            assert not speaker.is_converged
            async with await RawPeer.dial(speaker) as raw:
                await raw.establish(an_open())
                await raw.send(*[Encoder().end_of_rib(family) for family in FAMILIES])
                async with asyncio.timeout(30):
                    await speaker.converged()

    asyncio.run(scenario())


def test_a_peer_that_never_comes_is_waited_for_as_long_as_was_said() -> None:
    async def scenario() -> None:
        async with Speaker(asn=ASN, router_id="10.0.0.1", convergence_timeout=77) as speaker:
            speaker.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await speaker.converged()
            assert 76 < loop.time() - begun < 80

    run(scenario())


def test_a_speaker_that_is_stopped_does_not_converge_any_more() -> None:
    async def scenario() -> None:
        async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
            speaker.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
            waiting = asyncio.ensure_future(speaker.converged())
            await asyncio.sleep(0)
            await speaker.stop()
            with pytest.raises(RuntimeError, match="stopped before"):
                await waiting

    run(scenario())
