"""The rules about an UPDATE as a whole, a crafted message for each, judged by both decoders.

Offsets count from the message's first header octet, so the Withdrawn Routes Length stands at 19.
"""

import pytest
from judging import (
    AS_PATH,
    BOTH,
    EXTERNAL,
    HERE,
    HERE6,
    INTERNAL,
    LOCAL_PREF,
    MANDATORY,
    MEMBER,
    NEXT_HOP,
    NEXT_HOP6,
    ORIGIN,
    PREFIX,
    PREFIX6,
    judge,
    mp_reach,
    mp_unreach,
    update,
)

from bgp.errors import RULES, Outcome
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.wire.attributes import attribute
from bgp.wire.context import Context

OK, DISCARD = Outcome.OK, Outcome.ATTRIBUTE_DISCARD
WITHDRAW, RESET = Outcome.TREAT_AS_WITHDRAW, Outcome.SESSION_RESET

BAD_ORIGIN = attribute(0x40, 1, b"\x03")
BAD_AGGREGATOR = attribute(0xC0, 7, b"\0" * 5)
MED = attribute(0x80, 4, bytes(4))
OVERRUN = bytes.fromhex("18 c633")  # a /24 of which an octet is missing


# --- lengths and prefixes --------------------------------------------------------------------------------


def test_withdrawn_routes_overrun_the_message() -> None:
    """RFC 7606 3 b, RFC 4271 6.3."""
    found = judge(bytes.fromhex("0005 00 0000"))
    assert (found.rules, found.notification, found.offset) == (("attribute-list",), (3, 1, b""), 19)


def test_attributes_overrun_the_message() -> None:
    """RFC 7606 3 b, RFC 4271 6.3."""
    found = judge(update(withdrawn=PREFIX)[:-2] + b"\0\1")
    assert (found.rules, found.notification, found.offset) == (("attribute-list",), (3, 1, b""), 25)


def test_attributes_fill_the_message_exactly() -> None:
    """RFC 4271 4.3: the NLRI field is what the two lengths leave over, here nothing."""
    assert judge(update(MANDATORY)).outcome == OK


@pytest.mark.parametrize("bad", [bytes([33, 1, 2, 3, 4, 5]), OVERRUN, PREFIX + bytes([24, 1])])
def test_nlri_syntax(bad: bytes) -> None:
    """RFC 7606 5.3 and 3 j, RFC 4271 6.3: longer than 32 bits, or longer than the field."""
    found = judge(update(MANDATORY, bad))
    assert (found.rules, found.notification) == (("network-field",), (3, 10, b""))
    assert found.offset == 19 + 4 + len(MANDATORY) + (4 if bad.startswith(PREFIX) else 0)


@pytest.mark.parametrize("bad", [bytes([33, 1, 2, 3, 4, 5]), OVERRUN])
def test_withdrawn_syntax(bad: bytes) -> None:
    """RFC 7606 3 i: Withdrawn Routes are checked as strictly as NLRI."""
    found = judge(update(withdrawn=bad))
    assert (found.rules, found.notification, found.offset) == (("network-field",), (3, 10, b""), 21)


def test_trailing_bits_of_a_prefix_are_cleared() -> None:
    """RFC 4271 4.3: they are irrelevant; RFC 4760 5 likewise."""
    found = judge(update(MANDATORY, bytes.fromhex("17 c63365"), bytes.fromhex("01 ff")))
    assert found.announced == {"198.51.100.0/23"} and found.withdrawn == {"128.0.0.0/1"}
    found = judge(update(mp_reach(bytes.fromhex("1f 20010db9")) + ORIGIN + AS_PATH))
    assert found.announced == {"2001:db8::/31"}


def test_default_routes() -> None:
    """RFC 4271 4.3, RFC 4760 5: length 0 matches every address."""
    assert judge(update(MANDATORY, b"\0")).announced == {"0.0.0.0/0"}
    assert judge(update(mp_reach(b"\0") + ORIGIN + AS_PATH)).announced == {"::/0"}


