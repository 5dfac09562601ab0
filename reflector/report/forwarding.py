"""The report of the kernel's routes: how many are where, and of one, or of each, why it is there or is not.

What programs the kernel is imported only where it runs: so states are known by their names here.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import asdict
from itertools import chain, islice
from typing import TYPE_CHECKING

from bgp.family import FAMILIES, Family, family_of
from bgp.wire import prefix as nlri
from reflector.report.routes import Network
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from fib import KernelFib
    from reflector.app import Service

_INSTALLED, _STALE, _ABSENT = "installed", "stale", "absent"
# So many problems are named beside the totals; `missing` has all of them.
_NAMED = 20


async def fib(
    service: "Service",
    *,
    prefix: Network | None = None,
    family: Family | None = None,
    missing: bool = False,
    installed: bool = False,
    limit: int = 0,
) -> AsyncGenerator[Row, None]:
    """Yield totals for each family, or one about a prefix, or one for each that is there or is not."""
    kernel = service.fib
    if kernel is None:
        raise Unanswerable("the kernel's routes do not follow ours: [fib] in the configuration turns that on")
    if missing and installed:
        raise Unanswerable("missing and installed are two questions: ask one of them")
    if prefix is not None:
        yield _meant(service, kernel, prefix)
        return
    families = [family] if family else list(FAMILIES)
    left = limit or None
    for each in families:
        if not missing and not installed:
            yield _totals(kernel, each)
            continue
        found = _missing(service, kernel, each) if missing else _installed(kernel, each)
        async for row in found:
            yield row
            if left is not None:
                left -= 1
                if not left:
                    return


def explained(service: "Service", kernel: "KernelFib", family: Family, octets: bytes) -> Row:
    """Return all that is known of a prefix in the kernel."""
    from fib.choice import NotWanted

    found = kernel.explain(nlri.network(family, octets))
    state = found.installed
    name = state.state.name.lower()
    why = ""
    if isinstance(found.choice, NotWanted):
        why = found.choice.text
        paths = service.speaker.router.rib.lookup(family, octets)
        if paths and paths[0].refusal is not None:
            why = f"{why}: {paths[0].refusal.text}"
    elif state.conflict is not None:
        why = f"in the way: {state.conflict}"
    elif state.failure is not None:
        why = f"{state.failure.words} (errno {state.failure.code})"
    elif name != _INSTALLED:
        why = state.state.value
    return {
        "prefix": nlri.text(family, octets),
        "family": family.name,
        "state": name,
        "installed": found.is_installed,
        "wanted": None if state.wanted is None else str(state.wanted),
        "kernel": None if state.installed is None else str(state.installed),
        "why": why,
        "errno": None if state.failure is None else state.failure.code,
        "text": str(found),
    }


def _meant(service: "Service", kernel: "KernelFib", prefix: Network) -> Row:
    """Return the row of the prefix, or of the route that leads to it where nothing is known of itself."""
    family, octets = family_of(prefix), nlri.parse(prefix)[1]
    row = explained(service, kernel, family, octets)
    if row["state"] == _ABSENT and not service.speaker.router.rib.lookup(family, octets):
        covering = service.speaker.rib.longest_match(prefix)
        if covering is None:
            raise Unanswerable(f"there is no route to {prefix}")
        row = explained(service, kernel, family, covering.octets)
    return row


def _totals(kernel: "KernelFib", family: Family) -> Row:
    owner, progress = kernel.fib.owner, kernel.progress(family)
    ledger = kernel.fib.ledgers[family]
    held = (
        f"{nlri.text(family, prefix)}: {failure.words} (errno {failure.code})"
        for prefix, (_, failure) in ledger.held.items()
    )
    return {
        "family": family.name,
        "table": owner.table,
        "protocol": owner.protocol,
        "metric": owner.metric,
        "installed": progress.wanted - progress.refused - _on_their_way(kernel, family),
        **asdict(progress),
        "problems": list(islice(chain(held, _withheld(progress.withheld)), _NAMED)),
    }


def _on_their_way(kernel: "KernelFib", family: Family) -> int:
    """Return how many of the wanted routes are not written yet; deletions on their way are none of them."""
    ledger = kernel.fib.ledgers[family]
    waiting = [*ledger.dirty, *ledger.flying] if ledger.unsettled <= _FEW else []
    if not waiting:
        return min(ledger.unsettled, len(ledger.wanted))
    return sum(prefix in ledger.wanted for prefix in waiting)


# More than so many are not looked at one by one.
_FEW = 65536


def _withheld(count: int) -> Iterator[str]:
    if count:
        yield f"the guard holds {count} deletions back: `reflector release` lets them pass"


async def _missing(service: "Service", kernel: "KernelFib", family: Family) -> AsyncIterator[Row]:
    async for route in service.speaker.rib.routes(family):
        if not kernel.fib.installed(family, route.octets):
            yield explained(service, kernel, family, route.octets)


async def _installed(kernel: "KernelFib", family: Family) -> AsyncIterator[Row]:
    ledger = kernel.fib.ledgers[family]
    for shards, state in ((ledger.wanted, _INSTALLED), (ledger.stale, _STALE)):
        for part in shards.parts:
            for octets, route in list(part.items()):
                if state == _STALE or kernel.fib.installed(family, octets):
                    yield {
                        "prefix": nlri.text(family, octets),
                        "family": family.name,
                        "state": state,
                        "installed": True,
                        "kernel": str(route),
                        "why": "left by an earlier life" if state == _STALE else "",
                    }
