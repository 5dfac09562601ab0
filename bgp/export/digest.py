"""What a flush means to an update group: who is to be told what, before it is packed.

What a peer was told is not stored.  It is what `Packer.told` says of the entries at the last flush, so a
change is a pair of paths: told before, to tell now.

A peer is never told a path of its own.  So when the best path becomes its own, it gets a withdrawal where
the others get an announcement, and when that ends it hears of what the others knew all along.
"""

from collections.abc import Container

from bgp.export.pack import AMPLE, Packer, Routes, Told
from bgp.export.rules import TOO_LONG, Withheld
from bgp.family import Family
from bgp.rib.changes import Changes
from bgp.rib.path import Path, Slot

# Messages for different peers are joined if that makes no more than so many prefixes for these peers alone.
_JOINED = 1 << 14


class Alone:
    """What one peer is told instead of what is not for it."""

    __slots__ = ("announced", "withdrawn")

    def __init__(self) -> None:
        self.announced: dict[Told, Routes] = {}
        self.withdrawn: Routes = {}


class Digest:
    """`announced` and `withdrawn` are for all peers but the one named beside, if any; `alone` for one.

    `following` holds the names of the peers that are in the train: no other needs a line of its own.
    """

    __slots__ = (
        "_family",
        "_following",
        "_known",
        "_packer",
        "alone",
        "announced",
        "blocks",
        "joined",
        "withdrawn",
    )

    def __init__(self, packer: Packer, family: Family, changes: Changes, following: Container[str]) -> None:
        self._packer = packer
        self._family = family
        self._following = following
        self._known: dict[Path, Told | Withheld] = {}
        self.announced: dict[tuple[str | None, Told], Routes] = {}
        self.withdrawn: dict[str | None, Routes] = {}
        self.alone: dict[str, Alone] = {}
        # What is for all but several, each of whom gets alone what is not from itself; None withdraws.
        self.joined: list[tuple[list[str], Told | None, Routes]] = []
        # Finished attribute blocks with their prefixes, by the peer that is not told.
        self.blocks: dict[str | None, dict[bytes, list[bytes]]] = {}
        quick = packer.quick.get(family)
        for path, prefixes in changes.fresh.items():
            block = None if quick is None else quick(path)
            if block is None:
                self._appeared(path, prefixes)
                continue
            peer = path.slot.peer
            owner = peer if peer in following else None
            blocks = self.blocks.get(owner)
            if blocks is None:
                blocks = self.blocks[owner] = {}
            known = blocks.get(block)
            # Not to be added to: the list belongs to the changes, which other groups read too.
            blocks[block] = prefixes if known is None else known + prefixes
        for (before, now), prefixes in changes.moved.items():
            self._moved(before, now, prefixes)
        self._join()

    def _join(self) -> None:
        """Join what looks the same but is not for different peers: to the others it is one message then."""
        owners: dict[Told | None, list[str | None]] = {}
        if len({owner for owner, _ in self.announced}) > 1:
            for owner, look in self.announced:
                owners.setdefault(look, []).append(owner)
        if len(self.withdrawn) > 1:
            owners[None] = list(self.withdrawn)
        for told, some in owners.items():
            if len(some) < 2:
                continue
            parts = {
                owner: self.withdrawn[owner] if told is None else self.announced[owner, told]
                for owner in some
            }
            number = sum(len(prefixes) for routes in parts.values() for prefixes in routes.values())
            if number * len(some) > _JOINED:
                continue
            names = [owner for owner in some if owner is not None]
            whole: Routes = {}
            for owner, routes in parts.items():
                if told is None:
                    del self.withdrawn[owner]
                else:
                    del self.announced[owner, told]
                for slot, prefixes in routes.items():
                    _extend(whole, slot, prefixes)
                    for name in names:
                        if name != owner:
                            alone = self._alone(name)
                            to = alone.withdrawn if told is None else alone.announced.setdefault(told, {})
                            _extend(to, slot, prefixes)
            self.joined.append((names, told, whole))

    def routes(self) -> list[tuple[Slot | None, list[bytes]]]:
        """Return the prefixes of all routes that are told to anybody, by slot."""
        found = [item for routes in self.announced.values() for item in routes.items()]
        found += [item for routes in self.withdrawn.values() for item in routes.items()]
        found += [item for _, _, routes in self.joined for item in routes.items()]
        found += [(None, prefixes) for blocks in self.blocks.values() for prefixes in blocks.values()]
        for alone in self.alone.values():
            found += [item for routes in alone.announced.values() for item in routes.items()]
            found += alone.withdrawn.items()
        return found

    def _appeared(self, path: Path, prefixes: list[bytes]) -> None:
        """Prefixes that had no path have `path`: the commonest change."""
        family, packer = self._family, self._packer
        if packer.by_prefix:
            for told, some in packer.parts(family, path, prefixes):
                self._fresh(path, told, some)
        else:
            told = self._known[path] = packer.told(family, path)
            self._fresh(path, told, prefixes)

    def _fresh(self, path: Path, told: Told | Withheld, prefixes: list[bytes]) -> None:
        family, packer = self._family, self._packer
        if isinstance(told, Withheld):
            if told is TOO_LONG:
                packer.oversized += len(prefixes)
            return
        if told.room < AMPLE:
            fitting = packer.fitting(family, told, prefixes)
            packer.oversized += len(prefixes) - len(fitting)
            if not fitting:
                return
            prefixes = fitting
        self._announce(self._peer(path), told, packer.slot(family, path), prefixes)

    def _moved(self, before: Path | None, now: Path | None, prefixes: list[bytes]) -> None:
        """Prefixes had `before` and have `now`."""
        if not self._packer.by_prefix:
            self._changed(before, now, self._view(before), self._view(now), prefixes)
            return
        views: dict[tuple[Told | Withheld | None, Told | Withheld | None], list[bytes]] = {}
        family, told = self._family, self._packer.told
        for prefix in prefixes:
            old = None if before is None else told(family, before, prefix)
            new = None if now is None else told(family, now, prefix)
            views.setdefault((old, new), []).append(prefix)
        for (old, new), some in views.items():
            self._changed(before, now, old, new, some)

    def _changed(
        self,
        before: Path | None,
        now: Path | None,
        old: Told | Withheld | None,
        new: Told | Withheld | None,
        prefixes: list[bytes],
    ) -> None:
        """Prefixes had `before`, which looks like `old`, and have `now`, which looks like `new`."""
        family, packer = self._family, self._packer
        if new is TOO_LONG:
            packer.oversized += len(prefixes)
        slot: Slot | None = None
        # The peers that were not told `before`, and must not be told `now`: for it is theirs.
        former = owner = None
        was: Told | None = None
        will: Told | None = None
        if before is not None and isinstance(old, Told):
            was, former, slot = old, self._peer(before), packer.slot(family, before)
        if now is not None and isinstance(new, Told):
            will, owner, slot = new, self._peer(now), packer.slot(family, now)
        for told, tell, some in self._split(was, will, prefixes):
            if tell is None:
                if told is not None:
                    _extend(self.withdrawn.setdefault(former, {}), slot, some)
            elif told is None:
                self._announce(owner, tell, slot, some)
            elif told != tell:
                self._announce(owner, tell, slot, some)
                if owner is not None and owner != former:
                    _extend(self._alone(owner).withdrawn, slot, some)
            elif owner != former:
                if former is not None:
                    _extend(self._alone(former).announced.setdefault(tell, {}), slot, some)
                if owner is not None:
                    _extend(self._alone(owner).withdrawn, slot, some)

    def _split(
        self, was: Told | None, will: Told | None, prefixes: list[bytes]
    ) -> list[tuple[Told | None, Told | None, list[bytes]]]:
        """Split `prefixes` by whether they fit beside the old attributes, and beside the new ones."""
        fitting, family = self._packer.fitting, self._family
        old_fit = prefixes if was is None else fitting(family, was, prefixes)
        new_fit = prefixes if will is None else fitting(family, will, prefixes)
        if old_fit is prefixes is new_fit:
            return [(was, will, prefixes)]
        self._packer.oversized += len(prefixes) - len(new_fit)
        in_old, in_new = set(old_fit), set(new_fit)
        parts: dict[tuple[bool, bool], list[bytes]] = {}
        for prefix in prefixes:
            parts.setdefault((prefix in in_old, prefix in in_new), []).append(prefix)
        return [(was if old else None, will if new else None, some) for (old, new), some in parts.items()]

    def _view(self, path: Path | None) -> Told | Withheld | None:
        if path is None:
            return None
        told = self._known.get(path)
        if told is None:
            told = self._known[path] = self._packer.told(self._family, path)
        return told

    def _peer(self, path: Path) -> str | None:
        peer = path.slot.peer
        return peer if peer in self._following else None

    def _alone(self, name: str) -> Alone:
        return self.alone.setdefault(name, Alone())

    def _announce(self, owner: str | None, told: Told, slot: Slot | None, prefixes: list[bytes]) -> None:
        bucket = (owner, told)
        routes = self.announced.get(bucket)
        if routes is None:
            self.announced[bucket] = {slot: prefixes.copy()}
        else:
            _extend(routes, slot, prefixes)


def _extend(routes: Routes, slot: Slot | None, prefixes: list[bytes]) -> None:
    known = routes.get(slot)
    if known is None:
        # A copy: the list belongs to the changes, which other groups read too.
        routes[slot] = prefixes.copy()
    else:
        known += prefixes
