"""Aggregation: one route of ours in place of, or beside, the more specific ones that there are.

An aggregate is originated for as long as there is a usable best route that is more specific, an own one
included.  Aggregates do not contribute to each other: what contributes to the inner one contributes to the
outer one as well.  What its attributes depend on is little (`Aggregate`), so they rarely change while
contributors come and go.

RFC 4271 section 9.2.2.2 says how attributes are combined, and RFC 9774 section 5.2 what becomes of AS_PATH:
there are no AS_SETs, and the origin AS does not depend on who contributes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bgp.iana import Origin, SegmentType
from bgp.rib.asking import Failures, ask
from bgp.rib.census import Census, Tally
from bgp.rib.path import Kind, Path, Policy, Refusal, Slot, Source
from bgp.rib.table import Table
from bgp.wire import aspath
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.community import LargeCommunity

# The path identifier of aggregates: a route of our own for the same prefix has a slot without one.
PATH_ID = 1
_SEQUENCE = int(SegmentType.AS_SEQUENCE)


def is_aggregate(path: Path) -> bool:
    """Whether `path` is an aggregate of ours."""
    return path.source.kind is Kind.LOCAL and path.slot.path_id == PATH_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """How to aggregate what is more specific than a prefix.

    `summary_only`: peers are not told of the more specific routes.  `origin_as`: how much of the AS_PATHs is
    kept: what is common to the beginning of all, up to the last place of that AS in it, and nothing where it
    is not there or by default; then we are the origin.  `matching_med`: aggregate only while the MEDs
    of all contributors are equal.  `communities`: take over the communities of all.  `policy` may change
    the attributes, or refuse the aggregate; then the more specific routes are told.
    """

    summary_only: bool = False
    origin_as: int | None = None
    matching_med: bool = False
    communities: bool = False
    policy: Policy | None = None


class Look(NamedTuple):
    """What of a contributor matters to the aggregate; what does not is left empty."""

    origin: int
    as_path: tuple[int, ...] = ()
    med: int | None = None
    communities: tuple[int, ...] = ()
    extended_communities: tuple[bytes, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()


def look(aggregate: Aggregate, attributes: Attributes) -> Look:
    """Return what of a contributor's attributes matters to `aggregate`."""
    found = Look(attributes.origin)
    if aggregate.origin_as is not None:
        found = found._replace(as_path=_cut(_leading(attributes), aggregate.origin_as))
    if aggregate.matching_med:
        found = found._replace(med=attributes.med)
    if aggregate.communities:
        found = found._replace(
            communities=attributes.communities,
            extended_communities=attributes.extended_communities,
            large_communities=attributes.large_communities,
        )
    return found


def _leading(attributes: Attributes) -> tuple[int, ...]:
    """Return the ASes before the first AS_SET."""
    found: list[int] = []
    for type_, asns in aspath.without_confederation(attributes.as_path):
        if type_ != _SEQUENCE:
            break
        found += asns
    return tuple(found)


def _cut(path: tuple[int, ...], origin_as: int) -> tuple[int, ...]:
    """Return `path` up to the last place of `origin_as`, nothing where it has none (RFC 9774 5.2)."""
    while path and path[-1] != origin_as:
        path = path[:-1]
    return path


