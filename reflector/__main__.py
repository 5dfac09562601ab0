"""The command `reflector`, also `python -m reflector`."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reflector import asking, top
from reflector.running.hangup import Hangup
from reflector.version import version

if TYPE_CHECKING:
    from reflector.configuration.config import Configuration
    from reflector.configuration.document import Problem

# Exit statuses: the configuration is at fault, or this machine does not let us run.
REFUSED, FAILED = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    # Keys with values may stand behind options, too, which argparse does not see.
    if more and not (hasattr(options, "values") and all("=" in each and each[0] != "-" for each in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        options.values += more
    match options.command:
        case "check":
            return _check(options.file)
        case "run":
            return _run(options.file, options.user)
        case "example":
            return _example()
        case "schema":
            return _schema()
        case "demo":
            return _demo(options.seconds, options.plain)
        case "top":
            return top.run(options)
        case _:
            return asking.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reflector", description="A BGP route reflector.")
    parser.add_argument("--version", action="version", version=f"reflector {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="reflect routes as a configuration file says")
    run.add_argument("file", metavar="CONFIG.toml")
    run.add_argument("--user", help="become this user; by default the one in [router] user, if any")
    check = commands.add_parser("check", help="say what is wrong with a configuration file")
    check.add_argument("file", metavar="CONFIG.toml")
    commands.add_parser("example", help="print a configuration file with every key, and what each means")
    commands.add_parser("schema", help="print a JSON Schema of configuration files, for editors")
    asking.add(commands)
    top.add(commands)
    demo = commands.add_parser("demo", help="show a reflector and some clients at work, all on loopback")
    demo.add_argument("--seconds", type=_seconds, help="end after so many seconds; otherwise Ctrl-C ends it")
    demo.add_argument("--plain", action="store_true", help="print lines, even on a terminal")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e9:
        raise ValueError
    return seconds


def _load(file: str) -> "Configuration | None":
    """Return the configuration, or None after saying what is wrong with it."""
    # The commands that only ask do without all that a configuration takes.
    from reflector.configuration.config import load
    from reflector.configuration.document import ConfigurationError

    try:
        configuration = load(file)
    except ConfigurationError as error:
        _report(error.problems, "error")
        count = len(error.problems)
        print(f"{file}: {count} error{'s' if count > 1 else ''}, nothing was applied", file=sys.stderr)
        return None
    return configuration


def _report(problems: "Sequence[Problem]", kind: str) -> None:
    for problem in problems:
        print(f"{kind}: {problem}", file=sys.stderr)


def _check(file: str) -> int:
    configuration = _load(file)
    if configuration is None:
        return REFUSED
    _report(configuration.warnings, "warning")
    from reflector.running.room import shortages

    for shortage in shortages(configuration):
        print(f"warning: this machine: {shortage}", file=sys.stderr)
    print(f"{file}: good: {configuration.summary}")
    return 0


def _example() -> int:
    from importlib.resources import files

    sys.stdout.write(files("reflector").joinpath("example.toml").read_text("utf-8"))
    return 0


def _schema() -> int:
    import json

    from reflector.configuration.editor import json_schema

    print(json.dumps(json_schema(), indent=1))
    return 0


def _run(file: str, user: str | None) -> int:
    hangup = Hangup()
    # All else is imported behind this, which takes its time.
    from reflector.running import privileges, process, room

    configuration = _load(file)
    if configuration is None:
        return REFUSED
    name = user or configuration.router.user
    if name is not None:
        room.raise_open_files(configuration)
        try:
            changed = privileges.leave_root(configuration, name)
        except (privileges.PrivilegeError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        # So it and its secrets are what a reload will find.
        configuration = _load(file) if changed else configuration
        if configuration is None:
            print(f"{file}: read as the user {name}, as each reload will", file=sys.stderr)
            return REFUSED
    return process.run(configuration, file, hangup)


def _demo(seconds: float | None, plain: bool) -> int:
    from reflector import demo
    from reflector.running.foreground import foreground

    with foreground():
        return demo.run(seconds, plain)


if __name__ == "__main__":
    sys.exit(main())
