"""UPDATEs with one thing wrong: every row of RFC 7606 and of RFC 4271 section 6.3, and what extends them.

A row says how a good announcement of the victim is broken; what is demanded then follows from that.
"""

from collections.abc import Callable, Iterator
from random import Random

from bgp.errors import RULES
from bgp.family import IPV6_UNICAST
from bgp.iana import AttributeType
from bgp.testing.breakage import BREAKERS
from bgp.testing.conformance.acts import (
    UNKNOWN,
    Applies,
    add,
    again,
    both,
    external,
    flip,
    internal,
    lengths,
    nlri,
    only_attributes,
    path,
    put,
    raw,
    reach,
    remove,
    segment,
    tail,
    two_octets,
    unreach,
    update,
    withdrawn,
)
from bgp.testing.conformance.case import Answer, Case, Demand
from bgp.testing.conformance.scene import BOTH, NEW_MARK, OPTIONAL, WELL_KNOWN, Scene
from bgp.testing.draft import Draft
from bgp.wire.context import Context

T = AttributeType

# A value of each attribute that breaks nothing, and its flags: what the rows about flags begin with.
_VALID: tuple[tuple[str, int, int, bytes, Applies, bool], ...] = (
    ("origin", T.ORIGIN, WELL_KNOWN, b"\0", lambda scene: "", False),
    ("as_path", T.AS_PATH, WELL_KNOWN, b"", lambda scene: "", False),
    ("next_hop", T.NEXT_HOP, WELL_KNOWN, b"", lambda scene: "", False),
    ("multi_exit_disc", T.MULTI_EXIT_DISC, OPTIONAL, bytes(4), lambda scene: "", False),
    ("local_pref", T.LOCAL_PREF, WELL_KNOWN, b"", internal, False),
    ("atomic_aggregate", T.ATOMIC_AGGREGATE, WELL_KNOWN, b"", lambda scene: "", False),
    ("aggregator", T.AGGREGATOR, BOTH, bytes.fromhex("0000fbf5 c0000201"), lambda scene: "", False),
    ("communities", T.COMMUNITIES, BOTH, bytes.fromhex("fde70001"), lambda scene: "", False),
    ("originator_id", T.ORIGINATOR_ID, OPTIONAL, bytes.fromhex("c0000207"), internal, False),
    ("cluster_list", T.CLUSTER_LIST, OPTIONAL, bytes.fromhex("c0000207"), internal, False),
    (
        "extended_communities",
        T.EXTENDED_COMMUNITIES,
        BOTH,
        bytes.fromhex("0002fde900000001"),
        lambda s: "",
        False,
    ),
    ("as4_path", T.AS4_PATH, BOTH, bytes.fromhex("0201 00010000"), two_octets, True),
    ("as4_aggregator", T.AS4_AGGREGATOR, BOTH, bytes.fromhex("00010000 c0000201"), two_octets, True),
    ("large_communities", T.LARGE_COMMUNITIES, BOTH, bytes(11) + b"\1", lambda scene: "", False),
    ("only_to_customer", T.ONLY_TO_CUSTOMER, BOTH, bytes.fromhex("0000fbf4"), external, False),
)
# name, type, flags, wrong values by their name, section of RFC 7606 or another RFC, for which sessions
_WRONG: tuple[tuple[str, int, int, dict[str, bytes], str, Applies, bool], ...] = (
    ("origin", T.ORIGIN, WELL_KNOWN, {"0": b"", "2": b"\0\0"}, "RFC 7606 7.1", lambda s: "", False),
    ("next_hop", T.NEXT_HOP, WELL_KNOWN, {"0": b"", "3": b"\xc0\0\2", "5": bytes(5), "16": bytes(16)},
     "RFC 7606 7.3", lambda s: "", False),
    ("multi_exit_disc", T.MULTI_EXIT_DISC, OPTIONAL, {"0": b"", "3": bytes(3), "5": bytes(5)},
     "RFC 7606 7.4", lambda s: "", False),
    ("local_pref", T.LOCAL_PREF, WELL_KNOWN, {"0": b"", "3": bytes(3), "5": bytes(5)},
     "RFC 7606 7.5", internal, False),
    ("atomic_aggregate", T.ATOMIC_AGGREGATE, WELL_KNOWN, {"1": b"\0"}, "RFC 7606 7.6", lambda s: "", False),
    ("aggregator", T.AGGREGATOR, BOTH, {"0": b"", "6": bytes.fromhex("fbf5c0000201"), "9": bytes(9)},
     "RFC 7606 7.7", lambda s: "", False),
    ("communities", T.COMMUNITIES, BOTH, {"0": b"", "3": bytes(3), "5": b"\xfd\xe7\0\1\xfd"},
     "RFC 7606 7.8", lambda s: "", False),
    ("originator_id", T.ORIGINATOR_ID, OPTIONAL, {"0": b"", "3": bytes(3), "5": bytes(5)},
     "RFC 7606 7.9", internal, False),
    ("cluster_list", T.CLUSTER_LIST, OPTIONAL, {"0": b"", "3": bytes(3), "5": bytes(5)},
     "RFC 7606 7.10", internal, False),
    ("extended_communities", T.EXTENDED_COMMUNITIES, BOTH, {"0": b"", "7": bytes(7), "12": bytes(12)},
     "RFC 7606 7.14", lambda s: "", False),
    ("ipv6_extended_communities", T.IPV6_EXTENDED_COMMUNITIES, BOTH,
     {"0": b"", "19": bytes(19), "21": bytes(21)}, "RFC 7606 7.15", lambda s: "", False),
    ("large_communities", T.LARGE_COMMUNITIES, BOTH, {"0": b"", "11": bytes(11), "13": bytes(13)},
     "RFC 8092 6", lambda s: "", False),
    ("as4_aggregator", T.AS4_AGGREGATOR, BOTH, {"0": b"", "7": bytes(7), "9": bytes(9)},
     "RFC 6793 6", two_octets, True),
    ("only_to_customer", T.ONLY_TO_CUSTOMER, BOTH, {"0": b"", "3": bytes(3), "5": bytes(5)},
     "RFC 9234 5", external, False),
)  # fmt: skip
_IGNORES_SETS = ((Demand(Answer.ACCEPT), "RFC 9774 is of 2025: before it AS_SETs were good (RFC 4271 4.3)"),)
_MAY_IGNORE_FIRST = ((Demand(Answer.ACCEPT), "RFC 4271 6.3: the first AS MAY be checked"),)
_BY_FLAGS = ((Demand(Answer.WITHDRAW), "RFC 7606 3 c, read on its own"),)
_ANY_SUBCODE = ((Demand(Answer.RESET, 3, None), "RFC 7606 asks for a session reset, by whatever subcode"),)
_OLD_FAULT = ((Demand(Answer.RESET, 3, None), "RFC 4271 6.3: a fault, which RFC 7606 does not soften"),)


