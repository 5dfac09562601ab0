"""Who looks after a table: adopts what is left, hears what others do, audits, tries again, sweeps.

Events say what happened to single routes.  What they do not say, the kernel is asked: after an interface
went down or away (IPv4 routes vanish without a word, multipath ones whole), after events or answers were
lost, where the kernel says that something stands in our place, and now and then for ever.  One reading of
the whole table against the ledger serves all of these.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from errno import EEXIST
from typing import TYPE_CHECKING

from bgp.family import FAMILIES, Family
from fib.backend import (
    LOST,
    AddressChanged,
    BackendError,
    Event,
    Failure,
    LinkChanged,
    Overflow,
    RouteChanged,
)
from fib.ledger import Audit, Ledger
from fib.notice import Conflict, Problem, Repaired
from fib.plan import Change
from fib.route import Entry

if TYPE_CHECKING:
    from fib.programmer import Fib

log = logging.getLogger("fib")

_PORTION = 256
_GATHER = 0.03  # seconds in which what belongs together is gathered
_TRIES = 20000  # refused routes that are tried again within a second
_QUIET = 10.0  # seconds between two lines of the log about the same thing


class Caretaker:
    """Keeps the ledgers of `fib` true."""

    def __init__(self, fib: "Fib", sweep_after: float, audit: float) -> None:
        self._fib = fib
        self._sweep_after = sweep_after
        self._audit_every = audit
        self._attention = asyncio.Event()
        self._audits: set[Family] = set()
        self._retry = False
        self._sweeping = False
        self._swept = False
        self._links: dict[int, bool] = {}
        self._relink = False
        self.audits = 0
        self._said: dict[str, float] = {}
        # Whose routes stand in our way, where that is known.
        self.conflicts: dict[Family, dict[bytes, Entry]] = {family: {} for family in FAMILIES}
        self._repairs: dict[Family, Repaired] = {}

    # --- what happens ---

    async def adopt(self) -> None:
        """Take over what an earlier life has left in the table."""
        for link in await self._fib.backend.links():
            self._links[link.index] = link.up
        for family, ledger in self._fib.ledgers.items():
            async for rows in self._fib.backend.own(family):
                for prefix, route in rows:
                    ledger.adopt(prefix, route)
                await asyncio.sleep(0)

    def sweep(self) -> None:
        """Let go what an earlier life left and nobody wants."""
        self._sweeping = True
        self._attention.set()

    def audit(self, family: Family) -> None:
        """Read the whole table soon."""
        self._audits.add(family)
        self._attention.set()

    def event(self, event: Event) -> None:
        """Note what somebody else did."""
        if isinstance(event, RouteChanged):
            self._route(event)
        elif isinstance(event, LinkChanged):
            link = event.link
            was = self._links.get(link.index)
            if event.gone:
                self._links.pop(link.index, None)
            else:
                self._links[link.index] = link.up
            if event.gone or (was is not None and was != link.up):
                # Routes may be gone, those of IPv4 without an event.
                self._audits.update(FAMILIES)
                self._attention.set()
            if not event.gone and was is not link.up:
                self._again()
        elif isinstance(event, AddressChanged):
            self._again()
        elif isinstance(event, Overflow):
            self._relink = True
            self._audits.update(FAMILIES)
            self._attention.set()

    def _route(self, event: RouteChanged) -> None:
        entry = event.entry
        owner = self._fib.owner
        if entry.table != owner.table:
            self._again()
            return
        ledger = self._fib.ledgers[entry.family]
        metric = entry.route.metric
        prefix = entry.prefix
        if entry.protocol == owner.protocol and owner.metric in (None, metric):
            believed = ledger.believed(prefix)
            if believed is not None and believed.metric != metric:
                goal = ledger.wanted.get(prefix)
                if not event.gone and (goal is None or goal.metric != metric):
                    ledger.stray(prefix, entry.route)
                    self._fib.wake()
                return
            if ledger.told(prefix, None if event.gone else entry.route):
                self._fib.wake()
            return
        goal = ledger.wanted.get(prefix)
        if goal is None or goal.metric != metric:
            self._again()
        elif event.gone:
            self.conflicts[entry.family].pop(prefix, None)
            ledger.again(prefix)
            self._fib.wake()
        else:
            # It stands in our place, and ours may be gone: to add ours again tells, and harms nobody.
            self._conflict(entry)
            if ledger.told(prefix, None):
                self._fib.wake()

    def failed(self, ledger: Ledger, changes: Sequence[Change], failures: Mapping[int, Failure]) -> None:
        """Note what the kernel refused."""
        for place, failure in failures.items():
            prefix, _, after = changes[place]
            if failure is LOST or (failure.code == EEXIST and prefix not in self.conflicts[ledger.family]):
                self.audit(ledger.family)
        place, failure = next(iter(failures.items()))
        prefix, _, after = changes[place]
        if failure.code != EEXIST and failure is not LOST:
            problem = Problem(ledger.family, prefix, after, failure)
            more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
            self._say(failure.words, f"not installed: {problem}{more}")

    def repaired(self, notice: Repaired) -> None:
        """Note that routes are right again; one line in the log is enough for many."""
        before = self._repairs.get(notice.family)
        if before is not None:
            notice = Repaired(notice.family, before.count + notice.count, before.example)
        self._repairs[notice.family] = notice
        self._attention.set()

    def _conflict(self, entry: Entry) -> None:
        known = self.conflicts[entry.family]
        if known.get(entry.prefix) != entry:
            known[entry.prefix] = entry
            notice = Conflict(entry)
            self._say("conflict", str(notice))
            self._fib.tell(notice)

    def _again(self) -> None:
        """Something changed that refused routes may have been waiting for."""
        if any(ledger.held for ledger in self._fib.ledgers.values()):
            self._retry = True
            self._attention.set()

    def _say(self, about: str, line: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._said.get(about, float("-inf")) >= _QUIET:
            if len(self._said) > 100:
                self._said.clear()
            self._said[about] = now
            log.warning("%s", line)

    # --- what is done about it ---

    async def run(self) -> None:
        """Do what is due, for ever."""
        clock = asyncio.get_running_loop().time
        sweep_at = clock() + self._sweep_after
        audit_at = clock() + self._audit_every
        while True:
            due = min(audit_at, sweep_at) if not self._swept else audit_at
            try:
                async with asyncio.timeout_at(due):
                    await self._attention.wait()
            except TimeoutError:
                if not self._swept and clock() >= sweep_at:
                    self._sweeping = True
                if clock() >= audit_at:
                    self._audits.update(FAMILIES)
            await asyncio.sleep(_GATHER)
            self._attention.clear()
            try:
                await self._work()
            except (BackendError, OSError) as error:
                self._say("reading", f"the table cannot be read: {error}")
                await asyncio.sleep(1)
            if clock() >= audit_at:
                audit_at = clock() + self._audit_every

    async def _work(self) -> None:
        for notice in self._repairs.values():
            self._say(f"repaired {notice.family}", str(notice))
            self._fib.tell(notice)
        self._repairs.clear()
        if self._relink:
            self._relink = False
            self._links = {link.index: link.up for link in await self._fib.backend.links()}
        if self._sweeping:
            self._sweeping, self._swept = False, True
            for ledger in self._fib.ledgers.values():
                while ledger.sweep(_PORTION):
                    self._fib.wake()
                    await self._fib.room()
                    await asyncio.sleep(0)
            self._fib.wake()
        while self._audits:
            family = self._audits.pop()
            clock = asyncio.get_running_loop().time
            begun = clock()
            try:
                await self._audit(family)
            except BaseException:
                self._audits.add(family)
                raise
            await self._try_again(self._fib.ledgers[family])
            # At most half of the time is spent on reading.
            await asyncio.sleep(min(clock() - begun, 2.0))
        if self._retry:
            self._retry = False
            for ledger in self._fib.ledgers.values():
                await self._try_again(ledger)

    async def _try_again(self, ledger: Ledger) -> None:
        """Write once more what was refused, but for what stands in another's place."""
        known = self.conflicts[ledger.family]
        for number, prefix in enumerate(list(ledger.held), 1):
            if prefix not in known:
                ledger.again(prefix)
            if not number % _PORTION:
                self._fib.wake()
                await asyncio.sleep(_PORTION / _TRIES if number > _TRIES else 0)
        self._fib.wake()

    async def _audit(self, family: Family) -> None:
        """Read the whole table of `family` and mend what differs."""
        fib = self._fib
        ledger = fib.ledgers[family]
        # What was written before whatever made us look, and not answered yet, may have been lost since.
        await fib.answered()
        audit = Audit(ledger)
        try:
            async for rows in fib.backend.own(family):
                for start in range(0, len(rows), _PORTION * 4):
                    if audit.compare(rows[start : start + _PORTION * 4]):
                        fib.wake()
                        await fib.room()
                    await asyncio.sleep(0)
            for part in range(audit.PARTS):
                if audit.missing(part):
                    fib.wake()
                    await fib.room()
                await asyncio.sleep(0)
        finally:
            audit.close()
        self.audits += 1
        if any(held[1].code == EEXIST for held in ledger.held.values()):
            await self._find_conflicts(family)
        else:
            self.conflicts[family].clear()

    async def _find_conflicts(self, family: Family) -> None:
        """See who stands in our way; who does not any more was in it before."""
        ledger = self._fib.ledgers[family]
        found: dict[bytes, Entry] = {}
        async for entries in self._fib.backend.others(family):
            for entry in entries:
                goal = ledger.wanted.get(entry.prefix)
                if entry.prefix in ledger.held and goal is not None and goal.metric == entry.route.metric:
                    found[entry.prefix] = entry
            await asyncio.sleep(0)
        for entry in found.values():
            self._conflict(entry)
        for prefix in self.conflicts[family].keys() - found.keys():
            del self.conflicts[family][prefix]
