"""The reference by hand: for every rule about UPDATEs a message in octets, and what RFC 7606 makes of it.

The fast path is not touched here.  Rows give the whole verdict: the rule, the octet that is to blame
counted from the header's first, the data field, and the outcome.
"""

from dataclasses import dataclass, replace

import pytest

from bgp.errors import RULES, Notify, Outcome
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import ErrorCode
from bgp.wire.context import Context
from bgp.wire.reference import Verdict, decode

OK, DISCARD = Outcome.OK, Outcome.ATTRIBUTE_DISCARD
WITHDRAW, RESET = Outcome.TREAT_AS_WITHDRAW, Outcome.SESSION_RESET

EXTERNAL = Context(families=frozenset(FAMILIES))
INTERNAL = replace(EXTERNAL, internal=True)
OLD = replace(EXTERNAL, four_octet_as=False)

PREFIX = "18 c63364"  # 198.51.100.0/24
HERE = (IPV4_UNICAST, ((None, bytes.fromhex(PREFIX)),))
REACH6 = "800e1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8"
HERE6 = (IPV6_UNICAST, ((None, bytes.fromhex("20 20010db8")),))


def body(attributes: str = "", nlri: str = PREFIX, withdrawn: str = "") -> bytes:
    """Return an UPDATE of these fields in hexadecimal, without its header."""
    fields = [bytes.fromhex(field) for field in (withdrawn, attributes, nlri)]
    lengths = [len(field).to_bytes(2, "big") for field in fields]
    return lengths[0] + fields[0] + lengths[1] + fields[1] + fields[2]


@dataclass(frozen=True)
class Row:
    """A rule, and the attributes that break it.

    `attributes` follow a good ORIGIN (4 octets), AS_PATH (9, or 7 of an old speaker), NEXT_HOP (7) and
    for internal peers LOCAL_PREF (7), unless `alone`; then they stand there by themselves.  `at` is the
    offset of the fault behind what precedes; `data` is that of the NOTIFICATION the rule names.
    """

    rule: str
    attributes: str
    outcome: Outcome
    data: str = ""
    context: Context = EXTERNAL
    alone: bool = False
    nlri: str = PREFIX
    withdrawn: str = ""
    at: int = 0

    @property
    def before(self) -> str:
        if self.alone:
            return ""
        path = "400206 0201 0000fbf0" if self.context.four_octet_as else "400204 0201 fbf0"
        if self.context.confederation:
            path = path.replace("0201", "0301")
        return "400101 00" + path + "400304 c0000201" + ("400504 00000064" if self.context.internal else "")

    @property
    def body(self) -> bytes:
        return body(self.before + self.attributes, self.nlri, self.withdrawn)

    @property
    def offset(self) -> int:
        return 23 + len(bytes.fromhex(self.withdrawn + self.before)) + self.at


GOOD_ORIGIN, GOOD_PATH, GOOD_HOP = "400101 00", "400206 0201 0000fbf0", "400304 c0000201"
AGGREGATOR = "c00708 0000fbf0 c0000201"


def flags(rule: str, good: str, outcome: Outcome, context: Context = EXTERNAL, **more: object) -> list[Row]:
    """Return rows for each way in which the Optional and Transitive bits of one attribute can be wrong."""
    octets = bytes.fromhex(good)
    rows = []
    for bits in (0x40, 0x80, 0xC0):
        bad = (bytes([octets[0] ^ bits]) + octets[1:]).hex()
        attributes = bad + str(more.get("after", ""))
        rows.append(Row(rule, attributes, outcome, bad, context, alone="after" in more))
    return rows


