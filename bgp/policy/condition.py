"""Conditions in words: `exists` and `missing` of prefixes, as entries of a prefix list write them."""

from bgp.policy.prefixes import Entry, Network, PrefixList
from bgp.rib.condition import Condition, Conditional

__all__ = ["Condition", "Conditional", "exists", "missing"]


def exists(*entries: Entry | Network | str) -> Condition:
    """Hold while there is a route of any of these prefixes, such as `0.0.0.0/0` or `10.0.0.0/8 le 24`."""
    return Condition(_listed(entries))


def missing(*entries: Entry | Network | str) -> Condition:
    """Hold while there is no route of any of these prefixes."""
    return Condition(_listed(entries), exists=False)


def _listed(entries: tuple[Entry | Network | str, ...]) -> PrefixList:
    if not entries:
        raise ValueError("a condition needs prefixes to look for")
    return PrefixList(entries)
