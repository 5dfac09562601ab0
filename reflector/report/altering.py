"""The commands that add, change and remove neighbors and listen ranges while we run."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from reflector.changes.altering import Alteration, Deed, Refused
from reflector.changes.overlay import TABLES
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service


async def _put(
    service: "Service",
    *,
    deed: Deed,
    what: str,
    which: str,
    values: Mapping[str, object | None] | None = None,
    group: str | None = None,
    save: bool = False,
    dry_run: bool = False,
) -> AsyncGenerator[Row, None]:
    given = dict(values or {}) | ({} if group is None else {"group": group})
    async for row in _alter(service, deed, what, which, given, save, dry_run):
        yield row


# Add a neighbor or listen range, or change some of its keys.
add = partial(_put, deed=Deed.ADD)
change = partial(_put, deed=Deed.CHANGE)


async def remove(
    service: "Service",
    *,
    what: str,
    which: str,
    source: str | None = None,
    save: bool = False,
    dry_run: bool = False,
) -> AsyncGenerator[Row, None]:
    """Remove a neighbor or listen range, and end its sessions."""
    given = {} if source is None else {"source_address": source}
    async for row in _alter(service, Deed.REMOVE, what, which, given, save, dry_run):
        yield row


async def _alter(
    service: "Service",
    deed: Deed,
    what: str,
    which: str,
    values: Mapping[str, object | None],
    save: bool,
    dry_run: bool,
) -> AsyncGenerator[Row, None]:
    table = what.replace("-", "_")
    if table not in TABLES:
        raise Unanswerable(f"{what!r} cannot be had at run time; write neighbor or listen-range")
    try:
        done = await service.alter(Alteration(deed, table, which, values), save=save, dry_run=dry_run)
    except (Refused, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise Unanswerable(f"{reason or error}\nnothing was changed") from None
    reasons = {id(step): reason for step, reason in done.failed}
    for step in done.plan.steps:
        row: Row = {"change": str(step), "done": not dry_run and id(step) not in reasons}
        if id(step) in reasons:
            row["failed"] = reasons[id(step)]
        yield row
    if not done.plan.steps:
        yield {"change": "nothing has changed", "done": not dry_run}
    for warning in done.warnings:
        yield {"change": f"warning: {warning}", "warning": True}
    if done.unsaved:
        yield {"change": "not saved", "failed": done.unsaved, "saved": False}
    elif done.saved:
        yield {"change": f"{'would be' if dry_run else 'is'} in {done.saved}", "saved": not dry_run}
    elif done.lies_over:
        yield {
            "change": "a restart goes by the file, which says otherwise: --save changes that",
            "saved": False,
        }
