"""Inputs full of one small unit, over and over, for what multiplies is what costs: messages and texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bgp.iana import EXTENDED_MESSAGE_LENGTH, HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH, AttributeType
from bgp.testing.generate import chance, octets
from bgp.wire.attributes import attribute
from bgp.wire.capability import Capability
from bgp.wire.capability import encode as encode_capabilities
from bgp.wire.framing import frame
from fuzz import seeds


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
    """An input by what fills it: which field of a message, or which text, and the unit."""

    field: int
    unit: bytes


def open_message(shape: Shape, size: int = MAXIMUM_MESSAGE_LENGTH) -> bytes:
    fixed = b"\x04\xfd\xe9\0\x5a\0\0\0\2"
    room = min(size, MAXIMUM_MESSAGE_LENGTH) - HEADER_LENGTH - len(fixed) - 4
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


def update_message(shape: Shape, size: int = EXTENDED_MESSAGE_LENGTH) -> bytes:
    field, unit = shape.field, shape.unit
    withdrawn = nlri = b""
    attributes = _ATTRIBUTES
    room = size - HEADER_LENGTH - 4 - len(attributes) - 64
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


# --- Texts ------------------------------------------------------------------------------------------------

_ROUTER = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n'
_TERM = f'{_ROUTER}[[policy.p.term]]\nthen = "accept"\n'
# What stands before what is repeated, and behind it.
_AROUND = (
    (_ROUTER, ""),
    (f"{_ROUTER}[group.a]\nfamilies = [", "]\n"),
    (f"{_ROUTER}[prefix_list.p]\nentries = [", "]\n"),
    (f"{_TERM}match = {{as_path = [", "]}\n"),
    (f'{_TERM}match = {{as_path = "', '"}\n'),
    (f"{_TERM}match = {{community = [", "]}\n"),
    (f"{_TERM}match = {{any = [", "]}\n"),
    (f'{_TERM}set = {{as_path = "', '"}\n'),
    (f"{_ROUTER}[decision]\naigp = ", "\n"),
    ("# ", "\n"),
)
# A # is counted up.
_UNITS = (
    '[[neighbor]]\naddress = "192.0.2.1"\nasn = 1\n',
    "[group.g#]\nasn = 1\n",
    '[[network]]\nprefix = "::#/128"\n',
    '[[neighbor]]\ngroup = "g#"\naddress = "::#"\n',
    '[[aggregate]]\nprefix = "::#/128"\n',
    '[condition.c#]\nexists = ["::#/128"]\n',
    "[policy.p#]\n",
    "[[policy.q.term]]\n",
    '[[policy.q.term]]\nname = "t#"\nthen = "next"\n',
    *(
        "[a.b.c.d#]\n",
        "key# = 1\n",
        '"ipv4-unicast", ',
        '"^#$", ',
        '"10.0.0.0/8", ',
        '"::#/128", ',
        '"#:1", ',
    ),
    *(
        "{med = #}, ",
        "1? ",
        "(1|2)* ",
        "(",
        "1 {2} ",
        "[",
        "{a=",
        "x.",
        '"',
        "'" * 3,
        '"' * 3,
        "\\",
        "9",
        "_1",
    ),
    *(" ", "\n", "#\n", "é"),
)
_WORDS = (
    *(
        "10.0.0.0/8 ",
        "1 ",
        "( ",
        ") ",
        "[ ",
        "] ",
        ", ",
        "next-hop self ",
        "med 1 ",
        "neighbor * ",
        "nlri ",
        "(",
    ),
    *(
        "community [ 1:# ] ",
        "as-path [ 1 ( 2 ) ] ",
        "9",
        "::#/128 ",
        "split /9 ",
        "large-community [ #:1:1 ] ",
    ),
    *("1:# ", "path-information "),
)
_COMMANDS = (
    *("announce attributes next-hop self nlri ", "announce route 10.0.0.0/8 next-hop self as-path [ "),
    *("announce route 10.0.0.0/8 ", "withdraw route 10.0.0.0/8 ", "announce route 10.0.0.0/8 community [ "),
    *("neighbor ", ""),
)


def _repeated(start: str, unit: bytes, end: str, size: int) -> bytes:
    """Return a text of about `size` octets."""
    once = unit.decode("utf-8", "replace") or " "
    room = max(size - len(start) - len(end), 1)
    parts, length, number = [], 0, 1
    while length < room:
        part = once.replace("#", f"{number:x}") if "#" in once else once * max(1, room // len(once))
        parts.append(part)
        length += len(part)
        number += 1
    return (start + "".join(parts) + end).encode()


def configuration_shape(random: Random) -> Shape:
    return Shape(random.randrange(len(_AROUND)), _unit(random, _UNITS))


def configuration_text(shape: Shape, size: int = EXTENDED_MESSAGE_LENGTH) -> bytes:
    start, end = _AROUND[shape.field % len(_AROUND)]
    return _repeated(start, shape.unit, end, size)


def command_shape(random: Random) -> Shape:
    return Shape(random.randrange(len(_COMMANDS)), _unit(random, _WORDS))


def command_text(shape: Shape, size: int = EXTENDED_MESSAGE_LENGTH) -> bytes:
    return _repeated(_COMMANDS[shape.field % len(_COMMANDS)], shape.unit, "", size)


def _unit(random: Random, units: Sequence[str]) -> bytes:
    return "".join(random.choice(units) for _ in range(random.choice((1, 1, 1, 2)))).encode()
