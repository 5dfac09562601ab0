"""Sessions by the thousand that come and go: what they leave behind is nothing.

`in_memory` joins each Connection to the Router by hand, `over_tcp` goes through a whole Speaker on the
loopback interface: every session is from an address of its own, says some routes, hears the others' and
breaks off.  A sample is taken every now and then, when nobody is there.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Iterator

from bgp.aio.options import PeerOptions
from bgp.family import IPV4_UNICAST
from bgp.member import PeerSettings
from bgp.policy import ACCEPT_ALL
from bgp.router import Router
from bgp.session.action import Delivery, Down, Established
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event
from bgp.speaker import Speaker
from bgp.testing import census
from bgp.wire.update import Update

from . import wire

# How many are there at a time, and how many routes each says.
TOGETHER = 50
ROUTES = 4


def in_memory(count: int, samples: int) -> Iterator[tuple[int, dict[str, int], dict[str, int]]]:
    """Let `count` sessions come and go; yield how many were, and counts, `samples` times."""
    router = Router(wire.ASN, 0x0A000001)
    config = SessionConfig(
        local_as=wire.ASN, identifier=0x0A000001, peer_as=wire.ASN, families=(IPV4_UNICAST,)
    )
    every = max(count // samples, TOGETHER)
    for first in range(0, count, TOGETHER):
        there = [_Session(router, config, number) for number in range(first, first + TOGETHER)]
        _turns(router, there)
        assert router.rib.routes == TOGETHER * ROUTES, router.rib.routes
        for session in there:
            # Each of a session's own routes is kept from it, the others' are told.
            assert session.heard > 0
            session.end()
        del there, session
        while router.work():
            pass
        router.flush()
        done = first + TOGETHER
        if done % every == 0:
            yield done, census.of_router(router), dict(census.of_objects())


class _Session:
    """A session of one peer with the router, from its OPEN to its end."""

    def __init__(self, router: Router, config: SessionConfig, number: int) -> None:
        self.router, self.number, self.heard = router, number, 0
        self.connection = Connection(config, router.table, incoming=True, rng=lambda: 0.5)
        self._take(self.connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0))
        routes = b"".join(wire.prefix(number % 50000 * ROUTES + each) for each in range(ROUTES))
        block = wire.attributes(0x0A090001 + number % 200, number)
        for octets in (wire.open_message(0x0A100000 + number), wire.KEEPALIVE, wire.update(block, routes)):
            self._take(self.connection.receive(octets, 0.0))
            while self.connection.more:
                self._take(self.connection.receive(b"", 0.0))

    def _take(self, deliveries: Iterable[Delivery]) -> None:
        self.connection.outgoing()
        for delivery in deliveries:
            match delivery:
                case Established():
                    settings = PeerSettings(
                        name=f"peer-{self.number}",
                        client=True,
                        local_address=bytes((10, 0, 0, 1)),
                        remote_address=struct.pack("!I", 0x0A100000 + self.number),
                        import_policy=ACCEPT_ALL,
                        export_policy=ACCEPT_ALL,
                    )
                    self.member = self.router.up(settings, delivery.negotiated)
                case Update():
                    self.router.update(self.member, delivery)
                case Down():
                    self.router.down(self.member)

    def pull(self) -> bool:
        octets = self.router.pull(self.member)
        self.heard += sum(map(len, octets))
        return self.member.pending

    def end(self) -> None:
        self._take(self.connection.handle(Event.TCP_CONNECTION_FAILS, 0.0))


def _turns(router: Router, there: list[_Session]) -> None:
    more = True
    while more:
        more = router.work()
        more = router.flush() or more
        for session in there:
            more = session.pull() or more


async def over_tcp(
    count: int, samples: int
) -> AsyncIterator[tuple[int, dict[str, int], dict[str, int], int]]:
    """Let `count` sessions come and go over TCP; yield how many were, counts, objects and memory."""
    options = PeerOptions(asn=wire.ASN, client=True, passive=True, families=(IPV4_UNICAST,))
    every = max(count // samples, TOGETHER)
    async with Speaker(asn=wire.ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        speaker.add_listen_range("127.0.0.0/8", options, limit=2 * TOGETHER)
        for first in range(0, count, TOGETHER):
            numbers = range(first, first + TOGETHER)
            await asyncio.gather(*(_visit(speaker.listening[0], number) for number in numbers))
            while speaker.peers or speaker.router.rib.routes or speaker._host.closing:
                await asyncio.sleep(0)
            done = first + TOGETHER
            if done % every == 0:
                counts = census.of_speaker(speaker)
                yield done, counts, dict(census.of_objects()), census.resident()


async def _visit(address: tuple[str, int], number: int) -> None:
    """Be a peer: say routes, hear at least as many as would be one's own, and break off."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        host = 0x7F010000 + number % 60000
        sock.bind((socket.inet_ntoa(struct.pack("!I", host)), 0))
        await loop.sock_connect(sock, address)
        routes = b"".join(wire.prefix(number % 50000 * ROUTES + each) for each in range(ROUTES))
        block = wire.attributes(0x0A090001 + number % 200, number)
        words = (wire.open_message(0x0A100000 + number, 90), wire.KEEPALIVE, wire.update(block, routes))
        await loop.sock_sendall(sock, b"".join(words))
        heard = b""
        # OPEN, KEEPALIVE and End-of-RIB; what the others say may come before or after.
        while heard.count(wire.END_OF_RIB) < 1:
            more = await loop.sock_recv(sock, 65536)
            assert more, "the speaker has ended the session"
            heard += more
        if number % 2:
            # A reset in place of a FIN, which is what a machine that restarts looks like.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
