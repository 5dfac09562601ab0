"""Who may hear what, and in which words: RFC 4271 9.2, RFC 4456, RFC 1997, RFC 8212 and the rewriting."""

import itertools
from ipaddress import ip_network

import pytest
from routers import BOTH, LOCAL_AS, OUR_ADDRESS, address, path, table

from bgp.export.pack import Packer, Told
from bgp.export.rewrite import Rewriter
from bgp.export.rules import (
    MESHED_CLIENTS,
    NEXT_HOP_ENCODING,
    NO_ADVERTISE,
    NO_EXPORT,
    NO_EXPORT_SUBCONFED,
    NO_NEXT_HOP,
    NO_POLICY,
    ONLY_TO_CUSTOMER,
    ONLY_TO_CUSTOMER_OF_MEMBER,
    POLICY,
    POLICY_FAILED,
    SPLIT_HORIZON,
    TOO_LONG,
    Treatment,
    Withheld,
    horizon,
)
from bgp.export.terms import Terms
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import Role, WellKnownCommunity
from bgp.policy import ACCEPT_ALL
from bgp.rib.path import Kind, Path
from bgp.rib.selection import ALL
from bgp.testing.reference.router import T
from bgp.wire import aspath
from bgp.wire.attributes import Attributes

SEND, REFLECT, RELAY = Treatment.SEND, Treatment.REFLECT, Treatment.RELAY
LOCAL, EXTERNAL, CLIENT, NON_CLIENT = Kind.LOCAL, Kind.EXTERNAL, Kind.CLIENT, Kind.NON_CLIENT
SERVED, MEMBER = Kind.ROUTE_SERVER_CLIENT, Kind.CONFEDERATION
RECEIVERS = [kind for kind in Kind if kind is not LOCAL]
CLUSTER = address("0.0.0.99")
OUR_IPV6 = address("2001:db8::1")


def terms(kind: Kind, **changes: object) -> Terms:
    values: dict[str, object] = {
        "kind": kind,
        "families": BOTH,
        "local_as": LOCAL_AS,
        "next_hops": frozenset({(IPV4_UNICAST, OUR_ADDRESS), (IPV6_UNICAST, OUR_IPV6)}),
        "cluster_id": CLUSTER,
        "policy": ACCEPT_ALL if kind.external else None,
    }
    return Terms(**{**values, **changes})  # type: ignore[arg-type]


def told(source: Path, kind: Kind, family: Family = IPV4_UNICAST, **changes: object) -> Attributes | Withheld:
    result = Packer(terms(kind, **changes)).told(family, source)
    return table.intern(result.octets, result.next_hop) if isinstance(result, Told) else result


def heard(source: Path, kind: Kind, family: Family = IPV4_UNICAST, **changes: object) -> Attributes:
    result = told(source, kind, family, **changes)
    assert isinstance(result, Attributes), result
    return result


# RFC 4271 section 9.2 and RFC 4456 section 6, as the texts say it.
@pytest.mark.parametrize(
    ("source", "receiver", "treatment"),
    [
        (LOCAL, EXTERNAL, SEND),
        (LOCAL, CLIENT, SEND),
        (LOCAL, NON_CLIENT, SEND),
        (EXTERNAL, EXTERNAL, SEND),
        (EXTERNAL, CLIENT, SEND),
        (EXTERNAL, NON_CLIENT, SEND),
        # "A Route from a Client Peer: Reflect to all the Non-Client peers and also to the Client Peers."
        (CLIENT, EXTERNAL, SEND),
        (CLIENT, CLIENT, REFLECT),
        (CLIENT, NON_CLIENT, REFLECT),
        # "A Route from a Non-Client IBGP peer: Reflect to all the Clients."
        (NON_CLIENT, EXTERNAL, SEND),
        (NON_CLIENT, CLIENT, REFLECT),
        (NON_CLIENT, NON_CLIENT, SPLIT_HORIZON),
        # RFC 7947 section 2.2 is about what goes from clients to clients, and about no other routes.
        *((SERVED, receiver, SEND) for receiver in (EXTERNAL, MEMBER, CLIENT, NON_CLIENT)),
        *((source, SERVED, SEND) for source in (LOCAL, EXTERNAL, MEMBER, CLIENT, NON_CLIENT)),
        (SERVED, SERVED, RELAY),
        # RFC 5065 section 4.1: a member AS is another AS, to which everything goes and from which it goes on.
        *((MEMBER, receiver, SEND) for receiver in (EXTERNAL, MEMBER, CLIENT, NON_CLIENT)),
        *((source, MEMBER, SEND) for source in (LOCAL, EXTERNAL, CLIENT, NON_CLIENT)),
    ],
)
def test_who_may_hear_what(source: Kind, receiver: Kind, treatment: Treatment | Withheld) -> None:
    assert horizon(source, receiver) is treatment
    result = told(path(kind=source, local_pref=100), receiver)
    assert isinstance(result, Withheld) == isinstance(treatment, Withheld)
    if isinstance(result, Attributes):
        reflected = treatment is REFLECT
        assert (result.originator_id is not None) is reflected
        assert (result.cluster_list == CLUSTER) is reflected


