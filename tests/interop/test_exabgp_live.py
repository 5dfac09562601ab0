"""ExaBGP and what stands in for it: the same commands to both, the same UPDATEs at a third peer, and back.

Both dial the third peer, which is the test itself, from addresses of the loopback interface.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import daemons
import pytest

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import MessageType
from bgp.wire import aspath
from bgp.wire import prefix as nlri
from bgp.wire.attributes import AttributeTable
from bgp.wire.capability import Capabilities
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.framing import Framer
from bgp.wire.message import Keepalive, Notification, Open, RouteRefresh, encode
from bgp.wire.update import Decoder

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 30.0
ASN = 65001
SOURCES = {"exabgp": "127.0.0.8", "shim": "127.0.0.9"}

COMMANDS = """\
announce route 198.51.100.0/24 next-hop self
announce route 198.51.101.0/24 next-hop 192.0.2.9 origin egp as-path [ 65009 65010 ] med 7 \
local-preference 300 community [ 65000:1 no-export ] large-community [ 65000:1:2 ] extended-community \
[ target:65000:1 origin:65000:5 ] atomic-aggregate aggregator ( 65009:1.2.3.4 ) originator-id 1.1.1.1 \
cluster-list [ 2.2.2.2 3.3.3.3 ]
announce route 2001:db8:1::/48 next-hop 2001:db8::9 med 4294967295
announce attributes next-hop 192.0.2.9 med 5 nlri 198.51.103.0/24 198.51.104.0/24
announce route 198.51.106.0/23 next-hop 192.0.2.9 split /24
announce route 198.51.105.0/24 next-hop 192.0.2.9
neighbor 127.0.0.1 announce route 198.51.108.0/24 next-hop 192.0.2.9
neighbor 127.0.0.77 announce route 198.51.109.0/24 next-hop 192.0.2.9
announce route bogus
nonsense
withdraw route 198.51.105.0/24
withdraw route 198.51.104.0/24 next-hop 192.0.2.9
announce route 198.51.103.0/24 next-hop 192.0.2.10
# a comment
announce route-refresh ipv4 unicast
announce eor ipv4 unicast
""".splitlines()

# Gives the commands one by one, and keeps the answers and what else is printed.
SCRIPT = """
import os, sys, time
commands, log = sys.argv[1:]
with open(log, "w", buffering=1) as out:
    def line():
        text = sys.stdin.readline()
        if not text:
            sys.exit()
        out.write(text)
        return text
    while '"up"' not in line():
        pass
    for command in open(commands):
        print(command, end="", flush=True)
        while (text := line().strip()) not in ("done", "error"):
            pass
    while True:
        line()
"""


class Third:
    """The peer that both dial: it notes what it is told by each, and tells both the same octets."""

    def __init__(self) -> None:
        self.told: dict[str, dict[str, str]] = {}
        self.refreshes: list[str] = []
        self.writers: dict[str, asyncio.StreamWriter] = {}
        self.changed = asyncio.Event()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = writer.get_extra_info("peername")[0]
        name = next(name for name, address in SOURCES.items() if address == source)
        families = ((1, 1), (2, 1))
        capabilities = Capabilities(families=families, four_octet_as=ASN, route_refresh=True)
        writer.write(encode(Open(ASN, 90, 0x0A000001, capabilities.encode())) + encode(Keepalive()))
        framer, held = Framer(), self.told.setdefault(name, {})
        context = Context(internal=True, families=frozenset((IPV4_UNICAST, IPV6_UNICAST)))
        decoder = Decoder(context, AttributeTable())
        self.writers[name] = writer
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                framer.feed(data)
                while (message := framer.next()) is not None:
                    type_, body = message
                    if type_ == MessageType.ROUTE_REFRESH:
                        self.refreshes.append(name)
                    if type_ == MessageType.UPDATE:
                        # What is faulty of itself, such as a next hop on loopback, is compared as well.
                        update = decoder.decode(body)
                        for family, prefixes, _ in update.withdrawn:
                            for prefix in prefixes:
                                if update.faults:
                                    held[nlri.text(family, prefix)] = str(update.outcome)
                                else:
                                    held.pop(nlri.text(family, prefix), None)
                        for reach in update.announced:
                            for prefix in reach.prefixes:
                                held[nlri.text(reach.family, prefix)] = repr(reach.attributes)
                self.changed.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.5)

    def tell(self, *messages: bytes) -> None:
        for writer in self.writers.values():
            writer.write(b"".join(messages))


def news() -> list[bytes]:
    """UPDATEs with all that the JSON has a key for."""
    table, encoder = AttributeTable(), Encoder()
    attributes = table.build(
        [
            (0x40, 1, b"\x01"),
            (0x40, 2, aspath.encode(aspath.parse_text("65001 65100"))),
            (0x80, 4, (9).to_bytes(4, "big")),
            (0x40, 5, (200).to_bytes(4, "big")),
            (0x40, 6, b""),
            (0xC0, 7, (65001).to_bytes(4, "big") + bytes((1, 2, 3, 4))),
            (0xC0, 8, bytes.fromhex("fde80001ffffff01")),
            (0x80, 9, bytes((10, 0, 0, 7))),
            (0x80, 10, bytes((10, 0, 0, 8, 10, 0, 0, 6))),
            (0xC0, 16, bytes.fromhex("0002fde8000000010102010203040005")),
            (0xC0, 32, bytes.fromhex("0000fde80000000100000002")),
            (0xC0, 99, b"\x01\x02"),
        ]
    )

    def octets(text: str) -> bytes:
        return nlri.parse(text)[1]

    four, six = octets("203.0.113.0/24"), octets("2001:db8:9::/48")
    return [
        *encoder.announce(IPV4_UNICAST, attributes.octets, bytes((192, 0, 2, 1)), [four])[0],
        *encoder.announce(
            IPV6_UNICAST, attributes.octets, bytes.fromhex("20010db8000000000000000000000001"), [six]
        )[0],
        *encoder.withdraw(IPV4_UNICAST, [four]),
        *encoder.withdraw(IPV6_UNICAST, [six]),
        encoder.end_of_rib(IPV4_UNICAST),
        encode(RouteRefresh(1, 1)),
        encode(Notification(6, 2, b"\x05hello")),
    ]


@contextlib.asynccontextmanager
async def process(argv: list[str], environment: dict[str, str], cwd: Path) -> AsyncIterator[None]:
    started = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.terminate()
        try:
            await asyncio.wait_for(started.wait(), 10)
        except TimeoutError:
            started.kill()


def read(log: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the answers and the objects that were printed, but for a line that is still being written."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    answers = [line for line in lines if line in ("done", "error")]
    objects = [line for line in lines if line.startswith("{")]
    # ExaBGP 4.2 doubles the quotation marks of a refresh.
    return answers, [json.loads(re.sub(r'""(\w+)""', r'"\1"', line)) for line in objects]


def shape(value: object) -> object:
    """Return the keys of an object, however deep, without what differs by its nature from run to run."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


