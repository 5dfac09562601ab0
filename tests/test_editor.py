"""The schema for editors takes what the reader takes, and refuses wrong types and keys where that does."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from test_config import VALUES

from reflector.__main__ import main
from reflector.changes.changing import SET
from reflector.configuration import schema
from reflector.configuration.conditions import CONDITIONAL
from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError, Document, Place
from reflector.configuration.editor import json_schema
from reflector.configuration.matching import MATCH
from reflector.configuration.policies import TERM
from reflector.configuration.schema import Key
from reflector.configuration.shapes import shape_of

EXAMPLE = Path(__file__).parent.parent / "examples" / "reflector.toml"
SCHEMA = json_schema()
VALIDATOR = Draft7Validator(SCHEMA)
ROWS = {
    f"{name}.{row.name}": row
    for name, rows in {**schema.TABLES, "term": TERM, "match": MATCH, "set": SET, "if": CONDITIONAL}.items()
    for row in rows
}
# Values of every type of TOML, such as are good somewhere.
_TEXT = """
    x none 7 +10 1-5 a-b off both all internal accept next igp self itself accept-all debug json text always
    from-local-pref med client 0660 /run/x 192.0.2.1 192.0.2.0/24 10.244.0.1/32 2001:db8::1 127.0.0.1:179
    ipv4-unicast 64512:1 1:2:3 rt:1:2 no-export restart provider metrics rr1.example.net 64500 route-refresh
    graceful-shutdown multi_exit_disc
