"""The guards of a configuration: `[guard.NAME]`, and which peers have which of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bgp.rib.guard import Blocks, Guard
from reflector.configuration.addresses import prefix
from reflector.configuration.document import Document, nearest
from reflector.configuration.schema import Key
from reflector.configuration.tables import Table, read_named, read_table
from reflector.configuration.values import number, refuse_as

BLOCKS = (
    Key("within", prefix, "where the blocks lie", required=True),
    Key("length", number(0, 128), "their prefix length", required=True),
    Key("count", number(1, 1 << 20), "how many of them each peer may have, by default 1"),
    Key("borrowed", number(0, 1 << 20), "how many more specific prefixes of any block each may announce"),
)
_HEADING = "blocks = [{within = ..., length = ...}]"
# What a guard is called that is nothing but the allotment of one peer.
_NAMELESS = "allotment"


def read_guards(document: Document) -> dict[str, Guard]:
    """Read all guards, by name; those of which something was refused may be incomplete."""
    found: dict[str, Guard] = {}
    for name, table in read_named(document, "guard").items():
        if not table.places:
            table.place.refuse("guards nothing", "add prefixes, blocks, shared or next_hop")
        values: dict[str, Any] = {
            key: table.values[key] for key in ("prefixes", "shared", "hold") if key in table.values
        }
        if "next_hop" in table.values:
            values |= {"own_next_hop": True, "next_hops": table.values["next_hop"]}
        found[name] = Guard(name=name, blocks=_blocks(table), **values)
    return found


def _blocks(table: Table) -> tuple[Blocks, ...]:
    found: list[Blocks] = []
    for index, raw in enumerate(table.values.get("blocks", ())):
        row = read_table(raw, table.where("blocks") / index, BLOCKS, _HEADING)
        if not {"within", "length"} <= row.values.keys():
            continue
        try:
            blocks = Blocks(**row.values)
        except ValueError as error:
            key, _, what = str(error).partition(": ")
            refuse_as(row.where(key), ValueError(what))
            continue
        for other in found:
            if other.family is blocks.family and other.within.overlaps(blocks.within):
                row.where("within").refuse(f"overlaps {other.within}", "part them, or keep one")
        found.append(blocks)
    return tuple(found)


def find_guard(peer: Table, guards: Mapping[str, Guard]) -> Guard | None:
    """Return the guard of a neighbor or listen range, None where it has none."""
    name, own = peer.values.get("guard"), peer.values.get("allotment")
    if name is None:
        return None if own is None else Guard(name=_NAMELESS, prefixes=own)
    if name not in guards:
        guess = nearest(name, list(guards))
        remedy = f'did you mean "{guess}"?' if guess else f"add a [guard.{name}] table"
        peer.where("guard").refuse(f'there is no guard "{name}"', remedy)
        return None
    return guards[name] if own is None else replace(guards[name], prefixes=own)
