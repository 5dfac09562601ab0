"""Who may ask what over HTTP: the table [http], the guard's judgement, and both over sockets with TLS."""

import asyncio
import base64
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from service import CONFIGURATION, Cluster, running

from reflector.app import Service
from reflector.changes.reload import plan
from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError
from reflector.configuration.exposure import Http
from reflector.configuration.secrets import Secret
from reflector.http import listening
from reflector.http.guard import Asker, Guard

TOKEN, READER = "d0" * 16, "0d" * 16
ROUTER = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n[group.g]\nclient = true\n'
FILES = 'certificate = "/tls.crt"\nkey = "/tls.key"\n'


def problems(http: str) -> list[str]:
    try:
        loads(f"{ROUTER}[http]\n{http}")
    except ConfigurationError as error:
        return [f"{each.key}: {each.what}; {each.remedy}" for each in error.problems]
    return []


# --- The table ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("http", "said"),
    [
        (
            'listen = ["0.0.0.0:1"]',
            'write open = ["metrics", "probes"] to show these only, or add certificate',
        ),
        (
            'listen = ["127.0.0.1:1", "[::]:1"]',
            '[http] listen, item 2: "[::]:1" is not only for this machine',
        ),
        ('listen = ["192.0.2.1:1"]\n' + FILES, "or add token"),
        (f'listen = ["192.0.2.1:1"]\ntoken = "{TOKEN}"', "or add certificate and key"),
        ('certificate = "/tls.crt"', "[http] certificate: is of no use without key; add key"),
        ('key = "/tls.key"', "[http] key: is of no use without certificate"),
        ('token = "short"', "has 5 octets, which can be guessed; make one with `openssl rand -hex 32`"),
        (f'token = "{TOKEN} {TOKEN}"', "has other signs than letters, digits and punctuation"),
        ('open = ["metric"]', 'did you mean "metrics"?'),
        ('open = ["pages"]', '"pages" is not known; write one of "metrics", "probes"'),
    ],
)
def test_what_would_show_too_much_is_refused(http: str, said: str) -> None:
    found = problems(http)
    assert len(found) == 1 and said in found[0], found
    assert TOKEN not in found[0]


@pytest.mark.parametrize(
    "http",
    [
        'listen = ["127.0.0.1:1", "[::1]:1", "127.8.8.8:1"]',
        'listen = ["0.0.0.0:1"]\nopen = ["metrics", "probes"]',
        'listen = ["0.0.0.0:1"]\nopen = ["probes"]',
        f'listen = ["0.0.0.0:1"]\ntoken = "{TOKEN}"\n{FILES}',
        f'listen = ["0.0.0.0:1"]\nread_token = "{TOKEN}"\n{FILES}',
    ],
)
def test_what_is_well_kept_is_good(http: str) -> None:
    assert problems(http) == []


def test_a_token_elsewhere_that_is_bad_is_no_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for content, said in (("short\n", "can be guessed"), (TOKEN, ""), (None, "cannot be read")):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
            file.chmod(0o600)
        found = loads(f'{ROUTER}[http]\ntoken = {{file = "{file}"}}')
        assert found.http.token is not None
        assert said in found.http.token.fault and bool(said) is bool(found.http.token.fault)
        assert any(said in str(each) for each in found.warnings)
        assert TOKEN not in repr(found)


def test_a_changed_token_is_not_told() -> None:
    before, after = (loads(f'{ROUTER}[http]\ntoken = "{each}"') for each in (TOKEN, READER))
    found = str(plan(before, after))
    assert "token (hidden) (changed)" in found and TOKEN not in found and READER not in found


# --- The judgement -----------------------------------------------------------------------------------------

FULL = Http(token=Secret(TOKEN.encode()), read_token=Secret(READER.encode()))
READ = Asker("/api/show/neighbors", "GET", local=True, secure=False, host="127.0.0.1:9179")
WRITE = replace(READ, path="/api/do/reset", method="POST")
AWAY = replace(READ, local=False, secure=True, host="rr.example.net")


def bearer(asker: Asker, token: str) -> Asker:
    return replace(asker, authorization=f"Bearer {token}")


def basic(asker: Asker, token: str) -> Asker:
    return replace(asker, authorization="Basic " + base64.b64encode(f"me:{token}".encode()).decode())


