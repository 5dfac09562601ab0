"""The decision of the slow router: a path is out when another one beats it, rung by rung, all with all.

It shares no rung, no number and no order with the real one.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bgp.iana import AttributeType, WellKnownCommunity
from bgp.rib.decision import DecisionOptions
from bgp.rib.path import Kind
from bgp.wire import aspath
from bgp.wire.attributes import Attributes

if TYPE_CHECKING:
    from bgp.testing.reference.router import Route

Item = tuple["Route", Attributes]
# Whether the second path, which beats the first, puts it out.
Beats = Callable[[Item, Item], bool]


def is_outside(item: Item) -> bool:
    return Kind.LOCAL < item[0].party.kind < Kind.CLIENT


def is_stale(item: Item) -> bool:
    return WellKnownCommunity.LLGR_STALE in item[1].communities


def preference(item: Item) -> int:
    return 100 if item[1].local_pref is None else item[1].local_pref


def accumulated(item: Item) -> int | None:
    value = item[1].get(AttributeType.AIGP)
    return None if value is None else int.from_bytes(value[3:11], "big")


def neighbor(item: Item) -> int | None:
    """Return the first AS of the AS_PATH, None where that is ours."""
    for type_, asns in aspath.without_confederation(item[1].as_path):
        return asns[0] if type_ == 2 else None
    return None


def identifier(item: Item) -> bytes:
    return item[0].party.identifier.to_bytes(4, "big")


class ReferenceDecision:
    def __init__(self, options: DecisionOptions, costs: Mapping[bytes, int | None], aggregate: int) -> None:
        self.options = options
        self.costs = costs
        self.aggregate = aggregate

    def cost(self, item: Item) -> int:
        return self.costs.get(item[1].next_hop[:16], 0) or 0

    def med(self, item: Item) -> int:
        missing = 0xFFFFFFFF if self.options.med_missing_as_worst else 0
        return missing if item[1].med is None else item[1].med

    def worse_by_aigp(self, one: Item, other: Item) -> bool:
        mine, theirs = accumulated(one), accumulated(other)
        if theirs is None:
            return False
        return mine is None or mine + self.cost(one) > theirs + self.cost(other)

    def worse_by_med(self, one: Item, other: Item) -> bool:
        comparable = self.options.always_compare_med or neighbor(one) == neighbor(other)
        return comparable and self.med(one) > self.med(other)

    def tied(self, items: list[Item]) -> list[Item]:
        """Return the paths that are equal up to the interior cost."""
        options = self.options
        beats: list[Beats] = [
            lambda one, other: is_stale(one) and not is_stale(other),
            lambda one, other: preference(one) < preference(other),
        ]
        if options.aigp:
            beats.append(self.worse_by_aigp)
        if not options.ignore_as_path_length:
            beats.append(lambda one, other: aspath.length(one[1].as_path) > aspath.length(other[1].as_path))
        beats += [
            lambda one, other: one[1].origin > other[1].origin,
            self.worse_by_med,
            lambda one, other: one[0].party.kind >= Kind.CLIENT > other[0].party.kind,
            lambda one, other: self.cost(one) > self.cost(other),
        ]
        for beat in beats:
            items = [one for one in items if not any(beat(one, other) for other in items)]
        return items

    def elected(self, items: list[Item]) -> tuple[Item, list[Item]]:
        """Return the best path, and those that are equal to it up to the interior cost."""
        tied = left = self.tied(items)
        if self.options.prefer_oldest:
            outside = [item for item in left if is_outside(item)]
            if outside:
                oldest = min(outside, key=lambda item: item[0].age)
                left = [one for one in left if not is_outside(one) or identifier(one) == identifier(oldest)]

        def rest(item: Item) -> tuple[object, ...]:
            route, attributes = item
            # Of two routes of our own an aggregate is the last resort.
            path_id = 1 if route.path_id == self.aggregate else route.path_id
            return (
                attributes.get(AttributeType.ORIGINATOR_ID) or identifier(item),
                len(attributes.get(AttributeType.CLUSTER_LIST) or b""),
                (len(route.party.address), route.party.address),
                -1 if path_id is None else path_id,
                route.party.name,
            )

        return min(left, key=rest), tied

    def multipath(self, items: list[Item]) -> list[Item]:
        """Return the paths that may share the traffic, best first."""
        if not items:
            return []
        best, left = self.elected(items)
        if best[0].party.kind is Kind.LOCAL:
            return [best]
        found: list[Item] = []
        while left:
            item = self.elected(left)[0]
            left = [one for one in left if one is not item]
            if item[0].party.kind is Kind.LOCAL or any(item[1].next_hop == one[1].next_hop for one in found):
                continue
            if not self.options.multipath_relax:
                if is_outside(best) and item[0].party.asn != best[0].party.asn:
                    continue
                if not is_outside(best) and item[1].as_path != best[1].as_path:
                    continue
            found.append(item)
        options = self.options
        maximum = options.maximum_paths_external if is_outside(best) else options.maximum_paths_internal
        return found[:maximum]
