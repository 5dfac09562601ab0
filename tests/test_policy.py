"""The policy language: each matcher and change, terms in order, and patterns against Python's own."""

import re
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routers import path as make_path

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import AttributeType, Origin, SegmentType, WellKnownCommunity
from bgp.policy import (
    ACCEPT,
    ACCEPT_ALL,
    NEXT,
    REFUSE,
    Accepted,
    Refusal,
    Rules,
    Term,
    change,
    function,
    known,
    match,
)
from bgp.policy.communities import community_pattern, extended_pattern, large_pattern
from bgp.policy.pattern import Pattern, places
from bgp.policy.route import Route
from bgp.rib.asking import ask
from bgp.rib.path import Kind, Path, Source
from bgp.wire import aspath
from bgp.wire.aspath import Segment
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.community import parse_extended
from bgp.wire.prefix import parse

T = AttributeType
table = AttributeTable()


def path(family: object = IPV4_UNICAST, **values: object) -> Path:
    made = make_path(**values)  # type: ignore[arg-type]
    made.source.family = family  # type: ignore[assignment]
    return made


def holds(matcher: match.Match, prefix: str | None = None, **values: object) -> bool:
    family, octets = (IPV4_UNICAST, None) if prefix is None else parse(prefix)
    return matcher(Route(path(family, **values), octets, table))


def changed(*changes: change.Change, **values: object) -> Attributes:
    answer = Rules("test", [Term("only", match.ANY, changes, ACCEPT)])(path(**values))
    assert not isinstance(answer, Refusal)
    return answer.attributes if isinstance(answer, Accepted) else answer


# --- Matchers -----------------------------------------------------------------------------------------

EXTENDED = (parse_extended("rt:65000:7"), parse_extended("rt:65000L:7"), parse_extended("ro:192.0.2.1:3"))

