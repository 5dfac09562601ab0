"""Peers and their links: timers, dialing, what ends a session, and what is seen of it.

Waiting takes no time here: sockets are real, but the loop's clock jumps.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Any

import pytest
import rawpeer
from jumpingloop import run
from rawpeer import BOTH, RawPeer, an_open, has_routes, messages_of

from bgp import IPV4_UNICAST, IPV6_UNICAST, AsExpected, EventKind, Peer, PeerOptions, Speaker, State
from bgp.aio import interfaces
from bgp.aio.options import PeerOptions as Options
from bgp.aio.traffic import Traffic
from bgp.iana import MessageType
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, Notification

ASN = 65000
LONG = 100_000.0  # seconds that pass in no time

Test = Callable[..., Coroutine[Any, Any, None]]


def jumping(test: Test) -> Callable[..., None]:
    """Run a test on a loop whose clock jumps."""

    @wraps(test)
    def wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rawpeer, "TIMEOUT", LONG)
        run(test())

    del wrapper.__wrapped__  # type: ignore[attr-defined]
    return wrapper


def speaker(**options: object) -> Speaker:
    return Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"], **options)


def add(middle: Speaker, **options: object) -> Peer:
    given = {"address": "127.0.0.2", "asn": ASN, "passive": True, "families": BOTH, **options}
    return middle.add_peer(PeerOptions(**given))


async def changes(middle: Speaker, condition: Callable[[], object]) -> None:
    """Wait until the condition holds, looking after each event."""
    async with asyncio.timeout(LONG):
        with middle.events() as events:
            while not condition():
                await anext(events)


class Target:
    """A listening socket that is not BGP's."""

    def __init__(self, host: str = "127.0.0.2") -> None:
        self.sock = socket.create_server((host, 0))
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]

    async def accept(self) -> RawPeer:
        sock, _ = await asyncio.get_running_loop().sock_accept(self.sock)
        return RawPeer(*await asyncio.open_connection(sock=sock))

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


@jumping
async def test_silent_peer_is_dropped_by_the_hold_timer() -> None:
    async with speaker() as middle:
        peer = add(middle, hold_time=9)
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer.established()
            start = asyncio.get_running_loop().time()
            messages = await raw.rest()
            assert asyncio.get_running_loop().time() - start == pytest.approx(9, abs=2)
            assert messages_of(messages, MessageType.NOTIFICATION) == [b"\x04\x00"]
            # KEEPALIVEs went out at a third of the hold time, less jitter.
            assert 2 <= len(messages_of(messages, MessageType.KEEPALIVE)) <= 4
        assert "hold" in peer.last_error
        assert peer.state == State.ACTIVE


@jumping
async def test_keepalives_hold_a_session_for_days() -> None:
    async with speaker() as middle:
        peer = add(middle, hold_time=90)
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer.established()
            loop = asyncio.get_running_loop()
            end = loop.time() + 4000
            while loop.time() < end:
                assert await raw.expect(MessageType.KEEPALIVE) == b""
                await raw.send(Keepalive())
            assert peer.times_established == 1
            assert peer.traffic.received[MessageType.KEEPALIVE] > 4000 / 30


@jumping
async def test_octets_in_the_kernel_save_a_peer_from_the_hold_timer() -> None:
    """What arrived, but was not read yet, when the timer fires counts (DESIGN: one receive round first)."""
    async with speaker() as middle:
        peer = add(middle, hold_time=9)
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer.established()
            (link,) = peer.connections
            assert link._stream is not None
            link._stream.pause()
            loop = asyncio.get_running_loop()
            end = loop.time() + 30
            while loop.time() < end:
                await raw.send(Keepalive())
                await raw.expect(MessageType.KEEPALIVE)
            assert peer.state == State.ESTABLISHED


@jumping
async def test_peer_that_reads_nothing_is_reset_by_the_send_hold_timer() -> None:
    """RFC 9687: it sends its KEEPALIVEs, and takes nothing."""
    async with speaker() as middle:
        peer = add(middle, hold_time=180, send_hold_time=200)
        raw = await RawPeer.dial(middle, buffer=4096)
        await raw.establish(an_open(hold_time=180))
        await peer.established()
        for number in range(8000):
            middle.announce(f"10.{number >> 8 & 255}.{number & 255}.0/24", next_hop="192.0.2.1", med=number)

        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(90)
        await raw.send(Keepalive())  # the hold timer has nothing to say
        await changes(middle, lambda: peer.state != State.ESTABLISHED)
        assert 180 <= loop.time() - start <= 400
        assert "send" in peer.last_error.lower()
        assert not middle._host.closing  # cut off with a RST, nothing lingers
        await raw.close()


