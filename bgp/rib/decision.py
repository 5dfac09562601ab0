"""The decision: which path of a prefix is the best (RFC 4271 section 9.1.2.2 and its updates).

`Decision.ladder` is the whole of it.  Each rung keeps the best among the paths that came so far, and the
first one that leaves a single path has decided.  MED makes the comparison of two paths depend on a third, so
nothing here sorts or compares pairs: rungs eliminate over the whole set, and the result depends on that set
alone, whatever the order in which its paths arrived.  With `prefer_oldest` the set says how old its paths
are (`Path.age`), and that is all that time can do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bgp.rib.path import Kind, Path
from bgp.wire.attributes import DEFAULT_LOCAL_PREF

__all__ = ["DEFAULT_LOCAL_PREF", "Decision", "DecisionOptions", "Rung", "Verdict", "local_pref"]

# Members of an Enum are slow to look up.
_LOCAL, _CLIENT = Kind.LOCAL, Kind.CLIENT
# What a missing MED counts with `med_missing_as_worst`: the largest that there is.
_WORST_MED = 0xFFFFFFFF

Paths = tuple[Path, ...]
Keep = Callable[[Sequence[Path]], list[Path]]


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """What may be chosen about the decision, under the usual names.  All routers of an AS should agree.

    `always_compare_med`: compare MEDs of different neighboring ASes, too.  `med_missing_as_worst`: a path
    without MED counts as one with the highest, not as one with 0.  `ignore_as_path_length`: leave that rung
    out.  `prefer_oldest`: among external paths that are still equal behind the interior cost, keep the one
    that was there first, before identifiers are compared (RFC 5004).  `aigp`: heed AIGP (RFC 7311 section 4);
    there is nothing to heed where no session has AIGP enabled.

    `maximum_paths_external` and `maximum_paths_internal` bound the multipath set (`bgp.rib.multipath`); with
    1 it is the best path alone.  `multipath_relax`: paths of one set need not have come by the same ASes.
    """

    always_compare_med: bool = False
    med_missing_as_worst: bool = False
    ignore_as_path_length: bool = False
    prefer_oldest: bool = False
    aigp: bool = True
    maximum_paths_external: int = 1
    maximum_paths_internal: int = 1
    multipath_relax: bool = False

    def __post_init__(self) -> None:
        for name in ("maximum_paths_external", "maximum_paths_internal"):
            value = getattr(self, name)
            if not 1 <= value <= MAXIMUM_PATHS:
                raise ValueError(f"{name} must be between 1 and {MAXIMUM_PATHS}, not {value}")

    @property
    def multipath(self) -> bool:
        """Whether a multipath set may hold more than the best path."""
        return self.maximum_paths_external > 1 or self.maximum_paths_internal > 1


# More next hops than that no forwarding plane takes.
MAXIMUM_PATHS = 256


# --- What the rungs keep ------------------------------------------------------------------------------


def _lowest(key: Callable[[Path], Any]) -> Keep:
    """Return a rung's elimination: keep the paths with the lowest `key`."""

    def keep(paths: Sequence[Path]) -> list[Path]:
        keys = [key(path) for path in paths]
        lowest = min(keys)
        return [path for path, value in zip(paths, keys, strict=True) if value == lowest]

    return keep


def _usable(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.refusal is None]


def local_pref(path: Path) -> int:
    """Return the degree of preference (RFC 4271 section 9.1.1)."""
    value = path.attributes.local_pref
    return DEFAULT_LOCAL_PREF if value is None else value


def _accumulated(path: Path) -> tuple[bool, int]:
    """RFC 7311 4.1: a path with AIGP before one without, then the lowest sum of AIGP and interior cost."""
    metric = path.attributes.aigp
    return (True, 0) if metric is None else (False, metric + path.cost)


def _lowest_med(missing: int) -> Keep:
    """RFC 4271 9.1.2.2 c: remove a path if another one of the same neighboring AS has a lower MED.

    `neighbor_as` is 0 where the AS_PATH, less its confederation segments, begins with no AS_SEQUENCE: then
    "the neighboring AS is the local AS", the same for all of them (RFC 5065 section 5.3).
    """

    def keep(paths: Sequence[Path]) -> list[Path]:
        lowest: dict[int, int] = {}
        found = []
        for path in paths:
            attributes = path.attributes
            neighbor, med = attributes.neighbor_as, attributes.med
            if med is None:
                med = missing
            found.append((path, neighbor, med))
            if med < lowest.get(neighbor, med + 1):
                lowest[neighbor] = med
        return [path for path, neighbor, med in found if med == lowest[neighbor]]

    return keep


def _med(missing: int) -> Callable[[Path], int]:
    def key(path: Path) -> int:
        med = path.attributes.med
        return missing if med is None else med

    return key


def _internal(path: Path) -> bool:
    # RFC 5065 section 5.3: peers in other members of the confederation count as internal.
    return path.source.kind >= _CLIENT


