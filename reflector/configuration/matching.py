"""The `match` of a term: one row for each key, whose reader makes the library's matcher of its value.

Of the keys of one table all must hold; of the values in one key's list, any.  `any` is a list of such tables
of which one must hold, and `not` one that must not.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from bgp.family import BY_NAME
from bgp.iana import AttributeType
from bgp.policy import match
from bgp.policy.match import Match, Numbers
from bgp.policy.prefixes import PrefixList
from bgp.rib.path import Kind
from reflector.configuration.addresses import prefix, prefix_entry, prefix_list
from reflector.configuration.document import Place, nearest
from reflector.configuration.naming import Sort, resolved
from reflector.configuration.schema import Key
from reflector.configuration.shapes import TEXT, either, integer, one_or_more, shape_of, shaped, words
from reflector.configuration.tables import read_table
from reflector.configuration.terms import ORIGINS
from reflector.configuration.values import Reader, kind, list_of, one_of, refuse_as, text

_T = TypeVar("_T")
_DEEPEST = 64  # steps from the document to a `match` within others
HEADING = "match = {...} or [policy.NAME.term.match]"


def made(make: Callable[[], _T], place: Place) -> _T | None:
    """Return what `make` makes, or refuse what it says with a ValueError."""
    try:
        return make()
    except ValueError as error:
        refuse_as(place, error)
        return None


def one_or_list(read: Reader) -> Callable[[object, Place], tuple[object, ...] | None]:
    """Return a reader of a value, or of a list of them."""
    listed = list_of(read, least=1)

    @shaped(one_or_more(shape_of(read)))
    def read_some(value: object, place: Place) -> tuple[object, ...] | None:
        if isinstance(value, list):
            return listed(value, place)
        single = read(value, place)
        return None if single is None else (single,)

    return read_some


def community(sort: Sort) -> Reader:
    """Return a reader of communities, or patterns of them, of which a name is one."""

    @shaped(TEXT)
    def read(value: object, place: Place) -> str | None:
        written = text(value, place)
        return None if written is None else resolved(written, place, sort)

    return read


def fitting(make: Callable[[str], object], read_word: Reader = text) -> Reader:
    """Return a reader of texts that `make` takes."""

    @shaped(TEXT)
    def read(value: object, place: Place) -> str | None:
        word = read_word(value, place)
        if not isinstance(word, str) or made(lambda: make(word), place) is None:
            return None
        return word

    return read


def _texts(make: Callable[..., Match], read_word: Reader = text) -> Reader:
    """Return a reader of texts out of which `make` makes a matcher."""
    read_words = one_or_list(fitting(make, read_word))

    @shaped(shape_of(read_words))
    def read(value: object, place: Place) -> Match | None:
        given = read_words(value, place)
        return None if given is None else make(*given)

    return read


def _words(choices: Mapping[str, Any], make: Callable[..., Match]) -> Reader:
    """Return a reader of words out of `choices`, of whose meanings `make` makes a matcher."""

    @shaped(one_or_more(words(choices)))
    def read(value: object, place: Place) -> Match | None:
        found = one_or_list(one_of(choices))(value, place)
        return None if found is None else make(*[choices[str(word)] for word in found])

    return read


def read_numbers(value: object, place: Place) -> Numbers | None:
    """Read a number, or a range as in "10-20"."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFFFF:
        return value
    found = re.fullmatch(r"(\d{1,12})-(\d{1,12})", value) if isinstance(value, str) else None
    if found is not None and int(found[1]) <= int(found[2]) <= 0xFFFFFFFF:
        return int(found[1]), int(found[2])
    what = (
        f'"{value}" is no range'
        if isinstance(value, str)
        else f"must be a number or range, not {kind(value)}"
    )
    if isinstance(value, int) and not isinstance(value, bool):
        what = f"{value} is out of range"
    place.refuse(what, 'write a number up to 4294967295, or a range, as in "10-20"')
    return None


NUMBERS = either(integer(0, 0xFFFFFFFF), {"type": "string", "pattern": r"^[0-9]{1,12}-[0-9]{1,12}$"})


def _numbers(make: Callable[[Numbers], Match]) -> Callable[[object, Place], Match | None]:
    @shaped(NUMBERS)
    def read(value: object, place: Place) -> Match | None:
        numbers = read_numbers(value, place)
        return None if numbers is None else make(numbers)

    return read


def _numbers_or_none(make: Callable[[Numbers | None], Match]) -> Reader:
    @shaped(either(NUMBERS, words(["none"])))
    def read(value: object, place: Place) -> Match | None:
        return make(None) if value == "none" else _numbers(make)(value, place)

    return read


