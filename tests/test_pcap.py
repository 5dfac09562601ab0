"""Captures: file formats, link layers, TCP reassembly, and what sessions negotiated; all bytes made here."""

import io
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.tools import capture, pcap
from bgp.tools.capture import Captured, Missing
from bgp.tools.pcap import Packet
from bgp.tools.reading import FormatError, Source
from bgp.tools.reassembly import MAXIMUM_WAITING, Begin, End, Gap, Reassembler
from bgp.tools.segment import FIN, RST, SYN, Endpoint, Segment, segment
from bgp.wire.capability import Capabilities
from bgp.wire.context import Context
from bgp.wire.cut import Cutter
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, Open, encode

A, B = Endpoint(ip_address("192.0.2.1").packed, 50000), Endpoint(ip_address("192.0.2.2").packed, 179)
A6 = Endpoint(ip_address("2001:db8::1").packed, 50000)
B6 = Endpoint(ip_address("2001:db8::2").packed, 179)
KEEPALIVE = encode(Keepalive())


# --- builders: the formats, written down once more -----------------------------------------------------


def tcp(source: Endpoint, destination: Endpoint, sequence: int, flags: int, payload: bytes) -> bytes:
    header = struct.pack("!HHIIBBHHH", source.port, destination.port, sequence, 0, 0x60, flags, 1000, 0, 0)
    return header + b"\x01\x01\x01\x00" + payload  # one word of options


def ip(
    source: Endpoint, destination: Endpoint, sequence: int = 0, flags: int = 0, payload: bytes = b""
) -> bytes:
    body = tcp(source, destination, sequence, flags, payload)
    if len(source.address) == 4:
        total = 20 + len(body)
        head = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, 0x4000, 64, 6, 0)
        return head + source.address + destination.address + body
    return struct.pack("!IHBB", 6 << 28, len(body), 6, 64) + source.address + destination.address + body


def ethernet(packet: bytes, tags: bytes = b"") -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return (b"\x02" * 12 + tags + kind + packet).ljust(60, b"\0")  # padded to the shortest frame


def classic(frames: Iterable[bytes], link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)]
    for number, data in enumerate(frames):
        out.append(struct.pack(order + "IIII", 1000 + number, 5, len(data), len(data)) + data)
    return b"".join(out)


def block(kind: int, body: bytes, order: str) -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def ng(frames: Iterable[bytes], link: int = 1, order: str = "<", options: bytes = b"") -> bytes:
    out = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    out.append(block(1, struct.pack(order + "HHI", link, 0, 0) + options, order))
    for data in frames:
        head = struct.pack(order + "IIIII", 0, 0, 7, len(data), len(data))
        out.append(block(6, head + data.ljust(len(data) + -len(data) % 4, b"\0"), order))
    return b"".join(out)


def packets(data: bytes) -> list[Packet]:
    return list(pcap.read(Source(io.BytesIO(data))))


# --- file formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_classic(order: str, nanoseconds: bool) -> None:
    data = classic([b"one", b"", b"three"], 113, order, nanoseconds)
    assert pcap.is_capture(data)
    found = packets(data)
    assert [(p.number, p.data, p.length, p.link) for p in found] == [
        (1, b"one", 3, 113),
        (2, b"", 0, 113),
        (3, b"three", 5, 113),
    ]
    assert [p.time for p in found] == [n * 10**9 + (5 if nanoseconds else 5000) for n in (1000, 1001, 1002)]
    assert [p.offset for p in found] == [24, 43, 59]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    data = ng([b"one", b"four"], 276, order)
    assert pcap.is_capture(data)
    assert [(p.number, p.data, p.link, p.time) for p in packets(data)] == [
        (1, b"one", 276, 7000),
        (2, b"four", 276, 7000),
    ]


