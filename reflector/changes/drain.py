"""Draining: what neighbors are told becomes their last choice, so that we may go away and nobody misses us.

Each export policy gets GRACEFUL_SHUTDOWN and LOCAL_PREF 0 behind it (RFC 8326), of sessions that are there
and of those that come; sessions stay.  It is drained when all of that has left for the neighbors.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bgp.aio.options import PeerOptions
from bgp.aio.peer import Peer
from bgp.policy import Policy
from bgp.policy.draining import Draining

if TYPE_CHECKING:
    from bgp.speaker import Speaker

# Seconds between two looks at what has left.
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Drained:
    """A neighbor and whether it has got, or its kernel has taken, all that it is to be told."""

    peer: Peer
    sent: bool


class Drain:
    """What of a speaker is drained: all of it, or some neighbors by name."""

    def __init__(self, speaker: "Speaker") -> None:
        self._speaker = speaker
        self.all = False
        self.names: set[str] = set()

    def begin(self, peer: Peer | None = None) -> list[Peer]:
        """Drain a neighbor, or everything, newcomers included; return who is told so."""
        if peer is None:
            self.all = True
        else:
            self.names.add(peer.name)
        self.renew()
        return [each for each in self._speaker.peers if each.member is not None and peer in (None, each)]

    def end(self, peer: Peer | None = None) -> None:
        """Drain a neighbor, or anything, no more."""
        if peer is None:
            self.all = False
            self.names.clear()
        else:
            self.names.discard(peer.name)
        self.renew()

    def renew(self) -> None:
        """Let all export policies be what they should be: behind a change of the configuration, too."""
        for peer in self._speaker.peers:
            options = peer.options
            drained = self.all or peer.name in self.names
            policy = _policy(options.export_policy, drained, internal=self._is_internal(peer))
            if policy != options.export_policy:
                peer.set_policies(options.import_policy, policy)
        for listen_range in self._speaker.listen_ranges:
            options = listen_range.options
            # For who comes from there; those who are there are peers like the others.
            policy = _policy(options.export_policy, self.all, internal=self._surely_internal(options))
            listen_range.options = replace(options, export_policy=policy)

    def _is_internal(self, peer: Peer) -> bool:
        negotiated = peer.negotiated
        return self._surely_internal(peer.options) if negotiated is None else negotiated.internal

    def _surely_internal(self, options: PeerOptions) -> bool:
        router = self._speaker.router
        return options.is_external(router.asn, router.confederation) is False

    async def sent(self, peers: Iterable[Peer], timeout: float) -> AsyncGenerator[Drained, None]:
        """Yield each of the neighbors when all has left for it, and those at the end that did not take it."""
        loop = asyncio.get_running_loop()
        until, left = loop.time() + timeout, dict.fromkeys(peers)
        # A turn of the loop makes messages of what has changed.
        await asyncio.sleep(_LOOK)
        while left:
            for peer in [each for each in left if _has_all(each)]:
                del left[peer]
                yield Drained(peer, True)
            if loop.time() >= until:
                break
            if left:
                await asyncio.sleep(_LOOK)
        for peer in left:
            yield Drained(peer, False)


def _policy(policy: Policy | None, drained: bool, *, internal: bool) -> Policy | None:
    before = policy.before if isinstance(policy, Draining) else policy
    # Without a policy an external peer is told nothing (RFC 8212), and so it stays.
    return Draining(before) if drained and (internal or before is not None) else before


def _has_all(peer: Peer) -> bool:
    member = peer.member
    return member is None or (not member.pending and not any(link.unsent for link in peer.connections))
