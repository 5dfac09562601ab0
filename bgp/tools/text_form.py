"""The readable form of a message: a line for each field with its offset, and what was wrong with it.

Offsets are decimal and count from the first octet of the header, as in the RFCs' rules; the lines of
octets begin with theirs in hexadecimal, as dumps do.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

from bgp.family import BY_CODE, IPV4_UNICAST, Family, family_name
from bgp.iana import HEADER_LENGTH, AttributeType, MessageType
from bgp.tools import anatomy, attribute_form
from bgp.tools.anatomy import Field
from bgp.tools.json_form import flag_names, next_hop_text
from bgp.wire import prefix as prefixes
from bgp.wire.attributes import EXTENDED_LENGTH, ROWS
from bgp.wire.capability import Capability, describe
from bgp.wire.context import Context
from bgp.wire.message import Notification
from bgp.wire.text import printable

_MP_REACH, _MP_UNREACH = AttributeType.MP_REACH_NLRI, AttributeType.MP_UNREACH_NLRI
_UPDATE = bytes((MessageType.UPDATE,))
_ROW = 16
_MOST_ROWS = 16


def lines(octets: bytes, context: Context, told: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a message; `told` is its JSON form, with the keys of where it was found."""
    kind = told["type"] or "no message"
    yield f"{kind}, {len(octets)} octets: {told['outcome']}{_origin(told)}"
    if told["type"] is not None:
        yield from _fields(octets, context)
    if "end_of_rib" in told:
        yield f"      End-of-RIB of {told['end_of_rib']}"
    if "merged_as_path" in told:
        yield f"      AS_PATH and AS4_PATH together: {told['merged_as_path']}"
    for error in told.get("errors") or ([told["error"]] if "error" in told else []):
        yield from _error(octets, error, context)


