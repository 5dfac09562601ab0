"""A mirror of what others have in the kernel: interfaces, addresses, and the routes that are not ours.

What is there is read once, and then followed by events, without a gap: events are heard from before the
first reading on, and where one of them is about a route that a reading also tells of, the event is newer.
What may be missing (events that were lost, IPv4 routes that go with an interface without a word) is read
anew, soon; and every now and then all of it is, for nobody knows what else the kernel keeps to itself.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from bgp.family import FAMILIES, IPV4_UNICAST, Family
from fib.backend import (
    AddressChanged,
    Backend,
    BackendError,
    Event,
    LinkChanged,
    Overflow,
    RouteChanged,
)
from fib.resolve import Resolver
from fib.route import Entry

logger = logging.getLogger(__name__)

# So long others may go on changing things before what they may have taken along is read.
_SETTLE = 0.05
# All of it is read anew in such intervals.
AUDIT = 60.0
# Behind so many routes of a reading others have their turn.
_PORTION = 2048

# What tells routes of one table apart for the kernel: prefix, table and metric.
_Row = tuple[Family, bytes, int, int]


class Reader(Protocol):
    """Who else wants to know of others' routes."""

    def add(self, entry: Entry) -> None:
        """Hear of a route, which takes the place of one with the same table, prefix and metric."""

    def remove(self, entry: Entry) -> None:
        """Hear that one is gone."""

    def links_changed(self) -> None:
        """Hear that the state of an interface is another one; the resolver knows which."""


class Mirror:
    """Keeps `resolver`, and `readers`, at what the kernel has; `changed` is called when something is new.

    `tables`: those that are read.  `event` is to be given to the backend as its listener, or called by it.
    """

    def __init__(
        self,
        backend: Backend,
        resolver: Resolver,
        changed: Callable[[], None],
        *,
        tables: Iterable[int] = (254,),
        readers: Iterable[Reader] = (),
        audit: float = AUDIT,
    ) -> None:
        self._backend = backend
        self._resolver = resolver
        self._changed = changed
        self._tables = tuple(dict.fromkeys(tables))
        self._readers = tuple(readers)
        self._adders = [self._resolver.add, *(reader.add for reader in self._readers)]
        self._removers = [self._resolver.remove, *(reader.remove for reader in self._readers)]
        self._audit = audit
        self._entries: dict[_Row, Entry] = {}
        # While a reading goes on: what events told of.
        self._touched: set[_Row] | None = None
        self._due: set[Family] = set()
        self._all = False
        self._reading_links = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.readings = 0

    @property
    def routes(self) -> int:
        """How many routes of others are known."""
        return len(self._entries)

    async def open(self) -> None:
        """Read all that is there; from then on it is followed.  Raises BackendError where that fails."""
        await self._read(FAMILIES, whole=True)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Follow no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- Events ----------------------------------------------------------------------------------------

    def event(self, event: Event) -> None:
        """Hear what happened."""
        if self._reading_links and isinstance(event, LinkChanged | AddressChanged):
            # Which of both is newer nobody knows.
            self._all = True
            self._request(())
        match event:
            case RouteChanged(entry, gone):
                if self._concerns(entry):
                    self._apply(entry, gone)
            case LinkChanged(link, gone):
                known = self._resolver.interface(link.name)
                self._resolver.link(link, gone)
                for reader in self._readers:
                    reader.links_changed()
                # Routes of IPv4 go with an interface without a word, and come back with it.
                if gone or known is None or known.up is not link.up:
                    self._request([IPV4_UNICAST])
            case AddressChanged(address, gone):
                self._resolver.address(address, gone)
                if gone:
                    self._request([IPV4_UNICAST])
            case Overflow():
                self._all = True
                self._request(FAMILIES)
        self._changed()

    def _request(self, families: Iterable[Family]) -> None:
        self._due.update(families)
        self._wake.set()

    def _concerns(self, entry: Entry) -> bool:
        owner = self._backend.owner
        own = entry.protocol == owner.protocol and entry.table == owner.table
        return entry.table in self._tables and not own

    def _apply(self, entry: Entry, gone: bool) -> None:
        row = entry.family, entry.prefix, entry.table, entry.route.metric or 0
        if self._touched is not None:
            self._touched.add(row)
        if gone:
            known = self._entries.pop(row, None)
            if known is not None:
                self._tell(known, True)
        elif self._entries.get(row) != entry:
            self._entries[row] = entry
            self._tell(entry, False)

    def _tell(self, entry: Entry, gone: bool) -> None:
        for hear in self._removers if gone else self._adders:
            hear(entry)

    # --- Readings --------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._audit):
                    await self._wake.wait()
            except TimeoutError:
                self._all = True
                self._due.update(FAMILIES)
            else:
                await asyncio.sleep(_SETTLE)
            self._wake.clear()
            families, self._due = self._due, set()
            whole, self._all = self._all, False
            try:
                await self._read(families, whole=whole)
            except (BackendError, OSError) as error:
                logger.warning("interfaces and routes of others could not be read: %s", error)
                self._all = self._all or whole
                await asyncio.sleep(1)
                self._request(families)
            self._changed()

    async def _read(self, families: Iterable[Family], *, whole: bool) -> None:
        touched: set[_Row] = set()
        self._touched = touched
        try:
            if whole:
                await self._read_links()
            for family in families:
                for table in self._tables:
                    await self._read_table(family, table, touched)
        finally:
            self._touched = None
        self.readings += 1

    async def _read_links(self) -> None:
        self._reading_links = True
        try:
            links = await self._backend.links()
            addresses = await self._backend.addresses()
        finally:
            self._reading_links = False
        names = {link.name for link in links}
        for known in self._resolver.interfaces:
            if known.name not in names:
                self._resolver.link(known, gone=True)
        for link in links:
            self._resolver.link(link)
        self._resolver.addresses(addresses)
        for reader in self._readers:
            reader.links_changed()

    async def _read_table(self, family: Family, table: int, touched: set[_Row]) -> None:
        left = {row for row in self._entries if row[0] is family and row[2] == table}
        count = 0
        async for entries in self._backend.others(family, table):
            for entry in entries:
                if not self._concerns(entry):
                    continue
                row = family, entry.prefix, entry.table, entry.route.metric or 0
                left.discard(row)
                if row not in touched and self._entries.get(row) != entry:
                    self._entries[row] = entry
                    self._tell(entry, False)
            count += len(entries)
            if count >= _PORTION:
                count = 0
                await asyncio.sleep(0)
        for row in left - touched:
            known = self._entries.pop(row, None)
            if known is not None:
                self._tell(known, True)
