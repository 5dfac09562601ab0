"""The HTTP server of a running service: read-only, and only where the configuration says.

`/metrics` is for Prometheus, `/livez` says that the loop turns, and `/readyz` that the first routes of all
neighbors are there, or were waited for long enough.
"""

import errno
import logging
import time
from typing import TYPE_CHECKING

from bgp.aio.address import parse_endpoint
from reflector.http import birdwatcher
from reflector.metrics import exposition

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service
    from reflector.config import Http

logger = logging.getLogger(__name__)

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class HttpServer:
    """Answers at the addresses of `[http]`."""

    def __init__(self, service: "Service", options: "Http") -> None:
        self._service = service
        self._options = options
        self._runner: web.AppRunner | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it answers, with the real ports where 0 was asked for."""
        return [] if self._runner is None else [address[:2] for address in self._runner.addresses]

    async def start(self) -> None:
        """Begin to answer; raise OSError, naming the address, where one cannot be had."""
        try:
            from aiohttp import web
        except ImportError:
            what = "[http] listen needs aiohttp: pip install 'martlet[http]', or leave it out"
            raise OSError(errno.ENOPKG, what) from None
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._ready)
        if self._options.birdwatcher:
            birdwatcher.add_to(app, self._service)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        for text in self._options.listen:
            endpoint = parse_endpoint(text)
            try:
                await web.TCPSite(runner, endpoint.host, endpoint.port).start()
            except OSError as error:
                reason = f"[http] listen: cannot answer on {text}: {error.strerror}"
                await self.stop()
                raise OSError(error.errno, reason) from None
        logger.info("HTTP on %s", ", ".join(f"{host}:{port}" for host, port in self.addresses))

    async def stop(self) -> None:
        """Answer no more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _metrics(self, request: "web.Request") -> "web.StreamResponse":
        from aiohttp import web

        response = web.StreamResponse(headers={"Content-Type": _TEXT})
        await response.prepare(request)
        async for octets in exposition(self._service):
            await response.write(octets)
        await response.write_eof()
        return response

    async def _live(self, _: "web.Request") -> "web.StreamResponse":
        from aiohttp import web

        return web.Response(text="alive\n")

    async def _ready(self, _: "web.Request") -> "web.StreamResponse":
        from aiohttp import web

        service = self._service
        if service.speaker.is_converged:
            return web.Response(text="ready\n")
        waited = time.time() - service.started
        if waited >= self._options.ready_after:
            return web.Response(text=f"ready: waited for {waited:.0f} s\n")
        missing = sum(peer.negotiated is None for peer in service.speaker.peers)
        text = (
            f"not ready: waiting for first routes since {waited:.0f} s, {missing} neighbors have no session\n"
        )
        return web.Response(text=text, status=503)
