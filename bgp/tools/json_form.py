"""The JSON form of a message: what it says, and what a receiver must do with it.

Every message has `type`, `length` (of all octets) and `outcome`: `ok`, `attribute-discard`,
`treat-as-withdraw` or `session-reset` (RFC 7606 section 2).  Where it is not `ok` there are also

    error       {code, subcode, name, data, rule, fault, offset}: the fault that decides, as the NOTIFICATION
                for it would tell it; `rule` is what was broken with its RFC and section, `fault` its name
                in `bgp.errors`, `offset` counts from the first octet of the header; `detail` is there where
                there is more to say, and `attribute` where one is at fault
    errors      all faults, where there are several
    message     the whole message in hexadecimal

and the rest is shown as far as it can be told.

    OPEN            version, my_as, hold_time, identifier, capabilities: [{code, name, ...}]
    UPDATE          withdrawn, announced   {family: [prefix, ...]}; with ADD-PATH {prefix, path_id}
                    next_hop               {family: address} of MP_REACH_NLRI; RFC 2545's two in one text
                    attributes             {name: value} in the message's order; NEXT_HOP is one of them
                    flags                  {name: [flag, ...]} of attributes whose flags are not the usual
                    asn_octets             2 on a session without four-octet AS numbers; then
                    merged_as_path         what AS_PATH and AS4_PATH tell together (RFC 6793 section 4.2.3)
                    end_of_rib             the family of an End-of-RIB
                    ignored                {withdrawn, announced} that a receiver passes over: multicast, or
                                           of a family that was not negotiated
    NOTIFICATION    error_code, error_subcode, name, data, shutdown_communication
    ROUTE-REFRESH   afi, safi, family, subtype

MP_REACH_NLRI and MP_UNREACH_NLRI of a negotiated family stand in `announced`, `next_hop` and `withdrawn`;
of another, in `attributes` with their octets.  `message` stands in a sound message, too, where its octets
are not those that `bgp.tools.build` makes of the other keys: a needless Extended Length, say, or bits
behind a prefix.
"""

from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any

from bgp.errors import MESSAGE_LENGTH, Fault, Notify, Outcome, Rule
from bgp.family import BY_CODE, IPV4_UNICAST, Family, family_name
from bgp.iana import (
    EXTENDED_MESSAGE_LENGTH,
    HEADER_LENGTH,
    MAXIMUM_MESSAGE_LENGTH,
    AttributeType,
    MessageType,
    RouteRefreshSubtype,
)
from bgp.tools import anatomy, attribute_form, build, capability_form
from bgp.tools.anatomy import Field
from bgp.tools.attribute_form import Unfit, key_of
from bgp.wire import aspath
from bgp.wire import message as messages
from bgp.wire import prefix as prefixes
from bgp.wire.attributes import EXTENDED_LENGTH, ROWS, AttributeTable
from bgp.wire.capability import Capability
from bgp.wire.context import Context
from bgp.wire.framing import Framer
from bgp.wire.message import Notification, Open, describe_error
from bgp.wire.update import Decoder, Update

_MP_REACH, _MP_UNREACH = AttributeType.MP_REACH_NLRI, AttributeType.MP_UNREACH_NLRI
_TYPE_NAMES = {int(member): member.name.replace("_", "-") for member in MessageType}


def read(octets: bytes, context: Context) -> dict[str, Any]:
    """Return the JSON form of a message, or of octets that should have been one; never raises."""
    update: Update | None = None
    message: messages.Message | None = None
    faults: tuple[Fault, ...] = ()
    outcome, error = Outcome.OK, None
    try:
        kind, body = _framed(octets, context)
        if kind == MessageType.UPDATE:
            update = _decoder(context).decode(body)
            outcome, faults = update.outcome, update.faults
            if faults:
                error = fault_form(next(fault for fault in faults if fault.reaction == outcome))
        else:
            message = messages.decode(kind, body)
    except Notify as notify:
        outcome, error = Outcome.SESSION_RESET, _notify_form(notify)
    found = _shown(octets, context, update)
    found["outcome"] = outcome.label
    if error is not None:
        found["error"] = error
        if len(faults) > 1:
            found["errors"] = [fault_form(fault) for fault in faults]
    # The forms of capabilities see to their own octets, so of an OPEN only their arrangement is in question.
    whole = messages.encode(message) if isinstance(message, Open) else _rebuilt(found)
    if error is not None or whole != octets:
        found["message"] = octets.hex()
    return found


def no_message(text: str, offset: int) -> dict[str, Any]:
    """Return the JSON form of input that is not even octets; `offset` counts its characters."""
    error = {
        "code": None,
        "subcode": None,
        "name": "no message",
        "data": "",
        "rule": text,
        "fault": "input",
        "offset": offset,
    }
    return {"type": None, "length": 0, "outcome": Outcome.SESSION_RESET.label, "error": error}


