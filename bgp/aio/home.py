"""Where a speaker lives: on one event loop, and so in one thread.  Whoever calls from elsewhere is told so.

Nothing here is locked.  A call from another thread could find a table half changed, hours later, in a place
that has nothing to do with the call; so it is refused at once.
"""

import asyncio
from threading import get_ident
from typing import Self

_REMEDY = (
    "a speaker belongs to the event loop that it was started on: from another thread use "
    "loop.call_soon_threadsafe(...), or asyncio.run_coroutine_threadsafe(...) for a coroutine"
)


class Home:
    """The loop that a speaker was started on; before that, and when it has stopped, there is none."""

    __slots__ = ("_loop", "_thread")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @classmethod
    def here(cls) -> Self:
        """Return the home of what is made on the running loop."""
        home = cls()
        home.enter()
        return home

    def enter(self) -> None:
        """Live on the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()

    def leave(self) -> None:
        """Live nowhere."""
        self._loop = None

    def check(self) -> None:
        """Raise RuntimeError, with the remedy, unless called from the loop, or where that stands still."""
        if self._loop is None:
            return
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            # Between two runs of the loop, nothing else happens in its thread.
            here = get_ident() == self._thread
        if not here:
            raise RuntimeError(_REMEDY)
