"""The commands as a user runs them: in processes of their own, with signals, on ephemeral ports."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ROOT, TIMEOUT, Command

from bgp import IPV4_UNICAST, IPV6_UNICAST, EventKind, PeerOptions, Speaker
from reflector import app
from reflector.configuration.config import loads

CONFIGURATION = """\
[router]
asn = 64512
router_id = "192.0.2.100"
listen = ["127.0.0.1:0"]

[group.nodes]
client = true

[[listen_range]]
prefix = "127.0.0.0/8"
group = "nodes"

[[network]]
prefix = "198.51.100.0/24"
next_hop = "192.0.2.7"
communities = ["64512:7"]
"""


@pytest.fixture
def command() -> Iterator[type[Command]]:
    started: list[Command] = []

    class Started(Command):
        def __init__(self, *arguments: str) -> None:
            super().__init__(*arguments)
            started.append(self)

    yield Started
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rr.toml"
    path.write_text(CONFIGURATION)
    return path


# --- check ----------------------------------------------------------------------------------------------


def test_check_of_a_good_file(command: type[Command], file: Path) -> None:
    check = command("check", str(file))
    assert check.end() == 0
    assert check.lines == [f"{file}: good: 0 neighbors, 1 listen range, 1 network"]


def test_check_shows_every_fault_and_fails(command: type[Command], file: Path) -> None:
    file.write_text(CONFIGURATION.replace("client = true", "cleint = true\nhold_time = 1"))
    check = command("check", str(file))
    assert check.end() == 2
    assert check.lines == [
        f"error: {file}:7: [group.nodes] cleint: there is no such key; did you mean client?",
        f"error: {file}:8: [group.nodes] hold_time: 1 is not allowed (RFC 4271 4.2);"
        " write 0 (never expires), or 3 or more seconds",
        f"{file}: 2 errors, nothing was applied",
    ]


def test_check_warns_but_passes(command: type[Command], file: Path) -> None:
    file.write_text(CONFIGURATION + '[[neighbor]]\naddress = "192.0.2.5"\nasn = 64999\n')
    check = command("check", str(file))
    assert check.end() == 0
    assert check.lines[0].startswith(f"warning: {file}:19: [[neighbor]] 1, asn: no route will pass")


@pytest.mark.parametrize("arguments", [["check", "/nonexistent"], ["run", "/nonexistent"]])
def test_a_file_that_is_not_there(command: type[Command], arguments: list[str]) -> None:
    refused = command(*arguments)
    assert refused.end() == 2
    assert "cannot be read: No such file" in refused.output


def test_usage() -> None:
    for arguments, status in ((["--help"], 0), (["--version"], 0), ([], 2), (["demo", "--seconds", "-1"], 2)):
        done = subprocess.run([sys.executable, "-m", "reflector", *arguments], cwd=ROOT, capture_output=True)
        assert done.returncode == status, arguments


# --- run ------------------------------------------------------------------------------------------------


async def test_run_reflects_and_ends_with_a_cease(command: type[Command], file: Path) -> None:
    run = command("run", str(file))
    port = int(run.until(r"listening on 127\.0\.0\.1:(\d+): 0 neighbors, 1 listen range, 1 network")[1])
    families = (IPV4_UNICAST, IPV6_UNICAST)
    async with (
        Speaker(asn=64512, router_id="10.0.0.1") as first,
        Speaker(asn=64512, router_id="10.0.0.2") as second,
    ):
        peers = [
            speaker.add_peer(
                PeerOptions(
                    asn=64512,
                    address="127.0.0.1",
                    port=port,
                    source_address=f"127.0.0.{number}",
                    families=families,
                    automatic_restart=False,
                )
            )
            for number, speaker in ((11, first), (12, second))
        ]
        first.announce("203.0.113.0/24", next_hop="192.0.2.1")
        first.announce("2001:db8:1::/48", next_hop="2001:db8::1")
        heard = second.events()
        for peer in peers:
            await peer.established()
        wanted = {"198.51.100.0/24", "203.0.113.0/24"}, {"2001:db8:1::/48"}
        await _until(second, lambda: tuple(set(second.best(family)) for family in families) == wanted)
        reflected = second.best(IPV4_UNICAST)["203.0.113.0/24"].attributes
        assert reflected.originator_id == bytes([10, 0, 0, 1])
        assert reflected.cluster_list == bytes([192, 0, 2, 100])
        ours = second.best(IPV4_UNICAST)["198.51.100.0/24"].attributes
        assert (ours.next_hop, ours.communities) == (bytes([192, 0, 2, 7]), (64512 << 16 | 7,))

        run.process.send_signal(signal.SIGTERM)
        async for event in heard:
            if event.kind is EventKind.DOWN:
                assert event.text == "received cease/administrative-reset (RFC 4486 4): restarting"
                break
    assert run.end() == 0
    assert re.search(
        r"INFO +127\.0\.0\.12: Established, internal AS 64512, identifier 10\.0\.0\.2", run.output
    )
    assert "SIGTERM: stopping" in run.output
    assert "Traceback" not in run.output


async def _until(speaker: Speaker, condition: object) -> None:
    """Wait for a change of the speaker's table that makes `condition` true."""
    import asyncio

    assert callable(condition)
    changed = asyncio.Event()
    unwatch = speaker.router.watch(lambda family, changes: changed.set())
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            changed.clear()
            await changed.wait()
    unwatch()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_status_0(command: type[Command], file: Path, number: signal.Signals) -> None:
    run = command("run", str(file))
    run.until("listening on")
    assert run.end(number) == 0
    assert run.lines[-1].endswith("stopped")


