"""MRT records, built here from RFC 6396 and RFC 8050 and read back."""

import gzip
import io
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.tools import mrt
from bgp.tools.mrt import Broken, Entry, Message, Other, Peer, PeerIndexTable, Record, Rib, StateChange
from bgp.tools.reading import FormatError, Source

V4, V4_LOCAL = ip_address("192.0.2.1").packed, ip_address("192.0.2.254").packed
V6, V6_LOCAL = ip_address("2001:db8::1").packed, ip_address("2001:db8::fe").packed
BGP = b"\xff" * 16 + b"\x00\x13\x04"


def record(type_: int, subtype: int, body: bytes, seconds: int = 1_700_000_000) -> bytes:
    return struct.pack("!IHHI", seconds, type_, subtype, len(body)) + body


def session(width: int, peer: bytes = V4, local: bytes = V4_LOCAL) -> bytes:
    code = "!IIHH" if width == 4 else "!HHHH"
    return struct.pack(code, 65001, 65002, 7, 1 if len(peer) == 4 else 2) + peer + local


def entry(index: int, attributes: bytes, path_id: int | None = None) -> bytes:
    identifier = b"" if path_id is None else struct.pack("!I", path_id)
    return struct.pack("!HI", index, 1234) + identifier + struct.pack("!H", len(attributes)) + attributes


INDEX = record(
    13,
    1,
    struct.pack("!IH", 0x0A000001, 4)
    + b"view"
    + struct.pack("!H", 4)
    + b"\x00"
    + struct.pack("!I", 1)
    + V4
    + struct.pack("!H", 65001)
    + b"\x01"
    + struct.pack("!I", 2)
    + V6
    + struct.pack("!H", 65002)
    + b"\x02"
    + struct.pack("!I", 3)
    + V4
    + struct.pack("!I", 4200000001)
    + b"\x03"
    + struct.pack("!I", 4)
    + V6
    + struct.pack("!I", 4200000002),
)
PEERS = (Peer(V4, 65001, 1), Peer(V6, 65002, 2), Peer(V4, 4200000001, 3), Peer(V6, 4200000002, 4))


def read(data: bytes) -> list[Record]:
    return list(mrt.read(Source(io.BytesIO(data))))


def only(data: bytes) -> Record:
    assert mrt.is_mrt(data)
    (found,) = read(data)
    return found


@pytest.mark.parametrize(
    ("subtype", "width", "add_path", "local", "name"),
    [
        (1, 2, False, False, "MESSAGE"),
        (4, 4, False, False, "MESSAGE_AS4"),
        (6, 2, False, True, "MESSAGE_LOCAL"),
        (7, 4, False, True, "MESSAGE_AS4_LOCAL"),
        (8, 2, True, False, "MESSAGE_ADDPATH"),
        (9, 4, True, False, "MESSAGE_AS4_ADDPATH"),
        (10, 2, True, True, "MESSAGE_LOCAL_ADDPATH"),
        (11, 4, True, True, "MESSAGE_AS4_LOCAL_ADDPATH"),
    ],
)
@pytest.mark.parametrize("ends", [(V4, V4_LOCAL), (V6, V6_LOCAL)])
@pytest.mark.parametrize("extended", [False, True])
def test_messages(
    subtype: int,
    width: int,
    add_path: bool,
    local: bool,
    name: str,
    ends: tuple[bytes, bytes],
    extended: bool,
) -> None:
    body = session(width, *ends) + BGP
    if extended:
        found = only(record(17, subtype, struct.pack("!I", 250_000) + body))
    else:
        found = only(record(16, subtype, body))
    assert isinstance(found, Message)
    assert (found.peer, found.local, found.interface) == (Peer(ends[0], 65001), Peer(ends[1], 65002), 7)
    assert (found.four_octet_as, found.add_path, found.sent) == (width == 4, add_path, local)
    assert found.message == BGP
    assert found.header.time == 1_700_000_000 * 10**9 + 250_000_000 * extended
    assert found.header.name == f"BGP4MP{'_ET' * extended}/{name}"


