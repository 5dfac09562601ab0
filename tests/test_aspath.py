"""AS paths: octets and text both ways, and RFC 6793's own examples of merging."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.iana import AS_TRANS
from bgp.wire import aspath
from bgp.wire.aspath import AsPath, Segment

ASN = st.one_of(st.integers(1, 65535), st.integers(65536, 2**32 - 1))
SEGMENT = st.builds(Segment, st.integers(1, 4), st.lists(ASN, min_size=1, max_size=6).map(tuple))
PATH = st.lists(SEGMENT, max_size=5).map(tuple)


@given(PATH)
def test_octets_and_text_both_ways(path: AsPath) -> None:
    assert aspath.parse(aspath.encode(path)) == path
    assert aspath.parse_text(aspath.text(path)) == path


@given(PATH)
def test_two_octets_put_as_trans_for_what_does_not_fit(path: AsPath) -> None:
    narrow = aspath.parse(aspath.encode(path, 2), 2)
    wanted = tuple(Segment(s.type, tuple(a if a < 65536 else AS_TRANS for a in s.asns)) for s in path)
    assert narrow == wanted


@given(PATH)
def test_what_an_old_speaker_passes_on_is_merged_back(path: AsPath) -> None:
    """A path sent in two octets with AS4_PATH comes back in length, and whole without confederations."""
    as4 = aspath.as4_path(path)
    narrow = aspath.parse(aspath.encode(path, 2), 2)
    if as4 is None:
        # Confederation segments alone cannot be told (RFC 6793 section 4.2.2 leaves them out).
        outside = [asn for segment in aspath.without_confederation(path) for asn in segment.asns]
        assert all(asn <= 0xFFFF for asn in outside)
        return
    merged = aspath.merged(narrow, as4)
    assert aspath.length(merged) == aspath.length(path)
    if aspath.without_confederation(path) == path:
        assert merged == path


def seq(*asns: int) -> Segment:
    return Segment(2, asns)


MERGES = [
    # RFC 6793 4.2.3: the leading part of AS_PATH is put before AS4_PATH.
    ((seq(1, 2, AS_TRANS, AS_TRANS),), (seq(70000, 80000),), (seq(1, 2, 70000, 80000),)),
    # Fewer in AS_PATH than in AS4_PATH: AS4_PATH is ignored.
    ((seq(1, 2),), (seq(70000, 80000, 90000),), (seq(1, 2),)),
    # A leading confederation segment is kept, and one that follows what was taken whole.
    ((Segment(3, (9,)), seq(1, AS_TRANS)), (seq(70000,),), (Segment(3, (9,)), seq(1, 70000))),
    ((seq(1), Segment(3, (9,)), seq(AS_TRANS)), (seq(70000),), (seq(1), Segment(3, (9,)), seq(70000))),
    # One behind what was cut is not adjacent.
    ((seq(1, 2), Segment(3, (9,)), seq(3)), (seq(70000, 80000),), (seq(1, 70000, 80000),)),
    # An AS_SET counts one.
    ((Segment(1, (5, 6)), seq(AS_TRANS)), (seq(70000),), (Segment(1, (5, 6)), seq(70000))),
    # Segments never pass 255.
    ((seq(*range(1, 256)), seq(AS_TRANS)), (seq(70000),), (seq(*range(1, 256)), seq(70000))),
]  # fmt: skip


@pytest.mark.parametrize(("path", "as4", "wanted"), MERGES)
def test_merging(path: AsPath, as4: AsPath, wanted: AsPath) -> None:
    assert aspath.merged(path, as4) == wanted


def test_confederation_segments_stay_out_of_as4_path() -> None:
    path = (Segment(3, (70000,)), seq(1))
    assert aspath.as4_path(path) == (seq(1),)
    assert aspath.as4_path((Segment(3, (70000,)),)) is None


def test_length_counts_a_set_once_and_confederations_never() -> None:
    path = (Segment(3, (1, 2)), seq(1, 2, 3), Segment(1, (4, 5, 6)), Segment(4, (7, 8)))
    assert aspath.length(path) == 4


def test_prepending_makes_a_segment_where_it_must() -> None:
    assert aspath.prepended((), 5) == (seq(5),)
    assert aspath.prepended((seq(1),), 5, 2) == (seq(5, 5, 1),)
    assert aspath.prepended((Segment(1, (1, 2)),), 5) == (seq(5), Segment(1, (1, 2)))
    full = seq(*range(1, 256))
    assert aspath.prepended((full,), 5) == (seq(5), full)


@pytest.mark.parametrize(
    "value",
    [
        b"\x05\x01\0\0\0\1",
        b"\x00\x01\0\0\0\1",
        b"\x02",
        b"\x02\x00",
        b"\x02\x02\0\0\0\1",
        b"\x02\x01\0\0\0\1\x02",
    ],
)
def test_malformed_values_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="octet"):
        aspath.parse(value)


@pytest.mark.parametrize(("text", "asn"), [("65001", 65001), ("1.10", 65546), ("4294967295", 2**32 - 1)])
def test_asn_text(text: str, asn: int) -> None:
    assert aspath.parse_asn(text) == asn


@pytest.mark.parametrize("text", ["", "x", "-1", "4294967296", "1.65536", "65536.0", "1.", ".1", "\u0661"])
def test_bad_asn_text(text: str) -> None:
    with pytest.raises(ValueError, match="AS number"):
        aspath.parse_asn(text)


@pytest.mark.parametrize("text", ["1 x", "{1", "1 }", "(1]", "1,2"])
def test_bad_path_text(text: str) -> None:
    with pytest.raises(ValueError, match="AS"):
        aspath.parse_text(text)


def test_long_text_is_cut_into_segments() -> None:
    path = aspath.parse_text(" ".join(["7"] * 300))
    assert [len(segment.asns) for segment in path] == [255, 45]


def test_segments_hold_1_to_255() -> None:
    with pytest.raises(ValueError, match="255"):
        aspath.encode((seq(*[1] * 256),))
