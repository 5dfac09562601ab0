"""A bug of ours strikes anywhere: it ends one session, is counted, and all others hold what they should.

`python tests/containment.py` tries every call, where these are one in so many.
"""

import struct

import containment
import pytest

from bgp.family import IPV4_UNICAST
from bgp.iana import CeaseSubcode, ErrorCode
from bgp.session.action import Close, Down
from bgp.session.config import SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import Event, State
from bgp.testing.hostile import words
from bgp.wire.attributes import AttributeTable
from bgp.wire.message import Notification, encode

# A bug in a generator that is thrown away is nobody's.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
_STEP = 47


def test_the_story_holds_without_a_bug() -> None:
    assert containment.trial(1 << 40) == ("", [], 0)


@pytest.mark.parametrize("part", range(4))
def test_a_bug_in_the_router_ends_one_session_at_most(part: int, caplog: pytest.LogCaptureFixture) -> None:
    tried = 0
    for at in range(part * _STEP // 4, containment.calls(), _STEP):
        where, struck, failures = containment.trial(at)
        assert len(struck) + failures <= 2, f"call {at}, {where}: {struck} struck, {failures} failures"
        tried += 1
    assert tried > 50


def _speak(connection: Connection, octets: bytes) -> list[object]:
    found: list[object] = list(connection.receive(octets, 1.0))
    while connection.more:
        found += connection.receive(b"", 1.0)
    return found


def test_a_bug_in_a_connection_ends_it_with_a_cease_and_is_kept() -> None:
    """Wherever it strikes while octets are received: nothing is raised, and what led to it is kept."""
    path = struct.pack("!BBI", 2, 1, 64512)
    update = words.update(words.attributes(0x0B000001, 1, path), words.prefix(1), words.prefix(2))
    said = (
        words.an_open(0x0A000002),
        words.KEEPALIVE,
        update,
        update + words.update(words.attributes(0x0B000001, 1) + b"\xff", words.prefix(1)),
        words.REFRESH,
        encode(Notification(6, 2)),
    )
    config = SessionConfig(
        local_as=words.ASN, identifier=0x0A000001, peer_as=words.ASN, families=(IPV4_UNICAST,)
    )
    at, met, escaped = 0, set(), set()
    while True:
        connection = Connection(config, AttributeTable(), incoming=True, rng=lambda: 0.5)
        connection.handle(Event.TCP_CONNECTION_CONFIRMED, 0.0)
        connection.outgoing()
        found: list[object] = []
        with containment.bug(at, ("bgp/session/", "bgp/wire/")) as calls:
            try:
                for octets in said:
                    found += _speak(connection, octets)
            except containment.Injected as injected:
                # The link that has the connection contains this.
                escaped.add(str(injected))
        at += 1
        if len(calls) < at:
            break
        if connection.crash is None:
            continue
        out = connection.outgoing()
        (down,) = [each for each in found if isinstance(each, Down)]
        assert connection.crashes == 1 and isinstance(connection.crash.error, containment.Injected)
        assert "internal error" in down.text or down.received is not None
        assert connection.state == State.IDLE
        assert any(isinstance(each, Close) for each in out)
        if down.sent is not None:
            assert (down.sent.code, down.sent.subcode) == (ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)
        met.add(connection.crash.state)
    assert {State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED} <= met
    assert at > 200
    around = {"receive", "_connected", "_heard", "negotiated", "arm", "state", "delaying"}
    assert {name.partition(":")[2] for name in escaped} <= around, (
        "only what is done before and behind octets"
    )
