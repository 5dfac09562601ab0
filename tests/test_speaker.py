"""Whole speakers on loopback: sessions come up, routes travel, and trouble stays where it is."""

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
from rawpeer import (
    BOTH,
    TIMEOUT,
    RawPeer,
    an_open,
    event_of,
    has_routes,
    messages_of,
    peer_state,
    wait_for,
)

import bgp
from bgp import (
    ACCEPT_ALL,
    IPV4_UNICAST,
    IPV6_UNICAST,
    AsExpected,
    AttributeTable,
    Connection,
    EventKind,
    Peer,
    PeerOptions,
    Speaker,
    State,
)
from bgp.aio.link import Link
from bgp.aio.sockopt import set_md5_key
from bgp.aio.stream import Stream
from bgp.iana import MessageType
from bgp.wire.framing import frame
from bgp.wire.message import Notification, RouteRefresh
from bgp.wire.update import Decoder

ASN = 65000


@contextlib.asynccontextmanager
async def reflector(
    *listen: str, range_: str | None = "127.0.0.0/8", limit: int = 100, **options: object
) -> AsyncIterator[Speaker]:
    """A route reflector that takes clients from a range."""
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=listen or ("127.0.0.1:0",)) as speaker:
        if range_ is not None:
            options = {"asn": ASN, "client": True, "families": BOTH, **options}
            speaker.add_listen_range(range_, PeerOptions(**options), limit=limit)
        yield speaker


def client_of(speaker: Speaker, client: Speaker, source: str | None, **options: object) -> Peer:
    """Let `client` dial the speaker's first address."""
    host, port = speaker.listening[0]
    given = {"asn": ASN, "families": BOTH, "connect_retry_time": 1.0, **options}
    return client.add_peer(PeerOptions(address=host, port=port, source_address=source, **given))


