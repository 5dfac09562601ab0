"""Views in steps: what stays is found once, whatever else happens between the steps."""

from hypothesis import given, settings
from hypothesis import strategies as st
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp.family import IPV4_UNICAST
from bgp.rib.path import Kind, Path
from bgp.router import Router

PREFIXES = [prefix(f"10.{n}.0.0/16") for n in range(40)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_stays_is_found_once(data: st.DataObject) -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    peers = [Peer(router, name, Kind.CLIENT, n) for n, name in enumerate("abc", 1)]
    reader = Peer(router, "reader", Kind.CLIENT, 9)

    def happen() -> None:
        peer = data.draw(st.sampled_from(peers))
        some = data.draw(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=30))
        if data.draw(st.booleans()):
            peer.announce(some, med=data.draw(st.integers(0, 2)))
        else:
            peer.withdraw(some)
        if data.draw(st.booleans()):
            settle(router, *peers, reader)

    def best() -> set[tuple[bytes, Path]]:
        return set(router.rib.best(IPV4_UNICAST))

    for _ in range(data.draw(st.integers(1, 15))):
        happen()
    walks = (
        router.rib.walk_best(IPV4_UNICAST),
        router.rib.walk_received(peers[0].member, IPV4_UNICAST),
        router.rib.walk_advertised(reader.member, IPV4_UNICAST),
    )
    stayed = [
        best(),
        set(router.rib.received(peers[0].member, IPV4_UNICAST)),
        set(router.rib.advertised(reader.member, IPV4_UNICAST)),
    ]
    seen = [set(each) for each in stayed]
    found: list[list[object]] = [[], [], []]
    while not all(walk.done for walk in walks):
        for walk, rows in zip(walks, found, strict=True):
            rows += walk.step(data.draw(st.integers(1, 9)))
        if data.draw(st.integers(0, 3)) == 0:
            happen()
        now = [
            best(),
            set(router.rib.received(peers[0].member, IPV4_UNICAST)),
            set(router.rib.advertised(reader.member, IPV4_UNICAST)),
        ]
        for at, rows_now in enumerate(now):
            stayed[at] &= rows_now  # type: ignore[arg-type]
            seen[at] |= rows_now  # type: ignore[arg-type]
    for rows, there, ever in zip(found, stayed, seen, strict=True):
        assert all(rows.count(row) == 1 for row in there)
        assert set(rows) <= ever


def test_a_step_is_bounded() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    a = Peer(router, "a", Kind.CLIENT, 1)
    a.announce([prefix(f"{n >> 16 | 10}.{n >> 8 & 255}.{n & 255}.0/24") for n in range(5000)])
    settle(router, a)
    walk = router.rib.walk_best(IPV4_UNICAST)
    sizes = []
    while not walk.done:
        sizes.append(len(walk.step(100)))
    assert max(sizes) <= 100 and sum(sizes) == 5000 and len(sizes) >= 50