MATCHERS: list[tuple[match.Match, dict[str, object], bool]] = [
    (match.ANY, {}, True),
    (match.family(IPV4_UNICAST), {}, True),
    (match.family(IPV6_UNICAST), {}, False),
    (match.as_path("^64500 .* 64496$"), {"as_path": "64500 1 2 64496"}, True),
    (match.as_path("^64500 64496$"), {"as_path": "64500 1 64496"}, False),
    (match.as_path_first(64500), {"as_path": "64500 64501"}, True),
    (match.as_path_first(64501), {"as_path": "64500 64501"}, False),
    (match.as_path_first((64000, 65000)), {"as_path": "64500 1"}, True),
    (match.as_path_first(1), {"as_path": ""}, False),
    (match.as_path_last(64501), {"as_path": "64500 64501"}, True),
    (match.as_path_last(64502), {"as_path": "64500 {64501,64502}"}, True),
    (match.as_path_last(64500), {"as_path": "64500 {64501,64502}"}, False),
    (match.as_path_contains((64510, 64520)), {"as_path": "1 64515 2"}, True),
    (match.as_path_contains(64515), {"as_path": "(64515) 2"}, True),
    (match.as_path_contains(64516), {"as_path": "1 64515 2"}, False),
    (match.as_path_length(2), {"as_path": "1 {2,3,4}"}, True),
    (match.as_path_length((3, 9)), {"as_path": "1 {2,3,4}"}, False),
    (match.community("65000:1"), {"communities": (65000 << 16 | 1, 5)}, True),
    (match.community("65000:2"), {"communities": (65000 << 16 | 1, 5)}, False),
    (match.community("65000:*"), {"communities": (65000 << 16 | 1,)}, True),
    (match.community("*:666"), {"communities": (65000 << 16 | 666,)}, True),
    (match.community("65000:10-20"), {"communities": (65000 << 16 | 20,)}, True),
    (match.community("65000:10-20"), {"communities": (65000 << 16 | 21,)}, False),
    (match.community("no-export"), {"communities": (0xFFFFFF01,)}, True),
    (match.community(7, "0:9"), {"communities": (9,)}, True),
    (match.community("*:*"), {}, False),
    (match.large_community("65000:1:*"), {"large_communities": ((65000, 1, 4294967295),)}, True),
    (match.large_community("65000:1:1-5"), {"large_communities": ((65000, 1, 6),)}, False),
    (match.extended_community("rt:65000:7"), {"extended_communities": EXTENDED[:1]}, True),
    (match.extended_community("rt:65000:7"), {"extended_communities": EXTENDED[1:]}, False),
    (match.extended_community("rt:65000L:*"), {"extended_communities": EXTENDED[1:]}, True),
    (match.extended_community("ro:192.0.2.1:*"), {"extended_communities": EXTENDED}, True),
    (match.extended_community("*:*:3"), {"extended_communities": EXTENDED}, True),
    (match.extended_community("rt:*:3"), {"extended_communities": EXTENDED}, False),
    (match.extended_community("0x0103*"), {"extended_communities": EXTENDED}, True),
    (match.extended_community("0x0203*"), {"extended_communities": EXTENDED}, False),
    (match.next_hop_in(["10.9.0.0/16"]), {"next_hop": "10.9.3.1"}, True),
    (match.next_hop_in(["10.8.0.0/16", "::/0"]), {"next_hop": "10.9.3.1"}, False),
    (match.next_hop_in(["2001:db8::/32"]), {"next_hop": "2001:db8::1"}, True),
    (match.origin(Origin.EGP, Origin.INCOMPLETE), {"origin": 2}, True),
    (match.origin(Origin.IGP), {"origin": 2}, False),
    (match.med(5), {"med": 5}, True),
    (match.med((0, 10)), {}, False),
    (match.med(None), {}, True),
    (match.med(None), {"med": 0}, False),
    (match.local_pref((100, 200)), {"local_pref": 200}, True),
    (match.local_pref(None), {"local_pref": 200}, False),
    (match.has(T.MULTI_EXIT_DISC), {"med": 0}, True),
    (match.has(T.MULTI_EXIT_DISC, T.AIGP), {}, False),
    (match.peer("edge-*", "core"), {"peer": "edge-7"}, True),
    (match.peer("edge-*"), {"peer": "core"}, False),
    (match.peer_type(Kind.CLIENT, Kind.LOCAL), {"kind": Kind.CLIENT}, True),
    (match.peer_type(Kind.EXTERNAL), {"kind": Kind.CLIENT}, False),
    (match.source(["10.0.0.0/24"]), {"remote": "10.0.0.9"}, True),
    (match.source(["10.0.0.0/24"]), {"remote": "10.0.1.9"}, False),
    (match.source_as(65000), {}, True),
    (match.where(lambda route: route.attributes.med == 3), {"med": 3}, True),
]


@pytest.mark.parametrize(("matcher", "values", "expected"), MATCHERS, ids=lambda value: str(value)[:40])
def test_matchers(matcher: match.Match, values: dict[str, object], expected: bool) -> None:
    assert holds(matcher, **values) is expected
    assert holds(~matcher, **values) is not expected
    assert not matcher.reads_prefix


def test_ipv6_extended_communities_match() -> None:
    octets = parse_extended("rt:[2001:db8::1]:9")
    made = {"extra": {T.IPV6_EXTENDED_COMMUNITIES: octets}}
    assert holds(match.extended_community("rt:[2001:db8::1]:*"), **made)
    assert holds(match.extended_community("rt:[2001:db8:0::1]:9"), **made)
    assert not holds(match.extended_community("rt:[2001:db8::2]:*"), **made)


@pytest.mark.parametrize(
    ("matcher", "prefix", "expected"),
    [
        (match.prefix_in(["10.0.0.0/8 ge 24"]), "10.1.2.0/24", True),
        (match.prefix_in(["10.0.0.0/8 ge 24"]), "10.1.0.0/16", False),
        (match.prefix_in(["2001:db8::/32 le 48"]), "2001:db8:1::/48", True),
        (match.prefix_length((25, 32)), "10.1.2.0/25", True),
        (match.prefix_length(24), "10.1.2.0/25", False),
    ],
)
def test_matchers_of_prefixes(matcher: match.Match, prefix: str, expected: bool) -> None:
    assert matcher.reads_prefix
    assert holds(matcher, prefix) is expected
    with pytest.raises(ValueError, match="was given none"):
        holds(matcher)


