"""`KernelFib`: the kernel's routes follow the best paths of a speaker.

It joins the parts: the mirror of what others have in the kernel feeds the resolver; the resolver answers the
speaker's questions about next hops, so its decision heeds them; the feed brings what is decided, a route is
chosen for it, and the programmer writes that.  What the programmer reports goes back to the speaker, for
peers that are told only what is installed.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Self

from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.rib.path import Path
from bgp.speaker import Speaker
from bgp.wire import prefix as nlri
from fib import notice
from fib.backend import Backend, Event
from fib.choice import Choice, Chooser, Encapsulate, Encapsulation, Network, NotWanted, Wishes, by_function
from fib.feed import Feed
from fib.filters import Filter
from fib.ipip import IpInIp
from fib.kernel import Namespace
from fib.kernel.tunnel import Tunnel
from fib.mirror import Mirror
from fib.notice import Notice, Problem, Progress, State, Written
from fib.programmer import Fib, Prefix, PrefixKey
from fib.redistribute import Importer, Redistribute
from fib.resolve import Resolution, Resolver
from fib.route import Address, Route

logger = logging.getLogger(__name__)

MAIN = 254
# Stale routes of an earlier life go at the latest after so many seconds.
SWEEP_AFTER = 600.0
# So long peers are waited for that were added behind the speaker's start, and so long that there is one.
_PATIENCE, _PAUSE = 60.0, 5.0


class NotInstalled(Exception):
    """A prefix is not in the FIB, and will not be unless something changes: the words say why."""

    def __init__(self, prefix: str, reason: str) -> None:
        super().__init__(f"{prefix} is not installed: {reason}")
        self.prefix = prefix
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a prefix has the route that it has in the kernel, or has none.

    `choice` is the route that its paths ask for, or why they ask for none; `ways` how their next hops are
    reached; `installed` what became of it.
    """

    family: Family
    prefix: bytes
    choice: Choice
    ways: tuple[Resolution, ...]
    installed: notice.Explanation

    @property
    def is_installed(self) -> bool:
        """Whether the kernel has what is wanted."""
        return self.installed.state is State.INSTALLED

    def __str__(self) -> str:
        what = "not wanted: " if isinstance(self.choice, NotWanted) else "wanted: "
        lines = [str(self.installed), f"  {what}{self.choice}"]
        lines += [f"  next hop {way}" for way in self.ways]
        return "\n".join(lines)


