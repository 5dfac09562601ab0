"""The report of routes: of the table, or what one neighbor sent, or what it is told."""

from collections.abc import AsyncGenerator, AsyncIterator
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from bgp.aio.peer import Peer
from bgp.family import FAMILIES, Family, family_of
from bgp.rib.path import Path
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes
from bgp.wire.community import LargeCommunity
from reflector.report.row import Row, Unanswerable
from reflector.report.words import attributes, named, path

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
    left = limit or None
    for each in families:
        if received is not None:
            found = _received(service, received, each, prefix, longer)
        elif advertised is not None:
            found = _advertised(service, advertised, each, prefix, longer)
        else:
            found = _table(service, each, prefix, longer)
        async for about, row in found:
            if community is not None and not _has(about, community):
                continue
            if (best and not row["best"]) or (refused and row["usable"]):
                continue
            yield named(row, service.configuration.communities)
            if left is not None:
                left -= 1
                if not left:
                    return


Found = AsyncIterator[tuple[Attributes, Row]]


async def _table(service: "Service", family: Family, prefix: Network | None, longer: bool) -> Found:
    rib = service.speaker.rib
    if prefix is not None and not longer:
        route = rib.exact(prefix) or rib.longest_match(prefix)
        if route is not None:
            for found in route.paths:
                yield found.attributes, path(family, route.prefix, found, found is route.best)
        return
    async for route in rib.covered(prefix) if prefix is not None else rib.routes(family):
        for found in route.paths:
            yield found.attributes, path(family, route.prefix, found, found is route.best)


async def _received(
    service: "Service", peer: Peer, family: Family, prefix: Network | None, longer: bool
) -> Found:
    rib = service.speaker.rib
    if prefix is not None and not longer:
        route = rib.exact(prefix)
        for found in () if route is None else route.paths:
            if found.source.peer == peer.name:
                yield (
                    found.attributes,
                    path(family, str(prefix), found, route is not None and found is route.best),
                )
        return
    async for text, found in rib.received(peer, family):
        if prefix is None or _within(text, prefix):
            yield found.attributes, path(family, text, found, _is_best(service, family, text, found))


async def _advertised(
    service: "Service", peer: Peer, family: Family, prefix: Network | None, longer: bool
) -> Found:
    if prefix is not None and not longer:
        if peer.member is not None and family in peer.member.negotiated.families:
            for one in peer.explain(prefix).told:
                if one.attributes is not None:
                    yield one.attributes, _told(family, str(prefix), one.attributes, one.path_id)
        return
    async for text, told in service.speaker.rib.advertised(peer, family):
        if prefix is None or _within(text, prefix):
            yield told, _told(family, text, told, None)


def _told(family: Family, prefix: str, told: Attributes, path_id: int | None) -> Row:
    return {"prefix": prefix, "family": family.name, "path_id": path_id, **attributes(told)}


def _within(text: str, prefix: Network) -> bool:
    network = nlri.network(*nlri.parse(text))
    return network.version == prefix.version and network.subnet_of(prefix)  # type: ignore[arg-type]


def _is_best(service: "Service", family: Family, text: str, found: Path) -> bool:
    paths = service.speaker.router.rib.lookup(*nlri.parse(text))
    return bool(paths) and paths[0] is found and found.usable


def _has(found: Attributes, community: Community) -> bool:
    return community in (found.communities if isinstance(community, int) else found.large_communities)
