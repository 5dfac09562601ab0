"""Looking into a table: the longest match, what covers a prefix, and what a prefix covers.

No index is kept for it, as a table would load more slowly then: what covers an address is asked for length by
length, at most 33 or 129 times, which costs some ten microseconds.  What a prefix covers is found by going
through the table (`bgp.rib.walk`).
"""

from collections.abc import Callable, Iterable, Iterator

from bgp.rib.table import Table

Matcher = Callable[[Iterable[bytes]], list[bytes]]


def covering(table: Table, prefix: bytes) -> Iterator[bytes]:
    """Yield the prefixes of the table that cover `prefix`, itself among them, the longest one first."""
    entries = table.entries
    for length in range(prefix[0], -1, -1):
        whole, rest = length >> 3, length & 7
        cut = bytes((length,)) + prefix[1 : 1 + whole]
        if rest:
            cut += bytes((prefix[1 + whole] & (0xFF00 >> rest) & 0xFF,))
        if cut in entries:
            yield cut


def longest(table: Table, prefix: bytes) -> bytes | None:
    """Return the longest prefix that covers `prefix` and has a usable path, None if there is none."""
    for found in covering(table, prefix):
        # Whichever is the best one, a prefix with a usable path has one that is.
        paths = table.paths(found)
        if paths[0].refusal is None:
            return found
    return None


def within(prefix: bytes) -> Matcher:
    """Return what finds, among some prefixes, those that `prefix` covers, itself included."""
    length = prefix[0]
    end, rest = 1 + (length >> 3), length & 7
    head = prefix[1:end]
    if not length:
        return list
    if not rest:
        return lambda some: [each for each in some if each[0] >= length and each[1:end] == head]
    mask = (0xFF00 >> rest) & 0xFF
    last = prefix[end]
    return lambda some: [
        each for each in some if each[0] >= length and each[1:end] == head and each[end] & mask == last
    ]
