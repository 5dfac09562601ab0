"""Convergence: whether the first routes of all peers are there, or were waited for long enough.

Two things wait for that.  Who serves by our routes (the FIB sweeping what an earlier life left, a readiness
probe) wants to know when the table is as good as it gets.  And a speaker that has restarted must not choose
routes, by family, before its peers have sent all of theirs (RFC 4724 section 4.1).

Every peer that was started is waited for, whether its session comes up or not, until each family's
End-of-RIB; a peer that does not speak graceful restart may send none, so for it a while without news counts
as well.  For the choice of routes only peers count that do, and that have not restarted themselves: else two
speakers that restart would wait for each other.  Who may connect from a listen range is not known: there a
while in which nobody new came counts as all.  `deadline` bounds it all: the Selection_Deferral_Timer.
"""

from collections.abc import Callable, Iterable

from bgp.family import Family
from bgp.session.negotiation import Negotiated

# So long without news a peer has told all that it has to tell, and nobody more comes from a listen range.
QUIET = 5.0


class Convergence:
    """The wait of a router that began at `now` for at most `timeout` seconds.

    `restarted`: no routes are chosen of a family for which a peer is waited for.  `open_ended`: peers may
    come that nobody knows of.
    """

    def __init__(
        self, families: Iterable[Family], now: float, timeout: float, *, restarted: bool, open_ended: bool
    ) -> None:
        # Who is waited for, and the families that each has not ended, None while it is not up.
        self._left: dict[str, set[Family] | None] = {}
        # The same by family, for the choice of routes: whoever counts there.
        self._waits: dict[Family, set[str]] = {family: set() for family in families}
        # Of those that need not say End-of-RIB: what they had told when last looked at, and since when.
        self._silent: dict[str, tuple[int, float]] = {}
        self._end = now + timeout
        self._open_ended = open_ended
        self._latest = now  # when somebody came last
        self._looked = now
        # Families of which no routes are chosen yet.
        self.deferred: set[Family] = set(self._waits) if restarted else set()

    def expect(self, name: str) -> None:
        """Wait for a peer that was started."""
        if name not in self._left:
            self._await(name, None, self._waits)

    def spare(self, name: str) -> None:
        """Wait no more for a peer: it was stopped, or has told all."""
        self._left.pop(name, None)
        self._silent.pop(name, None)
        for names in self._waits.values():
            names.discard(name)

    def up(self, name: str, negotiated: Negotiated, now: float) -> None:
        """Hear that a session is established."""
        self.spare(name)
        graceful = negotiated.graceful_restart
        # RFC 4724 section 4.1: not those with "the 'Restart State' bit set in the received capability", and
        # not those that "do not advertise the graceful restart capability".
        counts = negotiated.graceful and graceful is not None and not graceful.restarting
        self._await(name, set(negotiated.families), negotiated.families if counts else ())
        if not negotiated.graceful:
            self._silent[name] = -1, now
        self._latest = now

    def down(self, name: str) -> None:
        """Hear that a session has ended: the next one is waited for."""
        if name in self._left:
            self.spare(name)
            self.expect(name)

    def end_of_rib(self, name: str, family: Family) -> None:
        """Hear that a peer has told all of a family."""
        left = self._left.get(name)
        if left is not None:
            left.discard(family)
            self._waits[family].discard(name)
            if not left:
                self.spare(name)

    def _await(self, name: str, left: set[Family] | None, waits: Iterable[Family]) -> None:
        self._left[name] = left
        for family in waits:
            self._waits[family].add(name)

    @property
    def deadline(self) -> float:
        """When to call `look`, though nothing else happens."""
        looks = self._silent or self._open_ended
        return min(self._end, self._looked + QUIET) if looks else self._end

    def look(self, now: float, told: Callable[[str], int]) -> tuple[list[Family], bool]:
        """Return the families that need not be deferred any longer, and whether all is there.

        `told` says how many routes a peer has told.
        """
        over = now >= self._end
        if now >= self._looked + QUIET:
            self._looked = now
            for name, (number, since) in list(self._silent.items()):
                if told(name) != number:
                    self._silent[name] = told(name), now
                elif now >= since + QUIET:
                    self.spare(name)
        if not over and self._open_ended and now < self._latest + QUIET:
            return [], False
        chosen = [family for family in self.deferred if over or not self._waits[family]]
        self.deferred.difference_update(chosen)
        return chosen, over or not (self._left or self.deferred)
