"""The rules about single path attributes, a crafted message for each, judged by both decoders."""

import pytest
from judging import (
    AS_PATH,
    BOTH,
    EXTERNAL,
    HERE,
    INTERNAL,
    LOCAL_PREF,
    MANDATORY,
    MEMBER,
    NEXT_HOP,
    OLD,
    OLD_AS_PATH,
    OLD_MANDATORY,
    ORIGIN,
    PREFIX,
    Judgment,
    judge,
    update,
)

from bgp.errors import Outcome
from bgp.wire.attributes import attribute
from bgp.wire.context import Context

OK, DISCARD = Outcome.OK, Outcome.ATTRIBUTE_DISCARD
WITHDRAW, RESET = Outcome.TREAT_AS_WITHDRAW, Outcome.SESSION_RESET

SETS = Context(families=BOTH, as_sets=True, peer_as=65001)
OLD_SETS = Context(families=BOTH, four_octet_as=False, as_sets=True, peer_as=65001)
METRIC = Context(internal=True, families=BOTH, aigp=True)
CHECKED = Context(families=BOTH, first_as=True, peer_as=65001)

# The attribute in an otherwise perfect UPDATE: what the others must be.
OTHERS = {1: AS_PATH + NEXT_HOP, 2: ORIGIN + NEXT_HOP, 3: ORIGIN + AS_PATH}


def with_attribute(flags: int, type_: int, value: bytes, context: Context = EXTERNAL) -> Judgment:
    """Return the judgment of an UPDATE with this attribute among the mandatory ones."""
    others = OTHERS.get(type_, MANDATORY)
    if not context.four_octet_as:
        others = others.replace(AS_PATH, OLD_AS_PATH)
    if context.internal and type_ != 5:
        others += LOCAL_PREF
    return judge(update(others + attribute(flags, type_, value), PREFIX), context)


def path(*segments: tuple[int, list[int]], width: int = 4) -> bytes:
    """Return the value of an AS_PATH."""
    return b"".join(
        bytes([kind, len(asns)]) + b"".join(asn.to_bytes(width, "big") for asn in asns)
        for kind, asns in segments
    )


def assert_withdrawn(found: Judgment, rule: str) -> None:
    assert (found.outcome, found.rules, found.withdrawn) == (WITHDRAW, (rule,), HERE)
    assert found.announced == frozenset()


def assert_discarded(found: Judgment, rule: str, type_: int) -> None:
    assert (found.outcome, found.rules, found.announced) == (DISCARD, (rule,), HERE)
    assert found.value(type_) is None


# --- flags (RFC 7606 3 c) ------------------------------------------------------------------------------

FLAGS = {
    1: ("origin", 0x40, b"\0", EXTERNAL),
    2: ("as_path", 0x40, path((2, [65001])), EXTERNAL),
    3: ("next_hop", 0x40, bytes([192, 0, 2, 1]), EXTERNAL),
    4: ("multi_exit_disc", 0x80, bytes(4), EXTERNAL),
    5: ("local_pref", 0x40, bytes(4), INTERNAL),
    8: ("communities", 0xC0, bytes(4), EXTERNAL),
    9: ("originator_id", 0x80, bytes(4), INTERNAL),
    10: ("cluster_list", 0x80, bytes(4), INTERNAL),
    16: ("extended_communities", 0xC0, bytes(8), EXTERNAL),
    17: ("as4_path", 0xC0, path((2, [65001])), OLD),
    18: ("as4_aggregator", 0xC0, bytes.fromhex("0000fde9 c0000201"), OLD),
    25: ("ipv6_extended_communities", 0xC0, bytes(20), EXTERNAL),
    32: ("large_communities", 0xC0, bytes(12), EXTERNAL),
    35: ("only_to_customer", 0xC0, bytes.fromhex("0000fde9"), EXTERNAL),
}


@pytest.mark.parametrize("type_", FLAGS)
@pytest.mark.parametrize("change", [0x80, 0x40, 0xC0])
def test_wrong_flags(type_: int, change: int) -> None:
    """RFC 7606 3 c: treat-as-withdraw unless the attribute's own specification has it otherwise."""
    name, flags, value, context = FLAGS[type_]
    assert with_attribute(flags, type_, value, context).outcome == OK
    assert_withdrawn(with_attribute(flags ^ change, type_, value, context), f"{name}-flags")


