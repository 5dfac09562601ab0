"""A small cluster on loopback: the reflector as configured below, and nodes that are its peers.

The reflector is the real service; the nodes are speakers of the library, each dialing from an address of
its own.  Every node announces the address blocks of its workloads.  Three of them offer the same service
address, so that there is something to decide.  `step` lets one thing happen in the cluster, as in life: a
block comes or goes, the service moves, a node is restarted.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bgp.aio.address import parse_endpoint
from bgp.aio.announcement import Announcement
from bgp.aio.events import EventKind, PeerEvent
from bgp.aio.options import PeerOptions
from bgp.aio.peer import Peer
from bgp.family import FAMILIES
from bgp.iana import Origin
from bgp.rib.path import Path
from bgp.session.event import State
from bgp.speaker import Speaker
from bgp.wire.attributes import Attributes
from reflector.app import Service
from reflector.configuration.config import loads
from reflector.demo.changes import Changes

ASN = 64512
CONFIGURATION = """
[router]
asn = 64512
router_id = "192.0.2.100"
listen = {listen}

[group.nodes]
client = true
hold_time = 9

[[listen_range]]
prefix = "127.0.0.0/8"
group = "nodes"

[[listen_range]]
prefix = "{border}"
asn = "internal"
"""

SERVICE = "198.51.100.53/32"
OFFERED = 64512 << 16 | 53  # the community of the service address: 64512:53
BLOCKS = 4


@dataclass(eq=False, slots=True)
class Node:
    """A peer of the reflector, with its speaker while it runs."""

    number: int
    name: str
    source: str
    client: bool
    serves: bool
    speaker: Speaker | None = None
    unwatch: Callable[[], None] = lambda: None
    blocks: dict[str, Announcement] = field(default_factory=dict)
    why_down: str = "not started"

    @property
    def identifier(self) -> str:
        return f"10.0.0.{self.number}"

    @property
    def address(self) -> tuple[str, str]:
        """The node's next hops for IPv4 and for IPv6."""
        return f"192.0.2.{self.number}", f"2001:db8::{self.number}"

    def block(self, index: int) -> str:
        """Return a prefix of the node's own: IPv4 ones first, then as many IPv6 ones."""
        if index < BLOCKS:
            return f"10.244.{self.number}.{64 * index}/26"
        return f"2001:db8:244:{self.number}{index - BLOCKS}::/64"


