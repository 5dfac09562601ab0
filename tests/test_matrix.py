"""`interop/matrix.toml` is held to its word: no daemon is left out, each test is there and about that daemon.

The test modules are imported for their marks; no test of theirs is run, and no daemon is needed.
"""

import importlib
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

INTEROP = Path(__file__).with_name("interop")
ROWS: list[dict[str, Any]] = tomllib.loads((INTEROP / "matrix.toml").read_text(encoding="utf-8"))["feature"]
# Each daemon, and its program as marks name it.
DAEMONS = {"bird": "bird", "frr": "frr", "gobgp": "gobgpd", "openbgpd": "openbgpd", "exabgp": "exabgp"}
# The harness judged on its own is not about us.
OURSELVES = {"test_harness"}


@cache
def programs(identifier: str) -> frozenset[str]:
    """Return the programs that a test is about; raise where there is no such test."""
    file, _, name = identifier.partition("::")
    if str(INTEROP) not in sys.path:
        sys.path.insert(0, str(INTEROP))
    test = getattr(importlib.import_module(file.removesuffix(".py")), name)
    marks = list(getattr(test, "pytestmark", []))
    for mark in list(marks):
        if mark.name == "parametrize":
            marks += [inner for value in mark.args[1] for inner in getattr(value, "marks", ())]
    return frozenset(program for mark in marks if mark.name == "interop" for program in mark.args)


def faults(row: dict[str, Any]) -> list[str]:
    """Say what is wrong with a row."""
    said = []
    for daemon, program in DAEMONS.items():
        cell = row.get(daemon)
        if not cell:
            said.append(f"{row['name']}: {daemon} is left out")
        elif isinstance(cell, str):
            if not re.match(r"\d+(\.\d+)+: \S.{10,}\.$", cell):
                said.append(f"{row['name']}: {daemon}: a reason is a version and a sentence")
        else:
            for identifier in cell:
                try:
                    about = programs(identifier)
                except (ImportError, AttributeError):
                    said.append(f"{row['name']}: {daemon}: {identifier} does not exist")
                else:
                    if program not in about:
                        said.append(f"{row['name']}: {daemon}: {identifier} is not about it")
    said += [f"{row['name']}: {key} is nothing" for key in row.keys() - DAEMONS.keys() - {"name"}]
    return said


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_a_row_has_no_hole(row: dict[str, Any]) -> None:
    assert faults(row) == []


def test_features_are_distinct() -> None:
    names = [row["name"] for row in ROWS]
    assert len(names) == len(set(names))


def test_every_test_with_a_daemon_stands_in_the_table() -> None:
    named = {
        identifier for row in ROWS for cell in row.values() if isinstance(cell, list) for identifier in cell
    }
    found = set()
    for path in INTEROP.glob("test_*.py"):
        if path.stem not in OURSELVES:
            source = path.read_text(encoding="utf-8")
            found |= {
                f"{path.name}::{name}" for name in re.findall(r"^(?:async )?def (test_\w+)", source, re.M)
            }
    about = {identifier for identifier in found if programs(identifier) & set(DAEMONS.values())}
    assert sorted(about - named) == []


def test_holes_are_found() -> None:
    whole = {"name": "a feature", **dict.fromkeys(DAEMONS, "1.0: does not have it at all.")}
    assert faults(whole) == []
    assert faults({key: value for key, value in whole.items() if key != "frr"}) == [
        "a feature: frr is left out"
    ]
    assert faults({**whole, "frr": "is not able to"}) != []
    assert faults({**whole, "frr": ["test_transports.py::test_nothing"]}) != []
    assert faults({**whole, "frr": ["test_nowhere.py::test_nothing"]}) != []
    assert faults({**whole, "frr": ["test_transports.py::test_link_local_transport"]}) != []
    assert faults({**whole, "quagga": "1.0: does not have it at all."}) != []
