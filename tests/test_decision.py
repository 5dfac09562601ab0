"""The decision ladder: each rung decides alone and beats all rungs below it, in any order of arrival."""

from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import address, path, table

from bgp.iana import AttributeType, Origin
from bgp.rib.admission import POLICY
from bgp.rib.decision import DEFAULT_LOCAL_PREF, LADDER, USABLE, best, decided, explain
from bgp.rib.path import Kind, Path

ORIGINATOR_ID, CLUSTER_LIST = AttributeType.ORIGINATOR_ID, AttributeType.CLUSTER_LIST

# What makes a path better or worse in one rung and equal in all others.
BETTER: dict[str, dict[str, object]] = {
    "local-pref": {"local_pref": 200},
    "as-path-length": {"as_path": "64500"},
    "origin": {"origin": Origin.IGP},
    "med": {"med": 1},
    "external": {"kind": Kind.EXTERNAL},
    "interior-cost": {"cost": 1},
    "identifier": {"identifier": 1},
    "cluster-list": {"clusters": 1},
    "peer-address": {"remote": "10.0.0.1"},
    "path-id": {"path_id": 1},
}
WORSE: dict[str, dict[str, object]] = {
    "local-pref": {"local_pref": 100},
    "as-path-length": {"as_path": "64500 64501"},
    "origin": {"origin": Origin.INCOMPLETE},
    "med": {"med": 2},
    "external": {"kind": Kind.CLIENT},
    "interior-cost": {"cost": 2},
    "identifier": {"identifier": 2},
    "cluster-list": {"clusters": 2},
    "peer-address": {"remote": "10.0.0.2"},
    "path-id": {"path_id": 2},
}
RUNGS = [rung.name for rung in LADDER]


def build(values: dict[str, object]) -> Path:
    values = dict(values)
    clusters = values.pop("clusters")
    extra = {CLUSTER_LIST: bytes(4 * clusters)}  # type: ignore[operator]
    return path(extra=extra, **values)  # type: ignore[arg-type]


def contender(rung: str, *, better: bool) -> Path:
    """Return a path that is equal above `rung`, better or worse in it, and the reverse in all below."""
    values: dict[str, object] = {}
    for name in RUNGS[1:]:
        above = RUNGS.index(name) < RUNGS.index(rung)
        wins = better if name == rung else not better
        values.update(BETTER[name] if above or wins else WORSE[name])
    return build(values)


def test_the_tables_of_this_test_cover_the_ladder() -> None:
    assert [*BETTER] == [*WORSE] == RUNGS[1:]
    assert [rung.number for rung in LADDER] == list(range(1, len(LADDER) + 1))


@pytest.mark.parametrize("rung", RUNGS[1:])
def test_each_rung_decides_against_all_below(rung: str) -> None:
    winner, loser = contender(rung, better=True), contender(rung, better=False)
    for paths in ((winner, loser), (loser, winner)):
        assert best(paths) is winner
        assert decided(paths)[0] is winner
        first, second = explain(paths)
        assert first.path is winner and first.best and str(first) == "best"
        assert second.path is loser and not second.best
        assert second.rung is not None and second.rung.name == rung
        assert second.rung.section in str(second)


@pytest.mark.parametrize(("higher", "lower"), list(combinations(RUNGS[1:], 2)))
def test_a_higher_rung_outweighs_a_lower_one(higher: str, lower: str) -> None:
    worst = {key: value for name in RUNGS[1:] for key, value in WORSE[name].items()}
    winner, loser = build({**worst, **BETTER[higher]}), build({**worst, **BETTER[lower]})
    assert best((loser, winner)) is winner is decided((loser, winner))[0]


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


NEIGHBORS = ("", "64500", "64501", "64500 64501", "64501 64502", "64500 {64501}")


@st.composite
def contenders(draw: st.DrawFn) -> list[Path]:
    paths = []
    for number in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from((Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL, Kind.LOCAL)))
        one = path(
            peer=f"p{number}",
            kind=kind,
            identifier=draw(st.integers(1, 3)),
            remote=f"10.0.0.{draw(st.integers(1, 3))}",
            cost=draw(st.integers(0, 1)),
            as_path=draw(st.sampled_from(NEIGHBORS)),
            origin=draw(st.integers(0, 1)),
            med=draw(st.sampled_from((None, 0, 1, 2))),
            local_pref=draw(st.sampled_from((None, 100, 101))),
            extra={CLUSTER_LIST: bytes(4)} if draw(st.booleans()) else {},
        )
        if draw(st.integers(0, 5)) == 0:
            one.refusal = POLICY
        paths.append(one)
    return paths


@settings(max_examples=300)
@given(contenders(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_nothing_to_the_result(paths: list[Path], random: object) -> None:
    winner = best(paths)
    orders = list(permutations(paths)) if len(paths) < 5 else [tuple(paths)]
    for _ in range(10):
        random.shuffle(paths)  # type: ignore[attr-defined]
        orders.append(tuple(paths))
    for order in orders:
        assert best(order) is winner
        result = decided(order)
        assert set(result) == set(order) and len(result) == len(order)
        if winner is not None:
            assert result[0] is winner
        verdicts = explain(order)
        assert [verdict.path for verdict in verdicts if verdict.best] == ([winner] if winner else [])
        assert {verdict.path for verdict in verdicts} == set(order)


@settings(max_examples=200)
@given(contenders())
def test_a_loser_of_an_early_rung_changes_nothing(paths: list[Path]) -> None:
    """Who loses before MED could be left out; the paths that are compared by MED could not."""
    winner = best(paths)
    for verdict in explain(paths):
        if verdict.rung is not None and verdict.rung.name in (
            "usable",
            "local-pref",
            "as-path-length",
            "origin",
        ):
            assert best([one for one in paths if one is not verdict.path]) is winner


def test_ladder_of_one_path_is_trivial() -> None:
    lone = path()
    assert best((lone,)) is lone and decided((lone,)) == (lone,)
    assert table.intern(lone.attributes.octets, lone.attributes.next_hop) is lone.attributes
