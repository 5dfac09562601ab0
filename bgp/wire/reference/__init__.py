"""What an UPDATE means, written from the RFCs' tables: slow, obvious, and the judge of the fast path.

`decode` reads a body by the grammar and gives its outcome under RFC 7606.  The steps are those of the
text: the length fields, the withdrawn routes, the attributes one by one, what is missing, the routes, and
then the strongest reaction.

Nothing is shared with the fast path but the numbers, the table of faults, the families and the context.
"""

from dataclasses import dataclass
from io import BytesIO

from bgp import errors
from bgp.errors import Data, Fault, Notify, Outcome, Rule
from bgp.family import BY_CODE, IPV4_UNICAST, Family
from bgp.iana import HEADER_LENGTH, Afi, AttributeFlag, AttributeType, SegmentType
from bgp.wire.context import Context
from bgp.wire.grammar import update as grammar
from bgp.wire.reference import canonical
from bgp.wire.reference.attribute import ATTRIBUTES, NON_TRANSITIVE, TRANSITIVE, Attribute, category, judge
from bgp.wire.reference.verdict import Announcement, Route, Segments, Values, Verdict, Withdrawal

__all__ = ["Announcement", "Route", "Segments", "Values", "Verdict", "Withdrawal", "decode"]

T = AttributeType
_MULTIPROTOCOL = (T.MP_REACH_NLRI, T.MP_UNREACH_NLRI)
_IPV4_UNICAST = (IPV4_UNICAST.afi, IPV4_UNICAST.safi)


