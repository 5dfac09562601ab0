"""Any history ends right: announcements, withdrawals, strangers' edits, flaps, crashes, before a real kernel.

The machine keeps what is wanted and what strangers wrote.  After quiescence the table, as iproute2 shows it,
equals the model: ours where it can stand, theirs wherever they wrote it.
MARTLET_EXAMPLES=200 has it try more histories than a run of all tests does.
"""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import fibspace
import pytest
from fibspace import CABLES, Space
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fib import BLACKHOLE, Fib, Route, via
from tests.bothloops import LOOPS

pytestmark = [pytest.mark.interop("ip"), pytest.mark.xdist_group("fib")]

TABLE = 4001
PREFIXES = {
    4: [f"10.{number}.0.0/16" for number in range(4)] + ["10.0.0.0/8", "10.1.1.1/32"],
    6: [f"2001:db8:{number}::/48" for number in range(1, 5)] + ["2001:db8::/32", "2001:db8:a::1/128"],
}
# What a route says: the interfaces that it needs, none for a blackhole.
WAYS = {"one": ("one",), "two": ("two",), "both": ("one", "two"), "hole": ()}


def gateway(version: int, name: str) -> str:
    return CABLES[name][1 if version == 4 else 3]


def route(version: int, way: str) -> Route:
    names = WAYS[way]
    return via(*(gateway(version, name) for name in names)) if names else BLACKHOLE


