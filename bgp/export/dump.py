"""Dumps: a whole table for one member, when it joins or asks for a refresh, in slices.

A dump goes through the order of the table's paths, and tells each with all its prefixes.  The messages of a
path are an image, kept for the next member that joins until the path wins or loses a prefix: members that
join together share the work, and a thousand of them cost little more than one.
"""

from collections.abc import Mapping

from bgp.export.log import Route
from bgp.export.pack import Packer, Routes, Told
from bgp.export.rules import Withheld
from bgp.family import Family
from bgp.iana import RouteRefreshSubtype
from bgp.rib.path import Path
from bgp.rib.table import Changes, Table
from bgp.wire.message import RouteRefresh, encode

# The prefixes of a path are told at once, unless they are more than this.
_PREFIXES = 2048
_NOTHING: Mapping[Route, Path | None] = {}


class Images:
    """The messages of the paths of one table, as one group is told them."""

    __slots__ = ("_held", "_packer", "_table", "known", "several")

    def __init__(self, table: Table, packer: Packer, held: Mapping[Route, Path | None] = _NOTHING) -> None:
        """`held`: routes of which something else was told last than what the table has."""
        self._table = table
        self._packer = packer
        self._held = held
        self.known: dict[Path, bytes] = {}
        # The number of messages in those images that hold more than one.
        self.several: dict[Path, int] = {}

    def forget(self, changes: Changes) -> None:
        """Forget what `changes` made wrong."""
        if self.known:
            for path in changes.touched():
                self.known.pop(path, None)
                self.several.pop(path, None)

    def clear(self) -> None:
        """Forget all."""
        self.known.clear()
        self.several.clear()

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

    def keep(self, path: Path, messages: list[bytes]) -> None:
        """Keep the messages of `path`, one at least: only a path that is told is sure to be forgotten."""
        if len(messages) == 1:
            self.known[path] = messages[0]
        else:
            self.known[path] = b"".join(messages)
            self.several[path] = len(messages)

    def make(self, path: Path, among: list[bytes] | None = None) -> list[bytes]:
        """Return the messages that tell `path` for all its prefixes, or for those `among` some."""
        table, packer = self._table, self._packer
        family = table.family
        selection = packer.selections.get(family)
        if self._held:
            slot = packer.slot(family, path)
            some = path.prefixes if among is None else among
            among = [prefix for prefix in some if (prefix, slot) not in self._held]
        if packer.by_prefix:
            messages: list[bytes] = []
            for told, prefixes in packer.parts(family, path, table.prefixes(path, selection, among)):
                messages += self._pack(path, told, prefixes)
            return messages
        quick = packer.quick.get(family)
        block = None if quick is None else quick(path)
        if block is not None:
            return packer.encoder.classic(block, table.led_by(path, among))[0]
        told = packer.told(family, path)
        # Nothing is looked up for a path that is not told.
        if isinstance(told, Withheld):
            return []
        return self._pack(path, told, table.prefixes(path, selection, among))

    def _pack(self, path: Path, told: Told | Withheld, prefixes: list[bytes]) -> list[bytes]:
        family, packer = self._table.family, self._packer
        if isinstance(told, Withheld):
            return []
        prefixes = packer.fitting(family, told, prefixes)
        return packer.announce(family, told, {packer.slot(family, path): prefixes}) if prefixes else []


class Dump:
    """One run over the table of `family` for the member `name`.

    `end` is where it ends in the table's order, None until it begins: what comes later is told by the train.
    It is followed by End-of-RIB if it is the member's first (RFC 4724 section 2); if it is `enhanced`, it
    stands between BoRR and EoRR (RFC 7313 section 4).
    """

    __slots__ = (
        "_begun",
        "_offset",
        "_position",
        "_prefixes",
        "end",
        "enhanced",
        "family",
        "finished",
        "initial",
        "updates",
    )

    def __init__(self, family: Family, *, initial: bool = False, enhanced: bool = False) -> None:
        self.family = family
        self.initial = initial
        self.enhanced = enhanced
        self.end: int | None = None
        self.finished = False
        self.updates = 0  # how many UPDATEs were made
        self._begun = False
        self._position = 0
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
        order, known = table.order, images.known
        if self.end is None:
            self.end = len(order)
        end = 0 if packer.silent else self.end
        messages: list[bytes] = []
        if self.enhanced and not self._begun:
            messages.append(_marker(self.family, RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH))
        if not self._begun:
            made = packer.announce_default(self.family)
            messages += made
            self.updates += len(made)
        self._begun = True
        while self._position < end and limit > 0 and positions > 0:
            positions -= 1
            path = order[self._position]
            if path is None or path.refusal is not None or path.slot.peer == name:
                self._position += 1
                continue
            image = known.get(path)
            if image is not None:
                self._position += 1
                self.updates += images.several.get(path, 1)
                messages.append(image)
                limit -= len(image)
                continue
            if path.count > _PREFIXES:
                made = self._part(images, path)
            else:
                self._position += 1
                made = images.make(path)
                if keep and made:
                    images.keep(path, made)
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
        return messages, positions

    def _part(self, images: Images, path: Path) -> list[bytes]:
        """Return the messages of the next prefixes of a path that has very many."""
        if self._prefixes is not path.prefixes:
            # The first part; or the list was made anew since the last one, and the path starts over.
            self._prefixes, self._offset = path.prefixes, 0
        some = path.prefixes[self._offset : self._offset + _PREFIXES]
        self._offset += len(some)
        if self._offset >= len(path.prefixes):
            self._prefixes = None
            self._position += 1
        return images.make(path, some)


def _marker(family: Family, subtype: RouteRefreshSubtype) -> bytes:
    return encode(RouteRefresh(family.afi, family.safi, subtype))