@jumping
async def test_dialing_goes_on_until_somebody_answers() -> None:
    with Target() as target:
        port = target.port
    async with speaker() as middle:
        peer = add(middle, port=port, passive=False, connect_retry_time=7)
        await changes(middle, lambda: peer.last_error)
        assert "cannot connect" in peer.last_error
        await asyncio.sleep(500)
        attempts = peer.connections[0].connection.connect_retry_counter
        assert peer.state in (State.IDLE, State.CONNECT)
        assert attempts == 0  # refused connections do not count (RFC 4271 8.2.2)
        with socket.create_server(("127.0.0.2", port)) as server:
            server.setblocking(False)
            loop = asyncio.get_running_loop()
            start = loop.time()
            sock, _ = await loop.sock_accept(server)
            assert loop.time() - start <= 8  # it has not backed off beyond ConnectRetryTime
            raw = RawPeer(*await asyncio.open_connection(sock=sock))
            await raw.establish()
            await peer.established()
            await raw.close()


@jumping
async def test_unanswered_dial_is_given_up_and_tried_again() -> None:
    """ConnectRetryTimer ends an attempt that hangs; descriptors are not leaked."""
    async with speaker() as middle:
        # The backlog of a socket that nobody accepts from fills; further SYNs go unanswered.
        with socket.socket() as full:
            full.bind(("127.0.0.2", 0))
            full.listen(0)
            fillers = []
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
            peer = add(middle, port=full.getsockname()[1], passive=False, connect_retry_time=5)
            before = len(os.listdir("/proc/self/fd"))
            await asyncio.sleep(300)
            assert peer.state == State.CONNECT
            assert len(os.listdir("/proc/self/fd")) <= before + 2
            await middle.remove_peer(peer)
            await asyncio.sleep(1)
            assert len(os.listdir("/proc/self/fd")) == before
            for filler in fillers:
                filler.close()


@jumping
async def test_dialed_from_the_source_address_with_ttl_one_to_external_peers() -> None:
    with Target() as target:
        async with speaker() as middle:
            peer = add(middle, asn=65001, port=target.port, passive=False, source_address="127.0.0.44")
            raw = await target.accept()
            assert raw.writer.get_extra_info("peername")[0] == "127.0.0.44"
            await raw.expect(MessageType.OPEN)
            assert peer.name == "127.0.0.2@127.0.0.44"
            (link,) = peer.connections
            assert link._stream is not None
            assert link._stream.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1
            assert link.local is not None
            assert str(link.local.address) == "127.0.0.44"
            await raw.close()


@jumping
async def test_gtsm_with_the_peers_packets_from_too_far_away() -> None:
    """RFC 5082: who answers with a low TTL is not heard; with 255 the session comes up."""
    with Target() as target:
        async with speaker() as middle:
            peer = add(middle, asn=65001, port=target.port, passive=False, minimum_ttl=255)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(30):
                    await peer.established()
            assert peer.state == State.CONNECT
            target.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
            raw = await target.accept()
            await raw.establish(an_open(asn=65001))
            await peer.established()
            await raw.close()


@jumping
async def test_session_that_fails_is_tried_again_with_growing_pauses() -> None:
    with Target() as target:
        async with speaker() as middle:
            peer = add(middle, port=target.port, passive=False, idle_hold_time=1, idle_hold_maximum=16)
            loop = asyncio.get_running_loop()
            times = []
            for _ in range(8):
                raw = await target.accept()
                times.append(loop.time())
                await raw.expect(MessageType.OPEN)
                await raw.send(Notification(6, 5))
                await raw.rest()
                await raw.close()
            pauses = [later - earlier for earlier, later in pairwise(times)]
            assert pauses[0] <= 2.5
            assert 11 <= pauses[-1] <= 18
            assert "connection-rejected" in peer.last_error


