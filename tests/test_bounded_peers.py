"""What a peer may ask of us: so many connections, refreshes, routes; others do not suffer for it."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jumpingloop import run
from rawpeer import TIMEOUT, RawPeer, an_open, event_of, peer_state
from routers import LOCAL_AS, ROUTER_ID, Peer, settle

from bgp.aio.events import EventKind
from bgp.aio.options import PeerOptions
from bgp.aio.pace import Pace, Refreshes
from bgp.errors import Notify
from bgp.family import IPV4_UNICAST
from bgp.iana import MessageType, RouteRefreshSubtype
from bgp.rib.notice import Condemned
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.event import State, Timer
from bgp.speaker import Speaker
from bgp.testing.hostile import words
from bgp.testing.hostile.victim import Victim
from bgp.wire.message import Keepalive, Notification, RouteRefresh

ASN = 65000
BEGIN, END = RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH, RouteRefreshSubtype.END_OF_ROUTE_REFRESH
REQUEST = RouteRefresh(1, 1, RouteRefreshSubtype.REQUEST)


def reflector(limit: int = 10, **options: int) -> Speaker:
    speaker = Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"], **options)
    speaker.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN, client=True), limit=limit)
    return speaker


# --- Connections ---------------------------------------------------------------------------------------


def test_a_pace_is_a_burst_and_a_rate() -> None:
    pace = Pace(burst=3, rate=0.5)
    assert [pace.wait("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    assert pace.wait("b", 100.0) == 0.0
    assert pace.wait("a", 101.0) == 1.0 and pace.wait("a", 102.0) == 0.0 and pace.wait("a", 102.0) == 2.0
    # Rest fills the bucket, and no more than that.
    assert [bool(pace.wait("a", 1000.0)) for _ in range(4)] == [False, False, False, True]


def test_a_pace_is_full_at_first_however_young_the_clock() -> None:
    pace = Pace(burst=3, rate=0.5)
    assert [pace.wait("a", 0.25) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]


def test_a_pace_remembers_so_many() -> None:
    pace = Pace(burst=1, rate=1.0, size=100)
    for number in range(10_000):
        assert pace.wait(number, 5.0) == 0.0
    assert len(pace) == 100
    assert pace.wait(9_999, 5.0) and not pace.wait(0, 5.0)


async def test_an_address_that_connects_too_often_is_refused_and_others_are_not() -> None:
    async with reflector() as middle:
        for _ in range(20):
            async with await RawPeer.dial(middle, "127.0.0.2") as raw:
                await raw.expect(MessageType.OPEN)
        async with await RawPeer.dial(middle, "127.0.0.2") as raw:
            assert await raw.rest() == []
        assert middle.refusals.total == 1
        async with await RawPeer.dial(middle, "127.0.0.3") as raw:
            await raw.establish()


async def test_connections_without_a_session_make_room() -> None:
    """Those that have one stay; of the others the oldest goes, without a word."""
    async with reflector(limit=3) as middle, await RawPeer.dial(middle, "127.0.0.2") as first:
        await first.establish()
        await asyncio.wait_for(middle.peers[0].established(), TIMEOUT)
        silent = [await RawPeer.dial(middle, f"127.0.0.{number}") for number in range(10, 30)]
        for raw in silent[:-2]:
            assert all(type_ == MessageType.OPEN for type_, _ in await raw.rest())
        async with await RawPeer.dial(middle, "127.0.0.3") as late:
            await late.establish(an_open(identifier=0x0A000003))
        assert len(middle.peers) <= 3
        assert middle.peers[0].state == State.ESTABLISHED
        (listen_range,) = middle.listen_ranges
        assert set(listen_range.opening) <= listen_range.peers
        for raw in silent:
            await raw.close()


# --- Refreshes -----------------------------------------------------------------------------------------


def test_requests_for_routes_are_paced_and_lost_in_none() -> None:
    run(_requests())


async def _requests() -> None:
    loop = asyncio.get_running_loop()
    answers: list[tuple[float, RouteRefresh]] = []
    began = loop.time()
    refreshes = Refreshes(lambda message: answers.append((loop.time() - began, message)))
    for _ in range(1000):
        refreshes.ask(REQUEST)
    assert len(answers) == 4
    refreshes.ask(RouteRefresh(2, 1))
    refreshes.ask(RouteRefresh(1, 1, BEGIN))
    assert [message.subtype for _, message in answers] == [0, 0, 0, 0, BEGIN]
    await asyncio.sleep(100)
    assert [(round(at), message.afi) for at, message in answers[5:]] == [(10, 1), (20, 2)]
    for _ in range(1000):
        refreshes.ask(REQUEST)
    assert len(answers) == 11
    refreshes.stop()
    await asyncio.sleep(100)
    assert len(answers) == 11


async def test_a_session_that_asks_without_end_is_answered_now_and_then() -> None:
    async with reflector() as middle:
        middle.announce("192.0.2.0/24", next_hop="192.0.2.1")
        async with await RawPeer.dial(middle) as raw:
            await raw.send(words.an_open(0x0A000002, ASN), words.KEEPALIVE, words.REFRESH * 5000)
            begun = 0
            while begun < 1:
                message = await raw.receive()
                assert message is not None
                begun += message[0] == MessageType.ROUTE_REFRESH and message[1][2] == BEGIN
            await raw.send(words.REFRESH * 5000, Notification(6, 2))
            begun += sum(
                type_ == MessageType.ROUTE_REFRESH and body[2] == BEGIN for type_, body in await raw.rest()
            )
            assert begun <= 4


def test_refreshes_that_begin_and_never_end_are_bounded() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    peer = Peer(router, "a", Kind.CLIENT, 1)
    for number in range(1000):
        router.refresh(peer.member, RouteRefresh(1, 1, BEGIN))
        peer.announce([f"10.{number % 8}.0.0/16"], med=number)
    assert len(peer.member.sources(IPV4_UNICAST)) <= 20
    router.refresh(peer.member, RouteRefresh(1, 1, END))
    settle(router)
    assert peer.member.received(IPV4_UNICAST) == 1, "what was said behind the last one that began"
    with pytest.raises(Notify, match="begun and none ended"):
        for number in range(1000):
            router.refresh(peer.member, RouteRefresh(1, 1, BEGIN))
            peer.announce([f"10.{number % 250}.0.0/16"])


# --- Routes --------------------------------------------------------------------------------------------


def test_who_fills_all_goes_for_the_sake_of_others() -> None:
    """The one that asks for a little is let in, until twice the bound were held."""
    router = Router(LOCAL_AS, ROUTER_ID, max_paths=100)
    heard: list[tuple[str, object]] = []
    router.watch_notices(lambda member, notice: heard.append((member.name, notice)))
    greedy, modest = Peer(router, "greedy", Kind.CLIENT, 1), Peer(router, "modest", Kind.CLIENT, 2)
    greedy.announce([f"10.0.{number}.0/24" for number in range(100)])
    modest.announce(["11.0.0.0/8", "12.0.0.0/8"])
    ((name, notice),) = heard
    assert name == "greedy" and isinstance(notice, Condemned)
    assert str(notice) == "ends to make room: more than 100 paths in all"
    modest.announce([f"13.0.{number}.0/24" for number in range(90)])
    assert router.rib.routes == 192 and len(heard) == 1, "nobody else goes for what is on its way out"
    with pytest.raises(Notify):
        greedy.announce([f"10.1.{number}.0/24" for number in range(256)])
    with pytest.raises(Notify):
        modest.announce([f"14.0.{number}.0/24" for number in range(20)])


def test_octets_of_attributes_are_bounded_alike() -> None:
    router = Router(LOCAL_AS, ROUTER_ID, max_attribute_octets=4000)
    greedy, modest = Peer(router, "greedy", Kind.CLIENT, 1), Peer(router, "modest", Kind.CLIENT, 2)
    for number in range(9):
        greedy.announce([f"10.{number}.0.0/16"], communities=range(number, number + 100))
    for number in range(40):
        modest.announce([f"11.{number}.0.0/16"], med=number)
    assert greedy.member.condemned and not modest.member.condemned


async def test_the_session_of_the_greediest_ends() -> None:
    async with (
        reflector(max_paths=50) as middle,
        await RawPeer.dial(middle, "127.0.0.2") as greedy,
        await RawPeer.dial(middle, "127.0.0.3") as modest,
    ):
        for raw, number in ((greedy, 2), (modest, 3)):
            await raw.establish(an_open(identifier=0x0A000000 + number))
        block = words.attributes(0x0B000001)
        await greedy.send(words.update(block, b"".join(map(words.prefix, range(50)))))
        async with asyncio.timeout(TIMEOUT):
            while middle.router.rib.routes < 50:
                await asyncio.sleep(0)
        await modest.send(words.update(block, words.prefix(100)))
        notification = await greedy.notification()
        assert (notification.code, notification.subcode) == (6, 8)
        await peer_state(middle, middle.peers[-1], State.ESTABLISHED)
        assert middle.peers[-1].remote.host == "127.0.0.3"


# --- Bugs of ours --------------------------------------------------------------------------------------


async def test_a_bug_in_a_connection_is_logged_with_its_octets(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    async with reflector() as middle:
        async with await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer_state(middle, middle.peers[0], State.ESTABLISHED)
            monkeypatch.setattr("bgp.wire.update.Decoder.decode", decode)
            update = words.update(words.attributes(0x0B000001), words.prefix(1))
            down = asyncio.create_task(event_of(middle, lambda event: event.kind is EventKind.DOWN))
            await asyncio.sleep(0)
            await raw.send(update)
            notification = await raw.notification()
            assert (notification.code, notification.subcode) == (6, 8)
            await down
        assert middle.internal_errors == 1
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.getMessage().startswith("internal error in Established on ")
        assert update[19:].hex() in record.getMessage() and record.exc_info is not None


class _Past(asyncio.SelectorEventLoop):
    """A loop that has what is past done at once, by handles that know no time, as uvloop does."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **context: Any) -> Any:
        if when <= self.time():
            return self.call_soon(callback, *args, **context)
        return super().call_at(when, callback, *args, **context)


