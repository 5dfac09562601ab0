"""NOTIFICATION: why a session ends, in numbers and in words (RFC 4271 4.5 and 6, 4486, 5492, 8538, 9003)."""

from dataclasses import dataclass
from enum import IntEnum

from bgp.family import family_name
from bgp.iana import (
    CeaseSubcode,
    ErrorCode,
    FsmSubcode,
    HeaderSubcode,
    MessageType,
    OpenSubcode,
    RouteRefreshErrorSubcode,
    UpdateSubcode,
)
from bgp.wire import capability
from bgp.wire.grammar import message as grammar
from bgp.wire.text import printable

_SUBCODES: dict[int, type[IntEnum]] = {
    ErrorCode.MESSAGE_HEADER_ERROR: HeaderSubcode,
    ErrorCode.OPEN_MESSAGE_ERROR: OpenSubcode,
    ErrorCode.UPDATE_MESSAGE_ERROR: UpdateSubcode,
    ErrorCode.FINITE_STATE_MACHINE_ERROR: FsmSubcode,
    ErrorCode.CEASE: CeaseSubcode,
    ErrorCode.ROUTE_REFRESH_MESSAGE_ERROR: RouteRefreshErrorSubcode,
}
# Where the RFCs say what a code is for, and where subcodes are on their own.
_SECTION: dict[int, str] = {
    ErrorCode.MESSAGE_HEADER_ERROR: "4271 6.1",
    ErrorCode.OPEN_MESSAGE_ERROR: "4271 6.2",
    ErrorCode.UPDATE_MESSAGE_ERROR: "4271 6.3",
    ErrorCode.HOLD_TIMER_EXPIRED: "4271 6.5",
    ErrorCode.FINITE_STATE_MACHINE_ERROR: "6608 4",
    ErrorCode.CEASE: "4486 4",
    ErrorCode.ROUTE_REFRESH_MESSAGE_ERROR: "7313 5",
    ErrorCode.SEND_HOLD_TIMER_EXPIRED: "9687 4.3",
}
_SECTION_OF_SUBCODE: dict[tuple[int, int], str] = {
    (ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.UNSUPPORTED_CAPABILITY): "5492 3",
    (ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.ROLE_MISMATCH): "9234 4.2",
    (ErrorCode.CEASE, CeaseSubcode.CONNECTION_COLLISION_RESOLUTION): "4271 6.8",
    (ErrorCode.CEASE, CeaseSubcode.HARD_RESET): "8538 3",
    (ErrorCode.CEASE, CeaseSubcode.BFD_DOWN): "9384 3",
}
# RFC 9003 section 2: the subcodes that a text may follow.
_WITH_COMMUNICATION = (CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, CeaseSubcode.ADMINISTRATIVE_RESET)
# RFC 9003 section 3: what every receiver of RFC 8203 takes, and what one of RFC 9003 does.
SHUTDOWN_COMMUNICATION_LENGTH = 128
EXTENDED_SHUTDOWN_COMMUNICATION_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Notification:
    """RFC 4271 section 4.5."""

    code: int
    subcode: int = 0
    data: bytes = b""

    @property
    def hard_reset(self) -> bool:
        """Whether this is a Hard Reset, which ends a session for good (RFC 8538 section 3)."""
        return self.code == ErrorCode.CEASE and self.subcode == CeaseSubcode.HARD_RESET

    @property
    def inner(self) -> "Notification | None":
        """The NOTIFICATION that a Hard Reset carries, or None (RFC 8538 section 3.1)."""
        if not self.hard_reset:
            return None
        try:
            parsed = grammar.NOTIFICATION.parse(self.data)
        except grammar.Malformed:
            return None
        return Notification(parsed.code, parsed.subcode, parsed.data)

    @property
    def cause(self) -> "Notification":
        """What a Hard Reset carries, or else itself."""
        return self.inner or self

    @property
    def communication(self) -> str:
        """The shutdown communication of a Cease/2 or Cease/4, also within a Hard Reset; safe to show."""
        cause = self.cause
        if cause.code == ErrorCode.CEASE and cause.subcode in _WITH_COMMUNICATION:
            return shutdown_communication(cause.data)
        return ""

    @property
    def section(self) -> str:
        """The RFC and section that define it, as "4271 6.3"."""
        return _SECTION_OF_SUBCODE.get((self.code, self.subcode)) or _SECTION.get(self.code, "4271 4.5")

    def __str__(self) -> str:
        title = describe_error(self.code, self.subcode)
        inner = self.inner
        # A Hard Reset within a Hard Reset means nothing, and could be nested without end.
        text = str(inner) if inner is not None and not inner.hard_reset else _describe_data(self)
        return f"{title}: {text}" if text else title