def test_matchers_combine() -> None:
    one, two = match.med(1), match.local_pref(2)
    for med in (1, 9):
        for pref in (2, 9):
            values = {"med": med, "local_pref": pref}
            assert holds(one & two, **values) is (med == 1 and pref == 2)
            assert holds(one | two, **values) is (med == 1 or pref == 2)
            assert holds(~one & ~two, **values) is not holds(one | two, **values)
    assert (one & match.prefix_length(3)).reads_prefix
    assert (match.prefix_length(3) | one).reads_prefix
    assert not (one & two).reads_prefix
    assert (~match.prefix_length(3)).reads_prefix


def test_matchers_are_values() -> None:
    def made() -> match.Match:
        return (match.community("65000:*") & ~match.as_path("^1")) | match.prefix_in(["10.0.0.0/8"])

    assert made() == made() and hash(made()) == hash(made())
    assert made() != made() & match.ANY
    assert match.med(5) != match.med(6)
    assert match.med(5) != match.local_pref(5)
    assert str(made()) == '((community 65000:* and not AS path "^1") or prefix 10.0.0.0/8)'


@pytest.mark.parametrize(
    "make",
    [
        lambda: match.med((5, 4)),
        lambda: match.as_path("("),
        lambda: match.community("65536:1"),
        lambda: match.community("65000:9-3"),
        lambda: match.community("65000:1:*"),
        lambda: match.large_community("65000:1"),
        lambda: match.extended_community("rt:*"),
        lambda: match.prefix_in(["10.0.0.0/33"]),
    ],
)
def test_bad_matchers(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


# --- Patterns of AS_PATHs -------------------------------------------------------------------------------

atoms = st.sampled_from(("1", "2", "3", ".", "1-2", "2-9"))


def patterns() -> st.SearchStrategy[tuple[str, str]]:
    """Pairs of a pattern and the same as a regular expression over `<1><2>`."""
    numbers = {"1": "<1>", "2": "<2>", "3": "<3>", ".": "<.>", "1-2": "<[12]>", "2-9": "<[2-9]>"}
    ends = st.sampled_from((("^", "^"), ("$", r"\Z")))
    leaves = atoms.map(lambda atom: (atom, f"(?:{numbers[atom]})")) | ends

    def grow(parts: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
        repeats = st.tuples(parts, st.sampled_from(("*", "+", "?", "{2}", "{1,}", "{0,2}"))).map(
            lambda item: (f"({item[0][0]}){item[1]}", f"(?:{item[0][1]}){item[1]}")
        )
        either = st.tuples(parts, parts).map(
            lambda item: (f"({item[0][0]} | {item[1][0]})", f"(?:{item[0][1]}|{item[1][1]})")
        )
        joined = st.tuples(parts, parts).map(
            lambda item: (f"{item[0][0]} {item[1][0]}", item[0][1] + item[1][1])
        )
        return repeats | either | joined

    return st.recursive(leaves, grow, max_leaves=6)


@given(patterns(), st.lists(st.lists(st.integers(1, 4), max_size=6), min_size=1, max_size=8))
def test_patterns_match_what_python_does(pair: tuple[str, str], paths: list[list[int]]) -> None:
    pattern, expression = Pattern(pair[0]), re.compile(pair[1])
    for asns in paths:
        text = "".join(f"<{asn}>" for asn in asns)
        found = expression.search(text) is not None
        assert pattern.search(tuple((asn,) for asn in asns)) is found, (pair, text)


@given(patterns(), st.lists(st.sets(st.integers(1, 4), min_size=1, max_size=3), max_size=4))
def test_a_set_is_a_place_that_matches_by_any_member(pair: tuple[str, str], path: list[set[int]]) -> None:
    expression = re.compile(pair[1])
    expected = any(
        expression.search("".join(f"<{asn}>" for asn in chosen)) is not None for chosen in product(*path)
    )
    assert Pattern(pair[0]).search(tuple(map(tuple, path))) is expected


def test_places_of_a_path() -> None:
    path = aspath.parse_text("(65001 65002) 1 2 {3,4} [9]")
    assert places(path) == ((1,), (2,), (3, 4))
    long = (Segment(SegmentType.AS_SEQUENCE, (7,) * 255), Segment(SegmentType.AS_SEQUENCE, (8,)))
    assert Pattern("^7{255} 8$").search(places(long))


def test_a_pattern_costs_no_more_than_the_path_is_long() -> None:
    """What sends a backtracking engine to the end of days is read in one pass."""
    assert not Pattern("^(1* 1*)* (1+)+ 2$").search(((1,),) * 2000)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("(1", "a ( without its )"),
        ("1)", "a ) without its ("),
        ("*", "nothing before it"),
        ("1 | +", "nothing before it"),
        ("_65000_", "'_' means nothing"),
        ("4294967296", "no AS number"),
        ("9-3", "no AS number or range"),
        ("1{3,2}", "no number of times"),
        (".{4000}{4000}", "too large"),
    ],
)
def test_bad_patterns(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)):
        Pattern(text)


