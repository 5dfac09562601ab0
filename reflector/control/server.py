"""The control socket of a running service: reports in slices of the loop's time, and commands.

Nobody who asks delays a session: rows are made as fast as the asker reads them, a few milliseconds at a time,
and an asker that stops reading holds up only its own answer.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from reflector.control.protocol import LONGEST, line, parse
from reflector.report.answering import answer, find
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service

logger = logging.getLogger(__name__)

# Seconds of one loop's turn that an answer may take, and octets that wait for a reader that is slow.
SLICE = 0.002
_HIGH_WATER = 1 << 18
# So many questions of one asker may wait until no more are read.
_WAITING = 64
# So many may ask at a time.
_ASKERS = 64


class ControlError(OSError):
    """The socket cannot be had; the text says why, and what to do."""


class ControlServer:
    """Answers on the Unix socket at `path`, which the owner and its group may use."""

    def __init__(self, service: "Service", path: Path, mode: int = 0o660) -> None:
        self._service = service
        self._path = path
        self._mode = mode
        self._server: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()
        self._identity: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        return self._path

    async def start(self) -> None:
        """Begin to answer; raise ControlError where the socket cannot be had, or another service has it."""
        path = self._path
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._clear()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                # Nobody is let in before the mode is what it should be.
                before = os.umask(0o177)
                try:
                    sock.bind(str(path))
                finally:
                    os.umask(before)
                os.chmod(path, self._mode)
                loop = asyncio.get_running_loop()
                self._server = await loop.create_unix_server(self._meet, sock=sock)
            except BaseException:
                sock.close()
                raise
            found = os.stat(path)
            self._identity = found.st_dev, found.st_ino
        except ControlError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            remedy = "set socket in [control] to a path that this user may write, or enabled = false there"
            raise ControlError(error.errno, f"control socket {path}: {reason}; {remedy}") from None

    def _meet(self) -> "_Conversation":
        return _Conversation(self._service, self._conversations)

    def _clear(self) -> None:
        """Remove what an earlier life left behind; raise ControlError where somebody answers there."""
        try:
            if not stat.S_ISSOCK(os.stat(self._path).st_mode):
                raise ControlError(
                    errno.EEXIST, f"control socket {self._path}: there is a file that is no socket; remove it"
                )
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._path))
            except OSError:
                self._path.unlink()
                return
        what = "another service answers there; stop it, or set socket in [control] to another path"
        raise ControlError(errno.EADDRINUSE, f"control socket {self._path}: {what}")

    async def stop(self) -> None:
        """Answer no more, and remove the socket if it is still ours."""
        if self._server is None:
            return
        self._server.close()
        for conversation in list(self._conversations):
            await conversation.close()
        self._server = None
        with contextlib.suppress(OSError):
            found = os.stat(self._path)
            if (found.st_dev, found.st_ino) == self._identity:
                self._path.unlink()


class _Conversation(asyncio.Protocol):
    """A connection to the socket: questions wait in line, and are answered one after the other."""

    def __init__(self, service: "Service", all_of_them: "set[_Conversation]") -> None:
        self._service = service
        self._all = all_of_them
        self._questions: deque[bytes] = deque()
        self._begun = b""
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._over = False  # nothing more is asked
        self._endless = False
        self._task: asyncio.Task[None] | None = None

    # --- what the transport tells ------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of another loop it need not be an asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        if len(self._all) >= _ASKERS:
            self._say({"error": f"{_ASKERS} others are asking: try again later"})
            self._transport.close()
            return
        self._all.add(self)
        self._task = asyncio.get_running_loop().create_task(self._converse())

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line_ in lines:
            self._ask_later(self._begun + line_)
            self._begun = b""
        # Of a line that is too long no more is kept than shows that.
        if len(self._begun) <= LONGEST:
            self._begun += rest
        if len(self._questions) > _WAITING:
            self._transport.pause_reading()

    def _ask_later(self, asked: bytes) -> None:
        if asked.strip():
            self._questions.append(asked)
            self._more.set()

    def eof_received(self) -> bool:
        self._ask_later(self._begun)
        self._over = True
        self._more.set()
        # Who has asked and waits for the answer gets it; what never ends is for who is still there.
        if self._endless and self._task is not None:
            self._task.cancel()
        return True

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    # --- the conversation ----------------------------------------------------------------------------------
    async def close(self) -> None:
        """End it, whatever is being answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _converse(self) -> None:
        try:
            while self._questions or not self._over:
                if self._questions:
                    self._transport.resume_reading()
                    await self._answer(self._questions.popleft())
                else:
                    self._more.clear()
                    await self._more.wait()
        finally:
            self._all.discard(self)
            self._transport.close()

    async def _answer(self, asked: bytes) -> None:
        try:
            await self._stream(self._ask(asked))
        except Unanswerable as error:
            self._say({"error": str(error)})
        except Exception as error:
            logger.exception("internal error while answering %r", asked[:200])
            self._say({"error": f"internal error: {type(error).__name__}: {error}; the log has more"})

    def _ask(self, asked: bytes) -> AsyncGenerator[Row, None]:
        if len(asked) > LONGEST:
            raise Unanswerable(f"a question has at most {LONGEST} octets")
        try:
            message = parse(asked)
        except ValueError as error:
            raise Unanswerable(f"not understood: {error}") from None
        given = message.get("with", {})
        if not isinstance(given, dict):
            raise Unanswerable("with: must be an object with the arguments")
        question = find(message.get("ask"))
        self._endless = question.endless
        return answer(self._service, question, given)

    async def _stream(self, rows: AsyncGenerator[Row, None]) -> None:
        loop = asyncio.get_running_loop()
        until, count = loop.time() + SLICE, 0
        async with contextlib.aclosing(rows):
            async for row in rows:
                self._say({"row": row})
                count += 1
                await self._room.wait()
                if loop.time() >= until:
                    await asyncio.sleep(0)
                    until = loop.time() + SLICE
        self._say({"end": count})

    def _say(self, message: Row) -> None:
        if not self._transport.is_closing():
            self._transport.write(line(message))
