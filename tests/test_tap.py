"""Taps hear each message as it goes over the wire, and cost nothing while there are none."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rawpeer import RawPeer, an_open
from test_stream import Recorder

from bgp import IPV4_UNICAST, AddPathMode, Peer, PeerOptions, Speaker, TappedEnd, TappedMessage
from bgp.aio.stream import Stream
from bgp.aio.tap import Tapped
from bgp.iana import MessageType
from bgp.tools import json_form
from bgp.wire.cut import Cutter
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, encode

ASN = 64512
TIMEOUT = 60
# 198.51.100.0/24 and 203.0.113.0/24 as they stand in an UPDATE.
OURS, THEIRS = b"\x18\xc6\x33\x64", b"\x18\xcb\x00\x71"
ADD_PATH = {IPV4_UNICAST: AddPathMode.BOTH}


class Heard:
    """All that a tap has told, and a way to wait for it."""

    def __init__(self) -> None:
        self.all: list[Tapped] = []
        self._more = asyncio.Event()

    def __call__(self, tapped: Tapped) -> None:
        self.all.append(tapped)
        self._more.set()

    def messages(self, sent: bool) -> list[TappedMessage]:
        return [each for each in self.all if isinstance(each, TappedMessage) and each.sent is sent]

    async def until(self, octets: bytes, sent: bool) -> TappedMessage:
        """Wait for the message that has these octets in it, and return it."""
        async with asyncio.timeout(TIMEOUT):
            while not (found := [each for each in self.messages(sent) if octets in each.octets]):
                self._more.clear()
                await self._more.wait()
        return found[-1]

    async def end(self) -> TappedEnd:
        async with asyncio.timeout(TIMEOUT):
            while not (ends := [each for each in self.all if isinstance(each, TappedEnd)]):
                self._more.clear()
                await self._more.wait()
        return ends[0]


@asynccontextmanager
async def two(**options: object) -> AsyncIterator[tuple[Speaker, Speaker, PeerOptions]]:
    """Run two speakers, the second of which knows by these options how to reach the first."""
    async with Speaker(asn=ASN, router_id="192.0.2.1", listen=["127.0.0.1:0"]) as here:
        here.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN, client=True, **options))  # type: ignore[arg-type]
        address, port = here.listening[0]
        async with Speaker(asn=ASN, router_id="10.0.0.1") as there:
            yield (
                here,
                there,
                PeerOptions(asn=ASN, address=address, port=port, source_address="127.0.0.7", **options),  # type: ignore[arg-type]
            )


def contiguous(messages: list[TappedMessage]) -> bool:
    ends = [each.position + len(each.octets) for each in messages]
    return [each.position for each in messages][1:] == ends[:-1]


def unheard(peer: Peer) -> bool:
    """Whether nothing stands between the peer's streams and their sockets."""
    streams = [link.stream for link in peer.connections if link.stream is not None]
    plain = [(each._socket.recv, each._socket.send) == (each._pull, each._push) for each in streams]
    return bool(plain) and all(plain)


async def test_both_ends_hear_the_same_octets() -> None:
    async with two(add_path=ADD_PATH) as (here, there, options):
        heard, mirrored = Heard(), Heard()
        here.tap("127.0.0.7", heard)
        here.announce("198.51.100.0/24", next_hop="192.0.2.9")
        peer = there.add_peer(options)
        peer.tap(mirrored)
        await peer.established()
        there.announce("203.0.113.0/24", next_hop="192.0.2.8", communities=["64512:7"])
        update = await heard.until(THEIRS, sent=False)
        await mirrored.until(OURS, sent=False)
        await there.remove_peer(peer)
        await heard.end()
        for sent in (True, False):
            ours, theirs = heard.messages(sent), mirrored.messages(not sent)
            assert [each.octets for each in ours][: len(theirs)] == [each.octets for each in theirs]
            assert ours[0].position == 0 and ours[0].type == MessageType.OPEN and contiguous(ours)
            assert not any(each.recalled for each in ours)
        told = json_form.read(update.octets, update.context)
        assert told["outcome"] == "ok"
        (route,) = told["announced"]["ipv4-unicast"]
        assert route["prefix"] == "203.0.113.0/24" and route["path_id"] > 0
        assert heard.messages(False)[-1].type == MessageType.NOTIFICATION
        first = heard.messages(True)[0].conversation
        assert first.incoming and str(first.remote.address) == "127.0.0.7" and first.peer == "127.0.0.7"
        assert mirrored.messages(True)[0].conversation.local == first.remote


