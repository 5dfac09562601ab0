"""Secrets in files and the environment: what has none is kept down, and no secret is ever shown."""

import asyncio
import logging
import os
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bgp import Peer, PeerOptions, Speaker, State
from bgp.aio.signing import AoKey
from reflector.app import Service
from reflector.configuration.config import Configuration, load, loads
from reflector.configuration.document import ConfigurationError
from reflector.control.client import Unanswered, ask
from reflector.report.catalog import QUESTIONS, Sort

TIMEOUT = 60
HEAD = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\nlisten = ["127.0.0.1:0"]\n'
NEIGHBOR = '[[neighbor]]\naddress = "192.0.2.2"\nasn = "internal"\nclient = true\n'


def written(path: Path, octets: bytes, mode: int = 0o600) -> str:
    path.write_bytes(octets)
    path.chmod(mode)
    return str(path)


def options_of(text: str) -> tuple[PeerOptions, Configuration]:
    found = loads(f"{HEAD}{NEIGHBOR}{text}\n", "rr.toml")
    return found.neighbors[0], found


@pytest.mark.parametrize("octets", [b"canary", b"canary\n", b"canary\r\n"])
def test_a_secret_is_the_same_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, octets: bytes
) -> None:
    file = written(tmp_path / "secret", octets)
    monkeypatch.setitem(os.environb, b"MARTLET_SECRET", octets)
    plain, _ = options_of('password = "canary"')
    for text in (f'{{file = "{file}"}}', '{env = "MARTLET_SECRET"}'):
        options, configuration = options_of(f"password = {text}")
        assert options == plain and options.password == "canary" and configuration.warnings == ()
        signed, _ = options_of(f"tcp_ao = {{key = {text}, send_id = 1, receive_id = 2}}")
        assert signed.tcp_ao == AoKey(key=b"canary", send_id=1, receive_id=2)
    group = f'[group.nodes]\npassword = {{file = "{file}"}}\nclient = true\n'
    ranges = '[[listen_range]]\nprefix = "10.0.0.0/16"\ngroup = "nodes"\n'
    assert loads(HEAD + group + ranges).listen_ranges[0].options.password == "canary"


def test_a_secret_need_not_be_text(tmp_path: Path) -> None:
    options, _ = options_of(f'password = {{file = "{written(tmp_path / "secret", bytes([0xFF, 1]))}"}}')
    assert options.key == bytes([0xFF, 1])


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"x" * 81, "has more than 80 octets"),
        (b"x" * 5000, "has more than 80 octets"),
        (b"one\ntwo\n", "has more than one line"),
        (b"nul\0", "has more than one line"),
    ],
)
@pytest.mark.parametrize("key", ["password", "tcp_ao"])
def test_what_cannot_be_read_keeps_the_peer_down(
    tmp_path: Path, octets: bytes | None, fault: str, key: str
) -> None:
    path = tmp_path / "secret"
    if octets is not None:
        written(path, octets)
    value = f'{{file = "{path}"}}'
    text = value if key == "password" else f"{{key = {value}, send_id = 1, receive_id = 1}}"
    options, configuration = options_of(f"{key} = {text}")
    assert options.blocked.startswith(f'{key}: "{path}" ') and fault in options.blocked
    assert options.secret is None
    (warning,) = configuration.warnings
    assert (warning.file, warning.line) == ("rr.toml", 9)
    assert fault in warning.what and "reload" in warning.remedy


def test_pipes_directories_and_what_is_not_set_keep_it_down_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in options_of(f'password = {{file = "{tmp_path / "pipe"}"}}')[0].blocked
    assert "no regular file" in options_of(f'password = {{file = "{tmp_path}"}}')[0].blocked
    assert "no regular file" in options_of('password = {file = "/dev/zero"}')[0].blocked
    options, configuration = options_of('password = {env = "MARTLET_NOWHERE"}')
    assert "MARTLET_NOWHERE is not set" in options.blocked
    assert "start that anew" in configuration.warnings[0].remedy


