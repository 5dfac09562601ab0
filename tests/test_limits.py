"""How many routes a peer may send: who is told when, what becomes of the session; and what else is told."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawpeer import RawPeer, event_of
from test_peer import add, changes, jumping, speaker

from bgp import IPV4_UNICAST, EventKind, LimitAction, Notify, Peer, PeerEvent, PeerOptions, Speaker, State
from bgp.iana import MessageType
from bgp.rib.limits import Limit, LimitReached
from bgp.wire.framing import frame
from bgp.wire.message import RouteRefresh

ATTRIBUTES = bytes.fromhex("40010100 400200 400304c0000201 40050400000064")
END_OF_RIB = bytes(4)


def update(*numbers: int, withdrawn: tuple[int, ...] = ()) -> bytes:
    """Return an UPDATE with the prefixes 10.n.0.0/16."""
    gone = b"".join(b"\x10\x0a" + bytes([n]) for n in withdrawn)
    attributes = ATTRIBUTES if numbers else b""
    body = len(gone).to_bytes(2, "big") + gone + len(attributes).to_bytes(2, "big") + attributes
    return frame(MessageType.UPDATE, body + b"".join(b"\x10\x0a" + bytes([n]) for n in numbers))


# --- The limit itself --------------------------------------------------------------------------------


@given(
    maximum=st.integers(1, 20),
    warning=st.none() | st.integers(1, 100),
    tolerant=st.booleans(),
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 25)), max_size=30),
)
def test_each_crossing_is_told_once_and_too_much_is_refused(
    maximum: int, warning: int | None, tolerant: bool, steps: list[tuple[int, int, int]]
) -> None:
    """Each step offers new routes and others that replace, and withdraws some before."""
    limit = Limit(IPV4_UNICAST, maximum, warning, tolerant)
    held, armed = 0, {"near": True, "beyond": True}
    for new, replacing, withdrawn in steps:
        held = max(0, held - withdrawn)
        replacing = min(replacing, held)
        reaches = {
            "near": lambda count: warning is not None and count * 100 >= maximum * warning,
            "beyond": lambda count: tolerant and count > maximum,
        }
        for name, reached in reaches.items():
            armed[name] = armed[name] or not reached(held)
        if held + new > maximum and not tolerant:
            with pytest.raises(Notify) as raised:
                limit.offered(held, new + replacing, lambda new=new: new)
            assert (raised.value.code, raised.value.subcode) == (6, 1)
            assert "RFC 4486 4" in raised.value.reason
            continue
        # Thresholds are looked at when something comes.
        due = [name for name, reached in reaches.items() if armed[name] and reached(held + new)]
        told = limit.offered(held, new + replacing, lambda new=new: new)
        held += new
        assert told == (LimitReached(IPV4_UNICAST, held, maximum) if due else None)
        for name in due:
            armed[name] = False


def test_what_is_far_from_a_limit_is_not_counted() -> None:
    def never() -> int:
        raise AssertionError

    limit = Limit(IPV4_UNICAST, 100, 80, False)
    assert limit.offered(0, 79, never) is None
    assert limit.offered(79, 1, lambda: 1) == LimitReached(IPV4_UNICAST, 80, 100)
    assert limit.offered(80, 20, never) is None, "told already"


def test_in_words() -> None:
    assert str(LimitReached(IPV4_UNICAST, 8, 10)) == "8 prefixes of ipv4-unicast, of at most 10"
    assert str(LimitReached(IPV4_UNICAST, 11, 10)) == "11 prefixes of ipv4-unicast, more than the 10"


# --- Sessions ----------------------------------------------------------------------------------------


async def told(middle: Speaker, kind: EventKind, raw: RawPeer, *messages: bytes) -> PeerEvent:
    """Send messages, and wait for an event of this kind."""
    waiting = asyncio.ensure_future(event_of(middle, lambda event: event.kind is kind))
    await asyncio.sleep(0)
    await raw.send(b"".join(messages))
    return await waiting


async def connected(middle: Speaker, peer: Peer) -> RawPeer:
    raw = await RawPeer.dial(middle)
    await raw.establish()
    await peer.established()
    return raw


@jumping
async def test_warned_at_a_percentage_once_for_each_crossing() -> None:
    async with speaker() as middle:
        peer = add(middle, maximum_prefixes={IPV4_UNICAST: 4}, maximum_prefixes_warning=75)
        async with await connected(middle, peer) as raw:
            with middle.events() as events:
                await raw.send(update(1, 2, 3) + update(4) + update(withdrawn=(3, 4)) + update(3))
                await raw.send(frame(MessageType.UPDATE, END_OF_RIB))
                seen = []
                async for event in events:
                    seen.append((event.kind, event.text))
                    if event.kind is EventKind.END_OF_RIB:
                        break
            assert event.family is IPV4_UNICAST and event.peer is peer
            warning = "3 prefixes of ipv4-unicast, of at most 4"
            assert [text for kind, text in seen if kind is EventKind.LIMIT] == [warning, warning]
            assert peer.state is State.ESTABLISHED


@jumping
async def test_more_than_allowed_is_only_told_of_if_that_is_wanted() -> None:
    async with speaker() as middle:
        peer = add(middle, maximum_prefixes={IPV4_UNICAST: 2}, maximum_prefixes_action=LimitAction.WARN)
        async with await connected(middle, peer) as raw:
            event = await told(middle, EventKind.LIMIT, raw, update(1, 2, 3))
            assert event.text == "3 prefixes of ipv4-unicast, more than the 2"
            assert peer.state is State.ESTABLISHED
            assert len(middle.best(IPV4_UNICAST)) == 3


@jumping
async def test_shut_stays_down_until_it_is_started() -> None:
    async with speaker() as middle:
        peer = add(middle, maximum_prefixes={IPV4_UNICAST: 1}, maximum_prefixes_action=LimitAction.SHUT)
        async with await connected(middle, peer) as raw:
            event = await told(middle, EventKind.ALARM, raw, update(1, 2))
            assert "shut down until it is started" in event.text and "more than 1 prefixes" in event.text
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (6, 1)
        assert not peer.is_running and peer.state is State.IDLE
        assert "(RFC 4486 4)" in peer.last_error
        await asyncio.sleep(1000)
        async with await RawPeer.dial(middle) as raw:
            assert await raw.receive() is None, "nobody is let in"
        peer.start()
        async with await connected(middle, peer) as raw:
            assert peer.times_established == 2


@jumping
async def test_starts_again_after_the_time_that_is_set() -> None:
    async with speaker() as middle:
        peer = add(middle, maximum_prefixes={IPV4_UNICAST: 1}, maximum_prefixes_restart=300.0)
        loop = asyncio.get_running_loop()
        async with await connected(middle, peer) as raw:
            await raw.send(update(1, 2))
            await changes(middle, lambda: not peer.is_running)
        before = loop.time()
        await changes(middle, lambda: peer.state is State.ACTIVE)
        assert 299 < loop.time() - before < 301
        async with await connected(middle, peer) as raw:
            await raw.send(update(1, 2))
            await changes(middle, lambda: not peer.is_running)
            peer.start()
            assert peer.is_running, "told to, it does not wait"
            await raw.rest()
        async with await connected(middle, peer) as raw:
            await raw.send(update(1, 2))
            await changes(middle, lambda: not peer.is_running)
            peer.stop()
            await asyncio.sleep(1000)
            assert not peer.is_running, "told to stop, it does not start by itself"


@jumping
async def test_a_peer_of_a_range_is_kept_out_for_that_time() -> None:
    async with speaker() as middle:
        options = PeerOptions(asn=65000, maximum_prefixes={IPV4_UNICAST: 1}, maximum_prefixes_restart=50.0)
        middle.add_listen_range("127.0.0.0/8", options)
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await raw.send(update(1, 2))
            await raw.rest()
        async with await RawPeer.dial(middle) as raw:
            assert await raw.receive() is None
        assert len(middle.peers) == 1
        await asyncio.sleep(60)
        assert not middle.peers
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()


# --- What else is told of a session --------------------------------------------------------------------


@jumping
async def test_refresh_and_errors_are_told() -> None:
    async with speaker() as middle:
        peer = add(middle)
        async with await connected(middle, peer) as raw:
            asked = frame(MessageType.ROUTE_REFRESH, bytes.fromhex("00010001"))
            event = await told(middle, EventKind.REFRESH, raw, asked)
            assert (event.family, event.text) == (IPV4_UNICAST, "asks for ipv4-unicast again (RFC 2918 4)")
            bad = update(1).replace(bytes.fromhex("40010100"), bytes.fromhex("40010107"))
            event = await told(middle, EventKind.ERROR, raw, bad)
            assert event.text.startswith("treat-as-withdraw: ORIGIN must be 0, 1 or 2 (RFC 7606 7.1)")
            assert peer.state is State.ESTABLISHED


@pytest.mark.parametrize("subtype", [1, 2])
def test_refreshes_in_words(subtype: int) -> None:
    from bgp.rib.notice import Refresh

    words = {1: "begins to send", 2: "has sent"}[subtype]
    assert str(Refresh(IPV4_UNICAST, subtype)) == f"{words} ipv4-unicast again (RFC 7313 4)"
    assert RouteRefresh(1, 1, subtype).subtype == subtype


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"maximum_prefixes_warning": 0}, "maximum_prefixes_warning"),
        ({"maximum_prefixes_warning": 101}, "maximum_prefixes_warning"),
        ({"maximum_prefixes_restart": 0.0}, "maximum_prefixes_restart"),
        (
            {"maximum_prefixes_restart": 5.0, "maximum_prefixes_action": LimitAction.SHUT},
            "maximum_prefixes_restart",
        ),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        PeerOptions(asn=1, address="192.0.2.1", **options)


# --- How much a peer is told -----------------------------------------------------------------------------


async def announce(middle: Speaker, *numbers: int) -> None:
    for number in numbers:
        middle.announce(f"10.{number}.0.0/16", next_hop="192.0.2.1")


@jumping
async def test_a_peer_that_would_be_told_too_much_is_shut_down() -> None:
    async with speaker() as middle:
        await announce(middle, 1, 2)
        peer = add(middle, hold_time=0, maximum_advertised={IPV4_UNICAST: 3})
        async with await connected(middle, peer) as raw:
            await asyncio.sleep(60)
            assert peer.state is State.ESTABLISHED
            waiting = asyncio.ensure_future(event_of(middle, lambda event: event.kind is EventKind.ALARM))
            await announce(middle, 3)
            await asyncio.sleep(60)
            assert peer.state is State.ESTABLISHED, "as much as it may be"
            await announce(middle, 4)
            before = asyncio.get_running_loop().time()
            event = await waiting
            assert asyncio.get_running_loop().time() - before < 15
            reason = "more than 3 prefixes of ipv4-unicast to tell"
            assert event.text == f"shut down until it is started: {reason}"
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (6, 2)
            assert notification.communication == reason
        await asyncio.sleep(1000)
        assert not peer.is_running
        middle.withdraw("10.4.0.0/16")
        middle.change_peer(peer, replace(peer.options, maximum_advertised={IPV4_UNICAST: 9}))
        peer.start()
        async with await connected(middle, peer):
            await asyncio.sleep(60)
            assert peer.state is State.ESTABLISHED
            middle.change_peer(peer, replace(peer.options, maximum_advertised={IPV4_UNICAST: 2}))
            await changes(middle, lambda: not peer.is_running)


@jumping
async def test_what_came_from_the_peer_does_not_count_as_told() -> None:
    async with speaker() as middle:
        peer = add(middle, maximum_advertised={IPV4_UNICAST: 1})
        async with await connected(middle, peer) as raw:
            await raw.send(update(1, 2, 3))
            await asyncio.sleep(60)
            assert peer.state is State.ESTABLISHED and len(middle.best(IPV4_UNICAST)) == 3
