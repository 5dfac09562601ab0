"""The form in which attributes are kept: the AS path put together, flags and lengths made regular."""

from collections.abc import Mapping
from typing import Any

from bgp.iana import AS_TRANS, AttributeFlag, AttributeType, SegmentType
from bgp.wire.context import Context
from bgp.wire.grammar import update as grammar
from bgp.wire.reference.attribute import (
    ATTRIBUTES,
    CONFEDERATION,
    TRANSITIVE,
    Attribute,
    metric,
    parse,
    segments,
)
from bgp.wire.reference.verdict import Segments, Values

T = AttributeType
_MAXIMUM_SEGMENT = 255  # its count is one octet (RFC 4271 section 4.3)
_PARTIAL = int(AttributeFlag.PARTIAL)
# What is told elsewhere (NEXT_HOP) or has gone into other attributes.
_LEFT_OUT = (T.NEXT_HOP, T.AS4_PATH, T.AS4_AGGREGATOR)


def count(path: Segments) -> int:
    """Count AS numbers as route selection does: a set is one (RFC 4271 9.1.2.2 a), confederations none
    (RFC 5065 5.3)."""
    total = 0
    for type, asns in path:
        if type == SegmentType.AS_SEQUENCE:
            total += len(asns)
        elif type == SegmentType.AS_SET:
            total += 1
    return total


def merge(as_path: Segments, as4_path: Segments) -> Segments:
    """Return the AS path information that AS_PATH and a usable AS4_PATH give (RFC 6793 section 4.2.3)."""
    wanted = count(as_path) - count(as4_path)
    if wanted < 0:
        return as_path  # "... less than ..., then the AS4_PATH attribute SHALL be ignored"
    leading: list[tuple[int, tuple[int, ...]]] = []
    for type, asns in as_path:
        if type in CONFEDERATION:
            # Prepended "if it is either the leading path segment or is adjacent to a path segment that
            # is prepended": all that stands before this one has been, or the loop had ended.
            leading.append((type, asns))
        elif wanted == 0:
            break
        elif type == SegmentType.AS_SET:
            leading.append((type, asns))
            wanted -= 1
        else:
            leading.append((type, asns[:wanted]))
            if len(asns) > wanted:
                break
            wanted -= len(asns)
    # Where a sequence meets a sequence they are one, if one segment can hold it.
    if leading and leading[-1][0] == as4_path[0][0] == SegmentType.AS_SEQUENCE:
        joined = leading[-1][1] + as4_path[0][1]
        if len(joined) <= _MAXIMUM_SEGMENT:
            return (*leading[:-1], (SegmentType.AS_SEQUENCE, joined), *as4_path[1:])
    return (*leading, *as4_path)


def values(kept: Mapping[int, Attribute], context: Context) -> Values:
    """Return the meaning of the attributes that were kept; ORIGIN may be missing only from what is not used.

    AS_PATH and AGGREGATOR are those of RFC 6793 section 4.2.3, from all four attributes.
    """

    def parsed(type: AttributeType, otherwise: Any = None) -> Any:
        return parse(kept[type], context) if type in kept else otherwise

    as_path = segments(parsed(T.AS_PATH, ()))
    # RFC 6793 section 6: these segments are dropped, and what remains is used, if anything does.
    as4_path = tuple(
        (type, asns) for type, asns in segments(parsed(T.AS4_PATH, ())) if type not in CONFEDERATION
    )
    aggregator, as4_aggregator = parsed(T.AGGREGATOR), parsed(T.AS4_AGGREGATOR)
    if aggregator and as4_aggregator and aggregator.asn != AS_TRANS:
        # "... the AS4_AGGREGATOR attribute and the AS4_PATH attribute SHALL be ignored"
        as4_path = ()
    elif aggregator and as4_aggregator:
        aggregator = as4_aggregator
    if as4_path:
        as_path = merge(as_path, as4_path)

    return Values(
        origin=parsed(T.ORIGIN),
        as_path=as_path,
        as_path_length=count(as_path),
        med=parsed(T.MULTI_EXIT_DISC),
        local_pref=parsed(T.LOCAL_PREF),
        originator_id=parsed(T.ORIGINATOR_ID),
        cluster_list=tuple(parsed(T.CLUSTER_LIST, ())),
        communities=tuple(parsed(T.COMMUNITIES, ())),
        extended_communities=tuple(parsed(T.EXTENDED_COMMUNITIES, ())),
        ipv6_extended_communities=tuple(parsed(T.IPV6_EXTENDED_COMMUNITIES, ())),
        # RFC 8092 section 3: a receiver removes duplicates silently.
        large_communities=tuple(
            dict.fromkeys(
                (large.global_administrator, large.local_data_1, large.local_data_2)
                for large in parsed(T.LARGE_COMMUNITIES, ())
            )
        ),
        aggregator=(aggregator.asn, aggregator.address) if aggregator else None,
        atomic_aggregate=T.ATOMIC_AGGREGATE in kept,
        aigp=metric(parsed(T.AIGP, ())),
        only_to_customer=parsed(T.ONLY_TO_CUSTOMER),
    )


def octets(kept: Mapping[int, Attribute], values: Values) -> bytes:
    """Return the attributes as they are kept and go out again, in ascending type order."""
    return b"".join(
        _attribute(attribute, _value(attribute, values))
        for type, attribute in sorted(kept.items())
        if type not in _LEFT_OUT
    )


def _value(attribute: Attribute, values: Values) -> bytes:
    built: bytes
    match attribute.type:
        case T.AS_PATH:
            built = grammar.as_path(4).build([{"type": type, "asns": asns} for type, asns in values.as_path])
        case T.AGGREGATOR:
            assert values.aggregator is not None
            asn, address = values.aggregator
            built = grammar.aggregator(4).build({"asn": asn, "address": address})
        case T.LARGE_COMMUNITIES:
            built = b"".join(
                part.to_bytes(4, "big") for community in values.large_communities for part in community
            )
        case _:
            built = attribute.value
    return built


def _attribute(attribute: Attribute, value: bytes) -> bytes:
    row = ATTRIBUTES.get(attribute.type)
    category = row.category if row else TRANSITIVE
    # RFC 4271 section 5: Partial is set on what we pass on unrecognized, and never reset on what came with
    # it.  Well-known and non-transitive attributes have none (section 4.3).
    partial = category == TRANSITIVE and (row is None or bool(attribute.flags & _PARTIAL))
    flags = {
        "optional": bool(category & AttributeFlag.OPTIONAL),
        "transitive": bool(category & AttributeFlag.TRANSITIVE),
        "partial": partial,
        "extended_length": len(value) > 255,
    }
    built: bytes = grammar.PATH_ATTRIBUTE.build({"flags": flags, "type": attribute.type, "value": value})
    return built
