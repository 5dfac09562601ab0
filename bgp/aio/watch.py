"""Watching routes and peers: what is there first, then what changes, for as long as somebody iterates.

Everything that a watch holds is bounded (`bgp.rib.history`); a consumer that does not keep up is told fewer
changes, the latest of each route, or that it has lagged, and never nothing.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from itertools import repeat
from typing import Literal, NamedTuple
from weakref import WeakSet

from bgp.aio import arguments
from bgp.aio.events import EventKind, Events, PeerEvent
from bgp.aio.home import Home
from bgp.aio.peer import Peer
from bgp.aio.turn import SLICE
from bgp.family import FAMILIES, Family
from bgp.rib.follower import Follower
from bgp.rib.history import BACKLOG
from bgp.rib.interest import Interest
from bgp.rib.news import Began, Lost, Portion, Remark, Synced
from bgp.rib.path import Path, Slot
from bgp.rib.selection import ALL, BEST, Selection
from bgp.router import Router
from bgp.wire import prefix as nlri
from bgp.wire import words
from bgp.wire.community import LargeCommunity, parse_community, parse_large

logger = logging.getLogger(__name__)

# So many events are made at a time, and then it is looked whether others should have their turn.
_SOME = 64

Network = IPv4Network | IPv6Network
Community = str | int | LargeCommunity


class Change(Enum):
    """What became of a route, as far as the watch goes."""

    ADDED = "added"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


class Reason(Enum):
    """Why a route is told of."""

    SNAPSHOT = "it was there already"
    ANNOUNCED = "there was no such path before"
    UPDATED = "its peer says something else of it now"
    DECIDED = "another path is the best now"
    WITHDRAWN = "no such path is left"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was told before is void: what is there follows, up to InSync.  `reason` says why."""

    sequence: int
    reason: str


class RouteEvent(NamedTuple):
    """A route as it is now: `path` is None where it is gone, `previous` what it was before.

    Where all paths are watched, each path of a prefix is a route of its own: `slot` tells them apart.
    """

    # There are as many of them as changes of routes; a frozen dataclass takes four times as long to make.

    sequence: int
    family: Family
    octets: bytes
    path: Path | None
    previous: Path | None = None
    snapshot: bool = False

    @property
    def change(self) -> Change:
        if self.path is None:
            return Change.WITHDRAWN
        return Change.ADDED if self.previous is None else Change.REPLACED

    @property
    def reason(self) -> Reason:
        if self.snapshot:
            return Reason.SNAPSHOT
        if self.path is None:
            return Reason.WITHDRAWN
        if self.previous is None:
            return Reason.ANNOUNCED
        return Reason.UPDATED if self.path.slot is self.previous.slot else Reason.DECIDED

    @property
    def prefix(self) -> str:
        """The prefix in the usual notation."""
        return nlri.text(self.family, self.octets)

    @property
    def network(self) -> Network:
        """The prefix as a network of the standard library."""
        return nlri.network(self.family, self.octets)

    @property
    def slot(self) -> Slot:
        """The peer and the path identifier, if any, that the route is of."""
        path = self.path or self.previous
        assert path is not None
        return path.slot

    def __str__(self) -> str:
        shown = "" if self.path is None else f" ({words.line(self.path.attributes)})"
        return f"{self.prefix} {self.change.value}: {self.reason.value}{shown}"


# Without a call of Python's for each: that is half of what an event costs.
_event: Callable[[tuple[object, ...]], RouteEvent] = partial(tuple.__new__, RouteEvent)


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """Something happened to a peer; behind Snapshot, the state that each one is in."""

    sequence: int
    event: PeerEvent


