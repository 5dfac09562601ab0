"""Who is a peer: those that are configured, and whoever connects from within a listen range."""

import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from socket import if_indextoname

from bgp.aio.address import Endpoint
from bgp.aio.demand import Caller
from bgp.aio.identity import Identities
from bgp.aio.options import PeerOptions
from bgp.aio.peer import Peer, PeerKey

logger = logging.getLogger("bgp.speaker")

Network = IPv4Network | IPv6Network


@dataclass(eq=False, slots=True)
class ListenRange:
    """A prefix whose addresses may connect without being configured one by one.

    Each that does is a peer with `options` of its own until its last connection is gone; at most `limit` of
    them are there at a time.  Those that have no session yet are in `opening`, the oldest first, and make
    room for who comes.
    """

    prefix: Network
    options: PeerOptions
    limit: int
    peers: set[Peer] = field(default_factory=set)
    opening: dict[Peer, None] = field(default_factory=dict)

    def warn(self) -> None:
        """Say in the log if the range takes nobody."""
        if self.options.blocked:
            logger.error("listen range %s: kept down: %s", self.prefix, self.options.blocked)


class Roster:
    """The peers of a speaker, by address and by name, and its listen ranges, the most specific ones first."""

    __slots__ = ("_by_key", "_by_name", "identities", "ranges")

    def __init__(self) -> None:
        self._by_key: dict[PeerKey, Peer] = {}
        self._by_name: dict[str, Peer] = {}
        self.identities = Identities()
        self.ranges: list[ListenRange] = []

    @property
    def peers(self) -> Collection[Peer]:
        """All of them, those that came from listen ranges included."""
        return self._by_key.values()

    def named(self, name: str) -> Peer | None:
        """Return the peer with a name."""
        return self._by_name.get(name)

    def __contains__(self, peer: Peer) -> bool:
        return self._by_key.get(peer.key) is peer

    def check(self, peer: Peer) -> None:
        """Raise ValueError if there is a peer with the address or the name of `peer`."""
        if peer.key in self._by_key:
            raise ValueError(f"address: there is a peer {self._by_key[peer.key].name} already")
        if peer.name in self._by_name:
            raise ValueError(f"name: there is a peer {peer.name} already")

    def add(self, peer: Peer, listen_range: ListenRange | None = None) -> None:
        """Add a peer that has come from a listen range, or was configured; raise as `check` does."""
        self.check(peer)
        self._by_key[peer.key] = self._by_name[peer.name] = peer
        if listen_range is not None:
            listen_range.peers.add(peer)

    def remove(self, peer: Peer) -> None:
        """Take a peer out, and out of its listen range."""
        del self._by_key[peer.key], self._by_name[peer.name]
        self.identities.forget(peer)
        for each in self.ranges:
            each.peers.discard(peer)
            each.opening.pop(peer, None)

    def add_range(self, added: ListenRange) -> None:
        """Add a listen range; raise ValueError if there is one with its prefix."""
        if any(each.prefix == added.prefix for each in self.ranges):
            raise ValueError(f"prefix: {added.prefix} is a listen range already")
        self.ranges.append(added)
        self.ranges.sort(key=lambda each: each.prefix.prefixlen, reverse=True)

    def established(self, peer: Peer) -> None:
        """Note that a peer has a session, and with which router."""
        if peer.dynamic:
            for each in self.ranges:
                each.opening.pop(peer, None)
        self.identities.note(peer)

    def find(self, local: Endpoint, remote: Endpoint) -> Peer | None:
        """Return the peer that a connection is from."""
        exact = self._by_key.get((local.address, remote.address, remote.scope))
        found = exact or self._by_key.get((None, remote.address, remote.scope))
        if found is None and remote.scope:
            with contextlib.suppress(OSError):
                interface = if_indextoname(remote.scope)
                return self._by_key.get((None, IPv6Address("::"), interface))
        return found

    def range_of(self, remote: Endpoint) -> ListenRange | None:
        """Return the most specific listen range with the address."""
        return next((each for each in self.ranges if remote.address in each.prefix), None)

    def callers(self) -> list[Caller]:
        """Return what listening sockets must ask of whom."""
        found = [each.caller for each in self.peers if not each.dynamic]
        found += [Caller(each.prefix, each.options.secret, each.options.minimum_ttl) for each in self.ranges]
        return found
