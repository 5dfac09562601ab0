"""A trial: a scenario is run to its end, and judged when all is quiet again.

Every table must be the oracle's, on the receiving side of each session; nothing may have been said that must
not be heard; no bug may have been contained; and when all routes are withdrawn and all speakers have ended,
nothing may be left: no route, no attribute set, no timer, no socket.
"""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bgp.aio.link import Link
from bgp.aio.stream import Stream
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.member import Member
from bgp.router import Router
from bgp.testing import census
from bgp.testing.simulate.design import Prefix
from bgp.testing.simulate.happenings import Announced
from bgp.testing.simulate.loop import Stalled
from bgp.testing.simulate.oracle import Known, Route, fixed_point
from bgp.testing.simulate.overhear import Eavesdropper
from bgp.testing.simulate.scenario import Scenario
from bgp.testing.simulate.simulation import NotQuiet, Simulation
from bgp.wire.attributes import Attributes
from bgp.wire.prefix import address_text

_FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)
_OWN_SLOTS = 2
_WITHDRAWN = ("routes", "prefixes", "attribute octets", "paths by source", "jobs")
# Sessions know attribute sets again that they decoded before; with them go all.
_ENDED = (*_WITHDRAWN, "members", "groups", "attribute sets", "next hops", "slots")

# What goes with its session, though the cyclic collector is off.
_MORTAL = (Stream, Link, Member)


@dataclass(slots=True)
class Outcome:
    """What became of a trial: `problem` is empty if all was well, and begins with the `sort` of it."""

    trace: str = ""
    sort: str = ""
    problem: str = ""
    seconds: float = 0.0
    updates: int = 0
    sessions: int = 0
    log: list[tuple[float, str]] = field(default_factory=list)


class _Failed(Exception):
    """Something is wrong: the sort of it, and what."""

    def __init__(self, sort: str, text: str) -> None:
        super().__init__(text)
        self.sort = sort


def run(scenario: Scenario) -> Outcome:
    """Run a scenario and judge it."""
    outcome = Outcome()
    gc.collect()  # what earlier ones have left is not this one's
    simulation = scenario.simulation()
    heard = simulation.net.tap = Eavesdropper(scenario.design)
    with _listening() as bugs:
        try:
            simulation.run(lambda _: _life(scenario, simulation, outcome))
        except _Failed as failed:
            outcome.sort, outcome.problem = failed.sort, str(failed)
        except NotQuiet as unquiet:
            outcome.sort, outcome.problem = "no rest", str(unquiet)
        except Stalled as stalled:
            outcome.sort, outcome.problem = "stalled", str(stalled)
    if heard.faults:
        outcome.sort, outcome.problem = "told", heard.faults[0]
    failures = [*bugs, *(str(each.get("exception") or each["message"]) for each in simulation.loop.failures)]
    if failures:
        outcome.sort, outcome.problem = "bug", failures[0]
    outcome.trace, outcome.seconds = simulation.net.trace, simulation.time
    outcome.updates, outcome.log = heard.updates, simulation.log
    return outcome


async def _life(scenario: Scenario, simulation: Simulation, outcome: Outcome) -> None:
    await simulation.start()
    passing: list[asyncio.Task[None]] = []
    for each in sorted(scenario.happenings, key=lambda each: each.at):
        await simulation.until(each.at)
        simulation.note(each.words())
        passing.append(asyncio.create_task(each.happen(simulation)))
        await asyncio.sleep(0)
    await asyncio.gather(*passing)
    for node in simulation:
        await node.start()
    simulation.note("nothing more happens")
    await simulation.quiet()
    for node in simulation:
        assert node.speaker is not None
        await node.speaker.converged()
    await simulation.quiet()
    _check_tables(scenario, simulation)
    outcome.sessions = len(simulation.sessions)
    for node in simulation:
        for prefix in list(node.routes):
            node.withdraw(prefix)
    await simulation.quiet()
    # The attributes of so many announcements of its own a speaker may remember.
    announced = Counter(each.node for each in scenario.happenings if isinstance(each, Announced))
    announced.update({name: len(offers) for name, offers in scenario.design.offers.items()})
    routers = {node.name: node.speaker.router for node in simulation if node.speaker is not None}
    for name, router in routers.items():
        _check_census(name, router, _WITHDRAWN, "all routes withdrawn")
    _check_crashes(simulation)
    await simulation.stop()
    # What was cut off, and what its peers think of it.
    await asyncio.sleep(20.0)
    for name, router in routers.items():
        _check_census(name, router, _ENDED, "all sessions ended", announced[name])
    _check_gone(simulation)


