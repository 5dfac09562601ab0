"""What the worst message costs: seconds of processor time per megabyte, by a search, beside a usual one.

A message of the longest kind is filled with one small unit over and over, for what multiplies is what
costs.  Units are drawn, the dearest are changed further.  What is timed is all that a Connection does
with the message, from its octets to the delivery or the NOTIFICATION.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import EXTENDED_MESSAGE_LENGTH, HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH, AttributeType
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event
from bgp.session.negotiation import offer
from bgp.testing.generate import chance, octets
from bgp.wire.attributes import AttributeTable, attribute
from bgp.wire.capability import Capability
from bgp.wire.capability import encode as encode_capabilities
from bgp.wire.encoder import Encoder
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, encode
from fuzz import corpus, seeds
from fuzz.mutate import mutated

_US = SessionConfig(local_as=64500, identifier=1, families=FAMILIES)
_PEER = SessionConfig(local_as=65001, identifier=2, families=FAMILIES)
_REPEATS = 3
_BEST = 12  # of the drawn ones are changed further
_ROUNDS = 20


def _waiting() -> Connection:
    """Return a connection that waits for the peer's OPEN."""
    connection = Connection(_US, AttributeTable(), incoming=True, rng=lambda: 1.0)
    connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
    connection.outgoing()
    return connection


def _established() -> Connection:
    connection = _waiting()
    connection.receive(encode(offer(_PEER)), 0.0)
    connection.receive(encode(Keepalive()), 0.0)
    connection.outgoing()
    return connection


def _timed(make: Callable[[], Connection], message: bytes) -> float:
    """Return the seconds that a message costs, the least of some tries."""
    least = 1e9
    for _ in range(_REPEATS):
        connection = make()
        start = time.process_time()
        connection.receive(message, 0.0)
        while connection.more:
            connection.receive(b"", 0.0)
        least = min(least, time.process_time() - start)
    return least


# --- Messages full of one unit --------------------------------------------------------------------------