def test_every_combination_is_in_that_table() -> None:
    for source, receiver in itertools.product(Kind, RECEIVERS):
        horizon(source, receiver)


def test_meshed_clients_do_not_hear_each_other() -> None:
    assert told(path(kind=CLIENT), CLIENT, reflect_clients=False) is MESHED_CLIENTS
    for kind in (CLIENT, NON_CLIENT):
        assert isinstance(told(path(kind=kind), NON_CLIENT if kind is CLIENT else CLIENT), Attributes)


@pytest.mark.parametrize("source", Kind)
@pytest.mark.parametrize(
    ("community", "kept_from", "reason"),
    [
        (WellKnownCommunity.NO_ADVERTISE, set(RECEIVERS), NO_ADVERTISE),
        # "... outside a BGP confederation boundary (a stand-alone autonomous system ... itself)".
        (WellKnownCommunity.NO_EXPORT, {EXTERNAL, SERVED}, NO_EXPORT),
        # "... external BGP peers (this includes peers in other members autonomous systems ...)".
        (WellKnownCommunity.NO_EXPORT_SUBCONFED, {EXTERNAL, SERVED, MEMBER}, NO_EXPORT_SUBCONFED),
        (WellKnownCommunity.NO_PEER, set(), None),
        (WellKnownCommunity.GRACEFUL_SHUTDOWN, set(), None),
        (0xFFFF1234, set(), None),
    ],
)
def test_well_known_communities(
    source: Kind, community: int, kept_from: set[Kind], reason: Withheld | None
) -> None:
    one = path(kind=source, communities=(7, community), local_pref=100)
    for receiver in RECEIVERS:
        result = told(one, receiver)
        if source is receiver is NON_CLIENT:
            assert result is SPLIT_HORIZON
        elif receiver in kept_from and not source is receiver is SERVED:
            assert result is reason
        else:
            assert isinstance(result, Attributes) and community in result.communities


def test_octets_that_look_like_a_community_are_none() -> None:
    assert isinstance(told(path(kind=EXTERNAL, as_path="4294967041"), EXTERNAL), Attributes)


def test_a_community_that_export_policy_adds_goes_with_the_route() -> None:
    added = table.make(next_hop="10.9.0.9", communities=(WellKnownCommunity.NO_EXPORT,))
    result = heard(path(kind=EXTERNAL), EXTERNAL, policy=lambda _: added)
    assert result.communities == (WellKnownCommunity.NO_EXPORT,)


# --- RFC 4456 --------------------------------------------------------------------------------------


def test_reflection_adds_two_attributes_and_touches_nothing_else() -> None:
    one = path(
        kind=CLIENT,
        identifier=7,
        as_path="64500 {64501}",
        med=5,
        local_pref=300,
        atomic_aggregate=True,
        aggregator=(64500, "10.0.0.1"),
        communities=(1, 2),
        extended_communities=(bytes.fromhex("4300000000000001"),),
        large_communities=((1, 2, 3),),
    )
    result = heard(one, NON_CLIENT)
    assert result.originator_id == address("0.0.0.7") and result.cluster_list == CLUSTER
    assert result.next_hop == one.attributes.next_hop
    assert [item for item in result.items() if item[1] not in (9, 10)] == one.attributes.items()
    assert [type_ for _, type_, _ in result.items()] == sorted(type_ for _, type_, _ in result.items())