@pytest.mark.parametrize(("subtype", "width"), [(0, 2), (5, 4)])
def test_state_changes(subtype: int, width: int) -> None:
    found = only(record(16, subtype, session(width) + struct.pack("!HH", 5, 6)))
    assert isinstance(found, StateChange)
    assert (found.peer.asn, mrt.STATES[found.old], mrt.STATES[found.new]) == (
        65001,
        "OpenConfirm",
        "Established",
    )


def test_peer_index_table() -> None:
    found = only(INDEX)
    assert isinstance(found, PeerIndexTable)
    assert (found.collector, found.view, found.peers) == (0x0A000001, "view", PEERS)


@pytest.mark.parametrize(
    ("subtype", "prefix", "family"),
    [
        (2, b"\x18\x0a\x00\x01", (1, 1)),
        (3, b"\x08\x0a", (1, 2)),
        (4, b"\x20\x20\x01\x0d\xb8", (2, 1)),
        (5, b"\x00", (2, 2)),
        (8, b"\x18\x0a\x00\x01", (1, 1)),
        (9, b"\x00", (1, 2)),
        (10, b"\x80" + V6, (2, 1)),
        (11, b"\x10\x20\x01", (2, 2)),
    ],
)
def test_ribs(subtype: int, prefix: bytes, family: tuple[int, int]) -> None:
    path_ids = (None, None) if subtype < 8 else (5, 0xFFFFFFFF)
    entries = entry(3, b"first", path_ids[0]) + entry(9, b"", path_ids[1])
    data = record(13, subtype, struct.pack("!I", 77) + prefix + struct.pack("!H", 2) + entries)
    _, found = read(INDEX + data)
    assert isinstance(found, Rib)
    assert (found.afi, found.safi, found.sequence, found.prefix) == (*family, 77, prefix)
    assert found.four_octet_as
    offset = len(INDEX + data) - len(entry(9, b"", path_ids[1])) - 5
    assert found.entries == (
        Entry(PEERS[3], 3, 1234, path_ids[0], b"first", offset),
        Entry(None, 9, 1234, path_ids[1], b"", len(INDEX + data)),
    )
    assert (INDEX + data)[offset : offset + 5] == b"first"


@pytest.mark.parametrize(("subtype", "path_id"), [(6, None), (12, 8)])
def test_generic_ribs_have_their_path_identifier_in_the_nlri(subtype: int, path_id: int | None) -> None:
    nlri = (b"" if path_id is None else struct.pack("!I", path_id)) + b"\x18\x0a\x00\x01"
    found = only(record(13, subtype, struct.pack("!IHB", 1, 1, 1) + nlri + b"\x00\x01" + entry(0, b"abc")))
    assert isinstance(found, Rib)
    assert (found.afi, found.safi, found.prefix) == (1, 1, b"\x18\x0a\x00\x01")
    assert [(item.path_id, item.attributes) for item in found.entries] == [(path_id, b"abc")]


def test_trailing_bits_of_a_prefix_are_cleared() -> None:
    found = only(record(13, 2, struct.pack("!I", 1) + b"\x09\x0a\xff" + b"\x00\x00"))
    assert isinstance(found, Rib)
    assert found.prefix == b"\x09\x0a\x80"


@pytest.mark.parametrize(
    ("afi", "peer", "prefix"), [(1, V4, b"\x18\x0a\x00\x01"), (2, V6, b"\x20\x20\x01\x0d\xb8")]
)
def test_table_dump(afi: int, peer: bytes, prefix: bytes) -> None:
    address = prefix[1:].ljust(len(peer), b"\0")
    body = struct.pack("!HH", 0, 9) + address + bytes((prefix[0], 1)) + struct.pack("!I", 55) + peer
    found = only(record(12, afi, body + struct.pack("!HH", 65001, 3) + b"abc"))
    assert isinstance(found, Rib)
    assert (found.afi, found.safi, found.sequence, found.prefix) == (afi, 1, 9, prefix)
    assert not found.four_octet_as
    (item,) = found.entries
    assert (item.peer, item.originated, item.attributes) == (Peer(peer, 65001), 55, b"abc")


