"""Watching and looking up as users do it: through a speaker, on a running loop."""

import asyncio
import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from pathlib import Path as FilePath

import pytest
from rawpeer import TIMEOUT
from routers import Peer as Fed
from routers import prefix

from bgp import (
    ALL,
    IPV4_UNICAST,
    IPV6_UNICAST,
    Change,
    EventKind,
    InSync,
    Lagged,
    PeerChanged,
    PeerOptions,
    Reason,
    RouteEvent,
    Snapshot,
    Speaker,
    Watch,
    WatchEvent,
)
from bgp.rib.path import Kind

EXAMPLES = FilePath(__file__).parent.parent / "examples"


@contextlib.asynccontextmanager
async def a_speaker() -> AsyncIterator[Speaker]:
    async with Speaker(asn=65000, router_id="10.0.0.1") as speaker:
        yield speaker


async def flushed(speaker: Speaker) -> None:
    """Wait until the tables are as peers are told."""
    while any(table.dirty for table in speaker.router._tables.values()):
        speaker._host.turns.schedule()
        await asyncio.sleep(0)


async def upto(watch: Watch, kind: type[WatchEvent] = InSync) -> list[WatchEvent]:
    """Return what comes up to an event of this type."""
    events: list[WatchEvent] = []
    async with asyncio.timeout(TIMEOUT):
        while not events or not isinstance(events[-1], kind):
            events.append(await anext(watch))
    return events


def routes(events: list[WatchEvent]) -> list[tuple[str, Change, Reason]]:
    return [(each.prefix, each.change, each.reason) for each in events if isinstance(each, RouteEvent)]


async def test_what_is_there_then_what_changes() -> None:
    async with a_speaker() as speaker:
        speaker.announce("192.0.2.0/24", med=1)
        speaker.announce("2001:db8::/32", next_hop="2001:db8::1")
        with speaker.watch() as watch:
            first, *events, last = await upto(watch)
            assert isinstance(first, Snapshot) and first.reason == "a new watch"
            assert routes(events) == [
                ("192.0.2.0/24", Change.ADDED, Reason.SNAPSHOT),
                ("2001:db8::/32", Change.ADDED, Reason.SNAPSHOT),
            ]
            assert watch.in_sync and last.sequence == watch.sequence > first.sequence

            speaker.announce("192.0.2.0/24", med=2)
            speaker.announce("198.51.100.0/24")
            speaker.withdraw("2001:db8::/32")
            events = [await anext(watch) for _ in range(3)]
            assert sorted(routes(events)) == [
                ("192.0.2.0/24", Change.REPLACED, Reason.UPDATED),
                ("198.51.100.0/24", Change.ADDED, Reason.ANNOUNCED),
                ("2001:db8::/32", Change.WITHDRAWN, Reason.WITHDRAWN),
            ]
            assert [each.sequence for each in events] == [last.sequence + at for at in (1, 2, 3)]
            (changed,) = [each for each in events if getattr(each, "previous", None) and each.path]
            assert str(changed) == (
                "192.0.2.0/24 replaced: its peer says something else of it now "
                "(ORIGIN IGP, AS_PATH empty, MULTI_EXIT_DISC 2)"
            )
            assert isinstance(changed, RouteEvent)
            assert changed.path is not None and changed.previous is not None
            assert (changed.previous.attributes.med, changed.path.attributes.med) == (1, 2)
            assert changed.network == ip_network("192.0.2.0/24")
            assert changed.slot is changed.path.slot
        assert [event async for event in watch] == []


async def test_another_path_takes_over() -> None:
    async with a_speaker() as speaker:
        one, two = (Fed(speaker.router, name, Kind.CLIENT, at) for at, name in enumerate(("one", "two"), 2))
        one.announce(["10.0.0.0/8"], local_pref=100)
        await flushed(speaker)
        with (
            speaker.watch() as best,
            speaker.watch(paths="all") as every,
            speaker.watch(peer="one") as of_one,
        ):
            for watch in (best, every, of_one):
                await upto(watch)
            two.announce(["10.0.0.0/8"], local_pref=200)
            await flushed(speaker)
            event = await anext(best)
            assert isinstance(event, RouteEvent) and event.path is not None
            assert (event.path.source.peer, event.reason) == ("two", Reason.DECIDED)
            assert routes([await anext(every)]) == [("10.0.0.0/8", Change.ADDED, Reason.ANNOUNCED)]
            # The best path is not of peer "one" any more.
            assert routes([await anext(of_one)]) == [("10.0.0.0/8", Change.WITHDRAWN, Reason.WITHDRAWN)]
            assert {event.slot.peer for event in speaker.snapshot(paths=ALL)} == {"one", "two"}
            assert [event.slot.peer for event in speaker.snapshot()] == ["two"]
            assert list(speaker.snapshot(prefix="10.1.0.0/16")) == []
            assert routes(list(speaker.snapshot(within="0.0.0.0/0", community=()))) == [
                ("10.0.0.0/8", Change.ADDED, Reason.SNAPSHOT)
            ]


