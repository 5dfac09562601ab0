"""A peer: its options, its connections, and what may be seen of it.

It has a link that dials, unless it is passive, and one more for each connection that the peer opened; which
of them is kept is decided in `bgp.session.collision`.  Of those that the peer opened and that have not
brought an OPEN yet only the newest is kept: a peer that dials again has given up what it dialed before.
"""

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Protocol

from bgp.aio import arguments, interfaces, sockopt
from bgp.aio.address import Endpoint, end_of
from bgp.aio.beacon import Beacon
from bgp.aio.changing import Effect
from bgp.aio.demand import Caller
from bgp.aio.events import EventKind, Events, PeerEvent
from bgp.aio.host import Host
from bgp.aio.link import Link
from bgp.aio.malformed import Malformed
from bgp.aio.neighbors import neighbor_on
from bgp.aio.options import PeerOptions
from bgp.aio.outflow import Outflow
from bgp.aio.signing import set_secret
from bgp.aio.tap import LIMIT, Messages, Tap, Tapped
from bgp.aio.traffic import Traffic
from bgp.errors import Notify
from bgp.explanation import Account
from bgp.family import Family
from bgp.iana import CeaseSubcode, ErrorCode
from bgp.member import Member, PeerSettings
from bgp.policy import Policy
from bgp.rib.limits import LimitReached
from bgp.rib.notice import Breach, Condemned, EndOfRib, Notice, Refresh
from bgp.session.action import Down
from bgp.session.collision import decide
from bgp.session.config import LimitAction, SessionConfig
from bgp.session.event import Event, State
from bgp.session.negotiation import Negotiated
from bgp.session.restart import DEFAULT, Parting
from bgp.wire.message import Keepalive, Notification, encode, encode_shutdown_communication
from bgp.wire.update import Update

logger = logging.getLogger(__name__)

# Our address if the peer is to be met at one only, the peer's, and the scope of a link-local one; of a peer
# that is known by its interface, the name of that.
PeerKey = tuple[IPv4Address | IPv6Address | None, IPv4Address | IPv6Address, int | str]

_KEEPALIVE = encode(Keepalive())
_LINK_LOCAL = ip_network("fe80::/10")
_CHANGED = Notification(ErrorCode.CEASE, CeaseSubcode.OTHER_CONFIGURATION_CHANGE)
_TOO_MANY = (ErrorCode.CEASE, CeaseSubcode.MAXIMUM_NUMBER_OF_PREFIXES_REACHED)
_NOTICES: dict[type, EventKind] = {
    EndOfRib: EventKind.END_OF_RIB,
    Refresh: EventKind.REFRESH,
    LimitReached: EventKind.LIMIT,
    Breach: EventKind.GUARD,
}
_WARNINGS = (EventKind.LIMIT, EventKind.GUARD)


class Overseer(Protocol):
    """The speaker, as its peers see it."""

    def peer_established(self, peer: "Peer") -> None:
        """Hear that `peer` is Established."""

    def peer_idle(self, peer: "Peer") -> None:
        """Hear that `peer` has no connection left, and dials none."""


