"""A message that is still open to changes: fields and attributes as they will be written."""

from dataclasses import dataclass, field
from random import Random

from bgp.iana import AttributeFlag

EXTENDED = int(AttributeFlag.EXTENDED_LENGTH)


@dataclass(slots=True)
class Item:
    """One path attribute; `claimed` is the length that is written, if it is not that of the value."""

    flags: int
    type: int
    value: bytes
    claimed: int | None = None

    def octets(self) -> bytes:
        length = len(self.value) if self.claimed is None else self.claimed
        flags = self.flags | EXTENDED if length > 255 else self.flags
        return bytes([flags, self.type]) + length.to_bytes(2 if flags & EXTENDED else 1, "big") + self.value


@dataclass(slots=True)
class Draft:
    """An UPDATE's fields; `tail` follows the last attribute, the excesses are added to the length fields.

    With `ordered` what is put in finds its place by its type.
    """

    withdrawn: list[bytes] = field(default_factory=list)
    attributes: list[Item] = field(default_factory=list)
    nlri: list[bytes] = field(default_factory=list)
    tail: bytes = b""
    withdrawn_excess: int = 0
    attributes_excess: int = 0
    ordered: bool = False

    def find(self, type: int) -> Item | None:
        return next((item for item in self.attributes if item.type == type), None)

    def remove(self, *types: int) -> None:
        self.attributes = [item for item in self.attributes if item.type not in types]

    def insert(self, random: Random, item: Item) -> Item:
        """Put an attribute in, in its order if the others are, else anywhere."""
        types = [other.type for other in self.attributes]
        if self.ordered:
            position = sum(type <= item.type for type in types)
        else:
            position = random.randint(0, len(types))
        self.attributes.insert(position, item)
        return item

    def body(self) -> bytes:
        """Return the message without its header; lengths beyond two octets are written as their maximum."""
        return body(
            b"".join(self.withdrawn),
            b"".join(item.octets() for item in self.attributes) + self.tail,
            b"".join(self.nlri),
            (self.withdrawn_excess, self.attributes_excess),
        )


def body(withdrawn: bytes, attributes: bytes, nlri: bytes, excess: tuple[int, int] = (0, 0)) -> bytes:
    """Return an UPDATE of these three fields without its header (RFC 4271 section 4.3)."""
    lengths = (len(withdrawn) + excess[0], len(attributes) + excess[1])
    first, second = (min(length, 65535).to_bytes(2, "big") for length in lengths)
    return first + withdrawn + second + attributes + nlri
