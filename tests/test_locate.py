"""Every key of a TOML document is found at its line, whatever the layout."""

import tomllib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflector.configuration.locate import Path, lines


def test_second_table_of_a_list() -> None:
    text = '[[neighbor]]\naddress = "192.0.2.1"\n\n[[neighbor]]\n# a comment\naddress = "192.0.2.2"\n'
    found = lines(text)
    assert found["neighbor", 0, "address"] == 2
    assert found["neighbor", 1, "address"] == 6
    assert found["neighbor", 1] == 4


def test_dotted_keys_and_headers() -> None:
    text = 'router.asn = 1\nrouter.listen = [\n  "a", # "b",\n  "c",\n]\n'
    text += '[group.a]\nx.y = 1\n["group"."b.c"]\nx = 1\n'
    found = lines(text)
    assert found["router",] == 1
    assert found["router", "listen"] == 2
    assert (found["router", "listen", 0], found["router", "listen", 1]) == (3, 4)
    assert found["group", "a", "x", "y"] == 7
    assert found["group", "b.c", "x"] == 9


def test_inline_tables() -> None:
    text = 'neighbor = [\n  {address = "}", group = "a"},\n'
    text += '  {address = "]", add_path = {ipv4-unicast = "send"}},\n]\n'
    found = lines(text)
    assert found["neighbor", 0, "group"] == 2
    assert found["neighbor", 1, "add_path", "ipv4-unicast"] == 3


def test_tables_below_a_list_belong_to_its_last_element() -> None:
    found = lines("[[a]]\n[a.b]\nx = 1\n[[a]]\n[[a.c]]\ny = 1\n[[a.c]]\n[a.c.d]\nz = 1\n")
    assert found["a", 0, "b", "x"] == 3
    assert found["a", 1, "c", 0, "y"] == 6
    assert found["a", 1, "c", 1, "d", "z"] == 9


def test_strings_of_several_lines() -> None:
    text = 'a = """\n[b]\nc = 1 # "\n\\""""""\nd = \'\'\'\n" \'\' \n\'\'\'\'\ne = 1\r\nf = ""\r\ng = \'\'\n'
    assert lines(text) == {("a",): 1, ("d",): 5, ("e",): 8, ("f",): 9, ("g",): 10}
    assert lines(text).keys() == {(key,) for key in tomllib.loads(text)}


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment", "a = 1", "a = 2024-01-01 10:00:00 # x", "a=[]"]
)
def test_edges(text: str) -> None:
    assert set(lines(text)) == set(_paths(tomllib.loads(text)))


def test_many_neighbors_take_no_time() -> None:
    text = "".join(f'[[neighbor]]\naddress = "192.0.2.{n}"\ngroup = "nodes"\n' for n in range(5000))
    assert lines(text)["neighbor", 4999, "group"] == 15000


# --- Any document ----------------------------------------------------------------------------------------


@dataclass
class _Writer:
    """Writes a document in a random layout and notes where it put each key."""

    draw: st.DrawFn
    text: str = ""
    places: dict[Path, int] = field(default_factory=dict)
    names: int = 0

    def put(self, text: str) -> None:
        self.text += text

    def note(self, path: Path) -> None:
        self.places.setdefault(path, self.text.count("\n") + 1)

    def choose(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def space(self) -> None:
        self.put(self.choose("", " ", "\t "))

    def end(self) -> None:
        self.put(self.choose("\n", " # x = [1\n", "\n\n", "\r\n", "\n # '''\n", "\t\n"))

    def blank(self) -> None:
        """Write what may stand between the elements of an array."""
        self.put(self.choose("", " ", "\n", "# ]\n", "\n\n  "))

    def name(self) -> str:
        self.names += 1
        return f"{self.choose('a', 'b-', '_', 'é.', '#', 'x = 1', '[', chr(34))}{self.names}"

    def key(self, path: Path) -> Path:
        """Write a key under `path` of one or two parts; return the path that it names."""
        for part in range(self.draw(st.integers(1, 2))):
            if part:
                self.space()
                self.put(".")
                self.space()
            name = self.name()
            path = (*path, name)
            self.note(path)
            bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
            quoted = ['"' + name.replace('"', '\\"') + '"', f"'{name}'"]
            self.put(name if bare and self.draw(st.booleans()) else quoted[self.draw(st.integers(0, 1))])
        return path

    def pair(self, path: Path, depth: int = 0) -> None:
        path = self.key(path)
        self.space()
        self.put("=")
        self.space()
        self.value(path, depth)

    def value(self, path: Path, depth: int) -> None:
        shape = self.draw(
            st.sampled_from(["scalar", "string", "array", "table"] if depth < 3 else ["scalar"])
        )
        if shape == "scalar":
            self.put(
                self.choose(
                    "1", "-0.5", "true", '""', "''", '"\\"]},#"', "'\\'", "1979-05-27 07:32:00", "1_0"
                )
            )
        elif shape == "string":
            self.put(self.choose('"""\n[x]\ny=1"\n""""', "'''\n\n#'''", '""""""', '"""\\"" """', "''''x'''"))
        elif shape == "array":
            self.put("[")
            count = self.draw(st.integers(0, 3))
            for index in range(count):
                self.blank()
                self.note((*path, index))
                self.value((*path, index), depth + 1)
                self.blank()
                if index + 1 < count or self.draw(st.booleans()):
                    self.put(",")
            self.blank()
            self.put("]")
        else:
            self.put("{")
            for index in range(self.draw(st.integers(0, 3))):
                self.put("," if index else "")
                self.space()
                self.pair(path, depth + 1)
                self.space()
            self.put("}")

    def body(self, path: Path) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.space()
            self.pair(path)
            self.end()

    def table(self, within: Path, header: list[str]) -> None:
        self.note((*within, "t"))
        self.put(f"[{' . '.join([*header, 't'])}]")
        self.end()
        self.body((*within, "t"))

    def document(self) -> None:
        self.body(())
        for _ in range(self.draw(st.integers(0, 2))):
            list_name = f"list{self.names}"
            self.names += 1
            for index in range(self.draw(st.integers(1, 3))):
                self.space()
                self.note((list_name,))
                self.note((list_name, index))
                self.put(f"[[{list_name}]]")
                self.end()
                self.body((list_name, index))
                if self.draw(st.booleans()):
                    self.table((list_name, index), [list_name])
        if self.draw(st.booleans()):
            self.note(("g",))
            self.table(("g",), ["g"])


@st.composite
def _documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    writer = _Writer(draw)
    writer.document()
    return writer.text, writer.places


def _paths(value: object, path: Path = ()) -> list[Path]:
    inner: list[Path] = [path] if path else []
    if isinstance(value, dict):
        for key, element in value.items():
            inner += _paths(element, (*path, key))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            inner += _paths(element, (*path, index))
    return inner


@given(_documents())
def test_any_layout(document: tuple[str, dict[Path, int]]) -> None:
    text, places = document
    assert set(_paths(tomllib.loads(text))) == set(places), "the test wrote something else than it meant"
    assert lines(text) == places
