"""Graceful restart as one session sees it: what the operator wants, and what our OPEN says.

There are two roles (RFC 4724, 8538, 9494).  As the one that restarts we ask peers to keep our routes, for
the families whose packets are forwarded meanwhile.  As the helper we keep those of a peer that asks for
that; a speaker that offers nothing of its own is still a helper, and says so with an empty capability (RFC
4724 section 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bgp.family import Family
from bgp.wire.capability import GracefulRestart, LongLivedGracefulRestart

# RFC 8538 section 4.1: "A suggested default value for the stale timer is 180 seconds".
STALE_TIME = 180.0
LONGEST_RESTART = 0xFFF
LONGEST_STALE = 0xFFFFFF
# What is told as Restart Time where no hold time is its measure.
_RESTART_TIME = 120


def _within(name: str, seconds: int, most: int) -> None:
    if not 0 <= seconds <= most:
        raise ValueError(f"{name}: must be from 0 to {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOptions:
    """What the operator wants of graceful restart with a peer; times in seconds.

    `families`: those whose packets are forwarded while we restart, so that the peer is asked to keep our
    routes; none by default, and of no matter where a session does not have them.  `time`: how long it should
    wait for us, by default as long as the hold time (RFC 4724 section 4).  `notification`: a NOTIFICATION, or
    a hold timer that expires, is a reason to keep routes as well (RFC 8538).  `stale_time`: how long at most
    the peer's old routes stay once its session is back, if it does not say which are still good (RFC 8538
    section 4.1); `inf` for ever.

    `long_lived`: for how long, by family, routes are kept beyond that, as a last resort (RFC 9494): this is
    what we tell.  What the peer tells counts for its routes, within `long_lived_minimum` and
    `long_lived_maximum`.  `partial`: internal peers that know nothing of it are told such routes as well,
    with NO_EXPORT, and all internal ones with LOCAL_PREF 0 (RFC 9494 section 4.6).

    Raises ValueError, its text beginning with the field's name.
    """

    families: tuple[Family, ...] = ()
    time: int | None = None
    notification: bool = True
    stale_time: float = STALE_TIME
    long_lived: Mapping[Family, int] = field(default_factory=dict)
    long_lived_minimum: int = 0
    long_lived_maximum: int = LONGEST_STALE
    partial: bool = False

    def __post_init__(self) -> None:
        _within("time", 0 if self.time is None else self.time, LONGEST_RESTART)
        if not self.stale_time > 0:
            raise ValueError("stale_time: must exceed 0")
        for seconds in self.long_lived.values():
            _within("long_lived", seconds, LONGEST_STALE)
        for name in ("long_lived_minimum", "long_lived_maximum"):
            _within(name, getattr(self, name), LONGEST_STALE)
        if self.long_lived_minimum > self.long_lived_maximum:
            raise ValueError("long_lived_minimum: must not exceed long_lived_maximum")
        if self.partial and not self.long_lived:
            raise ValueError("partial: needs long_lived")

    def stale_for(self, told: int) -> int:
        """Return how long routes are kept of a peer that told this Long-lived Stale Time."""
        # RFC 9494 section 4.2: a zero says that the peer wants none of it, whatever our bounds.
        return min(max(told, self.long_lived_minimum), self.long_lived_maximum) if told else 0


@dataclass(frozen=True, slots=True)
class RestartState:
    """What our next OPEN says: whether we have restarted, and for which families nothing was forwarded."""

    restarting: bool = False
    lost: frozenset[Family] = frozenset()


# The usual case.
DEFAULT = RestartOptions()

# Of a speaker that runs: whatever it offers to preserve is preserved (RFC 8538 section 4).
RUNNING = RestartState()


class Parting(Enum):
    """How a session ends, as far as the peer is to keep our routes."""

    USUAL = "usual"  # as RFC 8538 section 5.1 suggests for the Cease
    HARD = "hard"  # for good
    SOFT = "soft"  # it comes back: no Hard Reset
    RESTART = "restart"  # we come back: in silence, where a NOTIFICATION would end it all


def capabilities(
    options: RestartOptions | None,
    families: tuple[Family, ...],
    hold_time: int,
    state: RestartState = RUNNING,
) -> tuple[GracefulRestart | None, LongLivedGracefulRestart | None]:
    """Return capabilities 64 and 71 of an OPEN for a session of `families`."""
    if options is None:
        return None, None
    seconds = options.time
    if seconds is None:
        # RFC 4724 section 4: "less than or equal to the HOLDTIME carried in the OPEN".
        seconds = min(hold_time or _RESTART_TIME, LONGEST_RESTART)
    graceful = GracefulRestart(
        restarting=state.restarting,
        notification=options.notification,
        time=seconds,
        families=tuple(
            (each.afi, each.safi, each not in state.lost) for each in families if each in options.families
        ),
    )
    # RFC 9494 section 5: it "MUST NOT be enabled by default".
    listed = [each for each in families if each in options.long_lived]
    if not listed:
        return graceful, None
    return graceful, LongLivedGracefulRestart(
        tuple((each.afi, each.safi, each not in state.lost, options.long_lived[each]) for each in listed)
    )
