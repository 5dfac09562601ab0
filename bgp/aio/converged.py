"""The moment at which the first routes of all peers are there: an event of each start of a speaker."""

import asyncio
import logging

from bgp.aio.home import Home

logger = logging.getLogger(__name__)


class Converged:
    """Who waits for that moment, from any time on."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._over = asyncio.Event()
        self.reached = False

    def begin(self) -> None:
        """Begin anew: the speaker starts."""
        self.reached = False
        self._over.clear()

    def reach(self) -> None:
        """Wake all who wait."""
        self.reached = True
        self._over.set()
        logger.info("converged: the first routes of all peers are there, or were waited for long enough")

    def close(self) -> None:
        """Let nobody wait for what will not come: the speaker stops."""
        self._over.set()

    async def wait(self) -> None:
        """Wait for the moment; raise RuntimeError if the speaker stops before."""
        self._home.check()
        await self._over.wait()
        if not self.reached:
            raise RuntimeError("the speaker was stopped before it had converged")
