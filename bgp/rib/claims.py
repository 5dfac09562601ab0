"""Who has which prefixes, where a guard gives each to one peer only: first come, first served.

A `Ward` is a guarded peer, in one family; whatever it announces that its guard gives to a single peer is an
offer for a claim.  What counts is the order in which they come, and nothing else:

* Who offers first for a claim that nobody has gets it, if it has room: else the next one that has.
* Who has a claim keeps it until it announces nothing of it any more; then the first of those that are left
  and have room gets it.  And who has room again gets, of the claims for which it had none, the one that it
  has waited for longest, if that is still free.
* A session that ends takes the peer's routes out of the table, all at once or when they were kept for long
  enough (RFC 4724).  What was the peer's then is free, in the order in which it came.  If the guard says so
  it is kept for some time, until the peer is back and has said all (End-of-RIB).
* A route that no guard can help, as its AS_PATH has a loop or its next hop is not the peer's to announce, is
  no offer.

So no route is lost: who is second was heard, and its path is in the table, refused; when it gets the claim it
is judged anew (`Ledger.changed`).  Why it was refused is as it was when it was judged: that another one had
the claim, or that nobody had it and there was no room.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from bgp.rib.guard import COUNT, NEXT_HOP, OUTSIDE, OWNED, Guard, Quota, Share, refusal, rule_of
from bgp.rib.path import Path, Refusal, paths_of
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes

if TYPE_CHECKING:
    from bgp.rib.table import Table


class Claim:
    """What at most one peer has at a time: a block, or a single prefix.

    `parties` are those that announce something of it, in the order in which they came, with the prefixes and
    what each counts against.  `idle`: nobody has it, though there are parties, for they have no room.
    """

    __slots__ = ("holder", "idle", "parties", "quota", "unit")

    def __init__(self, unit: bytes) -> None:
        self.unit = unit
        self.holder: Ward | None = None
        self.quota: Quota | None = None
        self.parties: dict[Ward, dict[bytes, Quota | None]] = {}
        self.idle = False

    @property
    def disputed(self) -> bool:
        """Whether there are others than the one that has it."""
        return self.holder is not None and len(self.parties) > (self.holder in self.parties)


class Ward:
    """A guarded peer in one family: in one session, or in several if its routes or claims outlive that.

    `offers` are the prefixes that it announces and that one peer has for itself, in the order in which they
    came, and `held` so many claims are its own.  `until`: when what it has and does not announce any more is
    free, None for at once.  `hits` counts, by rule, the routes that were announced against the guard.
    Of those nothing is told before the time `quiet_until`.
    """

    __slots__ = (
        "__weakref__",
        "_short",
        "address",
        "guard",
        "held",
        "hits",
        "ledger",
        "name",
        "offers",
        "quiet_until",
        "until",
        "used",
    )

    def __init__(self, ledger: "Ledger", name: str, address: bytes, guard: Guard | None) -> None:
        self.ledger = ledger
        self.name = name
        self.address = address
        self.guard = guard
        self.offers: dict[bytes, Share] = {}
        self.used: dict[Quota, int] = {}
        self.held = 0
        self.until: float | None = None
        self.hits: dict[str, int] = {}
        self.quiet_until = 0.0
        # The claims that wait for room, those first that wait for longest.
        self._short: dict[bytes, None] = {}

    def __repr__(self) -> str:
        return f"<Ward {self.name} {self.ledger.family}: {self.held} held>"

    # --- What the table asks and tells -------------------------------------------------------------------

    def verdict(self, received: Attributes, prefix: bytes) -> Refusal | None:
        """Return the rule that keeps a path from being used, None for none; nothing is changed by that."""
        guard = self.guard
        if guard is None:
            return None
        if not guard.takes(received.next_hop, self.address):
            return refusal(NEXT_HOP, guard.name)
        share = self.offers.get(prefix)
        if share is None:
            found = guard.share(self.ledger.family, prefix)
            if found is None:
                return None
            if isinstance(found, str):
                return refusal(OUTSIDE, guard.name)
            share = found
        claim = self.ledger.claims.get(share.unit)
        if claim is None or claim.holder is None:
            return refusal(COUNT, guard.name)
        return None if claim.holder is self else refusal(OWNED, guard.name)

    def words(self, received: Attributes, prefix: bytes) -> str:
        """Say what the guard makes of a path, in words."""
        guard, family = self.guard, self.ledger.family
        if guard is None:
            return ""
        said, rule = f'guard "{guard.name}": ', rule_of(self.verdict(received, prefix))
        if rule == NEXT_HOP:
            hop, own = nlri.address_text(received.next_hop), nlri.address_text(self.address)
            return f"{said}the next hop {hop} is not {own}, the peer itself"
        share = self.offers.get(prefix) or guard.share(family, prefix)
        if share is None:
            return f"{said}{'any peer may announce it' if guard.allots else 'the next hop is good'}"
        if isinstance(share, str):
            return f"{said}{refusal(OUTSIDE, guard.name).text}"
        unit, claim = nlri.text(family, share.unit), self.ledger.claims.get(share.unit)
        holder = None if claim is None else claim.holder
        if rule == OWNED and holder is not None:
            return f"{said}{unit} belongs to {holder.name}, who came first"
        if rule == COUNT and share.quota is not None:
            return f"{said}the peer may have {share.quota.blocks}, and has that already"
        return f"{said}{unit} belongs to the peer"

    def offer(self, path: Path, prefixes: Iterable[bytes]) -> bool:
        """Hear what the peer announces, before it is judged; return False if such a path is no offer."""
        guard, ledger = self.guard, self.ledger
        if guard is None or not self._good(path):
            return False
        for prefix in prefixes:
            if prefix not in self.offers:
                share = guard.share(ledger.family, prefix)
                if isinstance(share, Share):
                    self._enter(prefix, share)
        return True

    def settle(self, prefixes: Iterable[bytes], *, absent: bool = False) -> None:
        """Take back the offers for what the peer has no route of any more, those first that it waits for.

        So it gets nothing on its way out.  What it has stays its own if it is to be kept while the peer is
        `absent`.
        """
        held: list[bytes] = []
        for prefix in prefixes:
            share = self.offers.get(prefix)
            if share is None or self.announces(prefix):
                continue
            if self.has(prefix):
                held.append(prefix)
            else:
                self._leave(prefix, share)
        if not absent or self.until is None:
            for prefix in held:
                self._leave(prefix, self.offers[prefix])

    def has(self, prefix: bytes) -> bool:
        """Whether what an offered prefix is part of is its own."""
        share = self.offers.get(prefix)
        return share is not None and self.ledger.claims[share.unit].holder is self

    def announces(self, prefix: bytes) -> bool:
        """Whether the table has a path of the peer to `prefix` that is an offer."""
        return any(
            path.source.ward is self and self._good(path)
            for path in paths_of(self.ledger.table.entries.get(prefix))
        )

    def _good(self, path: Path) -> bool:
        guard = self.guard
        if guard is None or not guard.takes(path.received.next_hop, self.address):
            return False
        return self.ledger.eligible(path)

    # --- Claims --------------------------------------------------------------------------------------------

    def has_room(self, quota: Quota | None) -> bool:
        """Whether it may have something more that counts against `quota`."""
        return quota is None or self.used.get(quota, 0) < quota.most

    def _enter(self, prefix: bytes, share: Share) -> None:
        ledger = self.ledger
        claim = ledger.claims.get(share.unit)
        if claim is None:
            claim = ledger.claims[share.unit] = Claim(share.unit)
        # Whatever bug strikes from here on, there is something to take back.
        self.offers[prefix] = share
        claim.parties.setdefault(self, {})[prefix] = share.quota
        if claim.holder is None:
            if self.has_room(share.quota):
                self._take(claim, share.quota, but=prefix)
            else:
                claim.idle = True
                self._short.setdefault(share.unit)
        ledger.look(claim)

    def _leave(self, prefix: bytes, share: Share) -> None:
        ledger = self.ledger
        del self.offers[prefix]
        claim = ledger.claims[share.unit]
        some = claim.parties.get(self, {})
        some.pop(prefix, None)
        if some:
            return
        claim.parties.pop(self, None)
        self._short.pop(share.unit, None)
        if claim.holder is self:
            self._release(claim)
        ledger.look(claim)

    def _take(self, claim: Claim, quota: Quota | None, but: bytes | None = None) -> None:
        claim.holder, claim.quota = self, quota
        self.held += 1
        if quota is not None:
            self.used[quota] = self.used.get(quota, 0) + 1
        self.ledger.judge_anew(self, [each for each in claim.parties[self] if each != but])
        if claim.idle:
            claim.idle = False
            for ward in claim.parties:
                ward._short.pop(claim.unit, None)
        self.ledger.look(claim)

    def _release(self, claim: Claim) -> None:
        """Let go of a claim, so that others get it, and something else may be the ward's in its place."""
        quota = claim.quota
        claim.holder = claim.quota = None
        self.held -= 1
        if quota is not None:
            self.used[quota] -= 1
            if not self.used[quota]:
                del self.used[quota]
        self.ledger.judge_anew(self, claim.parties.get(self, ()))
        for ward, some in claim.parties.items():
            for each in some.values():
                if ward.has_room(each):
                    ward._take(claim, each)
                    break
            if claim.holder is not None:
                break
        else:
            claim.idle = bool(claim.parties)
            for ward in claim.parties:
                ward._short.setdefault(claim.unit)
            self.ledger.look(claim)
        self.refill()

    def refill(self) -> bool:
        """Take what has waited for room for longest, if there is room now; return whether there was."""
        for unit in self._short:
            claim = self.ledger.claims[unit]
            for quota in claim.parties[self].values():
                if self.has_room(quota):
                    self._take(claim, quota)
                    return True
        return False

    # --- Another guard -------------------------------------------------------------------------------------

    def renew(self, prefix: bytes) -> None:
        """Let an offer be one by the guard of today; what it has by that, too, stays its own."""
        before = self.offers.get(prefix)
        if before is None:
            return
        guard, ledger = self.guard, self.ledger
        share = None if guard is None else guard.share(ledger.family, prefix)
        claim = ledger.claims[before.unit]
        if not isinstance(share, Share) or share.unit != before.unit or not self._still(prefix, claim):
            self._leave(prefix, before)
            if isinstance(share, Share) and self.announces(prefix):
                self._enter(prefix, share)
            return
        if share.quota == before.quota:
            return
        self.offers[prefix] = share
        claim.parties.setdefault(self, {})[prefix] = share.quota
        if (
            claim.holder is self
            and claim.quota == before.quota
            and before.quota not in (claim.parties[self].values())
        ):
            if self.has_room(share.quota):
                self._count(claim, share.quota)
            else:
                self._release(claim)
        elif claim.holder is None and self.has_room(share.quota):
            self._take(claim, share.quota)

    def _still(self, prefix: bytes, claim: Claim) -> bool:
        return self.announces(prefix) or (self.until is not None and claim.holder is self)

    def _count(self, claim: Claim, quota: Quota | None) -> None:
        if claim.quota is not None:
            self.used[claim.quota] -= 1
            if not self.used[claim.quota]:
                del self.used[claim.quota]
        claim.quota = quota
        if quota is not None:
            self.used[quota] = self.used.get(quota, 0) + 1


