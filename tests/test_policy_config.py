"""Policies in the configuration: the same as those made in Python, and each fault at its own line."""

from ipaddress import IPv4Address

import pytest

from bgp.family import IPV4_UNICAST
from bgp.iana import AttributeType, Origin
from bgp.policy import ACCEPT, ACCEPT_ALL, NEXT, REFUSE, Rules, Term, change, known, match
from bgp.policy.prefixes import PrefixList
from bgp.rib.path import Kind
from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError

ROUTER = '[router]\nasn = 65000\nrouter_id = "192.0.2.1"\n'  # three lines
PEER = '[[neighbor]]\naddress = "192.0.2.2"\nasn = 65001\nimport = "p"\nexport = "accept-all"\n'  # five more


def policy(text: str) -> Rules:
    (neighbor,) = loads(ROUTER + PEER + text).neighbors
    assert isinstance(neighbor.import_policy, Rules)
    assert neighbor.export_policy is ACCEPT_ALL
    return neighbor.import_policy


def problems(text: str) -> list[tuple[int, str, str, str]]:
    with pytest.raises(ConfigurationError) as caught:
        loads(text)
    return [(problem.line, problem.key, problem.what, problem.remedy) for problem in caught.value.problems]


MATCHES = [
    ('family = "ipv4-unicast"', match.family(IPV4_UNICAST)),
    ('prefix = "10.0.0.0/8 le 24"', match.prefix_in(["10.0.0.0/8 le 24"])),
    ('prefix = ["10.0.0.0/8", "!10.1.0.0/16 le 32"]', match.prefix_in(["10.0.0.0/8", "!10.1.0.0/16 le 32"])),
    ('prefix = "list"', match.prefix_in(["192.0.2.0/24", "2001:db8::/32 ge 48"])),
    ('prefix_length = "25-32"', match.prefix_length((25, 32))),
    ('as_path = "^64500 .*$"', match.as_path("^64500 .*$")),
    ('as_path = ["^1", "2$"]', match.as_path("^1") | match.as_path("2$")),
    ("as_path_first = 7", match.as_path_first(7)),
    ('as_path_last = "7-9"', match.as_path_last((7, 9))),
    ("as_path_contains = 7", match.as_path_contains(7)),
    ('as_path_length = "0-5"', match.as_path_length((0, 5))),
    ('community = ["65000:*", "no-export"]', match.community("65000:*", "no-export")),
    ('large_community = "1:2:*"', match.large_community("1:2:*")),
    ('extended_community = "rt:1:*"', match.extended_community("rt:1:*")),
    ('next_hop = ["10.0.0.0/8", "::/0"]', match.next_hop_in(["10.0.0.0/8", "::/0"])),
    ('origin = ["igp", "egp"]', match.origin(Origin.IGP, Origin.EGP)),
    ('med = "none"', match.med(None)),
    ("local_pref = 100", match.local_pref(100)),
    ('has = ["aigp"]', match.has(AttributeType.AIGP)),
    ('peer = "edge-*"', match.peer("edge-*")),
    ('peer_type = ["local", "non-client"]', match.peer_type(Kind.LOCAL, Kind.NON_CLIENT)),
    ('source = "10.0.0.0/8"', match.source(["10.0.0.0/8"])),
    ("source_as = 65001", match.source_as(65001)),
    ("not = {med = 1}", ~match.med(1)),
    ("any = [{med = 1}, {local_pref = 2, med = 3}]", match.med(1) | (match.local_pref(2) & match.med(3))),
    ("med = 1, local_pref = 2", match.med(1) & match.local_pref(2)),
]
LIST = '[prefix_list.list]\nentries = ["192.0.2.0/24", "2001:db8::/32 ge 48"]\n'


@pytest.mark.parametrize(("text", "expected"), MATCHES, ids=[text for text, _ in MATCHES])
def test_each_match(text: str, expected: match.Match) -> None:
    made = policy(f'{LIST}[[policy.p.term]]\nname = "t"\nmatch = {{{text}}}\nthen = "accept"\n')
    assert made == Rules("p", [Term("t", expected, (), ACCEPT)])


