"""The `set` of a term: one row for each key, whose reader makes the library's change of its value.

Changes are done in the order in which they are written.
"""

import re
from collections.abc import Callable

from bgp.policy import change
from bgp.policy.change import Change
from reflector.configuration.addresses import address, identifier
from reflector.configuration.document import Place
from reflector.configuration.matching import ATTRIBUTES, community, fitting, made, one_or_list
from reflector.configuration.naming import Sort
from reflector.configuration.schema import Key
from reflector.configuration.shapes import (
    FLAG,
    TEXT,
    array,
    either,
    integer,
    one_or_more,
    shaped,
    table,
    words,
)
from reflector.configuration.tables import read_table
from reflector.configuration.terms import ORIGINS, as_number, origin
from reflector.configuration.values import Reader, flag, list_of, number, one_of, text

HEADING = "set = {...} or [policy.NAME.term.set]"
_LAST = 0xFFFFFFFF


def _metric(
    set_: Callable[[int], Change], add: Callable[[int], Change], none: Change | None = None
) -> Reader:
    """Return a reader of a number, of "+10" or "-10" to change what there is, and maybe of "none"."""
    signed = {"type": "string", "pattern": r"^[+-][0-9]{1,10}$"}

    @shaped(either(integer(0, _LAST), signed, *([] if none is None else [words(["none"])])))
    def read(value: object, place: Place) -> Change | None:
        if isinstance(value, str):
            if none is not None and value == "none":
                return none
            if re.fullmatch(r"[+-]\d{1,10}", value) and abs(int(value)) <= _LAST:
                return add(int(value))
            also = ', or "none"' if none is not None else ""
            place.refuse(f'"{value}" is no metric', f'write a number, or "+10" or "-10"{also}')
            return None
        found = number(0, _LAST)(value, place)
        return None if found is None else set_(found)

    return read


@shaped(TEXT)
def _next_hop(value: object, place: Place) -> Change | None:
    if value == "self":
        return change.next_hop_self()
    if value == "keep":
        return change.next_hop_keep()
    if isinstance(value, str) and not re.search(r"[.:]", value):
        place.refuse(f'"{value}" is no next hop', 'write "self", "keep" or an address')
        return None
    found = address(value, place)
    return None if found is None else change.next_hop(found)


@shaped({"type": "string"})
def _as_path(value: object, place: Place) -> Change | None:
    if value == "":
        return change.as_path(())
    written = text(value, place)
    return None if written is None else made(lambda: change.as_path(written), place)


@shaped(one_or_more(integer(1, _LAST)))
def _prepend(value: object, place: Place) -> Change | None:
    asns: list[object] = []
    for index, each in enumerate(value if isinstance(value, list) else [value]):
        asns.append(as_number(each, place / index if isinstance(value, list) else place))
    if value == []:
        place.refuse("must not be empty", "name at least one AS, or leave out the key")
    numbers = [asn for asn in asns if isinstance(asn, int)]
    return change.prepend(*numbers) if len(numbers) == len(asns) and asns else None


@shaped(table({"asn": integer(1, _LAST), "address": TEXT}, ("asn", "address")))
def _aggregator(value: object, place: Place) -> Change | None:
    keys = (
        Key("asn", as_number, "the AS that aggregated", required=True),
        Key("address", identifier, "the router that did", required=True),
    )
    table = read_table(value, place, keys, 'aggregator = {asn = 65000, address = "192.0.2.1"}')
    if {"asn", "address"} <= table.values.keys():
        octets = table.values["address"].to_bytes(4, "big")
        return change.aggregator(table.values["asn"], ".".join(map(str, octets)))
    return None


@shaped(integer(0, (1 << 64) - 2))
def _aigp(value: object, place: Place) -> Change | None:
    found = number(0, (1 << 64) - 2)(value, place)
    return None if found is None else change.aigp(found)


@shaped(words(ORIGINS))
def _origin(value: object, place: Place) -> Change | None:
    found = origin(value, place)
    return None if found is None else change.origin(found)


@shaped(FLAG)
def _atomic_aggregate(value: object, place: Place) -> Change | None:
    found = flag(value, place)
    return None if found is None else change.atomic_aggregate(found)


def _communities(make: Callable[..., Change], sort: Sort, least: int = 1) -> Reader:
    """Return a reader of communities out of which `make` makes a change."""
    word_of = fitting(make, community(sort))
    listed, alone = list_of(word_of, least), one_or_list(word_of)

    @shaped(either(TEXT, array(TEXT, least)))
    def read(value: object, place: Place) -> Change | None:
        given = (listed if isinstance(value, list) else alone)(value, place)
        return None if given is None else make(*given)

    return read


@shaped(one_or_more(words(ATTRIBUTES)))
def _remove(value: object, place: Place) -> tuple[Change, ...] | None:
    names = one_or_list(one_of(ATTRIBUTES))(value, place)
    if names is None:
        return None
    listed = isinstance(value, list)
    found = [
        made(lambda type=ATTRIBUTES[str(name)]: change.remove(type), place / index if listed else place)  # type: ignore[misc]
        for index, name in enumerate(names)
    ]
    return None if None in found else tuple(each for each in found if each is not None)


SET = (
    Key("origin", _origin, "the ORIGIN"),
    Key("as_path", _as_path, "the whole AS_PATH"),
    Key("prepend", _prepend, "what to put before the AS_PATH, a list of AS numbers"),
    Key("next_hop", _next_hop, 'the next hop: an address, "self" or "keep"'),
    Key("med", _metric(change.med, change.add_med, change.med(None)), "the MULTI_EXIT_DISC"),
    Key("local_pref", _metric(change.local_pref, change.add_local_pref), "the LOCAL_PREF"),
    Key("atomic_aggregate", _atomic_aggregate, "whether there is an ATOMIC_AGGREGATE"),
    Key("aggregator", _aggregator, "the AGGREGATOR"),
    Key("aigp", _aigp, "the accumulated IGP metric (RFC 7311)"),
    Key("communities", _communities(change.set_communities, Sort.PLAIN, 0), "all communities (RFC 1997)"),
    Key("add_communities", _communities(change.add_communities, Sort.PLAIN), "communities to add"),
    Key(
        "remove_communities",
        _communities(change.remove_communities, Sort.PLAIN),
        "communities to take away, with wildcards",
    ),
    Key(
        "large_communities",
        _communities(change.set_large_communities, Sort.LARGE, 0),
        "all large communities (RFC 8092)",
    ),
    Key(
        "add_large_communities",
        _communities(change.add_large_communities, Sort.LARGE),
        "large communities to add",
    ),
    Key(
        "remove_large_communities",
        _communities(change.remove_large_communities, Sort.LARGE),
        "large communities to take away, with wildcards",
    ),
    Key(
        "extended_communities",
        _communities(change.set_extended_communities, Sort.EXTENDED, 0),
        "all extended communities",
    ),
    Key(
        "add_extended_communities",
        _communities(change.add_extended_communities, Sort.EXTENDED),
        "extended communities to add",
    ),
    Key(
        "remove_extended_communities",
        _communities(change.remove_extended_communities, Sort.EXTENDED),
        "extended communities to take away, with wildcards",
    ),
    Key("remove", _remove, "attributes to take away"),
)


def read_changes(value: object, place: Place) -> tuple[Change, ...]:
    """Read a `set` table."""
    found: list[Change] = []
    for each in read_table(value, place, SET, HEADING).values.values():
        found += each if isinstance(each, tuple) else [each]
    if isinstance(value, dict) and not value:
        place.refuse("sets nothing", "name a key, or leave it out")
    return tuple(found)
