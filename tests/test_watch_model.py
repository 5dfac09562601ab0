"""Whatever happens, and however slowly somebody looks: what a watch tells adds up to the table.

Peers come, go, announce, withdraw and change policies; watches with all sorts of conditions take events at
any time, stop, go on from a number, or are so slow that changes are coalesced and lost.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, address, prefix

from bgp.aio.watch import InSync, Lagged, RouteEvent, Snapshot, Watch, WatchEvent, interest
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.policy import ACCEPT_ALL
from bgp.rib import follower
from bgp.rib.interest import Interest
from bgp.rib.path import Kind, Path
from bgp.rib.selection import BEST, best_n, select
from bgp.router import Router
from bgp.wire.attributes import Attributes

PREFIXES = {
    IPV4_UNICAST: [prefix(f"10.{at}.0.0/16") for at in range(5)]
    + [prefix(text) for text in ("0.0.0.0/0", "10.1.2.0/23", "10.1.2.128/25")],
    IPV6_UNICAST: [prefix(f"2001:db8:{at}::/48") for at in range(3)],
}
PEERS: dict[str, tuple[Kind, dict[str, object]]] = {
    "client-1": (Kind.CLIENT, {}),
    "client-2": (Kind.CLIENT, {}),
    "several": (Kind.CLIENT, {"add_path": add_path()}),
    "external": (Kind.EXTERNAL, {}),
}
FILTERS: list[dict[str, object]] = [
    {},
    {},
    {"family": IPV6_UNICAST},
    {"prefix": "10.1.0.0/16"},
    {"prefix": "2001:db8::/48"},
    {"within": "10.1.0.0/16"},
    {"within": "10.0.0.0/14"},
    {"within": "0.0.0.0/0"},
    {"peer": "client-1"},
    {"peer": "several"},
    {"peer": ""},
    {"community": "0:1"},
    {"community": [2, "0:1:2"]},
    {"community": (0, 1, 2)},
    {"within": "10.0.0.0/15", "community": 1},
    {"peer": "client-2", "family": IPV4_UNICAST},
]
PATHS = ("best", "best", "all", best_n(2))
# Next hop, LOCAL_PREF, communities, large ones.
LOOKS: tuple[tuple[object, ...], ...] = (
    ("10.9.0.1", "10.9.0.2"),
    (100, 200),
    ((), (1,), (2, 3)),
    ((), ((0, 1, 2),)),
)
Key = tuple[Family, bytes, tuple[str, int | None] | None]
State = dict[Key, Path]

names = st.sampled_from(sorted(PEERS))
families = st.sampled_from((IPV4_UNICAST, IPV4_UNICAST, IPV6_UNICAST))


def refusing(path: Path) -> Attributes | None:
    return None if 1 in path.attributes.communities else path.attributes


@dataclass(eq=False)
class Consumer:
    """Somebody who believes what a watch says; `watch` is None while it has stopped."""

    wanted: Interest
    limit: int
    watch: Watch | None
    state: State = field(default_factory=dict)
    sequence: int = 0
    numbered: bool = True

    def hear(self, news: WatchEvent) -> None:
        assert news.sequence >= self.sequence
        if isinstance(news, Snapshot):
            self.state.clear()
            self.numbered = False
        elif isinstance(news, InSync):
            self.numbered = True
        elif isinstance(news, RouteEvent):
            some = news.path or news.previous
            assert some is not None and some is not (news.path and news.previous)
            slot = None if self.wanted.selection == BEST else (some.slot.peer, some.slot.path_id)
            key = news.family, news.octets, slot
            if self.numbered:
                assert news.sequence > self.sequence
                assert news.previous is self.state.get(key), "it is told what it knew"
            if news.path is None:
                self.state.pop(key, None)
            else:
                self.state[key] = news.path
        self.sequence = news.sequence


@contextmanager
def small_steps() -> Iterator[None]:
    before = follower._STEP
    follower._STEP = 2
    try:
        yield
    finally:
        follower._STEP = before


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.router = Router(LOCAL_AS, ROUTER_ID)
        self.router.history._limit = 12
        self.peers: dict[str, Peer] = {}
        self.consumers: list[Consumer] = []
        self.flushed: dict[object, State] = {}
        self.join("client-1")
        self.join("client-2")
        self.join("several")
        self.remember()
        for limit in (1, 4, 100):
            self.watch({}, "all" if limit == 4 else "best", limit)

    # --- routes ------------------------------------------------------------------------------------------

    @rule(name=names)
    def join(self, name: str) -> None:
        if name not in self.peers:
            kind, special = PEERS[name]
            number = sorted(PEERS).index(name) + 1
            self.peers[name] = Peer(self.router, name, kind, number, **special)  # type: ignore[arg-type]

    @rule(name=names)
    def leave(self, name: str) -> None:
        if name in self.peers:
            self.peers.pop(name).down()

    @rule(name=names, refuse=st.booleans())
    def policy(self, name: str, refuse: bool) -> None:
        if name in self.peers:
            self.router.set_import_policy(self.peers[name].member, refusing if refuse else ACCEPT_ALL)

    @rule(cost=st.sampled_from((0, 5, None)))
    def next_hop(self, cost: int | None) -> None:
        self.router.next_hops.learn({address("10.9.0.2"): cost})

    @rule(name=names, family=families, data=st.data())
    def announce(self, name: str, family: Family, data: st.DataObject) -> None:
        if name not in self.peers:
            return
        some = data.draw(st.lists(st.sampled_from(PREFIXES[family]), min_size=1, max_size=4))
        look = tuple(data.draw(st.sampled_from(choices)) for choices in LOOKS)
        self._announce(name, family, some, look, data.draw(st.integers(0, 1)))

    def _announce(
        self, name: str, family: Family, some: list[bytes], look: tuple[object, ...], path_id: int
    ) -> None:
        next_hop, local_pref, communities, large_communities = look
        attributes = self.router.table.make(
            next_hop=next_hop if family is IPV4_UNICAST else "2001:db8::9",  # type: ignore[arg-type]
            local_pref=local_pref,  # type: ignore[arg-type]
            communities=communities,  # type: ignore[arg-type]
            large_communities=large_communities,  # type: ignore[arg-type]
        )
        self.peers[name].announce(some, attributes, path_id if name == "several" else None, family)

    @rule(seed=st.integers(0, 1 << 16), number=st.integers(5, 40))
    def storm(self, seed: int, number: int) -> None:
        """More changes than are remembered."""
        choose = random.Random(seed)
        for _ in range(number):
            name, family = choose.choice(sorted(self.peers) or [""]), choose.choice(list(PREFIXES))
            if not name:
                return
            some, path_id = choose.sample(PREFIXES[family], 2), choose.randint(0, 1)
            if choose.random() < 0.3:
                self.peers[name].withdraw(some, path_id if name == "several" else None, family)
            else:
                self._announce(name, family, some, tuple(map(choose.choice, LOOKS)), path_id)
            if choose.random() < 0.7:
                self.flush()
        self.flush()

    @rule(name=names, family=families, data=st.data())
    def withdraw(self, name: str, family: Family, data: st.DataObject) -> None:
        if name in self.peers:
            some = data.draw(st.lists(st.sampled_from(PREFIXES[family]), min_size=1, max_size=8))
            path_id = data.draw(st.integers(0, 1)) if name == "several" else None
            self.peers[name].withdraw(some, path_id, family)

    @rule(family=families, data=st.data())
    def originate(self, family: Family, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(PREFIXES[family]))
        if data.draw(st.booleans()):
            self.router.announce(family, one, self.router.table.make(communities=[1]))
        else:
            self.router.withdraw(family, one)

    @rule(quota=st.sampled_from((1, 5, 4096)))
    def work(self, quota: int) -> None:
        self.router.work(quota)

    @rule()
    def flush(self) -> None:
        with small_steps():
            self.router.flush()
        self.remember()

    def remember(self) -> None:
        """Compute what the table is as it was flushed."""
        for selection in (interest(paths=paths).selection for paths in PATHS):
            state = self.flushed[selection] = {}
            assert selection is not None
            for family, prefixes in PREFIXES.items():
                for one in prefixes:
                    for path in select(self.router.decision, selection, self.router.rib.lookup(family, one)):
                        slot = None if selection == BEST else (path.slot.peer, path.slot.path_id)
                        state[family, one, slot] = path

    # --- consumers ---------------------------------------------------------------------------------------

    def _open(self, wanted: Interest, limit: int, since: int | None) -> Watch:
        async def make() -> Watch:
            return Watch(self.router, wanted, since, limit, None, lambda _: None)

        return self.loop.run_until_complete(make())

    @rule(
        conditions=st.sampled_from(FILTERS),
        paths=st.sampled_from(PATHS),
        limit=st.sampled_from((1, 3, 6, 100)),
    )
    def open(self, conditions: dict[str, object], paths: object, limit: int) -> None:
        self.watch(conditions, paths, limit)

    def watch(self, conditions: dict[str, object], paths: object, limit: int) -> None:
        if len(self.consumers) < 4:
            wanted = interest(paths=paths, **conditions)  # type: ignore[arg-type]
            self.consumers.append(Consumer(wanted, limit, self._open(wanted, limit, None)))

    @rule(at=st.integers(0, 3), forget=st.booleans())
    def stop(self, at: int, forget: bool) -> None:
        if at < len(self.consumers):
            consumer = self.consumers[at]
            if consumer.watch is not None:
                assert consumer.watch.sequence == consumer.sequence
                consumer.watch.close()
                consumer.watch = None
            if forget:
                del self.consumers[at]

    @rule(at=st.integers(0, 3))
    def go_on(self, at: int) -> None:
        if at < len(self.consumers) and self.consumers[at].watch is None:
            consumer = self.consumers[at]
            consumer.watch = self._open(consumer.wanted, consumer.limit, consumer.sequence)

    @rule(at=st.integers(0, 3), number=st.sampled_from((1, 2, 5, 1000)))
    def take(self, at: int, number: int) -> None:
        if at < len(self.consumers):
            self._take(self.consumers[at], number)

    def _take(self, consumer: Consumer, number: int) -> None:
        async def take() -> None:
            watch = consumer.watch
            assert watch is not None
            for _ in range(number):
                step = watch.__anext__()
                try:
                    while step.send(None) is None:  # it let others have their turn
                        pass
                    step.close()  # it waits, and is canceled
                    break
                except StopIteration as stop:
                    consumer.hear(stop.value)
                    event(type(stop.value).__name__)
                    if isinstance(stop.value, InSync):
                        self.check(consumer)
                    if isinstance(stop.value, Lagged):
                        assert stop.value.lost > 0
            assert watch.backlog <= consumer.limit
            if watch.in_sync:
                self.check(consumer)

        if consumer.watch is not None:
            with small_steps():
                self.loop.run_until_complete(take())

    def check(self, consumer: Consumer) -> None:
        wanted = consumer.wanted
        within = wanted.within
        expected = {}
        for key, path in self.flushed[wanted.selection].items():
            family, one, _ = key
            if family not in wanted.families or wanted.exact not in (None, one):
                continue
            if within is not None and not _covers(within, one):
                continue
            if wanted.peer not in (None, path.slot.peer):
                continue
            marks = {*path.attributes.communities, *path.attributes.large_communities}
            if wanted.communities and not wanted.communities & marks:
                continue
            expected[key] = path
        assert consumer.state == expected

    @rule()
    def quiet(self) -> None:
        """All is done and taken: everybody who watches is in sync."""
        while self.router.work():
            pass
        while self.router.flush():
            pass
        self.remember()
        for consumer in self.consumers:
            self._take(consumer, 10_000)
            assert consumer.watch is None or consumer.watch.in_sync

    def teardown(self) -> None:
        self.quiet()
        for log in self.router.history._logs.values():
            assert log.size <= 12
        self.loop.close()


def _covers(wide: bytes, one: bytes) -> bool:
    bits = [int.from_bytes(each[1:].ljust(16, b"\0"), "big") >> 128 - wide[0] for each in (wide, one)]
    return one[0] >= wide[0] and bits[0] == bits[1]


TestWatchModel = Machine.TestCase
TestWatchModel.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
