"""The UPDATE's fast path: octets to values (RFC 4271 4.3 and 6.3, RFC 7606, RFC 4760).

An UPDATE is judged in wire order.  What demands a session reset is raised at once, for the first such
fault is the verdict; weaker faults are collected, and the strongest decides at the end (RFC 7606 3 h).
The octets of a block of attributes without fault are remembered with their Attributes, so that a peer
that says the same again costs one look-up.  `bgp.wire.reference` says all this again, slowly and from
the grammar, and is the judge of this module.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bgp import errors
from bgp.errors import Data, Fault, Notify, Outcome, Rule
from bgp.family import BY_CODE, IPV4_UNICAST, Family
from bgp.iana import AS_TRANS, HEADER_LENGTH, AttributeType
from bgp.wire import aspath
from bgp.wire.attributes import (
    EXTENDED_LENGTH,
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    PARTIAL,
    ROWS,
    TRANSITIVE,
    WELL_KNOWN,
    Attributes,
    AttributeTable,
    attribute,
)
from bgp.wire.checks import FLAGS_RULE, SIZE_RULE, Checks
from bgp.wire.community import distinct
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.prefix import PrefixError, split, split_add_path

__all__ = ["Decoder", "Encoder", "Reach", "Unreach", "Update", "decode"]

_ORIGIN, _AS_PATH, _NEXT_HOP = AttributeType.ORIGIN, AttributeType.AS_PATH, AttributeType.NEXT_HOP
_LOCAL_PREF, _AGGREGATOR = AttributeType.LOCAL_PREF, AttributeType.AGGREGATOR
_MP_REACH, _MP_UNREACH = int(AttributeType.MP_REACH_NLRI), int(AttributeType.MP_UNREACH_NLRI)
_AS4_PATH, _AS4_AGGREGATOR = AttributeType.AS4_PATH, AttributeType.AS4_AGGREGATOR
_LARGE_COMMUNITIES = AttributeType.LARGE_COMMUNITIES
_MP_BITS = 1 << _MP_REACH | 1 << _MP_UNREACH

# Remembered blocks of attributes per decoder; a full one is emptied, for the busy ones soon return.
_MEMORY = 4096
_MEMORY_BLOCK = 1024  # octets; larger blocks are rare, and would make the memory large


class Reach:
    """Prefixes of one family that share attributes; `path_ids` beside them with ADD-PATH, else None."""

    __slots__ = ("attributes", "family", "path_ids", "prefixes")

    def __init__(
        self, family: Family, prefixes: list[bytes], path_ids: list[int] | None, attributes: Attributes
    ) -> None:
        self.family = family
        self.prefixes = prefixes
        self.path_ids = path_ids
        self.attributes = attributes


class Unreach(NamedTuple):
    """Prefixes of one family that are withdrawn; `path_ids` beside them with ADD-PATH, else None."""

    family: Family
    prefixes: list[bytes]
    path_ids: list[int] | None


class Update:
    """What an UPDATE says: first take out `withdrawn`, then put in `announced` (RFC 4271 section 4.3).

    `outcome` is OK, ATTRIBUTE_DISCARD or TREAT_AS_WITHDRAW; with the last `announced` is empty and all
    that was reachable stands in `withdrawn`.  `faults`: what was wrong, in wire order.  `end_of_rib`: the
    family whose initial routes are complete (RFC 4724 section 2).  `ignored`: the (AFI, SAFI) of parts
    whose family was not negotiated.
    """

    __slots__ = ("announced", "end_of_rib", "faults", "ignored", "outcome", "withdrawn")

    def __init__(
        self,
        withdrawn: Sequence[Unreach] = (),
        announced: Sequence[Reach] = (),
        end_of_rib: Family | None = None,
        outcome: Outcome = Outcome.OK,
        faults: tuple[Fault, ...] = (),
        ignored: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self.withdrawn = withdrawn
        self.announced = announced
        self.end_of_rib = end_of_rib
        self.outcome = outcome
        self.faults = faults
        self.ignored = ignored


def decode(body: bytes, context: Context, table: AttributeTable) -> Update:
    """Return what the UPDATE of `body` (behind the header) says; raise Notify for a session reset."""
    return Decoder(context, table).decode(body)


class Decoder:
    """Decodes the UPDATEs of one session into values whose Attributes are interned in `table`."""

    __slots__ = (
        "_classic",
        "_classic_path_ids",
        "_multiprotocol",
        "checks",
        "context",
        "table",
    )

    def __init__(self, context: Context, table: AttributeTable) -> None:
        self.context = context
        self.table = table
        self.checks = Checks(context)
        self._classic: dict[bytes, Attributes] = {}
        self._multiprotocol: dict[tuple[bytes, bytes], Attributes] = {}
        self._classic_path_ids = IPV4_UNICAST in context.add_path

    def decode(self, body: bytes) -> Update:
        """Return what the UPDATE of `body` (behind the header) says; raise Notify for a session reset.

        `body` holds at least the two length fields: framing refuses what is shorter.
        """
        if body[0] or body[1]:
            return self._general(body)
        end = 4 + (body[2] << 8 | body[3])
        if end > len(body):
            raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH + 2)
        if end < len(body):
            known = self._classic.get(body[4:end])
            if known is None:
                return self._general(body)
            prefixes, path_ids = self._nlri(body[end:], HEADER_LENGTH + end)
            return Update((), (Reach(IPV4_UNICAST, prefixes, path_ids, known),) if prefixes else ())
        if end > 9 and body[5] == _MP_REACH and body[4] & 0xC0 == OPTIONAL:
            # MP_REACH_NLRI first, as RFC 7606 section 5.1 has it sent.
            return self._reach_first(body)
        return self._general(body)

    def _reach_first(self, body: bytes) -> Update:
        if body[4] & EXTENDED_LENGTH:
            start, after = 8, 8 + (body[6] << 8 | body[7])
        else:
            start, after = 7, 7 + body[6]
        if after > len(body):
            return self._general(body)
        next_hop = body[start + 4 : start + 4 + body[start + 3]] if after - start > 4 else b""
        known = self._multiprotocol.get((body[after:], next_hop))
        if known is None:
            return self._general(body)
        found = self.reach(body[start:after], HEADER_LENGTH + 4, body[4:after])
        if found is None:
            return self._general(body)
        family, _, prefixes, path_ids = found
        return Update((), (Reach(family, prefixes, path_ids, known),) if prefixes else ())

    def _general(self, body: bytes) -> Update:
        size = len(body)
        start = 4 + (body[0] << 8 | body[1])
        if start > size:
            raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH)
        end = start + (body[start - 2] << 8 | body[start - 1])
        if end > size:
            raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH + start - 2)
        if size == 4:
            # RFC 4724 section 2: the shortest UPDATE is IPv4 unicast's End-of-RIB.
            if IPV4_UNICAST in self.context.families:
                return Update(end_of_rib=IPV4_UNICAST)
            return Update(ignored=((IPV4_UNICAST.afi, IPV4_UNICAST.safi),))
        found = _Examination(self)
        negotiated = IPV4_UNICAST in self.context.families
        withdrawn: list[Unreach] = []
        if start > 4:
            if negotiated:
                prefixes, path_ids = self._nlri(body[2 : start - 2], HEADER_LENGTH + 2)
                withdrawn.append(Unreach(IPV4_UNICAST, prefixes, path_ids))
            else:
                found.ignored.append((IPV4_UNICAST.afi, IPV4_UNICAST.safi))
        block = body[start:end]
        found.walk(block, HEADER_LENGTH + start)
        if found.unreach is not None:
            withdrawn.append(found.unreach)
        reach = found.reach
        classic: tuple[list[bytes], list[int] | None] | None = None
        if end < size:
            if negotiated:
                classic = self._nlri(body[end:], HEADER_LENGTH + end)
            else:
                found.ignored.append((IPV4_UNICAST.afi, IPV4_UNICAST.safi))
        found.finish(end < size, classic is not None, HEADER_LENGTH + end)
        faults = tuple(found.faults)
        ignored = tuple(found.ignored)
        outcome = max((fault.rule.outcome for fault in faults), default=Outcome.OK)
        if outcome == Outcome.TREAT_AS_WITHDRAW:
            if end == size and not found.reachable and (found.overran or found.seen & ~(1 << _MP_UNREACH)):
                self._escalate(faults)
            if reach is not None:
                withdrawn.append(Unreach(reach[0], reach[2], reach[3]))
            if classic is not None:
                withdrawn.append(Unreach(IPV4_UNICAST, *classic))
            return Update(_filled(withdrawn), (), None, outcome, faults, ignored)
        announced: list[Reach] = []
        if reach is not None and reach[2]:
            attributes = self.table.intern(found.octets, reach[1])
            announced.append(Reach(reach[0], reach[2], reach[3], attributes))
            if not faults and found.first == _MP_REACH and start == 4 and end == size:
                rest = block[found.second :]
                if len(rest) <= _MEMORY_BLOCK:
                    if len(self._multiprotocol) >= _MEMORY:
                        self._multiprotocol.clear()
                    self._multiprotocol[rest, reach[1]] = attributes
        if classic is not None and classic[0]:
            attributes = self.table.intern(found.octets, found.next_hop)
            announced.append(Reach(IPV4_UNICAST, *classic, attributes))
            if not faults and not found.seen & _MP_BITS:
                if len(block) <= _MEMORY_BLOCK:
                    if len(self._classic) >= _MEMORY:
                        self._classic.clear()
                    self._classic[block] = attributes
        end_of_rib = None
        if (
            found.seen == 1 << _MP_UNREACH
            and start == 4
            and end == size
            and found.unreach_empty
            and not faults
        ):
            end_of_rib = found.unreach.family if found.unreach else None
        return Update(_filled(withdrawn), announced, end_of_rib, outcome, faults, ignored)

    def _escalate(self, faults: tuple[Fault, ...]) -> None:
        """Raise the first treat-as-withdraw fault: nothing is there to withdraw (RFC 7606 section 5.2)."""
        fault = next(fault for fault in faults if fault.rule.outcome == Outcome.TREAT_AS_WITHDRAW)
        raise Notify.of(fault.rule, fault.data, fault.offset)

    def _nlri(self, field: bytes, offset: int) -> tuple[list[bytes], list[int] | None]:
        try:
            if self._classic_path_ids:
                path_ids, prefixes = split_add_path(field, IPV4_UNICAST)
                return prefixes, path_ids
            return split(field, IPV4_UNICAST), None
        except PrefixError as error:
            raise Notify.of(errors.NETWORK_FIELD, offset=offset + error.offset) from None

    def mp_nlri(
        self, family: Family, field: bytes, offset: int, raw: bytes
    ) -> tuple[list[bytes], list[int] | None]:
        try:
            if family in self.context.add_path:
                path_ids, prefixes = split_add_path(field, family)
                return prefixes, path_ids
            return split(field, family), None
        except PrefixError:
            raise Notify.of(errors.MP_NETWORK_FIELD, raw, offset) from None

    def reach(
        self, value: bytes, offset: int, raw: bytes
    ) -> tuple[Family, bytes, list[bytes], list[int] | None] | None:
        """Return what MP_REACH_NLRI says (RFC 4760 section 3), None where its family is not negotiated."""
        size = len(value)
        if size < 5 or size < 5 + value[3]:
            raise Notify.of(errors.MP_LENGTH, raw, offset)
        family = BY_CODE.get((value[0] << 8 | value[1], value[2]))
        if family is None or family not in self.context.families:
            return None
        octets = value[3]
        if octets not in family.next_hop_lengths and not (
            octets in family.extended_next_hop_lengths and family in self.context.extended_next_hop
        ):
            raise Notify.of(errors.MP_NEXT_HOP, raw, offset)
        # The octet behind the next hop is reserved, and ignored.
        prefixes, path_ids = self.mp_nlri(family, value[5 + octets :], offset, raw)
        return family, value[4 : 4 + octets], prefixes, path_ids


def _filled(withdrawn: list[Unreach]) -> Sequence[Unreach]:
    return [unreach for unreach in withdrawn if unreach.prefixes]


class _Examination:
    """One walk over the Path Attributes field, and what it found."""

    __slots__ = (
        "_decoder",
        "_held",
        "_pieces",
        "_reach_octets",
        "_sorted",
        "faults",
        "first",
        "ignored",
        "overran",
        "reach",
        "reachable",
        "second",
        "seen",
        "unreach",
        "unreach_empty",
    )

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        # The canonical octets, an attribute each; sorted only where the sender did not.
        self._pieces: list[bytes] = []
        self._sorted = True
        # (flags, value, offset) of what is no part of the canonical octets as it came, by type.
        self._held: dict[int, tuple[int, bytes, int]] = {}
        self.overran = False
        self._reach_octets = False
        self.faults: list[Fault] = []
        self.ignored: list[tuple[int, int]] = []
        self.first = 0  # the type of the first attribute
        self.second = 0  # where the second one begins
        self.seen = 0  # a bit for each type met
        self.reach: tuple[Family, bytes, list[bytes], list[int] | None] | None = None
        self.reachable = False
        self.unreach: Unreach | None = None
        self.unreach_empty = False

    def walk(self, block: bytes, base: int) -> None:
        """Examine the attributes in `block`, which stands at octet `base` of the message."""
        checks, pieces = self._decoder.checks, self._pieces
        rows = checks.rows
        position, end, last = 0, len(block), 0
        while position < end:
            # RFC 7606 section 4: what is left must hold flags, type, length, and then the value.
            if end - position < 3:
                return self._overrun(base + position)
            flags, type_, size = block[position], block[position + 1], block[position + 2]
            start = position + 3
            if flags & EXTENDED_LENGTH:
                if end - position < 4:
                    return self._overrun(base + position)
                start, size = position + 4, size << 8 | block[position + 3]
            after = start + size
            if after > end:
                return self._overrun(base + position)
            if not position:
                self.first, self.second = type_, after
            value = block[start:after]
            row = rows[type_]
            if row is None or flags & 0xC0 != row.flags or self.seen >> type_ & 1:
                rule = self._unusual(flags, type_, value, base + position, block[position:after])
                row = None
            elif (row.size >= 0 and size != row.size) or (row.unit and (not size or size % row.unit)):
                rule = SIZE_RULE[type_]
            elif row.check is not None:
                rule = row.check(checks, value)
            else:
                rule = None
            self.seen |= 1 << type_
            if rule is not None:
                self._fault(rule, base + position, block[position:after], type_)
                if rule is errors.AS4_PATH_CONFEDERATION:
                    self._held[type_] = flags, value, base + position
            elif row is not None:
                if not row.keep:
                    self._held[type_] = flags, value, base + position
                else:
                    if flags == row.flags and type_ != _LARGE_COMMUNITIES:
                        pieces.append(block[position:after])
                    else:
                        pieces.append(_canonical(row.flags, flags, type_, value))
                    if type_ < last:
                        self._sorted = False
                    last = type_
            position = after
        return None

    def _overrun(self, offset: int) -> None:
        self.overran = True
        self.faults.append(Fault(errors.ATTRIBUTE_OVERRUN, offset))

    def _fault(self, rule: Rule, offset: int, raw: bytes, type_: int) -> None:
        data = raw if rule.data == Data.ATTRIBUTE else b""
        if rule.outcome == Outcome.SESSION_RESET:
            raise Notify.of(rule, data, offset)
        self.faults.append(Fault(rule, offset, data, type_))

    def _unusual(self, flags: int, type_: int, value: bytes, offset: int, raw: bytes) -> Rule | None:
        """Judge what is repeated, discarded on this session, unknown, multiprotocol, or wrongly flagged."""
        discarded = self._decoder.checks.discarded
        if self.seen >> type_ & 1:
            # RFC 7606 section 3 g.
            return errors.MP_REPEATED if type_ in (_MP_REACH, _MP_UNREACH) else errors.ATTRIBUTE_REPEATED
        if type_ in discarded:
            return discarded[type_]
        if type_ in (_MP_REACH, _MP_UNREACH):
            if flags & 0xC0 != OPTIONAL:
                return errors.MP_FLAGS
            if type_ == _MP_REACH:
                self._reach(value, offset, raw)
            else:
                self._unreach(value, offset, raw)
            return None
        if type_ in ROWS:
            return FLAGS_RULE[type_]
        if not flags & OPTIONAL:
            return errors.UNRECOGNIZED_WELL_KNOWN
        if flags & TRANSITIVE:
            # RFC 4271 section 5: passed on with Partial; a non-transitive one is "quietly ignored".
            self._pieces.append(attribute(OPTIONAL_TRANSITIVE | PARTIAL, type_, value))
            self._sorted = False
        return None

    def _reach(self, value: bytes, offset: int, raw: bytes) -> None:
        self.reach = self._decoder.reach(value, offset, raw)
        if self.reach is None:
            self.ignored.append((value[0] << 8 | value[1], value[2]))
            self.reachable = True
        else:
            self._reach_octets = self.reachable = len(value) > 5 + value[3]

    def _unreach(self, value: bytes, offset: int, raw: bytes) -> None:
        if len(value) < 3:
            raise Notify.of(errors.MP_LENGTH, raw, offset)
        family = BY_CODE.get((value[0] << 8 | value[1], value[2]))
        if family is None or family not in self._decoder.context.families:
            self.ignored.append((value[0] << 8 | value[1], value[2]))
            return
        self.unreach = Unreach(family, *self._decoder.mp_nlri(family, value[3:], offset, raw))
        self.unreach_empty = len(value) == 3

    def finish(self, classic_field: bool, classic: bool, offset: int) -> None:
        """Judge what needs the whole list; `offset` is its end in the message.

        `classic_field`: the message has an NLRI field; `classic`: its family was negotiated as well.
        """
        if not classic_field and self.seen >> _MP_REACH & 1:
            # RFC 4760 section 3: beside MP_REACH_NLRI alone, NEXT_HOP is ignored.
            self.faults = [fault for fault in self.faults if fault.attribute != _NEXT_HOP]
        if not self._decoder.context.four_octet_as:
            self._merge()
        if (classic or self._reach_octets) and not self.overran:
            wanted = [_ORIGIN, _AS_PATH]
            if classic:
                wanted.append(_NEXT_HOP)
            if self._decoder.context.internal:
                wanted.append(_LOCAL_PREF)
            for type_ in wanted:
                if not self.seen >> type_ & 1:
                    self.faults.append(Fault(errors.MISSING, offset, bytes((type_,)), type_))

    def _merge(self) -> None:
        """Put AS_PATH and AGGREGATOR of a two-octet speaker into four octets (RFC 6793 section 4.2.3)."""
        held = self._held
        as4_path, as4_aggregator = held.get(_AS4_PATH), held.get(_AS4_AGGREGATOR)
        if _AGGREGATOR in held:
            flags, value, _ = held[_AGGREGATOR]
            if as4_aggregator and int.from_bytes(value[:2], "big") != AS_TRANS:
                # "both the AS4_AGGREGATOR attribute and the AS4_PATH attribute SHALL be ignored"
                as4_path = as4_aggregator = None
            wide = as4_aggregator[1] if as4_aggregator else b"\0\0" + value
            self._pieces.append(_canonical(OPTIONAL_TRANSITIVE, flags, _AGGREGATOR, wide))
            self._sorted = False
        if _AS_PATH in held:
            _, value, offset = held[_AS_PATH]
            path = aspath.parse(value, 2)
            if as4_path:
                path = aspath.merged(path, aspath.without_confederation(aspath.parse(as4_path[1])))
            if not self._decoder.checks.first_as_fits(path):
                self.faults.append(Fault(errors.AS_PATH_FIRST, offset, b"", _AS_PATH))
                self.faults.sort(key=lambda fault: fault.offset)
            self._pieces.append(attribute(WELL_KNOWN, _AS_PATH, aspath.encode(path)))
            self._sorted = False

    @property
    def octets(self) -> bytes:
        """The canonical octets of what was kept."""
        if not self._sorted:
            self._pieces.sort(key=lambda piece: piece[1])
        return b"".join(self._pieces)

    @property
    def next_hop(self) -> bytes:
        return self._held[_NEXT_HOP][1]


def _canonical(row_flags: int, flags: int, type_: int, value: bytes) -> bytes:
    """Return the attribute as it goes out again: "the Partial bit MUST be set to 0" but for optional
    transitive ones (RFC 4271 section 4.3), unused flags are zero, large communities differ (RFC 8092 3)."""
    if type_ == _LARGE_COMMUNITIES:
        value = distinct(value, 12)
    partial = flags & PARTIAL if row_flags == OPTIONAL_TRANSITIVE else 0
    return attribute(row_flags | partial, type_, value)
