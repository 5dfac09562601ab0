"""The text API: every command is read as it is meant, and a bad one says what is wrong with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST
from bgp.tools.exabgp.command import VERBS, Selector, parse
from bgp.tools.exabgp.route import Key
from bgp.tools.exabgp.words import WORDS
from bgp.wire import prefix as nlri
from bgp.wire.attributes import ROWS


def key(text: str, path_id: int = 0) -> Key:
    return Key(*nlri.parse(text), path_id)


def test_a_route_with_all_attributes() -> None:
    command = parse(
        "announce route 198.51.100.0/24 next-hop 192.0.2.9 origin egp as-path [ 65009 65010 ] med 7 "
        "local-preference 300 community [65000:1, no-export] large-community [ 65000:1:2 ] "
        "extended-community [ target:65000:1 origin:1.2.3.4:5 ] atomic-aggregate "
        "aggregator ( 65009:1.2.3.4 ) originator-id 1.1.1.1 cluster-list [ 2.2.2.2 3.3.3.3 ] "
        "path-information 0.0.0.9"
    )
    assert command is not None and command.said is not None
    assert command.verb == "announce"
    assert command.routes == (key("198.51.100.0/24", 9),)
    assert command.said.next_hop == bytes((192, 0, 2, 9))
    found = {type_: value.hex() for _, type_, value in command.said.items}
    assert found == {
        1: "01",
        2: "02020000fdf10000fdf2",
        4: "00000007",
        5: "0000012c",
        6: "",
        7: "0000fdf101020304",
        8: "fde80001ffffff01",
        9: "01010101",
        10: "0202020203030303",
        16: "0002fde8000000010103010203040005",
        32: "0000fde80000000100000002",
    }


@pytest.mark.parametrize(
    ("line", "verb", "routes"),
    [
        ("announce route 10.0.0.0/8 next-hop self", "announce", ["10.0.0.0/8"]),
        ("announce ipv4 unicast 10.0.0.0/8 next-hop self", "announce", ["10.0.0.0/8"]),
        ("announce ipv6 unicast 2001:db8::/32 next-hop 2001:db8::1", "announce", ["2001:db8::/32"]),
        ("announce route 10.0.0.0/23 next-hop self split /24", "announce", ["10.0.0.0/24", "10.0.1.0/24"]),
        (
            "announce attributes next-hop self med 5 nlri 10.0.0.0/8 11.0.0.0/8",
            "announce",
            ["10.0.0.0/8", "11.0.0.0/8"],
        ),
        ("announce attribute next-hop self nlri 10.0.0.0/8", "announce", ["10.0.0.0/8"]),
        ("withdraw route 10.0.0.0/8", "withdraw", ["10.0.0.0/8"]),
        ("withdraw route 10.0.0.0/8 next-hop self med 4", "withdraw", ["10.0.0.0/8"]),
        ("withdraw ipv6 unicast 2001:db8::/32", "withdraw", ["2001:db8::/32"]),
        ("withdraw attributes next-hop self nlri 10.0.0.0/8", "withdraw", ["10.0.0.0/8"]),
        ("announce route 192.0.2.1 next-hop self", "announce", ["192.0.2.1/32"]),
    ],
)
def test_routes(line: str, verb: str, routes: list[str]) -> None:
    command = parse(line)
    assert command is not None
    assert (command.verb, command.routes) == (verb, tuple(map(key, routes)))
    assert (command.said is None) is (verb == "withdraw")


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("announce route-refresh ipv4 unicast", "announce route-refresh"),
        ("announce route refresh ipv4 unicast", "announce route-refresh"),
        ("announce eor ipv4 unicast", "announce eor"),
    ],
)
def test_families(line: str, verb: str) -> None:
    one, both = parse(line), parse(line.removesuffix(" ipv4 unicast"))
    assert one is not None and both is not None
    assert (one.verb, one.families, both.families) == (verb, (IPV4_UNICAST,), FAMILIES)
    assert IPV6_UNICAST in both.families


def test_selectors() -> None:
    command = parse(
        "neighbor 192.0.2.1 local-as 65001 peer-as 65002, neighbor 2001:DB8::1 "
        "announce route 10.0.0.0/8 next-hop self"
    )
    assert command is not None
    assert command.selectors == (
        Selector("192.0.2.1", (("local-as", "65001"), ("peer-as", "65002"))),
        Selector("2001:db8::1"),
    )
    every = parse("neighbor * teardown 4")
    assert every is not None
    assert (every.selectors, every.words) == ((Selector("*"),), ("4",))


@pytest.mark.parametrize("line", ["", "   ", "# announce route 10.0.0.0/8 next-hop self"])
def test_nothing_to_do(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("announce route 10.0.0.0/8", "next-hop is missing; write next-hop self"),
        ("announce route", "the prefix is missing"),
        ("announce route 10.0.0.1/8 next-hop self", "host bits set"),
        ("announce route 10.0.0.0/8 next-hop self med lots", "med: lots is no number from 0 to 4294967295"),
        ("announce route 10.0.0.0/8 next-hop self color 5", "color: there is no such attribute; there are: "),
        ("announce route 10.0.0.0/8 next-hop self as-path [ 1 2", "a bracket is not closed"),
        ("announce route 10.0.0.0/8 next-hop", "next-hop: its value is missing"),
        ("announce route 10.0.0.0/8 next-hop self community 1:2:3", "community: '1:2:3' is no community"),
        ("announce ipv6 unicast 10.0.0.0/8 next-hop self", "10.0.0.0/8 is no prefix of ipv6-unicast"),
        ("announce attributes next-hop self", "there are no prefixes; write them at the end, behind nlri"),
        ("announce route 10.0.0.0/8 next-hop self split /32", "at most 65536 routes"),
        ("announce eor ipv4 flow", "write ipv4 unicast or ipv6 unicast"),
        ("announce flow route", "there is no command 'announce flow'; there are: "),
        ("neighbor 10.0.0.1", "there is no command behind the neighbors"),
        ("neighbor ten announce eor", "does not appear to be an IPv4 or IPv6 address"),
        ("teardown 256", "at most 255"),
    ],
)
def test_what_is_wrong_is_said(line: str, reason: str) -> None:
    with pytest.raises(ValueError) as told:
        parse(line)
    assert reason in str(told.value)


WORD = st.sampled_from(
    [
        *(" ".join(VERBS).split()),
        *WORDS,
        *"[](),",
        *("neighbor", "self", "next-hop", "nlri", "10.0.0.0/8", "::/0", "1", "/9", "split", "1.2.3.4"),
    ]
)


@given(st.one_of(st.text(), st.lists(WORD).map(" ".join)))
def test_whatever_comes_is_read_or_refused(line: str) -> None:
    """A line is a command, nothing, or a ValueError with words in it; no other exception."""
    try:
        parse(line)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("name", WORDS)
def test_every_example_is_good_and_flagged_as_the_attribute_is(name: str) -> None:
    row = WORDS[name]
    assert ROWS[row.type].flags == row.flags
    example = row.example.partition(",")[0]
    command = parse(f"announce route 10.0.0.0/8 next-hop self {example}")
    assert command is not None and command.said is not None
    assert [item[1] for item in command.said.items] == [row.type]
