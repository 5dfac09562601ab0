"""A scenario: a design, what its network is like, and what befalls it, all drawn from one seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.policy import ACCEPT_ALL
from bgp.session.restart import RestartOptions
from bgp.testing.simulate import happenings, topologies
from bgp.testing.simulate.design import Design, Prefix
from bgp.testing.simulate.happenings import Announced, Happening, Withdrawn
from bgp.testing.simulate.net import Conditions
from bgp.testing.simulate.simulation import Simulation

_PREFIXES = [f"198.51.{number}.0/24" for number in range(100, 112)]
_PREFIXES += [f"2001:db8:{number:x}::/48" for number in range(1, 5)]
# What a scenario begins with in place of conditions that are no cause of its failure.
PLAIN = Conditions(latency=(0.005, 0.005))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is run; `options` are those of all peers."""

    seed: int
    design: Design
    conditions: Conditions
    options: tuple[tuple[str, Any], ...]
    happenings: tuple[Happening, ...]

    @property
    def final(self) -> Design:
        """The design with what is offered in the end."""
        design = self.design
        for each in sorted(self.happenings, key=lambda each: each.at):
            if isinstance(each, Announced):
                design = design.offering(each.node, each.prefix, each.offer)
            elif isinstance(each, Withdrawn):
                design = design.offering(each.node, each.prefix, None)
        return design

    def simulation(self) -> Simulation:
        """Return nodes and sessions, of which nothing runs yet."""
        simulation = Simulation(self.seed, self.conditions)
        for node in self.design.nodes.values():
            simulation.node(node.name, node.asn, router_id=node.identifier, cluster_id=node.cluster)
        for session in self.design.sessions:
            both: dict[str, Any] = dict(self.options)
            nodes = self.design.nodes
            if nodes[session.one].asn != nodes[session.other].asn:
                both |= {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
            ones = {**both, "client": session.client, "passive": session.passive}
            others = dict(both)
            if session.role is not None:
                ones["role"], others["role"] = session.role, topologies.OPPOSITE[session.role]
            simulation.session(session.one, session.other, ones, others)
        for name, offers in self.design.offers.items():
            for prefix, offer in offers.items():
                happenings.announce(simulation[name], prefix, offer)
        return simulation


def drawn(seed: int, kind: str | None = None) -> Scenario:
    """Return the scenario of a seed."""
    random = Random(f"scenario/{seed}")
    design = topologies.drawn(random, kind)
    prefixes: list[Prefix] = random.sample(_PREFIXES, random.randint(1, 10))
    for name in random.sample(list(design.nodes), random.randint(1, len(design.nodes))):
        for prefix in random.sample(prefixes, random.randint(1, min(4, len(prefixes)))):
            design = design.offering(name, prefix, happenings.drawn_offer(random))
    conditions = Conditions(
        latency=random.choice(((0.0005, 0.001), (0.001, 0.1), (0.1, 0.6))),
        jitter=random.choice((0.0, 0.05)),
        buffer=random.choice((200, 2048, 1 << 17)),
        chop=random.choice((0.0, 0.2, 0.8)),
        reorder=random.random() < 0.5,
        lag=random.choice((0.0, 0.0, 0.05)),
    )
    options: dict[str, Any] = {
        "families": (IPV4_UNICAST, IPV6_UNICAST),
        "hold_time": random.choice((9, 30, 90)),
        "connect_retry_time": random.choice((2.0, 5.0)),
        "idle_hold_maximum": 15.0,
        "advertisement_interval": random.choice((0.0, 0.0, 0.0, 2.0)),
    }
    if random.random() < 0.4:
        families = random.choice(((), (IPV4_UNICAST,), (IPV4_UNICAST, IPV6_UNICAST)))
        options["graceful_restart"] = RestartOptions(
            families=families, time=random.choice((2, 20)), notification=random.random() < 0.5
        )
    events = happenings.drawn(random, design, prefixes, random.randint(1, 14), random.choice((5.0, 90.0)))
    return Scenario(seed, design, conditions, tuple(options.items()), tuple(events))


# --- smaller ones -------------------------------------------------------------------------------------

Fails = Callable[[Scenario], bool]


def shrunk(scenario: Scenario, fails: Fails, most: int = 400) -> Scenario:
    """Return a scenario with as little as possible in it that still `fails`, within so many attempts."""
    left = most

    def still(smaller: Scenario) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fails(smaller)

    before = None
    while before != scenario and left > 0:
        before = scenario
        scenario = _fewer_happenings(scenario, still)
        scenario = _fewer_nodes(scenario, still)
        scenario = _fewer_sessions(scenario, still)
        scenario = _fewer_offers(scenario, still)
        scenario = _plainer(scenario, still)
    return scenario


def _fewer_happenings(scenario: Scenario, still: Fails) -> Scenario:
    size = max(len(scenario.happenings) // 2, 1)
    while size:
        at = 0
        while at < len(scenario.happenings):
            kept = scenario.happenings[:at] + scenario.happenings[at + size :]
            smaller = replace(scenario, happenings=kept)
            if still(smaller):
                scenario = smaller
            else:
                at += size
        size //= 2
    return scenario


def _fewer_nodes(scenario: Scenario, still: Fails) -> Scenario:
    for name in list(scenario.design.nodes):
        kept = tuple(each for each in scenario.happenings if name not in each.nodes)
        smaller = replace(scenario, design=scenario.design.without_nodes([name]), happenings=kept)
        if still(smaller):
            scenario = smaller
    return scenario


def _fewer_sessions(scenario: Scenario, still: Fails) -> Scenario:
    for session in scenario.design.sessions:
        ends = {session.one, session.other}
        kept = tuple(each for each in scenario.happenings if set(each.nodes) != ends)
        sessions = tuple(each for each in scenario.design.sessions if each is not session)
        smaller = replace(scenario, design=replace(scenario.design, sessions=sessions), happenings=kept)
        if still(smaller):
            scenario = smaller
    return scenario


def _fewer_offers(scenario: Scenario, still: Fails) -> Scenario:
    offers: Sequence[tuple[str, Prefix]] = [
        (name, prefix) for name, mine in scenario.design.offers.items() for prefix in mine
    ]
    for name, prefix in offers:
        smaller = replace(scenario, design=scenario.design.offering(name, prefix, None))
        if still(smaller):
            scenario = smaller
    return scenario


def _plainer(scenario: Scenario, still: Fails) -> Scenario:
    for name in ("lag", "chop", "reorder", "jitter", "buffer", "latency"):
        plainer = replace(scenario.conditions, **{name: getattr(PLAIN, name)})
        if plainer != scenario.conditions and still(replace(scenario, conditions=plainer)):
            scenario = replace(scenario, conditions=plainer)
    return scenario
