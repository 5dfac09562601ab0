"""What a neighbor says as ExaBGP's JSON of version 5: one object a line."""

import json
import os
import socket
import time
from ipaddress import IPv4Address
from typing import Any

from bgp.family import Family
from bgp.iana import AttributeType, CeaseSubcode, ErrorCode, Origin, RouteRefreshSubtype, SegmentType
from bgp.session.negotiation import Negotiated
from bgp.wire import prefix as nlri
from bgp.wire.aspath import AsPath
from bgp.wire.attributes import OPTIONAL_TRANSITIVE, PARTIAL, Attributes
from bgp.wire.community import extended_text
from bgp.wire.message import Notification, RouteRefresh, describe_error, shutdown_communication
from bgp.wire.text import printable
from bgp.wire.update import Update

VERSION = "5.0.0"
_HOST = socket.gethostname()
_ELEMENTS = {
    SegmentType.AS_SET: "as-set",
    SegmentType.AS_SEQUENCE: "as-sequence",
    SegmentType.AS_CONFED_SEQUENCE: "confed-sequence",
    SegmentType.AS_CONFED_SET: "confed-set",
}
_SUBTYPES = {
    RouteRefreshSubtype.REQUEST: "query",
    RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH: "begin",
    RouteRefreshSubtype.END_OF_ROUTE_REFRESH: "end",
}
_T = AttributeType


def envelope(type_: str, counter: int | None = None) -> dict[str, Any]:
    """Return what every object begins with; `counter` is for those about a neighbor."""
    counted = {} if counter is None else {"counter": counter}
    return {
        "exabgp": VERSION,
        "time": time.time(),
        "host": _HOST,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        **counted,
        "type": type_,
    }


def line(found: dict[str, Any]) -> bytes:
    """Return the object as it is printed."""
    return json.dumps(found).encode() + b"\n"


def family_text(family: Family) -> str:
    return family.name.replace("-", " ")


def update(said: Update) -> dict[str, Any]:
    """Return the `message` of an UPDATE."""
    if said.end_of_rib is not None:
        afi, safi = said.end_of_rib.name.split("-")
        return {"eor": {"afi": afi, "safi": safi}}
    told: dict[str, Any] = {}
    if said.announced:
        told["attribute"] = _attributes(said.announced[0].attributes)
        announced = told["announce"] = {}
        for reach in said.announced:
            by_next_hop = announced.setdefault(family_text(reach.family), {})
            for next_hop in _next_hops(reach.attributes.next_hop):
                by_next_hop.setdefault(next_hop, []).extend(
                    _nlri(reach.family, reach.prefixes, reach.path_ids)
                )
    if said.withdrawn:
        gone = told["withdraw"] = {}
        for family, prefixes, path_ids in said.withdrawn:
            gone.setdefault(family_text(family), []).extend(_nlri(family, prefixes, path_ids))
    return {"update": told}


def _next_hops(octets: bytes) -> list[str]:
    """RFC 2545 section 3 has a global and a link-local address in one."""
    parts = [octets] if len(octets) <= 16 else [octets[:16], octets[16:]]
    return [nlri.address_text(part) for part in parts]


def _nlri(family: Family, prefixes: list[bytes], path_ids: list[int] | None) -> list[dict[str, str]]:
    found = [{"nlri": nlri.text(family, prefix)} for prefix in prefixes]
    if path_ids is not None:
        for each, path_id in zip(found, path_ids, strict=True):
            each["path-information"] = str(IPv4Address(path_id))
    return found


def _attributes(attributes: Attributes) -> dict[str, Any]:
    found: dict[str, Any] = {"origin": Origin(attributes.origin).name.lower()}
    if attributes.as_path:
        found["as-path"] = _as_path(attributes.as_path)
    if attributes.med is not None:
        found["med"] = attributes.med
    if attributes.local_pref is not None:
        found["local-preference"] = attributes.local_pref
    if attributes.atomic_aggregate:
        found["atomic-aggregate"] = True
    if attributes.aggregator is not None:
        asn, address = attributes.aggregator
        found["aggregator"] = f"{asn}:{address}"
    if attributes.communities:
        found["community"] = [[value >> 16, value & 0xFFFF] for value in attributes.communities]
    if attributes.originator_id is not None:
        found["originator-id"] = str(IPv4Address(attributes.originator_id))
    if attributes.cluster_list:
        octets = attributes.cluster_list
        found["cluster-list"] = [str(IPv4Address(octets[at : at + 4])) for at in range(0, len(octets), 4)]
    if attributes.extended_communities:
        found["extended-community"] = [
            {"value": int.from_bytes(octets, "big"), "string": _extended(octets)}
            for octets in attributes.extended_communities
        ]
    if attributes.large_communities:
        found["large-community"] = [list(each) for each in attributes.large_communities]
    for flags, type_, value in attributes.items():
        if type_ not in _SHOWN:
            found[f"attribute-0x{type_:02X}-0x{_shown_flags(flags):02X}"] = f"0x{value.hex().upper()}"
    return found


