"""The stream on socket pairs: order of messages, discarding, progress, and the orderly end."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import ref

import pytest

from bgp.aio import stream as module
from bgp.aio.stream import HIGH_WATER, Stream

TIMEOUT = 10.0


class Recorder:
    """A reader that records what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.count = 0
        self.fulls = 0
        self.rooms = 0
        self.willing = True
        self.ends: list[OSError | None] = []
        self.changed = asyncio.Event()

    def readable(self) -> bool:
        return self.willing

    def octets(self, data: bytes) -> None:
        self.data += data
        self.changed.set()

    def taken(self, octets: int) -> None:
        self.count += octets
        self.changed.set()

    def full(self) -> None:
        self.fulls += 1

    def room(self) -> None:
        self.rooms += 1
        self.changed.set()

    def lost(self, error: OSError | None) -> None:
        self.ends.append(error)
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def pair(tcp: bool = False) -> AsyncIterator[tuple[Stream, Recorder, socket.socket]]:
    if tcp:
        with socket.create_server(("127.0.0.1", 0)) as server:
            far = socket.create_connection(server.getsockname())
            near, _ = server.accept()
    else:
        near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    recorder = Recorder()
    stream = Stream(near, recorder)
    try:
        yield stream, recorder, far
    finally:
        stream.abort()
        far.close()


async def read(sock: socket.socket, octets: int | None = None) -> bytes:
    """Read so many octets, or to the end."""
    loop = asyncio.get_running_loop()
    data = b""
    async with asyncio.timeout(TIMEOUT):
        while octets is None or len(data) < octets:
            more = await loop.sock_recv(sock, 65536 if octets is None else octets - len(data))
            if not more:
                break
            data += more
    return data


def fill(stream: Stream, mark: int = 1000) -> list[bytes]:
    """Write messages until the kernel takes no more, then some; return all of them."""
    messages: list[bytes] = []
    while stream.queued < 10 * mark:
        messages.append(bytes([len(messages) % 60]) * mark)
        stream.write([messages[-1]])
    return messages


async def test_octets_arrive_both_ways() -> None:
    async with pair() as (stream, recorder, far):
        stream.resume()
        far.send(b"hello")
        stream.write([b"one", b"two"])
        await recorder.until(lambda: recorder.data == b"hello")
        assert await read(far, 6) == b"onetwo"
        assert (recorder.count, stream.queued, stream.received, stream.sent) == (6, 0, 5, 6)


async def test_paused_stream_leaves_octets_to_the_kernel_and_polls_them() -> None:
    async with pair() as (stream, recorder, far):
        stream.resume()
        stream.pause()
        far.send(b"later")
        await asyncio.sleep(0)
        assert recorder.data == b""
        stream.poll()
        assert recorder.data == b"later"
        stream.poll()  # nothing there: nothing happens
        assert not recorder.ends


async def test_urgent_messages_overtake_but_never_cut() -> None:
    """Session messages go between routing messages, never inside one."""
    async with pair() as (stream, recorder, far):
        messages = fill(stream)
        stream.write([b"U" * 7], urgent=True)
        stream.write([b"V" * 9], urgent=True)
        total = sum(map(len, messages)) + 16
        data = await read(far, total)
        start = data.index(b"U" * 7 + b"V" * 9)
        assert start % 1000 == 0
        assert start < total - 16 - 8000  # it overtook what waited
        assert data[:start] + data[start + 16 :] == b"".join(messages)
        await recorder.until(lambda: recorder.rooms == 1)


async def test_what_many_are_told_alike_goes_behind_what_waits_and_nothing_is_lost() -> None:
    async with pair() as (stream, recorder, far):
        stream.take(b"first", 7.0)
        assert (stream.queued, stream.sent, stream.taken_at, recorder.count) == (0, 5, 7.0, 0)
        total = 5
        expected = b"first"
        while not stream.queued:
            expected += bytes([total % 60]) * 9999
            total += 9999
            stream.take(expected[-9999:], 8.0)
        # From here on it is full, and says so once; what comes is queued behind the rest.
        assert recorder.fulls == 1
        stream.take(b"last", 9.0)
        assert await read(far, total + 4) == expected + b"last"
        await recorder.until(lambda: recorder.rooms == 1)
        assert stream.sent == total + 4
        assert stream.queued == 0


async def test_who_is_gone_takes_nothing() -> None:
    async with pair() as (stream, recorder, far):
        far.close()
        stream.resume()
        stream.take(b"lost", 1.0)
        stream.take(b"lost", 1.0)
        await recorder.until(lambda: recorder.ends)
        stream.take(b"lost", 1.0)
        assert stream.queued == 0


