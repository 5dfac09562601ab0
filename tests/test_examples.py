"""The examples hold what they promise."""

import re
import tomllib
from pathlib import Path

import pytest

from reflector.__main__ import main
from reflector.changes.changing import SET
from reflector.configuration import schema
from reflector.configuration.config import load, loads
from reflector.configuration.matching import MATCH
from reflector.configuration.policies import TERM

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_full_configuration_is_good() -> None:
    configuration = load(str(EXAMPLES / "reflector.toml"))
    assert configuration.warnings == ()
    assert len(configuration.listen_ranges) == 2
    assert len(configuration.neighbors) == 3


def test_the_full_configuration_is_full_and_good_with_all_of_it() -> None:
    text = (EXAMPLES / "reflector.toml").read_text()
    whole, count = re.subn(r"^#(?=[a-z_]+ = )", "", text, flags=re.M)
    assert count > 40
    # Every group serves somebody, so that contradictions between its keys are found.
    for number, group in enumerate(re.findall(r"^\[group\.(\w+)\]", whole, flags=re.M)):
        whole += f'\n[[neighbor]]\naddress = "203.0.113.{number}"\ngroup = "{group}"\n'
    loads(whole)
    assert whole.isascii()
    for name, rows in schema.TABLES.items():
        peers = r"group\.\w+|\[neighbor\]|\[listen_range\]"
        heading = (
            peers if name in ("group", "neighbor", "listen_range") else rf"{name}(?:\.[\w-]+)?|\[{name}\]"
        )
        tables = re.findall(rf"^\[(?:{heading})\]\n(.*?)(?=^\[|\Z)", whole, flags=re.M | re.S)
        keys = set(re.findall(r"^([a-z_]+) = ", "\n".join(tables), flags=re.M))
        keys |= set(re.findall(rf"^\[\[{name}\.[\w-]+\.(\w+)\]\]", whole, flags=re.M))
        assert {row.name for row in rows} <= keys, name


def test_the_command_prints_the_full_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """The package has it as a link, which becomes a file in what is built."""
    assert main(["example"]) == 0
    assert capsys.readouterr().out == (EXAMPLES / "reflector.toml").read_text()
    built = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    assert "example.toml" in built["reflector"]


def test_the_full_configuration_has_every_word_of_policy() -> None:
    words = set(re.findall(r"([a-z_]+) = ", (EXAMPLES / "reflector.toml").read_text()))
    assert {row.name for rows in (TERM, MATCH, SET) for row in rows} | {"prefix", "any", "not"} <= words


@pytest.mark.parametrize(
    "row",
    [row for rows in (*schema.TABLES.values(), TERM, MATCH, SET) for row in rows],
    ids=lambda row: row.name,
)
def test_every_key_says_what_it_is(row: schema.Key) -> None:
    assert row.text[0].islower()
    assert not row.text.endswith(".")