def record_lines(told: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of what is no message: a state change, a table's entries, missing octets."""
    kind = told["type"]
    if kind == "RIB":
        entries = told["entries"]
        yield f"RIB {told['family']} {told['prefix']}, {len(entries)} entries{_origin(told)}"
        for entry in entries:
            yield from _entry(entry)
        return
    rest = ("type", "record", "time", "offset", "packet", "from", "to", "peers")
    words = [f"{key} {_plain(value)}" for key, value in told.items() if key not in rest]
    yield f"{kind}{_origin(told)}: {', '.join(words)}"
    for index, peer in enumerate(told.get("peers", ())):
        yield f"    peer {index}: {_plain(peer)}"


def _origin(told: dict[str, Any]) -> str:
    """Return where a message or record was found, for the end of its first line."""
    words = []
    if "from" in told:
        words.append(f"{told['from']} > {told['to']}")
    if told.get("time"):
        words.append(told["time"])
    if "packet" in told:
        words.append(f"packet {told['packet']}")
    if "record" in told:
        words.append(told["record"])
    if "offset" in told:
        words.append(f"at octet {told['offset']}")
    return f" ({', '.join(words)})" if words else ""


def _entry(entry: dict[str, Any]) -> Iterator[str]:
    path = f", path {entry['path_id']}" if "path_id" in entry else ""
    yield f"    from {_plain(entry['peer'])}{path}, originated {entry['originated']}"
    yield f"        next hop {entry['next_hop']}"
    for key, value in entry["attributes"].items():
        type_ = attribute_form.type_of(key)
        if type_ != AttributeType.NEXT_HOP:
            flags = " ".join(entry.get("flags", {}).get(key, ()))
            yield f"        {_attribute_name(type_ or 0)}{f' [{flags}]' if flags else ''} {_plain(value)}"
    if "left" in entry:
        yield f"        octets that are no whole attribute: {entry['left']}"


def _plain(value: Any) -> str:
    """Return a JSON value in words."""
    if isinstance(value, dict):
        if set(value) == {"value"}:
            return f"0x{value['value']}"
        return " ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(_plain(item) for item in value)
    return printable(str(value))


# --- Fields --------------------------------------------------------------------------------------------


def _fields(octets: bytes, context: Context) -> Iterator[str]:
    body = octets[HEADER_LENGTH:]
    match octets[HEADER_LENGTH - 1]:
        case MessageType.OPEN:
            yield from _open(body)
        case MessageType.UPDATE:
            yield from _update(body, context)
        case MessageType.NOTIFICATION if len(body) >= 2:
            yield _line(19, str(Notification(body[0], body[1], body[2:])))
        case MessageType.ROUTE_REFRESH if len(body) >= 4:
            yield _line(19, f"{family_name(body[0] << 8 | body[1], body[3])}, subtype {body[2]}")


def _line(offset: int, text: str, depth: int = 0) -> str:
    return f"{offset:6}  {'  ' * depth}{text}"


def _heading(field: Field, name: str) -> str:
    return _line(field.offset, f"{name}, {len(field.octets)} octets")


def _open(body: bytes) -> Iterator[str]:
    opened = anatomy.open_(body)
    if opened.version is not None:
        yield _line(19, f"version {opened.version}")
    if opened.my_as is not None:
        yield _line(20, f"my autonomous system {opened.my_as}")
    if opened.hold_time is not None:
        yield _line(22, f"hold time {opened.hold_time}")
    if opened.identifier is not None:
        yield _line(24, f"identifier {IPv4Address(opened.identifier)}")
    for offset, code, value in opened.capabilities:
        yield _line(offset, f"capability {describe(Capability(code, value))}", 1)
    if opened.left.octets:
        yield _line(opened.left.offset, f"not readable: {opened.left.octets.hex()}", 1)


def _update(body: bytes, context: Context) -> Iterator[str]:
    parts = anatomy.update(body)
    if parts.withdrawn.octets:
        yield _heading(parts.withdrawn, "withdrawn routes")
        yield from _routes(parts.withdrawn, IPV4_UNICAST, context)
    if parts.attribute_octets.octets:
        yield _line(
            parts.attribute_octets.offset, f"path attributes, {len(parts.attribute_octets.octets)} octets"
        )
    for attribute in parts.attributes:
        yield from _attribute(attribute, context)
    if parts.left.octets:
        yield _line(parts.left.offset, f"no whole attribute: {parts.left.octets.hex()}", 1)
    if parts.nlri.octets:
        yield _line(
            parts.nlri.offset, f"network layer reachability information, {len(parts.nlri.octets)} octets"
        )
        yield from _routes(parts.nlri, IPV4_UNICAST, context)


def _attribute_name(type_: int) -> str:
    return ROWS[type_].name if type_ in ROWS else f"attribute {type_}"


def _attribute(attribute: anatomy.Attribute, context: Context) -> Iterator[str]:
    offset, flags, type_, value, end = attribute
    usual = ROWS[type_].flags | (EXTENDED_LENGTH if len(value) > 255 else 0) if type_ in ROWS else -1
    name = _attribute_name(type_) + ("" if flags == usual else f" [{' '.join(flag_names(flags))}]")
    at = 4 if type_ == _MP_REACH else 3
    if type_ in (_MP_REACH, _MP_UNREACH) and len(value) >= at:
        code = value[0] << 8 | value[1], value[2]
        text = family_name(*code)
        if type_ == _MP_REACH:
            text += f", next hop {next_hop_text(value[4 : 4 + value[3]])}"
            at = min(5 + value[3], len(value))
        yield _line(offset, f"{name} {text}", 1)
        field = Field(end - len(value) + at, value[at:])
        if code in BY_CODE:
            yield from _routes(field, BY_CODE[code], context)
        elif field.octets:
            yield _line(field.offset, field.octets.hex(), 2)
    else:
        width = 4 if context.four_octet_as else 2
        yield _line(offset, f"{name} {_plain(attribute_form.read(type_, value, width))}", 1)


def _routes(field: Field, family: Family, context: Context) -> Iterator[str]:
    found, left = anatomy.routes(field, family, family in context.add_path)
    for offset, path_id, prefix in found:
        path = "" if path_id is None else f" path {path_id}"
        yield _line(offset, f"{prefixes.text(family, prefix)}{path}", 2)
    if left.octets:
        yield _line(left.offset, f"no prefix: {left.octets.hex()}", 2)


# --- What was wrong ------------------------------------------------------------------------------------


def _error(octets: bytes, error: dict[str, Any], context: Context) -> Iterator[str]:
    detail = f"; {error['detail']}" if "detail" in error else ""
    yield f"    {error.get('outcome', 'error')} at octet {error['offset']}: {error['rule']}{detail}"
    if error["code"] is not None:
        data = f", data {error['data']}" if error["data"] else ""
        yield f"    NOTIFICATION {error['code']}/{error['subcode']} {error['name']}{data}"
        yield from dump(octets, error["offset"], _extent(octets, error, context))


def _extent(octets: bytes, error: dict[str, Any], context: Context) -> int:
    """Return how many octets from the offset on are at fault: those in the NOTIFICATION, or a field."""
    offset: int = error["offset"]
    data = bytes.fromhex(error["data"])
    if data and octets.startswith(data, offset):
        return len(data)
    if octets[HEADER_LENGTH - 1 : HEADER_LENGTH] != _UPDATE:
        return 1
    parts = anatomy.update(octets[HEADER_LENGTH:])
    for attribute in parts.attributes:
        if attribute.offset == offset:
            return attribute.end - offset
    path_ids = IPV4_UNICAST in context.add_path
    routes = [anatomy.routes(field, IPV4_UNICAST, path_ids)[1] for field in (parts.withdrawn, parts.nlri)]
    return next((len(found) for at, found in (parts.left, *routes) if at == offset and found), 1)


def dump(octets: bytes, offset: int, size: int) -> Iterator[str]:
    """Yield the rows of octets around `offset`, with marks below the `size` octets from there on."""
    first = max(offset // _ROW - 1, 0)
    last = min((max(offset + size, 1) - 1) // _ROW + 1, first + _MOST_ROWS, max(len(octets) - 1, 0) // _ROW)
    for row in range(first, last + 1):
        start = row * _ROW
        yield f"      {start:04x}  {octets[start : start + _ROW].hex(' ')}"
        left, right = max(offset - start, 0), min(offset + size - start, _ROW)
        if left < right:
            yield " " * (12 + 3 * left) + "^" * (3 * (right - left) - 1)
