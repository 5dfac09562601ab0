"""Long answers go through a pager where somebody looks at a terminal, and are asked for as he reads."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends by itself where all fits on the screen, and neither breaks nor wraps what has color.
_PAGER, _LESS = "less", "FRX"
_paging = False


def is_terminal() -> bool:
    """Whether what is printed is for a terminal, if only behind a pager."""
    return _paging or sys.stdout.isatty()


@contextmanager
def paged() -> Iterator[None]:
    """Let standard output go through the pager, or $PAGER, if it is a terminal; `cat` or nothing is none."""
    global _paging
    words = shlex.split(os.environ.get("PAGER", _PAGER))
    if not sys.stdout.isatty() or not words or words[0] == "cat" or shutil.which(words[0]) is None:
        yield
        return
    environment = {"LESS": _LESS, **os.environ}
    sys.stdout.flush()
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        terminal = os.dup(sys.stdout.fileno())
        os.dup2(process.stdin.fileno(), sys.stdout.fileno())
        process.stdin.close()
        _paging = True
        try:
            yield
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever looked has seen enough; what is not written yet is not for the terminal either.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            sys.stdout.flush()
        finally:
            _paging = False
            os.dup2(terminal, sys.stdout.fileno())
            os.close(terminal)
