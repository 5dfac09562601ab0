"""Our reflector between BIRD, FRR and GoBGP: what each says it received is what we say we sent it.

And both are what RFC 4456 demands, worked out here from the routes and the roles alone.
"""

from dataclasses import dataclass

import pytest
from capture import Capture
from netns import Network, eventually
from ours import Reflector
from peers import BIRD, KINDS, Daemon, Neighbor, Setup
from routes import Route
from scenario import ASN, ORIGINATED, reflected

ALL = frozenset(KINDS)
DAEMONS = ("bird", "birdc", "frr", "vtysh", "gobgpd", "gobgp")
WIRESHARK = ("tshark", "dumpcap")


@dataclass
class Scene:
    """The reflector and the daemons around it."""

    lan: Network
    reflector: Reflector
    daemons: dict[str, Daemon]
    clients: frozenset[str]
    version: int

    @classmethod
    def build(
        cls, lan: Network, clients: frozenset[str], version: int, passive: bool | None, **options: object
    ) -> "Scene":
        """If `passive` is true the daemons dial, if false the reflector does, if None all do."""
        hub = lan["reflector"]
        inside, outside = {}, {}
        for name in KINDS:
            ours, theirs = hub.address(version), lan[name].address(version)
            inside[name] = Neighbor(name, ours, theirs, ASN, passive=passive is True, client=name in clients)
            outside[name] = Neighbor("reflector", theirs, ours, ASN, passive=passive is False)
        daemons = {
            name: Daemon(kind, lan[name], Setup(ASN, (outside[name],), ORIGINATED[name]))
            for name, kind in KINDS.items()
        }
        return cls(lan, Reflector(hub, ASN, inside.values(), **options), daemons, clients, version)

    def start(self) -> None:
        self.reflector.start()
        for daemon in self.daemons.values():
            daemon.start()

    def expected(self, receiver: str, gone: str | None = None) -> dict[str, Route]:
        """Return what `receiver` must have: of clients all, of non-clients only if it is a client itself."""
        return {
            route.prefix: reflected(route, self.lan[sender].router_id, self.lan["reflector"].router_id)
            for sender in KINDS
            if sender not in (receiver, gone) and (sender in self.clients or receiver in self.clients)
            for route in ORIGINATED[sender]
        }

    def address(self, name: str) -> str:
        return self.lan[name].address(self.version)

    def check(self, gone: str | None = None) -> None:
        """Wait until all sessions but `gone`'s are up and quiet, then compare attribute by attribute."""
        present = {name: daemon for name, daemon in self.daemons.items() if name != gone}
        for daemon in present.values():
            daemon.wait_established()
        for name, daemon in present.items():
            wanted = self.expected(name, gone)
            eventually(
                lambda d=daemon, w=wanted: d.received().keys() == w.keys(),
                f"{daemon!r} has {len(wanted)} routes",
            )
        for name, daemon in present.items():
            assert daemon.received() == self.expected(name, gone)
            assert self.reflector.advertised(self.address(name)) == self.expected(name, gone)
            sent = {route.prefix: route for route in ORIGINATED[name]}
            assert self.reflector.received(self.address(name)) == sent


@pytest.mark.interop(*DAEMONS, *WIRESHARK)
@pytest.mark.parametrize(
    ("clients", "version", "passive"),
    [
        (ALL, 4, False),
        (ALL, 4, True),
        (ALL, 6, False),
        (ALL, 6, True),
        (ALL, 4, None),
        (ALL, 6, None),
        (frozenset({"bird"}), 4, True),
        (frozenset({"frr"}), 6, False),
        (frozenset({"gobgp"}), 4, False),
        (frozenset({"bird", "frr"}), 6, True),
        (frozenset(), 4, True),
    ],
    ids=lambda value: "+".join(sorted(value)) or "none" if isinstance(value, frozenset) else None,
)
def test_reflection(lan: Network, clients: frozenset[str], version: int, passive: bool | None) -> None:
    """Clients and non-clients, both families over both transports, dialing and being dialed."""
    scene = Scene.build(lan, clients, version, passive)
    capture = Capture.start(lan["reflector"])
    scene.start()
    scene.check()
    capture.stop()
    ours = lan["reflector"].address(version)
    messages = capture.messages(ours)
    assert messages[2] >= 2 * len(KINDS), "at least End-of-RIB of both families to each"
    if passive is not None:
        opens = capture.streams(ours, 1)
        assert len(opens) >= len(KINDS) and set(opens.values()) == {1}, "an OPEN to each"
        # GoBGP may take a connection and close it at once, when it has only begun.
        assert len(opens) == len(KINDS) or _cut_off(scene), opens
        assert messages.get(3, 0) == 0, "no NOTIFICATION, since nothing can collide"
    assert capture.complaints(ours) == []


def _cut_off(scene: Scene) -> bool:
    """Whether a daemon has closed a connection of ours at once."""
    assert scene.reflector.process is not None
    return "connection ended in OpenSent" in scene.reflector.process.output()


@pytest.mark.interop(*DAEMONS)
@pytest.mark.parametrize(("version", "passive"), [(4, True), (6, False)])
def test_restart_of_each_side(lan: Network, version: int, passive: bool) -> None:
    """Whoever is killed, its routes go; when it is back, all is as before."""
    scene = Scene.build(lan, ALL, version, passive)
    scene.start()
    scene.check()
    for name, daemon in scene.daemons.items():
        daemon.kill()
        scene.check(gone=name)
        daemon.start()
        scene.check()
    scene.reflector.kill()
    for daemon in scene.daemons.values():
        eventually(lambda d=daemon: d.received() == {}, f"{daemon!r} has lost the reflector's routes")
    scene.reflector.start()
    scene.check()


@pytest.mark.interop("bird", "birdc")
@pytest.mark.parametrize("lan", [("reflector", "bird")], indirect=True)
def test_a_peer_that_died_unheard_is_back_at_once(lan: Network) -> None:
    """Killed while its cable was out, the daemon dials a reflector that still takes it for Established."""
    hub, node = lan["reflector"], lan["bird"]
    inside = Neighbor("bird", hub.ipv4, node.ipv4, ASN, passive=True, client=True)
    outside = Neighbor("reflector", node.ipv4, hub.ipv4, ASN)
    reflector = Reflector(hub, ASN, [inside], replace_established=True)
    bird = Daemon(BIRD, node, Setup(ASN, (outside,), ORIGINATED["bird"]))
    reflector.start()
    bird.start()
    bird.wait_established()
    lan.unplug("bird")
    bird.kill()
    lan.plug("bird")
    assert reflector.established(), "nothing has told it otherwise"
    bird.start()
    # BIRD itself waits a second before it dials; the hold time would be 90.
    bird.wait_established(seconds=5)
    sent = {route.prefix: route for route in ORIGINATED["bird"]}
    eventually(lambda: reflector.received(node.ipv4) == sent, "its routes are there again")
