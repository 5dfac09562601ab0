"""Graceful restart in one session: what is said as it ends, and whether the peer's routes are to be kept."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import CeaseSubcode, ErrorCode, MessageType
from bgp.session.action import Close, Down, Send
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.session.fsm import Fsm
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.session.restart import Parting, RestartOptions, RestartState
from bgp.wire.attributes import AttributeTable
from bgp.wire.capability import Capabilities
from bgp.wire.message import (
    Keepalive,
    Notification,
    Open,
    decode_notification,
    decode_open,
    encode,
    encode_shutdown_communication,
    hard_reset,
)

PRESERVING = RestartOptions(families=FAMILIES)
OURS = SessionConfig(local_as=65001, identifier=1, families=FAMILIES, graceful_restart=PRESERVING)
THEIRS = replace(OURS, local_as=65002, identifier=2)


def without_notification(config: SessionConfig) -> SessionConfig:
    assert config.graceful_restart is not None
    return replace(config, graceful_restart=replace(config.graceful_restart, notification=False))


def aware(config: SessionConfig) -> SessionConfig:
    """Return a configuration that helps, and lists nothing of its own."""
    return replace(config, graceful_restart=RestartOptions())


# What both sides speak, by a letter: none, plain graceful restart, with the N bit, and with N, but one side
# preserves nothing.
SPEAKING = {
    "none": (replace(OURS, graceful_restart=None), THEIRS),
    "plain": (OURS, without_notification(THEIRS)),
    "N": (OURS, THEIRS),
    "N, theirs empty": (OURS, aware(THEIRS)),
    "plain, ours empty": (aware(OURS), without_notification(THEIRS)),
}

HOLD, SEND_HOLD = Event.HOLD_TIMER_EXPIRES, Event.SEND_HOLD_TIMER_EXPIRES
LOST, STOP, RESET = Event.TCP_CONNECTION_FAILS, Event.MANUAL_STOP, Event.AUTOMATIC_STOP
GOT, BAD, DUMP = Event.NOTIF_MSG, Event.UPDATE_MSG_ERR, Event.OPEN_COLLISION_DUMP
CEASE = ErrorCode.CEASE

# What happens, the NOTIFICATION that goes with it, and how it is meant -> by what both speak: the one that is
# sent ("-" for none, "h" for a Hard Reset that carries it), and whether routes are kept.
TABLE = """
what       with  how       none      plain     N         N,empty
lost       -     usual     -   no    -   keep  -   keep  -   no
hold       -     usual     4/0 no    4/0 no    4/0 keep  4/0 no
sendhold   -     usual     -   no    -   no    -   keep  -   no
bad        3/1   usual     3/1 no    3/1 no    3/1 keep  3/1 no
got        3/1   usual     -   no    -   no    -   keep  -   no
got        6/2   usual     -   no    -   no    -   keep  -   no
got        6/9   usual     -   no    -   no    -   no    -   no
stop       6/2   usual     6/2 no    6/2 no    h   no    h   no
stop       6/3   usual     6/3 no    6/3 no    h   no    h   no
stop       6/2   restart   6/2 no    -   no    6/4 keep  6/4 no
stop       6/2   hard      6/2 no    6/2 no    h   no    h   no
reset      6/1   usual     6/1 no    6/1 no    h   no    h   no
reset      6/4   usual     6/4 no    6/4 no    6/4 keep  6/4 no
reset      6/4   hard      6/4 no    6/4 no    h   no    h   no
reset      6/2   soft      6/2 no    6/2 no    6/2 keep  6/2 no
reset      6/5   usual     6/5 no    6/5 no    6/5 keep  6/5 no
reset      6/6   usual     6/6 no    6/6 no    6/6 keep  6/6 no
reset      6/8   usual     6/8 no    6/8 no    6/8 keep  6/8 no
dump       6/7   usual     6/7 no    6/7 no    6/7 keep  6/7 no
"""
EVENTS = {
    "lost": LOST,
    "hold": HOLD,
    "sendhold": SEND_HOLD,
    "bad": BAD,
    "got": GOT,
    "stop": STOP,
    "reset": RESET,
    "dump": DUMP,
}
ROWS = [
    (row[0], row[1], row[2], speaking, row[3 + 2 * at], row[4 + 2 * at])
    for row in (line.split() for line in TABLE.strip().splitlines()[1:])
    for at, speaking in enumerate(("none", "plain", "N", "N, theirs empty"))
]


def established(config: SessionConfig, theirs: SessionConfig) -> tuple[Fsm, Negotiated]:
    fsm = Fsm(config)
    negotiated = negotiate(config, offer(config), offer(theirs))
    for event in (Event.MANUAL_START, Event.TCP_CR_ACKED, Event.BGP_OPEN, Event.KEEPALIVE_MSG):
        fsm.handle(event, 0.0, negotiated=negotiated)
    assert fsm.state == State.ESTABLISHED
    return fsm, negotiated


@pytest.mark.parametrize(("what", "with_", "how", "speaking", "says", "keeps"), ROWS)
def test_how_a_session_ends(what: str, with_: str, how: str, speaking: str, says: str, keeps: str) -> None:
    ours, theirs = SPEAKING[speaking]
    fsm, _ = established(replace(ours, replace_established=True), theirs)
    given_ = None if with_ == "-" else Notification(*map(int, with_.split("/")), b"\x07")
    actions = fsm.handle(EVENTS[what], 1.0, notification=given_, parting=Parting(how))
    sent = [action.notification for action in actions if isinstance(action, Send)]
    if says == "h":
        assert given_ is not None and sent == [hard_reset(given_)]
    elif says == "-":
        assert sent == []
    else:
        (notification,) = sent
        assert notification is not None
        assert f"{notification.code}/{notification.subcode}" == says
        assert notification.data == (b"\x07" if given_ else b"")
    (down,) = [action for action in actions if isinstance(action, Down)]
    assert down.graceful is (keeps == "keep")
    assert down.sent == (sent[0] if sent else None)
    assert [type(action) for action in actions].count(Close) == 1
    assert fsm.state == State.IDLE


def test_to_a_peer_that_keeps_nothing_a_restart_is_a_stop() -> None:
    # Silence would gain nothing, and say nothing.
    fsm, _ = established(*SPEAKING["plain, ours empty"])
    cease = Notification(CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, encode_shutdown_communication("bye"))
    (send, *_) = fsm.handle(STOP, 1.0, notification=cease, parting=Parting.RESTART)
    assert send == Send(MessageType.NOTIFICATION, cease)


def test_nothing_is_kept_or_wrapped_before_the_session_is_established() -> None:
    # RFC 8538 section 2: new parameters apply once the session is Established.
    fsm = Fsm(OURS)
    negotiated = negotiate(OURS, offer(OURS), offer(THEIRS))
    for event in (Event.MANUAL_START, Event.TCP_CR_ACKED, Event.BGP_OPEN):
        fsm.handle(event, 0.0, negotiated=negotiated)
    cease = Notification(CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN)
    actions = fsm.handle(STOP, 1.0, notification=cease)
    assert Send(MessageType.NOTIFICATION, cease) in actions
    assert not any(action.graceful for action in actions if isinstance(action, Down))


CAUSES = st.sampled_from([event for event in Event if event not in (Event.BGP_OPEN,)])


@given(
    st.sampled_from(sorted(SPEAKING)),
    CAUSES,
    st.builds(Notification, st.integers(1, 8), st.integers(0, 10), st.binary(max_size=4)),
    st.sampled_from(Parting),
)
def test_routes_are_kept_only_where_both_sides_agree_on_it(
    speaking: str, event: Event, notification: Notification, parting: Parting
) -> None:
    fsm, agreed = established(*SPEAKING[speaking])
    for action in fsm.handle(event, 1.0, notification=notification, parting=parting):
        if isinstance(action, Send) and action.notification and action.notification.hard_reset:
            # Somebody else's Hard Reset apart, it takes the N bit of both.
            assert agreed.notification_restart or notification.hard_reset
        if isinstance(action, Down) and action.graceful:
            assert agreed.restarts
            told = action.sent or action.received
            assert told is None or (agreed.notification_restart and not told.hard_reset)


# --- OPENs ------------------------------------------------------------------------------------------------


def opened(connection: Connection) -> Open:
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    (octets,) = connection.outgoing()
    assert isinstance(octets, bytes)
    return decode_open(octets[19:])


def test_the_open_says_what_is_so_when_it_is_sent() -> None:
    state = RestartState(True, frozenset({IPV4_UNICAST}))

    def make() -> Connection:
        return Connection(OURS, AttributeTable(), incoming=True, rng=lambda: 1.0, restart=lambda: state)

    first = Capabilities.parse(opened(make()).capabilities).graceful_restart
    assert first is not None and first.restarting
    assert first.families == ((1, 1, False), (2, 1, True))
    state = RestartState()
    second = Capabilities.parse(opened(make()).capabilities).graceful_restart
    assert second is not None and not second.restarting
    assert second.families == ((1, 1, True), (2, 1, True))


def test_a_restart_ends_a_connection_in_silence() -> None:
    ours, theirs = SPEAKING["plain"]
    connection = Connection(ours, AttributeTable(), incoming=True, rng=lambda: 1.0)
    opened(connection)
    connection.receive(encode(offer(theirs)), 0.0)
    connection.receive(encode(Keepalive()), 0.0)
    assert connection.state == State.ESTABLISHED
    connection.outgoing()
    cease = Notification(CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN)
    connection.handle(STOP, 1.0, cease, "restarting", Parting.RESTART)
    assert connection.outgoing() == [Close(b"", graceful=True)]


def test_a_hard_reset_tells_its_cause() -> None:
    # RFC 8538 section 5.2: the text of RFC 9003 stays with the inner Cease; section 6: both are reported.
    connection = Connection(OURS, AttributeTable(), incoming=True, rng=lambda: 1.0)
    opened(connection)
    connection.receive(encode(offer(THEIRS)), 0.0)
    connection.receive(encode(Keepalive()), 0.0)
    text = encode_shutdown_communication("for good")
    cease = Notification(CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, text)
    connection.handle(STOP, 1.0, cease, "for good")
    close = connection.outgoing()[-1]
    assert isinstance(close, Close)
    sent = decode_notification(close.final[19:])
    assert sent.hard_reset and sent.inner == cease and sent.communication == "for good"
    assert connection.last_error is not None
    assert "cease/hard-reset" in connection.last_error.text
    assert "cease/administrative-shutdown: for good" in connection.last_error.text