@jumping
async def test_lost_collision_does_not_stop_dialing_for_ever() -> None:
    """The dialer gives way to the peer's connection, and takes up its work when that is gone."""
    with Target() as target:
        async with speaker() as middle:
            peer = add(middle, port=target.port, passive=False)
            ours = await target.accept()
            await ours.expect(MessageType.OPEN)  # and no answer: OpenSent
            theirs = await RawPeer.dial(middle)
            await theirs.establish(an_open(identifier=0xFF000001))
            await peer.established()
            await ours.send(an_open(identifier=0xFF000001))
            assert (await ours.notification()).subcode == 7
            await ours.close()
            await changes(middle, lambda: peer.state < State.ESTABLISHED)  # by the hold timer
            again = await target.accept()
            await again.establish()
            await peer.established()
            assert peer.times_established == 2
            await again.close()
            await theirs.close()


@jumping
async def test_collision_in_open_confirm_is_decided_by_identifiers() -> None:
    """Both directions (RFC 4271 section 6.8): the connection that the higher side opened stays."""
    for identifier, incoming_stays in ((0xFF000001, True), (0x01000001, False)):
        with Target() as target:
            async with speaker() as middle:
                peer = add(middle, port=target.port, passive=False)
                ours = await target.accept()
                theirs = await RawPeer.dial(middle)
                for raw in (ours, theirs):
                    await raw.expect(MessageType.OPEN)
                await ours.send(an_open(identifier=identifier))
                await ours.expect(MessageType.KEEPALIVE)
                await theirs.send(an_open(identifier=identifier))
                stays, goes = (theirs, ours) if incoming_stays else (ours, theirs)
                notification = await goes.notification()
                assert (notification.code, notification.subcode) == (6, 7)
                await stays.send(Keepalive())
                await peer.established()
                (link,) = [link for link in peer.connections if link.is_up]
                assert link.connection.incoming == incoming_stays
                await ours.close()
                await theirs.close()


@jumping
async def test_notification_ends_the_session_and_is_shown_in_words() -> None:
    async with speaker() as middle:
        peer = add(middle)
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer.established()
            assert peer.negotiated is not None
            assert peer.negotiated.remote_identifier == 0x0A000002
            assert str(peer.local_address.address) == "127.0.0.1"
            await raw.send(Notification(6, 2, b"\x05lunch"))
            await raw.rest()
            await changes(middle, lambda: peer.state == State.ACTIVE)
        assert "administrative-shutdown" in peer.last_error
        assert "lunch" in peer.last_error
        assert peer.negotiated is None
        assert peer.member is None
        assert peer.local_address is None
        assert peer.traffic.received[MessageType.NOTIFICATION] == 1


@jumping
async def test_wrong_as_is_refused() -> None:
    async with speaker() as middle:
        peer = add(middle, asn=65001)
        async with await RawPeer.dial(middle) as raw:
            await raw.expect(MessageType.OPEN)
            await raw.send(an_open(asn=65002))
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (2, 2)
            await raw.rest()
        assert peer.times_established == 0


@jumping
async def test_counters_add_up_over_connections() -> None:
    async with speaker() as middle:
        peer = add(middle)
        for _ in range(3):
            async with await RawPeer.dial(middle) as raw:
                await raw.establish()
                await peer.established()
                await raw.send(frame(MessageType.UPDATE, bytes(4)))
            await changes(middle, lambda: peer.state == State.ACTIVE)
        traffic = peer.traffic
        assert traffic.received[MessageType.OPEN] == traffic.sent[MessageType.OPEN] == 3
        assert traffic.received[MessageType.UPDATE] == 3
        assert traffic.octets_received > 3 * (29 + 19 + 23)
        assert traffic.octets_sent > 3 * (29 + 19)
        assert peer.times_established == 3
        assert Traffic() + traffic == traffic


@jumping
async def test_limit_on_prefixes_ends_the_session_with_its_cease() -> None:
    async with speaker() as middle:
        peer = add(middle, maximum_prefixes={IPV4_UNICAST: 1})
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer.established()
            attributes = bytes.fromhex("40010100 400200 400304c0000201 40050400000064")
            body = bytes(2) + len(attributes).to_bytes(2, "big") + attributes
            await raw.send(frame(MessageType.UPDATE, body + b"\x08\x0a\x08\x0b"))
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (6, 1)
            await raw.rest()
        assert "1 prefixes" in peer.last_error


