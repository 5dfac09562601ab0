"""A configuration file as read, and what is wrong with it: each problem at the line of its own key.

A `Place` is a spot in the document.  Whoever finds a fault there says what is wrong and what to do about
it; the faults gather in the document, so that all of them are shown at once.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from pathlib import Path as FilePath

from bgp.wire.text import printable
from reflector.configuration.locate import Path, lines

_SHOWN = 1000  # characters at both ends of what a problem says, where it is longer
_DEEPEST = 64  # so many parts may a key have, or a path to a value
_CANDIDATES = 200  # words that are looked at for what somebody may have meant
# A key with too many parts, where a key can stand: they cost their square wherever they are read.
_LONG_KEY = re.compile(
    r"(?:^|(?<=[{,\[]))[ \t]*+"
    rf"(?:(?:[A-Za-z0-9_-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_DEEPEST}}}",
    re.MULTILINE,
)
# TOML's whole numbers have 64 bits; Python itself refuses to read very long ones.
_LONG_NUMBER = re.compile(r"\d[\d_]{1000}")
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a configuration: where it is (line 0: the file itself), what is wrong, and the remedy."""

    file: str
    line: int
    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key, what, remedy = map(_brief, (self.key, self.what, self.remedy))
        return printable(f"{where}: {key}{': ' if key else ''}{what}; {remedy}")


def _brief(text: str) -> str:
    """Return `text`, its middle left out where the file has something very long in it."""
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"


class ConfigurationError(Exception):
    """A configuration that cannot be used, with all its problems in the order of their lines."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class Document:
    """A parsed TOML file, with the line of each of its keys."""

    file: str
    data: dict[str, object]
    lines: dict[Path, int]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    # The communities with names: what kind each is of, and its numbers (`reflector.configuration.naming`).
    communities: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def root(self) -> "Place":
        return Place(self, ())


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a document, and the way to report what is wrong there."""

    document: Document
    path: Path

    def __truediv__(self, step: str | int) -> "Place":
        return Place(self.document, (*self.path, step))

    @property
    def line(self) -> int:
        """The line where this spot, or the innermost table around it, is first named."""
        path = self.path
        while path and path not in self.document.lines:
            path = path[:-1]
        return self.document.lines.get(path, 1)

    @property
    def name(self) -> str:
        """This spot as a person would call it: `[group.nodes] hold_time`, `[[neighbor]] 2, address`."""
        found: object = self.document.data
        for step in self.path:
            found = found.get(step) if isinstance(found, dict) else None
        return _name(self.path, isinstance(found, dict))

    def problem(self, what: str, remedy: str) -> Problem:
        return Problem(self.document.file, self.line, self.name, what, remedy)

    def refuse(self, what: str, remedy: str) -> None:
        self.document.problems.append(self.problem(what, remedy))

    def warn(self, what: str, remedy: str) -> None:
        """Say what is allowed, but surely not meant."""
        self.document.warnings.append(self.problem(what, remedy))


def _name(path: Path, is_table: bool) -> str:
    table, rest = "", list(path)
    if len(path) > 1 and isinstance(path[1], int):
        table, rest = f"[[{path[0]}]] {path[1] + 1}", rest[2:]
    elif len(path) > 3 and path[2] == "term" and isinstance(path[3], int):
        table, rest = f"[[{path[0]}.{path[1]}.term]] {path[3] + 1}", rest[4:]
    elif (len(path) > 2 or (len(path) == 2 and is_table)) and path[0] in (
        "condition",
        "group",
        "guard",
        "policy",
        "prefix_list",
    ):
        table, rest = f"[{path[0]}.{path[1]}]", rest[2:]
    elif len(path) > 1:
        table, rest = f"[{path[0]}]", rest[1:]
    words = ""
    for step in rest:
        words += f", item {step + 1}" if isinstance(step, int) else f".{step}" if words else step
    if not words:
        return table
    return f"{table}{', ' if table.startswith('[[') else ' ' if table else ''}{words}"


def nearest(word: str, words: list[str]) -> str | None:
    """Return the one of `words` that somebody who wrote `word` may have meant, or None."""
    plain = {each.replace("-", "_"): each for each in words}
    some = list(islice(plain, _CANDIDATES))
    matches = get_close_matches(word[:80].lower().replace("-", "_"), some, n=1, cutoff=0.7)
    return plain[matches[0]] if matches else None


def read(file: str) -> Document:
    """Read and parse the TOML document in `file`; raise ConfigurationError if that is impossible."""
    try:
        octets = FilePath(file).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unusable(file, 0, f"cannot be read: {reason}", "check its name and permissions") from error
    return parse(octets, file)


