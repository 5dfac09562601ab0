"""Each program of the examples does what it says, with a real speaker on loopback at its other end."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rawpeer import BOTH, RawPeer, has_routes, peer_state

from bgp import (
    ACCEPT_ALL,
    IPV4_UNICAST,
    IPV6_UNICAST,
    AsExpected,
    Attributes,
    AttributeTable,
    Encoder,
    PeerOptions,
    Speaker,
    State,
)
from bgp.iana import MessageType
from bgp.wire.framing import frame

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
TIMEOUT = 20.0
LINES = 60
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


class Program:
    """An example that runs."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, start: str) -> str:
        """Return the next line that begins so."""
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            while octets := await self.process.stdout.readline():
                self.lines.append(octets.decode().rstrip("\n"))
                if self.lines[-1].startswith(start):
                    return self.lines[-1]
        assert self.process.stderr is not None
        raise AssertionError((self.lines, (await self.process.stderr.read()).decode()))

    async def end(self, number: signal.Signals | None = None, given: str | None = None) -> list[str]:
        """Return the lines that are left when it has ended well, by a signal if there is one."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(TIMEOUT):
            told, errors = await self.process.communicate(None if given is None else given.encode())
        assert (self.process.returncode, errors.decode()) == (0, "")
        return told.decode().splitlines()


@contextlib.asynccontextmanager
async def running(name: str, *arguments: object) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def speaker_for(asn: int, **options: object) -> AsyncIterator[tuple[Speaker, int]]:
    """A speaker on loopback that takes whoever connects, with its port."""
    async with Speaker(asn=asn, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        taken = PeerOptions(asn=AsExpected.ANY, export_policy=ACCEPT_ALL, import_policy=ACCEPT_ALL, **options)  # type: ignore[arg-type]
        speaker.add_listen_range("127.0.0.0/8", taken)
        yield speaker, speaker.listening[0][1]


async def has_peer(speaker: Speaker) -> None:
    """Wait until somebody has a session."""
    with speaker.events() as events:
        async with asyncio.timeout(TIMEOUT):
            while not any(peer.state is State.ESTABLISHED for peer in speaker.peers):
                await anext(events)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_examples_are_short_and_say_what_they_are(program: Path) -> None:
    text = program.read_text()
    assert text.startswith('"""')
    assert len(text.splitlines()) < LINES


def test_no_example_is_without_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    for program in PROGRAMS:
        assert f'"{program.stem}"' in tests or f'"{program.name}"' in tests, program


async def test_announce() -> None:
    async with speaker_for(64512) as (speaker, port), running("announce", "127.0.0.1", port) as program:
        speaker.announce("198.51.100.0/24", next_hop="192.0.2.1")
        await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24", "203.0.113.0/24")
        path = speaker.best(IPV4_UNICAST)["203.0.113.0/24"]
        assert path.attributes.communities == (64512 << 16 | 100,)
        assert path.attributes.next_hop == bytes((192, 0, 2, 2))
        printed = await program.end()
        assert sorted(line.split()[0] for line in printed) == ["198.51.100.0/24", "203.0.113.0/24"]
        await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24")


async def test_listen() -> None:
    async with running("listen", 64512, "127.0.0.1:0", "127.0.0.0/8") as program:
        port = int((await program.line("listening on ")).split()[-1])
        async with Speaker(asn=64512, router_id="10.0.0.1") as speaker:
            peer = speaker.add_peer(
                PeerOptions(
                    asn=64512, address="127.0.0.1", port=port, source_address="127.0.0.7", families=BOTH
                )
            )
            await peer_state(speaker, peer, State.ESTABLISHED)
            assert await program.line("127.0.0.7 Est") == "127.0.0.7 Established"
            speaker.announce("198.51.100.0/24", next_hop="192.0.2.1")
            assert await program.line("+") == "+ 198.51.100.0/24 from 127.0.0.7"
            speaker.announce("198.51.100.0/24", next_hop="192.0.2.1", med=1)
            assert await program.line("~") == "~ 198.51.100.0/24 from 127.0.0.7"
            speaker.announce("2001:db8:1::/48", next_hop="2001:db8::1")
            assert await program.line("+") == "+ 2001:db8:1::/48 from 127.0.0.7"
            speaker.withdraw("198.51.100.0/24")
            assert await program.line("-") == "- 198.51.100.0/24 withdrawn"
            await speaker.remove_peer(peer, "gone fishing")
        assert "gone fishing" in await program.line("127.0.0.7 received")
        assert await program.end(signal.SIGINT) == ["127.0.0.7 Idle", "stopped"]


async def test_reflect() -> None:
    async with (
        running("reflect", 64512, "127.0.0.1:0", "127.0.0.0/8") as program,
        Speaker(asn=64512, router_id="10.0.0.1") as first,
        Speaker(asn=64512, router_id="10.0.0.2") as second,
    ):
        port = int((await program.line("listening on ")).split()[-1])
        for speaker, source in ((first, "127.0.0.7"), (second, "127.0.0.8")):
            options = PeerOptions(asn=64512, address="127.0.0.1", port=port, source_address=source)
            peer = speaker.add_peer(options)
            await peer_state(speaker, peer, State.ESTABLISHED)
            assert await program.line(source) == f"{source} has come"
        first.announce("198.51.100.0/24", next_hop="192.0.2.1")
        await has_routes(second, IPV4_UNICAST, "198.51.100.0/24")
        attributes = second.best(IPV4_UNICAST)["198.51.100.0/24"].attributes
        assert attributes.originator_id == bytes((10, 0, 0, 1))
        assert attributes.cluster_list == bytes((192, 0, 2, 100))
        printed = await program.end(signal.SIGTERM)
        assert printed[0] == "198.51.100.0/24 is best from 127.0.0.7"
        await has_routes(second, IPV4_UNICAST)
        assert "maintenance, back in ten minutes" in peer.last_error