@pytest.mark.parametrize(
    ("value", "time"), [(b"\x09", 7), (b"\x00", 7 * 10**9), (b"\x81", 35 * 10**8), (b"\x03", 7 * 10**6)]
)
def test_pcapng_time_resolution(value: bytes, time: int) -> None:
    options = struct.pack("<HH", 9, 1) + value.ljust(4, b"\0") + struct.pack("<HHq", 14, 8, 100)
    (packet,) = packets(ng([b"x"], options=options + struct.pack("<HH", 0, 0)))
    assert packet.time == 100 * 10**9 + time


def test_pcapng_other_blocks_and_sections() -> None:
    data = ng([b"first"]) + block(5, b"statistics..", "<") + ng([b"again"], link=101, order=">")
    simple = block(3, struct.pack(">I", 5) + b"plain\0\0\0", ">")
    old = block(2, struct.pack(">HHIIII", 0, 9, 0, 3, 2, 100) + b"ol\0\0", ">")
    found = packets(data + simple + old)
    assert [(p.data, p.link, p.length, p.time) for p in found] == [
        (b"first", 1, 5, 7000),
        (b"again", 101, 5, 7000),
        (b"plain", 101, 5, None),
        (b"ol", 101, 100, 3000),
    ]


def test_compressed_captures_read_the_same() -> None:
    import bz2
    import gzip
    import lzma

    data = classic([b"one", b"two"])
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        assert packets(compress(data)) == packets(data)
    with pytest.raises(FormatError, match="cannot be read on"):
        packets(gzip.compress(data * 1000)[:-20])


@pytest.mark.parametrize(
    ("data", "text", "offset"),
    [
        (classic([b"one"])[:-1], "ends within packet 1: 3 octets wanted, 2 left", 40),
        (classic([b"one"])[:30], "the header of packet 1", 24),
        (classic([])[:20], "pcap file header", 0),
        (classic([b"one"])[:32] + b"\xff" * 8, "claims 4294967295 octets", 40),
        (ng([b"one"])[:-3], "trailer of a block", 80),
        (ng([])[:4] + b"\x0d\0\0\0" + ng([])[8:], "has length 13", 0),
        (ng([])[:28] + block(6, bytes(20), "<"), "type 6 is cut short or names no interface", 28),
        (ng([]) + block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + b"abcd", "<"), "overruns its block", 48),
        (ng([])[:24] + b"\x11\0\0\0", "two lengths differ", 0),
        (b"no capture", "neither", 0),
    ],
)
def test_broken_files_are_named_with_their_offset(data: bytes, text: str, offset: int) -> None:
    with pytest.raises(FormatError, match=text) as raised:
        packets(data)
    assert raised.value.offset == offset


@given(st.binary(max_size=200), st.sampled_from([classic([b"one"]), ng([b"one"]), ng([b"one"], order=">")]))
def test_no_file_raises_anything_else(tail: bytes, front: bytes) -> None:
    for cut in (len(front), len(front) - 7, 24, 12):
        try:
            packets(front[:cut] + tail)
        except FormatError as error:
            assert 0 <= error.offset <= cut + len(tail)


# --- link layers ---------------------------------------------------------------------------------------

V4, V6 = ip(A, B, 7, 0x18, b"payload"), ip(A6, B6, 7, 0x18, b"payload")
COOKED = b"\0\0" + b"\0\1" + b"\0\6" + b"\2" * 8
COOKED_2 = b"\0\0" + bytes(4) + b"\0\1" + b"\0" + b"\6" + b"\2" * 8


