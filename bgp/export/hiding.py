"""What peers are not told, though all else would let it pass, because something else is told instead.

What is more specific than a summary-only aggregate is hidden behind that.  Such an aggregate is active
wherever there is a route to hide: a best route that is more specific makes it so.  Hence what is hidden
depends on the prefix alone, and not on whether the aggregate happens to be active.
"""

from collections.abc import Callable, Iterable

from bgp.export.rules import Withheld
from bgp.family import Family
from bgp.rib.aggregate import is_aggregate
from bgp.rib.covering import Covering
from bgp.rib.path import Path

SUMMARY_ONLY = Withheld(
    "summary-only", "RFC 4271 9.2.2.2", "it is more specific than an aggregate that is told instead"
)

Hiding = Callable[[Family, Path, bytes], Withheld | None]


def hiding(summaries: Iterable[tuple[Family, bytes]]) -> Hiding | None:
    """Return what says why a path is not told for a prefix, None where everything is told."""
    by_family: dict[Family, dict[bytes, bool]] = {}
    for family, prefix in summaries:
        by_family.setdefault(family, {})[prefix] = True
    if not by_family:
        return None
    covering = {family: Covering(prefixes) for family, prefixes in by_family.items()}

    def hidden(family: Family, path: Path, prefix: bytes) -> Withheld | None:
        covers = covering.get(family)
        # An aggregate within another one was asked for, and so it is told.
        if covers is not None and covers(prefix) and not is_aggregate(path):
            return SUMMARY_ONLY
        return None

    return hidden
