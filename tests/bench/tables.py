"""Tables to feed: blocks of prefixes that share attributes, made up or read from a file, and as UPDATEs.

A made-up table is the same on every run and shaped like the Internet's: most prefixes are /24, about six
share a set of attributes, AS_PATHs are three to six long, half of the sets carry communities.
"""

import bz2
import gzip
import lzma
import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import raw
from raw import Attributes

IPV4, IPV6 = 1, 2
MARKER = b"\xff" * 16
ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF = 1, 2, 3, 4, 5
COMMUNITIES, ORIGINATOR_ID, CLUSTER_LIST = 8, 9, 10
MP_REACH, MP_UNREACH = 14, 15
EXTENDED_COMMUNITIES, LARGE_COMMUNITIES = 16, 32
UPDATE = 2
MAXIMUM = 4096
# Everyone's AS: of those for documentation (RFC 5398), so that no real path has it and would be a loop.
ASN = 64496
_RESERVED = range(64000, 65552)


@dataclass(frozen=True, slots=True)
class Block:
    """Prefixes of one family, as octets, and the attributes that they share, without a next hop."""

    afi: int
    attributes: Attributes
    prefixes: Sequence[bytes]


# --- Making ---------------------------------------------------------------------------------------------


def made(routes: int, seed: int = 1) -> list[Block]:
    """Return a table of so many IPv4 routes."""
    rng = random.Random(seed)
    prefixes = _networks(rng, routes)
    blocks = []
    while prefixes:
        size = min(len(prefixes), rng.choice((1, 1, 2, 3, 4, 6, 8, 10, 18)))
        blocks.append(Block(IPV4, _attributes(rng), prefixes[-size:]))
        del prefixes[-size:]
    return blocks


