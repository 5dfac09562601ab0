"""A member: a peer whose session is established, as the router knows it, and what it is to be told on.

`PeerSettings` is what the operator says of a peer beyond its session, `Member` the peer itself, and `terms`
makes of both the key of the update group where it belongs.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from bgp.export.listener import Listener, Taker
from bgp.export.pack import Packer
from bgp.export.terms import Terms
from bgp.family import Family
from bgp.policy import ACCEPT_ALL, Policy
from bgp.retention import Held
from bgp.rib.claims import Ward
from bgp.rib.condition import Condition, Conditional
from bgp.rib.guard import Guard
from bgp.rib.limits import limits
from bgp.rib.origination import Origination
from bgp.rib.path import Kind, Slot, Source
from bgp.rib.selection import ALL, Selection
from bgp.session.negotiation import Negotiated
from bgp.session.restart import DEFAULT, RestartOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """What the router must know of a peer beyond what its session negotiated.

    `name` is the peer's identity: routes of a new session replace those of an earlier one with the same name.
    `interface`: the one that link-local next hops of the peer are on.
    `client`: an internal peer is a client of our reflector (RFC 4456), in the cluster `cluster_id` if that is
    not the router's own (`bgp.export.cluster`); `route_server_client`: an external one
    is a client of our route server (RFC 7947).  `local_address` and `remote_address` are those of the TCP
    connection, 4 or 16 octets.  `next_hops` are our own addresses as next hop where the session's address
    will not do (4, 16 or 32 octets, RFC 2545).  `connected`: the subnets shared with a single-hop external
    peer; a next hop elsewhere is refused (RFC 4271 section 6.3); empty for no such check.
    `third_party_next_hop`: next hops there go to that peer as they are, and not ourselves in their place (RFC
    4271 section 5.1.3).  `maximum_prefixes`: routes per family, counted before policy; watchers
    of notices hear when `maximum_prefixes_warning` percent are reached, and if it is `tolerant` of more, of
    that, too (`bgp.rib.limits`).  `add_path_select`:
    which paths the peer is told of a family with ADD-PATH, all by default.  Without
    `import_policy` or `export_policy` an external peer passes nothing that way (RFC 8212).
    `prepend_local_as` and `replace_as` matter where the session shows an external peer another AS than ours:
    whether that AS is prepended to what comes from the peer, and whether ours is left out of what it is told
    (RFC 7705 section 3.3).
    `default_originate`: the families of which the peer is told a default route of ours in place of any that
    the table has, always or while a condition holds.  `conditional`: what it is told on conditions.
    `advertisement_interval`: seconds between two announcements of a destination (RFC 4271 section 9.2.1.1);
    then `flush` must be told the time.
    `guard`: what the peer may announce; what else it sends is refused (`bgp.rib.guard`).
    `installed_only`: the peer is told only what our forwarding plane has, as `Router.installed` says; that
    does not go together with an advertisement interval.
    `restart`: for how long routes are kept of a peer that restarts; so `up`, `down` and `flush` must be told
    the time.
    """

    name: str
    client: bool = False
    cluster_id: int | None = None
    route_server_client: bool = False
    local_address: bytes = b""
    remote_address: bytes = b""
    interface: str = ""
    next_hops: Mapping[Family, bytes] = field(default_factory=dict)
    next_hop_self: bool = False
    third_party_next_hop: bool = False
    import_policy: Policy | None = None
    export_policy: Policy | None = None
    allow_own_as: int = 0
    guard: Guard | None = None
    prepend_local_as: bool = True
    replace_as: bool = False
    connected: tuple[IPv4Network | IPv6Network, ...] = ()
    maximum_prefixes: Mapping[Family, int] = field(default_factory=dict)
    maximum_prefixes_warning: int | None = None
    maximum_prefixes_tolerant: bool = False
    add_path_select: Mapping[Family, Selection] = field(default_factory=dict)
    default_originate: Mapping[Family, Condition | None] = field(default_factory=dict)
    conditional: tuple[Conditional, ...] = ()
    advertisement_interval: float = 0.0
    installed_only: bool = False
    restart: RestartOptions = DEFAULT

    def __post_init__(self) -> None:
        if self.installed_only and self.advertisement_interval:
            raise ValueError("installed_only: does not go together with advertisement_interval")

    @property
    def limits(self) -> tuple[Mapping[Family, int], int | None, bool]:
        """How many routes the peer may send, when it is near that, and whether more are tolerated."""
        return self.maximum_prefixes, self.maximum_prefixes_warning, self.maximum_prefixes_tolerant

    @property
    def conditions(self) -> list[Condition]:
        """All conditions on which something depends."""
        defaults = [condition for condition in self.default_originate.values() if condition is not None]
        return defaults + [each.condition for each in self.conditional]


class Member:
    """A peer with an established session, as the router sees it.

    `end_of_rib` holds the families whose first routes the peer has sent completely.  `condemned`: its session
    is to end, for it holds too much.
    """

    __slots__ = (
        "_former",
        "_held",
        "_identified",
        "_limits",
        "_listener",
        "_slot",
        "_sources",
        "_stale",
        "condemned",
        "end_of_rib",
        "negotiated",
        "settings",
    )

    def __init__(
        self,
        settings: PeerSettings,
        negotiated: Negotiated,
        listener: Listener,
        slot: Slot,
        sources: dict[Family, Source],
        held: Mapping[Family, Held] | None = None,
    ) -> None:
        self.settings = settings
        self.negotiated = negotiated
        self.end_of_rib: set[Family] = set()
        self.condemned = False
        self._identified = negotiated.add_path_receive
        self._limits = limits(*settings.limits)
        self._listener = listener
        self._slot = slot
        self._sources = sources
        # What a route refresh of the peer has not renewed yet (RFC 7313 section 4).
        self._stale: dict[Family, list[Source]] = {}
        # What still has the verdict of an earlier import policy.
        self._former: dict[Family, list[Source]] = {family: [] for family in sources}
        # What is kept of earlier sessions.
        self._held = {} if held is None else held

    def adopt(self, settings: PeerSettings) -> None:
        """Go on with other settings; where limits differ, what was told of earlier ones is forgotten."""
        if settings.limits != self.settings.limits:
            self._limits = limits(*settings.limits)
        self.settings = settings

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def pending(self) -> bool:
        """Whether `Router.pull` has something to give, or may have once the router is flushed."""
        return self._listener.pending

    @property
    def taker(self) -> Taker | None:
        """Who takes octets for the member that `Router.share` gives; None, as at first, for nobody."""
        return self._listener.taker

    @taker.setter
    def taker(self, taker: Taker | None) -> None:
        self._listener.taker = taker

    @property
    def behind(self) -> bool:
        """Whether the member is so slow that it is told the latest state only, by and by."""
        return self._listener.behind

    def lag(self, now: float) -> float:
        """Return for how long at least there is something to tell that the member has not taken."""
        return self._listener.group.lag(self._listener, now)

    @property
    def packer(self) -> Packer:
        """What says how routes go to the member."""
        return self._listener.group.packer

    @property
    def wards(self) -> list[Ward]:
        """The accounts of the peer where it is guarded, one for each family (`bgp.rib.claims`)."""
        return [source.ward for source in self._sources.values() if source.ward is not None]

    def sources(self, family: Family) -> list[Source]:
        """Return the sources of the peer's routes of `family`, stale ones first."""
        held = self._held.get(family)
        own = self.own_sources(family)
        return own if held is None else [*held.sources, *own]

    def own_sources(self, family: Family) -> list[Source]:
        """Return the sources of what the peer has said of `family` in this session, stale ones first."""
        return [*self._former[family], *self._stale.get(family, ()), self._sources[family]]

    @property
    def updates_sent(self) -> int:
        """How many UPDATEs were pulled; octets that are pulled hold several of them."""
        return self._listener.updates

    @property
    def markers_sent(self) -> int:
        """How many of BoRR and EoRR were pulled, each a ROUTE-REFRESH (RFC 7313)."""
        return self._listener.markers

    def received(self, family: Family) -> int:
        """Return how many routes of `family` the peer has sent and not withdrawn, kept ones included."""
        return sum(source.routes for source in self.sources(family))

    def told(self, family: Family) -> int:
        """Return how many routes of `family` the peer has sent in this session and not withdrawn."""
        return sum(source.routes for source in self.own_sources(family))


