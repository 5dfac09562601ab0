"""The flat declarations say the same of any octets as construct's own, which are their readable originals."""

from typing import Any

import pytest
from construct import (
    Array,
    BytesInteger,
    ConstructError,
    GreedyBytes,
    GreedyRange,
    Int8ub,
    Int16ub,
    Int32ub,
    Padding,
    PascalString,
    Prefixed,
    Struct,
    Terminated,
)
from hypothesis import example, given
from hypothesis import strategies as st

from bgp.wire.grammar import flat
from bgp.wire.grammar import message as grammar

FIELDS = {"B": Int8ub, "H": Int16ub, "I": Int32ub, "x": Padding(1)}
NAMES = "abcdefgh"


def original(layout: str) -> Any:
    fields = [(None if code == "x" else NAMES[i], FIELDS[code]) for i, code in enumerate(layout)]
    return Struct(*(name / field if name else field for name, field in fields))


def numbers(container: Any) -> tuple[int, ...]:
    return tuple(value for name, value in container.items() if name in NAMES)


def outcome(parse: Any, octets: bytes) -> Any:
    try:
        return parse(octets)
    except ConstructError:
        return "malformed"


LAYOUTS = ["", "B", "I", "HxB", "HHH", "HBB", "HBI"]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(octets=st.binary(max_size=12))
def test_row(layout: str, octets: bytes) -> None:
    judge = Struct("row" / original(layout), Terminated)
    found = outcome(flat.row(">" + layout).parse, octets)
    assert found == outcome(lambda data: numbers(judge.parse(data).row), octets)
    if found != "malformed":
        again = flat.row(">" + layout).build(found)
        assert flat.row(">" + layout).parse(again) == found
        assert "x" in layout or again == octets


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout])
@given(octets=st.binary(max_size=40))
def test_rows(layout: str, octets: bytes) -> None:
    judge = Struct("rows" / GreedyRange(original(layout)), Terminated)
    found = outcome(flat.rows(">" + layout).parse, octets)
    assert found == outcome(lambda data: tuple(map(numbers, judge.parse(data).rows)), octets)
    headed = Struct("head" / Int16ub, "rows" / GreedyRange(original(layout)), Terminated)
    found = outcome(flat.headed_rows(">H", ">" + layout).parse, octets)

    def judged(data: bytes) -> Any:
        parsed = headed.parse(data)
        return (parsed.head,), tuple(map(numbers, parsed.rows))

    assert found == outcome(judged, octets)
    if found != "malformed" and "x" not in layout:
        assert flat.headed_rows(">H", ">" + layout).build(found) == octets


@given(
    st.binary(max_size=12)
    | st.lists(st.text(max_size=4), min_size=2, max_size=2).map(lambda values: flat.texts(2).build(values))
)
@example(b"\x01\xff\x00")
@example(b"\x00\x00\x00")
def test_texts(octets: bytes) -> None:
    judge = Struct("texts" / Array(2, PascalString(Int8ub, "utf-8")), Terminated)
    found = outcome(flat.texts(2).parse, octets)
    assert found == outcome(lambda data: tuple(judge.parse(data).texts), octets)
    assert found == "malformed" or flat.texts(2).build(found) == octets


pairs = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=5)), max_size=5)


@pytest.mark.parametrize("size", [1, 2])
@given(data=st.data())
def test_elements(size: int, data: st.DataObject) -> None:
    declaration = flat.elements(size)
    octets = data.draw(st.binary(max_size=20) | pairs.map(lambda items: declaration.build(items)))
    element = Struct("type" / Int8ub, "value" / Prefixed(BytesInteger(size), GreedyBytes))
    judge = GreedyRange(element).parse(octets)
    whole = tuple((item.type, item.value) for item in judge)
    behind = sum(1 + size + len(value) for _, value in whole)
    try:
        assert declaration.parse(octets) == whole
        assert behind == len(octets)
        assert declaration.build(whole) == octets
    except flat.Truncated as truncated:
        assert truncated.elements == whole
        assert truncated.offset == behind < len(octets)


@given(st.binary(max_size=40))
def test_the_lists_of_an_open_are_those_of_the_grammar(octets: bytes) -> None:
    for listed, judge, name in (
        (grammar.PARAMETER_LIST, grammar.PARAMETERS, "parameters"),
        (grammar.EXTENDED_PARAMETER_LIST, grammar.EXTENDED_PARAMETERS, "parameters"),
        (grammar.CAPABILITY_LIST, grammar.CAPABILITIES, "capabilities"),
    ):
        found = outcome(listed.parse, octets)
        items = outcome(lambda data, judge=judge, name=name: judge.parse(data)[name], octets)
        if items == "malformed":
            assert found == "malformed"
        else:
            assert found == tuple((item.get("type", item.get("code")), item.value) for item in items)


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        (flat.row(">B"), (256,)),
        (flat.row(">B"), (1, 2)),
        (flat.rows(">HBB"), [(1, 1, -1)]),
        (flat.headed_rows(">H", ">B"), ((65536,), [])),
        (flat.texts(1), ["x" * 256]),
        (flat.texts(1), ["\ud800"]),
        (flat.elements(1), [(256, b"")]),
        (flat.elements(1), [(1, bytes(256))]),
    ],
)
def test_what_does_not_fit_is_not_built(declaration: Any, value: Any) -> None:
    with pytest.raises(ConstructError):
        declaration.build(value)