async def test_taken_counts_what_the_kernel_took_and_no_more() -> None:
    async with pair() as (stream, recorder, far):
        messages = fill(stream)
        total = sum(map(len, messages))
        assert recorder.count == total - stream.queued
        await read(far, total)
        await recorder.until(lambda: recorder.count == total)
        assert stream.queued == 0


async def test_finish_discards_what_waits_and_ends_with_the_last_message() -> None:
    """A NOTIFICATION discards what is unsent, except for the rest of a message that was begun."""
    async with pair(tcp=True) as (stream, recorder, far):
        messages = fill(stream)
        done = asyncio.Event()
        stream.finish([b"N" * 21], done.set)
        data = await read(far)  # to FIN, and no RST came
        far.close()
        await asyncio.wait_for(done.wait(), TIMEOUT)
        assert data.endswith(b"N" * 21)
        assert (len(data) - 21) % 1000 == 0
        assert len(data) - 21 <= sum(map(len, messages)) - 9000
        assert not recorder.ends  # an end of our own is not reported
        assert stream.socket.fileno() == -1


async def test_finish_waits_for_the_peer_and_discards_what_it_sends() -> None:
    async with pair(tcp=True) as (stream, recorder, far):
        done = asyncio.Event()
        far.send(b"unread" * 1000)
        stream.finish([b"bye"], done.set)
        assert await read(far) == b"bye"
        far.send(b"more")  # no RST: the other side still reads
        await asyncio.sleep(0)
        assert not done.is_set()
        far.close()
        await asyncio.wait_for(done.wait(), TIMEOUT)
        assert recorder.data == b""


@pytest.mark.parametrize("reads", [True, False])
async def test_finish_is_bounded_in_time(monkeypatch: pytest.MonkeyPatch, reads: bool) -> None:
    """Neither a peer that keeps the connection open nor one that does not read holds it for long."""
    monkeypatch.setattr(module, "LINGER", 0.05)
    async with pair(tcp=True) as (stream, _, far):
        if not reads:
            fill(stream)
        done = asyncio.Event()
        stream.finish([b"bye"], done.set)
        if reads:
            assert await read(far) == b"bye"
        await asyncio.wait_for(done.wait(), TIMEOUT)
        assert stream.socket.fileno() == -1


async def test_peer_that_closes_is_reported_behind_what_it_said() -> None:
    async with pair() as (stream, recorder, far):
        far.send(b"last words")
        far.close()
        stream.resume()
        await recorder.until(lambda: recorder.ends)
        assert recorder.data == b"last words"
        assert recorder.ends == [None]
        assert not stream.is_open
        stream.write([b"too late"])
        stream.finish()
        stream.poll()
        assert recorder.count == 0


async def test_failed_send_is_reported_behind_what_still_can_be_read() -> None:
    """The NOTIFICATION that explains the loss may lie unread when sending fails."""
    async with pair() as (stream, recorder, far):
        far.send(b"why")
        far.close()
        stream.write([b"into the void"])
        assert not recorder.ends
        stream.write([b"ignored"])
        assert stream.queued == 0
        stream.resume()
        await recorder.until(lambda: recorder.ends)
        assert recorder.data == b"why"
        assert isinstance(recorder.ends[0], BrokenPipeError)


async def test_failed_stream_is_freed_without_the_collector() -> None:
    """Its error must not hold it, by the frames of a traceback."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.close()
    stream = Stream(near, Recorder())
    gone = ref(stream)
    gc.disable()
    try:
        stream.write([b"nobody reads this"])
        assert stream.mark is None
        stream.abort()
        del stream
        assert gone() is None
    finally:
        gc.enable()


async def test_reset_is_reported_with_its_error() -> None:
    async with pair(tcp=True) as (stream, recorder, far):
        stream.resume()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        far.close()
        await recorder.until(lambda: recorder.ends)
        assert isinstance(recorder.ends[0], ConnectionResetError)


async def test_abort_resets_at_once() -> None:
    async with pair(tcp=True) as (stream, recorder, far):
        fill(stream)
        stream.abort()
        stream.abort()
        with pytest.raises(ConnectionResetError):
            await read(far)
        assert not recorder.ends


async def test_what_waits_is_shared_by_many_streams() -> None:
    """What is queued is the very object that was given."""
    chunk = b"c" * HIGH_WATER
    async with pair() as (first, _, far), pair() as (second, _, other):
        while not first.queued:
            first.write([chunk])
        while not second.queued:
            second.write([chunk])
        for stream in (first, second):
            assert stream._partial is None or stream._partial.obj is chunk
            assert all(item is chunk for item in stream._waiting)
        del far, other
