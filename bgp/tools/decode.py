"""`python -m bgp decode`: messages in, whatever they come in; what they say out.

The input is hexadecimal on the command line, or a file: messages one after another, lines of hexadecimal,
a packet capture, or MRT.  With `--json` and no input each line of standard input is one message in
hexadecimal, and is answered by one JSON object on one line at once, so that the command serves as a
co-process; `bgp.tools.json_form` documents the object.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from bgp.family import BY_NAME, FAMILIES, Family
from bgp.iana import BGP_PORT
from bgp.tools import json_form, reading, sources, text_form
from bgp.tools.reading import FormatError, Source
from bgp.tools.sources import Found, Item, Record, Unreadable
from bgp.wire.context import Context
from bgp.wire.framing import MARKER_OCTETS

_EPILOG = """\
Exit status: 0, 1 where a file could not be read to its end, 2 for a wrong command line; messages with
faults are no failure of this command."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "decode",
        help="show what messages say and what is wrong with them",
        description="Show BGP messages from hexadecimal, files of messages, packet captures and MRT files.",
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "input", nargs="*", metavar="FILE|HEX", help="a file, - for standard input, or hexadecimal"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line; without FILE or HEX one for each line of standard input",
    )
    parser.add_argument(
        "--port", type=int, action="append", metavar="N", help=f"TCP port of BGP in captures ({BGP_PORT})"
    )
    add_session(
        parser.add_argument_group("the session", "Captures and MRT files tell most of it themselves.")
    )


def add_session(session: "argparse._ArgumentGroup") -> None:
    """Add the arguments that tell of the session; `encode` has them, too."""
    session.add_argument(
        "--2-octet-as", action="store_true", dest="two_octet_as", help="AS numbers have two octets"
    )
    session.add_argument("--extended", action="store_true", help="messages may have up to 65535 octets")
    session.add_argument("--ibgp", action="store_true", help="the peer is internal")
    session.add_argument(
        "--confederation", action="store_true", help="it is in another AS of our confederation"
    )
    session.add_argument(
        "--families",
        type=_families,
        action="extend",
        metavar="FAMILY[,FAMILY]",
        help="negotiated ones, such as ipv4-unicast (all)",
    )
    session.add_argument(
        "--add-path",
        type=_families,
        action="extend",
        metavar="FAMILY",
        help="NLRI of ipv4-unicast, ipv6-unicast, or of all have path identifiers",
    )
    session.add_argument(
        "--extended-next-hop", action="store_true", help="IPv6 next hops for IPv4 were negotiated"
    )
    session.add_argument("--as-sets", action="store_true", help="accept AS_SET and AS_CONFED_SET")
    session.add_argument(
        "--aigp",
        action=argparse.BooleanOptionalAction,
        help="AIGP is enabled (by default on internal sessions)",
    )
    session.add_argument(
        "--peer-as", type=int, metavar="ASN", help="demand that AS_PATH begins with the AS of the peer"
    )


def _families(text: str) -> tuple[Family, ...]:
    if text == "all":
        return FAMILIES
    unknown = [name for name in text.split(",") if name not in BY_NAME]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(BY_NAME)}, all")
    return tuple(BY_NAME[name] for name in text.split(","))


def context_of(options: argparse.Namespace) -> Context:
    """Return the context that the options give."""
    inside = options.ibgp or options.confederation
    families = frozenset(options.families or FAMILIES)
    return Context(
        internal=options.ibgp,
        confederation=options.confederation and not options.ibgp,
        four_octet_as=not options.two_octet_as,
        families=families,
        add_path=frozenset(options.add_path or ()),
        extended_next_hop=families if options.extended_next_hop else frozenset(),
        extended_messages=options.extended,
        as_sets=options.as_sets,
        # RFC 7311 section 3.3: by default on for internal sessions, off for external ones.
        aigp=inside if options.aigp is None else options.aigp,
        first_as=options.peer_as is not None,
        peer_as=options.peer_as or 0,
    )


def run(options: argparse.Namespace) -> int:
    """Decode the input to standard output and return the exit status."""
    context = context_of(options)
    out = sys.stdout
    if not options.input and options.json:
        answer(sys.stdin.buffer, out, context)
        return 0
    ports = frozenset(options.port or (BGP_PORT,))
    status = 0
    names, digits = _sorted(options.input or ["-"])
    if digits:
        _show(_command_line(digits, context), out, options.json)
    for name in names:
        try:
            with _opened(name) as stream:
                _show(sources.read(Source(stream), context, ports), out, options.json)
        except BrokenPipeError:
            raise  # it is the output's, not the file's
        except (OSError, FormatError) as error:
            out.flush()
            print(f"{name}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
            status = 1
    return status


def answer(stream: BinaryIO, out: TextIO, context: Context) -> None:
    """Answer each line of hexadecimal by one line of JSON, at once."""
    for line in reading.lines(stream, sources.MAXIMUM_LINE):
        for item in sources.hexadecimal((line,), context):
            out.write(json.dumps(_form(item)) + "\n")
        out.flush()


def _sorted(words: list[str]) -> tuple[list[str], list[str]]:
    """Return which of the arguments are files and which are hexadecimal; files win."""
    names, digits = [], []
    for word in words:
        if word != "-" and not os.path.exists(word) and isinstance(sources.from_hexadecimal(word), bytes):
            digits.append(word)
        else:
            names.append(word)
    return names, digits


def _command_line(words: list[str], context: Context) -> Iterator[Item]:
    """Yield the messages in the arguments; one without a marker goes on with what stands before it."""
    texts: list[bytes] = []
    for word in words:
        octets = sources.from_hexadecimal(word)
        assert isinstance(octets, bytes)
        if texts and not octets.startswith(MARKER_OCTETS):
            texts[-1] += octets
        else:
            texts.append(octets)
    for text in texts:
        yield from sources.messages([text], context)


def _opened(name: str) -> BinaryIO:
    return sys.stdin.buffer if name == "-" else Path(name).open("rb")


def _form(item: Item) -> dict[str, Any]:
    match item:
        case Found():
            return {**json_form.read(item.octets, item.context), **item.origin}
        case Unreadable():
            return json_form.no_message(item.text, item.column)
        case Record():
            return item.form


def _show(items: Iterable[Item], out: TextIO, as_json: bool) -> None:
    for item in items:
        form = _form(item)
        if as_json:
            out.write(json.dumps(form) + "\n")
        elif isinstance(item, Found):
            out.writelines(line + "\n" for line in text_form.lines(item.octets, item.context, form))
        elif isinstance(item, Unreadable):
            out.write(f"no message: {item.text}, at character {item.column}\n")
        else:
            out.writelines(line + "\n" for line in text_form.record_lines(form))
