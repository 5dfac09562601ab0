"""The forms of messages: JSON both ways, and the readable one."""

import json
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import AS_PATH, NEXT_HOP, ORIGIN, PLAIN, read, update

from bgp.errors import RULES, Notify
from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.testing import strategies
from bgp.tools import anatomy, attribute_form, build, json_form, text_form
from bgp.tools.attribute_form import FORMS, Unfit
from bgp.wire import prefix
from bgp.wire.attributes import ROWS, AttributeTable, attribute
from bgp.wire.capability import (
    Capabilities,
    Capability,
    Fqdn,
    GracefulRestart,
    LongLivedGracefulRestart,
)
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import (
    Keepalive,
    Notification,
    Open,
    RouteRefresh,
    encode,
    encode_open,
    encode_shutdown_communication,
)
from bgp.wire.update import decode as decode_update

BOTH = Context(families=frozenset(FAMILIES))
KEEPALIVE = encode(Keepalive())
CAPABILITIES = Capabilities(
    families=((1, 1), (2, 1), (25, 70)),
    route_refresh=True,
    enhanced_route_refresh=True,
    extended_message=True,
    four_octet_as=4200000001,
    add_path=((1, 1, 3), (2, 1, 1)),
    extended_next_hop=((1, 1, 2), (1, 128, 2)),
    graceful_restart=GracefulRestart(True, True, 120, ((1, 1, True), (2, 1, False))),
    long_lived_graceful_restart=LongLivedGracefulRestart(((1, 1, True, 3600),)),
    roles=(3,),
    fqdn=Fqdn("rr1", "example.net"),
    unknown=(Capability(128, b"ab"),),
    malformed=(Capability(65, b"x"),),
)
OPEN = encode(Open(23456, 90, 0x01020304, CAPABILITIES.encode()))


# --- the forms -----------------------------------------------------------------------------------------


def test_update() -> None:
    assert read(PLAIN) == {
        "type": "UPDATE",
        "length": len(PLAIN),
        "withdrawn": {},
        "announced": {"ipv4-unicast": ["10.0.0.0/8", "10.0.1.0/24"]},
        "attributes": {"origin": "IGP", "as_path": "65001 65002", "next_hop": "192.0.2.1"},
        "outcome": "ok",
    }


def test_every_attribute_has_a_form() -> None:
    values = {
        1: b"\2",
        2: b"\x03\x01\0\0\xfd\xe9\x02\x01\0\0\xfd\xea\x01\x02\0\0\xfd\xeb\0\0\xfd\xec",
        3: b"\xc0\0\2\1",
        4: b"\0\0\0\x0a",
        5: b"\0\0\0\x64",
        6: b"",
        7: b"\0\0\xfd\xe9\xc0\0\2\7",
        8: b"\xfd\xe8\0\1\xff\xff\xff\1",
        9: b"\1\2\3\4",
        10: b"\1\1\1\1\2\2\2\2",
        16: b"\0\2\xfd\xe9\0\0\0\5\x43\0\0\0\0\0\0\1",
        25: b"\0\2" + ipv6("2001:db8::1") + b"\0\5",
        26: b"\1\0\x0b\0\0\0\0\0\0\0\x63",
        32: struct.pack("!III", 64496, 1, 2),
        35: b"\0\0\xfd\xe9",
    }
    parts = [attribute(ROWS[type_].flags, type_, value) for type_, value in values.items()]
    parts.append(attribute(0xC0, 200, b"\xab\xcd"))
    reach = attribute(
        0x80, 14, bytes.fromhex("00020110") + ipv6("2001:db8::1") + b"\0" + b"\x20\x20\x01\x0d\xb8"
    )
    unreach = attribute(0x80, 15, bytes.fromhex("000201") + b"\x30\x20\x01\x0d\xb8\0\1")
    context = Context(internal=True, aigp=True, as_sets=True, families=frozenset(FAMILIES))
    found = read(update(reach, unreach, *parts), context)
    assert found == {
        "type": "UPDATE",
        "length": len(update(reach, unreach, *parts)),
        "withdrawn": {"ipv6-unicast": ["2001:db8:1::/48"]},
        "announced": {"ipv6-unicast": ["2001:db8::/32"]},
        "next_hop": {"ipv6-unicast": "2001:db8::1"},
        "attributes": {
            "origin": "INCOMPLETE",
            "as_path": "(65001) 65002 {65003,65004}",
            "next_hop": "192.0.2.1",
            "multi_exit_disc": 10,
            "local_pref": 100,
            "atomic_aggregate": True,
            "aggregator": {"asn": 65001, "address": "192.0.2.7"},
            "communities": ["65000:1", "NO_EXPORT"],
            "originator_id": "1.2.3.4",
            "cluster_list": ["1.1.1.1", "2.2.2.2"],
            "extended_communities": ["rt:65001:5", "0x4300000000000001"],
            "ipv6_extended_communities": ["rt:[2001:db8::1]:5"],
            "aigp": 99,
            "large_communities": ["64496:1:2"],
            "only_to_customer": 65001,
            "attribute_200": {"value": "abcd"},
        },
        "flags": {"attribute_200": ["optional", "transitive"]},
        "outcome": "ok",
    }
    # AS4_PATH and AS4_AGGREGATOR have their place on sessions with two-octet AS numbers alone.
    assert set(values) | {14, 15, 17, 18} == set(ROWS)
    assert set(FORMS) == set(ROWS) - {14, 15}


