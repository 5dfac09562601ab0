"""The looking glass over HTTP: what it answers, that it only reads, and that nobody who asks costs memory."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from service import CONFIGURATION, Cluster, running

from bgp.aio.events import EventKind, PeerEvent
from bgp.session.event import State
from reflector.configuration.config import loads
from reflector.glass.history import COLUMNS, NAMES, Ring, coarser
from reflector.glass.live import EVENTS, TEXT, Live
from reflector.http import pages, streams
from reflector.report.catalog import QUESTIONS

HTTP = '\n[http]\nlisten = ["127.0.0.1:0"]\nlooking_glass = true\n'
READ = {name for name, each in QUESTIONS.items() if not each.changes and not each.endless}


class Visitor:
    """Asks a looking glass."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.session = session
        http = cluster.service.doors.http

        self.base = "http://{}:{}".format(*http.addresses[0])

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.session.get(self.base + path) as response:
            body = await response.text()
            assert response.status == status, body
            return json.loads(body)

    async def rows(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(path))["rows"]
        return found


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    async with running(tmp_path, HTTP) as cluster, aiohttp.ClientSession() as session:
        yield Visitor(cluster, session)


def test_it_is_off_by_default_and_on_loopback_if_nothing_else_is_said() -> None:
    def endpoints(text: str) -> tuple[str, ...]:
        return loads(CONFIGURATION.replace("SOCKET", "/run/s") + text).http.endpoints

    assert endpoints("") == ()
    assert endpoints("\n[http]\nlooking_glass = true\n") == ("127.0.0.1:9179",)
    assert endpoints('\n[http]\nlooking_glass = true\nlisten = ["[::1]:80"]\n') == ("[::1]:80",)


async def test_without_the_word_nothing_of_it_is_there(tmp_path: Path) -> None:
    text = '\n[http]\nlisten = ["127.0.0.1:0"]\n'
    async with running(tmp_path, text) as cluster, aiohttp.ClientSession() as session:
        visitor = Visitor(cluster, session)
        for path in ("/", "/glass/app.js", "/api/show/status", "/api/live", "/api/roll", "/api/history"):
            async with session.get(visitor.base + path) as response:
                assert response.status == 404, path


async def test_reports_answer_what_the_commands_answer(visitor: Visitor) -> None:
    cluster = visitor.cluster
    (status,) = await visitor.rows("/api/show/status")
    assert status["established"] == 2
    for row in (await visitor.rows("/api/show/routes"), await cluster.ask("routes")):
        assert len(row) == 4
    assert await visitor.rows("/api/show/routes") == await cluster.ask("routes")
    (found,) = await visitor.rows("/api/show/routes?prefix=10.1.2.3")
    assert found["prefix"] == "10.1.0.0/16"
    found = await visitor.rows("/api/show/routes?community=64512:7&longer&prefix=198.51.0.0/16")
    assert [row["prefix"] for row in found] == ["198.51.100.0/24"]
    (found,) = await visitor.rows("/api/show/routes?community=64512:1")
    assert found["prefix"] == "198.18.1.0/24" and not found["usable"]
    (found,) = await visitor.rows("/api/show/explain?prefix=10.1.0.0/16&to=127.0.0.12")
    assert found["to"]["told"][0]["told"]
    assert [rung["number"] for rung in found["ladder"]] == sorted(rung["number"] for rung in found["ladder"])
    (found,) = await visitor.rows("/api/show/neighbor?peer=127.0.0.11")
    assert found["refused"]["ipv4-unicast"] == 1
    for name in READ:
        needed = "?" + "&".join(
            f"{each.name}={'10.1.0.0/16' if each.name == 'prefix' else '127.0.0.11'}"
            for each in QUESTIONS[name].arguments
            if each.required
        )
        if name != "fib":
            assert "rows" in await visitor.get(f"/api/show/{name}{needed}"), name


async def test_answers_come_in_pages(visitor: Visitor) -> None:
    everything = [row["prefix"] for row in await visitor.rows("/api/show/routes?family=ipv4")]
    found, skip = [], 0
    while True:
        page = await visitor.get(f"/api/show/routes?family=ipv4&rows=1&skip={skip}")
        assert page["count"] == len(page["rows"]) == 1
        found += [row["prefix"] for row in page["rows"]]
        if "next" not in page:
            break
        skip = page["next"]
    assert found == everything and len(found) == 4
    assert await visitor.get("/api/show/routes?skip=99") == {"rows": [], "count": 0}
    assert (await visitor.get("/api/show/routes?rows=0"))["count"] == 4


