"""Which of two connections with the same peer is kept (RFC 4271 section 6.8, RFC 6286 section 2.3).

The owner of a peer's connections asks `decide` about each pair of a connection and another one of the peer,

* when the connection delivers `Opened`: before it receives any more, or a KEEPALIVE in the same segment
  would make it Established;
* when it delivers `Established`, and when another delivers `Down` while it is Established: those that would
  dial are then to be quiet.

The loser is told by `handle(verdict.event, now)`.  After a collision the configured connection does not start
again by itself: when no other is left, its owner starts it by event 6 or 7.

Section 6.8 takes for granted that each side has opened one of the two.  A peer that was killed without a
FIN and dials again has opened both: then the newer one is kept, unless the older one is Established.  That
one is kept by default; RFC 4724 section 5 has the new connection be the end of the old one where both sides
speak graceful restart, and `replace_established` does the same without it.

Two connections that cross may both be closed, each by another side, where one side is Established on the one
before the other side's OPEN comes on the other: the RFC's rule that Established wins knows no identifiers.
Jitter parts them at the next try; either option of `decide` makes it rare.
"""

from dataclasses import dataclass

from bgp.session.config import SessionConfig
from bgp.session.event import Event, State
from bgp.session.negotiation import Negotiated


@dataclass(frozen=True, slots=True)
class Candidate:
    """What counts of a connection; times are None where there was no such moment."""

    incoming: bool  # the peer opened it
    state: State
    negotiated: Negotiated | None = None
    connected_at: float | None = None
    established_at: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the new connection is kept, or the other; the event for the loser; and why."""

    keep_new: bool
    event: Event
    reason: str


def decide(new: Candidate, other: Candidate, config: SessionConfig) -> Verdict | None:
    """Return which of the two is kept, or None if there is no collision (yet).

    `new` is the one that has just come to OpenConfirm or Established.
    """
    if new.state == State.ESTABLISHED:
        # The RFC lets the others go on until their OPEN comes; those without TCP connection would only dial.
        if other.state < State.OPEN_SENT:
            return Verdict(True, Event.OPEN_COLLISION_DUMP, "the session is established")
        return None
    assert new.negotiated is not None
    if other.state == State.OPEN_CONFIRM:
        if new.incoming == other.incoming:
            return _keep(True, "the same side opened both: the older one is dead")
        return _by_identifier(new, new.negotiated)
    if other.state == State.ESTABLISHED:
        return _against_established(new, new.negotiated, other, config)
    return None


def _against_established(
    new: Candidate, negotiated: Negotiated, other: Candidate, config: SessionConfig
) -> Verdict:
    assert other.negotiated is not None
    # Opened after the other was Established, it is no half of a simultaneous opening: the peer has lost the
    # other.  Identifiers decide about those that crossed, or both sides would each keep another one.
    later = (new.connected_at or 0.0) > (other.established_at or 0.0)
    crossed = new.incoming != other.incoming and not later
    if other.negotiated.restarts and not crossed:
        # RFC 4724 section 5: as if TCP had failed, and without a NOTIFICATION.
        return Verdict(True, Event.TCP_CONNECTION_FAILS, "the peer has restarted")
    if config.replace_established and not crossed:
        return _keep(True, "the peer has connected again")
    if crossed and (config.collision_detect_established or config.replace_established):
        return _by_identifier(new, negotiated)
    return _keep(False, "the session is established")


def _by_identifier(new: Candidate, negotiated: Negotiated) -> Verdict:
    """Keep the connection that the side with the higher BGP Identifier opened, then the higher AS number."""
    ours = (negotiated.local_identifier, negotiated.local_as)
    theirs = (negotiated.remote_identifier, negotiated.remote_as)
    opened_by_higher = new.incoming == (theirs > ours)
    return _keep(opened_by_higher, "the side with the higher BGP Identifier opened the one that is kept")


def _keep(new: bool, reason: str) -> Verdict:
    return Verdict(new, Event.OPEN_COLLISION_DUMP, reason)
