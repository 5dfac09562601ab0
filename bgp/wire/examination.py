"""One walk over the Path Attributes field of an UPDATE (RFC 4271 6.3, RFC 7606 sections 3 to 7).

The walk judges each attribute by its row, keeps the canonical octets of those that pass, and collects
the faults in wire order; a fault that demands a session reset is raised where it is met.
"""

from bgp import errors
from bgp.errors import Data, Fault, Notify, Outcome, Rule
from bgp.family import Family
from bgp.iana import AS_TRANS, AttributeType
from bgp.wire import aspath, multiprotocol
from bgp.wire.attributes import (
    EXTENDED_LENGTH,
    OPTIONAL,
    OPTIONAL_TRANSITIVE,
    PARTIAL,
    ROWS,
    TRANSITIVE,
    WELL_KNOWN,
    attribute,
)
from bgp.wire.checks import FLAGS_RULE, SIZE_RULE, Checks
from bgp.wire.community import distinct

# Plain integers: the walk compares them for every attribute.
_ORIGIN, _AS_PATH, _NEXT_HOP = (
    int(AttributeType.ORIGIN),
    int(AttributeType.AS_PATH),
    int(AttributeType.NEXT_HOP),
)
_LOCAL_PREF, _AGGREGATOR = int(AttributeType.LOCAL_PREF), int(AttributeType.AGGREGATOR)
_LARGE_COMMUNITIES = int(AttributeType.LARGE_COMMUNITIES)
_AS4_PATH, _AS4_AGGREGATOR = int(AttributeType.AS4_PATH), int(AttributeType.AS4_AGGREGATOR)
MP_REACH, MP_UNREACH = int(AttributeType.MP_REACH_NLRI), int(AttributeType.MP_UNREACH_NLRI)


class Examination:
    """One walk over the Path Attributes field, and what it found."""

    __slots__ = (
        "_checks",
        "_first",
        "_held",
        "_overran",
        "_pieces",
        "_reach_octets",
        "_sorted",
        "_unreach_empty",
        "faults",
        "ignored",
        "reach",
        "reachable",
        "second",
        "seen",
        "unreach",
    )

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        # The canonical octets, an attribute each; sorted only where the sender did not.
        self._pieces: list[bytes] = []
        self._sorted = True
        # (flags, value, offset) of what is no part of the canonical octets as it came, by type.
        self._held: dict[int, tuple[int, bytes, int]] = {}
        self._overran = False
        self._reach_octets = False
        self.faults: list[Fault] = []
        self.ignored: list[tuple[int, int]] = []
        self._first = 0  # the type of the first attribute
        self.second = 0  # where the second one begins
        self.seen = 0  # a bit for each type met
        self.reach: tuple[Family, bytes, list[bytes], list[int] | None] | None = None
        self.reachable = False
        self.unreach: tuple[Family, list[bytes], list[int] | None] | None = None
        self._unreach_empty = False

    def walk(self, block: bytes, base: int) -> None:
        """Examine the attributes in `block`, which stands at octet `base` of the message."""
        checks, pieces = self._checks, self._pieces
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
                self._first, self.second = type_, after
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
        self._overran = True
        self.faults.append(Fault(errors.ATTRIBUTE_OVERRUN, offset))

    def _fault(self, rule: Rule, offset: int, raw: bytes, type_: int) -> None:
        data = raw if rule.data is Data.ATTRIBUTE else b""
        if rule.outcome == Outcome.SESSION_RESET:
            raise Notify.of(rule, data, offset)
        self.faults.append(Fault(rule, offset, data, type_))

    def _unusual(self, flags: int, type_: int, value: bytes, offset: int, raw: bytes) -> Rule | None:
        """Judge what is repeated, discarded on this session, unknown, multiprotocol, or wrongly flagged."""
        discarded = self._checks.discarded
        if self.seen >> type_ & 1:
            # RFC 7606 section 3 g.
            return errors.MP_REPEATED if type_ in (MP_REACH, MP_UNREACH) else errors.ATTRIBUTE_REPEATED
        if type_ in discarded:
            return discarded[type_]
        if type_ in (MP_REACH, MP_UNREACH):
            if flags & 0xC0 != OPTIONAL:
                return errors.MP_FLAGS
            if type_ == MP_REACH:
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
        self.reach = multiprotocol.reach(self._checks.context, value, offset, raw)
        # NLRI of a family that is ignored are reachable all the same (RFC 7606 section 5.2).
        self.reachable = len(value) > 5 + value[3]
        if self.reach is None:
            self.ignored.append((value[0] << 8 | value[1], value[2]))
        else:
            self._reach_octets = self.reachable

    def _unreach(self, value: bytes, offset: int, raw: bytes) -> None:
        self.unreach = multiprotocol.unreach(self._checks.context, value, offset, raw)
        if self.unreach is None:
            self.ignored.append((value[0] << 8 | value[1], value[2]))
        else:
            self._unreach_empty = len(value) == 3

    def finish(self, classic_field: bool, classic: bool, offset: int) -> None:
        """Judge what needs the whole list; `offset` is its end in the message.

        `classic_field`: the message has an NLRI field; `classic`: its family was negotiated as well.
        """
        if not classic_field and self.seen >> MP_REACH & 1:
            # RFC 4760 section 3: beside MP_REACH_NLRI alone, NEXT_HOP is ignored.
            # A second one is still one too many (RFC 7606 section 3 g).
            self.faults = [
                fault
                for fault in self.faults
                if fault.attribute != _NEXT_HOP or fault.rule is errors.ATTRIBUTE_REPEATED
            ]
        if not self._checks.context.four_octet_as:
            self._merge()
        if (classic or self._reach_octets) and not self._overran:
            wanted = [_ORIGIN, _AS_PATH]
            if classic:
                wanted.append(_NEXT_HOP)
            if self._checks.context.internal:
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
            if not self._checks.first_as_fits(path):
                self.faults.append(Fault(errors.AS_PATH_FIRST, offset, b"", _AS_PATH))
                self.faults.sort(key=lambda fault: fault.offset)
            self._pieces.append(attribute(WELL_KNOWN, _AS_PATH, aspath.encode(path)))
            self._sorted = False

    @property
    def multiprotocol(self) -> bool:
        """Whether MP_REACH_NLRI or MP_UNREACH_NLRI was met."""
        return bool(self.seen & (1 << MP_REACH | 1 << MP_UNREACH))

    @property
    def only_reach_first(self) -> bool:
        """Whether MP_REACH_NLRI was the first attribute, and no MP_UNREACH_NLRI followed."""
        return self._first == MP_REACH and not self.seen >> MP_UNREACH & 1

    @property
    def nothing_to_withdraw(self) -> bool:
        """Whether attributes besides MP_UNREACH_NLRI stand there without NLRI (RFC 7606 section 5.2)."""
        return not self.reachable and (self._overran or bool(self.seen & ~(1 << MP_UNREACH)))

    @property
    def end_of_rib(self) -> Family | None:
        """The family of an MP_UNREACH_NLRI that stands alone and empty (RFC 4724 section 2)."""
        alone = self.seen == 1 << MP_UNREACH and self._unreach_empty
        return self.unreach[0] if alone and self.unreach else None

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
