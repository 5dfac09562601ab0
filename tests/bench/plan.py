"""What is run: all of it (over an hour with all daemons), a quick look, or the least that shows it works."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.ends import Scenario, cluster, fan, herd, one, real

ALL = "all"
OURS = "ours"
LOOP = "loop"


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario, for whom, and how often.

    `who`: everybody, ours alone, or ours with its loop watched.  `without`: who would take all day.
    `once`: who is slow enough that one run must do.
    """

    scenario: Scenario
    who: str = ALL
    repeat: int = 1
    without: tuple[str, ...] = ()
    once: tuple[str, ...] = ()

    def turns(self, candidate: str) -> int:
        if candidate in self.without:
            return 0
        return 1 if candidate in self.once else self.repeat


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs, and the size of the parts' cases."""

    name: str
    jobs: tuple[Job, ...]
    micro_size: int
    micro_repeat: int
    without: tuple[str, ...] = ()


def full(files: Sequence[Path], repeat: int, most_routes: int) -> Plan:
    """Everything; `most_routes` is the size of the biggest table."""
    slow = ("gobgp",)
    # What `bird-poked` differs in shows with a late joiner; elsewhere it would only take time.
    tables_only = ("gobgp", "bird-poked")
    routes = [most_routes // part for part in (8, 4, 2)]
    jobs = [
        Job(one(most_routes), repeat=repeat, once=slow),
        Job(fan(max(most_routes // 10, 1), 100), repeat=repeat, without=tables_only),
        Job(cluster(100, 10, 2000), repeat=repeat),
        Job(cluster(1000, 100), repeat=repeat, without=tables_only),
        Job(herd(100), repeat=repeat),
        *(Job(one(size), OURS, repeat) for size in routes),
        *(Job(fan(max(most_routes // 100, 1), clients), OURS, repeat) for clients in (125, 250, 500, 1000)),
        *(Job(cluster(nodes), OURS, repeat) for nodes in (125, 250, 500)),
        Job(cluster(2000, 200), OURS),
        Job(cluster(5000, 500), OURS),
        *(
            Job(scenario, LOOP)
            for scenario in (one(most_routes), fan(most_routes // 10, 100), cluster(1000, 100))
        ),
    ]
    if files:
        # Some daemons take many minutes for that.
        some = ("gobgp", "openbgpd", "frr-eager", "bird-poked")
        jobs += [
            Job(real(tuple(files), 1, 1), repeat=repeat, without=some),
            Job(real(tuple(files), 1, 50), repeat=repeat, without=some),
            Job(real(tuple(files), 3, 50), repeat=repeat, without=some),
            Job(real(tuple(files), 3, 50), LOOP),
        ]
    return Plan("full", tuple(jobs), 100_000, 7)


def quick(files: Sequence[Path]) -> Plan:
    """A look at everything, in sizes that say little."""
    jobs = [
        Job(one(40_000)),
        Job(fan(5_000, 20)),
        Job(cluster(40, 4, 200)),
        *(Job(one(size), OURS) for size in (5_000, 10_000, 20_000)),
        *(Job(fan(1_000, clients), OURS) for clients in (10, 20, 40, 80)),
        *(Job(cluster(nodes), OURS) for nodes in (10, 20, 80)),
        Job(one(40_000), LOOP),
        *(Job(real(tuple(files), 3, 2), OURS) for _ in files[:1]),
    ]
    return Plan("quick", tuple(jobs), 5_000, 3, without=("bird-poked", "frr-eager", "gobgp"))


def smallest(files: Sequence[Path]) -> Plan:
    """One of each, for the sake of the benchmarks' own tests."""
    jobs = [
        Job(one(300)),
        Job(fan(200, 3)),
        Job(cluster(5, 1, 10)),
        Job(one(300), LOOP),
        *(Job(real(tuple(files), 3, 2), OURS) for _ in files[:1]),
    ]
    return Plan("smallest", tuple(jobs), 200, 2)


def turns(job: Job, names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield (repetition, candidate), the candidates taking turns."""
    most = max((job.turns(name) for name in names), default=0)
    for repetition in range(1, most + 1):
        for name in names:
            if repetition <= job.turns(name):
                yield repetition, name
