"""Which prefixes may be installed: those of one list, if there is one, and none of another."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from bgp.family import Family
from bgp.policy.prefixes import Entry, PrefixList

Filter: TypeAlias = PrefixList | Iterable[Entry | IPv4Network | IPv6Network | str]


class Filters:
    """`allow` lists what may be installed (None: all), `never` what is not touched whatever is wanted."""

    __slots__ = ("_allow", "_never", "any")

    def __init__(self, allow: Filter | None = None, never: Filter = ()) -> None:
        self._allow = None if allow is None else _list(allow)
        self._never = _list(never)
        # Who has no filters asks nothing for each prefix.
        self.any = self._allow is not None or len(self._never) > 0

    def exclude(self, family: Family, prefix: bytes) -> bool:
        """Whether `prefix` is kept out."""
        if self._never.matches(family, prefix):
            return True
        return self._allow is not None and not self._allow.matches(family, prefix)


def _list(given: Filter) -> PrefixList:
    return given if isinstance(given, PrefixList) else PrefixList(given)
