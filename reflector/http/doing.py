"""The words of the control socket over HTTP: `POST /api/do/COMMAND` and `GET /api/ask/QUESTION`.

    curl -H "Authorization: Bearer $TOKEN" --json '{"peer": "node7"}' http://127.0.0.1:9179/api/do/reset
    curl 'http://127.0.0.1:9179/api/ask/routes?prefix=10.0.0.0/8&longer=true'

The answer is lines of JSON, as they are made: `{"row": {...}}`, and `{"end": COUNT}` or `{"error": TEXT}`.
"""

import asyncio
import json
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from reflector.control.lines import SLICE
from reflector.control.protocol import line, parse
from reflector.control.server import ControlTalk
from reflector.http.guard import Refusal, refused
from reflector.report.catalog import QUESTIONS

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service

LONGEST = 1 << 20  # octets of a request
_PATIENCE = 20.0  # seconds until all of it must be there
# Octets that are sent at a time.
_PIECE = 1 << 15
LINES = "application/x-ndjson"


def add_to(app: "web.Application", service: "Service") -> None:
    """Let commands be given."""

    async def do(request: "web.Request") -> "web.StreamResponse":
        name = request.match_info["command"]
        known = {question.name for question in QUESTIONS.values() if question.changes}
        if name not in known:
            return refused(
                request, Refusal(404, f"there is no command {name!r}; there are {', '.join(sorted(known))}")
            )
        given = await _object(request)
        if isinstance(given, Refusal):
            return refused(request, given)
        return await _answer(service, request, name, given)

    async def ask(request: "web.Request") -> "web.StreamResponse":
        name = request.match_info["question"]
        known = {question.name for question in QUESTIONS.values() if not question.changes}
        if name not in known:
            text = f"there is no question {name!r}; there are {', '.join(sorted(known))}"
            return refused(request, Refusal(404, text))
        return await _answer(service, request, name, dict(request.query))

    app.router.add_post("/api/do/{command}", do)
    app.router.add_get("/api/ask/{question}", ask)


async def _object(request: "web.Request") -> dict[str, Any] | Refusal:
    """Return the arguments in a request, of which a page that is not ours could send none."""
    from aiohttp import web

    if request.content_type != "application/json":
        return Refusal(415, "send JSON, with the header Content-Type: application/json")
    try:
        async with asyncio.timeout(_PATIENCE):
            octets = await request.read()
    except TimeoutError:
        return Refusal(408, f"the request was not there within {_PATIENCE:g} s")
    except web.HTTPRequestEntityTooLarge:
        return Refusal(413, f"a request has at most {LONGEST} octets")
    try:
        return parse(octets) if octets.strip() else {}
    except (ValueError, RecursionError) as error:
        return Refusal(400, f"not understood: {error}")


async def _answer(
    service: "Service", request: "web.Request", name: str, given: dict[str, Any]
) -> "web.StreamResponse":
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": LINES, "Cache-Control": "no-store"})
    talk = ControlTalk(service)
    loop = asyncio.get_running_loop()
    waiting: list[bytes] = []
    size, until = 0, loop.time() + SLICE
    async with aclosing(talk.answer(line({"ask": name, "with": given}))) as answer:
        async for octets in answer:
            if not response.prepared:
                if "error" in json.loads(octets):
                    response.set_status(HTTPStatus.BAD_REQUEST)
                await response.prepare(request)
            waiting.append(octets)
            size += len(octets)
            if size >= _PIECE or QUESTIONS[name].endless or QUESTIONS[name].changes:
                await response.write(b"".join(waiting))
                waiting, size = [], 0
            if loop.time() >= until:
                await asyncio.sleep(0)
                until = loop.time() + SLICE
    await response.write(b"".join(waiting))
    await response.write_eof()
    return response
