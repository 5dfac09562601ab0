"""The report of update groups: who is told alike, on which terms, and how far everybody is."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from bgp.explanation import policy_name
from bgp.export.group import Group
from bgp.export.terms import Terms
from reflector.report.row import Row
from reflector.report.slices import in_slices
from reflector.report.words import kind

if TYPE_CHECKING:
    from reflector.app import Service


class Numbers:
    """Gives each group a number that stays its own, and is no other's later."""

    def __init__(self) -> None:
        self._numbers: WeakKeyDictionary[Group, int] = WeakKeyDictionary()
        self._given = 0

    def of(self, group: Group) -> int:
        """Return the number of a group."""
        number = self._numbers.get(group)
        if number is None:
            self._given += 1
            number = self._numbers[group] = self._given
        return number


# Names that a row lists.
_NAMED = 20


async def groups(service: "Service") -> AsyncGenerator[Row, None]:
    """Yield a row for each group, the biggest one first."""
    now = asyncio.get_running_loop().time()
    found = sorted(service.speaker.router.groups.items(), key=lambda item: -len(item[1].listeners))
    for terms, group in found:
        yield await _row(service.group_numbers.of(group), terms, group, now)


async def _row(number: int, terms: Terms, group: Group, now: float) -> Row:
    members = list(group.listeners)
    behind, pending, dumping, lag = [], 0, 0, 0.0
    async for some in in_slices(list(group.listeners.items())):
        some = [(name, each) for name, each in some if group.listeners.get(name) is each]  # others have left
        behind += [name for name, each in some if each.behind]
        pending += sum([each.pending for _, each in some])
        dumping += sum([bool(each.dumps) for _, each in some])
        lag = max([lag, *[group.lag(each, now) for _, each in some]])
    return {
        "group": number,
        "kind": kind(terms.kind),
        "families": [family.name for family in terms.families],
        "terms": _terms(terms),
        "members": len(members),
        "names": members[:_NAMED],
        "behind": behind[:_NAMED],
        "pending": pending,
        "dumping": dumping,
        "queue": group.train.octets,
        "lag": lag,
    }


def _terms(terms: Terms) -> list[str]:
    """Return in words what sets the group apart from others of its kind."""
    found = []
    if terms.policy is not None:
        found.append(f"export {policy_name(terms.policy)}")
    if terms.next_hop_self:
        found.append("next hop self")
    found += [f"ADD-PATH {selection} {family}" for family, selection in terms.add_path]
    if not terms.four_octet_as:
        found.append("two-octet AS numbers")
    if terms.extended_next_hop:
        found.append("IPv6 next hops for IPv4")
    if terms.maximum > 4096:
        found.append("extended messages")
    if terms.role is not None:
        found.append(f"role {terms.role.name.lower()}")
    if terms.advertisement_interval:
        found.append(f"interval {terms.advertisement_interval:g} s")
    if terms.defaults:
        found.append("default route")
    if terms.withheld:
        found.append(f"{len(terms.withheld)} conditions do not hold")
    return found
