"""The router: peers, tables and groups; UPDATEs go in, and each member pulls what it should be told.

Nothing here touches a socket or a clock.  The shell hands over what its connections deliver, and once
per turn of its loop does:

    more = router.work(quota)                  # sliced jobs
    more = router.flush() or more              # what changed becomes messages
    for octets, takers in router.share(): ...  # optional: what many members are told alike
    for each member with `member.pending` and room towards its socket:
        write(router.pull(member, room))

and another turn if there is `more`, or when a socket has room again.  What a member pulls is a slice, and
may be empty though the member is still `pending`; `flush` says that there is more as long as that is so.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from bgp.capacity import Capacity
from bgp.convergence import Convergence
from bgp.errors import Notify
from bgp.export.gate import Gate
from bgp.export.group import Group
from bgp.export.listener import Taker
from bgp.export.terms import Terms
from bgp.family import BY_CODE, FAMILIES, Family
from bgp.grouping import Grouping
from bgp.iana import RouteRefreshSubtype
from bgp.member import Member, Ourselves, PeerSettings, kind_of
from bgp.policy import Policy
from bgp.publication import HopWatcher, Publication, Watcher
from bgp.retention import Held, Retention
from bgp.rib import roles
from bgp.rib.admission import Admission
from bgp.rib.aggregate import Aggregate
from bgp.rib.asking import Failures
from bgp.rib.bounds import MAX_ATTRIBUTE_OCTETS, MAX_PATHS, Bounds, out_of_resources
from bgp.rib.claims import Ward
from bgp.rib.clusters import Clusters
from bgp.rib.condition import Condition
from bgp.rib.decision import Decision, DecisionOptions
from bgp.rib.guard import Guard
from bgp.rib.guarding import Guarding
from bgp.rib.history import History
from bgp.rib.jobs import Drain, Jobs, Transfer
from bgp.rib.multipath import Multipath
from bgp.rib.nexthop import NextHops, is_host
from bgp.rib.notice import EndOfRib, Notice, Refresh
from bgp.rib.origination import Origination
from bgp.rib.path import Kind, Path, Slots, Source
from bgp.rib.reachability import Reachability
from bgp.rib.table import Table
from bgp.session.config import Confederation
from bgp.session.negotiation import Negotiated
from bgp.views import Views
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.message import RouteRefresh
from bgp.wire.update import Reach, Unreach, Update

_log = logging.getLogger(__name__)

LAG_LIMIT = 4 << 20
LAG_AGE = 300.0
# So many refreshes a peer may begin while routes of each are left, and none has ended.
_BEGUN = 16

# The settings that may change while there is a session.
_CHANGEABLE = {
    "add_path_select",
    "advertisement_interval",
    "conditional",
    "default_originate",
    "export_policy",
    "guard",
    "import_policy",
    "installed_only",
    "maximum_prefixes",
    "maximum_prefixes_tolerant",
    "maximum_prefixes_warning",
    "next_hop_self",
    "next_hops",
    "third_party_next_hop",
}

NoticeWatcher = Callable[[Member, Notice], None]


class Router:
    """The tables of one speaker, its decision and its update groups.

    `asn` and `router_id` are our own; `cluster_id` that of the reflector (RFC 4456 section 7), by default the
    router id.  In a `confederation` the `asn` is our member AS in it.  `client_to_client`: reflect between
    clients.  `max_paths` and `max_attribute_octets` bound what all peers together may make us hold.
    `lag_limit`: octets that a member may be behind before it is told the latest state only; `lag_age`:
    seconds that it may be behind before it is `overdue`, 0 for ever.  `decision`: what may be chosen about
    that.

    `rib` reads the tables, `next_hops` learns what is known of next hops, and `capacity` has the bounds.
    """

    def __init__(
        self,
        asn: int,
        router_id: int,
        cluster_id: int | None = None,
        *,
        confederation: Confederation | None = None,
        client_to_client: bool = True,
        max_paths: int = MAX_PATHS,
        max_attribute_octets: int = MAX_ATTRIBUTE_OCTETS,
        lag_limit: int = LAG_LIMIT,
        lag_age: float = LAG_AGE,
        decision: DecisionOptions | None = None,
    ) -> None:
        self.asn = asn
        self.router_id = router_id
        self.cluster_id = router_id if cluster_id is None else cluster_id
        self.table = AttributeTable()  # shared with the decoders of all connections
        self.lag_age = lag_age
        identifier = router_id.to_bytes(4, "big")
        next_hops = NextHops()
        failures = Failures()
        self.confederation = confederation
        self.admission = Admission(
            asn,
            identifier,
            self.cluster_id.to_bytes(4, "big"),
            next_hops,
            failures,
            None if confederation is None else confederation.identifier,
            self.table,
        )
        self.decision = Decision(decision)
        multipath = Multipath(self.decision)
        self._tables = {family: Table(family, self.admission, self.decision) for family in FAMILIES}
        self._slots = Slots()
        # What AGGREGATOR says of us may be seen outside of a confederation.
        shown = confederation.identifier if confederation else asn
        hidden = (confederation.members | {asn}) - {shown} if confederation else frozenset()
        self._ourselves = Ourselves(shown, hidden, self.cluster_id.to_bytes(4, "big"), client_to_client)
        local = {family: Source("", Kind.LOCAL, shown, identifier, family=family) for family in FAMILIES}
        self._origination = Origination(self._tables, local, self._slots, self.table, failures)
        self._gate = Gate()
        self._members: dict[str, Member] = {}
        # Families of which no routes are chosen, for we have restarted; the groups look at it, too.
        self._deferred: set[Family] = set()

        def group(sought: Terms) -> Group:
            return Group(sought, self._tables, lag_limit, failures, self._gate, self._deferred)

        self._grouping = Grouping(self._ourselves, self._origination, self._members, group)
        self._now = 0.0  # at the latest flush
        self._jobs = Jobs()
        self.next_hops = Reachability(next_hops, self.admission, self._tables, self._jobs)
        self.clusters = Clusters(self.cluster_id, self.admission, self.next_hops.rejudge)
        # What is left to be done for members that went while a bug struck.
        self._leaving: list[tuple[Member, Callable[[], None]]] = []
        self._retention = Retention(self._tables, self._jobs, self._released)
        self.guarding = Guarding(self._tables, self._jobs, self.admission.is_offer)
        # Addresses of ours in sessions that ended, of peers of which something is kept.
        self._lingering: dict[str, list[bytes]] = {}
        self._publication = Publication(
            self._tables, self._grouping.groups.values(), self._gate, self._origination, multipath
        )
        self._notice_watchers: list[NoticeWatcher] = []
        self._waiting: set[Member] = set()
        own = self._slots.get("", None)
        self.rib = Views(self._tables, self.admission, multipath, self._gate, own, self.table)
        bounds = Bounds(max_paths, max_attribute_octets)
        self.capacity = Capacity(bounds, self.rib, self._tables, self._slots, self._members, self._notice)
        # Until the first routes of all peers are there, if they are waited for.
        self._convergence: Convergence | None = None
        self._on_converged: Callable[[], None] | None = None

    # --- Members -------------------------------------------------------------------------------------

    @property
    def members(self) -> Mapping[str, Member]:
        """The members by name."""
        return self._members

    @property
    def history(self) -> History:
        """What happened to the routes lately, and who follows it."""
        return self._publication.history

    @property
    def groups(self) -> Mapping[Terms, Group]:
        """The update groups by their terms."""
        return self._grouping.groups

    def up(self, settings: PeerSettings, negotiated: Negotiated, now: float = 0.0) -> Member:
        """Take in a peer whose session is established; it will be told all that it may hear.

        `now` matters where something is waited for: convergence, or the return of a peer.  Raises ValueError
        if a member has that name; take it down before.
        """
        name = settings.name
        if not name or name in self._members:
            raise ValueError(f"there is a member {name!r} already" if name else "a peer needs a name")
        if self._leaving:
            self._finish_leaving()
        acquired: list[Condition] = []
        try:
            return self._up(settings, negotiated, now, acquired)
        except BaseException:
            # A bug: whoever does not come in must leave nothing behind.
            member = self._members.get(name)
            if member is not None:
                self.down(member, now=now)
            else:
                self._release_all(acquired)
                self._grouping.purge(name)
            raise

    def _up(
        self, settings: PeerSettings, negotiated: Negotiated, now: float, acquired: list[Condition]
    ) -> Member:
        name = settings.name
        if settings.local_address:
            self.next_hops.add_own(settings.local_address)
        for condition in settings.conditions:
            self._origination.acquire(condition)
            acquired.append(condition)
        group = self._grouping.place(settings, negotiated)
        kind = group.terms.kind
        if self._retention:
            self._retention.back(name, negotiated, settings.restart, settings.import_policy, now)
            self._retention.guard(name, partial(self._ward, name, settings.guard))
        alias = self._ourselves.alias(kind, negotiated)
        sources = {
            family: Source(
                name,
                kind,
                negotiated.remote_as,
                negotiated.remote_identifier.to_bytes(4, "big"),
                settings.remote_address,
                family=family,
                policy=settings.import_policy,
                allow_own_as=settings.allow_own_as,
                connected=settings.connected if kind.external else (),
                role=negotiated.role if family in roles.FAMILIES else None,
                local_as=alias,
                # A route server leaves the AS_PATHs of its clients as they are (RFC 7947 section 2.2.2).
                prepends=bool(alias) and settings.prepend_local_as and kind is Kind.EXTERNAL,
                interface=settings.interface,
                heeds=negotiated.long_lived,
                cluster=group.terms.cluster_id if kind is Kind.CLIENT else b"",
                ward=self._ward(name, settings.guard, family, settings.remote_address)[0],
            )
            for family in negotiated.families
        }
        slot = self._slots.get(name, None)
        held = self._retention.of(name)
        member = self._members[name] = Member(settings, negotiated, group.join(name), slot, sources, held)
        self._grouping.add(member)
        if kind is Kind.CLIENT and settings.cluster_id is not None:
            self.clusters.serve(settings.cluster_id)
        if self._convergence is not None:
            self._convergence.up(name, negotiated, now)
        return member

    def down(self, member: Member, *, graceful: bool = False, now: float = 0.0) -> None:
        """Let a member go whose session ended; `work` takes out its routes.

        If that was `graceful`, at the time `now`, they are kept while the peer restarts (`bgp.retention`);
        `flush` sees to the end of that.
        """
        if self._members.get(member.name) is not member:
            return
        conditions = list(member.settings.conditions)
        cluster, kind = member.settings.cluster_id, kind_of(member.settings, member.negotiated)
        self._grouping.remove(member)
        # If a bug has struck up to here, this is done again; and from here on, what is left of it.
        del self._members[member.name]
        self._waiting.discard(member)
        if member.settings.local_address:
            self._lingering.setdefault(member.name, []).append(member.settings.local_address)
        if cluster is not None and kind is Kind.CLIENT:
            self._leaving.append((member, partial(self.clusters.leave, cluster)))
        # A step in which a bug strikes keeps none of the others, and is taken again.
        self._leaving += [
            (member, partial(self._take_routes, member, graceful, now)),
            (member, partial(self._grouping.leave, member._listener)),
            (member, partial(self._release_all, conditions)),
        ]
        if self._convergence is not None:
            self._leaving.append((member, partial(self._convergence.down, member.name)))
        self._finish_leaving()

    def _finish_leaving(self) -> None:
        """Take the steps that are left of departures; raise what the last bug in them was."""
        failure: Exception | None = None
        for each in list(self._leaving):
            try:
                each[1]()
                self._leaving.remove(each)
            except Exception as error:
                failure = error
        if failure is not None:
            raise failure

    def _release_all(self, conditions: list[Condition]) -> None:
        while conditions:
            self._origination.release(conditions[-1])
            conditions.pop()

    def _take_routes(self, member: Member, graceful: bool, now: float) -> None:
        """See that the routes of a member that has left go, or are kept for its return."""
        name = member.name
        own = {family: member.own_sources(family) for family in member.negotiated.families}
        self.guarding.lost([source for some in own.values() for source in some], now)
        if graceful:
            self._retention.lost(name, own, member.negotiated, member.settings.restart, now)
        else:
            self._retention.forget(name)
            for family, sources in own.items():
                for source in sources:
                    self._jobs.add(Drain(self._tables[family], source))
        if not self._retention.of(name):
            self._released(name)

    def forget(self, name: str) -> None:
        """Keep nothing any more of a peer that restarts."""
        self._retention.forget(name)

    def kept_names(self) -> Iterable[str]:
        """Return the peers of which something is kept from earlier sessions."""
        return self._retention.names()

    def kept(self, name: str) -> Mapping[Family, Held]:
        """Return what is kept of earlier sessions of a peer, by family; of no family for nothing."""
        return self._retention.of(name)

    def received_before(self, name: str, family: Family) -> Iterator[tuple[bytes, Path]]:
        """Yield what is kept of `family` from earlier sessions of a peer."""
        held = self._retention.of(name).get(family)
        for source in () if held is None else held.sources:
            yield from self._tables[family].from_source(source)

    def _released(self, name: str) -> None:
        """Let go of our addresses in earlier sessions with a peer of which nothing is kept."""
        if name not in self._members:
            self.guarding.gone(name)
        for address in self._lingering.pop(name, ()):
            self.next_hops.remove_own(address)

    # --- Convergence ---------------------------------------------------------------------------------

    def converge(
        self,
        now: float,
        timeout: float,
        on_converged: Callable[[], None],
        *,
        restarted: bool = False,
        open_ended: bool = False,
    ) -> None:
        """Wait from now on for the first routes of all peers (`bgp.convergence`).

        `flush` calls `on_converged` when they are there, or were waited for long enough.
        After `restarted`, no routes of a family are chosen or told before that.
        """
        self._on_converged = on_converged
        self._convergence = Convergence(FAMILIES, now, timeout, restarted=restarted, open_ended=open_ended)
        self._deferred |= self._convergence.deferred

    def expect(self, name: str) -> None:
        """Wait for the first routes of a peer that was started, while such are waited for."""
        if self._convergence is not None:
            self._convergence.expect(name)

    def spare(self, name: str) -> None:
        """Do not wait for a peer: it was stopped."""
        if self._convergence is not None:
            self._convergence.spare(name)

    def _converge(self, now: float) -> tuple[list[Family], bool]:
        """Return the families of which routes may be chosen now, and whether all is there."""
        if self._convergence is None:
            return [], False

        def told(name: str) -> int:
            member = self._members.get(name)
            return 0 if member is None else sum(map(member.received, member.negotiated.families))

        return self._convergence.look(now, told)

    # --- Ourselves -----------------------------------------------------------------------------------

    def reflect_clients(self, reflect: bool) -> None:
        """Reflect between clients from now on, or no more (RFC 4456 section 5); they pull what differs."""
        if reflect != self._ourselves.reflect_clients:
            self._ourselves = replace(self._ourselves, reflect_clients=reflect)
            self._grouping.become(self._ourselves)

    # --- Policy --------------------------------------------------------------------------------------

    def set_import_policy(self, member: Member, policy: Policy | None) -> None:
        """Judge what `member` sends by another policy, and by and by, as `work` does it, what it has sent."""
        if policy != member.settings.import_policy:
            self._rule(member, policy, member.settings.guard)

    def set_guard(self, member: Member, guard: Guard | None) -> None:
        """Guard `member` by this from now on, and by and by, as `work` does it, what it has sent."""
        if guard != member.settings.guard:
            self._rule(member, member.settings.import_policy, guard)

    def _rule(self, member: Member, policy: Policy | None, guard: Guard | None) -> None:
        before, address = member.settings, member.settings.remote_address
        member.settings = replace(before, import_policy=policy, guard=guard)
        if guard != before.guard:
            self._retention.guard(member.name, partial(self._ward, member.name, guard))
        for family, source in member._sources.items():
            table, former = self._tables[family], member._former[family]
            stale = member._stale.get(family, [])
            ward, _ = self._ward(member.name, guard, family, address)
            renewed = [each.ruled(policy, ward) for each in (*stale, source)]
            for each, to in zip((*stale, source), renewed, strict=True):
                former.append(each)
                self._jobs.add(Transfer(table, each, to, former))
            *stale[:], member._sources[family] = renewed
        self._retention.judge(member.name, policy)

    def _ward(
        self, name: str, guard: Guard | None, family: Family, address: bytes
    ) -> tuple[Ward | None, bool]:
        return self.guarding.ward(family, name, address, guard)

    def set_policy_of_kept(self, name: str, policy: Policy | None) -> None:
        """Judge what is kept of a peer that restarts by another import policy."""
        self._retention.judge(name, policy)

    def set_guard_of_kept(self, name: str, guard: Guard | None) -> None:
        """Judge what is kept of a peer that restarts by another guard."""
        self._retention.guard(name, partial(self._ward, name, guard))

    def set_export_policy(self, member: Member, policy: Policy | None) -> None:
        """Tell `member` routes by another policy from now on; it pulls what differs for those told before."""
        member.settings = replace(member.settings, export_policy=policy)
        self._grouping.regroup(member)

    def change(self, member: Member, settings: PeerSettings) -> None:
        """Go on with other settings, in the same session; the member pulls what differs.

        Raises ValueError, with nothing changed, where they differ in what is known from the start of a
        session: in anything but policies, guard, next hops, limits, which paths are told, what is originated
        for the member or told on conditions, and the advertisement interval.
        """
        before = member.settings
        for name in PeerSettings.__dataclass_fields__:
            if name not in _CHANGEABLE and getattr(before, name) != getattr(settings, name):
                raise ValueError(f"{name}: cannot be changed while there is a session")
        for condition in settings.conditions:
            self._origination.acquire(condition)
        for condition in before.conditions:
            self._origination.release(condition)
        if (settings.import_policy, settings.guard) != (before.import_policy, before.guard):
            self._rule(member, settings.import_policy, settings.guard)
        member.adopt(settings)
        self._grouping.depend(member)
        self._grouping.regroup(member)

    # --- What peers say ------------------------------------------------------------------------------

    def update(self, member: Member, update: Update) -> None:
        """Apply an UPDATE of `member`.

        Raises Notify (Cease) where a limit is passed: what was announced is not applied then.  Where it is
        one of all members together, the session that is to end may be another one, of which a notice tells
        (`Condemned`).  Raises
        ValueError, with nothing applied, for an UPDATE that does not belong to the member's session.
        """
        sources, identified = member._sources, member._identified
        parts: tuple[Unreach | Reach, ...] = (*update.withdrawn, *update.announced)
        for part in parts:
            if part.family not in sources or (part.path_ids is None) is (part.family in identified):
                raise _not_negotiated(member, part.family)
        # RFC 4271 section 4.3: a prefix in both counts as announced, so withdrawals go first.
        for family, prefixes, path_ids in update.withdrawn:
            table = self._tables[family]
            if path_ids is None:
                table.withdraw(member._slot, prefixes)
            else:
                for path_id, prefix in zip(path_ids, prefixes, strict=True):
                    table.withdraw(self._slots.get(member.name, path_id), [prefix])
            ward = sources[family].ward
            if ward is not None:
                ward.settle(prefixes)
        for reach in update.announced:
            bounds, octets = self.capacity.bounds, len(reach.attributes.octets)
            if reach.path_ids is not None:
                # Each path identifier has a path of its own.
                octets *= len(reach.prefixes)
            bounds.paths -= len(reach.prefixes)
            bounds.octets -= octets
            if bounds.paths < 0 or bounds.octets < 0 or member._limits:
                self.capacity.check(member, reach, octets)
            table, source = self._tables[reach.family], sources[reach.family]
            if reach.path_ids is None:
                table.announce(source, member._slot, reach.attributes, reach.prefixes)
            else:
                for path_id, prefix in zip(reach.path_ids, reach.prefixes, strict=True):
                    slot = self._slots.get(member.name, path_id)
                    table.announce(source, slot, reach.attributes, [prefix])
            if source.ward is not None:
                self.guarding.announced(source.ward, self._slots, reach)
        if update.end_of_rib is not None:
            member.end_of_rib.add(update.end_of_rib)
            if self._retention:
                self._retention.end_of_rib(member.name, update.end_of_rib)
            if self._convergence is not None:
                self._convergence.end_of_rib(member.name, update.end_of_rib)
            self.guarding.said_all(sources[update.end_of_rib])
            self._notice(member, EndOfRib(update.end_of_rib))

    def refresh(self, member: Member, message: RouteRefresh) -> None:
        """Answer a ROUTE-REFRESH of `member` (RFC 2918 section 4, RFC 7313 section 4).

        Raises Notify (Cease) where it begins again and again to send its routes, and never comes to an end.
        """
        family = BY_CODE.get((message.afi, message.safi))
        if family is None or family not in member._sources:
            return
        enhanced = member.negotiated.enhanced_route_refresh
        self._notice(member, Refresh(family, message.subtype))
        match message.subtype:
            case RouteRefreshSubtype.REQUEST:
                listener = member._listener
                listener.group.refresh(listener, family, enhanced)
            case RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH if enhanced:
                # "An implementation MUST ignore a BoRR before End-of-RIB" of a peer with graceful restart.
                if member.negotiated.graceful_restart is not None and family not in member.end_of_rib:
                    _log.info("%s sent BoRR before End-of-RIB of %s", member.name, family)
                    return
                source, stale = member._sources[family], member._stale.setdefault(family, [])
                member._sources[family] = source.renewed()
                stale.append(source)
                if len(stale) > _BEGUN:
                    # What says nothing any more need not be remembered.
                    stale[:] = [each for each in stale if each.routes]
                    if len(stale) > _BEGUN:
                        raise out_of_resources(f"{len(stale)} refreshes of {family} begun and none ended")
            case RouteRefreshSubtype.END_OF_ROUTE_REFRESH if enhanced:
                # What the peer has not said again is gone.
                for source in member._stale.get(family, ()):
                    self._jobs.add(Drain(self._tables[family], source))
                member._stale.pop(family, None)

    # --- What we say ourselves -----------------------------------------------------------------------

    def announce(
        self, family: Family, prefix: bytes, attributes: Attributes, condition: Condition | None = None
    ) -> None:
        """Announce a route of our own; without a next hop in `attributes` that is ourselves.

        With a `condition`, the route is there only while that holds.  Raises ValueError for a next hop that
        cannot be the address of a host, and for conditions that depend on their own outcome.
        """
        if attributes.next_hop and not is_host(attributes.next_hop):
            raise ValueError(f"{attributes.next_hop.hex()} cannot be a next hop")
        self._origination.announce(family, prefix, attributes, condition)
        self._grouping.point(family, prefix, attributes.next_hop[:16])

    def withdraw(self, family: Family, prefix: bytes) -> None:
        """Take back a route of our own."""
        self._origination.withdraw(family, prefix)
        self._grouping.point(family, prefix, b"")

    def check_conditions(self, conditions: Mapping[tuple[Family, bytes], Condition | None]) -> None:
        """Raise ValueError if the conditions of our routes, with these, would depend on their own outcome."""
        self._origination.check(conditions)

    def aggregate(self, family: Family, prefix: bytes, aggregate: Aggregate | None) -> None:
        """Originate `prefix` while there are more specific routes, or with None no more.

        Raises KeyError for None where `prefix` is not aggregated.
        """
        self._origination.aggregate(family, prefix, aggregate)
        self._grouping.look()

    def aggregates(self, family: Family) -> Iterator[tuple[bytes, Aggregate]]:
        """Yield the prefixes that are aggregated, and how."""
        return self._origination.aggregates(family)

    # --- What the forwarding plane has -------------------------------------------------------------------

    def installed(self, family: Family, prefix: bytes, installed: bool) -> None:
        """Hear whether the forwarding plane has `prefix`; peers that are told only such routes hear of it."""
        self._gate.note(family, prefix, installed)

    # --- The loop ------------------------------------------------------------------------------------

    def flush(self, now: float = 0.0) -> bool:
        """Turn what changed into messages; `now` matters where a peer has an advertisement interval.

        Return whether some member's last pull stopped for the sake of the others, or there is more to do:
        then all should pull again in this turn or the next, though nothing else may happen.
        """
        self._now = now
        due = bool(self._retention) and self._retention.expire(now)
        due = (bool(self.guarding) and self._guard(now)) or due
        chosen, complete = self._converge(now)
        self._settle()
        for family in chosen:
            self._choose(family)
        more = bool(self._origination or self._grouping.unsettled) and self._originate()
        if complete:
            self._convergence = None
            if self._on_converged is not None:
                self._on_converged()
        self._grouping.release(now)
        waiting = self._waiting
        if waiting:
            self._waiting = set()
        return more or bool(waiting) or self._publication.readers.ready(self._deferred) or due

    @property
    def deadline(self) -> float | None:
        """When to flush, though nothing else happens; None for never."""
        found = self._grouping.deadlines()
        if self._convergence is not None:
            found.append(self._convergence.deadline)
        if self._retention:
            found.append(self._retention.deadline)
        if self.guarding:
            found.append(self.guarding.deadline)
        return min((each for each in found if each is not None), default=None)

    def _settle(self) -> None:
        for family, table in self._tables.items():
            if family in self._deferred:
                continue
            if table.dirty or self._gate.pending(family):
                self._publication.flush(family, self._now)
            elif self._publication.readers:
                self._publication.readers.serve(family)

    def _originate(self) -> bool:
        """Do what follows from a flush for routes of our own; return whether there is more to do."""
        origination = self._origination
        while origination.run():
            self._settle()
        more = origination.gather()
        while origination.run():
            self._settle()
        self._grouping.look()
        return self._grouping.settle() or more

    def _choose(self, family: Family) -> None:
        """Choose routes of a family for the first time, behind a restart (RFC 4724 section 4.1)."""
        self._deferred.discard(family)
        # Nobody was told anything of it yet, and all members have a dump of it before them.
        self._publication.flush(family, self._now, tell=False)
        for group in self.groups.values():
            group.resting = False

    def _guard(self, now: float) -> bool:
        """Do what is due of guards; return whether that leaves something to do."""
        freed = self.guarding.expire(now)
        for name in freed:
            if name not in self._members and not self._retention.of(name):
                self.guarding.gone(name)
        for name, breach in self.guarding.tell(now):
            member = self._members.get(name)
            if member is not None:
                self._notice(member, breach)
        return bool(freed)

    def work(self, quota: int = 4096) -> bool:
        """Do sliced jobs, about `quota` prefixes of them; return whether there is more to do."""
        if self._leaving:
            self._finish_leaving()
        self.next_hops.sweep()
        self._jobs.run(quota)
        return bool(self._jobs)

    def share(self, limit: int = 65536) -> Iterator[tuple[bytes, list[Taker]]]:
        """Yield octets of whole messages, about `limit`, with all who are to take them now.

        What is told to many members alike thus takes one call each.  It counts as pulled, so each taker must
        be given its octets, in this order and before the member pulls again.
        """
        for group in self.groups.values():
            news = group.share(limit)
            if news is not None:
                yield news

    @property
    def resting(self) -> bool:
        """Whether it is known, since the last `share`, that no member has anything to pull."""
        return all(group.resting for group in self.groups.values())

    def pull(self, member: Member, limit: int = 65536) -> list[bytes]:
        """Return what `member` should be told next: octets of whole messages, about `limit` in all."""
        listener = member._listener
        octets = listener.group.pull(listener, limit)
        if listener.waiting:
            self._waiting.add(member)
        elif self._grouping.is_unsettled(member):
            self._grouping.settled(member)
        return octets

    def overdue(self, now: float) -> list[tuple[Member, Notify]]:
        """Return who is behind for longer than `lag_age`, and the error that ends its session.

        Ask every now and then: how long somebody is behind is known as exactly as this is asked often.
        """
        if not self.lag_age:
            return []
        found = []
        for member in self._members.values():
            listener = member._listener
            lag = listener.group.lag(listener, now)
            if lag > self.lag_age:
                found.append((member, out_of_resources(f"behind for {lag:.0f} s with what it is to be told")))
        return found

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` at each flush with how the best paths changed; return what ends that."""
        return self._publication.watch(watcher)

    def watch_notices(self, watcher: NoticeWatcher) -> Callable[[], None]:
        """Call `watcher` with what is noticed about members (`bgp.rib.notice`); return what ends that."""
        self._notice_watchers.append(watcher)
        return lambda: self._notice_watchers.remove(watcher)

    def _notice(self, member: Member, notice: Notice) -> None:
        for watcher in self._notice_watchers:
            watcher(member, notice)

    def watch_multipath(self, watcher: HopWatcher) -> Callable[[], None]:
        """Call `watcher` at each flush with the multipath sets that changed; return what ends that.

        It is told the new set of each prefix, the best path first, empty where no path is left.  Without
        multipath that is the best path alone.
        """
        return self._publication.watch_multipath(watcher)


def _not_negotiated(member: Member, family: Family) -> ValueError:
    if family not in member._sources:
        return ValueError(f"{family} was not negotiated with {member.name}")
    return ValueError(f"path identifiers do not go with what was negotiated with {member.name}")
