"""What has brought BGP speakers down in recent years, by public descriptions, in words and octets of our own.

Each case is the trigger of a published vulnerability, `known` its identifiers.  What is demanded follows from
the RFCs as in every other case: mostly that one route is withdrawn or the attribute passed on unread, and
never that anybody else notices.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import AttributeType, MessageType
from bgp.testing.conformance.acts import (
    Act,
    Applies,
    add,
    both,
    external,
    only_attributes,
    path,
    put,
    reach,
    remove,
    tail,
    two_octets,
    unreach,
    update,
)
from bgp.testing.conformance.case import Answer, Case, Demand, Stage
from bgp.testing.conformance.scene import BOTH, NEW_MARK, OPTIONAL, WELL_KNOWN, Scene
from bgp.testing.draft import Draft
from bgp.wire.capability import Capability
from bgp.wire.framing import frame

T = AttributeType
PREFIX_SID, TUNNEL, ENTROPY_LABEL, ATTR_SET, LINK_STATE = 40, 23, 28, 128, 29
FLOWSPEC, LABELED, VPN = 133, 4, 128


def _any(scene: Scene) -> str:
    return ""


def _bad(
    name: str,
    known: str,
    text: str,
    act: Act,
    sources: str = "RFC 7606 3",
    *,
    ipv6: bool = False,
    applies: Applies = _any,
    two_octet_as: bool = False,
    about: tuple[int, ...] = (),
) -> Case:
    """Return the case of an UPDATE."""
    case = update(
        f"published-{name}",
        sources,
        text,
        act,
        family=IPV6_UNICAST if ipv6 else IPV4_UNICAST,
        applies=applies,
        two_octet_as=two_octet_as,
        allowed=((Demand(Answer.RESET, 3, None), "RFC 4271 6.3: what RFC 7606 softens"),)
        if ipv6 or not about
        else (),
        about=about,
    )
    return replace(case, group="published", known=tuple(known.split()))


def _open(name: str, known: str, text: str, make: Callable[[Scene], bytes], *demands: Demand) -> Case:
    """Return the case of an OPEN; the first demand counts, the others are allowed."""
    return Case(
        f"published-{name}",
        "published",
        ("RFC 4271 6.2", "RFC 5492 4"),
        text,
        lambda scene: (make(scene), demands[0]),
        stage=Stage.OPEN_SENT,
        allowed=tuple((demand, "no RFC says which") for demand in demands[1:]),
        known=tuple(known.split()),
    )


_REFUSED = Demand(Answer.RESET, 2, 0)
_REFUSED_SOMEHOW = Demand(Answer.RESET, 2, None)
_BAD_LENGTH = Demand(Answer.RESET, 1, 2)
_OPENED = Demand(Answer.OPENED)


def _foreign(safi: int, nlri: bytes, hop: bytes = b"") -> Act:
    """Announce routes of a family that nobody negotiated."""
    return add(OPTIONAL, T.MP_REACH_NLRI, b"\0\1" + bytes([safi, len(hop)]) + hop + b"\0" + nlri)


def _no_attributes(draft: Draft, scene: Scene) -> None:
    draft.attributes = []


def _only_unknown(draft: Draft, scene: Scene) -> None:
    draft.attributes = []
    add(BOTH, 31, bytes(16))(draft, scene)


def _segment_of(type: int, count: int) -> Callable[[Scene], bytes]:
    def make(scene: Scene) -> bytes:
        number = (64503).to_bytes(scene.width, "big")
        return scene.as_path(NEW_MARK) + bytes([type, count]) + number * count

    return make


def _long_path(scene: Scene) -> bytes:
    return scene.as_path(NEW_MARK) + (b"\2\xff" + (64503).to_bytes(scene.width, "big") * 255) * 2


def attributes() -> Iterator[Case]:
    """Attributes that few understand, and that are corrupt."""
    passed = "it is passed on unread"
    corrupt = {
        "entropy-label": (ENTROPY_LABEL, "CVE-2023-4481", "an entropy label capability with octets in it"),
        "attr-set": (ATTR_SET, "CVE-2023-0026", "an ATTR_SET whose inner attribute overruns it"),
        "tunnel-encapsulation": (TUNNEL, "CVE-2023-38802 CVE-2024-30395", "a tunnel TLV longer than all"),
        "tunnel-encapsulation-stub": (TUNNEL, "CVE-2024-44070", "a tunnel TLV without its length"),
        "prefix-sid": (PREFIX_SID, "CVE-2023-31490 CVE-2024-31948", "a TLV that ends in its length"),
        "prefix-sid-overrun": (PREFIX_SID, "CVE-2024-31948", "an SRGB TLV longer than the prefix SID"),
        "link-state": (LINK_STATE, "", "a link-state TLV that overruns its attribute"),
        "as-path-limit": (21, "CVE-2023-40457", "an AS_PATHLIMIT of one octet"),
        "vnc": (255, "CVE-2019-5892", "the attribute of a development code point"),
        "experiment": (99, "CVE-2010-3035", "an attribute that nobody knows, longer than 255 octets"),
    }
    values = {
        ENTROPY_LABEL: b"\0\0\0",
        ATTR_SET: bytes.fromhex("0000fbf5 40 01 ff 00"),
        "tunnel-encapsulation": bytes.fromhex("0008 00ff 01 02"),
        "tunnel-encapsulation-stub": b"\0\x08\0",
        "prefix-sid": b"\1\0",
        "prefix-sid-overrun": b"\3\0\xff\0\0",
        LINK_STATE: bytes.fromhex("0400 00ff 01"),
        21: b"\1",
        255: bytes(3),
        99: bytes(300),
    }
    for name, (type, known, text) in corrupt.items():
        value = values[name] if name in values else values[type]
        yield _bad(name, known, f"{text}: {passed}", put(BOTH, type, value), "RFC 4271 9, RFC 7606 3")
        yield _bad(
            f"{name}-empty",
            known,
            f"attribute {type} without a value: {passed}",
            put(BOTH, type, b""),
            "RFC 4271 9, RFC 7606 3",
        )


def paths() -> Iterator[Case]:
    """AS_PATH and AS4_PATH."""
    yield _bad(
        "as4-path-confederation",
        "",
        "AS4_PATH with a confederation segment",
        put(BOTH, T.AS4_PATH, bytes.fromhex("0301 0000fde8 0201 00010000")),
        "RFC 6793 6",
        two_octet_as=True,
        applies=two_octets,
    )
    yield _bad(
        "as4-path-overrun",
        "VU#347067",
        "AS4_PATH whose segment counts more ASes than it has",
        put(BOTH, T.AS4_PATH, bytes.fromhex("02ff 00010000")),
        "RFC 6793 6",
        two_octet_as=True,
        applies=two_octets,
    )
    yield _bad(
        "as-path-255",
        "CVE-2025-20115",
        "a confederation segment of 255 ASes",
        path(_segment_of(3, 255)),
        "RFC 5065 5, RFC 7606 7.2",
        applies=external,
    )
    yield _bad(
        "as-path-long",
        "CVE-2017-16227 CVE-2023-44186",
        "an AS_PATH of more than five hundred ASes",
        path(_long_path),
        "RFC 4271 4.3",
    )
    yield _bad(
        "as-path-count",
        "",
        "an AS_PATH whose segment is 254 ASes short",
        path(lambda scene: b"\2\xff" + (64503).to_bytes(scene.width, "big")),
        "RFC 7606 7.2",
    )
    yield _bad(
        "as-path-empty",
        "GHSA-frrj-87jh-2772",
        "an AS_PATH of no octets from outside",
        path(lambda scene: b""),
        "RFC 4271 6.3",
        applies=external,
    )


def missing() -> Iterator[Case]:
    """Routes without what belongs to them."""
    yield _bad(
        "no-attributes",
        "CVE-2023-41358 CVE-2023-41909",
        "routes behind no attributes at all",
        _no_attributes,
        "RFC 7606 3 d",
    )
    yield _bad(
        "only-unknown",
        "CVE-2023-46753",
        "routes with nothing but an attribute that nobody knows",
        _only_unknown,
        "RFC 7606 3 d",
    )
    yield _bad(
        "unreach-and-routes",
        "CVE-2023-47234",
        "MP_UNREACH_NLRI beside routes without attributes",
        both(_no_attributes, unreach(b"\0\2\1")),
        "RFC 7606 3 d",
    )
    yield _bad(
        "end-of-rib",
        "CVE-2023-47235",
        "what begins as End-of-RIB and goes on with a bad attribute",
        both(only_attributes, unreach(b"\0\2\1"), remove(T.AS_PATH)),
        "RFC 7606 5.2",
    )
    yield _bad(
        "next-hop-empty",
        "GHSA-4p9m-8gc4-rw2h",
        "a NEXT_HOP of no octets",
        put(WELL_KNOWN, T.NEXT_HOP, b""),
        "RFC 7606 7.3",
    )


def lengths() -> Iterator[Case]:
    """Lengths of attributes and of what is in them."""
    yield _bad(
        "ipv6-extended-communities",
        "CVE-2023-40457",
        "an IPv6 extended community of three octets",
        put(BOTH, T.IPV6_EXTENDED_COMMUNITIES, bytes(3)),
        "RFC 7606 7.15",
    )
    yield _bad(
        "large-community",
        "CVE-2023-38283",
        "a large community of which two octets are missing",
        put(BOTH, T.LARGE_COMMUNITIES, bytes(10)),
        "RFC 8092 6",
    )
    yield _bad(
        "large-community-overrun",
        "CVE-2023-38283",
        "large communities longer than the message",
        tail(b"\xd0\x20\x0f\xff" + bytes(12)),
        "RFC 7606 4",
    )
    yield _bad(
        "aigp",
        "CVE-2023-41359",
        "an AIGP of which the TLV is cut short",
        put(OPTIONAL, T.AIGP, b"\1\0"),
        "RFC 7311 3.2",
        about=(T.AIGP,),
        applies=external,
    )
    yield _bad(
        "cluster-list",
        "CVE-2018-5379",
        "CLUSTER_LIST twice, once empty",
        both(add(OPTIONAL, T.CLUSTER_LIST, bytes(4)), add(OPTIONAL, T.CLUSTER_LIST, b"")),
        "RFC 7606 3 g, RFC 7606 7.10",
        about=(T.CLUSTER_LIST,),
        applies=external,
    )
    yield _bad(
        "reach-stub",
        "CVE-2023-46752",
        "MP_REACH_NLRI that ends within its next hop",
        reach(cut=9),
        "RFC 7606 7.11",
        ipv6=True,
    )
    yield _bad(
        "reach-three",
        "CVE-2023-46752",
        "MP_REACH_NLRI of three octets",
        reach(cut=3),
        "RFC 7606 5.3",
        ipv6=True,
    )


def foreign() -> Iterator[Case]:
    """Families that this session does not have: their NLRI are not even looked at."""
    section = "RFC 4760 6"
    yield _bad(
        "flowspec-zero", "CVE-2023-38406", "a FlowSpec rule of length 0", _foreign(FLOWSPEC, b"\0"), section
    )
    yield _bad(
        "flowspec-short",
        "CVE-2025-43972",
        "a FlowSpec rule longer than its attribute",
        _foreign(FLOWSPEC, b"\xf0\xff\1"),
        section,
    )
    yield _bad(
        "flowspec-stub",
        "CVE-2025-43972",
        "a FlowSpec rule of one octet that has none",
        _foreign(FLOWSPEC, b"\1"),
        section,
    )
    yield _bad(
        "labeled-short",
        "CVE-2023-38407",
        "a labeled prefix that is shorter than its label",
        _foreign(LABELED, b"\x08\0", b"\xc0\0\2\1"),
        section,
    )
    yield _bad(
        "vpn-short",
        "CVE-2023-38407",
        "a VPN prefix without its route distinguisher",
        _foreign(VPN, b"\x18\0\0\1", bytes(12)),
        section,
    )


def _capability(code: int, value: bytes) -> Callable[[Scene], bytes]:
    return lambda scene: scene.open(more=(Capability(code, value),))


def opens() -> Iterator[Case]:
    """Overruns in OPEN, and capabilities that lie about what is in them."""
    yield _open(
        "open-type-255",
        "CVE-2022-40318",
        "an optional parameter of type 255 in the usual form",
        lambda scene: scene.raw_open(b"\xff\1\0"),
        _REFUSED,
        _REFUSED_SOMEHOW,
    )
    yield _open(
        "open-extended-stub",
        "CVE-2022-40302",
        "the extended form without its length",
        lambda scene: scene.raw_open(b"\xff", 255),
        _REFUSED,
        _BAD_LENGTH,
        _REFUSED_SOMEHOW,
    )
    yield _open(
        "open-extended-two",
        "CVE-2022-40302",
        "the extended form with a parameter of two octets",
        lambda scene: scene.raw_open(b"\xff\0\2\2\0", 255),
        _REFUSED,
        _REFUSED_SOMEHOW,
    )
    yield _open(
        "open-ends-in-length",
        "CVE-2022-43681",
        "an OPEN that ends with a parameter's type",
        lambda scene: scene.raw_open(b"\2", 1),
        _REFUSED,
        _REFUSED_SOMEHOW,
    )
    yield _open(
        "open-no-parameters",
        "CVE-2022-43681",
        "an OPEN that promises a parameter and ends",
        lambda scene: scene.raw_open(b"", 2),
        _REFUSED,
        _BAD_LENGTH,
        _REFUSED_SOMEHOW,
    )
    # No RFC says what to do with a capability that cannot be read; the session may come up or not.
    lies = {
        "fqdn-overrun": ("", 73, b"\xffhost", "a host name longer than its capability"),
        "fqdn-empty": ("", 73, b"", "an FQDN capability of no octets"),
        "fqdn-domain": ("", 73, b"\4host\xffd", "a domain longer than its capability"),
        "software-version": ("CVE-2023-41361 CVE-2025-43971", 75, b"\0", "a software version of length 0"),
        "software-version-overrun": ("CVE-2023-41361", 75, b"\xffv1", "a software version longer than it is"),
        "orf": ("CVE-2023-41360", 3, b"\0\1\0\1\xff\x40", "more ORF types than there are"),
        "orf-stub": ("CVE-2023-41360", 3, b"", "an ORF capability of no octets"),
        "llgr": ("CVE-2023-31489", 71, b"\0\1\1\x80\0", "a long-lived graceful restart cut short"),
        "graceful-restart": ("", 64, b"\0", "a graceful restart capability of one octet"),
        "multiprotocol": ("CVE-2018-5381", 1, b"\0\1\0", "a multiprotocol capability of three octets"),
        "add-path": ("", 69, b"\0\1\1", "an ADD-PATH capability of three octets"),
        "four-octet-as": ("GHSA-gjrg-jjr3-56cm", 65, b"", "a second four-octet AS capability, of no octets"),
    }
    for name, (known, code, value, text) in lies.items():
        yield _open(f"capability-{name}", known, text, _capability(code, value), _OPENED, _REFUSED_SOMEHOW)


def others() -> Iterator[Case]:
    """Other messages."""
    yield Case(
        "published-capability-message",
        "published",
        ("RFC 4271 6.1",),
        "a message of the dynamic capabilities that nobody offered",
        lambda scene: (frame(6, b"\x80\1"), Demand(Answer.RESET, 1, 3, b"\6")),
        known=("CVE-2022-37032",),
        allowed=((Demand(Answer.RESET, 1, None), "RFC 4271 6.1"),),
    )
    yield Case(
        "published-type-0",
        "published",
        ("RFC 4271 6.1",),
        "a message of type 0 in place of the OPEN",
        lambda scene: (frame(0, b""), Demand(Answer.RESET, 1, 3, b"\0")),
        stage=Stage.OPEN_SENT,
        known=("CVE-2023-46565",),
    )
    yield Case(
        "published-notification-data",
        "published",
        ("RFC 4271 6.4",),
        "a NOTIFICATION of a code and subcode that no table has, with much data",
        lambda scene: (frame(MessageType.NOTIFICATION, b"\xff\xff" + bytes(4000)), Demand(Answer.CLOSED)),
        known=("CVE-2018-5380",),
    )


def cases() -> Iterator[Case]:
    """Yield all of them."""
    for part in (attributes, paths, missing, lengths, foreign, opens, others):
        yield from part()
