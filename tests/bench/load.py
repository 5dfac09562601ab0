"""The load generator: test peers in one process of their own, which knows no BGP but what is written here.

    python -m bench.load '{"kind": "table", ...}'

What is fed was encoded before the clock starts.  Receiving must cost less than what is measured sends: a
message that was met before costs one look-up, and only the difference of its announced and withdrawn
prefixes is added up.  When that says that a peer may hold what it should, and it has been quiet for a
while, all that it got is gone through once, in order, and must leave exactly the expected routes with the
expected attributes; otherwise the phase goes on.  Its time is that of the last change.

It prints a JSON line {"ready": phase} before each phase, waits for a line, and prints the phase's result.
"""

import contextlib
import gc
import hashlib
import json
import re
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import raw
from raw import Attributes

from bench import tables
from bench.tables import IPV4, IPV6, MARKER, Block

OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
HOLD_TIME = 240
QUIET = 0.3
READ = 1 << 18
RETRY = 0.25
DOUBT = 2.0
STALLED = 60.0

# The length's first octet, behind a marker, is at most 0x10: so 0xff at the end of a message stays with it.
_split = re.compile(b"(?:" + MARKER.replace(b"\xff", rb"\xff") + b")(?=[\0-\x10])").split
_ipv4 = re.compile(rb"(?s:[\x11-\x18]...|[\x19-\x20].{4}|[\x09-\x10]..|[\1-\x08].|\0)").findall


class Failed(Exception):
    """A phase that cannot come to its end, and why."""


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole messages in `data`, without their markers, and the octets behind them."""
    pieces = _split(data)
    if pieces[0]:
        return [], data  # not even a whole marker and an octet more
    last = pieces[-1]
    length = (last[0] << 8 | last[1]) - 16 if len(last) > 2 else 1 << 16
    rest = b""
    if length > len(last):
        rest = MARKER + last if len(pieces) > 1 else data
        pieces.pop()
    elif length < len(last):
        rest = last[length:]
        pieces[-1] = last[:length]
    return pieces[1:], rest


class Messages(dict[bytes, int]):
    """Each different message (behind its marker) as a number; 0 is KEEPALIVE, 1 and 2 are End-of-RIB."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.difference: list[int] = []
        self.notifications: list[str] = []
        for known in (
            message for message in _split(tables.message(KEEPALIVE) + tables.END_OF_RIB) if message
        ):
            self[known] = len(self.pieces)
            self.pieces.append(known)
            self.difference.append(0)

    def __missing__(self, piece: bytes) -> int:
        length, kind = struct.unpack_from("!HB", piece)
        if length != len(piece) + 16:
            raise Failed(f"a message of length {length} has {len(piece) + 16} octets: {piece[:40].hex()}")
        if kind == NOTIFICATION:
            self.notifications.append(piece[3:].hex())
            return 0
        if kind != UPDATE:
            return 0
        number = self[piece] = len(self.pieces)
        self.pieces.append(piece)
        self.difference.append(_difference(piece[3:]))
        return number


def _difference(body: bytes) -> int:
    """Return how many prefixes an UPDATE announces, less those that it withdraws."""
    withdrawn, field, nlri = tables.parts(body)
    found = len(_ipv4(nlri)) - len(_ipv4(withdrawn))
    if field and not nlri:  # nobody mixes IPv4's own field with those of RFC 4760
        attributes = raw.attributes(field)
        if tables.MP_REACH in attributes:
            value = attributes[tables.MP_REACH][1]
            found += len(tables.split(value[5 + value[3] :]))
        if tables.MP_UNREACH in attributes:
            found -= len(tables.split(attributes[tables.MP_UNREACH][1][3:]))
    return found


