"""How many lines a log gets: thousands of peers may fail at once, and one may do so each second.

Lines have a key, what they are about, such as the state of one peer.  Each key has a bucket of tokens of its
own, and all keys of a kind share another: a line takes one of each.  Where there is none the line is held,
and not lost: of a key that was silent until then the first line and, from there on, the latest.  When
tokens have come again these two follow, with the number of those between them.  So the log always ends with
what is, and says of each peer how its trouble began, however much there was.

There is no clock here: time is an argument.
"""

import heapq
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Class(Enum):
    """What lines are about, the most important first."""

    STATE = "sessions that come and go"
    OTHER = "whatever else"
    DEBUG = "what is asked for only to look for something"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second after that."""

    burst: float
    each_second: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate of a single key, and of all together."""

    one: Rate
    all: Rate


RATES: Mapping[Class, Rates] = {
    Class.STATE: Rates(one=Rate(10, 0.1), all=Rate(1000, 200)),
    Class.OTHER: Rates(one=Rate(50, 1), all=Rate(500, 20)),
    Class.DEBUG: Rates(one=Rate(200, 20), all=Rate(5000, 1000)),
}
# So many keys are told apart; those beyond share one.
MOST_KEYS = 20_000


class Bucket:
    """Tokens, which come at a rate."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def tokens(self, now: float) -> float:
        """Return how many there are."""
        if now > self._at:
            self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.each_second)
            self._at = now
        return self._tokens

    def take(self, count: float = 1) -> None:
        """Take one, or more than there are: then they are owed."""
        self._tokens -= count

    def full(self, now: float) -> bool:
        """Whether nothing was taken for long."""
        return self.tokens(now) >= self._rate.burst

    def when(self, now: float) -> float:
        """Return when there is one."""
        lacking = 1 - self.tokens(now)
        # A little later rather than a little too early for ever.
        return now if lacking <= 0 else now + lacking / self._rate.each_second + 1e-6


@dataclass(slots=True)
class _Key(Generic[T]):
    bucket: Bucket
    first: T | None = None
    last: T | None = None
    between: int = 0


@dataclass(slots=True)
class _Kind(Generic[T]):
    """The keys of a class, and which of them wait, by when they have a token of their own."""

    rates: Rates
    bucket: Bucket
    keys: dict[Hashable, _Key[T]] = field(default_factory=dict)
    waiting: list[tuple[float, int, Hashable]] = field(default_factory=list)
    swept: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Passed(Generic[T]):
    """A line that may be written now, and how many like it before it never will."""

    line: T
    suppressed: int = 0


class Restraint(Generic[T]):
    """Says of each line when it may be written."""

    def __init__(self, rates: Mapping[Class, Rates] = RATES, most_keys: int = MOST_KEYS) -> None:
        self._rates = rates
        self._most = most_keys
        self._kinds: dict[Class, _Kind[T]] = {}
        self._serial = 0

    def offer(self, of: Class, key: Hashable, line: T, now: float) -> list[Passed[T]]:
        """Return the line if it may be written at once; else it is held."""
        kind = self._kinds.get(of)
        if kind is None:
            rates = self._rates[of]
            kind = self._kinds[of] = _Kind(rates, Bucket(rates.all, now))
        key, one = self._find(kind, key, now)
        if one.last is None and one.bucket.tokens(now) >= 1 and kind.bucket.tokens(now) >= 1:
            one.bucket.take()
            kind.bucket.take()
            return [Passed(line)]
        if one.last is None:
            self._wait(kind, key, one, now)
        elif one.first is None and one.bucket.tokens(now) >= 1:
            one.first = one.last
        else:
            one.between += 1
        one.last = line
        return []

    def due(self, now: float) -> list[Passed[T]]:
        """Return what was held and may be written by now."""
        found: list[Passed[T]] = []
        for of in Class:
            kind = self._kinds.get(of)
            while kind is not None and kind.waiting and kind.waiting[0][0] <= now:
                if kind.bucket.tokens(now) < 1:
                    break
                _, _, key = heapq.heappop(kind.waiting)
                one = kind.keys[key]
                kind.bucket.take()
                one.bucket.take()
                found.append(_next(one))
                if one.last is not None:
                    self._wait(kind, key, one, now)
        return found

    def rest(self) -> list[Passed[T]]:
        """Return all that is held, for the end."""
        found: list[Passed[T]] = []
        for of in Class:
            kind = self._kinds.get(of)
            for _, _, key in sorted(kind.waiting) if kind is not None else ():
                assert kind is not None
                one = kind.keys[key]
                while one.last is not None:
                    found.append(_next(one))
            if kind is not None:
                kind.waiting.clear()
        return found

    def next(self, now: float) -> float | None:
        """Return when to ask what is `due`, None while nothing is held."""
        times = [
            max(kind.waiting[0][0], kind.bucket.when(now)) for kind in self._kinds.values() if kind.waiting
        ]
        return min(times, default=None)

    @property
    def held(self) -> int:
        """How many keys have lines that wait."""
        return sum(len(kind.waiting) for kind in self._kinds.values())

    def _find(self, kind: _Kind[T], key: Hashable, now: float) -> tuple[Hashable, _Key[T]]:
        one = kind.keys.get(key)
        if one is None:
            if len(kind.keys) >= self._most:
                self._sweep(kind, now)
            if len(kind.keys) >= self._most:
                key, one = None, kind.keys.get(None)
            if one is None:
                one = kind.keys[key] = _Key(Bucket(kind.rates.one, now))
        return key, one

    def _sweep(self, kind: _Kind[T], now: float) -> None:
        """Forget who was silent for long, but do not look for such at each line."""
        if now < kind.swept + 1:
            return
        kind.swept = now
        quiet = [key for key, one in kind.keys.items() if one.last is None and one.bucket.full(now)]
        for each in quiet:
            del kind.keys[each]

    def _wait(self, kind: _Kind[T], key: Hashable, one: _Key[T], now: float) -> None:
        self._serial += 1
        heapq.heappush(kind.waiting, (one.bucket.when(now), self._serial, key))


def _next(one: _Key[T]) -> Passed[T]:
    """Take what comes first of a key that has something."""
    if one.first is not None:
        passed, one.first = Passed(one.first), None
        return passed
    assert one.last is not None
    passed = Passed(one.last, one.between)
    one.last, one.between = None, 0
    return passed
