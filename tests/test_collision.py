"""Which of two connections survives: by identifier, by AS number, by age where one side opened both."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.session.collision import Candidate, Verdict, decide
from bgp.session.config import SessionConfig
from bgp.session.event import Event, State
from bgp.session.negotiation import Negotiated, negotiate, offer

CONFIG = SessionConfig(local_as=65001, identifier=0x0A000001)
CHECKING = replace(CONFIG, collision_detect_established=True)
REPLACING = replace(CONFIG, replace_established=True)
DUMP, FAIL = Event.OPEN_COLLISION_DUMP, Event.TCP_CONNECTION_FAILS


def agreed(config: SessionConfig, identifier: int, asn: int = 65002, restarts: bool = False) -> Negotiated:
    peer = SessionConfig(local_as=asn, identifier=identifier)
    return replace(negotiate(config, offer(config), offer(peer)), restarts=restarts)


def kept(verdict: Verdict | None) -> bool:
    assert verdict is not None
    assert verdict.event == DUMP
    assert verdict.reason
    return verdict.keep_new


HIGH = agreed(CONFIG, 0xC0000001)  # the peer's identifier is the higher one, as an unsigned number
LOW = agreed(CONFIG, 0x09000001)


@pytest.mark.parametrize("incoming", [False, True])
@pytest.mark.parametrize("agreement", [HIGH, LOW], ids=["peer-higher", "we-higher"])
def test_the_higher_identifier_keeps_what_it_opened(agreement: Negotiated, incoming: bool) -> None:
    new = Candidate(incoming, State.OPEN_CONFIRM, agreement)
    other = Candidate(not incoming, State.OPEN_CONFIRM, agreement)
    survivor_incoming = incoming if kept(decide(new, other, CONFIG)) else not incoming
    assert survivor_incoming == (agreement is HIGH)


@pytest.mark.parametrize(("local_as", "remote_as"), [(65001, 4200000000), (4200000000, 65001)])
@pytest.mark.parametrize("incoming", [False, True])
def test_equal_identifiers_leave_it_to_the_as_number(local_as: int, remote_as: int, incoming: bool) -> None:
    config = SessionConfig(local_as=local_as, identifier=7)
    agreement = agreed(config, 7, remote_as)
    new = Candidate(incoming, State.OPEN_CONFIRM, agreement)
    other = Candidate(not incoming, State.OPEN_CONFIRM, agreement)
    survivor_incoming = incoming if kept(decide(new, other, config)) else not incoming
    assert survivor_incoming == (remote_as > local_as)


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), st.booleans(), st.booleans())
def test_both_sides_keep_the_same_connection(one: int, two: int, first_here: bool, first_there: bool) -> None:
    """Two speakers that opened one each, whichever OPEN comes first at either, keep the same one."""
    survivors: list[int] = []
    for ours, theirs, first in ((one, two, first_here), (two, one, first_there)):
        local_as, remote_as = (65001, 65002) if ours == one and not survivors else (65002, 65001)
        config = SessionConfig(local_as=local_as, identifier=ours)
        agreement = agreed(config, theirs, remote_as)
        new = Candidate(first, State.OPEN_CONFIRM, agreement)
        other = Candidate(not first, State.OPEN_CONFIRM, agreement)
        incoming = new.incoming if kept(decide(new, other, config)) else other.incoming
        survivors.append(remote_as if incoming else local_as)  # by who opened it
    assert survivors[0] == survivors[1]


@pytest.mark.parametrize("agreement", [HIGH, LOW])
def test_of_two_that_the_peer_opened_the_older_one_is_dead(agreement: Negotiated) -> None:
    new = Candidate(True, State.OPEN_CONFIRM, agreement, connected_at=1.0)
    assert kept(decide(new, replace(new, connected_at=0.0), CONFIG))


@pytest.mark.parametrize("state", [State.IDLE, State.CONNECT, State.ACTIVE, State.OPEN_SENT])
def test_a_connection_without_open_does_not_collide_yet(state: State) -> None:
    assert decide(Candidate(True, State.OPEN_CONFIRM, HIGH), Candidate(False, state), CONFIG) is None


@pytest.mark.parametrize("state", [State.IDLE, State.CONNECT, State.ACTIVE])
def test_once_established_nobody_dials_any_more(state: State) -> None:
    assert kept(decide(Candidate(True, State.ESTABLISHED, HIGH), Candidate(False, state), CONFIG))


def test_once_established_one_that_waits_for_an_open_may_wait() -> None:
    established = Candidate(True, State.ESTABLISHED, HIGH)
    assert decide(established, Candidate(False, State.OPEN_SENT), CONFIG) is None


# --- Against an Established one --------------------------------------------------------------------------


def established(incoming: bool, agreement: Negotiated = HIGH) -> Candidate:
    return Candidate(incoming, State.ESTABLISHED, agreement, 10.0, 10.2)


def opened(incoming: bool, at: float, agreement: Negotiated = HIGH) -> Candidate:
    return Candidate(incoming, State.OPEN_CONFIRM, agreement, at)


CROSSED, LATER = 10.1, 99.0  # the moment at which the new one's TCP connection was there


@pytest.mark.parametrize("at", [CROSSED, LATER])
@pytest.mark.parametrize("agreement", [HIGH, LOW])
@pytest.mark.parametrize("incoming", [False, True])
@pytest.mark.parametrize("old", [False, True])
def test_established_wins(old: bool, incoming: bool, agreement: Negotiated, at: float) -> None:
    assert not kept(decide(opened(incoming, at, agreement), established(old, agreement), CONFIG))


@pytest.mark.parametrize("config", [CHECKING, REPLACING])
@pytest.mark.parametrize("agreement", [HIGH, LOW])
@pytest.mark.parametrize("incoming", [False, True])
def test_crossed_connections_are_left_to_the_identifiers(
    incoming: bool, agreement: Negotiated, config: SessionConfig
) -> None:
    new, old = opened(incoming, CROSSED, agreement), established(not incoming, agreement)
    survivor_incoming = incoming if kept(decide(new, old, config)) else not incoming
    assert survivor_incoming == (agreement is HIGH)


@pytest.mark.parametrize("agreement", [HIGH, LOW])
@pytest.mark.parametrize("old", [False, True])
def test_a_client_that_dials_again_replaces_its_dead_session(old: bool, agreement: Negotiated) -> None:
    new = opened(True, LATER, agreement)
    assert kept(decide(new, established(old, agreement), REPLACING))
    assert not kept(decide(new, established(old, agreement), CHECKING))


def test_a_client_that_dials_again_at_once_replaces_it_too() -> None:
    assert kept(decide(opened(True, CROSSED), established(True), REPLACING))


@pytest.mark.parametrize("old", [False, True])
def test_graceful_restart_takes_the_new_one_and_closes_the_old_one_in_silence(old: bool) -> None:
    restarting = agreed(CONFIG, 0xC0000001, restarts=True)
    verdict = decide(opened(True, LATER, restarting), established(old, restarting), CONFIG)
    assert verdict == Verdict(True, FAIL, "the peer has restarted")
    # Both sides dialed at once: nobody has restarted.
    assert not kept(decide(opened(True, CROSSED, restarting), established(False, restarting), CONFIG))
