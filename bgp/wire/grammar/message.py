"""The header and every message but UPDATE, as declarations beside the RFCs' figures.

`bgp.wire.message` and `bgp.wire.capability` run on these.  Each declaration takes exactly its octets: a
`GreedyRange` is always followed by `Terminated`, for alone it swallows a truncated last element and
reports success.  All of them raise `Malformed`, whether parsing or building.

What one OPEN may hold a thousand of is declared by its layout, see `bgp.wire.grammar.flat`: an `x` in a
layout is a reserved octet, zero when sent and ignored when received.
"""

from typing import Any

from construct import (
    Bytes,
    Computed,
    Const,
    ConstructError,
    GreedyBytes,
    GreedyRange,
    If,
    IfThenElse,
    Int8ub,
    Int16ub,
    Int32ub,
    PascalString,
    Peek,
    Prefixed,
    Rebuild,
    Struct,
    Terminated,
    len_,
    this,
)

from bgp.iana import HEADER_LENGTH, CapabilityCode, OptionalParameter
from bgp.wire.grammar.flat import elements, headed_rows, row, rows, texts

Malformed = ConstructError

# --- The message header (RFC 4271 section 4.1) ---------------------------------------------------------
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |                                                               |
#   +                                                               +
#   |                                                               |
#   +                                                               +
#   |                           Marker                              |
#   +                                                               +
#   |                                                               |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |          Length               |      Type     |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

MARKER = b"\xff" * 16

MESSAGE: Any = Struct(
    "marker" / Const(MARKER),
    "length" / Rebuild(Int16ub, HEADER_LENGTH + len_(this.body)),
    "type" / Int8ub,
    "body" / Bytes(this.length - HEADER_LENGTH),
    Terminated,
)

# --- Capabilities (RFC 5492 section 4) -----------------------------------------------------------------
#
#   +------------------------------+
#   | Capability Code (1 octet)    |
#   +------------------------------+
#   | Capability Length (1 octet)  |
#   +------------------------------+
#   | Capability Value (variable)  |
#   ~                              ~
#   +------------------------------+

CAPABILITY: Any = Struct(
    "code" / Int8ub,
    "value" / Prefixed(Int8ub, GreedyBytes),
)
CAPABILITIES: Any = Struct("capabilities" / GreedyRange(CAPABILITY), Terminated)
# The same, as (code, value) each.
CAPABILITY_LIST: Any = elements(1)

# RFC 2918 section 2, RFC 7313 section 3.1 and RFC 8654 section 3: the Capability Length is zero.
EMPTY: Any = row(">")

# RFC 4760 section 8.  "Res." is to be zero when sent and ignored when received.
#
#    0       7      15      23      31
#   +-------+-------+-------+-------+
#   |      AFI      | Res.  | SAFI  |
#   +-------+-------+-------+-------+
MULTIPROTOCOL: Any = row(">HxB")

# RFC 8950 section 4.  The SAFI has two octets here, and only here.
#
#   +-----------------------------------------------------+
#   | NLRI AFI - 1 (2 octets)                             |
#   +-----------------------------------------------------+
#   | NLRI SAFI - 1 (2 octets)                            |
#   +-----------------------------------------------------+
#   | Nexthop AFI - 1 (2 octets)                          |
#   +-----------------------------------------------------+
#   | .....                                               |
#   +-----------------------------------------------------+
EXTENDED_NEXT_HOP: Any = rows(">HHH")

# RFC 9234 section 4.1: one octet, the Role Value.
ROLE: Any = row(">B")