def test_an_originator_id_stays_and_the_cluster_list_grows_in_front() -> None:
    extra = {T.ORIGINATOR_ID: address("0.0.0.5"), T.CLUSTER_LIST: address("0.0.0.1") + address("0.0.0.2")}
    result = heard(path(kind=CLIENT, identifier=7, local_pref=100, communities=(3,), extra=extra), CLIENT)
    assert result.originator_id == address("0.0.0.5")
    assert result.cluster_list == CLUSTER + extra[T.CLUSTER_LIST]
    assert result.communities == (3,)


@pytest.mark.parametrize("clusters", [1, 62, 63, 64, 100])
def test_long_cluster_lists(clusters: int) -> None:
    one = path(local_pref=100, communities=(3,), extra={T.CLUSTER_LIST: bytes(range(4)) * clusters})
    result = heard(one, CLIENT)
    assert result.cluster_list == CLUSTER + bytes(range(4)) * clusters
    assert result.communities == (3,) and table.build(result.items(), result.next_hop) is result


def test_reflection_keeps_extended_length_attributes_before_it() -> None:
    one = path(local_pref=100, communities=tuple(range(1000)))
    result = heard(one, CLIENT)
    assert result.communities == tuple(range(1000)) and table.build(result.items(), result.next_hop) is result


def test_a_reflected_route_without_local_pref_gets_one() -> None:
    # Import policy may have taken it; RFC 4271 section 5.1.5 wants it in every UPDATE to an internal peer.
    assert heard(path(kind=CLIENT), CLIENT).local_pref == 100


def test_internal_attributes_do_not_leave_the_as() -> None:
    extra = {T.ORIGINATOR_ID: address("0.0.0.5"), T.CLUSTER_LIST: address("0.0.0.1")}
    result = heard(path(kind=CLIENT, local_pref=300, extra=extra), EXTERNAL)
    assert result.local_pref is None and result.originator_id is None and not result.cluster_list


def test_learned_from_outside_it_has_no_reflection_attributes() -> None:
    result = heard(path(kind=EXTERNAL, med=9), CLIENT)
    assert result.local_pref == 100 and result.med == 9
    assert result.originator_id is None and not result.cluster_list


def test_a_local_pref_of_import_policy_is_kept() -> None:
    assert heard(path(kind=EXTERNAL, local_pref=700), CLIENT).local_pref == 700


# --- RFC 4271 5.1 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{LOCAL_AS}"),
        ("64500 64501", f"{LOCAL_AS} 64500 64501"),
        ("{64500,64501} 64502", f"{LOCAL_AS} {{64500,64501}} 64502"),
        ("(65010) 64500", f"{LOCAL_AS} 64500"),
    ],
)
def test_our_as_is_prepended_towards_external_peers_only(before: str, after: str) -> None:
    assert aspath.text(heard(path(kind=CLIENT, as_path=before), EXTERNAL).as_path) == after
    inside = heard(path(kind=EXTERNAL, as_path=before), CLIENT)
    assert aspath.text(inside.as_path) == before


def test_a_full_segment_gets_a_new_one_before_it() -> None:
    full = (aspath.Segment(2, tuple(range(1, 256))),)
    result = heard(path(kind=EXTERNAL, as_path=full), EXTERNAL)
    assert result.as_path == (aspath.Segment(2, (LOCAL_AS,)), *full)


def test_without_as_path_one_is_made() -> None:
    bare = path(kind=LOCAL)
    bare.attributes = table.derive(bare.attributes, {T.AS_PATH: None})
    assert aspath.text(heard(bare, EXTERNAL).as_path) == f"{LOCAL_AS}"


def test_med_does_not_go_from_one_neighbor_to_another() -> None:
    assert heard(path(kind=EXTERNAL, med=5), EXTERNAL).med is None
    assert heard(path(kind=CLIENT, med=5), EXTERNAL).med is None
    assert heard(path(kind=LOCAL, med=5), EXTERNAL).med == 5
    asked = table.make(next_hop="10.9.0.9", med=8)
    assert heard(path(kind=EXTERNAL, med=5), EXTERNAL, policy=lambda _: asked).med == 8
    assert heard(path(kind=EXTERNAL, med=5), CLIENT).med == 5


