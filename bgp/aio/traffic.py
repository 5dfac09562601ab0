"""What a connection has moved: the counters that are shown for a peer."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Traffic:
    """What a link has moved: messages by their type (index 0 is never used), and octets."""

    received: list[int] = field(default_factory=lambda: [0] * 6)
    sent: list[int] = field(default_factory=lambda: [0] * 6)
    octets_received: int = 0
    octets_sent: int = 0
    crashes: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            [a + b for a, b in zip(self.received, other.received, strict=True)],
            [a + b for a, b in zip(self.sent, other.sent, strict=True)],
            self.octets_received + other.octets_received,
            self.octets_sent + other.octets_sent,
            self.crashes + other.crashes,
        )
