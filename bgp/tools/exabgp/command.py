"""A line of the text API as a value: which neighbors it is for, what is to be done, and with which routes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from bgp.family import FAMILIES, Family
from bgp.tools.exabgp.route import Key, Said
from bgp.tools.exabgp.words import WORDS, number, path_id, plain, single, split, value_of
from bgp.wire import prefix as nlri
from bgp.wire.text import printable

# Beside `neighbor ADDRESS`, what narrows a selection.
SELECTORS = ("local-ip", "local-as", "peer-as", "router-id", "family-allowed")
_FAMILIES = {tuple(family.name.split("-")): family for family in FAMILIES}
_ATTRIBUTES = ("attribute", "attributes")


@dataclass(frozen=True, slots=True)
class Selector:
    """Some neighbors: by address, `*` for all, and what else must be so of them."""

    address: str
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be done: `verb` is a row of `VERBS`.

    `selectors`: the neighbors that it is for, all where there are none.  `said` is None for routes that are
    withdrawn.  `words` are those behind the verb that have no other place.
    """

    verb: str
    selectors: tuple[Selector, ...] = ()
    routes: tuple[Key, ...] = ()
    said: Said | None = None
    families: tuple[Family, ...] = FAMILIES
    words: tuple[str, ...] = field(default=())


_SHOWN = 400  # characters of an error
_MOST = 65536  # routes of a command


