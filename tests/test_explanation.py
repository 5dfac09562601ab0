"""What explanations say: every path, every rule, in words that name the policy's term."""

import pytest
from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, prefix, settle

from bgp.explanation import Changed, changes, policy_name
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import MessageType, WellKnownCommunity
from bgp.policy import ACCEPT, ACCEPT_ALL, REFUSE, Rules, Term, change, function, match
from bgp.rib.path import Kind, Path
from bgp.router import Router
from bgp.wire import words
from bgp.wire.attributes import Attributes, AttributeTable

CLIENT, NON_CLIENT, EXTERNAL = Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL
NET = prefix("10.1.0.0/16")

EDGE = Rules(
    "edge",
    [
        Term("bogons", match.prefix_in(["10.9.0.0/16 le 32"]), (), REFUSE),
        Term("marked", match.ANY, (change.add_communities(5),)),
        Term("customers", match.med(7), (change.local_pref(200),), ACCEPT),
    ],
)


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


def test_the_rule_of_import_is_named_for_every_path(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1, import_policy=EDGE)
    b, c = Peer(router, "b", CLIENT, 2), Peer(router, "c", EXTERNAL, 3, import_policy=None)
    a.announce(["10.1.0.0/16"], med=7)
    a.announce(["10.9.1.0/24"], med=7)
    b.announce(["10.1.0.0/16"], as_path="64500 64501")
    c.announce(["10.1.0.0/16"], as_path="64003")
    settle(router, a, b, c)
    told = router.rib.explain(IPV4_UNICAST, NET)
    assert [one.path.source.peer for one in told] == ["a", "b", "c"]
    first, second, third = told.paths
    assert first.best and first.rung is None and first.refusal is None
    assert first.opinion is not None and first.opinion.trace is not None
    assert first.opinion.trace.decided == "customers" and first.opinion.trace.matched == (
        "marked",
        "customers",
    )
    assert first.opinion.changes == (
        Changed("LOCAL_PREF", "100", "200"),
        Changed("COMMUNITIES", None, "0:5"),
    )
    assert not second.best and second.rung is not None and second.rung.name == "local-pref"
    assert third.refusal is not None and third.refusal.name == "no-policy" and third.opinion is None
    assert str(told) == "\n".join(
        (
            "10.1.0.0/16: 3 paths",
            "  from a (client): best",
            "    received: ORIGIN IGP, AS_PATH empty, MULTI_EXIT_DISC 7, LOCAL_PREF 100, NEXT_HOP 10.9.0.9",
            '    import policy "edge" accepts it by term "customers", behind "marked":'
            " LOCAL_PREF 100 -> 200; COMMUNITIES none -> 0:5",
            f"  from b (client): lost at rung {second.rung.number}: the highest LOCAL_PREF wins"
            " (RFC 4271 9.1.1)",
            "    received: ORIGIN IGP, AS_PATH 64500 64501, LOCAL_PREF 100, NEXT_HOP 10.9.0.9",
            '    import policy "accept_all" accepts it',
            "  from c (external): refused: no import policy is configured for this external peer"
            " (RFC 8212 3)",
            "    received: ORIGIN IGP, AS_PATH 64003, NEXT_HOP 10.9.0.9",
        )
    )
    (refused,) = router.rib.explain(IPV4_UNICAST, prefix("10.9.1.0/24"))
    assert refused.opinion is not None and not refused.opinion.accepted
    assert str(refused.opinion) == 'policy "edge" refuses it by term "bogons"'


def test_a_loop_is_found_before_policy_is_asked(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1, import_policy=EDGE)
    a.announce(["10.1.0.0/16"], as_path=f"64500 {LOCAL_AS}")
    settle(router, a)
    (path,) = router.rib.explain(IPV4_UNICAST, NET)
    assert path.refusal is not None and path.refusal.name == "as-loop" and path.opinion is None


def test_functions_are_called_by_their_names(router: Router) -> None:
    def choosy(path: Path) -> Attributes | None:
        return None if path.attributes.med == 1 else path.attributes

    @function(name="short ones", reads_prefix=True)
    def short(path: Path, prefix: bytes) -> Attributes | None:
        return path.attributes if prefix[0] < 17 else None

    def broken(path: Path) -> Attributes | None:
        raise ZeroDivisionError("oh")

    said = {}
    for number, policy in enumerate((choosy, short, broken), 1):
        peer = Peer(router, f"p{number}", CLIENT, number, import_policy=policy)
        peer.announce(["10.1.0.0/16", "10.1.0.0/24"], med=number)
        settle(router, peer)
    for one in (
        *router.rib.explain(IPV4_UNICAST, NET),
        *router.rib.explain(IPV4_UNICAST, prefix("10.1.0.0/24")),
    ):
        said.setdefault(one.path.source.peer, []).append(str(one.opinion))
    name = "test_functions_are_called_by_their_names.<locals>."
    assert said == {
        "p1": [f'policy "{name}choosy" refuses it'] * 2,
        "p2": ['policy "short ones" accepts it', 'policy "short ones" refuses it'],
        "p3": [f'policy "{name}broken" failed: ZeroDivisionError: oh'] * 2,
    }

    class Callable:
        def __call__(self, path: Path) -> Attributes | None:
            return path.attributes

    assert policy_name(Callable()).endswith("Callable") and policy_name(ACCEPT_ALL) == "accept_all"


