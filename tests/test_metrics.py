"""Metrics and health over HTTP: what a scraper reads is what the speaker knows."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from service import CONFIGURATION, Cluster, running

from reflector.app import Service
from reflector.configuration.config import loads
from reflector.metrics import FAMILIES, _labels

HTTP = '\n[http]\nlisten = ["127.0.0.1:0"]\n'


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path, HTTP) as found:
        yield found


async def fetch(cluster: Cluster, path: str) -> tuple[int, str, str]:
    assert cluster.service.doors is not None
    host, port = cluster.service.doors.http.addresses[0]
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as response:
        return response.status, response.headers.get("Content-Type", ""), await response.text()


async def samples(cluster: Cluster) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return the values of a scrape by name and labels."""
    status, kind, text = await fetch(cluster, "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), (sample.name, labels)
            found[sample.name][labels] = sample.value
    return found


async def test_a_scrape_says_what_the_speaker_knows(cluster: Cluster) -> None:
    await cluster.service.counts.counted(60)
    found = await samples(cluster)
    assert found["martlet_sessions"][(("state", "Established"),)] == 2
    assert found["martlet_peer_up"] == {(("peer", "127.0.0.11"),): 1, (("peer", "127.0.0.12"),): 1}
    family = ("family", "ipv4-unicast")
    assert found["martlet_peer_prefixes_received"][(family, ("peer", "127.0.0.11"))] == 2
    assert found["martlet_peer_prefixes_advertised"][(family, ("peer", "127.0.0.12"))] == 2
    assert found["martlet_prefixes"] == {(family,): 4, (("family", "ipv6-unicast"),): 0}
    opens = found["martlet_peer_messages_total"]
    assert opens[(("peer", "127.0.0.11"), ("type", "open"), ("way", "received"))] == 1
    assert found["martlet_group_members"] == {(("group", "1"), ("kind", "client")): 2}
    assert found["process_resident_memory_bytes"][()] > 1 << 20
    buckets = found["martlet_loop_lag_seconds_bucket"]
    assert buckets[(("le", "+Inf"),)] == found["martlet_loop_lag_seconds_count"][()]
    assert list(buckets.values()) == sorted(buckets.values())


async def test_what_ended_a_session_is_counted_by_its_code(cluster: Cluster) -> None:
    await cluster.ask("reset", peer="127.0.0.12")
    key = (("code", "6"), ("subcode", "4"), ("way", "sent"))
    async with asyncio.timeout(20):
        while not (await samples(cluster))["martlet_notifications_total"][key]:
            await asyncio.sleep(0.05)
    assert (await samples(cluster))["martlet_notifications_total"][key] == 1


async def test_every_family_is_a_good_one() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert re.fullmatch(r"(martlet|process)_[a-z_]+", family.name)
        assert (family.type == "counter") is family.name.endswith("_total"), family.name


async def test_alive_and_ready(cluster: Cluster) -> None:
    assert (await fetch(cluster, "/livez"))[::2] == (200, "alive\n")
    async with asyncio.timeout(30):
        while (await fetch(cluster, "/readyz"))[0] != 200:
            assert (await fetch(cluster, "/readyz"))[0] in (200, 503)
            await asyncio.sleep(0.1)
    assert cluster.service.speaker.is_converged
    found = await samples(cluster)
    assert found["martlet_converged"][()] == 1 and found["martlet_convergence_seconds"][()] > 0


async def test_who_waits_in_vain_is_ready_after_a_while(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("SOCKET", str(tmp_path / "s")) + '\n[[neighbor]]\naddress = "192.0.2.77"\n'
    text += 'group = "nodes"\npassive = true\n'
    for after, wanted in ((3600, 503), (0, 200)):
        service = Service(loads(text + HTTP + f"ready_after = {after}\n"), control=True)
        await service.start()
        try:
            status, _, said = await fetch(Cluster(service, [], tmp_path / "s"), "/readyz")
            assert status == wanted and ("1 neighbors have no session" in said) is (wanted == 503)
        finally:
            await service.stop("")


async def test_an_address_that_is_taken_is_named(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.service.doors is not None
    host, port = cluster.service.doors.http.addresses[0]
    text = CONFIGURATION.replace("SOCKET", str(tmp_path / "s")) + f'\n[http]\nlisten = ["{host}:{port}"]\n'
    service = Service(loads(text), control=True)
    with pytest.raises(OSError, match=rf"\[http\] listen: cannot answer on {host}:{port}"):
        await service.start()
    await service.stop("")


@given(st.text(max_size=30))
def test_any_name_of_a_neighbor_is_read_back(name: str) -> None:
    (family,) = text_string_to_metric_families(f"# TYPE x gauge\nx{_labels({'peer': name})} 1\n")
    assert family.samples[0].labels == {"peer": name}