def ipv6(text: str) -> bytes:
    return IPv6Address(text).packed


def test_two_octet_as_numbers() -> None:
    path = attribute(0x40, 2, b"\x02\x03" + struct.pack("!HHH", 65001, 23456, 65003))
    aggregator = attribute(0xC0, 7, struct.pack("!H", 23456) + b"\xc0\0\2\7")
    as4_path = attribute(0xC0, 17, b"\x02\x02" + struct.pack("!II", 4200000001, 65003))
    as4_aggregator = attribute(0xC0, 18, struct.pack("!I", 4200000001) + b"\xc0\0\2\7")
    octets = update(ORIGIN, path, NEXT_HOP, aggregator, as4_path, as4_aggregator, nlri=b"\0")
    context = Context(four_octet_as=False)
    found = read(octets, context)
    assert found["outcome"] == "ok"
    assert found["asn_octets"] == 2
    assert found["attributes"] == {
        "origin": "IGP",
        "as_path": "65001 23456 65003",
        "next_hop": "192.0.2.1",
        "aggregator": {"asn": 23456, "address": "192.0.2.7"},
        "as4_path": "4200000001 65003",
        "as4_aggregator": {"asn": 4200000001, "address": "192.0.2.7"},
    }
    assert found["merged_as_path"] == "65001 4200000001 65003"
    assert "message" not in found
    assert build.message(found) == octets
    del found["asn_octets"]
    assert build.message(found, two_octet_as=True) == octets


def test_nothing_is_merged_where_as4_path_is_discarded() -> None:
    as4_path = attribute(0xC0, 17, b"\2\1" + struct.pack("!I", 4200000001))
    found = read(update(ORIGIN, AS_PATH, NEXT_HOP, as4_path, nlri=b"\0"))
    assert found["error"]["fault"] == "as4_path-new"
    assert found["attributes"]["as4_path"] == "4200000001"
    assert "merged_as_path" not in found


def test_what_the_rule_leaves_out_is_told_beside_it() -> None:
    error = read(KEEPALIVE + b"x")["error"]
    assert error["rule"].startswith("RFC 4271 6.1: ")
    assert error["detail"] == "the Length is 19, but there are 20 octets"
    assert "detail" not in read(KEEPALIVE[:-1] + b"\x63")["error"]


