"""What a neighbor of the stand-in hears: after any history, exactly the routes that were said last."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from routers import BOTH, add_path, session

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import HEADER_LENGTH, MessageType
from bgp.session.negotiation import Negotiated
from bgp.tools.exabgp.adjacency import Adjacency
from bgp.tools.exabgp.command import parse
from bgp.tools.exabgp.route import Key, Said, attributes
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.context import Context
from bgp.wire.framing import Framer
from bgp.wire.update import Decoder

LOCAL = bytes((192, 0, 2, 1))
TABLE = AttributeTable()
PREFIXES = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "2001:db8:1::/48"]


def said(text: str, prefix: str = "10.0.0.0/8") -> Said:
    command = parse(f"announce route {prefix} {text}")
    assert command is not None and command.said is not None
    return command.said


class Neighbor:
    """It believes what it is told."""

    def __init__(self, agreed: Negotiated) -> None:
        context = Context(
            internal=agreed.internal,
            families=frozenset(agreed.families),
            add_path=agreed.add_path_send,
            four_octet_as=agreed.four_octet_as,
            extended_next_hop=agreed.extended_next_hop,
        )
        self._decoder = Decoder(context, TABLE)
        self.held: dict[Key, Attributes] = {}
        self.ends: list[object] = []
        self.others: list[int] = []

    def hear(self, messages: Iterable[bytes]) -> None:
        framer = Framer()
        framer.feed(b"".join(messages))
        while (message := framer.next()) is not None:
            type_, body = message
            if type_ != MessageType.UPDATE:
                self.others.append(body[2])
                continue
            update = self._decoder.decode(body)
            assert not update.faults
            if update.end_of_rib is not None:
                self.ends.append(update.end_of_rib)
            for family, prefixes, path_ids in update.withdrawn:
                for number, prefix in enumerate(prefixes):
                    del self.held[Key(family, prefix, path_ids[number] if path_ids else 0)]
            for reach in update.announced:
                for number, prefix in enumerate(reach.prefixes):
                    path_id = reach.path_ids[number] if reach.path_ids else 0
                    self.held[Key(reach.family, prefix, path_id)] = reach.attributes


def wanted(adjacency: Adjacency, agreed: Negotiated) -> dict[Key, Attributes]:
    found = {}
    for key, each in adjacency.routes.items():
        if key.family in agreed.families:
            try:
                found[key] = attributes(each, key.family, agreed, LOCAL, TABLE)
            except ValueError:
                continue
    return found


STEP = st.one_of(
    st.tuples(
        st.just("announce"),
        st.lists(st.sampled_from(PREFIXES), min_size=1),
        st.sampled_from(["next-hop self", "next-hop 2001:db8::1 med 7", "next-hop 192.0.2.9 community 1:2"]),
        st.integers(0, 2),
    ),
    st.tuples(st.just("withdraw"), st.lists(st.sampled_from(PREFIXES)), st.just(""), st.integers(0, 2)),
    st.tuples(st.sampled_from(["pull", "end", "again"]), st.just([]), st.just(""), st.just(0)),
)
SESSIONS = [
    session(2, families=BOTH),
    session(2, 65001, families=(IPV4_UNICAST,)),
    session(2, families=BOTH, add_path=add_path()),
    session(2, families=BOTH, extended_next_hop=(IPV4_UNICAST,), four_octet_as=False),
]


@given(st.lists(STEP), st.sampled_from(SESSIONS))
def test_a_neighbor_holds_what_was_said_last(
    steps: list[tuple[str, list[str], str, int]], agreed: Negotiated
) -> None:
    complaints: list[str] = []
    adjacency = Adjacency(complaints.append)
    neighbor: Neighbor | None = None
    identified = bool(agreed.add_path_send)
    for action, prefixes, text, path_id in [*steps, ("pull", [], "", 0)]:
        keys = [Key(*nlri.parse(prefix), path_id if identified else 0) for prefix in prefixes]
        if action == "announce":
            adjacency.announce(keys, said(text))
        elif action == "withdraw":
            adjacency.withdraw(keys)
        elif action == "end":
            adjacency.end()
            neighbor = None
            assert not adjacency.pending
        else:
            if neighbor is None:
                neighbor = Neighbor(agreed)
                adjacency.begin(agreed, LOCAL)
            if action == "again":
                adjacency.again(BOTH, enhanced=True)
            while adjacency.pending:
                neighbor.hear(adjacency.pull())
            assert neighbor.held == wanted(adjacency, agreed)
            assert set(neighbor.ends) == set(agreed.families)
    assert all("next hop" in complaint for complaint in complaints)


def test_a_refresh_is_marked_around_all_routes() -> None:
    agreed = session(2, families=BOTH)
    adjacency = Adjacency(print)
    keys = [Key(IPV4_UNICAST, bytes((24, 10, number >> 8, number & 255))) for number in range(2500)]
    adjacency.announce(keys, said("next-hop self"))
    adjacency.begin(agreed, LOCAL)
    neighbor = Neighbor(agreed)
    while adjacency.pending:
        neighbor.hear(adjacency.pull())
    assert len(neighbor.held) == 2500
    adjacency.again([IPV4_UNICAST], enhanced=True)
    neighbor.held.clear()
    pulls = []
    while adjacency.pending:
        pulls.append(adjacency.pull())
        neighbor.hear(pulls[-1])
    assert len(pulls) == 3
    assert neighbor.others == [1, 2]  # BoRR, EoRR
    assert pulls[0][0][HEADER_LENGTH - 1] == pulls[-1][-1][HEADER_LENGTH - 1] == MessageType.ROUTE_REFRESH
    assert len(neighbor.held) == 2500


def test_what_is_open_depends_on_the_session() -> None:
    inside, outside = session(2), session(2, 65001)
    plain = said("next-hop self")
    told = attributes(plain, IPV4_UNICAST, inside, LOCAL, TABLE)
    assert (told.next_hop, told.as_path, told.local_pref) == (LOCAL, (), 100)
    told = attributes(plain, IPV4_UNICAST, outside, LOCAL, TABLE)
    assert [segment.asns for segment in told.as_path] == [(65000,)]
    assert told.local_pref is None
    given_ = said("next-hop self as-path [ 1 2 ] local-preference 5 originator-id 1.1.1.1")
    told = attributes(given_, IPV4_UNICAST, outside, LOCAL, TABLE)
    assert [segment.asns for segment in told.as_path] == [(1, 2)]
    assert (told.local_pref, told.originator_id) == (None, None)


def test_a_next_hop_that_the_session_cannot_carry_is_told_once() -> None:
    complaints: list[str] = []
    adjacency = Adjacency(complaints.append)
    adjacency.announce([Key(*nlri.parse("2001:db8::/32"))], said("next-hop self"))
    adjacency.begin(session(2, families=(IPV4_UNICAST, IPV6_UNICAST)), LOCAL)
    neighbor = Neighbor(session(2, families=BOTH))
    neighbor.hear(adjacency.pull())
    assert neighbor.held == {}
    assert complaints == ["2001:db8::/32 is not told: its next hop 192.0.2.1 is no IPv6 address; write one"]
