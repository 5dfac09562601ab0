"""The looking glass: a page that shows what the reflector does, and what it asks for that.

Everything here reads: there is nothing that could change anything.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
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


class Glass:
    """The looking glass of a service; applications come and go, and what it knows of the past stays."""

    def __init__(self, service: "Service") -> None:
        """Begin to take samples and to listen."""
        self._service = service
        self._live = Live(service)
        self._roll = Roll(service)
        self._shows = Shows(service)
        self._streams = Streams(service, self._live)
        # By whoever has started us: later that may be somebody who cannot read them.
        pages.load()
        self._live.start()

    def add_to(self, app: "web.Application") -> None:
        """Have an application answer with the page, and with what the page asks for."""
        add = app.router.add_get
        add("/", pages.index)
        add("/glass/{name}", pages.file)
        add("/api/show/{report}", self._shows.show, allow_head=False)
        add("/api/monitor", self._streams.monitor, allow_head=False)
        add("/api/live", self._streams.live, allow_head=False)
        add("/api/roll", self.roll, allow_head=False)
        add("/api/history", self.history, allow_head=False)
        add("/api/flow", self.flow, allow_head=False)

    async def dismiss(self) -> None:
        """Let those go who would listen for ever: they come back, if they still may."""
        await self._streams.stop()

    async def stop(self) -> None:
        """Listen no more, and let everybody go."""
        await self._live.stop()
        await self.dismiss()

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
