"""The table of one family: prefix -> paths as received, and what changed since the last flush.

There is no other store of routes.  What peers sent (Adj-RIB-In), what was chosen (Loc-RIB) and what each
peer was told (Adj-RIB-Out) are all read from here: a refused path stays in its entry, the best one comes
first after a flush, and what was told is a function of the entry at the last flush, which is kept for every
prefix that changed since.

A lone path costs no tuple of its own.  `order` lists every path at a position that is its own for as long
as it lives, so dumps and other sliced jobs can stop and go on at a position, whatever happens meanwhile.
Each path knows its prefixes, so that a departure or a dump visits what it must and nothing else.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from bgp.family import Family
from bgp.rib.changes import Changes
from bgp.rib.decision import Decision
from bgp.rib.ladder import is_external
from bgp.rib.path import Entry, Path, Refusal, Slot, Source, best_of, paths_of
from bgp.rib.selection import ALL, BEST, Selection, select
from bgp.wire.attributes import Attributes

_Plain = Attributes | tuple[Slot, Attributes]
# Where the policy reads the prefix, equal attributes may have several verdicts, each with a path of its own.
# And so has each age.
_Key = _Plain | tuple[int, _Plain] | tuple[int, _Plain, Refusal | None, Attributes, int] | Path
# What was found out about so many entries is remembered: during a flush, and between two of them.
_REMEMBERED = 4096
_SELECTED = 1 << 15


class Table:
    """The routes of one family.

    `admit` gives each new path its verdict; where the policy reads the prefix it is told that, too.
    `decision` finds the best one.  `routes` counts prefixes and paths together, `octets` the attributes of
    all paths.

    If the decision prefers the oldest, each announcement by an external peer has an age, and a path of its
    own.  A route keeps its age for as long as its peer says the same of it, within one session.
    """

    __slots__ = (
        "_admit",
        "_aged",
        "_before",
        "_holes",
        "_loaded",
        "_paths",
        "_selected",
        "_time",
        "decision",
        "entries",
        "family",
        "octets",
        "order",
        "routes",
    )

    def __init__(self, family: Family, admit: Callable[..., None], decision: Decision | None = None) -> None:
        self.family = family
        self.decision = decision or Decision()
        self._aged = self.decision.options.prefer_oldest
        self._time = 0  # what counts up from announcement to announcement, if ages matter
        self._admit = admit
        self.entries: dict[bytes, Entry] = {}
        # The entry of the last flush for each prefix that changed since, None where there was none.  Runs of
        # prefixes that are new, and nothing else, are noted as such until anything but news comes in between.
        self._before: dict[bytes, Entry | None] = {}
        self._loaded: list[tuple[Path, list[bytes]]] = []
        self.order: list[Path | None] = []
        self._holes: list[int] = []
        self._paths: dict[Source, dict[_Key, Path]] = {}
        # What is selected of entries: for dumps, which come to each once for each of its paths.
        self._selected: dict[Selection, dict[tuple[Path, ...], tuple[Path, ...]]] = {}
        self.routes = 0
        self.octets = 0

    @property
    def dirty(self) -> bool:
        """Whether something changed since the last flush."""
        return bool(self._loaded or self._before)

    def containers(self) -> Iterator[object]:
        """Yield the containers of all that is here, but for `entries` and what paths hold."""
        yield from (self.order, self._holes, self._before, self._loaded, self._paths)
        yield from self._paths.values()

    # --- Changes -------------------------------------------------------------------------------------

    def announce(
        self, source: Source, slot: Slot, received: Attributes, prefixes: list[bytes], age: int = 0
    ) -> None:
        """Put a path with attributes `received` into `slot` of each prefix; the list becomes the table's."""
        if not prefixes:
            return
        if self._aged and not age and is_external(source.kind):
            for each, some in self._by_age(source, slot, received, prefixes).items():
                self.announce(source, slot, received, some, each)
            return
        if source.by_prefix:
            self._announce_each(source, slot, received, prefixes, age)
            return
        registry = self._paths.get(source)
        if registry is None:
            registry = self._paths[source] = {}
        plain: _Plain = received if slot.path_id is None else (slot, received)
        key: _Key = (age, plain) if age else plain
        path = registry.get(key)
        if path is None:
            path = Path(source, slot, received, age)
            self._admit(path)
            self._enter(path)
            registry[key] = path
        self._put(path, prefixes)

    def _announce_each(
        self, source: Source, slot: Slot, received: Attributes, prefixes: list[bytes], age: int
    ) -> None:
        """Announce where the verdict depends on the prefix: all are judged, then put in their places."""
        found: dict[_Key, tuple[Path, list[bytes]]] = {}
        distinct, ward = dict.fromkeys(prefixes), source.ward
        offered = ward is None or ward.offer(Path(source, slot, received, age), distinct)
        for prefix in distinct:
            path = Path(source, slot, received, age)
            self._admit(path, prefix)
            found.setdefault(_key(path), (path, []))[1].append(prefix)
        for path, some in found.values():
            self._put(self._known(path), some)
        if ward is not None and not offered:
            # What it takes the place of may have been an offer.
            ward.settle(distinct)

    def _by_age(
        self, source: Source, slot: Slot, received: Attributes, prefixes: list[bytes]
    ) -> dict[int, list[bytes]]:
        """Return the prefixes by the age that they have with `received`: a new one if that is news."""
        now = self._time = self._time + 1
        found: dict[int, list[bytes]] = {}
        for prefix in dict.fromkeys(prefixes):
            known = _in_slot(paths_of(self.entries.get(prefix)), slot)
            if known is None or known.received is not received or known.source.session is not source.session:
                found.setdefault(now, []).append(prefix)
            else:
                found.setdefault(known.age, []).append(prefix)
        return found

    def _known(self, path: Path) -> Path:
        """Return the path that stands for `path`, which is new: an equal one, or itself."""
        registry, key = self._paths.setdefault(path.source, {}), _key(path)
        known = registry.get(key)
        if known is not None:
            return known
        self._enter(path)
        registry[key] = path
        return path

    def _put(self, path: Path, prefixes: list[bytes]) -> None:
        source, slot = path.source, path.slot
        entries, before = self.entries, self._before
        if entries.keys().isdisjoint(prefixes) and (not before or before.keys().isdisjoint(prefixes)):
            # A table that loads: all prefixes are new.  Known at once in C, that is some times as fast as the
            # loop below and the look at each prefix in `settle`.
            known, number = len(entries), len(prefixes)
            for prefix in prefixes:
                entries[prefix] = path
            if len(entries) - known < number:
                prefixes = list(dict.fromkeys(prefixes))
                number = len(prefixes)
            self._loaded.append((path, prefixes))
            if path.count:
                path.prefixes += prefixes
            else:
                path.prefixes = prefixes.copy()
            path.count += number
            source.routes += number
            self.routes += number
            return
        self._unload()
        for prefix in prefixes:
            entry = entries.get(prefix)
            if entry is path:
                continue
            displaced: Path | None = None
            if entry is None:
                entries[prefix] = path
            elif isinstance(entry, Path):
                if entry.slot is slot:
                    displaced = entry
                    entries[prefix] = path
                else:
                    entries[prefix] = (entry, path)
            else:
                displaced = _in_slot(entry, slot)
                if displaced is path:
                    continue
                if displaced is None:
                    entries[prefix] = (*entry, path)
                else:
                    entries[prefix] = _replaced(entry, displaced, path)
            before.setdefault(prefix, entry)
            path.prefixes.append(prefix)
            self._count(path, 1)
            if displaced is not None:
                self._release(displaced)

    def withdraw(self, slot: Slot, prefixes: Sequence[bytes]) -> None:
        """Take out what `slot` holds for each prefix; it is no error if that is nothing."""
        entries = self.entries
        for prefix in prefixes:
            entry = entries.get(prefix)
            if entry is not None:
                path = _in_slot(paths_of(entry), slot)
                if path is not None:
                    self._remove(prefix, entry, path)

    def drain(self, source: Source, quota: int) -> int:
        """Take out paths of a source that says nothing more.

        Return what is left of `quota`, 0 for more to do.
        """
        self._unload()
        entries, before = self.entries, self._before
        registry = self._paths.get(source)
        while registry and quota > 0:
            # From the end: to take the first of a dict again and again would cost a scan each time.
            path = registry[next(reversed(registry))]
            taken = path.prefixes[-quota:]
            gone = 0
            for prefix in taken:
                entry = entries.get(prefix)
                if entry is path:
                    del entries[prefix]
                elif isinstance(entry, tuple) and path in entry:
                    entries[prefix] = _without(entry, path)
                else:
                    continue
                before.setdefault(prefix, entry)
                gone += 1
            # Where a bug has struck, here or before, the last prefix still takes all with it that is counted.
            del path.prefixes[-quota:]
            self._count(path, -gone if path.prefixes else -path.count)
            if not path.count:
                self._forget(path)
            quota -= max(len(taken), 1)
        if registry is not None and not registry:
            self._paths.pop(source, None)
        return max(quota, 0)

    def rejudge(self, path: Path, quota: int) -> int:
        """Judge `path` anew and put the result in its place, prefix by prefix.

        Return what is left of `quota`, 0 for more to do.  A path never changes, so that what was told for the
        prefixes that are not yet reached stays known.
        """
        if not path.count:
            return quota
        registry = self._paths.setdefault(path.source, {})
        key = _key(path)
        to = registry.get(key)
        if to is None or to is path:
            again = Path(path.source, path.slot, path.received, path.age)
            self._admit(again)
            verdict = (path.refusal, path.attributes, path.cost)
            if (again.refusal, again.attributes, again.cost) == verdict:
                registry.pop(path, None)
                registry[key] = path
                return quota
            self._enter(again)
            to = registry[key] = again
        # What is left of it is still from its source: whoever looks there must find it.
        registry[path] = path
        self._unload()
        taken = path.prefixes[-quota:]
        del path.prefixes[-quota:]
        try:
            for prefix in taken:
                self._replace(prefix, path, to)
        except BaseException:
            path.prefixes += taken
            to.prefixes += taken
            self._recount(path)
            self._recount(to)
            raise
        if not to.count:
            self._forget(to)
        return quota - len(taken) if not path.count else 0

    def rejudge_each(self, path: Path, prefixes: list[bytes]) -> None:
        """Judge `path` anew for each of some `prefixes`: such as were in its list, which stays as it is.

        For paths whose verdict depends on the prefix.
        """
        self._unload()
        for prefix in self.held_by(path, prefixes):
            again = Path(path.source, path.slot, path.received, path.age)
            self._admit(again, prefix)
            if _key(again) != _key(path):
                self._replace(prefix, path, self._known(again))

    def transfer(
        self, source: Source, to: Source, quota: int, keeps: Callable[[Path], bool] | None = None
    ) -> int:
        """Announce anew, from the source `to`, what `source` says: so another policy takes its place.

        What `keeps` says no to goes instead.  Return what is left of `quota`, 0 for more to do.  What changed
        since is left alone.
        """
        registry = self._paths.get(source)
        while registry and quota > 0:
            key, path = registry.popitem()
            taken = path.prefixes[-quota:]
            del path.prefixes[-quota:]
            if path.prefixes:
                registry[key] = path
            held = self.held_by(path, taken)
            if keeps is None or keeps(path):
                self.announce(to, path.slot, path.received, held)
            else:
                self.withdraw(path.slot, held)
            quota -= max(len(taken), 1)
        if registry is not None and not registry:
            self._paths.pop(source, None)
        return max(quota, 0)

    def _replace(self, prefix: bytes, path: Path, to: Path) -> None:
        """Put `to` in the place of `path`, if `prefix` has it."""
        entry = self.entries.get(prefix)
        if entry is path:
            self.entries[prefix] = to
        elif isinstance(entry, tuple) and path in entry:
            self.entries[prefix] = _replaced(entry, path, to)
        else:
            return
        self._before.setdefault(prefix, entry)
        to.prefixes.append(prefix)
        self._count(to, 1)
        self._release(path)

    # --- The flush -----------------------------------------------------------------------------------

    def settle(
        self,
        selections: Collection[Selection] = (),
        note: Callable[[bytes, Entry | None, Entry | None], None] | None = None,
    ) -> tuple[Changes, dict[Selection, Changes]]:
        """Decide every prefix that changed.

        Return how the best paths changed, and for each of `selections` how the selected ones did.  Tell
        `note` of each prefix, unless it is new with one path, what it had and what it has.
        """
        loaded, before = self._loaded, self._before
        self._loaded, self._before = [], {}
        try:
            return self._settled(loaded, before, selections, note)
        except BaseException:
            # Nothing of it was told, so all is as before.
            for _, prefixes in loaded:
                before.update(dict.fromkeys(prefixes))
            self._before = before
            raise

    def _settled(
        self,
        loaded: list[tuple[Path, list[bytes]]],
        before: dict[bytes, Entry | None],
        selections: Collection[Selection],
        note: Callable[[bytes, Entry | None, Entry | None], None] | None,
    ) -> tuple[Changes, dict[Selection, Changes]]:
        best = Changes()
        fresh = best.fresh
        for path, prefixes in loaded:
            if path.refusal is None:
                some = fresh.get(path)
                if some is None:
                    fresh[path] = prefixes
                else:
                    some += prefixes
        several = {selection: Changes() for selection in selections}
        for changes in several.values():
            # What is new has one path, which every selection selects.
            changes.fresh = {path: prefixes.copy() for path, prefixes in best.fresh.items()}
        # Many prefixes change alike: the runs that such a change goes to.
        pairs: dict[tuple[Entry | None, Entry | None], list[list[bytes]]] = {}
        decisions: dict[tuple[Path, ...], tuple[Path, ...]] = {}
        self._selected.clear()
        get, decided = self.entries.get, self.decision.decided
        last: tuple[Path | None, Path | None] = (None, None)
        run: list[bytes] = []
        for prefix, old in before.items():
            new = get(prefix)
            if new is old:
                continue
            now: Path | None
            if isinstance(new, tuple):
                # Prefixes with the same paths share a decision, and the tuple as well.
                paths = decisions.get(new)
                if paths is None:
                    if len(decisions) >= _REMEMBERED:
                        decisions.clear()
                    paths = decisions[new] = decided(new)
                new = self.entries[prefix] = paths
                now = paths[0]
            else:
                now = new
            if now is not None and now.refusal is not None:
                now = None
            earlier = None if old is None else best_of(old)
            if earlier is not now:
                # Prefixes of one UPDATE stand together, so most go where the one before them went.
                if earlier is not last[0] or now is not last[1] or not run:
                    last = (earlier, now)
                    run = best.run(earlier, now)
                run.append(prefix)
            if note is not None:
                note(prefix, old, new)
            if several:
                runs = pairs.get((old, new))
                if runs is None:
                    if len(pairs) >= _REMEMBERED:
                        pairs.clear()
                    runs = pairs[old, new] = []
                    for selection, changes in several.items():
                        runs += _runs(changes, self.selected(selection, old), self.selected(selection, new))
                for each in runs:
                    each.append(prefix)
        return best, several

    # --- Reading -------------------------------------------------------------------------------------

    def in_slot(self, slot: Slot, prefix: bytes) -> Path | None:
        """Return the path of `prefix` that is in `slot`."""
        return _in_slot(paths_of(self.entries.get(prefix)), slot)

    def paths(self, prefix: bytes) -> tuple[Path, ...]:
        """Return the paths of `prefix`, the best usable one first."""
        return self.decision.decided(paths_of(self.entries.get(prefix)))

    def selected(self, selection: Selection | None, entry: Entry | None) -> tuple[Path, ...]:
        """Return the paths that are selected of an entry that has been decided; None selects the best one."""
        if isinstance(entry, tuple) and selection is not None:
            return select(self.decision, selection, entry)
        best = best_of(entry)
        return () if best is None else (best,)

    def selected_in(self, selection: Selection | None, prefix: bytes, slot: Slot | None) -> Path | None:
        """Return the selected path of `prefix` that is in `slot`, or with None the first one."""
        found = self.selected(selection, self.entries.get(prefix))
        return next((path for path in found if slot is None or path.slot is slot), None)

    def prefixes(
        self, path: Path, selection: Selection | None, among: Sequence[bytes] | None = None
    ) -> list[bytes]:
        """Return the prefixes, of all or `among` some, for which `path`, a usable one, is selected.

        None selects the best path.  As of the last flush, so not while dirty.
        """
        if selection is None or selection == BEST:
            return self.led_by(path, among)
        if selection == ALL:
            return self.held_by(path, among)
        get, found = self.entries.get, []
        known = self._selected.setdefault(selection, {})
        for prefix in _distinct(path, among):
            entry = get(prefix)
            if entry is path or (isinstance(entry, tuple) and entry[0] is path):
                found.append(prefix)
            elif isinstance(entry, tuple) and path in entry:
                paths = known.get(entry)
                if paths is None:
                    if len(known) >= _SELECTED:
                        known.clear()
                    paths = known[entry] = select(self.decision, selection, entry)
                if path in paths:
                    found.append(prefix)
        return found

    def led_by(self, path: Path, among: Sequence[bytes] | None = None) -> list[bytes]:
        """Return the prefixes, of all or `among` some, whose best path is `path`.

        As of the last flush, so not while dirty.
        """
        get = self.entries.get
        return [
            prefix
            for prefix in _distinct(path, among)
            if (entry := get(prefix)) is path or (isinstance(entry, tuple) and entry[0] is path)
        ]

    def held_by(self, path: Path, among: Sequence[bytes] | None = None) -> list[bytes]:
        """Return the prefixes, of all or `among` some, that have `path`."""
        get = self.entries.get
        return [
            prefix
            for prefix in _distinct(path, among)
            if (entry := get(prefix)) is path or (isinstance(entry, tuple) and path in entry)
        ]

    def from_source(self, source: Source) -> Iterator[tuple[bytes, Path]]:
        """Yield (prefix, path) of all that `source` sent; the table must not change meanwhile."""
        for path in self._paths.get(source, {}).values():
            for prefix in self.held_by(path):
                yield prefix, path

    def octets_of(self, source: Source) -> int:
        """Return the octets of attributes of the paths that `source` sent."""
        return sum(len(path.received.octets) for path in self._paths.get(source, {}).values())

    def refused_of(self, source: Source) -> int:
        """Return how many routes of `source` are refused."""
        paths = self._paths.get(source, {}).values()
        return sum(path.count for path in paths if path.refusal is not None)

    def paths_from(self, source: Source) -> list[Path]:
        """Return the paths of `source`."""
        return list(self._paths.get(source, {}).values())

    def unknown(self, slot: Slot, prefixes: Sequence[bytes]) -> int:
        """Return how many of `prefixes` have nothing in `slot`, or only what an earlier session said."""
        paths = (_in_slot(paths_of(self.entries.get(prefix)), slot) for prefix in set(prefixes))
        return sum(path is None or path.source.retained for path in paths)

    def sources(self) -> Iterator[Source]:
        """Yield the sources that have paths here."""
        yield from self._paths

    # --- Bookkeeping ---------------------------------------------------------------------------------

    def _unload(self) -> None:
        """Note runs of new prefixes one by one, before one of them changes again."""
        for _, prefixes in self._loaded:
            self._before.update(dict.fromkeys(prefixes))
        self._loaded.clear()

    def _enter(self, path: Path) -> None:
        self.octets += len(path.received.octets)
        if self._holes:
            path.position = self._holes.pop()
            self.order[path.position] = path
        else:
            path.position = len(self.order)
            self.order.append(path)

    def _count(self, path: Path, number: int) -> None:
        path.count += number
        path.source.routes += number
        self.routes += number

    def _remove(self, prefix: bytes, entry: Entry, path: Path) -> None:
        if self._loaded:
            self._unload()
        if isinstance(entry, tuple):
            self.entries[prefix] = _without(entry, path)
        else:
            del self.entries[prefix]
        self._before.setdefault(prefix, entry)
        self._release(path)

    def _release(self, path: Path, number: int = 1) -> None:
        self._count(path, -number)
        if not path.count:
            self._forget(path)
        elif len(path.prefixes) > 2 * path.count + 64:
            path.prefixes = self.held_by(path)

    def _recount(self, path: Path) -> None:
        """Count anew, after a bug, what has `path`."""
        path.prefixes = self.held_by(path)
        self._count(path, len(path.prefixes) - path.count)
        if not path.count and path.position >= 0:
            self._forget(path)

    def _forget(self, path: Path) -> None:
        """Let go of a path that no prefix has."""
        key = _key(path)
        self.octets -= len(path.received.octets)
        self.order[path.position] = None
        self._holes.append(path.position)
        path.position = -1
        path.prefixes = []
        registry = self._paths.get(path.source)
        if registry is not None:
            if registry.get(key) is path:
                del registry[key]
            else:
                registry.pop(path, None)
            if not registry:
                del self._paths[path.source]


