"""How long a session rests in Idle before it starts anew (RFC 4271 section 8.1.1, DampPeerOscillations).

The RFC leaves the method open.  Here IdleHoldTime doubles with each failure in a row, up to a maximum, and a
session that was Established long enough resets it.  Tries do not end: RFC 4486 section 4 would have them
bounded until an operator acts, but a fabric has to come back unattended.
"""

from bgp.iana import CeaseSubcode, ErrorCode, OpenSubcode
from bgp.session.config import SessionConfig
from bgp.wire.message import Notification

# RFC 4486 section 4: after these a speaker should retry as if DampPeerOscillations were set.
_BACK_OFF = frozenset(
    (ErrorCode.CEASE, subcode)
    for subcode in (
        CeaseSubcode.ADMINISTRATIVE_SHUTDOWN,
        CeaseSubcode.PEER_DE_CONFIGURED,
        CeaseSubcode.CONNECTION_REJECTED,
        CeaseSubcode.OUT_OF_RESOURCES,
    )
)
# RFC 5492 section 3: such a session "SHOULD NOT be re-established automatically"; it waits the longest time.
_HOPELESS = (ErrorCode.OPEN_MESSAGE_ERROR, OpenSubcode.UNSUPPORTED_CAPABILITY)


class IdleHold:
    """Counts the failures in a row."""

    __slots__ = ("_config", "_failures")

    def __init__(self, config: SessionConfig) -> None:
        self._config = config
        self._failures = 0

    def reset(self) -> None:
        """Forget the failures: the session was stable, or the operator has started it."""
        self._failures = 0

    @property
    def time(self) -> float:
        """The next IdleHoldTime."""
        config = self._config
        return self._doubled() if config.damp_peer_oscillations else config.idle_hold_time

    def failed(self, sent: Notification | None = None, received: Notification | None = None) -> float:
        """Count a failure; return how long to rest now, as the NOTIFICATION that ended the session has it."""
        seconds = self.time
        if received is not None:
            cause = received.cause
            if (cause.code, cause.subcode) in _BACK_OFF:
                seconds = self._doubled()
        last = sent or received
        if last is not None and (last.code, last.subcode) == _HOPELESS:
            seconds = self._config.idle_hold_maximum
        self._failures += 1
        return seconds

    def _doubled(self) -> float:
        # Far below the exponent at which a float overflows, and for ever in seconds.
        factor = float(1 << min(self._failures, 30))
        return min(self._config.idle_hold_time * factor, self._config.idle_hold_maximum)
