"""`Fib`: keeps a routing table equal to what it is told, whoever tells it.

What is wanted goes into a ledger at once, and a task writes what differs, in batches, one packed while the
kernel is busy with the other.  A prefix that changes again before it is written is written once.  The
caretaker beside it (`fib.caretaker`) listens to what others do and repairs.
"""

import asyncio
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from errno import EEXIST
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from bgp.family import FAMILIES, Family
from bgp.wire.prefix import parse
from fib.backend import LOST, Backend, BackendError, Event, Failure, Owner
from fib.caretaker import Caretaker
from fib.filters import Filter, Filters
from fib.kernel import KernelBackend, Namespace
from fib.ledger import Guard, Ledger
from fib.notice import Explanation, Notice, Problem, Progress, Repaired, RouteError, State, Withheld, Written
from fib.plan import Change
from fib.route import Route, clamped

Prefix: TypeAlias = str | IPv4Network | IPv6Network
# The keys of a mapping, for those of one type only are not those of a mapping with either.
PrefixKey = TypeVar("PrefixKey", bound=Prefix)

Flights: TypeAlias = deque[tuple[Ledger, list[Change], asyncio.Task[Mapping[int, Failure]]]]

log = logging.getLogger("fib")

BATCH = 1024
# Batches that are packed or written at a time: so many that the kernel never waits for the next one.
FLIGHTS = 3
# So many changes may wait to be written before who brings more is asked to wait.
PENDING = 32768
_SLICE = 0.004  # seconds that one turn of the loop may last
_ROUTES = 65536

# Numbers that other programs take for their own routes (linux/rtnetlink.h, /etc/iproute2/rt_protos).
OTHERS = {
    11: "zebra",
    12: "BIRD",
    80: "Calico's Felix",
    **dict.fromkeys(range(186, 193), "FRR's daemons, and zebra counts them as its own"),
}


