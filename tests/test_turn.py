"""Turns of the loop: nobody takes more than a share, nobody is forgotten, and nothing spins."""

import asyncio
import time

import jumpingloop
import pytest

from bgp.aio import turn as module
from bgp.aio.turn import SLICE, Turns


class Router:
    """A router with so much work to do, and so many changes to flush."""

    def __init__(self) -> None:
        self.jobs = 0
        self.flushes = 0
        self.error: Exception | None = None
        self.shared: list[tuple[bytes, list[object]]] = []

    def work(self, quota: int) -> bool:
        if self.error is not None:
            raise self.error
        if self.jobs:
            self.jobs -= 1
            spin(SLICE / 4)
        return self.jobs > 0

    @property
    def resting(self) -> bool:
        return False

    deadline: float | None = None

    def flush(self, now: float) -> bool:
        self.flushes += 1
        return False

    def share(self, limit: int) -> list[tuple[bytes, list[object]]]:
        shared, self.shared = self.shared, []
        return shared


class Party:
    """A connection that wants so many slices and has so many chunks."""

    def __init__(self, slices: int = 0, chunks: int = 0) -> None:
        self.slices = slices
        self.chunks = chunks
        self.log: list[Party] = []

    def receive_slice(self) -> bool:
        spin(SLICE)
        self.slices -= 1
        self.log.append(self)
        return self.slices > 0

    def send_chunk(self) -> bool:
        if self.chunks:
            spin(SLICE / 2)
            self.chunks -= 1
            self.log.append(self)
        return self.chunks > 0


