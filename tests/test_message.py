"""OPEN, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH: golden octets, round trips, and the fault of each error."""

from collections.abc import Callable

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bgp import errors
from bgp.errors import Notify, Rule
from bgp.iana import MessageType
from bgp.wire import message
from bgp.wire.capability import Capabilities, Capability
from bgp.wire.framing import Framer
from bgp.wire.grammar import message as grammar
from bgp.wire.message import Keepalive, Notification, Open, RouteRefresh

MARKER = "ff" * 16
PLAIN = "04 fde9 005a 0a000001 00"  # version, AS 65001, 90 seconds, 10.0.0.1, no parameters


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


def body_of(message_: bytes) -> bytes:
    return message_[19:]


def fault(decoder: Callable[[bytes], object], body: bytes) -> Notify:
    with pytest.raises(Notify) as caught:
        decoder(body)
    return caught.value


def assert_fault(notify: Notify, rule: Rule, code: int, subcode: int, data: bytes, offset: int) -> None:
    assert notify.rule is rule
    assert (notify.code, notify.subcode, notify.data, notify.offset) == (code, subcode, data, offset)


# --- Golden messages, written by hand from the RFCs' figures ----------------------------------------------

AS_4 = Capability(65, octets("fa56ea01"))
GOLDEN = [
    # RFC 4271 4.2: the smallest OPEN has 29 octets
    (Open(65001, 90, 0x0A000001), MARKER + "001d 01 04 fde9 005a 0a000001 00"),
    # RFC 5492 4: all capabilities in one parameter of type 2
    (
        Open(65001, 0, 0xFFFFFFFF, (Capability(1, octets("00010001")), Capability(2))),
        MARKER + "0027 01 04 fde9 0000 ffffffff 0a  02 08  01 04 00010001  02 00",
    ),
    (
        Open(23456, 180, 0x01020304, (AS_4,)),
        MARKER + "0025 01 04 5ba0 00b4 01020304 08  02 06  41 04 fa56ea01",
    ),
    # RFC 4271 4.4
    (Keepalive(), MARKER + "0013 04"),
    # RFC 4271 4.5
    (Notification(4), MARKER + "0015 03 04 00"),
    (Notification(2, 1, b"\x00\x04"), MARKER + "0017 03 02 01 0004"),
    # RFC 2918 3, RFC 7313 3.2: AFI, subtype, SAFI
    (RouteRefresh(2, 1), MARKER + "0017 05 0002 00 01"),
    (RouteRefresh(1, 1, 1), MARKER + "0017 05 0001 01 01"),
    (RouteRefresh(1, 128, 2), MARKER + "0017 05 0001 02 80"),
]


@pytest.mark.parametrize(("value", "wire"), GOLDEN)
def test_golden(value: message.Message, wire: str) -> None:
    whole = octets(wire)
    assert message.encode(value) == whole
    assert message.decode(whole[18], whole[19:]) == value
    parsed = grammar.MESSAGE.parse(whole)
    assert (parsed.length, parsed.type, parsed.body) == (len(whole), whole[18], whole[19:])
    assert grammar.MESSAGE.build({"type": whole[18], "body": whole[19:]}) == whole


def test_as_trans_stands_for_an_as_beyond_two_octets() -> None:
    """RFC 6793 section 9."""
    ours = Open(4200000001, 90, 1, (AS_4,))
    theirs = message.decode_open(body_of(message.encode(ours)))
    assert (theirs.my_as, theirs.asn) == (23456, 4200000001)
    assert message.encode(Open(65535, 90, 1))[20:22] == b"\xff\xff"
    assert message.encode(Open(65536, 90, 1))[20:22] == octets("5ba0")
    assert Open(65001, 90, 1).asn == 65001


# --- Round trips -------------------------------------------------------------------------------------------

capabilities = st.builds(
    Capability, st.integers(0, 255).filter(lambda code: code != 65), st.binary(max_size=255)
)
opens = st.builds(
    Open,
    st.integers(1, 0xFFFF),
    st.just(0) | st.integers(3, 0xFFFF),
    st.integers(1, 0xFFFFFFFF),
    st.lists(capabilities, max_size=6).map(tuple),
)
notifications = st.builds(Notification, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300))
refreshes = st.builds(RouteRefresh, st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 255))


