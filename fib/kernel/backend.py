"""The kernel's table as a backend: reads and packs on the loop, in slices, and waits in a thread."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

from bgp.family import FAMILIES, IPV6_UNICAST, Family
from fib.backend import LOST, BackendError, Event, Failure, Link, LinkAddress, Owner
from fib.kernel.channel import Channel, dump_request
from fib.kernel.events import GROUPS, Events, ignore
from fib.kernel.interfaces import Interfaces, link
from fib.kernel.netlink import (
    ADDRESS,
    AF_INET,
    AF_INET6,
    LINK,
    NLM_F_DUMP_INTR,
    ROUTE,
    RT_TABLE_UNSPEC,
    RTA_TABLE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    U32,
    attribute,
    messages,
)
from fib.kernel.pack import LIMIT, Packer
from fib.kernel.read import Reader
from fib.kernel.thread import Namespace, NamespaceThread
from fib.plan import Change
from fib.route import Entry, Route

_DUMPS = 5  # times that an interrupted dump is begun anew


Row = TypeVar("Row")


class KernelBackend:
    """The routing table of a network namespace, written through a socket of pyroute2's."""

    def __init__(self, owner: Owner | None = None, namespace: Namespace | None = None) -> None:
        self.owner = owner or Owner()
        self._thread = NamespaceThread(namespace)
        self._interfaces = Interfaces()
        self._reader = Reader(self._interfaces.name)
        self._packers = {family: Packer(family, self.owner, self._interfaces.indexes) for family in FAMILIES}
        self._writer: Channel | None = None
        self._events: Events | None = None

    async def open(self, listener: Callable[[Event], None]) -> None:
        try:
            await self._thread.open()
            self._writer = await self._thread.run(Channel)
            await self._thread.run(self._writer.check)
            heard = await self._thread.run(Channel, GROUPS)
            ignore(heard.socket, self._writer.port)
            self._events = Events(heard, self._interfaces, self._reader, self._renamed)
            await self.links()
            self._events.open(listener)
        except BaseException as error:
            await self.close()
            if isinstance(error, OSError):
                raise BackendError(f"no netlink socket: {error.strerror}") from error
            raise

    async def close(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None
        writer, self._writer = self._writer, None
        if writer is not None:
            # Behind whatever the thread is busy with: a descriptor that is closed may be another's at once.
            await self._thread.run(writer.close)
        self._thread.close()

    async def apply(self, family: Family, changes: Sequence[Change]) -> Mapping[int, Failure]:
        if self._writer is None:
            raise BackendError("the table is not open")
        failures: dict[int, Failure] = {}
        # Where every message fails, the complaints still have to fit into the buffer.
        limit = max(min(LIMIT, self._writer.room // 2), 1)
        for start in range(0, len(changes), limit):
            part = changes[start : start + limit]
            batch, places, refused = self._packers[family].pack(part)
            failures.update({start + place: failure for place, failure in refused.items()})
            if not places:
                continue
            try:
                answers = await self._thread.run(self._writer.transact, batch, len(places))
            except OSError:
                # The socket is of no use any more; what became of the batch nobody knows.
                await self._reopen()
                answers = dict.fromkeys(range(len(places)), LOST)
            for number, failure in answers.items():
                place = places[number]
                # What is to be deleted and is not there, is deleted; the protocol was named, so where
                # another's route stands the answer is the same.
                if failure.code == errno.ESRCH and part[place][1] is not None:
                    continue
                failures.setdefault(start + place, failure)
        return failures

    async def _reopen(self) -> None:
        """Have a new socket to write with."""
        assert self._writer is not None and self._events is not None
        self._writer.close()
        self._writer = await self._thread.run(Channel)
        ignore(self._events.socket, self._writer.port)

    async def own(self, family: Family) -> AsyncIterator[Sequence[tuple[bytes, Route]]]:
        number = AF_INET6 if family is IPV6_UNICAST else AF_INET
        table, protocol, metric = self.owner.table, self.owner.protocol, self.owner.metric
        request = _route_request(number, table, protocol)
        read = self._reader.read
        async for data in self._dump(RTM_GETROUTE, request):
            rows = []
            for start, end, kind, _, _, _ in messages(data):
                if kind != RTM_NEWROUTE:
                    continue
                found = read(data, start, end)
                if found is not None and found[2] is not None:
                    prefix, (route, by, within) = found[1], found[2]
                    # A kernel without strict checks filters nothing.
                    if by == protocol and within == table and metric in (None, route.metric):
                        rows.append((prefix, route))
            yield rows

    async def others(self, family: Family, table: int | None = None) -> AsyncIterator[Sequence[Entry]]:
        number = AF_INET6 if family is IPV6_UNICAST else AF_INET
        wanted = self.owner.table if table is None else table
        owner = self.owner
        read = self._reader.read
        async for data in self._dump(RTM_GETROUTE, _route_request(number, wanted, 0)):
            rows = []
            for start, end, kind, _, _, _ in messages(data):
                if kind != RTM_NEWROUTE:
                    continue
                found = read(data, start, end)
                if found is not None and found[2] is not None:
                    prefix, (route, by, within) = found[1], found[2]
                    own = (
                        by == owner.protocol
                        and within == owner.table
                        and owner.metric in (None, route.metric)
                    )
                    if within == wanted and not own:
                        rows.append(Entry(family, prefix, route, by, within))
            yield rows

    async def links(self) -> Sequence[Link]:
        found = await self._whole(RTM_GETLINK, LINK.pack(0, 0, 0, 0, 0), RTM_NEWLINK, link)
        self._interfaces.replace(found)
        self._renamed()
        return found

    async def addresses(self) -> Sequence[LinkAddress]:
        request = ADDRESS.pack(0, 0, 0, 0, 0)
        found = await self._whole(RTM_GETADDR, request, RTM_NEWADDR, self._interfaces.address)
        return [address for address in found if address is not None]

    async def _whole(
        self, request: int, body: bytes, answer: int, read: Callable[[bytes, int, int], Row]
    ) -> list[Row]:
        """Return a whole dump of rows, begun anew where something changed under it."""
        for _ in range(_DUMPS):
            found, seen = [], 0
            async for data in self._dump(request, body):
                for start, end, kind, flags, _, _ in messages(data):
                    seen |= flags
                    if kind == answer:
                        found.append(read(data, start, end))
            if not seen & NLM_F_DUMP_INTR:
                break
        return found

    async def _dump(self, kind: int, body: bytes) -> AsyncIterator[bytes]:
        """Yield the buffers of a dump; the next ones are fetched while one is read."""
        channel = await self._thread.run(Channel)
        ahead: asyncio.Future[tuple[list[bytes], bool]] | None = None
        try:
            await self._thread.run(channel.request, dump_request(kind, body))
            more = True
            ahead = asyncio.ensure_future(self._thread.run(channel.portion))
            while more:
                buffers, more = await ahead
                if more:
                    ahead = asyncio.ensure_future(self._thread.run(channel.portion))
                for data in buffers:
                    yield data
        finally:
            if ahead is not None and not ahead.done():
                # The thread may be in the middle of a reception: its end is awaited before the socket goes.
                await asyncio.wait([ahead])
            channel.close()

    def _renamed(self) -> None:
        self._reader.forget()
        for packer in self._packers.values():
            packer.forget()


def _route_request(family: int, table: int, protocol: int) -> bytes:
    """Return what asks for the routes of one table, and of one protocol unless that is 0."""
    narrow = table if table < 256 else RT_TABLE_UNSPEC
    return ROUTE.pack(family, 0, 0, 0, narrow, protocol, 0, 0, 0) + attribute(RTA_TABLE, U32.pack(table))
