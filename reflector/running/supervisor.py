"""What a service tells systemd, or whoever else starts it as that does: sd_notify(3), without any library.

A datagram of lines goes to the Unix socket that NOTIFY_SOCKET names, and nowhere where there is none.
Nothing that goes wrong on the way is an error of ours: we serve with or without anybody who hears of it.
"""

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

# What the supervisor has not taken yet: its queue was full.
_WAITING = 8
# Seconds between two looks at what there is to say, where no watchdog asks for more.
INTERVAL = 5.0


class Supervisor:
    """Who started us, as far as it wants to be told how we are; the environment says so, and is cleared."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self._address = _address(environment.pop("NOTIFY_SOCKET", ""))
        microseconds, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        # Who was started by somebody who is watched is not watched himself.
        watched = pid in ("", str(os.getpid())) and microseconds.isdecimal()
        self.watchdog = int(microseconds) / 1e6 if watched else 0.0
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque(maxlen=_WAITING)
        self._status = ""

    def __bool__(self) -> bool:
        return self._address is not None

    def ready(self) -> None:
        """Say that we serve, or that we do so again after a reload."""
        self._say("READY=1")

    def reloading(self) -> None:
        """Say that we go over to another configuration; `ready` says when that is over."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that this is the end."""
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in words how we are, if those are others than before."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text.replace(chr(10), ' ')}")

    def alive(self) -> None:
        """Say that we are well, which is asked for every `watchdog` seconds."""
        self._say("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for so much more time to start or to stop."""
        self._say(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._address = None

    def _say(self, *lines: str) -> None:
        if self._address is None:
            return
        self._waiting.append("\n".join(lines).encode())
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            while self._waiting:
                self._socket.sendto(self._waiting[0], self._address)
                self._waiting.popleft()
        except BlockingIOError:
            pass  # it is said with what comes next
        except OSError as error:
            self._waiting.clear()
            logger.debug("the supervisor cannot be told: %s", error.strerror)


def _address(named: str) -> str | None:
    """Return the socket that NOTIFY_SOCKET names; "@" stands for the zero octet of an abstract one."""
    if named.startswith("@") and len(named) > 1:
        return f"\0{named[1:]}"
    return named if named.startswith("/") else None


class Pulse:
    """Tell a supervisor at regular intervals, from the running loop, that it turns and that all is well.

    Where the loop is blocked nothing is said, which is the point of it; nor where `ailment` names one.
    `status` says in words how we are.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        loop: "asyncio.AbstractEventLoop",
        status: Callable[[], str],
        ailment: Callable[[], str | None],
    ) -> None:
        self._supervisor = supervisor
        self._loop = loop
        self._status = status
        self._ailment = ailment
        self._ailing: str | None = None
        # sd_watchdog_enabled(3): half of the time that is granted.
        self._interval = min(supervisor.watchdog / 2 or INTERVAL, INTERVAL)
        self._timer: asyncio.TimerHandle | None = None
        if supervisor:
            self._beat()

    def stop(self) -> None:
        """Say nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = self._loop.call_later(self._interval, self._beat)
        found = self._ailment()
        if found is not None and found != self._ailing:
            logger.critical("the watchdog is not told that all is well: %s", found)
        self._ailing = found
        if found is None and self._supervisor.watchdog:
            self._supervisor.alive()
        self._supervisor.status(found or self._status())


class Patience:
    """Ask a supervisor for time, again and again, while something that it waits for is going on."""

    INTERVAL, GRANTED = 5.0, 30.0

    def __init__(self, supervisor: Supervisor, loop: "asyncio.AbstractEventLoop") -> None:
        self._supervisor = supervisor
        self._loop = loop
        self._timer = loop.call_later(self.INTERVAL, self._ask)

    def stop(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _ask(self) -> None:
        self._supervisor.extend(self.GRANTED)
        self._timer = self._loop.call_later(self.INTERVAL, self._ask)