class Machine(RuleBasedStateMachine):
    """One `Fib` after the other in one namespace."""

    space: ClassVar[Space]
    loop: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=LOOPS[self.loop])
        self.wanted: dict[str, str] = {}
        self.foreign: set[tuple[str, int]] = set()
        self.down: set[str] = set()
        self.fib = self.begin()

    def begin(self) -> Fib:
        fib = Fib(netns=self.space.near, table=TABLE, audit=3600)
        self.run(fib.open())
        return fib

    def run(self, action: Coroutine[Any, Any, object]) -> None:
        self.runner.run(asyncio.wait_for(action, 60))

    def teardown(self) -> None:
        try:
            for name in list(self.down):
                self.raise_link(name)
            self.settle()
        finally:
            self.run(self.fib.close())
            self.runner.close()
            for version in PREFIXES:
                self.tolerant(f"-{version}", "route", "flush", "table", str(TABLE))

    def tolerant(self, *words: str) -> str:
        """Run iproute2, to which a table that never had a route does not exist."""
        try:
            return self.space.ip(*words)
        except RuntimeError:
            return ""

    # --- what happens ---

    prefixes = st.sampled_from([*PREFIXES[4], *PREFIXES[6]])

    @rule(changes=st.dictionaries(prefixes, st.sampled_from([*WAYS, None]), min_size=1, max_size=6))
    def announce(self, changes: dict[str, str | None]) -> None:
        for prefix, way in changes.items():
            if way is None:
                self.wanted.pop(prefix, None)
            else:
                self.wanted[prefix] = way
        self.run(self.announce_all(changes))

    async def announce_all(self, changes: dict[str, str | None]) -> None:
        await self.fib.apply(
            (prefix, None if way is None else route(version_of(prefix), way))
            for prefix, way in changes.items()
        )

    @rule(prefix=prefixes, metric=st.sampled_from((179, 300)))
    def stranger_writes(self, prefix: str, metric: int) -> None:
        self.foreign.add((prefix, metric))
        self.ip(prefix, "replace", "blackhole", prefix, "proto", "4", "metric", str(metric))

    @rule(data=st.data())
    def stranger_deletes(self, data: st.DataObject) -> None:
        if self.foreign:
            prefix, metric = data.draw(st.sampled_from(sorted(self.foreign)))
            self.foreign.remove((prefix, metric))
            self.ip(prefix, "delete", "blackhole", prefix, "proto", "4", "metric", str(metric))

    @rule(prefix=prefixes)
    def ours_is_deleted(self, prefix: str) -> None:
        words = (prefix, "table", str(TABLE), "proto", "179", "metric", "179")
        self.tolerant(f"-{version_of(prefix)}", "route", "delete", *words)

    @rule(prefix=prefixes)
    def ours_is_altered(self, prefix: str) -> None:
        if (prefix, 179) not in self.foreign:
            self.ip(prefix, "replace", "prohibit", prefix, "proto", "179", "metric", "179")

    @rule()
    def everything_of_ours_is_flushed(self) -> None:
        for version in PREFIXES:
            self.tolerant(f"-{version}", "route", "flush", "table", str(TABLE), "proto", "179")

    @rule(name=st.sampled_from(list(CABLES)))
    def flap(self, name: str) -> None:
        if name in self.down:
            self.raise_link(name)
        else:
            self.down.add(name)
            self.space.ip("link", "set", name, "down")

    def raise_link(self, name: str) -> None:
        self.down.discard(name)
        self.space.up(name)

    @rule(name=st.sampled_from(list(CABLES)))
    def the_device_is_made_anew(self, name: str) -> None:
        self.space.ip("link", "delete", name)
        self.space.plug(name)
        self.down.discard(name)

    @rule()
    def crash(self) -> None:
        """End without a word, as kill -9 does, and begin again with what is wanted."""
        for task in self.fib._tasks:
            task.cancel()
        self.fib._open = False
        self.run(self.fib.backend.close())
        self.fib = self.begin()
        self.run(self.announce_all(dict(self.wanted)))
        self.fib.converged()

    @rule(seconds=st.sampled_from((0.0, 0.02, 0.1)))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    # --- and what comes of it ---

    def ip(self, prefix: str, verb: str, *words: str) -> None:
        self.space.ip(f"-{version_of(prefix)}", "route", verb, *words, "table", str(TABLE))

    @initialize()
    def start(self) -> None:
        self.run(self.fib.settled())

    @rule()
    def settle(self) -> None:
        self.run(self.until(lambda: self.difference() == []))

    async def until(self, condition: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + 8
        while not condition():
            assert loop.time() < end, (self.difference(), self.explain())
            await asyncio.sleep(0.02)

    def explain(self) -> list[str]:
        return [str(self.fib.explain(prefix)) for prefix in {*self.wanted, *(key[0] for key in self.foreign)}]

    def difference(self) -> list[str]:
        """Return what the table and the model say differently."""
        faults = []
        theirs: set[tuple[str, int]] = set()
        ours: dict[str, str] = {}
        for version in PREFIXES:
            shown = self.tolerant("-d", "-j", f"-{version}", "route", "show", "table", str(TABLE))
            for row in json.loads(shown or "[]"):
                length = 32 if version == 4 else 128
                prefix = row["dst"] if "/" in row["dst"] else f"{row['dst']}/{length}"
                if row["protocol"] == "static":
                    theirs.add((prefix, row["metric"]))
                elif prefix in ours:
                    faults.append(f"twice: {prefix}")
                else:
                    ours[prefix] = way_of(version, row)
        if theirs != self.foreign:
            faults.append(f"strangers' routes: {theirs ^ self.foreign}")
        for prefix in {*ours, *self.wanted}:
            wanted = self.wanted.get(prefix)
            if wanted is not None and (prefix, 179) in self.foreign:
                wanted = None
            if wanted is not None and self.down & {*WAYS[wanted]}:
                # It cannot be written now.  The kernel may keep the legs that live, or what was there before.
                continue
            if ours.get(prefix) != wanted:
                faults.append(f"{prefix}: {ours.get(prefix)} in place of {wanted}")
        return faults

    @invariant()
    def strangers_stay(self) -> None:
        assert not [fault for fault in self.difference() if fault.startswith("strangers")]


def version_of(prefix: str) -> int:
    return 6 if ":" in prefix else 4


def way_of(version: int, row: dict[str, Any]) -> str:
    """Return which of `WAYS` a row of iproute2's is."""
    if row["type"] == "blackhole":
        return "hole"
    if row["type"] != "unicast":
        return str(row["type"])
    found = {leg["gateway"] for leg in row.get("nexthops", [row])}
    names = [name for name in CABLES if gateway(version, name) in found]
    return "both" if len(names) == 2 else names[0] if names else str(found)


@pytest.mark.parametrize("loop", LOOPS)
def test_any_history_ends_right(loop: str) -> None:
    with fibspace.space() as space:
        bound = type("Bound", (Machine,), {"space": space, "loop": loop})
        examples = int(os.environ.get("MARTLET_EXAMPLES", "6"))
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            bound,
            settings=settings(
                max_examples=examples,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