ROWS = [
    # --- RFC 7606 3 b: length fields; RFC 7606 5.3 and 3 i, 3 j: routes
    Row("network-field", "", RESET, nlri=PREFIX + "21 0a00000080", at=4),
    Row("network-field", "", RESET, nlri=PREFIX + "18 0a00", at=4),
    Row("network-field", "", RESET, nlri="18"),
    Row("network-field", "", RESET, withdrawn="21 0a00000080", at=-6 - 2 - 20),
    Row("network-field", "", RESET, withdrawn=PREFIX + "08", at=-1 - 2 - 20),
    Row(
        "network-field",
        "",
        RESET,
        context=replace(EXTERNAL, add_path=frozenset({IPV4_UNICAST})),
        nlri="000000",
    ),
    # --- RFC 7606 3 g: repetitions
    Row("mp-repeated", REACH6 + REACH6, RESET, at=29),
    Row("mp-repeated", "800f03 000201" + "400f00", RESET, at=6),
    Row("attribute-repeated", "400101 07", DISCARD),
    Row("attribute-repeated", "c0c800" + "80c801 00", DISCARD, at=3),
    # --- RFC 7606 section 4: what overruns the list
    Row("attribute-overrun", "800405 00000001", WITHDRAW),
    Row("attribute-overrun", "c0", WITHDRAW),
    Row("attribute-overrun", "c008", WITHDRAW),
    Row("attribute-overrun", "d00800", WITHDRAW),
    Row("unrecognized-well-known", "406300", RESET, "406300"),
    Row("unrecognized-well-known", "006301aa", RESET, "006301aa"),
    # --- RFC 7606 3 d: missing attributes, at the octet behind the list
    Row("missing", GOOD_PATH + GOOD_HOP, WITHDRAW, "01", alone=True, at=16),
    Row("missing", GOOD_ORIGIN + GOOD_HOP, WITHDRAW, "02", alone=True, at=11),
    Row("missing", GOOD_ORIGIN + GOOD_PATH, WITHDRAW, "03", alone=True, at=13),
    Row("missing", GOOD_ORIGIN + GOOD_PATH + GOOD_HOP, WITHDRAW, "05", INTERNAL, alone=True, at=20),
    # --- 7.1 ORIGIN
    *flags("origin-flags", GOOD_ORIGIN, WITHDRAW, after=GOOD_PATH + GOOD_HOP),
    Row("origin-length", "400100" + GOOD_PATH + GOOD_HOP, WITHDRAW, "400100", alone=True),
    Row("origin-length", "4001020003" + GOOD_PATH + GOOD_HOP, WITHDRAW, "4001020003", alone=True),
    Row("origin-value", "40010103" + GOOD_PATH + GOOD_HOP, WITHDRAW, "40010103", alone=True),
    # --- 7.2 AS_PATH, RFC 9774, 5065, 7607
    *flags("as_path-flags", GOOD_PATH, WITHDRAW, after=GOOD_ORIGIN + GOOD_HOP),
    *(
        Row(
            "as_path-malformed",
            f"4002{len(value) // 2:02x}{value}{GOOD_ORIGIN}{GOOD_HOP}",
            WITHDRAW,
            alone=True,
        )
        for value in (
            "02010000fbf0" + "02",
            "0200",
            "00010000fbf0",
            "05010000fbf0",
            "02020000fbf0",
            "0201fbf0",
        )
    ),
    Row("as_path-set", "400206 0101 0000fbf0" + GOOD_ORIGIN + GOOD_HOP, WITHDRAW, alone=True),
    Row("as_path-set", "c01106 0101 0000fbf0", WITHDRAW, context=OLD),
    Row("as_path-set", "c01106 0401 0000fbf0", WITHDRAW, context=OLD),
    Row("as_path-confederation", "400206 0301 0000fbf0" + GOOD_ORIGIN + GOOD_HOP, WITHDRAW, alone=True),
    Row(
        "as_path-confederation",
        GOOD_PATH + GOOD_ORIGIN + GOOD_HOP,
        WITHDRAW,
        context=replace(EXTERNAL, confederation=True),
        alone=True,
    ),
    Row(
        "as_path-confederation",
        "400200" + GOOD_ORIGIN + GOOD_HOP,
        WITHDRAW,
        context=replace(EXTERNAL, confederation=True),
        alone=True,
    ),
    Row("as_path-zero", "40020a 0202 0000fbf0 00000000" + GOOD_ORIGIN + GOOD_HOP, WITHDRAW, alone=True),
    *(
        Row(
            "as_path-first",
            f"4002{path}{GOOD_ORIGIN}{GOOD_HOP}",
            WITHDRAW,
            context=replace(EXTERNAL, first_as=True, peer_as=64497),
            alone=True,
        )
        for path in ("00", "06 0201 0000fbf0", "0a 0202 0000fbf0 0000fbf1")
    ),
    # --- 7.3 NEXT_HOP, and RFC 4271 6.3
    *flags("next_hop-flags", GOOD_HOP, WITHDRAW, after=GOOD_ORIGIN + GOOD_PATH),
    *(
        Row("next_hop-length", hop + GOOD_ORIGIN + GOOD_PATH, WITHDRAW, hop, alone=True)
        for hop in ("400300", "400303c00002", "400305c000020100")
    ),
    *(
        Row("next_hop-value", f"400304{hop}{GOOD_ORIGIN}{GOOD_PATH}", WITHDRAW, f"400304{hop}", alone=True)
        for hop in ("00000000", "00c00002", "7f000001", "e0000001", "efffffff", "ffffffff")
    ),
    # --- 7.4 MULTI_EXIT_DISC, 7.5 LOCAL_PREF
    *flags("multi_exit_disc-flags", "800404 00000001", WITHDRAW),
    Row("multi_exit_disc-length", "800403 000001", WITHDRAW, "800403000001"),
    Row("multi_exit_disc-length", "800400", WITHDRAW, "800400"),
    Row("local_pref-external", "400504 00000064", DISCARD),
    Row("local_pref-external", "c00501 00", DISCARD),
    *flags(
        "local_pref-flags", "400504 00000064", WITHDRAW, INTERNAL, after=GOOD_ORIGIN + GOOD_PATH + GOOD_HOP
    ),
    Row(
        "local_pref-length",
        "40050101" + GOOD_ORIGIN + GOOD_PATH + GOOD_HOP,
        WITHDRAW,
        "40050101",
        INTERNAL,
        True,
    ),
    # --- 7.6 ATOMIC_AGGREGATE, 7.7 AGGREGATOR; 3 f makes their flags a discard too
    *flags("atomic_aggregate-flags", "400600", DISCARD),
    Row("atomic_aggregate-length", "40060100", DISCARD, "40060100"),
    *flags("aggregator-flags", AGGREGATOR, DISCARD),
    Row("aggregator-length", "c00706 fbf0 c0000201", DISCARD, "c00706fbf0c0000201"),
    Row("aggregator-length", "c00708 0000fbf0 c0000201", DISCARD, "c007080000fbf0c0000201", OLD),
    Row("aggregator-zero", "c00708 00000000 c0000201", DISCARD, "c0070800000000c0000201"),
    # --- 7.8 communities, 7.9 ORIGINATOR_ID, 7.10 CLUSTER_LIST
    *flags("communities-flags", "c00804 fbf00001", WITHDRAW),
    Row("communities-length", "c00800", WITHDRAW, "c00800"),
    Row("communities-length", "c00805 fbf0000100", WITHDRAW, "c00805fbf0000100"),
    Row("originator_id-external", "800904 c0000201", DISCARD),
    Row("originator_id-external", "800904 c0000201", DISCARD, context=replace(EXTERNAL, confederation=True)),
    *flags("originator_id-flags", "800904 c0000201", WITHDRAW, INTERNAL),
    Row("originator_id-length", "800905 c000020100", WITHDRAW, "800905c000020100", INTERNAL),
    Row("cluster_list-external", "800a00", DISCARD),
    *flags("cluster_list-flags", "800a04 c0000201", WITHDRAW, INTERNAL),
    Row("cluster_list-length", "800a00", WITHDRAW, "800a00", INTERNAL),
    Row("cluster_list-length", "800a06 c00002010000", WITHDRAW, "800a06c00002010000", INTERNAL),
    # --- 5.3, 7.11 MP_REACH_NLRI and MP_UNREACH_NLRI
    *flags("mp-flags", REACH6, RESET),
    *flags("mp-flags", "800f03 000201", RESET),
    Row("mp-length", "800f02 0002", RESET, "800f020002"),
    Row("mp-length", "800e04 00020100", RESET, "800e0400020100"),
    Row("mp-length", "800e08 00020104 c0000201", RESET, "800e0800020104c0000201"),
    *(
        Row("mp-next-hop", attribute, RESET, attribute)
        for attribute in ("800e05 00020100 00", "800e09 00020104 c0000201 00", "800e15 00010110" + "00" * 17)
    ),
    Row("mp-network-field", "800f05 000201 8120", RESET, "800f05 000201 8120"),
    Row("mp-network-field", "800f04 000101 08", RESET, "800f04 000101 08"),
    Row("mp-network-field", "800e0b 00010104 c0000201 00 18 c6", RESET, "800e0b 00010104 c0000201 00 18 c6"),
    # --- 7.14, 7.15 and RFC 8092 6, 9234 5: the other lists and OTC
    *flags("extended_communities-flags", "c01008 0002fbf000000001", WITHDRAW),
    Row("extended_communities-length", "c01007 0002fbf0000000", WITHDRAW, "c010070002fbf0000000"),
    *flags("ipv6_extended_communities-flags", "c01914" + "00" * 20, WITHDRAW),
    Row("ipv6_extended_communities-length", "c01900", WITHDRAW, "c01900"),
    *flags("large_communities-flags", "c0200c" + "00" * 12, WITHDRAW),
    Row("large_communities-length", "c0200b" + "00" * 11, WITHDRAW, "c0200b" + "00" * 11),
    *flags("only_to_customer-flags", "c02304 0000fbf0", WITHDRAW),
    Row("only_to_customer-length", "c02302 fbf0", WITHDRAW, "c02302fbf0"),
    # --- RFC 6793 sections 4.1 and 6, RFC 7607
    Row("as4_path-new", "c01106 0201 00010000", DISCARD),
    Row("as4_path-new", "401101 00", DISCARD),
    *flags("as4_path-flags", "c01106 0201 00010000", WITHDRAW, OLD),
    *(
        Row(
            "as4_path-malformed",
            f"c011{len(value) // 2:02x}{value}",
            DISCARD,
            f"c011{len(value) // 2:02x}{value}",
            OLD,
        )
        for value in ("", "0200", "02010001", "0202000100000000", "050100010000", "02010001000002")
    ),
    Row("as4_path-confederation", "c01106 0301 00010000", DISCARD, "c01106030100010000", OLD),
    Row("as4_path-zero", "c01106 0201 00000000", DISCARD, "c01106020100000000", OLD),
    Row("as4_aggregator-new", "c01208 00010000 c0000201", DISCARD),
    *flags("as4_aggregator-flags", "c01208 00010000 c0000201", WITHDRAW, OLD),
    Row("as4_aggregator-length", "c01206 fbf0 c0000201", DISCARD, "c01206fbf0c0000201", OLD),
    Row("as4_aggregator-zero", "c01208 00000000 c0000201", DISCARD, "c0120800000000c0000201", OLD),
    # --- RFC 7311 sections 3.2 and 3.3
    Row("aigp-disabled", "801a00", DISCARD, "801a00"),
    *flags("aigp-flags", "801a0b 01000b 0000000000000001", DISCARD, replace(INTERNAL, aigp=True)),
    *(
        Row(
            "aigp-malformed",
            f"801a{len(value) // 2:02x}{value}",
            DISCARD,
            f"801a{len(value) // 2:02x}{value}",
            replace(INTERNAL, aigp=True),
        )
        for value in (
            "",
            "0100",
            "01000bffffffffffffffff",
            "01000a00000000000000",
            "01000b00000000000001",
            "020002",
            "02000400" + "01000bffffffffffffffff",
        )
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{at}-{row.rule}" for at, row in enumerate(ROWS)])
def test_row(row: Row) -> None:
    rule = RULES[row.rule]
    data = bytes.fromhex(row.data)
    if row.outcome is RESET:
        with pytest.raises(Notify) as caught:
            decode(row.body, row.context)
        notify = caught.value
        assert (notify.rule, notify.offset, notify.data) == (rule, row.offset, data)
        assert (notify.code, notify.subcode) == (3, rule.subcode)
        return
    verdict = decode(row.body, row.context)
    assert [(fault.rule, fault.offset, fault.data) for fault in verdict.faults] == [(rule, row.offset, data)]
    assert verdict.outcome is row.outcome
    routes = verdict.announced if row.outcome is DISCARD else verdict.withdrawn
    assert [(part.family, part.routes) for part in routes] == [HERE]
    assert not (verdict.withdrawn if row.outcome is DISCARD else verdict.announced)


def test_every_rule_has_a_row() -> None:
    rules = {name for name, rule in RULES.items() if rule.code == ErrorCode.UPDATE_MESSAGE_ERROR}
    # The length fields have a test of their own.
    assert {row.rule for row in ROWS} | {"attribute-list"} == rules


@pytest.mark.parametrize(
    ("octets", "offset"),
    [("0001 0000", 19), ("0001 00 00", 19), ("ffff 0000", 19), ("0000 0001", 21), ("0002 0800 0002 00", 23)],
)
def test_length_fields_overrun_the_message(octets: str, offset: int) -> None:
    with pytest.raises(Notify) as caught:
        decode(bytes.fromhex(octets), EXTERNAL)
    assert (caught.value.code, caught.value.subcode, caught.value.data) == (3, 1, b"")
    assert (caught.value.rule, caught.value.offset) == (RULES["attribute-list"], offset)


# --- Several faults, and no routes ----------------------------------------------------------------------


def test_the_strongest_reaction_wins() -> None:
    # RFC 7606 3 h: AGGREGATOR is a discard, MULTI_EXIT_DISC treat-as-withdraw.
    row = Row("", "c00700" + "800400", WITHDRAW)
    verdict = decode(row.body, EXTERNAL)
    assert verdict.outcome is WITHDRAW
    assert [fault.rule.name for fault in verdict.faults] == ["aggregator-length", "multi_exit_disc-length"]


@pytest.mark.parametrize("attributes", ["800400" + "406300", "406300" + "800400", "406300" + "416400"])
def test_the_first_reset_in_wire_order_is_the_verdict(attributes: str) -> None:
    with pytest.raises(Notify) as caught:
        decode(Row("", attributes, RESET, nlri="21").body, EXTERNAL)
    assert (caught.value.subcode, caught.value.data) == (2, bytes.fromhex("406300"))


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ("400101 03", "origin-value"),
        ("c00700" + "800400" + "400101 03", "multi_exit_disc-length"),
        ("40", "attribute-overrun"),
        ("800f03 000201" + "800400", "multi_exit_disc-length"),
        ("800e05 000102 00 00" + "800400", "multi_exit_disc-length"),
    ],
)
def test_nothing_to_withdraw_resets(attributes: str, rule: str) -> None:
    """RFC 7606 section 5.2: the first fault that is more than a discard."""
    with pytest.raises(Notify) as caught:
        decode(body(attributes, ""), EXTERNAL)
    assert caught.value.rule is RULES[rule]


