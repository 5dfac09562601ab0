"""A configuration is read whole, and refused whole: every fault at its own line, with its remedy."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.aio.options import PeerOptions
from bgp.aio.signing import AoAlgorithm, AoKey
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import AddPathMode, CapabilityCode, Origin, Role
from bgp.policy import ACCEPT, ACCEPT_ALL, Rules
from bgp.policy.condition import Conditional, exists, missing
from bgp.rib.aggregate import Aggregate
from bgp.rib.decision import DecisionOptions
from bgp.rib.selection import ALL, BEST, EQUAL, best_n
from bgp.session.config import AsExpected, Confederation, LimitAction
from bgp.session.restart import RestartOptions
from bgp.wire.capability import Fqdn
from reflector.configuration import schema
from reflector.configuration.config import (
    LISTEN,
    Aggregated,
    Configuration,
    ListenRange,
    Originated,
    load,
    loads,
)
from reflector.configuration.document import ConfigurationError
from reflector.logs.log import Log

ROUTER = '[router]\nasn = 65000\nrouter_id = "192.0.2.1"\n'  # three lines


def problems(text: str) -> list[tuple[int, str, str, str]]:
    """Return line, key, fault and remedy of everything that is wrong with `text`."""
    with pytest.raises(ConfigurationError) as caught:
        loads(text, "test.toml")
    assert all(problem.file == "test.toml" for problem in caught.value.problems)
    return [(problem.line, problem.key, problem.what, problem.remedy) for problem in caught.value.problems]


# --- The decision -------------------------------------------------------------------------------------


def test_the_decision_may_be_chosen() -> None:
    assert loads(ROUTER).decision == loads(ROUTER + "[decision]\n").decision == DecisionOptions()
    text = "[decision]\n" + "".join(
        f"{name} = {str(not getattr(DecisionOptions(), name)).lower()}\n"
        for name in DecisionOptions.__slots__
        if not name.startswith("maximum")
    )
    text += "maximum_paths_external = 4\nmaximum_paths_internal = 256\n"
    decision = loads(ROUTER + text).decision
    assert (decision.maximum_paths_external, decision.maximum_paths_internal) == (4, 256)
    for name in DecisionOptions.__slots__:
        assert getattr(decision, name) != getattr(DecisionOptions(), name), name
    assert {key.name for key in schema.DECISION} == set(DecisionOptions.__slots__)


def test_faults_of_the_decision_are_at_their_lines() -> None:
    text = ROUTER + "[decision]\nmaximum_paths_external = 0\nprefer_older = true\naigp = 1\n[multipath]\n"
    assert problems(text) == [
        (5, "[decision] maximum_paths_external", "0 is out of range", "write a whole number from 1 to 256"),
        (6, "[decision] prefer_older", "there is no such key", "did you mean prefer_oldest?"),
        (7, "[decision] aigp", "must be true or false, not a number", "write true or false, without quotes"),
        (8, "multipath", "is not known here", "did you mean [decision]?"),
    ]
    assert problems("decision = 3\n" + ROUTER)[0][:2] == (1, "decision")


# --- What is good ------------------------------------------------------------------------------------


def test_the_shortest_reflector() -> None:
    text = ROUTER + '[group.nodes]\nclient = true\n[[listen_range]]\nprefix = "10.0.0.0/8"\ngroup = "nodes"\n'
    configuration = loads(text)
    assert configuration.router.asn == 65000
    assert configuration.router.router_id == configuration.router.cluster_id == 0xC0000201
    assert configuration.router.listen == LISTEN
    families = (IPV4_UNICAST, IPV6_UNICAST)
    options = PeerOptions(asn=AsExpected.INTERNAL, client=True, families=families)
    assert configuration.listen_ranges == (ListenRange(ip_network("10.0.0.0/8"), options, 1000),)
    assert configuration.warnings == ()


def test_a_neighbor_overrides_its_group() -> None:
    text = (
        ROUTER
        + """
        cluster_id = "0.0.0.7"
        listen = ["127.0.0.1:0", "[::1]:1790"]
        [log]
        level = "debug"
        format = "json"
        [group.edge]
        asn = "external"
        hold_time = 30
        multihop = 3
        families = ["ipv4-unicast"]
        policy = "accept-all"
        password = "secret"
        [[neighbor]]
        address = "198.51.100.1"
        group = "edge"
        [[neighbor]]
        address = "::ffff:198.51.100.2"
        name = "second"
        group = "edge"
        asn = 65001
        hold_time = 9
        port = 1790
        source_address = "198.51.100.9"
        passive = true
        role = "customer"
        """
    )
    configuration = loads(text)
    assert configuration.router.cluster_id == 7
    assert configuration.router.listen == ("127.0.0.1:0", "[::1]:1790")
    assert configuration.log == Log("debug", "json")
    first, second = configuration.neighbors
    assert (first.asn, first.hold_time, first.multihop, first.port) == (AsExpected.EXTERNAL, 30, 3, 179)
    assert (first.address, first.password) == ("198.51.100.1", "secret")
    assert first.import_policy is first.export_policy is ACCEPT_ALL
    assert first.families == second.families == (IPV4_UNICAST,)
    assert (second.asn, second.hold_time, second.multihop, second.port) == (65001, 9, 3, 1790)
    assert (second.address, second.source_address) == ("198.51.100.2", "198.51.100.9")
    assert (second.name, second.passive, second.role) == ("second", True, Role.CUSTOMER)


def test_add_path_by_word_and_by_family() -> None:
    text = (
        ROUTER
        + """
        [group.a]
        client = true
        add_path = "both"
        [[neighbor]]
        address = "192.0.2.2"
        group = "a"
        [[neighbor]]
        address = "192.0.2.3"
        group = "a"
        families = ["ipv6-unicast"]
        [[neighbor]]
        address = "192.0.2.4"
        group = "a"
        add_path = {ipv4-unicast = "send", ipv6-unicast = "off"}
        [[neighbor]]
        address = "192.0.2.5"
        group = "a"
        add_path = "off"
        """
    )
    modes = [dict(neighbor.add_path) for neighbor in loads(text).neighbors]
    assert modes == [
        {IPV4_UNICAST: AddPathMode.BOTH, IPV6_UNICAST: AddPathMode.BOTH},
        {IPV6_UNICAST: AddPathMode.BOTH},
        {IPV4_UNICAST: AddPathMode.SEND},
        {},
    ]


def test_add_path_select_by_number_by_word_and_by_family() -> None:
    text = (
        ROUTER
        + """
        [group.a]
        client = true
        add_path = "both"
        add_path_select = 2
        [[neighbor]]
        address = "192.0.2.2"
        group = "a"
        [[neighbor]]
        address = "192.0.2.3"
        group = "a"
        families = ["ipv6-unicast"]
        add_path_select = "best"
        [[neighbor]]
        address = "192.0.2.4"
        group = "a"
        add_path_select = {ipv4-unicast = "equal", ipv6-unicast = "all"}
        [[neighbor]]
        address = "192.0.2.5"
        client = true
        add_path = "both"
        """
    )
    selections = [dict(neighbor.add_path_select) for neighbor in loads(text).neighbors]
    assert selections == [
        {IPV4_UNICAST: best_n(2), IPV6_UNICAST: best_n(2)},
        {IPV6_UNICAST: BEST},
        {IPV4_UNICAST: EQUAL, IPV6_UNICAST: ALL},
        {},
    ]


def test_values_by_family_and_the_rest() -> None:
    text = (
        ROUTER
        + """
        [[neighbor]]
        address = "192.0.2.2"
        client = true
        maximum_prefixes = 100
        next_hops = {ipv4-unicast = "2001:db8::1", ipv6-unicast = "2001:db8::1"}
        required = ["four-octet-as"]
        fqdn = "rr1.example.net"
        idle_hold_time = 0.5
        extended_next_hop = true
        [[neighbor]]
        address = "192.0.2.3"
        client = true
        maximum_prefixes = {ipv6-unicast = 7}
        """
    )
    first, second = loads(text).neighbors
    octets = ip_address("2001:db8::1").packed
    assert first.maximum_prefixes == {IPV4_UNICAST: 100, IPV6_UNICAST: 100}
    assert first.next_hops == {IPV4_UNICAST: octets, IPV6_UNICAST: octets}
    assert first.required == (CapabilityCode.FOUR_OCTET_AS,)
    assert first.fqdn == Fqdn("rr1", "example.net")
    assert first.idle_hold_time == 0.5
    assert first.extended_next_hop == (IPV4_UNICAST,)
    assert second.maximum_prefixes == {IPV6_UNICAST: 7}


def test_networks() -> None:
    text = (
        ROUTER
        + """
        [[network]]
        prefix = "203.0.113.0/24"
        [[network]]
        prefix = "2001:db8::/32"
        next_hop = "2001:db8::1"
        origin = "incomplete"
        med = 10
        local_pref = 200
        communities = ["65000:1", "no-export"]
        large_communities = ["65000:1:2"]
        """
    )
    assert loads(text).networks == (
        Originated(ip_network("203.0.113.0/24")),
        Originated(
            ip_network("2001:db8::/32"),
            ip_address("2001:db8::1"),
            Origin.INCOMPLETE,
            10,
            200,
            (65000 << 16 | 1, 0xFFFFFF01),
            ((65000, 1, 2),),
        ),
    )


def test_an_ipv6_address_with_its_port_is_shown_in_brackets() -> None:
    text = ROUTER + 'listen = ["::1:179"]\n'
    with pytest.raises(ConfigurationError, match=r'brackets: "\[::1\]:179"'):
        loads(text)


def test_a_listen_range_ignores_what_its_group_says_of_dialing() -> None:
    group = '[group.a]\nclient = true\nport = 1790\npassive = false\nsource_address = "192.0.2.1"\n'
    text = ROUTER + group + '[[listen_range]]\nprefix = "2001:db8::/32"\ngroup = "a"\nlimit = 5\n'
    (listen_range,) = loads(text).listen_ranges
    assert listen_range.limit == 5
    assert listen_range.options.source_address is None
    assert listen_range.options.port == 179


def test_every_option_of_a_peer_has_a_key() -> None:
    # `description` repeats `name`; policies go by shorter names, and `policy` stands for both directions.
    options = set(PeerOptions.__dataclass_fields__)
    options -= {"blocked", "description", "import_policy", "export_policy"}
    keys = {row.name for row in schema.NEIGHBOR}
    keys -= {"allotment", "group", "policy", "import", "export", "default_originate_if"}
    assert keys == options


def test_equal_files_give_equal_configurations() -> None:
    text = ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\nadd_path = "send"\n'
    assert loads(text) == loads("# moved\n\n" + text)
    assert loads(text) != loads(text + "hold_time = 30\n")


# --- What is wrong with a value ----------------------------------------------------------------------

# The line of `[router]` or of a neighbor, what is wrong, and part of the remedy.
VALUES = [
    ("asn = 0", "0 is out of range", "1 to 4294967295"),
    ("asn = 4294967296", "out of range", "1 to 4294967295"),
    ("asn = 23456", "reserved (RFC 6793 9)", "assigned to you"),
    ("asn = 65535", "reserved (RFC 7300)", "assigned to you"),
    ('asn = "65001"', "must be a number, not text", "write 65001, without quotes"),
    ('asn = "AS65001"', "must be a number, not text", "write 65001, without quotes"),
    ('asn = "externl"', '"externl" is not known', 'did you mean "external"?'),
    ("asn = true", "must be a whole number, not true or false", "a number from 1"),
    ("asn = 1.10", "must be a whole number, not a number with a fraction", "a number from 1"),
    ("client = 1", "must be true or false, not a number", "without quotes"),
    ('client = "true"', "must be true or false, not text", "without quotes"),
    ("hold_time = 2", "2 is not allowed (RFC 4271 4.2)", "write 0"),
    ("hold_time = -1", "-1 is out of range", "0 to 65535"),
    ('hold_time = "90"', "must be a whole number of seconds, not text", "write 90, without quotes"),
    ("connect_retry_time = 0", "0 is out of range", "1 to 65535"),
    ("connect_retry_time = 0.05", "0.05 is out of range", "from 0.1 to 65535"),
    ("delay_open = inf", "inf is out of range", "from 0 to 65535"),
    ("delay_open = nan", "nan is out of range", "from 0 to 65535"),
    ("stable_time = true", "must be a whole number of seconds", "from 0 to 65535"),
    ("maximum_prefixes = 0", "0 is out of range", "1 to 100000000"),
    ("maximum_prefixes = {ipv4 = 5}", '"ipv4" is not known', 'did you mean "ipv4-unicast"?'),
    ('maximum_prefixes = {ipv4-unicast = "5"}', "must be a whole number", "write 5, without quotes"),
    ('next_hops = "192.0.2.9"', "must be a table, not text", "{ipv6-unicast ="),
    (
        'next_hops = {ipv6-unicast = "192.0.2.9"}',
        "ipv6-unicast has no IPv4 next hops",
        "write an IPv6 address",
    ),
    ('required = ["rout-refresh"]', '"rout-refresh" is not known', 'did you mean "route-refresh"?'),
    (f'fqdn = "{"x" * 300}"', "too long", "as in"),
    ('families = "ipv4-unicast"', "must be a list, not text", '["ipv4-unicast"]'),
    ("families = []", "must not be empty", "name at least one"),
    ('families = ["ipv4"]', '"ipv4" is not known', 'did you mean "ipv4-unicast"?'),
    ('families = ["ipv6_unicast"]', '"ipv6_unicast" is not known', 'did you mean "ipv6-unicast"?'),
    ('families = ["vpnv4"]', '"vpnv4" is not known', 'one of "ipv4-unicast", "ipv6-unicast"'),
    ('families = ["ipv4-unicast", "ipv4-unicast"]', "is there twice", "keep one"),
    ("families = [4]", "must be text, not a number", "one of"),
    ('source_address = "192.0.2.0/24"', "is no IP address", "leave out the prefix length"),
    ('source_address = "192.0.2.1:179"', "is no IP address", "port = 179"),
    ('source_address = "host"', "is no IP address", "as in"),
    ('source_address = "0.0.0.0"', "not the address of one host", "unicast"),
    ('source_address = "224.0.0.1"', "not the address of one host", "unicast"),
    ('source_address = "fe80::1"', "without its interface", '"fe80::1%eth0"'),
    ("source_address = 10", "must be text, not a number", "as in"),
    ('source_address = "::1"', "is an IPv6 address, but the peer's is an IPv4 one", "write an IPv4 address"),
    ("port = 0", "0 is out of range", "1 to 65535"),
    ("port = 65536", "65536 is out of range", "1 to 65535"),
    ("multihop = 256", "256 is out of range", "1 to 255"),
    ('policy = "accept"', '"accept" is not known', 'did you mean "accept-all"?'),
    ("policy = []", "must be text, not a list", '"accept-all"'),
    ('password = ""', "must not be empty", "quotes"),
    (f'password = "{"x" * 81}"', "has 81 octets", "at most 80"),
    ("password = 2024-01-01", "must be text or a table, not a date or time", "{file = "),
    ('add_path = "on"', '"on" is not known', '"off", "receive", "send", "both"'),
    ("add_path = true", "must be text, not true or false", '"off"'),
    ('add_path = {ipv5-unicast = "send"}', '"ipv5-unicast" is not known', "did you mean"),
    ('add_path = {ipv4-unicast = "snd"}', '"snd" is not known', 'did you mean "send"?'),
    ("add_path_select = 0", "0 is out of range", 'from 1 to 255, or one of "best", "equal", "all"'),
    ('add_path_select = "3"', '"3" selects no paths', "write 3, without quotes"),
    ('add_path_select = "al"', '"al" selects no paths', 'did you mean "all"?'),
    ('add_path_select = "some"', '"some" selects no paths', "how many of the best"),
    ("add_path_select = true", "must be a number or text, not true or false", "how many of the best"),
    ("add_path_select = {ipv5-unicast = 2}", '"ipv5-unicast" is not known', "did you mean"),
    ("add_path_select = {ipv4-unicast = 256}", "256 is out of range", "from 1 to 255"),
    ('role = "custmer"', '"custmer" is not known', 'did you mean "customer"?'),
    ('extended_next_hop = "yes"', "must be true or false, not text", "without quotes"),
    ("name = {}", "must be text, not a table", "quotes"),
]


def test_conditions() -> None:
    text = (
        ROUTER
        + """
        [policy.backup]
        default = "accept"
        [condition.uplink]
        exists = ["0.0.0.0/0"]
        [condition.no-uplink]
        missing = ["10.0.0.0/8 le 16", "::/0"]
        [group.nodes]
        client = true
        default_originate = true
        default_originate_if = "uplink"
        conditional = [{routes = "backup", if = "no-uplink"}]
        [[neighbor]]
        address = "192.0.2.2"
        group = "nodes"
        families = ["ipv4-unicast"]
        [[neighbor]]
        address = "192.0.2.3"
        group = "nodes"
        default_originate = ["ipv6-unicast"]
        [[network]]
        prefix = "203.0.113.0/24"
        if = "uplink"
        """
    )
    configuration = loads(text)
    uplink, down = exists("0.0.0.0/0"), missing("10.0.0.0/8 le 16", "::/0")
    first, second = configuration.neighbors
    assert first.default_originate == {IPV4_UNICAST: uplink}
    assert second.default_originate == {IPV6_UNICAST: uplink}
    assert first.conditional == (Conditional(Rules("backup", (), ACCEPT), down),)
    assert configuration.networks[0].condition == uplink


@pytest.mark.parametrize(
    ("text", "key", "what", "remedy"),
    [
        (
            "[condition.a]\n",
            "[condition.a]",
            "does not say what to look for",
            "write one of exists and missing, a list of prefixes",
        ),
        (
            '[condition.a]\nexists = ["10.0.0.0/8"]\nmissing = ["11.0.0.0/8"]\n',
            "[condition.a]",
            "says both exists and missing",
            "write one of exists and missing, a list of prefixes",
        ),
        (
            "[condition.a]\nexists = []\n",
            "[condition.a] exists",
            "must not be empty",
            "name at least one prefix",
        ),
        (
            '[condition.one]\nexists = ["10.0.0.0/8"]\n[[network]]\nprefix = "11.0.0.0/8"\nif = "on"\n',
            "[[network]] 1, if",
            'there is no condition "on"',
            'did you mean "one"?',
        ),
        (
            '[condition.one]\nmissing = ["10.0.0.0/8"]\n[[network]]\nprefix = "10.0.0.0/8"\nif = "one"\n',
            "[[network]] 1, if",
            "the condition of 10.0.0.0/8 looks for 10.0.0.0/8, which depends on a condition itself",
            "let it look for other prefixes",
        ),
        (
            '[group.g]\nclient = true\ndefault_originate_if = "one"\n'
            '[condition.one]\nmissing = ["10.0.0.0/8"]\n[[neighbor]]\ngroup = "g"\naddress = "192.0.2.2"\n',
            "[group.g] default_originate_if",
            "needs default_originate",
            "add default_originate = true",
        ),
        (
            '[group.g]\nclient = true\nconditional = [{routes = "accept-all"}]\n'
            '[[neighbor]]\ngroup = "g"\naddress = "192.0.2.2"\n',
            "[group.g] conditional, item 1",
            "has no if",
            "add if: the [condition.NAME] on which they are told",
        ),
        (
            '[group.g]\nclient = true\ndefault_originate = "yes"\n',
            "[group.g] default_originate",
            "must be true, false or a list, not text",
            "write true, or name the families",
        ),
    ],
)
def test_bad_conditions(text: str, key: str, what: str, remedy: str) -> None:
    ((_, *found),) = problems(ROUTER + text)
    assert found == [key, what, remedy]


def test_aggregates() -> None:
    text = (
        ROUTER
        + """
        [policy.mine]
        default = "accept"
        [[aggregate]]
        prefix = "10.0.0.0/8"
        [[aggregate]]
        prefix = "2001:db8::/32"
        summary_only = true
        origin_as = 64500
        matching_med = true
        communities = true
        policy = "mine"
        """
    )
    configuration = loads(text)
    how = Aggregate(
        summary_only=True,
        origin_as=64500,
        matching_med=True,
        communities=True,
        policy=Rules("mine", (), ACCEPT),
    )
    assert configuration.aggregates == (
        Aggregated(ip_network("10.0.0.0/8"), Aggregate()),
        Aggregated(ip_network("2001:db8::/32"), how),
    )
    assert configuration.summary.endswith("2 aggregates")
    ((number, key, found, cure),) = problems(text.replace('policy = "mine"', 'policy = "mina"'))
    assert (
        number == text.splitlines().index('        policy = "mine"') + 1 and key == "[[aggregate]] 2, policy"
    )
    assert found == 'there is no policy "mina"' and cure == 'did you mean "mine"?'
    again = '[[aggregate]]\nprefix = "10.0.0.0/8"\n'
    ((*_, found, _),) = problems(ROUTER + again + again)
    assert found.startswith("10.0.0.0/8 is already in line")


@pytest.mark.parametrize(("line", "what", "remedy"), VALUES, ids=[line[:40] for line, _, _ in VALUES])
def test_bad_value_of_a_neighbor(line: str, what: str, remedy: str) -> None:
    asn = "" if line.startswith(("asn", "client")) else "asn = 65001\n"
    text = ROUTER + f'[[neighbor]]\naddress = "192.0.2.2"\n{asn}{line}\n'
    ((number, key, found, cure),) = problems(text)
    assert number == 6 + bool(asn)
    assert key.startswith(f"[[neighbor]] 1, {line.split()[0]}")
    assert what in found
    assert remedy in cure


ROUTER_VALUES = [
    ('router_id = "router"', "'router' is no identifier", '"192.0.2.1"'),
    ('router_id = "0.0.0.0"', "'0.0.0.0' is no identifier", 'not "0.0.0.0"'),
    ("router_id = 1", "must be text, not a number", '"192.0.2.1"'),
    ('router_id = "2001:db8::1"', "is no identifier", "IPv4 address"),
    ('cluster_id = ""', "'' is no identifier", "IPv4 address"),
    ('listen = "0.0.0.0:179"', "must be a list, not text", '["0.0.0.0:179"]'),
    ('listen = ["0.0.0.0"]', "is no address with a port", '"0.0.0.0:179"'),
    ('listen = ["[::]"]', "is no address with a port", '"[::]:179"'),
    ('listen = ["::1"]', "is no address with a port", '"[::1]:179"'),
    ('listen = ["::1:179"]', "is no address with a port", "in brackets"),
    ('listen = ["179"]', "is no address with a port", "0.0.0.0:179"),
    ('listen = ["localhost:179"]', '"localhost" is no IP address', "address:port"),
    ('listen = ["[192.0.2.1]:179"]', '"192.0.2.1" is no IP address', "address:port"),
    ('listen = ["192.0.2.1:99999"]', "port 99999 is out of range", "65535"),
    ("listen = [179]", "must be text, not a number", "address:port"),
    ('listen = ["[::]:179", "[0::0]:179"]', "is there twice", "keep one"),
    ('log_level = "warning"', "there is no such key", "write level below [log] in its place"),
    ('client_to_client = "yes"', "must be true or false, not text", "without quotes"),
    ("confederation = 64500", "must be a table, not a number", "confederation = {identifier = 64500"),
    ("confederation = {members = [65001]}", "has no identifier", "{identifier = 64500"),
    ("confederation = {identifier = 64500}", "has no members", "members = [65001, 65002]}"),
    ("confederation = {identifier = 23456, members = [1]}", "AS 23456 is reserved", "assigned to you"),
    ("confederation = {identifier = 64500, members = []}", "must not be empty", "at least one"),
    ("confederation = {identifier = 64500, members = [0]}", "0 is out of range", "from 1 to"),
    ("confederation = {identifier = 1, members = [2], peers = [3]}", "no such key", "members = ["),
]


@pytest.mark.parametrize(
    ("line", "what", "remedy"), ROUTER_VALUES, ids=[line for line, _, _ in ROUTER_VALUES]
)
def test_bad_value_of_the_router(line: str, what: str, remedy: str) -> None:
    router = '[router]\nasn = 65000\nrouter_id = "192.0.2.1"\n'
    name = line.split()[0]
    text = router.replace('router_id = "192.0.2.1"\n', "") if name == "router_id" else router
    text += f'\n# comment\n{line}\n[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'
    ((number, key, found, cure),) = problems(text)
    assert text.splitlines()[number - 1] == line
    assert key.startswith(f"[router] {name}")
    assert what in found
    assert remedy in cure


NETWORK_VALUES = [
    ('prefix = "192.0.2.1/24"', "bits set beyond its length", '"192.0.2.0/24"'),
    ('prefix = "2001:db8::1/32"', "bits set beyond its length", '"2001:db8::/32"'),
    ('prefix = "192.0.2.0/33"', "is no prefix", "as in"),
    ("prefix = 10", "must be text, not a number", "quotes"),
    ('communities = ["65536:1"]', "is no community", "large_communities"),
    ('communities = ["no-exprt"]', "is no community", 'did you mean "no-export"?'),
    ('communities = ["1:2:3"]', "is no community", "asn:value"),
    ("communities = [1]", "must be text, not a number", "asn:value"),
    ('large_communities = ["1:2"]', "is no large community", "asn:value:value"),
    ('large_communities = ["1:2:4294967296"]', "is no large community", "4294967295"),
    ('origin = "iggp"', '"iggp" is not known', 'did you mean "igp"?'),
    ("med = 4294967296", "out of range", "4294967295"),
]


@pytest.mark.parametrize(
    ("line", "what", "remedy"), NETWORK_VALUES, ids=[line for line, _, _ in NETWORK_VALUES]
)
def test_bad_value_of_a_network(line: str, what: str, remedy: str) -> None:
    prefix = "" if line.startswith("prefix") else 'prefix = "192.0.2.0/24"\n'
    ((number, key, found, cure),) = problems(ROUTER + f"[[network]]\n{prefix}{line}\n")
    assert number == 5 + bool(prefix)
    assert key.startswith(f"[[network]] 1, {line.split()[0]}")
    assert what in found
    assert remedy in cure


# --- What is wrong with a table, or between keys -----------------------------------------------------

TABLES = [
    ("", 1, "router", "is missing", "add a [router] table"),
    ("[router]\nasn = 1\n", 1, "router", "has no router_id", "add router_id: our BGP Identifier"),
    ("router = 1\n", 1, "router", "must be a table, not a number", "write [router]"),
    ("[[router]]\n", 1, "router", "must be a table, not a list", "write [router]"),
    (ROUTER + "[neighbor]\n", 4, "neighbor", "must be a list of tables", "[[neighbor]], in two brackets"),
    (ROUTER + "[[group]]\n", 4, "group", "must be tables with names", "[group.NAME]"),
    (ROUTER + "[group]\nclient = true\n", 5, "[group] client", "is in no group", "[group.NAME]"),
    (ROUTER + "[grup.a]\n", 4, "grup", "is not known here", "did you mean [group.NAME]?"),
    (ROUTER + "[[neighbour]]\n", 4, "neighbour", "is not known here", "did you mean [[neighbor]]?"),
    ("client = true\n" + ROUTER, 1, "client", "is not known here", "write it below [group.NAME]"),
    (ROUTER + "[web]\n", 4, "web", "is not known here", "remove it; there are [router]"),
    (ROUTER + "asnn = 1\n", 4, "[router] asnn", "no such key", "did you mean asn?"),
    (ROUTER + "hold_time = 9\n", 4, "[router] hold_time", "no such key", "belongs below [group.NAME]"),
    (ROUTER + "[group.a]\nremote_as = 1\n", 5, "[group.a] remote_as", "no such key", "did you mean asn?"),
    (
        ROUTER + "[group.a]\nhold-time = 9\n",
        5,
        "[group.a] hold-time",
        "no such key",
        "did you mean hold_time?",
    ),
    (
        ROUTER + "[group.a]\nHold_Time = 9\n",
        5,
        "[group.a] Hold_Time",
        "no such key",
        "did you mean hold_time?",
    ),
    (
        ROUTER + "[group.a]\naddress = 9\n",
        5,
        "[group.a] address",
        "no such key",
        "belongs below [[neighbor]]",
    ),
    (ROUTER + "[group.a]\nxyz = 9\n", 5, "[group.a] xyz", "no such key", "there are asn, client"),
    (
        ROUTER + "[[neighbor]]\nclient = true\n",
        4,
        "[[neighbor]] 1",
        "has no address",
        "add address: the peer's",
    ),
    (
        ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\n',
        4,
        "[[neighbor]] 1",
        "nothing says which AS the peer has",
        "add client = true, or asn",
    ),
    (
        ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nclient = false\n',
        4,
        "[[neighbor]] 1",
        "nothing says which AS the peer has",
        "add asn",
    ),
    (
        ROUTER + '[[listen_range]]\nprefix = "10.0.0.0/8"\nclient = true\npassive = true\n',
        7,
        "[[listen_range]] 1, passive",
        "no such key",
        "belongs below [group.NAME] or [[neighbor]]",
    ),
    (
        ROUTER + '[group.nodes]\n[[neighbor]]\naddress = "192.0.2.2"\ngroup = "node"\n',
        7,
        "[[neighbor]] 1, group",
        'there is no group "node"',
        'did you mean "nodes"?',
    ),
    (
        ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\ngroup = "node"\n',
        6,
        "[[neighbor]] 1, group",
        'there is no group "node"',
        "add a [group.node] table",
    ),
    (
        ROUTER + 'listen = []\n[[listen_range]]\nprefix = "10.0.0.0/8"\nclient = true\n',
        5,
        "[[listen_range]] 1",
        "nobody can connect",
        "name an address there",
    ),
    (
        ROUTER + 'listen = []\n[[neighbor]]\naddress = "192.0.2.2"\nclient = true\npassive = true\n',
        8,
        "[[neighbor]] 1, passive",
        "nobody can connect",
        "name an address there",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "what", "remedy"), TABLES, ids=[row[0][-30:] for row in TABLES]
)
def test_bad_table(text: str, line: int, key: str, what: str, remedy: str) -> None:
    ((number, name, found, cure),) = problems(text)
    assert (number, name) == (line, key)
    assert what in found
    assert remedy in cure


TOGETHER = [
    ("asn = 65001\nclient = true", "client", "only internal peers can be clients", 'asn = "internal"'),
    ('asn = "external"\nclient = true', "client", "only internal peers can be clients", "remove client"),
    ('asn = "internal"\nrole = "peer"', "role", "external peers (RFC 9234 4)", "remove role"),
    ('asn = "confederation"\n', "asn", "we are in no confederation", "add confederation to [router]"),
    (
        "client = true\nroute_server_client = true",
        "route_server_client",
        "only external peers can be clients of a route server",
        "remove route_server_client",
    ),
    (
        "client = true\nthird_party_next_hop = true",
        "third_party_next_hop",
        "external peers on a subnet",
        "remove third_party_next_hop",
    ),
    (
        "asn = 65001\nmultihop = 2\nthird_party_next_hop = true",
        "third_party_next_hop",
        "external peers on a subnet",
        "remove third_party_next_hop",
    ),
    ("asn = 65001\nstrict_role = true", "strict_role", "needs a role", "add role"),
    ("client = true\nmultihop = 2", "multihop", "any distance", "remove multihop"),
    ("asn = 65001\nmultihop = 2\nttl = 3", "multihop", "contradicts ttl", "keep one"),
    (
        "client = true\nminimum_hold_time = 91",
        "minimum_hold_time",
        "longer than our own hold_time of 90",
        "raise",
    ),
    ("client = true\nhold_time = 0\nminimum_hold_time = 3", "minimum_hold_time", "hold_time of 0", "lower"),
    ("client = true\nsend_hold_time = 90", "send_hold_time", "longer than the hold_time of 90", "raise it"),
    (
        "client = true\nidle_hold_time = 121",
        "idle_hold_time",
        "exceeds the idle_hold_maximum of 120",
        "lower",
    ),
    ("client = true\nidle_hold_maximum = 0.5", "idle_hold_maximum", "idle_hold_time of 1 seconds", "lower"),
    (
        'client = true\nfamilies = ["ipv4-unicast"]\nmaximum_prefixes = {ipv6-unicast = 5}',
        "maximum_prefixes.ipv6-unicast",
        "ipv6-unicast is not offered",
        'add "ipv6-unicast" to families',
    ),
    (
        'client = true\nfamilies = ["ipv4-unicast"]\nadd_path = {ipv6-unicast = "send"}',
        "add_path.ipv6-unicast",
        "ipv6-unicast is not offered",
        'add "ipv6-unicast" to families',
    ),
    (
        'client = true\nfamilies = ["ipv4-unicast"]\nadd_path = "send"\nadd_path_select = {ipv6-unicast = 2}',
        "add_path_select.ipv6-unicast",
        "ipv6-unicast is not offered",
        'add "ipv6-unicast" to families',
    ),
    (
        'client = true\nadd_path = "receive"\nadd_path_select = 2',
        "add_path_select",
        "selects what add_path sends, which is nothing",
        'add_path = "send"',
    ),
    (
        'client = true\nfamilies = ["ipv6-unicast"]\nextended_next_hop = true',
        "extended_next_hop",
        "IPv4 prefixes, which are not offered",
        'add "ipv4-unicast" to families',
    ),
]


@pytest.mark.parametrize(
    ("keys", "key", "what", "remedy"), TOGETHER, ids=[row[1] + row[0][:9] for row in TOGETHER]
)
@pytest.mark.parametrize("kind", ["neighbor", "listen_range"])
def test_contradiction(kind: str, keys: str, key: str, what: str, remedy: str) -> None:
    """What a group's keys get wrong is reported in the group, once for all its members."""
    own, other = ("address", "prefix") if kind == "neighbor" else ("prefix", "address")
    addresses = {"address": "192.0.2.{}", "prefix": "10.{}.0.0/16"}
    member = f'[[{kind}]]\n{own} = "{addresses[own]}"\ngroup = "a"\n'
    assert other not in member
    text = ROUTER + f"[group.a]\n{keys}\n" + member.format(2) + member.format(3)
    ((line, name, found, cure),) = problems(text)
    assert name == f"[group.a] {key}"
    assert text.splitlines()[line - 1].startswith(key.partition(".")[0])
    assert what in found
    assert remedy in cure


