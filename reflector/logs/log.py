"""The log: one line for each event of a session, never one for a route.

A peer that cannot be reached is tried again and again; it is said once how that fails, and again when it
fails differently or after a session.

Lines have fields, which are values of their own where the log is JSON (`reflector.logs.logform`).  The events
of sessions, and their fields besides `peer`, `address` and `asn` (that of the session, or the one expected):

    established   a session is up: kind, identifier, hold_time, families
    ended         a connection ended: state (in which), reason, rfc (the section); with a NOTIFICATION code,
                  subcode, error (their names), notification ("sent" or "received"), communication (RFC 9003)
                  and hard_reset (RFC 8538)
    unreachable   there is no connection yet: reason
    state         the state of the FSM is another: state, previous (debug)
    limit         a threshold or maximum of prefixes: reason, family, rfc
    malformed     an UPDATE that RFC 7606 softens, or that ended the session: outcome, reason, routes, rfc,
                  message (its octets)
    alarm         what only a human can put right: reason
    end-of-rib    the peer has sent all its routes of a family (debug): family, rfc
    refresh       routes are asked for again (debug): family, rfc
    added, removed    of peers

Of the service itself are `started`, `stopping` and `stopped`, `reload` and `state-of-service`; `lost` with
`count` says that lines, or events before they became lines, went missing.
"""

import logging
import re
import sys
from dataclasses import dataclass
from typing import Any

from bgp.aio.events import EventKind, PeerEvent
from bgp.aio.peer import Peer
from bgp.iana import ErrorCode
from bgp.session.event import State
from bgp.session.negotiation import Negotiated
from bgp.wire.message import Notification, describe_error
from reflector.logs.logform import TEXT, Form
from reflector.logs.outlet import Outlet

logger = logging.getLogger("reflector")


@dataclass(frozen=True, slots=True)
class Log:
    """The `[log]` table: what is logged, and what it looks like."""

    level: str = "info"
    format: str = TEXT


def set_up(log: Log) -> Outlet:
    """Write lines to standard error from now on, and return what does."""
    outlet = Outlet(sys.stderr.fileno())
    logging.basicConfig(handlers=[outlet], force=True)
    change(log)
    outlet.start()
    return outlet


def change(log: Log) -> None:
    """Write lines as `log` has it from now on."""
    root = logging.getLogger()
    root.setLevel(log.level.upper())
    # What the library says of sessions comes from `SessionLog`, with more about them.
    logging.getLogger("bgp.aio.peer").setLevel(logging.CRITICAL)
    for handler in root.handlers:
        if isinstance(handler, Outlet):
            handler.form = Form(log.format, handler.is_journal)


def said(event: str, **values: object) -> dict[str, Any]:
    """Return what `extra` is for a line about `event`."""
    return {"fields": {"event": event, **values}}


class SessionLog:
    """Write a line for each event of a speaker's peers; `Speaker(on_event=SessionLog())`."""

    def __init__(self) -> None:
        self._failures: dict[str, str] = {}  # by peer: how its last attempt failed

    def __call__(self, event: PeerEvent) -> None:
        line = self.line(event)
        if line is not None and logger.isEnabledFor(line[0]):
            logger.log(*line, extra={"fields": fields(event)})

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
                section = section_of(event)
                where = f" ({section})" if section and "RFC " not in event.text else ""
                return logging.INFO, f"{name}: connection ended in {event.state.label}: {event.text}{where}"
            case EventKind.DOWN:
                known, self._failures[name] = self._failures.get(name), event.text
                level = logging.DEBUG if known == event.text else logging.INFO
                return level, f"{name}: no connection yet: {event.text}"
            case EventKind.LIMIT | EventKind.GUARD:
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
    words = [
        f"{_kind(negotiated)} AS {negotiated.remote_as}",
        f"identifier {_identifier(negotiated)}",
        f"hold time {negotiated.hold_time} s",
        " ".join(map(str, negotiated.families)),
    ]
    words += [f"ADD-PATH from the peer {family}" for family in sorted(map(str, negotiated.add_path_receive))]
    words += [f"ADD-PATH to the peer {family}" for family in sorted(map(str, negotiated.add_path_send))]
    if not negotiated.four_octet_as:
        words.append("two-octet AS numbers")
    return ", ".join(words)


