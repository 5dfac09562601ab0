"""The UPDATE decoder: what a session remembers never changes what it says, and RFC 4271's own words."""

from random import Random

import pytest

from bgp.errors import Notify, Outcome
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST
from bgp.testing import generate
from bgp.wire.attributes import AttributeTable, attribute
from bgp.wire.context import Context
from bgp.wire.update import Decoder, Update

ORIGIN = b"\x40\1\1\0"
AS_PATH = b"\x40\2\6\2\1\0\0\xfd\xe9"
NEXT_HOP = b"\x40\3\4\xc0\0\2\1"
LOCAL_PREF = b"\x40\5\4\0\0\0\x64"
COMMON = ORIGIN + AS_PATH
REACH = b"\0\2\1\x10" + b"\x20\1\x0d\xb8" + bytes(11) + b"\1" + b"\0"
BOTH = Context(families=frozenset(FAMILIES))


def body(withdrawn: bytes = b"", attributes: bytes = b"", nlri: bytes = b"") -> bytes:
    return (
        len(withdrawn).to_bytes(2, "big") + withdrawn + len(attributes).to_bytes(2, "big") + attributes + nlri
    )


def told(update: Update) -> tuple[object, ...]:
    return (
        [(u.family, u.prefixes, u.path_ids) for u in update.withdrawn],
        [(r.family, r.prefixes, r.path_ids, id(r.attributes)) for r in update.announced],
        (update.end_of_rib, update.outcome, update.faults, update.ignored),
    )


@pytest.mark.parametrize("seed", range(4))
def test_memory_changes_nothing(seed: int) -> None:
    """A decoder that has seen a message before says the same as a new one, in any order of messages."""
    random = Random(seed)
    for _ in range(40):
        context, table = generate.context(random), AttributeTable()
        remembering = Decoder(context, table)
        messages = [generate.update(random, context) for _ in range(12)] * 3
        random.shuffle(messages)
        keep = []
        for octets in messages:
            fresh = Decoder(context, table)
            try:
                wanted = fresh.decode(octets)
            except Notify as error:
                with pytest.raises(Notify) as caught:
                    remembering.decode(octets)
                assert caught.value.args == error.args
                continue
            found = remembering.decode(octets)
            keep += [wanted, found]
            assert told(found) == told(wanted)


def test_same_attributes_with_other_prefixes_and_a_withdrawal_beside() -> None:
    """Remembered octets stand for their attributes alone, never for what else a message held."""
    decoder = Decoder(BOTH, AttributeTable())
    reach = attribute(0x80, 14, REACH + b"\x20\x20\1\x0d\xb8")
    other = attribute(0x80, 14, REACH + b"\x20\x20\1\x0d\xb9")
    unreach = attribute(0x80, 15, b"\0\2\1" + b"\x20\x20\1\x0d\xba")
    first = decoder.decode(body(attributes=reach + COMMON))
    second = decoder.decode(body(attributes=other + COMMON))
    assert first.announced[0].attributes is second.announced[0].attributes
    assert second.announced[0].prefixes == [b"\x20\x20\1\x0d\xb9"]
    for _ in range(2):
        both = decoder.decode(body(attributes=other + COMMON + unreach))
        assert [u.prefixes for u in both.withdrawn] == [[b"\x20\x20\1\x0d\xba"]]
        assert [r.prefixes for r in both.announced] == [[b"\x20\x20\1\x0d\xb9"]]


def test_a_prefix_withdrawn_and_announced_is_announced() -> None:
    """RFC 4271 4.3: it counts as announced, so take out, then put in."""
    update = Decoder(BOTH, AttributeTable()).decode(body(b"\x08\x0a", COMMON + NEXT_HOP, b"\x08\x0a"))
    assert [u.prefixes for u in update.withdrawn] == [[b"\x08\x0a"]]
    assert [r.prefixes for r in update.announced] == [[b"\x08\x0a"]]


