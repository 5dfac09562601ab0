"""A neighbor's session: `Connection` on asyncio's streams, and the Adj-RIB-Out that goes out on it.

The `Connection` decides what is to be done, and when; here is only who does it.  A neighbor is dialed and
dialed again until it is stopped.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Iterable
from ipaddress import ip_network

from bgp.aio import sockopt
from bgp.aio.address import Endpoint, end_of
from bgp.aio.options import PeerOptions
from bgp.family import Family
from bgp.iana import HEADER_LENGTH, CeaseSubcode, ErrorCode, MessageType, RouteRefreshSubtype
from bgp.session.action import Close, Connect, Delivery, Down, Established, Opened
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.session.negotiation import Negotiated
from bgp.tools.exabgp.adjacency import Adjacency
from bgp.wire.attributes import AttributeTable
from bgp.wire.message import Notification, RouteRefresh

_READ = 65536
# How long the last message may take to arrive.
_LINGER = 2.0


class Session:
    """The session with the neighbor of `options`; `tell` hears what it says, `complain` what cannot be."""

    def __init__(
        self,
        options: PeerOptions,
        asn: int,
        identifier: int,
        tell: Callable[["Session", Delivery], None],
        complain: Callable[[str], None],
    ) -> None:
        self._config = options.session(asn, identifier)
        self._connection = Connection(self._config, AttributeTable(), incoming=False, rng=random.random)
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._dialing: asyncio.Task[None] | None = None
        self._working: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._control: list[bytes] = []
        self._wake = asyncio.Event()
        self._updates = 0
        self._writer: asyncio.StreamWriter | None = None
        self.options = options
        self.asn = self._config.local_as
        self.identifier = identifier
        self.since = self._loop.time()
        self.adjacency = Adjacency(lambda text: complain(f"{options.address}: {text}"))
        self.local: Endpoint | None = options.source
        self.negotiated: Negotiated | None = None

    @property
    def state(self) -> State:
        """The state of the FSM."""
        return self._connection.state

    @property
    def counters(self) -> tuple[list[int], list[int]]:
        """Messages that were received and sent, by their types."""
        sent = list(self._connection.counters.sent)
        sent[MessageType.UPDATE] += self._updates
        return self._connection.counters.received, sent

    def start(self) -> None:
        """Dial, from now on."""
        self._settle(self._connection.handle(Event.MANUAL_START, self._loop.time()))

    async def stop(self) -> None:
        """End the session for good; return when the neighbor has heard so, or after a while."""
        self._settle(self._connection.handle(Event.MANUAL_STOP, self._loop.time(), text="shutting down"))
        if self._closing:
            await asyncio.wait(self._closing, timeout=_LINGER)

    def reset(self, subcode: int = CeaseSubcode.ADMINISTRATIVE_RESET) -> None:
        """End the session with a Cease, and let it start anew."""
        if self.state >= State.OPEN_SENT:
            cease = Notification(ErrorCode.CEASE, subcode)
            self._settle(self._connection.handle(Event.AUTOMATIC_STOP, self._loop.time(), cease, "teardown"))

    def request_refresh(self, families: Iterable[Family]) -> bool:
        """Ask for the neighbor's routes again; return whether it takes that for any of the families."""
        asked = [self._connection.request_refresh(family) for family in families]
        self._settle(())
        return any(asked)

    def hurry(self) -> None:
        """Send what the Adj-RIB-Out has by now."""
        self._wake.set()

    # --- what the connection wants and delivers ----------------------------------------------------------
    def _settle(self, deliveries: Iterable[Delivery]) -> None:
        self._act()
        for delivery in deliveries:
            match delivery:
                case Opened(negotiated):
                    self.negotiated = negotiated
                case Established(negotiated):
                    self.since = self._loop.time()
                    if self.local is not None:
                        self.adjacency.begin(negotiated, self.local.address.packed)
                case RouteRefresh(afi, safi, RouteRefreshSubtype.REQUEST):
                    families = [
                        each for each in self.options.families if (each.afi, each.safi) == (afi, safi)
                    ]
                    enhanced = self.negotiated is not None and self.negotiated.enhanced_route_refresh
                    self.adjacency.again(families, enhanced=enhanced)
                case Down():
                    self.since = self._loop.time()
                    self.adjacency.end()
            self._tell(self, delivery)
            if isinstance(delivery, Down):
                self.negotiated = None
        self._act()
        self._arm()
        self._wake.set()

    def _act(self) -> None:
        for wish in self._connection.outgoing():
            match wish:
                case bytes():
                    self._control.append(wish)
                case Connect():
                    self._undial()
                    self._dialing = self._loop.create_task(self._dial())
                case Close(final, graceful):
                    self._undial()
                    self._close(final, graceful)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._connection.deadline
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._settle(self._connection.tick(self._loop.time()))

    # --- the TCP connection --------------------------------------------------------------------------------
    async def _dial(self) -> None:
        options = self.options
        sock = sockopt.dialing_socket(options.remote.family, options.source)
        try:
            if options.key is not None:
                sockopt.set_md5_key(sock, ip_network(options.remote.address), options.key)
            ttl = options.sending_ttl(self.asn)
            if ttl is not None:
                sockopt.set_ttl(sock, ttl)
            if options.minimum_ttl is not None:
                sockopt.set_minimum_ttl(sock, options.minimum_ttl)
            await self._loop.sock_connect(sock, options.remote.sockaddr)
            reader, writer = await asyncio.open_connection(sock=sock, limit=_READ)
        except OSError as error:
            sock.close()
            self._dialing = None
            text = f"cannot connect: {_reason(error)}"
            self._settle(self._connection.handle(Event.TCP_CONNECTION_FAILS, self._loop.time(), text=text))
            return
        except BaseException:
            sock.close()
            raise
        self._dialing = None
        self.local = end_of(sock.getsockname)
        writer.transport.set_write_buffer_limits(0)
        self._writer = writer
        self._control.clear()
        self._working = [
            self._loop.create_task(self._receive(reader, writer)),
            self._loop.create_task(self._send(writer)),
        ]
        self._settle(self._connection.handle(Event.TCP_CR_ACKED, self._loop.time()))

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what comes until the connection is over, or is ours no more by what came."""
        text = "closed by the peer"
        while self._writer is writer:
            try:
                data = await reader.read(_READ)
            except OSError as error:
                data, text = b"", f"connection lost: {_reason(error)}"
            if not data:
                self._settle(
                    self._connection.handle(Event.TCP_CONNECTION_FAILS, self._loop.time(), text=text)
                )
                return
            self._settle(self._connection.receive(data, self._loop.time()))
            while self._connection.more and self._writer is writer:
                await asyncio.sleep(0)
                self._settle(self._connection.receive(b"", self._loop.time()))

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        """Write what is there whenever the kernel has taken all that was before."""
        with contextlib.suppress(OSError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._control or self.adjacency.pending:
                    messages, self._control = self._control, []
                    if self.state == State.ESTABLISHED:
                        pulled = self.adjacency.pull()
                        self._updates += sum(each[HEADER_LENGTH - 1] == MessageType.UPDATE for each in pulled)
                        messages += pulled
                    octets = b"".join(messages)
                    writer.write(octets)
                    await writer.drain()
                    self._connection.sent(len(octets), self._loop.time())
                self._arm()

    def _close(self, final: bytes, graceful: bool) -> None:
        """Part with the TCP connection, which ends by itself from here."""
        writer, self._writer = self._writer, None
        current = asyncio.current_task()
        for task in self._working:
            if task is not current:
                task.cancel()
        self._working = []
        self._control.clear()
        if writer is not None:
            task = self._loop.create_task(_part(writer, final, graceful))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _undial(self) -> None:
        if self._dialing is not None and self._dialing is not asyncio.current_task():
            self._dialing.cancel()
        self._dialing = None


async def _part(writer: asyncio.StreamWriter, final: bytes, graceful: bool) -> None:
    """Let a connection say its last words."""
    with contextlib.suppress(OSError, TimeoutError):
        if final:
            writer.write(final)
        if graceful:
            async with asyncio.timeout(_LINGER):
                await writer.drain()
        writer.close()
        async with asyncio.timeout(_LINGER):
            await writer.wait_closed()
    writer.transport.abort()


def _reason(error: OSError) -> str:
    # asyncio puts words of its own in place of strerror.
    return os.strerror(error.errno) if error.errno else str(error)
