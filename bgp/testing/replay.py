"""A recorded session once more, through a `Connection` and a `Router` without I/O: it must come out the same.

A recording is what `bgp.testing.record` writes.  Where code has changed since, the first difference says what
the change does to a session that really was.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgp.errors import Notify
from bgp.family import BY_NAME
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT_ALL
from bgp.router import Router
from bgp.session.action import Delivery, Down, Established
from bgp.session.connection import Connection
from bgp.session.event import Event
from bgp.session.restart import RUNNING, Parting, RestartState
from bgp.testing.record import VERSION, config_of, consequence, plain, restart_of
from bgp.wire.attributes import AttributeTable
from bgp.wire.message import Notification, RouteRefresh
from bgp.wire.update import Update


class Unreadable(ValueError):
    """A file is no recording; the text says in which line and why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a session comes out otherwise: the line of the recording, what differs, and both values."""

    line: int
    what: str
    recorded: Any
    replayed: Any

    def __str__(self) -> str:
        return f"line {self.line}: {self.what} was {self.recorded!r}, is {self.replayed!r}"


@dataclass(slots=True)
class Replay:
    """What came of it; `routes` is how many the peer had told when it ended."""

    calls: int = 0
    octets: int = 0
    difference: Difference | None = None
    routes: int = 0
    story: list[str] = field(default_factory=list)


def replay(lines: Iterable[str]) -> Replay:
    """Run a recording to its end or its first difference; raise Unreadable where it is none."""
    result = Replay()
    numbered = _parsed(lines)
    try:
        _, head = next(numbered)
    except StopIteration:
        raise Unreadable("line 1: it is empty") from None
    if head.get("martlet-session") != VERSION:
        raise Unreadable(f"line 1: no recording of a session, version {VERSION}")
    try:
        config = config_of(head["config"])
        player = _Player(config.local_as, config.identifier)
        connection = Connection(
            config,
            AttributeTable(),
            incoming=bool(head["incoming"]),
            rng=player.random_number,
            restart=player.restart,
        )
    except (KeyError, ValueError) as error:
        raise Unreadable(f"line 1: {error}") from None
    for number, line in numbered:
        if line.get("do") == "end":
            result.story.append(f"{number}: {line.get('why', '')}")
            break
        try:
            result.difference = player.play(number, connection, line, result)
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"line {number}: {error!r}") from None
        if result.difference is not None:
            break
        result.calls += 1
    result.routes = player.routes
    return result


def _parsed(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        try:
            found = json.loads(line)
        except ValueError as error:
            raise Unreadable(f"line {number}: {error}") from None
        if not isinstance(found, dict):
            raise Unreadable(f"line {number}: no JSON object")
        yield number, found


class _Player:
    """Does to a connection what was done to the recorded one, with a router behind it."""

    def __init__(self, asn: int, identifier: int) -> None:
        self._random: list[float] = []
        self._restarts: list[RestartState] = []
        self._router = Router(asn, identifier)
        self._member: Member | None = None

    @property
    def routes(self) -> int:
        """How many routes the router has of the peer."""
        return sum(1 for family in BY_NAME.values() for _ in self._router.rib.best(family))

    def random_number(self) -> float:
        # More than were recorded: the difference shows in a deadline.
        return self._random.pop(0) if self._random else 0.5

    def restart(self) -> RestartState:
        return self._restarts.pop(0) if self._restarts else RUNNING

    def play(
        self, number: int, connection: Connection, line: dict[str, Any], result: Replay
    ) -> Difference | None:
        """Make one call; return the first difference in what it leads to."""
        do, now = line["do"], line.get("at", 0.0)
        self._random = list(line.get("random", ()))
        self._restarts = [restart_of(each) for each in line.get("restart", ())]
        deliveries: list[Delivery] = []
        match do:
            case "outgoing":
                out = plain(connection.outgoing())
                result.story.append(f"{number}: out {' '.join(map(_short, out))}")
                return _compare(number, {"out": line["out"]}, {"out": out})
            case "request_refresh":
                asked = connection.request_refresh(BY_NAME[line["family"]])
                return _compare(number, {"asked": line["asked"]}, {"asked": asked})
            case "handle":
                given = line["notification"]
                last = given and Notification(given["code"], given["subcode"], bytes.fromhex(given["data"]))
                deliveries = connection.handle(
                    Event[line["event"]], now, last or None, line["text"], Parting[line["parting"]]
                )
            case "receive":
                octets = bytes.fromhex(line["octets"])
                result.octets += len(octets)
                deliveries = connection.receive(octets, now)
            case "tick":
                deliveries = connection.tick(now, unread=line["unread"])
            case "sent":
                connection.sent(line["count"], now)
            case _:
                raise ValueError(f"{do!r} is nothing that can be done")
        self._route(deliveries)
        found = consequence(connection, deliveries)
        if deliveries or do == "handle":
            told = ", ".join(type(delivery).__name__ for delivery in deliveries)
            what = f"{do} {line['event']}" if do == "handle" else do
            result.story.append(f"{number}: at {now:.3f} {what} -> {told or 'nothing'}, {found['state']}")
        if self._random:
            return Difference(number, "random numbers left", len(self._random), 0)
        keys = ("state", "more", "deliveries", "deadline")
        return _compare(number, {key: line.get(key) for key in keys}, {key: found.get(key) for key in keys})

    def _route(self, deliveries: list[Delivery]) -> None:
        """Let the router have what was delivered."""
        for delivery in deliveries:
            match delivery:
                case Established(negotiated):
                    settings = PeerSettings(
                        name="peer",
                        import_policy=ACCEPT_ALL,
                        export_policy=ACCEPT_ALL,
                        local_address=b"\xc0\0\2\1",
                        remote_address=b"\xc0\0\2\2",
                    )
                    self._member = self._router.up(settings, negotiated)
                case Update() | RouteRefresh() if self._member is not None:
                    try:
                        if isinstance(delivery, Update):
                            self._router.update(self._member, delivery)
                        else:
                            self._router.refresh(self._member, delivery)
                    except Notify:
                        pass  # what the router refuses, the recorded one may have taken: it had other limits
                case Down() if self._member is not None:
                    self._router.down(self._member)
                    self._member = None
        while self._router.work(1000):
            pass


def _short(item: Any) -> str:
    text = item if isinstance(item, str) else json.dumps(item)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _compare(number: int, recorded: dict[str, Any], replayed: dict[str, Any]) -> Difference | None:
    for what, value in recorded.items():
        # What was written went through JSON, so what is compared must, too.
        again = json.loads(json.dumps(replayed[what]))
        if value != again:
            return Difference(number, what, value, again)
    return None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="of bgp.testing.record")
    parser.add_argument("--show", action="store_true", help="tell what happens, call by call")
    parser.set_defaults(act=main)


def main(options: argparse.Namespace) -> int:
    """Replay files; return 0 where all come out the same, 1 where one differs, 2 where one is none."""
    status = 0
    for path in options.files:
        try:
            with path.open(encoding="utf-8") as file:
                result = replay(file)
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            status = 2
            continue
        if options.show:
            print("\n".join(result.story))
        told = "the same" if result.difference is None else str(result.difference)
        print(
            f"{path}: {result.calls} calls, {result.octets} octets, {result.routes} routes at the end: {told}"
        )
        status = max(status, int(result.difference is not None))
    return status
