"""The command line: `python -m bench run | report | api`, what `make bench` calls."""

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import ROOT, candidates, ends, micro, plan, report, results
from bench.api import run as api_run
from bench.candidates import OURS, Candidate

DEFAULT = ROOT / "build" / "bench"
DOCUMENTS = ROOT / "docs"


def run(options: argparse.Namespace) -> int:
    """Run what has not been run yet, and write the report."""
    started = time.monotonic()
    directory: Path = options.out
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "results.jsonl"
    if options.fresh:
        path.unlink(missing_ok=True)
    store = results.Store(path)
    chosen = _plan(options)
    machine = {**results.machine(), "plan": chosen.name}
    if not store.has({"kind": "machine", **machine}):
        store.add({"kind": "machine", **machine})
    others: list[Candidate] = []
    namespaces = ends.has_namespaces() and not options.ours
    ends.allow_files()
    if namespaces:
        names = [name for name in candidates.KNOWN if name not in chosen.without]
        wanted = [name for name in names if not options.only or name in options.only]
        others = candidates.found(wanted, options.daemon)
        absent = [name for name in names if name not in {other.name for other in others}]
        if absent and not options.only:
            print(f"not measured, since not here: {', '.join(absent)}")
    else:
        why = "" if options.ours else "not root, or no iproute2: the daemons are left out; "
        print(f"{why}our reflector alone is measured, on loopback")
    print(f"results: {path}", flush=True)
    _micro(store, chosen, results.sources())
    failed = _ends(store, chosen, others, options.out, namespaces)
    paths = write(store, directory, options.publish)
    print(f"\nwritten: {', '.join(map(str, paths))}")
    print(f"total: {_minutes(time.monotonic() - started)}" + (f", {failed} runs failed" if failed else ""))
    return 0


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {seconds % 60:.0f} s"


def _plan(options: argparse.Namespace) -> plan.Plan:
    files: list[Path] = options.table
    for path in files:
        if not path.is_file():
            raise SystemExit(f"{path}: no such file; give a file of BGP UPDATEs or an MRT TABLE_DUMP_V2")
    if options.size == "quick":
        return plan.quick(files)
    if options.size == "smallest":
        return plan.smallest(files)
    return plan.full(files, options.repeat, options.routes)


def _micro(store: results.Store, chosen: plan.Plan, key: str) -> None:
    if store.has({"kind": "micro", "version_key": key, "size": chosen.micro_size}):
        print("parts: done before")
        return
    print("parts:", flush=True)
    for line in micro.run(micro.sets(chosen.micro_size), chosen.micro_repeat):
        store.add({"kind": "micro", "version_key": key, "size": chosen.micro_size, **line})
        print(
            f"  {line['set']}: {line['case']}: {line['us']} us a {line['unit']}, {line['ratio']}x", flush=True
        )


def _ends(
    store: results.Store, chosen: plan.Plan, others: Sequence[Candidate], out: Path, namespaces: bool
) -> int:
    """Run all jobs; return how many runs failed."""
    ours, sources = candidates.ours(), results.sources()
    scratch = (out / "loop.json").resolve()
    by_name = {one.name: one for one in (ours, *others)}
    failed = 0
    total = len(chosen.jobs)
    for number, job in enumerate(chosen.jobs, 1):
        if job.who == plan.LOOP:
            turns = [(1, candidates.watched(scratch))]
        else:
            names = list(by_name) if job.who == plan.ALL else [OURS]
            turns = [(repetition, by_name[name]) for repetition, name in plan.turns(job, names)]
        load = hashlib.sha256(json.dumps(job.scenario.load, sort_keys=True).encode()).hexdigest()[:12]
        for repetition, candidate in turns:
            own = candidate.name.startswith(OURS)
            key = {
                "kind": "run",
                "run": job.scenario.name,
                "load": load,
                "candidate": candidate.name,
                "version": candidate.version,
                "version_key": sources if own else candidate.version,
                "namespaces": namespaces,
                "repetition": repetition,
            }
            if store.has(key):
                continue
            begun = time.monotonic()
            watched = scratch if job.who == plan.LOOP else None
            print(
                f"[{number}/{total}] {job.scenario.name} {candidate.name} {repetition}:", end=" ", flush=True
            )
            told = []
            for line in ends.run(candidate, job.scenario, namespaces, watched):
                store.add({**key, **line})
                failed += not line["ok"]
                told.append(_told(line))
            print(f"{', '.join(told)} ({time.monotonic() - begun:.0f} s in all)", flush=True)
    scratch.unlink(missing_ok=True)
    return failed


