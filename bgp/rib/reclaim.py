"""Jobs on claims: who has what is looked at anew where routes went, and routes where claims moved."""

from collections.abc import Hashable, Iterator

from bgp.rib.claims import Ledger, Ward
from bgp.rib.path import paths_of


class Settle:
    """Takes back the offers of a ward for what it has no route of any more, in the order in which they came.

    Those that it waits for come first, so that it gets nothing on its way out.  What it has is left alone
    while that is kept for who is `absent`.
    """

    __slots__ = ("_absent", "_held", "_left", "_ward")

    def __init__(self, ward: Ward, *, absent: bool = True) -> None:
        self._ward = ward
        self._absent = absent
        self._left: Iterator[bytes] | None = None
        self._held = False  # whether it is about what the ward has by now

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return self._ward.ledger.family, self._ward.name

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        while True:
            if self._left is None:
                self._left = iter(list(self._ward.offers))
            for prefix in self._left:
                if self._held is self._ward.has(prefix):
                    self._ward.settle((prefix,), absent=self._absent)
                quota -= 1
                if quota <= 0:
                    return 0
            if self._held:
                return quota
            self._held, self._left = True, None


class Renew:
    """Makes the offers of a ward such as its guard of today has them, in the order in which they came."""

    __slots__ = ("_left", "_ward")

    def __init__(self, ward: Ward) -> None:
        self._ward = ward
        self._left: Iterator[bytes] | None = None

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return self._ward.ledger.family, self._ward.name

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        if self._left is None:
            self._left = iter(list(self._ward.offers))
        for prefix in self._left:
            self._ward.renew(prefix)
            quota -= 1
            if quota <= 0:
                return 0
        while quota > 0 and self._ward.refill():
            quota -= 1
        return quota


class Reconsider:
    """Judges anew the routes whose claims went to their peers, or away from them."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def strand(self) -> Hashable:
        """What jobs that keep their order have in common."""
        return self._ledger.family, "claims"

    def run(self, quota: int) -> int:
        """Do up to `quota`; return what is left of it, 0 for more to do."""
        changed, table = self._ledger.changed, self._ledger.table
        while changed and quota > 0:
            ward, prefix = next(iter(changed))
            for path in paths_of(table.entries.get(prefix)):
                if path.source.ward is ward:
                    table.rejudge_each(path, [prefix])
            del changed[ward, prefix]
            quota -= 1
        return quota if not changed else 0
