"""The log: one readable line for each event of a session, never one for a route.

A peer that cannot be reached is tried again and again; it is said once how that fails, and again when it
fails differently or after a session.
"""

import logging
import sys
import time

from bgp.aio.events import EventKind, PeerEvent
from bgp.session.event import State
from bgp.session.negotiation import Negotiated

logger = logging.getLogger("reflector")

_LINE = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s"


def set_up(level: str) -> None:
    """Write lines of `level` and above to standard error."""
    formatter = logging.Formatter(_LINE, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Write lines of `level` and above from now on."""
    logging.getLogger().setLevel(level.upper())
    # What the library says of sessions comes from `SessionLog`, with more about them.
    logging.getLogger("bgp.aio.peer").setLevel(logging.CRITICAL)


class SessionLog:
    """Write a line for each event of a speaker's peers; `Speaker(on_event=SessionLog())`."""

    def __init__(self) -> None:
        self._failures: dict[str, str] = {}  # by peer: how its last attempt failed

    def __call__(self, event: PeerEvent) -> None:
        line = self.line(event)
        if line is not None:
            logger.log(*line)

    def line(self, event: PeerEvent) -> tuple[int, str] | None:
        """Return the level and the text of the line for `event`, None if it needs none."""
        peer = event.peer
        if peer is None:
            return logging.WARNING, event.text
        name = peer.name
        match event.kind:
            case EventKind.STATE if event.state is State.ESTABLISHED and peer.negotiated is not None:
                self._failures.pop(name, None)
                return logging.INFO, f"{name}: Established, {session(peer.negotiated)}"
            case EventKind.STATE:
                return logging.DEBUG, f"{name}: {event.state.label if event.state else event.text}"
            case EventKind.DOWN if event.state is not None and event.state >= State.OPEN_SENT:
                self._failures.pop(name, None)
                return logging.INFO, f"{name}: connection ended in {event.state.label}: {event.text}"
            case EventKind.DOWN:
                known, self._failures[name] = self._failures.get(name), event.text
                level = logging.DEBUG if known == event.text else logging.INFO
                return level, f"{name}: no connection yet: {event.text}"
            case EventKind.LIMIT:
                return logging.WARNING, f"{name}: {event.text}"
            case EventKind.ERROR:
                return None  # the library logs it with its octets
            case EventKind.END_OF_RIB | EventKind.REFRESH:
                return logging.DEBUG, f"{name}: {event.text}"
            case EventKind.ALARM:
                return logging.ERROR, f"{name}: {event.text}"
            case _:
                if event.kind is EventKind.REMOVED:
                    self._failures.pop(name, None)
                # Peers of a listen range come and go with their connections, which have lines of their own.
                return logging.DEBUG if peer.dynamic else logging.INFO, f"{name}: {event.kind.value}"


def session(negotiated: Negotiated) -> str:
    """Describe a session in a line."""
    kind = "internal" if negotiated.internal else "member" if negotiated.confederation else "external"
    identifier = ".".join(str(octet) for octet in negotiated.remote_identifier.to_bytes(4))
    words = [
        f"{kind} AS {negotiated.remote_as}",
        f"identifier {identifier}",
        f"hold time {negotiated.hold_time} s",
        " ".join(map(str, negotiated.families)),
    ]
    words += [f"ADD-PATH from the peer {family}" for family in sorted(map(str, negotiated.add_path_receive))]
    words += [f"ADD-PATH to the peer {family}" for family in sorted(map(str, negotiated.add_path_send))]
    if not negotiated.four_octet_as:
        words.append("two-octet AS numbers")
    return ", ".join(words)
