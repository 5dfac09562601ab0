"""`reflector debug` and `reflector capture`: the messages of one peer of a running service."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from service import ASN, ROOT, Cluster, running

from bgp import PeerOptions, Speaker
from bgp.aio.tap import TappedMessage
from bgp.tools import json_form
from reflector.logs import debugging
from reflector.logs.restraint import Rate

TIMEOUT = 60


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as found:
        yield found


class Command:
    """A command that goes on until it is ended."""

    def __init__(self, cluster: Cluster, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reflector", *arguments, "--socket", str(cluster.path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.text = ""
        assert self.process.stdout is not None and self.process.stderr is not None

    async def until(self, wanted: str, stream: Any = None) -> None:
        """Read until that was said; on standard output unless it is another stream."""
        source = stream or self.process.stdout
        async with asyncio.timeout(TIMEOUT):
            while wanted not in self.text:
                data = await asyncio.to_thread(os.read, source.fileno(), 65536)
                assert data, f"it ended without {wanted!r}: {self.text}"
                self.text += data.decode()

    async def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Wait for its end, after a signal if there is one; return status, output and errors."""
        if number is not None:
            self.process.send_signal(number)
        out, errors = await asyncio.to_thread(self.process.communicate, timeout=TIMEOUT)
        return self.process.returncode, self.text + out.decode(), errors.decode()


