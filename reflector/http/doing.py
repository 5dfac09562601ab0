"""Commands over HTTP: `POST /api/do/COMMAND`, its arguments a JSON object, is answered as on the socket.

    curl -H "Authorization: Bearer $TOKEN" --json '{"peer": "node7"}' http://127.0.0.1:9179/api/do/reset

The answer is lines of JSON, as they are made: `{"row": {...}}`, and `{"end": COUNT}` or `{"error": TEXT}`.
"""

import asyncio
import json
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from reflector.control.protocol import line, parse
from reflector.control.server import ControlTalk
from reflector.http.guard import Refusal, refused
from reflector.report.catalog import QUESTIONS

if TYPE_CHECKING:
    from aiohttp import web

    from reflector.app import Service

LONGEST = 1 << 20  # octets of a request
_PATIENCE = 20.0  # seconds until all of it must be there
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

    app.router.add_post("/api/do/{command}", do)


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
    async with aclosing(talk.answer(line({"ask": name, "with": given}))) as answer:
        async for octets in answer:
            if not response.prepared:
                if "error" in json.loads(octets):
                    response.set_status(HTTPStatus.BAD_REQUEST)
                await response.prepare(request)
            await response.write(octets)
    await response.write_eof()
    return response
