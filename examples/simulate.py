"""How do route reflectors behave when one dies?  `simulate.py NODES REFLECTORS [PICTURE]`.

Each node is a client of two of them.  All are whole speakers; time is virtual, and so is the network.
"""

import asyncio
import itertools
import sys
from collections.abc import Awaitable

from bgp.testing.simulate import Conditions, Simulation, chart

ASN, ROUTES, HOLD_TIME = 65000, 20, 9


def design(nodes: int, reflectors: int) -> Simulation:
    simulation = Simulation(seed=1, conditions=Conditions(latency=(0.0005, 0.02)))
    names = [simulation.node(f"rr{number}", ASN).name for number in range(reflectors)]
    for one, other in itertools.combinations(names, 2):
        simulation.session(other, one, {"hold_time": HOLD_TIME})
    for number in range(nodes):
        node = simulation.node(f"node{number}", ASN)
        for at in {number % reflectors, (number + 1) % reflectors}:
            takes = {"client": True, "passive": True, "hold_time": HOLD_TIME}
            simulation.session(names[at], node.name, takes, {"connect_retry_time": 15.0})
        if number < ROUTES:
            node.announce(f"198.51.100.{number}/32")
    return simulation


async def life(simulation: Simulation, held: list[tuple[float, float]]) -> None:
    watching = asyncio.create_task(watch(simulation, held))
    await report(simulation, "all start", simulation.start())
    await report(simulation, "rr0 loses its power", simulation["rr0"].power_off(), HOLD_TIME)
    await report(simulation, "rr0 is back", simulation["rr0"].start())
    watching.cancel()
    await simulation.stop()


async def report(simulation: Simulation, what: str, change: Awaitable[None], least: float = 0) -> None:
    """Let something happen; say how long it takes until the last UPDATE has arrived."""
    began, told = simulation.time, simulation.updates
    await change
    await asyncio.sleep(least)
    took = await simulation.quiet() - began
    print(f"{what}: at rest after {max(0.0, took):.2f} s and {simulation.updates - told} UPDATEs", flush=True)


async def watch(network: Simulation, held: list[tuple[float, float]]) -> None:
    """Write down how many routes all tables hold together, every 50 ms."""
    while True:
        held.append((network.time, sum(node.speaker.router.rib.routes for node in network if node.speaker)))
        await asyncio.sleep(0.05)


held = list[tuple[float, float]]()
design(int(sys.argv[1]), int(sys.argv[2])).run(lambda simulation: life(simulation, held))
if not sys.argv[3:] or not chart.draw(held, sys.argv[3], "routes in all tables"):
    print(*chart.lines(held), sep="\n")