@pytest.mark.parametrize(
    ("link", "data", "sides"),
    [
        (1, ethernet(V4), (A, B)),
        (1, ethernet(V6), (A6, B6)),
        (1, ethernet(V4, b"\x81\x00\x00\x05"), (A, B)),
        (1, ethernet(V6, b"\x88\xa8\x00\x05\x81\x00\x00\x06"), (A6, B6)),
        (113, COOKED + b"\x08\x00" + V4, (A, B)),
        (113, COOKED + b"\x81\x00\x00\x05\x86\xdd" + V6, (A6, B6)),
        (276, b"\x08\x00" + COOKED_2 + V4, (A, B)),
        (276, b"\x86\xdd" + COOKED_2 + V6, (A6, B6)),
        (276, b"\x81\x00" + COOKED_2 + b"\x00\x05\x08\x00" + V4, (A, B)),
        (101, V4, (A, B)),
        (12, V6, (A6, B6)),
        (228, V4, (A, B)),
        (229, V6, (A6, B6)),
        (0, b"\2\0\0\0" + V4, (A, B)),
        (0, b"\0\0\0\x1c" + V6, (A6, B6)),
        (108, b"\0\0\0\2" + V4, (A, B)),
    ],
)
def test_link_layers(link: int, data: bytes, sides: tuple[Endpoint, Endpoint]) -> None:
    found = segment(Packet(1, 0, link, data, len(data), 0))
    assert found == Segment(*sides, 7, 0x18, b"payload")
    for end in range(data.index(b"payload")):
        cut_off = segment(Packet(1, 0, link, data[:end], len(data), 0))
        assert cut_off is None or (cut_off.payload, cut_off.lost) == (b"", 7)


def test_ipv6_extension_headers() -> None:
    body = tcp(A6, B6, 7, 0x18, b"payload")
    # Hop-by-hop options, an authentication header, and an atomic fragment (RFC 6946).
    chain = b"\x33\x00" + bytes(6) + b"\x2c\x04" + bytes(22) + b"\x06\x00\x00\x00" + bytes(4)
    head = struct.pack("!IHBB", 6 << 28, len(chain + body), 0, 64) + A6.address + B6.address
    assert segment(Packet(1, 0, 101, head + chain + body, 0, 0)) == Segment(A6, B6, 7, 0x18, b"payload")


def test_what_is_no_tcp_segment_is_passed_over() -> None:
    udp, fragment, short = bytearray(V4), bytearray(V4), bytearray(V4)
    udp[9] = 17
    fragment[6:8] = b"\x20\x00"
    short[32] = 0x40
    later = bytearray(V6)
    later[6] = 44
    later[40:44] = b"\x06\x00\x00\x08"
    arp = b"\x02" * 12 + b"\x08\x06" + bytes(28)
    for link, data in (
        (101, udp),
        (101, fragment),
        (101, short),
        (101, later),
        (1, arp),
        (147, V4),
        (101, b""),
    ):
        assert segment(Packet(1, 0, link, bytes(data), len(data), 0)) is None


def test_segmentation_offload_and_snapped_packets() -> None:
    offloaded = bytearray(V4)
    offloaded[2:4] = b"\0\0"
    assert segment(Packet(1, 0, 101, bytes(offloaded), len(V4), 0)) == Segment(A, B, 7, 0x18, b"payload")
    assert segment(Packet(1, 0, 101, V4[:-3], len(V4), 0)) == Segment(A, B, 7, 0x18, b"payl", lost=3)


# --- reassembly ----------------------------------------------------------------------------------------


def run(segments: Iterable[Segment]) -> list[object]:
    """Return one direction's pieces, neighboring octets joined."""
    reassembler = Reassembler()
    pieces: list[object] = []

    def everything() -> Iterator[tuple[object, object]]:
        for item in segments:
            yield from reassembler.add(item)
        yield from reassembler.finish()

    for flow, piece in everything():
        assert flow == (A, B)
        if isinstance(piece, bytes) and pieces and isinstance(pieces[-1], bytes):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return pieces


def sent(start: int, payload: bytes, flags: int = 0x10, lost: int = 0) -> Segment:
    return Segment(A, B, start & 0xFFFFFFFF, flags, payload, lost)


def test_in_order() -> None:
    assert run([sent(99, b"", SYN), sent(100, b"ab"), sent(102, b"cd"), sent(104, b"", FIN)]) == [
        Begin(True),
        b"abcd",
        End(),
    ]


def test_capture_that_begins_later() -> None:
    assert run([sent(5, b""), sent(100, b"ab")]) == [Begin(False), b"ab", End()]


