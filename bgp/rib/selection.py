"""Which paths of a prefix a peer with ADD-PATH is told (RFC 7911): a function of the prefix's paths.

The N best are the best, then the best of what is left, and so on: the MED is compared among paths of one
neighboring AS only (RFC 4271 9.1.2.2 c), so there is no order to sort them by.  Paths are selected before the
rules of export: a peer that is not told one of them, as it came from there, is told the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bgp.rib.decision import Decision
from bgp.rib.path import Path


class Scope(Enum):
    """What is selected of the usable paths of a prefix."""

    BEST = "best"  # so many of the best
    EQUAL = "equal"  # the best, and what ties with it up to the interior cost
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Selection:
    """A scope, and for the best how many; raises ValueError for less than one."""

    scope: Scope
    count: int = 0

    def __post_init__(self) -> None:
        if (self.count < 1) is (self.scope is Scope.BEST):
            raise ValueError(f"{self.count} {self.scope.value} paths cannot be selected")

    def __str__(self) -> str:
        return f"best {self.count}" if self.count > 1 else self.scope.value


def best_n(count: int) -> Selection:
    """Return the selection of the `count` best paths."""
    return Selection(Scope.BEST, count)


_BEST, _EQUAL, _ALL = Scope.BEST, Scope.EQUAL, Scope.ALL  # members of an Enum are slow to look up
BEST, EQUAL, ALL = best_n(1), Selection(Scope.EQUAL), Selection(Scope.ALL)


def select(decision: Decision, selection: Selection, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return those of `paths` that are selected; the best one stands first, before and after."""
    scope, count = selection.scope, selection.count
    if scope is _BEST and count == 1:
        return paths[:1] if paths and paths[0].refusal is None else ()
    usable = tuple([path for path in paths if path.refusal is None])
    if scope is _ALL or len(usable) < 2:
        return usable
    if scope is _EQUAL:
        return decision.equal(usable)
    return usable if len(usable) <= count else decision.ranked(usable, count)
