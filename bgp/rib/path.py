"""A path: what one peer said about some prefixes, without the prefixes.

A million routes share as many paths as there are attribute sets, so a path is interned per source, slot
and attributes.  It never changes its mind: what import made of it is fixed when it is made, and a new
verdict (another policy, another next hop cost) is another path.  So a table entry of a moment ago still
says exactly what was told on its strength.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from bgp.family import Family
from bgp.iana import Role
from bgp.wire.attributes import Attributes

if TYPE_CHECKING:
    from bgp.rib.claims import Ward


class Kind(IntEnum):
    """What a peer is to us, and so what its paths are (RFC 4271 section 1.1, RFC 4456 section 1).

    From CLIENT on they are within our AS, or within the confederation that is one AS to others: for the
    decision both are internal (RFC 5065 section 5.3).
    """

    LOCAL = 0  # ourselves
    EXTERNAL = 1
    ROUTE_SERVER_CLIENT = 2  # external, a client of our route server (RFC 7947)
    CLIENT = 3  # internal, a client of our route reflector
    NON_CLIENT = 4  # internal
    CONFEDERATION = 5  # in another member AS of our confederation (RFC 5065)

    @property
    def internal(self) -> bool:
        """Whether it is in our own AS."""
        return self is Kind.CLIENT or self is Kind.NON_CLIENT

    @property
    def external(self) -> bool:
        """Whether it is neither in our AS nor in our confederation."""
        return self is Kind.EXTERNAL or self is Kind.ROUTE_SERVER_CLIENT


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a path takes no part in the decision: a name, the RFC and section, and a sentence."""

    name: str
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.section})"


class Accepted(NamedTuple):
    """Attributes, with the types of those that policy set on purpose and that no default may replace."""

    attributes: Attributes
    chosen: frozenset[int] = frozenset()


# What a policy says of a path: None refuses without a word, a Refusal names the rule (`bgp.rib.asking`).
Answer = Attributes | Accepted | Refusal | None
Policy = Callable[..., Answer]


class Slot:
    """One peer's place for a path to each prefix; a later path in it replaces the earlier one.

    `path_id` is the peer's path identifier, None without ADD-PATH (RFC 7911 section 5).  `number` is our own
    identifier for what is in the slot: unlike among all slots, and the same for as long as it is in use.
    """

    __slots__ = ("__weakref__", "number", "path_id", "peer")

    def __init__(self, peer: str, path_id: int | None, number: int) -> None:
        self.peer = peer
        self.path_id = path_id
        self.number = number


class _Hold(ref[Slot]):
    """A registry's weak hold on its Slot; its death frees the number, without any collector."""

    __slots__ = ("key", "number", "slots")

    key: tuple[str, int | None]
    number: int
    slots: Slots


def _free(hold: ref[Slot]) -> None:
    assert isinstance(hold, _Hold)
    hold.slots.free(hold)


class Slots:
    """The slots in use; those that nobody holds any more are gone, and their numbers used again."""

    __slots__ = ("_freed", "_known", "_next")

    def __init__(self) -> None:
        self._known: dict[tuple[str, int | None], _Hold] = {}
        self._freed: list[int] = []
        self._next = 1

    def __len__(self) -> int:
        return len(self._known)

    def get(self, peer: str, path_id: int | None) -> Slot:
        """Return the one slot of `peer` and `path_id`."""
        key = (peer, path_id)
        hold = self._known.get(key)
        if hold is not None:
            found = hold()
            if found is not None:
                return found
        if self._freed:
            number = self._freed.pop()
        else:
            number = self._next
            self._next += 1
        slot = Slot(peer, path_id, number)
        hold = _Hold(slot, _free)
        hold.key, hold.number, hold.slots = key, number, self
        self._known[key] = hold
        return slot

    def free(self, hold: _Hold) -> None:
        """Forget a slot that is gone."""
        if self._known.get(hold.key) is hold:
            del self._known[hold.key]
        self._freed.append(hold.number)


