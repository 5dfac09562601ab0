"""Any faults in any places of a file, however it is written: all at once, each with its own line and key."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError

# What is wrong for any peer: the key, its value, and how the place within the value is called.
PEER = [
    ("hold_time", "1", ""),
    ("client", '"yes"', ""),
    ("colour", "1", ""),
    ('"port number"', "1", ""),
    ("send_hold_time", "-1", ""),
    ("password", "{file = 1}", ".file"),
    ("tcp_ao", '{key = "x", send_id = 1, receive_id = 256}', ".receive_id"),
    ("add_path", '{ipv6-unicast = "both", ipv4-unicast = "snd"}', ".ipv4-unicast"),
    ("families", '["ipv4-unicast", "ipv5-unicast"]', ", item 2"),
    ("graceful_restart", '{families = true, tiem = 5}', ".tiem"),
    ("role", '"provder"', ""),
    ("fqdn", "[]", ""),
    ("required", '["route-refresh", 5]', ", item 2"),
    ("next_hops", '{ipv4-unicast = "10.0.0.300"}', ".ipv4-unicast"),
    ("maximum_prefixes_action", "true", ""),
    ("cluster_id", '"cluster"', ""),
]  # fmt: skip
NETWORK = [
    ("med", '"5"', ""),
    ("communities", '["1:1", "no-exprt"]', ", item 2"),
    ("large_communities", '["1:1:1", "1:1"]', ", item 2"),
    ("origin", '"ibgp"', ""),
    ("if", '"never"', ""),
    ("next_hop", '"here"', ""),
]
TERM = [
    ("then", '"maybe"', ""),
    ("match", '{community = ["1:1", "65536:1"]}', ".community, item 2"),
    ("match", "{any = [{med = 5}, {as_path_length = -1}]}", ".any, item 2.as_path_length"),
    ("match", '{not = {prefix = "10.0.0.1/8"}}', ".not.prefix"),
    ("match", '{prefix = "nowhere"}', ".prefix"),
    ("set", "{prepend = [1, 0]}", ".prepend, item 2"),
    ("set", '{next_hop = "me"}', ".next_hop"),
    ("set", '{add_communities = ["nobody"]}', ".add_communities, item 1"),
    ("sett", "{}", ""),
]
ROUTER = [
    ("listen", '["127.0.0.1:179", "0.0.0.0"]', ", item 2"),
    ("confederation", "{identifier = 0, members = [1]}", ".identifier"),
    ("max_paths", "0", ""),
    ("cluster", '"192.0.2.1"', ""),
]


@dataclass
class Written:
    """A file as it grows, with the faults in it: (line, name)."""

    lines: list[str] = field(default_factory=list)
    faults: set[tuple[int, str]] = field(default_factory=set)

    def line(self, text: str, *names: str) -> None:
        self.lines.append(text)
        self.faults |= {(len(self.lines), name) for name in names}


Fault = tuple[str, str, str]


def called(table: str, fault: Fault) -> str:
    key = fault[0].strip('"')
    return f"{table}{', ' if table.startswith('[[') else ' '}{key}{fault[2]}"


def rows(given: list[tuple[str, str]], faults: list[Fault]) -> list[tuple[str, str, Fault | None]]:
    return [(key, value, None) for key, value in given] + [(each[0], each[1], each) for each in faults]


def headed(out: Written, heading: str, table: str, given: list[tuple[str, str]], faults: list[Fault]) -> None:
    out.line(heading)
    for key, value, fault in rows(given, faults):
        out.line("")
        out.line(f"{key} = {value}  # a comment", *([] if fault is None else [called(table, fault)]))


def dotted(out: Written, prefix: str, table: str, given: list[tuple[str, str]], faults: list[Fault]) -> None:
    for key, value, fault in rows(given, faults):
        out.line(f"{prefix} . {key} = {value}", *([] if fault is None else [called(table, fault)]))


def inline(given: list[tuple[str, str]], faults: list[Fault]) -> str:
    return "{" + ", ".join(f"{key} = {value}" for key, value, _ in rows(given, faults)) + "}"


def some(faults: list[Fault]) -> st.SearchStrategy[list[list[Fault]]]:
    """Several tables, each with some of the faults, no key twice."""
    one = st.lists(st.sampled_from(faults), max_size=3, unique_by=lambda each: each[0])
    return st.lists(one, max_size=3)


def array(out: Written, name: str, tables: list[tuple[list[tuple[str, str]], list[Fault]]]) -> None:
    """A list of inline tables, one to a line."""
    out.line(f"{name} = [")
    for number, (good, faults) in enumerate(tables, 1):
        out.line(f"  {inline(good, faults)},", *[called(f"[[{name}]] {number}", each) for each in faults])
    out.line("]")


@given(
    router=st.lists(st.sampled_from(ROUTER), max_size=2, unique_by=lambda each: each[0]),
    groups=some(PEER),
    neighbors=some(PEER),
    ranges=some(PEER),
    networks=some(NETWORK),
    terms=some(TERM),
    forms=st.fixed_dictionaries(
        {
            "router": st.sampled_from(["headed", "dotted"]),
            "group": st.sampled_from(["headed", "dotted", "inline"]),
            "lists": st.lists(st.booleans(), min_size=3, max_size=3),
        }
    ),
)
def test_all_faults_at_once_each_in_its_place(
    router: list[Fault],
    groups: list[list[Fault]],
    neighbors: list[list[Fault]],
    ranges: list[list[Fault]],
    networks: list[list[Fault]],
    terms: list[list[Fault]],
    forms: dict[str, object],
) -> None:
    out = Written()
    ours = [("asn", "64512"), ("router_id", '"192.0.2.1"')]
    internal = [("asn", '"internal"')]
    lists: dict[str, list[tuple[list[tuple[str, str]], list[Fault]]]] = {
        "neighbor": [([("address", f'"192.0.2.1{n}"'), *internal], each) for n, each in enumerate(neighbors)],
        "listen_range": [
            ([("prefix", f'"10.{n}.0.0/16"'), *internal], each) for n, each in enumerate(ranges)
        ],
        "network": [([("prefix", f'"10.{n}.0.0/16"')], each) for n, each in enumerate(networks)],
    }
    below = dict(zip(lists, forms["lists"], strict=True))  # type: ignore[call-overload]
    # What stands above all headings.
    if forms["router"] == "dotted":
        dotted(out, "router", "[router]", ours, router)
    for number, each in enumerate(groups):
        if forms["group"] == "dotted":
            dotted(out, f'group."g{number}"', f"[group.g{number}]", internal, each)
        elif forms["group"] == "inline":
            names = [called(f"[group.g{number}]", one) for one in each]
            out.line(f"group.g{number} = {inline(internal, each)}", *names)
    for name, tables in lists.items():
        if not below[name] and tables:
            array(out, name, tables)
    if forms["router"] == "headed":
        headed(out, "[router]", "[router]", ours, router)
    for number, each in enumerate(groups):
        if forms["group"] == "headed":
            headed(out, f"[group.g{number}]", f"[group.g{number}]", internal, each)
    for name, tables in lists.items():
        if below[name]:
            for number, (good, each) in enumerate(tables, 1):
                headed(out, f"[[{name}]]", f"[[{name}]] {number}", good, each)
    for number, each in enumerate(terms, 1):
        name = [
            ("name", f'"{number}"'),
            *([] if any(one[0] == "then" for one in each) else [("then", '"next"')]),
        ]
        headed(out, "[[policy.p.term]]", f"[[policy.p.term]] {number}", name, each)
    text = "\n".join(out.lines) + "\n"
    found: set[tuple[int, str]] = set()
    try:
        loads(text, "rr.toml")
    except ConfigurationError as error:
        found = {(problem.line, problem.key) for problem in error.problems}
        assert all(
            problem.what and problem.remedy and problem.file == "rr.toml" for problem in error.problems
        )
        assert len(found) == len(error.problems), error
    assert found == out.faults, text


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("a = {b = 1,\n c = 2}", 1, "on one line, without a comma at its end, or as a [table]"),
        ("a = {b = 1\n, c = 2}", 1, "close the table with } on the same line"),
        ("x = 1\na = {b = 1,}", 2, "remove the comma before the }"),
        ("x = 1\r\na = {b = 1,}\r\n", 2, "remove the comma before the }"),
        ("x = 1\n\u00e9 = 1", 2, "needs quotes"),
        ("x = 01", 1, "numbers without zeros in front"),
        ("x = 10.0.0.1", 1, "text (addresses too) in quotes"),
        ("x = 'y\n", 1, "close the quotes"),
        ('x = "\\q"', 1, "'single quotes'"),
        ("x = [1,\n", 1, "close the list with ]"),
        ("x = 1\n[a]\n[a]", 3, "this table is there twice"),
    ],
)
def test_mistakes_of_syntax(text: str, line: int, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads(text)
    (problem,) = caught.value.problems
    assert problem.line == line and remedy in problem.remedy, problem