def test_path_identifiers() -> None:
    context = Context(add_path=frozenset({IPV4_UNICAST}))
    nlri = b"\0\0\0\7\x08\x0a\xff\xff\xff\xff\x18\x0a\x00\x01"
    found = read(update(ORIGIN, AS_PATH, NEXT_HOP, withdrawn=b"\0\0\0\1\0", nlri=nlri), context)
    assert found["withdrawn"] == {"ipv4-unicast": [{"prefix": "0.0.0.0/0", "path_id": 1}]}
    assert found["announced"] == {
        "ipv4-unicast": [
            {"prefix": "10.0.0.0/8", "path_id": 7},
            {"prefix": "10.0.1.0/24", "path_id": 0xFFFFFFFF},
        ]
    }


def test_end_of_rib() -> None:
    ipv4, ipv6_ = read(update()), read(update(attribute(0x80, 15, b"\0\2\1")))
    assert (ipv4["end_of_rib"], ipv6_["end_of_rib"]) == ("ipv4-unicast", "ipv6-unicast")
    assert ipv6_["withdrawn"] == {}


def test_other_families_keep_their_octets() -> None:
    reach = attribute(0x80, 14, b"\0\x19\x46\4\1\2\3\4\0\xaa\xbb")
    unreach = attribute(0x80, 15, b"\0\2\1\x20\x20\x01\x0d\xb8")
    octets = update(reach, unreach, ORIGIN, AS_PATH)
    found = read(octets, Context())
    assert found["attributes"]["mp_reach_nlri"] == {
        "family": "afi-25-safi-70",
        "next_hop": "01020304",
        "nlri": "aabb",
    }
    assert found["attributes"]["mp_unreach_nlri"] == {"family": "ipv6-unicast", "nlri": "2020010db8"}
    assert (found["withdrawn"], found["outcome"]) == ({}, "ok")
    assert "message" not in found
    assert build.message(found) == octets


def test_what_a_receiver_passes_over_is_told_apart() -> None:
    octets = update(ORIGIN, AS_PATH, NEXT_HOP, nlri=b"\x04\xe0\x09\x0a\xff")
    found = read(octets)
    assert found["announced"] == {"ipv4-unicast": ["10.128.0.0/9"]}
    assert found["ignored"] == {"announced": {"ipv4-unicast": ["224.0.0.0/4"]}}
    assert found["message"] == octets.hex()


def test_open() -> None:
    found = read(OPEN)
    assert {key: found[key] for key in ("version", "my_as", "hold_time", "identifier", "outcome")} == {
        "version": 4,
        "my_as": 23456,
        "hold_time": 90,
        "identifier": "1.2.3.4",
        "outcome": "ok",
    }
    known = {item["name"]: item for item in found["capabilities"] if "value" not in item}
    assert known["multiprotocol"]["family"] == "afi-25-safi-70"
    assert known["four-octet-as"]["asn"] == 4200000001
    assert known["role"]["role"] == "customer"
    assert known["fqdn"]["hostname"] == "rr1"
    assert known["add-path"]["families"] == [
        {"family": "ipv4-unicast", "mode": "both"},
        {"family": "ipv6-unicast", "mode": "receive"},
    ]
    assert known["graceful-restart"]["families"][1] == {"family": "ipv6-unicast", "forwarding": False}
    assert found["capabilities"][-2:] == [
        {"code": 128, "name": "capability-128", "value": "6162"},
        {"code": 65, "name": "four-octet-as", "value": "78"},
    ]


def test_notification_and_route_refresh() -> None:
    shutdown = read(encode(Notification(6, 2, encode_shutdown_communication("maintenance"))))
    assert (shutdown["error_code"], shutdown["error_subcode"]) == (6, 2)
    assert shutdown["name"] == "cease/administrative-shutdown"
    assert shutdown["shutdown_communication"] == "maintenance"
    refresh = read(encode(RouteRefresh(2, 1, 1)))
    assert (refresh["family"], refresh["subtype"]) == ("ipv6-unicast", "begin-of-route-refresh")
    assert read(encode(RouteRefresh(25, 70, 9)))["subtype"] == 9


