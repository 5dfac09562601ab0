"""`reflector explain` at a running service: why each path is where it is, and what a neighbor is told.

One service with neighbors of every kind, asked by the command that people use.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bothloops import until
from service import Cluster

from bgp import IPV4_UNICAST, PeerOptions, Role, Speaker
from bgp.__main__ import main
from bgp.policy import ACCEPT_ALL
from reflector.app import Service
from reflector.configuration.config import loads

CONFIGURATION = """\
[router]
asn = 64512
router_id = "192.0.2.100"
listen = ["127.0.0.1:0"]

[control]
socket = "SOCKET"

[group.nodes]
client = true
import = "from-nodes"
export = "to-nodes"
passive = true

[group.edge]
asn = 64500
policy = "accept-all"
role = "peer"
passive = true
multihop = 2
next_hops = {ipv4-unicast = "192.0.2.100"}

[[neighbor]]
address = "127.0.0.21"
name = "node-a"
group = "nodes"

[[neighbor]]
address = "127.0.0.22"
name = "node-b"
group = "nodes"

[[neighbor]]
address = "127.0.0.23"
name = "rr2"
asn = "internal"
passive = true

[[neighbor]]
address = "127.0.0.24"
name = "rr3"
asn = "internal"
passive = true

[[neighbor]]
address = "127.0.0.25"
name = "edge-e"
group = "edge"

[[neighbor]]
address = "127.0.0.26"
name = "edge-f"
group = "edge"
asn = 64501

[[neighbor]]
address = "127.0.0.27"
name = "greedy"
group = "nodes"
maximum_prefixes = 1
maximum_prefixes_action = "shut"

[policy.from-nodes]
default = "accept"
[[policy.from-nodes.term]]
name = "tests"
match = {prefix = ["198.18.0.0/15 le 32"]}
then = "refuse"
[[policy.from-nodes.term]]
name = "prefer"
match = {prefix = ["10.1.0.0/16"]}
set = {local_pref = 200, add_communities = ["64512:1"]}
then = "accept"

[policy.to-nodes]
default = "accept"
[[policy.to-nodes.term]]
name = "secret"
match = {prefix = ["10.3.5.0/24"]}
then = "refuse"

[[network]]
prefix = "198.51.100.0/24"
communities = ["no-advertise"]

