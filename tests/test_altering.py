"""Neighbors and listen ranges added, changed and removed while we run, and saved into the file."""

import asyncio
import json
import os
import stat
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from service import Cluster, running

from bgp import IPV4_UNICAST, PeerOptions, Speaker
from reflector.configuration.config import load

FURTHER = """
# The other one.
[[neighbor]]
address = "127.0.0.21"   # passive for now
group = "nodes"
passive = true

[group.edge]
asn = "external"
"""


class Altered:
    """A cluster whose configuration is in a file."""

    def __init__(self, cluster: Cluster, file: Path) -> None:
        self.cluster = cluster
        self.file = file
        cluster.service.file = str(file)
        file.write_text(cluster.text)

    async def do(self, command: str, what: str, which: str, **given: object) -> list[str]:
        rows = await self.cluster.ask(command, what=what, which=which, **given)
        return [row["change"] + (f" FAILED {row['failed']}" if "failed" in row else "") for row in rows]

    async def refusal(self, command: str, what: str, which: str, **given: object) -> str:
        return await self.cluster.refusal(command, what=what, which=which, **given)

    async def reload(self, **given: object) -> list[str]:
        return [row["change"] for row in await self.cluster.ask("reload", **given)]

    @property
    def names(self) -> list[str]:
        return sorted(peer.name for peer in self.cluster.service.speaker.peers if not peer.dynamic)

    def is_as_the_file(self) -> bool:
        return load(str(self.file)) == self.cluster.service.configuration


@pytest.fixture
async def altered(tmp_path: Path) -> AsyncIterator[Altered]:
    async with running(tmp_path, FURTHER) as cluster:
        yield Altered(cluster, tmp_path / "rr.toml")


NOT_SAVED = "a restart goes by the file, which says otherwise: --save changes that"


async def test_a_neighbor_comes_changes_and_goes(altered: Altered) -> None:
    sessions = [peer.connections for peer in altered.cluster.service.speaker.peers if peer.dynamic]
    values = ["passive=true", "hold_time=30", "name=17"]
    assert await altered.do("add", "neighbor", "127.0.0.31", group="nodes", values=values, dry_run=True) == [
        "+ neighbor 17"
    ]
    assert altered.names == ["127.0.0.21"]
    assert await altered.do("add", "neighbor", "127.0.0.31", group="nodes", values=values) == [
        "+ neighbor 17",
        NOT_SAVED,
    ]
    assert altered.names == ["127.0.0.21", "17"]
    # It is a neighbor as any other one: it has a session, and its options.
    async with Speaker(asn=64512, router_id="10.0.0.31") as node:
        port = altered.cluster.service.speaker.listening[0][1]
        peer = node.add_peer(
            PeerOptions(asn=64512, address="127.0.0.1", port=port, source_address="127.0.0.31")
        )
        await asyncio.wait_for(peer.established(), 60)
        assert peer.negotiated is not None and peer.negotiated.hold_time == 30
        async with asyncio.timeout(60):
            while "198.51.100.0/24" not in node.best(IPV4_UNICAST):
                await asyncio.sleep(0.01)
        changed = await altered.do(
            "change", "neighbor", "17", values={"maximum_prefixes": 100, "import": None}
        )
        assert changed[0].startswith("~ neighbor 17: maximum_prefixes") and "sessions stay" in changed[0]
        assert peer.times_established == 1
        (changed, _) = await altered.do(
            "change", "neighbor", "127.0.0.31", values="hold_time=33", group="nodes"
        )
        assert changed == "~ neighbor 17: hold_time 30 -> 33 (its sessions are reset)"
        assert await altered.do("remove", "neighbor", "17") == ["- neighbor 17, its sessions end"]
        assert altered.names == ["127.0.0.21"]
    assert altered.is_as_the_file() and not altered.cluster.service.overlay
    assert sessions == [peer.connections for peer in altered.cluster.service.speaker.peers if peer.dynamic]


