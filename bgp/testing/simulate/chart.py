"""What was measured over time, as a picture where matplotlib is installed, else as lines of text."""

from collections.abc import Iterator, Sequence

Points = Sequence[tuple[float, float]]


def lines(points: Points, count: int = 25, width: int = 60) -> Iterator[str]:
    """Yield about `count` lines with a bar for the value at that time, whose steps are equal."""
    if not points:
        return
    first, last = points[0][0], points[-1][0]
    most = max(value for _, value in points) or 1
    at = 0
    for number in range(count):
        time = first + (last - first) * number / max(count - 1, 1)
        while at + 1 < len(points) and points[at + 1][0] <= time:
            at += 1
        value = points[at][1]
        yield f"{time:8.2f} s {'#' * round(width * value / most):{width}} {value:g}"


def draw(points: Points, path: str, label: str = "") -> bool:
    """Draw a picture into the file `path`; return False where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 4))
    axes = figure.add_subplot()
    axes.step([time for time, _ in points], [value for _, value in points], where="post")
    axes.set_xlabel("seconds")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    figure.savefig(path)
    return True
