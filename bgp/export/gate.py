"""The gate: some peers are told only what the forwarding plane has, and it is heard here what that is.

Whatever programs the forwarding plane notes what it has, prefix by prefix; that counts from the next flush
on.  For a group behind the gate a flush is translated: a prefix that is not installed looks as if it had no
path, before and after.  So nothing is held for anybody, and what such a group has been told is still a
function of the tables, and of what was installed at the last flush.  Our own routes pass in any case.
"""

from collections.abc import Iterator, Mapping

from bgp.export.log import Route
from bgp.export.pack import Packer
from bgp.export.rules import Withheld
from bgp.export.terms import Terms
from bgp.family import FAMILIES, Family
from bgp.rib.changes import Changes
from bgp.rib.path import Kind, Path, Slot
from bgp.rib.selection import Selection
from bgp.rib.table import Table

NOT_INSTALLED = Withheld(
    "not-installed", "RFC 4271 9.1.3", "it is not installed in our forwarding plane, and told only if it is"
)
_LOCAL = Kind.LOCAL


class Gate:
    """What is installed, as of the last flush, and what is news since."""

    __slots__ = ("_news", "_shown")

    def __init__(self) -> None:
        self._shown: dict[Family, set[bytes]] = {family: set() for family in FAMILIES}
        self._news: dict[Family, dict[bytes, bool]] = {family: {} for family in FAMILIES}

    def note(self, family: Family, prefix: bytes, installed: bool) -> None:
        """Hear whether `prefix` is installed."""
        if (prefix in self._shown[family]) is installed:
            self._news[family].pop(prefix, None)
        else:
            self._news[family][prefix] = installed

    def pending(self, family: Family) -> bool:
        """Whether there is news since the last flush."""
        return bool(self._news[family])

    def passes(self, family: Family, prefix: bytes, path: Path) -> bool:
        """Whether `path` may be told to a peer behind the gate."""
        return path.source.kind is _LOCAL or prefix in self._shown[family]

    def shuts(self, terms: Terms, family: Family, prefix: bytes, path: Path) -> bool:
        """Whether `path` is kept from who is told on these terms."""
        return terms.installed_only and not self.passes(family, prefix, path)

    def turn(self, family: Family) -> Mapping[bytes, bool]:
        """Let the news count from now on, and return them."""
        news, shown = self._news[family], self._shown[family]
        if news:
            self._news[family] = {}
            for prefix, installed in news.items():
                (shown.add if installed else shown.discard)(prefix)
        return news

    def translate(
        self,
        table: Table,
        selection: Selection | None,
        changes: Changes,
        news: Mapping[bytes, bool],
    ) -> Changes:
        """Return what a flush with these changes means behind the gate; `news` are those of its `turn`."""
        shown = self._shown[table.family]
        told = Changes()
        seen: set[tuple[bytes, object]] = set()
        for path, prefixes in changes.fresh.items():
            passing = prefixes if path.source.kind is _LOCAL else [one for one in prefixes if one in shown]
            if passing:
                told.fresh[path] = list(passing)
            if news:
                seen.update((one, path.slot if selection else None) for one in prefixes)
        for (before, now), prefixes in changes.moved.items():
            path_ = before if now is None else now
            slot = path_.slot if selection and path_ is not None else None
            for one in prefixes:
                after = one in shown
                was = after is not (one in news)
                old = before if before is not None and (was or before.source.kind is _LOCAL) else None
                new = now if now is not None and (after or now.source.kind is _LOCAL) else None
                if old is not None or new is not None:
                    told.run(old, new).append(one)
                if news:
                    seen.add((one, slot))
        for one, after in news.items():
            for path in table.selected(selection, table.entries.get(one)):
                if path.source.kind is _LOCAL or (one, path.slot if selection else None) in seen:
                    continue
                told.run(None if after else path, path if after else None).append(one)
        return told


class Shut(Mapping[Route, Path | None]):
    """The routes of a table that a group behind the gate is not told, as `Portions` and `Images` ask."""

    __slots__ = ("_gate", "_packer", "_table")

    def __init__(self, gate: Gate, table: Table, packer: Packer) -> None:
        self._gate = gate
        self._table = table
        self._packer = packer

    def __bool__(self) -> bool:
        return True

    def __contains__(self, route: object) -> bool:
        assert isinstance(route, tuple)
        prefix: bytes = route[0]
        slot: Slot | None = route[1]
        family = self._table.family
        path = self._table.selected_in(self._packer.selections.get(family), prefix, slot)
        return path is not None and not self._gate.passes(family, prefix, path)

    def __getitem__(self, route: Route) -> Path | None:
        """Return what is told instead: nothing."""
        return None

    def __iter__(self) -> Iterator[Route]:
        """Yield none: there may be very many, and nothing is told of them."""
        return iter(())

    def __len__(self) -> int:
        return 0
