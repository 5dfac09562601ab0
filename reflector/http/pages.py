"""The page of the looking glass: files held in memory, each with an ETag, plain and packed.

Nothing on it comes from elsewhere, and the policy that goes with it makes sure: no script but its own files,
no text that becomes markup, no other origin, no frame.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'", "trusted-types 'none'",
    )
)  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Asked for again each time, and mostly answered by 304: so a new version is never half an old one.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page."""

    octets: bytes
    packed: bytes
    type: str
    tag: str


@cache
def load() -> Mapping[str, File]:
    """Return the files by name."""
    found = {}
    for each in files("reflector.http").joinpath("page").iterdir():
        ending = each.name.rpartition(".")[2]
        if ending in _TYPES:
            octets = each.read_bytes()
            digest = hashlib.sha256(octets).hexdigest()[:20]
            found[each.name] = File(octets, gzip.compress(octets, mtime=0), _TYPES[ending], digest)
    return found


async def index(request: "web.Request") -> "web.StreamResponse":
    """Answer with the page itself."""
    return _answer(request, "index.html")


async def file(request: "web.Request") -> "web.StreamResponse":
    """Answer with a file of it."""
    return _answer(request, request.match_info["name"])


def _answer(request: "web.Request", name: str) -> "web.StreamResponse":
    from aiohttp import web
    from aiohttp.helpers import ETag

    found = load().get(name)
    if found is None:
        return web.Response(text="there is no such file\n", status=404)
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    tag = f"{found.tag}-gzip" if packed else found.tag
    headers = {**_HEADERS, "Content-Type": found.type}
    known = request.if_none_match or ()
    if any(each.value in (tag, "*") for each in known):
        response = web.Response(status=304, headers=_HEADERS)
    elif packed:
        response = web.Response(body=found.packed, headers={**headers, "Content-Encoding": "gzip"})
    else:
        response = web.Response(body=found.octets, headers=headers)
    response.etag = ETag(tag)
    return response
