"""Any octets as a configuration give one that a service can be made of, the same again each time, or faults
of which each names the file, a line that there is, the key and a remedy on one line; never another exception.

Input: the octets of a TOML file.
"""

import asyncio
from collections.abc import Iterator
from random import Random

from fuzz import texts
from fuzz.target import Target, hold
from reflector.app import Service
from reflector.configuration.config import Configuration, loads
from reflector.configuration.document import ConfigurationError, Problem

_FILE = "rr.toml"
_LOOP = asyncio.new_event_loop()


def read(data: bytes) -> Configuration | ConfigurationError:
    try:
        return loads(data, _FILE)
    except ConfigurationError as error:
        return error


def shown(problem: Problem, lines: int) -> None:
    text = str(problem)
    hold(text.isprintable(), f"not to be shown: {text!r}")
    hold(text.startswith(f"{_FILE}:{problem.line}: "), f"no file and line: {text}")
    hold(1 <= problem.line <= lines, f"line {problem.line} of {lines}: {text}")
    hold(problem.what and problem.remedy, f"half a sentence: {text}")


def check(data: bytes) -> None:
    lines = data.count(b"\n") + 1
    found, again = read(data), read(data)
    if isinstance(found, ConfigurationError):
        hold(found.problems, "refused without a reason")
        for problem in found.problems:
            shown(problem, lines)
        same = isinstance(again, ConfigurationError) and again.problems == found.problems
        hold(same, f"{found.problems} and then {again}")
        return
    hold(found == again, f"{found} and then {again}")
    for problem in found.warnings:
        shown(problem, lines)
    _LOOP.run_until_complete(prepared(found))


async def prepared(configuration: Configuration) -> None:
    """Do what a service does before it listens."""
    Service(configuration, on_event=lambda event: None).prepare()


def seed(random: Random) -> bytes:
    return texts.configuration(random).encode()


def view(data: bytes) -> Iterator[str]:
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        yield f"{number:4} {ascii(line)[1:-1]}"
    try:
        found = read(data)
    except Exception as error:
        yield f"neither a configuration nor faults of one: {error!r}"
        return
    yield from str(found).splitlines()


TARGET = Target("configuration", check, seed, view, 4096)