def _flags() -> Iterator[Case]:
    for name, type, flags, value, applies, old in _VALID:
        for bits, bit in ((0x80, "optional"), (0x40, "transitive")):
            discarded = type in (T.ATOMIC_AGGREGATE, T.AGGREGATOR)
            yield update(
                f"{name}-flags-{bit}",
                f"RFC 7606 3 {'f' if discarded else 'c'}, RFC 4271 6.3",
                f"{name.upper()} with the {bit.title()} bit turned",
                flip(type, bits, value, flags),
                two_octet_as=old,
                applies=applies,
                about=(type,),
                allowed=_BY_FLAGS if discarded else (),
            )


def _values() -> Iterator[Case]:
    for name, type, flags, values, source, applies, old in _WRONG:
        for length, value in values.items():
            yield update(
                f"{name}-length-{length}",
                f"{source}, RFC 4271 6.3" if type <= T.AGGREGATOR else source,
                f"{name.upper()} of {length} octets",
                put(flags, type, value),
                two_octet_as=old,
                applies=applies,
                about=(type,),
            )


def _paths() -> Iterator[Case]:
    good = "AS_PATH with "
    malformed: dict[str, tuple[str, Callable[[Scene], bytes]]] = {
        "segment-type-5": ("a segment of type 5", segment(5, 64503)),
        "segment-type-0": ("a segment of type 0", segment(0, 64503)),
        "empty-segment": ("a segment of no AS", segment(2)),
        "overrun": (
            "a segment of more ASes than there are",
            lambda scene: scene.as_path(NEW_MARK) + b"\2\3" + bytes(4),
        ),
        "count-255": ("a first segment of 255 ASes", lambda scene: b"\2\xff" + scene.as_path(NEW_MARK)[2:]),
        "underrun": ("one octet behind the last segment", lambda scene: scene.as_path(NEW_MARK) + b"\2"),
    }
    for name, (text, make) in malformed.items():
        yield update(
            f"as_path-{name}", "RFC 7606 7.2, RFC 4271 6.3", good + text, path(make), about=(T.AS_PATH,)
        )
    yield update(
        "as_path-width",
        "RFC 6793 4.1, RFC 7606 7.2",
        "AS numbers of two octets where four were negotiated",
        path(lambda scene: bytes.fromhex("0203 fbf5 fbf6 fbf7")),
    )
    yield update(
        "as_path-set", "RFC 9774 3", good + "an AS_SET", path(segment(1, 64503)), allowed=_IGNORES_SETS
    )
    yield update(
        "as_path-confederation",
        "RFC 5065 5, RFC 7606 7.2",
        good + "AS_CONFED_SEQUENCE from outside the confederation",
        path(lambda scene: bytes([3, 1]) + (64503).to_bytes(scene.width, "big") + scene.as_path(NEW_MARK)),
        applies=external,
    )
    yield update("as_path-zero", "RFC 7607 2", good + "AS 0", path(segment(2, 0)))
    yield update(
        "as_path-first",
        "RFC 4271 6.3",
        good + "another AS than the peer's in front",
        path(lambda scene: bytes([2, 1]) + (64503).to_bytes(scene.width, "big")),
        applies=external,
        allowed=_MAY_IGNORE_FIRST,
    )
    yield update(
        "as_path-empty",
        "RFC 4271 5.1.2, RFC 4271 6.3",
        "an empty AS_PATH from an external peer",
        path(lambda scene: b""),
        applies=external,
        allowed=_MAY_IGNORE_FIRST,
    )
    new_path = {"empty": b"", "overrun": bytes.fromhex("0203 00010000"), "segment-type-9": b"\x09\1\0\1\0\0"}
    for name, value in new_path.items():
        yield update(
            f"as4_path-{name}",
            "RFC 6793 6",
            f"AS4_PATH that is malformed: {name.replace('-', ' ')}",
            put(BOTH, T.AS4_PATH, value),
            two_octet_as=True,
            applies=two_octets,
        )
    yield update(
        "as4_path-new",
        "RFC 6793 4.1",
        "AS4_PATH between speakers of four-octet AS numbers",
        put(BOTH, T.AS4_PATH, bytes.fromhex("0201 00010000")),
        about=(T.AS4_PATH,),
    )


