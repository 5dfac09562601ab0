"""The body of any OPEN gives a value, or one Notify of code 2 with the data that its subcode demands; a value
encodes again to an OPEN of the same value, and whatever its capabilities mean can be shown on a terminal.

Input: the body, behind the header.  What is shorter than an OPEN can be, framing refuses: those are
expected to be called too short.
"""

from collections.abc import Iterator

from bgp.errors import CAPABILITY_MALFORMED, Notify
from bgp.iana import MAXIMUM_MESSAGE_LENGTH, ErrorCode, OpenSubcode
from bgp.tools import anatomy
from bgp.wire.capability import Capabilities, Capability, decode, describe, encode
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import Open, decode_open, encode_open
from fuzz.seeds import open_body
from fuzz.show import message_lines
from fuzz.target import Target, hold

# RFC 4271 section 6.2: the data field is empty but for the version that we speak.
_DATA = {OpenSubcode.UNSUPPORTED_VERSION_NUMBER: b"\0\4"}
# What can be known of an OPEN without a configuration.
_SUBCODES = (
    OpenSubcode.UNSPECIFIC,
    OpenSubcode.UNSUPPORTED_VERSION_NUMBER,
    OpenSubcode.BAD_PEER_AS,
    OpenSubcode.BAD_BGP_IDENTIFIER,
    OpenSubcode.UNSUPPORTED_OPTIONAL_PARAMETER,
    OpenSubcode.UNACCEPTABLE_HOLD_TIME,
)


def refused(notify: Notify, body: bytes) -> None:
    if len(body) < 10:
        hold((notify.code, notify.subcode) == (1, 2), f"{notify} for a body of {len(body)} octets")
        hold(notify.data == (19 + len(body)).to_bytes(2, "big"), "the data is not the length")
        return
    hold(notify.code == ErrorCode.OPEN_MESSAGE_ERROR, f"{notify} is not of code 2")
    hold(notify.subcode in _SUBCODES, f"{notify} needs a configuration")
    hold(
        notify.data == _DATA.get(OpenSubcode(notify.subcode), b""), f"{notify} with data {notify.data.hex()}"
    )
    hold(19 <= notify.offset <= 19 + len(body), f"{notify} at octet {notify.offset}")
    if notify.rule is CAPABILITY_MALFORMED:
        left = anatomy.open_(body).left.offset
        hold(notify.offset == left, f"{notify} at octet {notify.offset}, not {left}")


def accepted(value: Open, body: bytes) -> None:
    listed = anatomy.open_(body)
    told = tuple(Capability(code, octets) for _, code, octets in listed.capabilities)
    hold(told == value.capabilities, f"taken apart: {told}; decoded: {value.capabilities}")
    hold(not listed.left.octets, "decoded, though octets are left over")
    fields = (value.version, value.my_as, value.hold_time, value.identifier)
    hold(fields == (listed.version, listed.my_as, listed.hold_time, listed.identifier), f"{fields}")
    hold(
        value.version == 4 and value.my_as and value.identifier and value.hold_time not in (1, 2), f"{value}"
    )
    hold(value.asn, "AS 0 is accepted")
    asn = Capabilities.parse(value.capabilities).four_octet_as
    hold(value.asn == (value.my_as if asn is None else asn), f"AS {value.asn}, but the capability says {asn}")
    octets = encode(value.capabilities)
    hold(decode(octets) == value.capabilities, "capabilities change when they are encoded")
    if 19 + 9 + 4 + 3 + len(octets) <= MAXIMUM_MESSAGE_LENGTH:
        for extended in False, True:
            again = decode_open(encode_open(value, extended)[19:])
            hold(again == value, f"{value} encodes to {again}")


def understood(capabilities: tuple[Capability, ...]) -> None:
    meaning = Capabilities.parse(capabilities)
    lines = [*meaning.describe(), *map(describe, capabilities)]
    hold(all(line.isprintable() for line in lines), f"not to be shown: {lines}")
    try:
        again = Capabilities.parse(meaning.encode())
    except ValueError:
        # What several instances said does not fit into one.
        hold(sum(len(item.value) for item in capabilities) > 255, f"{meaning} cannot be encoded")
    else:
        hold(again == meaning, f"{meaning} encodes to {again}")


def check(data: bytes) -> None:
    try:
        value = decode_open(data)
    except Notify as notify:
        refused(notify, data)
    else:
        accepted(value, data)
        understood(value.capabilities)


def view(data: bytes) -> Iterator[str]:
    yield from message_lines(frame(1, data), Context())


TARGET = Target("open", check, open_body, view, MAXIMUM_MESSAGE_LENGTH - 19)
