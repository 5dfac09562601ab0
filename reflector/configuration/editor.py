"""The schema of a configuration file, for editors that know JSON Schema: `reflector schema` prints it.

It is made of the tables by which the file is read, so what it knows of keys is what the service knows.
"""

from collections.abc import Sequence
from typing import Any

from reflector.changes.changing import SET
from reflector.configuration import schema
from reflector.configuration.addresses import prefix_entry
from reflector.configuration.conditions import CONDITIONAL
from reflector.configuration.guards import BLOCKS
from reflector.configuration.matching import MATCH, one_or_list
from reflector.configuration.policies import TERM
from reflector.configuration.schema import Key
from reflector.configuration.shapes import Shape, array, shape_of, table
from reflector.configuration.values import text

_MATCH, _SET = "#/$defs/match", "#/$defs/set"


def json_schema() -> dict[str, Any]:
    """Return the schema."""
    tables = {name: _headed(name, rows) for name, rows in schema.TABLES.items()}
    tables["communities"] = {"type": "object", "additionalProperties": shape_of(text)}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of Martlet's reflector",
        "required": ["router"],
        **table(tables),
        "$defs": {
            "match": _match() | {"minProperties": 1},
            "set": _rows(SET) | {"minProperties": 1},
        },
    }


def _match() -> Shape:
    prefixes = Key("prefix", one_or_list(prefix_entry), "prefixes, or the name of a [prefix_list.NAME]")
    any_of = array({"$ref": _MATCH}, 1) | _said("a list of such tables, of which one must hold")
    return _rows((*MATCH, prefixes), {"any": any_of, "not": {"$ref": _MATCH}})


def _headed(name: str, rows: Sequence[Key]) -> Shape:
    """Return the shape of what stands under the heading of a table."""
    shape, heading = _rows(rows, _nested(name)), schema.HEADINGS[name]
    if heading.startswith("[["):
        return array(shape)
    return {"type": "object", "additionalProperties": shape} if ".NAME" in heading else shape


def _nested(name: str) -> dict[str, Shape]:
    """Return the shapes of those keys whose tables are read later than the value."""
    match name:
        case "group" | "neighbor" | "listen_range":
            return {"conditional": array(_rows(CONDITIONAL))}
        case "guard":
            return {"blocks": array(_rows(BLOCKS))}
        case "policy":
            return {"term": array(_rows(TERM, {"match": {"$ref": _MATCH}, "set": {"$ref": _SET}}))}
    return {}


def _rows(rows: Sequence[Key], others: dict[str, Shape] | None = None) -> Shape:
    keys = {row.name: {**shape_of(row.read), **_said(row.text)} for row in rows}
    for name, shape in (others or {}).items():
        # Beside $ref nothing else counts.
        keys[name] = shape if "$ref" in shape else _said(_text(rows, name)) | shape
    return table(keys, [row.name for row in rows if row.required])


def _text(rows: Sequence[Key], name: str) -> str:
    return next((row.text for row in rows if row.name == name), "")


def _said(words: str) -> Shape:
    return {"description": words} if words else {}