def _filled(unit: bytes, size: int) -> bytes:
    """Return `size` octets of a unit; where its first octet is odd, two octets in it count up."""
    count = size // max(len(unit), 1)
    if not unit[0] & 1 or len(unit) < 3:
        return unit * count
    at = unit[0] // 2 % (len(unit) - 1)
    return b"".join(
        unit[:at]
        + ((int.from_bytes(unit[at : at + 2], "big") + i) & 0xFFFF).to_bytes(2, "big")
        + unit[at + 2 :]
        for i in range(count)
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """A message by what fills it: which field, and the unit."""

    field: int
    unit: bytes


def open_message(shape: Shape) -> bytes:
    fixed = b"\x04\xfd\xe9\0\x5a\0\0\0\2"
    room = MAXIMUM_MESSAGE_LENGTH - HEADER_LENGTH - len(fixed) - 4
    if shape.field % 2:
        parameters = _filled(shape.unit, room)
    else:
        block = _filled(shape.unit, room - 3)
        parameters = b"\2" + len(block).to_bytes(2, "big") + block
    return frame(1, fixed + b"\xff\xff" + len(parameters).to_bytes(2, "big") + parameters)


def open_shape(random: Random) -> Shape:
    capability = seeds.capability(random)
    if chance(random, 0.3):
        capability = Capability(capability.code, octets(random, random.randrange(5)))
    unit = encode_capabilities([capability])
    if chance(random, 0.3):
        unit = b"\2" + len(unit).to_bytes(2, "big") + unit
        return Shape(1, unit)
    return Shape(random.choice((0, 0, 0, 1)), unit)


_ATTRIBUTES = b"\x40\1\1\0\x40\2\6\2\1\0\0\xfd\xe9\x40\3\4\x0a\0\0\1"
_LISTS = (
    AttributeType.AS_PATH,
    AttributeType.COMMUNITIES,
    AttributeType.EXTENDED_COMMUNITIES,
    AttributeType.LARGE_COMMUNITIES,
    AttributeType.CLUSTER_LIST,
    AttributeType.AIGP,
    AttributeType.MP_REACH_NLRI,
    AttributeType.MP_UNREACH_NLRI,
    AttributeType.IPV6_EXTENDED_COMMUNITIES,
    AttributeType.AS4_PATH,
)
_HEADS = {
    AttributeType.MP_REACH_NLRI: b"\0\2\1\x10" + bytes(16) + b"\0",
    AttributeType.MP_UNREACH_NLRI: b"\0\2\1",
}


def update_message(shape: Shape) -> bytes:
    field, unit = shape.field, shape.unit
    withdrawn = nlri = b""
    attributes = _ATTRIBUTES
    room = EXTENDED_MESSAGE_LENGTH - HEADER_LENGTH - 4 - len(attributes) - 64
    match field % 4:
        case 0:
            nlri = _filled(unit, room)
        case 1:
            withdrawn = _filled(unit, room)
        case 2:
            attributes += _filled(unit, room)
            nlri = b"\x18\x0a\0\0"
        case _:
            kind = _LISTS[field // 4 % len(_LISTS)]
            flags = 0x40 if kind == AttributeType.AS_PATH else 0x80
            if kind not in (2, 9, 10, 14, 15, 26):
                flags = 0xC0
            value = _HEADS.get(kind, b"") + _filled(unit, room)
            whole = attribute(flags, kind, value)
            if kind == AttributeType.AS_PATH:
                attributes = _ATTRIBUTES[:4] + whole + _ATTRIBUTES[13:]
            else:
                attributes += whole
            nlri = b"" if kind in _HEADS else b"\x18\x0a\0\0"
    body = len(withdrawn).to_bytes(2, "big") + withdrawn + len(attributes).to_bytes(2, "big") + attributes
    return frame(2, body + nlri)


def update_shape(random: Random) -> Shape:
    field = random.randrange(4 * len(_LISTS))
    match field % 4:
        case 0 | 1:
            length = random.randrange(33)
            unit = bytes((length,)) + octets(random, (length + 7) // 8)
        case 2:
            flags = random.choice((0x40, 0x80, 0xC0, 0xE0))
            unit = attribute(flags, random.randrange(256), octets(random, random.choice((0, 0, 1, 4))))
        case _ if _LISTS[field // 4] in (AttributeType.AS_PATH, AttributeType.AS4_PATH):
            count = random.choice((1, 1, 2, 8, 255))
            unit = bytes((random.choice((1, 2, 2, 3, 4)), count)) + b"\0\0\xfd\xe9" * count
        case _ if _LISTS[field // 4] == AttributeType.AIGP:
            unit = b"\2\0\3" if chance(random, 0.5) else b"\1\0\x0b" + octets(random, 8)
        case _ if _LISTS[field // 4] in _HEADS:
            length = random.randrange(129)
            unit = bytes((length,)) + octets(random, (length + 7) // 8)
        case _:
            unit = octets(random, random.choice((4, 8, 12, 20)))
    return Shape(field, unit)


@dataclass(frozen=True, slots=True)
class Kind:
    make: Callable[[], Connection]
    shape: Callable[[Random], Shape]
    message: Callable[[Shape], bytes]
    usual: Callable[[Random], list[bytes]]


def usual_opens(random: Random) -> list[bytes]:
    return [encode(offer(_PEER))]


def usual_updates(random: Random) -> list[bytes]:
    """Return UPDATEs as a full table has them: a path of five, some communities, one to a dozen prefixes."""
    table = AttributeTable()
    encoder = Encoder()
    messages = []
    for _ in range(2000):
        path = [65001, *(random.randrange(1, 400000) for _ in range(4))]
        communities = [random.getrandbits(32) for _ in range(random.choice((0, 2, 5)))]
        attributes = table.make(
            next_hop="10.0.0.1", as_path=path, communities=communities, med=random.choice((None, 0))
        )
        count = random.choice((1, 1, 2, 3, 6, 12))
        prefixes = [bytes((24,)) + octets(random, 1)[:1] + octets(random, 2) for _ in range(count)]
        prefixes = [p[:1] + bytes((p[1] % 200 + 1,)) + p[2:] for p in prefixes]
        messages += encoder.announce(IPV4_UNICAST, attributes.octets, attributes.next_hop, prefixes)[0]
    return messages


KINDS = {
    "open": Kind(_waiting, open_shape, open_message, usual_opens),
    "update": Kind(_established, update_shape, update_message, usual_updates),
}


def report(names: list[str], samples: int, seed: int) -> Iterator[str]:
    """Yield the lines of a report; the dearest message of each kind goes to a file."""
    for name in names:
        kind = KINDS[name]
        random = Random(f"{name}:{seed}")
        usual = b"".join(kind.usual(random))
        yield f"{name}: usual {_timed(kind.make, usual) / len(usual) * 1e6:.2f} s/MB"
        seconds, shape, message = _search(kind, random, samples)
        path = corpus.WORK / f"cost-{name}.hex"
        corpus.save(path, message, name, [f"{seconds * 1000:.2f} ms"])
        yield (
            f"{name}: worst {seconds / len(message) * 1e6:.2f} s/MB, {seconds * 1000:.2f} ms for "
            f"{len(message)} octets: field {shape.field}, unit {shape.unit[:24].hex()} ({path})"
        )


def _search(kind: Kind, random: Random, samples: int) -> tuple[float, Shape, bytes]:
    found: list[tuple[float, Shape, bytes]] = []

    def add(shape: Shape) -> None:
        message = kind.message(shape)
        found.append((_timed(kind.make, message) / len(message), shape, message))

    for _ in range(samples):
        add(kind.shape(random))
    for _ in range(_ROUNDS):
        found.sort(key=lambda item: -item[0])
        del found[_BEST:]
        for _, shape, _ in found:
            unit = mutated(random, shape.unit, [], 255)
            if unit:
                add(Shape(shape.field, unit))
    dearest = max(found, key=lambda item: item[0])
    return _timed(kind.make, dearest[2]), dearest[1], dearest[2]