async def test_what_is_given_is_read_as_the_file_is(altered: Altered) -> None:
    for command, what, which, values, said in (
        ("add", "neighbor", "127.0.0.41", {"group": "nods"}, 'group: there is no group "nods"; did you mean'),
        (
            "add",
            "neighbor",
            "127.0.0.41",
            {"hold_time": 1},
            "neighbor 127.0.0.41, hold_time: 1 is not allowed",
        ),
        ("add", "neighbor", "127.0.0.41", {}, "neighbor 127.0.0.41: nothing says which AS the peer has"),
        ("add", "neighbor", "127.0.0.41", {"asn": 64512, "cleint": True}, "did you mean client?"),
        ("add", "neighbor", "127.0.0.41", {"asn": 1, "client": True}, "only internal peers can be clients"),
        ("add", "neighbor", "127.0.0.41", {"asn": 1, "import": "nothing"}, "there is no policy"),
        ("add", "neighbor", "127.0.0.21", {"group": "nodes"}, "there is a neighbor 127.0.0.21 already"),
        ("add", "neighbor", "127.0.0.999", {"group": "nodes"}, "127.0.0.999"),
        ("add", "listen-range", "10.0.0.1/8", {"group": "nodes"}, 'write "10.0.0.0/8"'),
        ("add", "listen-range", "127.0.0.0/8", {"group": "nodes"}, "there is a listen range 127.0.0.0/8"),
        ("add", "group", "x", {}, "write neighbor or listen-range"),
        (
            "change",
            "neighbor",
            "127.0.0.77",
            {"group": "nodes"},
            "there is no neighbor 127.0.0.77; there are",
        ),
        ("change", "neighbor", "127.0.0.11", {"hold_time": 9}, "came by a listen range"),
        ("change", "neighbor", "127.0.0.21", {"address": "127.0.0.22"}, "that would be another one"),
        ("remove", "neighbor", "127.0.0.11", None, "came by a listen range"),
        ("remove", "listen-range", "10.0.0.0/8", None, "there is no listen range 10.0.0.0/8"),
    ):
        given: dict[str, Any] = {} if values is None else {"values": values}
        found = await altered.refusal(command, what, which, **given)
        assert (said in found and "nothing was changed" in found) or "cannot be had" in found, found
    found = await altered.refusal("add", "neighbor", "127.0.0.41", values="nonsense")
    assert "write key=value" in found
    # Two faults are two lines.
    found = await altered.refusal("add", "neighbor", "::9", values=["asn=1", "hold_time=1", "ttl=0"])
    assert len(found.splitlines()) == 3 and "ttl: 0 is out of range" in found
    assert "geheim" not in await altered.refusal(
        "add", "neighbor", "127.0.0.41", values=["asn=1", "password=" + "geheim" * 20]
    )
    assert altered.names == ["127.0.0.21"] and altered.is_as_the_file()


async def test_what_lets_nothing_pass_is_said(altered: Altered) -> None:
    found = await altered.do("add", "neighbor", "127.0.0.51", group="edge", values="passive=true")
    assert found[0] == "+ neighbor 127.0.0.51" and found[2] == NOT_SAVED
    assert found[1].startswith("warning: ") and "RFC 8212" in found[1]


async def test_a_listen_range_comes_changes_and_goes(altered: Altered) -> None:
    assert (await altered.do("add", "listen-range", "127.1.0.0/16", group="nodes", values="limit=3"))[0] == (
        "+ listen range 127.1.0.0/16"
    )
    found = await altered.do("change", "listen-range", "127.1.0.0/16", values={"limit": 4}, save=True)
    assert found == ["~ listen range 127.1.0.0/16: limit 3 -> 4", f"is in {altered.file}"]
    assert altered.is_as_the_file() and await altered.reload() == []
    assert (await altered.do("remove", "listen_range", "127.1.0.0/16", save=True))[
        -1
    ] == f"is in {altered.file}"
    assert altered.is_as_the_file() and altered.file.read_text() == altered.cluster.text


async def test_what_is_saved_leaves_the_rest_of_the_file_as_it_is(altered: Altered) -> None:
    os.chmod(altered.file, 0o640)
    before = altered.file.read_text()
    assert (
        await altered.do(
            "add", "neighbor", "::5", group="nodes", values="passive=true", dry_run=True, save=True
        )
    )[-1] == f"would be in {altered.file}"
    assert altered.file.read_text() == before
    await altered.do("add", "neighbor", "::5", group="nodes", values="passive=true")
    # What is there already may be saved later.
    found = await altered.do("change", "neighbor", "::5", save=True)
    assert found == ["nothing has changed", f"is in {altered.file}"]
    added = '[[neighbor]]\naddress = "::5"\npassive = true\ngroup = "nodes"\n\n'
    assert altered.file.read_text() == before.replace("[group.edge]", added + "[group.edge]")
    await altered.do("change", "neighbor", "127.0.0.21", values=["passive=", "hold_time=30"], save=True)
    after = altered.file.read_text()
    assert '# The other one.\n[[neighbor]]\naddress = "127.0.0.21"   # passive for now\n' in after
    assert stat.S_IMODE(altered.file.stat().st_mode) == 0o640
    assert altered.is_as_the_file() and await altered.reload() == []
    await altered.do("remove", "neighbor", "127.0.0.21", save=True)
    assert "The other one" not in altered.file.read_text()
    assert altered.is_as_the_file() and await altered.reload(dry_run=True) == []
    assert os.listdir(altered.file.parent).count("rr.toml") == 1
    assert not [name for name in os.listdir(altered.file.parent) if name.startswith(".rr")]


