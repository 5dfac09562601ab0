"""OPEN, NOTIFICATION, KEEPALIVE and ROUTE-REFRESH between frozen values and whole messages (RFC 4271 4).

They are rare, so they run on the grammar, and what it parses never leaves this module.  Decoders take the
body, which is the message without its header, and raise nothing but `Notify`; offsets in it count from the
first octet of the header.  `encode` gives the whole message.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bgp.errors import (
    CAPABILITY_MALFORMED,
    HOLD_TIME,
    IDENTIFIER,
    MESSAGE_LENGTH,
    MESSAGE_TYPE,
    OPTIONAL_PARAMETER,
    OPTIONAL_PARAMETER_MALFORMED,
    PEER_AS_ZERO,
    ROUTE_REFRESH_LENGTH,
    VERSION,
    Notify,
)
from bgp.iana import (
    AS_TRANS,
    BGP_VERSION,
    HEADER_LENGTH,
    MAXIMUM_MESSAGE_LENGTH,
    CapabilityCode,
    MessageType,
    OptionalParameter,
    RouteRefreshSubtype,
)
from bgp.wire import capability
from bgp.wire.capability import Capability
from bgp.wire.framing import frame
from bgp.wire.grammar import message as grammar
from bgp.wire.grammar.flat import Element, Truncated
from bgp.wire.notification import (
    Notification,
    describe_error,
    encode_maximum_prefixes,
    encode_shutdown_communication,
    hard_reset,
    maximum_prefixes,
    shutdown_communication,
)

__all__ = [
    "Keepalive",
    "Message",
    "Notification",
    "Open",
    "RouteRefresh",
    "decode",
    "decode_keepalive",
    "decode_notification",
    "decode_open",
    "decode_route_refresh",
    "describe_error",
    "encode",
    "encode_maximum_prefixes",
    "encode_open",
    "encode_shutdown_communication",
    "hard_reset",
    "maximum_prefixes",
    "shutdown_communication",
]


@dataclass(frozen=True, slots=True)
class Open:
    """RFC 4271 section 4.2, with RFC 5492's capabilities as the peer listed them.

    `my_as` decodes to the two octets as they are on the wire; `asn` is the speaker's AS number.  In an OPEN
    to encode, `my_as` may be above 65535 and is then sent as AS_TRANS (RFC 6793 section 9); the capability
    for it is the caller's to list.  `identifier` is an unsigned 32-bit number.
    """

    my_as: int
    hold_time: int
    identifier: int
    capabilities: tuple[Capability, ...] = ()
    version: int = BGP_VERSION

    @property
    def asn(self) -> int:
        """The AS number by the four-octet AS capability, else by My AS (RFC 6793 section 4.1)."""
        # As `Capabilities.parse` has it: the last one that is well-formed.  The rest need not be parsed.
        for item in reversed(self.capabilities):
            if item.code == CapabilityCode.FOUR_OCTET_AS and len(item.value) == 4:
                return int.from_bytes(item.value, "big")
        return self.my_as


@dataclass(frozen=True, slots=True)
class Keepalive:
    """RFC 4271 section 4.4."""


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """RFC 2918 section 3; `subtype` is RFC 7313's, one of `RouteRefreshSubtype` or to be ignored."""

    afi: int
    safi: int
    subtype: int = RouteRefreshSubtype.REQUEST


Message = Open | Notification | Keepalive | RouteRefresh

# --- Encoding ------------------------------------------------------------------------------------------


def encode(message: Message, maximum: int = MAXIMUM_MESSAGE_LENGTH) -> bytes:
    """Return the whole message; raises ValueError where a value does not fit its field.

    `maximum` is the longest message that the peer accepts.  The data of a NOTIFICATION is cut to it, for it
    may quote what came in an extended message (RFC 8654 section 4).
    """
    match message:
        case Open():
            return encode_open(message)
        case Notification():
            data = message.data[: maximum - HEADER_LENGTH - 2]
            body = _build(grammar.NOTIFICATION, code=message.code, subcode=message.subcode, data=data)
            return frame(MessageType.NOTIFICATION, body)
        case Keepalive():
            return frame(MessageType.KEEPALIVE, b"")
        case RouteRefresh():
            body = _build(grammar.ROUTE_REFRESH, afi=message.afi, subtype=message.subtype, safi=message.safi)
            return frame(MessageType.ROUTE_REFRESH, body)