CONFEDERATE = ROUTER + "confederation = {identifier = 64999, members = [65101, 65102]}\n"


def test_a_confederation() -> None:
    peers = ("65101", '"confederation"', "65000", '"external"', "64500")
    text = CONFEDERATE + "".join(
        f'[[neighbor]]\naddress = "192.0.2.{number}"\nasn = {asn}\npolicy = "accept-all"\n'
        for number, asn in enumerate(peers, 1)
    )
    configuration = loads(text)
    confederation = configuration.router.confederation
    assert confederation == Confederation(64999, frozenset({65101, 65102}))
    shown = [options.session(65000, 1, confederation) for options in configuration.neighbors]
    assert [session.local_as for session in shown] == [65000, 65000, 65000, 64999, 64999]
    assert [session.confederation for session in shown] == [True, True, False, False, False]
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        ('asn = "any"', "asn", "does not say whether the peer is in our confederation"),
        ("asn = 65101\nclient = true", "client", "only internal peers"),
        ('asn = "confederation"\nrole = "peer"', "role", "external peers (RFC 9234 4)"),
        ("asn = 65102\nmultihop = 3", "multihop", "any distance"),
        ("asn = 65101\nroute_server_client = true", "route_server_client", "only external peers"),
    ],
)
def test_what_a_member_of_the_confederation_cannot_be(keys: str, key: str, what: str) -> None:
    ((_, name, found, _),) = problems(CONFEDERATE + f'[[neighbor]]\naddress = "192.0.2.2"\n{keys}\n')
    assert name.endswith(key) and what in found


