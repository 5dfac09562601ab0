"""Communities by names of one's own.

    [communities]
    blackhole-me = "64512:666"
    no-peering   = "64512:1:2"
    customers    = "rt:64512:7"

A name stands wherever a community of its kind may be written.  What it stands for is put in its place when
it is read, so nothing behind the reading knows of names but reports, which show them.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum

from bgp.iana import WellKnownCommunity
from bgp.wire.community import (
    community_text,
    extended_text,
    large_text,
    parse_community,
    parse_extended,
    parse_large,
)
from reflector.configuration.document import Document, Place, nearest
from reflector.configuration.values import kind

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LONGEST = 100  # characters of a name
WELL_KNOWN = tuple(each.name.lower().replace("_", "-") for each in WellKnownCommunity)


class Sort(Enum):
    """The kinds of communities, as they are called."""

    PLAIN = "community"
    LARGE = "large community"
    EXTENDED = "extended community"


_EXAMPLES = 'write "asn:value", "asn:value:value", or an extended one such as "rt:asn:value"'
WRITTEN = {
    Sort.PLAIN: 'write "asn:value" with two numbers up to 65535',
    Sort.LARGE: 'write "asn:value:value" with three numbers up to 4294967295',
    Sort.EXTENDED: "write rt:asn:number",
}
_READERS: Mapping[Sort, Callable[[str], str]] = {
    Sort.PLAIN: lambda text: community_text(parse_community(text)),
    Sort.LARGE: lambda text: large_text(parse_large(text)),
    Sort.EXTENDED: lambda text: extended_text(parse_extended(text)),
}


def read_communities(document: Document) -> None:
    """Read the table `[communities]` into the document, where readers find it."""
    place, found = document.root / "communities", document.data.get("communities", {})
    if not isinstance(found, dict):
        place.refuse(f"must be a table, not {kind(found)}", "write [communities] on a line of its own")
        return
    for name, value in found.items():
        _read_one(name, value, place / name)


def _read_one(name: str, value: object, place: Place) -> None:
    if name.lower().replace("_", "-") in WELL_KNOWN:
        place.refuse("is the name of a well-known community", "choose another name")
        return
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        place.refuse("is no name for a community", "use letters, digits, - and _, a letter first")
        return
    if not isinstance(value, str):
        place.refuse(f"must be text, not {kind(value)}", _EXAMPLES)
        return
    for sort, read in _READERS.items():
        try:
            text = read(value)
        except ValueError:
            continue
        document = place.document
        for other, known in document.communities.items():
            if known == (sort.value, text):
                place.refuse(f'has the name "{other}" already', "keep one of the two")
        document.communities[name] = sort.value, text
        return
    place.refuse(f'"{value}" is no community', _EXAMPLES)


def resolved(written: str, place: Place, sort: Sort) -> str | None:
    """Return what is `written`, the community itself in the place of a name; refuse a name that is none."""
    names = place.document.communities
    if written in names:
        found, text = names[written]
        if found == sort.value:
            return text
        place.refuse(f'"{written}" is the name of the {found} {text}', f"write a {sort.value} here")
        return None
    if not _NAME.fullmatch(written):
        return written
    known = [name for name, (found, _) in names.items() if found == sort.value]
    if sort is Sort.PLAIN:
        if written.lower().replace("_", "-") in WELL_KNOWN:
            return written
        known += WELL_KNOWN
    guess = nearest(written, known)
    remedy = f'did you mean "{guess}"?' if guess else f"{WRITTEN[sort]}, or add {written} to [communities]"
    place.refuse(f'there is no {sort.value} "{written}"', remedy)
    return None
