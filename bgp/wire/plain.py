"""The shape that nearly every block of attributes has, as one pattern: the walk's fast twin.

A block that matches is without fault, canonical but for NEXT_HOP, and needs no walk; whatever does not
match is examined in full.  One match costs a sixth of the walk in `bgp.wire.examination`, which stays the
readable original: both are judged by the same tests.
"""

import re
from collections.abc import Callable

from bgp.wire.context import Context

Match = Callable[..., re.Match[bytes] | None]

_AS_ZERO = bytes(4)
_AS_PATH_VALUE = 7  # behind ORIGIN and AS_PATH's header
_NEXT_HOP_OCTETS = 7

# The length octets of a value that is a list, each with as many octets as it tells.
_SHORT_PATH = range(1, 40)


def _listed(lengths: range) -> bytes:
    return b"|".join(b"\\x%02x.{%d}" % (length, length) for length in lengths)


def _pattern(context: Context, with_next_hop: bool) -> bytes:
    """Return the pattern of a block in ascending order, in the shortest length form, of an iBGP or eBGP
    session with four-octet AS numbers.  Its first group is empty and stands behind AS_PATH, its second one
    before ORIGINATOR_ID's place."""
    path = b"|".join(b"\\x%02x\\x02\\x%02x.{%d}" % (2 + 4 * n, n, 4 * n) for n in _SHORT_PATH)
    parts = [
        rb"\x40\x01\x01[\x00-\x02]",  # ORIGIN
        rb"\x40\x02(?:\x00|" + path + rb")()",  # AS_PATH: nothing, or one AS_SEQUENCE
    ]
    if with_next_hop:
        # What examination refuses as no host address begins with one of these octets.
        parts.append(rb"\x40\x03\x04[^\x00\x7f\xe0-\xef\xff].{3}")
    parts.append(rb"(?:\x80\x04\x04.{4})?")  # MULTI_EXIT_DISC
    if context.internal:
        parts.append(rb"\x40\x05\x04.{4}")  # LOCAL_PREF
    parts += [
        rb"(?:\x40\x06\x00)?",  # ATOMIC_AGGREGATE
        rb"(?:[\xc0\xe0]\x07\x08(?!\x00{4}).{8})?",  # AGGREGATOR
        rb"(?:[\xc0\xe0]\x08(?:" + _listed(range(4, 256, 4)) + rb"))?()",  # COMMUNITIES
    ]
    if context.internal:
        parts += [
            rb"(?:\x80\x09\x04.{4})?",  # ORIGINATOR_ID
            rb"(?:\x80\x0a(?:" + _listed(range(4, 68, 4)) + rb"))?",  # CLUSTER_LIST
        ]
    parts.append(rb"(?:[\xc0\xe0]\x10(?:" + _listed(range(8, 72, 8)) + rb"))?")  # EXTENDED_COMMUNITIES
    return b"".join(parts)


class Plain:
    """Recognizes blocks of the usual shape on one session; on unusual sessions, none."""

    __slots__ = ("_classic", "_multiprotocol")

    def __init__(self, context: Context) -> None:
        self._classic: Match | None = None
        self._multiprotocol: Match | None = None
        demands_first_as = context.first_as and not context.internal
        if context.four_octet_as and not context.confederation and not demands_first_as:
            self._classic = re.compile(_pattern(context, True), re.DOTALL).fullmatch
            self._multiprotocol = re.compile(_pattern(context, False), re.DOTALL).fullmatch

    def classic(self, body: bytes, start: int, end: int) -> tuple[bytes, bytes, int] | None:
        """Return the canonical octets, next hop and `head` of the block with NEXT_HOP from `start` to `end`.

        `head` is what `Attributes.head` is; None where the block is not usual.
        """
        if self._classic is None or (match := self._classic(body, start, end)) is None:
            return None
        path = match.end(1)
        # Four zero octets may be AS 0 (RFC 7607), or parts of its neighbors.
        if body.find(_AS_ZERO, start + _AS_PATH_VALUE, path) >= 0:
            return None
        after = path + _NEXT_HOP_OCTETS
        octets = body[start:path] + body[after:end]
        return octets, body[after - 4 : after], match.end(2) - start - _NEXT_HOP_OCTETS

    def multiprotocol(self, block: bytes) -> int:
        """Return the `head` of a block, behind MP_REACH_NLRI, that is canonical as it is, else 0."""
        if self._multiprotocol is None or (match := self._multiprotocol(block)) is None:
            return 0
        return 0 if block.find(_AS_ZERO, _AS_PATH_VALUE, match.end(1)) >= 0 else match.end(2)
