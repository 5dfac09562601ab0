"""Routes of the kernel that a speaker announces: those that were chosen, for as long as they are there.

Nothing is announced unless a `Redistribute` asks for it.  Routes of our own FIB never come back in, for they
are not among others' routes; and what is announced because the kernel has it is not installed once more.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bgp.aio.announcement import Announcement
from bgp.family import Family
from bgp.policy.prefixes import PrefixList
from bgp.rib.path import Kind
from bgp.speaker import Speaker
from bgp.wire import prefix as nlri
from bgp.wire.given import RouteAttributes
from fib.resolve import Resolver
from fib.route import Entry, RouteType

logger = logging.getLogger(__name__)

# RTPROT_* of linux/rtnetlink.h by the names that iproute2 has for them.
PROTOCOLS: Mapping[str, int] = {
    "redirect": 1,
    "kernel": 2,
    "boot": 3,
    "static": 4,
    "ra": 9,
    "zebra": 11,
    "bird": 12,
    "dhcp": 16,
    "keepalived": 18,
    "babel": 42,
    "ospf": 188,
    "isis": 187,
    "rip": 189,
    "eigrp": 192,
    "bgp": 186,
}
# What is nobody's but the machine's own.
_LINK_LOCAL = PrefixList(["fe80::/10 le 128", "169.254.0.0/16 le 32", "ff00::/8 le 128"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Redistribute:
    """Which routes of the kernel are announced: those that fulfill each condition which is given.

    `protocols`: by number, or by a name of iproute2's such as "kernel" (connected) or "static"; `table`;
    `interfaces`: patterns such as "eth*", of which one has to fit an interface of the route; `prefixes`: a
    list of them.  `attributes` are those of the announcement, or a function that makes them of the route.
    Routes that only refuse packets are not announced, unless with `refusing`.
    """

    protocols: frozenset[int] | Iterable[int | str] = frozenset()
    table: int | None = None
    interfaces: tuple[str, ...] = ()
    prefixes: PrefixList | None = None
    attributes: RouteAttributes | Callable[[Entry], RouteAttributes] = field(default_factory=RouteAttributes)
    refusing: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "protocols", frozenset(map(protocol_number, self.protocols)))

    def takes(self, entry: Entry) -> bool:
        """Whether it is about a route."""
        route = entry.route
        if self.table is not None and entry.table != self.table:
            return False
        if self.protocols and entry.protocol not in frozenset(self.protocols):
            return False
        if route.type is not RouteType.UNICAST and not self.refusing:
            return False
        if self.prefixes is not None and not self.prefixes.matches(entry.family, entry.prefix):
            return False
        names = [hop.interface for hop in route.next_hops if hop.interface is not None]
        return not self.interfaces or any(
            fnmatchcase(name, pattern) for name in names for pattern in self.interfaces
        )


def protocol_number(protocol: int | str) -> int:
    """Return the number of a protocol; raise ValueError for a name that nobody knows."""
    if isinstance(protocol, str):
        try:
            return PROTOCOLS[protocol]
        except KeyError:
            known = ", ".join(PROTOCOLS)
            raise ValueError(f"protocol {protocol!r} is none of {known}; write its number") from None
    if not 0 <= protocol <= 255:
        raise ValueError(f"protocol {protocol} is not 0 to 255")
    return protocol


class Importer:
    """Announces what `rules` take, through `speaker`; a reader of the mirror."""

    def __init__(self, speaker: Speaker, resolver: Resolver, rules: Iterable[Redistribute]) -> None:
        self._speaker = speaker
        self._resolver = resolver
        self._rules = tuple(rules)
        # What a rule takes, by prefix, then by table and metric; and what is announced of it.
        self._taken: dict[tuple[Family, bytes], dict[tuple[int, int], tuple[Redistribute, Entry]]] = {}
        self._told: dict[tuple[Family, bytes], tuple[Announcement, Redistribute, Entry]] = {}

    def imported(self, family: Family, prefix: bytes) -> bool:
        """Whether we announce `prefix` because the kernel has it."""
        return (family, prefix) in self._told

    def __len__(self) -> int:
        """Return how many routes are announced."""
        return len(self._told)

    def add(self, entry: Entry) -> None:
        """Hear of a route, which takes the place of one with the same table, prefix and metric."""
        where, row = (entry.family, entry.prefix), (entry.table, entry.route.metric or 0)
        rule = next((rule for rule in self._rules if rule.takes(entry)), None)
        if rule is None or _LINK_LOCAL.matches(*where):
            self.remove(entry)
            return
        self._taken.setdefault(where, {})[row] = rule, entry
        self._settle(where)

    def remove(self, entry: Entry) -> None:
        """Hear that one is gone."""
        where, row = (entry.family, entry.prefix), (entry.table, entry.route.metric or 0)
        rows = self._taken.get(where)
        if rows is None or rows.pop(row, None) is None:
            return
        if not rows:
            del self._taken[where]
        self._settle(where)

    def links_changed(self) -> None:
        """Hear that the state of an interface is another one."""
        for where in list(self._taken):
            self._settle(where)

    def close(self) -> None:
        """Announce nothing any more."""
        for handle, _, _ in self._told.values():
            handle.withdraw()
        self._told.clear()

    def _settle(self, where: tuple[Family, bytes]) -> None:
        """Announce the route of the lowest metric that leads anywhere, if there is one."""
        rows = self._taken.get(where, {})
        usable = (rows[row] for row in sorted(rows, key=lambda row: (row[1], row[0])))
        chosen = next(((rule, entry) for rule, entry in usable if self._leads(entry)), None)
        known = self._told.get(where)
        if chosen is None:
            if known is not None:
                del self._told[where]
                known[0].withdraw()
            return
        if known is not None and known[1:] == chosen and known[0].active:
            return
        if known is None and self._others(where):
            return
        rule, entry = chosen
        try:
            attributes = rule.attributes(entry) if callable(rule.attributes) else rule.attributes
            handle = self._speaker.announce(nlri.network(*where), **attributes)
        except Exception as error:
            # What the operator gave; whoever tells of other routes must not stumble over it.
            logger.error("%s is not announced: %s: %s", entry, type(error).__name__, error)
            return
        self._told[where] = handle, rule, entry

    def _others(self, where: tuple[Family, bytes]) -> bool:
        """Whether the application announces the prefix itself, which comes first."""
        paths = self._speaker.router.rib.lookup(*where)
        return any(path.source.kind is Kind.LOCAL and path.slot.path_id is None for path in paths)

    def _leads(self, entry: Entry) -> bool:
        hops = entry.route.next_hops
        links = [self._resolver.interface(hop.interface) for hop in hops if hop.interface is not None]
        return not hops or not links or any(link is not None and link.up and link.carrier for link in links)
