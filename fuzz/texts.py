"""Texts that are nearly right, for the targets of what people write: configurations, commands, patterns."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

from bgp.testing.generate import chance
from reflector.configuration import schema

_EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "reflector.toml"
_KEY = re.compile(r"#?([a-z_0-9]+) = (.*?)(?:\s{2,}#.*|\s+#\s.*)?")
_ODD = (
    *("true", "0", "1", "-1", "255", "4294967296", "1.5", "nan", "1979-05-27", "[]", "{}", "[[]]", '""'),
    *('"accept-all"', '"nodes"', '"\\u001b"', "0x1F", '["10.0.0.0/8 ge 9", "10.0.0.0/8 ge 9"]', '"*"'),
    *('"64500 .* (1|2){3}$"', '"10.0.0.0/8"', '"::/0"', '"rt:1:*"', '"1:2:3"', "{not = {}}", "[{}]"),
    *('{any = [{med = "none"}, {not = {as_path_length = "2-4"}}]}', "{prepend = 64500, med = 5}"),
)
_PIECES = (
    '"',
    "'",
    '"""',
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\\",
    "\\u",
    "\0",
    "\ufeff",
)
PREFIXES = (
    *("10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "10.1.2.3/8", "10.0.0.0", "::/0", "2001:db8::/32"),
    *("2001:db8::1/128", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "10.0.0.0/33", "/8", "10.0.0.0/255.0.0.0"),
)
_ENTRY = ("!", " ge ", " le ", "16", "24", "0", "33", "128", "-1", "ge", "le")
_PATTERN = (
    *(".", "*", "+", "?", "^", "$", "(", ")", "|", "{2}", "{2,}", "{0,3}", "{,}", "{9999}", " "),
    *("64500", "1-9", "9-1", "4294967295", "4294967296", ". *", "(.|.)*", "(64500|.){2}", "1.10"),
)
_PATH = (
    "64500",
    " ",
    ",",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "|",
    "1.10",
    "65536.1",
    "0",
    "4294967295",
    ".",
    "  ",
)
_COMMUNITY = (
    *(
        ":",
        "65000",
        "65536",
        "0",
        "*",
        "no-export",
        "NO_EXPORT",
        "rt:",
        "ro:",
        "0x",
        "00",
        "ff" * 8,
        "L",
        "-",
    ),
    *(
        "[2001:db8::1]",
        "10.0.0.1",
        "4294967295",
        "1.1",
        "0b1",
        "1_0",
        "target:",
        "origin:",
        "100-199",
        "\u0661",
    ),
)
_COMMANDS = (
    *(
        "announce route",
        "withdraw route",
        "announce attributes",
        "announce ipv4 unicast",
        "withdraw ipv6 unicast",
    ),
    *("announce eor", "announce route-refresh", "show neighbor", "show adj-rib out", "flush adj-rib out"),
    *(
        "teardown",
        "version",
        "shutdown",
        "#",
        "neighbor 192.0.2.1",
        "neighbor * local-as 1,",
        "neighbor",
        ",",
    ),
)
_ATTRIBUTES = (
    *(
        "next-hop self",
        "next-hop 192.0.2.9",
        "next-hop 2001:db8::9",
        "origin igp",
        "as-path [ 65001 ( 1 2 ) ]",
    ),
    *("med 100", "local-preference 200", "atomic-aggregate", "aggregator ( 65001:192.0.2.1 )", "split /26"),
    *("community [ 65001:1 no-export ]", "large-community [ 1:2:3 ]", "extended-community [ target:1:2 ]"),
    *("originator-id 192.0.2.1", "cluster-list [ 192.0.2.1, 192.0.2.2 ]", "path-information 1.2.3.4", "nlri"),
    *("split", "[", "]", "[ ]", "( )", "unicast", "2", "256", "ipv4 unicast", "med -1", "rd 1:1", "label 3"),
)
_NEIGHBORS = """asn = 64512
router_id = "192.0.2.1"
[[neighbor]]
address = "192.0.2.9"
asn = 64513
"""


@cache
def _example() -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the example's chunks of lines, and the values that it has for each key."""
    text = _EXAMPLE.read_text(encoding="utf-8")
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        found = _KEY.fullmatch(line.strip())
        if found is not None:
            values.setdefault(found[1], []).append(found[2])
    return tuple(text.split("\n\n")), {name: tuple(some) for name, some in values.items()}


def configuration(random: Random) -> str:
    """Return a configuration that is mostly right, with some keys, values or signs that are not."""
    lines = ["[router]", "asn = 64512", 'router_id = "192.0.2.1"']
    chunks, _ = _example()
    for _ in range(random.choice((0, 1, 2, 4))):
        if chance(random, 0.4):
            lines += random.choice(chunks).splitlines()
        else:
            lines += _table(random)
    if chance(random, 0.3):
        # What is commented out is to be tried as well.
        lines = [re.sub(r"^#(?=[a-z_0-9]+ = )", "", line) for line in lines]
    text = "\n".join(lines) + "\n"
    return disturbed(random, text, (*_PIECES, *_ODD)) if chance(random, 0.4) else text


def _table(random: Random) -> list[str]:
    name = random.choice(list(schema.TABLES))
    lines = [schema.HEADINGS[name].replace("NAME", random.choice(("nodes", "edge", "uplink")))]
    keys = [row.name for row in schema.TABLES[name]]
    if name in ("policy", "group") and chance(random, 0.5):
        lines += [f"{key} = {_value(random, key)}" for key in random.sample(keys, 1) if key != "term"]
        lines += ["[[policy.edge.term]]"] * random.choice((1, 1, 2))
        keys = ["name", "match", "set", "then", "known", "allowed", "discard"]
    some = random.sample(keys, min(len(keys), random.choice((1, 2, 3, 5))))
    return lines + [f"{key} = {_value(random, key)}" for key in some]


def _value(random: Random, key: str) -> str:
    _, values = _example()
    return random.choice(values.get(key, _ODD) if chance(random, 0.8) else _ODD)


def disturbed(random: Random, text: str, pieces: Sequence[str]) -> str:
    """Return `text` with some pieces put in, parts lost, or parts said again."""
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(text) + 1)
        size = random.choice((1, 1, 4, 20))
        match random.randrange(3):
            case 0:
                text = text[:at] + random.choice(pieces) + text[at:]
            case 1:
                text = text[:at] + text[at + size :]
            case _:
                text = text[:at] + text[at : at + size] * random.choice((2, 2, 9)) + text[at + size :]
    return text


