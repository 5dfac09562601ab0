"""What a session demands of each attribute: the rows of `bgp.wire.attributes` with their checks.

Some rules depend on the kind of peer and on what was negotiated, so the rows are made once for each kind
of session; an attribute is then judged by its row alone (RFC 4271 6.3, RFC 7606 section 7 and what came
after it).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from bgp import errors
from bgp.errors import Rule
from bgp.iana import AttributeType
from bgp.wire import aspath
from bgp.wire.attributes import ROWS
from bgp.wire.context import Context

_ORIGIN, _AS_PATH, _NEXT_HOP = AttributeType.ORIGIN, AttributeType.AS_PATH, AttributeType.NEXT_HOP
_AGGREGATOR = AttributeType.AGGREGATOR
_AS4_PATH, _AS4_AGGREGATOR = AttributeType.AS4_PATH, AttributeType.AS4_AGGREGATOR
MULTIPROTOCOL = (AttributeType.MP_REACH_NLRI, AttributeType.MP_UNREACH_NLRI)

Check = Callable[["Checks", bytes], Rule | None]


class SessionRow(NamedTuple):
    """A row of attributes.ROWS on this session.

    `flags` is -1 where the attribute never passes without a closer look; `keep` is False for what does
    not go into the canonical octets as it came.
    """

    flags: int
    size: int
    unit: int
    check: Check | None
    keep: bool


def _origin(checks: "Checks", value: bytes) -> Rule | None:
    return errors.ORIGIN_VALUE if value[0] > 2 else None


def _as_path(checks: "Checks", value: bytes) -> Rule | None:
    # One AS_SEQUENCE without a zero octet quartet needs no closer look; it is by far the commonest path.
    if checks.plain_paths and (
        not value
        or (len(value) > 2 and value[0] == 2 and len(value) == 2 + 4 * value[1] and b"\0\0\0\0" not in value)
    ):
        return None
    context = checks.context
    try:
        path = aspath.parse(value, 4 if context.four_octet_as else 2)
    except ValueError:
        return errors.AS_PATH_MALFORMED
    types = [segment.type for segment in path]
    if not context.as_sets and (1 in types or 4 in types):
        return errors.AS_PATH_SET
    if context.confederation:
        # RFC 5065 section 5: another member AS must put AS_CONFED_SEQUENCE first.
        if not types or types[0] != 3:
            return errors.AS_PATH_CONFEDERATION
    elif not context.internal and (3 in types or 4 in types):
        return errors.AS_PATH_CONFEDERATION
    if any(0 in segment.asns for segment in path):
        return errors.AS_PATH_ZERO
    if context.four_octet_as and not checks.first_as_fits(path):
        return errors.AS_PATH_FIRST
    return None


def _next_hop(checks: "Checks", value: bytes) -> Rule | None:
    first = value[0]
    if first in (0, 127) or 224 <= first <= 239 or value == b"\xff\xff\xff\xff":
        return errors.NEXT_HOP_VALUE
    return None


def _atomic_aggregate(checks: "Checks", value: bytes) -> Rule | None:
    return errors.ATOMIC_AGGREGATE_LENGTH if value else None


def _aggregator(checks: "Checks", value: bytes) -> Rule | None:
    width = 4 if checks.context.four_octet_as else 2
    if len(value) != width + 4:
        return errors.AGGREGATOR_LENGTH
    return None if any(value[:width]) else errors.AGGREGATOR_ZERO


def _as4_path(checks: "Checks", value: bytes) -> Rule | None:
    if len(value) < 6:
        return errors.AS4_PATH_MALFORMED
    try:
        path = aspath.parse(value)
    except ValueError:
        return errors.AS4_PATH_MALFORMED
    types = [segment.type for segment in path]
    if not checks.context.as_sets and (1 in types or 4 in types):
        return errors.AS_PATH_SET
    if any(0 in segment.asns for segment in path):
        return errors.AS4_PATH_ZERO
    return errors.AS4_PATH_CONFEDERATION if 3 in types or 4 in types else None


def _as4_aggregator(checks: "Checks", value: bytes) -> Rule | None:
    return None if any(value[:4]) else errors.AS4_AGGREGATOR_ZERO


def _aigp(checks: "Checks", value: bytes) -> Rule | None:
    """RFC 7311 section 3.2; TLVs of other types, and further AIGP TLVs, are no error."""
    position, end, first = 0, len(value), True
    if not value:
        return errors.AIGP_MALFORMED
    while position < end:
        if end - position < 3:
            return errors.AIGP_MALFORMED
        size = value[position + 1] << 8 | value[position + 2]
        if size < 3 or position + size > end:
            return errors.AIGP_MALFORMED
        if value[position] == 1:
            if size != 11 or (first and value[position + 3 : position + 11] == b"\xff" * 8):
                return errors.AIGP_MALFORMED
            first = False
        position += size
    return None


_CHECKS: dict[int, Check] = {
    _ORIGIN: _origin,
    _AS_PATH: _as_path,
    _NEXT_HOP: _next_hop,
    AttributeType.ATOMIC_AGGREGATE: _atomic_aggregate,
    _AGGREGATOR: _aggregator,
    _AS4_PATH: _as4_path,
    _AS4_AGGREGATOR: _as4_aggregator,
    AttributeType.AIGP: _aigp,
}

FLAGS_RULE = {type_: errors.RULES[f"{row.name.lower()}-flags"] for type_, row in ROWS.items()
               if type_ not in MULTIPROTOCOL}  # fmt: skip
SIZE_RULE = {type_: errors.RULES[f"{row.name.lower()}-length"] for type_, row in ROWS.items()
              if row.size or row.unit}  # fmt: skip


class Checks:
    """The rows of a kind of session by type (None: unknown), and what it has discarded in any case."""

    __slots__ = ("context", "discarded", "plain_paths", "rows")

    def __init__(self, context: Context) -> None:
        self.context = context
        # Whether an AS_PATH of one AS_SEQUENCE is fine whatever its numbers.
        demands_first_as = context.first_as and not context.internal
        self.plain_paths = context.four_octet_as and not context.confederation and not demands_first_as
        self.discarded = self._discards()
        self.rows: list[SessionRow | None] = [None] * 256
        for type_, row in ROWS.items():
            special = type_ in self.discarded or type_ in MULTIPROTOCOL
            keep = type_ not in (_NEXT_HOP, _AS4_PATH, _AS4_AGGREGATOR)
            if not context.four_octet_as and type_ in (_AS_PATH, _AGGREGATOR):
                keep = False
            self.rows[type_] = SessionRow(
                -1 if special else row.flags, row.size or -1, row.unit, _CHECKS.get(type_), keep
            )

    def _discards(self) -> dict[int, Rule]:
        """Return what this kind of session has discarded whatever its syntax (RFC 7606 7.5, 7.9, 7.10)."""
        context = self.context
        rules: dict[int, Rule] = {}
        if not context.internal:
            rules[AttributeType.ORIGINATOR_ID] = errors.ORIGINATOR_ID_EXTERNAL
            rules[AttributeType.CLUSTER_LIST] = errors.CLUSTER_LIST_EXTERNAL
            if not context.confederation:
                rules[AttributeType.LOCAL_PREF] = errors.LOCAL_PREF_EXTERNAL
        if context.four_octet_as:
            rules[_AS4_PATH] = errors.AS4_PATH_FOUR_OCTET
            rules[_AS4_AGGREGATOR] = errors.AS4_AGGREGATOR_FOUR_OCTET
        if not context.aigp:
            rules[AttributeType.AIGP] = errors.AIGP_DISABLED
        return rules

    def first_as_fits(self, path: aspath.AsPath) -> bool:
        """Whether `path` begins with the peer's AS where that is demanded (RFC 4271 section 6.3)."""
        context = self.context
        if not context.first_as or context.internal or context.confederation:
            return True
        return bool(path) and path[0].type == 2 and path[0].asns[0] == context.peer_as


@lru_cache(maxsize=256)
def checks_of(context: Context) -> Checks:
    """Return the rows of sessions with these properties: a thousand alike share them."""
    return Checks(context)