def spin(seconds: float) -> None:
    """Be busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def turns_until(done: object) -> int:
    """Let the loop turn until the condition holds; return how often it did."""
    count = 0
    while not done():
        await asyncio.sleep(0)
        count += 1
        assert count < 1000
    return count


@pytest.fixture
def router() -> Router:
    return Router()


async def test_changes_of_one_turn_are_flushed_once(router: Router) -> None:
    turns = Turns(router)
    turns.schedule()  # before the start: nothing happens
    turns.start()
    for _ in range(10):
        turns.schedule()
        turns.spend(0.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert router.flushes == 1
    turns.close()
    turns.schedule()
    await asyncio.sleep(0)
    assert router.flushes == 1


def test_a_turn_comes_at_the_router_s_deadline() -> None:
    async def waiting() -> None:
        loop, router = asyncio.get_running_loop(), Router()
        turns = Turns(router)
        router.deadline = loop.time() + 30
        turns.start()
        await asyncio.sleep(29)
        assert router.flushes == 1
        router.deadline += 10
        turns.schedule()
        await asyncio.sleep(9)
        assert router.flushes == 2, "the earlier one is forgotten"
        # A timer may be early by the resolution of the clock.
        router.deadline, due = None, router.deadline
        await asyncio.sleep(due - loop.time() + 0.1)
        assert router.flushes == 3
        turns.close()

    jumpingloop.run(waiting())


async def test_work_is_sliced(router: Router) -> None:
    turns = Turns(router)
    turns.start()
    router.jobs = 40
    count = await turns_until(lambda: not router.jobs)
    assert count >= 40 / 4 - 2
    turns.close()


async def test_time_to_receive_runs_out_and_comes_back(router: Router) -> None:
    turns = Turns(router)
    turns.start()
    assert turns.may_receive()
    turns.spend(SLICE)
    assert not turns.may_receive()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns.may_receive()
    turns.close()


async def test_who_stands_in_line_is_served_in_turn(router: Router) -> None:
    turns = Turns(router)
    turns.start()
    log: list[Party] = []
    parties = [Party(slices=3) for _ in range(4)]
    for party in parties:
        party.log = log
        turns.queue(party)
    assert not turns.may_receive()
    count = await turns_until(lambda: len(log) == 12)
    assert log == parties * 3
    assert count >= 12  # a slice of each lasts a whole share
    turns.close()


async def test_senders_take_turns(router: Router) -> None:
    """Who has much to send does not keep the others from sending."""
    turns = Turns(router)
    turns.start()
    log: list[Party] = []
    greedy, modest = Party(chunks=30), Party(chunks=3)
    for party in (greedy, modest):
        party.log = log
        turns.join(party)
    await turns_until(lambda: not modest.chunks)
    assert len(log) <= 8
    await turns_until(lambda: not greedy.chunks)
    turns.leave(greedy)
    turns.leave(greedy)
    turns.close()


async def test_members_without_room_cause_no_turns(router: Router) -> None:
    """Somebody has something to pull, but no room for it: the loop must rest."""
    turns = Turns(router)
    turns.join(Party())
    turns.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert router.flushes <= 2
    turns.close()


async def test_a_party_that_leaves_while_others_send_is_not_asked(router: Router) -> None:
    turns = Turns(router)
    gone = Party(chunks=1)

    class Leaver(Party):
        def send_chunk(self) -> bool:
            turns.leave(gone)
            return False

    turns.join(Leaver())
    turns.join(gone)
    turns.start()
    turns.schedule()
    for _ in range(5):
        await asyncio.sleep(0)
    assert gone.chunks == 1
    turns.close()


async def test_router_that_fails_is_not_called_again_and_again(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns(router)
    turns.start()
    router.error = RuntimeError("a bug")
    turns.schedule()
    for _ in range(20):
        await asyncio.sleep(0)
    assert turns.failures == 1
    assert caplog.text.count("internal error") == 1
    assert router.flushes == 1  # the other steps are taken
    turns.close()


async def test_party_that_fails_does_not_keep_others_from_their_turn(router: Router) -> None:
    class Broken(Party):
        def receive_slice(self) -> bool:
            raise RuntimeError("a bug")

        def send_chunk(self) -> bool:
            raise RuntimeError("a bug")

    turns = Turns(router)
    turns.start()
    broken, good = Broken(), Party(slices=2, chunks=2)
    for party in (broken, good):
        turns.queue(party)
        turns.join(party)
    await turns_until(lambda: not good.slices and not good.chunks)
    assert turns.failures >= 2
    turns.close()


def test_portions_are_smaller_than_a_share() -> None:
    assert module.QUOTA < 4096


class Taker:
    """Who takes what many are told alike, and is slow about it."""

    def __init__(self, log: list[tuple["Taker", bytes]], seconds: float = 0.0) -> None:
        self.log = log
        self.seconds = seconds
        self.failed = 0
        self.error: Exception | None = None

    def take(self, octets: bytes, now: float) -> None:
        if self.error is not None:
            raise self.error
        spin(self.seconds)
        self.log.append((self, octets))

    def fail(self) -> None:
        self.failed += 1


async def test_what_is_shared_goes_out_in_slices_in_order_and_before_anybody_pulls(
    router: Router,
) -> None:
    turns = Turns(router)
    turns.start()
    log: list[tuple[Taker, bytes]] = []
    takers = [Taker(log, SLICE / 8) for _ in range(100)]
    router.shared = [(b"one", list(takers)), (b"two", takers[::2])]
    puller = Party(chunks=1)
    turns.join(puller)
    count = await turns_until(lambda: puller.log)
    assert log == [(taker, b"one") for taker in takers] + [(taker, b"two") for taker in takers[::2]]
    assert count >= 150 / 32  # a look at the time behind every thirty-two of them
    turns.close()


async def test_who_fails_to_take_its_share_is_ended_and_the_others_get_theirs(router: Router) -> None:
    turns = Turns(router)
    turns.start()
    log: list[tuple[Taker, bytes]] = []
    takers = [Taker(log) for _ in range(3)]
    takers[1].error = RuntimeError("a bug")
    router.shared = [(b"one", list(takers))]
    turns.schedule()
    await turns_until(lambda: len(log) == 2)
    assert [taker.failed for taker in takers] == [0, 1, 0]
    assert turns.failures == 1
    turns.close()
