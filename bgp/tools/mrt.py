"""MRT files (RFC 6396, ADD-PATH by RFC 8050): records of sessions and of whole tables.

A parser of these is stateless but for PEER_INDEX_TABLE: the subtype, not an OPEN seen before, tells the
width of AS numbers and whether NLRI carry path identifiers (RFC 8050 section 2).  A record that breaks
its own layout becomes a `Broken`, and reading goes on behind it, for the header gave its length.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from bgp.iana import Afi, Safi
from bgp.tools.reading import MAXIMUM_RECORD, FormatError, Source
from bgp.wire.prefix import masked


class Type(IntEnum):
    """https://www.iana.org/assignments/mrt#mrt-types"""

    OSPFV2 = 11
    TABLE_DUMP = 12
    TABLE_DUMP_V2 = 13
    BGP4MP = 16
    BGP4MP_ET = 17
    ISIS = 32
    ISIS_ET = 33
    OSPFV3 = 48
    OSPFV3_ET = 49


# BGP4MP subtypes (https://www.iana.org/assignments/mrt#bgp4mp-subtype-codes): name, octets of an AS
# number, ADD-PATH, and whether the message was sent by the collector itself.
_MESSAGES = {
    1: ("MESSAGE", 2, False, False),
    4: ("MESSAGE_AS4", 4, False, False),
    6: ("MESSAGE_LOCAL", 2, False, True),
    7: ("MESSAGE_AS4_LOCAL", 4, False, True),
    8: ("MESSAGE_ADDPATH", 2, True, False),
    9: ("MESSAGE_AS4_ADDPATH", 4, True, False),
    10: ("MESSAGE_LOCAL_ADDPATH", 2, True, True),
    11: ("MESSAGE_AS4_LOCAL_ADDPATH", 4, True, True),
}
_STATE_CHANGES = {0: ("STATE_CHANGE", 2), 5: ("STATE_CHANGE_AS4", 4)}

# TABLE_DUMP_V2 subtypes: name, AFI and SAFI (None where the record names them), ADD-PATH entries.
_PEER_INDEX_TABLE = 1
_RIBS: dict[int, tuple[str, tuple[int, int] | None, bool]] = {
    2: ("RIB_IPV4_UNICAST", (Afi.IPV4, Safi.UNICAST), False),
    3: ("RIB_IPV4_MULTICAST", (Afi.IPV4, Safi.MULTICAST), False),
    4: ("RIB_IPV6_UNICAST", (Afi.IPV6, Safi.UNICAST), False),
    5: ("RIB_IPV6_MULTICAST", (Afi.IPV6, Safi.MULTICAST), False),
    6: ("RIB_GENERIC", None, False),
    8: ("RIB_IPV4_UNICAST_ADDPATH", (Afi.IPV4, Safi.UNICAST), True),
    9: ("RIB_IPV4_MULTICAST_ADDPATH", (Afi.IPV4, Safi.MULTICAST), True),
    10: ("RIB_IPV6_UNICAST_ADDPATH", (Afi.IPV6, Safi.UNICAST), True),
    11: ("RIB_IPV6_MULTICAST_ADDPATH", (Afi.IPV6, Safi.MULTICAST), True),
    12: ("RIB_GENERIC_ADDPATH", None, True),
}
_ADDRESS_SIZE = {int(Afi.IPV4): 4, int(Afi.IPV6): 16}
STATES = {1: "Idle", 2: "Connect", 3: "Active", 4: "OpenSent", 5: "OpenConfirm", 6: "Established"}


@dataclass(frozen=True, slots=True)
class Header:
    """Where a record stands in the file, its time in nanoseconds since 1970, and what it is."""

    offset: int
    time: int
    type: int
    subtype: int
    length: int

    @property
    def name(self) -> str:
        return _name(self.type, self.subtype)


@dataclass(frozen=True, slots=True)
class Peer:
    """One side of a session as a record tells it; the identifier is None where the record has none."""

    address: bytes
    asn: int
    identifier: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One BGP message, header included, between `peer` and the collector (RFC 6396 section 4.4)."""

    header: Header
    peer: Peer
    local: Peer
    interface: int
    four_octet_as: bool
    add_path: bool
    sent: bool  # by the collector: the LOCAL subtypes
    message: bytes


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of the FSM's state (RFC 6396 section 4.4.1)."""

    header: Header
    peer: Peer
    local: Peer
    interface: int
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class PeerIndexTable:
    """The peers that the RIB records behind it mean by index (RFC 6396 section 4.3.1)."""

    header: Header
    collector: int
    view: str
    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A route to a RIB record's prefix; `originated` is in seconds since 1970."""

    peer: Peer | None  # None: no PEER_INDEX_TABLE has this index
    index: int
    originated: int
    path_id: int | None
    attributes: bytes
    offset: int  # of the attributes, in the file


