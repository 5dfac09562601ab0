"""The simulator is exact and the same every time, speakers pass its trials, and it finds planted bugs."""

import asyncio
import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from simulation_mutants import MUTANTS

from bgp.aio.address import Endpoint
from bgp.family import IPV4_UNICAST
from bgp.testing.simulate import Conditions, NotQuiet, Simulation, command, scenario, story, topologies, trial
from bgp.testing.simulate.design import Design, NodeDesign, Offer, SessionDesign
from bgp.testing.simulate.loop import Stalled, VirtualLoop
from bgp.testing.simulate.oracle import Held, Route, fixed_point
from bgp.testing.simulate.sockets import VirtualSocket
from bgp.testing.simulate.world import Machine

ROOT = Path(__file__).parent.parent
PROCESS_TIMEOUT = 120.0


# --- the loop -----------------------------------------------------------------------------------------


def test_time_jumps_to_what_happens_next_in_the_order_of_times() -> None:
    simulation = Simulation()
    seen: list[tuple[float, str]] = []

    async def life(simulation: Simulation) -> None:
        loop = asyncio.get_running_loop()
        for when, name in ((3600.0, "late"), (0.5, "early"), (0.5, "behind it")):
            loop.call_at(when, lambda name=name: seen.append((loop.time(), name)))
        loop.call_at(1.0, seen.clear).cancel()
        await asyncio.sleep(7200.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 60.0)

    simulation.run(life)
    assert seen == [(0.5, "early"), (0.5, "behind it"), (3600.0, "late")]
    assert simulation.time == 7260.0
    assert simulation.loop.is_closed()


def test_what_would_never_end_is_an_error() -> None:
    async def forever(_: Simulation) -> None:
        await asyncio.Event().wait()

    async def again(_: Simulation) -> None:
        while True:
            await asyncio.sleep(0)

    for life in (forever, again):
        with pytest.raises(Stalled):
            Simulation().run(life)


# --- the network --------------------------------------------------------------------------------------


async def connected(simulation: Simulation) -> tuple[VirtualSocket, VirtualSocket]:
    """Return both ends of a connection from the first host to the second."""
    one, other = simulation.net.hosts.values()
    loop = asyncio.get_running_loop()
    listening = Machine(other).listening(Endpoint(other.address, 179))
    came = loop.create_future()
    loop.add_reader(listening, lambda: came.done() or came.set_result(listening.accept()[0]))
    sock = Machine(one).dialing(listening.family, None)  # type: ignore[arg-type]
    await loop.sock_connect(sock, listening.getsockname())
    near, far = sock, await came
    listening.close()
    return near, far  # type: ignore[return-value]


def hosts(seed: int, conditions: Conditions) -> Simulation:
    simulation = Simulation(seed, conditions)
    simulation.net.host("a")
    simulation.net.host("b")
    return simulation


@pytest.mark.parametrize("seed", range(6))
def test_octets_arrive_in_order_whatever_happens_on_the_way(seed: int) -> None:
    conditions = Conditions(jitter=0.1, buffer=300, chop=0.7, reorder=True)
    simulation, random = hosts(seed, conditions), Random(seed)
    sent = random.randbytes(5000)

    async def life(simulation: Simulation) -> bytes:
        near, far = await connected(simulation)
        one, other = near.host, far.host
        received, left = b"", sent
        while len(received) < len(sent):
            with contextlib.suppress(BlockingIOError):
                left = left[near.send(left[: random.randrange(1, 200)]) :] if left else left
            simulation.net.way(one, other).cut or random.random() < 0.98 or simulation.net.cut(one, other)
            await asyncio.sleep(random.random() * 0.1)
            if random.random() < 0.1:
                simulation.net.mend(one, other)
            with contextlib.suppress(BlockingIOError):
                received += far.recv(random.randrange(1, 400))
        near.shutdown(1)
        await asyncio.sleep(10.0)
        simulation.net.mend(one, other)
        await asyncio.sleep(10.0)
        assert far.recv(1) == b""
        return received

    assert simulation.run(life) == sent


def test_who_closes_with_octets_unread_resets() -> None:
    async def life(simulation: Simulation) -> None:
        near, far = await connected(simulation)
        near.send(b"unread")
        await asyncio.sleep(1.0)
        far.close()
        await asyncio.sleep(1.0)
        with pytest.raises(ConnectionResetError):
            near.recv(1)
        assert near.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            near.send(b"more")

    hosts(0, Conditions()).run(life)


def test_a_host_without_power_says_nothing_and_knows_nothing_afterwards() -> None:
    async def life(simulation: Simulation) -> None:
        near, far = await connected(simulation)
        simulation.net.power_off(far.host)
        near.send(b"hello?")
        await asyncio.sleep(100.0)
        with pytest.raises(BlockingIOError):
            near.recv(1)
        simulation.net.power_on(far.host)
        await asyncio.sleep(10.0)
        with pytest.raises(ConnectionResetError):
            near.recv(1)

    hosts(0, Conditions()).run(life)


def test_a_peer_that_does_not_read_stops_the_sender() -> None:
    async def life(simulation: Simulation) -> None:
        near, far = await connected(simulation)
        assert near.send(b"x" * 1000) == 300
        with pytest.raises(BlockingIOError):
            near.send(b"x")
        assert not near.writable()
        await asyncio.sleep(1.0)
        assert len(far.recv(100)) == 100
        assert near.send(b"x" * 1000) == 100

    hosts(0, Conditions(buffer=300)).run(life)


def test_nobody_listens() -> None:
    async def life(simulation: Simulation) -> None:
        one, other = simulation.net.hosts.values()
        sock = Machine(one).dialing(2, None)  # type: ignore[arg-type]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(sock, (str(other.address), 179))

    hosts(0, Conditions()).run(life)


