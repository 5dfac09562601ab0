"""What programs a routing table: the interface, and the values that it tells.

A backend belongs to one owner: a table, a protocol and a metric.  It writes and deletes routes of that owner
alone, and shows everybody's.  All that goes wrong with one route is told of that route, as a value; an
exception is a backend that cannot work at all.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from errno import ENOBUFS
from ipaddress import IPv4Interface, IPv6Interface
from typing import Protocol, TypeAlias

from bgp.family import Family
from fib.plan import Change
from fib.route import Entry, Route


class BackendError(Exception):
    """The table cannot be programmed at all; the words say why and what helps."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose routes they are: where the metric varies by route (None), table and protocol alone say so."""

    protocol: int = 179
    table: int = 254
    metric: int | None = 179


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a change was not made: the error number, and the kernel's own words."""

    code: int
    words: str


# What became of a change is not known: who is told that of one reads the table.
LOST = Failure(ENOBUFS, "the answer was lost")


@dataclass(frozen=True, slots=True)
class Link:
    """An interface: `up` as the operator set it, `carrier` as the wire has it."""

    name: str
    index: int
    up: bool
    carrier: bool
    mtu: int = 1500
    kind: str = ""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address of an interface, with the length of its subnet."""

    interface: str
    address: IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """An interface came, changed or went."""

    link: Link
    gone: bool = False


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """An address came or went."""

    address: LinkAddress
    gone: bool = False


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """A route was written or deleted by somebody else, or by the kernel itself."""

    entry: Entry
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Overflow:
    """Events were lost: what was learned from them is to be read anew."""


Event: TypeAlias = LinkChanged | AddressChanged | RouteChanged | Overflow


class Backend(Protocol):
    """A routing table that routes of one owner are written to."""

    owner: Owner

    async def open(self, listener: Callable[[Event], None]) -> None:
        """Begin; `listener` hears each event from now on.  Raise BackendError if it is not possible."""

    async def close(self) -> None:
        """End; the routes stay."""

    def own(self, family: Family) -> AsyncIterator[Sequence[tuple[bytes, Route]]]:
        """Yield the owner's routes in portions, each with its metric."""

    def others(self, family: Family, table: int | None = None) -> AsyncIterator[Sequence[Entry]]:
        """Yield everybody else's routes in portions: those of `table`, by default the owner's."""

    async def links(self) -> Sequence[Link]:
        """Return all interfaces."""

    async def addresses(self) -> Sequence[LinkAddress]:
        """Return all addresses of interfaces."""

    async def apply(self, family: Family, changes: Sequence[Change]) -> Mapping[int, Failure]:
        """Carry `changes` out in their order; return those that failed, by their place in it.

        A prefix that the kernel has nothing of ours for is added only where no route of another stands at
        its metric: that one fails with EEXIST.  Deleting what is not there is no failure.
        """