def test_a_deadline_that_is_past_needs_no_handle_that_knows_it() -> None:
    async def main() -> None:
        async with reflector() as middle, await RawPeer.dial(middle) as raw:
            await raw.establish()
            await peer_state(middle, middle.peers[0], State.ESTABLISHED)
            (link,) = middle.peers[0].connections
            now = asyncio.get_running_loop().time()
            for late in (5.0, 7.0, 6.0):
                link.connection._timers.arm(Timer.SEND_HOLD, 600.0, now)
                link.connection._timers.arm(Timer.KEEPALIVE, -late, now)
                link._arm()
            await raw.expect(MessageType.KEEPALIVE)
            assert middle.internal_errors == 0

    with asyncio.Runner(loop_factory=_Past) as runner:
        runner.run(main())


async def test_jumps_of_the_wall_clock_end_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten years ahead, and twenty back: timers go by another clock, and what is shown of times is no more."""
    async with reflector() as middle, await RawPeer.dial(middle) as raw:
        await raw.establish(an_open(hold_time=3))
        (peer,) = middle.peers
        await peer_state(middle, peer, State.ESTABLISHED)
        now = time.time
        for years in (10, -10, 0):
            monkeypatch.setattr(time, "time", lambda jump=years * 3e7: now() + jump)
            await raw.send(Keepalive())
            await raw.expect(MessageType.KEEPALIVE)
            assert peer.state == State.ESTABLISHED
        assert peer.times_established == 1 and middle.internal_errors == 0


def test_the_service_says_how_it_is(tmp_path: Path) -> None:
    with Victim(
        '[router]\nasn = 65000\nrouter_id = "10.0.0.1"\nlisten = ["127.0.0.1:0"]\n[control]\nenabled = false',
        tmp_path,
    ) as service:
        state = service.state()
        assert (state.sessions, state.peers, state.routes, state.internal_errors) == (0, 0, 0, 0)
        assert 0 <= state.lag_p99 <= state.lag_maximum
        assert service.said("INFO    sessions 0, peers 0, routes 0, attribute octets 0, loop lag p99 ")
        assert service.stop() == 0
