"""The page of what the conformance peer found: docs/conformance.md, and the summary in fuzz/README.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = {"martlet": "Martlet", "bird": "BIRD", "frr": "FRR", "gobgp": "GoBGP", "openbgpd": "OpenBGPD"}
BEGIN, END = "<!-- conformance: begin -->", "<!-- conformance: end -->"
_VERDICTS = ("conforms", "allowed", "data differ", "differs", "unclear", "skipped")
_GOOD = ("conforms", "skipped")

_HEAD = """# Conformance, beside four daemons

`python -m bgp.testing peer` sends a speaker what is wrong and judges the answer by the RFCs; see
[how to try yours](howto/conformance.md). This page is what it found of Martlet and of the daemons as
Debian ships them, {versions}, each as a reflector of internal sessions and as a router between
external ones. To have it again, as root:

    make conformance            into build/conformance
    make conformance PUBLISH=1  and into this page

"Allowed" is an answer that is not what is demanded first, but that another sentence of the RFCs permits; with
"data differ" the NOTIFICATION has the right code and subcode and other data. A difference is no judgment of
security: to end a session where only a route need be withdrawn is what RFC 4271 once demanded everywhere.
"Others harmed" are the cases after which the session of a bystander had ended as well; "died" is how often
the process had to be started again, which several cases under way at once may have in common. Among the cases
are the triggers of published vulnerabilities; the daemons are of versions older than the remedies of some.

"""


def load(directory: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the reports by target and kind of session; raise SystemExit where there is none."""
    found = {}
    for name in NAMES:
        for session in ("internal", "external"):
            file = directory / f"{name}-{session}.json"
            if file.exists():
                found[name, session] = json.loads(file.read_text())
    if not found:
        raise SystemExit(f"no reports in {directory}: make conformance")
    return found


def summary(reports: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    """Yield a table of counts."""
    yield "| target | session | " + " | ".join(_VERDICTS) + " | others harmed | died |"
    yield "| --- | --- |" + " ---: |" * (len(_VERDICTS) + 2)
    for (name, session), report in reports.items():
        counts = [str(report["counts"].get(verdict, 0)) for verdict in _VERDICTS]
        harmed = sum(not result.get("others_unharmed", True) for result in report["results"])
        yield f"| {NAMES[name]} | {session} | {' | '.join(counts)} | {harmed} | {report['deaths']} |"


def _cell(result: dict[str, Any]) -> str:
    seen = str(result["seen"]).replace("NOTIFICATION ", "").replace("|", "\\|")
    match result["verdict"]:
        case "conforms":
            return "✓"
        case "skipped":
            return ""
        case "allowed":
            return f"✓ ({seen})"
        case "data differ":
            return "✓, other data"
        case "unclear":
            return "?"
    if not result.get("others_unharmed", True):
        return "**ends other sessions**"
    return seen.replace("connection closed without a NOTIFICATION", "closed, no word")


def details(reports: dict[tuple[str, str], dict[str, Any]], session: str) -> Iterator[str]:
    """Yield a table of the cases in which not all do alike."""
    columns = [name for name in NAMES if (name, session) in reports]
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for name in columns:
        for result in reports[name, session]["results"]:
            rows.setdefault(result["case"], {})[name] = result
    yield "| what is sent | demanded | " + " | ".join(NAMES[name] for name in columns) + " |"
    yield "| --- | --- |" + " --- |" * len(columns)
    for case, by_name in rows.items():
        if all(result["verdict"] in _GOOD for result in by_name.values()):
            continue
        first = next(r for r in by_name.values() if r["demanded"] or r is by_name[columns[-1]])
        demanded = first["demanded"].replace("NOTIFICATION ", "")
        what = f"{first['text']} (`{case}`, {', '.join(first['sources'])})".replace("|", "\\|")
        cells = [_cell(by_name[name]) if name in by_name else "" for name in columns]
        yield f"| {what} | {demanded} | {' | '.join(cells)} |"


def publish(directory: Path, root: Path) -> list[Path]:
    """Write the page, and the summary into fuzz/README.md; return what was written."""
    reports = load(directory)
    versions = {NAMES[name]: report["version"] for (name, _), report in reports.items() if report["version"]}
    lines = [_HEAD.format(versions=", ".join(f"{name} {version}" for name, version in versions.items()))]
    table = "\n".join(summary(reports))
    lines.append(table)
    for session in ("internal", "external"):
        lines += [f"\n## {session.title()} sessions: where not all conform\n", *details(reports, session)]
    page, readme = root / "docs" / "conformance.md", root / "fuzz" / "README.md"
    page.write_text("\n".join(lines) + "\n")
    text = readme.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    return [page, readme]
