"""Dumps: a whole table for one member, when it joins or asks for a refresh, in slices.

A dump goes through the order of the table's paths, and tells each with all its prefixes.  The messages of a
path are an image, kept for the next member that joins until the path wins or loses a prefix: members that
join together share the work, and a thousand of them cost little more than one.  Paths that look alike are
told together where the first of them stands.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate

from bgp.export.alike import Alike
from bgp.export.log import Route
from bgp.export.pack import Packer, Routes, Told
from bgp.export.rules import Withheld
from bgp.family import Family
from bgp.iana import RouteRefreshSubtype
from bgp.rib.changes import Changes
from bgp.rib.path import Path
from bgp.rib.table import Table
from bgp.wire.message import RouteRefresh, encode

# The prefixes of a path are told at once, unless they are more than this.
_PREFIXES = 2048
_NOTHING: Mapping[Route, Path | None] = {}
# Octets of a prefix: as many prefixes as fill a message are at hand, if they are at least so long.
_SHORT = 4


class Images:
    """The messages of the paths of one table, as one group is told them."""

    __slots__ = ("_held", "_leaders", "_packer", "_table", "alike", "known", "others", "several")

    def __init__(self, table: Table, packer: Packer, held: Mapping[Route, Path | None] = _NOTHING) -> None:
        """`held`: routes of which something else was told last than what the table has."""
        self._table = table
        self._packer = packer
        self._held = held
        self.alike = Alike(table, packer)
        self.known: dict[Path, bytes] = {}
        # The number of messages in those images that hold more than one.
        self.several: dict[Path, int] = {}
        # The other paths that are told by the image of a path, and for each of those whose image that is.
        self.others: dict[Path, list[Path]] = {}
        self._leaders: dict[Path, Path] = {}

    def forget(self, changes: Changes) -> None:
        """Forget what `changes` made wrong."""
        touched = 0
        for path in changes.touched():
            touched += 1
            if self.known:
                self._drop(path)
        self.alike.changed(touched)

    def clear(self) -> None:
        """Forget all."""
        self.known.clear()
        self.several.clear()
        self.others.clear()
        self._leaders.clear()

    def last(self, name: str) -> list[bytes]:
        """Return the messages that tell the member `name` what was told last where that is held."""
        family, packer = self._table.family, self._packer
        found: dict[Told, Routes] = {}
        for (prefix, slot), path in self._held.items():
            if path is not None and path.slot.peer != name:
                told = packer.told(family, path, prefix)
                if isinstance(told, Told) and packer.fitting(family, told, [prefix]):
                    found.setdefault(told, {}).setdefault(slot, []).append(prefix)
        return [message for told, some in found.items() for message in packer.announce(family, told, some)]

    def _drop(self, path: Path) -> None:
        self.known.pop(path, None)
        self.several.pop(path, None)
        if self.others:
            for other in self.others.pop(path, ()):
                self._leaders.pop(other, None)
            leader = self._leaders.get(path)
            if leader is not None:
                self._drop(leader)

    def leads(self, path: Path) -> bool:
        """Whether `path` is selected for a prefix, told or not: so it is forgotten when that ends."""
        return bool(self._table.prefixes(path, self._packer.selections.get(self._table.family)))

    def keep(self, path: Path, messages: list[bytes], others: list[Path]) -> None:
        """Keep the messages of `path`: one at least, or none if it leads and is kept from the peers."""
        if len(messages) == 1:
            self.known[path] = messages[0]
        else:
            self.known[path] = b"".join(messages)
            self.several[path] = len(messages)
        if others:
            self.others[path] = others
            for other in others:
                self._leaders[other] = path

    def make(self, path: Path) -> list[bytes]:
        """Return the messages that tell `path` for all its prefixes."""
        table, packer = self._table, self._packer
        family = table.family
        if packer.by_prefix:
            return self._parts(path, self._prefixes(path))
        quick = packer.quick.get(family)
        block = None if quick is None else quick(path)
        if block is not None:
            return packer.encoder.classic(block, self._prefixes(path))[0]
        told = packer.told(family, path)
        # Nothing is looked up for a path that is not told.
        if isinstance(told, Withheld):
            return []
        return self._pack(told, {packer.slot(family, path): self._prefixes(path)})

    def _prefixes(self, path: Path, among: list[bytes] | None = None) -> list[bytes]:
        """Return the prefixes for which `path` is told, of all or `among` some."""
        packer, family = self._packer, self._table.family
        if self._held:
            slot = packer.slot(family, path)
            some = path.prefixes if among is None else among
            among = [prefix for prefix in some if (prefix, slot) not in self._held]
        return self._table.prefixes(path, packer.selections.get(family), among)

    def together(self, path: Path, skip: Callable[[Path], bool]) -> tuple[list[bytes], list[Path], bool]:
        """Return the messages that tell `path` and others that look like it, but those to `skip`.

        Return also which others these are, and whether some were skipped.
        """
        packer, family = self._packer, self._table.family
        own = self._prefixes(path)
        told = packer.told(family, path)
        others: list[Path] = []
        skipped = False
        if isinstance(told, Withheld) or not own:
            return [], others, skipped
        room = _PREFIXES - len(own)
        # The prefixes of one slot are different ones, and so are those that lead without ADD-PATH.
        routes: Routes = {packer.slot(family, path): own}
        for other in self.alike.behind(path):
            if other.count > room:
                break
            if skip(other):
                skipped = True
                continue
            some = self._prefixes(other)
            if some:
                room -= len(some)
                others.append(other)
                slot = packer.slot(family, other)
                routes[slot] = [*routes.get(slot, ()), *some]
        return self._pack(told, routes), others, skipped

    def part(self, path: Path, some: list[bytes], last: bool) -> tuple[list[bytes], int]:
        """Return messages that tell `path` for the first of `some` prefixes, and how many of them those are.

        But for the `last` part, the messages are full.
        """
        packer, family = self._packer, self._table.family
        chosen = self._prefixes(path, some)
        used = len(some)
        if packer.by_prefix:
            return self._parts(path, chosen), used
        told = packer.told(family, path)
        if isinstance(told, Withheld):
            return [], used
        chosen = packer.fitting(family, told, chosen)
        if not last:
            room = packer.encoder.room(family, told.octets, told.next_hop)
            identified = packer.identified(family)
            ends = list(accumulate((len(prefix) + identified for prefix in chosen), initial=0))
            full = 0
            while ends[-1] - ends[full] > room:
                full = bisect_right(ends, ends[full] + room) - 1
            if full:
                used = some.index(chosen[full])
                chosen = chosen[:full]
        return self._pack(told, {packer.slot(family, path): chosen}), used

    def _parts(self, path: Path, prefixes: list[bytes]) -> list[bytes]:
        messages: list[bytes] = []
        family, slot = self._table.family, self._packer.slot(self._table.family, path)
        for told, some in self._packer.parts(family, path, prefixes):
            if isinstance(told, Told):
                messages += self._pack(told, {slot: some})
        return messages

    def _pack(self, told: Told, routes: Routes) -> list[bytes]:
        family, packer = self._table.family, self._packer
        fitting = {slot: packer.fitting(family, told, prefixes) for slot, prefixes in routes.items()}
        return packer.announce(family, told, fitting) if any(fitting.values()) else []


class Dump:
    """One run over the table of `family` for the member `name`.

    `end` is where it ends in the table's order, None until it begins: what comes later is told by the train.
    It is followed by End-of-RIB if it is the member's first (RFC 4724 section 2); if it is `enhanced`, it
    stands between BoRR and EoRR (RFC 7313 section 4).
    """

    __slots__ = (
        "_ahead",
        "_begun",
        "_offset",
        "_position",
        "_prefixes",
        "end",
        "enhanced",
        "family",
        "finished",
        "initial",
        "markers",
        "updates",
    )

    def __init__(self, family: Family, *, initial: bool = False, enhanced: bool = False) -> None:
        self.family = family
        self.initial = initial
        self.enhanced = enhanced
        self.end: int | None = None
        self.finished = False
        self.updates = 0  # how many UPDATEs were made
        self.markers = 0  # and how many of BoRR and EoRR
        self._begun = False
        self._position = 0
        # Paths that were told with an earlier one, and will be passed.
        self._ahead: set[Path] = set()
        # Within a path of very many prefixes: its list, and how far it was told.
        self._prefixes: list[bytes] | None = None
        self._offset = 0

    def run(
        self,
        name: str,
        table: Table,
        packer: Packer,
        images: Images,
        *,
        keep: bool,
        limit: int,
        positions: int,
    ) -> tuple[list[bytes], int]:
        """Return the next messages, of about `limit` octets, and how many of `positions` are left.

        The messages tell the state of the last flush, so the table must not be dirty.  `keep` the images.
        """
        order, known, ahead = table.order, images.known, self._ahead
        if self.end is None:
            self.end = len(order)
        end = 0 if packer.silent else self.end
        messages: list[bytes] = []
        if self.enhanced and not self._begun:
            messages.append(_marker(self.family, RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH))
            self.markers += 1
        if not self._begun:
            made = packer.announce_default(self.family)
            messages += made
            self.updates += len(made)
        if end:
            if not self._begun:
                images.alike.begin()
            positions = images.alike.search(positions)
        self._begun = True
        while self._position < end and limit > 0 and positions > 0:
            positions -= 1
            path = order[self._position]
            if path is None or path.refusal is not None or path.slot.peer == name:
                self._position += 1
                continue
            if ahead and path in ahead:
                self._position += 1
                ahead.discard(path)
                continue
            image = known.get(path)
            if image is not None and images.others and (others := images.others.get(path)):
                # Not if it tells the member what is its own, or what it was told before.
                if ahead.isdisjoint(others) and all(other.slot.peer != name for other in others):
                    ahead.update(others)
                else:
                    image = None
            if image is not None:
                self._position += 1
                if image:
                    self.updates += images.several.get(path, 1)
                    messages.append(image)
                    limit -= len(image)
                continue
            if path.count > _PREFIXES:
                made = self._part(images, path, packer.terms.maximum)
            else:
                self._position += 1
                others, whole = [], path not in known
                if images.alike:
                    made, others, skipped = images.together(
                        path, lambda other: other in ahead or other.slot.peer == name
                    )
                    ahead.update(others)
                    whole = whole and not skipped
                else:
                    made = images.make(path)
                    if packer.by_prefix:
                        positions -= path.count  # each was asked about
                if keep and whole and (made or images.leads(path)):
                    images.keep(path, made, others)
            self.updates += len(made)
            messages += made
            limit -= sum(map(len, made))
        if self._position >= end:
            self.finished = True
            made = images.last(name)
            messages += made
            self.updates += len(made)
            if self.initial:
                messages.append(packer.encoder.end_of_rib(self.family))
                self.updates += 1
            elif self.enhanced:
                messages.append(_marker(self.family, RouteRefreshSubtype.END_OF_ROUTE_REFRESH))
                self.markers += 1
        return messages, positions

    def _part(self, images: Images, path: Path, maximum: int) -> list[bytes]:
        """Return the messages of the next prefixes of a path that has very many."""
        if self._prefixes is not path.prefixes:
            # The first part; or the list was made anew since the last one, and the path starts over.
            self._prefixes, self._offset = path.prefixes, 0
        stop = self._offset + max(_PREFIXES, maximum // _SHORT)
        last = stop >= len(path.prefixes)
        made, used = images.part(path, path.prefixes[self._offset : stop], last)
        self._offset += used
        if last:
            self._prefixes = None
            self._position += 1
        return made


def _marker(family: Family, subtype: RouteRefreshSubtype) -> bytes:
    return encode(RouteRefresh(family.afi, family.safi, subtype))