@pytest.mark.parametrize("flags", [0x00, 0x80, 0xC0])
def test_wrong_flags_of_atomic_aggregate(flags: int) -> None:
    """RFC 7606 3 f: what was a reset is a discard here, and for AGGREGATOR."""
    assert_discarded(with_attribute(flags, 6, b""), "atomic_aggregate-flags", 6)


@pytest.mark.parametrize("flags", [0x00, 0x40, 0x80])
def test_wrong_flags_of_aggregator(flags: int) -> None:
    found = with_attribute(flags, 7, bytes.fromhex("0000fde9 c0000201"))
    assert_discarded(found, "aggregator-flags", 7)


# --- ORIGIN, AS_PATH, NEXT_HOP ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 2])
def test_origin_length(length: int) -> None:
    """RFC 7606 7.1."""
    assert_withdrawn(with_attribute(0x40, 1, bytes(length)), "origin-length")


@pytest.mark.parametrize("value", [3, 255])
def test_origin_value(value: int) -> None:
    """RFC 7606 7.1; 3/6 where it resets (RFC 4271 6.3)."""
    assert_withdrawn(with_attribute(0x40, 1, bytes([value])), "origin-value")


@pytest.mark.parametrize("value", [0, 1, 2])
def test_origins(value: int) -> None:
    assert with_attribute(0x40, 1, bytes([value])).value(1) == bytes([value])


@pytest.mark.parametrize(
    "value",
    [
        path((5, [65001])),  # unknown segment type
        path((0, [65001])),
        path((2, [65001]))[:-1],  # overrun
        path((2, [65001])) + b"\2",  # a single octet left
        path((2, [])),  # no AS in the segment
        path((2, [65001]), (2, [])),
    ],
)
@pytest.mark.parametrize("context", [EXTERNAL, INTERNAL])
def test_as_path_structure(value: bytes, context: Context) -> None:
    """RFC 7606 7.2."""
    assert_withdrawn(with_attribute(0x40, 2, value, context), "as_path-malformed")


def test_as_path_structure_by_width() -> None:
    """RFC 6793 4.1: the width of an AS number is that of the session."""
    assert_withdrawn(with_attribute(0x40, 2, path((2, [65001]), width=2)), "as_path-malformed")
    assert_withdrawn(with_attribute(0x40, 2, path((2, [65001])), OLD), "as_path-malformed")
    found = with_attribute(0x40, 2, path((2, [65001]), width=2), OLD)
    assert found.value(2) == path((2, [65001]))


def test_an_empty_as_path() -> None:
    """RFC 7606 4: AS_PATH may be of length zero; from an internal peer it is usual."""
    assert with_attribute(0x40, 2, b"", INTERNAL).value(2) == b""


@pytest.mark.parametrize("value", [path((2, [65002])), path((1, [65001])), b""])
def test_the_first_as_of_an_external_peer(value: bytes) -> None:
    """RFC 7606 7.2, RFC 4271 6.3: where the check is on (RFC 7947 2.2.2.2)."""
    context = Context(families=BOTH, first_as=True, as_sets=True, peer_as=65001)
    assert_withdrawn(with_attribute(0x40, 2, value, context), "as_path-first")
    assert with_attribute(0x40, 2, value, SETS).outcome == OK
    assert with_attribute(0x40, 2, path((2, [65001, 65002])), CHECKED).outcome == OK


@pytest.mark.parametrize("asns", [[0], [65001, 0, 65002]])
@pytest.mark.parametrize("context", [EXTERNAL, INTERNAL])
def test_as_0_in_as_path(asns: list[int], context: Context) -> None:
    """RFC 7607 2: the AS_PATH is malformed."""
    assert_withdrawn(with_attribute(0x40, 2, path((2, asns)), context), "as_path-zero")


@pytest.mark.parametrize("kind", [1, 4])
@pytest.mark.parametrize("context", [EXTERNAL, INTERNAL, MEMBER])
def test_as_sets_are_refused(kind: int, context: Context) -> None:
    """RFC 9774 3: from internal peers too, by default."""
    found = with_attribute(0x40, 2, path((3, [65010]), (kind, [65001, 65002])), context)
    assert_withdrawn(found, "as_path-set")


def test_as_sets_by_option() -> None:
    """RFC 9774 3: "unless explicitly configured otherwise"."""
    value = path((2, [65001]), (1, [65002, 65003]))
    assert with_attribute(0x40, 2, value, SETS).value(2) == value


