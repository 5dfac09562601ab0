"""A running service asked over its socket: what reports say is what the speaker knows."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from service import ASN, Cluster, Turns, running

from bgp import IPV4_UNICAST
from reflector.app import Service
from reflector.control.client import Unanswered, ask
from reflector.control.lines import ControlError
from reflector.doors import Doors
from reflector.report.catalog import QUESTIONS


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as found:
        yield found


async def test_the_whole(cluster: Cluster) -> None:
    (row,) = await cluster.ask("status")
    assert (row["asn"], row["router_id"], row["file"]) == (ASN, "192.0.2.100", "rr.toml")
    assert row["established"] == row["neighbors"] == 2
    assert row["states"] == {"Established": 2}
    assert row["ranges"] == [{"prefix": "127.0.0.0/8", "neighbors": 2, "limit": 1000}]
    assert row["routes"] == 4
    assert row["prefixes"] == {"ipv4-unicast": 4, "ipv6-unicast": 0}
    assert row["memory"] > 0 and 0 <= row["uptime"] < 600


async def test_neighbors(cluster: Cluster) -> None:
    rows = await cluster.ask("neighbors")
    assert [row["name"] for row in rows] == ["127.0.0.11", "127.0.0.12"]
    assert [row["received"] for row in rows] == [{"ipv4-unicast": 2}, {"ipv4-unicast": 1}]
    assert {(row["kind"], row["state"], row["asn"]) for row in rows} == {("client", "Established", ASN)}
    assert await cluster.ask("neighbors", down=True) == []
    assert len(await cluster.ask("neighbors", state="established", name=".12")) == 1


async def test_a_neighbor(cluster: Cluster) -> None:
    (row,) = await cluster.ask("neighbor", peer="127.0.0.11")
    assert row["received"] == {"ipv4-unicast": 2}
    assert row["refused"] == {"ipv4-unicast": 1}
    assert row["advertised"] == {"ipv4-unicast": 2}
    assert row["end_of_rib"] == ["ipv4-unicast"]
    assert row["session"]["remote_identifier"] == "10.0.0.1"
    assert row["messages"]["open"] == {"received": 1, "sent": 1}
    assert row["connections"][0]["incoming"] is True


async def test_routes(cluster: Cluster) -> None:
    rows = {row["prefix"]: row for row in await cluster.ask("routes", family="ipv4")}
    assert rows["198.51.100.0/24"]["peer"] == "" and rows["198.51.100.0/24"]["communities"] == ["64512:7"]
    assert rows["10.1.0.0/16"]["next_hop"] == "10.0.0.1" and rows["10.1.0.0/16"]["best"] is True
    refused = rows["198.18.1.0/24"]
    assert refused["usable"] is False and refused["best"] is False and "tests" in refused["refused"]["text"]

    def prefixes(rows: list[dict[str, Any]]) -> set[str]:
        return {row["prefix"] for row in rows}

    assert prefixes(await cluster.ask("routes", best=True)) == rows.keys() - {"198.18.1.0/24"}
    assert prefixes(await cluster.ask("routes", refused=True)) == {"198.18.1.0/24"}
    assert prefixes(await cluster.ask("routes", prefix="10.0.0.0/8", longer=True)) == {
        "10.1.0.0/16",
        "10.2.0.0/16",
    }
    assert prefixes(await cluster.ask("routes", prefix="10.1.2.3")) == {"10.1.0.0/16"}
    assert prefixes(await cluster.ask("routes", community="64512:7")) == {"198.51.100.0/24"}
    assert prefixes(await cluster.ask("routes", received="127.0.0.11")) == {"10.1.0.0/16", "198.18.1.0/24"}
    told = await cluster.ask("routes", advertised="127.0.0.11")
    assert prefixes(told) == {"10.2.0.0/16", "198.51.100.0/24"}
    (reflected,) = await cluster.ask("routes", advertised="127.0.0.11", prefix="10.2.0.0/16")
    assert reflected["originator_id"] == "10.0.0.2" and reflected["cluster_list"] == ["192.0.2.100"]
    assert len(await cluster.ask("routes", limit=2)) == 2
    assert await cluster.ask("routes", family="ipv6") == []


async def test_the_views_of_reports_are_those_of_the_speaker(cluster: Cluster) -> None:
    speaker = cluster.service.speaker
    for peer in speaker.peers:
        rows = await cluster.ask("routes", advertised=peer.name)
        assert sorted(row["prefix"] for row in rows) == sorted(
            prefix for prefix, _ in speaker.advertised(peer, IPV4_UNICAST)
        )


async def test_explain(cluster: Cluster) -> None:
    (row,) = await cluster.ask("explain", prefix="10.1.0.0/16", to="127.0.0.12")
    assert row["paths"][0]["verdict"] == "best"
    (told,) = row["to"]["told"]
    assert told["told"] is True and told["attributes"]["originator_id"] == "10.0.0.1"
    assert bytes.fromhex(told["message"])[18] == 2
    (row,) = await cluster.ask("explain", prefix="10.1.0.0/16", to="127.0.0.11")
    assert row["to"]["told"][0]["reason"]["section"] == "RFC 4271 9.2"
    (row,) = await cluster.ask("explain", prefix="198.18.1.0/24")
    assert row["paths"][0]["import"]["policy"] == "no-tests"
    assert await cluster.refusal("explain", prefix="10.1.2.0/24") == (
        "there is no path to 10.1.2.0/24; the longest match is 10.1.0.0/16"
    )


async def test_groups_and_memory(cluster: Cluster) -> None:
    (row,) = await cluster.ask("groups")
    assert (row["members"], row["kind"], row["behind"]) == (2, "client", [])
    assert row["names"] == ["127.0.0.11", "127.0.0.12"]
    rows = {row["what"]: row for row in await cluster.ask("memory")}
    assert rows["routes"]["count"] == 4
    assert rows["attribute sets"]["count"] == len(cluster.service.speaker.router.table)
    whole = rows.pop("process")["octets"]
    assert sum(row.get("octets", 0) for row in rows.values()) == whole
    assert 0 < rows["program"]["octets"] < whole


async def test_the_log_is_kept(cluster: Cluster) -> None:
    logging.getLogger("reflector").warning("neighbor 192.0.2.9: something to look for")
    (row,) = await cluster.ask("log", level="warning", peer="192.0.2.9")
    assert row["text"] == "neighbor 192.0.2.9: something to look for" and row["level"] == "warning"
    assert len(await cluster.ask("log", limit=1)) == 1


async def test_monitor_tells_what_is_there_and_then_what_changes(cluster: Cluster) -> None:
    def announce() -> None:
        cluster.clients[0].announce("10.9.0.0/16", next_hop="10.0.0.1")

    def listen() -> list[dict[str, Any]]:
        rows = []
        for row in ask(cluster.path, "monitor", {"within": "10.0.0.0/8"}):
            rows.append(row)
            if row["event"] == "InSync":
                loop.call_soon_threadsafe(announce)
            if row["event"] == "RouteEvent" and row["prefix"] == "10.9.0.0/16":
                break
        return rows

    loop = asyncio.get_running_loop()
    rows = await asyncio.wait_for(asyncio.to_thread(listen), 20)
    before = [row["prefix"] for row in rows if row["event"] == "RouteEvent"]
    assert sorted(before) == ["10.1.0.0/16", "10.2.0.0/16", "10.9.0.0/16"]
    assert rows[-1]["change"] == "added" and rows[-1]["path"]["peer"] == "127.0.0.11"
    # Who went away is not told any more.
    async with asyncio.timeout(20):
        while cluster.service.doors is not None and cluster.service.doors.askers:
            await asyncio.sleep(0.01)


async def test_commands(cluster: Cluster) -> None:
    (row,) = await cluster.ask("refresh", peer="127.0.0.11")
    assert row == {"neighbor": "127.0.0.11", "done": "refresh requested"}
    (row,) = await cluster.ask("reset", peer="127.0.0.12", text="to test it")
    assert row["was"] == "Established"
    other = cluster.clients[1].peers[0]
    async with asyncio.timeout(20):
        while "to test it" not in other.last_error:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("question", "given", "said"),
    [
        ("route", {}, "nothing is known of 'route'; did you mean routes?"),
        ("routes", {"prefx": "10.0.0.0/8"}, "routes: there is no argument 'prefx'; did you mean prefix?"),
        ("routes", {"prefix": "10.0.0.1/8"}, "prefix: 10.0.0.1/8 has host bits set; write such as"),
        ("routes", {"family": "ipv5"}, "family: there is no family 'ipv5'; write ipv4 or ipv6"),
        ("routes", {"limit": -1}, "limit: -1 is no number from 0 on"),
        ("routes", {"community": "x:y"}, "community: 'x:y' is no community"),
        ("routes", {"received": "127.0.0.11", "advertised": "127.0.0.11"}, "two questions: ask one of them"),
        ("neighbor", {}, "neighbor: peer is missing: its name or address"),
        ("neighbor", {"peer": "127.0.0.99"}, "there is no neighbor '127.0.0.99'; `reflector show neighbors`"),
        ("neighbor", {"peer": "0.12"}, "there is no neighbor '0.12'; there are 127.0.0.12"),
        ("neighbors", {"state": "up"}, "state: there is no state 'up'; there are Idle, Connect"),
        ("log", {"level": "loud"}, "level: there is no level 'loud'; there are debug"),
    ],
)
async def test_questions_that_cannot_be_answered(
    cluster: Cluster, question: str, given: dict[str, object], said: str
) -> None:
    assert said in await cluster.refusal(question, **given)


async def test_whatever_is_sent_is_answered(cluster: Cluster) -> None:
    """Octets that are no question get an error, and the next question of the same connection its answer."""

    def converse(octets: bytes) -> list[dict[str, Any]]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(cluster.path))
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as answers:
                return [json.loads(line) for line in answers]

    asked = b'nonsense\n[]\n{"ask": 7}\n{"ask": "groups", "with": []}\n\n{"ask": "groups"}\n{"ask": "memory"'
    answers = await asyncio.to_thread(converse, asked)
    errors = [each["error"] for each in answers if "error" in each]
    assert len(errors) == 5
    assert errors[0].startswith("not understood") and "7" in errors[2] and "with" in errors[3]
    assert [each for each in answers if "end" in each] == [{"end": 1}]
    # Nobody waits for an end that does not come.
    assert await asyncio.to_thread(converse, b'{"ask": "monitor"}\n') is not None
    flood = await asyncio.to_thread(converse, b"x" * (8 << 20) + b'\n{"ask": "groups"}')
    assert "octets" in flood[0]["error"] and flood[-1] == {"end": 1}


async def test_many_askers_hold_nobody_up(cluster: Cluster) -> None:
    """One does not read its answers, and thirty others get theirs."""
    idle = socket.socket(socket.AF_UNIX)
    idle.connect(str(cluster.path))
    idle.setblocking(False)
    questions = b'{"ask": "routes"}\n' * 20_000
    sent = 0
    try:
        # What is sent without end is not read without end.
        for _ in range(200):
            with contextlib.suppress(BlockingIOError):
                sent += idle.send(questions)
            await asyncio.sleep(0)
        assert sent < len(questions) * 100
        results = await asyncio.gather(*(cluster.ask("groups") for _ in range(30)))
        assert all(len(rows) == 1 for rows in results)
    finally:
        idle.close()


async def test_the_socket_is_ours_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert stat.S_IMODE(os.stat(cluster.path).st_mode) == 0o660
    configuration = cluster.service.configuration
    with pytest.raises(ControlError, match="another service answers there"):
        await Doors(cluster.service).change_control(configuration.control)
    assert len(await cluster.ask("groups")) == 1
    await cluster.service.stop("over")
    assert not cluster.path.exists()
    with pytest.raises(Unanswered, match=r"is `reflector run` running\?"):
        list(ask(cluster.path, "groups", {}))
    # What a killed service left behind is no obstacle, and what is no socket is not touched.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(cluster.path))
    again = Service(configuration, control=True)
    await again.start()
    await again.stop("")
    # Two services of one user share the usual path: the second one reflects, and says it.
    usual = replace(configuration, control=replace(configuration.control, socket=None, birdc=None))
    monkeypatch.setenv("REFLECTOR_SOCKET", str(cluster.path))
    first, second = Service(usual, control=True), Service(usual, control=True)
    await first.start()
    await second.start()
    assert "nobody can ask this service" in caplog.text and "another service answers there" in caplog.text
    assert len(await cluster.ask("groups")) == 0
    await second.stop("")
    assert len(await cluster.ask("status")) == 1
    await first.stop("")
    cluster.path.write_text("precious")
    with pytest.raises(ControlError, match="no socket"):
        await Doors(cluster.service).change_control(configuration.control)
    assert cluster.path.read_text() == "precious"


async def test_the_commands_of_the_shell(cluster: Cluster) -> None:
    async def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return await asyncio.to_thread(cluster.command, *arguments)

    done = await run("show", "summary")
    assert "neighbors      2: 2 Established" in done.stdout, done
    done = await run("show", "neighbors")
    assert done.stdout.splitlines()[0].startswith("neighbor") and "2 neighbors" in done.stdout
    done = await run("show", "routes", "10.1.0.0/16")
    assert "*  10.1.0.0/16  10.0.0.1  127.0.0.11" in done.stdout
    done = await run("show", "routes", "--best", "--json")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 3
    done = await run("explain", "10.1.0.0/16", "--to", "127.0.0.11")
    assert "best" in done.stdout and "RFC 4271 9.2" in done.stdout
    done = await run("show", "neighbor", "127.0.0.12")
    assert "1 received, 2 told" in done.stdout
    done = await run("show", "groups")
    assert "1 group" in done.stdout
    done = await run("show", "memory")
    assert "attribute sets" in done.stdout
    done = await run("refresh", "127.0.0.12")
    assert done.stdout == "127.0.0.12: refresh requested\n"
    done = await run("show", "neighbor", "nobody")
    assert done.returncode == 3 and done.stderr.startswith("reflector: there is no neighbor 'nobody'")


async def test_a_big_table_is_shown_while_the_loop_goes_on(tmp_path: Path) -> None:
    """All rows arrive, and no slice of the loop is held for long against what one row takes."""
    async with running(tmp_path) as cluster:
        await cluster.announce_many(20_000)
        with Turns() as turns:
            rows = await cluster.ask("routes", best=True)
        assert len({row["prefix"] for row in rows}) == 20_003
        # 50 rows at most between two turns of the loop is far above what a slice holds.
        assert turns.count > 20_003 / 200


def test_every_question_has_an_answer_and_is_shown() -> None:
    from reflector import asking
    from reflector.report.answering import ANSWERS

    assert ANSWERS.keys() == QUESTIONS.keys()
    assert {name for name, question in QUESTIONS.items() if not question.changes} <= asking._SHOWN.keys()
