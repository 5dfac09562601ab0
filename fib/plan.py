"""What to do to a table so that it holds what is wanted: a pure difference, in an order that is safe.

A change is one prefix with what the kernel has of ours and what it shall have.  A next hop that changes is
one replace, so no packet finds the prefix without a route; where the metric changes the kernel knows two
routes, and who carries a change out adds the new one first.  Of a plan, additions come first, and deletions
last, the longest prefixes first: a route that covers others outlives them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bgp.family import Family
from fib.route import Route, satisfies

# (prefix, what the kernel has of ours, what it shall have).  A plain tuple: there are millions of them.
Change: TypeAlias = tuple[bytes, Route | None, Route | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that make `installed` what was `wanted`, of one family."""

    add: list[Change] = field(default_factory=list)
    replace: list[Change] = field(default_factory=list)
    delete: list[Change] = field(default_factory=list)

    def __iter__(self) -> Iterator[Change]:
        yield from self.add
        yield from self.replace
        yield from self.delete

    def __len__(self) -> int:
        return len(self.add) + len(self.replace) + len(self.delete)


def plan(
    wanted: Mapping[bytes, Route],
    installed: Mapping[bytes, Route] | Iterable[tuple[bytes, Route]],
    family: Family,
) -> Plan:
    """Return what makes `installed`, all of it our own, equal to `wanted`.

    `installed` may hold a prefix several times with different metrics, as a crash between an addition and a
    deletion leaves it: then the one with the wanted metric is compared, and the others are deleted.
    """
    found = Plan()
    rows = list(installed.items() if isinstance(installed, Mapping) else installed)
    metrics: dict[bytes, list[Route]] = {}
    for prefix, route in rows:
        metrics.setdefault(prefix, []).append(route)
    for prefix, goal in wanted.items():
        have = metrics.pop(prefix, None)
        if have is None:
            found.add.append((prefix, None, goal))
            continue
        # The one of equal metric is what the kernel will replace; failing that, any is deleted after.
        have.sort(key=lambda route: route.metric != goal.metric)
        if not satisfies(have[0], goal, family):
            found.replace.append((prefix, have[0], goal))
        found.delete.extend((prefix, stale, None) for stale in have[1:])
    found.delete.extend((prefix, stale, None) for prefix, have in metrics.items() for stale in have)
    found.add.sort(key=_length)
    found.delete.sort(key=_length, reverse=True)
    return found


def _length(change: Change) -> int:
    return change[0][0]
