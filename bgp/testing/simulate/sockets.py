"""Sockets of the network in memory, with what TCP and Linux do to who uses them.

A write is taken in part or not at all where the peer does not read; a read gives any part of what is there;
FIN comes behind all octets; who closes with octets unread, or with SO_LINGER at zero, sends a RST, and so
does a host to which something comes for a connection that it does not know.
"""

import asyncio
import errno
import os
import socket
import struct
from collections import deque
from typing import Any

from bgp.testing.simulate.net import Host

_NO_LINGER = struct.pack("ii", 1, 0)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class VirtualSocket:
    """One end of a connection, or what will be one."""

    __slots__ = (
        "_fin",
        "_inbox",
        "_inside",
        "_remote",
        "_room",
        "_shut",
        "_silenced",
        "_unreleased",
        "aborted",
        "closed",
        "error",
        "family",
        "host",
        "latest",
        "linger",
        "local",
        "next_read",
        "other",
        "reader",
        "writer",
    )

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        self.family = socket.AF_INET
        self.local = (str(host.address), port)
        self._remote: tuple[str, int] | None = None
        self.other: VirtualSocket | None = None
        self.reader: asyncio.Handle | None = None
        self.writer: asyncio.Handle | None = None
        self.closed = False  # by its owner
        self.aborted = False  # what it sent is no longer sent again
        self.error = 0
        self.linger = True
        self.latest = 0.0  # when that arrives which was sent last
        self.next_read = 0.0
        self._inbox: deque[bytes] = deque()
        self._inside = 0
        self._room = host.net.conditions.buffer  # that the other end has for us
        self._unreleased = 0
        self._fin = False  # the other end's
        self._shut = False  # we sent ours
        self._silenced = False  # we want to read no more

    # --- the loop's view -------------------------------------------------------------------------------
    def readable(self) -> bool:
        return self._may_read and bool(self._inside or self._fin or self.error or self._silenced)

    def writable(self) -> bool:
        return self._room > 0 or bool(self.error)

    # --- what its owner calls --------------------------------------------------------------------------
    def fileno(self) -> int:
        return -1 if self.closed else 1

    def setblocking(self, flag: bool) -> None:
        """Never block, whatever is asked."""

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Heed SO_LINGER; TTLs, keys and classes mean nothing here."""
        if level == socket.SOL_SOCKET and option == socket.SO_LINGER:
            self.linger = value != _NO_LINGER

    def getsockname(self) -> tuple[str, int]:
        if self.closed:
            raise _error(errno.EBADF)
        return self.local

    def getpeername(self) -> tuple[str, int]:
        if self.closed or self._remote is None or self.other is None or self.aborted:
            raise _error(errno.ENOTCONN)
        return self._remote

    def connect(self, address: tuple[Any, ...], done: "asyncio.Future[None]") -> None:
        """Send a SYN."""
        net = self.host.net
        self._remote = (address[0], address[1])
        target = net.by_address.get(address[0])
        if target is None:
            net.loop.happen(net.loop.now + 1.0, _fail, done, errno.EHOSTUNREACH)
            return
        net.carry(self.host, target, self, target_of, self, target, address[1], done)

    def send(self, data: bytes) -> int:
        if self.closed:
            raise _error(errno.EBADF)
        self._raise()
        if self._shut:
            raise _error(errno.EPIPE)
        net, other = self.host.net, self.other
        assert other is not None
        size = min(len(data), self._room)
        if not data:
            return 0
        if size <= 0:
            raise BlockingIOError(errno.EAGAIN, "no room")
        chop = net.conditions.chop
        if chop and size > 1 and net.chance.random() < chop:
            size = net.chance.randrange(1, size)
        self._room -= size
        net.carry(self.host, other.host, self, other._arrive, self, bytes(data[:size]))
        return size

    def recv(self, size: int) -> bytes:
        if self.closed:
            raise _error(errno.EBADF)
        host = self.host
        net = host.net
        if not self._may_read:
            raise BlockingIOError(errno.EAGAIN, "not yet")
        if not self._inside:
            self._raise()
            if self._fin or self._silenced:
                return b""
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        if host.sip is not None:
            size = min(size, host.sip[0])
            self.next_read = net.loop.now + host.sip[1]
            net.loop.happen(self.next_read, net.loop.look_at, self)
        elif net.conditions.chop and net.chance.random() < net.conditions.chop:
            size = min(size, net.chance.randrange(1, self._inside + 1))
        data = self._inbox.popleft()
        while len(data) < size and self._inbox:
            data += self._inbox.popleft()
        if len(data) > size:
            self._inbox.appendleft(data[size:])
            data = data[:size]
        self._inside -= len(data)
        other = self.other
        if other is not None:
            way = net.way(host, other.host)
            if way.cut:
                way.held.append((self, other._release, (len(data),)))
            else:
                other._release(len(data))
        return data

    def shutdown(self, how: int) -> None:
        if self.closed:
            raise _error(errno.EBADF)
        if self.other is None or self.aborted:
            raise _error(errno.ENOTCONN)
        if how == socket.SHUT_RDWR:
            self._silenced = True
            self.host.net.loop.look_at(self)
        if not self._shut:
            self._shut = True
            self.host.net.carry(self.host, self.other.host, self, self.other._finish, self)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._forget()
        other, net = self.other, self.host.net
        if other is None or self.aborted:
            return
        if self._inside or not self.linger:
            self._abort()
        elif not self._shut:
            self._shut = True
            net.carry(self.host, other.host, self, other._finish, self)

    def sever(self) -> None:
        """Be gone as far as the network knows; the owner finds that out by itself."""
        self.aborted = True
        self.error = self.error or errno.ECONNRESET
        self.host.net.loop.look_at(self)

    def die(self) -> None:
        """Be closed by the kernel of a process that ended."""
        if self.other is not None and not self.aborted:
            if self._inside:
                self._abort()
            elif not self._shut:
                self.host.net.carry(self.host, self.other.host, self, self.other._finish, self)
        self.sever()

    def reset(self) -> None:
        """Hear of a RST that somebody on the way made up."""
        self._reset()

    def finish(self) -> None:
        """Hear of a FIN that somebody on the way made up."""
        self._finish(self)

    # --- what comes from the network ---------------------------------------------------------------------
    def met(self, other: "VirtualSocket") -> None:
        """Be connected with `other`."""
        self.other = other
        self._remote = other.local

    def _arrive(self, sender: "VirtualSocket", data: bytes) -> None:
        net = self.host.net
        if self.closed or self.aborted:
            # Even a connection that is closed in order answers octets that nobody will read.
            self.aborted = True
            net.carry(self.host, sender.host, None, sender._reset)
            return
        net.note(sender, self, data)
        self._inbox.append(data)
        self._inside += len(data)
        net.loop.look_at(self)

    def _finish(self, sender: "VirtualSocket") -> None:
        if self.aborted:
            self.host.net.carry(self.host, sender.host, None, sender._reset)
            return
        self._fin = True
        if not self.closed:
            self.host.net.loop.look_at(self)

    def _reset(self) -> None:
        if self.aborted:
            return
        self.aborted = True
        if self.closed:
            return
        self.error = errno.ECONNRESET
        if self.host.net.chance.random() < 0.5:  # systems differ in what becomes of octets that wait
            self._inbox.clear()
            self._inside = 0
        self.host.net.loop.look_at(self)

    def _release(self, octets: int) -> None:
        if self._room <= 0:
            self.host.net.loop.look_at(self)
        self._room += octets

    # --- internals -------------------------------------------------------------------------------------
    @property
    def _may_read(self) -> bool:
        return self.host.reading and self.next_read <= self.host.net.loop.now

    def _abort(self) -> None:
        self.aborted = True
        other = self.other
        if other is not None:
            net = self.host.net
            way = net.way(self.host, other.host)
            when = self.latest = net.arrival(way, self.latest)
            net.loop.happen(when, net._cross, way, other.host, None, other._reset, ())

    def _raise(self) -> None:
        """Report a failure once; writing again is EPIPE."""
        if self.error:
            number, self.error = self.error, 0
            self._fin = self._silenced = self._shut = True
            raise _error(number)

    def _forget(self) -> None:
        self.reader = self.writer = None
        self.host.sockets.pop(self, None)


class ListeningSocket:
    """A socket that connections come in by."""

    other: VirtualSocket | None = None

    __slots__ = ("_host", "_waiting", "closed", "family", "port", "reader", "writer")

    def __init__(self, host: Host, port: int) -> None:
        if port in host.listeners:
            raise _error(errno.EADDRINUSE)
        self._host = host
        self.port = port
        self.family = socket.AF_INET
        self.reader: asyncio.Handle | None = None
        self.writer: asyncio.Handle | None = None
        self.closed = False
        self._waiting: list[VirtualSocket] = []
        host.sockets[self] = None
        host.listeners[port] = self

    def readable(self) -> bool:
        return bool(self._waiting)

    def writable(self) -> bool:
        return False

    def connect(self, address: tuple[Any, ...], done: "asyncio.Future[None]") -> None:
        raise _error(errno.EISCONN)

    def fileno(self) -> int:
        return -1 if self.closed else 1

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Heed nothing."""

    def getsockname(self) -> tuple[str, int]:
        return str(self._host.address), self.port

    def listen(self, backlog: int) -> None:
        """Take connections from now on."""

    def accept(self) -> tuple[VirtualSocket, tuple[str, int]]:
        if not self._waiting:
            raise BlockingIOError(errno.EAGAIN, "nobody waits")
        net = self._host.net
        at = net.chance.randrange(len(self._waiting)) if net.conditions.reorder else 0
        sock = self._waiting.pop(at)
        self._host.sockets[sock] = None
        assert sock._remote is not None
        return sock, sock._remote

    def close(self) -> None:
        self.closed = True
        self.reader = self.writer = None
        self._host.sockets.pop(self, None)
        for sock in self._waiting:
            sock.linger = False
            sock.close()
        self.sever()

    def die(self) -> None:
        """Be closed by the kernel of a process that ended."""
        self.sever()

    def sever(self) -> None:
        """Be gone as far as the network knows."""
        if self._host.listeners.get(self.port) is self:
            del self._host.listeners[self.port]
        for sock in self._waiting:
            sock.sever()
        self._waiting.clear()

    def take(self, sock: VirtualSocket) -> None:
        """Let a connection wait to be accepted."""
        self._waiting.append(sock)
        self._host.net.loop.look_at(self)


