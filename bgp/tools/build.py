"""From the JSON form of a message back to its octets; the inverse of `bgp.tools.json_form`.

Every value is checked, and what does not fit is an `Unfit` with the key that it stands under and what to
write instead.  Keys that only tell of a message (its length, its outcome) are passed over.
"""

import difflib
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from bgp.family import BY_CODE, IPV4_UNICAST, family_name
from bgp.iana import (
    EXTENDED_MESSAGE_LENGTH,
    HEADER_LENGTH,
    MAXIMUM_MESSAGE_LENGTH,
    AttributeFlag,
    AttributeType,
    MessageType,
    RouteRefreshSubtype,
)
from bgp.tools import attribute_form, capability_form
from bgp.tools.attribute_form import Unfit, hexadecimal, key_of, number, type_of
from bgp.wire.attributes import EXTENDED_LENGTH, ROWS
from bgp.wire.capability import Capability
from bgp.wire.framing import frame
from bgp.wire.message import (
    Keepalive,
    Notification,
    Open,
    RouteRefresh,
    encode,
    encode_open,
    encode_shutdown_communication,
)
from bgp.wire.prefix import masked

_MP_REACH, _MP_UNREACH = AttributeType.MP_REACH_NLRI, AttributeType.MP_UNREACH_NLRI
_MULTIPROTOCOL = (_MP_REACH, _MP_UNREACH)

# What a reader of captures and judge of messages adds; none of it is in the octets.
TOLD = frozenset(
    ("length", "outcome", "error", "errors", "ignored", "packet", "time", "from", "to", "offset", "record",
     "peer", "local", "interface", "merged_as_path")
)  # fmt: skip

FLAG_NAMES = {
    "optional": int(AttributeFlag.OPTIONAL),
    "transitive": int(AttributeFlag.TRANSITIVE),
    "partial": int(AttributeFlag.PARTIAL),
    "extended-length": int(AttributeFlag.EXTENDED_LENGTH),
}
SUBTYPES = {member.name.lower().replace("_", "-"): int(member) for member in RouteRefreshSubtype}


def message(value: Any, two_octet_as: bool = False, maximum: int = EXTENDED_MESSAGE_LENGTH) -> bytes:
    """Return the octets of a message in JSON form; raise Unfit where it is not one.

    `two_octet_as` holds for messages that do not say `"asn_octets"` themselves.
    """
    if not isinstance(value, dict):
        raise Unfit("", f"{str(value)[:40]!r} is no message", 'write an object such as {"type": "KEEPALIVE"}')
    if "message" in value:
        return hexadecimal(value["message"], "message")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _BUILDERS:
        raise Unfit("type", f"{kind!r} is no type of message", "write one of " + ", ".join(_BUILDERS))
    build, known = _BUILDERS[kind]
    _only(value, known | TOLD | {"type"})
    octets = build(value, two_octet_as)
    if len(octets) > maximum:
        remedy = "split it" if maximum > MAXIMUM_MESSAGE_LENGTH else "split it, or allow it with --extended"
        raise Unfit("", f"the message would have {len(octets)} octets, more than {maximum}", remedy)
    return octets


def _only(value: dict[str, Any], known: Iterable[str], key: str = "") -> None:
    for name in value:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), 1)
            remedy = f"did you mean {near[0]}?" if near else "leave it out"
            raise Unfit(f"{key}.{name}" if key else name, "is not known here", remedy)


def _number(value: dict[str, Any], key: str, octets: int, default: int | None = None) -> int:
    if key not in value:
        if default is None:
            raise Unfit(key, "is missing", "add it")
        return default
    try:
        return number(value[key], octets)
    except ValueError as error:
        raise Unfit(key, str(error), "write a number without quotes") from None


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key, {})
    if not isinstance(found, dict):
        raise Unfit(key, f"{str(found)[:40]!r} is no object", "write it in braces")
    return found


# --- OPEN, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH ------------------------------------------------------


