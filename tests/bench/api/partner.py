"""The other end of the session, the same for all: it says when routes have arrived, and feeds some.

    python -m bench.api.partner hear ROUTES      wait until so many prefixes were announced
    python -m bench.api.partner feed ROUTES      feed so many routes when SIGUSR1 comes

It prints one JSON object to a line: {"port"} when it listens, {"up"} when the session is, and then
{"at", "updates"}, when the octets arrived that made the table whole, or {"begun"} when it began to feed.
Octets are only kept as they come, with the time; they are looked into when it is quiet.
"""

import json
import select
import signal
import socket
import sys
import time

import raw

from bench import tables

IDENTIFIER = "192.0.2.1"
HOLD_TIME = 240
# A KEEPALIVE so often does for whatever hold time the other side has; so long nothing comes when it is quiet.
KEEPALIVE, QUIET = 3.0, 0.3


def tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


class Partner:
    """An internal neighbor of whoever dials first."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        tell(port=listener.getsockname()[1])
        self.socket, _ = listener.accept()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(raw.open_message(tables.ASN, IDENTIFIER, HOLD_TIME))
        self._rest = b""
        self._alive = time.monotonic()
        established = False
        while not established:
            for kind, _ in self._split(self._arrived()):
                if kind == raw.OPEN:
                    self.socket.sendall(raw.message(raw.KEEPALIVE))
                established = established or kind == raw.KEEPALIVE
        self.socket.sendall(raw.message(raw.UPDATE, bytes(4)))  # End-of-RIB, of IPv4
        tell(up=time.monotonic())

    def _arrived(self, wait: float | None = None) -> bytes:
        """Wait for octets so long; exit where the session ends."""
        while not select.select([self.socket], [], [], KEEPALIVE if wait is None else wait)[0]:
            self._keep()
            if wait is not None:
                return b""
        self._keep()
        data = self.socket.recv(1 << 18)
        if not data:
            sys.exit("the session has ended")
        return data

    def _keep(self) -> None:
        now = time.monotonic()
        if now >= self._alive + KEEPALIVE:
            self._alive = now
            self.socket.sendall(raw.message(raw.KEEPALIVE))

    def _split(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the messages that `data` completes."""
        data = self._rest + data
        end = 0
        while len(data) >= end + raw.HEADER:
            length = int.from_bytes(data[end + 16 : end + 18], "big")
            if len(data) < end + length:
                break
            end += length
        self._rest = data[end:]
        found = list(raw.messages(data[:end]))
        for kind, body in found:
            if kind == raw.NOTIFICATION:
                sys.exit(f"NOTIFICATION {body.hex()}")
        return found

    def hear(self, routes: int) -> None:
        """Tell when so many different prefixes have been announced."""
        chunks: list[tuple[float, bytes]] = []
        seen: set[bytes] = set()
        updates = 0
        while True:
            data = self._arrived(QUIET)
            if data:
                chunks.append((time.monotonic(), data))
                continue
            for at, chunk in chunks:
                for kind, body in self._split(chunk):
                    if kind == raw.UPDATE:
                        _, announced, _, _ = raw.update(body)
                        updates += bool(announced)
                        seen.update(octets for _, octets in announced)
                if len(seen) >= routes:
                    tell(at=at, updates=updates)
                    return
            chunks.clear()

    def feed(self, routes: int) -> None:
        """Feed a table like the Internet's, and read on until the other side goes."""
        stream = b"".join(tables.updates(tables.made(routes), {tables.IPV4: bytes((192, 0, 2, 1))}))
        while signal.SIGUSR1 not in signal.sigpending():
            self._arrived(QUIET)
        tell(begun=time.monotonic())
        view = memoryview(stream)
        while True:
            readable, writable, _ = select.select([self.socket], [self.socket] if view else [], [], KEEPALIVE)
            if writable:
                view = view[self.socket.send(view[: 1 << 16]) :]
            if readable:
                self._arrived()
            if not view:
                self._keep()


def main(what: str, routes: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    partner = Partner()
    (partner.hear if what == "hear" else partner.feed)(int(routes))


if __name__ == "__main__":
    main(*sys.argv[1:])
