"""Framing: any cut of a stream gives the same messages, and bad headers the right NOTIFICATION."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.errors import Notify
from bgp.iana import MessageType
from bgp.wire.framing import Framer, frame

MESSAGES = st.lists(
    st.one_of(
        st.just((4, b"")),
        st.tuples(st.just(2), st.binary(min_size=4, max_size=4077)),
        st.tuples(st.just(3), st.binary(min_size=2, max_size=60)),
        st.tuples(st.just(5), st.just(b"\0\1\0\1")),
        st.tuples(st.just(1), st.binary(min_size=10, max_size=200)),
    ),
    max_size=8,
)


def drained(framer: Framer) -> list[tuple[int, bytes]]:
    found = []
    while (message := framer.next()) is not None:
        found.append(message)
    return found


@given(MESSAGES, st.lists(st.integers(1, 5000), max_size=30))
def test_any_cut_gives_the_same_messages(messages: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(*message) for message in messages)
    framer, found, position = Framer(), [], 0
    for cut in [*cuts, len(stream)]:
        framer.feed(stream[position : position + cut])
        position += cut
        found += drained(framer)
    assert found == messages
    assert framer.buffered == 0


@given(MESSAGES, st.lists(st.integers(1, 5000), max_size=30), st.integers(0, 9000), st.integers(0, 100))
def test_runs_of_updates_are_what_one_by_one_gives(
    messages: list[tuple[int, bytes]], cuts: list[int], limit: int, overhead: int
) -> None:
    stream = b"".join(frame(*message) for message in messages)
    framer, found, position = Framer(), [], 0
    for cut in [*cuts, len(stream)]:
        framer.feed(stream[position : position + cut])
        position += cut
        while True:
            run = framer.updates(limit, overhead)
            # All but the last one stay below the limit.
            assert sum(19 + len(body) + overhead for body in run[:-1]) < limit or not run
            found += [(2, body) for body in run]
            message = framer.next()
            if message is None:
                break
            found.append(message)
    assert found == messages
    assert framer.buffered == 0


@pytest.mark.parametrize("length", [22, 4097])
def test_a_bad_update_ends_a_run(length: int) -> None:
    framer = Framer()
    framer.feed(frame(2, bytes(4)) + b"\xff" * 16 + length.to_bytes(2, "big") + b"\2" + bytes(4078))
    assert framer.updates(1 << 16) == [bytes(4)]
    with pytest.raises(Notify):
        framer.next()


def test_octet_by_octet_a_longest_message_is_found_with_its_last_octet() -> None:
    message = frame(2, bytes(65535 - 19))
    framer = Framer(65535)
    for octet in message[:-1]:
        framer.feed(bytes((octet,)))
        assert framer.next() is None
    assert framer.buffered == 65534
    framer.feed(message[-1:])
    assert framer.next() == (2, bytes(65535 - 19))


def refused(octets: bytes, maximum: int = 4096) -> tuple[int, int, bytes]:
    framer = Framer(maximum)
    framer.feed(octets)
    with pytest.raises(Notify) as caught:
        framer.next()
    return caught.value.code, caught.value.subcode, caught.value.data


HEADER = b"\xff" * 16


@pytest.mark.parametrize("position", range(16))
def test_a_wrong_marker_octet_is_1_1_at_once(position: int) -> None:
    marker = bytearray(HEADER)
    marker[position] ^= 0x01
    assert refused(bytes(marker) + b"\0\x13\4") == (1, 1, b"")
    # RFC 4271 6.1; garbage needs not fill a header to be known as such.
    assert refused(bytes(marker[: position + 1])) == (1, 1, b"")


LENGTHS = [
    (MessageType.OPEN, 28), (MessageType.OPEN, 4097), (MessageType.UPDATE, 22), (MessageType.UPDATE, 4097),
    (MessageType.NOTIFICATION, 20), (MessageType.KEEPALIVE, 18), (MessageType.KEEPALIVE, 20),
    (MessageType.ROUTE_REFRESH, 18), (MessageType.UPDATE, 0), (MessageType.UPDATE, 65535),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "length"), LENGTHS)
def test_a_length_out_of_range_is_1_2_with_the_length(type_: int, length: int) -> None:
    octets = length.to_bytes(2, "big")
    assert refused(HEADER + octets + bytes((type_,))) == (1, 2, octets)


def test_extended_messages_keep_open_and_keepalive_short() -> None:
    """RFC 8654 section 4: "except for the OPEN and KEEPALIVE messages"."""
    assert refused(HEADER + b"\x10\x01\x01", 65535) == (1, 2, b"\x10\x01")
    assert refused(HEADER + b"\x00\x14\x04", 65535) == (1, 2, b"\x00\x14")
    framer = Framer(65535)
    framer.feed(HEADER + b"\x10\x01\x02")
    assert framer.next() is None


@pytest.mark.parametrize("type_", [0, 6, 255])
def test_an_unknown_type_is_1_3_with_the_type(type_: int) -> None:
    assert refused(HEADER + b"\0\x17" + bytes((type_,))) == (1, 3, bytes((type_,)))
    # The length range is judged before the type.
    assert refused(HEADER + b"\xff\xff" + bytes((type_,))) == (1, 2, b"\xff\xff")
