"""Which routes somebody wants to hear of.

Conditions are on the path, and asked once for many prefixes; or on the prefix, and asked only behind those.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bgp.family import FAMILIES, Family
from bgp.rib import lookup
from bgp.rib.path import Path
from bgp.rib.selection import BEST, Selection
from bgp.wire.community import LargeCommunity


@dataclass(frozen=True, slots=True)
class Interest:
    """All routes of `families` that fulfill each condition which is given.

    `selection`: the best path of each prefix, or several; with None no routes at all.  `exact`: this prefix;
    `within`: it or a more specific one.  `peer`: paths of the peer with that name, "" for our own.
    `communities`: paths with one of these, plain or large, as import policy left them.
    """

    families: tuple[Family, ...] = FAMILIES
    selection: Selection | None = BEST
    exact: bytes | None = None
    within: bytes | None = None
    peer: str | None = None
    communities: frozenset[int | LargeCommunity] = frozenset()

    def wants(self, path: Path) -> bool:
        """Whether the path fulfills the conditions on it."""
        if path.refusal is not None or (self.peer is not None and path.slot.peer != self.peer):
            return False
        if not self.communities:
            return True
        attributes, wanted = path.attributes, self.communities
        return not wanted.isdisjoint(attributes.communities) or not wanted.isdisjoint(
            attributes.large_communities
        )

    def matcher(self) -> Callable[[Iterable[bytes]], list[bytes]] | None:
        """Return what finds the prefixes that fulfill the conditions on them; None where all do."""
        if self.exact is not None:
            exact = self.exact
            return lambda some: [each for each in some if each == exact]
        return lookup.within(self.within) if self.within else None
