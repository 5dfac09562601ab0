"""One connection of a peer that means no good: it says what it is told to, and hears what comes of it."""

import asyncio
import contextlib
import socket
import struct
from typing import Self

from bgp.iana import MessageType
from bgp.testing.hostile import words
from bgp.wire.framing import Framer
from bgp.wire.message import Notification, decode_notification

PATIENCE = 30.0


class Attacker:
    """A TCP connection from `source` to the victim."""

    def __init__(self, sock: socket.socket, source: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._framer = Framer(65535)
        self.socket = sock
        self.source = source

    @classmethod
    async def dial(cls, port: int, source: str, buffer: int | None = None) -> Self:
        """Connect; `buffer` is the size of our receive buffer."""
        sock = socket.socket()
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.bind((source, 0))
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(sock, ("127.0.0.1", port)), PATIENCE)
        except BaseException:
            sock.close()
            raise
        return cls(sock, source)

    @property
    def number(self) -> int:
        """Our address as a number; it serves as our identifier."""
        return int.from_bytes(socket.inet_aton(self.source), "big")

    async def send(self, *messages: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self.socket, b"".join(messages)), PATIENCE)

    async def receive(self) -> tuple[int, bytes] | None:
        """Return the next message as type and body, None at the end."""
        async with asyncio.timeout(PATIENCE):
            while (message := self._framer.next()) is None:
                try:
                    data = await self._loop.sock_recv(self.socket, 65536)
                except OSError:
                    return None
                if not data:
                    return None
                self._framer.feed(data)
        return message

    async def until(self, kind: MessageType) -> bytes | None:
        """Return the body of the next message of this type, None if the connection ends before it."""
        while (message := await self.receive()) is not None:
            if message[0] == kind:
                return message[1]
        return None

    async def establish(self, open_: bytes | None = None) -> Self:
        """Come to Established; raise ConnectionError where that is refused."""
        await self.send(open_ or words.an_open(self.number))
        if await self.until(MessageType.KEEPALIVE) is None:
            raise ConnectionError(f"the session from {self.source} does not come up")
        await self.send(words.KEEPALIVE)
        return self

    async def notification(self) -> Notification | None:
        """Return the NOTIFICATION with which the connection ends, None if it ends without one."""
        body = await self.until(MessageType.NOTIFICATION)
        return None if body is None else decode_notification(body)

    async def answers(self) -> bool:
        """Whether the session is alive: where it asks for all routes again, they begin to come."""
        try:
            await self.send(words.REFRESH)
            while (message := await self.receive()) is not None:
                if message[0] == MessageType.NOTIFICATION:
                    return False
                if message[0] == MessageType.ROUTE_REFRESH:
                    return True
        except OSError:
            pass
        return False

    def reset(self) -> None:
        """Break off with a RST."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
