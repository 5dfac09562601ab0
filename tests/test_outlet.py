"""The log on its way out: its forms, whoever reads it or does not, and how few lines there are."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from judging import AS_PATH, LOCAL_PREF, NEXT_HOP, PREFIX, update
from rawpeer import RawPeer, an_open
from service import ROOT, running

from bgp.iana import MessageType
from bgp.wire.attributes import attribute
from bgp.wire.framing import frame
from reflector.logs.log import Log, change, said
from reflector.logs.logform import JSON, Form
from reflector.logs.outlet import ROOM, Outlet

BAD_ORIGIN = frame(
    MessageType.UPDATE, update(attribute(0x40, 1, b"\x07") + AS_PATH + NEXT_HOP + LOCAL_PREF, PREFIX)
)
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def record(text: str = "text", level: int = logging.WARNING, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("x", level, "", 7, text, (), None)
    made.__dict__.update(said("limit", **fields) if fields else {})
    return made


def failed() -> logging.LogRecord:
    try:
        raise ValueError("no\nreason")
    except ValueError:
        return logging.LogRecord("x", logging.ERROR, "", 0, "it %s", ("failed",), sys.exc_info())


def test_a_line_of_text() -> None:
    assert re.fullmatch(rf"{MOMENT} WARNING text\n", Form().line(record()))
    assert Form().line(record(), 3).endswith(" text (3 lines like this suppressed)\n")
    assert "it failed\nTraceback" in Form().line(failed())


def test_a_line_of_json() -> None:
    found = json.loads(Form(JSON).line(record(peer="node1", asn=7, state=None), 2))
    assert re.fullmatch(MOMENT, found.pop("time"))
    assert found == {
        "level": "warning",
        "event": "limit",
        "peer": "node1",
        "asn": 7,
        "state": None,
        "text": "text",
        "suppressed": 2,
    }
    other = Form(JSON).line(failed())
    assert other.count("\n") == 1
    assert json.loads(other)["event"] == "log" and json.loads(other)["logger"] == "x"
    assert "Traceback" in json.loads(other)["exception"]


def test_the_journal_has_levels_and_no_time_twice() -> None:
    assert Form(journal=True).line(record()) == "<4>text\n"
    lines = Form(journal=True).line(failed()).splitlines()
    assert lines[0] == "<3>it failed" and all(line.startswith("<3>") for line in lines)
    assert Form(JSON, journal=True).line(record(level=logging.DEBUG)).startswith('<7>{"time":')


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read_until(descriptor: int, wanted: str) -> str:
    text, deadline = "", time.monotonic() + 60
    while wanted not in text and time.monotonic() < deadline:
        text += os.read(descriptor, 1 << 20).decode()
    return text


def test_the_journal_is_known_by_its_stream(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    found = os.fstat(pipe[1])
    assert not Outlet(pipe[1]).is_journal
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert Outlet(pipe[1]).form == Form(journal=True)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + 1}")
    assert not Outlet(pipe[1]).is_journal


def test_who_does_not_read_holds_nobody_up_and_hears_what_was_lost(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    outlet.start()
    count = 3 * ROOM // 4096
    done = threading.Event()

    def write() -> None:
        for number in range(count):
            # Each of its own event, so that nothing is held for its rate.
            line = record("x" * 4096, number=number)
            line.measured = True
            outlet.handle(line)
        done.set()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    assert done.wait(60), "the writer waits for the reader"
    lost = outlet.lost
    assert 0 < lost < count
    text = read_until(pipe[0], "lines were lost")
    assert f"{lost} lines were lost: who reads the log was too slow\n" in text
    assert text.count("x" * 4096) == count - lost
    last = record("the end")
    outlet.handle(last)
    assert "the end" in read_until(pipe[0], "the end")
    outlet.close()


def test_the_end_has_all_that_was_held(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1], clock=lambda: 5.0)
    outlet.start()
    for number in range(500):
        line = record(f"down {number}", level=logging.INFO, peer="node1")
        line.fields = {"event": "ended", "peer": "node1"}
        outlet.handle(line)
    outlet.flush()
    outlet.close()
    lines = read_until(pipe[0], "down 499").splitlines()
    assert [line.split(" INFO    ")[1] for line in lines[:10]] == [f"down {number}" for number in range(10)]
    assert lines[10].endswith("down 499 (489 lines like this suppressed)")
    assert len(lines) == 11


def test_another_level_and_form_without_a_restart(pipe: tuple[int, int]) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    outlet = Outlet(pipe[1])
    root.handlers[:] = [outlet]
    outlet.start()
    try:
        change(Log("warning"))
        logging.getLogger("x").info("too little")
        logging.getLogger("x").warning("enough")
        assert re.fullmatch(rf"{MOMENT} WARNING enough\n", read_until(pipe[0], "enough"))
        change(Log("info", JSON))
        logging.getLogger("x").info("now")
        assert json.loads(read_until(pipe[0], "now"))["text"] == "now"
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("bgp.aio.peer").setLevel(logging.NOTSET)
        outlet.close()


async def test_ten_thousand_routes_and_their_errors_make_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the normal level: no line for a route, and one for a peer with nothing but malformed UPDATEs."""
    caplog.set_level(logging.INFO)
    async with running(tmp_path) as cluster:
        before = len(caplog.records)
        async with cluster.clients[0].transaction():
            for number in range(10_000):
                cluster.clients[0].announce(f"10.100.{number // 256}.{number % 256}/32", next_hop="10.0.0.1")
        raw = await RawPeer.dial(cluster.service.speaker, source="127.0.0.77")
        await raw.establish(an_open(asn=64512))
        await raw.send(*[BAD_ORIGIN] * 2000)
        async with asyncio.timeout(60):
            while cluster.service.speaker.router.rib.routes < 10_004:
                await asyncio.sleep(0.05)
            (peer,) = [each for each in cluster.service.speaker.peers if each.name == "127.0.0.77"]
            while peer.traffic.received[MessageType.UPDATE] < 2000:
                await asyncio.sleep(0.05)
        await raw.close()
        ours = [each for each in caplog.records[before:] if each.name.split(".")[0] in ("bgp", "reflector")]
        about = [each for each in ours if "10.100." in each.getMessage()]
        assert about == [] and len(ours) < 20
        (bad,) = [each for each in ours if "malformed" in each.getMessage()]
        assert bad.fields["rfc"] == "RFC 7606 7.1"  # type: ignore[attr-defined]
        rows = await cluster.ask("log", peer="127.0.0.77")
        found = {row["event"]: row for row in rows}
        assert found["malformed"]["outcome"] == "treat-as-withdraw"
        assert found["malformed"]["message"] == BAD_ORIGIN.hex()


def test_the_service_logs_json_and_reloads_to_text(tmp_path: Path) -> None:
    file = tmp_path / "rr.toml"
    router = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\nlisten = ["127.0.0.1:0"]\n'
    router += "[control]\nenabled = false\n"
    file.write_text(router + '[log]\nformat = "json"\n')
    command = [sys.executable, "-m", "reflector", "run", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            started = next(found for line in lines if (found := json.loads(line))["event"] == "started")
            assert started["asn"] == 64512 and started["listening"][0].startswith("127.0.0.1:")
            file.write_text(router + '[log]\nlevel = "debug"\n')
            process.send_signal(1)
            assert any(line.rstrip().endswith("SIGHUP: 1 changes, 0 failed") for line in lines)
        finally:
            process.terminate()
        assert process.stderr.read().rstrip().endswith("INFO    stopped")
    assert process.returncode == 0
