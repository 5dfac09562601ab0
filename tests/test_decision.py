"""The decision ladder: each rung decides alone and beats all rungs below it, in any order of arrival."""

from itertools import combinations, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import address, path, table

from bgp.iana import AttributeType, Origin, WellKnownCommunity
from bgp.rib.admission import POLICY
from bgp.rib.decision import Decision, DecisionOptions
from bgp.rib.path import Kind, Path
from bgp.wire.attributes import DEFAULT_LOCAL_PREF

ORIGINATOR_ID, CLUSTER_LIST, AIGP = (
    AttributeType.ORIGINATOR_ID,
    AttributeType.CLUSTER_LIST,
    AttributeType.AIGP,
)

DEFAULT = Decision()
LADDER, USABLE = DEFAULT.ladder, DEFAULT.ladder[0]
best, decided, explain = DEFAULT.best, DEFAULT.decided, DEFAULT.explain

# All that changes the ladder, in all combinations.
OPTIONS = [
    DecisionOptions(**dict(zip(names, values, strict=True)))
    for names in [
        ("always_compare_med", "med_missing_as_worst", "ignore_as_path_length", "prefer_oldest", "aigp")
    ]
    for values in product((False, True), repeat=len(names))
]
ALL = DecisionOptions(prefer_oldest=True)  # every rung is used


def chosen(options: DecisionOptions) -> str:
    """Return a name for a test."""
    names = [name for name in DecisionOptions.__slots__ if getattr(options, name) is True]
    return "+".join(names) or "none"


# What makes a path better or worse in one rung and equal in all others.  "aigp" stands for the sum of AIGP
# and interior cost.
Values = dict[str, object]
BETTER: dict[str, Values] = {
    "stale": {"communities": ()},
    "local-pref": {"local_pref": 200},
    "aigp": {"aigp": 10},
    "as-path-length": {"as_path": "64500"},
    "origin": {"origin": Origin.IGP},
    "med": {"med": 1},
    "external": {"kind": Kind.EXTERNAL},
    "interior-cost": {"cost": 1},
    "oldest": {"age": 1},
    "identifier": {"identifier": 1},
    "cluster-list": {"clusters": 1},
    "peer-address": {"remote": "10.0.0.1"},
    "path-id": {"path_id": 1},
}
WORSE: dict[str, Values] = {
    "stale": {"communities": (WellKnownCommunity.LLGR_STALE,)},
    "local-pref": {"local_pref": 100},
    "aigp": {"aigp": 20},
    "as-path-length": {"as_path": "64500 64501"},
    "origin": {"origin": Origin.INCOMPLETE},
    "med": {"med": 2},
    "external": {"kind": Kind.CLIENT},
    "interior-cost": {"cost": 2},
    "oldest": {"age": 2},
    "identifier": {"identifier": 2},
    "cluster-list": {"clusters": 2},
    "peer-address": {"remote": "10.0.0.2"},
    "path-id": {"path_id": 2},
}
# The same for rungs that options change.
NO_AIGP: Values = {"aigp": None}
NO_MED: Values = {"med": None}
OTHER_AS = {1: "64500 64502", 2: "64501 64502"}  # by MED: compared whatever the neighboring AS


def build(values: Values) -> Path:
    values = dict(values)
    extra = {CLUSTER_LIST: bytes(4 * values.pop("clusters"))}  # type: ignore[operator]
    aigp = values.pop("aigp")
    if aigp is not None:
        metric = aigp - values["cost"]  # type: ignore[operator]
        extra[AIGP] = b"\x01\x00\x0b" + metric.to_bytes(8, "big")
    return path(extra=extra, **values)  # type: ignore[arg-type]


def rungs(options: DecisionOptions) -> list[str]:
    return [rung.name for rung in Decision(options).ladder if rung is not USABLE][1:]


def contender(rung: str, options: DecisionOptions, *, better: bool) -> Values:
    """Return a path that is equal above `rung`, better or worse in it, and the reverse in all below.

    So it is in the rungs that the options leave out, too.
    """
    values: Values = {}
    used = rungs(options)
    for name in BETTER:
        above = name in used and used.index(name) < used.index(rung)
        wins = better if name == rung else not better
        values.update(BETTER[name] if above or wins else WORSE[name])
    return values


def test_the_tables_of_this_test_cover_the_ladder() -> None:
    assert [*BETTER] == [*WORSE] == rungs(ALL)
    assert [rung.number for rung in Decision(ALL).ladder] == list(range(1, len(BETTER) + 2))