_SHOWN = {
    *(_T.ORIGIN, _T.AS_PATH, _T.MULTI_EXIT_DISC, _T.LOCAL_PREF, _T.ATOMIC_AGGREGATE, _T.AGGREGATOR),
    *(_T.COMMUNITIES, _T.ORIGINATOR_ID, _T.CLUSTER_LIST, _T.EXTENDED_COMMUNITIES, _T.LARGE_COMMUNITIES),
}


def _shown_flags(flags: int) -> int:
    """An attribute that is not known is passed on with Partial set (RFC 4271 section 9)."""
    known = flags & (OPTIONAL_TRANSITIVE | PARTIAL)
    return known | PARTIAL if flags & OPTIONAL_TRANSITIVE == OPTIONAL_TRANSITIVE else known


def _as_path(path: AsPath) -> dict[str, Any]:
    return {
        str(number): {"element": _ELEMENTS[SegmentType(segment.type)], "value": list(segment.asns)}
        for number, segment in enumerate(path)
    }


def _extended(octets: bytes) -> str:
    text = extended_text(octets)
    kind, colon, rest = text.partition(":")
    name = {"rt": "target", "ro": "origin"}.get(kind)
    return "" if name is None else f"{name}{colon}{rest.replace('L:', ':')}"


def opened(negotiated: Negotiated) -> dict[str, Any]:
    """Return the `open` of the neighbor's OPEN."""
    theirs = negotiated.remote_open
    they = negotiated.capabilities
    capabilities: dict[str, Any] = {}
    if they.families:
        names = [_name(*each) for each in they.families]
        capabilities["1"] = {"name": "multiprotocol", "families": names}
    if they.route_refresh:
        capabilities["2"] = {"name": "route-refresh", "variant": "RFC"}
    if they.extended_message:
        capabilities["6"] = {"name": "extended-message", "size": 65535}
    if they.four_octet_as is not None:
        capabilities["65"] = {"name": "asn4", "asn4": they.four_octet_as}
    if they.add_path:
        modes = {1: "receive", 2: "send", 3: "send/receive"}
        capabilities["69"] = {"name": "addpath"} | {
            _name(afi, safi): modes.get(mode, str(mode)) for afi, safi, mode in they.add_path
        }
    if they.enhanced_route_refresh:
        capabilities["70"] = {"name": "enhanced-route-refresh"}
    return {
        "version": 4,
        "asn": negotiated.remote_as,
        "hold_time": theirs.hold_time,
        "router_id": str(IPv4Address(negotiated.remote_identifier)),
        "capabilities": capabilities,
    }


def _name(afi: int, safi: int) -> str:
    afis, safis = {1: "ipv4", 2: "ipv6"}, {1: "unicast", 2: "multicast"}
    return f"{afis.get(afi, afi)}/{safis.get(safi, safi)}"


def refresh(message: RouteRefresh) -> dict[str, Any]:
    """Return the `route-refresh` of a ROUTE-REFRESH."""
    afi, safi = _name(message.afi, message.safi).split("/")
    subtype = _SUBTYPES.get(RouteRefreshSubtype(message.subtype), str(message.subtype))
    return {"afi": afi, "safi": safi, "subtype": subtype}


def notification(received: Notification) -> dict[str, Any]:
    """Return the `notification` of a NOTIFICATION."""
    texts = (CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, CeaseSubcode.ADMINISTRATIVE_RESET)
    speaks = received.code == ErrorCode.CEASE and received.subcode in texts
    said = shutdown_communication(received.data) if speaks else ""
    return {
        "code": received.code,
        "subcode": received.subcode,
        "data": f"0x{received.data.hex().upper()}",
        "message": printable(said or describe_error(received.code, received.subcode)),
    }