@pytest.mark.parametrize(
    ("attributes", "outcome", "ignored"),
    [
        ("c00700", DISCARD, ()),
        # Routes of a family that is ignored are routes, so there is no doubt where they stand.
        ("800e06 000102 00 00 00" + "800400", WITHDRAW, ((1, 2),)),
        (REACH6 + "800400", WITHDRAW, ()),
    ],
)
def test_something_to_withdraw_keeps_the_session(
    attributes: str, outcome: Outcome, ignored: tuple[tuple[int, int], ...]
) -> None:
    verdict = decode(body(attributes + GOOD_ORIGIN + GOOD_PATH, ""), EXTERNAL)
    assert (verdict.outcome, verdict.ignored) == (outcome, ignored)


def test_treat_as_withdraw_takes_all_routes_along() -> None:
    unreach = "800f08 000201 20 20010db9"
    found = decode(Row("", unreach + REACH6 + "800400", WITHDRAW, withdrawn="08 0a").body, EXTERNAL)
    assert [(part.family, part.routes) for part in found.withdrawn] == [
        (IPV4_UNICAST, ((None, b"\x08\x0a"),)),
        (IPV6_UNICAST, ((None, bytes.fromhex("20 20010db9")),)),
        HERE6,
        HERE,
    ]
    assert found.announced == ()


