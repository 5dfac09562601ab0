"""What a guard says of prefixes and next hops, and who comes by what: claims, in the order of arrival."""

from ipaddress import ip_network

import pytest
from routers import address, prefix

from bgp import Blocks, Guard, PeerOptions, PrefixList
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.rib.guard import OUTSIDE, Quota, Share, refusal, rule_of

POOL = Blocks("10.244.0.0/16", 26)
NODES = Guard(name="nodes", blocks=(POOL,), own_next_hop=True)


# --- What a guard says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("10.244.3.64/26", "10.244.3.64/26"),
        ("10.244.3.65/32", "10.244.3.64/26"),
        ("10.244.3.96/27", "10.244.3.64/26"),
        ("10.244.0.0/25", None),
        ("10.244.0.0/16", None),
        ("10.245.0.0/26", None),
        ("0.0.0.0/0", None),
    ],
)
def test_a_block_holds_what_is_in_it(text: str, unit: str | None) -> None:
    wanted = OUTSIDE if unit is None else Share(prefix(unit), Quota(POOL, borrowed=False))
    assert NODES.share(IPV4_UNICAST, prefix(text)) == wanted


def test_borrowed_prefixes_stand_for_themselves() -> None:
    pool = Blocks("10.244.0.0/16", 26, borrowed=3)
    guard = Guard(blocks=(pool,))
    assert guard.share(IPV4_UNICAST, prefix("10.244.0.1/32")) == Share(
        prefix("10.244.0.1/32"), Quota(pool, True)
    )
    assert guard.share(IPV4_UNICAST, prefix("10.244.0.0/26")) == Share(
        prefix("10.244.0.0/26"), Quota(pool, False)
    )
    assert (Quota(pool, True).most, Quota(pool, False).most) == (3, 1)


def test_ipv6_blocks_of_odd_lengths() -> None:
    guard = Guard(blocks=[Blocks("fd00:10:244::/49", 122)])  # type: ignore[arg-type]
    share = guard.share(IPV6_UNICAST, prefix("fd00:10:244:7fff::43/128"))
    assert isinstance(share, Share) and share.unit == prefix("fd00:10:244:7fff::40/122")
    assert guard.share(IPV6_UNICAST, prefix("fd00:10:244:8000::40/122")) == OUTSIDE
    assert guard.share(IPV4_UNICAST, prefix("10.244.0.0/26")) == OUTSIDE


def test_what_is_shared_comes_before_what_is_not() -> None:
    guard = Guard(
        prefixes=PrefixList(["10.96.0.0/12 le 32", "192.0.2.0/24"]), shared=PrefixList(["10.96.0.0/16 le 32"])
    )
    assert guard.share(IPV4_UNICAST, prefix("10.96.0.7/32")) is None
    assert guard.share(IPV4_UNICAST, prefix("10.97.0.7/32")) == Share(prefix("10.97.0.7/32"), None)
    assert guard.share(IPV4_UNICAST, prefix("192.0.2.0/25")) == OUTSIDE


def test_a_guard_of_next_hops_alone_lets_any_prefix_pass() -> None:
    guard = Guard(own_next_hop=True)
    assert guard.share(IPV4_UNICAST, prefix("0.0.0.0/0")) is None
    assert not guard.allots


def test_the_next_hop_is_the_peer_itself_or_among_those_named() -> None:
    guard = Guard(own_next_hop=True, next_hops=("2001:db8:a::/63", "192.0.2.1/32"))  # type: ignore[arg-type]
    own = address("10.0.0.1")
    assert guard.takes(own, own)
    assert guard.takes(address("192.0.2.1"), own)
    assert guard.takes(address("2001:db8:a:1::7"), own)
    assert guard.takes(address("2001:db8:a::7") + address("fe80::1"), own)
    assert not guard.takes(address("10.0.0.2"), own)
    assert not guard.takes(address("2001:db8:a:2::7"), own)
    assert not guard.takes(address("fe80::1") + address("2001:db8:a::7"), own)
    # A session between link-local addresses.
    assert guard.takes(address("2001:db8:f::7") + address("fe80::1"), address("fe80::1"))
    assert Guard().takes(address("10.0.0.2"), own)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Blocks("10.244.0.1/16", 26), "within: 10.244.0.1/16 has host bits set"),
        (lambda: Blocks(7, 26), "within: write a network such as 10.244.0.0/16, not 7"),  # type: ignore[arg-type]
        (lambda: Blocks("10.244.0.0/16", 15), "length: must be a whole number from 16 to 32, not 15"),
        (lambda: Blocks("10.244.0.0/16", 26, 0), "count: must be a whole number"),
        (lambda: Blocks("10.244.0.0/16", 26, borrowed=-1), "borrowed: must be a whole number"),
        (lambda: Blocks("10.244.0.0/16", 32, borrowed=1), "borrowed: nothing is more specific than a /32"),
        (lambda: Guard(name=""), "name: must be text"),
        (lambda: Guard(prefixes=["10.0.0.0/8"]), "prefixes: must be a PrefixList"),  # type: ignore[arg-type]
        (lambda: Guard(shared="10.0.0.0/8"), "shared: must be a PrefixList"),  # type: ignore[arg-type]
        (lambda: Guard(blocks=POOL), "blocks: must be a list"),  # type: ignore[arg-type]
        (lambda: Guard(blocks=("10.0.0.0/8",)), "blocks: must be a tuple of Blocks"),  # type: ignore[arg-type]
        (lambda: Guard(next_hops=("10.0.0.0/8",)), "next_hops: needs own_next_hop"),  # type: ignore[arg-type]
        (lambda: Guard(own_next_hop=True, next_hops=("x",)), "next_hops: 'x' does not"),  # type: ignore[arg-type]
        (lambda: Guard(own_next_hop=True, next_hops="10.0.0.1"), "next_hops: must be a list"),  # type: ignore[arg-type]
        (lambda: Guard(hold=-1), "hold: must be a number of seconds"),
        (lambda: Guard(hold=float("nan")), "hold: must be a number of seconds"),
        (lambda: PeerOptions(asn=1, address="192.0.2.1", guard="nodes"), "guard: must be a Guard"),  # type: ignore[arg-type]
    ],
)
def test_bad_values_are_refused_by_name(make: object, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value).startswith(text)


def test_guards_are_values() -> None:
    assert Guard(blocks=(POOL,)) == Guard(blocks=(Blocks(ip_network("10.244.0.0/16"), 26),))
    assert hash(Guard(blocks=(POOL,))) == hash(Guard(blocks=(POOL,)))
    assert Guard(blocks=(POOL,)) != Guard(blocks=(Blocks("10.244.0.0/16", 26, 2),))
    assert str(Guard(name="a", blocks=(Blocks("10.244.0.0/16", 26, 2, 8),), hold=5, own_next_hop=True)) == (
        "a: 2 /26 out of 10.244.0.0/16, 8 borrowed; next hop itself; held for 5 s"
    )


def test_a_refusal_names_guard_and_rule() -> None:
    assert rule_of(refusal("owned", "nodes")) == "owned"
    assert (
        str(refusal("owned", "nodes"))
        == 'another peer was the first to announce it, and has it (guard "nodes")'
    )
    assert rule_of(None) is None