@given(opens | notifications | refreshes | st.just(Keepalive()))
def test_encode_and_decode_are_inverse(value: message.Message) -> None:
    whole = message.encode(value)
    assert int.from_bytes(whole[16:18], "big") == len(whole)
    assert message.decode(whole[18], whole[19:]) == value


@given(opens)
def test_the_extended_form_says_the_same(value: Open) -> None:
    assert message.decode_open(body_of(message.encode_open(value, extended=True))) == value


@given(st.integers(0, 255), st.binary(max_size=60), st.booleans())
def test_any_octets_give_a_value_or_notify(type_: int, body: bytes, enhanced: bool) -> None:
    if type_ == MessageType.UPDATE:
        return
    try:
        value = message.decode(type_, body, enhanced)
    except Notify as notify:
        assert notify.rule is not None
        assert 0 <= notify.offset <= 19 + len(body)
    else:
        assert message.decode(type_, body_of(message.encode(value)), enhanced) == value


# Areas of optional parameters that are often right, and never far from it.
values = st.lists(
    st.builds(
        lambda code, value: bytes((code, len(value))) + value, st.integers(0, 255), st.binary(max_size=8)
    ),
    max_size=3,
)
parameters = st.lists(
    st.tuples(st.sampled_from([2, 2, 2, 2, 2, 2, 2, 7, 255]), values.map(b"".join) | st.binary(max_size=4)),
    max_size=3,
)


def block_of(items: list[tuple[int, bytes]], extended: bool) -> bytes:
    return b"".join(
        bytes((type_,)) + len(value).to_bytes(1 + extended, "big") + value for type_, value in items
    )


@given(parameters, st.booleans(), st.just(b"") | st.binary(max_size=4))
@settings(max_examples=200)
def test_the_open_decoder_accepts_what_the_grammar_does(
    items: list[tuple[int, bytes]], extended: bool, tail: bytes
) -> None:
    """The walk that finds the offset of a fault, and the whole declarations, agree on what is well formed."""
    fixed = {"version": 4, "my_as": 65001, "hold_time": 90, "identifier": 1}
    optional = {"extended": extended, "block": block_of(items, extended) + tail}
    body = grammar.OPEN.build({"fixed": fixed, "optional_parameters": optional})
    found: list[tuple[int, bytes]] | None = []
    try:
        whole = grammar.OPEN.parse(body).optional_parameters
        element = grammar.EXTENDED_PARAMETERS if whole.extended else grammar.PARAMETERS
        for parameter in element.parse(whole.block).parameters:
            if parameter.type != 2:
                raise grammar.Malformed
            for item in grammar.CAPABILITIES.parse(parameter.value).capabilities:
                found.append((item.code, item.value))
    except grammar.Malformed:
        found = None
    event("well formed" if found is not None else "malformed")
    try:
        decoded = message.decode_open(body)
    except Notify as notify:
        assert found is None or notify.rule is errors.PEER_AS_ZERO
    else:
        assert [(item.code, item.value) for item in decoded.capabilities] == found


def test_a_fuller_open_truncated_at_every_octet_and_with_an_octet_more() -> None:
    for extended in (False, True):
        value = Open(65001, 90, 1, (Capability(1, octets("00010001")), Capability(2), AS_4))
        body = body_of(message.encode_open(value, extended))
        for length in range(len(body)):
            notify = fault(message.decode_open, body[:length])
            if length < 10:
                size = (19 + length).to_bytes(2, "big")
                assert_fault(notify, errors.MESSAGE_LENGTH, 1, 2, size, 16)
            else:
                assert_fault(notify, errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28)
        notify = fault(message.decode_open, body + b"\x00")
        assert_fault(notify, errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28)


# --- OPEN: each rule, and their order ----------------------------------------------------------------------

