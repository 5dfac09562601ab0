"""The results as a table in Markdown."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.candidates import OURS
from bench.results import Line

WATCHED = f"{OURS}-watched"
# A run that had more company than this, in cores, is marked.
QUIET = 0.3

DESCRIPTIONS = {
    "S1": "one feeder sends N routes to one client: its first UPDATE to the last change at the client",
    "S6": "another client comes later and gets the N routes: its session established to its last change",
    "S2": "one feeder, N routes, R clients",
    "S3": "N nodes connect at once, each with 4 IPv4 and 4 IPv6 routes: first connection to the last change",
    "S3p": "the same with at most 4 sessions opening at a time",
    "S4": "on that cluster one route is withdrawn and announced in turn every 5 ms: "
    "from each event sent to its arrival at each other node",
    "S5": "one in ten nodes resets its session: from that to the last withdrawal at the others",
    "real": "the table of a file, both families: F feeders with differing attributes, R clients",
}


def numbers(lines: Iterable[Line], *names: str) -> list[float]:
    """Return a value of each line that has it, found by names one within the other."""
    found = []
    for line in lines:
        value: Any = line
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            found.append(float(value))
    return found


def median(lines: Iterable[Line], *names: str) -> float | None:
    found = numbers(lines, *names)
    return statistics.median(found) if found else None


def shown(value: float | None, unit: str = "") -> str:
    """Write a number with three digits that count."""
    if value is None:
        return "-"
    if value == 0:
        return f"0{unit}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}{unit}"


class Cells:
    """End-to-end results by scenario and candidate: the good ones, and why others failed."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._cells: dict[tuple[str, str], list[Line]] = {}
        self.scenarios: list[str] = []
        self.candidates: list[str] = []
        for line in lines:
            scenario, candidate = str(line["scenario"]), str(line["candidate"])
            self._cells.setdefault((scenario, candidate), []).append(line)
            if scenario not in self.scenarios:
                self.scenarios.append(scenario)
            if candidate not in self.candidates and candidate != WATCHED:
                self.candidates.append(candidate)

    def good(self, scenario: str, candidate: str) -> list[Line]:
        return [line for line in self._cells.get((scenario, candidate), []) if line["ok"]]

    def failure(self, scenario: str, candidate: str) -> str | None:
        found = [line for line in self._cells.get((scenario, candidate), []) if not line["ok"]]
        return str(found[-1]["reason"]) if found else None

    def value(self, scenario: str, candidate: str) -> float | None:
        """Return what counts of a scenario: milliseconds of the median event in S4, otherwise seconds."""
        lines = self.good(scenario, candidate)
        if scenario.startswith("S4"):
            return median(lines, "latency_ms", "p50")
        return median(lines, "seconds")

    @property
    def compared(self) -> list[str]:
        """The scenarios that more than ours ran, or all where there is nobody else."""
        others = [name for name in self.candidates if name != OURS]
        found = [one for one in self.scenarios if any((one, other) in self._cells for other in others)]
        return found or self.scenarios

    @property
    def baseline(self) -> str:
        """Who is 1 in ratios: BIRD where it was measured."""
        return "bird" if "bird" in self.candidates else OURS


def latest(lines: Sequence[Line]) -> list[Line]:
    """Return the lines but those of former sources of ours."""
    own = [line["version_key"] for line in lines if str(line["candidate"]).startswith(OURS)]
    return [
        line
        for line in lines
        if not str(line["candidate"]).startswith(OURS) or line["version_key"] == own[-1]
    ]


def markdown(machine: Line, runs: Sequence[Line], micro: Sequence[Line]) -> str:
    """Return the whole report."""
    runs = latest(runs)
    cells = Cells(runs)
    packages = machine.get("packages")
    assert isinstance(packages, dict)
    versions = sorted({str(line["version"]) for line in runs})
    command = "make bench" if machine.get("plan") == "full" else "make bench QUICK=1"
    out = [
        "# Benchmarks",
        "",
        f"Made by `{command}`. {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['kernel']}, {machine['python']}"
        + "".join(f", {name} {version}" for name, version in packages.items())
        + ".",
        "",
        f"Measured: {'; '.join(versions) or 'the parts only'}.",
        "",
    ]
    if machine.get("plan") != "full":
        out += ["**A quick look, in sizes that say little: `make bench` takes the time that it needs.**", ""]
    if runs:
        out += ["![Times and memory beside the baseline](benchmarks.svg)", ""]
        out += [*_ends(cells), *_sent(cells), *_scaling(cells), *_loop(runs)]
    if micro:
        out += _parts(micro)
    return "\n".join(out).rstrip() + "\n"