def _open(value: dict[str, Any], _: bool) -> bytes:
    listed = value.get("capabilities", [])
    if not isinstance(listed, list):
        raise Unfit("capabilities", "is no list", "write one object for each capability")
    capabilities: list[Capability] = []
    for index, item in enumerate(listed):
        try:
            capabilities.append(capability_form.write(item))
        except Unfit as error:
            raise error.within(f"capabilities[{index}]") from None
    try:
        identifier = int(IPv4Address(value.get("identifier", "")))
    except ValueError:
        text = f"{value.get('identifier')!r} is no identifier"
        raise Unfit("identifier", text, "write it as in 192.0.2.1") from None
    opened = Open(
        _number(value, "my_as", 2),
        _number(value, "hold_time", 2),
        identifier,
        tuple(capabilities),
        _number(value, "version", 1, 4),
    )
    try:
        return encode_open(opened)
    except ValueError as error:
        raise Unfit("capabilities", str(error), "list fewer") from None


def _notification(value: dict[str, Any], _: bool) -> bytes:
    data = b""
    text = value.get("shutdown_communication")
    if "data" in value:
        data = hexadecimal(value["data"], "data")
    elif text is not None:
        if not isinstance(text, str) or len(text.encode("utf-8", "replace")) > 255:
            raise Unfit("shutdown_communication", "is no text of at most 255 octets", "shorten it")
        data = encode_shutdown_communication(text, 255)
    code, subcode = _number(value, "error_code", 1), _number(value, "error_subcode", 1, 0)
    if HEADER_LENGTH + 2 + len(data) > EXTENDED_MESSAGE_LENGTH:
        raise Unfit("data", f"{len(data)} octets are too many for a message", "shorten it")
    return encode(Notification(code, subcode, data), EXTENDED_MESSAGE_LENGTH)


def _keepalive(_: dict[str, Any], __: bool) -> bytes:
    return encode(Keepalive())


def _route_refresh(value: dict[str, Any], _: bool) -> bytes:
    subtype = value.get("subtype", "request")
    if isinstance(subtype, str):
        if subtype not in SUBTYPES:
            text = f"{subtype!r} is no subtype"
            raise Unfit("subtype", text, "write a number, or one of " + ", ".join(SUBTYPES))
        subtype = SUBTYPES[subtype]
    if "afi" in value or "safi" in value:
        afi, safi = _number(value, "afi", 2), _number(value, "safi", 1)
        if value.get("family") not in (None, family_name(afi, safi)):
            text = f"{value['family']!r} is not AFI {afi} and SAFI {safi}"
            raise Unfit("family", text, "leave out one or the other")
    else:
        afi, safi = _family(value)
    return encode(RouteRefresh(afi, safi, _number({"subtype": subtype}, "subtype", 1)))


def _family(value: dict[str, Any]) -> tuple[int, int]:
    afi, safi = capability_form.family(value.get("family"))
    if safi > 255:
        raise Unfit("family", f"SAFI {safi} does not fit an octet", "write at most 255")
    return afi, safi


# --- UPDATE --------------------------------------------------------------------------------------------


def _update(value: dict[str, Any], two_octet_as: bool) -> bytes:
    width = _number(value, "asn_octets", 1, 2 if two_octet_as else 4)
    if width not in (2, 4):
        raise Unfit("asn_octets", f"an AS number has not {width} octets", "write 2 or 4")
    given = _object(value, "attributes")
    flags = _object(value, "flags")
    values: dict[int, bytes] = {}
    for type_, octets in (
        (_MP_REACH, _reach(value)),
        (_MP_UNREACH, _unreach(value)),
    ):
        if octets is not None:
            if key_of(type_) in given:
                remedy = "write what concerns two families as two messages"
                raise Unfit(f"attributes.{key_of(type_)}", "a message holds only one of these", remedy)
            values[type_] = octets
    for key, item in given.items():
        type_found = type_of(key)
        if type_found is None:
            _only({key: item}, [key_of(row) for row in ROWS] + ["attribute_N"], "attributes")
            continue
        try:
            values[type_found] = _attribute(type_found, item, width)
        except Unfit as error:
            raise error.within(f"attributes.{key}") from None
    _only(flags, [key_of(type_) for type_ in values], "flags")
    block = b"".join(_framed(type_, octets, flags) for type_, octets in values.items())
    withdrawn = _classic(value, "withdrawn")
    nlri = b"" if IPV4_UNICAST.name in _object(value, "next_hop") else _classic(value, "announced")
    size = HEADER_LENGTH + 4 + len(withdrawn) + len(block) + len(nlri)
    if size > EXTENDED_MESSAGE_LENGTH:
        raise Unfit("", f"the message would have {size} octets", "split it: 65535 are the most")
    sizes = len(withdrawn).to_bytes(2, "big"), len(block).to_bytes(2, "big")
    return frame(MessageType.UPDATE, sizes[0] + withdrawn + sizes[1] + block + nlri)


