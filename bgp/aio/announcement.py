"""Routes of our own, and the handles that stand for them.

A change goes to the router at once, or with the other changes of a transaction.  So there are up to four
answers to what is announced for a prefix: what a transaction that is open here will make of it, what came
while another one is being applied, what that one brings, and what the router has.  The first of them that
says anything counts.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, Unpack

from bgp.aio.host import Host
from bgp.aio.waits import Telling
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import WellKnownCommunity
from bgp.policy.condition import Condition
from bgp.rib.nexthop import is_host
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes
from bgp.wire.given import RouteAttributes

if TYPE_CHECKING:
    from bgp.aio.peer import Peer

Network = IPv4Network | IPv6Network
Destination = str | Network | IPv4Address | IPv6Address
Key = tuple[Family, bytes]


# What is sent there is discarded: RFC 6666 has a prefix for that; for IPv4 it is usually one of TEST-NET-1.
DISCARD: Mapping[Family, IPv4Address | IPv6Address] = {
    IPV4_UNICAST: IPv4Address("192.0.2.1"),
    IPV6_UNICAST: IPv6Address("100::1"),
}


class Announcement:
    """A route of our own, as `Speaker.announce` returned it.

    As `async with` it is withdrawn in the end.  Who announces the same prefix again takes the route over:
    of the former handle `withdraw` does nothing then.
    """

    __slots__ = ("_announcements", "_attributes", "_condition", "family", "prefix")

    def __init__(
        self,
        announcements: "Announcements",
        key: "Key",
        attributes: Attributes,
        condition: Condition | None,
    ) -> None:
        self.family, self.prefix = key
        self._announcements = announcements
        self._attributes = attributes
        self._condition = condition

    @property
    def attributes(self) -> Attributes:
        """What is announced, or was last."""
        route = self._announcements.route_of(self)
        return self._attributes if route is None else route.attributes

    @property
    def condition(self) -> Condition | None:
        """On which condition it is announced."""
        return self._condition

    @property
    def active(self) -> bool:
        """Whether it was neither withdrawn nor taken over."""
        return self._announcements.route_of(self) is not None

    def withdraw(self) -> None:
        """Take the route back, unless it was taken over since."""
        self._announcements.withdraw(self)

    def replace(self, **attributes: Unpack[RouteAttributes]) -> None:
        """Announce the route with these attributes in place of those it has; None takes one out.

        Raises ValueError for a bad value, with the route as it was, and RuntimeError if it is not `active`.
        """
        self._announcements.replace(self, attributes)

    async def advertised_to(self, peer: "Peer") -> None:
        """Wait until the UPDATE that tells `peer` of the route is with the kernel.

        Its octets were taken by the socket then, with those that were packed together with it; what the
        peer has read of them nobody can know.  Raises `NotAdvertised` with the reason, at once, if the peer
        is not told, and when that turns out later; `PeerDown` if there is no session, or it ends before.
        """
        await self._announcements.advertised_to(self, peer)

    async def in_fib(self) -> None:
        """Wait until the forwarding plane has the route, such as the blackhole route of a block.

        Raises RuntimeError where nothing programs it by this speaker (`fib.KernelFib` does), and what that
        raises where the route will not be there: `fib.NotInstalled`, with the reason.
        """
        await self._announcements.in_fib(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.withdraw()

    def __str__(self) -> str:
        return nlri.text(self.family, self.prefix)

    def __repr__(self) -> str:
        return f"<Announcement {self}{'' if self.active else ' (not active)'}>"


class Route(NamedTuple):
    """What is announced by a handle."""

    handle: Announcement
    attributes: Attributes
    condition: Condition | None


Changes = dict[Key, Route | None]


class Collection:
    """The changes of a transaction, while it is `open`."""

    __slots__ = ("announcements", "changes", "open")

    def __init__(self, announcements: "Announcements") -> None:
        self.announcements = announcements
        self.changes: Changes = {}
        self.open = True

    def close(self) -> Changes:
        """Collect no more; return what was collected, and keep none of it for tasks that live on."""
        self.open = False
        changes, self.changes = self.changes, {}
        return changes


# The transactions that are open here, of whatever speakers.  Tasks have that from who began them: in Python
# 3.11 even `asyncio.wait_for` begins one.
_OPEN: ContextVar[tuple[Collection, ...]] = ContextVar("open transactions", default=())


class Announcements:
    """The routes of one speaker."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._handles: dict[Key, Announcement] = {}
        # What was given last, if it cannot change, and what was made of it.
        self._given: tuple[object, ...] = ()
        self._made = host.router.table.make()
        # What is being applied, in slices, with what is left of it; and what came since.
        self._coming: Changes = {}
        self._left: Iterator[tuple[Key, Route | None]] = iter(())
        self._later: Changes = {}
        # Who waits for the flush behind that.
        self._committing: list[asyncio.Future[None]] = []
        self._committed: list[asyncio.Future[None]] = []

    # --- what is announced -----------------------------------------------------------------------------
    def announce(
        self, prefix: Destination, condition: Condition | None, attributes: RouteAttributes
    ) -> Announcement:
        """Announce a route, in place of an earlier one for `prefix`; raise ValueError for a bad value."""
        key, made = self.prepare(prefix, attributes)
        if condition is not None and not isinstance(condition, Condition):
            raise ValueError(f"condition: {condition!r} is no condition; bgp.policy.condition has them")
        return self.place(key, made, condition)

    def place(self, key: Key, made: Attributes, condition: Condition | None = None) -> Announcement:
        """Announce what `prepare` made."""
        handle = Announcement(self, key, made, condition)
        self._put(key, Route(handle, made, condition))
        return handle

    def prepare(self, prefix: Destination, attributes: RouteAttributes) -> tuple[Key, Attributes]:
        """Return what `announce` would make of these; raise ValueError for a bad value."""
        key = destination(prefix)
        return key, self._make(key[0], attributes)

    def _make(self, family: Family, attributes: RouteAttributes) -> Attributes:
        """Return Attributes of what is given; for many routes that is the same, time after time."""
        given = (family, *attributes.items())
        try:
            hash(given)  # what has no hash may be another thing the next time
        except TypeError:
            given = ()
        if given and given == self._given:
            return self._made
        made = self._host.router.table.make(**attributes)
        _fit(family, made)
        self._given, self._made = given, made
        return made

    def replace(self, handle: Announcement, attributes: RouteAttributes) -> None:
        """Announce the route of `handle` with other attributes."""
        self._host.home.check()
        route = self.route_of(handle)
        if route is None:
            raise RuntimeError(f"{handle} is not announced any more; announce it anew")
        made = self._host.router.table.remake(route.attributes, attributes)
        _fit(handle.family, made)
        self._put((handle.family, handle.prefix), Route(handle, made, route.condition))

    def withdraw(self, handle: Announcement) -> None:
        """Take back the route of `handle` if it is active."""
        self._host.home.check()
        if self.route_of(handle) is not None:
            self._put((handle.family, handle.prefix), None)

    def withdraw_prefix(self, prefix: Destination) -> None:
        """Take back the route for `prefix`; raise KeyError if there is none."""
        key = destination(prefix)
        if self.route(key) is None:
            raise KeyError(str(prefix))
        self._put(key, None)

    def route(self, key: Key) -> Route | None:
        """Return what is announced for a prefix, as it is seen from here."""
        for changes in (self._mine() or {}, self._later, self._coming):
            if key in changes:
                return changes[key]
        handle = self._handles.get(key)
        return None if handle is None else Route(handle, handle._attributes, handle._condition)

    def route_of(self, handle: Announcement) -> Route | None:
        """Return what `handle` announces, None if it does not."""
        route = self.route((handle.family, handle.prefix))
        return route if route is not None and route.handle is handle else None

    def _put(self, key: Key, route: Route | None) -> None:
        mine = self._mine()
        if mine is not None:
            mine[key] = route
        elif self._coming:
            if route is not None and route.condition is not None:
                self._check({**self._coming, **self._later, key: route})
            self._later[key] = route
        else:
            self._apply(key, route)
            self._host.turns.schedule()

    def _apply(self, key: Key, route: Route | None) -> None:
        router = self._host.router
        if route is None:
            self._handles.pop(key, None)
            router.withdraw(*key)
        else:
            handle, attributes, condition = route
            router.announce(*key, attributes, condition)
            self._handles[key] = handle
            handle._attributes = attributes

    # --- transactions ----------------------------------------------------------------------------------
    def _mine(self) -> Changes | None:
        for each in _OPEN.get():
            if each.announcements is self and each.open:
                return each.changes
        return None

    def refuse_within(self, what: str) -> None:
        """Raise RuntimeError within a transaction, of which `what` cannot be a part."""
        if self._mine() is not None:
            raise RuntimeError(f"{what} cannot be part of a transaction")

    def begin(self) -> "Collection":
        """Collect from now on the changes of this task, and of those that it begins meanwhile."""
        if self._mine() is not None:
            raise RuntimeError("a transaction is open here already, and cannot hold another one")
        collection = Collection(self)
        _OPEN.set((*(each for each in _OPEN.get() if each.open), collection))
        return collection

    async def commit(self, changes: Changes) -> None:
        """Apply changes, all in one flush, and wait for that; raise ValueError, with none applied.

        It goes on though the task that waits is canceled.
        """
        if not changes:
            return
        self._check({**self._coming, **self._later, **changes})
        if not self._host.turns.running:
            for key, route in changes.items():
                self._apply(key, route)
            return
        future = asyncio.get_running_loop().create_future()
        self._later.update(changes)
        self._committing.append(future)
        self._advance()
        await future

    def slice(self, quota: int) -> bool:
        """Apply so many changes; return whether there are more that belong into the same flush."""
        applied = 0
        for key, route in islice(self._left, quota):
            self._apply(key, route)
            applied += 1
        if applied < quota:
            self._coming = {}
        return bool(self._coming)

    def flushed(self) -> bool:
        """Hear that what was applied is flushed; return whether there is more to apply."""
        for future in self._committed:
            if not future.done():
                future.set_result(None)
        self._committed = []
        return self._advance()

    def _advance(self) -> bool:
        """Begin with what came later, if nothing is being applied."""
        if not self._coming and self._later:
            self._coming, self._later = self._later, {}
            self._left = iter(self._coming.items())
            self._committed, self._committing = self._committing, []
            self._host.turns.apply(self)
        return bool(self._coming)

    def close(self) -> None:
        """Apply at once what is left: the turns are over."""
        while self._coming or self._later:
            self.slice(len(self._coming) + 1)
            self.flushed()
        self.flushed()

    def _check(self, changes: Changes) -> None:
        """Raise ValueError if conditions, with these changes, would depend on their own outcome."""
        wanted: dict[Key, Condition | None] = {}
        if any(route is not None and route.condition is not None for route in changes.values()):
            wanted = {key: None if route is None else route.condition for key, route in changes.items()}
            self._host.router.check_conditions(wanted)

    async def in_fib(self, handle: Announcement) -> None:
        """Wait until the forwarding plane has the route of `handle`."""
        self._host.home.check()
        if self._host.forwarding is None:
            raise RuntimeError("nothing programs the forwarding plane by this speaker: see fib.KernelFib")
        await self._host.forwarding.installed(handle.family, handle.prefix)

    # --- what peers are told ---------------------------------------------------------------------------
    async def advertised_to(self, handle: Announcement, peer: "Peer") -> None:
        """Wait until the peer was told what `handle` announces."""
        self._host.home.check()
        key = handle.family, handle.prefix
        mine = self._mine()
        if mine is not None and key in mine:
            raise RuntimeError(f"{handle} is told to nobody before its transaction is over")
        telling = Telling(
            *key,
            active=lambda: self.route_of(handle) is not None,
            coming=lambda: key in self._coming or key in self._later,
        )
        await self._host.waits.told(peer, telling)