async def test_public_names() -> None:
    assert len(set(bgp.__all__)) == len(bgp.__all__)
    for name in bgp.__all__:
        assert getattr(bgp, name) is not None
    assert set(bgp.__all__) <= set(dir(bgp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bgp.nothing


@pytest.mark.parametrize(
    ("listen", "range_", "sources"),
    [("127.0.0.1:0", "127.0.0.0/8", ("127.0.0.2", "127.0.0.3")), ("[::1]:0", "::1/128", ("::1",))],
)
async def test_routes_through_a_reflector(listen: str, range_: str, sources: tuple[str, ...]) -> None:
    """Routes of both families travel from client to reflector to client, and go again."""
    async with (
        reflector(listen, range_=range_) as middle,
        Speaker(asn=ASN, router_id="10.0.0.2") as first,
        Speaker(asn=ASN, router_id="10.0.0.3") as second,
    ):
        speakers = (first, second)
        for speaker, source in zip(speakers, sources, strict=False):
            peer = client_of(middle, speaker, source)
            await asyncio.wait_for(peer.established(), TIMEOUT)
        route = first.announce("198.51.100.0/24", next_hop="192.0.2.1", med=7, communities=[0xFDE80001])
        first.announce("2001:db8:1::/48", next_hop="2001:db8::1")
        last = speakers[len(sources) - 1] if len(sources) > 1 else middle
        await has_routes(last, IPV4_UNICAST, "198.51.100.0/24")
        await has_routes(last, IPV6_UNICAST, "2001:db8:1::/48")
        attributes = last.best(IPV4_UNICAST)["198.51.100.0/24"].attributes
        assert attributes.next_hop == b"\xc0\x00\x02\x01"
        assert attributes.med == 7
        if last is not middle:
            assert attributes.originator_id == bytes((10, 0, 0, 2))
            assert attributes.cluster_list == bytes((10, 0, 0, 1))
            assert len(middle.advertised(middle.peers[1], IPV4_UNICAST)) == 1
            assert str(middle.explain("198.51.100.0/24")).startswith(
                "198.51.100.0/24: 1 path\n  from 127.0.0.2"
            )
            (told,) = middle.explain_to(middle.peers[1], "198.51.100.0/24").told
            assert told.attributes is not None and told.attributes.octets == attributes.octets
            rows = [row async for row in middle.walk(middle.router.rib.walk_best(IPV4_UNICAST))]
            assert rows == list(middle.router.rib.best(IPV4_UNICAST))
            (kept,) = middle.peers[0].explain("198.51.100.0/24")
            assert kept.reason is not None and kept.reason.name == "sender"
        assert [prefix for prefix, _ in middle.received(middle.peers[0], IPV4_UNICAST)] == ["198.51.100.0/24"]
        assert str(route) == "198.51.100.0/24"
        route.withdraw()
        route.withdraw()
        await has_routes(last, IPV4_UNICAST)
        first.withdraw("2001:db8:1::/48")
        await has_routes(last, IPV6_UNICAST)
        stranger = first.add_peer(PeerOptions(asn=ASN, address="127.0.0.9", passive=True))
        with pytest.raises(ValueError, match="its session is not Established"):
            stranger.explain("198.51.100.0/24")
        with pytest.raises(KeyError):
            first.withdraw("2001:db8:1::/48")


async def test_replaced_announcement_is_not_withdrawn_by_its_old_handle() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        old = speaker.announce("198.51.100.0/24", med=1)
        new = speaker.announce("198.51.100.0/24", med=2)
        old.withdraw()
        await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24")
        new.withdraw()
        await has_routes(speaker, IPV4_UNICAST)


async def test_external_session_with_policy() -> None:
    async with (
        Speaker(asn=65001, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as first,
        Speaker(asn=65002, router_id="10.0.0.2") as second,
    ):
        policies = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
        here = {IPV4_UNICAST: bytes((192, 0, 2, 7))}  # 127.0.0.1 is nobody's next hop
        first.add_peer(
            PeerOptions(
                address="127.0.0.2", asn=AsExpected.EXTERNAL, passive=True, next_hops=here, **policies
            )
        )
        peer = client_of(first, second, "127.0.0.2", asn=65001, multihop=2, **policies)
        await asyncio.wait_for(peer.established(), TIMEOUT)
        link = first.peers[0].connections[0]
        assert link._stream is not None
        assert link._stream.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1
        first.announce("198.51.100.0/24")
        await has_routes(second, IPV4_UNICAST, "198.51.100.0/24")
        path = second.best(IPV4_UNICAST)["198.51.100.0/24"]
        assert path.attributes.neighbor_as == 65001
        assert path.attributes.next_hop == bytes((192, 0, 2, 7))


@pytest.mark.parametrize("higher", ["first", "second"])
async def test_both_sides_dial_and_listen(higher: str) -> None:
    """Connections that cross end in exactly one session, whichever side has the higher identifier."""
    identifiers = ("10.0.0.9", "10.0.0.1") if higher == "first" else ("10.0.0.1", "10.0.0.9")
    async with (
        Speaker(asn=ASN, router_id=identifiers[0], listen=["127.0.0.1:0"]) as first,
        Speaker(asn=ASN, router_id=identifiers[1], listen=["127.0.0.2:0"]) as second,
    ):
        for _ in range(5):
            one = client_of(second, first, "127.0.0.1", idle_hold_time=0.05)
            other = client_of(first, second, "127.0.0.2", idle_hold_time=0.05)
            async with asyncio.timeout(TIMEOUT):
                await one.established()
                await other.established()
            route = first.announce("198.51.100.0/24", next_hop="192.0.2.1")
            await has_routes(second, IPV4_UNICAST, "198.51.100.0/24")
            for peer in (one, other):
                assert sum(link.state == State.ESTABLISHED for link in peer.connections) == 1
            assert one.times_established <= 2
            route.withdraw()
            await first.remove_peer(one)
            await second.remove_peer(other)


async def test_killed_client_that_dials_again_is_back_within_a_second() -> None:
    """A connection that never closes is replaced by the client's next one."""
    async with reflector() as middle:
        dead = await RawPeer.dial(middle)
        await dead.establish()
        peer = middle.peers[0]
        await asyncio.wait_for(peer.established(), TIMEOUT)
        await dead.send(frame(MessageType.UPDATE, AN_UPDATE))
        await has_routes(middle, IPV4_UNICAST, "198.51.100.0/24")
        start = asyncio.get_running_loop().time()
        async with await RawPeer.dial(middle) as again:
            await again.establish()
            await peer_up_times(middle, peer, 2)
            assert asyncio.get_running_loop().time() - start < 1.0
            assert middle.peers == (peer,)
            notification = await dead.notification()
            assert (notification.code, notification.subcode) == (6, 7)
            await has_routes(middle, IPV4_UNICAST)  # what the dead one said is gone
            await dead.close()


async def test_without_the_option_the_established_session_wins() -> None:
    async with reflector(replace_established=False) as middle, await RawPeer.dial(middle) as alive:
        await alive.establish()
        await asyncio.wait_for(middle.peers[0].established(), TIMEOUT)
        async with await RawPeer.dial(middle) as again:
            await again.send(an_open())
            await again.expect(MessageType.OPEN)
            notification = await again.notification()
            assert (notification.code, notification.subcode) == (6, 7)
        assert middle.peers[0].state == State.ESTABLISHED
        assert middle.peers[0].times_established == 1


async def test_a_client_that_dials_before_it_says_anything_is_not_stuck() -> None:
    """Of connections without an OPEN only the newest is kept."""
    async with reflector() as middle:
        silent = [await RawPeer.dial(middle) for _ in range(3)]
        async with await RawPeer.dial(middle) as last:
            await last.establish()
            await asyncio.wait_for(middle.peers[0].established(), TIMEOUT)
            for connection in silent:
                assert messages_of(await connection.rest(), MessageType.NOTIFICATION)
                await connection.close()
            assert len(middle.peers[0].connections) == 1


async def test_unknown_address_is_closed_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with reflector(range_="127.0.1.0/24") as middle:
        for _ in range(5):
            async with await RawPeer.dial(middle, "127.0.0.66") as stranger:
                assert await stranger.rest() == []
        async with await RawPeer.dial(middle, "127.0.0.67") as stranger:
            assert await stranger.rest() == []
        assert middle.refusals.total == 6
        assert middle.listeners[0].refused == 6
        assert caplog.text.count("127.0.0.66") == 1
        assert caplog.text.count("127.0.0.67") == 1
        assert middle.peers == ()


GARBAGE = [
    (b"GET / HTTP/1.0\r\nHost: example.net\r\n\r\n", (1, 1)),
    (b"\xff" * 16 + b"\x00\x12\x04", (1, 2)),
    (b"\xff" * 16 + b"\xff\xff\x02", (1, 2)),
    (b"\xff" * 16 + b"\x00\x13\x63", (1, 3)),
    (frame(MessageType.KEEPALIVE, b""), (5, 1)),
    (frame(MessageType.UPDATE, bytes(4)), (5, 1)),
]
AN_UPDATE = bytes.fromhex(
    "0000 001b 40010100 400200 400304c0000201 400504 00000064 18c63364".replace(" ", "")
)
AN_UPDATE = AN_UPDATE[:2] + (len(AN_UPDATE) - 8).to_bytes(2, "big") + AN_UPDATE[4:]


async def test_bad_input_gets_its_answer_and_others_do_not_notice() -> None:
    async with reflector() as middle, await RawPeer.dial(middle, "127.0.0.3") as good:
        await good.establish()
        await asyncio.wait_for(middle.peers[0].established(), TIMEOUT)
        for octets, answer in GARBAGE:
            async with await RawPeer.dial(middle) as bad:
                await bad.expect(MessageType.OPEN)
                await bad.send(octets)
                notification = await bad.notification()
                assert (notification.code, notification.subcode) == answer
                assert await bad.receive() is None
        async with await RawPeer.dial(middle) as bad:
            await bad.establish()
            await bad.send(an_open())  # a second OPEN
            notification = await bad.notification()
            assert (notification.code, notification.subcode) == (5, 3)
        good_peer = middle.peers[0]
        assert good_peer.state == State.ESTABLISHED
        assert good_peer.times_established == 1
        await good.send(frame(MessageType.UPDATE, AN_UPDATE))
        await has_routes(middle, IPV4_UNICAST, "198.51.100.0/24")
        await only_peers(middle, "127.0.0.3")


async def test_half_a_header_for_ever_is_ended_by_the_open_hold_timer() -> None:
    async with reflector(open_hold_time=0.2) as middle, await RawPeer.dial(middle) as slow:
        await slow.expect(MessageType.OPEN)
        await slow.send(b"\xff" * 10)
        notification = await slow.notification()
        assert (notification.code, notification.subcode) == (4, 0)
        assert await slow.receive() is None
        await slow.close()
        await only_peers(middle)


async def test_keepalive_flood_delays_nobody() -> None:
    async with reflector() as middle, await RawPeer.dial(middle) as flood:
        await flood.establish()
        flooding = asyncio.create_task(flood.send(*[frame(MessageType.KEEPALIVE, b"") * 10_000] * 20))
        async with await RawPeer.dial(middle, "127.0.0.3") as good:
            await good.establish()
            await good.send(frame(MessageType.UPDATE, AN_UPDATE))
            await has_routes(middle, IPV4_UNICAST, "198.51.100.0/24")
        await asyncio.wait_for(flooding, TIMEOUT)
        flooder = next(peer for peer in middle.peers if peer.name == "127.0.0.2")
        assert flooder.state == State.ESTABLISHED


async def test_listen_range_limit_and_its_end() -> None:
    async with reflector(limit=2) as middle:
        first, second = await RawPeer.dial(middle, "127.0.0.2"), await RawPeer.dial(middle, "127.0.0.3")
        for raw in (first, second):
            await raw.establish()
        for peer in middle.peers:
            await asyncio.wait_for(peer.established(), TIMEOUT)
        async with await RawPeer.dial(middle, "127.0.0.4") as third:
            assert await third.rest() == []
        assert middle.refusals.total == 1
        (listen_range,) = middle.listen_ranges
        assert len(listen_range.peers) == 2
        await first.close()
        await only_peers(middle, "127.0.0.3")
        async with await RawPeer.dial(middle, "127.0.0.4") as third:
            await third.establish()
            await asyncio.wait_for(middle.peers[1].established(), TIMEOUT)
            ending = asyncio.create_task(middle.remove_listen_range(listen_range, "enough"))
            assert (await third.notification()).communication == "enough"
            await third.close()
            await second.close()
            await asyncio.wait_for(ending, TIMEOUT)
        assert middle.peers == ()
        assert middle.listen_ranges == ()
        async with await RawPeer.dial(middle, "127.0.0.2") as late:
            assert await late.rest() == []


async def test_most_specific_range_counts_and_configured_peers_before_it() -> None:
    async with reflector() as middle:
        middle.add_listen_range("127.0.0.0/24", PeerOptions(asn=65001, hold_time=30))
        middle.add_peer(PeerOptions(address="127.0.0.9", asn=65009, hold_time=60, passive=True))
        for source, hold_time in (("127.0.0.2", 30), ("127.0.0.9", 60), ("127.0.1.2", 90)):
            async with await RawPeer.dial(middle, source) as peer:
                body = await peer.expect(MessageType.OPEN)
                assert int.from_bytes(body[3:5], "big") == hold_time


async def test_peer_is_known_by_both_addresses() -> None:
    """Two peers may share an address if they come to different ones of ours."""
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["0.0.0.0:0"]) as speaker:
        for source, hold_time in (("127.0.0.1", 30), ("127.0.0.8", 60)):
            speaker.add_peer(
                PeerOptions(
                    address="127.0.0.2", source_address=source, asn=ASN, hold_time=hold_time, passive=True
                )
            )
        for target, hold_time in (("127.0.0.1", 30), ("127.0.0.8", 60)):
            reader, writer = await asyncio.open_connection(
                target, speaker.listening[0][1], local_addr=("127.0.0.2", 0)
            )
            body = await RawPeer(reader, writer).expect(MessageType.OPEN)
            assert int.from_bytes(body[3:5], "big") == hold_time
            writer.close()
        async with await RawPeer.dial(Proxy("127.0.0.7", speaker.listening[0][1])) as stranger:
            assert await stranger.rest() == []


class Proxy:
    """Something to dial."""

    def __init__(self, host: str, port: int) -> None:
        self.listening = [(host, port)]


async def test_remove_tells_the_peer_why() -> None:
    async with reflector() as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        peer = client_of(middle, client, "127.0.0.2")
        await asyncio.wait_for(peer.established(), TIMEOUT)
        await peer_up_times(middle, middle.peers[0], 1)
        await middle.remove_peer(middle.peers[0], "maintenance until noon")
        assert middle.peers == ()
        await peer_state(client, peer, State.IDLE)
        assert "maintenance until noon" in peer.last_error
        assert peer.last_error_at is not None


async def test_removed_configured_peer_is_unknown_and_waiters_learn_it() -> None:
    async with reflector(range_=None) as middle:
        peer = middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
        waiting = asyncio.create_task(peer.established())
        async with await RawPeer.dial(middle) as raw:
            await raw.expect(MessageType.OPEN)
            removing = asyncio.create_task(middle.remove_peer(peer))
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (6, 3)
            await raw.close()
            await asyncio.wait_for(removing, TIMEOUT)
        with pytest.raises(ConnectionError, match="removed"):
            await asyncio.wait_for(waiting, TIMEOUT)
        async with await RawPeer.dial(middle) as raw:
            assert await raw.rest() == []


async def test_stop_start_and_reset() -> None:
    async with reflector() as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        peer = client_of(middle, client, "127.0.0.2", idle_hold_time=0.05)
        await asyncio.wait_for(peer.established(), TIMEOUT)
        peer.stop("back soon")
        assert peer.state == State.IDLE
        assert not peer.is_running
        await only_peers(middle)
        peer.start()
        await asyncio.wait_for(peer.established(), TIMEOUT)
        peer.reset("again")
        assert peer.state == State.IDLE
        await peer_up_times(client, peer, 3)
        assert peer.traffic.sent[MessageType.NOTIFICATION] == 2


async def test_stopped_peer_refuses_connections() -> None:
    async with reflector(range_=None) as middle:
        peer = middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
        assert peer.state == State.ACTIVE
        peer.stop()
        assert peer.state == State.IDLE
        async with await RawPeer.dial(middle) as raw:
            assert await raw.rest() == []


async def test_leaving_the_speaker_says_cease_to_all() -> None:
    async with reflector() as middle:
        async with await RawPeer.dial(middle) as one, await RawPeer.dial(middle, "127.0.0.3") as other:
            await one.establish()
            await other.expect(MessageType.OPEN)
            stopping = asyncio.create_task(middle.stop("the end"))
            for raw in (one, other):
                notification = await raw.notification()
                assert (notification.code, notification.subcode) == (6, 2)
                assert notification.communication == "the end"
                await raw.close()
            await asyncio.wait_for(stopping, TIMEOUT)
        assert middle.listening == ()


@pytest.mark.parametrize("password", ["secret", b"\x00\xffbinary"])
async def test_password_of_a_peer(password: str | bytes) -> None:
    async with reflector(range_=None) as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        middle.add_peer(
            PeerOptions(address="127.0.0.2", asn=ASN, passive=True, families=BOTH, password=password)
        )
        wrong = client_of(middle, client, "127.0.0.2", password="wrong", connect_retry_time=0.2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wrong.established(), 0.5)
        assert not middle.peers[0].connections
        await client.remove_peer(wrong)
        right = client_of(middle, client, "127.0.0.2", password=password)
        await asyncio.wait_for(right.established(), TIMEOUT)


async def test_password_of_a_listen_range() -> None:
    async with (
        reflector(range_="127.0.1.0/24", password="secret") as middle,
        Speaker(asn=ASN, router_id="10.0.0.2") as client,
    ):
        peer = client_of(middle, client, "127.0.1.2", password="secret")
        await asyncio.wait_for(peer.established(), TIMEOUT)
        host, port = middle.listening[0]
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.bind(("127.0.1.3", 0))
            set_md5_key(sock, ip_network("127.0.0.1/32"), b"wrong")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (host, port)), 0.3)


