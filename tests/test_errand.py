"""Errands: they are done when the member has the news, however it is told of them, and not before."""

from dataclasses import dataclass
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from routers import LOCAL_AS, Peer, add_path, prefix, settle

from bgp.export.errand import Errand
from bgp.family import IPV4_UNICAST
from bgp.policy import ACCEPT_ALL, Rules, Term, change, match
from bgp.rib.path import Kind
from bgp.router import Router

OURS = [f"10.1.{number}.0/24" for number in range(4)]
OTHERS = [f"10.2.{number}.0/24" for number in range(200)]
MARKED = Rules("marked", [Term("all", match.ANY, (change.add_communities(7),))], ACCEPT_ALL)
INTERVAL = 5.0


@dataclass
class Asked:
    """An errand for `peer`, of a prefix whose MED was `version` when it began."""

    peer: Peer
    prefix: str
    version: int
    errand: Errand


class Model:
    """A router with members of all sorts; each new MED of a route of ours is higher than all before."""

    def __init__(self) -> None:
        self.router = Router(LOCAL_AS, 1, lag_limit=600)
        self.numbers = count(1)
        self.versions = dict.fromkeys(OURS, 0)
        self.asked: list[Asked] = []
        self.now = 0.0
        self.done = 0
        self.peers = {
            "eager": Peer(self.router, "eager", Kind.CLIENT, 11),
            "slow": Peer(self.router, "slow", Kind.CLIENT, 12),
            "many": Peer(self.router, "many", Kind.CLIENT, 13, add_path=add_path()),
            "paced": Peer(
                self.router, "paced", Kind.CLIENT, 14, settings={"advertisement_interval": INTERVAL}
            ),
        }
        self.noise = Peer(self.router, "noise", Kind.CLIENT, 20)
        self.peers["eager"].member.taker = self.peers["eager"]

    def announce(self, text: str) -> None:
        number = self.versions[text] = next(self.numbers)
        self.router.announce(IPV4_UNICAST, prefix(text), self.router.table.make(med=number))

    def ask(self, text: str, name: str) -> None:
        peer = self.peers[name]
        if self.versions[text] and self.router.rib.withheld(peer.member, IPV4_UNICAST, prefix(text)) is None:
            errand = self.router.rib.errand(peer.member, IPV4_UNICAST, prefix(text))
            self.asked.append(Asked(peer, text, self.versions[text], errand))

    def turn(self) -> None:
        self.router.work()
        self.router.flush(self.now)
        for octets, takers in self.router.share(200):
            for taker in takers:
                taker.take(octets, self.now)
        self.look()

    def look(self) -> None:
        for one in list(self.asked):
            if self.router.rib.done(one.peer.member, one.errand):
                self.asked.remove(one)
                self.done += 1
                assert one.peer.heard(one.prefix).med >= one.version

    def end(self) -> None:
        for _ in range(3):
            self.now += 2 * INTERVAL
            settle(self.router, *self.peers.values(), self.noise, now=self.now)
        self.look()
        assert not self.asked


STEPS = st.one_of(
    st.tuples(st.just("announce"), st.sampled_from(OURS)),
    st.tuples(st.just("tell"), st.sampled_from(OURS), st.sampled_from(["eager", "slow", "many", "paced"])),
    st.tuples(st.just("ask"), st.sampled_from(OURS), st.sampled_from(["eager", "slow", "many", "paced"])),
    st.tuples(st.just("pull"), st.sampled_from(["eager", "slow", "many", "paced"]), st.integers(1, 400)),
    st.tuples(st.just("noise"), st.integers(0, 190), st.integers(0, 9)),
    st.tuples(st.just("policy"), st.sampled_from(["slow", "many", "paced"]), st.booleans()),
    st.tuples(st.just("turn")),
    st.tuples(st.just("later")),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(late=st.booleans(), steps=st.lists(STEPS, min_size=20, max_size=60))
def test_errands_are_done_when_the_member_knows(late: bool, steps: list[tuple[str, ...]]) -> None:
    model = Model()
    for text in OURS[late:]:
        model.announce(text)
    if not late:
        settle(model.router, *model.peers.values(), model.noise)
    for name, *given_ in steps:
        match name, *given_:
            case "announce", str(text):
                model.announce(text)
            case "tell", str(text), str(who):
                model.announce(text)
                model.ask(text, who)
                model.turn()
            case "ask", str(text), str(who):
                model.ask(text, who)
            case "pull", str(who), int(limit):
                model.peers[who].pull(limit)
                model.look()
            case "noise", int(first), int(med):
                model.noise.announce(OTHERS[first : first + 10], med=med)
            case "policy", str(who), bool(marked):
                member = model.peers[who].member
                model.router.set_export_policy(member, MARKED if marked else ACCEPT_ALL)
            case "later":
                model.now += INTERVAL / 2
                model.turn()
            case _:
                model.turn()
    model.end()


def test_an_errand_during_the_first_dump_and_one_behind_it() -> None:
    model = Model()
    model.announce(OURS[0])
    model.router.flush()
    model.ask(OURS[0], "slow")
    model.look()
    assert model.asked and not model.done
    model.end()
    assert model.done == 1
    model.ask(OURS[0], "slow")
    model.look()
    assert model.done == 2


def test_a_member_that_fell_behind() -> None:
    """What it had been told before is done at once; what changed since is done when the log says it."""
    model = Model()
    for text in OURS:
        model.announce(text)
    settle(model.router, *model.peers.values())
    slow = model.peers["slow"]
    for number in range(200):
        model.noise.announce(OTHERS[number : number + 1], med=number)
        model.router.flush()
        for name in ("eager", "many", "paced"):
            model.peers[name].drain()
    model.router.flush()
    model.announce(OURS[1])
    model.router.flush()
    assert slow.member.behind
    model.ask(OURS[0], "slow")
    model.ask(OURS[1], "slow")
    model.look()
    assert [one.prefix for one in model.asked] == [OURS[1]]
    while model.asked:
        slow.pull(100)
        model.router.flush()
        model.look()
    assert model.done == 2
