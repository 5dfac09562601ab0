"""One TCP connection of BGP without the TCP: octets and time in, updates and octets out.

A `Connection` holds the framer, the decoder, the FSM and its timers.  It does no I/O and has no clock; its
owner, the shell,

* tells it what happens: `handle` for starts, stops and what becomes of the TCP connection, `receive` for
  octets, `tick` when `deadline` has come, `sent` for each write that the kernel took;
* after each of these does what `outgoing` lists, in order: octets to send, `Connect`, `Close`;
* passes on the deliveries that these return, in order.

Messages go from the framer to their decoder and, as events, to the FSM.  An UPDATE in Established does
not: that is where the time goes, so it is decoded and delivered at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from bgp.errors import Notify
from bgp.family import BY_CODE, IPV4_UNICAST, Family
from bgp.iana import CeaseSubcode, ErrorCode, MessageType, OpenSubcode, RouteRefreshSubtype
from bgp.session.action import (
    Action,
    Arm,
    Close,
    Connect,
    Delivery,
    Disarm,
    Down,
    Established,
    Opened,
    Release,
    Send,
)
from bgp.session.collision import Candidate
from bgp.session.config import SessionConfig
from bgp.session.event import Event, State, Timer
from bgp.session.fsm import Fsm
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.session.restart import RUNNING, Parting, RestartState
from bgp.session.timers import Timers
from bgp.wire.attributes import AttributeTable
from bgp.wire.framing import Framer, frame
from bgp.wire.message import (
    Keepalive,
    Notification,
    RouteRefresh,
    decode_notification,
    decode_open,
    decode_route_refresh,
    encode,
)
from bgp.wire.update import Decoder

# What one call of `receive` works off at most, in octets; each message counts as some octets more.  This
# keeps a call to a few milliseconds, be it for few long messages or for many short ones.
QUOTA = 32768
_OVERHEAD = 96

# For how long HoldTimer waits for octets that are there, but that we have not read.
_UNREAD = 1.0

_KEEPALIVE = encode(Keepalive())
# OPENs to peers that are alike are the same, and to make one costs as much as all else of a connection.
_encoded = lru_cache(64)(encode)
_UPDATE = int(MessageType.UPDATE)
_OUT_OF_RESOURCES = Notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)

# Who raised a Notify shows in its code.  RFC 7313's code 7 has no event of its own.
_FAULT: dict[int, Event] = {
    ErrorCode.MESSAGE_HEADER_ERROR: Event.BGP_HEADER_ERR,
    ErrorCode.OPEN_MESSAGE_ERROR: Event.BGP_OPEN_MSG_ERR,
}


def _running() -> RestartState:
    return RUNNING


@dataclass(frozen=True, slots=True)
class Crash:
    """A bug of ours: what was read, whole messages where they had been told apart, and what it led to."""

    octets: bytes
    state: State
    negotiated: Negotiated | None
    error: Exception


@dataclass(slots=True)
class Counters:
    """Messages by their type, so that index 0 is never used; `sent` knows session messages only."""

    received: list[int]
    sent: list[int]


class Connection:
    """The protocol on one TCP connection.

    `incoming` says that the peer opened it: such a connection begins in Active, wants
    `handle(Event.TCP_CONNECTION_CONFIRMED, now)` next and is done with its first `Down`.  Any other begins
    in Idle, wants a start event and lasts through any number of TCP connections.  `rng` returns numbers
    from 0.0 to 1.0, for jitter, and `restart` what an OPEN of ours is to say of a restart.

    `more`: `receive` has stopped at its quota, or behind an OPEN; call it again with b"" in the next turn
    (or with what has come), and read no further before that, or the buffer grows.  `crash` is the last bug
    that was contained, `crashes` their number.  `last_error` is the last `Down`, `refused` the whole message
    that last ended a session by its fault.
    """

    __slots__ = (
        "_config",
        "_decoder",
        "_final",
        "_framer",
        "_fsm",
        "_open",
        "_out",
        "_plain",
        "_restart",
        "_rested",
        "_table",
        "_timers",
        "connected_at",
        "counters",
        "crash",
        "crashes",
        "established_at",
        "incoming",
        "last_error",
        "more",
        "refused",
    )

    def __init__(
        self,
        config: SessionConfig,
        table: AttributeTable,
        *,
        incoming: bool,
        rng: Callable[[], float],
        restart: Callable[[], RestartState] = _running,
    ) -> None:
        self.incoming = incoming
        self._restart = restart
        self.more = False
        self.crash: Crash | None = None
        self.refused = b""
        self.crashes = 0
        self.last_error: Down | None = None
        self.connected_at: float | None = None
        self.established_at: float | None = None
        self.counters = Counters([0] * 6, [0] * 6)
        self._config = config
        self._table = table
        self._fsm = Fsm(config, incoming=incoming)
        self._timers = Timers(rng)
        self._framer = Framer()
        self._decoder: Decoder | None = None  # in Established only
        self._plain = False
        self._rested = 0.0  # until then `sent` has nothing to do
        self._open = offer(config)
        self._final = b""
        self._out: list[bytes | Close | Connect] = []

    # --- What the shell asks ---------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state of the FSM."""
        return self._fsm.state

    @property
    def negotiated(self) -> Negotiated | None:
        """What the session is, in OpenConfirm and Established; else None."""
        return self._fsm.negotiated

    @property
    def connect_retry_counter(self) -> int:
        """ConnectRetryCounter (RFC 4271 section 8)."""
        return self._fsm.connect_retry_counter

    @property
    def deadline(self) -> float | None:
        """When to call `tick` at the latest, or None."""
        return self._timers.deadline

    @property
    def candidate(self) -> Candidate:
        """What is to know for the decision of a collision."""
        return Candidate(
            self.incoming, self._fsm.state, self._fsm.negotiated, self.connected_at, self.established_at
        )

    @property
    def unread(self) -> bytes:
        """What was received and not looked at: messages beyond the quota, and one that is not whole."""
        return self._framer.pending

    def outgoing(self) -> list[bytes | Close | Connect]:
        """Return what is to be done now, in order, once: octets to send, connections to open or close."""
        out, self._out = self._out, []
        return out

    # --- What the shell tells --------------------------------------------------------------------------

    def handle(
        self,
        event: Event,
        now: float,
        notification: Notification | None = None,
        text: str = "",
        parting: Parting = Parting.USUAL,
    ) -> list[Delivery]:
        """Take a start, a stop, or what became of the TCP connection.

        `notification` replaces the Cease of events 2, 8 and 23; it may hold RFC 9003's communication.
        `text` says in `Down` why.  `parting`: whether the peer is to keep our routes (RFC 4724, RFC 8538).
        """
        if event == Event.MANUAL_START:
            self._plain = False
        if event in (Event.TCP_CR_ACKED, Event.TCP_CONNECTION_CONFIRMED):
            if self._fsm.state in (State.CONNECT, State.ACTIVE) and not self._fsm.delaying:
                self.connected_at = now
        actions = self._fsm.handle(event, now, notification=notification, text=text, parting=parting)
        return self._do(actions, now)

    def receive(self, data: bytes, now: float) -> list[Delivery]:
        """Take octets from the peer; return what they say, at most a quota of it (see `more`).

        Whatever the octets are, nothing is raised: faults end the connection by the rules of RFC 4271
        section 6, and so does a bug of ours, which is kept in `crash`.
        """
        deliveries: list[Delivery] = []
        self.more = False
        if not self._connected:
            return deliveries
        deliver = deliveries.append
        take = self._framer.next
        decode = self._decoder.decode if self._decoder else None
        budget = QUOTA
        updates = 0
        state = self._fsm.state
        message: tuple[int, bytes] | None = None
        try:
            try:
                self._framer.feed(data)
                while budget > 0:
                    if decode is not None:
                        for body in self._framer.updates(budget, _OVERHEAD):
                            message = _UPDATE, body
                            deliver(decode(body))
                            updates += 1
                            budget -= _OVERHEAD + len(body)
                        if budget <= 0:
                            self.more = True
                            break
                    message = None
                    message = take()
                    if message is None:
                        break
                    type_, body = message
                    budget -= _OVERHEAD + len(body)
                    if type_ == _UPDATE and decode is not None:
                        deliver(decode(body))
                        updates += 1
                        continue
                    deliveries += self._message(type_, body, now)
                    state = self._fsm.state
                    if state == State.OPEN_CONFIRM or not self._connected:
                        # A collision is decided before the KEEPALIVE behind an OPEN makes this Established.
                        self.more = self._connected
                        break
                    decode = self._decoder.decode if self._decoder else None
                else:
                    self.more = True
            except Notify as fault:
                self.refused = b"" if message is None else frame(*message)
                deliveries += self._refuse(fault, now)
        except Exception as error:
            octets = bytes(data) if message is None else frame(*message)
            ended = any(isinstance(delivery, Down) for delivery in deliveries)
            deliveries += self._contain(error, octets, state, now, ended)
        if updates:
            self.counters.received[_UPDATE] += updates
            self._heard(now)
        return deliveries

    def tick(self, now: float, *, unread: bool = False) -> list[Delivery]:
        """Handle the timers that have expired.

        `unread`: octets of the peer may wait because the shell does not read.  HoldTimer is not for that: it
        waits until the shell has read on and called again.
        """
        deliveries: list[Delivery] = []
        while (timer := self._timers.due(now)) is not None:
            if timer is Timer.HOLD and self.more:
                # Our own quota left messages unread.
                deliveries += self.receive(b"", now)
                if self._timers.due(now) is not Timer.HOLD:
                    continue
            if timer is Timer.HOLD and unread:
                self._timers.arm(Timer.HOLD, _UNREAD, now)
                continue
            self._timers.disarm(timer)
            deliveries += self.handle(Event(timer), now)
        return deliveries

    def sent(self, octets: int, now: float) -> None:
        """Take note that the kernel took `octets` octets, of session or of routing messages."""
        negotiated = self._fsm.negotiated
        if octets <= 0 or negotiated is None or now < self._rested:
            return
        # A reflector calls this for each write to each of its clients, and seconds need no such grain.
        self._rested = (
            now + min(filter(None, (negotiated.keepalive_time, negotiated.send_hold_time, 1.0))) / 64
        )
        # RFC 4271 section 8.2.2: each KEEPALIVE or UPDATE sent restarts KeepaliveTimer.
        if negotiated.hold_time:
            self._timers.arm(Timer.KEEPALIVE, negotiated.keepalive_time, now)
        if self._timers.running(Timer.SEND_HOLD):
            self._timers.arm(Timer.SEND_HOLD, negotiated.send_hold_time, now)

    def request_refresh(self, family: Family) -> bool:
        """Ask the peer for its routes of `family` again; return whether it takes that (RFC 2918 4)."""
        negotiated = self._fsm.negotiated
        if self._fsm.state != State.ESTABLISHED or negotiated is None:
            return False
        if not negotiated.route_refresh or family not in negotiated.families:
            return False
        self._send(MessageType.ROUTE_REFRESH, encode(RouteRefresh(family.afi, family.safi)))
        return True

    # --- Messages to events ----------------------------------------------------------------------------

    @property
    def _connected(self) -> bool:
        return self._fsm.state >= State.OPEN_SENT or self._fsm.delaying

    def _message(self, type_: int, body: bytes, now: float) -> list[Delivery]:
        """Handle a message that is not an UPDATE in Established; raise Notify."""
        self.counters.received[type_] += 1
        match type_:
            case MessageType.OPEN:
                return self._handle_open(body, now)
            case MessageType.NOTIFICATION:
                return self._handle_notification(decode_notification(body), now)
            case MessageType.ROUTE_REFRESH:
                return self._handle_route_refresh(body, now)
            case MessageType.KEEPALIVE:
                return self._do(self._fsm.handle(Event.KEEPALIVE_MSG, now), now)
            case _:
                return self._do(self._fsm.handle(Event.UPDATE_MSG, now), now)

    def _handle_open(self, body: bytes, now: float) -> list[Delivery]:
        fsm = self._fsm
        if fsm.state == State.ESTABLISHED:
            return self._do(fsm.handle(Event.BGP_OPEN, now), now)
        theirs = decode_open(body)
        if fsm.state == State.OPEN_CONFIRM:
            return self._do(fsm.handle(Event.BGP_OPEN, now), now)
        negotiated = negotiate(self._config, self._open, theirs)
        self._framer.maximum = negotiated.maximum_receive
        event = Event.BGP_OPEN_WITH_DELAY_OPEN_TIMER_RUNNING if fsm.delaying else Event.BGP_OPEN
        return self._do(fsm.handle(event, now, negotiated=negotiated), now)

    def _handle_notification(self, notification: Notification, now: float) -> list[Delivery]:
        error = (notification.code, notification.subcode)
        if error == (ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.UNSUPPORTED_OPTIONAL_PARAMETER):
            # RFC 5492 section 3: such a peer "SHOULD" be tried again without capabilities.
            self._plain = not self._plain and self._may_be_plain
        version = error == (ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.UNSUPPORTED_VERSION_NUMBER)
        event = Event.NOTIF_MSG_VER_ERR if version else Event.NOTIF_MSG
        return self._do(self._fsm.handle(event, now, notification=notification), now)

    def _handle_route_refresh(self, body: bytes, now: float) -> list[Delivery]:
        negotiated = self._fsm.negotiated
        if self._fsm.state != State.ESTABLISHED or negotiated is None:
            return self._do(self._fsm.handle(Event.ROUTE_REFRESH_MSG, now), now)
        message = decode_route_refresh(body, negotiated.capabilities.enhanced_route_refresh)
        deliveries = self._do(self._fsm.handle(Event.ROUTE_REFRESH_MSG, now), now)
        # RFC 2918 section 4 and RFC 7313 section 5: what we did not offer to understand is ignored.
        offered = self._config.route_refresh
        if message.subtype != RouteRefreshSubtype.REQUEST:
            offered = negotiated.enhanced_route_refresh and message.subtype in set(RouteRefreshSubtype)
        if offered and BY_CODE.get((message.afi, message.safi)) in negotiated.families:
            deliveries.append(message)
        return deliveries

    def _heard(self, now: float) -> None:
        """Do for UPDATEs what event 27 does: HoldTimer starts again."""
        negotiated = self._fsm.negotiated
        if negotiated is not None and negotiated.hold_time:
            self._timers.arm(Timer.HOLD, negotiated.hold_time, now)

    @property
    def _may_be_plain(self) -> bool:
        return IPV4_UNICAST in self._config.families and self._config.local_as < 65536

    # --- Faults ----------------------------------------------------------------------------------------

    def _refuse(self, fault: Notify, now: float) -> list[Delivery]:
        """Turn what a decoder raised into a NOTIFICATION; the only place that does."""
        event = _FAULT.get(fault.code, Event.UPDATE_MSG_ERR)
        notification = Notification(fault.code, fault.subcode, fault.data)
        actions = self._fsm.handle(event, now, notification=notification, text=fault.reason)
        return self._do(actions, now)

    def _contain(
        self, error: Exception, octets: bytes, state: State, now: float, ended: bool
    ) -> list[Delivery]:
        """End the session for a bug of ours, unless it has `ended` already; others go on."""
        self.crashes += 1
        self.crash = Crash(octets, state, self._fsm.negotiated, error)
        text = f"internal error: {error!r}"
        if ended:
            return []
        if self._connected:
            actions = self._fsm.handle(Event.AUTOMATIC_STOP, now, notification=_OUT_OF_RESOURCES, text=text)
        else:
            # It struck while the connection was being closed: the FSM is through, what it wanted is not.
            actions = [Release(), Close(graceful=False), Down(state, Event.AUTOMATIC_STOP, text=text)]
            if not self.incoming:
                actions += self._fsm.handle(Event.AUTOMATIC_START_DAMPED, now)
        return self._do(actions, now)

    # --- Actions ---------------------------------------------------------------------------------------

    def _do(self, actions: list[Action], now: float) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for action in actions:
            match action:
                case Arm(timer, seconds):
                    self._timers.arm(timer, seconds, now)
                case Disarm(timer):
                    self._timers.disarm(timer)
                case Send(MessageType.NOTIFICATION, notification):
                    assert notification is not None
                    self.counters.sent[MessageType.NOTIFICATION] += 1
                    self._final = encode(notification)
                case Send(MessageType.OPEN):
                    self._open = offer(self._config, self._plain, self._restart())
                    self._send(MessageType.OPEN, _encoded(self._open))
                case Send():
                    # Where none of them gets out, one that waits is enough.
                    if not self._out or self._out[-1] is not _KEEPALIVE:
                        self._send(MessageType.KEEPALIVE, _KEEPALIVE)
                case Release():
                    self._release()
                case Close():
                    self._out.append(replace(action, final=self._final))
                    self._final = b""
                case Connect():
                    self._out.append(action)
                case Opened():
                    deliveries.append(action)
                case Established():
                    self._decoder = Decoder(action.negotiated.context(), self._table)
                    self.established_at = now
                    deliveries.append(action)
                case Down():
                    self.last_error = action
                    deliveries.append(action)
        return deliveries

    def _send(self, type_: MessageType, octets: bytes) -> None:
        self.counters.sent[type_] += 1
        self._out.append(octets)

    def _release(self) -> None:
        for timer in Timer:
            self._timers.disarm(timer)
        self._framer = Framer()
        self._decoder = None
        self._rested = 0.0
        self.more = False
        self.connected_at = self.established_at = None
        # RFC 4271 section 4.2: an OPEN is the first message, also before a NOTIFICATION.
        self._out = [item for item in self._out if item is not _KEEPALIVE]
