"""The flush: what changed in a table becomes news for groups, watchers, readers and the history.

All of them hear of the same changes, once.  A bug in one of them must not keep the others from theirs.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack

from bgp.export.gate import Gate
from bgp.export.group import Group
from bgp.family import Family
from bgp.rib.changes import Changes
from bgp.rib.history import History
from bgp.rib.multipath import Hop, HopChanges, Multipath
from bgp.rib.origination import Origination
from bgp.rib.readers import Readers
from bgp.rib.selection import Selection
from bgp.rib.table import Table

Watcher = Callable[[Family, Changes], None]
HopWatcher = Callable[[Family, Mapping[bytes, tuple[Hop, ...]]], None]


class Publication:
    """Who hears of what changes in the tables of a router."""

    def __init__(
        self,
        tables: Mapping[Family, Table],
        groups: Collection[Group],
        gate: Gate,
        origination: Origination,
        multipath: Multipath,
    ) -> None:
        self._tables = tables
        self._groups = groups
        self._gate = gate
        self._origination = origination
        self._multipath = multipath
        self._watchers: list[Watcher] = []
        self._hop_watchers: list[HopWatcher] = []
        self.readers = Readers(tables)
        self.history = History(tables, self.readers)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` at each flush with how the best paths changed; return what ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def watch_multipath(self, watcher: HopWatcher) -> Callable[[], None]:
        """Call `watcher` at each flush with the multipath sets that changed; return what ends that."""
        self._hop_watchers.append(watcher)
        return lambda: self._hop_watchers.remove(watcher)

    def flush(self, family: Family, now: float, *, tell: bool = True) -> None:
        """Tell what changed in the table of `family`; without `tell`, the groups are not told."""
        groups = [(group, group.packer.selections.get(family)) for group in self._groups]
        selections = {selection for _, selection in groups if selection is not None}
        former = [(group, one) for group, _ in groups for one in group.former_selections(family)]
        selections.update(one for _, one in former)
        history = self.history
        watched = bool(history)
        if watched:
            selections |= history.selections
        originating = bool(self._origination)
        hops = HopChanges(self._multipath) if self._hop_watchers else None
        best, several = self._tables[family].settle(selections, None if hops is None else hops.note)
        # Of what is done now, a bug in one thing must not keep the others from their news.
        with ExitStack() as rest:
            if hops is not None:
                rest.callback(self._tell_hops, family, hops, best)
            rest.callback(self._tell_watchers, family, best, originating)
            rest.callback(self.readers.serve, family)
            if watched:
                rest.callback(history.note, family, best, several)
            for group, selection in former:
                rest.callback(group.note, family, several[selection])
            untold = dict(groups) if tell else {}
            rest.callback(self._retell_groups, family, untold, best, several)
            rest.callback(self._tell_groups, family, now, untold, best, several)

    def _tell_groups(
        self,
        family: Family,
        now: float,
        untold: dict[Group, Selection | None],
        best: Changes,
        several: Mapping[Selection, Changes],
    ) -> None:
        """Tell the update groups what a flush changed; those that are told are `untold` no more."""
        failure: Exception | None = None
        table, news = self._tables[family], self._gate.turn(family)
        # What the changes mean behind the gate, for who is there.
        gated: dict[Selection | None, Changes] = {}
        for group, selection in list(untold.items()):
            if family in group.terms.families:
                changes = best if selection is None else several[selection]
                try:
                    if group.terms.installed_only:
                        if selection not in gated:
                            gated[selection] = self._gate.translate(table, selection, changes, news)
                        group.tell(family, gated[selection], now, changes)
                    else:
                        group.tell(family, changes, now)
                except Exception as error:
                    failure = error
                    continue
            del untold[group]
        if failure is not None:
            raise failure

    def _retell_groups(
        self,
        family: Family,
        untold: Mapping[Group, Selection | None],
        best: Changes,
        several: Mapping[Selection, Changes],
    ) -> None:
        """Have those told in another way that a bug has kept from their news."""
        for group, selection in untold.items():
            if family in group.terms.families:
                group.retell(family, best if selection is None else several[selection])

    def _tell_watchers(self, family: Family, best: Changes, originating: bool) -> None:
        if best:
            if originating:
                self._origination.note(family, best)
            for watcher in self._watchers:
                watcher(family, best)

    def _tell_hops(self, family: Family, hops: HopChanges, best: Changes) -> None:
        hops.fresh(best)
        if hops.found:
            for hop_watcher in self._hop_watchers:
                hop_watcher(family, hops.found)
