"""The finite state machine of one connection (RFC 4271 section 8): an event comes in, actions come out.

There is one machine for each TCP connection.  That of a configured peer starts in Idle and goes through as
many connections as it takes, one at a time.  That of a connection which the peer opened starts in Active,
where the listener's work has brought it, and has done its service when it comes to Idle.

One method for each state, one case for each line of the RFC's text about it.  Where the text contradicts
itself, or is silent, the case says what was chosen:

* A session does not stay in Idle: IdleHoldTimer runs there and its event 13 starts anew, unless the operator
  stopped the session or it lost a collision (then its owner starts it with event 6 or 7 when the winner is
  gone).  `bgp.session.idlehold` says for how long.
* A second OPEN on the same connection is an unexpected message (RFC 6608), as is a ROUTE-REFRESH before
  Established.  A header error is answered by code 1 in Established as well (section 6.1), and a NOTIFICATION
  never by a NOTIFICATION (section 6.4).
* HoldTimer keeps its large value through OpenConfirm where the negotiated hold time is zero: the RFC would
  have nothing run then, and a silent peer would hold the connection for ever.
* With graceful restart `Down` says whether the peer's routes are to be kept (RFC 4724 section 5, RFC 8538).
  A second connection has a machine of its own, so the change for events 16 and 17 in Established is in
  `bgp.session.collision`: the new connection gives the old one event 18.
* A passive machine never dials: when ConnectRetryTimer expires in Active it is started again, no more.
"""

from dataclasses import dataclass
from math import inf

from bgp.errors import (
    COLLISION,
    FSM_ESTABLISHED,
    FSM_EVENT,
    FSM_OPEN_CONFIRM,
    FSM_OPEN_SENT,
    HOLD_TIMER,
    SEND_HOLD_TIMER,
    Rule,
)
from bgp.iana import CeaseSubcode, ErrorCode, MessageType
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
from bgp.session.idlehold import IdleHold
from bgp.session.negotiation import Negotiated
from bgp.session.restart import Parting
from bgp.wire.message import Notification, hard_reset

# Start events count in Idle only.
_STARTS = frozenset(
    {
        Event.MANUAL_START,
        Event.AUTOMATIC_START,
        Event.MANUAL_START_PASSIVE,
        Event.AUTOMATIC_START_PASSIVE,
        Event.AUTOMATIC_START_DAMPED,
        Event.AUTOMATIC_START_DAMPED_PASSIVE,
    }
)

# The message that an event reports: its type is the Data of an FSM error (RFC 6608 section 4).
_MESSAGE = {
    Event.BGP_OPEN: MessageType.OPEN,
    Event.BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING: MessageType.OPEN,
    Event.BGP_OPEN_MSG_ERR: MessageType.OPEN,
    Event.KEEPALIVE_MSG: MessageType.KEEPALIVE,
    Event.UPDATE_MSG: MessageType.UPDATE,
    Event.UPDATE_MSG_ERR: MessageType.UPDATE,
    Event.ROUTE_REFRESH_MSG: MessageType.ROUTE_REFRESH,
}

_UNEXPECTED = {
    State.OPEN_SENT: FSM_OPEN_SENT,
    State.OPEN_CONFIRM: FSM_OPEN_CONFIRM,
    State.ESTABLISHED: FSM_ESTABLISHED,
}

# What the reasons to stop are, if the caller gives no better (RFC 4486).
_CEASE = {
    Event.MANUAL_STOP: Notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN),
    Event.AUTOMATIC_STOP: Notification(ErrorCode.CEASE, CeaseSubcode.UNSPECIFIED),
    Event.OPEN_COLLISION_DUMP: Notification(COLLISION.code, COLLISION.subcode),
}