@pytest.mark.parametrize(
    ("octets", "outcome", "error"),
    [
        (
            update(attribute(0x40, 1, b"\7"), AS_PATH, NEXT_HOP, nlri=b"\0"),
            "treat-as-withdraw",
            {"code": 3, "subcode": 6, "data": "40010107", "fault": "origin-value", "offset": 23},
        ),
        (
            update(ORIGIN, AS_PATH, NEXT_HOP, attribute(0x40, 6, b"x"), nlri=b"\0"),
            "attribute-discard",
            {"code": 3, "subcode": 5, "data": "40060178", "fault": "atomic_aggregate-length", "offset": 47},
        ),
        (
            update(ORIGIN, AS_PATH, NEXT_HOP, nlri=b"\x21\0\0\0\0"),
            "session-reset",
            {"code": 3, "subcode": 10, "data": "", "fault": "network-field", "offset": 47},
        ),
        (
            KEEPALIVE + b"x",
            "session-reset",
            {"code": 1, "subcode": 2, "data": "0013", "fault": "message-length", "offset": 16},
        ),
        (
            KEEPALIVE[:-1] + b"\x63",
            "session-reset",
            {"code": 1, "subcode": 3, "data": "63", "fault": "message-type", "offset": 18},
        ),
        (
            b"\0" + KEEPALIVE[1:],
            "session-reset",
            {"code": 1, "subcode": 1, "data": "", "fault": "marker", "offset": 0},
        ),
        (
            encode(Open(65001, 2, 1)),
            "session-reset",
            {"code": 2, "subcode": 6, "data": "", "fault": "open-hold-time", "offset": 22},
        ),
        (
            frame(5, b"\0\1\2\1\0"),
            "session-reset",
            {
                "code": 7,
                "subcode": 1,
                "data": frame(5, b"\0\1\2\1\0").hex(),
                "fault": "route-refresh-length",
                "offset": 16,
            },
        ),
        (
            KEEPALIVE[:9],
            "session-reset",
            {"code": 1, "subcode": 2, "data": "", "fault": "message-length", "offset": 16},
        ),
    ],
)
def test_bad_messages(octets: bytes, outcome: str, error: dict[str, Any]) -> None:
    found = read(octets)
    assert found["outcome"] == outcome
    assert {key: found["error"][key] for key in error} == error
    rule = RULES[error["fault"]]
    assert found["error"]["rule"] == f"{rule.source}: {rule.text}"
    assert found["error"]["rule"].startswith("RFC ")
    assert found["message"] == octets.hex()
    assert build.message(found) == octets


def test_a_bad_message_is_shown_as_far_as_it_goes() -> None:
    found = read(update(ORIGIN, AS_PATH, NEXT_HOP, nlri=b"\x08\x0a\x21\0\0\0\0"))
    assert found["attributes"]["as_path"] == "65001 65002"
    assert found["announced"] == {"ipv4-unicast": ["10.0.0.0/8"]}
    cut_off = read(OPEN[:27])
    assert (cut_off["type"], cut_off["version"], cut_off["hold_time"]) == ("OPEN", 4, 90)
    assert (cut_off["identifier"], cut_off["capabilities"]) == (None, [])


def test_the_strongest_and_first_fault_decides_and_all_are_told() -> None:
    parts = (attribute(0x40, 6, b"x"), attribute(0x40, 1, b"\7"), AS_PATH, attribute(0x40, 3, b"\0" * 4))
    found = read(update(*parts, nlri=b"\0"))
    assert found["error"]["fault"] == "origin-value"
    assert [error["fault"] for error in found["errors"]] == [
        "atomic_aggregate-length",
        "origin-value",
        "next_hop-value",
    ]


# --- forth and back ------------------------------------------------------------------------------------


