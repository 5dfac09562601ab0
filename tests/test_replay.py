"""Sessions that are recorded come out the same again, octet by octet; a difference is found where it is."""

import asyncio
import io
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rawpeer import RawPeer, an_open, has_routes, peer_state

import fuzz.targets.connection as program
from bgp.aio.options import PeerOptions
from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import AddPathMode, CapabilityCode, MessageType, Role
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.connection import Connection
from bgp.session.event import State
from bgp.speaker import Speaker
from bgp.testing.__main__ import main
from bgp.testing.record import Recorder, config_of, plain, recorded
from bgp.testing.replay import Unreadable, replay
from bgp.wire.attributes import attribute
from bgp.wire.capability import Fqdn
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, Notification, RouteRefresh, encode

ATTRIBUTES = (
    attribute(0x40, 1, b"\0") + attribute(0x40, 2, b"") + attribute(0x40, 3, bytes.fromhex("c0000201"))
)
ROUTE = bytes.fromhex("18 c63364")


def update(attributes: bytes, nlri: bytes = ROUTE) -> bytes:
    return frame(MessageType.UPDATE, bytes(2) + len(attributes).to_bytes(2, "big") + attributes + nlri)


GOOD = update(ATTRIBUTES + attribute(0x40, 5, bytes(4)))
SOFT = update(attribute(0x40, 1, b"\7") + ATTRIBUTES[4:] + attribute(0x40, 5, bytes(4)))
BAD = update(ATTRIBUTES, b"\x21" + bytes(5))


async def lived(directory: Path) -> Recorder:
    """Live through sessions with routes, a refresh each way, faults of both kinds and a hold timer."""
    recorder = Recorder(directory)
    speaker = Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"], connections=recorder)
    async with speaker:
        peer = speaker.add_peer(
            PeerOptions(address="127.0.0.2", asn=65000, passive=True, families=FAMILIES, idle_hold_time=0.1)
        )
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            await raw.send(GOOD[:7])
            await raw.send(GOOD[7:], Keepalive(), encode(RouteRefresh(1, 1)))
            await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24")
            peer.request_refresh(IPV4_UNICAST)
            await raw.expect(MessageType.ROUTE_REFRESH)
            await raw.send(SOFT)
            await has_routes(speaker, IPV4_UNICAST)
            await raw.send(GOOD + BAD)
            assert (await raw.notification()).code == 3
        await peer_state(speaker, peer, State.ACTIVE)
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish(an_open(hold_time=3))
            assert (await raw.notification()).code == 4  # the hold timer's
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            await raw.send(Notification(6, 2, b"\3bye"))
            await raw.rest()
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            peer.stop("that is all")
            assert (await raw.notification()).code == 6
        peer.start()
        async with await RawPeer.dial(speaker) as raw:
            await raw.send(an_open(asn=65009))
            await raw.expect(MessageType.OPEN)
            assert (await raw.notification()).code == 2
    return recorder


async def test_live_sessions_come_out_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = await lived(tmp_path / "made")
    assert len(recorder.files) == 5
    for file in recorder.files:
        result = replay(file.read_text().splitlines())
        assert result.difference is None and result.calls > 3
    told = recorder.files[0].read_text()
    assert GOOD[:7].hex() in told and '"TREAT_AS_WITHDRAW"' in told and '"HOLD' not in told
    assert main(["replay", "--show", *map(str, recorder.files)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("the same") == 5 and "Established" in shown and "Down" in shown

    # One octet of what the peer sent is another: the line is named where that first shows.
    lines = told.splitlines()
    at = next(number for number, line in enumerate(lines) if "198.51" not in line and "c63364" in line)
    lines[at] = lines[at].replace("c63364", "c63365", 1)
    found = replay(lines).difference
    assert found is not None and found.line == at + 1 and found.what == "deliveries"
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join(lines))
    assert main(["replay", str(changed)]) == 1
    assert f"line {at + 1}: deliveries was" in capsys.readouterr().out


async def test_a_recording_ends_at_its_size(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, most=4000)
    async with Speaker(
        asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"], connections=recorder
    ) as speaker:
        speaker.add_peer(PeerOptions(address="127.0.0.2", asn=65000, passive=True))
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish()
            await raw.send(*[GOOD] * 50)
            await has_routes(speaker, IPV4_UNICAST, "198.51.100.0/24")
            await asyncio.sleep(0)
    (file,) = recorder.files
    text = file.read_text()
    assert len(text) < 4200 and text.endswith('{"do":"end","why":"the recording has reached its size"}\n')
    assert replay(text.splitlines()).difference is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_whatever_happens_comes_out_the_same(seed: int, cut: bool) -> None:
    """Programs of the fuzz target: any octets and events, in any order."""
    files: list[io.StringIO] = []

    def make(config: SessionConfig, table: object, **options: object) -> Connection:
        files.append(io.StringIO())
        return recorded(config, table, file=files[-1], **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "Connection", make)
        for _ in program.run(program.seed(Random(seed)), cut):
            pass
    (file,) = files
    result = replay(file.getvalue().splitlines())
    assert result.difference is None, str(result.difference)


def test_every_field_of_a_configuration_is_kept() -> None:
    config = SessionConfig(
        local_as=65000,
        identifier=7,
        peer_as=AsExpected.EXTERNAL,
        families=FAMILIES,
        members=frozenset({65001, 65002}),
        add_path={IPV4_UNICAST: AddPathMode.BOTH},
        extended_next_hop=(IPV4_UNICAST,),
        role=Role.PEER,
        fqdn=Fqdn("here", "example"),
        required=(CapabilityCode.ROUTE_REFRESH,),
    )
    assert config_of(json.loads(json.dumps(plain(config)))) == config


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "line 1: it is empty"),
        ("{}", "line 1: no recording of a session"),
        ("[]", "line 1: no JSON object"),
        ("nonsense", "line 1: Expecting value"),
        ('{"martlet-session":1,"incoming":true,"config":{"local_as":0,"identifier":1}}', "local_as"),
        ('{"martlet-session":1,"incoming":true,"config":{"colour":0}}', "colour is no field"),
        (
            '{"martlet-session":1,"incoming":true,"config":{"local_as":1,"identifier":1}}\n{"do":"dance"}',
            "line 2: .*dance",
        ),
    ],
)
def test_what_is_no_recording_is_told(
    text: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unreadable, match=error):
        replay(text.splitlines())
    file = tmp_path / "x.jsonl"
    file.write_text(text)
    assert main(["replay", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
