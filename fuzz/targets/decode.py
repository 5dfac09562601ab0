"""Any octets in the place of a message have a JSON form that tells their outcome and from which the same
octets are made again, and a text form that fits on a terminal.

Input: two octets for the session, and the octets.
"""

import json
from collections.abc import Iterator
from random import Random

from bgp.errors import Outcome
from bgp.testing.generate import CONTEXT_BITS, chance, context_of
from bgp.tools import build, json_form, text_form
from bgp.wire.framing import frame
from fuzz.seeds import message
from fuzz.show import message_lines
from fuzz.target import Target, hold
from fuzz.targets import update
from fuzz.targets.reading import context_from

_OUTCOMES = [outcome.label for outcome in Outcome]


def check(data: bytes) -> None:
    context, octets = context_from(data)
    form = json_form.read(octets, context)
    again = json.loads(json.dumps(form))
    hold(again == form, f"JSON changes it: {form}")
    hold(form["outcome"] in _OUTCOMES, f"outcome {form['outcome']!r}")
    hold((form["outcome"] == "ok") == ("error" not in form), f"{form['outcome']} with {form.get('error')}")
    hold(form["length"] == len(octets), f"length {form['length']}")
    if "message" in form:
        hold(form["message"] == octets.hex(), "other octets")
    else:
        hold(build.message(again) == octets, "other octets are built")
    for line in text_form.lines(octets, context, form):
        hold(line.isprintable(), f"not to be shown: {line!r}")


def seed(random: Random) -> bytes:
    if chance(random, 0.5):
        # The first body of an update's input, in its own session.
        data = update.seed(random)
        bits = int.from_bytes(data[:2], "big") & (1 << CONTEXT_BITS) - 1
        return bits.to_bytes(2, "big") + frame(2, update.parts(data)[1][0])
    return random.getrandbits(CONTEXT_BITS).to_bytes(2, "big") + message(random)


def view(data: bytes) -> Iterator[str]:
    context, octets = context_from(data)
    yield str(context_of(int.from_bytes(data[:2], "big")))
    yield from message_lines(octets, context)


TARGET = Target("decode", check, seed, view)
