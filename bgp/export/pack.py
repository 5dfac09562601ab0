"""From paths and prefixes to messages, on the terms of one update group.

`Packer.told` answers what a path looks like to the group's peers, or by which rule they do not hear of it.
It depends on the path alone, and on the prefix where export policy reads that; so it gives the same answer as
long as the path lives, and what was told before a change need not be stored: it can be asked again.  Whether
a route fits into a message depends on its prefix too, but only where the attributes leave next to no room;
then `Told.room` tells.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from bgp.export import default, staleness
from bgp.export.cluster import between_clusters
from bgp.export.hiding import Hiding
from bgp.export.quick import Quick
from bgp.export.rewrite import Rewriter
from bgp.export.rules import (
    LONG_LIVED_STALE,
    MESHED_CLIENTS,
    NO_POLICY,
    POLICY,
    POLICY_FAILED,
    TOO_LONG,
    Treatment,
    Withheld,
    horizon,
    withheld_by_community,
    withheld_by_otc,
)
from bgp.export.terms import Terms
from bgp.family import IPV4_UNICAST, Family
from bgp.rib import roles
from bgp.rib.asking import Failures, ask
from bgp.rib.path import Accepted, Kind, Path, Policy, Refusal, Slot
from bgp.rib.selection import Selection
from bgp.wire.encoder import Encoder

# The room of what fits beside any prefix.
AMPLE = 1 << 16
_PATH_ID_OCTETS = 4

# Prefixes by the slot of their path, None without ADD-PATH.  Who keeps a route keeps the slot, not just its
# number: so no other path gets that number before everybody was told that this one is gone.
Routes = dict[Slot | None, list[bytes]]

_RELAY = Treatment.RELAY
_NOTHING: frozenset[int] = frozenset()
_ANSWERS = 1 << 16  # so many answers of an export policy are remembered


class Told(NamedTuple):
    """A path as a group's peers see it; equal ones are the same UPDATE.

    `room`: the octets that a message has left for NLRI, or a large number where any prefix fits.
    """

    octets: bytes
    next_hop: bytes
    room: int


class Packer:
    """Says what to tell of a path, and packs it.

    `selections`: which paths are told for each family with ADD-PATH.
    """

    __slots__ = (
        "_answers",
        "_asks_prefix",
        "_failures",
        "_guarded",
        "_hiding",
        "_horizon",
        "_longest",
        "_memoized",
        "_rewrite",
        "_small",
        "by_prefix",
        "defaults",
        "encoder",
        "oversized",
        "policy_failures",
        "quick",
        "selections",
        "silent",
        "terms",
    )

    def __init__(self, terms: Terms, failures: Failures | None = None) -> None:
        self.terms = terms
        self.selections: Mapping[Family, Selection] = dict(terms.add_path)
        self.encoder = Encoder(terms.four_octet_as, frozenset(self.selections), terms.maximum)
        self.oversized = 0  # how often a route was held back because it fits no message
        self.policy_failures = 0
        self._failures = failures or Failures()
        self._hiding = Hiding(terms, self._failures) if terms.hides else None
        self._asks_prefix = bool(getattr(terms.policy, "reads_prefix", False))
        self.by_prefix = self._asks_prefix or (self._hiding is not None and self._hiding.by_prefix)
        # To ask a policy of terms again costs more than to remember what it said.
        self._memoized = bool(getattr(terms.policy, "memoized", False)) and not self._asks_prefix
        self._answers: WeakKeyDictionary[Path, Accepted | Withheld] = WeakKeyDictionary()
        # RFC 8212 section 3: nothing to an external peer without an export policy.
        self.silent = terms.kind.external and terms.policy is None
        # Where a route with OTC may have to stay behind.
        self._guarded = roles.FAMILIES if terms.role is not None or terms.members else frozenset()
        # Attributes so long fit beside any prefix.  Two-octet AS numbers may make them longer, but never
        # twice as long.
        self._small = (terms.maximum - 100) // 2
        self._rewrite = Rewriter(terms)
        self._horizon = {source: horizon(source, terms.kind, terms.reflect_clients) for source in Kind}
        # For the families whose usual routes have a shorter way.
        self.quick: dict[Family, Quick] = {}
        if Quick.serves(terms) and IPV4_UNICAST in terms.families and IPV4_UNICAST not in self.selections:
            self.quick[IPV4_UNICAST] = Quick(terms, self._horizon)
        # The default routes that are told beside what the tables have.
        self.defaults: dict[Family, Told] = {}
        for family in () if self.silent else terms.defaults:
            path = default.default_route(family, terms.local_as)
            rewritten = self._rewrite(family, path, path.attributes, Treatment.SEND)
            if not isinstance(rewritten, Withheld):
                self.defaults[family] = Told(*rewritten, AMPLE)
        self._longest = {family: 1 + family.bits // 8 + self.identified(family) for family in terms.families}

    def identified(self, family: Family) -> int:
        """Return the octets of a path identifier, if there is one."""
        return _PATH_ID_OCTETS if family in self.selections else 0

    def treatment(self, path: Path) -> Treatment | Withheld:
        """Return how `path` goes out by where it comes from, or why it does not."""
        treatment = self._horizon[path.source.kind]
        if treatment is MESHED_CLIENTS and between_clusters(path.source, self.terms):
            return Treatment.REFLECT
        return treatment

    def told(self, family: Family, path: Path, prefix: bytes | None = None) -> Told | Withheld:
        """Return how `path` goes out, or why it does not; `by_prefix`, how it does for `prefix`."""
        treatment = self._horizon[path.source.kind]
        if isinstance(treatment, Withheld):
            treatment = self.treatment(path)
            if isinstance(treatment, Withheld):
                return treatment
        terms = self.terms
        attributes, chosen = path.attributes, _NOTHING
        # Most attributes hold no well-known community; this is what all of those begin with.
        # RFC 7947 section 2.2.4: a route server leaves them to its clients.
        if b"\xff\xff\xff" in attributes.octets and treatment is not _RELAY:
            reason = withheld_by_community(attributes, terms.kind)
            if reason is not None:
                return reason
        if family in self._guarded:
            reason = withheld_by_otc(attributes, terms)
            if reason is not None:
                return reason
        stale = path.source.heeds and staleness.is_special(path)
        if stale and not (terms.llgr or terms.partial):
            return LONG_LIVED_STALE
        if self.silent:
            return NO_POLICY
        if self._hiding is not None:
            hidden = self._hiding.path(path)
            if hidden is None and prefix is not None:
                hidden = self._hiding.prefix(family, path, prefix)
            if hidden is not None:
                return hidden
        if terms.policy is not None:
            answer = self._asked(terms.policy, path, prefix)
            if isinstance(answer, Withheld):
                return answer
            attributes, chosen = answer
        rewritten = self._rewrite(family, path, attributes, treatment, chosen)
        if isinstance(rewritten, Withheld):
            return rewritten
        octets, next_hop = rewritten
        if stale:
            octets = staleness.marked(octets, terms)
        if len(octets) <= self._small:
            return Told(octets, next_hop, AMPLE)
        room = self.encoder.room(family, octets, next_hop)
        if room >= self._longest[family]:
            return Told(octets, next_hop, AMPLE)
        if room <= self.identified(family):
            return TOO_LONG
        return Told(octets, next_hop, room)

    def _asked(self, policy: Policy, path: Path, prefix: bytes | None) -> Accepted | Withheld:
        """Return what export policy says of a path: once for each, while it is not asked about prefixes."""
        known = self._answers.get(path) if self._memoized else None
        if known is not None:
            return known
        found: Accepted | Withheld
        try:
            answer = ask(policy, path, prefix if self._asks_prefix else None)
        except Exception:
            self.policy_failures += 1
            self._failures.report(policy, "an export policy failed; what it fails on is not sent")
            found = POLICY_FAILED
        else:
            if answer is None:
                found = POLICY
            elif isinstance(answer, Refusal):
                found = Withheld(answer.name, POLICY.section, answer.text)
            else:
                found = answer
        if self._memoized:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            self._answers[path] = found
        return found

    def parts(
        self, family: Family, path: Path, prefixes: list[bytes]
    ) -> Iterable[tuple[Told | Withheld, list[bytes]]]:
        """Return how `path` goes out for some prefixes, in parts where export policy tells them apart."""
        if not self.by_prefix:
            return ((self.told(family, path), prefixes),)
        found: dict[Told | Withheld, list[bytes]] = {}
        if self._asks_prefix or self._hiding is None:
            for prefix in prefixes:
                found.setdefault(self.told(family, path, prefix), []).append(prefix)
            return found.items()
        told = self.told(family, path)
        if isinstance(told, Withheld):
            return ((told, prefixes),)
        for prefix in prefixes:
            found.setdefault(self._hiding.prefix(family, path, prefix) or told, []).append(prefix)
        return found.items()

    def fitting(self, family: Family, told: Told, prefixes: list[bytes]) -> list[bytes]:
        """Return those of `prefixes` that fit into a message beside `told`."""
        if told.room >= AMPLE:
            return prefixes
        room = told.room - self.identified(family)
        return [prefix for prefix in prefixes if len(prefix) <= room]

    def announce(self, family: Family, told: Told, routes: Routes) -> list[bytes]:
        """Return the messages that announce `routes`, all of which fit."""
        prefixes, path_ids = self._nlri(family, routes)
        return self.encoder.announce(family, told.octets, told.next_hop, prefixes, path_ids)[0]

    def announce_default(self, family: Family) -> list[bytes]:
        """Return the message with the default route that is told beside the table, if there is one."""
        if family not in self.defaults:
            return []
        slot = default.SLOT if family in self.selections else None
        return self.announce(family, self.defaults[family], {slot: [default.PREFIX]})

    def withdraw(self, family: Family, routes: Routes) -> list[bytes]:
        """Return the messages that withdraw `routes`."""
        prefixes, path_ids = self._nlri(family, routes)
        return self.encoder.withdraw(family, prefixes, path_ids) if prefixes else []

    def _nlri(self, family: Family, routes: Routes) -> tuple[list[bytes], list[int] | None]:
        if family not in self.selections:
            # Without path identifiers there is no slot, and at most one list.
            return next(iter(routes.values()), []), None
        prefixes: list[bytes] = []
        numbers: list[int] = []
        for slot, some in routes.items():
            if slot is not None:
                prefixes += some
                numbers += [slot.number] * len(some)
        return prefixes, numbers

    def slot(self, family: Family, path: Path) -> Slot | None:
        """Return the slot under whose number `path` is told, None without ADD-PATH."""
        return path.slot if family in self.selections else None