def test_a_prefix_twice_in_one_update() -> None:
    update = Decoder(BOTH, AttributeTable()).decode(body(b"", COMMON + NEXT_HOP, b"\x08\x0a\x08\x0a"))
    assert set(update.announced[0].prefixes) == {b"\x08\x0a"}
    assert update.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("octets", "family"),
    [
        (body(), IPV4_UNICAST),
        (body(attributes=b"\x80\x0f\3\0\1\1"), IPV4_UNICAST),
        (body(attributes=b"\x80\x0f\3\0\2\1"), IPV6_UNICAST),
        (body(attributes=b"\x90\x0f\0\3\0\2\1"), IPV6_UNICAST),
        (body(attributes=COMMON + b"\x80\x0f\3\0\2\1"), None),
        (body(b"\x08\x0a", b"\x80\x0f\3\0\2\1"), None),
        (body(attributes=COMMON + NEXT_HOP), None),
    ],
)
def test_end_of_rib(octets: bytes, family: object) -> None:
    """RFC 4724 section 2; attributes without any route are no error (RFC 4271 6.3)."""
    update = Decoder(BOTH, AttributeTable()).decode(octets)
    assert update.end_of_rib is family
    assert (update.outcome, update.announced or ()) == (Outcome.OK, ())


def test_both_families_in_one_update_have_their_own_next_hops() -> None:
    reach = attribute(0x80, 14, REACH + b"\x20\x20\1\x0d\xb8")
    table = AttributeTable()
    ipv6, ipv4 = Decoder(BOTH, table).decode(body(b"", COMMON + NEXT_HOP + reach, b"\x08\x0a")).announced
    assert (ipv6.family, ipv4.family) == (IPV6_UNICAST, IPV4_UNICAST)
    assert ipv4.attributes.octets == ipv6.attributes.octets == COMMON
    assert ipv4.attributes.next_hop == b"\xc0\0\2\1"
    assert ipv6.attributes.next_hop == REACH[4:20]


def test_other_families_are_ignored_never_fatal() -> None:
    """An UPDATE of a family that was not negotiated has no effect (RFC 4760 leaves it to us)."""
    labeled = attribute(0x80, 14, b"\0\1\x80\x0c" + bytes(13) + b"\xff\xff\xff")
    update = Decoder(BOTH, AttributeTable()).decode(body(attributes=labeled + COMMON))
    assert (update.announced or (), update.ignored) == ((), ((1, 128),))
    only_ipv6 = Decoder(Context(families=frozenset({IPV6_UNICAST})), AttributeTable())
    update = only_ipv6.decode(body(b"\xff\xff", COMMON + NEXT_HOP, b"\xff"))
    assert (update.announced or (), update.withdrawn, update.ignored) == ((), (), ((1, 1), (1, 1)))
    assert only_ipv6.decode(body()).end_of_rib is None


def test_memory_is_bounded() -> None:
    """An endless stream of new attribute sets leaves no more than the memory's bound behind."""
    table = AttributeTable()
    decoder = Decoder(BOTH, table)
    for index in range(10_000):
        decoder.decode(
            body(b"", COMMON + NEXT_HOP + attribute(0x80, 4, index.to_bytes(4, "big")), b"\x08\x0a")
        )
    assert len(table) <= 4097


def test_large_blocks_are_not_remembered() -> None:
    table = AttributeTable()
    decoder = Decoder(BOTH, table)
    big = attribute(0xC0, 8, bytes(2000))
    assert decoder.decode(body(b"", COMMON + NEXT_HOP + big, b"\x08\x0a")).announced
    assert len(table) == 0


def test_internal_routes_need_local_pref() -> None:
    decoder = Decoder(Context(internal=True), AttributeTable())
    update = decoder.decode(body(b"", COMMON + NEXT_HOP, b"\x08\x0a"))
    assert [(f.rule.name, f.data) for f in update.faults] == [("missing", b"\5")]
    assert decoder.decode(body(b"", COMMON + NEXT_HOP + LOCAL_PREF, b"\x08\x0a")).outcome is Outcome.OK
