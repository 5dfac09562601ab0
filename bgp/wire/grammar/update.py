"""The UPDATE message and every path attribute, declared in construct beside the RFCs' figures.

The declarations say what is well-formed, and nothing about what to do otherwise: that is RFC 7606, and
`bgp.wire.reference`.  What a session negotiates enters as an argument: the width of an AS number
(RFC 6793), and for each family the path identifiers (RFC 7911).  Every declaration parses and builds, and
accepts its whole input or none of it: a repetition is always followed by `Terminated`, because
`GreedyRange` alone takes a truncated last element for the end.
"""

from functools import cache

from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    Construct,
    ConstructError,
    Default,
    ExprValidator,
    Flag,
    FocusedSeq,
    GreedyBytes,
    GreedyRange,
    If,
    IfThenElse,
    Int8ub,
    Int16ub,
    Int32ub,
    Int64ub,
    OneOf,
    Prefixed,
    Rebuild,
    Struct,
    Switch,
    Terminated,
    ValidationError,
    len_,
    this,
)

from bgp.family import BY_CODE, IPV4_UNICAST
from bgp.iana import AttributeType, Origin, SegmentType
from bgp.wire.context import Context

# What parsing raises: BadValue where the octets fit and their value is none of those allowed.
Malformed = ConstructError
BadValue = ValidationError

_AIGP_TLV = 1  # RFC 7311 section 3


def whole(declaration: Construct) -> Construct:
    """Return `declaration` followed by the end of its input."""
    return FocusedSeq("value", "value" / declaration, Terminated)


def repeated(element: Construct) -> Construct:
    """Return any number of `element` up to the end of the input."""
    return whole(GreedyRange(element))


def some(element: Construct) -> Construct:
    """Return one or more of `element` up to the end of the input (RFC 7606 section 4: never length zero)."""
    return ExprValidator(repeated(element), lambda elements, _: len(elements) > 0)


# --- Network layer reachability information -----------------------------------------------------------
#
#   RFC 4271 section 4.3               RFC 7911 section 3
#   +---------------------------+     +--------------------------------+
#   |   Length (1 octet)        |     | Path Identifier (4 octets)     |
#   +---------------------------+     +--------------------------------+
#   |   Prefix (variable)       |     | Length (1 octet)               |
#   +---------------------------+     +--------------------------------+
#                                     | Prefix (variable)              |
#                                     +--------------------------------+
#
# Length counts bits; Prefix has "enough trailing bits to make the end of the field fall on an octet
# boundary", whose value is irrelevant.


