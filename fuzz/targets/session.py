"""The sessions and the programs of the connection target: what the shell and the peer do, as octets.

An input is four octets of configuration and steps behind one another, each an octet that says which, and
what the step takes.  Any octets are a program: what is missing at the end is zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from random import Random

from bgp.family import FAMILIES, IPV4_UNICAST
from bgp.iana import AddPathMode, CapabilityCode, Role
from bgp.session.config import AsExpected, SessionConfig
from bgp.session.event import Event
from bgp.session.negotiation import offer
from bgp.testing import generate, mixture
from bgp.testing.generate import chance, octets
from bgp.wire.framing import frame
from bgp.wire.message import encode
from fuzz import seeds
from fuzz.target import Reader

LOCAL_AS, PEER_AS = 64500, 65001


class Step(IntEnum):
    """What happens next; the octet modulo their number."""

    ESTABLISH = 0  # all that brings a connection up; an octet of changes to the peer's OPEN
    OCTETS = 1  # from the peer: an octet with their number, and them
    MESSAGE = 2  # from the peer: type, two octets of length, body
    UPDATE = 3  # from the peer: four octets from which one is drawn
    KEEPALIVE = 4
    OPEN = 5  # the peer's, with an octet of changes
    REPEAT = 6  # the last message once more, or an octet of times
    WAIT = 7  # an octet: how long
    DEADLINE = 8  # wait until then
    EARLY = 9  # call tick before the deadline: nothing may happen
    UNREAD = 10  # wait until the deadline, with octets unread in the kernel
    EVENT = 11  # an octet: which
    SENT = 12  # an octet: how many octets the kernel took
    REFRESH = 13  # ask the peer for its routes
    LEAVE = 14  # as OCTETS, but what a quota leaves is not asked for until the next step


WAITS = (0.001, 0.5, 1.0, 3.0, 29.9, 30.0, 90.0, 600.0)
EVENTS = (
    Event.MANUAL_START,
    Event.TCP_CR_ACKED,
    Event.TCP_CONNECTION_CONFIRMED,
    Event.TCP_CONNECTION_FAILS,
    Event.MANUAL_STOP,
    Event.AUTOMATIC_STOP,
    Event.AUTOMATIC_START,
    Event.AUTOMATIC_START_DAMPED,
    Event.AUTOMATIC_START_PASSIVE,
    Event.OPEN_COLLISION_DUMP,
    Event.TCP_CONNECTION_VALID,
    Event.TCP_CR_INVALID,
    Event.MANUAL_START_PASSIVE,
    Event.AUTOMATIC_START_DAMPED_PASSIVE,
)


@dataclass(frozen=True, slots=True)
class Done:
    """One step of a program: `octets` are what the peer sends, `number` is what else the step takes."""

    step: Step
    octets: bytes = b""
    number: int = 0


def configuration(bits: int) -> tuple[SessionConfig, bool, float]:
    """Return our settings, whether the peer opened the connection, and what the random numbers are."""

    def bit(position: int) -> bool:
        return bool(bits >> position & 1)

    incoming = bit(0)
    families = FAMILIES if bit(7) else (IPV4_UNICAST,)
    add_path = dict.fromkeys(families, AddPathMode.BOTH) if bit(8) else {}
    expected: tuple[int | AsExpected, ...] = (AsExpected.ANY, PEER_AS, AsExpected.EXTERNAL, LOCAL_AS)
    config = SessionConfig(
        local_as=LOCAL_AS,
        identifier=0x0A000001,
        peer_as=expected[bits >> 14 & 3],
        families=families,
        confederation=bit(22),
        hold_time=(90, 3, 0, 65535)[bits >> 4 & 3],
        minimum_hold_time=3 if bit(24) and (bits >> 4 & 3) != 2 else 0,
        send_hold_time=0 if bit(25) else None,
        delay_open=5.0 if bit(2) else 0.0,
        passive=bit(1),
        automatic_restart=not bit(19),
        damp_peer_oscillations=not bit(18),
        collision_detect_established=bit(6),
        replace_established=bit(26),
        notification_without_open=bit(3),
        four_octet_as=not bit(10),
        route_refresh=not bit(16),
        enhanced_route_refresh=not bit(17),
        extended_messages=not bit(9),
        add_path=add_path,
        extended_next_hop=(IPV4_UNICAST,) if bit(23) else (),
        role=Role.PROVIDER if bit(12) else None,
        strict_role=bit(13),
        required=(CapabilityCode.ROUTE_REFRESH,) if bit(28) else (),
        as_sets=bit(21),
        first_as=bit(11),
        aigp=bit(20),
    )
    return config, incoming, 1.0 if bit(27) else 0.0


def peers_open(config: SessionConfig, changes: int) -> bytes:
    """Return an OPEN of a peer that goes with ours, but for `changes`, a bit each."""
    internal = config.peer_as == LOCAL_AS
    theirs = replace(
        config,
        local_as=LOCAL_AS if internal else PEER_AS,
        identifier=config.identifier if changes & 0x80 else 0x0A000002,
        role=Role.CUSTOMER if config.role is not None and not changes & 1 else None,
        add_path={} if changes & 2 else config.add_path,
        four_octet_as=not changes & 4,
        extended_messages=not changes & 8,
        enhanced_route_refresh=not changes & 16,
        minimum_hold_time=0,
        hold_time=3 if changes & 32 else config.hold_time,
        send_hold_time=None,
    )
    return encode(offer(theirs, plain=bool(changes & 64)))


def program(data: bytes) -> tuple[int, Iterator[Done]]:
    """Return the configuration's bits and the steps."""
    reader = Reader(data)
    return reader.number(4), _steps(reader)


