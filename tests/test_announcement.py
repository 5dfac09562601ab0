"""Handles of routes of our own: what they tell, what they refuse, and that they know when a peer was told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from rawpeer import BOTH, TIMEOUT, RawPeer, has_routes

from bgp import (
    ACCEPT_ALL,
    IPV4_UNICAST,
    IPV6_UNICAST,
    Announcement,
    NotAdvertised,
    Peer,
    PeerDown,
    PeerOptions,
    Speaker,
)
from bgp.iana import HEADER_LENGTH, MessageType
from bgp.policy import condition
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.community import community_text, extended_text
from bgp.wire.context import Context
from bgp.wire.update import decode

ASN = 65000
NET = "198.51.100.0/24"
SIX = "2001:db8:1::/48"


@contextlib.asynccontextmanager
async def session(
    buffer: int | None = None, **options: object
) -> AsyncIterator[tuple[Speaker, RawPeer, Peer]]:
    """A speaker with a peer that says nothing."""
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        given = {"asn": ASN, "families": BOTH, **options}
        peer = speaker.add_peer(PeerOptions(address="127.0.0.2", passive=True, **given))
        async with await RawPeer.dial(speaker, buffer=buffer) as raw:
            await raw.establish()
            await asyncio.wait_for(peer.established(), TIMEOUT)
            yield speaker, raw, peer


async def tells(raw: RawPeer, text: str) -> Attributes | None:
    """Return what the next UPDATE about a prefix says of it, None for a withdrawal."""
    family, octets = nlri.parse(text)
    context = Context(internal=True, families=frozenset(BOTH), as_sets=True)
    while True:
        update = decode(await raw.expect(MessageType.UPDATE), context, AttributeTable())
        for reach in update.announced:
            if reach.family is family and octets in reach.prefixes:
                return reach.attributes
        if any(part.family is family and octets in part.prefixes for part in update.withdrawn):
            return None


# --- values ---------------------------------------------------------------------------------------------


async def test_attributes_are_plain_values() -> None:
    async with session() as (speaker, raw, peer):
        handle = speaker.announce(
            ip_network(NET),
            next_hop=IPv4Address("192.0.2.1"),
            origin="incomplete",
            as_path="65001 {65002,65003}",
            med=7,
            local_pref=200,
            atomic_aggregate=True,
            aggregator=(65009, "192.0.2.9"),
            communities=["65000:1", (65000, 2), 0xFDE80003, "no-export", "65000:1"],
            extended_communities=["rt:65000:1", bytes.fromhex("0002fde800000002")],
            large_communities=["65000:1:2", (65000, 3, 4)],
            aigp=12,
        )
        await asyncio.wait_for(handle.advertised_to(peer), TIMEOUT)
        told = await tells(raw, NET)
        assert told is not None
        assert (told.origin, told.med, told.local_pref, told.next_hop) == (2, 7, 200, bytes((192, 0, 2, 1)))
        assert [community_text(each) for each in told.communities] == [
            "65000:1",
            "65000:2",
            "65000:3",
            "NO_EXPORT",
        ]
        assert [extended_text(each) for each in told.extended_communities] == ["rt:65000:1", "rt:65000:2"]
        assert told.large_communities == ((65000, 1, 2), (65000, 3, 4))
        assert told.atomic_aggregate and told.aggregator == (65009, IPv4Address("192.0.2.9"))
        assert handle.attributes.aigp == 12
        assert str(speaker.announce(IPv6Address("2001:db8::1"))) == "2001:db8::1/128"
        assert str(handle) == NET and "not active" not in repr(handle)


@pytest.mark.parametrize(
    ("prefix", "given", "words"),
    [
        ("198.51.100.1/24", {}, "prefix: 198.51.100.1/24 has host bits set"),
        ("nowhere", {}, "prefix: 'nowhere'"),
        (5, {}, "prefix: write a network"),
        ("224.0.0.0/24", {}, "multicast"),
        ("ff02::/16", {}, "multicast"),
        (NET, {"next_hop": "nowhere"}, "next_hop: .*nowhere"),
        (NET, {"next_hop": 7}, "next_hop: write an address, not 7"),
        (NET, {"next_hop": b"123"}, "next_hop: an address has 4, 16 or 32 octets, not 3"),
        (NET, {"next_hop": "127.0.0.1"}, "next_hop: 127.0.0.1 cannot be the address of a host"),
        (SIX, {"next_hop": "192.0.2.1"}, "next_hop: 192.0.2.1 cannot be the next hop of an ipv6-unicast"),
        (NET, {"origin": 3}, "origin: must be 0, 1 or 2"),
        (NET, {"origin": "bgp"}, "origin: must be"),
        (NET, {"origin": True}, "origin: must be"),
        (NET, {"as_path": "65001 x"}, "as_path: .*'x'"),
        (NET, {"as_path": [0]}, "as_path: AS 0"),
        (NET, {"as_path": [1 << 32]}, "as_path: must be a number"),
        (NET, {"as_path": 65001}, "as_path: must be a list of AS numbers"),
        (NET, {"as_path": [(9, (1,))]}, "as_path: must be a number"),
        (NET, {"med": -1}, "med: must be a number between 0 and 4294967295, not -1"),
        (NET, {"med": "5"}, "med: must be a number"),
        (NET, {"local_pref": 1 << 32}, "local_pref: must be"),
        (NET, {"aggregator": 5}, "aggregator: must be an AS number and"),
        (NET, {"aggregator": (5, "x")}, "aggregator: .*'x'"),
        (NET, {"communities": "65000:1"}, "communities: must be a list of communities, not '65000:1'"),
        (NET, {"communities": ["65000:70000"]}, "communities: '65000:70000' is no community"),
        (NET, {"communities": [(1, 2, 3)]}, r"communities: \(1, 2, 3\) is no community"),
        (NET, {"communities": [(1, 70000)]}, "communities: must be a number between 0 and 65535"),
        (NET, {"communities": [-1]}, "communities: must be"),
        (NET, {"extended_communities": [b"123"]}, "extended_communities: b'123' is no extended community"),
        (NET, {"extended_communities": ["rt:1"]}, "extended_communities: 'rt:1' is no extended community"),
        (NET, {"large_communities": ["1:2"]}, "large_communities: '1:2' is no large community"),
        (NET, {"large_communities": [(1, 2)]}, r"large_communities: \(1, 2\) is no large community"),
        (NET, {"large_communities": [(1, 2, -3)]}, "large_communities: must be"),
        (NET, {"aigp": -1}, "aigp: must be"),
        (NET, {"condition": "always"}, "condition: 'always' is no condition"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    prefix: object, given: dict[str, object], words: str
) -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        with pytest.raises(ValueError, match=words):
            speaker.announce(prefix, **given)  # type: ignore[arg-type]
        handle = speaker.announce(NET, med=1)
        if prefix == NET and "condition" not in given:
            with pytest.raises(ValueError, match=words):
                handle.replace(**given)  # type: ignore[arg-type]
        assert handle.attributes.med == 1
        assert list(speaker.best(IPV4_UNICAST) | speaker.best(IPV6_UNICAST)) == [NET]
        with pytest.raises(TypeError, match="colour: no such attribute; there are aggregator"):
            speaker.announce(NET, colour=1)  # type: ignore[call-arg]


async def test_replace_changes_what_is_named_and_nothing_else() -> None:
    async with session() as (speaker, raw, peer):
        handle = speaker.announce(NET, next_hop="192.0.2.1", med=7, communities=[1], as_path=[65001])
        await asyncio.wait_for(handle.advertised_to(peer), TIMEOUT)
        assert await tells(raw, NET) is not None
        handle.replace(med=None, communities=[2])
        assert handle.active and handle.attributes.communities == (2,)
        await asyncio.wait_for(handle.advertised_to(peer), TIMEOUT)
        told = await tells(raw, NET)
        assert told is not None
        assert (told.med, told.communities, told.neighbor_as) == (None, (2,), 65001)
        assert told.next_hop == bytes((192, 0, 2, 1))
        handle.replace(next_hop="192.0.2.2")
        assert (await tells(raw, NET)).next_hop == bytes((192, 0, 2, 2))  # type: ignore[union-attr]
        handle.withdraw()
        assert await tells(raw, NET) is None
        with pytest.raises(RuntimeError, match="not announced any more"):
            handle.replace(med=1)
        assert not handle.active and "not active" in repr(handle)


async def test_async_with_withdraws_and_a_former_handle_does_not() -> None:
    async with session() as (speaker, raw, _):
        async with speaker.announce(NET, next_hop="192.0.2.1") as handle:
            assert isinstance(handle, Announcement)
            assert await tells(raw, NET) is not None
            later = speaker.announce(NET, med=2)
        assert not handle.active and later.active
        assert list(speaker.best(IPV4_UNICAST)) == [NET]
        with pytest.raises(RuntimeError, match="stop"):
            async with later:
                raise RuntimeError("stop")
        assert not later.active
        await has_routes(speaker, IPV4_UNICAST)


async def test_blackhole() -> None:
    async with session() as (speaker, raw, peer):
        handle = speaker.blackhole("198.51.100.7/32", communities=["65000:1"], local_pref=50)
        await asyncio.wait_for(handle.advertised_to(peer), TIMEOUT)
        told = await tells(raw, "198.51.100.7/32")
        assert told is not None
        assert [community_text(each) for each in told.communities] == ["BLACKHOLE", "65000:1"]
        assert (told.next_hop, told.local_pref) == (bytes((192, 0, 2, 1)), 50)
        other = speaker.blackhole("2001:db8::7/128")
        assert other.attributes.next_hop == IPv6Address("100::1").packed
        named = speaker.blackhole("198.51.100.8/32", next_hop="192.0.2.66")
        assert named.attributes.next_hop == bytes((192, 0, 2, 66))
        with pytest.raises(ValueError, match="communities: must be a list"):
            speaker.blackhole("198.51.100.7/32", communities="65000:1")  # type: ignore[typeddict-item]
        with pytest.raises(ValueError, match="prefix:"):
            speaker.blackhole("198.51.100.7/24")


# --- advertised_to --------------------------------------------------------------------------------------


async def test_it_is_over_when_the_octets_are_with_the_kernel() -> None:
    """The peer reads nothing: a large table fills the socket, and what stands behind it is not told."""
    async with session(buffer=4096) as (speaker, raw, peer):
        link = peer.session
        assert link is not None and link._stream is not None
        first = speaker.announce(NET, med=1)
        await asyncio.wait_for(first.advertised_to(peer), TIMEOUT)
        sent = link._stream.sent
        assert sent == link._stream.sent and not link._stream.queued
        for number in range(60_000):
            speaker.announce(f"10.{number >> 8}.{number & 255}.0/24", med=number, as_path=[number + 1] * 20)
        last = speaker.announce("203.0.113.0/24")
        waiting = asyncio.create_task(last.advertised_to(peer))
        while not link._stream.queued:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        reading = asyncio.create_task(tells(raw, "203.0.113.0/24"))
        done, _ = await asyncio.wait({waiting, reading}, timeout=60, return_when=asyncio.ALL_COMPLETED)
        assert done == {waiting, reading}
        assert waiting.result() is None
        # What was told long ago is no reason to wait.
        await asyncio.wait_for(first.advertised_to(peer), TIMEOUT)
        assert len(speaker._host.waits) == 0 and speaker._host.turns.look is None


@pytest.mark.parametrize("seed", range(3))
async def test_never_before_the_octets_were_sent(seed: int) -> None:
    """Whatever the socket takes at a time: when it is over, the octets that it took hold the UPDATE."""
    async with session() as (speaker, _, peer):
        link = peer.session
        assert link is not None and link._stream is not None
        taken = bytearray()
        stream = link._stream

        class Socket:
            """Takes a few octets at a time, and remembers them."""

            def __init__(self, real: object) -> None:
                self.real = real
                self.calls = seed

            def send(self, octets: bytes) -> int:
                self.calls += 1
                if self.calls % 3 == 1:
                    raise BlockingIOError
                count = self.real.send(bytes(octets)[: 1 + 37 * (self.calls % 5)])  # type: ignore[attr-defined]
                taken.extend(bytes(octets)[:count])
                return int(count)

            def __getattr__(self, name: str) -> object:
                return getattr(self.real, name)

        stream._socket = Socket(stream._socket)  # type: ignore[assignment]
        stream._push = stream._socket.send
        handles = [
            speaker.announce(f"10.0.{number}.0/24", med=number, communities=range(1, 20 + number))
            for number in range(30)
        ]

        async def told(handle: Announcement) -> None:
            await handle.advertised_to(peer)
            assert handle.prefix in taken
            assert b"\x80\x04\x04" + handle.attributes.med.to_bytes(4, "big") in taken  # type: ignore[union-attr]

        link.write(b"\xff" * 16 + b"\x00\x13\x04")  # a KEEPALIVE overtakes
        await asyncio.wait_for(asyncio.gather(*map(told, handles)), TIMEOUT)
        assert len(taken) > HEADER_LENGTH * 30


async def test_many_peers_and_many_routes() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        peers, raws = [], []
        for number in range(2, 8):
            options = PeerOptions(
                asn=ASN,
                address=f"127.0.0.{number}",
                passive=True,
                advertisement_interval=0.2 if number == 7 else 0.0,
            )
            peers.append(speaker.add_peer(options))
            raws.append(await RawPeer.dial(speaker, f"127.0.0.{number}"))
            await raws[-1].establish()
        async with asyncio.timeout(TIMEOUT):
            for peer in peers:
                await peer.established()
            handles = [speaker.announce(f"10.0.{number}.0/24", next_hop="192.0.2.1") for number in range(200)]
            await asyncio.gather(*(one.advertised_to(peer) for one in handles for peer in peers))
            for handle in handles:
                handle.replace(med=5)
            await asyncio.gather(*(one.advertised_to(peer) for one in handles for peer in peers))
        for peer in peers:
            assert peer.member is not None and not peer.member.pending
        for raw in raws:
            while (told := await tells(raw, "10.0.199.0/24")) is None or told.med != 5:
                pass
            await raw.close()


async def test_it_says_at_once_why_not() -> None:
    async with session() as (speaker, _, peer):
        handle = speaker.announce(NET, communities=["no-advertise"])
        with pytest.raises(NotAdvertised, match="NO_ADVERTISE keeps it") as refused:
            await handle.advertised_to(peer)
        assert (refused.value.reason.name, refused.value.reason.section) == ("no-advertise", "RFC 1997")
        assert refused.value.peer == "127.0.0.2"
        assert refused.value.reason == speaker.explain_to(peer, NET).tellings[0].reason
        looked = speaker.announce(NET, condition=condition.exists("203.0.113.0/24"))
        with pytest.raises(NotAdvertised, match="condition does not hold"):
            await looked.advertised_to(peer)
        with pytest.raises(NotAdvertised, match="withdrawn") as gone:
            await handle.advertised_to(peer)
        assert gone.value.reason.name == "withdrawn"
        long = speaker.announce(NET, communities=range(1, 2000))
        with pytest.raises(NotAdvertised, match="does not fit") as too_long:
            await long.advertised_to(peer)
        assert too_long.value.reason.name == "too-long"


async def test_external_peer_without_policy_and_families_of_the_session() -> None:
    async with Speaker(asn=65001, router_id="10.0.0.9", listen=["127.0.0.1:0"]) as speaker:
        peer = speaker.add_peer(PeerOptions(asn=ASN, address="127.0.0.2", passive=True))
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            await asyncio.wait_for(peer.established(), TIMEOUT)
            for prefix, name in ((NET, "no-policy"), (SIX, "not-negotiated")):
                with pytest.raises(NotAdvertised) as refused:
                    await speaker.announce(prefix, next_hop="2001:db8::1").advertised_to(peer)
                assert refused.value.reason.name == name
            peer.set_policies(ACCEPT_ALL, ACCEPT_ALL)
            async with asyncio.timeout(TIMEOUT):
                await speaker.announce(NET, next_hop="192.0.2.1").advertised_to(peer)


async def test_a_better_path_prevents_it() -> None:
    async with (
        Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker,
        Speaker(asn=ASN, router_id="10.0.0.3") as other,
    ):
        host, port = speaker.listening[0]
        for address in ("127.0.0.2", "127.0.0.3"):
            speaker.add_peer(PeerOptions(asn=ASN, address=address, passive=True, client=True))
        there = other.add_peer(PeerOptions(asn=ASN, address=host, port=port, source_address="127.0.0.3"))
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            async with asyncio.timeout(TIMEOUT):
                await speaker.peers[0].established()
                await there.established()
                await other.announce(NET, next_hop="192.0.2.3", local_pref=500).advertised_to(there)
            await has_routes(speaker, IPV4_UNICAST, NET)
            handle = speaker.announce(NET, next_hop="192.0.2.1", local_pref=100)
            with pytest.raises(NotAdvertised, match="another path is better") as refused:
                await handle.advertised_to(speaker.peers[0])
            assert refused.value.reason.name == "not-selected"
            assert refused.value.reason.section == "RFC 4271 9.1.1"


async def test_the_session_ends_before() -> None:
    async with session(buffer=4096) as (speaker, raw, peer):
        for number in range(60_000):
            speaker.announce(f"10.{number >> 8}.{number & 255}.0/24", as_path=[number + 1] * 20)
        handle = speaker.announce("203.0.113.0/24")
        waiting = asyncio.create_task(handle.advertised_to(peer))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await raw.close()
        with pytest.raises(PeerDown, match=r"127.0.0.2: the session ended: .*c"):
            await asyncio.wait_for(waiting, TIMEOUT)
        with pytest.raises(PeerDown, match="not Established"):
            await handle.advertised_to(peer)
        assert issubclass(PeerDown, ConnectionError)


async def test_the_speaker_stops_before() -> None:
    async with session(buffer=4096) as (speaker, _, peer):
        for number in range(60_000):
            speaker.announce(f"10.{number >> 8}.{number & 255}.0/24", as_path=[number + 1] * 20)
        waiting = asyncio.create_task(speaker.announce("203.0.113.0/24").advertised_to(peer))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await speaker.stop(timeout=0.01)
        with pytest.raises(PeerDown, match="the session ended"):
            await waiting


async def test_withdrawn_while_waiting() -> None:
    async with session() as (speaker, _, peer):
        handle = speaker.announce(NET)
        waiting = asyncio.create_task(handle.advertised_to(peer))
        await asyncio.sleep(0)
        handle.withdraw()
        with pytest.raises(NotAdvertised, match="withdrawn"):
            await asyncio.wait_for(waiting, TIMEOUT)


async def test_who_is_canceled_leaves_nothing_behind() -> None:
    async with session() as (speaker, raw, peer):
        handle = speaker.announce(NET, next_hop="192.0.2.1")
        waiting = asyncio.create_task(handle.advertised_to(peer))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await tells(raw, NET) is not None
        assert len(speaker._host.waits) == 0 and speaker._host.turns.look is None
        await asyncio.wait_for(handle.advertised_to(peer), TIMEOUT)


# --- where it may be called from ------------------------------------------------------------------------