def test_kinds_that_are_not_taken_apart_are_kept() -> None:
    found = read(
        record(11, 0, b"ospf") + record(16, 2, b"deprecated") + record(13, 7, b"geo") + record(99, 1, b"")
    )
    assert [item.body for item in found if isinstance(item, Other)] == [b"ospf", b"deprecated", b"geo", b""]
    assert [item.header.name for item in found] == ["OSPFV2/0", "BGP4MP/2", "TABLE_DUMP_V2/7", "99/1"]


@pytest.mark.parametrize(
    ("data", "reason", "offset"),
    [
        (record(16, 4, session(4)[:10]), "the address family overruns", 22),
        (record(16, 4, session(4)[:10] + b"\0\3" + V4 + V4), "address family 3 is neither", 22),
        (record(16, 4, session(4)[:-1]), "the local address overruns", 28),
        (record(16, 0, session(2) + b"\0\1\0\2\0"), "1 octets are left over", 32),
        (record(17, 4, b"\0\0"), "the microseconds overruns", 12),
        (record(13, 1, INDEX[12:-1]), "peer 3 overruns", len(INDEX) - 4),
        (record(13, 2, bytes(4) + b"\x21" + bytes(7)), "prefix length 33 is more than 32", 16),
        (record(13, 4, bytes(4) + b"\x81" + bytes(20)), "prefix length 129 is more than 128", 16),
        (record(13, 2, bytes(4) + b"\x00\x00\x01" + entry(0, b"abc")[:-1]), "the attributes of entry 0", 27),
        (record(13, 2, bytes(4) + b"\x00\x00\x00\x09"), "1 octets are left over", 19),
        (record(12, 1, bytes(8) + b"\x21" + bytes(30)), "prefix length 33", 20),
    ],
)
def test_a_broken_record_is_named_and_passed_over(data: bytes, reason: str, offset: int) -> None:
    good = record(16, 4, session(4) + BGP)
    broken, after = read(data + good)
    assert isinstance(broken, Broken)
    assert reason in broken.reason
    assert broken.offset == offset
    assert broken.body == data[12:]
    assert isinstance(after, Message)


@pytest.mark.parametrize(
    ("data", "text", "offset"),
    [
        (INDEX[:7], "within the header of record 1: 12 octets wanted, 7 left", 0),
        (INDEX + INDEX[:-2], r"within record 2 \(TABLE_DUMP_V2/PEER_INDEX_TABLE\)", len(INDEX) + 12),
        (struct.pack("!IHHI", 0, 16, 4, 0xFFFFFFFF), "claims 4294967295 octets", 12),
        (gzip.compress(INDEX * 100)[:-9], "cannot be read on", 0),
    ],
)
def test_a_file_that_breaks_off(data: bytes, text: str, offset: int) -> None:
    with pytest.raises(FormatError, match=text) as raised:
        read(data)
    assert raised.value.offset == offset


def test_records_before_the_break_are_read() -> None:
    reader = mrt.read(Source(io.BytesIO(INDEX + INDEX[:-2])))
    assert isinstance(next(reader), PeerIndexTable)
    with pytest.raises(FormatError):
        next(reader)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 30, b"ffff" * 10, b"\xd4\xc3\xb2\xa1" + bytes(30), bytes(40)]
)
def test_other_files_are_not_taken_for_mrt(data: bytes) -> None:
    assert not mrt.is_mrt(data)


@given(st.sampled_from([11, 12, 13, 16, 17, 48]), st.integers(0, 13), st.binary(max_size=120))
def test_records_of_any_content_do_no_harm(type_: int, subtype: int, body: bytes) -> None:
    (found,) = read(record(type_, subtype, body))
    if isinstance(found, Broken):
        assert 12 <= found.offset <= 12 + len(body)
