"""From two OPENs to what the session is, a function of our configuration, our OPEN and theirs.

`offer` makes our OPEN, `negotiate` judges the peer's and returns what both together mean.  The checks come
in the order of the OPEN's fields: AS number, identifier, hold time, capabilities; the decoder has made those
that need no configuration, and the first that fails is reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from bgp.errors import (
    CAPABILITY_REQUIRED,
    HOLD_TIME,
    IDENTIFIER_OURS,
    PEER_AS,
    ROLE_MISMATCH,
    Notify,
)
from bgp.family import BY_CODE, DEFAULT_FAMILIES, Family
from bgp.iana import (
    AS_TRANS,
    EXTENDED_MESSAGE_LENGTH,
    MAXIMUM_MESSAGE_LENGTH,
    AddPathMode,
    Afi,
    Role,
)
from bgp.session import restart
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.restart import RUNNING, RestartState
from bgp.wire import capability
from bgp.wire.capability import Capabilities, GracefulRestart, LongLivedGracefulRestart
from bgp.wire.context import Context
from bgp.wire.message import Open

# RFC 9687 section 6: "the larger of 8 minutes and twice the negotiated hold time".
SEND_HOLD_TIME = 480

# Which role of the peer goes with ours (RFC 9234 section 4.2, table 2).
COUNTERPART = {
    Role.PROVIDER: Role.CUSTOMER,
    Role.CUSTOMER: Role.PROVIDER,
    Role.ROUTE_SERVER: Role.ROUTE_SERVER_CLIENT,
    Role.ROUTE_SERVER_CLIENT: Role.ROUTE_SERVER,
    Role.PEER: Role.PEER,
}


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on.

    Times are in seconds, 0 for none.  `add_path_receive`: families whose NLRI carry path identifiers towards
    us, `add_path_send` those towards the peer.  `extended_next_hop`: families that may have IPv6 next hops in
    both directions (RFC 8950).  `route_refresh` and `enhanced_route_refresh`: we may send such to the peer.
    `graceful_restart` and `llgr` are what the peer advertised; `graceful`: we advertised the first, too, and
    so both say End-of-RIB.  `restarts`: routes of the peer are kept while
    it restarts, of one family at least; `preserved`: it keeps ours.  `notification_restart`: both do so after
    a NOTIFICATION as well (RFC 8538).  `long_lived`: we advertised LLGR (RFC 9494).
    """

    local_as: int
    remote_as: int
    local_identifier: int
    remote_identifier: int
    internal: bool
    confederation: bool
    hold_time: int
    keepalive_time: float
    send_hold_time: float
    families: tuple[Family, ...]
    four_octet_as: bool
    add_path_receive: frozenset[Family]
    add_path_send: frozenset[Family]
    extended_next_hop: frozenset[Family]
    maximum_receive: int
    maximum_send: int
    route_refresh: bool
    enhanced_route_refresh: bool
    role: Role | None
    remote_role: Role | None
    graceful_restart: GracefulRestart | None
    llgr: LongLivedGracefulRestart | None
    graceful: bool
    restarts: bool
    preserved: bool
    notification_restart: bool
    long_lived: bool
    local_open: Open
    remote_open: Open
    capabilities: Capabilities  # the peer's, parsed
    as_sets: bool = False
    first_as: bool = False
    aigp: bool = False

    def context(self) -> Context:
        """Return what the decoder of the peer's UPDATEs must know."""
        return Context(
            internal=self.internal,
            confederation=self.confederation,
            four_octet_as=self.four_octet_as,
            families=frozenset(self.families),
            add_path=self.add_path_receive,
            extended_next_hop=self.extended_next_hop,
            extended_messages=self.maximum_receive > MAXIMUM_MESSAGE_LENGTH,
            as_sets=self.as_sets,
            aigp=self.aigp,
            first_as=self.first_as,
            peer_as=self.remote_as,
        )


_NOTHING: frozenset[Family] = frozenset()  # what most sessions have in common
# Thousands of clients that come at once are offered the same, and most of them offer the same: so what the
# grammar makes of it is remembered (a session costs a quarter less).
_encoded = lru_cache(64)(Capabilities.encode)
_meaning = lru_cache(64)(Capabilities.parse)


def offer(config: SessionConfig, plain: bool = False, state: RestartState = RUNNING) -> Open:
    """Return our OPEN; `plain` leaves out the capabilities, for a peer that refuses them (RFC 5492 3)."""
    return Open(
        my_as=config.local_as,
        hold_time=config.hold_time,
        identifier=config.identifier,
        capabilities=() if plain else _encoded(_capabilities(config, state)),
    )