class _Ways:
    """The resolver, as the router asks it."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def resolve(self, next_hop: bytes) -> int | None:
        return self._resolver.resolve(next_hop).cost

    def why(self, next_hop: bytes) -> str:
        return self._resolver.resolve(next_hop).words

    def forget(self, next_hops: Collection[bytes]) -> None:
        self._resolver.forget(next_hops)


class KernelFib:
    """Keep the kernel's routes equal to a speaker's best paths: `async with KernelFib(speaker) as fib`.

    `table`, `protocol` and `metric` say which routes are ours, `netns` where; a `metric` that is a function
    is asked for each best path, such as `lambda path: 2147483647 - path.attributes.local_pref`.  `allow`
    lists what may be installed, `never` what is not touched; `guard`, `sweep_after`, `flush` and `audit` are
    those of `Fib`, which programs the routes.

    A prefix has a leg for each path of its multipath set (`DecisionOptions`), at most `max_paths`, with
    `weights` in proportion to link bandwidths.  `sources` are preferred source addresses, `mtu` and `advmss`
    those of all routes.  Blocks of our own get a blackhole route unless `blackholes` is False.
    `encapsulate` says which next hops are reached by a tunnel: `IpInIp`, or a function of prefix and next hop
    that returns an `Encapsulation` or None.

    Next hops are resolved against the routes of others in `resolve_tables`, by default the main table and
    `table`, those of `resolve_protocols` or all, by `by_default` also the default route; with `decide` the
    speaker's decision heeds what is reachable at which cost.  When the FIB is closed, what was known last
    goes on to hold.  `redistribute` are rules by which routes of others are announced.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        table: int = MAIN,
        protocol: int = 179,
        metric: int | Callable[[Path], int] = 179,
        netns: Namespace | None = None,
        max_paths: int = 16,
        weights: bool = False,
        sources: Iterable[Address | str] = (),
        mtu: int | None = None,
        advmss: int | None = None,
        blackholes: bool = True,
        encapsulate: IpInIp | Callable[[Network, Address], Encapsulation | None] | None = None,
        allow: Filter | None = None,
        never: Filter = (),
        decide: bool = True,
        by_default: bool = True,
        resolve_tables: Sequence[int] = (),
        resolve_protocols: Collection[int] | None = None,
        redistribute: Iterable[Redistribute] = (),
        guard: float | None = None,
        sweep_after: float = SWEEP_AFTER,
        flush: bool = False,
        audit: float = 300.0,
        backend: Backend | None = None,
    ) -> None:
        self._speaker = speaker
        self._decide = decide
        self.fib = Fib(
            table=table,
            protocol=protocol,
            metric=None if callable(metric) else metric,
            netns=netns,
            paths=max_paths,
            allow=allow,
            never=never,
            guard=guard,
            sweep_after=sweep_after,
            flush=flush,
            audit=audit,
            backend=backend,
        )
        tunnel = encapsulate if isinstance(encapsulate, IpInIp) else None
        asked: Encapsulate | None = tunnel
        if encapsulate is not None and not isinstance(encapsulate, IpInIp):
            asked = by_function(encapsulate)
        self._tunnel = None
        if tunnel is not None and backend is None:
            self._tunnel = Tunnel(tunnel.device, address=tunnel.address, mtu=tunnel.mtu, netns=netns)
        self._device = None if tunnel is None else tunnel.device
        rules = tuple(redistribute)
        tables = tuple(dict.fromkeys(resolve_tables or (table, MAIN)))
        read = (*tables, *(rule.table for rule in rules if rule.table is not None))
        self.resolver = Resolver(tables=tables, protocols=resolve_protocols, by_default=by_default)
        self.importer = Importer(speaker, self.resolver, rules)
        wishes = Wishes(
            metric=metric if callable(metric) else None,
            max_paths=max_paths,
            weights=weights,
            sources=_by_family(sources),
            mtu=mtu,
            advmss=advmss,
            blackholes=blackholes,
            encapsulate=asked,
        )
        self.chooser = Chooser(self.resolver, wishes, self.importer.imported)
        self.mirror = Mirror(
            self.fib.backend, self.resolver, self._changed, tables=read, readers=(self.importer,), audit=audit
        )
        self._feed: Feed | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[Callable[[], None]] = []
        self._due = False
        # While there may be routes of an earlier life.
        self._adopting = True
        self._device_up: object = None
        # Prefixes that the application brought itself.
        self._manual: dict[Family, set[bytes]] = {family: set() for family in FAMILIES}

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Begin; raise BackendError, with the remedy, where the kernel's table cannot be programmed."""
        self._ends = [self.fib.watch_events(self._event), self.fib.watch(self._notice)]
        try:
            await self.fib.open()
            if self._tunnel is not None:
                await self._tunnel.open()
            await self.mirror.open()
        except BaseException:
            await self.close()
            raise
        self.resolver.changed()
        if self._decide:
            self._speaker.resolve_next_hops(_Ways(self.resolver))
        self._speaker.forwarding = self
        self._feed = Feed(self._speaker.router, self.chooser, self)
        self._tasks = [
            asyncio.create_task(self._run(self._feed), name="fib feed"),
            asyncio.create_task(self._sweep(), name="fib sweep"),
        ]

    async def close(self) -> None:
        """End; the routes stay, or go with `flush`."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.mirror.close()
        if self._tunnel is not None:
            await self._tunnel.close()
        await self.fib.close()
        for end in self._ends:
            end()
        self._ends = []
        if self._speaker.forwarding is self:
            self._speaker.forwarding = None

    # --- Routes of the application's own -----------------------------------------------------------------

    async def set(self, prefix: Prefix, route: Route | None) -> None:
        """Have `route` (None: nothing) for `prefix`, beside what the speaker brings; see `Fib.set`."""
        family, octets = nlri.parse(prefix)
        (self._manual[family].discard if route is None else self._manual[family].add)(octets)
        await self.fib.set(prefix, route)

    async def apply(
        self, changes: Mapping[PrefixKey, Route | None] | Iterable[tuple[Prefix, Route | None]]
    ) -> list[Problem]:
        """Have each route of `changes` for its prefix, beside what the speaker brings; see `Fib.apply`."""
        rows: list[tuple[Prefix, Route | None]]
        rows = list(changes.items() if isinstance(changes, Mapping) else changes)
        for prefix, route in rows:
            family, octets = nlri.parse(prefix)
            (self._manual[family].discard if route is None else self._manual[family].add)(octets)
        return await self.fib.apply(rows)

    # --- What may be seen ------------------------------------------------------------------------------

    async def caught_up(self) -> None:
        """Wait until all that the speaker has decided by now is written, or refused."""
        if self._feed is not None:
            await self._feed.caught_up()
        await self.fib.settled()

    async def in_fib(self, prefix: Prefix) -> None:
        """Wait until `prefix` is in the kernel; raise NotInstalled, with the reason, where it will not be."""
        family, octets = nlri.parse(prefix)
        await self.installed(family, octets)

    async def installed(self, family: Family, prefix: bytes) -> None:
        """Wait until `prefix` is in the kernel; raise NotInstalled, with the reason, where it will not be."""
        if self._feed is not None:
            await self._feed.caught_up()
        await self.fib.written(family, prefix)
        if not self.fib.installed(family, prefix):
            raise NotInstalled(nlri.text(family, prefix), self._reason(family, prefix))

    def _reason(self, family: Family, prefix: bytes) -> str:
        found = self.explain(nlri.network(family, prefix))
        if isinstance(found.choice, NotWanted):
            return str(found.choice)
        return str(found.installed).partition(": ")[2]

    def explain(self, prefix: Prefix) -> Explanation:
        """Say whether `prefix` is installed, what the kernel has, what is wanted, and why or why not."""
        family, octets = nlri.parse(prefix)
        hops = self._speaker.router.rib.multipath(family, octets)
        choice = self.chooser.choose(family, octets, hops)
        return Explanation(family, octets, choice, tuple(self.chooser.ways(hops)), self.fib.explain(prefix))

    def progress(self, family: Family) -> Progress:
        """Return how many routes are where, and what was done."""
        return self.fib.progress(family)

    def watch(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Have `listener` hear all news from now on; return what ends that."""
        return self.fib.watch(listener)

    def release(self) -> int:
        """Let the deletions pass that the guard withholds; return how many they are."""
        return self.fib.release()

    # --- The feed's taker --------------------------------------------------------------------------------

    def want(self, family: Family, prefix: bytes, route: Route | None) -> None:
        """Have `route` (None: nothing) for `prefix`."""
        if route is None and prefix in self._manual[family]:
            return
        self.fib.want(family, prefix, route)
        if route is not None and self._adopting and self.fib.installed(family, prefix):
            # It was there already, so nothing will be written.
            self._speaker.router.installed(family, prefix, True)

    async def room(self) -> None:
        """Wait until not too much waits to be written."""
        await self.fib.room()

    def wanted(self, family: Family) -> Sequence[Collection[bytes]]:
        """Return what is wanted, in parts."""
        return [list(part) for part in self.fib.ledgers[family].wanted.parts]

    # --- Inside ----------------------------------------------------------------------------------------

    def _event(self, event: Event) -> None:
        self.mirror.event(event)
        if self._tunnel is not None:
            self._tunnel.event(event)

    def _changed(self) -> None:
        """Look soon at what the mirror has learned: many events come together."""
        if not self._due and self._feed is not None:
            self._due = True
            asyncio.get_running_loop().call_soon(self._resolve)

    def _resolve(self) -> None:
        self._due = False
        feed = self._feed
        if feed is None:
            return
        news = self.resolver.changed()
        link = None if self._device is None else self.resolver.interface(self._device)
        device = link is not None and link.up
        if device is not self._device_up:
            self._device_up = device
            self.chooser.forget()
            feed.reconsider(None)
        if not news:
            return
        self.chooser.forget()
        # Where the cost is another one, the decision brings what follows from it: until then the route that
        # is there is better than none.
        costs = {key: now.cost for key, (before, now) in news.items() if now.cost != before.cost}
        if costs and self._decide:
            self._speaker.next_hops(costs)
        again = [key for key in news if not self._decide or key not in costs]
        if again:
            feed.reconsider(again)

    def _notice(self, news: Notice) -> None:
        if isinstance(news, Written):
            failures = news.failures
            self._speaker.installed(
                news.family,
                {
                    prefix: (before if place in failures else after) is not None
                    for place, (prefix, before, after) in enumerate(news.changes)
                },
            )

    async def _run(self, feed: Feed) -> None:
        """Run the feed; a bug in it must be seen."""
        try:
            await feed.run()
        except Exception:
            logger.exception("internal error: the kernel's routes do not follow any more")
            raise

    def _heard(self, seconds: float) -> bool:
        """Whether all peers have told their first routes, or were waited for (`seconds` by now) enough."""
        members = [peer.member for peer in self._speaker.peers if not peer.dynamic]
        if not members:
            return seconds >= _PAUSE or bool(self._speaker.listen_ranges)
        return seconds >= _PATIENCE or all(
            member is not None and member.end_of_rib.issuperset(member.negotiated.families)
            for member in members
        )

    async def _sweep(self) -> None:
        """Let stale routes go when the speaker has heard everybody, and all of that is wanted by now."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            await self._speaker.converged()
        except RuntimeError:
            return
        # Peers may have been added behind the start, and then nobody waits for them but we.
        while not self._heard(clock() - begun):
            await asyncio.sleep(0.1)
        if self._feed is not None:
            await self._feed.caught_up()
        self._adopting = False
        self.fib.converged()


def _by_family(addresses: Iterable[Address | str]) -> dict[Family, IPv4Address | IPv6Address]:
    found: dict[Family, IPv4Address | IPv6Address] = {}
    for text in addresses:
        address = ip_address(text)
        found[IPV4_UNICAST if address.version == 4 else IPV6_UNICAST] = address
    return found
