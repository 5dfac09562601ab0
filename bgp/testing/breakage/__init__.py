"""Nearly valid UPDATEs: for each rule of `bgp.errors.RULES` about UPDATEs, a way to break just that rule.

A `Breaker` says on which sessions its rule can be broken, and changes a valid draft.  Broken singly on a
draft that announces routes, a rule is always the one that is found; broken together, the strongest wins.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random

from bgp import errors
from bgp.errors import Rule
from bgp.family import IPV4_UNICAST
from bgp.iana import AttributeType
from bgp.testing import generate
from bgp.testing.breakage import fields, values
from bgp.testing.breakage.place import Act
from bgp.testing.draft import Draft
from bgp.testing.generate import demands_first_as, is_external
from bgp.wire.context import Context

T = AttributeType

Applies = Callable[[Context], bool]


@dataclass(frozen=True, slots=True)
class Breaker:
    """How to break one rule: `act` changes a draft, on sessions to which the rule `applies`."""

    act: Act
    applies: Applies


# --- On which sessions a rule can be broken ---------------------------------------------------------------


def always(context: Context) -> bool:
    return True


def internal(context: Context) -> bool:
    return context.internal


def not_internal(context: Context) -> bool:
    return not context.internal


def external(context: Context) -> bool:
    return is_external(context)


def not_external(context: Context) -> bool:
    return not is_external(context)


def ipv4(context: Context) -> bool:
    return IPV4_UNICAST in context.families


def four_octet(context: Context) -> bool:
    return context.four_octet_as


def two_octet(context: Context) -> bool:
    return not context.four_octet_as


def no_sets(context: Context) -> bool:
    return not context.as_sets


def aigp(context: Context) -> bool:
    return context.aigp


def no_aigp(context: Context) -> bool:
    return not context.aigp


FOUR = (0, 1, 3, 5, 8)  # wrong lengths of what has four octets
_TABLE: list[tuple[Rule, Act, Applies]] = [
    (errors.ATTRIBUTE_LIST, fields.attribute_list, always),
    (errors.NETWORK_FIELD, fields.network_field, ipv4),
    (errors.MP_REPEATED, fields.mp_repeated, always),
    (errors.ATTRIBUTE_OVERRUN, fields.attribute_overrun, always),
    (errors.ATTRIBUTE_REPEATED, fields.attribute_repeated, always),
    (errors.UNRECOGNIZED_WELL_KNOWN, fields.unrecognized_well_known, always),
    (errors.MISSING, fields.missing, always),
    (errors.ORIGIN_FLAGS, values.flags(T.ORIGIN), always),
    (errors.ORIGIN_LENGTH, values.lengths(T.ORIGIN, (0, 2, 3)), always),
    (errors.ORIGIN_VALUE, values.one_of(T.ORIGIN, (b"\3", b"\xff")), always),
    (errors.AS_PATH_FLAGS, values.flags(T.AS_PATH), always),
    (errors.AS_PATH_MALFORMED, values.as_path_malformed, always),
    (errors.AS_PATH_SET, values.as_path_set, no_sets),
    (errors.AS_PATH_CONFEDERATION, values.as_path_confederation, not_internal),
    (errors.AS_PATH_ZERO, values.as_path_zero, always),
    (errors.AS_PATH_FIRST, values.as_path_first, demands_first_as),
    (errors.NEXT_HOP_FLAGS, values.flags(T.NEXT_HOP), always),
    (errors.NEXT_HOP_LENGTH, values.lengths(T.NEXT_HOP, (*FOUR, 16)), always),
    (errors.NEXT_HOP_VALUE, values.next_hop_value, always),
    (errors.MED_FLAGS, values.flags(T.MULTI_EXIT_DISC), always),
    (errors.MED_LENGTH, values.lengths(T.MULTI_EXIT_DISC, FOUR), always),
    (errors.LOCAL_PREF_EXTERNAL, values.present(T.LOCAL_PREF), external),
    (errors.LOCAL_PREF_FLAGS, values.flags(T.LOCAL_PREF), not_external),
    (errors.LOCAL_PREF_LENGTH, values.lengths(T.LOCAL_PREF, FOUR), not_external),
    (errors.ATOMIC_AGGREGATE_FLAGS, values.flags(T.ATOMIC_AGGREGATE), always),
    (errors.ATOMIC_AGGREGATE_LENGTH, values.lengths(T.ATOMIC_AGGREGATE, (1, 4)), always),
    (errors.AGGREGATOR_FLAGS, values.flags(T.AGGREGATOR), always),
    (errors.AGGREGATOR_LENGTH, values.aggregator_length, always),
    (errors.AGGREGATOR_ZERO, values.aggregator_zero, always),
    (errors.COMMUNITIES_FLAGS, values.flags(T.COMMUNITIES), always),
    (errors.COMMUNITIES_LENGTH, values.no_multiple(T.COMMUNITIES, 4), always),
    (errors.ORIGINATOR_ID_EXTERNAL, values.present(T.ORIGINATOR_ID), not_internal),
    (errors.ORIGINATOR_ID_FLAGS, values.flags(T.ORIGINATOR_ID), internal),
    (errors.ORIGINATOR_ID_LENGTH, values.lengths(T.ORIGINATOR_ID, FOUR), internal),
    (errors.CLUSTER_LIST_EXTERNAL, values.present(T.CLUSTER_LIST), not_internal),
    (errors.CLUSTER_LIST_FLAGS, values.flags(T.CLUSTER_LIST), internal),
    (errors.CLUSTER_LIST_LENGTH, values.no_multiple(T.CLUSTER_LIST, 4), internal),
    (errors.MP_FLAGS, fields.mp_flags, always),
    (errors.MP_LENGTH, fields.mp_length, always),
    (errors.MP_NEXT_HOP, fields.mp_next_hop, always),
    (errors.MP_NETWORK_FIELD, fields.mp_network_field, always),
    (errors.EXTENDED_COMMUNITIES_FLAGS, values.flags(T.EXTENDED_COMMUNITIES), always),
    (
        errors.EXTENDED_COMMUNITIES_LENGTH,
        values.no_multiple(T.EXTENDED_COMMUNITIES, 8),
        always,
    ),
    (errors.AS4_PATH_FOUR_OCTET, values.present(T.AS4_PATH), four_octet),
    (errors.AS4_PATH_FLAGS, values.flags(T.AS4_PATH), two_octet),
    (errors.AS4_PATH_MALFORMED, values.as4_path_malformed, two_octet),
    (errors.AS4_PATH_CONFEDERATION, values.as4_path_confederation, two_octet),
    (errors.AS4_PATH_ZERO, values.as4_path_zero, two_octet),
    (errors.AS4_AGGREGATOR_FOUR_OCTET, values.present(T.AS4_AGGREGATOR), four_octet),
    (errors.AS4_AGGREGATOR_FLAGS, values.flags(T.AS4_AGGREGATOR), two_octet),
    (errors.AS4_AGGREGATOR_LENGTH, values.lengths(T.AS4_AGGREGATOR, (0, 4, 6, 7, 9)), two_octet),
    (errors.AS4_AGGREGATOR_ZERO, values.one_of(T.AS4_AGGREGATOR, (b"\0\0\0\0\xc0\0\2\1",)), two_octet),
    (errors.IPV6_EXTENDED_COMMUNITIES_FLAGS, values.flags(T.IPV6_EXTENDED_COMMUNITIES), always),
    (
        errors.IPV6_EXTENDED_COMMUNITIES_LENGTH,
        values.no_multiple(T.IPV6_EXTENDED_COMMUNITIES, 20),
        always,
    ),
    (errors.AIGP_FLAGS, values.flags(T.AIGP), aigp),
    (errors.AIGP_MALFORMED, values.aigp_malformed, aigp),
    (errors.AIGP_DISABLED, values.present(T.AIGP), no_aigp),
    (errors.LARGE_COMMUNITIES_FLAGS, values.flags(T.LARGE_COMMUNITIES), always),
    (errors.LARGE_COMMUNITIES_LENGTH, values.no_multiple(T.LARGE_COMMUNITIES, 12), always),
    (errors.ONLY_TO_CUSTOMER_FLAGS, values.flags(T.ONLY_TO_CUSTOMER), always),
    (errors.ONLY_TO_CUSTOMER_LENGTH, values.lengths(T.ONLY_TO_CUSTOMER, FOUR), always),
]
BREAKERS: dict[str, Breaker] = {rule.name: Breaker(act, applies) for rule, act, applies in _TABLE}


def breakable(context: Context) -> list[str]:
    """Return the names of the rules that a peer can break on this session."""
    return [name for name, breaker in BREAKERS.items() if breaker.applies(context)]


def update(
    random: Random, context: Context, rules: Collection[str] = (), draft: Draft | None = None
) -> bytes:
    """Return the body of an UPDATE that breaks `rules`, or one to three drawn from those that it can.

    What is broken is `draft`, by default one that announces routes.
    """
    if not rules:
        rules = random.sample(breakable(context), random.choice((1, 1, 1, 2, 3)))
    if draft is None:
        draft = generate.draft(random, context, announcing=True)
    for rule in rules:
        BREAKERS[rule].act(random, draft, context)
    return draft.body()