OPEN_FAULTS = [
    # RFC 4271 6.2: the data is the version that we speak
    ("03 fde9 005a 0a000001 00", errors.VERSION, 2, 1, b"\x00\x04", 19),
    ("05 fde9 005a 0a000001 00", errors.VERSION, 2, 1, b"\x00\x04", 19),
    ("00 fde9 005a 0a000001 00", errors.VERSION, 2, 1, b"\x00\x04", 19),
    # RFC 7607 2
    ("04 0000 005a 0a000001 00", errors.PEER_AS_ZERO, 2, 2, b"", 20),
    ("04 5ba0 005a 0a000001 08 02 06 41 04 00000000", errors.PEER_AS_ZERO, 2, 2, b"", 31),
    # RFC 6286 2.2
    ("04 fde9 005a 00000000 00", errors.IDENTIFIER, 2, 3, b"", 24),
    # RFC 4271 6.2: one and two seconds
    ("04 fde9 0001 0a000001 00", errors.HOLD_TIME, 2, 6, b"", 22),
    ("04 fde9 0002 0a000001 00", errors.HOLD_TIME, 2, 6, b"", 22),
    # an unrecognized parameter; RFC 5492: type 1, authentication, is one; RFC 9072 3: so is 255 later on
    ("04 fde9 005a 0a000001 03 07 01 00", errors.OPTIONAL_PARAMETER, 2, 4, b"", 29),
    ("04 fde9 005a 0a000001 03 01 01 00", errors.OPTIONAL_PARAMETER, 2, 4, b"", 29),
    ("04 fde9 005a 0a000001 03 00 01 00", errors.OPTIONAL_PARAMETER, 2, 4, b"", 29),
    ("04 fde9 005a 0a000001 06 02 02 02 00 ff 00", errors.OPTIONAL_PARAMETER, 2, 4, b"", 33),
    ("04 fde9 005a 0a000001 ff ff 0003 ff 0000", errors.OPTIONAL_PARAMETER, 2, 4, b"", 32),
    ("04 fde9 005a 0a000001 ff ff 0008 02 0002 0200 01 0000", errors.OPTIONAL_PARAMETER, 2, 4, b"", 37),
    # a parameter that overruns the list, or is cut off
    ("04 fde9 005a 0a000001 04 02 03 02 00", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 29),
    ("04 fde9 005a 0a000001 01 02", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 29),
    ("04 fde9 005a 0a000001 05 02 02 02 00 02", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 33),
    ("04 fde9 005a 0a000001 ff ff 0004 02 0002 02", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 32),
    # the list does not fill the message: too long, too short, none at all but octets
    ("04 fde9 005a 0a000001 05 02 02 02 00", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    ("04 fde9 005a 0a000001 03 02 02 02 00", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    ("04 fde9 005a 0a000001 00 02 02 02 00", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    # RFC 9072 2: with a length of zero, type 255 does not mark the extended form
    ("04 fde9 005a 0a000001 00 ff 0000", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    ("04 fde9 005a 0a000001 ff ff 0001", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    ("04 fde9 005a 0a000001 ff ff 00", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    ("04 fde9 005a 0a000001 01 ff", errors.OPTIONAL_PARAMETER_MALFORMED, 2, 0, b"", 28),
    # RFC 5492 4: a capability that overruns its parameter, also where octets of a next one follow
    ("04 fde9 005a 0a000001 04 02 02 02 01", errors.CAPABILITY_MALFORMED, 2, 0, b"", 31),
    ("04 fde9 005a 0a000001 03 02 01 02", errors.CAPABILITY_MALFORMED, 2, 0, b"", 31),
    ("04 fde9 005a 0a000001 05 02 03 02 00 41", errors.CAPABILITY_MALFORMED, 2, 0, b"", 33),
    ("04 fde9 005a 0a000001 08 02 02 02 02 02 02 02 00", errors.CAPABILITY_MALFORMED, 2, 0, b"", 31),
    ("04 fde9 005a 0a000001 ff ff 0005 02 0002 c8 05", errors.CAPABILITY_MALFORMED, 2, 0, b"", 35),
]


@pytest.mark.parametrize(("body", "rule", "code", "subcode", "data", "offset"), OPEN_FAULTS)
def test_open_fault(body: str, rule: Rule, code: int, subcode: int, data: bytes, offset: int) -> None:
    assert_fault(fault(message.decode_open, octets(body)), rule, code, subcode, data, offset)


def test_of_several_faults_the_first_in_order_is_reported() -> None:
    version, asn, hold, identifier, parameters = (
        ("05", "04"),
        ("0000", "fde9"),
        ("0001", "005a"),
        ("00000000", "0a000001"),
        ("08 07 00 02 04 02 05 00 00", "08 02 04 c8 05 00 00 02 00"),
    )
    order = [
        errors.VERSION,
        errors.PEER_AS_ZERO,
        errors.IDENTIFIER,
        errors.HOLD_TIME,
        errors.OPTIONAL_PARAMETER,
    ]
    for right, rule in enumerate((*order, errors.CAPABILITY_MALFORMED)):
        body = (
            version[right > 0]
            + asn[right > 1]
            + hold[right > 3]
            + identifier[right > 2]
            + parameters[right > 4]
        )
        assert fault(message.decode_open, octets(body)).rule is rule


def test_the_list_of_parameters_is_judged_before_what_is_in_them() -> None:
    """The first parameter holds a malformed capability, the second is not recognized."""
    body = octets("04 fde9 005a 0a000001 06  02 02 02 05  07 00")
    assert_fault(fault(message.decode_open, body), errors.OPTIONAL_PARAMETER, 2, 4, b"", 33)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("04 fde9 0003 00000001 00", Open(65001, 3, 1)),
        (
            "04 fde9 0000 e0000001 00",
            Open(65001, 0, 0xE0000001),
        ),  # RFC 6286 2.1: need not be a host's address
        ("04 5ba0 ffff ffffffff 00", Open(23456, 65535, 0xFFFFFFFF)),
        ("04 fde9 005a 0a000001 02 02 00", Open(65001, 90, 0x0A000001)),
        # RFC 5492 4: one capability a parameter means the same as all in one
        (
            "04 fde9 005a 0a000001 0a 02 02 02 00 02 04 46 00 06 00",
            Open(65001, 90, 0x0A000001, (Capability(2), Capability(70), Capability(6))),
        ),
        # RFC 9072 2: the extended form is taken though it is short, even empty, whatever the old length says
        ("04 fde9 005a 0a000001 ff ff 0000", Open(65001, 90, 0x0A000001)),
        ("04 fde9 005a 0a000001 01 ff 0005 02 0002 02 00", Open(65001, 90, 0x0A000001, (Capability(2),))),
        ("04 fde9 005a 0a000001 04 ff 0005 02 0002 02 00", Open(65001, 90, 0x0A000001, (Capability(2),))),
        ("04 fde9 005a 0a000001 fe ff 0005 02 0002 02 00", Open(65001, 90, 0x0A000001, (Capability(2),))),
        # a malformed value of a known capability is no fault of the OPEN
        ("04 fde9 005a 0a000001 05 02 03 41 01 00", Open(65001, 90, 0x0A000001, (Capability(65, b"\x00"),))),
    ],
)
def test_open_that_is_fine(body: str, expected: Open) -> None:
    assert message.decode_open(octets(body)) == expected


def test_the_malformed_four_octet_as_does_not_count() -> None:
    body = octets("04 fde9 005a 0a000001 07 02 05 41 03 000000")
    value = message.decode_open(body)
    assert value.asn == 65001
    assert Capabilities.parse(value.capabilities).malformed == (Capability(65, b"\x00\x00\x00"),)


def test_the_capability_that_names_as_zero_is_the_fault() -> None:
    """A malformed instance behind it says nothing, and is not pointed at."""
    body = octets("04 fde9 005a 0a000001 0d 02 0b 41 04 00000000 41 03 000000")
    assert fault(message.decode_open, body).offset == 31
    body = octets("04 fde9 005a 0a000001 0e 02 0c 41 04 00000000 41 04 00000001")
    assert message.decode_open(body).asn == 1  # the last one counts


# --- OPEN: the two forms of the optional parameters (RFC 9072) ---------------------------------------------


def test_255_octets_of_parameters_keep_the_old_form_and_256_do_not() -> None:
    fits = Open(65001, 90, 1, (Capability(200, bytes(251)),))
    assert body_of(message.encode(fits))[9:] == octets("ff 02 fd c8 fb") + bytes(251)
    beyond = Open(65001, 90, 1, (Capability(200, bytes(252)),))
    assert body_of(message.encode(beyond))[9:] == octets("ff ff 0101 02 00fe c8 fc") + bytes(252)
    for value in (fits, beyond):
        assert message.decode_open(body_of(message.encode(value))) == value


def test_the_extended_form_can_be_asked_for() -> None:
    """RFC 9072 section 2: "Configuration MAY override this"; the old length octet is 255, never 0."""
    value = Open(65001, 90, 1, (Capability(2),))
    assert body_of(message.encode_open(value, extended=True))[9:] == octets("ff ff 0005 02 0002 02 00")
    assert body_of(message.encode_open(Open(65001, 90, 1), extended=True))[9:] == octets("ff ff 0000")


def test_an_open_fills_4096_octets_and_no_more() -> None:
    # header 19, fixed 9, extended lengths 4, parameter header 3: 4061 octets are left
    largest = (*(Capability(200, bytes(255)) for _ in range(15)), Capability(201, bytes(204)))
    assert len(message.encode(Open(65001, 90, 1, largest))) == 4096
    with pytest.raises(ValueError, match="do not fit"):
        message.encode(Open(65001, 90, 1, (*largest[:-1], Capability(201, bytes(205)))))


@pytest.mark.parametrize(
    "bad",
    [
        Open(1 << 32, 90, 1),
        Open(-1, 90, 1),
        Open(65001, 65536, 1),
        Open(65001, 90, 1 << 32),
        Open(65001, 90, 1, (Capability(256),)),
        Notification(256),
        Notification(1, -1),
        RouteRefresh(65536, 1),
        RouteRefresh(1, 256),
        RouteRefresh(1, 1, 256),
    ],
)
def test_what_does_not_fit_its_field_is_refused(bad: message.Message) -> None:
    with pytest.raises(ValueError, match=r"fit|not an AS"):
        message.encode(bad)


# --- KEEPALIVE and ROUTE-REFRESH ---------------------------------------------------------------------------


def test_a_keepalive_has_no_body() -> None:
    assert_fault(fault(message.decode_keepalive, b"\x00"), errors.MESSAGE_LENGTH, 1, 2, octets("0014"), 16)


def test_the_subtype_is_reserved_unless_the_peer_has_enhanced_refresh() -> None:
    """RFC 2918 section 3: that octet is ignored."""
    assert message.decode_route_refresh(octets("0001 01 01"), enhanced=False) == RouteRefresh(1, 1)
    assert message.decode_route_refresh(octets("0001 01 01"), enhanced=True) == RouteRefresh(1, 1, 1)
    assert message.decode_route_refresh(octets("0019 ff 46"), enhanced=True) == RouteRefresh(25, 70, 255)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 40])
@pytest.mark.parametrize("subtype", [0, 1, 2, 3, 255])
@pytest.mark.parametrize("enhanced", [False, True])
def test_route_refresh_of_wrong_length(length: int, subtype: int, enhanced: bool) -> None:
    body = (bytes((0, 1, subtype, 1)) + bytes(36))[:length]
    notify = fault(lambda body: message.decode_route_refresh(body, enhanced), body)
    whole = b"\xff" * 16 + (19 + length).to_bytes(2, "big") + b"\x05" + body
    if enhanced and length >= 3 and subtype in (1, 2):
        # RFC 7313 section 5: the data is the complete message
        assert_fault(notify, errors.ROUTE_REFRESH_LENGTH, 7, 1, whole, 16)
    else:
        assert_fault(notify, errors.MESSAGE_LENGTH, 1, 2, whole[16:18], 16)


def test_the_framer_leaves_a_short_route_refresh_to_the_decoder() -> None:
    """RFC 7313 section 5 has an error of its own for a short BoRR."""
    framer = Framer()
    framer.feed(octets(MARKER + "0016 05 0001 01"))
    assert framer.next() == (MessageType.ROUTE_REFRESH, octets("0001 01"))


def test_an_unknown_type_and_an_update() -> None:
    assert_fault(fault(lambda body: message.decode(6, body), b""), errors.MESSAGE_TYPE, 1, 3, b"\x06", 18)
    with pytest.raises(ValueError, match="UPDATE"):
        message.decode(MessageType.UPDATE, bytes(4))


# --- NOTIFICATION ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"\x06"])
def test_a_notification_without_code_or_subcode(body: bytes) -> None:
    size = (19 + len(body)).to_bytes(2, "big")
    assert_fault(fault(message.decode_notification, body), errors.MESSAGE_LENGTH, 1, 2, size, 16)


@given(st.binary(min_size=2, max_size=80))
def test_any_notification_is_a_value_and_safe_to_show(body: bytes) -> None:
    value = message.decode_notification(body)
    assert (value.code, value.subcode, value.data) == (body[0], body[1], body[2:])
    assert str(value).isprintable()
    assert value.communication.isprintable()


def test_the_data_is_cut_to_the_largest_message() -> None:
    """It may quote what came in an extended message."""
    value = Notification(7, 1, bytes(65535))
    assert len(message.encode(value)) == 4096
    assert len(message.encode(value, maximum=65535)) == 65535
    assert message.encode(Notification(7, 1, bytes(4075)))[-1:] == b"\x00"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Notification(1, 2, octets("ffff")), "message-header-error/bad-message-length: ffff"),
        (Notification(1), "message-header-error"),
        (Notification(2, 1, octets("0004")), "open-message-error/unsupported-version-number: version 4"),
        (Notification(2, 1, octets("04")), "open-message-error/unsupported-version-number: 04"),
        (Notification(2, 2), "open-message-error/bad-peer-as"),
        (Notification(2, 5), "open-message-error/5"),
        (
            Notification(2, 7, octets("0104 00020001 0200")),
            "open-message-error/unsupported-capability: multiprotocol ipv6-unicast, route-refresh",
        ),
        (Notification(2, 7, octets("0104 0002")), "open-message-error/unsupported-capability: 01040002"),
        (Notification(3, 3, b"\x02"), "update-message-error/missing-well-known-attribute: 02"),
        (Notification(4), "hold-timer-expired"),
        (Notification(5, 2, b"\x01"), "finite-state-machine-error/unexpected-message-in-open-confirm: open"),
        (Notification(5, 2, b"\x09"), "finite-state-machine-error/unexpected-message-in-open-confirm: 09"),
        (Notification(6), "cease/unspecified"),
        (Notification(6, 2), "cease/administrative-shutdown"),
        (Notification(6, 4, octets("03 627965")), "cease/administrative-reset: bye"),
        (
            Notification(6, 1, octets("0001 01 000003e8")),
            "cease/maximum-number-of-prefixes-reached: ipv4-unicast limit 1000",
        ),
        (Notification(6, 1, octets("0001 01")), "cease/maximum-number-of-prefixes-reached: 000101"),
        (
            Notification(6, 9, octets("06 02 03 627965")),
            "cease/hard-reset: cease/administrative-shutdown: bye",
        ),
        (Notification(6, 9, octets("06")), "cease/hard-reset: 06"),
        (Notification(6, 9, octets("0609 0602")), "cease/hard-reset: 06090602"),
        (Notification(6, 10), "cease/bfd-down"),
        (Notification(8), "send-hold-timer-expired"),
        (Notification(42, 3, b"\xff"), "code-42/3: ff"),
    ],
)
def test_a_notification_in_words(value: Notification, text: str) -> None:
    assert str(value) == text