async def test_a_tap_that_comes_later_knows_how_to_read_and_costs_nothing_when_it_is_gone() -> None:
    async with two(add_path=ADD_PATH) as (here, there, options):
        peer = there.add_peer(options)
        await peer.established()
        assert unheard(peer)
        heard = Heard()
        with peer.tap(heard):
            assert not unheard(peer)
            ours, theirs = heard.all
            assert isinstance(ours, TappedMessage) and isinstance(theirs, TappedMessage)
            assert (ours.sent, theirs.sent) == (True, False)
            assert ours.recalled and theirs.recalled
            assert [each.type for each in (ours, theirs)] == [MessageType.OPEN] * 2
            here.announce("198.51.100.0/24", next_hop="192.0.2.9")
            update = await heard.until(OURS, sent=False)
            assert contiguous(heard.messages(False))
            assert update.context.add_path == {IPV4_UNICAST} and not update.recalled
            told = json_form.read(update.octets, update.context)
            assert told["announced"]["ipv4-unicast"][0]["prefix"] == "198.51.100.0/24"
        assert unheard(peer)
        count = len(heard.all)
        here.withdraw("198.51.100.0/24")
        async with asyncio.timeout(TIMEOUT):
            while there.best(IPV4_UNICAST):
                await asyncio.sleep(0.01)
        assert len(heard.all) == count


async def test_a_peer_of_a_listen_range_is_heard_again_when_it_comes_back() -> None:
    async with two() as (here, _, _):
        raw = await RawPeer.dial(here, source="127.0.0.9")
        await raw.establish(an_open(ASN))
        (peer,) = here.peers
        messages = peer.messages()
        other = await RawPeer.dial(here, source="127.0.0.10")
        await other.establish(an_open(ASN, identifier=0x0A000003))
        await raw.close()
        async with asyncio.timeout(TIMEOUT):
            while len(here.peers) > 1:
                await asyncio.sleep(0.01)
        again = await RawPeer.dial(here, source="127.0.0.9")
        await again.establish(an_open(ASN))
        numbers = set()
        async with asyncio.timeout(TIMEOUT):
            async for message in messages:
                assert message.conversation.peer == "127.0.0.9"
                numbers.add(message.conversation.number)
                if len(numbers) == 2 and message.type == MessageType.OPEN and not message.sent:
                    assert message.position == 0
                    break
        messages.close()
        assert [each async for each in messages] == []
        await again.close()
        await other.close()


async def test_who_does_not_read_loses_what_is_counted() -> None:
    async with two() as (_, there, options):
        peer = there.add_peer(options)
        await peer.established()
        with peer.messages(limit=1000) as messages:
            for _ in range(20):
                peer.connections[0].write(encode(Keepalive()))
            assert messages.lost > 10
            first = await anext(messages)
            assert first.recalled


async def test_a_tap_that_fails_is_closed_and_the_session_stays(caplog: pytest.LogCaptureFixture) -> None:
    def fail(tapped: Tapped) -> None:
        raise ValueError("no")

    async with two() as (here, there, options):
        peer = there.add_peer(options)
        await peer.established()
        peer.tap(fail)
        heard = Heard()
        peer.tap(heard)
        here.announce("198.51.100.0/24", next_hop="192.0.2.9")
        await heard.until(OURS, sent=False)
        assert caplog.text.count("a tap failed") == 1
        assert peer.negotiated is not None


async def test_what_was_begun_before_is_told_whole() -> None:
    """A message that the kernel has taken in part, and one that was read in part."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    stream = Stream(ours, Recorder())
    message = frame(MessageType.UPDATE, bytes(1000))
    stream.write([message * 3, *[message] * 20])
    assert stream.queued and stream.begun == message[: len(stream.begun)]
    got = b""

    class Ear:
        def __init__(self) -> None:
            self.cutter = Cutter()
            self.cutter.feed(stream.begun)
            self.base = stream.sent - len(stream.begun)
            self.pieces: list[bytes] = []

        def sent(self, data: bytes) -> None:
            self.cutter.feed(data)
            while (piece := self.cutter.next()) is not None:
                self.pieces.append(piece.octets)

        def received(self, data: bytes) -> None:
            raise AssertionError

        def ended(self, aborted: bool) -> None:
            self.pieces.append(b"end")

    ear = Ear()
    assert ear.base % len(message) == 0
    stream.overhear(ear)
    async with asyncio.timeout(TIMEOUT):
        while len(got) < 23 * len(message):
            try:
                got += theirs.recv(700)
            except BlockingIOError:
                await asyncio.sleep(0.001)
    assert got == message * 23
    assert ear.pieces == [message] * (23 - ear.base // len(message))
    stream.abort()
    assert ear.pieces[-1] == b"end"
    theirs.close()


async def test_octets_that_wait_unread_are_told() -> None:
    async with two() as (here, _, _):
        raw = await RawPeer.dial(here, source="127.0.0.9")
        await raw.establish(an_open(ASN))
        (peer,) = here.peers
        await peer.established()
        await raw.expect(MessageType.UPDATE)
        before = peer.traffic.octets_received
        keepalive = encode(Keepalive())
        await raw.send(keepalive[:7])
        async with asyncio.timeout(TIMEOUT):
            while peer.traffic.octets_received < before + 7:
                await asyncio.sleep(0.005)
        heard = Heard()
        with peer.tap(heard):
            await raw.send(keepalive[7:])
            await heard.until(keepalive, sent=False)
            whole = heard.messages(False)
            assert whole[-1].octets == keepalive and whole[-1].position == before and contiguous(whole)
        await raw.close()
