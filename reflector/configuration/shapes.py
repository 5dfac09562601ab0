"""What a value must look like, in the words of JSON Schema, kept with the reader of the value.

A reader says what is wrong with a value, a shape what it may be, for editors
(`reflector.configuration.editor`).  A shape may let pass what the reader refuses, such as an address that is
none, but it refuses nothing that a reader takes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

Shape = dict[str, Any]
_F = TypeVar("_F", bound=Callable[..., object])

FLAG: Shape = {"type": "boolean"}
TEXT: Shape = {"type": "string", "minLength": 1}


def shaped(shape: Shape) -> Callable[[_F], _F]:
    """Return a decorator that gives its shape to a reader."""

    def keep(read: _F) -> _F:
        vars(read)["shape"] = shape
        return read

    return keep


def shape_of(read: Callable[..., object]) -> Shape:
    """Return the shape of what `read` takes, that of anything where nothing is said."""
    shape: Shape = vars(read).get("shape", {})
    return shape


def integer(low: int, high: int) -> Shape:
    """Return the shape of whole numbers from `low` to `high`."""
    return {"type": "integer", "minimum": low, "maximum": high}


def words(choices: Iterable[str]) -> Shape:
    """Return the shape of one of these words."""
    return {"enum": list(choices)}


def either(*shapes: Shape) -> Shape:
    """Return the shape of what has one of several."""
    return {"anyOf": list(shapes)}


def array(shape: Shape, least: int = 0) -> Shape:
    """Return the shape of a list."""
    listed: Shape = {"type": "array", "items": shape}
    return listed | ({"minItems": least} if least else {})


def one_or_more(shape: Shape) -> Shape:
    """Return the shape of a value, or of a list of them."""
    return either(shape, array(shape, 1))


def table(keys: Mapping[str, Shape], required: Iterable[str] = ()) -> Shape:
    """Return the shape of a table with these keys, and no others."""
    shape: Shape = {"type": "object", "properties": dict(keys), "additionalProperties": False}
    return shape | ({"required": list(required)} if required else {})
