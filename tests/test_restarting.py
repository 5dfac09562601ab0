"""A restart of our own: what is not chosen before all is there, and what peers do meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from rawpeer import TIMEOUT, RawPeer, an_open, has_routes
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp import IPV4_UNICAST, IPV6_UNICAST, EventKind, Family, PeerOptions, RestartOptions, Speaker
from bgp.family import FAMILIES
from bgp.iana import MessageType
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.wire.capability import Capabilities, GracefulRestart

V4, V6 = IPV4_UNICAST, IPV6_UNICAST
SPEAKS = GracefulRestart(time=90)


class Restarted:
    """A router that has restarted, and peers that are told nothing yet."""

    def __init__(self, *expected: str) -> None:
        self.router = Router(LOCAL_AS, ROUTER_ID)
        self.converged = False
        self.flushed: list[Family] = []
        self.router.watch(lambda family, changes: self.flushed.append(family))
        self.router.converge(0.0, 60.0, self._converge, restarted=True)
        self.peers: list[Peer] = []
        for name in expected:
            self.router.expect(name)

    def _converge(self) -> None:
        self.converged = True

    def join(
        self, name: str, identifier: int, restarts: GracefulRestart | None = SPEAKS, **options: object
    ) -> Peer:
        peer = Peer(self.router, name, Kind.CLIENT, identifier, restarts=restarts, **options)
        self.peers.append(peer)
        return peer

    def settle(self, now: float = 0.0) -> None:
        settle(self.router, *self.peers, now=now)


def test_nothing_is_chosen_or_told_before_all_end_of_ribs_by_family() -> None:
    world = Restarted("a", "b")
    a = world.join("a", 1)
    a.announce(["10.1.0.0/16"])
    a.announce(["2001:db8::/32"], family=V6)
    a.end_of_rib_of()
    world.settle()
    assert a.messages == 0 and world.flushed == [] and not a.member.pending
    b = world.join("b", 2)
    b.announce(["10.2.0.0/16"])
    world.settle()
    assert b.messages == 0 and not world.converged
    b.end_of_rib_of(V6)
    world.settle()
    # End-of-RIB goes out behind that, also where there was nothing to tell.
    assert (a.end_of_rib, b.end_of_rib) == ([V6], [V6])
    assert b.prefixes(V6) == {"2001:db8::/32"} and not b.prefixes(V4) and world.flushed == [V6]
    b.end_of_rib_of(V4)
    world.settle()
    assert world.converged and world.flushed == [V6, V4]
    assert a.prefixes(V4) == {"10.2.0.0/16"} and b.prefixes(V4) == {"10.1.0.0/16"}
    assert a.end_of_rib == b.end_of_rib == [V6, V4]
    # Each route was told once.
    assert (a.announced, b.announced) == (1, 2)
    b.withdraw(["10.2.0.0/16"])
    world.settle()
    assert not a.prefixes(V4)


def test_the_timer_ends_the_wait_for_who_never_comes() -> None:
    world = Restarted("a", "never")
    a = world.join("a", 1)
    a.announce(["10.1.0.0/16"])
    a.end_of_rib_of()
    world.settle(59.0)
    assert a.end_of_rib == [] and world.router.deadline == 60.0
    world.settle(60.0)
    assert sorted(a.end_of_rib, key=str) == list(FAMILIES) and world.converged


def test_two_that_restart_do_not_wait_for_each_other() -> None:
    # RFC 4724 section 3: its peer "MUST NOT wait for the End-of-RIB marker from the speaker".
    world = Restarted("a")
    a = world.join("a", 1, GracefulRestart(restarting=True, time=90))
    a.announce(["10.1.0.0/16"])
    world.settle()
    assert sorted(a.end_of_rib, key=str) == list(FAMILIES) and not world.converged
    a.end_of_rib_of()
    world.settle()
    assert world.converged


def test_what_happens_meanwhile_is_told_in_the_end() -> None:
    world = Restarted("a")
    a, b = world.join("a", 1), world.join("b", 2)
    b.end_of_rib_of()
    a.announce(["10.1.0.0/16", "10.2.0.0/16"])
    world.settle()
    a.withdraw(["10.2.0.0/16"])
    world.router.announce(V4, prefix("10.9.0.0/16"), world.router.table.make())
    c = world.join("c", 3, families=(V4,))
    world.settle()
    c.down()
    world.peers.remove(c)
    world.router.spare("c")
    seen: list[int] = []
    world.router.history.readers.read(V4, lambda: seen.append(1))
    assert not world.router.flush() and not seen  # who waits to read does not keep the loop busy
    d = world.join("d", 4)
    d.end_of_rib_of()
    a.end_of_rib_of()
    world.settle()
    assert seen == [1]
    assert b.prefixes() == d.prefixes() == {"10.1.0.0/16", "10.9.0.0/16"} and a.prefixes() == {"10.9.0.0/16"}
    assert b.end_of_rib == d.end_of_rib


# --- Whole speakers --------------------------------------------------------------------------------------

ASN = 65000
KEEP = RestartOptions(families=FAMILIES)


@contextlib.asynccontextmanager
async def node(restart: RestartOptions | None = None) -> AsyncIterator[Speaker]:
    """A speaker that others dial."""
    async with Speaker(asn=ASN, router_id="10.0.0.2", listen=["127.0.0.1:0"]) as speaker:
        options = PeerOptions(asn=ASN, families=FAMILIES, client=True, graceful_restart=restart or KEEP)
        speaker.add_listen_range("127.0.0.0/8", options)
        yield speaker


def dialing(speaker: Speaker, restart: RestartOptions | None) -> PeerOptions:
    host, port = speaker.listening[0]
    return PeerOptions(
        address=host,
        port=port,
        source_address="127.0.0.2",
        asn=ASN,
        families=FAMILIES,
        graceful_restart=restart,
        connect_retry_time=0.2,
        idle_hold_time=0.1,
    )


@pytest.mark.parametrize("notification", [True, False])
async def test_a_restart_takes_nothing_from_peers_and_a_stop_all(notification: bool) -> None:
    restart = RestartOptions(families=FAMILIES, notification=notification)
    async with node() as helper:
        downs = [event async for event in _downs(helper, restart)]
    assert downs == [
        # RFC 8538: a Cease that is no Hard Reset; RFC 4724: none at all.
        "cease/administrative-reset (RFC 4486 4): back soon" if notification else "closed by the peer",
        "cease/hard-reset (RFC 8538 3)"
        if notification
        else "cease/administrative-shutdown (RFC 4486 4): bye",
    ]


async def _downs(helper: Speaker, restart: RestartOptions) -> AsyncIterator[str]:
    """Yield how a peer ended its sessions: for a restart, then for good."""
    events = helper.events()
    first = Speaker(asn=ASN, router_id="10.0.0.3")
    await first.start()
    first.announce("10.1.0.0/16", next_hop="192.0.2.1")
    first.announce("10.2.0.0/16", next_hop="192.0.2.1")
    first.add_peer(dialing(helper, restart))
    await has_routes(helper, V4, "10.1.0.0/16", "10.2.0.0/16")
    await first.stop("back soon", restart=True)
    yield await _down(events)
    await asyncio.sleep(0.05)
    assert set(helper.best(V4)) == {"10.1.0.0/16", "10.2.0.0/16"}
    assert all(path.retained for path in helper.best(V4).values())
    async with Speaker(
        asn=ASN, router_id="10.0.0.3", restarted=True, preserved=FAMILIES, stop_timeout=1
    ) as second:
        second.announce("10.1.0.0/16", next_hop="192.0.2.1")
        peer = second.add_peer(dialing(helper, restart))
        async with asyncio.timeout(TIMEOUT):
            await second.converged()
        assert peer.negotiated is not None
        # What was not said again goes with End-of-RIB.
        await has_routes(helper, V4, "10.1.0.0/16")
        assert not any(path.retained for path in helper.best(V4).values())
        await second.stop("bye")
    yield (await _down(events)).partition(": cease")[0]
    await has_routes(helper, V4)


async def _down(events: object) -> str:
    async with asyncio.timeout(TIMEOUT):
        async for event in events:  # type: ignore[attr-defined]
            if event.kind is EventKind.DOWN:
                found: str = event.text
                return found.removeprefix("received ").removeprefix("tcp connection fails: ")
    raise AssertionError("the events ended")


async def test_the_open_of_a_restart_says_so_until_all_is_there() -> None:
    async with Speaker(
        asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"], restarted=True, preserved=[V4]
    ) as speaker:
        speaker.add_peer(
            PeerOptions(address="127.0.0.2", asn=ASN, passive=True, families=FAMILIES, graceful_restart=KEEP)
        )
        first = await _restart_of(speaker)
        assert first == GracefulRestart(True, True, 90, ((1, 1, True), (2, 1, False)))
        assert not speaker.is_converged
        async with await RawPeer.dial(speaker) as raw:
            await raw.establish(an_open())
            # It speaks no graceful restart, so a while without news is as good as End-of-RIB; or it goes.
            speaker.peers[0].stop()
        async with asyncio.timeout(TIMEOUT):
            await speaker.converged()
        speaker.peers[0].start()
        # RFC 4724 section 4.2: not set any more; and what runs preserves what it offers (RFC 8538 section 4).
        assert await _restart_of(speaker) == GracefulRestart(False, True, 90, ((1, 1, True), (2, 1, True)))


async def _restart_of(speaker: Speaker) -> GracefulRestart | None:
    async with await RawPeer.dial(speaker) as raw:
        return Capabilities.parse((await raw.establish(an_open())).capabilities).graceful_restart


async def test_a_second_connection_is_the_end_of_the_first_without_a_word() -> None:
    # RFC 4724 section 4.2, for a peer that lists a family.
    open_ = an_open(graceful_restart=GracefulRestart(time=90, families=((1, 1, True),)))
    async with Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as speaker:
        speaker.add_peer(PeerOptions(address="127.0.0.2", asn=ASN, passive=True, replace_established=False))
        async with await RawPeer.dial(speaker) as old:
            await old.establish(open_)
            async with await RawPeer.dial(speaker) as new:
                await new.establish(open_)
                assert MessageType.NOTIFICATION not in [type_ for type_, _ in await old.rest()]


async def test_a_reset_keeps_routes_unless_it_is_a_hard_one() -> None:
    async with node() as helper, Speaker(asn=ASN, router_id="10.0.0.3") as client:
        client.announce("10.1.0.0/16", next_hop="192.0.2.1")
        client.add_peer(dialing(helper, KEEP))
        await has_routes(helper, V4, "10.1.0.0/16")
        events = helper.events()
        (peer,) = helper.peers
        peer.reset()
        assert all(path.retained for path in helper.best(V4).values())
        assert helper.best(V4)
        async with asyncio.timeout(TIMEOUT):
            async for event in events:
                if event.kind is EventKind.END_OF_RIB and event.family is V4:
                    break
        assert [path.retained for path in helper.best(V4).values()] == [False]
        (peer,) = helper.peers
        peer.reset(hard=True)
        assert peer.last_error.startswith("sent cease/hard-reset")
        await has_routes(helper, V4)


async def test_who_is_removed_or_stopped_is_forgotten() -> None:
    async with node() as helper:
        client = Speaker(asn=ASN, router_id="10.0.0.3")
        await client.start()
        client.announce("10.1.0.0/16", next_hop="192.0.2.1")
        client.add_peer(dialing(helper, KEEP))
        await has_routes(helper, V4, "10.1.0.0/16")
        await client.stop(restart=True)
        async with asyncio.timeout(TIMEOUT):
            while not helper.router.kept("127.0.0.2"):
                await asyncio.sleep(0)
        assert list(helper.best(V4)) == ["10.1.0.0/16"]
        await helper.remove_listen_range(helper.listen_ranges[0])
        await has_routes(helper, V4)
        assert not helper.router.kept("127.0.0.2")
