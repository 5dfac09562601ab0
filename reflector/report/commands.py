"""What a running service can be told to do; each command answers in rows, as a report does."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp.aio.peer import Peer
from bgp.family import Family
from reflector.changes.reload import Step
from reflector.configuration.document import ConfigurationError
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service


async def reset(service: "Service", *, peer: Peer, text: str = "") -> AsyncGenerator[Row, None]:
    """End a session and let it start anew."""
    _refuse_blocked(peer)
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
    _refuse_blocked(peer)
    peer.start()
    yield {"neighbor": peer.name, "done": "enabled"}


def _refuse_blocked(peer: Peer) -> None:
    if peer.options.blocked:
        raise Unanswerable(f"{peer.name} is kept down: {peer.options.blocked}; mend that, and reload")


async def refresh(
    service: "Service", *, peer: Peer, family: Family | None = None
) -> AsyncGenerator[Row, None]:
    """Ask a neighbor for its routes again."""
    if peer.member is None:
        raise Unanswerable(f"the session with {peer.name} is not Established")
    if not peer.request_refresh(*(() if family is None else (family,))):
        raise Unanswerable(f"{peer.name} takes no route refresh (RFC 2918): reset the session instead")
    yield {"neighbor": peer.name, "done": "refresh requested"}


async def reload(
    service: "Service", *, dry_run: bool = False, forget: bool = False
) -> AsyncGenerator[Row, None]:
    """Read the configuration file again; yield a row for each change, and what became of it."""
    failed: list[tuple[Step, str]] = []
    try:
        if dry_run:
            found = await service.plan(forget=forget)
        else:
            found, failed = await service.reload(forget=forget)
    except ConfigurationError as error:
        problems = "\n".join(map(str, error.problems))
        raise Unanswerable(f"{problems}\n{len(error.problems)} errors, nothing was changed") from None
    if found.restart and not dry_run:
        lines = "\n".join(found.reasons)
        raise Unanswerable(f"{lines}\n{_price(service)}; nothing was changed")
    for reason in found.reasons:
        yield {"change": f"! {reason}", "restart": True}
    if found.restart:
        yield {"change": f"! {_price(service)}", "restart": True}
    reasons = {id(step): reason for step, reason in failed}
    for step in found.steps:
        row: Row = {"change": str(step), "done": not dry_run and id(step) not in reasons}
        if id(step) in reasons:
            row["failed"] = reasons[id(step)]
        yield row
    for note in found.notes:
        yield {"change": note, "kept": note.startswith("=")}


def _price(service: "Service") -> str:
    """Return what a restart costs."""
    sessions = [peer.negotiated for peer in service.speaker.peers if peer.negotiated is not None]
    keeping = sum(each.graceful_restart is not None for each in sessions)
    kept = f", and {keeping} of these peers may keep our routes meanwhile (RFC 4724)" if keeping else ""
    return f"a restart ends {len(sessions)} session{'' if len(sessions) == 1 else 's'}{kept}"


async def drain(
    service: "Service", *, peer: Peer | None = None, timeout: int = 30
) -> AsyncGenerator[Row, None]:
    """Drain; yield a row for each neighbor when it has been told, and for who has not in time."""
    told = service.drain.begin(peer)
    async for drained in service.drain.sent(told, timeout):
        done = "drained" if drained.sent else f"has not taken it within {timeout} s"
        yield {"neighbor": drained.peer.name, "done": done, "sent": drained.sent}


async def undrain(service: "Service", *, peer: Peer | None = None) -> AsyncGenerator[Row, None]:
    """Take a drain back."""
    service.drain.end(peer)
    yield {"neighbor": "all" if peer is None else peer.name, "done": "not drained any more"}


async def release(service: "Service") -> AsyncGenerator[Row, None]:
    """Let the deletions of routes in the kernel pass that the guard holds back."""
    if service.fib is None:
        raise Unanswerable("the kernel's routes do not follow ours: [fib] in the configuration turns that on")
    yield {"neighbor": "kernel", "done": f"{service.fib.release()} deletions released"}


_RESTARTS = "stopping; neighbors with graceful restart keep our routes until we are started again"


async def stop(service: "Service", *, for_good: bool = False, text: str = "") -> AsyncGenerator[Row, None]:
    """End the service; what it says last is that it does."""
    yield {"neighbor": "all", "done": "stopping for good" if for_good else _RESTARTS}
    service.end(restart=not for_good, text=text)
