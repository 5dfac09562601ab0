"""Routes into the kernel per second: `python tests/bench/fib.py [--json]`, as root, in namespaces of its own.

100,000 IPv4 and 100,000 IPv6 routes are added, replaced, deleted, and put right where 1 % of them differ: by
`Fib`, by BIRD's kernel protocol (static routes exported) and by `ip -batch`, which cannot tell what differs
and writes all again; one after the other, several times over, and the median counts.  After each column the
table is read, and must be right.  Then `Fib` alone takes a million routes, with the loop's longest stall
and the memory.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "interop")]

import fibspace  # noqa: E402
from daemons import find  # noqa: E402

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family  # noqa: E402
from bgp.wire.prefix import text  # noqa: E402
from fib import Fib, KernelBackend, Owner, Route, via  # noqa: E402
from reflector.running.collector import Collector  # noqa: E402

ONE = {IPV4_UNICAST: "192.0.2.2", IPV6_UNICAST: "2001:db8:1::2"}
TWO = {IPV4_UNICAST: "198.51.100.2", IPV6_UNICAST: "2001:db8:2::2"}
NAMES = {IPV4_UNICAST: "v4", IPV6_UNICAST: "v6"}
METRIC = 32
PROTOCOLS = {"martlet": 179, "bird": 12, "ip_batch": 3}


def prefixes(family: Family, count: int) -> list[bytes]:
    """Return prefixes of the lengths that are common in the Internet."""
    if family is IPV4_UNICAST:
        return [bytes((24, *(0x0B0000 + number).to_bytes(3, "big"))) for number in range(count)]
    return [bytes((48, *(0x2A0000000000 + number).to_bytes(6, "big"))) for number in range(count)]


class Stall:
    """How long the loop let a timer wait that was due, at most; and how much of that it computed itself.

    On a busy machine the loop also waits for its turn on a processor, which is none of its doing.
    """

    def __init__(self) -> None:
        self.longest = self.own = 0.0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        clock = time.perf_counter
        while True:
            due, before = clock() + 0.001, time.thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, clock() - due)
            self.own = max(self.own, time.thread_time() - before)

    def stop(self) -> dict[str, float]:
        self._task.cancel()
        return {"longest_stall_ms": self.longest * 1000, "longest_work_ms": self.own * 1000}


async def fill(fib: Fib, family: Family, rows: list[bytes], route: Route | None) -> None:
    for start in range(0, len(rows), 256):
        for prefix in rows[start : start + 256]:
            fib.want(family, prefix, route)
        await fib.room()
        await asyncio.sleep(0)
    await fib.settled()


async def timed(action: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await action
    return time.perf_counter() - begun


async def martlet(space: fibspace.Space, count: int) -> dict[str, float]:
    """Return routes per second by column, and the longest stall of the loop."""
    found = {}
    tables = {family: prefixes(family, count) for family in NAMES}
    async with Fib(netns=space.near, metric=METRIC) as fib:
        stall = Stall()
        for family, name in NAMES.items():
            rows = tables[family]
            one, two = via(ONE[family]), via(TWO[family])
            for column, route in (("add", one), ("replace", two)):
                took = await timed(fill(fib, family, rows, route))
                found[f"{name}_{column}"] = count / took
                assert await counted(space, "martlet", family, route) == count
            spoil(space, family, rows, "martlet")
            took = await timed(reconciled(fib, family))
            found[f"{name}_reconcile"] = count / took
            assert await counted(space, "martlet", family, two) == count
            took = await timed(fill(fib, family, rows, None))
            found[f"{name}_delete"] = count / took
            assert await counted(space, "martlet", family, None) == 0
        return found | stall.stop()


async def reconciled(fib: Fib, family: Family) -> None:
    """Read the whole table and mend it."""
    caretaker = fib._caretaker
    before = caretaker.audits
    caretaker.audit(family)
    while caretaker.audits == before:
        await asyncio.sleep(0.002)
    await fib.settled()


def spoil(space: fibspace.Space, family: Family, rows: list[bytes], who: str) -> None:
    """Alter 1 % of the routes behind the back of who wrote them, from where no event is heard in time."""
    other = f"via {ONE[family]} proto {PROTOCOLS[who]} metric {METRIC}"
    lines = [f"route replace {text(family, prefix)} {other}" for prefix in rows[::100]]
    run_batch(space, family, lines)


def run_batch(space: fibspace.Space, family: Family, lines: list[str]) -> None:
    program = find("ip")
    assert program is not None
    argv = [str(program.path), "-4" if family is IPV4_UNICAST else "-6", "-n", space.near, "-batch", "-"]
    subprocess.run(argv, input="\n".join(lines), text=True, check=True)


async def counted(space: fibspace.Space, who: str, family: Family, route: Route | None) -> int:
    """Return how many routes of `who` are in the table, all of them by `route`'s gateway."""
    backend = KernelBackend(Owner(PROTOCOLS[who], 254, None), space.near)
    await backend.open(lambda event: None)
    try:
        found = 0
        async for rows in backend.own(family):
            for _, installed in rows:
                if route is None or installed.next_hops[0].via == route.next_hops[0].via:
                    found += 1
        return found
    finally:
        await backend.close()