def test_non_transitive_extended_communities_stay_inside() -> None:
    stays, goes = bytes.fromhex("4004000000000001"), bytes.fromhex("0002fde800000001")
    one = path(kind=CLIENT, extended_communities=(stays, goes), local_pref=100)
    assert heard(one, EXTERNAL).extended_communities == (goes,)
    assert heard(one, CLIENT).extended_communities == (stays, goes)
    assert (
        heard(path(kind=CLIENT, extended_communities=(stays,)), EXTERNAL).get(T.EXTENDED_COMMUNITIES) is None
    )
    six = path(extra={T.IPV6_EXTENDED_COMMUNITIES: b"\x40" + bytes(19) + b"\x00" + bytes(19)})
    assert heard(six, EXTERNAL).get(T.IPV6_EXTENDED_COMMUNITIES) == bytes(20)


def test_aigp_goes_only_where_it_is_enabled() -> None:
    aigp = b"\x01\x00\x0b" + (77).to_bytes(8, "big")
    one = path(kind=CLIENT, local_pref=100, extra={T.AIGP: aigp})
    assert heard(one, CLIENT).get(T.AIGP) is None
    assert heard(one, CLIENT, aigp=True).get(T.AIGP) == aigp


# --- Next hops -------------------------------------------------------------------------------------


def test_next_hop_self_to_external_peers_and_on_request() -> None:
    for source in (LOCAL, EXTERNAL, CLIENT):
        assert heard(path(kind=source), EXTERNAL).next_hop == OUR_ADDRESS
    assert heard(path(kind=EXTERNAL), CLIENT).next_hop == address("10.9.0.9")
    assert heard(path(kind=EXTERNAL), CLIENT, next_hop_self=True).next_hop == OUR_ADDRESS
    # RFC 4456 section 10: not on what is reflected.
    assert heard(path(kind=CLIENT), CLIENT, next_hop_self=True).next_hop == address("10.9.0.9")


def test_a_route_of_our_own_without_next_hop_has_ours() -> None:
    for kind in (EXTERNAL, CLIENT, NON_CLIENT):
        assert heard(path(kind=LOCAL, next_hop=b""), kind).next_hop == OUR_ADDRESS
        assert heard(path(kind=LOCAL, next_hop=b""), kind, IPV6_UNICAST).next_hop == OUR_IPV6
    assert told(path(kind=LOCAL, next_hop=b""), CLIENT, next_hops=frozenset()) is NO_NEXT_HOP
    assert told(path(kind=EXTERNAL), EXTERNAL, next_hops=frozenset({(IPV6_UNICAST, OUR_IPV6)})) is NO_NEXT_HOP


def test_ipv6_next_hops_go_only_to_peers_that_take_them() -> None:
    extended = frozenset({IPV4_UNICAST})
    for next_hop in ("2001:db8::9", address("2001:db8::9") + address("fe80::9")):
        one = path(kind=CLIENT, next_hop=next_hop)
        assert told(one, CLIENT) is NEXT_HOP_ENCODING
        # RFC 8950 section 5: passed on unchanged, the encoding stays what it is.
        assert heard(one, CLIENT, extended_next_hop=extended).next_hop == one.attributes.next_hop
        assert heard(one, CLIENT, IPV6_UNICAST).next_hop == address("2001:db8::9")
    assert told(path(kind=CLIENT, next_hop="10.9.0.9"), CLIENT, IPV6_UNICAST) is NEXT_HOP_ENCODING


@pytest.mark.parametrize("source", [EXTERNAL, CLIENT, NON_CLIENT])
def test_a_link_local_next_hop_stays_on_its_link(source: Kind) -> None:
    """RFC 2545 3: only who shares the subnet may be told it, and an internal peer need not."""
    both = address("2001:db8::9") + address("fe80::9")
    receivers = [kind for kind in (CLIENT, NON_CLIENT) if CLIENT in (kind, source) or source is EXTERNAL]
    for receiver in receivers:
        told_hop = heard(path(kind=source, next_hop=both), receiver, IPV6_UNICAST).next_hop
        assert told_hop == address("2001:db8::9")
    # Nothing global is lost where there is nothing global; an external peer is told of ourselves anyway.
    for lone in (address("fe80::9") * 2, bytes(16) + address("fe80::9")):
        assert heard(path(kind=source, next_hop=lone), CLIENT, IPV6_UNICAST).next_hop == lone
    assert heard(path(kind=source, next_hop=both), EXTERNAL, IPV6_UNICAST).next_hop == OUR_IPV6


