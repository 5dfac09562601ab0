"""What opens above the table: a neighbor in all its details, and why a prefix is where it is."""

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

Answer = Callable[..., Awaitable[str]]


class Details(ModalScreen[None]):
    """A text that can be scrolled, and asked for again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,enter", "dismiss", "Close"),
        ("r", "again", "Again"),
    ]

    def __init__(self, title: str, answer: Answer) -> None:
        super().__init__()
        self._heading = title
        self._answer = answer

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(f"{self._heading}   Esc closes, r asks again", classes="title", markup=False)
            with VerticalScroll():
                yield Static("...", markup=False, id="answer")

    async def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        await self.action_again()

    async def action_again(self) -> None:
        self.query_one("#answer", Static).update(await self._answer())


class Explain(ModalScreen[None]):
    """Asks for a prefix, and perhaps for whom, and shows why."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Close")]

    def __init__(self, neighbor: str, answer: Answer) -> None:
        super().__init__()
        self._neighbor = neighbor
        self._answer = answer

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label("Explain a prefix   Enter asks, Esc closes", classes="title", markup=False)
            yield Input(placeholder="prefix, such as 10.244.0.0/26", id="prefix")
            yield Input(self._neighbor, placeholder="towards a neighbor, or nobody", id="to")
            with VerticalScroll():
                yield Static("", markup=False, id="answer")

    def on_mount(self) -> None:
        self.query_one("#prefix", Input).focus()

    @on(Input.Submitted)
    async def ask(self) -> None:
        prefix, to = (self.query_one(f"#{name}", Input).value.strip() for name in ("prefix", "to"))
        if prefix:
            self.query_one("#answer", Static).update(await self._answer(prefix, to or None))
