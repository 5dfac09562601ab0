"""Reports over HTTP: `GET /api/show/<report>?argument=value`, rows of JSON, streamed and in pages.

An answer is `{"rows": [...], "count": N, "next": SKIP}`: `rows` and `skip` say how many rows a page has and
how many come before it, and `next` is there while there are more.  An error is `{"error": TEXT}`; where rows
went out before, it stands behind them.  As with the control socket an answer is made a few milliseconds at a
time and as fast as it is read.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from reflector.control.lines import SLICE
from reflector.report.answering import answer, find
from reflector.report.catalog import Question, Sort
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service

# Rows of a page, if nothing is said; so many may be passed over.
ROWS, MOST_SKIPPED = 1000, 100_000
# Octets that are written at a time, and seconds that who reads may take for them.
_CHUNK, _PATIENCE = 1 << 15, 60.0
# So many are answered at a time.
MOST_ANSWERED = 32

HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


class Shows:
    """Answers reports."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._answering = 0

    async def show(self, request: "web.Request") -> "web.StreamResponse":
        """Answer one report."""
        try:
            question, given, rows, skip = self._read(request)
        except Unanswerable as error:
            return refuse(str(error), 404 if str(error).startswith("nothing is known") else 400)
        if self._answering >= MOST_ANSWERED:
            return refuse("too many ask at once: try again in a second", 503)
        self._answering += 1
        try:
            return await send(request, self._page(question, given, rows, skip))
        finally:
            self._answering -= 1

    def _read(self, request: "web.Request") -> tuple[Question, dict[str, object], int, int]:
        question = find(request.match_info["report"])
        if question.changes:
            raise Unanswerable(f"{question.name} changes something, and this only shows")
        if question.endless:
            raise Unanswerable(f"{question.name} never ends: ask api/{question.name}")
        given = arguments(question, request, but={"rows", "skip"})
        return question, given, _number(request, "rows", ROWS), _number(request, "skip", 0, MOST_SKIPPED)

    async def _page(
        self, question: Question, given: dict[str, object], rows: int, skip: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield an answer in small pieces; raise Unanswerable before the first one."""
        count = 0
        more = False
        async with aclosing(answer(self._service, question, given)) as found:
            first = await anext(found, None)
            yield b'{"rows":['
            try:
                async for row in _from(first, found):
                    count += 1
                    if count <= skip:
                        if not count % 64:
                            yield b""
                        continue
                    if rows and count > skip + rows:
                        more = True
                        break
                    yield (b"," if count > skip + 1 else b"") + encoded(row)
            except Unanswerable as error:
                yield b'],"error":' + encoded(str(error)) + b"}\n"
                return
        shown = max(min(count, skip + rows) - skip if rows else count - skip, 0)
        yield b'],"count":%d%s}\n' % (shown, b',"next":%d' % (skip + rows) if more else b"")


def arguments(question: Question, request: "web.Request", but: set[str] | None = None) -> dict[str, object]:
    """Return the arguments of a question that a request has; a flag alone is a flag that is said."""
    flags = {each.name for each in question.arguments if each.sort is Sort.FLAG}
    return {
        name: "true" if name in flags and not value else value
        for name, value in request.query.items()
        if name not in (but or ())
    }


async def send(request: "web.Request", pieces: AsyncGenerator[bytes, None]) -> "web.StreamResponse":
    """Send pieces of JSON as fast as they are read, compressed where that is understood."""
    from aiohttp import web

    async with aclosing(pieces):
        try:
            first = await anext(pieces)
        except Unanswerable as error:
            return refuse(str(error), 400)
        response = web.StreamResponse(headers=HEADERS)
        compressor = None
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            compressor = zlib.compressobj(1, wbits=31)
            response.headers["Content-Encoding"] = "gzip"
        await response.prepare(request)
        try:
            await _stream(response, first, pieces, compressor)
        except (ConnectionError, TimeoutError):
            # Who asked has gone, or takes nothing.
            response.force_close()
            if request.transport is not None:
                request.transport.abort()
        return response


async def _stream(
    response: "web.StreamResponse", first: bytes, pieces: AsyncGenerator[bytes, None], compressor: Any
) -> None:
    loop = asyncio.get_running_loop()
    waiting, size, until = [first], len(first), loop.time() + SLICE
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            await _write(response, compressor, b"".join(waiting))
            waiting, size = [], 0
        if loop.time() >= until:
            await asyncio.sleep(0)
            until = loop.time() + SLICE
    await _write(response, compressor, b"".join(waiting))
    if compressor is not None:
        await _write(response, None, compressor.flush())
    await response.write_eof()


async def _write(response: "web.StreamResponse", compressor: Any, octets: bytes) -> None:
    if compressor is not None:
        octets = compressor.compress(octets)
    if octets:
        async with asyncio.timeout(_PATIENCE):
            await response.write(octets)


def refuse(text: str, status: int) -> "web.Response":
    """Return an error in words."""
    from aiohttp import web

    headers = {**HEADERS, "Retry-After": "1"} if status == 503 else HEADERS
    return web.Response(body=encoded({"error": text}) + b"\n", status=status, headers=headers)


def encoded(value: object) -> bytes:
    """Return JSON."""
    return json.dumps(value, separators=(",", ":"), default=str).encode()


async def _from(first: Row | None, rest: AsyncIterator[Row]) -> AsyncIterator[Row]:
    if first is not None:
        yield first
    async for row in rest:
        yield row


def _number(request: "web.Request", name: str, default: int, most: int | None = None) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise Unanswerable(f"{name}: {text[:20]!r} is no number from 0 on")
    if most is not None and int(text) > most:
        raise Unanswerable(f"{name}: no more than {most} rows are passed over: ask for less")
    return int(text)
