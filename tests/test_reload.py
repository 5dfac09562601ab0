"""Another configuration while sessions run: what did not change notices nothing."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp import IPV4_UNICAST, Effect, Peer, PeerOptions, Speaker
from reflector.app import Service
from reflector.changes.reload import Kind, plan
from reflector.configuration.config import Configuration, load, loads
from reflector.configuration.document import ConfigurationError

TIMEOUT = 20
TEXT = """\
[router]
asn = 64512
router_id = "192.0.2.100"
listen = ["127.0.0.1:0"]

[control]
enabled = false

[group.nodes]
client = true

[[neighbor]]
address = "127.0.0.11"
group = "nodes"
passive = true
import = "mark"
export = "all"

[[neighbor]]
address = "127.0.0.12"
group = "nodes"
passive = true

[[listen_range]]
prefix = "127.0.1.0/24"
group = "nodes"
limit = 5

[[network]]
prefix = "198.51.100.0/24"
next_hop = "192.0.2.7"

[policy.mark]
default = "accept"
[[policy.mark.term]]
name = "mark"
set = {med = 5}

[policy.all]
default = "accept"
"""


def changed(*pairs: tuple[str, str]) -> str:
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def steps(after: str) -> list[str]:
    return [str(step) for step in plan(loads(TEXT), loads(after)).steps]


# --- The plan ---------------------------------------------------------------------------------------------


def test_the_same_again_is_nothing() -> None:
    found = plan(loads(TEXT), loads(TEXT + "\n# a comment\n"))
    assert not found and str(found) == "nothing has changed"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("client = true", "client = true\nhold_time = 30", "hold_time 90 -> 30 (its sessions are reset)"),
        ("{med = 5}", "{med = 6}", "import_policy mark (changed) (at once, sessions stay)"),
        ("limit = 5", "limit = 6", "limit 5 -> 6"),
        (
            "limit = 5",
            "connect_retry_time = 9",
            "connect_retry_time 5.0 -> 9.0; limit 5 -> 1000 (from the next",
        ),
        (
            'next_hop = "192.0.2.7"',
            'next_hop = "192.0.2.8"',
            "~ network 198.51.100.0/24: next_hop 192.0.2.7 -> ",
        ),
        ("198.51.100.0/24", "203.0.113.0/24", "- network 198.51.100.0/24"),
        ('address = "127.0.0.12"', 'address = "127.0.0.13"', "+ neighbor 127.0.0.13"),
        ('address = "127.0.0.12"', 'address = "127.0.0.13"', "- neighbor 127.0.0.12, its sessions end"),
        ("127.0.1.0/24", "127.0.2.0/24", "- listen range 127.0.1.0/24, its sessions end"),
        ("127.0.0.1:0", "127.0.0.2:0", "~ [router]: listen [127.0.0.1:0] -> [127.0.0.2:0]"),
        ("asn = 64512", "asn = 64512\nclient_to_client = false", "client_to_client true -> false"),
        ("asn = 64512", "asn = 64512\nlag_age = 20", "~ [router]: lag_age 300.0 -> 20.0"),
        ("limit = 5", 'password = "geheim"', "password none -> (hidden)"),
        ("enabled = false", "enabled = true", "~ [control]: enabled false -> true"),
        ("[control]", '[http]\ntoken = "geheimgeheimgeheim"\n[control]', "~ [http]: token none -> (hidden)"),
    ],
)
def test_what_changes_is_said(old: str, new: str, said: str) -> None:
    found = steps(changed((old, new)))
    assert any(said in line for line in found), found
    assert "geheim" not in str(found)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("asn = 64512", "asn = 64513", "asn 64512 -> 64513"),
        ('"192.0.2.100"', '"192.0.2.101"', "router_id"),
        (
            "[group.nodes]",
            "[decision]\nprefer_oldest = true\n[group.nodes]",
            "[decision] prefer_oldest false -> true",
        ),
    ],
)
def test_what_takes_a_restart_is_said(old: str, new: str, key: str) -> None:
    found = plan(loads(TEXT), loads(changed((old, new))))
    assert found.restart and key in str(found.restart[0]) and "only a restart" in str(found)


_CHANGES = [
    ("client = true", "client = true\nhold_time = 30"),
    ("{med = 5}", "{med = 6}"),
    ("limit = 5", "limit = 6"),
    ('address = "127.0.0.12"', 'address = "127.0.0.13"'),
    ("127.0.1.0/24", "127.0.2.0/24"),
    ("198.51.100.0/24", "203.0.113.0/24"),
    ("asn = 64512", "asn = 64512\nmax_paths = 77"),
]


@given(st.sets(st.sampled_from(_CHANGES)), st.sets(st.sampled_from(_CHANGES)))
@settings(max_examples=40, deadline=None)
def test_a_plan_names_all_that_differs_and_nothing_else(
    first: set[tuple[str, str]], second: set[tuple[str, str]]
) -> None:
    """The things of a plan are those that differ, and each of its ends is what the other way begins with."""
    before, after = loads(changed(*first)), loads(changed(*second))
    there, back = plan(before, after), plan(after, before)
    assert bool(there) is (first != second) is bool(back)
    mirrored = [(step.table, step.after, step.before) for step in back.steps]
    assert len(mirrored) == len(there.steps)
    assert all((step.table, step.before, step.after) in mirrored for step in there.steps)
    opposite = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED, Kind.CHANGED: Kind.CHANGED}
    assert sorted(step.kind.value for step in there.steps) == sorted(
        opposite[step.kind].value for step in back.steps
    )


# --- The deed ---------------------------------------------------------------------------------------------


class Running:
    """A service, its file, and nodes that are clients of it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_text(TEXT)
        self.service = Service(load(str(file)), file=str(file))
        self.nodes: list[Speaker] = []

    async def join(self, address: str) -> tuple[Speaker, Peer]:
        """Let a node with that address come in; return it and its peer."""
        node = Speaker(asn=64512, router_id=address.replace("127.", "10."))
        self.nodes.append(node)
        await node.start()
        port = self.service.speaker.listening[0][1]
        options = PeerOptions(
            asn=64512, address="127.0.0.1", port=port, source_address=address, connect_retry_time=0.2
        )
        peer = node.add_peer(options)
        async with asyncio.timeout(TIMEOUT):
            await peer.established()
            while self.peer(address) is None or self.peer(address).negotiated is None:
                await asyncio.sleep(0.01)
        return node, peer

    def peer(self, name: str) -> Peer:
        return next((each for each in self.service.speaker.peers if each.name == name), None)  # type: ignore[return-value]

    async def reload(self, text: str) -> list[str]:
        self.file.write_text(text)
        found, failed = await self.service.reload()
        assert not failed
        return [str(step) for step in found.steps]

    async def told(self, node: Speaker, prefix: str, **wanted: object) -> None:
        """Wait until the node has the route, with these attributes; with `there=False` until it has not."""
        there = wanted.pop("there", True)
        async with asyncio.timeout(TIMEOUT):
            while True:
                path = node.best(IPV4_UNICAST).get(prefix)
                if path is None:
                    if not there:
                        return
                elif there and all(getattr(path.attributes, key) == value for key, value in wanted.items()):
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    found = Running(tmp_path / "rr.toml")
    await found.service.start()
    yield found
    for node in found.nodes:
        await node.stop()
    await found.service.stop("over")


