"""What a router's guards need: ledgers of its tables, times, and word of what was announced against them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count

from bgp.family import Family
from bgp.rib.claims import Ledger, Ward
from bgp.rib.guard import OWNED, Guard, rule_of
from bgp.rib.jobs import Jobs
from bgp.rib.notice import Breach
from bgp.rib.path import Path, Slot, Slots, Source
from bgp.rib.reclaim import Reconsider, Renew, Settle
from bgp.rib.table import Table
from bgp.wire.update import Reach

# So many seconds lie between two words about one peer and family.
INTERVAL = 60.0
# So many claims of absent peers are kept in a family; beyond, those go first that were kept for longest.
MOST_KEPT = 1 << 17


class Guarding:
    """The ledgers by family.  `totals` counts the routes announced against guards, by guard and rule.

    `eligible`: see `bgp.rib.claims.Ledger`.
    """

    __slots__ = ("_jobs", "_kept", "_news", "_numbers", "_times", "_waiting", "ledgers", "totals")

    def __init__(self, tables: Mapping[Family, Table], jobs: Jobs, eligible: Callable[[Path], bool]) -> None:
        self._jobs = jobs
        self.ledgers = {
            family: Ledger(table, eligible, lambda ledger: jobs.add(Reconsider(ledger)))
            for family, table in tables.items()
        }
        self.totals: Counter[tuple[str, str]] = Counter()
        self._numbers = count()
        # Whose claims are kept, or were lately, by a time when that is not yet over.
        self._kept: set[Ward] = set()
        self._times: list[tuple[float, int, Ward]] = []
        # What is to be told: by ward and rule how many, and the latest one; and when that is due.
        self._news: dict[Ward, dict[str, Breach]] = {}
        self._waiting: list[tuple[float, int, Ward]] = []

    def __bool__(self) -> bool:
        """Whether anything may be due at some time."""
        return bool(self._times or self._waiting)

    # --- Peers ---------------------------------------------------------------------------------------------

    def ward(
        self, family: Family, name: str, address: bytes, guard: Guard | None
    ) -> tuple[Ward | None, bool]:
        """Let a peer have that guard and address from now on.

        Return its ward, None without a guard, and whether what is there of it has to be judged anew.
        """
        ledger = self.ledgers[family]
        ward = ledger.wards.get(name)
        if ward is None:
            if guard is None:
                return None, False
            ward = ledger.wards[name] = Ward(ledger, name, address, guard)
            return ward, True
        if (ward.guard, ward.address) == (guard, address):
            return None if guard is None else ward, False
        ward.guard, ward.address = guard, address
        self._jobs.add(Renew(ward))
        return None if guard is None else ward, True

    def lost(self, sources: Iterable[Source], now: float) -> None:
        """Hear, before its routes go, that a session has ended; these are the sources of it."""
        for ward in dict.fromkeys(source.ward for source in sources):
            if ward is None or ward.guard is None:
                continue
            if ward.until is not None:
                # What it has not said again since the last time is free.
                self._jobs.add(Settle(ward, absent=False))
            if ward.guard.hold:
                ward.until = now + ward.guard.hold
                if ward not in self._kept:
                    self._kept.add(ward)
                    heappush(self._times, (ward.until, next(self._numbers), ward))
                if len(ward.ledger.claims) - ward.ledger.table.routes > MOST_KEPT:
                    # Claims without a route are kept ones: whoever comes and goes makes no end of them.
                    self._free(self._times[0][2])

    def gone(self, name: str) -> None:
        """Hear that nothing is kept of a peer without a session: when it comes back, it comes as another."""
        for ledger in self.ledgers.values():
            ward = ledger.wards.get(name)
            if ward is not None and ward.until is None:
                del ledger.wards[name]

    def said_all(self, source: Source) -> None:
        """Hear that a peer has said all that it has to say: what it has beside is free."""
        if source.ward is not None and source.ward.until is not None:
            self._free(source.ward)

    def _free(self, ward: Ward) -> None:
        ward.until = None
        self._jobs.add(Settle(ward, absent=False))

    # --- What is announced against a guard -----------------------------------------------------------------

    def announced(self, ward: Ward, slots: Slots, reach: Reach) -> None:
        """Count what of `reach`, which the peer has announced, is kept from use."""
        if reach.path_ids is None:
            self._look(ward, slots.get(ward.name, None), reach.prefixes)
        else:
            for path_id, prefix in zip(reach.path_ids, reach.prefixes, strict=True):
                self._look(ward, slots.get(ward.name, path_id), (prefix,))

    def _look(self, ward: Ward, slot: Slot, prefixes: Iterable[bytes]) -> None:
        if ward.guard is None:
            return
        guard, ledger, table = ward.guard.name, ward.ledger, ward.ledger.table
        for prefix in prefixes:
            path = table.in_slot(slot, prefix)
            rule = None if path is None else rule_of(path.refusal)
            if rule is None:
                continue
            ward.hits[rule] = ward.hits.get(rule, 0) + 1
            self.totals[guard, rule] += 1
            news = self._news.get(ward)
            if news is None:
                news = self._news[ward] = {}
                heappush(self._waiting, (ward.quiet_until, next(self._numbers), ward))
            known = news.get(rule)
            claim = ledger.claim_of(ward, prefix) if rule == OWNED else None
            owner = "" if claim is None or claim.holder is None else claim.holder.name
            number = 1 if known is None else known.count + 1
            news[rule] = Breach(ledger.family, guard, rule, number, prefix, owner)

    def tell(self, now: float) -> list[tuple[str, Breach]]:
        """Return what is to be told by now, with the peers' names."""
        found = []
        while self._waiting and self._waiting[0][0] <= now:
            ward = heappop(self._waiting)[2]
            ward.quiet_until = now + INTERVAL
            found += [(ward.name, breach) for breach in self._news.pop(ward, {}).values()]
        return found

    # --- Time ----------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When to call `expire` and `tell`; None for never."""
        while self._times and self._times[0][2].until is None:
            self._kept.discard(heappop(self._times)[2])
        times = [each[0][0] for each in (self._times, self._waiting) if each]
        return min(times, default=None)

    def expire(self, now: float) -> list[str]:
        """Free what was kept for long enough; return of which peers."""
        found: list[str] = []
        while self._times and self._times[0][0] <= now:
            ward = heappop(self._times)[2]
            if ward.until is None:
                self._kept.discard(ward)
            elif ward.until > now:
                heappush(self._times, (ward.until, next(self._numbers), ward))
            else:
                self._kept.discard(ward)
                self._free(ward)
                found.append(ward.name)
        return found


def kept_from_use(sources: Iterable[Source]) -> Counter[str]:
    """Return how many routes from these sources a guard keeps from use now, by rule."""
    found: Counter[str] = Counter()
    for source in sources:
        if source.ward is not None:
            for path in source.ward.ledger.table.paths_from(source):
                rule = rule_of(path.refusal)
                if rule is not None:
                    found[rule] += path.count
    return found
