"""Patterns of AS_PATHs: regular expressions whose letters are AS numbers.

    64500                 an AS                     64512-65534           one of a range
    .                     any AS                    ( ... | ... )         alternatives
    x*   x+   x?          any number, some, maybe   x{2}  x{2,}  x{2,5}   so many
    ^   $                 the beginning and the end of the path

A pattern matches anywhere in a path unless it is held to an end of it: `^64500 .* 64496$`, or for a path of
one AS `^.$`.  An AS_SET is one place of the path, as RFC 4271 section 9.1.2.2 a counts it, and matches what
any of its members does; confederation segments are left out.

A pattern becomes a nondeterministic automaton once, whose sets of states are the bits of a number.  It goes
through a path once, so no pattern makes a long path costly.
"""

import re
from collections.abc import Callable
from itertools import count
from typing import NoReturn

from bgp.iana import SegmentType
from bgp.wire.aspath import AsPath, without_confederation
from bgp.wire.text import quoted

_TOKEN = re.compile(r"\s*(?:(\d{1,12})(?:\s*-\s*(\d{1,12}))?|\{(\d{1,9})(,(\d{1,9})?)?\}|([.^$|()*+?]))")
_LAST_AS = 0xFFFFFFFF
_STATES = 4096  # so many, and a pattern is still read at once
_DEPTH = 64  # so deep may parentheses and repetitions be within one another
_SPACE = re.compile(r"\s*")

# A place of a path: one AS, or the members of a set.
Place = tuple[int, ...]
# A part of a pattern: adds its states before the state that follows it, and returns where it begins.
_Part = Callable[[int], int]


def places(path: AsPath) -> tuple[Place, ...]:
    """Return what a pattern looks at: the places of `path`, without confederation segments."""
    found: list[Place] = []
    for segment in without_confederation(path):
        if segment.type == SegmentType.AS_SET:
            found.append(segment.asns)
        else:
            found.extend((asn,) for asn in segment.asns)
    return tuple(found)


