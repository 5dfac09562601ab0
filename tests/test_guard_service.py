"""Guards in a service that runs: two clients, and what the reports, the metrics and a reload say."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service import ASN, Cluster, running

from bgp import Peer, PeerOptions, Speaker
from reflector.changes.reload import carry_out, plan
from reflector.configuration.config import loads
from reflector.metrics import exposition

# Most of this is waiting for others, who may be busy.
PATIENCE = 60
GUARDED = """
[guard.nodes]
blocks = [{within = "10.244.0.0/16", length = 26}]
shared = ["10.96.0.0/12 le 32"]

[[listen_range]]
prefix = "127.0.0.64/28"
group = "nodes"
guard = "nodes"
"""
BLOCK, OTHER, SERVICE = "10.244.0.0/26", "10.244.0.64/26", "10.96.0.1/32"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def node(cluster: Cluster, number: int) -> AsyncIterator[tuple[Speaker, Peer]]:
    """Run a guarded client: the address of its host ends in that number."""
    async with Speaker(asn=ASN, router_id=f"10.0.0.{number}") as client:
        port = cluster.service.speaker.listening[0][1]
        options = PeerOptions(asn=ASN, address="127.0.0.1", port=port, source_address=f"127.0.0.{number}")
        peer = client.add_peer(options)
        await asyncio.wait_for(peer.established(), PATIENCE)
        yield client, peer


async def metrics(cluster: Cluster) -> list[str]:
    pieces = [piece async for piece in exposition(cluster.service)]
    return b"".join(pieces).decode().splitlines()


async def test_a_service_with_guarded_clients(tmp_path: Path) -> None:
    async with (
        running(tmp_path, GUARDED) as cluster,
        node(cluster, 65) as (first, _),
        node(cluster, 66) as (second, session),
    ):
        listener = cluster.clients[0]

        async def used(prefix: str) -> str | None:
            rows = await cluster.ask("routes", prefix=prefix)
            found = [row["peer"] for row in rows if row["best"] and row["prefix"] == prefix]
            return str(found[0]) if found else None

        async def quarantined(count: int) -> bool:
            rows = await cluster.ask("guards", peer="127.0.0.66")
            return sum(rows[0]["kept_from_use"].values()) == count

        block = first.announce(BLOCK, next_hop="10.0.0.65")
        first.announce(SERVICE, next_hop="10.0.0.65")

        async def first_has_it() -> bool:
            return await used(BLOCK) == "127.0.0.65" and await used(SERVICE) == "127.0.0.65"

        await until(first_has_it)
        # The block of the other, one for which there is room, a default route, the address of a service.
        second.announce(SERVICE, next_hop="10.0.0.66")
        for prefix in (BLOCK, OTHER, "0.0.0.0/0"):
            second.announce(prefix, next_hop="10.0.0.66", local_pref=200)
        await until(lambda: quarantined(2))
        await cluster.until("routes", 2, prefix=SERVICE)
        await until(lambda: _is(used(OTHER), "127.0.0.66"))

        (row,) = await cluster.ask("guards")
        assert row == {
            "peer": "127.0.0.66",
            "guard": "nodes",
            "claims": 1,
            "kept_from_use": {"owned": 1, "outside": 1},
            "hits": {"owned": 1, "outside": 1},
        }
        assert len(await cluster.ask("guards", all=True)) == 2
        (claim,) = await cluster.ask("claims", disputed=True)
        assert (claim["prefix"], claim["owner"], claim["others"]) == (BLOCK, "127.0.0.65", ["127.0.0.66"])
        assert claim["of"] == "1 /26 out of 10.244.0.0/16" and claim["announced"]
        assert {row["prefix"] for row in await cluster.ask("claims")} == {BLOCK, OTHER}
        assert [row["prefix"] for row in await cluster.ask("claims", peer="127.0.0.65")] == [BLOCK]
        assert await cluster.ask("claims", prefix="10.245.0.0/16") == []
        received = await cluster.ask("routes", received="127.0.0.66", refused=True)
        assert {row["prefix"]: row["refused"]["rule"] for row in received} == {
            BLOCK: "guard-owned",
            "0.0.0.0/0": "guard-outside",
        }
        assert all(row["usable"] for row in await cluster.ask("routes", prefix=SERVICE))
        (explained,) = await cluster.ask("explain", prefix=BLOCK)
        assert f'guard "nodes": {BLOCK} belongs to 127.0.0.65, who came first' in explained["text"]
        (neighbor,) = await cluster.ask("neighbor", peer="127.0.0.66")
        assert neighbor["guard"]["claims"] == 1
        # As people see it.
        shown = await asyncio.to_thread(cluster.command, "show", "claims", "--disputed")
        assert shown.returncode == 0 and "1 claim" in shown.stdout and "127.0.0.66" in shown.stdout
        shown = await asyncio.to_thread(cluster.command, "show", "guards")
        assert "1 neighbor" in shown.stdout and "1 outside" in shown.stdout
        shown = await asyncio.to_thread(cluster.command, "show", "neighbor", "127.0.0.66")
        assert "nodes: 1 claims, 2 routes kept from use" in shown.stdout

        lines = await metrics(cluster)
        assert 'martlet_guard_hits_total{guard="nodes",rule="owned"} 1' in lines
        assert 'martlet_peer_guard_hits_total{peer="127.0.0.66",rule="outside"} 1' in lines
        assert 'martlet_peer_guard_refused{peer="127.0.0.66",rule="owned"} 1' in lines
        assert not any("127.0.0.65" in line for line in lines if "_guard_" in line)
        assert 'martlet_guard_disputed{family="ipv4-unicast"} 1' in lines
        assert 'martlet_guard_claims{family="ipv4-unicast"} 2' in lines

        async def logged() -> bool:
            texts = {row["text"] for row in await cluster.ask("log", level="warning")}
            return (
                len([text for text in texts if text.startswith('127.0.0.66: guard "nodes" keeps 1 route')])
                == 2
            )

        await until(logged)

        # What is free goes to who waits for it, and everybody hears.
        block.withdraw()
        second.withdraw(OTHER)
        await until(lambda: _is(used(BLOCK), "127.0.0.66"))
        assert await cluster.ask("claims", disputed=True) == []

        # Another guard: nobody's session notices, and what was kept from use is used.
        wider = cluster.text.replace('shared = ["10.96', 'shared = ["0.0.0.0/0", "10.96')
        steps = plan(loads(cluster.text), loads(wider)).steps
        assert "(at once, sessions stay)" in str(steps[0])
        assert not await carry_out(steps, cluster.service.speaker)
        await until(lambda: _is(used("0.0.0.0/0"), "127.0.0.66"))
        assert session.times_established == 1
        assert await cluster.ask("guards") == [] or (await cluster.ask("guards"))[0]["kept_from_use"] == {}

        async def heard() -> bool:
            route = listener.rib.exact(BLOCK)
            return route is not None

        await until(heard)


async def _is(found: Awaitable[str | None], wanted: str) -> bool:
    return await found == wanted
