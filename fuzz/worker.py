"""One target in a process of its own: `python -m fuzz.worker TARGET ...`, started by `python -m fuzz run`.

Memory is limited for the whole process, so an input that makes it grow is a finding like any other.
"""

import argparse
import importlib.util
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.examine import Examiner

MEMORY = 2 << 30


def engine(wanted: str) -> str:
    """Return "atheris" or "plain"; "auto" takes the first if it is there."""
    if wanted == "auto":
        return "atheris" if importlib.util.find_spec("atheris") else "plain"
    return wanted


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.worker", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    kind = engine(options.engine)
    start = time.monotonic()

    def report(examiner: "Examiner", kept: int) -> None:
        told = {
            "target": options.target,
            "engine": kind,
            "inputs": examiner.inputs,
            "seconds": round(time.monotonic() - start, 1),
            "kept": kept,
            "findings": sorted(str(path) for path in examiner.findings.values()),
            "slowest": round(examiner.slowest, 4),
            "slowest_input": examiner.slowest_input.hex(),
        }
        (options.directory / f"{options.target}.json").write_text(json.dumps(told))

    options.directory.mkdir(parents=True, exist_ok=True)
    if kind == "atheris":
        from fuzz import guided

        guided.run(options.target, options.seed, options.seconds, options.inputs, options.directory, report)
    else:
        from fuzz import plain
        from fuzz.examine import Examiner
        from fuzz.targets import TARGETS

        examiner = Examiner(TARGETS[options.target], options.directory / "findings")
        report(examiner, plain.run(examiner, options.seed, options.seconds, options.inputs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
