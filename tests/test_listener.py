"""The listener on real loopback sockets: what it takes, what it refuses, and what it survives."""

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.aio import listener as module
from bgp.aio.address import Endpoint, from_sockaddr, parse_address, parse_endpoint
from bgp.aio.listener import ACCEPTS_PER_TURN, Listener, Refusals
from bgp.aio.sockopt import dialing_socket, set_md5_key

TIMEOUT = 10.0


class Door:
    """An `admit` that records, and that a test can wait for."""

    def __init__(self, take: bool = True) -> None:
        self.take = take
        self.seen: list[tuple[Endpoint, Endpoint]] = []
        self.sockets: list[socket.socket] = []
        self._changed = asyncio.Event()

    def __call__(self, sock: socket.socket, local: Endpoint, remote: Endpoint) -> bool:
        self.seen.append((local, remote))
        self._changed.set()
        if self.take:
            self.sockets.append(sock)
        return self.take

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT):
            while len(self.seen) < count:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def listening(host: str = "127.0.0.1", take: bool = True) -> AsyncIterator[tuple[Listener, Door]]:
    door = Door(take)
    listener = Listener(parse_address(host), door)
    try:
        yield listener, door
    finally:
        listener.close()
        for sock in door.sockets:
            sock.close()


async def connect(listener: Listener, source: str | None = None) -> socket.socket:
    sock = dialing_socket(listener.endpoint.family, parse_address(source) if source else None)
    host = listener.endpoint.address
    if host.is_unspecified:
        host = ip_address("127.0.0.1" if host.version == 4 else "::1")
    target = Endpoint(host, listener.endpoint.port)
    await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, target.sockaddr), TIMEOUT)
    return sock


async def closed_by_peer(sock: socket.socket) -> bool:
    """Whether the other side closes without a word."""
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1), TIMEOUT) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_accepts_and_tells_both_ends(host: str) -> None:
    async with listening(host) as (listener, door):
        with await connect(listener) as client:
            await door.wait(1)
            local, remote = door.seen[0]
            assert local == listener.endpoint
            assert remote == from_sockaddr(client.getsockname())
            accepted = door.sockets[0]
            assert not accepted.getblocking()
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if host == "::1":
                assert accepted.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0xC0
            else:
                assert accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xC0
    assert listener.accepted == 1


async def test_one_port_in_both_families_at_once() -> None:
    async with listening("0.0.0.0") as (ipv4, first):
        second = Door()
        ipv6 = Listener(Endpoint(ip_address("::"), ipv4.endpoint.port), second)
        try:
            with await connect(ipv4), await connect(ipv6):
                await first.wait(1)
                await second.wait(1)
            assert first.seen[0][1].address.version == 4
            assert second.seen[0][1].address.version == 6
        finally:
            ipv6.close()
            for sock in second.sockets:
                sock.close()


async def test_refused_connection_is_closed_and_counted() -> None:
    async with listening(take=False) as (listener, door):
        with await connect(listener, "127.0.0.9") as client:
            assert await closed_by_peer(client)
        assert str(door.seen[0][1].address) == "127.0.0.9"
        assert (listener.accepted, listener.refused) == (0, 1)


async def test_an_error_in_admit_costs_only_that_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as (listener, door):
        original: Callable[..., bool] = listener._admit

        def broken(sock: socket.socket, local: Endpoint, remote: Endpoint) -> bool:
            listener._admit = original
            raise RuntimeError("broken")

        listener._admit = broken
        with await connect(listener) as client:
            assert await closed_by_peer(client)
        assert "cannot take the connection" in caplog.text
        with await connect(listener):
            await door.wait(1)


async def test_a_turn_takes_a_bounded_number_of_connections() -> None:
    """All of a burst are accepted, and no turn of the loop takes more than its share."""
    burst = ACCEPTS_PER_TURN * 2 + 7
    async with listening() as (listener, door):
        clients = [socket.create_connection(listener.endpoint.sockaddr[:2]) for _ in range(burst)]
        try:
            turns: list[int] = []
            while len(door.seen) < burst:
                before = len(door.seen)
                await asyncio.sleep(0)  # one turn of the loop
                turns.append(len(door.seen) - before)
                assert len(turns) < 1000
            assert max(turns) == ACCEPTS_PER_TURN
        finally:
            for client in clients:
                client.close()


