"""Readers of single values: each takes what TOML holds and returns what the program uses, or refuses it.

A refusal says at its `Place` what is wrong and what to write instead; the reader then returns None.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
)
from math import ceil

from bgp.family import BY_NAME, IPV4_UNICAST, Family
from bgp.iana import AS_TRANS, AddPathMode, CapabilityCode, Origin, Role, WellKnownCommunity
from bgp.policy.prefixes import Entry, PrefixList, parse_entry
from bgp.session.config import AsExpected
from bgp.wire.capability import Fqdn
from reflector.document import Place, nearest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Reader = Callable[[object, Place], object | None]

LAST_AS = 0xFFFFFFFF


_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    str: "text",
    list: "a list",
}


def kind(value: object) -> str:
    """Name the TOML type of `value` as a person would."""
    return _KINDS.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


def flag(value: object, place: Place) -> bool | None:
    if isinstance(value, bool):
        return value
    remedy = "write true or false, without quotes"
    place.refuse(f"must be true or false, not {kind(value)}", remedy)
    return None


def text(value: object, place: Place) -> str | None:
    if isinstance(value, str) and value:
        return value
    what = "must not be empty" if value == "" else f"must be text, not {kind(value)}"
    place.refuse(what, 'write it in "quotes"')
    return None


def number(low: int, high: int, unit: str = "") -> Callable[[object, Place], int | None]:
    """Return a reader of whole numbers from `low` to `high`."""
    of = f" of {unit}" if unit else ""

    def read(value: object, place: Place) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int):
            quoted = isinstance(value, str) and value.strip().isdecimal()
            remedy = f"write {value}, without quotes" if quoted else f"write a number from {low} to {high}"
            place.refuse(f"must be a whole number{of}, not {kind(value)}", remedy)
            return None
        if not low <= value <= high:
            place.refuse(f"{value} is out of range", f"write a whole number{of} from {low} to {high}")
            return None
        return value

    return read


def duration(low: float, high: float) -> Callable[[object, Place], float | None]:
    """Return a reader of seconds from `low` to `high`, with a fraction or without."""

    def read(value: object, place: Place) -> float | None:
        if isinstance(value, float) and low <= value <= high:
            return value
        if isinstance(value, float):
            place.refuse(f"{value} is out of range", f"write seconds from {low:g} to {high:g}")
            return None
        seconds = number(ceil(low), int(high), "seconds")(value, place)
        return None if seconds is None else float(seconds)

    return read


def hold_time(value: object, place: Place) -> int | None:
    seconds = number(0, 65535, "seconds")(value, place)
    if seconds in (1, 2):
        place.refuse(
            f"{seconds} is not allowed (RFC 4271 4.2)", "write 0 (never expires), or 3 or more seconds"
        )
        return None
    return seconds


def one_of(choices: Iterable[str]) -> Callable[[object, Place], str | None]:
    """Return a reader of one word out of `choices`."""
    words = list(choices)
    listed = ", ".join(f'"{word}"' for word in words)

    def read(value: object, place: Place) -> str | None:
        if isinstance(value, str) and value in words:
            return value
        guess = nearest(value, words) if isinstance(value, str) else None
        what = f'"{value}" is not known' if isinstance(value, str) else f"must be text, not {kind(value)}"
        remedy = f'did you mean "{guess}"? (possible: {listed})' if guess else f"write one of {listed}"
        place.refuse(what, remedy)
        return None

    return read


def as_number(value: object, place: Place) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"(?i)(as)?\d+", value):
        place.refuse("must be a number, not text", f"write {value.lower().lstrip('as')}, without quotes")
        return None
    asn = number(1, LAST_AS)(value, place)
    reserved = {AS_TRANS: "RFC 6793 9", 65535: "RFC 7300", LAST_AS: "RFC 7300"}
    if asn in reserved:
        place.refuse(
            f"AS {asn} is reserved ({reserved[asn]})", "write the AS number that was assigned to you"
        )
        return None
    return asn


EXPECTED_AS = {
    "internal": AsExpected.INTERNAL,
    "external": AsExpected.EXTERNAL,
    "any": AsExpected.ANY,
}


def expected_as(value: object, place: Place) -> int | AsExpected | None:
    """Read what AS a peer may have: a number, or "internal", "external", "any"."""
    if isinstance(value, str) and not re.fullmatch(r"(?i)(as)?\d+", value):
        word = one_of(EXPECTED_AS)(value, place)
        return None if word is None else EXPECTED_AS[word]
    return as_number(value, place)


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


def list_of(read: Reader, least: int = 0) -> Callable[[object, Place], tuple[object, ...] | None]:
    """Return a reader of a list whose elements `read` reads, each once."""

    def read_list(value: object, place: Place) -> tuple[object, ...] | None:
        if not isinstance(value, list):
            remedy = (
                f'put it in brackets: ["{value}"]' if isinstance(value, str) else "write it in [brackets]"
            )
            place.refuse(f"must be a list, not {kind(value)}", remedy)
            return None
        if len(value) < least:
            place.refuse("must not be empty", "name at least one, or leave out the key")
            return None
        elements = [read(element, place / index) for index, element in enumerate(value)]
        for index, element in enumerate(elements):
            if element is not None and element in elements[:index]:
                (place / index).refuse(f"{_shown(value[index])} is there twice", "keep one")
        return None if None in elements else tuple(elements)

    return read_list


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def family(value: object, place: Place) -> Family | None:
    if value in ("ipv4", "ipv6"):
        place.refuse(f'"{value}" is not known', f'did you mean "{value}-unicast"?')
        return None
    name = one_of(BY_NAME)(value, place)
    return None if name is None else BY_NAME[name]


ADD_PATH_MODES = {"receive": AddPathMode.RECEIVE, "send": AddPathMode.SEND, "both": AddPathMode.BOTH}


def add_path(value: object, place: Place) -> dict[Family, AddPathMode] | None:
    """Read a mode for all families, or a table with a mode for each family (RFC 7911 4)."""
    words = ("off", *ADD_PATH_MODES)
    if isinstance(value, dict):
        modes = {}
        for name, word in value.items():
            row = family(name, place / name)
            mode = one_of(words)(word, place / name)
            if row is not None and mode in ADD_PATH_MODES:
                modes[row] = ADD_PATH_MODES[mode]
        return modes
    word = one_of(words)(value, place)
    if word is None:
        return None
    return dict.fromkeys(BY_NAME.values(), ADD_PATH_MODES[word]) if word in ADD_PATH_MODES else {}


def password(value: object, place: Place) -> str | None:
    """Read a TCP-MD5 password; the kernel takes at most 80 octets (RFC 2385)."""
    secret = text(value, place)
    if secret is not None and len(secret.encode()) > 80:
        place.refuse(
            f"has {len(secret.encode())} octets", "use at most 80 octets, the system's limit for TCP-MD5"
        )
        return None
    return secret


def by_family(value: object, place: Place) -> dict[Family, int] | None:
    """Read a number for all families, or a table with a number for each."""
    read = number(1, 100_000_000)
    if isinstance(value, dict):
        found = {family(name, place / name): read(each, place / name) for name, each in value.items()}
        return {row: each for row, each in found.items() if row is not None and each is not None}
    each = read(value, place)
    return None if each is None else dict.fromkeys(BY_NAME.values(), each)


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


def fqdn(value: object, place: Place) -> Fqdn | None:
    """Read a host name, as in "rr1.example.net"."""
    name = text(value, place)
    if name is None:
        return None
    host, _, domain = name.partition(".")
    if not 0 < len(host.encode()) < 256 or len(domain.encode()) > 255:
        place.refuse("is too long or has no host", 'write a name, as in "rr1.example.net"')
        return None
    return Fqdn(host, domain)


CAPABILITIES = {each.name.lower().replace("_", "-"): each for each in CapabilityCode}


def capability(value: object, place: Place) -> CapabilityCode | None:
    name = one_of(CAPABILITIES)(value, place)
    return None if name is None else CAPABILITIES[name]


def extended_next_hop(value: object, place: Place) -> tuple[Family, ...] | None:
    """Read whether IPv4 prefixes may have an IPv6 next hop (RFC 8950)."""
    wanted = flag(value, place)
    return None if wanted is None else (IPV4_UNICAST,) if wanted else ()


ROLES = {each.name.lower().replace("_", "-"): each for each in Role}


def role(value: object, place: Place) -> Role | None:
    """Read our own role towards a peer (RFC 9234)."""
    name = one_of(ROLES)(value, place)
    return None if name is None else ROLES[name]


ORIGINS = {each.name.lower(): each for each in Origin}


def origin(value: object, place: Place) -> Origin | None:
    name = one_of(ORIGINS)(value, place)
    return None if name is None else ORIGINS[name]


_COMMUNITY_NAMES = {each.name.lower().replace("_", "-"): int(each) for each in WellKnownCommunity}


def community(value: object, place: Place) -> int | None:
    """Read "asn:value" or the name of a well-known community (RFC 1997)."""
    if isinstance(value, str):
        if value in _COMMUNITY_NAMES:
            return _COMMUNITY_NAMES[value]
        parts = value.split(":")
        if len(parts) == 2 and all(part.isdecimal() and int(part) <= 0xFFFF for part in parts):
            return int(parts[0]) << 16 | int(parts[1])
        guess = nearest(value, list(_COMMUNITY_NAMES))
        hint = f'did you mean "{guess}"?' if guess else 'write "asn:value" with two numbers up to 65535'
        if len(parts) == 2 and all(part.isdecimal() for part in parts):
            hint = "both numbers go up to 65535; use large_communities for greater ones"
        place.refuse(f'"{value}" is no community', hint)
        return None
    place.refuse(f"must be text, not {kind(value)}", 'write "asn:value", as in "65000:100"')
    return None


def large_community(value: object, place: Place) -> tuple[int, int, int] | None:
    """Read "asn:value:value" (RFC 8092)."""
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) == 3 and all(part.isdecimal() and int(part) <= LAST_AS for part in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    what = (
        f'"{value}" is no large community' if isinstance(value, str) else f"must be text, not {kind(value)}"
    )
    place.refuse(what, 'write "asn:value:value" with three numbers up to 4294967295')
    return None


def tables(value: object, place: Place) -> list[dict[str, object]] | None:
    """Read a list of tables, whose keys somebody else reads."""
    if isinstance(value, list) and all(isinstance(element, dict) for element in value):
        return value
    name = ".".join(map(str, place.path))
    place.refuse("must be a list of tables", f"write [[{name}]], in two brackets, above each")
    return None


def prefix_entry(value: object, place: Place) -> Entry | None:
    """Read an entry of a prefix list, as in "10.0.0.0/8 ge 16 le 24"."""
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", 'write it in "quotes"')
        return None
    try:
        return parse_entry(value)
    except ValueError as error:
        refuse_as(place, error)
        return None


def prefix_list(value: object, place: Place) -> PrefixList | None:
    """Read the entries of a prefix list, of which there may be very many."""
    if not isinstance(value, list):
        return None if list_of(prefix_entry)(value, place) is None else PrefixList(())
    entries = [prefix_entry(element, place / index) for index, element in enumerate(value)]
    seen: set[Entry] = set()
    for index, entry in enumerate(entries):
        if entry in seen:
            (place / index).refuse(f"{_shown(value[index])} is there twice", "keep one")
        elif entry is not None:
            seen.add(entry)
    return PrefixList(entry for entry in entries if entry is not None)


def refuse_as(place: Place, error: ValueError) -> None:
    """Refuse what the library refuses with `error`, whose text often ends with what to write."""
    what, _, remedy = re.sub("[:;] (?=write )", "\n", str(error), count=1).partition("\n")
    place.refuse(what.replace("'", '"'), remedy or "correct it, or leave it out")
