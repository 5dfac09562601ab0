"""Policies as octets: terms of every matcher and change, their arguments from the octets or from lists."""

from collections.abc import Callable

from bgp.family import FAMILIES
from bgp.iana import AttributeType, Origin
from bgp.policy import ACCEPT, NEXT, REFUSE, Rules, Term, change, match
from bgp.policy.change import Change
from bgp.policy.match import Match, Numbers
from bgp.rib.path import Kind
from fuzz.target import Reader

_THEN = (ACCEPT, REFUSE, NEXT, NEXT)
_PATTERNS = ("^64500", "64496$", ". . .", "(64500|64501)+", "^$", ".*", "64496-64511{2,}", "4294967295 ?")
_COMMUNITIES = ("*:*", "65535:*", "64500:0-9999", "no-export", "0:0", "*:1")
_LARGE = ("*:*:*", "0:0:0", "64496:*:1-9")
_EXTENDED = ("rt:*:*", "ro:64500:*", "0x00*", "0x*", "rt:10.0.0.1:5", "*:*:7")
_LISTS = (
    ("0.0.0.0/0 le 32", "!10.0.0.0/8 le 32"),
    ("::/0 ge 1",),
    ("10.0.0.0/8 ge 9 le 24", "192.0.2.0/24", "2001:db8::/32 le 128"),
    (),
)
_NETWORKS = (("10.0.0.0/8",), ("::/0",), ("0.0.0.0/1", "2000::/3"))


def _some(reader: Reader, choices: tuple[str, ...]) -> str:
    return choices[reader.number() % len(choices)]


def _range(reader: Reader) -> Numbers:
    low, high = reader.number(2), reader.number(4)
    return min(low, high), max(low, high)


def _type(reader: Reader) -> AttributeType:
    types = list(AttributeType)
    return types[reader.number() % len(types)]


def _amount(reader: Reader) -> int:
    return reader.number(2) - 0x8000


MATCHES: tuple[Callable[[Reader], Match], ...] = (
    lambda reader: match.ANY,
    lambda reader: match.prefix_in(_LISTS[reader.number() % len(_LISTS)]),
    lambda reader: match.prefix_length((reader.number() % 33, 33 + reader.number() % 96)),
    lambda reader: match.family(FAMILIES[reader.number() % 2]),
    lambda reader: match.as_path(_some(reader, _PATTERNS)),
    lambda reader: match.as_path_first(_range(reader)),
    lambda reader: match.as_path_last(_range(reader)),
    lambda reader: match.as_path_contains(_range(reader)),
    lambda reader: match.as_path_length((0, reader.number())),
    lambda reader: match.community(_some(reader, _COMMUNITIES)),
    lambda reader: match.large_community(_some(reader, _LARGE)),
    lambda reader: match.extended_community(_some(reader, _EXTENDED)),
    lambda reader: match.next_hop_in(_NETWORKS[reader.number() % len(_NETWORKS)]),
    lambda reader: match.origin(Origin(reader.number() % 3)),
    lambda reader: match.med(_range(reader) if reader.number() & 1 else None),
    lambda reader: match.local_pref(_range(reader) if reader.number() & 1 else None),
    lambda reader: match.has(_type(reader)),
    lambda reader: match.peer(_some(reader, ("*", "fuzz", "other-?", "[f]uzz"))),
    lambda reader: match.peer_type(Kind(reader.number() % len(Kind))),
    lambda reader: match.source(_NETWORKS[reader.number() % len(_NETWORKS)]),
    lambda reader: match.source_as(_range(reader)),
    lambda reader: ~_matcher(reader),
    lambda reader: _matcher(reader) & _matcher(reader),
    lambda reader: _matcher(reader) | _matcher(reader) | _matcher(reader),
)
CHANGES: tuple[Callable[[Reader], Change], ...] = (
    lambda reader: change.local_pref(reader.number(4)),
    lambda reader: change.add_local_pref(_amount(reader)),
    lambda reader: change.med(reader.number(4) or None),
    lambda reader: change.add_med(_amount(reader)),
    lambda reader: change.origin(Origin(reader.number() % 3)),
    lambda reader: change.atomic_aggregate(bool(reader.number() & 1)),
    lambda reader: change.aggregator(reader.number(4), "192.0.2.1"),
    lambda reader: change.aigp(reader.number(8)),
    lambda reader: change.attribute(reader.number(), reader.take(reader.number())),
    lambda reader: change.remove(reader.number()),
    lambda reader: change.prepend(*[reader.number(4)] * (reader.number() % 16)),
    lambda reader: change.as_path(_some(reader, ("", "64500", "(1 2) 3 {4,5}", "1 | 2", "0"))),
    lambda reader: change.next_hop(_some(reader, ("192.0.2.9", "2001:db8::9", "10.9.0.1"))),
    lambda reader: change.next_hop_self(),
    lambda reader: change.next_hop_keep(),
    lambda reader: change.add_communities(reader.number(4)),
    lambda reader: change.set_communities(*[reader.number(4)] * (reader.number() % 3)),
    lambda reader: change.remove_communities(_some(reader, _COMMUNITIES)),
    lambda reader: change.add_large_communities((reader.number(4), reader.number(), 1)),
    lambda reader: change.set_large_communities(),
    lambda reader: change.remove_large_communities(_some(reader, _LARGE)),
    lambda reader: change.add_extended_communities(reader.take(8).ljust(8, b"\0")),
    lambda reader: change.set_extended_communities(reader.take(20).ljust(20, b"\0")),
    lambda reader: change.remove_extended_communities(_some(reader, _EXTENDED)),
)
_DEEPEST = 6


def _matcher(reader: Reader, depth: int = 0) -> Match:
    at = reader.number() % len(MATCHES)
    if at < len(MATCHES) - 3 or depth > _DEEPEST or not reader:
        return MATCHES[at if at < len(MATCHES) - 3 else 0](reader)
    return MATCHES[at](reader)


def _changes(reader: Reader, count: int) -> tuple[Change, ...]:
    found = []
    for _ in range(count):
        try:
            found.append(CHANGES[reader.number() % len(CHANGES)](reader))
        except ValueError as error:
            # What is refused when it is made is refused with a reason.
            assert str(error)
    return tuple(found)


def rules(reader: Reader) -> Rules:
    """Return the policy that the octets up to a term that is no more say."""
    head = reader.number()
    terms = []
    for number in range(head >> 1 & 7):
        matcher, changes = _matcher(reader), _changes(reader, reader.number() % 4)
        terms.append(Term(f"t{number}", matcher, changes, _THEN[reader.number() % 4]))
    return Rules("fuzz", terms, ACCEPT if head & 1 else REFUSE)
