"""Martlet: a BGP speaker and route reflector for asyncio.

In a coroutine:

async with Speaker(asn=65001, router_id="192.0.2.1", listen=["0.0.0.0:179"]) as speaker:
    peer = speaker.add_peer(PeerOptions(address="192.0.2.2", asn=65001))
    await peer.established()
    speaker.announce("198.51.100.0/24", next_hop="192.0.2.1")

The names below are the public ones.  Each is imported when it is first used, so that a program that only
decodes a message does not load a speaker.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bgp.aio.announcement import Announcement
    from bgp.aio.changing import Effect
    from bgp.aio.events import EventKind, PeerEvent, Watcher
    from bgp.aio.lookup import Route
    from bgp.aio.options import PeerOptions
    from bgp.aio.peer import Peer
    from bgp.aio.roster import ListenRange
    from bgp.aio.signing import AoAlgorithm, AoKey
    from bgp.aio.tap import Messages, Tap, TappedEnd, TappedMessage
    from bgp.aio.transaction import Transaction
    from bgp.aio.waits import NotAdvertised, PeerDown
    from bgp.aio.watch import (
        Change,
        InSync,
        Lagged,
        PeerChanged,
        Reason,
        RouteEvent,
        Snapshot,
        Watch,
        WatchEvent,
    )
    from bgp.errors import Notify
    from bgp.export.rules import Withheld
    from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
    from bgp.iana import AddPathMode, Origin, Role
    from bgp.member import PeerSettings
    from bgp.policy import ACCEPT, ACCEPT_ALL, NEXT, REFUSE, Policy, Rules, Term, function
    from bgp.policy.condition import Conditional, exists, missing
    from bgp.policy.prefixes import PrefixList
    from bgp.rib.decision import DecisionOptions
    from bgp.rib.guard import Blocks, Guard
    from bgp.rib.multipath import Hop
    from bgp.rib.path import Path
    from bgp.rib.selection import ALL, BEST, EQUAL, Selection, best_n
    from bgp.router import Router
    from bgp.session.action import Close, Connect, Down, Established, Opened
    from bgp.session.config import AsExpected, Confederation, LimitAction, SessionConfig
    from bgp.session.connection import Connection
    from bgp.session.event import Event, State
    from bgp.session.negotiation import Negotiated
    from bgp.session.restart import RestartOptions
    from bgp.speaker import Speaker
    from bgp.wire.attributes import Attributes, AttributeTable
    from bgp.wire.context import Context
    from bgp.wire.encoder import Encoder
    from bgp.wire.framing import Framer
    from bgp.wire.given import RouteAttributes
    from bgp.wire.update import Decoder, Update

__all__ = [
    "ACCEPT",
    "ACCEPT_ALL",
    "ALL",
    "BEST",
    "EQUAL",
    "IPV4_UNICAST",
    "IPV6_UNICAST",
    "NEXT",
    "REFUSE",
    "AddPathMode",
    "Announcement",
    "AoAlgorithm",
    "AoKey",
    "AsExpected",
    "AttributeTable",
    "Attributes",
    "Blocks",
    "Change",
    "Close",
    "Conditional",
    "Confederation",
    "Connect",
    "Connection",
    "Context",
    "DecisionOptions",
    "Decoder",
    "Down",
    "Effect",
    "Encoder",
    "Established",
    "Event",
    "EventKind",
    "Family",
    "Framer",
    "Guard",
    "Hop",
    "InSync",
    "Lagged",
    "LimitAction",
    "ListenRange",
    "Messages",
    "Negotiated",
    "NotAdvertised",
    "Notify",
    "Opened",
    "Origin",
    "Path",
    "Peer",
    "PeerChanged",
    "PeerDown",
    "PeerEvent",
    "PeerOptions",
    "PeerSettings",
    "Policy",
    "PrefixList",
    "Reason",
    "RestartOptions",
    "Role",
    "Route",
    "RouteAttributes",
    "RouteEvent",
    "Router",
    "Rules",
    "Selection",
    "SessionConfig",
    "Snapshot",
    "Speaker",
    "State",
    "Tap",
    "TappedEnd",
    "TappedMessage",
    "Term",
    "Transaction",
    "Update",
    "Watch",
    "WatchEvent",
    "Watcher",
    "Withheld",
    "best_n",
    "exists",
    "function",
    "missing",
]

_MODULES = {
    "ACCEPT": "bgp.policy",
    "ACCEPT_ALL": "bgp.policy",
    "ALL": "bgp.rib.selection",
    "BEST": "bgp.rib.selection",
    "EQUAL": "bgp.rib.selection",
    "IPV4_UNICAST": "bgp.family",
    "IPV6_UNICAST": "bgp.family",
    "NEXT": "bgp.policy",
    "REFUSE": "bgp.policy",
    "AddPathMode": "bgp.iana",
    "AoAlgorithm": "bgp.aio.signing",
    "AoKey": "bgp.aio.signing",
    "Announcement": "bgp.aio.announcement",
    "AsExpected": "bgp.session.config",
    "AttributeTable": "bgp.wire.attributes",
    "Attributes": "bgp.wire.attributes",
    "Blocks": "bgp.rib.guard",
    "Change": "bgp.aio.watch",
    "Close": "bgp.session.action",
    "Conditional": "bgp.policy.condition",
    "Confederation": "bgp.session.config",
    "Connect": "bgp.session.action",
    "Connection": "bgp.session.connection",
    "Context": "bgp.wire.context",
    "DecisionOptions": "bgp.rib.decision",
    "Decoder": "bgp.wire.update",
    "Down": "bgp.session.action",
    "Effect": "bgp.aio.changing",
    "Encoder": "bgp.wire.encoder",
    "Established": "bgp.session.action",
    "Event": "bgp.session.event",
    "EventKind": "bgp.aio.events",
    "Family": "bgp.family",
    "Framer": "bgp.wire.framing",
    "Guard": "bgp.rib.guard",
    "Hop": "bgp.rib.multipath",
    "InSync": "bgp.aio.watch",
    "Lagged": "bgp.aio.watch",
    "LimitAction": "bgp.session.config",
    "ListenRange": "bgp.aio.roster",
    "Messages": "bgp.aio.tap",
    "Negotiated": "bgp.session.negotiation",
    "NotAdvertised": "bgp.aio.waits",
    "Notify": "bgp.errors",
    "Opened": "bgp.session.action",
    "Origin": "bgp.iana",
    "Path": "bgp.rib.path",
    "Peer": "bgp.aio.peer",
    "PeerChanged": "bgp.aio.watch",
    "PeerDown": "bgp.aio.waits",
    "PeerEvent": "bgp.aio.events",
    "PeerOptions": "bgp.aio.options",
    "PeerSettings": "bgp.member",
    "Policy": "bgp.policy",
    "PrefixList": "bgp.policy.prefixes",
    "Reason": "bgp.aio.watch",
    "RestartOptions": "bgp.session.restart",
    "Role": "bgp.iana",
    "Route": "bgp.aio.lookup",
    "RouteAttributes": "bgp.wire.given",
    "RouteEvent": "bgp.aio.watch",
    "Router": "bgp.router",
    "Rules": "bgp.policy",
    "Selection": "bgp.rib.selection",
    "SessionConfig": "bgp.session.config",
    "Snapshot": "bgp.aio.watch",
    "Speaker": "bgp.speaker",
    "State": "bgp.session.event",
    "Tap": "bgp.aio.tap",
    "TappedEnd": "bgp.aio.tap",
    "TappedMessage": "bgp.aio.tap",
    "Term": "bgp.policy",
    "Transaction": "bgp.aio.transaction",
    "Update": "bgp.wire.update",
    "Watch": "bgp.aio.watch",
    "WatchEvent": "bgp.aio.watch",
    "Watcher": "bgp.aio.events",
    "Withheld": "bgp.export.rules",
    "best_n": "bgp.rib.selection",
    "exists": "bgp.policy.condition",
    "function": "bgp.policy",
    "missing": "bgp.policy.condition",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
