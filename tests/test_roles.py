"""Roles at work: routes that come in by RFC 9234 section 5, and how they go out through a whole router."""

import pytest
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle, table

from bgp.export.rules import ONLY_TO_CUSTOMER
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import AttributeType, Role
from bgp.rib import admission, roles
from bgp.rib.path import Kind, Path, Refusal
from bgp.router import Router
from bgp.session.negotiation import COUNTERPART
from bgp.wire.attributes import Attributes

EXTERNAL, CLIENT = Kind.EXTERNAL, Kind.CLIENT
NET = "10.0.0.0/8"
THEIRS, OTHER = 64500, 64501


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


def said(router: Router, mark: int | None) -> Attributes:
    plain = router.table.make(as_path=f"{THEIRS}", next_hop="10.9.0.9", communities=(7,))
    if mark is None:
        return plain
    return router.table.derive(plain, {AttributeType.ONLY_TO_CUSTOMER: mark.to_bytes(4, "big")})


def test_each_role_has_its_procedure_and_its_counterpart() -> None:
    assert set(roles.PROCEDURES) == set(Role) == set(COUNTERPART)


@pytest.mark.parametrize(
    ("role", "mark", "result"),
    [
        # "1. If a route with the OTC Attribute is received from a Customer or an RS-Client ..."
        (Role.PROVIDER, THEIRS, roles.LEAK),
        (Role.PROVIDER, OTHER, roles.LEAK),
        (Role.ROUTE_SERVER, THEIRS, roles.LEAK),
        (Role.ROUTE_SERVER, OTHER, roles.LEAK),
        # "2. ... from a Peer ... and the Attribute has a value that is not equal to the remote ... AS number"
        (Role.PEER, OTHER, roles.LEAK_OF_PEER),
        (Role.PEER, THEIRS, THEIRS),
        # "3. If a route is received from a Provider, a Peer, or an RS and the OTC Attribute is not present"
        (Role.CUSTOMER, None, THEIRS),
        (Role.PEER, None, THEIRS),
        (Role.ROUTE_SERVER_CLIENT, None, THEIRS),
        # The rest is let in as it is.
        (Role.PROVIDER, None, None),
        (Role.ROUTE_SERVER, None, None),
        (Role.CUSTOMER, THEIRS, THEIRS),
        (Role.CUSTOMER, OTHER, OTHER),
        (Role.ROUTE_SERVER_CLIENT, OTHER, OTHER),
        (None, None, None),
        (None, OTHER, OTHER),
    ],
)
@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
def test_the_ingress_procedure(
    router: Router, role: Role | None, mark: int | None, result: int | Refusal | None, family: object
) -> None:
    net = NET if family is IPV4_UNICAST else "2001:db8::/32"
    peer, client = Peer(router, "a", EXTERNAL, 1, asn=THEIRS, role=role), Peer(router, "c", CLIENT, 2)
    attributes = said(router, mark)
    if family is IPV6_UNICAST:
        attributes = router.table.intern(attributes.octets, bytes.fromhex("20010db8" + "00" * 11 + "09"))
    peer.announce([net], attributes, family=family)  # type: ignore[arg-type]
    settle(router, peer, client)
    (path,) = router.rib.lookup(family, prefix(net))  # type: ignore[arg-type]
    assert path.received is attributes, "what the peer said is kept as it said it"
    if isinstance(result, Refusal):
        assert path.refusal is result and not client.held
        (verdict,) = router.rib.explain(family, prefix(net))  # type: ignore[arg-type]
        assert "RFC 9234 5" in str(verdict)
    else:
        assert path.refusal is None
        assert path.attributes.only_to_customer == client.heard(net).only_to_customer == result
        assert path.attributes.communities == (7,)


@pytest.mark.parametrize("ours", Role)
@pytest.mark.parametrize("theirs", Role)
def test_what_passes_from_whom_to_whom(router: Router, ours: Role, theirs: Role) -> None:
    """RFC 9234 3.1: what is learned from a provider, a peer or a route server goes to customers alone."""
    source = Peer(router, "a", EXTERNAL, 1, asn=THEIRS, role=ours)
    target = Peer(router, "b", EXTERNAL, 2, asn=OTHER, role=theirs)
    source.announce([NET], said(router, None))
    settle(router, source, target)
    from_below = ours in (Role.PROVIDER, Role.ROUTE_SERVER)
    to_below = theirs in (Role.PROVIDER, Role.ROUTE_SERVER)
    assert bool(target.held) is (from_below or to_below)
    if target.held:
        marked = THEIRS if not from_below else LOCAL_AS if theirs in (*_BELOW, Role.PEER) else None
        assert target.heard(NET).only_to_customer == marked
    else:
        (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
        assert router.rib.told(target.member, IPV4_UNICAST, path) is ONLY_TO_CUSTOMER
        assert "RFC 9234 5" in str(ONLY_TO_CUSTOMER)


_BELOW = (Role.PROVIDER, Role.ROUTE_SERVER)


def test_what_was_told_is_withdrawn_when_it_turns_out_to_be_for_customers(router: Router) -> None:
    client, provider = Peer(router, "c", CLIENT, 1), Peer(router, "p", EXTERNAL, 2, role=Role.CUSTOMER)
    client.announce([NET], as_path="64502")
    settle(router, client, provider)
    assert provider.prefixes() == {NET}
    marked = router.table.derive(
        provider.router.table.make(as_path="64502", next_hop="10.9.0.9", local_pref=100),
        {AttributeType.ONLY_TO_CUSTOMER: (64502).to_bytes(4, "big")},
    )
    client.announce([NET], marked)
    settle(router, client, provider)
    assert not provider.held


def test_import_policy_sees_the_mark_and_cannot_take_it_away(router: Router) -> None:
    seen: list[int | None] = []

    def curious(path: Path) -> Attributes:
        seen.append(path.attributes.only_to_customer)
        return path.attributes

    def meddling(path: Path) -> Attributes:
        return table.derive(path.attributes, {AttributeType.ONLY_TO_CUSTOMER: None})

    peer = Peer(router, "a", EXTERNAL, 1, asn=THEIRS, role=Role.CUSTOMER, import_policy=curious)
    peer.announce([NET], said(router, None))
    assert seen == [THEIRS]
    router.set_import_policy(peer.member, meddling)
    settle(router)
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert path.refusal is admission.POLICY_FAILED


def test_a_leak_is_refused_before_any_policy_is_asked(router: Router) -> None:
    def never(_: Path) -> Attributes:
        raise AssertionError

    peer = Peer(router, "a", EXTERNAL, 1, asn=THEIRS, role=Role.PROVIDER, import_policy=never)
    peer.announce([NET], said(router, THEIRS))
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert path.refusal is roles.LEAK and router.admission.policy_failures == 0


def test_octets_that_look_like_the_mark_are_none(router: Router) -> None:
    """0x2304 stands in an AS number here, and not for type 35 with 4 octets."""
    peer = Peer(router, "a", EXTERNAL, 1, asn=THEIRS, role=Role.PROVIDER)
    below = Peer(router, "b", EXTERNAL, 2, asn=OTHER, role=Role.PROVIDER)
    peer.announce([NET], as_path=f"{THEIRS} {0x2304}")
    settle(router, peer, below)
    assert below.heard(NET).only_to_customer == LOCAL_AS
