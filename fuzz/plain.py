"""The engine for where atheris is not installed: seeded mutation of inputs that reached new lines.

The same seed and number of inputs give the same run, whatever the machine.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

from fuzz import corpus
from fuzz.examine import ROOT, Examiner
from fuzz.mutate import mutated

_FRESH = 0.25  # of the inputs, drawn anew instead of mutated
_SEEDS = 32


class Lines:
    """The lines of some packages that have been reached; costs little once a function is known whole."""

    def __init__(self, *packages: Path) -> None:
        self._packages = tuple(f"{package}/" for package in packages)
        self._missing: dict[CodeType, set[int]] = {}
        self.count = 0
        self._new = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        previous = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(previous)

    def news(self) -> bool:
        """Return whether a line was reached for the first time since the last call."""
        new, self._new = self._new, False
        return new

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        missing = self._missing.get(code)
        if missing is None:
            inside = code.co_filename.startswith(self._packages)
            missing = {line for _, _, line in code.co_lines() if line is not None} if inside else set()
            missing.discard(code.co_firstlineno)
            self._missing[code] = missing
        return self._reached if missing else None

    def _reached(self, frame: FrameType, event: str, argument: object) -> Any:
        missing = self._missing[frame.f_code]
        if event == "line" and frame.f_lineno in missing:
            missing.discard(frame.f_lineno)
            self.count += 1
            self._new = True
        return self._reached if missing else None


def run(
    examiner: Examiner, seed: int, seconds: float, inputs: int | None = None, coverage: bool = True
) -> int:
    """Try inputs for `seconds`, at most `inputs` of them; return how many were worth keeping."""
    target, random = examiner.target, Random(f"{examiner.target.name}:{seed}")
    pool = [corpus.load(path) for path in corpus.files(target.name)]
    pool += [target.seed(random)[: target.maximum] for _ in range(_SEEDS)]
    lines = Lines(ROOT / "bgp", ROOT / "reflector")
    end = time.monotonic() + seconds
    waiting = list(pool)
    while time.monotonic() < end and (inputs is None or examiner.inputs < inputs):
        if waiting:
            data = waiting.pop()
        elif random.random() < _FRESH:
            data = target.seed(random)[: target.maximum]
        else:
            # The youngest have reached the newest lines.
            data = random.choice(pool if random.random() < 0.5 else pool[-_SEEDS:])
            data = mutated(random, data, pool, target.maximum)
        if not coverage:
            examiner.examine(data)
            continue
        with lines.watching():
            examiner.examine(data)
        if lines.news():
            pool.append(data)
    return len(pool)
