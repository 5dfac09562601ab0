"""Signed TCP segments by keys of either kind: TCP-MD5 (RFC 2385), or TCP-AO (RFC 5925).

Linux has the latter from 6.7 on, where it was built with it.
"""

import contextlib
import errno
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

from bgp.aio.sockopt import Explained, set_md5_key, sockaddr_storage

_ADD_KEY, _DELETE_KEY = 38, 39  # TCP_AO_ADD_KEY, TCP_AO_DEL_KEY
_KEY_LENGTH = 80  # TCP_AO_MAXKEYLEN
_MAC_LENGTH = 12  # RFC 5926 section 3.2: 96 bits with either algorithm
# struct tcp_ao_add behind its address: algorithm, interface index, flags, padding, prefix length, SendID,
# RecvID, MAC length, key flags, key length, key.  struct tcp_ao_del: the same without what is about the key.
_ADD = struct.Struct(f"=64siIHBBBBBB{_KEY_LENGTH}s")
_DELETE = struct.Struct("=iIHBBBBBB")


class AoAlgorithm(Enum):
    """The algorithms of RFC 5926, by their names in Linux."""

    HMAC_SHA_1 = "hmac(sha1)"
    AES_128_CMAC = "cmac(aes128)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AoKey:
    """A Master Key Tuple of RFC 5925 section 3.1: the `send_id` is the peer's receive_id, and the reverse.

    Raises ValueError, its text beginning with the field's name, for values that cannot be.
    """

    key: bytes
    send_id: int
    receive_id: int
    algorithm: AoAlgorithm = AoAlgorithm.HMAC_SHA_1

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= _KEY_LENGTH:
            raise ValueError(f"key: must have 1 to {_KEY_LENGTH} octets")
        for name in ("send_id", "receive_id"):
            if not 0 <= getattr(self, name) <= 255:
                raise ValueError(f"{name}: must be from 0 to 255")

    def __repr__(self) -> str:
        return f"<AoKey {self.send_id}/{self.receive_id} {self.algorithm.value}>"


Secret = bytes | AoKey
Network = IPv4Network | IPv6Network


def set_secret(sock: socket.socket, network: Network, secret: Secret, before: Secret | None = None) -> None:
    """Sign what goes to `network`, and demand it of what comes from there, in place of `before`.

    Raises OSError.
    """
    if isinstance(secret, bytes) and not isinstance(before, AoKey):
        set_md5_key(sock, network, secret)  # in place of another one
        return
    if before is not None:
        remove_secret(sock, network, before)
    if isinstance(secret, bytes):
        set_md5_key(sock, network, secret)
        return
    tail = _ADD.pack(
        secret.algorithm.value.encode(),
        *(0, 0, 0),
        *(network.prefixlen, secret.send_id, secret.receive_id, _MAC_LENGTH, 0, len(secret.key)),
        secret.key,
    )
    _set(sock, _ADD_KEY, sockaddr_storage(network) + tail)


def remove_secret(sock: socket.socket, network: Network, secret: Secret) -> None:
    """Sign and demand nothing any more; raise OSError.  What is not there is not missed."""
    with contextlib.suppress(FileNotFoundError):
        if isinstance(secret, bytes):
            set_md5_key(sock, network, None)
        else:
            tail = _DELETE.pack(0, 0, 0, network.prefixlen, secret.send_id, secret.receive_id, 0, 0, 0)
            _set(sock, _DELETE_KEY, sockaddr_storage(network) + tail)


def _set(sock: socket.socket, option: int, value: bytes) -> None:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            text = "this kernel has no TCP-AO: it takes Linux 6.7 with CONFIG_TCP_AO"
            raise Explained(error.errno, text) from None
        raise