def _check_tables(scenario: Scenario, simulation: Simulation) -> None:
    known = fixed_point(scenario.final, frozenset(simulation.nodes))
    names = {str(node.host.address): node.name for node in simulation}
    names |= {str(node.host.address6): node.name for node in simulation}
    for node in simulation:
        speaker = node.speaker
        assert speaker is not None
        for name, peer in node.peers.items():
            found: dict[Prefix, Route] = {}
            for family in _FAMILIES:
                for prefix, path in speaker.received(peer, family):
                    found[prefix] = _route(path.received, names)
            wanted = dict(known.told[node.name].get(name, {}))
            if found != wanted:
                raise _Failed("table", f"{node.name} has from {name} {_difference(found, wanted)}")
        _check_best(known, simulation, node.name)


def _check_best(known: Known, simulation: Simulation, name: str) -> None:
    speaker = simulation[name].speaker
    assert speaker is not None
    best = {
        prefix: path.source.peer or None
        for family in _FAMILIES
        for prefix, path in speaker.best(family).items()
    }
    wanted = {prefix: held.source for prefix, held in known.best[name].items()}
    if best != wanted:
        raise _Failed("best", f"{name} has chosen {_difference(best, wanted)}")


def _difference(found: dict[Prefix, Route] | dict[Prefix, str | None], wanted: object) -> str:
    assert isinstance(wanted, dict)
    for prefix in sorted({*found, *wanted}):
        if prefix not in found:
            return f"no {prefix}, which should be {wanted[prefix]}"
        if prefix not in wanted:
            return f"{prefix}, which should not be there: {found[prefix]}"
        if found[prefix] != wanted[prefix]:
            return f"{prefix} as {found[prefix]}, not as {wanted[prefix]}"
    return ""


def _route(attributes: Attributes, names: dict[str, str]) -> Route:
    hop = address_text(attributes.next_hop)
    originator = attributes.originator_id
    clusters = attributes.cluster_list
    return Route(
        names.get(hop, hop),
        tuple(asn for segment in attributes.as_path for asn in segment.asns),
        attributes.origin,
        attributes.local_pref,
        None if originator is None else _number(originator),
        tuple(_number(clusters[at : at + 4]) for at in range(0, len(clusters), 4)),
        frozenset(attributes.communities),
        attributes.only_to_customer,
    )


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _check_census(node: str, router: Router, what: tuple[str, ...], when: str, announced: int = 0) -> None:
    counts = census.of_router(router)
    kept = {"attribute sets": announced, "next hops": int(announced > 0), "slots": _OWN_SLOTS}
    left = {name: counts[name] for name in what if counts[name] > kept.get(name, 0)}
    if left:
        raise _Failed("left over", f"{node} still has, with {when}: {left}")


def _check_crashes(simulation: Simulation) -> None:
    for node in simulation:
        assert node.speaker is not None
        if crashes := sum(peer.traffic.crashes for peer in node.speaker.peers):
            raise _Failed("bug", f"{node.name} has contained {crashes} bugs")


def _check_gone(simulation: Simulation) -> None:
    if timers := simulation.loop.waiting:
        raise _Failed("left over", f"timers, with all speakers ended: {timers[:3]}")
    for node in simulation:
        if node.host.sockets:
            raise _Failed("left over", f"{node.name} still has {len(node.host.sockets)} sockets")
    alive = Counter(type(each).__name__ for each in gc.get_objects() if type(each) in _MORTAL)
    if alive:
        raise _Failed("left over", f"objects, with all speakers ended: {dict(alive)}")
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if tasks:
        raise _Failed("left over", f"tasks, with all speakers ended: {tasks[:3]}")


class _Bugs(logging.Handler):
    """Keeps what is logged as an error: bugs that were contained."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._found.append(f"{record.getMessage()}: {error!r}" if error else record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    found: list[str] = []
    logger = logging.getLogger("bgp")
    handler, before = _Bugs(found), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def same_failure(outcome: Outcome) -> Callable[[Scenario], bool]:
    """Return whether another scenario fails in the same way."""
    return lambda scenario: run(scenario).sort == outcome.sort
