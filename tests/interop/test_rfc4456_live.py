"""RFC 4456 in all its combinations: one topology, with our reflector, BIRD and FRR in its middle in turn.

Around it are peers made of bytes: two clients, two non-clients, an external peer, and two more reflectors,
one of which has the CLUSTER_ID of the one in the middle.  What each of them holds in the end is worked out
here from the RFC, and must be the same whoever is in the middle, but for `DIFFERENCES`.
"""

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import raw
from daemons import find
from netns import Network, Process, eventually
from ours import Reflector
from peers import BIRD, FRR, Daemon, Neighbor, Setup

ASN, OUTSIDE = 65000, 65100
CLUSTER = "192.0.2.200"
NODES = ("dut", "c1", "c2", "n1", "n2", "same", "other", "ebgp")
CLIENTS, EXTERNAL = ("c1", "c2"), "ebgp"

ORIGIN, AS_PATH, MED, LOCAL_PREF, COMMUNITIES, ORIGINATOR_ID, CLUSTER_LIST = 1, 2, 4, 5, 8, 9, 10
FLAGS = {ORIGIN: 0x40, AS_PATH: 0x40, MED: 0x80, LOCAL_PREF: 0x40, COMMUNITIES: 0xC0, ORIGINATOR_ID: 0x80}
FLAGS[CLUSTER_LIST] = 0x80


def identifier(node: str) -> str:
    """Return the BGP Identifier that `raw` gives to the peer in that node."""
    return f"198.18.0.{NODES.index(node) + 1}"


