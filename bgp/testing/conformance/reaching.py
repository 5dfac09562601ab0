"""How a target is reached: what is known of it, and sessions brought up, tried again for a while."""

import asyncio
import time
from dataclasses import dataclass

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import CeaseSubcode, ErrorCode, OpenSubcode
from bgp.testing.conformance.scene import Scene
from bgp.testing.conformance.talker import Ends, Porch, Pulse, Talker
from bgp.wire.message import Keepalive, Notification, encode

_KEEPALIVE = encode(Keepalive())
CEASE = encode(Notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN))
_RETRY = 0.3


class Misfit(Exception):
    """The target cannot be tried as it is configured, or cannot be reached; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a target is reached, and what it takes us for.

    `locals` are our addresses, one for each tester; `witness` is that of the witness.  `next_hop_ipv4` and
    `next_hop_ipv6` stand for our address where that is not of the family, or of the loopback network.
    `patience` is for how long the target may take to answer or to pass a route on, `settle` for how long to
    what it says of a route after that, `reconnect` for how long it may refuse a new session.  `passive`: it
    dials, to `listen_port` of each address.
    """

    target: str
    asn: int
    local_as: int
    witness_as: int
    locals: tuple[str, ...]
    witness: str
    port: int = 179
    password: str = ""
    families: tuple[Family, ...] = (IPV4_UNICAST,)
    next_hop_ipv4: str = ""
    next_hop_ipv6: str = ""
    passive: bool = False
    listen_port: int = 179
    patience: float = 5.0
    settle: float = 1.0
    reconnect: float = 90.0


def why(talker: Talker) -> str:
    if talker.notification is not None:
        return str(talker.notification)
    return talker.nonsense or "it closes the connection without a word"


async def dial(
    options: Options, pulse: Pulse, local: str, seconds: float, porch: Porch | None = None
) -> Talker:
    """Return a connection on which the target's OPEN has come; raise Misfit with the last reason why not."""
    ends = Ends(local, options.target, options.port, options.password)
    deadline = time.monotonic() + seconds
    while True:
        try:
            if porch is not None:
                talker = await porch.next(seconds)
            else:
                talker = await Talker.dial(ends, pulse, min(seconds, 10.0))
        except (OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                reason = "nobody answers" if porch is None else "the target does not dial"
            else:
                reason = (error.strerror or str(error)).lower()
            reason += f" (from {local} to {options.target} port {options.port})"
        else:
            await pulse.until(lambda t=talker: t.opening or t.over, 10.0)  # type: ignore[misc]
            if talker.opening is not None and not talker.closed:
                return talker
            reason = f"no OPEN comes: {why(talker)}" if talker.over else "no OPEN comes within 10 s"
            reason += f"; does the target know a neighbor {local}?"
            await talker.hang_up()
        if time.monotonic() > deadline:
            raise Misfit(f"no session with the target: {reason}")
        await asyncio.sleep(_RETRY)


async def establish(
    options: Options,
    pulse: Pulse,
    local: str,
    scene: Scene,
    *,
    strict: bool = False,
    porch: Porch | None = None,
) -> Talker:
    """Return a session that is up; `strict`: an OPEN that is refused is not tried again."""
    deadline = time.monotonic() + options.reconnect
    while True:
        talker = await dial(options, pulse, local, 15.0 if strict else options.reconnect, porch)
        talker.say(scene.open())
        await pulse.until(lambda t=talker: t.keepalives or t.over, 10.0)  # type: ignore[misc]
        if talker.keepalives and not talker.over:
            talker.say(_KEEPALIVE)
            return talker
        notification = talker.notification
        await talker.hang_up()
        if strict and notification is not None and notification.code == ErrorCode.OPEN_MESSAGE_ERROR:
            raise Misfit(_refused(notification, scene, local))
        if time.monotonic() > deadline:
            raise Misfit(f"the session from {local} does not come up: {why(talker)}")
        await asyncio.sleep(_RETRY)


def _refused(notification: Notification, scene: Scene, local: str) -> str:
    told = f"the target refuses the OPEN from {local}: {notification}"
    if notification.subcode == OpenSubcode.BAD_PEER_AS:
        return f"{told}; it expects another AS there than {scene.local_as}: see --local-as and --witness-as"
    return told