def _networks(rng: random.Random, routes: int) -> list[bytes]:
    """Return different networks of unicast addresses but loopback's, six of ten of them /24."""
    found: dict[bytes, None] = {}
    while len(found) < routes:
        for _ in range(routes - len(found)):
            length = 24 if rng.random() < 0.6 else rng.choice((16, 17, 18, 19, 20, 21, 22, 22, 23, 23, 24))
            value = rng.randrange(16 << 16, 224 << 16) & (0xFFFFFF << (24 - length))
            if value >> 16 != 127:
                found[bytes((length,)) + value.to_bytes(3, "big")[: (length + 7) // 8]] = None
    return list(found)


def _attributes(rng: random.Random) -> Attributes:
    drawn = [rng.randint(1, 64000), *(rng.randint(1, 400000) for _ in range(rng.randint(2, 5)))]
    path = [1 if asn in _RESERVED else asn for asn in drawn]
    found: Attributes = {
        ORIGIN: (0x40, bytes((rng.choice((0, 0, 0, 2)),))),
        AS_PATH: (0x40, bytes((2, len(path))) + struct.pack(f"!{len(path)}I", *path)),
    }
    if rng.random() < 0.2:
        found[MED] = 0x80, struct.pack("!I", rng.randint(0, 1000))
    found[LOCAL_PREF] = 0x40, struct.pack("!I", 100)
    if rng.random() < 0.5:
        values = sorted(rng.randint(1 << 16, 64000 << 16) for _ in range(rng.randint(1, 8)))
        found[COMMUNITIES] = 0xC0, struct.pack(f"!{len(values)}I", *values)
    return found


def node(number: int) -> list[Block]:
    """Return what node `number` of a cluster announces: four IPv4 and four IPv6 blocks of addresses."""
    attributes: Attributes = {
        ORIGIN: (0x40, b"\0"),
        AS_PATH: (0x40, b""),
        LOCAL_PREF: (0x40, struct.pack("!I", 100)),
    }
    first = number * 4
    ipv4 = [b"\x1a" + (0x14000000 + (first + one << 6)).to_bytes(4, "big") for one in range(4)]
    ipv6 = [b"\x7a" + bytes.fromhex("fd20") + (first + one << 6).to_bytes(14, "big") for one in range(4)]
    return [Block(IPV4, attributes, ipv4), Block(IPV6, attributes, ipv6)]


def preferred_by(feeder: int, feeders: int, number: int, block: Block) -> Block:
    """Return block `number` as `feeder` of several announces it: with a longer AS_PATH, but for one of them.

    Which feeder has the shortest changes from block to block.
    """
    more = (feeder + number) % feeders
    flags, path = block.attributes[AS_PATH]
    if not more or not _can_grow(path, feeders):
        return block
    longer = bytes((2, path[1] + more)) + path[2:6] * more + path[2:]
    return Block(block.afi, {**block.attributes, AS_PATH: (flags, longer)}, block.prefixes)


def winner(feeders: int, number: int, block: Block) -> int:
    """Return which feeder's path is the best for block `number`."""
    if _can_grow(block.attributes[AS_PATH][1], feeders):
        return -number % feeders
    return 0  # all are equal, and the first has the lowest identifier


def _can_grow(path: bytes, feeders: int) -> bool:
    return len(path) >= 6 and path[0] == 2 and path[1] < 200 - feeders


# --- Reading --------------------------------------------------------------------------------------------

_DROPPED = (NEXT_HOP, LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST, MP_REACH, MP_UNREACH)
_TABLE_DUMP_V2 = 13
_RIB_UNICAST = {2: IPV4, 4: IPV6}  # subtype -> AFI


def read(path: Path) -> list[Block]:
    """Return the table in a file of UPDATEs, or of MRT's TABLE_DUMP_V2 (RFC 6396), packed or not.

    Of several paths to a prefix the first counts.  Next hops are left out, and LOCAL_PREF is 100.
    """
    unpack = {".xz": lzma.decompress, ".gz": gzip.decompress, ".bz2": bz2.decompress}.get(path.suffix)
    data = path.read_bytes()
    if unpack is not None:
        data = unpack(data)
    found: dict[tuple[int, bytes], tuple[Attributes, dict[bytes, None]]] = {}
    seen: set[tuple[int, bytes]] = set()
    routes = _of_updates(data) if data[:16] == MARKER else _of_mrt(data)
    for afi, attributes, prefixes in routes:
        kept = {kind: value for kind, value in attributes.items() if kind not in _DROPPED}
        kept[LOCAL_PREF] = 0x40, struct.pack("!I", 100)
        key = afi, encoded(kept)
        for prefix in prefixes:
            if (afi, prefix) not in seen:
                seen.add((afi, prefix))
                found.setdefault(key, (kept, {}))[1][prefix] = None
    if not found:
        raise SystemExit(f"{path}: holds no routes; give a file of BGP UPDATEs or an MRT TABLE_DUMP_V2")
    return [Block(afi, attributes, list(some)) for (afi, _), (attributes, some) in found.items()]


def _of_updates(data: bytes) -> Iterator[tuple[int, Attributes, list[bytes]]]:
    position = 0
    while position < len(data):
        length, kind = struct.unpack_from("!HB", data, position + 16)
        if kind == UPDATE:
            yield from announced(data[position + 19 : position + length])
        position += length


def _of_mrt(data: bytes) -> Iterator[tuple[int, Attributes, list[bytes]]]:
    position = 0
    while position + 12 <= len(data):
        kind, subtype, length = struct.unpack_from("!HHI", data, position + 4)
        afi = _RIB_UNICAST.get(subtype) if kind == _TABLE_DUMP_V2 else None
        if afi is not None:
            at = position + 16
            after = at + 1 + (data[at] + 7) // 8
            prefix = data[at:after]
            if int.from_bytes(data[after : after + 2], "big"):
                (size,) = struct.unpack_from("!H", data, after + 8)
                yield afi, raw.attributes(data[after + 10 : after + 10 + size]), [prefix]
        position += 12 + length


def split(field: bytes) -> list[bytes]:
    """Return the prefixes of an NLRI field."""
    found, position = [], 0
    while position < len(field):
        after = position + 1 + (field[position] + 7) // 8
        found.append(field[position:after])
        position = after
    return found


def parts(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the three fields of an UPDATE: withdrawn routes, path attributes, NLRI."""
    (length,) = struct.unpack_from("!H", body, 0)
    (size,) = struct.unpack_from("!H", body, 2 + length)
    return body[2 : 2 + length], body[4 + length : 4 + length + size], body[4 + length + size :]


def announced(body: bytes) -> Iterator[tuple[int, Attributes, list[bytes]]]:
    """Yield (AFI, attributes, prefixes) of what an UPDATE announces."""
    _, field, nlri = parts(body)
    found = raw.attributes(field)
    if nlri:
        yield IPV4, found, split(nlri)
    if MP_REACH in found:
        value = found[MP_REACH][1]
        yield int.from_bytes(value[:2], "big"), found, split(value[5 + value[3] :])


# --- Writing --------------------------------------------------------------------------------------------


def message(kind: int, body: bytes = b"") -> bytes:
    return MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def encoded(found: Attributes) -> bytes:
    """Return path attributes in octets, in the order of their types."""
    out = []
    for kind, (flags, value) in sorted(found.items()):
        if len(value) > 255:
            out.append(struct.pack("!BBH", flags | 0x10, kind, len(value)) + value)
        else:
            out.append(struct.pack("!BBB", flags, kind, len(value)) + value)
    return b"".join(out)


def updates(blocks: Iterable[Block], next_hops: dict[int, bytes]) -> Iterator[bytes]:
    """Yield the UPDATEs that announce `blocks`, one or more for each; `next_hops` by AFI."""
    for block in blocks:
        hop = next_hops[block.afi]
        head = b""
        own = dict(block.attributes)
        if block.afi == IPV4:
            own[NEXT_HOP] = 0x40, hop
        else:
            head = struct.pack("!HBB", block.afi, 1, len(hop)) + hop + b"\0"
        field = encoded(own)
        room = MAXIMUM - 23 - len(field) - len(head) - 4
        run: list[bytes] = []
        size = 0
        for prefix in block.prefixes:
            if size + len(prefix) > room:
                yield _announcement(block.afi, field, head, b"".join(run))
                run, size = [], 0
            run.append(prefix)
            size += len(prefix)
        yield _announcement(block.afi, field, head, b"".join(run))


def _announcement(afi: int, field: bytes, head: bytes, nlri: bytes) -> bytes:
    if afi != IPV4:
        value = head + nlri
        field = struct.pack("!BBH", 0x90, MP_REACH, len(value)) + value + field
        nlri = b""
    return message(UPDATE, struct.pack("!HH", 0, len(field)) + field + nlri)


def withdrawal(prefixes: Sequence[bytes]) -> bytes:
    """Return the UPDATE that withdraws IPv4 prefixes."""
    field = b"".join(prefixes)
    return message(UPDATE, struct.pack("!H", len(field)) + field + bytes(2))


END_OF_RIB = message(UPDATE, bytes(4)) + message(UPDATE, bytes.fromhex("0000 0006 800f03 000201"))