"""
_WORDS = _TEXT.split()
SAMPLES: list[Any] = [
    *(True, False, -1, 0, 1, 3, 30, 255, 300, 65535, 65536, 4294967295, 4294967296, 1 << 62, 0.5, 1.5),
    *("", *_WORDS),
    *([], [[]], [{}], [True], [1], [64512], ["x", 1], ["igp", "egp"], ["itself", "2001:db8::/32"], ["med"]),
    *([word] for word in _WORDS),
    *([{"routes": "p", "if": "c"}], [{"med": 5, "protocols": ["static", 4]}], [{"cost": 5}]),
    *(
        {},
        {"x": 1},
        {"ipv4-unicast": 5},
        {"ipv4-unicast": "both"},
        {"ipv4-unicast": True},
        {"ipv5-unicast": 5},
    ),
    *(
        {"ipv6-unicast": "2001:db8::1"},
        {"file": "/run/x"},
        {"env": "X"},
        {"file": "/x", "env": "X"},
        {"path": ""},
    ),
    {"key": "x", "send_id": 1, "receive_id": 2},
    {"key": {"env": "X"}, "send_id": 1, "receive_id": 2},
    {"key": "x", "send_id": 1},
    {"key": "x", "send_id": 1, "receive_id": 2, "algorithm": "md5"},
    *(
        {"identifier": 64500, "members": [65001]},
        {"identifier": 64500},
        {"identifier": 1, "members": [], "x": 1},
    ),
    *({"families": True, "time": 120}, {"families": ["ipv4-unicast"], "long_lived": 3600}, {"tine": 5}),
    *({"10.244.0.0/16": "always"}, {"10.244.0.0/16": 5}, {"asn": 1, "address": "192.0.2.1"}, {"asn": 1}),
    date(2024, 1, 1),
]
# What a reader says of a value of another type, of another key, or beyond the bounds of a number.
_BY_SHAPE = re.compile(
    r"must be |there is no such key|^\S+ is out of range|^has no |says both file|does not say where"
)


def read(row: Key, value: object) -> list[str]:
    """Return what the reader says of a value."""
    document = Document("", {}, {})
    result = row.read(value, Place(document, ("table", row.name)))
    found = [problem.what for problem in document.problems]
    assert (result is None) is bool(found) or found
    return found


# What these hold is read later.
@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"term.match", "term.set"}))
def test_reader_and_shape_agree_about_types_and_keys(name: str) -> None:
    row = ROWS[name]
    assert shape_of(row.read)
    validator = Draft7Validator(shape_of(row.read))
    Draft7Validator.check_schema(shape_of(row.read))
    taken = 0
    for value in SAMPLES:
        said = read(row, value)
        wrong = isinstance(value, date) or not validator.is_valid(value)
        if not said:
            assert not wrong, (name, value)
            taken += 1
        elif any(_BY_SHAPE.search(each) for each in said):
            assert wrong, (name, value, said)
    assert taken, "none of the samples is good"


def test_the_schema_is_one_and_takes_the_example() -> None:
    Draft7Validator.check_schema(SCHEMA)
    text = EXAMPLE.read_text()
    whole = re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.M)
    for each in (text, whole):
        assert list(VALIDATOR.iter_errors(tomllib.loads(each))) == []


def test_every_key_is_explained_to_editors() -> None:
    tables = SCHEMA["properties"]
    assert tables.keys() == schema.TABLES.keys()
    for name, rows in schema.TABLES.items():
        shape = tables[name]
        shape = shape.get("items", shape)
        shape = shape if "properties" in shape else shape["additionalProperties"]
        for row in rows:
            assert shape["properties"][row.name]["description"] == row.text


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


HEAD = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n'
PEER = '[[neighbor]]\naddress = "192.0.2.2"\nclient = true\n'
POLICY = "[policy.p]\n[[policy.p.term]]\n"
# Where the fault is, as a path, in files that have one.
BAD: list[tuple[str, list[str | int]]] = [
    ("", []),
    ("[router]\nasn = 1\n", ["router"]),
    (HEAD + "colour = 1\n", ["router"]),
    (HEAD + "[rooter]\n", []),
    (HEAD + "[group.a]\nhold_time = 1\n", ["group", "a", "hold_time"]),
    (HEAD + "[group.a]\ncleint = true\n", ["group", "a"]),
    (HEAD + "[group]\nclient = true\n", ["group", "client"]),
    (HEAD + "[[group]]\n", ["group"]),
    (HEAD + "[neighbor]\n", ["neighbor"]),
    (HEAD + PEER + PEER + "port = 0\n", ["neighbor", 1, "port"]),
    (HEAD + PEER + "password = {fiel = '/x'}\n", ["neighbor", 0, "password"]),
    (HEAD + PEER + "conditional = [{routes = 'p'}]\n", ["neighbor", 0, "conditional", 0]),
    (HEAD + "[[listen_range]]\nclient = true\n", ["listen_range", 0]),
    (HEAD + "[communities]\na = 5\n", ["communities", "a"]),
    (HEAD + POLICY + "then = 'accpet'\n", ["policy", "p", "term", 0, "then"]),
    (HEAD + POLICY + "match = {}\nthen = 'accept'\n", ["policy", "p", "term", 0, "match"]),
    (HEAD + POLICY + "match = {any = [{comunity = '1:1'}]}\n", ["policy", "p", "term", 0, "match", "any", 0]),
    (HEAD + POLICY + "match = {not = {med = true}}\n", ["policy", "p", "term", 0, "match", "not", "med"]),
    (HEAD + POLICY + "set = {local_pref = 'x'}\n", ["policy", "p", "term", 0, "set", "local_pref"]),
    (HEAD + "[guard.g]\nblocks = [{within = '10.0.0.0/8'}]\n", ["guard", "g", "blocks", 0]),
    (HEAD + "[fib]\nredistribute = [{medd = 1}]\n", ["fib", "redistribute", 0]),
    (HEAD + "[http]\nlisten = '127.0.0.1:1'\n", ["http", "listen"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "where"), BAD, ids=range(len(BAD)))
def test_bad_files_are_refused_where_check_refuses_them(text: str, where: list[str | int]) -> None:
    with pytest.raises(ConfigurationError):
        loads(text)
    errors = list(VALIDATOR.iter_errors(tomllib.loads(text)))
    assert where in [list(error.absolute_path) for error in errors]


def _wrong_types() -> Iterator[Any]:
    for line, what, _ in VALUES:
        if re.search("must be (text|true|a (list|number|table|whole))|no such key|out of range", what):
            yield pytest.param(line, id=line[:40])


@pytest.mark.parametrize("line", list(_wrong_types()))
def test_wrong_values_that_check_refuses_by_type(line: str) -> None:
    """The table of the reader's own test: lines of [router], or of a neighbor."""
    router = (
        not VALIDATOR.is_valid(tomllib.loads(HEAD + "\n" + line)) if line.split()[0] not in HEAD else True
    )
    text = HEAD.replace("asn = 64512", "") if line.startswith("asn") else HEAD
    neighbor = not VALIDATOR.is_valid(tomllib.loads(f"{text}{PEER.replace('client = true', '')}{line}"))
    assert router or neighbor