def by_kind(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return an object of each kind; UPDATEs by what is in them."""
    found = {}
    for each in objects:
        neighbor = each.get("neighbor", {})
        message = neighbor.get("message", {})
        update = message.get("update", {})
        parts = (
            neighbor.get("state", ""),
            *message,
            *update,
            *update.get("announce", ()),
            *update.get("withdraw", ()),
        )
        found.setdefault(" ".join((each["type"], *parts)), each)
    return found


@pytest.mark.interop("exabgp")
async def test_the_same_commands_the_same_routes_and_the_same_keys(tmp_path: Path) -> None:
    program = daemons.find("exabgp")
    assert program is not None
    third = Third()
    server = await asyncio.start_server(third.meet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "commands").write_text("\n".join(COMMANDS) + "\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    runs = {
        name: f"{sys.executable} {tmp_path}/script.py {tmp_path}/commands {tmp_path}/{name}.log"
        for name in SOURCES
    }
    (tmp_path / "exabgp.conf").write_text(
        f"""process script {{ run {runs["exabgp"]}; encoder json; }}
neighbor 127.0.0.1 {{
  router-id 10.0.0.8; local-address {SOURCES["exabgp"]}; local-as {ASN}; peer-as {ASN}; connect {port};
  family {{ ipv4 unicast; ipv6 unicast; }}
  capability {{ route-refresh enable; add-path disable; }}
  api {{ processes [ script ]; neighbor-changes; receive {{ parsed; update; open; notification; refresh; }} }}
}}
"""
    )
    environment = {
        **program.environment,
        "exabgp.daemon.drop": "false",
        "exabgp.daemon.user": "root",
        "exabgp.log.destination": "stdout",
    }
    shim = [
        *(sys.executable, "-m", "bgp", "exabgp", "--asn", str(ASN), "--router-id", "10.0.0.9"),
        *("--neighbor", "127.0.0.1", "--port", str(port), "--local-address", SOURCES["shim"]),
        *("--run", runs["shim"]),
    ]
    logs = {name: tmp_path / f"{name}.log" for name in SOURCES}

    def has(kind: str) -> bool:
        return all(any(kind in each for each in by_kind(read(log)[1])) for log in logs.values())

    async with (
        server,
        process([*program.argv, str(tmp_path / "exabgp.conf")], environment, tmp_path),
        process(shim, {"PYTHONPATH": str(ROOT)}, tmp_path),
    ):
        await third.until(lambda: all(len(read(log)[0]) == len(COMMANDS) for log in logs.values()))
        await third.until(lambda: set(third.refreshes) == set(SOURCES))
        held = third.told
        await third.until(lambda: held["exabgp"].keys() == held["shim"].keys())
        third.tell(*news())
        await third.until(lambda: has("state down"))

    answers = {name: read(log)[0][: len(COMMANDS)] for name, log in logs.items()}
    assert answers["shim"] == answers["exabgp"]
    assert answers["shim"].count("error") == 3
    assert third.told["shim"] == third.told["exabgp"]
    assert len(third.told["shim"]) == 7

    theirs, ours = (by_kind(read(logs[name])[1]) for name in ("exabgp", "shim"))
    wanted = {kind for kind in theirs if not kind.startswith(("keepalive", "notification"))}
    assert wanted - ours.keys() == set()
    for kind in sorted(wanted):
        for each in (theirs[kind], ours[kind]):
            about = each.get("neighbor", {})
            # Version 4 has no router-id there, and a plain list for the path.
            about.pop("router-id", None)
            about.get("message", {}).get("update", {}).get("attribute", {}).pop("as-path", None)
            about.get("message", {}).get("update", {}).get("attribute", {}).pop("confederation-path", None)
        assert shape(ours[kind]) == shape(theirs[kind]), kind
        if kind.startswith("update"):
            assert ours[kind]["neighbor"]["message"] == theirs[kind]["neighbor"]["message"]