def assert_inverse(octets: bytes, context: Context) -> dict[str, Any]:
    """Decode, encode, decode: the same again, and the same octets."""
    found = read(octets, context)
    again = build.message(found, not context.four_octet_as)
    assert again == octets
    assert read(again, context) == found
    return found


@settings(max_examples=400, deadline=None)
@given(strategies.examples())
def test_updates_forth_and_back(example: tuple[Context, bytes]) -> None:
    context, body = example
    if len(body) + 19 <= 65535:
        assert_inverse(frame(2, body), context)


@settings(max_examples=300, deadline=None)
@given(strategies.examples(strategies.updates))
def test_what_is_shown_is_what_a_receiver_takes(example: tuple[Context, bytes]) -> None:
    context, body = example
    found = read(frame(2, body), context)
    try:
        taken = decode_update(body, context, AttributeTable())
    except Notify:
        assert found["outcome"] == "session-reset"
        return
    assert found["outcome"] == taken.outcome.label
    for key, parts in (("announced", taken.announced), ("withdrawn", taken.withdrawn)):
        told: dict[str, list[object]] = {}
        for part in parts:
            texts: list[object] = [prefix.text(part.family, item) for item in part.prefixes]
            if part.path_ids is not None:
                texts = [{"prefix": t, "path_id": n} for t, n in zip(texts, part.path_ids, strict=True)]
            told.setdefault(part.family.name, []).extend(texts)
        shown = {name: items for name, items in found[key].items() if items}
        assert {name: sorted(map(str, items)) for name, items in shown.items()} == {
            name: sorted(map(str, items)) for name, items in told.items()
        }


@settings(max_examples=300, deadline=None)
@given(strategies.examples(strategies.updates))
def test_the_fields_alone_say_all_but_the_arrangement(example: tuple[Context, bytes]) -> None:
    """Without `message` the fields give a message that says the same, if not in the same octets."""
    context, body = example
    found = read(frame(2, body), context)
    fields = _fields(found)
    if found["outcome"] != "ok" or "ignored" in found or _ipv4_in_mp_unreach(body):
        return
    try:
        octets = build.message(fields, not context.four_octet_as)
    except Unfit as error:
        assert "65535" in str(error) or "do not fit one message" in str(error), error
        return
    assert _fields(read(octets, context)) == fields


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in ("message", "length", "ignored")}


def _ipv4_in_mp_unreach(body: bytes) -> bool:
    parts = anatomy.update(body)
    return any(item.type == 15 and item.value[:3] == b"\0\1\1" for item in parts.attributes)


capabilities = st.one_of(
    st.builds(Capability, st.integers(0, 255), st.binary(max_size=20)),
    st.sampled_from(CAPABILITIES.encode()),
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(capabilities, max_size=25),
    st.sampled_from([3, 4]),
    st.booleans(),
)
def test_opens_forth_and_back(
    my_as: int, hold_time: int, identifier: int, listed: list[Capability], version: int, extended: bool
) -> None:
    octets = encode_open(Open(my_as, hold_time, identifier, tuple(listed), version), extended)
    found = assert_inverse(octets, BOTH)
    assert len(found["capabilities"]) == len(listed)
    if found["outcome"] == "ok" and not extended:
        assert "message" not in found


def test_an_open_with_a_parameter_for_each_capability() -> None:
    listed = [b"\x02\x02" + struct.pack("!B", code) + b"\0" for code in (2, 70)]
    octets = frame(1, struct.pack("!BHHI", 4, 65001, 90, 1) + b"\x08" + b"".join(listed))
    found = assert_inverse(octets, BOTH)
    assert [item["name"] for item in found["capabilities"]] == ["route-refresh", "enhanced-route-refresh"]
    assert found["message"] == octets.hex()


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=60))
def test_notifications_forth_and_back(code: int, subcode: int, data: bytes) -> None:
    found = assert_inverse(encode(Notification(code, subcode, data)), BOTH)
    assert (found["outcome"], "message" in found) == ("ok", False)


