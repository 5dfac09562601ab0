"""Where HTTP listens: sockets that stay while what is answered there changes, TLS with changing certificates.

Who asks slowly, or does not read the answer, costs one of a limited number of connections for a limited time.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bgp.aio.address import parse_endpoint

if TYPE_CHECKING:
    from aiohttp import web

# So many connections at a time; seconds for a handshake, without a request, and of not taking an answer.
CONNECTIONS, _HANDSHAKE, IDLE, _UNTAKEN = 256, 10.0, 30.0, 60.0


class _Full(asyncio.Protocol):
    """What a connection meets that is one too many: its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Certificate:
    """The certificate of [http] and its key, which may change in their files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both; raise OSError, naming them, where they are of no use."""
        self._files = certificate, key
        self._held = self._content()
        self.context = self._loaded(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))

    def renew(self) -> None:
        """Read the files again, for the connections to come; raise OSError, and go on with what there was."""
        content = self._content()
        self._loaded(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
        self._loaded(self.context)
        self._held = content

    @property
    def is_renewed(self) -> bool:
        """Whether the files hold something else than what was read."""
        return self._content() != self._held

    def _content(self) -> list[bytes]:
        try:
            return [sha256(each.read_bytes()).digest() for each in self._files]
        except OSError:
            return []

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        certificate, key = self._files
        try:
            # Whoever is asked for a passphrase would wait for ever.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            what = f"[http] certificate {certificate}, key {key}: {reason}"
            remedy = "both in PEM, readable to the service, and the key without a passphrase"
            raise OSError(getattr(error, "errno", None) or errno.EINVAL, f"{what}; {remedy}") from None
        return context


class Listening:
    """The sockets at which a server of aiohttp's is reached."""

    def __init__(self, server: "Callable[[], web.Server | None]") -> None:
        self._server = server
        self._sockets: dict[str, socket.socket] = {}
        self._servers: list[asyncio.Server] = []

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where that is, with the real ports where 0 was asked for."""
        return [each.getsockname()[:2] for each in self._sockets.values()]

    async def change(self, addresses: Sequence[str], context: ssl.SSLContext | None) -> None:
        """Listen at these addresses; raise OSError, with nothing changed, naming one that cannot be had."""
        fresh: dict[str, socket.socket] = {}
        try:
            for text in addresses:
                if text not in self._sockets:
                    fresh[text] = _bound(text)
        except OSError:
            for sock in fresh.values():
                sock.close()
            raise
        self._close_servers()
        for text in self._sockets.keys() - set(addresses):
            self._sockets.pop(text).close()
        self._sockets |= fresh
        loop = asyncio.get_running_loop()
        for sock in self._sockets.values():
            timeout = None if context is None else _HANDSHAKE
            self._servers.append(
                await loop.create_server(
                    self._protocol, sock=sock.dup(), ssl=context, ssl_handshake_timeout=timeout
                )
            )

    def _protocol(self) -> asyncio.BaseProtocol:
        server = self._server()
        if server is None or len(server.connections) >= CONNECTIONS:
            return _Full()
        return cast(asyncio.BaseProtocol, server())

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def close(self) -> None:
        """Listen no more; who is connected stays."""
        self._close_servers()
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()


def _bound(text: str) -> socket.socket:
    endpoint = parse_endpoint(text)
    sock = socket.socket(endpoint.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Those who connect inherit it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_UNTAKEN * 1000))
        if endpoint.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(endpoint.sockaddr)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"[http] listen: cannot answer on {text}: {error.strerror}") from None
    return sock
