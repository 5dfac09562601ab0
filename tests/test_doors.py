"""The sockets and HTTP of a running service change by a reload, which who asked for it hears to its end."""

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from service import Cluster, running

from reflector.control.client import Unanswered, ask
from reflector.http import server

TOKEN = "5a" * 16


class Changing:
    """A cluster whose configuration is in a file."""

    def __init__(self, cluster: Cluster, file: Path) -> None:
        self.cluster = cluster
        self.file = file
        cluster.service.file = str(file)
        file.write_text(cluster.text)

    def change(self, *pairs: tuple[str, str]) -> None:
        text = self.file.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        self.file.write_text(text)

    @property
    def url(self) -> str:
        assert self.cluster.service.doors is not None
        host, port = self.cluster.service.doors.http.addresses[0]
        return f"http://{host}:{port}"

    async def get(self, path: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status

    async def do(self, command: str, token: str = TOKEN, **given: object) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/do/{command}", json=given, headers=headers) as response,
        ):
            return response.status, await response.text()


async def rows(path: Path, question: str, **given: object) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(ask(path, question, given)))


async def test_doors_change_while_somebody_stands_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as cluster:
        changing = Changing(cluster, tmp_path / "rr.toml")
        assert cluster.service.doors is not None and not cluster.service.doors.http.addresses
        # HTTP appears.
        changing.change(
            ("[group.nodes]", f'[http]\nlisten = ["127.0.0.1:0"]\ntoken = "{TOKEN}"\n[group.nodes]')
        )
        (row,) = await cluster.ask("reload")
        assert row["done"] and "[http]: listen [] -> [127.0.0.1:0]; token none -> (hidden)" in row["change"]
        assert await changing.get("/livez") == 200
        # The control socket moves, and so does its mode; the answer still comes by the old one.
        other = cluster.path.with_name("other.sock")
        changing.change((f'socket = "{cluster.path}"', f'socket = "{other}"\nmode = "0600"'))
        (row,) = await cluster.ask("reload")
        assert row["done"] and not cluster.path.exists()
        assert stat.S_IMODE(os.stat(other).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(f"{cluster.path}.birdc").st_mode) == 0o600
        assert len(await rows(other, "neighbors")) == 2
        # Who listens over HTTP is let go when something there changes, for the rules may be others then.
        listening = aiohttp.ClientSession()
        stream = await listening.get(changing.url + "/api/ask/monitor")
        assert stream.status == 200
        monkeypatch.setattr(server, "_GRACE", 3.0)
        # Asked over HTTP, another token and another address: the answer still comes.
        before = changing.url
        changing.change(
            (TOKEN, TOKEN[::-1]), ('[http]\nlisten = ["127.0.0.1:0"]', '[http]\nlisten = ["127.0.0.2:0"]')
        )
        status, said = await changing.do("reload")
        assert status == 200 and '"end":' in said and TOKEN not in said and TOKEN[::-1] not in said
        async with asyncio.timeout(60):
            with contextlib.suppress(aiohttp.ClientError):
                await stream.read()
        await listening.close()
        assert changing.url != before and (await changing.do("undrain"))[0] == 401
        assert (await changing.do("undrain", TOKEN[::-1]))[0] == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            async with aiohttp.ClientSession() as session:
                await session.get(f"{before}/livez")
        # What cannot be had leaves all as it was, and is tried again.
        changing.change(("127.0.0.2:0", "192.0.2.250:0"), ("token =", 'open = ["probes"]\ntoken ='))
        (row,) = await rows(other, "reload")
        assert "192.0.2.250" in row["failed"] and (await changing.do("undrain", TOKEN[::-1]))[0] == 200
        assert len(await rows(other, "reload", dry_run=True)) == 1
        # And both go away.
        text = changing.file.read_text()
        start, end = text.index("[http]"), text.index("[group.nodes]")
        changing.file.write_text(
            (text[:start] + text[end:]).replace("[control]", "[control]\nenabled = false")
        )
        assert all(row["done"] for row in await rows(other, "reload"))
        assert not cluster.service.doors.http.addresses
        with pytest.raises(Unanswered):
            await rows(other, "neighbors")
        assert [peer.times_established for peer in cluster.service.speaker.peers] == [1, 1]