@given(st.text(max_size=60))
def test_shutdown_communications_can_be_written(text: str) -> None:
    if not text or len(text.encode("utf-8", "replace")) > 128:
        return
    octets = build.message(
        {"type": "NOTIFICATION", "error_code": 6, "error_subcode": 2, "shutdown_communication": text}
    )
    assert octets == encode(Notification(6, 2, encode_shutdown_communication(text)))


@given(st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 255))
def test_route_refreshes_forth_and_back(afi: int, safi: int, subtype: int) -> None:
    assert "message" not in assert_inverse(encode(RouteRefresh(afi, safi, subtype)), BOTH)


@settings(deadline=None)
@given(st.integers(0, 255), st.binary(max_size=80), st.sampled_from([BOTH, Context(four_octet_as=False)]))
def test_anything_forth_and_back(kind: int, body: bytes, context: Context) -> None:
    for octets in (frame(kind % 7, body), frame(kind, body), frame(kind % 7, body)[: len(body) + 3], body):
        if octets:
            assert_inverse(octets, context)
            list(text_form.lines(octets, context, read(octets, context)))


def test_extended_messages() -> None:
    octets = update(
        ORIGIN, AS_PATH, NEXT_HOP, nlri=b"".join(b"\x20" + struct.pack("!I", n) for n in range(9000))
    )
    found = assert_inverse(octets, Context(extended_messages=True))
    assert found["outcome"] == "ok"
    assert read(octets)["error"]["fault"] == "message-length"
    with pytest.raises(Unfit, match="allow it with --extended"):
        build.message(found, maximum=4096)


# --- what cannot be written -----------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**33) | st.text(max_size=8) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["value", "prefix", "path_id", "family", "families", "nlri", "code", "name", "asn"]
            ),
            inner,
        )
    ),
    max_leaves=6,
)
keys = sorted({key for _, known in build._BUILDERS.values() for key in known})
known_maps = st.dictionaries(
    st.sampled_from(
        ["ipv4-unicast", "ipv6-unicast", "afi-1-safi-128", *(form.key for form in FORMS.values())]
    ),
    json_values,
    max_size=3,
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(build._BUILDERS)),
    st.dictionaries(st.sampled_from(keys), json_values | known_maps, max_size=4),
)
def test_encode_refuses_in_no_other_way(kind: str, fields: dict[str, Any]) -> None:
    try:
        octets = build.message({"type": kind, **fields})
    except Unfit as error:
        assert error.text
        assert error.remedy
    else:
        assert octets[18] == {"OPEN": 1, "UPDATE": 2, "NOTIFICATION": 3, "KEEPALIVE": 4}.get(kind, 5)


@given(st.sampled_from(sorted(FORMS)), json_values, st.sampled_from([2, 4]))
def test_attribute_values_are_refused_in_no_other_way(type_: int, value: object, width: int) -> None:
    try:
        attribute_form.write(type_, value, width)
    except Unfit as error:
        assert error.remedy


# --- the readable form ---------------------------------------------------------------------------------


def text(octets: bytes, context: Context = BOTH) -> list[str]:
    return list(text_form.lines(octets, context, json_form.read(octets, context)))


def test_text_of_an_update() -> None:
    reach = attribute(0x80, 14, b"\0\2\1\x10" + ipv6("2001:db8::1") + b"\0" + b"\x20\x20\x01\x0d\xb8")
    octets = update(
        reach, ORIGIN, AS_PATH, attribute(0xE0, 8, b"\xff\xff\xff\1"), attribute(0xC0, 200, b"\1"),
        withdrawn=b"\x08\x0a",
    )  # fmt: skip
    assert text(octets) == [
        "UPDATE, 82 octets: ok",
        "    21  withdrawn routes, 2 octets",
        "    21      10.0.0.0/8",
        "    25  path attributes, 57 octets",
        "    25    MP_REACH_NLRI ipv6-unicast, next hop 2001:db8::1",
        "    49      2001:db8::/32",
        "    54    ORIGIN IGP",
        "    58    AS_PATH 65001 65002",
        "    71    COMMUNITIES [optional transitive partial] NO_EXPORT",
        "    78    attribute 200 [optional transitive] 0x01",
    ]


