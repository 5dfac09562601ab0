"""A million routes and hundreds of clients: how long each answer takes, and what it does to the sessions.

The clients have short keepalive times: how late a KEEPALIVE comes shows what else was done meanwhile.
"""

import contextlib
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgp.testing.hostile.orders import Orders
from bgp.testing.hostile.stage import hold
from bgp.testing.hostile.victim import Victim
from reflector.control.client import ask
from reflector.control.protocol import line

from . import wire
from .asker import command
from .crowd import crowd
from .restart import CONFIGURATION

# Seconds: the clients' hold time; a KEEPALIVE comes after a third of it.
HOLD_TIME = 9
# Prefixes with the same attributes, and one in so many sets has a community to look for.
_TOGETHER, _MARKED = 6, 1000
_COMMUNITY = struct.pack("!HH", wire.ASN, 7)
_FEEDER = "127.0.0.2"


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, how long the first octets and the last ones took, and how late the loop was meanwhile."""

    what: str
    rows: int
    first: float
    whole: float
    lag: float  # milliseconds

    def __str__(self) -> str:
        speed = f", {self.rows / self.whole:.0f} a second" if self.rows > 10_000 else ""
        return (
            f"{self.what:34} {self.rows:8} rows, first {self.first * 1000:7.1f} ms, "
            f"all {self.whole * 1000:9.1f} ms, loop late by {self.lag:4.0f} ms{speed}"
        )


def questions(routes: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Return what is asked: a name, a question and its arguments."""
    client = "127.1.0.7"
    return [
        ("summary", "status", {}),
        ("neighbors", "neighbors", {}),
        ("neighbor CLIENT", "neighbor", {"peer": client}),
        ("neighbor FEEDER", "neighbor", {"peer": _FEEDER}),
        ("groups", "groups", {}),
        ("memory", "memory", {}),
        ("log", "log", {}),
        ("routes --limit 50", "routes", {"limit": 50}),
        ("routes ADDRESS", "routes", {"prefix": "20.0.0.17"}),
        ("routes 20.1.0.0/16 --longer", "routes", {"prefix": "20.1.0.0/16", "longer": True}),
        ("routes 10.0.0.0/8 --longer (none)", "routes", {"prefix": "10.0.0.0/8", "longer": True}),
        ("routes --community", "routes", {"community": f"{wire.ASN}:7"}),
        ("routes --received CLIENT", "routes", {"received": client}),
        ("routes --received FEEDER --limit 50", "routes", {"received": _FEEDER, "limit": 50}),
        ("routes --advertised CLIENT --limit 50", "routes", {"advertised": client, "limit": 50}),
        ("routes --advertised FEEDER", "routes", {"advertised": _FEEDER}),
        ("explain", "explain", {"prefix": "20.0.0.16/28", "to": client}),
        ("routes --received FEEDER", "routes", {"received": _FEEDER}),
        ("routes --advertised CLIENT", "routes", {"advertised": client}),
        ("routes", "routes", {}),
    ]


