"""From a question, as it came in, to the rows of its answer; they come in slices of the loop's time."""

from collections.abc import AsyncGenerator, Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reflector.report import (
    altering,
    commands,
    explaining,
    forwarding,
    groups,
    guards,
    health,
    lines,
    memory,
    messages,
    neighbors,
    routes,
    status,
)
from reflector.report.arguments import READERS
from reflector.report.catalog import QUESTIONS, Question
from reflector.report.row import Row, Unanswerable

if TYPE_CHECKING:
    from reflector.app import Service

Rows = Callable[..., AsyncGenerator[Row, None]]

ANSWERS: Mapping[str, Rows] = {
    "status": status.status,
    "neighbors": neighbors.neighbors,
    "neighbor": neighbors.neighbor,
    "routes": routes.routes,
    "explain": explaining.explain,
    "fib": forwarding.fib,
    "guards": guards.guards,
    "claims": guards.claims,
    "groups": groups.groups,
    "healthy": health.healthy,
    "memory": memory.memory,
    "log": lines.log,
    "monitor": lines.monitor,
    "debug": messages.debug,
    "capture": messages.capture,
    "reset": commands.reset,
    "disable": commands.disable,
    "enable": commands.enable,
    "refresh": commands.refresh,
    "reload": commands.reload,
    "drain": commands.drain,
    "undrain": commands.undrain,
    "release": commands.release,
    "stop": commands.stop,
    "add": altering.add,
    "change": altering.change,
    "remove": altering.remove,
}


def find(name: object) -> Question:
    """Return the question of that name; raise Unanswerable."""
    if isinstance(name, str) and name in QUESTIONS:
        return QUESTIONS[name]
    raise Unanswerable(f"nothing is known of {name!r}{_meant(str(name), QUESTIONS)}")


def answer(service: "Service", question: Question, given: Mapping[str, object]) -> AsyncGenerator[Row, None]:
    """Return the rows; raise Unanswerable where an argument is not what it should be."""
    known = {argument.name: argument for argument in question.arguments}
    read = {}
    for name, value in given.items():
        if name not in known:
            raise Unanswerable(f"{question.name}: there is no argument {name!r}{_meant(name, known)}")
        if value is None:
            continue
        try:
            read[known[name].keyword] = READERS[known[name].sort](service, value)
        except ValueError as error:
            raise Unanswerable(f"{name}: {error}") from None
    for argument in question.arguments:
        if argument.required and argument.keyword not in read:
            raise Unanswerable(f"{question.name}: {argument.name} is missing: {argument.text}")
    return ANSWERS[question.name](service, **read)


def _meant(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(known)}" if known else ""
