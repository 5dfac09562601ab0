"""What can be wrong with messages, row by row of `bgp.errors.RULES`: each gets what its RFC wants."""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bgp import errors
from bgp.errors import Notify, Rule
from bgp.family import DEFAULT_FAMILIES
from bgp.iana import MessageType
from bgp.testing import breakage
from bgp.testing.agreement import judge
from bgp.testing.hostile import words
from bgp.testing.hostile.attacker import Attacker
from bgp.testing.hostile.stage import EXTERNAL_AS, IDENTIFIER, Stage, hold, refused
from bgp.wire.context import Context
from bgp.wire.framing import frame
from bgp.wire.message import Notification

_TRIES = 50
_U, _R = MessageType.UPDATE, MessageType.ROUTE_REFRESH


@dataclass(frozen=True, slots=True)
class Kind:
    """A session on which UPDATEs are broken: where the peer is, its OPEN, and what that makes of UPDATEs."""

    group: str
    context: Context
    open_: dict[str, Any] = field(default_factory=dict)


_BOTH = {"families": DEFAULT_FAMILIES}
_INTERNAL = Context(internal=True, aigp=True, peer_as=words.ASN)
_EXTERNAL = Context(first_as=True, peer_as=EXTERNAL_AS)
KINDS = (
    Kind("hostile", _INTERNAL, _BOTH),
    Kind(
        "hostile",
        Context(internal=True, aigp=True, four_octet_as=False, peer_as=words.ASN),
        {**_BOTH, "four_octet_as": False},
    ),
    Kind("external", _EXTERNAL, _BOTH),
    Kind(
        "external",
        Context(first_as=True, four_octet_as=False, peer_as=EXTERNAL_AS),
        {**_BOTH, "four_octet_as": False},
    ),
)


async def malformed_updates(stage: Stage) -> str:
    """An UPDATE for each way to be malformed, on each kind of session, ends or survives as RFC 7606 says."""
    broken, ended = set(), 0
    for kind in KINDS:
        survived: list[str] = []
        attacker = await stage.peer(kind.group, **kind.open_)
        for rule in breakage.breakable(kind.context):
            body = _body(stage.random, kind.context, rule)
            if body is None:
                continue
            broken.add(rule)
            verdict = judge(body, kind.context)
            await attacker.send(frame(_U, body))
            if isinstance(verdict, Notify):
                ended += 1
                await refused(attacker, verdict.code, verdict.subcode, verdict.data)
                attacker.close()
                survived.clear()
                attacker = await stage.peer(kind.group, **kind.open_)
            else:
                survived.append(f"{rule} {body.hex()}")
        hold(await attacker.answers(), f"one of these ends the session: {survived}")
        attacker.close()
    missing = set(breakage.BREAKERS) - broken
    hold(not missing - {"as_path-confederation"}, f"rules that were not broken: {missing}")
    return f"{len(broken)} rules broken, {ended} sessions ended, as they should"


def _body(random: Random, context: Context, rule: str) -> bytes | None:
    """Return an UPDATE that breaks `rule` and fits into a message, if the rule can be broken here."""
    for _ in range(_TRIES):
        body = breakage.update(random, context, [rule])
        if len(body) <= 4000:
            return body
    return None


def _changed(message: bytes, at: int, octets: bytes) -> bytes:
    return message[:at] + octets + message[at + len(octets) :]


def _parameters(identifier: int, octets: bytes) -> bytes:
    """Return an OPEN with these optional parameters."""
    start = words.an_open(identifier)[19:28]
    return frame(MessageType.OPEN, start + bytes([len(octets)]) + octets)