# --- RFC 9003 ----------------------------------------------------------------------------------------------


def test_shutdown_communication_golden() -> None:
    # RFC 9003 section 2: the length in octets, then UTF-8, not NUL terminated
    assert message.encode_shutdown_communication("vé") == octets("03 76 c3a9")
    assert message.shutdown_communication(octets("03 76 c3a9")) == "vé"
    assert message.encode_shutdown_communication("") == b""
    assert message.shutdown_communication(b"") == message.shutdown_communication(b"\x00") == ""


@given(st.text(max_size=300), st.integers(1, 255))
def test_shutdown_communication_is_cut_between_characters(text: str, maximum: int) -> None:
    data = message.encode_shutdown_communication(text, maximum)
    assert len(data) <= maximum + 1
    whole = text.encode("utf-8", "replace")
    assert whole.startswith(data[1:])
    assert len(data) <= 1 or data[0] == len(data) - 1
    # no character more would have fitted
    assert len(whole) <= maximum or maximum - len(data[1:]) < 4
    assert data[1:].decode() == whole[: len(data[1:])].decode()


def test_shutdown_communication_lengths() -> None:
    assert len(message.encode_shutdown_communication("x" * 300)) == 1 + 128
    assert len(message.encode_shutdown_communication("x" * 300, 255)) == 1 + 255
    assert len(message.encode_shutdown_communication("x" * 300, 4096)) == 1 + 255
    assert message.shutdown_communication(b"\xff" + b"x" * 255) == "x" * 255
    # é has two octets: the 128th would be half of one
    assert message.encode_shutdown_communication("x" + "é" * 100)[0] == 127


