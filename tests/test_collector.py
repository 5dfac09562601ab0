"""The cyclic collector as the service sets it: short passes, a full one seldom, all undone at the end."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from reflector.running.collector import MIDDLE, NEVER, YOUNG, Collector


class Knot:
    """Something that only the cyclic collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def test_sets_and_restores() -> None:
    before = gc.get_threshold()
    collector = Collector()
    assert gc.get_threshold() == (YOUNG, MIDDLE, NEVER)
    assert gc.get_freeze_count() > 0
    collector.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_young_garbage_goes_by_itself() -> None:
    collector = Collector()
    knot = weakref.ref(Knot())
    kept = [[] for _ in range(2 * YOUNG)]
    assert knot() is None
    assert len(kept) == 2 * YOUNG
    collector.stop()


async def test_old_garbage_goes_with_the_full_pass() -> None:
    collector = Collector(interval=0.05)
    knot = Knot()
    gone = asyncio.Event()
    weakref.finalize(knot, gone.set)
    gc.collect(1)  # it is old now
    del knot
    async with asyncio.timeout(10):
        await gone.wait()
    collector.stop()