async def test_faults_are_named(visitor: Visitor) -> None:
    async def error(path: str, status: int = 400) -> str:
        found: str = (await visitor.get(path, status))["error"]
        return found

    assert "did you mean routes" in await error("/api/show/route", 404)
    assert "did you mean prefix" in await error("/api/show/routes?prefx=10.0.0.0/8")
    assert "write such as" in await error("/api/show/routes?prefix=abc")
    assert "there is no neighbor" in await error("/api/show/neighbor?peer=x")
    assert "is missing" in await error("/api/show/explain")
    assert "rows:" in await error("/api/show/routes?rows=-1")
    assert "skip:" in await error("/api/show/routes?skip=999999999")
    assert "api/monitor" in await error("/api/show/monitor")
    assert "there is no 'week'" in await error("/api/history?span=week")
    assert "there is no path" in await error("/api/flow?prefix=203.0.113.0/24")
    assert "write such as" in await error("/api/flow")
    assert "within:" in await error("/api/live?routes&within=abc")


async def test_it_only_reads(visitor: Visitor) -> None:
    for name, question in QUESTIONS.items():
        if question.changes:
            found = await visitor.get(f"/api/show/{name}?peer=127.0.0.11", 400)
            assert "only shows" in found["error"], name
    app = visitor.cluster.service.doors.http._runner.app  # type: ignore[union-attr]
    of_it = [route for route in app.router.routes() if "/api/show" in str(route.resource)]
    assert of_it and {route.method for route in of_it} == {"GET"}
    for path in ("/api/show/reset", "/api/roll", "/"):
        async with visitor.session.post(visitor.base + path) as response:
            assert response.status in (403, 405)
    assert visitor.cluster.service.speaker.peers[0].state is State.ESTABLISHED


async def test_the_roll_has_every_neighbor_once(visitor: Visitor) -> None:
    roll = await visitor.get("/api/roll")
    rows = [dict(zip(roll["columns"], row, strict=True)) for row in roll["rows"]]
    assert [(row["name"], row["state"], row["kind"]) for row in rows] == [
        ("127.0.0.11", "Established", "client"),
        ("127.0.0.12", "Established", "client"),
    ]
    assert [row["received"] for row in rows] == [2, 1]
    (group,) = roll["groups"]
    assert group["members"] == 2 and {row["group"] for row in rows} == {group["number"]}
    async with visitor.session.get(visitor.base + "/api/roll", headers={"Accept-Encoding": ""}) as response:
        assert "Content-Encoding" not in response.headers
        assert len((await response.json())["rows"]) == 2


async def test_the_way_of_a_route_goes_to_all_but_its_sender(visitor: Visitor) -> None:
    found = await visitor.get("/api/flow?prefix=10.1.0.0/16")
    assert [(path["peer"], path["best"]) for path in found["paths"]] == [("127.0.0.11", True)]
    (group,) = found["groups"]
    assert group["members"] == 2 and group["paths"][0]["told"]
    (sent,) = found["senders"]["127.0.0.11"]
    assert not sent["told"] and sent["section"].startswith("RFC 4271")
    refused = await visitor.get("/api/flow?prefix=198.18.1.0/24")
    assert refused["groups"][0]["paths"][0]["told"] is False


async def events(visitor: Visitor, path: str) -> AsyncIterator[tuple[str, Any]]:
    async with visitor.session.get(visitor.base + path) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        name = "message"
        async for line in response.content:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)
                name = "message"


async def test_live_news_of_sessions_routes_and_samples(visitor: Visitor) -> None:
    seen: dict[str, Any] = {}
    async with asyncio.timeout(60):
        async for name, value in events(visitor, "/api/live?routes&within=10.0.0.0/8"):
            if name == "hello":
                visitor.cluster.clients[0].announce("192.0.2.0/24", next_hop="10.0.0.1")
                visitor.cluster.clients[0].announce("10.77.0.0/16", next_hop="10.0.0.1")
                await visitor.cluster.ask("reset", peer="127.0.0.12")
            seen[f"{name} {value['what']}" if name == "peer" else name] = value
            if {"hello", "sample", "route", "peer down"} <= set(seen):
                break
    assert len(seen["sample"]) == len(NAMES)
    assert seen["route"]["prefix"].startswith("10.")
    assert seen["peer down"]["peer"] == "127.0.0.12"


async def test_the_monitor_is_that_of_the_command(visitor: Visitor) -> None:
    async with asyncio.timeout(60):
        found = []
        async for _, row in events(visitor, "/api/monitor?within=10.0.0.0/8"):
            found.append(row["event"])
            if row["event"] == "InSync":
                break
    assert found.count("RouteEvent") == 2