@pytest.mark.parametrize(
    "data",
    [
        "0a 627965",  # longer than what follows
        "02 627965",  # shorter
        "02 c080",  # NUL in overlong form
        "03 eda080",  # a surrogate
        "01 ff",
        "02 e282",  # cut within a character
    ],
)
def test_a_communication_that_cannot_be_read_is_shown_in_hexadecimal(data: str) -> None:
    expected = f"malformed communication {data.replace(' ', '')}"
    assert message.shutdown_communication(octets(data)) == expected


def test_control_characters_are_escaped() -> None:
    """RFC 9003 section 6: or a text could pass for further lines of a log."""
    text = "bye\nBGP: session up\x1b[31m\x00\u202e\u2028"
    data = message.encode_shutdown_communication(text)
    assert message.shutdown_communication(data) == r"bye\nBGP: session up\x1b[31m\x00\u202e\u2028"


def test_communication_is_read_from_shutdown_and_reset_alone_also_in_a_hard_reset() -> None:
    data = message.encode_shutdown_communication("bye")
    assert Notification(6, 2, data).communication == Notification(6, 4, data).communication == "bye"
    assert message.hard_reset(Notification(6, 2, data)).communication == "bye"
    assert Notification(6, 3, data).communication == Notification(2, 2, data).communication == ""


