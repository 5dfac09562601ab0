"""What BIRD's commands are answered here: the neighbors are its protocols, and each family is a table."""

import logging
import time
from collections.abc import AsyncGenerator, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bgp.aio.lookup import Route
from bgp.aio.peer import Peer
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import Origin
from bgp.rib.path import Path
from bgp.session.event import State
from bgp.session.negotiation import Negotiated
from bgp.tools.json_form import next_hop_text
from bgp.wire import aspath
from bgp.wire.attributes import Attributes
from bgp.wire.community import extended_text
from bgp.wire.prefix import address_text
from reflector.birdc.commands import RouteQuery, Words, route_query, split
from reflector.birdc.reply import VERSION, Code, Refused, Reply
from reflector.configuration.document import ConfigurationError
from reflector.report.memory import resident
from reflector.report.words import as_number, identifier

if TYPE_CHECKING:
    from reflector.app import Service

logger = logging.getLogger(__name__)

_COMMANDS = ("configure", "disable", "enable", "help", "quit", "reload", "restart", "restrict", "show")
_SHOWN = ("bfd", "interfaces", "memory", "ospf", "protocols", "route", "status")
_TABLES = {IPV4_UNICAST: "master4", IPV6_UNICAST: "master6"}
_CHANNELS = {IPV4_UNICAST: "ipv4", IPV6_UNICAST: "ipv6"}
# What BIRD calls the states of the FSM, and for how long a moment is told by the clock alone.
_STATES = {State.OPEN_SENT: "OpenSent", State.OPEN_CONFIRM: "OpenConfirm"}
_TODAY = 20 * 3600.0
_PREFERENCE = 100
_OURS = "local"

Lines = AsyncGenerator[bytes, None]


