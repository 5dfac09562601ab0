"""Readers of addresses and prefixes, and of what is written like them."""

import contextlib
import os
import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
)

from bgp.family import BY_NAME, Family
from bgp.policy.prefixes import Entry, PrefixList, parse_entry
from reflector.configuration.document import Place
from reflector.configuration.shapes import TEXT, array, either, shaped, table, words
from reflector.configuration.terms import family
from reflector.configuration.values import kind, list_of, refuse_as, shown

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@shaped(TEXT)
def identifier(value: object, place: Place) -> int | None:
    """Read a BGP Identifier or cluster ID: four octets, written as an IPv4 address (RFC 6286 2.1)."""
    try:
        octets = int(IPv4Address(value)) if isinstance(value, str) else 0
    except ValueError:
        octets = 0
    if octets == 0:
        what = f"{value!r} is no identifier" if isinstance(value, str) else f"must be text, not {kind(value)}"
        place.refuse(what, 'write an IPv4 address of this router, as in "192.0.2.1" (not "0.0.0.0")')
        return None
    return octets


@shaped(either(TEXT, table({"env": TEXT}, ("env",))))
def own_identifier(value: object, place: Place) -> int | None:
    """Read our BGP Identifier, or which variable of the environment has it: replicas share a file."""
    if not isinstance(value, dict):
        return identifier(value, place)
    name = value.get("env")
    if value.keys() != {"env"} or not isinstance(name, str):
        place.refuse("must be an IPv4 address, or say which variable has it", 'write {env = "NAME"}')
        return None
    if name not in os.environ:
        place.refuse(f"there is no {name} in the environment", "set it to an IPv4 address of this router")
        return None
    return identifier(os.environ[name], place)


@shaped(TEXT)
def address(value: object, place: Place) -> Address | None:
    """Read a unicast IP address; an IPv4-mapped one becomes the IPv4 address it is."""
    try:
        parsed = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        what = f'"{value}" is no IP address' if isinstance(value, str) else f"must be text, not {kind(value)}"
        remedy = 'write an address, as in "192.0.2.1" or "2001:db8::1"'
        if isinstance(value, str) and "/" in value:
            remedy = "leave out the prefix length, or use [[listen_range]] for a whole prefix"
        elif isinstance(value, str) and _port(value):
            remedy = "write the port as a key of its own: port = " + value.rpartition(":")[2]
        place.refuse(what, remedy)
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_multicast or parsed.is_unspecified or parsed == IPv4Address("255.255.255.255"):
        place.refuse(f'"{value}" is not the address of one host', "write a unicast address")
        return None
    if isinstance(parsed, IPv6Address) and parsed.is_link_local and parsed.scope_id is None:
        place.refuse(
            f'"{value}" is a link-local address without its interface', f'name the interface: "{value}%eth0"'
        )
        return None
    return parsed


def _port(value: str) -> bool:
    return re.fullmatch(r"(\d+\.){3}\d+:\d+|\[.*\]:\d+", value) is not None


@shaped(TEXT)
def endpoint(value: object, place: Place) -> str | None:
    """Read "address:port", or "[address]:port" for IPv6; port 0 lets the system choose one."""
    remedy = 'write "address:port", as in "192.0.2.1:179", "0.0.0.0:179" or "[::]:179"'
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", remedy)
        return None
    match = re.fullmatch(r"(?:\[([^\]]*)\]|([^:\[\]]*)):(\d{1,5})", value)
    if match is None:
        bare = value.strip("[]").removesuffix(":")
        if value.count(":") > 1 and "[" not in value:
            remedy = f'put the IPv6 address in brackets and add the port: "[{bare}]:179"'
            # "::1:179" is an address, too, but hardly the one that was meant.
            if bare.endswith(":179"):
                remedy = f'put the IPv6 address in brackets: "[{bare.removesuffix(":179")}]:179"'
        elif re.fullmatch(r"[0-9]+\.[0-9.]+:?|\[.*\]", value):
            remedy = f'add the port: "{value.removesuffix(":")}:179"'
        elif re.fullmatch(r"\*?:?\d+", value):
            remedy = 'name the address: "0.0.0.0:179" is every IPv4 address, "[::]:179" every IPv6 address'
        place.refuse(f'"{value}" is no address with a port', remedy)
        return None
    six, four, port = match[1], match[2], int(match[3])
    try:
        parsed: Address = IPv6Address(six) if six is not None else IPv4Address(four)
    except ValueError:
        place.refuse(f'"{six if six is not None else four}" is no IP address', remedy)
        return None
    if port > 65535:
        place.refuse(f"port {port} is out of range", "write a port up to 65535")
        return None
    return f"[{parsed}]:{port}" if parsed.version == 6 else f"{parsed}:{port}"


