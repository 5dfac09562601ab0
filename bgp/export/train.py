"""The train of an update group: what all members are told, encoded once, each member at its own place.

The train is a list of blobs, each some whole messages.  A member's place is the index of the blob that it
takes next.  What one member must not get (it came from there), or gets alone, is a detour: at a place in
the train it takes some messages of its own and goes on behind the blobs that are not for it.
"""

from bisect import bisect_right
from collections import deque

from bgp.family import Family
from bgp.rib.path import Slot

# Messages of one flush are joined to blobs of about this size: few objects for many members, yet small
# against a transport's high-water mark.
BLOB_OCTETS = 16384


def runs(messages: list[bytes]) -> list[list[bytes]]:
    """Split messages into runs of at most BLOB_OCTETS, or of one longer message."""
    if sum(map(len, messages)) <= BLOB_OCTETS:
        return [messages] if messages else []
    found: list[list[bytes]] = []
    octets = BLOB_OCTETS
    for message in messages:
        if octets + len(message) > BLOB_OCTETS:
            found.append([])
            octets = 0
        found[-1].append(message)
        octets += len(message)
    return found


class Record:
    """Which routes one flush put into the train, up to index `end`: for members that leave before that.

    `routes` are prefixes by the slot of their path, None without ADD-PATH.
    """

    __slots__ = ("end", "family", "routes")

    def __init__(self, family: Family, routes: list[tuple[Slot | None, list[bytes]]], end: int) -> None:
        self.family = family
        self.routes = routes
        self.end = end


# Most members have no detour most of the time, and an empty deque has the room for 64: they share one.
_NONE: deque[tuple[int, int, list[bytes]]] = deque(maxlen=0)


class Place:
    """A member's place in the train: `index` of the next blob, and detours (start, end, messages) ahead.

    `messages` counts those that the member took from the train.
    """

    __slots__ = ("detours", "index", "messages")

    def __init__(self, index: int) -> None:
        self.index = index
        self.messages = 0
        self.detours = _NONE

    @property
    def passed(self) -> int:
        """The index up to which all was taken: one less while messages of a detour at `index` are left."""
        ahead = self.detours and self.detours[0][0] == self.index and self.detours[0][2]
        return self.index - 1 if ahead else self.index


class Train:
    """Blobs from index `base` on; what all members have passed is let go."""

    __slots__ = ("_counts", "_ends", "base", "blobs", "records")

    def __init__(self) -> None:
        self.base = 0
        self.blobs: list[bytes] = []
        # Octets, and messages, since the beginning of time before the first blob and behind each.
        self._ends: list[int] = [0]
        self._counts: list[int] = [0]
        self.records: deque[Record] = deque()

    @property
    def end(self) -> int:
        return self.base + len(self.blobs)

    @property
    def octets(self) -> int:
        """The octets that are held."""
        return self._ends[-1] - self._ends[0]

    def append(self, messages: list[bytes]) -> None:
        """Put whole messages at the end."""
        for run in runs(messages):
            blob = b"".join(run)
            self.blobs.append(blob)
            self._ends.append(self._ends[-1] + len(blob))
            self._counts.append(self._counts[-1] + len(run))

    def detour(self, place: Place, start: int, messages: list[bytes]) -> None:
        """Lead the member at `place` past the blobs from `start` to the end, with `messages` instead."""
        detours = place.detours
        if not messages and detours and detours[-1][1] == start and not detours[-1][2]:
            # A peer that talks much and takes nothing must not gather one detour for each flush.
            start = detours.pop()[0]
        if detours is _NONE:
            detours = place.detours = deque()
        detours.append((start, self.end, messages))

    def lag(self, place: Place) -> int:
        """Return the octets that are held from `place` on."""
        return self._ends[-1] - self._ends[place.index - self.base]

    def skip(self, place: Place) -> None:
        """Move `place` past blobs that are not for it."""
        detours = place.detours
        while detours and detours[0][0] == place.index and not detours[0][2]:
            place.index = detours.popleft()[1]
            if not detours:
                detours = place.detours = _NONE

    def take(self, place: Place, limit: int, out: list[bytes]) -> int:
        """Move `place` on, put what it passes into `out`; return what is left of `limit`.

        The limit is passed only where `out` was empty, and by one blob at most.
        """
        detours = place.detours
        while True:
            if detours and detours[0][0] == place.index:
                _, end, messages = detours.popleft()
                place.index = end
                for number, message in enumerate(messages):
                    if len(message) > limit and out:
                        detours.appendleft((end, end, messages[number:]))
                        return 0
                    out.append(message)
                    limit -= len(message)
                    place.messages += 1
                if not detours:
                    detours = place.detours = _NONE
                continue
            stop = detours[0][0] if detours else self.base + len(self.blobs)
            if place.index == stop:
                return max(limit, 0)
            first = place.index - self.base
            after = bisect_right(self._ends, self._ends[first] + limit, first, stop - self.base + 1) - 1
            if after <= first:
                if out:
                    return 0
                after = first + 1
            out.extend(self.blobs[first:after])
            limit -= self._ends[after] - self._ends[first]
            place.messages += self._counts[after] - self._counts[first]
            place.index = self.base + after

    def read(self, index: int, limit: int) -> tuple[bytes, int, int]:
        """Return what stands from `index` on, about `limit` octets of it, where it ends, and its messages."""
        first = index - self.base
        after = bisect_right(self._ends, self._ends[first] + limit, first) - 1
        after = max(after, min(first + 1, len(self.blobs)))
        blobs = self.blobs[first:after]
        octets = blobs[0] if len(blobs) == 1 else b"".join(blobs)
        return octets, self.base + after, self._counts[after] - self._counts[first]

    def trim(self, index: int) -> None:
        """Let go of what is before `index`."""
        count = index - self.base
        if count > 0:
            del self.blobs[:count]
            del self._ends[:count]
            del self._counts[:count]
            self.base = index
        while self.records and self.records[0].end <= index:
            self.records.popleft()