class Scenario:
    """The cluster; `told` hears each line about a session, `changes` gathers what nodes hear."""

    def __init__(self, told: Callable[[str], None], chance: random.Random | None = None) -> None:
        self.told = told
        self.changes = Changes()
        self.started = time.monotonic()
        self.restarts = 0
        self._chance = chance or random.Random()
        six = _has_ipv6()
        border = "::1" if six else "127.0.1.1"
        listen = ["127.0.0.1:0", "[::1]:0"] if six else ["127.0.0.1:0"]
        text = CONFIGURATION.format(listen=listen, border="::1/128" if six else "127.0.1.0/24")
        self.reflector = Service(loads(text, "demo"), on_event=self._on_event)
        self.nodes = [
            *(
                Node(number, f"node{number}", f"127.0.0.{10 + number}", True, number < 3)
                for number in range(1, 5)
            ),
            Node(9, "border", border, False, True),
        ]
        self._by_source = {node.source: node for node in self.nodes}
        self.by_identifier = {node.identifier: node for node in self.nodes}

    @property
    def router_id(self) -> str:
        return "192.0.2.100"

    @property
    def listening(self) -> list[str]:
        """Where the reflector listens."""
        return [str(listener.endpoint) for listener in self.reflector.speaker.listeners]

    async def start(self) -> None:
        """Start the reflector and all nodes."""
        await self.reflector.start()
        for node in self.nodes:
            await self._start(node)

    async def stop(self) -> None:
        """End all sessions, each with a reason."""
        for node in self.nodes:
            if node.speaker is not None:
                node.unwatch()
                await node.speaker.stop("the show is over")
        await self.reflector.stop("the show is over")

    def peer(self, node: Node) -> Peer | None:
        """Return the reflector's view of `node`, None while it is unknown there."""
        for peer in self.reflector.speaker.peers:
            if peer.remote.host == node.source:
                return peer
        return None

    def node_of(self, address: bytes) -> str:
        """Return the name of the node that the reflector knows by `address`."""
        for node in self.nodes:
            if parse_endpoint(node.source).address.packed == address:
                return node.name
        return "reflector"

    @property
    def established(self) -> list[Node]:
        """The nodes with a session."""
        peers = {node.name: self.peer(node) for node in self.nodes}
        return [
            node
            for node in self.nodes
            if (peer := peers[node.name]) is not None and peer.state is State.ESTABLISHED
        ]

    # --- what happens ----------------------------------------------------------------------------------
    def step(self) -> None:
        """Let one thing happen: a block of some node comes or goes, or the service moves."""
        running = [node for node in self.nodes if node.speaker is not None]
        if not running:
            return
        node = self._chance.choice(running)
        if node.serves and self._chance.random() < 0.5:
            self._offer(node)
            return
        prefix = node.block(self._chance.randrange(2 * BLOCKS))
        if prefix in node.blocks:
            node.blocks.pop(prefix).withdraw()
        else:
            self._announce(node, prefix)

    async def restart(self, pause: float) -> None:
        """Restart some node for maintenance: it says so, is away for `pause` seconds, and comes back."""
        node = self._chance.choice([node for node in self.nodes if node.speaker is not None])
        speaker, node.speaker = node.speaker, None
        node.blocks.clear()
        node.unwatch()  # that it forgets all it knew is no news
        if speaker is not None:
            await speaker.stop("maintenance")
        self.restarts += 1
        await asyncio.sleep(pause)
        await self._start(node)

    async def _start(self, node: Node) -> None:
        node.why_down = "starting"
        speaker = node.speaker = Speaker(asn=ASN, router_id=node.identifier)
        node.unwatch = speaker.router.watch(
            lambda family, changes: self.changes.heard(node.name, family, changes)
        )
        target = self._target(node)
        speaker.add_peer(
            PeerOptions(
                asn=ASN,
                address=target[0],
                port=target[1],
                source_address=node.source,
                families=FAMILIES,
                connect_retry_time=1.0,
                import_policy=_use_own if node.serves else None,
            )
        )
        for index in (0, 1, BLOCKS):
            self._announce(node, node.block(index))
        if node.serves:
            self._offer(node, plain=True)
        await speaker.start()

    def _target(self, node: Node) -> tuple[str, int]:
        six = ":" in node.source
        return next(end for end in self.reflector.speaker.listening if (":" in end[0]) == six)

    def _announce(self, node: Node, prefix: str) -> None:
        if node.speaker is not None:
            next_hop = node.address[":" in prefix]
            node.blocks[prefix] = node.speaker.announce(prefix, next_hop=next_hop)

    def _offer(self, node: Node, plain: bool = False) -> None:
        """Announce the service address, with attributes that make it more or less wanted."""
        wishes: list[dict[str, object]] = [
            {},
            {"local_pref": 200},
            {"as_path": [64999]},
            {"origin": Origin.INCOMPLETE},
            {"med": 50},
        ]
        wish = {} if plain else self._chance.choice(wishes)
        if node.speaker is not None:
            node.speaker.announce(SERVICE, next_hop=node.address[0], communities=[OFFERED], **wish)  # type: ignore[arg-type]

    # --- what the reflector tells ----------------------------------------------------------------------
    def _on_event(self, event: PeerEvent) -> None:
        if event.peer is None:
            return
        node = self._by_source.get(event.peer.remote.host)
        if node is None:
            return
        if event.kind is EventKind.STATE and event.state is State.ESTABLISHED:
            kind = "client" if node.client else "non-client"
            self.told(f"{node.name} Established, {kind} at {node.source}")
        elif event.kind is EventKind.DOWN:
            node.why_down = event.text
            self.told(f"{node.name} down: {event.text}")


def _use_own(path: Path) -> Attributes | None:
    """Refuse what others say of the service: a node that offers it uses its own."""
    return None if OFFERED in path.attributes.communities else path.attributes


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False
