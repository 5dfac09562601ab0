"""Graceful restart with real daemons: whoever is away for a moment, the others go on with its routes."""

import pytest
from netns import Network, eventually
from ours import Reflector
from peers import BIRD, FRR, Daemon, Neighbor, Setup
from scenario import ASN, ORIGINATED, reflected

# What each says to have its routes kept, in the neighbor or beside it.
BIRD_OPTIONS = ("graceful restart on", "graceful restart time 60")
FRR_OPTIONS = ("bgp graceful-restart", "bgp graceful-restart restart-time 60")
KEEP: dict[str, object] = {"families": True, "time": 60}
# For hours, and nearly at once.
LASTING = {"families": True, "time": 1, "long_lived": 3600}
BIRD_LASTING = (
    *("graceful restart on", "graceful restart time 1"),
    *("long lived graceful restart on", "long lived stale time 3600"),
)


class Scene:
    """A reflector that may restart, with BIRD and FRR as clients that may as well."""

    def __init__(
        self, lan: Network, keep: dict[str, object] = KEEP, options: tuple[str, ...] = BIRD_OPTIONS
    ) -> None:
        hub = lan["reflector"]
        self.lan = lan
        inside = [
            Neighbor(name, hub.ipv4, lan[name].ipv4, ASN, passive=True, client=True)
            for name in ("bird", "frr")
        ]
        self.reflector = Reflector(hub, ASN, inside, graceful_restart=keep)
        to_bird = Neighbor("reflector", lan["bird"].ipv4, hub.ipv4, ASN, options=options)
        to_frr = Neighbor("reflector", lan["frr"].ipv4, hub.ipv4, ASN)
        self.bird = Daemon(BIRD, lan["bird"], Setup(ASN, (to_bird,), ORIGINATED["bird"]))
        self.frr = Daemon(FRR, lan["frr"], Setup(ASN, (to_frr,), ORIGINATED["frr"], options=FRR_OPTIONS))
        for each in (self.reflector, self.bird, self.frr):
            each.start()

    def check(self) -> None:
        """Wait until both clients are up and have the other's routes."""
        for daemon, other in ((self.bird, "frr"), (self.frr, "bird")):
            daemon.wait_established()
            eventually(
                lambda d=daemon, o=other: d.received() == self.expected(o), f"{daemon!r} has {other}'s routes"
            )

    def expected(self, sender: str) -> dict[str, object]:
        hub = self.lan["reflector"].router_id
        return {one.prefix: reflected(one, self.lan[sender].router_id, hub) for one in ORIGINATED[sender]}


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "bird", "frr")], indirect=True)
def test_who_restarts_keeps_its_routes_with_the_others(lan: Network) -> None:
    scene = Scene(lan)
    scene.check()
    for name, daemon, other in (("bird", scene.bird, scene.frr), ("frr", scene.frr, scene.bird)):
        # We are the helper, and the other client notices nothing.
        daemon.kill()
        eventually(lambda: not scene.reflector.established(), f"{name}'s session is lost")
        assert other.received() == scene.expected(name)
        daemon.start()
        scene.check()


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "bird", "frr")], indirect=True)
@pytest.mark.parametrize("orderly", [True, False])
def test_our_routes_stay_with_them_while_we_restart(lan: Network, orderly: bool) -> None:
    """BIRD, without the N bit, sees the connection close; FRR, with it, a Cease; or both a killed process."""
    scene = Scene(lan)
    scene.check()
    assert scene.reflector.process is not None
    if orderly:
        scene.reflector.process.stop()
    else:
        scene.reflector.kill()
    for daemon, sender in ((scene.bird, "frr"), (scene.frr, "bird")):
        eventually(lambda d=daemon: not d.established(), f"{daemon!r} has lost the reflector")
        assert daemon.received() == scene.expected(sender), daemon
    scene.reflector.start()
    scene.check()
    for name in ("bird", "frr"):
        sent = {route.prefix: route for route in ORIGINATED[name]}
        eventually(
            lambda n=name, s=sent: scene.reflector.received(lan[n].ipv4) == s,
            f"{name}'s routes are there again",
        )


def marked(daemon: Daemon) -> bool:
    """Say whether all that a daemon has received has LLGR_STALE."""
    routes = daemon.received()
    return bool(routes) and all(
        {"65535:6", "llgrStale", "llgr-stale"} & {*route.communities} for route in routes.values()
    )


@pytest.mark.interop("bird", "birdc", "frr", "vtysh")
@pytest.mark.parametrize("lan", [("reflector", "bird", "frr")], indirect=True)
def test_routes_that_last_are_marked_on_either_side(lan: Network) -> None:
    """FRR says that it knows LLGR, so it hears of such routes; BIRD as the helper marks ours (RFC 9494)."""
    scene = Scene(lan, LASTING, BIRD_LASTING)
    scene.check()
    sent = {route.prefix: route for route in ORIGINATED["bird"]}
    scene.bird.kill()
    eventually(lambda: marked(scene.frr), "FRR hears that they are long-lived stale")
    assert scene.frr.received().keys() == sent.keys()
    scene.bird.start()
    scene.check()
    scene.reflector.kill()
    eventually(lambda: marked(scene.bird), "BIRD marks our routes")
    assert scene.bird.received().keys() == scene.expected("frr").keys()
