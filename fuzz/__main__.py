"""The command line: `python -m fuzz run | replay | minimize | list | cost | peer`."""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bgp.testing.conformance import command as conformance
from fuzz import corpus, cost
from fuzz.examine import fault, signature
from fuzz.minimize import minimized
from fuzz.target import Target
from fuzz.targets import TARGETS

# What a process may take beyond its time: to start, and to come to the end of an input.
_GRACE = 120


def run(options: argparse.Namespace) -> int:
    """Fuzz targets, each in its own process; return 1 where something was found."""
    names = options.targets or list(TARGETS)
    seed = random.randrange(1 << 31) if options.seed is None else options.seed
    print(f"seed {seed}, {options.seconds:g} s for each of {len(names)} targets", flush=True)
    broken = False
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, told in zip(names, pool.map(lambda name: _worker(name, seed, options), names), strict=True):
            if isinstance(told, str):
                print(f"{name:14} {told}")
                broken = True
                continue
            rate = told["inputs"] / max(told["seconds"], 0.1)
            print(
                f"{name:14} {told['engine']:8} {told['inputs']:9} inputs {rate:7.0f}/s {told['kept']:6} kept "
                f"{told['slowest'] * 1000:8.1f} ms at most {len(told['findings']):3} findings",
                flush=True,
            )
            for path in map(Path, told["findings"]):
                broken = True
                print("\n".join(_finding(TARGETS[name], path)), flush=True)
    return int(broken)


def _worker(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any] | str:
    """Run one target to its end; return its report, or what became of it in words."""
    directory = options.directory
    report = directory / f"{name}.json"
    report.unlink(missing_ok=True)
    arguments = ["--engine", options.engine, "--seconds", str(options.seconds), "--seed", str(seed)]
    if options.inputs is not None:
        arguments += ["--inputs", str(options.inputs)]
    command = [sys.executable, "-m", "fuzz.worker", name, *arguments, "--directory", str(directory)]
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.run(
                command, stdout=output, stderr=output, timeout=options.seconds + _GRACE, check=False
            )
            ended = f"ended with status {process.returncode}"
        except subprocess.TimeoutExpired:
            ended = "hangs where nothing can stop it"
        if report.exists():
            found: dict[str, Any] = json.loads(report.read_text())
            return found
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return f"{ended}\n{text[-2000:]}"


def _finding(target: Target, path: Path) -> Iterator[str]:
    data = corpus.load(path)
    yield f"--- {target.name}: {path}"
    yield data.hex() if len(data) <= 512 else f"{data[:512].hex()} ... {len(data)} octets, see the file"
    yield from _judged(target, data)


def _judged(target: Target, data: bytes) -> Iterator[str]:
    """Yield the view of an input, and what it raises."""
    try:
        yield from target.view(data)
    except Exception as unseen:
        yield f"the view itself: {unseen!r}"
    error = fault(target, data)
    if error is None:
        yield "it holds"
    else:
        yield from "".join(traceback.format_exception(error)).rstrip().splitlines()


def _inputs(options: argparse.Namespace) -> Iterator[tuple[Target, bytes, Path | None]]:
    """Yield what the user named: a file, a directory of files, or octets in hexadecimal."""
    path = Path(options.input)
    if not path.exists():
        try:
            data = bytes.fromhex(options.input)
        except ValueError:
            raise SystemExit(f"{options.input} is neither a file nor hexadecimal") from None
        yield _target(options.target, None), data, None
        return
    for file in sorted(path.rglob("*.hex")) if path.is_dir() else [path]:
        try:
            data = corpus.load(file)
        except ValueError as error:
            raise SystemExit(f"{file} is not in hexadecimal: {error}") from None
        yield _target(options.target, file), data, file


def _target(name: str | None, path: Path | None) -> Target:
    name = name or (corpus.target_of(path) if path else None)
    if name not in TARGETS:
        raise SystemExit(f"say which target with --target: {', '.join(TARGETS)}")
    return TARGETS[name]


def replay(options: argparse.Namespace) -> int:
    """Check inputs again and show them; return 1 where one breaks."""
    broken = 0
    for target, data, path in _inputs(options):
        print(f"--- {target.name}: {path or data.hex()}")
        lines = list(_judged(target, data))
        broken += lines[-1] != "it holds"
        print("\n".join(lines))
    return int(broken > 0)


def minimize(options: argparse.Namespace) -> int:
    """Shrink an input that breaks; write the result beside it; return 1 where it does not break."""
    for target, data, path in _inputs(options):
        error = fault(target, data)
        if error is None:
            print(f"{path or data.hex()}: it holds, there is nothing to keep")
            return 1
        name = signature(error)

        def breaks(data: bytes, target: Target = target, name: str = name) -> bool:
            error = fault(target, data)
            return error is not None and signature(error) == name

        small = minimized(data, breaks)
        print(f"--- {target.name}: from {len(data)} to {len(small)} octets")
        print(small.hex())
        print("\n".join(_judged(target, small)))
        if path is not None:
            smaller = path.with_name(f"{path.stem}.min.hex")
            corpus.save(smaller, small, target.name, [f"{type(error).__name__} at {name}"])
            print(f"written to {smaller}")
    return 0


def list_targets(options: argparse.Namespace) -> int:
    """Print the targets with their invariants."""
    for target in TARGETS.values():
        print(f"{target.name:14} {len(corpus.files(target.name))} inputs in git")
        print(f"    {target.invariant}")
    return 0


def measure(options: argparse.Namespace) -> int:
    """Search for what costs most; print seconds per megabyte."""
    for line in cost.report(options.kinds or list(cost.KINDS), options.samples, options.seed or 0):
        print(line, flush=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("run", help=run.__doc__)
    command.add_argument("targets", nargs="*", metavar="TARGET", choices=[[], *TARGETS])
    command.add_argument("--seconds", type=float, default=60, help="for each target (60)")
    command.add_argument("--inputs", type=int, help="at most so many for each target")
    command.add_argument("--seed", type=int, help="a random one, and printed, if not given")
    command.add_argument("--jobs", type=int, default=1, help="how many targets at once (1)")
    command.add_argument("--engine", choices=("auto", "atheris", "plain"), default="auto")
    command.add_argument("--directory", type=Path, default=corpus.WORK, help="of what is found")
    command.set_defaults(act=run)

    command = commands.add_parser("replay", help=replay.__doc__)
    command.add_argument("input", metavar="FILE|HEX")
    command.add_argument("--target")
    command.set_defaults(act=replay)

    command = commands.add_parser("minimize", help=minimize.__doc__)
    command.add_argument("input", metavar="FILE|HEX")
    command.add_argument("--target")
    command.set_defaults(act=minimize)

    command = commands.add_parser("list", help=list_targets.__doc__)
    command.set_defaults(act=list_targets)

    command = commands.add_parser("cost", help=measure.__doc__)
    command.add_argument("kinds", nargs="*", metavar="KIND", choices=[[], *cost.KINDS])
    command.add_argument("--samples", type=int, default=300)
    command.add_argument("--seed", type=int)
    command.set_defaults(act=measure)

    conformance.arguments(commands.add_parser("peer", help=conformance.__doc__))

    options = parser.parse_args(arguments)
    return int(options.act(options))


if __name__ == "__main__":
    sys.exit(main())