@pytest.mark.parametrize("hop", ["400300", "c00304 c0000201", "400304 7f000001"])
def test_next_hop_beside_mp_reach_alone_means_nothing(hop: str) -> None:
    found = decode(body(hop + GOOD_ORIGIN + GOOD_PATH + REACH6, ""), EXTERNAL)
    assert (found.outcome, [(part.family, part.routes) for part in found.announced]) == (OK, [HERE6])
    assert decode(body(hop + GOOD_ORIGIN + GOOD_PATH + REACH6), EXTERNAL).outcome is WITHDRAW


# --- What is kept ---------------------------------------------------------------------------------------


def kept(verdict: Verdict) -> str:
    (announcement,) = verdict.announced
    return announcement.octets.hex(" ")


def test_canonical_form() -> None:
    """Ascending types, the shortest lengths, Partial where it belongs, nothing that is discarded."""
    received = (
        "c0c801aa"  # unknown and transitive: goes on with Partial
        + "80c901aa"  # unknown and not transitive: goes no further
        + "e00804fbf00001"  # Partial stays once set
        + "f0200018" + "00000001" * 6  # a duplicate among large communities, an extended length
        + "af0404" + "00000007"  # Partial and unused bits of what cannot have them
        + "400504" + "00000064"  # from outside
    )  # fmt: skip
    (found,) = decode(Row("", received, OK).body, EXTERNAL).announced
    assert found.next_hop == bytes.fromhex("c0000201")
    assert found.octets == bytes.fromhex(
        "400101 00" "400206 0201 0000fbf0" "800404 00000007" "e00804 fbf00001"
        "e0200c 000000010000000100000001" "e0c801 aa"
    )  # fmt: skip


