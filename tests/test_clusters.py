"""A reflector of several clusters: what is prepended to CLUSTER_LISTs, and what is a loop (RFC 4456 8)."""

import asyncio
from pathlib import Path as FilePath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routers import LOCAL_AS, OUR_ADDRESS, ROUTER_ID, Peer, address, recognize, settle, table

from bgp import IPV4_UNICAST, PeerOptions, Speaker
from bgp.export.pack import Packer, Told
from bgp.export.rules import MESHED_CLIENTS
from bgp.export.terms import Terms
from bgp.iana import AttributeType
from bgp.rib.path import Kind, Path, Slots, Source
from bgp.router import Router
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes
from reflector.app import Service
from reflector.configuration.config import load, loads
from reflector.configuration.document import ConfigurationError

OWN, A, B = address("0.0.0.99"), address("0.0.0.10"), address("0.0.0.11")
TIMEOUT = 60
slots = Slots()
CLIENT, NON_CLIENT = Kind.CLIENT, Kind.NON_CLIENT


def terms(kind: Kind, cluster: bytes, **changes: object) -> Terms:
    hops = frozenset({(IPV4_UNICAST, OUR_ADDRESS)})
    return Terms(
        kind=kind, families=(IPV4_UNICAST,), local_as=LOCAL_AS, next_hops=hops, cluster_id=cluster, **changes
    )  # type: ignore[arg-type]


def path(kind: Kind, cluster: bytes, attributes: Attributes | None = None) -> Path:
    made = attributes or table.make(next_hop="10.9.0.1", as_path="64500", local_pref=100)
    recognize(table, made, internal=True)
    source = Source("peer", kind, LOCAL_AS, b"\x0a\0\0\7", family=IPV4_UNICAST, cluster=cluster)
    return Path(source, slots.get("peer", None), made)


@pytest.mark.parametrize("before", [b"", address("192.0.2.9") * 3])
@pytest.mark.parametrize(
    ("source", "receiver", "passed"),
    [
        ((CLIENT, OWN), (CLIENT, OWN), OWN),
        ((CLIENT, A), (CLIENT, A), A),
        ((CLIENT, A), (CLIENT, B), B + A),
        ((CLIENT, OWN), (CLIENT, B), B + OWN),
        ((CLIENT, A), (CLIENT, OWN), OWN + A),
        ((CLIENT, A), (NON_CLIENT, OWN), A),
        ((CLIENT, OWN), (NON_CLIENT, OWN), OWN),
        ((NON_CLIENT, b""), (CLIENT, B), B),
        ((NON_CLIENT, b""), (CLIENT, OWN), OWN),
    ],
)
def test_the_clusters_that_a_route_passes(
    source: tuple[Kind, bytes], receiver: tuple[Kind, bytes], passed: bytes, before: bytes
) -> None:
    plain = table.make(next_hop="10.9.0.1", as_path="64500", local_pref=100)
    some = table.derive(plain, {AttributeType.CLUSTER_LIST: before or None})
    packer, one = Packer(terms(*receiver)), path(*source, some)
    told = packer.told(IPV4_UNICAST, one)
    assert isinstance(told, Told)
    assert Attributes(told.octets, told.next_hop).cluster_list == passed + before
    block = packer.quick[IPV4_UNICAST](one)
    assert (block is None) is bool(before)
    if block is not None:
        prefixes = [nlri.parse("192.0.2.0/24")[1]]
        expected = packer.encoder.announce(IPV4_UNICAST, told.octets, told.next_hop, prefixes)
        assert packer.encoder.classic(block, prefixes) == expected


def test_clients_are_meshed_within_their_cluster() -> None:
    packer = Packer(terms(CLIENT, A, reflect_clients=False))
    assert packer.told(IPV4_UNICAST, path(CLIENT, A)) is MESHED_CLIENTS
    told = packer.told(IPV4_UNICAST, path(CLIENT, B))
    assert isinstance(told, Told) and Attributes(told.octets, told.next_hop).cluster_list == A + B


def client(router: Router, name: str, number: int, cluster: int | None = None) -> Peer:
    return Peer(router, name, CLIENT, number, settings={"cluster_id": cluster})


def say(peer: Peer, prefix: str, *clusters: int) -> None:
    value = b"".join(each.to_bytes(4, "big") for each in clusters)
    changes: dict[int, bytes | None] = {AttributeType.CLUSTER_LIST: value or None}
    made = peer.router.table.make(next_hop="10.9.0.9", local_pref=100)
    peer.announce([prefix], peer.router.table.derive(made, changes))


def refused(router: Router) -> set[str]:
    return {
        str(nlri.network(IPV4_UNICAST, prefix))
        for prefix in [nlri.parse(f"10.{n}.0.0/16")[1] for n in range(5)]
        if "CLUSTER_ID of ours" in str(router.rib.explain(IPV4_UNICAST, prefix))
    }