def test_what_everybody_may_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for mode, verb in ((0o604, "read"), (0o602, "change"), (0o640, None)):
        options, configuration = options_of(f'password = {{file = "{written(path, b"canary", mode)}"}}')
        assert options.password == "canary"
        assert [warning.what for warning in configuration.warnings] == (
            [] if verb is None else [f'everybody may {verb} "{path}"']
        )
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("{}", "does not say where the secret is", "{file = "),
        ('{file = "/x", env = "X"}', "says both file and env", "{file = "),
        ('{path = "/x"}', "there is no such key", "{file = "),
        ('{file = "x"}', "depends on where we are started", '"/run/x"'),
        ("{file = 1}", "must be text, not a number", "quotes"),
        ('{env = ""}', "must not be empty", "quotes"),
        ('{env = "A=B"}', "has a sign that no name has", "BGP_PASSWORD"),
        ("[1]", "must be text or a table, not a list", "{file = "),
    ],
)
def test_what_says_no_secret_is_an_error(text: str, what: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options_of(f"password = {text}")
    assert any(what in each.what and remedy in each.remedy for each in caught.value.problems)
    assert {each.line for each in caught.value.problems} == {9}


# --- A service --------------------------------------------------------------------------------------------

SERVICE = """
[control]
socket = "DIRECTORY/control/reflector.sock"
birdc = "DIRECTORY/control/bird.ctl"

[http]
listen = ["127.0.0.1:0"]

[group.nodes]
client = true
passive = true

[[neighbor]]
address = "127.0.0.11"
name = "good"
group = "nodes"
password = {file = "DIRECTORY/good"}

[[neighbor]]
address = "127.0.0.12"
name = "bad"
group = "nodes"
password = {file = "DIRECTORY/bad"}

[[listen_range]]
prefix = "127.0.1.0/24"
client = true
password = {file = "DIRECTORY/range"}

[[listen_range]]
prefix = "127.0.0.0/16"
client = true
"""


class Running:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "rr.toml"
        self.file.write_text(HEAD + SERVICE.replace("DIRECTORY", str(directory)))
        written(directory / "good", b"canary-good\n")
        self.service = Service(load(str(self.file)), file=str(self.file), control=True)
        self.nodes: list[Speaker] = []

    async def join(self, address: str, password: str | None) -> Peer:
        host, port = self.service.speaker.listening[0]
        number = address.rpartition(".")[2]
        node = Speaker(asn=64512, router_id=f"10.0.0.{number}")
        self.nodes.append(node)
        await node.start()
        options = PeerOptions(
            asn=64512,
            address=host,
            port=port,
            source_address=address,
            password=password,
            connect_retry_time=0.2,
            idle_hold_time=0.2,
            idle_hold_maximum=0.2,
        )
        return node.add_peer(options)

    def peer(self, name: str) -> Peer:
        return next(peer for peer in self.service.speaker.peers if peer.name == name)

    async def ask(self, question: str, **given: object) -> list[dict[str, object]]:
        path = self.directory / "control" / "reflector.sock"
        return await asyncio.to_thread(lambda: list(ask(path, question, given)))

    async def fetch(self, path: str) -> str:
        assert self.service.doors is not None
        host, port = self.service.doors.http.addresses[0]
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as response:
            return await response.text()

    async def bird(self, *commands: str) -> str:
        reader, writer = await asyncio.open_unix_connection(self.directory / "control" / "bird.ctl")
        said = (await reader.readline()).decode()
        for command in commands:
            writer.write(command.encode() + b"\n")
            while not re.match(r"\d{4} ", line := (await reader.readline()).decode()):
                said += line
            said += line
        writer.close()
        return said


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    found = Running(tmp_path)
    await found.service.start()
    yield found
    for node in found.nodes:
        await node.stop()
    await found.service.stop("over")


async def until_refused(peer: Peer, service: Service, before: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        while service.speaker.refusals.total < before + 2:
            await asyncio.sleep(0.02)
    assert peer.times_established == 0


async def test_who_has_no_secret_stays_down_and_the_others_do_not_notice(running: Running) -> None:
    service = running.service
    good = await running.join("127.0.0.11", "canary-good")
    await asyncio.wait_for(good.established(), TIMEOUT)
    # Without any signature, which must not do, although a range around takes who has none.
    for address in ("127.0.0.12", "127.0.1.7"):
        await until_refused(await running.join(address, None), service, service.speaker.refusals.total)
    bad = running.peer("bad")
    assert bad.state is State.IDLE and bad.options.secret is None
    rows = {str(row["name"]): row for row in await running.ask("neighbors")}
    assert rows.keys() == {"good", "bad", "listen range 127.0.1.0/24"}
    for name in ("bad", "listen range 127.0.1.0/24"):
        assert rows[name]["state"] == "Idle"
        assert re.search(
            "kept down: password: .* cannot be read: No such file", str(rows[name]["last_error"])
        )
    assert rows["good"]["blocked"] == ""
    assert len({tuple(row) for row in rows.values()}) == 1
    metrics = await running.fetch("/metrics")
    assert 'martlet_kept_down{peer="bad"} 1' in metrics
    assert 'martlet_kept_down{listen_range="127.0.1.0/24"} 1' in metrics
    log = [str(row["text"]) for row in await running.ask("log")]
    assert any(line.startswith("bad: kept down: password: ") for line in log)
    assert any(line.startswith("listen range 127.0.1.0/24: kept down: password: ") for line in log)
    with pytest.raises(Unanswered, match=r"bad is kept down: .*reload"):
        await running.ask("enable", peer="bad")
    assert good.times_established == 1


async def test_reload_reads_secrets_again(running: Running) -> None:
    good = await running.join("127.0.0.11", "canary-good")
    await asyncio.wait_for(good.established(), TIMEOUT)
    bad, dynamic = (await running.join("127.0.0.12", "canary-bad"), await running.join("127.0.1.7", "canary"))
    written(running.directory / "bad", b"canary-bad\n")
    written(running.directory / "range", b"canary\n")
    lines = [str(row["change"]) for row in await running.ask("reload")]
    assert len(lines) == 2 and all("blocked password: " in line and "-> none" in line for line in lines)
    assert "kept down" not in running.peer("bad").last_error
    await asyncio.wait_for(asyncio.gather(bad.established(), dynamic.established()), TIMEOUT)
    # Rotated: sessions stay where the other side does the same.
    written(running.directory / "good", b"canary-new\n")
    assert [row["change"] for row in await running.ask("reload", dry_run=True)] == [
        "~ neighbor good: password (hidden) (changed) (at once, sessions stay)"
    ]
    await running.ask("reload")
    running.nodes[0].set_password(good, "canary-new")
    assert running.peer("good").options.password == "canary-new"
    # Gone: it goes on with the one that is known, and the next reload looks again.
    (running.directory / "good").unlink()
    for _ in range(2):
        (row,) = await running.ask("reload")
        assert "neighbor good: stays as it is: password: " in str(row["change"])
        assert "No such file" in str(row["failed"])
    assert running.peer("good").options.password == "canary-new"
    written(running.directory / "good", b"canary-new")
    assert await running.ask("reload") == []
    running.nodes[0].announce("198.51.100.0/24", next_hop="192.0.2.7")
    async with asyncio.timeout(TIMEOUT):
        while running.service.speaker.rib.exact("198.51.100.0/24") is None:
            await asyncio.sleep(0.02)
    assert good.times_established == bad.times_established == dynamic.times_established == 1


async def test_a_peer_without_password_that_gets_one_that_cannot_be_read_goes_down(running: Running) -> None:
    node = await running.join("127.0.0.13", None)
    await asyncio.wait_for(node.established(), TIMEOUT)
    text = running.file.read_text()
    prefix = 'prefix = "127.0.0.0/16"\nclient = true\n'
    running.file.write_text(text.replace(prefix, prefix + 'password = {env = "MARTLET_NOWHERE"}\n'))
    (row,) = await running.ask("reload")
    assert str(row["change"]).endswith("MARTLET_NOWHERE is not set (its sessions are reset)")
    before = running.service.speaker.refusals.total
    async with asyncio.timeout(TIMEOUT):
        while running.service.speaker.refusals.total < before + 2:
            await asyncio.sleep(0.02)
    assert node.state is not State.ESTABLISHED and node.times_established == 1


async def test_no_secret_is_ever_shown(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Every report and command, both sockets, metrics, log lines of all levels, and repr()."""
    caplog.set_level(logging.DEBUG)
    said: list[object] = []
    good = await running.join("127.0.0.11", "canary-good")
    await asyncio.wait_for(good.established(), TIMEOUT)
    await running.join("127.0.1.7", "canary-wrong")
    plain = (
        '\n[[neighbor]]\naddress = "127.0.0.14"\ngroup = "nodes"\npassword = "canary-plain"\n'
        '\n[[neighbor]]\naddress = "127.0.0.15"\ngroup = "nodes"\nlisten = 5\n'
        'tcp_ao = {key = "canary-ao", send_id = 1, receive_id = 1}\n'
    )
    base = running.file.read_text()
    for text in (
        base + plain,
        base + plain.replace("listen = 5\n", "").replace('key = "canary-ao"', 'key = ["canary-ao"]'),
        base + plain.replace("listen = 5\n", "").replace("canary-ao", "canary-ao" * 20),
        base + plain.replace("listen = 5\n", "").replace('"canary-plain"', 'canary-plain"'),
        base + plain.replace("listen = 5\n", "").replace('"canary-plain"', '{text = "canary-plain"}'),
        base + plain.replace("listen = 5\n", "").replace("password", "pass_word"),
        base + plain.replace("listen = 5\n", ""),
    ):
        running.file.write_text(text)
        try:
            said += [loads(text), load(str(running.file)).warnings]
        except ConfigurationError as error:
            said += [error, error.problems]
        for dry_run in (True, False):
            try:
                said += await running.ask("reload", dry_run=dry_run)
            except Unanswered as error:
                said.append(error)
    samples = {
        Sort.FLAG: True, Sort.NUMBER: 5, Sort.FAMILY: "ipv4", Sort.PREFIX: "192.0.2.0/24", Sort.PEER: "good",
        Sort.COMMUNITY: "64512:1", Sort.STATE: "Idle", Sort.LEVEL: "info",
        Sort.VALUES: ["password=canary-given"],
    }  # fmt: skip
    for question in QUESTIONS.values():
        if question.endless or question.name == "stop":
            continue
        every = {each.name: samples.get(each.sort, "5") for each in question.arguments}
        required = {each.name: every[each.name] for each in question.arguments if each.required}
        for given in (required, every):
            try:
                said += await running.ask(question.name, **given)
            except Unanswered as error:
                said.append(error)
    # What is altered while we run, and written into the file.
    for question, keys in (
        ("add", ["client=true"]),
        ("change", []),
        ("change", ["password="]),
        ("remove", None),
    ):
        for save in (False, True):
            for password in ("canary-given", "canary-again", "canary-" * 20, '{{"canary'):
                values = (
                    None
                    if keys is None
                    else [*keys, *([] if "password=" in keys else [f"password={password}"])]
                )
                given = {"what": "neighbor", "which": "127.0.0.21", "values": values, "save": save}
                for dry_run in (True, False):
                    try:
                        said += await running.ask(question, **given, dry_run=dry_run)
                    except Unanswered as error:
                        said.append(error)
    assert any("127.0.0.21" in str(each) and "password" in str(each) for each in said)
    said += [await running.fetch(path) for path in ("/metrics", "/livez", "/readyz")]
    said.append(
        await running.bird("show status", "show protocols all", "show route all", "show memory", "bad")
    )
    service = running.service
    said += [
        service.configuration,
        service.configuration.neighbors,
        await service.plan(),
        (await service.plan()).steps,
    ]
    said += [peer.options for peer in service.speaker.peers]
    said += [service.speaker.listen_ranges, service.speaker.peers, list(service.journal)]
    for value in ("canary", bytearray(b"canary"), ["canary"]):
        try:
            said.append(PeerOptions(asn=1, address="192.0.2.1", password=value, port=0))  # type: ignore[arg-type]
        except ValueError as error:
            said.append(error)
    written(running.directory / "good", b"canary-two")
    running.file.write_text(base + plain.replace("listen = 5\n", "").replace("canary-ao", "canary-other"))
    said += [str(await running.service.plan()), await running.service.plan(), *await running.ask("reload")]
    said += [record.getMessage() + repr(record.__dict__) for record in caplog.records]
    everything = "\n".join(f"{each}\n{each!r}" for each in said)
    assert len(said) > 100 and len(everything) > 10_000
    assert "canary" not in everything, everything[max(everything.index("canary") - 300, 0) :][:400]
