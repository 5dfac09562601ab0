"""A reflector and some nodes at work, live in the terminal or, without one, as lines: `make run`."""

import asyncio
import contextlib
import signal
import sys
import time
from collections import deque

from reflector.demo.changes import Change
from reflector.demo.scenario import SERVICE, Scenario
from reflector.demo.view import clock, explain, look
from reflector.running.process import loop_factory

STEP = 0.7
RESTART_EVERY, RESTART_PAUSE = 8.0, 2.0
REFRESH = 0.2
KEPT = 200


def run(seconds: float | None, plain: bool) -> int:
    """Show the cluster for so long, or until SIGINT or SIGTERM; return the exit status."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(seconds, plain or not _has_screen()))


def _has_screen() -> bool:
    """Whether a full screen can be shown here."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return False
    try:
        from rich.console import Console
    except ImportError:
        print("rich is not installed (pip install 'martlet[cli]'): plain lines follow")
        return False
    return not Console().is_dumb_terminal


async def _run(seconds: float | None, plain: bool) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if seconds is not None:
        loop.call_later(seconds, ended.set)
    scenario = Scenario(told=_line if plain else lambda _: None)
    try:
        await scenario.start()
    except OSError as error:
        print(f"cannot start on loopback: {error.strerror or error}", file=sys.stderr)
        return 1
    life = [loop.create_task(_steps(scenario)), loop.create_task(_restarts(scenario))]
    show = loop.create_task(_lines(scenario) if plain else _screen(scenario))
    # None of them ends by itself, unless by an error.
    for task in (show, *life):
        task.add_done_callback(lambda _: ended.set())
    await ended.wait()
    for task in (show, *life):
        task.cancel()
    results = await asyncio.gather(show, *life, return_exceptions=True)
    await scenario.stop()
    for result in results:
        if isinstance(result, Exception):
            raise result
    passed = time.monotonic() - scenario.started
    print(
        f"{passed:.0f} s: {scenario.changes.count} changes reflected, {scenario.restarts} restarts of nodes;"
        " all sessions ended with a Cease"
    )
    return 0


async def _steps(scenario: Scenario) -> None:
    while True:
        await asyncio.sleep(STEP)
        scenario.step()


async def _restarts(scenario: Scenario) -> None:
    await asyncio.sleep(RESTART_EVERY / 2)
    while True:
        await scenario.restart(RESTART_PAUSE)
        await asyncio.sleep(RESTART_EVERY)


async def _screen(scenario: Scenario) -> None:
    from rich.console import Console
    from rich.live import Live

    from reflector.demo.screen import draw, sessions_table

    console = Console()
    latest: deque[Change] = deque(maxlen=KEPT)
    view = look(scenario, ())
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                latest.extend(scenario.changes.take())
                view = look(scenario, tuple(latest))
                live.update(draw(view, console.width, console.height), refresh=True)
                await asyncio.sleep(REFRESH)
    finally:
        # What was on the screen is gone with it: leave the state at the end.
        console.print(sessions_table(view.sessions))


async def _lines(scenario: Scenario) -> None:
    _line(f"reflector {scenario.router_id} listens on {' and '.join(scenario.listening)}")
    explained = ""
    while True:
        await asyncio.sleep(REFRESH)
        for change in scenario.changes.take():
            _line(words(change))
        explanation = explain(scenario, SERVICE)
        text = "; ".join(f"{path.name} ({path.attributes}) {path.verdict}" for path in explanation.paths)
        if text != explained:
            explained = text
            _line(f"explain {SERVICE}: {text or 'nobody announces it'}")


def words(change: Change) -> str:
    """Return a change as a line."""
    nodes = " ".join(change.nodes)
    if change.sign == "-":
        return f"- {change.route} withdrawn, heard by {nodes}"
    if not change.next_hop:
        return f"+ {change.route}, heard by {nodes}"
    return (
        f"{change.sign} {change.route} next hop {change.next_hop} ORIGINATOR_ID {change.originator_id}"
        f" CLUSTER_LIST {change.cluster_list}, heard by {nodes}"
    )


def _line(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(clock(time.time()), text, flush=True)
