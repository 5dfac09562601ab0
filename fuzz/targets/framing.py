"""However a stream is cut, the framer hands out the same messages and then the same Notify, and holds back
no more than one incomplete message; the cutter of captures loses no octet.

Input: an octet of options (bit 0: extended messages), an octet that tells how many sizes of chunks follow,
those, and the stream.  The sizes are used in turn, again and again.
"""

from collections.abc import Iterator
from itertools import cycle
from random import Random

from bgp.errors import Notify
from bgp.iana import EXTENDED_MESSAGE_LENGTH, MAXIMUM_MESSAGE_LENGTH, ErrorCode, HeaderSubcode
from bgp.testing.generate import chance, octets
from bgp.wire.cut import Cutter, Piece
from bgp.wire.framing import MARKER_OCTETS, Framer, frame
from fuzz.seeds import message
from fuzz.target import Reader, Target, hold

_GARBAGE = 65535  # octets of it that come in one piece

Outcome = tuple[list[tuple[int, bytes]], tuple[int, int, bytes, int] | None]


def parts(data: bytes) -> tuple[int, list[int], bytes]:
    """Return the longest message, the sizes of the chunks and the stream."""
    reader = Reader(data)
    maximum = EXTENDED_MESSAGE_LENGTH if reader.number() & 1 else MAXIMUM_MESSAGE_LENGTH
    sizes = [size + 1 for size in reader.take(reader.number() % 16)]
    return maximum, sizes or [1], reader.rest()


def chunks(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in cycle(sizes):
        if at >= len(stream):
            return
        yield stream[at : at + size]
        at += size


def framed(pieces: Iterator[bytes], maximum: int) -> Outcome:
    framer = Framer(maximum)
    found: list[tuple[int, bytes]] = []
    fed = handed = 0
    try:
        for piece in pieces:
            framer.feed(piece)
            fed += len(piece)
            while (message := framer.next()) is not None:
                found.append(message)
                handed += 19 + len(message[1])
            hold(framer.buffered == fed - handed, f"{framer.buffered} octets held of {fed - handed}")
            hold(framer.buffered < maximum, f"{framer.buffered} octets are held back")
    except Notify as notify:
        return found, (notify.code, notify.subcode, notify.data, notify.offset)
    return found, None


def cut(pieces: Iterator[bytes], maximum: int) -> list[Piece]:
    cutter = Cutter(maximum)
    found: list[Piece] = []
    for piece in pieces:
        cutter.feed(piece)
        while (message := cutter.next()) is not None:
            found.append(message)
    last = cutter.finish()
    return [*found, last] if last else found


def judged(stream: bytes, maximum: int) -> HeaderSubcode | None:
    """Say what is wrong with a header, the slow way (RFC 4271 section 6.1, RFC 8654 section 4)."""
    if stream[:16] != MARKER_OCTETS[: len(stream)]:
        return HeaderSubcode.CONNECTION_NOT_SYNCHRONIZED
    if len(stream) < 19:
        return None
    length, kind = int.from_bytes(stream[16:18], "big"), stream[18]
    if not 19 <= length <= maximum:
        return HeaderSubcode.BAD_MESSAGE_LENGTH
    if kind not in (1, 2, 3, 4, 5):
        return HeaderSubcode.BAD_MESSAGE_TYPE
    least = {1: 29, 2: 23, 3: 21, 4: 19, 5: 19}[kind]
    most = {1: 4096, 4: 19}.get(kind, maximum)
    return None if least <= length <= most else HeaderSubcode.BAD_MESSAGE_LENGTH


def check(data: bytes) -> None:
    maximum, sizes, stream = parts(data)
    whole = framed(iter([stream] if stream else []), maximum)
    for name, pieces in ("chunks", chunks(stream, sizes)), ("single octets", chunks(stream, [1])):
        found = framed(pieces, maximum)
        hold(found == whole, f"in {name}: {found}; whole: {whole}")
    messages, notify = whole
    taken = b"".join(frame(*message) for message in messages)
    hold(stream.startswith(taken), "the messages are not what the stream holds")
    subcode = judged(stream[len(taken) :], maximum)
    if notify is None:
        hold(subcode is None, f"no Notify, but the header is bad: {subcode!r}")
    else:
        hold(notify[:2] == (ErrorCode.MESSAGE_HEADER_ERROR, subcode), f"{notify} for {subcode!r}")
    pieces_whole = cut(iter([stream] if stream else []), maximum)
    hold(cut(chunks(stream, sizes), maximum) == pieces_whole, "the cutter depends on the chunks")
    hold(b"".join(piece.octets for piece in pieces_whole) == stream, "the cutter loses octets")
    at = 0
    for piece in pieces_whole:
        hold(piece.offset == at, f"a piece at {piece.offset} stands at {at}")
        at += len(piece.octets)
        # Behind a message there may be anything, but garbage ends where a marker begins.
        sound = judged(piece.octets, maximum) != HeaderSubcode.CONNECTION_NOT_SYNCHRONIZED
        if not sound and at < len(stream) and len(piece.octets) < _GARBAGE:
            hold(stream.startswith(MARKER_OCTETS, at), f"garbage ends at {at}, where no marker is")
            hold(MARKER_OCTETS not in piece.octets, "a marker within garbage")


def seed(random: Random) -> bytes:
    stream = b"".join(message(random) for _ in range(random.randint(1, 4)))
    if chance(random, 0.5):
        header = bytearray(19) if chance(random, 0.2) else bytearray(frame(random.randint(0, 6), b""))
        header[random.randrange(16, 19)] = random.choice((0, 1, 16, 18, 19, 20, 28, 29, 255))
        stream += bytes(header)
    sizes = bytes(random.randrange(256) for _ in range(random.randrange(5)))
    return (
        bytes((random.randrange(2), len(sizes))) + sizes + stream + octets(random, random.choice((0, 0, 9)))
    )


def view(data: bytes) -> Iterator[str]:
    maximum, sizes, stream = parts(data)
    yield f"maximum {maximum}, {len(stream)} octets in chunks of {sizes}"
    messages, notify = framed(iter([stream] if stream else []), maximum)
    for kind, body in messages:
        yield f"  type {kind}, body {body.hex()}"
    yield f"  then {notify or 'nothing'}; fed whole"


TARGET = Target("framing", check, seed, view)
