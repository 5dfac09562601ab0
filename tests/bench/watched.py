"""`reflector run` with every callback of its loop timed: `python -m bench.watched CONFIG.toml REPORT.json`.

asyncio's debug mode would change what is measured.  Here the selector notes when each iteration of the loop
begins and ends, each callback is timed, and a few functions within one (`PARTS`) as well, so that a long
callback can be named with what took its time.  SIGUSR1 forgets what was seen, SIGUSR2 writes the report.

The lag is that of a timer due at a random moment: in an iteration of length d it runs (d - x) late for each
x in it alike.  So the share of moments that are more than t late is sum(max(0, d - t)) / all time.
"""

import asyncio
import gc
import json
import os
import selectors
import signal
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

SLOW = 0.020
KEPT = 50
# What a turn is made of, by what it does: (class, method); one that is not there any more is left out.
PARTS = {
    "receive": ("bgp.aio.turn", "Turns", "_receive"),
    "work": ("bgp.router", "Router", "work"),
    "flush": ("bgp.router", "Router", "flush"),
    "send": ("bgp.aio.turn", "Turns", "_send"),
    "update": ("bgp.router", "Router", "update"),
    "pull": ("bgp.router", "Router", "pull"),
    "accept": ("bgp.aio.link", "Link", "accept"),
    "up": ("bgp.router", "Router", "up"),
}

_clock = time.perf_counter


class Watch:
    """What was seen: iterations, slow callbacks, and the parts of the callback that runs."""

    def __init__(self) -> None:
        self.tables: Iterable[Any] = ()
        self.forget()
        self.parts: dict[str, float] = {}
        self._gc_start = 0.0
        self._sizes: dict[int, tuple[str, int]] = {}

    def forget(self) -> None:
        self.since = _clock()
        self.iterations: list[float] = []
        self.slow: list[dict[str, object]] = []
        self.callbacks = 0
        self.collections = 0

    def iteration(self, seconds: float) -> None:
        self.iterations.append(seconds)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with its time added to the part `name`."""
        parts = self.parts

        def measured(*arguments: Any, **more: Any) -> Any:
            start = _clock()
            try:
                return function(*arguments, **more)
            finally:
                parts[name] = parts.get(name, 0.0) + _clock() - start

        return measured

    def collected(self, phase: str, info: dict[str, int]) -> None:
        """Be told of passes of the cyclic collector."""
        if phase == "start":
            self._gc_start = _clock()
        else:
            self.collections += 1
            name = f"collector (generation {info['generation']})"
            self.parts[name] = self.parts.get(name, 0.0) + _clock() - self._gc_start

    def ran(self, handle: asyncio.Handle, seconds: float, cpu: float) -> None:
        """Hear how long a callback took, and how long of that it was running."""
        self.callbacks += 1
        if seconds >= SLOW:
            parts = {name: round(1000 * spent, 2) for name, spent in self.parts.items() if spent > 0.001}
            self.slow.append(
                {
                    "ms": round(1000 * seconds, 2),
                    "waited_ms": round(1000 * max(seconds - cpu, 0.0), 2),
                    "callback": _name(handle),
                    "parts_ms": dict(sorted(parts.items(), key=lambda item: -item[1])),
                    "grown": self._grown(),
                }
            )
            self.slow.sort(key=lambda one: -one["ms"])  # type: ignore[operator]
            del self.slow[KEPT:]
        self.parts.clear()

    def _grown(self) -> list[str]:
        """Name the dicts and lists of the tables that were given new room since the last look."""
        grown = []
        for table in self.tables:
            for name in ("entries", "order", "_before", "_loaded"):
                held = getattr(table, name, None)
                if held is None:
                    continue
                size = sys.getsizeof(held)
                key = hash((id(table), name))
                before = self._sizes.get(key, (name, size))[1]
                self._sizes[key] = name, size
                if size > before + (1 << 20):
                    grown.append(f"{name} of {table.family}: {before >> 20} to {size >> 20} MB")
        return grown

    def look(self) -> None:
        self._grown()

    def report(self) -> dict[str, object]:
        total = _clock() - self.since
        busy = sorted(self.iterations)
        return {
            "seconds": round(total, 3),
            "iterations": len(busy),
            "callbacks": self.callbacks,
            "collections": self.collections,
            "busy": round(sum(busy) / total, 4) if total else 0.0,
            "lag_ms": {
                name: round(1000 * late(busy, total, share), 3)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
            },
            "histogram": histogram(busy),
            "slow": self.slow,
        }


def late(iterations: Sequence[float], total: float, share: float) -> float:
    """Return the lateness that `share` of all moments does not exceed; `iterations` are sorted."""
    if not iterations:
        return 0.0
    if share >= 1.0:
        return iterations[-1]
    allowed = (1 - share) * total  # so much of the time may be later than the answer
    # From the longest on: the area of all iterations above t grows as t falls, linearly between two lengths.
    area, count, above = 0.0, 0, iterations[-1]
    for length in reversed(iterations):
        step = count * (above - length)
        if area + step >= allowed:
            return above - (allowed - area) / count
        area, above, count = area + step, length, count + 1
    step = count * above
    return above - (allowed - area) / count if area + step >= allowed else 0.0


BOUNDS_MS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 150, 200, 500, 1000)


def histogram(iterations: Iterable[float]) -> dict[str, int]:
    """Return how many iterations took up to so many milliseconds."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    for length in iterations:
        counts[bisect_left(BOUNDS_MS, 1000 * length)] += 1
    names = [*(f"{bound:g}" for bound in BOUNDS_MS), "more"]
    return {name: count for name, count in zip(names, counts, strict=True) if count}


def _name(handle: asyncio.Handle) -> str:
    callback = getattr(handle, "_callback", None)
    name = getattr(callback, "__qualname__", None) or repr(callback)
    return f"{getattr(callback, '__module__', '')}.{name}".lstrip(".")


class Selector(selectors.EpollSelector):
    """The loop's selector, which notes how long the loop was away from it."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._left = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._left:
            self._watch.iteration(_clock() - self._left)
        found = super().select(timeout)
        self._left = _clock()
        return found


def install(watch: Watch) -> Callable[[], asyncio.AbstractEventLoop]:
    """Have everything timed that runs in this process; return what makes its loop."""
    for name, (module, owner, method) in PARTS.items():
        found = getattr(__import__(module, fromlist=[owner]), owner, None)
        if hasattr(found, method):
            setattr(found, method, watch.timed(name, getattr(found, method)))
    gc.callbacks.append(watch.collected)
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        start, cpu = _clock(), time.thread_time()
        run(handle)
        watch.ran(handle, _clock() - start, time.thread_time() - cpu)

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    return lambda: asyncio.SelectorEventLoop(Selector(watch))


def main(configuration: str, report: str) -> int:
    from reflector import app
    from reflector.configuration.config import load
    from reflector.running import process

    watch = Watch()
    factory = install(watch)
    process.loop_factory = lambda: factory
    start = app.Service.start

    async def started(service: app.Service) -> None:
        watch.tables = list(getattr(service.speaker.router, "_tables", {}).values())
        watch.look()
        await start(service)

    app.Service.start = started  # type: ignore[method-assign]

    def forget(number: int, frame: FrameType | None) -> None:
        watch.forget()

    def write(number: int, frame: FrameType | None) -> None:
        path = Path(f"{report}.new")
        path.write_text(json.dumps(watch.report()))
        os.replace(path, report)

    signal.signal(signal.SIGUSR1, forget)
    signal.signal(signal.SIGUSR2, write)
    return process.run(load(configuration), configuration)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
