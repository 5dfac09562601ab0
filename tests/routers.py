"""What tests of the routing core share: negotiated sessions, and peers that believe what they are told."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import HEADER_LENGTH, AddPathMode, Role
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT_ALL, Policy
from bgp.rib.path import Kind, Path, Slot, Slots, Source
from bgp.router import Router
from bgp.session.config import Confederation, SessionConfig
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.session.restart import RestartOptions
from bgp.testing.listener import Listener
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.capability import Capabilities, GracefulRestart, LongLivedGracefulRestart
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.message import Open
from bgp.wire.update import Reach, Unreach, Update, decode

LOCAL_AS = 65000
CONFEDERATION = Confederation(64999, frozenset({LOCAL_AS, 65100, 65101, 65102}))
ROUTER_ID = 0x0A000001
OUR_ADDRESS = ip_address("192.0.2.1").packed
BOTH = (IPV4_UNICAST, IPV6_UNICAST)

table = AttributeTable()


def session(identifier: int, asn: int = LOCAL_AS, local_as: int = LOCAL_AS, **both: object) -> Negotiated:
    """Return what our session with that peer negotiates; `both` sides have the same other settings."""
    options: dict[str, object] = {"families": BOTH, "first_as": False, "graceful_restart": None, **both}
    ours = SessionConfig(local_as=local_as, identifier=ROUTER_ID, **options)  # type: ignore[arg-type]
    theirs = SessionConfig(local_as=asn, identifier=identifier, **options)  # type: ignore[arg-type]
    return negotiate(ours, offer(ours), offer(theirs))


def restartable(
    agreed: Negotiated,
    ours: RestartOptions,
    theirs: GracefulRestart,
    llgr: LongLivedGracefulRestart | None = None,
) -> Negotiated:
    """Return what is agreed on with a peer whose OPEN says that of graceful restart."""
    one = SessionConfig(local_as=1, identifier=1, families=agreed.families, graceful_restart=ours)
    other = replace(
        Capabilities.parse(offer(replace(one, identifier=2)).capabilities),
        graceful_restart=theirs,
        long_lived_graceful_restart=llgr,
    )
    both = negotiate(one, offer(one), Open(1, 90, 2, other.encode()))
    names = ("graceful_restart", "llgr", "graceful", "restarts", "preserved", "long_lived")
    found: dict[str, Any] = {name: getattr(both, name) for name in (*names, "notification_restart")}
    return replace(agreed, **found)


def add_path(*families: Family) -> Mapping[Family, AddPathMode]:
    return dict.fromkeys(families or BOTH, AddPathMode.BOTH)


def prefix(text: str) -> bytes:
    return nlri.parse(text)[1]


def address(text: str) -> bytes:
    return ip_address(text).packed


def recognize(attributes_of: AttributeTable, attributes: Attributes, internal: bool) -> None:
    """Let a decoder see `attributes`, so that those of the usual shape are known as such."""
    taken = frozenset({IPV4_UNICAST})
    context = Context(internal=internal, as_sets=True, extended_next_hop=taken)
    if len(attributes.next_hop) in IPV4_UNICAST.next_hop_lengths | IPV4_UNICAST.extended_next_hop_lengths:
        for message in Encoder().announce(
            IPV4_UNICAST, attributes.octets, attributes.next_hop, [prefix("10.0.0.0/8")]
        )[0]:
            decode(message[HEADER_LENGTH:], context, attributes_of)


class Peer:
    """A peer of a router under test, which believes what it is told: `held` is its Adj-RIB-In."""

    def __init__(
        self,
        router: Router,
        name: str,
        kind: Kind,
        identifier: int,
        *,
        asn: int | None = None,
        shown: int | None = None,
        role: Role | None = None,
        import_policy: Policy | None = ACCEPT_ALL,
        export_policy: Policy | None = ACCEPT_ALL,
        settings: Mapping[str, object] | None = None,
        now: float = 0.0,
        restarts: GracefulRestart | None = None,
        llgr: LongLivedGracefulRestart | None = None,
        **options: object,
    ) -> None:
        """`restarts` and `llgr` are what its OPEN says of that; then ours says at least that we help."""
        self.router = router
        self.name = name
        self.now = now  # of the flushes between its pulls
        self.kind = kind
        if asn is None:
            asn = LOCAL_AS if kind.internal else 64000 + identifier % 1000
        confederation = router.confederation
        local_as = confederation.identifier if confederation and kind.external else LOCAL_AS
        local_as = shown or local_as
        if kind is Kind.CONFEDERATION:
            options["confederation"] = True
        self.negotiated = replace(session(identifier, asn, local_as, **options), role=role)
        if restarts is not None:
            ours = dict(settings or {}).get("restart", RestartOptions())
            assert isinstance(ours, RestartOptions)
            self.negotiated = restartable(self.negotiated, ours, restarts, llgr)
        self.settings = PeerSettings(
            name=name,
            client=kind is Kind.CLIENT,
            route_server_client=kind is Kind.ROUTE_SERVER_CLIENT,
            local_address=OUR_ADDRESS,
            remote_address=bytes((10, 9)) + (identifier & 0xFFFF).to_bytes(2, "big"),
            import_policy=import_policy,
            export_policy=export_policy,
            **{"next_hops": {IPV6_UNICAST: address("2001:db8::1")}, **(settings or {})},  # type: ignore[arg-type]
        )
        # What it was told; the tests look at that by the properties below.
        self.listener = Listener(self.negotiated, table)
        self.member: Member = router.up(self.settings, self.negotiated, now)

    # --- what it says --------------------------------------------------------------------------------

    def announce(
        self,
        prefixes: Iterable[str | bytes],
        attributes: Attributes | None = None,
        path_id: int | None = None,
        family: Family | None = None,
        **values: object,
    ) -> None:
        octets = [prefix(one) if isinstance(one, str) else one for one in prefixes]
        if attributes is None:
            if "next_hop" not in values:
                values["next_hop"] = "2001:db8::9" if family is IPV6_UNICAST else "10.9.0.9"
            if not self.kind.external:
                values.setdefault("local_pref", 100)
            attributes = self.router.table.make(**values)  # type: ignore[arg-type]
        recognize(self.router.table, attributes, self.kind.internal)
        family = family or IPV4_UNICAST
        if path_id is None and family in self.negotiated.add_path_receive:
            path_id = 0
        path_ids = None if path_id is None else [path_id] * len(octets)
        self.router.update(self.member, Update((), (Reach(family, octets, path_ids, attributes),)))

    def withdraw(
        self, prefixes: Iterable[str | bytes], path_id: int | None = None, family: Family = IPV4_UNICAST
    ) -> None:
        octets = [prefix(one) if isinstance(one, str) else one for one in prefixes]
        if path_id is None and family in self.negotiated.add_path_receive:
            path_id = 0
        path_ids = None if path_id is None else [path_id] * len(octets)
        self.router.update(self.member, Update((Unreach(family, octets, path_ids),)))

    def end_of_rib_of(self, *families: Family) -> None:
        """Say that all routes of these families, or of all, are told."""
        for family in families or self.negotiated.families:
            self.router.update(self.member, Update(end_of_rib=family))

    def down(self) -> None:
        self.router.down(self.member)

    def lose(self, now: float) -> None:
        """Lose the session such that routes are kept."""
        self.router.down(self.member, graceful=self.negotiated.restarts, now=now)

    # --- what it hears -------------------------------------------------------------------------------

    def pull(self, limit: int = 65536) -> list[bytes]:
        """Pull once, and believe it."""
        blobs = self.router.pull(self.member, limit)
        for blob in blobs:
            self.listener.hear(blob)
        return blobs

    def take(self, octets: bytes, now: float) -> None:
        """Take what many are told alike."""
        self.listener.hear(octets)

    def drain(self) -> None:
        """Pull until nothing is left."""
        for _ in range(100000):
            if not self.member.pending:
                return
            self.pull()
            self.router.flush(self.now)
        raise AssertionError(f"{self.name} is never done")

    @property
    def held(self) -> dict[tuple[Family, bytes, int], Attributes]:
        """What it was told: (family, prefix, path id or 0) -> attributes."""
        return self.listener.held

    @property
    def end_of_rib(self) -> list[Family]:
        return self.listener.end_of_rib

    @property
    def refreshes(self) -> list[bytes]:
        return self.listener.refreshes

    @property
    def messages(self) -> int:
        return self.listener.messages

    @property
    def announced(self) -> int:
        return self.listener.announced

    @property
    def withdrawn(self) -> int:
        return self.listener.withdrawn

    def prefixes(self, family: Family = IPV4_UNICAST) -> set[str]:
        return {nlri.text(one, octets) for one, octets, _ in self.held if one is family}

    def heard(self, text: str) -> Attributes:
        """Return the attributes of a prefix that it holds once."""
        family, octets = nlri.parse(text)
        (attributes,) = [
            value for (one, held, _), value in self.held.items() if one is family and held == octets
        ]
        return attributes


def settle(router: Router, *peers: Peer, now: float = 0.0) -> None:
    """Let the router do all its work, and `peers` take all of it, at the time `now`."""
    more = True
    while more:
        while router.work():
            pass
        more = router.flush(now)
    for peer in peers:
        peer.now = now
        peer.drain()


slots = Slots()


def path(
    peer: str = "p",
    kind: Kind = Kind.CLIENT,
    *,
    identifier: int = 1,
    remote: str = "10.0.0.1",
    path_id: int | None = None,
    cost: int = 0,
    age: int = 0,
    extra: Mapping[int, bytes] | None = None,
    **values: object,
) -> Path:
    """Return a path of its own, from a source of its own."""
    values.setdefault("next_hop", "10.9.0.9")
    attributes = table.make(**values)  # type: ignore[arg-type]
    if extra:
        attributes = table.derive(attributes, extra)
    source = Source(peer, kind, 65000, identifier.to_bytes(4, "big"), address(remote))
    slot: Slot = slots.get(peer, path_id)
    made = Path(source, slot, attributes, age)
    made.cost = cost
    return made
