"""The neighbors, from options of the command line or from a small TOML file.

    asn = 64512
    router_id = "192.0.2.1"

    [[neighbor]]
    address = "192.0.2.9"
    asn = 64513

`KEYS` are those of a neighbor; each is a field of `PeerOptions`, whose checks are the checks here.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from bgp.aio.options import PeerOptions
from bgp.family import BY_NAME, FAMILIES
from bgp.iana import AddPathMode

# The key of a neighbor, and what its value must be.
KEYS: dict[str, tuple[type, ...]] = {
    "address": (str,),
    "asn": (int,),
    "port": (int,),
    "local_as": (int,),
    "local_address": (str,),
    "families": (list,),
    "hold_time": (int,),
    "password": (str,),
    "multihop": (int,),
    "ttl": (int,),
    "minimum_ttl": (int,),
    "add_path": (bool,),
    "connect_retry_time": (int, float),
}
_ROUTER = {"asn": (int,), "router_id": (str,), "neighbor": (list,)}


@dataclass(frozen=True, slots=True)
class Settings:
    """Who we are, and our neighbors."""

    asn: int
    identifier: int
    neighbors: tuple[PeerOptions, ...]


def load(file: str) -> Settings:
    """Read a file; raise ValueError that names place and remedy, OSError where it cannot be read."""
    octets = Path(file).read_bytes()
    try:
        return read(octets.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{file}: it is not in UTF-8; save it so") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def read(text: str) -> Settings:
    """Return the settings that a file's text says; raise ValueError that names key and remedy."""
    return settings(tomllib.loads(text))


def settings(document: dict[str, Any]) -> Settings:
    """Return the settings of a parsed file; raise ValueError that names key and remedy."""
    _checked(document, _ROUTER, "")
    for name in ("asn", "router_id"):
        if name not in document:
            raise ValueError(f"{name}: is missing; write it at the top of the file")
    try:
        identifier = int(IPv4Address(document["router_id"]))
    except ValueError as error:
        raise ValueError(f"router_id: {error}; write it as an IPv4 address") from None
    neighbors = document.get("neighbor", [])
    if not neighbors:
        raise ValueError("neighbor: there is none; add a [[neighbor]] table")
    found: dict[str, PeerOptions] = {}
    for number, table in enumerate(neighbors, 1):
        where = f"[[neighbor]] {number}, "
        options = _neighbor(table, where)
        if str(options.remote.address) in found:
            raise ValueError(f"{where}address: there is a neighbor {options.address} already")
        try:
            options.session(document["asn"], identifier)
        except ValueError as error:
            raise ValueError(f"{where}{error}") from None
        found[str(options.remote.address)] = options
    return Settings(document["asn"], identifier, tuple(found.values()))


def _checked(table: dict[str, Any], keys: Mapping[str, tuple[type, ...]], where: str) -> None:
    for name, value in table.items():
        if name not in keys:
            raise ValueError(f"{where}{name}: there is no such key; there are: {', '.join(keys)}")
        if not isinstance(value, keys[name]) or (isinstance(value, bool) and bool not in keys[name]):
            raise ValueError(f"{where}{name}: {value!r} is no {keys[name][0].__name__}")


def _neighbor(table: object, where: str) -> PeerOptions:
    if not isinstance(table, dict):
        raise ValueError(f"{where}is no table; write [[neighbor]]")
    _checked(table, KEYS, where)
    for name in ("address", "asn"):
        if name not in table:
            raise ValueError(f"{where}{name}: is missing")
    fields = dict(table)
    names = fields.pop("families", [family.name for family in FAMILIES])
    for name in names:
        if not isinstance(name, str) or name not in BY_NAME:
            raise ValueError(f"{where}families: {name!r} is none; there are: {', '.join(BY_NAME)}")
    families = tuple(BY_NAME[name] for name in names)
    if "local_address" in fields:
        fields["source_address"] = fields.pop("local_address")
    if fields.pop("add_path", False):
        fields["add_path"] = dict.fromkeys(families, AddPathMode.BOTH)
    try:
        # What only is printed need not be refused: AS_SETs, a first AS that is another's, AIGP.
        return PeerOptions(families=families, as_sets=True, first_as=False, aigp=True, **fields)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None