def test_longest_prefixes() -> None:
    assert judge(update(MANDATORY, bytes([32, 192, 0, 2, 1]))).announced == {"192.0.2.1/32"}
    assert judge(update(mp_reach(b"\x80" + NEXT_HOP6) + ORIGIN + AS_PATH)).announced == {"2001:db8::1/128"}


def test_a_multicast_prefix_is_dropped_alone() -> None:
    """RFC 4271 6.3: semantically wrong, "the prefix SHOULD be ignored", the session lives."""
    found = judge(update(MANDATORY, bytes([4, 0xE0]) + PREFIX))
    assert (found.outcome, found.announced) == (OK, HERE)
    found = judge(update(mp_reach(bytes.fromhex("08 ff") + PREFIX6) + ORIGIN + AS_PATH))
    assert (found.outcome, found.announced) == (OK, HERE6)


def test_one_prefix_twice_in_one_field() -> None:
    assert judge(update(MANDATORY, PREFIX * 2)).announced == HERE
    assert judge(update(withdrawn=PREFIX * 2)).withdrawn == HERE


# --- the attribute list ----------------------------------------------------------------------------------


def test_an_attribute_overruns_the_list() -> None:
    """RFC 7606 4: NLRI are found by the Total Attribute Length, and withdrawn."""
    found = judge(update(MANDATORY + bytes.fromhex("80 04 09 00000000"), PREFIX))
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("attribute-overrun",), HERE)
    assert found.announced == frozenset()


@pytest.mark.parametrize("left", [b"\x80", b"\x80\x04", b"\x90\x04\x00"])
def test_octets_left_at_the_end_of_the_list(left: bytes) -> None:
    """RFC 7606 4: fewer than three, or four with Extended Length, hold no attribute."""
    found = judge(update(MANDATORY + left, PREFIX))
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("attribute-overrun",), HERE)


def test_an_overrun_that_hides_mp_reach_resets() -> None:
    """RFC 7606 4 and 5.2: what it would have withdrawn is behind the break."""
    found = judge(update(ORIGIN + AS_PATH + bytes.fromhex("80 04 ff") + mp_reach()))
    assert (found.outcome, found.rules) == (RESET, ("attribute-overrun",))


def test_extended_length_of_a_short_attribute() -> None:
    """RFC 4271 4.3: two length octets are allowed below 256 as well, and go no further."""
    found = judge(update(bytes.fromhex("50 01 0001 02") + AS_PATH + NEXT_HOP, PREFIX))
    assert (found.outcome, found.announced) == (OK, HERE)
    assert found.attributes[0] == (0x40, 1, b"\x02")


def test_low_flag_bits_are_ignored() -> None:
    """RFC 4271 4.3: the lower four bits "MUST be ignored when received"; RFC 7606 3 c leaves Partial."""
    found = judge(update(bytes.fromhex("4f 01 01 00") + AS_PATH + NEXT_HOP, PREFIX))
    assert (found.outcome, found.announced) == (OK, HERE)
    found = judge(update(bytes.fromhex("60 01 01 00") + AS_PATH + NEXT_HOP, PREFIX))
    assert (found.outcome, found.announced, found.attributes[0][0]) == (OK, HERE, 0x40)


def test_attributes_in_any_order() -> None:
    """RFC 4271 5: "must be prepared to handle path attributes that are out of order"."""
    straight = judge(update(MANDATORY + MED, PREFIX))
    assert judge(update(MED + NEXT_HOP + AS_PATH + ORIGIN, PREFIX)) == straight
    assert straight.outcome == OK