async def test_what_cannot_be_saved_changes_nothing(altered: Altered) -> None:
    given: dict[str, Any] = {"group": "nodes", "values": "passive=true", "save": True}
    text = altered.file.read_text()
    altered.file.write_text(text.replace("[group.edge]", "[group.other]"))
    found = await altered.refusal("add", "neighbor", "127.0.0.61", **given)
    assert "has changed since it was read; `reflector reload` first" in found
    altered.file.write_text("nonsense")
    assert "has faults" in await altered.refusal("add", "neighbor", "127.0.0.61", **given)
    altered.file.unlink()
    assert "cannot be read: No such file" in await altered.refusal("add", "neighbor", "127.0.0.61", **given)
    other = altered.file.with_name("..data.toml")
    other.write_text(text)
    altered.file.symlink_to(other)
    found = await altered.refusal("add", "neighbor", "127.0.0.61", **given)
    assert "is a symbolic link" in found and "config map" in found and "nothing was changed" in found
    assert other.read_text() == text and altered.names == ["127.0.0.21"]


async def test_a_reload_keeps_what_was_done_at_run_time_and_says_so(altered: Altered) -> None:
    await altered.do("add", "neighbor", "127.0.0.71", group="nodes", values="passive=true")
    await altered.do("change", "neighbor", "127.0.0.21", values="hold_time=30")
    await altered.do("add", "listen-range", "127.2.0.0/16", group="nodes")
    notes = [
        "= neighbor 127.0.0.71: added at run time, not in the file; it stays so (--forget: as the file says)",
        "= neighbor 127.0.0.21: changed at run time, the file has it as it was; it stays so"
        " (--forget: as the file says)",
        "= listen range 127.2.0.0/16: added at run time, not in the file; it stays so"
        " (--forget: as the file says)",
    ]
    assert await altered.reload(dry_run=True) == notes and await altered.reload() == notes
    assert altered.names == ["127.0.0.21", "127.0.0.71"]
    # What has gone from the file under it is said, and what to do.
    text = altered.file.read_text()
    renamed = text.replace("[group.nodes]", "[group.leaves]").replace('group = "nodes"', 'group = "leaves"')
    altered.file.write_text(renamed)
    refusal = await altered.cluster.refusal("reload")
    assert 'there is no group "nodes"' in refusal and "--forget" in refusal
    # Where the file has changed the same, it is right; what it has by now is nothing special.
    text = text.replace("passive = true\n", "passive = true\nhold_time = 60\n")
    text += '\n[[listen_range]]\nprefix = "127.2.0.0/16"\ngroup = "nodes"\n'
    altered.file.write_text(text)
    assert await altered.reload() == [
        "~ neighbor 127.0.0.21: hold_time 30 -> 60 (its sessions are reset)",
        notes[0],
        "* neighbor 127.0.0.21: what was done at run time gives way to what the file says by now",
    ]
    await altered.do("remove", "neighbor", "127.0.0.21")
    found = await altered.reload(dry_run=True)
    assert found[1].startswith("= neighbor 127.0.0.21: removed at run time, still in the file; it stays so")
    assert await altered.reload(forget=True) == [
        "- neighbor 127.0.0.71, its sessions end",
        "+ neighbor 127.0.0.21",
    ]
    assert altered.is_as_the_file() and await altered.reload() == []


async def test_the_commands_of_the_shell(altered: Altered) -> None:
    async def run(*arguments: str) -> str:
        done = await asyncio.to_thread(altered.cluster.command, *arguments)
        return done.stdout + done.stderr

    assert await run("add", "neighbor", "127.0.0.81", "--group", "nodes", "passive=true", "--save") == (
        f"+ neighbor 127.0.0.81\nis in {altered.file}\n"
    )
    found = tomllib.loads(altered.file.read_text())["neighbor"][-1]
    assert found == {"address": "127.0.0.81", "group": "nodes", "passive": True}
    out = await run(
        "change", "neighbor", "127.0.0.81", "maximum_prefixes={ipv4-unicast=5}", "--dry-run", "--json"
    )
    assert "ipv4-unicast: 5" in json.loads(out)["change"]
    assert "unrecognized arguments: --nonsense=1" in await run("add", "neighbor", "::1", "--nonsense=1")
    assert "- neighbor 127.0.0.81" in await run("remove", "neighbor", "127.0.0.81", "--save")
    assert altered.file.read_text() == altered.cluster.text
