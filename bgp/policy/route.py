"""A route while a policy is at work on it: what terms look at, and what they change.

Changes are gathered and made into Attributes when somebody looks, or at the end: a later term sees what an
earlier one did, and terms that only change cost one encoding together.
"""

from ipaddress import IPv4Address, IPv6Address

from bgp.family import Family
from bgp.iana import AttributeType
from bgp.rib.path import Path
from bgp.wire.attributes import Attributes, AttributeTable

Address = IPv4Address | IPv6Address


class Route:
    """`path` as it came to the policy, `prefix` where that is read, and `attributes` as they are by now.

    `chosen` holds the types of attributes that were set on purpose, and that no default may replace.
    """

    __slots__ = ("_attributes", "_changes", "_next_hop", "_table", "chosen", "path", "prefix")

    def __init__(self, path: Path, prefix: bytes | None, table: AttributeTable) -> None:
        self.path = path
        self.prefix = prefix
        self.chosen: frozenset[int] = frozenset()
        self._attributes = path.attributes
        self._changes: dict[int, bytes | None] = {}
        self._next_hop: bytes | None = None
        self._table = table

    @property
    def family(self) -> Family:
        """The family of the path's source."""
        family = self.path.source.family
        if family is None:
            raise ValueError(f"nobody said of which family the paths of {self.path.source!r} are")
        return family

    @property
    def attributes(self) -> Attributes:
        if self._changes or self._next_hop is not None:
            before = self._attributes
            changed = self._table.derive(before, self._changes, self._next_hop)
            same = changed.octets == before.octets and changed.next_hop == before.next_hop
            if not same:
                self._attributes = changed
            self._changes, self._next_hop = {}, None
        return self._attributes

    def get(self, type: int) -> bytes | None:
        """Return the value of an attribute as it is by now."""
        return self._changes[type] if type in self._changes else self._attributes.get(type)

    def set(self, type: int, value: bytes | None) -> None:
        """Give an attribute a value, or take it away with None."""
        self._changes[type] = value

    def choose(self, type: int) -> None:
        """Keep a default from replacing this attribute."""
        self.chosen |= {type}

    def set_next_hop(self, address: bytes) -> None:
        """Set the next hop; empty stands for ourselves, whatever our address towards each peer is."""
        self._next_hop = address
        self.chosen = (
            self.chosen | {AttributeType.NEXT_HOP} if address else self.chosen - {AttributeType.NEXT_HOP}
        )