@pytest.mark.parametrize("type_", [1, 2, 3, 4, 7, 8, 16, 32, 200])
def test_a_repeated_attribute_counts_once(type_: int) -> None:
    """RFC 7606 3 g: all but the first are discarded, known or not."""
    first = {
        1: ORIGIN,
        2: AS_PATH,
        3: NEXT_HOP,
        4: MED,
        7: attribute(0xC0, 7, bytes.fromhex("0000fde9 c0000201")),
        8: attribute(0xC0, 8, b"\0\1\0\1"),
        16: attribute(0xC0, 16, bytes(8)),
        32: attribute(0xC0, 32, bytes(12)),
        200: attribute(0xC0, 200, b"first"),
    }
    second = attribute(first[type_][0], type_, b"\0" * 7)  # malformed as well, which does not matter
    rest = b"".join(first[kind] for kind in (1, 2, 3) if kind != type_)
    found = judge(update(first[type_] + second + rest, PREFIX))
    assert (found.outcome, found.rules, found.announced) == (DISCARD, ("attribute-repeated",), HERE)
    alone = judge(update(first[type_] + rest, PREFIX))
    assert found.attributes == alone.attributes and found.next_hops == alone.next_hops


@pytest.mark.parametrize("again", [mp_reach(), mp_unreach()])
def test_a_repeated_multiprotocol_attribute_resets(again: bytes) -> None:
    """RFC 7606 3 g: "a NOTIFICATION message MUST be sent with the Error Subcode Malformed Attribute List"."""
    found = judge(update(again + ORIGIN + AS_PATH + again))
    assert (found.rules, found.notification) == (("mp-repeated",), (3, 1, b""))


def test_an_unknown_well_known_attribute_resets() -> None:
    """RFC 4271 6.3: Optional is 0, so all must know it; RFC 7606 does not soften this."""
    unknown = attribute(0x40, 99, b"?")
    found = judge(update(MANDATORY + unknown, PREFIX))
    assert (found.rules, found.notification) == (("unrecognized-well-known",), (3, 2, unknown))


def test_an_unknown_optional_transitive_attribute_goes_on_with_partial() -> None:
    """RFC 4271 5 and 9."""
    found = judge(update(MANDATORY + attribute(0xC0, 200, b"?"), PREFIX))
    assert (found.outcome, found.attributes[-1]) == (OK, (0xE0, 200, b"?"))


def test_partial_stays_on_known_attributes() -> None:
    """RFC 4271 5: the Partial bit, once set, MUST NOT be set back."""
    found = judge(update(MANDATORY + attribute(0xE0, 8, b"\0\1\0\1"), PREFIX))
    assert (found.outcome, found.attributes[-1]) == (OK, (0xE0, 8, b"\0\1\0\1"))


def test_an_unknown_optional_non_transitive_attribute_goes_no_further() -> None:
    """RFC 4271 5: "MUST be quietly ignored and not passed along"."""
    found = judge(update(MANDATORY + attribute(0x80, 201, b"?"), PREFIX))
    assert (found.outcome, found.announced) == (OK, HERE)
    assert 201 not in [type_ for _, type_, _ in found.attributes]


@pytest.mark.parametrize("type_", [24, 128])
def test_attributes_that_are_not_taken_apart_are_unknown_ones(type_: int) -> None:
    """RFC 7606 7.13 and 7.16 concern who parses Traffic Engineering (24) and ATTR_SET (128)."""
    flags = 0x80 if type_ == 24 else 0xC0
    found = judge(update(MANDATORY + attribute(flags, type_, b"\1\2\3"), PREFIX))
    assert (found.outcome, found.announced) == (OK, HERE)


# --- what is missing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("type_", "name"), [(1, "ORIGIN"), (2, "AS_PATH"), (3, "NEXT_HOP")])
def test_a_mandatory_attribute_is_missing(type_: int, name: str) -> None:
    """RFC 7606 3 d, RFC 4271 5 and 6.3; subcode 3 with the type as data where it resets."""
    present = [part for kind, part in ((1, ORIGIN), (2, AS_PATH), (3, NEXT_HOP)) if kind != type_]
    found = judge(update(b"".join(present), PREFIX))
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("missing",), HERE)
    missing = RULES["missing"]
    assert (missing.code, missing.subcode) == (3, 3) and name in ("ORIGIN", "AS_PATH", "NEXT_HOP")


