"""The report for probes: that we answer, and whether we are ready."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from reflector.report.row import Row
from reflector.running.readiness import readiness

if TYPE_CHECKING:
    from reflector.app import Service


async def healthy(service: "Service", *, live: bool = False) -> AsyncGenerator[Row, None]:
    """Yield the one row: who answers is alive."""
    ready, text = readiness(service)
    yield {"well": ready or live, "alive": True, "ready": ready, "text": "alive" if live else text}
