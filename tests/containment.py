"""A bug anywhere in the router: an exception at the n-th call of its functions, and what comes of it.

The shell is the real `Turns`; what `Link` does around the router is done here by hand.  A scenario is a
fixed story of peers that come, say things, ask again and go.  Whoever is struck by the exception loses the
session, and at the end everybody holds what a new router would have told them.
"""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, address, prefix

from bgp.aio.turn import Turns
from bgp.errors import Notify
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import RouteRefreshSubtype
from bgp.policy.prefixes import PrefixList
from bgp.rib.guard import Guard
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.wire.attributes import Attributes
from bgp.wire.message import RouteRefresh
from bgp.wire.update import Reach, Unreach, Update

# What policies raise is a refusal (`bgp.rib.asking`), so there a bug would be taken for one of theirs.
_WHERE = ("bgp/router.py", "bgp/member.py", "bgp/rib/", "bgp/export/")
Route = tuple[Family, bytes, int | None]


class Injected(Exception):
    """The bug."""


@contextmanager
def bug(at: int, places: tuple[str, ...] = _WHERE) -> Iterator[list[str]]:
    """Raise Injected at the call with this number; yield the names of all calls up to there."""
    calls: list[str] = []
    known: dict[CodeType, str] = {}

    def trace(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        name = known.get(code)
        if name is None:
            file = code.co_filename
            ours = (
                any(where in file for where in places) and "/testing/" not in file and "/asking" not in file
            )
            name = known[code] = f"{file.rpartition('bgp/')[2]}:{code.co_name}" if ours else ""
        if name:
            calls.append(name)
            if len(calls) - 1 == at:
                raise Injected(name)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield calls
    finally:
        sys.settrace(before)


class _Loop:
    """As much of an event loop as `Turns` needs: what is called soon is called when we say so."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.later: list[Callable[[], None]] = []

    _time = 0.0

    def time(self) -> float:
        self._time += 0.001
        return self._time

    def call_soon(self, call: Callable[[], None]) -> object:
        self.soon.append(call)
        return self

    def call_later(self, _: float, call: Callable[[], None]) -> object:
        self.later.append(call)
        return self


class Session:
    """A peer's session, and what it has said in it."""

    def __init__(self, shell: "Shell", name: str, number: int, options: Mapping[str, Any]) -> None:
        self.shell, self.name, self.number, self.options = shell, name, number, options
        self.said: dict[Route, Attributes] = {}
        self.peer: Peer | None = None

    def up(self) -> None:
        """Come up, as far as the router lets us."""
        kind = self.options.get("kind", Kind.CLIENT)
        rest = {key: value for key, value in self.options.items() if key != "kind"}
        try:
            self.peer = Peer(self.shell.router, self.name, kind, self.number, **rest)
        except Exception:
            self.shell.struck.append(self.name)
            return
        self.peer.member.taker = self
        self.shell.turns.join(self)

    def say(self, update: Update) -> None:
        """Say something; what was said before the session ended by it does not count."""
        if self.peer is None:
            return
        try:
            self.shell.router.update(self.peer.member, update)
        except (Notify, Exception):
            self.end()
            return
        for part in update.withdrawn:
            for at, each in enumerate(part.prefixes):
                self.said.pop((part.family, each, part.path_ids and part.path_ids[at]), None)
        for reach in update.announced:
            for at, each in enumerate(reach.prefixes):
                self.said[reach.family, each, reach.path_ids and reach.path_ids[at]] = reach.attributes
        self.shell.turns.schedule()

    def refresh(self, family: Family, subtype: int) -> None:
        """Send a ROUTE-REFRESH."""
        if self.peer is not None:
            try:
                self.shell.router.refresh(self.peer.member, RouteRefresh(family.afi, family.safi, subtype))
            except Exception:
                self.end()
            self.shell.turns.schedule()

    def end(self, struck: bool = True) -> None:
        """Leave, for a bug or because it is time."""
        if struck:
            self.shell.struck.append(self.name)
        self.shell.turns.leave(self)
        peer, self.peer = self.peer, None
        self.said.clear()
        if peer is not None:
            for _ in range(2):
                try:
                    self.shell.router.down(peer.member)
                except Exception:
                    self.shell.failures += 1
        self.shell.turns.schedule()

    # --- Party and Taker ---------------------------------------------------------------------------------
    def receive_slice(self) -> bool:
        return False

    def send_chunk(self) -> bool:
        if self.peer is None or not self.peer.member.pending:
            return False
        try:
            octets = self.shell.router.pull(self.peer.member, 500)
        except Exception:
            self.end()
            return False
        for each in octets:
            self.peer.listener.hear(each)
        return self.peer.member.pending

    def take(self, octets: bytes, now: float) -> None:
        assert self.peer is not None
        self.peer.listener.hear(octets)

    def fail(self) -> None:
        self.end()


class Shell:
    """A router with sessions."""

    def __init__(self) -> None:
        self.router = Router(LOCAL_AS, ROUTER_ID)
        self.loop = _Loop()
        self.turns = Turns(self.router)
        self.turns._loop = self.loop  # type: ignore[assignment]
        self.turns._running = True
        self.struck: list[str] = []
        self.failures = 0
        self.sessions = {
            name: Session(self, name, number, options)
            for number, (name, options) in enumerate(_PEERS.items(), 1)
        }

    def run(self) -> None:
        """Take turns until there is nothing more to do."""
        for _ in range(2000):
            soon, self.loop.soon = self.loop.soon, []
            if not soon:
                soon, self.loop.later = self.loop.later, []
            if not soon:
                return
            for call in soon:
                call()
        raise AssertionError("the turns do not end")

    def attributes(self, **values: Any) -> Attributes:
        return self.router.table.make(**{"local_pref": 100, "next_hop": "10.9.0.9", **values})

    @property
    def up(self) -> dict[str, Session]:
        return {name: each for name, each in self.sessions.items() if each.peer is not None}


_PEERS: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {},
    "c": {},
    "quiet": {},
    "several": {"add_path": add_path(IPV4_UNICAST)},
    "outside": {"kind": Kind.EXTERNAL},
    # All that it says is its own by its guard, so what its routes are part of is looked after, too.
    "struck": {"settings": {"guard": Guard(prefixes=PrefixList(["0.0.0.0/0 le 32", "::/0 le 128"]))}},
}


