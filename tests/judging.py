"""One UPDATE, two judges: what both decoders say of it, in one form, and an error if they differ."""

from collections.abc import Iterable
from dataclasses import dataclass

from bgp.errors import Fault, Notify, Outcome
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.wire import prefix, reference
from bgp.wire.attributes import AttributeTable, attribute, walk
from bgp.wire.context import Context
from bgp.wire.update import decode

BOTH = frozenset({IPV4_UNICAST, IPV6_UNICAST})
EXTERNAL = Context(families=BOTH, peer_as=65001)
INTERNAL = Context(internal=True, families=BOTH)
OLD = Context(families=BOTH, four_octet_as=False, peer_as=65001)
MEMBER = Context(confederation=True, families=BOTH)

ORIGIN = attribute(0x40, 1, b"\0")
AS_PATH = attribute(0x40, 2, bytes.fromhex("0201 0000fde9"))
OLD_AS_PATH = attribute(0x40, 2, bytes.fromhex("0201 fde9"))
NEXT_HOP = attribute(0x40, 3, bytes.fromhex("c0000201"))
LOCAL_PREF = attribute(0x40, 5, bytes.fromhex("00000064"))
MANDATORY = ORIGIN + AS_PATH + NEXT_HOP
OLD_MANDATORY = ORIGIN + OLD_AS_PATH + NEXT_HOP

PREFIX = bytes.fromhex("18 c63364")  # 198.51.100.0/24
PREFIX6 = bytes.fromhex("20 20010db8")  # 2001:db8::/32
NEXT_HOP6 = bytes.fromhex("20010db8000000000000000000000001")
HERE = frozenset({"198.51.100.0/24"})
HERE6 = frozenset({"2001:db8::/32"})


def update(attributes: bytes = b"", nlri: bytes = b"", withdrawn: bytes = b"") -> bytes:
    """Return the body of an UPDATE."""
    fields = len(withdrawn).to_bytes(2, "big") + withdrawn
    return fields + len(attributes).to_bytes(2, "big") + attributes + nlri


def mp_reach(nlri: bytes = PREFIX6, next_hop: bytes = NEXT_HOP6, afi: int = 2, flags: int = 0x80) -> bytes:
    value = afi.to_bytes(2, "big") + b"\x01" + bytes([len(next_hop)]) + next_hop + b"\0" + nlri
    return attribute(flags, 14, value)


def mp_unreach(nlri: bytes = PREFIX6, afi: int = 2, flags: int = 0x80) -> bytes:
    return attribute(flags, 15, afi.to_bytes(2, "big") + b"\x01" + nlri)


@dataclass(frozen=True, slots=True)
class Judgment:
    """What a receiver does; `rules` are the broken ones in wire order, by name.

    With a session reset `notification` holds code, subcode and data, and `offset` the octet that is to
    blame, counted from the header; else the routes are there, prefixes as text.
    """

    outcome: Outcome
    rules: tuple[str, ...] = ()
    notification: tuple[int, int, bytes] | None = None
    offset: int | None = None
    withdrawn: frozenset[str] = frozenset()
    announced: frozenset[str] = frozenset()
    next_hops: tuple[bytes, ...] = ()
    attributes: tuple[tuple[int, int, bytes], ...] = ()
    path_ids: tuple[int, ...] = ()
    end_of_rib: Family | None = None
    ignored: tuple[tuple[int, int], ...] = ()

    def value(self, type: int) -> bytes | None:
        """Return the value of one kept attribute."""
        return {kind: value for _, kind, value in self.attributes}.get(type)


def judge(body: bytes, context: Context = EXTERNAL) -> Judgment:
    """Return what the fast path does with `body`; assert that the reference does the same."""
    fast, slow = _fast(body, context), _slow(body, context)
    assert fast == slow, f"\n{fast}\n{slow}"
    return fast


def _reset(notify: Notify) -> Judgment:
    rules = (notify.rule.name,) if notify.rule else ()
    notification = (int(notify.code), int(notify.subcode), notify.data)
    return Judgment(Outcome.SESSION_RESET, rules, notification, notify.offset)


def _rules(faults: Iterable[Fault]) -> tuple[str, ...]:
    return tuple(fault.rule.name for fault in faults)


def _fast(body: bytes, context: Context) -> Judgment:
    try:
        found = decode(body, context, AttributeTable())
    except Notify as notify:
        return _reset(notify)
    octets = {reach.attributes.octets for reach in found.announced}
    assert len(octets) <= 1
    return Judgment(
        found.outcome,
        _rules(found.faults),
        withdrawn=frozenset(prefix.text(u.family, p) for u in found.withdrawn for p in u.prefixes),
        announced=frozenset(prefix.text(r.family, p) for r in found.announced for p in r.prefixes),
        next_hops=tuple(reach.attributes.next_hop for reach in found.announced),
        attributes=tuple(walk(octets.pop())) if octets else (),
        path_ids=tuple(
            path_id for part in (*found.withdrawn, *found.announced) for path_id in part.path_ids or ()
        ),
        end_of_rib=found.end_of_rib,
        ignored=found.ignored,
    )


def _slow(body: bytes, context: Context) -> Judgment:
    try:
        found = reference.decode(body, context)
    except Notify as notify:
        return _reset(notify)
    announced = [part for part in found.announced if part.routes]
    octets = {part.octets for part in announced}
    assert len(octets) <= 1
    return Judgment(
        found.outcome,
        _rules(found.faults),
        withdrawn=frozenset(prefix.text(part.family, p) for part in found.withdrawn for _, p in part.routes),
        announced=frozenset(prefix.text(part.family, p) for part in announced for _, p in part.routes),
        next_hops=tuple(part.next_hop for part in announced),
        attributes=tuple(walk(octets.pop())) if octets else (),
        path_ids=tuple(
            path_id
            for part in (*found.withdrawn, *announced)
            for path_id, _ in part.routes
            if path_id is not None
        ),
        end_of_rib=found.end_of_rib,
        ignored=found.ignored,
    )
