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
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bgp import explanation
from bgp.convergence import Convergence
from bgp.errors import Notify
from bgp.explanation import Account, Explanation
from bgp.export import default
from bgp.export.errand import Errand
from bgp.export.gate import NOT_INSTALLED, Gate
from bgp.export.group import Group
from bgp.export.listener import Listener, Taker
from bgp.export.pack import Packer, Told
from bgp.export.rules import NO_ROUTE, NOT_NEGOTIATED, SENDER, TOO_LONG, Withheld
from bgp.export.terms import Terms
from bgp.family import BY_CODE, FAMILIES, Family
from bgp.iana import RouteRefreshSubtype
from bgp.member import Member, Ourselves, PeerSettings, terms
from bgp.policy import Policy
from bgp.preview import Difference, preview_export, preview_import
from bgp.retention import Held, Retention
from bgp.rib import lookup, roles
from bgp.rib.admission import Admission
from bgp.rib.aggregate import Aggregate
from bgp.rib.asking import Failures
from bgp.rib.bounds import MAX_ATTRIBUTE_OCTETS, MAX_PATHS, Bounds, out_of_resources
from bgp.rib.changes import Changes
from bgp.rib.condition import Condition
from bgp.rib.decision import Decision, DecisionOptions
from bgp.rib.history import History, Readers
from bgp.rib.jobs import Drain, Jobs, Rejudge, Sweep, Transfer
from bgp.rib.multipath import Hop, HopChanges, Multipath
from bgp.rib.nexthop import NextHops, Resolver, is_host
from bgp.rib.notice import Condemned, EndOfRib, Notice, Refresh
from bgp.rib.origination import Origination
from bgp.rib.path import Kind, Path, Slots, Source, best_of
from bgp.rib.selection import Selection
from bgp.rib.table import Table
from bgp.rib.walk import Walk
from bgp.session.config import Confederation
from bgp.session.negotiation import Negotiated
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.message import RouteRefresh
from bgp.wire.update import Reach, Unreach, Update

_log = logging.getLogger(__name__)

LAG_LIMIT = 4 << 20
LAG_AGE = 300.0
# So many refreshes a peer may begin while routes of each are left, and none has ended.
_BEGUN = 16
# So many members change their groups in one flush for what is originated.
_REGROUPED = 256

# The settings that may change while there is a session.
_CHANGEABLE = {
    "add_path_select",
    "advertisement_interval",
    "conditional",
    "default_originate",
    "export_policy",
    "import_policy",
    "installed_only",
    "maximum_prefixes",
    "maximum_prefixes_tolerant",
    "maximum_prefixes_warning",
    "next_hop_self",
    "next_hops",
    "third_party_next_hop",
}

Watcher = Callable[[Family, Changes], None]
HopWatcher = Callable[[Family, Mapping[bytes, tuple[Hop, ...]]], None]
NoticeWatcher = Callable[[Member, Notice], None]


class Advertised(NamedTuple):
    """A route as a member was told it; `path_id` is our identifier, None without ADD-PATH."""

    prefix: bytes
    path_id: int | None
    attributes: Attributes
    path: Path


