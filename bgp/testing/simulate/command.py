"""Run scenarios of whole speakers in virtual time, by seeds, and tell the story of each that fails."""

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from bgp.testing.simulate import scenario, story, topologies, trial
from bgp.testing.simulate.trial import Outcome

# Attempts at a smaller scenario for each that fails.
_ATTEMPTS = 400


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--seeds", type=_seeds, default=range(100), help="a seed, or FIRST:END without END (0:100)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--shape", choices=sorted(topologies.SHAPES), help="designs of this shape only")
    parser.add_argument("--whole", action="store_true", help="tell the story without making it shorter")
    parser.add_argument("--trace", action="store_true", help="print a digest of what each seed sent")
    parser.set_defaults(act=act)


def act(given: argparse.Namespace) -> int:
    """Run the command; return 1 if a seed failed."""
    seeds: range = given.seeds
    began = time.perf_counter()
    happened: Counter[str] = Counter()
    total = Outcome()
    failed: list[int] = []
    for seed, outcome, kinds in _outcomes(seeds, given.shape, given.jobs):
        happened.update(kinds)
        total.updates += outcome.updates
        total.seconds += outcome.seconds
        if given.trace:
            print(seed, outcome.trace)
        if outcome.sort:
            failed.append(seed)
            print(f"seed {seed} fails: {outcome.problem}", flush=True)
    for seed in failed:
        print("\n" + "\n".join(tell(seed, given.shape, whole=given.whole)), flush=True)
    print(
        f"{len(seeds)} seeds, {len(failed)} failed; {total.seconds:,.0f} s of virtual time in "
        f"{time.perf_counter() - began:.0f} s; {total.updates:,} UPDATEs; "
        + ", ".join(f"{count} x {kind}" for kind, count in sorted(happened.items()))
    )
    return 1 if failed else 0


def tell(seed: int, shape: str | None = None, *, whole: bool = False) -> Iterator[str]:
    """Yield the story of a seed, of which as much is left out as can be if it fails."""
    told = scenario.drawn(seed, shape)
    outcome = trial.run(told)
    if outcome.sort and not whole:
        told = scenario.shrunk(told, trial.same_failure(outcome), _ATTEMPTS)
        outcome = trial.run(told)
    yield from story.told(told, outcome)


def _outcomes(
    seeds: Sequence[int], shape: str | None, jobs: int
) -> Iterator[tuple[int, Outcome, Counter[str]]]:
    work = [(seed, shape) for seed in seeds]
    if jobs < 2:
        yield from map(_outcome, work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_outcome, work, chunksize=8)


def _outcome(work: tuple[int, str | None]) -> tuple[int, Outcome, Counter[str]]:
    seed, shape = work
    drawn = scenario.drawn(seed, shape)
    outcome = trial.run(drawn)
    outcome.log = []
    return seed, outcome, Counter(each.kind for each in drawn.happenings)


def _seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    try:
        found = range(int(first), int(end)) if colon else range(int(first), int(first) + 1)
    except ValueError:
        found = range(0)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor FIRST:END")
    return found