def test_long_values_have_an_extended_length() -> None:
    long = "d008 0100" + "fbf00001" * 64
    assert bytes.fromhex(long) in decode(Row("", long, OK).body, EXTERNAL).announced[0].octets


def test_host_bits_are_cleared_and_multicast_is_dropped() -> None:
    found = decode(Row("", "", OK, nlri="19 0a0001ff" + "08 e0" + "04 e0" + "03 ff" + "00").body, EXTERNAL)
    assert [prefix.hex() for _, prefix in found.announced[0].routes] == ["190a000180", "03e0", "00"]
    reach = "800e1a 0002 01 10 20010db8000000000000000000000001 00 08 ff 07 ff 00"
    (part,) = decode(body(GOOD_ORIGIN + GOOD_PATH + reach, ""), EXTERNAL).announced
    assert [prefix.hex() for _, prefix in part.routes] == ["07fe", "00"]


def test_path_identifiers() -> None:
    context = replace(EXTERNAL, add_path=frozenset({IPV4_UNICAST}))
    found = decode(
        Row("", REACH6, OK, nlri="00000007 08 0a ffffffff 08 0a", withdrawn="00000000 00").body, context
    )
    assert found.withdrawn[0].routes == ((0, b"\0"),)
    assert [part.routes for part in found.announced] == [
        HERE6[1],
        ((7, b"\x08\x0a"), (2**32 - 1, b"\x08\x0a")),
    ]


