"""An ownership guard: which prefixes a peer may announce, with which next hops, and whose they are then.

A guard is a value, and says of a prefix what it falls under: it is `shared` by all who announce it, or part
of what one peer has for itself, or nothing that the guard allots.  Who has what is the matter of
`bgp.rib.claims`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf
from typing import NamedTuple, Protocol

from bgp.family import Family, family_of
from bgp.rib.nexthop import is_host
from bgp.rib.path import Refusal
from bgp.wire import prefix as nlri

Network = IPv4Network | IPv6Network

# The rules of a guard, as refusals name them behind `guard-`.
NEXT_HOP, OUTSIDE, OWNED, COUNT = RULES = ("next-hop", "outside", "owned", "count")
_TEXTS = {
    NEXT_HOP: "the next hop is neither the peer itself nor another one that it may announce",
    OUTSIDE: "the prefix is not among those that the peer may announce",
    OWNED: "another peer was the first to announce it, and has it",
    COUNT: "the peer has as many as it may have already",
}
_PREFIX = "guard-"


class Prefixes(Protocol):
    """A set of prefixes, such as a prefix list; equal ones hold the same."""

    def matches(self, family: Family, prefix: bytes) -> bool:
        """Whether `prefix` is in it."""


@lru_cache(maxsize=1024)
def refusal(rule: str, guard: str) -> Refusal:
    """Return what a path is refused with that breaks a rule of the guard with that name."""
    return Refusal(_PREFIX + rule, f'guard "{guard}"', _TEXTS[rule])


def rule_of(found: Refusal | None) -> str | None:
    """Return which rule of a guard refuses a path, None where that is nothing of a guard's."""
    if found is None or not found.name.startswith(_PREFIX):
        return None
    return found.name.removeprefix(_PREFIX)