def _block(number: int, count: int = 12) -> list[bytes]:
    return [prefix(f"10.{number}.{each}.0/24") for each in range(count)]


def _reach(attributes: Attributes, prefixes: list[bytes], path_id: int | None = None) -> Update:
    ids = None if path_id is None else [path_id] * len(prefixes)
    return Update((), (Reach(IPV4_UNICAST, list(prefixes), ids, attributes),))


def begin(shell: Shell) -> None:
    """Let all peers but one come up, and say what they have to say."""
    for name, session in shell.sessions.items():
        if name != "struck":
            session.up()
    for number, name in enumerate("abc"):
        shell.sessions[name].say(_reach(shell.attributes(med=number), _block(number) + _block(9)))
    shell.sessions["several"].say(_reach(shell.attributes(med=7), _block(9), 1))
    shell.sessions["several"].say(_reach(shell.attributes(med=8), _block(9), 2))
    shell.run()


def story(shell: Shell) -> None:
    """What happens then: each step may be struck."""
    struck, a, b = (shell.sessions[name] for name in ("struck", "a", "b"))
    struck.up()
    shell.run()
    struck.say(_reach(shell.attributes(med=0, local_pref=200), _block(9) + _block(20)))
    shell.run()
    # The same again with other attributes, another's withdrawn, and some of it new: in one flush.
    struck.say(_reach(shell.attributes(med=1, local_pref=200), _block(9, 6) + _block(21)))
    a.say(Update((Unreach(IPV4_UNICAST, _block(0, 4), None),), ()))
    shell.run()
    struck.say(Update((Unreach(IPV4_UNICAST, _block(9, 3) + _block(20, 3), None),), ()))
    shell.run()
    six = Reach(IPV6_UNICAST, [prefix("2001:db8::/32")], None, shell.attributes(next_hop="2001:db8::9"))
    struck.say(Update((), (six,)))
    struck.refresh(IPV4_UNICAST, RouteRefreshSubtype.REQUEST)
    b.refresh(IPV4_UNICAST, RouteRefreshSubtype.REQUEST)
    shell.run()
    struck.refresh(IPV4_UNICAST, RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH)
    struck.say(_reach(shell.attributes(med=1, local_pref=200), _block(9, 8)))
    struck.refresh(IPV4_UNICAST, RouteRefreshSubtype.END_OF_ROUTE_REFRESH)
    for route in [
        route for route in struck.said if route[1] not in _block(9, 8) and route[0] is IPV4_UNICAST
    ]:
        del struck.said[route]
    shell.run()
    try:
        shell.router.next_hops.learn({address("10.9.0.9"): 10})
    except Injected:
        # Who tells us hears of it, and does it again.
        for cost in (11, 10):
            shell.router.next_hops.learn({address("10.9.0.9"): cost})
    shell.turns.schedule()
    shell.run()
    struck.end(struck=False)
    shell.run()