class BirdTalk:
    """What one asker hears; `restrict` takes from him, for good, what changes anything."""

    endless = False

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._restricted = False
        self.greeting = Reply.end(Code.WELCOME, f"BIRD {VERSION} ready.")

    async def answer(self, asked: bytes) -> Lines:
        """Yield the lines of a reply."""
        words = split(asked.decode(errors="replace")[:4096])
        if not words:
            return
        try:
            command, words = words.keyword(_COMMANDS)
            async for octets in self._carry_out(command, words):
                yield octets
        except Refused as refusal:
            yield Reply.end(refusal.code, refusal.text)
        except Exception as error:
            logger.exception("internal error while answering %r", asked[:200])
            yield Reply.end(Code.RUNTIME_ERROR, f"internal error: {type(error).__name__}: {error}")

    async def _carry_out(self, command: str, words: Words) -> Lines:
        if command in ("configure", "disable", "enable", "reload", "restart") and self._restricted:
            raise Refused(Code.ACCESS_DENIED, "Access denied")
        match command:
            case "show":
                lines = self._show(words)
            case "configure":
                lines = self._configure(words)
            case "restrict":
                self._restricted = True
                lines = _only(Reply.end(Code.RESTRICTED, "Access restricted"))
            case "help" | "quit":
                lines = _only(Reply.end())
            case _:
                lines = self._operate(command, words)
        async for octets in lines:
            yield octets

    def _show(self, words: Words) -> Lines:
        what, words = words.keyword(_SHOWN)
        match what:
            case "status":
                return self._status()
            case "protocols":
                return self._protocols(words)
            case "route":
                return self._routes(route_query(words))
            case "memory":
                return self._memory()
            case "bfd":
                raise Refused(Code.PARSE_ERROR, "There is no BFD protocol running")
            case "ospf":
                raise Refused(Code.PARSE_ERROR, "There is no OSPF protocol running")
            case _:
                return _only(Reply.end())

    # --- show status, show memory -------------------------------------------------------------------------

    async def _status(self) -> Lines:
        service, reply = self._service, Reply()
        yield reply.line(Code.VERSION, f"BIRD {VERSION} (Martlet {service.version})")
        yield reply.line(Code.UPTIME, f"Router ID is {identifier(service.speaker.router.router_id)}")
        yield reply.line(Code.UPTIME, f"Current server time is {_long(time.time())}")
        yield reply.line(Code.UPTIME, f"Last reboot on {_long(service.started)}")
        yield reply.line(Code.UPTIME, f"Last reconfiguration on {_long(service.configured)}")
        if not service.speaker.is_converged:
            yield reply.line(Code.RECOVERING, "Graceful restart recovery in progress")
        yield Reply.end(Code.STATUS, "Daemon is up and running")

    async def _memory(self) -> Lines:
        router, reply = self._service.speaker.router, Reply()
        yield reply.line(Code.MEMORY, "BIRD memory usage")
        yield reply.line(Code.MEMORY, f"{'':17} {'Effective':>9}    {'Overhead':>9}")
        for name, octets in (("Route attributes:", router.rib.attribute_octets), ("Total:", resident())):
            yield reply.line(Code.MEMORY, f"{name:17} {octets / 1024:>6.1f} kB {0:>9.1f}  B")
        yield Reply.end()

    # --- show protocols -----------------------------------------------------------------------------------

    async def _protocols(self, words: Words) -> Lines:
        details = False
        pattern = None
        while words:
            word, words = words.word("a protocol")
            if word.lower() == "all"[: len(word)] and not details and pattern is None:
                details = True
            else:
                pattern = word
        peers = list(self._service.speaker.peers)
        if pattern is not None:
            peers = self._named(pattern)
        if details:
            await self._service.counts.counted()
        reply = Reply()
        yield reply.line(Code.PROTOCOL_HEADING, _columns("Name", "Proto", "Table", "State", "Since") + "Info")
        for peer in peers:
            yield reply.line(Code.PROTOCOL, _protocol(peer))
            if details:
                for text in self._details(peer):
                    yield reply.line(Code.PROTOCOL_DETAILS, text)
        yield Reply.end()

    def _named(self, pattern: str) -> list[Peer]:
        found = [peer for peer in self._service.speaker.peers if fnmatchcase(peer.name, pattern)]
        if not found:
            raise Refused(Code.PARSE_ERROR, f"{pattern}: there is no such protocol")
        return found

    def _details(self, peer: Peer) -> Iterator[str]:
        if peer.options.description:
            yield f"  Description:    {peer.options.description}"
        state = _STATES.get(peer.state, peer.state.label) if peer.is_running else "Down"
        yield f"  BGP state:          {state}"
        yield f"    Neighbor address: {peer.remote.host}"
        yield f"    Neighbor AS:      {as_number(peer, self._service.speaker.router.asn)}"
        negotiated = peer.negotiated
        yield f"    Local AS:         {self._service.speaker.router.asn}"
        if negotiated is not None:
            yield from _session(peer, negotiated)
        elif peer.last_error:
            yield f"    Last error:       {peer.last_error}"
        told = self._service.counts.told(peer.name)
        member = peer.member
        for family in peer.options.families:
            up = negotiated is not None and family in negotiated.families
            yield f"  Channel {_CHANNELS[family]}"
            yield f"    State:          {'UP' if up else 'DOWN'}"
            yield f"    Table:          {_TABLES[family]}"
            yield f"    Preference:     {_PREFERENCE}"
            if up and member is not None:
                counts = self._service.counts
                filtered, best = counts.refused(peer.name, family), counts.best(peer.name, family)
                imported = max(member.received(family) - filtered, 0)
                parts = f"{imported} imported, {filtered} filtered, {told.get(family, 0)} exported"
                yield f"    Routes:         {parts}, {best} preferred"
        yield ""

    # --- show route ---------------------------------------------------------------------------------------

    async def _routes(self, query: RouteQuery) -> Lines:
        for name in (query.protocol, query.exported):
            if name is not None and name != _OURS:
                self._named(name)
        reply = Reply()
        shown = nets = 0
        for family in query.families:
            counted = 0
            headed = False
            async for route, paths in self._found(query, family):
                counted += len(paths)
                shown += len(paths)
                nets += 1
                if query.count:
                    continue
                if not headed:
                    yield reply.line(Code.ROUTE, f"Table {_TABLES[family]}:")
                    headed = True
                for number, path in enumerate(paths):
                    yield reply.line(Code.ROUTE, self._path(route, path, number == 0))
                    yield reply.line(Code.ROUTE, f"\tvia {next_hop_text(path.attributes.next_hop)}")
                    if query.all:
                        yield reply.line(Code.ROUTE_DETAILS, "\tType: BGP univ")
                        for text in _attributes(path.attributes):
                            yield reply.line(Code.ATTRIBUTES, f"\t{text}")
            if query.count:
                total, prefixes = self._totals(family)
                text = f"{counted} of {total} routes for {prefixes} networks in table {_TABLES[family]}"
                yield reply.line(Code.ROUTE, text)
        if query.count:
            sums = [self._totals(family) for family in query.families]
            total, prefixes = (sum(column) for column in zip(*sums, strict=True))
            text = f"{shown} of {total} routes for {prefixes} networks in {len(sums)} tables"
            yield Reply.end(Code.COUNT, f"Total: {text}")
        elif not nets and (query.exact or query.lookup):
            yield Reply.end(Code.NOT_FOUND, "Network not found")
        else:
            yield Reply.end()

    def _totals(self, family: Family) -> tuple[int, int]:
        router = self._service.speaker.router
        return router.rib.routes_of(family), router.rib.prefixes[family]

    async def _found(
        self, query: RouteQuery, family: Family
    ) -> AsyncGenerator[tuple[Route, list[Path]], None]:
        rib = self._service.speaker.rib
        if query.exported is not None:
            for peer in self._named(query.exported):
                async for text, told in rib.advertised(peer, family):
                    route = rib.exact(text)
                    if route is not None and _asked(query, route):
                        best = route.best or route.paths[0]
                        yield route, [_as_told(best, told)]
            return
        if query.exact is not None or query.lookup is not None:
            one = rib.exact(query.exact) if query.exact is not None else None
            if query.lookup is not None:
                one = rib.longest_match(query.lookup)
            if one is not None and (paths := _wanted(query, one)):
                yield one, paths
            return
        async for route in rib.covered(query.within) if query.within is not None else rib.routes(family):
            if paths := _wanted(query, route):
                yield route, paths

    def _path(self, route: Route, path: Path, first: bool) -> str:
        source = path.source
        peer = next((each for each in self._service.speaker.peers if each.name == source.peer), None)
        name = source.peer or _OURS
        since = _short(self._service.started if peer is None else peer.since)
        sender = f" from {peer.remote.host}" if peer is not None else ""
        best = " *" if route.best is not None and path.slot is route.best.slot else ""
        ases = [asn for segment in path.attributes.as_path for asn in segment.asns]
        last = f"AS{ases[-1]}" if ases else ""
        origin = "ie?"[path.attributes.origin] if path.attributes.origin in (0, 1, 2) else "?"
        destination = route.prefix if first else ""
        return f"{destination:<20} unicast [{name} {since}{sender}]{best} ({_PREFERENCE}) [{last}{origin}]"

    # --- what changes something -----------------------------------------------------------------------------

    async def _configure(self, words: Words) -> Lines:
        check = False
        while words:
            option, words = words.keyword(("check", "soft"))
            check = check or option == "check"
        reply = Reply()
        yield reply.line(Code.READING, f"Reading configuration from {self._service.file}")
        try:
            if check:
                await self._service.plan()
                yield Reply.end(Code.CONFIGURATION_OK, "Configuration OK")
                return
            found, failed = await self._service.reload()
        except ConfigurationError as error:
            yield Reply.end(Code.CONFIGURATION_ERROR, "; ".join(map(str, error.problems)))
            return
        if found.restart or failed:
            faults = found.reasons
            faults += [f"{step}: {reason}" for step, reason in failed]
            yield Reply.end(Code.CONFIGURATION_ERROR, "; ".join(faults))
            return
        yield Reply.end(Code.RECONFIGURED, "Reconfigured")

    async def _operate(self, command: str, words: Words) -> Lines:
        way = ""
        if command == "reload" and len(words.left) > 1:
            way, words = words.keyword(("in", "out"))
        pattern, words = words.word("a protocol")
        reply = Reply()
        for peer in self._named("*" if pattern == "all" else pattern):
            match command:
                case "disable" if not peer.is_running:
                    yield reply.line(Code.DISABLED_ALREADY, f"{peer.name}: already disabled")
                case "disable":
                    peer.stop(" ".join(words.left))
                    yield reply.line(Code.DISABLED, f"{peer.name}: disabled")
                case "enable" if peer.is_running:
                    yield reply.line(Code.ENABLED_ALREADY, f"{peer.name}: already enabled")
                case "enable":
                    peer.start()
                    yield reply.line(Code.ENABLED, f"{peer.name}: enabled")
                case "restart":
                    peer.reset(" ".join(words.left))
                    yield reply.line(Code.RESTARTED, f"{peer.name}: restarted")
                case _:
                    if way != "out":
                        peer.request_refresh()
                    yield reply.line(Code.RELOADING, f"{peer.name}: reloading")
        yield Reply.end()


