"""A connected socket on the event loop: octets in, whole messages out, and an orderly end.

It stands on the loop's reader and writer callbacks and not on an asyncio transport, because three things
must be exact that a transport hides: session messages go out before waiting routing messages but never
inside one; a NOTIFICATION discards what is unsent; and the send hold timer (RFC 9687) wants to know what
the kernel took.

What is queued are the very objects that were given, which a thousand peers may share.  For the kernel they
are joined: it takes one buffer of 64 KiB in much less time than hundreds of small ones.

The end of a connection is: what is left of a half-sent message, the NOTIFICATION, FIN, then reading and
discarding until the peer's FIN, for a bounded time.  Closing at once with octets unread would send a RST,
and a RST makes the peer's kernel forget a NOTIFICATION that the peer has not read yet.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Protocol

from bgp.aio import sockopt

logger = logging.getLogger(__name__)

# What is read at once: as prefixes, some milliseconds of work.
READ_SIZE = 32 * 1024
# How much may wait here for the kernel before routing messages are no longer pulled.
HIGH_WATER = 64 * 1024
# How long a finished connection may take to deliver its last words and to hear the peer's FIN.
LINGER = 2.0


class Reader(Protocol):
    """What a stream reports to."""

    def readable(self) -> bool:
        """Say whether to read now; whoever says no must pause the stream, or is asked again at once."""

    def octets(self, data: bytes) -> None:
        """Take what arrived."""

    def taken(self, octets: int) -> None:
        """Hear how many octets the kernel took just now."""

    def full(self) -> None:
        """Hear that the kernel takes no more for now."""

    def room(self) -> None:
        """Hear that all that was queued has been taken."""

    def lost(self, error: OSError | None) -> None:
        """Hear that the connection is gone: None for the peer's FIN."""


class Overhearing(Protocol):
    """What hears all octets that go in and out (`bgp.aio.tap`)."""

    def received(self, data: bytes) -> None:
        """Hear what was read."""

    def sent(self, data: bytes) -> None:
        """Hear what the kernel took."""

    def ended(self, aborted: bool) -> None:
        """Hear that the connection is over."""


