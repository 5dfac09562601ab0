"""The ladder of the decision: its rungs in the order of RFC 4271 section 9.1.2.2 and its updates.

Each rung keeps the best among the paths that came so far.  MED makes the comparison of two paths depend on a
third, so nothing here sorts or compares pairs: a rung eliminates over the whole set, and what it keeps
depends on that set alone, whatever the order in which its paths arrived.  With `prefer_oldest` the set says
how old its paths are (`Path.age`), and that is all that time can do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bgp.rib.path import Kind, Path
from bgp.wire.attributes import DEFAULT_LOCAL_PREF

# Members of an Enum are slow to look up.
_LOCAL, _CLIENT = Kind.LOCAL, Kind.CLIENT
# What a missing MED counts with `med_missing_as_worst`: the largest that there is.
_WORST_MED = 0xFFFFFFFF

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


def usable(paths: Sequence[Path]) -> list[Path]:
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


def ladder(options: DecisionOptions) -> tuple[Rung, ...]:
    missing = _WORST_MED if options.med_missing_as_worst else 0
    med: tuple[str, str, str, Keep]
    if options.always_compare_med:
        med = ("med", "RFC 4271 9.1.2.2 c, always-compare-med", "the lowest MED wins", _lowest(_med(missing)))
    else:
        med = ("med", "RFC 4271 9.1.2.2 c",
               "the lowest MED from the same neighboring AS wins", _lowest_med(missing))  # fmt: skip
    rows: list[tuple[bool, tuple[str, str, str, Keep]]] = [
        (True, ("usable", "RFC 4271 9.1.2",
                "only a path that is not refused takes part", usable)),
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
