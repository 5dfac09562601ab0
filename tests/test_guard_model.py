"""Guards with counts, holds, restarts and changes: whatever happens, who has what is what the queues say.

The router does its work behind each event, for the order in which claims become free is part of what is
looked at.
"""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, prefix, settle

from bgp import Blocks, Guard, PrefixList
from bgp.family import IPV4_UNICAST
from bgp.rib.guard import rule_of
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.testing.reference.guards import Owners, takes
from bgp.wire.attributes import Attributes

NAMES = ("a", "b", "c", "d")
HOLDS = {"c": 10.0, "d": 4.0}
SHARED = PrefixList(["10.96.0.0/16 le 32"])
LISTED = PrefixList(["192.0.2.0/24 le 25"])
PREFIXES = [
    prefix(text)
    for text in (
        *("10.244.0.0/26", "10.244.0.64/26", "10.244.0.128/26", "10.244.1.0/26"),
        *("10.244.0.1/32", "10.244.0.2/32", "10.244.0.65/32", "10.244.0.0/27"),
        *("192.0.2.0/24", "192.0.2.128/25", "10.96.0.1/32", "10.0.0.0/8"),
    )
]
names = st.sampled_from(NAMES)
some = st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=4, unique=True)


def guard(name: str, count: int = 1, borrowed: int = 0) -> Guard:
    return Guard(
        name="nodes",
        prefixes=LISTED,
        blocks=(Blocks("10.244.0.0/16", 26, count, borrowed),),
        shared=SHARED,
        own_next_hop=True,
        next_hops=("10.9.9.0/24",),  # type: ignore[arg-type]
        hold=HOLDS.get(name, 0.0),
    )