# --- Patterns of communities --------------------------------------------------------------------------

halves = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)).map(sorted)


@given(halves, halves, st.integers(0, 0xFFFFFFFF))
def test_community_ranges(high: list[int], low: list[int], value: int) -> None:
    pattern = community_pattern(f"{high[0]}-{high[1]}:{low[0]}-{low[1]}")
    for asked in (value, high[0] << 16 | low[1], high[1] << 16 | low[0]):
        inside = high[0] <= asked >> 16 <= high[1] and low[0] <= asked % 65536 <= low[1]
        assert pattern.matches(asked) is inside


@given(st.tuples(*[st.integers(0, 0xFFFFFFFF)] * 3), st.tuples(*[st.booleans()] * 3))
def test_large_wildcards(value: tuple[int, int, int], wild: tuple[bool, bool, bool]) -> None:
    text = ":".join("*" if any_ else str(part) for part, any_ in zip(value, wild, strict=True))
    pattern = large_pattern(text)
    assert pattern.matches(value)
    other = tuple(part ^ 1 for part in value)
    assert pattern.matches(other) is all(wild)  # type: ignore[arg-type]


@given(st.binary(min_size=8, max_size=8), st.integers(0, 8))
def test_extended_by_octets(octets: bytes, count: int) -> None:
    pattern = extended_pattern(f"0x{octets[:count].hex()}*")
    assert pattern.matches(octets)
    if count:
        assert not pattern.matches(bytes((octets[0] ^ 1,)) + octets[1:])


# --- Changes --------------------------------------------------------------------------------------------


def test_single_values() -> None:
    made = changed(
        change.local_pref(300),
        change.med(7),
        change.origin(Origin.EGP),
        change.atomic_aggregate(),
        change.aggregator(64500, "192.0.2.9"),
        as_path="1 2",
        med=1,
    )
    assert (made.local_pref, made.med, made.origin, made.atomic_aggregate) == (300, 7, 1, True)
    assert made.aggregator is not None and made.aggregator[0] == 64500
    assert aspath.text(made.as_path) == "1 2"
    bare = changed(change.med(None), change.atomic_aggregate(False), med=1, atomic_aggregate=True)
    assert bare.med is None and not bare.atomic_aggregate


@pytest.mark.parametrize(
    ("amount", "pref", "med"), [(5, 105, 5), (-50, 50, 0), (-500, 0, 0), (1 << 32, 0xFFFFFFFF, 0xFFFFFFFF)]
)
def test_sums_stay_within_bounds(amount: int, pref: int, med: int) -> None:
    made = changed(change.add_local_pref(amount), change.add_med(amount))
    assert (made.local_pref, made.med) == (pref, med)


