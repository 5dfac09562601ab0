"""What another value of a peer's option asks for: nothing, the next connection, or a new session.

Whatever is not named here is part of what the OPENs negotiate, of what the socket was made with, or of how
routes were taken in; so a further option costs a session until it is found to need none.
"""

from dataclasses import fields
from enum import IntEnum

from bgp.aio.options import PeerOptions


class Effect(IntEnum):
    """What a change takes, the least first."""

    NONE = 0
    AT_ONCE = 1  # the session stays, and goes on by the new values
    NEXT = 2  # the session stays; the new values are those of the next connection
    RESET = 3  # the session ends, with Cease/Other Configuration Change (RFC 4486), and another one begins


# Who the peer is: another one of these is another peer.
IDENTITY = ("address", "interface", "name", "source_address")
AT_ONCE = {
    "add_path_select",
    "advertisement_interval",
    "conditional",
    "default_originate",
    "description",
    "export_policy",
    "guard",
    "import_policy",
    "installed_only",
    "maximum_advertised",
    "maximum_prefixes",
    "maximum_prefixes_action",
    "maximum_prefixes_restart",
    "maximum_prefixes_warning",
    "next_hop_self",
    "next_hops",
    "password",
    "third_party_next_hop",
}
NEXT = {
    "automatic_restart",
    "collision_detect_established",
    "connect_retry_time",
    "damp_peer_oscillations",
    "delay_open",
    "idle_hold_maximum",
    "idle_hold_time",
    "notification_without_open",
    "open_hold_time",
    "passive",
    "port",
    "replace_established",
    "stable_time",
}


def effect(before: PeerOptions, after: PeerOptions) -> Effect:
    """Return what the change takes; raise ValueError where it makes another peer."""
    found = Effect.NONE
    for field in fields(PeerOptions):
        name = field.name
        if getattr(before, name) == getattr(after, name):
            continue
        if name in IDENTITY:
            raise ValueError(f"{name}: cannot be changed; remove the peer, and add another one")
        if name in AT_ONCE:
            found = max(found, Effect.AT_ONCE)
        elif name in NEXT:
            found = max(found, Effect.NEXT)
        else:
            found = Effect.RESET
    return found
