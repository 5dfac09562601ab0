"""A soak: a thousand clients that come and go, steady ones among them, and a model of all tables.

In the end what each steady client has heard, and what the service says that it holds, is what the model
says, no session was lost that nobody ended, and memory, descriptors and tasks are what they were.
"""

import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bgp.testing.hostile.orders import Orders
from bgp.testing.hostile.stage import hold
from bgp.testing.hostile.victim import Victim
from reflector.control.client import ask

from .flapper import ENDS
from .flock import flock
from .restart import CONFIGURATION

_MORE = """
[group.nodes.add_path]
ipv4-unicast = "both"
ipv6-unicast = "both"
"""
# Octets that memory may have more of, with the same sessions and routes as before.
GROWTH = 48 << 20
_MINUTE = 60.0


@dataclass(slots=True)
class Held:
    """What the service holds with the same sessions: at the beginning, and at the end."""

    memory: int
    descriptors: int
    tasks: int
    neighbors: int


@dataclass(slots=True)
class Course:
    """What has happened."""

    minutes: float = 0.0
    sessions: int = 0
    changes: int = 0
    ends: int = 0
    lost: list[str] = field(default_factory=list)
    latest: float = 0.0  # the loop, in milliseconds
    most: int = 0  # octets
    before: Held | None = None
    after: Held | None = None
    routes: int = 0

    def __str__(self) -> str:
        assert self.before is not None and self.after is not None
        before, after = self.before, self.after
        return (
            f"{self.sessions} sessions came up, {self.ends} were ended, {len(self.lost)} lost; "
            f"{self.changes} changes, {self.routes} routes equal to the model; "
            f"memory {before.memory >> 20} MB, then {after.memory >> 20} MB, {self.most >> 20} MB at most; "
            f"descriptors {before.descriptors}, then {after.descriptors}; tasks {before.tasks}, then "
            f"{after.tasks}; loop late by {self.latest:.0f} ms at most"
        )


