"""How inputs are shown to a person: as `python -m bgp decode` shows messages."""

from collections.abc import Iterator

from bgp.tools import json_form, text_form
from bgp.wire.context import Context


def message_lines(octets: bytes, context: Context) -> Iterator[str]:
    """Yield the lines of a message; where even that fails, its octets."""
    try:
        yield from text_form.lines(octets, context, json_form.read(octets, context))
    except Exception as error:
        # The view of what breaks the viewer.
        yield f"cannot be shown: {error!r}"
        yield octets.hex()