def test_as_path() -> None:
    assert aspath.text(changed(change.prepend(1, 2, 2), as_path="3").as_path) == "1 2 2 3"
    assert aspath.text(changed(change.prepend(1), as_path="{3}").as_path) == "1 {3}"
    assert aspath.text(changed(change.as_path("7 {8,9}"), as_path="3").as_path) == "7 {8,9}"
    for make in (
        lambda: change.prepend(0),
        lambda: change.as_path("1 0"),
        lambda: change.aggregator(0, "1.1.1.1"),
    ):
        with pytest.raises(ValueError, match="RFC 7607"):
            make()


def test_communities() -> None:
    values = {"communities": (1, 2, 65000 << 16 | 5)}
    assert changed(change.add_communities("0:2", "0:3"), **values).communities == (1, 2, 65000 << 16 | 5, 3)
    assert changed(change.set_communities(9, 9), **values).communities == (9,)
    assert changed(change.remove_communities("65000:*", 1), **values).communities == (2,)
    assert changed(change.remove_communities("*:*"), **values).get(T.COMMUNITIES) is None
    assert changed(change.set_communities(), **values).get(T.COMMUNITIES) is None
    large = {"large_communities": ((1, 2, 3), (4, 5, 6))}
    assert changed(change.add_large_communities("1:2:3", (7, 8, 9)), **large).large_communities == (
        (1, 2, 3), (4, 5, 6), (7, 8, 9),
    )  # fmt: skip
    assert changed(change.remove_large_communities("1:*:*"), **large).large_communities == ((4, 5, 6),)
    assert changed(change.set_large_communities("1:1:1"), **large).large_communities == ((1, 1, 1),)
    extended = {"extended_communities": EXTENDED}
    added = changed(change.add_extended_communities("rt:1:1", "rt:[2001:db8::1]:1"), **extended)
    assert added.extended_communities == (*EXTENDED, parse_extended("rt:1:1"))
    assert added.get(T.IPV6_EXTENDED_COMMUNITIES) == parse_extended("rt:[2001:db8::1]:1")
    assert (
        changed(change.remove_extended_communities("rt:*:*"), **extended).extended_communities == EXTENDED[2:]
    )
    assert changed(change.set_extended_communities("ro:1:1"), **extended).extended_communities == (
        parse_extended("ro:1:1"),
    )


def test_any_other_attribute() -> None:
    aigp = b"\x01\x00\x0b" + bytes(7) + b"\x05"
    made = changed(change.attribute(T.AIGP, aigp))
    assert made.get(T.AIGP) == aigp
    assert made.items()[-1][0] == 0x80
    assert changed(change.remove(T.AIGP), extra={T.AIGP: aigp}).get(T.AIGP) is None


@pytest.mark.parametrize("type", [T.ORIGINATOR_ID, T.CLUSTER_LIST, T.ONLY_TO_CUSTOMER])
def test_what_no_policy_may_touch(type: AttributeType) -> None:
    """RFC 4456 section 10, RFC 9234 section 5."""
    for make in (lambda: change.attribute(type, bytes(4)), lambda: change.remove(type)):
        with pytest.raises(ValueError, match="no policy may set it"):
            make()
    for made in (
        path(extra={type: bytes((0, 0, 0, 9))}),
        path(),
    ):
        for value in (None, bytes((0, 0, 0, 8))):
            other = table.derive(made.attributes, {type: value, T.MULTI_EXIT_DISC: bytes(4)})
            if other.get(type) != made.attributes.get(type):
                with pytest.raises(ValueError, match=f"must not change {type.name}"):
                    ask(lambda _, other=other: other, made, None)  # type: ignore[misc]