class Pattern:
    """A compiled pattern; raises ValueError for one that cannot be read."""

    __slots__ = ("_accept", "_closures", "_letters", "_start", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        automaton = _Parser(text).automaton
        self._accept = 1  # the first state made is the last one reached
        self._start = automaton.start
        self._letters = automaton.letters
        # The states reached from each without a letter, by whether that is at the beginning and at the end.
        self._closures = [automaton.closures(bool(where & 1), bool(where & 2)) for where in range(4)]

    def search(self, path: tuple[Place, ...]) -> bool:
        """Whether the pattern matches somewhere in a path with these places."""
        last = len(path)
        reached = 0
        for position in range(last + 1):
            closure = self._closures[(position == 0) | (position == last) << 1]
            states = closure[self._start]
            while reached:
                bit = reached & -reached
                states |= closure[bit.bit_length() - 1]
                reached ^= bit
            if states & self._accept:
                return True
            if position < last:
                place = path[position]
                for bit, low, high, to in self._letters:
                    if states & bit and any(low <= asn <= high for asn in place):
                        reached |= to
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return f'"{self.text}"'

    def __repr__(self) -> str:
        return f"<Pattern {self}>"


class _Automaton:
    """States, the letters that lead from one to another, and ways that need none."""

    def __init__(self) -> None:
        self.size = 1
        self.start = 0
        self.letters: list[
            tuple[int, int, int, int]
        ] = []  # bit of a state, lowest AS, highest AS, bit of the next
        self._ways: dict[int, list[tuple[str, int]]] = {}

    def state(self) -> int:
        if self.size >= _STATES:
            raise ValueError("the pattern is too large")
        self.size += 1
        return self.size - 1

    def letter(self, low: int, high: int) -> _Part:
        def add(after: int) -> int:
            state = self.state()
            self.letters.append((1 << state, low, high, 1 << after))
            return state

        return add

    def way(self, state: int, to: int, where: str = "") -> None:
        self._ways.setdefault(state, []).append((where, to))

    def end(self, where: str) -> _Part:
        """Return a part that needs no letter, but holds at the end `where` ("^" or "$") of a path alone."""

        def add(after: int) -> int:
            state = self.state()
            self.way(state, after, where)
            return state

        return add

    def either(self, parts: list[_Part]) -> _Part:
        def add(after: int) -> int:
            begun = [part(after) for part in parts]
            state = self.state()
            for to in begun:
                self.way(state, to)
            return state

        # One way past all of them is enough.
        parts = [part for part in parts if part is not _nothing] + [_nothing] * (_nothing in parts)
        return add if len(parts) > 1 else parts[0]

    def repeat(self, part: _Part, least: int, most: int | None) -> _Part:
        """Return `part` from `least` to `most` times, None for no bound."""

        def add(after: int) -> int:
            if most is None:
                state = self.state()
                self.way(state, after)
                self.way(state, part(state))
                after = state
            else:
                end = after
                for _ in range(most - least):
                    begun = part(after)
                    state = self.state()
                    self.way(state, end)
                    self.way(state, begun)
                    after = state
            for _ in range(least):
                after = part(after)
            return after

        return _nothing if part is _nothing or most == 0 else add

    def closures(self, begin: bool, end: bool) -> list[int]:
        """Return the states that are reached from each without a letter."""
        ways = [
            (state, tuple(to for where, to in ways if (begin if where == "^" else end or where != "$")))
            for state, ways in sorted(self._ways.items())
        ]
        found = [1 << state for state in range(self.size)]
        changed = True
        while changed:
            # All ways but those into loops lead to states made before, so there are few rounds.
            changed = False
            for state, further in ways:
                reached = found[state]
                for to in further:
                    reached |= found[to]
                if reached != found[state]:
                    found[state], changed = reached, True
        return found


def _nothing(after: int) -> int:
    """Add no state; any other part adds one at least, so that the bound on states bounds the work."""
    return after


def _sequence(parts: list[_Part]) -> _Part:
    parts = [part for part in parts if part is not _nothing]

    def add(after: int) -> int:
        for part in reversed(parts):
            after = part(after)
        return after

    return add if parts else _nothing


class _Parser:
    """Reads a pattern; `automaton` is the result."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.automaton = _Automaton()
        self._tokens: list[re.Match[str]] = []
        self._depth = 0
        text = text.rstrip()
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                sign = _SPACE.match(text, position)
                self._fail(f"{text[sign.end() if sign else position]!r} means nothing")
            self._tokens.append(token)
            position = token.end()
        self._tokens.reverse()
        whole = self._alternatives()
        if self._tokens:
            self._fail("it has a ) without its (")
        self.automaton.start = whole(0)

    def _fail(self, what: str) -> NoReturn:
        raise ValueError(
            f"cannot read the AS path pattern {quoted(self.text)}: {what}; write AS numbers with spaces "
            "between, as in ^64500 .* 64496$"
        )

    def _sign(self) -> str | None:
        return self._tokens[-1][6] if self._tokens else None

    def _alternatives(self) -> _Part:
        found = [self._concatenation()]
        while self._sign() == "|":
            self._tokens.pop()
            found.append(self._concatenation())
        return self.automaton.either(found)

    def _concatenation(self) -> _Part:
        parts: list[_Part] = []
        while self._tokens and self._sign() not in ("|", ")"):
            parts.append(self._repeated())
        return _sequence(parts)

    def _repeated(self) -> _Part:
        part = self._atom()
        for depth in count():
            if not self._tokens:
                break
            token = self._tokens[-1]
            if token[6] in ("*", "+", "?"):
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[token[6]]
            elif token[3] is not None:
                least = int(token[3])
                most = least if token[4] is None else None if token[5] is None else int(token[5])
            else:
                break
            if max(least, most or 0) > _STATES or (most is not None and most < least):
                self._fail(f"{token[0].strip()} is no number of times")
            if depth >= _DEPTH:
                self._fail("it repeats repetitions of repetitions")
            self._tokens.pop()
            part = self.automaton.repeat(part, least, most)
        return part

    def _atom(self) -> _Part:
        token = self._tokens.pop()
        if token[1] is not None:
            low = int(token[1])
            high = low if token[2] is None else int(token[2])
            if not low <= high <= _LAST_AS:
                self._fail(f"{token[0].strip()} is no AS number or range of them")
            return self.automaton.letter(low, high)
        match token[6]:
            case ".":
                return self.automaton.letter(0, _LAST_AS)
            case "^" | "$" as end:
                return self.automaton.end(end)
            case "(":
                self._depth += 1
                if self._depth > _DEPTH:
                    self._fail("it has too many ( within one another")
                part = self._alternatives()
                self._depth -= 1
                if self._sign() != ")":
                    self._fail("it has a ( without its )")
                self._tokens.pop()
                return part
        return self._fail(f"{token[0].strip()} has nothing before it to repeat")
