"""`python -m bgp encode`: the inverse of `decode --json`; lines of JSON in, lines of hexadecimal out.

Each line is answered at once.  One that is no message is answered by an empty line, so that answers and
questions stay in step, and by a sentence on standard error: line, key, what is wrong and what to write.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import BinaryIO, TextIO

from bgp.iana import EXTENDED_MESSAGE_LENGTH, MAXIMUM_MESSAGE_LENGTH
from bgp.tools import build, decode, reading
from bgp.tools.attribute_form import Unfit

# What the longest message can be as JSON, and then some.
MAXIMUM_LINE = 1 << 23


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "encode",
        help="write messages from what decode --json shows",
        description="Write BGP messages in hexadecimal, one for each line of JSON as decode shows it.",
        epilog="Exit status: 0, 1 where a line was no message or a file could not be read, "
        "2 for a wrong command line.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("file", nargs="?", default="-", help="lines of JSON (standard input)")
    # decode's command line with its options, so that one set of them goes both ways.
    decode.add_session(
        parser.add_argument_group(
            "the session",
            "As for decode. Only the first two make a difference here: JSON tells the rest itself.",
        )
    )


def run(options: argparse.Namespace) -> int:
    """Encode the input to standard output and return the exit status."""
    maximum = EXTENDED_MESSAGE_LENGTH if options.extended else MAXIMUM_MESSAGE_LENGTH
    if options.file == "-":
        return encode(sys.stdin.buffer, sys.stdout, sys.stderr, options.two_octet_as, maximum)
    try:
        with Path(options.file).open("rb") as stream:
            return encode(stream, sys.stdout, sys.stderr, options.two_octet_as, maximum)
    except OSError as error:
        print(f"{options.file}: {error.strerror or error}", file=sys.stderr)
        return 1


def encode(stream: BinaryIO, out: TextIO, complaints: TextIO, two_octet_as: bool, maximum: int) -> int:
    """Answer each line of JSON by one of hexadecimal; return 1 where one could not be, else 0."""
    status = 0
    for number, line in enumerate(reading.lines(stream, MAXIMUM_LINE), 1):
        try:
            octets = build.message(_parsed(line), two_octet_as, maximum)
        except Unfit as error:
            octets = b""
            complaints.write(f"line {number}: {str(error).removeprefix(': ')}\n")
            complaints.flush()
            status = 1
        out.write(octets.hex() + "\n")
        out.flush()
    return status


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except RecursionError:
        raise Unfit("", "is nested too deeply", "write a message as decode shows it") from None
    except ValueError as error:
        raise Unfit("", f"is no JSON: {error}", "write one object a line, as decode shows it") from None
