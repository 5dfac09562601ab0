"""Multipath: the paths of a prefix that traffic may share, and how much of it each one takes.

The set holds the best path first, then those that no rung up to the interior cost tells from it.  It is a
view of the paths, as the best one is, and nothing of it is stored or told to peers.
"""

import math
import struct
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

from bgp.rib.changes import Changes
from bgp.rib.decision import Decision
from bgp.rib.ladder import is_external
from bgp.rib.path import Entry, Kind, Path, paths_of
from bgp.wire.attributes import Attributes

# Type and sub-type of the Link Bandwidth extended community, transitive and not (RFC 10005 section 2, which
# was draft-ietf-idr-link-bandwidth).
_LINK_BANDWIDTH = (b"\x00\x04", b"\x40\x04")

# The largest weight: forwarding planes hold it in one octet, less one.
MAXIMUM_WEIGHT = 256


class Hop(NamedTuple):
    """A path of a multipath set, and its share of the traffic: `weight` of the sum of all weights.

    1 to 256; 0 for a path that asks for no traffic as long as others take some.
    """

    path: Path
    weight: int


class Multipath:
    """Finds multipath sets as the options of `decision` say.

    Such a set is either of external or of internal paths, for these differ in a rung before the interior
    cost, and each kind has a maximum of its own; peers in other members of a confederation are internal
    (RFC 5065 section 5.3).  A route of our own shares with none.  Without `multipath_relax` external paths of
    a set come from one neighboring AS, and internal ones have the same AS_PATH, as FRRouting has it, too;
    BIRD compares neither.  A path whose next hop is that of a better one adds nothing, so it is left out.
    """

    __slots__ = ("_external", "_internal", "_relax", "decision", "enabled")

    def __init__(self, decision: Decision) -> None:
        options = decision.options
        self.decision = decision
        self._external = options.maximum_paths_external
        self._internal = options.maximum_paths_internal
        self._relax = options.multipath_relax
        self.enabled = options.multipath

    def paths(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """Return the multipath set among the paths of a prefix, best first; empty where none is usable."""
        best = self.decision.best(paths)
        if best is None:
            return ()
        kind = best.source.kind
        if kind is Kind.LOCAL:
            return (best,)
        maximum = self._external if is_external(kind) else self._internal
        if maximum == 1:
            return (best,)
        found: dict[bytes, Path] = {}
        for path in self.decision.equal(paths):
            if path.source.kind is not Kind.LOCAL and (self._relax or _alike(best, path)):
                found.setdefault(path.attributes.next_hop, path)
        return tuple(found.values())[:maximum]

    def hops(self, paths: Sequence[Path]) -> tuple[Hop, ...]:
        """Return the multipath set with weights."""
        chosen = self.paths(paths)
        return tuple(map(Hop, chosen, weights(chosen)))


class HopChanges:
    """Collects how multipath sets change in one flush: `found` has the new ones by prefix."""

    __slots__ = ("_known", "_multipath", "found")

    def __init__(self, multipath: Multipath) -> None:
        self._multipath = multipath
        self._known: dict[Entry | None, tuple[Hop, ...]] = {}
        self.found: dict[bytes, tuple[Hop, ...]] = {}

    def note(self, prefix: bytes, before: Entry | None, now: Entry | None) -> None:
        """Take note of a prefix that had `before` and has `now`."""
        hops = self._hops(now)
        if hops != self._hops(before):
            self.found[prefix] = hops

    def fresh(self, best: Changes) -> None:
        """Take note of prefixes that had no path and have one."""
        for path, prefixes in best.fresh.items():
            hops = self._hops(path)
            for prefix in prefixes:
                self.found.setdefault(prefix, hops)

    def _hops(self, entry: Entry | None) -> tuple[Hop, ...]:
        # Many prefixes change alike.
        hops = self._known.get(entry)
        if hops is None:
            hops = self._known[entry] = self._multipath.hops(paths_of(entry))
        return hops


def _alike(best: Path, path: Path) -> bool:
    if is_external(best.source.kind):
        return path.source.asn == best.source.asn
    return path.attributes.as_path == best.attributes.as_path


def bandwidth(attributes: Attributes) -> float | None:
    """Return the link bandwidth in octets per second, None without a valid one.

    Of several the lowest, transitive or not; one that is negative is ignored (RFC 10005 section 4), and so is
    what is no finite number.
    """
    found: list[float] = []
    for community in attributes.extended_communities:
        if community[:2] in _LINK_BANDWIDTH:
            (value,) = struct.unpack(">f", community[4:])
            if 0 <= value < math.inf:  # which is false of what is no number
                found.append(value)
    return min(found, default=None)


def weights(paths: Sequence[Path]) -> tuple[int, ...]:
    """Return the weight of each path of a multipath set.

    In proportion to their link bandwidths, if all have one; all the same otherwise (RFC 10005 section 4).
    What has a bandwidth of zero takes no traffic, unless all have that: then all take the same (section 3.2).
    """
    found = [bandwidth(path.attributes) for path in paths] if len(paths) > 1 else []
    known = [value for value in found if value is not None]
    if not known or len(known) < len(paths) or not any(known):
        return (1,) * len(paths)
    highest = max(known)
    scaled = [max(1, round(MAXIMUM_WEIGHT * (value / highest))) if value else 0 for value in known]
    divisor = reduce(math.gcd, scaled)
    return tuple(value // divisor for value in scaled)