def _joined(random: Random, pieces: Sequence[str], most: int = 8) -> str:
    return "".join(random.choice(pieces) for _ in range(random.randint(1, most)))


def prefix_entry(random: Random) -> str:
    """Return an entry of a prefix list, or what looks like one."""
    text = random.choice(("", "", "!")) + random.choice(PREFIXES)
    text += random.choice(("", " ge 16", " le 24", " ge 9 le 20", " le 32 ge 8"))
    return disturbed(random, text, _ENTRY) if chance(random, 0.4) else text


def pattern(random: Random) -> str:
    return _joined(random, _PATTERN, 12)


def as_path(random: Random) -> str:
    return _joined(random, _PATH, 10)


def community(random: Random) -> str:
    return _joined(random, _COMMUNITY, 5)


def command(random: Random) -> str:
    """Return a line of the text API."""
    parts = [random.choice(_COMMANDS), random.choice(PREFIXES)]
    parts += [random.choice(_ATTRIBUTES) for _ in range(random.choice((0, 1, 2, 3, 5)))]
    if chance(random, 0.3):
        random.shuffle(parts)
    if chance(random, 0.2):
        parts.insert(0, "neighbor 192.0.2.1 , neighbor * router-id 10.0.0.1")
    line = " ".join(parts)
    return disturbed(random, line, (*_ATTRIBUTES, " ", ",", "(", ")")) if chance(random, 0.3) else line


def neighbors(random: Random) -> str:
    """Return a file with the neighbors of the stand-in for ExaBGP."""
    text = _NEIGHBORS
    for key in random.sample(("port", "local_as", "families", "hold_time", "ttl", "multihop", "add_path"), 2):
        text += f"{key} = {random.choice(_ODD)}\n"
    return disturbed(random, text, (*_PIECES, *_ODD)) if chance(random, 0.4) else text