def test_a_hole_that_nothing_fills_is_a_gap() -> None:
    assert run([sent(100, b"ab"), sent(110, b"cd"), sent(104, b"x", FIN)]) == [
        Begin(False),
        b"ab",
        Gap(2),
        b"x",
        Gap(5),
        b"cd",
        End(),
    ]


def test_snapped_octets_are_a_gap() -> None:
    assert run([sent(100, b"ab", lost=8), sent(110, b"cd")]) == [Begin(False), b"ab", Gap(8), b"cd", End()]


def test_a_reset_ends_both_directions() -> None:
    reassembler = Reassembler()
    list(reassembler.add(sent(1, b"ab")))
    list(reassembler.add(Segment(B, A, 9, 0, b"cd")))
    assert list(reassembler.add(sent(3, b"", RST))) == [((A, B), End()), ((B, A), End())]


def test_the_same_ports_again_are_another_connection() -> None:
    first = [sent(99, b"", SYN), sent(99, b"", SYN), sent(100, b"ab"), sent(99, b"", SYN)]
    assert run([*first, sent(4999, b"", SYN), sent(5000, b"cd")]) == [
        Begin(True),
        b"ab",
        End(),
        Begin(True),
        b"cd",
        End(),
    ]


def test_what_is_sent_again_behind_the_end_is_ignored() -> None:
    end = sent(100, b"ab", FIN)
    assert run([end, end, sent(50, b"old"), sent(102, b"", 0x10)]) == [Begin(False), b"ab", End()]


def test_what_waits_is_bounded() -> None:
    size = 1000
    count = MAXIMUM_WAITING // size + 2
    segments = [sent(100, b"a"), *(sent(200 + size * n, bytes(size)) for n in range(count))]
    reassembler = Reassembler()
    pieces = [piece for item in segments for _, piece in reassembler.add(item)]
    assert pieces[:3] == [Begin(False), b"a", Gap(99)]
    assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) == 1 + size * count


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=300), st.integers(0, 0xFFFFFFFF), st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_stream(stream: bytes, first: int, random: Random) -> None:
    """Segments that cover the stream, overlapping, repeated and shuffled, give it back, wrapping or not."""
    cuts = sorted(random.sample(range(len(stream) + 1), min(len(stream), 6)))
    bounds = [0, *cuts, len(stream)]
    segments = [sent(first + 1 + a, stream[a:b]) for a, b in pairwise(bounds)]
    for _ in range(4):
        a = random.randrange(len(stream))
        segments.append(sent(first + 1 + a, stream[a : a + random.randrange(1, 50)]))
    random.shuffle(segments)
    end = sent(first + 1 + len(stream), b"", FIN)
    assert run([sent(first, b"", SYN), *segments, end]) == [Begin(True), stream, End()]


# --- cutting into messages -----------------------------------------------------------------------------


def cut(chunks: Iterable[bytes], maximum: int = 4096) -> list[tuple[int, bytes]]:
    cutter = Cutter(maximum)
    pieces = []
    for chunk in chunks:
        cutter.feed(chunk)
        while piece := cutter.next():
            pieces.append(piece[:2])
    if rest := cutter.finish():
        pieces.append(rest[:2])
    return pieces


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 50))
def test_cutting_does_not_depend_on_the_chunks(bodies: list[bytes], step: int) -> None:
    messages = [frame(2, body) for body in bodies]
    stream = b"".join(messages)
    pieces = cut(stream[at : at + step] for at in range(0, len(stream), step))
    assert [octets for _, octets in pieces] == messages
    assert [offset for offset, _ in pieces] == [sum(map(len, messages[:n])) for n in range(len(messages))]


def test_cutting_goes_on_behind_garbage() -> None:
    long = frame(2, bytes(5000))
    assert cut([b"garbage" + KEEPALIVE + long + KEEPALIVE + b"\xff" * 5]) == [
        (0, b"garbage"),
        (7, KEEPALIVE),
        (26, long),
        (26 + len(long), KEEPALIVE),
        (45 + len(long), b"\xff" * 5),
    ]
    short = KEEPALIVE[:17] + b"\x05\x04"
    assert cut([short + KEEPALIVE]) == [(0, short), (19, KEEPALIVE)]


