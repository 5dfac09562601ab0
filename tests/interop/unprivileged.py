"""Commands that run as somebody who may not look into what is root's alone."""

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

# Where this Python lies below a directory that is root's alone, as /root is, it is put there anew: in a
# mount namespace that ends with the process.
OPENED = """\
set -e
prefix=$1 aside=$2 closed=$3; shift 3
mount --bind "$prefix" "$aside"
mount -t tmpfs -o mode=755 tmpfs "$closed"
mkdir -p "$prefix"
mount --bind "$aside" "$prefix"
exec "$@"
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory that others can look into, as pytest's are not."""
    path = Path(tempfile.mkdtemp(prefix="martlet-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def readable(argv: Sequence[str], directory: Path) -> list[str]:
    """Return what runs `argv` with a Python that others can read; `directory` is for what that takes."""
    prefix = Path(sys.base_prefix)
    closed = [each for each in reversed(prefix.parents) if not each.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return list(argv)
    aside = directory / "aside"
    aside.mkdir(exist_ok=True)
    opened = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OPENED, "sh"]
    return [*opened, str(prefix), str(aside), str(closed[0]), *argv]
