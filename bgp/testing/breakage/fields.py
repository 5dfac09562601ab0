"""Ways to break a message's fields: lengths, routes, the list of attributes, MP_REACH and MP_UNREACH."""

from random import Random

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AttributeType
from bgp.testing import generate
from bgp.testing.breakage.place import family_of, multiprotocol, valid
from bgp.testing.draft import Draft, Item
from bgp.testing.generate import WELL_KNOWN, chance, octets
from bgp.wire.context import Context

T = AttributeType


def attribute_list(random: Random, draft: Draft, context: Context) -> None:
    size = len(draft.body())
    excess = random.choice((size, size + 1, 65535))
    if chance(random, 0.5):
        draft.withdrawn_excess = excess
    else:
        # One octet beyond the message is enough.
        draft.attributes_excess = random.choice((sum(map(len, draft.nlri)) + 1, excess))


def _bad_route(random: Random, family: Family, context: Context) -> bytes:
    """Return what cannot end a field of routes: too long a prefix, or one that is cut off."""
    path_id = octets(random, 4) if family in context.add_path else b""
    length = random.randint(1, family.bits)
    kind = random.randrange(4 if path_id else 3)
    if kind == 0:
        return path_id + bytes([random.choice((family.bits + 1, 255))]) + octets(random, 32)
    if kind == 1:
        return path_id + bytes([length]) + octets(random, (length + 7) // 8 - 1)
    if kind == 2:
        return path_id + bytes([random.choice((family.bits + 1, length))])
    return path_id[: random.randint(1, 4)]


def network_field(random: Random, draft: Draft, context: Context) -> None:
    field = draft.nlri if chance(random, 0.5) else draft.withdrawn
    field.append(_bad_route(random, IPV4_UNICAST, context))


def mp_repeated(random: Random, draft: Draft, context: Context) -> None:
    item = multiprotocol(random, draft, context)
    value = item.value if chance(random, 0.5) else octets(random, random.randrange(8))
    _repeat(random, draft, item, Item(random.choice((item.flags, 0x40)), item.type, value))


def attribute_overrun(random: Random, draft: Draft, context: Context) -> None:
    kind = random.randrange(3)
    if kind == 0:
        draft.tail = octets(random, random.randint(1, 2))
    elif kind == 1:
        draft.tail = random.choice((b"\xd0", b"\x10")) + octets(random, 2)
    else:
        # An attribute that claims more than the field has, before or behind which others may stand.
        item = random.choice(draft.attributes or [generate.item(random, T.ORIGIN, b"\0")])
        draft.remove(item.type)
        if item.type == T.MP_REACH_NLRI and not draft.nlri:
            draft.remove(T.NEXT_HOP)  # which was ignored beside it, and may hold anything
        draft.attributes.append(item)
        item.claimed = len(item.value) + random.choice((1, 2, 255, 1000))


def attribute_repeated(random: Random, draft: Draft, context: Context) -> None:
    items = [item for item in draft.attributes if item.type not in (T.MP_REACH_NLRI, T.MP_UNREACH_NLRI)]
    if not items:
        items = [valid(random, draft, context, T.MULTI_EXIT_DISC)]
    first = random.choice(items)
    value = first.value if chance(random, 0.5) else octets(random, random.randrange(6))
    _repeat(random, draft, first, Item(random.choice((first.flags, 0xC0, 0x40)), first.type, value))


def _repeat(random: Random, draft: Draft, first: Item, again: Item) -> None:
    # What comes first counts, so the other, which may be anything, must stand behind it.
    position = next(at for at, item in enumerate(draft.attributes) if item is first) + 1
    draft.attributes.insert(random.randint(position, len(draft.attributes)), again)


def unrecognized_well_known(random: Random, draft: Draft, context: Context) -> None:
    type = random.choice(generate.UNKNOWN)
    draft.remove(type)
    value = octets(random, random.randrange(4))
    draft.insert(random, generate.item(random, type, value, random.choice((WELL_KNOWN, 0))))


def missing(random: Random, draft: Draft, context: Context) -> None:
    mandatory = [T.ORIGIN, T.AS_PATH]
    if draft.nlri:
        mandatory.append(T.NEXT_HOP)
    if context.internal:
        mandatory.append(T.LOCAL_PREF)
    draft.remove(*random.sample(mandatory, random.choice((1, 1, len(mandatory)))))


# --- MP_REACH_NLRI and MP_UNREACH_NLRI ------------------------------------------------------------------


def mp_flags(random: Random, draft: Draft, context: Context) -> None:
    multiprotocol(random, draft, context).flags ^= random.choice((0x40, 0x80, 0xC0))


def mp_length(random: Random, draft: Draft, context: Context) -> None:
    item = multiprotocol(random, draft, context)
    if item.type == T.MP_UNREACH_NLRI:
        item.value = item.value[: random.randrange(3)]
    elif chance(random, 0.5):
        item.value = item.value[: random.randrange(5)]
    else:
        # The next hop leaves no room for the reserved octet.
        value = item.value[:200]
        item.value = value[:3] + bytes([random.choice((len(value) - 4, 255))]) + value[4:]


def mp_next_hop(random: Random, draft: Draft, context: Context) -> None:
    draft.remove(T.MP_REACH_NLRI)
    family = random.choice(sorted(context.families, key=lambda family: family.afi))
    allowed = set(family.next_hop_lengths)
    if family in context.extended_next_hop:
        allowed |= family.extended_next_hop_lengths
    length = random.choice([length for length in (0, 4, 12, 15, 16, 24, 32, 33, 48) if length not in allowed])
    head = family.afi.to_bytes(2, "big") + bytes([family.safi, length])
    written = b"".join(generate.routes(random, family, context))
    draft.insert(
        random, generate.item(random, T.MP_REACH_NLRI, head + octets(random, length) + b"\0" + written)
    )


def mp_network_field(random: Random, draft: Draft, context: Context) -> None:
    item = multiprotocol(random, draft, context)
    item.value += _bad_route(random, family_of(item) or IPV4_UNICAST, context)
