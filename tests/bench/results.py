"""Results as JSON lines: appended as they come, so that a run that was interrupted goes on where it was.

A line is known by what was run, for whom, which version of it (ours by its sources) and which repetition.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from bench import ROOT

Line = dict[str, object]


def sources() -> str:
    """Return a digest of what is measured of ours."""
    found = hashlib.sha256()
    for package in ("bgp", "reflector"):
        for path in sorted((ROOT / package).rglob("*.py")):
            found.update(str(path.relative_to(ROOT)).encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def machine() -> Line:
    """Return what the figures depend on beside what is measured."""
    model = "?"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.lower().startswith(("model name", "hardware")):
            model = line.partition(":")[2].strip()
            break
    octets = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    packages = {}
    for name in ("construct", "pyroute2", "uvloop", "matplotlib"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(octets / 1e9),
        "packages": packages,
        "optimized": not __debug__ or bool(sys.flags.optimize),
    }


class Store:
    """The lines of one output directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = []
        if path.exists():
            for number, text in enumerate(path.read_text().splitlines(), 1):
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    print(f"{path}:{number}: not JSON, left out (an interrupted run?)", file=sys.stderr)

    def add(self, line: Mapping[str, object]) -> None:
        self.lines.append(dict(line))
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def of(self, kind: str) -> Iterator[Line]:
        return (line for line in self.lines if line["kind"] == kind)

    def has(self, key: Mapping[str, object]) -> bool:
        """Tell whether there is a line with all of this."""
        return any(all(line.get(name) == value for name, value in key.items()) for line in self.lines)
