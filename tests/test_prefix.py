"""Prefixes: the pattern and the readable loop agree, and so does the standard library."""

import re
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.wire import prefix
from bgp.wire.prefix import PrefixError, split, split_add_path

FAMILY = st.sampled_from([IPV4_UNICAST, IPV6_UNICAST])


@st.composite
def raw_prefix(draw: st.DrawFn, family: Family) -> bytes:
    length = draw(st.integers(0, family.bits))
    octets = (length + 7) // 8
    return bytes((length,)) + draw(st.binary(min_size=octets, max_size=octets))


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Family, list[bytes]]:
    family = draw(FAMILY)
    return family, draw(st.lists(raw_prefix(family), max_size=12))


def expected(family: Family, raw: bytes) -> str | None:
    address = raw[1:].ljust(family.bits // 8, b"\0")
    network = ip_network((address, raw[0]), strict=False)
    return (
        None
        if network.is_multicast and network.prefixlen >= (4 if network.version == 4 else 8)
        else str(network)
    )


@given(blocks())
def test_split_agrees_with_the_standard_library(drawn: tuple[Family, list[bytes]]) -> None:
    family, raws = drawn
    wanted = [text for raw in raws if (text := expected(family, raw)) is not None]
    found = split(b"".join(raws), family)
    assert [prefix.text(family, item) for item in found] == wanted
    assert [str(prefix.network(family, item)) for item in found] == wanted
    for item, text in zip(found, wanted, strict=True):
        assert prefix.parse(text) == (family, item)


@given(blocks(), st.data())
def test_split_add_path_agrees_with_split(drawn: tuple[Family, list[bytes]], data: st.DataObject) -> None:
    family, raws = drawn
    count = len(raws)
    ids = data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count))
    block = b"".join(i.to_bytes(4, "big") + raw for i, raw in zip(ids, raws, strict=True))
    found_ids, found = split_add_path(block, family)
    assert found == split(b"".join(raws), family)
    assert found_ids == [i for i, raw in zip(ids, raws, strict=True) if expected(family, raw) is not None]


@given(FAMILY, st.binary(max_size=60))
def test_raw_octets_split_or_name_the_offset(family: Family, block: bytes) -> None:
    """An independent loop over the octets says where the first bad prefix begins (RFC 7606 5.3)."""
    position = 0
    while position < len(block):
        length = block[position]
        if length > family.bits or position + 1 + (length + 7) // 8 > len(block):
            with pytest.raises(PrefixError) as caught:
                split(block, family)
            assert caught.value.offset == position
            return
        position += 1 + (length + 7) // 8
    split(block, family)


def test_a_newline_octet_is_an_octet() -> None:
    block = b"\x18\x0a\x0a\x0a\x20\x0a\x0a\x0a\x0a"
    assert split(block, IPV4_UNICAST) == [b"\x18\x0a\x0a\x0a", b"\x20\x0a\x0a\x0a\x0a"]


@pytest.mark.parametrize(
    ("family", "block"),
    [(IPV4_UNICAST, b"\x21\1\2\3\4\5"), (IPV6_UNICAST, b"\x81" + bytes(17)), (IPV4_UNICAST, b"\x18\x0a\0")],
)
def test_too_long_or_overrunning(family: Family, block: bytes) -> None:
    with pytest.raises(PrefixError):
        split(block, family)
    with pytest.raises(PrefixError):
        split_add_path(b"\0\0\0\1" + block, family)
    with pytest.raises(PrefixError):
        split_add_path(b"\0\0\0", family)


def test_multicast_is_left_out_but_its_neighbors_stay() -> None:
    texts = ["223.255.255.0/24", "224.0.0.0/4", "239.1.0.0/16", "240.0.0.0/4", "192.0.0.0/2", "224.0.0.0/3"]
    block = b"".join(prefix.parse(text)[1] for text in texts)
    kept = [prefix.text(IPV4_UNICAST, item) for item in split(block, IPV4_UNICAST)]
    assert kept == ["223.255.255.0/24", "240.0.0.0/4", "192.0.0.0/2", "224.0.0.0/3"]


def test_addresses_in_text() -> None:
    assert prefix.address_text(b"\x0a\0\0\1") == "10.0.0.1"
    assert prefix.address_text(bytes(15) + b"\1") == "::1"
    assert prefix.address_text(bytes(15) + b"\1" + b"\xfe\x80" + bytes(13) + b"\2") == "::1 fe80::2"
    assert prefix.address_text(b"") == ""


def test_host_bits_in_text_are_refused() -> None:
    with pytest.raises(ValueError, match="host bits"):
        prefix.parse("10.0.0.1/8")


@given(st.integers(0, 2**32 - 1), st.integers(0, 33), st.booleans())
def test_text_is_read_as_the_standard_library_does(address: int, length: int, strict: bool) -> None:
    if strict and length <= 32:
        address &= ~((1 << (32 - length)) - 1)
    text = f"{IPv4Address(address)}/{length}"
    try:
        standard = ip_network(text)
    except ValueError:
        with pytest.raises(ValueError, match=re.escape(str(IPv4Address(address)))):
            prefix.parse(text)
    else:
        assert prefix.network(*prefix.parse(text)) == standard