class Router:
    """The tables of one speaker, its decision and its update groups.

    `asn` and `router_id` are our own; `cluster_id` that of the reflector (RFC 4456 section 7), by default the
    router id.  In a `confederation` the `asn` is our member AS in it.  `client_to_client`: reflect between
    clients.  `max_paths` and `max_attribute_octets` bound what all peers together may make us hold.
    `lag_limit`: octets that a member may be behind before it is told the latest state only; `lag_age`:
    seconds that it may be behind before it is `overdue`, 0 for ever.  `decision`: what may be chosen about
    that.
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
        self._bounds = Bounds(max_paths, max_attribute_octets)
        self._lag_limit = lag_limit
        self.lag_age = lag_age
        identifier = router_id.to_bytes(4, "big")
        self._next_hops = NextHops()
        self._failures = Failures()
        self.confederation = confederation
        self.admission = Admission(
            asn,
            identifier,
            self.cluster_id.to_bytes(4, "big"),
            self._next_hops,
            self._failures,
            None if confederation is None else confederation.identifier,
            self.table,
        )
        self.decision = Decision(decision)
        self._multipath = Multipath(self.decision)
        self._tables = {family: Table(family, self.admission, self.decision) for family in FAMILIES}
        self._slots = Slots()
        # What AGGREGATOR says of us may be seen outside of a confederation.
        shown = confederation.identifier if confederation else asn
        hidden = (confederation.members | {asn}) - {shown} if confederation else frozenset()
        self._ourselves = Ourselves(shown, hidden, self.cluster_id.to_bytes(4, "big"), client_to_client)
        self._local = {
            family: Source("", Kind.LOCAL, shown, identifier, family=family) for family in FAMILIES
        }
        self._origination = Origination(self._tables, self._local, self._slots, self.table, self._failures)
        self._own = self._slots.get("", None)
        self._gate = Gate()
        self._members: dict[str, Member] = {}
        self._groups: dict[Terms, Group] = {}
        # Those with an advertisement interval, and the time of the latest flush.
        self._paced: dict[Terms, Group] = {}
        self._now = 0.0
        # Members whose terms may have changed by what is originated.
        self._unsettled: dict[Member, None] = {}
        self._hiding = self._origination.hiding
        # Members that are told something on a condition, and the state of the conditions that they know.
        self._conditioned: dict[Member, None] = {}
        self._epoch = 0
        self._jobs = Jobs()
        # What is left to be done for members that went while a bug struck.
        self._leaving: list[tuple[Member, Callable[[], None]]] = []
        self._retention = Retention(self._tables, self._jobs, self._released)
        # Addresses of ours in sessions that ended, of peers of which something is kept.
        self._lingering: dict[str, list[bytes]] = {}
        # Some peer is told that long-lived stale routes are not for everybody.
        self._long_lived = False
        self._rejudging: dict[Family, Rejudge] = {}  # the last job of its kind
        self._watchers: list[Watcher] = []
        self._hop_watchers: list[HopWatcher] = []
        self._readers = Readers(self._tables)
        self.history = History(self._tables, self._readers)
        self._notice_watchers: list[NoticeWatcher] = []
        self._waiting: set[Member] = set()
        self._at: dict[bytes, set[Member]] = {}  # members by their address
        # The next hops of our own routes where there are any, and how many routes have each.
        self._named: dict[tuple[Family, bytes], bytes] = {}
        self._pointed: Counter[bytes] = Counter()
        # Until the first routes of all peers are there, if they are waited for.
        self._convergence: Convergence | None = None
        self._on_converged: Callable[[], None] | None = None
        # Families of which no routes are chosen, for we have restarted; the groups look at it, too.
        self._deferred: set[Family] = set()

    # --- Members -------------------------------------------------------------------------------------

    @property
    def members(self) -> Mapping[str, Member]:
        """The members by name."""
        return self._members

    @property
    def groups(self) -> Mapping[Terms, Group]:
        """The update groups by their terms."""
        return self._groups

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
                for group in list(self._groups.values()):
                    if name in group.listeners:
                        group.leave(group.listeners[name])
                    if not group.listeners:
                        self._forget(group)
            raise

    def _up(
        self, settings: PeerSettings, negotiated: Negotiated, now: float, acquired: list[Condition]
    ) -> Member:
        name = settings.name
        if settings.local_address and self._next_hops.add_own(settings.local_address):
            self._rejudge([settings.local_address])
        for condition in settings.conditions:
            self._origination.acquire(condition)
            acquired.append(condition)
        if negotiated.long_lived and not self._long_lived:
            self._long_lived = True
            self._unsettled.update(dict.fromkeys(self._members.values()))
        group = self._group(self._terms(settings, negotiated))
        kind = group.terms.kind
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
            )
            for family in negotiated.families
        }
        slot = self._slots.get(name, None)
        if self._retention:
            self._retention.back(name, negotiated, settings.restart, settings.import_policy, now)
        held = self._retention.of(name)
        member = self._members[name] = Member(settings, negotiated, group.join(name), slot, sources, held)
        if settings.conditions:
            self._conditioned[member] = None
        self._at.setdefault(settings.remote_address, set()).add(member)
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
        del self._members[member.name]
        self._waiting.discard(member)
        self._unsettled.pop(member, None)
        self._conditioned.pop(member, None)
        neighbors = self._at.get(member.settings.remote_address, set())
        neighbors.discard(member)
        if not neighbors:
            self._at.pop(member.settings.remote_address, None)
        if member.settings.local_address:
            self._lingering.setdefault(member.name, []).append(member.settings.local_address)
        conditions = list(member.settings.conditions)
        # A step in which a bug strikes keeps none of the others, and is taken again.
        self._leaving += [
            (member, partial(self._take_routes, member, graceful, now)),
            (member, partial(self._leave_group, member._listener)),
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

    def _leave_group(self, listener: Listener) -> None:
        listener.group.leave(listener)
        if not listener.group.listeners and self._groups.get(listener.group.terms) is listener.group:
            self._forget(listener.group)

    def _take_routes(self, member: Member, graceful: bool, now: float) -> None:
        """See that the routes of a member that has left go, or are kept for its return."""
        name = member.name
        if graceful:
            own = {family: member.own_sources(family) for family in member.negotiated.families}
            self._retention.lost(name, own, member.negotiated, member.settings.restart, now)
        else:
            self._retention.forget(name)
            for family in member.negotiated.families:
                for source in member.own_sources(family):
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
        for address in self._lingering.pop(name, ()):
            if self._next_hops.remove_own(address):
                self._rejudge([address])

    def _forget(self, group: Group) -> None:
        del self._groups[group.terms]
        self._paced.pop(group.terms, None)

    def _group(self, terms: Terms) -> Group:
        group = self._groups.get(terms)
        if group is None:
            group = self._groups[terms] = Group(
                terms, self._tables, self._lag_limit, self._failures, self._gate, self._deferred
            )
            if terms.advertisement_interval:
                self._paced[terms] = group
        return group

    def _terms(self, settings: PeerSettings, negotiated: Negotiated) -> Terms:
        return terms(
            settings, negotiated, self._ourselves, self._origination, self._pointed, self._long_lived
        )

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

    # --- Policy --------------------------------------------------------------------------------------

    def set_import_policy(self, member: Member, policy: Policy | None) -> None:
        """Judge what `member` sends by another policy, and by and by, as `work` does it, what it has sent."""
        if policy == member.settings.import_policy:
            return
        member.settings = replace(member.settings, import_policy=policy)
        for family, source in member._sources.items():
            table, former = self._tables[family], member._former[family]
            stale = member._stale.get(family, [])
            renewed = [each.under(policy) for each in (*stale, source)]
            for each, to in zip((*stale, source), renewed, strict=True):
                former.append(each)
                self._jobs.add(Transfer(table, each, to, former))
            *stale[:], member._sources[family] = renewed
        self._retention.judge(member.name, policy)

    def set_policy_of_kept(self, name: str, policy: Policy | None) -> None:
        """Judge what is kept of a peer that restarts by another import policy."""
        self._retention.judge(name, policy)

    def set_export_policy(self, member: Member, policy: Policy | None) -> None:
        """Tell `member` routes by another policy from now on; it pulls what differs for those told before."""
        member.settings = replace(member.settings, export_policy=policy)
        self._regroup(member)

    def change(self, member: Member, settings: PeerSettings) -> None:
        """Go on with other settings, in the same session; the member pulls what differs.

        Raises ValueError, with nothing changed, where they differ in what is known from the start of a
        session: in anything but policies, next hops, limits, which paths are told, what is originated for the
        member or told on conditions, and the advertisement interval.
        """
        before = member.settings
        for name in PeerSettings.__dataclass_fields__:
            if name not in _CHANGEABLE and getattr(before, name) != getattr(settings, name):
                raise ValueError(f"{name}: cannot be changed while there is a session")
        for condition in settings.conditions:
            self._origination.acquire(condition)
        for condition in before.conditions:
            self._origination.release(condition)
        self._conditioned.pop(member, None)
        if settings.conditions:
            self._conditioned[member] = None
        self.set_import_policy(member, settings.import_policy)
        member.adopt(settings)
        self._regroup(member)

    def _regroup(self, member: Member) -> None:
        """Put `member` into the group that its terms ask for; it pulls what differs."""
        before = member._listener.group
        group = self._group(self._terms(member.settings, member.negotiated))
        if group is not before:
            member._listener = group.take(member._listener)
            if not before.listeners:
                self._forget(before)

    def preview_import(self, member: Member, policy: Policy | None) -> Iterator[Difference]:
        """Yield what another import policy would make of the routes that `member` has sent.

        The tables must not change meanwhile.
        """
        return preview_import(self._tables, self.admission, self.decision, member, policy)

    def preview_export(self, member: Member, policy: Policy | None) -> Iterator[Difference]:
        """Yield what `member` would be told otherwise by another export policy.

        The tables must not change meanwhile.
        """
        return preview_export(self._tables, self._outgoing, member, policy)

    def _outgoing(self, packer: Packer, family: Family, path: Path, prefix: bytes) -> Attributes | Withheld:
        told = (
            NOT_INSTALLED if self._shut(packer, family, path, prefix) else packer.told(family, path, prefix)
        )
        if isinstance(told, Withheld):
            return told
        fits = packer.fitting(family, told, [prefix])
        return self.table.intern(told.octets, told.next_hop) if fits else TOO_LONG

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
        for reach in update.announced:
            bounds, octets = self._bounds, len(reach.attributes.octets)
            if reach.path_ids is not None:
                # Each path identifier has a path of its own.
                octets *= len(reach.prefixes)
            bounds.paths -= len(reach.prefixes)
            bounds.octets -= octets
            if bounds.paths < 0 or bounds.octets < 0 or member._limits:
                self._limits(member, reach, octets)
            table, source = self._tables[reach.family], sources[reach.family]
            if reach.path_ids is None:
                table.announce(source, member._slot, reach.attributes, reach.prefixes)
            else:
                for path_id, prefix in zip(reach.path_ids, reach.prefixes, strict=True):
                    slot = self._slots.get(member.name, path_id)
                    table.announce(source, slot, reach.attributes, [prefix])
        if update.end_of_rib is not None:
            member.end_of_rib.add(update.end_of_rib)
            if self._retention:
                self._retention.end_of_rib(member.name, update.end_of_rib)
            if self._convergence is not None:
                self._convergence.end_of_rib(member.name, update.end_of_rib)
            self._notice(member, EndOfRib(update.end_of_rib))

    def _limits(self, member: Member, reach: Reach, octets: int) -> None:
        """Raise Notify where `reach` passes a limit; routes that only replace others do not count."""
        limit = member._limits.get(reach.family)
        if limit is not None:
            held = member.told(reach.family)
            reached = limit.offered(held, len(reach.prefixes), lambda: self._new(member, reach))
            if reached is not None:
                self._notice(member, reached)
        bounds = self._bounds
        if bounds.paths < 0 or bounds.octets < 0:
            whole, asked = (self.routes, self.attribute_octets), (len(reach.prefixes), octets)
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
        bounds = self._bounds
        if member.condemned:
            return False
        in_octets = self.attribute_octets + octets > bounds.max_attribute_octets
        most = bounds.max_attribute_octets if in_octets else bounds.max_paths
        whole = self.attribute_octets if in_octets else self.routes
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
        self._name(family, prefix, attributes.next_hop[:16])

    def withdraw(self, family: Family, prefix: bytes) -> None:
        """Take back a route of our own."""
        self._origination.withdraw(family, prefix)
        self._name(family, prefix, b"")

    def check_conditions(self, conditions: Mapping[tuple[Family, bytes], Condition | None]) -> None:
        """Raise ValueError if the conditions of our routes, with these, would depend on their own outcome."""
        self._origination.check(conditions)

    def _name(self, family: Family, prefix: bytes, next_hop: bytes) -> None:
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
                    self._unsettled.update(dict.fromkeys(self._at[address]))

    def aggregate(self, family: Family, prefix: bytes, aggregate: Aggregate | None) -> None:
        """Originate `prefix` while there are more specific routes, or with None no more.

        Raises KeyError for None where `prefix` is not aggregated.
        """
        self._origination.aggregate(family, prefix, aggregate)
        self._hide()

    def aggregates(self, family: Family) -> Iterator[tuple[bytes, Aggregate]]:
        """Yield the prefixes that are aggregated, and how."""
        return self._origination.aggregates(family)

    # --- What the forwarding plane has -------------------------------------------------------------------

    def installed(self, family: Family, prefix: bytes, installed: bool) -> None:
        """Hear whether the forwarding plane has `prefix`; peers that are told only such routes hear of it."""
        self._gate.note(family, prefix, installed)

    def _shut(self, packer: Packer, family: Family, path: Path, prefix: bytes) -> bool:
        """Whether the gate keeps a path from who is told what `packer` makes."""
        return packer.terms.installed_only and not self._gate.passes(family, prefix, path)

    # --- What is known of next hops -------------------------------------------------------------------

    def next_hop(self, address: bytes, cost: int | None) -> None:
        """Learn the interior cost to a next hop, None where it is not reachable; `work` applies it."""
        self.next_hops({address: cost})

    def next_hops(self, costs: Mapping[bytes, int | None]) -> None:
        """Learn the interior costs to next hops, None for what is not reachable; `work` applies that.

        They are named as `bgp.rib.nexthop.scoped` does it: link-local ones with `%` and the interface behind.
        The routes by those of which it is news are decided anew, and no others.
        """
        changed = self._next_hops.learn(costs)
        if changed:
            self._rejudge(changed)

    def resolve_next_hops(self, resolver: Resolver | None) -> None:
        """Ask `resolver` from now on for each next hop that comes up; with None all are reachable at cost 0.

        Routes that are there already are decided anew, as `work` comes to them.
        """
        self._next_hops.resolver = resolver
        self._rejudge(None)

    def known_next_hops(self) -> Mapping[bytes, int | None]:
        """Return the costs to the next hops of which one is known, None where they are not reachable."""
        return dict(self._next_hops.costs)

    def _rejudge(self, keys: Collection[bytes] | None) -> None:
        self.admission.forget()
        for family, table in self._tables.items():
            if table.routes:
                job = self._rejudging.get(family)
                if job is not None and not job.begun:
                    job.add(keys)
                else:
                    job = self._rejudging[family] = Rejudge(table, keys)
                    self._jobs.add(job)

    # --- The loop ------------------------------------------------------------------------------------

    def flush(self, now: float = 0.0) -> bool:
        """Turn what changed into messages; `now` matters where a peer has an advertisement interval.

        Return whether some member's last pull stopped for the sake of the others, or there is more to do:
        then all should pull again in this turn or the next, though nothing else may happen.
        """
        self._now = now
        due = bool(self._retention) and self._retention.expire(now)
        chosen, complete = self._converge(now)
        self._settle()
        for family in chosen:
            self._choose(family)
        more = bool(self._origination or self._unsettled) and self._originate()
        if complete:
            self._convergence = None
            if self._on_converged is not None:
                self._on_converged()
        for group in self._paced.values():
            group.release(now)
        waiting = self._waiting
        if waiting:
            self._waiting = set()
        return more or bool(waiting) or self._readers.ready(self._deferred) or due

    @property
    def deadline(self) -> float | None:
        """When to flush, though nothing else happens; None for never."""
        found = [group.deadline for group in self._paced.values()]
        if self._convergence is not None:
            found.append(self._convergence.deadline)
        if self._retention:
            found.append(self._retention.deadline)
        return min((each for each in found if each is not None), default=None)

    def _settle(self) -> None:
        for family, table in self._tables.items():
            if family in self._deferred:
                continue
            if table.dirty or self._gate.pending(family):
                self._flush(family, table)
            elif self._readers:
                self._readers.serve(family)

    def _originate(self) -> bool:
        """Do what follows from a flush for routes of our own; return whether there is more to do."""
        origination = self._origination
        while origination.run():
            self._settle()
        more = origination.gather()
        while origination.run():
            self._settle()
        self._hide()
        regrouped = 0
        for member in list(self._unsettled):
            if regrouped == _REGROUPED:
                return True
            regrouped += self._settled(member)
        return more

    def _hide(self) -> None:
        origination = self._origination
        if origination.hiding != self._hiding:
            self._hiding = origination.hiding
            self._unsettled.update(dict.fromkeys(self._members.values()))
        if origination.epoch != self._epoch:
            self._epoch = origination.epoch
            self._unsettled.update(self._conditioned)

    def _settled(self, member: Member) -> bool:
        """Let an unsettled member change its group, unless it is on its way into another one."""
        if member._listener.arriving:
            # However often things change, a member does one re-run at a time; `pull` sees to the next.
            return False
        del self._unsettled[member]
        self._regroup(member)
        return True

    def _choose(self, family: Family) -> None:
        """Choose routes of a family for the first time, behind a restart (RFC 4724 section 4.1)."""
        self._deferred.discard(family)
        # Nobody was told anything of it yet, and all members have a dump of it before them.
        self._flush(family, self._tables[family], tell=False)
        for group in self._groups.values():
            group.resting = False

    def _flush(self, family: Family, table: Table, *, tell: bool = True) -> None:
        groups = [(group, group.packer.selections.get(family)) for group in self._groups.values()]
        selections = {selection for _, selection in groups if selection is not None}
        former = [(group, one) for group, _ in groups for one in group.former_selections(family)]
        selections.update(one for _, one in former)
        history = self.history
        watched = bool(history)
        if watched:
            selections |= history.selections
        originating = bool(self._origination)
        hops = HopChanges(self._multipath) if self._hop_watchers else None
        best, several = table.settle(selections, None if hops is None else hops.note)
        # Of what is done now, a bug in one thing must not keep the others from their news.
        with ExitStack() as rest:
            if hops is not None:
                rest.callback(self._tell_hops, family, hops, best)
            rest.callback(self._tell_watchers, family, best, originating)
            rest.callback(self._readers.serve, family)
            if watched:
                rest.callback(history.note, family, best, several)
            for group, selection in former:
                rest.callback(group.note, family, several[selection])
            untold = dict(groups) if tell else {}
            rest.callback(self._retell_groups, family, untold, best, several)
            rest.callback(self._tell_groups, family, untold, best, several)

    def _tell_groups(
        self,
        family: Family,
        untold: dict[Group, Selection | None],
        best: Changes,
        several: Mapping[Selection, Changes],
    ) -> None:
        """Tell the update groups what a flush changed; those that are told are `untold` no more."""
        failure: Exception | None = None
        table, news = self._tables[family], self._gate.turn(family)
        # What the changes mean behind the gate, for who is there.
        gated: dict[Selection | None, Changes] = {}
        for group, selection in list(untold.items()):
            if family in group.terms.families:
                changes = best if selection is None else several[selection]
                try:
                    if group.terms.installed_only:
                        if selection not in gated:
                            gated[selection] = self._gate.translate(table, selection, changes, news)
                        group.tell(family, gated[selection], self._now, changes)
                    else:
                        group.tell(family, changes, self._now)
                except Exception as error:
                    failure = error
                    continue
            del untold[group]
        if failure is not None:
            raise failure

    def _retell_groups(
        self,
        family: Family,
        untold: Mapping[Group, Selection | None],
        best: Changes,
        several: Mapping[Selection, Changes],
    ) -> None:
        """Have those told in another way that a bug has kept from their news."""
        for group, selection in untold.items():
            if family in group.terms.families:
                group.retell(family, best if selection is None else several[selection])

    def _tell_watchers(self, family: Family, best: Changes, originating: bool) -> None:
        if best:
            if originating:
                self._origination.note(family, best)
            for watcher in self._watchers:
                watcher(family, best)

    def _tell_hops(self, family: Family, hops: HopChanges, best: Changes) -> None:
        hops.fresh(best)
        if hops.found:
            for hop_watcher in self._hop_watchers:
                hop_watcher(family, hops.found)

    def work(self, quota: int = 4096) -> bool:
        """Do sliced jobs, about `quota` prefixes of them; return whether there is more to do."""
        if self._leaving:
            self._finish_leaving()
        if self._next_hops.crowded:
            self._jobs.add(Sweep(self._tables.values(), self._next_hops))
        self._jobs.run(quota)
        return bool(self._jobs)

    def share(self, limit: int = 65536) -> Iterator[tuple[bytes, list[Taker]]]:
        """Yield octets of whole messages, about `limit`, with all who are to take them now.

        What is told to many members alike thus takes one call each.  It counts as pulled, so each taker must
        be given its octets, in this order and before the member pulls again.
        """
        for group in self._groups.values():
            news = group.share(limit)
            if news is not None:
                yield news

    @property
    def resting(self) -> bool:
        """Whether it is known, since the last `share`, that no member has anything to pull."""
        return all(group.resting for group in self._groups.values())

    def pull(self, member: Member, limit: int = 65536) -> list[bytes]:
        """Return what `member` should be told next: octets of whole messages, about `limit` in all."""
        listener = member._listener
        octets = listener.group.pull(listener, limit)
        if listener.waiting:
            self._waiting.add(member)
        elif member in self._unsettled:
            self._settled(member)
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
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

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
        self._hop_watchers.append(watcher)
        return lambda: self._hop_watchers.remove(watcher)

    # --- Views: what they yield is read from the tables, which must not change meanwhile -----------------

    def bound(self, max_paths: int | None, max_attribute_octets: int | None) -> None:
        """Bound what all peers together may make us hold from now on, None for as it is."""
        bounds = self._bounds
        self._bounds = Bounds(
            bounds.max_paths if max_paths is None else max_paths,
            bounds.max_attribute_octets if max_attribute_octets is None else max_attribute_octets,
        )

    @property
    def routes(self) -> int:
        """The routes that are held, of all families; several paths to a prefix are several routes."""
        return sum(table.routes for table in self._tables.values())

    def routes_of(self, family: Family) -> int:
        """Return how many routes of `family` are held."""
        return self._tables[family].routes

    @property
    def prefixes(self) -> dict[Family, int]:
        """How many prefixes each family's table holds."""
        return {family: len(table.entries) for family, table in self._tables.items()}

    @property
    def attribute_octets(self) -> int:
        """The octets of attributes that are held."""
        return sum(table.octets for table in self._tables.values())

    def lookup(self, family: Family, prefix: bytes) -> tuple[Path, ...]:
        """Return the paths of `prefix`, the best one first if any is usable."""
        return self._tables[family].paths(prefix)

    def explain(self, family: Family, prefix: bytes) -> Explanation:
        """Say of each path of `prefix` by which rule it was refused, or lost, or why it is the best one."""
        verdicts = self.decision.explain(self._tables[family].paths(prefix))
        return explanation.explanation(family, prefix, verdicts, self.admission)

    def explain_to(self, member: Member, family: Family, prefix: bytes) -> Account:
        """Say of each path of `prefix` how it goes to `member`, or by which rule it does not.

        Raises ValueError for a family that was not negotiated with the member.
        """
        if family not in member._sources:
            raise ValueError(f"{family} was not negotiated with {member.name}")
        packer, table = member.packer, self._tables[family]
        verdicts = self.decision.explain(table.paths(prefix))
        selected = table.selected(packer.selections.get(family), table.paths(prefix) or None)
        shut = {path for path in selected if self._shut(packer, family, path, prefix)}
        return explanation.account(
            member.name, packer, family, prefix, verdicts, selected, member.pending, shut
        )

    def withheld(self, member: Member, family: Family, prefix: bytes) -> Withheld | None:
        """Return the rule by which our own route for `prefix` does not go to `member`, None if it goes."""
        if family not in member._sources:
            return NOT_NEGOTIATED
        packer, table = member.packer, self._tables[family]
        paths = table.paths(prefix)
        path = next((path for path in paths if path.slot is self._own), None)
        if path is None:
            return NO_ROUTE
        if path in table.selected(packer.selections.get(family), paths):
            told = packer.told(family, path, prefix)
            if isinstance(told, Told) and packer.fitting(family, told, [prefix]):
                return None
        account = self.explain_to(member, family, prefix)
        return next((each.reason for each in account if each.path.slot is self._own), None)

    def errand(self, member: Member, family: Family, prefix: bytes) -> Errand:
        """Return what says whether `member` has pulled the news of our own route for `prefix`."""
        identified = family in member.packer.selections
        return Errand(family, (prefix, self._own if identified else None))

    def done(self, member: Member, errand: Errand) -> bool:
        """Whether `member` has pulled what `errand` asks for; ask once more behind each `pull` or `share`."""
        return not any(table.dirty for table in self._tables.values()) and errand.done(member._listener)

    def multipath(self, family: Family, prefix: bytes) -> tuple[Hop, ...]:
        """Return the paths that traffic to `prefix` may share, with weights, the best one first."""
        return self._multipath.hops(self._tables[family].paths(prefix))

    def best(self, family: Family) -> Iterator[tuple[bytes, Path]]:
        """Yield each prefix that has a usable path, with the best one: the Loc-RIB."""
        table = self._tables[family]
        for prefix, entry in table.entries.items():
            path = best_of(table.paths(prefix) if isinstance(entry, tuple) else entry)
            if path is not None:
                yield prefix, path

    def received(
        self, member: Member, family: Family, refused: bool | None = None
    ) -> Iterator[tuple[bytes, Path]]:
        """Yield what `member` has sent: its Adj-RIB-In, all of it or what is `refused` or is not.

        The path tells by which rule it is refused (`Path.refusal`).
        """
        for source in member.sources(family):
            for prefix, path in self._tables[family].from_source(source):
                if refused is None or refused is (path.refusal is not None):
                    yield prefix, path

    def walk_best(self, family: Family) -> Walk[tuple[bytes, Path]]:
        """Return a walk that finds what `best` yields, in steps between which the tables may change."""
        table = self._tables[family]

        def rows(path: Path, prefixes: list[bytes]) -> Iterable[tuple[bytes, Path]]:
            return ((prefix, path) for prefix in prefixes if table.paths(prefix)[0] is path)

        return Walk(table, lambda path: path.refusal is None, rows)

    def walk_paths(self, family: Family, wanted: Callable[[Path], bool]) -> Walk[tuple[bytes, Path]]:
        """Return a walk that finds the prefixes of each path that is `wanted`, best or not."""
        return Walk(self._tables[family], wanted, lambda path, some: ((prefix, path) for prefix in some))

    def walk_within(self, family: Family, within: bytes) -> Walk[tuple[bytes, tuple[Path, ...]]]:
        """Return a walk that finds `within` and what is more specific, with all paths, best first."""
        table, match = self._tables[family], lookup.within(within)

        def rows(path: Path, prefixes: list[bytes]) -> Iterable[tuple[bytes, tuple[Path, ...]]]:
            for prefix in match(prefixes):
                paths = table.paths(prefix)
                if paths[0] is path:
                    yield prefix, paths

        return Walk(table, lambda path: True, rows)

    def longest_match(self, family: Family, prefix: bytes) -> bytes | None:
        """Return the longest prefix that covers `prefix` and has a usable path."""
        return lookup.longest(self._tables[family], prefix)

    def covering(self, family: Family, prefix: bytes) -> Iterator[bytes]:
        """Yield the prefixes that cover `prefix`, itself among them, the longest one first."""
        return lookup.covering(self._tables[family], prefix)

    def walk_received(
        self, member: Member, family: Family, refused: bool | None = None
    ) -> Walk[tuple[bytes, Path]]:
        """Return a walk that finds what `received` yields, in steps between which the tables may change."""

        def wanted(path: Path) -> bool:
            if path.slot.peer != member.name or path.source not in member.sources(family):
                return False
            return refused is None or refused is (path.refusal is not None)

        return Walk(self._tables[family], wanted, lambda path, some: ((prefix, path) for prefix in some))

    def walk_advertised(self, member: Member, family: Family) -> Walk[Advertised]:
        """Return a walk that finds what `advertised` yields, but for a default route that is in no table."""
        return self._walk_told(lambda: member.packer, family, lambda path: path.slot.peer != member.name)

    def walk_told(self, group: Group, family: Family) -> Walk[Advertised]:
        """Return a walk that finds what all members of a group are told, each but for what is its own."""
        return self._walk_told(lambda: group.packer, family, lambda path: True)

    def _walk_told(
        self, packing: Callable[[], Packer], family: Family, wanted: Callable[[Path], bool]
    ) -> Walk[Advertised]:
        table = self._tables[family]

        def rows(path: Path, prefixes: list[bytes]) -> Iterable[Advertised]:
            packer = packing()
            selection = packer.selections.get(family)
            for prefix in prefixes:
                if path in table.selected(selection, table.paths(prefix)):
                    attributes = self._outgoing(packer, family, path, prefix)
                    if isinstance(attributes, Attributes):
                        yield Advertised(prefix, path.slot.number if selection else None, attributes, path)

        return Walk(table, lambda path: path.refusal is None and wanted(path), rows)

    def advertised(self, member: Member, family: Family) -> Iterator[Advertised]:
        """Yield what `member` has been told, or is about to be: its Adj-RIB-Out."""
        packer = member.packer
        selection = packer.selections.get(family)
        if family in packer.defaults:
            told, path = packer.defaults[family], default.default_route(family, packer.terms.local_as)
            attributes = self.table.intern(told.octets, told.next_hop)
            number = default.SLOT.number if selection else None
            yield Advertised(default.PREFIX, number, attributes, path)
        table = self._tables[family]
        for prefix in table.entries:
            for path in table.selected(selection, table.paths(prefix)):
                if path.slot.peer == member.name:
                    continue
                sent = self._outgoing(packer, family, path, prefix)
                if isinstance(sent, Attributes):
                    yield Advertised(prefix, path.slot.number if selection else None, sent, path)

    def told(
        self, member: Member, family: Family, path: Path, prefix: bytes | None = None
    ) -> Told | Withheld:
        """Return how `path` goes to `member`, or the rule by which it does not.

        An export policy that reads prefixes needs `prefix`.
        """
        if path.slot.peer == member.name:
            return SENDER
        if prefix is not None and self._shut(member.packer, family, path, prefix):
            return NOT_INSTALLED
        return member.packer.told(family, path, prefix)


def _not_negotiated(member: Member, family: Family) -> ValueError:
    if family not in member._sources:
        return ValueError(f"{family} was not negotiated with {member.name}")
    return ValueError(f"path identifiers do not go with what was negotiated with {member.name}")