@pytest.mark.parametrize("missing", [ORIGIN, AS_PATH])
def test_a_mandatory_attribute_is_missing_beside_mp_reach(missing: bytes) -> None:
    """RFC 4760 3: the UPDATE MUST also carry ORIGIN and AS_PATH."""
    present = (ORIGIN + AS_PATH).replace(missing, b"")
    found = judge(update(mp_reach() + present))
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("missing",), HERE6)


def test_local_pref_is_missing_from_an_internal_peer() -> None:
    """RFC 4271 5.1.5 wants it in each UPDATE; RFC 7606 does not say, and it is taken as mandatory."""
    found = judge(update(MANDATORY, PREFIX), INTERNAL)
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("missing",), HERE)
    assert judge(update(MANDATORY + LOCAL_PREF, PREFIX), INTERNAL).outcome == OK
    found = judge(update(mp_reach() + ORIGIN + AS_PATH), INTERNAL)
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("missing",), HERE6)


def test_routes_without_any_attribute() -> None:
    """RFC 4271 4.3: an attribute length of 0 means that no NLRI are there either."""
    found = judge(update(b"", PREFIX))
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, ("missing",) * 3, HERE)


def test_mp_reach_needs_no_next_hop() -> None:
    """RFC 4760 3 and RFC 7606 3 d: NEXT_HOP is mandatory only where classic NLRI are."""
    assert judge(update(mp_reach() + ORIGIN + AS_PATH)).announced == HERE6


@pytest.mark.parametrize("hop", [attribute(0x40, 3, b"?"), attribute(0xC0, 3, bytes(4)), NEXT_HOP])
def test_next_hop_beside_mp_reach_alone_is_ignored(hop: bytes) -> None:
    """RFC 4760 3: "should ignore the attribute", whatever is in it."""
    found = judge(update(mp_reach() + ORIGIN + AS_PATH + hop))
    assert (found.outcome, found.rules, found.announced) == (OK, (), HERE6)
    assert found.next_hops == (NEXT_HOP6,)


# --- several faults, and nothing to withdraw ---------------------------------------------------------------


def test_the_strongest_reaction_wins() -> None:
    """RFC 7606 3 h."""
    found = judge(update(BAD_ORIGIN + AS_PATH + NEXT_HOP + BAD_AGGREGATOR, PREFIX))
    assert (found.outcome, found.rules) == (WITHDRAW, ("origin-value", "aggregator-length"))
    found = judge(update(MANDATORY + BAD_AGGREGATOR, PREFIX))
    assert (found.outcome, found.rules, found.announced) == (DISCARD, ("aggregator-length",), HERE)


def test_a_weak_fault_does_not_hide_a_later_reset() -> None:
    """RFC 7606 3 h and 3 j."""
    found = judge(update(BAD_ORIGIN + AS_PATH + NEXT_HOP + mp_reach() + mp_reach(), PREFIX))
    assert found.rules == ("mp-repeated",)
    found = judge(update(BAD_ORIGIN + AS_PATH + NEXT_HOP, OVERRUN))
    assert found.rules == ("network-field",)


def test_the_first_reset_in_wire_order_is_reported() -> None:
    unknown = attribute(0x40, 99, b"")
    assert judge(update(mp_reach(b"\xff") + unknown, OVERRUN)).rules == ("mp-network-field",)
    assert judge(update(unknown + mp_reach(b"\xff"), OVERRUN)).rules == ("unrecognized-well-known",)
    assert judge(update(unknown, OVERRUN, OVERRUN)).rules == ("network-field",)


def test_a_fault_with_nothing_to_withdraw_resets() -> None:
    """RFC 7606 5.2: attributes, no reachable NLRI, and a fault that is more than a discard."""
    found = judge(update(BAD_ORIGIN + AS_PATH + NEXT_HOP))
    assert (found.rules, found.notification) == (("origin-value",), (3, 6, BAD_ORIGIN))
    found = judge(update(BAD_ORIGIN + AS_PATH + NEXT_HOP, withdrawn=PREFIX))
    assert found.outcome == RESET
    found = judge(update(BAD_ORIGIN + mp_unreach()))
    assert found.outcome == RESET