def test_members_of_the_confederation_need_no_policy_and_others_do() -> None:
    peer = '[[neighbor]]\naddress = "192.0.2.2"\nasn = {}\n'
    assert loads(CONFEDERATE + peer.format(65101)).warnings == ()
    for outside in (64500, 64999):
        assert "RFC 8212" in str(loads(CONFEDERATE + peer.format(outside)).warnings[0])


def test_a_route_server_and_its_client() -> None:
    text = (
        ROUTER
        + """
[[neighbor]]
address = "192.0.2.2"
asn = 64500
policy = "accept-all"
route_server_client = true
role = "route-server"
[[neighbor]]
address = "192.0.2.3"
asn = 64501
policy = "accept-all"
first_as = false
third_party_next_hop = true
"""
    )
    client, server = loads(text).neighbors
    assert client.route_server_client and client.role is Role.ROUTE_SERVER and client.first_as
    assert not server.first_as and server.third_party_next_hop
    assert not server.session(65000, 1).first_as and client.session(65000, 1).first_as


def test_repeated_peers_name_both_lines() -> None:
    member = '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'
    text = ROUTER + member + member.replace("192.0.2.2", "::ffff:192.0.2.2")
    assert problems(text) == [
        (8, "[[neighbor]] 2, address", "192.0.2.2 is already in line 5", "keep one of the two")
    ]
    loads(ROUTER + member + member + 'source_address = "192.0.2.9"\n')
    listen_range = '[[listen_range]]\nprefix = "10.0.0.0/8"\nclient = true\n'
    ((line, *_),) = problems(ROUTER + listen_range + listen_range)
    assert line == 8
    network = '[[network]]\nprefix = "10.0.0.0/8"\n'
    ((line, *_),) = problems(ROUTER + network + network)
    assert line == 7