# --- AS4_PATH and AS4_AGGREGATOR (RFC 6793 section 4.2.3) -----------------------------------------------


def sequence(*asns: int, width: int = 4, type: int = 2) -> str:
    return f"{type:02x}{len(asns):02x}" + "".join(f"{asn:0{2 * width}x}" for asn in asns)


def attribute(flags: str, type: int, value: str) -> str:
    return f"{flags}{type:02x}{len(value) // 2:02x}{value}"


TRANS = 23456
SETS = replace(OLD, as_sets=True)
INSIDE = replace(OLD, confederation=True)


@pytest.mark.parametrize(
    ("path", "as4_path", "merged", "context"),
    [
        # The leading ASes of AS_PATH, then AS4_PATH; sequences become one.
        (sequence(1, 2, TRANS, TRANS, width=2), sequence(70000, 80000), sequence(1, 2, 70000, 80000), OLD),
        (sequence(TRANS, TRANS, width=2), sequence(70000, 80000), sequence(70000, 80000), OLD),
        # Fewer in AS_PATH: AS4_PATH is ignored.
        (sequence(TRANS, width=2), sequence(70000, 80000), sequence(TRANS), OLD),
        ("", sequence(70000), "", OLD),
        # A set counts as one, and stands or falls as a whole.
        (
            sequence(1, 2, 3, width=2, type=1) + sequence(TRANS, width=2),
            sequence(70000),
            sequence(1, 2, 3, type=1) + sequence(70000),
            SETS,
        ),
        (
            sequence(1, width=2) + sequence(2, 3, width=2, type=1),
            sequence(70000, 3, type=1),
            sequence(1) + sequence(70000, 3, type=1),
            SETS,
        ),
        # Confederation segments: leading ones stay, those behind the prepended part go, and those in
        # AS4_PATH are dropped with a fault.
        (
            sequence(9, width=2, type=3) + sequence(1, TRANS, width=2),
            sequence(70000),
            sequence(9, type=3) + sequence(1, 70000),
            INSIDE,
        ),
        (
            sequence(9, width=2, type=3) + sequence(TRANS, width=2) + sequence(8, width=2, type=3),
            sequence(70000),
            sequence(9, type=3) + sequence(70000),
            INSIDE,
        ),
        (
            sequence(9, width=2, type=3)
            + sequence(1, width=2)
            + sequence(8, width=2, type=3)
            + sequence(2, width=2),
            sequence(70000),
            sequence(9, type=3) + sequence(1) + sequence(8, type=3) + sequence(70000),
            INSIDE,
        ),
        (sequence(1, TRANS, width=2), sequence(9, type=3) + sequence(70000), sequence(1, 70000), OLD),
        (sequence(1, TRANS, width=2), sequence(9, type=3), sequence(1, TRANS), OLD),
    ],
)
def test_as4_path(path: str, as4_path: str, merged: str, context: Context) -> None:
    attributes = GOOD_ORIGIN + attribute("40", 2, path) + GOOD_HOP + attribute("c0", 17, as4_path)
    found = decode(body(attributes), context)
    assert kept(found) == bytes.fromhex(GOOD_ORIGIN + attribute("40", 2, merged)).hex(" ")