async def malformed_openings(stage: Stage) -> str:
    """A header or an OPEN that is wrong gets its NOTIFICATION (RFC 4271 sections 6.1 and 6.2)."""
    number = int.from_bytes(bytes(map(int, IDENTIFIER.split("."))), "big")
    good = words.an_open(0x7F020001)
    cases: list[tuple[Rule, bytes]] = [
        (errors.MARKER, b"\0" + good[1:]),
        (errors.MARKER, b"GET / HTTP/1.1\r\nHost: bgp\r\n\r\n"),
        (errors.MARKER, bytes.fromhex("160301020001000001fc0303") + bytes(40)),  # a TLS client
        (errors.MESSAGE_LENGTH, _changed(good, 16, b"\0\x12")),
        (errors.MESSAGE_LENGTH, _changed(good, 16, b"\xff\xff")),
        (errors.MESSAGE_LENGTH, _changed(words.KEEPALIVE, 16, b"\0\x14") + b"\0"),
        (errors.MESSAGE_TYPE, frame(9, b"")),
        (errors.MESSAGE_TYPE, frame(0, b"")),
        (errors.VERSION, _changed(good, 19, b"\3")),
        (errors.PEER_AS, words.an_open(0x7F020001, 65001)),
        (errors.PEER_AS_ZERO, _changed(words.an_open(0x7F020001, four_octet_as=False), 20, b"\0\0")),
        (errors.IDENTIFIER, words.an_open(0)),
        (errors.IDENTIFIER_OURS, words.an_open(number)),
        (errors.HOLD_TIME, words.an_open(0x7F020001, hold_time=1)),
        (errors.HOLD_TIME, words.an_open(0x7F020001, hold_time=2)),
        (errors.OPTIONAL_PARAMETER, _parameters(0x7F020001, b"\x01\0")),
        (errors.OPTIONAL_PARAMETER_MALFORMED, _parameters(0x7F020001, b"\2\xff")),
        (errors.CAPABILITY_MALFORMED, _parameters(0x7F020001, b"\2\3\x41\x04\0")),
        (errors.FSM_OPEN_SENT, words.update(b"", b"")),
        (errors.FSM_OPEN_SENT, words.KEEPALIVE),
        (errors.FSM_OPEN_SENT, words.REFRESH),
        (errors.FSM_OPEN_CONFIRM, good + words.update(b"", b"")),
        (errors.FSM_OPEN_CONFIRM, good + good),
        (errors.FSM_ESTABLISHED, good + words.KEEPALIVE + good),
        (errors.MARKER, good + words.KEEPALIVE + bytes(19)),
        (errors.MESSAGE_LENGTH, good + words.KEEPALIVE + _changed(words.REFRESH, 16, b"\0\x16")),
        (errors.ROUTE_REFRESH_LENGTH, good + words.KEEPALIVE + frame(_R, b"\0\1\1\1\0")),
    ]
    for rule, octets in cases:
        async with await stage.dial() as attacker:
            await attacker.send(octets)
            await refused(attacker, rule.code, rule.subcode)
    return f"{len(cases)} openings refused"


async def silence(stage: Stage) -> str:
    """Who says nothing, in whatever state, is let go when its timer has expired (RFC 4271 section 6.5)."""

    async def wait(attacker: Attacker) -> Notification | None:
        async with attacker:
            return await attacker.notification()

    connected = await stage.dial("hasty")
    opened = await stage.dial("hasty")
    await opened.send(words.an_open(opened.number))
    established = await stage.peer("hasty")
    found = await asyncio.gather(*map(wait, (connected, opened, established)))
    for notification in found:
        hold(notification is not None and notification.code == errors.HOLD_TIMER.code, f"{notification}")
    return "silent peers let go in OpenSent, OpenConfirm and Established"


async def noise(stage: Stage) -> str:
    """Octets without any sense, and valid openings with noise behind them, do nothing but end."""
    for at in range(stage.size.storm // 3):
        async with await stage.dial() as attacker:
            start = words.an_open(attacker.number) + words.KEEPALIVE if at % 2 else b""
            kind = stage.random.choice((1, 2, 3, 4, 5))
            body = stage.random.randbytes(stage.random.randrange(200))
            try:
                await attacker.send(start, frame(kind, body), stage.random.randbytes(200))
                await attacker.notification()
            except OSError:
                pass
    return f"{stage.size.storm // 3} connections full of noise"
