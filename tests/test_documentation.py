"""The documentation is true: its programs run and print what it says, its configurations are good.

A program is a Python block; where a text block follows it before the next one, that is what it prints.
"""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_conformance import ROWS

from reflector.configuration.config import loads

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TIMEOUT = 60.0
PAGES = sorted(DOCS.rglob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(DOCS)}:{self.line}"


def blocks() -> list[Block]:
    return [
        Block(page, page.read_text().count("\n", 0, match.start()) + 1, match[1], match[2])
        for page in PAGES
        for match in _BLOCK.finditer(page.read_text())
    ]


def programs() -> list[tuple[Block, str | None]]:
    """Return the programs with what they print, None where that is not said."""
    all_ = blocks()
    found: list[tuple[Block, str | None]] = []
    for number, block in enumerate(all_):
        if block.language == "python":
            after = all_[number + 1] if number + 1 < len(all_) else None
            told = after is not None and after.language == "text" and after.page == block.page
            found.append((block, after.text if told and after is not None else None))
    return found


@pytest.mark.parametrize(
    ("program", "printed"), programs(), ids=lambda each: str(each) if isinstance(each, Block) else ""
)
def test_programs_run_and_print_what_is_said(program: Block, printed: str | None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program.text],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stdout
    if printed is not None:
        assert done.stdout == printed


@pytest.mark.parametrize("block", [each for each in blocks() if each.language == "toml"], ids=str)
def test_configurations_are_good(block: Block) -> None:
    configuration = loads(block.text)
    assert configuration.warnings == ()


def test_every_page_is_in_the_table_of_contents() -> None:
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())) - {"rfcs.md"}
    assert named == {str(page.relative_to(DOCS)) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_referred_to_exists(page: Path) -> None:
    """Names of ours in the reference, links, and files of the tree."""
    text = page.read_text()
    for name in re.findall(r"^::: ([\w.]+)$", text, flags=re.M):
        parts = name.split(".")
        module = ROOT.joinpath(*parts)
        paths = [module.with_suffix(".py"), module / "__init__.py", module.parent.with_suffix(".py")]
        assert any(path.exists() for path in paths), name
    for target in re.findall(r"\]\(([\w./-]+\.md)\)", text):
        assert (page.parent / target).exists() or target == "rfcs.md", target
    for path in re.findall(r"`((?:examples|fuzz|tests)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path


def test_the_rules_of_the_rfcs_are_all_in_their_table() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        from rfc_table import page
    finally:
        sys.path.pop(0)
    made = page(ROWS)
    rows = [line for line in made.splitlines() if re.match(r"\| [\dA-Z][^|]*\| [A-Za-z /]+ \|", line)]
    rules = [line for line in rows if not line.startswith("| [")]
    assert len([line for line in rules if not line.startswith(("| section", "| RFC"))]) == len(ROWS)
    assert set(re.findall(r"^## RFC (\d+)$", made, flags=re.M)) == {str(row["rfc"]) for row in ROWS}


def test_the_extra_for_it_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(each.startswith("mkdocs-material") for each in extras["docs"])
