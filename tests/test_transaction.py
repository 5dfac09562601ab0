"""Transactions: seen together or not at all, however large they are."""

import asyncio
import contextlib

import pytest
from rawpeer import TIMEOUT

from bgp import IPV4_UNICAST, IPV6_UNICAST, Announcement, PeerOptions, Speaker
from bgp.aio.turn import SLICE
from bgp.family import Family
from bgp.policy import condition
from bgp.rib.changes import Changes

ASN = 65000
NET = "198.51.100.0/24"


class Seen:
    """What a watcher of the router was told, flush by flush."""

    def __init__(self, speaker: Speaker) -> None:
        self.flushes: list[tuple[Family, int]] = []
        speaker.router.watch(self)

    def __call__(self, family: Family, changes: Changes) -> None:
        parts = (*changes.fresh.values(), *changes.moved.values())
        self.flushes.append((family, sum(map(len, parts))))


def speaker() -> Speaker:
    return Speaker(asn=ASN, router_id="10.0.0.1")


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_all_in_one_flush() -> None:
    async with speaker() as ours:
        old = ours.announce(NET, med=1)
        gone = ours.announce("203.0.113.0/24")
        await turns()
        seen = Seen(ours)
        async with ours.transaction():
            handles = []
            for number in range(10):
                handles.append(ours.announce(f"10.0.{number}.0/24", med=number))
                await asyncio.sleep(0)
            old.replace(med=2)
            gone.withdraw()
            handles[3].withdraw()
            ours.withdraw("10.0.4.0/24")
            handles[5].replace(med=55)
            six = ours.announce("2001:db8::/32")
            # The task sees what it will be; nobody else sees anything.
            assert old.attributes.med == 2 and not gone.active and not handles[3].active
            assert handles[5].attributes.med == 55 and six.active
            assert set(ours.best(IPV4_UNICAST)) == {NET, "203.0.113.0/24"}
            with pytest.raises(KeyError):
                ours.withdraw("10.0.4.0/24")
        assert sorted(seen.flushes, key=str) == [(IPV4_UNICAST, 10), (IPV6_UNICAST, 1)]
        best = ours.best(IPV4_UNICAST)
        assert set(best) == {NET, *(f"10.0.{number}.0/24" for number in range(10) if number not in (3, 4))}
        assert best[NET].attributes.med == 2 and best["10.0.5.0/24"].attributes.med == 55
        handles[0].withdraw()
        assert not handles[0].active and handles[1].active


async def test_an_exception_leaves_all_as_it_was() -> None:
    async with speaker() as ours:
        old = ours.announce(NET, med=1)
        await turns()
        seen = Seen(ours)
        new: Announcement | None = None
        with pytest.raises(ValueError, match="med: must be"):
            async with ours.transaction():
                new = ours.announce("10.0.0.0/24")
                old.replace(med=2)
                ours.withdraw(NET)
                ours.announce("10.0.1.0/24", med=-1)
        await turns()
        assert seen.flushes == []
        assert old.active and old.attributes.med == 1
        assert new is not None and not new.active
        new.withdraw()
        assert list(ours.best(IPV4_UNICAST)) == [NET]


async def test_conditions_that_go_in_circles_are_refused_with_all_the_rest() -> None:
    async with speaker() as ours:
        with pytest.raises(ValueError, match="which depends on a condition itself"):
            async with ours.transaction():
                ours.announce("10.0.0.0/24")
                ours.announce("10.1.0.0/24", condition=condition.exists("10.2.0.0/24"))
                ours.announce("10.2.0.0/24", condition=condition.exists("10.1.0.0/24"))
        await turns()
        assert ours.best(IPV4_UNICAST) == {}
        async with ours.transaction():
            ours.announce("10.2.0.0/24")
            ours.announce("10.1.0.0/24", condition=condition.exists("10.2.0.0/24"))
        assert set(ours.best(IPV4_UNICAST)) == {"10.1.0.0/24", "10.2.0.0/24"}


async def test_what_cannot_be_in_one() -> None:
    async with speaker() as ours:
        peer = ours.add_peer(PeerOptions(asn=65000, address="127.0.0.9", passive=True))
        async with ours.transaction():
            handle = ours.announce(NET)
            with pytest.raises(RuntimeError, match="open here already"):
                async with ours.transaction():
                    pass
            with pytest.raises(RuntimeError, match="an aggregate cannot be part"):
                ours.aggregate("10.0.0.0/8")
            with pytest.raises(RuntimeError, match="before its transaction is over"):
                await handle.advertised_to(peer)
        assert handle.active
        async with ours.transaction():
            pass


async def test_other_tasks_go_on_and_the_last_word_counts() -> None:
    async with speaker() as ours, speaker() as others:
        started = asyncio.Event()

        async def other() -> None:
            await started.wait()
            ours.announce("10.0.0.0/24", med=2)
            async with ours.transaction():
                ours.announce("10.0.2.0/24")

        task = asyncio.create_task(other())
        asyncio.get_running_loop().call_soon(ours.announce, "10.0.3.0/24")
        async with ours.transaction(), others.transaction():
            mine = ours.announce("10.0.0.0/24", med=1)
            theirs = others.announce(NET)
            started.set()
            await task
            assert set(ours.best(IPV4_UNICAST)) == {"10.0.0.0/24", "10.0.2.0/24", "10.0.3.0/24"}
            assert others.best(IPV4_UNICAST) == {}
        assert mine.active and ours.best(IPV4_UNICAST)["10.0.0.0/24"].attributes.med == 1
        assert theirs.active and list(others.best(IPV4_UNICAST)) == [NET]