def test_sequences_too_long_for_one_segment_stay_two() -> None:
    full = range(70000, 70255)
    path = sequence(1, width=2) + sequence(*[TRANS] * 255, width=2)
    as4 = sequence(*full)
    attributes = GOOD_ORIGIN + f"5002{len(path) // 2:04x}{path}" + GOOD_HOP + f"d011{len(as4) // 2:04x}{as4}"
    (announcement,) = decode(body(attributes), OLD).announced
    assert announcement.values.as_path == ((2, (1,)), (2, tuple(full)))
    assert announcement.values.as_path_length == 256


ADDRESS, OTHER = "c0000201", "c0000202"


@pytest.mark.parametrize(
    ("aggregator", "as4_aggregator", "kept_aggregator", "path"),
    [
        ("5ba0" + ADDRESS, "00011170" + OTHER, "00011170" + OTHER, sequence(70000)),
        # Not AS_TRANS: both AS4 attributes are ignored.
        ("fbf0" + ADDRESS, "00011170" + OTHER, "0000fbf0" + ADDRESS, sequence(TRANS)),
        # With one of the two alone AS4_PATH is used as ever.
        ("fbf0" + ADDRESS, "", "0000fbf0" + ADDRESS, sequence(70000)),
        ("5ba0" + ADDRESS, "", "00005ba0" + ADDRESS, sequence(70000)),
        ("", "00011170" + OTHER, "", sequence(70000)),
    ],
)
def test_as4_aggregator(aggregator: str, as4_aggregator: str, kept_aggregator: str, path: str) -> None:
    attributes = GOOD_ORIGIN + attribute("40", 2, sequence(TRANS, width=2)) + GOOD_HOP
    if aggregator:
        attributes += attribute("c0", 7, aggregator)
    attributes += attribute("c0", 17, sequence(70000))
    if as4_aggregator:
        attributes += attribute("c0", 18, as4_aggregator)
    wanted = GOOD_ORIGIN + attribute("40", 2, path)
    if kept_aggregator:
        wanted += attribute("c0", 7, kept_aggregator)
    assert kept(decode(body(attributes), OLD)) == bytes.fromhex(wanted).hex(" ")


