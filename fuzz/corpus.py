"""Inputs as text files: comments, then octets in hexadecimal, so that they can be read in a diff.

`fuzz/corpus/<target>/*.hex` is in git and replayed by the tests: small inputs that reach far, and each one
that has broken something.
"""

from collections.abc import Iterable
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent / "corpus"
# What runs leave behind; not in git.
WORK = Path(__file__).resolve().parent.parent / ".cache" / "fuzz"
_ROW = 40


def files(name: str) -> list[Path]:
    """Return the files in git of the target `name`."""
    return sorted((DIRECTORY / name).glob("*.hex"))


def load(path: Path) -> bytes:
    """Return the octets of a file; raises ValueError where it is not in hexadecimal."""
    lines = path.read_text("utf-8").splitlines()
    return bytes.fromhex(" ".join(line for line in lines if not line.startswith("#")))


def save(path: Path, data: bytes, target: str, comments: Iterable[str] = ()) -> None:
    """Write a file, with the target's name in its first line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [data[at : at + _ROW].hex() for at in range(0, len(data), _ROW)]
    text = "\n".join([f"# target: {target}", *(f"# {line}" for line in comments), *rows])
    path.write_text(text + "\n", "utf-8")


def target_of(path: Path) -> str | None:
    """Return the name of the target that a file is for, None where it does not say."""
    first = path.read_text("utf-8").partition("\n")[0]
    return first.removeprefix("# target:").strip() if first.startswith("# target:") else None