def test_all_faults_at_once_in_the_order_of_their_lines() -> None:
    text = """\
[router]
asn = "65000"
router_id = "192.0.2.1"
liste = []

[group.nodes]
client = true
hold_time = 2
timers.keepalive = 3

[[neighbor]]
address = "192.0.2.300"
group = "nodes"

[[neighbor]]
address = "192.0.2.2"
group = "node"

[[neighbor]]
group = "nodes"
address = "192.0.2.3"
families = [
  "ipv4-unicast",
  "ipv6-multicast",
]
"""
    found = problems(text)
    assert [(line, key) for line, key, _, _ in found] == [
        (2, "[router] asn"),
        (4, "[router] liste"),
        (8, "[group.nodes] hold_time"),
        (9, "[group.nodes] timers"),
        (12, "[[neighbor]] 1, address"),
        (17, "[[neighbor]] 2, group"),
        (24, "[[neighbor]] 3, families, item 2"),
    ]


def test_the_text_of_a_fault() -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads("[router]\nasn = 1\nrouter_id = 7\n", "rr.toml")
    assert str(caught.value) == (
        "rr.toml:3: [router] router_id: must be text, not a number; "
        'write an IPv4 address of this router, as in "192.0.2.1" (not "0.0.0.0")'
    )


# --- Files that are no TOML --------------------------------------------------------------------------

