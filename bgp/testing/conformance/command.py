"""The command `peer`: a conformance peer for any BGP speaker."""

import argparse
import asyncio
import json
import sys
from ipaddress import ip_address
from pathlib import Path

from bgp.family import BY_NAME, Family
from bgp.testing.conformance import cases, select
from bgp.testing.conformance.case import Result, Verdict
from bgp.testing.conformance.report import HEADINGS, as_json, plain, rows, summary, table
from bgp.testing.conformance.run import Misfit, Options, examine


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--target", type=_address, help="the address of the speaker under test")
    parser.add_argument("--asn", type=int, help="its AS number")
    parser.add_argument("--port", type=int, default=179, help="its port (179)")
    parser.add_argument(
        "--local", type=_addresses, default=(), metavar="ADDR[,ADDR...]",
        help="our addresses, each of them a neighbor of the target; with several, cases run at once",
    )  # fmt: skip
    parser.add_argument("--witness", type=_address, help="our address for the second session")
    parser.add_argument(
        "--local-as", type=int, help="our AS number (that of the target: an internal session)"
    )
    parser.add_argument(
        "--witness-as", type=int, help="the witness's (the target's if we are internal, else one more)"
    )
    parser.add_argument(
        "--family", type=_families, default=_families("ipv4"), metavar="FAMILY[,FAMILY]",
        help="ipv4, ipv6 (ipv4)",
    )  # fmt: skip
    for version in (4, 6):
        parser.add_argument(
            f"--next-hop-ipv{version}",
            type=_address,
            default="",
            metavar="ADDR",
            help=f"for IPv{version} routes, where our address will not do",
        )
    parser.add_argument("--password", default="", help="for TCP-MD5 (RFC 2385)")
    parser.add_argument("--passive", action="store_true", help="wait for the target to dial")
    parser.add_argument("--listen-port", type=int, default=179, help="where to wait (179)")
    parser.add_argument(
        "--rules", default="", help="RFCs, sections, groups, cases or CVEs: 7606,4271-6,open,published"
    )
    parser.add_argument("--variants", type=int, default=1, help="drawn messages for each rule besides (1)")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds for an answer (5)")
    parser.add_argument("--reconnect", type=float, default=90.0, help="seconds for a new session (90)")
    parser.add_argument("--all", action="store_true", help="show what conforms as well")
    parser.add_argument("--json", metavar="FILE", help="write all results there; - is standard output")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.set_defaults(act=main)


def _address(text: str) -> str:
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(_address(part) for part in text.split(","))


def _families(text: str) -> tuple[Family, ...]:
    short = {"ipv4": "ipv4-unicast", "ipv6": "ipv6-unicast"}
    try:
        return tuple(BY_NAME[short.get(part, part)] for part in text.split(","))
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"{error.args[0]!r} is neither ipv4 nor ipv6") from None


def main(options: argparse.Namespace) -> int:
    """Try a speaker; return 0 where nothing differs, 1 where something does, 2 where it cannot be tried."""
    words = [word for word in options.rules.split(",") if word]
    try:
        chosen = select(words, options.variants)
    except ValueError as error:
        print(f"--rules: {error}", file=sys.stderr)
        return 2
    if options.list:
        listed = [(case.name, case.group, ", ".join(case.sources), case.text) for case in chosen]
        plain(listed, ("case", "group", "RFC and section", "what is sent"))
        return 0
    for name in ("target", "asn", "local", "witness"):
        if not getattr(options, name):
            print(f"--{name.replace('_', '-')} is needed: see --help", file=sys.stderr)
            return 2
    settings = settings_of(options)
    quiet = options.json == "-"
    try:
        report = asyncio.run(examine(settings, chosen, _quiet if quiet else _tell))
    except Misfit as misfit:
        print(f"cannot try {options.target}: {misfit}", file=sys.stderr)
        return 2
    if options.json:
        text = json.dumps(as_json(report), indent=1)
        if quiet:
            print(text)
        else:
            Path(options.json).write_text(text + "\n")
    if not quiet:
        table(rows(report.results, options.all), HEADINGS)
        print(summary(report))
    return int(any(report.count(verdict) for verdict in (Verdict.DIFFERS, Verdict.DATA, Verdict.UNCLEAR)))


def settings_of(options: argparse.Namespace) -> Options:
    """Return what the arguments say, with what follows from them."""
    local_as = options.local_as or options.asn
    witness_as = options.witness_as or (options.asn if local_as == options.asn else local_as + 1)
    return Options(
        target=options.target,
        asn=options.asn,
        local_as=local_as,
        witness_as=witness_as,
        locals=options.local,
        witness=options.witness,
        port=options.port,
        password=options.password,
        families=options.family,
        next_hop_ipv4=options.next_hop_ipv4,
        next_hop_ipv6=options.next_hop_ipv6,
        passive=options.passive,
        listen_port=options.listen_port,
        patience=options.patience,
        reconnect=options.reconnect,
    )


def _quiet(result: Result) -> None:
    """Say nothing while it runs."""


def _tell(result: Result) -> None:
    """Show on a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{result.case.name}: {result.verdict.value}", end="", file=sys.stderr, flush=True)


__all__ = ["arguments", "cases", "main", "settings_of"]
