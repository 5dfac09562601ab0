"""Who asks a service again and again, and how long each answer takes: its first row, and all of it."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from reflector.control.client import Unanswered, ask


@dataclass(slots=True)
class Times:
    """How long a question took, in seconds."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    rows: int = 0

    def __str__(self) -> str:
        found = [
            f"{name} {_milliseconds(times)}" for name, times in (("first", self.first), ("all", self.whole))
        ]
        return f"{len(self.whole):4} times, {self.rows:6} rows: " + "; ".join(found)


def _milliseconds(times: Sequence[float]) -> str:
    p50, p99, most = (quantile(times, share) * 1000 for share in (0.5, 0.99, 1.0))
    return f"{p50:6.1f} ms (p50) {p99:6.1f} ms (p99) {most:6.1f} ms (most)"


def quantile(times: Sequence[float], share: float) -> float:
    """Return the time that this share of them did not exceed."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Asker:
    """Asks all `questions` once in each `interval` seconds, in a thread; use in a `with`."""

    def __init__(
        self, socket: Path, questions: Mapping[str, tuple[str, Mapping[str, Any]]], interval: float = 1.0
    ) -> None:
        self._socket, self._questions, self._interval = socket, questions, interval
        self.times = {name: Times() for name in questions}
        self.latest: dict[str, dict[str, Any]] = {}  # the last row of each answer
        self.unanswered: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            for name, (question, given) in self._questions.items():
                try:
                    self._ask(name, question, given)
                except Unanswered as error:
                    self.unanswered.append(f"{name}: {error}")

    def _ask(self, name: str, question: str, given: Mapping[str, Any]) -> None:
        times, began, rows = self.times[name], time.perf_counter(), 0
        for row in ask(self._socket, question, given):
            if not rows:
                times.first.append(time.perf_counter() - began)
                self.latest[name] = row
            rows += 1
        times.whole.append(time.perf_counter() - began)
        times.rows = max(times.rows, rows)


def command(socket: Path, *arguments: str) -> float:
    """Return the seconds that a command takes, with the start of Python."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "reflector", *arguments, "--socket", str(socket)],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began
