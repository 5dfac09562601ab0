"""BIRD's commands, as far as tools use them: from the words of a line to what is asked.

As with BIRD a keyword may be cut short where it stays the only one that begins so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from reflector.birdc.reply import Code, Refused

_TOKEN = re.compile(r'"([^"]*)"|(\S+)')
TABLES = {"master4": IPV4_UNICAST, "master6": IPV6_UNICAST}


@dataclass(frozen=True, slots=True)
class Words:
    """What is left of a line."""

    left: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.left)

    def keyword(self, known: Sequence[str]) -> "tuple[str, Words]":
        """Take a keyword of those that are known; raise Refused."""
        if not self.left:
            raise Refused(Code.PARSE_ERROR, f"syntax error, unexpected END, expecting {' or '.join(known)}")
        word = self.left[0].lower()
        found = [each for each in known if each.startswith(word)]
        if word in known:
            found = [word]
        if len(found) != 1:
            raise Refused(
                Code.PARSE_ERROR, f"syntax error, unexpected {self.left[0]!r}, expecting {' or '.join(known)}"
            )
        return found[0], Words(self.left[1:])

    def word(self, what: str) -> "tuple[str, Words]":
        """Take whatever stands there; raise Refused if nothing does."""
        if not self.left:
            raise Refused(Code.PARSE_ERROR, f"syntax error, unexpected END, expecting {what}")
        return self.left[0], Words(self.left[1:])


def split(line: str) -> Words:
    """Return the words of a line, quoted ones without their quotation marks."""
    return Words(tuple(found[1] or found[2] for found in _TOKEN.finditer(line) if found[0] != '""'))


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """`show route ...`: what of the tables, and how it is shown.

    `lookup` is the prefix of which the best match is asked.
    """

    families: tuple[Family, ...] = (IPV4_UNICAST, IPV6_UNICAST)
    exact: IPv4Network | IPv6Network | None = None
    lookup: IPv4Network | IPv6Network | None = None
    within: IPv4Network | IPv6Network | None = None
    protocol: str | None = None
    exported: str | None = None
    primary: bool = False
    filtered: bool = False
    all: bool = False
    count: bool = False


_OPTIONS = ("all", "count", "export", "filtered", "for", "in", "primary", "protocol", "table", "where")


def route_query(words: Words) -> RouteQuery:
    """Read what follows `show route`; raise Refused."""
    values: dict[str, object] = {}
    while words:
        if _is_prefix(words.left[0]):
            text, words = words.word("a prefix")
            values["exact"] = _prefix(text)
            continue
        option, words = words.keyword(_OPTIONS)
        match option:
            case "all" | "count" | "filtered" | "primary":
                values[option] = True
            case "for" | "in":
                text, words = words.word("a prefix")
                values["lookup" if option == "for" else "within"] = _prefix(text)
            case "table":
                name, words = words.word("a table")
                if name not in TABLES and name != "all":
                    raise Refused(
                        Code.PARSE_ERROR, f"there is no table {name}; there are {', '.join(TABLES)}"
                    )
                if name in TABLES:
                    values["families"] = (TABLES[name],)
            case "protocol":
                values["protocol"], words = words.word("a protocol")
            case "export":
                values["exported"], words = words.word("a protocol")
            case _:
                raise Refused(Code.PARSE_ERROR, "filters are not known here; ask for a protocol or a prefix")
    asked = [values[name] for name in ("exact", "lookup", "within") if name in values]
    if len(asked) > 1:
        raise Refused(Code.PARSE_ERROR, "only one prefix is expected")
    for network in asked:
        values["families"] = (IPV4_UNICAST if network.version == 4 else IPV6_UNICAST,)  # type: ignore[attr-defined]
    return RouteQuery(**values)  # type: ignore[arg-type]


def _is_prefix(text: str) -> bool:
    return bool(re.match(r"[0-9a-fA-F]*[.:]", text))


def _prefix(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise Refused(Code.PARSE_ERROR, str(error)) from None