class Stream:
    """Move octets of one connected socket, which it owns from now on."""

    def __init__(self, sock: socket.socket, reader: Reader) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._pull, self._push = sock.recv, sock.send
        self._reader: Reader | None = reader
        self._partial: memoryview | None = None  # what is left of a message sent in part
        # Lists, since an empty deque has the room for 64 entries, and most streams are idle.
        self._urgent: list[bytes] = []
        self._waiting: list[bytes] = []
        self._queued = 0
        self._reading = False
        self._writing = False
        self._error: OSError | None = None
        self._finishing: asyncio.TimerHandle | None = None
        self._closed: Callable[[], None] | None = None
        self.ear: Overhearing | None = None
        self.received = 0
        self.sent = 0
        self._urged = 0  # urgent octets so far: they come before what was queued earlier
        self.taken_at = 0.0

    @property
    def socket(self) -> socket.socket:
        return self._socket

    @property
    def queued(self) -> int:
        """Octets that the kernel has not taken."""
        return self._queued

    @property
    def mark(self) -> int | None:
        """Where the routing messages end that were queued so far; None after a failure."""
        if self._reader is None or self._error is not None:
            return None
        return self.sent + self._queued - self._urged

    def has_passed(self, mark: int) -> bool:
        """Whether the kernel took all that was before `mark`."""
        return self.sent - self._urged >= mark

    @property
    def is_open(self) -> bool:
        """Whether the reader still hears of it."""
        return self._reader is not None

    @property
    def begun(self) -> bytes:
        """What the kernel took already of a message of which it has not taken all."""
        if self._partial is None:
            return b""
        chunk = bytes(self._partial.obj)  # whole messages, of which this is the end
        taken, start = len(chunk) - len(self._partial), 0
        while (end := start + int.from_bytes(chunk[start + 16 : start + 18], "big")) <= taken and end > start:
            start = end
        return chunk[start:taken]

    def overhear(self, ear: Overhearing | None) -> None:
        """Let `ear` hear what goes in and out from now on; with None nobody, at no cost."""
        self.ear = ear
        sock = self._socket
        self._pull, self._push = sock.recv, sock.send
        if ear is None:
            return

        def pull(size: int) -> bytes:
            data = sock.recv(size)
            try:
                ear.received(data)
            except Exception:
                self._deafen()
            return data

        def push(octets: bytes | memoryview) -> int:
            taken = sock.send(octets)
            try:
                ear.sent(bytes(octets[:taken]))
            except Exception:
                self._deafen()
            return taken

        self._pull, self._push = pull, push  # type: ignore[assignment]

    def _deafen(self) -> None:
        """Let nobody hear any more, for a bug in what did; the session goes on."""
        logger.exception("internal error in a tap")
        self.overhear(None)

    def resume(self) -> None:
        """Read when something arrives."""
        if not self._reading and self._reader is not None:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def pause(self) -> None:
        """Leave what arrives to the kernel, so that TCP holds the peer back."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def poll(self) -> None:
        """Read once what the kernel holds, even while paused, and without asking."""
        if self._reader is not None:
            self._read()

    def write(self, messages: Sequence[bytes], urgent: bool = False) -> None:
        """Send whole messages; urgent ones before all that are not, and after earlier urgent ones."""
        if self._reader is None or self._error is not None:
            return
        octets = sum(map(len, messages))
        if not octets:
            return
        if urgent:
            self._urgent.extend(messages)
            self._urged += octets
        else:
            self._waiting.extend(messages)
        self._queued += octets
        if not self._writing:
            self._send()

    def take(self, octets: bytes, now: float) -> None:
        """Send whole messages as `write` does, where a thousand peers get the same: with the least effort.

        Of this the reader hears nothing but `full`; `taken_at` is when the kernel last took some so, or 0.0.
        """
        if self._queued or self._reader is None or self._error is not None:
            self.write((octets,))
            return
        push = self._push
        try:
            taken = push(octets)
        except (BlockingIOError, InterruptedError):
            taken = 0
        except OSError as error:
            self._break(error)
            return
        if taken:
            self.sent += taken
            self.taken_at = now
        if taken < len(octets):
            self._waiting.append(octets)
            self._queued = len(octets)
            self._advance(taken)
            self._watch()

    def fail(self) -> None:
        """End the connection as if it had failed: something is missing in what was sent."""
        self._break(OSError(errno.EIO, os.strerror(errno.EIO)))

    def finish(self, last: Iterable[bytes] = (), closed: Callable[[], None] | None = None) -> None:
        """Discard what is unsent, send the `last` messages, then FIN; call `closed` when all is done.

        Of what was queued only the rest of a message that was begun still goes out, since the peer could not
        find the next one otherwise.  The reader hears no more.
        """
        if self._reader is None:
            return
        self._reader = None
        self._closed = closed
        self._waiting.clear()
        self._urgent.clear()
        self._urgent.extend(last)
        self._queued = len(self._partial or b"") + sum(map(len, self._urgent))
        self._finishing = self._loop.call_later(LINGER, self._expired)
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)
        if not self._writing:
            self._send()

    def abort(self) -> None:
        """End at once with a RST; the reader hears no more."""
        self._reader = None
        self._end(aborting=True)

    # --- reading ---------------------------------------------------------------------------------------
    def _readable(self) -> None:
        if self._reader is None or self._reader.readable():
            self._read()

    def _read(self) -> None:
        pull = self._pull  # called in two steps: CPython 3.11 looks for a method first otherwise
        try:
            data = pull(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if self._reader is None:
            if not data:
                self._end()
            return  # past the end of the session: read, and thrown away
        if not data:
            self._lose(self._error)
            return
        self.received += len(data)
        self._reader.octets(data)

    # --- writing ---------------------------------------------------------------------------------------
    def _send(self) -> None:
        """Give the kernel what it takes; watch for room if it does not take all."""
        taken = 0
        if self._queued:
            push = self._push
            try:
                taken = push(self._joined())
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._break(error)
                return
            self._advance(taken)
        if bool(self._queued) != self._writing:
            self._watch()
        self.sent += taken
        if self._reader is not None:
            if taken:
                self._reader.taken(taken)
        elif not self._queued:
            self._half_close()

    def _watch(self) -> None:
        """Begin to watch for room, or end it."""
        self._writing = not self._writing
        if not self._writing:
            self._loop.remove_writer(self._socket)
            return
        self._loop.add_writer(self._socket, self._writable)
        if self._reader is not None:
            self._reader.full()

    def _break(self, error: OSError) -> None:
        """Stop sending after a failure, and let reading come to its end.

        The reason that the peer gave may still wait to be read, so the loss is reported behind it.
        """
        if self._reader is None:
            self._end(aborting=True)
            return
        # Without its traceback, whose frames hold this stream: only the collector would free the circle.
        self._error = error.with_traceback(None)
        self._forget()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _writable(self) -> None:
        self._send()
        if self._reader is not None and not self._queued:
            self._reader.room()

    def _joined(self) -> bytes | memoryview:
        if self._partial is None:
            if len(self._waiting) == 1 and not self._urgent:
                return self._waiting[0]
            return b"".join(chain(self._urgent, self._waiting))
        return b"".join(chain((self._partial,), self._urgent, self._waiting))

    def _advance(self, octets: int) -> None:
        """Drop from the front what the kernel took."""
        if octets == self._queued:
            self._forget()
            return
        self._queued -= octets
        if self._partial is not None:
            if octets < len(self._partial):
                self._partial = self._partial[octets:]
                return
            octets -= len(self._partial)
            self._partial = None
        for queue in (self._urgent, self._waiting):
            count = 0
            for message in queue:
                if octets < len(message):
                    break
                octets -= len(message)
                count += 1
            del queue[:count]
            if octets and queue:
                self._partial = memoryview(queue.pop(0))[octets:]
                return

    # --- the end ---------------------------------------------------------------------------------------
    def _forget(self) -> None:
        self._partial = None
        self._urgent.clear()
        self._waiting.clear()
        self._queued = 0

    def _half_close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()

    def _lose(self, error: OSError | None) -> None:
        reader, self._reader = self._reader, None
        self._end()
        if reader is not None:
            reader.lost(error)

    def _expired(self) -> None:
        self._finishing = None
        self._end(aborting=bool(self._queued))

    def _end(self, aborting: bool = False) -> None:
        if self._finishing is not None:
            self._finishing.cancel()
            self._finishing = None
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._reading = self._writing = False
        self._forget()
        ear = self.ear
        if ear is not None:
            self.overhear(None)
            ear.ended(aborting)
        if aborting:
            sockopt.abort(self._socket)
        else:
            self._socket.close()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()