@pytest.mark.parametrize("options", OPTIONS, ids=chosen)
def test_a_rung_keeps_its_number_under_all_options(options: DecisionOptions) -> None:
    numbers = {rung.name: rung.number for rung in Decision(ALL).ladder}
    used = {rung.name: rung.number for rung in Decision(options).ladder}
    assert used.items() <= numbers.items()
    unused = {
        "aigp": options.aigp,
        "as-path-length": not options.ignore_as_path_length,
        "oldest": options.prefer_oldest,
    }
    assert numbers.keys() - used.keys() == {name for name, there in unused.items() if not there}


def check_pair(decision: Decision, winner: Path, loser: Path, rung: str) -> None:
    for paths in ((winner, loser), (loser, winner)):
        assert decision.best(paths) is winner
        assert decision.decided(paths)[0] is winner
        assert decision.ranked(paths) == (winner, loser)
        first, second = decision.explain(paths)
        assert first.path is winner and first.best and str(first) == "best"
        assert second.path is loser and not second.best
        assert second.rung is not None and second.rung.name == rung
        assert second.rung.section in str(second)


@pytest.mark.parametrize("options", OPTIONS, ids=chosen)
def test_each_rung_decides_against_all_below(options: DecisionOptions) -> None:
    decision = Decision(options)
    for rung in rungs(options):
        winner, loser = (contender(rung, options, better=better) for better in (True, False))
        check_pair(decision, build(winner), build(loser), rung)
        if rung == "aigp":
            check_pair(decision, build(winner), build({**loser, **NO_AIGP}), rung)
        if rung == "med" and options.med_missing_as_worst:
            check_pair(decision, build(winner), build({**loser, **NO_MED}), rung)
        elif rung == "med":
            check_pair(decision, build({**winner, **NO_MED}), build(loser), rung)
        if rung == "med" and options.always_compare_med:
            pair = [build({**values, "as_path": OTHER_AS[values["med"]]}) for values in (winner, loser)]  # type: ignore[index]
            check_pair(decision, *pair, rung)


@pytest.mark.parametrize("options", OPTIONS, ids=chosen)
def test_a_higher_rung_outweighs_a_lower_one(options: DecisionOptions) -> None:
    decision = Decision(options)
    worst = {key: value for name in BETTER for key, value in WORSE[name].items()}
    if options.prefer_oldest:
        worst |= BETTER["external"]  # age is of external paths only
    for higher, lower in combinations(rungs(options), 2):
        if options.prefer_oldest and "external" in (higher, lower):
            continue
        winner, loser = {**worst, **BETTER[higher]}, {**worst, **BETTER[lower]}
        if "oldest" in (higher, lower) and "identifier" not in (higher, lower):
            winner["identifier"], loser["identifier"] = 2, 1
        check_pair(decision, build(winner), build(loser), higher)


def test_a_refused_path_never_wins() -> None:
    good, refused = path(local_pref=1), path(local_pref=1000)
    refused.refusal = POLICY
    assert best((refused, good)) is good is decided((refused, good))[0]
    verdict = explain((refused, good))[1]
    assert verdict.path is refused and verdict.rung is USABLE
    assert str(verdict) == f"refused: {POLICY}"


def test_none_is_best_where_all_are_refused() -> None:
    paths = (path(peer="a"), path(peer="b"))
    for one in paths:
        one.refusal = POLICY
    assert best(paths) is None
    assert decided(paths) is paths
    assert all(not verdict.best for verdict in explain(paths))
    assert explain(()) == () and best(()) is None


def test_a_missing_local_pref_is_the_default() -> None:
    without, equal = path(identifier=1), path(identifier=2, local_pref=DEFAULT_LOCAL_PREF)
    assert best((equal, without)) is without
    assert best((path(local_pref=DEFAULT_LOCAL_PREF + 1, identifier=9), without)) is not without


def test_sets_count_one_and_confederations_nothing() -> None:
    sequence = path(as_path="64500 64501 64502", identifier=1)
    with_set = path(as_path="64500 {64501,64502,64503}", identifier=2)
    inside = path(as_path="(65001 65002 65003) 64500", identifier=3)
    assert best((sequence, with_set)) is with_set
    assert best((sequence, with_set, inside)) is inside


def test_a_missing_med_is_zero() -> None:
    without = path(as_path="64500", identifier=9)
    assert best((path(as_path="64500", med=1, identifier=1), without)) is without


def test_med_is_compared_within_a_neighboring_as_only() -> None:
    left, right = path(as_path="64500", med=9, identifier=1), path(as_path="64501", med=1, identifier=2)
    assert best((right, left)) is left
    assert best((path(as_path="64501", identifier=3), right, left)) is left


def test_internal_paths_without_sequence_share_a_neighbor() -> None:
    # RFC 4271 9.1.2.2 c: "the neighboring AS is the local AS".
    assert best((path(med=2, identifier=1), low := path(med=1, identifier=2))) is low
    assert (
        best((path(as_path="{64500}", med=2, identifier=1), low2 := path(as_path="{64501}", identifier=2)))
        is low2
    )