# --- RFC 4486 section 4, RFC 8538 section 3.1 --------------------------------------------------------------


def test_maximum_prefixes() -> None:
    data = octets("0002 01 000f4240")
    assert message.encode_maximum_prefixes(2, 1, 1000000) == data
    assert message.maximum_prefixes(data) == (2, 1, 1000000)
    assert message.encode_maximum_prefixes(1, 1, 1 << 40) == octets("0001 01 ffffffff")
    for length in range(len(data)):
        assert message.maximum_prefixes(data[:length]) is None
    assert message.maximum_prefixes(data + b"\x00") is None


@given(notifications)
def test_a_hard_reset_carries_its_cause(cause: Notification) -> None:
    outer = message.hard_reset(cause)
    assert (outer.code, outer.subcode) == (6, 9)
    assert outer.data == bytes((cause.code, cause.subcode)) + cause.data
    assert outer.hard_reset
    assert outer.inner == cause


def test_only_a_hard_reset_has_an_inner_notification() -> None:
    assert Notification(6, 2, octets("0602")).inner is None
    assert Notification(6, 9).inner is Notification(6, 9, b"\x06").inner is None


def test_nested_hard_resets_are_shown_without_recursion() -> None:
    assert str(Notification(6, 9, octets("0609") * 2000)).startswith("cease/hard-reset: 0609")