def _ends(cells: Cells) -> Iterator[str]:
    yield from ("## End to end", "")
    yield (
        "Seconds (S4: milliseconds at p50 / p99), times "
        f"{cells.baseline}, CPU seconds, peak memory in MB + the kernel's for its sockets. Medians; "
        f"`*`: other processes used more than {QUIET} of a core meanwhile."
    )
    yield ""
    yield f"| scenario | {' | '.join(cells.candidates)} |"
    yield "|---" * (len(cells.candidates) + 1) + "|"
    for scenario in cells.scenarios:
        row = [_cell(cells, scenario, candidate) for candidate in cells.candidates]
        if any(cell != "-" for cell in row):
            yield f"| {scenario} | {' | '.join(row)} |"
    yield ""
    kinds = dict.fromkeys(scenario.partition("-")[0] for scenario in cells.scenarios)
    for kind in kinds:
        yield f"- {kind}: {DESCRIPTIONS.get(kind, kind)}"
    failures = [
        f"- {candidate} failed in {scenario}: {reason}"
        for scenario in cells.scenarios
        for candidate in cells.candidates
        if (reason := cells.failure(scenario, candidate))
    ]
    if failures:
        yield from ("", *failures)
    yield ""


def _cell(cells: Cells, scenario: str, candidate: str) -> str:
    lines = cells.good(scenario, candidate)
    if not lines:
        return "failed" if cells.failure(scenario, candidate) else "-"
    value, base = cells.value(scenario, candidate), cells.value(scenario, cells.baseline)
    text = shown(value)
    if scenario.startswith("S4"):
        text += f" / {shown(median(lines, 'latency_ms', 'p99'))} ms"
        unseen = median(lines, "events_unseen")
        if unseen and unseen > 0.01:
            text += f" ({unseen:.0%} of events merged)"
    if value is not None and base and candidate != cells.baseline:
        text += f" ({shown(value / base)}x)"
    memory = f"{shown(median(lines, 'peak_mb'))} + {shown(median(lines, 'kernel_mb'))} MB"
    crowded = "*" if (median(lines, "company") or 0) > QUIET else ""
    return f"**{text}**{crowded}; {shown(median(lines, 'cpu'))} s; {memory}; n={len(lines)}"


def _sent(cells: Cells) -> Iterator[str]:
    """Show what was sent, and what was wrong with it."""
    yield from ("## Sent", "", "UPDATEs (octets in MB) that all peers got; anything wrong with them.", "")
    yield f"| scenario | {' | '.join(cells.candidates)} |"
    yield "|---" * (len(cells.candidates) + 1) + "|"
    for scenario in cells.compared:
        row = []
        for candidate in cells.candidates:
            lines = cells.good(scenario, candidate)
            if not lines:
                row.append("-")
                continue
            octets = median(lines, "octets") or 0
            text = f"{median(lines, 'updates') or 0:,.0f} ({shown(octets / 1e6)})"
            wrong: dict[str, int] = {}
            for line in lines:
                checks = line["checks"]
                assert isinstance(checks, dict)
                for name, count in checks.items():
                    if count:
                        wrong[name] = max(count, wrong.get(name, 0))
            text += "".join(f", {name.replace('_', ' ')} {count:,}" for name, count in wrong.items())
            row.append(text)
        yield f"| {scenario} | {' | '.join(row)} |"
    yield ""


