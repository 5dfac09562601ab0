"""The service as users run it, `reflector run`, in a process that can be watched, paused and limited."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_START = 30.0
_PAGE = os.sysconf("SC_PAGESIZE")
_TICK = os.sysconf("SC_CLK_TCK")
_STATE = re.compile(
    r"sessions (\d+), peers (\d+), routes (\d+), attribute octets (\d+), "
    r"loop lag p99 ([\d.]+) ms, maximum ([\d.]+) ms, internal errors (\d+)"
)


class Victim:
    """A service with `configuration`; use in a `with`.

    `descriptors` is the most files it may have open; `log` a file to log to in place of being read here.
    """

    def __init__(
        self, configuration: str, directory: Path, *, descriptors: int | None = None, log: str = ""
    ) -> None:
        self._file = directory / "reflector.toml"
        self._file.write_text(configuration)
        self._descriptors = descriptors
        self._log = log
        self.lines: deque[str] = deque(maxlen=5000)
        self.problems: list[str] = []  # what no attack may bring about
        self.starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._hear_out()

    def start(self) -> None:
        """Start, and wait until it listens."""
        limit: Callable[[], None] | None = None
        if self._descriptors is not None:
            most = self._descriptors
            limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # noqa: E731
        command = [sys.executable, "-m", "reflector", "run", str(self._file)]
        with open(self._log, "w") if self._log else contextlib.nullcontext(subprocess.PIPE) as errors:
            self._process = subprocess.Popen(command, stderr=errors, text=True, preexec_fn=limit)
        self._reader: threading.Thread | None = None
        if self._process.stderr is not None:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        end = time.monotonic() + _START
        while not self.port:
            if self._process.poll() is not None or time.monotonic() > end:
                self._hear_out()
                raise RuntimeError("the service does not start:\n" + "\n".join(self.lines))
            time.sleep(0.02)
        self.starts += 1

    def stop(self) -> int:
        """End it as an operator does; return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(_START)
        self._hear_out()
        return status

    def pause(self) -> None:
        """Let it have no processor time, as on a machine that stands still."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    # --- what may be seen --------------------------------------------------------------------------------
    @property
    def port(self) -> int:
        """The port that it listens on, 0 for none."""
        inodes = set()
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{self._process.pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(f"/proc/{self._process.pid}/fd/{name}"))
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and f"socket:[{fields[9]}]" in inodes:
                return int(fields[1].split(":")[1], 16)
        return 0

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def memory(self) -> int:
        """Octets of memory."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE

    @property
    def processor(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    @property
    def descriptors(self) -> int:
        """How many files it has open."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def state(self) -> "State":
        """Ask it how it is; the loop's lag is that since the last time."""
        asked = len(self.problems), self._states
        self._process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + _START
        while self._states == asked[1]:
            if not self.alive or time.monotonic() > end:
                raise RuntimeError("the service does not say how it is:\n" + "\n".join(self.lines))
            time.sleep(0.01)
        return self._state

    def said(self, words: str) -> bool:
        """Whether its log has these words, among its latest lines."""
        return any(words in line for line in list(self.lines))

    _states = 0
    _state: "State"

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line.rstrip())
            if found := _STATE.search(line):
                self._state = State(*map(float, found.groups()))
                self._states += 1
            elif "internal error" in line or "Traceback" in line or "was never" in line:
                self.problems.append(line.rstrip())

    def _hear_out(self) -> None:
        if self._reader is not None:
            self._reader.join(5)
        if self._process.stderr is not None:
            self._process.stderr.close()


class State:
    """What the service says of itself: lags in milliseconds."""

    def __init__(
        self,
        sessions: float,
        peers: float,
        routes: float,
        octets: float,
        p99: float,
        most: float,
        bugs: float,
    ) -> None:
        self.sessions, self.peers, self.routes = int(sessions), int(peers), int(routes)
        self.attribute_octets = int(octets)
        self.lag_p99, self.lag_maximum = p99, most
        self.internal_errors = int(bugs)
