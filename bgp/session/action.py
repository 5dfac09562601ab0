"""What the FSM and a connection want done, as values: nothing else ever happens in them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from bgp.iana import MessageType
from bgp.session.event import Event, State, Timer
from bgp.session.negotiation import Negotiated
from bgp.wire.message import Notification, RouteRefresh

if TYPE_CHECKING:
    from bgp.wire.update import Update

# --- For the shell: what `Connection.outgoing` gives besides octets to send ------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a TCP connection to the peer; answer with TCP_CR_ACKED or TCP_CONNECTION_FAILS."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the TCP connection, or give up the attempt to open it; no answer is wanted.

    Whole messages that wait to be sent are discarded: only the rest of one that was begun, then `final`
    (a NOTIFICATION, or nothing) is still sent.  If `graceful`, flush, shut down the sending side, drain for
    a short bounded time and close, so that the peer can read `final` (RFC 4271 section 3); otherwise abort.
    """

    final: bytes = b""
    graceful: bool = True


# --- For the owner of the connection: what happened ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer's OPEN is good: look for a collision now (RFC 4271 section 6.8), then receive on.

    See `bgp.session.collision`; `Connection.more` is set, so that nothing after the OPEN is lost.
    """

    negotiated: Negotiated


@dataclass(frozen=True, slots=True)
class Established:
    """The session is up."""

    negotiated: Negotiated


@dataclass(frozen=True, slots=True)
class Down:
    """The TCP connection is over, and the FSM in Idle again or, to wait for another, in Active.

    `state` is the one that was left: only if it is ESTABLISHED are there routes to give up, and not even
    then if it is `graceful`: those are kept while the peer restarts.  `event` is the cause, `sent` and
    `received` the NOTIFICATION if there was one, and `text` says it in words.
    """

    state: State
    event: Event
    sent: Notification | None = None
    received: Notification | None = None
    text: str = ""
    graceful: bool = False


# An Update and a RouteRefresh are delivered as they are: no object more per UPDATE.
Delivery = Union["Update", RouteRefresh, Opened, Established, Down]

# --- Between the FSM and its connection ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send an OPEN, a KEEPALIVE or this NOTIFICATION."""

    type: MessageType
    notification: Notification | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """Start the timer, or start it again, with this time."""

    timer: Timer
    seconds: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop the timer, if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Release:
    """Release the resources of the TCP connection: stop every timer, forget input and unsent output."""


Action = Send | Arm | Disarm | Release | Connect | Close | Opened | Established | Down
