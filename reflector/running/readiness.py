"""Whether a service is ready: its first routes are there, or were waited for long enough."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflector.app import Service


def readiness(service: "Service") -> tuple[bool, str]:
    """Return whether it is, and a line that says why."""
    if service.speaker.is_converged:
        return True, "ready"
    waited = time.time() - service.started
    if waited >= service.configuration.http.ready_after:
        return True, f"ready: waited for {waited:.0f} s"
    missing = sum(peer.negotiated is None for peer in service.speaker.peers)
    return False, (
        f"not ready: waiting for first routes since {waited:.0f} s, {missing} neighbors have no session"
    )