async def test_a_watch_goes_on_where_it_was() -> None:
    async with a_speaker() as speaker:
        with speaker.watch() as watch:
            await upto(watch)
            for at in range(4):
                speaker.announce(f"10.{at}.0.0/16")
            seen = [await anext(watch) for _ in range(2)]
        speaker.withdraw("10.0.0.0/16")
        await flushed(speaker)
        with speaker.watch(since=seen[-1].sequence) as watch:
            events = await upto(watch)
            assert [each.prefix for each in events if isinstance(each, RouteEvent)] == [
                "10.2.0.0/16",
                "10.3.0.0/16",
                "10.0.0.0/16",
            ]
        for number, words in ((0, "not remembered"), (1 << 62, "no change")):
            with speaker.watch(since=number) as watch:
                event = (await upto(watch))[0]
                assert isinstance(event, Snapshot) and words in event.reason


async def test_numbers_of_an_earlier_process_are_old() -> None:
    async with a_speaker() as former, a_speaker() as speaker:
        with former.watch() as watch:
            old = (await upto(watch))[-1].sequence
        with speaker.watch(since=old) as watch:
            assert isinstance((await upto(watch))[0], Snapshot)


async def test_peers_are_watched() -> None:
    async with Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        host, port = speaker.listening[0]
        speaker.add_listen_range("127.0.0.2/32", PeerOptions(asn=65000))
        idle = speaker.add_peer(PeerOptions(asn=65000, address="127.0.0.9", passive=True))
        async with Speaker(asn=65000, router_id="10.0.0.2") as other:
            with other.watch(peers=True) as watch, speaker.watch(paths=None, peers=True, peer=idle) as still:
                assert len(await upto(watch)) == 2, "there are no peers"
                assert [type(each) for each in await upto(still)] == [Snapshot, PeerChanged, InSync]
                peer = other.add_peer(
                    PeerOptions(asn=65000, address=host, port=port, source_address="127.0.0.2")
                )
                await asyncio.wait_for(peer.established(), TIMEOUT)
                speaker.announce("192.0.2.0/24", next_hop="192.0.2.1")
                *events, _ = await upto(watch, RouteEvent)
                kinds = [each.event.kind for each in events if isinstance(each, PeerChanged)]
                assert kinds[0] is EventKind.ADDED and kinds[-1] is EventKind.STATE
                numbers = [each.sequence for each in events]
                assert numbers == sorted(set(numbers))
                assert still.in_sync or (await speaker.remove_peer(idle)) is None
                with other.watch(paths=None, peers=True) as third:
                    _, event, _ = await upto(third)
                    assert isinstance(event, PeerChanged) and event.event.state == peer.state


async def test_a_consumer_that_stops_while_everything_changes_twice() -> None:
    """What is kept for it is bounded, it is told that it lagged, and then all that is there."""
    number, bound = 4000, 500
    prefixes = [f"20.{at >> 8}.{at & 255}.0/24" for at in range(number)]
    async with a_speaker() as speaker:
        history = speaker.router.history
        history._limit = bound
        feeder = Fed(speaker.router, "feeder", Kind.CLIENT, 2)
        feeder.announce(prefixes, med=0)
        await flushed(speaker)
        with speaker.watch(limit=bound) as slow, speaker.watch(limit=number, within="20.1.0.0/16") as patient:
            held: dict[bytes, int | None] = {}
            for watch in (slow, patient):
                await upto(watch)
            for med in (1, 2):
                for start in range(0, number, 100):
                    feeder.announce(prefixes[start : start + 100], med=med)
                    await flushed(speaker)
                    (log,) = history._logs.values()
                    assert log.size <= bound and slow.backlog <= bound and patient.backlog <= 256
            assert slow.backlog == 0, "it has lost track, and costs nothing"
            lagged, begun, *events, last = await upto(slow)
            assert isinstance(lagged, Lagged) and lagged.lost == 2 * number
            assert isinstance(begun, Snapshot) and begun.reason == "the watch has lagged"
            for event in events:
                assert isinstance(event, RouteEvent) and event.path is not None
                held[event.octets] = event.path.attributes.med
            assert held == dict.fromkeys(map(prefix, prefixes), 2)
            assert last.sequence > lagged.sequence and slow.in_sync
            # Each of these changed twice, and is told once.
            told = [await anext(patient) for _ in range(256)]
            assert patient.in_sync
            assert {each.prefix for each in told if isinstance(each, RouteEvent)} == set(prefixes[256:512])