@jumping
async def test_peer_that_dials_in_a_loop_does_not_use_up_descriptors() -> None:
    """Each connection ends the one before; of those that do not close only a few may linger."""
    async with speaker() as middle:
        peer = add(middle)
        before = len(os.listdir("/proc/self/fd"))
        raws = []
        for _ in range(18):
            raws.append(await RawPeer.dial(middle))
            await raws[-1].expect(MessageType.OPEN)
        ours = len(os.listdir("/proc/self/fd")) - before - len(raws)
        assert ours <= 10
        assert len(peer.connections) == 1
        for raw in raws:
            await raw.close()


@jumping
async def test_passive_peer_never_dials() -> None:
    with Target() as target:
        async with speaker() as middle:
            add(middle, port=target.port)
            await asyncio.sleep(1000)
            with pytest.raises(BlockingIOError):
                target.sock.accept()


@jumping
async def test_peer_added_before_the_start_begins_with_it() -> None:
    middle = speaker()
    peer = add(middle)
    assert peer.state == State.IDLE
    async with middle:
        assert peer.state == State.ACTIVE
        assert repr(peer) == "<Peer 127.0.0.2 Active>"
        await middle.start()  # twice is once
        peer.start()
    assert peer.state == State.IDLE


@pytest.mark.parametrize(
    ("options", "external", "ttl", "on_link"),
    [
        ({"asn": ASN}, False, None, False),
        ({"asn": 65001}, True, 1, True),
        ({"asn": 65001, "multihop": 5}, True, 5, False),
        ({"asn": 65001, "ttl": 9}, True, 9, False),
        ({"asn": 65001, "minimum_ttl": 255}, True, 255, True),
        ({"asn": ASN, "local_as": 65001}, True, 1, True),
        ({"asn": AsExpected.ANY}, None, None, False),
        ({"asn": AsExpected.INTERNAL}, False, None, False),
        ({"asn": AsExpected.EXTERNAL}, True, 1, True),
    ],
)
def test_ttl_follows_from_the_kind_of_peer(
    options: dict[str, Any], external: bool | None, ttl: int | None, on_link: bool
) -> None:
    peer = Options(address="192.0.2.1", **options)
    assert peer.is_external(ASN) is external
    assert peer.sending_ttl(ASN) == ttl
    assert peer.is_on_link(ASN) is on_link


def test_password_is_not_shown() -> None:
    assert "secret" not in repr(Options(asn=1, password="secret"))


@pytest.mark.parametrize(
    ("options", "replaces"),
    [
        ({}, False),
        ({"passive": True}, True),
        ({"password": "x"}, True),
        ({"passive": True, "replace_established": False}, False),
        ({"replace_established": True}, True),
    ],
)
def test_who_may_replace_an_established_session(options: dict[str, Any], replaces: bool) -> None:
    assert Options(asn=ASN, **options).session(ASN, 1).replace_established is replaces


def test_interfaces_are_known() -> None:
    loopback = ip_address("127.0.0.1")
    assert any(item.address == loopback for item in interfaces.interface_addresses())
    known = interfaces.interface_addresses()
    assert ip_network("127.0.0.0/8") in interfaces.connected(known, loopback)
    assert interfaces.connected(known, ip_address("203.0.113.77")) == ()
    assert interfaces.next_hops(known, loopback)[IPV4_UNICAST] == loopback.packed
    assert interfaces.next_hops(known, ip_address("::1"))[IPV6_UNICAST] == ip_address("::1").packed