SYNTAX = [
    ("a = \n", 1, "invalid value", "write a value behind the ="),
    ("\n\na = 10.0.0.1\n", 3, "expected newline", "in quotes"),
    ("a = 1\na = 2", 2, "cannot overwrite a value", "there twice"),
    ("[group.a]\n[group.a]\n", 2, "cannot declare group.a twice", "there twice"),
    ('a = "x\nb = 1\n', 1, "illegal character", "close the quotes"),
    ("a = [1,\n2\n", 2, "unclosed array", "close the list"),
    ("a = {b = 1\n", 1, "unclosed inline table", "close the table"),
    ("a\n", 1, "expected '=' after a key", "key = value"),
    ("é = 1\n", 1, "invalid statement", "key = value"),
    ("[a\n", 1, "expected ']'", "[table]"),
    ("a = {b = 1, b = 2}", 1, "duplicate inline table key", "keep one"),
    ("a = True\n", 1, "invalid value", "lower case"),
    ("\ufeffa = 1\n", 1, "byte order mark", "without one"),
]


@pytest.mark.parametrize(("text", "line", "what", "remedy"), SYNTAX, ids=[repr(row[0]) for row in SYNTAX])
def test_syntax_error(text: str, line: int, what: str, remedy: str) -> None:
    ((number, key, found, cure),) = problems(text)
    assert (number, key) == (line, "")
    assert what in found
    assert remedy in cure


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(str(tmp_path))
    (tmp_path / "latin.toml").write_bytes(b"[router]\n# caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"latin\.toml:2: octet 0xe9 is not UTF-8; save"):
        load(str(tmp_path / "latin.toml"))
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigurationError, match=r"deep\.toml:1: "):
        load(str(tmp_path / "deep.toml"))
    (tmp_path / "good.toml").write_bytes(ROUTER.replace("\n", "\r\n").encode())
    assert load(str(tmp_path / "good.toml")).router.asn == 65000