def test_med_eliminates_over_the_set_not_pairwise() -> None:
    # The path of 64500 with the higher MED would beat 64501's by identifier, but is out before.
    a = path(peer="a", as_path="64500", med=10, identifier=1)
    b = path(peer="b", as_path="64501", med=0, identifier=2)
    c = path(peer="c", as_path="64500", med=5, identifier=3)
    for order in permutations((a, b, c)):
        assert best(order) is b is decided(order)[0]
    verdicts = {verdict.path: verdict.rung.name for verdict in explain((a, b, c)) if verdict.rung}
    assert verdicts == {a: "med", c: "identifier"}


def test_originator_id_stands_for_the_identifier() -> None:
    reflected = path(identifier=1, extra={ORIGINATOR_ID: address("0.0.0.9")})
    assert best((reflected, own := path(identifier=5))) is own


def test_addresses_of_both_versions_compare() -> None:
    assert best((path(remote="2001:db8::1"), four := path(remote="10.0.0.1"))) is four


def test_a_path_without_path_identifier_comes_first() -> None:
    assert best((path(path_id=0), plain := path())) is plain


def test_the_peer_name_is_the_last_resort() -> None:
    # Two sessions with one peer address: nothing else of theirs need differ.
    assert best((path(peer="b"), first := path(peer="a"))) is first


NEIGHBORS = ("", "64500", "64501", "64500 64501", "64501 64502", "64500 {64501}", "(65001) 64500", "(65001)")


@st.composite
def contenders(draw: st.DrawFn) -> list[Path]:
    paths = []
    for number in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from((*Kind, Kind.EXTERNAL)))
        extra = {CLUSTER_LIST: bytes(4)} if draw(st.booleans()) else {}
        aigp = draw(st.sampled_from((None, None, None, 0, 1)))
        if aigp is not None:
            extra[AIGP] = b"\x01\x00\x0b" + aigp.to_bytes(8, "big")
        stale = draw(st.integers(0, 5)) == 0
        one = path(
            peer=f"p{number}",
            kind=kind,
            identifier=draw(st.integers(1, 3)),
            remote=f"10.0.0.{draw(st.integers(1, 3))}",
            cost=draw(st.integers(0, 1)),
            age=draw(st.integers(1, 3)),
            as_path=draw(st.sampled_from(NEIGHBORS)),
            origin=draw(st.integers(0, 1)),
            med=draw(st.sampled_from((None, 0, 1, 2, 0xFFFFFFFF))),
            local_pref=draw(st.sampled_from((None, None, 100, 101))),
            communities=(WellKnownCommunity.LLGR_STALE,) if stale else (),
            extra=extra,
        )
        if draw(st.integers(0, 5)) == 0:
            one.refusal = POLICY
        paths.append(one)
    return paths


options = st.sampled_from(OPTIONS)