@pytest.mark.parametrize(
    ("asker", "options", "status"),
    [
        # To read on this machine takes nothing, but a page must not have its own name lead here.
        (READ, Http(), 0),
        (replace(READ, host="localhost:9179"), Http(), 0),
        (replace(READ, host="[::1]:9179"), Http(), 0),
        (replace(READ, host="[::1]"), Http(), 0),
        (replace(READ, host="evil.example"), Http(), 403),
        (replace(READ, host="127.0.0.1.evil.example:9179"), Http(), 403),
        (replace(READ, host=""), Http(), 403),
        (bearer(replace(READ, host="evil.example"), READER), FULL, 0),
        (bearer(READ, "wrong"), FULL, 401),
        # From elsewhere it takes TLS and a token.
        (AWAY, FULL, 401),
        (bearer(AWAY, TOKEN), FULL, 0),
        (bearer(AWAY, READER), FULL, 0),
        (basic(AWAY, READER), FULL, 0),
        (basic(AWAY, "wrong"), FULL, 401),
        (replace(AWAY, authorization="Basic ???"), FULL, 401),
        (replace(AWAY, authorization="Digest x"), FULL, 401),
        (bearer(replace(AWAY, secure=False), TOKEN), FULL, 403),
        (bearer(AWAY, TOKEN), Http(), 401),
        # But for what is open.
        (replace(AWAY, secure=False, path="/metrics"), Http(open=("metrics",)), 0),
        (replace(AWAY, secure=False, path="/livez"), Http(open=("metrics",)), 403),
        (replace(AWAY, secure=False, path="/readyz"), Http(open=("probes",)), 0),
        (replace(AWAY, secure=False, path="/metrics/x"), Http(open=("metrics", "probes")), 403),
        (replace(AWAY, path="/metrics"), FULL, 401),
        # To change anything takes the token, and nothing that a browser sends by itself.
        (WRITE, Http(), 403),
        (WRITE, FULL, 401),
        (replace(WRITE, path="/metrics"), Http(open=("metrics",)), 403),
        (bearer(WRITE, TOKEN), FULL, 0),
        (bearer(WRITE, READER), FULL, 403),
        (bearer(WRITE, TOKEN[:-1]), FULL, 401),
        (bearer(WRITE, TOKEN + "0"), FULL, 401),
        (bearer(WRITE, ""), FULL, 401),
        (bearer(WRITE, ""), Http(token=Secret(fault="cannot be read")), 503),
        (
            bearer(WRITE, "x" * 99),
            Http(token=Secret(fault="cannot be read"), read_token=FULL.read_token),
            503,
        ),
        (basic(WRITE, TOKEN), FULL, 401),
        (bearer(replace(WRITE, origin="http://127.0.0.1:9179"), TOKEN), FULL, 0),
        (bearer(replace(WRITE, origin="http://evil.example"), TOKEN), FULL, 403),
        (bearer(replace(WRITE, origin="null"), TOKEN), FULL, 403),
        (bearer(replace(WRITE, local=False), TOKEN), FULL, 403),
        (bearer(replace(WRITE, local=False, secure=True), TOKEN), FULL, 0),
        (replace(WRITE, method="OPTIONS"), FULL, 401),
        (replace(WRITE, method="DELETE"), FULL, 401),
    ],
)
def test_who_may_what(asker: Asker, options: Http, status: int) -> None:
    found = Guard(options).judge(asker)
    assert (0 if found is None else found.status) == status, found
    assert found is None or (TOKEN not in found.text and READER not in found.text)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "get", "BREW"]),
    st.sampled_from(["/", "/metrics", "/livez", "/api/do/reset", "/api/show/routes"]),
    st.booleans(),
    st.booleans(),
    # As a server reads the octets of a header.
    st.one_of(
        st.text(max_size=40),
        st.binary(max_size=40).map(lambda octets: octets.decode("utf-8", "surrogateescape")),
    ),
    st.sampled_from([Http(), FULL, Http(open=("metrics", "probes"), token=FULL.token)]),
)
@settings(deadline=None)
def test_nobody_gets_in_by_anything_but_a_token(
    method: str, path: str, local: bool, secure: bool, said: str, options: Http
) -> None:
    """Whatever the headers say: nothing is changed without the token, and little read from elsewhere."""
    guard = Guard(options)
    opened = method in ("GET", "HEAD") and bool(options.open) and path in ("/metrics", "/livez")
    for authorization in (said, f"Bearer {said}", f"Basic {said}", f"bearer {TOKEN[:16]}{said}"):
        asker = Asker(path, method, local, secure, said, "http", authorization, said)
        if not opened and (not local or method not in ("GET", "HEAD")):
            assert guard.judge(asker) is not None