def parse(content: str | bytes, file: str) -> Document:
    """Parse a TOML document; raise ConfigurationError with the line of a syntax error."""
    text = _decoded(content, file) if isinstance(content, bytes) else content
    if text.startswith("\ufeff"):
        raise _unusable(file, 1, "begins with a byte order mark", "save the file without one")
    long_key = _LONG_KEY.search(text)
    if long_key is not None:
        what = f"a key has more than {_DEEPEST} parts"
        raise _unusable(file, _line_at(text, long_key.start()), what, "remove the dots")
    try:
        data = tomllib.loads(text)
        document = Document(file, data, lines(text))
    except tomllib.TOMLDecodeError as error:
        what, line, sign = _syntax_error(str(error), text)
        raise _unusable(file, line, what, _syntax_remedy(what, sign)) from error
    except RecursionError as error:
        raise _unusable(file, 1, "is nested too deeply", "remove the nested brackets") from error
    except ValueError as error:
        long_number = _LONG_NUMBER.search(text)
        line = _line_at(text, long_number.start()) if long_number else 1
        raise _unusable(file, line, "a number is too long", "write one of at most 64 bits") from error
    for place in _oversized(document.root, data):
        place.refuse("is beyond 64 bits", "write a smaller number")
    if document.problems:
        raise ConfigurationError(document.problems)
    return document


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _oversized(root: "Place", data: dict[str, object]) -> Iterator["Place"]:
    """Yield the places of whole numbers that TOML does not have; to show one could take for ever."""
    todo: list[tuple[Path, object]] = [((), data)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            todo += [((*path, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            todo += [((*path, index), each) for index, each in enumerate(value)]
        elif isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
            yield Place(root.document, path)


def _decoded(octets: bytes, file: str) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        what = f"octet 0x{octets[error.start]:02x} is not UTF-8"
        raise _unusable(file, line, what, "save the file in UTF-8") from error


def _unusable(file: str, line: int, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Problem(file, line, "", what, remedy)])


def _syntax_error(message: str, text: str) -> tuple[str, int, str]:
    """Return what is wrong, the line, and the sign where that was found, which may be the line's end."""
    what = re.sub(r" \(at .*\)$", "", message)
    place = re.search(r"\(at line (\d+), column (\d+)\)$", message)
    line = int(place[1]) if place else text.rstrip().count("\n") + 1
    lines = text.replace("\r\n", "\n").split("\n")
    sign = lines[line - 1][int(place[2]) - 1 :][:1] if place and line <= len(lines) else ""
    # tomllib names tables by tuples: ('group', 'nodes').
    what = re.sub(r"\((?:'[^']*',? ?)+\)", lambda name: ".".join(re.findall(r"'([^']*)'", name[0])), what)
    return what[:1].lower() + what[1:], line, sign or "\n"


# What tomllib says (in part), and what most likely helps.
_IN_BRACES = {
    "\n": "write a table in {braces} on one line, without a comma at its end, or as a [table] of its own",
    "}": "remove the comma before the }",
}
_SYNTAX_REMEDIES = (
    ("overwrite a value", "this key or table is there twice: keep one"),
    ("declare", "this table is there twice: keep one, or write [[double brackets]] for a list of them"),
    ("mutate immutable", "a table written in one place cannot be extended in another: write it in one"),
    ("redefine", "this key or table is there twice: keep one"),
    ("duplicate", "this key is there twice: keep one"),
    ("after a key", "write key = value, one to a line"),
    ("invalid value", 'write text in "quotes", true and false in lower case, lists in [brackets]'),
    ("unterminated", "close the quotes"),
    ("illegal character", "close the quotes, and remove control characters"),
    ("unclosed array", "close the list with ]"),
    ("unclosed inline table", "close the table with } on the same line"),
    (
        "newline or end",
        "write one key = value to a line, text (addresses too) in quotes, numbers without zeros in front",
    ),
    ('expected "\'"', "close the quotes"),
    ("unescaped", "write \\\\ in place of \\, or 'single quotes', within which \\ is itself"),
    ("end of a table declaration", "write [table], or [[table]], on a line of its own"),
    (
        "invalid statement",
        "write key = value, or a [table] header, one to a line; a key with signs as é or / needs quotes",
    ),
    (
        "initial character for a key",
        "write key = value; a key with other signs than A-Z a-z 0-9 _ - needs quotes",
    ),
)


def _syntax_remedy(what: str, sign: str) -> str:
    if "initial character for a key" in what and sign in _IN_BRACES:
        return _IN_BRACES[sign]
    if "invalid value" in what and sign == "\n":
        return "write a value behind the =, or close the list with ]"
    for part, remedy in _SYNTAX_REMEDIES:
        if part in what.lower():
            return remedy
    return "correct the TOML syntax"
