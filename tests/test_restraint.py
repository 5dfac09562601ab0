"""The measure of the log: however much happens, how it began and how it ended is there, not all between."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from reflector.logs.restraint import RATES, Class, Passed, Rate, Rates, Restraint

SMALL = {each: Rates(one=Rate(3, 0.5), all=Rate(6, 2)) for each in Class}
Line = tuple[int, int]  # key and serial


class Written:
    """What comes out, and when."""

    def __init__(self, restraint: Restraint[Line]) -> None:
        self.restraint = restraint
        self.offered: dict[int, list[Line]] = defaultdict(list)
        self.lines: dict[int, list[Passed[Line]]] = defaultdict(list)
        self.times: list[float] = []

    def offer(self, key: int, now: float, of: Class = Class.STATE) -> None:
        line = key, len(self.offered[key])
        self.offered[key].append(line)
        self._take(self.restraint.offer(of, key, line, now), now)

    def until(self, now: float) -> None:
        while (at := self.restraint.next(now)) is not None and at <= now:
            self._take(self.restraint.due(at), at)

    def all(self, now: float) -> float:
        """Wait until nothing is held any more; return when that is."""
        while (at := self.restraint.next(now)) is not None:
            now = max(now, at)
            self._take(self.restraint.due(now), now)
        return now

    def _take(self, passed: list[Passed[Line]], now: float) -> None:
        for each in passed:
            self.lines[each.line[0]].append(each)
            self.times.append(now)

    def check(self, rates: Rates) -> None:
        """The first and the last of each key are there, in order, and all others are counted or there."""
        for key, offered in self.offered.items():
            lines = self.lines[key]
            serials = [each.line[1] for each in lines]
            assert serials[0] == 0 and serials[-1] == len(offered) - 1
            assert serials == sorted(set(serials))
            assert sum(1 + each.suppressed for each in lines) == len(offered)
        self.times.sort()
        for index, start in enumerate(self.times):
            for further in range(index, len(self.times)):
                most = rates.all.burst + (self.times[further] - start) * rates.all.each_second
                assert further - index + 1 <= most + 1.01


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.0, 0.1, 0.6, 5.0])), max_size=120))
def test_whatever_happens_the_first_and_the_last_line_of_each_are_written(
    steps: list[tuple[int, float]],
) -> None:
    written = Written(Restraint(SMALL))
    now = 0.0
    for key, wait in steps:
        now += wait
        written.until(now)
        written.offer(key, now)
    written.all(now)
    written.check(SMALL[Class.STATE])


def test_five_thousand_peers_that_flap_at_once() -> None:
    written = Written(Restraint())
    for _ in range(3):
        for key in range(5000):
            written.offer(key, 100.0)
    end = written.all(100.0)
    # Each is told of at least twice: how it began, and how it is now; and that within a minute.
    assert end - 100.0 < 60
    assert len(written.times) <= 12_000
    for key, offered in written.offered.items():
        serials = [each.line[1] for each in written.lines[key]]
        assert serials[0] == 0 and serials[-1] == len(offered) - 1


def test_a_peer_that_flaps_each_second_for_an_hour() -> None:
    written = Written(Restraint())
    for second in range(3600):
        written.until(float(second))
        written.offer(1, float(second))
        written.offer(1, second + 0.5)
    written.offer(2, 1800.0)
    assert written.lines[2], "another peer has its line at once"
    written.all(3600.0)
    one = RATES[Class.STATE].one
    assert len(written.lines[1]) <= one.burst + 3600 * one.each_second + 2
    assert sum(1 + each.suppressed for each in written.lines[1]) == 7200


def test_sessions_do_not_wait_for_what_matters_less() -> None:
    written = Written(Restraint())
    for key in range(2000):
        written.offer(key, 0.0, Class.OTHER)
    written.offer(5000, 0.0)
    assert len(written.lines[5000]) == 1
    assert sum(map(len, written.lines.values())) == RATES[Class.OTHER].all.burst + 1


def test_memory_is_bounded_whatever_names_there_are() -> None:
    restraint: Restraint[Line] = Restraint(SMALL, most_keys=100)
    written = Written(restraint)
    for key in range(5000):
        written.offer(key, 0.0)
    assert restraint.held <= 101
    # Who was silent for long is forgotten, and there is room for others.
    written.all(0.0)
    written.offer(9999, 1e6)
    assert len(written.lines[9999]) == 1


def test_the_end_leaves_nothing_behind() -> None:
    restraint: Restraint[Line] = Restraint(SMALL)
    for serial in range(50):
        restraint.offer(Class.STATE, 1, (1, serial), 0.0)
    left = restraint.rest()
    assert left[-1].line == (1, 49) and restraint.next(0.0) is None and restraint.rest() == []
