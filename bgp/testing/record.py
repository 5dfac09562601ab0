"""A session as it was, to be had again: all that a `Connection` was told, when, and what it made of that.

    recorder = Recorder(Path("recordings"))
    speaker = Speaker(asn=65000, router_id="192.0.2.1", connections=recorder)

Each connection of the speaker gets a file of its own.  Its lines are JSON: the first has the configuration,
each further one is a call: what was done, when, the octets that came, and behind it what was delivered, what
went out, the random numbers drawn, the state and the next deadline.  As a `Connection` has neither clock nor
socket, `bgp.testing.replay` gets the same from it again, octet by octet.

What goes out are the connection's own messages: OPEN, KEEPALIVE, NOTIFICATION, ROUTE-REFRESH.  The UPDATEs
that a peer is told are the router's, and come of what all other peers have said.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TextIO, cast

from bgp.family import BY_NAME, Family
from bgp.iana import AddPathMode, CapabilityCode, Role
from bgp.session.action import Close, Connect, Delivery
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event
from bgp.session.restart import RUNNING, Parting, RestartOptions, RestartState
from bgp.wire.attributes import AttributeTable
from bgp.wire.capability import Fqdn
from bgp.wire.message import Notification
from bgp.wire.update import Update

VERSION = 1
# What a recording takes at most, in octets; then it ends, and says so.
MOST = 64 << 20


class Recorder:
    """Makes connections that are recorded, each in a file of its own in `directory`; give it to a Speaker."""

    def __init__(self, directory: Path, *, most: int = MOST) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.most = most
        self.files: list[Path] = []

    def __call__(
        self,
        config: SessionConfig,
        table: AttributeTable,
        *,
        incoming: bool,
        rng: Callable[[], float],
        restart: Callable[[], RestartState],
    ) -> Connection:
        number = len(self.files)
        while (path := self.directory / f"{number:04}.jsonl").exists():
            number += 1
        self.files.append(path)
        file = path.open("w", encoding="utf-8")
        return recorded(config, table, incoming=incoming, rng=rng, restart=restart, file=file, most=self.most)


def recorded(
    config: SessionConfig,
    table: AttributeTable,
    *,
    incoming: bool,
    rng: Callable[[], float],
    restart: Callable[[], RestartState] = lambda: RUNNING,
    file: TextIO,
    most: int = MOST,
) -> Connection:
    """Return a connection that writes what happens to it into `file`."""
    made = Recorded(config, table, incoming=incoming, rng=rng, restart=restart, file=file, most=most)
    return cast(Connection, made)


class Recorded:
    """Stands before a `Connection` and writes down what it is told and what it says."""

    def __init__(
        self,
        config: SessionConfig,
        table: AttributeTable,
        *,
        incoming: bool,
        rng: Callable[[], float],
        restart: Callable[[], RestartState],
        file: TextIO,
        most: int,
    ) -> None:
        self._file = file
        self._left = most
        self._random: list[float] = []
        self._restarts: list[Any] = []
        self._rng = rng
        self._restart = restart
        self._connection = Connection(
            config, table, incoming=incoming, rng=self._draw, restart=self._restarting
        )
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._write(
            {"martlet-session": VERSION, "started": started, "incoming": incoming, "config": plain(config)}
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def handle(
        self,
        event: Event,
        now: float,
        notification: Notification | None = None,
        text: str = "",
        parting: Parting = Parting.USUAL,
    ) -> list[Delivery]:
        told = {
            "event": event.name,
            "notification": plain(notification),
            "text": text,
            "parting": parting.name,
        }
        deliveries = self._connection.handle(event, now, notification, text, parting)
        return self._told("handle", now, told, deliveries)

    def receive(self, data: bytes, now: float) -> list[Delivery]:
        told = {"octets": bytes(data).hex()}
        return self._told("receive", now, told, self._connection.receive(data, now))

    def tick(self, now: float, *, unread: bool = False) -> list[Delivery]:
        return self._told("tick", now, {"unread": unread}, self._connection.tick(now, unread=unread))

    def sent(self, octets: int, now: float) -> None:
        self._connection.sent(octets, now)
        self._told("sent", now, {"count": octets}, [])

    def request_refresh(self, family: Family) -> bool:
        asked = self._connection.request_refresh(family)
        self._write({"do": "request_refresh", "family": family.name, "asked": asked})
        return asked

    def outgoing(self) -> list[bytes | Close | Connect]:
        out = self._connection.outgoing()
        if out:
            self._write({"do": "outgoing", "out": plain(out)})
        return out

    def _draw(self) -> float:
        number = self._rng()
        self._random.append(number)
        return number

    def _restarting(self) -> RestartState:
        state = self._restart()
        self._restarts.append(plain(state))
        return state

    def _told(
        self, do: str, now: float, told: Mapping[str, Any], deliveries: list[Delivery]
    ) -> list[Delivery]:
        found: dict[str, Any] = {"at": now, "do": do, **told}
        if self._random:
            found["random"], self._random = self._random, []
        if self._restarts:
            found["restart"], self._restarts = self._restarts, []
        self._write(found | consequence(self._connection, deliveries))
        return deliveries

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._left <= 0:
            return
        text = json.dumps(line, separators=(",", ":")) + "\n"
        self._left -= len(text)
        if self._left <= 0:
            text = '{"do":"end","why":"the recording has reached its size"}\n'
        self._file.write(text)
        if self._left <= 0:
            self._file.close()
        else:
            self._file.flush()


def consequence(connection: Connection, deliveries: list[Delivery]) -> dict[str, Any]:
    """Return what a call has led to: this is what must be the same again."""
    found: dict[str, Any] = {
        "state": connection.state.name,
        "deadline": connection.deadline,
        "more": connection.more,
    }
    if deliveries:
        found["deliveries"] = [delivered(delivery) for delivery in deliveries]
    return found


def delivered(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery in JSON's types, an UPDATE with the canonical octets of its attributes."""
    if not isinstance(delivery, Update):
        return {type(delivery).__name__: plain(delivery)}
    return {
        "Update": {
            "announced": [
                [part.family.name, plain(part.prefixes), plain(part.path_ids),
                 part.attributes.octets.hex(), part.attributes.next_hop.hex()]
                for part in delivery.announced
            ],
            "withdrawn": [
                [part.family.name, plain(part.prefixes), plain(part.path_ids)] for part in delivery.withdrawn
            ],
            "end_of_rib": plain(delivery.end_of_rib),
            "outcome": delivery.outcome.name,
            "faults": [[f.rule.name, f.offset, f.data.hex(), f.attribute] for f in delivery.faults],
            "ignored": plain(delivery.ignored),
        }
    }  # fmt: skip