class Peer:
    """One session of the load generator's."""

    __slots__ = (
        "address", "established", "expected", "held", "last", "log", "number", "octets", "opened",
        "opened_at", "out", "own", "rest", "seen", "socket", "started", "surplus", "updates",
    )  # fmt: skip

    def __init__(self, number: int, address: str, own: frozenset[tuple[int, bytes]] = frozenset()) -> None:
        self.number = number
        self.address = address
        self.own = own
        self.socket: socket.socket | None = None
        self.opened = False
        self.established = False
        self.rest = b""
        self.out = memoryview(b"")
        self.held = 0
        self.surplus = 0
        self.expected = 0
        self.octets = 0
        self.updates = 0
        self.last = 0.0
        self.started = 0.0
        self.opened_at = 0.0
        self.seen = 0
        self.log: list[int] = []


class Canonical:
    """Attributes as numbers, equal where a receiver should call them equal."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}

    def number(self, attributes: Attributes, hop: bytes) -> int:
        kept = tuple(
            (kind, value[0] & 0xC0, _sorted(kind, value[1]))
            for kind, value in sorted(attributes.items())
            if kind not in (tables.NEXT_HOP, tables.MP_REACH, tables.ORIGINATOR_ID, tables.CLUSTER_LIST)
            # RFC 4271 9.1.2.2 c: a route without MED has the lowest one; FRR writes that out.
            and (kind != tables.MED or any(value[1]))
        )
        return self._numbers.setdefault((kept, hop), len(self._numbers))


def _sorted(kind: int, value: bytes) -> bytes:
    """Return a set of communities in order: some speakers sort them, as they may."""
    size = {tables.COMMUNITIES: 4, tables.EXTENDED_COMMUNITIES: 8, tables.LARGE_COMMUNITIES: 12}.get(kind)
    if size is None:
        return value
    return b"".join(sorted(value[at : at + size] for at in range(0, len(value), size)))


Told = tuple[list[tuple[int, list[bytes]]], list[tuple[int, list[bytes], int, bool]]]
State = dict[int, dict[bytes, int]]


class Expectation:
    """What every receiver should hold, but for what it announced itself."""

    def __init__(self, messages: Messages) -> None:
        self.state: State = {IPV4: {}, IPV6: {}}
        self._messages = messages
        self._canonical = Canonical()
        self._told: dict[int, Told] = {}

    def __len__(self) -> int:
        return sum(map(len, self.state.values()))

    def announce(self, blocks: Iterable[Block], hops: dict[int, bytes]) -> None:
        for block in blocks:
            number = self._canonical.number(block.attributes, hops[block.afi])
            self.state[block.afi].update(dict.fromkeys(block.prefixes, number))

    def withdraw(self, prefixes: Iterable[tuple[int, bytes]]) -> None:
        for afi, prefix in prefixes:
            self.state[afi].pop(prefix, None)

    def told(self, number: int) -> Told:
        """Return what a message withdraws and announces; with the last, whether it was reflected rightly."""
        found = self._told.get(number)
        if found is None:
            withdrawn_field, field, nlri = tables.parts(self._messages.pieces[number][3:])
            withdrawn = [(IPV4, tables.split(withdrawn_field))] if withdrawn_field else []
            attributes = raw.attributes(field)
            announced: list[tuple[int, list[bytes], int, bool]] = []
            reflected = tables.ORIGINATOR_ID in attributes and tables.CLUSTER_LIST in attributes
            if tables.MP_UNREACH in attributes:
                value = attributes[tables.MP_UNREACH][1]
                withdrawn.append((int.from_bytes(value[:2], "big"), tables.split(value[3:])))
            if nlri:
                hop = attributes[tables.NEXT_HOP][1]
                key = self._canonical.number(attributes, hop)
                announced.append((IPV4, tables.split(nlri), key, reflected))
            if tables.MP_REACH in attributes:
                value = attributes[tables.MP_REACH][1]
                hop = value[4 : 4 + value[3]]
                key = self._canonical.number(attributes, hop[:16])
                prefixes = tables.split(value[5 + value[3] :])
                announced.append((int.from_bytes(value[:2], "big"), prefixes, key, reflected))
            found = self._told[number] = (withdrawn, announced)
        return found

    def replay(self, log: Sequence[int], own: Iterable[tuple[int, bytes]]) -> dict[str, int]:
        """Return how what these messages leave differs from what should be held, in numbers."""
        state: State = {IPV4: {}, IPV6: {}}
        unreflected = 0
        for number in log:
            if number > 2:
                withdrawn, announced = self.told(number)
                for afi, prefixes in withdrawn:
                    held = state[afi]
                    for prefix in prefixes:
                        held.pop(prefix, None)
                for afi, prefixes, key, reflected in announced:
                    state[afi].update(dict.fromkeys(prefixes, key))
                    unreflected += not reflected
        echoed = sum(state[afi].pop(prefix, None) is not None for afi, prefix in own)
        for afi, prefix in own:
            if prefix in self.state[afi]:
                state[afi][prefix] = self.state[afi][prefix]
        missing = extra = wrong = 0
        for afi, wanted in self.state.items():
            held = state[afi]
            if held != wanted:
                missing += len(wanted.keys() - held.keys())
                extra += len(held.keys() - wanted.keys())
                wrong += sum(wanted.get(prefix, key) != key for prefix, key in held.items())
        return {
            "missing": missing,
            "extra": extra,
            "wrong_attributes": wrong,
            "not_reflected": unreflected,
            "own_echoed": echoed,
        }


class Load:
    """All peers, the sockets, and what is counted."""

    def __init__(self, options: dict[str, object]) -> None:
        self.target = str(options["address"]), int(str(options["port"]))
        self.net = str(options["net"])
        self.limit = float(str(options.get("timeout", 300)))
        self.inflight = int(str(options.get("inflight", 4)))
        self.messages = Messages()
        self.expectation = Expectation(self.messages)
        self.peers: list[Peer] = []
        self.epoll = select.epoll()
        self.by_fd: dict[int, Peer] = {}
        self.waiting: deque[Peer] = deque()
        self.half_open = 0
        self.retries = 0
        self.lost = 0
        self.changed = 0.0
        self.check_cpu = 0.0
        self.again: list[tuple[float, Peer]] = []
        self.keepalive_due = time.monotonic() + HOLD_TIME / 3
        self.on_open: Callable[[Peer], bytes] = lambda peer: b""
        self.churn: Churn | None = None

    # --- addresses -----------------------------------------------------------------------------------
    def peer(self, number: int, own: frozenset[tuple[int, bytes]] = frozenset()) -> Peer:
        peer = Peer(number, address(self.net, number), own)
        self.peers.append(peer)
        return peer

    def hops(self, peer: Peer) -> dict[int, bytes]:
        """The peer's next hop for each family."""
        # On loopback peers have loopback's addresses, which are no next hops.
        ipv4 = bytes((10,)) + socket.inet_aton(peer.address)[1:]
        return {IPV4: ipv4, IPV6: socket.inet_pton(socket.AF_INET6, "fd98::")[:12] + ipv4}

    # --- connections ---------------------------------------------------------------------------------
    def connect(self, peers: Iterable[Peer]) -> None:
        """Connect these, as many at a time as are allowed between SYN and OPEN."""
        self.waiting.extend(peers)
        self._dial_some()

    def _dial_some(self) -> None:
        while self.waiting and self.half_open < self.inflight:
            self.half_open += 1
            self._dial(self.waiting.popleft())

    def _dial(self, peer: Peer) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((peer.address, 0))
        sock.connect_ex(self.target)
        if not peer.started:
            peer.started = time.monotonic()
        peer.socket, peer.opened, peer.rest = sock, False, b""
        self.by_fd[sock.fileno()] = peer
        self.epoll.register(sock, select.EPOLLOUT)

    def _connected(self, peer: Peer) -> None:
        assert peer.socket is not None
        if peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._close(peer)
            self.retries += 1
            self.again.append((time.monotonic() + RETRY, peer))
            return
        capabilities = bytes.fromhex("0104 0001 00 01 0104 0002 00 01 4104") + struct.pack("!I", tables.ASN)
        parameters = bytes((2, len(capabilities))) + capabilities
        identifier = socket.inet_aton(peer.address)
        fixed = struct.pack("!BHH4sB", 4, tables.ASN, HOLD_TIME, identifier, len(parameters))
        peer.opened = True
        peer.socket.send(tables.message(OPEN, fixed + parameters))
        self.epoll.modify(peer.socket, select.EPOLLIN)

    def _close(self, peer: Peer, *, reset: bool = False) -> None:
        sock, peer.socket = peer.socket, None
        assert sock is not None
        del self.by_fd[sock.fileno()]
        self.epoll.unregister(sock)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        peer.established = False

    def _gone(self, peer: Peer) -> None:
        """Take note of a session that the other side ended."""
        if peer.established:
            self.lost += 1
        else:
            self.half_open -= 1
            self.retries += 1
        self._close(peer)
        peer.log.clear()
        peer.held = 0
        self.again.append((time.monotonic() + RETRY, peer))

    def reset(self, peers: Iterable[Peer]) -> None:
        """End these sessions at once, each with a RST."""
        for peer in peers:
            self._close(peer, reset=True)

    def _opening(self, peer: Peer, data: bytes) -> bytes:
        """Take messages until the session is established; return what is behind them."""
        assert peer.socket is not None
        while len(data) >= 19 and not peer.established:
            length, kind = struct.unpack_from("!HB", data, 16)
            if len(data) < length:
                return data
            if kind == NOTIFICATION:
                self.messages.notifications.append(data[19:length].hex())
            elif kind == OPEN:
                peer.opened_at = time.monotonic()
                peer.socket.send(tables.message(KEEPALIVE))
            elif kind == KEEPALIVE:
                peer.established = True
                self.half_open -= 1
                self.send(peer, self.on_open(peer))
                self._dial_some()
            data = data[length:]
        return data

    # --- octets --------------------------------------------------------------------------------------
    def send(self, peer: Peer, data: bytes) -> None:
        """Send `data`, now or as there is room."""
        if data:
            peer.out = memoryview(bytes(peer.out) + data)
            self._write(peer)

    def _write(self, peer: Peer) -> None:
        assert peer.socket is not None
        with contextlib.suppress(BlockingIOError):
            while peer.out:
                peer.out = peer.out[peer.socket.send(peer.out[: 1 << 20]) :]
        self.epoll.modify(peer.socket, select.EPOLLIN | (select.EPOLLOUT if peer.out else 0))

    def _read(self, peer: Peer) -> None:
        assert peer.socket is not None
        try:
            data = peer.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._gone(peer)
            return
        now = time.monotonic()
        peer.octets += len(data)
        if peer.rest:
            data = peer.rest + data
        if not peer.established:
            data = self._opening(peer, data)
            if not peer.established or not data:
                peer.rest = data
                return
        pieces, peer.rest = split(data)
        if not pieces:
            return
        found = list(map(self.messages.__getitem__, pieces))
        peer.log += found
        if max(found) > 2:
            peer.last = self.changed = now
            peer.held += sum(map(self.messages.difference.__getitem__, found))
            if self.churn is not None:
                self.churn.arrived(peer, found, now)

    # --- the loop ------------------------------------------------------------------------------------
    def turn(self, timeout: float) -> bool:
        """Wait for sockets and serve them; return whether any was served."""
        now = time.monotonic()
        if self.again:
            due = [peer for when, peer in self.again if when <= now]
            if due:
                self.again = [(when, peer) for when, peer in self.again if when > now]
                self.connect(due)
        if now > self.keepalive_due:
            self.keepalive_due = now + HOLD_TIME / 3
            for peer in self.peers:
                if peer.established:
                    self.send(peer, tables.message(KEEPALIVE))
        ready = self.epoll.poll(timeout)
        for fd, events in ready:
            peer = self.by_fd.get(fd)
            if peer is None:
                continue
            if not peer.opened:
                self._connected(peer)
                if peer.socket is None:
                    self.half_open -= 1
                continue
            if events & ~select.EPOLLOUT:
                self._read(peer)
            if events & select.EPOLLOUT and peer.socket is not None:
                self._write(peer)
        return bool(ready)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.limit
        while not condition():
            self.turn(0.05)
            if time.monotonic() > deadline:
                raise Failed(f"after {self.limit:.0f} s still not: {what}")

    def converge(self, watched: Sequence[Peer], down: bool = False) -> tuple[float, dict[str, int]]:
        """Wait until all of `watched` hold what they should; return the time of the last change and checks.

        `down`: they hold more than that so far.
        """
        deadline = time.monotonic() + self.limit
        busy = time.monotonic()
        tried: list[int] | None = None
        while True:
            now = time.monotonic()
            quiet = now - busy
            # Who withdraws or announces twice is counted wrong, so after a while it is looked at anyway.
            if quiet > DOUBT or (quiet > QUIET and self._plausible(watched, down)):
                lengths = [len(peer.log) for peer in watched]
                if lengths != tried:
                    checks = self.check(watched)
                    if not checks["missing"] and not checks["extra"]:
                        return max(peer.last for peer in watched), checks
                    tried = lengths
            if now > deadline or now - busy > STALLED:
                checks = self.check(watched)
                waited = "for a minute nothing came" if now < deadline else f"{self.limit:.0f} s are over"
                raise Failed(f"{waited}: {checks['missing']} missing, {checks['extra']} extra")
            self.turn(0.02)
            busy = max(busy, self.changed)

    def _plausible(self, watched: Sequence[Peer], down: bool) -> bool:
        if down:
            return all(peer.held - peer.surplus <= peer.expected for peer in watched)
        return all(peer.held - peer.surplus >= peer.expected for peer in watched)

    def check(self, watched: Sequence[Peer]) -> dict[str, int]:
        """Go through all that `watched` got; who got the same is looked at once."""
        cpu = time.process_time()
        total: dict[str, int] = {}
        known: dict[bytes, dict[str, int]] = {}
        for peer in watched:
            key = hashlib.sha256(array("I", peer.log)).digest() + repr(sorted(peer.own)).encode()
            found = known.get(key)
            if found is None:
                found = known[key] = self.expectation.replay(peer.log, peer.own)
            for name, number in found.items():
                total[name] = total.get(name, 0) + number
        self.check_cpu += time.process_time() - cpu
        return total

    def forget(self, watched: Sequence[Peer]) -> None:
        """Let all that was held so far be what the next phase starts from."""
        for peer in watched:
            peer.surplus = peer.held - peer.expected

    def counts(self) -> tuple[int, int, int]:
        """Return UPDATEs, octets and different messages received so far."""
        updates = sum(len(peer.log) - peer.log.count(0) for peer in self.peers)
        return updates, sum(peer.octets for peer in self.peers), len(self.messages.pieces)