def test_text_of_a_bad_update_marks_the_offending_octets() -> None:
    octets = update(attribute(0x40, 1, b"\7"), AS_PATH, NEXT_HOP, nlri=b"\x08\x0a")
    assert text(octets)[-6:] == [
        "    treat-as-withdraw at octet 23: RFC 7606 7.1: ORIGIN must be 0, 1 or 2",
        "    NOTIFICATION 3/6 update-message-error/invalid-origin-attribute, data 40010107",
        "      0000  ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff",
        "      0010  00 31 02 00 00 00 18 40 01 01 07 40 02 0a 02 02",
        "                                 ^^^^^^^^^^^",
        "      0020  00 00 fd e9 00 00 fd ea 40 03 04 c0 00 02 01 08",
    ]
    octets = update(ORIGIN, AS_PATH, NEXT_HOP, nlri=b"\x08\x0a\x21\0\0")
    assert "    49      no prefix: 210000" in text(octets)
    assert text(octets)[-1].strip() == "^^^^^^^^"
    octets = update(ORIGIN, attribute(0x40, 2, b"\x09\x01"), NEXT_HOP, nlri=b"\x08\x0a")
    assert text(octets)[-2].strip() == "^" * 14


def test_text_of_other_messages() -> None:
    lines = text(OPEN)
    assert lines[:5] == [
        "OPEN, 134 octets: ok",
        "    19  version 4",
        "    20  my autonomous system 23456",
        "    22  hold time 90",
        "    24  identifier 1.2.3.4",
    ]
    assert "    31    capability multiprotocol ipv4-unicast" in lines
    assert text(KEEPALIVE) == ["KEEPALIVE, 19 octets: ok"]
    shutdown = encode(Notification(6, 2, encode_shutdown_communication("bye\x1b[2J")))
    assert text(shutdown)[1] == "    19  cease/administrative-shutdown: bye\\x1b[2J"
    assert text(encode(RouteRefresh(1, 1, 2)))[1] == "    19  ipv4-unicast, subtype 2"
    assert text(update())[-1].strip() == "End-of-RIB of ipv4-unicast"
    assert text(b"\0" * 5)[0] == "no message, 5 octets: session-reset"


def test_no_text_holds_control_characters() -> None:
    nasty = Capabilities(fqdn=Fqdn("\x1b[2J", "\x07\n")).encode()
    for line in text(encode(Open(1, 90, 1, nasty))):
        assert line.isprintable()
    assert json.dumps(read(encode(Open(1, 90, 1, nasty)))).isprintable()


def everything() -> Iterator[bytes]:
    yield from (PLAIN, OPEN, KEEPALIVE, update())


def test_text_names_the_same_outcome_as_json() -> None:
    for octets in everything():
        for end in range(1, len(octets)):
            changed = octets[:end] + bytes((octets[end] ^ 0xFF,)) + octets[end + 1 :]
            assert text(changed)[0].endswith(f": {read(changed)['outcome']}")
            assert text(octets[:end])[0].endswith(f": {read(octets[:end])['outcome']}")


def test_who_changes_a_form_changes_no_other() -> None:
    """A later reading of the same octets shares nothing with an earlier one."""
    octets = encode(Open(65001, 90, 1, (Capability(5, bytes.fromhex("000100010002")),)))
    form = json_form.read(octets, Context())
    wanted = json.dumps(form)
    form["capabilities"][0]["families"][0]["family"] = "changed"
    assert json.dumps(json_form.read(octets, Context())) == wanted