_LONGEST = 1000  # characters of `Down.text`


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event and what goes with it, see `Fsm.handle`."""

    event: Event
    now: float
    notification: Notification | None = None
    negotiated: Negotiated | None = None
    text: str = ""
    parting: Parting = Parting.USUAL


class Fsm:
    """The state of one connection.

    `connect_retry_counter` is the RFC's.  `negotiated` is set from OpenConfirm on.
    """

    __slots__ = (
        "_config",
        "_established_at",
        "_idle_hold",
        "_incoming",
        "_passive",
        "connect_retry_counter",
        "delaying",
        "negotiated",
        "state",
    )

    def __init__(self, config: SessionConfig, *, incoming: bool = False) -> None:
        self.state = State.ACTIVE if incoming else State.IDLE
        self.connect_retry_counter = 0
        self.negotiated: Negotiated | None = None
        self.delaying = False  # DelayOpenTimer runs: an OPEN is event 20 then, not 19
        self._config = config
        self._incoming = incoming
        self._passive = incoming or config.passive
        self._idle_hold = IdleHold(config)
        self._established_at = 0.0

    def handle(
        self,
        event: Event,
        now: float,
        *,
        notification: Notification | None = None,
        negotiated: Negotiated | None = None,
        text: str = "",
        parting: Parting = Parting.USUAL,
    ) -> list[Action]:
        """Change the state and return what is to be done, in order.

        `notification` goes with events 21, 22 and 28 (the one to send), 24 and 25 (the one received), and
        may go with 2, 8 and 23; `negotiated` goes with events 19 and 20.  `text` ends up in `Down`.
        `parting` may go with events 2 and 8, and says what the peer is to do with our routes.
        """
        it = Occurrence(event, now, notification, negotiated, text, parting)
        match self.state:
            case State.IDLE:
                return self._idle(it)
            case State.CONNECT:
                return self._connect(it)
            case State.ACTIVE:
                return self._active(it)
            case State.OPEN_SENT:
                return self._open_sent(it)
            case State.OPEN_CONFIRM:
                return self._open_confirm(it)
            case State.ESTABLISHED:
                return self._established(it)

    # --- The states ------------------------------------------------------------------------------------

    def _idle(self, it: Occurrence) -> list[Action]:
        match it.event:
            case Event.MANUAL_START | Event.AUTOMATIC_START:
                self.connect_retry_counter = 0
                self._idle_hold.reset()
                return self._start(self._config.passive)
            case Event.MANUAL_START_PASSIVE | Event.AUTOMATIC_START_PASSIVE:
                self.connect_retry_counter = 0
                self._idle_hold.reset()
                return self._start(True)
            case Event.AUTOMATIC_START_DAMPED | Event.AUTOMATIC_START_DAMPED_PASSIVE:
                self._passive = self._config.passive or it.event == Event.AUTOMATIC_START_DAMPED_PASSIVE
                return [Arm(Timer.IDLE_HOLD, self._idle_hold.time)]
            case Event.IDLE_HOLD_TIMER_EXPIRES:
                return self._start(self._passive)
            case Event.MANUAL_STOP | Event.AUTOMATIC_STOP | Event.OPEN_COLLISION_DUMP:
                # Ignored by the RFC, whose Idle has no timer that could end it.
                return [Disarm(Timer.IDLE_HOLD)]
            case _:
                return []

    def _connect(self, it: Occurrence) -> list[Action]:
        match it.event:
            case Event.MANUAL_STOP:
                return self._stop(it)
            case Event.CONNECT_RETRY_TIMER_EXPIRES:
                self.delaying = False
                retry = Arm(Timer.CONNECT_RETRY, self._config.connect_retry_time)
                return [Release(), Close(), retry, Connect()]
            case Event.TCP_CONNECTION_FAILS if self.delaying:
                return self._fall_back(it)
            case Event.TCP_CONNECTION_FAILS:
                # Nobody is there.  ConnectRetryTime is how often the operator wants to try.
                return self._quit(it, longest=self._config.connect_retry_time)
            case _:
                return self._without_open(it)

    def _active(self, it: Occurrence) -> list[Action]:
        match it.event:
            case Event.MANUAL_STOP:
                cease = it.notification or _CEASE[it.event]
                notify = self.delaying and self._config.notification_without_open
                return self._stop(it, sent=cease if notify else None)
            case Event.CONNECT_RETRY_TIMER_EXPIRES:
                retry = Arm(Timer.CONNECT_RETRY, self._config.connect_retry_time)
                if self._passive:
                    return [retry]
                self.state = State.CONNECT
                return [retry, Connect()]
            case _:
                return self._without_open(it)

    def _without_open(self, it: Occurrence) -> list[Action]:
        """What Connect and Active have in common: we have not sent an OPEN."""
        match it.event:
            case event if event in _STARTS:
                return []
            case Event.TCP_CONNECTION_VALID | Event.TCP_CR_INVALID | Event.SEND_HOLD_TIMER_EXPIRES:
                return []
            case Event.TCP_CR_ACKED | Event.TCP_CONNECTION_CONFIRMED if self._config.delay_open:
                self.delaying = True
                return [Disarm(Timer.CONNECT_RETRY), Arm(Timer.DELAY_OPEN, self._config.delay_open)]
            case Event.TCP_CR_ACKED | Event.TCP_CONNECTION_CONFIRMED | Event.DELAY_OPEN_TIMER_EXPIRES:
                self.state = State.OPEN_SENT
                large = Arm(Timer.HOLD, self._config.open_hold_time)
                return [*self._stop_opening(), Send(MessageType.OPEN), large]
            case Event.BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING:
                large = Arm(Timer.HOLD, self._config.open_hold_time)
                return [*self._stop_opening(), Send(MessageType.OPEN), large, *self._confirm(it)]
            case Event.BGP_HEADER_ERR | Event.BGP_OPEN_MSG_ERR:
                return self._fail(
                    it, sent=it.notification if self._config.notification_without_open else None
                )
            case Event.NOTIF_MSG_VER_ERR if self.delaying:
                return self._quit(it, received=it.notification)
            case Event.NOTIF_MSG_VER_ERR | Event.NOTIF_MSG:
                return self._fail(it, received=it.notification)
            case _:
                return self._fail(it)

    def _open_sent(self, it: Occurrence) -> list[Action]:
        match it.event:
            case Event.TCP_CONNECTION_FAILS if not self._incoming:
                return self._fall_back(it)
            case Event.BGP_OPEN:
                return [*self._stop_opening(), *self._confirm(it)]
            case Event.NOTIF_MSG_VER_ERR:
                return self._quit(it, received=it.notification)
            case _:
                return self._with_open(it)

    def _open_confirm(self, it: Occurrence) -> list[Action]:
        match it.event:
            case Event.KEEPALIVE_TIMER_EXPIRES:
                return [Send(MessageType.KEEPALIVE), *self._restart_keepalive()]
            case Event.NOTIF_MSG_VER_ERR:
                return self._quit(it, received=it.notification)
            case Event.KEEPALIVE_MSG:
                assert self.negotiated is not None
                self.state = State.ESTABLISHED
                self._established_at = it.now
                actions = self._restart_hold() or [Disarm(Timer.HOLD)]
                if self.negotiated.send_hold_time:
                    actions.append(Arm(Timer.SEND_HOLD, self.negotiated.send_hold_time))
                return [*actions, Established(self.negotiated)]
            case _:
                return self._with_open(it)

    def _established(self, it: Occurrence) -> list[Action]:
        match it.event:
            case Event.KEEPALIVE_TIMER_EXPIRES:
                return [Send(MessageType.KEEPALIVE), *self._restart_keepalive()]
            case Event.KEEPALIVE_MSG | Event.UPDATE_MSG | Event.ROUTE_REFRESH_MSG:
                return self._restart_hold()
            case Event.OPEN_COLLISION_DUMP if not (
                self._config.collision_detect_established or self._config.replace_established
            ):
                return []
            case Event.NOTIF_MSG_VER_ERR:
                return self._fail(it, received=it.notification)
            case Event.BGP_OPEN_MSG_ERR:
                return self._error(it)
            case Event.UPDATE_MSG_ERR:
                return self._fail(it, sent=it.notification)
            case Event.SEND_HOLD_TIMER_EXPIRES:
                # RFC 9687 section 4.3: a NOTIFICATION is optional, and would not get out anyway.
                return self._fail(it, graceful=False, reason=SEND_HOLD_TIMER)
            case _:
                return self._with_open(it)

    def _with_open(self, it: Occurrence) -> list[Action]:
        """What OpenSent, OpenConfirm and Established have in common: we have sent an OPEN."""
        match it.event:
            case event if event in _STARTS:
                return []
            case Event.TCP_CONNECTION_VALID | Event.TCP_CR_INVALID | Event.SEND_HOLD_TIMER_EXPIRES:
                return []
            case Event.TCP_CR_ACKED | Event.TCP_CONNECTION_CONFIRMED:
                return []  # a second connection has a machine of its own
            case Event.MANUAL_STOP:
                return self._stop(it, sent=it.notification or _CEASE[it.event])
            case Event.AUTOMATIC_STOP | Event.OPEN_COLLISION_DUMP:
                return self._fail(it, sent=it.notification or _CEASE[it.event])
            case Event.HOLD_TIMER_EXPIRES:
                return self._fail(it, sent=_of(HOLD_TIMER), reason=HOLD_TIMER)
            case Event.TCP_CONNECTION_FAILS:
                return self._fail(it)
            case Event.BGP_HEADER_ERR | Event.BGP_OPEN_MSG_ERR:
                return self._fail(it, sent=it.notification)
            case Event.NOTIF_MSG:
                return self._fail(it, received=it.notification)
            case _:
                return self._error(it)

    # --- What the states do ----------------------------------------------------------------------------

    def _start(self, passive: bool) -> list[Action]:
        self._passive = passive
        retry = Arm(Timer.CONNECT_RETRY, self._config.connect_retry_time)
        if passive:
            self.state = State.ACTIVE
            return [Disarm(Timer.IDLE_HOLD), retry]
        self.state = State.CONNECT
        return [Disarm(Timer.IDLE_HOLD), retry, Connect()]

    def _stop_opening(self) -> list[Action]:
        self.delaying = False
        return [Disarm(Timer.CONNECT_RETRY), Disarm(Timer.DELAY_OPEN)]

    def _confirm(self, it: Occurrence) -> list[Action]:
        """Answer a good OPEN."""
        assert it.negotiated is not None
        self.negotiated = it.negotiated
        self.state = State.OPEN_CONFIRM
        keepalive = Send(MessageType.KEEPALIVE)
        return [keepalive, *self._restart_keepalive(), *self._restart_hold(), Opened(it.negotiated)]

    def _restart_keepalive(self) -> list[Action]:
        assert self.negotiated is not None
        if self.negotiated.hold_time == 0:
            return []
        return [Arm(Timer.KEEPALIVE, self.negotiated.keepalive_time)]

    def _restart_hold(self) -> list[Action]:
        assert self.negotiated is not None
        if self.negotiated.hold_time == 0:
            return []
        return [Arm(Timer.HOLD, self.negotiated.hold_time)]

    def _error(self, it: Occurrence) -> list[Action]:
        """Answer an event that has no place in this state (RFC 4271 section 6.6, RFC 6608 section 4)."""
        message = _MESSAGE.get(it.event)
        if message is None:
            return self._fail(it, sent=_of(FSM_EVENT), reason=FSM_EVENT)
        rule = _UNEXPECTED[self.state]
        return self._fail(it, sent=_of(rule, bytes((message,))), reason=rule)

    # --- How a connection ends -------------------------------------------------------------------------

    def _stop(self, it: Occurrence, *, sent: Notification | None = None) -> list[Action]:
        """Go to Idle and stay there."""
        actions = self._end(it, sent, None, None)
        self.connect_retry_counter = 0
        self._idle_hold.reset()
        return actions

    def _quit(
        self, it: Occurrence, *, received: Notification | None = None, longest: float = inf
    ) -> list[Action]:
        """Go to Idle; ConnectRetryCounter does not count this."""
        return [*self._end(it, None, received, None), *self._restart(it, None, received, longest)]

    def _fail(
        self,
        it: Occurrence,
        *,
        sent: Notification | None = None,
        received: Notification | None = None,
        reason: Rule | None = None,
        graceful: bool = True,
    ) -> list[Action]:
        """Go to Idle with one more failure."""
        self.connect_retry_counter += 1
        if self.state == State.ESTABLISHED and it.now - self._established_at >= self._config.stable_time:
            self._idle_hold.reset()
        actions = self._end(it, sent, received, reason, graceful)
        return [*actions, *self._restart(it, sent, received)]

    def _end(
        self,
        it: Occurrence,
        sent: Notification | None,
        received: Notification | None,
        reason: Rule | None,
        graceful: bool = True,
    ) -> list[Action]:
        agreed = self.negotiated if self.state == State.ESTABLISHED else None
        if sent is not None and agreed is not None:
            sent = _parting(it.parting, sent, agreed)
        graceful_restart = agreed is not None and _keeps(it.event, sent or received, agreed)
        text = _words(it, sent, received, reason)
        down = Down(self.state, it.event, sent, received, text, graceful_restart)
        self.delaying = False
        self.negotiated = None
        self.state = State.IDLE
        notify = [Send(MessageType.NOTIFICATION, sent)] if sent else []
        return [*notify, Release(), Close(graceful=graceful), down]

    def _fall_back(self, it: Occurrence) -> list[Action]:
        """Give up this TCP connection, and wait in Active for the peer's or for the next of our own."""
        down = Down(self.state, it.event, text=_words(it, None, None, None))
        self.delaying = False
        self.state = State.ACTIVE
        return [Release(), Close(), down, Arm(Timer.CONNECT_RETRY, self._config.connect_retry_time)]

    def _restart(
        self,
        it: Occurrence,
        sent: Notification | None,
        received: Notification | None,
        longest: float = inf,
    ) -> list[Action]:
        """Have Idle end by itself, where it may."""
        if self._incoming or not self._config.automatic_restart or it.event == Event.OPEN_COLLISION_DUMP:
            return []
        return [Arm(Timer.IDLE_HOLD, min(self._idle_hold.failed(sent, received), longest))]