class Churn:
    """One prefix that is withdrawn and announced in turn, announced with the event's number as MED."""

    def __init__(self, load: Load, node: Peer, block: Block) -> None:
        self.load, self.node = load, node
        self.prefix = block.prefixes[0]
        self.block = Block(IPV4, block.attributes, [self.prefix])
        self.sent: list[float] = [0.0]
        self.latencies: list[float] = []
        self._events: dict[int, int | None] = {}

    def event(self, number: int) -> Block:
        attributes = {**self.block.attributes, tables.MED: (0x80, struct.pack("!I", number))}
        return Block(IPV4, attributes, [self.prefix])

    def run(self, events: int, interval: float) -> None:
        load = self.load
        hops = load.hops(self.node)
        encoded = [
            b"".join(tables.updates([self.event(number)], hops)) if number % 2 == 0
            else tables.withdrawal([self.prefix])
            for number in range(1, events + 1)
        ]  # fmt: skip
        start = time.monotonic()
        for number, data in enumerate(encoded):
            due = start + number * interval
            while (left := due - time.monotonic()) > 0:
                load.turn(left)
            self.sent.append(time.monotonic())
            load.send(self.node, data)

    def arrived(self, peer: Peer, found: list[int], now: float) -> None:
        for number in found:
            event = self._event(number)
            if event is None:
                continue
            if event == 0:
                event = peer.seen + 1
                if event % 2 == 0:
                    continue  # withdrawn already
            if peer.seen < event < len(self.sent):
                peer.seen = event
                self.latencies.append(now - self.sent[event])

    def _event(self, number: int) -> int | None:
        """Return the event that a message tells of, 0 for a withdrawal, None for something else."""
        try:
            return self._events[number]
        except KeyError:
            found = None
            if number > 2:
                withdrawn, field, nlri = tables.parts(self.load.messages.pieces[number][3:])
                if self.prefix in tables.split(withdrawn):
                    found = 0
                elif self.prefix in tables.split(nlri):
                    med = raw.attributes(field).get(tables.MED, (0, b""))[1]
                    found = int.from_bytes(med, "big") or None
                else:
                    unreach = raw.attributes(field).get(tables.MP_UNREACH, (0, b""))[1]
                    if unreach[:3] == b"\0\1\1" and self.prefix in tables.split(unreach[3:]):
                        found = 0
            self._events[number] = found
            return found


