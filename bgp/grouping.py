"""Who is told alike: the update group of each member, and when a member has to change into another one.

A member's group follows from its terms, which settings, the session, and what we originate decide.  So a
member is unsettled, and changes its group at the next flush, when something of that is news: a condition, an
aggregate that hides what is more specific, or the next hop of a route of ours that is the member itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from bgp.export.group import Group
from bgp.export.listener import Listener
from bgp.export.terms import Terms
from bgp.family import Family
from bgp.member import Member, Ourselves, PeerSettings, terms
from bgp.rib.origination import Origination
from bgp.session.negotiation import Negotiated

# So many members change their groups in one flush for what is originated.
_REGROUPED = 256


class Grouping:
    """The update groups of a router, and the members that may be in the wrong one.

    `make` makes a group for terms that nobody had before.
    """

    def __init__(
        self,
        ourselves: Ourselves,
        origination: Origination,
        members: Mapping[str, Member],
        make: Callable[[Terms], Group],
    ) -> None:
        self._ourselves = ourselves
        self._origination = origination
        self._members = members
        self._make = make
        self.groups: dict[Terms, Group] = {}
        # Those with an advertisement interval.
        self._paced: dict[Terms, Group] = {}
        self._unsettled: dict[Member, None] = {}
        self._hiding = origination.hiding
        # Members that are told something on a condition, and the state of the conditions that they know.
        self._conditioned: dict[Member, None] = {}
        self._epoch = 0
        # Some peer is told that long-lived stale routes are not for everybody.
        self._long_lived = False
        self._at: dict[bytes, set[Member]] = {}  # members by their address
        # The next hops of our own routes where there are any, and how many routes have each.
        self._named: dict[tuple[Family, bytes], bytes] = {}
        self._pointed: Counter[bytes] = Counter()

    # --- Members come and go --------------------------------------------------------------------------

    def place(self, settings: PeerSettings, negotiated: Negotiated) -> Group:
        """Return the group for a peer, which is made if there is none."""
        if negotiated.long_lived and not self._long_lived:
            self._long_lived = True
            self.unsettle(self._members.values())
        return self._group(settings, negotiated)

    def add(self, member: Member) -> None:
        """Look after a member that has joined its group."""
        self.depend(member)
        self._at.setdefault(member.settings.remote_address, set()).add(member)

    def remove(self, member: Member) -> None:
        """Look after a member no more; `leave` takes it out of its group."""
        self._unsettled.pop(member, None)
        self._conditioned.pop(member, None)
        neighbors = self._at.get(member.settings.remote_address, set())
        neighbors.discard(member)
        if not neighbors:
            self._at.pop(member.settings.remote_address, None)

    def leave(self, listener: Listener) -> None:
        """Take a listener out of its group, and let go of a group without any."""
        listener.group.leave(listener)
        if not listener.group.listeners and self.groups.get(listener.group.terms) is listener.group:
            self._forget(listener.group)

    def purge(self, name: str) -> None:
        """Leave nothing behind of a peer that could not become a member."""
        for group in list(self.groups.values()):
            if name in group.listeners:
                group.leave(group.listeners[name])
            if not group.listeners:
                self._forget(group)

    def depend(self, member: Member) -> None:
        """Note whether the settings of a member depend on conditions."""
        self._conditioned.pop(member, None)
        if member.settings.conditions:
            self._conditioned[member] = None

    def _group(self, settings: PeerSettings, negotiated: Negotiated) -> Group:
        sought = terms(
            settings, negotiated, self._ourselves, self._origination, self._pointed, self._long_lived
        )
        group = self.groups.get(sought)
        if group is None:
            group = self.groups[sought] = self._make(sought)
            if sought.advertisement_interval:
                self._paced[sought] = group
        return group

    def _forget(self, group: Group) -> None:
        del self.groups[group.terms]
        self._paced.pop(group.terms, None)

    def become(self, ourselves: Ourselves) -> None:
        """Go by something else of ourselves that matters to all terms."""
        self._ourselves = ourselves
        self.unsettle(self._members.values())

    # --- Members change their groups ------------------------------------------------------------------

    def regroup(self, member: Member) -> None:
        """Put `member` into the group that its terms ask for; it pulls what differs."""
        before = member._listener.group
        group = self._group(member.settings, member.negotiated)
        if group is not before:
            member._listener = group.take(member._listener)
            if not before.listeners:
                self._forget(before)

    def unsettle(self, members: Iterable[Member]) -> None:
        """Have the terms of `members` looked at by the next `settle`."""
        self._unsettled.update(dict.fromkeys(members))

    def is_unsettled(self, member: Member) -> bool:
        """Whether the terms of `member` may have changed."""
        return member in self._unsettled

    @property
    def unsettled(self) -> bool:
        """Whether there is something for `settle` to do."""
        return bool(self._unsettled)

    def settle(self) -> bool:
        """Let unsettled members change their groups; return whether there are more of them."""
        regrouped = 0
        for member in list(self._unsettled):
            if regrouped == _REGROUPED:
                return True
            regrouped += self.settled(member)
        return False

    def settled(self, member: Member) -> bool:
        """Let an unsettled member change its group, unless it is on its way into another one."""
        if member._listener.arriving:
            # However often things change, a member does one re-run at a time; `pull` sees to the next.
            return False
        del self._unsettled[member]
        self.regroup(member)
        return True

    def look(self) -> None:
        """Unsettle whom it concerns if other routes are hidden, or other conditions hold, than before."""
        origination = self._origination
        if origination.hiding != self._hiding:
            self._hiding = origination.hiding
            self.unsettle(self._members.values())
        if origination.epoch != self._epoch:
            self._epoch = origination.epoch
            self.unsettle(self._conditioned)

    def point(self, family: Family, prefix: bytes, next_hop: bytes) -> None:
        """Note the next hop of a route of ours: a peer with that address has to be told another."""
        key = family, prefix
        before = self._named.get(key, b"")
        if before == next_hop:
            return
        if next_hop:
            self._named[key] = next_hop
        else:
            del self._named[key]
        for address, change in ((before, -1), (next_hop, 1)):
            if address:
                self._pointed[address] += change
                if not self._pointed[address]:
                    del self._pointed[address]
                if address in self._at:
                    self.unsettle(self._at[address])

    # --- Advertisement intervals ----------------------------------------------------------------------

    def release(self, now: float) -> None:
        """Let groups tell what has waited for their advertisement interval (RFC 4271 section 9.2.1.1)."""
        for group in self._paced.values():
            group.release(now)

    def deadlines(self) -> list[float | None]:
        """Return when `release` has something to do for each group, None for never."""
        return [group.deadline for group in self._paced.values()]
