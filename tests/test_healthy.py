"""`reflector healthy`, for probes: a line for people, and an exit status."""

import asyncio
import json
import socket
import threading
from pathlib import Path

import pytest
from commands import Command
from service import running

from reflector.control import protocol
from reflector.control.client import Unanswered, ask
from reflector.control.protocol import ENVIRONMENT, default_path, usual_path


async def healthy(path: Path, *arguments: str) -> tuple[int, str]:
    command = Command("healthy", *arguments, "--socket", str(path))
    status = await asyncio.to_thread(command.end)
    return status, command.output


async def test_who_is_ready(tmp_path: Path) -> None:
    async with running(tmp_path, "\n[http]\nready_after = 0\n") as cluster:
        status, output = await healthy(cluster.path)
        assert status == 0 and output.startswith("ready")
        assert await healthy(cluster.path, "--live") == (0, "alive")
        status, output = await healthy(cluster.path, "--json")
        row = json.loads(output)
        assert (status, row["well"], row["alive"], row["ready"]) == (0, True, True, True)


async def test_who_is_not_ready_yet(tmp_path: Path) -> None:
    absent = '\n[[neighbor]]\naddress = "127.0.0.99"\nclient = true\npassive = true\n'
    async with running(tmp_path, absent) as cluster:
        status, output = await healthy(cluster.path)
        assert status == 1
        assert output.startswith("not ready: waiting for first routes since ")
        assert output.endswith(", 1 neighbors have no session")
        assert await healthy(cluster.path, "--live") == (0, "alive")


async def test_nobody_there(tmp_path: Path) -> None:
    status, output = await healthy(tmp_path / "socket")
    assert status == 3 and "is `reflector run` running?" in output


def test_who_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        held: list[socket.socket] = []
        threading.Thread(target=lambda: held.append(server.accept()[0]), daemon=True).start()
        with pytest.raises(Unanswered, match="the service has not answered in time"):
            list(ask(path, "healthy", {}, timeout=0.2))


def test_where_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    monkeypatch.setenv(ENVIRONMENT, str(ours))
    monkeypatch.setattr(protocol, "SYSTEM", theirs)
    assert usual_path() == default_path() == ours
    theirs.touch()
    assert usual_path() == theirs
    ours.touch()
    assert usual_path() == ours
