"""Who may ask what over HTTP: every request passes here before anything else looks at it.

Each connection counts as from this machine or from elsewhere by the address at which it came in.  A token
comes in the header `Authorization: Bearer TOKEN`; who only reads may give it as a password, as browsers do.
Browsers send passwords by themselves wherever some page asks them to, so that never suffices to change
anything.
"""

import base64
import binascii
import hmac
import json
import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

from reflector.configuration.exposure import OPEN, Http, is_loopback
from reflector.configuration.secrets import Secret

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Handler, Middleware

logger = logging.getLogger(__name__)

_READING = ("GET", "HEAD")
_QUIET = 10.0  # seconds between two lines about wrong tokens


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: the status, and what to do about it."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Asker:
    """What is known of a request before it is answered."""

    path: str
    method: str
    local: bool  # the connection did not leave this machine
    secure: bool  # it is over TLS
    host: str = ""
    scheme: str = "http"
    authorization: str = ""
    origin: str = ""

    @property
    def writing(self) -> bool:
        """Whether it may change anything."""
        return self.method not in _READING


class Guard:
    """Lets requests pass as `[http]` says."""

    def __init__(self, options: Http) -> None:
        self.options = options
        self._wrong = 0
        self._said: float | None = None

    def middleware(self) -> "Middleware":
        """Return what aiohttp asks before each handler."""
        from aiohttp import web

        @web.middleware
        async def pass_or_refuse(request: web.Request, handler: "Handler") -> web.StreamResponse:
            refusal = self.judge(_asker(request))
            if refusal is None:
                response = await handler(request)
            else:
                self._count(request, refusal)
                response = refused(request, refusal)
            if not response.prepared:
                response.headers.setdefault("X-Content-Type-Options", "nosniff")
                response.headers.setdefault("Cache-Control", "no-store")
            return response

        return pass_or_refuse

    def judge(self, asker: Asker) -> Refusal | None:
        """Return why a request is refused, None where it is not."""
        options = self.options
        if not asker.writing and any(asker.path in OPEN[name] for name in options.open):
            return None
        if not asker.local and not asker.secure:
            return Refusal(403, "from elsewhere only over TLS: set certificate, key and token in [http]")
        kind, _, given = asker.authorization.partition(" ")
        if asker.writing:
            return self._judge_writing(asker, kind.lower(), given.strip())
        if not asker.authorization:
            return self._judge_stranger(asker)
        if kind.lower() == "basic":
            given = _password(given)
        elif kind.lower() != "bearer":
            return Refusal(401, "write the token as Authorization: Bearer TOKEN")
        if _is(options.token, given.strip()) or _is(options.read_token, given.strip()):
            return None
        return self._unknown(options.token, options.read_token)

    def _judge_writing(self, asker: Asker, kind: str, given: str) -> Refusal | None:
        token = self.options.token
        if token is None:
            return Refusal(403, "nothing can be changed over HTTP: [http] has no token")
        # A page of somebody else's in a browser of whoever may.
        if asker.origin and asker.origin != f"{asker.scheme}://{asker.host}":
            return Refusal(403, f"pages of {asker.origin} may change nothing here")
        if kind != "bearer":
            return Refusal(401, "to change anything takes the token: Authorization: Bearer TOKEN")
        if _is(token, given):
            return None
        if _is(self.options.read_token, given):
            return Refusal(403, "this token is for reading only")
        return self._unknown(token)

    def _judge_stranger(self, asker: Asker) -> Refusal | None:
        """Who gives no token may read on this machine; but no page that has its name lead here."""
        if not asker.local:
            return Refusal(401, "a token is needed: Authorization: Bearer TOKEN")
        if _is_safe_host(asker.host):
            return None
        return Refusal(403, f"without a token only as localhost or by an address, not as {asker.host[:80]!r}")

    def _unknown(self, *tokens: Secret | None) -> Refusal:
        faults = [each.fault for each in tokens if each is not None and each.fault]
        if faults and all(each is None or each.fault for each in tokens):
            return Refusal(503, "the token of [http] cannot be read; the log says why")
        return Refusal(401, "this is not the token")

    def _count(self, request: "web.Request", refusal: Refusal) -> None:
        if refusal.status != 401:
            return
        self._wrong += 1
        now = time.monotonic()
        if self._said is None or now >= self._said + _QUIET:
            logger.warning(
                "HTTP: %d requests without the right token, the last one from %s", self._wrong, request.remote
            )
            self._wrong, self._said = 0, now


def refused(request: "web.Request", refusal: Refusal) -> "web.StreamResponse":
    """Return the answer to who is refused: JSON to programs, text to others."""
    from aiohttp import web

    response: web.Response
    if request.path.startswith("/api/"):
        text = json.dumps({"error": refusal.text}) + "\n"
        response = web.Response(text=text, content_type="application/json", status=refusal.status)
    else:
        response = web.Response(text=refusal.text + "\n", status=refusal.status)
    if refusal.status == 401:
        response.headers.add("WWW-Authenticate", "Bearer")
        if request.method in _READING:
            response.headers.add("WWW-Authenticate", 'Basic realm="Martlet", charset="UTF-8"')
    if request.can_read_body:
        # What it would have said is not read.
        response.force_close()
    return response


def _asker(request: "web.Request") -> Asker:
    transport = request.transport
    name = None if transport is None else transport.get_extra_info("sockname")
    return Asker(
        path=request.path,
        method=request.method,
        local=name is not None and is_loopback(ip_address(str(name[0]).partition("%")[0])),
        secure=transport is not None and transport.get_extra_info("ssl_object") is not None,
        host=request.headers.get("Host", ""),
        scheme=request.scheme,
        authorization=request.headers.get("Authorization", ""),
        origin=request.headers.get("Origin", ""),
    )


def _is(token: Secret | None, given: str) -> bool:
    """Compare in a time that says nothing of how far they agree."""
    if token is None or token.fault:
        return False
    octets = given.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(sha256(token.octets).digest(), sha256(octets).digest())


def _password(given: str) -> str:
    try:
        return base64.b64decode(given, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _is_safe_host(host: str) -> bool:
    """Return whether a Host header is no name that somebody else's server could have lead here."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name == "localhost":
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