# --- Over sockets ------------------------------------------------------------------------------------------


class Tls:
    """A certificate for localhost and 127.0.0.1, in files, and who believes it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"
        self.renew()

    def renew(self) -> None:
        """Let another authority make another certificate."""
        self.authority = trustme.CA()
        made = self.authority.issue_cert("localhost", "127.0.0.1")
        self.certificate.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        self.key.write_bytes(made.private_key_pem.bytes())
        self.context = ssl.create_default_context()
        self.authority.configure_trust(self.context)

    @property
    def toml(self) -> str:
        return f'certificate = "{self.certificate}"\nkey = "{self.key}"\n'


@asynccontextmanager
async def serving(directory: Path, http: str, port: int = 0) -> AsyncIterator[Cluster]:
    async with running(directory, f'\n[http]\nlisten = ["127.0.0.1:{port}"]\n{http}') as found:
        yield found


def base(cluster: Cluster, scheme: str = "http") -> str:
    assert cluster.service.doors is not None
    host, port = cluster.service.doors.http.addresses[0]
    return f"{scheme}://{host}:{port}"


async def post(
    url: str, given: object, token: str | None = TOKEN, context: Any = None, **headers: str
) -> tuple[int, str]:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=given, headers=headers, ssl=context or True) as response,
    ):
        return response.status, await response.text()


async def test_commands_by_both_ways_give_the_same_answers(tmp_path: Path) -> None:
    async with serving(tmp_path, f'token = "{TOKEN}"\nread_token = "{READER}"') as cluster:
        url = base(cluster) + "/api/do/"
        for command, asked in (
            ("undrain", {}),
            ("drain", {"peer": "127.0.0.11"}),
            ("refresh", {"peer": "127.0.0.12", "family": "ipv4"}),
            ("enable", {"peer": "127.0.0.12"}),
            ("enable", {"peer": "192.0.2.9"}),
            ("reset", {}),
            ("reset", {"peer": "127.0.0.11", "txet": "x"}),
            ("reload", {"dry_run": True}),
            ("add", {"what": "neighbor", "which": "10.9.9.9", "values": {"asn": 1, "hold_time": 1}}),
            ("add", {"what": "neighbor", "which": "10.9.9.9", "group": "nodes", "dry_run": True}),
            (
                "change",
                {"what": "listen-range", "which": "127.0.0.0/8", "values": "limit=8", "dry_run": True},
            ),
            ("remove", {"what": "neighbor", "which": "127.0.0.11"}),
        ):
            by_socket = await cluster.talk(command, asked)
            status, by_http = await post(url + command, asked)
            assert by_http == by_socket
            assert status == (400 if '"error"' in by_socket else 200), by_http
        before = {peer.name: peer.times_established for peer in cluster.service.speaker.peers}
        for refused in (
            await post(url + "reset", {"peer": "127.0.0.11"}, None),
            await post(url + "reset", {"peer": "127.0.0.11"}, "f" * 32),
            await post(url + "reset", {"peer": "127.0.0.11"}, READER),
            await post(url + "reset", {"peer": "127.0.0.11"}, Origin="http://evil.example"),
            await post(url + "reset", {"peer": "127.0.0.11"}, Content_Type="text/plain"),
            await post(url + "reset", {"peer": "x" * (1 << 20)}),
            await post(url + "reset", ["peer"]),
            await post(url + "neighbors", {}),
        ):
            assert refused[0] in (400, 401, 403, 404, 413, 415) and '"error"' in refused[1], refused
        assert before == {peer.name: peer.times_established for peer in cluster.service.speaker.peers}
        assert (await post(url + "reset", {"peer": "127.0.0.11"}))[0] == 200
        async with aiohttp.ClientSession() as session, session.get(url + "reset") as response:
            assert response.status == 405
        evil = {"Host": "evil.example"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(base(cluster) + "/livez", headers=evil) as response,
        ):
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_tls_with_certificates_that_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls = Tls(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    async with serving(tmp_path, f'{tls.toml}token = {{file = "{token}"}}\n') as cluster:
        url = base(cluster, "https") + "/api/do/undrain"
        assert (await post(url, {}, context=tls.context))[0] == 200
        assert (await post(url, {}, "1" * 32, context=tls.context))[0] == 401
        with pytest.raises(aiohttp.ClientError):
            await post(url.replace("https", "http"), {})
        assert cluster.service.doors is not None
        old = tls.context
        tls.renew()
        cluster.service.doors.http.renew()
        assert (await post(url, {}, context=tls.context))[0] == 200
        with pytest.raises(aiohttp.ClientSSLError):
            await post(url, {}, context=old)
        tls.key.write_text("nonsense")
        with pytest.raises(OSError, match=r"\[http\] certificate .* both in PEM"):
            cluster.service.doors.http.renew()
        assert (await post(url, {}, context=tls.context))[0] == 200
    assert TOKEN not in caplog.text


async def test_a_certificate_that_is_none_is_said_at_the_start(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("SOCKET", str(tmp_path / "s"))
    text += f'[http]\nlisten = ["127.0.0.1:0"]\ncertificate = "{tmp_path}/no"\nkey = "{tmp_path}/no"\n'
    service = Service(loads(text), control=True)
    with pytest.raises(OSError, match=r"\[http\] certificate .*/no, key .*: No such file"):
        await service.start()
    await service.stop("")


async def test_wrong_tokens_are_logged_and_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(tmp_path, f'token = "{TOKEN}"') as cluster:
        for _ in range(50):
            assert (await post(base(cluster) + "/api/do/reset", {}, "wrong" * 5))[0] == 401
    lines = [each.getMessage() for each in caplog.records if "without the right token" in each.getMessage()]
    assert 1 <= len(lines) < 25 and "from 127.0.0.1" in lines[0]
    assert "wrong" * 5 not in caplog.text and TOKEN not in caplog.text


async def test_who_asks_slowly_or_too_often_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "CONNECTIONS", 3)
    monkeypatch.setattr("reflector.http.server.IDLE", 3.0)
    async with serving(tmp_path, "") as cluster:
        assert cluster.service.doors is not None
        host, port = cluster.service.doors.http.addresses[0]
        ends = [await asyncio.open_connection(host, port) for _ in range(3)]
        for _, writer in ends:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: 127")
        async with asyncio.timeout(60):
            gone = False
            while cluster.service.doors.http.connections < 3 and not gone:
                gone = any(reader.at_eof() for reader, _ in ends)
                await asyncio.sleep(0.01)
            reader, _ = await asyncio.open_connection(host, port)
            # One too many hears nothing but its end.
            assert await reader.read() == b""
            # And who never finishes asking is let go.
            for reader, _ in ends:
                assert b"200" not in await reader.read()
            while cluster.service.doors.http.connections:
                await asyncio.sleep(0.01)
            async with aiohttp.ClientSession() as session, session.get(base(cluster) + "/livez") as response:
                assert response.status == 200


async def test_from_elsewhere_only_what_is_open(tmp_path: Path) -> None:
    """An address of this machine that is not loopback is one from elsewhere, for whoever uses it."""
    address = _own_address()
    text = f'\n[http]\nlisten = ["0.0.0.0:0"]\nopen = ["probes"]\ntoken = "{TOKEN}"\n'
    async with running(tmp_path, text) as cluster:
        assert cluster.service.doors is not None
        port = cluster.service.doors.http.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            for host, path, wanted in (
                ("127.0.0.1", "/metrics", 200),
                (address, "/livez", 200),
                (address, "/metrics", 403),
            ):
                if host is not None:
                    async with session.get(f"http://{host}:{port}{path}") as response:
                        assert response.status == wanted, (host, path)
        if address is not None:
            assert (await post(f"http://{address}:{port}/api/do/undrain", {}))[0] == 403
        assert (await post(f"http://127.0.0.1:{port}/api/do/undrain", {}))[0] == 200


def _own_address() -> str | None:
    """Return an address of ours that is not loopback, None where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(sock.getsockname()[0])
