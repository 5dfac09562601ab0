"""Keys of TCP-AO: what the kernel is given, and what is said where it has no such thing."""

import errno
import socket
import struct
from ipaddress import ip_network

import pytest
from rawpeer import event_of

from bgp import AoAlgorithm, AoKey, EventKind, PeerOptions, Speaker
from bgp.aio.signing import Secret, remove_secret, set_secret

KEY = AoKey(key=b"secret", send_id=1, receive_id=2)
LACKING = "this kernel has no TCP-AO: it takes Linux 6.7 with CONFIG_TCP_AO"


class Recorder:
    """A socket that takes any option."""

    def __init__(self) -> None:
        self.options: list[tuple[int, bytes]] = []

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert level == socket.IPPROTO_TCP
        self.options.append((option, value))


class Lacking:
    def setsockopt(self, *_: object) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")


def supported() -> bool:
    with socket.socket() as sock:
        try:
            set_secret(sock, ip_network("127.0.0.1/32"), KEY)
        except OSError:
            return False
    return True


@pytest.mark.parametrize(
    ("network", "family", "address"),
    [
        ("192.0.2.0/24", socket.AF_INET, b"\xc0\0\2\0"),
        ("2001:db8::1/128", socket.AF_INET6, b"\0\0\0\0" + bytes.fromhex("20010db8" + "0" * 22 + "01")),
    ],
)
@pytest.mark.parametrize("algorithm", AoAlgorithm)
def test_what_the_kernel_is_given(network: str, family: int, address: bytes, algorithm: AoAlgorithm) -> None:
    """Struct tcp_ao_add of linux/tcp.h, octet for octet; then struct tcp_ao_del."""
    sock, net = Recorder(), ip_network(network)
    key = AoKey(key=b"secret", send_id=100, receive_id=200, algorithm=algorithm)
    set_secret(sock, net, key)  # type: ignore[arg-type]
    remove_secret(sock, net, key)  # type: ignore[arg-type]
    (add, given), (delete, taken) = sock.options
    assert (add, delete, len(given), len(taken)) == (38, 39, 288, 144)
    for value in (given, taken):
        assert struct.unpack_from("=HH", value) == (family, 0) and value[4 : 4 + len(address)] == address
    assert given[128:192].rstrip(b"\0").decode() == algorithm.value
    assert given[192:202] == bytes(10)
    assert tuple(given[202:208]) == (net.prefixlen, 100, 200, 12, 0, 6)
    assert given[208:288].rstrip(b"\0") == b"secret"
    assert taken[128:138] == bytes(10) and tuple(taken[138:144]) == (net.prefixlen, 100, 200, 0, 0, 0)


@pytest.mark.parametrize(
    ("before", "after", "options"),
    [
        (None, KEY, [38]),
        (KEY, AoKey(key=b"other", send_id=1, receive_id=2), [39, 38]),
        (b"md5", KEY, [14, 38]),
        (KEY, b"md5", [39, 14]),
        (b"md5", b"other", [14]),
    ],
)
def test_one_key_in_place_of_another(before: Secret | None, after: Secret, options: list[int]) -> None:
    sock = Recorder()
    set_secret(sock, ip_network("192.0.2.1/32"), after, before)  # type: ignore[arg-type]
    assert [option for option, _ in sock.options] == options


def test_a_kernel_without_it_is_told_apart() -> None:
    with pytest.raises(OSError, match=LACKING):
        set_secret(Lacking(), ip_network("192.0.2.1/32"), KEY)  # type: ignore[arg-type]


@pytest.mark.skipif(supported(), reason="this kernel has TCP-AO")
async def test_a_peer_is_refused_where_the_kernel_lacks_it() -> None:
    options = PeerOptions(address="127.0.0.2", asn=65000, tcp_ao=KEY)
    async with Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        with pytest.raises(OSError, match=LACKING):
            speaker.add_peer(options)
        assert not speaker.peers
    async with Speaker(asn=65000, router_id="10.0.0.1") as speaker:
        speaker.add_peer(options)
        event = await event_of(speaker, lambda event: event.kind is EventKind.DOWN)
        assert event.text.endswith(f"cannot connect: {LACKING}")


@pytest.mark.skipif(not supported(), reason="this kernel has no TCP-AO")
async def test_a_session_that_is_signed() -> None:
    other = AoKey(key=b"secret", send_id=2, receive_id=1)
    async with (
        Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as first,
        Speaker(asn=65000, router_id="10.0.0.2") as second,
    ):
        first.add_peer(PeerOptions(address="127.0.0.2", asn=65000, passive=True, tcp_ao=KEY))
        ((host, port),) = first.listening
        options = PeerOptions(address=host, port=port, source_address="127.0.0.2", asn=65000, tcp_ao=other)
        await second.add_peer(options).established()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"key": b""}, "key"),
        ({"key": b"x" * 81}, "key"),
        ({"send_id": 256}, "send_id"),
        ({"receive_id": -1}, "receive_id"),
    ],
)
def test_a_key_that_cannot_be(values: dict[str, object], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        AoKey(**{"key": b"x", "send_id": 1, "receive_id": 1, **values})  # type: ignore[arg-type]


def test_one_kind_of_key_is_enough() -> None:
    with pytest.raises(ValueError, match=r"^tcp_ao: excludes password"):
        PeerOptions(address="127.0.0.2", asn=1, tcp_ao=KEY, password="x")
    assert "secret" not in repr(PeerOptions(address="127.0.0.2", asn=1, tcp_ao=KEY))