# RFC 4724 section 3; the N bit is RFC 8538 section 2.  Reserved bits are zero when sent and ignored when
# received.
#
#   +--------------------------------------------------+
#   | Restart Flags (4 bits)                           |        0 1 2 3
#   +--------------------------------------------------+       +-+-+-+-+
#   | Restart Time in seconds (12 bits)                |       |R|N|   |
#   +--------------------------------------------------+       +-+-+-+-+
#   | Address Family Identifier (16 bits)              |
#   +--------------------------------------------------+
#   | Subsequent Address Family Identifier (8 bits)    |
#   +--------------------------------------------------+        0 1 2 3 4 5 6 7
#   | Flags for Address Family (8 bits)                |       +-+-+-+-+-+-+-+-+
#   +--------------------------------------------------+       |F|   Reserved  |
#   | ...                                              |       +-+-+-+-+-+-+-+-+
#   +--------------------------------------------------+
GRACEFUL_RESTART: Any = headed_rows(">H", ">HBB")
RESTARTING, RESTART_NOTIFICATION, RESTART_TIME = 0x8000, 0x4000, 0x0FFF
FORWARDING = 0x80

# RFC 6793 section 3: the AS number of the speaker in four octets.
FOUR_OCTET_AS: Any = row(">I")

# RFC 7911 section 4.
#
#   +------------------------------------------------+
#   | Address Family Identifier (2 octets)           |
#   +------------------------------------------------+
#   | Subsequent Address Family Identifier (1 octet) |
#   +------------------------------------------------+
#   | Send/Receive (1 octet)                         |
#   +------------------------------------------------+
ADD_PATH: Any = rows(">HBB")

# RFC 9494 section 3.1.
#
#   +--------------------------------------------------+
#   | Address Family Identifier (16 bits)              |
#   +--------------------------------------------------+
#   | Subsequent Address Family Identifier (8 bits)    |        0 1 2 3 4 5 6 7
#   +--------------------------------------------------+       +-+-+-+-+-+-+-+-+
#   | Flags for Address Family (8 bits)                |       |F|   Reserved  |
#   +--------------------------------------------------+       +-+-+-+-+-+-+-+-+
#   | Long-Lived Stale Time (24 bits)                  |
#   +--------------------------------------------------+
#
# The flags and the time together, for `struct` knows no 24 bits.
LONG_LIVED_GRACEFUL_RESTART: Any = rows(">HBI")
LONG_LIVED_FORWARDING, LONG_LIVED_STALE_TIME = FORWARDING << 24, 0xFFFFFF

# draft-walton-bgp-hostname-capability section 2.
#
#   +--------------------------------+
#   |    Hostname Length (1 octet)   |
#   +--------------------------------+
#   |    Hostname (variable)         |
#   +--------------------------------+
#   |    Domain Length (1 octet)     |
#   +--------------------------------+
#   |    Domain Name (variable)      |
#   +--------------------------------+
FQDN: Any = texts(2)

CAPABILITY_VALUES: dict[int, Any] = {
    CapabilityCode.MULTIPROTOCOL: MULTIPROTOCOL,
    CapabilityCode.ROUTE_REFRESH: EMPTY,
    CapabilityCode.EXTENDED_NEXT_HOP: EXTENDED_NEXT_HOP,
    CapabilityCode.EXTENDED_MESSAGE: EMPTY,
    CapabilityCode.ROLE: ROLE,
    CapabilityCode.GRACEFUL_RESTART: GRACEFUL_RESTART,
    CapabilityCode.FOUR_OCTET_AS: FOUR_OCTET_AS,
    CapabilityCode.ADD_PATH: ADD_PATH,
    CapabilityCode.ENHANCED_ROUTE_REFRESH: EMPTY,
    CapabilityCode.LONG_LIVED_GRACEFUL_RESTART: LONG_LIVED_GRACEFUL_RESTART,
    CapabilityCode.FQDN: FQDN,
}

# --- OPEN (RFC 4271 section 4.2) -----------------------------------------------------------------------
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+
#   |    Version    |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |     My Autonomous System      |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |           Hold Time           |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |                         BGP Identifier                        |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   | Opt Parm Len  |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |                                                               |
#   |             Optional Parameters (variable)                    |
#   |                                                               |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

OPEN_FIXED: Any = Struct(
    "version" / Int8ub,
    "my_as" / Int16ub,
    "hold_time" / Int16ub,
    "identifier" / Int32ub,
)
OPEN_FIXED_LENGTH: int = OPEN_FIXED.sizeof()