CHANGES = [
    ("local_pref = 5", change.local_pref(5)),
    ('local_pref = "+5"', change.add_local_pref(5)),
    ("med = 5", change.med(5)),
    ('med = "-5"', change.add_med(-5)),
    ('med = "none"', change.med(None)),
    ('origin = "egp"', change.origin(Origin.EGP)),
    ('as_path = "1 {2,3}"', change.as_path("1 {2,3}")),
    ('as_path = ""', change.as_path("")),
    ("prepend = [65000, 65000]", change.prepend(65000, 65000)),
    ("prepend = 65000", change.prepend(65000)),
    ('next_hop = "self"', change.next_hop_self()),
    ('next_hop = "keep"', change.next_hop_keep()),
    ('next_hop = "2001:db8::1"', change.next_hop("2001:db8::1")),
    ("atomic_aggregate = false", change.atomic_aggregate(False)),
    ('aggregator = {asn = 1, address = "192.0.2.1"}', change.aggregator(1, IPv4Address("192.0.2.1"))),
    ("aigp = 9", change.aigp(9)),
    ('communities = ["1:1", "no-export"]', change.set_communities("1:1", "no-export")),
    ("communities = []", change.set_communities()),
    ('add_communities = "1:1"', change.add_communities("1:1")),
    ('remove_communities = ["1:*"]', change.remove_communities("1:*")),
    ('large_communities = ["1:1:1"]', change.set_large_communities("1:1:1")),
    ('add_large_communities = ["1:1:1"]', change.add_large_communities("1:1:1")),
    ('remove_large_communities = ["1:*:*"]', change.remove_large_communities("1:*:*")),
    ('extended_communities = ["rt:1:1"]', change.set_extended_communities("rt:1:1")),
    ('add_extended_communities = ["rt:1:1"]', change.add_extended_communities("rt:1:1")),
    ('remove_extended_communities = ["rt:*:*"]', change.remove_extended_communities("rt:*:*")),
    ('remove = "aigp"', change.remove(AttributeType.AIGP)),
]


@pytest.mark.parametrize(("text", "expected"), CHANGES, ids=[text for text, _ in CHANGES])
def test_each_change(text: str, expected: change.Change) -> None:
    made = policy(f"[[policy.p.term]]\nset = {{{text}}}\n")
    assert made == Rules("p", [Term("1", match.ANY, (expected,), NEXT)])


def test_changes_in_the_order_in_which_they_are_written() -> None:
    made = policy("[[policy.p.term]]\nset = {prepend = 7, med = 1, local_pref = 2}\n")
    assert made.terms[0].changes == (change.prepend(7), change.med(1), change.local_pref(2))


def test_a_whole_policy() -> None:
    text = """
        [policy.p]
        default = "accept"
        [[policy.p.term]]
        name = "bad"
        then = "refuse"
        [policy.p.term.match]
        community = "65000:666"
        [[policy.p.term]]
        known = "graceful-shutdown"
        [[policy.p.term]]
        known = "blackhole"
        allowed = ["192.0.2.0/24 le 32"]
        discard = "192.0.2.254"
        """
    allowed = PrefixList(["192.0.2.0/24 le 32"])
    terms = [
        Term("bad", match.community("65000:666"), (), REFUSE),
        known.graceful_shutdown(),
        *known.blackhole(allowed, "192.0.2.254"),
    ]
    assert policy(text) == Rules("p", terms, ACCEPT)
    assert policy(text).reads_prefix


def test_groups_lay_policies_under_their_neighbors() -> None:
    text = (
        ROUTER
        + """
        [policy.a]
        default = "accept"
        [policy.b]
        default = "refuse"
        [group.g]
        asn = "external"
        policy = "accept-all"
        import = "a"
        [[neighbor]]
        address = "192.0.2.2"
        group = "g"
        [[neighbor]]
        address = "192.0.2.3"
        group = "g"
        import = "accept-all"
        export = "b"
        [[listen_range]]
        prefix = "10.0.0.0/8"
        group = "g"
        export = "b"
        """
    )
    configuration = loads(text)
    a, b = Rules("a", [], ACCEPT), Rules("b", [])
    peers = [*configuration.neighbors, configuration.listen_ranges[0].options]
    found = [(options.import_policy, options.export_policy) for options in peers]
    assert found == [(a, ACCEPT_ALL), (ACCEPT_ALL, b), (a, b)]
    assert configuration.warnings == ()
    # Policies are values: two readings of a file are equal, so a reload finds what changed.
    assert loads(text) == configuration
    assert loads(text.replace('default = "refuse"', 'default = "accept"')) != configuration