class Ledger:
    """The claims of one family by what is claimed, and the wards by their names.

    `eligible`: whether a path may be used as far as that depends on nothing but what was received.  `changed`
    holds what is to be judged anew, and `wake` is called when there is something in it again.  `disputed` are
    the claims with more than one party.  A ward is known for as long as it has routes, or claims.
    """

    __slots__ = ("changed", "claims", "disputed", "eligible", "family", "table", "wake", "wards")

    def __init__(
        self,
        table: "Table",
        eligible: Callable[[Path], bool] = lambda path: True,
        wake: Callable[["Ledger"], None] = lambda ledger: None,
    ) -> None:
        self.family = table.family
        self.table = table
        self.eligible = eligible
        self.wake = wake
        self.claims: dict[bytes, Claim] = {}
        self.wards: WeakValueDictionary[str, Ward] = WeakValueDictionary()
        self.disputed: dict[bytes, Claim] = {}
        self.changed: dict[tuple[Ward, bytes], None] = {}

    def look(self, claim: Claim) -> None:
        """Note whether a claim is disputed, or there is nothing of it left."""
        if claim.disputed:
            self.disputed[claim.unit] = claim
            return
        self.disputed.pop(claim.unit, None)
        if claim.holder is None and not claim.parties:
            self.claims.pop(claim.unit, None)

    def claim_of(self, ward: Ward, prefix: bytes) -> Claim | None:
        """Return the claim that a prefix of a peer is part of, None where it is part of none."""
        share = ward.offers.get(prefix)
        return None if share is None else self.claims.get(share.unit)

    def judge_anew(self, ward: Ward, prefixes: Iterable[bytes]) -> None:
        """Note prefixes whose paths have another verdict now."""
        idle = not self.changed
        self.changed.update(dict.fromkeys((ward, prefix) for prefix in prefixes))
        if idle and self.changed:
            self.wake(self)
