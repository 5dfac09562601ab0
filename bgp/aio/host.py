"""What all connections of a speaker share, and how those end that are nobody's any more."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bgp.aio import sockopt
from bgp.aio.address import end_of
from bgp.aio.forwarding import Forwarding
from bgp.aio.home import Home
from bgp.aio.stream import Stream
from bgp.aio.tap import Taps
from bgp.aio.turn import Turns
from bgp.aio.waits import Waits
from bgp.aio.world import KERNEL, World
from bgp.router import Router
from bgp.session.config import Confederation, SessionConfig
from bgp.session.connection import Connection
from bgp.session.restart import RUNNING, RestartState
from bgp.wire.attributes import AttributeTable

# Connections with one address that may say their last words at once; beyond that they are cut off, so that
# a peer that dials in a loop cannot use up the descriptors.
_MOST_CLOSING = 8
# And so many in all, for many may do so together.
_MOST_CLOSING_IN_ALL = 1024
# RFC 5482: how long the kernel tries to deliver the end of a connection that is ours no more.
_ORPHAN_TIMEOUT = 10.0


class ConnectionMaker(Protocol):
    """What makes connections: `Connection` itself, or what stands before one, such as a recorder."""

    def __call__(
        self,
        config: SessionConfig,
        table: AttributeTable,
        *,
        incoming: bool,
        rng: Callable[[], float],
        restart: Callable[[], RestartState],
    ) -> Connection: ...


@dataclass(slots=True)
class Host:
    """What all links of a speaker share; `closing` are connections that say their last words.

    `crashes` counts the bugs of ours that ended a session.  Once the speaker is `leaving`, nobody new comes
    in, and everybody hears why it ends, however many they are.
    """

    asn: int
    identifier: int
    router: Router
    turns: Turns
    confederation: Confederation | None = None
    world: World = KERNEL
    connections: ConnectionMaker = Connection
    closing: dict[Stream, object] = field(default_factory=dict)
    home: Home = field(default_factory=Home)
    forwarding: Forwarding | None = None
    restart: RestartState = RUNNING  # what our OPENs say
    crashes: int = 0
    leaving: bool = False
    waits: Waits = field(init=False)
    taps: Taps = field(default_factory=Taps)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _closing_at: Counter[object] = field(default_factory=Counter)  # how many of `closing`, by address

    def __post_init__(self) -> None:
        self.waits = Waits(self.router, self.turns)

    def part(self, stream: Stream, final: bytes) -> None:
        """Let a connection end by itself, with `final` as its last message."""
        remote = end_of(stream.socket.getpeername)
        address = None if remote is None else remote.address
        most = len(self.closing) >= _MOST_CLOSING_IN_ALL and not self.leaving
        if most or self._closing_at[address] >= _MOST_CLOSING:
            stream.abort()
            return
        with contextlib.suppress(OSError):
            sockopt.set_user_timeout(stream.socket, _ORPHAN_TIMEOUT)
        self.closing[stream] = address
        self._closing_at[address] += 1
        self._quiet.clear()
        stream.finish((final,) if final else (), lambda: self._parted(stream))

    async def drained(self, timeout: float) -> None:
        """Wait until no connection is about to end, at most so many seconds."""
        if self.closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), timeout)

    def _parted(self, stream: Stream) -> None:
        address = self.closing.pop(stream, None)
        self._closing_at[address] -= 1
        if not self._closing_at[address]:
            del self._closing_at[address]
        if not self.closing:
            self._quiet.set()