@pytest.mark.parametrize("kind", [3, 4])
def test_confederation_segments_from_outside(kind: int) -> None:
    """RFC 5065 5."""
    found = with_attribute(0x40, 2, path((2, [65001]), (kind, [65002])), SETS)
    assert_withdrawn(found, "as_path-confederation")


@pytest.mark.parametrize("value", [b"", path((2, [65001])), path((4, [65001]))])
def test_a_member_as_begins_with_a_confederation_sequence(value: bytes) -> None:
    """RFC 5065 5."""
    context = Context(confederation=True, families=BOTH, as_sets=True)
    assert_withdrawn(with_attribute(0x40, 2, value, context), "as_path-confederation")
    assert with_attribute(0x40, 2, path((3, [65010]), (2, [65001])), context).outcome == OK


def test_confederation_segments_from_an_internal_peer() -> None:
    """RFC 5065 3: both are known segment types."""
    value = path((3, [65010]), (4, [65011, 65012]), (2, [65001]))
    context = Context(internal=True, families=BOTH, as_sets=True)
    assert with_attribute(0x40, 2, value, context).value(2) == value


@pytest.mark.parametrize("length", [0, 3, 5, 16])
def test_next_hop_length(length: int) -> None:
    """RFC 7606 7.3."""
    assert_withdrawn(with_attribute(0x40, 3, bytes(length)), "next_hop-length")


@pytest.mark.parametrize("address", ["00000000", "00000001", "7f000001", "e0000001", "ef000001", "ffffffff"])
def test_next_hop_is_no_host(address: str) -> None:
    """RFC 4271 6.3 with RFC 7606 3 e."""
    assert_withdrawn(with_attribute(0x40, 3, bytes.fromhex(address)), "next_hop-value")


# --- the optional and discretionary ones -----------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 3, 8])
def test_med_length(length: int) -> None:
    """RFC 7606 7.4."""
    assert_withdrawn(with_attribute(0x80, 4, bytes(length)), "multi_exit_disc-length")


@pytest.mark.parametrize(
    ("flags", "length"),
    [(0x40, 4), (0x40, 0), (0x40, 3), (0xC0, 4)],
    ids=["good", "empty", "short", "wrong flags"],
)
def test_local_pref_from_outside(flags: int, length: int) -> None:
    """RFC 7606 7.5: discarded, whatever else is wrong with it."""
    assert_discarded(with_attribute(flags, 5, bytes(length)), "local_pref-external", 5)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_local_pref_length(length: int) -> None:
    """RFC 7606 7.5: from an internal peer."""
    assert_withdrawn(with_attribute(0x40, 5, bytes(length), INTERNAL), "local_pref-length")


def test_local_pref_within_a_confederation() -> None:
    """RFC 5065 5.2: it may be sent between member ASes, and counts."""
    others = ORIGIN + attribute(0x40, 2, path((3, [65010]))) + NEXT_HOP
    found = judge(update(others + LOCAL_PREF, PREFIX), MEMBER)
    assert (found.outcome, found.value(5)) == (OK, b"\0\0\0\x64")


@pytest.mark.parametrize("context", [EXTERNAL, INTERNAL])
def test_atomic_aggregate_length(context: Context) -> None:
    """RFC 7606 7.6."""
    assert_discarded(with_attribute(0x40, 6, b"?", context), "atomic_aggregate-length", 6)
    assert with_attribute(0x40, 6, b"", context).value(6) == b""


@pytest.mark.parametrize(("context", "good", "bad"), [(EXTERNAL, 8, 6), (OLD, 6, 8), (EXTERNAL, 8, 0)])
def test_aggregator_length(context: Context, good: int, bad: int) -> None:
    """RFC 7606 7.7, by the session's AS width."""
    assert_discarded(with_attribute(0xC0, 7, b"\1" * bad, context), "aggregator-length", 7)
    found = with_attribute(0xC0, 7, b"\1" * good, context)
    assert found.value(7) is not None and len(found.value(7) or b"") == 8


@pytest.mark.parametrize(("context", "value"), [(EXTERNAL, "00000000 c0000201"), (OLD, "0000 c0000201")])
def test_as_0_in_aggregator(context: Context, value: str) -> None:
    """RFC 7607 2."""
    assert_discarded(with_attribute(0xC0, 7, bytes.fromhex(value), context), "aggregator-zero", 7)