_NAMES = {EventKind.DOWN: "ended", EventKind.ERROR: "malformed", EventKind.LAGGED: "lost"}
# What the codes of NOTIFICATIONs are about, where the reason does not name a section.
_SECTIONS = {
    ErrorCode.MESSAGE_HEADER_ERROR: "RFC 4271 6.1",
    ErrorCode.OPEN_MESSAGE_ERROR: "RFC 4271 6.2",
    ErrorCode.UPDATE_MESSAGE_ERROR: "RFC 4271 6.3",
    ErrorCode.HOLD_TIMER_EXPIRED: "RFC 4271 6.5",
    ErrorCode.FINITE_STATE_MACHINE_ERROR: "RFC 4271 6.6",
    ErrorCode.CEASE: "RFC 4486 4",
    ErrorCode.ROUTE_REFRESH_MESSAGE_ERROR: "RFC 7313 5",
    ErrorCode.SEND_HOLD_TIMER_EXPIRED: "RFC 9687 4",
}
_OF_KINDS = {
    EventKind.LIMIT: "RFC 4486 4",
    EventKind.END_OF_RIB: "RFC 4724 2",
    EventKind.REFRESH: "RFC 2918 4",
}
_SECTION = re.compile(r"RFC \d+(?: (?:section )?[0-9A-Z][\d.]*(?: [a-z]\b)?)?")


def section_of(event: PeerEvent) -> str:
    """Return the RFC, and its section, that an event is about, if there is one."""
    named = _SECTION.search(event.text)
    if named is not None:
        return named[0].rstrip(".").replace("section ", "")
    notification = event.sent or event.received
    if notification is not None:
        return _SECTIONS.get(ErrorCode(notification.code), "") if notification.code in _SECTIONS else ""
    return _OF_KINDS.get(event.kind, "")


def fields(event: PeerEvent) -> dict[str, Any]:
    """Return what a program wants to know of an event."""
    peer, up = event.peer, event.state is State.ESTABLISHED
    if peer is None:
        return {"event": _NAMES.get(event.kind, event.kind.value), "count": event.lost}
    found = {"event": _NAMES.get(event.kind, event.kind.value), **about(peer)}
    match event.kind:
        case EventKind.STATE if up and peer.negotiated is not None:
            found |= {"event": "established", "state": State.ESTABLISHED.label, **_session(peer.negotiated)}
        case EventKind.STATE:
            found["state"] = event.state and event.state.label
            found["previous"] = event.previous and event.previous.label
        case EventKind.DOWN:
            if event.state is None or event.state < State.OPEN_SENT:
                found["event"] = "unreachable"
            found |= {"state": event.state and event.state.label, "reason": event.text}
            found |= _notification(event.sent or event.received, event.sent is not None)
        case _:
            if event.text:
                found["reason"] = event.text
    if event.family is not None:
        found["family"] = event.family.name
    if section := section_of(event):
        found["rfc"] = section
    return found


def about(peer: Peer) -> dict[str, Any]:
    """Return whom a line is about."""
    found: dict[str, Any] = {"peer": peer.name, "address": str(peer.remote.address)}
    asn = peer.options.asn if peer.negotiated is None else peer.negotiated.remote_as
    if isinstance(asn, int):
        found["asn"] = asn
    return found


def _session(negotiated: Negotiated) -> dict[str, Any]:
    return {
        "kind": _kind(negotiated),
        "identifier": _identifier(negotiated),
        "hold_time": negotiated.hold_time,
        "families": [family.name for family in negotiated.families],
    }


def _notification(notification: Notification | None, sent: bool) -> dict[str, Any]:
    if notification is None:
        return {}
    cause = notification.cause
    found: dict[str, Any] = {
        "notification": "sent" if sent else "received",
        "code": int(cause.code),
        "subcode": int(cause.subcode),
        "error": describe_error(cause.code, cause.subcode),
    }
    if notification.hard_reset:
        found["hard_reset"] = True
    if notification.communication:
        found["communication"] = notification.communication
    return found


def _kind(negotiated: Negotiated) -> str:
    return "internal" if negotiated.internal else "member" if negotiated.confederation else "external"


def _identifier(negotiated: Negotiated) -> str:
    return ".".join(str(octet) for octet in negotiated.remote_identifier.to_bytes(4))