def address(net: str, number: int) -> str:
    """Return the address of test peer `number`; `net` is the first two octets."""
    return f"{net}.{1 + number // 250}.{1 + number % 250}"


# --- What is run ----------------------------------------------------------------------------------------


class Phase:
    """A phase under way: what was counted before it, and its result in the end."""

    def __init__(self, load: Load, name: str) -> None:
        print(json.dumps({"ready": name}), flush=True)
        if not sys.stdin.readline():
            raise SystemExit(1)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._load, self._name = load, name
        self._before = load.counts()
        self._lost, self._retries = load.lost, load.retries
        self._cpu, self._check_cpu = time.process_time(), load.check_cpu
        self.start = time.monotonic()

    def done(self, end: float, checks: dict[str, int], **more: object) -> None:
        load = self._load
        check_cpu = load.check_cpu - self._check_cpu
        cpu = time.process_time() - self._cpu - check_cpu
        updates, octets, different = (
            now - before for now, before in zip(load.counts(), self._before, strict=True)
        )
        checks = {
            **checks,
            "sessions_lost": load.lost - self._lost,
            "retries": load.retries - self._retries,
            "notifications": len(load.messages.notifications),
        }
        result = {
            "phase": self._name,
            "ok": True,
            "seconds": round(end - self.start, 6),
            "updates": updates,
            "octets": octets,
            "different_messages": different,
            "load_cpu": round(cpu, 3),
            "check_cpu": round(check_cpu, 3),
            "checks": checks,
            **more,
        }
        print(json.dumps(result), flush=True)


