"""The decision: which path of a prefix is the best (RFC 4271 section 9.1.2.2 and its updates).

`Decision.ladder` is the whole of it: the first rung that leaves a single path has decided.  The rest is ways
to ask: for the best path, for some of the best, for those of equal cost, for the reasons; and twins of them
that are fast.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bgp.rib.ladder import DecisionOptions, Keep, Rung, ladder, usable
from bgp.rib.path import Kind, Path

__all__ = ["Decision", "DecisionOptions", "Rung", "Verdict"]

Paths = tuple[Path, ...]

_CLIENT = Kind.CLIENT  # members of an Enum are slow to look up


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the decision says of one path: `rung` is where it lost, None for the best path."""

    path: Path
    rung: Rung | None

    @property
    def best(self) -> bool:
        return self.rung is None

    def __str__(self) -> str:
        if self.rung is None:
            return "best"
        if self.path.refusal is not None:
            return f"refused: {self.path.refusal}"
        return f"lost at rung {self.rung.number}: {self.rung}"


class Decision:
    """The decision under some options, compiled once.

    A rung has the same number under all options; `ladder` holds those that are used.  `decided` returns the
    same paths with the best one first, where one is usable.
    """

    __slots__ = ("_apart", "_finals", "_keeps", "_med", "decided", "ladder", "options")

    decided: Callable[[Paths], Paths]

    def __init__(self, options: DecisionOptions | None = None) -> None:
        self.options = options = options or DecisionOptions()
        self.ladder = ladder(options)
        self._keeps = tuple(rung.keep for rung in self.ladder)
        # What tells paths of equal cost apart, so that one can be the best.
        cost = next(at for at, rung in enumerate(self.ladder) if rung.name == "interior-cost")
        self._apart = cost + 1
        self._finals = self._keeps[self._apart :]
        # None where `degree` or `_rest` would not say what the rungs do.
        self._med: Keep | None = None
        self.decided = self._decided
        if not options.ignore_as_path_length and not options.prefer_oldest:
            self._med = next(rung for rung in self.ladder if rung.name == "med").keep
            self.decided = _fast(self._decided, self._med)

    def best(self, paths: Iterable[Path]) -> Path | None:
        """Return the best path, None where none is usable."""
        left = _through(self._keeps, list(paths))
        return left[0] if left else None

    def _decided(self, paths: Paths) -> Paths:
        """Return the same paths with the best one first: the readable original of `_fast`."""
        best = self.best(paths)
        if best is None or best is paths[0]:
            return paths
        return (best, *[path for path in paths if path is not best])

    def ranked(self, paths: Iterable[Path], number: int | None = None) -> Paths:
        """Return the best `number` of usable paths, or all, best first: by elimination again and again.

        MED makes it so: the best of what is left is not what lost last.
        """
        found: list[Path] = []
        left = tuple(usable(list(paths)))
        while left and (number is None or len(found) < number):
            best, *rest = self.decided(left)
            found.append(best)
            left = tuple(rest)
        return tuple(found)

    def equal(self, paths: Iterable[Path]) -> Paths:
        """Return the usable paths that no rung up to the interior cost tells from the best one, best first.

        These are the paths of equal cost, without regard to any maximum.
        """
        left = usable(list(paths))
        if self._med is not None and left:
            foremost = _foremost(left)
            if foremost is not None:
                return _equal(foremost, self._med)
        left = _through(self._keeps[: self._apart], left)
        found: list[Path] = []
        while left:
            best = _through(self._finals, left)[0]
            found.append(best)
            left = [path for path in left if path is not best]
        return tuple(found)

    def explain(self, paths: Sequence[Path]) -> tuple[Verdict, ...]:
        """Return a verdict for each path, the best first, then those that came furthest."""
        verdicts: list[Verdict] = []
        left = list(paths)
        for rung in self.ladder:
            kept = rung.keep(left) if left else []
            verdicts.extend(Verdict(path, rung) for path in left if path not in kept)
            left = kept
        verdicts.extend(Verdict(path, None) for path in left)
        return tuple(reversed(verdicts))


def _through(keeps: Iterable[Keep], left: list[Path]) -> list[Path]:
    for keep in keeps:
        if not left:
            break
        left = keep(left)
    return left


def _rest(path: Path) -> tuple[Any, ...]:
    """Return what the rungs behind MED look at, in their order."""
    source, attributes, path_id = path.source, path.attributes, path.slot.path_id
    return (
        source.kind >= _CLIENT,
        path.cost,
        attributes.originator_id or source.identifier,
        len(attributes.cluster_list),
        len(source.address),
        source.address,
        -1 if path_id is None else path_id,
        source.peer,
    )


def _foremost(usable: Iterable[Path]) -> list[Path] | None:
    """Return the paths of the lowest degree, of some; None if one of those has no degree."""
    lowest: int | None = None
    left: list[Path] = []
    for path in usable:
        degree = path.attributes.degree
        if degree is None:
            return None
        if lowest is None or degree < lowest:
            lowest = degree
            left = [path]
        elif degree == lowest:
            left.append(path)
    return left


def _equal(foremost: list[Path], med: Keep) -> Paths:
    """Return what `Decision.equal` does, of the paths of the lowest degree: its twin, as `_fast` is one."""
    if len(foremost) < 2:
        return tuple(foremost)
    keyed = {path: _rest(path) for path in med(foremost)}
    left = sorted(keyed, key=keyed.__getitem__)
    best = keyed[left[0]][:2]
    return tuple([path for path in left if keyed[path][:2] == best])


def _fast(original: Callable[[Paths], Paths], med: Keep) -> Callable[[Paths], Paths]:
    """Return the twin of `Decision._decided`.

    Most prefixes with several paths are decided by LOCAL_PREF, AS_PATH length or ORIGIN.  `degree` has these
    in one number, with what is stale behind all else, and behind MED paths can be compared by pairs: that
    makes it two to four times as fast.  Only a path with AIGP has no such number.
    """

    def decided(paths: Paths) -> Paths:
        lowest: int | None = None
        left: list[Path] = []
        for path in paths:
            if path.refusal is not None:
                continue
            degree = path.attributes.degree
            if degree is None:
                return original(paths)
            if lowest is None or degree < lowest:
                lowest = degree
                left = [path]
            elif degree == lowest:
                left.append(path)
        if len(left) > 1:
            left = med(left)
            first = min(left, key=_rest) if len(left) > 1 else left[0]
        elif left:
            first = left[0]
        else:
            return paths
        return paths if first is paths[0] else (first, *[path for path in paths if path is not first])

    return decided