@shaped(TEXT)
def prefix(value: object, place: Place) -> Network | None:
    """Read a prefix without host bits."""
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", 'write it in "quotes"')
        return None
    try:
        masked = ip_interface(value).network
    except ValueError:
        place.refuse(f'"{value}" is no prefix', 'write a prefix, as in "192.0.2.0/24" or "2001:db8::/32"')
        return None
    if ip_interface(value).ip != masked.network_address:
        place.refuse(f'"{value}" has bits set beyond its length', f'write "{masked}"')
        return None
    return masked


@shaped(table(dict.fromkeys(BY_NAME, TEXT)))
def next_hops(value: object, place: Place) -> dict[Family, bytes] | None:
    """Read a table with an address for each family, as octets; an IPv6 address serves IPv4 too (RFC 8950)."""
    if not isinstance(value, dict):
        place.refuse(f"must be a table, not {kind(value)}", 'write {ipv6-unicast = "2001:db8::1"}')
        return None
    found = {}
    for name, each in value.items():
        row, hop = family(name, place / name), address(each, place / name)
        if row is None or hop is None:
            continue
        if len(hop.packed) not in row.next_hop_lengths | row.extended_next_hop_lengths:
            (place / name).refuse(f"{row} has no IPv{hop.version} next hops", "write an IPv6 address")
        found[row] = hop.packed
    return found


@shaped(either(words(["itself"]), array(TEXT, 1)))
def own_next_hop(value: object, place: Place) -> tuple[Network, ...] | None:
    """Read "itself", or a list of that and the addresses or prefixes of further next hops."""
    several = value if isinstance(value, list) else [value]
    if "itself" not in several:
        what = "does not say that a peer is its own next hop"
        place.refuse(what, 'write "itself", or a list such as ["itself", "2001:db8:a::/64"]')
        return None
    found: list[Network] = []
    for index, each in enumerate(several):
        if each != "itself":
            where = place / index
            network = prefix(each, where)
            if network is not None:
                found.append(network)
    return tuple(found)


@shaped(TEXT)
def prefix_entry(value: object, place: Place) -> Entry | None:
    """Read an entry of a prefix list, as in "10.0.0.0/8 ge 16 le 24"."""
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", 'write it in "quotes"')
        return None
    try:
        return parse_entry(value)
    except ValueError as error:
        written = re.match(r"\s*(!?)\s*(\S+)(.*)", value)
        with contextlib.suppress(ValueError):
            if written is not None and str(network := ip_interface(written[2]).network) != written[2]:
                what = f'"{written[2]}" has bits set beyond its length'
                place.refuse(what, f'write "{written[1]}{network}{written[3]}"')
                return None
        refuse_as(place, error, "write one such as 10.0.0.0/8, or 10.0.0.0/8 ge 16 le 24")
        return None


@shaped(array(TEXT))
def prefix_list(value: object, place: Place) -> PrefixList | None:
    """Read the entries of a prefix list, of which there may be very many."""
    if not isinstance(value, list):
        return None if list_of(prefix_entry)(value, place) is None else PrefixList(())
    entries = [prefix_entry(element, place / index) for index, element in enumerate(value)]
    seen: set[Entry] = set()
    for index, entry in enumerate(entries):
        if entry in seen:
            (place / index).refuse(f"{shown(value[index])} is there twice", "keep one")
        elif entry is not None:
            seen.add(entry)
    return PrefixList(entry for entry in entries if entry is not None)
