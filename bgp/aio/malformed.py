"""Malformed UPDATEs in the log: what was wrong, the routes concerned, and every octet (RFC 7606 section 6).

A peer that sends one bad UPDATE often sends thousands, so each peer has one such line a minute, which says
how many there were since the last.
"""

import logging

from bgp.errors import Outcome
from bgp.iana import MessageType
from bgp.wire import prefix
from bgp.wire.framing import frame
from bgp.wire.update import Update

logger = logging.getLogger(__name__)

INTERVAL = 60.0


class Malformed:
    """Reports and counts the malformed UPDATEs of one peer, its reconnections included."""

    __slots__ = ("_logged", "_name", "_silent", "total")

    def __init__(self, name: str) -> None:
        self._name = name
        self._logged: float | None = None
        self._silent = 0
        self.total = 0

    def softened(self, update: Update, now: float) -> str:
        """Report an UPDATE that was treated as withdrawal, or from which attributes were discarded.

        Return what was wrong if that was logged, else nothing.
        """
        if not self._due(now):
            return ""
        parts = update.withdrawn if update.outcome == Outcome.TREAT_AS_WITHDRAW else update.announced
        reaction = f"{update.outcome.label}: " + "; ".join(map(str, update.faults))
        routes = " ".join(prefix.text(part.family, octets) for part in parts for octets in part.prefixes)
        self._log(
            logging.WARNING if update.outcome == Outcome.TREAT_AS_WITHDRAW else logging.INFO,
            update.outcome,
            "; ".join(map(str, update.faults)),
            next(fault.rule.source for fault in update.faults if fault.reaction == update.outcome),
            routes or "none",
            frame(MessageType.UPDATE, update.body),
        )
        return reaction

    def refused(self, reason: str, message: bytes, now: float) -> None:
        """Report an UPDATE that ended the session; its routes cannot be told."""
        if self._due(now):
            self._log(
                logging.WARNING, Outcome.SESSION_RESET, reason, "RFC 4271 6.3", "not to be told", message
            )

    def _due(self, now: float) -> bool:
        self.total += 1
        if self._logged is not None and now - self._logged < INTERVAL:
            self._silent += 1
            return False
        self._logged = now
        return True

    def _log(
        self, level: int, outcome: Outcome, reason: str, source: str, routes: str, message: bytes
    ) -> None:
        silent, self._silent = self._silent, 0
        fields = {
            "event": "malformed",
            "peer": self._name,
            "outcome": outcome.label,
            "reason": reason,
            "routes": routes,
            "message": message.hex(),
            "rfc": source,
        }
        logger.log(
            level,
            "%s: malformed UPDATE, %s: %s; routes: %s; message: %s%s",
            self._name,
            outcome.label,
            reason,
            routes,
            message.hex(),
            f" (and {silent} before it)" if silent else "",
            # For handlers that write more than text.
            extra={"fields": fields},
        )