async def test_a_policy_changes_under_its_sessions(running: Running) -> None:
    first, first_peer = await running.join("127.0.0.11")
    second, second_peer = await running.join("127.0.0.12")
    first.announce("10.1.0.0/16", next_hop="10.0.0.11")
    await running.told(second, "10.1.0.0/16", med=5)
    await running.reload(changed(("{med = 5}", "{med = 6}")))
    await running.told(second, "10.1.0.0/16", med=6)
    assert first_peer.times_established == second_peer.times_established == 1


async def test_clients_are_reflected_to_clients_no_more_and_again(running: Running) -> None:
    first, first_peer = await running.join("127.0.0.11")
    second, second_peer = await running.join("127.0.0.12")
    first.announce("10.1.0.0/16", next_hop="10.0.0.11")
    await running.told(second, "10.1.0.0/16")
    await running.reload(changed(("asn = 64512", "asn = 64512\nclient_to_client = false")))
    await running.told(second, "10.1.0.0/16", there=False)
    await running.told(second, "198.51.100.0/24")
    await running.reload(TEXT)
    await running.told(second, "10.1.0.0/16")
    assert first_peer.times_established == second_peer.times_established == 1


async def test_what_does_not_change_notices_nothing(running: Running) -> None:
    _, first = await running.join("127.0.0.11")
    _, second = await running.join("127.0.0.12")
    third_node, third = await running.join("127.0.1.7")
    sessions = {name: running.peer(name).connections for name in ("127.0.0.12", "127.0.1.7")}
    lines = await running.reload(changed(('import = "mark"', 'hold_time = 33\nimport = "mark"')))
    assert lines == ["~ neighbor 127.0.0.11: hold_time 90 -> 33 (its sessions are reset)"]
    async with asyncio.timeout(TIMEOUT):
        while first.times_established < 2 or first.negotiated is None:
            await asyncio.sleep(0.01)
    assert first.negotiated.hold_time == 33
    assert second.times_established == third.times_established == 1
    assert sessions == {name: running.peer(name).connections for name in sessions}
    assert await running.reload(running.file.read_text()) == []
    assert third_node.peers[0].state.label == "Established"


