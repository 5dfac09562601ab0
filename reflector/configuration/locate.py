"""On which line each key of a TOML document stands.

`tomllib` gives values without places, so this module walks the same text a second time and notes, for
every key, table and array element, the line where it is first named.  It trusts `tomllib` to have
accepted the text before: it decides nothing about validity and keeps no values.  A path is the tuple of
keys and indexes that leads to a value in `tomllib`'s result: `("neighbor", 1, "address")`.
"""

import re
import tomllib
from bisect import bisect_left
from dataclasses import dataclass

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# One or two quotes directly before the closing delimiter belong to the text (TOML 1.0, "String").
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{1,2}(?!"))?'
    r"|'''.*?'''(?:'{1,2}(?!'))?"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")


@dataclass(frozen=True, slots=True)
class Heading:
    """A header of a table: what it opens, and the offset of its line."""

    path: Path
    start: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its value, not within another value: the offsets of both, and of the end."""

    path: Path
    start: int
    value: int
    end: int


def layout(text: str) -> tuple[list[Heading], list[Pair]]:
    """Return where in a valid TOML document its headers and its pairs are, in their order."""
    walk = _Walk(text)
    walk.document()
    return walk.headings, walk.pairs


def lines(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of everything that `text`, a valid TOML document, names."""
    return _Walk(text).document()


class _Walk:
    """One pass over a document; `found` is what it has met."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.newlines = [match.start() for match in re.finditer("\n", text)]
        self.found: dict[Path, int] = {}
        self.headings: list[Heading] = []
        self.pairs: list[Pair] = []
        self.elements: dict[Path, int] = {}  # arrays of tables: how many [[headers]] so far

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self.skip(_BLANK) < len(self.text):
            start = self.position
            if self.text[start] == "[":
                table = self.header()
                self.headings.append(Heading(table, self.text.rfind("\n", 0, start) + 1))
            else:
                path, value = self.pair(table)
                self.pairs.append(Pair(path, start, value, self.position))
        return self.found

    def header(self) -> Path:
        line = self.line()
        array = self.text.startswith("[[", self.position)
        self.position += 2 if array else 1
        keys = self.key()
        self.position += 2 if array else 1
        path: Path = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self.note(path, line)
            if array and number == len(keys):
                self.elements[path] = self.elements.get(path, 0) + 1
            if path in self.elements:
                # A header reaches into the last element of an array of tables.
                path = (*path, self.elements[path] - 1)
                self.note(path, line)
        return path

    def pair(self, table: Path) -> tuple[Path, int]:
        """Step over a key with its value; return the path of the key, and the offset of the value."""
        line = self.line()
        path = table
        for key in self.key():
            path = (*path, key)
            self.note(path, line)
        self.position += 1  # the equals sign
        start = self.skip(_SPACE)
        self.value(path)
        return path, start

    def value(self, path: Path) -> None:
        match self.text[self.position]:
            case "[":
                self.position += 1
                index = 0
                while self.more("]"):
                    self.note((*path, index), self.line())
                    self.value((*path, index))
                    index += 1
            case "{":
                self.position += 1
                while self.more("}"):
                    self.pair(path)
            case '"' | "'":
                self.skip(_STRING)
            case _:
                self.skip(_SCALAR)

    def more(self, end: str) -> bool:
        """Step over what separates elements; return whether another one follows."""
        if self.text[self.skip(_BLANK)] == ",":
            self.position += 1
            self.skip(_BLANK)
        if self.text[self.position] == end:
            self.position += 1
            return False
        return True

    def key(self) -> list[str]:
        """Read a dotted key with the space around it."""
        keys = []
        while True:
            start = self.skip(_SPACE)
            if self.text[start] in "\"'":
                quoted = self.text[start : self.skip(_STRING)]
                keys.append(str(tomllib.loads(f"key = {quoted}")["key"]))
            else:
                keys.append(self.text[start : self.skip(_BARE_KEY)])
            if self.text[self.skip(_SPACE)] != ".":
                return keys
            self.position += 1

    def skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.position)
        assert match is not None, "the text is no TOML document"
        self.position = match.end()
        return self.position

    def note(self, path: Path, line: int) -> None:
        self.found.setdefault(path, line)

    def line(self) -> int:
        return bisect_left(self.newlines, self.position) + 1
