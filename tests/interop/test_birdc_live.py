"""BIRD's own client reads what our socket says."""

import asyncio
import sys
from pathlib import Path

import daemons
import pytest

sys.path.append(str(daemons.ROOT / "tests"))

from service import running


@pytest.mark.interop("bird", "birdc")
async def test_birdc_reads_it(tmp_path: Path) -> None:
    client = daemons.find("birdc")
    assert client is not None
    async with running(tmp_path) as cluster:

        async def ask(*words: str) -> str:
            return await asyncio.to_thread(client.run, "-s", f"{cluster.path}.birdc", *words)

        assert "Daemon is up and running" in await ask("show", "status")
        shown = await ask("show", "protocols")
        assert "127.0.0.11 BGP" in shown and shown.count("Established") == 2
        await cluster.service.counts.counted(60)
        assert "1 imported, 1 filtered, 2 exported, 1 preferred" in await ask(
            "show", "protocols", "all", "127.0.0.11"
        )
        told = await ask("show", "route", "all")
        assert "10.1.0.0/16          unicast [127.0.0.11 " in told and "BGP.med: 2" in told
        assert "3 of 4 routes for 4 networks" in await ask("show", "route", "count")
        with pytest.raises(RuntimeError, match="Network not found"):
            await ask("show", "route", "192.0.2.0/24")
        assert "127.0.0.12: disabled" in await ask("disable", "127.0.0.12")
        # As its restricted form does.
        with pytest.raises(RuntimeError, match="Access denied"):
            await ask("-r", "configure")