async def _only(octets: bytes) -> Lines:
    yield octets


# --- The texts ---------------------------------------------------------------------------------------------


def _columns(name: str, proto: str, table: str, state: str, since: str) -> str:
    return f"{name:<10} {proto:<10} {table:<10} {state:<6} {since:<12}  "


def _protocol(peer: Peer) -> str:
    if not peer.is_running:
        state, info = "down", ""
    elif peer.state is State.ESTABLISHED:
        state, info = "up", f"{'Established':<14}"
    else:
        state, info = "start", f"{_STATES.get(peer.state, peer.state.label):<14}{peer.last_error}"
    return _columns(peer.name, "BGP", "---", state, _short(peer.since)) + info


def _session(peer: Peer, negotiated: Negotiated) -> Iterator[str]:
    yield f"    Neighbor ID:      {identifier(negotiated.remote_identifier)}"
    yield "    Neighbor capabilities"
    yield "      Multiprotocol"
    yield f"        AF announced: {' '.join(_CHANNELS[family] for family in negotiated.families)}"
    for there, name in (
        (negotiated.route_refresh, "Route refresh"),
        (negotiated.capabilities.extended_message, "Extended message"),
        (negotiated.graceful_restart is not None, "Graceful restart"),
        (negotiated.four_octet_as, "4-octet AS numbers"),
        (bool(negotiated.add_path_receive or negotiated.add_path_send), "ADD-PATH"),
        (negotiated.enhanced_route_refresh, "Enhanced refresh"),
        (negotiated.llgr is not None, "Long-lived graceful restart"),
    ):
        if there:
            yield f"      {name}"
    kind = "internal" if negotiated.internal else "external"
    reflected = " route-reflector" if peer.options.client else ""
    yield f"    Session:          {kind}{reflected}{' AS4' if negotiated.four_octet_as else ''}"
    local = peer.local_address
    if local is not None:
        yield f"    Source address:   {local.host}"
    yield f"    Hold timer:       {negotiated.hold_time}"
    yield f"    Keepalive timer:  {negotiated.keepalive_time:g}"


