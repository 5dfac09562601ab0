"""What followers of the tables are told: changes, many at once where they are alike, and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bgp.family import Family
from bgp.rib.path import Path


class Run(NamedTuple):
    """Prefixes whose path changed alike: the first change has `number`, the next one the next number."""

    number: int
    family: Family
    before: Path | None
    now: Path | None
    prefixes: Sequence[bytes]

    @property
    def last(self) -> int:
        return self.number + len(self.prefixes) - 1


class Remark(NamedTuple):
    """Something else that happened, whatever it is."""

    number: int
    value: object

    @property
    def last(self) -> int:
        return self.number


@dataclass(frozen=True, slots=True)
class Began:
    """All that was told before is void; what is there follows.  `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """`changes` were not told, and will not be."""

    changes: int


@dataclass(frozen=True, slots=True)
class Synced:
    """All was told."""


class Portion(NamedTuple):
    """Routes that changed alike, by the numbers of their changes; `walked`: they were there already."""

    numbers: Sequence[int]
    family: Family
    before: Path | None
    now: Path | None
    prefixes: Sequence[bytes]
    walked: bool = False


News = Began | Lost | Synced | Portion | Remark