def decode(body: bytes, context: Context) -> Verdict:
    """Return what a receiver does with the UPDATE of this body; raise Notify where it ends the session."""
    fields = _fields(body)
    faults: list[Fault] = []
    ignored: list[tuple[int, int]] = []
    # The fields of RFC 4271 itself hold IPv4 unicast, which need not be negotiated (RFC 4760 section 8).
    classic = IPV4_UNICAST in context.families

    # --- Withdrawn Routes (RFC 7606 3 i: checked as strictly as NLRI)
    withdrawn: list[Withdrawal] = []
    if fields.withdrawn and not classic:
        ignored.append(_IPV4_UNICAST)
    elif fields.withdrawn:
        try:
            routes = _routes(fields.withdrawn, IPV4_UNICAST, context)
            withdrawn.append(Withdrawal(IPV4_UNICAST, routes))
        except _BadRoute as bad:
            faults.append(Fault(errors.NETWORK_FIELD, fields.withdrawn_at + bad.offset))

    # --- Path Attributes
    attributes, overrun = _walk(fields.attributes, fields.attributes_at)
    met = {attribute.type for attribute in attributes}
    # RFC 4760 section 3: beside MP_REACH_NLRI alone, NEXT_HOP means nothing and is ignored.
    next_hop_counts = bool(fields.nlri) or T.MP_REACH_NLRI not in met
    seen: set[int] = set()
    kept: dict[int, Attribute] = {}
    reach: _Multiprotocol | None = None
    unreach: _Multiprotocol | None = None
    for attribute in attributes:
        rule: Rule | None = None
        if attribute.type in seen:
            # RFC 7606 3 g
            rule = errors.MP_REPEATED if attribute.type in _MULTIPROTOCOL else errors.ATTRIBUTE_REPEATED
        elif attribute.type in _MULTIPROTOCOL:
            try:
                multiprotocol = _multiprotocol(attribute, context)
                if multiprotocol.family is None:
                    ignored.append((multiprotocol.afi, multiprotocol.safi))
                if attribute.type == T.MP_REACH_NLRI:
                    reach = multiprotocol
                else:
                    unreach = multiprotocol
            except _Broken as broken:
                rule = broken.rule
        elif attribute.type == T.NEXT_HOP and not next_hop_counts:
            pass
        elif attribute.type in ATTRIBUTES:
            rule = judge(attribute, context)
            # Of the faults only this one leaves something to use: the other segments (RFC 6793 6).
            if rule in (None, errors.AS4_PATH_CONFEDERATION):
                kept[attribute.type] = attribute
        elif not attribute.flags & AttributeFlag.OPTIONAL:
            rule = errors.UNRECOGNIZED_WELL_KNOWN
        elif category(attribute.flags) == TRANSITIVE:
            kept[attribute.type] = attribute
        # What is left is unrecognized and non-transitive: "quietly ignored" (RFC 4271 section 5).
        seen.add(attribute.type)
        if rule:
            faults.append(_fault(rule, attribute))
    if overrun is not None:
        faults.append(Fault(errors.ATTRIBUTE_OVERRUN, overrun))

    # --- The leftmost AS (RFC 4271 section 6.3), of the whole path
    values = canonical.values(kept, context)
    external = not context.internal and not context.confederation
    if context.first_as and external and T.AS_PATH in kept and not _begins(values.as_path, context.peer_as):
        faults.append(_fault(errors.AS_PATH_FIRST, kept[T.AS_PATH]))
        faults.sort(key=lambda fault: fault.offset)

    # --- Missing attributes (RFC 7606 3 d, RFC 4271 section 5)
    reachable = bool(fields.nlri) or bool(reach and reach.nlri)
    used = bool(classic and fields.nlri) or bool(reach and reach.family and reach.nlri)
    if used and overrun is None:
        mandatory = [T.ORIGIN, T.AS_PATH]
        mandatory += [T.NEXT_HOP] if classic and fields.nlri else []
        mandatory += [T.LOCAL_PREF] if context.internal else []
        missing = [type for type in mandatory if type not in met]
        faults += [Fault(errors.MISSING, fields.nlri_at, bytes([type]), type) for type in missing]

    # --- Network Layer Reachability Information
    announced_routes: tuple[Route, ...] = ()
    if fields.nlri and not classic:
        ignored.append(_IPV4_UNICAST)
    elif fields.nlri:
        try:
            announced_routes = _routes(fields.nlri, IPV4_UNICAST, context)
        except _BadRoute as bad:
            faults.append(Fault(errors.NETWORK_FIELD, fields.nlri_at + bad.offset))

    # --- The strongest reaction (RFC 7606 3 h)
    resets = [fault for fault in faults if fault.rule.outcome is Outcome.SESSION_RESET]
    withdraws = [fault for fault in faults if fault.rule.outcome is Outcome.TREAT_AS_WITHDRAW]
    beside_unreach = bool(met - {T.MP_UNREACH_NLRI}) or overrun is not None
    if not resets and withdraws and beside_unreach and not reachable:
        # RFC 7606 5.2: "we cannot be confident that the NLRI have been successfully parsed".
        resets = withdraws
    if resets:
        raise Notify.of(resets[0].rule, resets[0].data, resets[0].offset)

    if unreach and unreach.family:
        withdrawn.append(Withdrawal(unreach.family, unreach.routes))
    reached: list[tuple[Family, tuple[Route, ...], bytes]] = []
    if reach and reach.family:
        reached.append((reach.family, reach.routes, reach.next_hop))
    if announced_routes:
        next_hop = kept[T.NEXT_HOP].value if T.NEXT_HOP in kept else b""
        reached.append((IPV4_UNICAST, announced_routes, next_hop))
    announced: list[Announcement] = []
    if withdraws:
        withdrawn += [Withdrawal(family, routes) for family, routes, _ in reached]
    else:
        announced = [
            Announcement(family, routes, next_hop, canonical.octets(kept, values), values)
            for family, routes, next_hop in reached
            if routes
        ]

    if not (fields.withdrawn or fields.attributes or fields.nlri or classic):
        ignored.append(_IPV4_UNICAST)  # the End-of-RIB of IPv4 unicast
    return Verdict(
        outcome=max((fault.rule.outcome for fault in faults), default=Outcome.OK),
        faults=tuple(faults),
        withdrawn=tuple(withdrawal for withdrawal in withdrawn if withdrawal.routes),
        announced=tuple(announced),
        end_of_rib=_end_of_rib(fields, attributes, unreach, context),
        ignored=tuple(ignored),
    )


# --- The message's fields -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fields:
    """The three fields of the body, and where each begins, counted from the header's first octet."""

    withdrawn: bytes
    attributes: bytes
    nlri: bytes

    @property
    def withdrawn_at(self) -> int:
        return HEADER_LENGTH + 2

    @property
    def attributes_at(self) -> int:
        return self.withdrawn_at + len(self.withdrawn) + 2

    @property
    def nlri_at(self) -> int:
        return self.attributes_at + len(self.attributes)


def _fields(body: bytes) -> _Fields:
    # RFC 7606 3 b: "if Withdrawn Routes Length + Total Attribute Length + 23 exceeds the message Length".
    withdrawn_length = int.from_bytes(body[:2], "big")
    if withdrawn_length + 4 > len(body):
        raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH)
    try:
        fields = grammar.FIELDS.parse(body)
    except grammar.Malformed:
        at = HEADER_LENGTH + 2 + withdrawn_length
        raise Notify.of(errors.ATTRIBUTE_LIST, offset=at) from None
    return _Fields(fields.withdrawn_routes, fields.path_attributes, fields.nlri)


def _walk(field: bytes, at: int) -> tuple[list[Attribute], int | None]:
    """Return the attributes of `field`, which begins at `at`, and the offset of one that overruns it."""
    stream = BytesIO(field)
    found: list[Attribute] = []
    while (start := stream.tell()) < len(field):
        try:
            attribute = grammar.PATH_ATTRIBUTE.parse_stream(stream)
        except grammar.Malformed:
            return found, at + start
        octets = field[start : stream.tell()]
        found.append(Attribute(at + start, octets[0], attribute.type, octets, attribute.value))
    return found, None