def test_garbage_does_not_pile_up() -> None:
    pieces = cut([bytes(60000)] * 5)
    assert sum(len(octets) for _, octets in pieces) == 300000
    assert max(len(octets) for _, octets in pieces) < 66000


# --- whole captures ------------------------------------------------------------------------------------


def opened(asn: int, **meaning: object) -> bytes:
    capabilities = Capabilities(four_octet_as=asn, **meaning).encode()  # type: ignore[arg-type]
    return encode(Open(min(asn, 23456), 90, 1, capabilities))


def conversation(parts: Iterable[tuple[str, bytes]], size: int = 1400) -> Iterator[bytes]:
    """Yield Ethernet frames of a connection: what A and B say, in turn."""
    position = {"A": 1000, "B": 2000}
    yield ethernet(ip(A, B, 999, SYN))
    yield ethernet(ip(B, A, 1999, SYN | 0x10))
    for side, data in parts:
        sides = (A, B) if side == "A" else (B, A)
        for at in range(0, len(data), size):
            yield ethernet(ip(*sides, position[side], 0x18, data[at : at + size]))
            position[side] += len(data[at : at + size])
    yield ethernet(ip(A, B, position["A"], FIN))
    yield ethernet(ip(B, A, position["B"], FIN))


def messages(frames: Iterable[bytes], context: Context | None = None) -> list[Captured | Missing]:
    source = Source(io.BytesIO(classic(frames)))
    return list(capture.read(pcap.read(source), context or Context()))


BOTH = ((1, 1), (2, 1))
UPDATE = frame(2, bytes(4))


def test_a_session_is_understood_from_its_opens() -> None:
    a = opened(65001, families=BOTH, add_path=((1, 1, 3), (2, 1, 1)), extended_message=True)
    b = opened(65001, families=((1, 1),), add_path=((1, 1, 1), (2, 1, 3)), extended_next_hop=((1, 1, 2),))
    found = messages(conversation([("A", a), ("B", b), ("A", UPDATE), ("B", UPDATE)], size=11))
    assert all(isinstance(item, Captured) for item in found)
    to_b, to_a = (item.context for item in found[2:] if isinstance(item, Captured))
    assert to_b == Context(
        internal=True,
        families=frozenset({IPV4_UNICAST}),
        add_path=frozenset({IPV4_UNICAST}),
        extended_next_hop=frozenset({IPV4_UNICAST}),
        aigp=True,
        peer_as=65001,
    )
    assert to_a == Context(
        internal=True,
        families=frozenset({IPV4_UNICAST}),
        add_path=frozenset({IPV6_UNICAST}),
        extended_messages=True,
        aigp=True,
        peer_as=65001,
    )
    first = found[0]
    assert isinstance(first, Captured)
    assert (first.where.source, first.where.destination, first.where.offset, first.octets) == (A, B, 0, a)


def test_external_and_two_octet_sessions() -> None:
    old = encode(Open(65002, 90, 2))
    found = messages(conversation([("A", opened(4200000001)), ("B", old), ("B", UPDATE)]))
    last = found[-1]
    assert isinstance(last, Captured)
    assert last.context == Context(four_octet_as=False, peer_as=65002)


def test_one_open_speaks_for_both_sides() -> None:
    a = opened(65001, families=BOTH, add_path=((1, 1, 2),), extended_message=True)
    frames = [ethernet(ip(A, B, 0, 0x10, a)), ethernet(ip(A, B, len(a), 0x10, UPDATE))]
    last = messages(frames)[-1]
    assert isinstance(last, Captured)
    assert last.context == Context(
        families=frozenset({IPV4_UNICAST, IPV6_UNICAST}),
        add_path=frozenset({IPV4_UNICAST}),
        extended_messages=True,
        peer_as=65001,
    )


