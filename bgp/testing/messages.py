"""Valid messages that are no UPDATEs, and all capabilities, drawn from any source of randomness."""

from collections.abc import Callable
from random import Random

from bgp.family import FAMILIES
from bgp.iana import AddPathMode, CapabilityCode, CeaseSubcode, ErrorCode, MessageType, Role
from bgp.testing import generate
from bgp.testing.generate import chance, octets
from bgp.wire.capability import Capability
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import (
    Keepalive,
    Notification,
    Open,
    RouteRefresh,
    encode,
    encode_maximum_prefixes,
    encode_shutdown_communication,
)

C = CapabilityCode
# (AFI, SAFI) of what is negotiated, spoken by us or not.
_FAMILIES = (*((family.afi, family.safi) for family in FAMILIES), (1, 2), (2, 128), (25, 70), (16388, 71))
_NAMES = ("rr1", "edge.example.net", "r\u00e9sum\u00e9", "")
_TEXTS = ("", "maintenance", "m\u00fcde bis morgen", "x" * 200)


def _family(random: Random) -> tuple[bytes, bytes]:
    afi, safi = random.choice(_FAMILIES)
    return afi.to_bytes(2, "big"), bytes((safi,))


def _listed(item: Callable[[Random], bytes], least: int = 1) -> Callable[[Random], bytes]:
    return lambda random: b"".join(item(random) for _ in range(random.choice((least, 1, 2, 4))))


def _add_path(random: Random) -> bytes:
    afi, safi = _family(random)
    return afi + safi + bytes((random.choice(list(AddPathMode)),))


def _extended_next_hop(random: Random) -> bytes:
    return b"\0\1" + b"\0" + random.choice((b"\1", b"\2", b"\x80")) + b"\0\2"


def _restarting(random: Random) -> bytes:
    afi, safi = _family(random)
    return afi + safi + random.choice((b"\0", b"\x80"))


def _long_lived(random: Random) -> bytes:
    return _restarting(random) + octets(random, 3)


def _fqdn(random: Random) -> bytes:
    names = [random.choice(_NAMES).encode() for _ in range(2)]
    return b"".join(bytes((len(name),)) + name for name in names)


# Valid values of each capability that Martlet knows, by code.
VALUES: dict[int, Callable[[Random], bytes]] = {
    C.MULTIPROTOCOL: lambda random: b"\0".join(_family(random)),
    C.ROUTE_REFRESH: lambda random: b"",
    C.EXTENDED_NEXT_HOP: _listed(_extended_next_hop),
    C.EXTENDED_MESSAGE: lambda random: b"",
    C.ROLE: lambda random: bytes((random.choice(list(Role)),)),
    C.GRACEFUL_RESTART: lambda random: octets(random, 2) + _listed(_restarting, 0)(random),
    C.FOUR_OCTET_AS: lambda random: generate.asn(random).to_bytes(4, "big"),
    C.ADD_PATH: _listed(_add_path),
    C.ENHANCED_ROUTE_REFRESH: lambda random: b"",
    C.LONG_LIVED_GRACEFUL_RESTART: _listed(_long_lived, 0),
    C.FQDN: _fqdn,
}
UNKNOWN = (0, 66, 67, 128, 131, 200, 255)  # codes of which Martlet knows nothing


def capability(random: Random, code: int | None = None) -> Capability:
    """Return a valid capability, now and then one that nobody knows, or one of this code."""
    if code is None:
        code = random.choice(UNKNOWN) if chance(random, 0.1) else random.choice(list(VALUES))
    value = VALUES[code](random) if code in VALUES else octets(random, random.randrange(5))
    return Capability(code, value)


def unreadable(random: Random, code: int | None = None) -> Capability:
    """Return a capability of a known code whose value is too short or too long for what it means."""
    if code is None:
        code = random.choice(list(VALUES))
    match code:
        case C.ROUTE_REFRESH | C.EXTENDED_MESSAGE | C.ENHANCED_ROUTE_REFRESH:
            value = octets(random, random.randint(1, 4))
        case C.GRACEFUL_RESTART:
            value = random.choice((b"", b"\0", VALUES[code](random) + b"\0\1"))
        case C.ADD_PATH | C.EXTENDED_NEXT_HOP | C.LONG_LIVED_GRACEFUL_RESTART:
            value = VALUES[code](random) + octets(random, random.randint(1, 3))
        case _:
            value = VALUES[code](random)
            value = value[:-1] if value and chance(random, 0.5) else value + b"\0"
    return Capability(code, value)


def opening(random: Random) -> Open:
    """Return a valid OPEN of a speaker that may be anybody."""
    asn = generate.asn(random)
    some = [capability(random) for _ in range(random.choice((0, 1, 3, 8)))]
    some = [each for each in some if each.code != C.FOUR_OCTET_AS]
    if asn > 0xFFFF or chance(random, 0.6):
        some.append(Capability(C.FOUR_OCTET_AS, asn.to_bytes(4, "big")))
    return Open(
        my_as=asn if asn <= 0xFFFF else 23456,
        hold_time=random.choice((90, 180, 3, 0, 65535)),
        identifier=random.randrange(1, 1 << 32),
        capabilities=tuple(some),
    )


def notification(random: Random) -> Notification:
    """Return a NOTIFICATION, its data of the kind that its code has, or any."""
    kind = random.randrange(4)
    if kind == 0:
        subcode = random.choice((CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, CeaseSubcode.ADMINISTRATIVE_RESET))
        text = random.choice(_TEXTS)
        return Notification(ErrorCode.CEASE, subcode, encode_shutdown_communication(text))
    if kind == 1:
        afi, safi = random.choice(_FAMILIES)
        data = encode_maximum_prefixes(afi, safi, random.randrange(1 << 32))
        return Notification(ErrorCode.CEASE, CeaseSubcode.MAXIMUM_NUMBER_OF_PREFIXES_REACHED, data)
    code = random.choice(list(ErrorCode)) if kind == 2 else random.randrange(256)
    return Notification(code, random.randrange(12), octets(random, random.choice((0, 0, 2, 7, 60))))


def route_refresh(random: Random, enhanced: bool = True) -> RouteRefresh:
    """Return a ROUTE-REFRESH; marks of its beginning and end (RFC 7313) where that is `enhanced`."""
    afi, safi = random.choice(_FAMILIES)
    return RouteRefresh(afi, safi, random.choice((0, 0, 1, 2)) if enhanced else 0)


def message(random: Random, context: Context) -> bytes:
    """Return a whole valid message of any type, an UPDATE of this session among them."""
    match random.choice(list(MessageType)):
        case MessageType.OPEN:
            return encode(opening(random))
        case MessageType.UPDATE:
            return frame(MessageType.UPDATE, generate.update(random, context))
        case MessageType.NOTIFICATION:
            return encode(notification(random))
        case MessageType.KEEPALIVE:
            return encode(Keepalive())
        case _:
            return encode(route_refresh(random))


def raw(random: Random) -> bytes:
    """Return what begins like a message, mostly: any type, any length, any body."""
    marker = b"\xff" * 16 if chance(random, 0.9) else octets(random, 16)
    body = octets(random, random.choice((0, 1, 4, 10, 29, 60)))
    length = 19 + len(body) if chance(random, 0.8) else random.randrange(65536)
    return marker + length.to_bytes(2, "big") + bytes((random.choice((1, 2, 3, 4, 5, 0, 6, 255)),)) + body
