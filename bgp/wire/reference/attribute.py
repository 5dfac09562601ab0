"""The path attributes as a table, and the judgment of one attribute by its row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bgp import errors
from bgp.errors import Rule
from bgp.iana import AttributeFlag, AttributeType, SegmentType
from bgp.wire.context import Context
from bgp.wire.grammar import update as grammar
from bgp.wire.reference.verdict import Segments

WELL_KNOWN = int(AttributeFlag.TRANSITIVE)
NON_TRANSITIVE = int(AttributeFlag.OPTIONAL)
TRANSITIVE = int(AttributeFlag.OPTIONAL | AttributeFlag.TRANSITIVE)
_CATEGORY = TRANSITIVE  # the mask of the two bits that tell an attribute's category

CONFEDERATION = (SegmentType.AS_CONFED_SEQUENCE, SegmentType.AS_CONFED_SET)
SETS = (SegmentType.AS_SET, SegmentType.AS_CONFED_SET)
_AIGP_TLV = 1


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as met: its offset in the message, its flags and type, all its octets, its value."""

    offset: int
    flags: int
    type: int
    octets: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute: its Optional and Transitive bits, and the rules that it can break.

    `length` is broken where the octets do not fit the grammar, `value` where they do and yet mean nothing
    allowed; `misplaced` names the rule by which a session of some kind discards the attribute unread.
    """

    category: int
    flags: Rule
    length: Rule
    value: Rule | None = None
    misplaced: Callable[[Context], Rule | None] = lambda context: None


def _from_outside(rule: Rule) -> Callable[[Context], Rule | None]:
    # RFC 7606 7.9, 7.10: "external neighbor", which another member AS of a confederation is too.
    return lambda context: None if context.internal else rule


def _among_new_speakers(rule: Rule) -> Callable[[Context], Rule | None]:
    # RFC 6793 section 4.1: "MUST NOT be carried in an UPDATE message between NEW BGP speakers".
    return lambda context: rule if context.four_octet_as else None


def _local_pref(context: Context) -> Rule | None:
    # RFC 7606 7.5; RFC 5065 section 5.2 lets it pass between members of a confederation.
    return None if context.internal or context.confederation else errors.LOCAL_PREF_EXTERNAL


def _aigp(context: Context) -> Rule | None:
    return None if context.aigp else errors.AIGP_DISABLED


T, E = AttributeType, errors

ATTRIBUTES: dict[int, Row] = {
    T.ORIGIN: Row(WELL_KNOWN, E.ORIGIN_FLAGS, E.ORIGIN_LENGTH, E.ORIGIN_VALUE),
    T.AS_PATH: Row(WELL_KNOWN, E.AS_PATH_FLAGS, E.AS_PATH_MALFORMED),
    T.NEXT_HOP: Row(WELL_KNOWN, E.NEXT_HOP_FLAGS, E.NEXT_HOP_LENGTH, E.NEXT_HOP_VALUE),
    T.MULTI_EXIT_DISC: Row(NON_TRANSITIVE, E.MED_FLAGS, E.MED_LENGTH),
    T.LOCAL_PREF: Row(WELL_KNOWN, E.LOCAL_PREF_FLAGS, E.LOCAL_PREF_LENGTH, misplaced=_local_pref),
    T.ATOMIC_AGGREGATE: Row(WELL_KNOWN, E.ATOMIC_AGGREGATE_FLAGS, E.ATOMIC_AGGREGATE_LENGTH),
    T.AGGREGATOR: Row(TRANSITIVE, E.AGGREGATOR_FLAGS, E.AGGREGATOR_LENGTH, E.AGGREGATOR_ZERO),
    T.COMMUNITIES: Row(TRANSITIVE, E.COMMUNITIES_FLAGS, E.COMMUNITIES_LENGTH),
    T.ORIGINATOR_ID: Row(
        NON_TRANSITIVE,
        E.ORIGINATOR_ID_FLAGS,
        E.ORIGINATOR_ID_LENGTH,
        misplaced=_from_outside(E.ORIGINATOR_ID_EXTERNAL),
    ),
    T.CLUSTER_LIST: Row(
        NON_TRANSITIVE,
        E.CLUSTER_LIST_FLAGS,
        E.CLUSTER_LIST_LENGTH,
        misplaced=_from_outside(E.CLUSTER_LIST_EXTERNAL),
    ),
    T.MP_REACH_NLRI: Row(NON_TRANSITIVE, E.MP_FLAGS, E.MP_LENGTH),
    T.MP_UNREACH_NLRI: Row(NON_TRANSITIVE, E.MP_FLAGS, E.MP_LENGTH),
    T.EXTENDED_COMMUNITIES: Row(TRANSITIVE, E.EXTENDED_COMMUNITIES_FLAGS, E.EXTENDED_COMMUNITIES_LENGTH),
    T.AS4_PATH: Row(
        TRANSITIVE,
        E.AS4_PATH_FLAGS,
        E.AS4_PATH_MALFORMED,
        misplaced=_among_new_speakers(E.AS4_PATH_FOUR_OCTET),
    ),
    T.AS4_AGGREGATOR: Row(
        TRANSITIVE,
        E.AS4_AGGREGATOR_FLAGS,
        E.AS4_AGGREGATOR_LENGTH,
        E.AS4_AGGREGATOR_ZERO,
        misplaced=_among_new_speakers(E.AS4_AGGREGATOR_FOUR_OCTET),
    ),
    T.IPV6_EXTENDED_COMMUNITIES: Row(
        TRANSITIVE, E.IPV6_EXTENDED_COMMUNITIES_FLAGS, E.IPV6_EXTENDED_COMMUNITIES_LENGTH
    ),
    T.AIGP: Row(NON_TRANSITIVE, E.AIGP_FLAGS, E.AIGP_MALFORMED, E.AIGP_MALFORMED, misplaced=_aigp),
    T.LARGE_COMMUNITIES: Row(TRANSITIVE, E.LARGE_COMMUNITIES_FLAGS, E.LARGE_COMMUNITIES_LENGTH),
    T.ONLY_TO_CUSTOMER: Row(TRANSITIVE, E.ONLY_TO_CUSTOMER_FLAGS, E.ONLY_TO_CUSTOMER_LENGTH),
}


def category(flags: int) -> int:
    """Return the Optional and Transitive bits of `flags`, the only ones that RFC 7606 3 c checks."""
    return flags & _CATEGORY


def judge(attribute: Attribute, context: Context) -> Rule | None:
    """Return the first rule that a recognized attribute breaks: place, then flags, then length, then value.

    MP_REACH_NLRI and MP_UNREACH_NLRI need the families too, and have a judge of their own.
    """
    row = ATTRIBUTES[attribute.type]
    misplaced = row.misplaced(context)
    if misplaced:
        return misplaced
    if category(attribute.flags) != row.category:
        return row.flags
    try:
        value = parse(attribute, context)
    except grammar.BadValue:
        return row.value or row.length
    except grammar.Malformed:
        return row.length
    match attribute.type:
        case T.AS_PATH:
            return _judge_as_path(segments(value), context)
        case T.AS4_PATH:
            return _judge_as4_path(segments(value), context)
        case T.AGGREGATOR | T.AS4_AGGREGATOR:
            return row.value if value.asn == 0 else None  # RFC 7607 section 2
        case T.AIGP:
            return row.value if metric(value) == 0xFFFFFFFFFFFFFFFF else None  # RFC 7311 section 3.2
    return None


def parse(attribute: Attribute, context: Context) -> Any:
    """Return the attribute's value as the grammar takes it apart."""
    return grammar.values(4 if context.four_octet_as else 2)[T(attribute.type)].parse(attribute.value)


