"""The short way of usual routes gives what the readable one gives (`bgp.export.quick`)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routers import LOCAL_AS, OUR_ADDRESS, recognize, table

from bgp.export.pack import Packer, Told
from bgp.export.terms import Terms
from bgp.family import IPV4_UNICAST
from bgp.iana import AttributeType, WellKnownCommunity
from bgp.policy import ACCEPT_ALL
from bgp.rib.path import Kind, Path, Slots, Source
from bgp.rib.selection import ALL
from bgp.wire.attributes import Attributes
from bgp.wire.prefix import parse

PREFIXES = [parse(text)[1] for text in ("192.0.2.0/24", "198.51.100.0/25", "10.0.0.0/8")]
slots = Slots()


def terms(kind: Kind, **changes: object) -> Terms:
    values: dict[str, object] = {
        "kind": kind,
        "families": (IPV4_UNICAST,),
        "local_as": LOCAL_AS,
        "next_hops": frozenset({(IPV4_UNICAST, OUR_ADDRESS)}),
        "cluster_id": bytes((0, 0, 0, 99)),
        **changes,
    }
    return Terms(**values)  # type: ignore[arg-type]


def path(attributes: Attributes, kind: Kind) -> Path:
    recognize(table, attributes, internal=True)
    source = Source("peer", kind, LOCAL_AS, bytes((10, 0, 0, 7)), family=IPV4_UNICAST)
    return Path(source, slots.get("peer", None), attributes)


asns = st.integers(min_value=1, max_value=2**32 - 1)
communities = st.one_of(
    st.integers(min_value=0, max_value=2**32 - 1),
    st.sampled_from([int(each) for each in WellKnownCommunity]),
)
reflected = st.fixed_dictionaries(
    {},
    optional={
        AttributeType.ORIGINATOR_ID: st.binary(min_size=4, max_size=4),
        AttributeType.CLUSTER_LIST: st.integers(1, 4).flatmap(
            lambda n: st.binary(min_size=4 * n, max_size=4 * n)
        ),
        AttributeType.EXTENDED_COMMUNITIES: st.binary(min_size=8, max_size=8),
        AttributeType.LARGE_COMMUNITIES: st.binary(min_size=12, max_size=12),
        AttributeType.LOCAL_PREF: st.none(),
    },
)


@given(
    as_path=st.lists(asns, max_size=60),
    origin=st.sampled_from([0, 1, 2]),
    med=st.none() | st.integers(0, 2**32 - 1),
    atomic_aggregate=st.booleans(),
    aggregator=st.none() | st.just((4200000000, "192.0.2.9")),
    some=st.lists(communities, max_size=70, unique=True),
    more=reflected,
    source=st.sampled_from([Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL, Kind.LOCAL]),
    receiver=st.sampled_from([Kind.CLIENT, Kind.NON_CLIENT]),
    clients=st.booleans(),
    next_hop=st.sampled_from(["192.0.2.7", "192.0.2.7", "2001:db8::7"]),
    extended=st.booleans(),
)
def test_both_ways_give_the_same_octets(
    as_path: list[int],
    origin: int,
    med: int | None,
    atomic_aggregate: bool,
    aggregator: tuple[int, str] | None,
    some: list[int],
    more: dict[int, bytes | None],
    source: Kind,
    receiver: Kind,
    clients: bool,
    next_hop: str,
    extended: bool,
) -> None:
    attributes = table.derive(
        table.make(
            next_hop=next_hop,
            as_path=as_path,
            origin=origin,
            med=med,
            local_pref=100,
            atomic_aggregate=atomic_aggregate,
            aggregator=aggregator,
            communities=some,
        ),
        more,
    )
    taking = frozenset({IPV4_UNICAST}) if extended else frozenset()
    packer = Packer(terms(receiver, reflect_clients=clients, extended_next_hop=taking))
    one = path(attributes, source)
    block = packer.quick[IPV4_UNICAST](one)
    told = packer.told(IPV4_UNICAST, one)
    if block is None:
        # Only what is not of the usual shape, or not reflected, takes the readable way.
        assert (
            not attributes.head
            or not source.internal
            or b"\xff\xff\xff" in attributes.octets
            or attributes.originator_id is not None
            or attributes.cluster_list
            or len(attributes.next_hop) != 4
            or not isinstance(told, Told)
        )
        return
    assert isinstance(told, Told)
    expected = packer.encoder.announce(IPV4_UNICAST, told.octets, told.next_hop, PREFIXES)
    assert packer.encoder.classic(block, PREFIXES) == expected


def test_the_usual_takes_the_short_way() -> None:
    attributes = table.make(
        next_hop="192.0.2.7", as_path=[65001, 65002], local_pref=100, communities=[65000 << 16]
    )
    assert Packer(terms(Kind.CLIENT)).quick[IPV4_UNICAST](path(attributes, Kind.CLIENT)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": ACCEPT_ALL},
        {"four_octet_as": False},
        {"next_hop_self": True},
        {"add_path": frozenset({(IPV4_UNICAST, ALL)})},
        {"kind": Kind.EXTERNAL},
    ],
)
def test_groups_that_change_routes_have_no_short_way(changes: dict[str, object]) -> None:
    assert not Packer(terms(**{"kind": Kind.CLIENT, **changes})).quick  # type: ignore[arg-type]
