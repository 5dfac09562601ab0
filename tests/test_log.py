"""The log of the service: one line for each event of a session, and no line twice for nothing."""

import asyncio
import logging
import re
import socket
from typing import Any

from bgp import PeerEvent, PeerOptions, Speaker
from reflector.logs.log import SessionLog, fields

TIMEOUT = 10


class Lines:
    """What a `SessionLog` would write, and a way to wait for it."""

    def __init__(self) -> None:
        self.log = SessionLog()
        self.lines: list[tuple[int, str]] = []
        self.fields: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    def __call__(self, event: PeerEvent) -> None:
        line = self.log.line(event)
        if line is not None:
            self.lines.append(line)
            self.fields.append(fields(event))
            self._more.set()

    async def until(self, pattern: str, count: int = 1) -> None:
        async with asyncio.timeout(TIMEOUT):
            while sum(re.search(pattern, text) is not None for _, text in self.lines) < count:
                self._more.clear()
                await self._more.wait()

    def levels(self, pattern: str) -> list[int]:
        return [level for level, text in self.lines if re.search(pattern, text)]


async def test_a_session_from_beginning_to_end() -> None:
    lines = Lines()
    async with Speaker(asn=64512, router_id="192.0.2.1", listen=["127.0.0.1:0"], on_event=lines) as here:
        ((address, port),) = here.listening
        here.add_listen_range("127.0.0.0/8", PeerOptions(asn=64512, client=True))
        async with Speaker(asn=64512, router_id="10.0.0.1") as there:
            options = PeerOptions(asn=64512, address=address, port=port, source_address="127.0.0.7")
            peer = there.add_peer(options)
            await peer.established()
            await lines.until("Established")
            await there.stop("good night")
        await lines.until("removed")
    assert lines.lines[0] == (logging.DEBUG, "127.0.0.7: added")
    (established,) = [text for _, text in lines.lines if ": Established" in text]
    assert established.startswith(
        "127.0.0.7: Established, internal AS 64512, identifier 10.0.0.1, hold time 90 s, ipv4-unicast"
    )
    assert lines.levels("Established,") == [logging.INFO]
    assert lines.levels("connection ended in Established: .*cease/.*: good night$") == [logging.INFO]
    (up,) = [each for each in lines.fields if each["event"] == "established"]
    assert up == {
        "event": "established",
        "peer": "127.0.0.7",
        "address": "127.0.0.7",
        "asn": 64512,
        "state": "Established",
        "kind": "internal",
        "identifier": "10.0.0.1",
        "hold_time": 90,
        "families": ["ipv4-unicast"],
    }
    (down,) = [each for each in lines.fields if each["event"] == "ended"]
    assert down.pop("reason").endswith("good night")
    assert down == {
        "event": "ended",
        "peer": "127.0.0.7",
        "address": "127.0.0.7",
        "state": "Established",
        "code": 6,
        "subcode": 2,
        "error": "cease/administrative-shutdown",
        "notification": "received",
        "communication": "good night",
        "hard_reset": True,
        "rfc": "RFC 8538 3",
        "asn": 64512,
    }


async def test_a_peer_that_cannot_be_reached_is_told_once() -> None:
    lines = Lines()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        port = closed.getsockname()[1]
        async with Speaker(asn=64512, router_id="192.0.2.1", on_event=lines) as here:
            here.add_peer(
                PeerOptions(
                    asn=64512,
                    address="127.0.0.1",
                    port=port,
                    connect_retry_time=0.01,
                    idle_hold_time=0.01,
                    damp_peer_oscillations=False,
                )
            )
            await lines.until("no connection yet: .*Connection refused", count=3)
    assert lines.lines[0] == (logging.INFO, "127.0.0.1: added")
    levels = lines.levels("no connection yet")
    assert levels[0] == logging.INFO
    assert set(levels[1:]) == {logging.DEBUG}
