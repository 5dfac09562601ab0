"""Members that stop reading while routes churn: what they cost the process, and what the others notice.

A speaker runs in a process of its own; this one plays all its peers over the loopback interface.  One
of them announces the routes, and then says each again with another MED, a batch at a time.  What a batch
takes to arrive is measured at some of the others, with and without those that have stopped.
"""

import asyncio
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bgp.aio.options import PeerOptions
from bgp.family import IPV4_UNICAST
from bgp.speaker import Speaker

from . import wire

_BATCH = 100
_INTERVAL = 0.005  # between two batches
_MED = bytes.fromhex("800404")
_LONGEST = 120.0


@dataclass(frozen=True, slots=True)
class Result:
    """Latencies in seconds, as they came, and octets of memory before the churn and at most."""

    latencies: list[float]
    before: int
    peak: int


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class _Peer:
    """One connection to the speaker."""

    def __init__(self, port: int, number: int, *, stops: bool = False) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if stops:
            # That it has stopped reading shall be noticed soon.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        host = 0x7F010001 + number
        self.socket.bind((socket.inet_ntoa(struct.pack("!I", host)), 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(wire.open_message(host) + wire.KEEPALIVE)
        self.socket.setblocking(False)
        self.unsent: deque[bytes] = deque()
        self._buffer = b""

    def say(self, octets: bytes) -> None:
        self.unsent.append(octets)
        self.send()

    def send(self) -> None:
        while self.unsent:
            try:
                taken = self.socket.send(self.unsent[0])
            except BlockingIOError:
                return
            rest = self.unsent.popleft()[taken:]
            if rest:
                self.unsent.appendleft(rest)

    def hear(self) -> list[int]:
        """Return the MEDs of the UPDATEs that arrived."""
        data = self._buffer + self.socket.recv(1 << 18)
        found, position = [], 0
        while len(data) - position >= 19:
            (length,) = struct.unpack_from("!H", data, position + 16)
            if len(data) - position < length:
                break
            at = data.find(_MED, position + 19, position + length) if data[position + 18] == 2 else -1
            if at > 0:
                found.append(int.from_bytes(data[at + 3 : at + 7], "big"))
            position += length
        self._buffer = data[position:]
        return found


def trial(stopped: int, readers: int, routes: int, rounds: int) -> Result:
    """Let `stopped` peers read no more while all routes are said anew `rounds` times."""
    command = [sys.executable, "-m", f"{__package__}.stalled", str(stopped + readers + 1)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as speaker:
        try:
            assert speaker.stdout is not None
            port = int(speaker.stdout.readline())
            return _Trial(port, speaker.pid, stopped, readers, routes).run(rounds)
        finally:
            speaker.kill()


class _Trial:
    """All the peers, in one loop."""

    def __init__(self, port: int, process: int, stopped: int, readers: int, routes: int) -> None:
        self._process, self._routes = process, routes
        self._feeder = _Peer(port, 0)
        self._readers = [_Peer(port, 1 + each) for each in range(readers)]
        self._stopped = [_Peer(port, 1 + readers + each, stops=True) for each in range(stopped)]
        self._poll = select.poll()
        self._peers = {peer.socket.fileno(): peer for peer in (self._feeder, *self._readers, *self._stopped)}
        for descriptor in self._peers:
            self._poll.register(descriptor, select.POLLIN)
        self._heard: dict[int, set[int]] = {descriptor: set() for descriptor in self._peers}
        self._sent: dict[int, float] = {}
        self.latencies: list[float] = []
        self.peak = 0

    def run(self, rounds: int) -> Result:
        batches = self._routes // _BATCH
        wanted = set(range(batches))
        for batch in range(batches):
            self._feeder.say(self._batch(batch, batch))
        others = [peer.socket.fileno() for peer in (*self._readers, *self._stopped)]
        self._until(lambda: all(len(self._heard[each]) == len(wanted) for each in others))
        for peer in self._stopped:
            self._poll.unregister(peer.socket)
        self.latencies.clear()
        before = self.peak = self._resident()
        number = batches
        for _ in range(rounds):
            for batch in range(batches):
                due = time.monotonic() + _INTERVAL
                self._sent[number] = time.monotonic()
                self._feeder.say(self._batch(batch, number))
                number += 1
                while (left := due - time.monotonic()) > 0:
                    self._turn(left)
                if number % 20 == 0:
                    self.peak = max(self.peak, self._resident())
        reading = [peer.socket.fileno() for peer in self._readers]
        self._until(lambda: all(number - 1 in self._heard[each] for each in reading))
        self.peak = max(self.peak, self._resident())
        return Result(self.latencies, before, self.peak)

    def _batch(self, batch: int, number: int) -> bytes:
        routes = b"".join(wire.prefix(batch * _BATCH + each) for each in range(_BATCH))
        return wire.update(wire.attributes(0x0A090001, number), routes)

    def _until(self, there: Callable[[], bool]) -> None:
        end = time.monotonic() + _LONGEST
        while not there():
            assert time.monotonic() < end, "it does not arrive"
            self._turn(0.1)

    def _turn(self, seconds: float) -> None:
        """Read what there is, for at most so long."""
        self._feeder.send()
        if self._feeder.unsent:
            self._poll.modify(self._feeder.socket, select.POLLIN | select.POLLOUT)
        else:
            self._poll.modify(self._feeder.socket, select.POLLIN)
        for descriptor, event in self._poll.poll(seconds * 1000):
            if not event & select.POLLIN:
                continue
            meds = self._peers[descriptor].hear()
            now = time.monotonic()
            self._heard[descriptor].update(meds)
            self.latencies += [now - self._sent[med] for med in meds if med in self._sent]

    def _resident(self) -> int:
        return int(Path(f"/proc/{self._process}/statm").read_text().split()[1]) * 4096


async def _serve(limit: int) -> None:
    options = PeerOptions(asn=wire.ASN, client=True, families=(IPV4_UNICAST,), hold_time=0)
    async with Speaker(asn=wire.ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        speaker.add_listen_range("127.0.0.0/8", options, limit=limit)
        print(speaker.listening[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
