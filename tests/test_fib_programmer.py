"""`Fib` before a table in memory: wishes coalesce, others' routes stay, what breaks is mended and told."""

import asyncio
import warnings
from collections.abc import Sequence
from errno import EPERM
from ipaddress import IPv4Address

import pytest

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.wire.prefix import parse
from fib.backend import LOST, Failure, Owner
from fib.memory import MemoryBackend
from fib.notice import Conflict, Notice, Repaired, RouteError, State, Withheld, Written
from fib.plan import Change
from fib.programmer import PENDING, Fib
from fib.route import BLACKHOLE, NextHop, Route, via
from tests.bothloops import both_loops, until

ONE, TWO = via("192.0.2.1"), via("192.0.2.2")


def metric(route: Route, number: int = 179) -> Route:
    return Route(route.next_hops, route.type, metric=number)


@both_loops
async def test_what_is_set_is_there_and_what_is_not_any_more_is_gone() -> None:
    backend = MemoryBackend()
    async with Fib(backend=backend) as fib:
        await fib.set("10.0.0.0/8", ONE)
        await fib.set("2001:db8::/32", BLACKHOLE)
        assert backend.table() == {
            parse("10.0.0.0/8"): metric(ONE),
            parse("2001:db8::/32"): metric(BLACKHOLE),
        }
        assert await fib.apply({"10.0.0.0/8": TWO, "10.1.0.0/16": ONE, "2001:db8::/32": None}) == []
        assert backend.table() == {parse("10.0.0.0/8"): metric(TWO), parse("10.1.0.0/16"): metric(ONE)}
        progress = fib.progress(IPV4_UNICAST)
        assert (progress.wanted, progress.pending, progress.added, progress.replaced) == (2, 0, 2, 1)
    assert backend.table()  # it keeps its routes


@both_loops
async def test_wishes_for_a_prefix_coalesce() -> None:
    backend = MemoryBackend()
    async with Fib(backend=backend) as fib:
        family, key = parse("10.0.0.0/8")
        for number in range(1, 200):
            fib.want(family, key, via(f"192.0.2.{number}"))
        fib.want(*parse("10.1.0.0/16"), ONE)
        fib.want(*parse("10.1.0.0/16"), None)
        await fib.settled()
        assert backend.table() == {(family, key): metric(via("192.0.2.199"))}
        assert fib.progress(family).added == 1
        assert backend.calls == 1


@both_loops
async def test_who_brings_more_than_can_be_written_waits() -> None:
    backend = MemoryBackend()
    async with Fib(backend=backend) as fib:
        most = 0
        for number in range(100_000):
            if not number % 100:
                await fib.room()
            fib.want(IPV4_UNICAST, bytes((32, 10, *number.to_bytes(3, "big"))), ONE)
            most = max(most, fib.pending)
        assert PENDING <= most <= PENDING + 100
        await fib.settled()
        assert len(backend.rows) == 100_000


@both_loops
async def test_another_s_route_is_left_alone_and_ours_comes_when_it_goes() -> None:
    backend = MemoryBackend()
    family, key = parse("10.0.0.0/8")
    backend.rows[family, key, 179] = (4, metric(TWO))
    news: list[Notice] = []
    async with Fib(backend=backend) as fib:
        fib.watch(news.append)
        with pytest.raises(RouteError, match=r"10\.0\.0\.0/8 via 192\.0\.2\.1: File exists"):
            await fib.set("10.0.0.0/8", ONE)
        await until(lambda: fib.explain("10.0.0.0/8").conflict, "who is in the way is known")
        assert "proto 4" in str(fib.explain("10.0.0.0/8"))
        assert fib.explain("10.0.0.0/8").state is State.CONFLICT
        assert any(isinstance(notice, Conflict) for notice in news)
        assert backend.table(4) == {(family, key): metric(TWO)}
        assert fib.progress(family).conflicts == 1
        backend.foreign(family, key, None, metric=179)
        await until(lambda: backend.table() == {(family, key): metric(ONE)}, "ours is there")
        assert fib.explain("10.0.0.0/8").state is State.INSTALLED
        # Somebody writes over ours: it is his now, and the conflict is told.
        backend.foreign(family, key, metric(TWO), protocol=4, metric=179)
        await until(lambda: fib.explain("10.0.0.0/8").state is State.CONFLICT, "the conflict is seen")
        assert backend.table(4) == {(family, key): metric(TWO)}
        # Nothing of his goes, not even when ours is not wanted any more.
        await fib.set("10.0.0.0/8", None)
        assert backend.table(4) == {(family, key): metric(TWO)}