def test_towards_a_member(router: Router) -> None:
    export = Rules(
        "out",
        [
            Term("secret", match.community("65000:9"), (), REFUSE),
            Term("rest", match.ANY, (change.med(9),), ACCEPT),
        ],
    )
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2, export_policy=export)
    n, m = Peer(router, "n", NON_CLIENT, 3), Peer(router, "m", NON_CLIENT, 4)
    x = Peer(router, "x", EXTERNAL, 5)
    a.announce(["10.1.0.0/16"])
    n.announce(["10.1.0.0/16"], local_pref=50)
    n.announce(["10.2.0.0/16"], communities=(WellKnownCommunity.NO_EXPORT,))
    a.announce(["10.3.0.0/16"], communities=(65000 << 16 | 9,))
    account = router.rib.explain_to(b.member, IPV4_UNICAST, NET)
    assert account.pending and str(account).endswith("the peer has not yet taken all that it is to be told")
    settle(router, a, b, n, m, x)

    account = router.rib.explain_to(b.member, IPV4_UNICAST, NET)
    (told,) = account.told
    assert told.path.source.peer == "a" and told.attributes is not None
    assert (told.attributes.octets, told.attributes.next_hop) == (
        b.heard("10.1.0.0/16").octets,
        b.heard("10.1.0.0/16").next_hop,
    )
    assert told.message[18] == MessageType.UPDATE and told.message.endswith(NET)
    assert told.opinion is not None and told.opinion.changes == (Changed("MULTI_EXIT_DISC", None, "9"),)
    lost = account.tellings[1]
    assert lost.reason is not None and lost.reason.name == "not-selected"
    assert str(account) == "\n".join(
        (
            "10.1.0.0/16 towards b (client)",
            "  from a (client): told, reflected with ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 8)",
            '    export policy "out" accepts it by term "rest": MULTI_EXIT_DISC none -> 9',
            "    goes out: ORIGIN IGP, AS_PATH empty, MULTI_EXIT_DISC 9, LOCAL_PREF 100,"
            " ORIGINATOR_ID 0.0.0.1, CLUSTER_LIST 10.0.0.1, NEXT_HOP 10.9.0.9",
            f"    in an UPDATE of {len(told.message)} octets: {told.message.hex()}",
            "  from n (non-client): not told: another path is better: the highest LOCAL_PREF wins"
            " (RFC 4271 9.1.1)",
        )
    )

    def why(peer: Peer, text: str, number: int = 0) -> str:
        return str(router.rib.explain_to(peer.member, IPV4_UNICAST, prefix(text)).tellings[number])

    assert why(a, "10.1.0.0/16") == "not told: it came from this very peer (RFC 4271 9.2)"
    assert why(m, "10.2.0.0/16") == "not told: internal paths are not sent to internal peers (RFC 4271 9.2)"
    assert why(x, "10.2.0.0/16") == "not told: NO_EXPORT keeps it within the AS or confederation (RFC 1997)"
    assert why(b, "10.3.0.0/16") == 'not told: term "secret" of policy "out" refuses it (RFC 4271 9.1.3)'
    assert why(x, "10.1.0.0/16") == "told"
    nothing = router.rib.explain_to(b.member, IPV4_UNICAST, prefix("192.0.2.0/24"))
    assert not nothing.tellings and str(nothing).endswith("nothing: there is no path to it")


def test_with_add_path_and_what_does_not_fit(router: Router) -> None:
    a, c = Peer(router, "a", CLIENT, 1, extended_messages=True), Peer(router, "c", NON_CLIENT, 2)
    b = Peer(router, "b", CLIENT, 3, add_path=add_path())
    large = tuple((1, 2, n) for n in range(400))
    a.announce(["10.1.0.0/16"], large_communities=large)
    c.announce(["10.1.0.0/16"], local_pref=1)
    settle(router, a, b, c)
    account = router.rib.explain_to(b.member, IPV4_UNICAST, NET)
    reasons = {one.path.source.peer: one.reason and one.reason.name for one in account}
    if b.negotiated.maximum_send > 4096:
        assert reasons == {"a": None, "c": None}
    else:
        assert reasons == {"a": "too-long", "c": None}
    assert {one.path_id for one in account.told} == {key[2] for key in b.held}


def test_a_family_that_was_not_negotiated(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1, families=(IPV4_UNICAST,))
    with pytest.raises(ValueError, match="ipv6-unicast was not negotiated with a"):
        router.rib.explain_to(a.member, IPV6_UNICAST, prefix("2001:db8::/32"))


def test_words_for_all_attributes() -> None:
    table = AttributeTable()
    attributes = table.make(
        next_hop="2001:db8::1",
        origin=2,
        as_path="64500 {64501 64502}",
        med=1,
        communities=(WellKnownCommunity.NO_EXPORT, 65000 << 16 | 7),
        large_communities=((1, 2, 3),),
        extended_communities=(bytes.fromhex("0002fde800000001"),),
    )
    more = table.derive(
        attributes,
        {
            6: b"",
            7: bytes.fromhex("0000fde8c0000201"),
            9: bytes(4),
            10: bytes(8),
            26: b"\1\0\x0b" + bytes(8),
            35: bytes((0, 0, 0, 9)),
        },
    )
    assert words.values(more) == {
        "ORIGIN": "INCOMPLETE",
        "AS_PATH": "64500 {64501,64502}",
        "MULTI_EXIT_DISC": "1",
        "ATOMIC_AGGREGATE": "set",
        "AGGREGATOR": "65000 192.0.2.1",
        "COMMUNITIES": "NO_EXPORT 65000:7",
        "ORIGINATOR_ID": "0.0.0.0",
        "CLUSTER_LIST": "0.0.0.0 0.0.0.0",
        "EXTENDED_COMMUNITIES": "rt:65000:1",
        "AIGP": "01000b0000000000000000",
        "LARGE_COMMUNITIES": "1:2:3",
        "ONLY_TO_CUSTOMER": "9",
        "NEXT_HOP": "2001:db8::1",
    }
    assert words.name(99) == "attribute 99"
    assert changes(attributes, more)[0] == Changed("ATOMIC_AGGREGATE", None, "set")
