"""Reading binary files: every octet is counted, so every complaint names the place.

The readers of captures and dumps share it.  A file is never held whole; what is asked for at once is
bounded, so that a corrupt length field costs an error and no memory.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

# No record of any format read here comes near this; a larger length is a corrupt one.
MAXIMUM_RECORD = 16 * 1024 * 1024
_BLOCK = 65536


class FormatError(ValueError):
    """A file does not follow its format; `offset` counts octets from its (decompressed) beginning."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text, offset)
        self.text = text
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.text} (at octet {self.offset} of the file)"


class Source:
    """A binary stream, read forward, that knows where it is; gzip, bzip2 and xz are decompressed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: BinaryIO = stream
        self._block = b""
        self._at = 0  # of the block, what has been consumed
        self.offset = 0
        magic = self.peek(6)
        rest = cast(BinaryIO, _Rest(self._block, stream))
        if magic.startswith(b"\x1f\x8b"):
            self._decompress(cast(BinaryIO, gzip.GzipFile(fileobj=rest, mode="rb")))
        elif magic.startswith(b"BZh"):
            self._decompress(cast(BinaryIO, bz2.BZ2File(rest)))
        elif magic.startswith(b"\xfd7zXZ\0"):
            self._decompress(cast(BinaryIO, lzma.LZMAFile(rest)))  # noqa: SIM115 (it goes with us)

    def peek(self, size: int = _BLOCK) -> bytes:
        """Return up to `size` octets without consuming them; fewer only at the end of the stream."""
        if len(self._block) - self._at < size:
            blocks = [self._block[self._at :]]
            have = len(blocks[0])
            while have < size:
                try:
                    more = self._stream.read(max(size - have, _BLOCK))
                except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
                    raise FormatError(f"the file cannot be read on: {error}", self.offset + have) from error
                if not more:
                    break
                blocks.append(more)
                have += len(more)
            self._block, self._at = b"".join(blocks), 0
        return self._block[self._at : self._at + size]

    def at_end(self) -> bool:
        return not self.peek(1)

    def take(self, size: int, what: str) -> bytes:
        """Consume exactly `size` octets of `what`; raise FormatError if the stream ends before."""
        if size > MAXIMUM_RECORD:
            raise FormatError(f"{what} claims {size} octets, more than any can have", self.offset)
        data = self.peek(size)
        if len(data) < size:
            text = f"the file ends within {what}: {size} octets wanted, {len(data)} left"
            raise FormatError(text, self.offset)
        self._at += size
        self.offset += size
        return data

    def some(self) -> bytes:
        """Consume what is at hand, nothing at the end of the stream."""
        return self.take(len(self.peek()), "the file")

    def _decompress(self, stream: BinaryIO) -> None:
        self._stream, self._block, self._at = stream, b"", 0


class _Rest:
    """A stream with the octets that were already taken off its front: what a decompressor asks of a file."""

    def __init__(self, front: bytes, stream: BinaryIO) -> None:
        self._front = front
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if self._front:
            size = len(self._front) if size < 0 else size
            data, self._front = self._front[:size], self._front[size:]
            return data
        return self._stream.read(size)


def lines(stream: BinaryIO, maximum: int) -> Iterator[bytes]:
    """Yield each line as soon as it is there; of a longer one than `maximum` octets, that many."""
    while line := stream.readline(maximum):
        rest = line
        while len(rest) == maximum and not rest.endswith(b"\n"):
            rest = stream.readline(maximum)
        yield line
