"""What can be wrong with a message, and what the RFCs demand then.

`RULES` is the one table of them: each row names its RFC and section, the reaction, and the code and
subcode that a NOTIFICATION carries if the reaction is a session reset.  Decoders raise deep, by rule;
the session converts once.  RFC 7606 section 2 orders the reactions by strength: session reset, then
treat-as-withdraw, then attribute discard.
"""

from dataclasses import dataclass
from enum import IntEnum

from bgp.iana import (
    CeaseSubcode,
    ErrorCode,
    FsmSubcode,
    HeaderSubcode,
    OpenSubcode,
    RouteRefreshErrorSubcode,
    UpdateSubcode,
)


class Outcome(IntEnum):
    """What a receiver does with a message, weakest first (RFC 7606 section 2)."""

    OK = 0
    ATTRIBUTE_DISCARD = 1
    TREAT_AS_WITHDRAW = 2
    SESSION_RESET = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class Data(IntEnum):
    """What the data field of the NOTIFICATION holds for a rule (RFC 4271 sections 6.1 to 6.3)."""

    EMPTY = 0
    LENGTH = 1  # the message's two-octet Length
    TYPE = 2  # the message's one-octet Type
    ATTRIBUTE = 3  # the attribute: flags, type, length and value as received
    ATTRIBUTE_TYPE = 4  # one octet: the type of the missing attribute
    VERSION = 5  # two octets: the version that we support
    MESSAGE = 6  # the whole message, header included
    CAPABILITIES = 7  # the capabilities that we require


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one RFC: identifier, RFC and section, reaction, NOTIFICATION, and its sentence."""

    name: str
    source: str
    outcome: Outcome
    code: int
    subcode: int
    data: Data
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.source})"


_R, _W, _D = Outcome.SESSION_RESET, Outcome.TREAT_AS_WITHDRAW, Outcome.ATTRIBUTE_DISCARD
_HEADER, _OPEN, _UPDATE = (
    ErrorCode.MESSAGE_HEADER_ERROR,
    ErrorCode.OPEN_MESSAGE_ERROR,
    ErrorCode.UPDATE_MESSAGE_ERROR,
)
_H, _O, _U = HeaderSubcode, OpenSubcode, UpdateSubcode

RULES: dict[str, Rule] = {}


def _rule(name: str, source: str, outcome: Outcome, code: int, subcode: int, data: Data, text: str) -> Rule:
    rule = RULES[name] = Rule(name, source, outcome, code, subcode, data, text)
    return rule


def _flags(attribute: str, source: str, outcome: Outcome = _W) -> Rule:
    text = f"{attribute} has a wrong Optional or Transitive bit"
    return _rule(
        f"{attribute.lower()}-flags", source, outcome, _UPDATE, _U.ATTRIBUTE_FLAGS_ERROR, Data.ATTRIBUTE, text
    )


def _length(attribute: str, source: str, outcome: Outcome, wanted: str) -> Rule:
    return _rule(
        f"{attribute.lower()}-length",
        source,
        outcome,
        _UPDATE,
        _U.ATTRIBUTE_LENGTH_ERROR,
        Data.ATTRIBUTE,
        f"the length of {attribute} must be {wanted}",
    )


# --- Message header (RFC 4271 section 6.1) -------------------------------------------------------------
MARKER = _rule("marker", "RFC 4271 6.1", _R, _HEADER, _H.CONNECTION_NOT_SYNCHRONIZED, Data.EMPTY,
               "the Marker must be sixteen octets of all ones")  # fmt: skip
MESSAGE_LENGTH = _rule("message-length", "RFC 4271 6.1", _R, _HEADER, _H.BAD_MESSAGE_LENGTH, Data.LENGTH,
                       "the message Length is out of range for its type or the session")  # fmt: skip
MESSAGE_TYPE = _rule("message-type", "RFC 4271 6.1", _R, _HEADER, _H.BAD_MESSAGE_TYPE, Data.TYPE,
                     "the message Type is not recognized")  # fmt: skip

# --- OPEN (RFC 4271 section 6.2 and what extends it) ----------------------------------------------------
VERSION = _rule("open-version", "RFC 4271 6.2", _R, _OPEN, _O.UNSUPPORTED_VERSION_NUMBER, Data.VERSION,
                "the version is not supported")  # fmt: skip
PEER_AS = _rule("open-peer-as", "RFC 4271 6.2", _R, _OPEN, _O.BAD_PEER_AS, Data.EMPTY,
                "the AS number is not the one expected of this peer")  # fmt: skip
PEER_AS_ZERO = _rule("open-as-zero", "RFC 7607 2", _R, _OPEN, _O.BAD_PEER_AS, Data.EMPTY,
                     "AS 0 must not be used in an OPEN")  # fmt: skip
IDENTIFIER = _rule("open-identifier", "RFC 6286 2.2", _R, _OPEN, _O.BAD_BGP_IDENTIFIER, Data.EMPTY,
                   "the BGP Identifier must not be zero")  # fmt: skip
IDENTIFIER_OURS = _rule("open-identifier-ours", "RFC 6286 2.2", _R, _OPEN, _O.BAD_BGP_IDENTIFIER, Data.EMPTY,
                        "an internal peer must not use our own BGP Identifier")  # fmt: skip
HOLD_TIME = _rule("open-hold-time", "RFC 4271 6.2", _R, _OPEN, _O.UNACCEPTABLE_HOLD_TIME, Data.EMPTY,
                  "the Hold Time must be zero or at least three seconds, and acceptable to us")  # fmt: skip
OPTIONAL_PARAMETER = _rule("open-parameter", "RFC 4271 6.2", _R, _OPEN, _O.UNSUPPORTED_OPTIONAL_PARAMETER,
                           Data.EMPTY, "the optional parameter is not recognized")  # fmt: skip
OPTIONAL_PARAMETER_MALFORMED = _rule("open-parameter-malformed", "RFC 4271 6.2", _R, _OPEN, _O.UNSPECIFIC,
                                     Data.EMPTY, "the optional parameters are malformed")  # fmt: skip
CAPABILITY_MALFORMED = _rule("open-capability-malformed", "RFC 5492 4", _R, _OPEN, _O.UNSPECIFIC,
                             Data.EMPTY, "a capability overruns its optional parameter")  # fmt: skip
CAPABILITY_REQUIRED = _rule("open-capability-required", "RFC 5492 3", _R, _OPEN, _O.UNSUPPORTED_CAPABILITY,
                            Data.CAPABILITIES, "the peer lacks a capability that we require")  # fmt: skip
ROLE_MISMATCH = _rule("open-role", "RFC 9234 4.2", _R, _OPEN, _O.ROLE_MISMATCH, Data.EMPTY,
                      "the peer's role does not go with ours")  # fmt: skip

# --- UPDATE: framing of the message ---------------------------------------------------------------------
ATTRIBUTE_LIST = _rule("attribute-list", "RFC 7606 3 b", _R, _UPDATE, _U.MALFORMED_ATTRIBUTE_LIST,
                       Data.EMPTY, "Withdrawn Routes or Path Attributes overrun the message")  # fmt: skip
NETWORK_FIELD = _rule("network-field", "RFC 7606 5.3", _R, _UPDATE, _U.INVALID_NETWORK_FIELD, Data.EMPTY,
                      "a prefix is longer than its family allows or overruns its field")  # fmt: skip
MP_REPEATED = _rule("mp-repeated", "RFC 7606 3 g", _R, _UPDATE, _U.MALFORMED_ATTRIBUTE_LIST, Data.EMPTY,
                    "MP_REACH_NLRI or MP_UNREACH_NLRI appears twice")  # fmt: skip
ATTRIBUTE_OVERRUN = _rule("attribute-overrun", "RFC 7606 4", _W, _UPDATE, _U.MALFORMED_ATTRIBUTE_LIST,
                          Data.EMPTY, "an attribute overruns the Path Attributes field")  # fmt: skip
ATTRIBUTE_REPEATED = _rule("attribute-repeated", "RFC 7606 3 g", _D, _UPDATE, _U.MALFORMED_ATTRIBUTE_LIST,
                           Data.EMPTY, "an attribute appears twice: the first one counts")  # fmt: skip
UNRECOGNIZED_WELL_KNOWN = _rule("unrecognized-well-known", "RFC 4271 6.3", _R, _UPDATE,
                                _U.UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE, Data.ATTRIBUTE,
                                "a well-known attribute is not recognized")  # fmt: skip
MISSING = _rule("missing", "RFC 7606 3 d", _W, _UPDATE, _U.MISSING_WELL_KNOWN_ATTRIBUTE,
                Data.ATTRIBUTE_TYPE, "a mandatory attribute is missing")  # fmt: skip

# --- UPDATE: the attributes, in ascending type order ---------------------------------------------------
ORIGIN_FLAGS = _flags("ORIGIN", "RFC 7606 3 c")
ORIGIN_LENGTH = _length("ORIGIN", "RFC 7606 7.1", _W, "1")
ORIGIN_VALUE = _rule("origin-value", "RFC 7606 7.1", _W, _UPDATE, _U.INVALID_ORIGIN_ATTRIBUTE,
                     Data.ATTRIBUTE, "ORIGIN must be 0, 1 or 2")  # fmt: skip
AS_PATH_FLAGS = _flags("AS_PATH", "RFC 7606 3 c")
AS_PATH_MALFORMED = _rule("as_path-malformed", "RFC 7606 7.2", _W, _UPDATE, _U.MALFORMED_AS_PATH, Data.EMPTY,
                          "AS_PATH has an unknown, empty or overrunning segment")  # fmt: skip
AS_PATH_SET = _rule("as_path-set", "RFC 9774 3", _W, _UPDATE, _U.MALFORMED_AS_PATH, Data.EMPTY,
                    "AS_PATH or AS4_PATH holds an AS_SET or AS_CONFED_SET")  # fmt: skip
AS_PATH_CONFEDERATION = _rule("as_path-confederation", "RFC 5065 5", _W, _UPDATE, _U.MALFORMED_AS_PATH,
                              Data.EMPTY,
                              "confederation segments do not fit this peer's place")  # fmt: skip
AS_PATH_ZERO = _rule("as_path-zero", "RFC 7607 2", _W, _UPDATE, _U.MALFORMED_AS_PATH, Data.EMPTY,
                     "AS_PATH holds AS 0")  # fmt: skip
AS_PATH_FIRST = _rule("as_path-first", "RFC 4271 6.3", _W, _UPDATE, _U.MALFORMED_AS_PATH, Data.EMPTY,
                      "AS_PATH does not begin with the AS of the external peer")  # fmt: skip
NEXT_HOP_FLAGS = _flags("NEXT_HOP", "RFC 7606 3 c")
NEXT_HOP_LENGTH = _length("NEXT_HOP", "RFC 7606 7.3", _W, "4")
NEXT_HOP_VALUE = _rule("next_hop-value", "RFC 4271 6.3", _W, _UPDATE, _U.INVALID_NEXT_HOP_ATTRIBUTE,
                       Data.ATTRIBUTE, "NEXT_HOP is not the address of a host")  # fmt: skip
MED_FLAGS = _flags("MULTI_EXIT_DISC", "RFC 7606 3 c")
MED_LENGTH = _length("MULTI_EXIT_DISC", "RFC 7606 7.4", _W, "4")
LOCAL_PREF_EXTERNAL = _rule("local_pref-external", "RFC 7606 7.5", _D, _UPDATE, _U.MALFORMED_ATTRIBUTE_LIST,
                            Data.EMPTY, "LOCAL_PREF from an external peer is discarded")  # fmt: skip
LOCAL_PREF_FLAGS = _flags("LOCAL_PREF", "RFC 7606 3 c")
LOCAL_PREF_LENGTH = _length("LOCAL_PREF", "RFC 7606 7.5", _W, "4")
ATOMIC_AGGREGATE_FLAGS = _flags("ATOMIC_AGGREGATE", "RFC 7606 3 f", _D)
ATOMIC_AGGREGATE_LENGTH = _length("ATOMIC_AGGREGATE", "RFC 7606 7.6", _D, "0")
AGGREGATOR_FLAGS = _flags("AGGREGATOR", "RFC 7606 3 f", _D)
AGGREGATOR_LENGTH = _length("AGGREGATOR", "RFC 7606 7.7", _D, "6, or 8 with four-octet AS numbers")
AGGREGATOR_ZERO = _rule("aggregator-zero", "RFC 7607 2", _D, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                        Data.ATTRIBUTE, "AGGREGATOR holds AS 0")  # fmt: skip
COMMUNITIES_FLAGS = _flags("COMMUNITIES", "RFC 7606 3 c")
COMMUNITIES_LENGTH = _length("COMMUNITIES", "RFC 7606 7.8", _W, "a non-zero multiple of 4")
ORIGINATOR_ID_EXTERNAL = _rule("originator_id-external", "RFC 7606 7.9", _D, _UPDATE,
                               _U.MALFORMED_ATTRIBUTE_LIST, Data.EMPTY,
                               "ORIGINATOR_ID from an external peer is discarded")  # fmt: skip
ORIGINATOR_ID_FLAGS = _flags("ORIGINATOR_ID", "RFC 7606 3 c")
ORIGINATOR_ID_LENGTH = _length("ORIGINATOR_ID", "RFC 7606 7.9", _W, "4")
CLUSTER_LIST_EXTERNAL = _rule("cluster_list-external", "RFC 7606 7.10", _D, _UPDATE,
                              _U.MALFORMED_ATTRIBUTE_LIST, Data.EMPTY,
                              "CLUSTER_LIST from an external peer is discarded")  # fmt: skip
CLUSTER_LIST_FLAGS = _flags("CLUSTER_LIST", "RFC 7606 3 c")
CLUSTER_LIST_LENGTH = _length("CLUSTER_LIST", "RFC 7606 7.10", _W, "a non-zero multiple of 4")
MP_FLAGS = _rule("mp-flags", "RFC 7606 5.3", _R, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR, Data.ATTRIBUTE,
                 "MP_REACH_NLRI or MP_UNREACH_NLRI has wrong flags")  # fmt: skip
MP_LENGTH = _rule("mp-length", "RFC 7606 5.3", _R, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR, Data.ATTRIBUTE,
                  "MP_REACH_NLRI or MP_UNREACH_NLRI is too short")  # fmt: skip
MP_NEXT_HOP = _rule("mp-next-hop", "RFC 7606 7.11", _R, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR, Data.ATTRIBUTE,
                    "the next hop's length does not fit the address family")  # fmt: skip
MP_NETWORK_FIELD = _rule("mp-network-field", "RFC 7606 5.3", _R, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                         Data.ATTRIBUTE,
                         "a prefix is longer than its family allows or overruns the attribute")  # fmt: skip
EXTENDED_COMMUNITIES_FLAGS = _flags("EXTENDED_COMMUNITIES", "RFC 7606 3 c")
EXTENDED_COMMUNITIES_LENGTH = _length("EXTENDED_COMMUNITIES", "RFC 7606 7.14", _W, "a non-zero multiple of 8")
AS4_PATH_FOUR_OCTET = _rule("as4_path-new", "RFC 6793 4.1", _D, _UPDATE, _U.MALFORMED_ATTRIBUTE_LIST,
                            Data.EMPTY, "AS4_PATH has no place among four-octet AS speakers")  # fmt: skip
AS4_PATH_FLAGS = _flags("AS4_PATH", "RFC 7606 3 c")
AS4_PATH_MALFORMED = _rule("as4_path-malformed", "RFC 6793 6", _D, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                           Data.ATTRIBUTE, "AS4_PATH is malformed")  # fmt: skip
AS4_PATH_CONFEDERATION = _rule("as4_path-confederation", "RFC 6793 6", _D, _UPDATE,
                               _U.OPTIONAL_ATTRIBUTE_ERROR, Data.ATTRIBUTE,
                               "confederation segments in AS4_PATH are dropped")  # fmt: skip
AS4_PATH_ZERO = _rule("as4_path-zero", "RFC 7607 2", _D, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                      Data.ATTRIBUTE, "AS4_PATH holds AS 0")  # fmt: skip
AS4_AGGREGATOR_FOUR_OCTET = _rule("as4_aggregator-new", "RFC 6793 4.1", _D, _UPDATE,
                                  _U.MALFORMED_ATTRIBUTE_LIST, Data.EMPTY,
                                  "AS4_AGGREGATOR has no place among four-octet AS speakers")  # fmt: skip
AS4_AGGREGATOR_FLAGS = _flags("AS4_AGGREGATOR", "RFC 7606 3 c")
AS4_AGGREGATOR_LENGTH = _length("AS4_AGGREGATOR", "RFC 6793 6", _D, "8")
AS4_AGGREGATOR_ZERO = _rule("as4_aggregator-zero", "RFC 7607 2", _D, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                            Data.ATTRIBUTE, "AS4_AGGREGATOR holds AS 0")  # fmt: skip
IPV6_EXTENDED_COMMUNITIES_FLAGS = _flags("IPV6_EXTENDED_COMMUNITIES", "RFC 7606 3 c")
IPV6_EXTENDED_COMMUNITIES_LENGTH = _length("IPV6_EXTENDED_COMMUNITIES", "RFC 7606 7.15", _W,
                                           "a non-zero multiple of 20")  # fmt: skip
AIGP_FLAGS = _flags("AIGP", "RFC 7311 3.2", _D)
AIGP_MALFORMED = _rule("aigp-malformed", "RFC 7311 3.2", _D, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                       Data.ATTRIBUTE, "AIGP is malformed")  # fmt: skip
AIGP_DISABLED = _rule("aigp-disabled", "RFC 7311 3.3", _D, _UPDATE, _U.OPTIONAL_ATTRIBUTE_ERROR,
                      Data.ATTRIBUTE, "AIGP is not enabled on this session")  # fmt: skip
LARGE_COMMUNITIES_FLAGS = _flags("LARGE_COMMUNITIES", "RFC 7606 3 c")
LARGE_COMMUNITIES_LENGTH = _length("LARGE_COMMUNITIES", "RFC 8092 6", _W, "a non-zero multiple of 12")
ONLY_TO_CUSTOMER_FLAGS = _flags("ONLY_TO_CUSTOMER", "RFC 7606 3 c")
ONLY_TO_CUSTOMER_LENGTH = _length("ONLY_TO_CUSTOMER", "RFC 9234 5", _W, "4")

# --- ROUTE-REFRESH, finite state machine, timers -------------------------------------------------------
ROUTE_REFRESH_LENGTH = _rule("route-refresh-length", "RFC 7313 5", _R, ErrorCode.ROUTE_REFRESH_MESSAGE_ERROR,
                             RouteRefreshErrorSubcode.INVALID_MESSAGE_LENGTH, Data.MESSAGE,
                             "a BoRR or EoRR must be 4 octets after the header")  # fmt: skip
HOLD_TIMER = _rule("hold-timer", "RFC 4271 6.5", _R, ErrorCode.HOLD_TIMER_EXPIRED, 0, Data.EMPTY,
                   "no KEEPALIVE or UPDATE arrived within the hold time")  # fmt: skip
SEND_HOLD_TIMER = _rule("send-hold-timer", "RFC 9687 4.3", _R, ErrorCode.SEND_HOLD_TIMER_EXPIRED, 0,
                        Data.EMPTY, "nothing could be sent within the send hold time")  # fmt: skip
FSM_OPEN_SENT = _rule("fsm-open-sent", "RFC 6608 4", _R, ErrorCode.FINITE_STATE_MACHINE_ERROR,
                      FsmSubcode.UNEXPECTED_MESSAGE_IN_OPEN_SENT, Data.TYPE,
                      "unexpected message in state OpenSent")  # fmt: skip
FSM_OPEN_CONFIRM = _rule("fsm-open-confirm", "RFC 6608 4", _R, ErrorCode.FINITE_STATE_MACHINE_ERROR,
                         FsmSubcode.UNEXPECTED_MESSAGE_IN_OPEN_CONFIRM, Data.TYPE,
                         "unexpected message in state OpenConfirm")  # fmt: skip
FSM_ESTABLISHED = _rule("fsm-established", "RFC 6608 4", _R, ErrorCode.FINITE_STATE_MACHINE_ERROR,
                        FsmSubcode.UNEXPECTED_MESSAGE_IN_ESTABLISHED, Data.TYPE,
                        "unexpected message in state Established")  # fmt: skip
FSM_EVENT = _rule("fsm-event", "RFC 4271 6.6", _R, ErrorCode.FINITE_STATE_MACHINE_ERROR,
                  FsmSubcode.UNSPECIFIED, Data.EMPTY, "unexpected event")  # fmt: skip
COLLISION = _rule("collision", "RFC 4271 6.8", _R, ErrorCode.CEASE,
                  CeaseSubcode.CONNECTION_COLLISION_RESOLUTION, Data.EMPTY,
                  "another connection with this peer was kept")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a message broke, and where.

    `offset` counts octets from the message's first header octet; `data` is the data field of the
    NOTIFICATION that the rule names; `attribute` is the attribute's type code, or None.
    """

    rule: Rule
    offset: int
    data: bytes = b""
    attribute: int | None = None
    # RFC 7606 5.2 and 3 j raise a rule's reaction where nothing can be withdrawn.
    outcome: Outcome = Outcome.OK

    @property
    def reaction(self) -> Outcome:
        return max(self.outcome, self.rule.outcome)

    def __str__(self) -> str:
        return f"{self.rule.text} ({self.rule.source}) at octet {self.offset}"


class Notify(Exception):
    """A fault that ends the session with a NOTIFICATION (RFC 4271 section 6)."""

    def __init__(
        self, code: int, subcode: int = 0, data: bytes = b"", reason: str = "", offset: int = 0
    ) -> None:
        super().__init__(code, subcode, data, reason, offset)
        self.code = code
        self.subcode = subcode
        self.data = data
        self.reason = reason
        self.offset = offset
        self.rule: Rule | None = None

    def __str__(self) -> str:
        return f"{self.code}/{self.subcode} {self.reason}".rstrip()

    @classmethod
    def of(cls, rule: Rule, data: bytes = b"", offset: int = 0) -> "Notify":
        """Return the NOTIFICATION that `rule` demands."""
        notify = cls(rule.code, rule.subcode, data, str(rule), offset)
        notify.rule = rule
        return notify
