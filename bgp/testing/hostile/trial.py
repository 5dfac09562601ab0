"""Every attack on its own, while honest clients run and are checked after each.

python -m bgp.testing hostile [ATTACK ...] [--long]
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bgp.testing.hostile import bombs, faults, luck, storms
from bgp.testing.hostile.stage import LONG, SHORT, Failed, Size, Stage

Attack = Callable[[Stage], Awaitable[str]]

_LISTED: tuple[Attack, ...] = (
    faults.malformed_updates,
    faults.malformed_openings,
    faults.silence,
    faults.noise,
    storms.octets_one_by_one,
    storms.half_open_flood,
    storms.connections_of_one,
    storms.reset_storm,
    storms.flapping,
    storms.refresh_storm,
    storms.zero_window,
    storms.identifiers,
    bombs.more_than_the_maximum,
    bombs.prefixes_without_end,
    bombs.just_not_too_many,
    bombs.attribute_bombs,
    bombs.ever_new_attributes,
    luck.standstill,
)
ATTACKS: dict[str, Attack] = {attack.__name__: attack for attack in _LISTED}
# Those that want a victim of their own: with few descriptors, and with a log that cannot be written.
_FEW = 60
_APART: dict[str, tuple[Attack, int | None, str]] = {
    "no_descriptors": (luck.no_descriptors, _FEW, ""),
    "disk_full": (luck.disk_full, None, "/dev/full"),
}
APART = tuple(_APART)


async def perform(stage: Stage, attack: Attack) -> str:
    """Do it, and let the honest clients look; return a line of what was seen, or raise Failed."""
    began, processor = time.monotonic(), stage.victim.processor
    words = await attack(stage)
    seconds = time.monotonic() - began
    found = await stage.check()
    return (
        f"{attack.__name__}: {words}; {seconds:.1f} s, {stage.victim.processor - processor:.1f} s of the "
        f"processor, loop late by {found.get('lag', 0):.0f} ms at most, a change told after "
        f"{found['p50'] * 1000:.0f} ms (p99 {found['p99'] * 1000:.0f}), {found['memory'] >> 20} MB"
    )


def perform_apart(name: str, size: Size = SHORT) -> str:
    """Do an attack that wants a victim of its own, with a few honest clients."""
    attack, descriptors, log = _APART[name]
    with Stage(replace(size, clients=20), descriptors=descriptors, log=log) as stage:
        return asyncio.run(perform(stage, attack))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("attack", nargs="*", help="; ".join((*ATTACKS, *APART)))
    parser.add_argument(
        "--long", action="store_true", help="ten million prefixes, and much of everything else"
    )
    parser.add_argument(
        "--clients", type=int, default=SHORT.clients, help="how many honest clients there are"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(act=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    wanted = options.attack or [*ATTACKS, *APART]
    unknown = set(wanted) - {*ATTACKS, *APART}
    if unknown:
        print(f"no attack {', '.join(sorted(unknown))}: there are {', '.join((*ATTACKS, *APART))}")
        return 2
    size = replace(LONG if options.long else SHORT, clients=options.clients)
    failures = 0
    with Stage(size, seed=options.seed) as stage:
        for name in wanted:
            try:
                apart = name in _APART
                words = perform_apart(name, size) if apart else asyncio.run(perform(stage, ATTACKS[name]))
                print(words, flush=True)
            except (Failed, OSError) as failure:
                failures += 1
                print(f"{name}: FAILED: {failure or type(failure).__name__}", flush=True)
    print(f"{len(wanted) - failures} of {len(wanted)} survived")
    return 1 if failures else 0
