"""The product with one thing made wrong: what a few seeds of the simulator must notice.

`MUTANTS` are changes of whole speakers, a text each.  As a program this module imports the product with one
of them in place and simulates: `simulation_mutants.py NUMBER FIRST END`.
"""

import importlib.abc
import importlib.machinery
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, ModuleType


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text that stands once in a module, what to put for it, and the designs that are to show it."""

    name: str
    module: str
    text: str
    instead: str
    shape: str
    seeds: int = 12


MUTANTS = (
    Mutant(
        "internal paths go to internal peers",
        "bgp.export.rules",
        "(_S,       _S,                  _S,            _R,     _W)",
        "(_S,       _S,                  _S,            _R,     _R)",
        "mesh",
    ),
    Mutant(
        "the routes of who is down stay",
        "bgp.router",
        "            for family, sources in own.items():\n"
        "                for source in sources:\n"
        "                    self._jobs.add(Drain(self._tables[family], source))\n",
        "",
        "hub of reflectors",
    ),
    Mutant(
        "withdrawals of what only some were told are lost",
        "bgp.export.group",
        "messages = self.packer.withdraw(family, alone.withdrawn)",
        "messages: list[bytes] = []",
        "hierarchy of reflectors",
    ),
    Mutant(
        "NO_EXPORT is not heeded",
        "bgp.export.rules",
        "(WellKnownCommunity.NO_EXPORT, _OUTSIDE, NO_EXPORT)",
        "(WellKnownCommunity.NO_EXPORT, frozenset(), NO_EXPORT)",
        "fabric of ASes",
    ),
    Mutant(
        "a cluster takes its own routes back",
        "bgp.rib.admission",
        "            return CLUSTER_LOOP",
        "            return None",
        "clusters of two reflectors",
    ),
    Mutant(
        "a leak from a peer passes",
        "bgp.rib.roles",
        "(_OTHERS,   _MARK,   _STOP,    _MARK)",
        "(_OTHERS,   _MARK,   _PASS,    _MARK)",
        "providers and customers",
    ),
    Mutant(
        "the last message of a chunk is lost",
        "bgp.aio.link",
        "        stream.write(messages)\n",
        "        stream.write(messages[:-1] or messages)\n",
        "hub of reflectors",
    ),
    Mutant(
        "who has lost a collision never dials again",
        "bgp.aio.peer",
        "        self._revive = False\n        self._dialer.handle(Event.AUTOMATIC_START_DAMPED)\n",
        "        self._revive = False\n",
        "fabric of ASes",
    ),
)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None and spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutant)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutant: Mutant) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname)
        assert source is not None
        if source.count(self._mutant.text) != 1:
            raise LookupError(f"{self._mutant.name}: {self._mutant.text!r} does not stand once in {fullname}")
        return compile(source.replace(self._mutant.text, self._mutant.instead), self.path, "exec")


def main(number: int, first: int, end: int) -> str:
    """Return what the first seed says that notices the mutant, or nothing."""
    mutant = MUTANTS[number]
    sys.meta_path.insert(0, _Finder(mutant))
    from bgp.testing.simulate import scenario, trial

    logging.getLogger("bgp").addHandler(logging.NullHandler())
    for seed in range(first, end):
        outcome = trial.run(scenario.drawn(seed, mutant.shape))
        if outcome.sort:
            return f"seed {seed}: {outcome.sort}: {outcome.problem}"
    return ""


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
