"""A table of a TOML text changed in place: it is read as what was meant, and the rest is untouched."""

import copy
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflector.changes import editing, saving
from reflector.changes.editing import Uneditable
from reflector.changes.overlay import by_identity, carried, identity, merged, tables
from reflector.configuration.config import configured, load, loads
from reflector.configuration.document import parse

# --- Any values, in any surroundings --------------------------------------------------------------------

KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
SCALARS = (
    st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)

# Ways in which a neighbor may stand in a file: all of these have the address 10.0.0.N.
FORMS = (
    '[[neighbor]]\naddress = "10.0.0.N"\n',
    '# about N\n[[neighbor]] # N\n  address = "10.0.0.N" # its address\n\thold_time = 30   # short\n\n',
    '[[neighbor]]\nhold_time = 30\naddress = "10.0.0.N"\n# trailing\n\n# more\n\n',
    '[[ neighbor ]]\naddress = \'10.0.0.N\'\nfamilies = [\n  "ipv4-unicast", # four\n  "ipv6-unicast",\n]\n',
    '[[neighbor]]\naddress = "10.0.0.N"\ngraceful_restart.families = true\ngraceful_restart.long_lived = 5\n',
    '[[neighbor]]\naddress = "10.0.0.N"\n[neighbor.add_path]\nipv4-unicast = "both"\n# end\n',
    '[[neighbor]]\naddress = "10.0.0.N"\nadd_path = {ipv4-unicast = "both"}\nname = """\n[[neighbor]]\n"""\n',
    '[[neighbor]]\n"address" = "10.0.0.N"',
)
OTHERS = (
    "\n",
    "# a comment\n",
    "[group.a]\nclient = true\n",
    '# of b\n[group."b c"]\nhold_time = 3 # three\n\n\n',
    '[[listen_range]]\nprefix = "10.N.0.0/16"\n',
    "[fib]\n",
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a file with some neighbors among other things."""
    pieces = draw(st.lists(st.sampled_from(FORMS + OTHERS), max_size=7))
    text = "[router]\nasn = 64512 # ours\n"
    for number, piece in enumerate(pieces):
        named = piece.replace("N", str(number)).replace("group.a", f"group.a{number}")
        named = named.replace("b c", f"b{number}").replace("[fib]", f"[policy.f{number}]")
        text += ("" if text.endswith("\n") else "\n") + named
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@given(texts(), st.dictionaries(KEYS, VALUES, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_what_comes_out_is_what_was_meant(text: str, values: dict[str, Any], data: st.DataObject) -> None:
    before = tomllib.loads(text)
    neighbors = before.get("neighbor", [])
    whole = {"address": "10.0.9.9", **values}
    text_after = editing.add(text, "neighbor", whole)
    assert tomllib.loads(text_after) == {**before, "neighbor": [*neighbors, whole]}
    # All that was there is there yet, in its order.
    assert _is_within(text, text_after)
    parse(text_after, "rr.toml")
    if neighbors:
        number = data.draw(st.integers(0, len(neighbors) - 1))
        removed = tomllib.loads(editing.remove(text, "neighbor", number))
        left = neighbors[:number] + neighbors[number + 1 :]
        assert removed.pop("neighbor", []) == left
        assert removed == {name: each for name, each in before.items() if name != "neighbor"}
        gone = data.draw(st.sets(st.sampled_from(sorted(neighbors[number]))))
        changes = {**dict.fromkeys(gone), **values}
        wanted = copy.deepcopy(before)
        for name, value in changes.items():
            wanted["neighbor"][number].pop(name, None)
            if value is not None:
                wanted["neighbor"][number][name] = value
        assert tomllib.loads(editing.change(text, "neighbor", number, changes)) == wanted


def _is_within(part: str, whole: str) -> bool:
    """Whether the lines of one text are among those of the other, in their order."""
    lines = iter(whole.splitlines())
    return all(line in lines for line in part.splitlines())


@given(texts(), st.data())
@settings(max_examples=60, deadline=None)
def test_other_lines_stay_as_they_are(text: str, data: st.DataObject) -> None:
    neighbors = tomllib.loads(text).get("neighbor", [])
    if not neighbors:
        return
    number = data.draw(st.integers(0, len(neighbors) - 1))
    after = editing.change(text, "neighbor", number, {"hold_time": 77})
    changed = [line for line in after.splitlines() if line not in text.splitlines()]
    assert len(changed) == 1 and re.match(r"\s*hold_time = 77", changed[0])
    if "hold_time" not in neighbors[number]:
        end = "" if text.endswith("\n") else "\r\n" if "\r\n" in text else "\n"
        assert editing.change(after, "neighbor", number, {"hold_time": None}) in (text, text + end)


def test_what_is_no_table_of_its_own_is_refused() -> None:
    text = 'neighbor = [{address = "10.0.0.1"}]\n[router]\nasn = 1\n'
    for edit in (
        lambda: editing.remove(text, "neighbor", 0),
        lambda: editing.change(text, "neighbor", 0, {"hold_time": 3}),
    ):
        with pytest.raises(Uneditable, match=r"are no \[\[neighbor\]\] tables"):
            edit()
    with pytest.raises(Uneditable, match="TOML has no NoneType"):
        editing.toml([None])


# --- A whole configuration ------------------------------------------------------------------------------

EXAMPLE = Path(__file__).parent.parent / "examples" / "reflector.toml"
CHANGES: dict[str, Any] = {
    "hold_time": 33,
    "passive": True,
    "name": 'a "name" with \\ and ünïcode',
    "families": ["ipv4-unicast"],
    "maximum_prefixes": {"ipv4-unicast": 7},
    "import": "from-edge",
    "idle_hold_time": 2.5,
    "asn": 64999,
}


@given(st.sets(st.sampled_from(sorted(CHANGES))), st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_file_is_read_to_what_was_asked_for(names: set[str], grouped: bool) -> None:
    """What is in force by way of the overlay, and by way of the file, is the same configuration."""
    text = EXAMPLE.read_text()
    document = parse(text, "rr.toml")
    raw = {"address": "198.51.100.77", "asn": 64998, "policy": "accept-all"}
    raw |= {"group": "edge"} if grouped else {}
    raw |= {name: CHANGES[name] for name in names}
    after = editing.add(text, "neighbor", raw)
    assert loads(after, "rr.toml") == configured(document, {identity("neighbor", raw): raw})
    # And the same for one that was there.
    old = document.data["neighbor"][1]  # type: ignore[index]
    changed = {**old, **{name: CHANGES[name] for name in names}}
    edited = editing.change(text, "neighbor", 1, {name: CHANGES[name] for name in names})
    assert loads(edited, "rr.toml") == configured(document, {identity("neighbor", changed): changed})


# --- The overlay ----------------------------------------------------------------------------------------

IDENTITIES = st.sampled_from([f"10.0.0.{number}" for number in range(4)])
RAWS = st.builds(lambda address, time: {"address": address, "hold_time": time}, IDENTITIES, st.integers(3, 6))


def _data(raws: list[dict[str, Any]]) -> dict[str, object]:
    return {"neighbor": list({raw["address"]: raw for raw in raws}.values())} if raws else {}


@given(st.lists(RAWS), st.lists(RAWS), st.lists(st.tuples(RAWS, st.booleans())))
@settings(max_examples=200, deadline=None)
def test_three_ways_meet(
    before: list[dict[str, Any]], after: list[dict[str, Any]], done: list[tuple[dict[str, Any], bool]]
) -> None:
    """Against a plain model: of each neighbor the file's news count first, then what was done at run time."""
    old, new = _data(before), _data(after)
    overlay = {identity("neighbor", raw): None if gone else raw for raw, gone in done}
    kept, words = carried(overlay, old, new)
    document = parse(_text(new), "rr.toml")
    found = by_identity(merged(document, kept).data)
    was, will = by_identity(old), by_identity(new)
    for key in {*was, *will, *overlay}:
        wanted = overlay[key] if key in overlay and was.get(key) == will.get(key) else will.get(key)
        assert found.get(key) == wanted
        said = [line for line in words if f" {key}: " in line]
        assert len(said) == (key in overlay and overlay[key] != will.get(key))
    assert {key for key in kept if kept[key] == will.get(key)} == set()
    # The lines are those of the file, and 0 for what is not in it.
    lines = merged(document, kept).lines
    for number, raw in enumerate(tables(merged(document, kept).data, "neighbor")):
        line = lines["neighbor", number]
        key = identity("neighbor", raw)
        assert (line == 0) is (key in kept)
        if line:
            assert str(raw["address"]) in _text(new).splitlines()[line]


def _text(data: dict[str, Any]) -> str:
    return "".join(
        f'[[neighbor]]\naddress = "{raw["address"]}"\nhold_time = {raw["hold_time"]}\n'
        for raw in data.get("neighbor", [])
    )


# --- The file -------------------------------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "rr.toml"
    file.write_bytes(b"old")
    file.chmod(0o604)
    there = saving.Saving(str(file), b"old", b"new")
    assert file.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2
    there.finish()
    assert file.read_bytes() == b"new" and file.stat().st_mode & 0o777 == 0o604
    assert len(list(tmp_path.iterdir())) == 1
    saving.Saving(str(file), b"new", b"newer").cancel()
    assert file.read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 1


def _changed(file: Path) -> None:
    file.write_bytes(b"other")


def _gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(("spoil", "said"), [(_changed, "has changed meanwhile"), (_gone, "cannot be read")])
def test_what_changes_meanwhile_is_not_overwritten(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    file = tmp_path / "rr.toml"
    file.write_bytes(b"old")
    there = saving.Saving(str(file), b"old", b"new")
    spoil(file)
    with pytest.raises(saving.Unsaved, match=said):
        there.finish()
    assert [each.read_bytes() for each in tmp_path.iterdir()] in ([], [b"other"])
    with pytest.raises(saving.Unsaved, match=said):
        saving.Saving(str(file), b"old", b"new")


def test_a_full_example_may_lose_and_gain_each_neighbor() -> None:
    text = EXAMPLE.read_text()
    before = loads(text)
    for number, raw in enumerate(tomllib.loads(text)["neighbor"]):
        without = editing.remove(text, "neighbor", number)
        left = before.neighbors[:number] + before.neighbors[number + 1 :]
        assert loads(without).neighbors == left
        again = loads(editing.add(without, "neighbor", raw))
        assert again.neighbors == (*left, before.neighbors[number])
    assert load(str(EXAMPLE)) == before