def destination(prefix: object) -> Key:
    """Return family and wire octets of a prefix; raise ValueError where it cannot be announced."""
    if not isinstance(prefix, str | IPv4Network | IPv6Network | IPv4Address | IPv6Address):
        raise ValueError(f"prefix: write a network such as 192.0.2.0/24, not {prefix!r}")
    try:
        family, octets = nlri.parse(prefix)
    except ValueError as error:
        raise ValueError(f"prefix: {error}") from None
    if nlri.is_multicast(family, octets):
        raise ValueError(f"prefix: {prefix} is multicast, which is no unicast destination (RFC 4271 6.3)")
    return family, octets


def blackhole(prefix: Destination, attributes: RouteAttributes) -> RouteAttributes:
    """Return the attributes of a route that asks to discard traffic, with those that are given."""
    family, _ = destination(prefix)
    given = attributes.get("communities", ())
    if isinstance(given, str):
        return attributes  # which is refused
    return {
        "next_hop": DISCARD[family],
        **attributes,
        "communities": [WellKnownCommunity.BLACKHOLE, *given],
    }


def _fit(family: Family, attributes: Attributes) -> None:
    """Raise ValueError for a next hop that a route of `family` cannot have."""
    hop = attributes.next_hop
    if not hop:
        return
    if not is_host(hop):
        raise ValueError(f"next_hop: {nlri.address_text(hop)} cannot be the address of a host (RFC 4271 6.3)")
    if len(hop) not in family.next_hop_lengths | family.extended_next_hop_lengths:
        raise ValueError(
            f"next_hop: {nlri.address_text(hop)} cannot be the next hop of an {family} route (RFC 2545 3)"
        )
