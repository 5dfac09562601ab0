"""Resolving next hops: the way to an address, by what the kernel has of interfaces, addresses and routes.

The kernel takes no route by a gateway that another gateway leads to, so that is found out here, in user
space: the longest match among everybody's routes but ours, and where that names a gateway without an
interface, the longest match for the gateway, and so on, to a certain depth and never by the same route twice.
As routes of our own do not count, no route is ever resolved through itself.

What was resolved once is remembered, with the addresses that were looked up on the way and the interfaces
that it leads to.  So a route that changes touches the next hops that looked up an address in it and found
nothing more specific, an interface those whose way it is part of, and all others are left alone.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeAlias

from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.rib.nexthop import text, unscoped
from bgp.wire import prefix as nlri
from fib.backend import Link, LinkAddress
from fib.route import Entry, NextHop, RouteType

# So many routes one may lead to the next.
DEPTH = 8

# What a next hop is known by: `bgp.rib.nexthop.scoped`.
Key: TypeAlias = bytes
Cost: TypeAlias = Callable[[Entry], int]


def metric_cost(entry: Entry) -> int:
    """Return the interior cost of what a route leads to: its metric, and nothing where that is connected."""
    route = entry.route
    return route.metric or 0 if any(hop.via is not None for hop in route.next_hops) else 0


@dataclass(frozen=True, slots=True)
class Resolution:
    """The way to a next hop: `next_hops` is what a route by it needs, nothing where it is not reachable.

    `cost` is the interior cost, None if it is not reachable; `by` are the routes that led there, and `words`
    say it for people.
    """

    key: Key
    next_hops: tuple[NextHop, ...]
    cost: int | None
    by: tuple[Entry, ...]
    words: str

    @property
    def reachable(self) -> bool:
        return self.cost is not None

    def __str__(self) -> str:
        return f"{text(self.key)}: {self.words}"


@dataclass(slots=True)
class _Known:
    """A resolution, with what it depends on.

    `lookups`: for each address that was looked up, the length of the longest match, -1 for none.
    """

    resolution: Resolution
    lookups: dict[tuple[Family, bytes], int]
    interfaces: frozenset[str]


class Resolver:
    """Resolves next hops, remembers how, and finds out which of them to resolve anew when things change.

    `tables`: those whose routes count, the first one before the others at the same prefix.  `protocols`:
    whose routes count, everybody's by default.  With `by_default` the default route may lead to a next hop.
    """

    def __init__(
        self,
        *,
        tables: Sequence[int] = (254,),
        protocols: Collection[int] | None = None,
        by_default: bool = True,
        depth: int = DEPTH,
        cost: Cost = metric_cost,
    ) -> None:
        if depth < 1:
            raise ValueError(f"depth {depth} is not at least 1")
        self._rank = {table: rank for rank, table in enumerate(dict.fromkeys(tables))}
        self._protocols = None if protocols is None else frozenset(protocols)
        self._by_default = by_default
        self._depth = depth
        self._cost = cost
        self._entries: dict[Family, dict[bytes, dict[tuple[int, int], Entry]]] = {f: {} for f in FAMILIES}
        self._lengths: dict[Family, dict[int, int]] = {family: {} for family in FAMILIES}
        self._links: dict[str, Link] = {}
        self._own: dict[bytes, set[LinkAddress]] = {}
        # How many routes by an interface there are to a prefix.
        self._by_interface: dict[str, dict[tuple[Family, bytes], int]] = {}
        self._known: dict[Key, _Known] = {}
        # The addresses that were looked up in their order, and for whom.
        self._sorted: dict[Family, list[bytes]] = {family: [] for family in FAMILIES}
        self._asked: dict[tuple[Family, bytes], set[Key]] = {}
        self._using: dict[str, set[Key]] = {}
        self._stale: set[Key] = set()

    # --- What the kernel has ---------------------------------------------------------------------------

    @property
    def tables(self) -> Collection[int]:
        """The tables whose routes count."""
        return self._rank.keys()

    def counts(self, entry: Entry) -> bool:
        """Whether a route may lead to a next hop at all."""
        if entry.table not in self._rank or (entry.prefix == b"\0" and not self._by_default):
            return False
        return self._protocols is None or entry.protocol in self._protocols

    def add(self, entry: Entry) -> None:
        """Hear of a route: it takes the place of one with the same table, prefix and metric."""
        if not self.counts(entry):
            return
        family, prefix = entry.family, entry.prefix
        rows = self._entries[family].setdefault(prefix, {})
        row = entry.table, entry.route.metric or 0
        before = rows.get(row)
        if before == entry:
            return
        if not rows:
            self._lengths[family][prefix[0]] = self._lengths[family].get(prefix[0], 0) + 1
        if before is not None:
            self._unlist(before)
        rows[row] = entry
        for interface in _interfaces(entry):
            found = self._by_interface.setdefault(interface, {})
            found[family, prefix] = found.get((family, prefix), 0) + 1
        self._touch(family, prefix)

    def remove(self, entry: Entry) -> None:
        """Hear that a route is gone."""
        family, prefix = entry.family, entry.prefix
        rows = self._entries[family].get(prefix)
        known = None if rows is None else rows.pop((entry.table, entry.route.metric or 0), None)
        if rows is None or known is None:
            return
        self._unlist(known)
        if not rows:
            del self._entries[family][prefix]
            self._lengths[family][prefix[0]] -= 1
            if not self._lengths[family][prefix[0]]:
                del self._lengths[family][prefix[0]]
        self._touch(family, prefix)

    def replace(self, family: Family, entries: Iterable[Entry], table: int | None = None) -> None:
        """Hear that these are all routes of a family, or of one table of it: what else is known is gone."""
        gone = {
            (prefix, row): entry
            for prefix, rows in self._entries[family].items()
            for row, entry in rows.items()
            if table is None or entry.table == table
        }
        for entry in entries:
            if self.counts(entry):
                gone.pop((entry.prefix, (entry.table, entry.route.metric or 0)), None)
                self.add(entry)
        for entry in gone.values():
            self.remove(entry)

    def link(self, link: Link, gone: bool = False) -> None:
        """Hear of an interface, or that it is gone."""
        before = self._links.get(link.name)
        if gone:
            self._links.pop(link.name, None)
        else:
            self._links[link.name] = link
        now = None if gone else (link.up, link.carrier)
        if now == (None if before is None else (before.up, before.carrier)):
            return
        for family, prefix in list(self._by_interface.get(link.name, ())):
            self._touch(family, prefix)
        self._stale |= self._using.get(link.name, set())

    def address(self, address: LinkAddress, gone: bool = False) -> None:
        """Hear of an address of ours, again perhaps, or that an interface has it no more."""
        octets = address.address.ip.packed
        having = self._own.setdefault(octets, set())
        before = bool(having)
        if gone:
            having.discard(address)
        else:
            having.add(address)
        if not having:
            del self._own[octets]
        if bool(having) is not before and octets in self._known:
            self._stale.add(octets)

    def addresses(self, addresses: Iterable[LinkAddress]) -> None:
        """Hear that these are all addresses of ours."""
        before, self._own = self._own, {}
        for address in addresses:
            self._own.setdefault(address.address.ip.packed, set()).add(address)
        self._stale |= (before.keys() ^ self._own.keys()) & self._known.keys()

    @property
    def interfaces(self) -> Sequence[Link]:
        """The interfaces that are known."""
        return tuple(self._links.values())

    def interface(self, name: str) -> Link | None:
        """Return the interface of that name, None if there is none."""
        return self._links.get(name)

    # --- What it means for next hops -------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many next hops are remembered."""
        return len(self._known)

    def resolve(self, key: Key) -> Resolution:
        """Return the way to a next hop, and remember it."""
        known = self._known.get(key)
        if known is not None and key not in self._stale:
            return known.resolution
        self._drop(key)
        return self._remember(key).resolution

    def forget(self, keys: Iterable[Key]) -> None:
        """Remember these no more."""
        for key in keys:
            self._drop(key)

    def changed(self) -> dict[Key, tuple[Resolution, Resolution]]:
        """Resolve anew what may be wrong; return the next hops whose way is another one, before and now."""
        stale, self._stale = self._stale, set()
        found = {}
        for key in stale:
            known = self._known.get(key)
            if known is not None:
                self._drop(key)
                now = self._remember(key).resolution
                if now != known.resolution:
                    found[key] = known.resolution, now
        return found

    @property
    def stale(self) -> Collection[Key]:
        """The next hops that `changed` will look at."""
        return frozenset(self._stale)

    # --- Inside ----------------------------------------------------------------------------------------

    def _unlist(self, entry: Entry) -> None:
        where = entry.family, entry.prefix
        for interface in _interfaces(entry):
            found = self._by_interface[interface]
            found[where] -= 1
            if not found[where]:
                del found[where]
                if not found:
                    del self._by_interface[interface]

    def _touch(self, family: Family, prefix: bytes) -> None:
        """Suspect the next hops that looked up an address in `prefix` and found nothing more specific."""
        length = prefix[0]
        asked = self._sorted[family]
        size = family.bits // 8
        low = prefix[1:].ljust(size, b"\0")
        number = int.from_bytes(low, "big") | ((1 << (family.bits - length)) - 1)
        high = number.to_bytes(size, "big")
        at = bisect_left(asked, low)
        while at < len(asked) and asked[at] <= high:
            where = family, asked[at]
            for key in self._asked[where]:
                if self._known[key].lookups[where] <= length:
                    self._stale.add(key)
            at += 1

    def _drop(self, key: Key) -> None:
        self._stale.discard(key)
        known = self._known.pop(key, None)
        if known is None:
            return
        for where in known.lookups:
            keys = self._asked[where]
            keys.discard(key)
            if not keys:
                del self._asked[where]
                some = self._sorted[where[0]]
                del some[bisect_left(some, where[1])]
        for interface in known.interfaces:
            self._using[interface].discard(key)
            if not self._using[interface]:
                del self._using[interface]

    def _remember(self, key: Key) -> _Known:
        lookups: dict[tuple[Family, bytes], int] = {}
        resolution, interfaces = self._resolve(key, lookups)
        known = self._known[key] = _Known(resolution, lookups, interfaces)
        for where in lookups:
            keys = self._asked.get(where)
            if keys is None:
                keys = self._asked[where] = set()
                insort(self._sorted[where[0]], where[1])
            keys.add(key)
        for interface in interfaces:
            self._using.setdefault(interface, set()).add(key)
        return known

    def _resolve(
        self, key: Key, lookups: dict[tuple[Family, bytes], int]
    ) -> tuple[Resolution, frozenset[str]]:
        address, interface = unscoped(key)
        if address in self._own:
            return Resolution(key, (), None, (), "it is an address of our own"), frozenset()
        shown = ip_address(address)
        if shown.is_link_local and shown.version == 6:
            if not interface:
                words = "it is link-local, and no interface is known for it"
                return Resolution(key, (), None, (), words), frozenset()
            link = self._links.get(interface)
            if link is None or not _usable(link):
                words = f"{interface} {'is not there' if link is None else _state(link)}"
                return Resolution(key, (), None, (), words), frozenset((interface,))
            hop = NextHop(shown, interface)
            return Resolution(key, (hop,), 0, (), f"on {interface}"), frozenset((interface,))
        by: list[Entry] = []
        found = self._follow(address, (), by, lookups)
        interfaces = frozenset(name for entry in by for name in _interfaces(entry))
        if isinstance(found, str):
            return Resolution(key, (), None, tuple(by), found), interfaces
        hops = tuple(dict.fromkeys(found))
        words = ", ".join(map(str, hops))
        if by:
            words += f" by {'; '.join(map(_told, by))}"
        return Resolution(key, hops, self._cost(by[0]), tuple(by), words), interfaces

    def _follow(
        self,
        address: bytes,
        chain: tuple[Entry, ...],
        by: list[Entry],
        lookups: dict[tuple[Family, bytes], int],
    ) -> list[NextHop] | str:
        """Return the ways to `address`, or why there is none.

        `chain` are the routes that led here; `by` gets all routes that lead anywhere.
        """
        if len(chain) >= self._depth:
            return f"more than {self._depth} routes lead from one to the next"
        family = IPV4_UNICAST if len(address) == 4 else IPV6_UNICAST
        entry = self._match(family, address, chain, lookups)
        if entry is None:
            return f"no route to {nlri.address_text(address)}{' but those that need it' if chain else ''}"
        by.append(entry)
        if entry.route.type is not RouteType.UNICAST:
            return f"{_told(entry)} is {entry.route.type.name.lower()}"
        found: list[NextHop] = []
        reason = ""
        for hop in entry.route.next_hops:
            if hop.interface is not None:
                if self._leads(hop.interface):
                    gateway = ip_address(address) if hop.via is None else hop.via
                    found.append(NextHop(gateway, hop.interface, hop.weight, hop.onlink))
            elif hop.via is not None:
                further = self._follow(hop.via.packed, (*chain, entry), by, lookups)
                if isinstance(further, str):
                    reason = further
                else:
                    found += further
        return found or reason

    def _match(
        self,
        family: Family,
        address: bytes,
        chain: tuple[Entry, ...],
        lookups: dict[tuple[Family, bytes], int],
    ) -> Entry | None:
        """Return the most specific route to `address` that can be used, and is not on the way already."""
        for prefix in self._covering(family, address):
            rows = self._entries[family][prefix]
            for row in sorted(rows, key=lambda row: (self._rank[row[0]], row[1])):
                entry = rows[row]
                if entry not in chain and self._serves(entry):
                    lookups[family, address] = min(prefix[0], lookups.get((family, address), family.bits))
                    return entry
        lookups[family, address] = -1
        return None

    def _covering(self, family: Family, address: bytes) -> Iterator[bytes]:
        entries = self._entries[family]
        for length in sorted(self._lengths[family], reverse=True):
            whole, rest = length >> 3, length & 7
            cut = bytes((length,)) + address[:whole]
            if rest:
                cut += bytes((address[whole] & (0xFF00 >> rest) & 0xFF,))
            if cut in entries:
                yield cut

    def _serves(self, entry: Entry) -> bool:
        """Whether a route is of use: one that refuses is, and one of which a leg may lead somewhere."""
        hops = entry.route.next_hops
        return not hops or any(hop.interface is None or self._leads(hop.interface) for hop in hops)

    def _leads(self, interface: str) -> bool:
        link = self._links.get(interface)
        return link is not None and _usable(link)


def _usable(link: Link) -> bool:
    return link.up and link.carrier


def _state(link: Link) -> str:
    return "has no carrier" if link.up else "is down"


def _interfaces(entry: Entry) -> frozenset[str]:
    return frozenset(hop.interface for hop in entry.route.next_hops if hop.interface is not None)


def _told(entry: Entry) -> str:
    return nlri.text(entry.family, entry.prefix)
