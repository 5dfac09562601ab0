"""What the operator says about one peer, as far as the protocol is concerned (RFC 4271 section 8.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bgp.family import DEFAULT_FAMILIES, Family
from bgp.iana import AS_TRANS, AddPathMode, CapabilityCode, Role
from bgp.session import restart
from bgp.session.restart import RestartOptions
from bgp.wire.capability import Fqdn


class AsExpected(Enum):
    """The AS numbers that a peer may have, where not a single one is expected."""

    ANY = "any"
    INTERNAL = "internal"
    EXTERNAL = "external"  # neither in our AS nor in our confederation
    CONFEDERATION = "confederation"  # in another member AS of our confederation


class LimitAction(Enum):
    """What becomes of a session whose peer sends more prefixes than it may."""

    WARN = "warn"  # it goes on
    RESTART = "restart"  # it ends (RFC 4486 section 4), and is tried again
    SHUT = "shut"  # it ends, and is not tried again before somebody starts it


@dataclass(frozen=True, slots=True)
class Confederation:
    """ASes that are one AS to all others (RFC 5065): its number, and those of its members.

    Raises ValueError, its text beginning with the field's name, for numbers that no AS can have.
    """

    identifier: int
    members: frozenset[int]

    def __post_init__(self) -> None:
        for name, numbers in (("identifier", {self.identifier}), ("members", self.members)):
            for asn in numbers:
                _demand(0 < asn < 2**32 and asn != AS_TRANS, name, f"{asn} is no AS number")


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The session attributes of one peer (RFC 4271 section 8.1.1); times in seconds.

    Raises ValueError, its text beginning with the field's name, for values that no session can have.
    """

    local_as: int
    identifier: int  # our BGP Identifier, a non-zero 32-bit number (RFC 6286)
    peer_as: int | AsExpected = AsExpected.ANY
    families: tuple[Family, ...] = DEFAULT_FAMILIES
    confederation: bool = False  # the peer is in another member AS of our confederation (RFC 5065)
    members: frozenset[int] = frozenset()  # the member ASes of our confederation

    hold_time: int = 90
    minimum_hold_time: int = 0  # refuse a peer that offers less (RFC 4271 section 4.2)
    open_hold_time: float = 240.0  # the "large value" of RFC 4271 section 8.2.2
    send_hold_time: int | None = None  # RFC 9687; None: max(480, 2 * negotiated hold time); 0: off
    connect_retry_time: float = 120.0
    delay_open: float = 0.0  # DelayOpenTime; DelayOpen is set if this is not zero
    passive: bool = False  # PassiveTcpEstablishment

    automatic_restart: bool = True  # AllowAutomaticStart: Idle ends by itself, after IdleHoldTime
    idle_hold_time: float = 1.0
    damp_peer_oscillations: bool = True  # IdleHoldTime doubles with each failure up to the maximum
    idle_hold_maximum: float = 120.0
    stable_time: float = 120.0  # a session that lived so long resets IdleHoldTime

    collision_detect_established: bool = False
    # A new connection of the peer replaces the Established one, for a peer that died without a FIN.
    replace_established: bool = False
    notification_without_open: bool = False

    four_octet_as: bool = True
    route_refresh: bool = True
    enhanced_route_refresh: bool = True
    extended_messages: bool = True
    add_path: Mapping[Family, AddPathMode] = field(default_factory=dict)
    extended_next_hop: tuple[Family, ...] = ()
    role: Role | None = None
    strict_role: bool = False
    fqdn: Fqdn | None = None
    required: tuple[CapabilityCode, ...] = ()  # refuse a peer without them (RFC 5492 section 3)
    graceful_restart: RestartOptions | None = restart.DEFAULT  # None: not even as a helper

    as_sets: bool = False
    first_as: bool = True
    aigp: bool = False

    def __post_init__(self) -> None:
        _demand(0 < self.local_as < 2**32, "local_as", "must be from 1 to 4294967295")
        _demand(self.local_as != AS_TRANS, "local_as", "must not be AS_TRANS, 23456 (RFC 6793)")
        _demand(0 < self.identifier < 2**32, "identifier", "must be a non-zero 32-bit number (RFC 6286)")
        if isinstance(self.peer_as, int):
            _demand(0 < self.peer_as < 2**32, "peer_as", "must be from 1 to 4294967295")
        _demand(bool(self.families), "families", "must name at least one")
        _demand(len(set(self.families)) == len(self.families), "families", "must not repeat one")
        _demand(_is_hold_time(self.hold_time), "hold_time", "must be 0, or from 3 to 65535 (RFC 4271 4.2)")
        _demand(
            0 <= self.minimum_hold_time <= self.hold_time, "minimum_hold_time", "must not exceed hold_time"
        )
        if self.send_hold_time:
            # RFC 9687 section 4.4: "the value MUST be greater than the HoldTime".
            _demand(self.send_hold_time > self.hold_time, "send_hold_time", "must be 0 or exceed hold_time")
        _demand(
            self.send_hold_time is None or self.send_hold_time >= 0, "send_hold_time", "must not be negative"
        )
        for name in ("open_hold_time", "connect_retry_time", "idle_hold_time"):
            _demand(getattr(self, name) > 0, name, "must exceed 0")
        for name in ("delay_open", "stable_time"):
            _demand(getattr(self, name) >= 0, name, "must not be negative")
        _demand(
            self.idle_hold_maximum >= self.idle_hold_time,
            "idle_hold_maximum",
            "must not be below idle_hold_time",
        )
        for name in ("add_path", "extended_next_hop"):
            _demand(
                set(getattr(self, name)) <= set(self.families), name, "must name families of this session"
            )


def _is_hold_time(seconds: int) -> bool:
    return seconds == 0 or 3 <= seconds <= 65535


def _demand(condition: bool, name: str, text: str) -> None:
    if not condition:
        raise ValueError(f"{name}: {text}")
