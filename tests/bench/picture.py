"""The results as pictures: times and memory beside the baseline, and how cost grows."""

from pathlib import Path
from typing import Any

from bench.candidates import OURS
from bench.report import Cells, exponent, median, series

COLORS = {
    OURS: "#d62728",
    "bird": "#1f77b4",
    "bird-poked": "#aec7e8",
    "frr": "#2ca02c",
    "frr-eager": "#98df8a",
    "openbgpd": "#9467bd",
    "gobgp": "#8c564b",
}
OTHERS = ("#e377c2", "#7f7f7f", "#bcbd22", "#17becf")
MARKERS = {OURS: "D"}


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as pyplot

    # Text stays text, and the same figures give the same octets.
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "martlet", "font.family": "sans-serif"})
    return pyplot


def _save(figure: Any, directory: Path, name: str) -> list[Path]:
    paths = []
    for suffix, metadata in ((".svg", {"Date": None, "Creator": None}), (".png", {"Software": None})):
        path = directory / f"{name}{suffix}"
        figure.savefig(path, metadata=metadata, dpi=120)
        paths.append(path)
    # matplotlib leaves blanks at the ends of lines.
    svg = paths[0]
    svg.write_text("\n".join(line.rstrip() for line in svg.read_text().splitlines()) + "\n")
    return paths


def _color(cells: Cells, candidate: str) -> str:
    unknown = [name for name in cells.candidates if name not in COLORS]
    return COLORS.get(candidate) or OTHERS[unknown.index(candidate) % len(OTHERS)]


def ends(cells: Cells, directory: Path, caption: str) -> list[Path]:
    """Draw times and memory as multiples of the baseline's, a row for each scenario."""
    pyplot = _pyplot()
    from matplotlib import ticker

    rows = [one for one in cells.compared if cells.value(one, cells.baseline)]
    if not rows:
        return []
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 1.4 + 0.34 * len(rows)), sharey=True)
    for axis, title, value in (
        (axes[0], "time", cells.value),
        (axes[1], "peak memory", lambda scenario, who: median(cells.good(scenario, who), "peak_mb")),
    ):
        axis.set_xscale("log")
        axis.axvline(1, color="#999999", linewidth=1)
        for candidate in reversed(cells.candidates):
            points = [
                (found / base, row)
                for row, scenario in enumerate(rows)
                if (found := value(scenario, candidate)) and (base := value(scenario, cells.baseline))
            ]
            axis.scatter(
                [point[0] for point in points],
                [point[1] for point in points],
                label=candidate,
                color=_color(cells, candidate),
                marker=MARKERS.get(candidate, "o"),
                s=46 if candidate == OURS else 30,
                zorder=4 if candidate == OURS else 3,
            )
        axis.set_title(f"{title}, as a multiple of {cells.baseline}'s (left is better)", fontsize=10)
        axis.grid(axis="both", color="#eeeeee", which="major")
        axis.set_axisbelow(True)
        low, high = axis.get_xlim()
        steps = (1, 2, 5) if high / low < 300 else (1,)
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=steps))
        axis.xaxis.set_major_formatter(lambda number, _: f"{number:g}x")
        axis.xaxis.set_minor_formatter(lambda number, _: "")
    axes[0].set_yticks(range(len(rows)), rows)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="lower center", ncols=len(labels), frameon=False, fontsize=9
    )
    figure.text(0.5, 0.995, caption, ha="center", va="top", fontsize=8, color="#555555")
    figure.subplots_adjust(left=0.14, right=0.98, top=1 - 0.62 / figure.get_figheight(),
                           bottom=0.72 / figure.get_figheight(), wspace=0.06)  # fmt: skip
    paths = _save(figure, directory, "benchmarks")
    pyplot.close(figure)
    return paths


def growth(cells: Cells, directory: Path) -> list[Path]:
    """Draw how our times grow, on logarithmic axes."""
    kinds = series(cells, OURS)
    if not kinds:
        return []
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(7, 4.5))
    for kind, points in kinds.items():
        axis.plot(
            [size for size, _ in points],
            [seconds for _, seconds in points],
            marker="o",
            label=f"{kind}: exponent {exponent(points):.2f}",
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("size")
    axis.set_ylabel("seconds")
    axis.grid(color="#eeeeee")
    axis.legend(fontsize=8)
    figure.tight_layout()
    paths = _save(figure, directory, "growth")
    pyplot.close(figure)
    return paths