#    0                   1
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+--------------------...
#   |  Parm. Type   | Parm. Length  |  Parameter Value (variable)
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+--------------------...
PARAMETER: Any = Struct("type" / Int8ub, "value" / Prefixed(Int8ub, GreedyBytes))
PARAMETERS: Any = Struct("parameters" / GreedyRange(PARAMETER), Terminated)
PARAMETER_LIST: Any = elements(1)

# RFC 9072 section 2, figure 2.
#
#    0                   1                   2
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |  Parm. Type   |        Parameter Length       |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   ~            Parameter Value (variable)         ~
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
EXTENDED_PARAMETER: Any = Struct("type" / Int8ub, "value" / Prefixed(Int16ub, GreedyBytes))
EXTENDED_PARAMETERS: Any = Struct("parameters" / GreedyRange(EXTENDED_PARAMETER), Terminated)
EXTENDED_PARAMETER_LIST: Any = elements(2)

# Where the Optional Parameters are.  RFC 9072 section 2, figure 1: if "Non-Ext OP Len." is not zero and
# "Non-Ext OP Type" is 255, the extended form is in use, and "Non-Ext OP Len." means nothing.
#
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |Non-Ext OP Len.|Non-Ext OP Type|  Extended Opt. Parm. Length   |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
OPTIONAL_PARAMETERS: Any = Struct(
    "length" / Rebuild(Int8ub, lambda c: 255 if c.extended else len(c.block)),
    "type" / Peek(Int8ub),
    "extended"
    / IfThenElse(
        this._parsing,
        Computed(lambda c: c.length != 0 and c.type == OptionalParameter.EXTENDED_LENGTH),
        Computed(this.extended),
    ),
    "extended_type" / If(this.extended, Const(OptionalParameter.EXTENDED_LENGTH, Int8ub)),
    "extended_length" / If(this.extended, Rebuild(Int16ub, len_(this.block))),
    "block" / Bytes(lambda c: c.extended_length if c.extended else c.length),
    Terminated,
)

OPEN: Any = Struct("fixed" / OPEN_FIXED, "optional_parameters" / OPTIONAL_PARAMETERS)

# --- NOTIFICATION (RFC 4271 section 4.5) ---------------------------------------------------------------
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   | Error code    | Error subcode |   Data (variable)             |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
NOTIFICATION: Any = Struct(
    "code" / Int8ub,
    "subcode" / Int8ub,
    "data" / GreedyBytes,
)

# RFC 9003 section 2: the data of Cease/2 and Cease/4.
#
#   +-+-+-+-+-+-+-+-+---------------------------
#   |    Length     | Shutdown Communication ...
#   +-+-+-+-+-+-+-+-+---------------------------
#
# The decoder refuses invalid and overlong UTF-8, as the section demands.
SHUTDOWN_COMMUNICATION: Any = Struct("text" / PascalString(Int8ub, "utf-8"), Terminated)

# RFC 4486 section 4: the data of Cease/1.
#
#   +-------------------------------+
#   | AFI (2 octets)                |
#   +-------------------------------+
#   | SAFI (1 octet)                |
#   +-------------------------------+
#   | Prefix upper bound (4 octets) |
#   +-------------------------------+
MAXIMUM_PREFIXES: Any = Struct("afi" / Int16ub, "safi" / Int8ub, "limit" / Int32ub, Terminated)

# --- KEEPALIVE (RFC 4271 section 4.4): the header alone ------------------------------------------------
KEEPALIVE: Any = Struct(Terminated)

# --- ROUTE-REFRESH (RFC 2918 section 3, RFC 7313 section 3.2) ------------------------------------------
#
#    0       7      15      23      31
#   +-------+-------+-------+-------+
#   |      AFI      |Subtype| SAFI  |
#   +-------+-------+-------+-------+
ROUTE_REFRESH: Any = Struct(
    "afi" / Int16ub,
    "subtype" / Int8ub,
    "safi" / Int8ub,
    Terminated,
)
