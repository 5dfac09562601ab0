"""What a running service can be told to do; each command answers in rows, as a report does."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp.aio.peer import Peer
from bgp.family import Family
from reflector.document import ConfigurationError
from reflector.reload import Step
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service


async def reset(service: "Service", *, peer: Peer, text: str = "") -> AsyncGenerator[Row, None]:
    """End a session and let it start anew."""
    before = peer.state.label
    peer.reset(text)
    yield {"neighbor": peer.name, "done": "reset", "was": before}


async def disable(service: "Service", *, peer: Peer, text: str = "") -> AsyncGenerator[Row, None]:
    """End a session until it is enabled again."""
    before = peer.state.label
    peer.stop(text)
    yield {"neighbor": peer.name, "done": "disabled", "was": before}


async def enable(service: "Service", *, peer: Peer) -> AsyncGenerator[Row, None]:
    """Let a neighbor that was disabled, or shut for its prefixes, have a session again."""
    peer.start()
    yield {"neighbor": peer.name, "done": "enabled"}


async def refresh(
    service: "Service", *, peer: Peer, family: Family | None = None
) -> AsyncGenerator[Row, None]:
    """Ask a neighbor for its routes again."""
    if peer.member is None:
        raise Unanswerable(f"the session with {peer.name} is not Established")
    if not peer.request_refresh(*(() if family is None else (family,))):
        raise Unanswerable(f"{peer.name} takes no route refresh (RFC 2918): reset the session instead")
    yield {"neighbor": peer.name, "done": "refresh requested"}


async def reload(service: "Service", *, dry_run: bool = False) -> AsyncGenerator[Row, None]:
    """Read the configuration file again; yield a row for each change, and what became of it."""
    failed: list[tuple[Step, str]] = []
    try:
        if dry_run:
            found = service.plan()
        else:
            found, failed = await service.reload()
    except ConfigurationError as error:
        problems = "\n".join(map(str, error.problems))
        raise Unanswerable(f"{problems}\n{len(error.problems)} errors, nothing was changed") from None
    if found.restart and not dry_run:
        lines = "\n".join(f"{each}: only a restart changes this" for each in found.restart)
        raise Unanswerable(f"{lines}\nnothing was changed")
    for each in found.restart:
        yield {"change": f"! {each}: only a restart changes this", "restart": True}
    reasons = {id(step): reason for step, reason in failed}
    for step in found.steps:
        row: Row = {"change": str(step), "done": not dry_run and id(step) not in reasons}
        if id(step) in reasons:
            row["failed"] = reasons[id(step)]
        yield row
