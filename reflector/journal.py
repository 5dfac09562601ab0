"""The last lines of the log, kept for who looks later, in bounded memory."""

import logging
from collections import deque
from collections.abc import Iterator
from typing import Any

LINES = 2000


class Journal(logging.Handler):
    """Keeps the last `lines` lines of whatever is logged at `level` or above."""

    def __init__(self, level: int = logging.INFO, lines: int = LINES) -> None:
        super().__init__(level)
        self._lines: deque[dict[str, Any]] = deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        line = {"time": record.created, "level": record.levelname.lower(), "text": text}
        line |= getattr(record, "fields", {})
        self._lines.append(line)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._lines))

    @property
    def size(self) -> tuple[int, int]:
        """How many lines are kept, and the characters of their texts."""
        return len(self._lines), sum(len(line["text"]) for line in self._lines)
