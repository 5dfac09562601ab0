"""Any line of ExaBGP's text API is a command, nothing, or one error on one line; what a command announces has
attributes that a session can send; and any file of neighbors gives these or one such error.

Input: an octet, whose lowest bit says whether it is a file of neighbors or lines of commands, and the text.
"""

from collections.abc import Iterator
from random import Random

from bgp.family import FAMILIES
from bgp.session.config import SessionConfig
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.tools.exabgp import settings
from bgp.tools.exabgp.command import VERBS, Command, parse
from bgp.tools.exabgp.route import attributes
from bgp.wire import prefix as nlri
from bgp.wire.attributes import AttributeTable
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.update import decode
from fuzz import texts
from fuzz.target import Broken, Target, hold

_LOCAL = b"\xc0\0\2\1"
_MOST = 1 << 16  # routes of one command


def _session(peer_as: int) -> Negotiated:
    ours = SessionConfig(local_as=65000, identifier=1, families=FAMILIES, as_sets=True, first_as=False)
    theirs = SessionConfig(local_as=peer_as, identifier=2, families=FAMILIES)
    return negotiate(ours, offer(ours), offer(theirs))


_SESSIONS = (_session(65000), _session(65001))


def said(command: Command) -> None:
    """Raise where what a command announces cannot be told, or is told wrong."""
    if command.said is None:
        return
    for negotiated in _SESSIONS:
        table = AttributeTable()
        family, prefix, _ = command.routes[0]
        try:
            told = attributes(command.said, family, negotiated, _LOCAL, table)
        except ValueError as error:
            shown(error)
            continue
        messages, unfit = Encoder().announce(family, told.octets, told.next_hop, [prefix])
        hold(bool(messages) != bool(unfit), "neither told nor too long")
        context = Context(internal=negotiated.internal, families=frozenset(FAMILIES), as_sets=True)
        for message in messages:
            update = decode(message[19:], context, table)
            hold([reach.prefixes for reach in update.announced] in ([[prefix]], []), f"{update.announced}")


def shown(error: ValueError) -> None:
    text = str(error)
    hold(text.isprintable() and text, f"not to be shown: {text!r}")
    hold(len(text) < 1000, f"{len(text)} characters: {text[:200]}")
    hold("unpack" not in text, f"Python's words: {text}")


def commands(text: str) -> None:
    for line in text.split("\n"):
        try:
            command = parse(line)
        except ValueError as error:
            shown(error)
            continue
        if command is None:
            continue
        hold(any(command.verb == verb or verb.startswith(command.verb) for verb in VERBS), command.verb)
        hold(len(command.routes) <= _MOST, f"{len(command.routes)} routes in {len(line)} characters")
        for family, prefix, _ in command.routes[:10]:
            hold(nlri.parse(nlri.text(family, prefix)) == (family, prefix), f"{prefix.hex()} is no prefix")
        said(command)


def file(text: str) -> None:
    try:
        found = settings.read(text)
    except ValueError as error:
        shown(error)
        return
    hold(found.neighbors, "no neighbors")
    for options in found.neighbors:
        options.session(found.asn, found.identifier)


def check(data: bytes) -> None:
    text = data[1:].decode("utf-8", "replace")
    if data[:1] and data[0] & 1:
        file(text)
    else:
        commands(text)


def seed(random: Random) -> bytes:
    if random.randrange(4) == 0:
        return b"\1" + texts.neighbors(random).encode()
    return b"\0" + "\n".join(texts.command(random) for _ in range(random.choice((1, 1, 3)))).encode()


def view(data: bytes) -> Iterator[str]:
    text = data[1:].decode("utf-8", "replace")
    whole = bool(data[:1] and data[0] & 1)
    for part in [text] if whole else text.split("\n"):
        yield ascii(part)[1:-1]
        try:
            found: object = settings.read(part) if whole else parse(part)
        except (ValueError, Broken) as error:
            found = error
        except Exception as error:
            found = repr(error)
        yield f"    {ascii(str(found))[1:-1][:2000]}"


TARGET = Target("exabgp", check, seed, view, 2048)
