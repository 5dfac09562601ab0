"""`python -m tests.endurance [TRIAL ...]`: the trials at their full length."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from bgp.testing.hostile.stage import Failed

from . import flapping, million, restart, sessions, sets, stalled, watching


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    trials = ("sessions", "stalled", "sets", "watching", "restart", "million", "flapping")
    parser.add_argument("trial", nargs="*", help=f"{', '.join(trials)}; by default all")
    parser.add_argument("--sessions", type=int, default=100_000, help="how many come and go")
    parser.add_argument("--stopped", type=int, default=500, help="how many members stop reading")
    parser.add_argument("--churn", type=int, default=200_000, help="how many routes churn meanwhile")
    parser.add_argument("--sets", type=int, default=10_000_000, help="how many attribute sets")
    parser.add_argument("--routes", type=int, default=100_000, help="through how many routes they go")
    parser.add_argument(
        "--watched", type=int, default=1_000_000, help="how many routes are watched, or heard"
    )
    parser.add_argument("--clients", type=int, default=5000, help="how many notice a restart")
    parser.add_argument("--hold-time", type=int, default=90, help="the hold time that they have")
    parser.add_argument("--listeners", type=int, default=200, help="how many clients hear a million routes")
    parser.add_argument("--flapping", type=int, default=1000, help="how many clients flap")
    parser.add_argument("--steady", type=int, default=24, help="how many are there all along")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long")
    parser.add_argument("--rate", type=float, default=25.0, help="how many acts of them in a second")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    unknown = set(options.trial) - set(trials)
    if unknown:
        parser.error(f"no trial {', '.join(unknown)}: there are {', '.join(trials)}")
    for trial in options.trial or trials:
        began = time.monotonic()
        globals()[f"_{trial}"](options)
        print(f"{trial}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _sessions(options: argparse.Namespace) -> None:
    print(f"{options.sessions} sessions in memory, {sessions.TOGETHER} at a time")
    for done, counts, objects in sessions.in_memory(options.sessions, 10):
        print(f"{done:9} {sum(objects.values())} objects, {_left(counts)}", flush=True)
    print(f"{options.sessions} sessions over TCP, {sessions.TOGETHER} at a time")

    async def over_tcp() -> None:
        async for done, counts, objects, resident in sessions.over_tcp(options.sessions, 10):
            held = f"{resident / 1e6:.1f} MB, {sum(objects.values())} objects"
            print(f"{done:9} {held}, {_left(counts)}", flush=True)

    asyncio.run(over_tcp())


def _stalled(options: argparse.Namespace) -> None:
    for stopped in (0, options.stopped):
        found = stalled.trial(stopped, 10, options.churn, rounds=1)
        print(
            f"{stopped} of {stopped + 10} members stop reading, {options.churn} routes churn: "
            f"memory {found.before / 1e6:.1f} MB, then {found.peak / 1e6:.1f} MB at most"
        )
        # While they still take something, whatever the kernel has room for, everything goes to all of them.
        half = len(found.latencies) // 2
        for name, latencies in (("first", found.latencies[:half]), ("second", found.latencies[half:])):
            p50, p99, last = (stalled.quantile(latencies, share) * 1000 for share in (0.5, 0.99, 1))
            print(
                f"  in the {name} half the others hear of a change "
                f"after {p50:.2f} ms (p50), {p99:.2f} ms (p99), {last:.1f} ms (max)",
                flush=True,
            )


def _sets(options: argparse.Namespace) -> None:
    print(f"{options.sets} attribute sets through {options.routes} routes, without the cyclic collector")
    for done, counts, resident in sets.churn(options.sets, options.routes, 10):
        print(f"{done:9} {resident / 1e6:.1f} MB, {_left(counts)}", flush=True)


def _watching(options: argparse.Namespace) -> None:
    print(f"{options.watched} routes change twice while a watch does not read")
    found = asyncio.run(watching.trial(options.watched))
    print(
        f"memory {found.loaded / 1e6:.1f} MB, then {found.peak / 1e6:.1f} MB at most, "
        f"{found.kept} routes kept; {found.lost} changes lost; "
        f"caught up in {found.snapshot:.1f} s with {found.differences} differences; "
        f"another watch was told of {found.told} routes meanwhile, "
        f"{2 * options.watched / found.reading:.0f} changes/s; "
        f"a longest match takes {found.longest_match * 1e6:.1f} us",
    )
    for phase, seconds in found.lag.items():
        print(f"the loop was late by at most {seconds * 1000:.1f} ms {phase}", flush=True)


def _restart(options: argparse.Namespace) -> None:
    print(f"{options.clients} clients with 2 routes each, hold time {options.hold_time} s")
    found = restart.trial(options.clients, 2, options.hold_time, 900, lambda line: print(line, flush=True))
    if any(each.expired or each.wrong or each.problems for each in found):
        raise SystemExit("sessions were lost, or routes are wrong")


def _million(options: argparse.Namespace) -> None:
    million.trial(options.watched, options.listeners, 60.0, lambda line: print(line, flush=True))


def _flapping(options: argparse.Namespace) -> None:
    print(
        f"{options.flapping} clients flap for {options.minutes:g} minutes, {options.rate:g} acts a second; "
        f"{options.steady} steady ones, seed {options.seed}"
    )
    try:
        course = flapping.trial(
            options.flapping,
            options.steady,
            options.minutes,
            options.rate,
            options.seed,
            lambda line: print(line, flush=True),
        )
    except Failed as failure:
        raise SystemExit(f"verdict: FAILED: {failure}") from None
    print(f"verdict: good: {course}")


def _left(counts: dict[str, int]) -> str:
    return ", ".join(f"{value} {name}" for name, value in counts.items() if value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