def _structure() -> Iterator[Case]:
    malformed, prefixes = "RFC 7606 3 b, RFC 4271 6.3", "RFC 7606 5.3, RFC 4271 6.3"
    yield update("withdrawn-overrun", malformed, "Withdrawn Routes Length beyond the message", lengths(2000))
    yield update(
        "attributes-overrun", malformed, "Total Attribute Length beyond the message", lengths(0, 2000)
    )
    yield update("nlri-33", prefixes, "a prefix of 33 bits in the NLRI", nlri(b"\x21" + bytes(5)))
    yield update("nlri-overrun", prefixes, "a prefix that overruns the NLRI", nlri(b"\x18\xc6\x13"))
    yield update("withdrawn-33", f"RFC 7606 3 i, {prefixes}", "a prefix of 33 bits to withdraw",
                 withdrawn(b"\x21" + bytes(5)))  # fmt: skip
    yield update("withdrawn-prefix-overrun", f"RFC 7606 3 i, {prefixes}",
                 "a prefix that overruns Withdrawn Routes", withdrawn(b"\x18\xc6\x13"))  # fmt: skip
    yield update("attribute-overrun", "RFC 7606 4", "the last attribute overruns the Path Attributes",
                 tail(b"\xc0\x08\xff\0\0\0\0"))  # fmt: skip
    yield update("attribute-header-2", "RFC 7606 4", "two octets left behind the last attribute",
                 tail(b"\xc0\x08"))  # fmt: skip
    yield update("attribute-header-extended", "RFC 7606 4", "an Extended Length of which an octet is missing",
                 tail(b"\xd0\x08\x00"))  # fmt: skip
    for name, type in (("origin", T.ORIGIN), ("as_path", T.AS_PATH), ("next_hop", T.NEXT_HOP)):
        yield update(f"{name}-missing", "RFC 7606 3 d, RFC 4271 6.3", f"without {name.upper()}", remove(type))
    yield update("local_pref-missing", "RFC 7606 3 d, RFC 4271 6.3", "without LOCAL_PREF",
                 remove(T.LOCAL_PREF), applies=internal,
                 allowed=((Demand(Answer.ACCEPT), "RFC 4271 5.1.5: a default may do"),))  # fmt: skip
    communities = put(BOTH, T.COMMUNITIES, bytes.fromhex("fde70001"))
    yield update("repeated-origin", "RFC 7606 3 g", "ORIGIN twice", add(WELL_KNOWN, T.ORIGIN, b"\2"))
    yield update("repeated-communities", "RFC 7606 3 g", "COMMUNITIES twice: the first one counts",
                 both(communities, add(BOTH, T.COMMUNITIES, bytes.fromhex("fde70002"))))  # fmt: skip
    yield update(
        "repeated-mp_reach",
        "RFC 7606 3 g",
        "MP_REACH_NLRI twice",
        again(T.MP_REACH_NLRI),
        family=IPV6_UNICAST,
    )
    yield update("repeated-mp_unreach", "RFC 7606 3 g", "MP_UNREACH_NLRI twice",
                 both(unreach(b"\0\2\1"), unreach(b"\0\2\1")), family=IPV6_UNICAST)  # fmt: skip
    yield update("strongest-wins", "RFC 7606 3 h", "a bad ORIGIN withdraws, a bad NLRI resets",
                 both(put(WELL_KNOWN, T.ORIGIN, b"\7"), nlri(b"\x21" + bytes(5))))  # fmt: skip
    yield update("nothing-to-withdraw", "RFC 7606 5.2", "a bad ORIGIN and no route", only_attributes,
                 allowed=_ANY_SUBCODE)  # fmt: skip
    yield update("unknown-well-known", "RFC 4271 6.3", "a well-known attribute that nobody knows",
                 put(WELL_KNOWN, UNKNOWN, b"\1\2\3"), about=(UNKNOWN,))  # fmt: skip
    yield update("unknown-transitive", "RFC 4271 9, RFC 4271 6.3",
                 "an optional transitive attribute that nobody knows: it is passed on",
                 put(BOTH, UNKNOWN, b"\1\2\3"))  # fmt: skip
    yield update("unknown-non-transitive", "RFC 4271 9, RFC 4271 6.3",
                 "an optional non-transitive attribute that nobody knows: it is left out",
                 put(OPTIONAL, UNKNOWN, b"\1\2\3"), about=(UNKNOWN,))  # fmt: skip
    yield update("origin-value-3", "RFC 7606 7.1, RFC 4271 6.3", "ORIGIN 3", put(WELL_KNOWN, T.ORIGIN, b"\3"))
    yield update("aggregator-zero", "RFC 7607 2", "AGGREGATOR with AS 0",
                 put(BOTH, T.AGGREGATOR, bytes(4) + b"\xc0\0\2\1"), about=(T.AGGREGATOR,))  # fmt: skip
    for address, value in (
        ("0", bytes(4)),
        ("127", b"\x7f\0\0\1"),
        ("224", b"\xe0\0\0\5"),
        ("255", b"\xff" * 4),
    ):
        yield update(f"next_hop-value-{address}", "RFC 4271 6.3",
                     f"NEXT_HOP that is not the address of a host: {'.'.join(map(str, value))}",
                     put(WELL_KNOWN, T.NEXT_HOP, value), allowed=_OLD_FAULT)  # fmt: skip
    for name, type in (("local_pref", T.LOCAL_PREF), ("originator_id", T.ORIGINATOR_ID)):
        section = "5" if type == T.LOCAL_PREF else "9"
        flags = WELL_KNOWN if type == T.LOCAL_PREF else OPTIONAL
        yield update(f"{name}-external", f"RFC 7606 7.{section}", f"{name.upper()} from outside",
                     put(flags, type, bytes(3)), applies=external, about=(type,))  # fmt: skip
    yield update("cluster_list-external", "RFC 7606 7.10", "CLUSTER_LIST from outside",
                 put(OPTIONAL, T.CLUSTER_LIST, bytes(3)), applies=external,
                 about=(T.CLUSTER_LIST,))  # fmt: skip
    yield update("aigp-external", "RFC 7311 3.3", "AIGP where nobody enabled it",
                 put(OPTIONAL, T.AIGP, bytes.fromhex("01000b 0000000000000001")), applies=external,
                 about=(T.AIGP,))  # fmt: skip
    yield update("multicast-nlri", "RFC 4271 6.3", "a multicast prefix beside the victim",
                 nlri(b"\x08\xe1"))  # fmt: skip
    yield update("extended-length-short", "RFC 4271 4.3", "Extended Length for a short attribute",
                 both(remove(T.ORIGIN), raw(b"\x50\1\0\1\0")))  # fmt: skip


