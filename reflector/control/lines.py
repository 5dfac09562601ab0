"""Unix sockets on which lines ask and lines answer: their files, who may use them, and in which slices.

Nobody who asks delays a session: an answer is made as fast as it is read, a few milliseconds at a time which
all share who are being answered, and who stops reading holds up only his own answer.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections import deque
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Protocol, cast

logger = logging.getLogger(__name__)

# Seconds of one loop's turn that all answers may take together, and one at least; octets that wait for a
# reader that is slow.
SLICE, LEAST = 0.004, 0.0005
_HIGH_WATER = 1 << 18
# So many questions of one asker may wait until no more are read.
_WAITING = 64
# So many may ask at a time.
_ASKERS = 64


# A line that is longer is no question of anybody's.
LONGEST = 1 << 20


class Talk(Protocol):
    """What one asker hears: `endless` says whether the answer that is given goes on until he goes away."""

    greeting: bytes
    endless: bool

    def answer(self, asked: bytes) -> AsyncGenerator[bytes, None]:
        """Return the answer to a line, in pieces; one that is longer than LONGEST is cut off."""


class ControlError(OSError):
    """The socket cannot be had; the text says why, and what to do."""


class LineServer:
    """Answers on the Unix socket at `path`, which may be used as its `mode` says."""

    def __init__(self, path: Path, mode: int, talk: Callable[[], Talk], setting: str) -> None:
        self._path = path
        self._mode = mode
        self._talk = talk
        self._setting = setting  # what names the path in a configuration
        self._server: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()
        self._identity: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        return self._path

    @property
    def askers(self) -> int:
        """How many are connected."""
        return len(self._conversations)

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
            remedy = f"set {self._setting} to a path that this user may write"
            raise ControlError(error.errno, f"socket {path}: {reason}; {remedy}") from None

    def _meet(self) -> "_Conversation":
        return _Conversation(self._talk(), self._conversations)

    def _clear(self) -> None:
        """Remove what an earlier life left behind; raise ControlError where somebody answers there."""
        try:
            if not stat.S_ISSOCK(os.stat(self._path).st_mode):
                raise ControlError(
                    errno.EEXIST, f"socket {self._path}: there is a file that is no socket; remove it"
                )
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._path))
            except OSError:
                self._path.unlink()
                return
        what = f"another service answers there; stop it, or set {self._setting} to another path"
        raise ControlError(errno.EADDRINUSE, f"socket {self._path}: {what}")

    async def stop(self) -> None:
        """Answer no more, and remove the socket if it is still ours."""
        self.close()
        for conversation in list(self._conversations):
            await conversation.close()

    def close(self) -> None:
        """Let nobody else ask, and remove the socket if it is still ours; who is there may go on."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with contextlib.suppress(OSError):
            found = os.stat(self._path)
            if (found.st_dev, found.st_ino) == self._identity:
                self._path.unlink()


class _Conversation(asyncio.Protocol):
    """A connection to the socket: questions wait in line, and are answered one after the other."""

    def __init__(self, talk: Talk, all_of_them: "set[_Conversation]") -> None:
        self._talk = talk
        self._all = all_of_them
        self._questions: deque[bytes] = deque()
        self._begun = b""
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._over = False  # nothing more is asked
        self._answering = False
        self._task: asyncio.Task[None] | None = None

    # --- what the transport tells ------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of another loop it need not be an asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        if len(self._all) >= _ASKERS:
            # An end without an answer: one in whatever language would cost as much.
            self._transport.close()
            return
        self._say(self._talk.greeting)
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
        if self._talk.endless and self._task is not None:
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
        loop = asyncio.get_running_loop()
        self._answering = True
        until = loop.time() + self._slice()
        try:
            async with contextlib.aclosing(self._talk.answer(asked)) as answer:
                async for piece in answer:
                    self._say(piece)
                    await self._room.wait()
                    if loop.time() >= until:
                        await asyncio.sleep(0)
                        until = loop.time() + self._slice()
        finally:
            self._answering = False

    def _slice(self) -> float:
        """Return the seconds of a turn that this answer may take."""
        others = sum(each._answering and each._room.is_set() for each in self._all)
        return max(SLICE / max(others, 1), LEAST)

    def _say(self, octets: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(octets)