def _told(line: ends.Result) -> str:
    if not line["ok"]:
        return f"{line['scenario']} FAILED ({line['reason']}) {line.get('output', '')}".rstrip()
    latency = line.get("latency_ms")
    value = f"{latency['p50']} / {latency['p99']} ms" if isinstance(latency, dict) else f"{line['seconds']} s"
    return f"{line['scenario']} {value}"


def write(store: results.Store, directory: Path, publish: bool = False) -> list[Path]:
    """Write the table and the pictures; with `publish` into the documents, too."""
    machine = list(store.of("machine"))[-1]
    runs = report.latest(list(store.of("run")))
    parts = list(store.of("micro"))
    if parts:
        last = parts[-1]
        parts = [
            line
            for line in parts
            if (line["version_key"], line["size"]) == (last["version_key"], last["size"])
        ]
    table = directory / "results.md"
    table.write_text(report.markdown(machine, runs, parts))
    paths = [table]
    if runs:
        try:
            from bench import picture

            cells = report.Cells(runs)
            caption = ", ".join(sorted({str(line["version"]).split(" (")[0] for line in runs}))
            paths += picture.ends(
                cells, directory, f"{caption}; {machine['python']}; {machine['cores']} cores"
            )
            paths += picture.growth(cells, directory)
        except ImportError:
            print("no matplotlib: no pictures; `make bench` installs it", file=sys.stderr)
    if publish:
        DOCUMENTS.mkdir(exist_ok=True)
        published = {"results.md": "benchmarks.md", "benchmarks.svg": "benchmarks.svg"}
        for path in list(paths):
            if path.name in published:
                paths.append(Path(shutil.copyfile(path, DOCUMENTS / published[path.name])))
    return paths


def again(options: argparse.Namespace) -> int:
    """Write the report of what was measured before."""
    store = results.Store(options.out / "results.jsonl")
    if not list(store.of("machine")):
        raise SystemExit(f"{store.path}: there are no results yet; `make bench` makes them")
    print("\n".join(map(str, write(store, options.out, options.publish))))
    return 0


def api(options: argparse.Namespace) -> int:
    """Measure the API beside others', and report."""
    publish = DOCUMENTS / "benchmarks-api.md" if options.publish else None
    return api_run.main(options.routes, options.repeat, options.ours, options.out, publish)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measure the parts and the whole.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("run", run, "measure what has not been measured yet, and report"),
        ("report", again, "report what was measured before"),
        ("api", api, "measure how fast programs announce and hear, beside ExaBGP and os-ken"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        command.add_argument(
            "--out", type=Path, default=DEFAULT, help=f"directory of the results ({DEFAULT})"
        )
        command.add_argument(
            "--publish", action="store_true", help="put table and picture into docs/ as well"
        )
        if name == "api":
            command.add_argument("--routes", type=int, default=20_000, help="so many (20000)")
            command.add_argument("--repeat", type=int, default=3, help="runs of each (3)")
            command.add_argument("--ours", action="store_true", help="ours alone")
        if name != "run":
            continue
        command.add_argument("--size", choices=("full", "quick", "smallest"), default="full")
        command.add_argument("--repeat", type=int, default=3, help="runs of each (3)")
        command.add_argument("--routes", type=int, default=1_000_000, help="the biggest table (1000000)")
        command.add_argument("--table", type=Path, action="append", default=[], metavar="FILE",
                             help="UPDATEs or MRT TABLE_DUMP_V2; several files are one table")  # fmt: skip
        command.add_argument("--only", action="append", default=[], metavar="NAME", choices=candidates.KNOWN,
                             help="only this daemon beside ours; may be repeated")  # fmt: skip
        command.add_argument("--daemon", action="append", default=[], metavar="NAME=KIND:PROGRAM",
                             help="a further daemon, as bird3=bird:/opt/bird3/sbin/bird")  # fmt: skip
        command.add_argument("--ours", action="store_true", help="our reflector alone, on loopback")
        command.add_argument("--fresh", action="store_true", help="forget former results")
    options = parser.parse_args(arguments)
    return int(options.function(options))


if __name__ == "__main__":
    sys.exit(main())
