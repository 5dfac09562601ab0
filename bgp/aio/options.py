"""What a user says about a peer: one frozen value, from which the layers below take their parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from bgp.aio import arguments
from bgp.aio.address import Endpoint, parse_address
from bgp.aio.signing import AoKey, Secret
from bgp.family import DEFAULT_FAMILIES, Family
from bgp.iana import BGP_PORT, AddPathMode, CapabilityCode, Role
from bgp.policy import Policy
from bgp.policy.condition import Condition, Conditional
from bgp.rib.guard import Guard
from bgp.rib.selection import Selection
from bgp.session import restart
from bgp.session.config import AsExpected, Confederation, LimitAction, SessionConfig
from bgp.session.restart import RestartOptions
from bgp.wire.capability import Fqdn

_UNSPECIFIED = IPv6Address("::")
_KEY_LENGTH = 80  # of TCP-MD5 in Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOptions:
    """Describe a peer, or with an empty `address` every peer of a listen range.

    `asn` is the AS number that its OPEN must show, or a member of `AsExpected`.  `address` is text, with a
    scope for link-local IPv6 (`fe80::1%eth0`).  Of a peer with a `source_address` only connections to that
    address of ours are taken.  `passive` peers are never dialed.  Times are in seconds.

    With an `interface` in place of an address the peer is whichever router is the only one on that link, by
    its link-local address: dialed when the kernel knows it, and taken when it connects.  While there is no
    session we make ourselves known on the link every `connect_retry_time`, where it is `passive`, too.  It
    cannot have a password, for the kernel's keys know no interface.

    `password` is the key of RFC 2385; `Speaker.set_password` changes it while sessions are there.
    `tcp_ao` is one of RFC 5925, where the kernel has that.  `ttl` is
    that of the packets sent.  By default it is 1 towards external peers, which belong on a shared subnet, and
    the system's towards internal ones; `multihop` allows an external peer that many hops.  `minimum_ttl`
    drops what came farther (RFC 5082 section 3).  While there is a reason in `blocked`, such as a key that
    could not be had, the peer is neither dialed nor let in, and whoever looks at it sees the reason.

    `local_as` is another AS that an external peer is shown as ours (RFC 7705 section 3).  It is prepended to
    the AS_PATHs that come from there, unless `local_as_no_prepend`, and stands before our own in those that
    the peer is told, or in place of it with `local_as_replace_as`; what holds it already is a loop.

    `client` makes an internal peer a client of our reflector (RFC 4456), in the cluster `cluster_id` where
    that is not the speaker's own: then what it sends goes on with that CLUSTER_ID, what goes to it gets it,
    too, and routes that were in that cluster are refused (`bgp.export.cluster`), and `route_server_client` an
    external one a client of our route server (RFC 7947).  `third_party_next_hop`: tell an external peer on a
    subnet that we share the next hops that are there, in place of ourselves (RFC 4271 section 5.1.3).  An
    external peer without a policy passes nothing that way (RFC 8212).  `maximum_prefixes` counts by family,
    before policy; beyond it `maximum_prefixes_action` is taken, where RESTART waits for
    `maximum_prefixes_restart` seconds, by default as after any error, and SHUT until `Peer.start`.  At
    `maximum_prefixes_warning` percent, and beyond the maximum with WARN, there is a LIMIT event.
    `maximum_advertised`, by family, is about what the peer is told: where that is more, be it by a leak of
    ours, its session ends within seconds (Cease/2, with the reason for its operator) until `Peer.start`.

    `add_path_select`: which paths it is told of a family that `add_path` sends, all by
    default.  `default_originate`: the families of which the peer is told a default route of ours, always
    (None) or on a condition (`bgp.policy.condition`), in place of any that we have; export policy has no say
    in that.  `conditional`: what it is told only while a condition holds.  `advertisement_interval`: seconds
    between two announcements of a destination (RFC 4271 section 9.2.1.1); withdrawals do not wait.
    `guard`: what the peer may announce (`bgp.rib.guard`); what else it sends is received, and not used.
    `installed_only`: of others' routes it is told only those that our FIB has installed.
    `graceful_restart`: what becomes of routes while one of both sides restarts; None: they go at once.
    `replace_established`: a new connection ends the Established one, for peers that die without a FIN and
    dial again (otherwise only graceful restart allows that).  By default it is on for passive peers, of whom
    only they themselves dial, and for those with a password.  Raises ValueError where a value cannot be.
    """

    asn: int | AsExpected
    address: str = ""
    port: int = BGP_PORT
    interface: str = ""
    name: str = ""
    description: str = ""

    source_address: str | None = None
    passive: bool = False
    password: str | bytes | None = field(default=None, repr=False)
    tcp_ao: AoKey | None = field(default=None, repr=False)
    ttl: int | None = None
    multihop: int | None = None
    minimum_ttl: int | None = None
    blocked: str = ""

    local_as: int | None = None
    local_as_no_prepend: bool = False
    local_as_replace_as: bool = False
    families: tuple[Family, ...] = DEFAULT_FAMILIES
    hold_time: int = 90
    minimum_hold_time: int = 0
    open_hold_time: float = 240.0
    send_hold_time: int | None = None
    connect_retry_time: float = 5.0
    delay_open: float = 0.0
    automatic_restart: bool = True
    idle_hold_time: float = 1.0
    idle_hold_maximum: float = 120.0
    damp_peer_oscillations: bool = True
    stable_time: float = 120.0
    collision_detect_established: bool = False
    replace_established: bool | None = None
    notification_without_open: bool = False

    four_octet_as: bool = True
    route_refresh: bool = True
    enhanced_route_refresh: bool = True
    extended_messages: bool = True
    add_path: Mapping[Family, AddPathMode] = field(default_factory=dict)
    add_path_select: Mapping[Family, Selection] = field(default_factory=dict)
    extended_next_hop: tuple[Family, ...] = ()
    role: Role | None = None
    strict_role: bool = False
    fqdn: Fqdn | None = None
    required: tuple[CapabilityCode, ...] = ()
    graceful_restart: RestartOptions | None = restart.DEFAULT
    as_sets: bool = False
    first_as: bool = True
    aigp: bool = False

    client: bool = False
    cluster_id: str | int | None = None
    route_server_client: bool = False
    next_hop_self: bool = False
    third_party_next_hop: bool = False
    next_hops: Mapping[Family, bytes] = field(default_factory=dict)
    import_policy: Policy | None = None
    export_policy: Policy | None = None
    allow_own_as: int = 0
    guard: Guard | None = None
    maximum_prefixes: Mapping[Family, int] = field(default_factory=dict)
    maximum_prefixes_action: LimitAction = LimitAction.RESTART
    maximum_prefixes_warning: int | None = None
    maximum_prefixes_restart: float | None = None
    maximum_advertised: Mapping[Family, int] = field(default_factory=dict)
    default_originate: Mapping[Family, Condition | None] = field(default_factory=dict)
    conditional: tuple[Conditional, ...] = ()
    advertisement_interval: float = 0.0
    installed_only: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.port <= 65535:
            raise ValueError("port: must be from 1 to 65535")
        for name, least in (("ttl", 1), ("multihop", 1), ("minimum_ttl", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= 255:
                raise ValueError(f"{name}: must be from {least} to 255")
        if self.maximum_prefixes_warning is not None and not 0 < self.maximum_prefixes_warning <= 100:
            raise ValueError("maximum_prefixes_warning: must be from 1 to 100 percent")
        if self.maximum_prefixes_restart is not None:
            if self.maximum_prefixes_restart <= 0:
                raise ValueError("maximum_prefixes_restart: must exceed 0")
            if self.maximum_prefixes_action is not LimitAction.RESTART:
                raise ValueError("maximum_prefixes_restart: is for LimitAction.RESTART only")
        for name in ("advertisement_interval", "allow_own_as"):
            arguments.least(name, getattr(self, name), 0)
        if not isinstance(self.asn, AsExpected):
            arguments.asn("asn", self.asn)
        if self.local_as is not None:
            arguments.asn("local_as", self.local_as)
        for name in ("import_policy", "export_policy"):
            arguments.policy(name, getattr(self, name))
        if self.guard is not None:
            arguments.instance("guard", self.guard, Guard, "a Guard")
        for name in ("maximum_prefixes", "maximum_advertised"):
            arguments.by_family(
                name, getattr(self, name), lambda _, each: isinstance(each, int) and each >= 0, "a number"
            )
        arguments.by_family(
            "next_hops",
            self.next_hops,
            lambda family, each: (
                isinstance(each, bytes)
                and len(each) in family.next_hop_lengths | family.extended_next_hop_lengths
            ),
            "the octets of an address",
        )
        arguments.by_family(
            "default_originate",
            self.default_originate,
            lambda _, each: each is None or isinstance(each, Condition),
            "a condition or None",
        )
        if not all(isinstance(each, Conditional) for each in self.conditional):
            raise ValueError("conditional: must be a tuple of Conditional")
        if self.local_as is None:
            for name in ("local_as_no_prepend", "local_as_replace_as"):
                if getattr(self, name):
                    raise ValueError(f"{name}: needs a local_as")
        if self.installed_only and self.advertisement_interval:
            raise ValueError("installed_only: excludes advertisement_interval")
        if self.cluster_id is not None:
            arguments.dotted("cluster_id", self.cluster_id)
            if not self.client:
                raise ValueError("cluster_id: is for clients of our reflector")
        if self.tcp_ao is not None and self.password is not None:
            raise ValueError("tcp_ao: excludes password, which signs by TCP-MD5")
        if self.ttl is not None and self.multihop is not None:
            raise ValueError("multihop: excludes ttl, which says the same")
        if self.interface:
            for name in ("address", "source_address", "password", "tcp_ao"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name}: excludes interface, where any link-local address is the peer's"
                    )
        if self.password is not None and not isinstance(self.password, str | bytes):
            raise ValueError(f"password: must be text or octets, not {type(self.password).__name__}")
        arguments.text("blocked", self.blocked)
        if self.key is not None and not 0 < len(self.key) <= _KEY_LENGTH:
            raise ValueError(f"password: must have 1 to {_KEY_LENGTH} octets")
        source = self.source
        if self.address and source is not None and self.remote.family != source.family:
            raise ValueError("source_address: must be of the peer address's family")

    @property
    def remote(self) -> Endpoint:
        """The peer's address and port; the unspecified address where it is known by its interface."""
        if self.interface:
            return Endpoint(_UNSPECIFIED, self.port)
        try:
            return parse_address(self.address, self.port)
        except ValueError as error:
            raise ValueError(f"address: {error}") from None

    @property
    def source(self) -> Endpoint | None:
        """The address that the peer is dialed from."""
        if self.source_address is None:
            return None
        try:
            return parse_address(self.source_address)
        except ValueError as error:
            raise ValueError(f"source_address: {error}") from None

    @property
    def cluster(self) -> int | None:
        """The CLUSTER_ID of its own cluster, as a number."""
        return None if self.cluster_id is None else arguments.dotted("cluster_id", self.cluster_id)

    @property
    def key(self) -> bytes | None:
        """The octets of the password."""
        return self.password.encode() if isinstance(self.password, str) else self.password

    @property
    def secret(self) -> Secret | None:
        """The key that segments are signed with, of either kind."""
        return self.tcp_ao or self.key

    def is_external(self, asn: int, confederation: Confederation | None = None) -> bool | None:
        """Whether the peer is outside our AS `asn` and our confederation; None if only its OPEN will tell."""
        match self.asn:
            case AsExpected.ANY:
                return None
            case AsExpected.INTERNAL | AsExpected.CONFEDERATION:
                return False
            case AsExpected.EXTERNAL:
                return True
            case expected if confederation is not None:
                return expected != asn and expected not in confederation.members
            case expected:
                return expected != (self.local_as or asn)

    def sending_ttl(self, asn: int, confederation: Confederation | None = None) -> int | None:
        """Return the TTL for this peer's packets, None for the system's."""
        if self.ttl is not None or self.multihop is not None:
            return self.ttl or self.multihop
        if self.minimum_ttl is not None:
            return 255  # RFC 5082 section 3: what the peer in turn expects
        return 1 if self.is_external(asn, confederation) else None

    def is_on_link(self, asn: int, confederation: Confederation | None = None) -> bool:
        """Whether the peer is an external one on a subnet that we share."""
        if not self.is_external(asn, confederation):
            return False
        return self.sending_ttl(asn, confederation) in (1, 255)

    def _relation(self, asn: int, confederation: Confederation | None) -> tuple[int, bool]:
        """Return the AS that we show the peer, and whether it is in another member AS (RFC 5065 4)."""
        if confederation is None:
            if self.asn is AsExpected.CONFEDERATION:
                raise ValueError("asn: there is no confederation of ours that the peer could be in")
            return asn, False
        if self.asn is AsExpected.ANY:
            raise ValueError("asn: must say whether the peer is in our confederation: our OPEN depends on it")
        if self.is_external(asn, confederation):
            return confederation.identifier, False
        if self.local_as not in (None, asn):
            raise ValueError("local_as: is for peers outside our confederation")
        return asn, self.asn not in (AsExpected.INTERNAL, asn)

    @property
    def _replaces(self) -> bool:
        if self.replace_established is None:
            return self.passive or self.secret is not None
        return self.replace_established

    def session(self, asn: int, identifier: int, confederation: Confederation | None = None) -> SessionConfig:
        """Return the protocol's part; raise ValueError, its text beginning with the field's name.

        `asn` is our AS, a member AS where there is a `confederation`.
        """
        shown, member = self._relation(asn, confederation)
        return SessionConfig(
            local_as=self.local_as or shown,
            identifier=identifier,
            peer_as=self.asn,
            families=self.families,
            confederation=member,
            members=frozenset() if confederation is None else confederation.members | {asn},
            hold_time=self.hold_time,
            minimum_hold_time=self.minimum_hold_time,
            open_hold_time=self.open_hold_time,
            send_hold_time=self.send_hold_time,
            connect_retry_time=self.connect_retry_time,
            delay_open=self.delay_open,
            passive=self.passive,
            automatic_restart=self.automatic_restart,
            idle_hold_time=self.idle_hold_time,
            damp_peer_oscillations=self.damp_peer_oscillations,
            idle_hold_maximum=self.idle_hold_maximum,
            stable_time=self.stable_time,
            collision_detect_established=self.collision_detect_established,
            replace_established=self._replaces,
            notification_without_open=self.notification_without_open,
            four_octet_as=self.four_octet_as,
            route_refresh=self.route_refresh,
            enhanced_route_refresh=self.enhanced_route_refresh,
            extended_messages=self.extended_messages,
            add_path=self.add_path,
            extended_next_hop=self.extended_next_hop,
            role=self.role,
            strict_role=self.strict_role,
            fqdn=self.fqdn,
            required=self.required,
            graceful_restart=self.graceful_restart,
            as_sets=self.as_sets,
            first_as=self.first_as,
            aigp=self.aigp,
        )