async def ip_batch(space: fibspace.Space, count: int) -> dict[str, float]:
    found = {}
    for family, name in NAMES.items():
        rows = [text(family, prefix) for prefix in prefixes(family, count)]
        for column, verb, gateway in (
            ("add", "add", ONE[family]),
            ("replace", "replace", TWO[family]),
            ("reconcile", "replace", TWO[family]),
            ("delete", "delete", TWO[family]),
        ):
            lines = [f"route {verb} {row} via {gateway} metric {METRIC}" for row in rows]
            begun = time.perf_counter()
            run_batch(space, family, lines)
            found[f"{name}_{column}"] = count / (time.perf_counter() - begun)
    return found


BIRD = """
router id 192.0.2.1;
protocol device {{ scan time 3600; }}
protocol kernel k4 {{ scan time 3600; metric {metric}; ipv4 {{ import none; export all; }}; }}
protocol kernel k6 {{ scan time 3600; metric {metric}; ipv6 {{ import none; export all; }}; }}
protocol static v4one {{ disabled; ipv4 {{ preference 200; }};
include "v4one.conf";
}}
protocol static v4two {{ disabled; ipv4 {{ preference 210; }};
include "v4two.conf";
}}
protocol static v6one {{ disabled; ipv6 {{ preference 200; }};
include "v6one.conf";
}}
protocol static v6two {{ disabled; ipv6 {{ preference 210; }};
include "v6two.conf";
}}
"""


async def bird(space: fibspace.Space, count: int, directory: Path) -> dict[str, float]:
    """Have BIRD export static routes: protocols are switched on and off, so that no file is read meanwhile.

    The second static protocol is preferred to the first, so to switch it on replaces all routes.
    """
    program, control = find("bird"), find("birdc")
    assert program is not None and control is not None
    for family, name in NAMES.items():
        rows = [text(family, prefix) for prefix in prefixes(family, count)]
        for which, gateways in (("one", ONE), ("two", TWO)):
            lines = "".join(f"route {row} via {gateways[family]};\n" for row in rows)
            (directory / f"{name}{which}.conf").write_text(lines)
    configuration, control_socket = directory / "bird.conf", directory / "bird.ctl"
    configuration.write_text(BIRD.format(metric=METRIC))
    argv = ["ip", "netns", "exec", space.near, *program.argv, "-f", "-c", str(configuration)]
    argv += ["-s", str(control_socket)]
    environment = {**os.environ, **program.environment}
    process = subprocess.Popen(argv, env=environment, cwd=directory, stderr=subprocess.DEVNULL)

    def ask(*words: str) -> None:
        control.run("-s", str(control_socket), *words, timeout=120)

    try:
        await until_answered(ask)
        found = {}
        for family, name in NAMES.items():
            base = entries(space, family)
            begun = time.perf_counter()
            await asyncio.to_thread(ask, "enable", f"{name}one")
            while entries(space, family) < base + count:
                await asyncio.sleep(0.01)
            found[f"{name}_add"] = count / (time.perf_counter() - begun)
            with Writes(space, family) as writes:
                begun = time.perf_counter()
                await asyncio.to_thread(ask, "enable", f"{name}two")
                await asyncio.to_thread(writes.wait, count)
                found[f"{name}_replace"] = count / (time.perf_counter() - begun)
            assert await counted(space, "bird", family, via(TWO[family])) == count
            ask("disable", f"{name}one")
            begun = time.perf_counter()
            await asyncio.to_thread(ask, "disable", f"{name}two")
            while entries(space, family) > base:
                await asyncio.sleep(0.01)
            found[f"{name}_delete"] = count / (time.perf_counter() - begun)
            assert await counted(space, "bird", family, None) == 0
        return found
    finally:
        process.terminate()
        process.wait(60)


async def until_answered(ask: Callable[..., None]) -> None:
    end = time.perf_counter() + 60
    while True:
        try:
            ask("show", "status")
            return
        except RuntimeError:
            if time.perf_counter() > end:
                raise
            await asyncio.sleep(0.1)


def entries(space: fibspace.Space, family: Family) -> int:
    """Return how many routes the kernel counts in all tables, without reading them."""
    if family is IPV6_UNICAST:
        # nodes, route nodes, allocated, entries, cache, discarded: each in hexadecimal
        return int(inside(space, "rt6_stats").split()[3], 16)
    found = re.findall(r"Prefixes:\s+(\d+)", inside(space, "fib_triestat"))
    return sum(map(int, found))


