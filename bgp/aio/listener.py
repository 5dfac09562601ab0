"""A listening socket on the event loop: who may come in is decided before anything is built for him.

Asyncio's own server makes a transport and a protocol for whoever connects and has one backlog for all;
here an accepted socket is first looked at (address, limits), and costs nothing more if it is refused.  A
turn of the loop takes a bounded number of connections, in a bounded time, so that a flood of them does not
hold up sessions.
When descriptors run out a reserve one is spent to accept and close: otherwise the connection would stay
in the queue and the loop would spin on it.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from bgp.aio.address import Endpoint, from_sockaddr
from bgp.aio.demand import Demand
from bgp.aio.signing import Network, Secret, remove_secret, set_secret
from bgp.aio.sockopt import largest_backlog, set_minimum_ttl, set_ttl
from bgp.aio.turn import SLICE
from bgp.aio.world import KERNEL, World

logger = logging.getLogger(__name__)

ACCEPTS_PER_TURN = 64
# Where accept itself fails for want of memory or descriptors, it is tried again after this many seconds.
PAUSE = 0.1

_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_OUT_OF_MEMORY = frozenset({errno.ENOBUFS, errno.ENOMEM})

# Takes the socket and returns True, or leaves it to be closed; told the local and the remote end.
Admit = Callable[[socket.socket, Endpoint, Endpoint], bool]


class Listener:
    """Accept connections on one address and hand them to `admit`."""

    def __init__(
        self, endpoint: Endpoint, admit: Admit, asked: Demand | None = None, world: World = KERNEL
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._admit = admit
        self.wanted = endpoint  # its port may be 0, which the system chooses
        self._reserve: int | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._keys: dict[Network, Secret] = {}
        self._ttls: tuple[int | None, int] = (None, 0)
        self._socket = world.listening(endpoint)
        self._silent_until = 0.0  # what goes on is logged once a minute
        self.accepted = 0
        self.refused = 0
        self.out_of_descriptors = 0
        try:
            self.endpoint = from_sockaddr(self._socket.getsockname())
            # Before anybody can connect.
            self.ask(asked or Demand())
            self._socket.listen(largest_backlog())
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Stop listening; connections that were accepted go on."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    @property
    def is_open(self) -> bool:
        """Whether it was not closed."""
        return self._socket.fileno() >= 0

    def ask(self, asked: Demand) -> None:
        """Ask this of whoever connects from now on; raise OSError."""
        self.set_keys(asked.keys)
        if self._ttls != (asked.ttl, asked.minimum_ttl):
            self._ttls = asked.ttl, asked.minimum_ttl
            set_ttl(self._socket, -1 if asked.ttl is None else asked.ttl)
            set_minimum_ttl(self._socket, asked.minimum_ttl)

    def set_keys(self, wanted: Mapping[Network, Secret]) -> None:
        """Demand these keys of whoever connects from these networks, and no others; raise OSError.

        Networks of the other family are none of this listener's business.
        """
        version = self.endpoint.address.version
        # First what is new: nobody who needs a key finds none in between.
        for network, key in wanted.items():
            if network.version == version and self._keys.get(network) != key:
                set_secret(self._socket, network, key, self._keys.get(network))
                self._keys[network] = key
        for network in [network for network in self._keys if network not in wanted]:
            remove_secret(self._socket, network, self._keys.pop(network))

    def _accept(self) -> None:
        end = self._loop.time() + SLICE
        try:
            for _ in range(ACCEPTS_PER_TURN):
                self._accept_one()
                if self._loop.time() >= end:
                    return
        except BlockingIOError:
            return  # the queue is empty
        except OSError as error:
            self._rest(error)

    def _accept_one(self) -> None:
        """Take one connection; raise BlockingIOError if none waits, OSError if none can be taken now."""
        try:
            sock, sockaddr = self._socket.accept()
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS and self._reserve is not None:
                self._spend_reserve()
            elif error.errno in _OUT_OF_DESCRIPTORS or error.errno in _OUT_OF_MEMORY:
                raise
            # Else the connection was gone before we came to it (accept(2), "Error handling").
            return
        try:
            self._handle(sock, sockaddr)
        except Exception:
            logger.exception("cannot take the connection from %s", sockaddr)
            sock.close()

    def _handle(self, sock: socket.socket, sockaddr: tuple[str, int]) -> None:
        sock.setblocking(False)  # of all that the listening socket has, this is not inherited
        try:
            local = from_sockaddr(sock.getsockname())
        except OSError:
            sock.close()  # it was reset meanwhile
            return
        if self._admit(sock, local, from_sockaddr(sockaddr)):
            self.accepted += 1
        else:
            self.refused += 1
            sock.close()

    def _spend_reserve(self) -> None:
        """Accept one connection in place of the reserve descriptor, and close it; raise as accept does."""
        assert self._reserve is not None
        os.close(self._reserve)
        self._reserve = None
        try:
            self._socket.accept()[0].close()
        finally:
            self._refill()
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + Refusals.INTERVAL
            logger.error("out of file descriptors: connections to %s are closed", self.endpoint)
        self.out_of_descriptors += 1

    def _refill(self) -> None:
        if self._reserve is None:
            try:
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._reserve = None

    def _rest(self, error: OSError) -> None:
        """Look away for a moment, since the queue stays readable."""
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + Refusals.INTERVAL
            logger.error("cannot accept on %s: %s", self.endpoint, error.strerror)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._refill()
        self._loop.add_reader(self._socket, self._accept)


class Listeners:
    """The listening sockets of a speaker, and what all of them ask of who connects."""

    def __init__(self, world: World = KERNEL) -> None:
        self._world = world
        self._open: list[Listener] = []
        self._asked = Demand()

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._open)

    def open(self, endpoints: Iterable[Endpoint], admit: Admit) -> None:
        """Listen on all of these addresses, or raise OSError that names one and listen on none."""
        try:
            for endpoint in endpoints:
                try:
                    self._open.append(Listener(endpoint, admit, self._asked, self._world))
                except OSError as error:
                    raise OSError(error.errno, f"cannot listen on {endpoint}: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

    def change(self, endpoints: Sequence[Endpoint], admit: Admit) -> None:
        """Listen on these addresses and on no others; raise OSError that names one, with nothing changed.

        Where an address is listened on already, nobody notices anything.
        """
        kept = [each for each in self._open if each.wanted in endpoints]
        left = [each for each in self._open if each.wanted not in endpoints]
        known = {each.wanted for each in kept}
        new = [each for each in endpoints if each not in known]
        self._open = []
        try:
            try:
                self.open(new, admit)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not left:
                    raise
                # It may be one of those that we leave who is in the way: 0.0.0.0 is all addresses.
                for listener in left:
                    listener.close()
                self._reopen(new, left, admit)
                left = []
        except BaseException:
            self._open += kept + [each for each in left if each.is_open]
            raise
        self._open += kept
        for listener in left:
            listener.close()

    def _reopen(self, new: Sequence[Endpoint], left: Sequence["Listener"], admit: Admit) -> None:
        """Open the new ones behind the end of the old ones, or else those again."""
        try:
            self.open(new, admit)
        except OSError:
            self.open([each.endpoint for each in left], admit)
            for before, again in zip(left, self._open, strict=True):
                again.wanted = before.wanted
            raise

    def close(self) -> None:
        """Listen no more."""
        for listener in self._open:
            listener.close()
        self._open.clear()

    @property
    def asks(self) -> bool:
        """Whether anything is asked at all."""
        return self._asked != Demand()

    def ask(self, asked: Demand) -> None:
        """Ask this of whoever connects, now and whenever opened; raise OSError with nothing changed."""
        try:
            for listener in self._open:
                listener.ask(asked)
        except BaseException:
            for listener in self._open:
                with contextlib.suppress(OSError):
                    listener.ask(self._asked)
            raise
        self._asked = asked


class Refusals:
    """Counts connections that were refused, and says once per address and minute that one should be logged.

    Table and log are bounded: under a flood from many addresses only the first `size` a minute are named.
    """

    INTERVAL = 60.0

    def __init__(self, size: int = 1024) -> None:
        self.total = 0
        self._size = size
        self._logged: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._logged)

    def add(self, host: str, now: float) -> int | None:
        """Count a refusal; return None, or where it is to be logged how many were silent since the last."""
        self.total += 1
        logged, silent = self._logged.get(host, (-self.INTERVAL, 0))
        if now - logged < self.INTERVAL and host in self._logged:
            self._logged[host] = (logged, silent + 1)
            return None
        if host not in self._logged and len(self._logged) >= self._size:
            oldest, (since, _) = next(iter(self._logged.items()))
            if now - since < self.INTERVAL:
                return None
            del self._logged[oldest]
        self._logged[host] = (now, 0)
        self._logged.move_to_end(host)
        return silent
