"""Communities by names of one's own: wherever a community may be written, and in what is shown."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from service import Cluster, running

from bgp.policy import Rules
from reflector.configuration.config import Configuration, loads
from reflector.configuration.document import ConfigurationError, Problem

HEAD = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'
NAMES = """\
[communities]
blackhole-me = "64512:666"
customer = "64512:1:2"
site = "rt:64512:1"
"quoted.name" = "64512:7"
"""


def policy(text: str) -> str:
    return f'import = "p"\n[policy.p]\ndefault = "accept"\n[[policy.p.term]]\nname = "t"\n{text}\n'


def read(text: str, names: str = NAMES) -> Configuration:
    return loads(HEAD + text + names)


def refused(text: str, names: str = NAMES) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        read(text, names)
    return list(caught.value.problems)


def test_names_in_networks() -> None:
    text = (
        '[[network]]\nprefix = "203.0.113.0/24"\ncommunities = ["blackhole-me", "no-export", "quoted.name"]\n'
    )
    text += 'large_communities = ["customer", "1:2:3"]\nextended_communities = ["site", "ro:192.0.2.1:1"]\n'
    (network,) = read(text).networks
    assert network.communities == (64512 << 16 | 666, 0xFFFFFF01, 64512 << 16 | 7)
    assert network.large_communities == ((64512, 1, 2), (1, 2, 3))
    assert network.extended_communities == ("rt:64512:1", "ro:192.0.2.1:1")


@pytest.mark.parametrize(
    ("value", "what", "remedy"),
    [
        ('"sit"', 'there is no extended community "sit"', '"site"?'),
        ('"rt:1"', "is no extended community", "rt:asn:number"),
        ('"rt:[2001:db8::1]:1"', "has an IPv6 address", "of eight octets"),
        ("5", "must be text, not a number", "write rt:asn:number"),
        ('"rt:1:1", "rt:1:1"', "is there twice", "keep one"),
    ],
)
def test_extended_communities_of_networks_that_are_none(value: str, what: str, remedy: str) -> None:
    text = f'[[network]]\nprefix = "203.0.113.0/24"\nextended_communities = [{value}]\n'
    (problem,) = refused(text)
    assert problem.line == 9 and what in problem.what and remedy in problem.remedy


@pytest.mark.parametrize(
    ("named", "plain"),
    [
        ('match = {community = "blackhole-me"}\nthen = "refuse"', '"64512:666"'),
        ('match = {community = ["1:1", "blackhole-me"]}\nthen = "refuse"', '"64512:666"'),
        ('match = {not = {any = [{community = "blackhole-me"}]}}\nthen = "refuse"', '"64512:666"'),
        ('match = {large_community = "customer"}\nthen = "refuse"', '"64512:1:2"'),
        ('match = {extended_community = "site"}\nthen = "refuse"', '"rt:64512:1"'),
        ('set = {communities = ["blackhole-me"]}', '"64512:666"'),
        ('set = {add_communities = "blackhole-me"}', '"64512:666"'),
        ('set = {remove_communities = ["blackhole-me", "1:*"]}', '"64512:666"'),
        ('set = {large_communities = ["customer"]}', '"64512:1:2"'),
        ('set = {add_large_communities = ["customer"]}', '"64512:1:2"'),
        ('set = {remove_large_communities = ["customer"]}', '"64512:1:2"'),
        ('set = {extended_communities = ["site"]}', '"rt:64512:1"'),
        ('set = {add_extended_communities = ["site"]}', '"rt:64512:1"'),
        ('set = {remove_extended_communities = ["site"]}', '"rt:64512:1"'),
    ],
)
def test_names_in_policies_are_what_they_stand_for(named: str, plain: str) -> None:
    with_name = read(policy(named)).neighbors[0].import_policy
    without = read(policy(re.sub('"(blackhole-me|customer|site)"', plain, named))).neighbors[0].import_policy
    assert isinstance(with_name, Rules) and with_name == without
    assert str(with_name) == str(without)


@pytest.mark.parametrize(
    ("text", "line", "what", "remedy"),
    [
        ('match = {community = "blackhole-m"}', 12, 'there is no community "blackhole-m"', '"blackhole-me"?'),
        ('match = {community = ["1:1",\n"no-exprt"]}', 13, 'no community "no-exprt"', '"no-export"?'),
        ('match = {community = "zzz"}', 12, 'no community "zzz"', "or add zzz to [communities]"),
        ('match = {community = "customer"}', 12, "the large community 64512:1:2", "write a community here"),
        (
            'set = {add_large_communities = ["site"]}',
            12,
            "extended community rt:64512:1",
            "a large community",
        ),
        ('set = {add_large_communities = ["custome"]}', 12, 'no large community "custome"', '"customer"?'),
        ('set = {add_extended_communities = ["sitr"]}', 12, 'no extended community "sitr"', '"site"?'),
    ],
)
def test_names_that_are_none(text: str, line: int, what: str, remedy: str) -> None:
    (problem,) = refused(policy(text + '\nthen = "accept"'))
    assert problem.line == line and what in problem.what and remedy in problem.remedy
    assert problem.key.startswith("[[policy.p.term]] 1, ")


@pytest.mark.parametrize(
    ("names", "line", "key", "what", "remedy"),
    [
        ('[communities]\nno-export = "1:2"', 8, "[communities] no-export", "well-known", "another name"),
        ('[communities]\nNO_EXPORT = "1:2"', 8, "[communities] NO_EXPORT", "well-known", "another name"),
        ('[communities]\na = "1:1"\nb = "1:1"', 9, "[communities] b", 'has the name "a" already', "keep one"),
        ('[communities]\na = "x"', 8, "[communities] a", '"x" is no community', "asn:value:value"),
        ('[communities]\na = "65536:1"', 8, "[communities] a", '"65536:1" is no community', "asn:value"),
        ('[communities]\na = ["1:1"]', 8, "[communities] a", "must be text, not a list", "asn:value"),
        ('[communities]\n"1:1" = "1:1"', 8, "[communities] 1:1", "is no name", "a letter first"),
        ('[communities]\n7 = "1:1"', 8, "[communities] 7", "is no name", "a letter first"),
        ("[[communities]]", 7, "communities", "must be a table, not a list", "[communities]"),
        ('[community]\na = "1:1"', 7, "community", "is not known here", "[communities]?"),
    ],
)
def test_what_is_wrong_with_a_name(names: str, line: int, key: str, what: str, remedy: str) -> None:
    (problem,) = refused("", names + "\n")
    assert (problem.line, problem.key) == (line, key)
    assert what in problem.what and remedy in problem.remedy


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(
        tmp_path, '\n[communities]\nours = "64512:7"\ntests = "64512:1"\nbig = "1:2:3"\nsite = "rt:1:1"\n'
    ) as found:
        yield found


async def test_reports_know_the_names(cluster: Cluster) -> None:
    (row,) = await cluster.ask("routes", community="ours")
    assert row["prefix"] == "198.51.100.0/24" and row["communities"] == ["64512:7"]
    assert row["community_names"] == {"64512:7": "ours"}
    assert await cluster.ask("routes", community="64512:7") == [row]
    assert await cluster.ask("routes", community="big") == []
    assert "extended community rt:1:1" in await cluster.refusal("routes", community="site")
    assert "no community" in await cluster.refusal("routes", community="their")
    rows = {row["prefix"]: row for row in await cluster.ask("routes", family="ipv4")}
    assert "community_names" not in rows["10.1.0.0/16"]
    (explained,) = await cluster.ask("explain", prefix="198.51.100.0/24")
    assert explained["text"].endswith("\n64512:7 is ours")
    shown = (await asyncio.to_thread(cluster.command, "show", "routes", "--community", "tests")).stdout
    assert "tests" in shown and "64512:1 " not in shown
