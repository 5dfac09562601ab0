"""What is told of the kernel's routes, by a service whose kernel is a table in memory."""

import asyncio
from collections.abc import AsyncIterator
from errno import EINVAL
from pathlib import Path

import pytest
from bothloops import until
from service import Cluster, running
from test_fib_mirror import world

from bgp.wire import prefix as nlri
from fib import KernelFib
from fib.backend import Failure
from reflector.forwarding import Forwarding
from reflector.metrics import exposition


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    backend = world()
    backend.refused[nlri.parse("10.2.0.0/16")[1]] = Failure(EINVAL, "Nexthop has invalid gateway")
    monkeypatch.setattr(Forwarding, "make", lambda self, speaker: KernelFib(speaker, backend=backend))
    async with running(tmp_path, "\n[fib]\n") as found:
        # The first client's next hop is on the link of `world`, nothing leads to this one.
        found.clients[0].announce("10.7.0.0/16", next_hop="10.77.9.9")
        await found.until("routes", 5, family="ipv4")
        await until(lambda: _refused(found) == 1, "one route is refused")
        yield found


def _refused(cluster: Cluster) -> int:
    assert cluster.service.fib is not None
    return len(cluster.service.fib.fib.ledgers[nlri.parse("10.2.0.0/16")[0]].held)


async def test_totals_and_problems_in_the_kernels_words(cluster: Cluster) -> None:
    four, six = await cluster.ask("fib")
    assert (four["family"], four["table"], four["protocol"]) == ("ipv4-unicast", 254, 179)
    assert four["refused"] == 1 and four["installed"] == four["wanted"] - 1
    assert four["problems"] == ["10.2.0.0/16: Nexthop has invalid gateway (errno 22)"]
    assert (six["family"], six["wanted"], six["problems"]) == ("ipv6-unicast", 0, [])
    (only,) = await cluster.ask("fib", family="ipv6")
    assert only == six


async def test_why_a_prefix_is_there_or_is_not(cluster: Cluster) -> None:
    (refused,) = await cluster.ask("fib", prefix="10.2.0.0/16")
    assert (refused["state"], refused["installed"], refused["errno"]) == ("refused", False, EINVAL)
    assert "Nexthop has invalid gateway" in refused["why"] and refused["kernel"] is None
    (there,) = await cluster.ask("fib", prefix="10.1.2.3")
    assert there["prefix"] == "10.1.0.0/16" and there["installed"] and "10.0.0.1" in there["kernel"]
    (unreachable,) = await cluster.ask("fib", prefix="10.7.0.0/16")
    assert not unreachable["installed"] and unreachable["kernel"] is None
    assert unreachable["why"].startswith("there is no usable path to it: ")
    assert "there is no route to 192.0.2.5/32" in await cluster.refusal("fib", prefix="192.0.2.5")
    missing = {row["prefix"]: row["why"] for row in await cluster.ask("fib", missing=True)}
    # A refused path, a next hop without a way, the kernel's own refusal, and another's next hop.
    assert missing.keys() == {"198.18.1.0/24", "10.7.0.0/16", "10.2.0.0/16", "198.51.100.0/24"}
    assert all(missing.values())
    (installed,) = await cluster.ask("fib", installed=True)
    assert installed["prefix"] == "10.1.0.0/16"
    assert len(await cluster.ask("fib", missing=True, limit=2)) == 2
    assert "two questions" in await cluster.refusal("fib", missing=True, installed=True)


async def test_explain_speaks_of_the_kernel_and_so_do_commands_and_metrics(cluster: Cluster) -> None:
    (row,) = await cluster.ask("explain", prefix="10.2.0.0/16")
    assert row["fib"]["state"] == "refused"

    async def run(*arguments: str) -> str:
        return (await asyncio.to_thread(cluster.command, *arguments)).stdout

    assert "kernel: refused by the kernel" in await run("explain", "10.2.0.0/16")
    shown = await run("show", "fib")
    assert "problem" in shown and "Nexthop has invalid gateway (errno 22)" in shown
    assert (await run("show", "fib", "10.1.0.0/16")).startswith("10.1.0.0/16: installed; the kernel has via")
    assert "4 routes" in await run("show", "fib", "--missing")
    assert await run("release") == "kernel: 0 deletions released\n"
    text = b"".join([piece async for piece in exposition(cluster.service)]).decode()
    assert 'martlet_fib_refused{family="ipv4-unicast"} 1' in text
    assert 'martlet_fib_writes_total{family="ipv4-unicast",action="added"} 1' in text


async def test_without_a_fib_it_is_said_how_to_have_one(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        for question in ("fib", "release"):
            assert "[fib] in the configuration" in await cluster.refusal(question)
        (row,) = await cluster.ask("explain", prefix="10.1.0.0/16")
        assert "fib" not in row