# RFC 8538 section 5.1: the Ceases that suggest a Hard Reset.
_FOR_GOOD = frozenset(
    (ErrorCode.CEASE, subcode)
    for subcode in (
        CeaseSubcode.MAXIMUM_NUMBER_OF_PREFIXES_REACHED,
        CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        CeaseSubcode.PEER_DE_CONFIGURED,
    )
)
_SHUTDOWN = (ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN)


def _parting(parting: Parting, sent: Notification, agreed: Negotiated) -> Notification | None:
    """Return what is sent in place of `sent`, so that the peer does with our routes what it should."""
    error = (sent.code, sent.subcode)
    if not agreed.notification_restart:
        # RFC 4724 section 4: a NOTIFICATION would have our routes deleted.  RFC 8538 section 4: such a peer
        # gets no Hard Reset.
        return None if parting is Parting.RESTART and agreed.preserved else sent
    if parting is Parting.RESTART:
        # Not as a shutdown, which RFC 8538 section 5.1 takes for the end.
        subcode = CeaseSubcode.ADMINISTRATIVE_RESET
        return Notification(sent.code, subcode, sent.data) if error == _SHUTDOWN else sent
    if parting is Parting.HARD or (parting is Parting.USUAL and error in _FOR_GOOD):
        return hard_reset(sent)
    return sent