def _attribute(type_: int, value: Any, width: int) -> bytes:
    if type_ in _MULTIPROTOCOL and isinstance(value, dict) and "family" in value:
        return _other_family(type_, value)
    return attribute_form.write(type_, value, width)


def _framed(type_: int, value: bytes, flags: dict[str, Any]) -> bytes:
    """Return the whole attribute, with the flags that are given for it or else usual."""
    key = key_of(type_)
    if key in flags:
        octet = _flags(flags[key], key)
    elif type_ in ROWS:
        octet = ROWS[type_].flags | (EXTENDED_LENGTH if len(value) > 255 else 0)
    else:
        raise Unfit(f"flags.{key}", "is missing", 'add it, such as ["optional", "transitive"]')
    if len(value) > (0xFFFF if octet & EXTENDED_LENGTH else 0xFF):
        text = f"{len(value)} octets do not fit the length field"
        raise Unfit(f"attributes.{key}", text, 'shorten it, or add "extended-length" to its flags')
    width = 2 if octet & EXTENDED_LENGTH else 1
    return bytes((octet, type_)) + len(value).to_bytes(width, "big") + value


def _flags(names: Any, key: str) -> int:
    octet = 0
    for name in names if isinstance(names, list) else [names]:
        if isinstance(name, str) and name in FLAG_NAMES:
            octet |= FLAG_NAMES[name]
        elif isinstance(name, str) and name in ("0x01", "0x02", "0x04", "0x08"):
            octet |= int(name, 16)
        else:
            raise Unfit(f"flags.{key}", f"{name!r} is no flag", "list some of " + ", ".join(FLAG_NAMES))
    return octet


def _classic(value: dict[str, Any], key: str) -> bytes:
    items = _object(value, key).get(IPV4_UNICAST.name, [])
    return _nlri(items, IPV4_UNICAST.bits, f"{key}.{IPV4_UNICAST.name}")


def _reach(value: dict[str, Any]) -> bytes | None:
    """Return the value of MP_REACH_NLRI; IPv4 goes there where a next hop is given for it (RFC 8950)."""
    hops = _object(value, "next_hop")
    announced = _object(value, "announced")
    families = [name for name in announced if name != IPV4_UNICAST.name or name in hops]
    for name in hops:
        if name not in families:
            raise Unfit(f"next_hop.{name}", "nothing is announced with it", f"add announced.{name}")
    if not families:
        return None
    head, bits, name = _one_family(families, "announced")
    if name not in hops:
        raise Unfit(f"next_hop.{name}", "is missing", "add the next hop's address")
    next_hop = _addresses(hops[name], f"next_hop.{name}")
    return (
        head + bytes((len(next_hop),)) + next_hop + b"\0" + _nlri(announced[name], bits, f"announced.{name}")
    )


def _unreach(value: dict[str, Any]) -> bytes | None:
    withdrawn = _object(value, "withdrawn")
    families = [name for name in withdrawn if name != IPV4_UNICAST.name]
    end = value.get("end_of_rib")
    if end not in (None, IPV4_UNICAST.name, *families):
        afi, safi = capability_form.family(end, "end_of_rib")
        families.append(family_name(afi, safi))
    if not families:
        return None
    head, bits, name = _one_family(families, "withdrawn")
    return head + _nlri(withdrawn.get(name, []), bits, f"withdrawn.{name}")


