"""Captures and MRT files in small, of all the kinds that are read, for the targets to begin with."""

import gzip
import json
import struct
from collections.abc import Iterable
from random import Random
from typing import Any

from bgp.testing.generate import chance, octets
from fuzz.seeds import message, update_body

_CLIENT, _SERVER = b"\xc0\0\2\1", b"\xc0\0\2\2"


def _tcp(random: Random, payload: bytes, sequence: int, flags: int, back: bool) -> bytes:
    ports = (179, 40000) if back else (40000, 179)
    options = b"\1" * random.choice((0, 0, 12))
    offset = (20 + len(options)) // 4 << 4
    return struct.pack("!HHIIBBHHH", *ports, sequence, 0, offset, flags, 1, 0, 0) + options + payload


def _ip(random: Random, segment: bytes, back: bool) -> bytes:
    source, destination = (_SERVER, _CLIENT) if back else (_CLIENT, _SERVER)
    if chance(random, 0.3):
        extension = b"\6\0" + bytes(6) if chance(random, 0.3) else b""
        head = struct.pack("!IHBB", 6 << 28, len(extension + segment), 0 if extension else 6, 64)
        return head + source.rjust(16, b"\xfd") + destination.rjust(16, b"\xfd") + extension + segment
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0)
    return head + source + destination + segment


def _framed(random: Random, link: int, packet: bytes) -> bytes:
    kind = b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd"
    match link:
        case 1:
            tag = b"\x81\0\0\1" if chance(random, 0.2) else b""
            return bytes(12) + tag + kind + packet
        case 113:
            return bytes(14) + kind + packet
        case 276:
            return kind + bytes(18) + packet
        case 0:
            return b"\2\0\0\0" + packet
        case _:
            return packet


def _frames(random: Random, link: int) -> Iterable[bytes]:
    """Yield the frames of a connection with a few messages each way, not all of them kept or in order."""
    sequence = {False: random.getrandbits(32), True: 0xFFFFFFF0}
    segments = [(b"", 2 | 16 * back, back) for back in (False, True) if chance(random, 0.8)]
    for _ in range(random.randint(1, 5)):
        data = message(random)[:1400]
        cut = random.randint(0, len(data)) if chance(random, 0.3) else len(data)
        back = chance(random, 0.4)
        segments += [(part, 24, back) for part in (data[:cut], data[cut:]) if part]
    if chance(random, 0.5):
        segments.append((b"", random.choice((17, 4)), chance(random, 0.5)))
    built = []
    for payload, flags, back in segments:
        built.append(_ip(random, _tcp(random, payload, sequence[back], flags, back), back))
        sequence[back] = (sequence[back] + len(payload) + (flags & 2) // 2) & 0xFFFFFFFF
    if chance(random, 0.2):
        random.shuffle(built)
    if chance(random, 0.2):
        built.append(random.choice(built))
    if chance(random, 0.2):
        del built[random.randrange(len(built))]
    return [_framed(random, link, packet) for packet in built]


def capture(random: Random) -> bytes:
    """Return a capture file: pcap or pcapng, in either byte order."""
    link = random.choice((1, 1, 101, 113, 276, 0))
    order = random.choice("<>")
    frames = _frames(random, link)
    snap = random.choice((0, 0, 60))
    kept = [(frame[: snap or None], len(frame)) for frame in frames]
    if chance(random, 0.5):
        magic = random.choice((0xA1B2C3D4, 0xA1B23C4D))
        found = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)
        for number, (frame, length) in enumerate(kept):
            found += struct.pack(order + "IIII", 1700000000 + number, number, len(frame), length) + frame
        return found

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    section = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)
    options = struct.pack(order + "HHB3xHH", 9, 1, random.choice((6, 9, 0x94)), 0, 0)
    found = block(0x0A0D0D0A, section) + block(1, struct.pack(order + "HHI", link, 0, 0) + options)
    for number, (frame, length) in enumerate(kept):
        if chance(random, 0.1):
            found += block(3, struct.pack(order + "I", len(frame)) + frame)
        else:
            head = struct.pack(order + "IIIII", 0, 0x00060000, number, len(frame), length)
            found += block(6, head + frame)
    return found


def mrt_file(random: Random) -> bytes:
    """Return a few MRT records of all kinds."""
    found = [_peer_index(random)] if chance(random, 0.6) else []
    makers = (_bgp4mp, _bgp4mp, _state_change, _rib, _rib, _table_dump)
    found += [random.choice(makers)(random) for _ in range(random.randint(1, 4))]
    return b"".join(found)


