"""One `Connection` joined to the world: its TCP connection, its timer, its place in the router.

A link of a configured peer dials, and lasts through any number of TCP connections; one that the listener
accepted ends with its own.  All that comes in (octets, timers, losses, what the operator wants) goes to the
`Connection` as an event; what that wants done is done, and what it delivers goes to the router or, where
other connections of the peer are concerned, to the owner.

A bug, in whatever is called from here, ends this session and no other.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from typing import Protocol

from bgp.aio import sockopt
from bgp.aio.address import Endpoint, end_of
from bgp.aio.host import Host
from bgp.aio.pace import Refreshes
from bgp.aio.stream import HIGH_WATER, Stream
from bgp.aio.traffic import Traffic
from bgp.errors import Notify
from bgp.family import Family
from bgp.iana import CeaseSubcode, ErrorCode, MessageType
from bgp.member import Member, PeerSettings
from bgp.session.action import Close, Connect, Delivery, Down, Established, Opened
from bgp.session.config import SessionConfig
from bgp.session.event import Event, State
from bgp.session.negotiation import Negotiated
from bgp.session.restart import Parting
from bgp.wire.message import Notification, RouteRefresh
from bgp.wire.update import Update

logger = logging.getLogger(__name__)

# So much of what led to a bug is logged.
_KEPT = 4096
_OUT_OF_RESOURCES = Notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)


class Owner(Protocol):
    """The peer, as its links see it."""

    def prepare(self, sock: socket.socket, *, dialing: bool) -> None:
        """Set what this peer's sockets have beyond the common."""

    def settings(self, local: Endpoint, remote: Endpoint) -> PeerSettings:
        """Return what the router must know of a session between these two."""

    def link_attached(self, link: "Link") -> None:
        """Let the taps hear the TCP connection that `link` has; asked only where there are any."""

    def link_malformed(self, update: Update) -> None:
        """Report an UPDATE that RFC 7606 softens."""

    def link_opened(self, link: "Link") -> None:
        """Look for a collision: the peer's OPEN came on `link`."""

    def link_established(self, link: "Link") -> None:
        """Hear that `link` is Established."""

    def link_ended(self, link: "Link", down: Down) -> None:
        """Hear that the TCP connection of `link` is over."""

    def link_changed(self) -> None:
        """Hear that the state of a link may have changed."""


