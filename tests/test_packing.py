"""No more UPDATEs than need be: what a peer is told in one go fills as few messages as its routes allow."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, prefix, settle

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.policy import ACCEPT, Rules, Term, change, match
from bgp.rib.path import Kind
from bgp.router import Router

CLIENT, NON_CLIENT, EXTERNAL = Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL


def fewest(router: Router, peer: Peer) -> tuple[int, int]:
    """Return the UPDATEs that tell all that `peer` is to hold, with each End-of-RIB, and their octets."""
    encoder = peer.member._listener.group.packer.encoder
    messages: list[bytes] = []
    for family in peer.negotiated.families:
        alike: dict[tuple[bytes, bytes], list[tuple[bytes, int | None]]] = {}
        for route in router.rib.advertised(peer.member, family):
            attributes = route.attributes
            alike.setdefault((attributes.octets, attributes.next_hop), []).append(
                (route.prefix, route.path_id)
            )
        for (octets, next_hop), routes in alike.items():
            ids = [number or 0 for _, number in routes] if family in encoder.add_path else None
            messages += encoder.announce(family, octets, next_hop, [one for one, _ in routes], ids)[0]
        messages.append(encoder.end_of_rib(family))
    return len(messages), sum(map(len, messages))


def taken(router: Router, *peers: Peer) -> list[tuple[int, int]]:
    """Let each take all; return how many UPDATEs that were, and their octets."""
    octets = [0] * len(peers)
    while any(peer.member.pending for peer in peers):
        for at, peer in enumerate(peers):
            octets[at] += sum(map(len, peer.pull(3000)))
        router.flush()
    return [(peer.messages, some) for peer, some in zip(peers, octets, strict=True)]


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


def many(count: int, first: int = 10) -> list[bytes]:
    return [prefix(f"{first}.{n >> 8}.{n & 255}.0/24") for n in range(count)]


def test_a_feeder_and_who_comes_late(router: Router) -> None:
    feeder, reader = Peer(router, "feeder", CLIENT, 1), Peer(router, "reader", CLIENT, 2)
    settle(router, feeder, reader)
    prefixes = many(6000)
    for at in range(0, 6000, 6):
        feeder.announce(prefixes[at : at + 6], as_path=[64500, at % 977 + 1], med=at % 5)
    router.flush()
    taken(router, reader)
    assert reader.messages == fewest(router, reader)[0]
    late = [Peer(router, f"late-{n}", CLIENT, 10 + n) for n in range(3)]
    assert taken(router, *late) == [fewest(router, peer) for peer in late]
    feeder_told = fewest(router, feeder)
    assert feeder_told[0] == 2, "nobody is told what is its own"


def test_nodes_with_a_few_routes_each(router: Router) -> None:
    nodes = [Peer(router, f"node-{n}", CLIENT, n + 1) for n in range(60)]
    for number, node in enumerate(nodes):
        node.announce([f"10.{number}.{n}.0/26" for n in range(4)])
        node.announce([f"2001:db8:{number:x}:{n}::/64" for n in range(4)], family=IPV6_UNICAST)
    router.flush()
    assert taken(router, *nodes) == [fewest(router, node) for node in nodes]


@pytest.mark.parametrize("kind", [EXTERNAL, CLIENT])
def test_paths_that_look_alike_where_they_go_out(router: Router, kind: Kind) -> None:
    """Several sources, next hops, preferences and MEDs: outside, all that is left is the AS_PATH."""
    sources = [Peer(router, f"s-{n}", EXTERNAL, n + 1, asn=64999) for n in range(3)]
    for at, one in enumerate(many(900)):
        hop = f"10.9.0.{at % 7 + 1}"
        sources[at % 3].announce([one], as_path=[64999, at // 30 + 1], next_hop=hop, med=at % 5)
    options = {} if kind is EXTERNAL else {"settings": {"next_hop_self": True}}
    settle(router, *sources)
    out = Rules("no med", [Term("all", match.ANY, (change.med(None),), ACCEPT)])
    readers = [Peer(router, f"r-{n}", kind, 10 + n, export_policy=out, **options) for n in range(3)]  # type: ignore[arg-type]
    assert taken(router, *readers) == [fewest(router, reader) for reader in readers]
    assert readers[0].messages == 30 + 2
    # Shared, and made anew as far as they changed.
    sources[0].withdraw(many(3))
    sources[1].announce(many(900)[1:2], as_path=[64999, 7])
    settle(router, *sources, *readers)
    late = Peer(router, "late", kind, 20, export_policy=out, **options)  # type: ignore[arg-type]
    assert taken(router, late) == [fewest(router, late)]
    assert late.held == readers[0].held


@pytest.mark.parametrize("several", [False, True])
def test_path_identifiers_of_a_feeder_do_not_part_prefixes(router: Router, several: bool) -> None:
    feeder = Peer(router, "feeder", CLIENT, 1, add_path=add_path())
    for at, one in enumerate(many(1200)):
        feeder.announce([one], path_id=at + 7, as_path=[at // 200 + 1])
    settle(router, feeder)
    reader = Peer(router, "reader", CLIENT, 2, add_path=add_path() if several else {})
    assert taken(router, reader) == [fewest(router, reader)]
    assert len(reader.held) == 1200 and reader.messages < 20


@pytest.mark.parametrize("extended", [False, True])
def test_parts_of_a_large_path_are_full_messages(router: Router, extended: bool) -> None:
    feeder = Peer(router, "feeder", CLIENT, 1)
    feeder.announce([*many(30000), *(prefix(f"11.{at}.0.0/16") for at in range(200))])
    settle(router, feeder)
    reader = Peer(router, "reader", CLIENT, 2, extended_messages=extended)
    assert taken(router, reader) == [fewest(router, reader)]
    assert len(reader.held) == 30200


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_dump_is_as_short_as_can_be(data: st.DataObject) -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    kinds = st.sampled_from((CLIENT, NON_CLIENT, EXTERNAL))
    sources = [
        Peer(
            router,
            f"s-{n}",
            data.draw(kinds),
            n + 1,
            add_path=add_path() if data.draw(st.booleans()) else {},
        )
        for n in range(4)
    ]
    for _ in range(data.draw(st.integers(1, 40))):
        source = data.draw(st.sampled_from(sources))
        source.announce(
            data.draw(st.lists(st.sampled_from(many(12)), min_size=1, max_size=4)),
            path_id=data.draw(st.integers(0, 2)) if source.negotiated.add_path_receive else None,
            as_path=[64500, data.draw(st.integers(1, 2))],
            med=data.draw(st.sampled_from((None, 1, 2))),
            next_hop=data.draw(st.sampled_from(("10.9.0.1", "10.9.0.2"))),
        )
        if data.draw(st.booleans()):
            router.flush()
    settle(router, *sources)
    kind, several = data.draw(kinds), add_path() if data.draw(st.booleans()) else {}
    asn = 64998 if kind is EXTERNAL else None
    readers = [Peer(router, f"r-{n}", kind, 10 + n, asn=asn, add_path=several) for n in (1, 2)]
    assert taken(router, *readers) == [fewest(router, reader) for reader in readers]
    assert len({frozenset(reader.held.items()) for reader in readers}) == 1
    assert {key[1] for key in readers[0].held} <= {one for one, _ in router.rib.best(IPV4_UNICAST)}


def test_what_several_peers_say_alike_goes_in_one_message_to_the_others(router: Router) -> None:
    speakers = [Peer(router, f"s-{n}", EXTERNAL, n + 1, asn=64999) for n in range(10)]
    other = Peer(router, "other", EXTERNAL, 50, asn=64998)
    taken(router, other, *speakers)
    for number, speaker in enumerate(speakers):
        speaker.announce([f"10.{number}.{n}.0/24" for n in range(5)], as_path=[64999, 7])
    router.flush()
    before = [peer.messages for peer in (other, *speakers)]
    taken(router, other, *speakers)
    assert [peer.messages for peer in (other, *speakers)] == [number + 1 for number in before]
    assert len(other.held) == 50 and {len(speaker.held) for speaker in speakers} == {45}
    for number, speaker in enumerate(speakers):
        speaker.withdraw([f"10.{number}.{n}.0/24" for n in range(4)])
    router.flush()
    taken(router, other, *speakers)
    assert [peer.messages for peer in (other, *speakers)] == [number + 2 for number in before]
    assert len(other.held) == 10 and {len(speaker.held) for speaker in speakers} == {9}
    assert other.withdrawn == 40 and {speaker.withdrawn for speaker in speakers} == {36}
