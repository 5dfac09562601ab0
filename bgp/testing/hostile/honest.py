"""An honest client: it says its routes, believes what it is told, and knows what it should have been told."""

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import NamedTuple

from bgp.family import IPV4_UNICAST
from bgp.iana import AttributeType, MessageType
from bgp.testing.hostile import words
from bgp.wire.framing import Framer
from bgp.wire.prefix import split

# Where honest routes are: /32s in 10.0.0.0/8, and nobody else's are there.
BASE = 0x0A000000
FIRST = 0x7F010001  # the address of the first client, and its identifier
NEXT_HOP = 0x0B000001  # its next hop: of loopback addresses there can be none
_REMEMBERED = 20000
_T = AttributeType


class Route(NamedTuple):
    """What is checked of a route: the MED tells one announcement from the next."""

    med: int
    next_hop: int
    originator: int


Changes = list[tuple[bytes, Route | None]]


class Reader:
    """Reads UPDATEs, of which all clients are told the same: so each is read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Changes] = {}

    def read(self, body: bytes) -> Changes:
        """Return what an UPDATE says of honest routes; raise ValueError where it is malformed."""
        found = self._known.get(body)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[body] = read(body)
        return found


def read(body: bytes) -> Changes:
    """Return what an UPDATE says of honest routes; raise ValueError where it is malformed."""
    start = 2 + int.from_bytes(body[:2], "big")
    end = start + 2 + int.from_bytes(body[start : start + 2], "big")
    if end > len(body):
        raise ValueError(f"malformed UPDATE {body.hex()}")
    changes: Changes = [(each, None) for each in split(body[2:start], IPV4_UNICAST) if _honest(each)]
    announced = [each for each in split(body[end:], IPV4_UNICAST) if _honest(each)]
    if announced:
        values = dict(_attributes(body[start + 2 : end]))
        numbers = (values.get(kind, b"") for kind in (_T.MULTI_EXIT_DISC, _T.NEXT_HOP, _T.ORIGINATOR_ID))
        route = Route(*(int.from_bytes(each, "big") for each in numbers))
        changes += [(each, route) for each in announced]
    return changes


def _honest(prefix: bytes) -> bool:
    return prefix[:2] == b"\x20\x0a"


def _attributes(block: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(block):
        start = at + (4 if block[at] & 0x10 else 3)
        length = int.from_bytes(block[at + 2 : start], "big")
        found.append((block[at + 1], block[start : start + length]))
        at = start + length
    return found


@dataclass(slots=True)
class Lost:
    """Why a session ended."""

    reason: str


class Client:
    """One session, on a socket that does not block."""

    def __init__(self, number: int, routes: int, reader: Reader, hold_time: int) -> None:
        self.number = number
        self.address = FIRST + number
        self.own = [words.prefix(number * routes + each, BASE) for each in range(routes)]
        self.said: dict[bytes, Route] = {}
        self.held: dict[bytes, Route] = {}
        self.established = False
        self.socket: socket.socket | None = None
        self.due = 0.0  # when to dial again
        self.since = 0.0  # when it dialed
        self.heard = 0.0
        self.gap = 0.0  # the longest silence of the other side
        self.unsent = b""
        self._reader = reader
        self._hold_time = hold_time
        self._framer = Framer()
        self._next_keepalive = 0.0

    def dial(self, port: int, now: float) -> None:
        """Begin to connect, and to say who we are."""
        self.held.clear()
        self.established = False
        self.since = self.heard = now
        self._framer = Framer()
        self.unsent = words.an_open(self.address, hold_time=self._hold_time, enhanced_route_refresh=False)
        sock = self.socket = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((socket.inet_ntoa(struct.pack("!I", self.address)), 0))
        sock.connect_ex(("127.0.0.1", port))

    def hang_up(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        self.established = False
        self.held.clear()
        self.unsent = b""

    def receive(self, now: float) -> list[tuple[bytes, Route | None]] | Lost:
        """Read what there is; return what is news, or how the session was lost."""
        assert self.socket is not None
        try:
            data = self.socket.recv(1 << 17)
        except BlockingIOError:
            return []
        except OSError as error:
            return Lost(str(error))
        if not data:
            return Lost("closed without a word")
        if self.established:
            self.gap = max(self.gap, now - self.heard)
        self.heard = now
        self._framer.feed(data)
        news: Changes = []
        while (message := self._framer.next()) is not None:
            kind, body = message
            if kind == MessageType.UPDATE:
                changes = self._reader.read(body)
                for prefix, route in changes:
                    if route is None:
                        self.held.pop(prefix, None)
                    else:
                        self.held[prefix] = route
                news += changes
            elif kind == MessageType.KEEPALIVE and not self.established:
                self.established = True
                self.unsent += words.KEEPALIVE + self._words(self.said)
                self._next_keepalive = now + self._hold_time / 3
            elif kind == MessageType.NOTIFICATION:
                return Lost(f"NOTIFICATION {body.hex()}")
        return news

    def send(self) -> None:
        """Give the kernel what it takes."""
        if self.unsent and self.socket is not None:
            with contextlib.suppress(OSError):  # what is read next tells why
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def keep_alive(self, now: float) -> None:
        """Send a KEEPALIVE when it is due, and note how long there was silence."""
        if self.established:
            self.gap = max(self.gap, now - self.heard)
            if now >= self._next_keepalive:
                self._next_keepalive = now + self._hold_time / 3
                self.unsent += words.KEEPALIVE

    def announce(self, med: int, withdraw: int) -> None:
        """Say all our routes anew with this MED, but for the `withdraw`th, which goes (none if negative)."""
        gone = self.own[withdraw] if withdraw >= 0 else None
        route = Route(med, NEXT_HOP + self.number, self.address)
        said = {prefix: route for prefix in self.own if prefix != gone}
        withdrawn = b"".join(prefix for prefix in self.said if prefix not in said)
        self.said = said
        if self.established:
            self.unsent += self._words(said, withdrawn)

    def _words(self, routes: dict[bytes, Route], withdrawn: bytes = b"") -> bytes:
        if not routes:
            return b""
        route = next(iter(routes.values()))
        return words.update(words.attributes(route.next_hop, route.med), b"".join(routes), withdrawn)