def test_one_direction_without_a_policy_is_a_warning() -> None:
    (warning,) = loads(
        ROUTER + PEER.replace('export = "accept-all"\n', "") + "[policy.p]\ndefault='accept'\n"
    ).warnings
    assert "no route will pass to external peers: they have no export policy" in warning.what
    assert 'export = "accept-all"' in warning.remedy


TERMS = [
    ('match = {prefix = "10.0.0.0/33"}', "match.prefix", "no entry of a prefix list", "write one such as"),
    ('match = {prefix = "10.0.0.0/8 le 99"}', "match.prefix", "must rise from 8", "write one such as"),
    ('match = {prefix = "lst"}', "match.prefix", 'no prefix list "lst"', 'did you mean "list"?'),
    ('match = {prefix = "other"}', "match.prefix", 'no prefix list "other"', "add [prefix_list.other]"),
    ("match = {prefix = 10}", "match.prefix", "must be a list, not a number", "[brackets]"),
    ('match = {prefix = ["x"]}', "match.prefix, item 1", "no entry", "write 10.0.0.0/8 ge 16 le 24"),
    ('match = {as_path = "(1"}', "match.as_path", "a ( without its )", "write AS numbers"),
    ('match = {as_path = ["1", "_2_"]}', "match.as_path, item 2", "means nothing", "write AS numbers"),
    ('match = {as_path_length = "5-1"}', "match.as_path_length", '"5-1" is no range', '"10-20"'),
    ("match = {as_path_first = -1}", "match.as_path_first", "-1 is out of range", "10-20"),
    ("match = {med = true}", "match.med", "must be a number or range, not true or false", "10-20"),
    ('match = {community = "65000:1:*"}', "match.community", "no pattern of communities", "write 65000:*"),
    ('match = {community = "65536:1"}', "match.community", "is no community", "write asn:value"),
    ('match = {large_community = "1:2"}', "match.large_community", "no pattern", "write 65000:1:2"),
    ('match = {extended_community = "rt"}', "match.extended_community", "no extended", "write rt:asn:number"),
    ('match = {next_hop = "10.0.0.1/8"}', "match.next_hop", "bits set beyond", '"10.0.0.0/8"'),
    ('match = {origin = "incomplet"}', "match.origin", "is not known", 'did you mean "incomplete"?'),
    ('match = {peer_type = "cleint"}', "match.peer_type", "not known", 'did you mean "client"?'),
    ('match = {has = "local-pref"}', "match.has", "not known", 'did you mean "local_pref"?'),
    ("match = {communty = 1}", "match.communty", "no such key", "did you mean community?"),
    ("match = {}", "match", "matches nothing in particular", "leave it out"),
    ("match = 5", "match", "must be a table, not a number", "match = {...}"),
    ("match = {not = {md = 5}}", "match.not.md", "no such key", "did you mean med?"),
    ("match = {any = {med = 5}}", "match.any", "must be a list, not a table", "[brackets]"),
    ('match = {any = [{med = 5}, {med = "x"}]}', "match.any, item 2.med", '"x" is no range', "10-20"),
    ('set = {local_pref = "5"}', "set.local_pref", '"5" is no metric', "write a number"),
    ("set = {local_pref = -5}", "set.local_pref", "-5 is out of range", "0 to 4294967295"),
    ('set = {next_hop = "us"}', "set.next_hop", '"us" is no next hop', '"self", "keep"'),
    ("set = {prepend = [0]}", "set.prepend, item 1", "0 is out of range", "1 to"),
    ("set = {prepend = []}", "set.prepend", "must not be empty", "name at least one"),
    ('set = {as_path = "0"}', "set.as_path", "RFC 7607", "correct it"),
    ('set = {add_communities = ["x"]}', "set.add_communities, item 1", "there is no community", "write "),
    ('set = {remove = "originator_id"}', "set.remove", "no policy may set it (RFC 4456", "leave it out"),
    ('set = {remove = "only_to_customer"}', "set.remove", "no policy may set it (RFC 9234", "leave it out"),
    ("set = {originator_id = 1}", "set.originator_id", "no such key", "remove it"),
    ("set = {aggregator = {asn = 1}}", "set.aggregator", "has no address", "add address"),
    ("set = {}", "set", "sets nothing", "leave it out"),
    ('then = "acept"', "then", "not known", 'did you mean "accept"?'),
    ('name = ""', "name", "must not be empty", "quotes"),
    ('known = "graceful"', "known", "not known", '"graceful-shutdown"'),
    ('known = "no-peer"\nmatch = {med = 1}', "match", "part of what is ready-made", "remove"),
    ('known = "blackhole"', "", "which prefixes may be blackholes", "add allowed"),
    ('set = {med = 1}\nallowed = ["10.0.0.0/8"]', "allowed", "for blackholes only", "remove it"),
    ("match = {med = 1}", "", "does nothing", "add set, or then"),
    ("action = 1", "action", "no such key", "did you mean then?"),
]


