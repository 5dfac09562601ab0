"""The finite state machine as the RFC's matrix: a row for each event, a cell for each state.

A cell says what is done, in order, what becomes of ConnectRetryCounter, and the next state.  The table is
complete or the test fails.  What depends on an option or a timer stands in VARIANTS.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from bgp.iana import ErrorCode, MessageType
from bgp.session.action import (
    Action,
    Arm,
    Close,
    Connect,
    Disarm,
    Down,
    Established,
    Opened,
    Release,
    Send,
)
from bgp.session.config import SessionConfig
from bgp.session.event import Event, State, Timer
from bgp.session.fsm import Fsm
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.wire.message import Notification

IDLE, CONNECT, ACTIVE, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED = State

TIMER = {
    Timer.CONNECT_RETRY: "CRT",
    Timer.HOLD: "HT",
    Timer.KEEPALIVE: "KT",
    Timer.DELAY_OPEN: "DOT",
    Timer.IDLE_HOLD: "IHT",
    Timer.SEND_HOLD: "SHT",
}


def notation(action: Action) -> str:
    """Write an action as the table has it: +HT=90 starts a timer, -HT stops it, 5/1:04 is a NOTIFICATION."""
    match action:
        case Send(MessageType.NOTIFICATION, Notification(code, subcode, data)):
            return f"{code}/{subcode}" + (f":{data.hex()}" if data else "")
        case Send(type_):
            return type_.name
        case Arm(timer, seconds):
            return f"+{TIMER[timer]}={seconds:g}"
        case Disarm(timer):
            return f"-{TIMER[timer]}"
        case Close(b"", graceful):
            return "close" if graceful else "abort"
        case Release() | Connect() | Opened() | Established() | Down():
            return type(action).__name__.lower()
    raise AssertionError(action)


@dataclass(frozen=True)
class Cell:
    """What is done, how ConnectRetryCounter changes (None: to zero), and the next state (None: the same)."""

    actions: str = ""
    counter: int | None = 0
    next: State | None = None


# What the codes of the matrix stand for.  IHT is our way out of Idle, RFC 4271 has none.
CODES = {
    ".": Cell(),
    "S+": Cell("-IHT +CRT=120 connect", None, CONNECT),
    "S-": Cell("-IHT +CRT=120", None, ACTIVE),
    "S": Cell("-IHT +CRT=120 connect", 0, CONNECT),
    "hold": Cell("+IHT=1"),
    "stay": Cell("-IHT"),
    "M": Cell("release close down", None, IDLE),
    "F": Cell("release close down +IHT=1", 1, IDLE),
    "C": Cell("release close down", 1, IDLE),
    "Q": Cell("release close down +IHT=1", 0, IDLE),
    "OS": Cell("-CRT -DOT OPEN +HT=240", 0, OPEN_SENT),
    "OC": Cell("-CRT -DOT OPEN +HT=240 KEEPALIVE +KT=30 +HT=90 opened", 0, OPEN_CONFIRM),
    "KC": Cell("-CRT -DOT KEEPALIVE +KT=30 +HT=90 opened", 0, OPEN_CONFIRM),
    "redial": Cell("release close +CRT=120 connect"),
    "dial": Cell("+CRT=120 connect", 0, CONNECT),
    "back": Cell("release close down +CRT=120", 0, ACTIVE),
    "alive": Cell("KEEPALIVE +KT=30"),
    "up": Cell("+HT=90 +SHT=480 established", 0, ESTABLISHED),
    "HT": Cell("+HT=90"),
    "abort": Cell("release abort down +IHT=1", 1, IDLE),
}

# "5/1:04+F" is the NOTIFICATION 5/1 with these data, then F; "n" is the one that goes with the event.
MATRIX = """
event  Idle  Connect  Active  OpenSent  OpenConfirm  Established
    1  S+    .        .       .         .            .
    2  stay  M        M       6/2+M     6/2+M        6/2+M
    3  S+    .        .       .         .            .
    4  S-    .        .       .         .            .
    5  S-    .        .       .         .            .
    6  hold  .        .       .         .            .
    7  hold  .        .       .         .            .
    8  stay  F        F       6/0+F     6/0+F        6/0+F
    9  .     redial   dial    5/0+F     5/0+F        5/0+F
   10  .     F        F       4/0+F     4/0+F        4/0+F
   11  .     F        F       5/0+F     alive        alive
   12  .     OS       OS      5/0+F     5/0+F        5/0+F
   13  S     F        F       5/0+F     5/0+F        5/0+F
   14  .     .        .       .         .            .
   15  .     .        .       .         .            .
   16  .     OS       OS      .         .            .
   17  .     OS       OS      .         .            .
   18  .     Q        F       back      F            F
   19  .     F        F       KC        5/2:01+F     5/3:01+F
   20  .     OC       OC      5/1:01+F  5/2:01+F     5/3:01+F
   21  .     F        F       n+F       n+F          n+F
   22  .     F        F       n+F       n+F          5/3:01+F
   23  stay  C        C       6/7+C     6/7+C        .
   24  .     F        F       Q         Q            F
   25  .     F        F       F         F            F
   26  .     F        F       5/1:04+F  up           HT
   27  .     F        F       5/1:02+F  5/2:02+F     HT
   28  .     F        F       5/1:02+F  5/2:02+F     n+F
   29  .     .        .       .         .            abort
   30  .     F        F       5/1:05+F  5/2:05+F     HT
