"""`python -m bgp exabgp`: its command line."""

import argparse
import asyncio
import shlex
import subprocess
import sys
from typing import Any

from bgp.tools.exabgp import settings


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "exabgp",
        help="stand in for ExaBGP: its text API in, its JSON out",
        description="Take ExaBGP's text API on standard input and print its JSON, of version 5.",
        epilog="Exit status: 0, 1 where the commands could not be read on, 2 for wrong settings.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("file", nargs="?", help="TOML with asn, router_id and [[neighbor]] tables")
    one = parser.add_argument_group("without a file, one neighbor")
    one.add_argument("--asn", type=int, help="our AS number")
    one.add_argument("--router-id", help="our BGP Identifier, as an IPv4 address")
    one.add_argument("--neighbor", metavar="ADDRESS", help="whom to dial")
    one.add_argument("--peer-as", type=int, help="the neighbor's AS number (ours)")
    one.add_argument("--port", type=int, help="the neighbor's port (179)")
    one.add_argument("--local-address", metavar="ADDRESS", help="from where to dial")
    one.add_argument("--add-path", action="store_true", help="several paths to a prefix (RFC 7911)")
    parser.add_argument(
        "--run",
        metavar="COMMAND",
        dest="program",
        help="talk to this program's output and input, as ExaBGP does",
    )
    parser.add_argument("--no-ack", action="store_true", help="do not answer done or error")
    parser.add_argument("--stay", action="store_true", help="keep the sessions when the commands end")


def run(options: argparse.Namespace) -> int:
    """Serve until the commands end, or for ever, and return the exit status."""
    # Who decodes a message need not load all this.
    from bgp.tools.exabgp import shim

    try:
        chosen = settings.load(options.file) if options.file else settings.settings(_document(options))
    except (ValueError, OSError) as error:
        print(f"python -m bgp exabgp: {error}", file=sys.stderr)
        return 2
    if options.program is None:
        return asyncio.run(shim.serve(chosen, 0, 1, acknowledge=not options.no_ack, stay=options.stay))
    with subprocess.Popen(
        shlex.split(options.program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        status = asyncio.run(
            shim.serve(
                chosen,
                child.stdout.fileno(),
                child.stdin.fileno(),
                acknowledge=not options.no_ack,
                stay=options.stay,
            )
        )
        child.terminate()
        return status


def _document(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a file with the same settings would hold."""
    for name, value in (
        ("--asn", options.asn),
        ("--router-id", options.router_id),
        ("--neighbor", options.neighbor),
    ):
        if value is None:
            raise ValueError(f"{name} is missing; give it, or a file")
    neighbor = {
        "address": options.neighbor,
        "asn": options.asn if options.peer_as is None else options.peer_as,
        "port": options.port,
        "local_address": options.local_address,
        "add_path": options.add_path,
    }
    given = {name: value for name, value in neighbor.items() if value is not None}
    return {"asn": options.asn, "router_id": options.router_id, "neighbor": [given]}
