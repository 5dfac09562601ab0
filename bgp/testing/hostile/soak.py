"""For hours: honest clients with churn and restarts, hostile peers, and the service now and then anew.

    python -m bgp.testing soak --minutes 60

Prints a line a minute, at the end a verdict, and exits with 1 if anything did not hold.
"""

import argparse
import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from random import Random

from bgp.testing import mixture
from bgp.testing.hostile import storms, trial, words
from bgp.testing.hostile.stage import SHORT, Failed, Stage, hold
from bgp.testing.hostile.trial import Attack
from bgp.wire.framing import frame

_MINUTE = 60.0
# Memory may grow by so many octets between two restarts, once all attacks had their turn.
_GROWTH = 48 << 20
_SETTLED = 4  # minutes
# Those that are tried one by one, without the one about identifiers.
ATTACKS: tuple[Attack, ...] = tuple(
    attack for attack in trial.ATTACKS.values() if attack is not storms.identifiers
)


@dataclass(slots=True)
class Course:
    """What has happened so far."""

    attacks: int = 0
    failures: int = 0
    mismatches: int = 0
    lost: int = 0
    restarts: int = 0
    most: int = 0  # octets of memory
    latest: float = 0.0  # the loop, in milliseconds


async def soak(stage: Stage, minutes: float, restart: float) -> Course:
    """Go on for so many minutes, with the service anew after each `restart` of them."""
    course = Course()
    random = stage.random
    began = time.monotonic()
    nuisance = asyncio.create_task(_nuisance(stage, Random(random.random())))
    started, settled = began, 0
    try:
        for minute in range(1, max(int(minutes), 1) + 1):
            names = []
            while time.monotonic() < began + min(minute, minutes) * _MINUTE:
                attack = random.choice(ATTACKS)
                names.append(attack.__name__)
                course.attacks += 1
                try:
                    await attack(stage)
                except (Failed, OSError) as failure:
                    course.failures += 1
                    print(f"FAILED {attack.__name__}: {failure or type(failure).__name__}", flush=True)
                await asyncio.to_thread(stage.swarm.tell, "restart", clients=max(stage.size.clients // 40, 1))
                await asyncio.sleep(1)
            memory = await _look(stage, course, minute, names)
            age = (time.monotonic() - started) / _MINUTE
            if age >= _SETTLED:
                settled = settled or memory
                if memory > settled + _GROWTH:
                    course.failures += 1
                    print(f"FAILED memory has grown from {settled >> 20} to {memory >> 20} MB", flush=True)
            if age >= restart and minute < minutes:
                nuisance.cancel()
                _restart(stage)
                course.restarts += 1
                started, settled = time.monotonic(), 0
                nuisance = asyncio.create_task(_nuisance(stage, Random(random.random())))
    finally:
        nuisance.cancel()
    return course


async def _look(stage: Stage, course: Course, minute: int, names: list[str]) -> int:
    """Let the honest clients look, and print the line of this minute; return the service's memory."""
    state = stage.victim.state()
    found = await asyncio.to_thread(stage.swarm.tell, "check", timeout=90.0)
    mismatches = 0 if found["good"] else max(len(found["mismatches"]), 1)
    memory = stage.victim.memory
    course.mismatches += mismatches
    course.lost += len(found["lost"])
    course.most = max(course.most, memory)
    course.latest = max(course.latest, state.lag_maximum)
    print(
        f"{minute:4} min: {found['sessions']} honest of {state.sessions} sessions, {state.routes} routes, "
        f"{memory >> 20} MB, loop late by {state.lag_p99:.0f} ms (p99), {state.lag_maximum:.0f} ms (most), "
        f"a change told after {found['p50'] * 1000:.0f} ms (p50), {found['p99'] * 1000:.0f} ms (p99), "
        f"{found['changes']} changes heard, {mismatches} mismatches, {len(found['lost'])} lost; "
        f"{', '.join(names)}",
        flush=True,
    )
    for line in (*found["lost"][:5], *found["mismatches"][:5], *stage.victim.problems[:20]):
        print(f"     {line}", flush=True)
    course.failures += bool(stage.victim.problems) + bool(state.internal_errors)
    stage.victim.problems.clear()
    hold(stage.victim.alive, "the service has died")
    return memory


def _restart(stage: Stage) -> None:
    """End the service as an operator does, and start it again."""
    stage.swarm.tell("forgive")
    status = stage.victim.stop()
    hold(status == 0, f"the service ends with status {status}")
    stage.victim.start()
    hold(stage.connect(), "the honest clients do not come back")


async def _nuisance(stage: Stage, random: Random) -> None:
    """Be a peer that sends anything, again and again."""
    while True:
        with contextlib.suppress(OSError):
            async with await stage.peer(extended_messages=True) as attacker:
                for _ in range(50):
                    for _, body in mixture.exchange(random):
                        if not any(body[at : at + 2] == b"\x20\x0a" for at in range(len(body))):
                            await attacker.send(frame(2, body[:4000]))
                    await attacker.send(words.KEEPALIVE)
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--clients", type=int, default=SHORT.clients, help="how many honest clients there are"
    )
    parser.add_argument("--routes", type=int, default=SHORT.routes, help="how many routes each of them has")
    parser.add_argument(
        "--churn", type=float, default=50.0, help="how many of them say theirs anew in a second"
    )
    parser.add_argument("--restart", type=float, default=30.0, help="minutes until the service starts anew")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(act=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    size = replace(SHORT, clients=options.clients, routes=options.routes, churn=options.churn, paths=150_000)
    with Stage(size, seed=options.seed) as stage:
        print(
            f"{size.clients} honest clients with {size.routes} routes each, seed {options.seed}", flush=True
        )
        try:
            course = asyncio.run(soak(stage, options.minutes, options.restart))
        except Failed as failure:
            print(f"verdict: FAILED: {failure}")
            return 1
    bad = course.failures or course.mismatches or course.lost
    print(
        f"verdict: {'FAILED' if bad else 'good'}: {course.attacks} attacks, {course.restarts} restarts of "
        f"the service, {course.failures} failures, {course.mismatches} mismatches, {course.lost} honest "
        f"sessions lost; {course.most >> 20} MB and {course.latest:.0f} ms late at most"
    )
    return 1 if bad else 0
