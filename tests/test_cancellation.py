"""Canceled wherever it waits, a speaker is left as it was, or as it should be; never in between."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from rawpeer import TIMEOUT, RawPeer

from bgp import IPV4_UNICAST, PeerOptions, Speaker, State

ASN = 65000
NET = "198.51.100.0/24"
POINTS = range(24)


async def canceled_after(turns: int, work: Awaitable[object]) -> bool:
    """Cancel some work after so many turns of the loop; return whether it was still at it."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    canceled = task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, TIMEOUT)
        return False
    return canceled


async def quiet() -> None:
    """Wait until no task but this one is left."""
    async with asyncio.timeout(TIMEOUT):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)


def a_speaker(number: int = 1) -> Speaker:
    return Speaker(asn=ASN, router_id=f"10.0.0.{number}", listen=["127.0.0.1:0"], stop_timeout=1.0)


@pytest.mark.parametrize("turns", POINTS)
async def test_a_whole_life(turns: int) -> None:
    """Two speakers that meet, talk and part: whenever that is canceled, nothing is left of it."""
    speakers: list[Speaker] = []

    async def life() -> None:
        async with a_speaker() as first, a_speaker(2) as second:
            speakers.extend((first, second))
            first.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN))
            host, port = first.listening[0]
            peer = second.add_peer(PeerOptions(asn=ASN, address=host, port=port))
            await peer.established()
            async with second.announce(NET, next_hop="192.0.2.1") as route:
                await route.advertised_to(peer)
                async with second.transaction():
                    second.announce("203.0.113.0/24", next_hop="192.0.2.1")
                    await asyncio.sleep(0)
            await second.remove_peer(peer)

    await canceled_after(turns, life())
    await quiet()
    for speaker in speakers:
        assert speaker.listening == () and not speaker._host.closing
        assert all(peer.state is State.IDLE for peer in speaker.peers)
        assert len(speaker._host.waits) == 0
        assert speaker._originals._mine() is None
        # What was ended may begin again.
        async with speaker:
            assert speaker.listening


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(
    "work",
    [
        lambda speaker: speaker.stop(),
        lambda speaker: speaker.remove_peer(speaker.peers[0]),
        lambda speaker: speaker.remove_listen_range(speaker.listen_ranges[0]),
        lambda speaker: speaker.peers[0].established(),
        lambda speaker: speaker.announce(NET, next_hop="192.0.2.1").advertised_to(speaker.peers[0]),
    ],
    ids=["stop", "remove_peer", "remove_listen_range", "established", "advertised_to"],
)
async def test_each_wait(work: Callable[[Speaker], Awaitable[object]], turns: int) -> None:
    """The peer does not close its end, so there is something to wait for."""
    async with a_speaker() as speaker:
        speaker.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN))
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            (peer,) = speaker.peers
            await asyncio.wait_for(peer.established(), TIMEOUT)
            await canceled_after(turns, work(speaker))
            assert len(speaker._host.waits) <= 1
            if not speaker._started:
                assert not speaker._host.closing
                return
            # It goes on as ever.
            async with await RawPeer.dial(speaker, "127.0.0.9") as other:
                if speaker.listen_ranges:
                    await other.establish()
            speaker.announce("203.0.113.0/24", next_hop="192.0.2.1")
            assert "203.0.113.0/24" in speaker.best(IPV4_UNICAST)
            assert len(speaker._host.waits) == 0
    await quiet()


async def test_leaving_waits_at_most_so_long_and_tells_the_peers() -> None:
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        async with Speaker(
            asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"], stop_timeout=0.2
        ) as speaker:
            speaker.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN))
            raw = await stack.enter_async_context(await RawPeer.dial(speaker))
            await raw.establish()
            await asyncio.wait_for(speaker.peers[0].established(), TIMEOUT)
            start = loop.time()
        # The peer never closes its end; it is told nevertheless.
        assert 0.1 < loop.time() - start < 1.0
        assert (await raw.notification()).code == 6
