"""Changes to octets that a fuzzer makes where nothing tells it what they mean."""

from collections.abc import Sequence
from random import Random

_TELLING = (0, 1, 2, 3, 4, 14, 15, 16, 19, 32, 33, 64, 127, 128, 129, 254, 255)
_TELLING_WIDE = (0, 1, 255, 256, 4096, 32767, 65535)


def mutated(random: Random, data: bytes, others: Sequence[bytes], maximum: int) -> bytes:
    """Return `data` with one to eight changes, at most `maximum` octets; parts may come from `others`."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4, 8))):
        _change(random, found, others)
    return bytes(found[:maximum])


def _change(random: Random, found: bytearray, others: Sequence[bytes]) -> None:
    at = random.randrange(len(found) + 1)
    size = random.choice((1, 1, 2, 4, 8, 32))
    match random.randrange(10):
        case 0 if at < len(found):
            found[at] ^= 1 << random.randrange(8)
        case 1 if at < len(found):
            found[at] = random.choice(_TELLING)
        case 2 if at < len(found):
            found[at] = random.randrange(256)
        case 3 if at < len(found):
            # Lengths are what parsers stumble over.
            found[at] = (found[at] + random.choice((-2, -1, 1, 2))) & 0xFF
        case 4:
            found[at : at + 2] = random.choice(_TELLING_WIDE).to_bytes(2, "big")
        case 5:
            del found[at : at + size]
        case 6:
            found[at:at] = found[at : at + size] * random.choice((1, 1, 2, 16))
        case 7:
            found[at:at] = random.randbytes(size)
        case 8:
            del found[at:]
        case _ if others:
            other = random.choice(others)
            start = random.randrange(len(other) + 1)
            found[at : at + random.choice((0, size))] = other[start : start + random.choice((size, 4096))]