def _multiprotocol() -> Iterator[Case]:
    for length in (0, 4, 15, 17, 24, 33):
        yield update(f"mp_reach-next-hop-{length}", "RFC 7606 7.11", f"a next hop of {length} octets",
                     reach(hop=bytes(range(length))), family=IPV6_UNICAST,
                     allowed=_ANY_SUBCODE)  # fmt: skip
    for cut in (0, 3, 4, 12):
        yield update(f"mp_reach-length-{cut}", "RFC 7606 5.3, RFC 7606 7.11",
                     f"MP_REACH_NLRI of {cut} octets", reach(cut), family=IPV6_UNICAST,
                     allowed=_ANY_SUBCODE)  # fmt: skip
    for length in (0, 2):
        yield update(f"mp_unreach-length-{length}", "RFC 7606 5.3, RFC 7606 7.12",
                     f"MP_UNREACH_NLRI of {length}", unreach(bytes(length)), family=IPV6_UNICAST,
                     allowed=_ANY_SUBCODE)  # fmt: skip
    bad = {"129": b"\x81" + bytes(17), "overrun": bytes.fromhex("20 2001")}
    for name, octets in bad.items():
        yield update(f"mp_reach-nlri-{name}", "RFC 7606 5.3", f"a prefix in MP_REACH_NLRI: {name}",
                     reach(more=octets), family=IPV6_UNICAST,
                     allowed=_ANY_SUBCODE)  # fmt: skip
        yield update(f"mp_unreach-nlri-{name}", "RFC 7606 5.3", f"a prefix in MP_UNREACH_NLRI: {name}",
                     unreach(b"\0\2\1" + octets), family=IPV6_UNICAST,
                     allowed=_ANY_SUBCODE)  # fmt: skip
    for name, bits in (("optional", 0x80), ("transitive", 0x40)):
        yield update(f"mp_reach-flags-{name}", "RFC 7606 3 c, RFC 7606 5.3",
                     f"MP_REACH_NLRI with the {name.title()} bit turned",
                     flip(T.MP_REACH_NLRI, bits), family=IPV6_UNICAST,
                     allowed=(*_ANY_SUBCODE, *_BY_FLAGS))  # fmt: skip
    yield update("mp_reach-unknown-family", "RFC 4760 6", "routes of a family that was not negotiated",
                 add(OPTIONAL, T.MP_REACH_NLRI, bytes.fromhex("4004 47 00 00")),
                 allowed=((Demand(Answer.RESET, 3, None), "RFC 4760 7"),))  # fmt: skip


