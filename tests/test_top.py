"""`reflector top` before a running service, driven by keys; what it makes of rows without a screen."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from service import running
from textual.pilot import Pilot
from textual.widgets import Input, Static

from reflector.app import Service
from reflector.configuration.config import loads
from reflector.top import is_light
from reflector.top.app import Top
from reflector.top.model import COLUMNS, Neighbors, Shown, columns_for, line
from reflector.top.table import NeighborTable

BY = {column.heading: column for column in COLUMNS}


def row(name: str, **other: Any) -> dict[str, Any]:
    return {
        "name": name,
        "address": name,
        "description": "",
        "asn": 64512,
        "kind": "client",
        "state": "Established",
        "running": True,
        "age": 5.0,
        "received": {"ipv4-unicast": 1},
        "updates_in": 0,
        "updates_out": 0,
        "lag": 0.0,
        "queue": 0,
        "behind": False,
        "last_error": "",
        "last_error_at": None,
        **other,
    }


def names(shown: list[Any]) -> list[str]:
    return [each.row["name"] for each in shown]


# --- Without a screen ---------------------------------------------------------------------------------------


def test_rates_are_what_counters_grow_by() -> None:
    neighbors = Neighbors()
    neighbors.take([row("a", updates_in=100), row("b")], 10.0)
    assert neighbors.total() == (0, 0)
    neighbors.take([row("a", updates_in=150, updates_out=10), row("b"), row("new", updates_in=9)], 12.0)
    assert {each.row["name"]: (each.updates_in, each.updates_out) for each in neighbors.all} == {
        "a": (25.0, 5.0),
        "b": (0, 0),
        "new": (0, 0),
    }
    # Another session of a name begins at 0: that is no negative rate.
    neighbors.take([row("a", updates_in=1)], 13.0)
    assert neighbors.total() == (0, 0)
    neighbors.forget()
    neighbors.take([row("a", updates_in=1000)], 14.0)
    assert neighbors.total() == (0, 0)


def test_neighbors_are_sorted_and_chosen() -> None:
    neighbors = Neighbors()
    rows = [
        row("10.0.0.10"),
        row("10.0.0.9", state="Idle", last_error="hold timer expired"),
        row("edge", queue=5),
    ]
    neighbors.take([*rows, row("10.0.0.2", running=False, state="Idle")], 1.0)
    name = BY["neighbor"]
    assert names(neighbors.chosen("", name, False)) == ["edge", "10.0.0.2", "10.0.0.9", "10.0.0.10"]
    assert names(neighbors.chosen("", BY["queue"], True))[0] == "edge"
    assert names(neighbors.chosen("", BY["state"], False))[:2] == ["10.0.0.9", "10.0.0.2"]
    assert names(neighbors.chosen("HOLD idle", name, False)) == ["10.0.0.9"]
    assert names(neighbors.chosen("disabled", name, False)) == ["10.0.0.2"]
    assert neighbors.chosen("nobody", name, False) == []
    for column in COLUMNS:
        assert len(neighbors.chosen("", column, column.falling)) == 4


def test_names_with_numbers_stand_in_their_order_and_errors_find_room() -> None:
    neighbors = Neighbors()
    neighbors.take([row(f"node-{number}.rack1") for number in (10, 2, 1)], 1.0)
    assert names(neighbors.chosen("", BY["neighbor"], False)) == [
        "node-1.rack1",
        "node-2.rack1",
        "node-10.rack1",
    ]
    down = Shown(row("10.0.0.9", state="Idle", received={}, last_error="hold timer expired (RFC 4271 6.5)"))
    for width in (60, 80, 200):
        text = line(down, columns_for(width))
        assert "hold timer expired (RFC" in text and len(text) <= width


@pytest.mark.parametrize("width", [20, 40, 80, 100, 130, 200])
def test_columns_find_room(width: int) -> None:
    columns = columns_for(width)
    headings = [column.heading for column, _ in columns]
    assert headings[:2] == ["neighbor", "state"]
    if width >= 80:
        assert sum(width for _, width in columns) + len(columns) <= width + 1
        assert {"for", "prefixes", "in/s", "out/s", "lag"} <= set(headings)
    if width >= 130:
        assert headings == [column.heading for column in COLUMNS]


def test_light_terminals_are_known() -> None:
    assert is_light("0;15") and is_light("0;default;7")
    assert not is_light("15;0") and not is_light("")


# --- On a screen --------------------------------------------------------------------------------------------


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause(0.05)


def text(app: Top, name: str) -> str:
    return str(app.screen.query_one(name, Static).content)


def lines(app: Top) -> list[str]:
    """Return what the table shows."""
    table = app.query_one(NeighborTable)
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


async def test_a_service_is_shown_and_keys_do_what_they_say(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        app = Top(cluster.path, 0.2)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "127.0.0.12" in "".join(lines(app)))
            head = text(app, "#head")
            assert "192.0.2.100  AS 64512" in head and "sessions 2/2" in head and "routes 4" in head
            assert "2 of 2 neighbors" in text(app, "#note")
            heading, first, second = lines(app)[:3]
            assert heading.startswith("neighbor▲") and "prefixes" in heading and "lag" in heading
            assert first.startswith("127.0.0.11") and second.startswith("127.0.0.12")
            assert "Established" in first
            assert all(len(line) <= 80 for line in lines(app))
            logging.getLogger("reflector").warning("something to look for")
            await until(pilot, lambda: "something to look for" in text(app, "#events"))

            await pilot.press("r")
            assert lines(app)[1].startswith("127.0.0.12") and lines(app)[0].startswith("neighbor▼")
            await pilot.press("s")
            assert "state▲" in lines(app)[0]
            await pilot.press("slash", *".11")
            await until(pilot, lambda: "1 of 2 neighbors, with '.11'" in text(app, "#note"))
            assert [line for line in lines(app)[1:] if line] == [lines(app)[1]]
            await pilot.press("escape")
            await until(pilot, lambda: "2 of 2" in text(app, "#note"))
            await pilot.press("d")
            assert "0 of 2 neighbors, without a session" in text(app, "#note")
            await pilot.press("d", "p")
            assert "PAUSED" in text(app, "#note")
            await pilot.press("p", "t")
            assert app.theme == "textual-light"

            await _dialogs(app, pilot)
            await _clicks(app, pilot)


async def _dialogs(app: Top, pilot: Pilot[None]) -> None:
    await pilot.press("home", "enter")
    await until(pilot, lambda: "hold time" in text(app, "#answer"))
    assert "neighbor" in text(app, "#answer") and "127.0.0.1" in text(app, "#answer")
    await pilot.press("escape")
    await pilot.press("e")
    await until(pilot, lambda: app.focused is not None and app.focused.id == "prefix")
    app.screen.query_one("#to", Input).value = "127.0.0.12"
    await pilot.press(*"10.1.0.0/16", "enter")
    await until(pilot, lambda: "best" in text(app, "#answer"))
    assert "10.1.0.0/16 towards 127.0.0.12" in text(app, "#answer")
    assert "in an UPDATE of" in text(app, "#answer")
    app.screen.query_one("#prefix", Input).value = "10.77.0.0/16"
    await pilot.press("enter")
    await until(pilot, lambda: "there is no path to 10.77.0.0/16" in text(app, "#answer"))
    await pilot.press("escape")
    await until(pilot, lambda: len(app.screen_stack) == 1)


async def _clicks(app: Top, pilot: Pilot[None]) -> None:
    await pilot.click(NeighborTable, offset=(2, 0))
    assert lines(app)[0].startswith("neighbor▲")
    await pilot.click(NeighborTable, offset=(2, 2))
    assert app.query_one(NeighborTable).at_cursor == "127.0.0.12"
    # It stays with its neighbor when the order changes.
    await pilot.press("r")
    assert app.query_one(NeighborTable).at_cursor == "127.0.0.12" and app.query_one(NeighborTable).cursor == 0


async def test_a_service_goes_away_and_comes_back(tmp_path: Path) -> None:
    app: Top | None = None
    async with running(tmp_path) as cluster:
        app = Top(cluster.path, 0.1)
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: "2 of 2 neighbors" in text(app, "#note"))
            configuration = cluster.service.configuration
            await cluster.service.stop("over")
            await until(pilot, lambda: "trying again" in text(app, "#note"))
            assert app.query_one("#note").has_class("away")
            # What was seen last is still there.
            assert "127.0.0.11" in "".join(lines(app))
            again = Service(configuration, control=True)
            await again.start()
            try:
                await until(pilot, lambda: "it was started anew" in text(app, "#events"))
                assert "the service answers again" in text(app, "#events")
                assert "trying again" not in text(app, "#note")
            finally:
                await again.stop("")


async def test_thousands_of_neighbors(tmp_path: Path) -> None:
    """All of them are there to go through and to sort, and only what can be seen is drawn."""
    many = 2000
    neighbors = "".join(
        f'[[neighbor]]\naddress = "10.{number >> 8}.{number & 255}.1"\ngroup = "nodes"\npassive = true\n'
        for number in range(many)
    )
    path = tmp_path / "socket"
    head = '[router]\nasn = 64512\nrouter_id = "192.0.2.100"\nlisten = ["127.0.0.1:0"]\n'
    service = Service(
        loads(f'{head}[control]\nsocket = "{path}"\n[group.nodes]\nclient = true\n{neighbors}'), control=True
    )
    await service.start()
    try:
        app = Top(path, 1.0)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: f"{many} of {many} neighbors" in text(app, "#note"))
            await pilot.press("p")
            assert lines(app)[1].startswith("10.0.0.1 ")
            drawn = 0
            table = app.query_one(NeighborTable)
            render = table.render_line

            def count(y: int) -> Any:
                nonlocal drawn
                drawn += 1
                return render(y)

            table.render_line = count  # type: ignore[method-assign]
            await pilot.press("end")
            assert table.at_cursor == f"10.{(many - 1) >> 8}.{(many - 1) & 255}.1"
            await until(pilot, lambda: f"10.{(many - 1) >> 8}.{(many - 1) & 255}.1" in "".join(lines(app)))
            await pilot.press("r", "home")
            await until(pilot, lambda: lines(app)[1].startswith(f"10.{(many - 1) >> 8}.{(many - 1) & 255}.1"))
            assert 0 < drawn < many
    finally:
        await service.stop("")


async def test_short_terminals_do_without_events(tmp_path: Path) -> None:
    app = Top(tmp_path / "nobody", 0.1)
    async with app.run_test(size=(60, 12)) as pilot:
        await until(pilot, lambda: "no answer at" in text(app, "#note"))
        assert not app.query_one("#events").display
        assert app.query_one(NeighborTable).size.height >= 6


def test_the_command_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reflector.__main__ import main

    assert main(["top", "--every", "0"]) == 1
    assert "--every: must be above 0" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["top"]) == 1
    assert "pip install 'martlet[top]'" in capsys.readouterr().err


def test_other_commands_do_without_textual() -> None:
    import subprocess
    import sys

    program = "import sys, reflector.__main__; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