def _kind(rule: str | None) -> str | None:
    """Whether somebody else had it or there was no room is said as it was when the route was judged."""
    return "waits" if rule in ("owned", "count") else rule


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.router = Router(LOCAL_AS, ROUTER_ID)
        self.now = 100.0
        self.listener = Peer(self.router, "listener", Kind.CLIENT, 99)
        self.peers: dict[str, Peer] = {}
        self.guards = {name: guard(name) for name in NAMES}
        self.owners = Owners()
        # What each has said: (peer, prefix) -> by path identifier, what it received.
        self.said: dict[tuple[str, bytes], dict[int, Attributes]] = {}
        self.until: dict[str, float] = {}
        for name in NAMES:
            self.up(name)

    def _quiet(self) -> None:
        settle(self.router, self.listener, *self.peers.values(), now=self.now)

    def _address(self, name: str) -> bytes:
        return bytes((10, 9, 0, NAMES.index(name) + 1))

    def _offers(self, name: str, one: bytes) -> bool:
        said = self.said.get((name, one), {}).values()
        return any(takes(self.guards[name], each, self._address(name)) for each in said)

    @rule(name=names)
    def up(self, name: str) -> None:
        if name in self.peers:
            return
        self.peers[name] = Peer(
            self.router,
            name,
            Kind.CLIENT,
            NAMES.index(name) + 1,
            settings={"guard": self.guards[name]},
            now=self.now,
            **({"add_path": add_path()} if name == "b" else {}),  # type: ignore[arg-type]
        )

    @rule(name=names, prefixes=some, hop=st.integers(1, 9), path_id=st.integers(0, 1))
    def announce(self, name: str, prefixes: list[bytes], hop: int, path_id: int) -> None:
        if name not in self.peers:
            return
        identified = name == "b"
        # Mostly the next hop is itself.
        next_hop = self._address(name) if hop < 7 else bytes((10, 9, hop if hop < 9 else 9, hop))
        made = self.router.table.make(next_hop=".".join(map(str, next_hop)), local_pref=100)
        self.peers[name].announce(prefixes, made, path_id if identified else None)
        for one in prefixes:
            self.said.setdefault((name, one), {})[path_id if identified else 0] = made
        if takes(self.guards[name], made, self._address(name)):
            for one in prefixes:
                self.owners.arrive(self.guards[name], name, IPV4_UNICAST, one)
        else:
            self._go([one for one in prefixes if not self._offers(name, one)], name)
        self._quiet()

    @rule(name=names, prefixes=some, path_id=st.integers(0, 1))
    def withdraw(self, name: str, prefixes: list[bytes], path_id: int) -> None:
        if name not in self.peers:
            return
        identified = name == "b"
        self.peers[name].withdraw(prefixes, path_id if identified else None)
        for one in prefixes:
            self.said.get((name, one), {}).pop(path_id if identified else 0, None)
        self._go([one for one in prefixes if not self._offers(name, one)], name)
        self._quiet()

    def _go(self, gone: list[bytes], name: str) -> None:
        """Let offers go, those first that are waited for."""
        held = [
            offer.prefix
            for offer in self.owners.of(name)
            if self.owners.holders.get(offer.key, ("",))[0] == name
        ]
        for one in [*(one for one in gone if one not in held), *(one for one in gone if one in held)]:
            self.owners.leave(name, IPV4_UNICAST, one)

    def _settle(self, name: str, *, absent: bool) -> None:
        gone = []
        for offer in self.owners.of(name):
            kept = absent and name in self.until and self.owners.holders.get(offer.key, ("",))[0] == name
            if not kept and not self._offers(name, offer.prefix):
                gone.append(offer.prefix)
        self._go(gone, name)

    @rule(name=names)
    def down(self, name: str) -> None:
        peer = self.peers.pop(name, None)
        if peer is None:
            return
        self.router.down(peer.member, now=self.now)
        if name in self.until:
            self._settle(name, absent=False)
        if name in HOLDS:
            self.until[name] = self.now + HOLDS[name]
        for who, one in list(self.said):
            if who == name:
                del self.said[who, one]
        self._settle(name, absent=True)
        self._quiet()

    @rule(name=names)
    def end_of_rib(self, name: str) -> None:
        if name in self.peers:
            self.peers[name].end_of_rib_of(IPV4_UNICAST)
            if self.until.pop(name, None) is not None:
                self._settle(name, absent=False)
            self._quiet()

    @rule(seconds=st.sampled_from((1.0, 3.0, 7.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for peer in (self.listener, *self.peers.values()):
            peer.now = self.now
        over = [(when, name) for name, when in self.until.items() if when <= self.now]
        assert not over or self.router.deadline is not None
        self._quiet()
        # Those first that are due first.
        for _, name in sorted(over):
            del self.until[name]
            self._settle(name, absent=False)

    @rule(name=names, count=st.integers(1, 2), borrowed=st.integers(0, 1))
    def change(self, name: str, count: int, borrowed: int) -> None:
        if name in self.peers:
            self.guards[name] = guard(name, count, borrowed)
            member = self.peers[name].member
            self.router.change(member, replace(member.settings, guard=self.guards[name]))
            self.owners.renew(self.guards[name], name)
            self._quiet()

    @invariant()
    def owners_are_who_should_be(self) -> None:
        ledger = self.router.guarding.ledgers[IPV4_UNICAST]
        assert {unit: claim.holder.name for unit, claim in ledger.claims.items() if claim.holder} == {
            unit: name for (_, unit), (name, _) in self.owners.holders.items()
        }
        for ward in {claim.holder for claim in ledger.claims.values()} - {None}:
            assert ward is not None
            assert ward.held == sum(claim.holder is ward for claim in ledger.claims.values())
        disputed = {unit for unit, claim in ledger.claims.items() if claim.disputed}
        assert disputed == set(ledger.disputed)
        for one in PREFIXES:
            found = {
                (path.slot.peer, path.path_id or 0): (_kind(rule_of(path.refusal)), path.received)
                for path in self.router.rib.lookup(IPV4_UNICAST, one)
            }
            assert found == {
                (name, path_id): (
                    _kind(
                        self.owners.rule(
                            self.guards[name], name, self._address(name), IPV4_UNICAST, one, received
                        )
                    ),
                    received,
                )
                for name in NAMES
                for path_id, received in self.said.get((name, one), {}).items()
            }
            used = any(rule is None for rule, _ in found.values())
            assert used == ((IPV4_UNICAST, one, 0) in self.listener.held)

    def teardown(self) -> None:
        for name in list(self.peers):
            self.down(name)
        self.pass_time(100.0)
        ledger = self.router.guarding.ledgers[IPV4_UNICAST]
        assert not ledger.claims and not ledger.disputed and not ledger.changed
        self.router.flush(self.now + 100)
        assert self.router.deadline is None


TestGuardModel = Machine.TestCase
TestGuardModel.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
