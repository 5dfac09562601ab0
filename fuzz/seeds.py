"""Messages that are nearly right, for the targets to begin with; all from one source of randomness."""

from collections.abc import Callable
from random import Random

from bgp.errors import Notify
from bgp.iana import CapabilityCode, MessageType
from bgp.testing import mixture
from bgp.testing.generate import chance, octets
from bgp.wire.capability import Capability
from bgp.wire.capability import encode as encode_capabilities
from bgp.wire.framing import frame

# Values that capabilities may have, by code; what is not here is drawn at random.
_FAMILY = (b"\0\1\0\1", b"\0\2\0\1", b"\0\1\0\x80", b"\x40\4\0\x47")


def capability(random: Random) -> Capability:
    """Return a capability, its value mostly of a length that fits its code."""
    code = random.choice([*CapabilityCode, random.randrange(256)])
    family = random.choice(_FAMILY)
    count = random.choice((0, 1, 1, 2, 5))
    match code:
        case CapabilityCode.MULTIPROTOCOL:
            value = family
        case CapabilityCode.FOUR_OCTET_AS:
            value = random.choice((b"\0\0\xfd\xe9", b"\0\1\0\0", b"\0\0\0\0", b"\0\0\x5b\xa0"))
        case CapabilityCode.ROLE:
            value = bytes((random.randrange(6),))
        case CapabilityCode.ADD_PATH:
            value = b"".join(
                random.choice(_FAMILY)[:2] + bytes((1, random.randrange(5))) for _ in range(count)
            )
        case CapabilityCode.EXTENDED_NEXT_HOP:
            value = b"".join(random.choice(_FAMILY) + b"\0\2" for _ in range(count))
        case CapabilityCode.GRACEFUL_RESTART:
            value = octets(random, 2) + b"".join(random.choice(_FAMILY)[:2] + b"\1\x80" for _ in range(count))
        case CapabilityCode.LONG_LIVED_GRACEFUL_RESTART:
            value = b"".join(family[:2] + b"\1" + octets(random, 4) for _ in range(count))
        case CapabilityCode.FQDN:
            name = random.choice((b"rr1", b"", "r\u00e9".encode(), b"\xff"))
            value = bytes((len(name),)) + name + b"\3lab"
        case CapabilityCode.ROUTE_REFRESH | CapabilityCode.ENHANCED_ROUTE_REFRESH:
            value = b""
        case _:
            value = octets(random, random.choice((0, 0, 1, 4)))
    if chance(random, 0.1):
        value = value[:-1] if chance(random, 0.5) else value + b"\0"
    return Capability(code, value)


def open_body(random: Random) -> bytes:
    """Return the body of an OPEN in one of the many forms that its parameters may have."""
    version = random.choice((4, 4, 4, 4, 4, 4, 3, 5))
    asn = random.choice((65001, 65001, 23456, 1, 0)) if chance(random, 0.3) else 65001
    hold_time = random.choice((90, 90, 3, 0, 1, 2, 65535))
    identifier = b"\0\0\0\0" if chance(random, 0.05) else octets(random, 4)
    extended = chance(random, 0.3)
    size = 2 if extended else 1
    parameters = b""
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        block = encode_capabilities(capability(random) for _ in range(random.choice((0, 1, 2, 4, 8))))
        block = block[: 255 if size == 1 else None]
        kind = 2 if chance(random, 0.95) else random.choice((0, 1, 255))
        excess = random.choice((0,) * 19 + (1,))
        parameters += bytes((kind,)) + ((len(block) + excess) % 256**size).to_bytes(size, "big") + block
    if extended:
        length = bytes((random.choice((255, 255, 1)), 255)) + len(parameters).to_bytes(2, "big")
    else:
        parameters = parameters[:255]
        length = bytes((len(parameters),))
    fixed = bytes((version,)) + asn.to_bytes(2, "big") + hold_time.to_bytes(2, "big") + identifier
    return fixed + length + parameters


def notification_body(random: Random) -> bytes:
    """Return code, subcode and data, the data often of the kind that the code has."""
    code, subcode = random.choice(((6, 2), (6, 4), (6, 9), (6, 1), (2, 7), (2, 1), (3, 1), (5, 1), (9, 9)))
    text = random.choice((b"going down", "m\u00fcde".encode(), b"a\nb\x1b[2J", b"\xff", b""))
    data = random.choice(
        (
            b"",
            bytes((len(text),)) + text,
            bytes((6, 2, len(text))) + text,
            b"\0\1\1\0\0\3\xe8",
            b"\0\4",
            b"\1\4\0\1\0\1",
            octets(random, 5),
        )
    )
    return bytes((code, subcode)) + data


def route_refresh_body(random: Random) -> bytes:
    body = random.choice((b"\0\1", b"\0\2", b"\0\x19")) + bytes((random.choice((0, 0, 1, 2, 3, 255)), 1))
    return body + octets(random, 3) if chance(random, 0.1) else body[: random.choice((4, 4, 4, 4, 3, 0))]


def update_body(random: Random) -> bytes:
    """Return the body of an UPDATE of any kind, of any session."""
    return mixture.exchange(random)[0][1]


BODIES: dict[int, Callable[[Random], bytes]] = {
    MessageType.OPEN: open_body,
    MessageType.UPDATE: update_body,
    MessageType.NOTIFICATION: notification_body,
    MessageType.KEEPALIVE: lambda random: b"",
    MessageType.ROUTE_REFRESH: route_refresh_body,
}


def message(random: Random) -> bytes:
    """Return a whole message of any type."""
    kind = random.choice(list(BODIES))
    return frame(kind, BODIES[kind](random)[:4000])


def described(notify: Notify) -> str:
    """Return a Notify in one line."""
    return f"NOTIFICATION {notify}, data {notify.data.hex() or 'empty'}, octet {notify.offset}"
