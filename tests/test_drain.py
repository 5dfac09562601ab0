"""Draining: all routes become the last choice of who hears them, sessions stay, and it can be taken back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service import ASN, Cluster, running

from bgp import IPV4_UNICAST, Attributes, AttributeTable, PeerOptions, Rules, Speaker, Term
from bgp.policy import ACCEPT, REFUSE, change, match
from bgp.policy.draining import Draining
from bgp.rib.asking import ask
from bgp.rib.path import Accepted, Kind, Refusal, Slot, Source
from bgp.rib.path import Path as RibPath

SHUTDOWN = 0xFFFF0000


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as found:
        yield found


async def heard(speaker: Speaker, prefix: str, drained: bool) -> None:
    """Wait until the speaker has the route as it is told when drained, or as it is told otherwise."""
    async with asyncio.timeout(20):
        while True:
            path = speaker.best(IPV4_UNICAST).get(prefix)
            if path is not None and (SHUTDOWN in path.attributes.communities) is drained:
                assert path.attributes.local_pref == (0 if drained else 100)
                return
            await asyncio.sleep(0.01)


async def test_all_is_drained_and_back(cluster: Cluster) -> None:
    first, second = cluster.clients
    sessions = [speaker.peers[0].times_established for speaker in cluster.clients]
    rows = await cluster.ask("drain")
    assert sorted(row["neighbor"] for row in rows) == ["127.0.0.11", "127.0.0.12"]
    assert all(row["sent"] for row in rows)
    await heard(first, "10.2.0.0/16", True)
    await heard(second, "10.1.0.0/16", True)
    await heard(second, "198.51.100.0/24", True)
    # Who comes later is told so from the first.
    late = Speaker(asn=ASN, router_id="10.0.0.9")
    await late.start()
    port = cluster.service.speaker.listening[0][1]
    late.add_peer(PeerOptions(asn=ASN, address="127.0.0.1", port=port, source_address="127.0.0.19"))
    try:
        await heard(late, "10.1.0.0/16", True)
        await cluster.ask("undrain")
        await heard(late, "10.1.0.0/16", False)
    finally:
        await late.stop()
    await heard(first, "10.2.0.0/16", False)
    assert sessions == [speaker.peers[0].times_established for speaker in cluster.clients]


async def test_one_neighbor_is_drained(cluster: Cluster) -> None:
    (row,) = await cluster.ask("drain", peer="127.0.0.11")
    assert row == {"neighbor": "127.0.0.11", "done": "drained", "sent": True}
    await heard(cluster.clients[0], "10.2.0.0/16", True)
    await heard(cluster.clients[1], "10.1.0.0/16", False)
    await cluster.ask("undrain", peer="127.0.0.11")
    await heard(cluster.clients[0], "10.2.0.0/16", False)


async def test_a_reload_drains_on(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.ask("drain")
        await heard(cluster.clients[0], "10.2.0.0/16", True)
        service = cluster.service
        service.file = str(tmp_path / "rr.toml")
        # The options of the range are those of the file again, and the drain is behind them again.
        Path(service.file).write_text(cluster.text.replace('import = "no-tests"', 'export = "no-tests"'))
        await cluster.ask("reload")
        await heard(cluster.clients[1], "198.51.100.0/24", True)
        await heard(cluster.clients[0], "10.2.0.0/16", True)
        (one, *_) = service.speaker.listen_ranges
        assert isinstance(one.options.export_policy, Draining) and one.options.import_policy is None
        assert {peer.options.export_policy for peer in service.speaker.peers} == {one.options.export_policy}


# --- The policy ---------------------------------------------------------------------------------------------

_TABLE = AttributeTable()


def path(**values: object) -> RibPath:
    source = Source("peer", Kind.CLIENT, ASN, bytes(4))
    attributes = _TABLE.make(origin="igp", as_path=[], next_hop="192.0.2.1", **values)  # type: ignore[arg-type]
    return RibPath(source, Slot("peer", None, 1), attributes)


@given(st.integers(0, 0xFFFFFFFF), st.sets(st.integers(0, 0xFFFFFFFF), max_size=3), st.booleans())
def test_what_a_policy_accepts_is_the_last_choice_and_what_it_refuses_is_refused(
    local_pref: int, communities: set[int], accepts: bool
) -> None:
    before = Rules("before", [Term("all", match.ANY, (change.med(7),))], ACCEPT if accepts else REFUSE)
    given = path(local_pref=local_pref, communities=sorted(communities))
    answer = ask(Draining(before), given, None)
    if not accepts:
        assert isinstance(answer, Refusal)
        return
    assert isinstance(answer, Accepted)
    found: Attributes = answer.attributes
    assert (found.local_pref, found.med) == (0, 7)
    assert set(found.communities) == communities | {SHUTDOWN}
    assert found.next_hop == given.attributes.next_hop


def test_equal_policies_are_one_group() -> None:
    one, other = (Rules("a", [Term("all", match.ANY, ())], ACCEPT) for _ in range(2))
    assert Draining(one) == Draining(other) and hash(Draining(one)) == hash(Draining(other))
    assert Draining(None) != Draining(one) and Draining(None) != one


async def test_an_external_peer_without_a_policy_is_told_nothing_still(tmp_path: Path) -> None:
    """RFC 8212: a drain is no policy of the operator's."""
    from reflector.changes.drain import Drain

    async with Speaker(asn=ASN, router_id="10.0.0.1") as speaker:
        outside = speaker.add_peer(PeerOptions(asn=64999, address="192.0.2.9", passive=True))
        inside = speaker.add_peer(PeerOptions(asn=ASN, address="192.0.2.8", passive=True))
        drain = Drain(speaker)
        drain.begin()
        assert outside.options.export_policy is None
        assert inside.options.export_policy == Draining(None)
        drain.end()
        assert inside.options.export_policy is None
