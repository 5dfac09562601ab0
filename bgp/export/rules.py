"""Who may hear what: split horizon, route reflection, confederations, route servers, roles, communities.

`HEARD` is the table of RFC 4271 section 9.2, RFC 4456 section 6, RFC 5065 and RFC 7947, a row for each place
that a path can come from and a column for each kind of receiver; `COMMUNITIES` is that of RFC 1997.
"""

from dataclasses import dataclass
from enum import Enum

from bgp.export.terms import Terms
from bgp.iana import WellKnownCommunity
from bgp.rib import roles
from bgp.rib.path import Kind
from bgp.wire.attributes import Attributes


class Treatment(Enum):
    """How a path goes to a kind of receiver."""

    SEND = "send"  # with what the kind of receiver asks for
    REFLECT = "reflect"  # with ORIGINATOR_ID and CLUSTER_LIST
    RELAY = "relay"  # as it came (RFC 7947 section 2.2)
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a path is not told: a name, the RFC and section, and a sentence."""

    name: str
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.section})"


_S, _R, _P, _W = Treatment.SEND, Treatment.REFLECT, Treatment.RELAY, Treatment.WITHHOLD
_TO = (
    Kind.EXTERNAL, Kind.ROUTE_SERVER_CLIENT, Kind.CONFEDERATION, Kind.CLIENT, Kind.NON_CLIENT
)  # fmt: skip

# Of what goes by this table, communities (below), roles (`bgp.rib.roles`) and policies keep some back.
# fmt: off
HEARD: dict[Kind, dict[Kind, Treatment]] = {
    source: dict(zip(_TO, row, strict=True))
    for source, row in (
        # from                       EXTERNAL  ROUTE_SERVER_CLIENT  CONFEDERATION  CLIENT  NON_CLIENT
        (Kind.LOCAL,                (_S,       _S,                  _S,            _S,     _S)),
        (Kind.EXTERNAL,             (_S,       _S,                  _S,            _S,     _S)),
        (Kind.ROUTE_SERVER_CLIENT,  (_S,       _P,                  _S,            _S,     _S)),
        (Kind.CONFEDERATION,        (_S,       _S,                  _S,            _S,     _S)),
        (Kind.CLIENT,               (_S,       _S,                  _S,            _R,     _R)),
        (Kind.NON_CLIENT,           (_S,       _S,                  _S,            _R,     _W)),
    )
}
# fmt: on

SPLIT_HORIZON = Withheld("split-horizon", "RFC 4271 9.2", "internal paths are not sent to internal peers")
MESHED_CLIENTS = Withheld("meshed-clients", "RFC 4456 5", "reflection between clients is switched off")
NO_ADVERTISE = Withheld("no-advertise", "RFC 1997", "NO_ADVERTISE keeps it from every peer")
NO_EXPORT = Withheld("no-export", "RFC 1997", "NO_EXPORT keeps it within the AS or confederation")
NO_EXPORT_SUBCONFED = Withheld(
    "no-export-subconfed", "RFC 1997", "NO_EXPORT_SUBCONFED keeps it within the AS or member AS"
)
ONLY_TO_CUSTOMER = Withheld(
    "only-to-customer", "RFC 9234 5", "it is only for customers, and this peer is none of ours"
)
ONLY_TO_CUSTOMER_OF_MEMBER = Withheld(
    "only-to-customer-of-member",
    "RFC 9234 5",
    "its OTC names a member AS, which must not be seen outside the confederation",
)
LONG_LIVED_STALE = Withheld(
    "long-lived-stale", "RFC 9494 4.3", "it is long-lived stale, and the peer does not know what that means"
)
NO_POLICY = Withheld("no-policy", "RFC 8212 3", "no export policy is configured for this external peer")
POLICY = Withheld("policy", "RFC 4271 9.1.3", "export policy refuses it")
POLICY_FAILED = Withheld("policy-failed", "RFC 4271 9.1.3", "export policy failed on it")
NEXT_HOP_ENCODING = Withheld(
    "next-hop-encoding", "RFC 8950 4", "the peer cannot take a next hop of this address family"
)
NO_NEXT_HOP = Withheld(
    "no-next-hop", "RFC 4760 3", "we have no address of our own that could be the next hop"
)
TOO_LONG = Withheld("too-long", "RFC 4271 9.2", "it does not fit into a message, even alone")
NOT_NEGOTIATED = Withheld("not-negotiated", "RFC 4760 8", "the session does not carry this address family")
NO_ROUTE = Withheld("no-route", "RFC 4271 9.1.3", "there is no such route now: its condition does not hold")
WITHDRAWN = Withheld("withdrawn", "RFC 4271 9.1.3", "the route was withdrawn, or announced anew by another")
SENDER = Withheld("sender", "RFC 4271 9.2", "it came from this very peer")

_ALL = frozenset(Kind)
_OUTSIDE = frozenset(kind for kind in Kind if kind.external)
# community -> who must not be told, and the reason.
COMMUNITIES: tuple[tuple[int, frozenset[Kind], Withheld], ...] = (
    (WellKnownCommunity.NO_ADVERTISE, _ALL, NO_ADVERTISE),
    (WellKnownCommunity.NO_EXPORT, _OUTSIDE, NO_EXPORT),
    (WellKnownCommunity.NO_EXPORT_SUBCONFED, _OUTSIDE | {Kind.CONFEDERATION}, NO_EXPORT_SUBCONFED),
)


def horizon(source: Kind, receiver: Kind, reflect_clients: bool = True) -> Treatment | Withheld:
    """Return how a path from `source` goes to `receiver`, or why it does not."""
    treatment = HEARD[source][receiver]
    if treatment is Treatment.WITHHOLD:
        return SPLIT_HORIZON
    if source is receiver is Kind.CLIENT and not reflect_clients:
        return MESHED_CLIENTS
    return treatment


def withheld_by_community(attributes: Attributes, receiver: Kind) -> Withheld | None:
    """Return the community rule that keeps a path with `attributes` from `receiver`."""
    communities = attributes.communities
    for community, receivers, reason in COMMUNITIES:
        if receiver in receivers and community in communities:
            return reason
    return None


def withheld_by_otc(attributes: Attributes, terms: Terms) -> Withheld | None:
    """Return the rule of RFC 9234 section 5 that keeps back a path with OTC, which no policy can change."""
    marked = roles.only_to_customer(attributes)
    if marked is None:
        return None
    if terms.role is not None and roles.PROCEDURES[terms.role].sent_with is roles.Step.STOP:
        return ONLY_TO_CUSTOMER
    # It "MUST be preserved unchanged", and "on egress from the AS Confederation" there "MUST NOT" be one with
    # a "Member-AS Number other than the AS Confederation Identifier"; so such a route stays inside.
    if terms.kind.external and marked in terms.members:
        return ONLY_TO_CUSTOMER_OF_MEMBER
    return None
