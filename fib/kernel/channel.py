"""pyroute2's socket, driven by hand: batches in, complaints out; dumps in portions.  All of it may block.

One batch is one send; when that returns, the kernel has looked at every message in it, and its complaints
and the one acknowledgment wait to be read.  Should they not all have come, nobody knows what became of the
others: they are told as lost, and whoever asked reads the table.
"""

import errno
import os
import socket
import struct
from contextlib import suppress

from pyroute2 import IPRSocket

from fib.backend import LOST, BackendError, Failure
from fib.kernel.netlink import (
    AF_INET,
    HEADER,
    NETLINK_CAP_ACK,
    NETLINK_EXT_ACK,
    NETLINK_GET_STRICT_CHK,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    ROUTE,
    RTM_NEWROUTE,
    SOL_NETLINK,
    failure,
    messages,
)

# A complaint costs some 830 octets of buffer: enough for a batch of which every message fails.
BUFFER = 4 << 20
_FORCE = {socket.SO_RCVBUF: 33, socket.SO_SNDBUF: 32}  # SO_RCVBUFFORCE, SO_SNDBUFFORCE
_TIMEOUT = 10.0
_RECEPTION = 1 << 17
_PORTION = 4  # receptions of some 32 KiB each

_PERMISSION = (
    "programming routes needs the capability CAP_NET_ADMIN in the namespace's user namespace"
    " (run as root, or setcap cap_net_admin+ep, or AmbientCapabilities=CAP_NET_ADMIN)"
)


class Channel:
    """One netlink socket, opened in the namespace of the thread that makes it."""

    def __init__(self, groups: int = 0, buffer: int = BUFFER) -> None:
        self._handle = IPRSocket(ext_ack=True, strict_check=True)
        self.socket: socket.socket = self._handle.socket
        for option, force in _FORCE.items():
            self.socket.setsockopt(socket.SOL_SOCKET, option, buffer)
            with suppress(PermissionError):
                self.socket.setsockopt(socket.SOL_SOCKET, force, buffer)
        for number in (NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK):
            with suppress(OSError):
                self.socket.setsockopt(SOL_NETLINK, number, 1)
        self.socket.bind((0, groups))
        self.socket.settimeout(_TIMEOUT)

    @property
    def port(self) -> int:
        """The number that the kernel notes as the author of what is written here."""
        return int(self.socket.getsockname()[0])

    @property
    def room(self) -> int:
        """How many complaints the buffer holds."""
        return int(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)) // 1024

    def close(self) -> None:
        self._handle.close()

    def check(self) -> None:
        """Raise BackendError where the process may not write routes at all."""
        # A destination of 255 bits is wrong for any family, so nothing is ever written.
        body = ROUTE.pack(AF_INET, 255, 0, 0, 0, 0, 0, 0, 0)
        self.socket.send(HEADER.pack(16 + len(body), RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK, 0, 0) + body)
        data = self.socket.recv(_RECEPTION)
        for start, end, kind, flags, _, _ in messages(data):
            if kind == NLMSG_ERROR:
                # The capability is asked for before the message is read.
                said = failure(data, start, end, flags)
                if said is not None and said.code == errno.EPERM:
                    raise BackendError(_PERMISSION)

    def transact(self, batch: bytes, count: int) -> dict[int, Failure]:
        """Send a batch of `count` messages and return the failures by sequence number."""
        failures: dict[int, Failure] = {}
        last = count - 1
        try:
            self.socket.send(batch)
            while True:
                data = self.socket.recv(_RECEPTION)
                for start, end, kind, flags, sequence, _ in messages(data):
                    if kind != NLMSG_ERROR:
                        continue
                    said = failure(data, start, end, flags)
                    if said is not None:
                        failures[sequence] = _worded(said)
                    if sequence == last:
                        return failures
        except TimeoutError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENOBUFS, errno.EMSGSIZE):
                raise
        return {number: failures.get(number, LOST) for number in range(count)}

    def request(self, message: bytes) -> None:
        """Begin a dump."""
        self.socket.send(message)

    def portion(self) -> tuple[list[bytes], bool]:
        """Return the next buffers of a dump, and whether it goes on behind them."""
        buffers = []
        for _ in range(_PORTION):
            data = self.socket.recv(_RECEPTION)
            buffers.append(data)
            if _may_end(data) and _ends(data):
                return buffers, False
        return buffers, True


def _may_end(data: bytes) -> bool:
    """Look at the end only: to walk every buffer here as well would cost as much as decoding it."""
    return len(data) < 30000 or data[-20:-14] == _DONE


_DONE = struct.pack("=IH", 20, NLMSG_DONE)


def _ends(data: bytes) -> bool:
    for start, _, kind, _, _, _ in messages(data):
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            code = -int(struct.unpack_from("=i", data, start + 16)[0])
            # A table that has never had a route does not exist (IPv4).
            if code not in (0, errno.ENOENT):
                raise OSError(code, f"dump failed: {os.strerror(code)}")
            return True
    return False


def _worded(said: Failure) -> Failure:
    return Failure(said.code, f"{said.words}: {_PERMISSION}") if said.code == errno.EPERM else said


def dump_request(kind: int, body: bytes) -> bytes:
    """Return the request to dump what `body` filters for."""
    return HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body
