"""The HTTP server of a running service: only where the configuration says, and each request past the guard.

`/metrics` is for Prometheus, `/livez` says that the loop turns, and `/readyz` that the first routes of all
neighbors are there, or were waited for long enough.
"""

import asyncio
import errno
import logging
from typing import TYPE_CHECKING

from reflector.configuration.exposure import Http
from reflector.http import birdwatcher, doing
from reflector.http.glass import Glass
from reflector.http.guard import Guard
from reflector.http.listening import IDLE, Certificate, Listening
from reflector.metrics import exposition
from reflector.running.readiness import readiness

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service

logger = logging.getLogger(__name__)

# Seconds that an answer may go on behind a change of the options.
_GRACE = 10.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class HttpServer:
    """Answers at the addresses of `[http]`, which may change."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._options = Http()
        self._guard = Guard(self._options)
        self._certificate: Certificate | None = None
        self._runner: web.AppRunner | None = None
        self._glass: Glass | None = None
        # Those before, which answer to the end what they were asked, for a while.
        self._old: dict[asyncio.Task[None], web.AppRunner] = {}
        self._listening = Listening(lambda: None if self._runner is None else self._runner.server)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it answers, with the real ports where 0 was asked for."""
        return self._listening.addresses

    @property
    def connections(self) -> int:
        """How many there are."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    async def change(self, options: Http) -> None:
        """Answer as these options say from now on; raise OSError, with nothing changed, where that cannot be.

        What is being answered is answered to its end, within _GRACE seconds: so nobody listens for ever whom
        the new options would not let in.
        """
        certificate = None
        if options.certificate is not None and options.key is not None:
            certificate = Certificate(options.certificate, options.key)
        fresh = await self._made(options) if options.endpoints else None
        # Nobody is let in by the old rules where the new ones are stricter, nor by the new ones if they fail.
        before, self._guard.options = self._guard.options, options
        old, self._runner = self._runner, fresh
        try:
            context = None if certificate is None else certificate.context
            await self._listening.change(options.endpoints, context)
        except OSError:
            self._guard.options, self._runner = before, old
            if fresh is not None:
                await fresh.cleanup()
            if not before.looking_glass:
                await self._unglaze()
            raise
        self._options, self._certificate = options, certificate
        if not options.looking_glass:
            await self._unglaze()
        elif self._glass is not None:
            await self._glass.dismiss()
        if old is not None:
            self._old[asyncio.get_running_loop().create_task(self._retire(old))] = old
        if options.endpoints:
            kind = "HTTP" if certificate is None else "HTTPS"
            logger.info("%s on %s", kind, ", ".join(f"{host}:{port}" for host, port in self.addresses))

    async def _retire(self, runner: "web.AppRunner") -> None:
        """Let what was there before the last change come to its end."""
        if runner.server is not None:
            # Each connection ends when what it has asked for is answered.
            runner.server.pre_shutdown()
        await asyncio.sleep(_GRACE)
        await runner.cleanup()
        self._old = {task: each for task, each in self._old.items() if each is not runner}

    async def _made(self, options: Http) -> "web.AppRunner":
        try:
            from aiohttp import web
        except ImportError:
            what = "[http] listen needs aiohttp: pip install 'martlet[http]', or leave it out"
            raise OSError(errno.ENOPKG, what) from None
        app = web.Application(middlewares=[self._guard.middleware()], client_max_size=doing.LONGEST)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._ready)
        if options.looking_glass:
            self._glass = self._glass or Glass(self._service)
            self._glass.add_to(app)
        if options.birdwatcher:
            birdwatcher.add_to(app, self._service)
        doing.add_to(app, self._service)
        # Who goes away is answered no more, as on the socket.
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE, handler_cancellation=True
        )
        await runner.setup()
        return runner

    @property
    def is_renewed(self) -> bool:
        """Whether the files of certificate and key hold something else by now."""
        return self._certificate is not None and self._certificate.is_renewed

    def renew(self) -> None:
        """Take what the files of the certificate hold by now; raise OSError, and go on with the old one."""
        if self._certificate is not None:
            self._certificate.renew()

    async def _unglaze(self) -> None:
        glass, self._glass = self._glass, None
        if glass is not None:
            await glass.stop()

    async def stop(self) -> None:
        """Answer no more."""
        self._listening.close()
        await self._unglaze()
        runners = [*self._old.values(), *([] if self._runner is None else [self._runner])]
        for task in self._old:
            task.cancel()
        await asyncio.gather(*self._old, return_exceptions=True)
        self._runner = None
        self._old = {}
        for runner in runners:
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

        ready, text = readiness(self._service)
        return web.Response(text=f"{text}\n", status=200 if ready else 503)
