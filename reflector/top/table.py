"""The table of neighbors on the screen: only the lines that can be seen are ever drawn."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from reflector.top.model import COLUMNS, Shown, columns_for, line

_HEADING = Style(bold=True, underline=True)
_CURSOR = Style(reverse=True)
_STALE = Style(dim=True)


def _style(shown: Shown) -> Style:
    row = shown.row
    if not row["running"]:
        return Style(dim=True)
    if row["state"] != "Established":
        return Style(color="red")
    return Style(color="yellow") if row["behind"] else Style()


class NeighborTable(ScrollView, can_focus=True):
    """Shows `rows`, sorted by the column numbered `by`; the cursor stays with its neighbor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(0)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
        Binding("enter", "choose", "More"),
    ]

    class Chosen(Message):
        """Somebody wants to know more of a neighbor."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.neighbor = name

    class SortBy(Message):
        """Somebody has clicked at the heading of a column, by its number."""

        def __init__(self, column: int) -> None:
            super().__init__()
            self.column = column

    def __init__(self) -> None:
        super().__init__(id="neighbors")
        self.rows: list[Shown] = []
        self.by = 0
        self.falling = False
        self.stale = False
        self.cursor = 0
        self._at = ""

    def present(self, rows: list[Shown], by: int, falling: bool, stale: bool) -> None:
        """Show other rows; `stale` ones are those of a service that is away."""
        self.rows, self.by, self.falling, self.stale = rows, by, falling, stale
        if self.cursor and self._at:
            places = (number for number, shown in enumerate(rows) if shown.row["name"] == self._at)
            self.cursor = next(places, self.cursor)
        self._settle()

    @property
    def at_cursor(self) -> str:
        """The name of the neighbor at the cursor, "" where there is none."""
        return str(self.rows[self.cursor].row["name"]) if self.cursor < len(self.rows) else ""

    @property
    def established(self) -> str:
        """The name of the neighbor at the cursor if it has a session, otherwise ""."""
        if self.at_cursor and self.rows[self.cursor].row["state"] == "Established":
            return self.at_cursor
        return ""

    def _settle(self) -> None:
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
        self._at = self.at_cursor
        # The heading stands above the rows.
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self.refresh()

    def on_resize(self, _: events.Resize) -> None:
        self._settle()

    def render_line(self, y: int) -> Strip:
        columns = columns_for(self.size.width)
        if y == 0:
            cells = []
            for column, width in columns:
                sorted_by = COLUMNS[self.by] is column
                mark = ("▼" if self.falling else "▲") if sorted_by else ""
                text = column.heading[: width - len(mark)] + mark
                cells.append(text.rjust(width) if column.right else text.ljust(width))
            return self._strip(" ".join(cells), _HEADING)
        number = y - 1 + self.scroll_offset.y
        if number >= len(self.rows):
            return self._strip("", Style())
        shown = self.rows[number]
        style = _STALE if self.stale else _style(shown)
        if number == self.cursor and self.has_focus:
            style += _CURSOR
        return self._strip(line(shown, columns), style)

    def _strip(self, text: str, style: Style) -> Strip:
        width = self.size.width
        return Strip([Segment(text.ljust(width)[:width], self.rich_style + style)], width)

    # --- keys -------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self.cursor + by * max(self.size.height - 2, 1))

    def action_end(self, which: int) -> None:
        self._go(len(self.rows) - 1 if which else 0)

    def action_choose(self) -> None:
        if self.at_cursor:
            self.post_message(self.Chosen(self.at_cursor))

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            at = 0
            for column, width in columns_for(self.size.width):
                at += width + 1
                if event.x < at:
                    self.post_message(self.SortBy(COLUMNS.index(column)))
                    return
            return
        self._go(event.y - 1 + self.scroll_offset.y)

    def _go(self, number: int) -> None:
        self.cursor = number
        self._settle()
        visible = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False)