class Soak:
    """A service, and who flaps."""

    def __init__(self, victim: Victim, clients: Orders, control: Path) -> None:
        self.victim, self.clients, self._control = victim, clients, control
        self.course = Course()

    def run(self, minutes: float, rate: float, ends: Sequence[str], say: Callable[[str], None]) -> Course:
        """Go on for so many minutes, with so many acts a second; raise Failed if anything does not hold."""
        course = self.course
        self.clients.tell("dial", port=self.victim.port)
        self._settle(0.0)
        course.before = self._held()
        began = time.monotonic()
        self.clients.tell("flap", rate=rate, ends=ends)
        minute = 0
        while (left := began + minutes * _MINUTE - time.monotonic()) > 0:
            time.sleep(min(_MINUTE, left))
            minute += 1
            report = self._report()
            state = self.victim.state()
            course.latest = max(course.latest, state.lag_maximum)
            say(
                f"{minute:4} min: {report['established']} of {report['wanted']}, {state.routes} routes, "
                f"{self.victim.memory >> 20} MB, loop late by {state.lag_p99:.0f} ms (p99), "
                f"{state.lag_maximum:.0f} ms (most), {len(course.lost)} lost; {report['counts']}"
            )
            hold(self.victim.alive, "the service has died")
            hold(not self.victim.problems, "\n".join(self.victim.problems[:20]))
            hold(not course.lost, f"sessions were lost: {course.lost[:5]}")
        self.clients.tell("flap", rate=0.0, ends=ends)
        # With all of them there again, the service holds what it held; then a third stays away.
        self._settle(0.0)
        course.after = self._held()
        self._settle(1 / 3)
        self._judge()
        return course

    def _settle(self, gone: float) -> None:
        """Wait until all sessions are there that should be, and all that is said was heard."""
        self.clients.tell("settle", gone=gone)
        end = time.monotonic() + 300.0
        while not (report := self._report())["settled"]:
            hold(
                time.monotonic() < end, f"only {report['established']} of {report['wanted']} are Established"
            )
            time.sleep(0.2)
        while wrong := self.clients.tell("check")["wrong"]:
            hold(time.monotonic() < end, "steady clients hold something else:\n" + "\n".join(wrong[:5]))
            time.sleep(0.2)

    def _judge(self) -> None:
        """Hold that the service's tables are what is said, path by path, and which of them is the best."""
        course, end = self.course, time.monotonic() + 120.0
        said = [_Path.of(*each) for each in self.clients.tell("said")["said"]]
        expected = {each.key: each for each in said}
        best: dict[tuple[str, str], int] = {}
        for each in said:
            where = each.family, each.prefix
            best[where] = max(best.get(where, 0), each.local_pref)
        while True:
            rows = list(ask(self._control, "routes", {}))
            found = {each.key: each for each in map(_Path.row, rows)}
            if found == expected or time.monotonic() > end:
                break
            time.sleep(0.5)
        differing = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
        hold(not differing, f"{len(differing)} routes of the service differ, such as {differing[:3]}")
        hold(len(rows) == len(expected), "a route is there twice")
        wrong = [
            row["prefix"]
            for row in rows
            if row["best"] and row["local_pref"] != best[row["family"], row["prefix"]]
        ]
        hold(not wrong, f"another path is the best one of {wrong[:5]}")
        hold(sum(row["best"] for row in rows) == len(best), "each prefix has a best path")
        peer = said[0].peer
        received = {_Path.row(row).key for row in ask(self._control, "routes", {"received": peer})}
        hold(received == {each.key for each in said if each.peer == peer}, f"Adj-RIB-In of {peer}")
        course.routes = len(rows)
        self._report()
        hold(not course.lost, f"sessions were lost: {course.lost[:5]}")
        before, after = course.before, course.after
        assert before is not None and after is not None
        hold(
            after.neighbors == before.neighbors, f"{after.neighbors} neighbors in place of {before.neighbors}"
        )
        hold(
            after.descriptors <= before.descriptors + 4,
            f"{after.descriptors} descriptors, {before.descriptors} at first",
        )
        hold(after.tasks <= before.tasks + 4, f"{after.tasks} tasks, {before.tasks} at first")
        grown = after.memory - before.memory
        hold(grown < GROWTH, f"memory has grown by {grown >> 20} MB")

    def _report(self) -> dict[str, Any]:
        report = self.clients.tell("report")
        counts, course = report["counts"], self.course
        course.lost = report["lost"]
        course.sessions += counts.pop("sessions", 0)
        course.changes += counts.get("changes", 0)
        course.ends += sum(count for what, count in counts.items() if what not in ("changes", "refused"))
        course.most = max(course.most, self.victim.memory)
        return report

    def _held(self) -> Held:
        rows = {row["what"]: row["count"] for row in ask(self._control, "memory", {})}
        return Held(self.victim.memory, self.victim.descriptors, rows["tasks"], rows["peers"])


@dataclass(frozen=True, slots=True)
class _Path:
    family: str
    prefix: str
    peer: str
    path_id: int | None
    next_hop: str
    med: int
    local_pref: int

    @classmethod
    def of(
        cls,
        family: str,
        prefix: str,
        address: int,
        path_id: int | None,
        next_hop: str,
        med: int,
        local_pref: int,
    ) -> "_Path":
        """Return what a client says it has said."""
        octets = bytes.fromhex(prefix)
        text = f"{ip_address(octets[1:])}/{octets[0]}"
        peer = socket.inet_ntoa(address.to_bytes(4, "big"))
        return cls(family, text, peer, path_id, str(ip_address(bytes.fromhex(next_hop))), med, local_pref)

    @classmethod
    def row(cls, row: dict[str, Any]) -> "_Path":
        """Return what the service says of a path."""
        names = ("family", "prefix", "peer", "path_id", "next_hop", "multi_exit_disc", "local_pref")
        return cls(*(row[name] for name in names))

    @property
    def key(self) -> tuple[str, str, str, int | None]:
        return self.family, self.prefix, self.peer, self.path_id


@contextmanager
def soak(flapping: int, steady: int, seed: int) -> Iterator[Soak]:
    """Have a service, and clients that have not dialed yet."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        control = directory / "control.sock"
        text = CONFIGURATION.replace("SOCKET", str(control)).replace("HOLD_TIME", "30") + _MORE
        victim = stack.enter_context(Victim(text, directory))
        yield Soak(victim, stack.enter_context(flock(flapping, steady, seed)), control)


def trial(
    flapping: int,
    steady: int,
    minutes: float,
    rate: float,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
    ends: Sequence[str] = ENDS,
) -> Course:
    """Let so many clients flap, and end their sessions so; return what has happened, or raise Failed."""
    with soak(flapping, steady, seed) as there:
        return there.run(minutes, rate, ends, say)