def _runs(changes: Changes, old: tuple[Path, ...], new: tuple[Path, ...]) -> list[list[bytes]]:
    """Return the lists of those prefixes whose selected paths change, slot by slot, from `old` to `new`."""
    before = {path.slot: path for path in old}
    runs = []
    for path in new:
        earlier = before.pop(path.slot, None)
        if earlier is not path:
            runs.append(changes.run(earlier, path))
    runs += [changes.run(path, None) for path in before.values()]
    return runs


def _key(path: Path) -> _Key:
    plain = path.received if path.slot.path_id is None else (path.slot, path.received)
    if path.source.by_prefix:
        return path.age, plain, path.refusal, path.attributes, path.cost
    return (path.age, plain) if path.age else plain


def _in_slot(paths: tuple[Path, ...], slot: Slot) -> Path | None:
    for path in paths:
        if path.slot is slot:
            return path
    return None


def _without(paths: tuple[Path, ...], gone: Path) -> Entry:
    left = tuple([path for path in paths if path is not gone])
    return left if len(left) > 1 else left[0]


def _replaced(paths: tuple[Path, ...], old: Path, new: Path) -> tuple[Path, ...]:
    return tuple([new if path is old else path for path in paths])


def _distinct(path: Path, among: Sequence[bytes] | None) -> Iterable[bytes]:
    if among is not None:
        return dict.fromkeys(among)
    # Each prefix that has the path is in the list, so one as long as their count holds nothing else.
    return path.prefixes if len(path.prefixes) == path.count else dict.fromkeys(path.prefixes)