@dataclass(frozen=True, slots=True)
class InSync:
    """Everything was told: who applied all of it has what the speaker has."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Lagged:
    """The consumer was too slow by so many changes, wanted ones or not; Snapshot follows."""

    sequence: int
    lost: int


WatchEvent = Snapshot | RouteEvent | PeerChanged | InSync | Lagged
PeersNow = Callable[[], Iterable[Peer]]


def interest(
    *,
    paths: Literal["best", "all"] | Selection | None = "best",
    family: Family | None = None,
    prefix: str | Network | None = None,
    within: str | Network | None = None,
    peer: Peer | str | None = None,
    community: Community | Iterable[Community] | None = None,
) -> Interest:
    """Return what the arguments of a watch ask for; raise ValueError where they contradict each other."""
    if not isinstance(paths, Selection) and paths not in ("best", "all", None):
        raise ValueError(f'paths: {paths!r} cannot be watched; give "best", "all", a Selection or None')
    if prefix is not None and within is not None:
        raise ValueError("within: does not go together with prefix")
    if family is not None:
        arguments.family("family", family)
    if peer is not None:
        arguments.instance("peer", peer, (Peer, str), "a Peer or the name of one")
    exact = covered = None
    families = FAMILIES if family is None else (family,)
    asked = prefix if prefix is not None else within
    if asked is not None:
        its_family, octets = arguments.prefix("within" if prefix is None else "prefix", asked)
        if family not in (None, its_family):
            raise ValueError(f"family: {asked} is not of {family}")
        families = (its_family,)
        exact, covered = (octets, None) if prefix is not None else (None, octets)
    if isinstance(paths, str):
        paths = BEST if paths == "best" else ALL
    name = peer if peer is None or isinstance(peer, str) else peer.name
    try:
        communities = frozenset(_communities(community))
    except ValueError as error:
        raise ValueError(f"community: {error}") from None
    return Interest(families, paths, exact, covered, name, communities)


def _communities(given: Community | Iterable[Community] | None) -> Iterator[int | LargeCommunity]:
    if given is None:
        return
    if isinstance(given, int):
        if not 0 <= given <= 0xFFFFFFFF:
            raise ValueError(f"{given} does not fit 32 bits")
        yield given
    elif isinstance(given, str):
        yield parse_large(given) if given.count(":") == 2 else parse_community(given)
    else:
        if not isinstance(given, Iterable):
            raise ValueError(f"{given!r} is no community: write one such as 64496:1")
        several = list(given)
        if isinstance(given, tuple) and len(given) == 3 and all(isinstance(each, int) for each in given):
            yield given  # type: ignore[misc]  # a large community
            return
        for each in several:
            yield from _communities(each)


class Watch(AsyncIterator[WatchEvent]):
    """An asynchronous iterator over what happens; `close` it, or use it in a `with`, when done early.

    `sequence` is the number to resume from: that of the event which came last, or, before InSync, that of the
    last one that was good to go on from.
    """

    def __init__(
        self,
        router: Router,
        wanted: Interest,
        since: int | None,
        limit: int,
        peers: PeersNow | None,
        forget: "Callable[[Watch], None]",
    ) -> None:
        arguments.whole("limit", limit, 1)
        if since is not None:
            arguments.whole("since", since, 0)
        self._more = asyncio.Event()
        # The follower must not hold the watch, so that one which is given up without a word is gone at once.
        self._follower: Follower = router.history.follow(wanted, since, limit, self._more.set)
        self._peers = peers
        self._peer = wanted.peer
        self._forget = forget
        self._ready: deque[WatchEvent] = deque()
        self._portion: Portion | None = None
        self._index = 0
        self._numbered = True  # whether the numbers of events are good to resume from
        self._ended = False
        self._count = 0
        self._began = 0.0
        self._loop = asyncio.get_running_loop()
        self._home = Home.here()
        self._task: asyncio.Task[None] | None = None
        self.sequence = self._follower.sequence

    @property
    def in_sync(self) -> bool:
        """Whether everything that there is to tell was told: else the next event comes without a change."""
        return self._portion is None and not self._ready and self._follower.in_sync

    @property
    def backlog(self) -> int:
        """The routes of which the watch keeps the latest change itself, as the consumer is slow."""
        return self._follower.kept

    def call(self, callback: Callable[[WatchEvent], object]) -> None:
        """Call `callback` with each event until the watch is closed; what it raises is logged."""
        self._home.check()
        arguments.called("callback", callback)
        if self._task is not None:
            raise ValueError("the watch calls back already")
        self._task = asyncio.create_task(self._deliver(callback))

    async def _deliver(self, callback: Callable[[WatchEvent], object]) -> None:
        async for event in self:
            try:
                callback(event)
            except Exception:
                logger.exception("a callback for routes failed")

    def finish(self) -> None:
        """Let the iteration end behind what is known now."""
        self._ended = True
        self._more.set()

    def close(self) -> None:
        """Hear no more events."""
        self._home.check()
        self._forget(self)
        self._follower.close()
        self._ready.clear()
        self._portion = None
        self.finish()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> "Watch":
        return self

    async def __anext__(self) -> WatchEvent:
        ready = self._ready
        while not ready:
            await self._gather()
        event = ready.popleft()
        self.sequence = event.sequence
        return event

    async def _gather(self) -> None:
        """Make the next few events, or look for what they are of; nothing else is done for each event."""
        self._home.check()
        if self._count >= _SOME:
            await self._yield()
        if self._portion is not None:
            self._fill(self._portion)
            return
        news = self._follower.take()
        self._count += 1
        if news is None:
            if self._ended:
                self._forget(self)
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
            self._began = self._loop.time()
        elif isinstance(news, Portion):
            if news.prefixes:
                self._index = 0
                self._fill(news)
            else:
                await self._yield()
        else:
            self._note(news)

    async def _yield(self) -> None:
        """Let others have their turn if this one is long."""
        self._count = 0
        if self._loop.time() - self._began >= SLICE:
            await asyncio.sleep(0)
            self._began = self._loop.time()

    def _fill(self, portion: Portion) -> None:
        """Make the next events of a portion: not many, so that what they hold is bounded."""
        at, end = self._index, self._index + _SOME
        self._index, self._portion = end, portion if end < len(portion.prefixes) else None
        prefixes = portion.prefixes[at:end]
        numbers: Iterable[int] = repeat(self.sequence)
        if self._numbered and not portion.walked:
            numbers = portion.numbers[at:end]
        same = map(repeat, (portion.now, portion.before, portion.walked))
        self._ready += map(_event, zip(numbers, repeat(portion.family), prefixes, *same, strict=False))
        self._count += len(prefixes)

    def _note(self, news: Began | Lost | Synced | Remark) -> None:
        match news:
            case Began():
                self._numbered = False
                self._ready.append(Snapshot(self.sequence, news.reason))
                for peer in () if self._peers is None else self._peers():
                    self._heard(PeerEvent(EventKind.STATE, peer, peer.state))
            case Lost():
                self._ready.append(Lagged(self.sequence, news.changes))
            case Synced():
                self._numbered = True
                self.sequence = self._follower.sequence
                self._ready.append(InSync(self.sequence))
            case Remark():
                if self._numbered:
                    self.sequence = news.number
                if self._peers is not None and isinstance(news.value, PeerEvent):
                    self._heard(news.value)

    def _heard(self, event: PeerEvent) -> None:
        if self._peer is None or (event.peer is not None and event.peer.name == self._peer):
            self._ready.append(PeerChanged(self.sequence, event))


class Watches:
    """The watches of a speaker."""

    def __init__(self, router: Router, events: Events, peers: PeersNow) -> None:
        self._router = router
        self._events = events
        self._peers = peers
        self._hears = False
        self._open: WeakSet[Watch] = WeakSet()
        # Those with a callback, which nobody else need hold.
        self._called: set[Watch] = set()
        # So numbers of an earlier process are known to be old.
        router.history.number = time.time_ns() // 1000

    def open(
        self,
        wanted: Interest,
        *,
        peers: bool = False,
        since: int | None = None,
        limit: int = BACKLOG,
        callback: Callable[[WatchEvent], object] | None = None,
    ) -> Watch:
        """Return a new watch."""
        if callback is not None:
            arguments.called("callback", callback)
        watch = Watch(self._router, wanted, since, limit, self._peers if peers else None, self._forget)
        if peers and not self._hears:
            self._hears = True
            self._events.call(self._heard)
        self._open.add(watch)
        if callback is not None:
            self._called.add(watch)
            watch.call(callback)
        return watch

    def snapshot(self, wanted: Interest) -> Iterator[RouteEvent]:
        """Yield all that is there; the tables must not change meanwhile."""
        history = self._router.history
        for family, prefix, path in history.snapshot(wanted):
            yield RouteEvent(history.number, family, prefix, path, None, True)

    def close(self) -> None:
        """End all watches behind their last event."""
        for watch in list(self._open):
            watch.finish()
        self._open.clear()

    def _forget(self, watch: Watch) -> None:
        self._open.discard(watch)
        self._called.discard(watch)

    def _heard(self, event: PeerEvent) -> None:
        if self._router.history:
            self._router.history.remark(event)
