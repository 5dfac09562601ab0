"""Guards in TOML: what they become, what is wrong with them and where, and what a change of one costs."""

import pytest

from bgp import Blocks, Guard, PrefixList
from reflector.changes.reload import plan
from reflector.configuration.config import Configuration, loads
from reflector.configuration.document import ConfigurationError

HEAD = """\
[router]
asn = 64512
router_id = "192.0.2.1"
[group.nodes]
client = true
guard = "nodes"
[[listen_range]]
prefix = "10.0.0.0/16"
group = "nodes"
[[neighbor]]
address = "192.0.2.7"
group = "nodes"
allotment = ["203.0.113.0/26 le 32"]
"""
GUARD = """\
[guard.nodes]
prefixes = ["192.0.2.0/24 le 32"]
blocks = [
  {within = "10.244.0.0/16", length = 26, count = 2, borrowed = 16},
  {within = "fd00:10:244::/48", length = 122},
]
shared = ["10.96.0.0/12 le 32"]
next_hop = ["itself", "2001:db8:a::/64"]
hold = 60
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loads(text, "rr.toml")
    return [str(each) for each in caught.value.problems]


def guard_of(configuration: Configuration) -> Guard:
    guard = configuration.listen_ranges[0].options.guard
    assert guard is not None
    return guard


def test_a_guard_is_what_the_library_knows() -> None:
    configuration = loads(HEAD + GUARD)
    wanted = Guard(
        name="nodes",
        prefixes=PrefixList(["192.0.2.0/24 le 32"]),
        blocks=(Blocks("10.244.0.0/16", 26, 2, 16), Blocks("fd00:10:244::/48", 122)),
        shared=PrefixList(["10.96.0.0/12 le 32"]),
        own_next_hop=True,
        next_hops=("2001:db8:a::/64",),  # type: ignore[arg-type]
        hold=60.0,
    )
    assert guard_of(configuration) == wanted
    neighbor = configuration.neighbors[0].guard
    assert neighbor is not None and neighbor.prefixes == PrefixList(["203.0.113.0/26 le 32"])
    assert (neighbor.name, neighbor.blocks, neighbor.hold) == ("nodes", wanted.blocks, 60.0)


def test_an_allotment_alone_is_a_guard() -> None:
    text = HEAD.replace('guard = "nodes"\n', "")
    configuration = loads(text)
    assert configuration.listen_ranges[0].options.guard is None
    assert configuration.neighbors[0].guard == Guard(
        name="allotment", prefixes=PrefixList(["203.0.113.0/26 le 32"])
    )


def test_the_next_hop_alone_is_a_guard() -> None:
    guard = guard_of(loads(HEAD + '[guard.nodes]\nnext_hop = "itself"\n'))
    assert guard == Guard(name="nodes", own_next_hop=True)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("[guard.nodes]", "14: [guard.nodes]: guards nothing; add prefixes, blocks, shared or next_hop"),
        (
            '[guard.node]\nnext_hop = "itself"',
            '6: [group.nodes] guard: there is no guard "nodes"; did you mean "node"?',
        ),
        (
            '[guard.nodes]\nnext_hop = "self"',
            "15: [guard.nodes] next_hop: does not say that a peer is its own next hop; "
            'write "itself", or a list such as ["itself", "2001:db8:a::/64"]',
        ),
        (
            '[guard.nodes]\nnext_hop = ["itself", "10.0.0.1/24"]',
            '15: [guard.nodes] next_hop, item 2: "10.0.0.1/24" has bits set beyond its length',
        ),
        (
            '[guard.nodes]\nblocks = [\n{within = "10.244.0.0/16", length = 8}]',
            "16: [guard.nodes] blocks, item 1.length: must be a whole number from 16 to 32, not 8",
        ),
        (
            '[guard.nodes]\nblocks = [{within = "10.244.0.0/16"}]',
            "15: [guard.nodes] blocks, item 1: has no length; add length: their prefix length",
        ),
        (
            '[guard.nodes]\nblocks = [{within = "10.244.0.0/16", size = 26, length = 26}]',
            "15: [guard.nodes] blocks, item 1.size: there is no such key",
        ),
        (
            '[guard.nodes]\nblocks = [{within = "10.0.0.0/8", length = 26},\n'
            '{within = "10.244.0.0/16", length = 26}]',
            "16: [guard.nodes] blocks, item 2.within: overlaps 10.0.0.0/8; part them, or keep one",
        ),
        (
            '[guard.nodes]\nblocks = "10.0.0.0/8"',
            "15: [guard.nodes] blocks: must be a list of tables",
        ),
        ('[guard.nodes]\nhold = "1 h"', "15: [guard.nodes] hold: must be a whole number"),
        ('[guard.nodes]\nshared = ["x"]', "15: [guard.nodes] shared, item 1: "),
        (
            '[guard.nodes]\nanycast = ["10.0.0.0/8"]',
            "15: [guard.nodes] anycast: there is no such key; did you mean shared?",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(lines: str, problem: str) -> None:
    found = problems(HEAD + lines + "\n")
    assert any(each.startswith(f"rr.toml:{problem}") for each in found), found


def test_another_guard_costs_no_session() -> None:
    before = loads(HEAD + GUARD)
    after = loads(HEAD + GUARD.replace("count = 2", "count = 3"))
    found = str(plan(before, after))
    assert found.count("(at once, sessions stay)") == 2
    assert "guard nodes: 2 /26 out of 10.244.0.0/16, 16 borrowed; " in found
    assert "-> nodes: 3 /26 out of 10.244.0.0/16, 16 borrowed; " in found
    without = loads(HEAD.replace('guard = "nodes"\n', ""))
    assert "guard none -> nodes: 2 /26" in str(plan(without, before))