def encode_open(message: Open, extended: bool = False) -> bytes:
    """Return the whole OPEN, its capabilities in one parameter (RFC 5492 section 4).

    RFC 9072 section 2: the extended form is used where the parameters exceed 255 octets, and where
    `extended` asks for it.  Raises ValueError where the OPEN would exceed 4096 octets.
    """
    capabilities = capability.encode(message.capabilities)
    parameters = b""
    if capabilities:
        extended = extended or len(capabilities) + 2 > 255
        parameter = grammar.EXTENDED_PARAMETER if extended else grammar.PARAMETER
        parameters = _build(parameter, type=OptionalParameter.CAPABILITIES, value=capabilities)
    if not 0 <= message.my_as <= 0xFFFFFFFF:
        raise ValueError(f"{message.my_as} is not an AS number")
    fixed = {
        "version": message.version,
        "my_as": message.my_as if message.my_as <= 0xFFFF else AS_TRANS,
        "hold_time": message.hold_time,
        "identifier": message.identifier,
    }
    optional = {"extended": extended, "block": parameters}
    body = _build(grammar.OPEN, fixed=fixed, optional_parameters=optional)
    if HEADER_LENGTH + len(body) > MAXIMUM_MESSAGE_LENGTH:
        # RFC 8654 section 4: an OPEN is never an extended message.
        raise ValueError("the capabilities do not fit into an OPEN")
    return frame(MessageType.OPEN, body)


def _build(declaration: Any, **fields: object) -> bytes:
    try:
        return bytes(declaration.build(fields))
    except grammar.Malformed as error:
        raise ValueError(f"a value does not fit its field: {error}") from None


# --- Decoding ------------------------------------------------------------------------------------------


def decode(type: int, body: bytes, enhanced: bool = True) -> Message:
    """Return the message of a `type` and `body`; raises Notify, and ValueError for an UPDATE.

    `enhanced` as in `decode_route_refresh`.  UPDATEs need more context, see `bgp.wire.update`.
    """
    match type:
        case MessageType.OPEN:
            return decode_open(body)
        case MessageType.UPDATE:
            raise ValueError("an UPDATE is not decoded here")
        case MessageType.NOTIFICATION:
            return decode_notification(body)
        case MessageType.KEEPALIVE:
            return decode_keepalive(body)
        case MessageType.ROUTE_REFRESH:
            return decode_route_refresh(body, enhanced)
        case _:
            raise Notify.of(MESSAGE_TYPE, bytes((type & 0xFF,)), offset=18)


def decode_open(body: bytes) -> Open:
    """Return the OPEN; raises Notify with the first fault of what needs no configuration to judge.

    RFC 4271 section 6.2 gives no order.  This one is version, AS, identifier, hold time, then the parameters
    as a list, then the capabilities within them.
    """
    fixed_length = grammar.OPEN_FIXED_LENGTH
    if len(body) <= fixed_length:
        raise _bad_length(body)
    fixed = grammar.OPEN_FIXED.parse(body[:fixed_length])
    if fixed.version != BGP_VERSION:
        raise Notify.of(VERSION, BGP_VERSION.to_bytes(2, "big"), offset=19)
    if fixed.my_as == 0:
        raise Notify.of(PEER_AS_ZERO, offset=20)
    # RFC 6286 section 2.1: any number but zero, whether or not it is the address of a host.
    if fixed.identifier == 0:
        raise Notify.of(IDENTIFIER, offset=24)
    if fixed.hold_time in (1, 2):
        raise Notify.of(HOLD_TIME, offset=22)
    found: list[tuple[int, Capability]] = []
    for offset, parameter in list(_parameters(body[fixed_length:], HEADER_LENGTH + fixed_length)):
        found += _capabilities(parameter, offset)
    message = Open(
        fixed.my_as,
        fixed.hold_time,
        fixed.identifier,
        tuple([item for _, item in found]),
        fixed.version,
    )
    if message.asn == 0:
        # RFC 7607 section 2 says "in an OPEN message", and RFC 6793 section 4.1 takes the AS from here.
        zero = Capability(CapabilityCode.FOUR_OCTET_AS, bytes(4))
        raise Notify.of(PEER_AS_ZERO, offset=max(at for at, item in found if item == zero))
    return message


