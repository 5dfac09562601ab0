"""Commands in and lines out, so that no program at the other end can lock both up.

The reader hands on what comes as fast as it is done, and knows nothing of the writer.  The writer is a thread
of its own: whoever prints only adds to what waits.  Acknowledgments are never lost; runs of equal ones are
one entry, however long.  Messages that wait are bounded by their octets: beyond that the oldest are dropped,
and before the next one a line says how many.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError

LIMIT = 16 << 20
# So many runs of different acknowledgments may wait: done, error, done, error, and nobody reads.
_RUNS = 1 << 20
_BATCH = 65536
_LINE = 1 << 20


class Output:
    """What is printed to a file descriptor; `lagged` makes the line for a number of lost messages."""

    def __init__(self, descriptor: int, lagged: Callable[[int], bytes], limit: int = LIMIT) -> None:
        self._descriptor = descriptor
        self._lagged = lagged
        self._limit = limit
        self._changed = threading.Condition()
        self._acknowledgments: deque[tuple[bytes, int]] = deque()
        self._messages: deque[bytes] = deque()
        self._octets = 0
        self._lost = 0
        self._writing = False
        self._ended = False
        self.broken = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def acknowledge(self, line: bytes) -> None:
        """Print an answer to a command, ahead of the messages that wait."""
        with self._changed:
            if self._acknowledgments and self._acknowledgments[-1][0] == line:
                self._acknowledgments[-1] = line, self._acknowledgments[-1][1] + 1
            elif len(self._acknowledgments) < _RUNS:
                self._acknowledgments.append((line, 1))
            else:
                self.broken = True  # nobody will ever read all this
            self._changed.notify_all()

    def message(self, line: bytes) -> None:
        """Print a message, or drop the oldest ones that wait."""
        with self._changed:
            self._messages.append(line)
            self._octets += len(line)
            while self._octets > self._limit and len(self._messages) > 1:
                self._octets -= len(self._messages.popleft())
                self._lost += 1
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        """Wait until all is printed, so many seconds at most, and print no more."""
        with self._changed:
            self._changed.wait_for(self._idle, seconds)
            self._ended = True
            self._changed.notify_all()

    def _idle(self) -> bool:
        return self.broken or not (self._writing or self._acknowledgments or self._messages or self._lost)

    def _run(self) -> None:
        while octets := self._next():
            try:
                while octets:
                    octets = octets[os.write(self._descriptor, octets) :]
            except OSError:
                with self._changed:
                    self.broken = True
                    self._changed.notify_all()
                return

    def _next(self) -> bytes:
        """Wait for something to print, and return it; nothing at the end."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._ended or self._acknowledgments or self._messages or self._lost
            )
            if self._ended:
                return b""
            self._writing = True
            parts: list[bytes] = []
            size = 0
            while self._acknowledgments and size < _BATCH:
                line, count = self._acknowledgments.popleft()
                taken = min(count, max(1, (_BATCH - size) // len(line)))
                parts.append(line * taken)
                size += len(line) * taken
                if taken < count:
                    self._acknowledgments.appendleft((line, count - taken))
            if self._lost and size < _BATCH:
                parts.append(self._lagged(self._lost))
                self._lost = 0
            while self._messages and size < _BATCH:
                parts.append(self._messages.popleft())
                self._octets -= len(parts[-1])
                size += len(parts[-1])
            return b"".join(parts)


async def lines(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines that come in; a file, a pipe and a terminal all do.

    What was read and is not done yet is bounded: then the other end has to wait, for the work and for
    nothing else.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue(16)

    def read() -> None:
        data = b"-"
        while data:
            try:
                data = os.read(descriptor, _BATCH)
            except OSError:
                data = b""
            put = chunks.put(data)
            try:
                asyncio.run_coroutine_threadsafe(put, loop).result()
            except (RuntimeError, CancelledError):
                put.close()
                return  # the loop is over

    threading.Thread(target=read, name="input", daemon=True).start()
    rest = b""
    while data := await chunks.get():
        *whole, rest = (rest + data).split(b"\n")
        for octets in whole:
            yield octets.decode(errors="replace")
        if len(rest) > _LINE:
            raise ValueError(f"a line of more than {_LINE} octets")
    if rest:
        yield rest.decode(errors="replace")
