"""Whole speakers by the hundred in one process, in virtual time and on a network in memory.

`Simulation` is a design and its life: nodes, which are speakers, and sessions; what happens to them, and how
long it takes until all is quiet again.  `Conditions` say what the network is like.  `chart` shows what was
measured.

    simulation = Simulation(seed=1)
    simulation.node("rr", 65000)
    for name in ("c1", "c2"):
        simulation.node(name, 65000)
        simulation.session("rr", name, {"client": True})
    simulation["c1"].announce("192.0.2.0/24")

    async def life(simulation):
        await simulation.start()
        print(await simulation.quiet())

    simulation.run(life)

The same seed gives the same life.  `python -m bgp.testing simulate` runs drawn designs with drawn faults, and
compares what everybody knows in the end with an oracle.
"""

from bgp.testing.simulate import chart
from bgp.testing.simulate.net import Conditions
from bgp.testing.simulate.simulation import Node, NotQuiet, Simulation

__all__ = ["Conditions", "Node", "NotQuiet", "Simulation", "chart"]