async def test_one_address_cannot_have_two_passwords() -> None:
    async with reflector(range_=None) as middle:
        middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, password="one"))
        with pytest.raises(ValueError, match="different"):
            middle.add_peer(
                PeerOptions(
                    address="127.0.0.2", source_address="127.0.0.1", asn=ASN, passive=True, password="two"
                )
            )
        assert len(middle.peers) == 1


async def test_slow_reader_delays_nobody() -> None:
    """A client that does not read costs others nothing, and gets what it missed when it reads again."""
    prefixes = [f"10.{i // 256}.{i % 256}.0/24" for i in range(20_000)]
    async with reflector() as middle:
        slow = await RawPeer.dial(middle, "127.0.0.3", buffer=4096)
        await slow.establish()
        await peer_up_times(middle, middle.peers[0], 1)
        slow_peer = middle.peers[0]
        async with (
            Speaker(asn=ASN, router_id="10.0.0.4") as fast,
            Speaker(asn=ASN, router_id="10.0.0.5") as source,
        ):
            for client, address in ((fast, "127.0.0.4"), (source, "127.0.0.5")):
                await asyncio.wait_for(client_of(middle, client, address).established(), TIMEOUT)
            for number, prefix in enumerate(prefixes):
                source.announce(prefix, next_hop="192.0.2.1", med=number // 8)
            await has_routes(fast, IPV4_UNICAST, *prefixes)
            assert slow_peer.state == State.ESTABLISHED
            (link,) = slow_peer.connections
            assert link._stream is not None
            assert 0 < link._stream.queued <= 2 * 65536
            decoder = Decoder(slow_peer.negotiated.context(), AttributeTable())
            seen: set[bytes] = set()
            while len(seen) < len(prefixes):
                update = decoder.decode(await slow.expect(MessageType.UPDATE))
                seen.update(prefix for reach in update.announced for prefix in reach.prefixes)
        await slow.close()


async def test_bug_in_the_router_ends_one_session_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with reflector() as middle:
        good, bad = await RawPeer.dial(middle, "127.0.0.3"), await RawPeer.dial(middle, "127.0.0.4")
        for raw in (good, bad):
            await raw.establish()
        good_peer, bad_peer = middle.peers
        for peer in middle.peers:
            await peer_up_times(middle, peer, 1)
        original = middle.router.update

        def update(member: object, message: object) -> None:
            if member is bad_peer.member:
                raise RuntimeError("a bug")
            original(member, message)

        monkeypatch.setattr(middle.router, "update", update)
        await bad.send(frame(MessageType.UPDATE, AN_UPDATE) * 3)
        notification = await bad.notification()
        assert (notification.code, notification.subcode) == (6, 8)
        assert caplog.text.count("internal error on") == 1
        await good.send(frame(MessageType.UPDATE, AN_UPDATE))
        await has_routes(middle, IPV4_UNICAST, "198.51.100.0/24")
        assert good_peer.state == State.ESTABLISHED
        assert bad_peer.traffic.crashes == 1
        await good.close()
        await bad.close()
        await only_peers(middle)


async def test_bug_in_pull_or_flush_is_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reflector() as middle:
        raw = await RawPeer.dial(middle)
        await raw.establish()
        await peer_up_times(middle, middle.peers[0], 1)

        def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(middle.router, "flush", broken)
            middle.announce("198.51.100.0/24", next_hop="192.0.2.1")
            async with asyncio.timeout(TIMEOUT):
                while not middle._host.turns.failures:
                    await asyncio.sleep(0)
        with monkeypatch.context() as patch:
            patch.setattr(middle.router, "pull", broken)
            patch.setattr(middle.router, "share", lambda limit: ())
            middle.announce("198.51.101.0/24", next_hop="192.0.2.1")
            notifications = messages_of(await raw.rest(), MessageType.NOTIFICATION)
            assert [body[:2] for body in notifications] == [b"\x06\x08"]
        await raw.close()
        async with await RawPeer.dial(middle) as again:
            await again.establish()
            assert await again.expect(MessageType.UPDATE)


async def test_bug_in_sharing_ends_that_session_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was to be told to many alike and did not get out would be missing for ever."""
    async with reflector() as middle:
        raws = [await RawPeer.dial(middle, f"127.0.0.{last}") for last in (2, 3)]
        for count, raw in enumerate(raws, 1):
            await raw.establish()
            await peer_up_times(middle, middle.peers[count - 1], 1)
        middle.announce("198.51.100.0/24", next_hop="192.0.2.1")
        for raw in raws:
            assert await raw.expect(MessageType.UPDATE)
        async with asyncio.timeout(TIMEOUT):
            while not all(member.taker for member in middle.router.members.values()):
                await asyncio.sleep(0)
        first = next(iter(middle.router.members.values())).taker

        def broken(stream: Stream, octets: bytes, now: float) -> None:
            if stream is first:
                raise RuntimeError("a bug")
            stream.write((octets,))

        monkeypatch.setattr(Stream, "take", broken)
        middle.announce("198.51.101.0/24", next_hop="192.0.2.1")
        assert await raws[1].expect(MessageType.UPDATE)
        await raws[0].rest()
        assert middle._host.turns.failures == 1
        for raw in raws:
            await raw.close()


async def test_bug_in_the_fsm_starts_the_dialer_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reflector() as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        peer = client_of(middle, client, "127.0.0.2", idle_hold_time=0.05)
        await asyncio.wait_for(peer.established(), TIMEOUT)
        (link,) = peer.connections

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(type(link.connection), "tick", broken)
        link._timer.cancel()
        link._timer = None
        monkeypatch.setattr(type(link.connection), "deadline", 0.0)
        link._fire()
        monkeypatch.undo()
        assert link not in peer.connections
        assert "a bug" in peer.last_error
        await peer_up_times(client, peer, 2)
        assert peer.traffic.crashes == 1


async def test_bug_in_a_callback_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: object) -> None:
        raise RuntimeError("a bug of the user")

    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"], on_event=broken) as middle:
        peer = middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await asyncio.wait_for(peer.established(), TIMEOUT)
    assert "a bug of the user" in caplog.text


async def test_events_tell_the_life_of_a_peer() -> None:
    heard = []
    async with reflector(range_=None) as middle:
        with middle.events() as events:
            peer = middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True))
            async with await RawPeer.dial(middle) as raw:
                await raw.establish()
                await asyncio.wait_for(peer.established(), TIMEOUT)
                await raw.send(Notification(6, 4))
                await raw.rest()
            await middle.remove_peer(peer)
            async for event in events:
                assert event.peer is peer
                heard.append((event.kind, event.state))
                if event.kind == EventKind.REMOVED:
                    break
    assert heard == [
        (EventKind.ADDED, None),
        (EventKind.STATE, State.ACTIVE),
        (EventKind.STATE, State.OPEN_SENT),
        (EventKind.STATE, State.OPEN_CONFIRM),
        (EventKind.STATE, State.ESTABLISHED),
        (EventKind.DOWN, State.ESTABLISHED),
        (EventKind.STATE, State.ACTIVE),
        (EventKind.STATE, State.IDLE),
        (EventKind.REMOVED, None),
    ]


async def test_slow_listener_of_events_is_told_what_it_lost() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        with speaker.events(limit=3) as events:
            for number in range(2, 7):
                speaker.add_peer(PeerOptions(address=f"127.0.0.{number}", asn=ASN, passive=True))
            first = await anext(events)
            assert (first.kind, first.lost) == (EventKind.LAGGED, 7)
            rest = [await anext(events) for _ in range(3)]
            assert rest[-1].state == State.ACTIVE
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_events_end_with_the_speaker() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        events = speaker.events()
    assert [event async for event in events] == []


async def test_two_peers_with_one_identifier_raise_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    async with reflector() as middle:
        alarms = asyncio.create_task(event_of(middle, lambda event: event.kind == EventKind.ALARM))
        async with await RawPeer.dial(middle) as one, await RawPeer.dial(middle, "127.0.0.3") as other:
            await one.establish(an_open(families=(IPV4_UNICAST,)))
            await peer_up_times(middle, middle.peers[0], 1)
            await other.establish(an_open(families=(IPV6_UNICAST,)))
            await peer_up_times(middle, middle.peers[1], 1)
            assert not alarms.done()  # one router may well have a session for each family
            async with await RawPeer.dial(middle, "127.0.0.4") as third:
                await third.establish(an_open(families=(IPV4_UNICAST,)))
                event = await alarms
                assert event.peer is not None
                assert event.peer.name == "127.0.0.4"
                assert event.text == (
                    "its BGP Identifier 10.0.0.2 is also that of 127.0.0.2 in AS 65000, "
                    "where it must be unique (RFC 6286 2.1)"
                )
                assert caplog.text.count("its BGP Identifier") == 1


async def test_an_open_that_is_refused_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A program that waits for `established()` would else wait for ever without a word."""
    async with reflector() as middle, Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        address, port = middle.listening[0]
        options = PeerOptions(asn=ASN, address=address, port=port, connect_retry_time=0.1, idle_hold_time=0.1)
        peer = speaker.add_peer(options)
        refused = 0
        events = speaker.events()
        async with asyncio.timeout(TIMEOUT):
            while refused < 3:
                event = await anext(events)
                refused += event.kind == EventKind.DOWN and "bad-bgp-identifier" in event.text
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and record.getMessage().startswith(f"{peer.name}: ")
    ]
    assert warnings
    assert all("open-message-error/bad-bgp-identifier" in text for text in warnings)
    assert len(set(warnings)) == len(warnings)