# --- Warnings ----------------------------------------------------------------------------------------


def warned(text: str) -> list[tuple[int, str]]:
    return [(warning.line, warning.what) for warning in loads(text).warnings]


def test_warns_where_an_external_group_passes_nothing() -> None:
    members = "".join(f'[[neighbor]]\naddress = "192.0.2.{n}"\ngroup = "edge"\n' for n in (2, 3))
    ((line, what),) = warned(ROUTER + '[group.edge]\nhold_time = 9\nasn = "external"\n' + members)
    assert line == 6
    assert "no route will pass to or from external peers: they have no policy (RFC 8212)" in what
    assert warned(ROUTER + '[group.edge]\nasn = 65001\npolicy = "accept-all"\n' + members) == []
    ((_, what),) = warned(ROUTER + '[group.edge]\nasn = "any"\n' + members)
    assert "those of these peers that are external" in what
    ((line, _),) = warned(ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nasn = 65001\n')
    assert line == 6
    assert warned(ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nasn = 65001\nlocal_as = 65001\n') == []


def test_warns_where_nothing_is_reflected() -> None:
    members = "".join(f'[[neighbor]]\naddress = "192.0.2.{n}"\nasn = 65000\n' for n in (2, 3))
    ((line, what),) = warned(ROUTER + members)
    assert line == 4
    assert "none is a client (RFC 4456 6)" in what
    assert warned(ROUTER + members + "client = true\n") == []


def test_warns_of_nobody() -> None:
    assert warned(ROUTER) == [(1, "nobody will connect")]


# --- Anything at all ---------------------------------------------------------------------------------

_SCALARS = st.one_of(
    st.sampled_from(["true", "0", "-1", "1.5", "65000", "90", "{}", "[]", "2024-01-01", "inf", '""']),
    st.sampled_from(
        ['"192.0.2.2"', '"::1"', '"fe80::1%1"', '"10.0.0.0/8"', '"accept-all"', '"a"', '"send"', '"any"']
    ),
    st.sampled_from(
        ['["ipv4-unicast"]', '["65000:1"]', '["1:2:3"]', '["[::1]:0"]', '{ipv6-unicast = "both"}']
    ),
    # A few signs that matter: the whole of Unicode takes hypothesis seconds to prepare.
    st.text(st.sampled_from("az09.:/%-_ [é"), max_size=8).map(lambda text: f"'{text}'"),
)
_KEYS = sorted({row.name for rows in schema.TABLES.values() for row in rows})


@st.composite
def _anything(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(["", ROUTER]))
    headings = draw(
        st.lists(
            st.sampled_from(["[group.a]", "[[neighbor]]", "[[listen_range]]", "[[network]]"]), max_size=4
        )
    )
    for heading in dict.fromkeys(headings):
        name = heading.strip("[]").partition(".")[0]
        keys = [row.name for row in schema.TABLES[name]] if draw(st.booleans()) else _KEYS
        text += heading + "\n"
        for key in draw(st.lists(st.sampled_from(keys), unique=True, max_size=4)):
            text += f"{key} = {draw(_SCALARS)}\n"
    return text


@given(_anything())
def test_anything_is_read_or_refused_with_a_line(text: str) -> None:
    try:
        configuration = loads(text)
    except ConfigurationError as error:
        assert error.problems
        for problem in error.problems:
            assert 1 <= problem.line <= max(1, text.count("\n"))
            assert problem.what
            assert problem.remedy
    else:
        assert isinstance(configuration, Configuration)
        for options in (*configuration.neighbors, *(each.options for each in configuration.listen_ranges)):
            options.session(configuration.router.asn, configuration.router.router_id)  # takes what was let in


@pytest.mark.parametrize("key", ["local_as_no_prepend", "local_as_replace_as"])
def test_local_as_and_what_becomes_of_it(key: str) -> None:
    neighbor = ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nasn = 65001\npolicy = "accept-all"\n'
    ((number, where, what, remedy),) = problems(neighbor + f"{key} = true\n")
    assert (number, where, remedy) == (8, f"[[neighbor]] 1, {key}", "add local_as")
    assert "local_as, of which there is none" in what
    (options,) = loads(neighbor + f"local_as = 64510\n{key} = true\n").neighbors
    assert getattr(options, key) and options.local_as == 64510


def test_the_gate_excludes_an_advertisement_interval() -> None:
    both = "advertisement_interval = 5\ninstalled_only = true\n"
    ((number, where, what, _),) = problems(
        ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n' + both
    )
    assert (number, where) == (8, "[[neighbor]] 1, installed_only")
    assert what == "excludes advertisement_interval"


def test_no_local_as_within_a_confederation() -> None:
    text = CONFEDERATE + '[[neighbor]]\naddress = "192.0.2.2"\nasn = 65101\nlocal_as = 64510\n'
    ((_, where, what, remedy),) = problems(text)
    assert (where, remedy) == ("[[neighbor]] 1, local_as", "remove local_as")
    assert what == "is for peers outside our confederation"


@pytest.mark.parametrize(
    ("lines", "key", "what", "remedy"),
    [
        ("maximum_prefixes_warning = 80", "warning", "of which there is none", "add maximum_prefixes"),
        ('maximum_prefixes_action = "shut"', "action", "of which there is none", "add maximum_prefixes"),
        (
            'maximum_prefixes = 9\nmaximum_prefixes_action = "shut"\nmaximum_prefixes_restart = 60',
            "restart",
            'nothing is restarted with maximum_prefixes_action = "shut"',
            "keep one of the two",
        ),
        (
            'maximum_prefixes = 9\nmaximum_prefixes_action = "stop"',
            "action",
            '"stop" is not known',
            'write one of "warn", "restart", "shut"',
        ),
        ("maximum_prefixes = 9\nmaximum_prefixes_warning = 101", "warning", "101 is out of range", "to 100"),
    ],
)
def test_what_becomes_of_too_many_prefixes(lines: str, key: str, what: str, remedy: str) -> None:
    neighbor = ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'
    ((number, where, found, cure),) = problems(neighbor + lines + "\n")
    assert (number, where) == (7 + lines.count("\n"), f"[[neighbor]] 1, maximum_prefixes_{key}")
    assert what in found and remedy in cure


def test_limits_with_all_their_keys() -> None:
    text = (
        ROUTER
        + """
[group.nodes]
client = true
maximum_prefixes = 10
maximum_prefixes_warning = 80
maximum_prefixes_restart = 300
[[neighbor]]
address = "192.0.2.2"
group = "nodes"
"""
    )
    (options,) = loads(text).neighbors
    assert options.maximum_prefixes == {IPV4_UNICAST: 10, IPV6_UNICAST: 10}
    assert (options.maximum_prefixes_warning, options.maximum_prefixes_restart) == (80, 300.0)
    shut = loads(text.replace("maximum_prefixes_restart = 300", 'maximum_prefixes_action = "shut"'))
    assert shut.neighbors[0].maximum_prefixes_action is LimitAction.SHUT


INTERFACE = ROUTER + '[[neighbor]]\ninterface = "eth1"\nasn = "external"\npolicy = "accept-all"\n'


def test_a_neighbor_known_by_its_interface() -> None:
    (options,) = loads(INTERFACE).neighbors
    assert (options.interface, options.address) == ("eth1", "")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('address = "192.0.2.2"', "address"),
        ('source_address = "192.0.2.2"', "source_address"),
        ('password = "x"', "password"),
    ],
)
def test_what_excludes_an_interface(line: str, key: str) -> None:
    ((number, where, what, remedy),) = problems(INTERFACE + line + "\n")
    assert (number, where) == (8, f"[[neighbor]] 1, {key}")
    assert "any link-local address is the peer's" in what and remedy == f"remove {key} or interface"


