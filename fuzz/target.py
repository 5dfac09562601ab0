"""What a fuzz target is: a check of any octets, a source of promising ones, and a view of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from types import ModuleType


class Broken(AssertionError):
    """An invariant does not hold; the text says which, and how."""


def hold(condition: object, text: str) -> None:
    """Raise Broken with `text` where `condition` is false."""
    if not condition:
        raise Broken(text)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to be fuzzed.

    `check` raises for an input that breaks the invariant, and may raise anything: only what it returns from
    is good.  `seed` draws an input that gets past the first checks.  `view` gives the lines in which a
    person reads an input.  `maximum` is the length in octets that is worth trying.
    """

    name: str
    check: Callable[[bytes], None]
    seed: Callable[[Random], bytes]
    view: Callable[[bytes], Iterator[str]]
    maximum: int = 4096
    invariant: str = ""


class Reader:
    """An input taken apart from its front; at its end there are zeros and nothing, never an error."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """Return up to `size` octets."""
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def number(self, size: int = 1) -> int:
        """Return a number of `size` octets."""
        return int.from_bytes(self.take(size), "big")

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data))


def invariant_of(module: ModuleType) -> str:
    """Return the first paragraph of a target's module: its invariant as a sentence."""
    return " ".join((module.__doc__ or "").partition("\n\n")[0].split())
