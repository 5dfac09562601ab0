"""The last lines of the log, kept for who looks later, in bounded memory; they come as the log's own do."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from reflector.logs.logform import settled, values
from reflector.logs.outlet import key_of
from reflector.logs.restraint import Passed, Restraint

LINES = 2000


class Journal(logging.Handler):
    """Keeps the last `lines` lines of whatever is logged at `level` or above.

    A line has the fields of one in JSON (`reflector.logs.logform`), but for `time`, which is in seconds.
    """

    def __init__(
        self,
        level: int = logging.INFO,
        lines: int = LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(level)
        self._clock = clock
        self._restraint: Restraint[logging.LogRecord] = Restraint()
        self._lines: deque[dict[str, Any]] = deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        try:
            now = self._clock()
            self._keep(self._restraint.due(now))
            self._keep(self._restraint.offer(*key_of(record), settled(record), now))
        except Exception:
            self.handleError(record)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._keep(self._restraint.due(self._clock()))
        return iter(list(self._lines))

    @property
    def size(self) -> tuple[int, int]:
        """How many lines are kept, and the characters of their texts."""
        return len(self._lines), sum(len(line["text"]) for line in self._lines)

    def _keep(self, passed: list[Passed[logging.LogRecord]]) -> None:
        for each in passed:
            line = values(each.line, each.suppressed) | {"time": each.line.created}
            self._lines.append(line)