def test_a_function_cannot_prepend_as_0() -> None:
    bad = aspath.encode((Segment(SegmentType.AS_SEQUENCE, (0, 1)),))
    made = path(as_path="1")
    with pytest.raises(ValueError, match="RFC 7607"):
        ask(lambda path: table.derive(path.attributes, {T.AS_PATH: bad}), made, None)
    fine = aspath.encode((Segment(SegmentType.AS_SEQUENCE, (256 << 16, 256)),))  # zero octets side by side
    assert ask(lambda path: table.derive(path.attributes, {T.AS_PATH: fine}), made, None) is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda: change.local_pref(-1),
        lambda: change.med(1 << 32),
        lambda: change.attribute(T.ORIGIN, b"\x03"),
        lambda: change.attribute(T.MULTI_EXIT_DISC, b"\x03"),
        lambda: change.attribute(200, b""),
        lambda: change.attribute(T.AGGREGATOR, bytes(33)),
        lambda: change.attribute(T.AGGREGATOR, bytes(4) + b"\x0a\x00\x00\x01"),
        lambda: change.attribute(T.ATOMIC_AGGREGATE, b"\x01"),
        lambda: change.attribute(T.AIGP, b"\x02\x00\x0b" + bytes(8)),
        lambda: change.remove(T.ORIGIN),
        lambda: change.remove(T.AS_PATH),
        lambda: change.add_communities("x"),
        lambda: change.add_large_communities("1:2"),
        lambda: change.add_extended_communities(b"123"),
        lambda: change.next_hop("somewhere"),
    ],
)
def test_bad_changes(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


def test_next_hop() -> None:
    def answer(*changes: change.Change) -> object:
        return Rules("test", [Term("only", match.ANY, changes, ACCEPT)])(path())

    moved = answer(change.next_hop("192.0.2.9"))
    assert isinstance(moved, Accepted) and moved.attributes.next_hop == bytes((192, 0, 2, 9))
    assert moved.chosen == {T.NEXT_HOP}
    kept = answer(change.next_hop_keep())
    assert isinstance(kept, Accepted) and kept.attributes.next_hop == bytes((10, 9, 0, 9))
    ours = answer(change.next_hop("192.0.2.9"), change.next_hop_self())
    assert isinstance(ours, Attributes) and ours.next_hop == b""


def test_what_changes_nothing_gives_the_very_same_attributes() -> None:
    made = path(local_pref=100)
    rules = Rules("test", [Term("only", match.ANY, (change.local_pref(100),), ACCEPT)])
    assert rules(made) is made.attributes
    again = Rules("test", [Term("only", match.ANY, (change.local_pref(7),), ACCEPT)])
    first = again(made)
    assert again(made) is first


# --- Rules ----------------------------------------------------------------------------------------------


def test_terms_in_their_order() -> None:
    rules = Rules(
        "edge",
        [
            Term("mark", match.med(5), (change.add_communities(7),), NEXT),
            Term("marked", match.community(7), (change.local_pref(50),), ACCEPT),
            Term("bad", match.as_path("666"), (), REFUSE),
            Term("rest", match.local_pref((1, 1000)), (), ACCEPT),
        ],
    )
    made = rules(path(med=5, as_path="666"))
    assert isinstance(made, Attributes) and (made.local_pref, made.communities) == (50, (7,))
    refused = rules(path(as_path="1 666"))
    assert isinstance(refused, Refusal)
    assert str(refused) == 'term "bad" of policy "edge" refuses it (RFC 4271 9.1.1)'
    assert rules(path(as_path="1 666", med=4)) is refused
    assert isinstance(rules(path(local_pref=10)), Attributes)
    end = rules(path())
    assert isinstance(end, Refusal) and end.text == 'no term of policy "edge" accepts it'
    assert isinstance(Rules("open", [], ACCEPT)(path()), Attributes)
    trace = rules.trace(path(med=5, as_path="666"))
    assert (trace.matched, trace.decided, trace.accepted) == (("mark", "marked"), "marked", True)
    assert str(trace) == 'policy "edge" accepts it by term "marked"'
    assert str(rules.trace(path())) == 'policy "edge" refuses it by the default, for no term decided'


def test_rules_are_values_and_know_what_they_read() -> None:
    def made(length: int = 24) -> Rules:
        return Rules("r", [Term("t", match.prefix_length(length), (change.med(1),), ACCEPT)])

    assert made() == made() and hash(made()) == hash(made())
    assert made() != made(25)
    assert made().reads_prefix
    assert not Rules("r", [Term("t")]).reads_prefix
    with pytest.raises(ValueError, match="different names"):
        Rules("r", [Term("t"), Term("t")])
    with pytest.raises(ValueError, match="no next one"):
        Rules("r", [], NEXT)


def test_functions() -> None:
    @function(reads_prefix=True)
    def no_default(path: Path, prefix: bytes) -> Attributes | None:
        return None if prefix[0] == 0 else path.attributes

    assert no_default.reads_prefix
    made = path()
    refused = no_default(made, b"\x00")
    assert isinstance(refused, Refusal) and refused.text == 'policy "no_default" refuses it'
    accepted = ask(no_default, made, b"\x08\x0a")
    assert isinstance(accepted, Accepted) and accepted.attributes is made.attributes
    plain = function(name="plain")(ACCEPT_ALL)
    assert not plain.reads_prefix and plain.name == "plain"
    with pytest.raises(ValueError, match="answers with"):
        ask(lambda path: "yes", made, None)  # type: ignore[arg-type,return-value]


def test_a_matcher_and_a_change_by_function() -> None:
    rules = Rules(
        "mine",
        [
            Term(
                "odd",
                match.where(lambda route: bool(route.attributes.as_path_length % 2), "odd"),
                (change.apply(lambda route: route.set(T.MULTI_EXIT_DISC, bytes(4)), "zero"),),
                ACCEPT,
            )
        ],
    )
    made = rules(path(as_path="1"))
    assert isinstance(made, Attributes) and made.med == 0
    assert isinstance(rules(path(as_path="1 2")), Refusal)
    assert str(rules.terms[0]) == "odd: if odd: zero; accept"


# --- Well-known communities -------------------------------------------------------------------------------


def test_graceful_shutdown() -> None:
    """RFC 8326 section 4: LOCAL_PREF 0 for what an external peer marks."""
    rules = Rules("import", [known.graceful_shutdown(), Term("rest", match.ANY, (), ACCEPT)])
    marked = {"communities": (WellKnownCommunity.GRACEFUL_SHUTDOWN,), "local_pref": 200}
    for kind, expected in ((Kind.EXTERNAL, 0), (Kind.CLIENT, 200)):
        made = rules(path(kind=kind, **marked))
        assert isinstance(made, Attributes) and made.local_pref == expected
    leaving = Rules("export", [known.shutting_down()], ACCEPT)(path())
    assert isinstance(leaving, Attributes)
    assert leaving.communities == (WellKnownCommunity.GRACEFUL_SHUTDOWN,)


def test_blackhole() -> None:
    """RFC 7999 section 3.3: within what the neighbor may announce, and nothing else."""
    rules = Rules("import", [*known.blackhole(["192.0.2.0/24 le 32"], "192.0.2.254")], ACCEPT)
    marked = {"communities": (WellKnownCommunity.BLACKHOLE,)}
    assert rules.reads_prefix
    made = rules(path(**marked), parse("192.0.2.7/32")[1])
    assert isinstance(made, Accepted)
    assert set(made.attributes.communities) == {WellKnownCommunity.BLACKHOLE, WellKnownCommunity.NO_EXPORT}
    assert made.attributes.next_hop == bytes((192, 0, 2, 254))
    other = rules(path(**marked), parse("198.51.100.7/32")[1])
    assert isinstance(other, Refusal) and "blackhole-not-allowed" in other.text
    assert isinstance(rules(path(), parse("198.51.100.7/32")[1]), Attributes)


def test_no_peer() -> None:
    """RFC 3765: not across a bilateral peering."""
    rules = Rules("export", [known.no_peer()], ACCEPT)
    assert isinstance(rules(path(communities=(WellKnownCommunity.NO_PEER,))), Refusal)
    assert isinstance(rules(path()), Attributes)


def test_a_path_of_no_known_family_is_an_error_and_not_a_guess() -> None:
    source = Source("p", Kind.CLIENT, 1, bytes(4))
    assert source.family is None
    rules = Rules("r", [Term("t", match.prefix_in(["10.0.0.0/8"]))])
    with pytest.raises(ValueError, match="which family"):
        rules(make_path(), b"\x08\x0a")