async def test_healthcheck() -> None:
    """A service comes up, is lost, and the route goes with it; the program ends, and so does its session."""

    async def serve(port: int = 0) -> asyncio.Server:
        return await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)

    service = await serve()
    number = service.sockets[0].getsockname()[1]
    arguments = ("127.0.0.1", "203.0.113.53/32", number)
    async with (
        speaker_for(64512) as (speaker, port),
        running("healthcheck", arguments[0], port, *arguments[1:]) as program,
    ):
        assert await program.line("ann") == "announced 203.0.113.53/32"
        await has_routes(speaker, IPV4_UNICAST, "203.0.113.53/32")
        assert speaker.best(IPV4_UNICAST)["203.0.113.53/32"].attributes.communities == (64512 << 16 | 53,)
        service.close()
        await service.wait_closed()
        assert (await program.line("with")).startswith("withdrawn 203.0.113.53/32 - ConnectionRefusedError")
        await has_routes(speaker, IPV4_UNICAST)
        service = await serve(number)
        assert await program.line("ann") == "announced 203.0.113.53/32"
        program.process.send_signal(signal.SIGINT)
        await has_routes(speaker, IPV4_UNICAST)
        service.close()


async def test_sansio() -> None:
    async with speaker_for(64512) as (speaker, port):
        speaker.announce("198.51.100.0/24", next_hop="192.0.2.1", med=7)
        async with running("sansio", "127.0.0.1", port, 3) as program:
            assert await program.line("est") == "established with AS 64512"
            assert (await program.line("ann")).startswith("announced 198.51.100.0/24 <Attributes ")
            speaker.withdraw("198.51.100.0/24")
            assert await program.line("with") == "withdrawn 198.51.100.0/24"
            (peer,) = speaker.peers
            (last,) = await program.end()
            assert last.startswith("down: sent cease/") and "cease/administrative-shutdown" in last
            assert last.endswith(": the time is over")
            assert "cease/" in peer.last_error


async def test_decode() -> None:
    """What a speaker really sends is fed to it, and a message with a fault."""
    async with Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        speaker.add_listen_range("127.0.0.0/8", PeerOptions(asn=65000, families=BOTH))
        speaker.announce("198.51.100.0/24", next_hop="192.0.2.1", local_pref=300)
        speaker.announce("2001:db8:1::/48", next_hop="2001:db8::1")
        async with await RawPeer.dial(speaker) as peer:
            await peer.establish()
            octets = [
                frame(MessageType.UPDATE, await peer.expect(MessageType.UPDATE)).hex() for _ in range(4)
            ]
    table = AttributeTable()
    faulty: Attributes = table.build([(0x40, 1, b"\x07"), (0x40, 2, b""), (0x40, 5, bytes(4))])
    (bad,), _ = Encoder().announce(IPV4_UNICAST, faulty.octets, bytes((192, 0, 2, 1)), [b"\x08\x0a"])
    async with running("decode") as program:
        printed = await program.end(given="\n".join([*octets, bad.hex(), "00" * 19, ""]))
    assert "announced 198.51.100.0/24" in printed
    at = printed.index("announced 198.51.100.0/24")
    assert printed[at + 1 : at + 3] == ["  next hop 192.0.2.1", "  origin 0 local_pref 300"]
    assert "announced 2001:db8:1::/48" in printed
    assert {f"End-of-RIB of {family}" for family in (IPV4_UNICAST, IPV6_UNICAST)} <= set(printed)
    assert "withdrawn 10.0.0.0/8" in printed
    assert any(line.startswith("fault: ") and "ORIGIN" in line for line in printed)
    assert printed[-1].startswith("a receiver ends the session (1/1): ")


async def test_simulate(tmp_path: Path) -> None:
    """The same as with thousands of nodes, which takes its time."""
    async with running("simulate", 12, 4, tmp_path / "routes.svg") as program:
        printed = await program.end()
    assert [line.split(":")[0] for line in printed] == ["all start", "rr0 loses its power", "rr0 is back"]
    assert "<svg" in (tmp_path / "routes.svg").read_text()
    async with running("simulate", 3, 2) as program:
        printed = await program.end()
    assert len(printed) == 3 + 25 and printed[-1].endswith(" 27") and "####" in printed[-1]


async def test_policy() -> None:
    here = {IPV4_UNICAST: bytes((192, 0, 2, 7))}  # 127.0.0.1 is nobody's next hop
    async with speaker_for(64500, next_hops=here) as (speaker, port):
        for prefix, communities in (
            ("10.1.0.0/16", []),
            ("198.51.100.0/24", [64500 << 16 | 50]),
            ("198.51.100.128/25", []),
            ("203.0.113.0/24", []),
        ):
            speaker.announce(prefix, communities=communities)
        async with running("policy", "127.0.0.1", port, 64500) as program:
            await has_peer(speaker)
            printed = await program.end()
    split = (line.split(" ", 2) for line in printed)
    verdicts = {line[0]: " ".join(line[1:]) for line in split if line[1] in ("accepted,", "refused:")}
    assert verdicts["198.51.100.0/24"] == f"accepted, LOCAL_PREF 50 ({64500 << 16 | 50}, {64512 << 16 | 1})"
    assert verdicts["203.0.113.0/24"] == f"accepted, LOCAL_PREF None ({64512 << 16 | 1},)"
    assert '"no-bogons"' in verdicts["10.1.0.0/16"]
    assert '"too-long"' in verdicts["198.51.100.128/25"]