async def test_address_in_use_is_named() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as first:
        port = first.listening[0][1]
        second = Speaker(asn=ASN, router_id="10.0.0.2", listen=["127.0.0.2:0", f"127.0.0.1:{port}"])
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            await second.start()
        assert second.listening == ()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"address": "nowhere"}, "address"),
        ({"address": "127.0.0.2", "port": 0}, "port"),
        ({"address": "127.0.0.2", "source_address": "::1"}, "family"),
        ({"address": "127.0.0.2", "source_address": "x"}, "source_address"),
        ({"address": "127.0.0.2", "hold_time": 2}, "hold_time"),
        ({"address": "127.0.0.2", "ttl": 300}, "ttl"),
        ({"address": "127.0.0.2", "ttl": 3, "multihop": 3}, "multihop"),
        ({"address": "127.0.0.2", "password": "x" * 81}, "password"),
        ({"address": "127.0.0.2", "password": ""}, "password"),
        ({"address": ""}, "address"),
        ({"address": "127.0.0.9"}, "already"),
        ({"address": "127.0.0.8", "name": "here"}, "already"),
    ],
)
async def test_bad_options_are_refused_before_anything_happens(options: dict[str, object], text: str) -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        speaker.add_peer(PeerOptions(address="127.0.0.9", asn=ASN, passive=True, name="here"))
        with pytest.raises(ValueError, match=text):
            speaker.add_peer(PeerOptions(asn=ASN, passive=True, **options))
        assert len(speaker.peers) == 1