def _network(name: str, value: object) -> Network:
    if not isinstance(value, str | IPv4Network | IPv6Network):
        raise ValueError(f"{name}: write a network such as 10.244.0.0/16, not {value!r}")
    try:
        return ip_network(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


@dataclass(frozen=True, slots=True)
class Blocks:
    """So many blocks of one `length` out of a network for each peer, first come, first served.

    Whoever announces a block, or something in it, before others do has all of that block.  With `borrowed`
    the blocks count alone: so many more specific prefixes a peer may announce out of any block, its own or
    another's, and has each of them for itself.  `within` is a network, or text.
    """

    within: Network
    length: int
    count: int = 1
    borrowed: int = 0
    family: Family = field(init=False, compare=False, repr=False)
    _cut: tuple[int, int, bytes] = field(init=False, compare=False, repr=False)

    def __init__(self, within: Network | str, length: int, count: int = 1, borrowed: int = 0) -> None:
        network = _network("within", within)
        for name, value, low, high in (
            ("length", length, network.prefixlen, network.max_prefixlen),
            ("count", count, 1, 1 << 30),
            ("borrowed", borrowed, 0, 1 << 30),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(f"{name}: must be a whole number from {low} to {high}, not {value!r}")
        if borrowed and length == network.max_prefixlen:
            raise ValueError(f"borrowed: nothing is more specific than a /{length}")
        put = object.__setattr__
        put(self, "within", network)
        put(self, "length", length)
        put(self, "count", count)
        put(self, "borrowed", borrowed)
        put(self, "family", family_of(network))
        octets = nlri.parse(network)[1]
        put(self, "_cut", _head(octets))

    def covers(self, prefix: bytes) -> bool:
        """Whether a prefix of this family lies within, and is no larger than a block."""
        whole, mask, head = self._cut
        if prefix[0] < self.length or prefix[1:whole] != head[1:whole]:
            return False
        return not mask or prefix[whole] & mask == head[whole]

    def block(self, prefix: bytes) -> bytes:
        """Return the block in which a prefix lies that this covers."""
        return cut(prefix, self.length)

    def __str__(self) -> str:
        text = f"{self.count} /{self.length} out of {self.within}"
        return f"{text}, {self.borrowed} borrowed" if self.borrowed else text


def cut(prefix: bytes, length: int) -> bytes:
    """Return the prefix of `length` that covers `prefix`, which is at least as long."""
    if prefix[0] == length:
        return prefix
    return nlri.masked(bytes((length,)) + prefix[1 : 1 + (length + 7 >> 3)])


def _head(prefix: bytes) -> tuple[int, int, bytes]:
    """Return the end of the whole octets of a prefix, the mask of the octet behind them, and itself."""
    return 1 + (prefix[0] >> 3), 0xFF00 >> (prefix[0] & 7) & 0xFF, prefix


class Quota(NamedTuple):
    """What a thing that a peer has for itself counts against."""

    blocks: Blocks
    borrowed: bool

    @property
    def most(self) -> int:
        return self.blocks.borrowed if self.borrowed else self.blocks.count


class Share(NamedTuple):
    """What a prefix falls under that one peer has for itself: the whole of `unit`, within `quota`."""

    unit: bytes
    quota: Quota | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a peer may announce; what else it sends is received, and not used.

    `prefixes`, a prefix list: each that is in it is had by whoever announces it first.  `blocks`: so many
    blocks of a length out of a network, first come.  `shared`, a prefix list: what any number of peers may
    announce at once, such as addresses of services; that comes before the other two.  Without these three
    any prefix may be announced, by any number of peers.

    `own_next_hop`: the next hop must be the address of the peer in the session, or lie within `next_hops`:
    networks, or text, for what cannot be that address, such as IPv6 next hops in an IPv4 session.
    `hold`: so many seconds what a peer has is kept for it behind the end of its session.
    `name` is what logs and explanations call it.  Raises ValueError where a value cannot be.
    """

    name: str = "guard"
    prefixes: Prefixes | None = None
    blocks: tuple[Blocks, ...] = ()
    shared: Prefixes | None = None
    own_next_hop: bool = False
    next_hops: tuple[Network, ...] = ()
    hold: float = 0.0
    _hops: tuple[tuple[int, int, bytes], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: must be text, not {self.name!r}")
        for name in ("prefixes", "shared"):
            value = getattr(self, name)
            if value is not None and not callable(getattr(value, "matches", None)):
                raise ValueError(f"{name}: must be a PrefixList, not {value!r}")
        if isinstance(self.hold, bool) or not isinstance(self.hold, int | float) or not 0 <= self.hold < inf:
            raise ValueError(f"hold: must be a number of seconds from 0 on, not {self.hold!r}")
        object.__setattr__(self, "blocks", _several("blocks", self.blocks))
        if not all(isinstance(each, Blocks) for each in self.blocks):
            raise ValueError("blocks: must be a tuple of Blocks")
        networks = tuple(_network("next_hops", each) for each in _several("next_hops", self.next_hops))
        if networks and not self.own_next_hop:
            raise ValueError("next_hops: needs own_next_hop, for without that any next hop passes")
        object.__setattr__(self, "next_hops", networks)
        object.__setattr__(self, "_hops", tuple(_head(nlri.parse(each)[1]) for each in networks))

    @property
    def allots(self) -> bool:
        """Whether it says anything of prefixes."""
        return self.prefixes is not None or self.shared is not None or bool(self.blocks)

    def share(self, family: Family, prefix: bytes) -> Share | str | None:
        """Return what a prefix falls under: a share, or None if anybody may announce it, or OUTSIDE."""
        if self.shared is not None and self.shared.matches(family, prefix):
            return None
        if self.prefixes is not None and self.prefixes.matches(family, prefix):
            return Share(prefix, None)
        for blocks in self.blocks:
            if blocks.family is family and blocks.covers(prefix):
                if blocks.borrowed and prefix[0] > blocks.length:
                    return Share(prefix, Quota(blocks, borrowed=True))
                return Share(blocks.block(prefix), Quota(blocks, borrowed=False))
        return OUTSIDE if self.allots else None

    def takes(self, next_hop: bytes, address: bytes) -> bool:
        """Whether a peer with this `address` may announce routes by `next_hop`.

        Of two addresses (RFC 2545 section 3) the global one counts, unless the session is between link-local
        ones: then the peer is known by the other.
        """
        if not self.own_next_hop:
            return True
        hop = next_hop[:16]
        if hop == address or (len(next_hop) == 32 and next_hop[16:] == address):
            return is_host(next_hop)
        family = len(hop)
        for (whole, mask, head), network in zip(self._hops, self.next_hops, strict=True):
            if network.max_prefixlen == family * 8 and hop[: whole - 1] == head[1:whole]:
                if not mask or hop[whole - 1] & mask == head[whole]:
                    return True
        return False

    def __str__(self) -> str:
        parts = [str(each) for each in self.blocks]
        parts += [f"prefixes {self.prefixes}"] if self.prefixes is not None else []
        parts += [f"shared {self.shared}"] if self.shared is not None else []
        if self.own_next_hop:
            hops = ", ".join(("itself", *map(str, self.next_hops)))
            parts.append(f"next hop {hops}")
        parts += [f"held for {self.hold:g} s"] if self.hold else []
        return f"{self.name}: {'; '.join(parts) or 'anything'}"


def _several(name: str, value: object) -> tuple[object, ...]:
    if isinstance(value, str | Blocks | IPv4Network | IPv6Network) or not isinstance(value, Iterable):
        raise ValueError(f"{name}: must be a list, not {value!r}")
    return tuple(value)
