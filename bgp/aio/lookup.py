"""Looking things up while the loop runs: small answers at once, big ones in slices, as an async iterator.

An answer that comes in slices is of no single moment (`bgp.rib.walk`).  What is there from the first slice to
the last and does not change is in it, once.  What changes meanwhile is there as it was found, and may be
found twice or not at all; who must have all of it follows it with `Speaker.watch`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar

from bgp.aio import arguments
from bgp.aio.home import Home
from bgp.aio.peer import Peer
from bgp.family import Family
from bgp.rib.path import Path
from bgp.rib.walk import Walk
from bgp.router import Router
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes

T = TypeVar("T")
Network = IPv4Network | IPv6Network
Destination = str | Network | IPv4Address | IPv6Address

# So many prefixes are looked at between two looks at the time, and for so many seconds between two looks at
# the rest of the loop's work: where that is much, a slice has to wait long for its turn.
_STEP = 256
_SLICE = 0.002


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix and its paths, the best one first if any is usable; refused ones are among them."""

    family: Family
    octets: bytes
    paths: tuple[Path, ...]

    @property
    def best(self) -> Path | None:
        """The best path, None where none is usable."""
        return self.paths[0] if self.paths and self.paths[0].usable else None

    @property
    def prefix(self) -> str:
        """The prefix in the usual notation."""
        return nlri.text(self.family, self.octets)

    @property
    def network(self) -> Network:
        """The prefix as a network of the standard library."""
        return nlri.network(self.family, self.octets)

    def __str__(self) -> str:
        return f"{self.prefix}: {len(self.paths)} path{'' if len(self.paths) == 1 else 's'}"


class Rib:
    """The routes of a speaker, as `Speaker.rib`."""

    def __init__(self, router: Router, home: Home) -> None:
        self._router = router
        self._home = home

    def exact(self, prefix: str | Network) -> Route | None:
        """Return the route to `prefix`, None if there is none; `Speaker.explain` says why each path of it is
        best, lost or was refused."""
        self._home.check()
        family, octets = arguments.prefix("prefix", prefix)
        paths = self._router.rib.lookup(family, octets)
        return Route(family, octets, paths) if paths else None

    def longest_match(self, destination: Destination) -> Route | None:
        """Return the usable route that traffic to an address, or to all of a prefix, follows."""
        self._home.check()
        family, octets = arguments.prefix("destination", destination)
        found = self._router.rib.longest_match(family, octets)
        return None if found is None else self._route(family, found)

    def covering(self, destination: Destination) -> Iterator[Route]:
        """Yield the routes to `destination` and to all that covers it, the most specific one first."""
        self._home.check()
        family, octets = arguments.prefix("destination", destination)
        for found in self._router.rib.covering(family, octets):
            yield self._route(family, found)

    async def covered(self, prefix: str | Network) -> AsyncIterator[Route]:
        """Yield the routes to `prefix` and to all more specific ones, in slices."""
        self._home.check()
        family, octets = arguments.prefix("prefix", prefix)
        async for found, paths in slices(self._router.rib.walk_within(family, octets), self._home):
            yield Route(family, found, paths)

    async def routes(self, family: Family) -> AsyncIterator[Route]:
        """Yield all routes of `family`, in slices."""
        self._home.check()
        arguments.family("family", family)
        async for found, paths in slices(self._router.rib.walk_within(family, b"\0"), self._home):
            yield Route(family, found, paths)

    async def received(self, peer: Peer, family: Family) -> AsyncIterator[tuple[str, Path]]:
        """Yield what `peer` told us, refused paths included, in slices."""
        self._home.check()
        arguments.instance("peer", peer, Peer, "a Peer")
        arguments.family("family", family)
        member = peer.member
        if member is not None and family in member.negotiated.families:
            async for found, path in slices(self._router.rib.walk_received(member, family), self._home):
                yield nlri.text(family, found), path

    async def advertised(self, peer: Peer, family: Family) -> AsyncIterator[tuple[str, Attributes]]:
        """Yield what we told `peer`, as it went out, in slices; it ends when the session does."""
        self._home.check()
        arguments.instance("peer", peer, Peer, "a Peer")
        arguments.family("family", family)
        member = peer.member
        if member is None or family not in member.negotiated.families:
            return
        if family in member.packer.defaults:
            first = next(self._router.rib.advertised(member, family))
            yield nlri.text(family, first.prefix), first.attributes
        async for sent in slices(self._router.rib.walk_advertised(member, family), self._home):
            if peer.member is not member:
                return
            yield nlri.text(family, sent.prefix), sent.attributes

    def _route(self, family: Family, prefix: bytes) -> Route:
        return Route(family, prefix, self._router.rib.lookup(family, prefix))


async def slices(walk: Walk[T], home: Home) -> AsyncIterator[T]:
    """Yield what a walk finds, and let the loop turn when a slice of its time is used up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _SLICE
    while not walk.done:
        home.check()
        for found in walk.step(_STEP):
            yield found
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + _SLICE