class Place:
    """A service with all these routes, and who asks it."""

    def __init__(self, victim: Victim, clients: Orders, control: Path, count: int, hold_time: int) -> None:
        self.victim, self.clients, self.control, self.count = victim, clients, control, count
        self._hold_time = hold_time

    def load(self, routes: int, timeout: float) -> float:
        """Feed the routes; return after how many seconds all clients have them."""
        self.clients.tell("dial", port=self.victim.port)
        end = time.monotonic() + timeout
        while self.clients.tell("report")["established"] < self.count:
            hold(time.monotonic() < end, "the clients do not come up")
            time.sleep(0.1)
        self._feeder = socket.create_connection(("127.0.0.1", self.victim.port), source_address=(_FEEDER, 0))
        began = time.monotonic()
        # Without a hold time nobody needs to be kept alive.
        self._feeder.sendall(wire.open_message(0x7F000002, 0) + wire.KEEPALIVE)
        threading.Thread(target=self._read, daemon=True).start()
        for first in range(0, routes, 600):
            some = range(first, min(first + 600, routes), _TOGETHER)
            self._feeder.sendall(b"".join(update(at, min(_TOGETHER, routes - at)) for at in some))
        self._feeder.sendall(wire.END_OF_RIB)
        while self.victim.state().routes < routes or not self._idle():
            hold(time.monotonic() < end, f"only {self.victim.state().routes} routes are there")
            time.sleep(0.5)
        return time.monotonic() - began

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while self._feeder.recv(1 << 16):
                pass

    def _idle(self) -> bool:
        rows = ask(self.control, "groups", {})
        waiting = sum(row["pending"] + row["dumping"] for row in rows)
        return not waiting and not sum(row["queue"] for row in ask(self.control, "neighbors", {}))

    def ask(self, what: str, question: str, given: Mapping[str, Any]) -> Answered:
        """Ask, and count the rows without a look into them."""
        self.victim.state()
        began = time.perf_counter()
        first, rows = 0.0, -1  # the last line is no row
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.control))
            sock.sendall(line({"ask": question, "with": given}))
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(1 << 18):
                first = first or time.perf_counter() - began
                rows += data.count(b"\n")
                last = data
        whole = time.perf_counter() - began
        hold(b'"end"' in last[-40:], f"{what}: {last[-200:]!r}")
        return Answered(what, rows, first, whole, self.victim.state().lag_maximum)

    def watch(self, routes: int) -> Answered:
        """Have all routes by `monitor`, which goes on; so hear until all were told."""
        self.victim.state()
        began, rows, first, tail = time.perf_counter(), 0, 0.0, b""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.control))
            sock.sendall(line({"ask": "monitor", "with": {}}))
            while b'"InSync"' not in tail:
                data = sock.recv(1 << 18)
                first = first or time.perf_counter() - began
                rows += data.count(b"\n")
                tail = tail[-200:] + data
        return Answered("monitor", rows, first, time.perf_counter() - began, self.victim.state().lag_maximum)

    def together(self, readers: int, stalled: int, seconds: float) -> tuple[int, float, float, int]:
        """Let so many read all routes at once, and others ask for them and not read, for some seconds.

        Return the octets that were read, how late a KEEPALIVE was at most and the loop (seconds), and by how
        many octets the service's memory has grown at most.
        """
        memory, most, octets = self.victim.memory, 0, 0
        self.clients.tell("report")
        self.victim.state()
        with ExitStack() as stack:
            asking = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(readers + stalled)]
            for sock in asking:
                sock.connect(str(self.control))
                sock.sendall(line({"ask": "routes", "with": {}}))
                sock.setblocking(False)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for sock in asking[:readers]:
                    with contextlib.suppress(BlockingIOError):
                        octets += len(sock.recv(1 << 18))
                most = max(most, self.victim.memory - memory)
                time.sleep(0.002)
            late = self.late
        return octets, late, self.victim.state().lag_maximum / 1000, most

    @property
    def late(self) -> float:
        """How late a KEEPALIVE was at most since the last report, in seconds."""
        report = self.clients.tell("report")
        hold(not report["ended"], f"sessions were lost: {report['ended']}")
        return max(float(report["silence"]) - self._hold_time / 3, 0.0)


def update(first: int, count: int) -> bytes:
    number = first // _TOGETHER
    block = wire.attributes(0x0A090001 + number % 200, number % 50, (64600 + number % 300, 100_000 + number))
    if number % _MARKED == 0:
        block += b"\xc0\x08\x04" + _COMMUNITY
    return wire.update(block, b"".join(wire.prefix(first + each) for each in range(count)))


@contextmanager
def place(clients: int, hold_time: int) -> Iterator[Place]:
    """Have a service and clients, who have not dialed yet."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        control = directory / "control.sock"
        text = CONFIGURATION.replace("SOCKET", str(control)).replace("HOLD_TIME", "90")
        victim = stack.enter_context(Victim(text, directory))
        yield Place(victim, stack.enter_context(crowd(clients, 0, hold_time)), control, clients, hold_time)


def trial(
    routes: int,
    clients: int,
    seconds: float = 60.0,
    say: Callable[[str], None] = lambda line: None,
    hold_time: int = HOLD_TIME,
) -> tuple[list[Answered], tuple[int, float, float, int]]:
    """Load, ask everything, and let ten read all routes at once for so many `seconds`."""
    with place(clients, hold_time) as there:
        loaded = there.load(routes, 900)
        say(f"{routes} routes with {clients} clients after {loaded:.1f} s, {there.victim.memory >> 20} MB")
        time.sleep(min(seconds, hold_time))
        there.late  # noqa: B018  what was before does not count
        answered = []
        for question in questions(routes):
            answered.append(there.ask(*question))
            say(str(answered[-1]))
        answered.append(there.watch(routes))
        say(str(answered[-1]))
        say(f"KEEPALIVEs were late by {there.late * 1000:.0f} ms at most")
        if seconds >= 10:
            for words in (
                ("show", "summary"),
                ("show", "routes", "--limit", "50"),
                ("explain", "20.0.0.16/28"),
            ):
                say(f"reflector {' '.join(words)}: {command(there.control, *words):.2f} s")
        together = there.together(10, 20, seconds)
        octets, late, lag, grown = together
        say(
            f"ten read all routes at once, twenty ask and do not read: {octets / seconds / 1e6:.1f} MB/s, "
            f"KEEPALIVEs late by {late * 1000:.0f} ms at most, the loop by {lag * 1000:.0f} ms, "
            f"memory grows by {grown / 1e6:.1f} MB"
        )
        return answered, together
