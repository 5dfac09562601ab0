"""Which router each peer says it is: two peers that say the same are told of it in the log (RFC 6286)."""

from ipaddress import IPv4Address

from bgp.aio.peer import Peer


class Identities:
    """Who said last that it is which router: (AS number, identifier)."""

    __slots__ = ("_peers", "_said")

    def __init__(self) -> None:
        self._said: dict[Peer, tuple[int, int]] = {}
        self._peers: dict[tuple[int, int], set[Peer]] = {}

    def __len__(self) -> int:
        """How many peers have said it."""
        return len(self._said)

    def note(self, peer: Peer) -> None:
        """Note the router at the other end of the peer's session, and warn if another peer is the same."""
        session = peer.negotiated
        if session is None:
            return
        router = session.remote_as, session.remote_identifier
        self.forget(peer)
        self._said[peer] = router
        namesakes = self._peers.setdefault(router, set())
        for other in namesakes:
            theirs = other.negotiated
            # RFC 6286 section 2.1 wants them unique within an AS.  A session each for IPv4 and IPv6 is fine.
            if theirs is None or set(theirs.families).isdisjoint(session.families):
                continue
            identifier = IPv4Address(session.remote_identifier)
            peer.alarm(
                f"its BGP Identifier {identifier} is also that of {other.name} in AS {session.remote_as}, "
                "where it must be unique (RFC 6286 2.1)"
            )
        namesakes.add(peer)

    def forget(self, peer: Peer) -> None:
        """Forget what a peer has said."""
        router = self._said.pop(peer, None)
        if router is not None:
            self._peers[router].discard(peer)
            if not self._peers[router]:
                del self._peers[router]
