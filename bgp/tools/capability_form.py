"""Capabilities as JSON, both ways: code, name, and the fields of those that are known.

`"value"`, in hexadecimal, stands beside or instead of the fields wherever they alone would not give the
same octets: for unknown and malformed capabilities, and for reserved bits that a peer set.
"""

import re
from collections.abc import Callable
from typing import Any

from bgp.family import BY_NAME, family_name
from bgp.iana import AddPathMode, CapabilityCode, Role
from bgp.tools.attribute_form import Unfit, hexadecimal, number
from bgp.wire.capability import (
    Capabilities,
    Capability,
    Fqdn,
    GracefulRestart,
    LongLivedGracefulRestart,
    name,
)

_C = CapabilityCode
_FAMILY_REMEDY = "write a family such as ipv4-unicast, or afi-25-safi-70"


def read(capability: Capability) -> dict[str, Any]:
    """Return a capability as JSON."""
    return {"code": capability.code, "name": name(capability.code), **_fields(capability)}


def _fields(capability: Capability) -> dict[str, Any]:
    meaning = Capabilities.parse((capability,))
    fields = {} if meaning.unknown or meaning.malformed else _READ[capability.code](meaning)
    if meaning.unknown or meaning.malformed or meaning.encode() != (capability,):
        fields["value"] = capability.value.hex()
    return fields


def write(value: Any) -> Capability:
    """Return the capability that a JSON value means; raise Unfit where it means none."""
    if not isinstance(value, dict):
        raise Unfit("", f"{value!r} is no capability", 'write such as {"name": "route-refresh"}')
    code = _code(value)
    fields = {key: item for key, item in value.items() if key not in ("code", "name")}
    if "value" in fields:
        octets = hexadecimal(fields["value"], "value")
        if len(octets) > 255:
            raise Unfit("value", f"{len(octets)} octets are too many", "write at most 255")
        return Capability(code, octets)
    if code not in _WRITE:
        raise Unfit("", f"capability {code} has no value", 'add "value" with its octets in hexadecimal')
    meaning = Capabilities(**_meaning(code, fields))
    try:
        found = meaning.encode()
    except ValueError as error:
        raise Unfit("", str(error), "write numbers that fit their fields") from None
    if len(found) != 1:
        raise Unfit("families", f"{name(code)} names no family", "write one, or leave the capability out")
    return found[0]


def _meaning(code: int, fields: dict[str, Any]) -> dict[str, Any]:
    names, write = _WRITE[code]
    if set(fields) != set(names):
        text = f"{name(code)} has {', '.join(fields) or 'no field'}"
        raise Unfit("", text, f"write {', '.join(names) or 'none'}, or value with its octets")
    return write(fields)


def _code(value: dict[str, Any]) -> int:
    names = {name(code): int(code) for code in CapabilityCode}
    code, word = value.get("code"), value.get("name")
    if code is None:
        if isinstance(word, str) and word in names:
            return names[word]
        remedy = "give its code, or one of " + ", ".join(names)
        raise Unfit("name", f"{word!r} is no known capability", remedy)
    try:
        number(code, 1)
    except ValueError as error:
        raise Unfit("code", str(error), "write a number without quotes") from None
    if word not in (None, name(code)):
        raise Unfit("name", f"{word!r} is not the name of code {code}", "leave one of them out")
    return int(code)


def family(text: Any, key: str = "family") -> tuple[int, int]:
    """Return (AFI, SAFI) of a family's name; raise Unfit naming `key` where it is none.

    A SAFI may have 16 bits: in the Extended Next Hop capability, and only there, it does.
    """
    if isinstance(text, str):
        if text in BY_NAME:
            return BY_NAME[text].afi, BY_NAME[text].safi
        match = re.fullmatch(r"afi-([0-9]{1,5})-safi-([0-9]{1,5})", text)
        if match and int(match[1]) <= 0xFFFF and int(match[2]) <= 0xFFFF:
            return int(match[1]), int(match[2])
    raise Unfit(key, f"{text!r} is no family", _FAMILY_REMEDY)


def _each(
    fields: dict[str, Any], names: tuple[str, ...], convert: Callable[[dict[str, Any]], Any]
) -> tuple[Any, ...]:
    """Return each object of the list under "families", converted."""
    if not isinstance(fields["families"], list):
        raise Unfit("families", "is no list", "write one object for each family")
    found = []
    for index, item in enumerate(fields["families"]):
        key = f"families[{index}]"
        if not isinstance(item, dict) or set(item) != set(names):
            raise Unfit(key, f"{item!r} has not just {', '.join(names)}", "write these")
        try:
            found.append(convert(item))
        except Unfit as error:
            raise error.within(key) from None
    return tuple(found)


def _whole(fields: dict[str, Any], key: str, octets: int) -> int:
    try:
        return number(fields[key], octets)
    except ValueError as error:
        raise Unfit(key, str(error), "write a number without quotes") from None


def _truth(fields: dict[str, Any], key: str) -> bool:
    if not isinstance(fields[key], bool):
        raise Unfit(key, f"{fields[key]!r} is neither", "write true or false")
    return bool(fields[key])


def _text(fields: dict[str, Any], key: str) -> str:
    if not isinstance(fields[key], str):
        raise Unfit(key, f"{fields[key]!r} is no text", "write it in quotes")
    return str(fields[key])


# --- From meaning to fields ---------------------------------------------------------------------------


def _read_multiprotocol(meaning: Capabilities) -> dict[str, Any]:
    ((afi, safi),) = meaning.families
    return {"family": family_name(afi, safi)}


def _read_extended_next_hop(meaning: Capabilities) -> dict[str, Any]:
    return {
        "families": [
            {"family": family_name(afi, safi), "next_hop_afi": next_hop}
            for afi, safi, next_hop in meaning.extended_next_hop
        ]
    }


