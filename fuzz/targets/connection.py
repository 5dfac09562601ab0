"""Whatever a peer sends, in whatever pieces, and whatever the shell reports and when: a Connection never
raises and contains no crash, its messages are whole and in order, its buffers bounded, its deadline ahead;
a tick before the deadline does nothing, after Down nothing more is sent, and the pieces make no difference.

Input: a program, see `fuzz.targets.session`.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from bgp.errors import Notify
from bgp.iana import MessageType
from bgp.session.action import Close, Connect, Delivery, Down, Established, Opened
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.wire.attributes import AttributeTable
from bgp.wire.framing import Framer
from bgp.wire.message import Notification, RouteRefresh, decode, decode_notification
from bgp.wire.update import Update
from fuzz.targets.session import EVENTS, WAITS, Done, Step, configuration, drawn, drawn_update

from fuzz.targets.session import peers_open, program  # isort: skip
from fuzz.target import Broken, Target, hold

_EXTENDED = 65535
# No session waits longer for anything than its largest time, with some room.
_HORIZON = 70_000.0
_SINGLES, _HANDFUL = 45, 389
_MOST = 16384  # octets that a repetition feeds at most; short messages reach the quota with less


class Session:
    """A Connection under the eyes of one who knows what it promises; `cut`: it is fed in small pieces."""

    def __init__(self, bits: int, cut: bool) -> None:
        self.config, self.incoming, random = configuration(bits)
        self.connection = Connection(
            self.config, AttributeTable(), incoming=self.incoming, rng=lambda: random
        )
        self.cut = cut
        self.now = 1000.0
        self.log: list[object] = []
        self.up = False  # there is a TCP connection
        self.opened = self.established = self.open_sent = False
        self.over = False  # an incoming connection has done its service
        self.last = b""
        if self.incoming:
            self.event(Event.TCP_CONNECTION_CONFIRMED)

    # --- What can be done to it -------------------------------------------------------------------------

    def do(self, done: Done) -> None:
        step, number = done.step, done.number
        match step:
            case Step.ESTABLISH:
                self.establish(number)
            case Step.OCTETS | Step.MESSAGE | Step.KEEPALIVE:
                self.feed(done.octets)
            case Step.LEAVE:
                self.feed(done.octets, leave=True)
            case Step.UPDATE:
                self.feed(drawn_update(number))
            case Step.OPEN:
                self.feed(peers_open(self.config, number))
            case Step.REPEAT:
                times = min(number + 1, _MOST // max(len(self.last), 1))
                self.feed(self.last * times)
            case Step.WAIT:
                self.wait(self.now + WAITS[number % len(WAITS)])
            case Step.DEADLINE | Step.UNREAD:
                if self.connection.deadline is not None:
                    self.wait(self.connection.deadline, unread=step is Step.UNREAD)
            case Step.EARLY:
                self.early()
            case Step.EVENT:
                self.event(EVENTS[number % len(EVENTS)])
            case Step.SENT:
                self.connection.sent(number, self.now)
            case Step.REFRESH:
                asked = self.connection.request_refresh(self.config.families[0])
                hold(self.established or not asked, "a refresh is asked for out of turn")
                self.put_out()
        self.look()

    def establish(self, changes: int) -> None:
        if not self.incoming:
            self.event(Event.MANUAL_START)
            self.event(Event.TCP_CONNECTION_CONFIRMED if self.config.passive else Event.TCP_CR_ACKED)
        self.feed(peers_open(self.config, changes))
        self.feed(b"\xff" * 16 + b"\0\x13\4")

    def event(self, event: Event) -> None:
        before = self.connection.state
        deliveries = self.connection.handle(event, self.now)
        if event in (Event.TCP_CR_ACKED, Event.TCP_CONNECTION_CONFIRMED):
            if before in (State.CONNECT, State.ACTIVE):
                self.up = True
        self.delivered(deliveries)
        self.put_out()

    def feed(self, octets: bytes, leave: bool = False) -> None:
        if octets:
            self.last = octets[-4096:]
        for piece in _pieces(octets) if self.cut else [octets]:
            self.receive(piece, leave)

    def receive(self, octets: bytes, leave: bool) -> None:
        connection = self.connection
        self.delivered(connection.receive(octets, self.now))
        calls = 0
        while connection.more and not leave:
            held = connection._framer.buffered
            self.delivered(connection.receive(b"", self.now))
            calls += 1
            hold(connection._framer.buffered < held or not connection.more, "more, but no progress")
            hold(calls <= 64, f"{calls} calls for {len(octets)} octets")
        if not connection.more:
            held = connection._framer.buffered
            hold(held < connection._framer.maximum, f"{held} octets are held back")
        self.put_out()

    def wait(self, until: float, unread: bool = False) -> None:
        connection = self.connection
        while connection.deadline is not None and connection.deadline <= until:
            hold(connection.deadline >= self.now, "the deadline has passed unseen")
            self.now = connection.deadline
            self.delivered(connection.tick(self.now, unread=unread))
            self.put_out()
            hold(
                connection.deadline is None or connection.deadline > self.now,
                f"tick at {self.now} leaves the deadline {connection.deadline}",
            )
        self.now = max(until, self.now)

    def early(self) -> None:
        connection, deadline = self.connection, self.connection.deadline
        state = connection.state
        if deadline is None or deadline > self.now:
            hold(not connection.tick(self.now), "a tick before the deadline delivers something")
            hold(not connection.outgoing(), "a tick before the deadline sends something")
            hold((connection.deadline, connection.state) == (deadline, state), "an early tick counts")

    # --- What must then be so ---------------------------------------------------------------------------

    def look(self) -> None:
        connection = self.connection
        if connection.crashes:
            assert connection.crash is not None
            raise Broken(f"crashed: {connection.crash.error!r}") from connection.crash.error
        state, deadline = connection.state, connection.deadline
        hold(deadline is None or self.now < deadline < self.now + _HORIZON, f"{deadline=} at {self.now}")
        if self.over:
            hold(deadline is None, f"over, but there is a deadline in {state.label}")
            return
        silent = state == State.ESTABLISHED and connection.negotiated and not connection.negotiated.hold_time
        if state != State.IDLE and not silent:
            hold(deadline is not None, f"nothing ends {state.label}")
        hold(self.established == (state == State.ESTABLISHED), f"{state.label}, told {self.established=}")
        negotiated = connection.negotiated
        hold((negotiated is not None) == (state >= State.OPEN_CONFIRM), f"negotiated in {state.label}")
        if negotiated is not None:
            hold(connection._framer.maximum == negotiated.maximum_receive, "another maximum than negotiated")
        if negotiated is not None and negotiated.hold_time:
            hold(deadline is not None, "no KEEPALIVE will follow")
            assert deadline is not None
            late = deadline - self.now > max(negotiated.keepalive_time, 1.0) + 0.001
            hold(not late, f"the next KEEPALIVE is due at {deadline}")

    def delivered(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            hold(not self.over, f"{delivery} after Down")
            self.log.append(_comparable(delivery))
            match delivery:
                case Opened():
                    hold(self.up and not self.opened, "Opened out of turn")
                    self.opened = True
                case Established():
                    hold(self.opened and not self.established, "Established out of turn")
                    self.established = True
                case Down(state=state):
                    hold((state == State.ESTABLISHED) == self.established, f"down from {state.label}")
                    self.opened = self.established = False
                    self.over = self.incoming
                case _:
                    hold(self.established, f"{delivery} before Established")

    def put_out(self) -> None:
        for item in self.connection.outgoing():
            self.log.append(item)
            match item:
                case bytes():
                    hold(self.up, f"{item.hex()} goes out without a connection")
                    for kind in _kinds(item):
                        hold(kind != MessageType.NOTIFICATION, "a NOTIFICATION goes out without a Close")
                        hold(self.open_sent or kind == MessageType.OPEN, f"type {kind} before the OPEN")
                        self.open_sent = True
                case Close(final=final):
                    if final:
                        hold(self.up, "a NOTIFICATION without a connection")
                        hold(_kinds(final) == [MessageType.NOTIFICATION], f"{final.hex()} is the last word")
                        free = self.open_sent or self.config.notification_without_open
                        hold(free, "a NOTIFICATION before the OPEN")
                    self._finished(final)
                    self.up = self.open_sent = False
                case Connect():
                    hold(not self.incoming, "a connection of the peer's dials")
                    hold(not self.up, "dials on top of a connection")
        hold(not self.connection.outgoing(), "outgoing lists things twice")

    def _finished(self, final: bytes) -> None:
        down = self.connection.last_error
        if final:
            sent = decode_notification(final[19:])
            hold(down is not None and down.sent is not None, f"{sent!r} goes out, told {down}")
            assert down is not None and down.sent is not None
            hold((sent.code, sent.subcode) == (down.sent.code, down.sent.subcode), f"{sent!r}, told {down}")


def _pieces(octets: bytes) -> Iterator[bytes]:
    """Yield single octets at first, then handfuls, for the sake of time."""
    for at in range(min(len(octets), _SINGLES)):
        yield octets[at : at + 1]
    for at in range(_SINGLES, len(octets), _HANDFUL):
        yield octets[at : at + _HANDFUL]


def _kinds(octets: bytes) -> list[int]:
    """Return the types of the messages in `octets`, all of which must be whole and good."""
    framer = Framer(_EXTENDED)
    framer.feed(octets)
    found = []
    try:
        while (message := framer.next()) is not None:
            found.append(message[0])
            decode(*message)
    except Notify as notify:
        raise Broken(f"sends {octets.hex()}, which is {notify}") from notify
    hold(found and not framer.buffered, f"sends {octets.hex()}, which are no whole messages")
    return found


def _comparable(delivery: Delivery) -> Any:
    if not isinstance(delivery, Update):
        return delivery
    announced = [
        (part.family, part.prefixes, part.path_ids, part.attributes.octets, part.attributes.next_hop)
        for part in delivery.announced
    ]
    withdrawn = [tuple(part) for part in delivery.withdrawn]
    faults = [(fault.rule.name, fault.offset, fault.data) for fault in delivery.faults]
    return (announced, withdrawn, delivery.end_of_rib, delivery.outcome, faults, delivery.ignored)


def run(data: bytes, cut: bool = False) -> Iterator[tuple[Done | None, Session]]:
    """Yield the session as it begins, then each step with the session behind it."""
    bits, steps = program(data)
    session = Session(bits, cut)
    yield None, session
    for done in steps:
        session.do(done)
        yield done, session
        if session.over:
            break
    if not session.over:
        # Left alone, everything ends or goes on by itself, and never spins.
        for _ in range(20):
            if session.connection.deadline is None:
                break
            session.do(Done(Step.DEADLINE))


def check(data: bytes) -> None:
    logs: list[list[object]] = []
    for cut in False, True:
        log: list[object] = []
        for done, session in run(data, cut):
            if done is not None and done.step is Step.LEAVE and cut:
                return  # where the quota strikes depends on the pieces
            log = session.log
        logs.append(log)
    whole, pieces = logs
    for index, (one, other) in enumerate(zip(whole, pieces, strict=False)):
        hold(one == other, f"in pieces, number {index} is {other}, whole {one}")
    hold(len(whole) == len(pieces), f"in pieces there are {len(pieces)} results, whole {len(whole)}")


def seed(random: Random) -> bytes:
    return drawn(random)


def view(data: bytes) -> Iterator[str]:
    seen = 0
    for done, session in run(data):
        if done is None:
            yield f"{session.config}, {'incoming' if session.incoming else 'our own'}"
        else:
            number = f" {done.number}" if done.number else ""
            yield f"{done.step.name}{number} {done.octets.hex()}".rstrip()
        for item in session.log[seen:]:
            yield f"    {_short(item)}"
        seen = len(session.log)
        yield f"    {session.connection.state.label} at {session.now}, deadline {session.connection.deadline}"


def _short(item: object) -> str:
    match item:
        case bytes():
            return f"sends {item.hex()}"
        case Close(final=final) if final:
            return f"closes with {Notification(final[19], final[20], final[21:])}"
        case Opened() | Established():
            return type(item).__name__
        case Down(state=state, text=text):
            return f"Down from {state.label}: {text}"
        case RouteRefresh():
            return str(item)
        case tuple():
            return f"UPDATE {item}"
        case _:
            return type(item).__name__


TARGET = Target("connection", check, seed, view, 1024)
