"""Matchers: what a term may ask of a route, to be combined with `&`, `|` and `~`.

Each is a value: two matchers made of the same words are equal, so that two configurations can be compared.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bgp.family import Family
from bgp.iana import AttributeType, Origin
from bgp.policy.communities import (
    CommunityPattern,
    ExtendedPattern,
    LargePattern,
    community_pattern,
    extended_pattern,
    large_pattern,
)
from bgp.policy.pattern import Pattern, places
from bgp.policy.prefixes import Entry, Network, PrefixList, within
from bgp.policy.route import Route
from bgp.rib.path import Kind
from bgp.wire.community import split_extended

# A number, or the lowest and the highest of a range.
Numbers = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Match:
    """A question about a route: its name, what it compares with, and the test.

    `reads_prefix`: the answer may differ among the prefixes that share the route's attributes.
    """

    name: str
    argument: object
    test: Callable[[Route], bool] = field(compare=False, repr=False)
    reads_prefix: bool = False

    def __call__(self, route: Route) -> bool:
        return self.test(route)

    def __and__(self, other: "Match") -> "Match":
        return both(*self._parts("and"), other)

    def __or__(self, other: "Match") -> "Match":
        return either(*self._parts("or"), other)

    def __invert__(self) -> "Match":
        test = self.test
        return Match("not", (self,), lambda route: not test(route), self.reads_prefix)

    def _parts(self, name: str) -> tuple["Match", ...]:
        """Return what this one joins by `and` or `or`: a chain of many is flat, not deep."""
        joined = self.name == name and isinstance(self.argument, tuple)
        return self.argument if joined else (self,)  # type: ignore[return-value]

    def __str__(self) -> str:
        if isinstance(self.argument, tuple):
            parts = [str(part) for part in self.argument]
            if self.name == "not":
                return f"not {parts[0]}"
            if self.name in ("and", "or"):
                return f"({f' {self.name} '.join(parts)})"
            return f"{self.name} {', '.join(parts)}"
        plain = self.argument is None or callable(self.argument)
        return self.name if plain else f"{self.name} {self.argument}"


ANY = Match("any", None, lambda route: True)


def both(*matches: Match) -> Match:
    """Match what all of `matches` do, asked in their order, as `&` says it of two."""
    return _joined("and", matches, _all)


def either(*matches: Match) -> Match:
    """Match what any of `matches` does, asked in their order, as `|` says it of two."""
    return _joined("or", matches, _any)


_Test = Callable[[Route], bool]


def _joined(name: str, matches: tuple[Match, ...], of: Callable[[list[_Test]], _Test]) -> Match:
    if len(matches) == 1:
        return matches[0]
    test = of([each.test for each in matches])
    return Match(name, matches, test, any(each.reads_prefix for each in matches))


def _all(tests: list[_Test]) -> _Test:
    if len(tests) > 2:
        return lambda route: all(test(route) for test in tests)
    one, two = tests
    return lambda route: one(route) and two(route)


def _any(tests: list[_Test]) -> _Test:
    if len(tests) > 2:
        return lambda route: any(test(route) for test in tests)
    one, two = tests
    return lambda route: one(route) or two(route)


def where(test: Callable[[Route], bool], name: str = "", *, reads_prefix: bool = False) -> Match:
    """Match what a function of yours says; tell if it reads `Route.prefix`."""
    return Match(name or getattr(test, "__name__", "where"), test, test, reads_prefix)


def _bounds(numbers: Numbers) -> tuple[int, int]:
    low, high = (numbers, numbers) if isinstance(numbers, int) else numbers
    if not 0 <= low <= high:
        raise ValueError(f"{low} to {high} is no range")
    return low, high


def _shown(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


# --- The prefix ---------------------------------------------------------------------------------------


def prefix_in(prefixes: PrefixList | Iterable[Entry | Network | str]) -> Match:
    """Match prefixes of a list."""
    listed = prefixes if isinstance(prefixes, PrefixList) else PrefixList(prefixes)

    def test(route: Route) -> bool:
        if route.prefix is None:
            raise ValueError("this policy reads prefixes, and was given none")
        return listed.matches(route.family, route.prefix)

    return Match("prefix", listed, test, True)


def prefix_length(numbers: Numbers) -> Match:
    """Match prefixes of a length, or of a range of lengths."""
    low, high = _bounds(numbers)

    def test(route: Route) -> bool:
        if route.prefix is None:
            raise ValueError("this policy reads prefixes, and was given none")
        return low <= route.prefix[0] <= high

    return Match("prefix length", _shown(low, high), test, True)


def family(*families: Family) -> Match:
    """Match routes of address families."""
    return Match("family", families, lambda route: route.path.source.family in families)


# --- The AS_PATH --------------------------------------------------------------------------------------


def as_path(pattern: Pattern | str) -> Match:
    """Match an AS_PATH by a pattern (`bgp.policy.pattern`)."""
    compiled = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
    return Match("AS path", compiled, lambda route: compiled.search(places(route.attributes.as_path)))


def _any_as(members: Iterable[int], low: int, high: int) -> bool:
    return any(low <= asn <= high for asn in members)


def as_path_first(numbers: Numbers) -> Match:
    """Match an AS_PATH that begins with this AS: that of the neighbor."""
    low, high = _bounds(numbers)

    def test(route: Route) -> bool:
        path = places(route.attributes.as_path)
        return bool(path) and _any_as(path[0], low, high)

    return Match("first AS", _shown(low, high), test)


def as_path_last(numbers: Numbers) -> Match:
    """Match an AS_PATH that ends with this AS: the one that originated the route."""
    low, high = _bounds(numbers)

    def test(route: Route) -> bool:
        path = places(route.attributes.as_path)
        return bool(path) and _any_as(path[-1], low, high)

    return Match("last AS", _shown(low, high), test)


def as_path_contains(numbers: Numbers) -> Match:
    """Match an AS_PATH with this AS anywhere in it, confederation segments included."""
    low, high = _bounds(numbers)
    return Match(
        "AS path contains",
        _shown(low, high),
        lambda route: any(_any_as(segment.asns, low, high) for segment in route.attributes.as_path),
    )


def as_path_length(numbers: Numbers) -> Match:
    """Match by the length that the decision counts (RFC 4271 section 9.1.2.2 a)."""
    low, high = _bounds(numbers)
    return Match(
        "AS path length", _shown(low, high), lambda route: low <= route.attributes.as_path_length <= high
    )


# --- Communities --------------------------------------------------------------------------------------


def community(*patterns: str | int | CommunityPattern) -> Match:
    """Match a route with any community that one of the patterns describes (RFC 1997)."""
    compiled = tuple(
        pattern if isinstance(pattern, CommunityPattern) else community_pattern(str(pattern))
        for pattern in patterns
    )
    return Match(
        "community",
        compiled,
        lambda route: any(each.matches(value) for value in route.attributes.communities for each in compiled),
    )


def large_community(*patterns: str | LargePattern) -> Match:
    """Match a route with any large community that one of the patterns describes (RFC 8092)."""
    compiled = tuple(
        pattern if isinstance(pattern, LargePattern) else large_pattern(pattern) for pattern in patterns
    )
    return Match(
        "large community",
        compiled,
        lambda route: any(
            each.matches(value) for value in route.attributes.large_communities for each in compiled
        ),
    )


def extended_community(*patterns: str | ExtendedPattern) -> Match:
    """Match a route with any extended community that one of the patterns describes (RFC 4360, 5701)."""
    compiled = tuple(
        pattern if isinstance(pattern, ExtendedPattern) else extended_pattern(pattern) for pattern in patterns
    )

    def test(route: Route) -> bool:
        attributes = route.attributes
        values = attributes.extended_communities
        long = attributes.get(AttributeType.IPV6_EXTENDED_COMMUNITIES)
        if long is not None:
            values += split_extended(long, 20)
        return any(each.matches(value) for value in values for each in compiled)

    return Match("extended community", compiled, test)


# --- Other attributes ---------------------------------------------------------------------------------


def next_hop_in(networks: PrefixList | Iterable[Network | str]) -> Match:
    """Match a next hop within networks."""
    listed = networks if isinstance(networks, PrefixList) else within(networks)
    return Match("next hop", listed, lambda route: listed.contains(route.attributes.next_hop))


def origin(*origins: Origin) -> Match:
    """Match by ORIGIN."""
    names = tuple(each.name.lower() for each in origins)
    return Match("origin", names, lambda route: route.attributes.origin in origins)


def med(numbers: Numbers | None) -> Match:
    """Match by MULTI_EXIT_DISC; None means that there is none."""
    if numbers is None:
        return Match("MED", "none", lambda route: route.attributes.med is None)
    low, high = _bounds(numbers)

    def test(route: Route) -> bool:
        value = route.attributes.med
        return value is not None and low <= value <= high

    return Match("MED", _shown(low, high), test)


def local_pref(numbers: Numbers | None) -> Match:
    """Match by LOCAL_PREF; None means that there is none, as on what comes from external peers."""
    if numbers is None:
        return Match("LOCAL_PREF", "none", lambda route: route.attributes.local_pref is None)
    low, high = _bounds(numbers)

    def test(route: Route) -> bool:
        value = route.attributes.local_pref
        return value is not None and low <= value <= high

    return Match("LOCAL_PREF", _shown(low, high), test)


def has(*types: AttributeType) -> Match:
    """Match a route that has any of these attributes."""
    names = tuple(each.name for each in types)
    return Match("has", names, lambda route: any(route.attributes.get(each) is not None for each in types))


# --- Where it came from -------------------------------------------------------------------------------


def peer(*names: str) -> Match:
    """Match what came from a peer with such a name; `*` stands for anything within it."""
    return Match(
        "peer", names, lambda route: any(fnmatchcase(route.path.source.peer, name) for name in names)
    )


def peer_type(*kinds: Kind) -> Match:
    """Match what came from such a kind of peer; LOCAL is for ourselves."""
    names = tuple(each.name.lower().replace("_", "-") for each in kinds)
    return Match("peer type", names, lambda route: route.path.source.kind in kinds)


def source(networks: PrefixList | Iterable[Network | str]) -> Match:
    """Match what came from a peer whose address is within networks; of our own routes none does."""
    listed = networks if isinstance(networks, PrefixList) else within(networks)
    return Match("source", listed, lambda route: listed.contains(route.path.source.address))


def source_as(numbers: Numbers) -> Match:
    """Match what came from a peer of this AS."""
    low, high = _bounds(numbers)
    return Match("source AS", _shown(low, high), lambda route: low <= route.path.source.asn <= high)
