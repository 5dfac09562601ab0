"""The tables of a configuration file, read by the rows of `reflector.configuration.schema`.

A table keeps the good values and the place of every key, so that a fault found later, when a group is
already laid under its members, is still reported at the line that caused it.
"""

from dataclasses import dataclass
from typing import Any

from reflector.configuration import schema
from reflector.configuration.document import Document, Place, nearest
from reflector.configuration.schema import Key
from reflector.configuration.values import kind


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read: the values that were good, and the place of each key."""

    place: Place
    values: dict[str, Any]
    places: dict[str, Place]

    def where(self, name: str) -> Place:
        return self.places.get(name, self.place)


def read_router(document: Document) -> Table:
    """Read the `[router]` table."""
    place = document.root / "router"
    if "router" not in document.data:
        place.refuse("is missing", "add a [router] table with asn and router_id")
        return Table(place, {}, {})
    return _table(document.data["router"], place, "router")


def read_optional(document: Document, name: str) -> Table:
    """Read a table such as `[control]`; there need not be one."""
    return _table(document.data.get(name, {}), document.root / name, name)


def read_fib(document: Document) -> Table | None:
    """Read the `[fib]` table, None where there is none."""
    if "fib" not in document.data:
        return None
    return _table(document.data["fib"], document.root / "fib", "fib")


def read_groups(document: Document) -> dict[str, Table]:
    """Read the `[group.NAME]` tables by their names."""
    return read_named(document, "group")


def read_named(document: Document, kind_of_table: str) -> dict[str, Table]:
    """Read the tables of a kind that have names, as `[group.NAME]`, by these names."""
    place, found = document.root / kind_of_table, document.data.get(kind_of_table, {})
    heading = schema.HEADINGS[kind_of_table]
    if not isinstance(found, dict):
        place.refuse("must be tables with names", f"write {heading} above each")
        return {}
    stray = [name for name, value in found.items() if not isinstance(value, dict)]
    if stray:
        (place / stray[0]).refuse(f"is in no {kind_of_table}", f"write {heading} above it")
    return {
        name: _table(value, place / name, kind_of_table)
        for name, value in found.items()
        if isinstance(value, dict)
    }


def read_list(document: Document, name: str) -> list[Table]:
    """Read the tables of one of the lists, as `[[neighbor]]`."""
    place, found = document.root / name, document.data.get(name, [])
    if not isinstance(found, list) or not all(isinstance(element, dict) for element in found):
        place.refuse("must be a list of tables", f"write [[{name}]], in two brackets, above each")
        return []
    return [_table(element, place / index, name) for index, element in enumerate(found)]


def over_group(table: Table, groups: dict[str, Table]) -> Table | None:
    """Return a neighbor or listen range laid over its group; refuse a group that is not there."""
    name = table.values.get("group")
    if name is None:
        return None if "group" in table.places else table
    if name not in groups:
        guess = nearest(name, list(groups))
        remedy = f'did you mean "{guess}"?' if guess else f"add a [group.{name}] table"
        table.where("group").refuse(f'there is no group "{name}"', remedy)
        return None
    group = groups[name]
    return Table(table.place, {**group.values, **table.values}, {**group.places, **table.places})


def refuse_unknown_tables(document: Document) -> None:
    known = list(schema.TABLES)
    for name in document.data:
        if name not in known:
            guess = schema.SYNONYMS.get(name.lower().replace("-", "_"))
            guess = guess if guess in known else nearest(name, known)
            owners = _owners(name)
            if guess is not None:
                remedy = f"did you mean {schema.HEADINGS[guess]}?"
            elif owners:
                remedy = f"write it below {' or '.join(owners)}"
            else:
                remedy = f"remove it; there are {', '.join(schema.HEADINGS.values())}"
            (document.root / name).refuse("is not known here", remedy)


def _table(found: object, place: Place, name: str) -> Table:
    return read_table(found, place, schema.TABLES[name], schema.HEADINGS[name])


def read_table(found: object, place: Place, keys: tuple[Key, ...], heading: str) -> Table:
    """Read one table by its `keys`."""
    rows = {row.name: row for row in keys}
    table = Table(place, {}, {})
    if not isinstance(found, dict):
        place.refuse(f"must be a table, not {kind(found)}", f"write {heading} on a line of its own")
        return table
    for key, value in found.items():
        table.places[key] = place / key
        if key not in rows:
            (place / key).refuse("there is no such key", _remedy(key, list(rows)))
            continue
        result = rows[key].read(value, place / key)
        if result is not None:
            table.values[key] = result
    for row in rows.values():
        if row.required and row.name not in found:
            place.refuse(f"has no {row.name}", f"add {row.name}: {row.text}")
    return table


def _remedy(key: str, known: list[str]) -> str:
    """Say what to do about a key that is not among the `known` ones of its table."""
    synonym = schema.SYNONYMS.get(key.lower().replace("-", "_"))
    if synonym in known:
        return f"did you mean {synonym}?"
    owners = _owners(key)
    if owners:
        return f"remove it; it belongs below {' or '.join(owners)}"
    if synonym is not None and len(elsewhere := _owners(synonym)) == 1:
        return f"write {synonym} below {elsewhere[0]} in its place"
    guess = nearest(key, known)
    return f"did you mean {guess}?" if guess else f"remove it; there are {', '.join(known)}"


def _owners(key: str) -> list[str]:
    """Return the headings of the tables that have such a key."""
    return [
        schema.HEADINGS[name] for name, rows in schema.TABLES.items() if key in {row.name for row in rows}
    ]