def _read_role(meaning: Capabilities) -> dict[str, Any]:
    (role,) = meaning.roles
    return {"role": Role(role).name.lower().replace("_", "-") if role in set(Role) else role}


def _read_graceful_restart(meaning: Capabilities) -> dict[str, Any]:
    restart = meaning.graceful_restart or GracefulRestart()
    return {
        "restarting": restart.restarting,
        "notification": restart.notification,
        "time": restart.time,
        "families": [
            {"family": family_name(afi, safi), "forwarding": forwarding}
            for afi, safi, forwarding in restart.families
        ],
    }


def _read_add_path(meaning: Capabilities) -> dict[str, Any]:
    return {
        "families": [
            {"family": family_name(afi, safi), "mode": AddPathMode(mode).name.lower()}
            for afi, safi, mode in meaning.add_path
        ]
    }


def _read_long_lived(meaning: Capabilities) -> dict[str, Any]:
    restart = meaning.long_lived_graceful_restart or LongLivedGracefulRestart()
    return {
        "families": [
            {"family": family_name(afi, safi), "forwarding": forwarding, "time": time}
            for afi, safi, forwarding, time in restart.families
        ]
    }


def _read_fqdn(meaning: Capabilities) -> dict[str, Any]:
    name = meaning.fqdn or Fqdn("")
    return {"hostname": name.hostname, "domain": name.domain}


def _nothing(_: Capabilities) -> dict[str, Any]:
    return {}


_READ: dict[int, Callable[[Capabilities], dict[str, Any]]] = {
    _C.MULTIPROTOCOL: _read_multiprotocol,
    _C.ROUTE_REFRESH: _nothing,
    _C.EXTENDED_NEXT_HOP: _read_extended_next_hop,
    _C.EXTENDED_MESSAGE: _nothing,
    _C.ROLE: _read_role,
    _C.GRACEFUL_RESTART: _read_graceful_restart,
    _C.FOUR_OCTET_AS: lambda meaning: {"asn": meaning.four_octet_as},
    _C.ADD_PATH: _read_add_path,
    _C.ENHANCED_ROUTE_REFRESH: _nothing,
    _C.LONG_LIVED_GRACEFUL_RESTART: _read_long_lived,
    _C.FQDN: _read_fqdn,
}


# --- From fields to meaning, as the keywords of Capabilities ------------------------------------------


def _write_role(fields: dict[str, Any]) -> dict[str, Any]:
    role = fields["role"]
    names = {member.name.lower().replace("_", "-"): int(member) for member in Role}
    if isinstance(role, str):
        if role not in names:
            raise Unfit("role", f"{role!r} is no role", "write one of " + ", ".join(names))
        return {"roles": (names[role],)}
    return {"roles": (_whole(fields, "role", 1),)}


def _write_graceful_restart(fields: dict[str, Any]) -> dict[str, Any]:
    families = _each(
        fields, ("family", "forwarding"), lambda item: (*family(item["family"]), _truth(item, "forwarding"))
    )
    flags = _truth(fields, "restarting"), _truth(fields, "notification")
    return {"graceful_restart": GracefulRestart(*flags, _whole(fields, "time", 2), families)}


def _write_add_path(fields: dict[str, Any]) -> dict[str, Any]:
    modes = {member.name.lower(): int(member) for member in AddPathMode}

    def convert(item: dict[str, Any]) -> tuple[int, int, int]:
        if _text(item, "mode") not in modes:
            raise Unfit("mode", f"{item['mode']!r} is no mode", "write one of " + ", ".join(modes))
        return (*family(item["family"]), modes[item["mode"]])

    return {"add_path": _each(fields, ("family", "mode"), convert)}


def _write_long_lived(fields: dict[str, Any]) -> dict[str, Any]:
    families = _each(
        fields,
        ("family", "forwarding", "time"),
        lambda item: (*family(item["family"]), _truth(item, "forwarding"), _whole(item, "time", 3)),
    )
    return {"long_lived_graceful_restart": LongLivedGracefulRestart(families)}


def _write_extended_next_hop(fields: dict[str, Any]) -> dict[str, Any]:
    def convert(item: dict[str, Any]) -> tuple[int, int, int]:
        return (*family(item["family"]), _whole(item, "next_hop_afi", 2))

    return {"extended_next_hop": _each(fields, ("family", "next_hop_afi"), convert)}


# The keys of the fields, and what turns them into a meaning.
_WRITE: dict[int, tuple[tuple[str, ...], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    _C.MULTIPROTOCOL: (("family",), lambda fields: {"families": (family(fields["family"]),)}),
    _C.ROUTE_REFRESH: ((), lambda _: {"route_refresh": True}),
    _C.EXTENDED_NEXT_HOP: (("families",), _write_extended_next_hop),
    _C.EXTENDED_MESSAGE: ((), lambda _: {"extended_message": True}),
    _C.ROLE: (("role",), _write_role),
    _C.GRACEFUL_RESTART: (("restarting", "notification", "time", "families"), _write_graceful_restart),
    _C.FOUR_OCTET_AS: (("asn",), lambda fields: {"four_octet_as": _whole(fields, "asn", 4)}),
    _C.ADD_PATH: (("families",), _write_add_path),
    _C.ENHANCED_ROUTE_REFRESH: ((), lambda _: {"enhanced_route_refresh": True}),
    _C.LONG_LIVED_GRACEFUL_RESTART: (("families",), _write_long_lived),
    _C.FQDN: (
        ("hostname", "domain"),
        lambda fields: {"fqdn": Fqdn(_text(fields, "hostname"), _text(fields, "domain"))},
    ),
}
