"""`reflector ...` in a process of its own, as a user runs it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT = 60


class Command:
    """`python -m reflector ...`, whose lines are read one by one; or another `program` in its place."""

    def __init__(self, *arguments: str, program: str = "", **environment: str) -> None:
        self.lines: list[str] = []
        environment["PYTHONPATH"] = os.pathsep.join([*environment.get("PYTHONPATH", "").split(), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, *([program] if program else ["-m", "reflector"]), *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, pattern: str) -> re.Match[str]:
        """Read lines until one holds `pattern`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            match = re.search(pattern, line)
            if match is not None:
                return match
        raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.lines))

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, read the rest, and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=TIMEOUT)
        self.lines += rest.splitlines()
        return self.process.returncode

    @property
    def output(self) -> str:
        return "\n".join(self.lines)