_DRAWN_ALLOWED = {
    "aigp-disabled": ((Demand(Answer.ACCEPT), "RFC 7311 3.3: AIGP may be enabled"),),
    "next_hop-value": _OLD_FAULT,
    "atomic_aggregate-flags": _BY_FLAGS,
    "aggregator-flags": _BY_FLAGS,
    "mp-flags": (*_ANY_SUBCODE, *_BY_FLAGS),
    "mp-length": _ANY_SUBCODE,
    "mp-network-field": _ANY_SUBCODE,
    "mp-next-hop": _ANY_SUBCODE,
}
# Some rules can be broken only where AS numbers have two octets.
_FOUR_OCTETS = Context(internal=True), Context(peer_as=65001, first_as=True)


def drawn(variants: int) -> Iterator[Case]:
    """Yield, for each rule of `bgp.errors.RULES` about UPDATEs, so many messages that break just that one."""
    for name, breaker in BREAKERS.items():
        rule = RULES[name]
        for variant in range(variants):

            def act(draft: Draft, scene: Scene, name: str = name, variant: int = variant) -> None:
                BREAKERS[name].act(Random(f"{name}/{variant}"), draft, scene.context)

            old = not any(map(breaker.applies, _FOUR_OCTETS))

            def fits(scene: Scene, name: str = name, old: bool = old) -> str:
                if old and scene.local_as > 65535:
                    return "our AS number needs four octets"
                return "" if BREAKERS[name].applies(scene.context) else "cannot happen on this session"

            allowed: tuple[tuple[Demand, str], ...] = ()
            if name == "as_path-set":
                allowed = _IGNORES_SETS
            elif name == "as_path-first":
                allowed = _MAY_IGNORE_FIRST
            elif name in _DRAWN_ALLOWED:
                allowed = _DRAWN_ALLOWED[name]
            yield update(f"drawn-{name}-{variant + 1}", rule.source, rule.text, act, two_octet_as=old,
                         applies=fits, allowed=allowed)  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield the rows of the tables."""
    yield from _structure()
    yield from _flags()
    yield from _values()
    yield from _paths()
    yield from _multiprotocol()