def plain(value: object) -> Any:
    """Return a value in JSON's types: octets in hexadecimal, names for families and enumerations."""
    match value:
        case None | bool() | str() | float():
            return value
        case Notification(code, subcode, data):
            # Numbers, whether they have names or not: they are compared with what was read again.
            return {"code": int(code), "subcode": int(subcode), "data": data.hex()}
        case Enum():
            return value.name
        case int():
            return value
        case bytes():
            return value.hex()
        case Family():
            return value.name
        case Mapping():
            return {str(plain(key)): plain(each) for key, each in sorted(value.items(), key=str)}
        case frozenset() | set():
            return sorted((plain(each) for each in value), key=str)
        case list() | tuple():
            return [plain(each) for each in value]
    if is_dataclass(value):
        found = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return found if not isinstance(value, Connect | Close) else {type(value).__name__: found}
    raise TypeError(f"{type(value).__name__} has no form in a recording")


def config_of(found: Mapping[str, Any]) -> SessionConfig:
    """Return the configuration that a recording begins with; raise ValueError where it is none."""
    known = {field.name for field in fields(SessionConfig)}
    if unknown := sorted(found.keys() - known):
        raise ValueError(f"config: {unknown[0]} is no field of it")
    try:
        values = {name: _READERS.get(name, lambda value: value)(value) for name, value in found.items()}
        return SessionConfig(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"config: {error!r}") from None


def _families(names: Any) -> tuple[Family, ...]:
    return tuple(BY_NAME[name] for name in names)


def _restart_fields(found: Any) -> Any:
    stale = {BY_NAME[name]: seconds for name, seconds in found["long_lived"].items()}
    return {**found, "families": _families(found["families"]), "long_lived": stale}


def restart_of(found: Any) -> RestartState:
    """Return what an OPEN said of a restart."""
    return RestartState(found["restarting"], frozenset(_families(found["lost"])))


_READERS: dict[str, Callable[[Any], Any]] = {
    "peer_as": lambda value: AsExpected[value] if isinstance(value, str) else value,
    "families": _families,
    "members": frozenset,
    "add_path": lambda value: {BY_NAME[name]: AddPathMode[mode] for name, mode in value.items()},
    "extended_next_hop": _families,
    "role": lambda value: None if value is None else Role[value],
    "fqdn": lambda value: None if value is None else Fqdn(**value),
    "graceful_restart": lambda value: None if value is None else RestartOptions(**_restart_fields(value)),
    "required": lambda value: tuple(CapabilityCode[name] for name in value),
}
