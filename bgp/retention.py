"""Retention: routes of a peer whose session has ended, kept while it restarts (RFC 4724, 8538, 9494).

To mark a million routes as stale costs nothing: each session has sources of its own, so what is of an earlier
session is stale by that.  Routes of the new session take the places of the old ones, prefix by prefix, and
at End-of-RIB a job takes out what is left, in slices.

For each peer and family there is one account.  First come the days of plain graceful restart: nobody notices
anything, until the peer's Restart Time is over without a new session, or the stale timer is behind one.
Then, with a Long-lived Stale Time, the routes become the last resort: a job moves them to a source that
marks them LLGR_STALE, while those with NO_LLGR go.

What the RFCs leave open: the stale timer of RFC 8538 starts with the new session, so that it never cuts a
Restart Time short, and further resets do not start it again; one that expires while the session is down again
ends the first phase.  A family that only the LLGR capability lists is judged by that one's F bit when the
session is back; where both list it, both must have it.  A session is synchronized (RFC 9494 section 4.2) by
End-of-RIB.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count
from math import inf

from bgp.family import Family
from bgp.iana import WellKnownCommunity
from bgp.rib.claims import Ward
from bgp.rib.jobs import Drain, Jobs, Transfer
from bgp.rib.path import Path, Policy, Source
from bgp.rib.table import Table
from bgp.session.negotiation import Negotiated
from bgp.session.restart import RestartOptions

_NO_LLGR = int(WellKnownCommunity.NO_LLGR)


class Held:
    """The account of one peer and family: `sources` of earlier sessions, the oldest first.

    `down`: there is no session.  Times are None where nothing is timed: `restart_at` ends the Restart Time,
    `stale_at` the stale timer, which is about the `timed` sources, and `gone_at` the Long-lived Stale Time,
    which is `lasting` seconds.  `spent`: the latter has ended, in a session that has not sent End-of-RIB.
    """

    __slots__ = ("down", "gone_at", "lasting", "restart_at", "sources", "spent", "stale_at", "timed")

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.timed: set[Source] = set()
        self.down = True
        self.restart_at: float | None = None
        self.stale_at: float | None = None
        self.gone_at: float | None = None
        self.lasting = 0
        self.spent = False

    @property
    def deadline(self) -> float | None:
        """When something is to be done."""
        times = (self.restart_at, self.stale_at, self.gone_at)
        return min((each for each in times if each is not None), default=None)

    @property
    def long_lived(self) -> bool:
        """Whether the Long-lived Stale Time runs."""
        return self.gone_at is not None

    @property
    def routes(self) -> int:
        """How many routes are kept."""
        return sum(source.routes for source in self.sources)


class Retention:
    """The accounts of all peers, by name and family; `closed` is called when a peer has none any more."""

    def __init__(self, tables: Mapping[Family, Table], jobs: Jobs, closed: Callable[[str], None]) -> None:
        self._tables = tables
        self._jobs = jobs
        self._closed = closed
        self._held: dict[str, dict[Family, Held]] = {}
        # Deadlines, some of them of the past: whoever looks at one asks the account.
        self._times: list[tuple[float, int, str, Family]] = []
        self._count = count()

    def __bool__(self) -> bool:
        return bool(self._held)

    def of(self, name: str) -> Mapping[Family, Held]:
        """Return what is held of a peer."""
        return self._held.get(name, {})

    def names(self) -> Iterable[str]:
        """Return the peers of which something is held."""
        return tuple(self._held)

    # --- What happens to a peer ------------------------------------------------------------------------

    def lost(
        self,
        name: str,
        sources: Mapping[Family, list[Source]],
        negotiated: Negotiated,
        options: RestartOptions,
        now: float,
    ) -> None:
        """Hear that a session has ended such that its routes are kept; `sources` are those of the session."""
        times = _times(negotiated, options)
        accounts = self._held.setdefault(name, {})
        for family in {*accounts, *sources}:
            held, own = accounts.get(family) or Held(), sources.get(family, [])
            waits, lasting = times.get(family, (0, 0))
            if not held.long_lived:
                held.lasting = lasting
            if held.spent or not (waits or held.lasting):
                # RFC 9494 section 4.2: "any remaining routes ... MUST be removed immediately".
                self._drain(family, (*held.sources, *own))
                accounts.pop(family, None)
                continue
            if not (negotiated.notification_restart or held.lasting):
                # RFC 4724 section 4.2: "a route (from the peer) previously marked as stale MUST be deleted".
                self._drain(family, held.sources)
                held.sources.clear()
                held.stale_at = None
            for source in own:
                source.retained = True
            held.sources += own
            held.down, held.restart_at = True, now + waits
            accounts[family] = held
            self._arm(name, family)
        if not accounts:
            del self._held[name]
        self.expire(now)

    def back(
        self, name: str, negotiated: Negotiated, options: RestartOptions, policy: Policy | None, now: float
    ) -> None:
        """Hear that a session is established: what its OPEN does not vouch for goes at once."""
        vouched = _vouched(negotiated)
        for family, held in list(self.of(name).items()):
            plain, lasting = vouched.get(family, (None, None))
            if held.long_lived:
                keeps = lasting is True and plain is not False
            else:
                keeps = plain if plain is not None else bool(lasting and held.lasting)
            if not keeps:
                self._drop(name, family)
                continue
            held.down, held.restart_at = False, None
            if held.stale_at is None and not held.long_lived and options.stale_time != inf:
                held.stale_at = now + options.stale_time
                held.timed = set(held.sources)
            self._arm(name, family)
        self.judge(name, policy)

    def end_of_rib(self, name: str, family: Family) -> None:
        """Hear that the peer has said again all that is still so."""
        if family in self.of(name):
            self._drop(name, family)

    def forget(self, name: str) -> None:
        """Keep nothing of a peer."""
        for family in list(self.of(name)):
            self._drop(name, family)

    def judge(self, name: str, policy: Policy | None) -> None:
        """Judge what is held of a peer by another import policy."""
        for family, held in self.of(name).items():
            for source in list(held.sources):
                if source.policy != policy:
                    self._move(family, held, source, source.under(policy))

    def guard(self, name: str, found: Callable[[Family, bytes], tuple[Ward | None, bool]]) -> None:
        """Judge what is held of a peer by another guard: `found` gives its ward, and whether that differs."""
        for family, held in self.of(name).items():
            ward, differs = found(family, held.sources[0].address) if held.sources else (None, False)
            for source in list(held.sources):
                if differs or source.ward is not ward:
                    self._move(family, held, source, source.ruled(source.policy, ward))

    # --- Time ------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When to call `expire`; None for never."""
        times = self._times
        while times:
            when, _, name, family = times[0]
            held = self.of(name).get(family)
            if held is not None and held.deadline == when:
                return when
            heappop(times)
        return None

    def expire(self, now: float) -> bool:
        """Do what is due; return whether anything was."""
        due = False
        while (deadline := self.deadline) is not None and deadline <= now:
            due = True
            _, _, name, family = heappop(self._times)
            held = self._held[name][family]
            if held.gone_at is not None and held.gone_at <= now:
                self._gone(name, family, held)
            elif held.restart_at is not None and held.restart_at <= now:
                self._outlive(name, family, held, held.restart_at)
            else:
                self._aged(name, family, held, now)
            self._arm(name, family)
        return due

    def _arm(self, name: str, family: Family) -> None:
        held = self.of(name).get(family)
        deadline = None if held is None else held.deadline
        if deadline is not None:
            heappush(self._times, (deadline, next(self._count), name, family))

    def _outlive(self, name: str, family: Family, held: Held, since: float) -> None:
        """End the first phase: the peer has not come back in time."""
        held.restart_at = held.stale_at = None
        if not held.lasting:
            self._drop(name, family)
            return
        if held.gone_at is None:
            held.gone_at = since + held.lasting
        for source in list(held.sources):
            if not source.stale:
                self._move(family, held, source, source.long_lived(), outliving=True)

    def _aged(self, name: str, family: Family, held: Held, now: float) -> None:
        """Do what the stale timer asks for."""
        held.stale_at = None
        if held.long_lived:
            return
        if held.down and held.lasting:
            self._outlive(name, family, held, now)
            return
        # What came with the last session has only begun to be stale.
        self._drain(family, [source for source in held.sources if source in held.timed])
        held.sources[:] = [source for source in held.sources if source not in held.timed]
        if not held.sources:
            self._drop(name, family)

    def _gone(self, name: str, family: Family, held: Held) -> None:
        """End the Long-lived Stale Time."""
        if held.down:
            self._drop(name, family)
            return
        # RFC 9494 section 4.2: until End-of-RIB it has to be known that there is no more time.
        self._drain(family, held.sources)
        held.sources.clear()
        held.stale_at = held.gone_at = None
        held.spent = True

    # --- Routes ----------------------------------------------------------------------------------------

    def _move(
        self, family: Family, held: Held, source: Source, to: Source, *, outliving: bool = False
    ) -> None:
        keeps = _may_outlive if outliving else None
        held.sources.insert(held.sources.index(source) + 1, to)
        if source in held.timed:
            held.timed.add(to)
        self._jobs.add(Transfer(self._tables[family], source, to, held.sources, keeps))

    def _drain(self, family: Family, sources: Iterable[Source]) -> None:
        for source in sources:
            self._jobs.add(Drain(self._tables[family], source))

    def _drop(self, name: str, family: Family) -> None:
        families = self._held[name]
        self._drain(family, families.pop(family).sources)
        if not families:
            del self._held[name]
            self._closed(name)


