"""A connection as a whole: octets and virtual time in, octets, effects and deliveries out."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import CeaseSubcode, ErrorCode, MessageType
from bgp.session.action import Close, Connect, Delivery, Down, Established, Opened
from bgp.session.collision import decide
from bgp.session.config import SessionConfig
from bgp.session.connection import QUOTA, Connection
from bgp.session.event import Event, State, Timer
from bgp.session.negotiation import offer
from bgp.session.timers import Timers
from bgp.wire.attributes import AttributeTable
from bgp.wire.framing import frame
from bgp.wire.message import (
    Keepalive,
    Notification,
    RouteRefresh,
    decode_notification,
    encode,
)
from bgp.wire.notification import encode_shutdown_communication
from bgp.wire.update import Decoder, Update

US = SessionConfig(local_as=65001, identifier=1, families=FAMILIES)
THEM = SessionConfig(local_as=65002, identifier=2, families=FAMILIES)
KEEPALIVE = encode(Keepalive())
END_OF_RIB = frame(MessageType.UPDATE, bytes(4))
REFRESH = encode(RouteRefresh(1, 1))
# The marker of an UPDATE that RFC 7606 section 3 b cannot save: Withdrawn Routes overrun it.
BAD_UPDATE = frame(MessageType.UPDATE, b"\xff\xff\x00\x00")

Found = TypeVar("Found")


def full(
    config: SessionConfig = US, *, incoming: bool = False, rng: Callable[[], float] = lambda: 1.0
) -> Connection:
    return Connection(config, AttributeTable(), incoming=incoming, rng=rng)


def opening(config: SessionConfig = THEM) -> bytes:
    return encode(offer(config))


def only(kind: type[Found], items: list[Delivery]) -> Found:
    """Return the only item of its kind in `items`."""
    (found,) = [item for item in items if isinstance(item, kind)]
    return found


def octets(connection: Connection) -> bytes:
    """Return what is to be sent, the last words of a closing included."""
    out = connection.outgoing()
    return b"".join(
        item if isinstance(item, bytes) else item.final for item in out if not isinstance(item, Connect)
    )


def closing(connection: Connection) -> tuple[int, int, bytes] | None:
    """Return the NOTIFICATION with which the connection closes, or None if it closes without."""
    (close,) = [item for item in connection.outgoing() if isinstance(item, Close)]
    if not close.final:
        return None
    notification = decode_notification(close.final[19:])
    return notification.code, notification.subcode, notification.data


def at(state: State, config: SessionConfig = US, now: float = 0.0, them: SessionConfig = THEM) -> Connection:
    """Return an accepted connection in `state`, with nothing left to send."""
    connection = full(config, incoming=True)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, now)
    if state >= State.OPEN_CONFIRM:
        only(Opened, connection.receive(opening(them), now))
    if state == State.ESTABLISHED:
        only(Established, connection.receive(KEEPALIVE, now))
    assert connection.state == state
    connection.outgoing()
    return connection


# --- Two connections that talk to each other ---------------------------------------------------------------


class Link:
    """Two connections over a wire without delay; `cut` is how many octets a segment holds."""

    def __init__(self, one: Connection, two: Connection, cut: int = 4096) -> None:
        self.ends = (one, two)
        self.cut = cut
        self.deliveries: dict[Connection, list[Delivery]] = {one: [], two: []}
        self.sent: dict[Connection, bytes] = {one: b"", two: b""}

    def connect(self, now: float) -> None:
        one, two = self.ends
        self.deliveries[one] += one.handle(Event.TCP_CR_ACKED, now)
        self.deliveries[two] += two.handle(Event.TCP_CONNECTION_CONFIRMED, now)
        self.settle(now)

    def settle(self, now: float) -> None:
        moved = True
        while moved:
            moved = False
            for end, other in (self.ends, self.ends[::-1]):
                for item in end.outgoing():
                    moved = True
                    if isinstance(item, bytes):
                        self.pass_on(end, other, item, now)
                        end.sent(len(item), now)
                    elif isinstance(item, Close):
                        self.pass_on(end, other, item.final, now)
                        self.deliveries[other] += other.handle(Event.TCP_CONNECTION_FAILS, now)

    def pass_on(self, end: Connection, other: Connection, data: bytes, now: float) -> None:
        self.sent[end] += data
        for start in range(0, len(data), self.cut):
            self.deliveries[other] += other.receive(data[start : start + self.cut], now)
            while other.more:
                self.deliveries[other] += other.receive(b"", now)

    def run(self, now: float, until: float) -> float:
        """Let time pass, from deadline to deadline."""
        while True:
            deadlines = [end.deadline for end in self.ends if end.deadline is not None]
            if not deadlines or min(deadlines) > until:
                return until
            now = max(now, min(deadlines))
            for end in self.ends:
                self.deliveries[end] += end.tick(now)
            self.settle(now)


def linked(us: SessionConfig = US, them: SessionConfig = THEM, cut: int = 4096) -> Link:
    one, two = full(us), full(them, incoming=True)
    assert one.handle(Event.MANUAL_START, 0.0) == []
    assert one.outgoing() == [Connect()]
    link = Link(one, two, cut)
    link.connect(0.0)
    return link


@pytest.mark.parametrize("cut", [1, 2, 7, 19, 20, 4096])
def test_two_connections_come_up_however_the_octets_are_cut(cut: int) -> None:
    link = linked(cut=cut)
    for end in link.ends:
        assert end.state == State.ESTABLISHED
        assert [type(item) for item in link.deliveries[end]] == [Opened, Established]
        # RFC 4271 section 4.2: OPEN first, answered by a KEEPALIVE.
        assert link.sent[end] == opening(US if end is link.ends[0] else THEM) + KEEPALIVE


@pytest.mark.parametrize("hold_time", [3, 9, 90])
def test_a_session_lives_on_keepalives_and_they_are_few(hold_time: int) -> None:
    config = replace(US, hold_time=hold_time)
    link = linked(config)
    link.run(0.0, 100.0 * hold_time)
    for end in link.ends:
        assert end.state == State.ESTABLISHED
        assert end.counters.sent[MessageType.KEEPALIVE] == pytest.approx(300, abs=2)


def test_with_hold_time_zero_there_is_silence() -> None:
    link = linked(replace(US, hold_time=0))
    before = dict(link.sent)
    assert [end.deadline for end in link.ends] == [None, None]
    link.run(0.0, 1e6)
    assert link.sent == before
    assert all(end.state == State.ESTABLISHED for end in link.ends)


def test_without_a_keepalive_the_other_side_ends_the_session_and_it_starts_anew() -> None:
    link = linked()
    one, two = link.ends
    # Only one of the two hears the clock, so that it sends nothing in time.
    assert one.deadline == 30.0
    two_down = only(Down, two.tick(90.0) + two.tick(90.0))
    assert two_down.event == Event.HOLD_TIMER_EXPIRES
    link.settle(90.0)
    one_down = only(Down, link.deliveries[one])
    assert one_down.received == Notification(ErrorCode.HOLD_TIMER_EXPIRED)
    assert one_down.state == State.ESTABLISHED
    assert (one.state, one.deadline) == (State.IDLE, 91.0)
    one.tick(91.0)
    assert one.state.label == "Connect"
    assert one.outgoing() == [Connect()]


# --- The OPEN, and what comes instead ----------------------------------------------------------------------


@given(st.lists(st.integers(0, 100), max_size=8), st.booleans())
def test_an_open_in_any_segments(cuts: list[int], together: bool) -> None:
    """OPEN and KEEPALIVE give Opened, a stop, then Established, wherever the segments end."""
    stream = opening() + KEEPALIVE
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    connection = at(State.OPEN_SENT)
    deliveries: list[Delivery] = []
    for start, end in pairwise(bounds):
        deliveries += connection.receive(stream[start:end], 0.0)
        if together and connection.more:
            assert connection.state == State.OPEN_CONFIRM
            deliveries += connection.receive(b"", 0.0)
    while connection.more:
        deliveries += connection.receive(b"", 0.0)
    assert [type(item) for item in deliveries] == [Opened, Established]


def test_behind_an_open_nothing_is_read_before_the_collision_is_decided() -> None:
    connection = at(State.OPEN_SENT)
    deliveries = connection.receive(opening() + KEEPALIVE + END_OF_RIB, 0.0)
    assert [type(item) for item in deliveries] == [Opened]
    assert connection.more
    assert connection.state == State.OPEN_CONFIRM
    deliveries = connection.receive(b"", 0.0)
    assert [type(item) for item in deliveries] == [Established, Update]
    assert not connection.more


@pytest.mark.parametrize(
    ("state", "data", "answer"),
    [
        (State.OPEN_SENT, KEEPALIVE, (5, 1, b"\x04")),
        (State.OPEN_SENT, END_OF_RIB, (5, 1, b"\x02")),
        (State.OPEN_SENT, BAD_UPDATE, (5, 1, b"\x02")),
        (State.OPEN_SENT, REFRESH, (5, 1, b"\x05")),
        (State.OPEN_CONFIRM, opening(), (5, 2, b"\x01")),
        (State.OPEN_CONFIRM, END_OF_RIB, (5, 2, b"\x02")),
        (State.OPEN_CONFIRM, REFRESH, (5, 2, b"\x05")),
        (State.ESTABLISHED, opening(), (5, 3, b"\x01")),
        (State.ESTABLISHED, frame(1, bytes(10)), (5, 3, b"\x01")),
        (State.OPEN_CONFIRM, frame(1, bytes(10)), (2, 1, b"\x00\x04")),
        (State.OPEN_SENT, frame(1, bytes(10)), (2, 1, b"\x00\x04")),
        (State.OPEN_SENT, opening(replace(THEM, local_as=65009)), (2, 2, b"")),
        (State.ESTABLISHED, BAD_UPDATE, (3, 1, b"")),
        (State.ESTABLISHED, frame(5, b"\0\1\1\1\0"), (7, 1, frame(5, b"\0\1\1\1\0"))),
        (State.ESTABLISHED, frame(5, b"\0\1\0\1\0"), (1, 2, b"\x00\x18")),
    ],
)
def test_what_has_no_place_is_answered_by_its_code(
    state: State, data: bytes, answer: tuple[int, int, bytes]
) -> None:
    connection = at(state, replace(US, peer_as=65002))
    down = only(Down, connection.receive(data, 1.0))
    assert down.state == state
    assert down.sent is not None
    assert (down.sent.code, down.sent.subcode, down.sent.data) == answer
    assert closing(connection) == answer
    assert connection.state == State.IDLE
    assert connection.last_error is down
    assert connection.negotiated is None


@pytest.mark.parametrize("state", [State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED])
@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", (1, 1, b"")),
        (b"G", (1, 1, b"")),
        (b"\xff" * 15 + b"\xfe" + bytes(3), (1, 1, b"")),
        (b"\xff" * 16 + b"\x00\x12\x04", (1, 2, b"\x00\x12")),
        (b"\xff" * 16 + b"\x00\x14\x04", (1, 2, b"\x00\x14")),
        (b"\xff" * 16 + b"\x00\x1c\x01", (1, 2, b"\x00\x1c")),
        (b"\xff" * 16 + b"\x00\x16\x02", (1, 2, b"\x00\x16")),
        (b"\xff" * 16 + b"\x10\x01\x01", (1, 2, b"\x10\x01")),
        (b"\xff" * 16 + b"\x00\x13\x00", (1, 3, b"\x00")),
        (b"\xff" * 16 + b"\x00\x13\x06", (1, 3, b"\x06")),
        (b"\xff" * 16 + b"\x00\x13\xff", (1, 3, b"\xff")),
    ],
)
def test_garbage_is_answered_at_once(state: State, data: bytes, answer: tuple[int, int, bytes]) -> None:
    connection = at(state)
    down = only(Down, connection.receive(data, 0.0))
    assert down.event == Event.BGP_HEADER_ERR
    assert closing(connection) == answer


@pytest.mark.parametrize("extended", [True, False])
def test_the_longest_message_is_what_we_advertised(extended: bool) -> None:
    connection = at(State.ESTABLISHED, replace(US, extended_messages=extended))
    header = b"\xff" * 16 + b"\xff\xff\x02"
    deliveries = connection.receive(header, 0.0)
    if extended:
        assert deliveries == []
    else:
        only(Down, deliveries)
        assert closing(connection) == (1, 2, b"\xff\xff")


def test_before_the_peers_open_no_message_is_longer_than_4096() -> None:
    connection = at(State.OPEN_SENT)
    only(Down, connection.receive(b"\xff" * 16 + b"\x10\x01\x02", 0.0))
    assert closing(connection) == (1, 2, b"\x10\x01")


def test_half_a_header_for_ever() -> None:
    connection = at(State.OPEN_SENT)
    for now in range(1, 240, 30):
        # It trickles, one octet at a time, and nothing comes of it.
        assert connection.receive(b"\xff", float(now)) == []
    assert connection.deadline == 240.0
    down = only(Down, connection.tick(240.0))
    assert down.event == Event.HOLD_TIMER_EXPIRES
    assert closing(connection) == (4, 0, b"")


@pytest.mark.parametrize(
    ("state", "expires"), [(State.OPEN_SENT, 240.0), (State.OPEN_CONFIRM, 90.0), (State.ESTABLISHED, 90.0)]
)
def test_the_hold_timer_in_each_state(state: State, expires: float) -> None:
    connection = at(state)
    now = 0.0
    while True:
        assert connection.deadline is not None
        now = connection.deadline
        deliveries = connection.tick(now)
        if deliveries:
            break
        assert octets(connection) == KEEPALIVE
    assert now == expires
    assert only(Down, deliveries).state == state
    assert closing(connection) == (4, 0, b"")


def test_a_silent_peer_does_not_stay_in_open_confirm_even_without_hold_time() -> None:
    connection = at(State.OPEN_CONFIRM, replace(US, hold_time=0))
    assert connection.deadline == 240.0
    only(Down, connection.tick(240.0))


# --- The end -----------------------------------------------------------------------------------------------


def test_a_notification_and_more() -> None:
    connection = at(State.ESTABLISHED)
    cease = Notification(ErrorCode.CEASE, 2, encode_shutdown_communication("maintenance\n tonight"))
    data = END_OF_RIB + encode(cease) + END_OF_RIB + b"garbage"
    deliveries = connection.receive(data, 0.0)
    assert [type(item) for item in deliveries] == [Update, Down]
    down = only(Down, deliveries)
    assert (down.received, down.sent) == (cease, None)
    assert "maintenance\\x0a tonight" in down.text or "maintenance\\n tonight" in down.text
    assert closing(connection) is None
    assert not connection.more
    # What still comes is for nobody.
    assert connection.receive(data, 0.0) == []
    assert connection.handle(Event.TCP_CONNECTION_FAILS, 0.0) == []
    assert connection.deadline is None
    assert connection.outgoing() == []


@pytest.mark.parametrize("state", [State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED])
def test_a_stop_says_why(state: State) -> None:
    connection = at(state)
    reset = Notification(ErrorCode.CEASE, 4, encode_shutdown_communication("new software"))
    down = only(Down, connection.handle(Event.MANUAL_STOP, 0.0, reset))
    assert down.sent == reset
    assert "new software" in down.text
    assert closing(connection) == (6, 4, b"\x0cnew software")
    assert connection.deadline is None


def test_a_close_follows_what_was_said_before_and_discards_the_rest() -> None:
    connection = full(incoming=True)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    connection.receive(opening(), 0.0)
    connection.handle(Event.OPEN_COLLISION_DUMP, 0.0)
    # The KEEPALIVE has not gone out and never will, but a NOTIFICATION comes after an OPEN.
    first, close = connection.outgoing()
    assert first == opening(US)
    assert close == Close(encode(Notification(6, 7)), graceful=True)


def test_a_collision_loser_says_cease_7() -> None:
    """A client without FIN dials again: its new connection is kept, the old one is told."""
    config = replace(US, replace_established=True)
    old = at(State.ESTABLISHED, config)
    new = full(config, incoming=True)
    new.handle(Event.TCP_CONNECTION_CONFIRMED, 500.0)
    assert isinstance(new.receive(opening() + KEEPALIVE, 500.0)[0], Opened)
    verdict = decide(new.candidate, old.candidate, config)
    assert verdict is not None
    assert verdict.keep_new
    assert only(Down, old.handle(verdict.event, 500.0, text=verdict.reason)).state == State.ESTABLISHED
    assert closing(old) == (6, 7, b"")
    assert only(Established, new.receive(b"", 500.0)).negotiated.remote_as == 65002


def test_a_lost_connection_in_open_sent_leads_to_active_and_to_another_try() -> None:
    connection = full()
    connection.handle(Event.MANUAL_START, 0.0)
    connection.handle(Event.TCP_CR_ACKED, 1.0)
    connection.receive(b"\xff" * 10, 1.0)
    assert only(Down, connection.handle(Event.TCP_CONNECTION_FAILS, 2.0)).state == State.OPEN_SENT
    assert connection.state == State.ACTIVE
    assert connection.receive(opening(), 2.0) == []
    connection.outgoing()
    assert connection.deadline == 122.0
    connection.tick(122.0)
    assert connection.outgoing() == [Connect()]
    connection.handle(Event.TCP_CR_ACKED, 123.0)
    assert connection.candidate.connected_at == 123.0
    # Nothing of the first connection is left in the framer.
    only(Opened, connection.receive(opening(), 123.0))


def test_a_connect_that_takes_too_long_is_given_up_for_another() -> None:
    connection = full()
    connection.handle(Event.MANUAL_START, 0.0)
    assert connection.outgoing() == [Connect()]
    assert connection.tick(120.0) == []
    assert connection.outgoing() == [Close(), Connect()]


def test_a_refused_capabilities_parameter_is_left_out_in_the_next_try() -> None:
    config = replace(US, families=(IPV4_UNICAST,))
    connection = full(config)
    refusal = encode(Notification(ErrorCode.OPEN_MESSAGE_ERROR, 4))
    now = 0.0
    connection.handle(Event.MANUAL_START, now)
    opens = []
    for _ in range(3):
        connection.handle(Event.TCP_CR_ACKED, now)
        opens.append(octets(connection))
        only(Down, connection.receive(refusal, now))
        connection.outgoing()
        assert connection.deadline is not None
        now = connection.deadline
        connection.tick(now)
    plain = encode(offer(config, plain=True))
    assert opens == [opening(config), plain, opening(config)]
    assert len(plain) == 29
    # IPv6 cannot do without.
    other = full(replace(US, families=(IPV6_UNICAST,)))
    other.handle(Event.MANUAL_START, 0.0)
    other.handle(Event.TCP_CR_ACKED, 0.0)
    first = octets(other)
    other.receive(refusal, 0.0)
    other.tick(other.deadline or 0.0)
    other.handle(Event.TCP_CR_ACKED, 5.0)
    assert octets(other) == first


def test_a_version_error_is_event_24() -> None:
    connection = at(State.OPEN_SENT)
    version = encode(Notification(ErrorCode.OPEN_MESSAGE_ERROR, 1, b"\x00\x03"))
    assert only(Down, connection.receive(version, 0.0)).event == Event.NOTIF_MSG_VER_ERR
    assert connection.connect_retry_counter == 0


# --- DelayOpen ---------------------------------------------------------------------------------------------


def delaying() -> Connection:
    connection = full(replace(US, delay_open=10.0, notification_without_open=True), incoming=True)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    assert connection.outgoing() == []
    return connection


def test_an_open_is_delayed() -> None:
    connection = delaying()
    assert connection.deadline == 10.0
    assert connection.tick(10.0) == []
    assert octets(connection) == opening(US)
    assert connection.state == State.OPEN_SENT


def test_an_open_that_comes_meanwhile_is_answered_by_both() -> None:
    connection = delaying()
    only(Opened, connection.receive(opening(), 5.0))
    assert octets(connection) == opening(US) + KEEPALIVE


@pytest.mark.parametrize(
    ("data", "answer"),
    [(b"garbage", (1, 1, b"")), (frame(1, bytes(10)), (2, 1, b"\x00\x04")), (KEEPALIVE, None)],
)
def test_faults_meanwhile(data: bytes, answer: tuple[int, int, bytes] | None) -> None:
    connection = delaying()
    only(Down, connection.receive(data, 5.0))
    assert closing(connection) == answer


# --- Timers ------------------------------------------------------------------------------------------------


# What the shell tells; the rest comes by way of `receive` and `tick`.
OUTSIDE = (
    Event.AUTOMATIC_START_DAMPED,
    Event.AUTOMATIC_STOP,
    Event.TCP_CR_ACKED,
    Event.TCP_CONNECTION_CONFIRMED,
    Event.TCP_CONNECTION_FAILS,
    Event.OPEN_COLLISION_DUMP,
)


@settings(max_examples=200)
@given(st.data())
def test_nothing_happens_before_the_deadline_and_something_does_at_it(data: st.DataObject) -> None:
    """Whatever has happened: a tick before `deadline` changes nothing, one at it moves the connection on."""
    draw = data.draw
    config = replace(
        US,
        hold_time=draw(st.sampled_from([0, 3, 90])),
        delay_open=draw(st.sampled_from([0.0, 4.0])),
        idle_hold_time=draw(st.sampled_from([1.0, 7.0])),
    )
    connection = full(config, rng=lambda: 0.5)
    now = 0.0
    steps: list[Callable[[float], object]] = [
        *(lambda now, event=event: connection.handle(event, now) for event in OUTSIDE),
        lambda now: connection.receive(opening(), now),
        lambda now: connection.receive(KEEPALIVE, now),
        lambda now: connection.receive(END_OF_RIB, now),
        lambda now: connection.sent(100, now),
    ]
    connection.handle(Event.MANUAL_START, now)
    for _ in range(draw(st.integers(1, 8))):
        now += draw(st.sampled_from([0.0, 0.5, 2.0]))
        if connection.deadline is not None and connection.deadline <= now:
            connection.tick(now)
        draw(st.sampled_from(steps))(now)
    connection.outgoing()
    deadline = connection.deadline
    if deadline is None:
        return
    before = (connection.state, connection.more)
    for early in (now, (now + deadline) / 2):
        if early < deadline:
            assert connection.tick(early) == []
            assert connection.outgoing() == []
    assert (connection.state, connection.more, connection.deadline) == (*before, deadline)
    connection.tick(deadline)
    assert connection.deadline is None or connection.deadline > deadline
    assert connection.outgoing() or connection.state != before[0] or connection.deadline != deadline


def test_each_write_puts_the_keepalive_off() -> None:
    connection = at(State.ESTABLISHED)
    for now in range(1, 500):
        connection.sent(19, float(now))
        connection.receive(END_OF_RIB, float(now))
        assert connection.tick(float(now)) == []
    assert connection.outgoing() == []
    connection.sent(0, 500.0)
    assert connection.deadline == 499.0 + 30.0


def test_the_send_hold_timer_aborts_a_stuck_session() -> None:
    connection = at(State.ESTABLISHED)
    connection.sent(100, 7.0)
    now = 7.0
    deliveries: list[Delivery] = []
    while not deliveries:
        now += 1.0
        # The peer is alive, but takes nothing.
        deliveries = connection.receive(KEEPALIVE, now) + connection.tick(now)
    assert now == 7.0 + 480.0
    down = only(Down, deliveries)
    assert (down.event, down.sent) == (Event.SEND_HOLD_TIMER_EXPIRES, None)
    assert "send hold" in down.text
    # KEEPALIVEs did not pile up either; and nothing waits for a flush.
    assert connection.outgoing() == [Close(graceful=False)]


def test_keepalives_that_nobody_takes_do_not_pile_up() -> None:
    connection = at(State.ESTABLISHED, replace(US, send_hold_time=0))
    for now in range(1, 1000):
        connection.receive(KEEPALIVE, float(now))
        connection.tick(float(now))
    assert connection.outgoing() == [KEEPALIVE]


@given(st.floats(0.0, 1.0), st.sampled_from([3, 4, 9, 90, 65535]))
def test_jitter(random: float, hold_time: int) -> None:
    timers = Timers(lambda: random)
    timers.arm(Timer.KEEPALIVE, hold_time / 3, 10.0)
    left = (timers.at(Timer.KEEPALIVE) or 0.0) - 10.0
    assert max(1.0, 0.75 * hold_time / 3) <= left + 1e-6
    assert left <= hold_time / 3 + 1e-6
    timers.arm(Timer.HOLD, hold_time, 10.0)
    assert timers.at(Timer.HOLD) == 10.0 + hold_time
    assert timers.due(10.0) is None
    assert timers.due(1e6) is not None


def test_a_new_factor_is_drawn_at_each_start() -> None:
    factors = iter([0.0, 0.5, 1.0])
    timers = Timers(lambda: next(factors))
    found = []
    for _ in range(3):
        timers.arm(Timer.CONNECT_RETRY, 100.0, 0.0)
        found.append(timers.deadline)
    assert found == [75.0, 87.5, 100.0]


# --- HoldTimer and what we have not read -------------------------------------------------------------------


def test_update_keepalive_and_route_refresh_restart_the_hold_timer() -> None:
    for data in (END_OF_RIB, KEEPALIVE, REFRESH):
        connection = at(State.ESTABLISHED)
        for now in range(80, 800, 80):
            connection.sent(1, float(now))
            connection.receive(data, float(now))
            assert connection.tick(float(now)) == []
        assert connection.state == State.ESTABLISHED


def test_half_a_message_does_not_restart_it() -> None:
    connection = at(State.ESTABLISHED)
    connection.receive(END_OF_RIB[:-1], 89.0)
    connection.sent(1, 89.0)
    assert only(Down, connection.tick(90.0)).event == Event.HOLD_TIMER_EXPIRES


def flood(connection: Connection, now: float, *, of: bytes = END_OF_RIB) -> list[Delivery]:
    """Have the connection stop at its quota, with the rest of the messages in its buffer."""
    deliveries = connection.receive(of * (2 * QUOTA // len(of)), now)
    assert connection.more
    return deliveries


def test_our_own_quota_is_no_fault_of_the_peer() -> None:
    connection = at(State.ESTABLISHED)
    flood(connection, 1.0)
    connection.sent(1, 90.0)
    deliveries = connection.tick(91.0)
    assert deliveries
    assert all(isinstance(item, Update) for item in deliveries)
    assert connection.state == State.ESTABLISHED
    assert connection.deadline == 120.0


def test_what_waits_in_the_buffer_is_read_even_if_it_ends_the_session() -> None:
    connection = at(State.ESTABLISHED)
    connection.receive(opening(), 0.0)
    connection = at(State.ESTABLISHED)
    count = QUOTA // (len(END_OF_RIB) - 19 + 96) + 1
    connection.receive(END_OF_RIB * count + encode(Notification(6, 2)), 1.0)
    assert connection.more
    down = only(Down, connection.tick(91.0))
    assert down.event == Event.NOTIF_MSG


def test_a_rest_that_is_no_message_does_not_help() -> None:
    connection = at(State.ESTABLISHED)
    count = QUOTA // (len(END_OF_RIB) - 19 + 96) + 1
    connection.receive(END_OF_RIB * count + END_OF_RIB[:-1], 1.0)
    assert connection.more
    connection.sent(1, 90.0)
    assert only(Down, connection.tick(91.0)).event == Event.HOLD_TIMER_EXPIRES


def test_octets_that_the_shell_has_not_read_are_waited_for_once_more() -> None:
    connection = at(State.ESTABLISHED)
    connection.sent(1, 89.0)
    assert connection.tick(90.0, unread=True) == []
    assert connection.deadline == 91.0
    connection.receive(KEEPALIVE, 90.5)
    assert connection.tick(91.0) == []
    assert connection.state == State.ESTABLISHED
    connection.sent(1, 170.0)
    assert connection.tick(180.5, unread=True) == []
    # It has read, and there was nothing.
    assert only(Down, connection.tick(181.5)).event == Event.HOLD_TIMER_EXPIRES


# --- Bounds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [KEEPALIVE, END_OF_RIB, REFRESH])
def test_a_flood_is_worked_off_in_portions(message: bytes) -> None:
    connection = at(State.ESTABLISHED)
    count = 3 * QUOTA // len(message)
    connection.receive(message * count, 0.0)
    rounds = 1
    while connection.more:
        connection.receive(b"", 0.0)
        rounds += 1
    assert connection.counters.received[message[18]] == count + (message is KEEPALIVE)
    assert 5 < rounds < 30
    assert connection.outgoing() == []


@given(st.binary(max_size=300))
def test_no_octets_raise(data: bytes) -> None:
    for state in (State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED):
        for stream in (data, b"\xff" * 16 + data, *(frame(type_, data) for type_ in range(1, 6))):
            connection = at(state)
            connection.receive(stream, 0.0)
            assert connection.crashes == 0
            assert connection.state in (state, State.IDLE, State.OPEN_CONFIRM, State.ESTABLISHED)


# --- ROUTE-REFRESH -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "message", "delivered"),
    [
        (US, RouteRefresh(1, 1), True),
        (US, RouteRefresh(2, 1, 1), True),
        (US, RouteRefresh(2, 1, 2), True),
        (US, RouteRefresh(2, 1, 3), False),
        (US, RouteRefresh(1, 1, 255), False),
        (US, RouteRefresh(25, 70), False),
        (replace(US, families=(IPV4_UNICAST,)), RouteRefresh(2, 1), False),
        (replace(US, route_refresh=False), RouteRefresh(1, 1), False),
        (replace(US, enhanced_route_refresh=False), RouteRefresh(1, 1, 1), False),
    ],
)
def test_which_refreshes_are_delivered(ours: SessionConfig, message: RouteRefresh, delivered: bool) -> None:
    connection = at(State.ESTABLISHED, ours)
    assert connection.receive(encode(message), 0.0) == ([message] if delivered else [])
    assert connection.state == State.ESTABLISHED


def test_a_refresh_is_asked_of_who_offers_it() -> None:
    connection = at(State.ESTABLISHED)
    assert connection.request_refresh(IPV6_UNICAST)
    assert connection.outgoing() == [encode(RouteRefresh(2, 1))]
    one_family = at(State.ESTABLISHED, them=replace(THEM, families=(IPV4_UNICAST,)))
    assert not one_family.request_refresh(IPV6_UNICAST)
    assert not at(State.ESTABLISHED, them=replace(THEM, route_refresh=False)).request_refresh(IPV4_UNICAST)
    assert not at(State.OPEN_CONFIRM).request_refresh(IPV4_UNICAST)
    assert not full().request_refresh(IPV4_UNICAST)


# --- Containment -------------------------------------------------------------------------------------------


def test_a_bug_ends_this_session_only_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = at(State.ESTABLISHED)

    def broken(self: Decoder, body: bytes) -> Update:
        raise IndexError("no such octet")

    monkeypatch.setattr(Decoder, "decode", broken)
    deliveries = connection.receive(KEEPALIVE + END_OF_RIB + KEEPALIVE, 3.0)
    down = only(Down, deliveries)
    assert (down.state, down.event) == (State.ESTABLISHED, Event.AUTOMATIC_STOP)
    assert down.sent == Notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)
    assert "IndexError" in down.text
    assert closing(connection) == (6, 8, b"")
    assert connection.crashes == 1
    assert connection.crash is not None
    assert connection.crash.octets == END_OF_RIB
    assert connection.crash.state == State.ESTABLISHED
    assert connection.crash.negotiated is not None
    assert isinstance(connection.crash.error, IndexError)


def test_a_bug_in_the_framing_keeps_the_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = at(State.OPEN_SENT)

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("bgp.wire.framing.Framer.feed", broken)
    only(Down, connection.receive(b"\xff\xff", 3.0))
    assert connection.crash is not None
    assert connection.crash.octets == b"\xff\xff"
    assert closing(connection) == (6, 8, b"")


@pytest.mark.parametrize("incoming", [True, False])
@pytest.mark.parametrize("state", [State.OPEN_SENT, State.ESTABLISHED])
def test_a_bug_while_closing_closes_all_the_same(
    state: State, incoming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = full(incoming=incoming)
    connection.handle(Event.MANUAL_START, 0.0)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    if state == State.ESTABLISHED:
        connection.receive(opening(), 0.0)
        connection.receive(KEEPALIVE, 0.0)
    assert connection.state == state
    connection.outgoing()

    def broken(*_: object) -> bytes:
        raise OverflowError

    monkeypatch.setattr("bgp.session.connection.encode", broken)
    down = only(Down, connection.receive(b"garbage", 3.0))
    assert down.state == state
    assert connection.outgoing() == [Close(graceful=False)]
    assert connection.state == State.IDLE
    assert (connection.deadline is None) == incoming


# --- What the shell may ask --------------------------------------------------------------------------------


def test_the_candidate_and_the_counters() -> None:
    connection = at(State.ESTABLISHED, now=5.0)
    candidate = connection.candidate
    assert (candidate.incoming, candidate.state) == (True, State.ESTABLISHED)
    assert (candidate.connected_at, candidate.established_at) == (5.0, 5.0)
    assert candidate.negotiated is connection.negotiated
    assert connection.counters.received == [0, 1, 0, 0, 1, 0]
    assert connection.counters.sent == [0, 1, 0, 0, 1, 0]
    connection.receive(END_OF_RIB * 3, 6.0)
    assert connection.counters.received[MessageType.UPDATE] == 3
    connection.handle(Event.MANUAL_STOP, 7.0)
    assert connection.counters.sent[MessageType.NOTIFICATION] == 1
    assert connection.candidate.established_at is None


def test_octets_before_a_connection_are_for_nobody() -> None:
    for connection in (full(), full(incoming=True)):
        assert connection.receive(opening(), 0.0) == []
        assert connection.outgoing() == []
    connection = full()
    connection.handle(Event.TCP_CR_ACKED, 0.0)
    assert connection.candidate.connected_at is None