def judge(shell: Shell, what: str) -> None:
    """Hold that everybody who is up holds what a new router would tell, and that the tables count right."""
    fresh = Shell()
    fresh.router.next_hops.learn({address("10.9.0.9"): 10})
    for name, session in shell.up.items():
        fresh.sessions[name].up()
        for (family, octets, path_id), attributes in session.said.items():
            again = fresh.router.table.intern(attributes.octets, attributes.next_hop)
            ids = None if path_id is None else [path_id]
            fresh.sessions[name].say(Update((), (Reach(family, [octets], ids, again),)))
    fresh.run()
    for name, session in shell.up.items():
        peer, other = session.peer, fresh.sessions[name].peer
        assert peer is not None and other is not None
        assert _held(peer) == _held(other), f"{what}: {name} holds something else"
    assert shell.router.rib.routes == fresh.router.rib.routes, what
    assert shell.router.rib.attribute_octets == fresh.router.rib.attribute_octets, what
    assert len(shell.router.members) == len(shell.up), what
    for family, table in shell.router._tables.items():
        like = fresh.router._tables[family]
        assert table.entries.keys() == like.entries.keys(), what
        assert len(table.order) - len(table._holes) == sum(map(len, table._paths.values())), what
        assert sum(map(len, table._paths.values())) == sum(map(len, like._paths.values())), what
        for registry in table._paths.values():
            assert all(path.count == len(table.held_by(path)) for path in registry.values()), what
    assert set(shell.router.groups) == set(fresh.router.groups), what


def _held(peer: Peer) -> dict[tuple[Family, bytes, bytes], list[tuple[bytes, bytes]]]:
    """Return what a peer holds; path identifiers are the router's own choice."""
    found: dict[Any, list[tuple[bytes, bytes]]] = {}
    for (family, octets, _), attributes in peer.held.items():
        found.setdefault((family, octets), []).append((attributes.octets, attributes.next_hop))
    return {key: sorted(values) for key, values in found.items()}


def calls() -> int:
    """Return how many calls the story makes."""
    shell = Shell()
    begin(shell)
    with bug(1 << 40) as made:
        story(shell)
    return len(made)


def trial(at: int) -> tuple[str, list[str], int]:
    """Tell the story with a bug at this call; return where it was, who was struck, how many turns failed."""
    shell = Shell()
    begin(shell)
    with bug(at) as made:
        story(shell)
    where = made[at] if len(made) > at else ""
    shell.run()
    what = f"a bug at call {at}, {where}, struck {shell.struck}"
    judge(shell, what)
    # Whoever was struck comes again, and says all anew.
    for name in shell.struck:
        if name != "struck":
            session = shell.sessions[name]
            session.up()
            session.say(_reach(shell.attributes(med=5), _block(9), 3 if name == "several" else None))
    shell.run()
    judge(shell, f"{what}, again")
    return where, shell.struck, shell.turns.failures + shell.failures


def main() -> int:
    """Try a bug at every call."""
    logging.disable(logging.CRITICAL)
    failures, whole = 0, calls()
    found: Counter[tuple[int, int]] = Counter()
    for at in range(whole):
        try:
            _, struck, failed = trial(at)
            found[len(struck), failed] += 1
        except AssertionError as error:
            failures += 1
            print(f"FAILED: {error}", flush=True)
    for (struck, failed), count in sorted(found.items()):
        print(f"{count} bugs ended {struck} sessions and {failed} slices of work, and were survived")
    print(f"{whole} calls, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
