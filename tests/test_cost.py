"""What is read costs in proportion to its length: work is counted, not timed, on inputs full of one thing.

Four times the octets may take about four times the lines and calls.  What Python does inside of one call is
not seen here, so `python -m fuzz cost` measures such inputs by the clock.
"""

import sys
from dataclasses import replace
from random import Random
from types import FrameType
from typing import Any

import pytest

from bgp.policy.condition import exists, missing
from bgp.rib.aggregate import Aggregate
from bgp.router import Router
from bgp.wire import prefix as nlri
from fuzz import cost
from fuzz.cost import KINDS, Kind
from fuzz.fillings import Shape

SMALL, LARGE = 2048, 8192
# Those that a search found dear, or that once cost their square.
NASTY: dict[str, tuple[Shape, ...]] = {
    "open": (Shape(0, b"\x41\0"), Shape(1, b"\2\0\0"), Shape(0, b"\x02\0"), Shape(0, b"\x45\x04\0\1\1\1")),
    "update": (
        Shape(2, b"\xc0\xfe\0"),
        Shape(2, b"\xc1\xfe\4\0\0\0\0"),
        Shape(0, b"\0"),
        Shape(3, b"\2\1\0\0\xfd\xe9"),
        Shape(7, b"\0\0\0\1"),
        Shape(15, b"\0\0\0\1\0\0\0\1\0\0\0\1"),
        Shape(23, b"\2\0\3"),
        Shape(27, b"\0"),
    ),
    "reflect": (
        Shape(0, b"\x18\1\2\3"),
        Shape(3, b"\3\xff" + b"\0\0\xfd\xe9" * 255),
        Shape(3, b"\2\1\0\0\xfd\xe9"),
        Shape(7, b"\1\2\3\4"),
        Shape(11, bytes(range(1, 9))),
        Shape(15, bytes(range(1, 13))),
        Shape(27, b"\x39" + bytes(range(1, 9))),
    ),
    "policy": (Shape(3, b"\1\4" + b"\0\0\0\1" * 4), Shape(3, b"\2\1\0\0\0\1"), Shape(7, b"\1\2\3\4")),
    "configuration": tuple(
        Shape(field, unit)
        for field, unit in (
            *((0, b"[group.g#]\nasn = 1\n"), (0, b'[[network]]\nprefix = "::#/128"\n'), (0, b"x.")),
            *((0, b'[[neighbor]]\ngroup = "g#"\naddress = "::#"\n'), (1, b'"ipv4-unicast", '), (0, b"\n")),
            *((0, b'[[aggregate]]\nprefix = "::#/128"\n'), (2, b'"10.0.0.0/8", '), (2, b'"::#/128", ')),
            *((3, b'"^#$", '), (4, b"1? "), (4, b"()"), (5, b'"#:1", '), (0, b"#\n")),
            *((6, b"{med = #}, "), (7, b"1 {2} "), (0, b'[[policy.q.term]]\nname = "t#"\n'), (8, b"9")),
        )
    ),
    "command": (Shape(0, b"::#/128 "), Shape(1, b"1 "), Shape(4, b"1:# "), Shape(2, b"[ "), Shape(6, b", ")),
}


def work(kind: Kind, octets: bytes) -> int:
    """Return how many lines and calls an input takes."""
    count = 0

    def line(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return line

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "c_call"

    consume = kind.make()
    before = sys.gettrace(), sys.getprofile()
    sys.settrace(line)
    sys.setprofile(called)
    try:
        consume(octets)
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


@pytest.mark.parametrize("name", KINDS)
def test_work_grows_with_length_and_no_faster(name: str) -> None:
    kind = KINDS[name]
    random = Random(name)
    for shape in (*NASTY[name], *(kind.shape(random) for _ in range(4))):
        small, large = (kind.written(shape, size) for size in (SMALL, LARGE))
        if len(large) < 2 * len(small):
            small, large = (
                kind.written(shape, 1000),
                kind.written(shape, 4000),
            )  # no longer than an OPEN can be
        times = len(large) / len(small)
        few, many = work(kind, small), work(kind, large)
        assert many <= 1.6 * times * few + 2000, f"{shape}: {few} and {many} for {times:.1f} times the octets"


@pytest.mark.parametrize("what", ["aggregates", "conditions"])
def test_what_is_originated_costs_by_its_number(what: str) -> None:
    """Whether a condition depends on itself was looked for among all routes anew with each further one."""

    def originate(data: bytes) -> None:
        router = Router(1, 1)
        conditions = exists("10.0.0.0/8"), missing("192.0.2.0/24")
        for number in range(len(data)):
            prefix = nlri.parse(f"2001:db8:{number:x}::/48")
            if what == "aggregates":
                router.aggregate(*prefix, Aggregate())
            else:
                router.announce(*prefix, router.table.make(), conditions[number % 2])

    kind = replace(KINDS["update"], make=lambda: originate)
    few, many = work(kind, bytes(100)), work(kind, bytes(400))
    assert many <= 1.6 * 4 * few + 2000, f"{few} and {many}"


def test_a_square_is_found_out() -> None:
    def square(data: bytes) -> int:
        return sum(one == other for one in data for other in data)

    kind = replace(KINDS["update"], make=lambda: square)
    few, many = work(kind, bytes(50)), work(kind, bytes(200))
    assert many > 1.6 * 4 * few + 2000


def test_the_report_says_what_is_usual_worst_and_how_it_grows(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost.corpus, "WORK", tmp_path)
    monkeypatch.setattr(cost, "_ROUNDS", 1)
    usual, worst = cost.report(["open"], 2, 1)
    assert "usual" in usual and "times a quarter" in worst
    assert (tmp_path / "cost-open.hex").exists()
