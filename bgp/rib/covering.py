"""Which of some prefixes cover another one: a look-up for each length that there is among them.

Few prefixes are asked about very many, so what can be prepared is: the octets that a prefix of each length
has in common with all that it covers.
"""

from collections.abc import Mapping
from operator import itemgetter
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Covering(Generic[Value]):
    """Prefixes of one family, with a value each; calling it returns those of the ones that cover a prefix."""

    __slots__ = ("_cuts",)

    def __init__(self, values: Mapping[bytes, Value]) -> None:
        # Length, whole octets behind the length octet, mask of the octet behind those, values by address.
        self._cuts: list[tuple[int, int, int, dict[bytes, Value]]] = []
        for prefix, value in values.items():
            self.add(prefix, value)

    def add(self, prefix: bytes, value: Value) -> None:
        """Take in a further prefix, or another value for one."""
        asked = prefix[0]
        for length, _, _, values in self._cuts:
            if length == asked:
                values[prefix[1:]] = value
                return
        self._cuts.append((asked, 1 + (asked >> 3), 0xFF00 >> (asked & 7) & 0xFF, {prefix[1:]: value}))
        self._cuts.sort(key=itemgetter(0))

    def __bool__(self) -> bool:
        return bool(self._cuts)

    def __call__(self, prefix: bytes) -> list[Value]:
        """Return the values of all prefixes that are less specific than `prefix`, the shortest one first."""
        asked = prefix[0]
        found: list[Value] = []
        for length, whole, mask, values in self._cuts:
            if length >= asked:
                break
            address = prefix[1:whole]
            if mask:
                address += bytes((prefix[whole] & mask,))
            value = values.get(address)
            if value is not None:
                found.append(value)
        return found
