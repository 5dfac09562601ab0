"""One end of a session by hand: it says what a case wants, and keeps what it hears.

It is no speaker: nothing is checked, nothing refused.  It sends a KEEPALIVE now and then, unless it is told
to be silent, so that a session lasts.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from bgp.aio import sockopt
from bgp.aio.address import Endpoint
from bgp.errors import Notify
from bgp.family import Family
from bgp.iana import MessageType
from bgp.testing.conformance.hearing import Heard, Routes, hear
from bgp.testing.conformance.scene import HOLD_TIME
from bgp.wire.framing import Framer
from bgp.wire.message import Keepalive, Notification, Open, decode_notification, decode_open, encode

_KEEPALIVE = encode(Keepalive())
_EXTENDED = 65535


class Pulse:
    """Tells those who wait that something has happened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until the condition holds, looking after each beat; return whether it does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._event.wait()
        return bool(condition())


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a session goes from and to; `password` is for TCP-MD5 (RFC 2385)."""

    local: str
    remote: str
    port: int = 179
    password: str = ""

    def target(self) -> Endpoint:
        return Endpoint(ip_address(self.remote), self.port)

    def source(self) -> Endpoint:
        return Endpoint(ip_address(self.local))

    def sign(self, sock: socket.socket) -> None:
        if self.password:
            sockopt.set_md5_key(sock, ip_network(self.remote), self.password.encode())


@dataclass(eq=False)
class Talker:
    """One TCP connection with the target."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pulse: Pulse
    silent: bool = False
    opening: Open | None = None
    notification: Notification | None = None
    closed: bool = False
    nonsense: str = ""
    keepalives: int = 0
    routes: Routes = field(default_factory=dict)
    announced: list[tuple[Family, bytes]] = field(default_factory=list)
    refreshes: list[bytes] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def dial(cls, ends: Ends, pulse: Pulse, seconds: float) -> "Talker":
        """Connect; raise OSError, or TimeoutError, where that fails."""
        sock = sockopt.dialing_socket(ends.target().family, ends.source())
        try:
            ends.sign(sock)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(seconds):
                await loop.sock_connect(sock, ends.target().sockaddr)
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        return cls._of(reader, writer, pulse)

    @classmethod
    def _of(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pulse: Pulse) -> "Talker":
        talker = cls(reader, writer, pulse)
        loop = asyncio.get_running_loop()
        talker._tasks = [loop.create_task(talker._listen()), loop.create_task(talker._live())]
        return talker

    @property
    def over(self) -> bool:
        return self.closed or self.notification is not None

    def say(self, *messages: bytes) -> None:
        """Send octets; who has closed the connection does not hear them."""
        if not self.writer.is_closing():
            self.writer.write(b"".join(messages))

    def heard(self, family: Family, prefix: bytes) -> Heard | None:
        return self.routes.get((family, prefix))

    async def hang_up(self, *last: bytes) -> None:
        """Say the last words and close."""
        self.say(*last)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(OSError):
            self.writer.close()
            async with asyncio.timeout(1):
                await self.writer.wait_closed()
        self.closed = True

    async def _listen(self) -> None:
        framer = Framer(_EXTENDED)
        try:
            while data := await self.reader.read(65536):
                framer.feed(data)
                while (message := framer.next()) is not None:
                    self._take(*message)
                self.pulse.beat()
        except OSError:
            pass
        except (Notify, ValueError, IndexError) as error:
            self.nonsense = str(error)
        self.closed = True
        self.pulse.beat()

    def _take(self, type: int, body: bytes) -> None:
        match type:
            case MessageType.OPEN:
                self.opening = decode_open(body)
            case MessageType.NOTIFICATION:
                self.notification = self.notification or decode_notification(body)
            case MessageType.KEEPALIVE:
                self.keepalives += 1
            case MessageType.UPDATE:
                self.announced += hear(body, self.routes)
            case MessageType.ROUTE_REFRESH:
                self.refreshes.append(body)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(HOLD_TIME / 5)
            if not self.silent:
                self.say(_KEEPALIVE)


class Porch:
    """Where the target's own connections are waited for, on a target that only dials."""

    def __init__(self, server: asyncio.Server, arrived: asyncio.Queue[Talker]) -> None:
        self._server = server
        self._arrived = arrived

    @classmethod
    async def open(cls, ends: Ends, port: int, pulse: Pulse) -> "Porch":
        """Listen at our address; raise OSError where that cannot be had."""
        arrived: asyncio.Queue[Talker] = asyncio.Queue()

        async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while not arrived.empty():  # only the newest is of use
                await arrived.get_nowait().hang_up()
            arrived.put_nowait(Talker._of(reader, writer, pulse))

        sock = sockopt.bound_socket(replace(ends.source(), port=port))
        try:
            ends.sign(sock)
            server = await asyncio.start_server(come, sock=sock)
        except BaseException:
            sock.close()
            raise
        return cls(server, arrived)

    async def next(self, seconds: float) -> Talker:
        async with asyncio.timeout(seconds):
            while (talker := await self._arrived.get()).closed:
                pass
            return talker

    def close(self) -> None:
        self._server.close()
