"""Attributes: interned by their canonical octets, gone when nobody holds them."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.iana import AttributeType
from bgp.wire import aspath
from bgp.wire.attributes import ROWS, AttributeTable, attribute, walk

ITEMS = st.dictionaries(
    st.integers(0, 255),
    st.tuples(st.sampled_from([0x40, 0x80, 0xC0, 0xE0]), st.binary(max_size=300)),
    max_size=8,
)


@given(ITEMS)
def test_build_sorts_and_walk_gives_back(items: dict[int, tuple[int, bytes]]) -> None:
    table = AttributeTable()
    given_items = [(flags, type_, value) for type_, (flags, value) in items.items()]
    built = table.build(given_items, b"\1\2\3\4")
    assert built.items() == sorted(given_items, key=lambda item: item[1])
    assert table.build(reversed(given_items), b"\1\2\3\4") is built
    assert built.octets == b"".join(attribute(*item) for item in built.items())
    position = 0
    for flags, type_, value in built.items():
        size = len(attribute(flags, type_, value))
        assert built.locate(type_) == (position, position + size)
        assert built.get(type_) == value
        position += size
    for type_ in set(range(256)) - set(items):
        start, end = built.locate(type_)
        assert start == end == sum(len(attribute(*item)) for item in built.items() if item[1] < type_)
        assert built.get(type_) is None


def test_identity_is_equality_of_octets_and_next_hop() -> None:
    table = AttributeTable()
    one = table.intern(b"\x40\1\1\0", b"\x0a\0\0\1")
    assert table.intern(bytes(bytearray(b"\x40\1\1\0")), b"\x0a\0\0\1") is one
    assert table.intern(b"\x40\1\1\0", b"\x0a\0\0\2") is not one
    assert AttributeTable().intern(b"\x40\1\1\0", b"\x0a\0\0\1") is not one


def test_distinct_sets_leave_nothing_behind_with_the_collector_off() -> None:
    """An endless stream of new sets through few live ones: the count stays, without cyclic collection."""
    table = AttributeTable()
    live = [table.make(med=index) for index in range(100)]
    gc.collect()
    gc.disable()
    try:
        for index in range(50_000):
            live[index % 100] = table.make(med=index, next_hop="10.0.0.1", as_path=[index + 1])
            assert live[index % 100].as_path_length == 1
        assert len(table) == 100
    finally:
        gc.enable()
    live.clear()
    assert len(table) == 0


def test_plain_values_both_ways() -> None:
    table = AttributeTable()
    made = table.make(
        next_hop="192.0.2.1",
        origin=2,
        as_path="(65010 65011) 65001 65002 {65003,65004}",
        med=7,
        local_pref=200,
        atomic_aggregate=True,
        aggregator=(70000, "192.0.2.9"),
        communities=[1, 2, 2],
        extended_communities=[bytes(8)],
        large_communities=[(1, 2, 3)],
    )
    assert (made.origin, made.med, made.local_pref) == (2, 7, 200)
    assert (made.as_path_length, made.neighbor_as) == (3, 65001)
    assert aspath.text(made.as_path) == "(65010 65011) 65001 65002 {65003,65004}"
    assert made.communities == (1, 2)
    assert made.extended_communities == (bytes(8),)
    assert made.large_communities == ((1, 2, 3),)
    assert made.atomic_aggregate
    assert made.aggregator is not None
    assert made.aggregator[0] == 70000
    assert str(made.aggregator[1]) == "192.0.2.9"
    assert made.next_hop == b"\xc0\0\2\1"
    assert (made.originator_id, made.cluster_list, made.only_to_customer) == (None, b"", None)
    assert [item[1] for item in walk(made.octets)] == [1, 2, 4, 5, 6, 7, 8, 16, 32]


def test_absent_values() -> None:
    bare = AttributeTable().make(as_path=[])
    assert (bare.med, bare.local_pref, bare.as_path, bare.as_path_length, bare.neighbor_as) == (
        None,
        None,
        (),
        0,
        0,
    )
    assert (bare.communities, bare.aggregator, bare.atomic_aggregate) == ((), None, False)
    with pytest.raises(AttributeError):
        bare.nothing  # noqa: B018
    assert "ORIGIN=00" in repr(bare)


def test_derive_replaces_adds_and_removes() -> None:
    table = AttributeTable()
    one = table.make(med=5, next_hop="10.0.0.1")
    two = table.derive(
        one,
        {AttributeType.MULTI_EXIT_DISC: None, AttributeType.ORIGINATOR_ID: b"\1\1\1\1",
         AttributeType.CLUSTER_LIST: b"\2\2\2\2", AttributeType.ONLY_TO_CUSTOMER: b"\0\0\0\x07"},
    )  # fmt: skip
    assert two.med is None
    assert two.originator_id == b"\1\1\1\1"
    assert two.cluster_list == b"\2\2\2\2"
    assert two.only_to_customer == 7
    assert two.next_hop == one.next_hop
    assert [flags for flags, _, _ in two.items()] == [0x40, 0x40, 0x80, 0x80, 0xC0]
    assert table.derive(two, {9: None, 10: None, 35: None, 4: b"\0\0\0\5"}) is one
    assert table.derive(one, {}, b"\x0a\0\0\2").next_hop == b"\x0a\0\0\2"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"med": -1}, "med"),
        ({"local_pref": 2**32}, "local_pref"),
        ({"origin": 3}, "origin"),
        ({"as_path": [0]}, "AS 0"),
        ({"as_path": [aspath.Segment(2, (1,)), 2]}, "not both"),
        ({"next_hop": "nowhere"}, "nowhere"),
    ],
)
def test_bad_values_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AttributeTable().make(**arguments)  # type: ignore[arg-type]


def test_every_attribute_of_the_registry_has_a_row() -> None:
    assert set(ROWS) == set(AttributeType)
    assert all(row.name == AttributeType(type_).name for type_, row in ROWS.items())
