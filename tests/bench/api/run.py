"""Run every case of every candidate, in turn, and tell the medians: what `python -m bench api` does."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import ROOT, results
from bench.tables import ASN

ENVIRONMENT = ROOT / ".cache" / "api"
PACKAGES = ("exabgp", "os-ken")
HERE = Path(__file__).parent
# What a case may take, in seconds.
LIMIT = 120.0

Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One library: the command for (case, port, routes, file) in a directory, and what it is about.

    `most`: with more routes its session does not last.
    """

    name: str
    cases: tuple[str, ...]
    argv: Callable[[str, int, int, Path], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    most: int | None = None


OURS, EXABGP, OSKEN = "martlet", "exabgp", "os-ken"
# What is measured, and which case of each candidate's is the nearest to it.
ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    "Announcing one by one": {
        OURS: ("one by one", "turn each", "awaited"),
        EXABGP: ("one by one",),
        OSKEN: ("one by one",),
    },
    "Announcing many at once": {
        OURS: ("together",),
        EXABGP: ("together", "many a line"),
        OSKEN: ("one by one",),
    },
    "Watching": {OURS: ("watch",), EXABGP: ("watch",), OSKEN: ("watch",)},
}
CASES = {
    (OURS, "one by one"): "`announce`, which returns with the route in the table",
    (OURS, "turn each"): "`announce`, and `await asyncio.sleep(0)` before the next",
    (OURS, "awaited"): "`announce` and `await advertised_to(peer)`",
    (OURS, "together"): "`announce` within `async with transaction()`",
    (OURS, "watch"): "`async for event in watch()`",
    (EXABGP, "one by one"): "a command, and its answer is read before the next one",
    (EXABGP, "together"): "all commands in one go, no answers",
    (EXABGP, "many a line"): "`announce attributes ... nlri` with 200 prefixes each, no answers",
    (EXABGP, "watch"): "JSON on standard input, parsed",
    (OSKEN, "one by one"): "`prefix_add`",
    (OSKEN, "watch"): "`best_path_change_handler`",
}


def install(environment: Path = ENVIRONMENT) -> Path:
    """Return the Python of an environment with the others' packages, made if it is not there."""
    python = environment / "bin" / "python"
    done = environment / ".installed"
    if not done.exists():
        print(f"installing {' and '.join(PACKAGES)} into {environment} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        done.touch()
    return python


def versions(python: Path) -> list[str]:
    code = "import importlib.metadata as m, sys\nfor name in sys.argv[1:]: print(name, m.version(name))"
    done = subprocess.run([str(python), "-c", code, *PACKAGES], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


# --- The candidates -------------------------------------------------------------------------------------


def ours() -> Candidate:
    return Candidate(
        OURS,
        ("one by one", "turn each", "awaited", "together", "watch"),
        lambda case, port, routes, file: [
            *(sys.executable, "-m", "bench.api.ours", case, str(port), str(routes), str(file))
        ],
        {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'interop'}"},
    )


def osken(python: Path) -> Candidate:
    return Candidate(
        OSKEN,
        ("one by one", "watch"),
        lambda case, port, routes, file: [
            *(str(python), str(HERE / "osken_program.py"), case, str(port), str(routes), str(file), str(ASN))
        ],
        most=2000,
    )


def exabgp(python: Path) -> Candidate:
    def argv(case: str, port: int, routes: int, file: Path) -> list[str]:
        program = file.parent / "program"
        words = [sys.executable, str(HERE / "exabgp_program.py"), case, str(routes), str(file)]
        program.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + "\n")
        program.chmod(0o755)
        acks = "true" if case == "one by one" else "false"
        configuration = file.parent / "exabgp.conf"
        configuration.write_text(
            f"process program {{ run {program}; encoder json; }}\n"
            "neighbor 127.0.0.1 {\n"
            "  router-id 192.0.2.2; local-address 127.0.0.1; hold-time 240;\n"
            f"  local-as {ASN}; peer-as {ASN}; connect {port};\n"
            "  family { ipv4 unicast; }\n"
            "  api { processes [ program ]; neighbor-changes; receive { parsed; update; } }\n"
            "}\n"
        )
        return ["env", f"exabgp.api.ack={acks}", str(python), "-m", "exabgp", "server", str(configuration)]

    return Candidate(
        EXABGP,
        ("one by one", "together", "many a line", "watch"),
        argv,
        {
            "exabgp.daemon.user": "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody"),
            "exabgp.api.cli": "false",
            "exabgp.log.enable": "false",
        },
    )


# --- One run --------------------------------------------------------------------------------------------


