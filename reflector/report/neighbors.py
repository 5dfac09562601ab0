"""The reports of neighbors: a row for each, and all that is known of one."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp.aio.peer import Peer
from bgp.aio.roster import ListenRange
from bgp.iana import MessageType
from bgp.member import kind_of
from bgp.session.event import State
from bgp.session.negotiation import Negotiated
from reflector.report.guards import of_member
from reflector.report.row import Row
from reflector.report.words import expected_as, identifier, kind

if TYPE_CHECKING:
    from reflector.app import Service

# So many neighbors may be passed over between two turns of the loop; who takes rows sees to that himself.
_STEP = 1024
# Up to so many prefixes what one neighbor is told is counted there and then.
_AT_ONCE = 2000


async def neighbors(
    service: "Service", *, state: State | None = None, name: str = "", down: bool = False
) -> AsyncGenerator[Row, None]:
    """Yield a row for each neighbor that is in `state`, or `down`: not Established; whose name has `name`."""
    for number, peer in enumerate(service.speaker.peers):
        if number % _STEP == _STEP - 1:
            await asyncio.sleep(0)
        if (state is not None and peer.state is not state) or (down and peer.state is State.ESTABLISHED):
            continue
        if name.lower() in peer.name.lower():
            yield row(service, peer)
    for listen_range in service.speaker.listen_ranges:
        found = _kept_down(service, listen_range)
        if listen_range.options.blocked and state in (None, State.IDLE) and name.lower() in found["name"]:
            yield found


def _kept_down(service: "Service", listen_range: ListenRange) -> Row:
    """Return the row of a listen range that takes nobody; of others only who has come from there has one."""
    return {
        "name": f"listen range {listen_range.prefix}",
        "description": "",
        "address": str(listen_range.prefix),
        "asn": expected_as(listen_range.options.asn, service.speaker.router.asn),
        "kind": None,
        "state": State.IDLE.label,
        "running": True,
        "dynamic": False,
        "blocked": listen_range.options.blocked,
        "since": service.configured,
        "age": time.time() - service.configured,
        "received": {},
        "messages_in": 0,
        "messages_out": 0,
        "updates_in": 0,
        "updates_out": 0,
        "lag": 0.0,
        "queue": 0,
        "behind": False,
        "last_error": f"kept down: {listen_range.options.blocked}",
        "last_error_at": service.configured,
    }


def row(service: "Service", peer: Peer) -> Row:
    """Return what the list says of a neighbor."""
    member, negotiated, traffic = peer.member, peer.negotiated, peer.traffic
    families = () if negotiated is None else negotiated.families
    own = service.speaker.router.asn
    return {
        "name": peer.name,
        "description": peer.options.description,
        "address": peer.options.interface or str(peer.remote.address),
        "asn": expected_as(peer.options.asn, own) if negotiated is None else negotiated.remote_as,
        "kind": None if member is None or negotiated is None else kind(kind_of(member.settings, negotiated)),
        "state": peer.state.label,
        "running": peer.is_running,
        "dynamic": peer.dynamic,
        "blocked": peer.options.blocked,
        "since": peer.since,
        "age": time.time() - peer.since,
        "received": {} if member is None else {family.name: member.received(family) for family in families},
        "messages_in": sum(traffic.received),
        "messages_out": sum(traffic.sent),
        "updates_in": traffic.received[MessageType.UPDATE],
        "updates_out": traffic.sent[MessageType.UPDATE],
        "lag": 0.0 if member is None else member.lag(service.loop.time()),
        "queue": sum(link.unsent for link in peer.connections),
        "behind": member is not None and member.behind,
        "last_error": peer.last_error,
        "last_error_at": peer.last_error_at,
    }


async def neighbor(service: "Service", *, peer: Peer) -> AsyncGenerator[Row, None]:
    """Yield the one row with all that is known of a neighbor.

    How many routes it is told nothing keeps.  Of a large table that is what the last count said
    (`Service.counts`), so `advertised` has None before there was one, and `counted` says how long ago it was.
    """
    options, member, negotiated, traffic = peer.options, peer.member, peer.negotiated, peer.traffic
    local = peer.local_address
    found = row(service, peer) | {
        "port": options.port,
        "local_address": None if local is None else str(local),
        "times_established": peer.times_established,
        "messages": {
            type_.name.lower(): {"received": traffic.received[type_], "sent": traffic.sent[type_]}
            for type_ in MessageType
        },
        "octets": {"received": traffic.octets_received, "sent": traffic.octets_sent},
        "crashes": traffic.crashes,
        "connections": [
            {
                "state": link.state.label,
                "incoming": link.connection.incoming,
                "local": None if link.local is None else str(link.local),
                "remote": None if link.remote is None else str(link.remote),
            }
            for link in peer.connections
        ],
        "maximum_prefixes": {family.name: most for family, most in options.maximum_prefixes.items()},
        "debug": _debug(service, peer),
        "captures": service.debugs.captures[peer.name],
        "signed": "TCP-AO" if options.tcp_ao else "TCP-MD5" if options.password else None,
        "passive": options.passive,
    }
    if negotiated is not None and member is not None:
        router = service.speaker.router.rib
        found |= {
            "session": session(negotiated),
            "end_of_rib": [family.name for family in negotiated.families if family in member.end_of_rib],
            "refused": {family.name: router.refused(member, family) for family in negotiated.families},
            "updates_sent": member.updates_sent,
            "guard": None if member.settings.guard is None else of_member(member),
        }
        counted: float | None = 0.0
        advertised: dict[str, int | None]
        if sum(router.prefixes.values()) <= _AT_ONCE:
            told_now = {family: router.advertised(member, family) for family in negotiated.families}
            advertised = {family.name: sum(1 for _ in routes) for family, routes in told_now.items()}
        else:
            told, counted = service.counts.told(peer.name), service.counts.age
            advertised = {family.name: told.get(family) for family in negotiated.families}
        found |= {"advertised": advertised, "counted": counted}
    yield found


def _debug(service: "Service", peer: Peer) -> Row | None:
    """Return how long its messages are logged, and how many were."""
    debug = service.debugs.of(peer.name)
    if debug is None:
        return None
    left = max(debug.until - time.time(), 0.0)
    return {"seconds": left, "shown": debug.shown, "suppressed": debug.suppressed}


def session(negotiated: Negotiated) -> Row:
    """Return what both sides agreed on."""
    add_path = {
        family.name: [
            way
            for way, families in (
                ("receive", negotiated.add_path_receive),
                ("send", negotiated.add_path_send),
            )
            if family in families
        ]
        for family in negotiated.families
    }
    return {
        "internal": negotiated.internal,
        "local_as": negotiated.local_as,
        "remote_as": negotiated.remote_as,
        "local_identifier": identifier(negotiated.local_identifier),
        "remote_identifier": identifier(negotiated.remote_identifier),
        "hold_time": negotiated.hold_time,
        "keepalive_time": negotiated.keepalive_time,
        "send_hold_time": negotiated.send_hold_time,
        "families": [family.name for family in negotiated.families],
        "four_octet_as": negotiated.four_octet_as,
        "add_path": {name: ways for name, ways in add_path.items() if ways},
        "extended_next_hop": [
            family.name for family in negotiated.families if family in negotiated.extended_next_hop
        ],
        "maximum_message": {"receive": negotiated.maximum_receive, "send": negotiated.maximum_send},
        "route_refresh": negotiated.route_refresh,
        "enhanced_route_refresh": negotiated.enhanced_route_refresh,
        "role": None if negotiated.role is None else negotiated.role.name.lower(),
        "host_name": None if negotiated.capabilities.fqdn is None else negotiated.capabilities.fqdn.hostname,
    }
