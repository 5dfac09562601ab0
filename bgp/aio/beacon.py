"""What makes us known on the link of a peer that we do not dial, and that is known by its interface only.

Who dials looks for the neighbor at each attempt, and makes itself known by that.  Who waits has to do it for
its own sake: else a neighbor that wants to dial us never learns our address.
"""

import asyncio
from collections.abc import Callable

from bgp.aio.neighbors import call_all


class Beacon:
    """Call all nodes on the link of `interface`, at once and every `interval` seconds, while `wanted`."""

    def __init__(self, interface: str, interval: float, wanted: Callable[[], bool]) -> None:
        self._interface = interface
        self._interval = interval
        self._wanted = wanted
        self._timer: asyncio.Handle = asyncio.get_running_loop().call_soon(self._call)

    def stop(self) -> None:
        """Call no more."""
        self._timer.cancel()

    def _call(self) -> None:
        if self._wanted():
            call_all(self._interface)
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._call)