def _one_family(names: list[str], key: str) -> tuple[bytes, int, str]:
    """Return AFI and SAFI as octets, the bits of an address, and the name of the only family."""
    if len(names) > 1:
        remedy = "write each but ipv4-unicast as a message of its own"
        raise Unfit(key, f"{' and '.join(names)} do not fit one message", remedy)
    afi, safi = capability_form.family(names[0], key)
    if (afi, safi) not in BY_CODE:
        other = "mp_reach_nlri" if key == "announced" else "mp_unreach_nlri"
        raise Unfit(f"{key}.{names[0]}", "its prefixes are not known here", f"write attributes.{other}")
    return afi.to_bytes(2, "big") + bytes((safi,)), BY_CODE[afi, safi].bits, names[0]


def _other_family(type_: int, value: dict[str, Any]) -> bytes:
    """Return MP_REACH_NLRI or MP_UNREACH_NLRI whose octets are given: of a family that was not negotiated."""
    reach = type_ == _MP_REACH
    _only(value, ("family", "next_hop", "nlri") if reach else ("family", "nlri"))
    afi, safi = _family(value)
    next_hop = hexadecimal(value.get("next_hop", ""), "next_hop")
    if len(next_hop) > 255:
        raise Unfit("next_hop", f"{len(next_hop)} octets are too many", "write at most 255")
    head = afi.to_bytes(2, "big") + bytes((safi,))
    if reach:
        head += bytes((len(next_hop),)) + next_hop + b"\0"
    return head + hexadecimal(value.get("nlri", ""), "nlri")


def _addresses(value: Any, key: str) -> bytes:
    try:
        octets = b"".join(ip_address(part).packed for part in value.split())
    except (ValueError, AttributeError):
        octets = b""
    if len(octets) not in (4, 16, 32):
        text = f"{value!r} is no next hop"
        raise Unfit(key, text, "write an address, or a global and a link-local IPv6 address")
    return octets


def _nlri(items: Any, bits: int, key: str) -> bytes:
    if not isinstance(items, list):
        raise Unfit(key, "is no list", "write the prefixes in brackets")
    parts = []
    identified = None
    for index, item in enumerate(items):
        path_id: int | None = None
        if isinstance(item, dict):
            _only(item, ("prefix", "path_id"), f"{key}[{index}]")
            try:
                path_id = _number(item, "path_id", 4)
            except Unfit as error:
                raise error.within(f"{key}[{index}]") from None
            item = item.get("prefix")
        if identified not in (None, path_id is not None):
            text = "some have a path identifier and some do not"
            raise Unfit(f"{key}[{index}]", text, "give all of them a path_id, or none")
        identified = path_id is not None
        parts.append(
            (b"" if path_id is None else path_id.to_bytes(4, "big")) + _prefix(item, bits, key, index)
        )
    return b"".join(parts)


def _prefix(text: Any, bits: int, key: str, index: int) -> bytes:
    """Return a prefix in wire form; `ip_network`, ten times slower, only words the complaint."""
    try:
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no prefix")
        address, _, digits = text.partition("/")
        try:
            octets = inet_pton(AF_INET if bits == 32 else AF_INET6, address)
        except OSError:
            octets = b""
        length = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 3 else -1
        wire = bytes((length,)) + octets[: (length + 7) // 8] if 0 <= length <= bits and octets else b""
        if not wire or masked(wire)[1:].ljust(len(octets), b"\0") != octets:
            network = ip_network(text)
            raise ValueError(f"{text!r} is no IPv{4 if bits == 32 else 6} prefix" if network else "")
    except ValueError as error:
        remedy = f"write it as in {'192.0.2.0/24' if bits == 32 else '2001:db8::/32'}"
        raise Unfit(f"{key}[{index}]", str(error), remedy) from None
    return wire


_BUILDERS: dict[str, tuple[Callable[[dict[str, Any], bool], bytes], frozenset[str]]] = {
    "OPEN": (_open, frozenset(("version", "my_as", "hold_time", "identifier", "capabilities"))),
    "UPDATE": (
        _update,
        frozenset(("asn_octets", "withdrawn", "announced", "next_hop", "attributes", "flags", "end_of_rib")),
    ),
    "NOTIFICATION": (
        _notification,
        frozenset(("error_code", "error_subcode", "name", "data", "shutdown_communication")),
    ),
    "KEEPALIVE": (_keepalive, frozenset()),
    "ROUTE-REFRESH": (_route_refresh, frozenset(("afi", "safi", "family", "subtype"))),
}
