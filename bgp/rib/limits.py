"""How many routes of a family a peer may send: a word as it comes near, the end beyond (RFC 4486 section 4).

Routes are counted before policy, and those that only replace others do not count.  Each threshold is told of
once for each time that it is crossed from below.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bgp.errors import Notify
from bgp.family import Family
from bgp.iana import CeaseSubcode, ErrorCode
from bgp.wire.notification import encode_maximum_prefixes


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A peer's routes of `family` are now `count`, and may be `maximum`."""

    family: Family
    count: int
    maximum: int

    def __str__(self) -> str:
        what = "more than the" if self.count > self.maximum else "of at most"
        return f"{self.count} prefixes of {self.family}, {what} {self.maximum}"


class Limit:
    """The limit of one family of one session.

    `warning` is a percentage of `maximum` at which a word is due.  If `tolerant`, one is due beyond `maximum`
    as well, and all goes on.
    """

    __slots__ = ("_family", "_maximum", "_passed", "_thresholds", "_tolerant")

    def __init__(self, family: Family, maximum: int, warning: int | None, tolerant: bool) -> None:
        self._family = family
        self._maximum = maximum
        self._tolerant = tolerant
        # What is reached at 100 % is reached with the last route that may come.
        at = [] if warning is None else [-(-maximum * warning // 100)]
        self._thresholds = (*at, maximum + 1) if tolerant else tuple(at)
        self._passed = 0

    def offered(self, held: int, offered: int, new: Callable[[], int]) -> LimitReached | None:
        """Look at `offered` routes that come to `held` ones; return what is to be told.

        `new` counts those that do not replace others.  Raises Notify where that is too much.
        """
        thresholds = self._thresholds
        while self._passed and held < thresholds[self._passed - 1]:
            self._passed -= 1
        near = self._passed < len(thresholds) and held + offered >= thresholds[self._passed]
        if not near and held + offered <= self._maximum:
            return None
        count = held + new()
        if count > self._maximum and not self._tolerant:
            raise Notify(
                ErrorCode.CEASE,
                CeaseSubcode.MAXIMUM_NUMBER_OF_PREFIXES_REACHED,
                # RFC 4486 section 4: AFI, SAFI and the bound.
                encode_maximum_prefixes(self._family.afi, self._family.safi, self._maximum),
                f"more than {self._maximum} prefixes of {self._family} (RFC 4486 4)",
            )
        before = self._passed
        while self._passed < len(thresholds) and count >= thresholds[self._passed]:
            self._passed += 1
        return LimitReached(self._family, count, self._maximum) if self._passed > before else None


def limits(
    maxima: Mapping[Family, int], warning: int | None = None, tolerant: bool = False
) -> dict[Family, Limit]:
    """Return the limits of a session by family."""
    return {family: Limit(family, maximum, warning, tolerant) for family, maximum in maxima.items()}
