"""Any ROUTE-REFRESH gives a value that encodes to the same octets, or the Notify for its length: 7/1 with the
whole message where the peer marks refreshes and this is such a mark, else 1/2 with the length.

Input: an octet whose lowest bit says whether the peer sent the Enhanced Route Refresh capability, and the
body.
"""

from collections.abc import Iterator
from random import Random

from bgp.errors import Notify
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import decode_route_refresh, encode
from fuzz.seeds import route_refresh_body
from fuzz.show import message_lines
from fuzz.target import Target, hold


def check(data: bytes) -> None:
    enhanced, body = bool(data[:1] and data[0] & 1), data[1:]
    whole = frame(5, body)
    try:
        value = decode_route_refresh(body, enhanced)
    except Notify as notify:
        found = (notify.code, notify.subcode, notify.data)
        marked = enhanced and len(body) > 2 and body[2] in (1, 2)
        wanted = (7, 1, whole) if marked else (1, 2, len(whole).to_bytes(2, "big"))
        hold(len(body) != 4 and found == wanted, f"{found} instead of {wanted}")
        return
    hold(len(body) == 4, f"{len(body)} octets are accepted")
    if enhanced:
        hold(encode(value) == whole, "encodes to other octets")
    else:
        hold(value.subtype == 0, "a reserved octet is looked at")


def seed(random: Random) -> bytes:
    return bytes((random.randrange(2),)) + route_refresh_body(random)


def view(data: bytes) -> Iterator[str]:
    yield f"enhanced {bool(data[:1] and data[0] & 1)}"
    yield from message_lines(frame(5, data[1:]), Context())


TARGET = Target("route-refresh", check, seed, view, 64)