async def test_bad_listen_ranges_are_refused() -> None:
    async with reflector() as middle:
        for prefix, options, text in (
            ("127.0.0.0/8", {}, "already"),
            ("127.0.0.1/8", {}, "host bits"),
            ("10.0.0.0/8", {"address": "10.0.0.1"}, "empty"),
            ("10.0.0.0/8", {"hold_time": 1}, "hold_time"),
        ):
            with pytest.raises(ValueError, match=text):
                middle.add_listen_range(prefix, PeerOptions(asn=ASN, **options))
        assert len(middle.listen_ranges) == 1


async def test_lag_is_measured() -> None:
    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        lag = speaker.measure_lag(0.001)
        assert lag is not None
        async with asyncio.timeout(TIMEOUT):
            while lag.samples < 10:
                await asyncio.sleep(0)
        assert 0 <= lag.percentile(0.5) <= lag.maximum
    assert lag is not None
    lag.reset()
    for late in (0.0, 0.0003, 0.05, 9.0):
        lag.record(late)
    assert lag.percentile(0.25) == pytest.approx(0.0001)
    assert 0.0003 <= lag.percentile(0.5) <= 0.0006
    assert lag.percentile(1.0) == lag.maximum == 9.0


async def peer_up_times(speaker: Speaker, peer: Peer, times: int) -> None:
    """Wait until the peer has been Established so often, and is."""
    async with asyncio.timeout(TIMEOUT):
        with speaker.events() as events:
            while peer.times_established < times or peer.state != State.ESTABLISHED:
                await anext(events)


