"""The JSON form of what stands around messages in files: times, places, and MRT records that hold none.

    MISSING            packet, time, from, to, offset, octets, reason: a capture does not hold them
    STATE_CHANGE       peer, local, interface, old_state, new_state
    PEER_INDEX_TABLE   collector, view, peers: [{address, asn, identifier}]
    RIB                family, prefix, sequence, entries: [{peer, originated, path_id, next_hop,
                       attributes, flags}]
    BROKEN             reason, body in hexadecimal: a record that does not follow its layout
    MRT                body in hexadecimal: a record of a kind that is not taken apart

Records have also `record` (type and subtype), `time` and `offset`, that of the record in the file.
"""

from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family, family_name
from bgp.iana import Afi, AttributeType
from bgp.tools import anatomy, mrt
from bgp.tools.capture import Missing, Where
from bgp.tools.json_form import Told, collect, next_hop_text
from bgp.wire import prefix as prefixes
from bgp.wire.context import Context

_MP_REACH = AttributeType.MP_REACH_NLRI
_WRITTEN_LIKE: dict[int, Family] = {Afi.IPV4: IPV4_UNICAST, Afi.IPV6: IPV6_UNICAST}


def time_text(nanoseconds: int | None) -> str | None:
    """Return a time in UTC as RFC 3339 writes it, with as many digits as it needs."""
    if nanoseconds is None:
        return None
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits}Z"
    except (ValueError, OverflowError, OSError):
        return f"{seconds}{digits}"  # beyond the calendar


def where_form(where: Where) -> dict[str, Any]:
    """Return the JSON keys that tell where in a capture something was."""
    return {
        "packet": where.packet,
        "time": time_text(where.time),
        "from": str(where.source),
        "to": str(where.destination),
        "offset": where.offset,
    }


def missing_form(missing: Missing) -> dict[str, Any]:
    """Return the JSON form of octets that a capture does not hold."""
    return {
        "type": "MISSING",
        **where_form(missing.where),
        "octets": missing.octets,
        "reason": missing.reason,
    }


def header_form(header: mrt.Header) -> dict[str, Any]:
    """Return the JSON keys that tell where in an MRT file a record is, and what."""
    return {"record": header.name, "time": time_text(header.time), "offset": header.offset}


def peer_form(peer: mrt.Peer) -> dict[str, Any]:
    """Return the JSON form of one side of a session."""
    found: dict[str, Any] = {"address": prefixes.address_text(peer.address), "asn": peer.asn}
    if peer.identifier is not None:
        found["identifier"] = str(IPv4Address(peer.identifier))
    return found


def record_form(record: mrt.Record, context: Context) -> dict[str, Any]:
    """Return the JSON form of an MRT record that holds no message, or the keys that go with its message."""
    header = header_form(record.header)
    match record:
        case mrt.Message():
            sides = {"peer": peer_form(record.peer), "local": peer_form(record.local)}
            ends = [sides["peer"]["address"], sides["local"]["address"]]
            source, destination = ends[::-1] if record.sent else ends
            return {**header, "from": source, "to": destination, **sides, "interface": record.interface}
        case mrt.StateChange():
            return {
                "type": "STATE_CHANGE",
                **header,
                "peer": peer_form(record.peer),
                "local": peer_form(record.local),
                "interface": record.interface,
                "old_state": mrt.STATES.get(record.old, record.old),
                "new_state": mrt.STATES.get(record.new, record.new),
            }
        case mrt.PeerIndexTable():
            return {
                "type": "PEER_INDEX_TABLE",
                **header,
                "collector": str(IPv4Address(record.collector)),
                "view": record.view,
                "peers": [peer_form(peer) for peer in record.peers],
            }
        case mrt.Rib():
            return {"type": "RIB", **header, **_rib(record, context)}
        case mrt.Broken():
            found = {"type": "BROKEN", **header, "reason": record.reason}
            return {**found, "reason_offset": record.offset, "body": record.body.hex()}
        case mrt.Other():
            return {"type": "MRT", **header, "body": record.body.hex()}


def _rib(record: mrt.Rib, context: Context) -> dict[str, Any]:
    like = _WRITTEN_LIKE.get(record.afi) if record.safi <= 2 else None
    return {
        "family": family_name(record.afi, record.safi),
        "prefix": prefixes.text(like, record.prefix) if like else f"0x{record.prefix.hex()}",
        "sequence": record.sequence,
        "entries": [_entry(entry, record, context) for entry in record.entries],
    }


def _entry(entry: mrt.Entry, record: mrt.Rib, context: Context) -> dict[str, Any]:
    listed, left = anatomy.walk(entry.attributes, 0)
    told = Told(context)
    next_hop = ""
    others = []
    for attribute in listed:
        if attribute.type == _MP_REACH and _abbreviated(attribute.value):
            next_hop = next_hop_text(attribute.value[1:])
        else:
            others.append(attribute)
    collect(tuple(others), told, 4 if record.four_octet_as else 2)
    found: dict[str, Any] = {"peer": peer_form(entry.peer) if entry.peer else {"index": entry.index}}
    found["originated"] = time_text(entry.originated * 1_000_000_000)
    if entry.path_id is not None:
        found["path_id"] = entry.path_id
    next_hop = next_hop or next(iter(told.next_hop.values()), "") or told.attributes.get("next_hop", "")
    found.update(next_hop=next_hop, attributes=told.attributes)
    if told.flags:
        found["flags"] = told.flags
    if left.octets:
        found["left"] = left.octets.hex()
    return found


def _abbreviated(value: bytes) -> bool:
    """Return whether MP_REACH_NLRI has but a next hop (RFC 6396 section 4.3.4), as not all writers heed."""
    return bool(value) and value[0] != 0 and len(value) == 1 + value[0]