[[network]]
prefix = "192.0.2.0/24"
next_hop = "10.0.0.100"
"""

# The prefix, towards whom, and what is said of it; in this order.
CASES: list[tuple[str, str | None, list[str]]] = [
    # An import rule that changed it, the decision, and the octets that go out.
    (
        "10.1.0.0/16",
        "node-b",
        [
            "10.1.0.0/16: 2 paths",
            "from node-a (client): best",
            'import policy "from-nodes" accepts it by term "prefer": LOCAL_PREF 100 -> 200',
            "COMMUNITIES none -> 64512:1",
            "from rr2 (non-client): lost at rung 3: the highest LOCAL_PREF wins (RFC 4271 9.1.1)",
            "10.1.0.0/16 towards node-b (client)",
            "told, reflected with ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 8)",
            'export policy "to-nodes" accepts it by the default',
            "ORIGINATOR_ID 10.0.0.21",
            "CLUSTER_LIST 192.0.2.100",
            "octets: ffffffffffffffffffffffffffffffff",
        ],
    ),
    ("10.1.0.0/16", "node-a", ["not told: it came from this very peer (RFC 4271 9.2)"]),
    # Refused on the way in: by policy, as loops of both kinds.
    (
        "198.18.1.0/24",
        "node-b",
        ['refused: term "tests" of policy "from-nodes" refuses it (RFC 4271 9.1.1)', "not told"],
    ),
    ("10.7.0.0/16", "node-b", ["our own AS is in the AS_PATH (RFC 4271 9.1.2)"]),
    ("10.11.0.0/16", "node-b", ["is in the CLUSTER_LIST (RFC 4456 8)"]),
    # Not told: by reflection, by policy, by community, by role.
    ("10.3.0.0/16", "rr3", ["internal paths are not sent to internal peers (RFC 4271 9.2)"]),
    ("10.3.0.0/16", "node-b", ["told, reflected"]),
    ("10.3.5.0/24", "node-b", ["not told", 'term "secret" of policy "to-nodes" refuses it']),
    ("198.51.100.0/24", "rr2", ["from ourselves", "NO_ADVERTISE keeps it from every peer (RFC 1997)"]),
    ("10.8.0.0/16", "edge-f", ["from edge-e (external", "RFC 9234 5"]),
    ("192.0.2.0/24", "edge-f", ["from ourselves", "told", "AS_PATH 64512"]),
    # A neighbor without a session, and why it has none.
    ("10.1.0.0/16", "greedy", ["from node-a (client): best", "nothing is told to greedy", "aximum"]),
    ("10.1.2.0/24", None, ["there is no path to 10.1.2.0/24; the longest match is 10.1.0.0/16"]),
]


@asynccontextmanager
async def neighborhood(directory: Path) -> AsyncIterator[Cluster]:
    path = directory / "reflector.sock"
    service = Service(loads(CONFIGURATION.replace("SOCKET", str(path))), file="rr.toml", control=True)
    async with AsyncExitStack() as stack:
        await service.start()
        stack.push_async_callback(service.stop, "over")
        port = service.speaker.listening[0][1]

        async def speaker(last: int, asn: int = 64512, **options: Any) -> Speaker:
            made = Speaker(asn=asn, router_id=f"10.0.0.{last}", **options.pop("speaker", {}))
            await made.start()
            stack.push_async_callback(made.stop)
            source = f"127.0.0.{last}"
            peer = made.add_peer(
                PeerOptions(asn=64512, address="127.0.0.1", port=port, source_address=source, **options)
            )
            await asyncio.wait_for(peer.established(), 60)
            return made

        # An address of the loopback is no next hop for others.
        external = {
            "role": Role.PEER,
            "import_policy": ACCEPT_ALL,
            "export_policy": ACCEPT_ALL,
            "multihop": 2,
            "next_hops": {IPV4_UNICAST: bytes([192, 0, 2, 25])},
        }
        node, _ = await speaker(21), await speaker(22)
        # It goes on with its own routes, whatever it hears of better ones.
        second = await speaker(23, import_policy=lambda path: None)
        # Another reflector of our cluster, by mistake not told apart from a client; and a client of it.
        other = await speaker(
            24, client=True, speaker={"cluster_id": "192.0.2.100", "listen": ["127.0.0.1:0"]}
        )
        edge, _ = await speaker(25, 64500, **external), await speaker(26, 64501, **external)
        behind = Speaker(asn=64512, router_id="10.0.0.11")
        await behind.start()
        stack.push_async_callback(behind.stop)
        other.add_peer(PeerOptions(asn=64512, address="127.0.0.31", passive=True, client=True))
        behind.add_peer(
            PeerOptions(
                asn=64512, address="127.0.0.1", port=other.listening[0][1], source_address="127.0.0.31"
            )
        )
        node.announce("10.1.0.0/16", next_hop="10.0.0.21")
        node.announce("198.18.1.0/24", next_hop="10.0.0.21")
        second.announce("10.1.0.0/16", next_hop="10.0.0.23")
        second.announce("10.3.0.0/16", next_hop="10.0.0.23")
        second.announce("10.3.5.0/24", next_hop="10.0.0.23")
        edge.announce("10.7.0.0/16", as_path="64512")
        edge.announce("10.8.0.0/16")
        behind.announce("10.11.0.0/16", next_hop="10.0.0.11")
        greedy = await speaker(27)
        for number in (1, 2, 3):
            greedy.announce(f"10.27.{number}.0/24", next_hop="10.0.0.27")
        wanted = {prefix for prefix, _, _ in CASES} - {"10.1.2.0/24"}
        rib = service.speaker.rib
        await until(lambda: all(rib.exact(prefix) for prefix in wanted), "all routes are there", 60)
        await until(lambda: len(rib.exact("10.1.0.0/16").paths) == 2, "both paths are there", 60)  # type: ignore[union-attr]
        shut = next(peer for peer in service.speaker.peers if peer.name == "greedy")
        await until(lambda: not shut.is_running, "who sends too much is shut", 60)
        yield Cluster(service, [], path)


async def test_the_command_says_why(tmp_path: Path, capsys: Any) -> None:
    async with neighborhood(tmp_path) as cluster:
        for prefix, to, wanted in CASES:
            arguments = ["explain", prefix] if to is None else ["explain", prefix, "--to", to]
            done = await asyncio.to_thread(cluster.command, *arguments)
            said, place = done.stdout + done.stderr, 0
            for words in wanted:
                found = said.find(words, place)
                assert found >= 0, f"{' '.join(arguments)}: {words!r} is not there, behind {place}:\n{said}"
                place = found
            assert done.returncode == (0 if to else 3)
            if "octets: " in said:
                # The octets are what a decoder of messages takes for an UPDATE of this prefix.
                octets = said.partition("octets: ")[2].split()[0]
                assert main(["decode", octets]) == 0
                decoded = capsys.readouterr().out
                assert "UPDATE" in decoded and prefix in decoded, decoded
