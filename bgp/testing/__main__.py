"""The command line: `python -m bgp.testing hostile|soak`."""

import argparse
import sys

from bgp.testing.hostile import soak, trial


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bgp.testing", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in (("hostile", trial), ("soak", soak)):
        module.arguments(commands.add_parser(name, help=module.__doc__, description=module.__doc__))
    options = parser.parse_args(arguments)
    return int(options.act(options))


if __name__ == "__main__":
    sys.exit(main())