@dataclass(frozen=True, slots=True)
class Rib:
    """The routes to one prefix (RFC 6396 sections 4.2 and 4.3.2); the prefix is in wire form."""

    header: Header
    afi: int
    safi: int
    sequence: int
    prefix: bytes
    entries: tuple[Entry, ...]
    four_octet_as: bool = True


@dataclass(frozen=True, slots=True)
class Other:
    """A record of a kind that is not taken apart here."""

    header: Header
    body: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that does not follow its own layout; `offset` is that of the fault in the file."""

    header: Header
    body: bytes
    reason: str
    offset: int


Record = Message | StateChange | PeerIndexTable | Rib | Other | Broken


def is_mrt(beginning: bytes) -> bool:
    """Return whether a file that begins so can be an MRT file: one known kind, of credible length."""
    if len(beginning) < 12:
        return False
    _, type_, subtype, length = struct.unpack_from("!IHHI", beginning)
    return length <= MAXIMUM_RECORD and (
        (type_ in (Type.BGP4MP, Type.BGP4MP_ET) and subtype <= 11 and length >= 12)
        or (type_ == Type.TABLE_DUMP_V2 and 1 <= subtype <= 12 and length >= 7)
        or (type_ == Type.TABLE_DUMP and subtype in _ADDRESS_SIZE and length >= 22)
        or type_ in (Type.OSPFV2, Type.ISIS, Type.ISIS_ET, Type.OSPFV3, Type.OSPFV3_ET)
    )


def read(source: Source) -> Iterator[Record]:
    """Yield the records of an MRT file; raise FormatError where it breaks off."""
    peers: tuple[Peer, ...] = ()
    number = 0
    while not source.at_end():
        number += 1
        offset = source.offset
        seconds, type_, subtype, length = struct.unpack(
            "!IHHI", source.take(12, f"the header of record {number}")
        )
        body = source.take(length, f"record {number} ({_name(type_, subtype)})")
        # RFC 6396 section 3: the microseconds follow the header, and count in its length.
        extended = type_ in (Type.BGP4MP_ET, Type.ISIS_ET, Type.OSPFV3_ET)
        micros = int.from_bytes(body[:4], "big") if extended else 0
        header = Header(offset, seconds * 1_000_000_000 + micros * 1000, type_, subtype, length)
        cursor = _Cursor(body, offset + 12)
        try:
            if extended:
                cursor.take(4, "the microseconds")
            record = _record(header, cursor, peers)
        except FormatError as error:
            record = Broken(header, body, error.text, error.offset)
        if isinstance(record, PeerIndexTable):
            peers = record.peers
        yield record


def _name(type_: int, subtype: int) -> str:
    try:
        name = Type(type_).name
    except ValueError:
        return f"{type_}/{subtype}"
    if type_ in (Type.BGP4MP, Type.BGP4MP_ET) and (subtype in _MESSAGES or subtype in _STATE_CHANGES):
        return f"{name}/{(_MESSAGES.get(subtype) or _STATE_CHANGES[subtype])[0]}"
    if type_ == Type.TABLE_DUMP_V2 and subtype == _PEER_INDEX_TABLE:
        return f"{name}/PEER_INDEX_TABLE"
    if type_ == Type.TABLE_DUMP_V2 and subtype in _RIBS:
        return f"{name}/{_RIBS[subtype][0]}"
    if type_ == Type.TABLE_DUMP and subtype in _ADDRESS_SIZE:
        return f"{name}/AFI_{Afi(subtype).name}"
    return f"{name}/{subtype}"


class _Cursor:
    """A record's body, read from front to back; whatever overruns it is a FormatError."""

    def __init__(self, body: bytes, offset: int) -> None:
        self._body = body
        self._at = 0
        self._offset = offset

    @property
    def offset(self) -> int:
        return self._offset + self._at

    def take(self, size: int, what: str) -> bytes:
        end = self._at + size
        if end > len(self._body):
            raise FormatError(f"{what} overruns its record", self.offset)
        data = self._body[self._at : end]
        self._at = end
        return data

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "big")

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at, "the rest")

    def finish(self) -> None:
        if self._at < len(self._body):
            raise FormatError(f"{len(self._body) - self._at} octets are left over", self.offset)


def _record(header: Header, cursor: _Cursor, peers: tuple[Peer, ...]) -> Record:
    kind, subtype = header.type, header.subtype
    if kind in (Type.BGP4MP, Type.BGP4MP_ET):
        if subtype in _MESSAGES:
            return _message(header, cursor)
        if subtype in _STATE_CHANGES:
            return _state_change(header, cursor)
    elif kind == Type.TABLE_DUMP_V2:
        if subtype == _PEER_INDEX_TABLE:
            return _peer_index_table(header, cursor)
        if subtype in _RIBS:
            return _rib(header, cursor, peers)
    elif kind == Type.TABLE_DUMP and subtype in _ADDRESS_SIZE:
        return _table_dump(header, cursor)
    return Other(header, cursor.rest())