def is_external(kind: Kind) -> bool:
    """Whether paths of that kind come from outside the AS, or the confederation, and not from ourselves."""
    return _LOCAL < kind < _CLIENT


def _oldest(paths: Sequence[Path]) -> list[Path]:
    """RFC 5004 3: keep external paths of the router that the oldest one of them came from.

    Not between parallel sessions with one router, whose addresses may have been chosen to decide this.
    """
    external = [path for path in paths if is_external(path.source.kind)]
    oldest = min((path.age for path in external), default=0)
    routers = {path.source.identifier for path in external if path.age == oldest}
    return [path for path in paths if path.source.identifier in routers or not is_external(path.source.kind)]


def _identifier(path: Path) -> bytes:
    # RFC 4456 section 9: "if a route carries the ORIGINATOR_ID attribute, then ... the ORIGINATOR_ID SHOULD
    # be treated as the BGP Identifier of the BGP speaker that has advertised the route".
    return path.attributes.originator_id or path.source.identifier


def _peer_address(path: Path) -> tuple[int, bytes]:
    return len(path.source.address), path.source.address


def _path_identifier(path: Path) -> tuple[int, str]:
    path_id = path.slot.path_id
    return -1 if path_id is None else path_id, path.source.peer


# --- The ladder ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: `keep` returns the paths that pass; `text` says what the paths that lost here lacked."""

    number: int
    name: str
    section: str
    text: str
    keep: Keep

    def __str__(self) -> str:
        return f"{self.text} ({self.section})"


def _ladder(options: DecisionOptions) -> tuple[Rung, ...]:
    missing = _WORST_MED if options.med_missing_as_worst else 0
    med: tuple[str, str, str, Keep]
    if options.always_compare_med:
        med = ("med", "RFC 4271 9.1.2.2 c, always-compare-med", "the lowest MED wins", _lowest(_med(missing)))
    else:
        med = ("med", "RFC 4271 9.1.2.2 c",
               "the lowest MED from the same neighboring AS wins", _lowest_med(missing))  # fmt: skip
    rows: list[tuple[bool, tuple[str, str, str, Keep]]] = [
        (True, ("usable", "RFC 4271 9.1.2",
                "only a path that is not refused takes part", _usable)),
        (True, ("stale", "RFC 9494 4.3",
                "a path that is not long-lived stale wins", _lowest(lambda path: path.attributes.stale))),
        (True, ("local-pref", "RFC 4271 9.1.1",
                "the highest LOCAL_PREF wins", _lowest(lambda path: -local_pref(path)))),
        (options.aigp, ("aigp", "RFC 7311 4.1",
                        "the lowest sum of AIGP and interior cost wins, over a path without AIGP in any case",
                        _lowest(_accumulated))),
        (not options.ignore_as_path_length,
         ("as-path-length", "RFC 4271 9.1.2.2 a, RFC 5065 5.3",
          "the shortest AS_PATH wins", _lowest(lambda path: path.attributes.as_path_length))),
        (True, ("origin", "RFC 4271 9.1.2.2 b",
                "the lowest ORIGIN wins", _lowest(lambda path: path.attributes.origin))),
        (True, med),
        (True, ("external", "RFC 4271 9.1.2.2 d, RFC 5065 5.3",
                "a path from outside the AS wins over an internal one", _lowest(_internal))),
        (True, ("interior-cost", "RFC 4271 9.1.2.2 e",
                "the lowest interior cost to the next hop wins", _lowest(lambda path: path.cost))),
        (options.prefer_oldest, ("oldest", "RFC 5004 3",
                                 "the oldest external path wins", _oldest)),
        (True, ("identifier", "RFC 4271 9.1.2.2 f, RFC 4456 9",
                "the lowest ORIGINATOR_ID or BGP Identifier wins", _lowest(_identifier))),
        (True, ("cluster-list", "RFC 4456 9",
                "the shortest CLUSTER_LIST wins", _lowest(lambda path: len(path.attributes.cluster_list)))),
        (True, ("peer-address", "RFC 4271 9.1.2.2 g",
                "the lowest peer address wins", _lowest(_peer_address))),
        (True, ("path-id", "RFC 7911 2",
                "among paths of one peer the lowest path identifier wins", _lowest(_path_identifier))),
    ]  # fmt: skip
    return tuple(Rung(number, *row) for number, (used, row) in enumerate(rows, start=1) if used)


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
        self.ladder = _ladder(options)
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
        left = tuple(_usable(list(paths)))
        while left and (number is None or len(found) < number):
            best, *rest = self.decided(left)
            found.append(best)
            left = tuple(rest)
        return tuple(found)

    def equal(self, paths: Iterable[Path]) -> Paths:
        """Return the usable paths that no rung up to the interior cost tells from the best one, best first.

        These are the paths of equal cost, without regard to any maximum.
        """
        left = _usable(list(paths))
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
