"""Our reflector in a node: configured from the same `Neighbor`s as the daemons, started, asked, killed."""

import json
import os
import socket
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from capture import Capture
from daemons import ROOT
from netns import Node, Process, eventually
from peers import Neighbor
from routes import Route, by_prefix

HERE = Path(__file__).resolve().parent


class Reflector:
    """`reflector run`, with a socket beside it that tells what it has told and heard."""

    def __init__(
        self,
        node: Node,
        asn: int,
        neighbors: Collection[Neighbor],
        *,
        reporting: bool = True,
        extra: Collection[Mapping[str, object]] = (),
        router: Mapping[str, object] | None = None,
        tables: str = "",
        each: Mapping[str, Mapping[str, object]] | None = None,
        networks: Collection[Mapping[str, object]] = (),
        **options: object,
    ) -> None:
        """`router` are further keys of [router], `options` of all `neighbors`, and `each` of one by its name.

        `extra` are further neighbors, `networks` routes of our own, and `tables` is whatever else the
        configuration has.  Without `reporting` it is the plain command.
        """
        self.node, self.asn, self.neighbors = node, asn, tuple(neighbors)
        self.reporting, self.extra, self.options = reporting, tuple(extra), options
        self.router, self.networks = router or {}, tuple(networks)
        self.tables, self.each = tables, each or {}
        self.process: Process | None = None
        self._socket = node.directory / "report"

    def configuration(self) -> str:
        lines = [
            "[router]",
            f"asn = {self.asn}",
            f'router_id = "{self.node.router_id}"',
            'listen = ["0.0.0.0:179", "[::]:179"]',
            *(f"{key} = {_toml(value)}" for key, value in self.router.items()),
        ]
        tables: list[Mapping[str, object]] = [
            {
                "name": neighbor.name,
                "address": neighbor.remote,
                "source_address": neighbor.local,
                "asn": neighbor.asn,
                "families": list(neighbor.families),
                "passive": neighbor.passive,
                "client": neighbor.client,
                "hold_time": neighbor.hold_time,
                "connect_retry_time": 1,
                **self.options,
                **self.each.get(neighbor.name, {}),
            }
            for neighbor in self.neighbors
        ]
        for table in (*tables, *self.extra):
            lines += ["[[neighbor]]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        for table in self.networks:
            lines += ["[[network]]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        # Network namespaces share the file system, and so the place where it is by default.
        control = ["[control]", f'socket = "{self.node.directory / "control"}"']
        return "\n".join([*lines, self.tables, *control]) + "\n"

    def start(self) -> None:
        """Start it and wait until it listens."""
        configuration = self.node.directory / "reflector.toml"
        configuration.write_text(self.configuration())
        self._socket.unlink(missing_ok=True)
        Capture.begin(self.node)
        if self.reporting:
            argv = [str(HERE / "reporting.py"), str(configuration), str(self._socket)]
        else:
            argv = ["-m", "reflector", "run", str(configuration)]
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
        process = self.process = self.node.start("reflector", [sys.executable, *argv], environment)
        eventually(lambda: not process.alive or self._is_ready(), "the reflector listens")
        assert process.alive, process.output()

    def _is_ready(self) -> bool:
        return self._socket.exists() if self.reporting else self.node.listening()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def report(self, command: str = "") -> dict[str, dict[str, Any]]:
        """Return what it says of each peer, by address; a `command` of `reporting.obey` is done before."""
        assert self.process is not None and self.process.alive, "the reflector has ended"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(str(self._socket))
            connection.sendall(command.encode() + b"\n")
            chunks = []
            while chunk := connection.recv(1 << 20):
                chunks.append(chunk)
        found: dict[str, dict[str, Any]] = json.loads(b"".join(chunks))
        return found

    def established(self) -> bool:
        states = self.report()
        return all(states[neighbor.remote]["state"] == "Established" for neighbor in self.neighbors)

    def wait_established(self, seconds: float = 60) -> None:
        eventually(self.established, f"the reflector Established: {self.report}", seconds)

    def advertised(self, address: str) -> dict[str, Route]:
        """Return what it says it sent to this neighbor."""
        return by_prefix(self.paths(address))

    def paths(self, address: str) -> list[Route]:
        """Return the same where a prefix may have several."""
        return _routes(self.report()[address]["advertised"])

    def received(self, address: str) -> dict[str, Route]:
        """Return what it says it has from this neighbor."""
        return by_prefix(_routes(self.report()[address]["received"]))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    # What JSON writes of text, numbers, truth and lists is TOML as well.
    return json.dumps(value)


def _routes(found: object) -> list[Route]:
    assert isinstance(found, list)
    return [
        Route(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})
        for row in found
    ]