# --- Every cell of the table ------------------------------------------------------------------------

BOUND = bytes.fromhex("4004000000000001")  # a non-transitive extended community
FREE = bytes.fromhex("0002fde800000001")


def rich(source: Kind) -> Path:
    """Return a path with all that a peer of that kind may say."""
    values: dict[str, object] = {
        "as_path": {LOCAL: "", EXTERNAL: "64500", SERVED: "64500", MEMBER: "(65101) 64500"}.get(
            source, "64500"
        ),
        "next_hop": "10.9.0.9",
        "med": 5,
        "communities": (7,),
        "extended_communities": (BOUND, FREE),
        "large_communities": ((1, 2, 3),),
    }
    extra = {}
    if not source.external:
        values["local_pref"] = 300
    if source.internal:
        extra = {T.ORIGINATOR_ID: address("0.0.0.5"), T.CLUSTER_LIST: address("0.0.0.1")}
    return path(kind=source, identifier=7, extra=extra, **values)


def cell(source: Kind, receiver: Kind) -> dict[str, object] | None:
    """Return what `receiver` must hear of `rich(source)`, line by line of the RFCs; None for nothing."""
    if source is receiver is NON_CLIENT:
        return None
    before = {LOCAL: "", MEMBER: "(65101) 64500"}.get(source, "64500")
    outside = "" if source is LOCAL else "64500"
    inside = {"local_pref": 100 if source.external else 300, "med": 5, "next_hop": address("10.9.0.9")}
    both = {"originator_id": None, "cluster_list": b"", "communities": (7,), "large": ((1, 2, 3),)}
    match receiver:
        case Kind.ROUTE_SERVER_CLIENT if source is SERVED:
            return {**both, **inside, "as_path": before, "local_pref": None, "extended": (BOUND, FREE)}
        case Kind.EXTERNAL | Kind.ROUTE_SERVER_CLIENT:
            return {
                **both,
                "as_path": f"{LOCAL_AS} {outside}".strip(),
                "local_pref": None,
                "med": 5 if source is LOCAL else None,
                "next_hop": OUR_ADDRESS,
                "extended": (FREE,),
            }
        case Kind.CONFEDERATION:
            member = f"({LOCAL_AS} 65101) 64500" if source is MEMBER else f"({LOCAL_AS}) {outside}".strip()
            return {**both, **inside, "as_path": member, "extended": (BOUND, FREE)}
    same = {**both, **inside, "as_path": before, "extended": (BOUND, FREE)}
    if source.internal:
        same |= {"originator_id": address("0.0.0.5"), "cluster_list": CLUSTER + address("0.0.0.1")}
    return same


@pytest.mark.parametrize("source", Kind)
@pytest.mark.parametrize("receiver", RECEIVERS)
def test_every_cell(source: Kind, receiver: Kind) -> None:
    result = told(rich(source), receiver)
    expected = cell(source, receiver)
    if expected is None:
        assert isinstance(result, Withheld)
        return
    assert isinstance(result, Attributes)
    assert expected == {
        "as_path": aspath.text(result.as_path),
        "local_pref": result.local_pref,
        "med": result.med,
        "next_hop": result.next_hop,
        "originator_id": result.originator_id,
        "cluster_list": result.cluster_list,
        "communities": result.communities,
        "large": result.large_communities,
        "extended": result.extended_communities,
    }
    assert [type_ for _, type_, _ in result.items()] == sorted(type_ for _, type_, _ in result.items())
    assert table.build(result.items(), result.next_hop) is result, "canonical"


