"""The grammar of UPDATEs: it takes whole fields or nothing, and builds what it has parsed."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import AttributeType
from bgp.testing import generate, strategies
from bgp.wire.context import Context
from bgp.wire.grammar import update as grammar

BOTH = Context(families=frozenset(FAMILIES))
UPDATE = bytes.fromhex(
    "0004 18c63364"  # 198.51.100.0/24 is withdrawn
    "0014 40010100 400206 0201 0000fbf0 400304 c0000201"
    "18cb0071 00"  # 203.0.113.0/24 and the default route
)


@given(strategies.examples(strategies.updates))
@settings(max_examples=150, deadline=None)
def test_build_is_the_inverse_of_parse(example: tuple[Context, bytes]) -> None:
    context, body = example
    declaration = grammar.update(context)
    try:
        parsed = declaration.parse(body)
    except grammar.Malformed:
        # All that a valid UPDATE may hold and the strict grammar refuses: a NEXT_HOP that means nothing.
        assume(False)
    assert declaration.build(parsed) == body


def test_fields_by_name() -> None:
    parsed = grammar.update(BOTH).parse(UPDATE)
    assert [(route.length, route.prefix) for route in parsed.withdrawn_routes] == [(24, b"\xc6\x33\x64")]
    assert [(route.length, route.prefix) for route in parsed.nlri] == [(24, b"\xcb\0\x71"), (0, b"")]
    assert [route.path_id for route in parsed.nlri] == [None, None]
    origin, path, next_hop = parsed.path_attributes
    assert (origin.type, origin.value, origin.flags.transitive, origin.flags.optional) == (1, 0, True, False)
    assert [(segment.type, list(segment.asns)) for segment in path.value] == [(2, [64496])]
    assert (next_hop.type, next_hop.value) == (3, b"\xc0\0\2\1")


def test_multiprotocol_routes_by_family() -> None:
    reach = bytes.fromhex("800e1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8")
    body = b"\0\0" + len(reach).to_bytes(2, "big") + reach
    (attribute,) = grammar.update(BOTH).parse(body).path_attributes
    assert attribute.value.next_hop == bytes.fromhex("20010db8000000000000000000000001")
    assert [(route.length, route.prefix) for route in attribute.value.nlri] == [(32, b"\x20\x01\x0d\xb8")]
    (attribute,) = grammar.update(Context()).parse(body).path_attributes
    assert attribute.value.nlri == bytes.fromhex("20 20010db8")


def test_path_identifiers() -> None:
    context = Context(add_path=frozenset({IPV4_UNICAST}))
    parsed = grammar.update(context).parse(bytes.fromhex("0000 0000 00000007 08 0a"))
    assert [(route.path_id, route.length) for route in parsed.nlri] == [(7, 8)]


@pytest.mark.parametrize("cut", range(len(UPDATE)))
def test_no_part_is_a_whole(cut: int) -> None:
    """Only where an NLRI ends is the beginning of an UPDATE one."""
    declaration = grammar.update(BOTH)
    if cut in (28, 32):
        assert len(declaration.parse(UPDATE[:cut]).nlri) == (cut - 28) // 4
    else:
        with pytest.raises(grammar.Malformed):
            declaration.parse(UPDATE[:cut])


@pytest.mark.parametrize("type", sorted(generate.VALUES))
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_trailing_octets_are_refused(type: int, data: st.DataObject) -> None:
    """Each value is read to its end: one octet more or less is another value, or none."""
    value = data.draw(strategies.attribute_values(type))
    declaration = grammar.values(4)[AttributeType(type)]
    assert declaration.build(declaration.parse(value)) == value
    for other in (value + b"\0", value[:-1]):
        if other != value:
            with pytest.raises(grammar.Malformed):
                declaration.parse(other)


@pytest.mark.parametrize("width", [2, 4])
def test_paths(width: int) -> None:
    declaration = grammar.as_path(width)
    octets = bytes([2, 1]) + bytes(width - 1) + b"\1" + bytes([1, 2]) + (bytes(width - 1) + b"\2") * 2
    parsed = declaration.parse(octets)
    assert [(segment.type, list(segment.asns)) for segment in parsed] == [(2, [1]), (1, [2, 2])]
    assert declaration.build(parsed) == octets
    assert list(declaration.parse(b"")) == []
    for bad in (octets + b"\2", octets[:-1], b"\2\0", b"\0\1" + bytes(width), b"\5\1" + bytes(width)):
        with pytest.raises(grammar.Malformed):
            declaration.parse(bad)


def test_a_value_that_fits_and_means_nothing() -> None:
    """ORIGIN 3 and a loopback NEXT_HOP are bad values; of two octets and of three they are malformed."""
    for declaration, bad, short in (
        (grammar.ORIGIN, b"\3", b""),
        (grammar.ORIGIN, b"\xff", b"\3\3"),
        (grammar.NEXT_HOP, b"\x7f\0\0\1", b"\x7f\0\0"),
    ):
        with pytest.raises(grammar.BadValue):
            declaration.parse(bad)
        with pytest.raises(grammar.Malformed) as caught:
            declaration.parse(short)
        assert not isinstance(caught.value, grammar.BadValue)
