"""Asking a running service over HTTP: the same questions and answers as over its socket, without any loop.

A token goes over TLS only, or over loopback, and nowhere else, whatever is asked for.
"""

import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from reflector.control.client import Unanswered, answers

# Name what the command line does not: where the service answers, the file with the token, or the token.
URL, TOKEN_FILE, TOKEN = "REFLECTOR_URL", "REFLECTOR_TOKEN_FILE", "REFLECTOR_TOKEN"
# Seconds until a connection must be there.
_CONNECT = 20.0


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a service answers over HTTP, with which token, and the file with the authorities to believe."""

    url: str
    token: str = ""
    authorities: Path | None = None

    def ask(
        self, question: str, given: Mapping[str, Any], *, changes: bool, timeout: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of the answer as they come, each within `timeout` seconds; raise Unanswered."""
        connection, path = self._connection(timeout or _CONNECT)
        said = {name: value for name, value in given.items() if value is not None}
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            if changes:
                headers["Content-Type"] = "application/json"
                connection.request("POST", f"{path}/api/do/{quote(question)}", json.dumps(said), headers)
            else:
                texts = {name: _text(value) for name, value in said.items()}
                query = f"?{urlencode(texts)}" if texts else ""
                connection.request("GET", f"{path}/api/ask/{quote(question)}{query}", headers=headers)
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            response = connection.getresponse()
            _refuse(response)
            yield from answers(iter(response.readline, b""))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unanswered(f"{self.url}: {_reason(error)}") from None
        finally:
            connection.close()

    def _connection(self, timeout: float) -> tuple[http.client.HTTPConnection, str]:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise Unanswered(f"{self.url}: {error}") from None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.username is not None:
            raise Unanswered(f"{self.url!r} is no URL such as https://rr.example.net:9179")
        if parts.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=self.authorities)
            except OSError as error:
                raise Unanswered(f"{self.authorities}: {error.strerror or error}") from None
            return http.client.HTTPSConnection(
                host, port, timeout=timeout, context=context
            ), parts.path.rstrip("/")
        if self.token and not _is_loopback(host):
            what = "everybody on the way could read the token: write https://, or ask without a token"
            raise Unanswered(f"{self.url}: {what}")
        return http.client.HTTPConnection(host, port, timeout=timeout), parts.path.rstrip("/")


def remote(url: str | None, token_file: Path | None, authorities: Path | None) -> Remote | None:
    """Return where the command line, or else the environment, says to ask, None for the socket."""
    url = url or os.environ.get(URL)
    if not url:
        return None
    file = token_file or os.environ.get(TOKEN_FILE)
    token = os.environ.get(TOKEN, "")
    if file:
        try:
            token = Path(file).read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise Unanswered(f"{file}: {getattr(error, 'strerror', None) or 'is no token'}") from None
    if any(not "!" <= each <= "~" for each in token):
        raise Unanswered(
            f"{file or TOKEN} is no token: it has other signs than letters, digits and punctuation"
        )
    return Remote(url, token, authorities)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse(response: http.client.HTTPResponse) -> None:
    """Raise Unanswered for what is no answer of a service."""
    if response.status == http.client.OK:
        return
    said = response.read(1 << 16)
    try:
        text = json.loads(said.partition(b"\n")[0])["error"]
    except (ValueError, KeyError, TypeError):
        text = f"{response.status} {response.reason}: is this the [http] of a reflector?"
    remedy = (
        "; --token-file names the file with the token" if response.status == http.client.UNAUTHORIZED else ""
    )
    raise Unanswered(f"{text}{remedy}")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}; --ca names a file with the authorities to believe"
    if isinstance(error, TimeoutError):
        return "the service has not answered in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"this is not the [http] of a reflector: {type(error).__name__}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