@settings(max_examples=200)
@given(contenders(), options, st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_nothing_to_the_result(
    paths: list[Path], options: DecisionOptions, random: object
) -> None:
    """With prefer-oldest, too: there age is of the paths, not of their order."""
    decision = Decision(options)
    winner, ranked, equal = decision.best(paths), decision.ranked(paths), decision.equal(paths)
    lost = {verdict.path: verdict.rung for verdict in decision.explain(paths)}
    orders = list(permutations(paths)) if len(paths) < 5 else [tuple(paths)]
    for _ in range(10):
        random.shuffle(paths)  # type: ignore[attr-defined]
        orders.append(tuple(paths))
    for order in orders:
        assert decision.best(order) is winner
        result = decision.decided(order)
        assert set(result) == set(order) and len(result) == len(order)
        if winner is not None:
            assert result[0] is winner
        verdicts = decision.explain(order)
        assert [verdict.path for verdict in verdicts if verdict.best] == ([winner] if winner else [])
        assert {verdict.path: verdict.rung for verdict in verdicts} == lost
        assert decision.ranked(order) == ranked and decision.equal(order) == equal


@settings(max_examples=200)
@given(contenders(), options)
def test_ranked_is_elimination_again_and_again(paths: list[Path], options: DecisionOptions) -> None:
    decision = Decision(options)
    left, expected = [one for one in paths if one.usable], []
    while left:
        expected.append(decision.best(left))
        left = [one for one in left if one is not expected[-1]]
    assert list(decision.ranked(paths)) == expected
    for number in range(len(paths) + 1):
        assert list(decision.ranked(paths, number)) == expected[:number]


@settings(max_examples=200)
@given(contenders(), options)
def test_equal_paths_are_those_that_fall_behind_the_interior_cost(
    paths: list[Path], options: DecisionOptions
) -> None:
    decision = Decision(options)
    cost = next(rung.number for rung in decision.ladder if rung.name == "interior-cost")
    verdicts = decision.explain(paths)
    equal = decision.equal(paths)
    assert set(equal) == {each.path for each in verdicts if each.rung is None or each.rung.number > cost}
    best = decision.best(paths)
    assert equal[:1] == (() if best is None else (best,))
    # In the order in which each would be the best without those before it.
    assert decision.ranked(equal) == equal


@settings(max_examples=200)
@given(contenders(), options)
def test_a_loser_of_an_early_rung_changes_nothing(paths: list[Path], options: DecisionOptions) -> None:
    """Who loses before MED could be left out; the paths that are compared by MED could not."""
    decision = Decision(options)
    winner = decision.best(paths)
    med = next(rung.number for rung in decision.ladder if rung.name == "med")
    for verdict in decision.explain(paths):
        if verdict.rung is not None and verdict.rung.number < med:
            assert decision.best([one for one in paths if one is not verdict.path]) is winner


def test_med_triangle_in_all_orders_under_all_options() -> None:
    for options in OPTIONS:
        decision = Decision(options)
        for meds in product((None, 5, 10), repeat=3):
            three = [
                path(
                    peer=f"m{n}", kind=Kind.EXTERNAL, as_path=f"{asn} 64999", med=med, identifier=n, age=4 - n
                )
                for n, asn, med in zip((1, 2, 3), (64500, 64501, 64500), meds, strict=True)
            ]
            winners = {decision.best(order) for order in permutations(three)}
            winners |= {decision.decided(order)[0] for order in permutations(three)}
            assert len(winners) == 1


def test_stale_paths_are_the_last_resort() -> None:
    stale = path(local_pref=500, communities=(WellKnownCommunity.LLGR_STALE,))
    assert best((stale, fresh := path(local_pref=1, as_path="1 2 3"))) is fresh
    other = path(local_pref=400, communities=(1, WellKnownCommunity.LLGR_STALE))
    assert best((other, stale)) is stale, "among stale ones the rest of the ladder decides"


def test_octets_that_look_like_a_community_are_none() -> None:
    one = path(extended_communities=(b"\x00\x02\xff\xff\x00\x06\x00\x1a",))
    assert one.attributes.stale is False and one.attributes.aigp is None
    assert one.attributes.degree is not None


def test_aigp_adds_up_with_the_interior_cost() -> None:
    def with_aigp(metric: int, cost: int, **values: object) -> Path:
        tlvs = b"\x09\x00\x04\x07" + b"\x01\x00\x0b" + metric.to_bytes(8, "big") + b"\x01\x00\x0b" + bytes(8)
        return path(cost=cost, extra={AIGP: tlvs}, **values)  # type: ignore[arg-type]

    near, far = with_aigp(20, 1, as_path="1 2 3"), with_aigp(10, 20)
    assert near.attributes.aigp == 20, "the first AIGP TLV counts (RFC 7311 section 3)"
    assert best((far, near)) is near is decided((far, near))[0]
    # "no matter what the value": RFC 7311 section 5; and not before LOCAL_PREF.
    largest = with_aigp(2**64 - 2, 2**32)
    assert best((path(), largest)) is largest
    assert best((path(local_pref=101), largest)) is not largest
    assert Decision(DecisionOptions(aigp=False)).decided((far, near))[0] is far
    empty = path(extra={AIGP: b"\x09\x00\x03"})
    assert empty.attributes.aigp is None


def test_other_members_of_the_confederation_are_internal() -> None:
    # RFC 5065 section 5.3.
    member, client = path(kind=Kind.CONFEDERATION, identifier=1), path(identifier=2)
    assert best((client, member)) is member, "told apart by a later rung"
    for kind in (Kind.EXTERNAL, Kind.ROUTE_SERVER_CLIENT):
        outside = path(kind=kind, identifier=9)
        assert best((member, client, outside)) is outside


def test_a_path_of_confederation_segments_alone_is_of_the_local_as() -> None:
    # RFC 5065 sections 5.2 and 5.3.
    low = path(as_path="(65002)", med=1, identifier=2)
    assert best((path(as_path="(65001)", med=2, identifier=1), low)) is low
    assert best((path(as_path="", med=2, identifier=1), low)) is low
    behind = path(as_path="(65002) 64500", med=1, identifier=2)
    assert best((path(as_path="64500", med=2, identifier=1), behind)) is behind
    other = path(as_path="(65002) 64501", med=2, identifier=1)
    assert best((other, behind)) is other


def test_ladder_of_one_path_is_trivial() -> None:
    lone = path()
    assert best((lone,)) is lone and decided((lone,)) == (lone,)
    assert table.intern(lone.attributes.octets, lone.attributes.next_hop) is lone.attributes
