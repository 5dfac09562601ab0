"""Readers of what BGP has names and numbers for: AS numbers, families, times, roles, communities."""

import re
from collections.abc import Callable

from bgp.family import BY_NAME, IPV4_UNICAST, Family
from bgp.iana import AS_TRANS, AddPathMode, CapabilityCode, Origin, Role
from bgp.rib.selection import ALL, BEST, EQUAL, Selection, best_n
from bgp.session.config import AsExpected, Confederation, LimitAction
from bgp.session.restart import LONGEST_STALE
from bgp.wire.capability import Fqdn
from bgp.wire.community import extended_text, parse_community, parse_extended
from reflector.configuration.document import Place, nearest
from reflector.configuration.naming import WELL_KNOWN, WRITTEN, Sort, resolved
from reflector.configuration.secrets import Secret, secret
from reflector.configuration.shapes import (
    FLAG,
    TEXT,
    Shape,
    array,
    either,
    integer,
    shape_of,
    shaped,
    table,
    words,
)
from reflector.configuration.values import flag, kind, list_of, number, one_of, refuse_as, text

LAST_AS = 0xFFFFFFFF


@shaped(integer(0, 65535) | {"not": {"enum": [1, 2]}})
def hold_time(value: object, place: Place) -> int | None:
    seconds = number(0, 65535, "seconds")(value, place)
    if seconds in (1, 2):
        place.refuse(
            f"{seconds} is not allowed (RFC 4271 4.2)", "write 0 (never expires), or 3 or more seconds"
        )
        return None
    return seconds


@shaped(integer(1, LAST_AS))
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
    "confederation": AsExpected.CONFEDERATION,
    "any": AsExpected.ANY,
}


@shaped(either(integer(1, LAST_AS), words(EXPECTED_AS)))
def expected_as(value: object, place: Place) -> int | AsExpected | None:
    """Read what AS a peer may have: a number, or a word."""
    if isinstance(value, str) and not re.fullmatch(r"(?i)(as)?\d+", value):
        word = one_of(EXPECTED_AS)(value, place)
        return None if word is None else EXPECTED_AS[word]
    return as_number(value, place)


_MEMBERSHIP = {"identifier": integer(1, LAST_AS), "members": array(integer(1, LAST_AS), 1)}


@shaped(table(_MEMBERSHIP, _MEMBERSHIP))
def confederation(value: object, place: Place) -> Confederation | None:
    """Read the number of a confederation, and those of its member ASes (RFC 5065)."""
    example = "write confederation = {identifier = 64500, members = [65001, 65002]}"
    if not isinstance(value, dict):
        place.refuse(f"must be a table, not {kind(value)}", example)
        return None
    for name in value.keys() - {"identifier", "members"}:
        (place / name).refuse("there is no such key", example)
    for name in ("identifier", "members"):
        if name not in value:
            place.refuse(f"has no {name}", example)
    identifier = as_number(value["identifier"], place / "identifier") if "identifier" in value else None
    members = list_of(as_number, least=1)(value["members"], place / "members") if "members" in value else None
    if identifier is None or members is None:
        return None
    return Confederation(identifier, frozenset(asn for asn in members if isinstance(asn, int)))


@shaped(words(BY_NAME))
def family(value: object, place: Place) -> Family | None:
    if value in ("ipv4", "ipv6"):
        place.refuse(f'"{value}" is not known', f'did you mean "{value}-unicast"?')
        return None
    name = one_of(BY_NAME)(value, place)
    return None if name is None else BY_NAME[name]


def for_family(shape: Shape) -> Shape:
    """Return the shape of a value for all families, or a table with one for each."""
    return either(shape, table(dict.fromkeys(BY_NAME, shape)))


ADD_PATH_MODES = {"receive": AddPathMode.RECEIVE, "send": AddPathMode.SEND, "both": AddPathMode.BOTH}


@shaped(for_family(words(("off", *ADD_PATH_MODES))))
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


SELECTIONS = {"best": BEST, "equal": EQUAL, "all": ALL}
MOST_PATHS = 255


@shaped(for_family(either(integer(1, MOST_PATHS), words(SELECTIONS))))
def add_path_select(value: object, place: Place) -> dict[Family, Selection] | None:
    """Read which paths to tell of all families, or a table with that of each family."""
    if isinstance(value, dict):
        found = {family(name, place / name): _selection(each, place / name) for name, each in value.items()}
        return {row: each for row, each in found.items() if row is not None and each is not None}
    each = _selection(value, place)
    return None if each is None else dict.fromkeys(BY_NAME.values(), each)


def _selection(value: object, place: Place) -> Selection | None:
    if isinstance(value, str) and value in SELECTIONS:
        return SELECTIONS[value]
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PATHS:
        return best_n(value)
    listed = ", ".join(f'"{word}"' for word in SELECTIONS)
    remedy = f"write how many of the best, from 1 to {MOST_PATHS}, or one of {listed}"
    match value:
        case str():
            guess = nearest(value, list(SELECTIONS))
            remedy = f"write {value}, without quotes" if value.isdecimal() else remedy
            place.refuse(f'"{value}" selects no paths', f'did you mean "{guess}"?' if guess else remedy)
        case int() if not isinstance(value, bool):
            place.refuse(f"{value} is out of range", remedy)
        case _:
            place.refuse(f"must be a number or text, not {kind(value)}", remedy)
    return None


