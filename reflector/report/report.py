"""A report: what may be asked of a running service by name, with arguments, and is answered in rows.

A row is plain data, a mapping that JSON can carry, so the same report is a table for people, lines for
programs, a page of the looking glass and a reply of the socket that speaks as BIRD does.  Rows come in slices
of the loop's time: whoever asks for a million routes delays nobody.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflector.app import Service


def flag(_: "Service", value: object) -> bool:
    """Read true or false."""
    if isinstance(value, str) and value in ("true", "1", "yes", "false", "0", "no"):
        return value in ("true", "1", "yes")
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


Row = dict[str, Any]
Reader = Callable[["Service", object], Any]
Rows = Callable[..., AsyncGenerator[Row, None]]


class Unanswerable(Exception):
    """What was asked cannot be answered: the text says why, and what to ask instead."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument: `read` makes a value of what was given, or raises Unanswerable or ValueError."""

    name: str
    read: Reader
    text: str
    required: bool = False

    @property
    def is_flag(self) -> bool:
        """Whether it is said or not said, and has no value."""
        return self.read is flag


@dataclass(frozen=True, slots=True)
class Report:
    """A report: `rows` is called with the service and the arguments that were given, by name.

    One that is `endless` goes on until who asked goes away.
    """

    name: str
    text: str
    rows: Rows
    arguments: tuple[Argument, ...] = ()
    endless: bool = False

    def ask(self, service: "Service", given: Mapping[str, object]) -> AsyncGenerator[Row, None]:
        """Return the rows; raise Unanswerable where an argument is not what it should be."""
        known = {argument.name: argument for argument in self.arguments}
        read = {}
        for name, value in given.items():
            argument = known.get(name)
            if argument is None:
                raise Unanswerable(f"{self.name}: there is no argument {name!r}{_meant(name, known)}")
            if value is None:
                continue
            try:
                read[name] = argument.read(service, value)
            except ValueError as error:
                raise Unanswerable(f"{name}: {error}") from None
        for argument in self.arguments:
            if argument.required and argument.name not in read:
                raise Unanswerable(f"{self.name}: {argument.name} is missing: {argument.text}")
        return self.rows(service, **read)


def find(reports: Mapping[str, Report], name: object) -> Report:
    """Return the report of that name; raise Unanswerable."""
    if isinstance(name, str) and name in reports:
        return reports[name]
    raise Unanswerable(f"there is no report {name!r}{_meant(str(name), reports)}")


def _meant(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(known)}" if known else ""
