"""The report of routes: of the table, or what one neighbor sent, or what it is told."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from bgp.aio.lookup import Route
from bgp.aio.peer import Peer
from bgp.family import FAMILIES, Family, family_of
from bgp.rib.path import Path
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes
from bgp.wire.community import LargeCommunity
from reflector.report.row import Row, Unanswerable
from reflector.report.words import Rows, named

if TYPE_CHECKING:
    from reflector.app import Service

Network = IPv4Network | IPv6Network
Community = int | LargeCommunity


async def routes(
    service: "Service",
    *,
    prefix: Network | None = None,
    longer: bool = False,
    family: Family | None = None,
    received: Peer | None = None,
    advertised: Peer | None = None,
    community: Community | None = None,
    best: bool = False,
    refused: bool = False,
    limit: int = 0,
) -> AsyncGenerator[Row, None]:
    """Yield a row for each path, best first: of a prefix, of all, or of what a neighbor sent or is told.

    A `prefix` that is not there is looked up by its longest match, unless what is `longer` is asked for.
    """
    if received is not None and advertised is not None:
        raise Unanswerable("received and advertised are two questions: ask one of them")
    if advertised is not None and (best or refused):
        raise Unanswerable("what a neighbor is told is neither best nor refused: ask advertised alone")
    families = [family] if family else [family_of(prefix)] if prefix else list(FAMILIES)
    wanted, names = _Wanted(community, best, refused), service.configuration.communities
    left = limit or None
    for each in families:
        if received is not None:
            found = _received(service, received, each, prefix, longer, wanted)
        elif advertised is not None:
            found = _advertised(service, advertised, each, prefix, longer, wanted)
        elif community is not None and prefix is None:
            found = _with_community(service, each, wanted)
        else:
            found = _table(service, each, prefix, longer, wanted)
        async for row in found:
            yield named(row, names)
            if left is not None:
                left -= 1
                if not left:
                    return


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for; it is looked at before a row is made, for of a million most may not be wanted."""

    community: Community | None
    best: bool
    refused: bool

    def takes(self, found: Path, best: bool) -> bool:
        """Whether a path is wanted, which may be the best one."""
        if (self.best and not best) or (self.refused and found.usable):
            return False
        return self.has(found.attributes)

    def has(self, found: Attributes) -> bool:
        """Whether these are attributes with the community that is asked for, if one is."""
        wanted = self.community
        if wanted is None:
            return True
        return wanted in (found.communities if isinstance(wanted, int) else found.large_communities)


Found = AsyncGenerator[Row, None]


async def _table(
    service: "Service", family: Family, prefix: Network | None, longer: bool, wanted: _Wanted
) -> Found:
    rib, rows = service.speaker.rib, Rows(family)
    if prefix is not None and not longer:
        route = rib.exact(prefix) or rib.longest_match(prefix)
        for row in () if route is None else _of_route(rows, route, wanted):
            yield row
        return
    async for route in rib.covered(prefix) if prefix is not None else rib.routes(family):
        for row in _of_route(rows, route, wanted):
            yield row


def _of_route(rows: Rows, route: Route, wanted: _Wanted) -> Iterator[Row]:
    prefix, best = route.prefix, route.best
    for found in route.paths:
        if wanted.takes(found, found is best):
            yield rows.path(prefix, found, found is best)


async def _with_community(service: "Service", family: Family, wanted: _Wanted) -> Found:
    """Yield the rows of all prefixes with a path that has it; each path is looked at, not each prefix."""
    speaker, rows = service.speaker, Rows(family)
    views = speaker.router.rib
    async for prefix, found in speaker.walk(
        views.walk_paths(family, lambda path: wanted.has(path.attributes))
    ):
        route = Route(family, prefix, views.lookup(family, prefix))
        # Of several paths of a prefix that have it, the first one brings the others with it.
        if next((each for each in route.paths if wanted.has(each.attributes)), None) is found:
            for row in _of_route(rows, route, wanted):
                yield row


async def _received(
    service: "Service", peer: Peer, family: Family, prefix: Network | None, longer: bool, wanted: _Wanted
) -> Found:
    rib, rows = service.speaker.rib, Rows(family)
    if prefix is not None and not longer:
        route = rib.exact(prefix)
        for found in () if route is None else route.paths:
            best = route is not None and found is route.best
            if found.source.peer == peer.name and wanted.takes(found, best):
                yield rows.path(str(prefix), found, best)
        return
    async for text, found in rib.received(peer, family):
        if prefix is None or _within(text, prefix):
            best = _is_best(service, family, text, found)
            if wanted.takes(found, best):
                yield rows.path(text, found, best)


async def _advertised(
    service: "Service", peer: Peer, family: Family, prefix: Network | None, longer: bool, wanted: _Wanted
) -> Found:
    rows = Rows(family)
    if prefix is not None and not longer:
        if peer.member is not None and family in peer.member.negotiated.families:
            for one in peer.explain(prefix).told:
                if one.attributes is not None and wanted.has(one.attributes):
                    yield rows.told(str(prefix), one.attributes, one.path_id)
        return
    async for text, told in service.speaker.rib.advertised(peer, family):
        if wanted.has(told) and (prefix is None or _within(text, prefix)):
            yield rows.told(text, told, None)


def _within(text: str, prefix: Network) -> bool:
    network = nlri.network(*nlri.parse(text))
    return network.version == prefix.version and network.subnet_of(prefix)  # type: ignore[arg-type]


def _is_best(service: "Service", family: Family, text: str, found: Path) -> bool:
    paths = service.speaker.router.rib.lookup(*nlri.parse(text))
    return bool(paths) and paths[0] is found and found.usable
