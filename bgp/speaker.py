"""The composition root: sockets, connections and the router become one BGP speaker on the running loop."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import socket
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack

from bgp.aio import arguments
from bgp.aio.address import Endpoint
from bgp.aio.announcement import Announcement
from bgp.aio.changing import Effect, effect
from bgp.aio.converged import Converged
from bgp.aio.demand import demand
from bgp.aio.destination import Destination, blackhole
from bgp.aio.events import EventKind, Events, PeerEvent, Watcher
from bgp.aio.forwarding import Forwarding
from bgp.aio.host import ConnectionMaker, Host
from bgp.aio.lag import LoopLag
from bgp.aio.listener import Listener, Listeners, Refusals
from bgp.aio.lookup import Rib, slices
from bgp.aio.options import PeerOptions
from bgp.aio.originals import Originals
from bgp.aio.pace import Pace
from bgp.aio.peer import Peer
from bgp.aio.roster import ListenRange, Roster
from bgp.aio.tap import Tap, Tapped, of_address
from bgp.aio.transaction import Transaction
from bgp.aio.turn import Turns
from bgp.aio.watch import Community, RouteEvent, Watch, Watches, WatchEvent, interest
from bgp.aio.world import KERNEL, World
from bgp.explanation import Account, Explanation
from bgp.family import FAMILIES, Family
from bgp.iana import CeaseSubcode
from bgp.member import Member
from bgp.policy import Policy
from bgp.policy.condition import Condition
from bgp.rib.aggregate import Aggregate
from bgp.rib.bounds import MAX_ATTRIBUTE_OCTETS, MAX_PATHS
from bgp.rib.decision import DecisionOptions
from bgp.rib.history import BACKLOG
from bgp.rib.multipath import Hop
from bgp.rib.nexthop import Resolver, scoped
from bgp.rib.notice import Notice
from bgp.rib.path import Path
from bgp.rib.selection import Selection
from bgp.rib.walk import Walk
from bgp.router import LAG_AGE, Router
from bgp.session.config import Confederation
from bgp.session.connection import Connection
from bgp.session.restart import RUNNING, RestartState
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes
from bgp.wire.given import RouteAttributes

logger = logging.getLogger(__name__)

T = TypeVar("T")
Network = IPv4Network | IPv6Network

# So often within `lag_age`, or in such intervals at the longest, it is looked for who is behind.
_LAG_CHECKS, _LAG_INTERVAL = 10, 15.0

# How long is waited for the first routes of all peers, in seconds.
CONVERGENCE_TIMEOUT = 60.0

# An address may connect so many times at once, and so many times a second after that.
_CONNECTIONS, _CONNECTION_RATE = 20, 1.0

# How long `stop` lets last messages get out, in seconds.
STOP_TIMEOUT = 3.0


class Speaker:
    """Speak BGP on the running event loop; use as `async with Speaker(...) as speaker`.

    `router_id` and `cluster_id` are 32-bit numbers or their dotted form; `cluster_id` is by default the
    router id (RFC 4456 section 7).  In a `confederation` the `asn` is our member AS; only its members see
    that one (RFC 5065).  `listen` takes addresses, `address:port` and `[address]:port`; port 0 lets the
    system choose, see `listening`.  A peer that has not taken for `lag_age` seconds what it is to be told
    loses its session (0: never).  `on_event` is called with what happens to peers.  `decision` is what may be
    chosen about the best path.  `world` is where sockets come from: the kernel, but for simulations.
    `connections` makes the connections: see `bgp.testing.record`, which keeps all that happens on them.
    Peers may be added before the start and at any time later.

    `converged` waits for the first routes of all peers, at most `convergence_timeout` seconds.  `restarted`:
    we were there a moment ago, and peers may have kept our routes since; so they are told that, and no route
    is chosen before `converged`, by family (RFC 4724 section 4.1).  `preserved`: the families whose packets
    were forwarded all the time, so that peers go on using those routes.

    Leaving the `async with` ends all sessions, and so withdraws all that peers were told; that takes
    `stop_timeout` seconds at most.  All methods belong to the loop on which the speaker was started: a call
    from another thread raises RuntimeError.  Each `await` may be canceled.
    """

    def __init__(
        self,
        *,
        asn: int,
        router_id: str | int | IPv4Address,
        cluster_id: str | int | IPv4Address | None = None,
        confederation: Confederation | None = None,
        listen: Iterable[str] = (),
        on_event: Callable[[PeerEvent], None] | None = None,
        client_to_client: bool = True,
        max_paths: int = MAX_PATHS,
        max_attribute_octets: int = MAX_ATTRIBUTE_OCTETS,
        lag_age: float = LAG_AGE,
        decision: DecisionOptions | None = None,
        stop_timeout: float = STOP_TIMEOUT,
        world: World = KERNEL,
        convergence_timeout: float = CONVERGENCE_TIMEOUT,
        restarted: bool = False,
        preserved: Iterable[Family] = (),
        connections: ConnectionMaker = Connection,
    ) -> None:
        arguments.asn("asn", asn)
        identifier = arguments.identifier("router_id", router_id)
        for name, number in (
            ("stop_timeout", stop_timeout),
            ("convergence_timeout", convergence_timeout),
            ("lag_age", lag_age),
            ("max_paths", max_paths),
            ("max_attribute_octets", max_attribute_octets),
        ):
            arguments.least(name, number, 0)
        endpoints = arguments.endpoints("listen", listen)
        if confederation is not None:
            arguments.instance("confederation", confederation, Confederation, "a Confederation")
        if decision is not None:
            arguments.instance("decision", decision, DecisionOptions, "DecisionOptions")
        if on_event is not None:
            arguments.called("on_event", on_event)
        preserved = tuple(preserved)
        for family in preserved:
            arguments.family("preserved", family)
        self.router = Router(
            asn,
            identifier,
            None if cluster_id is None else arguments.dotted("cluster_id", cluster_id),
            confederation=confederation,
            client_to_client=client_to_client,
            max_paths=max_paths,
            max_attribute_octets=max_attribute_octets,
            lag_age=lag_age,
            decision=decision,
        )
        self.router.watch_notices(self._notice)
        self.refusals = Refusals()
        self._pace = Pace(_CONNECTIONS, _CONNECTION_RATE)
        self.lag: LoopLag | None = None
        self._endpoints = endpoints
        self._host = Host(asn, identifier, self.router, Turns(self.router), confederation, world, connections)
        self._events = Events()
        if on_event is not None:
            self._events.call(on_event)
        self.rib = Rib(self.router, self._host.home)
        self._listeners = Listeners(world)
        self._roster = Roster()
        self._watches = Watches(self.router, self._events, lambda: self._roster.peers)
        self._originals = Originals(self._host)
        self._started = False
        self._stop_timeout = stop_timeout
        self._convergence_timeout = convergence_timeout
        self._restarted = restarted
        self.preserved = preserved
        self._converged = Converged(self._host.home)
        self._lag_check: asyncio.TimerHandle | None = None

    # --- start and stop --------------------------------------------------------------------------------
    async def start(self) -> None:
        """Listen and start all peers; raise OSError, naming the address, where one cannot be had."""
        self._host.home.check()
        if self._started:
            return
        self._listeners.open(self._endpoints, self._admit)
        self._started = True
        self._host.home.enter()
        self._host.leaving = False
        # RFC 4724 section 4.1: the F bit "only if the forwarding state has indeed been preserved".
        self._host.restart = RestartState(self._restarted, frozenset(FAMILIES) - frozenset(self.preserved))
        self._converged.begin()
        self.router.converge(
            asyncio.get_running_loop().time(),
            self._convergence_timeout,
            self._reach,
            restarted=self._restarted,
            open_ended=bool(self._roster.ranges),
        )
        self._host.turns.start()
        self._drop_overdue()
        for peer in list(self._roster.peers):
            peer.start()

    async def stop(
        self, communication: str = "", timeout: float | None = None, *, restart: bool = False
    ) -> None:
        """End all sessions with a Cease that carries the text (RFC 9003), and listen no more.

        With the sessions go all routes that peers were told: where both sides know Hard Reset, it is one (RFC
        8538).  Not so for a `restart`: peers that keep our routes meanwhile are left to do so, and those that
        would not after any Cease see their connection closed without one (RFC 4724 section 4).

        Return when all last messages are out and acknowledged, or after `timeout` seconds, by default
        `stop_timeout`; what is not out by then, or when the task is canceled, is cut off.
        """
        self._host.home.check()
        arguments.text("communication", communication)
        arguments.least("timeout", timeout, 0)
        self._started = False
        # Who starts it again in this very process continues from here.
        self._restarted, self.preserved = restart, FAMILIES if restart else ()
        if self._lag_check is not None:
            self._lag_check.cancel()
        self._listeners.close()
        self._host.leaving = True
        for peer in list(self._roster.peers):
            peer.stop(communication, restart=restart)
            self.peer_idle(peer)
        if not restart:
            for name in self.router.kept_names():
                self.router.forget(name)
        self._host.waits.close()
        self._converged.close()
        try:
            await self._host.drained(self._stop_timeout if timeout is None else timeout)
        finally:
            for stream in list(self._host.closing):
                stream.abort()
            self._host.turns.close()
            self._originals.close()
            self.measure_lag(None)
            self._events.close()
            self._watches.close()
            self._host.home.leave()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def listen(self, addresses: Iterable[str]) -> None:
        """Listen on these addresses from now on, and on no others; sessions stay, and so do other addresses.

        Raises ValueError for what is no address, and OSError, naming the address, where one cannot be had:
        then nothing has changed.
        """
        self._host.home.check()
        endpoints = arguments.endpoints("addresses", addresses)
        if self._started:
            self._listeners.change(endpoints, self._admit)
        self._endpoints = endpoints

    def set_limits(
        self,
        *,
        max_paths: int | None = None,
        max_attribute_octets: int | None = None,
        lag_age: float | None = None,
    ) -> None:
        """Bound from now on what all peers together may send, and for how long one may be behind.

        What is held already stays, though it be more.
        """
        self._host.home.check()
        given = {"max_paths": max_paths, "max_attribute_octets": max_attribute_octets, "lag_age": lag_age}
        for name, number in given.items():
            if number is not None:
                arguments.least(name, number, 0)
        self.router.capacity.bound(max_paths, max_attribute_octets)
        if lag_age is not None and lag_age != self.router.lag_age:
            self.router.lag_age = lag_age
            if self._lag_check is not None:
                self._lag_check.cancel()
            if self._started:
                self._drop_overdue()

    def reflect_clients(self, reflect: bool) -> None:
        """Reflect between clients from now on, or no more (RFC 4456 section 5), while sessions stay."""
        self._host.home.check()
        arguments.instance("reflect", reflect, bool, "true or false")
        self.router.reflect_clients(reflect)
        self._host.turns.schedule()

    # --- what may be seen ------------------------------------------------------------------------------
    @property
    def listening(self) -> Sequence[tuple[str, int]]:
        """The addresses and ports that are listened on, the real ports where 0 was asked for."""
        return tuple((listener.endpoint.host, listener.endpoint.port) for listener in self._listeners)

    @property
    def listeners(self) -> Sequence[Listener]:
        """The listening sockets, with their counters."""
        return tuple(self._listeners)

    @property
    def peers(self) -> Sequence[Peer]:
        """All peers, dynamic ones included."""
        return tuple(self._roster.peers)

    @property
    def listen_ranges(self) -> Sequence[ListenRange]:
        """The listen ranges, the most specific ones first."""
        return tuple(self._roster.ranges)

    @property
    def is_converged(self) -> bool:
        """Whether the first routes of all peers are there, or were waited for long enough."""
        return self._converged.reached

    def _reach(self) -> None:
        """Hear that all is there: the restart is over, and what we forward by is what we say."""
        self._host.restart = RUNNING
        self._converged.reach()

    async def converged(self) -> None:
        """Wait until the first routes of all peers are there, at most `convergence_timeout` from the start.

        That is when each peer that was started has sent End-of-RIB of each family, or nothing new for some
        seconds if it does not speak graceful restart; and where listen ranges let peers come that nobody
        knows, when nobody new has come for as long.  Raises RuntimeError if the speaker is stopped before.
        """
        await self._converged.wait()

    @property
    def internal_errors(self) -> int:
        """How many bugs of ours were contained: each ended a session, or a slice of work, and was logged."""
        return self._host.crashes + self._host.turns.failures

    def events(self, limit: int = 1000) -> Watcher:
        """Iterate asynchronously over what happens to peers from now on.

        At most `limit` events wait; if more come, the oldest are lost and a LAGGED event says how many.
        """
        self._host.home.check()
        return self._events.watch(limit)

    def tap(self, address: str | IPv4Address | IPv6Address, callback: Callable[[Tapped], None]) -> Tap:
        """Have `callback` called with each message of the peers with that address, until the tap is closed.

        There need not be one yet: what connects from there later is heard from its first octet.
        """
        self._host.home.check()
        wanted = arguments.address("address", address)
        arguments.called("callback", callback)
        tap = Tap(self._host.taps, callback, of_address(wanted))
        return self._host.taps.add(tap, list(self._roster.peers))

    def watch(
        self,
        *,
        paths: Literal["best", "all"] | Selection | None = "best",
        peers: bool = False,
        family: Family | None = None,
        prefix: str | Network | None = None,
        within: str | Network | None = None,
        peer: Peer | str | None = None,
        community: Community | Iterable[Community] | None = None,
        since: int | None = None,
        limit: int = BACKLOG,
        callback: Callable[[WatchEvent], object] | None = None,
    ) -> Watch:
        """Iterate asynchronously over routes, and with `peers` over what happens to peers.

        First comes Snapshot with all that is there, in slices and perhaps with changes in between, then
        InSync, then what changes.  `paths`: the best one of each prefix, all usable ones, those that a
        selection selects, or none.  Only what fulfills all conditions is told: `prefix` is that one, `within`
        it and what is more specific; `peer` a peer or its name, "" for our own routes; `community` one or
        several, of which a path has to have one.  What no longer does is told as withdrawn.

        `since` is the `sequence` of an event of a watch alike: go on behind it, if what followed is
        remembered, else with Snapshot.  A consumer that is too slow is told the latest state of what changed
        meanwhile, and where that is more than `limit` routes, Lagged and Snapshot.  A `callback` is called
        with the events instead, until the watch is closed.
        """
        self._host.home.check()
        wanted = interest(
            paths=paths, family=family, prefix=prefix, within=within, peer=peer, community=community
        )
        return self._watches.open(wanted, peers=peers, since=since, limit=limit, callback=callback)

    def snapshot(
        self,
        *,
        paths: Literal["best", "all"] | Selection = "best",
        family: Family | None = None,
        prefix: str | Network | None = None,
        within: str | Network | None = None,
        peer: Peer | str | None = None,
        community: Community | Iterable[Community] | None = None,
    ) -> Iterator[RouteEvent]:
        """Iterate over what `watch` would tell of as of now; the tables must not change meanwhile."""
        self._host.home.check()
        wanted = interest(
            paths=paths, family=family, prefix=prefix, within=within, peer=peer, community=community
        )
        return self._watches.snapshot(wanted)

    def best(self, family: Family) -> dict[str, Path]:
        """Return the best path for each prefix of `family`, as of now."""
        self._host.home.check()
        arguments.family("family", family)
        return {nlri.text(family, prefix): path for prefix, path in self.router.rib.best(family)}

    def multipath(self, prefix: str | Network) -> tuple[Hop, ...]:
        """Return the paths that traffic to `prefix` may share, with weights, the best one first."""
        self._host.home.check()
        return self.router.rib.multipath(*arguments.prefix("prefix", prefix))

    def received(self, peer: Peer, family: Family) -> list[tuple[str, Path]]:
        """Return what `peer` told us, refused paths included, and what is kept of it while it restarts."""
        self._host.home.check()
        _check_peer(peer)
        arguments.family("family", family)
        if peer.member is None:
            paths = self.router.received_before(peer.name, family)
        else:
            paths = self.router.rib.received(peer.member, family)
        return [(nlri.text(family, prefix), path) for prefix, path in paths]

    def advertised(self, peer: Peer, family: Family) -> list[tuple[str, Attributes]]:
        """Return what we told `peer`, as it went out."""
        self._host.home.check()
        _check_peer(peer)
        arguments.family("family", family)
        if peer.member is None:
            return []
        told = self.router.rib.advertised(peer.member, family)
        return [(nlri.text(family, route.prefix), route.attributes) for route in told]

    async def walk(self, walk: Walk[T]) -> AsyncIterator[T]:
        """Yield what a walk of the router finds, and let the loop turn between its steps.

        That is for large tables: `walk` may be `speaker.router.rib.walk_best(family)`, for example.
        """
        arguments.instance("walk", walk, Walk, "a walk of the router, such as router.rib.walk_best(family)")
        async for found in slices(walk, self._host.home):
            yield found

    def explain(self, prefix: str | Network) -> Explanation:
        """Say of each path of `prefix` why it is best, lost or was refused; `str` gives it in words."""
        self._host.home.check()
        return self.router.rib.explain(*arguments.prefix("prefix", prefix))

    def explain_to(self, peer: Peer, prefix: str | Network) -> Account:
        """Say of each path of `prefix` how `peer` is told of it, or why it is not; see `Peer.explain`."""
        self._host.home.check()
        _check_peer(peer)
        return peer.explain(prefix)

    def measure_lag(self, interval: float | None = 0.05) -> LoopLag | None:
        """Measure from now on how late the loop is, or no more with None; the figures are in `lag`."""
        self._host.home.check()
        if interval is not None:
            arguments.above_zero("interval", interval)
        if self.lag is not None:
            self.lag.stop()
        self.lag = None if interval is None else LoopLag(interval)
        return self.lag

    # --- next hops -------------------------------------------------------------------------------------
    def next_hop(self, address: str | IPv4Address | IPv6Address, cost: int | None) -> None:
        """Learn the interior cost to a next hop, None where it is not reachable; raise ValueError for none.

        A link-local address stands with its interface: `fe80::1%eth0`.  Without a word about it a next hop
        is reachable at cost 0.  What is decided otherwise now is told soon.
        """
        self._host.home.check()
        bare, _, interface = str(address).partition("%")
        try:
            key = scoped(ip_address(bare).packed, interface)
        except ValueError:
            raise ValueError(
                f"address: write one such as 192.0.2.1 or fe80::1%eth0, not {address!r}"
            ) from None
        if cost is not None:
            arguments.least("cost", cost, 0)
        self.next_hops({key: cost})

    def next_hops(self, costs: Mapping[bytes, int | None]) -> None:
        """Learn many of them at once, by their octets: `bgp.rib.nexthop.scoped` makes keys of addresses."""
        self._host.home.check()
        arguments.instance("costs", costs, Mapping, "a mapping from next hops to costs")
        for address, cost in costs.items():
            arguments.instance("costs", address, bytes, "by the octets of next hops")
            arguments.least("costs", cost, 0)
        self.router.next_hops.learn(costs)
        self._host.turns.schedule()

    def resolve_next_hops(self, resolver: Resolver | None) -> None:
        """Ask `resolver` for each next hop that comes up, before routes by it are decided; None asks nobody.

        With nobody to ask, all next hops are reachable at cost 0.
        """
        self._host.home.check()
        arguments.has("resolver", resolver, "resolve", "why", "forget")
        self.router.next_hops.resolve(resolver)
        self._host.turns.schedule()

    # --- the forwarding plane ----------------------------------------------------------------------------
    @property
    def forwarding(self) -> Forwarding | None:
        """Whoever programs the forwarding plane by this speaker, such as `fib.KernelFib`."""
        return self._host.forwarding

    @forwarding.setter
    def forwarding(self, forwarding: Forwarding | None) -> None:
        self._host.home.check()
        arguments.has("forwarding", forwarding, "installed")
        self._host.forwarding = forwarding

    def installed(self, family: Family, prefixes: Mapping[bytes, bool]) -> None:
        """Hear which prefixes are installed in the forwarding plane, or are not any more.

        Peers with `installed_only` are told by that.
        """
        self._host.home.check()
        arguments.family("family", family)
        if not isinstance(prefixes, Mapping) or not all(isinstance(prefix, bytes) for prefix in prefixes):
            raise ValueError("prefixes: must be a mapping by octets, such as bgp.wire.prefix.parse gives")
        for prefix, there in prefixes.items():
            self.router.installed(family, prefix, there)
        self._host.turns.schedule()

    # --- peers -----------------------------------------------------------------------------------------
    def add_peer(self, options: PeerOptions) -> Peer:
        """Add a peer, and start it if we are started; raise ValueError where the options cannot be."""
        self._host.home.check()
        _check_options(options)
        if not options.address and not options.interface:
            raise ValueError("address: must not be empty")
        peer = self._new_peer(options)
        if self._listeners.asks or options.secret is not None or options.minimum_ttl is not None:
            try:
                self._demand()
            except BaseException:
                self._roster.remove(peer)
                raise
        self._serve(None, options)
        self._events.emit(PeerEvent(EventKind.ADDED, peer))
        if self._started:
            peer.start()
        return peer

    def change_peer(self, peer: Peer, options: PeerOptions) -> Effect:
        """Let `peer` go on with other options; raise ValueError, with nothing changed, where they cannot be.

        Return what that took: policies, limits, next hops and what is told on conditions change at once,
        timers of the connection with the next one, and only what is negotiated or built into the socket
        costs the session.  `dataclasses.replace(peer.options, ...)` makes options that differ in little.
        """
        self._host.home.check()
        _check_peer(peer)
        _check_options(options)
        if peer not in self._roster:
            raise ValueError(f"peer {peer.name} was removed")
        if peer.dynamic:
            raise ValueError(f"peer {peer.name} has the options of its listen range")
        before, host = peer.options, self._host
        what = effect(before, options)
        options.session(host.asn, host.identifier, host.confederation)  # what it refuses is refused now
        caller, peer.options = peer.caller, options
        try:
            if peer.caller != caller:
                self._demand()
        finally:
            peer.options = before
        self._serve(before, options)
        peer.change(options, what)
        return what

    async def remove_peer(self, peer: Peer, communication: str = "") -> None:
        """End the peer's session for good, with the text if there is one (RFC 9003), and forget it."""
        self._host.home.check()
        _check_peer(peer)
        arguments.text("communication", communication)
        self._remove(peer, communication)
        await self._host.drained(self._stop_timeout)

    def add_listen_range(
        self, prefix: str | Network, options: PeerOptions, *, limit: int = 1000
    ) -> ListenRange:
        """Let whoever connects from within `prefix` be a peer with these options, `limit` at most."""
        self._host.home.check()
        _check_options(options)
        for name in ("address", "interface"):
            if getattr(options, name):
                raise ValueError(f"{name}: must be empty for a listen range")
        arguments.whole("limit", limit, 1)
        network = nlri.network(*arguments.prefix("prefix", prefix))
        host = self._host
        options.session(host.asn, host.identifier, host.confederation)  # what it refuses is refused now
        added = ListenRange(network, replace(options, passive=True), limit)
        self._roster.add_range(added)
        try:
            self._demand()
        except BaseException:
            self._roster.ranges.remove(added)
            raise
        self._serve(None, options)
        added.warn()
        return added

    def change_listen_range(
        self, listen_range: ListenRange, options: PeerOptions, *, limit: int | None = None
    ) -> Effect:
        """Let all who come from the range, and those who are there, go on with other options.

        Raises ValueError or OSError, with nothing changed, where they cannot be.  Return the most that it
        took for a session, as `change_peer` does.  Where the `limit` is lower, nobody who is there has to go.
        """
        self._host.home.check()
        arguments.instance("listen_range", listen_range, ListenRange, "a ListenRange")
        _check_options(options)
        if listen_range not in self._roster.ranges:
            raise ValueError(f"{listen_range.prefix} is no listen range any more")
        if limit is not None:
            arguments.whole("limit", limit, 1)
        host, before = self._host, listen_range.options
        options = replace(options, passive=True)
        what = effect(before, options)
        options.session(host.asn, host.identifier, host.confederation)  # what it refuses is refused now
        listen_range.options = options
        if (before.secret, before.minimum_ttl) != (options.secret, options.minimum_ttl):
            try:
                self._demand()
            except BaseException:
                listen_range.options = before
                raise
        listen_range.limit = listen_range.limit if limit is None else limit
        self._serve(before, options)
        if options.blocked != before.blocked:
            listen_range.warn()
        for peer in list(listen_range.peers):
            theirs = replace(options, address=peer.options.address, name=peer.options.name)
            if what is Effect.RESET:
                # Whoever comes back is taken in with the new options.
                peer.stop("", CeaseSubcode.OTHER_CONFIGURATION_CHANGE)
                self.peer_idle(peer)
            elif what is not Effect.NONE:
                peer.change(theirs, what)
        return what

    async def remove_listen_range(self, listen_range: ListenRange, communication: str = "") -> None:
        """Take nobody more from the range, and end the sessions of those who came from it."""
        self._host.home.check()
        arguments.instance("listen_range", listen_range, ListenRange, "a ListenRange")
        arguments.text("communication", communication)
        if listen_range in self._roster.ranges:
            self._roster.ranges.remove(listen_range)
            self._serve(listen_range.options, None)
            self._demand()
        for peer in list(listen_range.peers):
            self._remove(peer, communication)
        for name in self.router.kept_names():
            # Who came from there and is away.
            with contextlib.suppress(ValueError):
                if (
                    self._roster.named(name) is None
                    and ip_address(name.partition("%")[0]) in listen_range.prefix
                ):
                    self.router.forget(name)
        self._host.turns.schedule()
        await self._host.drained(self._stop_timeout)

    def set_password(self, who: Peer | ListenRange, password: str | bytes | None) -> None:
        """Have another TCP-MD5 key for a peer or a listen range, or none; other peers notice nothing.

        The session stays if the other side does the same within the hold time.  Raises OSError or ValueError,
        with nothing changed.
        """
        self._host.home.check()
        arguments.instance("who", who, (Peer, ListenRange), "a Peer or a ListenRange")
        before = who.options
        who.options = replace(before, password=password)
        try:
            self._demand()
        except BaseException:
            who.options = before
            raise
        for peer in list(who.peers) if isinstance(who, ListenRange) else [who]:
            peer.set_password(password)

    # --- routes of our own -----------------------------------------------------------------------------
    def announce(
        self,
        prefix: Destination | Announcement,
        *,
        condition: Condition | None = None,
        **attributes: Unpack[RouteAttributes],
    ) -> Announcement:
        """Originate a route, in place of an earlier one for `prefix`; raise ValueError for a bad value.

        An `Announcement(prefix, check=..., rise=3, fall=3)` is announced while its check passes.  Otherwise
        the prefix is text or an object of `ipaddress`; `RouteAttributes` has the attributes, all of which may
        be left out.  Without a `next_hop` each peer is told our own address.  With a `condition`
        (`bgp.policy.condition`) the route is there only while that holds; what it looks for must not depend
        on a condition itself.
        """
        self._host.home.check()
        if not isinstance(prefix, Announcement):
            return self._originals.announce(prefix, condition, attributes)
        if attributes or condition is not None:
            raise ValueError(f"{next(iter(attributes), 'condition')}: give it to the Announcement")
        self._originals.adopt(prefix)
        return prefix

    def blackhole(self, prefix: Destination, **attributes: Unpack[RouteAttributes]) -> Announcement:
        """Originate a route that asks to discard the traffic to `prefix` (RFC 7999).

        It has the community BLACKHOLE besides those given.  Unless it is given, the next hop is the discard
        address, 192.0.2.1 or 100::1 (RFC 6666), which the routers of our AS must have a discard route for
        (RFC 5635 section 4); external peers are told our own address instead, as ever.
        """
        self._host.home.check()
        return self._originals.announce(prefix, None, blackhole(prefix, attributes))

    def withdraw(self, prefix: Destination) -> None:
        """Take back the route of our own for `prefix`; raise KeyError if there is none."""
        self._host.home.check()
        self._originals.withdraw_prefix(prefix)

    def transaction(self) -> Transaction:
        """Return what makes many changes of our routes one: `async with speaker.transaction():`."""
        return Transaction(self._host.home, self._originals)

    def aggregate(
        self,
        prefix: str | Network,
        *,
        summary_only: bool = False,
        origin_as: int | None = None,
        matching_med: bool = False,
        communities: bool = False,
        policy: Policy | None = None,
    ) -> None:
        """Originate `prefix` for as long as there are more specific routes, as `Aggregate` says."""
        self._host.home.check()
        self._originals.refuse_within("an aggregate")
        family, octets = arguments.prefix("prefix", prefix)
        if origin_as is not None:
            arguments.asn("origin_as", origin_as)
        arguments.policy("policy", policy)
        aggregate = Aggregate(
            summary_only=summary_only,
            origin_as=origin_as,
            matching_med=matching_med,
            communities=communities,
            policy=policy,
        )
        self.router.aggregate(family, octets, aggregate)
        self._host.turns.schedule()

    def remove_aggregate(self, prefix: str | Network) -> None:
        """Aggregate `prefix` no more; raise KeyError if it was not aggregated."""
        self._host.home.check()
        self._originals.refuse_within("an aggregate")
        self.router.aggregate(*arguments.prefix("prefix", prefix), None)
        self._host.turns.schedule()

    # --- what peers tell (Overseer) ----------------------------------------------------------------------
    def peer_established(self, peer: Peer) -> None:
        """Look for another peer that says it is the same router."""
        self._roster.established(peer)

    def peer_idle(self, peer: Peer) -> None:
        """Forget a dynamic peer whose last connection is gone."""
        if peer.dynamic:
            self._remove(peer, keep=True)

    def _notice(self, member: Member, notice: Notice) -> None:
        peer = self._roster.named(member.name)
        if peer is not None:
            peer.notice(member, notice)

    def _drop_overdue(self) -> None:
        """End sessions whose peers are too far behind for too long, now and from time to time."""
        age = self.router.lag_age
        if not age:
            return
        loop = asyncio.get_running_loop()
        self._lag_check = loop.call_later(min(age / _LAG_CHECKS, _LAG_INTERVAL), self._drop_overdue)
        for member, fault in self.router.overdue(loop.time()):
            peer = self._roster.named(member.name)
            if peer is not None:
                peer.refuse(member, fault)

    # --- connections that come in ------------------------------------------------------------------------
    def _admit(self, sock: socket, local: Endpoint, remote: Endpoint) -> bool:
        """Give a connection to the peer that it is from; False if it is nobody's, or one too many."""
        now = asyncio.get_running_loop().time()
        peer = self._roster.find(local, remote)
        reason = ""
        listen_range = None if peer is not None else self._roster.range_of(remote)
        if peer is None and listen_range is None:
            reason = "unknown address"
        elif listen_range is not None and listen_range.options.blocked:
            reason = f"listen range {listen_range.prefix} is kept down: {listen_range.options.blocked}"
        elif self._pace.wait((remote.address, remote.scope), now):
            peer, reason = None, "it connects too often"
        elif listen_range is not None:
            peer, reason = self._dynamic(remote, listen_range)
        if peer is not None and not peer.is_running:
            reason = f"peer {peer.name} is shut down"
        elif peer is not None and peer.options.blocked:
            reason = f"peer {peer.name} is {peer.last_error}"
        elif peer is not None:
            try:
                peer.accept(sock)
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                return True
        silent = self.refusals.add(remote.host, now)
        if silent is not None:
            more = f" ({silent} more since the last message)" if silent else ""
            logger.warning("connection from %s to %s closed: %s%s", remote.host, local, reason, more)
        return False

    def _dynamic(self, remote: Endpoint, listen_range: ListenRange) -> tuple[Peer | None, str]:
        """Return a new peer for `remote` if its listen range has room for it, or the reason why not."""
        if len(listen_range.peers) >= listen_range.limit:
            if not listen_range.opening:
                return None, f"listen range {listen_range.prefix} has its {listen_range.limit} peers"
            # A flood of connections that say nothing must not keep those out who speak.
            oldest = next(iter(listen_range.opening))
            oldest.drop()
            self._remove(oldest)
        peer = self._new_peer(replace(listen_range.options, address=remote.host, name=""), listen_range)
        listen_range.opening[peer] = None
        self._events.emit(PeerEvent(EventKind.ADDED, peer))
        peer.start()
        return peer, ""

    # --- internals -------------------------------------------------------------------------------------
    def _new_peer(self, options: PeerOptions, listen_range: ListenRange | None = None) -> Peer:
        peer = Peer(self._host, self._events, self, options, dynamic=listen_range is not None)
        self._roster.add(peer, listen_range)
        return peer

    def _remove(self, peer: Peer, communication: str = "", *, keep: bool = False) -> None:
        if peer not in self._roster:
            return
        self._roster.remove(peer)
        if not peer.dynamic:
            self._serve(peer.options, None)
        peer.remove(communication, keep=keep)
        if not peer.dynamic and self._listeners.asks:
            self._demand()

    def _serve(self, before: PeerOptions | None, after: PeerOptions | None) -> None:
        """Be a reflector of the clusters that are configured, also while nobody of them has a session."""
        left, joined = (None if each is None else each.cluster for each in (before, after))
        if joined is not None:
            self.router.clusters.serve(joined)
        if left is not None:
            self.router.clusters.leave(left)
        if joined != left:
            self._host.turns.schedule()

    def _demand(self) -> None:
        """Let listeners ask what peers and ranges need; raise OSError, ValueError with nothing changed."""
        self._listeners.ask(demand(self._roster.callers()))


def _check_peer(peer: object) -> None:
    arguments.instance("peer", peer, Peer, "a Peer of this speaker")


def _check_options(options: object) -> None:
    arguments.instance("options", options, PeerOptions, "PeerOptions")