def _plain() -> dict[str, str]:
    """Return our environment, without modules of ours that have the names of theirs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


class Failed(Exception):
    """A case that came to no end."""


def measure(candidate: Candidate, case: str, routes: int, limit: float = LIMIT) -> Figures:
    """Run a case once; return the seconds until all was there, and the UPDATEs that it took."""
    with tempfile.TemporaryDirectory(prefix="bench-api-") as scratch:
        file, log = Path(scratch) / "told", Path(scratch) / "log"
        file.write_text("")
        what = "feed" if case == "watch" else "hear"
        partner_log = log.open("wb")
        partner = subprocess.Popen(
            [sys.executable, "-m", "bench.api.partner", what, str(routes)],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'interop'}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=partner_log,
            text=True,
        )
        program: subprocess.Popen[bytes] | None = None
        try:
            port = int(str(_line(partner)["port"]))
            with log.open("ab") as output:
                program = subprocess.Popen(
                    candidate.argv(case, port, routes, file),
                    env={**_plain(), **candidate.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            _wait(lambda: file.read_text(), program, partner, limit)
            _line(partner)  # the session is up
            if what == "feed":
                time.sleep(1)
                partner.send_signal(signal.SIGUSR1)
                begun = _line(partner)["begun"]
                _wait(lambda: file.read_text().startswith("{"), program, partner, limit)
                return {"seconds": _told(file)["done"] - float(str(begun))}
            arrived = _line(partner)
            _wait(lambda: file.read_text().startswith("{"), program, partner, limit)
            seconds = float(str(arrived["at"])) - _told(file)["begun"]
            return {"seconds": seconds, "updates": arrived["updates"]}
        except Failed as failure:
            raise Failed(f"{failure}: {log.read_text(errors='replace')[-1000:]}") from None
        finally:
            for process in (program, partner):
                if process is not None:
                    process.kill()
                    process.wait()
            if partner.stdout is not None:
                partner.stdout.close()
            partner_log.close()


def _told(file: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads(file.read_text())
    return found


def _line(partner: subprocess.Popen[str]) -> Figures:
    assert partner.stdout is not None
    line = partner.stdout.readline()
    if not line:
        raise Failed("the partner has ended")
    found: Figures = json.loads(line)
    return found


def _wait(
    condition: Callable[[], object],
    program: subprocess.Popen[bytes],
    partner: subprocess.Popen[str],
    limit: float,
) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if program.poll() is not None or partner.poll() is not None:
            raise Failed("the program has ended" if program.poll() is not None else "the partner has ended")
        if time.monotonic() > deadline:
            raise Failed(f"not done within {limit:g} s")
        time.sleep(0.02)


# --- All of it ------------------------------------------------------------------------------------------

# Routes per second of each repetition, 0 for one that failed.
Found = dict[tuple[str, str], list[float]]


def run(routes: int, repeat: int, candidates: Sequence[Candidate]) -> Found:
    """Measure all cases, the candidates taking turns."""
    found: Found = {}
    for repetition in range(1, repeat + 1):
        for candidate in candidates:
            for case in candidate.cases:
                number = min(routes, candidate.most or routes)
                print(f"[{repetition}/{repeat}] {candidate.name}, {CASES[candidate.name, case]}: ", end="")
                try:
                    rate = number / float(str(measure(candidate, case, number)["seconds"]))
                    print(f"{rate:,.0f} a second", flush=True)
                except Failed as failure:
                    rate = 0.0
                    print(f"failed: {failure}", flush=True)
                found.setdefault((candidate.name, case), []).append(rate)
    return found


def markdown(found: Found, routes: int, repeat: int, versions: Sequence[str]) -> str:
    """Return the report as a page."""
    machine = results.machine()
    return "\n".join(
        (
            "# How fast the API is",
            "",
            f"Made by `python -m bench api`: {routes:,} routes, medians of {repeat}. {machine['cpu']}, "
            f"{machine['cores']} cores, {machine['kernel']}, {machine['python']}. "
            f"Beside {' and '.join(versions) or 'nobody'}, from their packages on PyPI.",
            "",
            "Each library has one internal session with the same partner, a plain socket, and one program "
            "that uses its API. Announcing takes from the first call to the arrival of the octets that make "
            "the table whole at the partner; watching from the first octet that the partner feeds, a table "
            "like the Internet's, to the last route in the program's own code. The host routes have a "
            "hundred next hops. os-ken gets 2,000 routes: with more its session often ends. The last column "
            "compares with the first way of ours in each table.",
            "",
            *_tables(found),
        )
    )


def _tables(found: Found) -> Iterator[str]:
    for title, by_name in ROWS.items():
        own = statistics.median(found[OURS, by_name[OURS][0]])
        yield from (f"## {title}", "", "| | | routes a second | ours |", "| --- | --- | ---: | ---: |")
        for name, cases in by_name.items():
            for case in cases:
                if (name, case) not in found:
                    continue
                rates = [rate for rate in found[name, case] if rate]
                failed = len(found[name, case]) - len(rates)
                value = statistics.median(rates) if rates else 0.0
                text = f"{value:,.0f}" + (
                    f" ({failed} of {len(found[name, case])} runs failed)" if failed else ""
                )
                ratio = f"{own / value:.1f} times that" if name != OURS and value else ""
                yield f"| {name} | {CASES[name, case]} | {text} | {ratio} |"
        yield ""


def main(routes: int, repeat: int, alone: bool, out: Path, publish: Path | None) -> int:
    """Measure, print, and write the page into `out`, and where it is given to `publish`."""
    candidates, names = [ours()], []
    if not alone:
        python = install()
        candidates += [exabgp(python), osken(python)]
        names = versions(python)
    page = markdown(run(routes, repeat, candidates), routes, repeat, names)
    out.mkdir(parents=True, exist_ok=True)
    for path in (out / "api.md", *([publish] if publish else [])):
        path.write_text(page)
        print(f"written: {path}")
    print(page)
    return 0