def describe_error(code: int, subcode: int = 0) -> str:
    """Return the names of `code` and `subcode`, such as "cease/administrative-shutdown"."""
    try:
        words = _label(ErrorCode(code))
    except ValueError:
        words = f"code-{code}"
    try:
        words += "/" + _label(_SUBCODES[code](subcode))
    except (KeyError, ValueError):
        # Subcode 0 says that there is none, where a registry does not give it a name.
        words += f"/{subcode}" if subcode else ""
    return words


def subcodes(code: int) -> tuple[int, ...]:
    """Return the subcodes that the RFCs name for an error code."""
    return tuple(_SUBCODES[code]) if code in _SUBCODES else ()


def _label(member: IntEnum) -> str:
    return member.name.lower().replace("_", "-")


def _describe_data(notification: Notification) -> str:
    data = notification.data
    match notification.code, notification.subcode:
        case ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN | CeaseSubcode.ADMINISTRATIVE_RESET:
            return shutdown_communication(data)
        case ErrorCode.CEASE, CeaseSubcode.MAXIMUM_NUMBER_OF_PREFIXES_REACHED:
            bound = maximum_prefixes(data)
            if bound is not None:
                return f"{family_name(bound[0], bound[1])} limit {bound[2]}"
        case ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.UNSUPPORTED_CAPABILITY:
            try:
                return ", ".join(capability.describe(item) for item in capability.decode(data))
            except ValueError:
                pass
        case ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.UNSUPPORTED_VERSION_NUMBER if len(data) == 2:
            return f"version {int.from_bytes(data, 'big')}"
        case ErrorCode.FINITE_STATE_MACHINE_ERROR, _ if len(data) == 1 and data[0] in set(MessageType):
            # RFC 6608 section 4: the type of the unexpected message.
            return _label(MessageType(data[0]))
    return data.hex()


# --- RFC 9003: the shutdown communication of Cease/2 and Cease/4 ---------------------------------------


def shutdown_communication(data: bytes) -> str:
    """Return the text in the data of a Cease/2 or Cease/4, with control characters escaped.

    RFC 9003 section 4: what is not valid UTF-8, or not of the length that it says, is not interpreted but
    shown in hexadecimal.  No text gives "".
    """
    if not data:
        return ""
    try:
        return printable(grammar.SHUTDOWN_COMMUNICATION.parse(data).text)
    except grammar.Malformed:
        return f"malformed communication {data.hex()}"


def encode_shutdown_communication(text: str, maximum: int = SHUTDOWN_COMMUNICATION_LENGTH) -> bytes:
    """Return the data for a Cease/2 or Cease/4, with `text` cut between characters to `maximum` octets.

    RFC 9003 section 3: a text should exceed 128 octets only if the peer is known to take up to 255.
    """
    octets = text.encode("utf-8", "replace")
    maximum = min(maximum, EXTENDED_SHUTDOWN_COMMUNICATION_LENGTH)
    whole = octets[:maximum].decode("utf-8", "ignore")
    return bytes(grammar.SHUTDOWN_COMMUNICATION.build({"text": whole})) if whole else b""


# --- RFC 4486 section 4: the bound that Cease/1 tells ---------------------------------------------------


def encode_maximum_prefixes(afi: int, safi: int, limit: int) -> bytes:
    """Return the data for a Cease/1; a `limit` beyond 32 bits is told as the largest that fits."""
    return bytes(grammar.MAXIMUM_PREFIXES.build({"afi": afi, "safi": safi, "limit": min(limit, 0xFFFFFFFF)}))


def maximum_prefixes(data: bytes) -> tuple[int, int, int] | None:
    """Return (afi, safi, limit) from the data of a Cease/1, or None where it does not hold them."""
    try:
        parsed = grammar.MAXIMUM_PREFIXES.parse(data)
    except grammar.Malformed:
        return None
    return parsed.afi, parsed.safi, parsed.limit


# --- RFC 8538 section 3.1: Hard Reset --------------------------------------------------------------------


def hard_reset(cause: Notification) -> Notification:
    """Return the Hard Reset that carries `cause`."""
    data = bytes((cause.code, cause.subcode)) + cause.data
    return Notification(ErrorCode.CEASE, CeaseSubcode.HARD_RESET, data)