def target_of(dialing: VirtualSocket, host: Host, port: int, done: "asyncio.Future[None]") -> None:
    """Let a SYN arrive."""
    net = host.net
    listener = host.listeners.get(port)
    if listener is None:
        net.carry(host, dialing.host, None, _fail, done, errno.ECONNREFUSED)
        return
    if dialing.closed:
        return
    accepted = VirtualSocket(host, port)
    accepted.met(dialing)
    net.carry(host, dialing.host, accepted, _connected, dialing, accepted, listener, done)


def _connected(
    dialing: VirtualSocket, accepted: VirtualSocket, listener: ListeningSocket, done: "asyncio.Future[None]"
) -> None:
    """Let a SYN-ACK arrive."""
    net = dialing.host.net
    if dialing.closed or done.done():
        net.carry(dialing.host, accepted.host, None, accepted._reset)
        return
    dialing.met(accepted)
    done.set_result(None)
    net.carry(dialing.host, accepted.host, dialing, _acknowledged, accepted, listener)


def _acknowledged(accepted: VirtualSocket, listener: ListeningSocket) -> None:
    if accepted.aborted:
        return
    if accepted.host.listeners.get(listener.port) is not listener:
        accepted.linger = False
        accepted.close()
    else:
        listener.take(accepted)


def _fail(done: "asyncio.Future[None]", number: int) -> None:
    if not done.done():
        done.set_exception(_error(number))
