"""Take the terminal from a `make` that started us, so that Ctrl-C ends us and not the two of us.

A terminal sends SIGINT to its foreground process group.  `make` is in ours, and would report an error for
a run that ended as it should.  In a group of our own we alone receive it, and `make` sees our exit status.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def foreground() -> Iterator[None]:
    """Be the terminal's foreground process group meanwhile, if `make` started us on a terminal."""
    if "MAKELEVEL" not in os.environ or not sys.stdin.isatty() or os.getpgrp() == os.getpid():
        yield
        return
    terminal = sys.stdin.fileno()
    parent = os.tcgetpgrp(terminal)
    if parent != os.getpgrp():  # we were started in the background
        yield
        return
    # Who is not in the foreground is stopped for writing to the terminal or for taking it.
    ignored = [signal.SIGTTOU, signal.SIGTTIN]
    before = [signal.signal(each, signal.SIG_IGN) for each in ignored]
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    # Stopped by Ctrl-Z we would leave a shell that waits for make, which waits for us.
    before.append(signal.signal(signal.SIGTSTP, signal.SIG_IGN))
    ignored.append(signal.SIGTSTP)
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, parent)
        with contextlib.suppress(OSError):
            os.setpgid(0, parent)
        for each, handler in zip(ignored, before, strict=True):
            signal.signal(each, handler)
