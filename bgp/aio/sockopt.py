"""What BGP asks of a TCP socket beyond the defaults, each option in one function.

Numbers that Python's socket module lacks are Linux's, from its uapi headers.
"""

import contextlib
import errno
import socket
import struct
from ipaddress import IPv4Network, IPv6Network

from bgp.aio.address import Endpoint

TCP_MD5SIG = 14
TCP_MD5SIG_EXT = 32
_MD5_PREFIX = 1  # TCP_MD5SIG_FLAG_PREFIX
_MD5_KEY_LENGTH = 80  # TCP_MD5SIG_MAXKEYLEN
# struct tcp_md5sig: sockaddr_storage, flags, prefix length, key length, interface index, key.
_MD5_TAIL = struct.Struct(f"=BBHi{_MD5_KEY_LENGTH}s")
_SOCKADDR_STORAGE = 128
# What the kernel means, and what helps.
_MD5_ERRORS = {
    errno.ENOMEM: "no room for another TCP-MD5 key on one socket: raise the sysctl net.core.optmem_max",
    errno.ENOPROTOOPT: "this kernel has no TCP-MD5 (CONFIG_TCP_MD5SIG)",
}

IP_MINTTL = 21
IPV6_MINHOPCOUNT = 73
# Differentiated services class 6, network control (RFC 4594 section 3.1), in its octet.
NETWORK_CONTROL = 0xC0
# What the kernel may hold beyond what it has put on the wire.
NOT_SENT_LOW_WATER = 64 * 1024


class Explained(OSError):
    """An error whose text says more than that of its number."""


def common(sock: socket.socket) -> None:
    """Set what every BGP socket has: non-blocking, no delay, network control class."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, NETWORK_CONTROL)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, NETWORK_CONTROL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_WATER)


def bound_socket(endpoint: Endpoint) -> socket.socket:
    """Return a socket that may `listen` on `endpoint`, for its own family only; raise OSError."""
    sock = socket.socket(endpoint.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if endpoint.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        common(sock)
        sock.bind(endpoint.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def dialing_socket(family: socket.AddressFamily, source: Endpoint | None) -> socket.socket:
    """Return an unconnected socket, bound to the address of `source` if given; raise OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        common(sock)
        if source is not None:
            if not source.port:
                # The kernel chooses the port at connect, so that ports are spent per destination.
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(source.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def sockaddr_storage(network: IPv4Network | IPv6Network) -> bytes:
    """Return the address of `network` as a struct sockaddr_storage."""
    address = network.network_address
    if address.version == 4:
        sockaddr = struct.pack("=HH4s", socket.AF_INET, 0, address.packed)
    else:
        sockaddr = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, address.packed, 0)
    return sockaddr.ljust(_SOCKADDR_STORAGE, b"\0")


def set_md5_key(sock: socket.socket, network: IPv4Network | IPv6Network, key: bytes | None) -> None:
    """Set the key for peers within `network` (RFC 2385), or take it away with None; raise OSError.

    On a listening socket this covers whoever may connect, on an unconnected one whom it will dial.  A
    host's key goes the old way, which kernels before 4.13 know too.
    """
    key = key or b""
    if len(key) > _MD5_KEY_LENGTH:
        raise ValueError(f"a TCP-MD5 key has at most {_MD5_KEY_LENGTH} octets, not {len(key)}")
    host = network.prefixlen == network.max_prefixlen
    tail = _MD5_TAIL.pack(0 if host else _MD5_PREFIX, 0 if host else network.prefixlen, len(key), 0, key)
    option = TCP_MD5SIG if host else TCP_MD5SIG_EXT
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, sockaddr_storage(network) + tail)
    except OSError as error:
        if error.errno in _MD5_ERRORS:
            raise Explained(error.errno, _MD5_ERRORS[error.errno]) from None
        raise


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """Send with this TTL or hop limit, with -1 the system's."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def set_minimum_ttl(sock: socket.socket, ttl: int) -> None:
    """Let the kernel drop what arrives with a lower TTL or hop limit, with 0 nothing (RFC 5082 section 3)."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MINTTL, ttl)


def set_user_timeout(sock: socket.socket, seconds: float) -> None:
    """Let the kernel give up on a connection whose octets stay unacknowledged this long (RFC 5482)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))


def abort(sock: socket.socket) -> None:
    """Close with a RST, which frees at once what the kernel still held for the peer."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def largest_backlog() -> int:
    """Return the greatest accept queue that the system allows."""
    try:
        with open("/proc/sys/net/core/somaxconn") as file:
            return max(1, min(int(file.read()), 65535))
    except (OSError, ValueError):
        return 65535  # the kernel cuts this down to what it allows