@both_loops
async def test_what_others_delete_or_alter_is_mended_and_counted() -> None:
    backend = MemoryBackend()
    news: list[Notice] = []
    async with Fib(backend=backend) as fib:
        fib.watch(news.append)
        await fib.apply({f"10.{number}.0.0/16": ONE for number in range(50)})
        before = backend.table()
        for number in range(10):
            backend.foreign(IPV4_UNICAST, bytes((16, 10, number)), None, metric=179)
        backend.foreign(IPV4_UNICAST, bytes((16, 10, 20)), metric(TWO), protocol=179, metric=179)
        await until(lambda: backend.table() == before, "all is mended")
        await until(lambda: any(isinstance(notice, Repaired) for notice in news), "it is told")
        assert fib.progress(IPV4_UNICAST).repaired == 11
        # Without a word: the next reading of the table finds it, and what nobody wants as well.
        for number in range(10):
            del backend.rows[IPV4_UNICAST, bytes((16, 10, number)), 179]
        backend.rows[IPV4_UNICAST, bytes((16, 10, 99)), 179] = (179, metric(ONE))
        backend.overflow()
        await until(lambda: backend.table() == before, "all is mended again")


@both_loops
async def test_an_interface_takes_routes_along_and_brings_them_back() -> None:
    backend = MemoryBackend()
    backend.link("eth0")
    backend.link("eth1")
    other = via("192.0.2.2", interface="eth1")
    async with Fib(backend=backend) as fib:
        await fib.apply({f"10.{number}.0.0/16": via("192.0.2.1", interface="eth0") for number in range(20)})
        await fib.set("10.99.0.0/16", other)
        before = backend.table()
        backend.link("eth0", up=False)
        await until(lambda: fib.progress(IPV4_UNICAST).refused == 20, "the routes are known to be gone")
        assert backend.table() == {parse("10.99.0.0/16"): metric(other)}
        assert "not up" in str(fib.explain("10.3.0.0/16"))
        backend.link("eth0")
        await until(lambda: backend.table() == before, "the routes are back")
        backend.unlink("eth0")
        await until(lambda: fib.progress(IPV4_UNICAST).refused == 20, "the routes are gone with the device")
        backend.link("eth0")
        await until(lambda: backend.table() == before, "the routes are back with the device")


@both_loops
async def test_one_bad_route_holds_up_no_other_and_is_tried_again() -> None:
    backend = MemoryBackend()
    backend.link("eth0")
    backend.unreachable.add(IPv4Address("192.0.2.9"))
    async with Fib(backend=backend) as fib:
        problems = await fib.apply({"10.1.0.0/16": ONE, "10.2.0.0/16": via("192.0.2.9"), "10.3.0.0/16": ONE})
        assert [str(problem) for problem in problems] == [
            "10.2.0.0/16 via 192.0.2.9 metric 179: Nexthop has invalid gateway (errno 101)"
        ]
        assert len(backend.table()) == 2
        assert not fib.installed(*parse("10.2.0.0/16"))
        backend.unreachable.clear()
        backend.link("eth1")  # anything that changes may be the cause
        await until(lambda: fib.installed(*parse("10.2.0.0/16")), "the third is there")


@both_loops
async def test_an_earlier_life_is_adopted_and_its_rest_swept_late() -> None:
    backend = MemoryBackend()
    async with Fib(backend=backend) as fib:
        await fib.apply({f"10.{number}.0.0/16": ONE for number in range(100)})
    before = dict(backend.rows)
    async with Fib(backend=backend) as fib:
        calls = backend.calls
        await fib.apply({f"10.{number}.0.0/16": ONE for number in range(90)})
        assert backend.calls == calls  # all was right already
        assert fib.progress(IPV4_UNICAST).adopted == 90
        await fib.set("10.5.0.0/16", TWO)
        assert backend.rows.keys() == before.keys()
        assert fib.explain("10.95.0.0/16").state is State.STALE
        fib.converged()
        await until(lambda: len(backend.rows) == 90, "the rest is swept")
        assert fib.progress(IPV4_UNICAST).swept == 10
    async with Fib(backend=backend, sweep_after=0.05) as fib:
        await fib.set("10.0.0.0/16", ONE)
        await until(lambda: len(backend.rows) == 1, "the rest is swept by itself")
    async with Fib(backend=backend, flush=True) as fib:
        await fib.set("10.1.0.0/16", ONE)
    assert backend.rows == {}