def tabled(load: Load, options: dict[str, object]) -> None:
    """One or more feeders with a table, some receivers, and perhaps late ones."""
    feeders, receivers, late = (int(str(options.get(name, 0))) for name in ("feeders", "receivers", "late"))
    paths = options.get("files")
    if paths:
        assert isinstance(paths, list)
        blocks = [block for path in paths for block in tables.read(Path(path))]
    else:
        blocks = tables.made(int(str(options["routes"])))
    sources = [load.peer(number) for number in range(feeders)]
    watched = [load.peer(feeders + number) for number in range(receivers)]
    streams = []
    for number, peer in enumerate(sources):
        hops = load.hops(peer)
        mine = [tables.preferred_by(number, feeders, index, block) for index, block in enumerate(blocks)]
        streams.append(b"".join(tables.updates(mine, hops)) + tables.END_OF_RIB)
        best = (block for index, block in enumerate(mine) if tables.winner(feeders, index, block) == number)
        load.expectation.announce(best, hops)
    del blocks
    routes = len(load.expectation)
    load.connect(load.peers)
    load.until(lambda: all(peer.established for peer in load.peers), "all sessions established")
    settle(load)
    for peer in watched:
        peer.expected = routes
    phase = Phase(load, "load")
    for peer, stream in zip(sources, streams, strict=True):
        load.send(peer, stream)
    end, checks = load.converge(watched)
    phase.done(end, checks, routes=routes, receivers=receivers)
    if late:
        more = [load.peer(feeders + receivers + number) for number in range(late)]
        for peer in more:
            peer.expected = routes
        phase = Phase(load, "late")
        load.connect(more)
        end, checks = load.converge(more)
        # From when we confirmed the session: the other side may speak from then on.
        phase.start = min(peer.opened_at for peer in more)
        phase.done(end, checks, routes=routes, receivers=late)


