"""No report holds up the loop, however much there is, by a clock that counts the calls which Python makes."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from endurance import million, sets

from bgp.iana import HEADER_LENGTH
from bgp.wire.update import Decoder
from reflector.app import Service
from reflector.configuration.config import loads
from reflector.control.lines import LineServer
from reflector.control.protocol import line
from reflector.control.server import ControlTalk

PEERS, ROUTES = 1500, 6000
# Calls that one step of the loop may take at most, and what a call is in seconds.
MOST, CALL = 20_000, 1e-6
HEAD = """\
[router]
asn = 65000
router_id = "10.0.0.1"

[group.nodes]
asn = 65000
client = true
passive = true
"""
ASKED: tuple[tuple[str, dict[str, object]], ...] = (
    ("status", {}),
    ("neighbors", {}),
    ("neighbors", {"name": "none of them"}),
    ("groups", {}),
    ("memory", {}),
    ("routes", {}),
    ("routes", {"prefix": "10.0.0.0/8", "longer": True}),
    ("routes", {"community": "65000:9"}),
)


class Clock:
    """Counts calls, as seconds."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self, frame: object, event: str, argument: object) -> None:
        self.calls += 1

    def time(self) -> float:
        return self.calls * CALL


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    before = sys.getprofile()
    yield clock
    sys.setprofile(before)


def test_each_step_of_a_report_is_short(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio's debug mode names what takes long by this clock: nothing does but for what is meant to."""

    async def ask(path: Path, question: str, given: dict[str, object]) -> int:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 22)
        writer.write(line({"ask": question, "with": given}))
        rows = 0
        while b'"end"' not in (said := await reader.readline()):
            assert b'"row"' in said
            rows += 1
        writer.close()
        return rows

    async def asked() -> dict[str, int]:
        neighbors = "".join(
            f'[[neighbor]]\naddress = "10.1.{at >> 8}.{at & 255}"\ngroup = "nodes"\n' for at in range(PEERS)
        )
        service = Service(loads(HEAD + neighbors))
        service.prepare()
        feeder = sets._member(service.speaker.router, "feeder", 2)
        router = service.speaker.router
        decoder = Decoder(feeder.negotiated.context(), router.table)
        for first in range(0, ROUTES, 6):
            router.update(feeder, decoder.decode(million.update(first, 6)[HEADER_LENGTH:]))
        router.flush(0.0)
        server = LineServer(tmp_path / "socket", 0o600, lambda: ControlTalk(service), "")
        await server.start()
        loop = asyncio.get_running_loop()
        loop.time = clock.time  # type: ignore[method-assign]
        loop.slow_callback_duration = MOST * CALL
        loop.set_debug(True)
        sys.setprofile(clock.count)
        found = {}
        for question, given in ASKED:
            before = clock.calls
            rows = await ask(tmp_path / "socket", question, given)
            found[f"{question} {given}"] = rows
            assert question != "routes" or given or clock.calls - before > 5 * MOST, "else it shows nothing"
        sys.setprofile(None)
        loop.set_debug(False)
        await server.stop()
        return found

    with caplog.at_level(logging.WARNING, "asyncio"):
        found = asyncio.run(asked())
    assert found["neighbors {}"] == PEERS and found["routes {}"] == ROUTES
    assert not [each.getMessage() for each in caplog.records if "took" in each.getMessage()]