def series(cells: Cells, candidate: str) -> dict[str, list[tuple[float, float]]]:
    """Return for each kind of growth the points (size, seconds) of a candidate."""
    found: dict[str, list[tuple[float, float]]] = {}
    for scenario in cells.scenarios:
        for line in cells.good(scenario, candidate)[:1]:
            seconds = cells.value(scenario, candidate)
            if seconds is None:
                continue
            if scenario.startswith(("S1-", "S6-")):
                kind, size = f"{scenario[:2]}, routes", float(str(line["routes"]))
            elif scenario.startswith("S2-"):
                kind, size = f"S2, {line['routes']:,} routes, clients", float(str(line["receivers"]))
            elif scenario.startswith("S3p-"):
                kind, size = (
                    "S3p, nodes (what is delivered grows as their square)",
                    float(str(line["receivers"])),
                )
            else:
                continue
            found.setdefault(kind, []).append((size, seconds))
    return {kind: sorted(points) for kind, points in found.items() if len(points) > 2}


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line that fits best on logarithmic axes."""
    xs, ys = ([math.log(max(point[axis], 1e-9)) for point in points] for axis in (0, 1))
    return statistics.linear_regression(xs, ys).slope


def _scaling(cells: Cells) -> Iterator[str]:
    kinds = series(cells, OURS)
    if not kinds:
        return
    yield from ("## Growth", "", "Seconds by size, and the exponent of the power that fits them best.", "")
    for kind, points in kinds.items():
        text = ", ".join(f"{size:,.0f}: {shown(seconds)}" for size, seconds in points)
        yield f"- {kind}: {text}; exponent {exponent(points):.2f}"
    yield ""


def _loop(runs: Sequence[Line]) -> Iterator[str]:
    """Show how late our loop ran, and which callbacks were long."""
    lines = [line for line in runs if line["candidate"] == WATCHED and line["ok"] and line.get("loop")]
    if not lines:
        return
    yield from ("## The event loop", "")
    yield (
        "How late a timer due at a random moment runs, in a run of its own with every callback timed; "
        "maximum: the longest iteration of the loop."
    )
    yield from ("", "| scenario | busy | p50 ms | p99 ms | p99.9 ms | max ms | iterations by length in ms |")
    yield "|---|---|---|---|---|---|---|"
    slow: list[str] = []
    for line in lines:
        loop: Any = line["loop"]
        lag = " | ".join(shown(loop["lag_ms"][name]) for name in ("p50", "p99", "p99.9", "max"))
        lengths = ", ".join(f"<={bound}: {count:,}" for bound, count in loop["histogram"].items())
        yield f"| {line['scenario']} | {loop['busy']:.0%} | {lag} | {lengths.replace('<=more', '>1000')} |"
        for one in loop["slow"][:10]:
            waited = f"; {shown(one['waited_ms'])} of it not running" if one["waited_ms"] > 1 else ""
            parts = ", ".join(f"{name} {shown(spent)}" for name, spent in one["parts_ms"].items())
            grown = f"; grown: {', '.join(one['grown'])}" if one["grown"] else ""
            slow.append(
                f"- {line['scenario']}: {shown(one['ms'])} ms in {one['callback']} ({parts}{waited}){grown}"
            )
    yield ""
    if slow:
        yield from (
            "Callbacks over 20 ms, the longest ten of each, with the parts that took over 1 ms:",
            "",
            *slow,
        )
    else:
        yield "No callback took 20 ms."
    yield ""


def _parts(micro: Sequence[Line]) -> Iterator[str]:
    yield from ("## The parts", "")
    yield "Medians of interleaved repetitions, lowest to highest in brackets; ratios to each set's first row."
    yield ""
    title = None
    for line in micro:
        if line["set"] != title:
            title = line["set"]
            yield from ("", f"**{title}** (baseline: {line['baseline']})", "")
            yield from ("| | microseconds | ratio |", "|---|---|---|")
        yield (
            f"| {line['case']} | {shown(_float(line['us']))} ({shown(_float(line['us_low']))} to "
            f"{shown(_float(line['us_high']))}) a {line['unit']} | {shown(_float(line['ratio']))} "
            f"({shown(_float(line['ratio_low']))} to {shown(_float(line['ratio_high']))}) |"
        )
    yield ""


def _float(value: object) -> float:
    return float(str(value))