def test_an_interface_is_named_once() -> None:
    ((_, where, what, _),) = problems(INTERFACE + INTERFACE.removeprefix(ROUTER))
    assert (where, what) == ("[[neighbor]] 2, interface", "eth1 is already in line 5")


SIGNED = ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'


def test_a_neighbor_with_tcp_ao() -> None:
    (options,) = loads(SIGNED + 'tcp_ao = {key = "secret", send_id = 1, receive_id = 2}\n').neighbors
    assert options.tcp_ao == AoKey(key=b"secret", send_id=1, receive_id=2)
    text = 'tcp_ao = {key = "secret", send_id = 1, receive_id = 2, algorithm = "aes-128-cmac"}\n'
    (options,) = loads(SIGNED + text).neighbors
    assert options.tcp_ao is not None and options.tcp_ao.algorithm is AoAlgorithm.AES_128_CMAC


@pytest.mark.parametrize(
    ("line", "key", "what"),
    [
        ('tcp_ao = "secret"', "tcp_ao", "must be a table, not text"),
        ('tcp_ao = {key = "x", send_id = 1}', "tcp_ao", "has no receive_id"),
        ('tcp_ao = {key = "x", send_id = 256, receive_id = 1}', "tcp_ao.send_id", "256 is out of range"),
        (
            'tcp_ao = {key = "x", send_id = 1, receive_id = 1, mac = 1}',
            "tcp_ao.mac",
            "there is no such key",
        ),
        (
            'tcp_ao = {key = "x", send_id = 1, receive_id = 1, algorithm = "md5"}',
            "tcp_ao.algorithm",
            '"md5" is not known',
        ),
        (
            'password = "y"\ntcp_ao = {key = "x", send_id = 1, receive_id = 1}',
            "tcp_ao",
            "excludes password, which signs by TCP-MD5",
        ),
    ],
)
def test_a_tcp_ao_key_that_cannot_be(line: str, key: str, what: str) -> None:
    ((_, where, found, _),) = problems(SIGNED + line + "\n")
    assert where == f"[[neighbor]] 1, {key}" and what in found