def _networks(make: Callable[[Any], Match]) -> Reader:
    """Return a reader of prefixes within which addresses are to be."""

    @shaped(one_or_more(TEXT))
    def read(value: object, place: Place) -> Match | None:
        listed = one_or_list(prefix)(value, place)
        return None if listed is None else make(listed)

    return read


def _as_path(pattern: str) -> Match:
    return match.as_path(pattern)


KINDS = {each.name.lower().replace("_", "-"): each for each in Kind}
ATTRIBUTES = {each.name.lower(): each for each in AttributeType}

MATCH = (
    Key("family", _words(BY_NAME, match.family), "the address family"),
    Key("prefix_length", _numbers(match.prefix_length), "the length of the prefix"),
    Key("as_path", _texts(lambda *each: _either(map(_as_path, each))), "a pattern of the AS_PATH"),
    Key("as_path_first", _numbers(match.as_path_first), "the AS at the AS_PATH's beginning, the neighbor's"),
    Key("as_path_last", _numbers(match.as_path_last), "the AS at the AS_PATH's end, the originator's"),
    Key("as_path_contains", _numbers(match.as_path_contains), "an AS anywhere in the AS_PATH"),
    Key(
        "as_path_length",
        _numbers(match.as_path_length),
        "the AS_PATH's length as the decision counts it",
    ),
    Key(
        "community", _texts(match.community, community(Sort.PLAIN)), 'a community, as in "65000:*" (RFC 1997)'
    ),
    Key(
        "large_community",
        _texts(match.large_community, community(Sort.LARGE)),
        'a large community, as in "65000:1:*" (RFC 8092)',
    ),
    Key(
        "extended_community",
        _texts(match.extended_community, community(Sort.EXTENDED)),
        'an extended community, as in "rt:65000:*"',
    ),
    Key("next_hop", _networks(match.next_hop_in), "prefixes that the next hop is in"),
    Key("origin", _words(ORIGINS, match.origin), "the ORIGIN"),
    Key("med", _numbers_or_none(match.med), 'the MULTI_EXIT_DISC, or "none"'),
    Key("local_pref", _numbers_or_none(match.local_pref), 'the LOCAL_PREF, or "none"'),
    Key("has", _words(ATTRIBUTES, match.has), "an attribute that is there"),
    Key("peer", _texts(match.peer), 'the name of the peer it came from, as in "edge-*"'),
    Key("peer_type", _words(KINDS, match.peer_type), "the kind of peer that it came from"),
    Key("source", _networks(match.source), "prefixes that the address of the peer that it came from is in"),
    Key("source_as", _numbers(match.source_as), "the AS of the peer that it came from"),
)


def _either(matches: Iterable[Match]) -> Match:
    return match.either(*matches)


def read_match(value: object, place: Place, lists: Mapping[str, PrefixList]) -> Match | None:
    """Read a `match` table; `lists` are the prefix lists that `prefix` may name."""
    if len(place.path) > _DEEPEST:
        place.refuse("is nested too deeply", "say it with fewer any and not")
        return None

    def prefixes(value: object, place: Place) -> Match | None:
        if isinstance(value, str) and "/" not in value:
            if value in lists:
                return match.prefix_in(lists[value])
            guess = nearest(value, list(lists))
            remedy = f'did you mean "{guess}"?' if guess else f"add [prefix_list.{value}], or write a prefix"
            place.refuse(f'there is no prefix list "{value}"', remedy)
            return None
        if isinstance(value, str):
            entry = prefix_entry(value, place)
            return None if entry is None else match.prefix_in([entry])
        listed = prefix_list(value, place)
        return None if listed is None else match.prefix_in(listed)

    def inner(value: object, place: Place) -> Match | None:
        return read_match(value, place, lists)

    def negated(value: object, place: Place) -> Match | None:
        found = inner(value, place)
        return None if found is None else ~found

    def any_of(value: object, place: Place) -> Match | None:
        found = list_of(inner, least=1)(value, place)
        return None if found is None else _either(each for each in found if isinstance(each, Match))

    keys = (
        Key("prefix", prefixes, "prefixes, or the name of a [prefix_list.NAME]"),
        *MATCH,
        Key("any", any_of, "a list of such tables, of which one must hold"),
        Key("not", negated, "such a table, which must not hold"),
    )
    table = read_table(value, place, keys, HEADING)
    if isinstance(value, dict) and not value:
        place.refuse("matches nothing in particular", "name a key, or leave it out to match every route")
    found: Match | None = None
    for each in table.values.values():
        found = each if found is None else found & each
    return found
