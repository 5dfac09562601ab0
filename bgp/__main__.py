"""`python -m bgp`: look at messages, write them, and stand in for ExaBGP."""

import argparse
import os
import sys
from collections.abc import Sequence

from bgp.tools import decode, encode
from bgp.tools.exabgp import options as exabgp


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bgp", description="Tools for BGP messages.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    decode.add_parser(commands)
    encode.add_parser(commands)
    exabgp.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not try to flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
