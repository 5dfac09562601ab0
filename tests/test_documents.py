"""The documents name what is there, and nothing that is not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")
# A file, a module without its suffix, or a folder of ours; a name of something in a module may follow.
OURS = r"(?<![\w./-])((?:bgp|fib|reflector|tests|fuzz|examples|\.ci)/[\w./-]*)"
# Layers that the architecture sets before they are there.
PLANNED = {"fib/follow", "fib/kernel", "fib/"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    for path in re.findall(OURS, text):
        path = path.rstrip(".,:;)")
        module, _, _ = path.rpartition(".") if not path.endswith((".md", ".py", ".toml")) else (path, "", "")
        found = [ROOT / path, ROOT / f"{path}.py", ROOT / f"{module}.py"]
        assert path in PLANNED or any(each.exists() for each in found), f"{name} names {path}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


def test_the_commands_of_the_readme_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in DOCUMENTS:
        for target in re.findall(r"(?:`|^    )make ([a-z]+)", (ROOT / document).read_text(), flags=re.M):
            assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_sections_are_numbered_in_order() -> None:
    numbers = re.findall(r"^## (\d+)\.", (ROOT / "ARCHITECTURE.md").read_text(), flags=re.M)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
