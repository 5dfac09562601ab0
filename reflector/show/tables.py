"""Tables on a terminal: as wide as that is, in color where rich is installed; piped, aligned by blanks.

No word is broken: columns that find no room in a terminal stand below their row, with their names.
"""

import importlib.util
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from reflector.show.columns import Column, Row
from reflector.show.pager import is_terminal

# Rows of one table: a long answer comes in pages, each as soon as its rows are there.
PAGE = 500
_GAP = "  "
_INDENT = "    "


def write(columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Print a table, columns that are empty throughout left out; return how many rows there were."""
    left, count = iter(rows), 0
    terminal = is_terminal()
    colored = terminal and importlib.util.find_spec("rich") is not None
    width = shutil.get_terminal_size().columns if terminal else None
    for page in _pages(left):
        count += len(page)
        shown = [column for column in columns if any(column.text(row) for row in page)]
        if colored:
            _rich(shown, page, width)
        else:
            for line, _ in lines(shown, page, width):
                print(line)
    return count


def _pages(rows: Iterator[Row]) -> Iterator[list[Row]]:
    for first in rows:
        yield list(chain([first], islice(rows, PAGE - 1)))


def lines(
    columns: Sequence[Column], rows: Sequence[Row], width: int | None
) -> Iterator[tuple[str, Row | None]]:
    """Yield the lines of a table that has `width` columns of characters, each with its row; the first ones
    are the heading's, without one."""
    cells = [[column.text(row) for column in columns] for row in rows]
    widths = [
        max(len(column.heading), *map(len, texts))
        for column, texts in zip(columns, zip(*cells, strict=True), strict=True)
    ]
    below = _below(columns, widths, width)
    beside = [place for place in range(len(columns)) if place not in below]

    def joined(texts: Sequence[str]) -> str:
        padded = (
            texts[place].rjust(widths[place]) if columns[place].right else texts[place].ljust(widths[place])
            for place in beside
        )
        return _GAP.join(padded).rstrip()

    yield joined([column.heading for column in columns]), None
    for row, texts in zip(rows, cells, strict=True):
        yield joined(texts), row
        more = [f"{columns[place].heading} {texts[place]}" for place in below if texts[place]]
        if more:
            yield _INDENT + ", ".join(more), row


def _below(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    """Return the places of the columns that stand below, for there is no room beside the others."""
    places = sorted(
        (place for place in range(len(columns)) if columns[place].spared),
        reverse=True,
        key=lambda place: columns[place].spared,
    )
    room = sum(widths) + len(_GAP) * (len(widths) - 1)
    found = []
    for place in places:
        if width is None or room <= width:
            break
        found.append(place)
        room -= widths[place] + len(_GAP)
    return sorted(found)


def _rich(columns: Sequence[Column], rows: Sequence[Row], width: int | None) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, width=width, force_terminal=True)
    # Where nobody reads any more, rich would end the whole process.
    with console.capture() as page:
        for line, row in lines(columns, rows, width):
            if row is None:
                style = "bold underline"
            else:
                style = next(filter(None, (column.style(row) for column in columns)), "")
            console.print(Text(line, style=style), soft_wrap=True)
    print(page.get(), end="")