async def test_a_watch_that_nobody_holds_is_gone() -> None:
    async with a_speaker() as speaker:
        speaker.announce("192.0.2.0/24")
        watch = speaker.watch()
        await upto(watch)
        known = weakref.ref(watch)
        gc.disable()
        try:
            del watch
            assert known() is None
        finally:
            gc.enable()
        assert not any(log.followers for log in speaker.router.history._logs.values())
        # Who could go on is remembered for so long as it could, then nothing is noted any more.
        speaker.router.history._limit = 10
        for at in range(12):
            speaker.announce("192.0.2.0/24", med=at)
            await flushed(speaker)
        assert not speaker.router.history


async def test_waiting_can_be_canceled() -> None:
    async with a_speaker() as speaker:
        with speaker.watch() as watch:
            await upto(watch)
            for at in range(3):
                waiting = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                speaker.announce("192.0.2.0/24", med=at)
                event = await asyncio.wait_for(anext(watch), TIMEOUT)
                assert isinstance(event, RouteEvent) and event.path and event.path.attributes.med == at


async def test_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[WatchEvent] = []
    done = asyncio.Event()

    def callback(event: WatchEvent) -> None:
        heard.append(event)
        if isinstance(event, InSync):
            raise RuntimeError("of the callback")
        if len(heard) == 3:
            done.set()

    async with a_speaker() as speaker:
        watch = speaker.watch(callback=callback)
        with pytest.raises(ValueError, match="calls back already"):
            watch.call(callback)
        known = weakref.ref(watch)
        del watch
        gc.collect()
        await asyncio.sleep(0.01)
        speaker.announce("192.0.2.0/24")
        await asyncio.wait_for(done.wait(), TIMEOUT)
        assert [type(each) for each in heard] == [Snapshot, InSync, RouteEvent]
        assert "a callback for routes failed" in caplog.text
        held = known()
        assert held is not None
        held.close()
        speaker.announce("192.0.2.0/24", med=7)
        await flushed(speaker)
    assert len(heard) == 3


async def test_stopping_ends_watches() -> None:
    async with a_speaker() as speaker:
        watch = speaker.watch()
        await upto(watch)
        speaker.announce("192.0.2.0/24")
        await flushed(speaker)
    events = [event async for event in watch]
    assert routes(events) == [("192.0.2.0/24", Change.ADDED, Reason.ANNOUNCED)]
    assert [event async for event in watch] == []


async def test_a_long_iteration_lets_others_have_their_turns() -> None:
    async with a_speaker() as speaker:
        feeder = Fed(speaker.router, "feeder", Kind.CLIENT, 2)
        feeder.announce([f"20.{at >> 8}.{at & 255}.0/24" for at in range(20_000)])
        await flushed(speaker)
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1
            asyncio.get_running_loop().call_soon(turn)

        turn()
        with speaker.watch() as watch:
            assert len(await upto(watch)) == 20_002
        assert turns > 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"paths": "some"}, "paths: 'some' cannot be watched"),
        ({"prefix": "10.0.0.0/8", "within": "10.0.0.0/8"}, "does not go together"),
        ({"prefix": "10.0.0.0/8", "family": IPV6_UNICAST}, "is not of ipv6-unicast"),
        ({"within": "10.0.0.1/8"}, "host bits"),
        ({"community": "x"}, "no community"),
        ({"community": 1 << 32}, "32 bits"),
        ({"limit": 0}, "^limit: must be a whole number of 1 or more, not 0"),
    ],
)
async def test_bad_arguments(arguments: dict[str, object], words: str) -> None:
    async with a_speaker() as speaker:
        with pytest.raises(ValueError, match=words):
            speaker.watch(**arguments)  # type: ignore[arg-type]
        assert not speaker.router.history


# --- Look-ups -------------------------------------------------------------------------------------------


