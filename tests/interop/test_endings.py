"""How sessions end on purpose, with each of the five daemons, and what each side says of it."""

import re
from collections.abc import Callable

from netns import Network, eventually
from openbgpd import bgpctl
from peers import Daemon
from ring import ALL, Ring, Session, around
from routes import FAMILIES

TEXT = "moving to rack 7"
IPV4 = Session(4, FAMILIES[:1])


def vtysh(daemon: Daemon, *commands: str) -> str:
    options = [option for command in commands for option in ("-c", command)]
    return daemon.ask("vtysh", "--vty_socket", str(daemon.node.directory), *options)


def birdc(daemon: Daemon, *command: str) -> str:
    return daemon.ask("birdc", "-s", str(daemon.node.directory / "ctl"), *command)


# What each says of the session; GoBGP tells its log only.
SHOWN: dict[str, Callable[[Daemon, str], str]] = {
    "bird": lambda daemon, us: birdc(daemon, "show protocols all to_reflector4"),
    "frr": lambda daemon, us: vtysh(daemon, f"show bgp neighbors {us} json"),
    "gobgp": lambda daemon, us: daemon.process.output() if daemon.process else "",
    "openbgpd": lambda daemon, us: bgpctl(daemon, "show", "neighbor", us),
}
SHUT: dict[str, Callable[[Daemon, str], str]] = {
    "bird": lambda daemon, us: birdc(daemon, "disable", "to_reflector4", f'"{TEXT}"'),
    "frr": lambda daemon, us: vtysh(
        daemon,
        "configure terminal",
        f"router bgp {daemon.setup.asn}",
        f"neighbor {us} shutdown message {TEXT}",
    ),
    "gobgp": lambda daemon, us: daemon.ask("gobgp", "neighbor", us, "shutdown", "--reason", TEXT),
    "openbgpd": lambda daemon, us: bgpctl(daemon, "neighbor", us, "down", TEXT),
}


@around("bird", "frr", "gobgp", "openbgpd")
def test_our_shutdown_communication(lan: Network) -> None:
    """They show the text with which we end the session (RFC 9003)."""
    with Ring(lan) as ring:
        us = ring.address("reflector")
        for name, daemon in ring.daemons.items():
            ring.reflector.report(f"stop {ring.address(name)} {TEXT}")
            eventually(lambda n=name, d=daemon: TEXT in SHOWN[n](d, us), f"{name} shows it")


@around(*SHUT)
def test_their_shutdown_communication(lan: Network) -> None:
    """We show the text with which they end the session (RFC 9003)."""
    with Ring(lan) as ring:
        us = ring.address("reflector")
        for name, daemon in ring.daemons.items():
            SHUT[name](daemon, us)
            eventually(lambda n=name: TEXT in ring.about(n)["last_error"], f"{name}'s text arrives")


@around(*ALL)
def test_our_limit_of_prefixes(lan: Network) -> None:
    """Who tells more than we take loses its session with Cease/1 (RFC 4486)."""
    with Ring(
        lan,
        sessions=(IPV4,),
        everyone={"maximum_prefixes": {"ipv4-unicast": 1}, "idle_hold_time": 60},
        waits=False,
    ) as ring:
        for name, daemon in ring.daemons.items():
            eventually(lambda n=name: "prefixes" in ring.about(n)["last_error"], f"{name} is too much")
            eventually(lambda d=daemon: not d.established(), f"{name} has lost the session")
            assert ring.reflector.received(ring.address(name)) == {}


LIMIT = {
    "bird": ("channel import limit 1 action restart",),
    "frr": ("family maximum-prefix 1",),
    "gobgp": ("afi-safi.prefix-limit.config.max-prefixes = 1",),
    "openbgpd": ("max-prefix 1",),
}


@around(*LIMIT)
def test_their_limit_of_prefixes(lan: Network) -> None:
    """We say that a peer has ended the session since we told too much."""
    # Routes of our own, since those of the others go with their sessions.
    networks = [{"prefix": f"203.0.113.{64 * number}/26"} for number in range(3)]
    resting = {"idle_hold_time": 60}
    with Ring(
        lan, sessions=(IPV4,), routes={}, networks=networks, theirs=LIMIT, everyone=resting, waits=False
    ) as ring:
        for name in ring.daemons:
            # FRR, with which graceful restart is agreed on, puts it into a Hard Reset.
            cease = r"(cease/hard-reset \(RFC 8538 3\): )?cease/maximum-number-of-prefixes"
            ended = rf"{name}-4: connection ended in \w+: received {cease}"
            eventually(lambda e=ended: re.search(e, ring.log()), f"{name} has enough")
