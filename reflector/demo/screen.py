"""The view as a full screen for people, drawn with rich to fit the terminal whatever its size."""

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bgp.wire.attributes import DEFAULT_LOCAL_PREF
from reflector.demo.view import Explanation, Session, View, clock

# From so many columns on, times and whole sentences have room.
_WIDE = 110
_SIGNS = {"+": "green", "-": "red", "~": "yellow"}


def draw(view: View, width: int, height: int) -> Layout:
    """Return the whole screen."""
    layout = Layout()
    sessions = len(view.sessions) + 3
    explanation = len(view.explanation.paths) + len(view.explanation.withheld) + 3
    # What changes is most of the fun: it gets at least five lines.
    explanation = max(3, min(explanation, height - 1 - sessions - 8))
    layout.split_column(
        Layout(_title(view, width), size=1),
        Layout(sessions_table(view.sessions), size=sessions),
        Layout(_explanation(view.explanation, width), size=explanation),
        Layout(_changes(view, height - 1 - sessions - explanation, width)),
    )
    return layout


def _title(view: View, width: int) -> Text:
    minutes, seconds = divmod(int(view.seconds), 60)
    parts = [
        ("Martlet", "bold"),
        (f" reflector {view.router_id}  AS {view.asn}", ""),
        (f"  {minutes}:{seconds:02}  {view.changes} changes", "dim"),
    ]
    listening = "  on " + " ".join(view.listening)
    used = sum(len(words) for words, _ in parts) + len("  Ctrl-C ends")
    if used + len(listening) <= width:
        parts.insert(2, (listening, "dim"))
    parts.append(("  Ctrl-C ends", "dim"))
    return Text.assemble(*parts, no_wrap=True, overflow="crop")


def sessions_table(sessions: tuple[Session, ...]) -> RenderableType:
    """Return the table of sessions."""
    table = _table("peer", "address", "kind")
    table.add_column("state", no_wrap=True, ratio=1)
    for header in ("since", "received", "told"):
        table.add_column(header, no_wrap=True, justify="right")
    for session in sessions:
        state = Text(session.state, "green" if session.up else "red", overflow="ellipsis", no_wrap=True)
        if session.why:
            state.append(f": {session.why.rpartition(': ')[2]}", "dim")
        table.add_row(
            session.name,
            session.address,
            "client" if session.client else "non-client",
            state,
            f"{session.seconds:.0f} s" if session.up else "",
            "/".join(map(str, session.received)) if session.up else "",
            "/".join(map(str, session.advertised)) if session.up else "",
        )
    return _panel(table, "sessions (routes: IPv4/IPv6)")


def _explanation(explanation: Explanation, width: int) -> RenderableType:
    narrow = width < _WIDE
    table = Table(expand=True, box=None, padding=(0, 1), show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    for path in explanation.paths:
        rung = path.verdict.rung
        verdict = f"lost by {rung.name} ({rung.section})" if narrow and rung else str(path.verdict)
        # Where room is scarce, the usual LOCAL_PREF goes without saying.
        attributes = path.rest if narrow and path.local_pref == DEFAULT_LOCAL_PREF else path.attributes
        style = "green" if path.best else ""
        table.add_row("*" if path.best else " ", Text(path.name, style), attributes, Text(verdict, style))
    lines = [
        Text(f" not told to {names}: {reason}", "dim", no_wrap=True) for names, reason in explanation.withheld
    ]
    if explanation.told:
        names = " ".join(explanation.told)
        lines.insert(0, Text(f" reflected to {names} (RFC 4456 6)", no_wrap=True))
    body = Group(table, *lines) if explanation.paths else Text(" nobody announces it")
    return _panel(body, f"explain {explanation.prefix}")


def _changes(view: View, lines: int, width: int) -> RenderableType:
    narrow = width < _WIDE
    table = _table(*([] if narrow else ["time"]), "", "route", "next hop", "ORIGINATOR_ID", "CLUSTER_LIST")
    table.add_column("heard by", no_wrap=True, ratio=1)
    up = sum(session.up for session in view.sessions)
    for change in view.latest[-max(1, lines - 3) :]:
        row: list[Text | str] = [
            Text(change.sign, _SIGNS[change.sign]),
            change.route,
            change.next_hop or ("withdrawn" if change.sign == "-" else ""),
            change.originator_id,
            change.cluster_list,
            _heard_by(change.nodes, up, narrow),
        ]
        table.add_row(*row if narrow else [Text(clock(change.at), "dim"), *row])
    return _panel(table, "reflected")


def _heard_by(nodes: tuple[str, ...], up: int, narrow: bool) -> str:
    if len(nodes) > 1 and len(nodes) >= up - 1:
        return "all others"
    return f"{len(nodes)} nodes" if narrow and len(nodes) > 1 else " ".join(nodes)


def _table(*headers: str) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, no_wrap=True)
    return table


def _panel(body: RenderableType, title: str) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="blue", padding=0)