@contextlib.contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    fillers: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_out_of_descriptors_closes_what_waits_and_recovers(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as (listener, door):
        clients = [dialing_socket(socket.AF_INET, None) for _ in range(3)]
        loop = asyncio.get_running_loop()
        try:
            with no_descriptors_left():
                for client in clients:
                    await loop.sock_connect(client, listener.endpoint.sockaddr)
                for client in clients:
                    assert await closed_by_peer(client)
            assert listener.out_of_descriptors == 3
            assert not door.seen
            assert caplog.text.count("out of file descriptors") == 1
        finally:
            for client in clients:
                client.close()
        with await connect(listener):
            await door.wait(1)


async def test_without_a_reserve_the_listener_rests_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to spend: the queue stays readable, and yet the loop does not spin on it."""
    monkeypatch.setattr(module, "PAUSE", 0.01)
    async with listening() as (listener, door):
        client = dialing_socket(socket.AF_INET, None)
        with client:
            with no_descriptors_left():
                assert listener._reserve is not None
                os.close(listener._reserve)
                listener._reserve = None
                filler = os.open(os.devnull, os.O_RDONLY)
                await asyncio.get_running_loop().sock_connect(client, listener.endpoint.sockaddr)
                async with asyncio.timeout(TIMEOUT):
                    while listener._pause is None:
                        await asyncio.sleep(0)
                os.close(filler)
            await door.wait(1)
            assert listener._reserve is not None


def md5_supported() -> bool:
    with socket.socket() as sock:
        try:
            set_md5_key(sock, ip_network("127.0.0.1/32"), b"probe")
        except OSError:
            return False
    return True


@pytest.mark.skipif(not md5_supported(), reason="this kernel has no TCP-MD5")
@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("::1", "::1/128"),
        ("::1", "::/64"),
    ],
)
async def test_md5_key_of_host_and_prefix(host: str, network: str) -> None:
    """The same key connects; the wrong one and none at all do not, until the key is taken away."""
    loop = asyncio.get_running_loop()
    async with listening(host) as (listener, door):
        listener.set_keys({ip_network(network): b"secret"})
        target = listener.endpoint
        for key in (None, b"wrong"):
            with dialing_socket(target.family, None) as stranger:
                if key is not None:
                    set_md5_key(stranger, ip_network(host), key)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(loop.sock_connect(stranger, target.sockaddr), 0.3)
        with dialing_socket(target.family, None) as friend:
            set_md5_key(friend, ip_network(host), b"secret")
            await asyncio.wait_for(loop.sock_connect(friend, target.sockaddr), TIMEOUT)
            await door.wait(1)
        listener.set_keys({})
        with await connect(listener):
            await door.wait(2)


async def test_a_key_of_the_other_family_is_none_of_its_business() -> None:
    async with listening("127.0.0.1") as (listener, _):
        listener.set_keys({ip_network("::/0"): b"secret"})


def test_a_key_that_is_too_long_is_refused() -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match="80 octets"):
        set_md5_key(sock, ip_network("192.0.2.1/32"), b"x" * 81)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 179),
        ("192.0.2.1:1179", "192.0.2.1", 1179),
        ("2001:db8::1", "2001:db8::1", 179),
        ("[2001:db8::1]", "2001:db8::1", 179),
        ("[2001:db8::1]:1179", "2001:db8::1", 1179),
        ("[::ffff:192.0.2.1]:1179", "192.0.2.1", 1179),
        ("fe80::1%lo", "fe80::1%lo", 179),
        ("[fe80::1%lo]:0", "fe80::1%lo", 0),
    ],
)
def test_endpoint_text(text: str, host: str, port: int) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.host, endpoint.port) == (host, port)
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host:179",
        "192.0.2.1:x",
        "192.0.2.1:65536",
        "[2001:db8::1",
        "[2001:db8::1]179",
        "2001:db8::1%lo",
        "fe80::1%no-such-one",
        "192.0.2.1%lo",
    ],
)
def test_bad_endpoint_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_endpoint(text)


def test_sockaddr_is_normalized() -> None:
    assert from_sockaddr(("::ffff:192.0.2.1", 5, 0, 0)) == Endpoint(ip_address("192.0.2.1"), 5)
    assert from_sockaddr(("fe80::1%lo", 5, 0, 1)) == Endpoint(ip_address("fe80::1"), 5, 1)
    assert from_sockaddr(("2001:db8::1", 5, 0, 3)) == Endpoint(ip_address("2001:db8::1"), 5, 0)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 40)), max_size=200),
    st.integers(1, 5),
)
def test_refusals_are_bounded_and_named_once_a_minute(calls: list[tuple[int, float]], size: int) -> None:
    """Every refusal counts; an address is named at most once a minute, and at most `size` of them are."""
    refusals = Refusals(size)
    named: list[tuple[float, str]] = []
    now = 0.0
    for host, later in calls:
        now += later
        if refusals.add(str(host), now) is not None:
            assert all(name != str(host) for when, name in named if now - when < Refusals.INTERVAL)
            named.append((now, str(host)))
            assert sum(now - when < Refusals.INTERVAL for when, _ in named) <= size
        assert len(refusals) <= size
    assert refusals.total == len(calls)


def test_refusals_tell_how_many_were_silent() -> None:
    refusals = Refusals()
    assert [refusals.add("a", now) for now in (0.0, 1.0, 59.0, 60.0)] == [0, None, None, 2]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
