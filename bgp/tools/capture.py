"""From a capture to the BGP messages in it, each with what its session had negotiated by then.

Each TCP connection has two streams of messages.  The OPENs in them tell what an UPDATE means: the width
of AS numbers, path identifiers by direction, the longest message, internal or external.  Where a capture
holds the OPEN of one side only, the other side is taken to have agreed; where it holds none, what the user
gave stands.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bgp.errors import Notify
from bgp.iana import (
    BGP_PORT,
    EXTENDED_MESSAGE_LENGTH,
    HEADER_LENGTH,
    MAXIMUM_MESSAGE_LENGTH,
    MessageType,
)
from bgp.tools.pcap import Packet
from bgp.tools.reading import FormatError
from bgp.tools.reassembly import Begin, End, Flow, Gap, Reassembler
from bgp.tools.segment import Endpoint, segment
from bgp.wire.context import Context
from bgp.wire.cut import Cutter, Piece
from bgp.wire.framing import MARKER_OCTETS
from bgp.wire.message import Open, decode_open
from bgp.wire.overheard import learned

_OPEN = bytes((MessageType.OPEN,))


@dataclass(frozen=True, slots=True)
class Where:
    """The packet that completed something, and its place in one direction of a connection."""

    packet: int
    time: int | None
    source: Endpoint
    destination: Endpoint
    offset: int


@dataclass(frozen=True, slots=True)
class Captured:
    """A message, or octets that stand in the place of one."""

    where: Where
    octets: bytes
    context: Context


@dataclass(frozen=True, slots=True)
class Missing:
    """Octets that belong to no whole message, because the capture does not hold all of it."""

    where: Where
    octets: int
    reason: str


@dataclass(slots=True)
class _Direction:
    context: Context
    cutter: Cutter = field(default_factory=Cutter)
    # Whether the next octet begins a message; it may not in a capture that began later, and behind a gap.
    synchronized: bool = True
    open: Open | None = None
    ended: bool = False


def read(
    packets: Iterable[Packet], given: Context, ports: frozenset[int] = frozenset({BGP_PORT})
) -> Iterator[Captured | Missing]:
    """Yield the messages of each connection with one of `ports`, in the order in which they were complete.

    Where the file breaks its format, FormatError comes behind what was captured until then.
    """
    conversations = _Conversations(given)
    broken: FormatError | None = None
    try:
        for packet in packets:
            found = segment(packet)
            if found is not None and (found.source.port in ports or found.destination.port in ports):
                conversations.packet = packet
                for flow, piece in conversations.reassembler.add(found):
                    yield from conversations.piece(flow, piece)
    except FormatError as error:
        broken = error
    for flow, piece in conversations.reassembler.finish():
        yield from conversations.piece(flow, piece)
    if broken is not None:
        raise broken


class _Conversations:
    def __init__(self, given: Context) -> None:
        self.reassembler = Reassembler()
        self.packet: Packet | None = None
        self._given = given
        self._directions: dict[Flow, _Direction] = {}

    def piece(self, flow: Flow, piece: bytes | Gap | Begin | End) -> Iterator[Captured | Missing]:
        if isinstance(piece, Begin):
            self._directions[flow] = _Direction(self._given, synchronized=piece.whole)
            self._learn(flow)
            return
        direction = self._directions[flow]
        cutter = direction.cutter
        if isinstance(piece, bytes):
            cutter.feed(piece)
            while (cut := cutter.next()) is not None:
                yield from self._cut(flow, direction, cut)
            return
        if (cut := cutter.finish()) is not None:
            if cut.whole:
                yield from self._cut(flow, direction, cut)
            else:
                reason = "the rest of their message is not there"
                yield Missing(self._where(flow, cut.offset), len(cut.octets), reason)
        if isinstance(piece, Gap):
            yield Missing(self._where(flow, cutter.position), piece.octets, "the capture does not hold them")
            cutter.skip(piece.octets)
            direction.synchronized = False
        else:
            direction.ended = True
            other = self._directions.get(_reverse(flow))
            # Until then what its OPEN said goes on to matter to the other direction.
            if other is None or other.ended:
                self._directions.pop(flow)
                self._directions.pop(_reverse(flow), None)

    def _cut(self, flow: Flow, direction: _Direction, cut: Piece) -> Iterator[Captured | Missing]:
        where = self._where(flow, cut.offset)
        if not direction.synchronized:
            if not cut.octets.startswith(MARKER_OCTETS):
                yield Missing(where, len(cut.octets), "the beginning of their message is not there")
                return
            direction.synchronized = True
        if cut.octets[HEADER_LENGTH - 1 : HEADER_LENGTH] == _OPEN:
            try:
                direction.open = decode_open(cut.octets[HEADER_LENGTH:])
            except Notify:
                direction.open = None
            self._learn(flow)
        yield Captured(where, cut.octets, direction.context)

    def _where(self, flow: Flow, offset: int) -> Where:
        packet = self.packet
        number, time = (packet.number, packet.time) if packet else (0, None)
        return Where(number, time, *flow, offset)

    def _learn(self, flow: Flow) -> None:
        """Set what the receivers of both directions must know, as far as the OPENs in the capture tell."""
        for sending, receiving in (flow, _reverse(flow)), (_reverse(flow), flow):
            direction, other = self._directions.get(sending), self._directions.get(receiving)
            if direction is None:
                continue
            context = self._given
            if direction.open is not None or (other is not None and other.open is not None):
                context = learned(context, direction.open, other.open if other else None)
            direction.context = context
            extended = context.extended_messages
            direction.cutter.maximum = EXTENDED_MESSAGE_LENGTH if extended else MAXIMUM_MESSAGE_LENGTH


def _reverse(flow: Flow) -> Flow:
    return flow[1], flow[0]
