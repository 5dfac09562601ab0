"""`reflector top`: a running service in a terminal, live."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from reflector.control.protocol import default_path

FAILED = 1


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `reflector`."""
    parser = commands.add_parser("top", help="watch a running service in this terminal")
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="by default 1")
    parser.add_argument("--socket", type=Path, help="where the service answers, if not at its usual place")
    colors = parser.add_mutually_exclusive_group()
    colors.add_argument("--light", action="store_const", const=True, help="for a light terminal")
    colors.add_argument("--dark", action="store_const", const=False, dest="light", help="for a dark terminal")


def run(options: argparse.Namespace) -> int:
    """Show the service until `q` is pressed; return the exit status."""
    if importlib.util.find_spec("textual") is None:
        print("reflector: top needs textual: pip install 'martlet[top]'", file=sys.stderr)
        return FAILED
    if not options.every > 0:
        print("reflector: --every: must be above 0", file=sys.stderr)
        return FAILED
    from reflector.top.app import Top

    light = is_light(os.environ.get("COLORFGBG", "")) if options.light is None else options.light
    Top(options.socket or default_path(), options.every, light=light).run()
    return 0


def is_light(colors: str) -> bool:
    """Whether a terminal that says this in COLORFGBG is a light one; most say nothing, and are dark."""
    background = colors.rpartition(";")[2]
    return background in ("7", "15")