def test_a_discard_with_nothing_to_withdraw_does_no_harm() -> None:
    """RFC 7606 5.2."""
    found = judge(update(MANDATORY + BAD_AGGREGATOR))
    assert (found.outcome, found.rules) == (DISCARD, ("aggregator-length",))


def test_attributes_without_routes() -> None:
    """RFC 4271 6.3: "the UPDATE message shall be considered valid"; it says nothing."""
    found = judge(update(MANDATORY))
    assert (found.outcome, found.announced, found.withdrawn) == (OK, frozenset(), frozenset())


def test_treat_as_withdraw_covers_all_fields() -> None:
    """RFC 7606 2: everything that the UPDATE names is gone, and no attribute of it is used."""
    other, other6 = bytes.fromhex("18 c63365"), bytes.fromhex("20 20010db9")
    body = update(mp_reach() + mp_unreach(other6) + BAD_ORIGIN + AS_PATH + NEXT_HOP, PREFIX, other)
    found = judge(body)
    assert found.outcome == WITHDRAW and found.announced == frozenset() and found.attributes == ()
    assert found.withdrawn == HERE | HERE6 | {"198.51.101.0/24", "2001:db9::/32"}


def test_treat_as_withdraw_names_path_identifiers() -> None:
    """RFC 7606 2 with RFC 7911 5: only the listed (prefix, identifier) pairs go."""
    context = Context(families=BOTH, add_path=frozenset({IPV4_UNICAST}))
    found = judge(update(BAD_ORIGIN + AS_PATH + NEXT_HOP, b"\0\0\0\2" + PREFIX), context)
    assert (found.outcome, found.withdrawn, found.path_ids) == (WITHDRAW, HERE, (2,))


def test_only_resets_have_a_notification() -> None:
    """RFC 7606 3 a: a NOTIFICATION of code 3 only where the session is reset."""
    for body in (update(BAD_ORIGIN + AS_PATH + NEXT_HOP, PREFIX), update(MANDATORY + BAD_AGGREGATOR, PREFIX)):
        found = judge(body)
        assert found.outcome < RESET and found.notification is None


# --- combinations ----------------------------------------------------------------------------------------


def test_all_fields_in_one_message() -> None:
    """RFC 7606 5.1: a receiver takes them "in any position or combination"."""
    other, other6 = bytes.fromhex("18 c63365"), bytes.fromhex("20 20010db9")
    found = judge(update(mp_unreach(other6) + MANDATORY + mp_reach(), PREFIX, other))
    assert (found.outcome, found.announced) == (OK, HERE | HERE6)
    assert found.withdrawn == {"198.51.101.0/24", "2001:db9::/32"}
    assert set(found.next_hops) == {NEXT_HOP6, bytes([192, 0, 2, 1])}


def test_withdrawn_and_announced_at_once_is_announced() -> None:
    """RFC 4271 4.3: "as though the WITHDRAWN ROUTES do not contain the address prefix".

    Both lists name it; the withdrawn ones are taken out before the announced ones are put in.
    """
    found = judge(update(MANDATORY, PREFIX, PREFIX))
    assert found.announced == HERE and found.withdrawn == HERE
    found = judge(update(mp_unreach() + mp_reach() + ORIGIN + AS_PATH))
    assert found.announced == HERE6 and found.withdrawn == HERE6


@pytest.mark.parametrize(
    ("body", "family"),
    [
        (update(), IPV4_UNICAST),
        (update(mp_unreach(b"")), IPV6_UNICAST),
        (update(mp_unreach(b"", afi=1)), IPV4_UNICAST),
    ],
)
def test_end_of_rib(body: bytes, family: object) -> None:
    """RFC 4724 2, RFC 7606 5.2: an empty UPDATE, or an empty MP_UNREACH_NLRI alone."""
    found = judge(body)
    assert (found.outcome, found.end_of_rib, found.withdrawn) == (OK, family, frozenset())


