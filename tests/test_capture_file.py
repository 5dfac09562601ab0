"""Capture files that we write: read again, each message is the same octet for octet, each checksum right."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.family import FAMILIES
from bgp.iana import MessageType
from bgp.tools import capture, pcap
from bgp.tools.capture import Captured
from bgp.tools.capture_file import CaptureFile
from bgp.tools.reading import Source
from bgp.tools.segment import Endpoint
from bgp.wire.capability import Capabilities
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import Open, encode
from reflector.show.messages import Capturing

ENDS = [
    (Endpoint(b"\x0a\x00\x00\x01", 179), Endpoint(b"\x0a\x00\x00\x02", 40001)),
    (Endpoint(b"\x20\x01" + bytes(13) + b"\x01", 40002), Endpoint(b"\x20\x01" + bytes(13) + b"\x02", 179)),
    (Endpoint(b"\xfe\x80" + bytes(13) + b"\x01", 179), Endpoint(b"\xfe\x80" + bytes(13) + b"\x02", 40003)),
]
CAPABILITIES = Capabilities(families=tuple((f.afi, f.safi) for f in FAMILIES), extended_message=True)
OPEN = encode(Open(64512, 90, 1, CAPABILITIES.encode()))
BODIES = st.one_of(
    st.binary(min_size=4, max_size=60), st.sampled_from([4000, 64980, 65000 - 19, 65516]).map(bytes)
)
Steps = list[tuple[int, bool, bytes]]


def written(steps: Steps, *, begun: int = 0) -> tuple[bytes, dict[tuple[int, bool], list[bytes]]]:
    """Write messages of three connections; return the file, and the messages by connection and direction."""
    out = io.BytesIO()
    file = CaptureFile(out, "node", "test")
    expected: dict[tuple[int, bool], list[bytes]] = {}
    for number, (ours, theirs) in enumerate(ENDS):
        file.begin(number, ours, theirs)
        for sent in (True, False):
            comment = "from memory" if begun else ""
            at = begun - len(OPEN) if begun else 0
            file.message(number, 1, OPEN, sent=sent, position=at, incoming=True, comment=comment)
            expected[number, sent] = [OPEN]
    at = {key: begun or len(OPEN) for key in expected}
    for time, (number, sent, body) in enumerate(steps):
        octets = frame(MessageType.UPDATE, body)
        file.message(number, time * 10**9 + 123, octets, sent=sent, position=at[number, sent])
        at[number, sent] += len(octets)
        expected[number, sent].append(octets)
    for number in range(len(ENDS)):
        assert file.knows(number)
        file.end(number, 10**12, aborted=number == 1)
        assert not file.knows(number)
    file.finish(10**12, len(steps), 0)
    return out.getvalue(), expected


def summed(octets: bytes) -> int:
    """Return the sum of RFC 1071 as that says it."""
    total = 0
    for (word,) in struct.iter_unpack("!H", octets + bytes(len(octets) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def check_sums(frame_: bytes) -> None:
    ip = frame_[14:]
    if frame_[12:14] == b"\x08\x00":
        assert summed(ip[:20]) == 0xFFFF and struct.unpack_from("!H", ip, 2)[0] == len(ip)
        addresses, segment = ip[12:20], ip[20:]
    else:
        assert struct.unpack_from("!H", ip, 4)[0] == len(ip) - 40
        addresses, segment = ip[8:40], ip[40:]
    assert summed(addresses + struct.pack("!IHBB", len(segment), 0, 0, 6) + segment) == 0xFFFF


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), BODIES), max_size=12),
    st.sampled_from([0, 1000, (1 << 32) - 10, (1 << 33) + 5]),
)
def test_what_was_written_is_read_again(steps: Steps, begun: int) -> None:
    """Whole connections, ones that began earlier, and ones whose sequence numbers wrap."""
    data, expected = written(steps, begun=begun)
    packets = list(pcap.read(Source(io.BytesIO(data))))
    for packet in packets:
        check_sums(packet.data)
    found: dict[tuple[int, bool], list[bytes]] = {key: [] for key in expected}
    for item in capture.read(iter(packets), Context()):
        assert isinstance(item, Captured), item
        for number, (ours, theirs) in enumerate(ENDS):
            for sent, flow in ((True, (ours, theirs)), (False, (theirs, ours))):
                if flow == (item.where.source, item.where.destination):
                    found[number, sent].append(item.octets)
    assert found == expected


def test_times_have_nanoseconds() -> None:
    data, _ = written([(0, True, bytes(4))])
    times = [packet.time for packet in pcap.read(Source(io.BytesIO(data)))]
    assert 123 in times and times[-1] == 10**12


def test_what_was_lost_is_said_in_the_file_and_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows of a capture that was too slow, as the command has them from the service."""
    path = tmp_path / "out.pcap"
    message = {
        "time": 5,
        "connection": 1,
        "peer": "node",
        "incoming": True,
        "recalled": False,
        "local": "fe80::1",
        "local_port": 179,
        "remote": "fe80::2",
        "remote_port": 40000,
    }
    rows = [
        {"capturing": "node", "seconds": 60.0},
        message | {"direction": "in", "position": 0, "octets": OPEN.hex()},
        {"lost": 7},
        message | {"direction": "in", "position": 5000, "octets": frame(MessageType.UPDATE, bytes(4)).hex()},
        {"lost": 9},
        {"over": "the time is over", "lost": 9},
    ]
    Capturing(str(path))(iter(rows))
    assert "2 messages in, 0 out, 9 more were lost: we were too slow" in capsys.readouterr().err
    with path.open("rb") as stream:
        found = list(capture.read(pcap.read(Source(stream)), Context()))
    assert [type(item).__name__ for item in found] == ["Captured", "Missing", "Captured"]
    # The block of statistics, with isb_ifrecv and isb_ifdrop.
    assert struct.pack("<HHQHHQ", 4, 8, 11, 5, 8, 9) in path.read_bytes()
