"""One input after the other under a time limit; what breaks is kept, a file for each way to break.

A finding is known by its exception and by where it was raised, so a thousand inputs that break at one
place are one finding, of which the smallest is kept.
"""

import hashlib
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fuzz import corpus
from fuzz.target import Target

ROOT = Path(__file__).resolve().parent.parent
_FRAMES = 4


# Whoever waits for nothing takes no time of the processor: so the clock stops it, much later.
_PATIENCE = 12
_TIMERS = ((signal.ITIMER_PROF, signal.SIGPROF, 1), (signal.ITIMER_REAL, signal.SIGALRM, _PATIENCE))


class Hang(BaseException):
    """An input took longer than the limit; no Exception, for those may be caught by what is tried."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Hang in the block when it has taken `seconds` of processor time, on a busy machine, too.

    In the main thread only; 0 for no limit.
    """

    def expired(number: int, frame: FrameType | None) -> None:
        raise Hang(f"not done after {seconds} s")

    if not seconds:
        yield
        return
    previous = [signal.signal(number, expired) for _, number, _ in _TIMERS]
    for timer, _, times in _TIMERS:
        signal.setitimer(timer, seconds * times)
    try:
        yield
    finally:
        for (timer, number, _), former in zip(_TIMERS, previous, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, former)


def fault(target: Target, data: bytes, seconds: float = 10.0) -> BaseException | None:
    """Return what `data` raises in the check of `target`, or None."""
    try:
        with limited(seconds):
            target.check(data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return error
    return None


def signature(error: BaseException) -> str:
    """Return a short name that is the same for all inputs that break at the same place."""
    words = []
    at: BaseException | None = error
    while at is not None:
        words.append(type(at).__name__)
        if not isinstance(at, Hang):  # a clock stops anywhere
            frames = [
                frame
                for frame in traceback.extract_tb(at.__traceback__)
                if Path(frame.filename).is_relative_to(ROOT) and ".venv" not in frame.filename
            ]
            words += [f"{Path(frame.filename).name}:{frame.name}:{frame.line}" for frame in frames[-_FRAMES:]]
        # What the fast path and the reference disagree about.
        words += sorted(text.partition(":")[0] for text in getattr(at, "differences", ()))
        at = at.__cause__
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:10]


@dataclass(slots=True)
class Examiner:
    """Counts inputs and keeps findings of one target in `directory`."""

    target: Target
    directory: Path
    seconds: float = 10.0  # that one input may take
    inputs: int = 0
    findings: dict[str, Path] = field(default_factory=dict)
    slowest: float = 0.0
    slowest_input: bytes = b""

    def examine(self, data: bytes) -> bool:
        """Check one input; return whether it holds."""
        self.inputs += 1
        start = time.process_time()
        error = fault(self.target, data, self.seconds)
        taken = time.process_time() - start
        if taken > self.slowest:
            self.slowest, self.slowest_input = taken, data
        if error is None:
            return True
        self._keep(data, error)
        return False

    def _keep(self, data: bytes, error: BaseException) -> None:
        name = signature(error)
        path = self.directory / self.target.name / f"{name}.hex"
        if name in self.findings or path.exists():
            self.findings[name] = path
            if len(corpus.load(path)) <= len(data):
                return
        self.findings[name] = path
        text = "".join(traceback.format_exception_only(error)).strip()
        corpus.save(path, data, self.target.name, [line[:200] for line in text.splitlines()[:4]])
