"""The screen of `reflector top`: what the service says every second, in order, and what happens meanwhile.

It asks again when the answer to the last questions is there and shown, and no more often than a tenth of the
time may go on that: so neither side is kept busy by thousands of neighbors.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from reflector.show import details
from reflector.top.asker import Asker, Away, NotAnswered
from reflector.top.dialogs import Details, Explain
from reflector.top.model import COLUMNS, Neighbors, headline
from reflector.top.table import NeighborTable

Row = dict[str, Any]

# Of the time, the share that may go on asking.
_SHARE = 0.1
# Lines of the log that are looked at, and of events that are kept.
_LINES = 50


class Top(App[None]):
    """Shows the service that answers at `path`, every so many seconds."""

    TITLE = "reflector top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 2; text-style: bold; }
    #note { height: 1; color: $text-muted; }
    #note.away { color: $text-error; text-style: bold; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    #neighbors { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    #events { height: 7; border-top: solid $primary; text-wrap: nowrap; text-overflow: ellipsis; }
    .short #events { display: none; }
    .dialog { background: $surface; border: round $primary; margin: 1 2; padding: 0 1; }
    .dialog .title { text-style: bold; width: 1fr; }
    .dialog Input { border: none; height: 1; margin: 0 0 1 0; background: $panel; }
    ModalScreen { background: $background 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Turn"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("d", "down", "Down"),
        Binding("p", "pause", "Pause"),
        Binding("e", "explain", "Explain"),
        Binding("t", "shade", "Light"),
    ]

    def __init__(self, path: Path, every: float = 1.0, *, light: bool = False) -> None:
        super().__init__()
        self._asker = Asker(path)
        self._every = every
        self._light = light
        self._neighbors = Neighbors()
        self._status: Row | None = None
        self._away = ""
        self._said: deque[str] = deque(maxlen=_LINES)
        self._logged = 0.0
        self._by, self._falling = 0, COLUMNS[0].falling
        self._wanted = ""
        self._down = False
        self._paused = False

    def compose(self) -> ComposeResult:
        # They are kept, for an answer may come when the screen is on its way out.
        self._head = Static("", id="head", markup=False)
        self._noted = Static("", id="note", markup=False)
        self._filter = Input(placeholder="words that a neighbor's line must have", id="filter")
        self._table = NeighborTable()
        self._shown = Static("", id="events", markup=False)
        yield from (self._head, self._noted, self._filter, self._table, self._shown, Footer())

    def on_mount(self) -> None:
        self._shade()
        self._table.focus()
        self.run_worker(self._follow(), exclusive=True)

    def on_resize(self, event: events.Resize) -> None:
        self.screen.set_class(event.size.height < 20, "short")

    # --- What the service says ------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            begun = time.monotonic()
            if not self._paused:
                await self._look()
            spent = time.monotonic() - begun
            await asyncio.sleep(max(self._every - spent, spent / _SHARE - spent))

    async def _look(self) -> None:
        """Ask once; a service that is away stays on the screen as it was last seen."""
        try:
            (status,) = await self._asker.ask("status")
            rows = await self._asker.ask("neighbors")
            lines = await self._asker.ask("log", level="info", limit=_LINES)
        except Away as error:
            if not self._away:
                self._tell(f"the service does not answer: {error}")
            self._away = str(error)
            self._draw()
            return
        except NotAnswered as error:
            self._away = str(error)
            self._draw()
            return
        now = time.monotonic()
        if self._away:
            self._tell("the service answers again")
        if self._status is not None and self._status["started"] != status["started"]:
            self._tell("it is another life of the service: it was started anew")
            self._neighbors.forget()
        self._away, self._status = "", status
        self._neighbors.take(rows, now)
        for line in lines:
            if line["time"] > self._logged:
                self._logged = line["time"]
                self._said.append(f"{_clock(line['time'])} {line['text']}")
        self._draw()

    def _tell(self, text: str) -> None:
        self._said.append(f"{_clock(time.time())} --- {text}")

    def _draw(self) -> None:
        if self._status is not None:
            head = headline(self._status, self._neighbors.total())
            self._head.update("\n".join(head))
        rows = self._neighbors.chosen(self._wanted, COLUMNS[self._by], self._falling)
        if self._down:
            rows = [shown for shown in rows if shown.row["state"] != "Established"]
        self._table.present(rows, self._by, self._falling, bool(self._away))
        self._noted.set_class(bool(self._away), "away")
        self._noted.update(self._note(len(rows)))
        self._shown.update("\n".join(list(self._said)[-6:]))

    def _note(self, count: int) -> str:
        if self._away:
            return f"no answer at {self._asker.path}: {self._away}; trying again"
        parts = [f"{count} of {len(self._neighbors.all)} neighbors"]
        if self._wanted:
            parts.append(f"with {self._wanted!r}")
        if self._down:
            parts.append("without a session")
        if self._paused:
            parts.append("PAUSED")
        return ", ".join(parts)

    # --- Keys -----------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        self._sort((self._by + 1) % len(COLUMNS))

    def action_reverse(self) -> None:
        self._falling = not self._falling
        self._draw()

    @on(NeighborTable.SortBy)
    def sort_by(self, message: NeighborTable.SortBy) -> None:
        if message.column == self._by:
            self.action_reverse()
        else:
            self._sort(message.column)

    def _sort(self, column: int) -> None:
        self._by, self._falling = column, COLUMNS[column].falling
        self._draw()

    def action_down(self) -> None:
        self._down = not self._down
        self._draw()

    def action_pause(self) -> None:
        self._paused = not self._paused
        self._draw()

    def action_shade(self) -> None:
        self._light = not self._light
        self._shade()

    def _shade(self) -> None:
        self.theme = "textual-light" if self._light else "textual-dark"

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    @on(Input.Changed, "#filter")
    def filter_by(self, message: Input.Changed) -> None:
        self._wanted = message.value
        self._draw()

    @on(Input.Submitted, "#filter")
    def filtered(self) -> None:
        self._filter.display = bool(self._filter.value)
        self._table.focus()

    async def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self._filter.has_focus:
            self._filter.value = ""
            self.filtered()

    @on(NeighborTable.Chosen)
    def neighbor(self, message: NeighborTable.Chosen) -> None:
        name = message.neighbor
        self.push_screen(Details(name, lambda: self._answer(_neighbor, "neighbor", peer=name)))

    def action_explain(self) -> None:
        def answer(prefix: str, to: str | None) -> "Any":
            given = {"prefix": prefix} if to is None else {"prefix": prefix, "to": to}
            return self._answer(details.explained, "explain", **given)

        self.push_screen(Explain(self._table.established, answer))

    async def _answer(self, shown: Callable[[Row], str], question: str, **given: object) -> str:
        try:
            (row,) = await self._asker.ask(question, **given)
        except (Away, NotAnswered) as error:
            return str(error)
        return shown(row)


def _neighbor(row: Row) -> str:
    return details.aligned(details.neighbor(row))


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
