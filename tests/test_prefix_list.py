"""Prefix lists against a loop over their entries with `ipaddress`."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.policy.prefixes import Entry, Network, PrefixList, parse_entry, within
from bgp.wire import prefix as nlri


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Networks that often lie within each other."""
    bits, start = draw(st.sampled_from(((32, "10.0.0.0"), (128, "2001:db8::"))))
    length = draw(st.integers(0, bits))
    low = draw(st.sampled_from((0, 1, 2, 3))) << draw(st.integers(0, bits - 2))
    address = int(ip_address(start)) ^ low
    return (
        ip_network((address >> (bits - length) << (bits - length), length))
        if bits == 32
        else ip_network(
            (ip_address(address >> (bits - length) << (bits - length)).packed.rjust(16, b"\0"), length)
        )
    )


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    network = draw(networks())
    ge = draw(st.integers(network.prefixlen, network.max_prefixlen))
    le = draw(st.integers(ge, network.max_prefixlen))
    return Entry(network, ge, le, draw(st.booleans()))


def naive(listed: Sequence[Entry], asked: Network) -> Entry | None:
    best: Entry | None = None
    for entry in listed:
        if entry.network.version != asked.version or not asked.subnet_of(entry.network):  # type: ignore[arg-type]
            continue
        if entry.ge <= asked.prefixlen <= entry.le:
            if best is None or entry.network.prefixlen > best.network.prefixlen:
                best = entry
    return best


@given(st.lists(entries(), max_size=12), st.lists(networks(), min_size=1, max_size=12))
def test_longest_match_is_that_of_a_loop(listed: list[Entry], asked: list[Network]) -> None:
    made = PrefixList(listed)
    for network in asked:
        family, octets = nlri.parse(network)
        expected = naive(listed, network)
        assert made.longest(family, octets) == expected
        assert made.matches(family, octets) == (expected is not None and not expected.exception)


@given(entries())
def test_text_is_read_again(entry: Entry) -> None:
    assert parse_entry(str(entry)) == entry


@pytest.mark.parametrize(
    ("text", "ge", "le"),
    [
        ("10.0.0.0/8", 8, 8),
        ("10.0.0.0/8 ge 16", 16, 32),
        ("10.0.0.0/8 le 24", 8, 24),
        ("10.0.0.0/8 ge 16 le 24", 16, 24),
        ("::/0 le 128", 0, 128),
        ("! 10.0.0.0/8 le 32", 8, 32),
    ],
)
def test_bounds(text: str, ge: int, le: int) -> None:
    entry = parse_entry(text)
    assert (entry.ge, entry.le, entry.exception) == (ge, le, text.startswith("!"))


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/8 ge 7", "10.0.0.0/8 le 33", "10.0.0.0/8 ge 24 le 16", "10.0.0.1/8", "10.0.0.0", "", "x/8"],
)
def test_bad_entries(text: str) -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0|no entry"):
        parse_entry(text)


def family_and(text: str) -> tuple[Family, bytes]:
    return nlri.parse(text)


def test_an_exception_is_the_more_specific_entry_and_what_is_more_specific_still_is_back() -> None:
    listed = PrefixList(["10.0.0.0/8 le 32", "!10.1.0.0/16 le 32", "10.1.1.0/24"])
    for text, expected in (
        ("10.2.0.0/16", True),
        ("10.1.0.0/16", False),
        ("10.1.2.0/24", False),
        ("10.1.1.0/24", True),
        ("10.1.1.128/25", False),
        ("11.0.0.0/8", False),
        ("2001:db8::/32", False),
    ):
        assert listed.matches(*family_and(text)) is expected, text


def test_the_same_octets_mean_another_prefix_in_the_other_family() -> None:
    listed = PrefixList(["32.1.0.0/16"])
    assert listed.matches(IPV4_UNICAST, b"\x10\x20\x01")
    assert not listed.matches(IPV6_UNICAST, b"\x10\x20\x01")


def test_addresses() -> None:
    listed = within(["192.0.2.0/24", "2001:db8::/32"])
    assert listed.contains(ip_address("192.0.2.77").packed)
    assert not listed.contains(ip_address("192.0.3.1").packed)
    assert listed.contains(ip_address("2001:db8::1").packed)
    # RFC 2545 section 3: of 32 octets the first 16 are the global address.
    assert listed.contains(ip_address("2001:db8::1").packed + ip_address("fe80::1").packed)
    assert not listed.contains(ip_address("fe80::1").packed)
    assert not listed.contains(b"")


def test_equal_lists_are_equal() -> None:
    one, other = PrefixList(["10.0.0.0/8", "11.0.0.0/8"]), PrefixList(["10.0.0.0/8", "11.0.0.0/8"])
    assert one == other and hash(one) == hash(other)
    assert one != PrefixList(["11.0.0.0/8", "10.0.0.0/8"]) and one != "10.0.0.0/8"


def test_a_large_list_asks_its_dict_once_for_exact_entries() -> None:
    """100,000 entries cost no more than a handful: what is counted are the lengths looked at."""
    octets = [b"\x18" + number.to_bytes(3, "big") for number in range(100_000)]
    listed = PrefixList(nlri.network(IPV4_UNICAST, prefix) for prefix in octets)
    assert len(listed) == 100_000
    assert all(listed.matches(IPV4_UNICAST, prefix) for prefix in octets[::997])
    assert not listed.matches(IPV4_UNICAST, b"\x18\xff\x00\x00")
    cuts = listed._indexes[IPV4_UNICAST]._cuts
    assert [len(cut) for cut in cuts] == [int(length == 24) for length in range(33)]
