"""What a router's tables hold, to be read: nothing here is stored, all of it is derived.

What is yielded is read as it is asked for, so the tables must not change meanwhile; a walk may be continued
in steps between which they do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from bgp import explanation
from bgp.explanation import Account, Explanation
from bgp.export import default
from bgp.export.errand import Errand
from bgp.export.gate import NOT_INSTALLED, Gate
from bgp.export.group import Group
from bgp.export.pack import Packer, Told
from bgp.export.rules import NO_ROUTE, NOT_NEGOTIATED, SENDER, TOO_LONG, Withheld
from bgp.family import Family
from bgp.member import Member
from bgp.policy import Policy
from bgp.preview import Difference, preview_export, preview_import
from bgp.rib import lookup, weight
from bgp.rib.admission import Admission
from bgp.rib.multipath import Hop, Multipath
from bgp.rib.path import Path, Slot, best_of
from bgp.rib.table import Table
from bgp.rib.walk import Walk
from bgp.rib.weight import Weight
from bgp.wire.attributes import Attributes, AttributeTable

# So many paths are weighed in one part.
_WEIGHED = 1024


class Advertised(NamedTuple):
    """A route as a member was told it; `path_id` is our identifier, None without ADD-PATH."""

    prefix: bytes
    path_id: int | None
    attributes: Attributes
    path: Path


class Views:
    """The Adj-RIBs-In, the Loc-RIB and the Adj-RIBs-Out of a router (RFC 4271 section 3.2)."""

    def __init__(
        self,
        tables: Mapping[Family, Table],
        admission: Admission,
        multipath: Multipath,
        gate: Gate,
        own: Slot,
        attributes: AttributeTable,
    ) -> None:
        self._tables = tables
        self._admission = admission
        self._multipath = multipath
        self._decision = multipath.decision
        self._gate = gate
        self._own = own
        self._attributes = attributes

    @property
    def routes(self) -> int:
        """The routes that are held, of all families; several paths to a prefix are several routes."""
        return sum(table.routes for table in self._tables.values())

    def routes_of(self, family: Family) -> int:
        """Return how many routes of `family` are held."""
        return self._tables[family].routes

    @property
    def prefixes(self) -> dict[Family, int]:
        """How many prefixes each family's table holds."""
        return {family: len(table.entries) for family, table in self._tables.items()}

    @property
    def attribute_octets(self) -> int:
        """The octets of attributes that are held."""
        return sum(table.octets for table in self._tables.values())

    def weigh(self) -> Iterator[tuple[str, Weight]]:
        """Yield what takes memory here, and how much: a part at a time, for there may be many."""
        for family, table in self._tables.items():
            yield f"prefixes {family}", weight.of_prefixes(table)
            yield f"paths {family}", Weight(0, weight.of_containers(table))
            for start in range(0, len(table.order), _WEIGHED):
                # What comes meanwhile is not missed, and what goes is counted as it was.
                yield f"paths {family}", weight.of_paths(table.order[start : start + _WEIGHED])
        for some in weight.of_attributes(self._attributes):
            yield "attribute sets", some

    def lookup(self, family: Family, prefix: bytes) -> tuple[Path, ...]:
        """Return the paths of `prefix`, the best one first if any is usable."""
        return self._tables[family].paths(prefix)

    def explain(self, family: Family, prefix: bytes) -> Explanation:
        """Say of each path of `prefix` by which rule it was refused, or lost, or why it is the best one."""
        verdicts = self._decision.explain(self._tables[family].paths(prefix))
        return explanation.explanation(family, prefix, verdicts, self._admission)

    def explain_to(self, member: Member, family: Family, prefix: bytes) -> Account:
        """Say of each path of `prefix` how it goes to `member`, or by which rule it does not.

        Raises ValueError for a family that was not negotiated with the member.
        """
        if family not in member._sources:
            raise ValueError(f"{family} was not negotiated with {member.name}")
        packer, table = member.packer, self._tables[family]
        verdicts = self._decision.explain(table.paths(prefix))
        selected = table.selected(packer.selections.get(family), table.paths(prefix) or None)
        shut = {path for path in selected if self._gate.shuts(packer.terms, family, prefix, path)}
        return explanation.account(
            member.name, packer, family, prefix, verdicts, selected, member.pending, shut
        )

    def withheld(self, member: Member, family: Family, prefix: bytes) -> Withheld | None:
        """Return the rule by which our own route for `prefix` does not go to `member`, None if it goes."""
        if family not in member._sources:
            return NOT_NEGOTIATED
        packer, table = member.packer, self._tables[family]
        paths = table.paths(prefix)
        path = next((path for path in paths if path.slot is self._own), None)
        if path is None:
            return NO_ROUTE
        if path in table.selected(packer.selections.get(family), paths):
            told = packer.told(family, path, prefix)
            if isinstance(told, Told) and packer.fitting(family, told, [prefix]):
                return None
        account = self.explain_to(member, family, prefix)
        return next((each.reason for each in account if each.path.slot is self._own), None)

    def errand(self, member: Member, family: Family, prefix: bytes) -> Errand:
        """Return what says whether `member` has pulled the news of our own route for `prefix`."""
        identified = family in member.packer.selections
        return Errand(family, (prefix, self._own if identified else None))

    def done(self, member: Member, errand: Errand) -> bool:
        """Whether `member` has pulled what `errand` asks for; ask once more behind each `pull` or `share`."""
        return not any(table.dirty for table in self._tables.values()) and errand.done(member._listener)

    def multipath(self, family: Family, prefix: bytes) -> tuple[Hop, ...]:
        """Return the paths that traffic to `prefix` may share, with weights, the best one first."""
        return self._multipath.hops(self._tables[family].paths(prefix))

    def best(self, family: Family) -> Iterator[tuple[bytes, Path]]:
        """Yield each prefix that has a usable path, with the best one: the Loc-RIB."""
        table = self._tables[family]
        for prefix, entry in table.entries.items():
            path = best_of(table.paths(prefix) if isinstance(entry, tuple) else entry)
            if path is not None:
                yield prefix, path

    def received(
        self, member: Member, family: Family, refused: bool | None = None
    ) -> Iterator[tuple[bytes, Path]]:
        """Yield what `member` has sent: its Adj-RIB-In, all of it or what is `refused` or is not.

        The path tells by which rule it is refused (`Path.refusal`).
        """
        for source in member.sources(family):
            for prefix, path in self._tables[family].from_source(source):
                if refused is None or refused is (path.refusal is not None):
                    yield prefix, path

    def walk_best(self, family: Family) -> Walk[tuple[bytes, Path]]:
        """Return a walk that finds what `best` yields, in steps between which the tables may change."""
        table = self._tables[family]

        def rows(path: Path, prefixes: list[bytes]) -> Iterable[tuple[bytes, Path]]:
            return ((prefix, path) for prefix in prefixes if table.paths(prefix)[0] is path)

        return Walk(table, lambda path: path.refusal is None, rows)

    def walk_paths(self, family: Family, wanted: Callable[[Path], bool]) -> Walk[tuple[bytes, Path]]:
        """Return a walk that finds the prefixes of each path that is `wanted`, best or not."""
        return Walk(self._tables[family], wanted, lambda path, some: ((prefix, path) for prefix in some))

    def walk_within(self, family: Family, within: bytes) -> Walk[tuple[bytes, tuple[Path, ...]]]:
        """Return a walk that finds `within` and what is more specific, with all paths, best first."""
        table, match = self._tables[family], lookup.within(within)

        def rows(path: Path, prefixes: list[bytes]) -> Iterable[tuple[bytes, tuple[Path, ...]]]:
            for prefix in prefixes:
                paths = table.paths(prefix)
                if paths[0] is path:
                    yield prefix, paths

        return Walk(table, lambda path: True, rows, match=match)

    def longest_match(self, family: Family, prefix: bytes) -> bytes | None:
        """Return the longest prefix that covers `prefix` and has a usable path."""
        return lookup.longest(self._tables[family], prefix)

    def covering(self, family: Family, prefix: bytes) -> Iterator[bytes]:
        """Yield the prefixes that cover `prefix`, itself among them, the longest one first."""
        return lookup.covering(self._tables[family], prefix)

    def walk_received(
        self, member: Member, family: Family, refused: bool | None = None
    ) -> Walk[tuple[bytes, Path]]:
        """Return a walk that finds what `received` yields, in steps between which the tables may change."""

        def wanted(path: Path) -> bool:
            if path.slot.peer != member.name or path.source not in member.sources(family):
                return False
            return refused is None or refused is (path.refusal is not None)

        table = self._tables[family]
        # A client has a few routes of a million: it need not wait until all were looked at.
        order = [path for source in member.sources(family) for path in table.paths_from(source)]
        return Walk(table, wanted, lambda path, some: ((prefix, path) for prefix in some), order)

    def refused(self, member: Member, family: Family) -> int:
        """Return how many routes of `member` are refused."""
        return sum(self._tables[family].refused_of(source) for source in member.sources(family))

    def walk_advertised(self, member: Member, family: Family) -> Walk[Advertised]:
        """Return a walk that finds what `advertised` yields, but for a default route that is in no table."""
        return self._walk_told(lambda: member.packer, family, lambda path: path.slot.peer != member.name)

    def walk_told(self, group: Group, family: Family) -> Walk[Advertised]:
        """Return a walk that finds what all members of a group are told, each but for what is its own."""
        return self._walk_told(lambda: group.packer, family, lambda path: True)

    def _walk_told(
        self, packing: Callable[[], Packer], family: Family, wanted: Callable[[Path], bool]
    ) -> Walk[Advertised]:
        table = self._tables[family]

        def rows(path: Path, prefixes: list[bytes]) -> Iterable[Advertised]:
            packer = packing()
            selection = packer.selections.get(family)
            for prefix in prefixes:
                if path in table.selected(selection, table.paths(prefix)):
                    attributes = self._outgoing(packer, family, path, prefix)
                    if isinstance(attributes, Attributes):
                        yield Advertised(prefix, path.slot.number if selection else None, attributes, path)

        return Walk(table, lambda path: path.refusal is None and wanted(path), rows)

    def advertised(self, member: Member, family: Family) -> Iterator[Advertised]:
        """Yield what `member` has been told, or is about to be: its Adj-RIB-Out."""
        packer = member.packer
        selection = packer.selections.get(family)
        if family in packer.defaults:
            told, path = packer.defaults[family], default.default_route(family, packer.terms.local_as)
            attributes = self._attributes.intern(told.octets, told.next_hop)
            number = default.SLOT.number if selection else None
            yield Advertised(default.PREFIX, number, attributes, path)
        table = self._tables[family]
        for prefix in table.entries:
            for path in table.selected(selection, table.paths(prefix)):
                if path.slot.peer == member.name:
                    continue
                sent = self._outgoing(packer, family, path, prefix)
                if isinstance(sent, Attributes):
                    yield Advertised(prefix, path.slot.number if selection else None, sent, path)

    def told(
        self, member: Member, family: Family, path: Path, prefix: bytes | None = None
    ) -> Told | Withheld:
        """Return how `path` goes to `member`, or the rule by which it does not.

        An export policy that reads prefixes needs `prefix`.
        """
        if path.slot.peer == member.name:
            return SENDER
        if prefix is not None and self._gate.shuts(member.packer.terms, family, prefix, path):
            return NOT_INSTALLED
        return member.packer.told(family, path, prefix)

    def preview_import(self, member: Member, policy: Policy | None) -> Iterator[Difference]:
        """Yield what another import policy would make of the routes that `member` has sent.

        The tables must not change meanwhile.
        """
        return preview_import(self._tables, self._admission, self._decision, member, policy)

    def preview_export(self, member: Member, policy: Policy | None) -> Iterator[Difference]:
        """Yield what `member` would be told otherwise by another export policy.

        The tables must not change meanwhile.
        """
        return preview_export(self._tables, self._outgoing, member, policy)

    def _outgoing(self, packer: Packer, family: Family, path: Path, prefix: bytes) -> Attributes | Withheld:
        told = (
            NOT_INSTALLED
            if self._gate.shuts(packer.terms, family, prefix, path)
            else packer.told(family, path, prefix)
        )
        if isinstance(told, Withheld):
            return told
        fits = packer.fitting(family, told, [prefix])
        return self._attributes.intern(told.octets, told.next_hop) if fits else TOO_LONG
