"""What systemd is told: by datagrams to a real socket, from the parts and from the whole command."""

import asyncio
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bothloops import both_loops
from commands import TIMEOUT, Command

from reflector.control.client import ask
from reflector.running.supervisor import Patience, Pulse, Supervisor


class Systemd:
    """Who starts services and listens to what they say, as systemd does."""

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        self._socket.settimeout(TIMEOUT)
        self.environment = {"NOTIFY_SOCKET": name}
        self.heard: list[str] = []

    def hear(self) -> str:
        message = self._socket.recv(4096).decode()
        self.heard.append(message)
        return message

    def until(self, pattern: str) -> re.Match[str]:
        """Hear messages until one is like this."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            match = re.fullmatch(pattern, self.hear())
            if match is not None:
                return match
        raise AssertionError(f"{pattern!r} is not in {self.heard}")

    def waiting(self) -> list[str]:
        """Return what was said and not heard yet."""
        self._socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.hear())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(TIMEOUT)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    name = {"path": str(tmp_path / "notify"), "abstract": f"@martlet-test-{os.getpid()}-{time.time_ns()}"}
    found = Systemd(name[request.param])
    yield found
    found.close()


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[Systemd]:
    found = Systemd(str(tmp_path / "notify"))
    yield found
    found.close()


def test_what_is_said(systemd: Systemd) -> None:
    environment = dict(systemd.environment)
    supervisor = Supervisor(environment)
    assert supervisor and "NOTIFY_SOCKET" not in environment  # nobody whom we start speaks for us
    supervisor.ready()
    assert systemd.hear() == "READY=1"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    supervisor.reloading()
    said = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", systemd.hear())
    assert said is not None
    assert before <= int(said[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    supervisor.stopping()
    supervisor.extend(1.5)
    supervisor.alive()
    for text in ("well", "well", "two\nlines"):
        supervisor.status(text)
    supervisor.close()
    supervisor.ready()
    assert systemd.waiting() == [
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=1500000",
        "WATCHDOG=1",
        "STATUS=well",
        "STATUS=two lines",
    ]


@pytest.mark.parametrize(
    "name", ["", "@", "relative", "vsock:2:1234", "/nonexistent/socket", "/" + "x" * 200]
)
def test_nothing_that_goes_wrong_is_an_error(name: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    for _ in range(20):
        supervisor.ready()


def test_what_does_not_fit_is_said_later(notified: Systemd) -> None:
    supervisor = Supervisor(dict(notified.environment))
    for number in range(5000):  # more than any queue holds, and nobody listens
        supervisor.status(str(number))
    supervisor.ready()
    assert notified.waiting()
    supervisor.alive()
    assert notified.waiting()[-2:] == ["READY=1", "WATCHDOG=1"]


def test_the_watchdog_is_for_one_process() -> None:
    ours, other = str(os.getpid()), str(os.getppid())
    for pid, granted in ((ours, 3.0), ("", 3.0), (other, 0.0)):
        environment = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": pid}
        assert Supervisor(environment).watchdog == granted
        assert not environment
    assert Supervisor({"WATCHDOG_USEC": "soon"}).watchdog == Supervisor({}).watchdog == 0


@both_loops
async def test_a_blocked_loop_stops_the_watchdog(notified: Systemd) -> None:
    supervisor = Supervisor({**notified.environment, "WATCHDOG_USEC": "100000"})
    pulse = Pulse(supervisor, asyncio.get_running_loop(), lambda: "well", lambda: None)
    for _ in range(3):
        while await asyncio.to_thread(notified.hear) != "WATCHDOG=1":
            pass
    notified.waiting()
    time.sleep(0.5)  # five times as long as is granted, and the loop does nothing
    assert notified.waiting() == []
    while await asyncio.to_thread(notified.hear) != "WATCHDOG=1":
        pass
    pulse.stop()


@both_loops
async def test_who_is_not_well_is_not_said_to_be(notified: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    ailments: list[str | None] = [None]
    supervisor = Supervisor({**notified.environment, "WATCHDOG_USEC": "100000"})
    pulse = Pulse(supervisor, asyncio.get_running_loop(), lambda: "well", lambda: ailments[-1])
    await asyncio.to_thread(notified.until, "STATUS=well")
    with caplog.at_level(logging.CRITICAL):
        ailments.append("nobody can connect")
        await asyncio.to_thread(notified.until, "STATUS=nobody can connect")
        notified.waiting()
        await asyncio.sleep(0.3)
        assert notified.waiting() == []
    assert len(caplog.records) == 1
    ailments.append(None)
    await asyncio.to_thread(notified.until, "STATUS=well")
    pulse.stop()


async def test_time_is_asked_for_while_something_lasts(
    notified: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Patience, "INTERVAL", 0.05)
    patience = Patience(Supervisor(dict(notified.environment)), asyncio.get_running_loop())
    for _ in range(2):
        assert await asyncio.to_thread(notified.hear) == "EXTEND_TIMEOUT_USEC=30000000"
    patience.stop()


# --- The command ------------------------------------------------------------------------------------------

CONFIGURATION = """\
[router]
asn = 64512
router_id = "192.0.2.100"
listen = ["127.0.0.1:0"]
[control]
socket = "DIRECTORY/socket"
[[listen_range]]
prefix = "127.0.0.0/8"
client = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rr.toml"
    path.write_text(CONFIGURATION.replace("DIRECTORY", str(tmp_path)))
    return path


