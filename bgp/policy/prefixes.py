"""Prefix lists: sets of prefixes by containment and length, where the most specific matching entry decides.

An entry matches a prefix that lies within its own and whose length is within its bounds.  The entries of one
length are in one dict, by their address as a number.  A look-up masks the address asked for with each length
that has entries for it, longest first: a list of 100,000 exact entries costs one look-up in a dict, and one
with bounds as many as it has lengths.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.wire import prefix as nlri
from bgp.wire.text import quoted

Network = IPv4Network | IPv6Network
_TEXT = re.compile(r"(!?)\s*([0-9a-fA-F:.]+/[0-9]+)(?:\s+ge\s+([0-9]{1,9}))?(?:\s+le\s+([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Entry:
    """Prefixes within `network` whose lengths are from `ge` to `le`; an `exception` is not in the list."""

    network: Network
    ge: int
    le: int
    exception: bool = False

    def __post_init__(self) -> None:
        length, bits = self.network.prefixlen, self.network.max_prefixlen
        if not length <= self.ge <= self.le <= bits:
            raise ValueError(f"{self.network}: ge and le must rise from {length} to at most {bits}")

    def __str__(self) -> str:
        length, bits = self.network.prefixlen, self.network.max_prefixlen
        text = f"{'!' if self.exception else ''}{self.network}"
        if self.ge != length:
            text += f" ge {self.ge}"
        if self.le != (length if self.ge == length else bits):
            text += f" le {self.le}"
        return text


def parse_entry(text: str) -> Entry:
    """Return an entry written as `10.0.0.0/8`, `10.0.0.0/8 ge 16 le 24`, or with `!` as an exception.

    Without `ge` and `le` the prefix itself is meant, with `ge` alone all lengths from there on, and with
    `le` alone all up to there.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{quoted(text)} is no entry of a prefix list: write 10.0.0.0/8 ge 16 le 24")
    try:
        network = ip_network(match[2])
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is no entry of a prefix list: {error}") from None
    length, bits = network.prefixlen, network.max_prefixlen
    ge = length if match[3] is None else int(match[3])
    le = int(match[4]) if match[4] is not None else length if match[3] is None else bits
    return Entry(network, ge, le, bool(match[1]))


# An entry as it is looked up: its bounds and itself.
_Bounds = tuple[int, int, Entry]


class _Index:
    """The entries of one family."""

    __slots__ = ("_cuts", "_size")

    def __init__(self, family: Family, entries: Iterable[Entry]) -> None:
        self._size = family.bits // 8
        known: dict[int, dict[int, list[_Bounds]]] = {}
        # For each length that has entries, the lengths that these can match.
        reach: dict[int, tuple[int, int]] = {}
        for entry in entries:
            network, ge, le = entry.network, entry.ge, entry.le
            length, address = network.prefixlen, int(network.network_address)
            addresses = known.setdefault(length, {})
            addresses.setdefault(address, []).append((ge, le, entry))
            low, high = reach.get(length, (ge, le))
            reach[length] = min(low, ge), max(high, le)
        whole = (1 << family.bits) - 1
        # For each length asked for, the masks to try and what is known by them.
        self._cuts = [
            tuple(
                (whole ^ (whole >> length), known[length])
                for length in sorted(known, reverse=True)
                if reach[length][0] <= asked <= reach[length][1]
            )
            for asked in range(family.bits + 1)
        ]

    def longest(self, prefix: bytes) -> Entry | None:
        asked = prefix[0]
        cuts = self._cuts[asked]
        if cuts:
            address = int.from_bytes(prefix[1:].ljust(self._size, b"\0"), "big")
            for mask, known in cuts:
                found = known.get(address & mask)
                if found is not None:
                    for ge, le, entry in found:
                        if ge <= asked <= le:
                            return entry
        return None


class PrefixList:
    """Entries of both families; equal lists have the same entries in the same order."""

    __slots__ = ("_hash", "_indexes", "entries")

    def __init__(self, entries: Iterable[Entry | Network | str]) -> None:
        self.entries = tuple(_entry(entry) for entry in entries)
        self._hash = hash(self.entries)
        self._indexes = {
            family: _Index(
                family, [entry for entry in self.entries if entry.network.max_prefixlen == family.bits]
            )
            for family in (IPV4_UNICAST, IPV6_UNICAST)
        }

    def longest(self, family: Family, prefix: bytes) -> Entry | None:
        """Return the most specific entry that matches `prefix`, the first of several for one prefix."""
        return self._indexes[family].longest(prefix)

    def matches(self, family: Family, prefix: bytes) -> bool:
        """Whether `prefix` is in the list: whether what `longest` returns is an entry and no exception."""
        entry = self._indexes[family].longest(prefix)
        return entry is not None and not entry.exception

    def single(self, family: Family) -> frozenset[bytes] | None:
        """Return the prefixes of `family` if there are no bounds and no exceptions, None otherwise."""
        found = [entry for entry in self.entries if entry.network.max_prefixlen == family.bits]
        if any(entry.exception or entry.le != entry.network.prefixlen for entry in found):
            return None
        return frozenset(nlri.parse(entry.network)[1] for entry in found)

    def contains(self, address: bytes) -> bool:
        """Whether an address of 4 or 16 octets, or the first 16 of 32, is in the list."""
        if len(address) == 4:
            return self.matches(IPV4_UNICAST, b"\x20" + address)
        return len(address) >= 16 and self.matches(IPV6_UNICAST, b"\x80" + address[:16])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrefixList) and self.entries == other.entries

    def __hash__(self) -> int:
        return self._hash

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.entries[:3]))
        return f"{shown}, ..." if len(self.entries) > 3 else shown

    def __repr__(self) -> str:
        return f"<PrefixList {self}>"


def _entry(entry: Entry | Network | str) -> Entry:
    if isinstance(entry, str):
        return parse_entry(entry)
    return entry if isinstance(entry, Entry) else Entry(entry, entry.prefixlen, entry.prefixlen)


def within(networks: Iterable[Network | str]) -> PrefixList:
    """Return the list of all prefixes and addresses within `networks`."""
    given = [ip_network(network) for network in networks]
    return PrefixList(Entry(network, network.prefixlen, network.max_prefixlen) for network in given)
