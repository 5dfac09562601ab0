"""The UPDATE's fast path: octets to values (RFC 4271 4.3 and 6.3, RFC 7606, RFC 4760).

An UPDATE is judged in wire order.  What demands a session reset is raised at once, for the first such
fault is the verdict; weaker faults are collected, and the strongest decides at the end (RFC 7606 3 h).
A block of attributes of the usual shape is recognized by one pattern; the octets of an unusual one without
fault are remembered with their Attributes, so that a peer that says them again costs one look-up.
`bgp.wire.reference` says all this again, slowly and from the grammar, and is the judge of this module.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bgp import errors
from bgp.errors import Fault, Notify, Outcome
from bgp.family import IPV4_UNICAST, Family
from bgp.iana import HEADER_LENGTH
from bgp.wire import multiprotocol
from bgp.wire.attributes import EXTENDED_LENGTH, OPTIONAL, Attributes, AttributeTable
from bgp.wire.checks import checks_of
from bgp.wire.context import Context
from bgp.wire.encoder import Encoder
from bgp.wire.examination import MP_REACH, Examination
from bgp.wire.plain import Plain
from bgp.wire.prefix import PLAIN

__all__ = ["Decoder", "Encoder", "Reach", "Unreach", "Update", "decode"]

_IPV4_UNICAST_CODE = (IPV4_UNICAST.afi, IPV4_UNICAST.safi)

# Remembered blocks of unusual attributes per decoder; full, it is emptied, for the busy ones soon return.
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
    whose family was not negotiated.  `body`: the octets behind the header, kept where there are faults.
    """

    __slots__ = ("announced", "body", "end_of_rib", "faults", "ignored", "outcome", "withdrawn")

    def __init__(
        self,
        withdrawn: Sequence[Unreach] = (),
        announced: Sequence[Reach] = (),
        end_of_rib: Family | None = None,
        outcome: Outcome = Outcome.OK,
        faults: tuple[Fault, ...] = (),
        ignored: tuple[tuple[int, int], ...] = (),
        body: bytes = b"",
    ) -> None:
        self.withdrawn = withdrawn
        self.announced = announced
        self.end_of_rib = end_of_rib
        self.outcome = outcome
        self.faults = faults
        self.ignored = ignored
        self.body = body


def decode(body: bytes, context: Context, table: AttributeTable) -> Update:
    """Return what the UPDATE of `body` (behind the header) says; raise Notify for a session reset."""
    return Decoder(context, table).decode(body)