def _steps(reader: Reader) -> Iterator[Done]:
    while reader:
        step = Step(reader.number() % len(Step))
        match step:
            case Step.OCTETS | Step.LEAVE:
                yield Done(step, reader.take(reader.number()))
            case Step.MESSAGE:
                kind = reader.number()
                yield Done(step, frame(kind, reader.take(reader.number(2))))
            case Step.UPDATE:
                yield Done(step, number=reader.number(4))
            case Step.KEEPALIVE:
                yield Done(step, frame(4, b""))
            case Step.DEADLINE | Step.EARLY | Step.UNREAD | Step.REFRESH:
                yield Done(step)
            case _:
                yield Done(step, number=reader.number())


def drawn(random: Random) -> bytes:
    """Return a program that brings a connection up and then does this and that."""
    bits = random.getrandbits(29)
    for position in (1, 2, 13, 19, 28):  # what keeps a session down, not too often
        if chance(random, 0.7):
            bits &= ~(1 << position)
    found = [bits.to_bytes(4, "big")]
    if chance(random, 0.8):
        found.append(bytes((Step.ESTABLISH, random.choice((0, 0, 0, random.randrange(256))))))
    found += [_drawn_step(random) for _ in range(random.randint(1, 12))]
    return b"".join(found)


def _drawn_step(random: Random) -> bytes:
    step = random.choice(list(Step))
    head = bytes((step,))
    match step:
        case Step.OCTETS | Step.LEAVE:
            whole = seeds.message(random)
            at = random.randint(0, len(whole))
            part = whole[at : at + random.randint(1, 255)] if chance(random, 0.3) else whole[:255]
            return head + bytes((len(part),)) + part
        case Step.MESSAGE:
            kind = random.choice((1, 2, 2, 3, 4, 5, 6))
            body = seeds.BODIES[kind](random)[:4000] if kind in seeds.BODIES else b""
            return head + bytes((kind,)) + len(body).to_bytes(2, "big") + body
        case Step.UPDATE:
            return head + octets(random, 4)
        case Step.KEEPALIVE | Step.DEADLINE | Step.EARLY | Step.UNREAD | Step.REFRESH:
            return head
        case Step.EVENT | Step.WAIT | Step.OPEN | Step.ESTABLISH:
            return head + bytes((random.choice((0, 1, 2, 3, random.randrange(256))),))
        case _:
            return head + octets(random, 1)


def drawn_update(number: int) -> bytes:
    """Return an UPDATE that `number` stands for, of any session, whole."""
    random = Random(number)
    body = mixture.exchange(random)[0][1] if number & 3 else generate.update(random, generate.context(random))
    return frame(2, body[:65000])
