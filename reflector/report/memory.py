"""The report of memory: what there is of everything that grows, beside what the process has of the system."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from reflector.report.row import Row
from reflector.report.slices import in_slices

if TYPE_CHECKING:
    from reflector.app import Service


def resident() -> int:
    """Return the octets of memory that this process has, 0 where the system does not say."""
    try:
        fields = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in fields if line.startswith("VmRSS:")), 0)


async def memory(service: "Service") -> AsyncGenerator[Row, None]:
    """Yield a row for each thing: its name, how many there are, and octets where they are known."""
    speaker, router = service.speaker, service.speaker.router
    groups = router.groups.values()
    yield {"what": "process", "count": 1, "octets": resident(), "text": "resident in memory"}
    for family, count in router.rib.prefixes.items():
        yield {"what": f"prefixes {family}", "count": count, "text": "entries of the table"}
    yield {
        "what": "routes",
        "count": router.rib.routes,
        "text": "several paths to a prefix are several routes",
    }
    interned, octets = len(router.table), router.rib.attribute_octets
    yield {
        "what": "attribute sets",
        "count": interned,
        "octets": octets,
        "text": "interned, each exists once",
    }
    waiting = sum(group.train.octets for group in groups)
    yield {
        "what": "groups",
        "count": len(groups),
        "octets": waiting,
        "text": "with messages that not all have taken",
    }
    unsent = 0
    async for peers in in_slices(speaker.peers):
        unsent += sum([link.unsent for peer in peers for link in peer.connections])
    yield {
        "what": "peers",
        "count": len(speaker.peers),
        "octets": unsent,
        "text": "with octets for the kernel",
    }
    lines, size = service.journal.size
    yield {"what": "log lines", "count": lines, "octets": size, "text": "kept for `reflector show log`"}