# --- RFC 5065 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"({LOCAL_AS})"),
        ("64500", f"({LOCAL_AS}) 64500"),
        ("{64500,64501}", f"({LOCAL_AS}) {{64500,64501}}"),
        ("(65101 65102) 64500", f"({LOCAL_AS} 65101 65102) 64500"),
        ("[65101,65102] 64500", f"({LOCAL_AS}) [65101,65102] 64500"),
    ],
)
def test_our_member_as_is_prepended_towards_other_members(before: str, after: str) -> None:
    """RFC 5065 4.1 b 1, 2 and 3."""
    segments = path(kind=CLIENT, as_path=before if "[" not in before else ())
    if "[" in before:
        value = aspath.encode((aspath.Segment(4, (65101, 65102)), aspath.Segment(2, (64500,))))
        segments.attributes = table.derive(segments.attributes, {T.AS_PATH: value})
    assert aspath.text(heard(segments, MEMBER).as_path) == after


def test_a_full_confederation_segment_gets_a_new_one_before_it() -> None:
    full = (aspath.Segment(3, tuple(range(1, 256))),)
    assert heard(path(kind=MEMBER, as_path=full), MEMBER).as_path == (aspath.Segment(3, (LOCAL_AS,)), *full)


@pytest.mark.parametrize("source", Kind)
@pytest.mark.parametrize("receiver", [EXTERNAL, SERVED])
def test_nothing_of_the_confederation_gets_out(source: Kind, receiver: Kind) -> None:
    if source is receiver is SERVED:
        return  # it could not have brought such segments
    inside = path(kind=source, as_path="(65101) 64500 (65102) 64501")
    assert aspath.text(heard(inside, receiver, local_as=64999).as_path) == "64999 64500 | 64501"


def test_a_member_is_told_ourselves_where_that_is_asked() -> None:
    assert heard(path(kind=EXTERNAL), MEMBER, next_hop_self=True).next_hop == OUR_ADDRESS
    both = address("2001:db8::9") + address("fe80::9")
    result = heard(path(kind=EXTERNAL, next_hop=both), MEMBER, IPV6_UNICAST)
    assert result.next_hop == both[:16], "the link is elsewhere (RFC 2545 3)"


def test_a_path_without_local_pref_gets_one_towards_a_member() -> None:
    bare = path(kind=EXTERNAL)
    bare.attributes = table.derive(bare.attributes, {T.AS_PATH: None})
    result = heard(bare, MEMBER)
    assert result.local_pref == 100 and aspath.text(result.as_path) == f"({LOCAL_AS})"


def test_a_member_needs_no_policy() -> None:
    """RFC 8212 is about external peers, and RFC 5065 5.3 takes members as internal ones."""
    assert isinstance(told(path(kind=EXTERNAL), MEMBER, policy=None), Attributes)
    assert told(path(kind=SERVED), SERVED, policy=None) is NO_POLICY


# --- RFC 7947 --------------------------------------------------------------------------------------


def test_a_route_server_touches_nothing() -> None:
    unknown = [(0xE0, 200, b"transitive"), (0xC0, 201, b"without Partial")]
    for next_hop in ("10.9.0.9", "2001:db8::9", address("2001:db8::9") + address("fe80::9")):
        family = IPV4_UNICAST if next_hop == "10.9.0.9" else IPV6_UNICAST
        one = path(
            kind=SERVED,
            next_hop=next_hop,
            as_path="64500 {64501}",
            med=0,
            communities=(WellKnownCommunity.NO_EXPORT, WellKnownCommunity.NO_ADVERTISE, 7),
            extended_communities=(BOUND, FREE),
            atomic_aggregate=True,
            aggregator=(64500, "10.0.0.1"),
        )
        one.attributes = table.build([*one.attributes.items(), *unknown], one.attributes.next_hop)
        assert heard(one, SERVED, family, next_hop_self=True) is one.attributes


def test_what_policy_does_stands_on_a_route_server() -> None:
    """2.2.4: what is for the server itself "MAY be modified or removed"; its LOCAL_PREF stays its own."""
    one = path(kind=SERVED, local_pref=200, communities=(7, 8))
    other = table.make(next_hop=b"", as_path="64500", communities=(8,), local_pref=200)
    result = heard(one, SERVED, policy=lambda _: other)
    assert result.communities == (8,) and result.local_pref is None
    assert result.next_hop == OUR_ADDRESS, "as the policy asked"
    assert told(one, SERVED, policy=lambda _: None) is POLICY


