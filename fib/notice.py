"""What a FIB tells: news of what became of routes, and the state of one or of all, as values with words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from bgp.family import Family
from bgp.wire.prefix import text
from fib.backend import Failure
from fib.plan import Change
from fib.route import Entry, Route


class RouteError(Exception):
    """The kernel refused a route; it stays wanted and is tried again when the cause may have gone."""

    def __init__(self, problem: "Problem") -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Problem:
    """One route that the kernel refused."""

    family: Family
    prefix: bytes
    route: Route | None
    failure: Failure

    def __str__(self) -> str:
        what = "deleting" if self.route is None else str(self.route)
        return f"{text(self.family, self.prefix)} {what}: {self.failure.words} (errno {self.failure.code})"


@dataclass(frozen=True, slots=True)
class Written:
    """The kernel has answered to `changes`; `failures` are those that it refused, by their place."""

    family: Family
    changes: Sequence[Change]
    failures: Mapping[int, Failure]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another's route stands where ours should be, at the same metric: it is left alone."""

    entry: Entry

    def __str__(self) -> str:
        return f"{self.entry} is not ours and stands in the way: it is left alone"


@dataclass(frozen=True, slots=True)
class Withheld:
    """So many deletions wait for `release()`: they are more at once than the guard lets pass."""

    family: Family
    count: int

    def __str__(self) -> str:
        return f"{self.count} deletions of {self.family} are withheld until release() is called"


@dataclass(frozen=True, slots=True)
class Repaired:
    """So many routes that others deleted or altered are right again; one of them by name."""

    family: Family
    count: int
    example: bytes

    def __str__(self) -> str:
        noun = "route that was" if self.count == 1 else "routes that were"
        return f"repaired {self.count} {noun} altered by others, such as {text(self.family, self.example)}"


Notice: TypeAlias = Written | Conflict | Withheld | Repaired


class State(Enum):
    """Where a prefix is between being wanted and being in the kernel."""

    INSTALLED = "installed"
    PENDING = "to be written"
    REFUSED = "refused by the kernel"
    CONFLICT = "another's route stands in the way"
    WITHHELD = "its deletion is withheld"
    STALE = "left by an earlier life, to be swept"
    FILTERED = "kept out by a filter"
    ABSENT = "not wanted, and not there"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a prefix is installed, what the kernel has of ours, and why not what is wanted."""

    family: Family
    prefix: bytes
    state: State
    wanted: Route | None
    installed: Route | None
    failure: Failure | None = None
    conflict: Entry | None = None

    def __str__(self) -> str:
        words = f"{text(self.family, self.prefix)}: {self.state.value}"
        if self.wanted is not None and self.wanted != self.installed:
            words += f"; wanted {self.wanted}"
        words += (
            f"; the kernel has {self.installed}" if self.installed is not None else "; the kernel has none"
        )
        if self.conflict is not None:
            words += f"; in the way: {self.conflict}"
        if self.failure is not None:
            words += f"; {self.failure.words} (errno {self.failure.code})"
        return words


@dataclass(frozen=True, slots=True)
class Progress:
    """How many routes of a family are where, and what was done since the start."""

    wanted: int
    pending: int
    refused: int
    withheld: int
    stale: int
    added: int
    replaced: int
    deleted: int
    failed: int
    repaired: int
    adopted: int
    swept: int
    conflicts: int