"""


def cell(code: str) -> Cell:
    """Return the meaning of a cell of the matrix."""
    notification, plus, rest = code.rpartition("+")
    if code in CODES or not plus:
        return CODES[code]
    notification = GIVEN if notification == "n" else notification
    return replace(CODES[rest], actions=f"{notification} {CODES[rest].actions}")


GIVEN = "3/1:c0ffee"  # PROBE, as `notation` writes it
TABLE = {
    (Event(int(row.split()[0])), state): cell(code)
    for row in MATRIX.strip().splitlines()[1:]
    for state, code in zip(State, row.split()[1:], strict=True)
}

E = Event
# What graceful restart adds is in test_restart_session.py.
CONFIG = SessionConfig(local_as=65001, identifier=1, graceful_restart=None)
THEIRS = SessionConfig(local_as=65002, identifier=2)
# Where a NOTIFICATION goes with the event; 24 is 2/1, but for the machine the event says so.
WITH_NOTIFICATION = frozenset(
    {E.BGP_HEADER_ERR, E.BGP_OPEN_MSG_ERR, E.UPDATE_MSG_ERR, E.NOTIF_MSG_VER_ERR, E.NOTIF_MSG}
)
PROBE = Notification(ErrorCode.UPDATE_MESSAGE_ERROR, 1, b"\xc0\xff\xee")


def negotiated(config: SessionConfig) -> Negotiated:
    return negotiate(config, offer(config), offer(THEIRS))


def drive(fsm: Fsm, config: SessionConfig, *events: Event, now: float = 0.0) -> None:
    for event in events:
        fsm.handle(event, now, negotiated=negotiated(config))


# By way of OpenSent, for MANUAL_START_PASSIVE leads to an Active that does not dial.
WAY: dict[State, tuple[Event, ...]] = {
    IDLE: (),
    CONNECT: (E.MANUAL_START,),
    ACTIVE: (E.MANUAL_START, E.TCP_CR_ACKED, E.TCP_CONNECTION_FAILS),
    OPEN_SENT: (E.MANUAL_START, E.TCP_CR_ACKED),
    OPEN_CONFIRM: (E.MANUAL_START, E.TCP_CR_ACKED, E.BGP_OPEN),
    ESTABLISHED: (E.MANUAL_START, E.TCP_CR_ACKED, E.BGP_OPEN, E.KEEPALIVE_MSG),
}


def machine(state: State, config: SessionConfig = CONFIG) -> Fsm:
    """Return a machine in `state`."""
    fsm = Fsm(config)
    drive(fsm, config, *WAY[state])
    assert fsm.state == state
    return fsm


def check(fsm: Fsm, event: Event, expected: Cell, config: SessionConfig = CONFIG) -> list[Action]:
    fsm.connect_retry_counter = 7
    before = fsm.state
    notification = PROBE if event in WITH_NOTIFICATION else None
    actions = fsm.handle(event, 1.0, notification=notification, negotiated=negotiated(config))
    assert " ".join(map(notation, actions)) == expected.actions
    assert fsm.state == (before if expected.next is None else expected.next)
    assert fsm.connect_retry_counter == (0 if expected.counter is None else 7 + expected.counter)
    for action in actions:
        if isinstance(action, Down):
            assert (action.state, action.event) == (before, event)
            assert action.text
    # What was agreed lasts as long as the connection.
    assert (fsm.negotiated is not None) == (fsm.state in (OPEN_CONFIRM, ESTABLISHED))
    return actions


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(event, state) for event in Event for state in State}
    assert len(TABLE) == 30 * 6


@pytest.mark.parametrize("state", State, ids=lambda state: state.label)
@pytest.mark.parametrize("event", Event, ids=lambda event: f"{int(event)}")
def test_cell(event: Event, state: State) -> None:
    check(machine(state), event, TABLE[event, state])


@pytest.mark.parametrize("state", State, ids=lambda state: state.label)
@pytest.mark.parametrize("event", Event, ids=lambda event: f"{int(event)}")
def test_down_tells_who_notified_whom(event: Event, state: State) -> None:
    actions = check(machine(state), event, TABLE[event, state])
    sent = [action.notification for action in actions if isinstance(action, Send) and action.notification]
    for down in (action for action in actions if isinstance(action, Down)):
        assert down.sent == (sent[0] if sent else None)
        received = event in (E.NOTIF_MSG, E.NOTIF_MSG_VER_ERR)
        assert down.received == (PROBE if received else None)
    # RFC 4271 section 6.4: no NOTIFICATION about a NOTIFICATION.
    assert not (sent and event in (E.NOTIF_MSG, E.NOTIF_MSG_VER_ERR))


# --- What depends on an option or a timer ----------------------------------------------------------------

DELAYED = replace(CONFIG, delay_open=10.0)
TELLING = replace(CONFIG, notification_without_open=True)
PASSIVE = replace(CONFIG, passive=True)
SILENT = replace(CONFIG, hold_time=0)
CHECKING = replace(CONFIG, collision_detect_established=True)
REPLACING = replace(CONFIG, replace_established=True)
RESTING = replace(CONFIG, automatic_restart=False)
WAIT = Cell("-CRT +DOT=10")


def delaying(state: State, config: SessionConfig = DELAYED) -> Fsm:
    """Return a machine in Connect or Active whose DelayOpenTimer runs."""
    fsm = Fsm(config)
    if state == CONNECT:
        drive(fsm, config, E.MANUAL_START, E.TCP_CR_ACKED)
    else:
        drive(fsm, config, E.MANUAL_START_PASSIVE, E.TCP_CONNECTION_CONFIRMED)
    assert fsm.state == state
    assert fsm.delaying
    return fsm


VARIANTS: list[tuple[str, Callable[[], Fsm], SessionConfig, Event, Cell]] = [
    # DelayOpen
    ("16 waits in Connect", lambda: machine(CONNECT, DELAYED), DELAYED, E.TCP_CR_ACKED, WAIT),
    ("17 waits in Connect", lambda: machine(CONNECT, DELAYED), DELAYED, E.TCP_CONNECTION_CONFIRMED, WAIT),
    (
        "12 ends waiting in Connect",
        lambda: delaying(CONNECT),
        DELAYED,
        E.DELAY_OPEN_TIMER_EXPIRES,
        CODES["OS"],
    ),
    ("12 ends waiting in Active", lambda: delaying(ACTIVE), DELAYED, E.DELAY_OPEN_TIMER_EXPIRES, CODES["OS"]),
    (
        "20 in Connect",
        lambda: delaying(CONNECT),
        DELAYED,
        E.BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING,
        CODES["OC"],
    ),
    (
        "20 in Active",
        lambda: delaying(ACTIVE),
        DELAYED,
        E.BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING,
        CODES["OC"],
    ),
    (
        "18 while waiting in Connect",
        lambda: delaying(CONNECT),
        DELAYED,
        E.TCP_CONNECTION_FAILS,
        CODES["back"],
    ),
    ("18 while waiting in Active", lambda: delaying(ACTIVE), DELAYED, E.TCP_CONNECTION_FAILS, CODES["F"]),
    ("24 while waiting in Connect", lambda: delaying(CONNECT), DELAYED, E.NOTIF_MSG_VER_ERR, CODES["Q"]),
    ("24 while waiting in Active", lambda: delaying(ACTIVE), DELAYED, E.NOTIF_MSG_VER_ERR, CODES["Q"]),
    ("25 while waiting", lambda: delaying(CONNECT), DELAYED, E.NOTIF_MSG, CODES["F"]),
    (
        "9 while waiting",
        lambda: delaying(CONNECT),
        DELAYED,
        E.CONNECT_RETRY_TIMER_EXPIRES,
        CODES["redial"],
    ),
    ("2 while waiting", lambda: delaying(ACTIVE), DELAYED, E.MANUAL_STOP, CODES["M"]),
    (
        "2 while waiting, told",
        lambda: delaying(ACTIVE, replace(DELAYED, notification_without_open=True)),
        DELAYED,
        E.MANUAL_STOP,
        cell("6/2+M"),
    ),
    # SendNOTIFICATIONwithoutOPEN
    ("21 told in Connect", lambda: machine(CONNECT, TELLING), TELLING, E.BGP_HEADER_ERR, cell("n+F")),
    ("21 told in Active", lambda: machine(ACTIVE, TELLING), TELLING, E.BGP_HEADER_ERR, cell("n+F")),
    ("22 told in Connect", lambda: machine(CONNECT, TELLING), TELLING, E.BGP_OPEN_MSG_ERR, cell("n+F")),
    ("22 told in Active", lambda: machine(ACTIVE, TELLING), TELLING, E.BGP_OPEN_MSG_ERR, cell("n+F")),
    ("2 not told before a connection", lambda: machine(ACTIVE, TELLING), TELLING, E.MANUAL_STOP, CODES["M"]),
    # PassiveTcpEstablishment
    ("1 of a passive peer", lambda: machine(IDLE, PASSIVE), PASSIVE, E.MANUAL_START, CODES["S-"]),
    ("3 of a passive peer", lambda: machine(IDLE, PASSIVE), PASSIVE, E.AUTOMATIC_START, CODES["S-"]),
    # Hold time 0: neither timer, but OpenConfirm does not last for ever.
    (
        "19 without hold time",
        lambda: machine(OPEN_SENT, SILENT),
        SILENT,
        E.BGP_OPEN,
        Cell("-CRT -DOT KEEPALIVE opened", 0, OPEN_CONFIRM),
    ),
    (
        "20 without hold time",
        lambda: delaying(CONNECT, replace(DELAYED, hold_time=0)),
        SILENT,
        E.BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING,
        Cell("-CRT -DOT OPEN +HT=240 KEEPALIVE opened", 0, OPEN_CONFIRM),
    ),
    (
        "26 without hold time",
        lambda: machine(OPEN_CONFIRM, SILENT),
        SILENT,
        E.KEEPALIVE_MSG,
        Cell("-HT established", 0, ESTABLISHED),
    ),
    ("26 again without hold time", lambda: machine(ESTABLISHED, SILENT), SILENT, E.KEEPALIVE_MSG, CODES["."]),
    ("27 without hold time", lambda: machine(ESTABLISHED, SILENT), SILENT, E.UPDATE_MSG, CODES["."]),
    (
        "11 without hold time",
        lambda: machine(ESTABLISHED, SILENT),
        SILENT,
        E.KEEPALIVE_TIMER_EXPIRES,
        Cell("KEEPALIVE"),
    ),
    # The loser may be the Established one.
    *(
        (
            f"23 in Established with {name}",
            lambda config=config: machine(ESTABLISHED, config),
            config,
            E.OPEN_COLLISION_DUMP,
            cell("6/7+C"),
        )
        for name, config in (("CollisionDetectEstablishedState", CHECKING), ("replacement", REPLACING))
    ),
    # AllowAutomaticStart
    (
        "18 without automatic restart",
        lambda: machine(ESTABLISHED, RESTING),
        RESTING,
        E.TCP_CONNECTION_FAILS,
        CODES["C"],
    ),
    (
        "9 never dials a passive peer",
        lambda: passive_machine(),
        CONFIG,
        E.CONNECT_RETRY_TIMER_EXPIRES,
        Cell("+CRT=120"),
    ),
]


def passive_machine() -> Fsm:
    fsm = Fsm(CONFIG)
    drive(fsm, CONFIG, E.AUTOMATIC_START_PASSIVE)
    return fsm


@pytest.mark.parametrize(
    ("build", "config", "event", "expected"),
    [variant[1:] for variant in VARIANTS],
    ids=[variant[0] for variant in VARIANTS],
)
def test_variant(build: Callable[[], Fsm], config: SessionConfig, event: Event, expected: Cell) -> None:
    check(build(), event, expected, config)


# --- The connection that the peer opened -----------------------------------------------------------------


@pytest.mark.parametrize("event", Event, ids=lambda event: f"{int(event)}")
@pytest.mark.parametrize("state", [ACTIVE, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED], ids=lambda s: s.label)
def test_an_incoming_connection_is_not_restarted(state: State, event: Event) -> None:
    fsm = Fsm(CONFIG, incoming=True)
    assert fsm.state == ACTIVE
    drive(fsm, CONFIG, *(E.TCP_CONNECTION_CONFIRMED, E.BGP_OPEN, E.KEEPALIVE_MSG)[: state - ACTIVE])
    assert fsm.state == state
    actions = fsm.handle(event, 1.0, notification=PROBE, negotiated=negotiated(CONFIG))
    assert Connect() not in actions
    if any(isinstance(action, Down) for action in actions):
        assert fsm.state == IDLE
        assert not any(isinstance(action, Arm) for action in actions)


# --- Idle, and how long it lasts -------------------------------------------------------------------------


def rest(actions: list[Action]) -> float | None:
    """Return the IdleHoldTime in `actions`."""
    return next(
        (action.seconds for action in actions if isinstance(action, Arm) and action.timer is Timer.IDLE_HOLD),
        None,
    )


def fail(fsm: Fsm, config: SessionConfig, now: float = 0.0, lived: float = 0.0) -> float | None:
    """Take the machine from Idle to Established and lose the connection; return the IdleHoldTime."""
    drive(fsm, config, E.IDLE_HOLD_TIMER_EXPIRES, E.TCP_CR_ACKED, E.BGP_OPEN, E.KEEPALIVE_MSG, now=now)
    assert fsm.state == ESTABLISHED
    return rest(fsm.handle(E.TCP_CONNECTION_FAILS, now + lived))


def test_idle_hold_time_doubles_to_its_maximum_and_a_stable_session_resets_it() -> None:
    fsm = Fsm(CONFIG)
    assert [fail(fsm, CONFIG) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert fail(fsm, CONFIG, lived=CONFIG.stable_time - 0.1) == 120
    assert fail(fsm, CONFIG, lived=CONFIG.stable_time) == 1
    assert fail(fsm, CONFIG) == 2
    for _ in range(2000):
        assert (fail(fsm, CONFIG) or 0) <= 120


def test_idle_hold_time_is_constant_without_damping_unless_the_peer_asks_for_peace() -> None:
    config = replace(CONFIG, damp_peer_oscillations=False)
    fsm = Fsm(config)
    assert [fail(fsm, config) for _ in range(4)] == [1, 1, 1, 1]
    drive(fsm, config, E.IDLE_HOLD_TIMER_EXPIRES, E.TCP_CR_ACKED)
    # RFC 4486 section 4.
    assert rest(fsm.handle(E.NOTIF_MSG, 0.0, notification=Notification(ErrorCode.CEASE, 8))) == 16
    drive(fsm, config, E.IDLE_HOLD_TIMER_EXPIRES, E.TCP_CR_ACKED)
    assert rest(fsm.handle(E.NOTIF_MSG, 0.0, notification=Notification(ErrorCode.CEASE, 7))) == 1


@pytest.mark.parametrize("event", [E.NOTIF_MSG, E.BGP_OPEN_MSG_ERR])
def test_a_missing_capability_makes_for_the_longest_rest(event: Event) -> None:
    fsm = machine(OPEN_SENT)
    assert rest(fsm.handle(event, 0.0, notification=Notification(ErrorCode.OPEN_MESSAGE_ERROR, 7))) == 120


def test_a_peer_that_is_not_there_is_tried_at_least_each_connect_retry_time() -> None:
    config = replace(CONFIG, connect_retry_time=5.0)
    fsm = machine(CONNECT, config)
    rests = []
    for _ in range(5):
        rests.append(rest(fsm.handle(E.TCP_CONNECTION_FAILS, 0.0)))
        drive(fsm, config, E.IDLE_HOLD_TIMER_EXPIRES)
    assert rests == [1, 2, 4, 5, 5]
    assert fsm.connect_retry_counter == 0


@pytest.mark.parametrize("event", [E.MANUAL_START, E.AUTOMATIC_START, E.MANUAL_START_PASSIVE])
def test_a_start_forgets_the_failures(event: Event) -> None:
    fsm = Fsm(CONFIG)
    for _ in range(5):
        fail(fsm, CONFIG)
    drive(fsm, CONFIG, event)
    assert fsm.connect_retry_counter == 0
    drive(fsm, CONFIG, E.MANUAL_STOP)
    assert fail(fsm, CONFIG) == 1


def test_the_restart_of_a_passive_machine_is_passive() -> None:
    fsm = passive_machine()
    drive(
        fsm, CONFIG, E.TCP_CONNECTION_CONFIRMED, E.BGP_OPEN, E.TCP_CONNECTION_FAILS, E.IDLE_HOLD_TIMER_EXPIRES
    )
    assert fsm.state == ACTIVE
    fsm = Fsm(CONFIG)
    drive(fsm, CONFIG, E.AUTOMATIC_START_DAMPED_PASSIVE, E.IDLE_HOLD_TIMER_EXPIRES)
    assert fsm.state == ACTIVE
    fsm = Fsm(CONFIG)
    drive(fsm, CONFIG, E.AUTOMATIC_START_DAMPED, E.IDLE_HOLD_TIMER_EXPIRES)
    assert fsm.state == CONNECT


def test_a_stop_takes_the_notification_that_it_is_given() -> None:
    for event in (E.MANUAL_STOP, E.AUTOMATIC_STOP):
        removed = Notification(ErrorCode.CEASE, 3)
        actions = machine(ESTABLISHED).handle(event, 0.0, notification=removed, text="peer removed")
        assert actions[0] == Send(MessageType.NOTIFICATION, removed)
        down = next(action for action in actions if isinstance(action, Down))
        assert down.text.endswith(": peer removed")


def test_what_a_peer_says_is_cut_for_the_log() -> None:
    long = Notification(ErrorCode.UPDATE_MESSAGE_ERROR, 1, bytes(4000))
    actions = machine(ESTABLISHED).handle(E.NOTIF_MSG, 0.0, notification=long)
    down = next(action for action in actions if isinstance(action, Down))
    assert down.received == long
    assert len(down.text) < 1010
    assert down.text.endswith("...")


def test_names() -> None:
    assert [state.label for state in State] == [
        *("Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established")
    ]
    assert Event.HOLD_TIMER_EXPIRES.label == "hold timer expires"
