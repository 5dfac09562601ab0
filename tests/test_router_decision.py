"""Under all options of the decision each peer ends up with what the slow, obvious router says, and so do
those who follow multipath sets."""

from collections.abc import Mapping

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from test_router_model import PREFIXES, Machine

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AttributeType, WellKnownCommunity
from bgp.rib.decision import DecisionOptions
from bgp.rib.multipath import Hop
from bgp.wire.attributes import Attributes

AIGP, COMMUNITIES = AttributeType.AIGP, AttributeType.COMMUNITIES

decisions = st.builds(
    DecisionOptions,
    always_compare_med=st.booleans(),
    med_missing_as_worst=st.booleans(),
    ignore_as_path_length=st.booleans(),
    prefer_oldest=st.booleans(),
    aigp=st.booleans(),
    maximum_paths_external=st.integers(1, 3),
    maximum_paths_internal=st.integers(1, 3),
    multipath_relax=st.booleans(),
)
# What else decides, and is rare otherwise.
more = st.sampled_from(
    (
        {},
        {},
        {AIGP: b"\x01\x00\x0b" + bytes(8)},
        {AIGP: b"\x01\x00\x0b" + bytes(7) + b"\x05"},
        {COMMUNITIES: WellKnownCommunity.LLGR_STALE.to_bytes(4, "big")},
    )
)
contestants = st.sampled_from(("external-1", "external-1b", "external-2", "client-1", "client-2"))
contested = st.sampled_from(PREFIXES[IPV4_UNICAST][:2])
wanted = st.fixed_dictionaries(
    {
        "next_hop": st.sampled_from(("10.9.0.1", "10.9.0.2", "10.9.0.3")),
        "as_path": st.sampled_from(("64500", "64500", "64501", "64500 64501")),
        "med": st.sampled_from((None, None, 0, 5)),
    }
)


class DecisionMachine(Machine):
    @initialize(decision=decisions)
    def choose(self, decision: DecisionOptions) -> None:
        self.build(decision)
        self.learned: dict[tuple[Family, bytes], tuple[Hop, ...]] = {}
        self.router.watch_multipath(self._learn)

    def _learn(self, family: Family, changed: Mapping[bytes, tuple[Hop, ...]]) -> None:
        for one, hops in changed.items():
            assert hops != self.learned.get((family, one), ()), "what is told is news"
            self.learned[family, one] = hops

    def draw_attributes(self, family: Family, data: st.DataObject) -> Attributes:
        attributes = super().draw_attributes(family, data)
        return self.router.table.derive(attributes, data.draw(more))

    @rule(
        said=st.lists(st.tuples(contestants, contested, wanted, more, st.booleans()), min_size=1, max_size=9)
    )
    def compete(self, said: list[tuple[str, bytes, dict[str, object], dict[int, bytes], bool]]) -> None:
        """Few peers, prefixes and values: many paths are as good as others, and some are said again."""
        for name, one, wanted, changes, again in said:
            self.join(name)
            made = self.router.table.make(**wanted)  # type: ignore[arg-type]
            attributes = self.router.table.derive(made, changes)
            before = self.reference.said.get((IPV4_UNICAST, one), {}).get((name, None))
            if again and before is not None:
                attributes = before.received
            self.peers[name].announce([one], attributes, None, IPV4_UNICAST)
            self.reference.announce(self.parties[name], IPV4_UNICAST, one, None, attributes)

    def check(self) -> None:
        for family, prefixes in PREFIXES.items():
            for one in prefixes:
                hops = self.router.rib.multipath(family, one)
                assert self.learned.get((family, one), ()) == hops
                expected = self.reference.multipath(family, one)
                found = [(hop.path.slot.peer, hop.path.attributes.octets) for hop in hops]
                assert found == [(route.party.name, accepted.octets) for route, accepted in expected]
                assert {hop.weight for hop in hops} <= {1}


TestRouterDecisionModel = DecisionMachine.TestCase
TestRouterDecisionModel.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
