"""`conformance.toml` is held to its word: every rule has its tests, by name, or says why it has none.

Test names are read from the sources with `ast`, so nothing is executed and no daemon is needed.
"""

import ast
import re
import tomllib
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from bgp.errors import RULES

ROOT = Path(__file__).resolve().parent.parent
FILE = Path(__file__).with_name("conformance.toml")
ROWS: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["rule"]

# RFC 2119's words; in lower case where the text prescribes without them; "choice" where it leaves one open.
LEVELS = {
    *("MUST", "MUST NOT", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY", "RECOMMENDED", "OPTIONAL"),
    *("must", "should", "may", "choice", "fact"),
}
# 4271's "9.1.2.2 c", 7606's "3 g", 1997's unnumbered headings, appendices "A" and "F.1".
SECTION = re.compile(r"(\d+(\.\d+)*( [a-z])?|[A-Z](\.\d+)?|[A-Z][a-z]+([- ][a-z]+)*)")
KEYS = {"rfc", "section", "level", "rule", "tests", "reason", "decision", "faults"}


@cache
def defined(path: Path) -> frozenset[str]:
    """Return the names of the tests in a source file, methods as Class::name."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            # A hypothesis state machine becomes a test by an assignment: TestX = Machine.TestCase.
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(name for name in names if name.rpartition("::")[2].startswith(("test", "Test")))


def fault_of(identifier: str) -> str | None:
    """Return why a test identifier is wrong, None if it names a test."""
    file, _, name = identifier.partition("::")
    path = ROOT / file
    if not re.fullmatch(r"tests/(interop/)?test_\w+\.py", file) or not path.is_file():
        return f"{identifier}: no such file"
    if name not in defined(path):
        return f"{identifier}: no such test"
    return None


def label(row: dict[str, Any]) -> str:
    return f"RFC {row.get('rfc')} {row.get('section')}: {row.get('rule')}"


def test_every_named_test_exists() -> None:
    wrong = {fault for row in ROWS for name in row.get("tests", []) if (fault := fault_of(name))}
    assert sorted(wrong) == []


def test_every_rule_is_shown_or_explained() -> None:
    """A rule has tests, or a reason why not; a decision may stand beside either."""
    bare = [label(row) for row in ROWS if not row.get("tests") and not row.get("reason")]
    both = [label(row) for row in ROWS if row.get("tests") and row.get("reason")]
    assert (bare, both) == ([], [])


def test_open_choices_are_decided() -> None:
    """Where an RFC leaves a choice, the row says what was chosen, or why the question does not arise."""
    silent = [
        label(row)
        for row in ROWS
        if row["level"] == "choice" and not (row.get("decision") or row.get("reason"))
    ]
    assert silent == []


def test_rows_are_well_formed() -> None:
    for row in ROWS:
        assert row.keys() <= KEYS, label(row)
        assert isinstance(row["rfc"], int) and 0 < row["rfc"] < 20000, label(row)
        for section in row["section"].split(", "):
            assert SECTION.fullmatch(section), label(row)
        assert set(row["level"].split(" / ")) <= LEVELS, label(row)
        assert 10 < len(row["rule"]) <= 300 and row["rule"].endswith("."), label(row)
        assert all(row[key].endswith(".") for key in ("reason", "decision") if key in row), label(row)


def test_rows_are_distinct_and_stand_by_their_rfc() -> None:
    keys = [(row["rfc"], row["section"], row["rule"]) for row in ROWS]
    assert len(keys) == len(set(keys))
    blocks = [rfc for rfc, _ in groupby(row["rfc"] for row in ROWS)]
    assert len(blocks) == len(set(blocks))


def test_every_fault_that_a_peer_can_cause_has_a_row() -> None:
    """Each rule of `bgp.errors` stands in a row of its RFC, with tests."""
    shown: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        for name in row.get("faults", []):
            assert name in RULES, name
            assert name not in shown, f"{name} twice"
            shown[name] = row
    assert sorted(RULES.keys() - shown.keys()) == []
    for name, row in shown.items():
        assert row.get("tests"), f"{name} has no test"
        assert re.match(r"RFC (\d+)", RULES[name].source), name


def test_a_wrong_identifier_is_found() -> None:
    assert fault_of("tests/test_conformance.py::test_a_wrong_identifier_is_found") is None
    assert fault_of("tests/test_conformance.py::test_nothing") is not None
    assert fault_of("tests/test_nowhere.py::test_nothing") is not None
    assert fault_of("bgp/errors.py::test_nothing") is not None
