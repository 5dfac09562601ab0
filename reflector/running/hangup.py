"""SIGHUP from the first moment on: it is remembered until there is a service that can reload."""

import contextlib
import signal
from types import FrameType


class Hangup:
    """Whether SIGHUP came before there was a service to hear of it; without this it would end the process."""

    def __init__(self) -> None:
        self.came = False
        with contextlib.suppress(ValueError):  # only the main thread has signals
            signal.signal(signal.SIGHUP, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.came = True
