"""Options of a peer changed while it runs: the session ends only where it must."""

import asyncio
from dataclasses import fields, replace

import pytest
import routers
from rawpeer import TIMEOUT, has_routes, peer_state, wait_for
from routers import LOCAL_AS, prefix, settle

from bgp import (
    ACCEPT_ALL,
    BEST,
    IPV4_UNICAST,
    AddPathMode,
    Effect,
    EventKind,
    Peer,
    PeerOptions,
    Router,
    Rules,
    Speaker,
    State,
    Term,
    best_n,
)
from bgp.aio.changing import AT_ONCE, IDENTITY, NEXT
from bgp.policy import change, condition, match
from bgp.rib.path import Kind

ASN = 65000
NET = "198.51.100.0/24"
MARKED = Rules("marked", [Term("all", match.ANY, (change.med(5),))], ACCEPT_ALL)


class Pair:
    """Two speakers with a session, and the peer that either has."""

    def __init__(self, first: Speaker, second: Speaker, here: Peer, there: Peer) -> None:
        self.first, self.second, self.here, self.there = first, second, here, there

    async def told(self, med: int | None) -> None:
        """Wait until the second one knows the route with this MED."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                path = self.second.best(IPV4_UNICAST).get(NET)
                if path is not None and path.attributes.med == med:
                    return
                await asyncio.sleep(0.01)


async def pair(first: Speaker, second: Speaker, **options: object) -> Pair:
    host, port = first.listening[0]
    given = {"asn": ASN, "address": "127.0.0.2", "passive": True, **options}
    here = first.add_peer(PeerOptions(**given))  # type: ignore[arg-type]
    there = second.add_peer(
        PeerOptions(asn=ASN, address=host, port=port, source_address="127.0.0.2", connect_retry_time=0.2,
                    idle_hold_time=0.1)
    )  # fmt: skip
    async with asyncio.timeout(TIMEOUT):
        await here.established()
        await there.established()
    first.announce(NET, next_hop="192.0.2.1", med=1)
    await has_routes(second, IPV4_UNICAST, NET)
    return Pair(first, second, here, there)


def speakers() -> tuple[Speaker, Speaker]:
    return (
        Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]),
        Speaker(asn=ASN, router_id="10.0.0.2"),
    )


def test_each_option_has_one_place() -> None:
    names = {field.name for field in fields(PeerOptions)}
    assert names >= AT_ONCE | NEXT | set(IDENTITY)
    assert not AT_ONCE & NEXT


async def test_policies_and_what_is_told_change_at_once() -> None:
    first, second = speakers()
    async with first, second:
        both = await pair(first, second)
        here, options = both.here, both.here.options
        assert first.change_peer(here, options) is Effect.NONE
        assert first.change_peer(here, replace(options, export_policy=MARKED)) is Effect.AT_ONCE
        await both.told(5)
        own = {IPV4_UNICAST: bytes((192, 0, 2, 9))}
        changed = replace(options, description="x", next_hop_self=True, next_hops=own)
        assert first.change_peer(here, changed) is Effect.AT_ONCE
        await both.told(1)
        assert second.best(IPV4_UNICAST)[NET].attributes.next_hop == own[IPV4_UNICAST]
        looked = condition.exists("203.0.113.0/24")
        changed = replace(options, default_originate={IPV4_UNICAST: looked}, next_hops=own)
        first.change_peer(here, changed)
        await has_routes(second, IPV4_UNICAST, NET)
        first.announce("203.0.113.0/24", next_hop="192.0.2.1")
        await has_routes(second, IPV4_UNICAST, NET, "203.0.113.0/24", "0.0.0.0/0")
        first.change_peer(here, replace(options, advertisement_interval=0.01))
        await has_routes(second, IPV4_UNICAST, NET, "203.0.113.0/24")
        first.announce(NET, next_hop="192.0.2.1", med=9)
        await both.told(9)
        first.change_peer(here, replace(options, import_policy=MARKED))
        second.announce("192.0.2.0/24", next_hop="192.0.2.2", med=3)
        await has_routes(first, IPV4_UNICAST, NET, "203.0.113.0/24", "192.0.2.0/24")
        assert first.best(IPV4_UNICAST)["192.0.2.0/24"].attributes.med == 5
        assert here.times_established == both.there.times_established == 1


async def test_which_paths_are_told_changes_at_once() -> None:
    first, second = speakers()
    async with first, second:
        ways = {IPV4_UNICAST: AddPathMode.SEND}
        both = await pair(first, second, add_path=ways, add_path_select={IPV4_UNICAST: BEST}, client=True)
        options = both.here.options
        changed = replace(options, add_path_select={IPV4_UNICAST: best_n(2)})
        assert first.change_peer(both.here, changed) is Effect.AT_ONCE
        first.announce(NET, next_hop="192.0.2.1", med=2)
        await both.told(2)
        assert both.here.times_established == 1


async def test_limits_change_at_once() -> None:
    first, second = speakers()
    async with first, second:
        both = await pair(first, second)
        first.change_peer(both.here, replace(both.here.options, maximum_prefixes={IPV4_UNICAST: 1}))
        second.announce("10.0.0.0/24", next_hop="192.0.2.2")
        await has_routes(first, IPV4_UNICAST, NET, "10.0.0.0/24")
        second.announce("10.0.1.0/24", next_hop="192.0.2.2")
        with first.events() as events:
            await wait_for(lambda: "more than 1 prefixes" in both.here.last_error, events.__anext__)


async def test_timers_are_those_of_the_next_connection() -> None:
    first, second = speakers()
    async with first, second:
        both = await pair(first, second)
        there = both.there
        changed = replace(there.options, connect_retry_time=0.3, idle_hold_time=0.05)
        assert second.change_peer(there, changed) is Effect.NEXT
        assert there.state is State.ESTABLISHED and there.times_established == 1
        link = there.session
        with second.events() as events:
            both.here.reset()
            await wait_for(lambda: there.times_established == 2, events.__anext__)
        assert there.session is not link and there.times_established == 2
        await has_routes(second, IPV4_UNICAST, NET)
        # A peer that is not Established has nothing to lose.
        await first.remove_peer(both.here)
        await peer_state(second, there, State.IDLE)
        other = replace(there.options, connect_retry_time=0.1)
        assert second.change_peer(there, other) is Effect.NEXT
        again = first.add_peer(PeerOptions(asn=ASN, address="127.0.0.2", passive=True))
        await asyncio.wait_for(again.established(), TIMEOUT)


async def test_what_is_negotiated_costs_the_session() -> None:
    first, second = speakers()
    async with first, second:
        both = await pair(first, second)
        with second.events() as events:
            changed = replace(both.here.options, hold_time=30)
            assert first.change_peer(both.here, changed) is Effect.RESET
            event = await anext(events)
            while event.kind is not EventKind.DOWN:
                event = await anext(events)
            assert "cease/other-configuration-change" in event.text
        async with asyncio.timeout(TIMEOUT):
            await both.here.established()
            await both.there.established()
        assert both.here.negotiated is not None and both.here.negotiated.hold_time == 30
        await has_routes(second, IPV4_UNICAST, NET)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"address": "127.0.0.3"}, "address: cannot be changed"),
        ({"name": "other"}, "name: cannot be changed"),
        ({"source_address": "127.0.0.1"}, "source_address: cannot be changed"),
        ({"hold_time": 1}, "hold_time"),
    ],
)
async def test_what_cannot_be_leaves_the_peer_as_it_is(given: dict[str, object], words: str) -> None:
    first, second = speakers()
    async with first, second:
        both = await pair(first, second)
        options = both.here.options
        with pytest.raises(ValueError, match=words):
            first.change_peer(both.here, replace(options, **given))  # type: ignore[arg-type]
        assert both.here.options is options and both.here.state is State.ESTABLISHED
        await first.remove_peer(both.here)
        with pytest.raises(ValueError, match="was removed"):
            first.change_peer(both.here, options)


async def test_peers_of_a_listen_range_and_peers_that_are_stopped() -> None:
    first, second = speakers()
    async with first, second:
        first.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN))
        host, port = first.listening[0]
        there = second.add_peer(PeerOptions(asn=ASN, address=host, port=port))
        await asyncio.wait_for(there.established(), TIMEOUT)
        (dynamic,) = first.peers
        with pytest.raises(ValueError, match="has the options of its listen range"):
            first.change_peer(dynamic, dynamic.options)
        stopped = first.add_peer(PeerOptions(asn=ASN, address="127.0.0.9", passive=True))
        stopped.stop()
        assert first.change_peer(stopped, replace(stopped.options, hold_time=30)) is Effect.RESET
        assert not stopped.is_running and stopped.options.hold_time == 30


def test_a_router_refuses_what_belongs_to_the_session() -> None:
    router = Router(LOCAL_AS, 1)
    one = routers.Peer(router, "one", Kind.CLIENT, 1)
    before = one.member.settings
    looked = condition.exists("203.0.113.0/24")
    with pytest.raises(ValueError, match="client: cannot be changed while there is a session"):
        router.change(one.member, replace(before, client=False, default_originate={IPV4_UNICAST: looked}))
    assert one.member.settings is before
    settle(router, one)
    router.announce(IPV4_UNICAST, prefix(NET), router.table.make(next_hop="192.0.2.1"))
    router.change(one.member, replace(before, default_originate={IPV4_UNICAST: looked}))
    settle(router, one)
    assert one.prefixes() == {NET}
    router.announce(IPV4_UNICAST, prefix("203.0.113.0/24"), router.table.make(next_hop="192.0.2.1"))
    settle(router, one)
    assert one.prefixes() == {NET, "203.0.113.0/24", "0.0.0.0/0"}
    router.change(one.member, before)
    settle(router, one)
    assert one.prefixes() == {NET, "203.0.113.0/24"}
    one.down()


async def test_the_password_changes_in_the_session() -> None:
    first, second = speakers()
    async with first, second:
        both = await pair(first, second)
        for password in ("one", "two", None):
            assert (
                first.change_peer(both.here, replace(both.here.options, password=password)) is Effect.AT_ONCE
            )
            assert (
                second.change_peer(both.there, replace(both.there.options, password=password))
                is Effect.AT_ONCE
            )
            first.announce(NET, next_hop="192.0.2.1", med=len(password or ""))
            await both.told(len(password or ""))
            assert both.here.options.password == password
            first.announce(NET, next_hop="192.0.2.1", med=77)
            await both.told(77)
        assert both.here.times_established == 1