class Source:
    """Where paths of one family come from: a session, or a part of it, or ourselves.

    Each session has sources of its own, and so has each refresh that the peer announces: that tells what
    is stale without a flag per route.  `identifier` is the BGP Identifier, 4 octets, and `address` the
    peer's, 4 or 16; `interface`: the one that its link-local next hops are on, empty where nobody knows.
    `policy`, `allow_own_as`, `connected` and `role`, which is ours towards the peer, are the terms of import.
    `local_as`: the AS that an external peer sees in place of ours, 0 for none; whether it `prepends`: puts
    that before what comes from there (RFC 7705 section 3.3).  `ward`: the account of a guarded peer
    (`bgp.rib.claims`).  `by_prefix`: that, or the policy, which then `reads_prefix`, looks at the prefix, so
    prefixes with equal attributes may have different paths.  `session` is the same object for all sources of
    one session.  `retained`: that has ended, and what is from here is kept while the peer restarts (RFC 4724
    section 4.2); `stale`: for so long that it is long-lived stale (RFC 9494).  `heeds`: we told the peer of
    the latter, so what is long-lived stale from here is not for everybody (RFC 9494 section 4.3).  `cluster`:
    the CLUSTER_ID of the cluster that a client is in, empty for others; `stamp`: what reflection adds depends
    on this alone.  `routes` counts prefixes that have a path from here.
    """

    __slots__ = (
        "address",
        "allow_own_as",
        "asn",
        "by_prefix",
        "cluster",
        "connected",
        "family",
        "heeds",
        "identifier",
        "interface",
        "kind",
        "local_as",
        "peer",
        "policy",
        "prepends",
        "reads_prefix",
        "retained",
        "role",
        "routes",
        "session",
        "stale",
        "stamp",
        "ward",
    )

    def __init__(
        self,
        peer: str,
        kind: Kind,
        asn: int,
        identifier: bytes,
        address: bytes = b"",
        *,
        family: Family | None = None,
        policy: Policy | None = None,
        allow_own_as: int = 0,
        connected: tuple[IPv4Network | IPv6Network, ...] = (),
        session: object = None,
        role: Role | None = None,
        stale: bool = False,
        local_as: int = 0,
        prepends: bool = False,
        heeds: bool = False,
        interface: str = "",
        cluster: bytes = b"",
        ward: Ward | None = None,
    ) -> None:
        self.peer = peer
        self.kind = kind
        self.asn = asn
        self.identifier = identifier
        self.address = address
        self.family = family
        self.policy = policy
        self.ward = ward
        self.reads_prefix = bool(getattr(policy, "reads_prefix", False))
        self.by_prefix = self.reads_prefix or ward is not None
        self.allow_own_as = allow_own_as
        self.connected = connected
        self.session = session or object()
        self.role = role
        self.stale = stale
        self.local_as = local_as
        self.prepends = prepends
        self.heeds = heeds
        self.retained = False
        self.interface = interface
        self.cluster = cluster
        self.stamp = identifier + cluster
        self.routes = 0

    def renewed(self) -> Source:
        """Return a source like this one: what stays with this one is stale (RFC 7313 section 4)."""
        return self._like(self.policy, False)

    def under(self, policy: Policy | None) -> Source:
        """Return a source like this one with another policy."""
        return self.ruled(policy, self.ward)

    def ruled(self, policy: Policy | None, ward: Ward | None) -> Source:
        """Return a source like this one with another policy, and guarded by `ward` or not at all."""
        other = self._like(policy, self.stale)
        other.retained = self.retained
        other.ward, other.by_prefix = ward, other.reads_prefix or ward is not None
        return other

    def long_lived(self) -> Source:
        """Return a source like this one for routes that outlive their session (RFC 9494 section 4.2).

        They are marked LLGR_STALE, and so they are the last resort of the decision.
        """
        other = self._like(self.policy, True)
        other.retained = self.retained
        return other

    def _like(self, policy: Policy | None, stale: bool) -> Source:
        return Source(
            self.peer,
            self.kind,
            self.asn,
            self.identifier,
            self.address,
            family=self.family,
            policy=policy,
            allow_own_as=self.allow_own_as,
            connected=self.connected,
            session=self.session,
            role=self.role,
            stale=stale,
            local_as=self.local_as,
            prepends=self.prepends,
            heeds=self.heeds,
            interface=self.interface,
            cluster=self.cluster,
            ward=self.ward,
        )

    def __repr__(self) -> str:
        return f"<Source {self.peer} {self.kind.name}>"


class Path:
    """Attributes from a source, shared by all prefixes that have them.

    `received` is what the peer said, `attributes` what import made of it, `refusal` the reason why the path
    is not usable, or None, and `cost` the interior cost to the next hop (RFC 4271 9.1.2.2 e).  `age` is 0
    unless the decision prefers the oldest: then it counts up from path to path of external peers.

    The rest is the table's bookkeeping: `count` prefixes have this path, all of them are in `prefixes`
    (beside such as had it once, and in any number), and `position` is its place in the table's order.
    """

    __slots__ = (
        "__weakref__",
        "age",
        "attributes",
        "cost",
        "count",
        "position",
        "prefixes",
        "received",
        "refusal",
        "slot",
        "source",
    )

    def __init__(self, source: Source, slot: Slot, received: Attributes, age: int = 0) -> None:
        self.source = source
        self.slot = slot
        self.received = self.attributes = received
        self.refusal: Refusal | None = None
        self.age = age
        self.cost = self.count = 0
        self.position = -1
        self.prefixes: list[bytes] = []

    @property
    def usable(self) -> bool:
        return self.refusal is None

    @property
    def path_id(self) -> int | None:
        return self.slot.path_id

    @property
    def retained(self) -> bool:
        """Whether it is kept while its peer restarts (RFC 4724 section 4.2)."""
        return self.source.retained

    def __repr__(self) -> str:
        state = "" if self.refusal is None else f" refused: {self.refusal.name}"
        return f"<Path from {self.source.peer or 'ourselves'} id={self.path_id} {self.attributes!r}{state}>"


# What a table holds for a prefix: one path, or several.  After a flush the best one is the first.
Entry = Path | tuple[Path, ...]


def paths_of(entry: Entry | None) -> tuple[Path, ...]:
    """Return the paths of a table entry."""
    if isinstance(entry, tuple):
        return entry
    return () if entry is None else (entry,)


def best_of(entry: Entry | None) -> Path | None:
    """Return the best path of an entry that has been decided, None where none is usable."""
    first = entry[0] if isinstance(entry, tuple) else entry
    return None if first is None or first.refusal is not None else first
