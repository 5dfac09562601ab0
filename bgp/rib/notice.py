"""What a router notices about a peer's session that is no change of routes, for who wants to hear of it."""

from dataclasses import dataclass

from bgp.errors import Notify
from bgp.family import Family
from bgp.iana import RouteRefreshSubtype
from bgp.rib.guard import refusal
from bgp.rib.limits import LimitReached
from bgp.wire import prefix as nlri


@dataclass(frozen=True, slots=True)
class EndOfRib:
    """The peer has sent all its routes of `family` (RFC 4724 section 2)."""

    family: Family

    def __str__(self) -> str:
        return f"End-of-RIB of {self.family}"


@dataclass(frozen=True, slots=True)
class Refresh:
    """The peer asks for our routes of `family`, or begins or ends to send all of its own again."""

    family: Family
    subtype: int = RouteRefreshSubtype.REQUEST

    def __str__(self) -> str:
        match self.subtype:
            case RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH:
                return f"begins to send {self.family} again (RFC 7313 4)"
            case RouteRefreshSubtype.END_OF_ROUTE_REFRESH:
                return f"has sent {self.family} again (RFC 7313 4)"
            case _:
                return f"asks for {self.family} again (RFC 2918 4)"


@dataclass(frozen=True, slots=True)
class Condemned:
    """The peer holds the most of what there is too much of in all, so its session is to end by `fault`."""

    fault: Notify

    def __str__(self) -> str:
        return f"ends to make room: {self.fault.reason}"


@dataclass(frozen=True, slots=True)
class Breach:
    """Routes of `family` that the peer announced against its guard since the last word about that.

    `count` of them broke the `rule`, the last one that of `prefix`.  `owner`: who has that one.
    """

    family: Family
    guard: str
    rule: str
    count: int
    prefix: bytes
    owner: str = ""

    def __str__(self) -> str:
        number = f"{self.count} route{'' if self.count == 1 else 's'}"
        shown = nlri.text(self.family, self.prefix)
        why = f"{self.owner} has it" if self.owner else refusal(self.rule, self.guard).text
        return f'guard "{self.guard}" keeps {number} from use, the last one {shown}: {why}'


Notice = EndOfRib | Refresh | LimitReached | Condemned | Breach
