"""Portions of a change log as messages: members that stand at the same place in the log share them.

A portion tells the state of the last flush, so it is kept until the next one.  It ends where every other one
does that begins nearby, so that members who came to the log one after the other soon take the same ones.
"""

from collections.abc import Mapping

from bgp.export import default
from bgp.export.log import ChangeLog, Route
from bgp.export.pack import Packer, Routes, Told
from bgp.export.rules import Withheld
from bgp.rib.path import Path
from bgp.rib.table import Table

# So many routes of the log make a portion, and so many portions are kept.
_ROUTES = 512
_KEPT = 64
_NOTHING: Mapping[Route, Path | None] = {}


class Portion:
    """What a part of the log tells: messages by the one member that they are not for, or None for all.

    `end` is where the log goes on, `own` the routes that are withdrawn from their own peer instead, and
    `others` the peers whose routes are told to all, for they were not there to read the log.
    """

    __slots__ = ("count", "end", "messages", "others", "own", "runs", "withdrawn")

    def __init__(self, end: int) -> None:
        self.end = end
        self.runs: list[tuple[str | None, list[bytes]]] = []
        self.own: dict[str, Routes] = {}
        self.others: set[str] = set()
        self.withdrawn: Routes = {}
        # All of it, for who has nothing of its own in it.
        self.messages = b""
        self.count = 0


class Portions:
    """The portions of the log of one group and table."""

    __slots__ = ("_held", "_known", "_packer", "_table")

    def __init__(self, table: Table, packer: Packer, held: Mapping[Route, Path | None] = _NOTHING) -> None:
        """`held`: routes of which something else was told last than what the table has."""
        self._table = table
        self._packer = packer
        self._held = held
        self._known: dict[tuple[int, int], Portion] = {}

    def forget(self) -> None:
        """Forget all: the table changed, or nobody reads the log any more."""
        self._known.clear()

    def take(self, name: str, log: ChangeLog) -> tuple[bytes, int]:
        """Move the member `name` on in the log; return messages, and how many they are.

        The table must not be dirty.  What is not told any more is withdrawn, whether or not the member knew
        of it: that was not kept.
        """
        key = (log.compactions, log.places[name])
        portion = self._known.get(key)
        if portion is None or name in portion.others:
            portion = self._make(log.take(name, _ROUTES), log)
            portion.end = log.places[name]
            if len(log.places) > 1:
                if len(self._known) >= _KEPT:
                    del self._known[next(iter(self._known))]
                self._known[key] = portion
        else:
            log.places[name] = portion.end
        own = portion.own.get(name)
        if own is None:
            return portion.messages, portion.count
        withdrawn = {
            slot: [*portion.withdrawn.get(slot, ()), *own.get(slot, ())]
            for slot in (*portion.withdrawn, *own)
        }
        messages = self._packer.withdraw(self._table.family, withdrawn)
        for owner, some in portion.runs:
            if owner != name:
                messages += some
        return b"".join(messages), len(messages)

    def _make(self, routes: list[Route], log: ChangeLog) -> Portion:
        """Return what is told of `routes` to the members in the log, as things are now."""
        table, packer = self._table, self._packer
        family = table.family
        selection = packer.selections.get(family)
        portion = Portion(0)
        announced: dict[tuple[str | None, Told], Routes] = {}
        known: dict[Path, Told | Withheld] = {}
        for prefix, slot in routes:
            if prefix == default.PREFIX and family in packer.defaults and slot in (None, default.SLOT):
                announced.setdefault((None, packer.defaults[family]), {}).setdefault(slot, []).append(prefix)
                continue
            if (prefix, slot) in self._held:
                path = self._held[prefix, slot]
            else:
                path = table.selected_in(selection, prefix, slot)
            told: Told | Withheld | None = None
            if path is not None:
                told = None if packer.by_prefix else known.get(path)
                if told is None:
                    told = known[path] = packer.told(family, path, prefix)
            if path is None or not isinstance(told, Told) or not packer.fitting(family, told, [prefix]):
                portion.withdrawn.setdefault(slot, []).append(prefix)
                continue
            peer: str | None = path.slot.peer
            if peer in log.places:
                portion.own.setdefault(peer, {}).setdefault(slot, []).append(prefix)
            else:
                portion.others.add(path.slot.peer)
                peer = None
            announced.setdefault((peer, told), {}).setdefault(slot, []).append(prefix)
        messages = packer.withdraw(family, portion.withdrawn)
        for (owner, told), some in announced.items():
            made = packer.announce(family, told, some)
            portion.runs.append((owner, made))
            messages += made
        portion.messages, portion.count = b"".join(messages), len(messages)
        return portion
