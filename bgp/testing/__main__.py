"""The command line: `python -m bgp.testing hostile|peer|replay|simulate|soak`."""

import argparse
import sys

from bgp.testing import replay
from bgp.testing.conformance import command as conformance
from bgp.testing.hostile import soak, trial
from bgp.testing.simulate import command as simulate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bgp.testing", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    modules = {"hostile": trial, "peer": conformance, "replay": replay, "simulate": simulate, "soak": soak}
    for name, module in modules.items():
        module.arguments(commands.add_parser(name, help=module.__doc__, description=module.__doc__))
    options = parser.parse_args(arguments)
    return int(options.act(options))


if __name__ == "__main__":
    sys.exit(main())
