"""Asking a running service from a command: lines over its socket, without any loop."""

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from reflector.control.protocol import line, parse

_REMEDIES = {
    errno.ENOENT: "is `reflector run` running? --socket or REFLECTOR_SOCKET say where its socket is",
    errno.ECONNREFUSED: "the service that had it is gone: start `reflector run` again",
    errno.EACCES: "this user may not: ask as the user or in the group of the service, or as root",
}


class Unanswered(Exception):
    """There was no answer, or the service could not answer; the text says why."""


def ask(
    path: Path, question: str, given: Mapping[str, Any], timeout: float | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the answer as they come, each within `timeout` seconds; raise Unanswered."""
    message = {
        "ask": question,
        "with": {name: value for name, value in given.items() if value is not None},
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(str(path))
            sock.sendall(line(message))
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "")
            raise Unanswered(f"{path}: {error.strerror or error}{'; ' if remedy else ''}{remedy}") from None
        with sock.makefile("rb") as file:
            yield from answers(_lines(file))


def answers(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the rows in the lines of an answer; raise Unanswered where it is an error, or has no end."""
    for octets in lines:
        answer = parse(octets)
        if "row" in answer:
            yield answer["row"]
        elif "error" in answer:
            raise Unanswered(answer["error"])
        else:
            return
    raise Unanswered("the service has ended the connection in the middle of its answer")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from file
    except TimeoutError:
        raise Unanswered("the service has not answered in time") from None
    except OSError as error:
        raise Unanswered(f"the service has ended the connection: {error.strerror or error}") from None