def test_without_opens_what_the_user_gave_stands() -> None:
    given_context = Context(internal=True, four_octet_as=False)
    (found,) = messages([ethernet(ip(A, B, 0, 0x10, UPDATE))], given_context)
    assert isinstance(found, Captured)
    assert found.context == given_context


def test_extended_messages_need_the_receivers_word() -> None:
    long = frame(2, bytes(60000))
    a, b = opened(65001, extended_message=True), opened(65001)
    found = messages(conversation([("A", a), ("B", b), ("B", long), ("B", KEEPALIVE), ("A", long)]))
    octets = [item.octets for item in found if isinstance(item, Captured)]
    assert octets == [a, b, long, KEEPALIVE, long]


def test_a_capture_that_begins_within_a_message() -> None:
    first, second = messages(
        [ethernet(ip(A, B, 0, 0x10, bytes(30))), ethernet(ip(A, B, 30, 0x10, KEEPALIVE))]
    )
    assert isinstance(first, Missing)
    assert (first.octets, first.reason) == (30, "the beginning of their message is not there")
    assert isinstance(second, Captured)
    assert (second.octets, second.where.offset) == (KEEPALIVE, 30)


def test_a_lost_packet_costs_no_more_than_its_messages() -> None:
    stream = UPDATE * 10
    frames = [
        ethernet(ip(A, B, at, 0x10, stream[at : at + 23])) for at in range(0, len(stream), 23) if at != 69
    ]
    frames[5] = ethernet(ip(A, B, 6 * 23, 0x10, stream[6 * 23 : 7 * 23]))
    found = messages(frames)
    gaps = [(item.where.offset, item.octets) for item in found if isinstance(item, Missing)]
    assert gaps == [(69, 23)]
    assert [item.where.offset for item in found if isinstance(item, Captured)] == [
        at for at in range(0, len(stream), 23) if at != 69
    ]


@pytest.mark.parametrize("end", [b"", ethernet(ip(A, B, 40, 0x10, UPDATE))])
def test_a_message_of_which_the_end_is_missing(end: bytes) -> None:
    """UPDATE's last octets are lost, behind a whole KEEPALIVE; what follows the gap is read again."""
    frames = [ethernet(ip(A, B, 0, 0x10, KEEPALIVE + UPDATE[:20])), *([end] if end else [])]
    first, rest, *after = messages(frames)
    assert isinstance(first, Captured)
    assert isinstance(rest, Missing)
    assert (rest.where.offset, rest.octets) == (19, 20)
    assert rest.reason == "the rest of their message is not there"
    if end:
        gap, last = after
        assert isinstance(gap, Missing)
        assert (gap.where.offset, gap.octets) == (39, 1)
        assert isinstance(last, Captured)
        assert (last.where.offset, last.octets) == (40, UPDATE)


def test_other_ports_are_left_alone() -> None:
    other = Endpoint(A.address, 4179)
    frames = [ethernet(ip(other, A, 0, 0x10, KEEPALIVE))]
    assert messages(frames) == []
    source = Source(io.BytesIO(classic(frames)))
    (found,) = capture.read(pcap.read(source), Context(), frozenset({4179}))
    assert isinstance(found, Captured)


def test_a_broken_file_gives_first_what_it_holds() -> None:
    frames = [ethernet(ip(A, B, 0, 0x10, KEEPALIVE)), ethernet(ip(A, B, 30, 0x10, KEEPALIVE)), b"x" * 60]
    reader = capture.read(pcap.read(Source(io.BytesIO(classic(frames)[:-1]))), Context())
    assert isinstance(next(reader), Captured)
    assert isinstance(next(reader), Missing)
    assert isinstance(next(reader), Captured)
    with pytest.raises(FormatError, match="packet 3"):
        next(reader)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=6), st.binary(max_size=30))
def test_frames_of_any_content_do_no_harm(frames: list[bytes], tail: bytes) -> None:
    whole = [ethernet(ip(A, B, 10 * n, n, data)) for n, data in enumerate(frames)]
    messages([*whole, *frames, *(frame_[:20] + tail for frame_ in whole)])
