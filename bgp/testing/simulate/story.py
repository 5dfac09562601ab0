"""A failing scenario in words: what there is, what happens to it, and what is wrong in the end."""

from collections.abc import Iterator

from bgp.testing.simulate.scenario import PLAIN, Scenario
from bgp.testing.simulate.trial import Outcome

# So many lines of what sessions did, of the last before the end.
_LINES = 60


def told(scenario: Scenario, outcome: Outcome) -> Iterator[str]:
    """Yield the lines of the story."""
    design = scenario.design
    yield f"seed {scenario.seed}, {design.kind}: {outcome.problem or 'all is well'}"
    yield ""
    ases: dict[int, list[str]] = {}
    for node in design.nodes.values():
        ases.setdefault(node.asn, []).append(node.name)
    for asn, names in ases.items():
        yield f"In AS {asn} there {'is' if len(names) == 1 else 'are'} {_list(names)}."
    shared: dict[int, list[str]] = {}
    for node in design.nodes.values():
        if node.cluster is not None:
            shared.setdefault(node.cluster, []).append(node.name)
    for cluster, names in shared.items():
        yield f"{_list(names)} {'has' if len(names) == 1 else 'have'} the CLUSTER_ID {cluster}."
    for session in design.sessions:
        yield f"{session}{'; only ' + session.other + ' dials' if session.passive else ''}."
    for name, offers in design.offers.items():
        for prefix in offers:
            yield f"{name} originates {prefix}."
    yield from _conditions(scenario)
    yield ""
    lines = [f"at {time:.1f} s {text}" for time, text in outcome.log]
    if len(lines) > _LINES:
        yield f"({len(lines) - _LINES} earlier lines are left out)"
    yield from lines[-_LINES:]
    yield f"In the end: {outcome.problem or 'all is well'}"


def _conditions(scenario: Scenario) -> Iterator[str]:
    now = scenario.conditions
    if now.latency != PLAIN.latency:
        yield f"A way takes {now.latency[0]:g} to {now.latency[1]:g} s."
    if now.jitter != PLAIN.jitter:
        yield f"Segments are up to {now.jitter:g} s late."
    if now.buffer != PLAIN.buffer:
        yield f"A connection holds {now.buffer} octets in each direction."
    if now.chop != PLAIN.chop:
        yield f"{now.chop:.0%} of reads and writes move a part only."
    if now.reorder != PLAIN.reorder:
        yield "Connections are accepted, and sockets served, in any order."
    if now.lag != PLAIN.lag:
        yield "Machines are busy now and then."
    options = dict(scenario.options)
    yield f"The hold time is {options['hold_time']} s."
    if options.get("graceful_restart") is not None:
        restart = options["graceful_restart"]
        kept = " and ".join(map(str, restart.families)) or "nothing"
        yield f"In a restart {kept} is to be kept, for {restart.time} s (RFC 4724)."
    if options["advertisement_interval"]:
        yield f"There are {options['advertisement_interval']:g} s between two announcements of a prefix."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
