"""A BGP peer by hand, for tests: it says what the test wants, and nothing else."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Self

from bgp.aio.events import PeerEvent
from bgp.aio.peer import Peer
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import MessageType
from bgp.session.event import State
from bgp.speaker import Speaker
from bgp.wire.capability import Capabilities, GracefulRestart
from bgp.wire.framing import Framer
from bgp.wire.message import Keepalive, Notification, Open, decode_notification, decode_open, encode

TIMEOUT = 10.0
BOTH = (IPV4_UNICAST, IPV6_UNICAST)


class RawPeer:
    """A TCP connection to or from a speaker, with messages in and out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._framer = Framer()

    @classmethod
    async def dial(cls, speaker: Speaker, source: str = "127.0.0.2", buffer: int | None = None) -> Self:
        """Connect to the speaker's first listening address from `source`."""
        host, port = speaker.listening[0]
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.bind((source, 0))
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (host, port)), TIMEOUT)
        return cls(*await asyncio.open_connection(sock=sock, limit=4096))

    async def send(self, *messages: bytes | Open | Notification | Keepalive) -> None:
        for message in messages:
            self.writer.write(message if isinstance(message, bytes) else encode(message))
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes] | None:
        """Return the next message as type and body, or None at the end."""
        async with asyncio.timeout(TIMEOUT):
            while (message := self._framer.next()) is None:
                try:
                    data = await self._reader.read(65536)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self._framer.feed(data)
        return message

    async def expect(self, type_: MessageType) -> bytes:
        """Return the body of the next message of this type; only KEEPALIVE and UPDATE may come before."""
        while True:
            message = await self.receive()
            assert message is not None, f"the connection ended before {type_.name}"
            if message[0] == type_:
                return message[1]
            assert message[0] in (MessageType.KEEPALIVE, MessageType.UPDATE), message[0]

    async def notification(self) -> Notification:
        return decode_notification(await self.expect(MessageType.NOTIFICATION))

    async def rest(self) -> list[tuple[int, bytes]]:
        """Return all messages to the end."""
        messages = []
        while (message := await self.receive()) is not None:
            messages.append(message)
        return messages

    async def establish(self, open_: Open | None = None) -> Open:
        """Exchange OPENs and KEEPALIVEs; return the speaker's OPEN."""
        await self.send(open_ or an_open())
        theirs = decode_open(await self.expect(MessageType.OPEN))
        await self.expect(MessageType.KEEPALIVE)
        await self.send(Keepalive())
        return theirs

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def an_open(
    asn: int = 65000,
    identifier: int = 0x0A000002,
    hold_time: int = 90,
    families: tuple[Family, ...] = BOTH,
    graceful_restart: GracefulRestart | None = None,
) -> Open:
    capabilities = Capabilities(
        graceful_restart=graceful_restart,
        families=tuple((family.afi, family.safi) for family in families),
        four_octet_as=asn,
        route_refresh=True,
    )
    return Open(asn, hold_time, identifier, capabilities.encode())


async def wait_for(condition: Callable[[], object], change: Callable[[], Awaitable[object]]) -> None:
    """Wait until the condition holds, looking after each change."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await change()


async def peer_state(speaker: Speaker, peer: Peer, state: State) -> None:
    """Wait until the peer is in this state."""
    with speaker.events() as events:
        await wait_for(lambda: peer.state == state, events.__anext__)


async def event_of(speaker: Speaker, condition: Callable[[PeerEvent], object]) -> PeerEvent:
    """Wait for an event that fulfills the condition."""
    async with asyncio.timeout(TIMEOUT):
        with speaker.events() as events:
            while True:
                event = await anext(events)
                if condition(event):
                    return event


async def has_routes(speaker: Speaker, family: Family, *prefixes: str) -> None:
    """Wait until the speaker's best routes of the family are exactly these."""
    changed = asyncio.Event()
    unwatch = speaker.router.watch(lambda *_: changed.set())

    async def change() -> None:
        await changed.wait()
        changed.clear()

    try:
        await wait_for(
            lambda: (
                sum(1 for _ in speaker.router.rib.best(family)) == len(prefixes)
                and set(speaker.best(family)) == set(prefixes)
            ),
            change,
        )
    finally:
        unwatch()


def messages_of(messages: list[tuple[int, bytes]], type_: MessageType) -> list[bytes]:
    return [body for kind, body in messages if kind == type_]