@shaped(shape_of(secret))
def password(value: object, place: Place) -> Secret | None:
    """Read a TCP-MD5 password; the kernel takes at most 80 octets (RFC 2385)."""
    return secret(value, place, 80)


_MANY = number(1, 100_000_000)


@shaped(for_family(shape_of(_MANY)))
def by_family(
    value: object, place: Place, read: Callable[[object, Place], int | None] = _MANY
) -> dict[Family, int] | None:
    """Read a number for all families, or a table with a number for each."""
    if isinstance(value, dict):
        found = {family(name, place / name): read(each, place / name) for name, each in value.items()}
        return {row: each for row, each in found.items() if row is not None and each is not None}
    each = read(value, place)
    return None if each is None else dict.fromkeys(BY_NAME.values(), each)


@shaped(for_family(integer(0, LONGEST_STALE)))
def stale_times(value: object, place: Place) -> dict[Family, int] | None:
    """Read for how long stale routes are kept (RFC 9494): seconds for all families, or for each."""
    return by_family(value, place, number(0, LONGEST_STALE, "seconds"))


LIMIT_ACTIONS = {each.value: each for each in LimitAction}


@shaped(words(LIMIT_ACTIONS))
def limit_action(value: object, place: Place) -> LimitAction | None:
    """Read what becomes of a session whose peer sends too many prefixes."""
    name = one_of(LIMIT_ACTIONS)(value, place)
    return None if name is None else LIMIT_ACTIONS[name]


@shaped(either(FLAG, array(words(BY_NAME))))
def families(value: object, place: Place) -> tuple[Family, ...] | None:
    """Read true for all families, false for none, or a list of families."""
    if isinstance(value, bool):
        return tuple(BY_NAME.values()) if value else ()
    if not isinstance(value, list):
        place.refuse(f"must be true, false or a list, not {kind(value)}", "write true, or name the families")
        return None
    found = [family(each, place / index) for index, each in enumerate(value)]
    return tuple(each for each in found if each is not None)


@shaped(TEXT)
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


@shaped(words(CAPABILITIES))
def capability(value: object, place: Place) -> CapabilityCode | None:
    name = one_of(CAPABILITIES)(value, place)
    return None if name is None else CAPABILITIES[name]


@shaped(FLAG)
def extended_next_hop(value: object, place: Place) -> tuple[Family, ...] | None:
    """Read whether IPv4 prefixes may have an IPv6 next hop (RFC 8950)."""
    wanted = flag(value, place)
    return None if wanted is None else (IPV4_UNICAST,) if wanted else ()


ROLES = {each.name.lower().replace("_", "-"): each for each in Role}


@shaped(words(ROLES))
def role(value: object, place: Place) -> Role | None:
    """Read our own role towards a peer (RFC 9234)."""
    name = one_of(ROLES)(value, place)
    return None if name is None else ROLES[name]


ORIGINS = {each.name.lower(): each for each in Origin}


@shaped(words(ORIGINS))
def origin(value: object, place: Place) -> Origin | None:
    name = one_of(ORIGINS)(value, place)
    return None if name is None else ORIGINS[name]


def _up_to(highest: int, text: str) -> bool:
    """Whether `text` is a number up to `highest`; Python itself refuses to read very long ones."""
    return text.isdecimal() and len(text) <= 20 and int(text) <= highest


@shaped(TEXT)
def community(value: object, place: Place) -> int | None:
    """Read "asn:value" or the name of a community (RFC 1997)."""
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", 'write "asn:value", as in "65000:100"')
        return None
    written = resolved(value, place, Sort.PLAIN)
    if written is None:
        return None
    parts = written.split(":")
    if len(parts) == 2 and all(_up_to(0xFFFF, part) for part in parts):
        return int(parts[0]) << 16 | int(parts[1])
    if len(parts) == 1 and written.lower().replace("_", "-") in WELL_KNOWN:
        return parse_community(written)
    hint = WRITTEN[Sort.PLAIN]
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        hint = "both numbers go up to 65535; use large_communities for greater ones"
    place.refuse(f'"{value}" is no community', hint)
    return None


@shaped(TEXT)
def large_community(value: object, place: Place) -> tuple[int, int, int] | None:
    """Read "asn:value:value", or the name of such a community (RFC 8092)."""
    written = resolved(value, place, Sort.LARGE) if isinstance(value, str) else ""
    if written is None:
        return None
    parts = written.split(":")
    if len(parts) == 3 and all(_up_to(LAST_AS, part) for part in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    what = (
        f'"{value}" is no large community' if isinstance(value, str) else f"must be text, not {kind(value)}"
    )
    place.refuse(what, WRITTEN[Sort.LARGE])
    return None


@shaped(TEXT)
def extended_community(value: object, place: Place) -> str | None:
    """Read an extended community, as in "rt:65000:1", or the name of one (RFC 4360)."""
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", WRITTEN[Sort.EXTENDED])
        return None
    written = resolved(value, place, Sort.EXTENDED)
    if written is None:
        return None
    try:
        octets = parse_extended(written)
    except ValueError as error:
        refuse_as(place, error)
        return None
    if len(octets) != 8:
        place.refuse(
            f'"{value}" has an IPv6 address (RFC 5701)', f"{WRITTEN[Sort.EXTENDED]}, of eight octets"
        )
        return None
    return extended_text(octets)
