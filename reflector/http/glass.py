"""The looking glass: a page that shows what the reflector does, and what it asks for that.

Everything here reads: there is nothing that could change anything.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from reflector.glass.flow import flow
from reflector.glass.live import Live
from reflector.glass.roll import Roll
from reflector.http import pages
from reflector.http.shows import HEADERS, Shows, encoded, refuse, send
from reflector.http.streams import Streams
from reflector.report.arguments import network
from reflector.report.row import Unanswerable

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service


def add_to(app: "web.Application", service: "Service") -> None:
    """Have an application answer with the page, and with what the page asks for."""
    glass = _Glass(service)
    shows = Shows(service)
    add = app.router.add_get
    add("/", pages.index)
    add("/glass/{name}", pages.file)
    add("/api/show/{report}", shows.show, allow_head=False)
    add("/api/monitor", glass.monitor, allow_head=False)
    add("/api/live", glass.listen, allow_head=False)
    add("/api/roll", glass.roll, allow_head=False)
    add("/api/history", glass.history, allow_head=False)
    add("/api/flow", glass.flow, allow_head=False)
    app.cleanup_ctx.append(glass.run)
    app.on_shutdown.append(glass.end)


class _Glass:
    """What a looking glass has while the service runs."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._live = Live(service)
        self._roll = Roll(service)
        self._streams = Streams(service, self._live)
        self.monitor = self._streams.monitor
        self.listen = self._streams.live

    async def run(self, _: "web.Application") -> AsyncIterator[None]:
        """Take samples and listen, from the start of the application to its end."""
        self._live.start()
        yield
        await self._live.stop()

    async def end(self, _: "web.Application") -> None:
        """Let those go who would listen for ever."""
        await self._streams.stop()

    async def roll(self, request: "web.Request") -> "web.StreamResponse":
        """Answer with all neighbors, briefly."""
        from aiohttp import web

        compressed = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {**HEADERS, "Content-Encoding": "gzip"} if compressed else HEADERS
        return web.Response(body=await self._roll.get(compressed=compressed), headers=headers)

    async def history(self, request: "web.Request") -> "web.StreamResponse":
        """Answer with the samples of the last half hour, or those of the last day."""
        span = request.query.get("span", "half-hour")
        rings = {"half-hour": self._live.history.fine, "day": self._live.history.coarse}
        if span not in rings:
            return refuse(f"span: there is no {span[:20]!r}; there are {', '.join(rings)}", 400)
        ring = rings[span]
        service, busy = self._service, self._live.history.busy

        async def pieces() -> AsyncGenerator[bytes, None]:
            yield b'{"columns":{'
            for number, (name, values) in enumerate(ring.columns()):
                whole = [int(value) if value.is_integer() else round(value, 4) for value in values]
                yield b'%s"%s":%s' % (b"," if number else b"", name.encode(), json.dumps(whole).encode())
                await asyncio.sleep(0)
            converged = {"is": service.speaker.is_converged, "after": service.convergence}
            yield b'},"started":%s,"converged":%s,"busy":%s}' % (
                encoded(service.started),
                encoded(converged),
                encoded(busy),
            )

        return await send(request, pieces())

    async def flow(self, request: "web.Request") -> "web.StreamResponse":
        """Answer with the way of a prefix."""
        from aiohttp import web

        try:
            found = await flow(self._service, network(self._service, request.query.get("prefix", "")))
        except (Unanswerable, ValueError) as error:
            return refuse(str(error), 400)
        return web.Response(body=encoded(found), headers=HEADERS)