@dataclass(frozen=True, slots=True)
class Said:
    """What a peer says of a prefix; texts of addresses, and `clusters` from left to right."""

    prefix: str
    next_hop: str = ""
    as_path: tuple[int, ...] = ()
    med: int | None = None
    local_pref: int | None = 100
    communities: tuple[int, ...] = ()
    originator: str = ""
    clusters: tuple[str, ...] = ()

    @property
    def key(self) -> raw.Prefix:
        network, _, length = self.prefix.partition("/")
        packed = ip_address(network).packed
        return (1 if len(packed) == 4 else 2), bytes([int(length)]) + packed[: (int(length) + 7) // 8]

    @property
    def held(self) -> "Entry":
        """Next hop and attributes in the form of `raw.table`."""
        values = {ORIGIN: b"\0", AS_PATH: b""}
        if self.as_path:
            values[AS_PATH] = bytes([2, len(self.as_path)]) + _numbers(*self.as_path)
        for kind, number in ((MED, self.med), (LOCAL_PREF, self.local_pref)):
            if number is not None:
                values[kind] = _numbers(number)
        values[COMMUNITIES] = _numbers(*self.communities)
        values[ORIGINATOR_ID] = ip_address(self.originator).packed if self.originator else b""
        values[CLUSTER_LIST] = b"".join(ip_address(each).packed for each in self.clusters)
        there = {kind: value for kind, value in values.items() if value or kind == AS_PATH}
        hop = ip_address(self.next_hop).packed
        return hop, tuple((kind, (FLAGS[kind], value)) for kind, value in sorted(there.items()))

    def update(self) -> bytes:
        """Return the UPDATE that says so."""
        afi, prefix = self.key
        hop, held = self.held
        block = b"".join(bytes([flags, kind, len(value)]) + value for kind, (flags, value) in held)
        if afi == 1:
            block += bytes([0x40, 3, 4]) + hop
            return raw.message(raw.UPDATE, struct.pack("!HH", 0, len(block)) + block + prefix)
        value = struct.pack("!HBB", afi, 1, len(hop)) + hop + b"\0" + prefix
        block = bytes([0x80, raw.MP_REACH, len(value)]) + value + block
        return raw.message(raw.UPDATE, struct.pack("!HH", 0, len(block)) + block)

    def withdrawal(self) -> bytes:
        """Return the UPDATE that takes it back."""
        afi, prefix = self.key
        assert afi == 1
        return raw.message(raw.UPDATE, struct.pack("!H", len(prefix)) + prefix + b"\0\0")


Entry = tuple[bytes, tuple[tuple[int, tuple[int, bytes]], ...]]
Table = dict[raw.Prefix, Entry]


def in_words(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    names = {1: "ORIGIN", 2: "AS_PATH", 4: "MED", 5: "LOCAL_PREF", 8: "COMMUNITIES", 9: "ORIGINATOR_ID"}
    names[10] = "CLUSTER_LIST"
    words = [f"{names.get(kind, kind)} {value.hex()} ({flags:02x})" for kind, (flags, value) in entry[1]]
    return " ".join([f"via {entry[0].hex()}", *words])


def _numbers(*values: int) -> bytes:
    return struct.pack(f"!{len(values)}I", *values)


# A prefix, what is said of it by whom, and who wins.
Contest = tuple[str, dict[str, dict[str, object]], str]


# --- What the peers say -----------------------------------------------------------------------------------

STRANGER, FAR, FARTHER = "203.0.113.7", "203.0.113.200", "203.0.113.201"


def cases(dut_id: str) -> dict[str, dict[str, object]]:
    """Return what each peer says, each for a prefix of its own, by a name for it."""
    return {
        "plain": {},
        "originator": {"originator": STRANGER},
        "originator and clusters": {"originator": STRANGER, "clusters": (FAR,)},
        "clusters alone": {"clusters": (FAR,)},
        "long cluster list": {"originator": STRANGER, "clusters": (FAR, FARTHER, "203.0.113.202")},
        "own cluster": {"originator": STRANGER, "clusters": (CLUSTER,)},
        "own cluster behind another": {"originator": STRANGER, "clusters": (FAR, CLUSTER)},
        "reflector's identifier as a cluster": {"originator": STRANGER, "clusters": (dut_id,)},
        "originator is the reflector": {"originator": dut_id},
        "originator is c2": {"originator": identifier("c2"), "clusters": (FAR,)},
        "originator is n2": {"originator": identifier("n2"), "clusters": (FAR,)},
        "all attributes": {
            "as_path": (65010, 4200000010),
            "med": 77,
            "local_pref": 250,
            "communities": (65001 << 16 | 7, 65001 << 16 | 8),
            "next_hop": "10.99.0.111",
        },
        "IPv6": {},
        "IPv6, originator and clusters": {"originator": STRANGER, "clusters": (FAR, FARTHER), "med": 0},
    }


def spoken(dut_id: str, contested: Iterable[Contest]) -> dict[str, dict[str, Said]]:
    """Return what each peer says first, by peer and case."""
    found: dict[str, dict[str, Said]] = {}
    for node in NODES[1:]:
        number = NODES.index(node) + 1
        routes = found[node] = {}
        for at, (case, values) in enumerate(cases(dut_id).items()):
            six = case.startswith("IPv6")
            if six and node == EXTERNAL:
                continue
            prefix = f"2001:db8:{number:x}:{at:x}::/64" if six else f"198.51.{100 + number}.{at * 8}/29"
            said = Said(prefix, f"fd99::{number + 100}" if six else f"10.99.0.{number + 100}")
            # The "other" and the "same" reflector pass on what they have from clients of theirs.
            if node in ("same", "other") and "originator" not in values:
                own = CLUSTER if node == "same" else FAR
                said = replace(said, originator=f"203.0.113.{number}", clusters=(own,))
            said = replace(said, **values)  # type: ignore[arg-type]
            if node == EXTERNAL:
                said = replace(said, as_path=(OUTSIDE, *said.as_path), local_pref=None, next_hop="10.99.0.8")
            routes[case] = said
    for prefix, rivals, _ in contested:
        for node, values in rivals.items():
            said = Said(prefix, f"10.99.0.{NODES.index(node) + 101}")
            found[node][prefix] = replace(said, **values)  # type: ignore[arg-type]
    return found


LOOPED = "192.0.2.40/29"
# Prefixes that several say, and who must win.
CONTESTED: tuple[Contest, ...] = (
    # RFC 4456 9: ORIGINATOR_ID counts in place of the identifier, though n1's is higher than c1's.
    ("192.0.2.0/29", {"c1": {"originator": STRANGER}, "n1": {}}, "n1"),
    ("192.0.2.8/29", {"n1": {"originator": STRANGER}, "c1": {}}, "c1"),
    # RFC 4456 9: then the shorter CLUSTER_LIST wins.
    (
        "192.0.2.16/29",
        {
            "c1": {"originator": STRANGER, "clusters": (FAR, FARTHER)},
            "n1": {"originator": STRANGER, "clusters": (FARTHER,)},
        },
        "n1",
    ),
    (
        "192.0.2.24/29",
        {
            "c1": {"originator": STRANGER},
            "other": {"originator": STRANGER, "clusters": (FAR,)},
        },
        "c1",
    ),
    # Then the lower address.
    (
        "192.0.2.32/29",
        {
            "c2": {"originator": STRANGER, "clusters": (FAR,)},
            "n2": {"originator": STRANGER, "clusters": (FARTHER,)},
        },
        "c2",
    ),
    # RFC 4456 8: what went through us is no candidate, however good.
    (LOOPED, {"c1": {"clusters": (FAR, CLUSTER), "local_pref": 500}, "n1": {}}, "n1"),
    # RFC 4456 6: the best path only, though n2 might hear c1's.
    ("192.0.2.48/29", {"c1": {}, "n1": {"local_pref": 200}}, "n1"),
    ("192.0.2.56/29", {"c1": {"local_pref": 200}, "c2": {}}, "c1"),
)


# --- What the RFC makes of it ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """RFC 4456 for this topology: who is a client, and whether clients hear each other."""

    dut_id: str
    dut_address: str
    clients: tuple[str, ...]
    client_to_client: bool

    def told(self, sender: str, receiver: str, said: Said) -> Said | None:
        """Return what `receiver` is told of a best path, None for nothing."""
        if sender == receiver:
            return None
        inside = sender != EXTERNAL and receiver != EXTERNAL
        if inside and sender not in self.clients and receiver not in self.clients:
            return None  # RFC 4456 6: non-clients mesh
        if inside and sender in self.clients and receiver in self.clients and not self.client_to_client:
            return None  # RFC 4456 5
        if inside:
            return self.reflected(sender, said)
        if sender == EXTERNAL:
            # RFC 7606 7.9 and 7.10: neither is for external peers to say.
            return replace(said, originator="", clusters=(), local_pref=100)
        return self.outside(said)

    def outside(self, said: Said) -> Said:
        """RFC 4271 5.1 and RFC 4456 8: what passes the border of the AS."""
        said = replace(said, originator="", clusters=(), med=None, local_pref=None)
        return replace(said, as_path=(ASN, *said.as_path), next_hop=self.dut_address)

    def reflected(self, sender: str, said: Said) -> Said:
        """RFC 4456 8 and 10: two attributes more, and nothing else."""
        originator = said.originator or identifier(sender)
        return replace(said, originator=originator, clusters=(CLUSTER, *said.clusters))

    def usable(self, sender: str, said: Said) -> bool:
        """RFC 4456 8: what went through us or came from us is ignored."""
        return sender == EXTERNAL or self.loopless(said)

    def loopless(self, said: Said) -> bool:
        return CLUSTER not in said.clusters and said.originator != self.dut_id


@dataclass(frozen=True, slots=True)
class Difference:
    """Where `dut` deviates: of the routes that `applies` picks, a receiver holds what `instead` returns.

    Both are given the rules, sender, receiver, what was said, and (`instead`) what the RFC has told of it.
    """

    dut: str
    applies: Callable[[Rules, str, str, Said], bool]
    instead: Callable[[Rules, str, str, Said, Said | None], Said | None]
    reason: str
    before: int = 1000  # the major version that no longer deviates


DIFFERENCES = (
    Difference(
        "bird",
        lambda rules, sender, receiver, said: (
            receiver == EXTERNAL and sender not in (*rules.clients, EXTERNAL) and CLUSTER in said.clusters
        ),
        lambda rules, sender, receiver, said, told: rules.told(sender, receiver, said),
        "RFC 4456 8 has a reflector ignore what holds its CLUSTER_ID.  BIRD does so with routes of clients; "
        "those of non-clients it only keeps from internal peers.",
    ),
    Difference(
        "frr",
        lambda rules, sender, receiver, said: (
            sender == receiver and sender in rules.clients and rules.client_to_client
        ),
        lambda rules, sender, receiver, said, told: (
            rules.reflected(sender, said) if rules.usable(sender, said) else None
        ),
        "FRR reflects routes of a client to itself, too; RFC 4456 6 leaves it open, and it ignores them.",
    ),
    Difference(
        "frr",
        lambda rules, sender, receiver, said: sender == receiver == EXTERNAL,
        lambda rules, sender, receiver, said, told: rules.outside(said),
        "FRR returns an external peer's route to it; that peer finds its own AS in the AS_PATH.",
    ),
    Difference(
        "frr",
        lambda rules, sender, receiver, said: sender == EXTERNAL and not rules.loopless(said),
        lambda rules, sender, receiver, said, told: None,
        "RFC 7606 7.9 and 7.10 have ORIGINATOR_ID and CLUSTER_LIST of external peers discarded and the route "
        "used.  FRR 8 looks for loops in them first.",
        before=10,
    ),
    Difference(
        "frr",
        lambda rules, sender, receiver, said: (
            said.med is None and not said.originator and EXTERNAL not in (sender, receiver)
        ),
        lambda rules, sender, receiver, said, told: told and replace(told, med=0),
        "RFC 4456 10: a reflector should not change MED.  FRR adds MED 0 where there is none, if it is the "
        "first reflector on the way.",
    ),
)


def version(name: str) -> int:
    """Return the major version of the daemon."""
    program = find(name)
    assert program is not None
    argv = [*program.argv, "--version"]
    said = subprocess.run(argv, env={**os.environ, **program.environment}, capture_output=True, text=True)
    found = re.search(r"version (\d+)", said.stdout + said.stderr)
    assert found is not None, said
    return int(found[1])


class Scene:
    """The peers around one reflector; `name` says which it is."""

    def __init__(self, lan: Network, name: str, clients: tuple[str, ...], client_to_client: bool) -> None:
        self.lan, self.name = lan, name
        hub = lan["dut"]
        self.rules = Rules(hub.router_id, hub.ipv4, clients, client_to_client)
        # What BIRD makes of loops that come from non-clients (see DIFFERENCES) would change the winner.
        self.contested = [each for each in CONTESTED if clients or each[0] != LOOPED]
        self.spoken = spoken(hub.router_id, self.contested)
        self.winners = {prefix: winner for prefix, _, winner in self.contested}
        neighbors = [
            Neighbor(
                node,
                hub.ipv4,
                lan[node].ipv4,
                OUTSIDE if node == EXTERNAL else ASN,
                passive=True,
                client=node in clients,
                families=("ipv4-unicast",) if node == EXTERNAL else ("ipv4-unicast", "ipv6-unicast"),
            )
            for node in NODES[1:]
        ]
        self.dut: Reflector | Daemon
        if name == "ours":
            router = {"cluster_id": CLUSTER, "client_to_client": client_to_client}
            self.dut = Reflector(hub, ASN, neighbors, reporting=False, router=router, policy="accept-all")
        else:
            setup = Setup(ASN, tuple(neighbors), cluster_id=CLUSTER, client_to_client=client_to_client)
            self.dut = Daemon({"bird": BIRD, "frr": FRR}[name], hub, setup)
        self.version = 0 if name == "ours" else version(name)
        self.talks: list[Process] = []

    def run(self) -> dict[str, Table]:
        """Return what each peer holds in the end, before and after second thoughts."""
        self.dut.start()
        eventually(self.lan["dut"].listening, f"{self.name} listens")
        for node in NODES[1:]:
            self._file(node, "say").write_bytes(b"".join(map(Said.update, self.spoken[node].values())))
            self._file(node, "hear").write_bytes(b"")
            asn = OUTSIDE if node == EXTERNAL else ASN
            files = [str(self._file(node, each)) for each in ("say", "hear")]
            argv = [sys.executable, str(Path(raw.__file__).resolve()), "talk", self.lan[node].ipv4]
            talk = self.lan[node].start("talk", [*argv, self.lan["dut"].ipv4, str(asn), *files])
            self.talks.append(talk)
        first = self.settled("first")
        for node, words in self.second_thoughts():
            with self._file(node, "say").open("ab") as file:
                file.write(words)
        second = self.settled("second")
        return {
            f"{stage} {node}": held
            for stage, found in (("first", first), ("second", second))
            for node, held in found.items()
        }

    def second_thoughts(self) -> Iterator[tuple[str, bytes]]:
        """Change what was said."""
        # A route that is replaced by one that went through us is gone (RFC 4271 3.1, RFC 4456 8).
        for node in ("c1", "n1", "other"):
            looped = replace(self.spoken[node]["plain"], clusters=(FAR, CLUSTER))
            self.spoken[node]["plain"] = looped
            yield node, looped.update()
        # The second best takes over.
        for prefix, rivals, winner in self.contested:
            gone = self.spoken[winner].pop(prefix)
            (loser,) = set(rivals) - {winner}
            self.winners[prefix] = loser
            yield winner, gone.withdrawal()

    def settled(self, stage: str) -> dict[str, Table]:
        """Wait until all peers hold exactly what they should."""
        wanted = {node: self.expected(node) for node in NODES[1:]}

        def there() -> bool:
            assert all(talk.alive for talk in self.talks), [talk.output() for talk in self.talks]
            return all(self.held(node) == wanted[node] for node in wanted)

        try:
            eventually(there, f"{self.name}: all hold what they should", 15)
        except TimeoutError:
            pytest.fail("\n".join(self.differences(stage, wanted)), pytrace=False)
        return {node: self.held(node) for node in wanted}

    def differences(self, stage: str, wanted: dict[str, Table]) -> Iterator[str]:
        """Yield a line for each route that is not held as it should be."""
        for node, expected in wanted.items():
            held = self.held(node)
            for key in sorted({**held, **expected}):
                if held.get(key) != expected.get(key):
                    yield f"{self.name}, {stage}: {node} holds of {self.case(key)}:"
                    yield f"    {in_words(held.get(key))}\n    not {in_words(expected.get(key))}"

    def case(self, key: raw.Prefix) -> str:
        return next(
            f"{node}: {case}"
            for node, routes in self.spoken.items()
            for case, said in routes.items()
            if said.key == key
        )

    def expected(self, node: str) -> Table:
        """Return what the RFC has `node` hold, with the differences of this reflector."""
        rules, found = self.rules, Table()
        for sender, routes in self.spoken.items():
            for said in routes.values():
                if self.winners.get(said.prefix, sender) != sender:
                    continue
                told = rules.told(sender, node, said) if rules.usable(sender, said) else None
                for difference in (each for each in DIFFERENCES if each.dut == self.name):
                    if self.version < difference.before and difference.applies(rules, sender, node, said):
                        told = difference.instead(rules, sender, node, said, told)
                # The external peer has negotiated IPv4 alone.
                if told is not None and (node != EXTERNAL or said.key[0] == 1):
                    found[told.key] = told.held
        return found

    def held(self, node: str) -> Table:
        return dict(raw.table(self._file(node, "hear").read_bytes()))

    def _file(self, node: str, what: str) -> Path:
        return self.lan[node].directory / what


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [NODES], indirect=True)
@pytest.mark.parametrize("dut", ["ours", "bird", "frr"])
@pytest.mark.parametrize(
    ("clients", "client_to_client"),
    [(CLIENTS, True), ((*CLIENTS, "same", "other"), True), (CLIENTS, False), ((), True)],
    ids=["reflectors-mesh", "reflectors-are-clients", "clients-mesh", "no-clients"],
)
def test_what_each_peer_holds(
    lan: Network, dut: str, clients: tuple[str, ...], client_to_client: bool
) -> None:
    Scene(lan, dut, clients, client_to_client).run()