def _capabilities(config: SessionConfig, state: RestartState = RUNNING) -> Capabilities:
    graceful, long_lived = restart.capabilities(
        config.graceful_restart, config.families, config.hold_time, state
    )
    return Capabilities(
        families=tuple((family.afi, family.safi) for family in config.families),
        route_refresh=config.route_refresh,
        enhanced_route_refresh=config.enhanced_route_refresh,
        extended_message=config.extended_messages,
        four_octet_as=config.local_as if config.four_octet_as else None,
        add_path=tuple((family.afi, family.safi, mode) for family, mode in config.add_path.items()),
        extended_next_hop=tuple((family.afi, family.safi, Afi.IPV6) for family in config.extended_next_hop),
        # RFC 9234 section 5 has roles between member ASes of a confederation "NOT RECOMMENDED".
        roles=() if config.role is None or config.confederation else (config.role,),
        fqdn=config.fqdn,
        graceful_restart=graceful,
        long_lived_graceful_restart=long_lived,
    )


def negotiate(config: SessionConfig, ours: Open, theirs: Open) -> Negotiated:
    """Return what the two OPENs make of the session; raise Notify where theirs is not acceptable."""
    we, they = _meaning(ours.capabilities), _meaning(theirs.capabilities)
    remote_as = _remote_as(config, theirs)
    internal = remote_as == config.local_as
    if internal and theirs.identifier == ours.identifier:
        raise Notify.of(IDENTIFIER_OURS, offset=24)
    hold_time = _hold_time(config, ours, theirs)
    families = _families(config, we, they)
    _require(config, theirs)
    role, remote_role = _roles(config, internal, they)
    extended = we.extended_message and they.extended_message
    receive, send = _add_path(families, we, they)
    return Negotiated(
        local_as=config.local_as,
        remote_as=remote_as,
        local_identifier=ours.identifier,
        remote_identifier=theirs.identifier,
        internal=internal,
        confederation=config.confederation and not internal,
        hold_time=hold_time,
        keepalive_time=hold_time / 3,  # RFC 4271 section 4.4: "a reasonable maximum"
        send_hold_time=_send_hold_time(config, hold_time),
        families=families,
        # RFC 6793 section 4.1: what counts is that both sides advertised it.
        four_octet_as=we.four_octet_as is not None and they.four_octet_as is not None,
        add_path_receive=receive,
        add_path_send=send,
        extended_next_hop=_extended_next_hop(families, we, they),
        # RFC 8654 section 4: the receiver's advertisement is what allows the sender.
        maximum_receive=EXTENDED_MESSAGE_LENGTH if we.extended_message else MAXIMUM_MESSAGE_LENGTH,
        maximum_send=EXTENDED_MESSAGE_LENGTH if extended else MAXIMUM_MESSAGE_LENGTH,
        # RFC 2918 section 4: the peer's advertisement is what allows us to ask.
        route_refresh=they.route_refresh,
        enhanced_route_refresh=we.enhanced_route_refresh and they.enhanced_route_refresh,
        role=role,
        remote_role=remote_role,
        graceful_restart=they.graceful_restart,
        llgr=_long_lived(they),
        graceful=we.graceful_restart is not None and they.graceful_restart is not None,
        restarts=_keeps(we, they, families),
        preserved=_keeps(they, we, families),
        notification_restart=_notifies(we) and _notifies(they),
        long_lived=_long_lived(we) is not None,
        local_open=ours,
        remote_open=theirs,
        capabilities=they,
        as_sets=config.as_sets,
        first_as=config.first_as,
        aigp=config.aigp,
    )


def _remote_as(config: SessionConfig, theirs: Open) -> int:
    remote_as = theirs.asn
    # RFC 6793 section 9 reserves AS_TRANS, so it is nobody's; 0 (RFC 7607) has been refused before.
    acceptable = remote_as != AS_TRANS
    match config.peer_as:
        case AsExpected.ANY:
            pass
        case AsExpected.INTERNAL:
            acceptable = remote_as == config.local_as
        case AsExpected.EXTERNAL:
            inside = remote_as == config.local_as or remote_as in config.members
            acceptable = acceptable and not inside
        case AsExpected.CONFEDERATION:
            acceptable = remote_as in config.members and remote_as != config.local_as
        case expected:
            acceptable = remote_as == expected
    if not acceptable:
        raise Notify.of(PEER_AS, offset=20)
    return remote_as


