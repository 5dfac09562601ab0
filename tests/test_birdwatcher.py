"""birdwatcher's JSON: what a looking glass reads of it, with the types that it insists on."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from service import Cluster, Turns, running

HTTP = '\n[http]\nlisten = ["127.0.0.1:0"]\nbirdwatcher = true\n'
Json = dict[str, Any]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path, HTTP) as found:
        yield found


async def fetch(cluster: Cluster, path: str, status: int = 200) -> Json:
    assert cluster.service.doors is not None
    host, port = cluster.service.doors.http.addresses[0]
    url = f"http://{host}:{port}/birdwatcher{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == status, await response.text()
        assert response.headers["Content-Type"].startswith("application/json")
        answer: Json = json.loads(await response.text())
    about(answer)
    return answer


# --- What Alice-LG takes: a wrong type ends its parser, or the value is lost ------------------------------


def about(answer: Json) -> None:
    """Read what every answer has."""
    assert isinstance(answer["api"]["Version"], str)
    assert answer["api"]["result_from_cache"] is False
    for text in (answer["ttl"], answer["api"]["cache_status"]["cached_at"]["date"]):
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> datetime:
    assert isinstance(text, str)
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def neighbors(answer: Json) -> dict[str, Json]:
    found: dict[str, Json] = answer["protocols"]
    for each in found.values():
        assert each["bird_protocol"] == "BGP" and each["state"] in ("up", "start", "down")
        moment(each["state_changed"])
        for name in ("neighbor_address", "description", "last_error", "table", "protocol", "connection"):
            assert isinstance(each[name], str), name
        assert isinstance(each["neighbor_as"], int)
        for name in ("imported", "filtered", "exported", "preferred"):
            assert isinstance(each["routes"][name], int), name
    return found


def routes(answer: Json) -> dict[str, Json]:
    for each in answer["routes"]:
        moment(each["age"])
        for name in ("network", "gateway", "interface", "from_protocol", "learnt_from"):
            assert isinstance(each[name], str), name
        assert isinstance(each["metric"], int) and isinstance(each["primary"], bool)
        assert each["type"] == ["BGP", "univ"]
        bgp = each["bgp"]
        for name in ("origin", "next_hop"):
            assert isinstance(bgp[name], str), name
        for name in ("local_pref", "med"):
            assert re.fullmatch(r"\d+", bgp.get(name, "0")), name
        assert all(re.fullmatch(r"\d+", asn) for asn in bgp["as_path"])
        for name, parts in (("communities", 2), ("large_communities", 3)):
            assert all(len(one) == parts and all(isinstance(n, int) for n in one) for one in bgp[name])
        assert all(len(one) == 3 and all(isinstance(n, str) for n in one) for one in bgp["ext_communities"])
    found = {each["network"]: each for each in answer["routes"]}
    assert len(found) == len(answer["routes"])
    return found


# --- Tests ------------------------------------------------------------------------------------------------


async def test_the_whole_and_its_neighbors(cluster: Cluster) -> None:
    status = (await fetch(cluster, "/status"))["status"]
    assert status["router_id"] == "192.0.2.100" and re.fullmatch(r"[0-9.]+", status["version"])
    for name in ("current_server", "last_reboot", "last_reconfig"):
        moment(status[name])
    await cluster.service.counts.counted(60)
    for path in ("/protocols", "/protocols/bgp"):
        found = neighbors(await fetch(cluster, path))
        assert found.keys() == {"127.0.0.11", "127.0.0.12"}
        first = found["127.0.0.11"]
        assert (first["neighbor_address"], first["neighbor_as"]) == ("127.0.0.11", 64512)
        counts = {name: first["routes"][name] for name in ("imported", "filtered", "exported", "preferred")}
        assert counts == {"imported": 1, "filtered": 1, "exported": 2, "preferred": 1}
    short = (await fetch(cluster, "/protocols/short?uncached=true"))["protocols"]
    assert short["127.0.0.12"]["state"] == "up" and moment(short["127.0.0.12"]["since"])
    symbols = (await fetch(cluster, "/symbols"))["symbols"]
    assert symbols["routing table"] == ["master4", "master6"] and "127.0.0.11" in symbols["protocol"]
    assert (await fetch(cluster, "/symbols/tables"))["symbols"] == ["master4", "master6"]
    assert "local" in (await fetch(cluster, "/symbols/protocols"))["symbols"]
    assert (await fetch(cluster, "/version"))["version"] == cluster.service.version


async def test_routes(cluster: Cluster) -> None:
    cluster.clients[1].announce(
        "10.3.0.0/16",
        next_hop="10.0.0.2",
        communities=["64512:7"],
        large_communities=["1:2:3"],
        extended_communities=["rt:64512:5", "0x4300000000000001"],
    )
    cluster.service.speaker.announce("2001:db8:2::/48", next_hop="2001:db8::2")
    await cluster.until("routes", 6)

    async def of(path: str) -> set[str]:
        return routes(await fetch(cluster, path)).keys()

    both = {"10.2.0.0/16", "10.3.0.0/16"}
    assert await of("/routes/protocol/127.0.0.12") == await of("/routes/peer/127.0.0.12") == both
    assert await of("/routes/peer?peer=127.0.0.12") == both
    assert await of("/routes/table/master4/peer/127.0.0.12") == both
    assert await of("/ipv6/routes/protocol/127.0.0.12") == set()
    assert await of("/ipv6/routes/table/master") == await of("/routes/table/master6") == {"2001:db8:2::/48"}
    assert await of("/routes/protocol/127.0.0.11") == {"10.1.0.0/16"}
    assert await of("/routes/filtered/127.0.0.11") == {"198.18.1.0/24"}
    assert await of("/routes/table/master/filtered") == {"198.18.1.0/24"}
    ours = "198.51.100.0/24"
    assert await of("/routes/export/127.0.0.11") == {*both, ours}
    assert await of("/routes/noexport/127.0.0.11") == set()
    table = {"10.1.0.0/16", *both, ours}
    assert await of("/routes/table/master4") == await of("/ipv4/routes/table/master") == table
    assert await of("/routes/prefix?prefix=10.0.0.0/8") == {"10.1.0.0/16", *both}
    assert await of("/routes/prefix?prefix=2001:db8::/32") == {"2001:db8:2::/48"}
    for path in ("/route/net/10.1.2.3", "/route/net/10.1.2.0/mask/24", "/route/net/10.1.2.3/table/master4"):
        assert await of(path) == {"10.1.0.0/16"}, path
    assert await of("/route/net/10.1.2.3/table/master6") == set()
    dump = await fetch(cluster, "/routes/dump")
    assert {each["network"] for each in dump["imported"]} == {*table, "2001:db8:2::/48"}
    assert [each["network"] for each in dump["filtered"]] == ["198.18.1.0/24"]
    assert (await fetch(cluster, "/routes/count/table/master4"))["routes"] == 5
    await cluster.service.counts.counted(60)
    assert (await fetch(cluster, "/routes/count/protocol/127.0.0.11"))["routes"] == 1
    assert (await fetch(cluster, "/routes/count/primary/127.0.0.11"))["routes"] == 1

    found = routes(await fetch(cluster, "/routes/protocol/127.0.0.12"))
    four, marked = found["10.2.0.0/16"], found["10.3.0.0/16"]["bgp"]
    assert (four["gateway"], four["learnt_from"], four["from_protocol"]) == (
        "10.0.0.2",
        "127.0.0.12",
        "127.0.0.12",
    )
    assert (four["primary"], four["bgp"]["med"], four["bgp"]["local_pref"]) == (True, "2", "100")
    assert four["bgp"]["origin"] == "IGP" and four["bgp"]["as_path"] == []
    assert marked["communities"] == [[64512, 7]] and marked["large_communities"] == [[1, 2, 3]]
    assert marked["ext_communities"] == [
        ["rt", "64512", "5"],
        ["generic", "0x43000000", "0x00000001"],
    ]
    told = routes(await fetch(cluster, "/routes/export/127.0.0.11"))["10.2.0.0/16"]
    assert (told["bgp"]["originator_id"], told["bgp"]["cluster_list"]) == ("10.0.0.2", "192.0.2.100")


async def test_who_is_not_told_a_route_and_what_is_not_there(cluster: Cluster) -> None:
    cluster.service.speaker.announce("10.66.0.0/16", next_hop="10.0.0.1", communities=["no-advertise"])
    assert routes(await fetch(cluster, "/routes/noexport/127.0.0.12")).keys() == {"10.66.0.0/16"}
    for path, status, said in (
        ("/routes/protocol/nobody", 404, "there is no protocol 'nobody'"),
        ("/routes/table/t7", 404, "there is no table 't7'; there are master4, master6"),
        ("/ipv4/routes/table/master6", 404, "there are master4"),
        ("/routes/prefix?prefix=10.0.0.1/8", 400, "has host bits set"),
        ("/routes/prefix", 400, "write such as 10.0.0.0/8"),
        ("/route/net/x", 400, "write such as"),
        ("/routes/table/master4?limit=x", 400, "limit: 'x' is no number"),
    ):
        answer = await fetch(cluster, path, status)
        assert said in answer["error"] and answer["routes"] == [], path


async def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path, HTTP.replace("birdwatcher = true", "")) as cluster:
        assert cluster.service.doors is not None
        host, port = cluster.service.doors.http.addresses[0]
        url = f"http://{host}:{port}/birdwatcher/status"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 404


async def test_a_big_table_comes_in_pieces_while_the_loop_goes_on(cluster: Cluster) -> None:
    many = 8_000
    await cluster.announce_many(many)
    with Turns() as turns:
        found = routes(await fetch(cluster, "/routes/table/master4"))
    assert len(found) == many + 3
    # 50 routes at most between two turns of the loop is far above what a slice holds.
    assert turns.count > many / 200
    pages = [
        routes(await fetch(cluster, f"/routes/protocol/127.0.0.11?offset={offset}&limit=3000"))
        for offset in (0, 3000, 6000, 9000)
    ]
    assert [len(page) for page in pages] == [3000, 3000, 2001, 0]
    assert len(set().union(*pages)) == many + 1
