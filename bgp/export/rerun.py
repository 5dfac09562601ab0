"""A re-run: members who come from a group with another policy are told what differs.

What such a member holds is what its former group told of the tables of that moment.  From then on the group
that it joined notes all that changes in its logs; and the re-run goes through the tables, in slices, and adds
to the logs what the two groups tell differently.  Members that came together share it.  Each of them takes
what the logs tell, and is in step when the re-run is over and it has taken all.

A route that changed before the re-run came to it is in the logs anyway, so it does no harm that the re-run
sees it as it is by then.  Where the two groups select different paths (RFC 7911), that takes the changes of
what either selects: `before` says what else than its own the group has to note.
"""

from collections.abc import Iterator, Mapping

from bgp.export import default
from bgp.export.log import ChangeLog
from bgp.export.pack import Packer, Told
from bgp.family import Family
from bgp.rib.path import Path
from bgp.rib.selection import ALL, Selection
from bgp.rib.table import Table

# So many paths, or prefixes of a path, make a step.
_PATHS = 256
_PREFIXES = 2048


class Rerun:
    """The way from `former`, None where it is not known what the members were told, to `packer`."""

    __slots__ = ("_logs", "_packer", "_steps", "_tables", "begun", "finished", "former", "members")

    def __init__(
        self,
        former: Packer | None,
        packer: Packer,
        tables: Mapping[Family, Table],
        logs: Mapping[Family, ChangeLog],
    ) -> None:
        self.former = former
        self.members: set[str] = set()
        self.begun = self.finished = False
        self._packer = packer
        self._tables = tables
        self._logs = logs
        self._steps = self._walk()

    def before(self, family: Family) -> Selection | None:
        """Return what was selected of what the members were told; all of it where that is not known."""
        if self.former is not None:
            return self.former.selections.get(family)
        return ALL if family in self._packer.selections else None

    def run(self, steps: int) -> None:
        """Do some steps; the tables must not be dirty."""
        self.begun = True
        for _ in range(steps):
            if next(self._steps, None) is None:
                self.finished = True
                return

    def _walk(self) -> Iterator[bool]:
        for family, table in self._tables.items():
            self._note_default(family)
            reselected = self.before(family) != self._packer.selections.get(family)
            # What comes later is told by the group itself.
            for position in range(len(table.order)):
                path = table.order[position]
                usable = path is not None and path.refusal is None
                differs = usable and path is not None and self._differs(family, path)
                if path is not None and usable and (differs or reselected):
                    prefixes = path.prefixes.copy()
                    for start in range(0, len(prefixes), _PREFIXES):
                        some = prefixes[start : start + _PREFIXES]
                        if reselected:
                            self._note_reselected(family, path, some)
                        if differs:
                            self._note(family, path, some)
                        yield True
                elif not position % _PATHS:
                    yield True

    def _note_default(self, family: Family) -> None:
        """Note the default route that is told beside what the table has."""
        if self.former is None or self.former.defaults.get(family) != self._packer.defaults.get(family):
            slot = default.SLOT if family in self._packer.selections else None
            self._logs[family].add((default.PREFIX, slot))

    def _differs(self, family: Family, path: Path) -> bool:
        former, packer = self.former, self._packer
        if former is None or former.by_prefix or packer.by_prefix:
            return True
        return _told(former, family, path, None) != _told(packer, family, path, None)

    def _note_reselected(self, family: Family, path: Path, prefixes: list[bytes]) -> None:
        """Note where the path was told and is not, or is told and was not."""
        table, packer = self._tables[family], self._packer
        slot, log = packer.slot(family, path), self._logs[family]
        now = dict.fromkeys(table.prefixes(path, packer.selections.get(family), prefixes))
        before = dict.fromkeys(table.prefixes(path, self.before(family), prefixes))
        for prefix in {**now, **before}:
            if (prefix in now) is not (prefix in before):
                log.add((prefix, slot))

    def _note(self, family: Family, path: Path, prefixes: list[bytes]) -> None:
        table, former, packer = self._tables[family], self.former, self._packer
        each = former is not None and (former.by_prefix or packer.by_prefix)
        slot, log = packer.slot(family, path), self._logs[family]
        for prefix in table.prefixes(path, packer.selections.get(family), prefixes):
            if each and former is not None:
                if _told(former, family, path, prefix) == _told(packer, family, path, prefix):
                    continue
            log.add((prefix, slot))


def _told(packer: Packer, family: Family, path: Path, prefix: bytes | None) -> Told | None:
    told = packer.told(family, path, prefix)
    return told if isinstance(told, Told) else None