@cache
def route(bits: int, add_path: bool) -> Construct:
    """Return one route of a family whose addresses have `bits` bits."""
    return Struct(
        "path_id" / If(add_path, Int32ub),
        "length" / ExprValidator(Int8ub, lambda length, _: length <= bits),
        "prefix" / Bytes((this.length + 7) // 8),
    )


@cache
def routes(bits: int, add_path: bool) -> Construct:
    """Return a whole field of routes: Withdrawn Routes, NLRI, or what ends MP_REACH and MP_UNREACH."""
    return repeated(route(bits, add_path))


# --- The path attribute (RFC 4271 section 4.3) --------------------------------------------------------
#
#    0                   1
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |  Attr. Flags  |Attr. Type Code|     then one octet of length, or two with Extended Length, and
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+     the value
#
# The "lower-order four bits of the Attribute Flags octet are unused.  They MUST be zero when sent and
# MUST be ignored when received."

FLAGS = BitStruct(
    "optional" / Flag,
    "transitive" / Flag,
    "partial" / Flag,
    "extended_length" / Flag,
    "unused" / Default(BitsInteger(4), 0),
)

PATH_ATTRIBUTE = Struct(
    "flags" / FLAGS,
    "type" / Int8ub,
    "length" / Rebuild(IfThenElse(this.flags.extended_length, Int16ub, Int8ub), len_(this.value)),
    "value" / Bytes(this.length),
)

# --- ORIGIN, one octet (RFC 4271 section 5.1.1) -------------------------------------------------------

ORIGIN = OneOf(whole(Int8ub), tuple(Origin))

# --- AS_PATH (RFC 4271 section 4.3, RFC 5065 section 3) and AS4_PATH (RFC 6793 section 3) -------------
#
#   +---------------------------------+
#   |   Path Segment Type (1 octet)   |   1 AS_SET, 2 AS_SEQUENCE, 3 AS_CONFED_SEQUENCE, 4 AS_CONFED_SET
#   +---------------------------------+
#   |   Path Segment Length (1 octet) |   the number of ASes, not of octets; never zero (RFC 7606 7.2)
#   +---------------------------------+
#   |   Path Segment Value (variable) |   2 or 4 octets for each AS
#   +---------------------------------+


@cache
def asn(width: int) -> Construct:
    """Return an AS number of `width` octets, 2 or 4."""
    return {2: Int16ub, 4: Int32ub}[width]


@cache
def segment(width: int) -> Construct:
    return Struct(
        "type" / OneOf(Int8ub, tuple(SegmentType)),
        "count" / Rebuild(ExprValidator(Int8ub, lambda count, _: count > 0), len_(this.asns)),
        "asns" / Array(this.count, asn(width)),
    )


@cache
def as_path(width: int) -> Construct:
    """Return AS_PATH, which may be empty, with AS numbers of `width` octets."""
    return repeated(segment(width))


# RFC 6793 section 6: a length that "is too small (i.e., less than 6) for the attribute to carry at least
# one AS number" is malformed.
AS4_PATH = some(segment(4))

# --- NEXT_HOP, MULTI_EXIT_DISC, LOCAL_PREF, ATOMIC_AGGREGATE (RFC 4271 section 5.1) -------------------

_NO_NETWORKS = (0, 127)  # RFC 1122 section 3.2.1.3: "this host on this network", loopback
_MULTICAST = range(224, 240)  # RFC 1112 section 4
_LIMITED_BROADCAST = b"\xff\xff\xff\xff"  # RFC 919 section 7

# RFC 4271 section 6.3: NEXT_HOP is "syntactically incorrect" if it is not a valid host address.
NEXT_HOP = ExprValidator(
    whole(Bytes(4)),
    lambda address, _: (
        address[0] not in _NO_NETWORKS and address[0] not in _MULTICAST and address != _LIMITED_BROADCAST
    ),
)
MULTI_EXIT_DISC = whole(Int32ub)
LOCAL_PREF = whole(Int32ub)
ATOMIC_AGGREGATE = whole(Bytes(0))


# --- AGGREGATOR (RFC 4271 section 5.1.7) and AS4_AGGREGATOR (RFC 6793 section 3) ----------------------


@cache
def aggregator(width: int) -> Construct:
    """Return AGGREGATOR with an AS number of `width` octets."""
    return whole(Struct("asn" / asn(width), "address" / Bytes(4)))


AS4_AGGREGATOR = aggregator(4)

# --- Route reflection (RFC 4456 section 8) ------------------------------------------------------------

ORIGINATOR_ID = whole(Bytes(4))
CLUSTER_LIST = some(Bytes(4))

# --- Communities --------------------------------------------------------------------------------------
#
# RFC 4360 section 2:                        RFC 5701 section 2: the same with an IPv6 address, 20 octets
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |  Type high    |  Type low(*)  |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+          Value                |
#   |                                                               |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#
# RFC 8092 section 3:
#
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |                      Global Administrator                     |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |                       Local Data Part 1                       |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |                       Local Data Part 2                       |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

COMMUNITIES = some(Int32ub)  # RFC 1997
EXTENDED_COMMUNITIES = some(Bytes(8))
IPV6_EXTENDED_COMMUNITIES = some(Bytes(20))
LARGE_COMMUNITIES = some(
    Struct("global_administrator" / Int32ub, "local_data_1" / Int32ub, "local_data_2" / Int32ub)
)

# --- AIGP (RFC 7311 section 3) ------------------------------------------------------------------------
#
#    0                   1                   2                   3
#    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#   |     Type      |         Length                |               |   Length counts all three fields
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+               |
#   |                           Value                               |
#   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

_AIGP_ELEMENT = Struct(
    "type" / Int8ub,
    "length" / Rebuild(ExprValidator(Int16ub, lambda length, _: length >= 3), len_(this.value) + 3),
    "value" / Bytes(this.length - 3),
)

# An AIGP TLV is 11 octets long; other types may stand beside it, in any number.
AIGP = some(
    ExprValidator(_AIGP_ELEMENT, lambda element, _: element.type != _AIGP_TLV or element.length == 11)
)
AIGP_METRIC = whole(Int64ub)

# --- Only to Customer (RFC 9234 section 5) ------------------------------------------------------------

ONLY_TO_CUSTOMER = whole(Int32ub)

# --- MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4) ------------------------------------
#
#   +---------------------------------------------------------+
#   | Address Family Identifier (2 octets)                    |   MP_UNREACH_NLRI goes on with its
#   +---------------------------------------------------------+   Withdrawn Routes after these two
#   | Subsequent Address Family Identifier (1 octet)          |
#   +---------------------------------------------------------+
#   | Length of Next Hop Network Address (1 octet)            |
#   +---------------------------------------------------------+
#   | Network Address of Next Hop (variable)                  |
#   +---------------------------------------------------------+
#   | Reserved (1 octet)                                      |
#   +---------------------------------------------------------+
#   | Network Layer Reachability Information (variable)       |
#   +---------------------------------------------------------+

MP_REACH_NLRI = Struct(
    "afi" / Int16ub,
    "safi" / Int8ub,
    "next_hop" / Prefixed(Int8ub, GreedyBytes),
    "reserved" / Default(Int8ub, 0),
    "nlri" / GreedyBytes,
)
MP_UNREACH_NLRI = Struct("afi" / Int16ub, "safi" / Int8ub, "withdrawn_routes" / GreedyBytes)


# --- The whole message, as one strict declaration -----------------------------------------------------
#
#   +-----------------------------------------------------+
#   |   Withdrawn Routes Length (2 octets)                |
#   +-----------------------------------------------------+
#   |   Withdrawn Routes (variable)                       |
#   +-----------------------------------------------------+
#   |   Total Path Attribute Length (2 octets)            |
#   +-----------------------------------------------------+
#   |   Path Attributes (variable)                        |
#   +-----------------------------------------------------+
#   |   Network Layer Reachability Information (variable) |
#   +-----------------------------------------------------+

# The three fields of the body, not yet taken apart.
FIELDS = Struct(
    "withdrawn_routes" / Prefixed(Int16ub, GreedyBytes),
    "path_attributes" / Prefixed(Int16ub, GreedyBytes),
    "nlri" / GreedyBytes,
)


@cache
def values(width: int) -> dict[AttributeType, Construct]:
    """Return the declaration of each attribute's value, on a session with AS numbers of `width` octets."""
    return {
        AttributeType.ORIGIN: ORIGIN,
        AttributeType.AS_PATH: as_path(width),
        AttributeType.NEXT_HOP: NEXT_HOP,
        AttributeType.MULTI_EXIT_DISC: MULTI_EXIT_DISC,
        AttributeType.LOCAL_PREF: LOCAL_PREF,
        AttributeType.ATOMIC_AGGREGATE: ATOMIC_AGGREGATE,
        AttributeType.AGGREGATOR: aggregator(width),
        AttributeType.COMMUNITIES: COMMUNITIES,
        AttributeType.ORIGINATOR_ID: ORIGINATOR_ID,
        AttributeType.CLUSTER_LIST: CLUSTER_LIST,
        AttributeType.MP_REACH_NLRI: MP_REACH_NLRI,
        AttributeType.MP_UNREACH_NLRI: MP_UNREACH_NLRI,
        AttributeType.EXTENDED_COMMUNITIES: EXTENDED_COMMUNITIES,
        AttributeType.AS4_PATH: AS4_PATH,
        AttributeType.AS4_AGGREGATOR: AS4_AGGREGATOR,
        AttributeType.IPV6_EXTENDED_COMMUNITIES: IPV6_EXTENDED_COMMUNITIES,
        AttributeType.AIGP: AIGP,
        AttributeType.LARGE_COMMUNITIES: LARGE_COMMUNITIES,
        AttributeType.ONLY_TO_CUSTOMER: ONLY_TO_CUSTOMER,
    }


@cache
def update(context: Context) -> Construct:
    """Return the body of an UPDATE on a session of `context`, every field taken apart.

    Parsing raises `construct.ConstructError` for anything malformed.  Routes of families that the session
    did not negotiate and values of unknown attributes stay octets.
    """
    families = {code: family for code, family in BY_CODE.items() if family in context.families}
    by_family = {code: routes(family.bits, family in context.add_path) for code, family in families.items()}

    def field() -> Construct:
        return Switch(lambda reach: (reach.afi, reach.safi), by_family, GreedyBytes)

    values_here = {
        **values(4 if context.four_octet_as else 2),
        AttributeType.MP_REACH_NLRI: Struct(*MP_REACH_NLRI.subcons[:-1], "nlri" / field()),
        AttributeType.MP_UNREACH_NLRI: Struct(*MP_UNREACH_NLRI.subcons[:-1], "withdrawn_routes" / field()),
    }
    attribute = Struct(
        "flags" / FLAGS,
        "type" / Int8ub,
        "value"
        / IfThenElse(
            this.flags.extended_length,
            Prefixed(Int16ub, Switch(this.type, values_here, GreedyBytes)),
            Prefixed(Int8ub, Switch(this.type, values_here, GreedyBytes)),
        ),
    )
    classic = routes(IPV4_UNICAST.bits, IPV4_UNICAST in context.add_path)
    return Struct(
        "withdrawn_routes" / Prefixed(Int16ub, classic),
        "path_attributes" / Prefixed(Int16ub, repeated(attribute)),
        "nlri" / classic,
    )
