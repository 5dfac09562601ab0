"""Capabilities: golden octets from the RFCs' figures, round trips, and every way to be malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.iana import CapabilityCode
from bgp.wire import capability
from bgp.wire.capability import (
    TABLE,
    Capabilities,
    Capability,
    Fqdn,
    GracefulRestart,
    LongLivedGracefulRestart,
    describe,
)
from bgp.wire.grammar import message as grammar

# (meaning, code, value written by hand from the figure, text)
GOLDEN = [
    # RFC 4760 8: AFI 2, Res. 0, SAFI 1
    (Capabilities(families=((2, 1),)), 1, "0002 00 01", "multiprotocol ipv6-unicast"),
    (Capabilities(families=((25, 70),)), 1, "0019 00 46", "multiprotocol afi-25-safi-70"),
    # RFC 2918 2, RFC 8654 3, RFC 7313 3.1: no octets
    (Capabilities(route_refresh=True), 2, "", "route-refresh"),
    (Capabilities(extended_message=True), 6, "", "extended-message"),
    (Capabilities(enhanced_route_refresh=True), 70, "", "enhanced-route-refresh"),
    # RFC 8950 4: AFI 1, SAFI 1 in two octets, next hop AFI 2
    (
        Capabilities(extended_next_hop=((1, 1, 2),)),
        5,
        "0001 0001 0002",
        "extended-next-hop ipv4-unicast over ipv6",
    ),
    # RFC 9234 4.1
    (Capabilities(roles=(3,)), 9, "03", "role customer"),
    (Capabilities(roles=(9,)), 9, "09", "role 9"),
    # RFC 4724 3, RFC 8538 2: R, N, time 120; AFI 1 SAFI 1 with F, AFI 2 SAFI 1 without
    (
        Capabilities(graceful_restart=GracefulRestart(True, True, 120, ((1, 1, True), (2, 1, False)))),
        64,
        "c078 0001 01 80 0002 01 00",
        "graceful-restart 120 s RN, ipv4-unicast F, ipv6-unicast",
    ),
    # the longest Restart Time, and no flag from it
    (Capabilities(graceful_restart=GracefulRestart(time=4095)), 64, "0fff", "graceful-restart 4095 s"),
    (Capabilities(graceful_restart=GracefulRestart(restarting=True)), 64, "8000", "graceful-restart 0 s R"),
    (Capabilities(graceful_restart=GracefulRestart(notification=True)), 64, "4000", "graceful-restart 0 s N"),
    # RFC 6793 3: 4200000001
    (Capabilities(four_octet_as=4200000001), 65, "fa56ea01", "four-octet-as 4200000001"),
    # RFC 7911 4: AFI 1 SAFI 1 both, AFI 2 SAFI 1 receive
    (
        Capabilities(add_path=((1, 1, 3), (2, 1, 1))),
        69,
        "0001 01 03 0002 01 01",
        "add-path ipv4-unicast both, ipv6-unicast receive",
    ),
    # RFC 9494 3.1: 86400 seconds with F; 2^24-1 without
    (
        Capabilities(
            long_lived_graceful_restart=LongLivedGracefulRestart(
                ((1, 1, True, 86400), (2, 1, False, 16777215))
            )
        ),
        71,
        "0001 01 80 015180 0002 01 00 ffffff",
        "long-lived-graceful-restart ipv4-unicast 86400 s F, ipv6-unicast 16777215 s",
    ),
    (
        Capabilities(long_lived_graceful_restart=LongLivedGracefulRestart()),
        71,
        "",
        "long-lived-graceful-restart",
    ),
    # draft-walton-bgp-hostname-capability: length, "rr1", length, "lab"
    (Capabilities(fqdn=Fqdn("rr1", "lab")), 73, "03 727231 03 6c6162", "fqdn rr1.lab"),
    (Capabilities(fqdn=Fqdn("rr1")), 73, "03 727231 00", "fqdn rr1"),
]


@pytest.mark.parametrize(("meaning", "code", "octets", "text"), GOLDEN)
def test_golden(meaning: Capabilities, code: int, octets: str, text: str) -> None:
    wire = Capability(code, bytes.fromhex(octets))
    assert meaning.encode() == (wire,)
    assert Capabilities.parse((wire,)) == meaning
    assert describe(wire) == text
    assert meaning.describe() == (text,)


def test_every_row_has_a_golden_line_and_a_grammar() -> None:
    assert (
        {code for _, code, _, _ in GOLDEN}
        == set(TABLE)
        == set(grammar.CAPABILITY_VALUES)
        == set(CapabilityCode)
    )
    assert list(TABLE) == sorted(TABLE)


def test_none_means_nothing() -> None:
    assert Capabilities.parse(()) == Capabilities()
    assert Capabilities().encode() == ()
    assert not Capabilities().multiprotocol


# --- Round trips -----------------------------------------------------------------------------------------

afis = st.integers(0, 0xFFFF)
safis = st.integers(0, 0xFF)
families = st.tuples(afis, safis)
names = st.text(st.characters(codec="utf-8"), max_size=20)


def unique(elements: st.SearchStrategy, by: int, maximum: int) -> st.SearchStrategy:
    return st.lists(elements, max_size=maximum, unique_by=lambda item: item[:by]).map(tuple)


meanings = st.builds(
    Capabilities,
    families=unique(families, 2, 6),
    route_refresh=st.booleans(),
    enhanced_route_refresh=st.booleans(),
    extended_message=st.booleans(),
    four_octet_as=st.none() | st.integers(0, 0xFFFFFFFF),
    add_path=unique(st.tuples(afis, safis, st.integers(1, 3)), 2, 63),
    extended_next_hop=unique(st.tuples(afis, afis, afis), 3, 42),
    graceful_restart=st.none()
    | st.builds(
        GracefulRestart,
        st.booleans(),
        st.booleans(),
        st.integers(0, 4095),
        unique(st.tuples(afis, safis, st.booleans()), 2, 63),
    ),
    long_lived_graceful_restart=st.none()
    | st.builds(
        LongLivedGracefulRestart,
        unique(st.tuples(afis, safis, st.booleans(), st.integers(0, 0xFFFFFF)), 2, 36),
    ),
    roles=st.lists(st.integers(0, 255), max_size=2, unique=True).map(tuple),
    fqdn=st.none() | st.builds(Fqdn, names, names),
    unknown=st.lists(
        st.builds(
            Capability,
            st.integers(0, 255).filter(lambda code: code not in TABLE),
            st.binary(max_size=255),
        ),
        max_size=3,
    ).map(tuple),
)
raw = st.builds(Capability, st.sampled_from(sorted(TABLE)) | st.integers(0, 255), st.binary(max_size=30))


@given(meanings)
def test_what_is_encoded_parses_to_the_same(meaning: Capabilities) -> None:
    encoded = meaning.encode()
    assert Capabilities.parse(encoded) == meaning
    assert capability.decode(capability.encode(encoded)) == encoded


@given(st.lists(raw, max_size=12))
def test_any_octets_parse_and_what_they_mean_is_stable(capabilities: list[Capability]) -> None:
    meaning = Capabilities.parse(capabilities)
    assert Capabilities.parse(meaning.encode()) == meaning
    assert capability.decode(capability.encode(capabilities)) == tuple(capabilities)
    lost = {(item.code, item.value) for item in (*meaning.unknown, *meaning.malformed)}
    assert lost <= {(item.code, item.value) for item in capabilities}
    assert all(text.isprintable() for text in meaning.describe())


@given(st.lists(raw, max_size=6))
def test_order_of_different_codes_does_not_matter(capabilities: list[Capability]) -> None:
    by_code = sorted(capabilities, key=lambda item: item.code)
    one, other = Capabilities.parse(capabilities), Capabilities.parse(by_code)
    assert (
        one.encode()[: -len(one.unknown + one.malformed) or None]
        == (other.encode()[: -len(other.unknown + other.malformed) or None])
    )


# --- Malformed and unknown ones --------------------------------------------------------------------------

# The lengths at which a golden value, cut short, is still well formed: whole tuples fewer.
WHOLE = {
    CapabilityCode.EXTENDED_NEXT_HOP: {0},
    CapabilityCode.GRACEFUL_RESTART: {2, 6},
    CapabilityCode.ADD_PATH: {0, 4},
    CapabilityCode.LONG_LIVED_GRACEFUL_RESTART: {0, 7},
}


@pytest.mark.parametrize(("code", "octets"), [(code, octets) for _, code, octets, _ in GOLDEN])
def test_a_wrong_length_is_ignored_and_kept(code: int, octets: str) -> None:
    value = bytes.fromhex(octets)
    cut = [
        value[:length] for length in range(len(value)) if length not in WHOLE.get(CapabilityCode(code), ())
    ]
    for bad in (*cut, value + b"\x00"):
        wire = Capability(code, bad)
        assert Capabilities.parse((wire,)) == Capabilities(malformed=(wire,)), bad.hex()
        assert describe(wire) == f"{capability.name(code)} malformed {bad.hex()}".rstrip()


def test_a_malformed_instance_leaves_the_others_alone() -> None:
    bad = Capability(1, b"\x00")
    meaning = Capabilities.parse((Capability(1, b"\x00\x01\x00\x01"), bad, Capability(2)))
    assert meaning == Capabilities(families=((1, 1),), route_refresh=True, malformed=(bad,))
    # A Multiprotocol capability that cannot be read does not switch IPv4 unicast off.
    assert not Capabilities.parse((bad,)).multiprotocol


def test_unknown_capabilities_are_kept_and_shown() -> None:
    """RFC 5492 section 3: whatever their length, they are ignored."""
    unknown = tuple(Capability(code, bytes(length)) for code, length in ((0, 0), (128, 0), (200, 255)))
    assert Capabilities.parse(unknown) == Capabilities(unknown=unknown)
    assert describe(Capability(200, b"\x01\x02")) == "capability-200 0102"
    assert describe(Capability(128)) == "capability-128"


def test_invalid_utf8_in_a_name_is_malformed() -> None:
    for value in (b"\x01\xff\x00", b"\x02\xc0\x80\x00"):
        assert Capabilities.parse((Capability(73, value),)).malformed == (Capability(73, value),)


def test_what_was_spread_over_instances_is_shown_though_it_could_not_be_sent() -> None:
    spread = tuple(Capability(5, bytes((0, i, 0, 1, 0, 2))) for i in range(60))
    meaning = Capabilities.parse(spread)
    with pytest.raises(ValueError, match="longer than 255"):
        meaning.encode()
    (line,) = meaning.describe()
    assert line.count(" over ipv6") == 60


def test_control_characters_of_a_name_are_escaped() -> None:
    wire = Capabilities(fqdn=Fqdn("a\nb\x1b[2J")).encode()[0]
    assert describe(wire) == r"fqdn a\nb\x1b[2J"


# --- Several instances, reserved bits --------------------------------------------------------------------


def parse(*capabilities: tuple[int, str]) -> Capabilities:
    return Capabilities.parse(Capability(code, bytes.fromhex(value)) for code, value in capabilities)


def test_identical_instances_count_once() -> None:
    """RFC 5492 section 4: a speaker "MUST be prepared to accept such multiple instances"."""
    twice = [item for _, code, value, _ in GOLDEN[:4] for item in ((code, value), (code, value))]
    once = [(code, value) for _, code, value, _ in GOLDEN[:4]]
    assert parse(*twice) == parse(*once)
    assert parse((9, "03"), (9, "03")).roles == (3,)


def test_multiprotocol_instances_are_a_union_in_order() -> None:
    meaning = parse((1, "00020001"), (1, "00010001"), (1, "00020001"))
    assert meaning.families == ((2, 1), (1, 1))
    assert meaning.multiprotocol


def test_different_roles_are_all_reported() -> None:
    assert parse((9, "03"), (9, "00")).roles == (3, 0)


def test_the_last_graceful_restart_counts() -> None:
    """RFC 4724 section 3."""
    meaning = parse((64, "80780001018000020100"), (64, "4005"))
    assert meaning.graceful_restart == GracefulRestart(False, True, 5)
    assert parse((71, "00010180000001"), (71, "")).long_lived_graceful_restart == LongLivedGracefulRestart()


def test_add_path_instances_merge_and_the_last_entry_of_a_family_counts() -> None:
    assert parse((69, "0001010100020102"), (69, "00010103")).add_path == ((1, 1, 3), (2, 1, 2))
    assert parse((69, "0001010100010102")).add_path == ((1, 1, 2),)


@pytest.mark.parametrize("mode", [0, 4, 255])
def test_an_invalid_add_path_mode_is_ignored(mode: int) -> None:
    """RFC 7911 section 4, for the entry alone."""
    assert parse((69, f"000101{mode:02x}00020103")).add_path == ((2, 1, 3),)
    assert parse((69, f"000101{mode:02x}")) == Capabilities()


def test_reserved_bits_are_ignored() -> None:
    assert parse((1, "0001ff01")) == parse((1, "00010001"))
    assert parse((64, "f078000101ff")) == parse((64, "c07800010180"))
    assert parse((64, "30780001017f")) == parse((64, "007800010100"))
    assert parse((71, "000101ff000001")) == parse((71, "00010180000001"))


def test_extended_next_hop_takes_two_octets_for_the_safi() -> None:
    """RFC 8950 section 4: with one, as elsewhere, the length is wrong."""
    assert parse((5, "0001010002")).malformed


# --- The block -------------------------------------------------------------------------------------------


def test_block_golden_and_truncated_at_every_octet() -> None:
    capabilities = (Capability(1, b"\x00\x01\x00\x01"), Capability(2), Capability(65, b"\x00\x00\xfd\xe9"))
    block = bytes.fromhex("0104 00010001 0200 4104 0000fde9")
    assert capability.encode(capabilities) == block
    ends = {0: 0, 6: 1, 8: 2, len(block): 3}
    for length in range(len(block) + 1):
        if length in ends:
            assert capability.decode(block[:length]) == capabilities[: ends[length]]
        else:
            with pytest.raises(ValueError, match="overruns"):
                capability.decode(block[:length])


@pytest.mark.parametrize(
    "bad",
    [
        Capabilities(families=((65536, 1),)),
        Capabilities(families=((1, 256),)),
        Capabilities(four_octet_as=1 << 32),
        Capabilities(four_octet_as=-1),
        Capabilities(roles=(256,)),
        Capabilities(graceful_restart=GracefulRestart(time=4096)),
        Capabilities(long_lived_graceful_restart=LongLivedGracefulRestart(((1, 1, True, 1 << 24),))),
        Capabilities(fqdn=Fqdn("x" * 256)),
        Capabilities(fqdn=Fqdn("x" * 200, "y" * 60)),
        Capabilities(add_path=tuple((1, safi, 3) for safi in range(64))),
    ],
)
def test_what_does_not_fit_is_refused(bad: Capabilities) -> None:
    with pytest.raises(ValueError, match=r"fit|longer"):
        bad.encode()


@pytest.mark.parametrize("bad", [Capability(256), Capability(-1), Capability(200, bytes(256))])
def test_a_raw_capability_that_does_not_fit_is_refused(bad: Capability) -> None:
    with pytest.raises(ValueError, match="fit"):
        capability.encode((bad,))