@pytest.mark.parametrize(
    ("type_", "name", "unit"),
    [
        (8, "communities", 4),
        (16, "extended_communities", 8),
        (25, "ipv6_extended_communities", 20),
        (32, "large_communities", 12),
    ],
)
def test_lengths_of_communities(type_: int, name: str, unit: int) -> None:
    """RFC 7606 7.8, 7.14, 7.15, RFC 8092 6: a non-zero multiple."""
    for length in (0, 1, unit - 1, unit + 1, 2 * unit - 1):
        assert_withdrawn(with_attribute(0xC0, type_, bytes(length)), f"{name}-length")
    value = bytes(range(2 * unit))
    assert with_attribute(0xC0, type_, value).value(type_) == value


@pytest.mark.parametrize(("type_", "unit"), [(16, 8), (25, 20)])
@pytest.mark.parametrize("octet", [0x3F, 0x40, 0xFF])
def test_unknown_extended_communities_are_no_fault(type_: int, unit: int, octet: int) -> None:
    """RFC 7606 7.14 and 7.15: an unrecognized type or sub-type is not malformed."""
    value = bytes([octet]) * unit
    found = with_attribute(0xC0, type_, value)
    assert (found.outcome, found.value(type_)) == (OK, value)


def test_large_communities_are_said_once() -> None:
    """RFC 8092 3 and 6: duplicates are removed silently."""
    one, two = bytes(12), bytes(range(12))
    found = with_attribute(0xC0, 32, one + two + one)
    assert (found.outcome, found.value(32)) == (OK, one + two)


@pytest.mark.parametrize("administrator", [0, 65535, 0xFFFFFFFF])
def test_any_global_administrator_is_accepted(administrator: int) -> None:
    """RFC 8092 6: reserved or unallocated numbers are no fault."""
    value = administrator.to_bytes(4, "big") + bytes(8)
    found = with_attribute(0xC0, 32, value)
    assert (found.outcome, found.value(32)) == (OK, value)


def test_reserved_communities_pass() -> None:
    """RFC 1997: values of 0xFFFF0000 and above that nobody knows are kept."""
    value = bytes.fromhex("ffff1234 00000001")
    found = with_attribute(0xC0, 8, value)
    assert (found.outcome, found.value(8)) == (OK, value)


@pytest.mark.parametrize(("type_", "name"), [(9, "originator_id"), (10, "cluster_list")])
@pytest.mark.parametrize("context", [EXTERNAL, MEMBER])
@pytest.mark.parametrize(("flags", "length"), [(0x80, 4), (0x80, 5), (0xC0, 4)])
def test_reflection_attributes_from_outside(
    type_: int, name: str, context: Context, flags: int, length: int
) -> None:
    """RFC 7606 7.9 and 7.10; a confederation's other members count as outside here."""
    others = MANDATORY
    if context.confederation:
        others = ORIGIN + attribute(0x40, 2, path((3, [65010]))) + NEXT_HOP
    found = judge(update(others + attribute(flags, type_, bytes(length)), PREFIX), context)
    assert_discarded(found, f"{name}-external", type_)


@pytest.mark.parametrize("length", [0, 3, 5, 8])
def test_originator_id_length(length: int) -> None:
    """RFC 7606 7.9: from an internal peer."""
    assert_withdrawn(with_attribute(0x80, 9, bytes(length), INTERNAL), "originator_id-length")


@pytest.mark.parametrize("length", [0, 3, 6])
def test_cluster_list_length(length: int) -> None:
    """RFC 7606 7.10: from an internal peer."""
    assert_withdrawn(with_attribute(0x80, 10, bytes(length), INTERNAL), "cluster_list-length")
    assert with_attribute(0x80, 10, bytes(8), INTERNAL).value(10) == bytes(8)


@pytest.mark.parametrize("length", [0, 3, 8])
@pytest.mark.parametrize("context", [EXTERNAL, INTERNAL])
def test_only_to_customer_length(length: int, context: Context) -> None:
    """RFC 9234 5."""
    assert_withdrawn(with_attribute(0xC0, 35, bytes(length), context), "only_to_customer-length")


def test_only_to_customer_is_kept() -> None:
    """RFC 9234 5: an AS number, transitive; once set it stays."""
    found = with_attribute(0xC0, 35, bytes.fromhex("0000fde9"))
    assert (found.outcome, found.attributes[-1]) == (OK, (0xC0, 35, bytes.fromhex("0000fde9")))


# --- AIGP (RFC 7311) -------------------------------------------------------------------------------------

