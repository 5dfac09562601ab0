"""Peers that are told only what is installed; `test_router_model` has what happens in any order."""

import pytest
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp import IPV4_UNICAST, PeerOptions, Speaker
from bgp.export.gate import NOT_INSTALLED
from bgp.rib.path import Kind
from bgp.router import Router

ONE, TWO, OWN = "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"


def test_what_is_not_installed_is_not_told_and_said_to_be_so() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    a, open_ = Peer(router, "a", Kind.CLIENT, 1), Peer(router, "open", Kind.CLIENT, 2)
    gated = Peer(router, "gated", Kind.CLIENT, 3, settings={"installed_only": True})
    a.announce([ONE, TWO])
    router.announce(IPV4_UNICAST, prefix(OWN), router.table.make())
    settle(router, open_, gated)
    assert open_.prefixes() == {ONE, TWO, OWN} and gated.prefixes() == {OWN}
    (telling,) = router.rib.explain_to(gated.member, IPV4_UNICAST, prefix(ONE))
    assert telling.reason is NOT_INSTALLED and "not told: it is not installed" in str(telling)
    assert {route.prefix for route in router.rib.advertised(gated.member, IPV4_UNICAST)} == {prefix(OWN)}
    router.installed(IPV4_UNICAST, prefix(ONE), True)
    assert gated.prefixes() == {OWN}
    settle(router, open_, gated)
    assert gated.prefixes() == {ONE, OWN} and gated.withdrawn == 0
    late = Peer(router, "late", Kind.CLIENT, 4, settings={"installed_only": True})
    settle(router, late)
    assert late.prefixes() == {ONE, OWN}
    # Another path while it is installed is told at once: the forwarding plane replaces it in one step.
    a.announce([ONE], med=7)
    settle(router, gated)
    assert gated.heard(ONE).med == 7
    router.installed(IPV4_UNICAST, prefix(ONE), False)
    settle(router, open_, gated, late)
    assert gated.prefixes() == {OWN} == late.prefixes() and open_.prefixes() == {ONE, TWO, OWN}


def test_news_that_cancel_each_other_are_none() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    a = Peer(router, "a", Kind.CLIENT, 1)
    gated = Peer(router, "gated", Kind.CLIENT, 3, settings={"installed_only": True})
    a.announce([ONE])
    settle(router, gated)
    messages = gated.messages
    for installed in (True, False, True, False):
        router.installed(IPV4_UNICAST, prefix(ONE), installed)
    settle(router, gated)
    assert gated.messages == messages


async def test_it_is_an_option_of_peers_that_excludes_an_advertisement_interval() -> None:
    with pytest.raises(ValueError, match="installed_only: excludes advertisement_interval"):
        PeerOptions(asn=1, address="127.0.0.1", installed_only=True, advertisement_interval=5)
    async with Speaker(asn=65000, router_id="192.0.2.1") as speaker:
        route = speaker.announce("10.0.0.0/8")
        with pytest.raises(RuntimeError, match=r"see fib\.KernelFib"):
            await route.in_fib()
        waited = []

        class Plane:
            async def installed(self, family: object, one: bytes) -> None:
                waited.append((family, one))

        speaker.forwarding = Plane()
        await route.in_fib()
        assert waited == [(IPV4_UNICAST, prefix("10.0.0.0/8"))]
        speaker.installed(IPV4_UNICAST, {prefix(ONE): True})
