"""What a slow and obvious router keeps of peers that restart: an account for each peer and family.

Each account holds the keys of all routes that are stale, one by one, and looks at its times when it is told
the time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bgp.family import Family

Key = tuple[Family, bytes, str, int | None]


@dataclass
class Account:
    """`stale` routes, those of them that the stale timer is about, and what time it is for them."""

    stale: set[Key] = field(default_factory=set)
    timed: set[Key] = field(default_factory=set)
    down: bool = True
    restart_at: float | None = None
    stale_at: float | None = None
    gone_at: float | None = None
    lasting: float = 0
    spent: bool = False


class Accounts:
    """All accounts; `withdraw` takes a route out, and `doomed` says of one that it must not last."""

    def __init__(self, withdraw: Callable[[Key], None], doomed: Callable[[Key], bool]) -> None:
        self._withdraw = withdraw
        self._doomed = doomed
        self.of: dict[tuple[str, Family], Account] = {}
        self.lasting: set[Key] = set()  # routes that are long-lived stale

    def fresh(self, key: Key) -> bool:
        """Hear of news of a route; return whether it was stale."""
        account = self.of.get((key[2], key[0]))
        known = account is not None and key in account.stale
        if account is not None:
            account.stale.discard(key)
            account.timed.discard(key)
        self.lasting.discard(key)
        return known

    def lost(
        self,
        name: str,
        routes: Iterable[Key],
        times: Mapping[Family, tuple[float, float]],
        notifies: bool,
        now: float,
    ) -> None:
        """A session ended, and these are all routes of the peer; `times`: Restart Time, and what follows."""
        mine = list(routes)
        for family, (waits, lasting) in times.items():
            account = self.of.setdefault((name, family), Account())
            if account.gone_at is None:
                account.lasting = lasting
            here = {key for key in mine if key[0] is family}
            if account.spent or not (waits or account.lasting):
                account.stale |= here
                self.close(name, family)
                continue
            if not notifies and not account.lasting:
                self._drop(account.stale)
                account.stale_at = None
                here = {key for key in here if key not in account.stale}
                account.stale = set()
            account.stale |= here
            account.down, account.restart_at = True, now + waits
        self.look(now)

    def back(self, name: str, vouched: Mapping[Family, bool], stale_time: float, now: float) -> None:
        """A session is there, whose OPEN says of each family whether its routes are still good."""
        for (other, family), account in list(self.of.items()):
            if other != name:
                continue
            if not vouched.get(family):
                self.close(name, family)
                continue
            account.down, account.restart_at = False, None
            if account.stale_at is None and account.gone_at is None:
                account.stale_at, account.timed = now + stale_time, set(account.stale)

    def close(self, name: str, family: Family) -> None:
        """End-of-RIB, or whatever else ends an account."""
        account = self.of.pop((name, family), None)
        if account is not None:
            self._drop(account.stale)

    def look(self, now: float) -> None:
        """Do what is due."""
        for (name, family), account in list(self.of.items()):
            for what in ("gone_at", "restart_at", "stale_at"):
                when = getattr(account, what)
                if when is None or when > now or (name, family) not in self.of:
                    continue
                setattr(account, what, None)
                if what == "gone_at" and account.down:
                    self.close(name, family)
                elif what == "gone_at":
                    self._drop(account.stale)
                    account.stale, account.stale_at, account.spent = set(), None, True
                elif what == "restart_at" or (account.down and account.lasting):
                    if account.gone_at is None or what == "restart_at":
                        self._outlive(name, family, account, when if what == "restart_at" else now)
                elif account.gone_at is None:
                    self._drop(account.timed)
                    account.stale -= account.timed
                    if not account.stale:
                        self.close(name, family)
            if account.gone_at is not None and account.gone_at <= now and (name, family) in self.of:
                self.look(now)

    def _outlive(self, name: str, family: Family, account: Account, since: float) -> None:
        account.restart_at = account.stale_at = None
        if not account.lasting:
            self.close(name, family)
            return
        if account.gone_at is None:
            account.gone_at = since + account.lasting
        for key in sorted(account.stale, key=str):
            if key in self.lasting:
                continue
            if self._doomed(key):
                self._drop([key])
                account.stale.discard(key)
            else:
                self.lasting.add(key)

    def _drop(self, keys: Iterable[Key]) -> None:
        for key in list(keys):
            self._withdraw(key)