# --- RFC 9234 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("receiver", [EXTERNAL, SERVED])
@pytest.mark.parametrize("source", Kind)
@pytest.mark.parametrize(
    ("role", "with_otc", "without"),
    [
        (None, "kept", "none"),
        (Role.PROVIDER, "kept", "ours"),
        (Role.ROUTE_SERVER, "kept", "ours"),
        (Role.PEER, "withheld", "ours"),
        (Role.CUSTOMER, "withheld", "none"),
        (Role.ROUTE_SERVER_CLIENT, "withheld", "none"),
    ],
)
def test_the_egress_procedure(
    source: Kind, receiver: Kind, role: Role | None, with_otc: str, without: str
) -> None:
    mark = {T.ONLY_TO_CUSTOMER: (64501).to_bytes(4, "big")}
    # An attribute that sorts behind OTC.
    behind = [(0xC0, 200, b"x")]
    marked, bare = path(kind=source, extra=mark), path(kind=source)
    for one in (marked, bare):
        one.attributes = table.build([*one.attributes.items(), *behind], one.attributes.next_hop)
    result = told(marked, receiver, role=role)
    if with_otc == "withheld":
        assert result is ONLY_TO_CUSTOMER
    else:
        assert isinstance(result, Attributes) and result.only_to_customer == 64501
    clean = heard(bare, receiver, role=role)
    assert clean.only_to_customer == (LOCAL_AS if without == "ours" else None)
    assert table.build(clean.items(), clean.next_hop) is clean, "canonical"


def test_only_to_customer_is_left_alone_within_the_as() -> None:
    mark = {T.ONLY_TO_CUSTOMER: (64501).to_bytes(4, "big")}
    for source, receiver in itertools.product(Kind, (CLIENT, NON_CLIENT, MEMBER)):
        result = told(path(kind=source, extra=mark), receiver, members=frozenset({64501}))
        assert isinstance(result, Withheld) or result.only_to_customer == 64501


def test_a_member_as_in_otc_does_not_leave_the_confederation() -> None:
    members = frozenset({65101, LOCAL_AS})
    for marked, reason in ((65101, ONLY_TO_CUSTOMER_OF_MEMBER), (64999, None), (64501, None)):
        one = path(kind=MEMBER, extra={T.ONLY_TO_CUSTOMER: marked.to_bytes(4, "big")})
        for role in (None, Role.PROVIDER):
            result = told(one, EXTERNAL, role=role, local_as=64999, members=members)
            assert result is reason if reason else isinstance(result, Attributes)
    # "... its value MUST equal the AS Confederation Identifier."
    added = heard(path(kind=MEMBER), EXTERNAL, role=Role.PROVIDER, local_as=64999, members=members)
    assert added.only_to_customer == 64999


def test_no_policy_alters_only_to_customer() -> None:
    marked = path(kind=CLIENT, extra={T.ONLY_TO_CUSTOMER: (64501).to_bytes(4, "big")})
    without = table.derive(marked.attributes, {T.ONLY_TO_CUSTOMER: None})
    for role in (None, Role.PROVIDER):
        assert told(marked, EXTERNAL, role=role, policy=lambda _: without) is POLICY_FAILED


# --- RFC 4271 5.1.3: third parties -------------------------------------------------------------------

LAN = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/64"))


@pytest.mark.parametrize("source", [LOCAL, EXTERNAL, CLIENT, NON_CLIENT, MEMBER])
@pytest.mark.parametrize(
    ("next_hop", "kept"),
    [
        ("192.0.2.77", True),
        ("192.0.3.77", False),
        ("192.0.2.9", False),  # the peer's own
        ("2001:db8::77", True),
        (address("2001:db8::77") + address("fe80::77"), True),
        ("2001:db8:1::77", False),
        (address("2001:db8:1::77") + address("fe80::77"), False),
        (address("fe80::77"), False),
        (address("fe80::77") * 2, False),
    ],
)
def test_third_party_next_hops(source: Kind, next_hop: str | bytes, kept: bool) -> None:
    one = path(kind=source, next_hop=next_hop)
    four = len(one.attributes.next_hop) == 4
    family, ours = (IPV4_UNICAST, OUR_ADDRESS) if four else (IPV6_UNICAST, OUR_IPV6)
    shared = {"shared": LAN, "avoid": address("192.0.2.9")}
    assert heard(one, EXTERNAL, family, **shared).next_hop == (one.attributes.next_hop if kept else ours)
    # It can be switched off, and is unless asked for; and who asks for ourselves gets that.
    assert heard(one, EXTERNAL, family).next_hop == ours
    assert heard(one, EXTERNAL, family, next_hop_self=True, **shared).next_hop == ours


