"""What the reference gives: plain frozen values that anything can be compared with."""

from dataclasses import dataclass

from bgp.errors import Fault, Outcome
from bgp.family import Family

Segments = tuple[tuple[int, tuple[int, ...]], ...]  # (segment type, AS numbers)
Route = tuple[int | None, bytes]  # path identifier, prefix as its wire octets with host bits cleared


@dataclass(frozen=True, slots=True)
class Values:
    """The attributes of announced routes as Python values; None or empty where one is absent."""

    origin: int
    as_path: Segments
    as_path_length: int
    med: int | None
    local_pref: int | None
    originator_id: bytes | None
    cluster_list: tuple[bytes, ...]
    communities: tuple[int, ...]
    extended_communities: tuple[bytes, ...]
    ipv6_extended_communities: tuple[bytes, ...]
    large_communities: tuple[tuple[int, int, int], ...]
    aggregator: tuple[int, bytes] | None
    atomic_aggregate: bool
    aigp: int | None
    only_to_customer: int | None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Routes of one family that are no longer there."""

    family: Family
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Announcement:
    """Routes of one family, with their next hop and their attributes.

    `octets` are the path attributes in ascending type order without NEXT_HOP, MP_REACH_NLRI and
    MP_UNREACH_NLRI, each with the shortest length form and AS numbers of four octets; `values` are the
    same as Python values.
    """

    family: Family
    routes: tuple[Route, ...]
    next_hop: bytes
    octets: bytes
    values: Values


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a receiver does with an UPDATE that does not end the session.

    `withdrawn` comes before `announced` (RFC 4271 section 4.3).  Under treat-as-withdraw nothing is
    announced, and what would have been stands at the end of `withdrawn`.  `ignored` holds the (AFI, SAFI)
    of each field whose family was not negotiated.  Faults and fields are in wire order.
    """

    outcome: Outcome
    faults: tuple[Fault, ...]
    withdrawn: tuple[Withdrawal, ...]
    announced: tuple[Announcement, ...]
    end_of_rib: Family | None
    ignored: tuple[tuple[int, int], ...]
