"""Any JSON gives a message of that form or one clear error that names the key: never another exception; the
message is framed right, and read back and built again it is the same.

Input: JSON text.  What is no JSON is passed over.
"""

import json
from collections.abc import Iterator
from random import Random

from bgp.iana import EXTENDED_MESSAGE_LENGTH
from bgp.testing.generate import CONTEXT_BITS, context_of
from bgp.tools import build, json_form
from bgp.tools.attribute_form import Unfit
from bgp.wire.context import Context
from fuzz.dumps import changed_json
from fuzz.seeds import message
from fuzz.show import message_lines
from fuzz.target import Target, hold

_CONTEXT = Context(extended_messages=True)


def built(data: bytes) -> bytes | Unfit | None:
    """Return the message, why there is none, or None for what is no JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    try:
        return build.message(value)
    except Unfit as unfit:
        return unfit


def check(data: bytes) -> None:
    octets = built(data)
    if isinstance(octets, Unfit):
        str(octets)
    elif octets is not None:
        hold(19 <= len(octets) <= EXTENDED_MESSAGE_LENGTH, f"{len(octets)} octets")
        form = json.loads(json.dumps(json_form.read(octets, _CONTEXT)))
        hold(build.message(form) == octets, "read and built again it is another message")


def seed(random: Random) -> bytes:
    context = context_of(random.getrandbits(CONTEXT_BITS))
    form = json_form.read(message(random), context)
    form.pop("message", None)
    return changed_json(random, form).encode()


def view(data: bytes) -> Iterator[str]:
    octets = built(data)
    if isinstance(octets, bytes):
        yield from message_lines(octets, _CONTEXT)
    else:
        yield f"{data.decode('utf-8', 'backslashreplace')!r}: {octets or 'no JSON'}"


TARGET = Target("encode", check, seed, view)
