"""The router: peers, tables and groups; UPDATEs go in, and each member pulls what it should be told.

Nothing here touches a socket or a clock.  The shell hands over what its connections deliver, and once
per turn of its loop does:

    more = router.work(quota)                  # sliced jobs
    more = router.flush() or more              # what changed becomes messages
    for each member with `member.pending` and room towards its socket:
        write(router.pull(member, room))

A member whose `pending` is still true with room left is asked again in the next turn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from bgp.family import Family
from bgp.policy import Policy
from bgp.session.negotiation import Negotiated
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.message import RouteRefresh
from bgp.wire.update import Update


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """What the router must know of a peer beyond what its session negotiated.

    `name` is the peer's identity: routes of a new session replace those of an earlier one with the same
    name.  `client`: an internal peer is a client of our reflector (RFC 4456).  `local_address` and
    `remote_address` are those of the TCP connection, 4 or 16 octets.  `next_hops` are our own addresses
    as next hop where the session's address is of the wrong family (4, 16 or 32 octets, RFC 2545).
    `connected`: the subnets shared with a single-hop external peer; a next hop elsewhere is refused
    (RFC 4271 section 6.3); empty for no such check.  `maximum_prefixes`: routes per family before policy.
    Without `import_policy` or `export_policy` an external peer passes nothing that way (RFC 8212).
    """

    name: str
    client: bool = False
    local_address: bytes = b""
    remote_address: bytes = b""
    next_hops: Mapping[Family, bytes] = field(default_factory=dict)
    next_hop_self: bool = False
    import_policy: Policy | None = None
    export_policy: Policy | None = None
    allow_own_as: int = 0
    connected: tuple[IPv4Network | IPv6Network, ...] = ()
    maximum_prefixes: Mapping[Family, int] = field(default_factory=dict)


class Member:
    """A peer with an established session, as the router sees it."""

    settings: PeerSettings
    negotiated: Negotiated

    @property
    def pending(self) -> bool: ...  # whether `pull` may have something to give


class Router:
    """The tables of one speaker, its decision and its update groups.

    `asn` and `router_id` are our own; `cluster_id` that of the reflector (RFC 4456 section 7), by default
    the router id.  `client_to_client`: reflect between clients.
    """

    asn: int
    router_id: int
    cluster_id: int
    table: AttributeTable  # shared with the decoders of all connections

    def __init__(
        self,
        asn: int,
        router_id: int,
        cluster_id: int | None = None,
        *,
        client_to_client: bool = True,
        max_paths: int | None = None,
        max_attribute_octets: int | None = None,
        lag_limit: int = 4 << 20,
    ) -> None: ...

    # What the shell calls.  `update` and `refresh` raise Notify where the session must end.
    def up(self, settings: PeerSettings, negotiated: Negotiated) -> Member: ...
    def update(self, member: Member, update: Update) -> None: ...
    def refresh(self, member: Member, message: RouteRefresh) -> None: ...
    def down(self, member: Member) -> None: ...
    def announce(self, family: Family, prefix: bytes, attributes: Attributes) -> None: ...
    def withdraw(self, family: Family, prefix: bytes) -> None: ...
    def flush(self) -> bool: ...
    def work(self, quota: int = 4096) -> bool: ...
    def pull(self, member: Member, limit: int = 65536) -> list[bytes]: ...

    # Views.
    def lookup(self, family: Family, prefix: bytes) -> "tuple[Path, ...]": ...  # noqa: F821
    def best(self, family: Family) -> "Iterator[tuple[bytes, Path]]": ...  # noqa: F821
    def received(self, member: Member, family: Family) -> "Iterator[tuple[bytes, Path]]": ...  # noqa: F821
    def advertised(self, member: Member, family: Family) -> Iterator[tuple[bytes, Attributes]]: ...
    def explain(self, family: Family, prefix: bytes) -> "tuple[Verdict, ...]": ...  # noqa: F821