@pytest.mark.parametrize(("text", "key", "what", "remedy"), TERMS, ids=[text for text, *_ in TERMS])
def test_what_is_wrong_with_a_term(text: str, key: str, what: str, remedy: str) -> None:
    first = text.split(" ")[0]
    does = "" if first in ("set", "then", "known") or what == "does nothing" else 'then = "accept"\n'
    found = problems(
        ROUTER + PEER + LIST + f"[[policy.p.term]]\nset = {{med = 1}}\n[[policy.p.term]]\n{text}\n{does}"
    )
    (problem,) = [each for each in found if what in each[2]]
    line, where, _, cure = problem
    assert where == f"[[policy.p.term]] 2{', ' if key else ''}{key}"
    header = 8 + 2 + 2 + 1
    assert line == header + (
        0 if not key else 1 + text.count("\n", 0, text.index(key.split(".")[0].split(",")[0]))
    )
    assert remedy in cure


OTHERS = [
    ("[policy.p]\n", 9, "[policy.p]", "has no terms, so it refuses everything", "[[policy.NAME.term]]"),
    ("policy = 1\n", 9, "policy", "must be tables with names", "[policy.NAME]"),
    ('[policy.p]\ndefault = "next"\n', 10, "[policy.p] default", "not known", '"accept", "refuse"'),
    ("[policy.p]\nterm = 1\n", 10, "[policy.p] term", "must be a list of tables", "[[policy.p.term]]"),
    ('[policy.p]\ndefault = "accept"\n[policy.accept-all]\ndefault = "accept"\n', 11, "[policy.accept-all]",
     "is a policy already", "another name"),
    ('[policy.q]\ndefault = "accept"\n', 7, "[[neighbor]] 1, import", 'no policy "p"', "[policy.p]"),
    ('[[policy.p.term]]\nname = "a"\nthen = "accept"\n[[policy.p.term]]\nname = "a"\nthen = "accept"\n',
     12, "[[policy.p.term]] 2", '"a" is already the name of the term in line 9', "different names"),
    ('[policy.p]\ndefault = "accept"\n[prefix_list.x]\n', 11, "[prefix_list.x]", "has no entries", "add"),
    ('[policy.p]\ndefault = "accept"\n[prefix_list.x]\nentries = [\n"10.0.0.0/8",\n"10.0.0.0/8"]\n',
     14, "[prefix_list.x] entries, item 2", "is there twice", "keep one"),
    ('[policy.p]\ndefault = "accept"\n[prefix_list.x]\nentries = [\n"10.0.0.0/8",\n5]\n',
     14, "[prefix_list.x] entries, item 2", "must be text", "quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "what", "remedy"), OTHERS, ids=range(len(OTHERS)))
def test_what_else_is_wrong(text: str, line: int, key: str, what: str, remedy: str) -> None:
    prefix = ROUTER + PEER
    if text.startswith("policy = "):
        found = problems(text + prefix)
        line = 1
    else:
        found = problems(prefix + text)
    (problem,) = [each for each in found if what in each[2]]
    assert problem[:2] == (line, key)
    assert remedy in problem[3]


def test_a_misspelt_name_is_guessed() -> None:
    text = ROUTER + PEER.replace('"p"', '"edgee"') + '[policy.edge]\ndefault = "accept"\n'
    ((_, key, what, remedy),) = problems(text)
    assert (key, what, remedy) == (
        "[[neighbor]] 1, import",
        'there is no policy "edgee"',
        'did you mean "edge"?',
    )
