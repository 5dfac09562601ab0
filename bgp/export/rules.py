"""Who may hear what: split horizon, route reflection, well-known communities.

`HEARD` is the table of RFC 4271 section 9.2 and RFC 4456 section 6, a row for each place that a path can
come from and a column for each kind of receiver; `COMMUNITIES` is that of RFC 1997.
"""

from dataclasses import dataclass
from enum import Enum

from bgp.iana import WellKnownCommunity
from bgp.rib.path import Kind
from bgp.wire.attributes import Attributes


class Treatment(Enum):
    """How a path goes to a kind of receiver."""

    SEND = "send"
    REFLECT = "reflect"  # with ORIGINATOR_ID and CLUSTER_LIST
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a path is not told: a name, the RFC and section, and a sentence."""

    name: str
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.section})"


_S, _R, _W = Treatment.SEND, Treatment.REFLECT, Treatment.WITHHOLD

# fmt: off
HEARD: dict[Kind, dict[Kind, Treatment]] = {
    # from             to EXTERNAL           CLIENT           NON_CLIENT
    Kind.LOCAL:      {Kind.EXTERNAL: _S, Kind.CLIENT: _S, Kind.NON_CLIENT: _S},
    Kind.EXTERNAL:   {Kind.EXTERNAL: _S, Kind.CLIENT: _S, Kind.NON_CLIENT: _S},
    Kind.CLIENT:     {Kind.EXTERNAL: _S, Kind.CLIENT: _R, Kind.NON_CLIENT: _R},
    Kind.NON_CLIENT: {Kind.EXTERNAL: _S, Kind.CLIENT: _R, Kind.NON_CLIENT: _W},
}
# fmt: on

SPLIT_HORIZON = Withheld("split-horizon", "RFC 4271 9.2", "internal paths are not sent to internal peers")
MESHED_CLIENTS = Withheld("meshed-clients", "RFC 4456 5", "reflection between clients is switched off")
NO_ADVERTISE = Withheld("no-advertise", "RFC 1997", "NO_ADVERTISE keeps it from every peer")
NO_EXPORT = Withheld("no-export", "RFC 1997", "NO_EXPORT keeps it within the AS")
NO_EXPORT_SUBCONFED = Withheld(
    "no-export-subconfed", "RFC 1997", "NO_EXPORT_SUBCONFED keeps it from external peers"
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
SENDER = Withheld("sender", "RFC 4271 9.2", "it came from this very peer")

_ALL = frozenset(Kind)
# community -> who must not be told, and the reason.
COMMUNITIES: tuple[tuple[int, frozenset[Kind], Withheld], ...] = (
    (WellKnownCommunity.NO_ADVERTISE, _ALL, NO_ADVERTISE),
    (WellKnownCommunity.NO_EXPORT, frozenset({Kind.EXTERNAL}), NO_EXPORT),
    (WellKnownCommunity.NO_EXPORT_SUBCONFED, frozenset({Kind.EXTERNAL}), NO_EXPORT_SUBCONFED),
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
