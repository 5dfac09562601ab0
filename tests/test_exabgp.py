"""`python -m bgp exabgp` as a program: what it is told a neighbor on loopback hears, and the other way."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rawpeer import BOTH, has_routes

from bgp import ACCEPT_ALL, IPV4_UNICAST, IPV6_UNICAST, AddPathMode, Peer, PeerOptions, Speaker, State
from bgp.tools.exabgp.settings import KEYS, load, settings

ROOT = Path(__file__).parent.parent
TIMEOUT = 20.0


class Shim:
    """The program, with what it printed: objects apart from answers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.objects: list[dict[str, Any]] = []

    async def _line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            octets = await self.process.stdout.readline()
        assert octets, "it ended"
        return octets.decode().strip()

    async def say(self, line: str) -> list[str]:
        """Give a command; return the lines that answer it, `done` or `error` the last of them."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()
        answer: list[str] = []
        while not answer or answer[-1] not in ("done", "error"):
            text = await self._line()
            if text.startswith("{"):
                self.objects.append(json.loads(text))
            else:
                answer.append(text)
        return answer

    async def object(self, type_: str, **facts: object) -> dict[str, Any]:
        """Return the next object of this type whose neighbor has these values."""
        while True:
            while self.objects:
                found = self.objects.pop(0)
                neighbor = found.get("neighbor", {})
                if found["type"] == type_ and all(
                    neighbor.get(name) == value for name, value in facts.items()
                ):
                    return found
            text = await self._line()
            if text.startswith("{"):
                self.objects.append(json.loads(text))


@contextlib.asynccontextmanager
async def shim(*arguments: object) -> AsyncIterator[Shim]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bgp", "exabgp", *map(str, arguments)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Shim(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def speaker_with(
    *sources: str, asn: int = 64512, **options: Any
) -> AsyncIterator[tuple[Speaker, list[Peer]]]:
    """A speaker on loopback with passive peers, in AS 64512 themselves."""
    async with Speaker(asn=64512, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        yield (
            speaker,
            [
                speaker.add_peer(
                    PeerOptions(
                        asn=64512,
                        address=source,
                        passive=True,
                        families=BOTH,
                        import_policy=ACCEPT_ALL,
                        export_policy=ACCEPT_ALL,
                    )
                )
                for source in sources
            ],
        )


def arguments(speaker: Speaker, source: str = "127.0.0.2", peer_as: int = 64512) -> list[object]:
    return [
        *("--asn", 64512, "--router-id", "10.0.0.2", "--neighbor", "127.0.0.1", "--peer-as", peer_as),
        *("--port", speaker.listening[0][1], "--local-address", source),
    ]


async def test_commands_go_out_and_news_come_in() -> None:
    async with speaker_with("127.0.0.2") as (speaker, (peer,)), shim(*arguments(speaker)) as program:
        await program.object("state", state="up")
        route = "announce route 198.51.100.0/24 next-hop 192.0.2.9 med 7 community [ 64512:1 ]"
        assert await program.say(route) == ["done"]
        assert await program.say("announce ipv6 unicast 2001:db8::/32 next-hop 2001:db8::9") == ["done"]
        await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24")
        await has_routes(speaker, IPV6_UNICAST, "2001:db8::/32")
        told = speaker.best(IPV4_UNICAST)["198.51.100.0/24"].attributes
        assert (told.med, told.local_pref, told.communities) == (7, 100, (64512 << 16 | 1,))
        assert told.next_hop == bytes((192, 0, 2, 9))
        assert await program.say("withdraw route 198.51.100.0/24") == ["done"]
        await has_routes(speaker, IPV4_UNICAST)

        speaker.announce(
            "203.0.113.0/24", next_hop="192.0.2.1", as_path="65001 65002", large_communities=[(1, 2, 3)]
        )
        while "update" not in (found := (await program.object("update"))["neighbor"]["message"]):
            assert found["eor"]["safi"] == "unicast"
        assert found["update"] == {
            "attribute": {
                "origin": "igp",
                "as-path": {"0": {"element": "as-sequence", "value": [65001, 65002]}},
                "local-preference": 100,
                "large-community": [[1, 2, 3]],
            },
            "announce": {"ipv4 unicast": {"192.0.2.1": [{"nlri": "203.0.113.0/24"}]}},
        }
        speaker.withdraw("203.0.113.0/24")
        while "withdraw" not in (
            found := (await program.object("update"))["neighbor"]["message"].get("update", {})
        ):
            pass
        assert found == {"withdraw": {"ipv4 unicast": [{"nlri": "203.0.113.0/24"}]}}

        peer.reset("back in a minute")
        down = await program.object("notification")
        assert down["neighbor"]["notification"]["message"] == "back in a minute"
        assert "back in a minute" in (await program.object("state", state="down"))["neighbor"]["reason"]
        await program.object("state", state="up")
        # The end of the former connection is no end of this one.
        established = peer.times_established
        await asyncio.sleep(1)
        assert (peer.state, peer.times_established) == (State.ESTABLISHED, established)
        # Routes outlive sessions.
        await has_routes(speaker, IPV6_UNICAST, "2001:db8::/32")

        assert await program.say("shutdown") == ["shutdown in progress", "done"]
        assert await asyncio.wait_for(program.process.wait(), TIMEOUT) == 0
        await has_routes(speaker, IPV6_UNICAST)
        assert "cease/administrative-shutdown" in peer.last_error


async def test_every_object_has_the_keys_of_version_5() -> None:
    async with speaker_with("127.0.0.2") as (speaker, _), shim(*arguments(speaker)) as program:
        up = await program.object("state", state="up")
        assert list(up) == ["exabgp", "time", "host", "pid", "ppid", "counter", "type", "neighbor"]
        assert up["exabgp"].startswith("5.")
        assert up["pid"] == program.process.pid
        assert up["neighbor"] == {
            "address": {"local": "127.0.0.2", "peer": "127.0.0.1"},
            "asn": {"local": 64512, "peer": 64512},
            "router-id": "10.0.0.2",
            "state": "up",
        }
        assert (await program.object("update"))["counter"] > up["counter"]


async def test_several_paths_of_a_prefix() -> None:
    """`path-information` tells them apart where the session has ADD-PATH (RFC 7911)."""
    async with Speaker(asn=64512, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        add_path = {IPV4_UNICAST: AddPathMode.BOTH}
        peer = speaker.add_peer(PeerOptions(asn=64512, address="127.0.0.2", passive=True, add_path=add_path))
        async with shim(*arguments(speaker), "--add-path") as program:
            await program.object("state", state="up")
            for number in (1, 2):
                route = f"announce route 10.0.0.0/8 next-hop 192.0.2.{number} path-information 0.0.0.{number}"
                assert await program.say(route) == ["done"]
            await has_routes(speaker, IPV4_UNICAST, "10.0.0.0/8")
            while len(speaker.received(peer, IPV4_UNICAST)) < 2:
                await asyncio.sleep(0.01)
            withdraw = "withdraw route 10.0.0.0/8 path-information 0.0.0.1"
            assert await program.say(withdraw) == ["done"]
            while len(speaker.received(peer, IPV4_UNICAST)) > 1:
                await asyncio.sleep(0.01)
            ((_, path),) = speaker.received(peer, IPV4_UNICAST)
            assert path.attributes.next_hop == bytes((192, 0, 2, 2))
            speaker.announce("11.0.0.0/8", next_hop="192.0.2.1")
            while "update" not in (found := (await program.object("update"))["neighbor"]["message"]):
                pass
            (((told,),),) = [each.values() for each in found["update"]["announce"].values()]
            assert told["nlri"] == "11.0.0.0/8"
            assert told["path-information"].count(".") == 3


async def test_refresh_and_questions() -> None:
    async with speaker_with("127.0.0.2") as (speaker, (peer,)), shim(*arguments(speaker)) as program:
        await program.object("state", state="up")
        speaker.announce("203.0.113.0/24", next_hop="192.0.2.1")
        await program.object("update")
        assert await program.say("announce route refresh ipv4 unicast") == ["done"]
        begin = await program.object("refresh")
        assert begin["neighbor"]["route-refresh"] == {"afi": "ipv4", "safi": "unicast", "subtype": "begin"}
        await program.object("update")
        assert (await program.object("refresh"))["neighbor"]["route-refresh"]["subtype"] == "end"
        assert await program.say("announce eor ipv4 unicast") == ["done"]
        assert await program.say("announce route 10.0.0.0/8 next-hop self") == ["done"]
        assert await program.say("show adj-rib out") == [
            "127.0.0.1 ipv4 unicast 10.0.0.0/8 next-hop self",
            "done",
        ]
        header, line, _ = await program.say("show neighbor summary")
        assert header.split()[:2] == ["Peer", "AS"]
        assert "127.0.0.1" in line and "established" in line
        (shown, _) = await program.say("show neighbor json")
        (neighbor,) = json.loads(shown)
        assert (neighbor["state"], neighbor["peer"]["as"], neighbor["local"]["id"]) == (
            "up",
            64512,
            "10.0.0.2",
        )
        assert (await program.say("version"))[-1] == "done"
        assert await program.say("clear adj-rib out") == ["done"]
        assert await program.say("show adj-rib out") == ["done"]
        assert await program.say("neighbor 127.0.0.1 teardown 4") == ["done"]
        await program.object("state", state="down")
        await program.object("state", state="up")
        assert "cease/administrative-reset" in peer.last_error


async def test_selectors_choose_neighbors(tmp_path: Path) -> None:
    async with (
        Speaker(asn=64513, router_id="10.0.0.3", listen=["[::1]:0"]) as other,
        speaker_with("127.0.0.2") as (speaker, _),
    ):
        other.add_peer(
            PeerOptions(asn=64512, address="::1", passive=True, import_policy=ACCEPT_ALL, multihop=2)
        )
        file = tmp_path / "neighbors.toml"
        file.write_text(
            f"""
            asn = 64512
            router_id = "10.0.0.2"
            [[neighbor]]
            address = "127.0.0.1"
            asn = 64512
            local_address = "127.0.0.2"
            port = {speaker.listening[0][1]}
            [[neighbor]]
            address = "::1"
            asn = 64513
            multihop = 2
            port = {other.listening[0][1]}
            """
        )
        async with shim(file) as program:
            # Announced before there is a session: it is told when there is one.
            for line in (
                "announce route 10.0.0.0/8 next-hop 192.0.2.9",
                "neighbor 127.0.0.1 announce route 10.1.0.0/16 next-hop 192.0.2.9",
                "neighbor * peer-as 64513 announce route 10.2.0.0/16 next-hop 192.0.2.9",
                "neighbor 127.0.0.1, neighbor ::1 announce route 10.3.0.0/16 next-hop 192.0.2.9",
            ):
                assert await program.say(line) == ["done"]
            assert await program.say("neighbor 127.0.0.7 withdraw route 10.0.0.0/8") == ["error"]
            await has_routes(speaker, IPV4_UNICAST, "10.0.0.0/8", "10.1.0.0/16", "10.3.0.0/16")
            await has_routes(other, IPV4_UNICAST, "10.0.0.0/8", "10.2.0.0/16", "10.3.0.0/16")
            assert str(other.best(IPV4_UNICAST)["10.0.0.0/8"].attributes.as_path[0].asns) == "(64512,)"


async def test_a_script_that_reads_nothing_is_not_locked_up() -> None:
    """All commands are taken, and the routes arrive, though nobody reads one answer."""
    async with speaker_with("127.0.0.2") as (speaker, _), shim(*arguments(speaker)) as program:
        assert program.process.stdin is not None
        for number in range(20_000):
            program.process.stdin.write(
                b"announce route 10.%d.%d.0/24 next-hop 192.0.2.9\n" % (number >> 8, number & 255)
            )
        async with asyncio.timeout(60):
            await program.process.stdin.drain()
            while sum(1 for _ in speaker.router.rib.best(IPV4_UNICAST)) < 20_000:
                await asyncio.sleep(0.05)


def test_a_program_of_its_own(tmp_path: Path) -> None:
    """As ExaBGP runs one: its output are the commands, and its input is what is printed."""
    log = tmp_path / "log"
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import sys
with open({str(log)!r}, "w") as log:
    for line in ("announce route 10.0.0.0/8 next-hop self", "nonsense"):
        print(line, flush=True)
        print(sys.stdin.readline().strip(), file=log, flush=True)
print("shutdown", flush=True)
sys.stdin.read()
"""
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bgp", "exabgp", "--asn", "64512", "--router-id", "10.0.0.2"),
            *("--neighbor", "127.0.0.9", "--port", "9", "--run", f"{sys.executable} {script}"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert log.read_text().split() == ["done", "error"]
    assert "nonsense: there is no command" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "asn: is missing; write it at the top of the file"),
        ('asn = 1\nrouter_id = "x"', "router_id: "),
        ('asn = 1\nrouter_id = "1.1.1.1"', "neighbor: there is none; add a [[neighbor]] table"),
        ('asn = 1\nrouter_id = "1.1.1.1"\nport = 1', "port: there is no such key; there are: "),
        ('asn = 1\nrouter_id = "1.1.1.1"\n[[neighbor]]', "[[neighbor]] 1, address: is missing"),
        (
            'asn = 1\nrouter_id = "1.1.1.1"\n[[neighbor]]\naddress = "::1"\nasn = "2"',
            "[[neighbor]] 1, asn: '2' is no int",
        ),
        (
            'asn = 1\nrouter_id = "1.1.1.1"\n[[neighbor]]\naddress = "::1"\nasn = 2\nfamilies = ["vpn"]',
            "[[neighbor]] 1, families: 'vpn' is none; there are: ipv4-unicast, ipv6-unicast",
        ),
        (
            'asn = 1\nrouter_id = "1.1.1.1"\n[[neighbor]]\naddress = "::1"\nasn = 2\n'
            '[[neighbor]]\naddress = "0::1"\nasn = 2',
            "[[neighbor]] 2, address: there is a neighbor 0::1 already",
        ),
        ("asn = ", "Invalid value"),
    ],
)
def test_bad_settings_name_place_and_remedy(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "file.toml"
    file.write_text(text)
    with pytest.raises(ValueError) as told:
        load(str(file))
    assert str(told.value).startswith(f"{file}: ")
    assert reason in str(told.value)


def test_all_keys_of_a_neighbor() -> None:
    neighbor = {
        "address": "192.0.2.1",
        "asn": 65001,
        "port": 1790,
        "local_as": 64513,
        "local_address": "192.0.2.2",
        "families": ["ipv6-unicast"],
        "hold_time": 30,
        "password": "secret",
        "multihop": 3,
        "add_path": True,
        "connect_retry_time": 1.5,
    }
    assert set(KEYS) - set(neighbor) == {"ttl", "minimum_ttl"}
    read = settings({"asn": 64512, "router_id": "10.0.0.1", "neighbor": [neighbor]})
    (options,) = read.neighbors
    assert options.families == (IPV6_UNICAST,)
    assert options.source_address == "192.0.2.2"
    assert list(options.add_path) == [IPV6_UNICAST]
    assert (options.local_as, options.multihop, options.hold_time) == (64513, 3, 30)


def test_why_there_is_no_session_is_said_once() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bgp", "exabgp", "--asn", "64512", "--router-id", "10.0.0.2"),
            *("--neighbor", "127.0.0.9", "--port", "9"),
            *("--run", f"{sys.executable} -c 'import time; time.sleep(4)'"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0
    assert done.stderr == "127.0.0.9: tcp connection fails: cannot connect: Connection refused\n"


def test_the_command_line_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bgp", "exabgp", "--asn", "1"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert "--router-id is missing; give it, or a file" in done.stderr