async def test_tasks_that_begin_within_it_belong_to_it_until_it_ends() -> None:
    async with speaker() as ours:
        over = asyncio.Event()

        async def announce(prefix: str) -> None:
            ours.announce(prefix)

        async def later() -> None:
            await over.wait()
            ours.announce("10.0.3.0/24")
            async with ours.transaction():
                ours.announce("10.0.4.0/24")

        async with ours.transaction():
            await asyncio.wait_for(announce("10.0.0.0/24"), TIMEOUT)
            await asyncio.gather(announce("10.0.1.0/24"), announce("10.0.2.0/24"))
            late = asyncio.create_task(later())
            assert ours.best(IPV4_UNICAST) == {}
        assert len(ours.best(IPV4_UNICAST)) == 3
        over.set()
        await late
        assert len(ours.best(IPV4_UNICAST)) == 5


async def test_a_huge_one_is_applied_in_slices_and_flushed_once() -> None:
    async with speaker() as ours:
        seen = Seen(ours)
        loop = asyncio.get_running_loop()
        lag: list[float] = []
        before: list[int] = []

        async def beat() -> None:
            while True:
                start = loop.time()
                await asyncio.sleep(0)
                if not seen.flushes:
                    lag.append(loop.time() - start)
                    before.append(len(ours.best(IPV4_UNICAST)))

        async with ours.transaction():
            for number in range(20_000):
                ours.announce(f"10.{number >> 8}.{number & 255}.0/24")
            watching = asyncio.create_task(beat())
        watching.cancel()
        assert seen.flushes == [(IPV4_UNICAST, 20_000)]
        assert len(lag) > 3
        assert sorted(lag)[len(lag) // 2] < 6 * SLICE


async def test_what_comes_while_one_is_applied_comes_after_it() -> None:
    async with speaker() as ours:
        seen = Seen(ours)

        async def huge() -> None:
            async with ours.transaction():
                for number in range(20_000):
                    ours.announce(f"10.{number >> 8}.{number & 255}.0/24", med=1)

        task = asyncio.create_task(huge())
        while not ours._originals._coming:
            await asyncio.sleep(0)
        # The first and the last: one is applied already, the other is not.
        first, last = ours.announce("10.0.0.0/24", med=2), ours.announce("10.78.31.0/24", med=2)
        ours.withdraw("10.0.1.0/24")
        ours.announce("10.0.2.0/24", condition=condition.exists(NET))
        with pytest.raises(ValueError, match="depends on a condition itself"):
            ours.announce(NET, condition=condition.exists("10.0.2.0/24"))
        assert first.active and last.active
        await asyncio.wait_for(task, TIMEOUT)
        await turns()
        assert [number for _, number in seen.flushes] == [20_000, 4]
        best = ours.best(IPV4_UNICAST)
        assert best["10.0.0.0/24"].attributes.med == best["10.78.31.0/24"].attributes.med == 2
        assert "10.0.1.0/24" not in best and "10.0.2.0/24" not in best
        assert first.active and last.active


async def test_before_the_start_and_across_the_end() -> None:
    ours = speaker()
    async with ours.transaction():
        ours.announce(NET)
    assert list(ours.best(IPV4_UNICAST)) == [NET]
    async with ours:

        async def huge() -> None:
            async with ours.transaction():
                for number in range(5_000):
                    ours.announce(f"10.{number >> 8}.{number & 255}.0/24")

        task = asyncio.create_task(huge())
        while not ours._originals._coming:
            await asyncio.sleep(0)
        await ours.stop()
        await asyncio.wait_for(task, TIMEOUT)
        await turns()
    assert sum(1 for _ in ours.router.rib.best(IPV4_UNICAST)) in (0, 5_001)


@pytest.mark.parametrize("turn", range(8))
async def test_canceled_at_each_point_all_or_nothing(turn: int) -> None:
    """Cancel after so many turns of the loop: in the middle of the body, or while it is applied."""
    async with speaker() as ours:
        seen = Seen(ours)

        async def change() -> None:
            async with ours.transaction():
                for number in range(3):
                    ours.announce(f"10.0.{number}.0/24")
                    await asyncio.sleep(0)
                for number in range(3_000):
                    ours.announce(f"10.{1 + (number >> 8)}.{number & 255}.0/24")

        task = asyncio.create_task(change())
        await turns(turn)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        while ours._originals._coming:
            await asyncio.sleep(0)
        await turns()
        assert [number for _, number in seen.flushes] in ([], [3_003])
        assert seen.flushes == [] or turn > 3
        # It is as good as new.
        async with ours.transaction():
            ours.announce(NET)
        assert NET in ours.best(IPV4_UNICAST)