async def only_peers(speaker: Speaker, *names: str) -> None:
    """Wait until these are all the peers there are."""
    async with asyncio.timeout(TIMEOUT):
        with speaker.events() as events:
            while {peer.name for peer in speaker.peers} != set(names):
                await anext(events)


async def test_route_refresh_is_answered_with_all_routes() -> None:
    async with reflector() as middle, await RawPeer.dial(middle) as raw:
        middle.announce("198.51.100.0/24", next_hop="192.0.2.1")
        await raw.establish()
        first = await raw.expect(MessageType.UPDATE)
        assert first.endswith(b"\x18\xc6\x33\x64")
        await raw.send(RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi))
        while (again := await raw.expect(MessageType.UPDATE)) != first:
            assert len(again) <= 11  # an End-of-RIB
        monkeypatched = middle.router.refresh
        try:
            middle.router.refresh = broken
            await raw.send(RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi))
            assert (await raw.notification()).subcode == 8
        finally:
            middle.router.refresh = monkeypatched


def broken(*_: object) -> None:
    raise RuntimeError("a bug")


async def test_bug_when_a_session_comes_up_or_goes_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with reflector() as middle:
        with monkeypatch.context() as patch:
            patch.setattr(middle.router, "up", broken)
            async with await RawPeer.dial(middle) as raw:
                await raw.establish()
                assert (await raw.notification()).subcode == 8
        await only_peers(middle)
        with monkeypatch.context() as patch:
            patch.setattr(middle.router, "down", broken)
            async with await RawPeer.dial(middle, "127.0.0.3") as raw:
                await raw.establish()
                await peer_up_times(middle, middle.peers[0], 1)
            await only_peers(middle)
        assert "failed to take a peer down" in caplog.text
        async with await RawPeer.dial(middle, "127.0.0.4") as raw:
            await raw.establish()
            await peer_up_times(middle, middle.peers[0], 1)


