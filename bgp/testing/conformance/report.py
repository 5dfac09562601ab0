"""What was found, for people and for programs: a table, a summary, JSON."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bgp.testing.conformance.case import Case, Result, Verdict
from bgp.testing.conformance.run import Report
from bgp.wire.prefix import address_text
from bgp.wire.text import printable

# What a table leaves out unless all is asked for.
_QUIET = (Verdict.CONFORMS, Verdict.ALLOWED, Verdict.SKIPPED)


def rows(results: Iterable[Result], everything: bool) -> Iterator[tuple[str, ...]]:
    """Yield (case, RFC and section, what is wrong, demanded, seen, verdict)."""
    for result in results:
        if everything or result.verdict not in _QUIET:
            verdict = result.verdict.value
            note = f": {result.note}" if result.note else ""
            yield (
                result.case.name,
                ", ".join(result.case.sources),
                result.case.text,
                result.demand,
                printable(result.seen),
                printable(verdict + note),
            )


HEADINGS = ("case", "RFC and section", "what is sent", "demanded", "seen", "verdict")


def table(rows: Iterable[tuple[str, ...]], headings: tuple[str, ...] = HEADINGS) -> None:
    """Print a table: by rich where it is installed, else plainly."""
    lines = list(rows)
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        plain(lines, headings)
        return
    console = Console()
    if not console.is_terminal:
        plain(lines, headings)
        return
    shown = Table(*headings)
    for line in lines:
        style = "red" if line[-1].startswith("differs") else "yellow" if "unclear" in line[-1] else ""
        shown.add_row(*line, style=style)
    console.print(shown)


def plain(lines: Sequence[tuple[str, ...]], headings: tuple[str, ...]) -> None:
    width = max(60, shutil.get_terminal_size((160, 50)).columns)
    widths = [max(len(line[column]) for line in [headings, *lines]) for column in range(len(headings))]
    if sum(widths) + 2 * len(widths) > width:
        widths[2] = min(widths[2], 44)
    for line in (headings, *lines):
        print("  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip())


def summary(report: Report) -> str:
    """Return a line with the counts."""
    counts = [f"{report.count(verdict)} {verdict.value}" for verdict in Verdict if report.count(verdict)]
    return f"{len(report.results)} cases in {report.seconds:.0f} s: {', '.join(counts)}"


def as_json(report: Report) -> dict[str, Any]:
    """Return all of it as JSON's types."""
    options, opening = report.options, report.opening
    return {
        "target": {
            "address": options.target,
            "asn": options.asn,
            "identifier": "" if opening is None else address_text(opening.identifier.to_bytes(4, "big")),
        },
        "session": "internal" if options.asn == options.local_as else "external",
        "seconds": round(report.seconds, 1),
        "counts": {verdict.value: report.count(verdict) for verdict in Verdict},
        "results": [_result(result) for result in report.results],
    }


def _result(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        **_case(result.case),
        "demanded": result.demand,
        "seen": result.seen,
        "verdict": result.verdict.value,
        "note": result.note,
        "sent": result.sent.hex(),
    }
    if (seen := result.observed) is not None:
        found["survived"] = not (seen.closed or seen.notification)
        found["others_unharmed"] = seen.unharmed
        found["seconds"] = round(seen.seconds, 3)
        if seen.notification is not None:
            notification = seen.notification
            found["notification"] = {
                "code": notification.code,
                "subcode": notification.subcode,
                "data": notification.data.hex(),
            }
    if result.data is not None:
        found["demanded_data"] = result.data.hex()
    return found


def _case(case: Case) -> dict[str, Any]:
    return {
        "case": case.name,
        "group": case.group,
        "sources": list(case.sources),
        "known": list(case.known),
        "text": case.text,
    }
