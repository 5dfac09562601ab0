"""What birdwatcher's JSON looks like: the status, neighbors and routes as it makes them of BIRD's words.

Looking glasses such as Alice-LG read it.  Neighbors are BIRD's protocols; moments are in UTC.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bgp.aio.peer import Peer
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.rib.path import Path
from bgp.session.event import State
from bgp.tools.json_form import next_hop_text
from bgp.wire.attributes import Attributes
from bgp.wire.community import extended_text
from bgp.wire.prefix import address_text
from reflector.birdc.reply import VERSION
from reflector.report.words import as_number, identifier

if TYPE_CHECKING:
    from reflector.app import Service

Json = dict[str, Any]

TABLES = {"master4": IPV4_UNICAST, "master6": IPV6_UNICAST}
OURS = "local"
_PREFERENCE = 100
_STATES = {State.OPEN_SENT: "OpenSent", State.OPEN_CONFIRM: "OpenConfirm"}
_ORIGINS = {0: "IGP", 1: "EGP", 2: "Incomplete"}


def envelope(service: "Service") -> Json:
    """Return what every answer begins with: nothing of ours is an old answer from a cache."""
    now = _exact(time.time())
    at = {"date": now, "timezone_type": "UTC", "timezone": "UTC"}
    api = {"Version": service.version, "result_from_cache": False, "cache_status": {"cached_at": at}}
    return {"api": api, "ttl": now, "cached_at": now}


def status(service: "Service") -> Json:
    """Return the state of the whole."""
    converged = service.speaker.is_converged
    return {
        "version": VERSION,
        "router_id": identifier(service.speaker.router.router_id),
        "current_server": moment(time.time()),
        "last_reboot": moment(service.started),
        "last_reconfig": moment(service.configured),
        "message": "Daemon is up and running" if converged else "Graceful restart recovery in progress",
    }


def short(peer: Peer) -> Json:
    """Return a neighbor in one line's worth."""
    return {
        "proto": "BGP",
        "table": "---",
        "state": _state(peer),
        "since": moment(peer.since),
        "info": _info(peer),
    }


def protocol(service: "Service", peer: Peer, families: Iterable[Family]) -> Json:
    """Return a neighbor; the routes of `families` together."""
    negotiated, member, traffic = peer.negotiated, peer.member, peer.traffic
    counts = service.counts
    told = counts.told(peer.name)
    received = filtered = exported = preferred = 0
    shared = () if negotiated is None or member is None else negotiated.families
    for family in families:
        if family in shared and member is not None:
            received += member.received(family)
            filtered += counts.refused(peer.name, family)
            exported += told.get(family, 0)
            preferred += counts.best(peer.name, family)
    accepted = max(received - filtered, 0)
    found: Json = {
        "protocol": peer.name,
        "bird_protocol": "BGP",
        "table": "---",
        "state": _state(peer),
        "state_changed": moment(peer.since),
        "connection": _info(peer),
        "description": peer.options.description or peer.name,
        "bgp_state": _STATES.get(peer.state, peer.state.label) if peer.is_running else "Down",
        "neighbor_address": peer.remote.host,
        "neighbor_as": as_number(peer, service.speaker.router.asn),
        "local_as": service.speaker.router.asn,
        "last_error": peer.last_error,
        "routes": {
            "imported": accepted,
            "accepted": accepted,
            "filtered": filtered,
            "exported": exported,
            "preferred": preferred,
        },
        "route_changes": {},
        "messages": {"received": sum(traffic.received), "sent": sum(traffic.sent)},
    }
    if negotiated is not None:
        kind = "internal" if negotiated.internal else "external"
        found |= {
            "neighbor_id": identifier(negotiated.remote_identifier),
            "session": f"{kind}{' route-reflector' if peer.options.client else ''}",
            "hold_timer": str(negotiated.hold_time),
            "keepalive_timer": f"{negotiated.keepalive_time:g}",
        }
        if peer.local_address is not None:
            found["source_address"] = peer.local_address.host
    return found


def route(
    prefix: str, path: Path, best: bool, peer: Peer | None, told: Attributes | None, since: str
) -> Json:
    """Return a route: what import made of it, or what is `told`; of `peer`, None where it is ours."""
    attributes = told or path.attributes
    next_hop = next_hop_text(attributes.next_hop) if attributes.next_hop else ""
    return {
        "network": prefix,
        "gateway": next_hop,
        "interface": "",
        "from_protocol": path.source.peer or OURS,
        "learnt_from": "" if peer is None else peer.remote.host,
        "age": since,
        "primary": best,
        "metric": _PREFERENCE,
        "type": ["BGP", "univ"],
        "bgp": _bgp(attributes, next_hop),
    }


def moment(seconds: float) -> str:
    """Return a moment as BIRD writes it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _bgp(attributes: Attributes, next_hop: str) -> Json:
    found: Json = {
        "origin": _ORIGINS.get(attributes.origin, "?"),
        "as_path": [str(asn) for segment in attributes.as_path for asn in segment.asns],
        "next_hop": next_hop,
        "communities": [[each >> 16, each & 0xFFFF] for each in attributes.communities],
        "large_communities": [list(each) for each in attributes.large_communities],
        "ext_communities": [_extended(each) for each in attributes.extended_communities],
    }
    # These are text there, and absent where there is none.
    if attributes.local_pref is not None:
        found["local_pref"] = str(attributes.local_pref)
    if attributes.med is not None:
        found["med"] = str(attributes.med)
    if attributes.originator_id:
        found["originator_id"] = address_text(attributes.originator_id)
    if attributes.cluster_list:
        clusters = attributes.cluster_list
        found["cluster_list"] = " ".join(
            address_text(clusters[at : at + 4]) for at in range(0, len(clusters), 4)
        )
    return found


def _extended(octets: bytes) -> list[str]:
    """Return an extended community in three parts, as BIRD has it."""
    kind, _, rest = extended_text(octets).partition(":")
    administrator, _, number = rest.rpartition(":")
    if administrator:
        return [kind, administrator, number]
    return ["generic", f"0x{octets[:4].hex()}", f"0x{octets[4:].hex()}"]


def _state(peer: Peer) -> str:
    if not peer.is_running:
        return "down"
    return "up" if peer.state is State.ESTABLISHED else "start"


def _info(peer: Peer) -> str:
    if not peer.is_running:
        return ""
    name = _STATES.get(peer.state, peer.state.label)
    return name if peer.state is State.ESTABLISHED else f"{name} {peer.last_error}".rstrip()


def _exact(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
