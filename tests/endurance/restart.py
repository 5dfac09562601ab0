"""Thousands of clients, and a restart of the service that all of them notice at once.

Each client has a few routes, and holds those of all others.  Then the service ends by SIGTERM and starts
anew, and all dial at the same moment.  Meanwhile somebody asks it once a second, as an operator would.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgp.testing.hostile.orders import Orders
from bgp.testing.hostile.victim import Victim

from .asker import Asker, Times, command
from .crowd import crowd

CONFIGURATION = """\
[router]
asn = 65000
router_id = "10.255.0.1"
listen = ["127.0.0.1:0"]

[control]
socket = "SOCKET"

[group.nodes]
client = true
hold_time = HOLD_TIME

[[listen_range]]
prefix = "127.0.0.0/8"
group = "nodes"
limit = 100000
"""
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "summary": ("status", {}),
    "neighbors": ("neighbors", {}),
    "neighbor X": ("neighbor", {"peer": "127.1.0.1"}),
    "routes --limit 50": ("routes", {"limit": 50}),
    "groups": ("groups", {}),
    "memory": ("memory", {}),
}


@dataclass(slots=True)
class Found:
    """What a start was like: seconds until all were Established, and until all held all."""

    established: float = 0.0
    complete: float = 0.0
    silence: float = 0.0
    processor: float = 0.0
    memory: int = 0
    lag_p99: float = 0.0  # milliseconds
    lag_most: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    neighbors: Counter[str] = field(default_factory=Counter)  # by state, and how many have come back
    times: dict[str, Times] = field(default_factory=dict)
    commands: dict[str, float] = field(default_factory=dict)

    @property
    def expired(self) -> int:
        """How many sessions ended because a hold timer did, ours or the service's."""
        return sum(
            count for how, count in self.ended.items() if "hold timer" in how or "NOTIFICATION 4/" in how
        )

    def lines(self) -> Iterator[str]:
        """Yield what people should read."""
        yield (
            f"all Established after {self.established:.1f} s, all routes with all of them after "
            f"{self.complete:.1f} s; {self.processor:.1f} s of the processor, {self.memory >> 20} MB"
        )
        yield (
            f"the longest silence towards a client {self.silence:.1f} s, {self.expired} hold timers expired; "
            f"loop late by {self.lag_p99:.0f} ms (p99), {self.lag_most:.0f} ms (most)"
        )
        yield from (f"  ended: {count} times {how}" for how, count in self.ended.items())
        yield from (f"  {name:18} {times}" for name, times in self.times.items())
        yield from (f"  reflector {name}: {seconds:.2f} s" for name, seconds in self.commands.items())
        for line in (*self.wrong, *self.problems, *self.unanswered[:5]):
            yield f"  {line}"


class Place:
    """A service with its crowd."""

    def __init__(self, victim: Victim, clients: Orders, socket: Path, count: int) -> None:
        self.victim, self.clients, self.socket, self.count = victim, clients, socket, count

    def begin(self, timeout: float, quiet: float) -> Found:
        """Let all clients come; return how that went when all hold all, and `quiet` seconds after that."""
        found = Found()
        before = self.victim.processor
        began = time.monotonic()
        self.clients.tell("dial", port=self.victim.port)
        with Asker(self.socket, QUESTIONS) as asker:
            self._until(found, "established", began + timeout)
            found.established = time.monotonic() - began - self._report(found)["established_for"]
            self._until(found, "complete", began + timeout)
            found.complete = time.monotonic() - began - self._report(found)["complete_for"]
            found.processor = self.victim.processor - before
            time.sleep(quiet)
        self._report(found)
        found.memory = self.victim.memory
        found.times, found.unanswered = asker.times, asker.unanswered
        state = self.victim.state()
        found.lag_p99, found.lag_most = state.lag_p99, state.lag_maximum
        found.problems = list(self.victim.problems)
        for name in ("summary", "neighbors", "routes"):
            words = ("show", name, *(("--limit", "50") if name == "routes" else ()))
            found.commands[" ".join(words)] = command(self.socket, *words)
        return found

    def _until(self, found: Found, what: str, deadline: float) -> None:
        while (report := self._report(found))[what] < self.count:
            if time.monotonic() > deadline or not self.victim.alive:
                lines = "\n".join(list(self.victim.lines)[-20:])
                raise TimeoutError(f"only {report[what]} of {self.count} are {what}: {found}\n{lines}")
            time.sleep(0.2)

    def _report(self, found: Found) -> dict[str, Any]:
        report = self.clients.tell("report")
        found.ended.update(report["ended"])
        found.silence = max(found.silence, report["silence"])
        found.wrong = report["wrong"]
        return report

    def restart(self) -> None:
        """End the service as an operator does, and start it again."""
        self.clients.tell("dial", port=0)
        status = self.victim.stop()
        if status:
            raise RuntimeError(f"the service ended with status {status}")
        self.victim.start()


@contextmanager
def place(clients: int, routes: int, hold_time: int) -> Iterator[Place]:
    """Have a service and its crowd, of whom nobody has dialed yet."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        socket = directory / "control.sock"
        text = CONFIGURATION.replace("SOCKET", str(socket)).replace("HOLD_TIME", str(hold_time))
        victim = stack.enter_context(Victim(text, directory))
        yield Place(victim, stack.enter_context(crowd(clients, routes, hold_time)), socket, clients)


def trial(
    clients: int,
    routes: int,
    hold_time: int,
    timeout: float,
    say: Callable[[str], None] = lambda line: None,
    quiet: float = 5.0,
) -> list[Found]:
    """Start, and start again; return how each of them went, once all clients held all routes."""
    results = []
    with place(clients, routes, hold_time) as there:
        for what in ("start", "restart"):
            if what == "restart":
                there.restart()
            results.append(there.begin(timeout, quiet))
            say(f"{what}:")
            for line in results[-1].lines():
                say(line)
    return results