async def test_connection_that_cannot_be_taken_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reflector(ttl=9) as middle:

        def gone(*_: object) -> None:
            raise OSError(22, "Invalid argument")

        with monkeypatch.context() as patch:
            patch.setattr("bgp.aio.sockopt.set_ttl", gone)
            async with await RawPeer.dial(middle) as raw:
                assert await raw.rest() == []
        assert middle.peers == ()
        assert middle.refusals.total == 1
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()


async def test_password_that_the_kernel_refuses_adds_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reflector(range_=None) as middle:

        def refuse(*_: object) -> None:
            raise OSError(92, "Protocol not available")

        monkeypatch.setattr("bgp.aio.signing.set_md5_key", refuse)
        with pytest.raises(OSError, match="not available"):
            middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, password="x"))
        with pytest.raises(OSError, match="not available"):
            middle.add_listen_range("127.0.1.0/24", PeerOptions(asn=ASN, password="x"))
        assert middle.peers == ()
        assert middle.listen_ranges == ()
        monkeypatch.undo()
        middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, password="x"))


async def test_connections_leave_nothing_behind() -> None:
    """Without the cyclic collector, as the service runs: all of a connection goes with it."""
    kinds = (Link, Stream, Connection, Peer)

    def alive() -> dict[str, int]:
        found = [type(item) for item in gc.get_objects()]
        return {kind.__name__: found.count(kind) for kind in kinds}

    async with reflector() as middle:
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for number in range(20):
                async with await RawPeer.dial(middle) as raw:
                    if number % 2:
                        await raw.establish()
                        await peer_up_times(middle, middle.peers[0], 1)
                    else:
                        await raw.expect(MessageType.OPEN)
                        await raw.send(b"garbage, and more than a header of it")
                        await raw.rest()
                await only_peers(middle)
            await asyncio.wait_for(middle._host.drained(TIMEOUT), TIMEOUT)
            await asyncio.sleep(0)
            after = alive()
        finally:
            gc.enable()
        assert all(after[name] <= before[name] + 1 for name in after), (before, after)


