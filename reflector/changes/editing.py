"""One table of a TOML text changed in place: all the rest of the text stays as it is, to the last space.

A comment directly above a table, or behind a value that goes, goes with it.  Whoever uses this should read
the result, and compare: what is written in a way that cannot be changed in place is refused.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping

from reflector.configuration.locate import Path, layout

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Uneditable(ValueError):
    """The text cannot be changed in place; the reason says why."""


def add(text: str, table: str, values: Mapping[str, object]) -> str:
    """Return the text with another `[[table]]`: behind the others of its kind, or else at the end."""
    ends = [end for path, _, end in _blocks(text) if path[:1] == (table,)]
    at = max(ends) if ends else len(text)
    before, after = text[:at], text[at:]
    lines = [f"[[{table}]]", *(f"{key(name)} = {toml(value)}" for name, value in values.items())]
    lead = "" if not before or before.endswith("\n") else "\n"
    lead += "" if not before or re.search(r"\n[ \t\r]*\n\Z", before + lead) else "\n"
    return before + _ended(text, lead + "\n".join(lines) + ("\n\n" if after.strip() else "\n")) + after


def remove(text: str, table: str, number: int) -> str:
    """Return the text without that table of the list, counted from 0, and what is below it."""
    blocks = [(start, end) for path, start, end in _blocks(text) if path[:2] == (table, number)]
    if not blocks:
        raise Uneditable(f"the {table}s are no [[{table}]] tables, but one value")
    for start, end in reversed(blocks):
        text = text[:start] + text[end:]
    return text


def change(text: str, table: str, number: int, values: Mapping[str, object | None]) -> str:
    """Return the text with other values of these keys of that table; None takes a key away."""
    for name, value in values.items():
        if value is None:
            text = _without(text, (table, number, name))
        else:
            text = _with(text, table, number, name, value)
    return text


def _with(text: str, table: str, number: int, name: str, value: object) -> str:
    path: Path = (table, number, name)
    headings, pairs = layout(text)
    for pair in pairs:
        if pair.path == path:
            end = len(text[: pair.end].rstrip(" \t"))
            return text[: pair.value] + toml(value) + text[end:]
    # It was not there, or as a table of its own.
    text = _without(text, path)
    headings, pairs = layout(text)
    starts = [each.start for each in headings if each.path == path[:2]]
    if not starts:
        raise Uneditable(f"the {table}s are no [[{table}]] tables, but one value")
    end = next((each.start for each in headings if each.start > starts[0]), len(text))
    at = max([starts[0], *(pair.end for pair in pairs if starts[0] < pair.start < end)])
    at = _line_end(text, at)
    lead = "" if text[:at].endswith("\n") else "\n"
    return text[:at] + _ended(text, f"{lead}{key(name)} = {toml(value)}\n") + text[at:]


def _without(text: str, path: Path) -> str:
    cuts = [(start, end) for found, start, end in _blocks(text) if found[: len(path)] == path]
    for pair in layout(text)[1]:
        if pair.path[: len(path)] == path and not any(start <= pair.start < end for start, end in cuts):
            cuts.append((text.rfind("\n", 0, pair.start) + 1, _line_end(text, pair.end)))
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text


def _blocks(text: str) -> Iterator[tuple[Path, int, int]]:
    """Yield what each header opens, and from where to where that is, the comments directly above included."""
    headings = layout(text)[0]
    starts = [*(_above(text, each.start) for each in headings), len(text)]
    for number, each in enumerate(headings):
        yield each.path, starts[number], starts[number + 1]


def _above(text: str, start: int) -> int:
    """Return the start of the comments directly above a line."""
    while start:
        before = text.rfind("\n", 0, start - 1) + 1
        if not text[before:start].lstrip().startswith("#"):
            break
        start = before
    return start


def _line_end(text: str, at: int) -> int:
    """Return the start of the line behind that of an offset."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _ended(text: str, lines: str) -> str:
    """Return lines with the ends that the text's lines have."""
    return lines.replace("\n", "\r\n") if "\r\n" in text else lines


def key(name: str) -> str:
    """Return a key as TOML has it."""
    return name if _BARE.fullmatch(name) else _text(name)


def toml(value: object) -> str:
    """Return a value as TOML has it, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case str():
            return _text(value)
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            inner = ", ".join(f"{key(str(name))} = {toml(each)}" for name, each in value.items())
            return f"{{{inner}}}"
    raise Uneditable(f"TOML has no {type(value).__name__}")


def _text(value: str) -> str:
    # What JSON escapes is escaped in TOML in the same way, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