def _record(kind: int, subtype: int, body: bytes) -> bytes:
    return struct.pack("!IHHI", 1700000000, kind, subtype, len(body)) + body


def _sides(random: Random, width: int) -> bytes:
    afi, size = random.choice(((1, 4), (2, 16)))
    asns = (65001).to_bytes(width, "big") + (64500).to_bytes(width, "big")
    return asns + b"\0\0" + afi.to_bytes(2, "big") + octets(random, size) + octets(random, size)


def _bgp4mp(random: Random) -> bytes:
    subtype = random.choice((1, 4, 6, 7, 8, 9, 10, 11))
    body = _sides(random, 4 if subtype in (4, 7, 9, 11) else 2) + message(random)
    return (
        _record(17, subtype, octets(random, 4) + body) if chance(random, 0.3) else _record(16, subtype, body)
    )


def _state_change(random: Random) -> bytes:
    width = random.choice((2, 4))
    return _record(16, 0 if width == 2 else 5, _sides(random, width) + b"\0\3\0" + octets(random, 1))


def _peer_index(random: Random) -> bytes:
    peers = b""
    count = random.randint(0, 3)
    for _ in range(count):
        kind = random.randrange(4)
        peers += bytes((kind,)) + octets(random, 4 + (16 if kind & 1 else 4) + (4 if kind & 2 else 2))
    return _record(13, 1, b"\x0a\0\0\1\0\4view" + count.to_bytes(2, "big") + peers)


def _attributes(random: Random) -> bytes:
    body = update_body(random)[:3000]
    start = 4 + int.from_bytes(body[:2], "big")
    return body[start : start + int.from_bytes(body[start - 2 : start], "big")]


def _rib(random: Random) -> bytes:
    subtype = random.choice((2, 4, 6, 8, 10, 12))
    family = b"\0\1\1" if subtype in (6, 12) else b""
    path_id = octets(random, 4)
    entries = b""
    count = random.randint(0, 3)
    for _ in range(count):
        attributes = _attributes(random)
        entries += b"\0" + bytes((random.randrange(3),)) + octets(random, 4)
        entries += path_id if subtype in (8, 10) else b""
        entries += len(attributes).to_bytes(2, "big") + attributes
    prefix = b"\x18\x0a\0" + octets(random, 1)
    body = b"\0\0\0\1" + family + (path_id if subtype == 12 else b"") + prefix
    return _record(13, subtype, body + count.to_bytes(2, "big") + entries)


def _table_dump(random: Random) -> bytes:
    size, subtype = random.choice(((4, 1), (16, 2)))
    attributes = _attributes(random)
    body = b"\0\0\0\1" + octets(random, size) + bytes((random.choice((8, 24, 32)), 1)) + octets(random, 4)
    body += octets(random, size) + b"\xfd\xe9" + len(attributes).to_bytes(2, "big") + attributes
    return _record(12, subtype, body)


def any_file(random: Random) -> bytes:
    """Return a file of any kind that is read, now and then compressed."""
    kind = random.randrange(5)
    if kind == 0:
        found = capture(random)
    elif kind == 1:
        found = mrt_file(random)
    elif kind == 2:
        found = b"".join(message(random) for _ in range(random.randint(1, 3)))
    else:
        between = random.choice((b"\n", b"\n\n", b"\n# comment\n"))
        separator = random.choice(("", " ", ":"))
        lines = [message(random).hex(separator) if separator else message(random).hex() for _ in range(2)]
        found = between.join(line.encode() for line in lines)
        if kind == 4:
            words = message(random).hex(" ").encode()
            found = b"\n".join(words[at : at + 48] for at in range(0, len(words), 48))
    return gzip.compress(found, mtime=0) if chance(random, 0.1) else found


def changed_json(random: Random, value: Any) -> str:
    """Return JSON text of `value` with one thing in it replaced, removed or doubled."""
    places: list[tuple[Any, Any]] = []

    def visit(item: Any) -> None:
        for key in item if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ():
            places.append((item, key))
            visit(item[key])

    visit(value)
    if places and chance(random, 0.7):
        inside, key = random.choice(places)
        odd = (None, True, -1, 0, 1, 256, 65536, 1 << 32, 1 << 64, 0.5, "", "x", "0x", "10.0.0.0/8", "::/0")
        choice = random.choice((*odd, [], {}, ["x"], {"value": "00"}, {"value": "0"}, "1.2.3.4", "ip\u00e9"))
        if chance(random, 0.2):
            del inside[key]
        else:
            inside[key] = choice
    return json.dumps(value)
