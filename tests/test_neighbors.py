"""Peers that are known by their interface: what can be told without a second host on a link."""

import asyncio
import errno
import socket

import pytest
from rawpeer import TIMEOUT, event_of

from bgp import EventKind, PeerOptions, Speaker
from bgp.aio import neighbors
from bgp.aio.address import Endpoint, parse_address
from bgp.aio.neighbors import NoNeighbor, neighbor_on


def answer(index: int, address: str, state: int, flags: int = 0) -> bytes:
    """Return the body of an RTM_NEWNEIGH message."""
    octets = socket.inet_pton(socket.AF_INET6, address)
    header = neighbors._NEIGHBOR.pack(socket.AF_INET6, index, state, flags, 1)
    return header + bytes((20, 0, 1, 0)) + octets


REACHABLE, STALE, FAILED, ROUTER = 2, 4, 0x20, 0x80


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Let the kernel's neighbor table hold what the list does."""
    found: list[bytes] = []
    monkeypatch.setattr(neighbors, "dump", lambda *_: found)
    monkeypatch.setattr(neighbors, "_call_all", lambda _: None)
    return found


def test_the_only_neighbor_on_the_link(known: list[bytes]) -> None:
    index = socket.if_nametoindex("lo")
    with pytest.raises(NoNeighbor, match="no neighbor is known on lo yet"):
        neighbor_on("lo", 179)
    known += [
        answer(index + 1, "fe80::9", REACHABLE),  # on another link
        answer(index, "2001:db8::1", REACHABLE),  # not link-local
        answer(index, "fe80::8", FAILED),
        answer(index, "fe80::7", 0),
        answer(index, "fe80::1", STALE),
    ]
    expected = Endpoint(parse_address("fe80::1").address, 179, index)
    assert neighbor_on("lo", 179) == expected


def test_of_several_the_only_router(known: list[bytes]) -> None:
    index = socket.if_nametoindex("lo")
    known += [answer(index, "fe80::1", REACHABLE), answer(index, "fe80::2", REACHABLE)]
    with pytest.raises(NoNeighbor, match="several neighbors on lo: fe80::1, fe80::2"):
        neighbor_on("lo", 179)
    known.append(answer(index, "fe80::3", STALE, ROUTER))
    assert str(neighbor_on("lo", 179).address) == "fe80::3"
    known.append(answer(index, "fe80::4", STALE, ROUTER))
    with pytest.raises(NoNeighbor, match="several"):
        neighbor_on("lo", 179)


def test_the_kernel_is_asked() -> None:
    """On the loopback there is nobody."""
    with pytest.raises(NoNeighbor, match="no neighbor is known on lo yet"):
        neighbor_on("lo", 179)


async def test_who_waits_makes_itself_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbor that dials cannot know us otherwise; once nobody is waited for, there is silence."""
    called: asyncio.Queue[int] = asyncio.Queue()
    monkeypatch.setattr(neighbors, "_call_all", called.put_nowait)
    options = PeerOptions(interface="lo", asn=65001, passive=True, connect_retry_time=0.05)
    async with Speaker(asn=65000, router_id="10.0.0.1") as speaker, asyncio.timeout(TIMEOUT):
        peer = speaker.add_peer(options)
        for _ in range(3):
            assert await called.get() == socket.if_nametoindex("lo")
        peer.stop()
        while not called.empty():
            called.get_nowait()
        await asyncio.sleep(0.2)
        assert called.empty()
        # An interface that is away is waited for, and one that comes back is called on.
        monkeypatch.setattr(neighbors, "index_of", away := Away())
        peer.start()
        await away.asked.get()
        monkeypatch.undo()
        monkeypatch.setattr(neighbors, "_call_all", called.put_nowait)
        await called.get()


class Away:
    """What there is of an interface that is not there."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, interface: str) -> int:
        self.asked.put_nowait(interface)
        raise NoNeighbor(errno.ENODEV, f"there is no interface {interface}")


async def test_an_interface_that_is_not_there_is_waited_for() -> None:
    async with Speaker(asn=65000, router_id="10.0.0.1") as speaker:
        peer = speaker.add_peer(PeerOptions(interface="nowhere0", asn=65001))
        assert peer.name == "nowhere0"
        event = await event_of(speaker, lambda event: event.kind is EventKind.DOWN)
        assert event.text.endswith("cannot connect: there is no interface nowhere0")
        speaker.add_peer(PeerOptions(interface="nowhere1", asn=65001))
        with pytest.raises(ValueError, match="there is a peer nowhere0 already"):
            speaker.add_peer(PeerOptions(interface="nowhere0", asn=65001))
        with pytest.raises(ValueError, match=r"^interface: must be empty for a listen range"):
            speaker.add_listen_range("fe80::/10", PeerOptions(interface="nowhere2", asn=65001))


@pytest.mark.parametrize(
    "options", [{"address": "fe80::1"}, {"source_address": "fe80::1"}, {"password": "secret"}]
)
def test_what_excludes_an_interface(options: dict[str, str]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name}: excludes interface"):
        PeerOptions(interface="eth0", asn=65001, **options)