def _keeps(event: Event, notification: Notification | None, agreed: Negotiated) -> bool:
    """Whether the peer's routes are kept (RFC 4724 section 4.2, RFC 8538 section 4)."""
    if not agreed.restarts:
        return False
    if event == Event.TCP_CONNECTION_FAILS:
        return True
    if notification is None:
        # The error of RFC 9687 is one that would be told if anything could be.
        return agreed.notification_restart and event == Event.SEND_HOLD_TIMER_EXPIRES
    return agreed.notification_restart and not notification.hard_reset


def _of(rule: Rule, data: bytes = b"") -> Notification:
    return Notification(rule.code, rule.subcode, data)


def _words(
    it: Occurrence, sent: Notification | None, received: Notification | None, reason: Rule | None
) -> str:
    """Say why the connection ended."""
    why = it.text or (str(reason) if reason else "")
    what = it.event.label
    notification = received or sent
    if notification is not None:
        title, colon, data = str(notification).partition(": ")
        # Once is enough.
        section = "" if "(RFC" in why else f" (RFC {notification.section})"
        what = f"{'received' if received else 'sent'} {title}{section}{colon}{data}"
        if why and data.endswith(why):
            why = ""  # the operator's own words (RFC 9003)
    text = f"{what}: {why}" if why else what
    # The peer's data may be long, and this ends up in logs.
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
