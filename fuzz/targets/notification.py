"""Whatever a NOTIFICATION says, it decodes to a value that encodes to the same octets and whose text fits on
one line of a terminal.

Input: the body.  Below two octets it is too short, and a Notify for the log alone.
"""

from collections.abc import Iterator
from random import Random

from bgp.errors import Notify
from bgp.wire.capability import name
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import decode_notification, encode, hard_reset
from fuzz.seeds import notification_body
from fuzz.show import message_lines
from fuzz.target import Target, hold

_LONGEST_NAME = max(len(f"{name(code)} malformed, ") for code in range(256))


def check(data: bytes) -> None:
    try:
        value = decode_notification(data)
    except Notify as notify:
        hold(len(data) < 2 and (notify.code, notify.subcode) == (1, 2), f"{notify} for {data.hex()}")
        return
    hold(bytes((value.code, value.subcode)) + value.data == data, f"{value!r}")
    hold(encode(value) == frame(3, data[: 4096 - 19]), "encodes to other octets")
    for text in str(value), value.communication:
        hold(text.isprintable(), f"not to be shown: {text!r}")
        # Octets may be shown in hexadecimal, as escapes, or two of them as the name of a capability that is
        # malformed, but not blown up beyond that.
        hold(
            len(text) <= 200 + _LONGEST_NAME * len(data) // 2,
            f"{len(text)} characters for {len(data)} octets",
        )
    inner = value.inner
    hold(inner is None or hard_reset(inner) == value, f"{value!r} carries {inner!r}")


def seed(random: Random) -> bytes:
    return notification_body(random)


def view(data: bytes) -> Iterator[str]:
    yield from message_lines(frame(3, data), Context())


TARGET = Target("notification", check, seed, view)