@lru_cache(maxsize=64)
def _decoder(context: Context) -> Decoder:
    return Decoder(context, AttributeTable())


def _framed(octets: bytes, context: Context) -> tuple[int, bytes]:
    """Return type and body; raise Notify where the header is wrong, or its Length not that of the octets."""
    framer = Framer(EXTENDED_MESSAGE_LENGTH if context.extended_messages else MAXIMUM_MESSAGE_LENGTH)
    framer.feed(octets)
    found = framer.next()
    if found is None or framer.buffered:
        notify = Notify.of(MESSAGE_LENGTH, octets[16:18], 16)
        length = int.from_bytes(octets[16:18], "big")
        notify.reason = f"the Length is {length}, but there are {len(octets)} octets"
        if len(octets) < HEADER_LENGTH:
            notify.reason = f"{len(octets)} octets are no whole header"
        raise notify
    return found


def _rebuilt(found: dict[str, Any]) -> bytes:
    try:
        return build.message(found)
    except Unfit:
        return b""


# --- What was wrong ------------------------------------------------------------------------------------


def fault_form(fault: Fault) -> dict[str, Any]:
    """Return the JSON form of a fault."""
    form = _error_form(fault.rule, fault.rule.code, fault.rule.subcode, fault.data, fault.offset)
    if fault.attribute is not None:
        form["attribute"] = key_of(fault.attribute)
    form["outcome"] = fault.reaction.label
    return form


def _notify_form(notify: Notify) -> dict[str, Any]:
    form = _error_form(notify.rule, notify.code, notify.subcode, notify.data, notify.offset)
    if notify.rule is None or notify.reason != str(notify.rule):
        form["detail"] = notify.reason
    form["outcome"] = Outcome.SESSION_RESET.label
    return form


def _error_form(rule: Rule | None, code: int, subcode: int, data: bytes, offset: int) -> dict[str, Any]:
    return {
        "code": int(code),
        "subcode": int(subcode),
        "name": describe_error(code, subcode),
        "data": data.hex(),
        "rule": f"{rule.source}: {rule.text}" if rule else "",
        "fault": rule.name if rule else "",
        "offset": offset,
    }


# --- What it says --------------------------------------------------------------------------------------


def _shown(octets: bytes, context: Context, update: Update | None) -> dict[str, Any]:
    """Return the fields of a message, good or bad, as far as they can be told."""
    if len(octets) < HEADER_LENGTH:
        return {"type": None, "length": len(octets)}
    kind, body = octets[18], octets[HEADER_LENGTH:]
    found: dict[str, Any] = {"type": _TYPE_NAMES.get(kind, f"type-{kind}"), "length": len(octets)}
    match kind:
        case MessageType.OPEN:
            found.update(_open(body))
        case MessageType.UPDATE:
            found.update(_update(body, context, update))
        case MessageType.NOTIFICATION:
            found.update(_notification(body))
        case MessageType.ROUTE_REFRESH:
            found.update(_route_refresh(body))
    return found


def _open(body: bytes) -> dict[str, Any]:
    opened = anatomy.open_(body)
    identifier = None if opened.identifier is None else str(IPv4Address(opened.identifier))
    return {
        "version": opened.version,
        "my_as": opened.my_as,
        "hold_time": opened.hold_time,
        "identifier": identifier,
        "capabilities": [
            capability_form.read(Capability(code, value)) for _, code, value in opened.capabilities
        ],
    }


def _notification(body: bytes) -> dict[str, Any]:
    if len(body) < 2:
        return {}
    notification = Notification(body[0], body[1], body[2:])
    found: dict[str, Any] = {
        "error_code": body[0],
        "error_subcode": body[1],
        "name": describe_error(body[0], body[1]),
        "data": body[2:].hex(),
    }
    if notification.communication:
        found["shutdown_communication"] = notification.communication
    return found


def _route_refresh(body: bytes) -> dict[str, Any]:
    if len(body) < 4:
        return {}
    subtype: object = body[2]
    if body[2] in set(RouteRefreshSubtype):
        subtype = RouteRefreshSubtype(body[2]).name.lower().replace("_", "-")
    afi, safi = body[0] << 8 | body[1], body[3]
    return {"afi": afi, "safi": safi, "family": family_name(afi, safi), "subtype": subtype}


