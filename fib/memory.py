"""A routing table in memory, with other people in it, for tests: what the kernel does, without one.

It keeps to the kernel's rules that matter to who programs it: one route for a prefix and metric, interfaces
that take their routes with them, next hops that must be reachable, errors by number.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from errno import EEXIST, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENODEV

from bgp.family import FAMILIES, IPV4_UNICAST, Family
from fib.backend import (
    Event,
    Failure,
    Link,
    LinkAddress,
    LinkChanged,
    Overflow,
    Owner,
    RouteChanged,
)
from fib.plan import Change
from fib.route import Address, Entry, Route


class MemoryBackend:
    """A table of the test's own; `rows` is what it holds, by family, prefix and metric."""

    def __init__(self, owner: Owner | None = None) -> None:
        self.owner = owner or Owner()
        self.rows: dict[tuple[Family, bytes, int], tuple[int, Route]] = {}
        self.interfaces: dict[str, Link] = {}
        self.interface_addresses: list[LinkAddress] = []
        # Gateways that no route leads to, and prefixes that the kernel refuses, with the failure.
        self.unreachable: set[Address] = set()
        self.refused: dict[bytes, Failure] = {}
        self.calls = 0
        self._index = 0
        self.opened = False
        self._listener: Callable[[Event], None] | None = None

    # --- the backend ---

    async def open(self, listener: Callable[[Event], None]) -> None:
        self._listener = listener
        self.opened = True

    async def close(self) -> None:
        self._listener = None
        self.opened = False

    async def own(self, family: Family) -> AsyncIterator[Sequence[tuple[bytes, Route]]]:
        yield [
            (prefix, route)
            for (kind, prefix, metric), (protocol, route) in self.rows.items()
            if kind is family and protocol == self.owner.protocol and self.owner.metric in (None, metric)
        ]

    async def others(self, family: Family, table: int | None = None) -> AsyncIterator[Sequence[Entry]]:
        if table is None or table == self.owner.table:
            yield [
                Entry(kind, prefix, route, protocol, self.owner.table)
                for (kind, prefix, _), (protocol, route) in self.rows.items()
                if kind is family and protocol != self.owner.protocol
            ]

    async def links(self) -> Sequence[Link]:
        return list(self.interfaces.values())

    async def addresses(self) -> Sequence[LinkAddress]:
        return list(self.interface_addresses)

    async def apply(self, family: Family, changes: Sequence[Change]) -> Mapping[int, Failure]:
        self.calls += 1
        failures = {}
        for place, (prefix, before, after) in enumerate(changes):
            failure = self._write(family, prefix, before, after) if after is not None else None
            if failure is not None:
                failures[place] = failure
            elif before is not None and (after is None or before.metric != after.metric):
                slot = (family, prefix, before.metric or 0)
                if self.rows.get(slot, (0,))[0] == self.owner.protocol:
                    del self.rows[slot]
        return failures

    def _write(self, family: Family, prefix: bytes, before: Route | None, after: Route) -> Failure | None:
        if prefix in self.refused:
            return self.refused[prefix]
        for hop in after.next_hops:
            if hop.interface is not None and hop.interface not in self.interfaces:
                return Failure(ENODEV, "No such device")
            if hop.interface is not None and not self.interfaces[hop.interface].up:
                return Failure(ENETDOWN, "Nexthop device is not up")
            if hop.via is not None and hop.via in self.unreachable:
                code = ENETUNREACH if family is IPV4_UNICAST else EHOSTUNREACH
                return Failure(code, "Nexthop has invalid gateway")
        slot = (family, prefix, after.metric or 0)
        if (before is None or before.metric != after.metric) and slot in self.rows:
            return Failure(EEXIST, "File exists")
        self.rows[slot] = (self.owner.protocol, after)
        return None

    # --- the other people ---

    def tell(self, event: Event) -> None:
        """Let the listener hear `event`."""
        if self._listener is not None:
            self._listener(event)

    def foreign(
        self, family: Family, prefix: bytes, route: Route | None, protocol: int = 4, metric: int = 0
    ) -> None:
        """Write (None: delete) a route as somebody else does, who clobbers what stands in that place."""
        slot = (family, prefix, metric)
        if route is None:
            if slot in self.rows:
                protocol, gone = self.rows.pop(slot)
                self.tell(RouteChanged(Entry(family, prefix, gone, protocol, self.owner.table), gone=True))
        else:
            self.rows[slot] = (protocol, route)
            self.tell(RouteChanged(Entry(family, prefix, route, protocol, self.owner.table)))

    def link(self, name: str, up: bool = True, carrier: bool = True) -> None:
        """Make an interface, or alter it; going down takes its routes along, those of IPv4 silently."""
        old = self.interfaces.get(name)
        if old is None:
            self._index += 1
        link = Link(name, old.index if old else self._index, up, carrier)
        self.interfaces[name] = link
        if not up:
            self._vanish(name)
        self.tell(LinkChanged(link))

    def unlink(self, name: str) -> None:
        """Delete an interface."""
        link = self.interfaces.pop(name)
        self._vanish(name)
        self.tell(LinkChanged(link, gone=True))

    def overflow(self) -> None:
        """Lose events, and say so."""
        self.tell(Overflow())

    def _vanish(self, name: str) -> None:
        for slot, (protocol, route) in list(self.rows.items()):
            if any(hop.interface == name for hop in route.next_hops):
                del self.rows[slot]
                if slot[0] is not IPV4_UNICAST:
                    gone = Entry(slot[0], slot[1], route, protocol, self.owner.table)
                    self.tell(RouteChanged(gone, gone=True))

    def table(self, protocol: int | None = None) -> dict[tuple[Family, bytes], Route]:
        """Return what `protocol` (by default the owner) has in the table."""
        number = self.owner.protocol if protocol is None else protocol
        return {
            (family, prefix): route
            for (family, prefix, _), (kind, route) in self.rows.items()
            if kind == number and family in FAMILIES
        }
