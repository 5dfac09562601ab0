"""The reports of what happened: the last lines of the log, and what changes from now on, as it happens."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp import InSync, Lagged, PeerChanged, RouteEvent, Snapshot
from bgp.aio.peer import Peer
from bgp.family import FAMILIES, Family
from reflector.report.arguments import LEVELS
from reflector.report.routes import Community, Network
from reflector.report.row import Row
from reflector.report.words import Rows

if TYPE_CHECKING:
    from reflector.app import Service


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
    # What is there comes by path, and most have several prefixes.
    snapshot = {each: Rows(each) for each in FAMILIES}
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
                        about = Rows(event.family) if synced else snapshot[event.family]
                        row["path"] = about.path(event.prefix, event.path, True)
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
