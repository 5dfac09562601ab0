"""What is simulated, as plain values: nodes, their sessions, what they originate.

The oracle, the simulation and the story all read the same design, and each draws its own conclusions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bgp.iana import Role

Prefix = str


@dataclass(frozen=True, slots=True)
class NodeDesign:
    """A router; without a `cluster` its CLUSTER_ID is its identifier."""

    name: str
    asn: int
    identifier: int
    cluster: int | None = None

    @property
    def cluster_id(self) -> int:
        return self.identifier if self.cluster is None else self.cluster


@dataclass(frozen=True, slots=True)
class SessionDesign:
    """A session: `client` if the other one is the one's, `role` of the one towards the other (RFC 9234).

    `passive`: only the other one dials.
    """

    one: str
    other: str
    client: bool = False
    role: Role | None = None
    passive: bool = False

    def __str__(self) -> str:
        if self.client:
            return f"{self.one} reflects for {self.other}"
        if self.role is not None:
            return f"{self.one} is {self.role.name.lower().replace('_', ' ')} towards {self.other}"
        return f"{self.one} and {self.other} are peers"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a node says of a prefix that it originates."""

    local_pref: int | None = None
    origin: int = 0
    communities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Design:
    """Nodes by name, sessions, and who originates what: node -> prefix -> offer."""

    nodes: Mapping[str, NodeDesign]
    sessions: tuple[SessionDesign, ...]
    offers: Mapping[str, Mapping[Prefix, Offer]] = field(default_factory=dict)
    kind: str = ""

    def without_nodes(self, names: Iterable[str]) -> "Design":
        """Return the design without these nodes and their sessions."""
        gone = set(names)
        return replace(
            self,
            nodes={name: node for name, node in self.nodes.items() if name not in gone},
            sessions=tuple(each for each in self.sessions if not {each.one, each.other} & gone),
            offers={name: offers for name, offers in self.offers.items() if name not in gone},
        )

    def offering(self, node: str, prefix: Prefix, offer: Offer | None) -> "Design":
        """Return the design in which `node` offers this, or with None nothing, of a prefix."""
        offers = {name: dict(each) for name, each in self.offers.items()}
        mine = offers.setdefault(node, {})
        if offer is None:
            mine.pop(prefix, None)
        else:
            mine[prefix] = offer
        return replace(self, offers=offers)