def decoded(path: Path, port: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "bgp", "decode", "--json", "--port", str(port), str(path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


async def until(condition: Any) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_a_capture_in_the_middle_of_a_session(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    (peer,) = [each for each in cluster.service.speaker.peers if each.name == "127.0.0.11"]
    heard: list[TappedMessage] = []
    peer.tap(lambda tapped: heard.append(tapped) if isinstance(tapped, TappedMessage) else None)
    command = Command(cluster, "capture", "127.0.0.11", str(path))

    async def going() -> bool:
        (row,) = await cluster.ask("neighbor", peer="127.0.0.11")
        return bool(row["captures"] == 1)

    await until(going)
    shown = await asyncio.to_thread(cluster.command, "show", "neighbor", "127.0.0.11")
    assert "captures" in shown.stdout
    cluster.clients[0].announce("10.7.0.0/16", next_hop="10.0.0.1")
    cluster.clients[1].announce("10.8.0.0/16", next_hop="10.0.0.2")
    port = cluster.service.speaker.listening[0][1]

    async def there() -> bool:
        if not path.exists() or not path.stat().st_size:
            return False
        text = json.dumps(await asyncio.to_thread(decoded, path, port))
        return "10.7.0.0/16" in text and "10.8.0.0/16" in text

    await until(there)
    status, out, errors = await command.end(signal.SIGINT)
    assert (status, out) == (0, "")
    assert f"messages of 127.0.0.11 go to {path}" in errors and f"--port {port}" in errors
    rows = decoded(path, port)
    assert [row["type"] for row in rows[:2]] == ["OPEN", "OPEN"]
    assert all(row["outcome"] == "ok" for row in rows)
    # The same as another tap has heard, in the same order.
    mine = [json_form.read(each.octets, each.context) for each in heard]
    keys = ("time", "from", "to", "packet", "offset")
    theirs = [{key: value for key, value in row.items() if key not in keys} for row in rows]
    further = theirs[2:]
    assert len(further) >= 2 and theirs[:2] == mine[:2]
    assert any(mine[at : at + len(further)] == further for at in range(2, len(mine)))
    (row,) = await cluster.ask("neighbor", peer="127.0.0.11")
    assert row["captures"] == 0


async def test_a_capture_that_waits_for_who_is_not_there_yet(cluster: Cluster) -> None:
    command = Command(cluster, "capture", "127.0.0.13", "--json", "--count", "2")
    await command.until('"capturing": "127.0.0.13"')
    address, port = cluster.service.speaker.listening[0]
    client = Speaker(asn=ASN, router_id="10.0.0.3")
    cluster.clients.append(client)
    await client.start()
    client.add_peer(PeerOptions(asn=ASN, address=address, port=port, source_address="127.0.0.13"))
    status, out, _ = await command.end()
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and rows[-1] == {"over": "that many were asked for", "lost": 0}
    found = [row for row in rows if "octets" in row]
    assert found[0]["position"] == 0
    assert found[0]["octets"][36:38] == "01" and not found[0]["recalled"]
    assert (found[0]["remote"], found[0]["local_port"]) == ("127.0.0.13", port)


async def test_what_cannot_be_captured(cluster: Cluster, tmp_path: Path) -> None:
    for arguments, status, words in (
        (("192.0.2.55", "x.pcap"), 3, "no listen range has that address"),
        (("nobody", "x.pcap"), 3, "there is no neighbor 'nobody'"),
        (("127.0.0.11",), 2, "name a FILE.pcap"),
        (("127.0.0.11", str(tmp_path / "no" / "x.pcap")), 1, "No such file or directory"),
        (("127.0.0.11", "x.pcap", "--for", "soon"), 3, "is no time span"),
    ):
        found = await asyncio.to_thread(cluster.command, "capture", *arguments)
        assert (found.returncode, words in found.stderr) == (status, True), found
    assert not Path(ROOT / "x.pcap").exists()


async def test_a_capture_ends_in_time_and_its_reader_may_be_slow(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    found = await asyncio.to_thread(cluster.command, "capture", "127.0.0.12", str(path), "--for", "0.2s")
    assert found.returncode == 0 and "messages in" in found.stderr
    assert path.stat().st_size > 0


async def test_debug_shows_messages_and_logs_them(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    (peer,) = [each for each in cluster.service.speaker.peers if each.name == "127.0.0.11"]
    command = Command(cluster, "debug", "127.0.0.11")
    await command.until("--- messages of 127.0.0.11 for 5:00; Ctrl-C ends it")
    cluster.clients[0].announce("10.7.0.0/16", next_hop="10.0.0.1")
    await command.until("10.7.0.0/16")
    cluster.clients[1].announce("10.8.0.0/16", next_hop="10.0.0.2")
    await command.until("10.8.0.0/16")
    assert "<- OPEN" in command.text and "-> OPEN" in command.text and "<- UPDATE" in command.text
    assert "-> UPDATE" in command.text and "ORIGINATOR_ID" in command.text
    (row,) = await cluster.ask("neighbor", peer="127.0.0.11")
    assert row["debug"]["shown"] >= 4 and 0 < row["debug"]["seconds"] <= 300
    shown = await asyncio.to_thread(cluster.command, "show", "neighbor", "127.0.0.11")
    assert "messages are logged for another" in shown.stdout
    assert (await cluster.ask("neighbor", peer="127.0.0.12"))[0]["debug"] is None
    status, _, _ = await command.end(signal.SIGINT)
    assert status == 130

    async def over() -> bool:
        return (await cluster.ask("neighbor", peer="127.0.0.11"))[0]["debug"] is None

    await until(over)
    stream = peer.connections[0].stream
    assert stream is not None and stream.ear is None
    records = [each for each in caplog.records if each.name == "reflector.logs.debugging"]
    told = [each for each in records if each.levelno == logging.DEBUG]
    assert any("10.7.0.0/16" in each.getMessage() for each in told)
    fields = [each.fields for each in told]  # type: ignore[attr-defined]
    assert {field["direction"] for field in fields} == {"in", "out"}
    assert any(field["message"]["type"] == "UPDATE" for field in fields)
    texts = [row["text"] for row in await cluster.ask("log", peer="127.0.0.11") if row["event"] == "debug"]
    assert texts[0].endswith("logged for 300 s")
    assert texts[-1].endswith("not logged any more: nobody follows it")
    # What is debugged does not drive the rest out of the last lines.
    assert not [row for row in await cluster.ask("log") if row["event"] == "message"]


async def test_debug_without_anybody_who_follows(cluster: Cluster) -> None:
    assert await cluster.ask("debug", peer="127.0.0.11", detach=True, **{"for": "1h"}) == [
        {"neighbor": "127.0.0.11", "done": "its messages are logged for 1:00:00"}
    ]
    (row,) = await cluster.ask("neighbor", peer="127.0.0.11")
    assert row["debug"]["seconds"] > 3000
    stopped = await asyncio.to_thread(cluster.command, "debug", "127.0.0.11", "--stop")
    assert stopped.stdout == "127.0.0.11: its messages are not logged any more\n"
    assert await cluster.ask("debug", peer="127.0.0.11", stop=True) == [
        {"neighbor": "127.0.0.11", "done": "its messages were not logged"}
    ]


async def test_debug_has_a_measure_and_an_end(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugging, "_MESSAGES", Rate(5, 0.001))
    command = Command(cluster, "debug", "127.0.0.11", "--json", "--for", "1h")
    await command.until('"debugging"')
    for number in range(100):
        cluster.clients[0].announce(f"10.9.{number}.0/24", next_hop="10.0.0.1", med=number)

    async def crowded() -> bool:
        (row,) = await cluster.ask("neighbor", peer="127.0.0.11")
        return bool(row["debug"]["suppressed"])

    await until(crowded)
    await cluster.ask("debug", peer="127.0.0.11", stop=True)
    status, out, _ = await command.end()
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert len([row for row in rows if "message" in row]) == 5
    assert rows[-1]["over"] == "somebody has stopped it" and rows[-1]["suppressed"] > 0
    assert sum(row["suppressed"] for row in rows[:-1] if "suppressed" in row) == rows[-1]["suppressed"]
    again = await cluster.ask("debug", peer="127.0.0.11", **{"for": "0.1s"})
    assert again[-1]["over"] == "the time is over"