AIGP = bytes.fromhex("01 000b 0000000000000005")


@pytest.mark.parametrize(
    "value",
    [
        "01 0002",  # shorter than type and length
        "01 000a 00000000000005",  # not 11
        "01 000c 000000000000000500",
        "01 000b 00000000000005",  # overrun
        "01 000b ffffffffffffffff",  # 3.2: beyond what can be
        "01 00",
    ],
)
def test_malformed_aigp(value: str) -> None:
    """RFC 7311 3.2: discarded, against RFC 7606 3 c."""
    assert_discarded(with_attribute(0x80, 26, bytes.fromhex(value), METRIC), "aigp-malformed", 26)


@pytest.mark.parametrize("flags", [0x40, 0xC0])
def test_transitive_aigp(flags: int) -> None:
    """RFC 7311 3.2: with the Transitive bit it is malformed, and discarded."""
    assert_discarded(with_attribute(flags, 26, AIGP, METRIC), "aigp-flags", 26)


@pytest.mark.parametrize("more", ["", "01 000b 0000000000000007", "09 0004 ff", "01 000b ffffffffffffffff"])
def test_further_tlvs_of_aigp(more: str) -> None:
    """RFC 7311 3 and 3.2: unknown and repeated ones are no fault, and pass on unchanged."""
    value = AIGP + bytes.fromhex(more)
    found = with_attribute(0x80, 26, value, METRIC)
    assert (found.outcome, found.value(26)) == (OK, value)


@pytest.mark.parametrize("value", [AIGP, b"?"])
def test_aigp_where_it_is_not_enabled(value: bytes) -> None:
    """RFC 7311 3.3: treated as an unknown non-transitive attribute, whatever is in it."""
    assert_discarded(with_attribute(0x80, 26, value), "aigp-disabled", 26)


# --- four-octet AS numbers (RFC 6793) --------------------------------------------------------------------


def old(as_path: bytes, *others: bytes) -> Judgment:
    """Return the judgment of an UPDATE from an old speaker with this AS_PATH."""
    body = update(ORIGIN + attribute(0x40, 2, as_path) + NEXT_HOP + b"".join(others), PREFIX)
    return judge(body, OLD)


TRANS = 23456


def test_as4_path_is_merged() -> None:
    """RFC 6793 4.2.3: what stands before goes before."""
    found = old(path((2, [1, 2, TRANS, TRANS]), width=2), attribute(0xC0, 17, path((2, [70000, 80000]))))
    assert (found.outcome, found.value(17)) == (OK, None)
    assert found.value(2) == path((2, [1, 2, 70000, 80000]))


def test_a_longer_as4_path_is_ignored() -> None:
    """RFC 6793 4.2.3."""
    found = old(path((2, [1, TRANS]), width=2), attribute(0xC0, 17, path((2, [1, 2, 70000]))))
    assert (found.outcome, found.value(2), found.value(17)) == (OK, path((2, [1, TRANS])), None)


def test_a_leading_confederation_segment_survives_merging() -> None:
    """RFC 6793 4.2.3."""
    context = Context(confederation=True, families=BOTH, four_octet_as=False)
    as_path = attribute(0x40, 2, path((3, [65010]), (2, [1, TRANS]), width=2))
    as4 = attribute(0xC0, 17, path((2, [70000])))
    found = judge(update(ORIGIN + as_path + NEXT_HOP + as4, PREFIX), context)
    assert found.value(2) == path((3, [65010]), (2, [1, 70000]))


def test_aggregators_are_merged() -> None:
    """RFC 6793 4.2.3: AS_TRANS in AGGREGATOR says that AS4_AGGREGATOR counts."""
    found = old(
        path((2, [1, TRANS]), width=2),
        attribute(0xC0, 7, TRANS.to_bytes(2, "big") + bytes([192, 0, 2, 1])),
        attribute(0xC0, 17, path((2, [70000]))),
        attribute(0xC0, 18, (70000).to_bytes(4, "big") + bytes([192, 0, 2, 2])),
    )
    assert (found.outcome, found.value(2)) == (OK, path((2, [1, 70000])))
    assert found.value(7) == (70000).to_bytes(4, "big") + bytes([192, 0, 2, 2])