async def test_too_many_listeners_are_sent_away(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_LISTENERS", 1)
    async with asyncio.timeout(60):
        async for name, _ in events(visitor, "/api/live"):
            assert name == "hello"
            found = await visitor.get("/api/live", 503)
            assert "too many" in found["error"]
            break
        # Who goes away makes room, at the latest with the next sign of life.
        while True:
            async with visitor.session.get(visitor.base + "/api/live") as response:
                if response.status == 200:
                    break
            await asyncio.sleep(0.1)


async def test_the_end_of_the_service_does_not_wait_for_listeners(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with running(tmp_path, HTTP) as cluster:
            visitor = Visitor(cluster, session)
            response = await session.get(f"{visitor.base}/api/live")
            await response.content.readline()
        async with asyncio.timeout(60):
            with contextlib.suppress(aiohttp.ClientError):
                await response.content.read()


async def test_the_page_is_answered_with_its_policy_and_by_its_tag(visitor: Visitor) -> None:
    names = ["/", *(f"/glass/{name}" for name in pages.load())]
    assert len(names) > 5
    for name in names:
        async with visitor.session.get(visitor.base + name) as response:
            assert response.status == 200, name
            policy = response.headers["Content-Security-Policy"]
            assert "unsafe" not in policy and "http" not in policy and "default-src 'none'" in policy
            assert response.headers["Content-Encoding"] == "gzip"
            tag = response.headers["ETag"]
        async with visitor.session.get(visitor.base + name, headers={"If-None-Match": tag}) as response:
            assert response.status == 304, name
    async with visitor.session.get(visitor.base + "/glass/nothing.js") as response:
        assert response.status == 404


def test_the_page_speaks_of_no_other_place() -> None:
    for name, file in pages.load().items():
        text = file.octets.decode()
        others = text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in others and "https://" not in others and "//cdn" not in others, name
        assert "innerHTML" not in text and "insertAdjacentHTML" not in text and "eval(" not in text, name
        assert name != "index.html" or ("<style" not in text and " style=" not in text)


async def test_history_has_all_columns(visitor: Visitor) -> None:
    async with asyncio.timeout(60):
        while len((found := await visitor.get("/api/history"))["columns"]["time"]) < 2:
            await asyncio.sleep(0.1)
    assert tuple(found["columns"]) == NAMES
    assert found["columns"]["established"][-1] == 2
    assert found["columns"]["routes"][-1] == 4
    assert (await visitor.get("/api/history?span=day"))["columns"]["time"] == []


def test_a_ring_keeps_the_last_ones_in_order() -> None:
    ring = Ring(3)
    for number in range(5):
        ring.add([number] * len(COLUMNS))
    assert len(ring) == 3
    assert all(values == [2, 3, 4] for _, values in ring.columns())


def test_a_coarser_sample_has_the_last_the_sum_or_the_most() -> None:
    found = dict(
        zip(NAMES, coarser([[1] * len(COLUMNS), [3] * len(COLUMNS), [2] * len(COLUMNS)]), strict=True)
    )
    assert (found["established"], found["updates_in"], found["lag"], found["seconds"]) == (2, 6, 3, 6)


async def test_events_are_bounded_and_say_what_is_left_out(visitor: Visitor) -> None:
    live = Live(visitor.cluster.service)
    peer = visitor.cluster.service.speaker.peers[0]
    for number in range(EVENTS + 100):
        live._note(PeerEvent(EventKind.ALARM, peer, text=f"{number} " + "x" * 5000))
    rows, lost = live.since(0, 10)
    assert len(rows) == 10 and lost == EVENTS + 90
    assert len(live._events) == EVENTS
    assert len(json.loads(rows[-1])["text"]) == TEXT
    assert live.since(live.number, 10) == ([], 0)
    # An attempt that fails as the one before is not news.
    number = live.number
    for _ in range(3):
        live._note(PeerEvent(EventKind.DOWN, peer, State.CONNECT, text="refused"))
    assert live.number == number + 1


async def test_another_configuration_of_http_keeps_the_past_and_sends_listeners_to_the_new_rules(
    visitor: Visitor,
) -> None:
    http = visitor.cluster.service.doors.http  # type: ignore[union-attr]
    options = http._options
    async with asyncio.timeout(60):
        while len((await visitor.get("/api/history"))["columns"]["time"]) < 1:
            await asyncio.sleep(0.05)
        first = (await visitor.get("/api/history"))["columns"]["time"][0]
        response = await visitor.session.get(f"{visitor.base}/api/live")
        await response.content.readline()
        await http.change(replace(options, birdwatcher=True))
        with contextlib.suppress(aiohttp.ClientError):
            await response.content.read()
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        again = Visitor(visitor.cluster, session)
        assert (await again.get("/api/history"))["columns"]["time"][0] == first
    await http.change(replace(options, looking_glass=False))
    assert http._glass is None
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        again = Visitor(visitor.cluster, session)
        async with session.get(again.base + "/api/history") as gone:
            assert gone.status == 404
