"""A hook of mkdocs: the page of the RFCs, made of tests/conformance.toml with each build."""

import tomllib
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

SOURCE = Path(__file__).parent.parent / "tests" / "conformance.toml"
PAGE = "rfcs.md"
INTRODUCTION = """\
# What the RFCs demand

Rule by rule, in our words, with the tests that would fail if the rule were broken, or the reason why there is
none. The level is the word of RFC 2119; in lower case where the text prescribes without it; *fact* where it
states, *choice* where it leaves something open.
"""


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page(tomllib.loads(SOURCE.read_text())["rule"])))
    return files


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page of all rules, RFC by RFC."""
    by_rfc = [(rfc, list(some)) for rfc, some in groupby(rows, key=lambda row: row["rfc"])]
    lines = [INTRODUCTION, "| RFC | rules | with tests |", "| --- | --- | --- |"]
    for rfc, some in by_rfc:
        lines.append(f"| [{rfc}](#rfc-{rfc}) | {len(some)} | {sum('tests' in row for row in some)} |")
    for rfc, some in by_rfc:
        lines += ["", f"## RFC {rfc}", "", f"<https://www.rfc-editor.org/rfc/rfc{rfc}>", ""]
        lines += ["| section | level | rule | shown by |", "| --- | --- | --- | --- |"]
        lines += [_row(row) for row in some]
    return "\n".join([*lines, ""])


def _row(row: dict[str, Any]) -> str:
    shown = "<br>".join(f"`{test.rpartition('::')[2]}`" for test in row.get("tests", ()))
    said = [_cell(row["rule"])]
    if "decision" in row:
        said.append(f"*Chosen:* {_cell(row['decision'])}")
    if "reason" in row:
        shown = _cell(row["reason"])
    return f"| {row['section']} | {row['level']} | {'<br>'.join(said)} | {shown} |"


def _cell(text: str) -> str:
    for mark in "|<>[]*_":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