def test_the_first_as_is_that_of_the_merged_path() -> None:
    context = replace(OLD, first_as=True, peer_as=70000)
    attributes = GOOD_ORIGIN + attribute("40", 2, sequence(TRANS, width=2)) + GOOD_HOP
    assert decode(body(attributes + attribute("c0", 17, sequence(70000))), context).outcome is OK
    (fault,) = decode(body(attributes + attribute("c0", 17, sequence(80000))), context).faults
    assert (fault.rule.name, fault.offset) == ("as_path-first", 27)


# --- End-of-RIB and families that were not negotiated ---------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "families", "end_of_rib", "ignored"),
    [
        ("0000 0000", FAMILIES, IPV4_UNICAST, ()),
        ("0000 0000", (IPV6_UNICAST,), None, ((1, 1),)),
        ("0000 0006 800f03 000201", FAMILIES, IPV6_UNICAST, ()),
        ("0000 0006 800f03 000101", FAMILIES, IPV4_UNICAST, ()),
        ("0000 0007 900f0003 000201", FAMILIES, IPV6_UNICAST, ()),
        ("0000 0006 800f03 000201", (IPV4_UNICAST,), None, ((2, 1),)),
        ("0000 0007 800f04 000201 00", FAMILIES, None, ()),
        ("0000 000a 800f03 000201 40010100", FAMILIES, None, ()),
        ("0001 00 0006 800f03 000201", FAMILIES, None, ()),
        ("0000 0004 40010100", FAMILIES, None, ()),
    ],
)
def test_end_of_rib(
    octets: str, families: tuple[Family, ...], end_of_rib: object, ignored: tuple[tuple[int, int], ...]
) -> None:
    verdict = decode(bytes.fromhex(octets), replace(EXTERNAL, families=frozenset(families)))
    assert (verdict.outcome, verdict.end_of_rib, verdict.ignored) == (OK, end_of_rib, ignored)


def test_classic_fields_without_ipv4_unicast_are_ignored() -> None:
    context = replace(EXTERNAL, families=frozenset({IPV6_UNICAST}))
    verdict = decode(body(GOOD_ORIGIN + REACH6 + GOOD_PATH, "ff", "ff"), context)
    assert verdict.ignored == ((1, 1), (1, 1))
    assert [(part.family, part.routes) for part in verdict.announced] == [HERE6]


def test_values() -> None:
    attributes = "400600" + AGGREGATOR + "c00808 fbf00001 ffffff01" + "800904 01020304" + "800a04 05060708"
    attributes += "c01008 0002fbf000000001" + "c0200c 000000010000000200000003" + "c02304 0000fbf1"
    attributes += "800404 00000009" + "801a0b 01000b 0000000000000005" + "c01914" + "01" * 20
    (part,) = decode(Row("", attributes, OK, context=INTERNAL).body, replace(INTERNAL, aigp=True)).announced
    values = part.values
    assert (values.origin, values.as_path, values.as_path_length) == (0, ((2, (64496,)),), 1)
    assert (values.med, values.local_pref, values.atomic_aggregate) == (9, 100, True)
    assert (values.aggregator, values.only_to_customer) == ((64496, bytes.fromhex("c0000201")), 64497)
    assert (values.communities, values.large_communities) == ((0xFBF00001, 0xFFFFFF01), ((1, 2, 3),))
    assert values.extended_communities == (bytes.fromhex("0002fbf000000001"),)
    assert values.ipv6_extended_communities == (b"\x01" * 20,)
    assert (values.originator_id, values.cluster_list) == (b"\1\2\3\4", (b"\5\6\7\x08",))
    assert values.aigp == 5


@pytest.mark.parametrize("length", [4, 16, 32])
def test_ipv6_next_hops_of_ipv4_routes(length: int) -> None:
    """RFC 8950 section 3: with the capability, lengths 16 and 32 as well as 4."""
    context = replace(EXTERNAL, extended_next_hop=frozenset({IPV4_UNICAST}))
    value = f"000101 {length:02x} {'20' * length} 00 {PREFIX}".replace(" ", "")
    attributes = GOOD_ORIGIN + GOOD_PATH + f"800e{len(value) // 2:02x}" + value
    (part,) = decode(body(attributes, ""), context).announced
    assert (part.family, part.routes, part.next_hop) == (*HERE, b"\x20" * length)
