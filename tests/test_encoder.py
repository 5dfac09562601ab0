"""The encoder: what it sends, a decoder on the other side reads as the same routes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.wire import prefix
from bgp.wire.attributes import Attributes, AttributeTable, walk
from bgp.wire.context import Context
from bgp.wire.framing import Framer
from bgp.wire.update import Decoder, Encoder

ASN = st.one_of(st.integers(1, 65535), st.integers(65536, 2**32 - 1))


@st.composite
def some_prefixes(draw: st.DrawFn, family: Family, most: int = 40) -> list[bytes]:
    found = draw(
        st.lists(
            st.integers(8, family.bits).flatmap(
                lambda n: st.binary(min_size=(n + 7) // 8, max_size=(n + 7) // 8).map(
                    lambda b: bytes((n,)) + b
                )
            ),
            max_size=most,
        )
    )
    masked = dict.fromkeys(prefix.masked(item) for item in found)
    return prefix.split(b"".join(masked), family)


@st.composite
def some_attributes(draw: st.DrawFn, next_hop: bytes) -> tuple[AttributeTable, Attributes]:
    table = AttributeTable()
    return table, table.make(
        next_hop=next_hop,
        origin=draw(st.integers(0, 2)),
        as_path=draw(st.lists(ASN, max_size=5)),
        med=draw(st.one_of(st.none(), st.integers(0, 2**32 - 1))),
        local_pref=draw(st.integers(0, 2**32 - 1)),
        aggregator=draw(st.one_of(st.none(), st.tuples(ASN, st.just("192.0.2.9")))),
        communities=draw(st.lists(st.integers(0, 2**32 - 1), max_size=40)),
    )


def bodies(messages: list[bytes], maximum: int) -> list[bytes]:
    framer = Framer(maximum)
    framer.feed(b"".join(messages))
    found = []
    while (message := framer.next()) is not None:
        assert message[0] == 2
        found.append(message[1])
    assert framer.buffered == 0
    return found


@settings(max_examples=150)
@given(st.data())
def test_announced_and_withdrawn_arrive(data: st.DataObject) -> None:
    family, next_hop = data.draw(
        st.sampled_from(
            [
                (IPV4_UNICAST, b"\xc0\0\2\1"),
                (IPV4_UNICAST, bytes(15) + b"\1"),
                (IPV6_UNICAST, bytes(15) + b"\1"),
                (IPV6_UNICAST, bytes(15) + b"\1" + b"\xfe\x80" + bytes(14)),
            ]
        )
    )
    four_octet, identified = data.draw(st.booleans()), data.draw(st.booleans())
    maximum = data.draw(st.sampled_from([400, 4096, 65535]))
    table, attributes = data.draw(some_attributes(next_hop))
    prefixes = data.draw(some_prefixes(family))
    path_ids = list(range(7, 7 + len(prefixes))) if identified else None
    add_path = frozenset({family}) if identified else frozenset()
    encoder = Encoder(four_octet, add_path, maximum)
    context = Context(
        internal=True, four_octet_as=four_octet, families=frozenset(FAMILIES), add_path=add_path,
        extended_next_hop=frozenset({IPV4_UNICAST}),
    )  # fmt: skip
    decoder = Decoder(context, table)

    messages, unfit = encoder.announce(family, attributes.octets, attributes.next_hop, prefixes, path_ids)
    assert all(len(message) <= maximum for message in messages)
    seen: list[tuple[bytes, int | None]] = []
    for body in bodies(messages, maximum):
        update = decoder.decode(body)
        assert (update.outcome, len(update.announced), len(update.withdrawn)) == (0, 1, 0)
        for reach in update.announced:
            assert reach.attributes is attributes
            assert reach.family is family
            seen += zip(reach.prefixes, reach.path_ids or [None] * len(reach.prefixes), strict=True)
    wanted = list(zip(prefixes, path_ids or [None] * len(prefixes), strict=True))
    assert seen == [pair for index, pair in enumerate(wanted) if index not in unfit]

    taken: list[tuple[bytes, int | None]] = []
    for body in bodies(encoder.withdraw(family, prefixes, path_ids), maximum):
        update = decoder.decode(body)
        assert not update.announced
        for unreach in update.withdrawn:
            taken += zip(unreach.prefixes, unreach.path_ids or [None] * len(unreach.prefixes), strict=True)
    assert taken == wanted


def test_packed_to_the_maximum_and_never_beyond() -> None:
    table = AttributeTable()
    attributes = table.make(next_hop="192.0.2.1", as_path=[1], local_pref=100)
    prefixes = [bytes((24, 10, index >> 8, index & 255)) for index in range(3000)]
    messages, unfit = Encoder().announce(IPV4_UNICAST, attributes.octets, attributes.next_hop, prefixes)
    assert not unfit
    assert all(4096 - 4 < len(message) <= 4096 for message in messages[:-1])
    assert len(messages) == 3


@pytest.mark.parametrize("room", [0, 1])
def test_what_does_not_fit_alone_is_named(room: int) -> None:
    table = AttributeTable()
    attributes = table.make(next_hop="192.0.2.1", communities=range(1000))
    size = 19 + 4 + len(attributes.octets) + 7
    prefixes = [b"\x08\x0a", b"\x20\x0a\0\0\1"]
    messages, unfit = Encoder(maximum=size + 2 + room).announce(
        IPV4_UNICAST, attributes.octets, attributes.next_hop, prefixes
    )
    assert (len(messages), unfit) == (1, [1])
    small = Encoder(maximum=size + 1)
    assert small.announce(IPV4_UNICAST, attributes.octets, attributes.next_hop, prefixes) == ([], [0, 1])


def test_mp_reach_goes_first_then_ascending_types() -> None:
    """RFC 7606 section 5.1 and RFC 4271 section 5."""
    table = AttributeTable()
    attributes = table.make(next_hop="2001:db8::1", as_path=[1], med=1, local_pref=1, communities=[5])
    (message,), _ = Encoder().announce(IPV6_UNICAST, attributes.octets, attributes.next_hop, [b"\x00"])
    assert [type_ for _, type_, _ in walk(message[23:])] == [14, 1, 2, 4, 5, 8]
    classic = table.make(next_hop="192.0.2.1", as_path=[1], med=1)
    (message,), _ = Encoder().announce(IPV4_UNICAST, classic.octets, classic.next_hop, [b"\x00"])
    assert [type_ for _, type_, _ in walk(message[23:-1])] == [1, 2, 3, 4]


def test_end_of_rib_octets() -> None:
    """RFC 4724 section 2: 23 octets for IPv4 unicast, an empty MP_UNREACH_NLRI for others."""
    assert Encoder().end_of_rib(IPV4_UNICAST) == b"\xff" * 16 + b"\0\x17\2" + bytes(4)
    ipv6 = Encoder().end_of_rib(IPV6_UNICAST)
    assert ipv6 == b"\xff" * 16 + b"\0\x1d\2" + b"\0\0\0\6" + b"\x80\x0f\3\0\2\1"
    decoder = Decoder(Context(families=frozenset(FAMILIES)), AttributeTable())
    for family in FAMILIES:
        assert decoder.decode(Encoder().end_of_rib(family)[19:]).end_of_rib is family


def test_add_path_needs_identifiers() -> None:
    encoder = Encoder(add_path=frozenset({IPV4_UNICAST}))
    with pytest.raises(ValueError, match="path identifiers"):
        encoder.withdraw(IPV4_UNICAST, [b"\x00"])
