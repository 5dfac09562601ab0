"""`Fib` before a real kernel, in a namespace: every kind of route, each peculiarity of the kernel that bites.

Each test runs under asyncio's own loop and under uvloop.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import fibspace
import pytest
from fibspace import Pings, Space

from bgp import PeerOptions, Speaker
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST
from bgp.wire.prefix import parse
from fib import (
    BLACKHOLE,
    PROHIBIT,
    UNREACHABLE,
    BackendError,
    Fib,
    NextHop,
    Route,
    RouteError,
    Scope,
    State,
    via,
)
from tests.bothloops import both_loops, until

pytestmark = [pytest.mark.interop("ip"), pytest.mark.xdist_group("fib")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def space() -> Iterator[Space]:
    with fibspace.space() as made:
        yield made


def hop(address: str, interface: str | None = None, weight: int = 1, onlink: bool = False) -> NextHop:
    return NextHop(ip_address(address), interface, weight, onlink)


ROUTES: dict[str, Route] = {
    "10.1.0.0/16": via("192.0.2.2"),
    "10.2.0.0/16": via("192.0.2.2", interface="one", mtu=1400, advmss=1360, source="203.0.113.1"),
    "10.3.0.0/16": Route((hop("192.0.2.2", "one", 3), hop("198.51.100.2", "two", 1))),
    "10.4.0.0/16": via("2001:db8:1::2", interface="one"),
    "10.5.0.0/16": Route((hop("fe80::2", "one"), hop("198.51.100.2", "two", 7))),
    "10.6.0.0/16": BLACKHOLE,
    "10.7.0.0/16": UNREACHABLE,
    "10.8.0.0/16": PROHIBIT,
    "10.9.0.0/16": via(interface="one"),
    "10.10.0.0/16": Route((hop("203.0.113.77", "two", onlink=True),), mtu=1480),
    "10.11.0.0/16": Route((hop("203.0.113.77", "two", onlink=True), hop("192.0.2.2", "one")), mtu=1480),
    "10.12.0.0/16": Route((NextHop(None, "one"),), scope=Scope.SITE),
    "0.0.0.0/0": via("198.51.100.2"),
    "10.13.1.1/32": via("192.0.2.2", "192.0.2.3", "192.0.2.4"),
    "2001:db8:a::/48": via("2001:db8:1::2"),
    "2001:db8:b::/48": Route((hop("2001:db8:1::2", "one", 2), hop("fe80::2", "two", 5)), mtu=1300),
    "2001:db8:c::/48": via("fe80::9", interface="two", source="2001:db8:2::1"),
    "2001:db8:d::/48": BLACKHOLE,
    "2001:db8:e::/48": UNREACHABLE,
    "2001:db8:f::/48": PROHIBIT,
    "2001:db8:10::/48": via(interface="two"),
    "2001:db8:11::1/128": Route((hop("2001:db8:77::1", "two", onlink=True),), advmss=1220),
    "::/0": via("2001:db8:2::2"),
}


@both_loops
async def test_every_kind_of_route_is_written_and_recognized(space: Space) -> None:
    for table in (254, 4000):
        async with Fib(netns=space.near, table=table) as fib:
            assert await fib.apply(ROUTES) == []
        shown = {row["dst"]: row for row in space.routes(table=str(table), proto="179")}
        assert shown["10.2.0.0/16"]["prefsrc"] == "203.0.113.1"
        assert shown["10.2.0.0/16"]["metrics"] == [{"mtu": 1400, "advmss": 1360}]
        assert [leg["weight"] for leg in shown["10.3.0.0/16"]["nexthops"]] == [3, 1]
        assert shown["10.4.0.0/16"]["via"] == {"family": "inet6", "host": "2001:db8:1::2"}
        assert shown["10.5.0.0/16"]["nexthops"][1]["via"] == {"family": "inet6", "host": "fe80::2"}
        assert shown["10.6.0.0/16"]["type"] == "blackhole"
        assert shown["10.9.0.0/16"]["scope"] == "link"
        assert shown["10.10.0.0/16"]["flags"] == ["onlink"]
        assert "onlink" in shown["10.11.0.0/16"]["nexthops"][1]["flags"]
        assert all(row["metric"] == 179 for row in shown.values())
        assert len(shown) + len(space.routes(6, str(table), proto="179")) == len(ROUTES)
        # Another life finds all of it right, whichever way the kernel shows it.
        async with Fib(netns=space.near, table=table, flush=True) as fib:
            assert await fib.apply(ROUTES) == []
            done = [fib.progress(family) for family in FAMILIES]
            assert sum(part.adopted for part in done) == len(ROUTES)
            assert sum(part.added + part.replaced for part in done) == 0
            # Any kind is replaced by any other, and nothing is left of the old one.
            kinds = [ROUTES[name] for name in ("10.3.0.0/16", "10.6.0.0/16", "10.4.0.0/16", "10.1.0.0/16")]
            for route in (*kinds, *kinds[::-1]):
                await fib.set("10.3.0.0/16", route)
                assert len(space.routes(table=str(table), exact="10.3.0.0/16")) == 1
            kinds = [ROUTES[f"2001:db8:{name}::/48"] for name in "badb"]
            for route in (*kinds, *kinds[::-1]):
                await fib.set("2001:db8:b::/48", route)
                assert len(space.routes(6, str(table), exact="2001:db8:b::/48")) == 1
            await fib.set("10.3.0.0/16", ROUTES["10.3.0.0/16"])
            for family in FAMILIES:
                await read_all(fib, family)
            assert all(fib.progress(family).repaired == 0 for family in FAMILIES)
        assert space.routes(table=str(table), proto="179") == space.routes(6, str(table), proto="179") == []


async def read_all(fib: Fib, family: object) -> None:
    """Have the whole table read against what is wanted, and wait for the end of that."""
    caretaker = fib._caretaker
    before = caretaker.audits
    caretaker.audit(family)  # type: ignore[arg-type]
    await until(lambda: caretaker.audits > before, "the table is read")
    await fib.settled()


@both_loops
async def test_others_routes_are_never_touched(space: Space) -> None:
    foreign = ["10.1.0.0/16 via 192.0.2.9 proto 4 metric 179", "10.2.0.0/16 via 192.0.2.9 proto 4"]
    foreign6 = ["2001:db8:a::/48 via 2001:db8:1::9 proto 4 metric 179"]
    for row in foreign:
        space.ip("route", "add", *row.split())
    for row in foreign6:
        space.ip("-6", "route", "add", *row.split())
    before = [space.routes(proto="4"), space.routes(6, proto="4")]
    async with Fib(netns=space.near) as fib:
        for prefix in ("10.1.0.0/16", "2001:db8:a::/48"):
            with pytest.raises(RouteError, match="errno 17"):
                await fib.set(prefix, ROUTES[prefix])
            await until(lambda name=prefix: fib.explain(name).conflict, "it is known who is in the way")
            assert "proto 4" in str(fib.explain(prefix))
        # At another metric ours stands beside it.
        await fib.set("10.2.0.0/16", ROUTES["10.1.0.0/16"])
        assert len(space.routes(exact="10.2.0.0/16")) == 2
        for prefix in ("10.1.0.0/16", "2001:db8:a::/48", "10.2.0.0/16"):
            await fib.set(prefix, None)
        assert [space.routes(proto="4"), space.routes(6, proto="4")] == before
        # What stood in the way goes: ours comes by itself.
        fib.want(*parse("10.1.0.0/16"), ROUTES["10.1.0.0/16"])
        await fib.settled()
        space.ip("route", "delete", "10.1.0.0/16", "proto", "4")
        await until(lambda: space.routes(exact="10.1.0.0/16", proto="179"), "ours is there")
        # Somebody replaces ours (the kernel lets him): it is his now.
        space.ip("route", "replace", "10.1.0.0/16", "via", "192.0.2.9", "proto", "4", "metric", "179")
        await until(lambda: fib.explain("10.1.0.0/16").state is State.CONFLICT, "the conflict is seen")
        await fib.set("10.1.0.0/16", None)
        assert [row["gateway"] for row in space.routes(exact="10.1.0.0/16")] == ["192.0.2.9"]


@both_loops
async def test_whatever_others_break_is_mended(space: Space) -> None:
    routes = {f"10.50.{number}.0/24": via("192.0.2.2") for number in range(100)}
    routes |= {f"10.51.{number}.0/24": ROUTES["10.3.0.0/16"] for number in range(20)}
    routes |= {f"2001:db8:50:{number}::/64": via("2001:db8:1::2") for number in range(50)}
    routes["10.52.0.0/16"] = ROUTES["10.2.0.0/16"]
    routes["10.53.0.0/16"] = via("192.0.2.2", interface="one")

    def right() -> bool:
        return len(space.routes(proto="179")) == 122 and len(space.routes(6, proto="179")) == 50

    async with Fib(netns=space.near) as fib:
        assert await fib.apply(routes) == []
        assert right()
        # Deleted, and altered, by hand.
        space.ip("route", "delete", "10.50.7.0/24")
        other = "10.50.8.0/24 via 198.51.100.2 proto 179 metric 179"
        space.ip("route", "replace", *other.split())
        space.ip("-6", "route", "flush", "proto", "179")
        await until(lambda: right() and "192.0.2.2" in space.ip("route", "show", "10.50.8.0/24"), "mended")
        # Administratively down: IPv4 routes vanish without an event, and do not come back by themselves.
        space.ip("link", "set", "one", "down")
        await until(lambda: fib.explain("10.50.7.0/24").state is State.REFUSED, "known to be gone")
        assert fib.explain("10.50.7.0/24").installed is None
        space.up("one")
        await until(right, "back after the interface")
        # The device goes: whole multipath routes of IPv4 go with one leg.
        space.ip("link", "delete", "one")
        await until(lambda: fib.explain("10.51.3.0/24").state is State.REFUSED, "known to be gone")
        assert "no interface one" in str(fib.explain("10.51.3.0/24"))
        space.plug("one")
        await until(right, "back after the device")
        # An address that routes have as their source goes, and they go with it.
        space.ip("address", "delete", "203.0.113.1/32", "dev", "lo")
        await until(lambda: fib.explain("10.52.0.0/16").state is State.REFUSED, "known to be gone")
        space.ip("address", "add", "203.0.113.1/32", "dev", "lo")
        await until(right, "back after the address")


@both_loops
async def test_lost_events_and_interfaces_that_flap(space: Space) -> None:
    routes = {f"10.50.{number}.0/24": via("192.0.2.2") for number in range(100)}
    async with Fib(netns=space.near) as fib:
        assert await fib.apply(routes) == []
        # Nobody reads events while somebody else writes far more of them than the buffer holds.
        batch = "".join(
            f"route replace 172.16.{a}.{b}/32 via 192.0.2.3 proto 4\n" for a in range(250) for b in range(200)
        )
        batch += "route flush proto 179\n"
        events = fib.backend._events  # type: ignore[attr-defined]
        events.socket.setsockopt(1, 33, 65536)
        subprocess.run(["ip", "-n", space.near, "-batch", "-"], input=batch, text=True, check=True)
        await until(lambda: len(space.routes(proto="179")) == 100, "mended though no event told of it")
        assert len(space.routes(proto="4")) == 50_000
        for _ in range(3):
            space.ip("link", "set", "one", "down")
            await asyncio.sleep(0.01)
            space.up("one")
        await until(lambda: len(space.routes(proto="179")) == 100, "mended after flaps")


@both_loops
async def test_a_batch_with_bad_routes_and_what_the_kernel_says(space: Space) -> None:
    async with Fib(netns=space.near) as fib:
        changes: dict[str, Route | None] = {f"10.60.{number}.0/24": via("192.0.2.2") for number in range(250)}
        bad = {f"10.61.{number}.0/24": via("172.31.0.1") for number in range(250)}
        bad |= {f"2001:db8:61:{number}::/64": via("2001:db8:ffff::1") for number in range(250)}
        problems = await fib.apply({**bad, **changes})
        assert {str(parse(name)) for name in bad} == {str((row.family, row.prefix)) for row in problems}
        assert (
            str(problems[0])
            == "10.61.0.0/24 via 172.31.0.1 metric 179: Nexthop has invalid gateway (errno 101)"
        )
        assert problems[-1].failure.code == 113
        assert len(space.routes(proto="179")) == 250
        # The way to the gateway appears, and so do the routes.
        space.ip("address", "add", "172.31.0.9/24", "dev", "two")
        await until(lambda: len(space.routes(proto="179")) == 500, "they are installed")
        await until(lambda: fib.progress(IPV6_UNICAST).refused == 250, "the others are refused again")


@both_loops
async def test_a_thousand_replacements_lose_no_packet(space: Space) -> None:
    async with Fib(netns=space.near) as fib:
        ways = [via("192.0.2.2"), via("198.51.100.2"), ROUTES["10.3.0.0/16"]]
        await fib.set("10.70.0.0/16", ways[0])
        with Pings(space, "10.70.0.1") as pings:
            for number in range(1000):
                await fib.set("10.70.0.0/16", ways[number % 3])
            await asyncio.sleep(0.2)
        assert fib.progress(IPV4_UNICAST).replaced == 999
        assert (pings.refused, len(pings.arrived)) == (0, pings.sent)
        assert pings.sent > 100


LIFE = """
import asyncio, sys
from fib import Fib, via
async def main():
    async with Fib(netns=sys.argv[1]) as fib:
        way = via(sys.argv[2])
        for number in range(int(sys.argv[3])):
            await fib.set(f"10.80.{number // 250}.{number % 250}/32", way)
        print("all", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def live(space: Space, gateway: str, count: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", LIFE, space.near, gateway, str(count)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_killed_at_any_moment_traffic_flows_and_the_next_life_is_right(space: Space) -> None:
    process = live(space, "192.0.2.2", 1000)
    assert process.stdout is not None
    assert process.stdout.readline() == "all\n"
    with Pings(space, "10.80.0.1") as pings:
        for gateway in ("198.51.100.2", "192.0.2.2"):
            process.kill()
            process.wait()
            # The next one dies in the middle of its work.
            process = live(space, gateway, 1_000_000)
            at = gateway.rpartition(".")[0]
            fibspace.netns.eventually(
                lambda at=at: f"via {at}" in space.ip("route", "show", "10.80.1.1"), "begun"
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    assert (pings.refused, len(pings.arrived)) == (0, pings.sent)

    async def last_life() -> None:
        async with Fib(netns=space.near) as fib:
            await fib.apply({f"10.80.0.{number}/32": via("192.0.2.2") for number in range(200)})
            assert fib.progress(IPV4_UNICAST).adopted == 200
            fib.converged()
            await until(lambda: len(space.routes(proto="179")) == 200, "the rest is swept")

    asyncio.run(last_life())


PRIVILEGES = """
import asyncio, os, sys
from fib import BackendError, Fib, via
async def main():
    try:
        async with Fib(netns=eval(sys.argv[1])) as fib:
            await fib.set("10.90.0.0/16", via("192.0.2.2"))
            print("written")
    except BackendError as error:
        print(error)
asyncio.run(main())
"""


def test_privileges_and_namespaces(space: Space) -> None:
    def attempt(capabilities: str, namespace: str, inside: bool) -> str:
        limited = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        limited += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
        argv = ["ip", "netns", "exec", space.near] if inside else []
        argv += [*limited, sys.executable, "-B", "-c", PRIVILEGES, namespace]
        with open(f"/run/netns/{space.near}") as handle:
            os.dup2(handle.fileno(), 99)
            try:
                done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, pass_fds=(99,))
            finally:
                os.close(99)
        assert done.returncode == 0, done.stderr
        return done.stdout

    admin, both, none = "-all,+net_admin", "-all,+net_admin,+sys_admin", "-all"
    assert attempt(admin, "None", inside=True) == "written\n"
    assert "CAP_NET_ADMIN" in attempt(none, "None", inside=True)
    for namespace in (repr(space.near), repr(f"/run/netns/{space.near}"), "99"):
        assert attempt(both, namespace, inside=False) == "written\n"
        assert "CAP_SYS_ADMIN" in attempt(admin, namespace, inside=False)
    assert "No such file" in attempt(both, repr("nowhere"), inside=False)


@both_loops
async def test_a_namespace_that_is_not_there_says_so() -> None:
    with pytest.raises(BackendError, match="namespace nowhere: cannot open /run/netns/nowhere"):
        async with Fib(netns="nowhere"):
            pass
    assert not Path("/run/netns/nowhere").exists()


@both_loops
async def test_a_metric_that_varies(space: Space) -> None:
    async with Fib(netns=space.near, metric=None) as fib:
        with Pings(space, "10.71.0.1") as pings:
            await fib.set("10.71.0.0/16", via("192.0.2.2", metric=500))
            first = pings.sent
            for number in range(100):
                way = via(("192.0.2.2", "198.51.100.2")[number % 2], metric=400 + number % 7)
                await fib.set("10.71.0.0/16", way)
                assert len(space.routes(exact="10.71.0.0/16")) == 1
        assert pings.sent - len(pings.arrived) <= first + 1
        await fib.set("2001:db8:a::/48", via("2001:db8:1::2", metric=500))
        await fib.set("2001:db8:a::/48", via("2001:db8:1::2", metric=1))
        assert [row["metric"] for row in space.routes(6, exact="2001:db8:a::/48")] == [1]
        space.ip("route", "add", *["10.71.0.0/16", "via", "192.0.2.2", "proto", "179", "metric", "77"])
        await until(lambda: len(space.routes(exact="10.71.0.0/16")) == 1, "a second one of ours is a stray")


def test_the_benchmark_tells_everything() -> None:
    argv = [sys.executable, "tests/bench/fib.py", "--json", "--count", "300", "--rounds", "1"]
    argv += ["--million", "3000"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    columns = {f"{name}_{verb}" for name in ("v4", "v6") for verb in ("add", "replace", "delete")}
    # BIRD is left out where it is not installed.
    assert {"martlet", "ip_batch", "million"} <= told.keys() <= {"martlet", "ip_batch", "million", "bird"}
    for who in told.keys() - {"million"}:
        assert columns <= told[who].keys()
        assert all(figure > 0 for figure in told[who].values())
    assert told["million"]["routes"] == 3000


async def test_the_example_by_hand_and_from_a_neighbor(space: Space) -> None:
    argv = [sys.executable, "examples/fib.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with fibspace.inside(space.near):
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("refused: 10.3.0.0/16 via 203.0.113.99: ") or "203.0.113.99" not in done.stdout
    assert "10.1.0.0/16: installed" in done.stdout
    assert "repaired=1" in lines[-1]
    assert not any(row["dst"].startswith("10.") for row in space.routes(table="all"))
    with fibspace.inside(space.near):
        async with Speaker(asn=64512, router_id="192.0.2.1", listen=["127.0.0.1:0"]) as speaker:
            speaker.add_listen_range("127.0.0.0/8", PeerOptions(asn=64512))
            speaker.announce("10.7.0.0/16", next_hop="192.0.2.2")
            port = str(speaker.listening[0][1])
            process = await asyncio.create_subprocess_exec(
                *argv, "127.0.0.1", port, cwd=ROOT, env=environment, stdout=subprocess.PIPE
            )
            try:
                await until(lambda: routes_in(space), "the neighbor's route is there")
            finally:
                process.terminate()
                await process.communicate()
    assert routes_in(space) == ["10.7.0.0/16"]


def routes_in(space: Space) -> list[str]:
    try:
        return [row["dst"] for row in space.routes(table="1000", proto="179")]
    except RuntimeError:
        return []  # the table does not exist yet
