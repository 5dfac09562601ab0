"""A peer made of bytes: enough BGP to feed a recorded table and to record what comes, and nothing of ours.

    raw.py feed LOCAL REMOTE ASN FILE...     dial, then write the files' messages, which are whole UPDATEs
    raw.py record LOCAL REMOTE ASN FILE      dial, then append every UPDATE that arrives to the file
    raw.py talk LOCAL REMOTE ASN SAY HEAR    dial, then write what SAY holds and what is appended to it, and
                                             append every UPDATE that arrives to HEAR

All offer IPv4 and IPv6 unicast, four-octet AS numbers and no hold time, and go on until they are ended.
"""

import lzma
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HEADER = 19
MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
MP_REACH, MP_UNREACH = 14, 15

# A prefix as (AFI, its wire octets), and attributes as type -> (flags without Extended Length, value).
Prefix = tuple[int, bytes]
Attributes = dict[int, tuple[int, bytes]]


def message(kind: int, body: bytes = b"") -> bytes:
    return MARKER + struct.pack("!HB", HEADER + len(body), kind) + body


def open_message(asn: int, identifier: str, hold_time: int = 0) -> bytes:
    """Return an OPEN with IPv4 and IPv6 unicast, and four-octet AS numbers."""
    capabilities = b"".join(
        (
            bytes.fromhex("0104 0001 00 01"),
            bytes.fromhex("0104 0002 00 01"),
            bytes.fromhex("4104") + struct.pack("!I", asn),
        )
    )
    parameters = bytes([2, len(capabilities)]) + capabilities
    my_as = asn if asn < 65536 else 23456
    fixed = struct.pack("!BHH4sB", 4, my_as, hold_time, socket.inet_aton(identifier), len(parameters))
    return message(OPEN, fixed + parameters)


def messages(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of each message in `stream`."""
    position = 0
    while position < len(stream):
        length, kind = struct.unpack_from("!HB", stream, position + 16)
        yield kind, stream[position + HEADER : position + length]
        position += length


def prefixes(field: bytes, afi: int) -> Iterator[Prefix]:
    position = 0
    while position < len(field):
        after = position + 1 + (field[position] + 7) // 8
        yield afi, field[position:after]
        position = after


def attributes(field: bytes) -> Attributes:
    found, position = {}, 0
    while position < len(field):
        flags, kind = field[position], field[position + 1]
        if flags & 0x10:
            (length,) = struct.unpack_from("!H", field, position + 2)
            position += 4
        else:
            length = field[position + 2]
            position += 3
        found[kind] = flags & 0xE0, field[position : position + length]
        position += length
    return found


def update(body: bytes) -> tuple[list[Prefix], list[Prefix], Attributes, bytes]:
    """Return (withdrawn, announced, attributes, next hop) of an UPDATE with routes of one family."""
    (length,) = struct.unpack_from("!H", body, 0)
    withdrawn = list(prefixes(body[2 : 2 + length], 1))
    start = 4 + length
    (length,) = struct.unpack_from("!H", body, start - 2)
    found = attributes(body[start : start + length])
    announced = list(prefixes(body[start + length :], 1))
    next_hop = found.pop(3, (0, b""))[1]
    if MP_UNREACH in found:
        value = found.pop(MP_UNREACH)[1]
        withdrawn += prefixes(value[3:], int.from_bytes(value[:2], "big"))
    if MP_REACH in found:
        value = found.pop(MP_REACH)[1]
        next_hop = value[4 : 4 + value[3]]
        announced += prefixes(value[5 + value[3] :], int.from_bytes(value[:2], "big"))
    return withdrawn, announced, found, next_hop


def table(stream: bytes) -> dict[Prefix, tuple[bytes, tuple[tuple[int, tuple[int, bytes]], ...]]]:
    """Return what remains after all messages of `stream`: prefix -> (next hop, attributes by type)."""
    found: dict[Prefix, tuple[bytes, tuple[tuple[int, tuple[int, bytes]], ...]]] = {}
    for kind, body in messages(stream):
        if kind != UPDATE:
            continue
        withdrawn, announced, kept, next_hop = update(body)
        for prefix in withdrawn:
            found.pop(prefix, None)
        entry = next_hop, tuple(sorted(kept.items()))
        for prefix in announced:
            found[prefix] = entry
    return found


def read(path: Path) -> bytes:
    """Return a file of messages, unpacked if it is packed."""
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


class Session:
    """An established session; what arrives is handed out as whole messages."""

    def __init__(self, local: str, remote: str, asn: int) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.socket = socket.create_connection((remote, 179), 10, (local, 0))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._buffer = b""
        # The identifier only has to be one's own: here the last octet of the address does.
        number = int(local.replace("::", ".").rpartition(".")[2], 16 if ":" in local else 10)
        self.socket.sendall(open_message(asn, f"198.18.0.{number}"))
        # UPDATEs may come in the same segment as the KEEPALIVE that they follow.
        self.early = b""
        established = False
        while not established:
            for kind, body in self.receive():
                if kind == OPEN:
                    self.socket.sendall(message(KEEPALIVE))
                elif kind == UPDATE:
                    self.early += message(kind, body)
                established = established or kind == KEEPALIVE
        self.socket.settimeout(None)

    def receive(self) -> list[tuple[int, bytes]]:
        """Wait for octets and return the messages that they complete; exit where the session ends."""
        data = self.socket.recv(1 << 18)
        if not data:
            sys.exit("the peer has closed the connection")
        self._buffer += data
        found = []
        while len(self._buffer) >= HEADER:
            (length,) = struct.unpack_from("!H", self._buffer, 16)
            if len(self._buffer) < length:
                break
            kind, body = self._buffer[18], self._buffer[HEADER:length]
            self._buffer = self._buffer[length:]
            if kind == NOTIFICATION:
                sys.exit(f"NOTIFICATION {body.hex()}")
            found.append((kind, body))
        return found

    def updates(self) -> bytes:
        """Wait for octets and return the UPDATEs that they complete."""
        return b"".join(message(kind, body) for kind, body in self.receive() if kind == UPDATE)

    def feed(self, stream: bytes) -> None:
        """Write `stream`, reading all the while, and then read on for ever."""
        view = memoryview(stream)
        self.socket.setblocking(False)
        while True:
            readable, writable, _ = select.select([self.socket], [self.socket] if view else [], [])
            if readable:
                self.receive()
            if writable:
                view = view[self.socket.send(view[: 1 << 18]) :]

    def record(self, path: Path) -> None:
        """Append each UPDATE that arrives to `path`, for ever."""
        with path.open("ab", buffering=0) as file:
            file.write(self.early)
            while True:
                file.write(self.updates())

    def talk(self, say: Path, hear: Path) -> None:
        """Write what `say` holds, now or later, and append each UPDATE that arrives to `hear`, for ever."""
        with say.open("rb", buffering=0) as source, hear.open("ab", buffering=0) as file:
            file.write(self.early)
            while True:
                if words := source.read():
                    self.socket.sendall(words)
                if select.select([self.socket], [], [], 0.02)[0]:
                    file.write(self.updates())


def main(what: str, local: str, remote: str, asn: str, *files: str) -> None:
    stream = b"".join(read(Path(file)) for file in files) if what == "feed" else b""
    session = Session(local, remote, int(asn))
    print("established", flush=True)
    if what == "feed":
        session.feed(stream)
    elif what == "talk":
        session.talk(Path(files[0]), Path(files[1]))
    else:
        session.record(Path(files[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
