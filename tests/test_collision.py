"""Which of two connections survives: by identifier, by AS number, by age where one side opened both."""

from collections import deque
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.session.action import Close, Connect, Delivery, Down, Established, Opened
from bgp.session.collision import Candidate, Verdict, decide
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.wire.attributes import AttributeTable

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


# --- Two speakers that dial each other, their segments arriving in any order ------------------------------


class Tcp:
    """A TCP connection between speakers 0 and 1: who holds its ends, and what is on the way to each."""

    def __init__(self) -> None:
        self.holders: list[Connection | None] = [None, None]
        self.segments: tuple[deque[bytes | Event], deque[bytes | Event]] = (deque(), deque())


class Speaker:
    """The connections of one peer and their owner, as small as it can be."""

    def __init__(self, side: int, config: SessionConfig, network: list[Tcp], random: Random) -> None:
        self.side, self.config, self.network, self.random = side, config, network, random
        self.table = AttributeTable()
        self.primary = Connection(config, self.table, incoming=False, rng=random.random)
        self.connections: dict[Connection, Tcp | None] = {self.primary: None}

    def start(self, now: float) -> None:
        self.primary.handle(Event.MANUAL_START, now)
        self.flush(now)

    def established(self) -> list[Tcp]:
        up = [tcp for connection, tcp in self.connections.items() if connection.state == State.ESTABLISHED]
        return [tcp for tcp in up if tcp is not None]

    def flush(self, now: float) -> None:
        for connection in list(self.connections):
            for item in connection.outgoing():
                self.perform(connection, item, now)
            if connection.incoming and connection.state == State.IDLE:
                del self.connections[connection]

    def perform(self, connection: Connection, item: bytes | Close | Connect, now: float) -> None:
        if isinstance(item, Connect):
            tcp = Tcp()
            tcp.holders[self.side] = connection
            self.connections[connection] = tcp
            self.network.append(tcp)
            tcp.segments[1 - self.side].append(Event.TCP_CONNECTION_CONFIRMED)
            return
        held = self.connections[connection]
        if held is None:
            return
        out = held.segments[1 - self.side]
        if isinstance(item, Close):
            out.extend([item.final] if item.final else [])
            out.append(Event.TCP_CONNECTION_FAILS)
            held.holders[self.side] = self.connections[connection] = None
        else:
            out.append(item)
            connection.sent(len(item), now)

    def arrive(self, tcp: Tcp, now: float) -> None:
        segment = tcp.segments[self.side].popleft()
        if segment == Event.TCP_CONNECTION_CONFIRMED:
            accepted = Connection(self.config, self.table, incoming=True, rng=self.random.random)
            tcp.holders[self.side] = accepted
            self.connections[accepted] = tcp
            tcp.segments[1 - self.side].append(Event.TCP_CR_ACKED)
        connection = tcp.holders[self.side]
        if connection is None:
            if isinstance(segment, bytes):  # nobody is there: reset
                tcp.segments[1 - self.side].append(Event.TCP_CONNECTION_FAILS)
        elif isinstance(segment, bytes):
            self.deliver(connection, connection.receive(segment, now), now)
            while connection.more:
                self.deliver(connection, connection.receive(b"", now), now)
        else:
            self.deliver(connection, connection.handle(segment, now), now)
        self.flush(now)

    def tick(self, now: float) -> None:
        for connection in list(self.connections):
            self.deliver(connection, connection.tick(now), now)
        self.flush(now)

    def deliver(self, connection: Connection, deliveries: list[Delivery], now: float) -> None:
        for item in deliveries:
            others = [other for other in self.connections if other is not connection]
            if isinstance(item, Opened | Established):
                for other in others:
                    if not self.part(connection, other, now):
                        break
            elif isinstance(item, Down):
                for other in others:
                    if other.state == State.ESTABLISHED:
                        self.part(other, connection, now)
                idle = self.primary.state == State.IDLE and self.primary.deadline is None
                if idle and all(other.state < State.OPEN_SENT for other in others):
                    self.primary.handle(Event.AUTOMATIC_START_DAMPED, now)

    def part(self, new: Connection, other: Connection, now: float) -> bool:
        """Decide between the two; return whether `new` goes on."""
        verdict = decide(new.candidate, other.candidate, self.config)
        if verdict is None:
            return True
        loser = other if verdict.keep_new else new
        self.deliver(loser, loser.handle(verdict.event, now, text=verdict.reason), now)
        return verdict.keep_new


def settle(speakers: list[Speaker], network: list[Tcp], random: Random, now: float, until: float) -> float:
    """Deliver segments in random order and let time pass until both are Established on the same one."""
    one, two = speakers
    while now < until:
        while ready := [(tcp, side) for tcp in network for side in (0, 1) if tcp.segments[side]]:
            tcp, side = random.choice(ready)
            now += 0.001
            speakers[side].arrive(tcp, now)
        if one.established() and one.established() == two.established():
            return now
        deadlines = [connection.deadline for speaker in speakers for connection in speaker.connections]
        now = max(now, min(deadline for deadline in deadlines if deadline is not None))
        for speaker in speakers:
            speaker.tick(now)
    raise AssertionError("no session")


OPTIONS = st.sampled_from([{}, {"collision_detect_established": True}, {"replace_established": True}])


@given(
    st.randoms(use_true_random=False), st.sampled_from([(1, 2), (2, 1), (7, 7)]), OPTIONS, st.integers(1, 2)
)
def test_two_that_dial_each_other_end_up_with_one_session(
    random: Random, identifiers: tuple[int, int], options: dict[str, bool], starters: int
) -> None:
    network: list[Tcp] = []
    speakers = [
        Speaker(
            side,
            SessionConfig(local_as=65001 + side, identifier=identifier, **options),  # type: ignore[arg-type]
            network,
            random,
        )
        for side, identifier in enumerate(identifiers)
    ]
    for speaker in speakers[:starters]:
        speaker.start(0.0)
    assert settle(speakers, network, random, 0.0, 10.0) < 5.0
    for speaker in speakers:
        # The others are gone or quiet.
        assert sum(connection.state >= State.OPEN_SENT for connection in speaker.connections) == 1


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("identifiers", [(1, 2), (2, 1)])
def test_a_killed_client_comes_back_at_once(identifiers: tuple[int, int], seed: int) -> None:
    """Its old connection is still Established with us, for it never said goodbye."""
    random = Random(seed)
    for replacing, soon in ((True, True), (False, False)):
        network: list[Tcp] = []
        configs = [
            SessionConfig(local_as=65001, identifier=identifier, replace_established=replacing)
            for identifier in identifiers
        ]
        us, client = (Speaker(side, config, network, random) for side, config in enumerate(configs))
        us.start(0.0)
        client.start(0.0)
        now = settle([us, client], network, random, 0.0, 10.0)
        for tcp in network:
            tcp.holders[1] = None
            tcp.segments[1].clear()
        client = Speaker(1, configs[1], network, random)
        client.start(now + 5.0)
        back = settle([us, client], network, random, now + 5.0, 500.0)
        assert (back - now - 5.0 < 0.1) == soon
        assert soon or back - now <= 90.0 + 120.0
