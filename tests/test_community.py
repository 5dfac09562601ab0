"""Communities: text and octets both ways, as each kind's RFC writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.iana import WellKnownCommunity
from bgp.wire import community


@given(st.integers(0, 2**32 - 1))
def test_plain_both_ways(value: int) -> None:
    assert community.parse_community(community.community_text(value)) == value


@pytest.mark.parametrize("member", WellKnownCommunity)
def test_well_known_names(member: WellKnownCommunity) -> None:
    assert community.community_text(member) == member.name
    assert community.parse_community(member.name.lower().replace("_", "-")) == member


@pytest.mark.parametrize("text", ["", "65536:1", "1:65536", "1:2:3", "a:b", "-1", "4294967296"])
def test_bad_plain(text: str) -> None:
    with pytest.raises(ValueError, match="community"):
        community.parse_community(text)


U32 = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(U32, U32, U32), max_size=5))
def test_large_both_ways(values: list[tuple[int, int, int]]) -> None:
    octets = community.encode_large(tuple(values))
    assert len(octets) == 12 * len(values)
    assert community.decode_large(octets) == tuple(values)
    assert [community.parse_large(community.large_text(value)) for value in values] == values


@pytest.mark.parametrize(
    "text", ["064496:1:1", "1:2", "1:2:3:4", "1::2", "4294967296:0:0", "a:1:1", "1:2:+3"]
)
def test_bad_large(text: str) -> None:
    """RFC 8092 section 5: decimal, without leading zeros."""
    with pytest.raises(ValueError, match="large community"):
        community.parse_large(text)


@given(st.one_of(st.binary(min_size=8, max_size=8), st.binary(min_size=20, max_size=20)))
def test_extended_both_ways(octets: bytes) -> None:
    assert community.parse_extended(community.extended_text(octets)) == octets


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("rt:65000:1", "0002fde800000001"),
        ("ro:65000:4294967295", "0003fde8ffffffff"),
        ("rt:192.0.2.1:7", "0102c00002010007"),
        ("rt:70000L:5", "0202000111700005"),
        ("rt:70000:5", "0202000111700005"),
        ("rt:[2001:db8::1]:9", "000220010db80000000000000000000000010009"),
        ("0x8000000000000001", "8000000000000001"),
    ],
)
def test_extended_text(text: str, octets: str) -> None:
    assert community.parse_extended(text).hex() == octets


@pytest.mark.parametrize(
    "text", ["rt:1", "xx:1:2", "rt:70000:65536", "rt:1:4294967296", "0x00", "rt:300.1.1.1:1"]
)
def test_bad_extended(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        community.parse_extended(text)


def test_repetitions_go_and_the_order_stays() -> None:
    items = [b"a" * 12, b"b" * 12, b"a" * 12]
    assert community.distinct(b"".join(items), 12) == b"a" * 12 + b"b" * 12