@pytest.mark.parametrize(
    "body", [update(mp_unreach(b"") + ORIGIN), update(mp_unreach(b""), withdrawn=PREFIX)]
)
def test_an_empty_mp_unreach_among_others_is_no_end_of_rib(body: bytes) -> None:
    assert judge(body).end_of_rib is None


# --- multiprotocol attributes ------------------------------------------------------------------------------


def test_the_reserved_octet_is_ignored() -> None:
    """RFC 4760 3: "MUST be set to 0, and SHOULD be ignored upon receipt"."""
    value = bytes.fromhex("0002 01 10") + NEXT_HOP6 + b"\x07" + PREFIX6
    assert judge(update(attribute(0x80, 14, value) + ORIGIN + AS_PATH)).announced == HERE6


def test_mp_unreach_alone() -> None:
    """RFC 4760 4: an UPDATE with MP_UNREACH_NLRI is not required to carry any other attribute."""
    found = judge(update(mp_unreach()))
    assert (found.outcome, found.withdrawn, found.ignored) == (OK, HERE6, ())


@pytest.mark.parametrize("make", [mp_reach, mp_unreach])
@pytest.mark.parametrize("flags", [0x00, 0x40, 0xC0])
def test_flags_of_multiprotocol_attributes(make: object, flags: int) -> None:
    """RFC 7606 5.3: never treat-as-withdraw."""
    bad = make(flags=flags)  # type: ignore[operator]
    found = judge(update(bad + ORIGIN + AS_PATH))
    assert (found.rules, found.notification, found.offset) == (("mp-flags",), (3, 9, bad), 23)


@pytest.mark.parametrize(
    ("type_", "value"),
    [(14, ""), (14, "00020100"), (14, "0002010000"[:8]), (14, "00020110 00"), (15, ""), (15, "0002")],
)
def test_multiprotocol_attributes_that_are_too_short(type_: int, value: str) -> None:
    """RFC 7606 5.3: below five octets, or three; a next hop that overruns is as short."""
    bad = attribute(0x80, type_, bytes.fromhex(value))
    found = judge(update(bad + ORIGIN + AS_PATH))
    assert (found.rules, found.notification) == (("mp-length",), (3, 9, bad))


@pytest.mark.parametrize("nlri", [b"\x81" + bytes(17), bytes.fromhex("20 2001")])
@pytest.mark.parametrize("make", [mp_reach, mp_unreach])
def test_prefixes_of_multiprotocol_attributes(make: object, nlri: bytes) -> None:
    """RFC 7606 5.3: longer than 128 bits, or longer than the attribute."""
    bad = make(nlri)  # type: ignore[operator]
    found = judge(update(bad + ORIGIN + AS_PATH))
    assert (found.rules, found.notification) == (("mp-network-field",), (3, 9, bad))


@pytest.mark.parametrize("length", [0, 4, 15, 24, 33])
def test_next_hop_lengths_of_ipv6(length: int) -> None:
    """RFC 7606 7.11, RFC 2545 3: 16 or 32 octets."""
    bad = mp_reach(next_hop=bytes(length))
    found = judge(update(bad + ORIGIN + AS_PATH))
    assert (found.rules, found.notification) == (("mp-next-hop",), (3, 9, bad))


@pytest.mark.parametrize("length", [16, 32])
def test_next_hops_of_ipv6_are_kept_as_they_are(length: int) -> None:
    """RFC 2545 3: global, or global and link-local; what is in them is not the decoder's matter."""
    for hop in (NEXT_HOP6 * 2, bytes.fromhex("fe80" + "00" * 14) * 2, bytes(32)):
        found = judge(update(mp_reach(next_hop=hop[:length]) + ORIGIN + AS_PATH))
        assert (found.outcome, found.next_hops) == (OK, (hop[:length],))


def test_ipv4_routes_in_mp_reach() -> None:
    """RFC 8950 3 leaves the four-octet next hop as it was."""
    found = judge(update(mp_reach(PREFIX, bytes([192, 0, 2, 1]), afi=1) + ORIGIN + AS_PATH))
    assert (found.outcome, found.announced) == (OK, HERE)
    assert found.next_hops == (bytes([192, 0, 2, 1]),)
    assert judge(update(mp_unreach(PREFIX, afi=1))).withdrawn == HERE


