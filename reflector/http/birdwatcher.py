"""birdwatcher's paths below `/birdwatcher`, for looking glasses such as Alice-LG; off by default.

`/birdwatcher/ipv4/...` and `/birdwatcher/ipv6/...` tell of one family alone, as a birdwatcher for each of
BIRD's two daemons does.  Lists of routes are written while they are made, in slices of the loop's time: one
of a million is never in memory at once.  `limit` and `offset` may cut any of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from bgp.aio.lookup import Route
from bgp.aio.peer import Peer
from bgp.export.rules import Withheld
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family, family_of
from bgp.rib.path import Path
from bgp.wire.attributes import Attributes
from reflector.control.lines import SLICE
from reflector.http import birdform
from reflector.http.birdform import OURS, TABLES, Json

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service

Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]
Network = IPv4Network | IPv6Network
# A prefix, one of its paths, whether that is the best one, and what is told of it in its place.
Found = tuple[str, Path, bool, Attributes | None]
Routes = AsyncIterator[Found]

# Octets that are collected before they are written.
_PIECE = 1 << 16


class NotThere(Exception):
    """What was asked for is not there; the text says what there is."""


def add_to(app: "web.Application", service: "Service") -> None:
    """Add the paths to an application."""
    for prefix, families in (
        ("/birdwatcher", FAMILIES),
        ("/birdwatcher/ipv4", (IPV4_UNICAST,)),
        ("/birdwatcher/ipv6", (IPV6_UNICAST,)),
    ):
        _Birdwatcher(service, families).add_to(app, prefix)


class _Birdwatcher:
    """The paths, for some families."""

    def __init__(self, service: "Service", families: Sequence[Family]) -> None:
        self._service = service
        self._families = families

    def add_to(self, app: "web.Application", prefix: str) -> None:
        get = app.router.add_get
        for path, answer in (
            ("/status", self._status),
            ("/version", self._version),
            ("/protocols", self._protocols),
            ("/protocols/bgp", self._protocols),
            ("/protocols/short", self._short),
            ("/symbols", self._symbols),
            ("/symbols/tables", self._symbols_tables),
            ("/symbols/protocols", self._symbols_protocols),
            ("/routes/count/{of:protocol|primary}/{name}", self._count_protocol),
            ("/routes/count/table/{table}", self._count_table),
            ("/routes/dump", self._dump),
        ):
            get(prefix + path, self._safe(answer))
        for path, routes in (
            ("/routes/protocol/{name}", self._of_protocol),
            ("/routes/peer/{name}", self._of_protocol),
            ("/routes/peer", self._of_protocol),
            ("/routes/filtered/{name}", self._filtered),
            ("/routes/export/{name}", self._exported),
            ("/routes/noexport/{name}", self._not_exported),
            ("/routes/table/{table}", self._of_table),
            ("/routes/table/{table}/filtered", self._filtered),
            ("/routes/table/{table}/peer/{name}", self._of_protocol),
            ("/routes/prefix", self._prefixed),
            ("/route/net/{net}", self._looked_up),
            ("/route/net/{net}/table/{table}", self._looked_up),
            ("/route/net/{net}/mask/{mask}", self._looked_up),
            ("/route/net/{net}/mask/{mask}/table/{table}", self._looked_up),
        ):
            get(prefix + path, self._safe(self._streamed(routes)))

    # --- Answers at once ------------------------------------------------------------------------------------

    async def _status(self, request: "web.Request") -> "web.StreamResponse":
        return self._json({"status": birdform.status(self._service)})

    async def _version(self, request: "web.Request") -> "web.StreamResponse":
        return self._json({"version": self._service.version})

    async def _short(self, request: "web.Request") -> "web.StreamResponse":
        return await self._by_peer(request, birdform.short)

    async def _protocols(self, request: "web.Request") -> "web.StreamResponse":
        await self._service.counts.counted()
        return await self._by_peer(
            request, lambda peer: birdform.protocol(self._service, peer, self._families)
        )

    async def _by_peer(self, request: "web.Request", form: Callable[[Peer], Json]) -> "web.StreamResponse":
        writer = await _Writer.start(request, birdform.envelope(self._service), "protocols", "{}")
        for peer in list(self._service.speaker.peers):
            if any(family in self._families for family in peer.options.families):
                await writer.add(f"{json.dumps(peer.name)}:{json.dumps(form(peer))}")
        return await writer.end()

    async def _symbols(self, request: "web.Request") -> "web.StreamResponse":
        return self._json({"symbols": {"routing table": self._tables(), "protocol": self._names()}})

    async def _symbols_tables(self, request: "web.Request") -> "web.StreamResponse":
        return self._json({"symbols": self._tables()})

    async def _symbols_protocols(self, request: "web.Request") -> "web.StreamResponse":
        return self._json({"symbols": self._names()})

    async def _count_protocol(self, request: "web.Request") -> "web.StreamResponse":
        peer, counts = self._peer(request), self._service.counts
        await counts.counted()
        member = peer.member
        count = 0
        for family in self._families:
            if member is None or family not in member.negotiated.families:
                continue
            if request.match_info["of"] == "primary":
                count += counts.best(peer.name, family)
            else:
                count += member.received(family) - counts.refused(peer.name, family)
        return self._json({"routes": max(count, 0)})

    async def _count_table(self, request: "web.Request") -> "web.StreamResponse":
        router = self._service.speaker.router
        return self._json({"routes": sum(router.rib.routes_of(family) for family in self._of(request))})

    # --- Lists of routes ------------------------------------------------------------------------------------

    async def _of_protocol(self, request: "web.Request") -> Routes:
        peer = self._peer(request)
        async for found in self._received(peer, self._of(request), refused=False):
            yield found

    async def _filtered(self, request: "web.Request") -> Routes:
        if "name" in request.match_info:
            async for found in self._received(self._peer(request), self._families, refused=True):
                yield found
            return
        async for route in self._all(self._of(request)):
            for path in route.paths:
                if not path.usable:
                    yield route.prefix, path, False, None

    async def _exported(self, request: "web.Request") -> Routes:
        peer, rib = self._peer(request), self._service.speaker.rib
        for family in self._families:
            async for prefix, told in rib.advertised(peer, family):
                route = rib.exact(prefix)
                if route is not None:
                    yield prefix, route.best or route.paths[0], route.best is not None, told

    async def _not_exported(self, request: "web.Request") -> Routes:
        """Yield the best routes that the neighbor is not told, by a rule or by policy; its own are none."""
        peer = self._peer(request)
        member = peer.member
        for family in self._families:
            if member is None or family not in member.negotiated.families:
                continue
            async for route in self._all([family]):
                best = route.best
                if best is None or best.slot.peer == peer.name:
                    continue
                if isinstance(member.packer.told(family, best, route.octets), Withheld):
                    yield route.prefix, best, True, None

    async def _of_table(self, request: "web.Request") -> Routes:
        async for route in self._all(self._of(request)):
            for found in _usable(route):
                yield found

    async def _prefixed(self, request: "web.Request") -> Routes:
        network = _network(request.query.get("prefix", ""))
        async for route in self._service.speaker.rib.covered(network):
            for found in _usable(route):
                yield found

    async def _looked_up(self, request: "web.Request") -> Routes:
        text, mask = request.match_info["net"], request.match_info.get("mask")
        network = _network(text if mask is None else f"{text}/{mask}")
        rib = self._service.speaker.rib
        route = rib.longest_match(network)
        if route is not None and family_of(network) in self._of(request):
            for found in _usable(route):
                yield found

    async def _all(self, families: Sequence[Family]) -> AsyncIterator[Route]:
        for family in families:
            async for route in self._service.speaker.rib.routes(family):
                yield route

    async def _received(self, peer: Peer, families: Sequence[Family], refused: bool) -> Routes:
        speaker = self._service.speaker
        for family in families:
            async for prefix, path in speaker.rib.received(peer, family):
                if path.usable is refused:
                    continue
                route = None if refused else speaker.rib.exact(prefix)
                yield prefix, path, route is not None and path is route.best, None

    # --- What is written ------------------------------------------------------------------------------------

    def _json(self, answer: Json, status: int = 200) -> "web.StreamResponse":
        from aiohttp import web

        return web.json_response(birdform.envelope(self._service) | answer, status=status)

    async def _dump(self, request: "web.Request") -> "web.StreamResponse":
        writer = await _Writer.start(request, birdform.envelope(self._service), "imported", "[]")
        async for text in self._texts(self._of_table(request)):
            await writer.add(text)
        await writer.another("filtered")
        async for text in self._texts(self._filtered(request)):
            await writer.add(text)
        return await writer.end()

    def _streamed(self, routes: Callable[["web.Request"], Routes]) -> Handler:
        async def answer(request: "web.Request") -> "web.StreamResponse":
            offset, limit = (_count(request, name) for name in ("offset", "limit"))
            found = self._texts(routes(request))
            # Where there is nothing of that name, that is said before the answer begins.
            first = await anext(found, None)
            writer = await _Writer.start(request, birdform.envelope(self._service), "routes", "[]")
            number = 0
            text = first
            while text is not None and not (limit and number >= offset + limit):
                if number >= offset:
                    await writer.add(text)
                number += 1
                text = await anext(found, None)
            return await writer.end()

        return answer

    async def _texts(self, routes: Routes) -> AsyncIterator[str]:
        service = self._service
        peers = {peer.name: peer for peer in service.speaker.peers}
        ours = birdform.moment(service.started)
        since = {name: birdform.moment(peer.since) for name, peer in peers.items()}
        async for prefix, path, best, told in routes:
            name = path.source.peer
            found = birdform.route(prefix, path, best, peers.get(name), told, since.get(name, ours))
            yield json.dumps(found)

    # --- What is asked for ----------------------------------------------------------------------------------

    def _safe(self, answer: Handler) -> Handler:
        async def handle(request: "web.Request") -> "web.StreamResponse":
            try:
                return await answer(request)
            except NotThere as error:
                return self._json({"error": str(error), "routes": []}, status=404)
            except ValueError as error:
                return self._json({"error": str(error), "routes": []}, status=400)

        return handle

    def _peer(self, request: "web.Request") -> Peer:
        wanted = request.match_info.get("name") or request.query.get("peer", "")
        for peer in self._service.speaker.peers:
            if wanted in (peer.name, peer.remote.host):
                return peer
        raise NotThere(f"there is no protocol {wanted!r}; /birdwatcher/protocols/short lists them")

    def _of(self, request: "web.Request") -> Sequence[Family]:
        table = request.match_info.get("table")
        if table is None or table == "master":
            return self._families
        if TABLES.get(table) not in self._families:
            raise NotThere(f"there is no table {table!r}; there are {', '.join(self._tables())}")
        return [TABLES[table]]

    def _tables(self) -> list[str]:
        return [table for table, family in TABLES.items() if family in self._families]

    def _names(self) -> list[str]:
        return [*(peer.name for peer in self._service.speaker.peers), OURS]


class _Writer:
    """Writes a list or an object of any length, a piece at a time, and lets the loop turn."""

    @classmethod
    async def start(cls, request: "web.Request", before: Json, name: str, brackets: str) -> "_Writer":
        """Begin an answer that has `before` in it, and in `name` what is added."""
        from aiohttp import web

        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        return cls(response, before, name, brackets)

    def __init__(self, response: "web.StreamResponse", before: Json, name: str, brackets: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._opening, self._closing = brackets[0], brackets[1]
        self._parts = [json.dumps(before)[:-1], f', "{name}": {self._opening}']
        self._size = 0
        self._empty = True
        self._until = self._loop.time() + SLICE

    async def add(self, text: str) -> None:
        self._parts.append(text if self._empty else f",{text}")
        self._empty = False
        self._size += len(text)
        if self._size >= _PIECE:
            await self._write()
        if self._loop.time() >= self._until:
            await asyncio.sleep(0)
            self._until = self._loop.time() + SLICE

    async def another(self, name: str) -> None:
        """End what is being added to, and begin another one."""
        self._parts.append(f'{self._closing}, "{name}": {self._opening}')
        self._empty = True

    async def end(self) -> "web.StreamResponse":
        self._parts.append(f"{self._closing}}}\n")
        await self._write()
        await self._response.write_eof()
        return self._response

    async def _write(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        await self._response.write("".join(parts).encode())


def _usable(route: Route) -> list[Found]:
    return [(route.prefix, path, path is route.best, None) for path in route.paths if path.usable]


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write such as 10.0.0.0/8 or 2001:db8::1") from None


def _count(request: "web.Request", name: str) -> int:
    text = request.query.get(name, "0")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name}: {text!r} is no number from 0 on")
    return int(text)
