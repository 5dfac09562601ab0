"""What a line of the log looks like: text for people, JSON for programs, and either of them for the journal.

A line of JSON is an object.  These are always there:

    time     RFC 3339, in UTC with milliseconds
    level    debug, info, warning, error or critical
    event    what it is about, by a name that does not change: see `reflector.logs.log`; "log" for all else
    text     the line as people read it

and, where they mean anything, those of the event (`reflector.logs.log`), `suppressed` (so many lines like
this one were not written before it), `logger` (which part of the program, where `event` is "log") and
`exception` (a traceback).  There may be more of them in a later version.

systemd's journal has the time of each line, so text has none there; and it takes a level from `<N>` before a
line (sd-daemon(3)).
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)

_EXCEPTIONS = logging.Formatter()
# RFC 5424 section 6.2.1.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


@dataclass(frozen=True, slots=True)
class Form:
    """How lines are written; `journal`: to systemd's journal."""

    format: str = TEXT
    journal: bool = False

    def line(self, record: logging.LogRecord, suppressed: int = 0) -> str:
        """Return the line for a record, with its end; text may go over several lines."""
        if self.format == JSON:
            text = json.dumps(values(record, suppressed), separators=(",", ":"), default=str)
        else:
            text = _text(record, suppressed)
            if not self.journal:
                text = f"{stamp(record.created)} {record.levelname:<7} {text}"
        if self.journal:
            priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
            text = "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
        return text + "\n"


def values(record: logging.LogRecord, suppressed: int = 0) -> dict[str, Any]:
    """Return what is known of a record, in JSON's types."""
    fields = fields_of(record)
    found: dict[str, Any] = {"time": stamp(record.created), "level": record.levelname.lower()}
    found["event"] = fields.get("event", "log")
    found.update(fields)
    found["text"] = record.getMessage()
    if "event" not in fields:
        found["logger"] = record.name
    if suppressed:
        found["suppressed"] = suppressed
    if exception := _exception(record):
        found["exception"] = exception
    return found


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return the values that a line was given with `extra={"fields": ...}`."""
    found: Mapping[str, Any] = getattr(record, "fields", {})
    return found


def settled(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record that may wait: its text is that of now, and it holds nothing alive."""
    text, exception = record.getMessage(), _exception(record)
    found = logging.makeLogRecord(record.__dict__)
    found.msg, found.args, found.exc_info, found.exc_text = text, (), None, exception
    return found


def stamp(seconds: float) -> str:
    """Return a moment as RFC 3339 has it, in UTC with milliseconds."""
    milliseconds = int(seconds * 1000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{moment}.{milliseconds % 1000:03}Z"


def is_journal(descriptor: int) -> bool:
    """Whether what is written there goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def _text(record: logging.LogRecord, suppressed: int) -> str:
    text = record.getMessage()
    if suppressed:
        text += f" ({suppressed} line{'' if suppressed == 1 else 's'} like this suppressed)"
    if exception := _exception(record):
        text += "\n" + exception
    return text


def _exception(record: logging.LogRecord) -> str:
    if record.exc_info and not record.exc_text:
        record.exc_text = _EXCEPTIONS.formatException(record.exc_info)
    return record.exc_text or ""