class Decoder:
    """Decodes the UPDATEs of one session into values whose Attributes are interned in `table`."""

    __slots__ = (
        "_classic",
        "_multiprotocol",
        "_plain",
        "_speaks_ipv4",
        "_split",
        "checks",
        "context",
        "table",
    )

    def __init__(self, context: Context, table: AttributeTable) -> None:
        self.table = table
        self.checks = checks_of(context)
        self.context = self.checks.context
        self._plain = Plain(context)
        self._speaks_ipv4 = IPV4_UNICAST in context.families
        self._split = None if IPV4_UNICAST in context.add_path else PLAIN[IPV4_UNICAST]
        self._classic: dict[bytes, Attributes] = {}
        self._multiprotocol: dict[tuple[bytes, bytes], Attributes] = {}

    def decode(self, body: bytes) -> Update:
        """Return what the UPDATE of `body` (behind the header) says; raise Notify for a session reset.

        `body` holds at least the two length fields: framing refuses what is shorter.
        """
        size = len(body)
        if body[0] or body[1]:
            return self._general(body)
        end = 4 + (body[2] << 8 | body[3])
        if size < end:
            raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH + 2)
        if end < size:
            plain = self._plain.classic(body, 4, end) if self._speaks_ipv4 else None
            known = self._classic.get(body[4:end]) if plain is None else self.table.intern(*plain)
            if known is None:
                return self._general(body)
            if self._split is not None:
                found = self._split(body, end)
                # What does not match is skipped.
                if sum(map(len, found)) == size - end:
                    return Update((), (Reach(IPV4_UNICAST, found, None, known),))
            prefixes, path_ids = multiprotocol.classic(self.context, body[end:], HEADER_LENGTH + end)
            return Update((), (Reach(IPV4_UNICAST, prefixes, path_ids, known),) if prefixes else ())
        if end > 9 and body[5] == MP_REACH and body[4] & 0xC0 == OPTIONAL:
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
        rest = body[after:]
        head = self._plain.multiprotocol(rest)
        known = None if head else self._multiprotocol.get((rest, next_hop))
        if known is None and not head:
            return self._general(body)
        found = multiprotocol.reach(self.context, body[start:after], HEADER_LENGTH + 4, body[4:after])
        if found is None:
            return self._general(body)
        family, _, prefixes, path_ids = found
        if known is None:
            known = self.table.intern(rest, next_hop, head)
        return Update((), (Reach(family, prefixes, path_ids, known),) if prefixes else ())

    def _general(self, body: bytes) -> Update:
        context = self.context
        size = len(body)
        start = 4 + (body[0] << 8 | body[1])
        if start > size:
            raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH)
        end = start + (body[start - 2] << 8 | body[start - 1])
        if end > size:
            raise Notify.of(errors.ATTRIBUTE_LIST, offset=HEADER_LENGTH + start - 2)
        negotiated = IPV4_UNICAST in context.families
        if size == 4:
            # RFC 4724 section 2: the shortest UPDATE is IPv4 unicast's End-of-RIB.
            return Update(end_of_rib=IPV4_UNICAST) if negotiated else Update(ignored=(_IPV4_UNICAST_CODE,))
        found = Examination(self.checks)
        withdrawn: list[Unreach] = []
        if start > 4:
            if negotiated:
                field = body[2 : start - 2]
                withdrawn.append(
                    Unreach(IPV4_UNICAST, *multiprotocol.classic(context, field, HEADER_LENGTH + 2))
                )
            else:
                found.ignored.append(_IPV4_UNICAST_CODE)
        block = body[start:end]
        found.walk(block, HEADER_LENGTH + start)
        if found.unreach is not None:
            withdrawn.append(Unreach(*found.unreach))
        classic: multiprotocol.Nlri | None = None
        if end < size:
            if negotiated:
                classic = multiprotocol.classic(context, body[end:], HEADER_LENGTH + end)
            else:
                found.ignored.append(_IPV4_UNICAST_CODE)
        found.finish(end < size, classic is not None, HEADER_LENGTH + end)
        faults, outcome = tuple(found.faults), Outcome.OK
        if faults:
            outcome = max(fault.rule.outcome for fault in faults)
            if outcome is Outcome.TREAT_AS_WITHDRAW:
                if end == size and found.nothing_to_withdraw:
                    raise _escalated(faults)
                if found.reach is not None:
                    withdrawn.append(Unreach(found.reach[0], *found.reach[2:]))
                if classic is not None:
                    withdrawn.append(Unreach(IPV4_UNICAST, *classic))
                return Update(_filled(withdrawn), (), None, outcome, faults, tuple(found.ignored), body)
        announced = self._announced(found, classic, block)
        alone = start == 4 and end == size and not faults
        end_of_rib = found.end_of_rib if alone else None
        return Update(
            _filled(withdrawn),
            announced,
            end_of_rib,
            outcome,
            faults,
            tuple(found.ignored),
            body if faults else b"",
        )

    def _announced(
        self, found: Examination, classic: multiprotocol.Nlri | None, block: bytes
    ) -> Sequence[Reach]:
        announced: list[Reach] = []
        faultless = not found.faults
        if found.reach is not None and found.reach[2]:
            family, next_hop, prefixes, path_ids = found.reach
            attributes = self.table.intern(found.octets, next_hop)
            announced.append(Reach(family, prefixes, path_ids, attributes))
            if faultless and classic is None and found.only_reach_first:
                self._remember_multiprotocol(block[found.second :], next_hop, attributes)
        if classic is not None and classic[0]:
            attributes = self.table.intern(found.octets, found.next_hop)
            announced.append(Reach(IPV4_UNICAST, *classic, attributes))
            if faultless and not found.multiprotocol:
                self._remember_classic(block, attributes)
        return announced

    def _remember_classic(self, block: bytes, attributes: Attributes) -> None:
        if len(block) <= _MEMORY_BLOCK:
            if len(self._classic) >= _MEMORY:
                self._classic.clear()
            self._classic[block] = attributes

    def _remember_multiprotocol(self, block: bytes, next_hop: bytes, attributes: Attributes) -> None:
        if len(block) <= _MEMORY_BLOCK:
            if len(self._multiprotocol) >= _MEMORY:
                self._multiprotocol.clear()
            self._multiprotocol[block, next_hop] = attributes


def _escalated(faults: tuple[Fault, ...]) -> Notify:
    """Return the first treat-as-withdraw fault as a session reset, for nothing was parsed that could
    be withdrawn (RFC 7606 section 5.2)."""
    fault = next(fault for fault in faults if fault.rule.outcome is Outcome.TREAT_AS_WITHDRAW)
    return Notify.of(fault.rule, fault.data, fault.offset)


def _filled(withdrawn: list[Unreach]) -> Sequence[Unreach]:
    return [unreach for unreach in withdrawn if unreach.prefixes] if withdrawn else ()
