"""What all targets of files share: a file is read to its end, and all that is found is shown."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from bgp.testing.generate import context_of
from bgp.tools import json_form, sources, text_form
from bgp.tools.reading import FormatError, Source
from bgp.tools.sources import Found, Item, Record
from bgp.wire.context import Context
from fuzz.target import Broken, hold

# Forms beyond that many of an input are not looked at: they are alike.
_SHOWN = 40


def context_from(data: bytes) -> tuple[Context, bytes]:
    """Return the session of an input, and the file behind it."""
    return context_of(int.from_bytes(data[:2], "big")), data[2:]


def items(file: bytes, context: Context) -> tuple[list[Item], FormatError | None]:
    """Return what is in a file, and the fault that ended it; an endless file is Broken."""
    found: list[Item] = []
    most = 64 + 16 * len(file)
    if file[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7"):
        most *= 1100  # the most that these compress
    try:
        for item in sources.read(Source(BytesIO(file)), context):
            found.append(item)
            hold(len(found) <= most, f"more than {most} items in {len(file)} octets")
    except FormatError as error:
        hold(str(error).isprintable(), f"not to be shown: {error}")
        return found, error
    return found, None


def forms(item: Item) -> Iterator[dict[str, Any]]:
    match item:
        case Found(octets, context, origin):
            yield {**json_form.read(octets, context), **origin}
        case Record(form):
            yield form


def lines(item: Item) -> Iterator[str]:
    match item:
        case Found(octets, context, origin):
            yield from text_form.lines(octets, context, {**json_form.read(octets, context), **origin})
        case Record(form):
            yield from text_form.record_lines(form)
        case _:
            yield str(item)


def check(data: bytes) -> None:
    """Raise where a file is not read to its end or to a clear fault, or cannot be shown."""
    context, file = context_from(data)
    found, _ = items(file, context)
    for item in found[:_SHOWN]:
        for form in forms(item):
            try:
                json.dumps(form)
            except (TypeError, ValueError) as error:
                raise Broken(f"no JSON: {form}") from error
        for line in lines(item):
            hold(line.isprintable(), f"not to be shown: {line!r}")


def view(data: bytes) -> Iterator[str]:
    context, file = context_from(data)
    yield str(context)
    found, error = items(file, context)
    for item in found:
        yield from lines(item)
    if error:
        yield f"then {error}"
