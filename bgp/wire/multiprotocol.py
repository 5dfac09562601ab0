"""NLRI of any family: MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760), with ADD-PATH (RFC 7911) or without.

What is wrong here ends the session: without its NLRI nothing of an UPDATE can be withdrawn
(RFC 7606 sections 3 j and 5.3).
"""

from bgp import errors
from bgp.errors import Notify
from bgp.family import BY_CODE, IPV4_UNICAST, Family
from bgp.wire.context import Context
from bgp.wire.prefix import PrefixError, split, split_add_path

Nlri = tuple[list[bytes], list[int] | None]


def nlri(context: Context, family: Family, field: bytes) -> Nlri:
    """Return prefixes and path identifiers of an NLRI field; raise PrefixError where it is malformed."""
    if family in context.add_path:
        path_ids, prefixes = split_add_path(field, family)
        return prefixes, path_ids
    return split(field, family), None


def classic(context: Context, field: bytes, offset: int) -> Nlri:
    """Return what stands in Withdrawn Routes or NLRI, which begins at octet `offset` of the message."""
    try:
        return nlri(context, IPV4_UNICAST, field)
    except PrefixError as error:
        raise Notify.of(errors.NETWORK_FIELD, offset=offset + error.offset) from None


def reach(
    context: Context, value: bytes, offset: int, raw: bytes
) -> tuple[Family, bytes, list[bytes], list[int] | None] | None:
    """Return family, next hop, prefixes and path identifiers of an MP_REACH_NLRI value.

    None where its family is not negotiated.  `raw` is the whole attribute, which begins at `offset`.
    """
    size = len(value)
    if size < 5 or size < 5 + value[3]:
        raise Notify.of(errors.MP_LENGTH, raw, offset)
    family = BY_CODE.get((value[0] << 8 | value[1], value[2]))
    if family is None or family not in context.families:
        return None
    octets = value[3]
    if octets not in family.next_hop_lengths and not (
        octets in family.extended_next_hop_lengths and family in context.extended_next_hop
    ):
        raise Notify.of(errors.MP_NEXT_HOP, raw, offset)
    try:
        # The octet behind the next hop is reserved, and ignored.
        prefixes, path_ids = nlri(context, family, value[5 + octets :])
    except PrefixError:
        raise Notify.of(errors.MP_NETWORK_FIELD, raw, offset) from None
    return family, value[4 : 4 + octets], prefixes, path_ids


def unreach(
    context: Context, value: bytes, offset: int, raw: bytes
) -> tuple[Family, list[bytes], list[int] | None] | None:
    """Return family, prefixes and path identifiers of an MP_UNREACH_NLRI value; None as in `reach`."""
    if len(value) < 3:
        raise Notify.of(errors.MP_LENGTH, raw, offset)
    family = BY_CODE.get((value[0] << 8 | value[1], value[2]))
    if family is None or family not in context.families:
        return None
    try:
        prefixes, path_ids = nlri(context, family, value[3:])
    except PrefixError:
        raise Notify.of(errors.MP_NETWORK_FIELD, raw, offset) from None
    return family, prefixes, path_ids