async def test_a_listen_range_changes_for_who_is_there(running: Running) -> None:
    node, peer = await running.join("127.0.1.7")
    await running.reload(changed(("limit = 5", "limit = 1")))
    assert running.service.speaker.listen_ranges[0].limit == 1 and peer.times_established == 1
    policy = ("[policy.all]", '[policy.none]\ndefault = "refuse"\n[policy.all]')
    await running.reload(changed(("limit = 5", 'export = "none"'), policy))
    await running.told(node, "198.51.100.0/24", there=False)
    assert peer.times_established == 1
    await running.reload(changed(("limit = 5", "hold_time = 12")))
    async with asyncio.timeout(TIMEOUT):
        while peer.times_established < 2 or peer.negotiated is None or peer.negotiated.hold_time != 12:
            await asyncio.sleep(0.01)
    assert "configuration" in peer.last_error
    await running.told(node, "198.51.100.0/24")
    await running.reload(changed(("127.0.1.0/24", "127.0.2.0/24")))
    async with asyncio.timeout(TIMEOUT):
        while running.peer("127.0.1.7") is not None:
            await asyncio.sleep(0.01)


async def test_neighbors_and_networks_come_and_go(running: Running) -> None:
    node, peer = await running.join("127.0.0.11")
    await running.told(node, "198.51.100.0/24")
    lines = await running.reload(
        changed(('address = "127.0.0.12"', 'address = "127.0.0.13"'), ("198.51.100.0/24", "203.0.113.0/24"))
    )
    assert lines == [
        "- neighbor 127.0.0.12, its sessions end",
        "+ neighbor 127.0.0.13",
        "- network 198.51.100.0/24",
        "+ network 203.0.113.0/24",
    ]
    await running.told(node, "203.0.113.0/24")
    await running.told(node, "198.51.100.0/24", there=False)
    await running.join("127.0.0.13")
    assert peer.times_established == 1


async def test_other_addresses_to_listen_on(running: Running) -> None:
    node, peer = await running.join("127.0.0.11")
    # A port that is free on all addresses; others on this machine may take it a moment later.
    await running.reload(changed(("127.0.0.1:0", "0.0.0.0:0")))
    port = running.service.speaker.listening[0][1]
    await running.reload(changed(("127.0.0.1:0", f"127.0.0.1:{port}")))
    assert running.service.speaker.listening == (("127.0.0.1", port),)
    running.file.write_text(changed(("127.0.0.1:0", f"0.0.0.0:{port}")))
    async with asyncio.timeout(TIMEOUT):
        while (await running.service.reload())[1]:
            await asyncio.sleep(0.1)
    assert running.service.speaker.listening == (("0.0.0.0", port),)
    await running.join("127.0.0.12")
    assert peer.times_established == 1 and node.peers[0] is peer


async def test_what_fails_stays_as_it_was_and_is_tried_again(running: Running) -> None:
    """An address that nobody has cannot be listened on: the rest is done, and the next reload tries again."""
    _, peer = await running.join("127.0.0.11")
    text = changed(("127.0.0.1:0", "192.0.2.250:0"), ("198.51.100.0/24", "203.0.113.0/24"))
    running.file.write_text(text)
    before = running.service.speaker.listening
    found, failed = await running.service.reload()
    assert len(found.steps) == 3
    ((step, reason),) = failed
    assert step.what == "[router]" and "192.0.2.250" in reason
    assert running.service.speaker.listening == before and peer.times_established == 1
    assert str(running.service.configuration.networks[0].prefix) == "203.0.113.0/24"
    assert [step.what for step in (await running.service.plan()).steps] == ["[router]"]


@pytest.mark.parametrize("text", ["nonsense", "[router]\nasn = 1\n", changed(("passive", "pasive"))])
async def test_a_bad_file_changes_nothing(running: Running, text: str) -> None:
    before = running.service.configuration
    running.file.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(str(running.file))):
        await running.service.reload()
    assert running.service.configuration is before


async def test_what_takes_a_restart_is_not_done_by_halves(running: Running) -> None:
    before = running.service.configuration
    text = changed(("asn = 64512", "asn = 64513"), ("198.51.100.0/24", "203.0.113.0/24"))
    running.file.write_text(text)
    found, failed = await running.service.reload()
    assert [each.key for each in found.restart] == ["asn"] and not failed
    assert running.service.configuration is before
    assert running.service.speaker.rib.exact("203.0.113.0/24") is None


def test_what_is_in_force_after_a_failure_is_a_configuration() -> None:
    from reflector.changes.reload import settled

    before, after = loads(TEXT), loads(changed(*_CHANGES))
    found = plan(before, after)
    for step in found.steps:
        mixed: Configuration = settled(before, after, [step])
        again = plan(mixed, after)
        assert [(each.before, each.after) for each in again.steps] == [(step.before, step.after)]
    assert {step.effect for step in found.steps} >= {None, Effect.RESET}
