"""On every session, of any two UPDATEs in a row, the fast path says what the reference says: the same routes,
attributes and faults, or the same Notify; again when it has seen them before, and never another exception.

Input: two octets.  The low 14 bits are the session (`bgp.testing.generate.context_of`); with bit 14 there
are two bodies, the first behind two octets with its length, else one.
"""

from collections.abc import Iterator
from functools import cache
from random import Random

from bgp.iana import EXTENDED_MESSAGE_LENGTH
from bgp.testing import mixture
from bgp.testing.agreement import agree
from bgp.testing.generate import CONTEXT_BITS, chance, context_of
from bgp.wire.attributes import AttributeTable
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.update import Decoder
from fuzz.show import message_lines
from fuzz.target import Reader, Target

_TWO = 1 << CONTEXT_BITS


def parts(data: bytes) -> tuple[Context, list[bytes]]:
    """Return the session and the bodies; framing lets none be shorter than four octets."""
    reader = Reader(data)
    bits = reader.number(2)
    bodies = [reader.take(reader.number(2))] if bits & _TWO else []
    return context_of(bits & _TWO - 1), [body.ljust(4, b"\0") for body in (*bodies, reader.rest())]


def check(data: bytes) -> None:
    context, bodies = parts(data)
    decode = Decoder(context, AttributeTable()).decode
    for body in bodies:
        agree(body, context, decode, decode)


def written(bits: int, bodies: list[bytes]) -> bytes:
    if len(bodies) == 1:
        return bits.to_bytes(2, "big") + bodies[0]
    return (bits | _TWO).to_bytes(2, "big") + len(bodies[0]).to_bytes(2, "big") + bodies[0] + bodies[1]


def seed(random: Random) -> bytes:
    context, body = mixture.exchange(random)[0]
    body = body[:EXTENDED_MESSAGE_LENGTH]
    bits = _sessions()[context]
    if chance(random, 0.3):
        return written(bits, [body, mixture.sibling(random, body, context)])
    return written(bits, [body])


@cache
def _sessions() -> dict[Context, int]:
    return {context_of(bits): bits for bits in range(_TWO)}


def view(data: bytes) -> Iterator[str]:
    context, bodies = parts(data)
    yield str(context)
    for body in bodies:
        yield from message_lines(frame(2, body), context)


TARGET = Target("update", check, seed, view)