@both_loops
async def test_too_many_deletions_at_once_are_withheld_until_released() -> None:
    backend = MemoryBackend()
    news: list[Notice] = []
    async with Fib(backend=backend, guard=0.3) as fib:
        fib.watch(news.append)
        everything: dict[str, Route | None] = {f"10.{number}.0.0/16": ONE for number in range(100)}
        await fib.apply(everything)
        await fib.apply(dict.fromkeys(everything))
        assert len(backend.rows) == 70
        assert any(isinstance(notice, Withheld) and notice.count == 70 for notice in news)
        kept = next(prefix for prefix in everything if parse(prefix) in backend.table())
        assert fib.explain(kept).state is State.WITHHELD
        # Wanted again, nothing is to be done; withdrawn explicitly, it goes.
        await fib.set(kept, ONE)
        assert fib.explain(kept).state is State.INSTALLED
        await fib.set(kept, None)
        assert len(backend.rows) == 69
        assert fib.release() == 69
        await fib.settled()
        assert backend.rows == {}


@both_loops
async def test_a_metric_that_varies_adds_before_it_deletes() -> None:
    backend = MemoryBackend()
    seen: list[Change] = []
    async with Fib(backend=backend, metric=None) as fib:
        fib.watch(lambda notice: seen.extend(notice.changes) if isinstance(notice, Written) else None)
        await fib.set("10.0.0.0/8", metric(ONE, 100))
        await fib.set("10.0.0.0/8", metric(TWO, 50))
        assert backend.table() == {parse("10.0.0.0/8"): metric(TWO, 50)}
        assert seen[-1] == (parse("10.0.0.0/8")[1], metric(ONE, 100), metric(TWO, 50))
        await fib.set("10.1.0.0/16", metric(ONE, 0))
        assert backend.table()[parse("10.1.0.0/16")].metric == 1
        await fib.set("10.1.0.0/16", metric(ONE, 4294967295))
        assert backend.table()[parse("10.1.0.0/16")].metric == 2147483646
        with pytest.raises(ValueError, match="a metric is needed"):
            await fib.set("10.2.0.0/16", ONE)
    # Killed between the addition and the deletion: both stand there at the next start.
    backend.rows[IPV4_UNICAST, parse("10.0.0.0/8")[1], 100] = (179, metric(ONE, 100))
    async with Fib(backend=backend, metric=None) as fib:
        await fib.set("10.0.0.0/8", metric(TWO, 50))
        fib.converged()
        await until(lambda: backend.table() == {parse("10.0.0.0/8"): metric(TWO, 50)}, "one is left")
        assert len(backend.rows) == 1


class Losing(MemoryBackend):
    """A backend that carries changes out and whose answers are lost, some of the time."""

    losses = 0

    async def apply(self, family: Family, changes: Sequence[Change]) -> dict[int, Failure]:
        failures = dict(await super().apply(family, changes))
        if self.losses:
            self.losses -= 1
            return dict.fromkeys(range(len(changes)), LOST)
        return failures


@both_loops
async def test_when_answers_are_lost_the_table_is_read() -> None:
    backend = Losing()
    async with Fib(backend=backend) as fib:
        backend.losses = 1
        fib.want(*parse("10.0.0.0/8"), ONE)
        await until(lambda: fib.installed(*parse("10.0.0.0/8")), "it is found to be there")
        backend.losses = 1
        fib.want(*parse("10.0.0.0/8"), None)
        await until(lambda: fib.explain("10.0.0.0/8").state is State.ABSENT, "it is found to be gone")
        backend.losses = 2
        fib.want(*parse("10.0.0.0/8"), TWO)
        fib.want(*parse("2001:db8::/32"), BLACKHOLE)
        await until(lambda: len(backend.table()) == 2, "both are there")
        await until(lambda: fib.installed(*parse("2001:db8::/32")), "and known to be")