def test_a_hangup_reads_the_file_again(command: type[Command], file: Path) -> None:
    run = command("run", str(file))
    run.until("listening on")
    run.process.send_signal(signal.SIGHUP)
    run.until("INFO    SIGHUP: nothing has changed")
    good = file.read_text()
    file.write_text(good.replace("198.51.100.0/24", "203.0.113.0/24"))
    run.process.send_signal(signal.SIGHUP)
    run.until(r"reload: - network 198\.51\.100\.0/24")
    run.until("SIGHUP: 2 changes, 0 failed")
    file.write_text(good.replace("asn = 64512", "asn = 64513"))
    run.process.send_signal(signal.SIGHUP)
    run.until("asn 64512 -> 64513: only a restart changes this")
    file.write_text("nonsense")
    run.process.send_signal(signal.SIGHUP)
    run.until("SIGHUP: 1 error, nothing was changed")
    assert run.end(signal.SIGTERM) == 0


def test_stop_ends_it(command: type[Command], file: Path, tmp_path: Path) -> None:
    asked = f'\n[control]\nsocket = "{tmp_path}/socket"\n'
    file.write_text(file.read_text() + asked)
    run = command("run", str(file))
    run.until("listening on")
    stop = command("stop", "--for-good", "--text", "moved", "--socket", f"{tmp_path}/socket")
    assert stop.end() == 0 and stop.output == "all: stopping for good"
    assert run.end() == 0 and "stopped" in run.output


def test_run_warns_where_nothing_will_pass(command: type[Command], file: Path) -> None:
    file.write_text(CONFIGURATION.replace("client = true", 'asn = "external"'))
    run = command("run", str(file))
    run.until(r"WARNING .*rr\.toml:7: \[group\.nodes\] asn: no route will pass .*RFC 8212")
    assert run.end(signal.SIGTERM) == 0


def test_a_port_that_is_taken_is_named_with_a_remedy(command: type[Command], file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(CONFIGURATION.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        run = command("run", str(file))
        assert run.end() == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; another program" in run.output
    assert "Traceback" not in run.output


def test_an_address_that_is_not_ours(command: type[Command], file: Path) -> None:
    file.write_text(CONFIGURATION.replace("127.0.0.1:0", "192.0.2.250:0"))
    run = command("run", str(file))
    assert run.end() == 1
    assert "no interface has this address" in run.output


async def test_a_service_takes_the_full_example() -> None:
    text = (ROOT / "examples" / "reflector.toml").read_text()
    text = text.replace('listen = ["0.0.0.0:179", "[::]:179"]', 'listen = ["127.0.0.1:0"]')
    events: list[object] = []
    service = app.Service(loads(text), on_event=events.append)
    await service.start()
    assert [peer.name for peer in service.speaker.peers] == ["192.0.2.2", "198.51.100.1", "eth1"]
    assert [str(each.prefix) for each in service.speaker.listen_ranges] == ["2001:db8:a::/48", "10.0.0.0/16"]
    await service.stop("enough")
    assert events


# --- examples and demonstration ----------------------------------------------------------------------------


def test_the_library_example_works_against_the_service(command: type[Command], file: Path) -> None:
    run = command("run", str(file))
    port = run.until(r"listening on 127\.0\.0\.1:(\d+)")[1]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "announce.py"), "127.0.0.1", port],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert "198.51.100.0/24" in done.stdout
    assert "203.0.113.0/24" in done.stdout
    assert run.end(signal.SIGTERM) == 0


def test_the_example_works_against_the_configuration_of_the_readme() -> None:
    """An internal peer with the reflector's own identifier is refused (RFC 6286 2.2)."""
    text = (ROOT / "README.md").read_text()
    (configured,) = re.findall(r'router_id = "(.*?)"', text)
    (shown,) = re.findall(r'router_id="(.*?)"', text)
    assert configured != shown


def test_the_readme_shows_the_example_as_it_is() -> None:
    example = (ROOT / "examples" / "announce.py").read_text()
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert shown is not None
    assert shown[1].strip() == example.partition('"""\n\n')[2].strip()
