"""Going through what may be many, a few milliseconds at a time: for reports that make one row of it all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

# Between two looks at the time, and seconds between two looks at the rest of the loop's work.
_STEP, SLICE = 256, 0.004


async def in_slices(items: Sequence[T]) -> AsyncIterator[list[T]]:
    """Yield the items, some at a time; the loop turns when a slice of its time is used up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SLICE
    left = iter(items)
    while some := list(islice(left, _STEP)):
        yield some
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + SLICE