def kind_of(settings: PeerSettings, negotiated: Negotiated) -> Kind:
    """Return what kind of peer it is."""
    if negotiated.internal:
        return Kind.CLIENT if settings.client else Kind.NON_CLIENT
    if negotiated.confederation:
        return Kind.CONFEDERATION
    return Kind.ROUTE_SERVER_CLIENT if settings.route_server_client else Kind.EXTERNAL


def cluster_of(settings: PeerSettings, kind: Kind) -> bytes:
    """Return the CLUSTER_ID of a client's cluster where that has one of its own, else nothing."""
    if kind is not Kind.CLIENT or settings.cluster_id is None:
        return b""
    return settings.cluster_id.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Ourselves:
    """What of a router matters to all its terms.

    `shown`: the AS that is seen outside of our confederation, or our own; `hidden`: the ASes of which nobody
    outside may learn.  `reflect_clients`: reflect between clients (RFC 4456 section 5).
    """

    shown: int
    hidden: frozenset[int]
    cluster_id: bytes
    reflect_clients: bool

    def alias(self, kind: Kind, negotiated: Negotiated) -> int:
        """Return the AS that an external peer sees in place of ours, 0 if it sees ours."""
        return negotiated.local_as if kind.external and negotiated.local_as != self.shown else 0


def terms(
    settings: PeerSettings,
    negotiated: Negotiated,
    ours: Ourselves,
    origination: Origination,
    pointed: Container[bytes],
    long_lived: bool = False,
) -> Terms:
    """Return the terms on which a peer is told routes.

    `pointed` are the next hops of routes of our own; `long_lived`: there are routes that only peers with
    LLGR may be told (RFC 9494).
    """
    kind = kind_of(settings, negotiated)
    third_party = settings.third_party_next_hop and kind.external
    holds = origination.holds
    next_hops = [
        (family, address)
        for family in negotiated.families
        if (address := settings.next_hops.get(family, settings.local_address))
        and (
            len(address) in family.next_hop_lengths
            # RFC 8950 section 5: "the next hop should be of the session's own IP version".
            or (len(address) in family.extended_next_hop_lengths and family in negotiated.extended_next_hop)
        )
    ]
    return Terms(
        kind=kind,
        families=negotiated.families,
        local_as=negotiated.local_as,
        behind=ours.shown if ours.alias(kind, negotiated) and not settings.replace_as else 0,
        four_octet_as=negotiated.four_octet_as,
        add_path=frozenset(
            [(family, settings.add_path_select.get(family, ALL)) for family in negotiated.add_path_send]
        ),
        extended_next_hop=negotiated.extended_next_hop,
        maximum=negotiated.maximum_send,
        next_hops=frozenset(next_hops),
        next_hop_self=settings.next_hop_self,
        cluster_id=cluster_of(settings, kind) or ours.cluster_id,
        reflect_clients=ours.reflect_clients,
        aigp=negotiated.aigp,
        # Towards internal peers, to accept all is what happens without a policy.
        policy=None if kind.internal and settings.export_policy is ACCEPT_ALL else settings.export_policy,
        hidden=frozenset(each for each in origination.hiding if each[0] in negotiated.families),
        defaults=frozenset(
            family
            for family, condition in settings.default_originate.items()
            if (condition is None or holds(condition)) and family in dict(next_hops)
        ),
        withheld=tuple(each.routes for each in settings.conditional if not holds(each.condition)),
        role=negotiated.role,
        members=ours.hidden,
        shared=settings.connected if third_party else (),
        avoid=address if (address := settings.remote_address) in pointed or third_party else b"",
        advertisement_interval=settings.advertisement_interval,
        installed_only=settings.installed_only,
        llgr=not long_lived or negotiated.llgr is not None,
        # RFC 9494 section 4.6: "The neighbors MUST be internal (Internal BGP (IBGP) or Confederation)".
        partial=long_lived and settings.restart.partial and not kind.external,
    )