# --- Graceful restart ----------------------------------------------------------------------------------

PEER = ROUTER + '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", RestartOptions()),
        ("graceful_restart = true", RestartOptions()),
        ("graceful_restart = false", None),
        ("graceful_restart = {families = true}", RestartOptions(families=FAMILIES)),
        (
            'graceful_restart = {families = ["ipv6-unicast"], time = 6, notification = false, stale_time=9}',
            RestartOptions(families=(IPV6_UNICAST,), time=6, notification=False, stale_time=9),
        ),
        (
            "graceful_restart = {long_lived={ipv4-unicast = 86400}, long_lived_minimum = 6, partial=true}",
            RestartOptions(long_lived={IPV4_UNICAST: 86400}, long_lived_minimum=6, partial=True),
        ),
        (
            "graceful_restart = {long_lived = 3600, long_lived_maximum = 7200}",
            RestartOptions(long_lived=dict.fromkeys(FAMILIES, 3600), long_lived_maximum=7200),
        ),
    ],
)
def test_graceful_restart(text: str, options: RestartOptions | None) -> None:
    assert loads(PEER + text).neighbors[0].graceful_restart == options


@pytest.mark.parametrize(
    ("value", "what", "remedy"),
    [
        ('"yes"', "must be true, false or a table, not text", "write true, false, or a table"),
        ("{famlies = true}", "there is no such key", 'did you mean "families"?'),
        ('{families = ["ipv4"]}', '"ipv4" is not known', 'did you mean "ipv4-unicast"?'),
        ("{time = 5000}", "5000 is out of range", "from 0 to 4095"),
        ("{stale_time = 0}", "0 is out of range", "from 1 to"),
        ("{long_lived = 16777216}", "16777216 is out of range", "0 to 16777215"),
        ("{long_lived_minimum = 9, long_lived_maximum = 8}", "must not exceed long_lived_maximum", "correct"),
        ("{partial = true}", "needs long_lived", "correct"),
    ],
)
def test_graceful_restart_that_cannot_be(value: str, what: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads(PEER + f"graceful_restart = {value}")
    (problem,) = caught.value.problems
    assert problem.line == PEER.count("\n") + 1 and what in problem.what and remedy in problem.remedy
