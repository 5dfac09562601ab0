"""What tests of the forms of messages share: UPDATEs of parts, and the JSON form as its reader has it."""

import json
import struct
from typing import Any

from bgp.family import FAMILIES
from bgp.tools import json_form
from bgp.wire.attributes import attribute
from bgp.wire.context import Context
from bgp.wire.framing import frame

BOTH = Context(families=frozenset(FAMILIES))


def update(*attributes: bytes, withdrawn: bytes = b"", nlri: bytes = b"") -> bytes:
    block = b"".join(attributes)
    return frame(
        2, struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(block)) + block + nlri
    )


ORIGIN = attribute(0x40, 1, b"\0")
AS_PATH = attribute(0x40, 2, b"\x02\x02" + struct.pack("!II", 65001, 65002))
NEXT_HOP = attribute(0x40, 3, b"\xc0\0\2\1")
PLAIN = update(ORIGIN, AS_PATH, NEXT_HOP, nlri=b"\x08\x0a\x18\x0a\x00\x01")


def read(octets: bytes, context: Context = BOTH) -> dict[str, Any]:
    """Return the JSON form as who reads the output has it."""
    found: dict[str, Any] = json.loads(json.dumps(json_form.read(octets, context)))
    return found
