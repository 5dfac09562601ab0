"""The tables of reports: which columns there are, and what stands in each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, the text of a row in it, and the style of that; numbers stand on the right.

    One that is `spared` goes where there is no room, those with a higher number before others.
    """

    heading: str
    text: Callable[[Row], str]
    right: bool = False
    style: Callable[[Row], str] = lambda row: ""
    spared: int = 0


def duration(seconds: float) -> str:
    """Return a time span as people say it: 42 s, 5:07, 3:02:11, 4 d 3 h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def size(octets: float) -> str:
    """Return octets with a unit."""
    for unit in ("B", "KB", "MB"):
        if octets < 1024:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} GB"


def by_family(counts: dict[str, int]) -> str:
    """Return counts of IPv4 and IPv6: 12/3, or only the one where there is one family."""
    return "/".join(str(count) for count in counts.values())


def _state(row: Row) -> str:
    if not row["running"]:
        return "disabled"
    return str(row["state"]) + (" (behind)" if row["behind"] else "")


def _state_style(row: Row) -> str:
    if row["state"] == "Established":
        return "yellow" if row["behind"] else ""
    return "dim" if not row["running"] else "red"


def _as_path(row: Row) -> str:
    return str(row.get("as_path") or "")


def _mark(row: Row) -> str:
    if "best" not in row:
        return ""
    return "*" if row["best"] else " " if row["usable"] else "x"


def _communities(row: Row) -> str:
    found = [*row.get("communities", ()), *row.get("large_communities", ())]
    names = row.get("community_names", {})
    return " ".join(str(names.get(each, each)) for each in found)


def _path_style(row: Row) -> str:
    return "" if row.get("best", True) else "dim" if row["usable"] else "red"


def _text(name: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(name) is None else str(row[name])


NEIGHBORS = (
    Column("neighbor", _text("name")),
    Column("address", lambda row: "" if row["address"] == row["name"] else row["address"], spared=2),
    Column("AS", _text("asn"), right=True, spared=1),
    Column("kind", _text("kind"), spared=1),
    Column("state", _state, style=_state_style),
    Column("for", lambda row: duration(row["age"]), right=True),
    Column("received", lambda row: by_family(row["received"]), right=True),
    Column(
        "messages in/out", lambda row: f"{row['messages_in']}/{row['messages_out']}", right=True, spared=3
    ),
    Column("last error", lambda row: "" if row["state"] == "Established" else row["last_error"], spared=4),
)
ROUTES = (
    Column("", _mark),
    Column("prefix", _text("prefix"), style=_path_style),
    Column("next hop", _text("next_hop"), spared=1),
    Column("from", lambda row: row.get("peer", "") or ("ourselves" if "peer" in row else "")),
    Column("LOCAL_PREF", _text("local_pref"), right=True, spared=2),
    Column("MED", _text("multi_exit_disc"), right=True, spared=2),
    Column("AS_PATH", _as_path, spared=3),
    Column("communities", _communities, spared=4),
    Column("refused", lambda row: row["refused"]["text"] if "refused" in row else "", spared=5),
)


def _by_rule(name: str) -> Callable[[Row], str]:
    return lambda row: ", ".join(f"{count} {rule}" for rule, count in row[name].items())


GUARDS = (
    Column("neighbor", _text("peer")),
    Column("guard", _text("guard")),
    Column("claims", _text("claims"), right=True),
    Column(
        "kept from use", _by_rule("kept_from_use"), style=lambda row: "red" if row["kept_from_use"] else ""
    ),
    Column("announced in this session", _by_rule("hits")),
)
CLAIMS = (
    Column("prefix", _text("prefix")),
    Column("owner", _text("owner")),
    Column("", lambda row: "" if row["announced"] or row["owner"] is None else "kept for it"),
    Column("others", lambda row: " ".join(row["others"]), style=lambda row: "red"),
    Column("guard", _text("guard")),
    Column("of", _text("of")),
)
GROUPS = (
    Column("group", _text("group"), right=True),
    Column("kind", _text("kind")),
    Column("members", _text("members"), right=True),
    Column("pending", _text("pending"), right=True),
    Column("behind", lambda row: str(len(row["behind"])), right=True),
    Column("queue", lambda row: size(row["queue"]), right=True),
    Column("lag", lambda row: f"{row['lag']:.1f} s", right=True),
    Column("terms", lambda row: ", ".join(row["terms"]) or ", ".join(row["families"]), spared=1),
)
FIB = (
    Column("prefix", _text("prefix")),
    Column("state", _text("state"), style=lambda row: "" if row["installed"] else "red"),
    Column("in the kernel", _text("kernel"), spared=1),
    Column(
        "wanted",
        lambda row: "" if row.get("wanted") == row["kernel"] else _text("wanted")(row),
        spared=2,
    ),
    Column("why", _text("why"), spared=3),
)
MEMORY = (
    Column("what", _text("what")),
    Column("count", _text("count"), right=True),
    Column("octets", lambda row: size(row["octets"]) if "octets" in row else "", right=True),
    Column("", _text("text")),
)
