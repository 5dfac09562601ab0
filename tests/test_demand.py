"""What listeners ask of who connects: for each address the key of whoever it is, or none."""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.aio.demand import Caller, Demand, Network, demand

KEYS = st.none() | st.sampled_from((b"a", b"b"))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    length = draw(st.integers(24, 32))
    mask = (1 << 32 - length) - 1
    number = (int(IPv4Address("10.0.0.0")) | draw(st.integers(0, 63))) & ~mask
    return ip_network((number, length))


def key_of(keys: dict[Network, bytes | None], address: IPv4Address) -> bytes | None:
    """Return the key of the longest network around `address`, as a kernel looks for it."""
    around = [network for network in keys if address in network]
    return keys[max(around, key=lambda each: each.prefixlen)] if around else None


@given(st.dictionaries(networks(), KEYS, max_size=8))
def test_each_address_is_asked_for_the_key_of_its_narrowest_caller(
    callers: dict[Network, bytes | None],
) -> None:
    asked = demand(Caller(network, key) for network, key in callers.items())
    for number in range(256):
        address = IPv4Address("10.0.0.0") + number
        assert key_of(dict(asked.keys), address) == key_of(callers, address)


def test_a_hole_in_a_wide_range_takes_a_prefix_for_each_bit() -> None:
    asked = demand([Caller(ip_network("fd00::/64"), b"k"), Caller(ip_network("fd00::5/128"))])
    assert len(asked.keys) == 64 and ip_network("fd00::4/128") in asked.keys
    other = demand([Caller(ip_network("10.0.0.0/8"), b"k"), Caller(ip_network("fd00::5/128"))])
    assert dict(other.keys) == {ip_network("10.0.0.0/8"): b"k"}


def test_one_address_has_one_key() -> None:
    host = ip_network("10.0.0.1/32")
    with pytest.raises(ValueError, match=r"^password: another peer at x has a different one"):
        demand([Caller(host, b"a"), Caller(host, b"b", name="x")])
    assert dict(demand([Caller(host, b"a"), Caller(host)]).keys) == {host: b"a"}, "it cannot be told apart"


def test_ttl_of_the_listener() -> None:
    near, far = ip_network("10.0.0.1/32"), ip_network("10.0.0.2/32")
    assert demand([Caller(near), Caller(far)]) == Demand({}, None, 0)
    assert demand([Caller(near, minimum_ttl=255), Caller(far)]) == Demand({}, 255, 0)
    assert demand([Caller(near, minimum_ttl=255), Caller(far, minimum_ttl=250)]) == Demand({}, 255, 250)
    assert demand([]) == Demand()