class Told:
    """The parts of an UPDATE's JSON form while they are collected."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.withdrawn: dict[str, list[Any]] = {}
        self.announced: dict[str, list[Any]] = {}
        self.next_hop: dict[str, str] = {}
        self.attributes: dict[str, Any] = {}
        self.flags: dict[str, list[str]] = {}
        self.ignored: dict[str, dict[str, list[Any]]] = {}

    def routes(self, field: Field, family: Family, key: str) -> None:
        """Add the routes of an NLRI field to `withdrawn` or `announced`, or to what is ignored of it."""
        path_ids = family in self.context.add_path
        found, _ = anatomy.routes(field, family, path_ids)
        text, name = prefixes.text, family.name
        taken, passed = [], []
        negotiated = family in self.context.families
        for _, path_id, prefix in found:
            item = {"prefix": text(family, prefix), "path_id": path_id} if path_ids else text(family, prefix)
            if negotiated and (prefix[0] < 4 or prefixes.split(prefix, family)):
                taken.append(item)
            else:
                passed.append(item)
        if taken:
            target = self.withdrawn if key == "withdrawn" else self.announced
            target.setdefault(name, []).extend(taken)
        if passed:
            self.ignored.setdefault(key, {}).setdefault(name, []).extend(passed)


def _update(body: bytes, context: Context, update: Update | None) -> dict[str, Any]:
    parts = anatomy.update(body)
    told = Told(context)
    width = 4 if context.four_octet_as else 2
    if parts.withdrawn.octets:
        told.routes(parts.withdrawn, IPV4_UNICAST, "withdrawn")
    collect(parts.attributes, told, width)
    if parts.nlri.octets:
        told.routes(parts.nlri, IPV4_UNICAST, "announced")
    found: dict[str, Any] = {} if context.four_octet_as else {"asn_octets": 2}
    if update is not None and update.end_of_rib is not None:
        found["end_of_rib"] = update.end_of_rib.name
        told.withdrawn.pop(update.end_of_rib.name, None)
    found.update(withdrawn=told.withdrawn, announced=told.announced)
    if told.next_hop:
        found["next_hop"] = told.next_hop
    found["attributes"] = told.attributes
    if update is not None and update.announced and width == 2 and "as4_path" in told.attributes:
        found["merged_as_path"] = aspath.text(update.announced[0].attributes.as_path)
    if told.flags:
        found["flags"] = told.flags
    if told.ignored:
        found["ignored"] = told.ignored
    return found


def collect(listed: tuple[anatomy.Attribute, ...], told: Told, width: int) -> None:
    """Collect attributes; of one that appears twice the first counts (RFC 7606 section 3 g)."""
    for _, flags, type_, value, end in listed:
        key = key_of(type_)
        row = ROWS.get(type_)
        if row is None or flags != row.flags | (EXTENDED_LENGTH if len(value) > 255 else 0):
            told.flags.setdefault(key, flag_names(flags))
        if type_ == _MP_REACH and _reach(value, end, told):
            continue
        if type_ == _MP_UNREACH and _unreach(value, end, told):
            continue
        told.attributes.setdefault(key, _value(type_, value, width))


def flag_names(flags: int) -> list[str]:
    """Return the names of an attribute's flags; the four without name as such as "0x08"."""
    named = [name for name, bit in build.FLAG_NAMES.items() if flags & bit]
    return named + [f"0x{bit:02x}" for bit in (8, 4, 2, 1) if flags & bit]


def _value(type_: int, value: bytes, width: int) -> Any:
    if type_ == _MP_REACH and len(value) >= 5 and len(value) >= 5 + value[3]:
        family = family_name(value[0] << 8 | value[1], value[2])
        end = 4 + value[3]
        return {"family": family, "next_hop": value[4:end].hex(), "nlri": value[end + 1 :].hex()}
    if type_ == _MP_UNREACH and len(value) >= 3:
        return {"family": family_name(value[0] << 8 | value[1], value[2]), "nlri": value[3:].hex()}
    return attribute_form.read(type_, value, width)


def _reach(value: bytes, end: int, told: Told) -> bool:
    """Collect MP_REACH_NLRI; return False where it is not of a negotiated family or too short."""
    family = BY_CODE.get((int.from_bytes(value[:2], "big"), value[2])) if len(value) > 4 else None
    if family not in told.context.families or family is None or len(value) < 5 + value[3]:
        return False
    octets = value[4 : 4 + value[3]]
    nlri = value[5 + value[3] :]
    told.next_hop[family.name] = next_hop_text(octets)
    told.announced.setdefault(family.name, [])
    told.routes(Field(end - len(nlri), nlri), family, "announced")
    return True


def _unreach(value: bytes, end: int, told: Told) -> bool:
    family = BY_CODE.get((int.from_bytes(value[:2], "big"), value[2])) if len(value) > 2 else None
    if family not in told.context.families or family is None:
        return False
    told.withdrawn.setdefault(family.name, [])
    told.routes(Field(end - len(value) + 3, value[3:]), family, "withdrawn")
    return True


def next_hop_text(octets: bytes) -> str:
    """Return a next hop as text, in hexadecimal where it has not the length of one."""
    return prefixes.address_text(octets) if len(octets) in (4, 16, 32) else f"0x{octets.hex()}"
