"""The report of the whole: who we are, how long we run, sessions by state, and routes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bgp.session.event import State
from reflector.report.memory import resident
from reflector.report.row import Row
from reflector.report.slices import in_slices
from reflector.report.words import identifier

if TYPE_CHECKING:
    from reflector.app import Service


async def status(service: "Service") -> AsyncGenerator[Row, None]:
    """Yield the one row."""
    speaker, router = service.speaker, service.speaker.router
    states, running = Counter[State](), 0
    async for peers in in_slices(speaker.peers):
        states.update([peer.state for peer in peers])
        running += sum([peer.is_running for peer in peers])
    lag = speaker.lag
    yield {
        "version": service.version,
        "asn": router.asn,
        "router_id": identifier(router.router_id),
        "cluster_id": identifier(router.cluster_id),
        "clusters": [identifier(each) for each in router.clusters.ids],
        "file": service.file,
        "started": service.started,
        "configured": service.configured,
        "now": time.time(),
        "uptime": time.time() - service.started,
        "listening": [str(listener.endpoint) for listener in speaker.listeners],
        "neighbors": len(speaker.peers),
        "ranges": [
            {"prefix": str(each.prefix), "neighbors": len(each.peers), "limit": each.limit}
            for each in speaker.listen_ranges
        ],
        "running": running,
        "established": states[State.ESTABLISHED],
        "states": {state.label: states[state] for state in State if states[state]},
        "routes": router.rib.routes,
        "prefixes": {family.name: count for family, count in router.rib.prefixes.items()},
        "groups": len(router.groups),
        "memory": resident(),
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "lag": None if lag is None else {"p99": lag.percentile(0.99), "maximum": lag.maximum},
    }
