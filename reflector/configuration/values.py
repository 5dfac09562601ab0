"""Readers of single values: each takes what TOML holds and returns what the program uses, or refuses it.

A refusal says at its `Place` what is wrong and what to write instead; the reader then returns None.  The
readers here know TOML only; `reflector.configuration.addresses` and `reflector.configuration.terms` know
what BGP is made of.
"""

import re
from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path

from reflector.configuration.document import Place, nearest
from reflector.configuration.shapes import FLAG, TEXT, array, integer, shape_of, shaped, words

Reader = Callable[[object, Place], object | None]
_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    str: "text",
    list: "a list",
}


def kind(value: object) -> str:
    """Name the TOML type of `value` as a person would."""
    return _KINDS.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


@shaped(FLAG)
def flag(value: object, place: Place) -> bool | None:
    if isinstance(value, bool):
        return value
    remedy = "write true or false, without quotes"
    place.refuse(f"must be true or false, not {kind(value)}", remedy)
    return None


@shaped(TEXT)
def text(value: object, place: Place) -> str | None:
    if isinstance(value, str) and value:
        return value
    what = "must not be empty" if value == "" else f"must be text, not {kind(value)}"
    place.refuse(what, 'write it in "quotes"')
    return None


@shaped(TEXT)
def nul_free(value: object, place: Place) -> str | None:
    """Read the name of something of the system's, which has neither NUL nor equals sign."""
    found = text(value, place)
    if found is not None and ("\0" in found or "=" in found):
        place.refuse("has a sign that no name has", "write a name such as BGP_PASSWORD")
        return None
    return found


@shaped({"type": "string", "pattern": "^/"})
def path(value: object, place: Place) -> Path | None:
    """Read the path of a file, from the root on."""
    found = text(value, place)
    if found is not None and not found.startswith("/"):
        place.refuse(
            f'"{found}" depends on where we are started', f'write it from the root on: "/run/{found}"'
        )
        return None
    return None if found is None else Path(found)


@shaped({"type": "string", "pattern": "^0?[0-7]{3}$"})
def mode(value: object, place: Place) -> int | None:
    """Read permissions, as chmod has them."""
    if isinstance(value, str) and re.fullmatch("0?[0-7]{3}", value):
        return int(value, 8)
    place.refuse(f"{shown(value)} are no permissions", 'write them as chmod has them: "0660"')
    return None


def number(low: int, high: int, unit: str = "") -> Callable[[object, Place], int | None]:
    """Return a reader of whole numbers from `low` to `high`."""
    of = f" of {unit}" if unit else ""

    @shaped(integer(low, high))
    def read(value: object, place: Place) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            quoted = isinstance(value, str) and value.strip().isdecimal()
            remedy = f"write {value}, without quotes" if quoted else f"write a number from {low} to {high}"
            place.refuse(f"must be a whole number{of}, not {kind(value)}", remedy)
            return None
        if not low <= value <= high:
            place.refuse(f"{value} is out of range", f"write a whole number{of} from {low} to {high}")
            return None
        return value

    return read


def duration(low: float, high: float) -> Callable[[object, Place], float | None]:
    """Return a reader of seconds from `low` to `high`, with a fraction or without."""

    @shaped({"type": "number", "minimum": low, "maximum": high})
    def read(value: object, place: Place) -> float | None:
        if isinstance(value, float) and low <= value <= high:
            return value
        if isinstance(value, float):
            place.refuse(f"{value} is out of range", f"write seconds from {low:g} to {high:g}")
            return None
        seconds = number(ceil(low), int(high), "seconds")(value, place)
        return None if seconds is None else float(seconds)

    return read


def one_of(choices: Iterable[str]) -> Callable[[object, Place], str | None]:
    """Return a reader of one word out of `choices`."""
    known = list(choices)
    listed = ", ".join(f'"{word}"' for word in known)

    @shaped(words(known))
    def read(value: object, place: Place) -> str | None:
        if isinstance(value, str) and value in known:
            return value
        guess = nearest(value, known) if isinstance(value, str) else None
        what = f'"{value}" is not known' if isinstance(value, str) else f"must be text, not {kind(value)}"
        remedy = f'did you mean "{guess}"? (possible: {listed})' if guess else f"write one of {listed}"
        place.refuse(what, remedy)
        return None

    return read


def list_of(read: Reader, least: int = 0) -> Callable[[object, Place], tuple[object, ...] | None]:
    """Return a reader of a list whose elements `read` reads, each once."""

    @shaped(array(shape_of(read), least))
    def read_list(value: object, place: Place) -> tuple[object, ...] | None:
        if not isinstance(value, list):
            remedy = (
                f'put it in brackets: ["{value}"]' if isinstance(value, str) else "write it in [brackets]"
            )
            place.refuse(f"must be a list, not {kind(value)}", remedy)
            return None
        if len(value) < least:
            place.refuse("must not be empty", "name at least one, or leave out the key")
            return None
        elements = [read(element, place / index) for index, element in enumerate(value)]
        seen: set[object] = set()
        for index, element in enumerate(elements):
            if element is not None and element in seen:
                (place / index).refuse(f"{shown(value[index])} is there twice", "keep one")
            seen.add(element)
        return None if None in elements else tuple(elements)

    return read_list


def shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@shaped(array({"type": "object"}))
def tables(value: object, place: Place) -> list[dict[str, object]] | None:
    """Read a list of tables, whose keys somebody else reads."""
    if isinstance(value, list) and all(isinstance(element, dict) for element in value):
        return value
    name = ".".join(map(str, place.path))
    place.refuse("must be a list of tables", f"write [[{name}]], in two brackets, above each")
    return None


def refuse_as(place: Place, error: ValueError, otherwise: str = "correct it, or leave it out") -> None:
    """Refuse what the library refuses with `error`, whose text often ends with what to write."""
    what, _, remedy = re.sub("[:;] (?=write )", "\n", str(error), count=1).partition("\n")
    place.refuse(what.replace("'", '"'), remedy or otherwise)