def _attributes(attributes: Attributes) -> Iterator[str]:
    origin = attributes.origin
    name = {Origin.IGP: "IGP", Origin.EGP: "EGP", Origin.INCOMPLETE: "Incomplete"}
    yield f"BGP.origin: {name.get(Origin(origin), '?') if origin in tuple(Origin) else '?'}"
    yield f"BGP.as_path: {aspath.text(attributes.as_path)}"
    yield f"BGP.next_hop: {next_hop_text(attributes.next_hop)}"
    if attributes.med is not None:
        yield f"BGP.med: {attributes.med}"
    if attributes.local_pref is not None:
        yield f"BGP.local_pref: {attributes.local_pref}"
    if attributes.communities:
        yield "BGP.community: " + " ".join(
            f"({each >> 16},{each & 0xFFFF})" for each in attributes.communities
        )
    if attributes.large_communities:
        yield "BGP.large_community: " + " ".join(
            f"({', '.join(map(str, each))})" for each in attributes.large_communities
        )
    if attributes.extended_communities:
        found = (extended_text(each).split(":") for each in attributes.extended_communities)
        yield "BGP.ext_community: " + " ".join(f"({', '.join(each)})" for each in found)
    if attributes.originator_id:
        yield f"BGP.originator_id: {address_text(attributes.originator_id)}"
    if attributes.cluster_list:
        clusters = attributes.cluster_list
        shown = (address_text(clusters[at : at + 4]) for at in range(0, len(clusters), 4))
        yield f"BGP.cluster_list: {' '.join(shown)}"


def _wanted(query: RouteQuery, route: Route) -> list[Path]:
    if query.filtered:
        paths = [path for path in route.paths if not path.usable]
    else:
        paths = [path for path in route.paths if path.usable]
    if query.primary:
        paths = paths[:1]
    if query.protocol is not None:
        paths = [path for path in paths if fnmatchcase(path.source.peer or _OURS, query.protocol)]
    return paths


def _asked(query: RouteQuery, route: Route) -> bool:
    network = route.network
    for wanted in (query.exact, query.lookup):
        if wanted is not None and network != wanted:
            return False
    within = query.within
    return within is None or network.subnet_of(within)  # type: ignore[arg-type]


def _as_told(path: Path, told: Attributes) -> Path:
    """Return the path with the attributes that go out."""
    found = Path(path.source, path.slot, path.received)
    found.attributes = told
    return found


def _long(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) + f".{int(moment * 1000) % 1000:03}"


def _short(moment: float) -> str:
    if abs(time.time() - moment) > _TODAY:
        return time.strftime("%Y-%m-%d", time.localtime(moment))
    return time.strftime("%H:%M:%S", time.localtime(moment)) + f".{int(moment * 1000) % 1000:03}"
