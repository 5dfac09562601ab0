"""The reports of what happened: the last lines of the log, and what changes from now on, as it happens."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp import InSync, Lagged, PeerChanged, RouteEvent, Snapshot
from bgp.aio.peer import Peer
from bgp.family import Family
from reflector.report import arguments
from reflector.report.report import Argument, Report, Row, flag
from reflector.report.routes import Community, Network
from reflector.report.words import path

if TYPE_CHECKING:
    from reflector.app import Service

LEVELS = ("debug", "info", "warning", "error", "critical")


async def log(
    service: "Service", *, level: str = "debug", peer: str = "", limit: int = 0
) -> AsyncGenerator[Row, None]:
    """Yield the last lines, the oldest first."""
    wanted = LEVELS[LEVELS.index(level) :]
    lines = [
        line
        for line in service.journal
        if line["level"] in wanted and (not peer or line.get("peer") == peer or peer in line["text"])
    ]
    for line in lines[-limit:] if limit else lines:
        yield line


async def monitor(
    service: "Service",
    *,
    family: Family | None = None,
    within: Network | None = None,
    peer: Peer | None = None,
    community: Community | None = None,
    changes: bool = False,
    all: bool = False,
) -> AsyncGenerator[Row, None]:
    """Yield what is there, and then what changes, until whoever asked goes away."""
    watch = service.speaker.watch(
        paths="all" if all else "best",
        peers=True,
        family=family,
        within=within,
        peer=peer,
        community=None if community is None else [community],
    )
    synced = False
    with watch:
        async for event in watch:
            row: Row = {"event": type(event).__name__, "sequence": event.sequence}
            match event:
                case RouteEvent():
                    if changes and not synced:
                        continue
                    row |= {
                        "change": event.change.value,
                        "reason": event.reason.value,
                        "prefix": event.prefix,
                    }
                    row["family"] = event.family.name
                    if event.path is not None:
                        row["path"] = path(event.family, event.prefix, event.path, True)
                case PeerChanged(event=happened):
                    row |= {
                        "peer": happened.peer and happened.peer.name,
                        "what": happened.kind.value,
                        "state": happened.state and happened.state.label,
                        "text": happened.text,
                        "time": happened.time,
                    }
                case Snapshot():
                    synced = False
                    row["reason"] = event.reason
                case InSync():
                    synced = True
                case Lagged():
                    row["lost"] = event.lost
            yield row


def _level(_: "Service", value: object) -> str:
    if str(value) not in LEVELS:
        raise ValueError(f"there is no level {value!r}; there are {', '.join(LEVELS)}")
    return str(value)


LOG = Report(
    "log",
    "the last lines of the log",
    log,
    (
        Argument("level", _level, "the least severe lines: debug, info, warning or error"),
        Argument("peer", arguments.text, "only lines about this neighbor"),
        Argument("limit", arguments.number, "so many of the last lines"),
    ),
)
MONITOR = Report(
    "monitor",
    "what is there, and then what changes, as it happens",
    monitor,
    (
        Argument("family", arguments.family, "ipv4 or ipv6"),
        Argument("within", arguments.network, "only this prefix and what is more specific"),
        Argument("peer", arguments.peer, "only routes of this neighbor"),
        Argument("community", arguments.community, "only routes with this community"),
        Argument("changes", flag, "only what changes, not what is there"),
        Argument("all", flag, "all usable paths, not the best ones alone"),
    ),
    endless=True,
)