@pytest.mark.parametrize("length", [16, 32])
def test_ipv4_routes_with_an_ipv6_next_hop(length: int) -> None:
    """RFC 8950 3 and 4: the next hop's length tells its protocol, where that was negotiated."""
    body = update(mp_reach(PREFIX, (NEXT_HOP6 * 2)[:length], afi=1) + ORIGIN + AS_PATH)
    found = judge(body)
    assert (found.outcome, found.rules) == (RESET, ("mp-next-hop",))
    found = judge(body, Context(families=BOTH, extended_next_hop=frozenset({IPV4_UNICAST})))
    assert (found.outcome, found.announced) == (OK, HERE)
    assert found.next_hops == ((NEXT_HOP6 * 2)[:length],)


@pytest.mark.parametrize(
    ("part", "family"),
    [
        (attribute(0x80, 14, bytes.fromhex("0019 46 00 00 ff")), (25, 70)),
        (attribute(0x80, 15, bytes.fromhex("0019 46 ff")), (25, 70)),
        (attribute(0x80, 14, bytes.fromhex("0002 02 00 00 ff")), (2, 2)),
    ],
)
def test_a_family_that_was_not_negotiated_is_ignored(part: bytes, family: tuple[int, int]) -> None:
    """RFC 4760 8 does not say; what is in it is not looked at, and the rest of the UPDATE counts."""
    found = judge(update(part + MANDATORY, PREFIX))
    assert (found.outcome, found.announced, found.ignored) == (OK, HERE, (family,))


def test_classic_routes_where_ipv4_was_not_negotiated() -> None:
    context = Context(families=frozenset({IPV6_UNICAST}))
    found = judge(update(MANDATORY + mp_reach(), PREFIX, PREFIX), context)
    assert found.announced == HERE6 and found.withdrawn == frozenset()
    assert set(found.ignored) == {(1, 1)}


@pytest.mark.parametrize(
    "body",
    [
        update(MANDATORY, b"\0\0\0\0" + PREFIX + b"\xff\xff\xff\xff" + PREFIX),
        update(withdrawn=b"\0\0\0\0" + PREFIX + b"\xff\xff\xff\xff" + PREFIX),
        update(mp_reach(b"\0\0\0\0" + PREFIX6 + b"\xff\xff\xff\xff" + PREFIX6) + ORIGIN + AS_PATH),
        update(mp_unreach(b"\0\0\0\0" + PREFIX6 + b"\xff\xff\xff\xff" + PREFIX6)),
    ],
)
def test_path_identifiers_in_all_four_fields(body: bytes) -> None:
    """RFC 7911 3; any identifier may be used (2)."""
    found = judge(body, Context(families=BOTH, add_path=BOTH))
    assert (found.outcome, found.path_ids) == (OK, (0, 0xFFFFFFFF))


def test_path_identifiers_by_family() -> None:
    """RFC 7911 5: each family on its own."""
    context = Context(families=BOTH, add_path=frozenset({IPV6_UNICAST}))
    found = judge(update(mp_reach(b"\0\0\0\7" + PREFIX6) + MANDATORY, PREFIX), context)
    assert (found.outcome, found.announced, found.path_ids) == (OK, HERE | HERE6, (7,))


def test_the_contexts_differ_where_they_should() -> None:
    """A plain route is a plain route to every kind of peer, with what that peer must add."""
    assert judge(update(MANDATORY, PREFIX), EXTERNAL).outcome == OK
    assert judge(update(MANDATORY + LOCAL_PREF, PREFIX), INTERNAL).outcome == OK
    member_path = attribute(0x40, 2, bytes.fromhex("0301 0000fde9"))
    assert judge(update(ORIGIN + member_path + NEXT_HOP + LOCAL_PREF, PREFIX), MEMBER).outcome == OK
