"""Where the log goes out: with measure (see `restraint`), and by a thread that may be kept waiting.

Whoever reads our standard error may stop reading.  Then the thread waits, and not the event loop; lines
that find no room meanwhile are dropped and counted, and what was lost is said when there is room again.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from reflector.logs.logform import Form, fields_of, is_journal, settled
from reflector.logs.restraint import Class, Restraint

# What may wait to be written, in octets.
ROOM = 4 << 20
# What is written at once.
_CHUNK = 1 << 16
# How long the end of the program waits for who does not read.
PATIENCE = 1.0
# Lines that are held are let out a few times a second, not each at its own time.
_PAUSE = 0.1

_STATES = frozenset(("established", "ended", "unreachable", "added", "removed"))


def key_of(record: logging.LogRecord) -> tuple[Class, tuple[object, ...]]:
    """Return what a line is about, for its rate."""
    fields = fields_of(record)
    event, peer = fields.get("event"), fields.get("peer")
    of = Class.OTHER if record.levelno > logging.DEBUG else Class.DEBUG
    if event in _STATES:
        # One rate for all of a peer's coming and going.
        return (Class.STATE if of is Class.OTHER else of), (peer, "state")
    # By the line of the program that wrote it, where it has no name.
    return of, (peer, event) if event else (record.name, record.lineno)


class Outlet(logging.Handler):
    """Writes lines to a file descriptor, by a thread of its own.

    Lines with `extra={"measured": True}` have a measure of their own, and are not held.
    """

    def __init__(
        self, descriptor: int, form: Form | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.is_journal = is_journal(descriptor)
        self.form = form or Form(journal=self.is_journal)
        self._descriptor = descriptor
        self._clock = clock
        self._restraint: Restraint[logging.LogRecord] = Restraint()
        self._lines: deque[bytes] = deque()
        self._octets = 0
        self._writing = False
        self._over = False
        assert self.lock is not None
        self._change = threading.Condition(self.lock)
        self._thread: threading.Thread | None = None
        self.lost = 0  # lines that found no room, and were not spoken of yet

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return self.form.line(record).removesuffix("\n")

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; the handler's lock is held."""
        try:
            with self._change:
                if getattr(record, "measured", False):
                    self._queue(record)
                else:
                    for each in self._restraint.offer(*key_of(record), settled(record), self._clock()):
                        self._queue(each.line, each.suppressed)
                self._change.notify_all()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Let out what is held, and wait for it to be written, but not for ever."""
        with self._change:
            for each in self._restraint.rest():
                self._queue(each.line, each.suppressed)
            self._change.notify_all()
            if self._thread is not None:
                self._change.wait_for(lambda: not self._lines and not self._writing, PATIENCE)

    def close(self) -> None:
        """Write no more."""
        with self._change:
            self._over = True
            self._change.notify_all()
        super().close()

    def _queue(self, record: logging.LogRecord, suppressed: int = 0) -> None:
        octets = self._octets_of(record, suppressed)
        if self._octets + len(octets) > ROOM:
            self.lost += 1
            return
        if self.lost:
            lost, self.lost = self.lost, 0
            self._add(self._octets_of(_about_lost(lost)))
        self._add(octets)

    def _octets_of(self, record: logging.LogRecord, suppressed: int = 0) -> bytes:
        return self.form.line(record, suppressed).encode("utf-8", "backslashreplace")

    def _add(self, octets: bytes) -> None:
        self._lines.append(octets)
        self._octets += len(octets)

    # --- in the thread -------------------------------------------------------------------------------------
    def _write(self) -> None:
        while (octets := self._next()) is not None:
            while octets:
                try:
                    octets = octets[os.write(self._descriptor, octets) :]
                except BlockingIOError:
                    # Somebody has made it so; that must not make us busy.
                    time.sleep(_PAUSE)
                except OSError:
                    break  # nobody will ever read it

    def _next(self) -> bytes | None:
        """Wait until there is something to write; None: it is over."""
        with self._change:
            self._writing = False
            self._change.notify_all()
            while True:
                for each in self._restraint.due(self._clock()):
                    self._queue(each.line, each.suppressed)
                if self._lines:
                    return self._chunk()
                if self._over:
                    return None
                if self.lost:
                    # What waited is gone, and nothing new has come to say it with.
                    lost, self.lost = self.lost, 0
                    self._add(self._octets_of(_about_lost(lost)))
                    continue
                at = self._restraint.next(self._clock())
                self._change.wait(None if at is None else max(at - self._clock(), _PAUSE))

    def _chunk(self) -> bytes:
        chunk: list[bytes] = []
        size = 0
        while self._lines and size < _CHUNK:
            chunk.append(self._lines.popleft())
            size += len(chunk[-1])
        self._octets -= size
        self._writing = True
        return b"".join(chunk)


def _about_lost(lost: int) -> logging.LogRecord:
    text = f"{lost} line{' was' if lost == 1 else 's were'} lost: who reads the log was too slow"
    record = logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None)
    record.fields = {"event": "lost", "count": lost}
    return record
