"""The engine on atheris: libFuzzer, led by the branches of our own byte code that inputs take.

libFuzzer leaves the process by itself when it is done, and knows nothing of our findings: it is shown
inputs that hold only, and the report is written before the time is up.
"""

import os
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import atheris

from fuzz import corpus

_FRESH = 0.1  # of the inputs, drawn anew instead of mutated
_SEEDS = 200


def run(
    name: str, seed: int, seconds: float, inputs: int | None, directory: Path, report: Callable[..., None]
) -> None:
    """Try inputs for `seconds`, at most so many; `report` the examiner and how many are kept, and exit."""
    # What makes inputs is not to lead the search for them.
    with atheris.instrument_imports(include=["bgp", "reflector"], exclude=["bgp.testing"]):
        from fuzz.examine import Examiner
        from fuzz.targets import TARGETS
    target = TARGETS[name]
    examiner = Examiner(target, directory / "findings")
    pool = directory / "pool" / name
    pool.mkdir(parents=True, exist_ok=True)
    random = Random(f"{name}:{seed}")
    seeds = [corpus.load(path) for path in corpus.files(name)]
    seeds += [target.seed(random)[: target.maximum] for _ in range(_SEEDS)]
    for data in seeds:
        (pool / sha256(data).hexdigest()[:20]).write_bytes(data)
    end = time.monotonic() + seconds

    def one(data: bytes) -> None:
        examiner.examine(data)
        if time.monotonic() >= end or examiner.inputs == inputs:
            report(examiner, sum(1 for _ in pool.iterdir()))
            sys.stdout.flush()
            os._exit(0)

    def change(data: bytes, maximum: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < _FRESH:
            return target.seed(random)[:maximum]
        return bytes(atheris.Mutate(data, maximum))

    # libFuzzer's own time limit would take the signal that ours needs.
    options = [f"-max_len={target.maximum}", f"-seed={seed % (1 << 31) or 1}", "-timeout=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=0", str(pool)], one, custom_mutator=change)
    atheris.Fuzz()