async def test_updates_are_counted_one_by_one() -> None:
    """What the router hands over are octets of several messages; the peer counts as many as we do."""
    async with (
        reflector() as middle,
        Speaker(asn=ASN, router_id="10.0.0.2") as first,
        Speaker(asn=ASN, router_id="10.0.0.3") as second,
    ):
        for number in range(50):
            first.announce(f"10.{number}.0.0/16", next_hop="192.0.2.2", med=number)
        client_of(middle, first, "127.0.0.2")
        listening = client_of(middle, second, "127.0.0.3")
        await has_routes(second, IPV4_UNICAST, *(f"10.{number}.0.0/16" for number in range(50)))
        telling = next(peer for peer in middle.peers if peer.name == "127.0.0.3")
        heard = listening.traffic.received[MessageType.UPDATE]
        assert telling.traffic.sent[MessageType.UPDATE] >= heard >= 50
        await middle.remove_peer(telling)
        # Each route has a MED of its own, and there are two End-of-RIBs.
        assert telling.traffic.sent[MessageType.UPDATE] == 52


async def test_begin_and_end_of_a_refresh_are_counted() -> None:
    async with reflector() as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        asking = client_of(middle, client, "127.0.0.2")
        await asyncio.wait_for(asking.established(), TIMEOUT)
        (telling,) = middle.peers
        assert asking.request_refresh(IPV4_UNICAST)
        with client.events() as events:
            await wait_for(lambda: asking.traffic.received[MessageType.ROUTE_REFRESH] == 2, events.__anext__)
        await middle.remove_peer(telling)
        assert telling.traffic.sent[MessageType.ROUTE_REFRESH] == 2
        assert telling.traffic.received[MessageType.ROUTE_REFRESH] == 1
        assert asking.traffic.sent[MessageType.ROUTE_REFRESH] == 1