class Link:
    """A connection of a peer, and all it needs to run."""

    def __init__(
        self,
        host: Host,
        owner: Owner,
        config: SessionConfig,
        *,
        target: Endpoint | Callable[[], Endpoint] | None = None,
        source: Endpoint | None = None,
    ) -> None:
        """Make a link that dials `target`, or, without one, waits for `accept`.

        A `target` that is not known beforehand is asked for each time; it may raise OSError.
        """
        self._loop = asyncio.get_running_loop()
        self._host = host
        self._owner = owner
        self._target = target
        self._source = source
        self._dialing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # not every loop's handles can tell, where that is past
        self._in_line = False
        self._past = Traffic()
        self._reported = 0  # of the connection's crashes
        self._refreshes: Refreshes | None = None  # of a session that has asked for routes
        self._stream: Stream | None = None
        self.member: Member | None = None
        self.broken = False  # a bug has struck its FSM: it is of no use any more
        self.connection = host.connections(
            config,
            host.router.table,
            incoming=target is None,
            rng=host.world.random,
            restart=lambda: host.restart,
        )

    # --- what the peer wants -----------------------------------------------------------------------------
    @property
    def state(self) -> State:
        """The state of the FSM."""
        return self.connection.state

    @property
    def negotiated(self) -> Negotiated | None:
        """What the session is, from OpenConfirm on."""
        return self.connection.negotiated

    @property
    def is_up(self) -> bool:
        """Whether the router knows it."""
        return self.member is not None

    @property
    def local(self) -> Endpoint | None:
        """Our end of the TCP connection."""
        return None if self._stream is None else end_of(self._stream.socket.getsockname)

    @property
    def remote(self) -> Endpoint | None:
        """The peer's end of the TCP connection."""
        return None if self._stream is None else end_of(self._stream.socket.getpeername)

    @property
    def traffic(self) -> Traffic:
        """What it has moved so far, over all its TCP connections."""
        counters = self.connection.counters
        sent = list(counters.sent)
        if self.member is not None:
            sent[MessageType.UPDATE] += self.member.updates_sent
            sent[MessageType.ROUTE_REFRESH] += self.member.markers_sent
        now = Traffic(list(counters.received), sent, crashes=self.connection.crashes)
        if self._stream is not None:
            now.octets_received, now.octets_sent = self._stream.received, self._stream.sent
        return now + self._past

    @property
    def stream(self) -> Stream | None:
        """The octets of the TCP connection."""
        return self._stream

    @property
    def unsent(self) -> int:
        """Octets that wait for the kernel to take them."""
        return 0 if self._stream is None else self._stream.queued

    @property
    def mark(self) -> int | None:
        """Where the routing messages end that were handed over so far; None where there is no way out."""
        return None if self._stream is None else self._stream.mark

    def has_passed(self, mark: int) -> bool:
        """Whether the kernel took all that was before `mark`."""
        return self._stream is not None and self._stream.has_passed(mark)

    def accept(self, sock: socket.socket) -> None:
        """Take the connection that the peer opened; raise OSError if it is gone already."""
        self._owner.prepare(sock, dialing=False)
        self._attach(sock)
        self.handle(Event.TCP_CONNECTION_CONFIRMED)

    def handle(
        self,
        event: Event,
        notification: Notification | None = None,
        text: str = "",
        parting: Parting = Parting.USUAL,
    ) -> None:
        """Let the FSM have an event."""
        with self._contained():
            self._settle(self.connection.handle(event, self._loop.time(), notification, text, parting))

    def write(self, message: bytes) -> None:
        """Send a session message of the peer's own making."""
        if self._stream is not None:
            self._stream.write((message,), urgent=True)

    def set_md5_key(self, key: bytes | None) -> None:
        """Sign with another key from now on, or with none; raise OSError where the kernel does not let us."""
        remote = self.remote
        if self._stream is None or remote is None:
            return
        with contextlib.suppress(FileNotFoundError):  # there was none to take away
            sockopt.set_md5_key(self._stream.socket, ip_network(remote.address), key)

    def request_refresh(self, family: Family) -> bool:
        """Ask the peer for its routes of `family` again; return whether it takes that (RFC 2918 4)."""
        asked = self.connection.request_refresh(family)
        self._act()
        return asked

    def refuse(self, fault: Notify) -> None:
        """End the session as the router demands."""
        event = Event.AUTOMATIC_STOP if fault.code == ErrorCode.CEASE else Event.UPDATE_MSG_ERR
        self.handle(event, Notification(fault.code, fault.subcode, fault.data), fault.reason)

    def close(self) -> None:
        """Drop everything at once; nobody hears of it."""
        self._undial()
        self._cancel_timer()
        self._detach(abort=True)
        self._leave()

    # --- Connection's wishes and deliveries --------------------------------------------------------------
    def _settle(self, deliveries: Iterable[Delivery]) -> None:
        """Do what the connection wants done, pass on what it delivered, and set the timer."""
        if self.connection.crashes != self._reported:
            self._report()
        self._act()
        for delivery in deliveries:
            if type(delivery) is Update:
                # Nearly all that is delivered, and not looked for among the cases.
                if delivery.faults:
                    self._owner.link_malformed(delivery)
                self._route(delivery)
                continue
            match delivery:
                case Opened():
                    self._owner.link_opened(self)
                case Established():
                    self._join(delivery.negotiated)
                case Down():
                    self._leave(graceful=delivery.graceful)
                    self._owner.link_ended(self, delivery)
                case RouteRefresh():
                    if self._refreshes is None:
                        self._refreshes = Refreshes(self._refresh)
                    self._refreshes.ask(delivery)
        self._act()
        self._arm()
        self._owner.link_changed()

    def _act(self) -> None:
        for wish in self.connection.outgoing():
            match wish:
                case bytes():
                    self.write(wish)
                case Close(final, graceful):
                    self._undial()
                    self._detach(final, abort=not graceful)
                case Connect():
                    self._undial()
                    self._dialing = self._loop.create_task(self._dial())

    def _join(self, negotiated: Negotiated) -> None:
        """Let the router know the session."""
        local, remote = self.local, self.remote
        if local is None or remote is None:
            return  # the socket died meanwhile, and the loss is about to be reported
        try:
            self.member = self._host.router.up(
                self._owner.settings(local, remote), negotiated, self._loop.time()
            )
        except Exception as error:
            self._bug(error)
            return
        if self._stream is not None and not self._stream.queued:
            self.member.taker = self._stream
        self._host.turns.join(self)
        self._owner.link_established(self)

    def _leave(self, *, graceful: bool = False) -> None:
        """Let the router forget the session."""
        if self._refreshes is not None:
            self._refreshes.stop()
            self._refreshes = None
        member, self.member = self.member, None
        if member is not None:
            self._past.sent[MessageType.UPDATE] += member.updates_sent
            self._past.sent[MessageType.ROUTE_REFRESH] += member.markers_sent
            self._host.turns.leave(self)
            try:
                self._host.router.down(member, graceful=graceful, now=self._loop.time())
            except Exception:
                self._host.crashes += 1
                logger.exception("the router failed to take a peer down")
                # What was done of it is not done twice, and what was not must not stay undone.
                with contextlib.suppress(Exception):
                    self._host.router.down(member)
            self._host.turns.schedule()

    def _refresh(self, message: RouteRefresh) -> None:
        """Hand a ROUTE-REFRESH to the router, be it later than it came."""
        self._route(message)
        self._host.turns.schedule()

    def _route(self, delivery: RouteRefresh | Update) -> None:
        """Hand an UPDATE or a ROUTE-REFRESH to the router."""
        member = self.member
        if member is None:
            return  # what came before it in the same octets has ended the session
        try:
            if isinstance(delivery, RouteRefresh):
                self._host.router.refresh(member, delivery)
            else:
                self._host.router.update(member, delivery)
        except Notify as fault:
            self.refuse(fault)
        except Exception as error:
            self._bug(error, f" on {_describe(delivery)}")

    def _report(self) -> None:
        """Log a bug that the connection has contained, with the octets that led to it."""
        self._host.crashes += self.connection.crashes - self._reported
        self._reported = self.connection.crashes
        crash = self.connection.crash
        assert crash is not None
        octets = crash.octets[:_KEPT].hex()
        logger.error("internal error in %s on %s", crash.state.label, octets, exc_info=crash.error)

    def _bug(self, error: Exception, where: str = "") -> None:
        """End this session for a bug of ours, and keep what led to it in the log."""
        self._past.crashes += 1
        self._host.crashes += 1
        logger.error("internal error%s", where[:_KEPT], exc_info=error)
        self.handle(Event.AUTOMATIC_STOP, _OUT_OF_RESOURCES, f"internal error: {error!r}")

    @contextlib.contextmanager
    def _contained(self) -> Iterator[None]:
        """Survive a bug in the FSM or in the owner: this link starts over, the others go on."""
        try:
            yield
        except Exception as error:
            self._past.crashes += 1
            self._host.crashes += 1
            logger.exception("internal error")
            state = self.state
            self.broken = True
            self.close()
            down = Down(state, Event.AUTOMATIC_STOP, text=f"internal error: {error!r}")
            self._owner.link_ended(self, down)

    # --- the party in the loop's turns ---------------------------------------------------------------------
    def receive_slice(self) -> bool:
        """Process a quota of what arrived; return whether more is left."""
        if self._stream is not None:
            if self.connection.more:
                self.octets(b"")
            else:
                self._stream.poll()
        if self._stream is None:
            self._in_line = False
        elif not self.connection.more:
            self._in_line = False
            self._stream.resume()
        return self._in_line

    def send_chunk(self) -> bool:
        """Send a chunk if there is one and the socket has room; return whether there may be more."""
        member, stream = self.member, self._stream
        if member is None or stream is None or stream.queued or not member.pending:
            return False
        try:
            messages = self._host.router.pull(member, HIGH_WATER)
        except Notify as fault:
            self.refuse(fault)
            return False
        except Exception as error:
            self._bug(error)
            return False
        stream.write(messages)
        return member.pending and not stream.queued

    # --- the stream's reader -------------------------------------------------------------------------------
    def readable(self) -> bool:
        """Say whether to read now, or stand in line for a later turn."""
        if self._host.turns.may_receive():
            return True
        self._queue()
        return False

    def octets(self, data: bytes) -> None:
        """Take what arrived."""
        now = self._loop.time()
        with self._contained():
            self._settle(self.connection.receive(data, now))
        if not self._in_line:
            self._host.turns.spend(self._loop.time() - now)
            if self.connection.more:
                self._queue()

    def taken(self, octets: int) -> None:
        """Hear how many octets the kernel took just now."""
        self.connection.sent(octets, self._loop.time())

    def full(self) -> None:
        """Hear that the kernel takes no more for now."""
        if self.member is not None:
            self.member.taker = None

    def room(self) -> None:
        """Hear that all that was queued has been taken."""
        if self.member is not None:
            self.member.taker = self._stream
            self._host.turns.schedule()

    def lost(self, error: OSError | None) -> None:
        """Hear that the connection is gone."""
        self._detach(abort=False)
        text = "closed by the peer" if error is None else f"connection lost: {_reason(error)}"
        self.handle(Event.TCP_CONNECTION_FAILS, text=text)

    def _queue(self) -> None:
        if self._stream is not None and not self._in_line:
            self._in_line = True
            self._stream.pause()
            self._host.turns.queue(self)

    # --- the TCP connection --------------------------------------------------------------------------------
    def _attach(self, sock: socket.socket) -> None:
        self._stream = Stream(sock, self)
        if self._host.taps:
            self._owner.link_attached(self)
        self._stream.resume()

    def _detach(self, final: bytes = b"", *, abort: bool) -> None:
        """Part with the TCP connection, which ends by itself from here."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._past.octets_received += stream.received
        self._past.octets_sent += stream.sent
        if abort:
            stream.abort()
        elif stream.is_open:
            self._host.part(stream, final)

    async def _dial(self) -> None:
        """Open a TCP connection to the peer, and tell the FSM what came of it."""
        assert self._target is not None
        sock: socket.socket | None = None
        try:
            target = self._target() if callable(self._target) else self._target
            sock = self._host.world.dialing(target.family, self._source)
            self._owner.prepare(sock, dialing=True)
            await self._loop.sock_connect(sock, target.target)
            if sock.getsockname() == sock.getpeername():
                # TCP connects a port to itself if the system happens to choose the one that is dialed.
                raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except OSError as error:
            if sock is not None:
                sock.close()
            self._dialing = None
            self.handle(Event.TCP_CONNECTION_FAILS, text=f"cannot connect: {_reason(error)}")
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        else:
            self._dialing = None
            self._attach(sock)
            self.handle(Event.TCP_CR_ACKED)

    def _undial(self) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None

    # --- the timer -----------------------------------------------------------------------------------------
    def _arm(self) -> None:
        """Let the timer fire at the connection's deadline, or before: then it is set anew."""
        deadline = self.connection.deadline
        if deadline is None:
            self._cancel_timer()
        elif self._timer is None or self._timer_at > deadline:
            self._cancel_timer()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._fire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._stream is not None and self._stream.taken_at:
            # What it took without a word.
            self.connection.sent(1, self._stream.taken_at)
            self._stream.taken_at = 0.0
        deadline = self.connection.deadline
        if deadline is not None and deadline <= self._loop.time():
            if self._stream is not None and not self._in_line:
                # The peer's KEEPALIVE may lie in the kernel while this timer is about to judge it dead.
                self._stream.poll()
            with self._contained():
                self._settle(self.connection.tick(self._loop.time(), unread=self._in_line))
        self._arm()


def _describe(delivery: RouteRefresh | Update) -> str:
    """Return what is needed to try a message again that met with a bug."""
    if isinstance(delivery, RouteRefresh):
        return repr(delivery)
    withdrawn = [(part.family, part.path_ids, part.prefixes) for part in delivery.withdrawn]
    announced = [(part.family, part.path_ids, part.prefixes, part.attributes) for part in delivery.announced]
    return f"UPDATE withdrawing {withdrawn} announcing {announced}"


def _reason(error: OSError) -> str:
    # asyncio puts words of its own in place of strerror.
    if isinstance(error, sockopt.Explained):
        return str(error.strerror)
    return os.strerror(error.errno) if error.errno else str(error)
