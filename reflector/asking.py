"""The commands that ask a running service, or tell it what to do, over its control socket."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

from reflector.control.client import Unanswered, ask
from reflector.control.protocol import usual_path
from reflector.control.remote import TOKEN_FILE, URL, remote
from reflector.report.catalog import QUESTIONS, Question, Sort
from reflector.show import columns, details, messages, tables
from reflector.show.pager import paged

Row = dict[str, Any]
Parsers = Any  # what argparse returns for subcommands has no public name

# The exit status where the service did not answer, or could not.
UNANSWERED = 3
# The one for a command line that is wrong, as argparse has it.
MISUSED = 2
# The one where it did, and something is not as it should be.
UNWELL = 1
# Seconds that a probe waits for an answer; everybody else waits as long as it takes.
PROBE = 10.0


def _table(found: tuple[columns.Column, ...], what: str) -> Callable[[Iterator[Row]], None]:
    def show(rows: Iterator[Row]) -> None:
        count = tables.write(found, rows)
        print(f"{count} {what}{'' if count == 1 else 's'}")

    return show


def _details(lines: Callable[[Row], Iterator[tuple[str, str]]]) -> Callable[[Iterator[Row]], None]:
    def show(rows: Iterator[Row]) -> None:
        for row in rows:
            details.write(lines(row))

    return show


def _log(rows: Iterator[Row]) -> None:
    for row in rows:
        more = f" ({row['suppressed']} like this suppressed)" if "suppressed" in row else ""
        print(f"{details.clock(row['time'])} {row['level']:<8} {row['text']}{more}")
        if "exception" in row:
            print(row["exception"])


def _explain(rows: Iterator[Row]) -> None:
    for row in rows:
        print(details.explained(row))


def _fib(rows: Iterator[Row]) -> None:
    """Show totals, or one prefix, or a table of many."""
    listed = []
    for row in rows:
        if "wanted" not in row or "text" in row:
            listed.append(row)
            break
        details.write(details.fib(row))
    if not listed:
        return
    more = list(islice(rows, 1))
    if "text" in listed[0] and not more:
        print(listed[0]["text"])
    else:
        _table(columns.FIB, "route")(chain(listed, more, rows))


def _monitor(rows: Iterator[Row]) -> None:
    for row in rows:
        match row["event"]:
            case "RouteEvent":
                path = row.get("path") or {}
                said = f" from {path['peer'] or 'ourselves'}, next hop {path['next_hop']}" if path else ""
                line = f"{row['prefix']} {row['change']} ({row['reason']}){said}"
            case "PeerChanged":
                line = f"{row['peer']}: {row['what']} {row['state'] or ''} {row['text']}".rstrip()
            case "InSync":
                line = "--- what follows are changes"
            case "Lagged":
                line = f"--- {row['lost']} changes were too fast for us: all that is there follows"
            case _:
                line = f"--- {row['reason']}: all that is there follows"
        print(line, flush=True)


def _healthy(rows: Iterator[Row]) -> None:
    for row in rows:
        print(row["text"])


def _done(rows: Iterator[Row]) -> None:
    for row in rows:
        print(f"{row['neighbor']}: {row['done']}" + (f" (was {row['was']})" if "was" in row else ""))


def _changes(rows: Iterator[Row]) -> None:
    lines = list(rows)
    for row in lines:
        print(row["change"] + (f": FAILED: {row['failed']}" if "failed" in row else ""))
    if not lines:
        print("nothing has changed")


_SHOWN: dict[str, Callable[[Iterator[Row]], None]] = {
    "status": _details(details.status),
    "neighbors": _table(columns.NEIGHBORS, "neighbor"),
    "neighbor": _details(details.neighbor),
    "routes": _table(columns.ROUTES, "path"),
    "fib": _fib,
    "guards": _table(columns.GUARDS, "neighbor"),
    "claims": _table(columns.CLAIMS, "claim"),
    "groups": _table(columns.GROUPS, "group"),
    "healthy": _healthy,
    "memory": _table(columns.MEMORY, "line"),
    "log": _log,
    "explain": _explain,
    "monitor": _monitor,
    "debug": messages.debug,
    "reload": _changes,
    "add": _changes,
    "change": _changes,
    "remove": _changes,
}
# What stands without a name on the command line.
_POSITIONAL: dict[str, tuple[str, ...]] = {
    "neighbor": ("peer",),
    "routes": ("prefix",),
    "fib": ("prefix",),
    "guards": ("peer",),
    "claims": ("prefix",),
    "explain": ("prefix",),
    "add": ("what", "which", "values"),
    "change": ("what", "which", "values"),
    "remove": ("what", "which"),
}
# Where what is captured goes: to us, not to the service.
_CAPTURE = "capture"
_ON_THEIR_OWN = ("explain", "healthy", "monitor")


def add(commands: Parsers) -> None:
    """Add the commands to the parser of `reflector`."""
    show = commands.add_parser("show", help="show what a running service does")
    shown = show.add_subparsers(dest="report", required=True, metavar="WHAT")
    for name, question in QUESTIONS.items():
        if question.changes or name in _ON_THEIR_OWN:
            _parser(commands, question)
        else:
            _parser(shown, question, ("summary",) if name == "status" else ())


def _parser(commands: Parsers, question: Question, aliases: tuple[str, ...] = ()) -> None:
    parser = commands.add_parser(question.name, help=question.text, aliases=aliases)
    parser.set_defaults(asked=question.name)
    positional = _POSITIONAL.get(question.name, ("peer",) if question.changes else ())
    for argument in question.arguments:
        option = f"--{argument.name.replace('_', '-')}"
        if argument.name in positional:
            several = argument.sort is Sort.VALUES
            parser.add_argument(
                argument.name,
                metavar="KEY=VALUE" if several else argument.name.upper(),
                nargs="*" if several else None if argument.required else "?",
                help=argument.text,
            )
        elif argument.sort is Sort.FLAG:
            parser.add_argument(option, action="store_true", default=None, help=argument.text)
        else:
            parser.add_argument(option, metavar=argument.name.upper(), help=argument.text)
    if question.name == _CAPTURE:
        parser.add_argument("file", metavar="FILE.pcap", nargs="?", help="where to, - for standard output")
    parser.add_argument("--json", action="store_true", dest="as_json", help="a line of JSON for each row")
    parser.add_argument("--socket", type=Path, help="where the service answers, if not at its usual place")
    parser.add_argument("--url", help=f"ask over HTTP: https://HOST:PORT; by default {URL}, if there is one")
    parser.add_argument("--token-file", type=Path, help=f"the file with the token; by default {TOKEN_FILE}")
    parser.add_argument("--ca", type=Path, help="the file with the authorities to believe, in PEM")


def run(options: argparse.Namespace) -> int:
    """Ask, print the answer, and return the exit status."""
    question = QUESTIONS[options.asked]
    if question.name == _CAPTURE and not (options.file or options.as_json):
        print("reflector: capture: name a FILE.pcap, - for standard output, or --json", file=sys.stderr)
        return MISUSED
    given = {argument.name: getattr(options, argument.name) for argument in question.arguments}
    patience = PROBE if question.name == "healthy" else None
    status = 0

    def asked() -> Iterator[Row]:
        away = remote(options.url, options.token_file, options.ca) if options.socket is None else None
        if away is not None:
            return away.ask(question.name, given, changes=question.changes, timeout=patience)
        return ask(options.socket or usual_path(), question.name, given, patience)

    def heard() -> Iterator[Row]:
        nonlocal status
        for row in asked():
            failed = question.changes and ("failed" in row or row.get("sent") is False)
            if failed or row.get("well") is False:
                status = UNWELL
            yield row

    try:
        rows = heard()
        if options.as_json:
            for row in rows:
                print(json.dumps(row), flush=question.endless)
        elif question.name == _CAPTURE:
            messages.Capturing(options.file)(rows)
        else:
            with nullcontext() if question.endless or question.changes else paged():
                _SHOWN.get(question.name, _done)(rows)
        sys.stdout.flush()
    except Unanswered as error:
        print(f"reflector: {error}", file=sys.stderr)
        return UNANSWERED
    except BrokenPipeError:
        # Whoever read has seen enough; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"reflector: {error.filename}: {error.strerror}", file=sys.stderr)
        return UNWELL
    except KeyboardInterrupt:
        return 130
    return status
