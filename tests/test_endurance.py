"""The trials of `tests/endurance` in short: what was there is gone, what members do not take is bounded."""

import os
import socket

import pytest
from endurance import sessions, sets, watching
from endurance.sockstat import Namespace
from routers import LOCAL_AS, ROUTER_ID, Peer, settle

from bgp.rib.path import Kind
from bgp.router import Router
from bgp.testing import census


def test_sessions_leave_nothing_behind() -> None:
    """Two thousand sessions: every count is the same after the last as after the first ones."""
    samples = list(sessions.in_memory(2000, 4))
    assert [done for done, _, _ in samples] == [500, 1000, 1500, 2000]
    for _, counts, objects in samples:
        assert counts == {**dict.fromkeys(counts, 0), "slots": samples[0][1]["slots"]}
        assert counts["slots"] <= 2, "for routes of our own"
        assert objects == samples[0][2]


async def test_sessions_over_tcp_leave_nothing_behind() -> None:
    samples = [sample async for sample in sessions.over_tcp(500, 5)]
    assert len(samples) == 5
    for _, counts, objects, _ in samples:
        assert counts == samples[0][1]
        assert objects == samples[0][2]
        assert counts["routes"] == counts["peers"] == counts["closing"] == 0
        assert counts["attribute sets"] <= 1, "the one that was made last for a route of our own"


def test_attribute_sets_leave_nothing_behind() -> None:
    """With the cyclic collector off, what is interned is what routes have, and what a decoder may keep."""
    *samples, (_, last, _) = sets.churn(30_000, 2_000, 5)
    assert len(samples) >= 5
    for _, counts, _ in samples:
        assert counts["routes"] == counts["prefixes"] == counts["paths by source"] == 2_000
        assert counts["attribute octets"] == samples[0][1]["attribute octets"]
        assert 2_000 <= counts["attribute sets"] <= 2_000 + 4096
    assert last["attribute sets"] == 2_000
    assert last["next hops"] == 1


def test_what_members_do_not_take_is_bounded() -> None:
    """Forty of fifty stop while routes churn: the others hear each change at once, what waits stays small."""
    limit, routes, batch = 1 << 16, 2_000, 100
    router = Router(LOCAL_AS, ROUTER_ID, lag_limit=limit)
    feeder = Peer(router, "feeder", Kind.CLIENT, 1)
    clients = [Peer(router, f"client-{at}", Kind.CLIENT, 2 + at) for at in range(50)]
    reading, stopped = clients[:10], clients[10:]
    batches = [[f"20.{at}.{each}.0/24" for each in range(batch)] for at in range(routes // batch)]
    for prefixes in batches:
        feeder.announce(prefixes, med=0)
    settle(router, feeder, *clients)
    before = census.of_router(router)
    (group,) = router.groups.values()

    most = 0
    for med in range(1, 13):
        for prefixes in batches:
            feeder.announce(prefixes, med=med)
            settle(router, feeder, *reading)
            most = max(most, group.train.octets)
            assert all(peer.heard(prefixes[0]).med == med for peer in reading)
    octets_told = sum(len(log) for log in group._logs.values())
    # An octet of a message more than the limit is the message, and a trim waits until it is worth it.
    assert most <= limit + (1 << 17) + 4096 * 2
    assert octets_told <= routes, "an entry for each route, however often it changed and however many wait"
    assert all(peer.member.behind for peer in stopped)

    settle(router, *clients)
    assert all(peer.held == reading[0].held for peer in clients)
    assert not any(peer.member.behind for peer in clients)
    after = census.of_router(router)
    assert {**after, "train octets": 0} == {**before, "train octets": 0}
    assert sum(len(log) for log in group._logs.values()) == 0


async def test_a_watch_that_does_not_read_catches_up() -> None:
    found = await watching.trial(20_000, 4_000)
    assert found.differences == 0
    assert found.kept == 20_000 and found.lost == 0, "the latest change of each route, and nothing twice"


@pytest.mark.skipif(os.geteuid() != 0, reason="to look into a network namespace needs root")
def test_sockstat_sees_what_nobody_has_read() -> None:
    kernel = Namespace(os.getpid())
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as talker,
        server.accept()[0],
    ):
        talker.sendall(bytes(50_000))
        after = kernel.held()
    assert after.sockets >= 2
    assert after.octets >= 50_000
    assert kernel.peak.octets >= after.octets
    kernel.close()