def segments(parsed: Iterable[Any]) -> Segments:
    return tuple((segment.type, tuple(segment.asns)) for segment in parsed)


def metric(elements: Iterable[Any]) -> int | None:
    """Return the value of the first AIGP TLV, the one that counts (RFC 7311 section 3)."""
    for element in elements:
        if element.type == _AIGP_TLV:
            return int(grammar.AIGP_METRIC.parse(element.value))
    return None


def _judge_as_path(segments: Segments, context: Context) -> Rule | None:
    types = [type for type, _ in segments]
    if not context.as_sets and any(type in SETS for type in types):
        return E.AS_PATH_SET  # RFC 9774 section 3
    if context.confederation:
        # RFC 5065 section 5: from another member AS without an AS_CONFED_SEQUENCE first.
        if types[:1] != [SegmentType.AS_CONFED_SEQUENCE]:
            return E.AS_PATH_CONFEDERATION
    elif not context.internal and any(type in CONFEDERATION for type in types):
        return E.AS_PATH_CONFEDERATION
    if any(0 in asns for _, asns in segments):
        return E.AS_PATH_ZERO  # RFC 7607 section 2
    return None


def _judge_as4_path(segments: Segments, context: Context) -> Rule | None:
    if not context.as_sets and any(type in SETS for type, _ in segments):
        return E.AS_PATH_SET  # RFC 9774 section 3, newer and stronger than RFC 6793 section 6
    if any(0 in asns for _, asns in segments):
        return E.AS4_PATH_ZERO
    if any(type in CONFEDERATION for type, _ in segments):
        return E.AS4_PATH_CONFEDERATION
    return None