def test_a_route_of_ours_never_has_the_peers_own_address() -> None:
    own = {"avoid": address("10.9.0.9")}
    for receiver in (CLIENT, NON_CLIENT, MEMBER):
        assert heard(path(kind=LOCAL), receiver, **own).next_hop == OUR_ADDRESS
        assert heard(path(kind=LOCAL, next_hop="10.9.0.8"), receiver, **own).next_hop == address("10.9.0.8")
        # What others say is theirs.
        assert heard(path(kind=EXTERNAL), receiver, **own).next_hop == address("10.9.0.9")
    assert heard(path(kind=CLIENT), CLIENT, **own).next_hop == address("10.9.0.9")
    assert heard(path(kind=SERVED), SERVED, **own).next_hop == address("10.9.0.9"), "RFC 7947 2.2.1"


# --- Policy and length -----------------------------------------------------------------------------


def test_external_peers_without_policy_hear_nothing() -> None:
    for source in Kind:
        assert told(path(kind=source), EXTERNAL, policy=None) is NO_POLICY
    assert isinstance(told(path(kind=CLIENT), CLIENT, policy=None), Attributes)


def test_policy_may_refuse_and_change() -> None:
    assert told(path(), CLIENT, policy=lambda _: None) is POLICY
    other = table.make(next_hop="10.9.0.8", local_pref=5)
    result = heard(path(), CLIENT, policy=lambda _: other)
    assert result.local_pref == 5 and result.next_hop == address("10.9.0.8")


def test_a_policy_that_fails_refuses(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Path) -> Attributes | None:
        raise RuntimeError("broken")

    packer = Packer(terms(CLIENT, policy=broken))
    for _ in range(3):
        assert packer.told(IPV4_UNICAST, path()) is POLICY_FAILED
    assert packer.policy_failures == 3
    assert len(caplog.records) == 1 and "broken" in caplog.text


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize("four_octet_as", [True, False])
@pytest.mark.parametrize("identified", [True, False])
def test_what_fits_no_message_is_withheld(family: Family, four_octet_as: bool, identified: bool) -> None:
    """`told` and `fitting` agree with the encoder, octet by octet around the limit."""
    packer = Packer(
        terms(CLIENT, four_octet_as=four_octet_as, add_path=frozenset({(family, ALL)} if identified else ()))
    )
    next_hop = "10.9.0.9" if family is IPV4_UNICAST else "2001:db8::9"
    longest = family.bits // 8
    prefixes = [bytes((8 * octets,)) + b"\x0a" * octets for octets in range(longest + 1)]
    seen = set()
    for octets in range(3960, 4096):
        # An unknown attribute of just this length.
        items = table.make(next_hop=next_hop, local_pref=100, as_path="70000 64500").items()
        attributes = table.build([*items, (0xE0, 200, bytes(octets - 60))], address(next_hop))
        source = path()
        source.attributes = attributes
        result = packer.told(family, source)
        rewritten = Rewriter(packer.terms)(family, source, attributes, REFLECT)
        assert not isinstance(rewritten, Withheld)
        ids = [1] * len(prefixes) if identified else None
        _, unfit = packer.encoder.announce(family, *rewritten, prefixes, ids)
        if isinstance(result, Withheld):
            assert result is TOO_LONG and len(unfit) == len(prefixes)
        else:
            fitting = packer.fitting(family, result, prefixes)
            assert fitting and fitting == [one for index, one in enumerate(prefixes) if index not in unfit]
        seen.add(len(unfit))
    assert {0, len(prefixes)} < seen, "both ends and something between"
