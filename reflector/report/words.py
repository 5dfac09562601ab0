"""How values of the library look in reports: names, dotted identifiers, seconds, attributes as JSON."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from bgp.aio.peer import Peer
from bgp.family import Family
from bgp.iana import AttributeType
from bgp.rib.path import Kind, Path
from bgp.session.config import AsExpected
from bgp.tools import attribute_form
from bgp.tools.json_form import next_hop_text
from bgp.wire.attributes import Attributes
from reflector.report.row import Row

OURSELVES = ""


def identifier(number: int) -> str:
    """Return a BGP Identifier or CLUSTER_ID, dotted."""
    return str(IPv4Address(number))


def kind(value: Kind) -> str:
    """Return what a peer is to us, such as "client" or "route-server-client"."""
    return value.name.lower().replace("_", "-")


def expected_as(asn: int | AsExpected, own: int) -> int | str:
    """Return the AS number of a peer, or the word for those that it may have."""
    if isinstance(asn, AsExpected):
        return own if asn is AsExpected.INTERNAL else asn.value
    return asn


def as_number(peer: Peer, own: int) -> int:
    """Return the AS number of a peer, 0 where it has no session and may be one of several."""
    if peer.negotiated is not None:
        return peer.negotiated.remote_as
    asn = expected_as(peer.options.asn, own)
    return asn if isinstance(asn, int) else 0


def attributes(found: Attributes) -> Row:
    """Return path attributes by name, their values as `python -m bgp decode` has them."""
    values: dict[str, Any] = {"next_hop": next_hop_text(found.next_hop) if found.next_hop else None}
    for _, type_, octets in found.items():
        values[attribute_form.key_of(type_)] = attribute_form.read(type_, octets, 4)
    return values


def path(family: Family, prefix: str, found: Path, best: bool) -> Row:
    """Return a path of a prefix: whose it is, what came, what import made of it, and why it is unusable."""
    source = found.source
    row: Row = {
        "prefix": prefix,
        "family": family.name,
        "best": best,
        "usable": found.usable,
        "peer": source.peer or OURSELVES,
        "kind": kind(source.kind),
        "peer_as": source.asn,
        "path_id": found.path_id,
        "stale": source.stale or found.attributes.stale,
        **attributes(found.attributes),
    }
    if found.attributes is not found.received:
        row["received"] = attributes(found.received)
    if found.refusal is not None:
        row["refused"] = {
            "rule": found.refusal.name,
            "section": found.refusal.section,
            "text": found.refusal.text,
        }
    return row


class Rows:
    """Makes rows.  Paths that follow each other are often the same, and attributes are what takes long."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._path: tuple[Path | None, Row] = None, {}
        self._told: tuple[Attributes | None, Row] = None, {}

    def path(self, prefix: str, found: Path, best: bool) -> Row:
        """Return a path of a prefix."""
        if self._path[0] is not found:
            self._path = found, path(self._family, prefix, found, best)
        return {**self._path[1], "prefix": prefix, "best": best}

    def told(self, prefix: str, told: Attributes, path_id: int | None) -> Row:
        """Return what a neighbor is told of a prefix."""
        if self._told[0] is not told:
            self._told = told, attributes(told)
        return {"prefix": prefix, "family": self._family.name, "path_id": path_id, **self._told[1]}


def named(row: Row, names: Mapping[str, str]) -> Row:
    """Return `row`, with `community_names` where communities in it have names."""
    if names:
        kinds = ("communities", "large_communities", "extended_communities")
        found = {text: names[text] for kind in kinds for text in row.get(kind, ()) if text in names}
        if found:
            row["community_names"] = found
    return row


def number_of(type_: AttributeType, found: Attributes) -> int | None:
    """Return a numeric attribute, None where there is none."""
    octets = found.get(type_)
    return None if octets is None else int.from_bytes(octets, "big")