class Peer:
    """A configured or dynamic neighbor; `Speaker.add_peer` returns it."""

    def __init__(
        self,
        host: Host,
        events: Events,
        overseer: Overseer,
        options: PeerOptions,
        *,
        dynamic: bool = False,
    ) -> None:
        """Make a peer that does nothing yet; raise ValueError where the options do not fit together."""
        self._host = host
        self._events = events
        self._overseer = overseer
        self._config = options.session(host.asn, host.identifier, host.confederation)
        self._links: list[Link] = []
        self._dialer: Link | None = None
        self._revive = False  # the dialer has lost to a connection that may still come to nothing
        self._running = False
        self._removed = False
        self._outdated = False  # the session has earlier options than what comes next
        self._resting: asyncio.TimerHandle | None = None  # after too many prefixes
        self._outflow: Outflow | None = None
        self._beacon: Beacon | None = None  # while a peer known by its interface is waited for
        self._up = asyncio.Event()
        self._past = Traffic()
        self._state = State.IDLE
        self.options = options
        self.remote: Endpoint = options.remote
        self.source: Endpoint | None = options.source
        self.dynamic = dynamic
        self.name = options.name or self._address_text()
        self._malformed = Malformed(self.name)
        self.since = time.time()  # of the present state, on the wall clock
        self.last_error = ""
        self.last_error_at: float | None = None
        self.times_established = 0

    # --- what may be seen ------------------------------------------------------------------------------
    @property
    def key(self) -> PeerKey:
        """What connections are matched by."""
        if self.options.interface:
            return None, self.options.remote.address, self.options.interface
        return None if self.source is None else self.source.address, self.remote.address, self.remote.scope

    @property
    def caller(self) -> Caller:
        """What the listeners are to ask of it."""
        options = self.options
        network = _LINK_LOCAL if options.interface else ip_network(self.remote.address)
        return Caller(network, options.secret, options.minimum_ttl, self.remote.host)

    @property
    def state(self) -> State:
        """The state of the most advanced connection; Active where the peer is waited for."""
        if len(self._links) == 1:  # as nearly all of them have, nearly always
            return self._links[0].state
        states = [link.state for link in self._links]
        waiting = self._running and self._dialer is None and not self.options.blocked
        return max(states, default=State.ACTIVE if waiting else State.IDLE)

    @property
    def negotiated(self) -> Negotiated | None:
        """What the session is, while Established."""
        link = self.session
        return None if link is None else link.negotiated

    @property
    def member(self) -> Member | None:
        """The session as the router knows it, while Established."""
        link = self.session
        return None if link is None else link.member

    @property
    def local_address(self) -> Endpoint | None:
        """Our end of the session, while Established."""
        link = self.session
        return None if link is None else link.local

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._running

    @property
    def traffic(self) -> Traffic:
        """Messages and octets of all its connections so far."""
        total = self._past
        for link in self._links:
            total = total + link.traffic
        return total

    @property
    def connections(self) -> tuple[Link, ...]:
        """Its connections, in whatever state."""
        return tuple(self._links)

    def explain(self, prefix: str | IPv4Network | IPv6Network) -> Account:
        """Say of each path of `prefix` how the peer is told of it, or by which rule it is not.

        Raises ValueError while there is no session, or none for the family.
        """
        self._host.home.check()
        family, octets = arguments.prefix("prefix", prefix)
        member = self.member
        if member is None:
            raise ValueError(f"nothing is told to {self.name}: its session is not Established")
        return self._host.router.rib.explain_to(member, family, octets)

    @property
    def session_config(self) -> SessionConfig:
        """What its connections are made with."""
        return self._config

    async def established(self) -> None:
        """Wait until the session is Established; raise ConnectionError if the peer is removed."""
        self._host.home.check()
        await self._up.wait()
        if self._removed:
            raise ConnectionError(f"peer {self.name} was removed")

    def __repr__(self) -> str:
        return f"<Peer {self.name} {self.state.label}>"

    # --- what may be done ------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin to dial and to take connections."""
        self._host.home.check()
        self._rest_no_more()
        if self._running or self._removed:
            return
        self._running = True
        self._outdated = False
        if self.options.blocked:
            self._block()
            return
        self._host.router.expect(self.name)
        if not self.options.passive:
            self._make_dialer().handle(Event.MANUAL_START)
        self._light_beacon()
        self.link_changed()

    def _block(self) -> None:
        """Stay down as the options want it, and say why."""
        self.last_error = f"kept down: {self.options.blocked}"
        self.last_error_at = time.time()
        self.alarm(self.last_error)

    def stop(
        self,
        communication: str = "",
        subcode: int = CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        *,
        restart: bool = False,
    ) -> None:
        """End the session with a Cease, and stay so until started; the text goes along (RFC 9003).

        It is a Hard Reset where the peer knows that (RFC 8538), and nothing is kept of its routes.  For a
        `restart` the peer is left to keep ours: it gets a Cease that does not forbid that, or none at all
        where any would (RFC 4724 section 4).
        """
        self._host.home.check()
        _check_cease(communication, subcode)
        self._rest_no_more()
        if not restart:
            self._host.router.forget(self.name)
        if not self._running:
            return
        self._running = False
        self._light_beacon()
        self._revive = False
        self._host.router.spare(self.name)
        self._host.turns.schedule()
        cease = Notification(ErrorCode.CEASE, subcode, _communication(communication, subcode))
        for link in list(self._links):
            link.handle(
                Event.MANUAL_STOP,
                cease,
                communication or ("restarting" if restart else "stopped"),
                Parting.RESTART if restart else Parting.USUAL,
            )
        for link in list(self._links):
            self._forget(link)
        self._dialer = None
        self.link_changed()

    def reset(
        self,
        communication: str = "",
        subcode: int = CeaseSubcode.ADMINISTRATIVE_RESET,
        *,
        hard: bool = False,
    ) -> None:
        """End the session with a Cease, and let it start anew.

        Where both sides keep routes after a NOTIFICATION (RFC 8538), they do so now, unless it is `hard`.
        """
        self._host.home.check()
        _check_cease(communication, subcode)
        cease = Notification(ErrorCode.CEASE, subcode, _communication(communication, subcode))
        for link in list(self._links):
            if link.state >= State.OPEN_SENT:
                parting = Parting.HARD if hard else Parting.SOFT
                link.handle(Event.AUTOMATIC_STOP, cease, communication or "reset", parting)

    def request_refresh(self, *families: Family) -> bool:
        """Ask the peer for its routes again (RFC 2918 4), of all families by default.

        Return whether it takes that for each of them; False without a session, too.
        """
        self._host.home.check()
        for family in families:
            arguments.family("families", family)
        link = self.session
        if link is None or link.negotiated is None:
            return False
        asked = [link.request_refresh(family) for family in families or link.negotiated.families]
        return all(asked)

    def tap(self, callback: Callable[[Tapped], None]) -> Tap:
        """Have `callback` called with each message in and out from now on, until the tap is closed.

        It hears a peer from a listen range also when that is gone and has come back.  It must be quick.
        """
        self._host.home.check()
        arguments.called("callback", callback)
        key = self.key if self.dynamic else None
        tap = Tap(self._host.taps, callback, lambda peer: peer is self or (peer.dynamic and peer.key == key))
        return self._host.taps.add(tap, [self])

    def messages(self, limit: int = LIMIT) -> Messages:
        """Return an asynchronous iterator over the messages in and out from now on.

        At most `limit` octets wait in it; what is lost beyond is counted.  Nothing is paid for it but while
        it is there.
        """
        self._host.home.check()
        return Messages(self.tap, limit)

    def refuse(self, member: Member, fault: Notify) -> None:
        """End the session of `member` as the router demands, and let it start anew."""
        for link in list(self._links):
            if link.member is member:
                link.refuse(fault)

    def remove(self, communication: str = "", *, keep: bool = False) -> None:
        """Stop for good: with the text if there is one, else as de-configured (RFC 4486 section 4).

        `keep` what is kept of a dynamic peer's routes: it may connect again.
        """
        subcode = CeaseSubcode.ADMINISTRATIVE_SHUTDOWN if communication else CeaseSubcode.PEER_DE_CONFIGURED
        self.stop(communication, subcode, restart=keep)
        if not self._removed:
            self._removed = True
            self._up.set()
            self._events.emit(PeerEvent(EventKind.REMOVED, self))

    def drop(self) -> None:
        """Let go of all its connections without a word."""
        for link in list(self._links):
            self._forget(link)
        self.link_changed()

    def accept(self, sock: socket.socket) -> None:
        """Take a connection that the peer opened; raise OSError if it is gone already."""
        if self.options.interface:
            remote = end_of(sock.getpeername)
            if remote is not None:
                self._meet(remote)
        older = [each for each in self._links if each.connection.incoming and each.state <= State.OPEN_SENT]
        link = Link(self._host, self, self._config)
        self._links.append(link)
        try:
            link.accept(sock)
        except BaseException:
            self._forget(link)
            if not self._links:
                self._overseer.peer_idle(self)
            raise
        for each in older:
            each.handle(Event.OPEN_COLLISION_DUMP, text="the peer has connected again")

    # --- what links tell (Owner) -----------------------------------------------------------------------
    def prepare(self, sock: socket.socket, *, dialing: bool) -> None:
        """Set what this peer's sockets have beyond the common."""
        options = self.options
        key = options.secret
        if key is not None and dialing:  # an accepted one has its listener's
            set_secret(sock, ip_network(self.remote.address), key)
        ttl = options.sending_ttl(self._host.asn, self._host.confederation)
        if ttl is not None:
            sockopt.set_ttl(sock, ttl)
        if options.minimum_ttl is not None:
            sockopt.set_minimum_ttl(sock, options.minimum_ttl)

    def settings(self, local: Endpoint, remote: Endpoint) -> PeerSettings:
        """Return what the router must know of a session between these two."""
        options = self.options
        on_link = options.is_on_link(self._host.asn, self._host.confederation)
        world = self._host.world
        known = world.addresses()
        # Only there link-local next hops mean anything.
        on_one = interfaces.index(known, local.address, local.scope) if on_link or local.scope else 0
        return PeerSettings(
            name=self.name,
            client=options.client,
            cluster_id=options.cluster,
            route_server_client=options.route_server_client,
            local_address=local.address.packed,
            remote_address=remote.address.packed,
            interface=world.interface(on_one) if on_one else "",
            next_hops={
                **interfaces.next_hops(known, local.address, on_link, local.scope),
                **options.next_hops,
            },
            next_hop_self=options.next_hop_self,
            third_party_next_hop=options.third_party_next_hop,
            import_policy=options.import_policy,
            export_policy=options.export_policy,
            allow_own_as=options.allow_own_as,
            guard=options.guard,
            prepend_local_as=not options.local_as_no_prepend,
            replace_as=options.local_as_replace_as,
            connected=interfaces.connected(known, local.address, local.scope) if on_link else (),
            maximum_prefixes=options.maximum_prefixes,
            maximum_prefixes_warning=options.maximum_prefixes_warning,
            maximum_prefixes_tolerant=options.maximum_prefixes_action is LimitAction.WARN,
            add_path_select=options.add_path_select,
            default_originate=options.default_originate,
            conditional=options.conditional,
            advertisement_interval=options.advertisement_interval,
            installed_only=options.installed_only,
            restart=options.graceful_restart or DEFAULT,
        )

    def set_policies(self, import_policy: Policy | None, export_policy: Policy | None) -> None:
        """Pass routes by these policies from now on; the session stays, and what differs is told anew."""
        self._host.home.check()
        self.options = replace(self.options, import_policy=import_policy, export_policy=export_policy)
        member = self.member
        if member is not None:
            self._host.router.set_import_policy(member, import_policy)
            self._host.router.set_export_policy(member, export_policy)
        else:
            self._host.router.set_policy_of_kept(self.name, import_policy)
        self._host.turns.schedule()

    def set_password(self, password: str | bytes | None) -> None:
        """Sign with another key from now on, in a session that is there, too; for `Speaker.set_password`."""
        self.options = replace(self.options, password=password)
        host = self._host
        self._config = self.options.session(host.asn, host.identifier, host.confederation)
        for link in list(self._links):
            try:
                link.set_md5_key(self.options.key)
            except OSError:
                # Before Linux 5.9 a connection keeps what it began with.
                link.handle(Event.AUTOMATIC_STOP, _CHANGED, "the password has changed")

    def change(self, options: PeerOptions, effect: Effect) -> None:
        """Go on with other options, that take this effect; raise ValueError where they cannot be."""
        host, member, link, before = self._host, self.member, self.session, self.options
        config = options.session(host.asn, host.identifier, host.confederation)
        if effect is Effect.NEXT and member is None:
            effect = Effect.RESET  # of nothing that anybody would miss
        running = self._running
        if effect is Effect.RESET and running:
            self.stop("", CeaseSubcode.OTHER_CONFIGURATION_CHANGE)
        self.options, self._config = options, config
        if before.blocked and not options.blocked:
            self.last_error, self.last_error_at = "", None
        if not options.interface:
            self.remote = options.remote
        if effect is Effect.RESET:
            if running:
                self.start()
            return
        self._outdated = self._outdated or effect is Effect.NEXT
        if member is None:
            host.router.set_policy_of_kept(self.name, options.import_policy)
            host.router.set_guard_of_kept(self.name, options.guard)
            host.turns.schedule()
        if options.key != before.key:
            self.set_password(options.password)
        if member is not None and link is not None and link.local is not None and link.remote is not None:
            after = self.settings(link.local, link.remote)
            if options.maximum_advertised != before.maximum_advertised:
                self._watch_outflow(member)
            # Our own addresses are those of the beginning.
            host.router.change(member, replace(after, connected=member.settings.connected))
            host.turns.schedule()

    def _refit(self) -> None:
        """Begin anew with the options of today, if the session that had earlier ones is over."""
        if not self._outdated or not self._running or self.session is not None:
            return
        self._outdated = False
        for link in list(self._links):
            self._forget(link)
        if not self.options.passive:
            self._make_dialer().handle(Event.AUTOMATIC_START_DAMPED)
        self._light_beacon()
        self.link_changed()

    def alarm(self, text: str) -> None:
        """Report what only a human can put right."""
        logger.warning("%s: %s", self.name, text)
        self._events.emit(PeerEvent(EventKind.ALARM, self, text=text))

    def link_opened(self, link: Link) -> None:
        """Look for a collision: the peer's OPEN came on `link`."""
        self._collide(link)

    def link_established(self, link: Link) -> None:
        """Hear that `link` is Established."""
        self.times_established += 1
        self._collide(link)
        member = link.member
        if member is not None:
            self._watch_outflow(member)
        self._overseer.peer_established(self)

    def link_attached(self, link: Link) -> None:
        """Let the taps hear the TCP connection that `link` has."""
        self._host.taps.attached(self, link)

    def link_malformed(self, update: Update) -> None:
        """Report an UPDATE that RFC 7606 softens."""
        text = self._malformed.softened(update, asyncio.get_running_loop().time())
        if text:
            self._events.emit(PeerEvent(EventKind.ERROR, self, self._state, text=text))

    def notice(self, member: Member, notice: Notice) -> None:
        """Tell what the router has noticed about the session, or end it for that."""
        if isinstance(notice, Condemned):
            # Not at once: it may be in the middle of something.
            asyncio.get_running_loop().call_soon(self.refuse, member, notice.fault)
            return
        kind = _NOTICES[type(notice)]
        level = logging.WARNING if kind in _WARNINGS else logging.DEBUG
        logger.log(level, "%s: %s", self.name, notice)
        self._events.emit(PeerEvent(kind, self, self._state, text=str(notice), family=notice.family))

    def link_ended(self, link: Link, down: Down) -> None:
        """Hear that the TCP connection of `link` is over."""
        if down.event == Event.UPDATE_MSG_ERR and link.connection.refused:
            now = asyncio.get_running_loop().time()
            self._malformed.refused(down.text, link.connection.refused, now)
        level = logging.INFO if down.state >= State.OPEN_SENT else logging.DEBUG
        if down.event != Event.OPEN_COLLISION_DUMP:
            # Two configurations that do not agree: it will not heal, and whoever waits must learn why.
            if _refused(down) and not self.dynamic and down.text != self.last_error:
                level = logging.WARNING
            self.last_error = down.text
            self.last_error_at = time.time()
        logger.log(
            level,
            "%s: connection ended in %s: %s",
            self.name,
            down.state.label,
            down.text,
        )
        if kept := sum(held.routes for held in self._host.router.kept(self.name).values()):
            logger.info("%s: %d of its routes are kept while it restarts (RFC 4724 4.2)", self.name, kept)
        sent = None if down.sent is None else down.sent.cause
        event = PeerEvent(EventKind.DOWN, self, down.state, text=down.text, sent=sent, received=down.received)
        self._events.emit(event)
        if self.session is None:
            self._uncounted()
        if link is not self._dialer:
            self._forget(link)
        elif link.broken:
            self._forget(link)
            if self._running:
                self._make_dialer().handle(Event.AUTOMATIC_START_DAMPED)
        elif down.event == Event.OPEN_COLLISION_DUMP:
            self._revive = True
        if down.sent is not None and (down.sent.cause.code, down.sent.cause.subcode) == _TOO_MANY:
            self._rest(down.text)
        if self._outdated:
            asyncio.get_running_loop().call_soon(self._refit)
        self._wake_dialer()
        if not self._links and self._running:
            self._overseer.peer_idle(self)

    def link_changed(self) -> None:
        """Hear that the state of a link may have changed."""
        state, previous = self.state, self._state
        if state == previous:
            return
        self._state = state
        self.since = time.time()
        if state == State.ESTABLISHED:
            self._up.set()
        elif not self._removed:
            self._up.clear()
        logger.log(
            logging.INFO if State.ESTABLISHED in (state, previous) else logging.DEBUG,
            "%s: %s",
            self.name,
            state.label,
        )
        self._events.emit(PeerEvent(EventKind.STATE, self, state, previous))

    # --- how much it is told -----------------------------------------------------------------------------
    def _watch_outflow(self, member: Member) -> None:
        """Count from now on what `member` is told, if there is a limit."""
        self._uncounted()
        maxima = self.options.maximum_advertised
        if maxima:
            self._outflow = Outflow(self._host.router, member, maxima, self._told_too_much)

    def _uncounted(self) -> None:
        """Count no more what an earlier session was told."""
        if self._outflow is not None:
            self._outflow.stop()
            self._outflow = None

    def _told_too_much(self, family: Family, maximum: int) -> None:
        reason = f"more than {maximum} prefixes of {family} to tell"
        self._uncounted()
        self.stop(reason)
        self.alarm(f"shut down until it is started: {reason}")

    # --- rest after too many prefixes ------------------------------------------------------------------
    def _rest(self, reason: str) -> None:
        """Stay down as the options want it: for some time, or until somebody calls `start`."""
        seconds = self.options.maximum_prefixes_restart
        shut = self.options.maximum_prefixes_action is LimitAction.SHUT
        if not self._running or (seconds is None and not shut):
            return
        self.stop()
        if seconds is not None:
            self._resting = asyncio.get_running_loop().call_later(seconds, self._rested)
        else:
            self.alarm(f"shut down until it is started: {reason}")

    def _rested(self) -> None:
        self.start()
        if not self._links:
            self._overseer.peer_idle(self)

    def _rest_no_more(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    # --- connections -----------------------------------------------------------------------------------
    @property
    def session(self) -> Link | None:
        """The connection that is Established."""
        for link in self._links:
            if link.is_up:
                return link
        return None

    def _make_dialer(self) -> Link:
        target = self._neighbor if self.options.interface else self.remote
        link = Link(self._host, self, self._config, target=target, source=self.source)
        self._dialer = link
        self._links.append(link)
        return link

    def _light_beacon(self) -> None:
        """Be known on the peer's link from now on if it is the peer that dials, else no more."""
        if self._beacon is not None:
            self._beacon.stop()
            self._beacon = None
        options = self.options
        if self._running and options.interface and options.passive:
            self._beacon = Beacon(options.interface, options.connect_retry_time, lambda: self.session is None)

    def _neighbor(self) -> Endpoint:
        """Return whom to dial on the peer's interface; raise OSError."""
        self.remote = neighbor_on(self.options.interface, self.options.port)
        return self.remote

    def _meet(self, remote: Endpoint) -> None:
        """Take the neighbor on the peer's interface for the peer, unless that is another one just now."""
        if remote.address != self.remote.address:
            if any(link.state >= State.OPEN_SENT for link in self._links):
                raise OSError(errno.EBUSY, f"{self.name} has the neighbor {self.remote.host} already")
            self.remote = Endpoint(remote.address, self.options.port, remote.scope)

    def _forget(self, link: Link) -> None:
        """Strike a link that has done its service; what it moved stays counted."""
        if link in self._links:
            self._links.remove(link)
            link.close()
            self._past = self._past + link.traffic
        if link is self._dialer:
            self._dialer = None

    def _collide(self, link: Link) -> None:
        """Have it decided for `link` and each other connection which of the two is kept."""
        for other in list(self._links):
            if other is link or other not in self._links:
                continue
            verdict = decide(link.connection.candidate, other.connection.candidate, self._config)
            if verdict is None:
                continue
            loser = other if verdict.keep_new else link
            if loser is self._dialer:
                self._revive = True
            if loser is link:
                # Where the peer has forgotten the other one, its host will reset what we send there.
                other.write(_KEEPALIVE)
            loser.handle(verdict.event, text=f"collision: {verdict.reason}")
            if loser is link:
                return

    def _wake_dialer(self) -> None:
        """Let a dialer that lost a collision dial again if no winner is left."""
        if not self._revive or not self._running or self._dialer is None:
            return
        if any(link.state >= State.OPEN_CONFIRM for link in self._links):
            return
        self._revive = False
        self._dialer.handle(Event.AUTOMATIC_START_DAMPED)

    def _address_text(self) -> str:
        if self.options.interface:
            return self.options.interface
        if self.source is None:
            return self.remote.host
        return f"{self.remote.host}@{self.source.host}"


def _refused(down: Down) -> bool:
    """Say whether one of the two sides refused the other's OPEN (RFC 4271 6.2)."""
    return any(
        notification is not None and notification.code == ErrorCode.OPEN_MESSAGE_ERROR
        for notification in (down.sent, down.received)
    )


def _check_cease(communication: str, subcode: int) -> None:
    arguments.text("communication", communication)
    arguments.whole("subcode", subcode, 0, 255)


def _communication(text: str, subcode: int) -> bytes:
    """Return the data of a Cease: RFC 9003 allows a text with two of its subcodes only."""
    if not text or subcode not in (
        CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        CeaseSubcode.ADMINISTRATIVE_RESET,
    ):
        return b""
    return encode_shutdown_communication(text)