# --- the oracle ---------------------------------------------------------------------------------------


def test_the_oracle_on_two_reflectors_of_one_cluster() -> None:
    """By hand: both reflect the client's route, and neither takes it from the other."""
    nodes = {
        "a": NodeDesign("a", 65000, 1, cluster=9),
        "b": NodeDesign("b", 65000, 2, cluster=9),
        "c": NodeDesign("c", 65000, 3),
        "d": NodeDesign("d", 65000, 4),
        "x": NodeDesign("x", 64500, 5),
    }
    sessions = (
        *(SessionDesign(one, other, client=True) for one in "ab" for other in "cd"),
        SessionDesign("a", "b"),
        SessionDesign("d", "x"),
    )
    design = Design(nodes, sessions, {"c": {"p": Offer(local_pref=200)}})
    known = fixed_point(design, frozenset(nodes))
    own = Route("c", local_pref=200)
    reflected = replace(own, originator=3, clusters=(9,))
    assert known.told["d"] == {"a": {"p": reflected}, "b": {"p": reflected}, "x": {}}
    assert known.told["b"]["a"] == {"p": reflected} and known.best["b"]["p"] == Held(own, "c")
    assert known.told["x"]["d"] == {"p": Route("d", (65000,))}
    assert known.told["c"] == {"a": {}, "b": {}}
    assert known.best["d"]["p"].source == "a"
    # Without c's session with b that one has no route: it refuses what a reflects.
    alone = replace(design, sessions=tuple(each for each in sessions if (each.one, each.other) != ("b", "c")))
    known = fixed_point(alone, frozenset(nodes))
    assert known.told["b"]["a"] == {"p": reflected} and known.best["b"] == {}


# --- trials -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", topologies.SHAPES)
def test_speakers_pass_trials(shape: str) -> None:
    for seed in range(100, 112):
        outcome = trial.run(scenario.drawn(seed, shape))
        assert not outcome.problem, "\n".join(command.tell(seed, shape))


def test_the_same_seed_gives_the_same_trace() -> None:
    seeds = range(200, 204)
    ours = [trial.run(scenario.drawn(seed)).trace for seed in seeds]
    assert len(set(ours)) == len(ours)
    done = subprocess.run(
        [sys.executable, "-m", "bgp.testing", "simulate", "--seeds", "200:204", "--trace"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT,
        check=True,
    )
    assert [line.split()[1] for line in done.stdout.splitlines()[: len(ours)]] == ours
    assert "4 seeds, 0 failed" in done.stdout


@pytest.mark.parametrize("number", range(len(MUTANTS)), ids=lambda number: MUTANTS[number].name)
def test_planted_bugs_are_found(number: int) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "simulation_mutants.py"),
            *map(str, (number, 0, MUTANTS[number].seeds)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("seed "), "it was not noticed"


def test_a_failing_scenario_is_told_as_a_short_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an oracle that forgets one prefix; what has nothing to do with that is left out."""
    whole = scenario.drawn(3, "hub of reflectors")
    _node, offers = next((name, offers) for name, offers in whole.design.offers.items() if offers)
    prefix = next(iter(offers))

    def forgetful(design: Design, running: frozenset[str]) -> object:
        for name in design.nodes:
            design = design.offering(name, prefix, None)
        return fixed_point(design, running)

    monkeypatch.setattr(trial, "fixed_point", forgetful)
    outcome = trial.run(whole)
    assert outcome.sort == "table" or outcome.sort == "best"
    shrunk = scenario.shrunk(whole, trial.same_failure(outcome), 60)
    assert len(shrunk.design.nodes) <= 3 < len(whole.design.nodes) and len(shrunk.happenings) <= 1
    text = "\n".join(story.told(shrunk, trial.run(shrunk)))
    assert prefix in text and "In AS 65000 there" in text and "In the end: " in text
    assert "nothing more happens" in text


# --- what users call ----------------------------------------------------------------------------------


def test_a_design_of_ones_own() -> None:
    simulation = Simulation(seed=5)
    simulation.node("rr", 65000)
    for name in ("c1", "c2"):
        simulation.node(name, 65000)
        simulation.session("rr", name, {"client": True, "passive": True, "hold_time": 9})
    simulation["c1"].announce("192.0.2.0/24", local_pref=200)

    async def life(simulation: Simulation) -> None:
        await simulation.start()
        assert await simulation.quiet() < 5.0
        assert simulation.missing() == []
        speaker = simulation["c2"].speaker
        assert speaker is not None
        assert speaker.best(IPV4_UNICAST)["192.0.2.0/24"].attributes.local_pref == 200
        updates = simulation.updates
        assert updates >= 2
        await simulation["c1"].power_off()
        await simulation.until(simulation.time + 10.0)
        assert speaker.best(IPV4_UNICAST) == {}
        await simulation["c1"].start()
        simulation.cut("c2", "rr")
        await asyncio.sleep(10.0)
        with pytest.raises(NotQuiet, match="no session rr - c2"):
            await simulation.quiet(limit=60.0)
        simulation.mend("c2", "rr")
        await simulation.quiet()
        assert list(speaker.best(IPV4_UNICAST)) == ["192.0.2.0/24"]
        assert simulation.updates > updates
        await simulation.stop()

    simulation.run(life)
    assert any("rr has lost its session with c1" in text for _, text in simulation.log)
    assert not simulation.loop.failures


def test_the_loop_says_what_it_has_not() -> None:
    with pytest.raises(NotImplementedError):
        VirtualLoop().getaddrinfo("host", 179).send(None)  # type: ignore[abstract]
