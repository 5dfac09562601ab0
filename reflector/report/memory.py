"""The report of memory: what there is of everything that grows, beside what the process has of the system."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from bgp.rib.weight import Weight
from reflector.report.row import Row
from reflector.report.slices import SLICE, in_slices

if TYPE_CHECKING:
    from bgp.views import Views
    from reflector.app import Service


def resident() -> int:
    """Return the octets of memory that this process has, 0 where the system does not say."""
    try:
        fields = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in fields if line.startswith("VmRSS:")), 0)


async def memory(service: "Service") -> AsyncGenerator[Row, None]:
    """Yield a row for each thing: its name, how many there are, and octets where they are known.

    With the last row they add up to what the process has.
    """
    speaker, router = service.speaker, service.speaker.router
    found = await _tables(router.rib)
    found["groups"] = Weight(len(router.groups), sum(group.train.octets for group in router.groups.values()))
    unsent = 0
    async for peers in in_slices(speaker.peers):
        unsent += sum([link.unsent for peer in peers for link in peer.connections])
    found["peers"] = Weight(len(speaker.peers), unsent)
    found["log lines"] = Weight(*service.journal.size)
    whole = resident()
    known = sum(weight.octets for weight in found.values())
    # Some of it may have been given back since.
    program = min(service.idle, max(0, whole - known))
    found = {"program": Weight(1, program), **found, "other": Weight(1, max(0, whole - known - program))}
    yield {"what": "process", "count": 1, "octets": whole, "text": "resident in memory"}
    yield {
        "what": "routes",
        "count": router.rib.routes,
        "text": "several paths to a prefix are several routes",
    }
    yield {"what": "tasks", "count": len(asyncio.all_tasks()), "text": "of the event loop"}
    for what, (count, octets) in found.items():
        yield {"what": what, "count": count, "octets": octets, "text": _TEXTS[what.partition(" ipv")[0]]}


_TEXTS = {
    "program": "what there was before the first session",
    "prefixes": "the entries of the table",
    "paths": "what peers said of them; prefixes with equal attributes share one",
    "attribute sets": "interned, each exists once",
    "groups": "with messages that not all have taken",
    "peers": "with octets for the kernel",
    "log lines": "kept for `reflector show log`",
    "other": "sessions, changes that wait, and what was free between all of that",
}


async def _tables(rib: "Views") -> dict[str, Weight]:
    """Weigh what the tables hold; the loop turns between the parts."""
    found: dict[str, Weight] = {}
    loop = asyncio.get_running_loop()
    until = loop.time() + SLICE
    for what, (count, octets) in rib.weigh():
        before = found.get(what, Weight(0, 0))
        found[what] = Weight(before.number + count, before.octets + octets)
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + SLICE
    return found