def _may_outlive(path: Path) -> bool:
    """RFC 9494 section 4.2: NO_LLGR counts "either as sent by the peer or as the result of a policy"."""
    return _NO_LLGR not in path.received.communities and _NO_LLGR not in path.attributes.communities


def _codes(families: Iterable[Family]) -> dict[tuple[int, int], Family]:
    return {(family.afi, family.safi): family for family in families}


def _times(negotiated: Negotiated, options: RestartOptions) -> dict[Family, tuple[int, int]]:
    """Return the Restart Time of each family, and how long it lasts behind that."""
    known = _codes(negotiated.families)
    waits: dict[Family, int] = {}
    lasts: dict[Family, int] = {}
    if negotiated.graceful and negotiated.graceful_restart is not None:
        for afi, safi, _ in negotiated.graceful_restart.families:
            if (afi, safi) in known:
                waits[known[afi, safi]] = negotiated.graceful_restart.time
    if negotiated.long_lived and negotiated.llgr is not None:
        for afi, safi, _, told in negotiated.llgr.families:
            family = known.get((afi, safi))
            if family is not None and family in options.long_lived:
                lasts[family] = options.stale_for(told)
    return {family: (waits.get(family, 0), lasts.get(family, 0)) for family in {*waits, *lasts}}


def _vouched(negotiated: Negotiated) -> dict[Family, tuple[bool | None, bool | None]]:
    """Return the F bits of each family in capabilities 64 and 71, None where that does not list it."""
    known = _codes(negotiated.families)
    plain: dict[Family, bool] = {}
    lasting: dict[Family, bool] = {}
    if negotiated.graceful and negotiated.graceful_restart is not None:
        for afi, safi, forwarding in negotiated.graceful_restart.families:
            if (afi, safi) in known:
                plain[known[afi, safi]] = forwarding
        if negotiated.long_lived and negotiated.llgr is not None:
            for afi, safi, forwarding, _ in negotiated.llgr.families:
                if (afi, safi) in known:
                    lasting[known[afi, safi]] = forwarding
    return {family: (plain.get(family), lasting.get(family)) for family in {*plain, *lasting}}