def _parameters(area: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and value of each Capabilities parameter; `area` begins with Opt Parm Len."""
    try:
        optional = grammar.OPTIONAL_PARAMETERS.parse(area)
    except grammar.Malformed:
        raise Notify.of(OPTIONAL_PARAMETER_MALFORMED, offset=offset) from None
    declaration = grammar.EXTENDED_PARAMETER_LIST if optional.extended else grammar.PARAMETER_LIST
    head = 3 if optional.extended else 2
    block: bytes = optional.block
    at = offset + len(area) - len(block)
    parameters, left = _elements(declaration, block)
    for type_, value in parameters:
        # RFC 9072 section 3: 255 is an unrecognized type, too, but where it marks the extended form.
        # RFC 5492 does away with type 1, authentication.
        if type_ != OptionalParameter.CAPABILITIES:
            raise Notify.of(OPTIONAL_PARAMETER, offset=at)
        at += head + len(value)
        yield at - len(value), value
    if left:
        known = left[0] == OptionalParameter.CAPABILITIES
        raise Notify.of(OPTIONAL_PARAMETER_MALFORMED if known else OPTIONAL_PARAMETER, offset=at)


def _capabilities(block: bytes, offset: int) -> Iterator[tuple[int, Capability]]:
    """Yield the offset of each capability in a parameter's value, and it."""
    items, left = _elements(grammar.CAPABILITY_LIST, block)
    for code, value in items:
        yield offset, Capability(code, value)
        offset += 2 + len(value)
    if left:
        raise Notify.of(CAPABILITY_MALFORMED, offset=offset)


def _elements(declaration: Any, block: bytes) -> tuple[tuple[Element, ...], bytes]:
    """Return the whole elements in `block`, and what is left behind them."""
    if not block:
        return (), b""
    try:
        return declaration.parse(block), b""
    except Truncated as truncated:
        return truncated.elements, block[truncated.offset :]


def decode_notification(body: bytes) -> Notification:
    """Return the NOTIFICATION, whatever it says; raises Notify where it lacks code or subcode.

    RFC 4271 section 6.4: a fault in a NOTIFICATION is never answered with one, so that Notify is for the
    log alone.
    """
    try:
        parsed = grammar.NOTIFICATION.parse(body)
    except grammar.Malformed:
        raise _bad_length(body) from None
    return Notification(parsed.code, parsed.subcode, parsed.data)


def decode_keepalive(body: bytes) -> Keepalive:
    """Return the KEEPALIVE; raises Notify where it has a body (RFC 4271 section 6.1)."""
    try:
        grammar.KEEPALIVE.parse(body)
    except grammar.Malformed:
        raise _bad_length(body) from None
    return Keepalive()


def decode_route_refresh(body: bytes, enhanced: bool) -> RouteRefresh:
    """Return the ROUTE-REFRESH; raises Notify where its length is wrong.

    `enhanced`: the peer sent the Enhanced Route Refresh capability.  Without it the subtype is a Reserved
    octet, to be ignored (RFC 2918 section 3), and reads as 0.  With it a BoRR or EoRR of wrong length is a
    fault of its own (RFC 7313 section 5); any other length is a bad one of RFC 4271 section 6.1.
    """
    try:
        parsed = grammar.ROUTE_REFRESH.parse(body)
    except grammar.Malformed:
        markers = (RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH, RouteRefreshSubtype.END_OF_ROUTE_REFRESH)
        if enhanced and len(body) > 2 and body[2] in markers:
            whole = frame(MessageType.ROUTE_REFRESH, body)
            raise Notify.of(ROUTE_REFRESH_LENGTH, whole, offset=16) from None
        raise _bad_length(body) from None
    return RouteRefresh(parsed.afi, parsed.safi, parsed.subtype if enhanced else RouteRefreshSubtype.REQUEST)


def _bad_length(body: bytes) -> Notify:
    return Notify.of(MESSAGE_LENGTH, (HEADER_LENGTH + len(body)).to_bytes(2, "big"), offset=16)
