"""All routes of our own, and the handles that stand for them.

A change goes to the router at once, or with the other changes of a transaction.  So there are up to four
answers to what is announced for a prefix: what a transaction that is open here will make of it, what came
while another one is being applied, what that one brings, and what the router has.  The first of them that
says anything counts.
"""

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from itertools import islice
from typing import NamedTuple

from bgp.aio import arguments
from bgp.aio.announcement import Announcement
from bgp.aio.destination import Destination, Key, conditional, destination, fit, unchanging
from bgp.aio.health import Health
from bgp.aio.host import Host
from bgp.aio.peer import Peer
from bgp.aio.waits import Telling
from bgp.family import Family
from bgp.policy.condition import Condition
from bgp.wire.attributes import Attributes
from bgp.wire.given import RouteAttributes


class Route(NamedTuple):
    """What is announced by a handle."""

    handle: Announcement
    attributes: Attributes
    condition: Condition | None


Changes = dict[Key, Route | None]

# So many sets of attributes are remembered with what was given for them.
_REMEMBERED = 256


class Collection:
    """The changes of a transaction, while it is `open`."""

    __slots__ = ("changes", "open", "originals")

    def __init__(self, originals: "Originals") -> None:
        self.originals = originals
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


class Originals:
    """The routes of one speaker."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._handles: dict[Key, Announcement] = {}
        # What was given lately, and what was made of it.
        self._made: dict[tuple[object, ...], Attributes] = {}
        self._checked: set[Health] = set()
        # What is being applied, in slices, with what is left of it; and what came since.
        self._coming: Changes = {}
        self._left: Iterator[tuple[Key, Route | None]] = iter(())
        self._later: Changes = {}
        # Who waits for the flush behind that.
        self._committing: list[asyncio.Future[None]] = []
        self._committed: list[asyncio.Future[None]] = []

    def check_home(self) -> None:
        """Raise RuntimeError unless called from the speaker's loop."""
        self._host.home.check()

    # --- what is announced -----------------------------------------------------------------------------
    def announce(
        self, prefix: Destination, condition: Condition | None, attributes: RouteAttributes
    ) -> Announcement:
        """Announce a route, in place of an earlier one for `prefix`; raise ValueError for a bad value."""
        key = destination(prefix)
        made = self._make(key[0], attributes)
        handle = Announcement.__new__(Announcement)
        handle._assume(self, key, made, conditional(condition))
        self._put(key, Route(handle, made, condition))
        return handle

    def adopt(self, handle: Announcement) -> None:
        """Announce what its user has made, now or while its check passes; ValueError if it is already."""
        if handle.active or (handle._health is not None and handle._health.runs):
            raise ValueError(f"prefix: {handle!r} is announced already")
        key = handle.family, handle.prefix
        made = self._host.router.table.remake(handle._attributes, {})
        handle._assume(self, key, made, handle._condition, handle._health)
        if handle._health is None:
            self._put(key, Route(handle, made, handle._condition))
        else:
            handle._health.start(partial(self._rise, handle), partial(self._fall, handle))
            self._checked.add(handle._health)

    def _rise(self, handle: Announcement) -> None:
        self._put((handle.family, handle.prefix), Route(handle, handle._attributes, handle._condition))

    def _fall(self, handle: Announcement) -> None:
        if self.route_of(handle) is not None:
            self._put((handle.family, handle.prefix), None)

    def _make(self, family: Family, attributes: RouteAttributes) -> Attributes:
        """Return Attributes of what is given; for many routes that is the same, time after time."""
        given = unchanging(family, attributes)
        made = self._made.get(given) if given is not None else None
        if made is None:
            made = self._host.router.table.make(**attributes)
            fit(family, made)
            if given is not None:
                if len(self._made) >= _REMEMBERED:
                    self._made.clear()
                self._made[given] = made
        return made

    def replace(self, handle: Announcement, attributes: RouteAttributes) -> None:
        """Announce the route of `handle` with other attributes."""
        self._host.home.check()
        route = self.route_of(handle)
        if route is None and handle._health is not None and handle._health.runs:
            # It is what will be announced.
            handle._attributes = self._remade(handle, handle._attributes, attributes)
            return
        if route is None:
            raise RuntimeError(f"{handle} is not announced any more; announce it anew")
        made = self._remade(handle, route.attributes, attributes)
        self._put((handle.family, handle.prefix), Route(handle, made, route.condition))

    def _remade(self, handle: Announcement, before: Attributes, attributes: RouteAttributes) -> Attributes:
        made = self._host.router.table.remake(before, attributes)
        fit(handle.family, made)
        return made

    def withdraw(self, handle: Announcement) -> None:
        """Take back the route of `handle` if it is active, and check it no more."""
        self._host.home.check()
        if handle._health is None:
            self._fall(handle)
        else:
            handle._health.stop()
            self._checked.discard(handle._health)

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
            if each.originals is self and each.open:
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
        """Apply at once what is left: the turns are over, and so are the checks."""
        for health in self._checked:
            health.stop()
        self._checked.clear()
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
    async def advertised_to(self, handle: Announcement, peer: Peer) -> None:
        """Wait until the peer was told what `handle` announces."""
        self._host.home.check()
        arguments.instance("peer", peer, Peer, "a Peer")
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
