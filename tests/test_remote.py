"""The commands of the shell over HTTP: the answers of the socket, and the token to nobody else."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from service import ROOT, Cluster, running
from test_http_guard import READER, TOKEN, Tls

from reflector.control.client import Unanswered
from reflector.control.remote import Remote, remote


async def shell(url: str | None, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    if url is not None:
        environment["REFLECTOR_URL"] = url
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "reflector", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def where(cluster: Cluster, scheme: str) -> str:
    assert cluster.service.doors is not None
    return f"{scheme}://localhost:{cluster.service.doors.http.addresses[0][1]}"


async def test_the_commands_answer_over_https_as_over_the_socket(tmp_path: Path) -> None:
    tls = Tls(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    http = f'\n[http]\nlisten = ["127.0.0.1:0"]\n{tls.toml}token = "{TOKEN}"\nread_token = "{READER}"\n'
    async with running(tmp_path, http) as cluster:
        url = where(cluster, "https")
        authorities = tmp_path / "ca.pem"
        tls.authority.cert_pem.write_to_path(str(authorities))
        given = ("--url", url, "--token-file", str(token), "--ca", str(authorities))
        for arguments in (
            ("show", "routes", "10.0.0.0/8", "--longer", "--json"),
            ("show", "routes", "--json"),
            ("explain", "10.1.0.0/16", "--to", "127.0.0.11"),
            ("explain", "nonsense"),
            ("disable", "127.0.0.12", "--text", "a night's rest"),
            ("enable", "nobody"),
            ("reload",),
            ("add", "neighbor", "127.0.0.91", "hold_time=1", "--group", "nodes"),
            ("add", "neighbor", "127.0.0.91", "passive=true", "--group", "nodes", "--dry-run"),
        ):
            by_socket = await asyncio.to_thread(cluster.command, *arguments)
            by_http = await shell(None, *arguments, *given)
            if arguments[0] == "disable":
                # The second time there was no session any more.
                assert by_http.stdout.split(" (was")[0] == by_socket.stdout.split(" (was")[0]
                continue
            assert by_http.stderr == by_socket.stderr and by_http.returncode == by_socket.returncode
            assert by_http.stdout == by_socket.stdout
        assert "a night's rest" not in by_http.stdout
        # Who gives no token, or believes nobody, is told what to do; a reader may only read.
        done = await shell(url, "undrain", "--ca", str(authorities))
        assert done.returncode == 3 and "--token-file" in done.stderr
        done = await shell(url, "undrain", REFLECTOR_TOKEN=TOKEN)
        assert done.returncode == 3 and "--ca names a file" in done.stderr and TOKEN not in done.stderr
        asked = ("--ca", str(authorities))
        done = await shell(url, "undrain", *asked, REFLECTOR_TOKEN=READER)
        assert done.returncode == 3 and "for reading only" in done.stderr
        done = await shell(url, "show", "groups", *asked, REFLECTOR_TOKEN=READER)
        assert done.returncode == 0 and "1 group" in done.stdout
        done = await shell(url, "undrain", *asked, REFLECTOR_TOKEN_FILE=str(token))
        assert done.returncode == 0 and done.stdout == "all: not drained any more\n"


async def test_a_monitor_goes_on_until_who_listens_goes_away(tmp_path: Path) -> None:
    async with running(tmp_path, '\n[http]\nlisten = ["127.0.0.1:0"]\n') as cluster:
        listener = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reflector", "monitor", "--json", "--url", where(cluster, "http")),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert listener.stdout is not None and cluster.service.doors is not None
        async with asyncio.timeout(120):
            while json.loads(await listener.stdout.readline())["event"] != "InSync":
                pass
            cluster.clients[0].announce("10.9.0.0/16", next_hop="10.0.0.1")
            while json.loads(await listener.stdout.readline()).get("prefix") != "10.9.0.0/16":
                pass
            listener.kill()
            await listener.wait()
            while cluster.service.doors.http.connections:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://192.0.2.1:9179", "everybody on the way could read the token"),
        ("http://rr.example.net", "everybody on the way could read the token"),
        ("ftp://localhost", "is no URL such as"),
        ("https://me@localhost", "is no URL such as"),
        ("http://localhost:99999", "Port out of range"),
        ("localhost:9179", "is no URL such as"),
    ],
)
def test_a_token_goes_to_nobody_else(url: str, said: str) -> None:
    with pytest.raises(Unanswered, match=said) as caught:
        list(Remote(url, TOKEN).ask("undrain", {}, changes=True))
    assert TOKEN not in str(caught.value)


async def test_what_is_no_reflector_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answers.pop(0))
        writer.close()

    answers = [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        b'HTTP/1.1 200 OK\r\n\r\n{"row":{}}\n',
    ]
    server = await asyncio.start_server(strange, "127.0.0.1", 0)
    away = Remote(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    for said in ("is not the", "is not the", "404 Not Found: is this", "in the middle of its answer"):
        with pytest.raises(Unanswered, match=said):
            await asyncio.to_thread(lambda: list(away.ask("groups", {}, changes=False)))
    server.close()
    monkeypatch.delenv("REFLECTOR_URL", raising=False)
    assert remote(None, None, None) is None
    with pytest.raises(Unanswered, match="No such file"):
        remote("http://localhost", tmp_path / "none", None)
    (tmp_path / "bad").write_text("a b\nc")
    with pytest.raises(Unanswered, match="is no token"):
        remote("http://localhost", tmp_path / "bad", None)