def _hold_time(config: SessionConfig, ours: Open, theirs: Open) -> int:
    # RFC 4271 section 4.2: a peer may be refused for its Hold Time; zero means that it need not be alive.
    if theirs.hold_time < config.minimum_hold_time:
        raise Notify.of(HOLD_TIME, offset=22)
    return min(ours.hold_time, theirs.hold_time)


def _send_hold_time(config: SessionConfig, hold_time: int) -> float:
    # RFC 9687 section 4.3: a hold time of zero disables it.
    if hold_time == 0:
        return 0.0
    if config.send_hold_time is None:
        return float(max(SEND_HOLD_TIME, 2 * hold_time))
    return float(config.send_hold_time)


def _named(capabilities: Capabilities) -> tuple[Family, ...]:
    """Return the families that an OPEN names; without any it means IPv4 unicast, as in RFC 4271."""
    if not capabilities.multiprotocol:
        return DEFAULT_FAMILIES
    return _known(capabilities.families)


def _known(codes: Iterable[tuple[int, int]]) -> tuple[Family, ...]:
    return tuple(BY_CODE[code] for code in codes if code in BY_CODE)


def _families(config: SessionConfig, we: Capabilities, they: Capabilities) -> tuple[Family, ...]:
    theirs = _named(they)
    families = tuple(family for family in _named(we) if family in theirs)
    if not families:
        # RFC 5492 section 3: the Data field lists what we want, encoded as in an OPEN.
        wanted = Capabilities(families=tuple((family.afi, family.safi) for family in config.families))
        raise Notify.of(CAPABILITY_REQUIRED, capability.encode(wanted.encode()))
    return families


def _require(config: SessionConfig, theirs: Open) -> None:
    there = {item.code for item in theirs.capabilities}
    lacking = {code for code in config.required if code not in there}
    if lacking:
        wanted = [item for item in _capabilities(config).encode() if item.code in lacking]
        raise Notify.of(CAPABILITY_REQUIRED, capability.encode(wanted))


def _roles(config: SessionConfig, internal: bool, they: Capabilities) -> tuple[Role | None, Role | None]:
    """Return our role and the peer's, None where it has none; raise Notify (RFC 9234 section 4.2)."""
    if config.role is None or internal or config.confederation:
        return None, None
    if not they.roles and not config.strict_role:
        return config.role, None
    if they.roles != (COUNTERPART[config.role],):
        raise Notify.of(ROLE_MISMATCH)
    return config.role, COUNTERPART[config.role]


def _add_path(
    families: Iterable[Family], we: Capabilities, they: Capabilities
) -> tuple[frozenset[Family], frozenset[Family]]:
    """Return the families with path identifiers towards us, and those towards the peer (RFC 7911 4)."""
    ours = {(afi, safi): mode for afi, safi, mode in we.add_path}
    theirs = {(afi, safi): mode for afi, safi, mode in they.add_path}
    receive, send = set(), set()
    for family in families:
        code = (family.afi, family.safi)
        our_mode, their_mode = ours.get(code, 0), theirs.get(code, 0)
        if our_mode & AddPathMode.RECEIVE and their_mode & AddPathMode.SEND:
            receive.add(family)
        if our_mode & AddPathMode.SEND and their_mode & AddPathMode.RECEIVE:
            send.add(family)
    return frozenset(receive) or _NOTHING, frozenset(send) or _NOTHING


def _long_lived(capabilities: Capabilities) -> LongLivedGracefulRestart | None:
    # RFC 9494 section 4.5: without capability 64, "as though no LLGR Capability has been received".
    return capabilities.long_lived_graceful_restart if capabilities.graceful_restart else None


def _keeps(helper: Capabilities, other: Capabilities, families: Iterable[Family]) -> bool:
    """Whether `helper` keeps routes of `other` that restarts, of one of `families` at least."""
    graceful = other.graceful_restart
    if helper.graceful_restart is None or graceful is None:
        return False
    ours, theirs = _long_lived(helper), _long_lived(other)
    listed = {each[:2] for each in graceful.families if graceful.time}
    if ours is not None and theirs is not None:
        listed |= {each[:2] for each in theirs.families if each[3]} & {each[:2] for each in ours.families}
    return any((family.afi, family.safi) in listed for family in families)


def _notifies(capabilities: Capabilities) -> bool:
    graceful = capabilities.graceful_restart
    return graceful is not None and graceful.notification


def _extended_next_hop(families: Iterable[Family], we: Capabilities, they: Capabilities) -> frozenset[Family]:
    # RFC 8950 section 4: only where both sides advertised the same triple.
    both = set(we.extended_next_hop) & set(they.extended_next_hop)
    return frozenset(family for family in families if (family.afi, family.safi, Afi.IPV6) in both) or _NOTHING