def _common(paths: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the longest beginning that all paths have (RFC 4271 9.2.2.2)."""
    kept: list[int] = []
    for asns in zip(*paths, strict=False):
        if len(set(asns)) > 1:
            break
        kept.append(asns[0])
    return tuple(kept)


def combined(
    aggregate: Aggregate, looks: Iterable[Look], table: AttributeTable, asn: int, identifier: bytes
) -> Attributes:
    """Return the attributes of an aggregate of contributors that look like `looks`.

    The next hop is ourselves (RFC 4271 9.2.2.2: it "SHALL identify an interface on the BGP speaker that
    performs the aggregation"), and so is AGGREGATOR, in place of theirs; there is no MED, which would be that
    of a neighbor.  RFC 9774 6.1: AGGREGATOR and ATOMIC_AGGREGATE are always there.
    """
    looks = list(looks)
    path: tuple[int, ...] = ()
    if aggregate.origin_as is not None:
        # What was cut before still begins with all that is common up to that AS.
        path = _cut(_common(each.as_path for each in looks), aggregate.origin_as)
    return table.make(
        # INCOMPLETE if one is, else EGP if one is, else IGP: the highest.
        origin=max((each.origin for each in looks), default=Origin.IGP),
        as_path=path,
        atomic_aggregate=True,
        aggregator=(asn, ".".join(map(str, identifier))),
        # RFC 1997 asks for them only where there is no ATOMIC_AGGREGATE.  In order, to be the same each time.
        communities=sorted({one for each in looks for one in each.communities}),
        extended_communities=sorted({one for each in looks for one in each.extended_communities}),
        large_communities=sorted({one for each in looks for one in each.large_communities}),
    )


class _Active:
    """An aggregate at work; `hides`: peers are told of it in place of what is more specific."""

    __slots__ = ("aggregate", "attributes", "hides", "tally")

    def __init__(self, aggregate: Aggregate, tally: Tally) -> None:
        self.aggregate = aggregate
        self.tally = tally
        self.attributes: Attributes | None = None
        self.hides = False


class Aggregates:
    """The aggregates of one table: routes of `source` in `slot`."""

    __slots__ = ("_attributes", "_census", "_failures", "_known", "_slot", "_source", "_table")

    def __init__(
        self,
        table: Table,
        census: Census,
        source: Source,
        slot: Slot,
        attributes: AttributeTable,
        failures: Failures,
    ) -> None:
        self._table = table
        self._census = census
        self._source = source
        self._slot = slot
        self._attributes = attributes
        self._failures = failures
        self._known: dict[bytes, _Active] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def __iter__(self) -> Iterator[tuple[bytes, Aggregate]]:
        """Iterate over prefixes and how they are aggregated."""
        for prefix, active in self._known.items():
            yield prefix, active.aggregate

    def add(self, prefix: bytes, aggregate: Aggregate) -> None:
        """Aggregate what is more specific than `prefix`, in place of an earlier aggregate for it."""
        before = self._known.get(prefix)
        if before is not None:
            if before.aggregate == aggregate:
                return
            self._census.leave(before.tally)

        def looks(path: Path) -> Look | None:
            return None if is_aggregate(path) else look(aggregate, path.attributes)

        active = self._known[prefix] = _Active(aggregate, Tally(looks))
        if before is not None:
            # Until the new one knows its contributors all stays as it is.
            active.attributes, active.hides = before.attributes, before.hides
        self._census.count_within(prefix, active.tally)

    def remove(self, prefix: bytes) -> None:
        """Aggregate `prefix` no more; raises KeyError if it was not aggregated."""
        active = self._known.pop(prefix)
        self._census.leave(active.tally)
        if active.attributes is not None:
            self._table.withdraw(self._slot, [prefix])

    @property
    def hiding(self) -> frozenset[bytes]:
        """The prefixes of which peers are told in place of what is more specific.

        One without contributors is among them as well, for there is no route that it would hide: so the set
        changes only when an aggregate comes, goes, or cannot be made of its contributors.
        """
        return frozenset(prefix for prefix, active in self._known.items() if active.hides)

    def run(self) -> bool:
        """Announce and withdraw what the tallies ask for; return whether `hiding` changed."""
        changed = False
        for prefix, active in self._known.items():
            tally = active.tally
            if tally.changed and tally.ready:
                tally.changed = False
                attributes = self._make(prefix, active) if tally.looks else None
                hides = active.aggregate.summary_only and (attributes is not None or not tally.looks)
                if hides is not active.hides:
                    active.hides = hides
                    changed = True
                if attributes is not active.attributes:
                    active.attributes = attributes
                    if attributes is None:
                        self._table.withdraw(self._slot, [prefix])
                    else:
                        self._table.announce(self._source, self._slot, attributes, [prefix])
        return changed

    def _make(self, prefix: bytes, active: _Active) -> Attributes | None:
        aggregate, source = active.aggregate, self._source
        looks = [each for each in active.tally.looks if isinstance(each, Look)]
        if aggregate.matching_med and len({each.med for each in looks}) > 1:
            # RFC 4271 section 9.2.2.2: "Routes that have different MULTI_EXIT_DISC attributes SHALL NOT be
            # aggregated."
            return None
        attributes = combined(aggregate, looks, self._attributes, source.asn, source.identifier)
        policy = aggregate.policy
        if policy is None:
            return attributes
        try:
            answer = ask(
                policy,
                Path(source, self._slot, attributes),
                prefix if getattr(policy, "reads_prefix", False) else None,
            )
        except Exception:
            self._failures.report(policy, "the policy of an aggregate failed; it is not announced")
            return None
        return None if answer is None or isinstance(answer, Refusal) else answer.attributes
