"""The two octet streams of each TCP connection, put together from the segments of a capture.

A capture is not a receiver: it may begin in the middle, miss segments that arrived, and hold segments
that did not.  So a hole that nothing fills becomes a `Gap` in the stream instead of a stall.  All that
waits is bounded, whatever the capture holds.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from bgp.tools.segment import FIN, RST, SYN, Endpoint, Segment

# What may wait for a missing segment: in one stream (more than a TCP window), and in all of them.
MAXIMUM_WAITING = 1 << 20
MAXIMUM_WAITING_SEGMENTS = 4096
MAXIMUM_WAITING_TOTAL = 1 << 26
# How many streams are remembered; the one that was silent for longest goes first.
MAXIMUM_STREAMS = 4096

_BEYOND = 1 << 30  # no window reaches so far: such a segment belongs to another connection (RFC 7323 2.3)


@dataclass(frozen=True, slots=True)
class Gap:
    """Octets that the capture does not hold."""

    octets: int


@dataclass(frozen=True, slots=True)
class Begin:
    """A connection begins; `whole` tells that its first octet is in the capture."""

    whole: bool


@dataclass(frozen=True, slots=True)
class End:
    """The stream ends."""


Flow = tuple[Endpoint, Endpoint]
Piece = bytes | Gap | Begin | End


@dataclass(slots=True)
class _Stream:
    """One direction; positions are sequence numbers that do not wrap."""

    first: int
    position: int
    waiting: list[tuple[int, int, bytes, int]] = field(default_factory=list)  # heap: position, serial, ...
    octets: int = 0
    end: int | None = None
    ended: bool = False  # remembered for the sake of what is sent again behind the end


class Reassembler:
    """Segments in, in the order of the capture; stretches of each direction's stream out, in stream order."""

    def __init__(self) -> None:
        self._streams: dict[Flow, _Stream] = {}
        self._waiting = 0
        self._serial = 0

    def add(self, segment: Segment) -> Iterator[tuple[Flow, Piece]]:
        """Yield what `segment` makes known, of its own direction and where a connection ends of both."""
        flow = (segment.source, segment.destination)
        yield from self._add(flow, segment)
        while len(self._streams) > MAXIMUM_STREAMS:
            yield from self._forget(next(iter(self._streams)))

    def finish(self) -> Iterator[tuple[Flow, Piece]]:
        """Yield what still waited at the end of the capture."""
        for flow in list(self._streams):
            yield from self._forget(flow)

    def _add(self, flow: Flow, segment: Segment) -> Iterator[tuple[Flow, Piece]]:
        # Taken out and put back: the dict's order is that of the last use.
        stream = self._streams.pop(flow, None)
        sequence = segment.sequence
        if segment.flags & SYN:
            sequence = (sequence + 1) & 0xFFFFFFFF
            if stream is not None and stream.first != sequence:
                self._streams[flow] = stream
                yield from self._forget(flow)
                stream = None
            if stream is None:
                stream = _Stream(sequence, sequence)
                yield flow, Begin(whole=True)
        elif stream is None:
            if not segment.payload:
                return
            stream = _Stream(sequence, sequence)
            yield flow, Begin(whole=False)
        self._streams[flow] = stream
        start = _after(stream.position, sequence)
        if stream.ended or abs(start - stream.position) > _BEYOND:
            return
        if segment.flags & FIN:
            stream.end = start + len(segment.payload) + segment.lost
        if segment.payload or segment.lost:
            self._wait(stream, start, segment.payload, segment.lost)
        for piece in self._ready(stream):
            yield flow, piece
        if segment.flags & RST:
            yield from self._end(flow)
            yield from self._end((flow[1], flow[0]))
        elif stream.end is not None and stream.position >= stream.end:
            yield from self._end(flow)

    def _wait(self, stream: _Stream, start: int, payload: bytes, lost: int) -> None:
        self._serial += 1
        heapq.heappush(stream.waiting, (start, self._serial, payload, lost))
        stream.octets += len(payload)
        self._waiting += len(payload)

    def _ready(self, stream: _Stream, every: bool = False) -> Iterator[bytes | Gap]:
        """Yield what continues the stream, and, where `every` or too much waits, what comes after holes."""
        while stream.waiting:
            start, _, payload, lost = stream.waiting[0]
            if start > stream.position:
                full = (
                    stream.octets > MAXIMUM_WAITING
                    or len(stream.waiting) > MAXIMUM_WAITING_SEGMENTS
                    or self._waiting > MAXIMUM_WAITING_TOTAL
                )
                if not (full or every):
                    return
                yield Gap(start - stream.position)
                stream.position = start
            heapq.heappop(stream.waiting)
            stream.octets -= len(payload)
            self._waiting -= len(payload)
            end = start + len(payload)
            if end > stream.position:
                data = payload[stream.position - start :]
                stream.position = end
                yield data
            if end + lost > stream.position:
                # A segment kept in part; a retransmission kept whole may lie behind it in the heap, but
                # snapped captures snap every copy.
                yield Gap(end + lost - stream.position)
                stream.position = end + lost

    def _end(self, flow: Flow) -> Iterator[tuple[Flow, Piece]]:
        stream = self._streams.get(flow)
        if stream is not None and not stream.ended:
            for piece in self._ready(stream, every=True):
                yield flow, piece
            stream.ended = True
            yield flow, End()

    def _forget(self, flow: Flow) -> Iterator[tuple[Flow, Piece]]:
        yield from self._end(flow)
        del self._streams[flow]


def _after(position: int, sequence: int) -> int:
    """Return the position with this sequence number that is nearest to `position`."""
    return position + ((sequence - position + 0x80000000) & 0xFFFFFFFF) - 0x80000000
