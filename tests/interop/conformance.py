"""The conformance peer against our reflector and four daemons, each in a namespace of its own.

    python -m conformance run --out build/conformance [--only martlet bird ...] [--sessions internal external]
    python -m conformance publish --out build/conformance

`run` writes what it finds as JSON, `publish` makes docs/conformance.md of it, with the daemons side by side.
Both need `PYTHONPATH=.:tests/interop`; `make conformance` knows.
"""

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance_page import publish
from daemons import ROOT, find, why_not
from netns import Network, Node, eventually, ip
from openbgpd import OPENBGPD
from ours import Reflector
from peers import BIRD, FRR, GOBGP, Daemon, Kind, Neighbor, Setup

TARGETS = ("martlet", "bird", "frr", "gobgp", "openbgpd")
SESSIONS = ("internal", "external")
KINDS: dict[str, Kind] = {"bird": BIRD, "frr": FRR, "gobgp": GOBGP, "openbgpd": OPENBGPD}
PROGRAMS = {"martlet": (), **{name: kind.programs for name, kind in KINDS.items()}}
TARGET_AS, TESTER_AS, WITNESS_AS = 65000, 65001, 65002
# These take no session from who has just been refused, for half a minute and then longer: there each case has
# an address of its own, or nearly.
TESTERS = {"openbgpd": 200, "gobgp": 200}
FEW = 8
_FIRST = 30  # the testers' addresses, by their last octet; the witness's is before them


def neighbors(node: Node, session: str, testers: int) -> tuple[Neighbor, ...]:
    """Return all of our addresses as neighbors of the target."""
    internal = session == "internal"
    found = []
    for number in range(testers + 1):
        last = _FIRST - 1 + number
        asn = TARGET_AS if internal else (WITNESS_AS if number == 0 else TESTER_AS)
        found.append(
            Neighbor(f"tester{number}", node.ipv4, f"10.99.0.{last}", asn, passive=True, client=internal)
        )
    return tuple(found)


def start(name: str, node: Node, session: str) -> Any:
    """Start a target and return what knows it."""
    told = neighbors(node, session, TESTERS.get(name, FEW))
    if name == "martlet":
        policy = {} if session == "internal" else {"policy": "accept-all"}
        reflector = Reflector(node, TARGET_AS, told, reporting=False, **policy)
        reflector.start()
        return reflector
    # It has no routes of its own, so nobody need ask GoBGP whether its API is there.
    kind = replace(KINDS[name], originate=lambda daemon: None)
    daemon = Daemon(kind, node, Setup(TARGET_AS, told, graceful_restart=False))
    daemon.start()
    eventually(lambda: node.listening() or not daemon.process or not daemon.process.alive, f"{name} listens")
    return daemon


def addresses(node: Node, testers: int) -> None:
    """Give the testers their addresses."""
    for number in range(testers + 1):
        ip("-n", node.namespace, "address", "add", f"10.99.0.{_FIRST - 1 + number}/24", "dev", "eth0")


def command(target: Node, tester: Node, session: str, json_file: Path, words: Sequence[str]) -> list[str]:
    """Return the conformance peer's command line."""
    testers = ",".join(f"10.99.0.{_FIRST + number}" for number in range(TESTERS.get(target.name, FEW)))
    argv = [sys.executable, "-m", "bgp.testing", "peer", "--target", target.ipv4, "--asn", str(TARGET_AS)]
    argv += ["--local", testers, "--witness", f"10.99.0.{_FIRST - 1}", "--family", "ipv4,ipv6"]
    argv += ["--next-hop-ipv6", tester.ipv6, "--json", str(json_file), *words]
    if session == "external":
        argv += ["--local-as", str(TESTER_AS), "--witness-as", str(WITNESS_AS)]
    return argv


@contextlib.contextmanager
def revived(target: Any) -> Iterator[list[str]]:
    """Start a target again whenever it has died, as its supervisor would; give its last words."""
    deaths: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if not target.process.alive:
                deaths.append(target.process.output()[-4000:])
                with contextlib.suppress(RuntimeError, TimeoutError):  # looked at again, then
                    target.start()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield deaths
    finally:
        over.set()
        thread.join()


def examine(name: str, session: str, directory: Path, words: Sequence[str] = ()) -> dict[str, Any]:
    """Try one target with one kind of session; return the report."""
    with Network((name, "tester"), directory / f"{name}-{session}") as lan:
        addresses(lan["tester"], TESTERS.get(name, FEW))
        out = directory / f"{name}-{session}.json"
        with revived(start(name, lan[name], session)) as deaths:
            done = subprocess.run(
                lan["tester"].command(*command(lan[name], lan["tester"], session, out, words)),
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
        if done.returncode not in (0, 1) or not out.exists():
            raise RuntimeError(f"{name}, {session}: {done.stdout}{done.stderr}{lan.outputs()}")
    found: dict[str, Any] = json.loads(out.read_text())
    return {**found, "version": version(name), "deaths": len(deaths), "last_words": deaths}


def version(name: str) -> str:
    """Return what a target says of its version."""
    if name == "martlet":
        return ""
    program = find(KINDS[name].programs[0])
    assert program is not None
    argv = [*program.argv, "-V" if name == "openbgpd" else "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **program.environment})
    words = (done.stdout + done.stderr).replace("-", " ").split()
    return next((word for word in words if word[0].isdigit()), "")


def run(options: argparse.Namespace) -> int:
    """Try the targets; print a line of each."""
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        if reason := why_not(*PROGRAMS[name]):
            print(f"{name}: {reason}", file=sys.stderr)
            return 2
        for session in options.sessions:
            with tempfile.TemporaryDirectory() as scratch:
                found = examine(name, session, Path(scratch), options.words)
            (options.out / f"{name}-{session}.json").write_text(json.dumps(found, indent=1) + "\n")
            counts = ", ".join(f"{count} {what}" for what, count in found["counts"].items() if count)
            print(
                f"{name:9} {session:9} {found['seconds']:6.0f} s  {counts}; died {found['deaths']} times",
                flush=True,
            )
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("what", choices=("run", "publish"))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "conformance")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--sessions", nargs="+", choices=SESSIONS, default=SESSIONS)
    parser.add_argument("--words", type=shlex.split, default=(), help="further arguments of the peer, in one")
    options = parser.parse_args(arguments)
    if options.what == "publish":
        for path in publish(options.out, ROOT):
            print(path.relative_to(ROOT))
        return 0
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
