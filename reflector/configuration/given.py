"""Keys with values as they are typed, `hold_time=30` or `group=nodes`: TOML, or text without its quotes."""

import tomllib
from collections.abc import Mapping

from reflector.configuration import schema
from reflector.configuration.document import Document, Place

_ROWS = {row.name: row for row in (*schema.LISTEN_RANGE, *schema.NEIGHBOR)}


def given(values: object) -> dict[str, object | None]:
    """Return keys with their values, None for those to be taken away; raise ValueError."""
    if isinstance(values, Mapping):
        return {str(name): value for name, value in values.items()}
    found: dict[str, object | None] = {}
    for each in [values] if isinstance(values, str) else values if isinstance(values, list) else [None]:
        name, sign, text = each.partition("=") if isinstance(each, str) else ("", "", "")
        if not sign or not name.strip():
            raise ValueError("write key=value, as in hold_time=30, or a JSON object")
        found[name.strip()] = _value(name.strip(), text.strip())
    return found


def _value(name: str, text: str) -> object | None:
    if not text:
        return None
    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text
    if len(document) > 1:
        return text
    value: object = document["value"]
    row = _ROWS.get(name)
    # A name may look like a number.
    if row is not None and not isinstance(value, str) and not _is_good(row, value) and _is_good(row, text):
        return text
    return value


def _is_good(row: schema.Key, value: object) -> bool:
    document = Document("", {}, {})
    return row.read(value, Place(document, (row.name,))) is not None and not document.problems
