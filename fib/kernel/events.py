"""What others do to the tables, as it happens: a socket of its own, and a filter that keeps our own echo out.

The kernel tells of every route that is written, ours as well, with the port number of who wrote it.  A filter
in the kernel drops those of ours, so they cost nothing here.  Lost events are no error but an event:
`Overflow`.
"""

import asyncio
import ctypes
import errno
import select
import socket
import struct
from collections.abc import Callable

from fib.backend import AddressChanged, Event, LinkChanged, Overflow, RouteChanged
from fib.kernel.channel import Channel
from fib.kernel.interfaces import Interfaces, link
from fib.kernel.netlink import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV4_ROUTE,
    RTMGRP_IPV6_IFADDR,
    RTMGRP_IPV6_ROUTE,
    RTMGRP_LINK,
    messages,
)
from fib.kernel.read import Reader
from fib.route import Entry

GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
_SO_ATTACH_FILTER = 26
_BURST = 32  # receptions in one turn of the loop
_RECEPTION = 1 << 16


class Events:
    """Reads events of `channel` on the running loop and hands them to `listener`, one by one."""

    def __init__(
        self, channel: Channel, interfaces: Interfaces, reader: Reader, renamed: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._interfaces = interfaces
        self._reader = reader
        self._renamed = renamed
        self._listener: Callable[[Event], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Lost events are an error of the socket, and libuv stops to poll what has one, without a word: it
        # is given a descriptor that is readable then and never has an error.
        self._poll = select.epoll()

    @property
    def socket(self) -> socket.socket:
        return self._channel.socket

    def open(self, listener: Callable[[Event], None]) -> None:
        self._listener = listener
        self._channel.socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._poll.register(self._channel.socket, select.EPOLLIN)
        self._loop.add_reader(self._poll.fileno(), self._readable)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._poll.fileno())
            self._loop = None
        self._poll.close()
        self._channel.close()

    def _readable(self) -> None:
        for _ in range(_BURST):
            try:
                data = self._channel.socket.recv(_RECEPTION)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._tell(Overflow())
                continue
            for start, end, kind, _, _, _ in messages(data):
                self._message(data, start, end, kind)

    def _message(self, data: bytes, start: int, end: int, kind: int) -> None:
        if kind in (RTM_NEWROUTE, RTM_DELROUTE):
            read = self._reader.read(data, start, end)
            if read is not None and read[2] is not None:
                family, prefix = read[:2]
                route, protocol, table = read[2]
                entry = Entry(family, prefix, route, protocol, table)
                self._tell(RouteChanged(entry, kind == RTM_DELROUTE))
        elif kind == RTM_NEWLINK:
            if data[start + 16]:
                # With a family it is of a bridge's port, not of the interface.
                return
            made = link(data, start, end)
            if self._interfaces.put(made):
                self._renamed()
            self._tell(LinkChanged(made))
        elif kind == RTM_DELLINK:
            if data[start + 16]:
                return
            gone = link(data, start, end)
            self._interfaces.remove(gone)
            self._renamed()
            self._tell(LinkChanged(gone, gone=True))
        elif kind in (RTM_NEWADDR, RTM_DELADDR):
            address = self._interfaces.address(data, start, end)
            if address is not None:
                self._tell(AddressChanged(address, kind == RTM_DELADDR))

    def _tell(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)


def ignore(listening: socket.socket, port: int) -> None:
    """Have the kernel drop what `port` caused before it reaches `listening`."""
    # The filter loads octets as a big-endian word, and the header's port is in the machine's order.
    number = int.from_bytes(struct.pack("=I", port), "big")
    program = b"".join(
        (
            struct.pack("=HBBI", 0x20, 0, 0, 12),  # load the word at 12, the port of an nlmsghdr
            struct.pack("=HBBI", 0x15, 0, 1, number),  # if it is ours, go on, else skip one
            struct.pack("=HBBI", 0x06, 0, 0, 0),  # drop
            struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF),  # keep all of it
        )
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog, whose pointer is aligned as the machine does it.
    said = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, said)