def test_another_aggregator_takes_both_as4_attributes_out() -> None:
    """RFC 6793 4.2.3: an old speaker has aggregated since."""
    found = old(
        path((2, [1, TRANS]), width=2),
        attribute(0xC0, 7, (65001).to_bytes(2, "big") + bytes([192, 0, 2, 1])),
        attribute(0xC0, 17, path((2, [70000]))),
        attribute(0xC0, 18, (70000).to_bytes(4, "big") + bytes([192, 0, 2, 2])),
    )
    assert (found.outcome, found.value(2)) == (OK, path((2, [1, TRANS])))
    assert found.value(7) == (65001).to_bytes(4, "big") + bytes([192, 0, 2, 1])


def test_a_lone_as4_aggregator_is_ignored() -> None:
    """RFC 6793 4.2.3 does not say; there is nothing for it to complete."""
    found = old(
        path((2, [1]), width=2), attribute(0xC0, 18, (70000).to_bytes(4, "big") + bytes([192, 0, 2, 2]))
    )
    assert (found.outcome, found.value(7), found.value(18)) == (OK, None, None)


@pytest.mark.parametrize(
    "value",
    [b"", path((2, [70000]))[:-1], path((2, [])), path((5, [70000])), path((2, [70000])) + b"\2\2"],
    ids=["empty", "odd", "no AS", "unknown type", "overrun"],
)
def test_malformed_as4_path(value: bytes) -> None:
    """RFC 6793 6: discarded; the route stays, with AS_TRANS in its path."""
    found = old(path((2, [1, TRANS]), width=2), attribute(0xC0, 17, value))
    assert_discarded(found, "as4_path-malformed", 17)
    assert found.value(2) == path((2, [1, TRANS]))


def test_as_0_in_as4_path() -> None:
    """RFC 7607 2."""
    found = old(path((2, [1, TRANS]), width=2), attribute(0xC0, 17, path((2, [0]))))
    assert_discarded(found, "as4_path-zero", 17)


def test_confederation_segments_in_as4_path() -> None:
    """RFC 6793 3 and 6: only they are dropped."""
    found = old(path((2, [1, TRANS]), width=2), attribute(0xC0, 17, path((3, [65010]), (2, [70000]))))
    assert (found.outcome, found.rules) == (DISCARD, ("as4_path-confederation",))
    assert found.value(2) == path((2, [1, 70000]))


@pytest.mark.parametrize("kind", [1, 4])
def test_sets_in_as4_path(kind: int) -> None:
    """RFC 9774 3 names AS4_PATH too, and is newer than RFC 6793 6."""
    as4 = attribute(0xC0, 17, path((kind, [70000])))
    assert_withdrawn(old(path((2, [1, TRANS]), width=2), as4), "as_path-set")
    if kind == 1:
        body = update(ORIGIN + attribute(0x40, 2, path((2, [1, TRANS]), width=2)) + NEXT_HOP + as4, PREFIX)
        assert judge(body, OLD_SETS).outcome == OK


@pytest.mark.parametrize("length", [0, 6, 7, 9])
def test_as4_aggregator_length(length: int) -> None:
    """RFC 6793 6."""
    found = judge(update(OLD_MANDATORY + attribute(0xC0, 18, b"\1" * length), PREFIX), OLD)
    assert_discarded(found, "as4_aggregator-length", 18)


def test_as_0_in_as4_aggregator() -> None:
    """RFC 7607 2."""
    found = judge(update(OLD_MANDATORY + attribute(0xC0, 18, bytes(4) + bytes([192, 0, 2, 1])), PREFIX), OLD)
    assert_discarded(found, "as4_aggregator-zero", 18)


@pytest.mark.parametrize(("type_", "name"), [(17, "as4_path"), (18, "as4_aggregator")])
@pytest.mark.parametrize("value", [path((2, [70000])), path((1, [70000])), b"?"], ids=["good", "set", "bad"])
@pytest.mark.parametrize("flags", [0xC0, 0x40])
def test_as4_attributes_among_new_speakers(type_: int, name: str, value: bytes, flags: int) -> None:
    """RFC 6793 4.1 and 6: discarded, before anything in them is judged."""
    assert_discarded(with_attribute(flags, type_, value), f"{name}-new", type_)


def test_a_merged_segment_holds_no_more_than_255() -> None:
    """RFC 4271 4.3: the count of a segment is one octet."""
    found = old(path((2, [1] * 255), (2, [TRANS]), width=2), attribute(0xC0, 17, path((2, [70000]))))
    value = found.value(2) or b""
    assert value[:2] == bytes([2, 255]) and value[-6:] == path((2, [70000]))