def _session(cursor: _Cursor, width: int) -> tuple[Peer, Peer, int]:
    peer_as, local_as = cursor.number(width, "the peer AS"), cursor.number(width, "the local AS")
    interface, afi = cursor.number(2, "the interface index"), cursor.number(2, "the address family")
    if afi not in _ADDRESS_SIZE:
        raise FormatError(f"address family {afi} is neither IPv4 nor IPv6", cursor.offset - 2)
    size = _ADDRESS_SIZE[afi]
    peer = Peer(cursor.take(size, "the peer address"), peer_as)
    return peer, Peer(cursor.take(size, "the local address"), local_as), interface


def _message(header: Header, cursor: _Cursor) -> Message:
    _, width, add_path, sent = _MESSAGES[header.subtype]
    peer, local, interface = _session(cursor, width)
    return Message(header, peer, local, interface, width == 4, add_path, sent, cursor.rest())


def _state_change(header: Header, cursor: _Cursor) -> StateChange:
    peer, local, interface = _session(cursor, _STATE_CHANGES[header.subtype][1])
    old, new = cursor.number(2, "the old state"), cursor.number(2, "the new state")
    cursor.finish()
    return StateChange(header, peer, local, interface, old, new)


def _peer_index_table(header: Header, cursor: _Cursor) -> PeerIndexTable:
    collector = cursor.number(4, "the collector's BGP Identifier")
    view = cursor.take(cursor.number(2, "the view name's length"), "the view name").decode("utf-8", "replace")
    peers = []
    for index in range(cursor.number(2, "the peer count")):
        what = f"peer {index}"
        kind = cursor.number(1, what)
        identifier = cursor.number(4, what)
        address = cursor.take(16 if kind & 0x01 else 4, what)
        peers.append(Peer(address, cursor.number(4 if kind & 0x02 else 2, what), identifier))
    cursor.finish()
    return PeerIndexTable(header, collector, view, tuple(peers))


def _rib(header: Header, cursor: _Cursor, peers: tuple[Peer, ...]) -> Rib:
    _, family, add_path = _RIBS[header.subtype]
    sequence = cursor.number(4, "the sequence number")
    path_id = None
    if family is not None:
        prefix = _prefix(cursor, 8 * _ADDRESS_SIZE[family[0]])
    else:
        family = cursor.number(2, "the AFI"), cursor.number(1, "the SAFI")
        # RFC 8050 section 4.1: here the path identifier is in the NLRI, and the entries have none.
        path_id = cursor.number(4, "the path identifier") if add_path else None
        add_path = False
        prefix = _prefix(cursor, 8 * _ADDRESS_SIZE.get(family[0], 32) if family[1] <= 2 else 255)
    entries = []
    for index in range(cursor.number(2, "the entry count")):
        what = f"entry {index}"
        number, originated = cursor.number(2, what), cursor.number(4, what)
        identifier = cursor.number(4, what) if add_path else path_id
        size = cursor.number(2, what)
        offset = cursor.offset
        peer = peers[number] if number < len(peers) else None
        attributes = cursor.take(size, f"the attributes of {what}")
        entries.append(Entry(peer, number, originated, identifier, attributes, offset))
    cursor.finish()
    return Rib(header, *family, sequence, prefix, tuple(entries))


def _prefix(cursor: _Cursor, longest: int) -> bytes:
    length = cursor.number(1, "the prefix length")
    if length > longest:
        raise FormatError(f"prefix length {length} is more than {longest}", cursor.offset - 1)
    octets = cursor.take((length + 7) // 8, "the prefix")
    # RFC 6396 section 4.3.2: "the value of trailing bits is irrelevant".
    return masked(bytes((length,)) + octets)


def _table_dump(header: Header, cursor: _Cursor) -> Rib:
    """Parse the older form of a table: a record for each prefix and peer (RFC 6396 section 4.2)."""
    size = _ADDRESS_SIZE[header.subtype]
    cursor.number(2, "the view number")
    sequence = cursor.number(2, "the sequence number")
    address, length = cursor.take(size, "the prefix"), cursor.number(1, "the prefix length")
    if length > 8 * size:
        raise FormatError(f"prefix length {length} is more than {8 * size}", cursor.offset - 1)
    cursor.number(1, "the status")
    originated = cursor.number(4, "the originated time")
    peer = Peer(cursor.take(size, "the peer address"), cursor.number(2, "the peer AS"))
    count = cursor.number(2, "the attributes' length")
    offset = cursor.offset
    entry = Entry(peer, 0, originated, None, cursor.take(count, "the attributes"), offset)
    cursor.finish()
    prefix = masked(bytes((length,)) + address[: (length + 7) // 8])
    return Rib(header, header.subtype, Safi.UNICAST, sequence, prefix, (entry,), four_octet_as=False)