class Fib:
    """The routes of one protocol in one table; `async with` opens and closes it.

    `table`, `protocol` and `metric` say which routes are its own: those are replaced and deleted, no others.
    With `metric` None each route brings its own.  `netns` is a namespace by name, path or inherited
    descriptor. `paths` is the most legs that a route may have.  `allow` lists what may be installed,
    `never` what is not touched whatever is wanted.  `guard` is the share of the routes that may be deleted
    within ten seconds, if they are not withdrawn explicitly.  What an earlier life left and nobody wants
    goes when `converged` is called or `sweep_after` seconds have passed.  `flush` deletes all routes at the
    end; otherwise they stay.  `audit` is the number of seconds between two readings of the whole table.
    """

    def __init__(
        self,
        *,
        table: int = 254,
        protocol: int = 179,
        metric: int | None = 179,
        netns: Namespace | None = None,
        paths: int = 64,
        allow: Filter | None = None,
        never: Filter = (),
        guard: float | None = None,
        sweep_after: float = 60.0,
        flush: bool = False,
        audit: float = 300.0,
        backend: Backend | None = None,
    ) -> None:
        if not 1 <= protocol <= 255 or not 1 <= table <= 0xFFFFFFFF or paths < 1:
            raise ValueError(f"protocol {protocol}, table {table} or paths {paths} is out of range")
        if metric is not None and clamped(metric) != metric:
            raise ValueError(f"metric {metric} is not 1 to 2147483646")
        if protocol in OTHERS:
            warnings.warn(f"protocol {protocol} belongs to {OTHERS[protocol]}", stacklevel=2)
        self.owner = Owner(protocol, table, metric)
        self.backend: Backend = backend if backend is not None else KernelBackend(self.owner, netns)
        if backend is not None:
            backend.owner = self.owner
        self.ledgers = {family: Ledger(family, Guard(guard)) for family in FAMILIES}
        self._paths = paths
        self._filters = Filters(allow, never)
        self._flush = flush
        self._normal: dict[Route, Route] = {}
        self._listeners: list[Callable[[Notice], None]] = []
        self._event_listeners: list[Callable[[Event], None]] = []
        self._wake = asyncio.Event()
        self._less = asyncio.Event()
        self._waiting: dict[tuple[Family, bytes], list[asyncio.Future[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._caretaker = Caretaker(self, sweep_after, audit)
        self._withheld = dict.fromkeys(FAMILIES, 0)
        self._open = False
        self._launched = self._landed = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the table and adopt what is ours in it; raise BackendError where that is not possible."""
        await self.backend.open(self._event)
        self._open = True
        try:
            await self._caretaker.adopt()
        except BaseException:
            await self.backend.close()
            raise
        self._tasks = [
            asyncio.create_task(self._write(), name="fib writer"),
            asyncio.create_task(self._caretaker.run(), name="fib caretaker"),
        ]

    async def close(self) -> None:
        """Write what waits, delete all routes if that was asked for, and end."""
        if not self._open:
            return
        if self._flush and self._tasks:
            await self._delete_all()
        if self._tasks:
            await asyncio.wait(
                [asyncio.ensure_future(self.settled()), self._tasks[0]],
                timeout=10,
                return_when="FIRST_COMPLETED",
            )
        self._open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Nobody waits for what will not be written any more.
        self._less.set()
        for waiting in self._waiting.values():
            for done in waiting:
                done.cancel()
        await self.backend.close()

    # --- what is wanted ---

    async def set(self, prefix: Prefix, route: Route | None) -> None:
        """Have `route` (None: nothing) for `prefix`; return when the kernel has it.

        Raises RouteError where the kernel refuses it: it stays wanted, and is tried again.
        """
        family, key = parse(prefix)
        self.want(family, key, route, explicit=True)
        await self.written(family, key)
        held = self.ledgers[family].held.get(key)
        if held is not None:
            raise RouteError(Problem(family, key, route, held[1]))

    async def apply(
        self, changes: Mapping[PrefixKey, Route | None] | Iterable[tuple[Prefix, Route | None]]
    ) -> list[Problem]:
        """Have each route of `changes` for its prefix; return when all are written, with those refused."""
        rows: Iterable[tuple[Prefix, Route | None]]
        rows = changes.items() if isinstance(changes, Mapping) else changes
        mine: list[tuple[Family, bytes]] = []
        clock = asyncio.get_running_loop().time
        end = clock() + _SLICE
        for number, (prefix, route) in enumerate(rows):
            family, key = parse(prefix)
            self.want(family, key, route)
            mine.append((family, key))
            if not number & 63 and clock() > end:
                await self.room()
                await asyncio.sleep(0)
                end = clock() + _SLICE
        await self.settled()
        return [
            Problem(family, key, self.ledgers[family].wanted.get(key), held[1])
            for family, key in mine
            if self.ledgers[family].held and (held := self.ledgers[family].held.get(key)) is not None
        ]

    def want(self, family: Family, prefix: bytes, route: Route | None, explicit: bool = False) -> None:
        """Have `route` (None: nothing) for `prefix`, soon.  Who brings many awaits `room` now and then.

        A deletion that is `explicit` is not counted by the guard.
        """
        if route is not None:
            try:
                route = self._normal[route]
            except KeyError:
                route = self._normalize(route)
            if self._filters.any and self._filters.exclude(family, prefix):
                route = None
        self.ledgers[family].want(prefix, route, explicit)
        self._wake.set()

    async def room(self) -> None:
        """Wait until not too many changes wait to be written."""
        while self._open and self.pending >= PENDING:
            self._less.clear()
            await self._less.wait()

    async def settled(self) -> None:
        """Wait until nothing is left to be written: every prefix is right, refused or withheld."""
        while self._open and self.pending:
            self._less.clear()
            self._wake.set()
            await self._less.wait()

    async def written(self, family: Family, prefix: bytes) -> bool:
        """Wait until `prefix` is written or refused; return whether what is wanted is installed."""
        ledger = self.ledgers[family]
        while self._open and (prefix in ledger.dirty or prefix in ledger.flying):
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault((family, prefix), []).append(done)
            await done
        return self.installed(family, prefix)

    def installed(self, family: Family, prefix: bytes) -> bool:
        """Whether what is wanted for `prefix` is in the kernel."""
        ledger = self.ledgers[family]
        unsettled = prefix in ledger.dirty or prefix in ledger.flying or prefix in ledger.held
        return prefix in ledger.wanted and not unsettled

    def converged(self) -> None:
        """Everybody was heard: what an earlier life left and nobody wants may go."""
        self._caretaker.sweep()

    def release(self) -> int:
        """Let the deletions pass that the guard withholds; return how many they are."""
        count = sum(ledger.release() for ledger in self.ledgers.values())
        self._withheld = dict.fromkeys(FAMILIES, 0)
        self._wake.set()
        return count

    def _normalize(self, route: Route) -> Route:
        """Return `route` with its metric and no more legs than allowed, one object for all that are alike."""
        metric = self.owner.metric
        if metric is not None and route.metric not in (None, metric):
            raise ValueError(
                f"metric {route.metric}: this table's routes have {metric} (metric=None lets it vary)"
            )
        if metric is None and route.metric is None:
            raise ValueError(f"{route}: a metric is needed where the table has none")
        chosen = metric if metric is not None else clamped(route.metric or 0)
        made = replace(route, metric=chosen, next_hops=route.next_hops[: self._paths])
        if len(self._normal) >= _ROUTES:
            self._normal.clear()
        return self._normal.setdefault(route, self._normal.setdefault(made, made))

    async def _delete_all(self) -> None:
        for family, ledger in self.ledgers.items():
            while any(ledger.wanted.parts):
                for part in ledger.wanted.parts:
                    for prefix in list(part)[:BATCH]:
                        self.want(family, prefix, None, explicit=True)
                    await self.room()
                    await asyncio.sleep(0)
            while ledger.sweep(BATCH, explicit=True):
                self._wake.set()
                await self.room()
        self.release()

    # --- what is known ---

    @property
    def pending(self) -> int:
        """How many changes wait to be written, or for the kernel's answer."""
        return sum(ledger.unsettled for ledger in self.ledgers.values())

    def progress(self, family: Family) -> Progress:
        """Return how many routes of `family` are where, and what was done."""
        ledger = self.ledgers[family]
        totals = ledger.totals
        return Progress(
            wanted=len(ledger.wanted),
            pending=ledger.unsettled,
            refused=len(ledger.held),
            withheld=len(ledger.withheld),
            stale=len(ledger.stale),
            added=totals.added,
            replaced=totals.replaced,
            deleted=totals.deleted,
            failed=totals.refused,
            repaired=totals.repaired,
            adopted=totals.adopted,
            swept=totals.swept,
            conflicts=len(self._caretaker.conflicts[family]),
        )

    def explain(self, prefix: Prefix) -> Explanation:
        """Return whether `prefix` is installed, what the kernel has of ours, and why not what is wanted."""
        family, key = parse(prefix)
        ledger = self.ledgers[family]
        wanted, installed = ledger.wanted.get(key), ledger.believed(key)
        failure: Failure | None = None
        if key in ledger.dirty or key in ledger.flying:
            state = State.PENDING
        elif key in ledger.held:
            failure = ledger.held[key][1]
            state = State.CONFLICT if failure.code == EEXIST else State.REFUSED
        elif key in ledger.withheld:
            state = State.WITHHELD
        elif wanted is not None:
            state = State.INSTALLED
        elif installed is not None:
            state = State.STALE
        else:
            state = State.FILTERED if self._filters.exclude(family, key) else State.ABSENT
        conflict = self._caretaker.conflicts[family].get(key)
        return Explanation(family, key, state, wanted, installed, failure, conflict)

    def watch(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Have `listener` hear all news from now on; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def watch_events(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Have `listener` hear what others do to routes, interfaces and addresses; return what ends that."""
        self._event_listeners.append(listener)
        return lambda: self._event_listeners.remove(listener)

    def tell(self, notice: Notice) -> None:
        """Let all listeners hear `notice`."""
        for listener in tuple(self._listeners):
            listener(notice)

    async def answered(self) -> None:
        """Wait until the kernel has answered to all that it was given until now."""
        goal = self._launched
        while self._open and self._landed < goal:
            await asyncio.sleep(0.001)

    def wake(self) -> None:
        """Look for what is to be written."""
        self._wake.set()

    def _event(self, event: Event) -> None:
        self._caretaker.event(event)
        for listener in tuple(self._event_listeners):
            listener(event)

    # --- the writer ---

    async def _write(self) -> None:
        """Write what differs, for ever: one batch is packed while the kernel is busy with the one before."""
        flights: Flights = deque()
        try:
            while True:
                await self._write_some(flights)
        finally:
            if flights:
                # What the kernel is busy with is not abandoned.
                await asyncio.wait([task for _, _, task in flights])

    async def _write_some(self, flights: Flights) -> None:
        """Take what there is to write, or else wait for an answer, or else for something to do."""
        now = asyncio.get_running_loop().time()
        taken = False
        for ledger in self.ledgers.values():
            changes = ledger.take(BATCH, now)
            if len(ledger.withheld) != self._withheld[ledger.family]:
                self._report_withheld(ledger)
            if not changes:
                continue
            taken = True
            self._launched += 1
            flights.append((ledger, changes, asyncio.create_task(self._apply(ledger.family, changes))))
            if len(flights) >= FLIGHTS:
                await self._land(*flights.popleft())
        if taken:
            return
        if flights:
            await self._land(*flights.popleft())
            return
        if self._waiting:
            # What was found to be right already, was not written.
            self._release_waiting()
        self._less.set()
        self._wake.clear()
        if not self.pending:
            await self._wake.wait()
        await asyncio.sleep(0)

    async def _apply(self, family: Family, changes: Sequence[Change]) -> Mapping[int, Failure]:
        try:
            return await self.backend.apply(family, changes)
        except (BackendError, OSError) as error:
            log.error("%s routes cannot be written: %s", family, error)
            return dict.fromkeys(range(len(changes)), LOST)

    async def _land(
        self, ledger: Ledger, changes: list[Change], task: asyncio.Task[Mapping[int, Failure]]
    ) -> None:
        failures = await task
        self._landed += 1
        repaired = ledger.totals.repaired
        example = next(iter(ledger.repairing), b"") if ledger.repairing else b""
        ledger.done(changes, failures)
        if ledger.totals.repaired > repaired:
            self._caretaker.repaired(Repaired(ledger.family, ledger.totals.repaired - repaired, example))
        if failures:
            self._caretaker.failed(ledger, changes, failures)
        if self._listeners:
            self.tell(Written(ledger.family, changes, failures))
        if self.pending < PENDING:
            self._less.set()
        if self._waiting:
            self._release_waiting()

    def _release_waiting(self) -> None:
        for (family, prefix), waiting in list(self._waiting.items()):
            ledger = self.ledgers[family]
            if prefix not in ledger.dirty and prefix not in ledger.flying:
                del self._waiting[family, prefix]
                for done in waiting:
                    if not done.done():
                        done.set_result(None)

    def _report_withheld(self, ledger: Ledger) -> None:
        before, count = self._withheld[ledger.family], len(ledger.withheld)
        self._withheld[ledger.family] = count
        if count > before:
            notice = Withheld(ledger.family, count)
            if not before:
                log.warning("%s", notice)
            self.tell(notice)
