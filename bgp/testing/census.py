"""What a process holds: its objects of ours by type, what is interned, and its memory."""

import asyncio
import gc
import sys
from collections import Counter
from pathlib import Path

from bgp.router import Router
from bgp.speaker import Speaker


def of_router(router: Router) -> dict[str, int]:
    """Return how much of everything a router holds."""
    tables = list(router._tables.values())
    groups = router.groups.values()
    return {
        "attribute sets": len(router.table),
        "next hops": len(router.table._buckets),
        "slots": len(router._slots),
        "members": len(router.members),
        "groups": len(groups),
        "jobs": int(router.work(0)),
        "routes": router.rib.routes,
        "prefixes": sum(len(table.entries) for table in tables),
        "attribute octets": router.rib.attribute_octets,
        "paths by source": sum(len(paths) for table in tables for paths in table._paths.values()),
        "train octets": sum(group.train.octets for group in groups),
    }


def of_speaker(speaker: Speaker) -> dict[str, int]:
    """Return how much of everything a speaker holds, its event loop included."""
    loop = asyncio.get_running_loop()
    return {
        **of_router(speaker.router),
        "peers": len(speaker.peers),
        "closing": len(speaker._host.closing),
        "senders": len(speaker._host.turns._senders),
        "identities": len(speaker._roster.identities),
        # Timers that were canceled stay until their time, but for that the loop clears them by the hundred.
        "timers": sum(not handle.cancelled() for handle in loop._scheduled),  # type: ignore[attr-defined]
    }


def of_objects() -> Counter[str]:
    """Return the objects of our own types, of those that the collector knows, after a collection."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    # A type may describe the module of its instances by this name, not tell its own.
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("bgp."))


def resident() -> int:
    """Return the octets of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def blocks() -> int:
    """Return the blocks that Python has allocated."""
    return sys.getallocatedblocks()
