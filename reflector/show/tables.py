"""Tables on a terminal: with rich where that is installed, and aligned by blanks where it is not."""

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from reflector.show.columns import Column, Row

# Rows of one table: a long answer comes in pages, each as soon as its rows are there.
PAGE = 500


def write(columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Print a table, columns that are empty throughout left out; return how many rows there were."""
    left, count = iter(rows), 0
    for page in _pages(left):
        count += len(page)
        shown = [column for column in columns if any(column.text(row) for row in page)]
        if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
            _rich(shown, page)
        else:
            _plain(shown, page)
    return count


def _pages(rows: Iterator[Row]) -> Iterator[list[Row]]:
    for first in rows:
        yield list(chain([first], islice(rows, PAGE - 1)))


def _rich(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(column.text(row), style=column.style(row)) for column in columns))
    Console(highlight=False).print(table)


def _plain(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    lines = [
        [column.heading for column in columns],
        *([column.text(row) for column in columns] for row in rows),
    ]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        print("  ".join(cells).rstrip())
