"""What was added, changed and removed at run time: tables that lie over those of the configuration file.

The tables are as TOML has them, before anybody reads them.  A neighbor is known by its address or interface
and by its source address, a listen range by its prefix; that is its identity, in whatever way it is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from reflector.configuration.document import Document
from reflector.configuration.locate import Path

Raw = Mapping[str, object]
NEIGHBOR, LISTEN_RANGE = TABLES = "neighbor", "listen_range"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which thing a table is about."""

    table: str
    where: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.table.replace('_', ' ')} {self.where}" + (
            f" from {self.source}" if self.source else ""
        )


_SAID = {
    "added": "added at run time, not in the file",
    "changed": "changed at run time, the file has it as it was",
    "removed": "removed at run time, still in the file",
}
# By identity, what stands in place of what the file says; None: nothing does.
Overlay = Mapping[Identity, Raw | None]


def identity(table: str, raw: Raw) -> Identity:
    """Return which thing a table of that kind is about."""
    if table == LISTEN_RANGE:
        return Identity(table, _network(str(raw.get("prefix", ""))))
    where = raw.get("address") or raw.get("interface") or ""
    source = raw.get("source_address")
    return Identity(table, _address(str(where)), "" if source is None else _address(str(source)))


# What is looked for among thousands is read once.
@lru_cache(maxsize=1 << 15)
def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return text


@lru_cache(maxsize=1 << 15)
def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        return text


def tables(data: Mapping[str, object], table: str) -> list[Raw]:
    """Return the tables of a kind; what is none is nobody's."""
    found = data.get(table, [])
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def by_identity(data: Mapping[str, object]) -> dict[Identity, Raw]:
    """Return the neighbors and listen ranges of a configuration."""
    return {identity(table, raw): raw for table in TABLES for raw in tables(data, table)}


def merged(document: Document, overlay: Overlay) -> Document:
    """Return a document with the overlay over it; what is of the overlay has line 0."""
    if not overlay:
        return document
    data, lines = dict(document.data), dict(document.lines)
    for table in TABLES:
        left = {key: raw for key, raw in overlay.items() if key.table == table}
        if not left:
            continue
        places: dict[int, int | None] = {}  # by the number in the result, that in the file
        found: list[Raw] = []
        for number, raw in enumerate(tables(document.data, table)):
            key = identity(table, raw)
            changed = left.pop(key, raw)
            if changed is not None:
                places[len(found)] = number if changed is raw else None
                found.append(changed)
        for raw_ in left.values():
            if raw_ is not None:
                places[len(found)] = None
                found.append(raw_)
        data[table] = found
        lines = {path: line for path, line in lines.items() if path[:1] != (table,) or len(path) == 1}
        lines |= _moved(document.lines, table, places)
    return Document(document.file, data, lines)


def _moved(lines: Mapping[Path, int], table: str, places: Mapping[int, int | None]) -> dict[Path, int]:
    """Return the lines of a list's tables by their new numbers."""
    numbers = {old: new for new, old in places.items() if old is not None}
    found: dict[Path, int] = {(table, new): 0 for new, old in places.items() if old is None}
    for path, line in lines.items():
        if len(path) > 1 and path[0] == table and path[1] in numbers:
            found[(table, numbers[path[1]], *path[2:])] = line
    return found


def carried(
    overlay: Overlay, before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[dict[Identity, Raw | None], list[str]]:
    """Return what of an overlay lies over the file's new state as well, and in words what becomes of it.

    What the file says by now in the same way is nothing special any more.  Where the file has changed what
    was changed at run time, too, the file is right.
    """
    kept: dict[Identity, Raw | None] = {}
    words: list[str] = []
    old, new = by_identity(before), by_identity(after)
    for key, raw in overlay.items():
        if new.get(key) == raw:
            continue
        if new.get(key) != old.get(key):
            words.append(f"* {key}: what was done at run time gives way to what the file says by now")
            continue
        kept[key] = raw
        done = "removed" if raw is None else "changed" if key in new else "added"
        words.append(f"= {key}: {_SAID[done]}; it stays so (--forget: as the file says)")
    return kept, words