LINK_LOCAL = """
import asyncio
from bgp import *

async def main():
    async with (
        Speaker(asn=65000, router_id="10.0.0.1", listen=["[fe80::1%lo]:0"]) as one,
        Speaker(asn=65000, router_id="10.0.0.2") as two,
    ):
        host, port = one.listening[0]
        assert host == "fe80::1%lo", host
        families = (IPV4_UNICAST, IPV6_UNICAST)
        here = one.add_peer(PeerOptions(address="fe80::2%lo", asn=65000, passive=True, families=families))
        there = two.add_peer(
            PeerOptions(address=host, port=port, source_address="fe80::2%lo", asn=65000, families=families)
        )
        async with asyncio.timeout(10):
            await here.established()
            await there.established()
        assert here.name == "fe80::2%lo"
        assert there.local_address.host == "fe80::2%lo"
asyncio.run(main())
print("done")
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root, for a network of its own"
)
def test_link_local_addresses_with_scope() -> None:
    """In a network namespace of its own, where the loopback has link-local addresses."""
    set_up = "ip link set lo up && ip addr add fe80::1/64 dev lo && ip addr add fe80::2/64 dev lo"
    command = ["unshare", "-n", "sh", "-c", f'{set_up} && exec "$0" -', sys.executable]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, input=LINK_LOCAL, text=True, capture_output=True, timeout=60, env=environment, check=False
    )
    assert done.stdout == "done\n", done.stderr


@jumping
async def test_routes_of_a_peer_that_is_gone_are_gone() -> None:
    async with speaker() as middle:
        peer = add(middle, client=True)
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            attributes = bytes.fromhex("40010100 400200 400304c0000201 40050400000064")
            body = bytes(2) + len(attributes).to_bytes(2, "big") + attributes + b"\x08\x0a"
            await raw.send(frame(MessageType.UPDATE, body))
            await has_routes(middle, IPV4_UNICAST, "10.0.0.0/8")
            assert peer.member is not None
        await has_routes(middle, IPV4_UNICAST)


@jumping
async def test_a_peer_that_stays_behind_loses_its_session() -> None:
    """Not one that is behind for a while; and who takes what it is told hears nothing of it."""
    async with speaker(lag_age=60) as middle:
        given = {"client": True, "hold_time": 0, "send_hold_time": 0}
        slow, good = add(middle, **given), add(middle, address="127.0.0.3", **given)
        loop = asyncio.get_running_loop()

        def announce(first: int) -> None:
            for number in range(20_000):
                at = f"10.{number >> 8}.{number & 255}.0/24"
                middle.announce(at, next_hop="192.0.2.1", med=first + number // 4, communities=range(60))

        async with (
            await RawPeer.dial(middle, "127.0.0.2", buffer=4096) as raw,
            await RawPeer.dial(middle, "127.0.0.3") as other,
        ):
            await raw.establish(an_open(hold_time=0))
            await other.establish(an_open(hold_time=0, identifier=0x0A000003))
            reading = asyncio.create_task(other.rest())
            await changes(middle, lambda: good.state == slow.state == State.ESTABLISHED)
            await asyncio.sleep(1000)
            announce(0)
            await asyncio.sleep(50)
            assert slow.member is not None and slow.member.pending
            # It takes all, and may be behind again for as long.
            while slow.member.pending:
                await raw.receive()
            start = loop.time()
            announce(10_000)
            async with asyncio.timeout(LONG):
                with middle.events() as events:
                    while (event := await anext(events)).kind is not EventKind.DOWN:
                        pass
            assert event.peer is slow and event.text == slow.last_error
            assert "sent cease/out-of-resources (RFC 4486 4): behind for 6" in slow.last_error
            assert 60 < loop.time() - start <= 60 + 2 * 6 + 1
            assert good.state == State.ESTABLISHED and good.times_established == 1
            messages = await raw.rest()
            # What there is room for; the kernel may still hold more than the session's end waits for.
            assert messages_of(messages, MessageType.NOTIFICATION) in ([], [b"\x06\x08"])
        await middle.stop()
        assert len(messages_of(await reading, MessageType.UPDATE)) >= 10_000


@jumping
async def test_without_an_age_nobody_is_dropped_for_it() -> None:
    async with speaker(lag_age=0) as middle:
        peer = add(middle, client=True, hold_time=0, send_hold_time=0)
        async with await RawPeer.dial(middle, buffer=4096) as raw:
            await raw.establish(an_open(hold_time=0))
            await changes(middle, lambda: peer.state == State.ESTABLISHED)
            for number in range(20_000):
                at = f"10.{number >> 8}.{number & 255}.0/24"
                middle.announce(at, next_hop="192.0.2.1", med=number // 4, communities=range(60))
            await asyncio.sleep(10_000)
            assert peer.state == State.ESTABLISHED and peer.member is not None and peer.member.pending
