"""The `[fib]` table of the reflector: what it says, and what is refused, with line and key."""

import asyncio
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from routers import path

from bgp import Speaker
from bgp.policy.prefixes import PrefixList
from fib import Redistribute
from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError
from reflector.forwarding import Forwarding, metric_from_local_pref

ROUTER = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n'


def test_it_is_off_and_one_line_turns_it_on() -> None:
    assert loads(ROUTER).fib is None
    assert loads(ROUTER + "[fib]\n").fib == Forwarding()
    assert loads(ROUTER + "[fib]\nenabled = false\ntable = 7\n").fib is None


def test_all_that_may_be_said() -> None:
    fib = loads(
        ROUTER
        + """[fib]
table = 100
metric = "from-local-pref"
sources = ["192.0.2.1", "2001:db8::1"]
allow = ["10.0.0.0/8 le 32"]
guard = 50
ipip = {"10.244.0.0/16" = "cross-subnet"}
tunnel_address = "10.244.0.1/32"
redistribute = [{protocols = ["static", 42], interfaces = ["eth*"], med = 10, communities = ["64512:1"]}]
"""
    ).fib
    assert fib == Forwarding(
        table=100,
        metric="from-local-pref",
        sources=(ip_address("192.0.2.1"), ip_address("2001:db8::1")),
        allow=PrefixList(["10.0.0.0/8 le 32"]),
        guard=50,
        ipip=((ip_network("10.244.0.0/16"), "cross-subnet"),),  # type: ignore[arg-type]
        tunnel_address=ip_interface("10.244.0.1/32"),  # type: ignore[arg-type]
        redistribute=(
            Redistribute(
                protocols=[4, 42],
                interfaces=("eth*",),
                attributes={"med": 10, "communities": (64512 << 16 | 1,)},
            ),
        ),
    )

    async def make() -> None:
        made = fib.make(Speaker(asn=64512, router_id="192.0.2.1"))
        assert made.fib.owner.table == 100 and made.fib.owner.metric is None

    asyncio.run(make())


def test_local_pref_and_metric_mirror_each_other() -> None:
    assert metric_from_local_pref(path(local_pref=2147482623)) == 1024
    assert metric_from_local_pref(path()) == 2147483547


@pytest.mark.parametrize(
    ("lines", "key", "what"),
    [
        ("tabel = 7", "tabel", "there is no such key"),
        ("metric = 0", "metric", "0 is out of range"),
        ('metric = "low"', "metric", '"low" is no metric'),
        ("protocol = 2", "protocol", "2 marks routes of the kernel"),
        ('ipip = {"2001:db8::/32" = "always"}', "ipip.2001:db8::/32", "IP-in-IP carries IPv4 only"),
        ('ipip = {"10.0.0.0/8" = "allways"}', "ipip.10.0.0.0/8", '"allways" is not known'),
        ('ipip = "always"', "ipip", "must be a table"),
        ('tunnel = "tunl1"', "tunnel", "is about a tunnel that nothing goes by"),
        ('tunnel_address = "::1"', "tunnel_address", "is no IPv4 address"),
        ('sources = ["192.0.2.1", "192.0.2.2"]', "sources", "has two of a family"),
        ('redistribute = [{protocols = ["ospff"]}]', "redistribute.0.protocols.0", "is none of redirect"),
        ("redistribute = [{protocols = 4}]", "redistribute.0.protocols", "must be a list"),
        ("redistribute = [{protocols = [1.5]}]", "redistribute.0.protocols.0", "a name or a number"),
        ("redistribute = [{protocol = [4]}]", "redistribute.0.protocol", "there is no such key"),
        ("redistribute = 4", "redistribute", "must be a list of tables"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line_and_key(lines: str, key: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loads(f"{ROUTER}\n[fib]\nflush = true\n{lines}\n", "rr.toml")
    (problem,) = refused.value.problems
    assert str(problem).startswith("rr.toml:7: [fib]"), problem
    assert what in str(problem), problem
    assert key.split(".")[0] in str(problem)


def test_peers_are_asked_to_keep_our_routes_where_the_kernel_keeps_them() -> None:
    """RFC 4724 4.1: the F bit says that the forwarding state has been preserved."""
    from bgp.family import FAMILIES
    from reflector.app import Service

    for table, wanted in (("", FAMILIES), ("[fib]\n", FAMILIES), ("[fib]\nflush = true\n", ())):
        assert tuple(Service(loads(ROUTER + table)).speaker.preserved) == tuple(wanted)
