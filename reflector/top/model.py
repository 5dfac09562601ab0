"""What is shown of neighbors, without any screen: rates from counters, what is asked for, in which order."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from reflector.show.columns import by_family, duration, size

Row = dict[str, Any]

_NUMBER = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A neighbor, as the service tells of it, and how many UPDATEs a second there are."""

    row: Row
    updates_in: float = 0.0
    updates_out: float = 0.0

    @property
    def words(self) -> str:
        """All that a filter looks at, in lower case."""
        row = self.row
        named = ("name", "address", "description", "state", "asn", "kind", "last_error")
        said = " ".join(str(row[name]) for name in named if row.get(name) is not None)
        return f"{said} {'' if row['running'] else 'disabled'} {'behind' if row['behind'] else ''}".lower()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: heading, text, what it is sorted by, width, and whether the most comes first."""

    heading: str
    text: Callable[[Shown], str]
    key: Callable[[Shown], Any]
    width: int
    right: bool = False
    falling: bool = False


def rate(value: float) -> str:
    """Return UPDATEs a second, short."""
    return "" if not value else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _name(shown: Shown) -> tuple[int, tuple[int | str, ...]]:
    """Return what puts node-2 before node-10, and addresses in their order."""
    name = str(shown.row["name"])
    try:
        address = ip_address(name)
    except ValueError:
        parts = _NUMBER.split(name)
        return 0, tuple(int(part) if place % 2 else part for place, part in enumerate(parts))
    return address.version, (int(address),)


def _state(shown: Shown) -> str:
    row = shown.row
    return str(row["state"]) if row["running"] else "disabled"


def _lag(shown: Shown) -> str:
    row = shown.row
    if row["behind"]:
        return f"{row['lag']:.0f} s !"
    return f"{row['lag']:.1f} s" if row["lag"] >= 0.1 else ""


def _error(shown: Shown) -> str:
    return "" if shown.row["state"] == "Established" else str(shown.row["last_error"])


COLUMNS = (
    Column("neighbor", lambda shown: str(shown.row["name"]), _name, 16),
    Column("state", _state, lambda shown: (shown.row["state"] == "Established", _state(shown)), 12),
    Column("for", lambda shown: duration(shown.row["age"]), lambda shown: shown.row["age"], 9, right=True),
    Column(
        "prefixes",
        lambda shown: by_family(shown.row["received"]),
        lambda shown: sum(shown.row["received"].values()),
        11,
        right=True,
        falling=True,
    ),
    Column("in/s", lambda shown: rate(shown.updates_in), lambda shown: shown.updates_in, 6, True, True),
    Column("out/s", lambda shown: rate(shown.updates_out), lambda shown: shown.updates_out, 6, True, True),
    Column("lag", _lag, lambda shown: (shown.row["behind"], shown.row["lag"]), 7, True, True),
    Column(
        "queue",
        lambda shown: size(shown.row["queue"]) if shown.row["queue"] else "",
        lambda shown: shown.row["queue"],
        8,
        right=True,
        falling=True,
    ),
    Column("AS", lambda shown: str(shown.row["asn"]), lambda shown: str(shown.row["asn"]), 10, right=True),
    Column("last error", _error, lambda shown: shown.row["last_error_at"] or 0, 30, falling=True),
)
# What is left out where there is no room, the least important first.
_SPARED = ("AS", "queue", "last error", "lag", "for")
_GAP = 1


def columns_for(width: int) -> list[tuple[Column, int]]:
    """Return the columns that find room, with their widths; names and errors take what is left."""
    chosen = list(COLUMNS)
    spared = list(_SPARED)
    while sum(column.width + _GAP for column in chosen) > width and spared:
        left_out = spared.pop(0)
        chosen = [column for column in chosen if column.heading != left_out]
    rest = max(width - sum(column.width + _GAP for column in chosen), 0)
    more = {"neighbor": min(rest, 24), "last error": rest - min(rest, 24)}
    return [(column, column.width + more.get(column.heading, 0)) for column in chosen]


def line(shown: Shown, columns: Sequence[tuple[Column, int]]) -> str:
    """Return a neighbor's line; why it has no session stands where its rates would be, if nowhere else."""
    cells: list[str] = []
    said = 0  # cells up to and with the last one that says something
    for column, width in columns:
        text = column.text(shown)
        if text:
            said = len(cells) + 1
        if len(text) > width:
            text = text[: width - 1] + "…"
        cells.append(text.rjust(width) if column.right else text.ljust(width))
    error = _error(shown)
    if error and columns[-1][0].heading != "last error":
        before = " ".join(cells[:said])
        room = sum(width + _GAP for _, width in columns[said:]) - _GAP
        return f"{before}  {error}"[: len(before) + max(room, 0)]
    return " ".join(cells)


class Neighbors:
    """The neighbors of the last answer, with rates against the one before."""

    def __init__(self) -> None:
        self.all: list[Shown] = []
        self._before: dict[str, tuple[float, int, int]] = {}

    def take(self, rows: Sequence[Row], now: float) -> None:
        """Take an answer that came at `now`; counters of a neighbor that is another one begin anew."""
        found, before = [], {}
        for row in rows:
            counters = now, int(row["updates_in"]), int(row["updates_out"])
            before[row["name"]] = counters
            then = self._before.get(row["name"], counters)
            seconds = now - then[0]
            rates = [
                max(new - old, 0) / seconds if seconds > 0 else 0.0
                for old, new in zip(then[1:], counters[1:], strict=True)
            ]
            found.append(Shown(row, *rates))
        self.all, self._before = found, before

    def forget(self) -> None:
        """Forget the counters: those of another life are no measure."""
        self._before = {}

    def chosen(self, wanted: str, column: Column, falling: bool) -> list[Shown]:
        """Return those that have all words of `wanted` in them, sorted by a column."""
        words = wanted.lower().split()
        found = self.all
        if words:
            found = [shown for shown in found if all(word in shown.words for word in words)]
        # Those that are equal there stay in the order of their names.
        return sorted(sorted(found, key=_name), key=column.key, reverse=falling)

    def total(self) -> tuple[float, float]:
        """Return the UPDATEs a second of all, in and out."""
        return sum(shown.updates_in for shown in self.all), sum(shown.updates_out for shown in self.all)


def headline(status: Row, updates: tuple[float, float]) -> tuple[str, str]:
    """Return the two lines above the table."""
    prefixes = "/".join(str(count) for count in status["prefixes"].values())
    first = (
        f"{status['router_id']}  AS {status['asn']}  up {duration(status['uptime'])}  "
        f"sessions {status['established']}/{status['neighbors']}  groups {status['groups']}"
    )
    lag = status["lag"]
    loop = "" if lag is None else f"  loop p99 {lag['p99'] * 1000:.1f} ms"
    second = (
        f"routes {status['routes']}  prefixes {prefixes}  "
        f"updates/s {rate(updates[0]) or '0'}/{rate(updates[1]) or '0'}{loop}  {size(status['memory'])}"
    )
    return first, second
