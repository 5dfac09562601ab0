"""Who has which prefixes, slow and obvious: queues in the order of arrival, and a look goes through all."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from bgp.family import Family
from bgp.rib.guard import Blocks, Guard
from bgp.wire.attributes import Attributes
from bgp.wire.prefix import network, parse

Unit = tuple[Family, bytes]
# What something counts against: blocks, and whether it is borrowed; None for nothing.
Quota = tuple[Blocks, bool] | None


def share(guard: Guard, family: Family, prefix: bytes) -> tuple[bytes, Quota] | str | None:
    """Return what one peer has for itself with `prefix`; None if anybody may have it, "outside" if nobody."""
    asked = network(family, prefix)
    if guard.shared is not None and guard.shared.matches(family, prefix):
        return None
    if guard.prefixes is not None and guard.prefixes.matches(family, prefix):
        return prefix, None
    for blocks in guard.blocks:
        within = blocks.within
        if asked.version == within.version and asked.subnet_of(within):  # type: ignore[arg-type]
            if asked.prefixlen < blocks.length:
                continue
            if blocks.borrowed and asked.prefixlen > blocks.length:
                return prefix, (blocks, True)
            block = asked.supernet(new_prefix=blocks.length) if asked.prefixlen > blocks.length else asked
            return parse(block)[1], (blocks, False)
    nothing = guard.prefixes is None and guard.shared is None and not guard.blocks
    return None if nothing else "outside"


def takes(guard: Guard, received: Attributes, address: bytes) -> bool:
    """Whether the next hop is the peer, or one that it may name."""
    hop = received.next_hop[:16]
    return (
        not guard.own_next_hop
        or hop == address
        or any(ip_address(hop) in ip_network(each) for each in guard.next_hops)
    )


@dataclass
class Offer:
    """What a peer announces, and what it is part of."""

    name: str
    family: Family
    prefix: bytes
    unit: bytes
    quota: Quota

    @property
    def key(self) -> Unit:
        return self.family, self.unit


@dataclass
class Owners:
    """The offers of all peers in the order in which they came, and who has what."""

    offers: list[Offer] = field(default_factory=list)
    holders: dict[Unit, tuple[str, Quota]] = field(default_factory=dict)
    # Who waits for room, and for what, those first that wait for longest.
    short: list[tuple[str, Unit]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)  # whose claims are kept, though they announce nothing

    def of(self, name: str) -> list[Offer]:
        """Return the offers of a peer."""
        return [each for each in self.offers if each.name == name]

    def arrive(self, guard: Guard, name: str, family: Family, prefix: bytes) -> None:
        """Hear that a peer announces a prefix."""
        if any(each.prefix == prefix and each.family is family for each in self.of(name)):
            return
        found = share(guard, family, prefix)
        if isinstance(found, tuple):
            offer = Offer(name, family, prefix, *found)
            self.offers.append(offer)
            if offer.key not in self.holders:
                self._give(offer)

    def leave(self, name: str, family: Family, prefix: bytes) -> None:
        """Hear that a peer announces a prefix no more."""
        for offer in self.of(name):
            if offer.prefix == prefix and offer.family is family:
                self.offers.remove(offer)
                if not any(each.key == offer.key for each in self.of(name)):
                    self.short = [each for each in self.short if each != (name, offer.key)]
                    if self.holders.get(offer.key, ("",))[0] == name:
                        self._free(offer.key)

    def has_room(self, name: str, quota: Quota) -> bool:
        """Whether a peer may have something more that counts against `quota`."""
        if quota is None:
            return True
        blocks, borrowed = quota
        used = sum(holder == (name, quota) for holder in self.holders.values())
        return used < (blocks.borrowed if borrowed else blocks.count)

    def _give(self, offer: Offer) -> bool:
        """Give what nobody has to whoever offers, if there is room."""
        if not self.has_room(offer.name, offer.quota):
            if (offer.name, offer.key) not in self.short:
                self.short.append((offer.name, offer.key))
            return False
        self.holders[offer.key] = offer.name, offer.quota
        self.short = [each for each in self.short if each[1] != offer.key]
        return True

    def _free(self, key: Unit) -> None:
        """Let whoever came first have it, and who had it what it has waited for longest."""
        name, _ = self.holders.pop(key)
        queue: dict[str, list[Offer]] = {}
        for each in self.offers:
            if each.key == key:
                queue.setdefault(each.name, []).append(each)
        for some in queue.values():
            if any(self.has_room(each.name, each.quota) and self._give(each) for each in some):
                break
        else:
            for some in queue.values():
                self._give(some[0])
        self.refill(name)

    def refill(self, name: str) -> bool:
        """Give a peer what it has waited for longest, if it has room."""
        for who, key in self.short:
            if who == name:
                for each in self.of(name):
                    if each.key == key and self.has_room(name, each.quota):
                        return self._give(each)
        return False

    def renew(self, guard: Guard, name: str) -> None:
        """Go over to another guard: what stays allotted stays with who has it."""
        for offer in self.of(name):
            found = share(guard, offer.family, offer.prefix)
            if not isinstance(found, tuple) or found[0] != offer.unit:
                self.leave(name, offer.family, offer.prefix)
                self.arrive(guard, name, offer.family, offer.prefix)
            elif found[1] != offer.quota:
                before, offer.quota = offer.quota, found[1]
                holder = self.holders.get(offer.key)
                left = [each.quota for each in self.of(name) if each.key == offer.key]
                if holder == (name, before) and before not in left:
                    if self.has_room(name, offer.quota):
                        self.holders[offer.key] = name, offer.quota
                    else:
                        self._free(offer.key)
                elif holder is None:
                    self._give(offer)
        while self.refill(name):
            pass

    def rule(
        self, guard: Guard, name: str, address: bytes, family: Family, prefix: bytes, received: Attributes
    ) -> str | None:
        """Return the rule of the guard that a route breaks."""
        if not takes(guard, received, address):
            return "next-hop"
        found = share(guard, family, prefix)
        if not isinstance(found, tuple):
            return found
        holder = self.holders.get((family, found[0]))
        if holder is None:
            return "count"
        return None if holder[0] == name else "owned"
