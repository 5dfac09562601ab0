"""Numbers that IANA assigns to BGP, under their registries' names.

Every enumeration names its registry; a member whose defining document is not RFC 4271 names it.
"""

from enum import IntEnum, IntFlag

AS_TRANS = 23456  # RFC 6793 section 9
BGP_PORT = 179
BGP_VERSION = 4

HEADER_LENGTH = 19
MAXIMUM_MESSAGE_LENGTH = 4096
EXTENDED_MESSAGE_LENGTH = 65535  # RFC 8654 section 4


class Afi(IntEnum):
    """https://www.iana.org/assignments/address-family-numbers"""

    IPV4 = 1
    IPV6 = 2


class Safi(IntEnum):
    """https://www.iana.org/assignments/safi-namespace"""

    UNICAST = 1  # RFC 4760
    MULTICAST = 2  # RFC 4760


class MessageType(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-1"""

    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    ROUTE_REFRESH = 5  # RFC 2918


class AttributeFlag(IntFlag):
    """The high four bits of the attribute flags octet (RFC 4271 section 4.3)."""

    OPTIONAL = 0x80
    TRANSITIVE = 0x40
    PARTIAL = 0x20
    EXTENDED_LENGTH = 0x10


class AttributeType(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-2"""

    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MULTI_EXIT_DISC = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8  # RFC 1997
    ORIGINATOR_ID = 9  # RFC 4456
    CLUSTER_LIST = 10  # RFC 4456
    MP_REACH_NLRI = 14  # RFC 4760
    MP_UNREACH_NLRI = 15  # RFC 4760
    EXTENDED_COMMUNITIES = 16  # RFC 4360
    AS4_PATH = 17  # RFC 6793
    AS4_AGGREGATOR = 18  # RFC 6793
    IPV6_EXTENDED_COMMUNITIES = 25  # RFC 5701
    AIGP = 26  # RFC 7311
    LARGE_COMMUNITIES = 32  # RFC 8092
    ONLY_TO_CUSTOMER = 35  # RFC 9234


class Origin(IntEnum):
    """ORIGIN values (RFC 4271 section 5.1.1)."""

    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentType(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#as-path-segment-types"""

    AS_SET = 1
    AS_SEQUENCE = 2
    AS_CONFED_SEQUENCE = 3  # RFC 5065
    AS_CONFED_SET = 4  # RFC 5065


class ErrorCode(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-3"""

    MESSAGE_HEADER_ERROR = 1
    OPEN_MESSAGE_ERROR = 2
    UPDATE_MESSAGE_ERROR = 3
    HOLD_TIMER_EXPIRED = 4
    FINITE_STATE_MACHINE_ERROR = 5
    CEASE = 6
    ROUTE_REFRESH_MESSAGE_ERROR = 7  # RFC 7313
    SEND_HOLD_TIMER_EXPIRED = 8  # RFC 9687


class HeaderSubcode(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-5"""

    CONNECTION_NOT_SYNCHRONIZED = 1
    BAD_MESSAGE_LENGTH = 2
    BAD_MESSAGE_TYPE = 3


class OpenSubcode(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-6"""

    UNSPECIFIC = 0
    UNSUPPORTED_VERSION_NUMBER = 1
    BAD_PEER_AS = 2
    BAD_BGP_IDENTIFIER = 3
    UNSUPPORTED_OPTIONAL_PARAMETER = 4
    UNACCEPTABLE_HOLD_TIME = 6
    UNSUPPORTED_CAPABILITY = 7  # RFC 5492
    ROLE_MISMATCH = 11  # RFC 9234


class UpdateSubcode(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-7"""

    MALFORMED_ATTRIBUTE_LIST = 1
    UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = 2
    MISSING_WELL_KNOWN_ATTRIBUTE = 3
    ATTRIBUTE_FLAGS_ERROR = 4
    ATTRIBUTE_LENGTH_ERROR = 5
    INVALID_ORIGIN_ATTRIBUTE = 6
    INVALID_NEXT_HOP_ATTRIBUTE = 8
    OPTIONAL_ATTRIBUTE_ERROR = 9
    INVALID_NETWORK_FIELD = 10
    MALFORMED_AS_PATH = 11


class FsmSubcode(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-finite-state-machine-error-subcodes (RFC 6608)"""

    UNSPECIFIED = 0
    UNEXPECTED_MESSAGE_IN_OPEN_SENT = 1
    UNEXPECTED_MESSAGE_IN_OPEN_CONFIRM = 2
    UNEXPECTED_MESSAGE_IN_ESTABLISHED = 3


class CeaseSubcode(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-8 (RFC 4486)"""

    UNSPECIFIED = 0
    MAXIMUM_NUMBER_OF_PREFIXES_REACHED = 1
    ADMINISTRATIVE_SHUTDOWN = 2
    PEER_DE_CONFIGURED = 3
    ADMINISTRATIVE_RESET = 4
    CONNECTION_REJECTED = 5
    OTHER_CONFIGURATION_CHANGE = 6
    CONNECTION_COLLISION_RESOLUTION = 7
    OUT_OF_RESOURCES = 8
    HARD_RESET = 9  # RFC 8538
    BFD_DOWN = 10  # RFC 9384


class RouteRefreshErrorSubcode(IntEnum):
    """ROUTE-REFRESH Message Error subcodes (RFC 7313 section 5)."""

    INVALID_MESSAGE_LENGTH = 1


class RouteRefreshSubtype(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#route-refresh-subcodes (RFC 7313)"""

    REQUEST = 0
    BEGIN_OF_ROUTE_REFRESH = 1
    END_OF_ROUTE_REFRESH = 2


class OptionalParameter(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-parameters-11"""

    AUTHENTICATION = 1  # deprecated, RFC 5492
    CAPABILITIES = 2  # RFC 5492
    EXTENDED_LENGTH = 255  # RFC 9072


class CapabilityCode(IntEnum):
    """https://www.iana.org/assignments/capability-codes"""

    MULTIPROTOCOL = 1  # RFC 4760
    ROUTE_REFRESH = 2  # RFC 2918
    EXTENDED_NEXT_HOP = 5  # RFC 8950
    EXTENDED_MESSAGE = 6  # RFC 8654
    ROLE = 9  # RFC 9234
    GRACEFUL_RESTART = 64  # RFC 4724
    FOUR_OCTET_AS = 65  # RFC 6793
    ADD_PATH = 69  # RFC 7911
    ENHANCED_ROUTE_REFRESH = 70  # RFC 7313
    LONG_LIVED_GRACEFUL_RESTART = 71  # RFC 9494
    FQDN = 73  # draft-walton-bgp-hostname-capability


class AddPathMode(IntEnum):
    """Send/Receive field of the ADD-PATH capability (RFC 7911 section 4)."""

    RECEIVE = 1
    SEND = 2
    BOTH = 3


class Role(IntEnum):
    """https://www.iana.org/assignments/bgp-parameters#bgp-role-value (RFC 9234)"""

    PROVIDER = 0
    ROUTE_SERVER = 1
    ROUTE_SERVER_CLIENT = 2
    CUSTOMER = 3
    PEER = 4


class WellKnownCommunity(IntEnum):
    """https://www.iana.org/assignments/bgp-well-known-communities"""

    GRACEFUL_SHUTDOWN = 0xFFFF0000  # RFC 8326
    ACCEPT_OWN = 0xFFFF0001  # RFC 7611
    LLGR_STALE = 0xFFFF0006  # RFC 9494
    NO_LLGR = 0xFFFF0007  # RFC 9494
    BLACKHOLE = 0xFFFF029A  # RFC 7999
    NO_EXPORT = 0xFFFFFF01  # RFC 1997
    NO_ADVERTISE = 0xFFFFFF02  # RFC 1997
    NO_EXPORT_SUBCONFED = 0xFFFFFF03  # RFC 1997
    NO_PEER = 0xFFFFFF04  # RFC 3765