def inside(space: fibspace.Space, name: str) -> str:
    with fibspace.inside(space.near):
        return Path(f"/proc/thread-self/net/{name}").read_text()


class Writes:
    """Counts the routes that are written in the namespace."""

    def __init__(self, space: fibspace.Space, family: Family) -> None:
        with fibspace.inside(space.near):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
        self._socket.bind((0, 0x40 if family is IPV4_UNICAST else 0x400))
        self._socket.settimeout(60)

    def __enter__(self) -> "Writes":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self, count: int) -> None:
        """Return when `count` routes were written."""
        while count:
            if self._socket.recv(8192)[4] == 24:  # RTM_NEWROUTE
                count -= 1


async def million(space: fibspace.Space, count: int) -> dict[str, float]:
    """Add `count` IPv4 routes; return how long it took, the megabytes, and the loop's longest stall."""
    async with Fib(netns=space.near, metric=METRIC) as fib:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        route = via(ONE[IPV4_UNICAST])
        stall = Stall()
        begun = time.perf_counter()
        for start in range(0, count, 256):
            for number in range(start, min(start + 256, count)):
                fib.want(IPV4_UNICAST, bytes((24, *(0x0B0000 + number).to_bytes(3, "big"))), route)
            await fib.room()
            await asyncio.sleep(0)
        await fib.settled()
        took = time.perf_counter() - begun
        stalls = stall.stop()
        assert await counted(space, "martlet", IPV4_UNICAST, route) == count
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "routes": count,
            "seconds": took,
            "per_second": count / took,
            "megabytes": (after - before) / 1024,
            **stalls,
        }


def run(count: int, rounds: int, many: int, loop: str) -> list[tuple[str, dict[str, float]]]:
    """Return (who, figures) of each round; the last ones are "million"."""

    async def together(directory: Path) -> list[tuple[str, dict[str, float]]]:
        # As the service has it: a pass of Python's collector over a table is no matter of the FIB's.
        collector = Collector()
        rows: list[tuple[str, dict[str, float]]] = []
        try:
            await measured(rows, directory)
        finally:
            collector.stop()
        return rows

    async def measured(rows: list[tuple[str, dict[str, float]]], directory: Path) -> None:
        for _ in range(rounds):
            with fibspace.space() as space:
                rows.append(("martlet", await martlet(space, count)))
            with fibspace.space() as space:
                rows.append(("ip_batch", await ip_batch(space, count)))
            if find("bird") is not None and find("birdc") is not None:
                with fibspace.space() as space, tempfile.TemporaryDirectory(dir=directory) as place:
                    rows.append(("bird", await bird(space, count, Path(place))))
        if many:
            with fibspace.space() as space:
                rows.append(("million", await million(space, many)))

    with tempfile.TemporaryDirectory() as directory:
        if loop == "uvloop":
            import uvloop

            return uvloop.run(together(Path(directory)))
        else:
            return asyncio.run(together(Path(directory)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--count", type=int, default=100_000, help="routes of each family")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", type=int, default=1_000_000, help="routes at once; 0 for none")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    arguments = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    for who, figures in run(arguments.count, arguments.rounds, arguments.million, arguments.loop):
        for column, figure in figures.items():
            found.setdefault(who, {}).setdefault(column, []).append(figure)
    result: dict[str, dict[str, float]] = {}
    for who, columns in found.items():
        result[who] = {}
        for column, values in columns.items():
            worst = column.startswith("longest")
            result[who][column] = round(max(values) if worst else statistics.median(values), 1)
    if arguments.json:
        print(json.dumps(result))
        return
    columns_shown = [
        f"{name}_{verb}" for name in ("v4", "v6") for verb in ("add", "replace", "delete", "reconcile")
    ]
    print(f"{'routes/s':10}" + "".join(f"{column:>14}" for column in columns_shown))
    for who in ("martlet", "bird", "ip_batch"):
        if who in result:
            shown = [result[who].get(column) for column in columns_shown]
            print(f"{who:10}" + "".join(f"{figure:14,.0f}" if figure else f"{'-':>14}" for figure in shown))
    print(
        "longest stall of the loop: {longest_stall_ms:.1f} ms, of its own {longest_work_ms:.1f}".format(
            **result["martlet"]
        )
    )
    if "million" in result:
        row = result["million"]
        print(
            f"{row['routes']:,.0f} routes in {row['seconds']:.1f} s, {row['megabytes']:.0f} MB more,"
            f"; longest stall {row['longest_stall_ms']:.1f} ms, of its own {row['longest_work_ms']:.1f}"
        )


if __name__ == "__main__":
    main()
