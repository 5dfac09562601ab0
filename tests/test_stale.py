"""Long-lived stale routes: marked on the way in, and chosen when nothing else is left (RFC 9494)."""

from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp.family import IPV4_UNICAST
from bgp.iana import WellKnownCommunity
from bgp.policy import ACCEPT, Rules, Term, change
from bgp.rib.path import Kind
from bgp.router import Router


def test_routes_that_outlive_their_session_are_the_last_resort() -> None:
    # RFC 9494 section 4.2: LLGR_STALE is attached, whatever the policy does to communities.
    router = Router(LOCAL_AS, ROUTER_ID)
    plain = Rules("plain", [Term("all", changes=(change.set_communities(),), then=ACCEPT)])
    old = Peer(router, "old", Kind.CLIENT, 1, import_policy=plain)
    new, third = Peer(router, "new", Kind.CLIENT, 2), Peer(router, "third", Kind.CLIENT, 3)
    old.announce(["10.0.0.0/8", "10.1.0.0/16"], communities=[7], local_pref=500)
    new.announce(["10.0.0.0/8"], as_path="1 2 3")
    settle(router, old, new, third)
    assert third.heard("10.0.0.0/8").local_pref == 500
    table = router._tables[IPV4_UNICAST]
    source = old.member._sources[IPV4_UNICAST]
    stale = old.member._sources[IPV4_UNICAST] = source.long_lived()
    assert stale.stale and stale.under(None).stale and not stale.renewed().stale
    while not table.transfer(source, stale, 1):
        pass
    settle(router, old, new, third)
    assert third.heard("10.0.0.0/8").as_path_length == 3
    assert third.heard("10.1.0.0/16").communities == (WellKnownCommunity.LLGR_STALE,)
    best, last = router.decision.explain(router.rib.lookup(IPV4_UNICAST, prefix("10.0.0.0/8")))
    assert best.path.source.peer == "new" and last.rung is not None and last.rung.name == "stale"
    assert last.path.attributes.stale and last.path.received.communities == (7,)
    # Announced again it is as any other.
    old.member._sources[IPV4_UNICAST] = stale.renewed()
    old.announce(["10.0.0.0/8", "10.1.0.0/16"], communities=[7], local_pref=500)
    settle(router, old, new, third)
    assert third.heard("10.0.0.0/8").local_pref == 500
    assert third.heard("10.1.0.0/16").communities == ()
