"""Declarations of small things that a peer may repeat a thousand times in one message.

construct takes some ten microseconds for each `Struct` that it parses, which a hostile OPEN multiplies to
a tenth of a second.  These parse all of a field at once, in time linear in its octets, and to plain
tuples.  As all of the grammar they take exactly their octets, and raise ConstructError where those do not
fit, whether parsing or building.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any

from construct import ConstructError, ExprAdapter, GreedyBytes

Element = tuple[int, bytes]  # type and value


class Truncated(ConstructError):
    """The last element of a list overruns it: where it begins, and the elements before it."""

    def __init__(self, offset: int, elements: tuple[Element, ...]) -> None:
        super().__init__(f"the element at octet {offset} overruns")
        self.offset = offset
        self.elements = elements


def row(layout: str) -> Any:
    """Declare a field of fixed size by its `struct` layout, as the tuple of its numbers."""
    row = struct.Struct(layout)

    def decode(octets: bytes) -> tuple[int, ...]:
        if len(octets) != row.size:
            raise ConstructError(f"{len(octets)} octets instead of {row.size}")
        return row.unpack(octets)

    return _flat(decode, lambda values: row.pack(*values))


def rows(layout: str) -> Any:
    """Declare any number of rows of a `struct` layout, as a tuple of tuples."""
    row = struct.Struct(layout)

    def decode(octets: bytes) -> tuple[tuple[int, ...], ...]:
        if len(octets) % row.size:
            raise ConstructError(f"{len(octets)} octets are no multiple of {row.size}")
        return tuple(row.iter_unpack(octets))

    return _flat(decode, lambda values: b"".join(row.pack(*value) for value in values))


def headed_rows(head: str, layout: str) -> Any:
    """Declare one row of `head`, then any number of rows of `layout`, as (tuple, tuple of tuples)."""
    first, row = struct.Struct(head), struct.Struct(layout)

    def decode(octets: bytes) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        size = len(octets) - first.size
        if size < 0 or size % row.size:
            raise ConstructError(f"{len(octets)} octets are not {first.size} and a multiple of {row.size}")
        return first.unpack_from(octets), tuple(row.iter_unpack(octets[first.size :]))

    def encode(value: tuple[Iterable[int], Iterable[Iterable[int]]]) -> bytes:
        return first.pack(*value[0]) + b"".join(row.pack(*values) for values in value[1])

    return _flat(decode, encode)


def texts(count: int) -> Any:
    """Declare `count` texts in UTF-8, each behind an octet with its length, as a tuple of them."""

    def decode(octets: bytes) -> tuple[str, ...]:
        found = []
        at = 0
        for _ in range(count):
            end = at + 1 + octets[at] if at < len(octets) else at + 1
            if end > len(octets):
                raise ConstructError(f"the text at octet {at} overruns")
            found.append(octets[at + 1 : end].decode("utf-8"))
            at = end
        if at < len(octets):
            raise ConstructError(f"{len(octets) - at} octets are left over")
        return tuple(found)

    def encode(values: Iterable[str]) -> bytes:
        encoded = [value.encode("utf-8") for value in values]
        return b"".join(len(value).to_bytes(1, "big") + value for value in encoded)

    return _flat(decode, encode)


def elements(size: int) -> Any:
    """Declare any number of elements: a type octet, a length of `size` octets, and a value.

    Raises Truncated where the last one overruns.
    """

    def decode(octets: bytes) -> tuple[Element, ...]:
        found: list[Element] = []
        at, end = 0, len(octets)
        while at < end:
            start = at + 1 + size
            # Where the length itself is cut off, `start` is beyond the end already.
            after = start + int.from_bytes(octets[at + 1 : start], "big")
            if after > end:
                raise Truncated(at, tuple(found))
            found.append((octets[at], octets[start:after]))
            at = after
        return tuple(found)

    def encode(values: Iterable[Element]) -> bytes:
        return b"".join(
            type_.to_bytes(1, "big") + len(value).to_bytes(size, "big") + value for type_, value in values
        )

    return _flat(decode, encode)


def _flat(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Any:
    def parsed(octets: bytes, context: Any) -> Any:
        try:
            return decode(octets)
        except UnicodeDecodeError as error:
            raise ConstructError(str(error)) from None

    def built(value: Any, context: Any) -> bytes:
        try:
            return encode(value)
        except (struct.error, OverflowError, UnicodeEncodeError) as error:
            raise ConstructError(str(error)) from None

    return ExprAdapter(GreedyBytes, parsed, built)
