"""How much peers may make a router hold: each one for itself, and all of them together.

A peer that passes its own limit is the one to go.  Where the bounds of all are passed, that is whoever holds
the most: were it whoever comes next, a peer that fills all and keeps quiet would cost the others theirs.
"""

from collections.abc import Callable, Mapping

from bgp.errors import Notify
from bgp.family import Family
from bgp.member import Member
from bgp.rib.bounds import Bounds
from bgp.rib.notice import Condemned, Notice
from bgp.rib.path import Slots
from bgp.rib.table import Table
from bgp.views import Views
from bgp.wire.update import Reach


class Capacity:
    """The limits of a router; `bounds` holds the allowance that announcements are taken from."""

    def __init__(
        self,
        bounds: Bounds,
        views: Views,
        tables: Mapping[Family, Table],
        slots: Slots,
        members: Mapping[str, Member],
        notice: Callable[[Member, Notice], None],
    ) -> None:
        self.bounds = bounds
        self._views = views
        self._tables = tables
        self._slots = slots
        self._members = members
        self._notice = notice

    def bound(self, max_paths: int | None, max_attribute_octets: int | None) -> None:
        """Bound what all peers together may make us hold from now on, None for as it is."""
        bounds = self.bounds
        self.bounds = Bounds(
            bounds.max_paths if max_paths is None else max_paths,
            bounds.max_attribute_octets if max_attribute_octets is None else max_attribute_octets,
        )

    def check(self, member: Member, reach: Reach, octets: int) -> None:
        """Raise Notify where `reach` passes a limit; routes that only replace others do not count."""
        limit = member._limits.get(reach.family)
        if limit is not None:
            held = member.told(reach.family)
            reached = limit.offered(held, len(reach.prefixes), lambda: self._new(member, reach))
            if reached is not None:
                self._notice(member, reached)
        bounds = self.bounds
        if bounds.paths < 0 or bounds.octets < 0:
            whole, asked = (self._views.routes, self._views.attribute_octets), (len(reach.prefixes), octets)
            try:
                bounds.renew(whole, asked, lambda: self._new(member, reach))
            except Notify as fault:
                if not self._make_room(member, reach, octets, fault):
                    raise
                bounds.grant()

    def _make_room(self, member: Member, reach: Reach, octets: int, fault: Notify) -> bool:
        """Choose who goes where a bound is passed by `reach`; return False if that is `member` itself.

        It is the one that holds the most.  Nobody goes for what is on its way out, within twice the bound.
        """
        bounds = self.bounds
        if member.condemned:
            return False
        in_octets = self._views.attribute_octets + octets > bounds.max_attribute_octets
        most = bounds.max_attribute_octets if in_octets else bounds.max_paths
        whole = self._views.attribute_octets if in_octets else self._views.routes
        held = {
            each: self._held(each, octets=in_octets) for each in self._members.values() if not each.condemned
        }
        held[member] += octets if in_octets else self._new(member, reach)
        if sum(held.values()) > most:
            greediest = max(held, key=lambda each: (held[each], each is member))
            if greediest is member:
                return False
            greediest.condemned = True
            self._notice(greediest, Condemned(fault))
        # With no more than a fair share of it nobody has to go.
        return whole <= 2 * most or held[member] <= most // len(held)

    def _held(self, member: Member, *, octets: bool) -> int:
        """Return how many routes of `member` there are, or octets of attributes."""
        families = member.negotiated.families
        if not octets:
            return sum(member.received(family) for family in families)
        return sum(
            self._tables[family].octets_of(source) for family in families for source in member.sources(family)
        )

    def _new(self, member: Member, reach: Reach) -> int:
        table = self._tables[reach.family]
        if reach.path_ids is None:
            return table.unknown(member._slot, reach.prefixes)
        pairs = set(zip(reach.path_ids, reach.prefixes, strict=True))
        return sum(
            table.unknown(self._slots.get(member.name, path_id), (prefix,)) for path_id, prefix in pairs
        )
