"""Clients of a soak: one that keeps its session and believes all that it hears, and one that comes and goes.

Both speak IPv4 and IPv6, some with ADD-PATH.  What a client says at a time is its `said`; some prefixes are
said by many, with a LOCAL_PREF that is each one's own, so it is known who of them is the best.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple, cast

from bgp.family import FAMILIES, IPV4_UNICAST, Family
from bgp.iana import EXTENDED_MESSAGE_LENGTH, AddPathMode, ErrorCode, MessageType
from bgp.iana import AttributeType as T
from bgp.session.config import SessionConfig
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.testing.draft import Item
from bgp.testing.hostile import words
from bgp.testing.listener import Listener
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.framing import Framer, frame
from bgp.wire.message import Notification, decode_open, encode

_FIRST = 0x7F010001
_OWN, _SHARED = 3, 40  # prefixes of a family that are a client's own, and such as many have
SILENT = "silent"
# What ends a session, and how often that is taken: most of them are as a node that restarts.
ENDS = ("reset", "reset", "close", "cease", SILENT)


class Key(NamedTuple):
    """A route, as its announcer names it."""

    family: Family
    prefix: bytes
    path_id: int


class Said(NamedTuple):
    """What is said of a route, and must be heard so."""

    next_hop: bytes
    med: int
    local_pref: int
    originator: int


def heard(attributes: Attributes) -> Said:
    """Return what was heard."""
    med, local_pref, originator = (
        int.from_bytes(attributes.get(kind) or b"", "big")
        for kind in (T.MULTI_EXIT_DISC, T.LOCAL_PREF, T.ORIGINATOR_ID)
    )
    return Said(attributes.next_hop, med, local_pref, originator)


class Client(asyncio.Protocol):
    """A client with `number`; of one that is not `steady` nothing is read but that it may begin."""

    def __init__(
        self, number: int, steady: bool, hold_time: int, counts: Counter[str], random: Random
    ) -> None:
        self.number, self.steady, self.hold_time = number, steady, hold_time
        self.address = _FIRST + number
        self.add_path = number % 4 == 0
        self.families = families = FAMILIES if number % 2 == 0 else (IPV4_UNICAST,)
        self._config = SessionConfig(
            local_as=words.ASN,
            identifier=self.address,
            families=families,
            hold_time=hold_time,
            add_path=dict.fromkeys(families, AddPathMode.BOTH) if self.add_path else {},
            graceful_restart=None,
        )
        self.said: dict[Key, Said] = {}
        self.established = self.silent = False
        self.lost: list[str] = []  # sessions that somebody else has ended
        self._counts, self._random = counts, random
        self._transport: asyncio.Transport | None = None
        self._dialing = False
        self._leaving = False
        self._keepalive: asyncio.TimerHandle | None = None
        self._version = 0
        self.listener: Listener | None = None
        self._tail = b""

    @property
    def there(self) -> bool:
        """Whether it has a connection, or is about to."""
        return self._dialing or self._transport is not None

    # --- what it does ------------------------------------------------------------------------------------
    async def dial(self, port: int) -> None:
        """Connect; it is Established when it is."""
        loop = asyncio.get_running_loop()
        self._leaving = self.silent = False
        self._dialing = True
        try:
            with contextlib.suppress(OSError):
                await loop.create_connection(
                    lambda: self,
                    "127.0.0.1",
                    port,
                    local_addr=(socket.inet_ntoa(struct.pack("!I", self.address)), 0),
                )
        finally:
            self._dialing = False

    def say(self, everything: bool = False) -> None:
        """Announce anew some of what it may, and withdraw some other, so that both are what is `said`."""
        if self._transport is None or not self.established:
            return
        self._counts["changes"] += 1
        for family in self.families:
            keys = [key for key in self._keys() if key.family is family]
            some = keys if everything else [key for key in keys if self._random.random() < 0.5]
            gone = [
                key for key in some if key in self.said and not everything and self._random.random() < 0.4
            ]
            for key in gone:
                del self.said[key]
            self._write(_withdrawal(family, b"".join(map(self._octets, gone))))
            for path_id in sorted({key.path_id for key in some}):
                new = [key for key in some if key not in gone and key.path_id == path_id]
                if new:
                    said = self._news(family, path_id)
                    self.said.update(dict.fromkeys(new, said))
                    self._write(_announcement(family, said, b"".join(map(self._octets, new))))

    def leave(self, how: str) -> None:
        """End the session as `how` says."""
        assert self._transport is not None
        self._counts[how] += 1
        self.established = False
        self.said.clear()
        if how == SILENT:
            self.silent = True
            self._transport.pause_reading()
            self._stop()
            return
        self._leaving = True
        if how == "cease":
            self._write(encode(Notification(ErrorCode.CEASE, 2)))
        elif how == "reset":
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
            return
        self._transport.close()

    def wake(self) -> None:
        """Look, after a silence, at what became of the session."""
        self._leaving = True
        if self._transport is not None:
            self._transport.abort()

    # --- what happens to it ------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._framer, self.listener, self._tail = Framer(EXTENDED_MESSAGE_LENGTH), None, b""
        self._ours = offer(self._config)
        self._write(encode(self._ours))

    def data_received(self, data: bytes) -> None:
        if self.established and not self.steady:
            self._tail = data[-64:]
            return
        self._framer.feed(data)
        while (message := self._framer.next()) is not None:
            kind, body = message
            if kind == MessageType.OPEN:
                self._open(body)
            elif kind == MessageType.KEEPALIVE and not self.established:
                self._begin()
            elif kind == MessageType.NOTIFICATION:
                self._tail = frame(kind, body)
            elif kind == MessageType.UPDATE and self.listener is not None:
                self.listener.hear(frame(kind, body))

    def connection_lost(self, error: Exception | None) -> None:
        if self.established:
            self.lost.append(f"client {self.number}: {error or 'closed'}, after {self._tail.hex()[-60:]}")
        elif not self._leaving and not self.silent:
            self._counts["refused"] += 1
        self._stop()
        self._transport, self.established, self.listener = None, False, None
        self.said.clear()

    # --- internals ---------------------------------------------------------------------------------------
    def _open(self, body: bytes) -> None:
        theirs = decode_open(body)
        service = SessionConfig(local_as=words.ASN, identifier=theirs.identifier)
        # As the service sees it, which is what a listener wants to know.
        self._negotiated: Negotiated = negotiate(service, theirs, self._ours)
        if self.steady:
            self.listener = Listener(self._negotiated, AttributeTable())
        self._write(words.KEEPALIVE)

    def _begin(self) -> None:
        self.established = True
        self._counts["sessions"] += 1
        self._beat()
        self.say(everything=True)
        self._write(words.END_OF_RIB)

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._keepalive = loop.call_later(self.hold_time / 3, self._beat)
        self._write(words.KEEPALIVE)

    def _stop(self) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None

    def _write(self, octets: bytes) -> None:
        if self._transport is not None and octets and not self._transport.is_closing():
            self._transport.write(octets)

    def _keys(self) -> list[Key]:
        """Return all routes that it may have."""
        found = []
        for family in self.families:
            base = b"\x0a" if family is IPV4_UNICAST else b"\x20\x01\x0d\xb8"
            length = 32 if family is IPV4_UNICAST else 128
            width = length // 8 - len(base)
            numbers = [self.number * _OWN + at for at in range(_OWN)]
            numbers += [0x10000 + (self.number * 7 + at * 13) % _SHARED for at in range(2)]
            prefixes = [bytes([length]) + base + number.to_bytes(width, "big") for number in numbers]
            found += [Key(family, prefix, 1) for prefix in prefixes]
            if self.add_path:
                found.append(Key(family, prefixes[0], 2))
        return found

    def _octets(self, key: Key) -> bytes:
        return struct.pack("!I", key.path_id) + key.prefix if self.add_path else key.prefix

    def _news(self, family: Family, path_id: int) -> Said:
        self._version += 1
        host = self.number + 1
        next_hop = struct.pack("!I", 0x0B000000 + host)
        if family is not IPV4_UNICAST:
            next_hop = b"\x20\x01\x0d\xb8\xff\xff" + bytes(6) + next_hop
        # Of two paths of one client the first is the better one.
        return Said(next_hop, self._version, 10_000 + 2 * self.number - path_id, self.address)


def _announcement(family: Family, said: Said, octets: bytes) -> bytes:
    local_pref = (T.LOCAL_PREF, struct.pack("!I", said.local_pref))
    if family is IPV4_UNICAST:
        block = words.attributes(int.from_bytes(said.next_hop, "big"), said.med, b"", local_pref)
        return words.update(block, octets)
    reach = struct.pack("!HBB", family.afi, family.safi, len(said.next_hop)) + said.next_hop + b"\0" + octets
    return words.update(
        words.attributes(0x0B000001, said.med, b"", local_pref, (T.MP_REACH_NLRI, reach)), b""
    )


def _withdrawal(family: Family, octets: bytes) -> bytes:
    if not octets:
        return b""
    if family is IPV4_UNICAST:
        return words.update(b"", b"", octets)
    value = struct.pack("!HB", family.afi, family.safi) + octets
    return words.update(Item(0x80, T.MP_UNREACH_NLRI, value).octets(), b"")


Table = dict[tuple[Family, bytes], Counter[Said]]


def model(clients: Iterable[Client]) -> Callable[[Client], Table]:
    """Return what says, of all that the clients have said, what one of them should hold."""
    paths: dict[tuple[Family, bytes], list[tuple[Client, Said]]] = {}
    for client in clients:
        for key, value in client.said.items():
            paths.setdefault((key.family, key.prefix), []).append((client, value))

    def expected(listener: Client) -> Table:
        found: Table = {}
        for where, some in paths.items():
            if where[0] in listener.families:
                told = some if listener.add_path else [max(some, key=lambda one: one[1].local_pref)]
                if values := Counter(value for client, value in told if client is not listener):
                    found[where] = values
        return found

    return expected


def held(client: Client) -> Table:
    """Return what a client holds."""
    assert client.listener is not None
    found: Table = {}
    for (family, prefix, _), attributes in client.listener.held.items():
        found.setdefault((family, prefix), Counter())[heard(attributes)] += 1
    return found
