"""What a speaker knows of whoever programs the forwarding plane by it: enough to wait for a route."""

from typing import Protocol

from bgp.family import Family


class Forwarding(Protocol):
    """Whoever programs the forwarding plane."""

    async def installed(self, family: Family, prefix: bytes) -> None:
        """Wait until `prefix` is installed; raise, with the reason, where it will not be."""