def parse(line: str) -> Command | None:
    """Return the command, None for a comment or an empty line; raise ValueError with reason and remedy."""
    try:
        return _parsed(line)
    except ValueError as error:
        # What is wrong is told on a line of its own, whatever the command had in it.
        text = str(error)
        text = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} ... {text[-_SHOWN // 2 :]}"
        raise ValueError(printable(text)) from None


def _parsed(line: str) -> Command | None:
    if line.lstrip().startswith("#"):
        return None
    words = split(line)
    if not words:
        return None
    selectors, words = _selectors(words)
    for verb, read in VERBS.items():
        verb_words = verb.split()
        if words[: len(verb_words)] == verb_words:
            return read(verb, selectors, words[len(verb_words) :])
    raise ValueError(f"there is no command {' '.join(words[:2])!r}; there are: {', '.join(VERBS)}")


def _selectors(words: Sequence[str]) -> tuple[tuple[Selector, ...], list[str]]:
    found: list[Selector] = []
    at = 0
    while at < len(words) and words[at] in ("neighbor", ","):
        if words[at] == ",":
            at += 1
            continue
        some, at = value_of(words, at + 1)
        address = single(some)
        if address != "*":
            address = str(ip_address(address))
        conditions = []
        while at < len(words) and words[at] in SELECTORS:
            name = words[at]
            some, at = value_of(words, at + 1)
            conditions.append((name, single(some)))
        found.append(Selector(address, tuple(conditions)))
    if at >= len(words):
        raise ValueError("there is no command behind the neighbors")
    return tuple(found), list(words[at:])


def _family(words: Sequence[str]) -> tuple[Family, ...]:
    """Return the families that `ipv4 unicast` and the like name, all if there is nothing."""
    if not words:
        return FAMILIES
    family = _FAMILIES.get(tuple(words))
    if family is None:
        raise ValueError(f"{' '.join(words)} is not spoken here; write ipv4 unicast or ipv6 unicast")
    return (family,)


def _prefix(text: str, identifier: int) -> Key:
    family, octets = nlri.parse(text)
    return Key(family, octets, identifier)


def _said(words: Sequence[str]) -> tuple[Said | None, int, int | None, list[str]]:
    """Return what is said of routes, their path identifier, the length to split to, and the prefixes."""
    next_hop: bytes | None = None
    named = False
    identifier, length = 0, None
    items: dict[int, tuple[int, int, bytes]] = {}
    value: list[str]
    at = 0
    while at < len(words) and words[at] != "nlri":
        word = words[at]
        row = WORDS.get(word)
        try:
            if word == "atomic-aggregate" and row is not None:
                value, at = [], at + 1
            else:
                value, at = value_of(words, at + 1)
            if row is not None:
                items[row.type] = (row.flags, row.type, row.read(value))
            elif word == "next-hop":
                named, next_hop = True, None if value == ["self"] else ip_address(" ".join(value)).packed
            elif word == "path-information":
                identifier = path_id(value)
            elif word == "split":
                length = int.from_bytes(number([single(value).removeprefix("/")]), "big")
            else:
                known = ", ".join(["next-hop", *WORDS, "path-information", "split"])
                raise ValueError(f"there is no such attribute; there are: {known}")
        except ValueError as error:
            remedy = f"; write {row.example}" if row else ""
            raise ValueError(f"{word}: {error}{remedy}") from None
    said = Said(next_hop, tuple(items.values()), " ".join(words)) if named else None
    return said, identifier, length, plain(words[at + 1 :])


def _more_specific(key: Key, length: int) -> list[Key]:
    network = nlri.network(key.family, key.prefix)
    if not network.prefixlen <= length <= network.max_prefixlen:
        raise ValueError(f"split: {network} cannot be split into /{length}")
    return [_prefix(str(each), key.path_id) for each in network.subnets(new_prefix=length)]


def _routes(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    """Read `announce route PREFIX ...`, `announce ipv4 unicast PREFIX ...`, and the same of `withdraw`."""
    if not words:
        raise ValueError("the prefix is missing")
    said, identifier, length, more = _said(words[1:])
    if more:
        raise ValueError("nlri is for announce attributes; write one prefix behind the command")
    return _done(verb, selectors, [words[0]], said, identifier, length)


def _of_family(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    command = _routes(verb, selectors, words)
    (family,) = _family(verb.split()[1:])
    if any(key.family is not family for key in command.routes):
        raise ValueError(f"{words[0]} is no prefix of {family}")
    return command


def _in_bulk(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    """Read `announce attributes ... nlri PREFIX PREFIX`."""
    said, identifier, length, prefixes = _said(words)
    if not prefixes:
        raise ValueError("there are no prefixes; write them at the end, behind nlri")
    return _done(verb, selectors, prefixes, said, identifier, length)


def _done(
    verb: str,
    selectors: tuple[Selector, ...],
    prefixes: Sequence[str],
    said: Said | None,
    identifier: int,
    length: int | None,
) -> Command:
    keys: list[Key] = []
    for prefix in prefixes:
        key = _prefix(str(ip_network(prefix)), identifier)
        parts = 1 << max(0, min((length or 0) - key.prefix[0], 17))
        if len(keys) + parts > _MOST:
            raise ValueError(f"at most {_MOST} routes in one command; write several")
        keys += [key] if length is None else _more_specific(key, length)
    action = verb.split()[0]
    if action == "withdraw":
        return Command(action, selectors, tuple(keys))
    if said is None:
        raise ValueError("next-hop is missing; write next-hop self, or an address")
    return Command(action, selectors, tuple(keys), said)


def _for_family(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    return Command(verb, selectors, families=_family(words))


def _refresh(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    return _for_family("announce route-refresh", selectors, words)


def _with_number(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    subcode = int.from_bytes(number(words or ["2"]), "big")
    if subcode > 255:
        raise ValueError("the subcode of a Cease is at most 255")
    return Command(verb, selectors, words=(str(subcode),))


def _plain(verb: str, selectors: tuple[Selector, ...], words: Sequence[str]) -> Command:
    return Command(verb, selectors, words=tuple(words))


_Read = Callable[[str, tuple[Selector, ...], Sequence[str]], Command]
# The first that fits is taken.
VERBS: dict[str, _Read] = {
    "announce route refresh": _refresh,
    "announce route-refresh": _refresh,
    "announce eor": _for_family,
    **{f"{action} route": _routes for action in ("announce", "withdraw")},
    **{
        f"{action} {' '.join(family)}": _of_family
        for action in ("announce", "withdraw")
        for family in _FAMILIES
    },
    **{f"{action} {word}": _in_bulk for action in ("announce", "withdraw") for word in reversed(_ATTRIBUTES)},
    "show neighbor": _plain,
    "show adj-rib out": _plain,
    "clear adj-rib out": _plain,
    "flush adj-rib out": _plain,
    "teardown": _with_number,
    "version": _plain,
    "enable-ack": _plain,
    "disable-ack": _plain,
    "silence-ack": _plain,
    "shutdown": _plain,
}
