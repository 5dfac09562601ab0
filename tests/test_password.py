"""TCP-MD5 keys that change while sessions are there, peers without one in a range that has one, and GTSM."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from rawpeer import BOTH, TIMEOUT, RawPeer, has_routes
from test_speaker import ASN, client_of, reflector

from bgp import IPV4_UNICAST, Peer, PeerOptions, Speaker, State
from bgp.aio import signing, sockopt
from bgp.aio.sockopt import set_md5_key


@asynccontextmanager
async def two(*passwords: str | None) -> AsyncIterator[tuple[Speaker, Peer, Speaker, Peer]]:
    """Two speakers with a session, and the peers that they are to each other."""
    ours, theirs = passwords
    async with reflector(range_=None) as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        there = middle.add_peer(
            PeerOptions(address="127.0.0.2", asn=ASN, passive=True, families=BOTH, password=ours)
        )
        here = client_of(middle, client, "127.0.0.2", password=theirs)
        await asyncio.wait_for(asyncio.gather(there.established(), here.established()), TIMEOUT)
        yield middle, there, client, here


@pytest.mark.parametrize(
    ("before", "after"), [("one", "two"), ("one", None), (None, "two")], ids=["changed", "removed", "added"]
)
async def test_a_session_outlives_another_key(before: str | None, after: str | None) -> None:
    """Also one that neither had, or has: Linux lets a connection have any from 5.9 on."""
    async with two(before, before) as (middle, there, client, here):
        other = middle.add_peer(PeerOptions(address="127.0.0.3", asn=ASN, passive=True, password="three"))
        middle.set_password(there, after)
        client.set_password(here, after)
        client.announce("198.51.100.0/24", next_hop="192.0.2.1")
        await has_routes(middle, IPV4_UNICAST, "198.51.100.0/24")
        assert there.times_established == here.times_established == 1
        assert other.options.password == "three"
        # Who comes next is asked for the new one, too.
        here.reset()
        await asyncio.wait_for(here.established(), TIMEOUT)
        async with asyncio.timeout(TIMEOUT):
            while here.times_established < 2 or there.state is not State.ESTABLISHED:
                await asyncio.sleep(0.05)


async def test_others_go_on_while_a_key_changes_on_one_side_only() -> None:
    async with two("one", "one") as (middle, there, client, here):
        neighbor = middle.add_peer(PeerOptions(address="127.0.0.3", asn=ASN, passive=True, password="three"))
        async with Speaker(asn=ASN, router_id="10.0.0.3") as third:
            peer = client_of(middle, third, "127.0.0.3", password="three")
            await asyncio.wait_for(peer.established(), TIMEOUT)
            middle.set_password(there, "two")
            here.reset()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    while here.times_established < 2:
                        await asyncio.sleep(0.05)
            client.set_password(here, "two")
            async with asyncio.timeout(TIMEOUT):
                while here.times_established < 2:
                    await asyncio.sleep(0.05)
            assert neighbor.times_established == 1 and neighbor.state is State.ESTABLISHED


async def test_the_key_of_a_range_changes_with_its_sessions() -> None:
    async with (
        reflector(range_="127.0.1.0/24", password="one") as middle,
        Speaker(asn=ASN, router_id="10.0.0.2") as client,
    ):
        here = client_of(middle, client, "127.0.1.2", password="one")
        await asyncio.wait_for(here.established(), TIMEOUT)
        (listen_range,) = middle.listen_ranges
        middle.set_password(listen_range, "two")
        client.set_password(here, "two")
        client.announce("198.51.100.0/24", next_hop="192.0.2.1")
        await has_routes(middle, IPV4_UNICAST, "198.51.100.0/24")
        assert here.times_established == 1
        assert listen_range.options.password == "two" and middle.peers[0].options.password == "two"


async def test_where_a_connection_cannot_have_another_key_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two("one", "one") as (middle, there, client, here):

        def refuse(*_: object) -> None:
            raise OSError(22, "Invalid argument")

        with monkeypatch.context() as patch:
            patch.setattr("bgp.aio.link.sockopt.set_md5_key", refuse)
            middle.set_password(there, "two")
        client.set_password(here, "two")
        assert there.last_error.startswith("sent cease/other-configuration-change")
        async with asyncio.timeout(TIMEOUT):
            while there.times_established < 2:
                await asyncio.sleep(0.05)


async def test_a_key_that_cannot_be_had_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two("one", "one") as (middle, there, _, here):
        with pytest.raises(ValueError, match=r"^password: must have 1 to 80 octets"):
            middle.set_password(there, "x" * 81)

        def refuse(sock: socket.socket, network: object, key: bytes | None) -> None:
            if key == b"two":
                raise OSError(12, "Cannot allocate memory")

        with monkeypatch.context() as patch:
            patch.setattr("bgp.aio.signing.set_md5_key", refuse)
            with pytest.raises(OSError, match="Cannot allocate"):
                middle.set_password(there, "two")
        assert there.options.password == "one"
        here.reset()
        async with asyncio.timeout(TIMEOUT):
            while here.times_established < 2:
                await asyncio.sleep(0.05)


async def test_too_many_keys_for_one_socket_say_what_helps() -> None:
    with socket.socket() as sock, pytest.raises(OSError, match="raise the sysctl net"):
        for number in range(1 << 20):
            set_md5_key(sock, ip_network((0x0A000000 + number, 32)), b"x")


# --- Peers without a password in a range with one ------------------------------------------------------


async def refused(middle: Speaker, source: str) -> bool:
    """Tell whether the kernel drops who connects from there without a key."""
    try:
        async with asyncio.timeout(0.4):
            async with await RawPeer.dial(middle, source) as raw:
                await raw.establish()
    except TimeoutError:
        return True
    return False


async def test_a_peer_without_password_in_a_range_with_one() -> None:
    async with reflector(range_="127.0.1.0/24", password="secret") as middle:
        assert await refused(middle, "127.0.1.9")
        peer = middle.add_peer(PeerOptions(address="127.0.1.9", asn=ASN, passive=True, families=BOTH))
        assert not await refused(middle, "127.0.1.9")
        assert await refused(middle, "127.0.1.8"), "the others need it still"
        async with Speaker(asn=ASN, router_id="10.0.0.2") as client:
            other = client_of(middle, client, "127.0.1.10", password="secret")
            await asyncio.wait_for(other.established(), TIMEOUT)
        middle.set_password(peer, "own")
        assert await refused(middle, "127.0.1.9")
        middle.set_password(peer, None)
        assert not await refused(middle, "127.0.1.9")
        await middle.remove_peer(peer)
        assert await refused(middle, "127.0.1.9")


async def test_a_range_without_password_in_a_wider_one_with_one() -> None:
    async with reflector(range_="127.0.0.0/16", password="secret") as middle:
        inner = middle.add_listen_range("127.0.1.0/24", PeerOptions(asn=ASN, families=BOTH))
        assert await refused(middle, "127.0.2.9") and not await refused(middle, "127.0.1.9")
        await middle.remove_listen_range(inner)
        assert await refused(middle, "127.0.1.9")


# --- GTSM where the peer connects ----------------------------------------------------------------------


def dialed(middle: Speaker, source: str, ttl: int, least: int = 0) -> socket.socket:
    """Connect from `source` with this TTL, and drop what comes with a lower one than `least`."""
    host, port = middle.listening[0]
    sock = socket.socket()
    sock.bind((source, 0))
    sockopt.set_ttl(sock, ttl)
    sockopt.set_minimum_ttl(sock, least)
    sock.setblocking(False)
    sock.connect_ex((host, port))
    return sock


async def established_over(sock: socket.socket) -> bool:
    """Tell whether a session comes up."""
    try:
        async with asyncio.timeout(0.6):
            while sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or not connected(sock):
                await asyncio.sleep(0.01)
            raw = RawPeer(*await asyncio.open_connection(sock=sock))
            await raw.establish()
            await raw.close()
            return True
    except TimeoutError:
        return False


def connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("others", [False, True])
async def test_gtsm_where_we_wait_for_the_peer(others: bool) -> None:
    """Our SYN-ACK has TTL 255, and who comes from farther is not heard, be there other peers or not."""
    async with reflector(range_=None) as middle:
        middle.add_peer(
            PeerOptions(address="127.0.0.2", asn=ASN, passive=True, families=BOTH, minimum_ttl=255)
        )
        if others:
            middle.add_peer(PeerOptions(address="127.0.0.3", asn=ASN, passive=True, families=BOTH))
        with dialed(middle, "127.0.0.2", 254) as sock:
            assert not await established_over(sock)
            assert connected(sock) is others, "if all peers do it not even TCP answers"
        with dialed(middle, "127.0.0.2", 255, least=255) as sock:
            assert await established_over(sock)
        if others:
            with dialed(middle, "127.0.0.3", 64) as sock:
                assert await established_over(sock)


async def test_gtsm_and_a_password_together() -> None:
    async with reflector(range_=None) as middle, Speaker(asn=ASN, router_id="10.0.0.2") as client:
        middle.add_peer(
            PeerOptions(
                address="127.0.0.2",
                asn=ASN,
                passive=True,
                families=BOTH,
                minimum_ttl=255,
                password="secret",
            )
        )
        here = client_of(middle, client, "127.0.0.2", password="secret", minimum_ttl=255)
        await asyncio.wait_for(here.established(), TIMEOUT)


async def test_the_listener_has_the_systems_ttl_again_when_nobody_needs_another() -> None:
    async with reflector(range_=None) as middle:
        sock = middle.listeners[0]._socket
        system = sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        options = PeerOptions(address="127.0.0.2", asn=ASN, passive=True, minimum_ttl=254)
        peer = middle.add_peer(options)
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 255
        assert sock.getsockopt(socket.IPPROTO_IP, sockopt.IP_MINTTL) == 254
        await middle.remove_peer(peer)
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == system
        assert sock.getsockopt(socket.IPPROTO_IP, sockopt.IP_MINTTL) == 0


async def test_keys_are_there_before_anybody_can_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = sockopt.set_md5_key

    def spy(sock: socket.socket, network: object, key: bytes | None) -> None:
        seen.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        original(sock, network, key)  # type: ignore[arg-type]

    monkeypatch.setattr(signing, "set_md5_key", spy)
    middle = Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"])
    middle.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, password="secret"))
    async with middle:
        assert seen == [0]