def _fault(rule: Rule, attribute: Attribute) -> Fault:
    data = attribute.octets if rule.data is Data.ATTRIBUTE else b""
    return Fault(rule, attribute.offset, data, attribute.type)


# --- Routes ---------------------------------------------------------------------------------------------


class _BadRoute(Exception):
    """A route overruns its field or is longer than its family allows, at `offset` in the field."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def _routes(field: bytes, family: Family, context: Context) -> tuple[Route, ...]:
    """Return the routes of `field`, without those that RFC 4271 section 6.3 has ignored."""
    stream = BytesIO(field)
    route = grammar.route(family.bits, family in context.add_path)
    routes: list[Route] = []
    while (start := stream.tell()) < len(field):
        try:
            parsed = route.parse_stream(stream)
        except grammar.Malformed:
            raise _BadRoute(start) from None
        routes.append((parsed.path_id, _prefix(parsed.length, parsed.prefix)))
    return tuple((path_id, prefix) for path_id, prefix in routes if not _multicast(family, prefix))


def _prefix(length: int, octets: bytes) -> bytes:
    """Return the prefix as it is on the wire, its irrelevant bits cleared (RFC 4271 section 4.3)."""
    spare = len(octets) * 8 - length
    address = int.from_bytes(octets, "big") >> spare << spare
    return bytes([length]) + address.to_bytes(len(octets), "big")


def _multicast(family: Family, prefix: bytes) -> bool:
    # RFC 4271 section 6.3: "semantically incorrect (e.g., an unexpected multicast IP address)" prefixes are
    # ignored: 224.0.0.0/4 (RFC 5771 section 3) and ff00::/8 (RFC 4291 section 2.7).
    if family.afi == Afi.IPV4:
        return prefix[0] >= 4 and 224 <= prefix[1] <= 239
    return prefix[0] >= 8 and prefix[1] == 0xFF


# --- MP_REACH_NLRI and MP_UNREACH_NLRI ------------------------------------------------------------------


class _Broken(Exception):
    """An attribute breaks `rule`."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class _Multiprotocol:
    """A readable MP_REACH_NLRI or MP_UNREACH_NLRI; without a family, and routes, if not negotiated."""

    afi: int
    safi: int
    family: Family | None
    next_hop: bytes
    nlri: bytes
    routes: tuple[Route, ...]


def _multiprotocol(attribute: Attribute, context: Context) -> _Multiprotocol:
    """Take the attribute apart; raise _Broken for what RFC 7606 5.3 and 7.11 call incorrect."""
    if category(attribute.flags) != NON_TRANSITIVE:
        raise _Broken(errors.MP_FLAGS)
    reach = attribute.type == T.MP_REACH_NLRI
    try:
        parsed = (grammar.MP_REACH_NLRI if reach else grammar.MP_UNREACH_NLRI).parse(attribute.value)
    except grammar.Malformed:
        raise _Broken(errors.MP_LENGTH) from None
    next_hop: bytes = parsed.next_hop if reach else b""
    nlri: bytes = parsed.nlri if reach else parsed.withdrawn_routes
    family = BY_CODE.get((parsed.afi, parsed.safi))
    if family not in context.families or family is None:
        return _Multiprotocol(parsed.afi, parsed.safi, None, next_hop, nlri, ())
    if reach and len(next_hop) not in _next_hop_lengths(family, context):
        raise _Broken(errors.MP_NEXT_HOP)
    try:
        routes = _routes(nlri, family, context)
    except _BadRoute:
        raise _Broken(errors.MP_NETWORK_FIELD) from None
    return _Multiprotocol(parsed.afi, parsed.safi, family, next_hop, nlri, routes)


def _next_hop_lengths(family: Family, context: Context) -> frozenset[int]:
    if family in context.extended_next_hop:
        return family.next_hop_lengths | family.extended_next_hop_lengths
    return family.next_hop_lengths


# --- The whole ------------------------------------------------------------------------------------------


def _begins(path: Segments, asn: int) -> bool:
    return bool(path) and path[0][0] == SegmentType.AS_SEQUENCE and path[0][1][0] == asn


def _end_of_rib(
    fields: _Fields, attributes: list[Attribute], unreach: _Multiprotocol | None, context: Context
) -> Family | None:
    """Return the family whose End-of-RIB this is (RFC 4724 section 2), if it is one."""
    if fields.withdrawn or fields.nlri:
        return None
    if not fields.attributes:
        return IPV4_UNICAST if IPV4_UNICAST in context.families else None
    if len(attributes) == 1 and unreach and not unreach.nlri:
        return unreach.family
    return None