def test_a_route_that_was_in_one_of_our_clusters_is_refused_whenever_we_serve_it() -> None:
    router = Router(LOCAL_AS, ROUTER_ID, 99)
    talker, other = client(router, "talker", 1), client(router, "other", 2)
    for number, clusters in enumerate(((), (99,), (5, 10), (11,), (12,))):
        say(talker, f"10.{number}.0.0/16", *clusters)
    settle(router, talker, other)
    assert router.clusters.ids == [99] and refused(router) == {"10.1.0.0/16"}
    assert other.prefixes() == {"10.0.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"}
    # By a member, by what is only configured, by both.
    first = client(router, "first", 3, 10)
    router.clusters.serve(11)
    router.clusters.serve(10)
    settle(router, talker, other, first)
    assert router.clusters.ids == [99, 10, 11]
    assert refused(router) == {"10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"}
    assert other.prefixes() == first.prefixes() == {"10.0.0.0/16", "10.4.0.0/16"}
    assert next(iter(first.held.values())).cluster_list == address("0.0.0.10") + address("0.0.0.99")
    first.down()
    settle(router, talker, other)
    assert router.clusters.ids == [99, 10, 11]
    router.clusters.leave(10)
    router.clusters.leave(11)
    settle(router, talker, other)
    assert router.clusters.ids == [99] and refused(router) == {"10.1.0.0/16"}
    assert len(other.prefixes()) == 4


def test_members_of_two_clusters_are_in_two_groups() -> None:
    router = Router(LOCAL_AS, ROUTER_ID, 99)
    peers = [client(router, f"p{n}", n, cluster) for n, cluster in enumerate((None, 99, 10, 10, 11), 1)]
    settle(router, *peers)
    assert sorted(len(group.listeners) for group in router.groups.values()) == [1, 2, 2]


@given(st.sampled_from(["0.0.0.7", 7]))
def test_either_way_to_write_it(cluster: str | int) -> None:
    assert PeerOptions(asn=1, address="192.0.2.1", client=True, cluster_id=cluster).cluster == 7


@pytest.mark.parametrize("cluster", ["nonsense", -1, 1 << 32])
def test_what_is_no_cluster_is_refused(cluster: str | int) -> None:
    with pytest.raises(ValueError, match=r"^cluster_id: "):
        PeerOptions(asn=1, address="192.0.2.1", client=True, cluster_id=cluster)
    with pytest.raises(ValueError, match="cluster_id: is for clients"):
        PeerOptions(asn=1, address="192.0.2.1", cluster_id=7)


TEXT = """\
[router]
asn = 64512
router_id = "192.0.2.1"
listen = ["127.0.0.1:0"]

[control]
enabled = false

[group.a]
client = true
cluster_id = "0.0.0.10"

[[listen_range]]
prefix = "127.0.1.0/24"
group = "a"

[[listen_range]]
prefix = "127.0.2.0/24"
group = "a"
cluster_id = "0.0.0.11"

[[listen_range]]
prefix = "127.0.3.0/24"
client = true
"""


def test_clusters_of_a_configuration() -> None:
    found = loads(TEXT).listen_ranges
    assert [each.options.cluster for each in found] == [10, 11, None]
    with pytest.raises(ConfigurationError) as caught:
        loads(TEXT.replace("client = true\ncluster_id", 'asn = "internal"\ncluster_id', 1))
    assert {(each.line, each.what) for each in caught.value.problems} == {
        (11, "is for clients of our reflector, and this peer is none (RFC 4456 2)"),
        (20, "is for clients of our reflector, and this peer is none (RFC 4456 2)"),
    }


async def test_a_service_of_three_clusters_and_its_reload(tmp_path: FilePath) -> None:
    file = tmp_path / "rr.toml"
    file.write_text(TEXT)
    service = Service(load(str(file)), file=str(file))
    await service.start()
    nodes: list[Speaker] = []
    try:
        host, port = service.speaker.listening[0]
        for number in (1, 2, 3):
            node = Speaker(asn=64512, router_id=f"10.0.0.{number}")
            nodes.append(node)
            await node.start()
            source = f"127.0.{number}.1"
            peer = node.add_peer(
                PeerOptions(asn=64512, address=host, port=port, source_address=source, connect_retry_time=0.2)
            )
            await asyncio.wait_for(peer.established(), TIMEOUT)
        nodes[0].announce("10.1.0.0/16", next_hop="10.0.0.1")

        async def heard(node: Speaker, clusters: bytes) -> None:
            async with asyncio.timeout(TIMEOUT):
                while (found := node.rib.exact("10.1.0.0/16")) is None or (
                    found.paths[0].attributes.cluster_list != clusters
                ):
                    await asyncio.sleep(0.02)

        own = address("192.0.2.1")
        await heard(nodes[1], address("0.0.0.11") + address("0.0.0.10"))
        await heard(nodes[2], own + address("0.0.0.10"))
        assert service.speaker.router.clusters.ids == [0xC0000201, 10, 11]
        # Another cluster costs its sessions, and no others.
        file.write_text(TEXT.replace("0.0.0.11", "0.0.0.12"))
        found, failed = await service.reload()
        assert [str(step) for step in found.steps] == [
            "~ listen range 127.0.2.0/24: cluster_id 0.0.0.11 -> 0.0.0.12 (its sessions are reset)"
        ]
        assert not failed and service.speaker.router.clusters.ids == [0xC0000201, 10, 12]
        await heard(nodes[1], address("0.0.0.12") + address("0.0.0.10"))
        assert nodes[1].peers[0].times_established == 2
        assert nodes[0].peers[0].times_established == nodes[2].peers[0].times_established == 1
        file.write_text(TEXT.replace('cluster_id = "0.0.0.11"\n', "").replace('"0.0.0.10"', '"192.0.2.1"'))
        await service.reload()
        await heard(nodes[2], own)
        assert service.speaker.router.clusters.ids == [0xC0000201]
    finally:
        for node in nodes:
            await node.stop()
        await service.stop("over")
