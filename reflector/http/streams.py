"""Server-sent events: `GET /api/monitor`, the report of that name, and `GET /api/live`, for the page.

Nobody who listens costs memory: a monitor is a watch, which tells who is slow of the latest state only; live
news are in one ring for all, and of routes that change faster than anybody reads only some are shown, and how
many were not.  Who takes nothing for a minute is dropped, and so is whoever comes when too many listen.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from bgp import RouteEvent
from bgp.aio.watch import Watch
from reflector.glass.live import Live
from reflector.http.shows import HEADERS, arguments, encoded, refuse
from reflector.report.answering import answer, find
from reflector.report.arguments import READERS
from reflector.report.catalog import QUESTIONS
from reflector.report.row import Unanswerable
from reflector.report.words import path

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service

# So many may listen at a time, and seconds that one of them may take nothing.
MOST_LISTENERS, _PATIENCE = 64, 60.0
# Seconds between two signs of life, and between two looks at what is new.
_BEAT, _PACE = 15.0, 0.25
# Session events and changes of routes that a listener is shown at a time.
_EVENTS, _ROUTES = 100, 25
# Octets that wait for who is slow.
_HIGH_WATER = 1 << 16


class Streams:
    """Tells whoever listens."""

    def __init__(self, service: "Service", live: Live) -> None:
        self._service = service
        self._live = live
        self._listening: set[asyncio.Task[Any]] = set()

    async def stop(self) -> None:
        """Let everybody go."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)

    async def monitor(self, request: "web.Request") -> "web.StreamResponse":
        """Send the rows of the monitor, each as an event."""
        question = QUESTIONS["monitor"]
        try:
            rows = answer(self._service, find("monitor"), arguments(question, request))
        except Unanswerable as error:
            return refuse(str(error), 400)

        async def events() -> AsyncGenerator[bytes, None]:
            async with aclosing(rows):
                async for row in rows:
                    yield b"id: %d\ndata: %s\n\n" % (row["sequence"], encoded(row))

        return await self._send(request, events())

    async def live(self, request: "web.Request") -> "web.StreamResponse":
        """Send samples, what happens to sessions, and with `routes` some of what happens to routes."""
        try:
            wanted = self._wanted(request)
        except Unanswerable as error:
            return refuse(str(error), 400)
        return await self._send(request, self._news(wanted))

    def _wanted(self, request: "web.Request") -> dict[str, Any] | None:
        """Return what changes of routes are asked for, None for none."""
        if "routes" not in request.query:
            return None
        sorts = {each.name: each.sort for each in QUESTIONS["monitor"].arguments}
        found = {}
        for name in ("family", "within", "peer", "community"):
            text = request.query.get(name, "")
            if text:
                try:
                    found[name] = READERS[sorts[name]](self._service, text)
                except ValueError as error:
                    raise Unanswerable(f"{name}: {error}") from None
        if "within" in found and found.get("family"):
            del found["family"]
        if "community" in found:
            found["community"] = [found["community"]]
        return found

    async def _news(self, wanted: dict[str, Any] | None) -> AsyncGenerator[bytes, None]:
        live, service = self._live, self._service
        event, sample = max(live.number - _EVENTS, 0), -1
        glimpses = _Glimpses(service, wanted) if wanted is not None else None
        try:
            hello = {"started": service.started, "version": service.version, "event": event}
            yield b"retry: 2000\n" + _event("hello", hello)
            while not live.closed:
                rows, lost = live.since(event, _EVENTS)
                # More may happen while these are sent.
                known, event = event, live.number
                if lost and known:
                    yield _event("lost", {"count": lost})
                for row in rows:
                    yield b"event: peer\ndata: %s\n\n" % row
                if live.samples != sample and live.history.latest:
                    sample = live.samples
                    yield _event("sample", live.history.latest)
                if glimpses is None:
                    await live.wait(event, sample, _BEAT)
                else:
                    for piece in await glimpses.take():
                        yield piece
                yield b""
                await asyncio.sleep(_PACE)
        finally:
            if glimpses is not None:
                glimpses.close()

    async def _send(
        self, request: "web.Request", events: AsyncGenerator[bytes, None]
    ) -> "web.StreamResponse":
        from aiohttp import web

        if len(self._listening) >= MOST_LISTENERS:
            await events.aclose()
            return refuse("too many listen already: try again later", 503)
        headers = {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        async with self._listener(), aclosing(events):
            await response.prepare(request)
            transport = request.transport
            if transport is not None:
                transport.set_write_buffer_limits(high=_HIGH_WATER)
            async for octets in _beating(events):
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await response.write(octets)
                except (TimeoutError, ConnectionError):
                    response.force_close()
                    if request.transport is not None:
                        request.transport.abort()
                    break
        return response

    @asynccontextmanager
    async def _listener(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._listening.add(task)
        try:
            yield
        finally:
            self._listening.discard(task)


class _Glimpses:
    """Some of the changes of routes, and how many there were beside them, at a bounded cost."""

    def __init__(self, service: "Service", wanted: dict[str, Any]) -> None:
        self._service = service
        self._wanted = wanted
        self._watch = self._open()

    def _open(self) -> Watch:
        speaker = self._service.speaker
        return speaker.watch(since=speaker.router.history.number, **self._wanted)

    def close(self) -> None:
        self._watch.close()

    async def take(self) -> list[bytes]:
        """Return the changes that are there; where they are too many, some, and the number of the others."""
        found: list[bytes] = []
        while len(found) < _ROUTES and not self._watch.in_sync:
            try:
                # What is not in step may have nothing to tell: of routes that nobody asked for.
                event = await asyncio.wait_for(anext(self._watch), 0.05)
            except (TimeoutError, StopAsyncIteration):
                break
            if isinstance(event, RouteEvent) and not event.snapshot:
                found.append(_event("route", _route(event)))
        if not self._watch.in_sync:
            passed = self._service.speaker.router.history.number - self._watch.sequence
            self._watch.close()
            self._watch = self._open()
            if passed > 0:
                found.append(_event("passed", {"count": passed}))
        return found


def _route(event: RouteEvent) -> dict[str, Any]:
    row: dict[str, Any] = {
        "sequence": event.sequence,
        "change": event.change.value,
        "reason": event.reason.value,
        "prefix": event.prefix,
        "family": event.family.name,
    }
    for name, found in (("path", event.path), ("previous", event.previous)):
        if found is not None:
            row[name] = path(event.family, event.prefix, found, True)
    return row


def _event(name: str, value: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encoded(value))


async def _beating(events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Yield the events, many in one piece, and a sign of life where there are none for long."""
    loop = asyncio.get_running_loop()
    task: asyncio.Task[bytes | None] | None = None
    spoken = loop.time()
    try:
        while True:
            if task is None:
                task = loop.create_task(_next(events))
            done, _ = await asyncio.wait([task], timeout=max(spoken + _BEAT - loop.time(), 0))
            if not done:
                spoken = loop.time()
                yield b": still here\n\n"
                continue
            octets, task = task.result(), None
            if octets is None:
                return
            if octets:
                spoken = loop.time()
                yield octets
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _next(events: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(events, None)
