"""A client that costs next to nothing, so that one process has thousands: what it holds is one number.

Routes are numbered, and a bit of `held` stands for each.  All clients are told the same messages, so each
is read once, and from then on it is two numbers: what it announces and what it withdraws.
"""

import contextlib
import re
import socket
import struct
from enum import Enum

from bgp.iana import MessageType
from bgp.testing.hostile import honest, words

_MARKER = b"\xff" * 16
_LENGTH = len(_MARKER)
# The length's first octet, behind a marker, is at most 0x10: so 0xff at the end of a message stays with it.
_split = re.compile(b"(?:" + _MARKER + b")(?=[\0-\x10])").split
_OPEN, _UPDATE, _NOTIFICATION, _KEEPALIVE = (
    MessageType.OPEN,
    MessageType.UPDATE,
    MessageType.NOTIFICATION,
    MessageType.KEEPALIVE,
)
# Messages that are remembered, and octets taken from the kernel at once.
_REMEMBERED = 30_000
_READ = 1 << 18


class Phase(Enum):
    """How far a client is."""

    AWAY = 0
    DIALING = 1
    ESTABLISHED = 2


class Numbers:
    """Reads messages, without their markers: (type, announced bits, withdrawn bits)."""

    def __init__(self, clients: int, routes: int) -> None:
        self.routes = routes
        self.whole = (1 << clients * routes) - 1
        self.wrong: list[str] = []
        self._known: dict[bytes, tuple[int, int, int]] = {}

    def own(self, number: int) -> int:
        """Return the bits of the routes that the client of this number has."""
        return ((1 << self.routes) - 1) << number * self.routes

    def read(self, message: bytes) -> tuple[int, int, int]:
        """Return what it says; raise ValueError where it is malformed."""
        if not self.routes:
            return message[2], 0, 0  # nothing is expected, and what comes may be too much to be remembered
        found = self._known.get(message)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[message] = self._read(message)
        return found

    def _read(self, message: bytes) -> tuple[int, int, int]:
        if len(message) < 3 or int.from_bytes(message[:2], "big") != len(message) + _LENGTH:
            raise ValueError(f"malformed message {message[:64].hex()}")
        announced = withdrawn = 0
        if message[2] == _UPDATE:
            for prefix, route in honest.read(message[3:]):
                number = int.from_bytes(prefix[1:], "big") - honest.BASE
                if route is None:
                    withdrawn |= 1 << number
                else:
                    announced |= 1 << number
                    owner = number // self.routes
                    if route[1:] != (honest.NEXT_HOP + owner, honest.FIRST + owner):
                        self.wrong.append(f"{prefix.hex()}: {route}")
        return message[2], announced, withdrawn


class Light:
    """One session, on a socket that does not block; what it does is asked of it by its owner."""

    __slots__ = (
        "_keepalive_due",
        "_numbers",
        "_tail",
        "due",
        "gap",
        "heard",
        "held",
        "hold_time",
        "number",
        "phase",
        "socket",
        "unsent",
        "wanted",
    )

    def __init__(self, number: int, numbers: Numbers, hold_time: int) -> None:
        self.number, self.hold_time = number, hold_time
        self._numbers = numbers
        self.wanted = numbers.whole & ~numbers.own(number)
        self.held = 0
        self.phase = Phase.AWAY
        self.socket: socket.socket | None = None
        self.due = 0.0  # when to dial
        self.heard = 0.0
        self.gap = 0.0  # the longest silence of the other side
        self.unsent = b""
        self._tail = b""
        self._keepalive_due = 0.0

    @property
    def complete(self) -> bool:
        """Whether it holds what it should."""
        return self.held == self.wanted and self.phase is Phase.ESTABLISHED

    def dial(self, port: int, now: float) -> socket.socket:
        """Begin to connect, and to say who we are."""
        sock = self.socket = socket.socket()
        sock.setblocking(False)
        address = honest.FIRST + self.number
        sock.bind((socket.inet_ntoa(struct.pack("!I", address)), 0))
        sock.connect_ex(("127.0.0.1", port))
        self.unsent = words.an_open(address, hold_time=self.hold_time, enhanced_route_refresh=False)
        self.phase, self.heard, self._tail, self.held = Phase.DIALING, now, b"", 0
        return sock

    def hang_up(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        self.phase, self.held, self.unsent, self._tail = Phase.AWAY, 0, b"", b""

    def receive(self, now: float) -> str:
        """Read what there is; return how the session has ended, if it has."""
        assert self.socket is not None
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return ""
        except OSError as error:
            return error.strerror or str(error)
        if not data:
            return "closed without a word"
        if self.phase is Phase.ESTABLISHED:
            self.gap = max(self.gap, now - self.heard)
        self.heard = now
        return self.feed(data, now)

    def feed(self, data: bytes, now: float) -> str:
        """Believe these octets; return how the session has ended, if it has."""
        first, *messages = _split(self._tail + data)
        if first or not messages:
            self._tail += data  # not even a marker yet
            return "" if len(self._tail) <= _LENGTH else "no marker"
        # Of the last one the end may be missing, or the beginning of a marker be there.
        last = messages.pop()
        length = int.from_bytes(last[:2], "big") - _LENGTH if len(last) > 1 else 1 << 16
        self._tail = _MARKER + last
        if len(last) >= length:
            messages.append(last[:length])
            self._tail = last[length:]
        return self._hear(messages, now)

    def _hear(self, messages: list[bytes], now: float) -> str:
        read, held = self._numbers.read, self.held
        for message in messages:
            kind, announced, withdrawn = read(message)
            if kind == _UPDATE:
                held = held & ~withdrawn | announced
            elif kind == _KEEPALIVE and self.phase is not Phase.ESTABLISHED:
                self.phase = Phase.ESTABLISHED
                self._keepalive_due = now + self.hold_time / 3
                self.unsent += words.KEEPALIVE + self.routes() + words.END_OF_RIB
            elif kind == _NOTIFICATION:
                return f"NOTIFICATION {message[3]}/{message[4]}"
        self.held = held
        return ""

    def routes(self) -> bytes:
        """Return the UPDATE with all that it has to say."""
        count = self._numbers.routes
        if not count:
            return b""
        each = (words.prefix(self.number * count + at, honest.BASE) for at in range(count))
        return words.update(words.attributes(honest.NEXT_HOP + self.number), b"".join(each))

    def send(self) -> None:
        """Give the kernel what it takes."""
        if self.unsent and self.socket is not None:
            with contextlib.suppress(OSError):  # what is read next tells why
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def tick(self, now: float) -> str:
        """Do what time asks for; return how the session has ended, if it has."""
        if self.phase is Phase.ESTABLISHED:
            self.gap = max(self.gap, now - self.heard)
            if now - self.heard > self.hold_time:
                return "our hold timer"
            if now >= self._keepalive_due:
                self._keepalive_due = now + self.hold_time / 3
                self.unsent += words.KEEPALIVE
                self.send()
        return ""