class Slow(MemoryBackend):
    """A backend whose answers come long after the changes were made, once they are held back."""

    held: asyncio.Event | None = None

    async def apply(self, family: Family, changes: Sequence[Change]) -> dict[int, Failure]:
        failures = dict(await super().apply(family, changes))
        if self.held is not None:
            await self.held.wait()
        return failures


@both_loops
async def test_what_vanishes_before_its_answer_comes_is_missed() -> None:
    backend = Slow()
    backend.link("eth0")
    async with Fib(backend=backend) as fib:
        backend.held = asyncio.Event()
        fib.want(*parse("10.0.0.0/8"), via("192.0.2.1", interface="eth0"))
        await until(lambda: backend.rows, "it is written")
        backend.unlink("eth0")
        await asyncio.sleep(0.2)  # whoever looks at the table has begun by now
        backend.held.set()
        await until(lambda: fib.explain("10.0.0.0/8").state is State.REFUSED, "it is known to be gone")
        backend.link("eth0")
        await until(lambda: fib.installed(*parse("10.0.0.0/8")), "it is back")
        assert len(backend.rows) == 1


@both_loops
async def test_filters_and_limits() -> None:
    backend = MemoryBackend()
    legs = Route(tuple(NextHop(IPv4Address(f"192.0.2.{number}")) for number in range(1, 9)))
    async with Fib(backend=backend, allow=["10.0.0.0/8 le 24"], never=["10.1.0.0/16 le 32"], paths=3) as fib:
        await fib.apply({"10.0.0.0/8": legs, "10.1.2.0/24": ONE, "192.0.2.0/24": ONE, "10.0.0.1/32": ONE})
        assert [prefix for _, prefix in backend.table()] == [b"\x08\x0a"]
        assert len(backend.table()[parse("10.0.0.0/8")].next_hops) == 3
        assert fib.explain("10.1.2.0/24").state is State.FILTERED


@both_loops
async def test_numbers_of_others_are_taken_with_a_warning_only() -> None:
    for number in (11, 12, 80, 186, 192):
        with pytest.warns(UserWarning, match=f"protocol {number} belongs to"):
            Fib(protocol=number, backend=MemoryBackend())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Fib(backend=MemoryBackend()).owner == Owner(179, 254, 179)
    for wrong in ({"protocol": 0}, {"table": 0}, {"metric": 0}, {"metric": 2147483647}, {"paths": 0}):
        with pytest.raises(ValueError, match=r"range|not 1 to"):
            Fib(backend=MemoryBackend(), **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="this table's routes have 179"):
        async with Fib(backend=MemoryBackend()) as fib:
            await fib.set("10.0.0.0/8", metric(ONE, 20))


@both_loops
async def test_what_may_not_be_written_says_so() -> None:
    backend = MemoryBackend()
    backend.refused[parse("10.0.0.0/8")[1]] = Failure(EPERM, "Operation not permitted")
    async with Fib(backend=backend) as fib:
        with pytest.raises(RouteError, match=r"10\.0\.0\.0/8 via 192\.0\.2\.1.*Operation not permitted"):
            await fib.set("10.0.0.0/8", ONE)
        waiting = asyncio.create_task(fib.written(*parse("10.0.0.0/8")))
        assert await waiting is False
        assert fib.progress(IPV6_UNICAST).failed == 0


@both_loops
async def test_many_deletions_are_all_done_in_whatever_order() -> None:
    """The order is the kernel's taste; what is left at the end is not."""
    backend = MemoryBackend(Owner())
    async with Fib(backend=backend) as fib:
        rows = [bytes((24, *(0x0B0000 + number).to_bytes(3, "big"))) for number in range(9000)]
        for row in rows:
            fib.want(IPV4_UNICAST, row, ONE)
        await fib.settled()
        kept = set(rows[::7])
        for row in rows:
            if row not in kept:
                fib.want(IPV4_UNICAST, row, None)
        await fib.settled()
        assert {key for _, key in backend.table()} == kept