@pytest.fixture(params=["uvloop", "asyncio"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return what has the command run on uvloop, or on asyncio's loop as where there is none."""
    if request.param == "uvloop":
        return {}
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "uvloop.py").write_text('raise ImportError("not installed")')
    return {"PYTHONPATH": str(absent)}


def test_a_service_under_systemd(
    file: Path, environment: dict[str, str], notified: Systemd, tmp_path: Path
) -> None:
    run = Command("run", str(file), **environment, **notified.environment, WATCHDOG_USEC="1000000")
    try:
        notified.until("READY=1")
        assert "STATUS=starting" in notified.heard
        (row,) = ask(tmp_path / "socket", "status", {})
        # It is used where it is installed.
        assert row["loop"] == ("asyncio" if environment else "uvloop")
        notified.until("WATCHDOG=1")
        notified.until("STATUS=0 of 0 neighbors Established, 0 routes.*")
        file.write_text(file.read_text().replace('"127.0.0.1:0"', '"127.0.0.1:0", "127.0.0.2:0"'))
        for wanted in ("listen .*127.0.0.2:0", "SIGHUP: 1 error, nothing was changed"):
            run.process.send_signal(signal.SIGHUP)
            notified.until(r"RELOADING=1\nMONOTONIC_USEC=\d+")
            notified.until("READY=1")  # also where nothing was changed: systemd waits for it
            run.until(wanted)
            file.write_text("nonsense")
        notified.until("WATCHDOG=1")
        run.process.send_signal(signal.SIGTERM)
        notified.until("STOPPING=1")
        assert run.end() == 0
        assert "Traceback" not in run.output
    finally:
        run.process.kill()


def test_a_service_that_cannot_start_says_why(file: Path, notified: Systemd) -> None:
    file.write_text(file.read_text().replace("127.0.0.1:0", "192.0.2.250:0"))
    run = Command("run", str(file), **notified.environment)
    assert run.end() == 1
    assert "READY=1" not in notified.waiting()
    assert any("no interface has this address" in each for each in notified.heard)


def test_signals_before_it_serves(file: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """A SIGHUP that comes while we start reloads afterwards, a SIGTERM ends in order."""
    fifo = tmp_path / "fifo.toml"
    os.mkfifo(fifo)
    text = file.read_text()
    run = Command("run", str(fifo), **environment)
    try:
        with fifo.open("w") as writer:  # it reads by now, so it listens to signals
            run.process.send_signal(signal.SIGHUP)
            writer.write(text)
        run.until("listening on")
        # The file is read once more.
        later = text.replace("client = true", "client = true\nlimit = 7")
        threading.Thread(target=fifo.write_text, args=(later,), daemon=True).start()
        run.until("reload: .*limit 1000 -> 7")
        assert run.end(signal.SIGTERM) == 0
    finally:
        run.process.kill()


# The command, but for an end of the service that lasts for ever.
HELD = """\
import asyncio, sys
from reflector.__main__ import main
from reflector.app import Service

async def stop(*_, **__):
    print("held", flush=True)
    await asyncio.sleep(600)

Service.stop = stop
sys.exit(main(sys.argv[1:]))
"""


def test_a_second_signal_ends_it_at_once(file: Path, environment: dict[str, str], tmp_path: Path) -> None:
    held = tmp_path / "held.py"
    held.write_text(HELD)
    cases = [(signal.SIGTERM, signal.SIGINT, 130), (signal.SIGINT, signal.SIGTERM, 143)]
    for first, second, status in cases[: 1 if environment else 2]:
        run = Command("run", str(file), **environment, program=str(held))
        try:
            run.until("listening on")
            run.process.send_signal(first)
            run.until("held")
            assert run.end(second) == status
            assert "again: ending at once" in run.output
        finally:
            run.process.kill()