def settle(load: Load) -> None:
    """Let what follows the opening of sessions (End-of-RIB) pass."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        load.turn(0.02)


def clustered(load: Load, options: dict[str, object]) -> None:
    """Nodes with a few routes each, of which every one must learn those of all others."""
    count, kill, events = (int(str(options.get(name, 0))) for name in ("nodes", "kill", "churn"))
    every = []
    streams = {}
    for number in range(count):
        blocks = tables.node(number)
        own = frozenset((block.afi, prefix) for block in blocks for prefix in block.prefixes)
        peer = load.peer(number, own)
        every.append(peer)
        hops = load.hops(peer)
        streams[peer] = b"".join(tables.updates(blocks, hops)) + tables.END_OF_RIB
        load.expectation.announce(blocks, hops)
    for peer in every:
        peer.expected = len(load.expectation) - len(peer.own)
    load.on_open = streams.__getitem__
    phase = Phase(load, "cluster")
    load.connect(every)
    end, checks = load.converge(every)
    phase.done(end, checks, routes=len(load.expectation), receivers=count)
    if events:
        _churned(load, every, events, float(str(options.get("interval", 0.005))))
    if kill:
        _reset(load, every, kill)


def _churned(load: Load, every: list[Peer], events: int, interval: float) -> None:
    load.forget(every)
    events -= events % 2
    first, others = every[0], every[1:]
    churn = load.churn = Churn(load, first, tables.node(0)[0])
    phase = Phase(load, "churn")
    churn.run(events, interval)
    # With the last announcement all that was there is there again.
    load.expectation.announce([churn.event(events)], load.hops(first))
    end, checks = load.converge(others)
    load.churn = None
    found = sorted(churn.latencies)
    wanted = events * len(others)
    latency = {
        name: round(1000 * found[min(len(found) - 1, int(share * len(found)))], 3) if found else None
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
    }
    unseen = round(1 - len(found) / wanted, 4)
    phase.done(end, checks, latency_ms=latency, events=events, events_unseen=unseen, receivers=len(others))


def _reset(load: Load, every: list[Peer], kill: int) -> None:
    load.forget(every)
    dead, alive = every[-kill:], every[:-kill]
    gone = [route for peer in dead for route in peer.own]
    for peer in alive:
        peer.expected -= len(gone)
    phase = Phase(load, "reset")
    load.reset(dead)
    load.expectation.withdraw(gone)
    end, checks = load.converge(alive, down=True)
    phase.done(end, checks, receivers=len(alive))


def main(text: str) -> int:
    options = json.loads(text)
    load = Load(options)
    try:
        {"table": tabled, "cluster": clustered}[options["kind"]](load, options)
    except Failed as failure:
        established = sum(peer.established for peer in load.peers)
        notes = load.messages.notifications[:3]
        reason = f"{failure} ({established} of {len(load.peers)} sessions up, notifications {notes})"
        print(json.dumps({"phase": None, "ok": False, "reason": reason}), flush=True)
        return 1
    # Sessions end with a Cease, so that the other side does not count us as lost.
    for peer in load.peers:
        if peer.established and peer.socket is not None:
            with contextlib.suppress(OSError):
                peer.socket.send(tables.message(NOTIFICATION, b"\x06\x02"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