async def test_look_ups() -> None:
    texts = ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/23", "10.1.2.128/25", "172.16.0.0/12")
    async with a_speaker() as speaker:
        feeder = Fed(speaker.router, "feeder", Kind.CLIENT, 2)
        feeder.announce(texts)
        # What has refused paths only is known, but nothing to follow.
        feeder.announce(["10.1.2.3/32"], as_path=[65000])
        feeder.announce(["2001:db8::/32"], family=IPV6_UNICAST)
        rib = speaker.rib
        route = rib.exact("10.0.0.0/8")
        assert route is not None and route.best is route.paths[0] and str(route) == "10.0.0.0/8: 1 path"
        assert (route.prefix, route.network) == ("10.0.0.0/8", ip_network("10.0.0.0/8"))
        refused = rib.exact("10.1.2.3/32")
        assert (
            refused is not None and refused.best is None and "refused" in str(speaker.explain("10.1.2.3/32"))
        )
        assert rib.exact("10.0.0.0/9") is None
        for destination, expected in (
            ("10.1.2.3", "10.1.2.0/23"),
            ("10.1.2.200", "10.1.2.128/25"),
            (ip_address("10.9.9.9"), "10.0.0.0/8"),
            (ip_network("10.1.2.0/24"), "10.1.2.0/23"),
            ("192.0.2.1", "0.0.0.0/0"),
            ("2001:db8::5", "2001:db8::/32"),
        ):
            found = rib.longest_match(destination)
            assert found is not None and found.prefix == expected
        assert rib.longest_match("2001:db9::1") is None
        assert [each.prefix for each in rib.covering("10.1.2.3")] == ["10.1.2.3/32", *reversed(texts[:4])]
        assert {each.prefix async for each in rib.covered("10.0.0.0/8")} == {*texts[1:5], "10.1.2.3/32"}
        assert [each.prefix async for each in rib.covered("10.1.2.128/25")] == ["10.1.2.128/25"]
        assert {each.prefix async for each in rib.routes(IPV4_UNICAST)} == {*texts, "10.1.2.3/32"}
        assert [each.prefix async for each in rib.routes(IPV6_UNICAST)] == ["2001:db8::/32"]


async def test_views_of_peers_in_slices() -> None:
    """Both views are those that come at once, and routes may change between two slices."""
    async with (
        Speaker(asn=65000, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker,
        Speaker(asn=65000, router_id="10.0.0.2") as other,
    ):
        speaker.add_listen_range("127.0.0.2/32", PeerOptions(asn=65000, client=True))
        host, port = speaker.listening[0]
        peer = other.add_peer(PeerOptions(asn=65000, address=host, port=port, source_address="127.0.0.2"))
        for at in range(3000):
            speaker.announce(f"20.{at >> 8}.{at & 255}.0/24", next_hop="192.0.2.1", med=at % 7)
        await asyncio.wait_for(peer.established(), TIMEOUT)
        (seen,) = speaker.peers
        with other.watch() as watch:
            held: set[str] = set()
            async with asyncio.timeout(TIMEOUT):
                while len(held) < 3000:
                    event = await anext(watch)
                    held |= {event.prefix} if isinstance(event, RouteEvent) else set()
        told = [each async for each in speaker.rib.advertised(seen, IPV4_UNICAST)]
        assert dict(told) == dict(speaker.advertised(seen, IPV4_UNICAST)) and len(told) == 3000
        got = [each async for each in other.rib.received(peer, IPV4_UNICAST)]
        assert dict(got) == dict(other.received(peer, IPV4_UNICAST)) and len(got) == 3000
        assert [each async for each in speaker.rib.received(seen, IPV4_UNICAST)] == []
        stranger = speaker.add_peer(PeerOptions(asn=65000, address="127.0.0.9", passive=True))
        assert [each async for each in speaker.rib.received(stranger, IPV4_UNICAST)] == []
        assert [each async for each in speaker.rib.advertised(stranger, IPV4_UNICAST)] == []

        found = set()
        async for route in speaker.rib.covered("20.0.0.0/8"):
            found.add(route.prefix)
            if len(found) == 100:
                for at in range(3000):
                    if at % 2:
                        speaker.withdraw(f"20.{at >> 8}.{at & 255}.0/24")
        assert found >= {f"20.{at >> 8}.{at & 255}.0/24" for at in range(0, 3000, 2)}


def test_the_example_prints_json() -> None:
    """A peer connects to it and announces; what changes is on its standard output."""

    async def run() -> list[dict[str, object]]:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / "watch_to_json.py"),
            f"127.0.0.1:{port}",
            stdout=subprocess.PIPE,
            cwd=EXAMPLES.parent,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        )
        assert program.stdout is not None
        lines = []
        try:
            async with asyncio.timeout(3 * TIMEOUT):
                lines.append(json.loads(await program.stdout.readline()))
                async with Speaker(asn=64512, router_id="10.0.0.2") as speaker:
                    speaker.announce("198.51.100.0/24", next_hop="192.0.2.1", communities=[64512 << 16 | 1])
                    speaker.add_peer(
                        PeerOptions(asn=64512, address="127.0.0.1", port=port, connect_retry_time=1.0)
                    )
                    while "prefix" not in lines[-1]:
                        lines.append(json.loads(await program.stdout.readline()))
                while lines[-1].get("change") != "withdrawn":
                    lines.append(json.loads(await program.stdout.readline()))
        finally:
            program.terminate()
            await program.wait()
        return lines

    lines = asyncio.run(run())
    assert lines[0]["event"] == "Snapshot"
    added, removed = (each for each in lines if "prefix" in each)
    assert (added["prefix"], added["change"]) == ("198.51.100.0/24", "added")
    assert (removed["prefix"], removed["change"]) == ("198.51.100.0/24", "withdrawn")
    assert any(each.get("state") == "Established" for each in lines)
