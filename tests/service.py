"""A running service with two clients on loopback, and questions to it from another thread."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bgp import PeerOptions, Speaker
from reflector.app import Service
from reflector.configuration.config import loads
from reflector.control.client import Unanswered, ask
from reflector.control.protocol import line

ROOT = Path(__file__).parent.parent
ASN = 64512
CONFIGURATION = """\
[router]
asn = 64512
router_id = "192.0.2.100"
listen = ["127.0.0.1:0"]

[control]
socket = "SOCKET"
birdc = "SOCKET.birdc"

[group.nodes]
client = true
import = "no-tests"

[[listen_range]]
prefix = "127.0.0.0/8"
group = "nodes"

[prefix_list.tests]
entries = ["198.18.0.0/15 le 32"]

[policy.no-tests]
default = "accept"
[[policy.no-tests.term]]
name = "tests"
match = {prefix = "tests"}
then = "refuse"

[[network]]
prefix = "198.51.100.0/24"
next_hop = "192.0.2.7"
communities = ["64512:7"]
"""


class Cluster:
    """A service, two of its clients, and questions to it from another thread."""

    def __init__(self, service: Service, clients: list[Speaker], path: Path, text: str = "") -> None:
        self.text = text
        self.service = service
        self.clients = clients
        self.path = path

    async def ask(self, question: str, **given: object) -> list[dict[str, Any]]:
        return await asyncio.to_thread(lambda: list(ask(self.path, question, given)))

    async def talk(self, question: str, given: dict[str, object]) -> str:
        """Return the lines that the socket answers."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(line({"ask": question, "with": given}))
        writer.write_eof()
        octets = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return octets.decode()

    async def until(self, question: str, wanted: int, **given: object) -> list[dict[str, Any]]:
        """Ask until there are so many rows."""
        async with asyncio.timeout(20):
            while len(rows := await self.ask(question, **given)) != wanted:
                await asyncio.sleep(0.02)
        return rows

    async def announce_many(self, count: int) -> None:
        """Have the first client announce so many routes out of 11.0.0.0/8, and wait until they are there."""
        before = self.service.speaker.router.rib.routes
        async with self.clients[0].transaction():
            for number in range(count):
                self.clients[0].announce(f"11.{number >> 8}.{number & 255}.0/24", next_hop="10.0.0.1")
        async with asyncio.timeout(60):
            while self.service.speaker.router.rib.routes < before + count:
                await asyncio.sleep(0.02)

    async def refusal(self, question: str, **given: object) -> str:
        with pytest.raises(Unanswered) as caught:
            await self.ask(question, **given)
        return str(caught.value)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "reflector", *arguments, "--socket", str(self.path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )


class Turns:
    """How many turns the running loop makes, within `with`."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Turns":
        self._task = asyncio.create_task(self._run())
        return self

    def __exit__(self, *_: object) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


@asynccontextmanager
async def running(directory: Path, further: str = "") -> AsyncIterator[Cluster]:
    path = directory / "run" / "rr"  # with ".birdc" behind it, 107 octets at most
    text = CONFIGURATION.replace("SOCKET", str(path)) + further
    service = Service(loads(text), file="rr.toml", control=True)
    await service.start()
    clients = []
    try:
        port = service.speaker.listening[0][1]
        for number in (1, 2):
            client = Speaker(asn=ASN, router_id=f"10.0.0.{number}")
            clients.append(client)
            await client.start()
            peer = client.add_peer(
                PeerOptions(asn=ASN, address="127.0.0.1", port=port, source_address=f"127.0.0.{10 + number}")
            )
            await asyncio.wait_for(peer.established(), 20)
            client.announce(f"10.{number}.0.0/16", next_hop=f"10.0.0.{number}", med=number)
        clients[0].announce("198.18.1.0/24", next_hop="10.0.0.1", communities=["64512:1"])
        cluster = Cluster(service, clients, path, text)
        await cluster.until("routes", 4, family="ipv4")
        yield cluster
    finally:
        for client in clients:
            await client.stop()
        await service.stop("done")
