"""A session with the speaker under test as its cases see it, and good messages for it.

Each case has two prefixes of its own: the victim is announced well, then touched by the malformed message;
the canary is announced well behind it.  Whoever passes the canary on to the witness has survived.  Two
versions of an announcement differ in a mark, the last AS of the path.
"""

from dataclasses import dataclass, field

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AttributeFlag, AttributeType, MessageType, RouteRefreshSubtype
from bgp.testing.draft import Draft, Item
from bgp.wire.capability import Capabilities, Capability
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import Open, RouteRefresh, encode
from bgp.wire.prefix import parse

T = AttributeType
WELL_KNOWN = int(AttributeFlag.TRANSITIVE)
OPTIONAL = int(AttributeFlag.OPTIONAL)
BOTH = OPTIONAL | WELL_KNOWN

OLD_MARK, NEW_MARK = 64501, 64502
HOLD_TIME = 90
# 198.18.0.0/15 is for the testing of devices (RFC 2544), 2001:db8::/32 for documentation (RFC 3849).
MOST_CASES = 2048


@dataclass(frozen=True, slots=True)
class Scene:
    """What a case may know: both ends, how the target reads us, and what it offered in its OPEN.

    `next_hops` are addresses of ours that the target can reach; a family without one cannot be tried.
    """

    target_as: int
    local_as: int
    identifier: int
    next_hops: dict[Family, bytes]
    context: Context
    number: int = 0
    target_identifier: int = 0
    offered: Capabilities = field(default_factory=Capabilities)
    hold_time: int = HOLD_TIME

    @property
    def internal(self) -> bool:
        return self.target_as == self.local_as

    @property
    def width(self) -> int:
        """Return the octets of an AS number in AS_PATH."""
        return 4 if self.context.four_octet_as else 2

    def _prefix(self, family: Family, half: int) -> bytes:
        if family is IPV4_UNICAST:
            host = (0xC612 + half << 16) + (self.number % MOST_CASES << 5)
            return b"\x1b" + host.to_bytes(4, "big")
        return parse(f"2001:db8:{1 + half}:{self.number:x}::/64")[1]

    def victim(self, family: Family = IPV4_UNICAST) -> bytes:
        return self._prefix(family, 0)

    def canary(self, family: Family = IPV4_UNICAST) -> bytes:
        return self._prefix(family, 1)

    # --- OPEN -------------------------------------------------------------------------------------------

    def capabilities(self) -> Capabilities:
        """Return what we offer."""
        return Capabilities(
            families=tuple((family.afi, family.safi) for family in self.next_hops),
            route_refresh=True,
            enhanced_route_refresh=True,
            extended_message=self.context.extended_messages,
            four_octet_as=self.local_as if self.context.four_octet_as else None,
        )

    def open(
        self,
        *,
        asn: int | None = None,
        identifier: int | None = None,
        hold_time: int | None = None,
        version: int = 4,
        more: tuple[Capability, ...] = (),
    ) -> bytes:
        """Return our OPEN, with changes."""
        capabilities = self.capabilities()
        return encode(
            Open(
                my_as=self.local_as if asn is None else asn,
                hold_time=self.hold_time if hold_time is None else hold_time,
                identifier=self.identifier if identifier is None else identifier,
                capabilities=(*capabilities.encode(), *more),
                version=version,
            )
        )

    def raw_open(self, parameters: bytes, length: int | None = None, hold_time: int = HOLD_TIME) -> bytes:
        """Return an OPEN with these octets as optional parameters, `length` of them by its own account."""
        my_as = self.local_as if self.local_as < 65536 else 23456
        size = len(parameters) if length is None else length
        head = b"\4" + my_as.to_bytes(2, "big") + hold_time.to_bytes(2, "big")
        return frame(
            MessageType.OPEN, head + self.identifier.to_bytes(4, "big") + bytes([size & 255]) + parameters
        )

    def capability_octets(self) -> bytes:
        """Return what we offer as it stands in an optional parameter."""
        return b"".join(
            bytes([item.code, len(item.value)]) + item.value for item in self.capabilities().encode()
        )

    # --- UPDATE -----------------------------------------------------------------------------------------

    def as_path(self, mark: int) -> bytes:
        asns = [mark] if self.internal else [self.local_as, mark]
        numbers = (asn if self.width == 4 or asn < 65536 else 23456 for asn in asns)
        return bytes([2, len(asns)]) + b"".join(asn.to_bytes(self.width, "big") for asn in numbers)

    def draft(self, mark: int, *, family: Family = IPV4_UNICAST, prefixes: tuple[bytes, ...] = ()) -> Draft:
        """Return a good announcement, of the victim unless told otherwise."""
        prefixes = prefixes or (self.victim(family),)
        draft = Draft(ordered=True)
        items = [Item(WELL_KNOWN, T.ORIGIN, b"\0"), Item(WELL_KNOWN, T.AS_PATH, self.as_path(mark))]
        if family is IPV4_UNICAST:
            items.append(Item(WELL_KNOWN, T.NEXT_HOP, self.next_hops[family]))
            draft.nlri = list(prefixes)
        if self.internal:
            items.append(Item(WELL_KNOWN, T.LOCAL_PREF, (100).to_bytes(4, "big")))
        if family is not IPV4_UNICAST:
            items.append(self.reach(family, prefixes))
        draft.attributes = items
        return draft

    def reach(self, family: Family, prefixes: tuple[bytes, ...], next_hop: bytes | None = None) -> Item:
        hop = self.next_hops[family] if next_hop is None else next_hop
        head = family.afi.to_bytes(2, "big") + bytes([family.safi, len(hop)])
        return Item(OPTIONAL, T.MP_REACH_NLRI, head + hop + b"\0" + b"".join(prefixes))

    def unreach(self, family: Family, prefixes: tuple[bytes, ...]) -> Item:
        head = family.afi.to_bytes(2, "big") + bytes([family.safi])
        return Item(OPTIONAL, T.MP_UNREACH_NLRI, head + b"".join(prefixes))

    def announce(self, prefix: bytes, mark: int, family: Family = IPV4_UNICAST) -> bytes:
        return frame(MessageType.UPDATE, self.draft(mark, family=family, prefixes=(prefix,)).body())

    def withdraw(self, prefix: bytes, family: Family = IPV4_UNICAST) -> bytes:
        draft = Draft()
        if family is IPV4_UNICAST:
            draft.withdrawn = [prefix]
        else:
            draft.attributes = [self.unreach(family, (prefix,))]
        return frame(MessageType.UPDATE, draft.body())

    # --- ROUTE-REFRESH ----------------------------------------------------------------------------------

    def refresh(self, subtype: int = RouteRefreshSubtype.REQUEST, family: Family = IPV4_UNICAST) -> bytes:
        return encode(RouteRefresh(family.afi, family.safi, subtype))


def context_of(
    families: frozenset[Family],
    local_as: int,
    target_as: int,
    *,
    four_octet_as: bool,
    extended_messages: bool = False,
) -> Context:
    """Return how a target that keeps to all RFCs reads what we send."""
    return Context(
        internal=local_as == target_as,
        four_octet_as=four_octet_as,
        families=families,
        extended_messages=extended_messages,
        first_as=True,
        peer_as=local_as,
    )
