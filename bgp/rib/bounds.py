"""What all peers together may make a router hold: so many paths, and octets of attributes.

To count exactly for each UPDATE would take a noticeable part of its time.  So there is an allowance that
every announcement is taken from, whether or not it only replaces another; what is held is looked at when that
is used up, and a new allowance given, never more than is left or than a small part of what is allowed.

Where that leaves no room, the session that holds the most has to go: were it that of whoever comes next, a
peer that fills all and keeps quiet would cost the others theirs.
"""

from collections.abc import Callable

from bgp.errors import Notify
from bgp.iana import CeaseSubcode, ErrorCode

# About ten full tables of the Internet: some gigabytes.
MAX_PATHS = 10_000_000
MAX_ATTRIBUTE_OCTETS = 1 << 30
# The most that is allowed without a look, for paths also come to be without an announcement.
_PATHS, _OCTETS = 1 << 16, 1 << 22


class Bounds:
    """The bounds, and the allowance that is left: it was used up where `paths` or `octets` is negative."""

    __slots__ = ("max_attribute_octets", "max_paths", "octets", "paths")

    def __init__(self, max_paths: int, max_attribute_octets: int) -> None:
        self.max_paths = max_paths
        self.max_attribute_octets = max_attribute_octets
        self.paths = self.octets = 0

    def renew(self, held: tuple[int, int], asked: tuple[int, int], new: Callable[[], int]) -> None:
        """Give a new allowance; raise Notify (Cease) where what is held leaves no room for what is asked.

        Both are numbers of paths and of octets; `new` counts how many of the paths are no replacements.
        """
        paths, octets = self.max_paths - held[0] - asked[0], self.max_attribute_octets - held[1] - asked[1]
        if paths < 0 and held[0] + new() > self.max_paths:
            raise out_of_resources(f"more than {self.max_paths} paths in all")
        if octets < 0:
            raise out_of_resources(f"more than {self.max_attribute_octets} octets of attributes in all")
        self.paths, self.octets = min(paths, _PATHS), min(octets, _OCTETS)

    def grant(self) -> None:
        """Give a small allowance, for there will be room."""
        self.paths = min(_PATHS >> 4, self.max_paths >> 8)
        self.octets = min(_OCTETS >> 4, self.max_attribute_octets >> 8)


def out_of_resources(reason: str) -> Notify:
    """Return a Cease that says that we cannot afford the peer (RFC 4486 section 4)."""
    return Notify(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES, b"", reason)
